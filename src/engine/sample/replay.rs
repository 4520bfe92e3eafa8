//! Real transitions as they were seen, kept for a classifier and for models: the last ones.

use crate::engine::episode::variable::{Variable, When};
use crate::engine::family::Draws;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::expressions::Expressions;
use crate::engine::program::points::{Columns, Inputs, Source, gather_values};
use crate::engine::sample::episodes::Episodes;
use crate::model::VariableId;
use crate::plan::{Plan, RatioOf};

/// A ring of transitions `(s, a, s', r, end)` with their times.
pub(in crate::engine) struct Replay<E> {
    capacity: usize,
    /// Where the next one is written.
    at: usize,
    times: Vec<u32>,
    states: Values<E>,
    /// Those of the environment, as it declares them: bounds draw them in orders of their own.
    actions: Vec<(VariableId, Values<E>)>,
    nexts: Values<E>,
    /// By reward.
    rewards: Vec<Values<E>>,
    ends: Values<E>,
}

/// Values of a variable, one after another.
struct Values<E> {
    /// Components of a value; 0 where the variable is finite.
    width: usize,
    /// How many values there are, where they are finite.
    size: usize,
    all: Draws<E>,
}

impl<E: Number> Replay<E> {
    /// Empty.
    pub fn new(program: &CompiledProgram<E>, capacity: usize) -> Replay<E> {
        let model = &program.plan.model;
        let environment = model.environment(program.plan.environment);
        let values = |variable: VariableId| {
            let domain = &model.variable(variable).domain;
            match &domain.finite {
                Some(finite) => Values { width: 0, size: finite.size(), all: Draws::default() },
                None => Values { width: domain.width(), size: 0, all: Draws::default() },
            }
        };
        let reward = |_| Values { width: 1, size: 0, all: Draws::default() };
        Replay {
            capacity,
            at: 0,
            times: Vec::new(),
            states: values(environment.state),
            actions: environment.actions.iter().map(|&action| (action, values(action))).collect(),
            nexts: values(environment.state),
            rewards: (0..program.world.rewards()).map(reward).collect(),
            ends: Values { width: 0, size: 2, all: Draws::default() },
        }
    }

    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Adds all transitions of a shard's batch, in the order of its rows.
    pub fn append(&mut self, program: &CompiledProgram<E>, episodes: &Episodes<E>) {
        let on = episodes.trajectories(program);
        for (t, bounds) in (1u32..).zip(on.rows.starts.windows(2)) {
            for row in bounds[0]..bounds[1] {
                let (at, of) = on.place(&(t, on.rows.trajectory[row]));
                let room = self.room(t);
                let states =
                    [(&mut self.states, Variable::State, 0), (&mut self.nexts, Variable::State, 1)];
                let actions = self.actions.iter_mut().map(|(action, values)| {
                    let drawn = Variable::of(program.plan, *action);
                    (values, drawn.expect("replay: a bound draws every action"), 0)
                });
                for (values, variable, when) in states.into_iter().chain(actions) {
                    let what = (variable, When::After(when));
                    if values.width == 0 {
                        let number = on.trace.number(what, at, of, |variable| on.drawn(variable));
                        values.write_number(
                            room,
                            number.expect("replay: a live step acts and leads to a state"),
                        );
                    } else {
                        values.write_reals(
                            room,
                            on.trace
                                .reals(what, at, of, values.width)
                                .expect("replay: a live step acts and leads to a state"),
                        );
                    }
                }
                for (reward, values) in self.rewards.iter_mut().enumerate() {
                    let paid =
                        on.trace.reals((Variable::Reward(reward), When::After(0)), at, of, 1);
                    values.write_reals(room, paid.expect("replay: a live step has its rewards"));
                }
                let ended = on
                    .trace
                    .number((Variable::End, When::After(0)), at, of, |variable| on.drawn(variable));
                self.ends.write_number(
                    room,
                    ended.expect("replay: a live step ends the episode or does not"),
                );
            }
        }
    }

    /// Where the next transition stands.
    fn room(&mut self, t: u32) -> usize {
        let room = self.at;
        if room == self.times.len() {
            self.times.push(t);
        } else {
            self.times[room] = t;
        }
        self.at = (room + 1) % self.capacity;
        room
    }

    /// The inputs of a network of a plan at the transitions `of`; `told` are a model's draws in the
    /// place of the real ones: next states, or first ones.
    pub fn gather(
        &self,
        (plan, inputs): (&Plan, &Inputs),
        of: &[u32],
        told: Option<(&Draws<E>, RatioOf)>,
        columns: &mut Columns<E>,
    ) {
        columns.clear(inputs);
        let rows = || of.iter().map(|&row| row as usize);
        for ((indices, reals), &(source, kind)) in
            columns.indices.iter_mut().zip(columns.reals.iter_mut()).zip(&inputs.0)
        {
            let when = told.map(|(_, of)| if of == RatioOf::Start { 0 } else { 1 });
            let values = match (source, told) {
                (Source::Time, _) => {
                    indices.extend(rows().map(|row| self.times[row] - 1));
                    continue;
                }
                (Source::Trajectory(Variable::State, When::After(at)), Some((told, _)))
                    if Some(at) == when =>
                {
                    gather_values(told, kind, (0..of.len()).map(Some), (indices, reals));
                    continue;
                }
                (Source::Trajectory(Variable::State, When::After(0)), _) => &self.states,
                (Source::Trajectory(Variable::State, _), _) => &self.nexts,
                (Source::Trajectory(drawn, _), _) => self.drawn(plan, drawn),
            };
            gather_values(&values.all, kind, rows().map(Some), (indices, reals));
        }
    }

