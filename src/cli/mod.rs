//! The program: a subcommand per stage, each printing that stage's result. The only place that
//! prints; contains no mathematics.

mod bound;
mod check;
mod completions;
mod console;
mod difference;
mod eval;
mod exact;
mod fmt;
mod graph;
mod infer;
mod input;
mod memory;
mod options;
mod output;
mod plan;
mod progress;
mod report;
mod rewards;
mod test;
mod trained;
mod unchanged;
mod verify;

use crate::diagnostic::Diagnostics;
use clap::{Parser, Subcommand, ValueEnum};
use std::process::ExitCode;

/// Reinforcement learning as variational inference.
///
/// A `.rlmodel` file states a prior, a likelihood and an approximate posterior over trajectories as
/// lists of factors. rlppl derives the variational bound that follows from them, trains the policy
/// that maximises it, and on finite models says how far from the exact optimum it ended.
#[derive(Parser, Debug)]
#[command(
    name = "rlppl",
    version,
    arg_required_else_help = true,
    after_help = AFTER_HELP,
    max_term_width = 100
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  rlppl check models/*.rlmodel            every mistake, and how to mend it
  rlppl bound models/reinforce.rlmodel    the bound that follows from the factors
  rlppl graph models/reinforce.rlmodel    its factor graph, for Graphviz
  rlppl exact models/reinforce.rlmodel    the exact optimum of a finite model
  rlppl verify models/reinforce.rlmodel   hold the derivation against every trajectory
  rlppl infer models/reinforce.rlmodel    train, and say how far it is from the optimum
  rlppl eval runs/reinforce-0 --greedy    roll the trained policy out
  rlppl report runs/reinforce-0           draw runs on one page

The model file `-` is standard input. Results go to standard output, progress and
diagnostics to standard error. NO_COLOR=1 turns colours off.

Exit status:
  0    done
  1    the model or the data is wrong
  2    wrong usage
  3    the run failed
  130  interrupted: a checkpoint is left";

#[derive(Subcommand, Debug)]
enum Command {
    Check(check::Arguments),
    Bound(bound::Arguments),
    Graph(graph::Arguments),
    Plan(plan::Arguments),
    Exact(exact::Arguments),
    Verify(verify::Arguments),
    Infer(infer::Arguments),
    Eval(eval::Arguments),
    Report(report::Arguments),
    Test(test::Arguments),
    Fmt(fmt::Arguments),
    Completions(completions::Arguments),
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// The model is wrong: exit 1.
    Model(Diagnostics),
    /// The model or the data is wrong, without a place to point at: exit 1.
    Wrong(String),
    /// All has been said already (failed tests, unformatted files): this exit code.
    Told(u8),
    /// Wrong usage: exit 2.
    Usage(String),
    /// Wrong usage, with a place in an argument: exit 2.
    UsageAt(Diagnostics),
    /// The run failed: exit 3.
    Run(String),
    /// Ctrl-C: exit 130, as shells count it.
    Interrupted(String),
    /// Whoever read our output has gone away: nothing is wrong.
    Closed,
}

/// Runs the program on the arguments of the process.
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Bound(arguments) => bound::run(&arguments),
        Command::Graph(arguments) => graph::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Exact(arguments) => exact::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Infer(arguments) => infer::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Fmt(arguments) => fmt::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
    };
    console::shortage();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(failure.tell()),
    }
}

impl Failure {
    /// Says what is wrong on standard error and returns the exit code.
    fn tell(&self) -> u8 {
        match self {
            Failure::Model(found) | Failure::UsageAt(found) => console::diagnostics(found),
            Failure::Wrong(text) | Failure::Usage(text) | Failure::Run(text) => {
                console::error(text)
            }
            Failure::Interrupted(text) => console::note(text),
            Failure::Told(_) | Failure::Closed => {}
        }
        self.code()
    }

    fn code(&self) -> u8 {
        match self {
            Failure::Closed => 0,
            Failure::Told(code) => *code,
            // what `--set` says is wrong usage, whoever finds out
            Failure::Model(found) => input::code(found),
            Failure::Wrong(_) => 1,
            Failure::Usage(_) | Failure::UsageAt(_) => 2,
            Failure::Run(_) => 3,
            Failure::Interrupted(_) => 130,
        }
    }
}
