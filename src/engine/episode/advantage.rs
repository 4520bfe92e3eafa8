//! What the draws of one kind are worth: the credit of each row, less what it is compared with.

use super::credit::{self, Carry, Discounts, Given, Others, Rows, StepSums};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::plan::critic::Fading;
use crate::plan::{Baseline, Settings};

/// Of one shard; each list has an entry for each row.
pub(in crate::engine) struct Advantages<E> {
    pub advantage: Vec<E>,
    /// What a learned value is to be fitted to, in nats.
    pub target: Vec<E>,
    /// Sums of the credit at each `t`.
    pub sums: StepSums,
    pub credit: Vec<E>,
    /// Per trajectory, what a step after its end gives.
    rests: Vec<f64>,
    carry: Carry<E>,
    /// Its draws are compared with those of the other trajectories.
    compared: bool,
}

impl<E: Number> Advantages<E> {
    pub fn new() -> Advantages<E> {
        let carry = Carry::default();
        Advantages {
            advantage: vec![],
            target: vec![],
            sums: StepSums::default(),
            credit: vec![],
            rests: vec![],
            carry,
            compared: false,
        }
    }

    /// No credit: what draws is not scored.
    pub fn clear(&mut self, rows: usize, horizon: usize) {
        for list in [&mut self.advantage, &mut self.target, &mut self.credit] {
            list.clear();
            list.resize(rows, <E as Float>::ZERO);
        }
        self.sums.clear(horizon);
        self.compared = false;
    }

    /// The credit of each row; after it the advantage, except with a leave-one-out baseline, which
    /// needs the sums of all shards. `values` are those of a learned baseline, which `serves` as
    /// the draws' own, or which the draws' values depend on: then it ends their credit alone, and
    /// they are compared with one another.
    pub fn assess(
        &mut self,
        (settings, serves): (&Settings, bool),
        rows: &Rows,
        given: &Given<E>,
        (lengths, horizon): (&[u32], usize),
        values: &[E],
    ) {
        let Advantages { advantage, target, sums, credit, rests, carry, .. } = self;
        for list in [&mut *advantage, &mut *target, &mut *credit] {
            list.resize(rows.len(), <E as Float>::ZERO);
        }
        let discount = Float::of(settings.discount);
        match &settings.baseline {
            Baseline::None => credit::to_go(rows, given, discount, carry, advantage),
            Baseline::LeaveOneOut => {
                credit::to_go(rows, given, discount, carry, credit);
                sums.clear(horizon);
                sums.add_rows(rows, credit);
                credit::rests(given.after, lengths, horizon, rests);
                sums.add_rests(rows, rests);
            }
            Baseline::Network { .. } => {
                let fading = settings
                    .critics
                    .first()
                    .map_or(Fading::Never, |chosen| chosen.fading(rows.starts.len()));
                let lambda = match fading {
                    Fading::Geometric(ratio) => Float::of(ratio),
                    Fading::Never | Fading::First(_) | Fading::Listed(_) => Float::of(1.0),
                };
                let discounts = Discounts { discount, lambda };
                credit::advantages(rows, given, values, discounts, carry, advantage, target);
                let weights = match fading {
                    Fading::Never | Fading::Geometric(_) => None,
                    Fading::First(steps) => Some(vec![1.0; steps.min(rows.starts.len())]),
                    Fading::Listed(weights) => Some(weights),
                };
                if let Some(weights) = weights {
                    credit::fade(rows, values, (discount, &weights), carry, advantage, target);
                }
            }
        }
        self.compared = settings.baseline == Baseline::LeaveOneOut;
        if matches!(settings.baseline, Baseline::Network { .. }) && !serves {
            self.compared = true;
            let Advantages { target, sums, credit, rests, .. } = self;
            credit.copy_from_slice(target);
            sums.clear(horizon);
            sums.add_rows(rows, credit);
            credit::rests(given.after, lengths, horizon, rests);
            sums.add_rests(rows, rests);
        }
    }

    /// As [`Advantages::assess`], with the credit that stands in `credit` already, that of each row
    /// to the end.
    pub fn assess_credit(
        &mut self,
        settings: &Settings,
        rows: &Rows,
        after: &[E],
        (lengths, horizon): (&[u32], usize),
        values: &[E],
    ) {
        self.compared = settings.baseline == Baseline::LeaveOneOut;
        let Advantages { advantage, target, sums, credit, rests, .. } = self;
        advantage.clear();
        target.clear();
        match &settings.baseline {
            Baseline::None => advantage.extend_from_slice(credit),
            Baseline::LeaveOneOut => {
                advantage.resize(rows.len(), <E as Float>::ZERO);
                sums.clear(horizon);
                sums.add_rows(rows, credit);
                credit::rests(after, lengths, horizon, rests);
                sums.add_rests(rows, rests);
            }
            Baseline::Network { .. } => {
                advantage.extend(credit.iter().zip(values).map(|(&credit, &value)| credit - value))
            }
        }
        target.extend_from_slice(credit);
    }

    /// The advantage of each row where it needs the sums of credit over all shards.
    pub fn compare(&mut self, rows: &Rows, all: (&StepSums, Others)) {
        if self.compared {
            credit::leave_one_out(rows, &self.credit, &self.rests, all, &mut self.advantage);
        }
    }
}
