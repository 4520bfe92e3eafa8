//! The gradient of the bound in the logits of all tables: exactly, and as the derived estimator has
//! it in the mean.

use super::laws::{Laws, Table};
use super::space::{Assignment, Instance, Space};
use super::sum::{Sum, Unjudged};
use super::trajectories::{Trajectories, outcome};
use super::values::{event, log_factor, log_likelihood, summand};
use crate::bound::{BoundDerivation, Downstream, TermKind};
use crate::model::{Block, FactorRef, KernelRef, LikelihoodForm};

/// A gradient in the logits of every row that was met; rows that do not move have 0.
pub type Gradient = Vec<Sum>;

/// Mean and variance (summed over coordinates) of an estimator, over the trajectories themselves:
/// no sampling error.
pub struct Moments {
    pub mean: Gradient,
    pub variance: f64,
    /// The variance of finite numbers has come to more than the largest.
    pub overflows: bool,
}

/// Which of the derived credits an estimator uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credits {
    /// All that are downstream.
    Derived,
    /// `kl_to_go = false`: rewards-to-go and densities, no KL, entropy or count.
    WithoutDivergences,
    /// The whole of every term, with no thought of what is downstream: always unbiased, the
    /// variance to beat.
    Everything,
}

/// `∇L = E_q[∇log q(x) · log w(x) + ∇log w(x)]` with `w = Π P / Π Q · exp ΣΛ`: no credit
/// assignment, no closed form.
pub fn exact(
    space: &Space,
    laws: &mut Laws<'_>,
    moving: &dyn Fn(Table) -> bool,
    posterior: &[Instance],
    others: &[Instance],
    trajectories: &Trajectories,
) -> Result<Gradient, Unjudged> {
    let mut gradient = Vec::new();
    for (values, probability) in trajectories.iter() {
        let mut log_weight = Sum::default();
        let mut direct: Vec<(usize, usize, f64)> = Vec::new();
        let mut scores: Vec<(usize, usize)> = Vec::new();
        for (likelihood, factor) in space.bound.likelihood.iter().enumerate() {
            for t in crate::bound::time::likelihood_times(factor.index).range(space.horizon) {
                log_weight += Sum::of(log_likelihood(space, laws, likelihood, t as usize, values)?);
                if let Some((row, outcome)) =
                    likelihood_row(space, laws, likelihood, t as usize, values)?
                {
                    direct.push((row, outcome, 1.0));
                }
            }
        }
        for &instance in others {
            log_weight += Sum::of(log_factor(space, laws, instance, values)?);
            direct.extend(
                score_row(space, laws, instance, values)?.map(|(row, outcome)| (row, outcome, 1.0)),
            );
        }
        for &instance in posterior {
            log_weight += Sum::of(-log_factor(space, laws, instance, values)?);
            let row = score_row(space, laws, instance, values)?;
            scores.extend(row);
            direct.extend(row.map(|(row, outcome)| (row, outcome, -1.0)));
        }
        let direct =
            direct.into_iter().map(|(row, outcome, weight)| (row, outcome, Sum::of(weight)));
        for (row, outcome, weight) in
            direct.chain(scores.into_iter().map(|(row, outcome)| (row, outcome, log_weight)))
        {
            add_score(laws, moving, &mut gradient, row, outcome, weight * probability);
        }
    }
    gradient.resize(laws.width(), Sum::default());
    Ok(gradient)
}

/// Mean and variance of the derived estimator under several rules of credit.
pub fn estimators(
    space: &Space,
    laws: &mut Laws<'_>,
    derivation: &BoundDerivation,
    credits: &[Credits],
    moving: &dyn Fn(Table) -> bool,
    trajectories: &Trajectories,
) -> Result<Vec<Moments>, Unjudged> {
    let mut moments: Vec<Moments> = credits
        .iter()
        .map(|_| Moments { mean: Vec::new(), variance: 0.0, overflows: false })
        .collect();
    for (values, probability) in trajectories.iter() {
        let summands = summands(space, laws, derivation, values)?;
        let mut direct = Vec::new();
        for pathwise in &derivation.gradient.pathwise {
            let term = &derivation.terms[pathwise.term.0 as usize];
            for t in term.times.range(space.horizon) {
                add_direct(
                    space,
                    laws,
                    derivation,
                    &term.kind,
                    term.sign.factor(),
                    t as usize,
                    values,
                    moving,
                    &mut direct,
                )?;
            }
        }
        for (moments, credits) in moments.iter_mut().zip(credits) {
            let mut one = direct.clone();
            add_scores(space, laws, derivation, *credits, &summands, moving, values, &mut one)?;
            moments.mean.resize(moments.mean.len().max(one.len()), Sum::default());
            for (mean, value) in moments.mean.iter_mut().zip(&one) {
                *mean += *value * probability;
                let square = probability * value.value * value.value;
                moments.variance += square;
                moments.overflows |= value.value.is_finite()
                    && !(square.is_finite() && moments.variance.is_finite());
            }
        }
    }
    for moments in &mut moments {
        moments.mean.resize(laws.width(), Sum::default());
        moments.variance -= moments.mean.iter().map(|m| m.value * m.value).sum::<f64>();
    }
    Ok(moments)
}

