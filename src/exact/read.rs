//! What the terms of a bound read, relative to the slice of the trajectory they stand at, and the
//! columns of points they are evaluated at.

use crate::expr::{ExprId, InputId};
use crate::finite::NotFinite;
use crate::finite::columns::{Columns, blocks, listed};
use crate::model::{EnvironmentId, Index, Input, Model, Role, VariableId};
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::rc::Rc;

/// No value: the number of a variable that is not drawn here.
pub(super) const NONE: u32 = u32::MAX;
/// No condition of a table: the kernel would read `none` and does not admit it.
pub(super) const UNDEFINED: u32 = u32::MAX - 1;

/// The steps at which a term stands, counted at the slice it belongs to; `t` of the file is the
/// slice minus `shift`.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub slices: RangeInclusive<usize>,
    pub shift: i32,
}

impl Standing {
    /// Of a factor or likelihood at `index`, for a variable that has the steps `1..=last`.
    pub fn of(index: Index, horizon: usize, last: usize) -> Standing {
        match index {
            Index::First => Standing { slices: 1..=1, shift: 0 },
            Index::Last(k) => {
                let slice = (horizon as i64 + i64::from(k)).max(1) as usize;
                Standing { slices: slice..=slice, shift: 0 }
            }
            Index::Step(k) => {
                let from = (1 + i64::from(k)).max(1) as usize;
                let to = (horizon as i64 + i64::from(k)).min(last as i64).max(0) as usize;
                Standing { slices: from..=to, shift: k }
            }
        }
    }

    /// An index of the file relative to the slice: `Step(0)` is the slice itself; `First` stays
    /// where the term stands at several slices.
    pub fn relative(&self, index: Index, horizon: usize) -> Index {
        let single =
            (self.slices.start() == self.slices.end()).then_some(*self.slices.start() as i64);
        match (index, single) {
            (Index::Step(k), _) => Index::Step(k - self.shift),
            (Index::First, Some(1)) => Index::Step(0),
            (Index::First, _) => Index::First,
            (Index::Last(k), Some(slice)) => {
                Index::Step((horizon as i64 + i64::from(k) - slice) as i32)
            }
            (Index::Last(k), None) => Index::Last(k),
        }
    }

    /// `variable` at `index`, relative to the slice, lies past the end of the trajectory wherever
    /// the term stands.
    pub fn is_past_the_end(&self, model: &Model, variable: VariableId, index: Index) -> bool {
        match index {
            Index::Step(k) => {
                *self.slices.start() as i64 + i64::from(k) > last_slice(model, variable) as i64
            }
            Index::First | Index::Last(_) => false,
        }
    }

    /// The file's `t` at a slice.
    pub fn time(&self, slice: usize) -> f64 {
        slice as f64 - f64::from(self.shift)
    }
}

/// The last slice at which a variable has a value: the state alone has one after the last step.
pub(super) fn last_slice(model: &Model, variable: VariableId) -> usize {
    let horizon = model.horizon.value;
    if model.variable(variable).role == Role::State { horizon + 1 } else { horizon }
}

/// One thing that a term reads, its index relative to the slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    Variable(VariableId, Index),
    Reward(EnvironmentId, u32, Index),
}

/// Points of evaluation: for each thing that may be read, its value at every point.
#[derive(Clone)]
pub(super) struct Points {
    pub count: usize,
    pub numbers: BTreeMap<(VariableId, Index), Rc<Vec<u32>>>,
    pub rewards: BTreeMap<(EnvironmentId, u32, Index), Rc<Vec<f64>>>,
}

impl Points {
    pub fn has(&self, need: Need) -> bool {
        match need {
            Need::Variable(variable, index) => self.numbers.contains_key(&(variable, index)),
            Need::Reward(environment, reward, index) => {
                self.rewards.contains_key(&(environment, reward, index))
            }
        }
    }
}

