//! What all shards of a run share and none changes: the world, the networks and expressions of a plan, compiled.

use super::evaluate;
use super::expressions::{Expressions, Number};
use super::network::{InputKind, NetworkPlan};
use super::run::EngineError;
use crate::model::{FiniteDomain, KernelId, LayerId};
use crate::plan::{Baseline, Plan, Prior, Quantity, Read};
use crate::world::{Batch, World};
use std::sync::Arc;

/// A plan made ready to run in one precision.
pub(super) struct Stage<'a, E> {
    pub plan: &'a Plan,
    pub world: World<E>,
    pub policy: Wired,
    /// Logits of the prior of a KL, where it is a kernel with parameters.
    pub prior: Option<Wired>,
    pub baseline: Option<Wired>,
    pub exponents: Expressions<E>,
    pub log_prior: Option<Expressions<E>>,
    pub terms: Vec<Term>,
    pub horizon: usize,
    pub actions: usize,
}

/// What a row gives to a term, and where that is credited.
pub(super) struct Term {
    pub source: Source,
    pub sign: f64,
    /// Steps that count, both included.
    pub from: usize,
    pub to: usize,
    pub credit: Credit,
    pub pathwise: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Source {
    /// Output of [`Stage::exponents`].
    Exponent(usize),
    Entropy,
    Divergence,
    LogCount(f64),
}

/// Which draws a row's value is credited to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credit {
    /// That of the same step and earlier ones.
    Here,
    /// Those of earlier steps.
    Before,
    Nowhere,
}

/// A network and where its inputs come from.
pub(super) struct Wired {
    pub network: Arc<NetworkPlan>,
    feeds: Vec<(Feed, InputKind)>,
    /// The state's and the observation's numbers, where a world that does not number them feeds a network that needs them.
    state: Option<FiniteDomain>,
    observation: Option<FiniteDomain>,
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
}

/// Inputs of a network are kept on the stack; a network with more is refused.
const MOST_INPUTS: usize = 8;

