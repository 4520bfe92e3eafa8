//! A likelihood is the probability of an event, so it may not exceed 1: `exp(e)` needs `e ≤ 0` for
//! all that the model declares.

use super::space::Space;
use super::words;
use crate::diagnostic::Diagnostic;
use crate::expr::{ExprId, InputId};
use crate::family::Reach;
use crate::model::{
    Bound, Distribution, Dynamics, Environment, EnvironmentId, FormalVariable, Input, Kernel,
    KernelRef, Kind, LayerId, Likelihood, LikelihoodForm, Model, Target, TargetVariable,
    VariableId,
};
use crate::syntax::ast;

/// Rounding may carry an exponent above 0 by this much, in nats.
const TOLERANCE: f64 = 1e-9;

pub fn faults(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for likelihood in &bound.likelihood {
        match &likelihood.form {
            LikelihoodForm::Exponential { value, written } => {
                found.extend(exponent(model, bound, likelihood, *value, written))
            }
            LikelihoodForm::Density { kernel, .. } => {
                found.extend(density(model, likelihood, kernel))
            }
        }
    }
    found
}

/// Why the likelihood of a bound may exceed 1, where nothing declared rules it out and nothing
/// shows that it does.
pub fn exceeds_one(model: &Model, bound: &Bound) -> Option<String> {
    bound.likelihood.iter().find_map(|likelihood| match &likelihood.form {
        LikelihoodForm::Exponential { value, .. } => {
            let free = free_leaf(model, bound, *value)?;
            Some(match free {
                Free::Predicted { reward, by } => {
                    format!("`{by}` predicts `{reward}`, which nothing holds within its bounds")
                }
                Free::Undeclared { name } => format!("`{name}` has no declared bounds"),
            })
        }
        LikelihoodForm::Density { kernel, .. } => {
            let kernel = with_density(model, kernel)?;
            Some(format!("`{}` is a density of `{}`", likelihood.name, kernel.outputs[0].name))
        }
    })
}

/// Where an exponent lies.
fn range(model: &Model, bound: &Bound, value: ExprId) -> (f64, f64) {
    let params = model.param_ranges();
    let steps = (1.0, model.horizon.value as f64);
    model.graph.interval(value, &params, &|input| leaf(model, bound, &params, input), steps)
}

fn exponent(
    model: &Model,
    bound: &Bound,
    likelihood: &Likelihood,
    value: ExprId,
    written: &ast::Expr,
) -> Option<Diagnostic> {
    let (lo, hi) = range(model, bound, value);
    if hi <= TOLERANCE {
        return None;
    }
    let at = written.span;
    let text = words::text(model, at);
    if let Some(free) = free_leaf(model, bound, value) {
        return Some(match free {
            Free::Undeclared { name } => {
                let message = format!(
                    "whether `exp({text})` stays at most 1 cannot be checked: `{name}` has no \
                     declared bounds"
                );
                let hint = format!("declare them, as in `reward {name} in [-1, 0]`");
                Diagnostic::warning("unknown-bounds", at, message)
                    .here("its exponent must not exceed 0")
                    .hint(hint)
            }
            Free::Predicted { reward, by } => {
                let message = format!(
                    "`exp({text})` can exceed 1: `{by}` predicts `{reward}`, and may predict more \
                     than its bounds"
                );
                let clamped = model
                    .environments
                    .iter()
                    .flat_map(|e| &e.rewards)
                    .find(|r| r.name == reward)
                    .and_then(|r| r.bounds);
                let (lo, hi) = clamped.unwrap_or((-1.0, 0.0));
                let hint =
                    format!("hold it to them: `clamp({reward}[t], {}, {})`", show(lo), show(hi));
                Diagnostic::warning("unknown-bounds", at, message)
                    .here(
                        "its exponent must not exceed 0; as it is, the bound is an objective \
                           that bounds no probability",
                    )
                    .hint(hint)
            }
        });
    }
    let mut fault = Diagnostic::error(
        "likelihood-exceeds-one",
        at,
        format!("the likelihood `{}` can exceed 1", likelihood.name),
    )
    .here(format!("lies between {} and {}, and must not exceed 0", show(lo), show(hi)));
    if let Some(witness) = highest(model, value) {
        fault = fault.witness(witness);
    }
    Some(fault.hint(shifted(model, written, text, hi)))
}

