//! Training: batches over a fixed number of shards, whose gradients are summed in the shards' order, until the run's last batch.

use super::crew::{Crew, with_crew};
use super::evaluate_policy::{self, Evaluator};
use super::expressions::Number;
use super::family::Choice;
use super::gain::Frozen;
use super::kernels;
use super::lead::Lead;
use super::objective::Aim;
use super::parameters::Parameters;
use super::run::{Checkpoint, EngineError, Observer, Run, Stopped};
use super::shards::{Job, Shared, WEIGHTS, write};
use super::stage::Stage;
use crate::plan::{Plan, Precision};
use std::ops::{ControlFlow, Range};
use std::sync::PoisonError;
use std::time::Instant;

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
/// what the first gradient step of a batch would ascend, before clipping, and without the baseline's fit or the
/// rescaling of advantages. `previous` are the same parameters, and schedules stand at their end.
///
/// # Errors
/// A construct that cannot run.
pub fn gradient_estimates(plan: &Plan, parameters: &Parameters<f64>, batches: Range<u64>) -> Result<Vec<Vec<f64>>, EngineError> {
    let plan = &plan.settled();
    let stage = Stage::<f64>::new(plan)?;
    let shared = Shared::new(&stage, parameters.clone());
    let estimate = |crew: &Crew<Job>, step| {
        *write(&shared.frozen) = Frozen::at(&stage, parameters.values(), (plan.settings.seed, step));
        let mut drawn = stage.weights.draw([plan.settings.seed, WEIGHTS, step], write(&shared.parameters).values_mut());
        crew.run(Job::Assess { step });
        shared.sum_credit();
        crew.run(Job::Compare);
        crew.run(Job::Differentiate { weighing: shared.whole(Aim::Policy) });
        let mut gradient = parameters.zero_gradient();
        shared.sum_gradients(&mut gradient);
        shared.mirror(crew, &mut drawn);
        stage.weights.settle(drawn, write(&shared.parameters).values_mut(), &mut gradient);
        gradient.iter_mut().for_each(|g| *g = -*g);
        gradient
    };
    let work = |job, shard| shared.work(job, shard);
    Ok(with_crew(threads(plan), shared.shards.len(), Job::Compare, &work, |crew| batches.map(|step| estimate(crew, step)).collect()))
}

/// Threads that work on a run.
pub(super) fn threads(plan: &Plan) -> usize {
    plan.settings.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

fn train<E: Number>(plan: &Plan, checkpoint: Option<&Checkpoint>, run: &mut dyn Observer) -> Result<Run, EngineError> {
    kernels::flush_denormals();
    let start = Instant::now();
    let stage = Stage::<E>::new(plan)?;
    let parameters = Parameters::<E>::initial(&plan.model, plan.settings.seed);
    let mut lead = Lead::new(plan, &parameters);
    let shared = Shared::new(&stage, parameters);
    if let Some(checkpoint) = checkpoint {
        lead.restore(checkpoint, &shared)?;
    }
    lead.start = Instant::now();
    let stopped = with_crew(threads(plan), shared.shards.len(), Job::Compare, &|job, at| shared.work(job, at), |crew| {
        let ended = |lead: &Lead<E>| match lead.watch.reached() {
            true => Some(Stopped::Until),
            false => (lead.step == plan.settings.steps).then_some(Stopped::Steps),
        };
        loop {
            if let Some(stopped) = ended(&lead) {
                return Ok(stopped);
            }
            lead.batch(crew, &shared)?;
            let last = ended(&lead);
            let logged = lead.step.is_multiple_of(plan.settings.log_every) || last.is_some();
            if logged && run.step(&lead.metrics(&shared)) == ControlFlow::Break(()) || run.interrupted() {
                return Ok(last.unwrap_or(Stopped::Interrupted));
            }
        }
    })?;
    let training_seconds = lead.start.elapsed().as_secs_f64();
    let checkpoint = lead.checkpoint(&shared);
    let parameters = shared.parameters.into_inner().unwrap_or_else(PoisonError::into_inner);
    let episodes = evaluate_policy::episodes_after_training(plan);
    let evaluator = Evaluator { episodes, choice: Choice::Sampled, seed: plan.settings.seed };
    let evaluation = evaluator.run(&stage, &parameters);
    Ok(Run {
        evaluation,
        rounds: lead.rounds(),
        steps: lead.step,
        stopped,
        env_steps: lead.env_steps,
        training_seconds,
        wall_seconds: start.elapsed().as_secs_f64(),
        checkpoint,
        parameters: parameters.to_f64(),
    })
}
