//! From the formals of a kernel to what a network reads: indices of one-hot columns, and columns of
//! numbers.

use super::plan::{self, Column, Load, Numbered};
use super::plan::{InputKind, InputSpec, NetworkPlan};
use super::scalars::{Leaf, Program};
use super::unsupported::{Unsupported, unsupported};
use crate::expr::ExprId;
use crate::model::{
    Computed, Domain, FiniteDomain, Formal, FormalLength, FormalVariable, KernelId, Kind, Model,
    NONE, Role,
};
use std::sync::Arc;

/// What a formal contributes to a layer.
pub(in crate::engine) enum Feature {
    OneHot { column: usize, width: usize },
    Dense { load: Load, width: usize },
}

/// The features of a formal, in the order of its steps and components.
pub(in crate::engine) fn of_formal(
    model: &Model,
    plan: &mut NetworkPlan,
    kernel: KernelId,
    formal: u32,
    source: &dyn Fn(KernelId, u32) -> u32,
) -> Result<Vec<Feature>, Unsupported> {
    let steps = steps(formal_of(model, kernel, formal))?;
    let mut features = Vec::new();
    for step in 0..steps {
        of_step(model, plan, (kernel, formal, step), source, &mut features)?;
    }
    Ok(features)
}

/// The features of each element of a sequence, from the earliest on; an element that is not there
/// is `none`.
pub(in crate::engine) fn of_sequence(
    model: &Model,
    plan: &mut NetworkPlan,
    kernel: KernelId,
    formal: u32,
    source: &dyn Fn(KernelId, u32) -> u32,
) -> Result<Vec<Vec<Feature>>, Unsupported> {
    let elements = (0..=model.horizon.value).map(|step| {
        let mut features = Vec::new();
        of_step(model, plan, (kernel, formal, step), source, &mut features)?;
        Ok(features)
    });
    elements.collect()
}

/// The columns of a simulated rollout, as they are fed.
pub(in crate::engine) fn simulated(plan: &mut NetworkPlan, source: u32, width: usize) -> Load {
    Load::Real { input: input(plan, source, 0, InputKind::Real { components: width }), from: 0 }
}

