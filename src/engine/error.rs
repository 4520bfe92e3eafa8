//! Why a run comes to no result.

use super::checkpoint::Checkpoint;
use super::parameters::Parameters;

/// Why a run has come to no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// A NaN or an infinity in a run.
    #[error("step {step}: {what}; the parameters of step {good} are kept\nhint: {hint}")]
    NotFinite {
        /// The gradient step, counted from 1.
        step: u64,
        /// What is no number, of which kernel, term or tensor, at which time and state: a sentence.
        what: String,
        hint: String,
        /// The step after which all was good, and the parameters of then.
        good: u64,
        kept: Box<Parameters<f64>>,
    },
    /// It was asked to end, or its observer ended it.
    #[error("interrupted")]
    Interrupted {
        /// What it can go on from, unless that is what was kept before.
        kept: Option<Box<Checkpoint>>,
    },
    /// The same of parameters that are played, not trained: a sentence.
    #[error("{0}")]
    Broken(String),
    /// What the plan admits and this version cannot run, in one sentence.
    #[error("{0}")]
    Unsupported(String),
    /// A checkpoint of another model or of other settings.
    #[error("this checkpoint does not fit the model: {0}")]
    Checkpoint(String),
}
