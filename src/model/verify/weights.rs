//! The weights of a mixture in a kernel: at least 0, and, where all are constants, with a sum of 1.

use super::floors::between;
use crate::diagnostic::Diagnostic;
use crate::model::{Distribution, Kernel, LayerId, Model};

/// What a sum of constants, and what is computed of intervals, may be off by.
const TOLERANCE: f64 = 1e-9;

pub fn faults(model: &Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for kernel in &model.kernels {
        mixtures(&kernel.distribution, &mut |parts| found.extend(fault(model, kernel, parts)));
    }
    found
}

type Parts = [(LayerId, Distribution<LayerId>)];

/// Every mixture within a distribution.
fn mixtures(distribution: &Distribution<LayerId>, visit: &mut dyn FnMut(&Parts)) {
    match distribution {
        Distribution::Mixture(parts) => {
            visit(parts);
            parts.iter().for_each(|(_, part)| mixtures(part, visit));
        }
        Distribution::If { then, otherwise, .. } => {
            mixtures(then, visit);
            mixtures(otherwise, visit);
        }
        Distribution::Record(parts) => parts.iter().for_each(|part| mixtures(part, visit)),
        Distribution::Sticky { fresh, .. } => mixtures(fresh, visit),
        Distribution::Uniform | Distribution::UniformBox { .. } | Distribution::UniformOver(_) | Distribution::Delta(_) => {}
        Distribution::Categorical(_) | Distribution::Bernoulli(_) | Distribution::Implicit(_) => {}
        Distribution::Normal { .. } | Distribution::TanhNormal { .. } | Distribution::Beta { .. } => {}
    }
}

fn fault(model: &Model, kernel: &Kernel, parts: &Parts) -> Option<Diagnostic> {
    let ranges: Vec<(f64, f64)> = parts.iter().map(|(weight, _)| between(model, *weight)).collect();
    let name = &kernel.name;
    if let Some(at) = ranges.iter().position(|range| range.0.is_nan() || range.0 < -TOLERANCE) {
        let span = model.network.layer(parts[at].0).span;
        let span = if span.end > span.start { span } else { kernel.span };
        let told = Diagnostic::error("negative-probability", span, format!("a weight of `{name}` can be negative"));
        return Some(told.hint("pass it through `sigmoid` or `softplus`; weights count relative to their sum"));
    }
    let sum: f64 = ranges.iter().map(|range| range.0).sum();
    let constant = ranges.iter().all(|range| range.1 - range.0 <= TOLERANCE);
    (constant && (sum - 1.0).abs() > TOLERANCE).then(|| {
        let told = Diagnostic::error("weights-sum", kernel.span, format!("the weights of `{name}` do not sum to 1"));
        told.here(format!("they sum to {sum}")).hint("let the last one be 1 minus the others")
    })
}
