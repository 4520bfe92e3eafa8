//! The networks of a plan and what binds their inputs to what the world draws: where each comes
//! from, and how it is fed step by step.

use super::scaled::Scaled;
use super::simulation;
use crate::engine::episode::values::Values;
use crate::engine::episode::values::number_all;
use crate::engine::episode::variable::{Variable, When};
use crate::engine::error::EngineError;
use crate::engine::network::feed;
use crate::engine::network::forward::Activations;
use crate::engine::network::plan::{InputKind, NetworkPlan};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::moments::{Moments, Sums};
use crate::engine::numeric::number::Number;
use crate::model::{FiniteDomain, KernelId, LayerId};
use crate::plan::{Plan, Read};
use crate::world::{Batch, World};
use std::ops::Range;
use std::sync::Arc;

/// A network of several kernels and where its inputs come from.
pub(in crate::engine) struct InputBinding {
    pub network: Arc<NetworkPlan>,
    /// The roots of each draw, in their order.
    pub draws: Vec<Range<usize>>,
    /// Those of what its divergence is taken from, where that has the present parameters.
    pub references: Vec<Range<usize>>,
    /// That of the baseline.
    pub value: Option<usize>,
    feeds: Vec<(Feed, InputKind)>,
    /// What is read of earlier steps: each read, which step of it, how many values there are, and
    /// whether what reads it is not drawn at the first step.
    pub traced: Vec<Traced>,
    /// The state's and the observation's numbers, where a world that does not number them feeds a
    /// network that needs them.
    state: Option<FiniteDomain>,
    observation: Option<FiniteDomain>,
    /// How real components are normalised, where they are.
    scaled: Vec<(Feed, Scaled)>,
}

/// A read of another step: the variable, when, how many values there are, and whether it begins
/// what another draw goes on with.
pub(in crate::engine) type Traced = (Variable, When, InputKind, bool);

/// Layers of a kernel, and what its givens read.
pub(in crate::engine) struct Part<'a> {
    pub kernel: KernelId,
    pub layers: Vec<LayerId>,
    pub reads: &'a [Read],
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Feed {
    State,
    Observation,
    Time,
    /// What a draw gave in this step, or at `t = 1` where it is made once.
    Drawn(usize),
    /// What it gave in the step before.
    Last(usize),
    /// What it gave at `t = 1`, of one that is made at every step.
    First(usize),
    /// One of [`InputBinding::traced`].
    Traced(usize),
    /// One of the plan's simulations.
    Simulated(usize),
}

impl Feed {
    /// A number of its own.
    fn code(self) -> u32 {
        match self {
            Feed::State => 0,
            Feed::Observation => 1,
            Feed::Time => 2,
            Feed::Drawn(draw) => 3 + 5 * draw as u32,
            Feed::Last(draw) => 4 + 5 * draw as u32,
            Feed::First(draw) => 5 + 5 * draw as u32,
            Feed::Traced(at) => 6 + 5 * at as u32,
            Feed::Simulated(at) => 7 + 5 * at as u32,
        }
    }

    fn of(code: u32) -> Feed {
        match code {
            0 => Feed::State,
            1 => Feed::Observation,
            2 => Feed::Time,
            code => {
                let at = (code as usize - 3) / 5;
                match (code - 3) % 5 {
                    0 => Feed::Drawn(at),
                    1 => Feed::Last(at),
                    2 => Feed::First(at),
                    3 => Feed::Traced(at),
                    _ => Feed::Simulated(at),
                }
            }
        }
    }

    /// The variable, where it is one of the present step.
    fn variable(self) -> Option<Variable> {
        match self {
            Feed::State => Some(Variable::State),
            Feed::Observation => Some(Variable::Observation),
            Feed::Drawn(draw) => Some(Variable::Drawn(draw)),
            Feed::Time | Feed::Last(_) | Feed::First(_) | Feed::Traced(_) | Feed::Simulated(_) => {
                None
            }
        }
    }

