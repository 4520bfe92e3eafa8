//! When factors and likelihoods stand: at which times, and whether they stop where an episode ends.

use super::term::{Moment, Times};
use crate::model::{
    Bound, Dynamics, EnvironmentKernel, Factor, Index, KernelRef, Model, Role, Target,
    TargetVariable,
};

/// The last time at which a variable has a value, relative to `T`: states reach `T + 1`.
fn last_offset(model: &Model, variable: TargetVariable) -> i32 {
    match variable {
        TargetVariable::Variable(id) => match model.variable(id).role {
            Role::State => 1,
            Role::Action | Role::Option | Role::Observation => 0,
        },
        TargetVariable::Reward(..) | TargetVariable::End => 0,
    }
}

/// The indices of its first target that a factor generates.
pub fn coverage(model: &Model, factor: &Factor) -> Times {
    match factor.targets[0] {
        Target::Weights(_) => Times::once(Moment::First(0)),
        Target::Variable { variable, index } => match index {
            Index::First => Times::once(Moment::First(0)),
            Index::Last(k) => Times::once(Moment::Last(k)),
            // t runs over 1..T, the index over t + k as far as the variable goes
            Index::Step(k) => Times {
                from: Moment::First(k.max(0)),
                to: Moment::Last(k.min(last_offset(model, variable))),
            },
        },
    }
}

/// `t − index`: how far the `t` of a factor lies before the index it generates.
pub fn lead(factor: &Factor) -> i32 {
    match factor.targets[0] {
        Target::Variable { index: Index::Step(k), .. } => k,
        Target::Variable { .. } | Target::Weights(_) => 0,
    }
}

/// How much later than a factor's own `t` the step lies that its draw belongs to, and by which it
/// is live: a state's is the step that leads to it.
pub fn step_of_draw(model: &Model, factor: &Factor) -> i32 {
    match factor.targets[0] {
        Target::Variable { variable: TargetVariable::Variable(id), index }
            if model.variable(id).role == Role::State =>
        {
            match index {
                Index::Step(k) => k.saturating_sub(1),
                Index::First | Index::Last(_) => -1,
            }
        }
        Target::Variable { .. } | Target::Weights(_) => lead(factor),
    }
}

/// The `t`s of a likelihood factor.
pub fn likelihood_times(index: Index) -> Times {
    match index {
        Index::First => Times::once(Moment::First(0)),
        Index::Last(k) => Times::once(Moment::Last(k)),
        Index::Step(_) => Times { from: Moment::First(0), to: Moment::Last(0) },
    }
}

/// The part that two coverages share, where `T` is taken to be long.
pub fn intersect(a: Times, b: Times) -> Option<Times> {
    let (from, to) = (a.from.max(b.from), a.to.min(b.to));
    (from <= to).then_some(Times { from, to })
}

/// Whether an episode of this bound can end before the horizon.
pub fn can_end(model: &Model, bound: &Bound) -> bool {
    let targets = || bound.posterior.iter().flat_map(|factor| &factor.targets);
    targets().any(|target| match target {
        Target::Variable { variable: TargetVariable::End, .. } => true,
        Target::Variable { variable: TargetVariable::Variable(id), .. } => model
            .variable(*id)
            .environment
            .is_some_and(|id| match &model.environment(id).dynamics {
                Dynamics::Written { end, .. } => end.is_some(),
                Dynamics::External { .. } => true,
            }),
        Target::Variable { variable: TargetVariable::Reward(..), .. } | Target::Weights(_) => false,
    })
}

/// Whether a factor stops where the episode ends. An environment's own states repeat there, with
/// probability 1.
pub fn stops_at_end(model: &Model, factor: &Factor) -> bool {
    match factor.kernel {
        KernelRef::Environment(_, EnvironmentKernel::Initial | EnvironmentKernel::Transition) => {
            false
        }
        KernelRef::Environment(_, EnvironmentKernel::Observation) => true,
        KernelRef::Learned(_)
        | KernelRef::Previous(_)
        | KernelRef::Data(_)
        | KernelRef::InPlace(_) => {
            // s[1] is drawn before anything can have ended
            !factor.targets.iter().all(|target| match target {
                Target::Variable { variable: TargetVariable::Variable(id), index } => {
                    model.variable(*id).role == Role::State && *index == Index::First
                }
                Target::Variable { .. } => false,
                Target::Weights(_) => true,
            })
        }
    }
}
