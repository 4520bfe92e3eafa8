//! What judges the training of a bound, as training knows it. Nothing learns from it: a run with
//! another judge, or with none, has the same parameters to the last bit.

use super::verdict::{Calibration, Improvement, Rounds};
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
