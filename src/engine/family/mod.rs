//! What is drawn, of actions, options and states: draws, densities, entropies and divergences of a
//! batch of rows.
//!
//! A row of *numbers* describes one distribution: log-probabilities of a categorical, a coin and
//! what may stay where it was; means and then standard deviations of a normal, those of each part
//! of a mixture behind the logarithms of its weights; the arguments of any other family, one after
//! the other. A squashed normal is drawn, compared and differentiated before `tanh`; only its
//! actions and its density know of it.

mod blended;
pub(in crate::engine) mod choice;
mod formulas;
mod parts;
pub(in crate::engine) mod path;
pub(in crate::engine) mod real;
pub(in crate::engine) mod record;

use self::choice::Choice;
use self::real::Real;
use self::record::{Blend, Record};
use crate::engine::heads::{categorical, mixture, normal, sticky};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::tape::tensor::{Matrix, Tape};
use crate::family::Squash;
use crate::plan::Head;
use crate::world::Actions;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::ops::Range;

#[derive(Clone, Debug)]
pub(in crate::engine) enum Family {
    Categorical {
        outcomes: usize,
    },
    /// A categorical of two outcomes, from one logit: whether an episode ends.
    Bernoulli {
        outcomes: usize,
    },
    /// Stays where it was with some probability; its numbers are those of a categorical.
    Sticky {
        outcomes: usize,
    },
    Normal {
        width: usize,
        /// Lowest and highest action of each component, where it is squashed.
        bounds: Option<Vec<(f64, f64)>>,
    },
    /// Any other family over real numbers, by its formulas.
    Real(Real),
    /// Of normals. Its entropy has no closed form.
    Mixture(mixture::Shape),
    /// Independent parts, of several families or of finite and real values.
    Record(Record<Family>),
    /// A mixture of other parts than normals. Its entropy has no closed form.
    Blend(Blend<Family>),
    /// Its numbers are the draw itself: a network has made it, from noise or without any.
    Implicit {
        width: usize,
    },
}

/// What the derivation and the plan hold.
const NO_CLOSED_FORM: &str =
    "plan: no entropy or divergence of a mixture or of what is implicit is asked for";

const WITHOUT_DENSITY: &str =
    "plan: what is implicit is drawn from, and its density is asked of nobody";

/// How near to its bounds a value may be that `tanh` has made.
const NEARLY_ONE: f64 = 1.0 - 1e-7;

/// Draws of a batch: numbers of values, or reals (before squashing), row-major. One of them is
/// empty.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Draws<E> {
    pub numbers: Vec<u32>,
    pub reals: Vec<E>,
}

impl Family {
    pub fn of(head: &Head) -> Family {
        match head {
            Head::Categorical { outcomes, .. } => Family::Categorical { outcomes: *outcomes },
            Head::Bernoulli { .. } => Family::Bernoulli { outcomes: 2 },
            Head::Sticky { outcomes, .. } => Family::Sticky { outcomes: *outcomes },
            Head::Real { family, bounds, .. } => match family.as_normal() {
                Some(Squash::Nothing) => Family::Normal { width: bounds.len(), bounds: None },
                Some(Squash::Tanh) => {
                    Family::Normal { width: bounds.len(), bounds: Some(bounds.clone()) }
                }
                None => Family::Real(Real::new(*family, bounds)),
            },
            Head::Record(fields) => Family::Record(Record::new(fields)),
            Head::Blend { parts, width, .. } => Family::Blend(Blend::new(parts, *width)),
            Head::Implicit { width, .. } => Family::Implicit { width: *width },
            Head::Mixture { weights, width, .. } => {
                Family::Mixture(mixture::Shape { parts: weights.len(), width: *width })
            }
        }
    }

    /// The same for densities at given values, which a squashed normal has by its formulas: a value
    /// is what `tanh` has made of a draw.
    pub fn at_values(head: &Head) -> Family {
        match head {
            Head::Real { family, bounds, .. } if head.is_squashed() => {
                Family::Real(Real::new(*family, bounds))
            }
            _ => Family::of(head),
        }
    }

