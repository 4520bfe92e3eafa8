//! Where estimators are judged: parameters away from the initial ones, at several scales, and the
//! oracle's gradient there.

use crate::engine::error::EngineError;
use crate::engine::network::unsupported::Unsupported;
use crate::engine::tables::kernels::kernel_tables;
use crate::engine::tables::numbers::verify_numbers;
use crate::engine::tables::tabulate::{pull_back_all, tabulate};
use crate::engine::tape::parameters::Parameters;
use crate::exact::Evaluator;
use crate::finite::KernelTable;
use crate::model::{KernelId, ParameterId, kernel_parameters};
use crate::plan::Plan;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeSet;

/// How far from the initial parameters an estimator is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Nothing drawn is rarer than this part of what it is at initial parameters, so that
    /// trajectories go everywhere.
    pub rarest: f64,
    /// Noise on parameters that nothing is drawn by, such as those of a reverse model: they change
    /// what is credited and not what is met.
    pub others: f64,
}

/// From near the initial parameters to far from them: a term that depends on the policy's
/// divergence from its prior, or on what a reverse model knows, is small at the first and large at
/// the last.
pub const SCALES: [Scale; 3] = [
    Scale { rarest: 0.5, others: 0.3 },
    Scale { rarest: 0.125, others: 1.0 },
    Scale { rarest: 1.0 / 64.0, others: 3.0 },
];

/// Parameters, and `∇L` there.
#[derive(Clone, Debug)]
pub struct Viewpoint {
    pub parameters: Parameters<f64>,
    /// Those of the last round, which priors may read: others, as they are in the midst of a round.
    pub previous: Parameters<f64>,
    /// Of the oracle, flat, in the layout of the parameters.
    pub exact: Vec<f64>,
}

impl Viewpoint {
    /// Initial values with noise added to each, by `seed`.
    ///
    /// # Errors
    /// One sentence: the model is not finite, a kernel has no probabilities there, or the bound is
    /// −∞.
    pub fn of(plan: &Plan, scale: Scale, seed: u64) -> Result<Viewpoint, EngineError> {
        let parameters = random_parameters(plan, scale, seed)?;
        let previous = random_parameters(plan, scale, !seed)?;
        Viewpoint::at(plan, parameters, previous)
    }

    /// # Errors
    /// As [`Viewpoint::of`].
    pub fn at(
        plan: &Plan,
        parameters: Parameters<f64>,
        previous: Parameters<f64>,
    ) -> Result<Viewpoint, EngineError> {
        let exact = exact_gradient(plan, &parameters, &previous)?;
        Ok(Viewpoint { parameters, previous, exact })
    }
}

/// `∇L` of the oracle, flat, in the layout of the parameters.
///
/// # Errors
/// One sentence: the model is not finite, a kernel has no table, or the bound is −∞.
pub fn exact_gradient(
    plan: &Plan,
    parameters: &Parameters<f64>,
    previous: &Parameters<f64>,
) -> Result<Vec<f64>, EngineError> {
    let bound = plan.derivation.bound;
    let tables = kernel_tables(&plan.model, bound, parameters, previous)
        .map_err(|error| unsupported(&error))?;
    for (&kernel, table) in tables.current.iter().chain(&tables.previous) {
        verify_numbers(&plan.model, kernel, table)?;
    }
    let evaluation = Evaluator::new(&plan.model, bound)
        .evaluate(&tables)
        .map_err(|error| unsupported(&error))?;
    let gradient = pull_back_all(&plan.model, parameters, &evaluation.gradient)
        .map_err(|error| unsupported(&error))?;
    if gradient.iter().all(|g| g.is_finite()) {
        return Ok(gradient);
    }
    let bound = evaluation.bound;
    Err(EngineError::Unsupported(format!(
        "at random parameters the bound is {bound}, and has no gradient"
    )))
}

/// Initial values with noise in −c..c added to each, away from the uniform policy. For what draws,
/// `c` is halved until every outcome has its chance.
///
/// # Errors
/// One sentence: the policy has no table.
pub fn random_parameters(
    plan: &Plan,
    scale: Scale,
    seed: u64,
) -> Result<Parameters<f64>, EngineError> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let initial = Parameters::<f64>::initial(&plan.model, seed);
    let noise: Vec<f64> =
        initial.values().iter().map(|_| 2.0 * random.random::<f64>() - 1.0).collect();
    let drawing: BTreeSet<ParameterId> =
        drawn(plan).flat_map(|kernel| kernel_parameters(&plan.model, kernel)).collect();
    let mut draws = vec![false; noise.len()];
    drawing.iter().for_each(|&id| draws[initial.layout().range(id)].fill(true));
    let plain = tables(plan, &initial)?;
    let mut size = -scale.rarest.ln();
    loop {
        let mut parameters = initial.clone();
        let sizes = draws.iter().map(|draws| if *draws { size } else { scale.others });
        parameters
            .values_mut()
            .iter_mut()
            .zip(&noise)
            .zip(sizes)
            .for_each(|((value, noise), size)| *value += size * noise);
        let noisy = tables(plan, &parameters)?;
        let likely = |(table, least): (&KernelTable, &KernelTable)| {
            table
                .log_probability
                .iter()
                .zip(&least.log_probability)
                .all(|(log_p, least)| *log_p >= least + scale.rarest.ln())
        };
        if size < 1e-3 || noisy.iter().zip(&plain).all(likely) {
            return Ok(parameters);
        }
        size *= 0.5;
    }
}

/// The kernels that draw.
fn drawn(plan: &Plan) -> impl Iterator<Item = KernelId> {
    plan.draws.iter().chain(plan.states.iter().map(|of| &of.draw)).map(|draw| draw.kernel)
}

fn tables(plan: &Plan, parameters: &Parameters<f64>) -> Result<Vec<KernelTable>, EngineError> {
    let table = |kernel| {
        let table = tabulate(&plan.model, parameters, kernel)
            .map_err(|error: Unsupported| unsupported(&error))?;
        verify_numbers(&plan.model, kernel, &table)?;
        Ok(table)
    };
    drawn(plan).map(table).collect()
}

fn unsupported(sentence: &dyn std::fmt::Display) -> EngineError {
    EngineError::Unsupported(sentence.to_string())
}
