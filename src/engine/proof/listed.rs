//! All trajectories of a small finite model as one batch, each counted by its probability: the mean
//! of what training estimates, without any error of sampling.

use crate::engine::episode::advantage::Advantages;
use crate::engine::episode::credit::Others;
use crate::engine::episode::listing::{Listed, Trajectory};
use crate::engine::error::EngineError;
use crate::engine::family::choice::Choice;
use crate::engine::gradient::objective::{Aim, Objective, ReturnScale, Weighing};
use crate::engine::judge::viewpoint::{Scale, Viewpoint};
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::density::{Density, DensityRows};
use crate::engine::program::point::{Frozen, Point};
use crate::engine::sample::rollout::{Keep, Rollout};
use crate::engine::sample::start;
use crate::engine::tables::known_ratio::KnownRatio;
use crate::engine::tables::tabulate::tabulate;
use crate::engine::tape::parameters::Parameters;
use crate::finite::{self, Environment};
use crate::plan::{Credited, Draw, Plan, Read, StateDraw, Subject};
use crate::world::{Told, World};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The mean over all trajectories, each with its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Mean {
    /// Of the estimate of the bound's gradient, flat.
    pub gradient: Vec<f64>,
    pub bound: f64,
    /// The mean of `Σ |A|` over what a trajectory draws, nats: what its scores are multiplied
    /// with.
    pub size: f64,
    /// Of all that is listed: 1, but for rounding.
    pub probability: f64,
    pub trajectories: usize,
}

/// An estimator's bias at a viewpoint, without any error of sampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bias {
    /// `max |mean − exact|` over the trained numbers.
    pub largest: f64,
    /// The largest number of the exact gradient.
    pub scale: f64,
    /// As [`Mean::size`].
    pub size: f64,
    /// Of which the oracle's gradient is a difference of sums, nats.
    pub bound: f64,
    pub trajectories: usize,
}

/// Of the exact gradient: a bias that is smaller is none.
pub const ROUNDING: f64 = 1e-9;
/// Of what an estimate sums, and of the bound, likewise.
const OF_SUMMANDS: f64 = 1e-12;
const OF_BOUND: f64 = 1e-15;

impl Bias {
    /// There is none but what rounding explains.
    pub fn is_rounding(&self) -> bool {
        self.largest <= self.tolerance()
    }

    /// What rounding explains.
    pub fn tolerance(&self) -> f64 {
        ROUNDING * self.scale + OF_SUMMANDS * self.size + OF_BOUND * self.bound.abs()
    }
}

/// The bias of the estimator of `plan`: its mean over all trajectories, less the oracle's gradient.
///
/// # Errors
/// As [`mean_gradient`].
pub fn bias(plan: &Plan, at: &Viewpoint, most: usize) -> Result<Bias, EngineError> {
    let mean = mean_from(plan, (&at.parameters, &at.previous), most)?;
    let layout = at.parameters.layout();
    let trained: Vec<usize> = plan.trained.iter().flat_map(|&id| layout.range(id)).collect();
    let largest = |of: &dyn Fn(usize) -> f64| {
        trained.iter().fold(0.0, |largest: f64, &number| largest.max(of(number).abs()))
    };
    Ok(Bias {
        largest: largest(&|number| mean.gradient[number] - at.exact[number]),
        scale: largest(&|number| at.exact[number]),
        size: mean.size,
        bound: mean.bound,
        trajectories: mean.trajectories,
    })
}

/// A viewpoint of a model whose trajectories can be listed and whose gradient no oracle has, such
/// as that of a policy that reads a whole sequence. In the oracle's place stands the mean of
/// `plain`, each of whose draws is credited with every term: no notion of what is downstream can
/// make that wrong.
///
/// # Errors
/// As [`mean_gradient`].
pub fn viewpoint_by_listing(
    plain: &Plan,
    scale: Scale,
    seed: u64,
    most: usize,
) -> Result<Viewpoint, EngineError> {
    let noisy = |seed: u64| {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut parameters = Parameters::<f64>::initial(&plain.model, seed);
        let values = parameters.values_mut().iter_mut();
        values.for_each(|value| *value += scale.others * (2.0 * random.random::<f64>() - 1.0));
        parameters
    };
    let (parameters, previous) = (noisy(seed), noisy(!seed));
    let mut wholly = plain.clone();
    let credits = wholly.terms.iter_mut().flat_map(|term| &mut term.credit);
    credits.for_each(|credit| *credit = Some(Credited::All));
    let exact = mean_from(&wholly, (&parameters, &previous), most)?.gradient;
    Ok(Viewpoint { parameters, previous, exact })
}