/// The derived estimate on one trajectory, with the same number as the baseline of every score.
pub fn estimate(
    space: &Space,
    laws: &mut Laws<'_>,
    derivation: &BoundDerivation,
    moving: &dyn Fn(Table) -> bool,
    baseline: f64,
    values: &Assignment,
) -> Result<Gradient, Unjudged> {
    let summands = summands(space, laws, derivation, values)?;
    let mut gradient = Vec::new();
    for pathwise in &derivation.gradient.pathwise {
        let term = &derivation.terms[pathwise.term.0 as usize];
        for t in term.times.range(space.horizon) {
            let sign = term.sign.factor();
            add_direct(
                space,
                laws,
                derivation,
                &term.kind,
                sign,
                t as usize,
                values,
                moving,
                &mut gradient,
            )?;
        }
    }
    add_scores(
        space,
        laws,
        derivation,
        Credits::Derived,
        &summands,
        moving,
        values,
        &mut gradient,
    )?;
    for score in &derivation.gradient.scores {
        for t in space.times(space.bound.factor(score.factor)) {
            let row = score_row(space, laws, Instance { factor: score.factor, t }, values)?;
            if let Some((row, outcome)) = row {
                add_score(laws, moving, &mut gradient, row, outcome, Sum::of(-baseline));
            }
        }
    }
    gradient.resize(laws.width(), Sum::default());
    Ok(gradient)
}

/// Every summand of every term on one trajectory, with its sign: (time, value).
fn summands(
    space: &Space,
    laws: &mut Laws<'_>,
    derivation: &BoundDerivation,
    values: &Assignment,
) -> Result<Vec<Vec<(i64, f64)>>, Unjudged> {
    let mut summands = Vec::with_capacity(derivation.terms.len());
    for term in &derivation.terms {
        let mut of_term = Vec::new();
        for t in term.times.range(space.horizon) {
            of_term.push((
                t,
                term.sign.factor() * summand(space, laws, derivation, term, t as usize, values)?,
            ));
        }
        summands.push(of_term);
    }
    Ok(summands)
}

/// `Σ_i ∇log q_i · credit_i` on one trajectory.
#[expect(clippy::too_many_arguments, reason = "a trajectory, its summands and its surroundings")]
fn add_scores(
    space: &Space,
    laws: &mut Laws<'_>,
    derivation: &BoundDerivation,
    credits: Credits,
    summands: &[Vec<(i64, f64)>],
    moving: &dyn Fn(Table) -> bool,
    values: &Assignment,
    gradient: &mut Gradient,
) -> Result<(), Unjudged> {
    for score in &derivation.gradient.scores {
        for t in space.times(space.bound.factor(score.factor)) {
            let Some((row, outcome)) =
                score_row(space, laws, Instance { factor: score.factor, t }, values)?
            else {
                continue;
            };
            let mut credit = Sum::default();
            if credits == Credits::Everything {
                credit = summands.iter().flatten().map(|(_, value)| Sum::of(*value)).sum();
            } else {
                for downstream in &score.credit {
                    let term = &derivation.terms[downstream.term.0 as usize];
                    let divergence = matches!(
                        term.kind,
                        TermKind::Kl { .. } | TermKind::Entropy { .. } | TermKind::LogCount { .. }
                    );
                    if credits == Credits::WithoutDivergences && divergence {
                        continue;
                    }
                    let from = match downstream.from {
                        Downstream::Offset(offset) if !term.times.is_once() => {
                            t as i64 + i64::from(offset)
                        }
                        Downstream::Offset(_) | Downstream::All => i64::MIN,
                    };
                    let of_term =
                        summands[downstream.term.0 as usize].iter().filter(|(k, _)| *k >= from);
                    credit += of_term.map(|(_, value)| Sum::of(*value)).sum();
                }
            }
            add_score(laws, moving, gradient, row, outcome, credit);
        }
    }
    Ok(())
}