    /// What it reads at step `t`, and at which time; `None` where that is no variable of the
    /// trajectory, or there is none at that time.
    fn reads_at(self, t: usize, traced: &[Traced]) -> Option<(Variable, usize)> {
        let (variable, when) = match self {
            Feed::Last(draw) => (Variable::Drawn(draw), When::After(-1)),
            Feed::First(draw) => (Variable::Drawn(draw), When::At(1)),
            Feed::Traced(at) => traced.get(at).map(|&(variable, when, ..)| (variable, when))?,
            _ => (self.variable()?, When::After(0)),
        };
        Some((variable, usize::try_from(when.from(t)).unwrap_or(0)))
    }

    /// The pass of a network in which it is there: a pass for each draw.
    fn pass(self) -> usize {
        match self {
            Feed::State
            | Feed::Observation
            | Feed::Time
            | Feed::Last(_)
            | Feed::Traced(_)
            | Feed::Simulated(_) => 0,
            // at `t = 1` the first is that of the step
            Feed::Drawn(draw) | Feed::First(draw) => draw + 1,
        }
    }
}

/// Numbers that a network reads and the batch does not keep; buffers made once.
#[derive(Default)]
pub(in crate::engine) struct Feeds<E> {
    time: Vec<u32>,
    state: Vec<u32>,
    observation: Vec<u32>,
    column: Vec<E>,
    components: Vec<f64>,
    scaled_state: Vec<E>,
    scaled_observation: Vec<E>,
    /// By draw.
    pub drawn: Vec<Values<E>>,
    pub last: Vec<Values<E>>,
    pub first: Vec<Values<E>>,
    /// By entry of [`InputBinding::traced`].
    pub traced: Vec<Values<E>>,
    /// By simulation of the plan, the columns of its steps, and the states that it starts from,
    /// where these are others than the present ones.
    pub simulated: Vec<Vec<E>>,
    pub starts: Vec<Values<E>>,
}

/// Inputs of a network are kept on the stack; a network with more is refused.
const MOST_INPUTS: usize = 256;

