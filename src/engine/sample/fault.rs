//! Numbers that are none: where a NaN or an infinity arose in a batch, so that a run ends there and
//! says so.
//!
//! What is looked at while trajectories are rolled out is one pass over numbers that were just
//! written; only where it finds something is the row searched, and the shard rolled out a second
//! time to say in which state that was.
//!
//! A logit of −∞ is a number: an outcome of probability 0. A NaN, a logit of +∞ and a row of
//! nothing but −∞ describe no distribution.

use super::failure::EnvironmentFailure;
use crate::engine::family::Family;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use crate::engine::numeric::number::Number;
use crate::engine::numeric::said::said;
use crate::plan::Plan;
use crate::world::Trouble;

/// A number that is none, and where it arose.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Fault {
    /// ``the logits of `pi` are [NaN, NaN]``
    pub what: String,
    pub arose: Arose,
    pub t: usize,
    pub trajectory: usize,
    /// `s = 3`, where it is known.
    pub state: Option<String>,
    /// Of an environment from outside what it says itself.
    pub outside: Option<Trouble>,
}

/// Who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Arose {
    /// A network: other parameters may do without.
    Kernel,
    /// What the file writes down: the environment, a term of the bound.
    World,
    /// An environment from outside.
    Outside,
}

impl Fault {
    pub fn hint(&self) -> &'static str {
        match self.arose {
            Arose::Kernel => {
                "a function in its arguments (`log`, `sqrt`, `/`, `exp`) leaves its domain, or \
                 the parameters have grown too far: \
                 `softplus(x)` is above 0 everywhere, a smaller `rate` or a `clip_norm` holds \
                 parameters back"
            }
            Arose::World => {
                "an expression leaves its domain (`log`, `sqrt`, `/`) or overflows: `max` and \
                 `clamp` hold an argument where it is defined, \
                 `precision = f64` reaches up to 1e308"
            }
            Arose::Outside => "",
        }
    }

    /// What an environment from outside did, where it was that.
    pub fn failure(&self) -> Option<EnvironmentFailure> {
        let Trouble { hint, cause, .. } = self.outside.clone()?;
        Some(EnvironmentFailure { what: self.to_string(), hint, cause })
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at t = {}", self.what, self.t)?;
        self.state.as_ref().map_or(Ok(()), |state| write!(f, ", {state}"))
    }
}

impl Family {
    /// Whether every row of numbers describes a distribution. One pass, without branches where rows
    /// are logits.
    pub fn describes<E: Number>(&self, rows: &[E]) -> bool {
        let is_deviation = |sd: &E| *sd > <E as Float>::ZERO;
        match self {
            // a row with a logit that is none is NaN throughout
            Family::Categorical { .. } | Family::Bernoulli { .. } | Family::Sticky { .. } => {
                kernels::none_nan(rows)
            }
            Family::Normal { width, .. } => {
                kernels::all_finite(rows)
                    && rows
                        .chunks_exact(2 * width)
                        .all(|row| row[*width..].iter().all(is_deviation))
            }
            Family::Mixture(shape) => rows.chunks_exact(shape.numbers()).all(|row| {
                let (log_weights, rest) = row.split_at(shape.parts);
                let deviations = &rest[shape.parts * shape.width..];
                kernels::none_nan(log_weights)
                    && kernels::all_finite(rest)
                    && deviations.iter().all(is_deviation)
            }),
            Family::Real(real) => rows.chunks_exact(real.numbers()).all(|row| real.describes(row)),
            Family::Record(record) => {
                rows.chunks_exact(record.numbers()).all(|row| record.describes(row))
            }
            Family::Blend(blend) => {
                rows.chunks_exact(blend.numbers()).all(|row| blend.describes(row))
            }
            Family::Implicit { .. } => kernels::all_finite(rows),
        }
    }

