//! Plan and world in, trained parameters out, on dfdx tensors. Knows no source text.
//!
//! The tensor core: [`Parameters`] hold all trainable numbers as one flat vector; a [`NetworkPlan`]
//! is some layers of a model compiled to steps, run [forward](NetworkPlan::forward) and
//! [backward](NetworkPlan::backward) over [`Activations`]; [`categorical`] turns logits into
//! log-probabilities, entropies and divergences.
//!
//! Training: [`infer`] rolls out shards of a batch with the policy, credits each draw with the
//! terms downstream of it, and moves the parameters along the gradient; [`evaluate`] plays fixed
//! parameters; [`gradient_estimates`] are those of single batches, to be held against the oracle,
//! as [`assess`] does.
//!
//! A [`Policy`] is what was trained, and acts in whatever world its user has.
//!
//! With the oracle of finite models: [`kernel_tables`] is what it takes as a policy, [`optimise`]
//! finds the best that the parameters can reach, [`gap`] tells how far a policy is from the
//! evidence, and why.

mod advantage;
mod anneal;
mod ascent;
mod assess;
mod calibration;
pub mod categorical;
mod checkpoint;
mod choice;
mod classify;
mod credit;
mod crew;
mod density;
mod elementwise;
mod enumerate;
mod error;
mod evaluate;
mod evaluate_policy;
mod exact_update;
mod expressions;
mod failure;
mod family;
mod fault;
mod features;
mod float;
mod following;
mod formulas;
mod gain;
mod gap;
mod gru;
mod head;
mod imagine;
mod improvement;
mod initial;
mod joint;
pub mod kernels;
mod known_ratio;
mod lead;
mod ledger;
mod listed;
mod memory;
mod mixture;
mod moments;
mod network;
mod nodes;
mod normal;
mod number;
mod objective;
mod optimise;
mod optimiser;
mod options;
mod parameters;
mod pathwise;
mod point;
mod points;
mod policy;
mod ratio;
mod reached;
mod real;
mod record;
mod recorded;
mod refit;
mod replay;
mod rollout;
mod run;
mod scalars;
mod scaled;
mod shards;
mod simulation;
mod stage;
mod start;
mod sticky;
mod stop;
mod stream;
mod summed;
mod tables;
mod tabulate;
mod tally;
mod tangent;
mod tensor;
mod trace;
mod train;
mod trust_region;
mod values;
mod variable;
mod viewpoint;
mod watch;
mod weights;
mod wired;
mod written;

#[cfg(test)]
mod composed_tests;
#[cfg(test)]
mod dream_tests;
#[cfg(test)]
mod evaluate_tests;
#[cfg(test)]
mod families_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod gain_tests;
#[cfg(test)]
mod listed_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod optimise_tests;
#[cfg(test)]
mod options_tests;
#[cfg(test)]
mod pathwise_tests;
#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod simulation_tests;
#[cfg(test)]
mod stop_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod told_tests;
#[cfg(test)]
mod train_tests;
#[cfg(test)]
mod weights_tests;
#[cfg(test)]
mod world_tests;

pub use ascent::{Objective, moved};
pub use assess::{AGAIN, Assessment, BATCHES, FALSE_ALARM, RESOLUTION, TRAJECTORIES, assess};
pub use calibration::Calibration;
pub use checkpoint::Checkpoint;
pub use classify::{Classified, SATURATED};
pub use crew::{Shortage, take_shortage};
pub use error::EngineError;
pub use evaluate::{Activations, BLOCK, Feed, Scratch};
pub use evaluate_policy::evaluate;
pub use failure::EnvironmentFailure;
pub use float::Float;
pub use gap::{Gap, Part, Supremum, gap};
pub use improvement::{Improvement, Rounds};
pub use listed::{Bias, Mean, ROUNDING, bias, mean_gradient};
pub use memory::{Memory, memory, memory_of_evaluation, memory_of_parameters, shown_bytes};
pub use network::{InputKind, InputSpec, NetworkPlan, Unsupported};
pub use number::Number;
pub use optimise::{Optimum, Reach, optimise, reach, starts};
pub use optimiser::{Optimiser, OptimiserConfig, OptimiserState};
pub use parameters::{FileError, Layout, NotFinite, Parameters, verify_finite};
pub use policy::{Action, EpisodeMemory, Policy};
pub use record::{RecordedStep, record};
pub use run::{Evaluation, Metrics, Observer, OptionUse, Run, Stopped};
pub use stop::Stop;
pub use tables::{fixed_kernels, fixed_tables, kernel_tables, posterior_tables};
pub use tabulate::{logits_of, pull_back, tabulate};
pub use tensor::{Matrix, Tape, shape_of, values_of};
pub use train::{gradient_estimates, infer, resume};
pub use viewpoint::{SCALES, Scale, Viewpoint, exact_gradient, random_parameters};
pub use written::{Unwritten, written_tables};