impl<'a, E: Number> Stage<'a, E> {
    /// # Errors
    /// Where the environment cannot be sampled or a network cannot run, in one sentence.
    pub fn new(plan: &'a Plan) -> Result<Stage<'a, E>, EngineError> {
        let model = &plan.model;
        let world = World::compile(model, plan.environment).map_err(|error| EngineError::Unsupported(error.to_string()))?;
        let policy = Wired::new(plan, plan.policy.kernel, plan.policy.logits, &plan.policy.reads)?;
        let mut prior = None;
        let mut exponents = 0;
        let mut terms = Vec::with_capacity(plan.terms.len());
        for term in &plan.terms {
            let source = match &term.quantity {
                Quantity::Exponent(_) => {
                    exponents += 1;
                    Source::Exponent(exponents - 1)
                }
                Quantity::Entropy => Source::Entropy,
                Quantity::LogCount(value) => Source::LogCount(*value),
                Quantity::Kl { prior: of } => {
                    if let Prior::Kernel { kernel, logits, reads } = of {
                        prior = Some(Wired::new(plan, *kernel, *logits, reads)?);
                    }
                    Source::Divergence
                }
            };
            let credit = match term.credit {
                None => Credit::Nowhere,
                // a draw may be credited with a term that it does not move: E[∇log q · f] = 0 there
                Some(offset) if offset >= 1 => Credit::Before,
                Some(_) => Credit::Here,
            };
            terms.push(Term { source, sign: term.sign, from: term.from, to: term.to, credit, pathwise: term.pathwise });
        }
        let baseline = match &plan.settings.baseline {
            Baseline::Network { kernel, layer, .. } => Some(Wired::new(plan, *kernel, *layer, &plan.baseline_reads)?),
            Baseline::None | Baseline::LeaveOneOut => None,
        };
        let (exponents, log_prior) = (Expressions::exponents(plan), Expressions::log_prior(plan));
        let (horizon, actions) = (model.horizon.value, plan.policy.actions);
        Ok(Stage { plan, world, policy, prior, baseline, exponents, log_prior, terms, horizon, actions })
    }
}

impl Wired {
    fn new(plan: &Plan, kernel: KernelId, layer: LayerId, reads: &[Read]) -> Result<Wired, EngineError> {
        let model = &plan.model;
        let environment = model.environment(plan.environment);
        let outputs = model.kernel(kernel).outputs.len() as u32;
        let refused =
            |what: &str| EngineError::Unsupported(format!("`{}` {what}, which this version does not run", model.kernel(kernel).name));
        let feed = |read: &Read| match *read {
            Read::Time => Some(Feed::Time),
            Read::Variable(variable) if variable == environment.state => Some(Feed::State),
            Read::Variable(variable) if Some(variable) == environment.observation => Some(Feed::Observation),
            Read::Variable(_) => None,
        };
        let known: Option<Vec<Feed>> = reads.iter().map(feed).collect();
        let known = known.ok_or_else(|| refused("reads what its environment does not draw before it"))?;
        const ELSEWHERE: u32 = u32::MAX;
        let source = |of: KernelId, formal: u32| match formal.checked_sub(outputs).and_then(|given| known.get(given as usize)) {
            Some(&feed) if of == kernel => feed as u32,
            Some(_) | None => ELSEWHERE,
        };
        let network = NetworkPlan::compile(model, &[layer], source).map_err(|error| EngineError::Unsupported(error.to_string()))?;
        let feeds = network.inputs().iter().map(|spec| {
            let feed = [Feed::State, Feed::Observation, Feed::Time].into_iter().find(|&feed| feed as u32 == spec.source);
            feed.map(|feed| (feed, spec.kind)).ok_or_else(|| refused("has a network that reads what is not among its givens"))
        });
        let feeds = feeds.collect::<Result<Vec<_>, _>>()?;
        if feeds.len() > MOST_INPUTS {
            return Err(refused("has a network of more than 8 inputs"));
        }
        let numbers = |variable| model.variable(variable).domain.finite.clone();
        Ok(Wired {
            network: Arc::new(network),
            feeds,
            state: numbers(environment.state),
            observation: environment.observation.and_then(numbers),
        })
    }

    /// Calls `run` with the network's inputs at rows `0..rows` of the present step.
    pub fn feed<E: Number, R>(
        &self,
        world: &World<E>,
        batch: &Batch<E>,
        rows: usize,
        feeds: &mut Feeds<E>,
        run: impl FnOnce(&[evaluate::Feed<E>]) -> R,
    ) -> R {
        self.number(world, batch, rows, feeds);
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
                (Feed::State, InputKind::Real { .. }) => {
                    evaluate::Feed::Real { columns: batch.state_columns(world).unwrap_or(&[]), stride: batch.rows() }
                }
                (Feed::Observation, InputKind::Real { .. }) => {
                    evaluate::Feed::Real { columns: batch.observation_columns(world).unwrap_or(&[]), stride: batch.rows() }
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

/// The numbers of values whose components `read` writes; a value outside the domain gets the last number.
fn number<E: Number>(
    domain: &Option<FiniteDomain>,
    width: usize,
    rows: usize,
    read: impl Fn(usize, &mut [E]),
    (numbers, column, components): (&mut Vec<u32>, &mut Vec<E>, &mut Vec<f64>),
) {
    column.resize(rows * width, <E as super::float::Float>::ZERO);
    components.resize(width, 0.0);
    for (component, column) in column.chunks_exact_mut(rows.max(1)).enumerate().take(width) {
        read(component, column);
    }
    numbers.clear();
    for row in 0..rows {
        for (component, value) in components.iter_mut().enumerate() {
            *value = super::float::Float::as_f64(column[component * rows + row]);
        }
        let number = domain.as_ref().and_then(|domain| domain.number(components).or(domain.size().checked_sub(1)));
        numbers.push(number.unwrap_or(0) as u32);
    }
}
