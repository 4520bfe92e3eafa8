//! What is kept and shown of a run while it goes.

use super::signals;
use super::start::{Origin, failed};
use crate::cli::progress::Progress;
use crate::cli::{Failure, console};
use crate::engine::{self, Checkpoint, Classified, Metrics, Observer, Parameters, Stop};
use crate::plan::Plan;
use crate::report::{CHECKPOINT, Folder, Log, METRICS, PARAMETERS, TIMINGS};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Instant;

/// Shows how a run goes, and writes down what it logs and what it can be gone on with.
pub struct Follower<'a> {
    plan: &'a Plan,
    pub folder: Folder,
    pub progress: Progress,
    metrics: Log,
    timings: Log,
    /// The files that begin the run, until they are written in the place of another run's.
    begins_with: Vec<(String, Vec<u8>)>,
    /// The step of the checkpoint that the run goes on from.
    pub began_at: Option<u64>,
    /// The step of the checkpoint that was written last, and when that was.
    pub kept: Option<u64>,
    kept_at: Instant,
    /// Why the run had to end.
    pub failure: Option<Failure>,
    /// Steps in the environment, and in what a model imagines.
    steps_before: (u64, u64),
    pub seconds_before: f64,
}

impl<'a> Follower<'a> {
    pub fn new(
        plan: &'a Plan,
        folder: Folder,
        origin: Origin,
        quiet: bool,
    ) -> Result<Follower<'a>, Failure> {
        let from = origin.checkpoint.as_ref();
        let (metrics, timings, last) = match folder.replaces() {
            true => (Log::held(&folder, METRICS), Log::held(&folder, TIMINGS), None),
            false => {
                let step = from.map_or(0, |checkpoint| checkpoint.step);
                let every = plan.settings.log_every.saturating_mul(plan.per_turn);
                // the last line of a run that is made longer may be of a step that a longer run
                // does not log
                let is_last = |line: u64| {
                    line >= plan.settings.steps || line == step && plan.settings.until.is_some()
                };
                // with more or fewer steps to come, lines may be further apart, or less far, than
                // those that are there, which all stay
                let before = Log::distance(&folder, METRICS).map_err(failed)?;
                let is_as_before = before.is_none_or(|before| before == every);
                let is_kept = |line: u64| {
                    line <= step && (!is_as_before || line.is_multiple_of(every) || is_last(line))
                };
                let (metrics, lines) = Log::go_on(&folder, METRICS, is_kept).map_err(failed)?;
                let (timings, timed) = Log::go_on(&folder, TIMINGS, is_kept).map_err(failed)?;
                for (name, lines) in [(METRICS, &lines), (TIMINGS, &timed)] {
                    let missing = if is_as_before { lost(lines, step, every) } else { None };
                    if let Some(steps) = missing {
                        let log = folder.file(name);
                        console::note(&format!(
                            "warning: `{}` has lost {steps}, which its checkpoint of step {step} \
                             has behind it: the run goes on without them",
                            log.display()
                        ));
                    }
                }
                (metrics, timings, timed.into_iter().next_back())
            }
        };
        let seconds_before =
            last.and_then(|line| line.get("wall_seconds")?.as_f64()).unwrap_or(0.0);
        let progress =
            Progress::new(plan.settings.steps, from.map_or(0, |checkpoint| checkpoint.step), quiet);
        let steps_before = from.map_or((0, 0), |checkpoint| steps_behind(plan, checkpoint));
        Ok(Follower {
            plan,
            folder,
            progress,
            metrics,
            timings,
            began_at: from.map(|checkpoint| checkpoint.step),
            begins_with: origin.begins_with,
            kept: None,
            kept_at: Instant::now(),
            failure: None,
            steps_before,
            seconds_before,
        })
    }

    /// Writes the parameters of a run that failed; the run that it was to replace stays.
    pub fn keep_parameters(&self, parameters: &Parameters<f64>) -> Result<(), Failure> {
        match self.folder.replaces() {
            true => Ok(()),
            false => self
                .folder
                .write(PARAMETERS, &bytes_of(parameters.to_safetensors())?)
                .map_err(failed),
        }
    }

    fn write_all(&mut self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        let (own, parameters) = (
            bytes_of(checkpoint.to_safetensors())?,
            bytes_of(checkpoint.parameters.to_safetensors())?,
        );
        if !self.folder.replaces() {
            // a checkpoint is not to be newer than the lines before it
            self.metrics.sync().and_then(|()| self.timings.sync()).map_err(failed)?;
            self.folder.write(CHECKPOINT, &own).map_err(failed)?;
            self.kept = Some(checkpoint.step);
            return self.folder.write(PARAMETERS, &parameters).map_err(failed);
        }
        let begins_with = std::mem::take(&mut self.begins_with);
        let mut files: Vec<(&str, &[u8])> =
            begins_with.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
        files.extend([
            (METRICS, self.metrics.bytes()),
            (TIMINGS, self.timings.bytes()),
            (PARAMETERS, &parameters),
            (CHECKPOINT, &own),
        ]);
        self.folder
            .replace(&files)
            .and_then(|()| self.metrics.open())
            .and_then(|()| self.timings.open())
            .map_err(failed)
    }

    fn or_end(&mut self, written: Result<(), Failure>) -> ControlFlow<()> {
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => {
                self.failure = Some(failure);
                ControlFlow::Break(())
            }
        }
    }
}

fn bytes_of(bytes: Result<Vec<u8>, engine::FileError>) -> Result<Vec<u8>, Failure> {
    bytes.map_err(|error| Failure::Run(error.to_string()))
}

