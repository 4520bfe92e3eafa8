//! An environment as two compiled programs over columns: one that starts rows, one that moves them
//! a step.

use super::WorldError;
use super::arguments::map_arguments;
use super::sample::{Leaf, Sampler, component_tables};
use crate::expr::{BinaryOp, Column, ExprId, InputId, Node, Program, Real, Scratch};
use crate::family;
use crate::model::{Distribution, Domain, Dynamics, Environment, Index, Input, Model, VariableId};
use rand::Rng;
use std::ops::Range;

/// What stands in the columns of a frame: the state, the observation of it, the rewards that led to
/// it, and whether it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub state: usize,
    pub observation: usize,
    pub rewards: usize,
}

impl Layout {
    pub fn end(&self) -> usize {
        self.state + self.observation + self.rewards
    }
    pub fn width(&self) -> usize {
        self.end() + 1
    }
    /// The columns of the rewards.
    pub fn rewards(&self) -> Range<usize> {
        self.state + self.observation..self.end()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Columns<E> {
    pub layout: Layout,
    /// Columns that are told beside the next states.
    pub told: usize,
    pub actions: usize,
    /// The components of a numbered action, where the action is finite.
    pub numbered_actions: Option<Vec<Numbered<E>>>,
    /// The components of a numbered state, where the state is finite.
    pub numbered_states: Option<Vec<Numbered<E>>>,
    /// The components of a numbered observation, where there is one and it is finite.
    pub numbered_observations: Option<Vec<Numbered<E>>>,
    start: Phase<E>,
    step: Phase<E>,
}

/// Who draws the first states, or the next ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// The environment's own distribution.
    Itself,
    /// Another model: they are told, and rewards, the observation and the end are added.
    ByAnother,
}

/// What another model draws with the next states, in the place of the environment's own; it stands
/// behind the components of the state, the rewards in their order, then the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told<'a> {
    pub rewards: &'a [usize],
    pub end: bool,
}

impl Told<'_> {
    /// How many columns that is.
    pub fn width(&self) -> usize {
        self.rewards.len() + usize::from(self.end)
    }
}

/// A component of the values of a finite domain, by their numbers.
#[derive(Clone, Debug)]
pub(super) enum Numbered<E> {
    /// The first value; the others follow one by one.
    Consecutive(E),
    Listed(Vec<E>),
}

/// A program whose outputs are a frame, and the draws it reads.
#[derive(Clone, Debug)]
struct Phase<E> {
    leaves: Vec<Leaf>,
    uniforms: usize,
    sampled: Vec<SampledColumn<E>>,
    program: Program<E>,
}

/// A draw that a program makes from its arguments.
#[derive(Clone, Debug)]
struct SampledColumn<E> {
    arguments: Program<E>,
    draw: family::Sampler,
    bounds: (f64, f64),
}

/// Working memory of one batch.
pub(super) struct Work<E> {
    start: PhaseScratch<E>,
    step: PhaseScratch<E>,
    noise: Noise<E>,
}

struct PhaseScratch<E> {
    program: Scratch<E>,
    sampled: Vec<Scratch<E>>,
}

#[derive(Clone, Debug)]
struct Noise<E> {
    uniforms: Vec<E>,
    sampled: Vec<E>,
    /// those of one draw that is sampled
    arguments: Vec<E>,
}

/// What a step starts from: component `c` of row `i` stands at `c · capacity + i`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a, E> {
    pub state: &'a [E],
    pub actions: &'a [E],
    /// Where another model draws them.
    pub next: &'a [E],
    pub time: E,
    /// Rows that are worked on.
    pub rows: usize,
    pub capacity: usize,
}

