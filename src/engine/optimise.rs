//! The best that a bound's own parameters can reach: the exact `L` of a finite model, or `M`, raised over the parameters of its networks.

use super::network::Unsupported;
use super::parameters::Parameters;
use super::tables::kernel_tables;
use super::tabulate::pull_back;
use crate::exact::{Evaluator, PATHS, Slope, maximise};
use crate::finite::{KernelTables, NotFinite};
use crate::model::{BoundId, KernelId, KernelRef, LikelihoodForm, Model, ParameterId, kernel_parameters};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeSet;
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
    /// Of `M`: absent where there is no reverse model, so that `M` is `L`; where `M` would be a sum over more than [`PATHS`] trajectories; and where
    /// the evidence moves with the parameters.
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
    /// Ascents made.
    pub starts: usize,
    /// Of all of them.
    pub iterations: u64,
}

/// Raises `L`, and `M` where that is another number, from each start; `M` from the optimum of `L`, too, so that what is found of it is not below.
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
    let is_listed = || Evaluator::new(model, bound).marginal(&of_bound.tables).map(|found| found.is_some()).map_err(unsupported);
    let marginal = if model.bound(bound).auxiliary.is_empty() || evidence_moves(model, bound) || !is_listed()? {
        None
    } else {
        let starts: Vec<_> = starts.iter().chain([&of_bound.parameters]).cloned().collect();
        Some(optimise(model, bound, Objective::Marginal, &starts, previous, iterations)?)
    };
    Ok(Reach { bound: of_bound, marginal })
}

/// Raises the exact objective from each start, over the parameters that `maximize … over …` moves (all, where the file does not say), by L-BFGS on
/// the exact gradient pulled back through the networks, in float64; at most `iterations` steps each. The copies `previous pi` keep the
/// parameters of `previous`. It is not concave: what is found is the best of these ascents. The same input gives the same bits.
///
/// # Errors
/// One sentence, where the oracle or [`super::tabulate`] does not take the model, the trajectories of `M` are too many, or there is no start.
pub fn optimise(
    model: &Model,
    bound: BoundId,
    objective: Objective,
    starts: &[Parameters<f64>],
    previous: &Parameters<f64>,
    iterations: u64,
) -> Result<Optimum, Unsupported> {
    let family = Family { model, bound, objective, previous, evaluator: Evaluator::new(model, bound), moved: moved(model, bound) };
    let mut best: Option<Optimum> = None;
    let mut used = 0;
    for start in starts {
        let found = maximise(&|values| family.slope(start, values), family.values(start), iterations)?;
        used += found.iterations;
        if best.as_ref().is_none_or(|best| found.value > best.bound) {
            let parameters = family.at(start, &found.at);
            let tables = kernel_tables(model, bound, &parameters, previous)?;
            best = Some(Optimum { parameters, tables, bound: found.value, starts: starts.len(), iterations: 0 });
        }
    }
    let best = best.ok_or_else(|| Unsupported("an optimum needs a start".to_owned()))?;
    Ok(Optimum { iterations: used, ..best })
}

/// Where ascents on a bound may begin: the initial parameters of `seeds` seeds, and `current` where there are some. From the second seed on, what
/// would begin at 0 (tables and biases) is drawn from a standard normal distribution: where options are alike, no gradient tells them apart. What the
/// bound does not move is everywhere as it is in `current`, else as the first seed has it.
pub fn starts(model: &Model, bound: BoundId, seeds: u64, current: Option<&Parameters<f64>>) -> Vec<Parameters<f64>> {
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

/// A bound as a function of its parameters.
struct Family<'a> {
    model: &'a Model,
    bound: BoundId,
    objective: Objective,
    previous: &'a Parameters<f64>,
    evaluator: Evaluator<'a>,
    moved: BTreeSet<ParameterId>,
}

impl Family<'_> {
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

    fn slope(&self, start: &Parameters<f64>, values: &[f64]) -> Result<Slope, Unsupported> {
        let parameters = self.at(start, values);
        let tables = kernel_tables(self.model, self.bound, &parameters, self.previous)?;
        let (value, of_tables) = match self.objective {
            Objective::Bound => {
                let found = self.evaluator.evaluate(&tables).map_err(unsupported)?;
                (found.bound, found.gradient)
            }
            Objective::Marginal => {
                let found = self.evaluator.marginal(&tables).map_err(unsupported)?;
                let found = found.ok_or_else(|| {
                    Unsupported(format!("the bound with the exact reverse model sums over more than {PATHS} trajectories"))
                })?;
                (found.bound, found.gradient)
            }
        };
        let mut gradient = parameters.zero_gradient();
        for (&kernel, of_table) in &of_tables {
            let part = pull_back(self.model, &parameters, kernel, of_table)?;
            gradient.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        let layout = parameters.layout();
        Ok((value, self.moved.iter().flat_map(|&id| &gradient[layout.range(id)]).copied().collect()))
    }
}

/// The parameters that `maximize … over …` moves by a bound: all, where the file does not say.
pub fn moved(model: &Model, bound: BoundId) -> BTreeSet<ParameterId> {
    let objectives = model.objectives.iter().filter(|objective| objective.bound == bound);
    let over: Vec<KernelId> = objectives.flat_map(|objective| objective.over.iter().copied()).collect();
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
    written.prior.iter().map(|factor| &factor.kernel).chain(likelihoods).any(|kernel| match kernel {
        KernelRef::Learned(kernel) => kernel_parameters(model, *kernel).iter().any(|id| moved.contains(id)),
        KernelRef::Previous(_) | KernelRef::Environment(..) | KernelRef::Data(_) | KernelRef::InPlace(_) => false,
    })
}

fn unsupported(not_finite: NotFinite) -> Unsupported {
    Unsupported(not_finite.to_string())
}

/// A standard normal draw (Box and Muller 1958).
fn normal(random: &mut Xoshiro256PlusPlus) -> f64 {
    let (u, v): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos()
}
