//! What kernels imagine before they draw: rollouts from the state of the step, which move with it.
//!
//! The kernels that draw them are taught by other bounds: their parameters stand still.

use super::paths::{Paths, Read};
use super::{AtStep, Trajectories, Weighted, part};
use crate::engine::episode::variable::{Variable, When};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::simulation::{Drawer, Made, Simulator, Source};
use crate::engine::tape::parameters::Parameters;
use crate::engine::tape::tensor::{Matrix, Tape, shape_of, values_of};
use crate::plan::Beside;

/// A state or an action of a rollout, where gradient goes on to it.
type Imagined<E> = Option<Matrix<E>>;

impl<E: Number> Trajectories<'_, E> {
    /// Keeps the columns of the rollouts at `t` that start once `after` of its draws are made, and
    /// puts the scores of their finite draws on the tape.
    pub(super) fn weigh_simulations(
        &self,
        tape: &mut Tape<E>,
        (paths, standing): (&mut Paths<E>, &Option<Parameters<E>>),
        (at, after): (&AtStep, usize),
        weighted: &mut Weighted<E>,
    ) {
        let Some(standing) = standing else { return };
        paths.simulated.resize(self.program.simulators.len(), None);
        let all = self.program.simulators.iter().enumerate();
        for (number, simulator) in all.filter(|(_, simulator)| simulator.after == after) {
            let columns = self.simulate(tape, (paths, standing), (number, simulator, at), weighted);
            paths.simulated[number] = Some(columns);
        }
    }

    fn simulate(
        &self,
        tape: &mut Tape<E>,
        (paths, standing): (&mut Paths<E>, &Parameters<E>),
        (number, of, at): (usize, &Simulator, &AtStep),
        weighted: &mut Weighted<E>,
    ) -> Matrix<E> {
        let (t, rows) = (at.0, at.1.len());
        let (variable, when) = of.start.unwrap_or((Variable::State, When::After(0)));
        let time = usize::try_from(when.from(t)).unwrap_or(0);
        let read = Read { variable, time, scaled: None };
        let mut state = paths.read(tape, &read, t);
        let mut parts: Vec<(usize, Imagined<E>)> = Vec::with_capacity(2 * of.steps);
        let (of_state, of_action) = of.columns();
        let previous = self.previous.filter(|_| of.previous).unwrap_or(standing);
        for step in 0..of.steps {
            let [policy, world] = self.episodes.simulated.made(number, step);
            let drawn =
                self.imagine(tape, (&of.policy, policy, previous), (&state, &None), (at, weighted));
            let next =
                self.imagine(tape, (&of.world, world, standing), (&state, &drawn), (at, weighted));
            let seen = next.as_ref().map(|next| match &of.scaled {
                Some(scaled) => {
                    let slopes = scaled.slopes(standing.values(), &values_of(next));
                    tape.scaled(next, slopes)
                }
                None => next.clone(),
            });
            parts.extend([(of_state, seen), (of_action, drawn)]);
            state = next;
        }
        let width = of.steps * (of_state + of_action);
        let columns = tape.constant(vec![<E as Float>::ZERO; rows * width], width);
        let from = columns.clone();
        tape.record(move |flow| {
            let flows = flow.take(&from);
            let mut first = 0;
            for (columns, part) in parts {
                if let Some(part) = &part {
                    let own = shape_of(part).1;
                    for (into, row) in
                        flow.of(part).chunks_exact_mut(own).zip(flows.chunks_exact(width))
                    {
                        into.iter_mut().zip(&row[first..]).for_each(|(into, &d)| *into += d);
                    }
                }
                first += columns;
            }
        });
        columns
    }

    /// A draw of a rollout, or its score.
    fn imagine(
        &self,
        tape: &mut Tape<E>,
        (of, made, parameters): (&Drawer, &Made<E>, &Parameters<E>),
        (state, action): (&Imagined<E>, &Imagined<E>),
        ((_, rows), weighted): (&AtStep, &mut Weighted<E>),
    ) -> Imagined<E> {
        let state = state.as_ref().map(|state| match &of.scaled {
            Some(scaled) => {
                let slopes = scaled.slopes(parameters.values(), &values_of(state));
                tape.scaled(state, slopes)
            }
            None => state.clone(),
        });
        let input = |source: &Source| match source {
            Source::State => state.clone(),
            Source::Action => action.clone(),
            Source::Nothing(_) => None,
        };
        let inputs: Vec<Imagined<E>> = of.sources.iter().map(input).collect();
        if inputs.iter().all(Option::is_none) {
            return None;
        }
        let activations = (&made.network, rows.clone());
        let roots = tape.network_through(&of.network, parameters, activations, &inputs);
        let drawn = part(&made.draws, rows.clone(), of.family.width());
        if of.family.is_smooth() {
            return Some(of.family.follow(tape, &roots, &drawn.reals).value);
        }
        let draw = self.program.beside(Beside::Simulation);
        let draw = draw.expect("plan: what is imagined and not followed is scored");
        let log_prob = of.family.log_density(tape, &roots, &[], &drawn);
        weighted.push((log_prob, self.scored(draw, rows.clone())));
        None
    }
}
