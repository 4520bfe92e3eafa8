//! Training: rollouts and gradients over a fixed number of shards, summed in the shards' order, and optimiser steps.

use super::credit::StepSums;
use super::crew::{Crew, with_crew};
use super::evaluate_policy::{self, Evaluator};
use super::expressions::Number;
use super::float::Float;
use super::kernels;
use super::objective::Objective;
use super::optimiser::{Optimiser, OptimiserConfig, OptimiserState, clip_global_norm, global_norm};
use super::parameters::Parameters;
use super::rollout::{Choice, Keep, Rollout};
use super::run::{Checkpoint, EngineError, Metrics, Observer, Run};
use super::stage::Stage;
use crate::plan::{self, Baseline, Plan, Precision};
use std::ops::{ControlFlow, Range};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

/// Streams of random numbers, by what they are for.
const TRAINING: u64 = 1;
pub(super) const EVALUATION: u64 = 2;

/// Trains a plan from its seed.
///
/// # Errors
/// A NaN or an infinity, by term or tensor and step; a construct that cannot run.
pub fn infer(plan: &Plan, run: &mut dyn Observer) -> Result<Run, EngineError> {
    infer_from(plan, None, run)
}

/// Trains a plan from a checkpoint of an earlier run, to the same bits as a run that was never interrupted.
///
/// # Errors
/// As [`infer`], and where the checkpoint does not fit.
pub fn resume(plan: &Plan, checkpoint: &Checkpoint, run: &mut dyn Observer) -> Result<Run, EngineError> {
    infer_from(plan, Some(checkpoint), run)
}

fn infer_from(plan: &Plan, checkpoint: Option<&Checkpoint>, run: &mut dyn Observer) -> Result<Run, EngineError> {
    match plan.settings.precision {
        Precision::F32 => train::<f32>(plan, checkpoint, run),
        Precision::F64 => train::<f64>(plan, checkpoint, run),
    }
}

/// Estimated gradients of `L` at `parameters`, one from each of the batches numbered `batches`, flat, in the layout of the parameters:
/// what a training step would ascend, before clipping.
///
/// # Errors
/// A construct that cannot run.
pub fn gradient_estimates(plan: &Plan, parameters: &Parameters<f64>, batches: Range<u64>) -> Result<Vec<Vec<f64>>, EngineError> {
    let stage = Stage::<f64>::new(plan)?;
    let shared = Shared::new(&stage, parameters.clone());
    let estimate = |crew: &Crew<Job>, step| {
        crew.run(Job::Assess { step });
        shared.sum_credit();
        crew.run(Job::Differentiate);
        let mut gradient = parameters.zero_gradient();
        for shard in &shared.shards {
            kernels::add(&mut gradient, &locked(shard).objective.gradient);
        }
        gradient.iter_mut().for_each(|g| *g = -*g);
        gradient
    };
    let work = |job, shard| shared.work(job, shard);
    Ok(with_crew(threads(plan), shared.shards.len(), Job::Differentiate, &work, |crew| batches.map(|step| estimate(crew, step)).collect()))
}

/// What the threads of a run share.
struct Shared<'a, E: Float> {
    stage: &'a Stage<'a, E>,
    parameters: RwLock<Parameters<E>>,
    shards: Vec<Mutex<Shard<E>>>,
    /// Over all shards.
    sums: RwLock<StepSums>,
}

struct Shard<E> {
    rollout: Rollout<E>,
    objective: Objective<E>,
}

#[derive(Clone, Copy)]
enum Job {
    /// Roll out and find each row's credit.
    Assess {
        step: u64,
    },
    Differentiate,
    /// Both, where no shard needs what the others found.
    Both {
        step: u64,
    },
}

