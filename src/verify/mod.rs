//! Holds a derivation against the truth: on a small finite model both sides of every step, and the
//! mean of every gradient estimator, are computed by listing all trajectories, with random tables
//! in the place of what has parameters. Uses neither the rules nor the oracle it judges.

mod gradient;
mod laws;
mod measure;
mod space;
mod sum;
mod trajectories;
mod values;

use crate::bound::{BoundDerivation, Change, DraftId, Relation, Shape, TermKind};
use crate::finite::{KernelTable, NotFinite};
use crate::model::{Block, KernelId, Model};
use gradient::Credits;
use laws::Laws;
pub use laws::Table;
pub use measure::{Measure, Trajectory};
pub use space::ABSENT;
use space::{Instance, Space};
use std::collections::BTreeMap;
pub use sum::TOLERANCE;
pub use sum::Unjudged;
use sum::{Sum, overflows};
use trajectories::{TooMany, Trajectories};

/// How many trajectories are listed at the most.
pub const TRAJECTORIES: usize = 40_000;

/// What one bound was held against, at one set of random tables.
#[derive(Clone, Debug)]
pub struct Verified {
    pub horizon: usize,
    pub trajectories: usize,
    pub steps: Vec<CheckedStep>,
    /// `log p(R̂)` by listing what the prior draws, in nats.
    pub log_evidence: f64,
    /// The derived terms, summed.
    pub bound: f64,
    bound_holds: bool,
    /// None where the bound is not finite, and has no gradient.
    pub estimators: Vec<CheckedEstimator>,
}

/// Both sides of a step, in nats.
#[derive(Clone, Copy, Debug)]
pub struct CheckedStep {
    pub relation: Relation,
    pub before: f64,
    pub after: f64,
    pub holds: bool,
}

impl CheckedStep {
    /// Two infinities say nothing of each other: the posterior draws what a factor excludes.
    pub fn is_judged(&self) -> bool {
        !self.holds || self.before.is_finite() && self.after.is_finite()
    }
}

/// A gradient estimator against the exact gradient, one trajectory a batch.
#[derive(Clone, Copy, Debug)]
pub struct CheckedEstimator {
    pub name: &'static str,
    /// Whether theory says it is unbiased.
    pub claims_unbiased: bool,
    /// The difference between its mean and the exact gradient, at the logit where it is largest
    /// beside what rounding explains.
    pub bias: f64,
    /// What rounding explains there.
    pub tolerance: f64,
    /// The largest component of the exact gradient.
    pub scale: f64,
    /// The variance of one trajectory's estimate, summed over all logits.
    pub variance: f64,
    /// Number of logits that were met.
    pub logits: usize,
}

/// Why a bound could not be verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    #[error("{0}")]
    NotFinite(#[from] NotFinite),
    /// A quantity that exceeds all floats.
    #[error("{0}")]
    Overflows(String),
    #[error("more than {TRAJECTORIES} trajectories, or steps of one, at T = {horizon}")]
    TooLarge { horizon: usize },
}

impl From<Unjudged> for Unverified {
    fn from(unjudged: Unjudged) -> Unverified {
        match unjudged {
            Unjudged::NotFinite(not_finite) => Unverified::NotFinite(not_finite),
            Unjudged::Overflows(what) => Unverified::Overflows(what),
        }
    }
}

impl Verified {
    /// Every step's relation holds, the bound is one, and every estimator that claims to be is
    /// unbiased.
    pub fn holds(&self) -> bool {
        self.steps.iter().all(|step| step.holds)
            && self.bound_holds()
            && self.estimators.iter().all(CheckedEstimator::holds)
    }

    /// All steps have two sides that are numbers.
    pub fn is_judged(&self) -> bool {
        self.bound.is_finite() && self.steps.iter().all(CheckedStep::is_judged)
    }

    /// `log p(R̂) ≥ L`
    pub fn bound_holds(&self) -> bool {
        self.bound_holds
    }
}

impl CheckedEstimator {
    pub fn holds(&self) -> bool {
        !self.claims_unbiased || self.bias <= self.tolerance
    }
}

