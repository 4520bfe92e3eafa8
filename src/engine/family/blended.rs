//! Mixtures of parts of whatever families over the same components: the density is the weighted sum
//! of those of the parts. Weights count relative to their sum.
//!
//! A draw is a value, also of a squashed part. A row of numbers has the logarithms of all weights,
//! then the numbers of the first part, and so on; so it is with the roots, of which each weight is
//! one. A part without weight is not looked at.

use super::choice::Choice;
use super::record::{Blend, Share};
use super::{Draws, Family};
use crate::engine::heads::categorical;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use crate::engine::numeric::number::Number;
use crate::engine::tape::tensor::{Matrix, Tape, shape_of, values_of};
use crate::plan::Head;
use rand::Rng;
use std::ops::Range;

impl Blend<Family> {
    pub fn new(parts: &[Head], width: usize) -> Blend<Family> {
        let (mut numbers, mut roots) = (parts.len(), parts.len());
        let all = parts.iter().map(|head| {
            let family = Family::of(head);
            let (first, root) = (numbers, roots);
            (numbers, roots) = (first + family.numbers(), root + head.layers().len());
            (family, first..numbers, root..roots)
        });
        let all: Vec<_> = all.collect();
        Blend { parts: all.into(), width, numbers }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn numbers(&self) -> usize {
        self.numbers
    }

    /// The family of each part, and its roots.
    pub fn parts(&self) -> impl Iterator<Item = (&Family, Range<usize>)> {
        self.parts.iter().map(|(family, _, roots)| (family, roots.clone()))
    }

    /// Whether a row of numbers describes a distribution, but for parts without weight.
    pub fn describes<E: Number>(&self, row: &[E]) -> bool {
        let weights = &row[..self.parts.len()];
        kernels::none_nan(weights)
            && self.parts.iter().zip(weights).all(|((family, numbers, _), &weight)| {
                weight == <E as Float>::NEG_INFINITY || family.describes(&row[numbers.clone()])
            })
    }

    pub fn describe<'a, E: Number>(&self, root: &dyn Fn(usize) -> &'a [E], out: &mut [E]) {
        let (count, parts) = (out.len() / self.numbers, self.parts.len());
        for (row, out) in out.chunks_exact_mut(self.numbers).enumerate() {
            let mut total = <E as Float>::ZERO;
            (0..parts).for_each(|part| total += root(part)[row]);
            for (part, out) in out[..parts].iter_mut().enumerate() {
                *out = Float::ln(root(part)[row] / total);
            }
        }
        let mut rows = Vec::new();
        for (family, numbers, roots) in self.parts.iter() {
            rows.resize(count * numbers.len(), <E as Float>::ZERO);
            let of_part: &dyn Fn(usize) -> &'a [E] = &|at| root(roots.start + at);
            family.describe(of_part, &[], &mut rows);
            let rows = rows.chunks_exact(numbers.len());
            for (out, row) in out.chunks_exact_mut(self.numbers).zip(rows) {
                out[numbers.clone()].copy_from_slice(row);
            }
        }
    }

    /// Appends a draw of each row; the greedy one is that of the heaviest part.
    pub fn draw<E: Number>(
        &self,
        rows: &[E],
        choice: Choice,
        random: &mut dyn Rng,
        uniforms: &mut Vec<E>,
        into: &mut Vec<E>,
    ) {
        let mut columns = Vec::new();
        for row in rows.chunks_exact(self.numbers) {
            let weights = &row[..self.parts.len()];
            let mut part = [0];
            match choice {
                Choice::Sampled => {
                    let uniform = [E::unit(random.next_u64())];
                    categorical::sample(weights, weights.len(), &uniform, &mut part);
                }
                Choice::Greedy => categorical::greedy(weights, weights.len(), &mut part),
            }
            let (family, numbers, _) = &self.parts[part[0] as usize];
            let mut drawn = Draws::default();
            let random = &mut &mut *random;
            family.draw(&row[numbers.clone()], choice, random, uniforms, &mut drawn);
            columns.clear();
            family.actions(&drawn, 0..1, &mut columns);
            into.extend_from_slice(&columns);
        }
    }

    /// A part's view of values.
    fn drawn<E: Number>(&self, family: &Family, values: &[E]) -> Draws<E> {
        let mut drawn = Draws { numbers: Vec::new(), reals: values.to_vec() };
        family.unsquash(&mut drawn.reals);
        drawn
    }