impl<'a, E: Number> Shared<'a, E> {
    fn new(stage: &'a Stage<'a, E>, parameters: Parameters<E>) -> Shared<'a, E> {
        let settings = &stage.plan.settings;
        let (all, shards) = (settings.trajectories, settings.shards);
        let shards = (0..shards).map(|k| {
            let trajectories = (k + 1) * all / shards - k * all / shards;
            Mutex::new(Shard { rollout: Rollout::new(stage, trajectories), objective: Objective::new(&parameters) })
        });
        let shards = shards.collect();
        let mut sums = StepSums::default();
        sums.clear(stage.horizon);
        Shared { stage, parameters: RwLock::new(parameters), shards, sums: RwLock::new(sums) }
    }

    fn work(&self, job: Job, at: usize) {
        kernels::flush_denormals();
        let mut shard = locked(&self.shards[at]);
        let Shard { rollout, objective } = &mut *shard;
        let parameters = self.parameters.read().unwrap_or_else(PoisonError::into_inner);
        let stage = self.stage;
        if let Job::Assess { step } | Job::Both { step } = job {
            let stream = [stage.plan.settings.seed, TRAINING, step << 16 | at as u64];
            rollout.run(stage, parameters.values(), stream, Choice::Sampled, Keep::Rows);
            objective.assess(stage, rollout);
        }
        if let Job::Differentiate | Job::Both { .. } = job {
            let sums = self.sums.read().unwrap_or_else(PoisonError::into_inner);
            objective.differentiate(stage, &parameters, rollout, &sums, stage.plan.settings.trajectories);
        }
    }

    /// Adds up the credit of all shards, in their order.
    fn sum_credit(&self) {
        let mut sums = self.sums.write().unwrap_or_else(PoisonError::into_inner);
        sums.clear(self.stage.horizon);
        for shard in &self.shards {
            sums.add(&locked(shard).objective.sums);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads that work on a run.
pub(super) fn threads(plan: &Plan) -> usize {
    plan.settings.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// What the leading thread keeps.
struct Lead<'a, E: Float> {
    plan: &'a Plan,
    optimiser: Optimiser<E>,
    fit: Optimiser<E>,
    gradient: Vec<E>,
    fit_gradient: Vec<E>,
    good: Vec<E>,
    step: u64,
    env_steps: u64,
    start: Instant,
}

fn train<E: Number>(plan: &Plan, checkpoint: Option<&Checkpoint>, run: &mut dyn Observer) -> Result<Run, EngineError> {
    kernels::flush_denormals();
    let start = Instant::now();
    let stage = Stage::<E>::new(plan)?;
    let mut parameters = Parameters::<E>::initial(&plan.model, plan.settings.seed);
    let config = config(plan.settings.optimizer);
    let mut lead = Lead {
        plan,
        optimiser: Optimiser::new(config, parameters.layout(), plan.trained.iter().copied()),
        fit: Optimiser::new(config, parameters.layout(), plan.fitted.iter().copied()),
        gradient: parameters.zero_gradient(),
        fit_gradient: parameters.zero_gradient(),
        good: parameters.values().to_vec(),
        step: 0,
        env_steps: 0,
        start,
    };
    if let Some(checkpoint) = checkpoint {
        lead.restore(checkpoint, &mut parameters)?;
    }
    let shared = Shared::new(&stage, parameters);
    lead.start = Instant::now();
    let interrupted = with_crew(threads(plan), shared.shards.len(), Job::Differentiate, &|job, at| shared.work(job, at), |crew| {
        while lead.step < plan.settings.steps {
            let step = lead.step;
            if plan.settings.baseline == Baseline::LeaveOneOut {
                crew.run(Job::Assess { step });
                shared.sum_credit();
                crew.run(Job::Differentiate);
            } else {
                crew.run(Job::Both { step });
            }
            let norm = lead.update(&shared)?;
            let last = lead.step == plan.settings.steps;
            let logged = lead.step.is_multiple_of(plan.settings.log_every) || last;
            if logged && run.step(&lead.metrics(&shared, norm)) == ControlFlow::Break(()) || run.interrupted() {
                return Ok(!last);
            }
        }
        Ok(false)
    })?;
    let training_seconds = lead.start.elapsed().as_secs_f64();
    let parameters = shared.parameters.into_inner().unwrap_or_else(PoisonError::into_inner);
    let episodes = evaluate_policy::episodes_after_training(plan);
    let evaluator = Evaluator { episodes, choice: Choice::Sampled, seed: plan.settings.seed };
    let evaluation = evaluator.run(&stage, &parameters);
    Ok(Run {
        evaluation,
        steps: lead.step,
        interrupted,
        env_steps: lead.env_steps,
        training_seconds,
        wall_seconds: start.elapsed().as_secs_f64(),
        checkpoint: lead.checkpoint(&parameters),
        parameters: parameters.to_f64(),
    })
}

impl<E: Number> Lead<'_, E> {
    /// Moves the parameters by the shards' gradients; returns the gradient's norm before clipping.
    fn update(&mut self, shared: &Shared<E>) -> Result<f64, EngineError> {
        self.gradient.fill(<E as Float>::ZERO);
        self.fit_gradient.fill(<E as Float>::ZERO);
        let fits = !self.plan.fitted.is_empty();
        for shard in &shared.shards {
            let shard = locked(shard);
            kernels::add(&mut self.gradient, &shard.objective.gradient);
            if fits {
                kernels::add(&mut self.fit_gradient, &shard.objective.fit);
            }
            self.env_steps += shard.rollout.rows.len() as u64;
        }
        let mut parameters = shared.parameters.write().unwrap_or_else(PoisonError::into_inner);
        let settings = &self.plan.settings;
        let mut norm = 0.0;
        for (gradient, what) in [(&mut self.gradient, "the gradient"), (&mut self.fit_gradient, "the baseline's gradient")] {
            let length = match settings.clip_norm {
                Some(largest) => clip_global_norm(gradient, largest),
                None => global_norm(gradient),
            };
            if !length.is_finite() {
                let (what, place) = blame(shared, &parameters, gradient, what);
                return Err(EngineError::NotFinite { step: self.step + 1, what, place, kept: Box::new(parameters.to_f64()) });
            }
            if what == "the gradient" {
                norm = length;
            }
        }
        self.good.copy_from_slice(parameters.values());
        let rate = rate(settings.optimizer).at(self.step, settings.steps);
        self.optimiser.step(parameters.values_mut(), &self.gradient, rate);
        if fits {
            self.fit.step(parameters.values_mut(), &self.fit_gradient, rate);
        }
        if !global_norm(parameters.values()).is_finite() {
            let place = tensor_of(&parameters, parameters.values());
            parameters.values_mut().copy_from_slice(&self.good);
            let what = "the update".to_string();
            return Err(EngineError::NotFinite { step: self.step + 1, what, place, kept: Box::new(parameters.to_f64()) });
        }
        self.step += 1;
        Ok(norm)
    }

    fn metrics(&self, shared: &Shared<E>, gradient_norm: f64) -> Metrics {
        let mut terms = vec![0.0; self.plan.terms.len()];
        let (mut returns, mut entropy, mut rows, mut error) = (0.0, 0.0, 0, 0.0);
        for shard in &shared.shards {
            let shard = locked(shard);
            let totals = &shard.rollout.totals;
            terms.iter_mut().zip(&totals.terms).for_each(|(sum, term)| *sum += term);
            returns += totals.returns.iter().sum::<f64>();
            entropy += totals.entropy;
            rows += shard.rollout.rows.len();
            error += shard.objective.error;
        }
        let trajectories = self.plan.settings.trajectories as f64;
        terms.iter_mut().for_each(|term| *term /= trajectories);
        let per_row = |sum: f64| if rows == 0 { 0.0 } else { sum / rows as f64 };
        Metrics {
            step: self.step,
            bound: terms.iter().sum(),
            terms,
            expected_return: returns / trajectories,
            entropy: per_row(entropy),
            gradient_norm,
            baseline_error: self.plan.settings.has_learned_baseline().then(|| per_row(error)),
            env_steps: self.env_steps,
            wall_seconds: self.start.elapsed().as_secs_f64(),
        }
    }

    fn checkpoint(&self, parameters: &Parameters<E>) -> Checkpoint {
        Checkpoint {
            step: self.step,
            env_steps: self.env_steps,
            parameters: parameters.to_f64(),
            optimiser: widened(self.optimiser.state()),
            fit: widened(self.fit.state()),
        }
    }

    fn restore(&mut self, checkpoint: &Checkpoint, parameters: &mut Parameters<E>) -> Result<(), EngineError> {
        let values = checkpoint.parameters.values();
        let fits = values.len() == parameters.values().len()
            && self.optimiser.restore(narrowed(&checkpoint.optimiser))
            && self.fit.restore(narrowed(&checkpoint.fit));
        if !fits {
            return Err(EngineError::Checkpoint("its parameters or its optimiser are not those of this model".into()));
        }
        if checkpoint.step > self.plan.settings.steps {
            let message = format!("it is of step {}, and the run has {} steps", checkpoint.step, self.plan.settings.steps);
            return Err(EngineError::Checkpoint(message));
        }
        parameters.values_mut().iter_mut().zip(values).for_each(|(mine, &theirs)| *mine = Float::of(theirs));
        (self.step, self.env_steps) = (checkpoint.step, checkpoint.env_steps);
        Ok(())
    }
}

/// What made a gradient not finite: the first term of the bound that is not, else the tensor.
fn blame<E: Number>(shared: &Shared<E>, parameters: &Parameters<E>, gradient: &[E], what: &str) -> (String, String) {
    for (at, term) in shared.stage.plan.terms.iter().enumerate() {
        if shared.shards.iter().any(|shard| !locked(shard).rollout.totals.terms[at].is_finite()) {
            return ("the value".into(), format!("the term `{}`", term.name));
        }
    }
    (what.into(), tensor_of(parameters, gradient))
}

fn tensor_of<E: Float>(parameters: &Parameters<E>, values: &[E]) -> String {
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => format!("the tensor `{}`", parameters.layout().name(parameters.layout().parameter_at(at))),
        None => "all tensors together".into(),
    }
}

