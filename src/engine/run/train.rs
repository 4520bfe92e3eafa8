//! Training: batches over a fixed number of shards, whose gradients are summed in the shards'
//! order, until the run's last batch.

use super::checkpoint::Checkpoint;
use super::judge::Judges;
use super::outcome::{Evaluation, Metrics, Observer, Run, Stopped};
use super::trainer::BoundTrainer;
use super::verdict::Calibration;
use crate::engine::error::EngineError;
use crate::engine::family::choice::Choice;
use crate::engine::fleet::crew::{threads, with_crew};
use crate::engine::fleet::shards::{Hands, Job, Previous, Shared, read, write};
use crate::engine::gradient::objective::Aim;
use crate::engine::numeric::kernels;
use crate::engine::numeric::number::Number;
use crate::engine::numeric::stream::WEIGHTS;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::run::evaluate::{self, Evaluator};
use crate::engine::sample::replay::Replay;
use crate::engine::tape::parameters::Parameters;
use crate::engine::update::classify::Classified;
use crate::model::{BoundId, EnvironmentId};
use crate::plan::{Plan, Precision};
use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

/// After a step that took longer, what it left is held in memory: if the next one is given up, the
/// run goes on from there.
const LONG: Duration = Duration::from_millis(250);

/// Trains a plan from its seed, or from a checkpoint of an earlier run, to the same bits as a run
/// that was never interrupted; `judges` stand beside it.
///
/// # Errors
/// A NaN or an infinity, by term or tensor and step; a construct that cannot run; a checkpoint that
/// does not fit.
pub(in crate::engine) fn train(
    plan: &Plan,
    checkpoint: Option<&Checkpoint>,
    run: &mut dyn Observer,
    judges: &Judges,
) -> Result<Run, EngineError> {
    match plan.settings.precision {
        Precision::F32 => train_in::<f32>(plan, checkpoint, run, judges),
        Precision::F64 => train_in::<f64>(plan, checkpoint, run, judges),
    }
}

/// Estimated gradients of `L` at `parameters`, one from each of the batches numbered `batches`,
/// flat, in the layout of the parameters: what the first gradient step of a batch would ascend,
/// before clipping, and without the baseline's fit or the rescaling of advantages. `previous` are
/// the same parameters, and schedules stand at their end.
///
/// # Errors
/// A construct that cannot run; a NaN or an infinity, by kernel, time and state.
pub fn gradient_estimates(
    plan: &Plan,
    parameters: &Parameters<f64>,
    batches: Range<u64>,
) -> Result<Vec<Vec<f64>>, EngineError> {
    let plan = &plan.settled();
    estimates_at(&CompiledProgram::new(plan)?, (parameters, parameters), Aim::Policy, batches)
}

/// [`gradient_estimates`] of a program that may have been altered, in the midst of a round that
/// began with `previous`; with the baseline's fit where that is the aim, too.
pub(in crate::engine) fn estimates_at(
    program: &CompiledProgram<f64>,
    (parameters, previous): (&Parameters<f64>, &Parameters<f64>),
    aim: Aim,
    batches: Range<u64>,
) -> Result<Vec<Vec<f64>>, EngineError> {
    let shared = Shared::new(program, Arc::new(RwLock::new(parameters.clone())));
    *write(&shared.previous) = Previous {
        values: previous.values().to_vec(),
        moved: parameters.values() != previous.values(),
    };
    let estimate = |crew: Hands, step| {
        let seed = program.plan.settings.seed;
        *write(&shared.frozen) = program.freeze(parameters.values(), (seed, step));
        let mut drawn =
            program.weights.draw([seed, WEIGHTS, step], write(&shared.parameters).values_mut());
        crew.run(Job::Assess { step });
        if let Some(fault) = shared.fault() {
            return Err(fault.played());
        }
        shared.sum_credit();
        crew.run(Job::Compare);
        crew.run(Job::Differentiate { weighing: shared.whole(aim) });
        let mut gradient = parameters.zero_gradient();
        shared.sum_gradients(&mut gradient);
        shared.mirror(crew, &mut drawn);
        program.weights.settle(drawn, write(&shared.parameters).values_mut(), &mut gradient);
        gradient.iter_mut().for_each(|g| *g = -*g);
        match parameters.layout().verify_finite("gradient", &gradient) {
            Ok(()) => Ok(gradient),
            Err(found) => Err(EngineError::Broken(found.to_string())),
        }
    };
    let work = |(_, job): (usize, Job), shard| shared.work(job, shard);
    with_crew(threads(program.plan), shared.shards.len(), (0, Job::Compare), &work, |crew| {
        batches.map(|step| estimate(Hands { crew, turn: 0 }, step)).collect()
    })
}

