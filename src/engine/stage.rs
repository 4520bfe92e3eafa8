//! What all shards of a run share and none changes: the world, the networks and expressions of a plan, compiled.

use super::evaluate::{self, Activations};
use super::expressions::{Expressions, Number};
use super::family::Family;
use super::network::{InputKind, NetworkPlan};
use super::run::EngineError;
use crate::model::{FiniteDomain, KernelId, LayerId};
use crate::plan::{Baseline, Copy, Plan, Prior, Quantity, Read};
use crate::world::{Batch, World};
use std::ops::Range;
use std::sync::Arc;

/// A plan made ready to run in one precision.
pub(super) struct Stage<'a, E> {
    pub plan: &'a Plan,
    pub world: World<E>,
    pub family: Family,
    /// What acting needs: the policy, and the prior of a KL where that is a kernel with the present parameters.
    pub acting: Wired,
    /// What learning needs: the same, and the baseline. What two of them compute alike is computed once.
    pub learning: Wired,
    pub anchor: Anchor<E>,
    pub exponents: Expressions<E>,
    pub terms: Vec<Term>,
    pub horizon: usize,
}

/// What a policy's divergence is taken from.
pub(super) enum Anchor<E> {
    /// The bound has no such term.
    None,
    /// A kernel with the present parameters: [`Wired::prior`].
    Present,
    /// The policy at the beginning of the round.
    PreviousPolicy,
    /// Another kernel at the beginning of the round.
    Previous(Wired),
    /// The rows of numbers, as expressions.
    Expressions(Expressions<E>),
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
    /// `log p(a) − log π(a)`, `log p(a)` an output of [`Stage::exponents`].
    LogRatio(usize),
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
}

/// Layers of a kernel, and what its givens read.
struct Part<'a> {
    kernel: KernelId,
    layers: Vec<LayerId>,
    reads: &'a [Read],
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
        let policy = &plan.policy;
        let acting = Part { kernel: policy.kernel, layers: policy.head.layers(), reads: &policy.reads };
        let mut prior = None;
        let mut anchor = Anchor::None;
        let mut outputs = 0..;
        let mut terms = Vec::with_capacity(plan.terms.len());
        for term in &plan.terms {
            let source = match &term.quantity {
                Quantity::Exponent(_) => Source::Exponent(outputs.next().unwrap_or(0)),
                Quantity::LogRatio { .. } => Source::LogRatio(outputs.next().unwrap_or(0)),
                Quantity::Entropy => Source::Entropy,
                Quantity::LogCount(value) => Source::LogCount(*value),
                Quantity::Kl { prior: Prior::Expressions(numbers) } => {
                    anchor = Anchor::Expressions(Expressions::compile(plan, numbers));
                    Source::Divergence
                }
                Quantity::Kl { prior: Prior::Kernel { of, kernel, head, reads } } => {
                    let part = Part { kernel: *kernel, layers: head.layers(), reads };
                    anchor = match of {
                        Copy::Present => {
                            prior = Some(part);
                            Anchor::Present
                        }
                        Copy::Previous if (*kernel, reads) == (policy.kernel, &policy.reads) => Anchor::PreviousPolicy,
                        Copy::Previous => Anchor::Previous(Wired::new(plan, &part, None, None)?),
                    };
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
            Baseline::Network { kernel, layer, .. } => Some(Part { kernel: *kernel, layers: vec![*layer], reads: &plan.baseline_reads }),
            Baseline::None | Baseline::LeaveOneOut => None,
        };
        Ok(Stage {
            plan,
            world,
            family: Family::of(&policy.head),
            learning: Wired::new(plan, &acting, prior.as_ref(), baseline.as_ref())?,
            acting: Wired::new(plan, &acting, prior.as_ref(), None)?,
            anchor,
            exponents: Expressions::sampled(plan),
            terms,
            horizon: model.horizon.value,
        })
    }
}

impl Wired {
    fn new(plan: &Plan, policy: &Part, prior: Option<&Part>, baseline: Option<&Part>) -> Result<Wired, EngineError> {
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
        })
    }

    /// What the roots of the policy or of the prior computed at `rows`: at most two.
    pub fn outputs<'a, E: Number>(&self, network: &'a Activations<E>, roots: &Range<usize>, rows: &Range<usize>) -> [&'a [E]; 2] {
        let output = |at: usize| {
            let root = roots.start + at;
            if root < roots.end { network.output(&self.network, root, rows.clone()) } else { &[] }
        };
        [output(0), output(1)]
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
