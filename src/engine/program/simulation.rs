//! Simulated rollouts that kernels see before they draw: states and actions drawn from kernels of
//! the file, as columns of numbers.
//!
//! They have random numbers of their own, so that what else a batch draws does not depend on how
//! much is imagined.

use super::point::Point;
use super::scaled::Scaled;
use crate::engine::episode::values::{Values, number_all};
use crate::engine::episode::variable::{Variable, When};
use crate::engine::error::EngineError;
use crate::engine::family::choice::Choice;
use crate::engine::family::{Draws, Family};
use crate::engine::network::feed::Feed;
use crate::engine::network::forward::Activations;
use crate::engine::network::plan::{InputKind, NetworkPlan};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::numeric::stream::generator;
use crate::model::{Actor, Domain, FormalVariable, KernelId, Kind, Model, VariableId};
use crate::plan::{Head, Plan, Read, Simulation};
use crate::world::{Actions, Batch, World};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::ops::Range;
use std::sync::Arc;

/// Places of a simulation's networks.
const POLICY: usize = 0;
const WORLD: usize = 1;

/// Marks the stream of what is imagined beside a rollout's own.
const SIMULATED: u64 = 1 << 63;

/// One simulated rollout, compiled.
pub(in crate::engine) struct Simulator {
    pub world: Drawer,
    pub policy: Drawer,
    /// The policy is that of the beginning of the round.
    pub previous: bool,
    state: Domain,
    action: Domain,
    pub steps: usize,
    /// What it starts from, where that is another state than the present one.
    pub start: Option<(Variable, When)>,
    /// How many draws of the step are made before it.
    pub after: usize,
    /// How networks see the states, where they see them normalised.
    pub scaled: Option<Scaled>,
}

/// A kernel that draws a state or an action of a rollout.
pub(in crate::engine) struct Drawer {
    pub network: Arc<NetworkPlan>,
    pub family: Family,
    pub sources: Vec<Source>,
    /// How it sees a state normalised, as it does where the bound draws from it.
    pub scaled: Option<Scaled>,
}

/// What an input of a drawer reads.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::engine) enum Source {
    State,
    Action,
    /// What a copy of the last round would imagine in turn: so many zeros.
    Nothing(usize),
}

/// Random numbers and buffers of a shard.
pub(in crate::engine) struct Simulated<E> {
    random: Xoshiro256PlusPlus,
    state: Held<E>,
    action: Held<E>,
    /// By simulation and step of it, what its policy and its world made; where rows are kept, of
    /// all of them, else of the last step alone.
    made: Vec<Vec<[Made<E>; 2]>>,
    numbers: Vec<E>,
    uniforms: Vec<E>,
    drawn: Draws<E>,
    columns: Vec<E>,
    components: Vec<f64>,
    zeros: Vec<E>,
    /// A state as it is seen normalised.
    seen: Vec<E>,
}

/// What a kernel of a rollout computed and drew.
#[derive(Default)]
pub(in crate::engine) struct Made<E> {
    pub network: Arc<Activations<E>>,
    pub draws: Draws<E>,
}

/// A variable of all rows: numbers of its values where they are finite, else columns of components.
#[derive(Default)]
struct Held<E> {
    numbers: Vec<u32>,
    columns: Vec<E>,
}

impl Simulator {
    /// Those of a plan, in their order.
    ///
    /// # Errors
    /// One sentence, where a network cannot run.
    pub fn all(plan: &Plan) -> Result<Vec<Simulator>, EngineError> {
        plan.simulations.iter().map(|simulation| Simulator::new(plan, simulation)).collect()
    }

