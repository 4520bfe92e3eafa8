//! Kernels evaluated at what whole trajectories held: reverse models of options and decoders. Their
//! log-densities are terms of the bound, and gradient passes into their own parameters.

use super::expressions::Expressions;
use super::point::Point;
use super::scaled::Scaled;
use crate::bound::TermKind;
use crate::engine::episode::joint::JointNumber;
use crate::engine::episode::variable::{Variable, When};
use crate::engine::error::EngineError;
use crate::engine::family::{Draws, Family};
use crate::engine::network::forward::Activations;
use crate::engine::network::plan::{InputKind, NetworkPlan};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::points::{Columns, EpisodeView, Inputs, Source, followed};
use crate::finite::{self, Sparse};
use crate::model::{EnvironmentKernel, FactorRef};
use crate::plan::{self, ComparedWith, Head, Plan, Quantity, Read, Subject, Version};
use std::sync::Arc;

/// A density of a bound, compiled.
pub(in crate::engine) struct Density {
    pub network: Arc<NetworkPlan>,
    pub family: Family,
    pub version: Version,
    /// The term it is of, and what it is compared with.
    pub term: usize,
    pub compared_with: ComparedWith,
    /// The factor of the posterior whose draw it is, where it is that draw's own density.
    pub own: Option<FactorRef>,
    /// The environment's, where it is compared with that.
    known: Option<Known>,
    /// The output of [`crate::engine::program::expressions::Expressions::sampled`] that it is
    /// compared with.
    pub written: Option<usize>,
    pub inputs: Inputs,
    pub target: (Variable, When),
    /// What a sticky head stays at.
    pub last: Option<(Variable, When)>,
    from: usize,
    to: usize,
    live: bool,
    /// What its kernel sees normalised, as it does where it draws.
    pub scaled: Vec<(Variable, Scaled)>,
}

/// What a density was in a batch: a row for each point at which the term counts.
#[derive(Default)]
pub(in crate::engine) struct DensityRows<E> {
    /// Step and trajectory.
    pub points: Vec<(u32, u32)>,
    pub network: Arc<Activations<E>>,
    pub draws: Draws<E>,
    pub last: Vec<u32>,
    pub log_prob: Vec<E>,
    /// By row, the expression that it is compared with.
    pub written: Vec<E>,
    /// Log-probabilities of all values.
    pub numbers: Vec<E>,
    columns: Columns<E>,
}

impl Density {
    /// The densities of a plan's terms, in their order.
    ///
    /// # Errors
    /// One sentence, where a network cannot run.
    pub fn all(plan: &Plan) -> Result<Vec<Density>, EngineError> {
        let density = |(term, planned): (usize, &plan::Term)| {
            let compared_with = match &planned.quantity {
                Quantity::Density { compared_with, .. } => *compared_with,
                // the classifier tells its value
                _ => ComparedWith::Itself,
            };
            Some(Density::new(plan, (term, planned), planned.density()?, compared_with))
        };
        plan.terms.iter().enumerate().filter_map(density).collect()
    }

    fn new(
        plan: &Plan,
        (term, planned): (usize, &plan::Term),
        of: &plan::Density,
        compared_with: ComparedWith,
    ) -> Result<Density, EngineError> {
        let (from, to, live) = (planned.from, planned.to, planned.live);
        let known = match compared_with {
            ComparedWith::Environment(kernel) => Some(Known::new(plan, kernel)?),
            ComparedWith::Nothing
            | ComparedWith::Itself
            | ComparedWith::Draw(_)
            | ComparedWith::Expression(_) => None,
        };
        let written = Expressions::<f64>::output_of(plan, term);
        let own = own_factor(plan, planned).filter(|_| {
            matches!(compared_with, ComparedWith::Environment(_) | ComparedWith::Expression(_))
        });
        Ok(Density {
            term,
            compared_with,
            own,
            known,
            written,
            from,
            to,
            live,
            ..Density::compile(plan, of)?
        })
    }

