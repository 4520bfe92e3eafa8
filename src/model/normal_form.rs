//! Learned kernels in the one form that what draws, trains and judges knows.
//!
//! `Categorical(probs = p)` has the logits `log p`, and `Bernoulli(probs = p)` the logit
//! `log p − log (1 − p)`, or that of which `p` is the sigmoid. A record of independent parts
//! of one family over real numbers is that family over all of its components.

use super::{Distribution, KernelId, Layer, LayerId, LayerOp, Model, Scores, kernel_parameters};
use crate::expr::{BinaryOp, UnaryOp};
use crate::source::Span;

/// Rewrites the kernels that have parameters; the others stay as they are written.
pub fn normalise(model: &mut Model) {
    for at in 0..model.kernels.len() {
        if kernel_parameters(model, KernelId(at as u32)).is_empty() {
            continue;
        }
        let mut distribution = model.kernels[at].distribution.clone();
        rewrite(model, &mut distribution);
        // the parts of several outputs stay apart
        if model.kernels[at].outputs.len() == 1
            && let Some(joined) = joined(model, &distribution)
        {
            distribution = joined;
        }
        model.kernels[at].distribution = distribution;
    }
}

fn rewrite(model: &mut Model, distribution: &mut Distribution<LayerId>) {
    match distribution {
        Distribution::Categorical(scores) => {
            if let Scores::Probs(probs) = *scores {
                *scores = Scores::Logits(log(model, probs));
            }
        }
        Distribution::Bernoulli(scores) => {
            if let Scores::Probs(prob) = *scores {
                *scores = Scores::Logits(log_odds(model, prob));
            }
        }
        Distribution::Mixture(parts) => {
            parts.iter_mut().for_each(|(_, part)| rewrite(model, part));
        }
        Distribution::If { then, otherwise, .. } => {
            rewrite(model, then);
            rewrite(model, otherwise);
        }
        Distribution::Record(parts) => parts.iter_mut().for_each(|part| rewrite(model, part)),
        Distribution::Sticky { fresh, .. } => rewrite(model, fresh),
        Distribution::Uniform
        | Distribution::UniformBox { .. }
        | Distribution::UniformOver(_)
        | Distribution::Delta(_)
        | Distribution::Real { .. }
        | Distribution::Implicit(_) => {}
    }
}

/// The parts of a record side by side, where they are of one family.
fn joined(
    model: &mut Model,
    distribution: &Distribution<LayerId>,
) -> Option<Distribution<LayerId>> {
    let Distribution::Record(parts) = distribution else { return None };
    let of = |part: &Distribution<LayerId>| match part {
        Distribution::Real { family, arguments } => Some((*family, arguments.clone())),
        _ => None,
    };
    let parts: Vec<_> = parts.iter().map(of).collect::<Option<_>>()?;
    let family = parts.first()?.0;
    if parts.iter().any(|(other, _)| *other != family) {
        return None;
    }
    let arguments = (0..family.arguments().len()).map(|at| {
        let layers: Vec<LayerId> = parts.iter().map(|(_, arguments)| arguments[at]).collect();
        let width = layers.iter().map(|layer| model.network.layer(*layer).width).sum();
        let span = model.network.layer(layers[0]).span;
        push(model, LayerOp::Concat(layers), width, span)
    });
    Some(Distribution::Real { family, arguments: arguments.collect() })
}

fn log_odds(model: &mut Model, prob: LayerId) -> LayerId {
    // whose logit it is the sigmoid of, which does not round to 0 or 1
    if let LayerOp::Unary(UnaryOp::Sigmoid, logit) = model.network.layer(prob).op {
        return logit;
    }
    let span = model.network.layer(prob).span;
    let one = model.graph.constant(1.0);
    let one = push(model, LayerOp::Scalars(vec![one]), 1, span);
    let rest = push(model, LayerOp::Binary(BinaryOp::Subtract, one, prob), 1, span);
    let (of_one, of_zero) = (log(model, prob), log(model, rest));
    push(model, LayerOp::Binary(BinaryOp::Subtract, of_one, of_zero), 1, span)
}

fn log(model: &mut Model, of: LayerId) -> LayerId {
    let (width, span) = (model.network.layer(of).width, model.network.layer(of).span);
    push(model, LayerOp::Unary(UnaryOp::Log, of), width, span)
}

fn push(model: &mut Model, op: LayerOp, width: usize, span: Span) -> LayerId {
    model.network.layers.push(Layer { op, width, span });
    LayerId(model.network.layers.len() as u32 - 1)
}

#[cfg(test)]
mod tests {
    use crate::model::{Distribution, Overrides, Scores, check};
    use crate::source::Source;
    use crate::syntax::parse;

    #[test]
    fn learned_probabilities_become_logits_and_constants_stay() {
        let text = "model coin
            horizon T = 2
            environment line {
              state s : 0..2; action a : bool; reward r
              s[1] ~ Delta(0)
              s[t+1] ~ Delta(if a[t] then min(s[t] + 1, 2) else s[t])
              r[t] = -s[t]
            }
            kernel pi(a | s) = Bernoulli(probs = 0.1 + 0.8 * sigmoid(linear(s)))
            kernel rarely(a | s) = Bernoulli(probs = 0.1)
            prior { s[1] ~ line.initial; a[t] ~ rarely(s[t])
                    s[t+1] ~ line.transition(s[t], a[t]) }
            likelihood { R[t] ~ exp(r[t]) }
            posterior { s[1] ~ line.initial; a[t] ~ pi(s[t])
                        s[t+1] ~ line.transition(s[t], a[t]) }";
        let file = parse(&Source::new("coin.rlmodel", text)).expect("the text is a model");
        let model = check(&file, &Overrides::default()).expect("nothing is wrong with it");
        let scores = |name: &str| {
            let kernel = model.kernels.iter().find(|kernel| kernel.name == name);
            match &kernel.expect("a kernel").distribution {
                Distribution::Bernoulli(scores) => matches!(scores, Scores::Logits(_)),
                other => panic!("{other:?}"),
            }
        };
        assert!(scores("pi") && !scores("rarely"));
    }
}
