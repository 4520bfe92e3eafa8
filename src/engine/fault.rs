//! Numbers that are none: where a NaN or an infinity arose in a batch, so that a run ends there and
//! says so.
//!
//! What is looked at while trajectories are rolled out is one pass over numbers that were just
//! written; only where it finds something is the row searched, and the shard rolled out a second
//! time to say in which state that was.
//!
//! A logit of −∞ is a number: an outcome of probability 0. A NaN, a logit of +∞ and a row of
//! nothing but −∞ describe no distribution.

use super::expressions::Number;
use super::family::Family;
use super::float::Float;
use super::kernels;
use super::points::Trajectories;
use super::stage::Stage;
use super::trace::{Variable, When};
use crate::plan::Plan;
use crate::world::Batch;

/// The most numbers of a row that are shown.
const SHOWN: usize = 6;

/// A number that is none, and where it arose.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// ``the logits of `pi` are [NaN, NaN]``
    pub what: String,
    pub arose: Arose,
    pub t: usize,
    pub trajectory: usize,
    /// `s = 3`, where it is known.
    pub state: Option<String>,
}

/// Who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arose {
    /// A network: other parameters may do without.
    Kernel,
    /// What the file writes down: the environment, a term of the bound.
    World,
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
        }
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
            Family::Mixture(shape) => {
                let weight: fn(&[f64]) -> bool = |weight| weight[0].is_finite() && weight[0] >= 0.0;
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
            Family::Implicit { width } => vec![("draw", *width, finite)],
        }
    }
}

type Root = (&'static str, usize, fn(&[f64]) -> bool);

/// ``the logits of `pi` are [NaN, NaN]``, ``the sd of `pi` is 0``
pub(super) fn said(name: &str, kernel: &str, values: &[f64]) -> String {
    let is = if name == "logits" { "are" } else { "is" };
    match values {
        [value] => format!("the {name} of `{kernel}` {is} {value}"),
        values => {
            let shown: Vec<String> = values.iter().take(SHOWN).map(f64::to_string).collect();
            let more = if values.len() > SHOWN { ", …" } else { "" };
            format!("the {name} of `{kernel}` {is} [{}{more}]", shown.join(", "))
        }
    }
}

/// The first of `live` rows in which the environment has drawn no number: a component of the state,
/// of the observation, or a reward. Tables hold states by their numbers, so that only their rewards
/// are looked at.
pub(super) fn of_world<E: Number>(
    stage: &Stage<E>,
    batch: &Batch<E>,
    live: usize,
) -> Option<(usize, String)> {
    let (world, environment) = (&stage.world, stage.plan.model.environment(stage.plan.environment));
    let rows = batch.rows().max(1);
    let in_columns = |columns: Option<&[E]>| {
        let mut columns = columns?.chunks_exact(rows).map(|column| &column[..live]);
        let broken = columns.find(|column| !kernels::all_finite(column))?;
        position(broken)
    };
    let name = |variable| &stage.plan.model.variable(variable).name;
    if let Some((row, value)) = in_columns(batch.state_columns(world)) {
        return Some((
            row,
            format!("the state `{}` that is reached is {value}", name(environment.state)),
        ));
    }
    if let (Some((row, value)), Some(variable)) =
        (in_columns(batch.observation_columns(world)), environment.observation)
    {
        return Some((row, format!("the observation `{}` is {value}", name(variable))));
    }
    (0..world.rewards()).find_map(|reward| {
        let (row, value) = Some(&batch.reward(world, reward)[..live])
            .filter(|column| !kernels::all_finite(column))
            .and_then(position)?;
        Some((row, format!("the reward `{}` is {value}", environment.rewards[reward].name)))
    })
}

/// The first number of a list that is none.
fn position<E: Float>(values: &[E]) -> Option<(usize, f64)> {
    values.iter().position(|x| !x.is_finite()).map(|at| (at, values[at].as_f64()))
}

/// The first number of a term that is none.
pub(super) fn of_term<E: Float>(plan: &Plan, term: usize, values: &[E]) -> Option<(usize, String)> {
    let (row, value) = position(values)?;
    Some((row, term_is(plan, term, value)))
}

/// ``the term `R` is -inf``, of which bound where there are several.
pub(super) fn term_is(plan: &Plan, term: usize, value: f64) -> String {
    let name = plan
        .model
        .bound(plan.derivation.bound)
        .name
        .as_ref()
        .map_or(String::new(), |name| format!(" of bound `{name}`"));
    format!("the term `{}`{name} is {value}", plan.terms[term].name)
}

/// The state that stands in a row of a batch: `s = 3`.
pub(super) fn state_of_row<E: Number>(stage: &Stage<E>, batch: &Batch<E>, row: usize) -> String {
    let mut column = vec![<E as Float>::ZERO; row + 1];
    let value = (0..stage.world.state_width()).map(|component| {
        batch.read_state(&stage.world, component, &mut column);
        Float::as_f64(column[row])
    });
    shown_state(stage, &value.collect::<Vec<f64>>())
}

/// The state of a recorded trajectory at step `t`.
pub(super) fn state_at<E: Number>(
    stage: &Stage<E>,
    on: &Trajectories<E>,
    point: (u32, u32),
) -> Option<String> {
    let (t, of) = on.place(&point);
    let (what, width) = ((Variable::State, When::After(0)), stage.world.state_width());
    let value = match stage.finite_domain(Variable::State) {
        Some(finite) => {
            let mut value = vec![0.0; width];
            finite.value(
                on.trace.number(what, t, of, |variable| on.drawn(variable))? as usize,
                &mut value,
            );
            value
        }
        None => on.trace.reals(what, t, of, width)?.iter().map(|x| Float::as_f64(*x)).collect(),
    };
    Some(shown_state(stage, &value))
}

fn shown_state<E>(stage: &Stage<E>, value: &[f64]) -> String {
    let variable =
        stage.plan.model.variable(stage.plan.model.environment(stage.plan.environment).state);
    format!("{} = {}", variable.name, variable.domain.show(value))
}