/// A bound of a run in training.
struct Turn<'a, E: Number> {
    plan: &'a Plan,
    trainer: BoundTrainer<'a, E>,
    shared: &'a Shared<'a, E>,
}

fn train_in<E: Number>(
    plan: &Plan,
    checkpoint: Option<&Checkpoint>,
    run: &mut dyn Observer,
    judges: &Judges,
) -> Result<Run, EngineError> {
    kernels::flush_denormals();
    let start = Instant::now();
    let plans: Vec<&Plan> = plan.turns().collect();
    let mut programs =
        plans.iter().map(|plan| CompiledProgram::<E>::new(plan)).collect::<Result<Vec<_>, _>>()?;
    let learns = |plan: &Plan| plan.tells_transitions_apart() || plan.settings.refits > 0;
    let learners: BTreeSet<EnvironmentId> =
        plans.iter().filter(|plan| learns(plan)).map(|plan| plan.environment).collect();
    for program in
        programs.iter_mut().filter(|program| learners.contains(&program.plan.environment))
    {
        program.collects = program.plan.is_real();
    }
    let stop = run.stop();
    programs.iter_mut().for_each(|program| program.stop = stop.clone());
    let kept = |&environment: &EnvironmentId| {
        let is_of = |program: &&CompiledProgram<E>| {
            program.collects && program.plan.environment == environment
        };
        let program = programs.iter().find(is_of)?;
        let replay = Arc::new(RwLock::new(Replay::new(program, plan.settings.replay)));
        Some(Kept { environment, replay })
    };
    let replays: Vec<Kept<E>> = learners.iter().filter_map(kept).collect();
    let replay_of = |plan: &Plan| {
        let found = replays.iter().find(|kept| kept.environment == plan.environment);
        found.map(|kept| Arc::clone(&kept.replay))
    };
    let initial = Parameters::<E>::initial(&plan.model, plan.settings.seed);
    let parameters = Arc::new(RwLock::new(initial.clone()));
    let mut shared: Vec<Shared<E>> =
        programs.iter().map(|program| Shared::new(program, Arc::clone(&parameters))).collect();
    for shared in shared.iter_mut().filter(|shared| learns(shared.program.plan)) {
        shared.replay = replay_of(shared.program.plan);
    }
    let start_of_run = initial.to_f64();
    let turn = |(&plan, shared)| {
        let judge = judges(plan, &start_of_run, &stop);
        Turn { plan, trainer: BoundTrainer::new(plan, &initial, judge), shared }
    };
    let mut turns: Vec<Turn<E>> = plans.iter().zip(&shared).map(turn).collect();
    if let Some(checkpoint) = checkpoint {
        restore(&mut turns, checkpoint, &replays)?;
    }
    // the oracle may have left out what the next rounds are compared with: what is kept stays as it
    // was
    if stop.has_given_up() {
        return Err(EngineError::Interrupted { kept: None });
    }
    let begun = Instant::now();
    turns.iter_mut().for_each(|turn| turn.trainer.start = begun);
    let work = |(turn, job): (usize, Job), at| shared[turn].work(job, at);
    let mut held = None;
    let ended = with_crew(threads(plan), plan.settings.shards, (0, Job::Compare), &work, |crew| {
        let ended = |trainer: &BoundTrainer<E>| match trainer.watch.reached() {
            true => Some(Stopped::Until),
            false => (trainer.step >= plan.settings.steps).then_some(Stopped::Steps),
        };
        loop {
            if let Some(stopped) = ended(last_of(&turns)) {
                return Ok(Ended::Whole(stopped));
            }
            if stop.is_asked() {
                return Ok(Ended::Between);
            }
            let step_begun = Instant::now();
            stop.begin_step();
            for (at, turn) in turns.iter_mut().enumerate() {
                for _ in 0..turn.plan.per_turn {
                    let done = turn.trainer.batch(Hands { crew, turn: at }, turn.shared);
                    // what a step that was given up says is worth nothing, its errors included
                    if stop.has_given_up() {
                        return Ok(Ended::Within);
                    }
                    done?;
                    let keeps = turn.shared.program.collects && turn.plan.settings.refits == 0;
                    if let Some(replay) = replay_of(turn.plan).filter(|_| keeps) {
                        turn.shared.keep_transitions(&mut write(&replay));
                    }
                }
            }
            let trainer = last_of(&turns);
            let last = ended(trainer);
            let logged = (trainer.step / plan.per_turn).is_multiple_of(plan.settings.log_every)
                || last.is_some();
            if logged {
                for (at, turn) in turns.iter_mut().enumerate() {
                    turn.trainer.measure_divergence(Hands { crew, turn: at }, turn.shared);
                }
                if run.step(&metrics(&turns)) == ControlFlow::Break(()) {
                    return Ok(last.map_or(Ended::Between, Ended::Whole));
                }
            }
            if last.is_none()
                && run.is_due()
                && run.keep(&checkpoint_of(&turns, &replays)) == ControlFlow::Break(())
            {
                return Ok(Ended::Between);
            }
            let is_long = step_begun.elapsed() > LONG;
            held = is_long.then(|| Box::new(checkpoint_of(&turns, &replays)));
        }
    })?;
    let training_seconds = begun.elapsed().as_secs_f64();
    let stopped = match ended {
        Ended::Whole(stopped) => stopped,
        Ended::Between => {
            return Err(interrupted(Some(Box::new(checkpoint_of(&turns, &replays))), run));
        }
        Ended::Within => return Err(interrupted(held, run)),
    };
    let checkpoint = checkpoint_of(&turns, &replays);
    // before the evaluation, which takes a while and can be done again
    if run.keep(&checkpoint) == ControlFlow::Break(()) {
        return Err(EngineError::Interrupted { kept: Some(Box::new(checkpoint)) });
    }
    stop.lose_patience();
    let last_metrics = metrics(&turns);
    let (steps, rounds) = (last_of(&turns).step, last_of(&turns).rounds());
    let parameters = read(&parameters);
    let evaluated = |program: &CompiledProgram<E>| {
        let episodes = evaluate::episodes_after_training(program.plan);
        let evaluation = Evaluator { episodes, choice: Choice::Sampled, seed: plan.settings.seed }
            .run(program, &parameters);
        evaluation.map_err(|error| last_of(&turns).broken_after(error, &parameters))
    };
    let told = |program: &CompiledProgram<E>| -> Result<_, EngineError> {
        Ok((program.plan.derivation.bound, evaluated(program)?))
    };
    let (last, earlier) = programs.split_last().expect("train: a run has a bound");
    let evaluation = evaluated(last)?;
    // what only collects transitions has no bound
    let mut others: Vec<(BoundId, Evaluation)> = Vec::new();
    for program in earlier.iter().filter(|program| !program.terms.is_empty()) {
        // one that several lines maximise is told once
        let of = program.plan.derivation.bound;
        if of != plan.derivation.bound && others.iter().all(|(bound, _)| *bound != of) {
            others.push(told(program)?);
        }
    }
    for watched in &plan.watched {
        let program = CompiledProgram { stop: stop.clone(), ..CompiledProgram::new(watched)? };
        others.push(told(&program)?);
    }
    if stop.has_given_up() {
        return Err(EngineError::Interrupted { kept: Some(Box::new(checkpoint)) });
    }
    let wide = parameters.to_f64();
    let mut calibrations: Vec<(String, Calibration)> = Vec::new();
    for turn in turns.iter().filter(|turn| turn.plan.tells_transitions_apart()) {
        let trajectories = evaluate::episodes_after_training(turn.plan);
        let judged = turn.trainer.calibrations(&wide, trajectories);
        let judged = judged.map_err(|error| last_of(&turns).broken_after(error, &parameters))?;
        // one that stands in several bounds is told once
        for (name, found) in judged {
            if calibrations.iter().all(|(known, _)| *known != name) {
                calibrations.push((name, found));
            }
        }
    }
    if stop.has_given_up() {
        return Err(EngineError::Interrupted { kept: Some(Box::new(checkpoint)) });
    }
    Ok(Run {
        calibrations,
        evaluation,
        others,
        rounds,
        steps,
        stopped,
        env_steps: last_metrics.env_steps,
        imagined_steps: last_metrics.imagined_steps,
        kl: last_metrics.kl,
        classified: last_metrics.classified,
        training_seconds,
        wall_seconds: start.elapsed().as_secs_f64(),
        checkpoint,
        parameters: wide,
    })
}

