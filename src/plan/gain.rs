//! Information gains that exponents read: of which mean field, at what values.

use super::parts::parts;
use super::read::Read;
use super::term::{Density, Subject};
use super::terms::Planner;
use super::weights::MeanField;
use super::{Head, refused};
use crate::diagnostic::Diagnostic;
use crate::model::{Factor, GainId, KernelRef, Role, Target, TargetVariable, Value};

/// A gain, in nats, of a step of a trajectory.
#[derive(Clone, Debug, PartialEq)]
pub struct Gain {
    pub id: GainId,
    /// The mean field, by its place in [`super::Plan::weights`].
    pub field: usize,
    /// The densities whose gradient in the weights it comes from: one, or where the kernel draws
    /// several independent values, one of each.
    pub densities: Vec<Density>,
    pub at_most: f64,
}

/// All gains that the exponents of the bound read, each once.
pub(super) fn gains(planner: &Planner, fields: &[MeanField]) -> Result<Vec<Gain>, Vec<Diagnostic>> {
    planner.model.gains_of(planner.bound).into_iter().map(|id| gain(planner, id, fields)).collect()
}

fn gain(planner: &Planner, id: GainId, fields: &[MeanField]) -> Result<Gain, Vec<Diagnostic>> {
    let model = planner.model;
    let of = model.gain(id);
    let name = &model.kernel(of.kernel).name;
    let refusal = |what: &str| vec![refused(of.span, format!("the gain of `{name}` {what}"))];
    let field = fields
        .iter()
        .position(|field| field.kernel == model.written(of.kernel))
        .ok_or_else(|| refusal("is of no mean field"))?;
    let kernel = KernelRef::Learned(of.kernel);
    let densities = match of.outputs.as_slice() {
        [output] => vec![planner.density(&kernel, output, &of.givens, of.span)?],
        several => {
            let targets: Option<Vec<Target>> = several.iter().map(target).collect();
            let targets = targets.ok_or_else(|| refusal("is of what no factor draws"))?;
            let factor = Factor { targets, kernel, arguments: of.givens.clone(), span: of.span };
            parts(model, &factor)?.into_iter().map(|part| part.density).collect()
        }
    };
    for density in &densities {
        if let Head::Implicit { .. } = density.head {
            return Err(refusal(
                "is of an `Implicit` draw, which has no density that a weight could move",
            ));
        }
        let target = match &density.target {
            Subject::Read(read) => Some(read),
            Subject::Reward(_) | Subject::End => None,
        };
        if density.reads.iter().chain(target).any(|read| !is_past(planner, read)) {
            return Err(refusal(
                "reads what is drawn after its step, and it is what a step teaches once it has \
                 been made",
            ));
        }
    }
    Ok(Gain { id, field, densities, at_most: of.at_most })
}

/// A value as what a factor draws.
fn target(value: &Value) -> Option<Target> {
    let (variable, index) = match *value {
        Value::Variable { variable, index } => (TargetVariable::Variable(variable), index),
        Value::Reward { environment, reward, index } => {
            (TargetVariable::Reward(environment, reward), index)
        }
        _ => return None,
    };
    Some(Target::Variable { variable, index })
}

/// Whether it is known once the step has been made.
fn is_past(planner: &Planner, read: &Read) -> bool {
    let last = |variable| i32::from(planner.model.variable(variable).role == Role::State);
    match *read {
        Read::Time | Read::Variable(_) | Read::First(_) => true,
        Read::Step(variable, to) | Read::Window(variable, _, to) | Read::Past(variable, to) => {
            to <= last(variable)
        }
        Read::Absent => true,
        Read::Last(..)
        | Read::Future(..)
        | Read::Whole(..)
        | Read::Between(..)
        | Read::Tail(..)
        | Read::Reward(..) => false,
    }
}
