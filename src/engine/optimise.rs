//! The best that a bound's own parameters can reach: the exact `L` of a finite model, raised over the parameters of its networks.

use super::network::Unsupported;
use super::parameters::Parameters;
use super::tables::kernel_tables;
use super::tabulate::pull_back;
use crate::exact::{Evaluator, Slope, maximise};
use crate::finite::KernelTables;
use crate::model::{BoundId, KernelId, Model, ParameterId, kernel_parameters};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeSet;
use std::f64::consts::TAU;

/// The best of some ascents.
#[derive(Clone, Debug)]
pub struct Optimum {
    pub parameters: Parameters<f64>,
    /// The kernels at these parameters.
    pub tables: KernelTables,
    /// `L`, nats.
    pub bound: f64,
    /// Ascents made.
    pub starts: usize,
    /// Of all of them.
    pub iterations: u64,
}

/// Raises the exact `L` from each start, over the parameters that `maximize … over …` moves (all, where the file does not say), by L-BFGS on
/// the exact gradient pulled back through the networks, in float64; at most `iterations` steps each. The copies `previous pi` keep the
/// parameters of `previous`. `L` is not concave: what is found is the best of these ascents. The same input gives the same bits.
///
/// # Errors
/// One sentence, where the oracle or [`super::tabulate`] does not take the model, or there is no start.
pub fn optimise(
    model: &Model,
    bound: BoundId,
    starts: &[Parameters<f64>],
    previous: &Parameters<f64>,
    iterations: u64,
) -> Result<Optimum, Unsupported> {
    let family = Family { model, bound, previous, evaluator: Evaluator::new(model, bound), moved: moved(model, bound) };
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

/// Where ascents may begin: the initial parameters of `seeds` seeds, and `current` where there are some. From the second seed on, what would
/// begin at 0 (tables and biases) is drawn from a standard normal distribution: where options are alike, no gradient tells them apart.
pub fn starts(model: &Model, seeds: u64, current: Option<&Parameters<f64>>) -> Vec<Parameters<f64>> {
    let of_seed = |seed| {
        let mut parameters = Parameters::initial(model, seed);
        if seed > 0 {
            let layout = parameters.layout().clone();
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            for id in layout.ids() {
                let values = &mut parameters.values_mut()[layout.range(id)];
                if values.iter().all(|&value| value == 0.0) {
                    values.fill_with(|| normal(&mut random));
                }
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
        let evaluation = self.evaluator.evaluate(&tables).map_err(|not_finite| Unsupported(not_finite.to_string()))?;
        let mut gradient = parameters.zero_gradient();
        for (&kernel, of_table) in &evaluation.gradient {
            let part = pull_back(self.model, &parameters, kernel, of_table)?;
            gradient.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        let layout = parameters.layout();
        Ok((evaluation.bound, self.moved.iter().flat_map(|&id| &gradient[layout.range(id)]).copied().collect()))
    }
}

fn moved(model: &Model, bound: BoundId) -> BTreeSet<ParameterId> {
    let objectives = model.objectives.iter().filter(|objective| objective.bound == bound);
    let over: Vec<KernelId> = objectives.flat_map(|objective| objective.over.iter().copied()).collect();
    let all = (0..model.kernels.len() as u32).map(KernelId);
    let kernels: Vec<KernelId> = if over.is_empty() { all.collect() } else { over };
    kernels.into_iter().flat_map(|kernel| kernel_parameters(model, kernel)).collect()
}

/// A standard normal draw (Box and Muller 1958).
fn normal(random: &mut Xoshiro256PlusPlus) -> f64 {
    let (u, v): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos()
}
