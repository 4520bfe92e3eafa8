//! The judge of a run: the oracle, where it takes the model.

use super::calibration::calibrate;
use super::improvement::OfRounds;
use crate::engine::error::EngineError;
use crate::engine::numeric::stop::Stop;
use crate::engine::run::judge::{BatchParameters, Judge};
use crate::engine::run::verdict::{Calibration, Improvement, Rounds};
use crate::engine::tape::parameters::Parameters;
use crate::plan::Plan;

/// Judges the rounds of a bound, and its classifiers.
struct Oracle<'a> {
    plan: &'a Plan,
    stop: Stop,
    /// Where a prior is the policy of the last round, and the model is finite.
    rounds: Option<OfRounds<'a>>,
}

/// The judge of a bound that begins at `start`.
pub(in crate::engine) fn oracle<'a>(
    plan: &'a Plan,
    start: &Parameters<f64>,
    stop: &Stop,
) -> Box<dyn Judge + 'a> {
    let rounds = OfRounds::new(plan, start, stop);
    Box::new(Oracle { plan, stop: stop.clone(), rounds })
}

impl Judge for Oracle<'_> {
    fn batch(
        &mut self,
        batches: u64,
        parameters: &dyn Fn() -> BatchParameters,
    ) -> Option<Improvement> {
        let ends_round = batches.is_multiple_of(self.plan.settings.steps_in_round());
        let rounds = self.rounds.as_mut().filter(|_| ends_round)?;
        let BatchParameters { present, previous } = parameters();
        rounds.round(&present, &previous)
    }

    fn rounds(&self) -> Option<Rounds> {
        self.rounds.as_ref().map(|rounds| rounds.rounds)
    }

    fn resume(&mut self, found: Rounds, began: &Parameters<f64>) {
        let rounds = OfRounds::new(self.plan, began, &self.stop);
        self.rounds = rounds.map(|rounds| rounds.after(found));
    }

    fn classifiers(
        &self,
        parameters: &Parameters<f64>,
        trajectories: usize,
    ) -> Result<Vec<(String, Calibration)>, EngineError> {
        calibrate(self.plan, parameters, trajectories, &self.stop)
    }
}
