//! A kernel that draws several values: the independent parts of its distribution.

use super::read::{learned, reads};
use super::term::{Density, Subject};
use super::{Head, head, refused};
use crate::diagnostic::Diagnostic;
use crate::model::{
    Distribution, Domain, Factor, Index, KernelRef, Model, Target, TargetVariable, Value,
};
use crate::source::Span;

/// One of the values that a factor draws.
pub(super) struct Part {
    pub name: String,
    pub density: Density,
}

/// Whether a factor draws rewards or the end of the episode.
pub(super) fn predicts(factor: &Factor) -> bool {
    let is_outcome = |target: &Target| {
        matches!(
            target,
            Target::Variable { variable: TargetVariable::Reward(..) | TargetVariable::End, .. }
        )
    };
    factor.targets.iter().any(is_outcome)
}

/// The densities of the independent parts of a learned factor, in the order of its values.
pub(super) fn parts(model: &Model, factor: &Factor) -> Result<Vec<Part>, Vec<Diagnostic>> {
    let values = factor.targets.iter().map(|target| match *target {
        Target::Variable { variable: TargetVariable::Variable(variable), index } => {
            Ok((Of::Value(Value::Variable { variable, index }), index))
        }
        Target::Variable { variable: TargetVariable::Reward(environment, reward), index } => {
            Ok((Of::Value(Value::Reward { environment, reward, index }), index))
        }
        Target::Variable { variable: TargetVariable::End, index } => Ok((Of::End, index)),
        Target::Weights(_) => Err(vec![refused(factor.span, "weights are drawn alone")]),
    });
    let values: Vec<(Of, Index)> = values.collect::<Result<_, _>>()?;
    densities(model, (&factor.kernel, &factor.arguments), (&values, Index::Step(0)), factor.span)
}

/// Those of a kernel at several values of a likelihood that stands at `at`.
pub(super) fn of_values(
    model: &Model,
    (kernel, givens): (&KernelRef, &[Value]),
    (values, at): (&[Value], Index),
    span: Span,
) -> Result<Vec<Part>, Vec<Diagnostic>> {
    let index = |value: &Value| match value {
        Value::Variable { index, .. } | Value::Reward { index, .. } => *index,
        _ => at,
    };
    let values: Vec<(Of, Index)> =
        values.iter().map(|value| (Of::Value(value.clone()), index(value))).collect();
    densities(model, (kernel, givens), (&values, at), span)
}

/// What a part is of.
enum Of {
    Value(Value),
    End,
}

fn densities(
    model: &Model,
    (kernel, givens): (&KernelRef, &[Value]),
    (values, at): (&[(Of, Index)], Index),
    span: Span,
) -> Result<Vec<Part>, Vec<Diagnostic>> {
    let unlike = |what: &str| vec![refused(span, format!("a density of several values {what}"))];
    let (kernel, of) = learned(kernel).ok_or_else(|| {
        unlike("is that of a learned kernel: what else draws them has none of each alone")
    })?;
    let written = model.kernel(kernel);
    let parts = match &written.distribution {
        Distribution::Record(parts) if written.outputs.len() > 1 => &parts[..],
        only if written.outputs.len() == 1 => std::slice::from_ref(only),
        _ => return Err(unlike("is that of a record of independent parts")),
    };
    let reads_of = |values: &[Value]| reads(model, values, span, &format!("`{}`", written.name));
    let given = reads_of(givens)?;
    let mut found = Vec::with_capacity(parts.len());
    for (((value, index), part), output) in values.iter().zip(parts).zip(&written.outputs) {
        let (target, domain) = match value {
            Of::Value(Value::Variable { variable, .. }) => {
                let Of::Value(value) = value else { continue };
                let read = reads_of(std::slice::from_ref(value))?.swap_remove(0);
                (Subject::Read(read), model.variable(*variable).domain.clone())
            }
            Of::Value(Value::Reward { .. }) | Of::End if *index != at => {
                return Err(unlike("is of a reward and the end at their own step"));
            }
            Of::Value(Value::Reward { environment, reward, .. }) => {
                let declared = model.environment(*environment).rewards[*reward as usize].bounds;
                let (lo, hi) = declared.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
                (Subject::Reward(*reward as usize), Domain::real(lo, hi))
            }
            Of::End => (Subject::End, Domain::truth()),
            Of::Value(_) => {
                return Err(unlike(
                    "is of what is drawn: what is computed from draws has a density of its own, \
                     which no kernel knows",
                ));
            }
        };
        let refusal = |what: String| {
            let message = format!("`{}` of `{}` is {what}", output.name, written.name);
            vec![refused(written.span, message)]
        };
        let head = head::head(model, written.outputs.len(), part, &domain).map_err(refusal)?;
        if let Head::Implicit { .. } = head {
            let message = format!(
                "`{}` of `{}` is `Implicit`: it has no density, and the parts of what is drawn \
                 together are compared by theirs",
                output.name, written.name
            );
            return Err(vec![refused(written.span, message)]);
        }
        let density = Density { of, kernel, head, target, reads: given.clone(), span };
        found.push(Part { name: format!("log {}({})", written.name, output.name), density });
    }
    Ok(found)
}