    /// The first row that describes none, and what is wrong with it; `root` is what the network of
    /// `kernel` computed.
    pub fn fault<'a, E: Number>(
        &self,
        kernel: &str,
        rows: &[E],
        root: impl Fn(usize) -> &'a [E],
    ) -> Option<(usize, String)> {
        if self.describes(rows) {
            return None;
        }
        let row = rows.chunks_exact(self.numbers()).position(|row| !self.describes(row))?;
        let mut roots =
            self.roots().into_iter().enumerate().map(|(at, (name, width, is_right))| {
                let values: Vec<f64> = root(at)[row * width..(row + 1) * width]
                    .iter()
                    .map(|x| Float::as_f64(*x))
                    .collect();
                (name, is_right(&values), values)
            });
        let (name, _, values) =
            roots.find(|(_, is_right, _)| !is_right).or_else(|| roots.next())?;
        Some((row, said(name, kernel, &values)))
    }

    /// What the roots of a network are: a name, how many numbers a row, and what they have to be.
    fn roots(&self) -> Vec<Root> {
        let deviation = |values: &[f64]| values.iter().all(|sd| sd.is_finite() && *sd > 0.0);
        let finite = |values: &[f64]| values.iter().all(|x| x.is_finite());
        let logits = |values: &[f64]| {
            values.iter().all(|z| !z.is_nan() && *z < f64::INFINITY)
                && values.iter().any(|z| *z > f64::NEG_INFINITY)
        };
        let weight: fn(&[f64]) -> bool = |weight| weight[0].is_finite() && weight[0] >= 0.0;
        match self {
            Family::Categorical { outcomes } => vec![("logits", *outcomes, logits)],
            Family::Bernoulli { .. } => vec![("logit", 1, |values| !values[0].is_nan())],
            Family::Sticky { outcomes } => {
                vec![
                    ("logits", *outcomes, logits),
                    ("probability to stay", 1, |keep| (0.0..=1.0).contains(&keep[0])),
                ]
            }
            Family::Normal { width, .. } => {
                vec![("mean", *width, finite), ("sd", *width, deviation)]
            }
            Family::Blend(blend) => {
                let weights = std::iter::repeat_n(("weight", 1, weight), blend.parts().count());
                weights.chain(blend.parts().flat_map(|(part, _)| part.roots())).collect()
            }
            Family::Mixture(shape) => {
                let weights = std::iter::repeat_n(("weight", 1, weight), shape.parts);
                let means = std::iter::repeat_n(
                    ("mean", shape.width, finite as fn(&[f64]) -> bool),
                    shape.parts,
                );
                let deviations = std::iter::repeat_n(
                    ("sd", shape.width, deviation as fn(&[f64]) -> bool),
                    shape.parts,
                );
                weights.chain(means).chain(deviations).collect()
            }
            Family::Real(real) => {
                let right = |positive| if positive { deviation } else { finite };
                real.named().map(|(name, positive)| (name, real.width(), right(positive))).collect()
            }
            Family::Record(record) => record.parts().flat_map(|(part, _)| part.roots()).collect(),
            Family::Implicit { width } => vec![("draw", *width, finite)],
        }
    }
}

type Root = (&'static str, usize, fn(&[f64]) -> bool);

/// The first number of a list that is none.
pub(in crate::engine) fn position<E: Float>(values: &[E]) -> Option<(usize, f64)> {
    values.iter().position(|x| !x.is_finite()).map(|at| (at, values[at].as_f64()))
}

/// The first number of a term that is none.
pub(in crate::engine) fn of_term<E: Float>(
    plan: &Plan,
    term: usize,
    values: &[E],
) -> Option<(usize, String)> {
    let (row, value) = position(values)?;
    Some((row, term_is(plan, term, value)))
}

/// ``the term `R` is -inf``, of which bound where there are several.
pub(in crate::engine) fn term_is(plan: &Plan, term: usize, value: f64) -> String {
    let name = plan
        .model
        .bound(plan.derivation.bound)
        .name
        .as_ref()
        .map_or(String::new(), |name| format!(" of bound `{name}`"));
    format!("the term `{}`{name} is {value}", plan.terms[term].name)
}
