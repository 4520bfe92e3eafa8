//! What the leading thread of a run keeps: optimisers, counts, and how a batch moves the parameters.

use super::crew::Crew;
use super::expressions::Number;
use super::float::Float;
use super::objective::{Aim, Told, Weighing};
use super::optimiser::{Optimiser, OptimiserConfig, OptimiserState};
use super::parameters::Parameters;
use super::run::{Checkpoint, EngineError, Metrics};
use super::shards::{Job, Shared, locked, read, write};
use crate::plan::{self, Baseline, Plan};
use std::time::Instant;

pub(super) struct Lead<'a, E: Float> {
    plan: &'a Plan,
    /// Of the bound's gradient, and of the baseline's fit where that moves parameters of its own.
    optimiser: Optimiser<E>,
    fit: Optimiser<E>,
    gradient: Vec<E>,
    good: Vec<E>,
    /// Batches done.
    pub step: u64,
    pub env_steps: u64,
    /// Of the last batch: the norm of its first gradient, and the baseline's error then.
    norm: f64,
    error: f64,
    pub start: Instant,
}

impl<'a, E: Number> Lead<'a, E> {
    pub fn new(plan: &'a Plan, parameters: &Parameters<E>) -> Lead<'a, E> {
        let config = config(plan.settings.optimizer);
        Lead {
            plan,
            optimiser: Optimiser::new(config, parameters.layout(), plan.trained.iter().copied()),
            fit: Optimiser::new(config, parameters.layout(), plan.fitted.iter().copied()),
            gradient: parameters.zero_gradient(),
            good: parameters.values().to_vec(),
            step: 0,
            env_steps: 0,
            norm: 0.0,
            error: 0.0,
            start: Instant::now(),
        }
    }

    /// Samples a batch and moves the parameters by it.
    pub fn batch(&mut self, crew: &Crew<Job>, shared: &Shared<E>) -> Result<(), EngineError> {
        let settings = &self.plan.settings;
        if self.step.is_multiple_of(settings.steps_in_round()) {
            write(&shared.previous).moved = false;
        }
        let once = !settings.reuses_batches();
        if once && settings.baseline != Baseline::LeaveOneOut {
            crew.run(Job::All { step: self.step, weighing: shared.whole(Aim::Both) });
        } else {
            crew.run(Job::Assess { step: self.step });
            if settings.baseline == Baseline::LeaveOneOut {
                shared.sum_credit();
                crew.run(Job::Compare);
            }
            if once {
                crew.run(Job::Differentiate { weighing: shared.whole(Aim::Both) });
            }
        }
        self.env_steps += shared.rows() as u64;
        if once {
            let told = shared.sum_gradients(&mut self.gradient);
            (self.norm, self.error) = (self.update(shared)?, told.error);
        } else {
            self.passes(crew, shared)?;
        }
        self.step += 1;
        Ok(())
    }

    /// Passes over a batch that has been assessed, until its policy has gone too far.
    fn passes(&mut self, crew: &Crew<Job>, shared: &Shared<E>) -> Result<(), EngineError> {
        let settings = &self.plan.settings;
        let rows = shared.rows();
        let parts = settings.minibatch.map_or(1, |size| rows.div_ceil(size)).max(1);
        for epoch in 0..settings.epochs {
            crew.run(Job::Shuffle { step: self.step, epoch });
            for part in 0..parts {
                let first = epoch == 0 && part == 0;
                let told = self.gradient_of_part(crew, shared, (part, parts), first);
                if let Some(target) = settings.kl_target
                    && told.divergence > target * told.rows as f64
                {
                    return Ok(());
                }
                let norm = self.update(shared)?;
                if first {
                    (self.norm, self.error) = (norm, told.error * rows as f64 / told.rows.max(1) as f64);
                }
            }
        }
        Ok(())
    }

    fn gradient_of_part(&mut self, crew: &Crew<Job>, shared: &Shared<E>, (part, parts): (usize, usize), first: bool) -> Told {
        if first && parts == 1 {
            // as the rollout left the network
            crew.run(Job::Differentiate { weighing: shared.whole(Aim::Both) });
        } else {
            let rows = shared.rows() as f64 / shared.rows_of_part(part, parts).max(1) as f64;
            let share = rows / self.plan.settings.trajectories as f64;
            crew.run(Job::Part { part, parts, weighing: Weighing { aim: Aim::Both, share, moved: !first } });
        }
        shared.sum_gradients(&mut self.gradient)
    }

    /// Moves the parameters by the gradient; returns the norm of the policy's part before clipping.
    fn update(&mut self, shared: &Shared<E>) -> Result<f64, EngineError> {
        let mut parameters = write(&shared.parameters);
        let settings = &self.plan.settings;
        let mut norm = 0.0;
        for (optimiser, what) in [(&self.optimiser, "the gradient"), (&self.fit, "the baseline's gradient")] {
            let length = optimiser.clip(&mut self.gradient, settings.clip_norm);
            if !length.is_finite() {
                let (what, place) = blame(shared, &parameters, &self.gradient, what);
                return Err(EngineError::NotFinite { step: self.step + 1, what, place, kept: Box::new(parameters.to_f64()) });
            }
            if what == "the gradient" {
                norm = length;
            }
        }
        self.good.copy_from_slice(parameters.values());
        shared.leave_previous(&self.good);
        let rate = rate(settings.optimizer).at(self.step, settings.steps);
        self.optimiser.step(parameters.values_mut(), &self.gradient, rate);
        if !self.plan.fitted.is_empty() {
            self.fit.step(parameters.values_mut(), &self.gradient, rate);
        }
        if !super::kernels::all_finite(parameters.values()) {
            let place = tensor_of(&parameters, parameters.values());
            parameters.values_mut().copy_from_slice(&self.good);
            let what = "the update".to_string();
            return Err(EngineError::NotFinite { step: self.step + 1, what, place, kept: Box::new(parameters.to_f64()) });
        }
        Ok(norm)
    }

    pub fn metrics(&self, shared: &Shared<E>) -> Metrics {
        let mut terms = vec![0.0; self.plan.terms.len()];
        let (mut returns, mut entropy, mut rows) = (0.0, 0.0, 0);
        for shard in &shared.shards {
            let shard = locked(shard);
            let totals = &shard.rollout.totals;
            terms.iter_mut().zip(&totals.terms).for_each(|(sum, term)| *sum += term);
            returns += totals.returns.iter().sum::<f64>();
            entropy += totals.entropy;
            rows += shard.rollout.rows.len();
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
            gradient_norm: self.norm,
            baseline_error: self.plan.settings.has_learned_baseline().then(|| per_row(self.error)),
            env_steps: self.env_steps,
            wall_seconds: self.start.elapsed().as_secs_f64(),
        }
    }

    pub fn checkpoint(&self, shared: &Shared<E>) -> Checkpoint {
        let previous = read(&shared.previous);
        Checkpoint {
            step: self.step,
            env_steps: self.env_steps,
            parameters: read(&shared.parameters).to_f64(),
            previous: if previous.moved { previous.values.iter().map(|v| v.as_f64()).collect() } else { Vec::new() },
            optimiser: widened(self.optimiser.state()),
            fit: widened(self.fit.state()),
        }
    }

    pub fn restore(&mut self, checkpoint: &Checkpoint, shared: &Shared<E>) -> Result<(), EngineError> {
        let values = checkpoint.parameters.values();
        let mut parameters = write(&shared.parameters);
        let mut previous = write(&shared.previous);
        let fits = values.len() == parameters.values().len()
            && (checkpoint.previous.is_empty() || checkpoint.previous.len() == values.len())
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
        previous.moved = !checkpoint.previous.is_empty();
        previous.values.iter_mut().zip(&checkpoint.previous).for_each(|(mine, &theirs)| *mine = Float::of(theirs));
        (self.step, self.env_steps) = (checkpoint.step, checkpoint.env_steps);
        Ok(())
    }
}

impl<E: Number> Shared<'_, E> {
    /// Keeps the parameters at the beginning of the round, before they move.
    fn leave_previous(&self, present: &[E]) {
        let mut previous = write(&self.previous);
        if !previous.moved {
            previous.values.copy_from_slice(present);
            previous.moved = true;
        }
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
