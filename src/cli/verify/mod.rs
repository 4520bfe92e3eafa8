//! `rlppl verify`: the derivation and the estimators of a file held against the truth.

mod estimators;
mod print;

use super::{Failure, Format, console, exact, input, memory};
use crate::bound::{self, BoundDerivation};
use crate::engine::{self, Unwritten};
use crate::model::{BoundId, Model};
use crate::verify::{self, Unverified, Verified};
use estimators::{Estimator, Judged};

/// Hold the derived bound and its gradient against all trajectories of a small finite model.
///
/// Both sides of every step are computed by listing every trajectory, with random tables in the
/// place of kernels that have parameters (constants stay as they are, and so does what a kernel
/// rules out); so are the mean and the variance of each gradient estimator, against the exact
/// gradient. Where the horizon makes the list too long it is shortened, and that is said.
///
/// Then each estimator that `infer` runs for the file is sampled and its mean compared with the
/// oracle's gradient: the one of the file's own settings at the file's own horizon, and with it
/// each baseline, `options = enumerate` and `kl_to_go = false` at a short one, at random parameters
/// of three scales. The bias is told in standard errors, against a threshold that an unbiased
/// estimator exceeds once in 10 000 seeds at the most, over all looks together. What settings bias
/// by design is measured and does not fail. Of a world that is small and finite all trajectories
/// are listed, too, at the longest horizon that has at most 2000, up to 6, or else at two steps:
/// the trainer's own code runs each of them, and the bias of each estimator comes out exactly. Of a
/// file with several bounds each that is maximised has its own. In the place of a classifier stands
/// the log-ratio that it estimates.
///
/// What cannot be judged, such as the bound of a world with real states, is said to be not judged,
/// with the reason, and what was sampled too little to decide, undecided; neither is a failure.
/// Exit status 1 tells that something that was judged does not hold, or that the model is wrong.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl verify models/reinforce.rlmodel
  rlppl verify models/options_window.rlmodel --tables 10
  rlppl verify models/predicted.rlmodel --bound truth
  rlppl verify models/vic.rlmodel --set infer.options=enumerate --format json")]
pub struct Arguments {
    #[command(flatten)]
    model: input::ModelArguments,
    /// How many sets of random tables are tried
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    tables: u64,
    /// Of which bound, where the file has several [default: all]
    #[arg(long, value_name = "NAME")]
    bound: Option<String>,
    /// Seed of the first set of tables, and of the parameters at which estimators are sampled
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// One bound, and what it was held against: a result for each set of tables, or why its
/// trajectories cannot be listed.
struct Held {
    derivation: BoundDerivation,
    results: Result<Vec<Verified>, String>,
}

/// All that a command found.
struct Found {
    model: Model,
    /// The horizon that the file has, where the list is of a shorter one.
    shortened: Option<usize>,
    held: Vec<Held>,
    sampled: Judged,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let sets = input::sets(&arguments.model.set)?;
    let loaded = input::load_with(&arguments.model.file, &sets)?;
    memory::verify_parameters(&loaded.model)?;
    let asked = loaded.model.horizon.value;
    let seeds = arguments.seed..arguments.seed.saturating_add(arguments.tables);
    let whole = loaded.model.clone();
    let only =
        arguments.bound.as_deref().map(|name| exact::bound(&whole, Some(name))).transpose()?;
    let at_horizon = |horizon: usize| {
        let mut sets: input::Sets =
            sets.iter().filter(|(name, _)| *name != whole.horizon.name).cloned().collect();
        sets.push((whole.horizon.name.clone(), horizon.to_string()));
        input::check(&loaded.file, &sets)
    };
    let mut model = loaded.model;
    let held = loop {
        match hold(&model, only, seeds.clone()) {
            Ok(held) => break held,
            // lists grow by a factor a step: long horizons come down fast
            Err(Refused::TooLong) => {
                let horizon = model.horizon.value;
                model = at_horizon(if horizon > 8 { 8 } else { horizon - 1 })?;
            }
            Err(Refused::Wrong(failure)) => return Err(failure),
        }
    };
    // what is refused at a short horizon alone is sampled at its own
    let longest = estimators::SHORT.min(asked - 1);
    let short: Vec<Model> = (1..=longest).rev().filter_map(|t| at_horizon(t).ok()).collect();
    let sampled = estimators::judge(&whole, &short, only, arguments.seed)?;
    let found =
        Found { shortened: (model.horizon.value < asked).then_some(asked), model, held, sampled };
    match arguments.format {
        Format::Text => console::result(&print::text(&found))?,
        Format::Json => console::json(&print::json(&found))?,
    }
    if found.holds() { Ok(()) } else { Err(Failure::Told(1)) }
}

impl Found {
    /// Nothing that was judged fails.
    fn holds(&self) -> bool {
        self.sampled.holds() && self.results().all(Verified::holds)
    }

    /// All steps of every list have two sides that are numbers.
    fn all_steps_are_judged(&self) -> bool {
        self.results().all(Verified::is_judged)
    }

    /// Bounds whose trajectories were not listed.
    fn not_listed(&self) -> usize {
        self.held.iter().filter(|held| held.results.is_err()).count()
    }

    /// Neither a derivation nor an estimator was looked at.
    fn judged_nothing(&self) -> bool {
        self.not_listed() == self.held.len()
            && !self.sampled.estimators().iter().any(Estimator::is_judged)
    }

    fn results(&self) -> impl Iterator<Item = &Verified> {
        self.held.iter().filter_map(|held| held.results.as_ref().ok()).flatten()
    }
}

enum Refused {
    /// A shorter horizon may have fewer trajectories.
    TooLong,
    Wrong(Failure),
}

fn hold(
    model: &Model,
    only: Option<BoundId>,
    seeds: std::ops::Range<u64>,
) -> Result<Vec<Held>, Refused> {
    let derivation = bound::derive(model).map_err(|found| Refused::Wrong(Failure::Model(found)))?;
    let wanted = derivation
        .bounds
        .into_iter()
        .filter(|derivation| only.is_none_or(|bound| derivation.bound == bound));
    let written = engine::written_tables(model, seeds.start);
    let can_be_shorter = model.horizon.value > 1;
    let written = match written {
        Ok(written) => Ok(written),
        Err(Unwritten::NoNumbers(error)) => {
            return Err(Refused::Wrong(Failure::Wrong(format!(
                "`{}` cannot be verified: {error}",
                model.name
            ))));
        }
        Err(Unwritten::TooMany(_)) if can_be_shorter => return Err(Refused::TooLong),
        Err(Unwritten::TooMany(why)) => Err(why.to_string()),
    };
    let held = wanted.map(|derivation| {
        let verified = written.as_ref().map(|written| {
            seeds
                .clone()
                .map(|seed| verify::verify(model, &derivation, written, seed))
                .collect::<Result<Vec<_>, _>>()
        });
        let results = match verified {
            Ok(Ok(results)) => Ok(results),
            Ok(Err(Unverified::TooLarge { .. })) if can_be_shorter => return Err(Refused::TooLong),
            // no number rests on one that is none
            Ok(Err(Unverified::Overflows(what))) => {
                return Err(Refused::Wrong(Failure::Wrong(format!(
                    "`{}` cannot be verified: {what}",
                    model.name
                ))));
            }
            Ok(Err(unverified)) => Err(unverified.to_string()),
            Err(why) => Err(why.clone()),
        };
        Ok(Held { derivation, results })
    });
    held.collect()
}
