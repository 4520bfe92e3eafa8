//! Episodes of a trained policy, step by step, for what learns from recorded ones.

use crate::engine::episode::variable::{Variable, When};
use crate::engine::error::EngineError;
use crate::engine::family::choice::Choice;
use crate::engine::numeric::stream::EVALUATION;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::point::Point;
use crate::engine::sample::rollout::{Keep, Rollout};
use crate::engine::tape::parameters::Parameters;
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
    /// Of all actions, in the order of the environment.
    pub action: Vec<f64>,
}

/// Rolls `episodes` out in the environment and tells every live step, episode by episode.
///
/// # Errors
/// A construct that cannot run.
pub fn record(
    plan: &Plan,
    parameters: &Parameters<f64>,
    episodes: usize,
    greedy: bool,
    seed: u64,
) -> Result<Vec<RecordedStep>, EngineError> {
    let scout = plan.scout();
    let mut program = CompiledProgram::<f64>::new(&scout)?;
    program.collects = true;
    let mut rollout = Rollout::new(&program, episodes);
    let choice = if greedy { Choice::Greedy } else { Choice::Sampled };
    let frozen = program.freeze(parameters.values(), (plan.settings.seed, 0));
    let point = Point { present: parameters.values(), previous: None, frozen: &frozen };
    rollout.run(&program, point, [seed, EVALUATION, 0], choice, Keep::Rows);
    if let Some(fault) = &rollout.fault {
        return Err(fault.played());
    }
    let on = rollout.episodes.trajectories(&program);
    let mut steps = Vec::new();
    for episode in 0..episodes {
        for t in 1..=on.lengths[episode] as usize {
            let (_, of) = on.place(&(t as u32, episode as u32));
            let components = |variable, width| {
                let what = (variable, When::After(0));
                let mut value = vec![0.0; width];
                match program.finite_domain(variable) {
                    Some(finite) => {
                        let number = on.trace.number(what, t, of, |variable| on.drawn(variable));
                        finite.value(
                            number.expect("record: a live step has a state and an action") as usize,
                            &mut value,
                        );
                    }
                    None => {
                        let reals = on.trace.reals(what, t, of, width);
                        value.copy_from_slice(
                            reals.expect("record: a live step has a state and an action"),
                        );
                    }
                }
                value
            };
            let state = components(Variable::State, program.world.state_width());
            let model = &plan.model;
            let actions = model.environment(plan.environment).actions.iter().flat_map(|&action| {
                let of = Variable::of(plan, action).expect("record: the plan draws every action");
                components(of, model.variable(action).domain.width())
            });
            let action = actions.collect();
            steps.push(RecordedStep { episode, t, state, action });
        }
    }
    Ok(steps)
}
