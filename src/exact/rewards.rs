//! Rewards beside more than their own transition: a reward is a function of the state, the actions
//! and the next state, so that what it reads is read in its place, of other steps out of the
//! memory.

use super::environments::Environments;
use super::read::{NONE, Need, Points};
use super::refuse::refuse;
use crate::expr::ExprId;
use crate::finite::NotFinite;
use crate::finite::columns::{Columns, listed, values_at};
use crate::model::{EnvironmentId, Index, Input, Model};
use std::collections::BTreeMap;

/// What the reward at `at` reads, each relative as `at` is.
///
/// # Errors
/// One sentence, where the environment is not written in the language.
pub(super) fn reads(
    model: &Model,
    environment: EnvironmentId,
    reward: u32,
    at: Index,
) -> Result<Vec<Need>, NotFinite> {
    let value = expression(model, environment, reward)?;
    // whether the episode is over, the state says
    let mut needs = vec![Need::Variable(model.environment(environment).state, at)];
    needs.extend(Columns::new(model, &[value]).inputs().filter_map(|input| match input {
        Input::Variable { variable, index: Index::Step(k), .. } => {
            Some(Need::Variable(variable, moved(model, at, k)))
        }
        Input::Variable { .. } | Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => {
            None
        }
    }));
    Ok(needs)
}

/// The reward at `at` at each point; 0 after the end, NaN where there is no such step.
///
/// # Errors
/// As [`reads`]; a variable that is not finite.
pub(super) fn column(
    environments: &Environments<'_>,
    (environment, reward): (EnvironmentId, u32),
    at: Index,
    points: &Points,
) -> Result<Vec<f64>, NotFinite> {
    let model = environments.model;
    let value = expression(model, environment, reward)?;
    let state = model.environment(environment).state;
    let Some(states) = points.numbers.get(&(state, at)) else {
        return Ok(vec![f64::NAN; points.count]);
    };
    let mut lists = BTreeMap::new();
    for input in Columns::new(model, &[value]).inputs() {
        if let Input::Variable { variable, .. } = input {
            lists.insert(variable, listed(model, variable)?);
        }
    }
    let fill = |input: Input, range: std::ops::Range<usize>, out: &mut [f64]| {
        let Input::Variable { variable, component, index: Index::Step(k) } = input else {
            return out.fill(f64::NAN);
        };
        let list = &lists[&variable][component as usize];
        match points.numbers.get(&(variable, moved(model, at, k))) {
            Some(numbers) => out.iter_mut().zip(&numbers[range]).for_each(|(out, &number)| {
                *out = if number == NONE { f64::NAN } else { list[number as usize] }
            }),
            None => out.fill(f64::NAN),
        }
    };
    let mut values = values_at(model, value, points.count, 1.0, &fill);
    let ended = &environments.home(state)?.ended;
    for (value, &state) in values.iter_mut().zip(states.iter()) {
        if state != NONE && ended[state as usize] {
            *value = 0.0;
        }
    }
    Ok(values)
}

fn expression(model: &Model, environment: EnvironmentId, reward: u32) -> Result<ExprId, NotFinite> {
    match model.environment(environment).rewards[reward as usize].value {
        Some(value) => Ok(value),
        None => refuse("the reward of an environment that is not written in the language"),
    }
}

/// So many steps after an index; the steps after the first stand at fixed times.
fn moved(model: &Model, at: Index, by: i32) -> Index {
    match at {
        Index::Step(k) => Index::Step(k + by),
        Index::First if by == 0 => Index::First,
        Index::First => Index::Last(1 + by - model.horizon.value as i32),
        Index::Last(k) => Index::Last(k + by),
    }
}
