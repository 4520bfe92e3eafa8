//! The networks of a plan wired to what the world draws: where each input comes from, and how it is fed step by step.

use super::evaluate::{self, Activations};
use super::expressions::Number;
use super::float::Float;
use super::moments::{Moments, Sums};
use super::network::{InputKind, NetworkPlan};
use super::parameters::Layout;
use super::run::EngineError;
use crate::model::{FiniteDomain, KernelId, LayerId};
use crate::plan::{Normalizer, Plan, Read};
use crate::world::{Batch, World};
use std::ops::Range;
use std::sync::Arc;

/// A network of several kernels and where its inputs come from.
pub(super) struct Wired {
    pub network: Arc<NetworkPlan>,
    /// The roots of the policy, of the prior and of the baseline.
    pub policy: Range<usize>,
    pub prior: Range<usize>,
    pub value: Option<usize>,
    feeds: Vec<(Feed, InputKind)>,
    /// The state's and the observation's numbers, where a world that does not number them feeds a network that needs them.
    state: Option<FiniteDomain>,
    observation: Option<FiniteDomain>,
    /// How real components are normalised, where they are.
    scaled: Vec<(Feed, Scaled)>,
}

/// Where the mean and the logarithm of the deviation of each component stand in the flat vector.
struct Scaled {
    mean: Range<usize>,
    log_deviation: Range<usize>,
}

/// Layers of a kernel, and what its givens read.
pub(super) struct Part<'a> {
    pub kernel: KernelId,
    pub layers: Vec<LayerId>,
    pub reads: &'a [Read],
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Feed {
    State,
    Observation,
    Time,
}

/// Numbers that a network reads and the batch does not keep; buffers made once.
#[derive(Default)]
pub(super) struct Feeds<E> {
    time: Vec<u32>,
    state: Vec<u32>,
    observation: Vec<u32>,
    column: Vec<E>,
    components: Vec<f64>,
    scaled_state: Vec<E>,
    scaled_observation: Vec<E>,
}

/// A normalised input is kept within so many deviations.
const FARTHEST: f64 = 10.0;

/// Inputs of a network are kept on the stack; a network with more is refused.
const MOST_INPUTS: usize = 8;

impl Wired {
    /// # Errors
    /// A network that cannot run, in one sentence.
    pub fn new(plan: &Plan, policy: &Part, prior: Option<&Part>, baseline: Option<&Part>) -> Result<Wired, EngineError> {
        let model = &plan.model;
        let environment = model.environment(plan.environment);
        let refused = |kernel: KernelId, what: &str| {
            EngineError::Unsupported(format!("`{}` {what}, which this version does not run", model.kernel(kernel).name))
        };
        let feed = |read: &Read| match *read {
            Read::Time => Some(Feed::Time),
            Read::Variable(variable) if variable == environment.state => Some(Feed::State),
            Read::Variable(variable) if Some(variable) == environment.observation => Some(Feed::Observation),
            Read::Variable(_) => None,
        };
        let parts: Vec<&Part> = [Some(policy), prior, baseline].into_iter().flatten().collect();
        let mut known: Vec<(KernelId, Vec<Feed>)> = Vec::new();
        for part in &parts {
            let feeds: Option<Vec<Feed>> = part.reads.iter().map(feed).collect();
            let feeds = feeds.ok_or_else(|| refused(part.kernel, "reads what its environment does not draw before it"))?;
            if known.iter().any(|(kernel, other)| *kernel == part.kernel && *other != feeds) {
                return Err(refused(part.kernel, "stands in prior and posterior with other arguments"));
            }
            known.push((part.kernel, feeds));
        }
        const ELSEWHERE: u32 = u32::MAX;
        let source = |of: KernelId, formal: u32| {
            let given = formal.checked_sub(model.kernel(of).outputs.len() as u32);
            let feeds = known.iter().find(|(kernel, _)| *kernel == of).map(|(_, feeds)| feeds);
            match given.zip(feeds).and_then(|(given, feeds)| feeds.get(given as usize)) {
                Some(&feed) => feed as u32,
                None => ELSEWHERE,
            }
        };
        let layout = Layout::of(&model.network);
        let roots: Vec<LayerId> = parts.iter().flat_map(|part| part.layers.iter().copied()).collect();
        let network = NetworkPlan::compile(model, &roots, source).map_err(|error| EngineError::Unsupported(error.to_string()))?;
        let feeds = network.inputs().iter().map(|spec| {
            let feed = [Feed::State, Feed::Observation, Feed::Time].into_iter().find(|&feed| feed as u32 == spec.source);
            feed.map(|feed| (feed, spec.kind))
                .ok_or_else(|| refused(policy.kernel, "or its baseline has a network that reads what is not among its givens"))
        });
        let feeds = feeds.collect::<Result<Vec<_>, _>>()?;
        if feeds.len() > MOST_INPUTS {
            return Err(refused(policy.kernel, "and its baseline have networks of more than 8 inputs"));
        }
        let numbers = |variable| model.variable(variable).domain.finite.clone();
        let scaled = |normalizer: &Normalizer| {
            let range = |id| layout.range(id);
            let scaled = Scaled { mean: range(normalizer.mean), log_deviation: range(normalizer.log_deviation) };
            (if normalizer.variable == environment.state { Feed::State } else { Feed::Observation }, scaled)
        };
        let before_prior = policy.layers.len();
        let before_value = before_prior + prior.map_or(0, |part| part.layers.len());
        Ok(Wired {
            network: Arc::new(network),
            policy: 0..before_prior,
            prior: before_prior..before_value,
            value: baseline.map(|_| before_value),
            feeds,
            state: numbers(environment.state),
            observation: environment.observation.and_then(numbers),
            scaled: plan.normalizers.iter().map(scaled).collect(),
        })
    }

