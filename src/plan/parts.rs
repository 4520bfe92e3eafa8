//! A kernel that draws several values: the independent parts of its distribution.

use super::read::{learned, reads};
use super::term::{Density, Subject};
use super::{Head, head, refused};
use crate::diagnostic::Diagnostic;
use crate::model::{Distribution, Domain, Factor, Index, Model, Target, TargetVariable, Value};

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
    let unlike = |what: &str| {
        vec![refused(
            factor.span,
            format!("a factor of several values {what}, which this version does not train"),
        )]
    };
    let (kernel, of) = learned(&factor.kernel).ok_or_else(|| unlike("is no learned kernel"))?;
    let written = model.kernel(kernel);
    let parts = match &written.distribution {
        Distribution::Record(parts) if written.outputs.len() > 1 => &parts[..],
        only if written.outputs.len() == 1 => std::slice::from_ref(only),
        _ => return Err(unlike("is no record of independent parts")),
    };
    let reads_of =
        |values: &[Value]| reads(model, values, factor.span, &format!("`{}`", written.name));
    let given = reads_of(&factor.arguments)?;
    let mut found = Vec::with_capacity(parts.len());
    for ((target, part), output) in factor.targets.iter().zip(parts).zip(&written.outputs) {
        let Target::Variable { variable, index } = *target else {
            return Err(unlike("draws weights"));
        };
        let (target, domain) = match variable {
            TargetVariable::Variable(variable) => {
                let read = reads_of(&[Value::Variable { variable, index }])?.swap_remove(0);
                (Subject::Read(read), model.variable(variable).domain.clone())
            }
            TargetVariable::Reward(..) | TargetVariable::End if index != Index::Step(0) => {
                return Err(unlike("draws a reward or the end at another index than `[t]`"));
            }
            TargetVariable::Reward(_, reward) => {
                (Subject::Reward(reward as usize), Domain::real(f64::NEG_INFINITY, f64::INFINITY))
            }
            TargetVariable::End => (Subject::End, Domain::truth()),
        };
        let refusal = |what: String| {
            let message = format!(
                "`{}` of `{}` is {what}; this version trains `Categorical(logits = …)`",
                output.name, written.name
            );
            vec![refused(
                written.span,
                format!(
                    "{message}, `Normal`, mixtures of `Normal`s and, for the end, \
                     `Bernoulli(logits = …)`"
                ),
            )]
        };
        let head = head::head(model, written.outputs.len(), part, &domain).map_err(refusal)?;
        match head {
            Head::Real { .. } if head.is_squashed() => {
                return Err(refusal("squashed by `tanh`".into()));
            }
            Head::Categorical { .. }
            | Head::Bernoulli { .. }
            | Head::Real { .. }
            | Head::Mixture { .. } => {}
            Head::Sticky { .. } => return Err(refusal("a `Sticky` draw".into())),
            Head::Implicit { .. } => return Err(refusal("`Implicit`".into())),
        }
        let density = Density { of, kernel, head, target, reads: given.clone(), span: factor.span };
        found.push(Part { name: format!("log {}({})", written.name, output.name), density });
    }
    Ok(found)
}
