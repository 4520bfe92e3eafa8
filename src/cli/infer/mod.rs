//! `rlppl infer`: trains a model's policy and leaves a run's folder; of several seeds a folder each, and a table.

mod follow;
mod seeds;
mod start;
mod train;

use super::{Failure, Format, console, input};
use crate::bound;
use crate::plan::{self, Plan};
use crate::report::Occupied;
use seeds::Seeds;
use start::{Place, Start};
use std::path::{Path, PathBuf};
use train::Done;

/// Train a model's policy.
///
/// Maximises the bound that follows from the model's factors, shows how it goes on standard error, and ends with a summary: the bound and
/// the return with their standard errors, and on finite models the exact numbers and how far they are from the optimum.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl infer models/reinforce.rlmodel
  rlppl infer models/reinforce.rlmodel --seed 3 --set alpha=1 --set infer.steps=1000
  rlppl infer models/reinforce.rlmodel --seeds 1..5
  rlppl infer models/cartpole.rlmodel --out runs/mine --overwrite
  rlppl infer --resume runs/mine

Ctrl-C ends the run after the current step, leaves a checkpoint, and exits with 130.

With several seeds each run has a folder of its own, and a table of all of them ends
with the median, the least and the greatest of each column. A run that fails does not
stop the others; the exit status is then 3.

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
    /// Train with each of these seeds in turn: `1..5` (both included), `1,4,7`
    #[arg(long, value_name = "SEEDS", value_parser = Seeds::parse, conflicts_with_all = ["seed", "resume"])]
    seeds: Option<Seeds>,
    /// Worker threads; the result does not depend on it [default: the machine's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// The run's folder, or that of the folders 1, 2, … of several seeds [default: runs/MODEL-SEED, with -2, -3, … where that is taken]
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

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let start = match start::folder_to_resume(arguments)? {
        Some(folder) => start::going_on(arguments, folder)?,
        None => start::beginning(arguments)?,
    };
    let model = &start.loaded.model;
    let derivation = bound::derive(model).map_err(Failure::Model)?;
    let plan = plan::plan(model, &derivation).map_err(Failure::Model)?;
    follow::listen();
    match &arguments.seeds {
        Some(seeds) => seeds::run(arguments, seeds, &start, plan),
        None => {
            let done = one(arguments, arguments.out.as_deref(), &start, &plan)?;
            match arguments.format {
                Format::Text => console::result(&train::print(&done)),
                Format::Json => console::json(&done),
            }
        }
    }
}

/// One run, in the folder `out` or where nothing is asked for in one of its own under `runs/`.
fn one(arguments: &Arguments, out: Option<&Path>, start: &Start, plan: &Plan) -> Result<Done, Failure> {
    let (folder, from) = match &start.place {
        Place::New => (start::new_folder(out, arguments.occupied(), plan)?, None),
        Place::GoesOn(folder) => (folder.clone(), start::checkpoint(folder, plan)?),
    };
    let written = start::write_model(&folder, start, plan);
    written.inspect_err(|_| folder.remove_if_empty())?;
    train::train(arguments, plan, &folder, from.as_ref())
}

impl Arguments {
    fn occupied(&self) -> Occupied {
        if self.overwrite { Occupied::Overwrite } else { Occupied::Refuse }
    }
}
