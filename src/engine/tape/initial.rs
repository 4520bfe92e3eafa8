//! Initial values of a model's parameters: the scheme that [`crate::engine::tape::parameters`]
//! states.

use crate::engine::numeric::stream;
use crate::model::{Distribution, LayerId, LayerOp, Model, Network, ParameterId, Scores};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::f64::consts::SQRT_2;

/// All parameters in the order of their ids, row-major.
pub fn values(model: &Model, seed: u64) -> Vec<f64> {
    let lengths = lengths(model);
    let mut values = Vec::new();
    for (parameter, length) in model.network.parameters.iter().zip(lengths) {
        let count = parameter.rows * parameter.columns;
        match length {
            None => values.resize(values.len() + count, parameter.start),
            Some(length) => {
                let mut random = Xoshiro256PlusPlus::seed_from_u64(seed ^ hash(&parameter.name));
                values.extend(orthogonal(parameter.rows, parameter.columns, length, &mut random));
            }
        }
    }
    values
}

/// The length of each weight's orthogonal vectors; `None` for what starts at 0.
fn lengths(model: &Model) -> Vec<Option<f64>> {
    let network = &model.network;
    let mut lengths = vec![None; network.parameters.len()];
    let mut set = |id: &ParameterId, length: f64| lengths[id.0 as usize] = Some(length);
    for layer in &network.layers {
        match &layer.op {
            LayerOp::Linear { weight, .. } => set(weight, 1.0),
            LayerOp::Mlp { weights, last, .. } => {
                for (at, (weight, _)) in weights.iter().enumerate() {
                    set(
                        weight,
                        if at + 1 < weights.len() || last.is_some() { SQRT_2 } else { 1.0 },
                    );
                }
            }
            // a recurrent unit's weights: all but the biases, which are single rows
            LayerOp::Gru { parameters, .. } => {
                parameters
                    .iter()
                    .filter(|id| network.parameter(**id).rows > 1)
                    .for_each(|id| set(id, 1.0));
            }
            LayerOp::Formal { .. }
            | LayerOp::Scalars(_)
            | LayerOp::Concat(_)
            | LayerOp::Table { .. }
            | LayerOp::Per { .. }
            | LayerOp::Noise
            | LayerOp::Simulate(_)
            | LayerOp::Unary(..)
            | LayerOp::Binary(..)
            | LayerOp::Sum(_)
            | LayerOp::Mixture(_) => {}
        }
    }
    for kernel in &model.kernels {
        for layer in score_layers(&kernel.distribution) {
            last_weights(network, layer).iter().for_each(|weight| set(weight, 0.01));
        }
    }
    lengths
}

/// The layers that are logits or means somewhere in a distribution.
fn score_layers(distribution: &Distribution<LayerId>) -> Vec<LayerId> {
    match distribution {
        Distribution::Categorical(Scores::Logits(layer))
        | Distribution::Bernoulli(Scores::Logits(layer)) => vec![*layer],
        Distribution::Real { family, arguments } => {
            let named = family.arguments().iter().zip(arguments);
            named.filter(|(argument, _)| !argument.positive).map(|(_, layer)| *layer).collect()
        }
        Distribution::Mixture(parts) => {
            parts.iter().flat_map(|(_, part)| score_layers(part)).collect()
        }
        Distribution::Record(parts) => parts.iter().flat_map(score_layers).collect(),
        Distribution::If { then, otherwise, .. } => {
            [score_layers(then), score_layers(otherwise)].concat()
        }
        Distribution::Sticky { fresh, .. } => score_layers(fresh),
        Distribution::Categorical(Scores::Probs(_))
        | Distribution::Bernoulli(Scores::Probs(_))
        | Distribution::Uniform
        | Distribution::UniformBox { .. }
        | Distribution::UniformOver(_)
        | Distribution::Delta(_)
        | Distribution::Implicit(_) => vec![],
    }
}

/// The weights that a layer ends in, those of each of the distributions that it is made of.
fn last_weights(network: &Network, layer: LayerId) -> Vec<ParameterId> {
    match &network.layer(layer).op {
        LayerOp::Linear { weight, .. } => vec![*weight],
        LayerOp::Mlp { weights, .. } => {
            weights.last().map(|(weight, _)| *weight).into_iter().collect()
        }
        LayerOp::Per { heads, .. } => last_weights(network, *heads),
        LayerOp::Sum(parts) => {
            parts.iter().flat_map(|(part, _)| last_weights(network, *part)).collect()
        }
        LayerOp::Mixture(parts) => {
            parts.iter().flat_map(|part| last_weights(network, part.logits)).collect()
        }
        LayerOp::Formal { .. }
        | LayerOp::Scalars(_)
        | LayerOp::Concat(_)
        | LayerOp::Table { .. }
        | LayerOp::Gru { .. }
        | LayerOp::Noise
        | LayerOp::Simulate(_)
        | LayerOp::Unary(..)
        | LayerOp::Binary(..) => vec![],
    }
}

/// A `rows × columns` matrix whose shorter side is a set of orthogonal vectors of length `length`:
/// Gram and Schmidt's process on normal draws.
fn orthogonal(rows: usize, columns: usize, length: f64, random: &mut impl Rng) -> Vec<f64> {
    let (count, size) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    while vectors.len() < count {
        let mut vector: Vec<f64> = (0..size).map(|_| stream::normal(random)).collect();
        // twice, since one pass in floating point leaves a remainder
        for _ in 0..2 {
            for other in &vectors {
                let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                vector.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
        }
        let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm > 1e-6 {
            vector.iter_mut().for_each(|v| *v /= norm);
            vectors.push(vector);
        }
    }
    let entry = |row: usize, column: usize| {
        if rows <= columns { vectors[row][column] } else { vectors[column][row] }
    };
    (0..rows * columns).map(|at| length * entry(at / columns, at % columns)).collect()
}

/// FNV-1a: a hash that is the same in every release.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
