use super::Work;
use crate::bound::density::{Density, density};
use crate::bound::derivation::{Change, Relation, Rule, Shape, Step};
use crate::expr::{BinaryOp, ExprId, InputId, Interval, UnaryOp, interval};
use crate::model::{
    Distribution, Factor, FormalVariable, Input, KernelRef, Kind, LayerId, LayerOp, Mixed, Model,
    Scores, Target, VariableId,
};
use std::collections::HashMap;

/// log p(R̂) = log E_q[ Π P / Π Q · exp ΣΛ ]
///
/// Averaging over the posterior instead of the prior, with the ratio of the two as weight. An
/// equality where the posterior reaches wherever the prior and the likelihood have mass; where it
/// may not, the right side is the smaller one (≥).
pub fn importance(work: &mut Work) {
    let mut others: HashMap<Target, Vec<&Factor>> = HashMap::new();
    for p in work.bound.prior.iter().chain(&work.bound.auxiliary) {
        others.entry(p.targets[0]).or_default().push(p);
    }
    let short =
        work.bound.posterior.iter().find(|q| {
            !reaches(work.model, others.get(&q.targets[0]).map_or(&[], Vec::as_slice), q)
        });
    let (relation, note) = match short {
        None => (Relation::Equal, None),
        Some(_) => (
            Relation::AtLeast,
            Some("the posterior may leave out what the prior can reach".to_owned()),
        ),
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
    let same =
        |p: &Factor| p.targets == q.targets && p.kernel == q.kernel && p.arguments == q.arguments;
    if partners.iter().any(|p| same(p)) {
        return true;
    }
    if density(model, q) != Density::Known {
        return false;
    }
    match &q.kernel {
        KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => {
            positive(&model.kernel(*kernel).distribution, &|layer| layer_between(model, *layer))
        }
        KernelRef::InPlace(distribution) => positive(distribution, &|all| between(model, all)),
        KernelRef::Environment(..) | KernelRef::Data(_) => false,
    }
}

/// `lies` says between which numbers an argument does: logits of −∞ leave values out, as a value
/// that is surely kept does all others.
fn positive<A>(distribution: &Distribution<A>, lies: &dyn Fn(&A) -> Interval) -> bool {
    let is_finite = |argument: &A| lies(argument).0.is_finite() && lies(argument).1.is_finite();
    match distribution {
        Distribution::Categorical(Scores::Logits(logits))
        | Distribution::Bernoulli(Scores::Logits(logits)) => is_finite(logits),
        Distribution::Uniform | Distribution::Real { .. } => true,
        Distribution::Categorical(Scores::Probs(_))
        | Distribution::Bernoulli(Scores::Probs(_))
        | Distribution::UniformBox { .. }
        | Distribution::UniformOver(_)
        | Distribution::Delta(_)
        | Distribution::Implicit(_) => false,
        Distribution::Mixture(parts) => {
            parts.iter().any(|(weight, part)| lies(weight).0 > 0.0 && positive(part, lies))
                || parts.iter().all(|(_, part)| positive(part, lies))
        }
        Distribution::If { then, otherwise, .. } => {
            positive(then, lies) && positive(otherwise, lies)
        }
        Distribution::Record(parts) => parts.iter().all(|part| positive(part, lies)),
        Distribution::Sticky { keep, fresh, .. } => lies(keep).1 < 1.0 && positive(fresh, lies),
    }
}

/// What a network computes is a number, however great.
const FAR: f64 = 1e100;

/// Between which numbers the columns of a layer lie, by its arithmetic.
fn layer_between(model: &Model, layer: LayerId) -> Interval {
    let of = |layer: &LayerId| layer_between(model, *layer);
    match &model.network.layer(layer).op {
        LayerOp::Scalars(all) => between(model, all),
        LayerOp::Concat(parts) => parts.iter().map(of).reduce(hull).unwrap_or((-FAR, FAR)),
        LayerOp::Per { heads, .. } => of(heads),
        LayerOp::Unary(op, x) => strictly(*op, of(x)),
        LayerOp::Binary(op, x, y) => interval::binary(*op, of(x), of(y)),
        LayerOp::Formal { .. }
        | LayerOp::Table { .. }
        | LayerOp::Linear { .. }
        | LayerOp::Mlp { .. }
        | LayerOp::Gru { .. } => (-FAR, FAR),
        LayerOp::Noise | LayerOp::Simulate(_) => (-FAR, FAR),
        LayerOp::Sum(parts) => {
            let each = parts.iter().map(|(part, _)| of(part));
            each.reduce(|x, y| interval::binary(BinaryOp::Add, x, y)).unwrap_or((-FAR, FAR))
        }
        // one part that draws everything lets the mixture draw it, as all parts do
        LayerOp::Mixture(parts) => {
            let draws = |part: &Mixed| {
                let (lo, hi) = of(&part.logits);
                lo.is_finite() && hi.is_finite()
            };
            let weighs = |part: &&Mixed| of(&part.weight).0 > 0.0;
            let all = parts.iter().filter(weighs).any(draws) || parts.iter().all(draws);
            if all { (-FAR, 0.0) } else { (f64::NEG_INFINITY, 0.0) }
        }
    }
}

/// Of a finite number these functions do not reach the ends of their range, though rounding does.
fn strictly(op: UnaryOp, x: Interval) -> Interval {
    let (lo, hi) = interval::unary(op, x);
    match op {
        _ if x.0.is_infinite() || x.1.is_infinite() => (lo, hi),
        UnaryOp::Sigmoid => (lo.max(f64::MIN_POSITIVE), hi.min(1.0 - f64::EPSILON)),
        UnaryOp::Exp | UnaryOp::Softplus => (lo.max(f64::MIN_POSITIVE), hi.min(FAR)),
        UnaryOp::Tanh => (lo.max(f64::EPSILON - 1.0), hi.min(1.0 - f64::EPSILON)),
        _ => (lo, hi),
    }
}

fn between(model: &Model, all: &[ExprId]) -> Interval {
    let (params, steps) = (model.param_ranges(), (1.0, model.horizon.value as f64));
    let each = |id: &ExprId| model.graph.interval(*id, &params, &|input| leaf(model, input), steps);
    all.iter().map(each).reduce(hull).unwrap_or((-FAR, FAR))
}

fn hull(x: Interval, y: Interval) -> Interval {
    (x.0.min(y.0), x.1.max(y.1))
}

/// Where what is read lies; a real without bounds is a number all the same.
fn leaf(model: &Model, input: InputId) -> Interval {
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
        Input::Formal { kernel, formal, component: at } => {
            match model.kernel(kernel).formals().nth(formal as usize).map(|f| f.variable) {
                Some(FormalVariable::Variable(variable)) => component(variable, at),
                Some(FormalVariable::Time) => (1.0, model.horizon.value as f64),
                Some(FormalVariable::Reward(..) | FormalVariable::End) | None => (-FAR, FAR),
            }
        }
        Input::Reward { .. } | Input::Gain(_) => (-FAR, FAR),
    }
}
