//! `rlppl infer`: trains a model's policy and leaves a run's folder.

use super::progress::{Progress, short, uncertain};
use super::{Failure, Format, console, exact, input};
use crate::bound;
use crate::engine::{self, Checkpoint, EngineError, Metrics, Observer, Parameters, Run};
use crate::plan::{self, Plan};
use crate::report::{self, CHECKPOINT, Folder, Log, METRICS, MODEL, Occupied, PARAMETERS, ReportError, SUMMARY, Summary, TIMINGS};
use crate::syntax::ast;
use serde::Serialize;
use serde_json::{Map, Value};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Train a model's policy.
///
/// Maximises the bound that follows from the model's factors, shows how it goes on standard error, and ends with a summary: the bound and
/// the return with their standard errors, and on finite models the exact numbers and how far they are from the optimum.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl infer models/reinforce.rlmodel
  rlppl infer models/reinforce.rlmodel --seed 3 --set alpha=1 --set infer.steps=1000
  rlppl infer models/cartpole.rlmodel --out runs/mine --overwrite
  rlppl infer --resume runs/mine

Ctrl-C ends the run after the current step, leaves a checkpoint, and exits with 130.

The folder holds model.rlmodel (as run: running it again gives the same files),
metrics.jsonl, timings.jsonl, parameters.safetensors, checkpoint.safetensors and
summary.json.")]
pub struct Arguments {
    /// The model file; `-` reads standard input
    #[arg(value_name = "FILE", required_unless_present = "resume")]
    file: Option<PathBuf>,
    #[command(flatten)]
    set: input::SetArguments,
    /// Seed of all random streams; wins over `infer.seed`
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    seed: Option<u64>,
    /// Worker threads; the result does not depend on it [default: the machine's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// The run's folder [default: runs/MODEL-SEED, with -2, -3, … where that is taken]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in DIR (or in the folder of `--out`) from its checkpoint
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "", conflicts_with = "overwrite")]
    resume: Option<PathBuf>,
    /// Replace the run in the folder of `--out`
    #[arg(long, requires = "out")]
    overwrite: bool,
    /// Show nothing while the run goes
    #[arg(long, short)]
    quiet: bool,
    /// How to print the summary
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// A run that is about to begin or to go on.
struct Start {
    loaded: input::Loaded,
    /// What is written into `model.rlmodel`.
    sets: input::Sets,
    place: Place,
}

enum Place {
    New,
    GoesOn(Folder),
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let start = match folder_to_resume(arguments)? {
        Some(folder) => going_on(arguments, folder)?,
        None => beginning(arguments)?,
    };
    let model = &start.loaded.model;
    let derivation = bound::derive(model).map_err(Failure::Model)?;
    let plan = plan::plan(model, &derivation).map_err(Failure::Model)?;
    let (folder, from) = match &start.place {
        Place::New => (new_folder(arguments, &plan)?, None),
        Place::GoesOn(folder) => (folder.clone(), checkpoint(folder, &plan)?),
    };
    let written = write_model(&folder, &start, &plan);
    written.inspect_err(|_| folder.remove_if_empty())?;
    train(arguments, &plan, folder, from)
}

fn train(arguments: &Arguments, plan: &Plan, folder: Folder, from: Option<Checkpoint>) -> Result<(), Failure> {
    let mut follower = Follower::new(plan, &folder, from.as_ref(), arguments.quiet)?;
    let outcome = match &from {
        None => engine::infer(plan, &mut follower),
        Some(checkpoint) => engine::resume(plan, checkpoint, &mut follower),
    };
    follower.progress.end();
    let run = match outcome {
        Ok(run) => run,
        // The optimiser's moments may be spoilt as well, so that there is nothing to go on from; the parameters are kept.
        Err(error) => {
            if let EngineError::NotFinite { kept, .. } = &error {
                follower.keep_log()?;
                follower.keep_parameters(kept)?;
            }
            return Err(Failure::Run(error.to_string()));
        }
    };
    follower.keep(&run.checkpoint)?;
    if run.interrupted {
        let (done, all, path) = (run.steps, plan.settings.steps, folder.path().display());
        return Err(Failure::Interrupted(format!("interrupted after step {done} of {all}; `rlppl infer --resume {path}` goes on")));
    }
    let summary = summary(plan, &run, follower.seconds_before);
    let text = serde_json::to_string_pretty(&summary).expect("infer: a summary is plain data") + "\n";
    folder.write(SUMMARY, text.as_bytes()).map_err(failed)?;
    match arguments.format {
        Format::Text => console::result(&print(&summary, &folder)),
        Format::Json => console::json(&WithFolder { summary: &summary, folder: folder.path().display().to_string() }),
    }
}

