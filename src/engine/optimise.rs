//! The best that a bound's own parameters can reach: the exact `L` of a finite model, or `M`,
//! raised over the parameters of its networks.

use super::anneal;
use super::network::Unsupported;
use super::parameters::Parameters;
use super::tables::kernel_tables;
use super::tabulate::pull_back;
use crate::exact::{Ask, Evaluator, Oracle, PATHS, Slope, maximise};
use crate::finite::{KernelTables, NotFinite};
use crate::model::{
    BoundId, KernelId, KernelRef, LikelihoodForm, Model, ParameterId, Role, Target, TargetVariable,
    kernel_parameters,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::TAU;

/// What an ascent raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// `L`
    Bound,
    /// `M`, the bound with the exact reverse model in the place of the bound's own.
    Marginal,
}

/// What the parameters of a bound can reach.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Of `L`.
    pub bound: Optimum,
    /// Of `M`: absent where there is no reverse model, so that `M` is `L`; where `M` would be a sum
    /// over more than [`PATHS`] trajectories; and where the evidence moves with the parameters.
    pub marginal: Option<Optimum>,
}

/// The best of some ascents.
#[derive(Clone, Debug)]
pub struct Optimum {
    pub parameters: Parameters<f64>,
    /// The kernels at these parameters.
    pub tables: KernelTables,
    /// `L` or `M`, nats.
    pub bound: f64,
    /// Ascents made; none is begun after one that ends at what no policy exceeds.
    pub starts: usize,
    /// Those that ended within a millionth of the best, relative to its size; it is among them if
    /// it is finite.
    pub agreed: usize,
    /// Of all of them.
    pub iterations: u64,
}

/// Ascents whose ends differ by less than this, relative to their size, agree.
pub const SAME: f64 = 1e-6;

/// Raises `L`, and `M` where that is another number, from each start; `M` from the optimum of `L`,
/// too, so that what is found of it is not below.
///
/// # Errors
/// As [`optimise`].
pub fn reach(
    model: &Model,
    bound: BoundId,
    starts: &[Parameters<f64>],
    previous: &Parameters<f64>,
    iterations: u64,
) -> Result<Reach, Unsupported> {
    let of_bound = optimise(model, bound, Objective::Bound, starts, previous, iterations)?;
    let is_listed = || {
        Evaluator::new(model, bound)
            .marginal(&of_bound.tables)
            .map(|found| found.is_some())
            .map_err(unsupported)
    };
    let marginal =
        if model.bound(bound).auxiliary.is_empty() || evidence_moves(model, bound) || !is_listed()?
        {
            None
        } else {
            let starts: Vec<_> = starts.iter().chain([&of_bound.parameters]).cloned().collect();
            Some(optimise(model, bound, Objective::Marginal, &starts, previous, iterations)?)
        };
    Ok(Reach { bound: of_bound, marginal })
}

/// Raises the exact objective over the parameters that `maximize … over …` moves (all, where the
/// file does not say), by L-BFGS on the exact gradient pulled back through the networks, in
/// float64; at most `iterations` steps each. The copies `previous pi` keep the parameters of
/// `previous`. It is not concave: what is found is the best of some ascents, from each start, and
/// of `L` also by annealing and from projections; once one has reached what no policy exceeds, the
/// others are not made. The same input gives the same bits.
///
/// # Errors
/// One sentence, where the oracle or [`super::tabulate`] does not take the model, the trajectories
/// of `M` are too many, or there is no start.
pub fn optimise(
    model: &Model,
    bound: BoundId,
    objective: Objective,
    starts: &[Parameters<f64>],
    previous: &Parameters<f64>,
    iterations: u64,
) -> Result<Optimum, Unsupported> {
    optimise_until((model, bound), objective, starts, previous, iterations, None)
}

/// [`optimise`], which fails soon after `gives_up` says so.
pub(super) fn optimise_until(
    (model, bound): (&Model, BoundId),
    objective: Objective,
    starts: &[Parameters<f64>],
    previous: &Parameters<f64>,
    iterations: u64,
    gives_up: Option<Ask>,
) -> Result<Optimum, Unsupported> {
    let mut family = Family::new(model, bound, objective, previous);
    if let Some(gives_up) = gives_up {
        family.evaluator = family.evaluator.asking(gives_up);
    }
    let first = starts.first().ok_or_else(|| Unsupported("an optimum needs a start".to_owned()))?;
    let most = family.most(first)?;
    let mut ends = Vec::new();
    if objective == Objective::Bound && family.has_moved() {
        ends = anneal::projected(&family, first, iterations, most)?;
    }
    for start in starts {
        if ends.iter().any(|end| agrees(end.value, most)) {
            break;
        }
        ends.push(family.climb(start, 1.0, iterations)?);
        if objective == Objective::Bound && family.has_moved() {
            ends.extend(anneal::upwards(&family, start, iterations)?);
        }
    }
    let iterations = ends.iter().map(|end| end.iterations).sum();
    let starts = ends.len();
    // the first of equals, so that more ascents do not change what is found without need
    let best = ends.iter().map(|end| end.value).fold(f64::NEG_INFINITY, f64::max);
    let agreed = ends.iter().filter(|end| agrees(end.value, best)).count();
    let End { parameters, value: bound, .. } = ends
        .into_iter()
        .find(|end| end.value == best)
        .ok_or_else(|| Unsupported("no ascent has a number".to_owned()))?;
    let tables = kernel_tables(model, family.bound, &parameters, previous)?;
    Ok(Optimum { parameters, tables, bound, starts, agreed, iterations })
}