impl<E: Real> Columns<E> {
    pub fn compile(
        model: &Model,
        environment: &Environment,
        started: Moved,
        moved: Moved,
        told: Told,
    ) -> Result<Columns<E>, WorldError> {
        let is_outside = matches!(environment.dynamics, Dynamics::External { .. });
        let (initial, transition, observation, end) = match &environment.dynamics {
            Dynamics::Written { initial, transition, observation, end, .. } => {
                (Some(initial), Some(transition), observation.as_ref(), *end)
            }
            Dynamics::External { .. } => (None, None, None, None),
        };
        let unwritten = || {
            WorldError(format!(
                "sampling `{}`, which is not written in the language,",
                environment.name
            ))
        };
        let initial = match started {
            Moved::Itself => Some(initial.ok_or_else(unwritten)?),
            Moved::ByAnother => None,
        };
        let transition = match moved {
            Moved::Itself => Some(transition.ok_or_else(unwritten)?),
            Moved::ByAnother => None,
        };
        let state = &model.variable(environment.state).domain;
        let action = environment.joint_action(model);
        let seen = environment.observation.map(|variable| &model.variable(variable).domain);
        let layout = Layout {
            state: state.width(),
            observation: seen.map_or(0, |domain| domain.width()),
            rewards: environment.rewards.len(),
        };

        let mut start = Builder::new(model, environment);
        match initial {
            Some(initial) => start.draw_state(initial)?,
            None => start.follow_state(layout.state),
        }
        start.observe(observation, seen)?;
        let zero = start.zero();
        start.outputs.resize(layout.end(), zero);
        start.end(end)?;

        let mut step = Builder::new(model, environment);
        step.here = (0..layout.state).map(|c| step.sampler.leaf(Leaf::State(c as u32))).collect();
        match transition {
            Some(transition) => step.draw_state(transition)?,
            None => step.follow_state(layout.state),
        }
        let next_time = step.next_time();
        for (at, reward) in environment.rewards.iter().enumerate() {
            if let Some(place) = told.rewards.iter().position(|told| *told == at) {
                let drawn = step.sampler.leaf(Leaf::Next((layout.state + place) as u32));
                step.rewards.push(drawn);
                continue;
            }
            // what is told once the step is made
            if is_outside {
                let zero = step.zero();
                step.rewards.push(zero);
                continue;
            }
            let Some(value) = reward.value else {
                return Err(WorldError(format!(
                    "the reward `{}`, which is not written in the language,",
                    reward.name
                )));
            };
            let time = step.sampler.graph.time();
            let value = step.copy(&[value], time)?[0];
            step.rewards.push(value);
        }
        // from here on `s[t]` is the state that was reached
        step.here = step.there.clone();
        step.time = Some(next_time);
        step.observe(observation, seen)?;
        step.outputs.append(&mut step.rewards);
        if told.end {
            let drawn = step.sampler.leaf(Leaf::Next((layout.state + told.rewards.len()) as u32));
            step.outputs.push(drawn);
        } else {
            step.end(end)?;
        }

        let numbered = |values, width| {
            component_tables(values, width).into_iter().map(Numbered::new).collect()
        };
        Ok(Columns {
            layout,
            told: told.width(),
            actions: action.width(),
            numbered_actions: action.finite.as_ref().map(|values| numbered(values, action.width())),
            numbered_states: state.finite.as_ref().map(|values| numbered(values, state.width())),
            numbered_observations: seen
                .and_then(|seen| Some(numbered(seen.finite.as_ref()?, seen.width()))),
            start: start.finish(),
            step: step.finish(),
        })
    }

    pub fn work(&self, capacity: usize) -> Work<E> {
        let draws = self.start.sampled.len().max(self.step.sampled.len());
        let phases = self.start.sampled.iter().chain(&self.step.sampled);
        let widest = phases.map(|of| of.arguments.width()).max().unwrap_or(0);
        Work {
            start: self.start.scratch(),
            step: self.step.scratch(),
            noise: Noise {
                uniforms: vec![E::ZERO; capacity * self.start.uniforms.max(self.step.uniforms)],
                sampled: vec![E::ZERO; capacity * draws],
                arguments: vec![E::ZERO; widest * capacity],
            },
        }
    }

    /// Writes the first frame; `told` are its states where another model draws them.
    pub fn start<R: Rng + ?Sized>(
        &self,
        (rows, capacity): (usize, usize),
        told: &[E],
        frame: &mut [E],
        work: &mut Work<E>,
        rng: &mut R,
    ) {
        let given = Given { state: &[], actions: &[], next: told, time: E::ONE, rows, capacity };
        self.start.run(given, frame, &mut work.start, &mut work.noise, rng);
    }

    /// Writes the frame that follows.
    pub fn step<R: Rng + ?Sized>(
        &self,
        given: Given<'_, E>,
        frame: &mut [E],
        work: &mut Work<E>,
        rng: &mut R,
    ) {
        self.step.run(given, frame, &mut work.step, &mut work.noise, rng);
    }
}