/// Holds one derivation against all trajectories of its model, with the random tables of `seed`.
/// `written` are the model's kernels at some parameters: of one that has none its probabilities are
/// read, of the others which outcomes they rule out.
///
/// # Errors
/// The model is not finite, or too large to list.
pub fn verify(
    model: &Model,
    derivation: &BoundDerivation,
    written: &BTreeMap<KernelId, KernelTable>,
    seed: u64,
) -> Result<Verified, Unverified> {
    let bound = model.bound(derivation.bound);
    // a trajectory of so many steps is as much to list
    if model.horizon.value > TRAJECTORIES {
        return Err(Unverified::TooLarge { horizon: model.horizon.value });
    }
    let space = Space::of(model, bound)?;
    let mut laws = Laws::random(model, written, seed);
    let drawn = |laws: &mut Laws<'_>,
                 blocks: &[Block]|
     -> Result<(Vec<Instance>, Trajectories), Unverified> {
        let order = space.order(blocks)?;
        match Trajectories::enumerate(&space, laws, &order, TRAJECTORIES)? {
            Ok(trajectories) => Ok((order, trajectories)),
            Err(TooMany) => Err(Unverified::TooLarge { horizon: model.horizon.value }),
        }
    };
    let (posterior, by_posterior) = drawn(&mut laws, &[Block::Posterior])?;
    let (_, by_prior) = drawn(&mut laws, &[Block::Prior, Block::Auxiliary])?;
    let others = gradient::others(&space);

    let log_evidence = held(log_evidence(&space, &mut laws, &by_prior)?, "the evidence")?;
    let log_weights = log_weights(&space, &mut laws, &posterior, &others, &by_posterior)?;
    let mut judge = Judge {
        space: &space,
        laws: &mut laws,
        derivation,
        trajectories: &by_posterior,
        log_weights: &log_weights,
        log_evidence,
    };
    let steps = judge.steps()?;
    let all: Vec<_> = derivation.terms.iter().collect();
    let value = held(judge.sum(&all)?, "the bound")?;
    // a bound of −∞ has no gradient
    let estimators = match value.value.is_infinite() {
        true => Vec::new(),
        false => estimators(&space, &mut laws, derivation, &posterior, &others, &by_posterior)?,
    };
    Ok(Verified {
        horizon: model.horizon.value,
        trajectories: by_posterior.len(),
        steps,
        log_evidence: log_evidence.value,
        bound: value.value,
        bound_holds: log_evidence.is_at_least(value),
        estimators,
    })
}

struct Judge<'a, 'm, 'w> {
    space: &'a Space<'m>,
    laws: &'a mut Laws<'w>,
    derivation: &'a BoundDerivation,
    trajectories: &'a Trajectories,
    log_weights: &'a [Sum],
    log_evidence: Sum,
}

impl Judge<'_, '_, '_> {
    fn steps(&mut self) -> Result<Vec<CheckedStep>, Unjudged> {
        let mut checked = Vec::with_capacity(self.derivation.steps.len());
        for (number, step) in self.derivation.steps.iter().enumerate() {
            let (before, after) = match &step.change {
                Change::Shape { before, after } => (self.shape(*before), self.shape(*after)),
                Change::Terms { removed, added } => {
                    let after = self.drafts(added)?;
                    // `split` makes the sum, the other rules change it
                    let before = if removed.is_empty() {
                        self.shape(Shape::ExpectationOfLog)
                    } else {
                        self.drafts(removed)?
                    };
                    (before, after)
                }
            };
            for side in [before, after] {
                held(
                    side,
                    &format!("step {} of the derivation ({})", number + 1, step.rule.name()),
                )?;
            }
            let holds = match step.relation {
                // the classifier's logit is replaced by the exact ratio
                Relation::Equal | Relation::Approximately => before.equals(after),
                Relation::AtLeast => before.is_at_least(after),
            };
            checked.push(CheckedStep {
                relation: step.relation,
                before: before.value,
                after: after.value,
                holds,
            });
        }
        Ok(checked)
    }

    fn drafts(&mut self, ids: &[DraftId]) -> Result<Sum, Unjudged> {
        let terms: Vec<_> = ids.iter().map(|id| &self.derivation.drafts[id.0 as usize]).collect();
        self.sum(&terms)
    }

    /// `E_q[Σ terms]`
    fn sum(&mut self, terms: &[&crate::bound::Term]) -> Result<Sum, Unjudged> {
        let mut total = Sum::default();
        for (values, probability) in self.trajectories.iter() {
            let mut inside = Sum::default();
            for term in terms {
                for t in term.times.range(self.space.horizon) {
                    let value = values::summand(
                        self.space,
                        self.laws,
                        self.derivation,
                        term,
                        t as usize,
                        values,
                    )?;
                    inside += Sum::of(term.sign.factor() * value);
                }
            }
            total += inside * probability;
        }
        Ok(total)
    }

    fn shape(&self, shape: Shape) -> Sum {
        let weighted = || self.trajectories.probability.iter().zip(self.log_weights);
        match shape {
            Shape::Evidence => self.log_evidence,
            Shape::LogExpectation => {
                log_sum_exp(weighted().map(|(p, log_weight)| *log_weight + Sum::of(p.ln())))
            }
            Shape::ExpectationOfLog => weighted().map(|(p, log_weight)| *log_weight * *p).sum(),
        }
    }
}

/// `log E_P[exp ΣΛ]`
fn log_evidence(
    space: &Space,
    laws: &mut Laws<'_>,
    by_prior: &Trajectories,
) -> Result<Sum, Unjudged> {
    let mut logs = Vec::with_capacity(by_prior.len());
    for (values, probability) in by_prior.iter() {
        logs.push(Sum::of(probability.ln()) + log_likelihoods(space, laws, values)?);
    }
    Ok(log_sum_exp(logs.into_iter()))
}

