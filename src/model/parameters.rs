//! Which layers and parameters a layer reads, and which of a kernel's layers are simulated
//! rollouts.

use super::{KernelId, LayerId, LayerOp, Model, Network, ParameterId, Simulation};
use std::collections::BTreeSet;

/// All parameters that the value of `layer` depends on; not those of the kernels that a simulated
/// rollout draws from, through which no gradient passes.
pub fn parameters_of(network: &Network, layer: LayerId) -> BTreeSet<ParameterId> {
    let mut found = BTreeSet::new();
    for layer in layers_of(network, layer) {
        match &network.layer(layer).op {
            LayerOp::Table { weight, .. } => {
                found.insert(*weight);
            }
            LayerOp::Linear { weight, bias, .. } => found.extend([*weight, *bias]),
            LayerOp::Mlp { weights, .. } => {
                found.extend(weights.iter().flat_map(|&(weight, bias)| [weight, bias]))
            }
            LayerOp::Gru { parameters, .. } => found.extend(parameters),
            LayerOp::Formal { .. }
            | LayerOp::Scalars(_)
            | LayerOp::Noise
            | LayerOp::Simulate(_)
            | LayerOp::Concat(_)
            | LayerOp::Per { .. }
            | LayerOp::Unary(..)
            | LayerOp::Binary(..)
            | LayerOp::Sum(_)
            | LayerOp::Mixture(_) => {}
        }
    }
    found
}

/// The layer itself and all that it is computed from, each once.
pub fn layers_of(network: &Network, layer: LayerId) -> BTreeSet<LayerId> {
    let mut found = BTreeSet::new();
    let mut stack = vec![layer];
    while let Some(layer) = stack.pop() {
        if !found.insert(layer) {
            continue;
        }
        match &network.layer(layer).op {
            LayerOp::Formal { .. }
            | LayerOp::Scalars(_)
            | LayerOp::Noise
            | LayerOp::Simulate(_)
            | LayerOp::Table { .. }
            | LayerOp::Gru { .. } => {}
            LayerOp::Concat(parts) => stack.extend(parts),
            LayerOp::Linear { input, .. }
            | LayerOp::Mlp { input, .. }
            | LayerOp::Unary(_, input) => stack.push(*input),
            LayerOp::Per { heads, .. } => stack.push(*heads),
            LayerOp::Binary(_, left, right) => stack.extend([*left, *right]),
            LayerOp::Sum(parts) => stack.extend(parts.iter().map(|(part, _)| *part)),
            LayerOp::Mixture(parts) => {
                stack.extend(parts.iter().flat_map(|part| [part.weight, part.logits]));
            }
        }
    }
    found
}

/// All parameters of a kernel's distribution.
pub fn kernel_parameters(model: &Model, kernel: KernelId) -> BTreeSet<ParameterId> {
    let mut layers = Vec::new();
    model.kernel(kernel).distribution.for_each(&mut |layer: &LayerId| layers.push(*layer));
    layers.into_iter().flat_map(|layer| parameters_of(&model.network, layer)).collect()
}

impl Model {
    /// The layers of a kernel's networks that are simulated rollouts.
    pub fn simulations_of(&self, kernel: KernelId) -> BTreeSet<LayerId> {
        let mut roots = Vec::new();
        self.kernel(kernel).distribution.for_each(&mut |layer: &LayerId| roots.push(*layer));
        let layers = roots.into_iter().flat_map(|root| layers_of(&self.network, root));
        layers.filter(|layer| self.simulation(*layer).is_some()).collect()
    }

    /// The rollout that a layer is, if it is one.
    pub fn simulation(&self, layer: LayerId) -> Option<&Simulation> {
        if let LayerOp::Simulate(simulation) = &self.network.layer(layer).op {
            Some(simulation)
        } else {
            None
        }
    }
}
