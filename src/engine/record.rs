//! Episodes of a trained policy, step by step, for what learns from recorded ones.

use super::family::Choice;
use super::gain::Frozen;
use super::parameters::Parameters;
use super::rollout::{Keep, Point, Rollout};
use super::run::EngineError;
use super::shards::EVALUATION;
use super::stage::Stage;
use super::trace::{Variable, When};
use crate::plan::Plan;

/// A step from a live state.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedStep {
    /// From 0.
    pub episode: usize,
    /// From 1.
    pub t: usize,
    /// Components.
    pub state: Vec<f64>,
    pub action: Vec<f64>,
}

/// Rolls `episodes` out in the environment and tells every live step, episode by episode.
///
/// # Errors
/// A construct that cannot run; actions that are not finite.
pub fn record(
    plan: &Plan,
    parameters: &Parameters<f64>,
    episodes: usize,
    greedy: bool,
    seed: u64,
) -> Result<Vec<RecordedStep>, EngineError> {
    let Some(actions) = plan.model.variable(plan.policy.variable).domain.finite.as_ref() else {
        return Err(EngineError::Unsupported("this version records finite actions".to_owned()));
    };
    let scout = plan.scout();
    let mut stage = Stage::<f64>::new(&scout)?;
    stage.collects = true;
    let mut rollout = Rollout::new(&stage, episodes);
    let choice = if greedy { Choice::Greedy } else { Choice::Sampled };
    let frozen = Frozen::at(&stage, parameters.values(), (plan.settings.seed, 0));
    let point = Point { present: parameters.values(), previous: None, frozen: &frozen };
    rollout.run(&stage, point, [seed, EVALUATION, 0], choice, Keep::Rows);
    let on = rollout.trajectories(&stage);
    let width = stage.world.state_width();
    let mut steps = Vec::new();
    for episode in 0..episodes {
        for t in 1..=on.lengths[episode] as usize {
            let (_, of) = on.place(&(t as u32, episode as u32));
            let what = (Variable::State, When::After(0));
            let mut state = vec![0.0; width];
            match stage.finite_domain(Variable::State) {
                Some(finite) => {
                    let number = on.trace.number(what, t, of, |variable| on.drawn(variable)).expect("record: a live step has a state");
                    finite.value(number as usize, &mut state);
                }
                None => state.copy_from_slice(on.trace.reals(what, t, of, width).expect("record: a live step has a state")),
            }
            let mut action = vec![0.0; stage.world.action_width()];
            actions.value(rollout.draws.numbers[on.trace.row(t, episode)] as usize, &mut action);
            steps.push(RecordedStep { episode, t, state, action });
        }
    }
    Ok(steps)
}
