//! A likelihood is the probability of an event, so it may not exceed 1: `exp(e)` needs `e ≤ 0` for all that the model declares.

use super::space::Space;
use super::words;
use crate::diagnostic::Diagnostic;
use crate::expr::{ExprId, InputId};
use crate::model::{
    Bound, Distribution, Dynamics, Environment, Input, KernelRef, Kind, Likelihood, LikelihoodForm, Model, TargetVariable, VariableId,
};
use crate::syntax::ast;

/// Rounding may carry an exponent above 0 by this much, in nats.
const TOLERANCE: f64 = 1e-9;

pub fn faults(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for likelihood in &bound.likelihood {
        match &likelihood.form {
            LikelihoodForm::Exponential { value, written } => found.extend(exponent(model, likelihood, *value, written)),
            LikelihoodForm::Density { kernel, .. } => found.extend(density(model, likelihood, kernel)),
        }
    }
    found
}

fn exponent(model: &Model, likelihood: &Likelihood, value: ExprId, written: &ast::Expr) -> Option<Diagnostic> {
    let params = model.param_ranges();
    let steps = (1.0, model.horizon.value as f64);
    let (lo, hi) = model.graph.interval(value, &params, &|input| leaf(model, &params, input), steps);
    if hi <= TOLERANCE {
        return None;
    }
    let at = written.span;
    let text = words::text(model, at);
    let unknown = unknown_leaf(model, &params, value);
    if let (Some(name), true) = (&unknown, hi.is_infinite()) {
        let message = format!("whether `exp({text})` stays at most 1 cannot be checked: `{name}` has no declared bounds");
        let hint = format!("declare them, as in `reward {name} in [-1, 0]`");
        return Some(Diagnostic::warning("unknown-bounds", at, message).here("its exponent must not exceed 0").hint(hint));
    }
    let mut fault = Diagnostic::error("likelihood-exceeds-one", at, format!("the likelihood `{}` can exceed 1", likelihood.name))
        .here(format!("lies between {} and {}, and must not exceed 0", show(lo), show(hi)));
    if let Some(witness) = highest(model, value) {
        fault = fault.witness(witness);
    }
    Some(fault.hint(shifted(model, written, text, hi)))
}

/// `alpha * (r[t] - 1)` where the exponent is a multiple of one reward; else the exponent less its maximum.
fn shifted(model: &Model, written: &ast::Expr, text: &str, hi: f64) -> String {
    let bounds_of = |expr: &ast::Expr| {
        let ast::ExprKind::Index { base, .. } = &expr.kind else { return None };
        let ast::ExprKind::Name(name) = &base.kind else { return None };
        let reward = model.environments.iter().flat_map(|e| e.rewards.iter().map(move |r| (e, r))).find(|(_, r)| r.name == *name)?;
        Some(paid_between(model, &model.param_ranges(), reward.0, reward.1))
    };
    if let ast::ExprKind::Binary { operator: ast::BinaryOperator::Multiply, left, right } = &written.kind {
        for (factor, reward, reward_first) in [(left, right, false), (right, left, true)] {
            if let Some((lo, reward_hi)) = bounds_of(reward) {
                // the factor's sign, from the exponent's own maximum
                let top = if (hi - reward_hi.max(0.0)).signum() == hi.signum() && reward_hi > 0.0 { reward_hi } else { lo.max(reward_hi) };
                if top > 0.0 && top.is_finite() {
                    let (factor, reward) = (words::text(model, factor.span), words::text(model, reward.span));
                    let shifted = format!("({reward} - {})", show(top));
                    let product = if reward_first { format!("{shifted} * {factor}") } else { format!("{factor} * {shifted}") };
                    return format!("subtract the highest reward, which moves the evidence by a constant: `{product}`");
                }
            }
        }
    }
    if hi.is_finite() {
        let text = match written.kind {
            ast::ExprKind::If { .. } => format!("({text})"),
            _ => text.to_owned(),
        };
        format!("subtract its maximum, which moves the evidence by a constant: `exp({text} - {})`", show(hi))
    } else {
        "an event's probability is at most 1: bound the exponent with `min(0, …)`".to_owned()
    }
}

/// The joint value, among all or the corners, at which the exponent is highest: `r[t] = 1: the exponent is 0.5`. Of a schedule both ends count.
fn highest(model: &Model, value: ExprId) -> Option<String> {
    const MOST: usize = 1 << 14;
    let space = Space::of(model, &[value])?;
    let columns = space.columns(0, space.rows().min(MOST));
    let last = model.param_values();
    let first: Vec<f64> = model.params.iter().map(|param| param.from.unwrap_or(param.value)).collect();
    let with = |params: &[f64], row: usize| model.graph.evaluate(value, params, &|input| columns.inputs[&input][row], columns.time[row]);
    // the greater of two numbers, and the other of a NaN
    let at = |row: usize| with(&first, row).max(with(&last, row));
    let (row, exponent) =
        (0..columns.time.len()).map(|row| (row, at(row))).filter(|(_, e)| e.is_finite()).max_by(|a, b| a.1.total_cmp(&b.1))?;
    let shown = space.show_indexed(model, row);
    let exponent_is = format!("the exponent is {}", show(exponent));
    (exponent > TOLERANCE).then(|| if shown.is_empty() { exponent_is.clone() } else { format!("{shown}: {exponent_is}") })
}

