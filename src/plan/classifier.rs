//! The classifier of a file whose `infer` names none: a network of all that it may read.

use super::settings::Classifier;
use crate::bound::{Derivation, TermKind};
use crate::model::{
    Activation, BoundId, Distribution, Formal, FormalLength, FormalVariable, Index, Kernel,
    KernelId, KernelRef, Layer, LayerId, LayerOp, Model, Parameter, ParameterId, Target,
    TargetVariable, Value,
};
use crate::source::Span;

/// Widths of the hidden layers.
const HIDDEN: [usize; 2] = [64, 64];

/// Adds `mlp(s, a, s', hidden = [64, 64])` to a model of which a bound that is maximised has a
/// density ratio, with all actions of its environment, and with the time where the model reads it;
/// or `mlp(s, a, …)` where the actions themselves are told apart.
pub(super) fn of_file(model: &mut Model, derivation: &Derivation) -> Option<Classifier> {
    let is_maximised =
        |bound: BoundId| model.objectives.iter().any(|objective| objective.bound == bound);
    let maximised = derivation.bounds.iter().filter(|derived| is_maximised(derived.bound));
    let mut ratios = maximised.flat_map(|derived| {
        derived.terms.iter().filter_map(|term| match term.kind {
            TermKind::DensityRatio { p, q } => Some((derived.bound, p, q)),
            _ => None,
        })
    });
    let (reads, span) = ratios.find_map(|(bound, p, q)| {
        let (prior, posterior) = (model.bound(bound).factor(p), model.bound(bound).factor(q));
        let [Target::Variable { variable: TargetVariable::Variable(drawn), .. }] =
            posterior.targets[..]
        else {
            return None;
        };
        let environment = model.environments.iter().find(|environment| {
            environment.state == drawn || environment.actions.contains(&drawn)
        })?;
        let at = |variable, step| Value::Variable { variable, index: Index::Step(step) };
        let state = at(environment.state, 0);
        let reads: Vec<Value> = match prior.kernel {
            KernelRef::Data(_) => vec![state, at(drawn, 0)],
            _ => {
                let actions = environment.actions.iter().map(|&action| at(action, 0));
                let reads_time =
                    [prior, posterior].iter().any(|of| of.arguments.contains(&Value::Time));
                let time = reads_time.then_some(Value::Time);
                let next = at(environment.state, 1);
                [state].into_iter().chain(actions).chain([next]).chain(time).collect()
            }
        };
        Some((reads, posterior.span))
    })?;
    Some(network(model, reads, span))
}

fn network(model: &mut Model, arguments: Vec<Value>, span: Span) -> Classifier {
    let kernel = KernelId(model.kernels.len() as u32);
    let push = |model: &mut Model, op: LayerOp, width: usize| {
        model.network.layers.push(Layer { op, width, span });
        LayerId(model.network.layers.len() as u32 - 1)
    };
    let (mut givens, mut inputs) = (Vec::new(), Vec::new());
    for (at, read) in (0..).zip(&arguments) {
        let (name, variable, domain) = match *read {
            Value::Variable { variable, index } => {
                let known = model.variable(variable);
                let next = if index == Index::Step(0) { "" } else { "'" };
                let name = format!("{}{next}", known.name);
                (name, FormalVariable::Variable(variable), Some(&known.domain))
            }
            _ => ("t".to_owned(), FormalVariable::Time, None),
        };
        // after an end nothing is done, and a classifier of recorded actions sees that
        let optional = !model.data.is_empty() && domain.is_some();
        let formal = Formal { name, variable, length: FormalLength::One, optional, span };
        let width = formal.columns(domain).expect("classifier: of one step");
        givens.push(formal);
        inputs.push(push(model, LayerOp::Formal { kernel, formal: at }, width));
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
    model.kernels.push(Kernel {
        name: "infer.ratio".into(),
        outputs: Vec::new(),
        givens,
        distribution: Distribution::Delta(layer),
        span,
    });
    Classifier { kernel, layer, arguments }
}
