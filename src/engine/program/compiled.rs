//! What all shards of a run share and none changes: the world, the networks and expressions of a
//! plan, compiled.

use super::binding::{InputBinding, Part, Traced};
use super::density::Density;
use super::draws::{KlReference, StepDraw};
use super::enumerator::Enumerator;
use super::expressions::Expressions;
use super::gain::{Gain, PAIRS};
use super::imagine::Imagination;
use super::outcome::Outcome;
use super::point::Frozen;
use super::ratio::Ratio;
use super::scored::{Scored, scored_draws, scored_outcomes};
use super::simulation::Simulator;
use super::through::Through;
use super::weights::Weights;
use super::whole::Whole;
use crate::engine::episode::joint::Joint;
use crate::engine::episode::trace::Seen;
use crate::engine::episode::variable::Variable;
use crate::engine::error::EngineError;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::numeric::stop::Stop;
use crate::engine::numeric::stream::GAINS;
use crate::expr::{ExprId, Node};
use crate::model::{FiniteDomain, Input};
use crate::plan::{
    Baseline, Beside, Credited, Draw, Extent, OptionGradient, Plan, Prior, Quantity, StateDraw,
    Subject, Version,
};
use crate::world::{Told, World, WorldError};
use std::ops::Range;

/// A plan made ready to run in one precision.
pub(in crate::engine) struct CompiledProgram<'a, E> {
    pub plan: &'a Plan,
    pub world: World<E>,
    /// An environment from outside that starts what a model then imagines.
    pub starter: Option<World<E>>,
    /// What a step draws, in this order.
    pub draws: Vec<StepDraw<E>>,
    /// What the world takes of them.
    pub joint: Joint<E>,
    pub densities: Vec<Density>,
    /// Where learned models draw states, in the plan's order: what draws them in a rollout.
    pub states: Vec<Imagination>,
    /// What draws before a first state that reads it, by draw of a step, in this order.
    pub before_start: Vec<(usize, Imagination)>,
    /// What draws rewards and ends in factors of their own, in this order.
    pub outcomes: Vec<Outcome>,
    /// The densities of states, rewards and ends whose score is taken.
    pub scored: Vec<Scored>,
    /// What kernels imagine before they draw, in the plan's order.
    pub simulators: Vec<Simulator>,
    /// What classifiers tell apart, in the order of its terms.
    pub ratios: Vec<Ratio<E>>,
    /// Its real transitions are kept.
    pub collects: bool,
    /// The draws that the gradient sums over; with one, all draws of a step are credited alike.
    pub summed: Vec<Enumerator<E>>,
    /// What acting needs: all that draws, and kernels with the present parameters that divergences
    /// are taken from.
    pub acting: InputBinding,
    /// What learning needs: the same, and the baseline. What two of them compute alike is computed
    /// once.
    pub learning: InputBinding,
    pub exponents: Expressions<E>,
    /// The exponents that read whole trajectories.
    pub wholes: Vec<Whole<E>>,
    pub terms: Vec<Term>,
    pub horizon: usize,
    pub weights: Weights,
    pub gains: Vec<Gain>,
    /// How expressions move with what is drawn, where the gradient goes through that.
    pub through: Through<E>,
    /// By what the run is asked to end.
    pub stop: Stop,
}

/// What a row gives to a term, and where that is credited.
pub(in crate::engine) struct Term {
    pub source: Source,
    pub sign: f64,
    /// Steps that count, both included.
    pub from: usize,
    pub to: usize,
    pub credit: Credit,
    /// By draw.
    pub credits: Vec<Option<Credited>>,
    /// The most steps that a draw's credit begins after it.
    pub delay: usize,
    /// Credit counts what a step gives beyond an absorbed one: the exponent reads rewards and gains
    /// alone, so that what an absorbed step gives is the same at every step, whatever is drawn, and
    /// has no covariance with any score.
    pub relative: bool,
    pub pathwise: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::engine) enum Source {
    /// Output of [`CompiledProgram::exponents`].
    Exponent(usize),
    /// One of [`CompiledProgram::wholes`], which knows its term.
    Whole,
    /// `log p − log q` of a draw, `log p` an output of [`CompiledProgram::exponents`].
    LogRatio {
        draw: usize,
        log_prior: usize,
    },
    /// Of a draw.
    Entropy(usize),
    /// Of a draw, from its [reference](StepDraw::reference).
    Divergence(usize),
    /// Of [`CompiledProgram::weights`], not of a step.
    WeightDivergence,
    LogCount(f64),
    /// One of [`CompiledProgram::densities`], which knows its term.
    Density,
    /// One of [`CompiledProgram::ratios`], which knows its term.
    Ratio,
}

