//! What judges the training of a bound, as training knows it. Nothing learns from it: a run with
//! another judge, or with none, has the same parameters to the last bit.

use crate::engine::error::EngineError;
use crate::engine::numeric::stop::Stop;
use crate::engine::tape::parameters::Parameters;
use crate::plan::Plan;

/// Stands beside the trainer of one bound.
pub(in crate::engine) trait Judge {
    /// Judges the batch after which so many are done; `parameters` gives those that it left, and
    /// those with which its round began. What it finds stands in the metrics of the batch: nothing
    /// if it does not look, or if the run gives up meanwhile.
    fn batch(
        &mut self,
        batches: u64,
        parameters: &dyn Fn() -> BatchParameters,
    ) -> Option<Improvement>;

    /// What it has found of all rounds; `None` where it judges none.
    fn rounds(&self) -> Option<Rounds>;

    /// Goes on where another left off: from what that had found, and the parameters with which the
    /// present round began.
    fn resume(&mut self, found: Rounds, began: &Parameters<f64>);

    /// Judges what the bound's classifiers have learned when all is trained, from as many
    /// trajectories, each by the name of its ratio. Worth nothing if the run has given up
    /// meanwhile.
    ///
    /// # Errors
    /// A construct that cannot run.
    fn classifiers(
        &self,
        parameters: &Parameters<f64>,
        trajectories: usize,
    ) -> Result<Vec<(String, Calibration)>, EngineError>;
}

/// Who judges each bound of a run, given its plan, the parameters that it begins with, and by what
/// the run is asked to end.
pub(in crate::engine) type Judges =
    dyn for<'a> Fn(&'a Plan, &Parameters<f64>, &Stop) -> Box<dyn Judge + 'a>;

/// The parameters after a batch.
pub(in crate::engine) struct BatchParameters {
    pub present: Parameters<f64>,
    /// Those at the beginning of the round.
    pub previous: Parameters<f64>,
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

/// How good a classifier is, over real pairs and imagined ones, each from the states and actions that the policy meets in the
/// environment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// The mean of `|logit − log p/q|` over those that both sides can draw, nats.
    pub error: f64,
    /// Real transitions, each beside an imagined one.
    pub pairs: usize,
}
