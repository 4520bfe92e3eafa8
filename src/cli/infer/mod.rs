//! `rlppl infer`: trains a model's policy and leaves a run's folder; of several seeds a folder
//! each, and a table.

mod follow;
mod seeds;
mod signals;
mod start;
mod train;

use super::{Failure, Format, console, input, memory};
use seeds::Seeds;
use start::Given;
use std::path::PathBuf;
use train::Done;

/// Train a model's policy.
///
/// Maximises the bound that follows from the model's factors, shows how it goes on standard error,
/// and ends with a summary: the bound and the return with their standard errors, and on finite
/// models the exact numbers and how far they are from the optimum.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl infer models/reinforce.rlmodel
  rlppl infer models/reinforce.rlmodel --seed 3 --set alpha=1 --set infer.steps=1000
  rlppl infer models/reinforce.rlmodel --seeds 1..5
  rlppl infer models/cartpole.rlmodel --out runs/mine --overwrite
  rlppl infer --resume runs/mine
  rlppl infer models/cartpole.rlmodel --out runs/mine --resume

Ctrl-C, SIGTERM and SIGHUP end the run after the current step, leave a checkpoint, and
exit with 130; a step that takes long is given up, and a second Ctrl-C does not wait. A
checkpoint is written once a minute (infer.checkpoint_every) and at the end, so that what
ends the program otherwise loses no more. The last example can be given again and again:
the run goes on if there is one, with the model as it was run, and begins if there is none.

With several seeds each run has a folder of its own, and a table of all of them ends
with the median, the least and the greatest of each column. A run that fails does not
stop the others; the exit status is then 3.

The folder holds model.rlmodel (as run: running it again gives the same files),
metrics.jsonl and timings.jsonl, written as they come, parameters.safetensors,
checkpoint.safetensors, summary.json, and manifest.json, which names the files that
--overwrite replaces, after the new run's first checkpoint.")]
pub struct Arguments {
    /// The model file; `-` reads standard input
    #[arg(value_name = "FILE", required_unless_present = "resume")]
    file: Option<PathBuf>,
    #[command(flatten)]
    set: input::SetArguments,
    /// Seed of all random streams; wins over `infer.seed`
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Train with each of these seeds in turn: `1..5` (both included), `1,4,7`
    #[arg(long, value_name = "SEEDS", value_parser = Seeds::parse, conflicts_with = "seed")]
    seeds: Option<Seeds>,
    /// Worker threads; the result does not depend on it [default: the machine's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// The run's folder, or that of the folders 1, 2, … of several seeds [default: runs/MODEL-SEED,
    /// with -2, -3, … where that is taken]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on from the checkpoint of the run in DIR, in the folder of `--out`, or of the last run of
    /// FILE with this seed
    #[arg(long, value_name = "DIR", num_args = 0..=1, conflicts_with = "overwrite")]
    resume: Option<Option<PathBuf>>,
    /// Replace the run in the folder of `--out`, from the first checkpoint on
    #[arg(long, requires = "out")]
    overwrite: bool,
    #[command(flatten)]
    memory: memory::MemoryArguments,
    /// Show nothing while the run goes
    #[arg(long, short)]
    quiet: bool,
    /// How to print the summary
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    signals::listen();
    let given = arguments.file.as_ref().map(|file| start::given(arguments, file)).transpose()?;
    match &arguments.seeds {
        Some(seeds) => seeds::run(arguments, seeds, given.as_ref()),
        None => {
            let done = one(arguments, given.as_ref(), None)?;
            match arguments.format {
                Format::Text => console::result(&train::print(&done)),
                Format::Json => console::json(&done),
            }
        }
    }
}

/// One run, that of `seed` if several were asked for.
fn one(arguments: &Arguments, given: Option<&Given>, seed: Option<u64>) -> Result<Done, Failure> {
    train::train(arguments, start::start(arguments, given, seed)?)
}
