use super::Work;
use crate::bound::density::{Density, density};
use crate::bound::derivation::{Change, Relation, Rule, Shape, Step};
use crate::expr::{ExprId, InputId};
use crate::model::{Distribution, Factor, FormalVariable, Input, KernelRef, Kind, LayerId, LayerOp, Model, Scores, Target, VariableId};
use std::collections::HashMap;

/// log p(R̂) = log E_q[ Π P / Π Q · exp ΣΛ ]
///
/// Averaging over the posterior instead of the prior, with the ratio of the two as weight. An equality where the posterior reaches
/// wherever the prior and the likelihood have mass; where it may not, the right side is the smaller one (≥).
pub fn importance(work: &mut Work) {
    let mut others: HashMap<Target, Vec<&Factor>> = HashMap::new();
    for p in work.bound.prior.iter().chain(&work.bound.auxiliary) {
        others.entry(p.targets[0]).or_default().push(p);
    }
    let short = work.bound.posterior.iter().find(|q| !reaches(work.model, others.get(&q.targets[0]).map_or(&[], Vec::as_slice), q));
    let (relation, note) = match short {
        None => (Relation::Equal, None),
        Some(_) => (Relation::AtLeast, Some("the posterior may leave out what the prior can reach".to_owned())),
    };
    work.steps.push(Step {
        rule: Rule::Importance,
        relation,
        change: Change::Shape { before: Shape::Evidence, after: Shape::LogExpectation },
        note,
    });
}

/// Whether a factor of the posterior is the prior's own, or positive everywhere.
fn reaches(model: &Model, partners: &[&Factor], q: &Factor) -> bool {
    let same = |p: &Factor| p.targets == q.targets && p.kernel == q.kernel && p.arguments == q.arguments;
    if partners.iter().any(|p| same(p)) {
        return true;
    }
    if density(model, q) != Density::Known {
        return false;
    }
    match &q.kernel {
        KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => {
            positive(&model.kernel(*kernel).distribution, &|layer| is_finite(model, *layer))
        }
        KernelRef::InPlace(distribution) => positive(distribution, &|logits| are_finite(model, logits)),
        KernelRef::Environment(..) | KernelRef::Data(_) => false,
    }
}

/// `finite` says that logits are never ±∞: −∞ leaves a value out.
fn positive<A>(distribution: &Distribution<A>, finite: &dyn Fn(&A) -> bool) -> bool {
    match distribution {
        Distribution::Categorical(Scores::Logits(logits)) | Distribution::Bernoulli(Scores::Logits(logits)) => finite(logits),
        Distribution::Uniform | Distribution::Normal { .. } | Distribution::TanhNormal { .. } | Distribution::Beta { .. } => true,
        Distribution::Categorical(Scores::Probs(_))
        | Distribution::Bernoulli(Scores::Probs(_))
        | Distribution::UniformBox { .. }
        | Distribution::UniformOver(_)
        | Distribution::Delta(_)
        | Distribution::Implicit(_) => false,
        Distribution::Mixture(parts) => parts.iter().any(|(_, part)| positive(part, finite)),
        Distribution::If { then, otherwise, .. } => positive(then, finite) && positive(otherwise, finite),
        Distribution::Record(parts) => parts.iter().all(|part| positive(part, finite)),
        Distribution::Sticky { fresh, .. } => positive(fresh, finite),
    }
}

/// Whether no known part of a layer's arithmetic is ±∞; what a network computes is a number.
fn is_finite(model: &Model, layer: LayerId) -> bool {
    match &model.network.layer(layer).op {
        LayerOp::Scalars(all) => are_finite(model, all),
        LayerOp::Concat(parts) => parts.iter().all(|part| is_finite(model, *part)),
        LayerOp::Unary(_, x) | LayerOp::Per { heads: x, .. } => is_finite(model, *x),
        LayerOp::Binary(_, x, y) => is_finite(model, *x) && is_finite(model, *y),
        LayerOp::Formal { .. } | LayerOp::Table { .. } | LayerOp::Linear { .. } | LayerOp::Mlp { .. } | LayerOp::Gru { .. } => true,
        LayerOp::Noise | LayerOp::Simulate(_) => true,
    }
}

fn are_finite(model: &Model, all: &[ExprId]) -> bool {
    let (params, steps) = (model.param_ranges(), (1.0, model.horizon.value as f64));
    let each = |id: &ExprId| model.graph.interval(*id, &params, &|input| leaf(model, input), steps);
    all.iter().map(each).all(|(lo, hi)| lo.is_finite() && hi.is_finite())
}

/// Where what is read lies; a real without bounds is a number all the same.
fn leaf(model: &Model, input: InputId) -> (f64, f64) {
    const FAR: f64 = 1e100;
    let component = |variable: VariableId, component: u32| {
        let components = &model.variable(variable).domain.components;
        match &components[component as usize % components.len()].kind {
            Kind::Integer { lo, hi } => (*lo as f64, *hi as f64),
            Kind::Names(names) => (0.0, names.len() as f64 - 1.0),
            Kind::Bool => (0.0, 1.0),
            Kind::Real { lo, hi } => (lo.max(-FAR), hi.min(FAR)),
        }
    };
    match model.inputs[input.0 as usize] {
        Input::Variable { variable, component: at, .. } => component(variable, at),
        Input::Formal { kernel, formal, component: at } => match model.kernel(kernel).formals().nth(formal as usize).map(|f| f.variable) {
            Some(FormalVariable::Variable(variable)) => component(variable, at),
            Some(FormalVariable::Time) => (1.0, model.horizon.value as f64),
            Some(FormalVariable::Reward(..) | FormalVariable::End) | None => (-FAR, FAR),
        },
        Input::Reward { .. } | Input::Gain(_) => (-FAR, FAR),
    }
}