    /// What a draw is drawn from, at every live step; of no term.
    ///
    /// # Errors
    /// One sentence, where a network cannot run.
    pub fn of_draw(plan: &Plan, draw: &plan::Draw) -> Result<Density, EngineError> {
        let target = match draw.once {
            true => Read::First(draw.variable),
            false => Read::Variable(draw.variable),
        };
        Density::compile(plan, &draw.density(&plan.model, target))
    }

    /// A density of no term.
    ///
    /// # Errors
    /// One sentence, where a network cannot run.
    pub fn compile(plan: &Plan, of: &plan::Density) -> Result<Density, EngineError> {
        let model = &plan.model;
        let kernel = model.kernel(of.kernel);
        let refused = |what: &str| EngineError::Unsupported(format!("`{}` {what}", kernel.name));
        let network = NetworkPlan::compile(model, &of.head.layers(), |_, formal| formal)
            .map_err(|e| EngineError::Unsupported(e.to_string()))?;
        let network = followed(plan, network, kernel.outputs.len(), &of.reads)?;
        let inputs = Inputs::new(plan, &network, kernel, &of.reads)?;
        let target = match of.target {
            Subject::Read(read) => Variable::read(plan, read, 0)
                .ok_or_else(|| refused("gives the density of what is not of the trajectory"))?,
            Subject::Reward(reward) => (Variable::Reward(reward), When::After(0)),
            Subject::End => (Variable::End, When::After(0)),
        };
        let last = match of.head {
            Head::Sticky { last, .. } => Variable::read(plan, of.reads[last], 0),
            Head::Categorical { .. }
            | Head::Bernoulli { .. }
            | Head::Real { .. }
            | Head::Mixture { .. }
            | Head::Record(_)
            | Head::Blend { .. }
            | Head::Implicit { .. } => None,
        };
        let family = Family::at_values(&of.head);
        let (network, to) = (Arc::new(network), plan.model.horizon.value);
        Ok(Density {
            network,
            family,
            version: of.of,
            term: usize::MAX,
            compared_with: ComparedWith::Nothing,
            own: None,
            known: None,
            written: None,
            inputs,
            target,
            last,
            from: 1,
            to,
            live: true,
            scaled: match plan
                .draws
                .iter()
                .any(|draw| model.written(draw.kernel) == model.written(of.kernel))
            {
                true => Scaled::all(plan)
                    .into_iter()
                    .filter_map(|(of, scaled)| Some((Variable::of(plan, of)?, scaled)))
                    .collect(),
                false => Vec::new(),
            },
        })
    }

    /// Whether the term counts at step `t`.
    pub fn counts_at(&self, t: usize) -> bool {
        (self.from..=self.to).contains(&t)
    }

    /// Steps after the end at which it counts.
    fn after_end(&self, length: usize) -> std::ops::Range<usize> {
        if self.live { 0..0 } else { self.from.max(length + 1)..self.to + 1 }
    }

    /// Live rows in their order; where the term goes on after an end, all steps of all
    /// trajectories; those that have a target.
    pub fn points<'a, E: Number>(
        &'a self,
        on: &'a EpisodeView<E>,
    ) -> impl Iterator<Item = (u32, u32)> + 'a {
        let steps =
            (1u32..).zip(on.rows.starts.windows(2)).filter(|(t, _)| self.counts_at(*t as usize));
        let live = steps.flat_map(|(t, bounds)| {
            on.rows.trajectory[bounds[0]..bounds[1]].iter().map(move |&trajectory| (t, trajectory))
        });
        let ended = (0u32..).zip(on.lengths);
        let after = ended.flat_map(|(trajectory, &length)| {
            self.after_end(length as usize).map(move |t| (t as u32, trajectory))
        });
        live.chain(after).filter(|point| {
            let (t, of_trajectory) = on.place(point);
            on.trace.has(self.target, t, of_trajectory)
        })
    }

    /// Its parameters learn from kept transitions, where they move: it is of what a step leads to.
    pub fn is_of_step(&self) -> bool {
        self.is_of_outcome() || self.target == (Variable::State, When::After(1))
    }

    /// It is of a reward or of the end.
    pub fn is_of_outcome(&self) -> bool {
        matches!(self.target.0, Variable::Reward(_) | Variable::End)
    }

    /// Trajectories are to keep rewards and the end: it is of one, or reads one.
    pub fn knows_outcomes(&self) -> bool {
        let reads = |(source, _): &(Source, InputKind)| {
            matches!(source, Source::Trajectory(Variable::Reward(_), _))
        };
        self.is_of_outcome() || self.inputs.0.iter().any(reads)
    }
}

