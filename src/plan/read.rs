//! What a kernel reads, at which step and with which parameters, and which summands of a term a
//! draw is credited with.

use super::refused;
use crate::bound::Credit;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Factor, Index, KernelId, KernelRef, Model, Target, TargetVariable, Value, VariableId,
};
use crate::source::Span;

/// What a given of a kernel reads at step `t`. Where the time has no such variable it is `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The value of a variable at `t`.
    Variable(VariableId),
    Time,
    /// At `t + offset`, the offset not 0.
    Step(VariableId, i32),
    /// At 1.
    First(VariableId),
    /// At `T + offset`.
    Last(VariableId, i32),
    /// From `t + from` to `t + to`, both included.
    Window(VariableId, i32, i32),
    /// From 1 to `t + to`.
    Past(VariableId, i32),
    /// From `t + from` to `T`.
    Future(VariableId, i32),
    /// From 1 to `T + to`, from any `t`.
    Whole(VariableId, i32),
    /// From one time to another, both included, from any `t`.
    Between(VariableId, i32, i32),
    /// From that time to `T`, from any `t`.
    Tail(VariableId, i32),
    /// The environment's reward of that number.
    Reward(usize, Index),
    /// Nothing: what is given is `none`.
    Absent,
}

impl Read {
    /// The variable, where it is of one.
    pub(super) fn variable(self) -> Option<VariableId> {
        match self {
            Read::Variable(of)
            | Read::Step(of, _)
            | Read::First(of)
            | Read::Last(of, _)
            | Read::Window(of, ..)
            | Read::Past(of, _)
            | Read::Future(of, _)
            | Read::Whole(of, _)
            | Read::Between(of, ..)
            | Read::Tail(of, _) => Some(of),
            Read::Time | Read::Reward(..) | Read::Absent => None,
        }
    }

    /// As a step reads it that is `by` steps later; `None` of the time, which would be another.
    pub(super) fn earlier(self, by: i32) -> Option<Read> {
        Some(match self {
            _ if by == 0 => self,
            Read::Time => return None,
            Read::Variable(of) => Read::Step(of, -by),
            Read::Step(of, offset) if offset == by => Read::Variable(of),
            Read::Step(of, offset) => Read::Step(of, offset - by),
            Read::Window(of, from, to) => Read::Window(of, from - by, to - by),
            Read::Past(of, to) => Read::Past(of, to - by),
            Read::Future(of, from) => Read::Future(of, from - by),
            Read::Reward(reward, Index::Step(offset)) => {
                Read::Reward(reward, Index::Step(offset - by))
            }
            Read::First(_)
            | Read::Last(..)
            | Read::Whole(..)
            | Read::Between(..)
            | Read::Tail(..)
            | Read::Reward(..)
            | Read::Absent => self,
        })
    }
}

/// Refuses a factor of `x[t+1]` that reads `t`, which is not the step of its draw.
pub(super) fn another_time(model: &Model, factor: &Factor) -> Vec<Diagnostic> {
    let Target::Variable { variable: TargetVariable::Variable(variable), .. } = factor.targets[0]
    else {
        panic!("read: options and actions are drawn as variables")
    };
    let name = &model.variable(variable).name;
    let message = format!(
        "this factor of `{name}` reads `t`, which is not the step of its draw there: no read of \
         the time is of another step than its own"
    );
    vec![refused(factor.span, message).hint(format!("write it for `{name}[t]`"))]
}

/// Which parameters a kernel of the prior has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Present,
    /// `previous`: those at the beginning of the round.
    Previous,
}

/// The summands of a term that a draw at `t` is credited with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credited {
    /// Those of `k ≥ t + offset`.
    From(i32),
    All,
}

impl Credited {
    pub(super) fn of(credit: &Credit) -> Credited {
        match credit.from {
            crate::bound::Downstream::Offset(offset) => Credited::From(offset),
            crate::bound::Downstream::All => Credited::All,
        }
    }

    /// The same, and the summand at the draw's own step.
    pub(super) fn at_its_own_step(self) -> Credited {
        match self {
            Credited::From(offset) => Credited::From(offset.min(0)),
            Credited::All => Credited::All,
        }
    }
}

/// The kernel of a factor that is learned or a copy of the last round.
pub(super) fn learned(kernel: &KernelRef) -> Option<(KernelId, Version)> {
    match kernel {
        KernelRef::Learned(kernel) => Some((*kernel, Version::Present)),
        KernelRef::Previous(kernel) => Some((*kernel, Version::Previous)),
        KernelRef::Environment(..) | KernelRef::Data(_) | KernelRef::InPlace(_) => None,
    }
}

/// What the arguments of a kernel read.
pub(super) fn reads(
    model: &Model,
    arguments: &[Value],
    span: Span,
    who: &str,
) -> Result<Vec<Read>, Vec<Diagnostic>> {
    let horizon = model.horizon.value as i32;
    let time = |index: Index| match index {
        Index::First => Some(1),
        Index::Last(offset) => Some(horizon + offset),
        Index::Step(_) => None,
    };
    let read = |value: &Value| match value {
        Value::Variable { variable, index } => Ok(match index {
            Index::Step(0) => Read::Variable(*variable),
            Index::Step(offset) => Read::Step(*variable, *offset),
            Index::First => Read::First(*variable),
            Index::Last(offset) => Read::Last(*variable, *offset),
        }),
        Value::Time => Ok(Read::Time),
        Value::Window { variable, from: Index::Step(from), to: Index::Step(to) } => {
            Ok(Read::Window(*variable, *from, *to))
        }
        Value::Past { variable, to: Index::Step(to) } => Ok(Read::Past(*variable, *to)),
        Value::Past { variable, to: Index::Last(to) } => Ok(Read::Whole(*variable, *to)),
        Value::Future { variable, from: Index::Step(from) } => Ok(Read::Future(*variable, *from)),
        Value::Window { variable, from, to } => match (time(*from), time(*to)) {
            (Some(from), Some(to)) => Ok(Read::Between(*variable, from, to)),
            _ => Err("reads a window of no fixed length"),
        },
        Value::Past { variable, to: Index::First } => Ok(Read::Whole(*variable, 1 - horizon)),
        Value::Future { variable, from } => Ok(Read::Tail(*variable, time(*from).unwrap_or(1))),
        Value::Reward { reward, index, .. } => Ok(Read::Reward(*reward as usize, *index)),
        Value::Expression(_) => Err(
            "is given what is computed, and records hold what was drawn under values of their own",
        ),
        Value::Absent => Ok(Read::Absent),
    };
    let mut found = Vec::with_capacity(arguments.len());
    for value in arguments {
        let refusal = |what| {
            let told = refused(span, format!("{who} {what}"));
            vec![match value {
                Value::Expression(_) => told.hint("give it what is recorded, the variable itself"),
                _ => told,
            }]
        };
        found.push(read(value).map_err(refusal)?);
    }
    Ok(found)
}
