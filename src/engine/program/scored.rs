//! The scores of states that learned models draw, and of rewards and ends.

use super::density::Density;
use crate::engine::error::EngineError;
use crate::plan::{Outcome, Plan, StateDraw};

/// The density of what a learned model draws, where its score is taken.
pub(in crate::engine) struct Scored {
    pub density: Density,
    /// Which of the draws that are credited it is.
    pub credit: usize,
    /// It is of the first state: one for each trajectory, else one for each row.
    pub once: bool,
}

impl Scored {
    /// Those of a plan: draws of a row stand behind those of a step, those of first states behind
    /// all others.
    ///
    /// # Errors
    /// One sentence, where a network cannot run.
    pub fn all(plan: &Plan) -> Result<Vec<Scored>, EngineError> {
        let (mut next, mut first) = (
            plan.draws.len(),
            plan.draws.len()
                + plan.scored_beside().len()
                + scored_draws(plan, |of| !of.draw.once)
                + scored_outcomes(plan).count(),
        );
        let mut all = Vec::new();
        for of in plan.states.iter().filter(|of| of.is_scored()) {
            let place = if of.draw.once { &mut first } else { &mut next };
            for density in &of.scores {
                let density = Density::compile(plan, density)?;
                all.push(Scored { density, credit: *place, once: of.draw.once });
            }
            *place += 1;
        }
        for (outcome, credit) in scored_outcomes(plan).zip(next..) {
            let density = Density::compile(plan, &outcome.density(&plan.model))?;
            all.push(Scored { density, credit, once: false });
        }
        Ok(all)
    }
}

/// The rewards and ends of factors of their own that are scored: draws of a row, behind the next
/// state.
pub(in crate::engine) fn scored_outcomes(plan: &Plan) -> impl Iterator<Item = &Outcome> {
    plan.outcomes.iter().filter(|outcome| outcome.is_scored)
}

/// How many states are scored, of those wanted.
pub(in crate::engine) fn scored_draws(plan: &Plan, wanted: impl Fn(&StateDraw) -> bool) -> usize {
    plan.states.iter().filter(|of| of.is_scored() && wanted(of)).count()
}
