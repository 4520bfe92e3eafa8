//! The variables of a trajectory, and the times at which kernels read them.

use crate::model::{Index, VariableId};
use crate::plan::{Plan, Read, Subject};

/// A variable of a trajectory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Variable {
    State,
    Observation,
    /// A draw of the step, by its number.
    Drawn(usize),
    /// A reward of the step.
    Reward(usize),
    /// Whether the step has ended the episode.
    End,
}

/// When a variable is read from a point `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum When {
    After(i32),
    At(usize),
    /// At a fixed time, where that is not later than `t + to`, or not earlier than `t + from`.
    Past {
        time: usize,
        to: i32,
    },
    Future {
        time: usize,
        from: i32,
    },
}

impl Variable {
    pub fn of(plan: &Plan, variable: VariableId) -> Option<Variable> {
        let environment = plan.model.environment(plan.environment);
        if variable == environment.state {
            Some(Variable::State)
        } else if Some(variable) == environment.observation {
            Some(Variable::Observation)
        } else {
            plan.draw_of(variable).map(Variable::Drawn)
        }
    }

    /// What stands in the place of the environment's own.
    pub fn told(of: Subject) -> Variable {
        match of {
            Subject::Reward(reward) => Variable::Reward(reward),
            Subject::End => Variable::End,
            Subject::Read(_) => Variable::State,
        }
    }

    /// Gradient goes through what is drawn of it.
    pub fn is_followed(self, plan: &Plan) -> bool {
        let paths = &plan.paths;
        if let Variable::Reward(reward) = self {
            return paths.rewards.contains(&reward)
                || paths.of_rewards.iter().any(|slope| slope.at == reward);
        }
        let of = match self {
            // one kernel may begin what another goes on with
            Variable::Drawn(draw) => plan.draws.get(draw).map(|of| of.variable),
            _ => None,
        };
        let is_self = |&variable: &VariableId| match of {
            Some(of) => of == variable,
            None => Variable::of(plan, variable) == Some(self),
        };
        paths.followed.iter().any(is_self)
    }

    /// What a read at step `step` of its window means; `None` for the time, or what is not of the
    /// trajectory.
    pub fn read(plan: &Plan, read: Read, step: usize) -> Option<(Variable, When)> {
        let (variable, when) = match read {
            Read::Variable(variable) => (variable, When::After(0)),
            Read::Step(variable, offset) => (variable, When::After(offset)),
            Read::Window(variable, from, _) => (variable, When::After(from + step as i32)),
            Read::First(variable) => (variable, When::At(1)),
            Read::Last(variable, offset) => {
                (variable, When::At((plan.model.horizon.value as i64 + i64::from(offset)) as usize))
            }
            Read::Past(variable, to) => (variable, When::Past { time: step + 1, to }),
            Read::Whole(variable, to)
                if (step as i64) < plan.model.horizon.value as i64 + i64::from(to) =>
            {
                (variable, When::At(step + 1))
            }
            // no time is that early
            Read::Whole(variable, _) => (variable, When::Past { time: step + 1, to: i32::MIN }),
            Read::Future(variable, from) => (variable, When::Future { time: step + 1, from }),
            Read::Between(variable, first, _) => {
                (variable, When::At((i64::from(first) + step as i64).max(0) as usize))
            }
            Read::Tail(variable, first) if step as i64 + 1 >= i64::from(first) => {
                (variable, When::At(step + 1))
            }
            Read::Tail(variable, _) => (variable, When::Past { time: step + 1, to: i32::MIN }),
            Read::Reward(reward, index) => {
                let horizon = plan.model.horizon.value as i64;
                let when = match index {
                    Index::Step(offset) => When::After(offset),
                    Index::First => When::At(1),
                    Index::Last(offset) => When::At((horizon + i64::from(offset)) as usize),
                };
                return Some((Variable::Reward(reward), when));
            }
            // no time is that early, whatever it is of
            Read::Absent => return Some((Variable::State, When::Past { time: 1, to: i32::MIN })),
            Read::Time => return None,
        };
        Some((Variable::of(plan, variable)?, when))
    }
}

impl When {
    /// The time it is read at from `t`; 0 where there is none.
    pub fn from(self, t: usize) -> i64 {
        let after = |offset: i32| t as i64 + i64::from(offset);
        match self {
            When::After(offset) => after(offset),
            When::At(time) => time as i64,
            When::Past { time, to } if time as i64 <= after(to) => time as i64,
            When::Future { time, from } if time as i64 >= after(from) => time as i64,
            When::Past { .. } | When::Future { .. } => 0,
        }
    }
}