/// The folder of an earlier run, where `--resume` asks for one and there is one.
fn folder_to_resume(arguments: &Arguments) -> Result<Option<Folder>, Failure> {
    let Some(named) = &arguments.resume else { return Ok(None) };
    if named.is_file() {
        return Err(Failure::Usage(format!("`--resume {}` has to name the folder of a run", named.display())));
    }
    match (named.as_os_str().is_empty(), &arguments.out) {
        // `--out DIR --resume`: where there is nothing to go on with, the run begins.
        (true, Some(out)) => Ok(Folder::open(out).ok()),
        (true, None) => Err(Failure::Usage("`--resume` needs the folder of a run: `--resume runs/reinforce-0`".to_owned())),
        (false, Some(out)) if out != named => Err(Failure::Usage("`--resume` goes on in the same folder: leave `--out` away".to_owned())),
        (false, _) => Folder::open(named).map(Some).map_err(failed),
    }
}

fn beginning(arguments: &Arguments) -> Result<Start, Failure> {
    let Some(file) = &arguments.file else {
        return Err(Failure::Usage("there is no run to go on with, so a model file is needed".to_owned()));
    };
    let mut sets = input::sets(&arguments.set)?;
    sets.extend(arguments.seed.map(|seed| ("infer.seed".to_owned(), seed.to_string())));
    let loaded = input::load_with(file, &with_threads(&sets, arguments.threads))?;
    Ok(Start { loaded, sets, place: Place::New })
}

/// A run goes on as it began: only how long and on how many threads may change, which changes no step already made.
fn going_on(arguments: &Arguments, folder: Folder) -> Result<Start, Failure> {
    let sets = input::sets(&arguments.set)?;
    if let Some((name, _)) = sets.iter().find(|(name, _)| !["infer.steps", "infer.threads"].contains(&name.as_str())) {
        return Err(Failure::Usage(format!("a run goes on as it began: `--set {name}=…` would change it (`infer.steps` may change)")));
    }
    let loaded = input::load_with(&folder.file(MODEL), &with_threads(&sets, arguments.threads))?;
    if let Some(file) = &arguments.file {
        let given = input::parse(&input::read(file)?)?;
        if name_of(&given) != name_of(&loaded.file) {
            let (file, folder) = (file.display(), folder.path().display());
            return Err(Failure::Usage(format!("`{file}` is not the model of the run in `{folder}`")));
        }
    }
    Ok(Start { loaded, sets, place: Place::GoesOn(folder) })
}

fn name_of(file: &ast::File) -> Option<&str> {
    file.items.iter().find_map(|item| match item {
        ast::Item::Model(name) => Some(name.text.as_str()),
        _ => None,
    })
}

/// The number of threads is not written into `model.rlmodel`: the result does not depend on it.
fn with_threads(sets: &input::Sets, threads: Option<u32>) -> input::Sets {
    let threads = threads.map(|threads| ("infer.threads".to_owned(), threads.to_string()));
    sets.iter().cloned().chain(threads).collect()
}

fn new_folder(arguments: &Arguments, plan: &Plan) -> Result<Folder, Failure> {
    let occupied = if arguments.overwrite { Occupied::Overwrite } else { Occupied::Refuse };
    match &arguments.out {
        None => Folder::fresh(Path::new("runs"), &plan.model.name, plan.settings.seed).map_err(failed),
        Some(path) => Folder::at(path, occupied).map_err(|error| match error {
            ReportError::Occupied { .. } => {
                Failure::Usage(format!("{error}: `--resume` goes on with the run in it, `--overwrite` replaces it"))
            }
            error => failed(error),
        }),
    }
}

/// Where to go on; a run that left no checkpoint begins anew.
fn checkpoint(folder: &Folder, plan: &Plan) -> Result<Option<Checkpoint>, Failure> {
    if !folder.file(CHECKPOINT).exists() {
        return Ok(None);
    }
    let bytes = folder.read(CHECKPOINT).map_err(failed)?;
    let wrong = |error: engine::FileError| Failure::Wrong(format!("`{}`: {error}", folder.file(CHECKPOINT).display()));
    Checkpoint::from_safetensors(&plan.model, &bytes).map(Some).map_err(wrong)
}

fn write_model(folder: &Folder, start: &Start, plan: &Plan) -> Result<(), Failure> {
    let mut sets = start.sets.clone();
    sets.push(("infer.seed".to_owned(), plan.settings.seed.to_string()));
    for (name, text) in report::as_run(&start.loaded.file, &sets) {
        folder.write(&name, text.as_bytes()).map_err(failed)?;
    }
    Ok(())
}