/// `alpha * (r[t] - 1)` where the exponent is a multiple of one reward; else the exponent less its
/// maximum.
fn shifted(model: &Model, written: &ast::Expr, text: &str, hi: f64) -> String {
    let bounds_of = |expr: &ast::Expr| {
        let ast::ExprKind::Index { base, .. } = &expr.kind else { return None };
        let ast::ExprKind::Name(name) = &base.kind else { return None };
        let reward = model
            .environments
            .iter()
            .flat_map(|e| e.rewards.iter().map(move |r| (e, r)))
            .find(|(_, r)| r.name == *name)?;
        Some(paid_between(model, &model.param_ranges(), reward.0, reward.1))
    };
    if let ast::ExprKind::Binary { operator: ast::BinaryOperator::Multiply, left, right } =
        &written.kind
    {
        for (factor, reward, reward_first) in [(left, right, false), (right, left, true)] {
            if let Some((lo, reward_hi)) = bounds_of(reward) {
                // the factor's sign, from the exponent's own maximum
                let top = if (hi - reward_hi.max(0.0)).signum() == hi.signum() && reward_hi > 0.0 {
                    reward_hi
                } else {
                    lo.max(reward_hi)
                };
                if top > 0.0 && top.is_finite() {
                    let (factor, reward) =
                        (words::text(model, factor.span), words::text(model, reward.span));
                    let shifted = format!("({reward} - {})", show(top));
                    let product = if reward_first {
                        format!("{shifted} * {factor}")
                    } else {
                        format!("{factor} * {shifted}")
                    };
                    return format!(
                        "subtract the highest reward, which moves the evidence by a constant: \
                         `{product}`"
                    );
                }
            }
        }
    }
    if hi.is_finite() {
        let text = match written.kind {
            ast::ExprKind::If { .. } => format!("({text})"),
            _ => text.to_owned(),
        };
        format!(
            "subtract its maximum, which moves the evidence by a constant: `exp({text} - {})`",
            show(hi)
        )
    } else {
        "an event's probability is at most 1: bound the exponent with `min(0, …)`".to_owned()
    }
}

/// The joint value, among all or the corners, at which the exponent is highest: `r[t] = 1: the
/// exponent is 0.5`. Of a schedule both ends count.
fn highest(model: &Model, value: ExprId) -> Option<String> {
    const MOST: usize = 1 << 14;
    let space = Space::of(model, &[value])?;
    let columns = space.columns(0, space.rows().min(MOST));
    let last = model.param_values();
    let first: Vec<f64> =
        model.params.iter().map(|param| param.from.unwrap_or(param.value)).collect();
    let with = |params: &[f64], row: usize| {
        model.graph.evaluate(value, params, &|input| columns.inputs[&input][row], columns.time[row])
    };
    // the greater of two numbers, and the other of a NaN
    let at = |row: usize| with(&first, row).max(with(&last, row));
    let (row, exponent) = (0..columns.time.len())
        .map(|row| (row, at(row)))
        .filter(|(_, e)| e.is_finite())
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    let shown = space.show_indexed(model, row);
    let exponent_is = format!("the exponent is {}", show(exponent));
    (exponent > TOLERANCE).then(|| {
        if shown.is_empty() { exponent_is.clone() } else { format!("{shown}: {exponent_is}") }
    })
}