impl InputBinding {
    /// # Errors
    /// A network that cannot run, in one sentence.
    pub fn new(
        plan: &Plan,
        draws: &[Part],
        references: &[Option<Part>],
        baseline: Option<&Part>,
    ) -> Result<InputBinding, EngineError> {
        let model = &plan.model;
        let environment = model.environment(plan.environment);
        let refused = |kernel: KernelId, what: &str| {
            EngineError::Unsupported(format!("`{}` {what}", model.kernel(kernel).name))
        };
        let whose = draws[draws.len() - 1].kernel;
        let drawn = |variable, once| {
            plan.draws.iter().position(|draw| draw.variable == variable && draw.once == once)
        };
        // what is drawn last in a step is read of the trace
        let kept = |variable| drawn(variable, false).filter(|at| at + 1 < plan.draws.len());
        let earlier = std::cell::RefCell::new(Vec::new());
        // what is not drawn at the first step may read what is not there then
        let feed = |read: &Read, begins: bool| match *read {
            Read::Time => Some(Feed::Time),
            Read::Variable(variable) if variable == environment.state => Some(Feed::State),
            Read::Variable(variable) if Some(variable) == environment.observation => {
                Some(Feed::Observation)
            }
            Read::Variable(variable) => drawn(variable, false).map(Feed::Drawn),
            Read::First(variable) if drawn(variable, true).is_some() => {
                drawn(variable, true).map(Feed::Drawn)
            }
            Read::First(variable) if kept(variable).is_some() => kept(variable).map(Feed::First),
            Read::Step(variable, -1) if !begins && kept(variable).is_some() => {
                kept(variable).map(Feed::Last)
            }
            Read::First(_)
            | Read::Step(..)
            | Read::Window(..)
            | Read::Past(..)
            | Read::Reward(..)
            | Read::Absent => {
                let reads = &mut *earlier.borrow_mut();
                let known = reads.iter().position(|known| *known == (*read, begins));
                let at = known.unwrap_or_else(|| {
                    reads.push((*read, begins));
                    reads.len() - 1
                });
                Some(Feed::Traced(at))
            }
            Read::Last(..)
            | Read::Future(..)
            | Read::Whole(..)
            | Read::Between(..)
            | Read::Tail(..) => None,
        };
        let parts: Vec<&Part> =
            draws.iter().chain(references.iter().flatten()).chain(baseline).collect();
        // a kernel that is given several things computes each in a call of its own
        let mut known: Vec<Vec<(KernelId, Vec<Feed>)>> = Vec::new();
        let mut calls = Vec::with_capacity(parts.len());
        for part in &parts {
            let begins = plan.draws.iter().any(|draw| {
                draw.from > 1 && draw.kernel == part.kernel && draw.reads == part.reads
            });
            let feeds: Option<Vec<Feed>> =
                part.reads.iter().map(|read| feed(read, begins)).collect();
            let feeds = feeds.ok_or_else(|| {
                refused(
                    part.kernel,
                    "reads what is drawn after it, or what its environment does not draw",
                )
            })?;
            let agrees = |call: &Vec<(KernelId, Vec<Feed>)>| {
                call.iter().all(|(kernel, other)| *kernel != part.kernel || *other == feeds)
            };
            let call = known.iter().position(agrees).unwrap_or(known.len());
            known.resize_with(known.len().max(call + 1), Vec::new);
            known[call].push((part.kernel, feeds));
            calls.push(call);
        }
        const ELSEWHERE: u32 = u32::MAX;
        let source = |call: usize, of: KernelId, formal: u32| {
            let given = formal.checked_sub(model.kernel(of).outputs.len() as u32);
            let feeds =
                known[call].iter().find(|(kernel, _)| *kernel == of).map(|(_, feeds)| feeds);
            match given.zip(feeds).and_then(|(given, feeds)| feeds.get(given as usize)) {
                Some(&feed) => feed.code(),
                None => ELSEWHERE,
            }
        };
        let roots = parts.iter().zip(&calls);
        let roots: Vec<(LayerId, usize)> = roots
            .flat_map(|(part, &call)| part.layers.iter().map(move |&layer| (layer, call)))
            .collect();
        let simulated = |layer: LayerId| {
            plan.simulations
                .iter()
                .position(|known| known.layer == layer)
                .map(|at| Feed::Simulated(at).code())
        };
        let network = NetworkPlan::compile_calls(model, &roots, source, simulated)
            .map_err(|error| EngineError::Unsupported(error.to_string()))?;
        let network = match plan.is_pathwise() {
            true => {
                let read = |at: usize| Variable::read(plan, earlier.borrow()[at].0, 0);
                let of = |feed: Feed| match feed {
                    Feed::Traced(at) => read(at).map(|(variable, _)| variable),
                    _ => feed.reads_at(0, &[]).map(|(variable, _)| variable),
                };
                let follows = |feed: Feed| match feed {
                    Feed::Simulated(_) => plan.paths.imagines,
                    _ => of(feed).is_some_and(|variable| variable.is_followed(plan)),
                };
                network
                    .following(model, |source| source != ELSEWHERE && follows(Feed::of(source)))
                    .map_err(|error| EngineError::Unsupported(error.to_string()))?
            }
            false => network,
        };
        // a window that ends at its own step is there once that is drawn
        let drawn_now = |feed: Feed| match feed {
            Feed::Traced(read) => match earlier.borrow()[read].0 {
                Read::Window(variable, _, 0) => drawn(variable, false),
                _ => None,
            },
            _ => None,
        };
        let pass = |feed: Feed| match feed {
            Feed::Simulated(at) => simulation::after(plan, &plan.simulations[at]),
            _ => drawn_now(feed).map_or(feed.pass(), |draw| draw + 1),
        };
        let network =
            network.staged(|source| if source == ELSEWHERE { 0 } else { pass(Feed::of(source)) });
        let feeds = network.inputs().iter().map(|spec| {
            let feed = (spec.source != ELSEWHERE).then(|| Feed::of(spec.source));
            feed.map(|feed| (feed, spec.kind)).ok_or_else(|| {
                refused(
                    whose,
                    "or its baseline has a network that reads what is not among its givens",
                )
            })
        });
        let mut feeds = feeds.collect::<Result<Vec<_>, _>>()?;
        // each step of a read is an input of its own
        let mut traced = Vec::new();
        for ((feed, kind), spec) in feeds.iter_mut().zip(network.inputs()) {
            if let Feed::Traced(read) = feed {
                let (read, begins) = earlier.borrow()[*read];
                let (variable, when) = Variable::read(plan, read, spec.step).ok_or_else(|| {
                    refused(whose, "reads earlier steps of what is not of the trajectory")
                })?;
                if let (Variable::Drawn(draw), When::After(0)) = (variable, when) {
                    *feed = Feed::Drawn(draw);
                    continue;
                }
                *feed = Feed::Traced(traced.len());
                traced.push((variable, when, *kind, begins));
            }
        }
        if feeds.len() > MOST_INPUTS {
            return Err(refused(whose, "and its baseline have networks of more than 256 inputs"));
        }
        let numbers = |variable| model.variable(variable).domain.finite.clone();
        let mut before = 0;
        let mut roots_of = |part: Option<&Part>| {
            let first = before;
            before += part.map_or(0, |part| part.layers.len());
            first..before
        };
        let of_draws = draws.iter().map(|part| roots_of(Some(part))).collect();
        let of_references = references.iter().map(|part| roots_of(part.as_ref())).collect();
        Ok(InputBinding {
            network: Arc::new(network),
            draws: of_draws,
            references: of_references,
            value: baseline.map(|_| before),
            feeds,
            traced,
            state: numbers(environment.state),
            observation: environment.observation.and_then(numbers),
            scaled: Scaled::all(plan)
                .into_iter()
                .map(|(variable, scaled)| match variable == environment.state {
                    true => (Feed::State, scaled),
                    false => (Feed::Observation, scaled),
                })
                .collect(),
        })
    }

