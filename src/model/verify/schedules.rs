//! A `param` that moves while training goes belongs to the exponents of likelihoods: worlds, priors
//! and kernels stay what they are.

use crate::diagnostic::Diagnostic;
use crate::expr::{ExprId, Node, ParamId};
use crate::model::{
    Block, Bound, Distribution, Dynamics, KernelRef, LayerOp, LikelihoodForm, Model, Value,
};
use crate::source::Span;

pub fn faults(model: &Model) -> Vec<Diagnostic> {
    let moving = |param: &ParamId| model.params[param.0 as usize].from.is_some();
    if !(0..model.params.len() as u32).map(ParamId).any(|param| moving(&param)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    each_reader(model, &mut |roots, place| {
        let read = model.graph.reach(roots).into_iter().find_map(|id| match model.graph.node(id) {
            Node::Param(param) => Some(*param).filter(moving),
            _ => None,
        });
        if let Some(ParamId(param)) = read {
            let param = &model.params[param as usize];
            let message = format!(
                "`{}` moves while training goes, and only the exponent of a likelihood may read \
                 such a param",
                param.name
            );
            let told =
                Diagnostic::error("schedule", place, message).also(param.span, "a schedule, here");
            found.push(told.hint("give it one value, or read another param here"));
        }
    });
    found
}

/// Every list of scalar expressions outside the exponents, and its place.
fn each_reader(model: &Model, visit: &mut dyn FnMut(&[ExprId], Span)) {
    for environment in &model.environments {
        if let Dynamics::Written { initial, transition, observation, end, places } =
            &environment.dynamics
        {
            distribution(initial, places.initial, visit);
            distribution(transition, places.transition, visit);
            if let (Some(observation), Some(place)) = (observation, places.observation) {
                distribution(observation, place, visit);
            }
            if let (Some(end), Some(place)) = (end, places.end) {
                visit(&[*end], place);
            }
        }
        environment
            .rewards
            .iter()
            .filter_map(|reward| Some((reward.value?, reward.span)))
            .for_each(|(value, span)| visit(&[value], span));
    }
    for layer in &model.network.layers {
        if let LayerOp::Scalars(scalars) = &layer.op {
            visit(scalars, layer.span);
        }
    }
    model.bounds.iter().for_each(|bound| readers_of_bound(bound, visit));
}

fn readers_of_bound(bound: &Bound, visit: &mut dyn FnMut(&[ExprId], Span)) {
    for factor in [Block::Prior, Block::Posterior, Block::Auxiliary]
        .into_iter()
        .flat_map(|block| bound.factors(block))
    {
        kernel(&factor.kernel, factor.span, visit);
        values(&factor.arguments, factor.span, visit);
    }
    for likelihood in &bound.likelihood {
        match &likelihood.form {
            LikelihoodForm::Exponential { .. } => {}
            LikelihoodForm::Density { kernel: of, values: drawn, givens } => {
                kernel(of, likelihood.span, visit);
                values(drawn, likelihood.span, visit);
                values(givens, likelihood.span, visit);
            }
        }
    }
}

fn kernel(kernel: &KernelRef, place: Span, visit: &mut dyn FnMut(&[ExprId], Span)) {
    match kernel {
        KernelRef::InPlace(of) => distribution(of, place, visit),
        KernelRef::Learned(_)
        | KernelRef::Previous(_)
        | KernelRef::Environment(..)
        | KernelRef::Data(_) => {}
    }
}

fn values(values: &[Value], place: Span, visit: &mut dyn FnMut(&[ExprId], Span)) {
    for value in values {
        if let Value::Expression(scalars) = value {
            visit(scalars, place);
        }
    }
}

fn distribution(
    of: &Distribution<Vec<ExprId>>,
    place: Span,
    visit: &mut dyn FnMut(&[ExprId], Span),
) {
    of.for_each(&mut |argument: &Vec<ExprId>| visit(argument, place));
}