/// What the estimator of `plan` has as its mean at `parameters`, which are the previous ones, too;
/// a classifier says the log-ratio that it estimates. What other trajectories are compared with,
/// leaving one out, is what a large batch of others would say.
///
/// # Errors
/// One sentence: the model is not finite, has more than `most` trajectories, or draws what is not
/// listed.
pub fn mean_gradient(
    plan: &Plan,
    parameters: &Parameters<f64>,
    most: usize,
) -> Result<Mean, EngineError> {
    mean_from(plan, (parameters, parameters), most)
}

fn mean_from(
    plan: &Plan,
    (parameters, previous): (&Parameters<f64>, &Parameters<f64>),
    most: usize,
) -> Result<Mean, EngineError> {
    let plan = plan.settled();
    let space = Space::of(&plan, parameters)?;
    let list = space.list(most)?;
    let program = space.program(&plan, parameters)?;
    let frozen = Frozen::default();
    let previous = (parameters.values() != previous.values()).then_some(previous.values());
    let point = Point { present: parameters.values(), previous, frozen: &frozen };
    let (mut list, mut all) = (list, Rollout::new(&program, 0));
    let mut probabilities: Vec<f64> = Vec::new();
    // what cannot happen may have densities that are none: it is not listed a second time
    while probabilities.len() != list.len() || probabilities.contains(&0.0) {
        all = run(&program, point, &list);
        verify_numbers(&all)?;
        let log_q = log_q(&program, point, &all, &list)?;
        probabilities = log_q.iter().map(|log_q| log_q.exp()).collect();
        let mut likely = probabilities.iter().map(|&probability| probability > 0.0);
        list.retain(|_| likely.next().unwrap_or(false));
    }
    all.episodes.rows.weight.clone_from(&probabilities);
    let mut objective = Objective::new(&program, parameters);
    objective.assess(&program, &all.episodes, point, ReturnScale::ONE);
    if program.compares() {
        let sums: Vec<_> = objective.draws.iter().map(|draw| draw.sums.clone()).collect();
        objective.compare(&program, &all.episodes, (&sums, Others::OfCopy));
    }
    let aim = if plan.fit_moves_bound() { Aim::Both } else { Aim::Policy };
    let whole = Weighing { aim, share: 1.0, moved: false };
    objective.differentiate(&program, (parameters, previous), &all.episodes, whole);
    let of_bound = all.episodes.totals.bound.iter().zip(&probabilities);
    let mean = Mean {
        // the objective is the bound's negative
        gradient: objective.gradient.iter().map(|gradient| -gradient).collect(),
        bound: of_bound.map(|(bound, probability)| bound * probability).sum(),
        size: size(&objective, &all, &probabilities),
        probability: probabilities.iter().sum(),
        trajectories: list.len(),
    };
    parameters
        .layout()
        .verify_finite("gradient", &mean.gradient)
        .map_err(|found| EngineError::Broken(found.to_string()))?;
    if (mean.probability - 1.0).abs() > 1e-9 {
        let sum = mean.probability;
        let message = format!("the probabilities of all trajectories sum to {sum}");
        return Err(EngineError::Unsupported(message));
    }
    Ok(mean)
}

/// `E Σ |A|` over all that is drawn: what scores are multiplied with.
fn size(objective: &Objective<f64>, all: &Rollout<f64>, probabilities: &[f64]) -> f64 {
    let of_row = |(advantage, &trajectory): (&f64, &u32)| {
        advantage.abs() * probabilities[trajectory as usize]
    };
    let of_draw = |draw: &Advantages<f64>| {
        draw.advantage.iter().zip(&all.episodes.rows.trajectory).map(of_row).sum::<f64>()
    };
    objective.draws.iter().map(of_draw).sum()
}

/// What can be drawn.
struct Space {
    environment: Environment,
    /// The log-probabilities of the first state.
    start: Vec<f64>,
    /// A learned model draws the next states: any of them.
    imagined: bool,
    /// A kernel draws whether a step ends the episode.
    draws_end: bool,
    /// Of each draw of a step, how many values it has, whether it is made once, and where another
    /// makes it at the first step, which.
    draws: Vec<(u32, bool, Option<usize>)>,
    /// Of each action of the environment, which draw it is, and how many values it has.
    acts: Vec<(usize, usize)>,
    horizon: usize,
}