fn rate(optimizer: plan::Optimizer) -> plan::Schedule {
    match optimizer {
        plan::Optimizer::Adam { rate, .. } | plan::Optimizer::Sgd { rate, .. } | plan::Optimizer::RmsProp { rate, .. } => rate,
    }
}

fn config(optimizer: plan::Optimizer) -> OptimiserConfig {
    match optimizer {
        plan::Optimizer::Adam { beta1, beta2, epsilon, .. } => OptimiserConfig::Adam { beta1, beta2, epsilon },
        plan::Optimizer::Sgd { momentum, .. } => OptimiserConfig::Sgd { momentum },
        plan::Optimizer::RmsProp { decay, epsilon, .. } => OptimiserConfig::RmsProp { decay, epsilon },
    }
}

fn widened<E: Float>(state: OptimiserState<E>) -> OptimiserState<f64> {
    let wide = |values: Vec<E>| values.into_iter().map(|v| v.as_f64()).collect();
    OptimiserState { steps: state.steps, first: wide(state.first), second: wide(state.second) }
}

fn narrowed<E: Float>(state: &OptimiserState<f64>) -> OptimiserState<E> {
    let narrow = |values: &[f64]| values.iter().map(|&v| E::of(v)).collect();
    OptimiserState { steps: state.steps, first: narrow(&state.first), second: narrow(&state.second) }
}