    /// The log-density of each part, one list of rows after the other.
    fn log_parts<E: Number>(&self, rows: &[E], values: &[E]) -> Vec<Vec<E>> {
        let count = rows.len() / self.numbers;
        let of = |(family, numbers, _): &Share<Family>| {
            let own = rows.chunks_exact(self.numbers).flat_map(|row| &row[numbers.clone()]);
            let own: Vec<E> = own.copied().collect();
            let drawn = self.drawn(family, values);
            let mut out = vec![<E as Float>::ZERO; count];
            family.log_probs(&own, &drawn, 0..count, &mut out);
            out.iter_mut().enumerate().for_each(|(at, out)| *out += family.log_squash(&drawn, at));
            out
        };
        self.parts.iter().map(of).collect()
    }

    pub fn log_probs<E: Number>(&self, rows: &[E], values: &[E], out: &mut [E]) {
        let parts = self.log_parts(rows, values);
        for (at, (row, out)) in rows.chunks_exact(self.numbers).zip(out).enumerate() {
            *out = log_sum(row[..parts.len()].iter().zip(&parts).map(|(&w, l)| (w, l[at])));
        }
    }

    /// Of one draw, part by part: the slope of its log-density in the weight, and in the part's
    /// own log-density.
    pub fn slopes<'a, E: Number>(
        &self,
        root: &dyn Fn(usize) -> &'a [E],
        values: &[E],
    ) -> Vec<(E, E)> {
        let mut row = vec![<E as Float>::ZERO; self.numbers];
        self.describe(root, &mut row);
        let logs = self.log_parts(&row, values);
        let mut total = <E as Float>::ZERO;
        (0..logs.len()).for_each(|part| total += root(part)[0]);
        let sum = log_sum(row.iter().zip(&logs).map(|(&weight, log)| (weight, log[0])));
        let of_part = |(&weight, log): (&E, &Vec<E>)| {
            if weight == <E as Float>::NEG_INFINITY {
                return (<E as Float>::ZERO, <E as Float>::ZERO);
            }
            let ratio = Float::exp(log[0] - sum);
            ((ratio - <E as Float>::of(1.0)) / total, Float::exp(weight) * ratio)
        };
        row.iter().zip(&logs).map(of_part).collect()
    }

    /// Of each part, its share of the density at values, by row.
    pub fn shares<E: Number>(&self, roots: &[Vec<E>], values: &[E]) -> Vec<Vec<E>> {
        let count = values.len() / self.width;
        let mut rows = vec![<E as Float>::ZERO; count * self.numbers];
        self.describe(&|root| &roots[root][..], &mut rows);
        let logs = self.log_parts(&rows, values);
        let mut shares = vec![Vec::with_capacity(count); logs.len()];
        for (at, row) in rows.chunks_exact(self.numbers).enumerate() {
            let sum = log_sum(row.iter().zip(&logs).map(|(&weight, log)| (weight, log[at])));
            for ((shares, &weight), log) in shares.iter_mut().zip(row).zip(&logs) {
                shares.push(match weight == <E as Float>::NEG_INFINITY {
                    true => <E as Float>::ZERO,
                    false => Float::exp(weight + log[at] - sum),
                });
            }
        }
        shares
    }

    /// `∂ log p(x) / ∂x` of values, row-major: those of the parts, each for its share.
    pub fn slopes_in_draw<E: Number>(&self, roots: &[Vec<E>], values: &[E]) -> Vec<E> {
        let shares = self.shares(roots, values);
        let mut slopes = vec![<E as Float>::ZERO; values.len()];
        for ((family, _, own), shares) in self.parts.iter().zip(&shares) {
            let drawn = self.drawn(family, values);
            let own = family.slopes_in_draw(&roots[own.clone()], &drawn.reals);
            let rows = slopes.chunks_exact_mut(self.width).zip(own.chunks_exact(self.width));
            for ((to, own), &share) in rows.zip(shares) {
                // a part that has none of it may have no slope there
                if share != <E as Float>::ZERO {
                    to.iter_mut().zip(own).for_each(|(to, &own)| *to += share * own);
                }
            }
        }
        slopes
    }

    /// The values as each part makes them of its own noise.
    pub fn follow<E: Number>(
        &self,
        tape: &mut Tape<E>,
        roots: &[Matrix<E>],
        values: &[E],
    ) -> Vec<Matrix<E>> {
        let of = |(family, _, own): &Share<Family>| {
            let drawn = self.drawn(family, values);
            family.follow(tape, &roots[own.clone()], &drawn.reals).value
        };
        self.parts.iter().map(of).collect()
    }

    pub fn log_density<E: Number>(
        &self,
        tape: &mut Tape<E>,
        roots: &[Matrix<E>],
        values: &[E],
    ) -> Matrix<E> {
        let count = values.len() / self.width;
        let mut log_parts = Vec::with_capacity(self.parts.len());
        let mut offsets = Vec::with_capacity(self.parts.len());
        for (family, _, own) in self.parts.iter() {
            let drawn = self.drawn(family, values);
            log_parts.push(family.log_density(tape, &roots[own.clone()], &[], &drawn));
            offsets.push((0..count).map(|row| family.log_squash(&drawn, row)).collect::<Vec<E>>());
        }
        let weights = roots[..self.parts.len()].to_vec();
        tape.log_mixture(weights, log_parts, offsets)
    }
}