/// Where a leaf lies, by what is declared and by what predicts it.
fn leaf(model: &Model, bound: &Bound, params: &[(f64, f64)], input: InputId) -> (f64, f64) {
    match model.inputs[input.0 as usize] {
        Input::Variable { variable, component, .. } => {
            component_between(model, variable, component)
        }
        Input::Reward { environment, reward, .. }
            if predictor(model, bound, environment, reward).is_some() =>
        {
            (f64::NEG_INFINITY, f64::INFINITY)
        }
        Input::Reward { environment, reward, .. } => {
            let environment = model.environment(environment);
            paid_between(model, params, environment, &environment.rewards[reward as usize])
        }
        Input::Formal { kernel, formal, component } => {
            match model.kernel(kernel).formals().nth(formal as usize).map(|f| f.variable) {
                Some(crate::model::FormalVariable::Variable(variable)) => {
                    component_between(model, variable, component)
                }
                _ => (f64::NEG_INFINITY, f64::INFINITY),
            }
        }
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

/// The declared bounds, or those of the reward's expression; with 0 where episodes end, which is
/// what is paid after the end.
pub fn paid_between(
    model: &Model,
    params: &[(f64, f64)],
    environment: &Environment,
    reward: &crate::model::Reward,
) -> (f64, f64) {
    let (lo, hi) = match (reward.bounds, reward.value) {
        (Some(bounds), _) => bounds,
        (None, Some(value)) => {
            let inner = |input: InputId| match model.inputs[input.0 as usize] {
                Input::Variable { variable, component, .. } => {
                    component_between(model, variable, component)
                }
                Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => {
                    (f64::NEG_INFINITY, f64::INFINITY)
                }
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

/// Of an exponent, what no bounds hold.
enum Free {
    Undeclared {
        name: String,
    },
    /// A kernel of the bound draws the reward from all real numbers.
    Predicted {
        reward: String,
        by: String,
    },
}

/// The leaf that lets an exponent rise without end.
fn free_leaf(model: &Model, bound: &Bound, value: ExprId) -> Option<Free> {
    if range(model, bound, value).1 < f64::INFINITY {
        return None;
    }
    let params = model.param_ranges();
    let free = model.graph.inputs_of(&[value]).into_iter().find(|input| {
        let (lo, hi) = leaf(model, bound, &params, *input);
        lo.is_infinite() || hi.is_infinite()
    })?;
    Some(match model.inputs[free.0 as usize] {
        Input::Variable { variable, .. } => {
            Free::Undeclared { name: model.variable(variable).name.clone() }
        }
        Input::Reward { environment, reward, .. } => {
            let name = words::name(model, TargetVariable::Reward(environment, reward)).to_owned();
            match predictor(model, bound, environment, reward) {
                Some(kernel) => Free::Predicted { reward: name, by: kernel.name.clone() },
                None => Free::Undeclared { name },
            }
        }
        Input::Formal { kernel, .. } => {
            Free::Undeclared { name: model.kernel(kernel).name.clone() }
        }
        Input::Gain(gain) => Free::Undeclared {
            name: format!("gain({}, …)", model.kernel(model.gain(gain).kernel).name),
        },
    })
}

/// The kernel that draws a reward of the bound from all real numbers.
fn predictor<'m>(
    model: &'m Model,
    bound: &Bound,
    environment: EnvironmentId,
    reward: u32,
) -> Option<&'m Kernel> {
    bound.prior.iter().chain(&bound.posterior).find_map(|factor| {
        let is_it = |target: &Target| {
            matches!(target, Target::Variable { variable: TargetVariable::Reward(of, which), .. }
                if (*of, *which) == (environment, reward))
        };
        let place = factor.targets.iter().position(is_it)?;
        let (KernelRef::Learned(id) | KernelRef::Previous(id)) = factor.kernel else { return None };
        let kernel = model.kernel(id);
        let drawn = match &kernel.distribution {
            Distribution::Record(parts) if factor.targets.len() > 1 => parts.get(place)?,
            distribution => distribution,
        };
        (!stays_within_bounds(drawn)).then_some(kernel)
    })
}

/// Whether a distribution over a reward has no mass beyond the declared bounds.
fn stays_within_bounds(distribution: &Distribution<LayerId>) -> bool {
    match distribution {
        Distribution::Uniform => true,
        Distribution::Real { family, .. } => family.reach() == Reach::Bounds,
        Distribution::Implicit(_)
        | Distribution::UniformBox { .. }
        | Distribution::UniformOver(_) => false,
        Distribution::Delta(_)
        | Distribution::Categorical(_)
        | Distribution::Bernoulli(_)
        | Distribution::Sticky { .. } => false,
        Distribution::Mixture(parts) => parts.iter().all(|(_, part)| stays_within_bounds(part)),
        Distribution::If { then, otherwise, .. } => {
            stays_within_bounds(then) && stays_within_bounds(otherwise)
        }
        Distribution::Record(parts) => parts.iter().all(stays_within_bounds),
    }
}

/// The density of a real variable is no probability.
fn density(model: &Model, likelihood: &Likelihood, kernel: &KernelRef) -> Option<Diagnostic> {
    with_density(model, kernel).map(|kernel| {
        let message = format!(
            "the likelihood `{}` is a density of `{}` and may exceed 1",
            likelihood.name, kernel.outputs[0].name
        );
        Diagnostic::warning("unknown-bounds", likelihood.span, message).hint(
            "the bound then bounds a density, not the probability of an event; numbers \
                   above 0 may come out",
        )
    })
}

/// The kernel, where it gives densities and no probabilities.
fn with_density<'m>(model: &'m Model, kernel: &KernelRef) -> Option<&'m Kernel> {
    let (KernelRef::Learned(id) | KernelRef::Previous(id)) = kernel else { return None };
    let kernel = model.kernel(*id);
    let real = kernel.outputs.iter().any(|output| match output.variable {
        FormalVariable::Variable(id) => !model.variable(id).domain.is_finite(),
        FormalVariable::Reward(..) => true,
        FormalVariable::End | FormalVariable::Time => false,
    });
    real.then_some(kernel)
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
