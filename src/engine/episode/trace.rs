//! What whole trajectories held, as kernels read it afterwards: any variable at any time.

use super::variable::{Variable, When};
use crate::engine::episode::values::number_all;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::model::FiniteDomain;
use crate::world::{Batch, World};

/// What is recorded of a world, and which of it has finitely many values.
pub(in crate::engine) struct Seen<'a, E> {
    pub world: &'a World<E>,
    pub state: Option<&'a FiniteDomain>,
    pub observation: Option<&'a FiniteDomain>,
    pub has_observation: bool,
}

impl<E> Seen<'_, E> {
    /// Of a state or an observation.
    fn finite_domain(&self, variable: Variable) -> Option<&FiniteDomain> {
        if variable == Variable::State { self.state } else { self.observation }
    }
}

/// Of one shard: states and observations by row, and where a trajectory's rows are.
#[derive(Default)]
pub(in crate::engine) struct Trace<E> {
    state: Recorded<E>,
    observation: Recorded<E>,
    /// By draw and row, the components of what was drawn, where it is real.
    drawn: Vec<Vec<E>>,
    /// By row, each reward, and whether the step ended the episode; where they are asked for.
    rewards: Vec<Vec<E>>,
    ended: Vec<u32>,
    /// Per trajectory, the state that its last step led to; that of its start where it has none.
    last_state: Recorded<E>,
    /// The row of step `t` of a trajectory, at `(t − 1) · trajectories + trajectory`.
    row: Vec<u32>,
    trajectories: usize,
}

/// Numbers of a finite variable, or the components of one that is not, row-major.
#[derive(Default)]
struct Recorded<E> {
    numbers: Vec<u32>,
    reals: Vec<E>,
    column: Vec<E>,
    components: Vec<f64>,
    step: Vec<u32>,
}

impl<E: Number> Trace<E> {
    pub fn clear(&mut self, horizon: usize, trajectories: usize) {
        for recorded in [&mut self.state, &mut self.observation] {
            recorded.numbers.clear();
            recorded.reals.clear();
        }
        self.drawn.iter_mut().for_each(Vec::clear);
        self.rewards.iter_mut().for_each(Vec::clear);
        self.ended.clear();
        self.trajectories = trajectories;
        self.row.resize(horizon * trajectories, 0);
    }

    /// The live rows of step `t`, of which the first is row `first`, before the step.
    pub fn record(
        &mut self,
        seen: &Seen<E>,
        batch: &Batch<E>,
        (t, first): (usize, usize),
        origin: &[u32],
    ) {
        for (row, &trajectory) in (first..).zip(origin) {
            self.row[(t - 1) * self.trajectories + trajectory as usize] = row as u32;
        }
        self.state.append(seen, Variable::State, batch, origin.len());
        if seen.has_observation {
            self.observation.append(seen, Variable::Observation, batch, origin.len());
        }
    }

    /// What the `rows` rows of a step drew of a real variable, component by component; finite ones
    /// are known by their draws.
    pub fn record_drawn(&mut self, draw: usize, columns: &[E], rows: usize) {
        if self.drawn.len() <= draw {
            self.drawn.resize_with(draw + 1, Vec::new);
        }
        let width = columns.len() / rows.max(1);
        for row in 0..rows {
            self.drawn[draw].extend((0..width).map(|component| columns[component * rows + row]));
        }
    }

    /// The states that a step led to, or those of the start.
    pub fn record_next(&mut self, seen: &Seen<E>, batch: &Batch<E>, origin: &[u32]) {
        let Trace { last_state, trajectories, .. } = self;
        let count = origin.len();
        last_state.read(seen, Variable::State, batch, count);
        let width = seen.world.state_width();
        if last_state.is_finite(seen, Variable::State) {
            last_state.numbers.resize(*trajectories, 0);
            origin.iter().zip(&last_state.step).for_each(|(&trajectory, &number)| {
                last_state.numbers[trajectory as usize] = number
            });
        } else {
            last_state.reals.resize(*trajectories * width, <E as Float>::ZERO);
            for (row, &trajectory) in origin.iter().enumerate() {
                for component in 0..width {
                    last_state.reals[trajectory as usize * width + component] =
                        last_state.column[component * count + row];
                }
            }
        }
    }

    /// A reward of the rows of a step, of which the first is row `first`, drawn before the others.
    pub fn record_reward(&mut self, seen: &Seen<E>, (reward, first): (usize, usize), values: &[E]) {
        self.rewards.resize_with(seen.world.rewards(), Vec::new);
        self.rewards[reward].truncate(first);
        self.rewards[reward].extend_from_slice(values);
    }

    /// The rewards of `rows` rows of a step, of which the first is row `first`, and whether it
    /// ended their episodes; the step has been made.
    pub fn record_outcomes(
        &mut self,
        seen: &Seen<E>,
        batch: &Batch<E>,
        (first, rows): (usize, usize),
    ) {
        for reward in 0..seen.world.rewards() {
            let paid = &batch.reward(seen.world, reward)[..rows];
            self.record_reward(seen, (reward, first), paid);
        }
        self.ended.truncate(first);
        self.ended.extend(
            batch.ended()[..rows].iter().map(|&ended| u32::from(ended != <E as Float>::ZERO)),
        );
    }

