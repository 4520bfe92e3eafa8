//! What `rlppl infer` is asked for.

use crate::cli::{Format, input, memory};
use crate::report::Folder;
use std::fmt;
use std::path::{Path, PathBuf};

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
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) set: input::SetArguments,
    /// Seed of all random streams; wins over `infer.seed`
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Train with each of these seeds in turn: `1..5` (both included), `1,4,7`
    #[arg(long, value_name = "SEEDS", value_parser = Seeds::parse, conflicts_with = "seed")]
    pub(super) seeds: Option<Seeds>,
    /// Worker threads; the result does not depend on it [default: the machine's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) threads: Option<u32>,
    /// The run's folder, or that of the folders 1, 2, … of several seeds [default: runs/MODEL-SEED,
    /// with -2, -3, … where that is taken]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Go on from the checkpoint of the run in DIR, in the folder of `--out`, or of the last run of
    /// FILE with this seed
    #[arg(long, value_name = "DIR", num_args = 0..=1, conflicts_with = "overwrite")]
    pub(super) resume: Option<Option<PathBuf>>,
    /// Replace the run in the folder of `--out`, from the first checkpoint on
    #[arg(long, requires = "out")]
    pub(super) overwrite: bool,
    #[command(flatten)]
    pub(super) memory: memory::MemoryArguments,
    /// Show nothing while the run goes
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// How to print the summary
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}

/// The seeds of `--seeds` in the order given, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub(super) Vec<u64>);

/// Seeds of one command.
const MOST: usize = 10_000;
/// A model file holds whole numbers below this exactly.
const END: u64 = 1 << 53;

/// `1..3,7`
impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for &seed in &self.0 {
            match ranges.last_mut() {
                Some((_, to)) if *to + 1 == seed => *to = seed,
                _ => ranges.push((seed, seed)),
            }
        }
        let shown = ranges
            .iter()
            .map(|(from, to)| if from == to { from.to_string() } else { format!("{from}..{to}") });
        f.write_str(&shown.collect::<Vec<_>>().join(","))
    }
}

impl Seeds {
    /// Those whose runs a folder holds, if it holds any.
    pub fn inside(folder: &Path) -> Option<Seeds> {
        let entries = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        let of_run =
            |path: PathBuf| Folder::open(&path).ok().and(path.file_name()?.to_str()?.parse().ok());
        let mut seeds: Vec<u64> = entries.filter_map(of_run).collect();
        seeds.sort_unstable();
        Some(Seeds(seeds)).filter(|seeds| !seeds.0.is_empty())
    }

    /// Reads `1..5`, both ends included, `1,4,7`, and lists of both: `1..3,7`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Seeds, String> {
        let mut seeds = Vec::new();
        for part in text.split(',') {
            let (from, to) = match part.split_once("..") {
                Some((from, to)) => (number(from)?, number(to)?),
                None => number(part).map(|seed| (seed, seed))?,
            };
            if from > to {
                return Err(format!(
                    "`{part}` is empty: a range goes from its least seed to its greatest, as \
                     `{to}..{from}`"
                ));
            }
            if to - from >= MOST as u64 || seeds.len() + (to - from) as usize >= MOST {
                return Err(format!("more than {MOST} seeds"));
            }
            seeds.extend(from..=to);
        }
        let mut sorted = seeds.clone();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("seed {} is named twice", pair[0])),
            None => Ok(Seeds(seeds)),
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    let seed = text.trim().parse().ok().filter(|&seed| seed < END);
    seed.ok_or_else(|| format!("`{text}` is not a seed: write whole numbers, as `1..5` or `1,4,7`"))
}