    /// Components that are normalised.
    pub fn scaled_components(&self) -> usize {
        self.scaled.iter().map(|(_, scaled)| scaled.mean.len()).sum()
    }

    /// Adds what is normalised of rows `0..rows` of the present step, as it is drawn, to `sums`.
    pub fn observe<E: Number>(&self, world: &World<E>, batch: &Batch<E>, rows: usize, sums: &mut Sums) {
        let mut first = 0;
        for (feed, scaled) in &self.scaled {
            for (component, column) in columns(*feed, world, batch).chunks_exact(batch.rows()).take(scaled.mean.len()).enumerate() {
                sums.add(first + component, column[..rows].iter().map(|&x| Float::as_f64(x)));
            }
            first += scaled.mean.len();
        }
        sums.count += rows as f64;
    }

    /// Writes the means and deviations that networks see from now on.
    pub fn normalise<E: Number>(&self, moments: &Moments, parameters: &mut [E]) {
        let mut first = 0;
        for (_, scaled) in &self.scaled {
            for (component, (mean, log_deviation)) in scaled.mean.clone().zip(scaled.log_deviation.clone()).enumerate() {
                parameters[mean] = Float::of(moments.mean(first + component));
                parameters[log_deviation] = Float::of(moments.deviation(first + component).ln());
            }
            first += scaled.mean.len();
        }
    }