/// `∇f_k`: closed forms, and log-densities other than the posterior's own.
#[expect(clippy::too_many_arguments, reason = "a summand, its place and its surroundings")]
fn add_direct(
    space: &Space,
    laws: &mut Laws<'_>,
    derivation: &BoundDerivation,
    kind: &TermKind,
    sign: f64,
    t: usize,
    values: &Assignment,
    moving: &dyn Fn(Table) -> bool,
    gradient: &mut Gradient,
) -> Result<(), Unjudged> {
    let shifted = |p: FactorRef, q: FactorRef| {
        (t as i64 + i64::from(derivation.notation.shift(p, q))) as usize
    };
    match kind {
        TermKind::Exponent { .. } | TermKind::LogCount { .. } | TermKind::Constant { .. } => {}
        TermKind::LogDensity { likelihood } => {
            if let Some((row, outcome)) =
                likelihood_row(space, laws, *likelihood as usize, t, values)?
            {
                add_score(laws, moving, gradient, row, outcome, Sum::of(sign));
            }
        }
        TermKind::LogFactor { factor } => {
            if let Some((row, outcome)) =
                score_row(space, laws, Instance { factor: *factor, t }, values)?
            {
                add_score(laws, moving, gradient, row, outcome, Sum::of(sign));
            }
        }
        TermKind::LogRatio { p, q } | TermKind::DensityRatio { p, q } => {
            if let Some((row, outcome)) =
                score_row(space, laws, Instance { factor: *p, t: shifted(*p, *q) }, values)?
            {
                add_score(laws, moving, gradient, row, outcome, Sum::of(sign));
            }
        }
        TermKind::Entropy { q } | TermKind::Kl { q, .. } => {
            if !space.live(space.bound.factor(*q), t, values) {
                return Ok(());
            }
            let of_q = laws.law(space, space.bound.factor(*q), t, values)?;
            let of_p = match kind {
                TermKind::Kl { p, .. } => {
                    Some(laws.law(space, space.bound.factor(*p), shifted(*p, *q), values)?)
                }
                _ => None,
            };
            // d/dq of Σ q (log q − log p) is the summand's log-ratio; the entropy is its negative
            // with log p = 0
            let side = if of_p.is_some() { sign } else { -sign };
            for outcome in 0..of_q.probability.len() {
                let probability = of_q.probability[outcome];
                if probability > 0.0 {
                    let log_p = of_p.as_ref().map_or(0.0, |law| law.probability[outcome].ln());
                    if let Some(row) = of_q.row {
                        add_score(
                            laws,
                            moving,
                            gradient,
                            row,
                            outcome,
                            Sum::of(side * probability * (probability.ln() - log_p)),
                        );
                    }
                    if let Some(row) = of_p.as_ref().and_then(|law| law.row) {
                        add_score(
                            laws,
                            moving,
                            gradient,
                            row,
                            outcome,
                            Sum::of(-side * probability),
                        );
                    }
                }
            }
        }
    }
    Ok(())
}

/// The row of logits that a factor's draw comes from; `None` where it has none or has stopped.
fn score_row(
    space: &Space,
    laws: &mut Laws<'_>,
    instance: Instance,
    values: &Assignment,
) -> Result<Option<(usize, usize)>, Unjudged> {
    let factor = space.bound.factor(instance.factor);
    let learned = matches!(factor.kernel, KernelRef::Learned(_));
    if !learned || !space.live(factor, instance.t, values) {
        return Ok(None);
    }
    let Some(outcome) = outcome(space, factor, instance.t, values) else { return Ok(None) };
    Ok(laws.law(space, factor, instance.t, values)?.row.map(|row| (row, outcome)))
}

fn likelihood_row(
    space: &Space,
    laws: &mut Laws<'_>,
    likelihood: usize,
    t: usize,
    values: &Assignment,
) -> Result<Option<(usize, usize)>, Unjudged> {
    let LikelihoodForm::Density { kernel, values: events, givens } =
        &space.bound.likelihood[likelihood].form
    else {
        return Ok(None);
    };
    let event = event(space, laws, kernel, events, givens, t, values)?;
    Ok(event.and_then(|(law, outcome)| Some((law.row?, outcome))))
}

/// Adds `weight · ∇log p(outcome)`: one-hot minus the probabilities.
fn add_score(
    laws: &Laws,
    moving: &dyn Fn(Table) -> bool,
    gradient: &mut Gradient,
    row: usize,
    outcome: usize,
    weight: Sum,
) {
    let row = &laws.tables[row];
    if !moving(row.table) || weight.value == 0.0 && weight.size == 0.0 {
        return;
    }
    if gradient.len() < row.offset + row.probability.len() {
        gradient.resize(row.offset + row.probability.len(), Sum::default());
    }
    for (slot, &p) in
        gradient[row.offset..].iter_mut().zip(&row.probability).filter(|(_, p)| **p > 0.0)
    {
        *slot += weight * -p;
    }
    gradient[row.offset + outcome] += weight;
}

/// The instances of all factors of prior and auxiliary.
pub fn others(space: &Space) -> Vec<Instance> {
    let mut instances = Vec::new();
    for block in [Block::Prior, Block::Auxiliary] {
        for (at, factor) in space.bound.factors(block).iter().enumerate() {
            instances.extend(
                space
                    .times(factor)
                    .map(|t| Instance { factor: FactorRef { block, at: at as u32 }, t }),
            );
        }
    }
    instances
}