impl<E: Real> Numbered<E> {
    /// Writes the component of each number.
    pub fn fill(&self, numbers: &[u32], column: &mut [E]) {
        match self {
            Numbered::Consecutive(first) => {
                column
                    .iter_mut()
                    .zip(numbers)
                    .for_each(|(out, &number)| *out = *first + E::from_u32(number));
            }
            Numbered::Listed(values) => column
                .iter_mut()
                .zip(numbers)
                .for_each(|(out, &number)| *out = values[number as usize]),
        }
    }

    pub fn new(values: Vec<f64>) -> Numbered<E> {
        match values.first() {
            Some(&first) if values.windows(2).all(|pair| pair[1] == pair[0] + 1.0) => {
                Numbered::Consecutive(E::from_f64(first))
            }
            Some(_) | None => Numbered::Listed(values.into_iter().map(E::from_f64).collect()),
        }
    }
}

impl<E: Real> Phase<E> {
    fn scratch(&self) -> PhaseScratch<E> {
        PhaseScratch {
            program: self.program.scratch(),
            sampled: self.sampled.iter().map(|of| of.arguments.scratch()).collect(),
        }
    }

    fn run<R: Rng + ?Sized>(
        &self,
        given: Given<'_, E>,
        frame: &mut [E],
        scratch: &mut PhaseScratch<E>,
        noise: &mut Noise<E>,
        rng: &mut R,
    ) {
        let Given { time, rows, capacity, .. } = given;
        for column in noise.uniforms.chunks_exact_mut(capacity).take(self.uniforms) {
            column[..rows].iter_mut().for_each(|u| *u = E::unit(rng.next_u64()));
        }
        let Noise { uniforms, sampled, arguments } = noise;
        for (k, of) in self.sampled.iter().enumerate() {
            let inputs = |input: InputId| self.column(input, given, uniforms, sampled);
            of.arguments.run(
                &inputs,
                Column::Same(time),
                rows,
                arguments,
                capacity,
                &mut scratch.sampled[k],
            );
            let mut here = vec![0.0; of.arguments.width()];
            for (row, drawn) in sampled[k * capacity..][..rows].iter_mut().enumerate() {
                for (at, argument) in here.iter_mut().enumerate() {
                    *argument = arguments[at * capacity + row].to_f64();
                }
                *drawn = E::from_f64((of.draw)(&mut &mut *rng, &here, of.bounds));
            }
        }
        let inputs = |input: InputId| self.column(input, given, uniforms, sampled);
        self.program.run(&inputs, Column::Same(time), rows, frame, capacity, &mut scratch.program);
    }

    fn column<'a>(
        &self,
        input: InputId,
        given: Given<'a, E>,
        uniforms: &'a [E],
        sampled: &'a [E],
    ) -> Column<'a, E> {
        let (columns, at) = match self.leaves[input.0 as usize] {
            Leaf::State(at) => (given.state, at),
            Leaf::Action(at) => (given.actions, at),
            Leaf::Next(at) => (given.next, at),
            Leaf::Uniform(at) => (uniforms, at),
            Leaf::Sampled(at) => (sampled, at),
        };
        Column::Each(&columns[at as usize * given.capacity..][..given.capacity])
    }
}

/// Copies the expressions of an environment into the graph of a phase.
struct Builder<'m> {
    model: &'m Model,
    environment: &'m Environment,
    params: Vec<f64>,
    sampler: Sampler,
    /// What `s[t]` and `s[t+1]` stand for; empty where there is none.
    here: Vec<ExprId>,
    there: Vec<ExprId>,
    /// What `t` stands for, where it is not the time of the run.
    time: Option<ExprId>,
    rewards: Vec<ExprId>,
    outputs: Vec<ExprId>,
}

