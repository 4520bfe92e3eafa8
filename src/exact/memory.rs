//! What a node remembers beside its state: values of earlier steps that some term reads.

use super::read::{NONE, Need, Points};
use super::refuse::refuse;
use super::trellis::Choices;
use crate::finite::{NotFinite, finite_domain};
use crate::model::{Index, Model, Role, VariableId};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Mixed-radix numbers, a digit per slot; the highest value of a digit is `none`.
pub(super) struct Memory {
    slots: Vec<Slot>,
    pub count: usize,
    /// Nothing remembered yet.
    pub first: usize,
}

struct Slot {
    variable: VariableId,
    /// `Step(-k)`: the value k steps ago; `First`: that of the first step; `Last(k)`: that of the
    /// step `T + k`, one of the first ones.
    index: Index,
    /// Of a value at a later step than the first, the slot of the same variable one step earlier:
    /// it is filled once that is.
    after: Option<usize>,
    values: usize,
    stride: usize,
}

/// Points of a step that are summed over at the most, 2^25: several numbers are kept for each.
const LARGEST: f64 = 33_554_432.0;

impl Memory {
    /// # Errors
    /// Where what is remembered makes more than 2^25 points to sum over at a step: how many.
    pub fn new(
        model: &Model,
        needs: &[Need],
        states: usize,
        choices: usize,
    ) -> Result<Memory, NotFinite> {
        let mut wanted = std::collections::BTreeSet::new();
        for need in needs {
            match *need {
                Need::Variable(variable, Index::Step(k)) => {
                    wanted.extend((k..0).map(|k| (variable, Index::Step(k))))
                }
                Need::Variable(variable, Index::First) => {
                    wanted.insert((variable, Index::First));
                }
                // only the state has a value at every step, by which the steps are counted
                Need::Variable(variable, Index::Last(k))
                    if model.variable(variable).role == Role::State =>
                {
                    let second = 2 - model.horizon.value as i32;
                    wanted.insert((variable, Index::First));
                    wanted.extend((second..=k).map(|k| (variable, Index::Last(k))));
                }
                Need::Variable(variable, Index::Last(_)) => {
                    return refuse(&format!(
                        "a factor that reads the last `{}`",
                        model.variable(variable).name
                    ));
                }
                Need::Reward(..) => return refuse("a factor that reads a reward"),
            }
        }
        let mut slots: Vec<Slot> = Vec::new();
        let (mut count, mut points) = (1usize, choices as f64);
        for (variable, index) in wanted {
            let values = finite_domain(model, variable)?.size();
            let earlier = match index {
                Index::Last(k) if k == 2 - model.horizon.value as i32 => Some(Index::First),
                Index::Last(k) => Some(Index::Last(k - 1)),
                Index::First | Index::Step(_) => None,
            };
            let after = earlier.and_then(|earlier| {
                slots.iter().position(|slot| (slot.variable, slot.index) == (variable, earlier))
            });
            slots.push(Slot { variable, index, after, values, stride: count });
            count = count.saturating_mul(values + 1);
            points *= (values + 1) as f64;
        }
        if points > LARGEST {
            return Err(NotFinite(format!(
                "remembering {} beside {states} states makes {points:.1e} points to sum over at a \
                 step, more than {LARGEST:.1e}",
                names(model, &slots)
            )));
        }
        Ok(Memory { first: count - 1, slots, count })
    }

    fn get(&self, memory: usize, slot: &Slot) -> u32 {
        let digit = memory / slot.stride % (slot.values + 1);
        if digit == slot.values { NONE } else { digit as u32 }
    }

