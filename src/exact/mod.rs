//! The oracle: exact answers on finite models in float64. Never estimates.

mod ascend;
mod best;
mod build;
mod capacity;
mod compile;
mod delay;
mod enumerate;
mod environments;
mod evidence;
mod exponentials;
mod improve;
mod information;
#[cfg(test)]
mod information_tests;
mod listing;
#[cfg(test)]
mod look_ahead_tests;
mod marginal;
#[cfg(test)]
mod marginal_tests;
mod maximise;
mod memory;
mod oracle;
mod place;
mod policy;
mod projection;
mod reach;
mod read;
mod refuse;
mod reverse;
#[cfg(test)]
mod reverse_tests;
mod rewards;
mod rows;
mod size;
mod smooth;
mod step;
mod term;
#[cfg(test)]
mod tests;
mod trajectory;
mod transitions;
#[cfg(test)]
mod transitions_tests;
mod trellis;

pub use ascend::{Ascent, ascend};
pub use capacity::{Capacity, StartCapacity, WITHIN, capacity};
pub use enumerate::{Enumeration, enumerate};
pub use environments::Ask;
pub use information::{OptionInformation, OptionVisits, information, visits};
pub use marginal::Marginal;
pub use maximise::{Maximum, Patience, Slope, maximise};
pub use oracle::Oracle;
pub use policy::Evaluation;
pub use reverse::ReverseModel;
pub use size::Size;
pub use smooth::option_posterior;

use crate::finite::{KernelTable, KernelTables, NotFinite};
use crate::model::{Bound, BoundId, KernelId, Model};
use compile::{Scope, compile, reads_auxiliary};
use environments::Environments;
use std::collections::BTreeMap;
use trellis::Trellis;

/// The exact answers for one bound, in nats.
#[derive(Clone, Debug, PartialEq)]
pub struct Exact {
    /// `log p(R̂) = log E_P[exp ΣΛ]`, at the given tables where the prior (a learned model of the
    /// world among it) or the likelihood reads learned kernels.
    pub log_evidence: f64,
    /// `max L`: the best bound of any time-dependent policy (learned kernels of actions and options
    /// that may read all that is drawn before) which keeps the prior and the posterior's other
    /// factors: the environment's steps, or those of a learned model at its table.
    pub best_bound: f64,
    /// The posterior with the given tables.
    pub evaluation: Option<Evaluation>,
    /// `log p(R̂) − L` in parts, where there is an evaluation; absent where there are auxiliary
    /// variables and more than [`PATHS`] trajectories of all else, over which `auxiliary` would
    /// have to be summed ([`crate::engine::gap`] estimates it), and where `L` is −∞.
    pub gap: Option<Gap>,
}

/// `log p(R̂) − L(q)`, in parts that are each at least 0 (up to rounding) and sum to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// `log p(R̂) − max L`: the posterior keeps the dynamics. 0 where the start and the transitions
    /// are deterministic.
    pub dynamics: f64,
    /// `max L − M(q)`, `M` the bound with the exact reverse model: what the family of policies
    /// cannot reach, and what the optimisation has not.
    pub family_and_optimisation: f64,
    /// `M(q) − L(q) = E_q KL(q(o|x) ‖ q̃(o|x))`: what the reverse model of auxiliary variables `o`
    /// loses; 0 where there are none.
    pub auxiliary: f64,
}

/// Trajectories that are listed at the most, to sum over the auxiliary variables of each.
pub const PATHS: usize = 20_000;

/// The exact answers for a bound whose variables are finite. With `policy` (a table for each
/// learned kernel in use) also `L`, its gradient and the posterior's marginals. Cost: non-zero
/// transitions times T, times the values of what else a step remembers.
///
/// # Errors
/// One sentence that names the variable that is not finite, the kernel without a table, or the
/// construct the oracle does not take.
pub fn exact(
    model: &Model,
    bound: BoundId,
    policy: Option<&KernelTables>,
) -> Result<Exact, NotFinite> {
    let environments = Environments::new(model);
    let written = model.bound(bound);
    let (log_evidence, best_bound) = {
        let mut oracle = Oracle::within(&environments, bound, policy)?;
        (oracle.log_evidence()?, oracle.best_bound()?)
    };
    let Some(tables) = policy else {
        return Ok(Exact { log_evidence, best_bound, evaluation: None, gap: None });
    };
    let evaluation = evaluate_with(&environments, bound, tables, 1.0)?;
    // what the likelihood reads is drawn by its reverse model, as all else by the prior
    let auxiliary = match written.auxiliary.is_empty() || reads_auxiliary(model, written) {
        true => Some(0.0),
        false => ReverseModel::new(model, bound, tables)?.divergence(PATHS)?,
    };
    let gap = auxiliary.filter(|_| evaluation.bound.is_finite()).map(|auxiliary| Gap {
        dynamics: log_evidence - best_bound,
        family_and_optimisation: best_bound - evaluation.bound - auxiliary,
        auxiliary,
    });
    Ok(Exact { log_evidence, best_bound, evaluation: Some(evaluation), gap })
}

/// Only `L` or `M` and their gradients, at many tables one after the other: what an ascent needs.
pub struct Evaluator<'m> {
    environments: Environments<'m>,
    bound: BoundId,
}

/// How often each entry of the learned tables of actions and options is drawn, expected; by kernel,
/// numbered as its log-probabilities.
pub type Uses = BTreeMap<KernelId, Vec<f64>>;