    fn new(plan: &Plan, simulation: &Simulation) -> Result<Simulator, EngineError> {
        let model = &plan.model;
        let written = model
            .simulation(simulation.layer)
            .expect("plan: its simulations are layers of the model");
        let scaled = || {
            let mut all = Scaled::all(plan).into_iter();
            all.find(|(variable, _)| *variable == written.state).map(|(_, scaled)| scaled)
        };
        let follows = plan.paths.imagines;
        let of = |kernel, head| {
            let drawer = Drawer::new(model, (kernel, head), written.state, follows)?;
            let is_drawn = plan.draws.iter().any(|draw| draw.kernel == kernel);
            Ok::<_, EngineError>(Drawer { scaled: scaled().filter(|_| is_drawn), ..drawer })
        };
        Ok(Simulator {
            world: of(written.world, &simulation.world)?,
            policy: of(written.policy.kernel(), &simulation.policy)?,
            previous: matches!(written.policy, Actor::Previous(_)),
            state: model.variable(written.state).domain.clone(),
            action: model.variable(written.action).domain.clone(),
            steps: written.steps,
            start: start(plan, simulation),
            after: after(plan, simulation),
            scaled: scaled(),
        })
    }
}

/// What a rollout starts from, where that is another state than the present one.
fn start(plan: &Plan, of: &Simulation) -> Option<(Variable, When)> {
    match of.start {
        Read::Variable(of) if of == plan.model.environment(plan.environment).state => None,
        read => Variable::read(plan, read, 0),
    }
}

/// How many draws of a step are made before a rollout starts: those up to the one that it starts
/// from.
pub(in crate::engine) fn after(plan: &Plan, of: &Simulation) -> usize {
    match start(plan, of) {
        Some((Variable::Drawn(draw), When::After(0) | When::At(1))) => draw + 1,
        _ => 0,
    }
}

impl Simulator {
    /// How many components a state has, and whether it has finitely many values.
    pub fn domain(&self) -> (usize, bool) {
        (self.state.width(), self.state.finite.is_some())
    }

    /// Columns of a state and of an action of a rollout.
    pub fn columns(&self) -> (usize, usize) {
        (columns_of(&self.state), columns_of(&self.action))
    }
}

impl Drawer {
    /// Where a gradient goes through what is imagined, it `follows` what is read of that.
    fn new(
        model: &Model,
        (kernel, head): (KernelId, &Head),
        state: VariableId,
        follows: bool,
    ) -> Result<Drawer, EngineError> {
        const NOTHING: u32 = u32::MAX;
        let network = NetworkPlan::compile_acting(
            model,
            &head.layers(),
            |_, formal| formal,
            |_| Some(NOTHING),
        );
        let network = match follows {
            true => network.and_then(|found| found.following(model, |of| of != NOTHING)),
            false => network,
        };
        let network = network.map_err(|error| EngineError::Unsupported(error.to_string()))?;
        let sources = network.inputs().iter().map(|input| {
            let formal = model.kernel(kernel).formals().nth(input.source as usize);
            match (formal.map(|formal| formal.variable), input.kind) {
                (Some(FormalVariable::Variable(variable)), _) if variable == state => Source::State,
                (None, InputKind::Real { components }) => Source::Nothing(components),
                (Some(_) | None, _) => Source::Action,
            }
        });
        let (sources, family) = (sources.collect(), Family::of(head));
        Ok(Drawer { sources, family, network: Arc::new(network), scaled: None })
    }
}