/// Where a leaf lies, by what is declared.
fn leaf(model: &Model, params: &[(f64, f64)], input: InputId) -> (f64, f64) {
    match model.inputs[input.0 as usize] {
        Input::Variable { variable, component, .. } => component_between(model, variable, component),
        Input::Reward { environment, reward, .. } => {
            let environment = model.environment(environment);
            paid_between(model, params, environment, &environment.rewards[reward as usize])
        }
        Input::Formal { kernel, formal, component } => match model.kernel(kernel).formals().nth(formal as usize).map(|f| f.variable) {
            Some(crate::model::FormalVariable::Variable(variable)) => component_between(model, variable, component),
            _ => (f64::NEG_INFINITY, f64::INFINITY),
        },
        Input::Gain(gain) => (0.0, model.gain(gain).at_most),
    }
}

/// What the domain declares of one component.
pub fn component_between(model: &Model, variable: VariableId, component: u32) -> (f64, f64) {
    match &model.variable(variable).domain.components[component as usize].kind {
        Kind::Integer { lo, hi } => (*lo as f64, *hi as f64),
        Kind::Names(names) => (0.0, names.len().saturating_sub(1) as f64),
        Kind::Bool => (0.0, 1.0),
        Kind::Real { lo, hi } => (*lo, *hi),
    }
}

/// The declared bounds, or those of the reward's expression; with 0 where episodes end, which is what is paid after the end.
pub fn paid_between(model: &Model, params: &[(f64, f64)], environment: &Environment, reward: &crate::model::Reward) -> (f64, f64) {
    let (lo, hi) = match (reward.bounds, reward.value) {
        (Some(bounds), _) => bounds,
        (None, Some(value)) => {
            let inner = |input: InputId| match model.inputs[input.0 as usize] {
                Input::Variable { variable, component, .. } => component_between(model, variable, component),
                Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => (f64::NEG_INFINITY, f64::INFINITY),
            };
            model.graph.interval(value, params, &inner, (1.0, model.horizon.value as f64))
        }
        (None, None) => (f64::NEG_INFINITY, f64::INFINITY),
    };
    let ends = match environment.dynamics {
        Dynamics::Written { end, .. } => end.is_some(),
        Dynamics::External { .. } => true,
    };
    if ends { (lo.min(0.0), hi.max(0.0)) } else { (lo, hi) }
}

/// A leaf of the exponent of which no bounds are known.
fn unknown_leaf(model: &Model, params: &[(f64, f64)], value: ExprId) -> Option<String> {
    model.graph.inputs_of(&[value]).into_iter().find_map(|input| {
        let (lo, hi) = leaf(model, params, input);
        (lo.is_infinite() || hi.is_infinite()).then(|| match model.inputs[input.0 as usize] {
            Input::Variable { variable, .. } => model.variable(variable).name.clone(),
            Input::Reward { environment, reward, .. } => words::name(model, TargetVariable::Reward(environment, reward)).to_owned(),
            Input::Formal { kernel, .. } => model.kernel(kernel).name.clone(),
            Input::Gain(gain) => format!("gain({}, …)", model.kernel(model.gain(gain).kernel).name),
        })
    })
}

/// The density of a real variable is no probability.
fn density(model: &Model, likelihood: &Likelihood, kernel: &KernelRef) -> Option<Diagnostic> {
    let (KernelRef::Learned(id) | KernelRef::Previous(id)) = kernel else { return None };
    let kernel = model.kernel(*id);
    let has_density = match &kernel.distribution {
        Distribution::Normal { .. } | Distribution::TanhNormal { .. } | Distribution::Beta { .. } => true,
        Distribution::Uniform | Distribution::UniformBox { .. } | Distribution::UniformOver(_) | Distribution::Delta(_) => false,
        Distribution::Categorical(_) | Distribution::Bernoulli(_) | Distribution::Mixture(_) | Distribution::If { .. } => false,
        Distribution::Record(_) | Distribution::Sticky { .. } | Distribution::Implicit(_) => false,
    };
    has_density.then(|| {
        let message = format!("the likelihood `{}` is a density of `{}` and may exceed 1", likelihood.name, kernel.outputs[0].name);
        Diagnostic::warning("unknown-bounds", likelihood.span, message)
            .hint("the bound then bounds a density, not the probability of an event; numbers above 0 may come out")
    })
}

fn show(value: f64) -> String {
    if value == f64::INFINITY {
        "∞".to_owned()
    } else if value == f64::NEG_INFINITY {
        "−∞".to_owned()
    } else {
        super::probabilities::round(value).to_string()
    }
}