    /// What a plan draws, of which the plan refuses all but the environment's actions.
    fn drawn(&self, plan: &Plan, variable: Variable) -> &Values<E> {
        let kept = |(action, _): &&(VariableId, _)| Variable::of(plan, *action) == Some(variable);
        let found = self.actions.iter().find(kept);
        &found.expect("replay: models and classifiers read states, actions and the time").1
    }

    /// The values of a finite variable that the transitions `of` began with, as a plan draws it.
    pub fn numbers_of(&self, plan: &Plan, variable: Variable, of: &[u32], into: &mut Vec<u32>) {
        let values = match variable {
            Variable::State => &self.states,
            drawn => self.drawn(plan, drawn),
        };
        into.clear();
        into.extend(of.iter().map(|&row| values.all.numbers[row as usize]));
    }

    /// The transitions with which episodes begin.
    pub fn firsts(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.times).filter(|(_, t)| **t == 1).map(|(row, _)| row)
    }

    /// All next states, in the order in which they stand.
    pub fn nexts(&self) -> &Draws<E> {
        &self.nexts.all
    }

    /// What the transitions `of` led to, as a model of that variable predicts it.
    pub fn outcomes_of(&self, what: Variable, of: &[u32], into: &mut Draws<E>) {
        let values = match what {
            Variable::Reward(reward) => &self.rewards[reward],
            Variable::End => &self.ends,
            Variable::State | Variable::Observation | Variable::Drawn(_) => &self.nexts,
        };
        into.gather(&values.all, of, values.width);
    }

    fn lists(&self) -> impl Iterator<Item = &Values<E>> {
        [&self.states]
            .into_iter()
            .chain(self.actions.iter().map(|(_, values)| values))
            .chain([&self.nexts])
            .chain(&self.rewards)
            .chain([&self.ends])
    }

    /// The numbers of a state, a joint action and a next state; 0 where they are real.
    pub fn numbers(&self, row: usize, next: Option<&u32>) -> [usize; 3] {
        let number =
            |values: &Values<E>| values.all.numbers.get(row).map_or(0, |&number| number as usize);
        let actions = self.actions.iter();
        let joint = actions.fold(0, |joint, (_, action)| joint * action.size + number(action));
        [number(&self.states), joint, next.map_or(0, |&number| number as usize)]
    }

    /// `t` of a transition.
    pub fn time(&self, row: usize) -> u32 {
        self.times[row]
    }

    /// Reads a transition into the columns of a plan's expressions, with `next` as the state it led
    /// to.
    pub fn read(
        &self,
        plan: &Plan,
        (row, next): (usize, &[f64]),
        expressions: &Expressions<E>,
        values: &mut crate::engine::program::expressions::Values<E>,
    ) {
        let real = |of: &Values<E>, component| of.all.reals[row * of.width + component];
        let drawn = |draw, component| {
            let of = self.drawn(plan, Variable::Drawn(draw));
            match of.all.numbers.get(row) {
                Some(&number) => expressions.component(draw, component, number),
                None => real(of, component),
            }
        };
        let state = |component| real(&self.states, component);
        let next = |component: usize| Float::of(next[component]);
        expressions.read_transition((state, next), drawn, values);
    }

    /// All that resuming needs, as plain numbers.
    pub fn to_numbers(&self) -> Vec<f64> {
        let mut numbers = vec![self.at as f64, self.times.len() as f64];
        numbers.extend(self.times.iter().map(|&t| f64::from(t)));
        for values in self.lists() {
            numbers.extend(values.all.numbers.iter().map(|&number| f64::from(number)));
            numbers.extend(values.all.reals.iter().map(|&real| Float::as_f64(real)));
        }
        numbers
    }

    /// Reads what [`Replay::to_numbers`] wrote; `false` where it does not fit.
    pub fn restore(&mut self, numbers: &[f64]) -> bool {
        let mut rest = numbers.iter().copied();
        let (Some(at), Some(len)) = (rest.next(), rest.next()) else { return false };
        let (at, len) = (at as usize, len as usize);
        let per_row = |values: &Values<E>| values.width.max(1);
        let wanted = len * (1 + self.lists().map(per_row).sum::<usize>());
        if len > self.capacity || at > len || rest.len() != wanted {
            return false;
        }
        self.at = at;
        self.times = rest.by_ref().take(len).map(|t| t as u32).collect();
        let lists = [&mut self.states]
            .into_iter()
            .chain(self.actions.iter_mut().map(|(_, values)| values))
            .chain([&mut self.nexts])
            .chain(&mut self.rewards);
        for values in lists.chain([&mut self.ends]) {
            let count = len * values.width.max(1);
            let mut own = rest.by_ref().take(count);
            if values.width == 0 {
                values.all.numbers = own.map(|number| number as u32).collect();
            } else {
                values.all.reals = own.by_ref().map(Float::of).collect();
            }
        }
        true
    }
}

impl<E: Copy> Values<E> {
    fn write_number(&mut self, room: usize, number: u32) {
        if room == self.all.numbers.len() {
            self.all.numbers.push(number);
        } else {
            self.all.numbers[room] = number;
        }
    }

    fn write_reals(&mut self, room: usize, reals: &[E]) {
        if room * self.width == self.all.reals.len() {
            self.all.reals.extend_from_slice(reals);
        } else {
            self.all.reals[room * self.width..(room + 1) * self.width].copy_from_slice(reals);
        }
    }
}
