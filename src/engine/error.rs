//! Why a run comes to no result.

use crate::engine::run::checkpoint::Checkpoint;
use crate::engine::sample::failure::EnvironmentFailure;
use crate::engine::sample::fault::Fault;
use crate::engine::tape::parameters::Parameters;

/// Why a run has come to no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// An environment from outside failed, or wrote what the file does not declare, while
    /// parameters were trained.
    #[error("step {step}: {failure}; the parameters of step {good} are kept{}", hinted(failure))]
    Environment {
        /// The gradient step, counted from 1.
        step: u64,
        failure: EnvironmentFailure,
        /// The step after which all was good, and the parameters of then.
        good: u64,
        kept: Box<Parameters<f64>>,
    },
    /// The same of parameters that are played, not trained.
    #[error("{failure}{}", hinted(failure))]
    EnvironmentPlayed { failure: EnvironmentFailure },
    /// It was asked to end, or its observer ended it.
    #[error("interrupted")]
    Interrupted {
        /// What it can go on from, unless that is what was kept before.
        kept: Option<Box<Checkpoint>>,
    },
    /// A NaN or an infinity of parameters that are played, not trained: a sentence.
    #[error("{0}")]
    Broken(String),
    /// What a policy is told to act on is not what it reads, in one sentence.
    #[error("{0}")]
    Observation(String),
    /// What the plan admits and nothing here runs, in one sentence.
    #[error("{0}")]
    Unsupported(String),
    /// A checkpoint of another model or of other settings.
    #[error("this checkpoint does not fit the model: {0}")]
    Checkpoint(String),
}

impl Fault {
    /// The error of parameters that are played.
    pub fn played(&self) -> EngineError {
        match self.failure() {
            Some(failure) => EngineError::EnvironmentPlayed { failure },
            None => EngineError::Broken(self.to_string()),
        }
    }
}

fn hinted(failure: &EnvironmentFailure) -> String {
    failure.hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"))
}