impl<E: Number> DensityRows<E> {
    /// What the log-density at a point is compared with; `log_q` has that of the draws by row,
    /// `written` that of an expression.
    pub fn compared(
        &self,
        at: usize,
        of: &Density,
        on: &EpisodeView<E>,
        (log_q, written): (impl Fn(usize, usize) -> E, impl Fn(usize) -> E),
    ) -> E {
        let (t, trajectory) = self.points[at];
        let (t, trajectory) = (t as usize, trajectory as usize);
        match of.compared_with {
            ComparedWith::Nothing => <E as Float>::ZERO,
            ComparedWith::Itself => self.log_prob[at],
            ComparedWith::Draw(draw) => log_q(draw, on.trace.row(t, trajectory)),
            ComparedWith::Expression(_) => written(on.trace.row(t, trajectory)),
            ComparedWith::Environment(_) => {
                let of_trajectory = (trajectory, on.lengths[trajectory] as usize, on.horizon);
                let number = |variable, offset| {
                    on.trace
                        .number((variable, When::After(offset)), t, of_trajectory, |v| on.drawn(v))
                };
                let known = of.known.as_ref().expect("density: what is known is tabulated");
                Float::of(known.log_probability(number))
            }
        }
    }

    /// Evaluates the density at all its points.
    pub fn evaluate(&mut self, of: &Density, point: Point<E>, on: &EpisodeView<E>) {
        self.points.clear();
        self.points.extend(of.points(on));
        let drawn = |variable| on.drawn(variable);
        self.evaluate_at(of, point, on, |_, what, t, of_trajectory| {
            on.trace.number(what, t, of_trajectory, drawn)
        });
    }