/// `log (Π P / Π Q · exp ΣΛ)` of each trajectory, factor by factor.
fn log_weights(
    space: &Space,
    laws: &mut Laws<'_>,
    posterior: &[Instance],
    others: &[Instance],
    drawn: &Trajectories,
) -> Result<Vec<Sum>, Unjudged> {
    let mut weights = Vec::with_capacity(drawn.len());
    for (values, _) in drawn.iter() {
        let mut weight = log_likelihoods(space, laws, values)?;
        for &instance in others {
            weight += Sum::of(values::log_factor(space, laws, instance, values)?);
        }
        for &instance in posterior {
            weight += Sum::of(-values::log_factor(space, laws, instance, values)?);
        }
        weights.push(weight);
    }
    Ok(weights)
}

fn log_likelihoods(space: &Space, laws: &mut Laws<'_>, values: &[u32]) -> Result<Sum, Unjudged> {
    let mut sum = Sum::default();
    for (likelihood, factor) in space.bound.likelihood.iter().enumerate() {
        for t in crate::bound::time::likelihood_times(factor.index).range(space.horizon) {
            sum += Sum::of(values::log_likelihood(space, laws, likelihood, t as usize, values)?);
        }
    }
    Ok(sum)
}

fn estimators(
    space: &Space,
    laws: &mut Laws<'_>,
    derivation: &BoundDerivation,
    posterior: &[Instance],
    others: &[Instance],
    drawn: &Trajectories,
) -> Result<Vec<CheckedEstimator>, Unjudged> {
    // a kernel moves by itself here: tables share nothing
    let over = &derivation.gradient.over;
    let moving = |table: Table| matches!(table, Table::Current(kernel) if over.contains(&kernel));
    if derivation.gradient.scores.is_empty() && derivation.gradient.pathwise.is_empty() {
        return Ok(Vec::new());
    }
    let exact = gradient::exact(space, laws, &moving, posterior, others, drawn)?;
    let scale = exact.iter().fold(0.0, |scale: f64, g| scale.max(g.value.abs()));
    let divergences = derivation.gradient.scores.iter().any(|score| {
        score.credit.iter().any(|credit| {
            let term = &derivation.terms[credit.term.0 as usize];
            matches!(
                term.kind,
                TermKind::Kl { .. } | TermKind::Entropy { .. } | TermKind::LogCount { .. }
            )
        })
    });
    let mut tried = vec![
        ("derived credit", Credits::Derived, true),
        ("every term credited", Credits::Everything, true),
    ];
    if divergences {
        tried.push(("kl_to_go = false", Credits::WithoutDivergences, false));
    }
    let credits: Vec<Credits> = tried.iter().map(|(_, credits, _)| *credits).collect();
    let moments = gradient::estimators(space, laws, derivation, &credits, &moving, drawn)?;
    exact
        .iter()
        .try_for_each(|component| held(*component, "the gradient of the bound").map(drop))?;
    for ((name, ..), moments) in tried.iter().zip(&moments) {
        moments.mean.iter().try_for_each(|component| {
            held(*component, &format!("the gradient estimate `{name}`")).map(drop)
        })?;
        if moments.overflows {
            return Err(overflows(&format!("the variance of the gradient estimate `{name}`")));
        }
    }
    let checked = tried.into_iter().zip(moments).map(|((name, _, claims_unbiased), moments)| {
        let apart = moments.mean.iter().zip(&exact).map(|(mean, exact)| {
            let tolerance = mean.tolerance(*exact, scale.max(1.0));
            ((mean.value - exact.value).abs(), tolerance)
        });
        // a difference that is no number is the largest of all
        let beside = |(bias, tolerance): (f64, f64)| {
            if bias.is_nan() { f64::INFINITY } else { bias / tolerance }
        };
        let (bias, tolerance) =
            apart.max_by(|a, b| beside(*a).total_cmp(&beside(*b))).unwrap_or((0.0, TOLERANCE));
        CheckedEstimator {
            name,
            claims_unbiased,
            bias,
            tolerance,
            scale,
            variance: moments.variance,
            logits: exact.len(),
        }
    });
    Ok(checked.collect())
}

/// A sum that float64 holds.
fn held(sum: Sum, what: &str) -> Result<Sum, Unjudged> {
    if sum.overflows { Err(overflows(what)) } else { Ok(sum) }
}

fn log_sum_exp(logs: impl Iterator<Item = Sum> + Clone) -> Sum {
    let high = logs.clone().map(|log| log.value).fold(f64::NEG_INFINITY, f64::max);
    // what is far below the largest moves nothing
    let size =
        logs.clone().filter(|log| log.value.is_finite()).map(|log| log.size).fold(0.0, f64::max);
    let overflows = logs.clone().any(|log| log.overflows);
    if high == f64::NEG_INFINITY {
        return Sum { overflows, ..Sum::of(high) };
    }
    Sum {
        value: high + logs.map(|log| (log.value - high).exp()).sum::<f64>().ln(),
        size,
        overflows,
    }
}