impl<'m> Builder<'m> {
    fn new(model: &'m Model, environment: &'m Environment) -> Builder<'m> {
        Builder {
            model,
            environment,
            params: model.param_values(),
            sampler: Sampler::default(),
            here: Vec::new(),
            there: Vec::new(),
            time: None,
            rewards: Vec::new(),
            outputs: Vec::new(),
        }
    }

    fn zero(&mut self) -> ExprId {
        self.sampler.graph.constant(0.0)
    }

    fn next_time(&mut self) -> ExprId {
        let (time, one) = (self.sampler.graph.time(), self.sampler.graph.constant(1.0));
        self.sampler.graph.binary(BinaryOp::Add, time, one)
    }

    fn draw_state(&mut self, distribution: &Distribution<Vec<ExprId>>) -> Result<(), WorldError> {
        let domain = &self.model.variable(self.environment.state).domain;
        self.there = self.draw(distribution, domain)?;
        if self.here.is_empty() {
            self.here = self.there.clone();
        }
        self.outputs.extend(&self.there);
        Ok(())
    }

    /// The state is told.
    fn follow_state(&mut self, width: usize) {
        self.there =
            (0..width).map(|component| self.sampler.leaf(Leaf::Next(component as u32))).collect();
        if self.here.is_empty() {
            self.here = self.there.clone();
        }
        self.outputs.extend(&self.there);
    }

    fn observe(
        &mut self,
        distribution: Option<&Distribution<Vec<ExprId>>>,
        domain: Option<&Domain>,
    ) -> Result<(), WorldError> {
        let Some(domain) = domain else { return Ok(()) };
        let seen = match distribution {
            Some(distribution) => self.draw(distribution, domain)?,
            // nothing asks what is seen of it
            None => vec![self.zero(); domain.width()],
        };
        self.outputs.extend(seen);
        Ok(())
    }

    fn end(&mut self, end: Option<ExprId>) -> Result<(), WorldError> {
        let end = match end {
            Some(end) => {
                let time = self.time.unwrap_or_else(|| self.sampler.graph.time());
                let end = self.copy(&[end], time)?[0];
                let zero = self.zero();
                self.sampler.graph.binary(BinaryOp::NotEqual, end, zero)
            }
            None => self.zero(),
        };
        self.outputs.push(end);
        Ok(())
    }

    fn draw(
        &mut self,
        distribution: &Distribution<Vec<ExprId>>,
        domain: &Domain,
    ) -> Result<Vec<ExprId>, WorldError> {
        let time = self.time.unwrap_or_else(|| self.sampler.graph.time());
        let copied = map_arguments(distribution, &mut |arguments| self.copy(arguments, time))?;
        self.sampler.draw(&copied, domain)
    }

    /// Copies expressions of the model, with what the states and the time stand for.
    fn copy(&mut self, roots: &[ExprId], time: ExprId) -> Result<Vec<ExprId>, WorldError> {
        let mut values = Vec::new();
        for input in self.model.graph.inputs_of(roots) {
            let value = self.input(self.model.inputs[input.0 as usize])?;
            values.push((input, value));
        }
        let params = &self.params;
        Ok(self.model.graph.copy_into(
            roots,
            &mut self.sampler.graph,
            &mut |graph, leaf| match leaf {
                Node::Param(param) => Some(graph.constant(params[param.0 as usize])),
                Node::Input(input) => {
                    values.iter().find(|(known, _)| known == input).map(|(_, value)| *value)
                }
                Node::Time => Some(time),
                _ => None,
            },
        ))
    }

    fn input(&mut self, input: Input) -> Result<ExprId, WorldError> {
        let known = match input {
            Input::Variable { variable, component, index } => {
                self.variable(variable, component, index)
            }
            Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => None,
        };
        known.ok_or_else(|| {
            WorldError(format!(
                "what `{}` reads beside s[t], a[t] and s[t+1]",
                self.environment.name
            ))
        })
    }

    fn variable(&mut self, variable: VariableId, component: u32, index: Index) -> Option<ExprId> {
        let at = component as usize;
        if variable == self.environment.state {
            return match index {
                Index::Step(0) | Index::First => self.here.get(at).copied(),
                Index::Step(1) => self.there.get(at).copied(),
                Index::Step(_) | Index::Last(_) => None,
            };
        }
        let first = self.environment.action_offset(self.model, variable)?;
        (index == Index::Step(0)).then(|| self.sampler.leaf(Leaf::Action(first as u32 + component)))
    }

    fn finish<E: Real>(self) -> Phase<E> {
        let Sampler { graph, leaves, uniforms, sampled } = self.sampler;
        Phase {
            leaves,
            uniforms: uniforms as usize,
            sampled: sampled
                .iter()
                .map(|of| SampledColumn {
                    arguments: Program::compile(&graph, &of.arguments, &[]),
                    draw: of.draw,
                    bounds: of.bounds,
                })
                .collect(),
            program: Program::compile(&graph, &self.outputs, &[]),
        }
    }
}