    /// Its draws are a smooth function of noise, through which a gradient passes.
    pub fn is_smooth(&self) -> bool {
        match self {
            Family::Normal { .. } | Family::Implicit { .. } => true,
            Family::Real(real) => real.has_path(),
            Family::Record(record) => record.parts().all(|(part, _)| part.is_smooth()),
            Family::Categorical { .. }
            | Family::Bernoulli { .. }
            | Family::Sticky { .. }
            | Family::Blend(_)
            | Family::Mixture(_) => false,
        }
    }

    /// They are, given which part of a mixture draws, which is drawn before: a gradient passes
    /// through them beside the score of that.
    pub fn has_path(&self) -> bool {
        match self {
            Family::Mixture(_) => true,
            Family::Blend(blend) => blend.parts().all(|(part, _)| part.has_path()),
            Family::Record(record) => record.parts().all(|(part, _)| part.has_path()),
            Family::Normal { .. }
            | Family::Implicit { .. }
            | Family::Real(_)
            | Family::Categorical { .. }
            | Family::Bernoulli { .. }
            | Family::Sticky { .. } => self.is_smooth(),
        }
    }

    /// Whether its draws have a density.
    pub fn has_density(&self) -> bool {
        !matches!(self, Family::Implicit { .. })
    }

    /// How many values a draw has, where they are finite.
    pub fn outcomes(&self) -> Option<usize> {
        match self {
            Family::Categorical { outcomes }
            | Family::Bernoulli { outcomes }
            | Family::Sticky { outcomes } => Some(*outcomes),
            Family::Normal { .. }
            | Family::Real(_)
            | Family::Mixture(_)
            | Family::Record(_)
            | Family::Blend(_)
            | Family::Implicit { .. } => None,
        }
    }

    /// How many real numbers a draw has; 0 where its values are finite.
    pub fn width(&self) -> usize {
        match self {
            Family::Categorical { .. } | Family::Bernoulli { .. } | Family::Sticky { .. } => 0,
            Family::Normal { width, .. }
            | Family::Mixture(mixture::Shape { width, .. })
            | Family::Implicit { width } => *width,
            Family::Real(real) => real.width(),
            Family::Record(record) => record.width(),
            Family::Blend(blend) => blend.width(),
        }
    }

    /// Numbers a row.
    pub fn numbers(&self) -> usize {
        match self {
            Family::Categorical { outcomes }
            | Family::Bernoulli { outcomes }
            | Family::Sticky { outcomes } => *outcomes,
            Family::Normal { width, .. } => 2 * width,
            Family::Real(real) => real.numbers(),
            Family::Mixture(shape) => shape.numbers(),
            Family::Record(record) => record.numbers(),
            Family::Blend(blend) => blend.numbers(),
            Family::Implicit { width } => *width,
        }
    }

