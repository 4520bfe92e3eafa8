//! How much an answer takes, counted from the model before any table of it is made.

use super::compile::only_state;
use super::place::place;
use crate::finite::{NotFinite, finite_domain};
use crate::model::{BoundId, Model, Role};
use std::collections::BTreeSet;

/// Of a recursion over the steps of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub steps: usize,
    pub states: usize,
    /// Joint values of the state and of what is drawn beside it, at the most at a step.
    pub choices: usize,
}

/// Numbers that are kept for the states of all steps at the most, 2^28: an evaluation goes over the
/// steps forward and back.
const KEPT: usize = 1 << 28;

impl Size {
    /// Counts a bound; what it remembers beside the state multiplies it.
    ///
    /// # Errors
    /// A variable that is not finite, or no state.
    pub fn of(model: &Model, bound: BoundId) -> Result<Size, NotFinite> {
        let posterior = place(model, &model.bound(bound).posterior, &BTreeSet::new())?;
        let state = only_state(model, &posterior)?;
        let drawn: BTreeSet<_> =
            posterior.iter().flat_map(|placed| placed.targets.iter().copied()).collect();
        let chosen = drawn
            .into_iter()
            .filter(|&drawn| matches!(model.variable(drawn).role, Role::Action | Role::Option));
        let states = finite_domain(model, state)?.size();
        let choices = chosen
            .map(|drawn| Ok(finite_domain(model, drawn)?.size()))
            .collect::<Result<Vec<usize>, NotFinite>>()?;
        let choices = choices.into_iter().fold(states, usize::saturating_mul);
        Ok(Size { steps: model.horizon.value, states, choices })
    }

    /// Holds that an evaluation of a policy, which keeps numbers for the states of all steps, can
    /// be made.
    ///
    /// # Errors
    /// How many numbers they would be.
    pub fn verify_kept(&self) -> Result<(), NotFinite> {
        verify_kept(self.states, self.steps)
    }

    /// Sums of a recursion.
    pub fn sums(&self) -> f64 {
        self.steps as f64 * self.choices as f64
    }
}

/// Refuses to keep `nodes` numbers at each of `steps` steps where these are more than [`KEPT`].
///
/// # Errors
/// How many they are.
pub(super) fn verify_kept(nodes: usize, steps: usize) -> Result<(), NotFinite> {
    let all = nodes.saturating_mul(steps + 1);
    if all <= KEPT {
        return Ok(());
    }
    let (all, most) = (all as f64, KEPT as f64);
    Err(NotFinite(format!(
        "keeping {nodes} nodes at each of {steps} steps makes {all:.1e} numbers to keep, more \
         than {most:.1e}"
    )))
}
