//! What a run tells while it goes, what it leaves, and why it may stop.

use super::calibration::Calibration;
use super::classify::Classified;
use super::optimiser::OptimiserState;
use super::parameters::Parameters;
use super::stop::Stop;
use crate::exact::OptionVisits;
use crate::model::{BoundId, VariableId};
use std::ops::ControlFlow;

/// Follows a run.
pub trait Observer {
    /// Called at every logged step, and at the last. `Break` ends the run there.
    fn step(&mut self, metrics: &Metrics) -> ControlFlow<()>;

    /// Asked after every gradient step: whether the run is to be kept as it is now.
    fn is_due(&self) -> bool {
        false
    }

    /// Called with all that going on needs when that is due, and when training ends, for whatever
    /// reason. `Break` ends the run there.
    fn keep(&mut self, _: &Checkpoint) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// By what the run is asked to end.
    fn stop(&self) -> Stop {
        Stop::default()
    }
}

/// An observer that looks away.
impl Observer for () {
    fn step(&mut self, _: &Metrics) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// A batch as it was sampled; means over its trajectories, in nats where nothing else is said.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Batches done, this one included.
    pub step: u64,
    /// The terms of the bound with their signs, in the plan's order; they sum to `bound`.
    pub terms: Vec<f64>,
    pub bound: f64,
    /// Sum of the rewards of a trajectory; of several rewards, all together.
    pub expected_return: f64,
    /// Where there are several rewards, that of each, in the environment's order.
    pub returns: Vec<f64>,
    /// What the draws of actions and options cost, `E_q[log q − log p]` of a trajectory; where the
    /// prior is the policy of the last round, as the step has moved it, at the states of the batch.
    /// Absent where a density is not known.
    pub kl: Option<f64>,
    /// Of the policy, per live step.
    pub entropy: f64,
    /// Euclidean norm of the batch's first gradient, before clipping.
    pub gradient_norm: f64,
    /// Mean squared error of the learned baseline, where there is one; in the units it is fitted
    /// in.
    pub baseline_error: Option<f64>,
    /// By the oracle, at the last batch of a round.
    pub improvement: Option<Improvement>,
    /// Live steps of the environment so far.
    pub env_steps: u64,
    /// Live steps of learned models in the environment's place so far.
    pub imagined_steps: u64,
    /// What the classifier of a density ratio told before this batch.
    pub classified: Option<Classified>,
    /// Of the bounds that the step took before this one.
    pub earlier: Vec<Metrics>,
    /// Since the run (or what was resumed of it) began.
    pub wall_seconds: f64,
}

/// What a round was worth, exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Improvement {
    /// Of the policy it ended with.
    pub expected_return: f64,
    /// What it added to `E_q[ΣΛ]`, nats.
    pub gain: f64,
    /// `KL(π_j ‖ π_{j−1})` of trajectories, nats.
    pub kl: f64,
    /// By how much `gain` is less than `kl`, which the maximum of the round's bound does not fall
    /// short of; nats.
    pub shortfall: f64,
}

/// The rounds that were judged by the oracle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rounds {
    pub done: u64,
    /// Rounds after which `E_q[ΣΛ]` was less than before.
    pub fell: u64,
    /// Nats.
    pub largest_shortfall: f64,
}

/// What a run leaves.
#[derive(Clone, Debug)]
pub struct Run {
    pub parameters: Parameters<f64>,
    /// Batches done.
    pub steps: u64,
    pub stopped: Stopped,
    /// Of the final parameters, from trajectories of their own.
    pub evaluation: Evaluation,
    /// The same of the file's other bounds.
    pub others: Vec<(BoundId, Evaluation)>,
    /// On a finite model whose prior is the policy of the last round.
    pub rounds: Option<Rounds>,
    /// Live steps of the environment during training, and of learned models in its place.
    pub env_steps: u64,
    pub imagined_steps: u64,
    /// As the last batch told it.
    pub kl: Option<f64>,
    /// What the classifier told last, and how good it is.
    pub classified: Option<Classified>,
    pub calibration: Option<Calibration>,
    /// Of the gradient steps, without the evaluation after them.
    pub training_seconds: f64,
    pub wall_seconds: f64,
    pub checkpoint: Checkpoint,
}

/// Why a run took no further step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// All batches are done.
    Steps,
    /// The threshold of `until` was reached.
    Until,
}

/// Sample means over whole trajectories with their standard errors.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    pub episodes: usize,
    pub expected_return: f64,
    pub return_se: f64,
    /// Where there are several rewards, the mean of each and its standard error, in the
    /// environment's order.
    pub returns: Vec<(f64, f64)>,
    pub bound: f64,
    pub bound_se: f64,
    /// The terms of the bound with their signs, in the plan's order.
    pub terms: Vec<f64>,
    /// Live steps of each trajectory.
    pub lengths: Vec<u32>,
    pub env_steps: u64,
    /// The least and the greatest of each reward.
    pub rewards: Vec<(f64, f64)>,
    /// What each option was used for, in the order they are drawn.
    pub options: Vec<OptionUse>,
}

/// An option in sampled trajectories.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionUse {
    pub option: VariableId,
    /// Drawn at `t = 1` and kept.
    pub once: bool,
    /// Means over the episodes; over one state in the place of all where those are not finite or
    /// too many, over one action where those are real.
    pub visits: OptionVisits,
}

/// All that resuming to the same bits needs: the random streams follow from the seed and the step.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub step: u64,
    pub env_steps: u64,
    pub parameters: Parameters<f64>,
    /// The parameters at the beginning of the round, flat; empty where they have not moved since.
    pub previous: Vec<f64>,
    /// Of the bound's gradient.
    pub optimiser: OptimiserState<f64>,
    /// Of the baseline's fit.
    pub fit: OptimiserState<f64>,
    /// What `until` watches, in the last batches; empty where there is none.
    pub recent: Vec<f64>,
    /// Count, means and spreads of normalised inputs and of returns.
    pub inputs: Vec<f64>,
    pub returns: Vec<f64>,
    pub rounds: Rounds,
    /// Of the classifier.
    pub classifier: OptimiserState<f64>,
    /// The transitions that are kept, as numbers.
    pub replay: Vec<f64>,
    /// Of the bounds that a step takes before this one.
    pub earlier: Vec<Checkpoint>,
}

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
