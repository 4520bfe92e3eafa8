//! Plan and world in, trained parameters out, on dfdx tensors. Knows no source text.
//!
//! The tensor core: [`Parameters`] hold all trainable numbers as one flat vector; a [`NetworkPlan`] is some layers of a model
//! compiled to steps, run [forward](NetworkPlan::forward) and [backward](NetworkPlan::backward) over [`Activations`];
//! [`categorical`] turns logits into log-probabilities, entropies and divergences.

pub mod categorical;
mod elementwise;
mod evaluate;
mod features;
mod float;
mod initial;
pub mod kernels;
mod network;
mod nodes;
mod optimiser;
mod parameters;
mod scalars;
mod tabulate;
mod tensor;

#[cfg(test)]
mod evaluate_tests;
#[cfg(test)]
mod testing;

pub use evaluate::{Activations, BLOCK, Feed, Scratch};
pub use float::Float;
pub use network::{InputKind, InputSpec, NetworkPlan, Unsupported};
pub use optimiser::{Optimiser, OptimiserConfig, OptimiserState, clip_global_norm, global_norm};
pub use parameters::{FileError, Layout, NotFinite, Parameters, verify_finite};
pub use tabulate::{logits_gradient, logits_of, pull_back, tabulate};
pub use tensor::{Matrix, Tape, shape_of, values_of};
