//! Holds a derivation against the truth: on a small finite model both sides of every step, and the mean of every gradient estimator, are
//! computed by listing all trajectories, with random tables in the place of networks. Uses neither the rules nor the oracle it judges.

mod gradient;
mod laws;
mod measure;
mod space;
mod trajectories;
mod values;

use crate::bound::{BoundDerivation, Change, DraftId, Relation, Shape, TermKind};
use crate::finite::NotFinite;
use crate::model::{Block, Model};
use gradient::Credits;
use laws::Laws;
pub use laws::Table;
pub use measure::{Measure, Trajectory};
pub use space::ABSENT;
use space::{Instance, Space};
use trajectories::{TooMany, Trajectories};

/// How many trajectories are listed at the most.
pub const TRAJECTORIES: usize = 40_000;
/// How far two sides that should be equal may lie apart, relative to their size.
pub const TOLERANCE: f64 = 1e-9;

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

/// A gradient estimator against the exact gradient, one trajectory a batch.
#[derive(Clone, Copy, Debug)]
pub struct CheckedEstimator {
    pub name: &'static str,
    /// Whether theory says it is unbiased.
    pub claims_unbiased: bool,
    /// The largest difference between its mean and the exact gradient, over all logits.
    pub bias: f64,
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
    #[error("more than {TRAJECTORIES} trajectories at T = {horizon}")]
    TooLarge { horizon: usize },
}

impl Verified {
    /// Every step's relation holds, the bound is one, and every estimator that claims to be is unbiased.
    pub fn holds(&self) -> bool {
        self.steps.iter().all(|step| step.holds) && self.bound_holds() && self.estimators.iter().all(CheckedEstimator::holds)
    }

    /// `log p(R̂) ≥ L`
    pub fn bound_holds(&self) -> bool {
        at_least(self.log_evidence, self.bound)
    }
}

impl CheckedEstimator {
    pub fn holds(&self) -> bool {
        !self.claims_unbiased || self.bias <= TOLERANCE * self.scale.max(1.0)
    }
}

/// Holds one derivation against all trajectories of its model, with the random tables of `seed`.
///
/// # Errors
/// The model is not finite, or too large to list.
pub fn verify(model: &Model, derivation: &BoundDerivation, seed: u64) -> Result<Verified, Unverified> {
    let bound = model.bound(derivation.bound);
    let space = Space::of(model, bound)?;
    let mut laws = Laws::random(seed);
    let drawn = |laws: &mut Laws, blocks: &[Block]| -> Result<(Vec<Instance>, Trajectories), Unverified> {
        let order = space.order(blocks)?;
        match Trajectories::enumerate(&space, laws, &order, TRAJECTORIES)? {
            Ok(trajectories) => Ok((order, trajectories)),
            Err(TooMany) => Err(Unverified::TooLarge { horizon: model.horizon.value }),
        }
    };
    let (posterior, by_posterior) = drawn(&mut laws, &[Block::Posterior])?;
    let (_, by_prior) = drawn(&mut laws, &[Block::Prior, Block::Auxiliary])?;
    let others = gradient::others(&space);

    let log_evidence = log_evidence(&space, &mut laws, &by_prior)?;
    let log_weights = log_weights(&space, &mut laws, &posterior, &others, &by_posterior)?;
    let mut judge =
        Judge { space: &space, laws: &mut laws, derivation, trajectories: &by_posterior, log_weights: &log_weights, log_evidence };
    let steps = judge.steps()?;
    let all: Vec<_> = derivation.terms.iter().collect();
    let value = judge.sum(&all)?;
    let estimators = estimators(&space, &mut laws, derivation, &posterior, &others, &by_posterior)?;
    Ok(Verified { horizon: model.horizon.value, trajectories: by_posterior.len(), steps, log_evidence, bound: value, estimators })
}

struct Judge<'a, 'm> {
    space: &'a Space<'m>,
    laws: &'a mut Laws,
    derivation: &'a BoundDerivation,
    trajectories: &'a Trajectories,
    log_weights: &'a [f64],
    log_evidence: f64,
}

impl Judge<'_, '_> {
    fn steps(&mut self) -> Result<Vec<CheckedStep>, NotFinite> {
        let mut checked = Vec::with_capacity(self.derivation.steps.len());
        for step in &self.derivation.steps {
            let (before, after) = match &step.change {
                Change::Shape { before, after } => (self.shape(*before), self.shape(*after)),
                Change::Terms { removed, added } => {
                    let after = self.drafts(added)?;
                    // `split` makes the sum, the other rules change it
                    let before = if removed.is_empty() { self.shape(Shape::ExpectationOfLog) } else { self.drafts(removed)? };
                    (before, after)
                }
            };
            let holds = match step.relation {
                // the classifier's logit is replaced by the exact ratio
                Relation::Equal | Relation::Approximately => equal(before, after),
                Relation::AtLeast => at_least(before, after),
            };
            checked.push(CheckedStep { relation: step.relation, before, after, holds });
        }
        Ok(checked)
    }

    fn drafts(&mut self, ids: &[DraftId]) -> Result<f64, NotFinite> {
        let terms: Vec<_> = ids.iter().map(|id| &self.derivation.drafts[id.0 as usize]).collect();
        self.sum(&terms)
    }

