//! Information gains that exponents read: of which mean field, at what values.

use super::read::Read;
use super::term::{Density, Subject};
use super::terms::Planner;
use super::weights::MeanField;
use super::{Head, refused};
use crate::diagnostic::Diagnostic;
use crate::model::{GainId, KernelRef, Role};

/// A gain, in nats, of a step of a trajectory.
#[derive(Clone, Debug, PartialEq)]
pub struct Gain {
    pub id: GainId,
    /// The mean field, by its place in [`super::Plan::weights`].
    pub field: usize,
    /// The density whose gradient in the weights it comes from.
    pub density: Density,
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
    let refusal = |what: &str| {
        vec![refused(
            of.span,
            format!("the gain of `{name}` {what}, which this version does not compute"),
        )]
    };
    let field = fields
        .iter()
        .position(|field| field.kernel == of.kernel)
        .ok_or_else(|| refusal("is of no mean field"))?;
    let [output] = of.outputs.as_slice() else { return Err(refusal("is of several values")) };
    let density = planner.density(&KernelRef::Learned(of.kernel), output, &of.givens, of.span)?;
    match density.head {
        Head::Categorical { .. }
        | Head::Bernoulli { .. }
        | Head::Real { .. }
        | Head::Mixture { .. }
        | Head::Blend { .. }
        | Head::Record(_) => {}
        Head::Sticky { .. } => return Err(refusal("is of a `Sticky` draw")),
        Head::Implicit { .. } => return Err(refusal("is of an `Implicit` draw")),
    }
    let target = match &density.target {
        Subject::Read(read) => Some(read),
        Subject::Reward(_) | Subject::End => None,
    };
    if density.reads.iter().chain(target).any(|read| !is_past(planner, read)) {
        return Err(refusal("reads what is drawn after its step"));
    }
    Ok(Gain { id, field, density, at_most: of.at_most })
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
