//! A bound as a function of its parameters: its value and slope, one ascent on it, and what no
//! ascent exceeds.

use crate::engine::network::unsupported::Unsupported;
use crate::engine::tables::kernels::kernel_tables;
use crate::engine::tables::tabulate::pull_back_all;
use crate::engine::tape::parameters::Parameters;
use crate::exact::{Evaluator, Oracle, PATHS, Patience, Slope, maximise};
use crate::finite::{KernelTables, NotFinite};
use crate::model::{
    BoundId, KernelId, KernelRef, LikelihoodForm, Model, ParameterId, Role, Target, TargetVariable,
    kernel_parameters,
};
use std::collections::BTreeSet;

/// What an ascent raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// `L`
    Bound,
    /// `M`, the bound with the exact reverse model in the place of the bound's own.
    Marginal,
}

/// Ascents whose ends differ by less than this, relative to their size, agree.
pub const SAME: f64 = 1e-6;

/// A bound as a function of its parameters.
pub(in crate::engine) struct Family<'a> {
    pub model: &'a Model,
    pub bound: BoundId,
    objective: Objective,
    previous: &'a Parameters<f64>,
    pub evaluator: Evaluator<'a>,
    moved: BTreeSet<ParameterId>,
}

/// Where an ascent ended.
pub(in crate::engine) struct End {
    pub parameters: Parameters<f64>,
    /// Nats.
    pub value: f64,
    pub iterations: u64,
}

impl<'a> Family<'a> {
    pub fn new(
        model: &'a Model,
        bound: BoundId,
        objective: Objective,
        previous: &'a Parameters<f64>,
    ) -> Family<'a> {
        Family {
            model,
            bound,
            objective,
            previous,
            evaluator: Evaluator::new(model, bound),
            moved: moved(model, bound),
        }
    }

    pub fn has_moved(&self) -> bool {
        !self.moved.is_empty()
    }

    /// Raises the objective, its likelihood to some power, from a start.
    pub fn climb(
        &self,
        start: &Parameters<f64>,
        power: f64,
        patience: Patience,
    ) -> Result<End, Unsupported> {
        self.maximise(start, patience, &|at| self.slope(at, power))
    }

    /// Raises a function of the parameters that move.
    pub fn maximise(
        &self,
        start: &Parameters<f64>,
        patience: Patience,
        slope: &dyn Fn(&Parameters<f64>) -> Result<Slope, Unsupported>,
    ) -> Result<End, Unsupported> {
        let layout = start.layout();
        let of_values = |values: &[f64]| -> Result<Slope, Unsupported> {
            let (value, gradient) = slope(&self.at(start, values))?;
            Ok((
                value,
                self.moved.iter().flat_map(|&id| &gradient[layout.range(id)]).copied().collect(),
            ))
        };
        let found = maximise(&of_values, self.values(start), patience)?;
        Ok(End {
            parameters: self.at(start, &found.at),
            value: found.value,
            iterations: found.iterations,
        })
    }

    /// What no parameters exceed: the best bound of any policy that may depend on the time, where
    /// the parameters move policies alone.
    pub fn most(&self, start: &Parameters<f64>) -> Result<f64, Unsupported> {
        if self.objective != Objective::Bound
            || evidence_moves(self.model, self.bound)
            || states_move(self.model, self.bound)
        {
            return Ok(f64::INFINITY);
        }
        let tables = self.tables(start)?;
        Oracle::new(self.model, self.bound, Some(&tables))
            .and_then(|mut oracle| oracle.best_bound())
            .map_err(unsupported)
    }

    pub fn tables(&self, parameters: &Parameters<f64>) -> Result<KernelTables, Unsupported> {
        kernel_tables(self.model, self.bound, parameters, self.previous)
    }

    /// The numbers that move.
    fn values(&self, parameters: &Parameters<f64>) -> Vec<f64> {
        self.moved.iter().flat_map(|&id| parameters.get(id)).copied().collect()
    }

    /// `start` with other numbers where they move.
    fn at(&self, start: &Parameters<f64>, values: &[f64]) -> Parameters<f64> {
        let mut parameters = start.frozen();
        let layout = parameters.layout().clone();
        let mut rest = values;
        for &id in &self.moved {
            let (own, after) = rest.split_at(layout.range(id).len());
            parameters.values_mut()[layout.range(id)].copy_from_slice(own);
            rest = after;
        }
        parameters
    }

    /// The objective and its gradient, flat.
    fn slope(&self, parameters: &Parameters<f64>, power: f64) -> Result<Slope, Unsupported> {
        let tables = self.tables(parameters)?;
        let (value, of_tables) = match self.objective {
            Objective::Bound => {
                let found = self.evaluator.tempered(&tables, power).map_err(unsupported)?;
                (found.bound, found.gradient)
            }
            Objective::Marginal => {
                let found = self.evaluator.marginal(&tables).map_err(unsupported)?;
                let found = found.ok_or_else(|| {
                    Unsupported(format!(
                        "the bound with the exact reverse model sums over more \
                                         than {PATHS} trajectories"
                    ))
                })?;
                (found.bound, found.gradient)
            }
        };
        Ok((value, pull_back_all(self.model, parameters, &of_tables)?))
    }
}