    /// The same, whose inputs are what they are.
    pub fn unscaled(self) -> InputBinding {
        InputBinding { scaled: Vec::new(), ..self }
    }

    /// By input, which variable it reads at step `t`, at which time, and how it is normalised;
    /// `None` of what is no variable of the trajectory, or not there.
    pub fn reads_at(
        &self,
        t: usize,
    ) -> impl Iterator<Item = Option<(Variable, usize, Option<&Scaled>)>> {
        self.feeds.iter().map(move |(feed, _)| {
            let (variable, time) = feed.reads_at(t, &self.traced)?;
            let scaled = self.scaled.iter().find(|(of, _)| of.variable() == Some(variable));
            Some((variable, time, scaled.map(|(_, scaled)| scaled)))
        })
    }

    /// By input, which of the plan's simulations it is.
    pub fn simulated(&self) -> impl Iterator<Item = Option<usize>> {
        self.feeds.iter().map(|(feed, _)| match feed {
            Feed::Simulated(at) => Some(*at),
            _ => None,
        })
    }

    /// Whether an input is the time, or of an earlier step.
    pub fn reads_past(&self) -> bool {
        self.feeds.iter().any(|(feed, _)| match feed {
            Feed::Time | Feed::Last(_) | Feed::First(_) | Feed::Traced(_) => true,
            Feed::State | Feed::Observation | Feed::Drawn(_) | Feed::Simulated(_) => false,
        })
    }

    /// Components that are normalised.
    pub fn scaled_components(&self) -> usize {
        self.scaled.iter().map(|(_, scaled)| scaled.mean.len()).sum()
    }

    /// Adds what is normalised of rows `0..rows` of the present step, as it is drawn, to `sums`.
    pub fn observe<E: Number>(
        &self,
        world: &World<E>,
        batch: &Batch<E>,
        rows: usize,
        sums: &mut Sums,
    ) {
        let mut first = 0;
        for (feed, scaled) in &self.scaled {
            for (component, column) in columns(*feed, world, batch)
                .chunks_exact(batch.rows())
                .take(scaled.mean.len())
                .enumerate()
            {
                sums.add(first + component, column[..rows].iter().map(|&x| Float::as_f64(x)));
            }
            first += scaled.mean.len();
        }
        sums.count += rows as f64;
    }