/// How training ended.
enum Ended {
    Whole(Stopped),
    /// It was asked to end, and is as a step left it.
    Between,
    /// A step was given up midway.
    Within,
}

fn interrupted(kept: Option<Box<Checkpoint>>, run: &mut dyn Observer) -> EngineError {
    if let Some(kept) = &kept {
        // it ends in either case
        let _ = run.keep(kept);
    }
    EngineError::Interrupted { kept }
}

fn last_of<'t, 'a, E: Number>(turns: &'t [Turn<'a, E>]) -> &'t BoundTrainer<'a, E> {
    &turns.last().expect("train: a run has a bound").trainer
}

/// Live steps so far: of environments, or of models in their place.
fn live_steps<E: Number>(turns: &[Turn<E>], imagined: bool) -> u64 {
    turns
        .iter()
        .filter(|turn| turn.plan.next_state().is_some() == imagined)
        .map(|turn| turn.trainer.env_steps)
        .sum()
}

fn metrics<E: Number>(turns: &[Turn<E>]) -> Metrics {
    let (last, earlier) = turns.split_last().expect("train: a run has a bound");
    let earlier = earlier.iter().map(|turn| turn.trainer.metrics(turn.shared)).collect();
    let (env_steps, imagined_steps) = (live_steps(turns, false), live_steps(turns, true));
    let mut classified: Vec<(String, Classified)> = Vec::new();
    for (name, told) in turns.iter().flat_map(|turn| turn.trainer.told()) {
        if classified.iter().all(|(known, _)| *known != name) {
            classified.push((name, told));
        }
    }
    Metrics { earlier, env_steps, imagined_steps, classified, ..last.trainer.metrics(last.shared) }
}