fn failed(error: ReportError) -> Failure {
    if error.is_usage() { Failure::Usage(error.to_string()) } else { Failure::Run(error.to_string()) }
}

/// Ctrl-C was pressed.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Shows how a run goes and logs it.
struct Follower<'a> {
    plan: &'a Plan,
    folder: &'a Folder,
    progress: Progress,
    metrics: Log,
    timings: Log,
    env_steps_before: u64,
    seconds_before: f64,
}

impl<'a> Follower<'a> {
    fn new(plan: &'a Plan, folder: &'a Folder, from: Option<&Checkpoint>, quiet: bool) -> Result<Follower<'a>, Failure> {
        listen();
        let earlier = |name| match from {
            Some(checkpoint) if folder.file(name).exists() => Log::read(folder, name, checkpoint.step).map_err(failed),
            _ => Ok(Log::default()),
        };
        let (metrics, timings) = (earlier(METRICS)?, earlier(TIMINGS)?);
        let seconds_before = timings.last().and_then(|line| line.get("wall_seconds")?.as_f64()).unwrap_or(0.0);
        let progress = Progress::new(plan.settings.steps, from.map_or(0, |checkpoint| checkpoint.step), quiet);
        let env_steps_before = from.map_or(0, |checkpoint| checkpoint.env_steps);
        Ok(Follower { plan, folder, progress, metrics, timings, env_steps_before, seconds_before })
    }

    /// Writes all that has to be kept of a run that ends here.
    fn keep(&self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        self.keep_log()?;
        self.keep_parameters(&checkpoint.parameters)?;
        self.write(CHECKPOINT, checkpoint.to_safetensors())
    }

    fn keep_log(&self) -> Result<(), Failure> {
        self.metrics.write(self.folder, METRICS).map_err(failed)?;
        self.timings.write(self.folder, TIMINGS).map_err(failed)
    }

    fn keep_parameters(&self, parameters: &Parameters<f64>) -> Result<(), Failure> {
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
    env_steps: u64,
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
        let rate = (metrics.env_steps - self.env_steps_before) as f64 / metrics.wall_seconds.max(1e-9);
        let names = self.plan.terms.iter().map(|term| term.name.clone());
        self.metrics.push(&MetricsLine {
            step: metrics.step,
            bound: metrics.bound,
            terms: names.zip(metrics.terms.iter().map(|&value| value.into())).collect(),
            expected_return: metrics.expected_return,
            entropy: metrics.entropy,
            gradient_norm: metrics.gradient_norm,
            baseline_error: &metrics.baseline_error,
            env_steps: metrics.env_steps,
        });
        let wall_seconds = self.seconds_before + metrics.wall_seconds;
        self.timings.push(&TimingsLine { step: metrics.step, wall_seconds, env_steps_per_second: rate });
        self.progress.show(metrics, rate);
        ControlFlow::Continue(())
    }

    fn interrupted(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }
}

/// The first Ctrl-C asks the run to end after its step; a second one ends the program at once.
fn listen() {
    let handler = || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    };
    if ctrlc::set_handler(handler).is_err() {
        console::note("Ctrl-C will end the run without a checkpoint: the signal could not be watched");
    }
}

fn summary(plan: &Plan, run: &Run, seconds_before: f64) -> Summary {
    Summary {
        model: plan.model.name.clone(),
        bound: run.evaluation.bound,
        bound_se: run.evaluation.bound_se,
        expected_return: run.evaluation.expected_return,
        return_se: run.evaluation.return_se,
        steps: run.steps,
        env_steps: run.env_steps,
        wall_seconds: seconds_before + run.wall_seconds,
        seed: plan.settings.seed,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        exact: exact::of_policy(&plan.model, &run.parameters),
    }
}

#[derive(Serialize)]
struct WithFolder<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    folder: String,
}

fn print(summary: &Summary, folder: &Folder) -> String {
    let Summary { model, steps, env_steps, wall_seconds, seed, .. } = summary;
    let mut text = format!("{model}, seed {seed}: {steps} steps, {} environment steps, {wall_seconds:.2} s\n", short(*env_steps as f64));
    text += &format!("{:<17}{:>21}  nats, estimated from trajectories\n", "bound", uncertain(summary.bound, summary.bound_se));
    text +=
        &format!("{:<17}{:>21}  estimated from trajectories\n", "expected return", uncertain(summary.expected_return, summary.return_se));
    if let Some(exact) = &summary.exact {
        text += &exact::print(exact);
    }
    text + &format!("{:<17}{}\n", "folder", folder.path().display())
}