impl<E: Number> Simulated<E> {
    pub fn new() -> Simulated<E> {
        Simulated {
            random: generator([0; 3]),
            state: Held::default(),
            action: Held::default(),
            made: Vec::new(),
            numbers: Vec::new(),
            uniforms: Vec::new(),
            drawn: Draws::default(),
            columns: Vec::new(),
            components: Vec::new(),
            zeros: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Begins the rollout of the stream `of`.
    pub fn begin(&mut self, of: [u64; 3]) {
        self.random = generator([of[0], of[1] ^ SIMULATED, of[2]]);
    }

    /// What the policy and the world of a simulation made at a step of it, of rows that are kept.
    pub fn made(&self, simulation: usize, step: usize) -> &[Made<E>; 2] {
        &self.made[simulation][step]
    }

    /// Draws the rollouts of the rows in front that start once `after` draws of the step are made,
    /// and writes the columns of each to its part of `out`, column after column; `starts` has the
    /// states of those that start from another one than the present. What is made of them stands
    /// behind the first `kept` rows, where rows are kept.
    pub fn draw(
        &mut self,
        (all, after): (&[Simulator], usize),
        point: Point<E>,
        on: (&World<E>, &Batch<E>),
        (starts, kept): (&[Values<E>], Option<usize>),
        out: &mut Vec<Vec<E>>,
    ) {
        self.made.resize_with(all.len(), Vec::new);
        out.resize_with(all.len(), Vec::new);
        for (at, (of, out)) in all.iter().zip(out).enumerate() {
            if of.after == after {
                let steps = if kept.is_some() { of.steps } else { 1 };
                self.made[at].resize_with(steps, Default::default);
                let start = of.start.map(|_| &starts[at]);
                self.roll_out((at, of), point, on, (start, kept), out);
            }
        }
    }

    fn roll_out(
        &mut self,
        (at, of): (usize, &Simulator),
        point: Point<E>,
        (world, batch): (&World<E>, &Batch<E>),
        (start, kept): (Option<&Values<E>>, Option<usize>),
        out: &mut Vec<E>,
    ) {
        let rows = batch.front();
        let (states, actions) = (columns_of(&of.state), columns_of(&of.action));
        out.clear();
        out.resize(of.steps * (states + actions) * rows, <E as Float>::ZERO);
        if rows == 0 {
            return;
        }
        match start {
            Some(start) => {
                self.state.numbers.clone_from(&start.numbers);
                self.state.columns.clone_from(&start.columns);
            }
            None => self.read_start(of, (world, batch), rows),
        }
        let acting =
            if of.previous { point.previous.unwrap_or(point.present) } else { point.present };
        let first = kept.unwrap_or(0);
        for (number, step) in out.chunks_exact_mut((states + actions) * rows).enumerate() {
            let number = if kept.is_some() { number } else { 0 };
            let (of_state, of_action) = step.split_at_mut(states * rows);
            self.draw_from(&of.policy, (at, number, POLICY), acting, first..first + rows);
            self.action
                .take(of.policy.family.actions(&self.drawn, 0..rows, &mut self.columns), rows);
            self.draw_from(&of.world, (at, number, WORLD), point.present, first..first + rows);
            self.state.take(of.world.family.actions(&self.drawn, 0..rows, &mut self.columns), rows);
            let Simulated { state, action, components, seen, .. } = self;
            let columns = state.seen(of.scaled.as_ref(), point.present, rows, seen);
            encode((&of.state, &state.numbers, columns), rows, components, of_state);
            encode((&of.action, &action.numbers, &action.columns), rows, components, of_action);
        }
    }

    fn read_start(&mut self, of: &Simulator, (world, batch): (&World<E>, &Batch<E>), rows: usize) {
        let Simulated { state, components, .. } = self;
        let width = world.state_width();
        state.numbers.clear();
        state.columns.clear();
        match (batch.state_numbers(), &of.state.finite) {
            (Some(numbers), Some(_)) => state.numbers.extend_from_slice(&numbers[..rows]),
            (_, finite) => {
                state.columns.resize(rows * width, <E as Float>::ZERO);
                for (component, column) in state.columns.chunks_exact_mut(rows).enumerate() {
                    batch.read_state(world, component, column);
                }
                if finite.is_some() {
                    number_all(
                        finite.as_ref(),
                        width,
                        rows,
                        (&state.columns, components, &mut state.numbers),
                    );
                }
            }
        }
    }

    /// A value for each row, to `drawn`.
    fn draw_from(
        &mut self,
        of: &Drawer,
        (at, step, which): (usize, usize, usize),
        parameters: &[E],
        all: Range<usize>,
    ) {
        let rows = all.len();
        let Simulated {
            random, state, action, made, numbers, uniforms, drawn, zeros, seen, ..
        } = self;
        let columns = state.seen(of.scaled.as_ref(), parameters, rows, seen);
        let most = of
            .sources
            .iter()
            .map(|source| if let Source::Nothing(width) = source { width * rows } else { 0 })
            .max()
            .unwrap_or(0);
        zeros.resize(zeros.len().max(most), <E as Float>::ZERO);
        let feeds: Vec<Feed<E>> = of
            .sources
            .iter()
            .map(|source| match source {
                Source::State => feed(&state.numbers, columns, rows),
                Source::Action => feed(&action.numbers, &action.columns, rows),
                Source::Nothing(_) => Feed::Real { columns: zeros, stride: rows },
            })
            .collect();
        let Made { network, draws } = &mut made[at][step][which];
        let network =
            Arc::get_mut(network).expect("simulation: the tape of the last gradient is gone");
        of.network.forward(parameters, &feeds, all.clone(), network);
        numbers.clear();
        numbers.resize(rows * of.family.numbers(), <E as Float>::ZERO);
        of.family.describe(|root| network.output(&of.network, root, all.clone()), &[], numbers);
        drawn.clear();
        of.family.draw(numbers, Choice::Sampled, random, uniforms, drawn);
        draws.keep(all.start, of.family.width());
        draws.numbers.extend_from_slice(&drawn.numbers);
        draws.reals.extend_from_slice(&drawn.reals);
    }
}

impl<E: Number> Held<E> {
    fn take(&mut self, drawn: Actions<E>, rows: usize) {
        self.numbers.clear();
        self.columns.clear();
        match drawn {
            Actions::Numbers(numbers) => self.numbers.extend_from_slice(&numbers[..rows]),
            Actions::Columns { values, .. } => self.columns.extend_from_slice(values),
        }
    }

    /// The columns as they are seen, normalised or as they are.
    fn seen<'s>(
        &'s self,
        scaled: Option<&Scaled>,
        parameters: &[E],
        rows: usize,
        room: &'s mut Vec<E>,
    ) -> &'s [E] {
        match scaled.filter(|_| self.numbers.is_empty()) {
            Some(scaled) => {
                scaled.scale(parameters, &self.columns, (rows, rows), room);
                room
            }
            None => &self.columns,
        }
    }
}

