//! What kernels imagine before they draw, as part of a derivation.
//!
//! A kernel `pi(a | s, ŝ)` that sees a rollout `ŝ ~ r(· | s)` is, with `ŝ` as an auxiliary
//! variable, a pair of factors `r(ŝ | s) pi(a | s, ŝ)`. The factor `r` is the same in prior and
//! posterior, so `log r − log r = 0` leaves the bound, and what is left of it is taken in
//! expectation over `ŝ`.

use super::derivation::{Gradient, Imagined, Remark, Reparameterised};
use crate::model::{
    Actor, Bound, KernelId, KernelRef, LayerId, Model, ParameterId, Simulation, Target,
    TargetVariable, kernel_parameters,
};
use std::collections::BTreeSet;

/// The rollouts in kernels that the bound draws from, each once.
pub fn imagined(model: &Model, bound: &Bound) -> Vec<Imagined> {
    let told = |simulation: &Simulation| Imagined {
        by: model.kernel(simulation.kernel).name.clone(),
        rollout: simulation.show(model),
    };
    simulations(model, bound).map(told).collect()
}

/// What the gradient leaves out.
pub fn remarks(model: &Model, bound: &Bound, gradient: &Gradient) -> Vec<Remark> {
    let scored = gradient.scores.iter().filter_map(|score| score.kernel);
    let moved =
        scored.chain(gradient.pathwise.iter().flat_map(|term| term.kernels.iter().copied()));
    let moving: BTreeSet<ParameterId> =
        moved.flat_map(|kernel| kernel_parameters(model, kernel)).collect();
    let mut remarks = Vec::new();
    for simulation in simulations(model, bound) {
        let name = |kernel: KernelId| &model.kernel(kernel).name;
        let by = name(simulation.kernel);
        let is_followed = |draw: &Reparameterised| {
            let targets = &bound.factor(draw.factor).targets;
            targets.iter().any(|target| {
                let state = TargetVariable::Variable(simulation.state);
                matches!(target, Target::Variable { variable, .. } if *variable == state)
            })
        };
        remarks.push(Remark(match gradient.reparameterised.iter().any(is_followed) {
            true => format!(
                "what {by} imagines moves with the state that it imagines from; the gradient \
                 passes through these draws to that"
            ),
            false => format!(
                "the score of {by} is conditional on what it imagined; no gradient passes through \
                 these draws"
            ),
        }));
        let mut drawn_from = vec![simulation.world];
        if let Actor::Present(policy) = simulation.policy {
            drawn_from.push(policy);
        }
        for kernel in drawn_from
            .into_iter()
            .filter(|kernel| !kernel_parameters(model, *kernel).is_disjoint(&moving))
        {
            let kernel = name(kernel);
            remarks.push(Remark(format!(
                "{by} imagines with {kernel}, which moves: how that moves \
                                         what is imagined is left out; biased"
            )));
        }
    }
    remarks.dedup();
    remarks
}

fn simulations<'m>(model: &'m Model, bound: &Bound) -> impl Iterator<Item = &'m Simulation> {
    let kernels =
        bound.prior.iter().chain(&bound.posterior).filter_map(|factor| match factor.kernel {
            KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => Some(kernel),
            KernelRef::Environment(..) | KernelRef::Data(_) | KernelRef::InPlace(_) => None,
        });
    let layers: BTreeSet<LayerId> =
        kernels.flat_map(|kernel| model.simulations_of(kernel)).collect();
    layers.into_iter().filter_map(|layer| model.simulation(layer))
}
