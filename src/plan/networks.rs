//! Which parameters a layer reads.

use crate::model::{Distribution, KernelId, LayerId, LayerOp, Model, Network, ParameterId, Scores};
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
    layers_of(&model.kernel(kernel).distribution, &mut layers);
    layers.into_iter().flat_map(|layer| parameters_of(&model.network, layer)).collect()
}

fn layers_of(distribution: &Distribution<LayerId>, into: &mut Vec<LayerId>) {
    match distribution {
        Distribution::Uniform => {}
        Distribution::UniformBox { lo: a, hi: b }
        | Distribution::Normal { mean: a, sd: b }
        | Distribution::TanhNormal { mean: a, sd: b }
        | Distribution::Beta { a, b } => into.extend([*a, *b]),
        Distribution::UniformOver(values) => into.extend(values),
        Distribution::Delta(layer) | Distribution::Implicit(layer) => into.push(*layer),
        Distribution::Categorical(scores) | Distribution::Bernoulli(scores) => match scores {
            Scores::Logits(layer) | Scores::Probs(layer) => into.push(*layer),
        },
        Distribution::Mixture(parts) => parts.iter().for_each(|(weight, part)| {
            into.push(*weight);
            layers_of(part, into);
        }),
        Distribution::If { condition, then, otherwise } => {
            into.push(*condition);
            layers_of(then, into);
            layers_of(otherwise, into);
        }
        Distribution::Record(parts) => parts.iter().for_each(|part| layers_of(part, into)),
        Distribution::Sticky { keep, fresh, .. } => {
            into.push(*keep);
            layers_of(fresh, into);
        }
    }
}
