//! What is kept and shown of a run while it goes.

use super::start::failed;
use crate::cli::progress::Progress;
use crate::cli::{Failure, console};
use crate::engine::{self, Checkpoint, Metrics, Observer, Parameters};
use crate::plan::Plan;
use crate::report::{CHECKPOINT, Folder, Log, METRICS, PARAMETERS, TIMINGS};
use serde::Serialize;
use serde_json::{Map, Value};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Shows how a run goes and logs it.
pub struct Follower<'a> {
    plan: &'a Plan,
    folder: &'a Folder,
    pub progress: Progress,
    metrics: Log,
    timings: Log,
    /// Steps in the environment, and in what a model imagines.
    steps_before: (u64, u64),
    pub seconds_before: f64,
}

impl<'a> Follower<'a> {
    pub fn new(plan: &'a Plan, folder: &'a Folder, from: Option<&Checkpoint>, quiet: bool) -> Result<Follower<'a>, Failure> {
        let earlier = |name| match from {
            Some(checkpoint) if folder.file(name).exists() => Log::read(folder, name, checkpoint.step).map_err(failed),
            _ => Ok(Log::default()),
        };
        let (metrics, timings) = (earlier(METRICS)?, earlier(TIMINGS)?);
        let seconds_before = timings.last().and_then(|line| line.get("wall_seconds")?.as_f64()).unwrap_or(0.0);
        let progress = Progress::new(plan.settings.steps, from.map_or(0, |checkpoint| checkpoint.step), quiet);
        let steps_before = from.map_or((0, 0), |checkpoint| steps_behind(plan, checkpoint));
        Ok(Follower { plan, folder, progress, metrics, timings, steps_before, seconds_before })
    }

    /// Writes all that has to be kept of a run that ends here.
    pub fn keep(&self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        self.keep_log()?;
        self.keep_parameters(&checkpoint.parameters)?;
        self.write(CHECKPOINT, checkpoint.to_safetensors())
    }

    pub fn keep_log(&self) -> Result<(), Failure> {
        self.metrics.write(self.folder, METRICS).map_err(failed)?;
        self.timings.write(self.folder, TIMINGS).map_err(failed)
    }

    pub fn keep_parameters(&self, parameters: &Parameters<f64>) -> Result<(), Failure> {
        self.write(PARAMETERS, parameters.to_safetensors())
    }

    fn write(&self, name: &str, bytes: Result<Vec<u8>, engine::FileError>) -> Result<(), Failure> {
        let bytes = bytes.map_err(|error| Failure::Run(error.to_string()))?;
        self.folder.write(name, &bytes).map_err(failed)
    }
}

/// A line of `metrics.jsonl`.
#[derive(Serialize)]
struct MetricsLine<'a> {
    step: u64,
    bound: f64,
    terms: Map<String, Value>,
    expected_return: f64,
    entropy: f64,
    gradient_norm: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline_error: &'a Option<f64>,
    /// Of the round that ends here, by the oracle.
    #[serde(skip_serializing_if = "Option::is_none")]
    round: Option<RoundLine>,
    env_steps: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    imagined_steps: Option<u64>,
    /// Of the bounds that the step took before this one, by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    earlier: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classifier: Option<ClassifierLine>,
}

/// Another bound of the step.
#[derive(Serialize)]
struct TurnLine {
    bound: f64,
    terms: Map<String, Value>,
    expected_return: f64,
    gradient_norm: f64,
}

/// What the classifier of a density ratio told before the batch.
#[derive(Serialize)]
struct ClassifierLine {
    loss: f64,
    saturated: f64,
}

/// What a round was worth: `gain` of expected log-likelihood, and by how much it falls short of `kl`; nats.
#[derive(Serialize)]
struct RoundLine {
    expected_return: f64,
    gain: f64,
    kl: f64,
    shortfall: f64,
}

/// A line of `timings.jsonl`.
#[derive(Serialize)]
struct TimingsLine {
    step: u64,
    wall_seconds: f64,
    env_steps_per_second: f64,
}

impl Observer for Follower<'_> {
    fn step(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        let per_second = |steps: u64, before: u64| steps.saturating_sub(before) as f64 / metrics.wall_seconds.max(1e-9);
        let (real, imagined) =
            (per_second(metrics.env_steps, self.steps_before.0), per_second(metrics.imagined_steps, self.steps_before.1));
        let terms = |plan: &Plan, metrics: &Metrics| -> Map<String, Value> {
            plan.terms.iter().map(|term| term.name.clone()).zip(metrics.terms.iter().map(|&value| value.into())).collect()
        };
        let turn = |(plan, metrics): (&Plan, &Metrics)| {
            let name = plan.model.bound(plan.derivation.bound).name.clone().unwrap_or_default();
            let (bound, expected_return, gradient_norm) = (metrics.bound, metrics.expected_return, metrics.gradient_norm);
            let line = TurnLine { bound, terms: terms(plan, metrics), expected_return, gradient_norm };
            (name, serde_json::to_value(line).unwrap_or_default())
        };
        // what only collects transitions has no bound
        let told = self.plan.earlier.iter().zip(&metrics.earlier).filter(|(plan, _)| !plan.terms.is_empty());
        self.metrics.push(&MetricsLine {
            step: metrics.step,
            bound: metrics.bound,
            terms: terms(self.plan, metrics),
            expected_return: metrics.expected_return,
            entropy: metrics.entropy,
            gradient_norm: metrics.gradient_norm,
            baseline_error: &metrics.baseline_error,
            round: metrics.improvement.map(|round| RoundLine {
                expected_return: round.expected_return,
                gain: round.gain,
                kl: round.kl,
                shortfall: round.shortfall,
            }),
            env_steps: metrics.env_steps,
            imagined_steps: Some(metrics.imagined_steps).filter(|&steps| steps > 0),
            earlier: told.map(turn).collect(),
            classifier: metrics.classified.map(|told| ClassifierLine { loss: told.loss, saturated: told.saturated }),
        });
        let wall_seconds = self.seconds_before + metrics.wall_seconds;
        self.timings.push(&TimingsLine { step: metrics.step, wall_seconds, env_steps_per_second: real });
        self.progress.show(metrics, real + imagined);
        ControlFlow::Continue(())
    }

    fn interrupted(&self) -> bool {
        interrupted()
    }
}

/// The steps in the environment and in a model that a run has made when it goes on from a checkpoint.
fn steps_behind(plan: &Plan, checkpoint: &Checkpoint) -> (u64, u64) {
    let turns = plan.turns().zip(checkpoint.earlier.iter().chain([checkpoint]));
    turns.fold((0, 0), |(real, imagined), (plan, kept)| match plan.is_real() {
        true => (real + kept.env_steps, imagined),
        false => (real, imagined + kept.env_steps),
    })
}

/// Ctrl-C was pressed.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Watches Ctrl-C: the first asks the run to end after its step; a second one ends the program at once.
pub fn listen() {
    let handler = || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    };
    if ctrlc::set_handler(handler).is_err() {
        console::note("Ctrl-C will end the run without a checkpoint: the signal could not be watched");
    }
}