    /// `E_q[Σ terms]`
    fn sum(&mut self, terms: &[&crate::bound::Term]) -> Result<f64, NotFinite> {
        let mut total = 0.0;
        for (values, probability) in self.trajectories.iter() {
            let mut inside = 0.0;
            for term in terms {
                for t in term.times.range(self.space.horizon) {
                    inside += term.sign.factor() * values::summand(self.space, self.laws, self.derivation, term, t as usize, values)?;
                }
            }
            total += probability * inside;
        }
        Ok(total)
    }

    fn shape(&self, shape: Shape) -> f64 {
        let weighted = || self.trajectories.probability.iter().zip(self.log_weights);
        match shape {
            Shape::Evidence => self.log_evidence,
            Shape::LogExpectation => log_sum_exp(weighted().map(|(p, log_weight)| p.ln() + log_weight)),
            Shape::ExpectationOfLog => weighted().map(|(p, log_weight)| p * log_weight).sum(),
        }
    }
}

/// `log E_P[exp ΣΛ]`
fn log_evidence(space: &Space, laws: &mut Laws, by_prior: &Trajectories) -> Result<f64, NotFinite> {
    let mut logs = Vec::with_capacity(by_prior.len());
    for (values, probability) in by_prior.iter() {
        logs.push(probability.ln() + log_likelihoods(space, laws, values)?);
    }
    Ok(log_sum_exp(logs.into_iter()))
}

/// `log (Π P / Π Q · exp ΣΛ)` of each trajectory, factor by factor.
fn log_weights(
    space: &Space,
    laws: &mut Laws,
    posterior: &[Instance],
    others: &[Instance],
    drawn: &Trajectories,
) -> Result<Vec<f64>, NotFinite> {
    let mut weights = Vec::with_capacity(drawn.len());
    for (values, _) in drawn.iter() {
        let mut weight = log_likelihoods(space, laws, values)?;
        for &instance in others {
            weight += values::log_factor(space, laws, instance, values)?;
        }
        for &instance in posterior {
            weight -= values::log_factor(space, laws, instance, values)?;
        }
        weights.push(weight);
    }
    Ok(weights)
}

fn log_likelihoods(space: &Space, laws: &mut Laws, values: &[u32]) -> Result<f64, NotFinite> {
    let mut sum = 0.0;
    for (likelihood, factor) in space.bound.likelihood.iter().enumerate() {
        for t in crate::bound::time::likelihood_times(factor.index).range(space.horizon) {
            sum += values::log_likelihood(space, laws, likelihood, t as usize, values)?;
        }
    }
    Ok(sum)
}

fn estimators(
    space: &Space,
    laws: &mut Laws,
    derivation: &BoundDerivation,
    posterior: &[Instance],
    others: &[Instance],
    drawn: &Trajectories,
) -> Result<Vec<CheckedEstimator>, NotFinite> {
    // a kernel moves by itself here: tables share nothing
    let over = &derivation.gradient.over;
    let moving = |table: Table| matches!(table, Table::Current(kernel) if over.contains(&kernel));
    if derivation.gradient.scores.is_empty() && derivation.gradient.pathwise.is_empty() {
        return Ok(Vec::new());
    }
    let exact = gradient::exact(space, laws, &moving, posterior, others, drawn)?;
    let scale = exact.iter().fold(0.0, |scale: f64, g| scale.max(g.abs()));
    // the logit's own gradient is not the ratio's: a classifier's bound is an estimate
    let frozen_ratio = derivation.terms.iter().any(|term| match term.kind {
        TermKind::DensityRatio { p, .. } => {
            matches!(space.bound.factor(p).kernel, crate::model::KernelRef::Learned(kernel) if over.contains(&kernel))
        }
        _ => false,
    });
    let divergences = derivation.gradient.scores.iter().any(|score| {
        score.credit.iter().any(|credit| {
            let term = &derivation.terms[credit.term.0 as usize];
            matches!(term.kind, TermKind::Kl { .. } | TermKind::Entropy { .. } | TermKind::LogCount { .. })
        })
    });
    let mut tried = vec![("derived credit", Credits::Derived, !frozen_ratio), ("every term credited", Credits::Everything, !frozen_ratio)];
    if divergences {
        tried.push(("kl_to_go = false", Credits::WithoutDivergences, false));
    }
    let credits: Vec<Credits> = tried.iter().map(|(_, credits, _)| *credits).collect();
    let moments = gradient::estimators(space, laws, derivation, &credits, &moving, drawn)?;
    let checked = tried.into_iter().zip(moments).map(|((name, _, claims_unbiased), moments)| {
        let bias = moments.mean.iter().zip(&exact).fold(0.0, |bias: f64, (mean, exact)| bias.max((mean - exact).abs()));
        CheckedEstimator { name, claims_unbiased, bias, scale, variance: moments.variance, logits: exact.len() }
    });
    Ok(checked.collect())
}

fn log_sum_exp(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let high = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if high == f64::NEG_INFINITY {
        return high;
    }
    high + logs.map(|log| (log - high).exp()).sum::<f64>().ln()
}

fn equal(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(1.0)
}

fn at_least(a: f64, b: f64) -> bool {
    a >= b || equal(a, b)
}
