//! `log p(R̂) − L(q)` in its four parts. All are the oracle's numbers, but for what the reverse
//! model loses on trajectories too many to list: that is the mean of exact numbers over drawn ones.

use crate::engine::update::optimise::Reach;
use crate::exact::{self, Exact, ReverseModel};
use crate::finite::{KernelTables, NotFinite};
use crate::model::{BoundId, Model};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Trajectories drawn where there are too many to list.
const DRAWN: usize = 10_000;
/// Their seed.
const SEED: u64 = 0;
/// What differs by less than this, relative to its size, is the same number.
const SAME: f64 = 1e-9;

/// Parts that are each at least 0 (up to rounding and standard errors) and sum to `log p(R̂) −
/// L(q)`, nats. With `M(θ)` the bound with the exact reverse model `q_θ(o|x)` in the place of `q̃`:
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// `log p(R̂) − max L`
    pub dynamics: f64,
    /// `max L − sup_θ M`; absent where nobody sought the supremum, or where `log p(R̂)` and `max L`
    /// move with the parameters that it is over: then `optimisation` holds both.
    pub family: Option<Part>,
    /// What stands for `sup_θ M`.
    pub supremum: Supremum,
    /// `sup_θ M − M(θ)`, or `max L − M(θ)`
    pub optimisation: Part,
    /// `M(θ) − L = E_q KL(q(o|x) ‖ q̃(o|x))`
    pub auxiliary: Part,
}

/// A number in the place of `sup_θ M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supremum {
    /// The greatest `M` that ascents on it found.
    OfMarginal,
    /// `M` where ascents on `L` ended, since there are too many trajectories to ascend `M`: a
    /// number below, so that `family` is at most what is told, and `optimisation` at least.
    OfBound,
}

/// A number in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    pub value: f64,
    /// 0 where the number is exact.
    pub standard_error: f64,
}

/// The gap of a policy whose exact answers and tables these are; `None` where they have no
/// evaluation, or a bound of −∞: that has no parts.
///
/// # Errors
/// As [`exact::exact`].
pub fn gap(
    model: &Model,
    bound: BoundId,
    answers: &Exact,
    tables: &KernelTables,
    reach: Option<&Reach>,
) -> Result<Option<Gap>, NotFinite> {
    let Some(evaluation) =
        answers.evaluation.as_ref().filter(|evaluation| evaluation.bound.is_finite())
    else {
        return Ok(None);
    };
    let dynamics = answers.log_evidence - answers.best_bound;
    let auxiliary = auxiliary(model, bound, answers, tables)?;
    let reached = Part { value: evaluation.bound + auxiliary.value, ..auxiliary };
    let optimisation = exactly(answers.best_bound).less(reached);
    let together =
        Gap { dynamics, family: None, supremum: Supremum::OfMarginal, optimisation, auxiliary };
    let Some(reach) = reach else { return Ok(Some(together)) };
    let there = exact::exact(model, bound, Some(&reach.bound.tables))?;
    if differs(there.log_evidence, answers.log_evidence)
        || differs(there.best_bound, answers.best_bound)
    {
        return Ok(Some(together));
    }
    let (supremum, highest) = match &reach.marginal {
        Some(marginal) => (Supremum::OfMarginal, exactly(marginal.bound)),
        None if model.bound(bound).auxiliary.is_empty() => {
            (Supremum::OfMarginal, exactly(reach.bound.bound))
        }
        None => {
            let lost = self::auxiliary(model, bound, &there, &reach.bound.tables)?;
            (Supremum::OfBound, Part { value: reach.bound.bound + lost.value, ..lost })
        }
    };
    let (highest, optimisation) = if highest.value > reached.value {
        (highest, highest.less(reached))
    } else {
        (reached, exactly(0.0))
    };
    Ok(Some(Gap {
        family: Some(exactly(answers.best_bound).less(highest)),
        supremum,
        optimisation,
        ..together
    }))
}

impl Part {
    /// The standard error is that of a difference of independent numbers.
    fn less(self, other: Part) -> Part {
        Part {
            value: self.value - other.value,
            standard_error: self.standard_error.hypot(other.standard_error),
        }
    }
}

fn exactly(value: f64) -> Part {
    Part { value, standard_error: 0.0 }
}

fn differs(one: f64, other: f64) -> bool {
    (one - other).abs() > SAME * (1.0 + one.abs())
}

/// `E_q KL(q(o|x) ‖ q̃(o|x))`
fn auxiliary(
    model: &Model,
    bound: BoundId,
    answers: &Exact,
    tables: &KernelTables,
) -> Result<Part, NotFinite> {
    if let Some(gap) = &answers.gap {
        return Ok(exactly(gap.auxiliary));
    }
    let mut random = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let drawn = ReverseModel::new(model, bound, tables)?.draw(DRAWN, &mut || random.random())?;
    let count = drawn.len() as f64;
    let mean = drawn.iter().sum::<f64>() / count;
    let variance =
        drawn.iter().map(|divergence| (divergence - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Ok(Part { value: mean, standard_error: (variance / count).sqrt() })
}