fn of_step(
    model: &Model,
    plan: &mut NetworkPlan,
    (kernel, formal, step): (KernelId, u32, usize),
    source: &dyn Fn(KernelId, u32) -> u32,
    features: &mut Vec<Feature>,
) -> Result<(), Unsupported> {
    let declared = formal_of(model, kernel, formal);
    if let Some(computed) = model.kernel(kernel).computed(formal) {
        return of_computed(model, plan, computed, source, features);
    }
    {
        let domain = match values_of_formal(model, declared) {
            Values::Domain(domain) => domain,
            Values::Time => {
                let horizon = model.horizon.value;
                let input =
                    input(plan, source(kernel, formal), step, InputKind::Finite { size: horizon });
                features.push(Feature::Dense { load: Load::Time { input, horizon }, width: 1 });
                return Ok(());
            }
            Values::Truth => {
                let input =
                    input(plan, source(kernel, formal), step, InputKind::Finite { size: 2 });
                let column = column(plan, Column::Number { input });
                features
                    .push(Feature::OneHot { column, width: 2 + usize::from(declared.optional) });
                return Ok(());
            }
            Values::Number => {
                let input =
                    input(plan, source(kernel, formal), step, InputKind::Real { components: 1 });
                features.push(real(input, 0, 1, declared.optional));
                return Ok(());
            }
        };
        match &domain.finite {
            Some(finite) => {
                let input = input(
                    plan,
                    source(kernel, formal),
                    step,
                    InputKind::Finite { size: finite.size() },
                );
                for (component, kind) in domain.components.iter().enumerate() {
                    let (lo, count) = finite_kind(&kind.kind)
                        .expect("model: a finite domain has finite components");
                    let made = if domain.components.len() == 1 && finite.size() == count {
                        Column::Number { input }
                    } else {
                        let mut value = vec![0.0; domain.components.len()];
                        let mut decode: Vec<u32> = Vec::with_capacity(finite.size() + 1);
                        for number in 0..finite.size() {
                            finite.value(number, &mut value);
                            decode.push((value[component] - lo as f64) as u32);
                        }
                        decode.push(count as u32); // `none`
                        Column::Decoded { input, decode: decode.into() }
                    };
                    let column = column(plan, made);
                    features.push(Feature::OneHot {
                        column,
                        width: count + usize::from(declared.optional),
                    });
                }
            }
            None => {
                let (components, optional) = (domain.components.len(), declared.optional);
                let input =
                    input(plan, source(kernel, formal), step, InputKind::Real { components });
                let mut from = 0;
                while from < components {
                    match finite_kind(&domain.components[from].kind) {
                        Some((lo, count)) => {
                            let column = column(
                                plan,
                                Column::Cell { input, component: from, lo, count, optional },
                            );
                            features.push(Feature::OneHot {
                                column,
                                width: count + usize::from(optional),
                            });
                            from += 1;
                        }
                        None => {
                            let reals = domain.components[from..]
                                .iter()
                                .take_while(|c| finite_kind(&c.kind).is_none())
                                .count();
                            let width = if optional { 1 } else { reals };
                            features.push(real(input, from, width, optional));
                            from += width;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// The features of a given that is computed.
fn of_computed(
    model: &Model,
    plan: &mut NetworkPlan,
    computed: &Computed,
    source: &dyn Fn(KernelId, u32) -> u32,
    features: &mut Vec<Feature>,
) -> Result<(), Unsupported> {
    let (formal, optional) = (&computed.formal, computed.formal.optional);
    let number = Domain::real(f64::NEG_INFINITY, f64::INFINITY);
    let domain = match values_of_formal(model, formal) {
        Values::Domain(domain) => domain,
        Values::Number => &number,
        Values::Truth | Values::Time => return Err(unsupported("a time that is computed")),
    };
    for (at, (component, value)) in domain.components.iter().zip(&computed.values).enumerate() {
        let Some((lo, count)) = finite_kind(&component.kind) else {
            let program = program(model, plan, &[*value], source)?;
            features.push(match optional {
                true => Feature::Dense { load: Load::ScalarOrNone(program), width: 2 },
                false => Feature::Dense { load: Load::Scalars(program), width: 1 },
            });
            continue;
        };
        // a component of a value that is real elsewhere is one by itself
        let alone = FiniteDomain::of(std::slice::from_ref(component));
        let (values, own, domain) = match &domain.finite {
            Some(finite) => (&computed.values[..], at, finite.clone()),
            None => (
                std::slice::from_ref(value),
                0,
                alone.expect("model: a finite component has a finite domain"),
            ),
        };
        let mut components = vec![0.0; domain.width()];
        let decode = (0..domain.size()).map(|number| {
            domain.value(number, &mut components);
            (components[own] - lo as f64) as u32
        });
        let decode = decode.collect::<Vec<_>>().into_iter().chain([count as u32]).collect();
        let program = program(model, plan, values, source)?;
        let of = plan::Computed { from: 0, domain: Arc::new(domain), optional };
        let column = column(plan, Column::Computed { program, of, decode });
        features.push(Feature::OneHot { column, width: count + usize::from(optional) });
    }
    Ok(())
}

fn real(input: usize, from: usize, width: usize, optional: bool) -> Feature {
    if optional {
        Feature::Dense { load: Load::RealOrNone { input, component: from }, width: 2 }
    } else {
        Feature::Dense { load: Load::Real { input, from }, width }
    }
}

/// The column of the joint number of finite formals (a value more where one may be `none`), and how
/// many values it has.
pub(in crate::engine) fn joint(
    model: &Model,
    plan: &mut NetworkPlan,
    kernel: KernelId,
    formals: &[u32],
    source: &dyn Fn(KernelId, u32) -> u32,
) -> Result<(usize, usize), Unsupported> {
    let (mut inputs, mut values) = (Vec::new(), Vec::new());
    for &formal in formals {
        let declared = formal_of(model, kernel, formal);
        let optional = usize::from(declared.optional);
        let size = match values_of_formal(model, declared) {
            Values::Domain(domain) => domain.finite.as_ref().map(|finite| finite.size()),
            Values::Time => Some(model.horizon.value),
            Values::Truth => Some(2),
            Values::Number => None,
        };
        let size = size.ok_or_else(|| {
            Unsupported(format!(
                "a table over `{}`, which is not finite, has no rows",
                declared.name
            ))
        })?;
        if let Some(computed) = model.kernel(kernel).computed(formal) {
            let domain = match values_of_formal(model, declared) {
                Values::Domain(domain) => domain.finite.clone(),
                Values::Truth | Values::Time | Values::Number => None,
            };
            let domain = domain.ok_or_else(|| unsupported("a time or an end that is computed"))?;
            let of = plan::Computed {
                from: values.len(),
                domain: Arc::new(domain),
                optional: declared.optional,
            };
            values.extend(&computed.values);
            inputs.push((Numbered::Computed(of), size + optional));
            continue;
        }
        for step in 0..steps(declared)? {
            let input = input(plan, source(kernel, formal), step, InputKind::Finite { size });
            inputs.push((Numbered::Input(input), size + optional));
        }
    }
    let rows = inputs.iter().map(|&(_, size)| size).product();
    let known = inputs.iter().map(|(of, size)| match of {
        Numbered::Input(input) => Some((*input, *size)),
        Numbered::Computed(..) => None,
    });
    let made = match (known.collect::<Option<Vec<_>>>(), &inputs[..]) {
        (Some(_), &[(Numbered::Input(input), _)]) => Column::Number { input },
        (Some(inputs), _) => Column::Joint { inputs },
        (None, _) => {
            let program = program(model, plan, &values, source)?;
            Column::JointComputed { program, values: inputs }
        }
    };
    Ok((column(plan, made), rows))
}

/// The expressions of a layer as a program over the inputs.
pub(in crate::engine) fn scalars(
    model: &Model,
    plan: &mut NetworkPlan,
    values: &[ExprId],
    source: &dyn Fn(KernelId, u32) -> u32,
) -> Result<Load, Unsupported> {
    Ok(Load::Scalars(program(model, plan, values, source)?))
}

fn program(
    model: &Model,
    plan: &mut NetworkPlan,
    values: &[ExprId],
    source: &dyn Fn(KernelId, u32) -> u32,
) -> Result<Program, Unsupported> {
    Program::compile(model, values, |kernel, formal, component| {
        let declared = formal_of(model, kernel, formal);
        if !matches!(declared.length, FormalLength::One) {
            return Err(unsupported("an expression over a window"));
        }
        if declared.optional {
            return Err(unsupported(&format!(
                "an expression over `{}`, which may be `none`,",
                declared.name
            )));
        }
        let source = source(kernel, formal);
        Ok(match values_of_formal(model, declared) {
            Values::Domain(Domain { finite: Some(finite), components, .. }) => {
                let mut value = vec![0.0; components.len()];
                let decode = (0..finite.size()).map(|number| {
                    finite.value(number, &mut value);
                    value[component as usize]
                });
                // `none` stands behind the values: an expression may leave it out, and one that
                // an argument computes may compare it
                let none = match (model.kernel(kernel).called.is_some(), declared.variable) {
                    (true, FormalVariable::Variable(of))
                        if model.variable(of).role != Role::State =>
                    {
                        NONE
                    }
                    _ => f64::NAN,
                };
                let decode = decode.chain([none]).collect();
                Leaf::Decoded {
                    input: input(plan, source, 0, InputKind::Finite { size: finite.size() }),
                    decode,
                }
            }
            Values::Domain(Domain { finite: None, components, .. }) => {
                let kind = InputKind::Real { components: components.len() };
                Leaf::Real { input: input(plan, source, 0, kind), component: component as usize }
            }
            Values::Time => {
                let decode = (1..=model.horizon.value).map(|t| t as f64).collect();
                Leaf::Decoded {
                    input: input(plan, source, 0, InputKind::Finite { size: model.horizon.value }),
                    decode,
                }
            }
            Values::Truth => Leaf::Decoded {
                input: input(plan, source, 0, InputKind::Finite { size: 2 }),
                decode: vec![0.0, 1.0],
            },
            Values::Number => Leaf::Real {
                input: input(plan, source, 0, InputKind::Real { components: 1 }),
                component: 0,
            },
        })
    })
}

/// The values that a formal takes.
pub(in crate::engine) enum Values<'a> {
    Domain(&'a Domain),
    Time,
    Truth,
    /// A reward.
    Number,
}

pub(in crate::engine) fn values_of_formal<'a>(model: &'a Model, formal: &Formal) -> Values<'a> {
    match formal.variable {
        FormalVariable::Variable(variable) => Values::Domain(&model.variable(variable).domain),
        FormalVariable::Reward(..) => Values::Number,
        FormalVariable::End => Values::Truth,
        FormalVariable::Time => Values::Time,
    }
}

pub(in crate::engine) fn formal_of(model: &Model, kernel: KernelId, formal: u32) -> &Formal {
    model
        .kernel(kernel)
        .formals()
        .nth(formal as usize)
        .expect("model: a layer's formal is one of its kernel")
}

/// Number of steps of a formal.
pub(in crate::engine) fn steps(formal: &Formal) -> Result<usize, Unsupported> {
    match formal.length {
        FormalLength::One => Ok(1),
        FormalLength::Window(steps) => Ok(steps),
        FormalLength::Sequence => {
            Err(unsupported("a network over a sequence without a fixed length"))
        }
    }
}

fn finite_kind(kind: &Kind) -> Option<(i64, usize)> {
    match kind {
        Kind::Integer { lo, hi } => Some((*lo, (hi - lo + 1) as usize)),
        Kind::Names(names) => Some((0, names.len())),
        Kind::Bool => Some((0, 2)),
        Kind::Real { .. } => None,
    }
}

fn input(plan: &mut NetworkPlan, source: u32, step: usize, kind: InputKind) -> usize {
    position(&mut plan.inputs, InputSpec { source, step, kind })
}

fn column(plan: &mut NetworkPlan, column: Column) -> usize {
    position(&mut plan.columns, column)
}

fn position<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items.iter().position(|known| *known == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}
