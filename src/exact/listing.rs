//! The choices of each state: the joint values of what is drawn in one step.

use super::environments::Environments;
use super::place::Placed;
use super::read::{NONE, Points};
use super::refuse::refuse;
use super::term::{Drawn, Term};
use super::trellis::Choices;
use crate::finite::{Environment, NotFinite, finite_domain};
use crate::model::{EnvironmentKernel, Index, KernelRef, VariableId};
use std::rc::Rc;

/// What can be drawn in a step.
pub(super) struct Listing {
    /// In the order they are drawn.
    variables: Vec<VariableId>,
    sizes: Vec<usize>,
    /// The places of the actions that the transition reads.
    actions: Vec<usize>,
    /// The observation tables that limit what a variable can be, given the state.
    observed: Vec<Option<Vec<Rc<Environment>>>>,
    /// By slice (from 1), whether a variable is drawn; absent where it always is.
    drawn: Vec<Option<Vec<bool>>>,
}

impl Listing {
    pub fn new(
        environments: &Environments<'_>,
        variables: Vec<VariableId>,
        actions: &[VariableId],
        prior: &[&Placed<'_>],
        posterior: &[&Placed<'_>],
    ) -> Result<Listing, NotFinite> {
        let model = environments.model;
        let horizon = model.horizon.value;
        let mut listing = Listing {
            variables: vec![],
            sizes: vec![],
            actions: vec![],
            observed: vec![],
            drawn: vec![],
        };
        for &variable in &variables {
            let name = &model.variable(variable).name;
            listing.sizes.push(finite_domain(model, variable)?.size());
            let mut tables = Some(Vec::new());
            for placed in
                prior.iter().chain(posterior).filter(|placed| placed.targets.contains(&variable))
            {
                match (&placed.factor.kernel, &mut tables) {
                    (
                        KernelRef::Environment(environment, EnvironmentKernel::Observation),
                        Some(tables),
                    ) => {
                        tables.push(environments.table(*environment)?);
                    }
                    _ => tables = None,
                }
            }
            listing.observed.push(tables);
            let mut drawn = vec![false; horizon + 2];
            for placed in posterior.iter().filter(|placed| placed.targets.contains(&variable)) {
                for slice in placed.standing.slices.clone() {
                    if std::mem::replace(&mut drawn[slice], true) {
                        return refuse(&format!(
                            "a posterior that draws `{name}` twice in one step"
                        ));
                    }
                }
            }
            listing.drawn.push(if drawn[1..=horizon].iter().all(|&d| d) {
                None
            } else {
                Some(drawn)
            });
        }
        let place = |action| variables.iter().position(|variable| variable == action);
        let Some(actions) = actions.iter().map(place).collect::<Option<Vec<usize>>>() else {
            return refuse("a posterior that does not draw the action of the transition");
        };
        if actions.iter().any(|&at| listing.drawn[at].is_some()) {
            return refuse("an action that is drawn at some steps only");
        }
        Ok(Listing { variables, actions, ..listing })
    }

    /// The term that keeps a variable to the steps at which it is drawn.
    pub fn presence<'m>(&self, level: usize, points: &Points) -> Option<Term<'m>> {
        let at = self.drawn[level].clone()?;
        let numbers = &points.numbers[&(self.variables[level], Index::Step(0))];
        let live = &points.numbers[&(self.variables[self.actions[0]], Index::Step(0))];
        let drawn =
            numbers.iter().zip(live.iter()).map(|(&number, &action)| match (number, action) {
                (NONE, NONE) => Drawn::Over,
                (NONE, _) => Drawn::None,
                _ => Drawn::Value,
            });
        Some(Term::Presence { at, drawn: drawn.collect() })
    }
}

/// All choices, sorted by state and then by the variables in the order they are drawn. An ended
/// state has one: nothing is drawn.
pub(super) fn list(listing: &Listing, table: &Environment) -> Choices {
    let count = listing.variables.len();
    let mut choices = Choices {
        variables: listing.variables.clone(),
        start: vec![0],
        value: vec![vec![]; count],
        row: vec![],
        state: vec![],
        next: vec![],
    };
    let mut value = vec![NONE; count];
    for state in 0..table.states {
        if table.ended[state] {
            choices.push(state, &vec![NONE; count], state * table.actions);
        } else {
            let supports: Vec<Vec<u32>> =
                (0..count).map(|level| listing.support(level, state)).collect();
            listing.extend(&supports, 0, state, &mut value, &mut choices);
        }
        choices.start.push(choices.row.len());
    }
    choices
}

impl Listing {
    fn support(&self, level: usize, state: usize) -> Vec<u32> {
        let mut values: Vec<u32> = match &self.observed[level] {
            None => (0..self.sizes[level] as u32).collect(),
            Some(tables) => {
                let tables = tables.iter().filter_map(|table| table.observation.as_ref());
                let mut values: Vec<u32> =
                    tables.flat_map(|table| table.row(state).map(|(x, _)| x as u32)).collect();
                values.sort_unstable();
                values.dedup();
                values
            }
        };
        if self.drawn[level].is_some() {
            values.push(NONE);
        }
        values
    }

    fn extend(
        &self,
        supports: &[Vec<u32>],
        level: usize,
        state: usize,
        value: &mut [u32],
        choices: &mut Choices,
    ) {
        if level == supports.len() {
            let joint = |row: usize, &at: &usize| row * self.sizes[at] + value[at] as usize;
            choices.push(state, value, self.actions.iter().fold(state, joint));
            return;
        }
        for &v in &supports[level] {
            value[level] = v;
            self.extend(supports, level + 1, state, value, choices);
        }
    }
}

impl Choices {
    fn push(&mut self, state: usize, value: &[u32], row: usize) {
        self.value.iter_mut().zip(value).for_each(|(column, &v)| column.push(v));
        self.row.push(row as u32);
        self.state.push(state as u32);
    }

    pub fn count(&self) -> usize {
        self.row.len()
    }

    /// The value of the state or of a step's variable in a choice.
    pub fn current(&self, state: VariableId, variable: VariableId, choice: usize) -> u32 {
        if variable == state {
            return self.state[choice];
        }
        self.variables.iter().position(|&v| v == variable).map_or(NONE, |at| self.value[at][choice])
    }
}

/// The groups of choices that agree on the state and on the variables through `level`: the first
/// choice of each, and the group one level up.
pub(super) fn groups(choices: &Choices, level: usize) -> (Vec<u32>, Vec<u32>) {
    let (mut first, mut parent) = (Vec::new(), Vec::new());
    let mut above = 0u32;
    for choice in 0..choices.count() {
        let differs = |through: usize| {
            choice == 0
                || choices.state[choice] != choices.state[choice - 1]
                || choices.value[..through]
                    .iter()
                    .any(|column| column[choice] != column[choice - 1])
        };
        if choice > 0 && differs(level) {
            above += 1;
        }
        if differs(level + 1) {
            first.push(choice as u32);
            parent.push(above);
        }
    }
    (first, parent)
}