impl Space {
    fn of(plan: &Plan, parameters: &Parameters<f64>) -> Result<Space, EngineError> {
        let unsupported =
            |sentence: &dyn std::fmt::Display| EngineError::Unsupported(sentence.to_string());
        let environment =
            finite::tabulate(&plan.model, plan.environment).map_err(|error| unsupported(&error))?;
        let beside = !plan.weights.is_empty()
            || !plan.simulations.is_empty()
            || plan.all_outcomes().any(|outcome| outcome.of != Subject::End)
            || plan.is_pathwise();
        if beside {
            return Err(unsupported(&"weights, noise and rewards are drawn, which are not listed"));
        }
        let start = match plan.first_state() {
            // how likely each is what was drawn before it says
            Some(_) if !plan.before_start().is_empty() => vec![0.0; environment.states],
            Some(StateDraw { draw, .. }) => tabulate(&plan.model, parameters, draw.kernel)
                .map_err(|error| unsupported(&error))?
                .row(0)
                .to_vec(),
            None => {
                let mut start = vec![f64::NEG_INFINITY; environment.states];
                environment.initial.row(0).for_each(|(state, p)| start[state] = p.ln());
                start
            }
        };
        let size = |variable| finite::finite_domain(&plan.model, variable).map(|d| d.size());
        let draw = |draw: &Draw| {
            let begins = |other: &Draw| other.once && other.variable == draw.variable;
            let begins = plan.draws.iter().position(begins).filter(|_| draw.from > 1);
            Ok((size(draw.variable)? as u32, draw.once, begins))
        };
        let draws = plan.draws.iter().map(draw).collect::<Result<_, finite::NotFinite>>();
        let draws = draws.map_err(|error| unsupported(&error))?;
        let acts = plan.model.environment(plan.environment).actions.iter().map(|&action| {
            Ok((plan.draw_of(action).expect("plan: it draws every action"), size(action)?))
        });
        let acts = acts.collect::<Result<_, finite::NotFinite>>().map_err(|e| unsupported(&e))?;
        let (imagined, horizon) = (plan.next_state().is_some(), plan.model.horizon.value);
        let draws_end = plan.all_outcomes().next().is_some();
        Ok(Space { environment, start, imagined, draws_end, draws, acts, horizon })
    }

    /// A program to which states are told.
    fn program<'a>(
        &self,
        plan: &'a Plan,
        parameters: &Parameters<f64>,
    ) -> Result<CompiledProgram<'a, f64>, EngineError> {
        let mut program = CompiledProgram::new(plan)?;
        for (ratio, (_, planned)) in program.ratios.iter_mut().zip(plan.ratios()) {
            ratio.known = KnownRatio::of(plan, planned, parameters)?;
        }
        let is_joint = plan.states.iter().any(|of| !of.outcomes.is_empty());
        let told = Told { rewards: &[], end: is_joint };
        let world = World::followed(&plan.model, plan.environment, true, told);
        let world = world.map_err(|error| EngineError::Unsupported(error.to_string()))?;
        // how likely each is says what it held
        let collects = self.draws_end
            || (self.imagined || !program.before_start.is_empty()) && !program.keeps_ledger();
        let (states, before_start) = (Vec::new(), Vec::new());
        Ok(CompiledProgram { world, states, before_start, collects, ..program })
    }

    /// All trajectories that can be.
    fn list(&self, most: usize) -> Result<Vec<Trajectory>, EngineError> {
        let mut waiting: Vec<Trajectory> = Vec::new();
        for (state, &log_p) in
            (0..).zip(&self.start).filter(|(_, log_p)| **log_p > f64::NEG_INFINITY)
        {
            waiting.push(Trajectory { states: vec![state], log_p, ..Trajectory::default() });
        }
        let mut list = Vec::new();
        while let Some(trajectory) = waiting.pop() {
            if list.len() + waiting.len() >= most {
                return Err(EngineError::Unsupported(format!(
                    "there are more than {most} trajectories"
                )));
            }
            let state = trajectory.states[trajectory.states.len() - 1] as usize;
            let has_ended = match (self.draws_end, trajectory.ends.last()) {
                (true, Some(&end)) => end == 1,
                // nothing is drawn before the start
                (true, None) | (false, _) => self.environment.ended[state],
            };
            if trajectory.draws.len() == self.horizon || has_ended {
                list.push(trajectory);
                continue;
            }
            for trajectory in self.seen(&trajectory, state) {
                for drawn in self.drawn_after(&trajectory) {
                    let longer = self.longer(&trajectory, state, &drawn);
                    waiting.extend(longer.flat_map(|longer| self.with_end(longer)));
                }
            }
        }
        Ok(list)
    }

    /// A trajectory with all that can be seen of the state it has come to.
    fn seen(&self, trajectory: &Trajectory, state: usize) -> Vec<Trajectory> {
        let Some(table) = &self.environment.observation else { return vec![trajectory.clone()] };
        let seen = |(observation, p): (usize, f64)| {
            let mut seen = trajectory.clone();
            seen.observations.push(observation as u32);
            seen.log_p += p.ln();
            seen
        };
        table.row(state).filter(|(_, p)| *p > 0.0).map(seen).collect()
    }

    /// A trajectory one step longer, which draws `drawn`, with all states that this can lead to.
    fn longer<'a>(
        &'a self,
        trajectory: &'a Trajectory,
        state: usize,
        drawn: &'a [u32],
    ) -> impl Iterator<Item = Trajectory> + 'a {
        let joint =
            self.acts.iter().fold(0, |joint, &(draw, size)| joint * size + drawn[draw] as usize);
        let row = self.environment.transition.row(state * self.environment.actions + joint);
        let next: Vec<(usize, f64)> = match self.imagined {
            true => (0..self.environment.states).map(|next| (next, 1.0)).collect(),
            false => row.filter(|(_, p)| *p > 0.0).collect(),
        };
        next.into_iter().map(move |(next, p)| {
            let mut longer = trajectory.clone();
            longer.states.push(next as u32);
            longer.draws.push(drawn.to_vec());
            longer.log_p += p.ln();
            longer
        })
    }

    /// A trajectory whose last step may end it, where that is drawn.
    fn with_end(&self, trajectory: Trajectory) -> impl Iterator<Item = Trajectory> {
        let ends: &[u32] = if self.draws_end { &[0, 1] } else { &[] };
        let plain = ends.is_empty().then(|| trajectory.clone());
        let with = ends.iter().map(move |&end| {
            let mut with = trajectory.clone();
            with.ends.push(end);
            with
        });
        plain.into_iter().chain(with)
    }

    /// What the step after those of a trajectory may draw.
    fn drawn_after(&self, trajectory: &Trajectory) -> Vec<Vec<u32>> {
        let mut all = vec![Vec::new()];
        for (draw, &(values, once, begins)) in self.draws.iter().enumerate() {
            let kept = trajectory.draws.last().filter(|_| once).map(|kept| kept[draw]);
            let begins = begins.filter(|_| trajectory.draws.is_empty());
            all = all
                .iter()
                .flat_map(|before: &Vec<u32>| {
                    let values = match kept.or(begins.map(|at| before[at])) {
                        Some(value) => value..value + 1,
                        None => 0..values,
                    };
                    values.map(|value| [&before[..], &[value]].concat())
                })
                .collect();
        }
        all
    }
}