/// The real transitions of an environment that are kept.
struct Kept<E> {
    environment: EnvironmentId,
    replay: Arc<RwLock<Replay<E>>>,
}

fn checkpoint_of<E: Number>(turns: &[Turn<E>], replays: &[Kept<E>]) -> Checkpoint {
    let (last, earlier) = turns.split_last().expect("train: a run has a bound");
    let earlier = earlier.iter().map(|turn| turn.trainer.checkpoint(turn.shared)).collect();
    let replays = replays.iter().map(|kept| read(&kept.replay).to_numbers()).collect();
    Checkpoint { earlier, replays, ..last.trainer.checkpoint(last.shared) }
}

fn restore<E: Number>(
    turns: &mut [Turn<E>],
    checkpoint: &Checkpoint,
    replays: &[Kept<E>],
) -> Result<(), EngineError> {
    if checkpoint.earlier.len() + 1 != turns.len() {
        return Err(EngineError::Checkpoint("it is of a file with other bounds".into()));
    }
    let fits = |(kept, numbers): (&Kept<E>, &Vec<f64>)| write(&kept.replay).restore(numbers);
    if replays.len() > checkpoint.replays.len()
        || !replays.iter().zip(&checkpoint.replays).all(fits)
    {
        return Err(EngineError::Checkpoint("its transitions are not those of this model".into()));
    }
    let kept = checkpoint.earlier.iter().chain([checkpoint]);
    turns.iter_mut().zip(kept).try_for_each(|(turn, kept)| turn.trainer.restore(kept, turn.shared))
}