/// An expression of the model, to be evaluated at points.
pub(super) struct Expression<'m> {
    model: &'m Model,
    /// How messages call it.
    pub name: &'m str,
    value: ExprId,
    pub standing: Standing,
    lists: BTreeMap<VariableId, Vec<Vec<f64>>>,
}

impl<'m> Expression<'m> {
    pub fn new(
        model: &'m Model,
        name: &'m str,
        value: ExprId,
        standing: Standing,
    ) -> Result<Expression<'m>, NotFinite> {
        let mut lists = BTreeMap::new();
        for input in Columns::new(model, &[value]).inputs() {
            if let Input::Variable { variable, .. } = input {
                lists.insert(variable, listed(model, variable)?);
            }
        }
        Ok(Expression { model, name, value, standing, lists })
    }

    pub fn reads_time(&self) -> bool {
        Columns::new(self.model, &[self.value]).reads_time()
    }

    /// Whether it is infinite at a point since numbers overflow, not because an infinity is meant.
    pub fn overflows(&self, slice: usize, points: &Points, point: usize) -> bool {
        let read = |input: InputId| {
            let mut value = [f64::NAN];
            self.fill(self.model.inputs[input.0 as usize], point..point + 1, points, &mut value);
            value[0]
        };
        self.model.graph.overflows(
            self.value,
            &self.model.param_values(),
            &read,
            self.standing.time(slice),
        )
    }

    /// Adds the value at each point to `out`.
    pub fn add(&self, slice: usize, points: &Points, out: &mut [f64]) {
        let mut columns = Columns::new(self.model, &[self.value]);
        let fill = |input: Input, range: Range<usize>, out: &mut [f64]| {
            self.fill(input, range, points, out)
        };
        for range in blocks(points.count) {
            columns.evaluate(range.clone(), self.standing.time(slice), &fill);
            out[range]
                .iter_mut()
                .zip(columns.column(self.value))
                .for_each(|(out, value)| *out += value);
        }
    }

    /// The fill of [`Columns::evaluate`].
    pub fn fill(&self, input: Input, range: Range<usize>, points: &Points, out: &mut [f64]) {
        fill(self.model, &self.standing, &self.lists, input, range, points, out);
    }
}

/// What an expression reads where a variable has no value.
pub(super) fn none_of(model: &Model, variable: VariableId) -> f64 {
    if model.variable(variable).role == Role::State { f64::NAN } else { crate::model::NONE }
}

/// Writes the values of an input at points; where the variable has none, [`none_of`] it.
pub(super) fn fill(
    model: &Model,
    standing: &Standing,
    lists: &BTreeMap<VariableId, Vec<Vec<f64>>>,
    input: Input,
    range: Range<usize>,
    points: &Points,
    out: &mut [f64],
) {
    let horizon = model.horizon.value;
    match input {
        Input::Variable { variable, component, index } => {
            let none = none_of(model, variable);
            let list = lists.get(&variable).and_then(|list| list.get(component as usize));
            let numbers = points.numbers.get(&(variable, standing.relative(index, horizon)));
            match (list, numbers) {
                (Some(list), Some(numbers)) => {
                    for (out, &number) in out.iter_mut().zip(&numbers[range]) {
                        *out = if number == NONE { none } else { list[number as usize] };
                    }
                }
                (Some(_), None)
                    if standing.is_past_the_end(
                        model,
                        variable,
                        standing.relative(index, horizon),
                    ) =>
                {
                    out.fill(none)
                }
                (None, _) | (_, None) => out.fill(f64::NAN),
            }
        }
        Input::Reward { environment, reward, index } => {
            match points.rewards.get(&(environment, reward, standing.relative(index, horizon))) {
                Some(rewards) => out.copy_from_slice(&rewards[range]),
                None => out.fill(f64::NAN),
            }
        }
        Input::Formal { .. } | Input::Gain(_) => out.fill(f64::NAN),
    }
}