    /// Fills in where each choice leads.
    pub fn link(&self, state: VariableId, choices: &mut Choices) {
        if self.count == 1 {
            return;
        }
        let mut next = Vec::with_capacity(self.count * choices.count());
        for memory in 0..self.count {
            for choice in 0..choices.count() {
                let mut after = 0;
                for slot in &self.slots {
                    let kept = match slot.index {
                        Index::Step(-1) => choices.current(state, slot.variable, choice),
                        Index::Step(k) => self
                            .slots
                            .iter()
                            .find(|s| s.variable == slot.variable && s.index == Index::Step(k + 1))
                            .map_or(NONE, |s| self.get(memory, s)),
                        Index::First | Index::Last(_) => self.since_first(
                            memory,
                            slot,
                            choices.current(state, slot.variable, choice),
                        ),
                    };
                    after += slot.stride * if kept == NONE { slot.values } else { kept as usize };
                }
                next.push(after as u32);
            }
        }
        choices.next = next;
    }

    /// The value of the first step, or of one soon after it; at that step itself, the current one.
    fn since_first(&self, memory: usize, slot: &Slot, current: u32) -> u32 {
        match self.get(memory, slot) {
            NONE => match slot.after {
                Some(earlier) if self.get(memory, &self.slots[earlier]) == NONE => NONE,
                Some(_) | None => current,
            },
            first => first,
        }
    }

    /// What can be read at `memory · choices + choice`.
    pub fn choice_points(&self, state: VariableId, choices: &Choices, needs: &[Need]) -> Points {
        let count = choices.count();
        let mut points = Points { count: self.count * count, ..Points::empty() };
        for variable in choices.variables.iter().copied().chain([state]) {
            let column = (0..points.count)
                .map(|point| choices.current(state, variable, point % count))
                .collect();
            points.numbers.insert((variable, Index::Step(0)), Rc::new(column));
        }
        for slot in self.read_slots(needs) {
            let value = |point: usize| match slot.index {
                Index::First | Index::Last(_) => self.since_first(
                    point / count,
                    slot,
                    choices.current(state, slot.variable, point % count),
                ),
                Index::Step(_) => self.get(point / count, slot),
            };
            points.numbers.insert(
                (slot.variable, slot.index),
                Rc::new((0..points.count).map(value).collect()),
            );
        }
        points
    }

    /// What can be read at `memory · states + state`.
    pub fn node_points(&self, state: VariableId, states: usize, needs: &[Need]) -> Points {
        let mut points = Points { count: self.count * states, ..Points::empty() };
        let column = (0..points.count).map(|point| (point % states) as u32).collect();
        points.numbers.insert((state, Index::Step(0)), Rc::new(column));
        for slot in self.read_slots(needs) {
            let value = |point: usize| match slot.variable == state {
                true if !matches!(slot.index, Index::Step(_)) => {
                    self.since_first(point / states, slot, (point % states) as u32)
                }
                _ => self.get(point / states, slot),
            };
            let column = (0..points.count).map(value).collect();
            points.numbers.insert((slot.variable, slot.index), Rc::new(column));
        }
        points
    }

    fn read_slots<'a>(&'a self, needs: &'a [Need]) -> impl Iterator<Item = &'a Slot> {
        self.slots.iter().filter(|slot| needs.contains(&Need::Variable(slot.variable, slot.index)))
    }
}

/// What is remembered, for messages. The oldest value of a variable comes first in the order of
/// slots.
fn names(model: &Model, slots: &[Slot]) -> String {
    let mut names = Vec::new();
    for (at, slot) in slots.iter().enumerate() {
        let name = &model.variable(slot.variable).name;
        let follows = at > 0
            && slots[at - 1].variable == slot.variable
            && matches!(slots[at - 1].index, Index::Step(_));
        match slot.index {
            Index::First => names.push(format!("`{name}[1]`")),
            Index::Step(_) if follows => {}
            Index::Step(-1) => names.push(format!("`{name}[t-1]`")),
            Index::Step(k) => names.push(format!("`{name}[t{k}..t-1]`")),
            Index::Last(k) => {
                names.push(format!("`{name}[{}]`", model.horizon.value as i64 + i64::from(k)))
            }
        }
    }
    names.join(", ")
}

impl Points {
    pub fn empty() -> Points {
        Points { count: 0, numbers: BTreeMap::new(), rewards: BTreeMap::new() }
    }
}