/// The parameters that `maximize … over …` moves by a bound: all, where the file does not say.
pub fn moved(model: &Model, bound: BoundId) -> BTreeSet<ParameterId> {
    let objectives = model.objectives.iter().filter(|objective| objective.bound == bound);
    let over: Vec<KernelId> =
        objectives.flat_map(|objective| objective.over.iter().copied()).collect();
    let all = (0..model.kernels.len() as u32).map(KernelId);
    let kernels: Vec<KernelId> = if over.is_empty() { all.collect() } else { over };
    kernels.into_iter().flat_map(|kernel| kernel_parameters(model, kernel)).collect()
}

pub(in crate::engine) fn agrees(value: f64, best: f64) -> bool {
    best.is_finite() && (best - value).abs() <= SAME * (1.0 + best.abs())
}

/// The prior or the likelihood reads parameters that the ascent moves.
pub(in crate::engine) fn evidence_moves(model: &Model, bound: BoundId) -> bool {
    let moved = moved(model, bound);
    let written = model.bound(bound);
    let likelihoods = written.likelihood.iter().filter_map(|likelihood| match &likelihood.form {
        LikelihoodForm::Density { kernel, .. } => Some(kernel),
        LikelihoodForm::Exponential { .. } => None,
    });
    written.prior.iter().map(|factor| &factor.kernel).chain(likelihoods).any(
        |kernel| match kernel {
            KernelRef::Learned(kernel) => {
                kernel_parameters(model, *kernel).iter().any(|id| moved.contains(id))
            }
            KernelRef::Previous(_)
            | KernelRef::Environment(..)
            | KernelRef::Data(_)
            | KernelRef::InPlace(_) => false,
        },
    )
}

/// The posterior draws states from a kernel that the ascent moves.
fn states_move(model: &Model, bound: BoundId) -> bool {
    let moved = moved(model, bound);
    let chosen = |target: &Target| match target {
        Target::Variable { variable: TargetVariable::Variable(id), .. } => {
            matches!(model.variable(*id).role, Role::Action | Role::Option)
        }
        Target::Variable { .. } | Target::Weights(_) => false,
    };
    model.bound(bound).posterior.iter().any(|factor| match &factor.kernel {
        KernelRef::Learned(kernel) => {
            !factor.targets.iter().all(chosen)
                && !kernel_parameters(model, *kernel).is_disjoint(&moved)
        }
        KernelRef::Previous(_)
        | KernelRef::Environment(..)
        | KernelRef::Data(_)
        | KernelRef::InPlace(_) => false,
    })
}

pub(in crate::engine) fn unsupported(not_finite: NotFinite) -> Unsupported {
    Unsupported(not_finite.to_string())
}