/// A rollout that a number which is none has ended has lists of unequal lengths.
fn verify_numbers(rollout: &Rollout<f64>) -> Result<(), EngineError> {
    rollout.fault.as_ref().map_or(Ok(()), |fault| Err(fault.played()))
}

/// All trajectories as one batch.
fn run(program: &CompiledProgram<f64>, point: Point<f64>, list: &[Trajectory]) -> Rollout<f64> {
    let mut all = Rollout::new(program, list.len());
    all.listed = Some(Listed::of(list, program.horizon, program.draws.len()));
    all.run(program, point, [0; 3], Choice::Sampled, Keep::Rows);
    all.value(program, point);
    all
}

/// The log-probability of each trajectory under the posterior.
fn log_q(
    program: &CompiledProgram<f64>,
    point: Point<f64>,
    all: &Rollout<f64>,
    list: &[Trajectory],
) -> Result<Vec<f64>, EngineError> {
    let mut log_q: Vec<f64> = list.iter().map(|trajectory| trajectory.log_p).collect();
    let mut add = |at: &[u32], log_p: &[f64]| {
        at.iter().zip(log_p).for_each(|(&trajectory, log_p)| log_q[trajectory as usize] += log_p)
    };
    all.episodes.draws.iter().for_each(|drawn| add(&all.episodes.rows.trajectory, &drawn.log_prob));
    let plan = program.plan;
    let next = plan.next_state().map(|of| &of.draw);
    let next = next.map(|draw| draw.density(&plan.model, Read::Step(draw.variable, 1)));
    let outcomes = plan.all_outcomes().map(|outcome| outcome.density(&plan.model));
    for density in next.into_iter().chain(outcomes) {
        let mut rows = DensityRows::default();
        let on = all.episodes.trajectories(program);
        rows.evaluate(&Density::compile(plan, &density)?, point, &on);
        let of: Vec<u32> = rows.points.iter().map(|(_, trajectory)| *trajectory).collect();
        add(&of, &rows.log_prob);
    }
    if let Some(of) = plan.first_state().filter(|_| !plan.before_start().is_empty()) {
        let first = of.draw.density(&plan.model, Read::Variable(of.draw.variable));
        let mut rows = DensityRows::default();
        let on = all.episodes.trajectories(program);
        start::evaluate(&mut rows, &Density::compile(plan, &first)?, point, &on);
        let of: Vec<u32> = rows.points.iter().map(|(_, trajectory)| *trajectory).collect();
        add(&of, &rows.log_prob);
    }
    Ok(log_q)
}
