//! The gradient of a bound from the rows of one shard:
//!
//! `∇L = E_q[ Σ_t ∇log π(a_t|·) · A_t + Σ_t ∇H_t − … ]`, the score-function part with credit and baseline (see [`super::credit`]), and
//! the pathwise part of entropies and divergences in closed form. What optimisers get is the gradient of `−L`.

use super::credit::{self, Carry, Discounts, Given, StepSums};
use super::expressions::Number;
use super::float::Float;
use super::parameters::Parameters;
use super::rollout::Rollout;
use super::stage::{Source, Stage};
use super::tensor::Tape;
use crate::plan::Baseline;

/// What a shard gives to a gradient step.
pub(super) struct Objective<E> {
    /// The gradient of `−L`, flat.
    pub gradient: Vec<E>,
    /// The gradient of the baseline's squared error, flat.
    pub fit: Vec<E>,
    /// Sum over rows of the baseline's squared error.
    pub error: f64,
    /// Sums of the credit at each `t`, of this shard.
    pub sums: StepSums,
    credit: Vec<E>,
    advantage: Vec<E>,
    target: Vec<E>,
    /// Per trajectory, what a step after its end gives.
    rests: Vec<f64>,
    carry: Carry<E>,
}

impl<E: Number> Objective<E> {
    pub fn new(parameters: &Parameters<E>) -> Objective<E> {
        Objective {
            gradient: parameters.zero_gradient(),
            fit: parameters.zero_gradient(),
            error: 0.0,
            sums: StepSums::default(),
            credit: Vec::new(),
            advantage: Vec::new(),
            target: Vec::new(),
            rests: Vec::new(),
            carry: Carry::default(),
        }
    }

    /// The credit of each row; after it the advantage, except with a leave-one-out baseline, which needs the sums of all shards.
    pub fn assess(&mut self, stage: &Stage<E>, rollout: &Rollout<E>) {
        let rows = rollout.rows.len();
        for list in [&mut self.credit, &mut self.advantage, &mut self.target] {
            list.resize(rows, <E as Float>::ZERO);
        }
        let settings = &stage.plan.settings;
        let given = Given { here: &rollout.here, before: &rollout.before, after: &rollout.after };
        let discount = Float::of(settings.discount);
        match &settings.baseline {
            Baseline::None => credit::to_go(&rollout.rows, &given, discount, &mut self.carry, &mut self.advantage),
            Baseline::LeaveOneOut => {
                credit::to_go(&rollout.rows, &given, discount, &mut self.carry, &mut self.credit);
                self.sums.clear(stage.horizon);
                self.sums.add_rows(&rollout.rows, &self.credit);
                credit::rests(&rollout.after, &rollout.totals.lengths, stage.horizon, &mut self.rests);
                self.sums.add_rests(&self.rests);
            }
            Baseline::Network { .. } => {
                let network = stage.baseline.as_ref().map(|wired| &wired.network);
                let values = network.map_or(&[][..], |network| rollout.baseline.output(network, 0, 0..rows));
                let discounts = Discounts { discount, lambda: Float::of(settings.lambda) };
                let Objective { carry, advantage, target, .. } = self;
                credit::advantages(&rollout.rows, &given, values, discounts, carry, advantage, target);
            }
        }
    }

    /// The gradients, divided by `trajectories` (of the whole batch); `all` are the sums of credit over all shards.
    pub fn differentiate(
        &mut self,
        stage: &Stage<E>,
        parameters: &Parameters<E>,
        rollout: &Rollout<E>,
        all: &StepSums,
        trajectories: usize,
    ) {
        self.gradient.fill(<E as Float>::ZERO);
        self.fit.fill(<E as Float>::ZERO);
        self.error = 0.0;
        if rollout.rows.is_empty() {
            return;
        }
        if stage.plan.settings.baseline == Baseline::LeaveOneOut {
            credit::leave_one_out(&rollout.rows, &self.credit, &self.rests, all, &mut self.advantage);
        }
        self.policy_gradient(stage, parameters, rollout, 1.0 / trajectories as f64);
        self.baseline_gradient(stage, parameters, rollout, 1.0 / trajectories as f64);
    }

    fn policy_gradient(&mut self, stage: &Stage<E>, parameters: &Parameters<E>, rollout: &Rollout<E>, share: f64) {
        let rows = 0..rollout.rows.len();
        let mut tape = Tape::default();
        let logits = tape.network(&stage.policy.network, parameters, &rollout.policy, rows.clone()).remove(0);
        let (log_prob, entropy) = tape.categorical(&logits, rollout.drawn.as_slice().into());
        let down: E = Float::of(-share);
        let mut weighted = vec![(log_prob, self.advantage.iter().map(|&advantage| down * advantage).collect())];
        for term in stage.terms.iter().filter(|term| term.pathwise) {
            let weights = weights(term.sign, (term.from, term.to), &rollout.rows.starts, share);
            match term.source {
                Source::Entropy => weighted.push((entropy.clone(), weights)),
                Source::Divergence => {
                    let other = match &stage.prior {
                        Some(prior) => tape.network(&prior.network, parameters, &rollout.prior, rows.clone()).remove(0),
                        None => tape.constant(rollout.log_prior.clone(), stage.actions),
                    };
                    weighted.push((tape.divergence(&logits, &other), weights));
                }
                // no parameter enters an exponent or a count
                Source::Exponent(_) | Source::LogCount(_) => {}
            }
        }
        tape.backward(weighted, parameters, &mut self.gradient);
    }

    fn baseline_gradient(&mut self, stage: &Stage<E>, parameters: &Parameters<E>, rollout: &Rollout<E>, share: f64) {
        let Some(wired) = &stage.baseline else { return };
        let rows = rollout.rows.len();
        let mut tape = Tape::default();
        let value = tape.network(&wired.network, parameters, &rollout.baseline, 0..rows).remove(0);
        let squares = tape.squared_error(&value, &self.target);
        let sum = tape.backward(vec![(squares, vec![Float::of(share); rows])], parameters, &mut self.fit);
        self.error = 2.0 * sum / share;
    }
}

/// The weight of each row in `−sign · Σ_{t = from..to} / N`.
fn weights<E: Number>(sign: f64, (from, to): (usize, usize), starts: &[usize], share: f64) -> Vec<E> {
    let mut weights = Vec::with_capacity(starts[starts.len() - 1]);
    for (t, bounds) in starts.windows(2).enumerate() {
        let weight = if (from..=to).contains(&(t + 1)) { -sign * share } else { 0.0 };
        weights.resize(bounds[1], Float::of(weight));
    }
    weights
}