    /// Normalises what is read of earlier steps, as the present value is.
    pub fn scale_earlier<E: Number>(
        &self,
        variable: Variable,
        parameters: &[E],
        rows: usize,
        columns: &mut Vec<E>,
    ) {
        let feed = match variable {
            Variable::State => Feed::State,
            Variable::Observation => Feed::Observation,
            Variable::Drawn(_) | Variable::Reward(_) | Variable::End => return,
        };
        if let Some((_, scaled)) = self.scaled.iter().find(|(scaled, _)| *scaled == feed) {
            let read = std::mem::take(columns);
            scaled.scale(parameters, &read, (rows, rows), columns);
        }
    }

    /// Writes the means and deviations that networks see from now on.
    pub fn normalise<E: Number>(&self, moments: &Moments, parameters: &mut [E]) {
        let mut first = 0;
        for (_, scaled) in &self.scaled {
            for (component, (mean, log_deviation)) in
                scaled.mean.clone().zip(scaled.log_deviation.clone()).enumerate()
            {
                parameters[mean] = Float::of(moments.mean(first + component));
                parameters[log_deviation] = Float::of(moments.deviation(first + component).ln());
            }
            first += scaled.mean.len();
        }
    }

    /// What each of the roots of a draw, or of its reference, computed at `rows`.
    pub fn outputs<'a, E: Number>(
        &self,
        network: &'a Activations<E>,
        roots: &Range<usize>,
        rows: &Range<usize>,
    ) -> impl Fn(usize) -> &'a [E] {
        move |at| network.output(&self.network, roots.start + at, rows.clone())
    }

    /// Calls `run` with the network's inputs at rows `0..rows` of the present step, normalised as
    /// `parameters` say.
    pub fn feed<E: Number, R>(
        &self,
        parameters: &[E],
        (world, batch): (&World<E>, &Batch<E>),
        rows: usize,
        feeds: &mut Feeds<E>,
        run: impl FnOnce(&[feed::Feed<E>]) -> R,
    ) -> R {
        self.number(world, batch, rows, feeds);
        for (feed, scaled) in &self.scaled {
            scaled.scale(
                parameters,
                columns(*feed, world, batch),
                (rows, batch.rows()),
                feeds.scaled(*feed),
            );
        }
        let is_scaled = |feed: Feed| self.scaled.iter().any(|(scaled, _)| *scaled == feed);
        let mut inputs = [feed::Feed::Finite(&[]); MOST_INPUTS];
        for (input, &(feed, kind)) in inputs.iter_mut().zip(&self.feeds) {
            *input = match (feed, kind) {
                (Feed::Time, _) => feed::Feed::Finite(&feeds.time[..rows]),
                // empty before it is drawn: no pass reads it then
                (Feed::Drawn(draw), kind) => values(&feeds.drawn[draw], kind, rows),
                (Feed::Last(draw), kind) => values(&feeds.last[draw], kind, rows),
                (Feed::First(draw), kind) => values(&feeds.first[draw], kind, rows),
                (Feed::Traced(at), kind) => values(&feeds.traced[at], kind, rows),
                (Feed::Simulated(at), _) => {
                    feed::Feed::Real { columns: &feeds.simulated[at], stride: rows }
                }
                (Feed::State, InputKind::Finite { .. }) => feed::Feed::Finite(
                    batch.state_numbers().map_or(&feeds.state[..], |numbers| &numbers[..rows]),
                ),
                (Feed::Observation, InputKind::Finite { .. }) => feed::Feed::Finite(
                    batch
                        .observation_numbers()
                        .map_or(&feeds.observation[..], |numbers| &numbers[..rows]),
                ),
                (Feed::State, InputKind::Real { .. }) if is_scaled(feed) => {
                    feed::Feed::Real { columns: &feeds.scaled_state, stride: rows }
                }
                (Feed::Observation, InputKind::Real { .. }) if is_scaled(feed) => {
                    feed::Feed::Real { columns: &feeds.scaled_observation, stride: rows }
                }
                (Feed::State | Feed::Observation, InputKind::Real { .. }) => {
                    feed::Feed::Real { columns: columns(feed, world, batch), stride: batch.rows() }
                }
            };
        }
        run(&inputs[..self.feeds.len()])
    }

    /// Fills the buffers for what the batch does not number itself.
    fn number<E: Number>(
        &self,
        world: &World<E>,
        batch: &Batch<E>,
        rows: usize,
        feeds: &mut Feeds<E>,
    ) {
        for &(feed, kind) in &self.feeds {
            match (feed, kind) {
                (Feed::Time, _) => {
                    feeds.time.clear();
                    feeds.time.resize(rows, batch.time() as u32 - 1);
                }
                (Feed::State, InputKind::Finite { .. }) if batch.state_numbers().is_none() => {
                    let read = |component: usize, column: &mut [E]| {
                        batch.read_state(world, component, column)
                    };
                    let Feeds { state, column, components, .. } = feeds;
                    number(
                        &self.state,
                        world.state_width(),
                        rows,
                        read,
                        (state, column, components),
                    );
                }
                (Feed::Observation, InputKind::Finite { .. })
                    if batch.observation_numbers().is_none() =>
                {
                    let read = |component: usize, column: &mut [E]| {
                        batch.read_observation(world, component, column)
                    };
                    let Feeds { observation, column, components, .. } = feeds;
                    number(
                        &self.observation,
                        world.observation_width(),
                        rows,
                        read,
                        (observation, column, components),
                    );
                }
                (Feed::State | Feed::Observation, _) => {}
                (
                    Feed::Drawn(_)
                    | Feed::Last(_)
                    | Feed::First(_)
                    | Feed::Traced(_)
                    | Feed::Simulated(_),
                    _,
                ) => {}
            }
        }
    }
}

