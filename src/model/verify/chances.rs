//! The probabilities of a kernel: weights of a mixture and listed probabilities are at least 0 and,
//! where all are constants, have a sum of 1; the chance to stay lies between 0 and 1.

use super::floors::{between, each_between};
use crate::diagnostic::Diagnostic;
use crate::model::{Distribution, Kernel, LayerId, Model, Scores};
use crate::source::Span;

/// What a sum of constants, and what is computed of intervals, may be off by.
const TOLERANCE: f64 = 1e-9;

pub fn faults(model: &Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for kernel in &model.kernels {
        parts(&kernel.distribution, &mut |distribution| {
            found.extend(fault(model, kernel, distribution))
        });
    }
    found
}

/// A distribution and all within it.
fn parts(distribution: &Distribution<LayerId>, visit: &mut dyn FnMut(&Distribution<LayerId>)) {
    visit(distribution);
    match distribution {
        Distribution::Mixture(weighed) => weighed.iter().for_each(|(_, part)| parts(part, visit)),
        Distribution::If { then, otherwise, .. } => {
            parts(then, visit);
            parts(otherwise, visit);
        }
        Distribution::Record(all) => all.iter().for_each(|part| parts(part, visit)),
        Distribution::Sticky { fresh, .. } => parts(fresh, visit),
        Distribution::Uniform
        | Distribution::UniformBox { .. }
        | Distribution::UniformOver(_)
        | Distribution::Delta(_) => {}
        Distribution::Categorical(_) | Distribution::Bernoulli(_) | Distribution::Implicit(_) => {}
        Distribution::Real { .. } => {}
    }
}

fn fault(
    model: &Model,
    kernel: &Kernel,
    distribution: &Distribution<LayerId>,
) -> Option<Diagnostic> {
    let within = |layer: LayerId, what: &str| {
        let (lowest, highest) = between(model, layer);
        let fits = lowest >= -TOLERANCE && highest <= 1.0 + TOLERANCE;
        (!fits).then(|| {
            let message = format!("{what} of `{}` can lie outside [0, 1]", kernel.name);
            Diagnostic::error("not-a-probability", place(model, kernel, layer), message)
                .hint("pass it through `sigmoid`")
        })
    };
    match distribution {
        Distribution::Mixture(parts) => {
            let weights: Vec<(f64, f64)> =
                parts.iter().map(|(weight, _)| between(model, *weight)).collect();
            let place = |at: usize| place(model, kernel, parts[at].0);
            sum_fault(&weights, (&kernel.name, Of::Mixture), place, kernel.span)
        }
        Distribution::Categorical(Scores::Probs(probs)) => {
            let place = |_| place(model, kernel, *probs);
            sum_fault(&each_between(model, *probs), (&kernel.name, Of::Values), place, kernel.span)
        }
        Distribution::Sticky { keep, .. } => within(*keep, "the probability to stay"),
        Distribution::Bernoulli(Scores::Probs(prob)) => within(*prob, "a probability"),
        Distribution::Uniform
        | Distribution::UniformBox { .. }
        | Distribution::UniformOver(_)
        | Distribution::Delta(_) => None,
        Distribution::Categorical(Scores::Logits(_))
        | Distribution::Bernoulli(Scores::Logits(_)) => None,
        Distribution::Real { .. } => None,
        Distribution::Implicit(_) | Distribution::If { .. } | Distribution::Record(_) => None,
    }
}

/// What numbers that sum to 1 belong to.
#[derive(Clone, Copy)]
enum Of {
    Mixture,
    Values,
}

/// One that can be negative, or constants with another sum than 1.
fn sum_fault(
    ranges: &[(f64, f64)],
    (name, of): (&str, Of),
    place: impl Fn(usize) -> Span,
    whole: Span,
) -> Option<Diagnostic> {
    let (one, several, hint) = match of {
        Of::Mixture => (
            "weight",
            "weights",
            "pass it through `sigmoid` or `softplus`; weights count relative to their sum",
        ),
        Of::Values => {
            ("probability", "probabilities", "write `logits = …`, of which any numbers are")
        }
    };
    if let Some(at) = ranges.iter().position(|range| range.0.is_nan() || range.0 < -TOLERANCE) {
        let told = Diagnostic::error(
            "negative-probability",
            place(at),
            format!("a {one} of `{name}` can be negative"),
        );
        return Some(told.hint(hint));
    }
    let sum: f64 = ranges.iter().map(|range| range.0).sum();
    let constant = ranges.iter().all(|range| range.1 - range.0 <= TOLERANCE);
    (constant && (sum - 1.0).abs() > TOLERANCE).then(|| {
        let told = Diagnostic::error(
            "weights-sum",
            whole,
            format!("the {several} of `{name}` do not sum to 1"),
        );
        let hint = match of {
            Of::Mixture => "let the last one be 1 minus the others",
            Of::Values => {
                "let the last one be 1 minus the others, or divide them by their sum: \
                           `probs = normalize([…])`"
            }
        };
        told.here(format!("they sum to {sum}")).hint(hint)
    })
}

fn place(model: &Model, kernel: &Kernel, layer: LayerId) -> Span {
    let span = model.network.layer(layer).span;
    if span.end > span.start { span } else { kernel.span }
}