    /// The observations of all rows, of `width` components each, where they are not finite.
    pub fn observations(&self, width: usize) -> &[E] {
        &self.observation.reals[..self.observation.reals.len() / width * width]
    }

    /// The row of step `t` of a trajectory that lived then.
    pub fn row(&self, t: usize, trajectory: usize) -> usize {
        self.row[(t - 1) * self.trajectories + trajectory] as usize
    }

    /// Where a variable stands when read from `t` of a trajectory that lived `length` of `horizon`
    /// steps; `None` where there is none.
    fn place(
        &self,
        variable: Variable,
        when: When,
        t: usize,
        (trajectory, length, horizon): (usize, usize, usize),
    ) -> Option<Place> {
        let time = when.from(t);
        if time < 1 {
            return None;
        }
        let time = time as usize;
        if time <= length {
            return Some(Place::Row(self.row(time, trajectory)));
        }
        // an absorbed state repeats; nothing else goes on
        (variable == Variable::State && time <= horizon + 1).then_some(Place::End(trajectory))
    }

    /// Whether a variable has a value there.
    pub fn has(
        &self,
        (variable, when): (Variable, When),
        t: usize,
        of: (usize, usize, usize),
    ) -> bool {
        self.place(variable, when, t, of).is_some()
    }

    /// The number of a finite variable; `drawn` has those of draws by row.
    pub fn number<'a>(
        &self,
        (variable, when): (Variable, When),
        t: usize,
        of: (usize, usize, usize),
        drawn: impl Fn(usize) -> &'a [u32],
    ) -> Option<u32> {
        Some(match (self.place(variable, when, t, of)?, variable) {
            (Place::Row(row), Variable::State) => self.state.numbers[row],
            (Place::Row(row), Variable::Observation) => self.observation.numbers[row],
            (Place::Row(row), Variable::Drawn(draw)) => drawn(draw)[row],
            (Place::Row(row), Variable::End) => self.ended[row],
            (Place::Row(_), Variable::Reward(_)) => return None,
            (Place::End(trajectory), _) => self.last_state.numbers[trajectory],
        })
    }

    /// The components of what is not finite.
    pub fn reals(
        &self,
        (variable, when): (Variable, When),
        t: usize,
        of: (usize, usize, usize),
        width: usize,
    ) -> Option<&[E]> {
        let (list, at) = match (self.place(variable, when, t, of)?, variable) {
            (Place::Row(row), Variable::State) => (&self.state.reals, row),
            (Place::Row(row), Variable::Observation) => (&self.observation.reals, row),
            (Place::Row(row), Variable::Reward(reward)) => (&self.rewards[reward], row),
            (Place::Row(row), Variable::Drawn(draw)) => (self.drawn.get(draw)?, row),
            (Place::Row(_), Variable::End) => return None,
            (Place::End(trajectory), _) => (&self.last_state.reals, trajectory),
        };
        list.get(at * width..(at + 1) * width)
    }
}

/// The states of a batch as they are now.
#[derive(Default)]
pub(in crate::engine) struct Present<E>(Recorded<E>);

impl<E: Number> Present<E> {
    /// Numbers of the states of rows `0..rows`; of a finite state only.
    pub fn state_numbers(&mut self, seen: &Seen<E>, batch: &Batch<E>, rows: usize) -> &[u32] {
        self.0.read(seen, Variable::State, batch, rows);
        &self.0.step
    }
}

enum Place {
    Row(usize),
    /// After the last step of a trajectory.
    End(usize),
}

impl<E: Number> Recorded<E> {
    fn is_finite(&self, seen: &Seen<E>, variable: Variable) -> bool {
        seen.finite_domain(variable).is_some()
    }

    /// The present values of rows `0..rows`: numbers to `step`, or columns.
    fn read(&mut self, seen: &Seen<E>, variable: Variable, batch: &Batch<E>, rows: usize) {
        let world = seen.world;
        let numbered = if variable == Variable::State {
            batch.state_numbers()
        } else {
            batch.observation_numbers()
        };
        if let Some(numbers) = numbered {
            self.step.clear();
            self.step.extend_from_slice(&numbers[..rows]);
            return;
        }
        let width = if variable == Variable::State {
            world.state_width()
        } else {
            world.observation_width()
        };
        self.column.resize(rows * width, <E as Float>::ZERO);
        for (component, column) in self.column.chunks_exact_mut(rows.max(1)).enumerate().take(width)
        {
            if variable == Variable::State {
                batch.read_state(world, component, column);
            } else {
                batch.read_observation(world, component, column);
            }
        }
        if let Some(domain) = seen.finite_domain(variable) {
            number_all(
                Some(domain),
                width,
                rows,
                (&self.column, &mut self.components, &mut self.step),
            );
        }
    }

    fn append(&mut self, seen: &Seen<E>, variable: Variable, batch: &Batch<E>, rows: usize) {
        self.read(seen, variable, batch, rows);
        if self.is_finite(seen, variable) {
            self.numbers.extend_from_slice(&self.step);
            return;
        }
        let width = self.column.len() / rows.max(1);
        for row in 0..rows {
            self.reals.extend((0..width).map(|component| self.column[component * rows + row]));
        }
    }
}
