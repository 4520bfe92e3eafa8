//! What the rows of a step give to the bound's terms, added up.

use super::{Keep, Rollout, Work};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::{CompiledProgram, Credit, Source};
use crate::engine::sample::fault::{self, Arose};
use std::ops::Range;

impl<E: Number> Rollout<E> {
    /// Adds up what the rows of a step gave.
    pub(in crate::engine) fn collect(
        &mut self,
        program: &CompiledProgram<E>,
        t: usize,
        rows: Range<usize>,
        keep: Keep,
    ) {
        let (first, live) = (rows.start, rows.len());
        self.episodes.here.resize(rows.end, <E as Float>::ZERO);
        self.episodes.before.resize(rows.end, <E as Float>::ZERO);
        let last = program.draws.len() - 1;
        let Work { origin, entropy, values: scratch, .. } = &mut self.work;
        let (origin, entropy) = (&origin[..live], &entropy[..live]);
        self.episodes.totals.entropy += entropy.iter().map(|h| h.as_f64()).sum::<f64>();
        let mut broken = None;
        for (k, term) in
            program.terms.iter().enumerate().filter(|(_, term)| (term.from..=term.to).contains(&t))
        {
            let values = match term.source {
                Source::Exponent(at) => &self.exponents.output(at)[..live],
                Source::LogRatio { draw, log_prior } => {
                    let (family, drawn) = (&program.draws[draw].family, &self.episodes.draws[draw]);
                    let log_q = drawn.log_prob[first..]
                        .iter()
                        .enumerate()
                        .map(|(k, &l)| l + family.log_squash(&drawn.draws, first + k));
                    let values = scratch
                        .iter_mut()
                        .zip(&self.exponents.output(log_prior)[..live])
                        .zip(log_q);
                    values.for_each(|((value, &log_p), log_q)| *value = log_p - log_q);
                    &scratch[..live]
                }
                Source::Entropy(draw) if draw == last => entropy,
                Source::Entropy(draw) => {
                    let family = &program.draws[draw].family;
                    let numbers = &self.episodes.draws[draw].numbers[first * family.numbers()..];
                    family.entropies(numbers, &mut scratch[..live]);
                    &scratch[..live]
                }
                // evaluated when the trajectories are whole, or of no trajectory
                Source::Whole | Source::Density | Source::Ratio | Source::WeightDivergence => {
                    continue;
                }
                Source::Divergence(draw) => &self.episodes.draws[draw].divergence[..live],
                Source::LogCount(value) => {
                    scratch[..live].fill(Float::of(value));
                    &scratch[..live]
                }
            };
            let sign: E = Float::of(term.sign);
            let keeps_ledger = program.keeps_ledger();
            if keeps_ledger && keep == Keep::Rows {
                let absorbed = self.absorbed[k];
                for (&value, &trajectory) in values.iter().zip(origin) {
                    self.episodes.ledger.add(k, t, trajectory, sign * (value - absorbed));
                }
            }
            let credit = match term.credit {
                Credit::Here | Credit::Before if keeps_ledger => None,
                Credit::Here => Some(&mut self.episodes.here[first..]),
                Credit::Before => Some(&mut self.episodes.before[first..]),
                Credit::Nowhere => None,
            };
            if let Some(credit) = credit {
                let absorbed = self.absorbed[k];
                credit
                    .iter_mut()
                    .zip(values)
                    .for_each(|(credit, &value)| *credit += sign * (value - absorbed));
            }
            let mut total = 0.0;
            for (&value, &trajectory) in values.iter().zip(origin) {
                let value = term.sign * value.as_f64();
                total += value;
                self.episodes.totals.bound[trajectory as usize] += value;
            }
            self.episodes.totals.terms[k] += total;
            if !total.is_finite() && broken.is_none() {
                broken = fault::of_term(program.plan, k, values);
            }
        }
        for reward in 0..program.world.rewards() {
            for (&value, &trajectory) in
                self.batch.reward(&program.world, reward).iter().zip(origin)
            {
                self.episodes.totals.returns[trajectory as usize] += value.as_f64();
                if let Some(own) = self.episodes.totals.rewards.get_mut(reward) {
                    own[trajectory as usize] += value.as_f64();
                }
            }
        }
        if let Some(extremes) = &mut self.extremes {
            extremes.resize(program.world.rewards(), (f64::INFINITY, f64::NEG_INFINITY));
            for (reward, (least, greatest)) in extremes.iter_mut().enumerate() {
                let values = &self.batch.reward(&program.world, reward)[..live];
                let (low, high) = kernels::extremes(values);
                (*least, *greatest) = (least.min(low.as_f64()), greatest.max(high.as_f64()));
            }
        }
        for &trajectory in origin {
            self.episodes.totals.lengths[trajectory as usize] = t as u32;
        }
        self.is_broken(broken, Arose::World, t);
    }
}