    /// Writes the rows of numbers from what a network computed, root by root: logits, logits and
    /// probabilities to stay at `last`, means and deviations, or the weights, means and deviations
    /// of parts.
    pub fn describe<'a, E: Number>(
        &self,
        root: impl Fn(usize) -> &'a [E],
        last: &[u32],
        out: &mut [E],
    ) {
        match self {
            Family::Sticky { outcomes } => {
                sticky::log_probabilities(
                    sticky::Rows { fresh: root(0), keep: root(1), last, outcomes: *outcomes },
                    out,
                );
            }
            Family::Categorical { outcomes } => {
                categorical::log_probabilities(root(0), *outcomes, out)
            }
            Family::Bernoulli { outcomes } => {
                for (out, &z) in out.chunks_exact_mut(*outcomes).zip(root(0)) {
                    (out[0], out[1]) = (-Float::softplus(z), -Float::softplus(-z));
                }
            }
            Family::Normal { width, .. } => {
                for (root, from) in [(root(0), 0), (root(1), *width)] {
                    for (out, root) in
                        out.chunks_exact_mut(2 * width).zip(root.chunks_exact(*width))
                    {
                        out[from..from + width].copy_from_slice(root);
                    }
                }
            }
            Family::Real(real) => real.describe(root, out),
            Family::Mixture(shape) => mixture::describe(*shape, root, out),
            Family::Record(record) => record.describe(&root, out),
            Family::Blend(blend) => blend.describe(&root, out),
            Family::Implicit { .. } => out.copy_from_slice(root(0)),
        }
    }

    /// Draws an action for each row of numbers and appends it to `draws`.
    pub fn draw<E: Number>(
        &self,
        rows: &[E],
        choice: Choice,
        random: &mut impl Rng,
        uniforms: &mut Vec<E>,
        draws: &mut Draws<E>,
    ) {
        match self {
            Family::Categorical { outcomes }
            | Family::Bernoulli { outcomes }
            | Family::Sticky { outcomes } => {
                let count = rows.len() / outcomes;
                let first = draws.numbers.len();
                draws.numbers.resize(first + count, 0);
                let drawn = &mut draws.numbers[first..];
                match choice {
                    Choice::Sampled => {
                        uniforms.clear();
                        uniforms.extend((0..count).map(|_| E::unit(random.next_u64())));
                        categorical::sample(rows, *outcomes, uniforms, drawn);
                    }
                    Choice::Greedy => categorical::greedy(rows, *outcomes, drawn),
                }
            }
            Family::Normal { width, .. } => {
                for row in rows.chunks_exact(2 * width) {
                    let (mean, sd) = row.split_at(*width);
                    for (&mean, &sd) in mean.iter().zip(sd) {
                        draws.reals.push(match choice {
                            Choice::Sampled => mean + sd * Float::of(StandardNormal.sample(random)),
                            Choice::Greedy => mean,
                        });
                    }
                }
            }
            Family::Real(real) => real.draw(rows, choice, random, &mut draws.reals),
            Family::Mixture(shape) => match choice {
                Choice::Sampled => mixture::draw(*shape, rows, random, &mut draws.reals),
                Choice::Greedy => mixture::greedy(*shape, rows, &mut draws.reals),
            },
            Family::Record(record) => {
                record.draw(rows, choice, random, uniforms, &mut draws.reals);
            }
            Family::Blend(blend) => blend.draw(rows, choice, random, uniforms, &mut draws.reals),
            Family::Implicit { .. } => draws.reals.extend_from_slice(rows),
        }
    }

    /// The actions of the draws `rows`, as the world takes them; `columns` is room for reals.
    pub fn actions<'a, E: Number>(
        &self,
        draws: &'a Draws<E>,
        rows: Range<usize>,
        columns: &'a mut Vec<E>,
    ) -> Actions<'a, E> {
        match self {
            Family::Categorical { .. } | Family::Bernoulli { .. } | Family::Sticky { .. } => {
                Actions::Numbers(&draws.numbers[rows])
            }
            Family::Real(_)
            | Family::Mixture(_)
            | Family::Blend(_)
            | Family::Implicit { .. }
            | Family::Normal { bounds: None, .. } => {
                let (count, width) = (rows.len(), self.width());
                columns.resize(count * width, <E as Float>::ZERO);
                turn(&draws.reals[rows.start * width..rows.end * width], width, columns);
                Actions::Columns { values: columns, stride: count }
            }
            Family::Record(record) => {
                let (count, width) = (rows.len(), record.width());
                columns.resize(count * width, <E as Float>::ZERO);
                record.values(&draws.reals[rows.start * width..rows.end * width], columns);
                Actions::Columns { values: columns, stride: count }
            }
            Family::Normal { width, bounds: Some(bounds) } => {
                let count = rows.len();
                columns.resize(count * width, <E as Float>::ZERO);
                turn(&draws.reals[rows.start * width..rows.end * width], *width, columns);
                for (column, &bounds) in columns.chunks_exact_mut(count.max(1)).zip(bounds) {
                    let (middle, half) = squashing::<E>(bounds);
                    column
                        .iter_mut()
                        .for_each(|action| *action = middle + half * Float::tanh(*action));
                }
                Actions::Columns { values: columns, stride: count }
            }
        }
    }

    /// `log q` of the draws `drawn` under their rows of numbers; of a squashed normal before
    /// `tanh`.
    pub fn log_probs<E: Number>(
        &self,
        rows: &[E],
        draws: &Draws<E>,
        drawn: Range<usize>,
        out: &mut [E],
    ) {
        match self {
            Family::Categorical { outcomes }
            | Family::Bernoulli { outcomes }
            | Family::Sticky { outcomes } => {
                for ((row, &action), out) in
                    rows.chunks_exact(*outcomes).zip(&draws.numbers[drawn]).zip(out)
                {
                    *out = row[action as usize];
                }
            }
            Family::Normal { width, .. } => {
                let reals = &draws.reals[drawn.start * width..drawn.end * width];
                for ((row, x), out) in
                    rows.chunks_exact(2 * width).zip(reals.chunks_exact(*width)).zip(out)
                {
                    normal::log_densities(
                        row.split_at(*width),
                        *width,
                        x,
                        std::slice::from_mut(out),
                    );
                }
            }
            Family::Real(real) => {
                let width = real.width();
                real.log_densities(rows, &draws.reals[drawn.start * width..drawn.end * width], out);
            }
            Family::Mixture(shape) => {
                mixture::log_densities(
                    *shape,
                    rows,
                    &draws.reals[drawn.start * shape.width..drawn.end * shape.width],
                    out,
                );
            }
            Family::Record(record) => {
                let width = record.width();
                let reals = &draws.reals[drawn.start * width..drawn.end * width];
                record.log_probs(rows, reals, &mut out[..drawn.len()]);
            }
            Family::Blend(blend) => {
                let width = blend.width();
                let values = &draws.reals[drawn.start * width..drawn.end * width];
                blend.log_probs(rows, values, &mut out[..drawn.len()]);
            }
            Family::Implicit { .. } => panic!("{WITHOUT_DENSITY}"),
        }
    }

    /// What squashing adds to `log q` of a draw: `−log |da/du|`, 0 where nothing is squashed.
    pub fn log_squash<E: Number>(&self, draws: &Draws<E>, row: usize) -> E {
        match self {
            Family::Categorical { .. }
            | Family::Bernoulli { .. }
            | Family::Sticky { .. }
            | Family::Normal { bounds: None, .. }
            | Family::Real(_)
            | Family::Mixture(_)
            | Family::Blend(_)
            | Family::Implicit { .. } => <E as Float>::ZERO,
            Family::Record(record) => {
                let width = record.width();
                record.log_squash(&draws.reals[row * width..(row + 1) * width])
            }
            Family::Normal { width, bounds: Some(bounds) } => {
                let mut sum = <E as Float>::ZERO;
                for (&u, &(lo, hi)) in
                    draws.reals[row * width..(row + 1) * width].iter().zip(bounds)
                {
                    sum -= normal::log_slope_of_tanh(u) + Float::of((0.5 * (hi - lo)).ln());
                }
                sum
            }
        }
    }

    /// Turns values, as the world has them, into draws: those of what is squashed are what `tanh`
    /// was taken of.
    pub fn unsquash<E: Number>(&self, reals: &mut [E]) {
        match self {
            Family::Normal { width, bounds: Some(bounds) } => {
                for row in reals.chunks_exact_mut(*width) {
                    for (x, &bounds) in row.iter_mut().zip(bounds) {
                        let (middle, half) = squashing::<f64>(bounds);
                        // a value at a bound is what rounding has made of one beside it
                        let y = (Float::as_f64(*x) - middle) / half;
                        *x = Float::of(y.clamp(-NEARLY_ONE, NEARLY_ONE).atanh());
                    }
                }
            }
            Family::Record(record) => record.unsquash(reals),
            Family::Categorical { .. }
            | Family::Bernoulli { .. }
            | Family::Sticky { .. }
            | Family::Normal { bounds: None, .. }
            | Family::Real(_)
            | Family::Mixture(_)
            | Family::Blend(_)
            | Family::Implicit { .. } => {}
        }
    }

    /// Whether its draws are squashed.
    pub fn is_squashed(&self) -> bool {
        match self {
            Family::Normal { bounds, .. } => bounds.is_some(),
            Family::Record(record) => record.parts().any(|(part, _)| part.is_squashed()),
            Family::Categorical { .. }
            | Family::Bernoulli { .. }
            | Family::Sticky { .. }
            | Family::Real(_)
            | Family::Mixture(_)
            | Family::Blend(_)
            | Family::Implicit { .. } => false,
        }
    }

    /// The entropy of every row of numbers; of a squashed normal before `tanh`.
    pub fn entropies<E: Number>(&self, rows: &[E], out: &mut [E]) {
        match self {
            Family::Categorical { outcomes }
            | Family::Bernoulli { outcomes }
            | Family::Sticky { outcomes } => categorical::entropies(rows, *outcomes, out),
            Family::Normal { width, .. } => {
                for (row, out) in rows.chunks_exact(2 * width).zip(out) {
                    normal::entropies(&row[*width..], *width, std::slice::from_mut(out));
                }
            }
            Family::Real(real) => real.entropies(rows, out),
            Family::Record(record) => record.entropies(rows, out),
            Family::Mixture(_) | Family::Blend(_) | Family::Implicit { .. } => {
                panic!("{NO_CLOSED_FORM}")
            }
        }
    }

    /// Whether its entropy has a closed form.
    pub fn has_entropy(&self) -> bool {
        match self {
            Family::Categorical { .. }
            | Family::Bernoulli { .. }
            | Family::Sticky { .. }
            | Family::Normal { .. } => true,
            Family::Real(real) => real.has_entropy(),
            Family::Record(record) => record.has_entropy(),
            Family::Mixture(_) | Family::Blend(_) | Family::Implicit { .. } => false,
        }
    }

    /// The entropy of every row, or, where it has no closed form, `−log q` of the row's draw,
    /// whose mean it is; `log_probs` are those of the draws.
    pub fn estimated_entropies<E: Number>(&self, rows: &[E], log_probs: &[E], out: &mut [E]) {
        if self.has_entropy() {
            self.entropies(rows, out);
        } else {
            out.iter_mut().zip(log_probs).for_each(|(out, &log_prob)| *out = -log_prob);
        }
    }

    /// `KL(q ‖ p)` of every pair of rows of numbers.
    pub fn divergences<E: Number>(&self, q: &[E], p: &[E], out: &mut [E]) {
        match self {
            Family::Categorical { outcomes }
            | Family::Bernoulli { outcomes }
            | Family::Sticky { outcomes } => categorical::divergence(q, p, *outcomes, out),
            Family::Normal { width, .. } => {
                for ((q, p), out) in
                    q.chunks_exact(2 * width).zip(p.chunks_exact(2 * width)).zip(out)
                {
                    normal::divergences(
                        q.split_at(*width),
                        p.split_at(*width),
                        *width,
                        std::slice::from_mut(out),
                    );
                }
            }
            Family::Real(real) => real.divergences(q, p, out),
            Family::Record(record) => record.divergences(q, p, out),
            Family::Mixture(_) | Family::Blend(_) | Family::Implicit { .. } => {
                panic!("{NO_CLOSED_FORM}")
            }
        }
    }

    /// The Fisher metric of each row of numbers applied to the tangents of what the network
    /// computed, `outputs`: `p ∘ (t − p·t)` of logits, `t / sd²` of means and `2 t / sd²` of
    /// deviations; of what may stay at `last` see [`sticky::metric`].
    pub fn metric<'a, E: Number>(
        &self,
        (rows, last): (&[E], &[u32]),
        outputs: impl Fn(usize) -> &'a [E],
        tangent: impl Fn(usize) -> &'a [E],
        out: &mut [Vec<E>],
    ) {
        match self {
            Family::Sticky { outcomes } => {
                let of =
                    sticky::Rows { fresh: outputs(0), keep: outputs(1), last, outcomes: *outcomes };
                sticky::metric(of, rows, (tangent(0), tangent(1)), out);
            }
            Family::Bernoulli { outcomes } => {
                out[0].clear();
                out[0].extend(
                    rows.chunks_exact(*outcomes)
                        .zip(tangent(0))
                        .map(|(log_p, &t)| Float::exp(log_p[0]) * Float::exp(log_p[1]) * t),
                );
            }
            Family::Categorical { outcomes } => {
                out[0].clear();
                for (log_p, t) in
                    rows.chunks_exact(*outcomes).zip(tangent(0).chunks_exact(*outcomes))
                {
                    let mut mean = <E as Float>::ZERO;
                    log_p.iter().zip(t).for_each(|(&l, &t)| mean += Float::exp(l) * t);
                    out[0].extend(log_p.iter().zip(t).map(|(&l, &t)| Float::exp(l) * (t - mean)));
                }
            }
            Family::Normal { width, .. } => {
                for (root, factor) in [(0, 1.0), (1, 2.0)] {
                    out[root].clear();
                    for (row, t) in
                        rows.chunks_exact(2 * width).zip(tangent(root).chunks_exact(*width))
                    {
                        out[root].extend(
                            row[*width..]
                                .iter()
                                .zip(t)
                                .map(|(&sd, &t)| <E as Float>::of(factor) * t / (sd * sd)),
                        );
                    }
                }
            }
            Family::Real(real) => real.metric(rows, tangent, out),
            Family::Record(record) => record.metric(rows, &outputs, &tangent, out),
            Family::Mixture(_) | Family::Blend(_) | Family::Implicit { .. } => {
                panic!("{NO_CLOSED_FORM}")
            }
        }
    }

    /// `log q` of the draws and the entropies, on the tape; `roots` are what a network computed.
    pub fn score<E: Number>(
        &self,
        tape: &mut Tape<E>,
        roots: &[Matrix<E>],
        last: &[u32],
        draws: &Draws<E>,
    ) -> (Matrix<E>, Matrix<E>) {
        match self {
            Family::Sticky { .. } => {
                let (log_prob, entropy) = tape.sticky(
                    (&roots[0], &roots[1]),
                    last.into(),
                    draws.numbers.as_slice().into(),
                    true,
                );
                (log_prob, entropy.expect("family: an entropy that is wanted is computed"))
            }
            Family::Bernoulli { .. } => tape.bernoulli(&roots[0], draws.numbers.as_slice().into()),
            Family::Categorical { .. } => {
                tape.categorical(&roots[0], draws.numbers.as_slice().into())
            }
            Family::Normal { .. } => tape.normal((&roots[0], &roots[1]), draws.reals.clone()),
            Family::Real(real) => tape.real(real, roots, draws.reals.clone()),
            Family::Record(record) => record.score(tape, roots, &draws.reals),
            Family::Blend(blend) => {
                let log_prob = blend.log_density(tape, roots, &draws.reals);
                let none = vec![<E as Float>::ZERO; draws.reals.len() / blend.width()];
                (log_prob, tape.constant(none, 1))
            }
            // no term of a bound is an entropy that has no closed form
            Family::Mixture(shape) => {
                let log_prob = tape.mixture(*shape, roots, draws.reals.clone());
                let none = vec![<E as Float>::ZERO; draws.reals.len() / shape.width];
                (log_prob, tape.constant(none, 1))
            }
            Family::Implicit { .. } => panic!("{WITHOUT_DENSITY}"),
        }
    }

    /// `log p` of the draws, on the tape.
    pub fn log_density<E: Number>(
        &self,
        tape: &mut Tape<E>,
        roots: &[Matrix<E>],
        last: &[u32],
        draws: &Draws<E>,
    ) -> Matrix<E> {
        match self {
            Family::Mixture(shape) => tape.mixture(*shape, roots, draws.reals.clone()),
            Family::Implicit { .. } => panic!("{WITHOUT_DENSITY}"),
            Family::Sticky { .. } => {
                tape.sticky(
                    (&roots[0], &roots[1]),
                    last.into(),
                    draws.numbers.as_slice().into(),
                    false,
                )
                .0
            }
            Family::Record(record) => record.log_density(tape, roots, &draws.reals),
            Family::Blend(blend) => blend.log_density(tape, roots, &draws.reals),
            Family::Categorical { .. }
            | Family::Bernoulli { .. }
            | Family::Normal { .. }
            | Family::Real(_) => self.score(tape, roots, last, draws).0,
        }
    }

    /// `KL(q ‖ p)` on the tape; gradient flows to both.
    pub fn divergence<E: Number>(
        &self,
        tape: &mut Tape<E>,
        q: &[Matrix<E>],
        p: &[Matrix<E>],
    ) -> Matrix<E> {
        match self {
            // the plan samples divergences of what stays
            Family::Categorical { .. } | Family::Sticky { .. } => tape.divergence(&q[0], &p[0]),
            Family::Bernoulli { .. } => {
                let (q, p) = (tape.two_logits(&q[0]), tape.two_logits(&p[0]));
                tape.divergence(&q, &p)
            }
            Family::Normal { .. } => tape.normal_divergence((&q[0], &q[1]), (&p[0], &p[1])),
            Family::Real(real) => tape.real_divergence(real, q, p),
            Family::Record(record) => record.divergence(tape, q, p),
            Family::Mixture(_) | Family::Blend(_) | Family::Implicit { .. } => {
                panic!("{NO_CLOSED_FORM}")
            }
        }
    }

    /// Rows of numbers as tensors that no gradient passes.
    pub fn frozen<E: Number>(&self, tape: &Tape<E>, rows: &[E]) -> Vec<Matrix<E>> {
        match self {
            Family::Categorical { outcomes }
            | Family::Bernoulli { outcomes }
            | Family::Sticky { outcomes } => {
                vec![tape.constant(rows.to_vec(), *outcomes)]
            }
            Family::Normal { .. } | Family::Real(_) => {
                let (numbers, width) = (self.numbers(), self.width());
                (0..numbers / width)
                    .map(|at| {
                        let part = rows
                            .chunks_exact(numbers)
                            .flat_map(|row| row[at * width..(at + 1) * width].iter().copied());
                        tape.constant(part.collect(), width)
                    })
                    .collect()
            }
            Family::Record(record) => record.frozen(tape, rows),
            Family::Mixture(_) | Family::Blend(_) | Family::Implicit { .. } => {
                panic!("{NO_CLOSED_FORM}")
            }
        }
    }
}

