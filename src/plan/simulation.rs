//! The rollouts that a bound's kernels imagine, and what draws them.

use super::draw::{Draw, kernel_head, lead};
use super::read::{Read, another_time, learned, reads};
use super::{Head, MeanField, refused};
use crate::diagnostic::Diagnostic;
use crate::model::{
    Actor, Bound, Factor, KernelId, LayerId, Model, ParameterId, VariableId, kernel_parameters,
    parameters_of,
};
use std::collections::BTreeSet;

/// What a step draws before all else, and no gradient passes through.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// The layer of the model's network that it fills.
    pub layer: LayerId,
    pub world: Head,
    pub policy: Head,
    /// The state that it starts from, as its kernel reads it at `t`.
    pub start: Read,
}

/// Those of a bound, in the order of their layers.
pub(super) fn simulations(
    model: &Model,
    bound: &Bound,
    draws: &[&Draw],
    weights: &[MeanField],
) -> Result<Vec<Simulation>, Vec<Diagnostic>> {
    let layers: BTreeSet<LayerId> =
        kernels(bound).into_iter().flat_map(|kernel| model.simulations_of(kernel)).collect();
    let mut found = Vec::with_capacity(layers.len());
    for layer in layers {
        let Some(written) = model.simulation(layer) else { continue };
        let span = model.network.layer(layer).span;
        if let Actor::Previous(policy) = written.policy
            && let Some(field) = weights.iter().find(|field| is_read_by(model, field, policy))
        {
            let name = &model.kernel(field.kernel).name;
            return Err(vec![refused(
                span,
                format!(
                    "the weights of `{name}` are drawn: what it was in the last round is a mixture \
                     over all of them, and no copy"
                ),
            )]);
        }
        let head = |kernel: KernelId, variable: VariableId| kernel_head(model, kernel, variable);
        let (world, policy) =
            (head(written.world, written.state)?, head(written.policy.kernel(), written.action)?);
        let kernel = written.kernel;
        let given = written.formal as usize - model.kernel(kernel).outputs.len();
        let start = match draws.iter().find(|draw| draw.kernel == kernel) {
            Some(draw) => draw.reads[given],
            None => read_of_prior(model, bound, kernel, given)?,
        };
        found.push(Simulation { layer, world, policy, start });
    }
    Ok(found)
}

/// What a given of a kernel that stands in the prior alone reads.
fn read_of_prior(
    model: &Model,
    bound: &Bound,
    kernel: KernelId,
    given: usize,
) -> Result<Read, Vec<Diagnostic>> {
    let is_of = |factor: &&Factor| learned(&factor.kernel).is_some_and(|(of, _)| of == kernel);
    let factor = bound.prior.iter().chain(&bound.posterior).find(is_of);
    let factor = factor.expect("simulation: a factor of the bound draws from its kernel");
    let who = format!("`{}`", model.kernel(kernel).name);
    let read = reads(model, &factor.arguments, factor.span, &who)?[given];
    read.earlier(lead(factor)).ok_or_else(|| another_time(model, factor))
}

/// The parameters that draw what is imagined; no gradient reaches them by it, and draws depend on
/// them.
pub(super) fn parameters(model: &Model, simulations: &[Simulation]) -> BTreeSet<ParameterId> {
    let layers = simulations.iter().flat_map(|simulation| {
        simulation.world.layers().into_iter().chain(simulation.policy.layers())
    });
    layers.flat_map(|layer| parameters_of(&model.network, layer)).collect()
}

fn is_read_by(model: &Model, field: &MeanField, kernel: KernelId) -> bool {
    let read = kernel_parameters(model, kernel);
    field.parameters.iter().any(|(mean, _)| read.contains(mean))
}

/// One draws its actions from a copy of the last round.
pub(super) fn reads_previous(model: &Model, simulations: &[Simulation]) -> bool {
    let policies = simulations
        .iter()
        .filter_map(|simulation| model.simulation(simulation.layer))
        .map(|simulation| simulation.policy);
    policies.into_iter().any(|policy| matches!(policy, Actor::Previous(_)))
}

/// The kernels of a file that the factors of prior and posterior draw from.
fn kernels(bound: &Bound) -> BTreeSet<KernelId> {
    bound
        .prior
        .iter()
        .chain(&bound.posterior)
        .filter_map(|factor| learned(&factor.kernel))
        .map(|(kernel, _)| kernel)
        .collect()
}
