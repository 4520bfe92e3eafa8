//! What the rounds of a stable iteration are worth, by the oracle.
//!
//! With `G = E_q[ΣΛ]`: where `L(π_j, π_{j−1}) ≥ G(π_{j−1})`, which the maximum of round `j`
//! satisfies, `G(π_j) ≥ G(π_{j−1}) + KL(π_j ‖ π_{j−1})`. A round that is estimated by samples may
//! break this; by how much is its shortfall.

use crate::engine::numeric::stop::Stop;
use crate::engine::run::verdict::{Improvement, Rounds};
use crate::engine::tables::kernels::kernel_tables;
use crate::engine::tape::parameters::Parameters;
use crate::exact::Evaluator;
use crate::plan::{Plan, Term};

/// Differences of nats below this are rounding.
const ROUNDING: f64 = 1e-9;

/// Judges one round after the other.
pub(in crate::engine) struct OfRounds<'a> {
    plan: &'a Plan,
    evaluator: Evaluator<'a>,
    /// `G(π_{j−1})`
    before: f64,
    pub rounds: Rounds,
}

impl<'a> OfRounds<'a> {
    /// `start` is the policy that the next round begins with. None where no prior is a policy of
    /// the last round, where the bound itself moves by a schedule, or where the model is not
    /// finite.
    pub fn new(plan: &'a Plan, start: &Parameters<f64>, stop: &Stop) -> Option<OfRounds<'a>> {
        if !plan.terms.iter().any(Term::reads_previous) || !plan.schedules.is_empty() {
            return None;
        }
        let evaluator = Evaluator::new(&plan.model, plan.derivation.bound).asking(stop.asker());
        let mut judge = OfRounds { plan, evaluator, before: 0.0, rounds: Rounds::default() };
        judge.before = judge.evaluate(start, start)?.expected_log_likelihood;
        Some(judge)
    }

    /// The same judge after other rounds.
    pub fn after(self, rounds: Rounds) -> OfRounds<'a> {
        OfRounds { rounds, ..self }
    }

    /// Judges the round that moved `previous` to `present`; says nothing if the run gives up
    /// meanwhile.
    pub fn round(
        &mut self,
        present: &Parameters<f64>,
        previous: &Parameters<f64>,
    ) -> Option<Improvement> {
        let evaluation = self.evaluate(present, previous)?;
        let gain = evaluation.expected_log_likelihood - self.before;
        let shortfall = (evaluation.kl - gain).max(0.0);
        self.before = evaluation.expected_log_likelihood;
        self.rounds.done += 1;
        self.rounds.fell += u64::from(gain < -ROUNDING);
        self.rounds.largest_shortfall =
            self.rounds.largest_shortfall.max(if shortfall > ROUNDING { shortfall } else { 0.0 });
        Some(Improvement {
            expected_return: evaluation.expected_return,
            gain,
            kl: evaluation.kl,
            shortfall,
        })
    }

    fn evaluate(
        &self,
        present: &Parameters<f64>,
        previous: &Parameters<f64>,
    ) -> Option<crate::exact::Evaluation> {
        let tables =
            kernel_tables(&self.plan.model, self.plan.derivation.bound, present, previous).ok()?;
        self.evaluator.evaluate(&tables).ok()
    }
}