/// The middle and half the width of what `tanh` is scaled to.
pub(in crate::engine) fn squashing<E: Number>((lo, hi): (f64, f64)) -> (E, E) {
    (Float::of(0.5 * (lo + hi)), Float::of(0.5 * (hi - lo)))
}

/// Rows of `width` components as columns.
fn turn<E: Copy>(rows: &[E], width: usize, columns: &mut [E]) {
    for (component, column) in columns.chunks_exact_mut((rows.len() / width).max(1)).enumerate() {
        column
            .iter_mut()
            .zip(rows.iter().skip(component).step_by(width))
            .for_each(|(to, &from)| *to = from);
    }
}

impl<E: Copy> Draws<E> {
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.reals.clear();
    }

    /// Leaves the first `rows` rows, of `width` reals each where they are real.
    pub fn keep(&mut self, rows: usize, width: usize) {
        self.numbers.truncate(rows);
        self.reals.truncate(rows * width);
    }

    /// Adds the draws of the rows `of`, in their order.
    pub fn append(&mut self, from: &Draws<E>, of: &[u32], width: usize) {
        if !from.numbers.is_empty() {
            self.numbers.extend(of.iter().map(|&row| from.numbers[row as usize]));
        }
        if !from.reals.is_empty() {
            let reals = |&row: &u32| &from.reals[row as usize * width..(row as usize + 1) * width];
            self.reals.extend(of.iter().flat_map(reals));
        }
    }

    /// The draws of the rows `of`, in their order.
    pub fn gather(&mut self, from: &Draws<E>, of: &[u32], width: usize) {
        self.clear();
        if !from.numbers.is_empty() {
            self.numbers.extend(of.iter().map(|&row| from.numbers[row as usize]));
        }
        if !from.reals.is_empty() {
            self.reals
                .extend(of.iter().flat_map(|&row| {
                    &from.reals[row as usize * width..(row as usize + 1) * width]
                }));
        }
    }
}
