//! The tables of a model's environments, each made once, and the points at their entries.

use super::read::{Expression, NONE, Points, Standing};
use super::refuse::refuse;
use crate::finite::{Environment, NotFinite, tabulate};
use crate::model::{EnvironmentId, Index, Model, VariableId};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Whether the answer is wanted no more.
pub type Ask = Rc<dyn Fn() -> bool>;

pub(super) struct Environments<'m> {
    pub model: &'m Model,
    /// Asked at each step whether to give up.
    pub gives_up: Option<Ask>,
    known: RefCell<BTreeMap<EnvironmentId, Rc<Environment>>>,
}

impl<'m> Environments<'m> {
    pub fn new(model: &'m Model) -> Environments<'m> {
        Environments { model, gives_up: None, known: RefCell::default() }
    }

    pub fn table(&self, environment: EnvironmentId) -> Result<Rc<Environment>, NotFinite> {
        if let Some(table) = self.known.borrow().get(&environment) {
            return Ok(table.clone());
        }
        let table = Rc::new(tabulate(self.model, environment)?);
        self.known.borrow_mut().insert(environment, table.clone());
        Ok(table)
    }

    /// The environment that a state is declared in: its tables hold which states end an episode,
    /// whatever draws them.
    pub fn home(&self, state: VariableId) -> Result<Rc<Environment>, NotFinite> {
        self.table(self.own(state)?)
    }

    /// Which it is.
    pub fn own(&self, state: VariableId) -> Result<EnvironmentId, NotFinite> {
        match self.model.variable(state).environment {
            Some(environment) => Ok(environment),
            None => refuse("a state of no environment"),
        }
    }

    /// A reward of `environment` at each entry of other transitions; 0 from an ended state.
    pub fn reward_at(
        &self,
        environment: EnvironmentId,
        reward: u32,
        table: &Environment,
    ) -> Result<Vec<f64>, NotFinite> {
        let it = self.model.environment(environment);
        let written = &it.rewards[reward as usize];
        let Some(value) = written.value else {
            return refuse("the reward of an environment that is not written in the language");
        };
        let horizon = self.model.horizon.value;
        let expression = Expression::new(
            self.model,
            &written.name,
            value,
            Standing::of(Index::Step(0), horizon, horizon),
        )?;
        let points = entry_points(self.model, it.state, &it.actions, table);
        let mut values = vec![0.0; points.count];
        expression.add(1, &points, &mut values);
        for (value, &action) in
            values.iter_mut().zip(points.numbers[&(it.actions[0], Index::Step(0))].iter())
        {
            if action == NONE {
                *value = 0.0;
            }
        }
        Ok(values)
    }
}

/// `s[t]`, the actions at `t` and `s[t+1]` at each entry of a transition table; no action where the
/// episode is over.
pub(super) fn entry_points(
    model: &Model,
    state: VariableId,
    actions: &[VariableId],
    table: &Environment,
) -> Points {
    let entries = table.transition.column.len();
    let (mut from, mut with) = (Vec::with_capacity(entries), Vec::with_capacity(entries));
    for row in 0..table.transition.rows() {
        let (s, a) = (row / table.actions, row % table.actions);
        let end = table.transition.start[row + 1];
        from.resize(end, s as u32);
        with.resize(end, if table.ended[s] { NONE } else { a as u32 });
    }
    let mut points = Points { count: entries, ..Points::empty() };
    points.numbers.insert((state, Index::Step(0)), Rc::new(from));
    // the last action is the fastest
    let mut stride = 1;
    for &action in actions.iter().rev() {
        let size = model.variable(action).domain.finite.as_ref().map_or(1, |d| d.size()) as u32;
        let own = |&joint: &u32| if joint == NONE { NONE } else { joint / stride % size };
        points.numbers.insert((action, Index::Step(0)), Rc::new(with.iter().map(own).collect()));
        stride *= size;
    }
    points.numbers.insert((state, Index::Step(1)), Rc::new(table.transition.column.clone()));
    points
}
