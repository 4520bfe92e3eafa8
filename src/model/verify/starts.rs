//! Kernels are distributions where a run begins: with tables at their first numbers, and whatever
//! else networks compute. A logit that is no number there ends the run at its first step. What is
//! known of a kernel's arguments is evaluated at every value of what it reads.

use super::law::{Atoms, Fault, Law};
use super::placed::{Place, Placed, Presence};
use super::probabilities::{cause_in, lies_outside, witness};
use super::sampled::{Sampled, ends};
use super::space::{BATCH, Evaluator, Space, Stands};
use super::times::arguments;
use super::words;
use crate::diagnostic::{Diagnostic, Severity};
use crate::expr::ExprId;
use crate::model::{
    Bound, Distribution, Domain, Dynamics, Factor, Formal, FormalLength, FormalVariable, Index,
    Input, Kernel, KernelId, KernelRef, Kind, LayerOp, Likelihood, LikelihoodForm, Model, Value,
    VariableId,
};
use crate::source::Span;

pub fn faults(model: &Model) -> Vec<Diagnostic> {
    let kernels = model.kernels.iter().enumerate();
    kernels
        .flat_map(|(id, kernel)| {
            (0..kernel.outputs.len())
                .filter_map(move |output| fault(model, KernelId(id as u32), kernel, output))
        })
        .collect()
}

fn fault(model: &Model, id: KernelId, kernel: &Kernel, output: usize) -> Option<Diagnostic> {
    let domain = domain_of(model, &kernel.outputs[output])?;
    let given = givens(kernel);
    let optional = |variable: VariableId, _: Index| {
        let formal = kernel.givens.iter().find(|formal| {
            formal.variable == FormalVariable::Variable(variable) && formal.optional
        });
        if formal.is_some() { Presence::Sometimes } else { Presence::Always }
    };
    let learned = KernelRef::Learned(id);
    let outputs = kernel.outputs.len();
    let place = Place {
        kernel: &learned,
        arguments: &given,
        output,
        outputs,
        shift: &|index| index,
        presence: &optional,
    };
    let mut placed = Placed::new(model);
    let written = placed.distribution(&place)?;
    let ends = ends(model, &mut placed, &place);
    let sampled = Sampled::new(arguments(&written), ends)?;
    if sampled.roots.is_empty() || is_implicit(&written) {
        return None;
    }
    let law = Law::of(&written, &domain, &|id| sampled.column(id))?;
    let space = sampled.space(model, &placed)?;
    let learned = placed.learned_leaves().next().is_some();
    let params = model.param_values();
    let mut atoms = Atoms::default();
    sampled.first(
        (model, &placed, &space),
        &|layer| first_value(model, layer),
        |faults: &mut Vec<Wrong>, values, row| {
            faults.extend(wrong(&law, values, row, &domain, &mut atoms))
        },
        |faults, tries, row| {
            // what goes wrong with any numbers in the place of those nobody knows
            let fault = faults.first().filter(|_| faults.len() == tries)?;
            let cause = match fault {
                Wrong::NotANumber(at) => {
                    cause_in(&placed.graph, &params, sampled.roots[*at], row.columns, row.at)
                }
                Wrong::Infinite | Wrong::NoValue | Wrong::Outside(_) => None,
            };
            let mut told = told(
                kernel,
                &kernel.outputs[output],
                (fault, cause, learned),
                &domain,
                &space.show(model, row.number),
            );
            if reads_unbounded(model, &placed, &sampled.roots) {
                told.severity = Severity::Warning;
            }
            Some(told)
        },
    )
}

#[derive(Clone, PartialEq)]
enum Wrong {
    /// The column.
    NotANumber(usize),
    Infinite,
    NoValue,
    Outside(Vec<f64>),
}

/// What is wrong at one row, but for what intervals show of all rows at once.
fn wrong(
    law: &Law,
    values: &[Vec<f64>],
    row: usize,
    domain: &Domain,
    atoms: &mut Atoms,
) -> Option<Wrong> {
    match law.fault(values, row) {
        Some(Fault::NotANumber(column)) => return Some(Wrong::NotANumber(column)),
        Some(Fault::Infinite(_)) => return Some(Wrong::Infinite),
        Some(Fault::NoValue) => return Some(Wrong::NoValue),
        Some(
            Fault::WeightsSum(_)
            | Fault::NegativeWeight { .. }
            | Fault::ProbabilitiesSum(_)
            | Fault::NegativeProbability { .. },
        ) => {
            return None;
        }
        Some(Fault::NotAProbability(_) | Fault::EmptyBox { .. } | Fault::NotPositive { .. }) => {
            return None;
        }
        None => {}
    }
    atoms.clear();
    law.atoms(values, row, atoms);
    let outside = atoms.iter(domain.width()).find(|value| lies_outside(domain, value));
    outside.map(|value| Wrong::Outside(value.to_vec()))
}