    /// Evaluates the density at the points that stand in `points`; `number` is the value of a
    /// finite variable as a point reads it.
    pub fn evaluate_at(
        &mut self,
        of: &Density,
        point: Point<E>,
        on: &EpisodeView<E>,
        number: impl Fn(usize, (Variable, When), usize, (usize, usize, usize)) -> Option<u32>,
    ) {
        let count = self.points.len();
        self.draws.clear();
        self.last.clear();
        if count == 0 {
            self.log_prob.clear();
            return;
        }
        let parameters = match of.version {
            Version::Present => point.present,
            Version::Previous => point.previous.unwrap_or(point.present),
        };
        let DensityRows { points, network, draws, last, log_prob, numbers, columns, .. } = self;
        let here = |point: &(u32, u32)| on.place(point);
        columns.gather(&of.inputs, points, on, &number);
        columns.scale(&of.inputs, &of.scaled, parameters, count);
        let feeds = columns.feeds(&of.inputs, count);
        let network =
            Arc::get_mut(network).expect("density: the tape of the last gradient is gone");
        of.network.forward(parameters, &feeds, 0..count, network);
        let all = |what| {
            points
                .iter()
                .map(here)
                .enumerate()
                .map(|(at, (t, of))| number(at, what, t, of))
                .collect::<Vec<_>>()
        };
        match of.family {
            Family::Categorical { .. } | Family::Bernoulli { .. } | Family::Sticky { .. } => {
                draws.numbers.extend(
                    all(of.target)
                        .into_iter()
                        .map(|target| target.expect("density: its points have a target")),
                );
            }
            Family::Normal { .. }
            | Family::Real(_)
            | Family::Mixture(_)
            | Family::Record(_)
            | Family::Blend(_)
            | Family::Implicit { .. } => {
                let width = of.family.width();
                for (t, of_trajectory) in points.iter().map(here) {
                    let target = on.trace.reals(of.target, t, of_trajectory, width);
                    draws
                        .reals
                        .extend_from_slice(target.expect("density: its points have a target"));
                }
                of.family.unsquash(&mut draws.reals);
            }
        }
        let outcomes = of.family.numbers();
        match of.last {
            Some(at) => {
                last.extend(all(at).into_iter().map(|last| last.unwrap_or(outcomes as u32)))
            }
            None => last.resize(count, outcomes as u32),
        }
        numbers.resize(count * outcomes, <E as Float>::ZERO);
        log_prob.resize(count, <E as Float>::ZERO);
        of.family.describe(|root| network.output(&of.network, root, 0..count), last, numbers);
        of.family.log_probs(numbers, draws, 0..count, log_prob);
        if of.family.is_squashed() {
            let rows = log_prob.iter_mut().enumerate();
            rows.for_each(|(row, log_prob)| *log_prob += of.family.log_squash(draws, row));
        }
    }
}

/// The factor that draws what a term compares, where a kernel draws it.
fn own_factor(plan: &Plan, term: &plan::Term) -> Option<FactorRef> {
    match plan.derivation.terms[term.id.0 as usize].kind {
        TermKind::Kl { q, .. } | TermKind::LogRatio { q, .. } => {
            let mut all = plan.draws.iter().chain(plan.states.iter().map(|of| &of.draw));
            all.any(|draw| draw.factor == q).then_some(q)
        }
        TermKind::Exponent { .. }
        | TermKind::LogDensity { .. }
        | TermKind::LogFactor { .. }
        | TermKind::Entropy { .. }
        | TermKind::LogCount { .. }
        | TermKind::DensityRatio { .. }
        | TermKind::Constant { .. } => None,
    }
}

/// The log-probabilities of an environment's own kernel.
struct Known {
    table: Sparse,
    actions: usize,
    action: JointNumber,
    kernel: EnvironmentKernel,
}

impl Known {
    fn new(plan: &Plan, kernel: EnvironmentKernel) -> Result<Known, EngineError> {
        let tables = finite::tabulate(&plan.model, plan.environment)
            .map_err(|error| EngineError::Unsupported(error.to_string()))?;
        let table = match kernel {
            EnvironmentKernel::Initial => tables.initial,
            EnvironmentKernel::Transition => tables.transition,
            EnvironmentKernel::Observation => tables.observation.unwrap_or_default(),
        };
        let action =
            JointNumber::of(plan).map_err(|error| EngineError::Unsupported(error.to_string()))?;
        Ok(Known { table, actions: tables.actions, action, kernel })
    }

    /// At a point, of which `number` gives a variable at `t + offset`.
    fn log_probability(&self, number: impl Fn(Variable, i32) -> Option<u32>) -> f64 {
        let read = |variable, offset| number(variable, offset).map_or(0, |number| number as usize);
        let (row, column) = match self.kernel {
            EnvironmentKernel::Initial => (0, read(Variable::State, 0)),
            EnvironmentKernel::Transition => (
                read(Variable::State, 0) * self.actions
                    + self.action.at(|variable| read(variable, 0)),
                read(Variable::State, 1),
            ),
            EnvironmentKernel::Observation => {
                (read(Variable::State, 0), read(Variable::Observation, 0))
            }
        };
        self.table.row(row).filter(|(to, _)| *to == column).map(|(_, p)| p).sum::<f64>().ln()
    }
}
