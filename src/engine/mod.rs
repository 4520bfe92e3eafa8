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

mod episode;
mod error;
mod family;
mod fleet;
mod gradient;
mod heads;
mod judge;
mod network;
mod numeric;
mod program;
mod proof;
mod run;
mod sample;
mod tables;
mod tape;
#[cfg(test)]
mod tests;
mod update;

use crate::plan::Plan;

pub use error::EngineError;
pub use fleet::crew::{Shortage, take_shortage};
pub use heads::categorical;
pub use judge::gap::{Gap, Part, Supremum, gap};
pub use judge::viewpoint::{SCALES, Scale, Viewpoint, exact_gradient, random_parameters};
pub use network::feed::Feed;
pub use network::forward::{Activations, BLOCK, Scratch};
pub use network::layout::Layout;
pub use network::plan::{InputKind, InputSpec, NetworkPlan};
pub use network::unsupported::Unsupported;
pub use numeric::float::Float;
pub use numeric::kernels;
pub use numeric::number::Number;
pub use numeric::stop::Stop;
pub use proof::assess::{
    AGAIN, Assessment, BATCHES, FALSE_ALARM, RESOLUTION, TRAJECTORIES, assess, compare,
};
pub use proof::listed::{Bias, Mean, ROUNDING, bias, mean_gradient, viewpoint_by_listing};
pub use run::checkpoint::Checkpoint;
pub use run::evaluate::evaluate;
pub use run::memory::{Memory, memory, memory_of_evaluation, memory_of_parameters, shown_bytes};
pub use run::outcome::{Evaluation, Metrics, Observer, OptionUse, Run, Stopped};
pub use run::policy::{Action, EpisodeMemory, Policy};
pub use run::record::{RecordedStep, record};
pub use run::train::gradient_estimates;
pub use run::verdict::{Calibration, Improvement, Rounds};
pub use sample::failure::EnvironmentFailure;
pub use tables::kernels::{fixed_kernels, fixed_tables, kernel_tables, posterior_tables};
pub use tables::tabulate::{logits_of, pull_back, tabulate};
pub use tables::written::{Unwritten, written_tables};
pub use tape::parameters::{FileError, NotFinite, Parameters, verify_finite};
pub use tape::tensor::{Matrix, Tape, shape_of, values_of};
pub use update::ascent::{Objective, moved};
pub use update::classify::{Classified, SATURATED};
pub use update::optimise::{Optimum, Reach, optimise, reach, starts};
pub use update::optimiser::{Optimiser, OptimiserConfig, OptimiserState};

/// Trains a plan from its seed, judged by the oracle where that takes the model.
///
/// # Errors
/// A NaN or an infinity, by term or tensor and step; a construct that cannot run.
pub fn infer(plan: &Plan, run: &mut dyn Observer) -> Result<Run, EngineError> {
    run::train::train(plan, None, run, &judge::oracle::oracle)
}

/// Trains a plan from a checkpoint of an earlier run, to the same bits as a run that was never
/// interrupted.
///
/// # Errors
/// As [`infer`], and where the checkpoint does not fit.
pub fn resume(
    plan: &Plan,
    checkpoint: &Checkpoint,
    run: &mut dyn Observer,
) -> Result<Run, EngineError> {
    run::train::train(plan, Some(checkpoint), run, &judge::oracle::oracle)
}