impl<'m> Evaluator<'m> {
    pub fn new(model: &'m Model, bound: BoundId) -> Evaluator<'m> {
        Evaluator { environments: Environments::new(model), bound }
    }

    /// Asks at each step of an answer whether it is still wanted, and fails where it is not.
    #[must_use]
    pub fn asking(mut self, gives_up: Ask) -> Evaluator<'m> {
        self.environments.gives_up = Some(gives_up);
        self
    }

    /// The best policy at `tables`, as a table of the posterior's `kernel`; `None` where that table
    /// cannot hold it: where the kernel does not see the state and the time, or other variables are
    /// drawn beside the action. What is never met stays as it is in `tables`.
    ///
    /// # Errors
    /// As [`exact`].
    pub fn best_policy(
        &self,
        tables: &KernelTables,
        kernel: KernelId,
    ) -> Result<Option<KernelTable>, NotFinite> {
        improve::best_policy(&self.environments, self.bound, tables, kernel)
    }

    /// # Errors
    /// As [`exact`].
    pub fn evaluate(&self, tables: &KernelTables) -> Result<Evaluation, NotFinite> {
        self.tempered(tables, 1.0)
    }

    /// With the likelihood raised to a positive power: `E_q[power · ΣΛ + Σ log P − Σ log Q]`, which
    /// deterministic annealing ascends (Rose 1998).
    ///
    /// # Errors
    /// As [`exact`].
    pub fn tempered(&self, tables: &KernelTables, power: f64) -> Result<Evaluation, NotFinite> {
        evaluate_with(&self.environments, self.bound, tables, power)
    }

    /// What the best policy that may depend on the time and on all that the trellis remembers would
    /// use of the tables, the likelihood raised to `power`, and all other factors as in `tables`.
    /// The parameters under which these uses are likeliest project that policy onto the family.
    /// `None` where the policy is too large to be kept.
    ///
    /// # Errors
    /// As [`exact`].
    pub fn uses_of_the_best(
        &self,
        tables: &KernelTables,
        power: f64,
    ) -> Result<Option<Uses>, NotFinite> {
        let written = self.environments.model.bound(self.bound);
        let mut trellis = compile(&self.environments, written, Some(tables), Scope::Posterior)?;
        trellis.temper(power);
        projection::uses_of_the_best(&mut trellis, tables)
    }

    /// The bound with the exact reverse model, `None` where there are more than [`PATHS`]
    /// trajectories of all that is not auxiliary.
    ///
    /// # Errors
    /// As [`exact`]; where the action is an auxiliary variable.
    pub fn marginal(&self, tables: &KernelTables) -> Result<Option<Marginal>, NotFinite> {
        let mut reverse =
            ReverseModel::over(&self.environments, self.bound, tables, Scope::Marginal)?;
        let marginal = marginal::marginal(&mut reverse, tables, PATHS)?;
        marginal
            .map(|found| number(found.bound, "the bound", &reverse.trellis).map(|_| found))
            .transpose()
    }
}

fn evaluate_with(
    environments: &Environments<'_>,
    bound: BoundId,
    tables: &KernelTables,
    power: f64,
) -> Result<Evaluation, NotFinite> {
    let written = environments.model.bound(bound);
    let mut trellis = compile(environments, written, Some(tables), Scope::Posterior)?;
    trellis.temper(power);
    let mut evaluation = policy::evaluate(&mut trellis, tables)?;
    number(evaluation.bound, "the bound", &trellis)?;
    if !evaluation.expected_return.is_finite() {
        let steps = trellis.horizon;
        return Err(NotFinite(format!(
            "the expected return is {} after {steps} steps: {}",
            evaluation.expected_return,
            beyond("the rewards")
        )));
    }
    // −∞ of a likelihood less −∞ of the bound
    if evaluation.kl.is_nan() {
        evaluation.kl = divergence(environments.model, written, tables)?;
    }
    Ok(evaluation)
}

/// `KL(q ‖ p)` of trajectories: the bound without its likelihood is what it costs.
fn divergence(model: &Model, written: &Bound, tables: &KernelTables) -> Result<f64, NotFinite> {
    let mut without = written.clone();
    without.likelihood.clear();
    let environments = Environments::new(model);
    let mut trellis = compile(&environments, &without, Some(tables), Scope::Posterior)?;
    let found = policy::evaluate(&mut trellis, tables)?;
    number(found.bound, "the divergence from the prior", &trellis).map(|bound| -bound)
}

/// Why a number is none, and what to do.
fn beyond(what: &str) -> String {
    format!(
        "{what} exceed 1.8e308, the largest float64; scale the rewards, or the param before them, \
         down"
    )
}

/// Refuses what is not a number, naming a term that is none, and what overflows. −∞ is an answer
/// where a factor excludes what is drawn.
fn number(value: f64, what: &str, trellis: &Trellis<'_>) -> Result<f64, NotFinite> {
    if value.is_finite() {
        return Ok(value);
    }
    if let Some(name) = trellis.overflowing() {
        let sums = format!("sums of `{name}` over {} steps", trellis.horizon);
        return Err(NotFinite(format!("{what} overflows: {}", beyond(&sums))));
    }
    if !value.is_nan() {
        return Ok(value);
    }
    let name = trellis.undefined().map_or_else(|| "a term".to_owned(), |name| format!("`{name}`"));
    Err(NotFinite(format!("{what} is not a number: {name} is none somewhere, or reads `none`")))
}