/// A line of `metrics.jsonl`.
#[derive(Serialize)]
struct MetricsLine<'a> {
    step: u64,
    bound: f64,
    terms: Map<String, Value>,
    expected_return: f64,
    /// Of each of several rewards, by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    rewards: Map<String, Value>,
    kl: Option<f64>,
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
    /// Where there are several, by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    classifiers: Map<String, Value>,
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

/// What a round was worth: `gain` of expected log-likelihood, and by how much it falls short of
/// `kl`; nats.
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
        let per_second = |steps: u64, before: u64| {
            steps.saturating_sub(before) as f64 / metrics.wall_seconds.max(1e-9)
        };
        let (real, imagined) = (
            per_second(metrics.env_steps, self.steps_before.0),
            per_second(metrics.imagined_steps, self.steps_before.1),
        );
        let terms = |plan: &Plan, metrics: &Metrics| -> Map<String, Value> {
            plan.terms
                .iter()
                .map(|term| term.name.clone())
                .zip(metrics.terms.iter().map(|&value| value.into()))
                .collect()
        };
        let turn = |(plan, metrics): (&Plan, &Metrics)| {
            let name = plan.model.bound(plan.derivation.bound).name.clone().unwrap_or_default();
            let (bound, expected_return, gradient_norm) =
                (metrics.bound, metrics.expected_return, metrics.gradient_norm);
            let line =
                TurnLine { bound, terms: terms(plan, metrics), expected_return, gradient_norm };
            (name, serde_json::to_value(line).unwrap_or_default())
        };
        let line =
            |told: &Classified| ClassifierLine { loss: told.loss, saturated: told.saturated };
        let named = |(name, told): &(String, Classified)| {
            (name.clone(), serde_json::to_value(line(told)).unwrap_or_default())
        };
        // what only collects transitions has no bound
        let told = self
            .plan
            .earlier
            .iter()
            .zip(&metrics.earlier)
            .filter(|(plan, _)| !plan.terms.is_empty());
        let line = MetricsLine {
            step: metrics.step,
            bound: metrics.bound,
            terms: terms(self.plan, metrics),
            expected_return: metrics.expected_return,
            rewards: self
                .plan
                .reward_names()
                .into_iter()
                .map(str::to_owned)
                .zip(metrics.returns.iter().map(|&value| value.into()))
                .collect(),
            kl: metrics.kl,
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
            classifier: match &metrics.classified[..] {
                [(_, told)] => Some(line(told)),
                _ => None,
            },
            classifiers: match &metrics.classified[..] {
                [] | [_] => Map::new(),
                several => several.iter().map(named).collect(),
            },
        };
        let wall_seconds = self.seconds_before + metrics.wall_seconds;
        let timing = TimingsLine { step: metrics.step, wall_seconds, env_steps_per_second: real };
        let written = self.metrics.push(&line).and_then(|()| self.timings.push(&timing));
        console::shortage();
        self.progress.show(metrics, real + imagined);
        self.or_end(written.map_err(failed))
    }

    fn is_due(&self) -> bool {
        self.kept_at.elapsed().as_secs_f64() >= self.plan.settings.checkpoint_every
    }

    fn keep(&mut self, checkpoint: &Checkpoint) -> ControlFlow<()> {
        // a log that lacks a line is not to be gone on with
        if self.failure.is_some() || self.kept == Some(checkpoint.step) {
            return if self.failure.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            };
        }
        let written = self.write_all(checkpoint);
        if written.is_ok() {
            (self.kept, self.kept_at) = (Some(checkpoint.step), Instant::now());
        }
        self.or_end(written)
    }

    fn stop(&self) -> Stop {
        signals::stop()
    }
}

/// The logged steps up to `step` that have no line in a log of every `every`-th: `the lines of
/// steps 10..30 and 50`.
fn lost(lines: &[Value], step: u64, every: u64) -> Option<String> {
    let known: BTreeSet<u64> = lines.iter().filter_map(|line| line.get("step")?.as_u64()).collect();
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for missing in (1..=step / every).map(|k| k * every).filter(|at| !known.contains(at)) {
        match ranges.last_mut() {
            Some((_, to)) if *to + every == missing => *to = missing,
            _ => ranges.push((missing, missing)),
        }
    }
    let shown = |&(from, to): &(u64, u64)| {
        if from == to { from.to_string() } else { format!("{from}..{to}") }
    };
    let more = ranges.len().saturating_sub(RANGES);
    let told: Vec<String> = ranges.iter().take(RANGES).map(shown).collect();
    let more = if more == 0 { String::new() } else { format!(", and {more} more such ranges") };
    let one = matches!(ranges[..], [(from, to)] if from == to);
    (!ranges.is_empty()).then(|| {
        format!(
            "{} {}{more}",
            if one { "the line of step" } else { "the lines of steps" },
            told.join(", ")
        )
    })
}

/// Ranges of steps that are told.
const RANGES: usize = 6;

/// The steps in the environment and in a model that a run has made when it goes on from a
/// checkpoint.
fn steps_behind(plan: &Plan, checkpoint: &Checkpoint) -> (u64, u64) {
    let turns = plan.turns().zip(checkpoint.earlier.iter().chain([checkpoint]));
    turns.fold((0, 0), |(real, imagined), (plan, kept)| match plan.is_real() {
        true => (real + kept.env_steps, imagined),
        false => (real, imagined + kept.env_steps),
    })
}