/// Which draws a row's value is credited to, where a step has one draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Credit {
    /// That of the same step and earlier ones.
    Here,
    /// Those of earlier steps.
    Before,
    Nowhere,
}

impl<'a, E: Number> CompiledProgram<'a, E> {
    /// # Errors
    /// Where the environment cannot be sampled or a network cannot run, in one sentence.
    pub fn new(plan: &'a Plan) -> Result<CompiledProgram<'a, E>, EngineError> {
        let model = &plan.model;
        let starts = plan.first_state().is_some();
        let is_outside = model.environment(plan.environment).is_outside();
        let hosted = || World::hosted(model, plan.environment, &plan.environments);
        let unsupported = |error: WorldError| EngineError::Unsupported(error.to_string());
        let world = match plan.next_state() {
            None if is_outside => hosted(),
            None if starts => World::started(model, plan.environment),
            None => World::compile(model, plan.environment),
            Some(StateDraw { outcomes, .. }) => {
                let rewards = outcomes.iter().filter_map(|outcome| match outcome.of {
                    Subject::Reward(reward) => Some(reward),
                    Subject::Read(_) | Subject::End => None,
                });
                let rewards: Vec<usize> = rewards.collect();
                let told = Told { rewards: &rewards, end: rewards.len() < outcomes.len() };
                World::followed(model, plan.environment, starts || is_outside, told)
            }
        };
        let program = CompiledProgram::on(plan, world.map_err(unsupported)?)?;
        let starts_outside = is_outside && plan.next_state().is_some() && !starts;
        let starter = starts_outside.then(hosted).transpose().map_err(unsupported)?;
        Ok(CompiledProgram { starter, ..program })
    }

    /// For a policy alone, whose states somebody else tells.
    ///
    /// # Errors
    /// Where a network cannot run, in one sentence.
    pub fn shown(plan: &'a Plan) -> Result<CompiledProgram<'a, E>, EngineError> {
        CompiledProgram::on(plan, World::shown(&plan.model, plan.environment))
    }

    fn on(plan: &'a Plan, world: World<E>) -> Result<CompiledProgram<'a, E>, EngineError> {
        let part = |draw: &'a Draw| Part {
            kernel: draw.kernel,
            layers: draw.head.layers(),
            reads: &draw.reads,
        };
        let parts: Vec<Part> = plan.draws.iter().map(part).collect();
        let last = plan.draws.len() - 1;
        let mut present: Vec<Option<Part>> = plan.draws.iter().map(|_| None).collect();
        let mut references: Vec<KlReference<E>> =
            plan.draws.iter().map(|_| KlReference::None).collect();
        let mut terms = Vec::with_capacity(plan.terms.len());
        for (at, term) in plan.terms.iter().enumerate() {
            let output = Expressions::<E>::output_of(plan, at).unwrap_or(0);
            let source = match &term.quantity {
                Quantity::Exponent(_) if term.extent == Extent::Trajectory => Source::Whole,
                Quantity::Exponent(_) => Source::Exponent(output),
                Quantity::LogRatio { draw, .. } => {
                    Source::LogRatio { draw: *draw, log_prior: output }
                }
                Quantity::Entropy { draw } => Source::Entropy(*draw),
                Quantity::Density { .. } => Source::Density,
                Quantity::Ratio(_) => Source::Ratio,
                Quantity::WeightDivergence { .. } => Source::WeightDivergence,
                Quantity::LogCount(value) => Source::LogCount(*value),
                Quantity::Kl { draw, prior: Prior::Expressions(numbers) } => {
                    references[*draw] =
                        KlReference::Expressions(Expressions::compile(plan, numbers));
                    Source::Divergence(*draw)
                }
                Quantity::Kl { draw, prior: Prior::Kernel { of, kernel, head, reads } } => {
                    let drawn = &plan.draws[*draw];
                    let part = Part { kernel: *kernel, layers: head.layers(), reads };
                    references[*draw] = match of {
                        Version::Present => {
                            present[*draw] = Some(part);
                            KlReference::Present
                        }
                        Version::Previous if (*kernel, reads) == (drawn.kernel, &drawn.reads) => {
                            KlReference::Itself
                        }
                        Version::Previous => {
                            KlReference::Previous(InputBinding::new(plan, &[part], &[], None)?)
                        }
                    };
                    Source::Divergence(*draw)
                }
            };
            let credit = match term.credit[last] {
                None => Credit::Nowhere,
                // a draw may be credited with a term that it does not move: E[∇log q · f] = 0 there
                Some(Credited::From(offset)) if offset >= 1 => Credit::Before,
                Some(Credited::From(_) | Credited::All) => Credit::Here,
            };
            let relative = match term.quantity {
                Quantity::Exponent(value) => {
                    term.extent == Extent::Step && reads_rewards_alone(plan, value)
                }
                Quantity::LogRatio { .. }
                | Quantity::Entropy { .. }
                | Quantity::WeightDivergence { .. }
                | Quantity::LogCount(_)
                | Quantity::Kl { .. }
                | Quantity::Ratio(_)
                | Quantity::Density { .. } => false,
            };
            let (sign, from, to, pathwise) = (term.sign, term.from, term.to, term.pathwise);
            terms.push(Term {
                source,
                sign,
                from,
                to,
                credit,
                credits: term.credit.clone(),
                delay: term.credit.iter().flatten().map(delay_of).max().unwrap_or(0),
                relative,
                pathwise,
            });
        }
        let baseline = match &plan.settings.baseline {
            Baseline::Network { kernel, layer, .. } => {
                Some(Part { kernel: *kernel, layers: vec![*layer], reads: &plan.baseline_reads })
            }
            Baseline::None | Baseline::LeaveOneOut => None,
        };
        let densities = Density::all(plan)?;
        let summed = match plan.settings.options {
            OptionGradient::Enumerated if plan.draws.len() > 1 => vec![Enumerator::new(plan)?],
            OptionGradient::Enumerated | OptionGradient::Sampled => Vec::new(),
        };
        Ok(CompiledProgram {
            plan,
            joint: Joint::of(plan),
            world,
            starter: None,
            learning: InputBinding::new(plan, &parts, &present, baseline.as_ref())?,
            acting: InputBinding::new(plan, &parts, &present, None)?,
            draws: plan
                .draws
                .iter()
                .zip(references)
                .map(|(draw, reference)| StepDraw::new(plan, draw, reference))
                .collect::<Result<_, _>>()?,
            densities,
            states: plan
                .states
                .iter()
                .map(|of| match of.draw.once {
                    true => Imagination::of(plan, &plan.made_first(&of.draw), &of.outcomes),
                    false => Imagination::new(plan, of),
                })
                .collect::<Result<_, _>>()?,
            before_start: plan
                .before_start()
                .into_iter()
                .map(|at| Ok((at, Imagination::of(plan, &plan.made_first(&plan.draws[at]), &[])?)))
                .collect::<Result<_, EngineError>>()?,
            outcomes: Outcome::all(plan)?,
            scored: Scored::all(plan)?,
            simulators: Simulator::all(plan)?,
            ratios: Ratio::all(plan)?,
            collects: false,
            summed,
            exponents: Expressions::sampled(plan),
            wholes: Whole::all(plan),
            terms,
            horizon: plan.model.horizon.value,
            weights: Weights::of(plan),
            gains: Gain::all(plan)?,
            through: Through::of(plan),
            stop: Stop::default(),
        })
    }
}

impl<E> CompiledProgram<'_, E> {
    /// The exponents that are valued when trajectories are whole, those at options that were not
    /// drawn among them.
    pub fn valued_whole(&self) -> impl Iterator<Item = &Whole<E>> {
        let of_options = self.summed.iter().flat_map(|summed| &summed.exponents);
        self.wholes.iter().chain(of_options.map(|(whole, _)| whole))
    }

    /// What draws first states, or next ones, where a learned model does.
    pub fn imagination(&self, once: bool) -> Option<(usize, &Imagination)> {
        self.states.iter().enumerate().find(|(_, of)| of.once == once)
    }

    /// The gradient goes through draws.
    pub fn is_pathwise(&self) -> bool {
        self.plan.is_pathwise()
    }

    /// The network of a kernel of the last round that a draw's divergence is taken from.
    pub fn previous_of(&self, draw: usize) -> Option<(&InputBinding, &Range<usize>)> {
        match &self.draws[draw].reference {
            KlReference::Itself => Some((&self.acting, &self.acting.draws[draw])),
            KlReference::Previous(binding) => Some((binding, &binding.draws[0])),
            KlReference::None | KlReference::Present | KlReference::Expressions(_) => None,
        }
    }

    /// Whether a divergence is taken from a kernel of the last round.
    pub fn reads_previous(&self) -> bool {
        (0..self.draws.len()).any(|draw| self.previous_of(draw).is_some())
    }

    /// A step has several draws, or more is read than steps: what draws are credited with is kept
    /// in a ledger.
    pub fn keeps_ledger(&self) -> bool {
        self.draws.len() > 1 || self.reads_trajectories()
    }

    /// The credit of draws is compared with that of other trajectories: no learned value is a
    /// baseline of a start, or of what it reads.
    pub fn compares(&self) -> bool {
        self.plan.settings.baseline == Baseline::LeaveOneOut
            || self.scored.iter().any(|of| of.once)
            || !self.plan.scored_beside().is_empty()
            || self.plan.unserved > 0
    }

    /// Networks or exponents read more of a trajectory than the present step.
    pub fn reads_trajectories(&self) -> bool {
        self.collects
            || !self.ratios.is_empty()
            || !self.scored.is_empty()
            || !self.outcomes.is_empty()
            || self.imagines_elsewhere()
            || !self.densities.is_empty()
            || !self.gains.is_empty()
            || !self.wholes.is_empty()
            || !self.learning.traced.is_empty()
            || self.states.iter().any(|of| !of.once && !of.binding.traced.is_empty())
            || self.draws.iter().any(|draw| match &draw.reference {
                KlReference::Previous(binding) => !binding.traced.is_empty(),
                _ => false,
            })
            || !self.plan.scored_beside().is_empty()
    }

    /// Kernels imagine from other states than the present one.
    pub fn imagines_elsewhere(&self) -> bool {
        self.simulators.iter().any(|simulator| simulator.start.is_some())
    }

    /// The gradient goes through what kernels imagine.
    pub fn imagines_through(&self) -> bool {
        self.plan.paths.imagines
    }

    /// Which draw of a row something is that keeps its score beside those of kernels.
    pub fn beside(&self, wanted: Beside) -> Option<usize> {
        let all = self.plan.scored_beside();
        let at = all.iter().position(|beside| *beside == wanted)?;
        Some(self.row_draws() - all.len() + at)
    }

    /// Whether a learned value is compared with the credit of a draw: not where it may read what
    /// that moves.
    pub fn is_served(&self, draw: usize) -> bool {
        let of_kernels = self.row_draws() - self.plan.scored_beside().len();
        draw >= self.plan.unserved && !(of_kernels..self.row_draws()).contains(&draw)
    }

    /// How many draws are credited: those of a step, and the next and the first state where a model
    /// draws it and moves.
    pub fn credited(&self) -> usize {
        self.row_draws() + scored_draws(self.plan, |of| of.draw.once)
    }

    /// Whether a draw is credited with any term, and so scored.
    pub fn credits(&self, draw: usize) -> bool {
        self.terms.iter().any(|term| term.credits.get(draw).is_some_and(Option::is_some))
    }

    /// A classifier learns from what a batch drew, before its gradient is taken.
    pub fn learns_within(&self) -> bool {
        self.ratios.iter().any(Ratio::learns_within)
    }

    /// Those of each row: all but that of the first state. The last are those that no kernel's
    /// factor draws.
    pub fn row_draws(&self) -> usize {
        self.draws.len()
            + self.plan.scored_beside().len()
            + scored_draws(self.plan, |of| !of.draw.once)
            + scored_outcomes(self.plan).count()
    }

    /// What of the world is recorded.
    pub fn seen(&self) -> Seen<'_, E> {
        let environment = self.plan.model.environment(self.plan.environment);
        Seen {
            world: &self.world,
            state: self.finite_domain(Variable::State),
            observation: self.finite_domain(Variable::Observation),
            has_observation: environment.observation.is_some(),
        }
    }

