//! What a run tells while it goes, what it leaves, and why it may stop.

use super::checkpoint::Checkpoint;
use super::verdict::{Calibration, Improvement, Rounds};
use crate::engine::numeric::stop::Stop;
use crate::engine::tape::parameters::Parameters;
use crate::engine::update::classify::Classified;
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
    /// What the classifiers of density ratios told before this batch, each by the name of its
    /// ratio.
    pub classified: Vec<(String, Classified)>,
    /// Of the bounds that the step took before this one.
    pub earlier: Vec<Metrics>,
    /// Since the run (or what was resumed of it) began.
    pub wall_seconds: f64,
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
    /// What the classifiers told last, each by the name of its ratio, and how good they are.
    pub classified: Vec<(String, Classified)>,
    pub calibrations: Vec<(String, Calibration)>,
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