fn told(
    kernel: &Kernel,
    output: &Formal,
    (wrong, cause, learned): (&Wrong, Option<String>, bool),
    domain: &Domain,
    at: &str,
) -> Diagnostic {
    let (name, drawn) = (&kernel.name, &output.name);
    let when = if learned { " at the parameters a run begins with" } else { "" };
    let (code, message, what, hint) = match wrong {
        Wrong::NotANumber(_) => (
            "not-a-number",
            format!("`{name}` reads a value that is not a number{when}"),
            cause.unwrap_or_else(|| "a value is not a number".to_owned()),
            "tables begin at 0: keep the argument of `log`, `sqrt` and of a division above 0, \
             with `softplus(…)` or `exp(…)`, say"
                .to_owned(),
        ),
        Wrong::Infinite => (
            "no-distribution",
            format!("the logits of `{name}` make no distribution{when}"),
            "a logit is ∞".to_owned(),
            "a logit of −∞ leaves its value out, and none is ∞".to_owned(),
        ),
        Wrong::NoValue => (
            "no-distribution",
            format!("the logits of `{name}` make no distribution{when}"),
            "every logit is −∞".to_owned(),
            "a logit of −∞ leaves its value out: at least one is a finite number".to_owned(),
        ),
        Wrong::Outside(value) => (
            "leaves-domain",
            format!("`{name}` can draw a value outside the domain of `{drawn}`"),
            format!("{drawn} = {}", domain.show(value)),
            "keep it inside with `clamp(…, lo, hi)`".to_owned(),
        ),
    };
    Diagnostic::error(code, kernel.span, message).witness(witness(at, &what)).hint(hint)
}

/// What a layer computes at the start: tables are constants there.
fn first_value(model: &Model, layer: crate::model::LayerId) -> Option<f64> {
    match &model.network.layer(layer).op {
        LayerOp::Table { weight, .. } => Some(model.network.parameter(*weight).start),
        LayerOp::Formal { .. }
        | LayerOp::Scalars(_)
        | LayerOp::Concat(_)
        | LayerOp::Linear { .. }
        | LayerOp::Mlp { .. } => None,
        LayerOp::Per { .. }
        | LayerOp::Gru { .. }
        | LayerOp::Noise
        | LayerOp::Simulate(_)
        | LayerOp::Unary(..)
        | LayerOp::Binary(..)
        | LayerOp::Sum(_)
        | LayerOp::Mixture(_) => None,
    }
}

/// The givens of a kernel as arguments: each variable at the step, a second formal of it at the
/// next.
fn givens(kernel: &Kernel) -> Vec<Value> {
    let earlier = |at: usize| {
        kernel.givens[..at]
            .iter()
            .filter(|formal| formal.variable == kernel.givens[at].variable)
            .count() as i32
    };
    let one = |(at, formal): (usize, &Formal)| {
        let index = Index::Step(earlier(at));
        match (formal.variable, formal.length) {
            (FormalVariable::Time, _) => Value::Time,
            (FormalVariable::Variable(variable), FormalLength::One) => {
                Value::Variable { variable, index }
            }
            (FormalVariable::Variable(variable), FormalLength::Window(steps)) => {
                Value::Window { variable, from: Index::Step(0), to: Index::Step(steps as i32 - 1) }
            }
            (FormalVariable::Variable(variable), FormalLength::Sequence) => {
                Value::Past { variable, to: Index::Step(0) }
            }
            (FormalVariable::Reward(environment, reward), _) => {
                Value::Reward { environment, reward, index }
            }
            (FormalVariable::End, _) => Value::Absent,
        }
    };
    kernel.givens.iter().enumerate().map(one).collect()
}

fn domain_of(model: &Model, formal: &Formal) -> Option<Domain> {
    match formal.variable {
        FormalVariable::Variable(id) => Some(model.variable(id).domain.clone()),
        FormalVariable::End => Some(Domain::truth()),
        FormalVariable::Reward(..) => Some(Domain::real(f64::NEG_INFINITY, f64::INFINITY)),
        FormalVariable::Time => None,
    }
}

