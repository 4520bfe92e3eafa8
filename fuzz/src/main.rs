//! Mutated model files through every stage: `cargo run -p rlppl-fuzz -- --seconds 60`.
//!
//! A case is made from a seed and a number, so that it can be made again. Cases run in child
//! processes: a crash, a hang or an allocation beyond all bounds is a fault of the case it happened
//! in, whose text is kept, and the next case follows.

mod mutate;
mod stages;
mod watch;

use clap::Parser;
use mutate::Corpus;
use std::path::PathBuf;
use std::process::ExitCode;

/// Mutate model files and hold every stage to what it promises: no panic, no hang, no number that
/// is none, and what is verified holds.
#[derive(Parser, Debug)]
struct Arguments {
    /// Seconds to go on for
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Cases at the most: the same ones on any machine, if the time is enough for them
    #[arg(long)]
    cases: Option<u64>,
    /// Seed of all cases
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Cases that run at the same time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    jobs: u64,
    /// Seconds after which a case is taken for a hang
    #[arg(long, default_value_t = 60)]
    patience: u64,
    /// The model files that cases are made of
    #[arg(long, default_value = "models", value_name = "FOLDER")]
    corpus: Vec<PathBuf>,
    /// Where the texts of faults are kept
    #[arg(long, default_value = "target/fuzz", value_name = "FOLDER")]
    keep: PathBuf,
    /// Instead, run one file, and say how far it comes
    #[arg(long, value_name = "FILE", conflicts_with = "worker")]
    file: Option<PathBuf>,
    /// Instead, run every JOBS-th case from this one on, and tell each on a line
    #[arg(long, hide = true)]
    worker: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(file) = &arguments.file {
        return match std::fs::read_to_string(file) {
            Ok(text) => {
                // it names environments that stand in files beside the corpus
                let _ = std::env::set_current_dir(&arguments.corpus[0]);
                println!("{}", stages::run(&text));
                ExitCode::SUCCESS
            }
            Err(error) => fail(&format!("{}: {error}", file.display())),
        };
    }
    let corpus = match Corpus::read(&arguments.corpus) {
        Ok(corpus) => corpus,
        Err(error) => return fail(&error),
    };
    if let Some(first) = arguments.worker {
        watch::work(&corpus, &arguments.corpus[0], arguments.seed, first, arguments.jobs);
        return ExitCode::SUCCESS;
    }
    match watch::watch(&arguments, &corpus) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::from(2)
}
