//! What a batch has reached: the first of its rows that is no number, and the state of a row, as it
//! is shown.

use super::fault::position;
use crate::engine::episode::variable::{Variable, When};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::points::EpisodeView;
use crate::world::Batch;

/// The first of `live` rows in which the environment has drawn no number: a component of the state,
/// of the observation, or a reward. Tables hold states by their numbers, so that only their rewards
/// are looked at.
pub(in crate::engine) fn of_world<E: Number>(
    program: &CompiledProgram<E>,
    batch: &Batch<E>,
    live: usize,
) -> Option<(usize, String)> {
    let (world, environment) =
        (&program.world, program.plan.model.environment(program.plan.environment));
    let rows = batch.rows().max(1);
    let in_columns = |columns: Option<&[E]>| {
        let mut columns = columns?.chunks_exact(rows).map(|column| &column[..live]);
        let broken = columns.find(|column| !kernels::all_finite(column))?;
        position(broken)
    };
    let name = |variable| &program.plan.model.variable(variable).name;
    if let Some((row, value)) = in_columns(batch.state_columns(world)) {
        return Some((
            row,
            format!("the state `{}` that is reached is {value}", name(environment.state)),
        ));
    }
    if let (Some((row, value)), Some(variable)) =
        (in_columns(batch.observation_columns(world)), environment.observation)
    {
        return Some((row, format!("the observation `{}` is {value}", name(variable))));
    }
    (0..world.rewards()).find_map(|reward| {
        let (row, value) = Some(&batch.reward(world, reward)[..live])
            .filter(|column| !kernels::all_finite(column))
            .and_then(position)?;
        Some((row, format!("the reward `{}` is {value}", environment.rewards[reward].name)))
    })
}

/// The state that stands in a row of a batch: `s = 3`.
pub(in crate::engine) fn state_of_row<E: Number>(
    program: &CompiledProgram<E>,
    batch: &Batch<E>,
    row: usize,
) -> String {
    let mut column = vec![<E as Float>::ZERO; row + 1];
    let value = (0..program.world.state_width()).map(|component| {
        batch.read_state(&program.world, component, &mut column);
        Float::as_f64(column[row])
    });
    shown_state(program, &value.collect::<Vec<f64>>())
}

/// The state of a recorded trajectory at step `t`.
pub(in crate::engine) fn state_at<E: Number>(
    program: &CompiledProgram<E>,
    on: &EpisodeView<E>,
    point: (u32, u32),
) -> Option<String> {
    let (t, of) = on.place(&point);
    let (what, width) = ((Variable::State, When::After(0)), program.world.state_width());
    let value = match program.finite_domain(Variable::State) {
        Some(finite) => {
            let mut value = vec![0.0; width];
            finite.value(
                on.trace.number(what, t, of, |variable| on.drawn(variable))? as usize,
                &mut value,
            );
            value
        }
        None => on.trace.reals(what, t, of, width)?.iter().map(|x| Float::as_f64(*x)).collect(),
    };
    Some(shown_state(program, &value))
}

fn shown_state<E>(program: &CompiledProgram<E>, value: &[f64]) -> String {
    let variable =
        program.plan.model.variable(program.plan.model.environment(program.plan.environment).state);
    format!("{} = {}", variable.name, variable.domain.show(value))
}