fn is_implicit(distribution: &Distribution<Vec<ExprId>>) -> bool {
    matches!(distribution, Distribution::Implicit(_))
}

/// Whether a real without bounds is read, of which the rows looked at are guesses.
fn reads_unbounded(model: &Model, placed: &Placed<'_>, roots: &[ExprId]) -> bool {
    placed.graph.inputs_of(roots).into_iter().any(|input| match placed.stands(input) {
        Stands::At(Input::Variable { variable, component, .. }) => {
            let kind = &model.variable(variable).domain.components[component as usize].kind;
            matches!(kind, Kind::Real { lo, hi } if lo.is_infinite() || hi.is_infinite())
        }
        Stands::At(Input::Reward { environment, reward, .. }) => {
            model.environment(environment).rewards[reward as usize].bounds.is_none()
        }
        Stands::At(Input::Formal { .. } | Input::Gain(_)) => true,
        Stands::Present(..) | Stands::Free => false,
    })
}

/// Arguments that are expressions give their kernels values of what these read.
pub fn argument_faults(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for factor in bound.prior.iter().chain(&bound.posterior).chain(&bound.auxiliary) {
        let Factor { kernel, arguments, span, .. } = factor;
        found.extend(given(model, kernel, arguments, *span));
    }
    for likelihood in &bound.likelihood {
        let Likelihood { form, span, .. } = likelihood;
        if let LikelihoodForm::Density { kernel, givens, .. } = form {
            found.extend(given(model, kernel, givens, *span));
        }
    }
    found
}

fn given(model: &Model, kernel: &KernelRef, arguments: &[Value], span: Span) -> Option<Diagnostic> {
    let formals: Vec<Option<(String, VariableId)>> = match kernel {
        KernelRef::Learned(id) | KernelRef::Previous(id) => {
            model.kernel(*id).givens.iter().map(named).collect()
        }
        KernelRef::Data(id) => model.data[id.0 as usize].givens.iter().map(named).collect(),
        KernelRef::Environment(id, _) => {
            let environment = model.environment(*id);
            let formal =
                |variable: VariableId| Some((model.variable(variable).name.clone(), variable));
            environment.transition_reads().map(formal).collect()
        }
        KernelRef::InPlace(_) => Vec::new(),
    };
    arguments.iter().zip(&formals).find_map(|(argument, formal)| {
        let (Value::Expression(roots), Some((name, variable))) = (argument, formal) else {
            return None;
        };
        let domain = &model.variable(*variable).domain;
        let read = model.graph.inputs_of(roots);
        // where an episode has ended, nothing is drawn any more
        let ends = model.environments.iter().filter_map(|environment| match environment.dynamics {
            Dynamics::Written { end, .. } => end.filter(|end| {
                model.graph.inputs_of(&[*end]).iter().all(|input| read.contains(input))
            }),
            Dynamics::External { .. } => None,
        });
        let all: Vec<ExprId> = roots.iter().copied().chain(ends).collect();
        let space = Space::of(model, &all)?;
        let params = model.param_values();
        let mut evaluator = Evaluator::new(model, &params, &all);
        for (first, columns) in space.batches(BATCH) {
            let values = evaluator.run(&columns);
            let value = |row: usize| {
                values[..roots.len()].iter().map(|column| column[row]).collect::<Vec<f64>>()
            };
            let outside = (0..columns.time.len()).find(|row| {
                lies_outside(domain, &value(*row))
                    && values[roots.len()..].iter().all(|end| end[*row] == 0.0)
            });
            if let Some(row) = outside {
                let value = value(row);
                let cause = roots
                    .iter()
                    .find_map(|root| cause_in(&model.graph, &params, *root, &columns, row));
                let what = if value.iter().any(|v| v.is_nan()) {
                    cause.unwrap_or_default()
                } else {
                    format!("{name} = {}", domain.show(&value))
                };
                let message = format!(
                    "`{}` is given what is no value of `{name}`",
                    words::kernel(model, kernel, span)
                );
                let told = Diagnostic::error("leaves-domain", span, message)
                    .witness(witness(&space.show(model, first + row), &what));
                return Some(told.hint("keep it inside with `clamp(…, lo, hi)`"));
            }
        }
        None
    })
}

fn named(formal: &Formal) -> Option<(String, VariableId)> {
    match formal.variable {
        FormalVariable::Variable(id) => Some((formal.name.clone(), id)),
        FormalVariable::Reward(..) | FormalVariable::End | FormalVariable::Time => None,
    }
}