/// `log Σ e^(w + l)`; a part without weight is left out.
fn log_sum<E: Number>(parts: impl Iterator<Item = (E, E)> + Clone) -> E {
    let none = <E as Float>::NEG_INFINITY;
    let joint = parts.filter(|(weight, _)| *weight != none).map(|(weight, log)| weight + log);
    let mut greatest = none;
    joint.clone().for_each(|joint| greatest = Float::max(greatest, joint));
    if greatest == none {
        return greatest;
    }
    let mut sum = <E as Float>::ZERO;
    joint.for_each(|joint| sum += Float::exp(joint - greatest));
    greatest + Float::ln(sum)
}

impl<E: Number> Tape<E> {
    /// The values `x`, whose gradient goes on to each of the parts for its share of a row.
    pub(super) fn shared(
        &mut self,
        parts: Vec<Matrix<E>>,
        shares: Vec<Vec<E>>,
        x: &[E],
    ) -> Matrix<E> {
        let width = shape_of(&parts[0]).1;
        let shared = self.constant(x.to_vec(), width);
        let output = shared.clone();
        self.record(move |flow| {
            let d = flow.take(&output);
            for (part, shares) in parts.iter().zip(&shares) {
                let rows = flow.of(part).chunks_exact_mut(width).zip(d.chunks_exact(width));
                for ((to, d), &share) in rows.zip(shares) {
                    to.iter_mut().zip(d).for_each(|(to, &d)| *to += share * d);
                }
            }
        });
        shared
    }

    /// `log Σ_k w_k e^(l_k + o_k) − log Σ w`, one number a row. With `r_k` a part's share, its
    /// log-density has the gradient `r_k`, its weight `r_k / w_k − 1 / Σ w`.
    fn log_mixture(
        &mut self,
        weights: Vec<Matrix<E>>,
        log_parts: Vec<Matrix<E>>,
        offsets: Vec<Vec<E>>,
    ) -> Matrix<E> {
        let of_weights: Vec<Vec<E>> = weights.iter().map(values_of).collect();
        let mut logs: Vec<Vec<E>> = log_parts.iter().map(values_of).collect();
        logs.iter_mut().zip(&offsets).for_each(|(logs, offsets)| kernels::add(logs, offsets));
        let count = logs[0].len();
        let mut totals = vec![<E as Float>::ZERO; count];
        of_weights.iter().for_each(|weights| kernels::add(&mut totals, weights));
        let sums = (0..count).map(|row| {
            let parts = of_weights.iter().zip(&logs);
            log_sum(parts.map(|(weights, logs)| (Float::ln(weights[row]), logs[row])))
        });
        let sums: Vec<E> = sums.collect();
        let out = sums.iter().zip(&totals).map(|(&sum, &total)| sum - Float::ln(total)).collect();
        let out = self.constant(out, 1);
        let output = out.clone();
        self.record(move |flow| {
            let gradient = flow.take(&output);
            for (part, (own, logs)) in of_weights.iter().zip(&logs).enumerate() {
                let mut of_weight = vec![<E as Float>::ZERO; count];
                let mut of_log = vec![<E as Float>::ZERO; count];
                for row in 0..count {
                    let weight = own[row];
                    if weight == <E as Float>::ZERO || gradient[row] == <E as Float>::ZERO {
                        continue;
                    }
                    let ratio = Float::exp(logs[row] - sums[row]);
                    of_log[row] = gradient[row] * weight * ratio;
                    of_weight[row] = gradient[row] * (ratio - <E as Float>::of(1.0) / totals[row]);
                }
                kernels::add(flow.of(&log_parts[part]), &of_log);
                kernels::add(flow.of(&weights[part]), &of_weight);
            }
        });
        out
    }
}
