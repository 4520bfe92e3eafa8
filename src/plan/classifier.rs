//! The classifier of a file whose `infer` names none: a network of all that it may read.

use super::settings::Classifier;
use crate::bound::{Derivation, TermKind};
use crate::model::{
    Activation, Distribution, FactorRef, Formal, FormalLength, FormalVariable, Index, Kernel,
    KernelId, KernelRef, Layer, LayerId, LayerOp, Model, Parameter, ParameterId, Target,
    TargetVariable, Value, VariableId,
};
use crate::source::Span;

/// Widths of the hidden layers.
const HIDDEN: [usize; 2] = [64, 64];

/// Adds `mlp(s, a, s', hidden = [64, 64])` to a model of which some bound has a density ratio, with
/// all actions of its environment, or `mlp(s, a, …)` where the actions themselves are told apart.
pub(super) fn of_file(model: &mut Model, derivation: &Derivation) -> Option<Classifier> {
    let (of, p, q) = derivation.bounds.iter().find_map(|bound| {
        bound.terms.iter().find_map(|term| match term.kind {
            TermKind::DensityRatio { p, q } => Some((bound.bound, p, q)),
            _ => None,
        })
    })?;
    let bound = model.bound(of);
    let drawn = |factor: FactorRef| match bound.factor(factor).targets[..] {
        [Target::Variable { variable: TargetVariable::Variable(variable), .. }] => Some(variable),
        _ => None,
    };
    let span = bound.factor(q).span;
    let environment = model.environments.iter().find(|environment| {
        drawn(q).is_some_and(|of| environment.state == of || environment.actions.contains(&of))
    })?;
    let (state, step, now) = (environment.state, Index::Step(1), Index::Step(0));
    let reads: Vec<(VariableId, Index)> = match bound.factor(p).kernel {
        KernelRef::Data(_) => vec![(state, now), (drawn(q)?, now)],
        _ => {
            let actions = environment.actions.iter().map(|&action| (action, now));
            [(state, now)].into_iter().chain(actions).chain([(state, step)]).collect()
        }
    };
    Some(network(model, &reads, span))
}

fn network(model: &mut Model, reads: &[(VariableId, Index)], span: Span) -> Classifier {
    let kernel = KernelId(model.kernels.len() as u32);
    let push = |model: &mut Model, op: LayerOp, width: usize| {
        model.network.layers.push(Layer { op, width, span });
        LayerId(model.network.layers.len() as u32 - 1)
    };
    let (mut givens, mut inputs) = (Vec::new(), Vec::new());
    for (at, &(variable, index)) in reads.iter().enumerate() {
        let known = model.variable(variable);
        let next = if index == Index::Step(0) { "" } else { "'" };
        let formal = Formal {
            name: format!("{}{next}", known.name),
            variable: FormalVariable::Variable(variable),
            length: FormalLength::One,
            // after an end nothing is done, and a classifier of recorded actions sees that
            optional: !model.data.is_empty(),
            span,
        };
        let width = formal.columns(Some(&known.domain)).expect("classifier: of one step");
        givens.push(formal);
        inputs.push(push(model, LayerOp::Formal { kernel, formal: at as u32 }, width));
    }
    let width = |model: &Model, layer: &LayerId| model.network.layer(*layer).width;
    let mut rows = inputs.iter().map(|layer| width(model, layer)).sum();
    let input = push(model, LayerOp::Concat(inputs), rows);
    let mut weights = Vec::new();
    for (at, columns) in HIDDEN.into_iter().chain([1]).enumerate() {
        let mut parameter = |what: &str, rows: usize| {
            let name = format!("infer.ratio.{at}.{what}");
            model.network.parameters.push(Parameter { name, rows, columns, start: 0.0 });
            ParameterId(model.network.parameters.len() as u32 - 1)
        };
        weights.push((parameter("weight", rows), parameter("bias", 1)));
        rows = columns;
    }
    let op = LayerOp::Mlp { input, activation: Activation::Tanh, last: None, weights };
    let layer = push(model, op, 1);
    let arguments =
        reads.iter().map(|&(variable, index)| Value::Variable { variable, index }).collect();
    model.kernels.push(Kernel {
        name: "infer.ratio".into(),
        outputs: Vec::new(),
        givens,
        distribution: Distribution::Delta(layer),
        span,
    });
    Classifier { kernel, layer, arguments }
}
