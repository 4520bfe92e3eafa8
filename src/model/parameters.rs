//! Which parameters a layer reads.

use super::{KernelId, LayerId, LayerOp, Model, Network, ParameterId};
use std::collections::BTreeSet;

/// All parameters that the value of `layer` depends on.
pub fn parameters_of(network: &Network, layer: LayerId) -> BTreeSet<ParameterId> {
    let mut found = BTreeSet::new();
    let mut stack = vec![layer];
    while let Some(layer) = stack.pop() {
        match &network.layer(layer).op {
            LayerOp::Formal { .. } | LayerOp::Scalars(_) | LayerOp::Noise => {}
            LayerOp::Concat(parts) => stack.extend(parts),
            LayerOp::Table { weight, .. } => {
                found.insert(*weight);
            }
            LayerOp::Linear { input, weight, bias } => {
                stack.push(*input);
                found.extend([*weight, *bias]);
            }
            LayerOp::Mlp { input, weights, .. } => {
                stack.push(*input);
                found.extend(weights.iter().flat_map(|&(weight, bias)| [weight, bias]));
            }
            LayerOp::Per { heads, .. } => stack.push(*heads),
            LayerOp::Gru { parameters, .. } => found.extend(parameters),
            LayerOp::Unary(_, input) => stack.push(*input),
            LayerOp::Binary(_, left, right) => stack.extend([*left, *right]),
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