/// Values of draws, as a network takes them.
fn values<E: Number>(values: &Values<E>, kind: InputKind, rows: usize) -> feed::Feed<'_, E> {
    match kind {
        InputKind::Finite { .. } => feed::Feed::Finite(&values.numbers),
        InputKind::Real { .. } => feed::Feed::Real { columns: &values.columns, stride: rows },
    }
}

/// The columns of a real state or observation.
fn columns<'a, E: Number>(feed: Feed, world: &World<E>, batch: &'a Batch<E>) -> &'a [E] {
    let columns = match feed {
        Feed::State => batch.state_columns(world),
        Feed::Observation => batch.observation_columns(world),
        Feed::Time
        | Feed::Drawn(_)
        | Feed::Last(_)
        | Feed::First(_)
        | Feed::Traced(_)
        | Feed::Simulated(_) => None,
    };
    columns.unwrap_or(&[])
}

impl<E: Clone + Default> Feeds<E> {
    pub fn of_draws(count: usize) -> Feeds<E> {
        Feeds {
            drawn: vec![Values::default(); count],
            last: vec![Values::default(); count],
            first: vec![Values::default(); count],
            ..Feeds::default()
        }
    }
}

impl<E> Feeds<E> {
    fn scaled(&mut self, feed: Feed) -> &mut Vec<E> {
        if feed == Feed::State { &mut self.scaled_state } else { &mut self.scaled_observation }
    }
}

/// The numbers of values whose components `read` writes; a value outside the domain gets the last
/// number.
fn number<E: Number>(
    domain: &Option<FiniteDomain>,
    width: usize,
    rows: usize,
    read: impl Fn(usize, &mut [E]),
    (numbers, column, components): (&mut Vec<u32>, &mut Vec<E>, &mut Vec<f64>),
) {
    column.resize(rows * width, <E as Float>::ZERO);
    for (component, column) in column.chunks_exact_mut(rows.max(1)).enumerate().take(width) {
        read(component, column);
    }
    number_all(domain.as_ref(), width, rows, (column, components, numbers));
}