fn feed<'f, E: Number>(numbers: &'f [u32], columns: &'f [E], rows: usize) -> Feed<'f, E> {
    if numbers.is_empty() { Feed::Real { columns, stride: rows } } else { Feed::Finite(numbers) }
}

/// Writes finite components one-hot, real ones as they are; column after column.
fn encode<E: Number>(
    (domain, numbers, columns): (&Domain, &[u32], &[E]),
    rows: usize,
    components: &mut Vec<f64>,
    out: &mut [E],
) {
    components.clear();
    components.resize(domain.width(), 0.0);
    for row in 0..rows {
        match &domain.finite {
            Some(finite) => finite.value(numbers[row] as usize, components),
            None => {
                let columns = columns.chunks_exact(rows);
                components
                    .iter_mut()
                    .zip(columns)
                    .for_each(|(value, column)| *value = Float::as_f64(column[row]));
            }
        }
        let mut column = 0;
        for (component, &value) in domain.components.iter().zip(&*components) {
            let lo = match component.kind {
                Kind::Integer { lo, .. } => Some(lo as f64),
                Kind::Names(_) | Kind::Bool => Some(0.0),
                Kind::Real { .. } => None,
            };
            let count = component.kind.columns(false);
            match lo {
                Some(lo) => {
                    out[(column + ((value - lo) as usize).min(count - 1)) * rows + row] =
                        Float::of(1.0)
                }
                None => out[column * rows + row] = Float::of(value),
            }
            column += count;
        }
    }
}

/// Columns of a value of a domain.
fn columns_of(domain: &Domain) -> usize {
    domain.components.iter().map(|component| component.kind.columns(false)).sum()
}
