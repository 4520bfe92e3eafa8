//! The best that a bound's own parameters can reach: the exact `L` of a finite model, or `M`,
//! raised over the parameters of its networks.

use super::anneal;
use super::ascent::{End, Family, Objective, agrees, evidence_moves, moved, unsupported};
use crate::engine::network::unsupported::Unsupported;
use crate::engine::numeric::stream;
use crate::engine::tables::kernels::kernel_tables;
use crate::engine::tape::parameters::Parameters;
use crate::exact::{Ask, Evaluator, Patience};
use crate::finite::KernelTables;
use crate::model::{BoundId, Model};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// What the parameters of a bound can reach.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Of `L`.
    pub bound: Optimum,
    /// Of `M`: absent where there is no reverse model, so that `M` is `L`; where `M` would be a sum
    /// over more than [`crate::exact::PATHS`] trajectories; and where the evidence moves with the
    /// parameters.
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
    /// Those that ended within a millionth of the best, relative to its size, before it was raised
    /// to where no step helps; it is among them if it is finite.
    pub agreed: usize,
    /// Of all of them.
    pub iterations: u64,
}

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
/// of `L` also by annealing and from projections, finished by an ascent of its own; once one has
/// reached what no policy exceeds, the others are not made. The same input gives the same bits.
///
/// # Errors
/// One sentence, where the oracle or [`crate::engine::tabulate`] does not take the model, the
/// trajectories
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
pub(in crate::engine) fn optimise_until(
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
        ends.push(family.climb(start, 1.0, Patience::rough(iterations))?);
        if objective == Objective::Bound && family.has_moved() {
            ends.extend(anneal::upwards(&family, start, iterations)?);
        }
    }
    let used: u64 = ends.iter().map(|end| end.iterations).sum();
    let starts = ends.len();
    // the first of equals, so that more ascents do not change what is found without need
    let best = ends.iter().map(|end| end.value).fold(f64::NEG_INFINITY, f64::max);
    let agreed = ends.iter().filter(|end| agrees(end.value, best)).count();
    let rough = ends
        .into_iter()
        .find(|end| end.value == best)
        .ok_or_else(|| Unsupported("no ascent has a number".to_owned()))?;
    let End { parameters, value: bound, iterations: more } =
        family.climb(&rough.parameters, 1.0, Patience::whole(iterations))?;
    let tables = kernel_tables(model, family.bound, &parameters, previous)?;
    Ok(Optimum { parameters, tables, bound, starts, agreed, iterations: used + more })
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
                values.fill_with(|| stream::normal(&mut random));
            }
            if !moved.contains(&id) {
                values.copy_from_slice(held.get(id));
            }
        }
        parameters
    };
    (0..seeds).map(of_seed).chain(current.cloned()).collect()
}
