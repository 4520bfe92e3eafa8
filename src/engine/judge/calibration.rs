//! How good a classifier is: its logit against the log-ratio of densities that it stands for, where
//! both are known.

use crate::engine::error::EngineError;
use crate::engine::family::choice::Choice;
use crate::engine::numeric::stop::Stop;
use crate::engine::numeric::stream::{CALIBRATION, generator};
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::expressions::Expressions;
use crate::engine::program::point::Point;
use crate::engine::run::verdict::Calibration;
use crate::engine::sample::replay::Replay;
use crate::engine::sample::rollout::{Keep, Rollout};
use crate::engine::tape::parameters::Parameters;
use crate::engine::update::classify::Classifying;
use crate::engine::update::judged::Judged;
use crate::finite;
use crate::plan::{self, Head, Plan, RatioOf};

/// Judges the classifiers of a plan that tell transitions apart, from `trajectories` of the policy
/// in the environment, each by the name of its ratio; none where the density of the environment's
/// transitions cannot be written, and none whose model has none. Nothing learns from it.
///
/// What it returns is worth nothing if the run has given up meanwhile.
///
/// # Errors
/// A construct that cannot run.
pub(in crate::engine) fn calibrate(
    plan: &Plan,
    parameters: &Parameters<f64>,
    trajectories: usize,
    stop: &Stop,
) -> Result<Vec<(String, Calibration)>, EngineError> {
    let mut reads = plan.model.environment(plan.environment).transition_reads();
    let finite = reads.all(|variable| plan.model.variable(variable).domain.is_finite());
    let is_judged = |ratio: &plan::Ratio| {
        let has_density =
            ratio.model.as_ref().is_some_and(|of| !matches!(of.head, Head::Implicit { .. }));
        ratio.of == RatioOf::Transition && has_density
    };
    if !plan.ratios().any(|(_, ratio)| is_judged(ratio)) || !finite && plan.log_transition.is_none()
    {
        return Ok(Vec::new());
    }
    let program = CompiledProgram::<f64>::new(plan)?;
    let scout = plan.scout();
    let mut real = CompiledProgram::<f64>::new(&scout)?;
    real.collects = true;
    real.stop = stop.clone();
    let mut rollout = Rollout::new(&real, trajectories);
    let stream = |part| [plan.settings.seed, CALIBRATION, part];
    let frozen = real.freeze(parameters.values(), (plan.settings.seed, 0));
    let point = Point { present: parameters.values(), previous: None, frozen: &frozen };
    rollout.run(&real, point, stream(0), Choice::Sampled, Keep::Rows);
    if let Some(fault) = &rollout.fault {
        return Err(fault.played());
    }
    if stop.has_given_up() {
        return Ok(Vec::new());
    }
    let mut replay = Replay::new(&real, rollout.episodes.rows.len().max(1));
    replay.append(&real, &rollout.episodes);
    let pairs = replay.len();
    if pairs == 0 {
        return Ok(Vec::new());
    }
    let mut classifying = Classifying::default();
    let mut random = generator(stream(1));
    let mut found = Vec::new();
    for (ratio, (_, planned)) in program.ratios.iter().zip(plan.ratios()) {
        if !is_judged(planned) {
            continue;
        }
        let of = (&program, ratio);
        let judged = classifying.judge(of, (parameters.values(), &replay), &mut random);
        let exact =
            if finite { in_tables(plan, &judged)? } else { in_expressions(plan, &replay, &judged) };
        // where one side never is, no logit is right
        let apart: Vec<f64> = judged
            .iter()
            .zip(exact)
            .map(|(row, log_p)| (row.logit - (log_p - row.log_q)).abs())
            .filter(|apart| apart.is_finite())
            .collect();
        if !apart.is_empty() {
            let error = apart.iter().sum::<f64>() / apart.len() as f64;
            found.push((ratio.name.clone(), Calibration { error, pairs }));
        }
    }
    Ok(found)
}

fn in_tables(plan: &Plan, judged: &[Judged]) -> Result<Vec<f64>, EngineError> {
    let tables = finite::tabulate(&plan.model, plan.environment)
        .map_err(|error| EngineError::Unsupported(error.to_string()))?;
    let log_p = |row: &Judged| {
        let [state, action, next] = row.numbers;
        let found =
            tables.transition.row(state * tables.actions + action).filter(|(to, _)| *to == next);
        found.map(|(_, p)| p).sum::<f64>().ln()
    };
    Ok(judged.iter().map(log_p).collect())
}

fn in_expressions(plan: &Plan, replay: &Replay<f64>, judged: &[Judged]) -> Vec<f64> {
    let Some(log_transition) = plan.log_transition else { return vec![] };
    let expressions = Expressions::<f64>::compile(plan, &[log_transition]);
    let mut values = expressions.values(1);
    let log_p = |row: &Judged| {
        replay.read(plan, (row.of, &row.next), &expressions, &mut values);
        expressions.run(replay.time(row.of) as usize, 0..1, &mut values);
        values.output(0)[0]
    };
    judged.iter().map(log_p).collect()
}