    /// How many states there are, where they are finite.
    pub fn states(&self) -> Option<usize> {
        self.finite_domain(Variable::State).map(FiniteDomain::size)
    }

    pub fn finite_domain(&self, variable: Variable) -> Option<&FiniteDomain> {
        let model = &self.plan.model;
        let environment = model.environment(self.plan.environment);
        let variable = match variable {
            Variable::State => environment.state,
            Variable::Observation => environment.observation?,
            Variable::Reward(_) | Variable::End => return None,
            Variable::Drawn(draw) => self.plan.draws[draw].variable,
        };
        model.variable(variable).domain.finite.as_ref()
    }
}

impl<E: Number> CompiledProgram<'_, E> {
    /// Rewards and ends are read of whole trajectories.
    pub fn records_outcomes(&self) -> bool {
        let is_reward = |(variable, ..): &Traced| matches!(variable, Variable::Reward(_));
        self.collects
            || self.densities.iter().any(Density::knows_outcomes)
            || self.scored.iter().any(|scored| scored.density.knows_outcomes())
            || self.gains.iter().any(Gain::is_of_outcome)
            || self.valued_whole().any(Whole::reads_rewards)
            || !self.outcomes.is_empty()
            || self.states.iter().any(|of| of.binding.traced.iter().any(is_reward))
    }

    /// The mean fields of `values`, the flat vector, in batch `batch` of a run; nothing where no
    /// gain is read.
    pub fn freeze(&self, values: &[E], (seed, batch): (u64, u64)) -> Frozen<E> {
        let mut frozen = Frozen::default();
        if self.gains.is_empty() {
            if self.ratios.iter().any(|ratio| ratio.shifts) {
                frozen.values = values.to_vec();
            }
            return frozen;
        }
        for pair in 0..PAIRS {
            let mut draw = values.to_vec();
            self.weights.draw([seed, GAINS + pair, batch], &mut draw);
            let (mut mirror, mut noise) = (values.to_vec(), vec![<E as Float>::ZERO; values.len()]);
            for (mean, log_sd) in self.weights.places() {
                let apart = draw[mean] - values[mean];
                mirror[mean] -= apart;
                noise[mean] = apart / Float::exp(values[log_sd]);
            }
            let mirrored = noise.iter().map(|&noise| -noise).collect();
            frozen.draws.extend([draw, mirror]);
            frozen.noise.extend([noise, mirrored]);
        }
        frozen.values = values.to_vec();
        frozen
    }
}

fn delay_of(credited: &Credited) -> usize {
    match credited {
        Credited::From(offset) => usize::try_from(*offset).unwrap_or(0),
        Credited::All => 0,
    }
}

fn reads_rewards_alone(plan: &Plan, exponent: ExprId) -> bool {
    let reads_time = plan
        .graph
        .reach(&[exponent])
        .into_iter()
        .any(|id| matches!(plan.graph.node(id), Node::Time));
    let mut inputs = plan.graph.inputs_of(&[exponent]).into_iter();
    !reads_time
        && inputs.all(|input| {
            matches!(plan.model.inputs[input.0 as usize], Input::Reward { .. } | Input::Gain(_))
        })
}