    /// What the roots of the policy or of the prior computed at `rows`: at most two.
    pub fn outputs<'a, E: Number>(&self, network: &'a Activations<E>, roots: &Range<usize>, rows: &Range<usize>) -> [&'a [E]; 2] {
        let output = |at: usize| {
            let root = roots.start + at;
            if root < roots.end { network.output(&self.network, root, rows.clone()) } else { &[] }
        };
        [output(0), output(1)]
    }

    /// Calls `run` with the network's inputs at rows `0..rows` of the present step, normalised as `parameters` say.
    pub fn feed<E: Number, R>(
        &self,
        parameters: &[E],
        (world, batch): (&World<E>, &Batch<E>),
        rows: usize,
        feeds: &mut Feeds<E>,
        run: impl FnOnce(&[evaluate::Feed<E>]) -> R,
    ) -> R {
        self.number(world, batch, rows, feeds);
        for (feed, scaled) in &self.scaled {
            scaled.scale(parameters, columns(*feed, world, batch), (rows, batch.rows()), feeds.scaled(*feed));
        }
        let is_scaled = |feed: Feed| self.scaled.iter().any(|(scaled, _)| *scaled == feed);
        let mut inputs = [evaluate::Feed::Finite(&[]); MOST_INPUTS];
        for (input, &(feed, kind)) in inputs.iter_mut().zip(&self.feeds) {
            *input = match (feed, kind) {
                (Feed::Time, _) => evaluate::Feed::Finite(&feeds.time[..rows]),
                (Feed::State, InputKind::Finite { .. }) => {
                    evaluate::Feed::Finite(batch.state_numbers().map_or(&feeds.state[..], |numbers| &numbers[..rows]))
                }
                (Feed::Observation, InputKind::Finite { .. }) => {
                    evaluate::Feed::Finite(batch.observation_numbers().map_or(&feeds.observation[..], |numbers| &numbers[..rows]))
                }
                (Feed::State, InputKind::Real { .. }) if is_scaled(feed) => {
                    evaluate::Feed::Real { columns: &feeds.scaled_state, stride: rows }
                }
                (Feed::Observation, InputKind::Real { .. }) if is_scaled(feed) => {
                    evaluate::Feed::Real { columns: &feeds.scaled_observation, stride: rows }
                }
                (Feed::State | Feed::Observation, InputKind::Real { .. }) => {
                    evaluate::Feed::Real { columns: columns(feed, world, batch), stride: batch.rows() }
                }
            };
        }
        run(&inputs[..self.feeds.len()])
    }

    /// Fills the buffers for what the batch does not number itself.
    fn number<E: Number>(&self, world: &World<E>, batch: &Batch<E>, rows: usize, feeds: &mut Feeds<E>) {
        for &(feed, kind) in &self.feeds {
            match (feed, kind) {
                (Feed::Time, _) => {
                    feeds.time.clear();
                    feeds.time.resize(rows, batch.time() as u32 - 1);
                }
                (Feed::State, InputKind::Finite { .. }) if batch.state_numbers().is_none() => {
                    let read = |component: usize, column: &mut [E]| batch.read_state(world, component, column);
                    let Feeds { state, column, components, .. } = feeds;
                    number(&self.state, world.state_width(), rows, read, (state, column, components));
                }
                (Feed::Observation, InputKind::Finite { .. }) if batch.observation_numbers().is_none() => {
                    let read = |component: usize, column: &mut [E]| batch.read_observation(world, component, column);
                    let Feeds { observation, column, components, .. } = feeds;
                    number(&self.observation, world.observation_width(), rows, read, (observation, column, components));
                }
                (Feed::State | Feed::Observation, _) => {}
            }
        }
    }
}

/// The columns of a real state or observation.
fn columns<'a, E: Number>(feed: Feed, world: &World<E>, batch: &'a Batch<E>) -> &'a [E] {
    let columns = match feed {
        Feed::State => batch.state_columns(world),
        Feed::Observation => batch.observation_columns(world),
        Feed::Time => None,
    };
    columns.unwrap_or(&[])
}

impl<E> Feeds<E> {
    fn scaled(&mut self, feed: Feed) -> &mut Vec<E> {
        if feed == Feed::State { &mut self.scaled_state } else { &mut self.scaled_observation }
    }
}

impl Scaled {
    /// `(x − mean) / deviation` of each component, within [`FARTHEST`].
    fn scale<E: Number>(&self, parameters: &[E], columns: &[E], (rows, stride): (usize, usize), out: &mut Vec<E>) {
        let (far, near): (E, E) = (Float::of(FARTHEST), Float::of(-FARTHEST));
        out.clear();
        let parts = parameters[self.mean.clone()].iter().zip(&parameters[self.log_deviation.clone()]);
        for ((&mean, &log_deviation), column) in parts.zip(columns.chunks_exact(stride.max(1))) {
            let factor = Float::exp(-log_deviation);
            out.extend(column[..rows].iter().map(|&x| Float::min(Float::max((x - mean) * factor, near), far)));
        }
    }
}

/// The numbers of values whose components `read` writes; a value outside the domain gets the last number.
fn number<E: Number>(
    domain: &Option<FiniteDomain>,
    width: usize,
    rows: usize,
    read: impl Fn(usize, &mut [E]),
    (numbers, column, components): (&mut Vec<u32>, &mut Vec<E>, &mut Vec<f64>),
) {
    column.resize(rows * width, <E as Float>::ZERO);
    components.resize(width, 0.0);
    for (component, column) in column.chunks_exact_mut(rows.max(1)).enumerate().take(width) {
        read(component, column);
    }
    numbers.clear();
    for row in 0..rows {
        for (component, value) in components.iter_mut().enumerate() {
            *value = Float::as_f64(column[component * rows + row]);
        }
        let number = domain.as_ref().and_then(|domain| domain.number(components).or(domain.size().checked_sub(1)));
        numbers.push(number.unwrap_or(0) as u32);
    }
}