/// Where ascents on a bound may begin: the initial parameters of `seeds` seeds, and `current` where
/// there are some. From the second seed on, what would begin at 0 (tables and biases) is drawn from
/// a standard normal distribution: where options are alike, no gradient tells them apart. What the
/// bound does not move is everywhere as it is in `current`, else as the first seed has it.
pub fn starts(
    model: &Model,
    bound: BoundId,
    seeds: u64,
    current: Option<&Parameters<f64>>,
) -> Vec<Parameters<f64>> {
    let moved = moved(model, bound);
    let first = Parameters::initial(model, 0);
    let held = current.unwrap_or(&first);
    let of_seed = |seed| {
        let mut parameters = Parameters::initial(model, seed);
        let layout = parameters.layout().clone();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        for id in layout.ids() {
            let values = &mut parameters.values_mut()[layout.range(id)];
            if seed > 0 && values.iter().all(|&value| value == 0.0) {
                values.fill_with(|| normal(&mut random));
            }
            if !moved.contains(&id) {
                values.copy_from_slice(held.get(id));
            }
        }
        parameters
    };
    (0..seeds).map(of_seed).chain(current.cloned()).collect()
}

pub(super) fn agrees(value: f64, best: f64) -> bool {
    best.is_finite() && (best - value).abs() <= SAME * (1.0 + best.abs())
}

/// A bound as a function of its parameters.
pub(super) struct Family<'a> {
    pub model: &'a Model,
    pub bound: BoundId,
    objective: Objective,
    previous: &'a Parameters<f64>,
    pub evaluator: Evaluator<'a>,
    moved: BTreeSet<ParameterId>,
}

/// Where an ascent ended.
pub(super) struct End {
    pub parameters: Parameters<f64>,
    /// Nats.
    pub value: f64,
    pub iterations: u64,
}

impl<'a> Family<'a> {
    fn new(
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

    fn has_moved(&self) -> bool {
        !self.moved.is_empty()
    }

    /// Raises the objective, its likelihood to some power, from a start.
    pub fn climb(
        &self,
        start: &Parameters<f64>,
        power: f64,
        iterations: u64,
    ) -> Result<End, Unsupported> {
        self.maximise(start, iterations, &|at| self.slope(at, power))
    }

    /// Raises a function of the parameters that move.
    pub fn maximise(
        &self,
        start: &Parameters<f64>,
        iterations: u64,
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
        let found = maximise(&of_values, self.values(start), iterations)?;
        Ok(End {
            parameters: self.at(start, &found.at),
            value: found.value,
            iterations: found.iterations,
        })
    }

    /// What no parameters exceed: the best bound of any policy that may depend on the time, where
    /// the parameters move policies alone.
    fn most(&self, start: &Parameters<f64>) -> Result<f64, Unsupported> {
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
        Ok((value, self.pulled_back(parameters, &of_tables)?))
    }

    /// The gradient of the parameters, flat, from that of the tables.
    pub fn pulled_back(
        &self,
        parameters: &Parameters<f64>,
        of_tables: &BTreeMap<KernelId, Vec<f64>>,
    ) -> Result<Vec<f64>, Unsupported> {
        let mut gradient = parameters.zero_gradient();
        for (&kernel, of_table) in of_tables {
            let part = pull_back(self.model, parameters, kernel, of_table)?;
            gradient.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        Ok(gradient)
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

/// The prior or the likelihood reads parameters that the ascent moves.
fn evidence_moves(model: &Model, bound: BoundId) -> bool {
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

pub(super) fn unsupported(not_finite: NotFinite) -> Unsupported {
    Unsupported(not_finite.to_string())
}

/// A standard normal draw (Box and Muller 1958).
fn normal(random: &mut Xoshiro256PlusPlus) -> f64 {
    let (u, v): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos()
}
