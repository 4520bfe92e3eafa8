//! What terms and whole bounds are worth: the value of each summand on a trajectory.

use super::laws::{Law, Laws};
use super::space::{Assignment, Instance, Space};
use super::sum::{Unjudged, overflows};
use super::trajectories::outcome;
use crate::bound::{BoundDerivation, Term, TermKind};
use crate::finite::NotFinite;
use crate::model::{FactorRef, LikelihoodForm, TargetVariable, Value};

/// The value of a term's summand at `t`, without the term's sign, in nats.
///
/// # Errors
/// A law that cannot be listed.
pub fn summand(
    space: &Space,
    laws: &mut Laws<'_>,
    derivation: &BoundDerivation,
    term: &Term,
    t: usize,
    values: &Assignment,
) -> Result<f64, Unjudged> {
    kind_value(space, laws, derivation, &term.kind, t, values)
}

fn kind_value(
    space: &Space,
    laws: &mut Laws<'_>,
    derivation: &BoundDerivation,
    kind: &TermKind,
    t: usize,
    values: &Assignment,
) -> Result<f64, Unjudged> {
    let shifted = |p: FactorRef, q: FactorRef| {
        (t as i64 + i64::from(derivation.notation.shift(p, q))) as usize
    };
    match kind {
        TermKind::Exponent { likelihood } | TermKind::LogDensity { likelihood } => {
            log_likelihood(space, laws, *likelihood as usize, t, values)
        }
        TermKind::LogFactor { factor } => {
            log_factor(space, laws, Instance { factor: *factor, t }, values)
        }
        TermKind::LogRatio { p, q } | TermKind::DensityRatio { p, q } => {
            let above =
                log_factor(space, laws, Instance { factor: *p, t: shifted(*p, *q) }, values)?;
            let below = log_factor(space, laws, Instance { factor: *q, t }, values)?;
            Ok(above - below)
        }
        TermKind::Kl { q, p } => {
            if !space.live(space.bound.factor(*q), t, values) {
                return Ok(0.0);
            }
            let of_q = laws.law(space, space.bound.factor(*q), t, values)?;
            let of_p = laws.law(space, space.bound.factor(*p), shifted(*p, *q), values)?;
            Ok(divergence(&of_q, &of_p))
        }
        TermKind::Entropy { q } => {
            if !space.live(space.bound.factor(*q), t, values) {
                return Ok(0.0);
            }
            let law = laws.law(space, space.bound.factor(*q), t, values)?;
            Ok(-law.probability.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>())
        }
        TermKind::LogCount { q, count } => Ok(if space.live(space.bound.factor(*q), t, values) {
            (*count as f64).ln()
        } else {
            0.0
        }),
        TermKind::Constant { of, .. } => kind_value(space, laws, derivation, of, t, values),
    }
}

fn divergence(q: &Law, p: &Law) -> f64 {
    q.probability
        .iter()
        .zip(&p.probability)
        .filter(|(q, _)| **q > 0.0)
        .map(|(q, p)| q * (q.ln() - p.ln()))
        .sum()
}

/// `log f` of one factor at its draw; 0 where it has stopped.
pub fn log_factor(
    space: &Space,
    laws: &mut Laws<'_>,
    instance: Instance,
    values: &Assignment,
) -> Result<f64, Unjudged> {
    let factor = space.bound.factor(instance.factor);
    if !space.live(factor, instance.t, values) {
        return Ok(0.0);
    }
    let Some(outcome) = outcome(space, factor, instance.t, values) else { return Ok(f64::NAN) };
    Ok(laws.law(space, factor, instance.t, values)?.probability[outcome].ln())
}

/// The exponent, or the log-density, of a likelihood factor.
pub fn log_likelihood(
    space: &Space,
    laws: &mut Laws<'_>,
    likelihood: usize,
    t: usize,
    values: &Assignment,
) -> Result<f64, Unjudged> {
    match &space.bound.likelihood[likelihood].form {
        LikelihoodForm::Exponential { value: exponent, .. } => {
            let value = space.value(*exponent, t, values);
            match value.is_infinite() && space.overflows(*exponent, t, values) {
                true => Err(overflows(&format!(
                    "the exponent of `{}`",
                    space.bound.likelihood[likelihood].name
                ))),
                false => Ok(value),
            }
        }
        LikelihoodForm::Density { kernel, values: events, givens } => {
            let Some((law, outcome)) = event(space, laws, kernel, events, givens, t, values)?
            else {
                return Ok(f64::NAN);
            };
            Ok(law.probability[outcome].ln())
        }
    }
}

/// The law of a density in the likelihood, and which outcome the event is; `None` where the event
/// reads `none`.
pub fn event(
    space: &Space,
    laws: &mut Laws<'_>,
    kernel: &crate::model::KernelRef,
    events: &[Value],
    givens: &[Value],
    t: usize,
    values: &Assignment,
) -> Result<Option<(Law, usize)>, Unjudged> {
    let (mut outcomes, mut outcome, mut first) = (1, 0, None);
    for value in events {
        let Value::Variable { variable, index } = value else {
            return Err(Unjudged::NotFinite(NotFinite(
                "a likelihood's event that is not a variable cannot be listed".to_owned(),
            )));
        };
        let variable = TargetVariable::Variable(*variable);
        let number = space.number(variable, space.time(*index, t), values);
        if number == super::space::ABSENT {
            return Ok(None);
        }
        outcomes *= space.size(variable);
        outcome = outcome * space.size(variable) + number as usize;
        first.get_or_insert(variable);
    }
    let Some(first) = first else { return Ok(None) };
    let law = laws.kernel_law(space, kernel, givens, outcomes, first, t, values)?;
    Ok(Some((law, outcome)))
}
