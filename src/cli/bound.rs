//! `rlppl bound`: the bound that follows from the factors.

use super::difference::difference;
use super::{Failure, console, input};
use crate::bound::render::{self, Detail};
use crate::bound::{self, Derivation};
use crate::report;
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// Derive the variational bound of a model, and its gradient.
///
/// Prints the bound term by term, what cancelled, and the gradient estimator, all from the factors
/// alone.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl bound models/reinforce.rlmodel
  rlppl bound models/reinforce.rlmodel --steps
  rlppl bound models/reinforce.rlmodel --save       keep it as models/reinforce.rlmodel.bound.snap
  rlppl bound models/reinforce.rlmodel --check      exit 1, with the difference, where it has \
  changed")]
pub struct Arguments {
    #[command(flatten)]
    model: input::ModelArguments,
    /// Print the whole derivation, each step with its rule
    #[arg(long)]
    steps: bool,
    /// Write the bound beside the model, as FILE.bound.snap
    #[arg(long, conflicts_with = "check")]
    save: bool,
    /// Compare with FILE.bound.snap: exit 1, with the difference, where the bound has changed
    #[arg(long)]
    check: bool,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For a paper
    Latex,
    /// For a page
    Mathml,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if input::is_stdin(&arguments.model.file) && (arguments.save || arguments.check) {
        return Err(Failure::Usage(
            "a snapshot stands beside its model file; standard input has no place".to_owned(),
        ));
    }
    let loaded = input::load(&arguments.model)?;
    let derivation = bound::derive(&loaded.model).map_err(Failure::Model)?;
    if arguments.save {
        let path = snapshot_path(&arguments.model.file);
        report::write_atomic(&path, snapshot(&derivation).as_bytes())
            .map_err(|error| Failure::Run(error.to_string()))?;
        return console::result(&format!("{}\n", path.display()));
    }
    if arguments.check {
        return compare(&arguments.model.file, &derivation);
    }
    let detail = if arguments.steps { Detail::Steps } else { Detail::Bound };
    match arguments.format {
        Format::Text => console::result(&render::text(&derivation, detail)),
        Format::Latex => console::verbatim(&render::latex(&derivation, detail)),
        Format::Mathml => console::verbatim(&render::mathml(&derivation, detail)),
        Format::Json => console::json(&render::json(&derivation)),
    }
}

/// Where the snapshot of a model's bound stands: `x.rlmodel` → `x.rlmodel.bound.snap`.
pub fn snapshot_path(model: &Path) -> PathBuf {
    let mut name = model.as_os_str().to_owned();
    name.push(".bound.snap");
    PathBuf::from(name)
}

/// What a snapshot holds: the derivation as `rlppl bound --steps` prints it.
pub fn snapshot(derivation: &Derivation) -> String {
    render::text(derivation, Detail::Steps)
}

fn compare(file: &Path, derivation: &Derivation) -> Result<(), Failure> {
    let path = snapshot_path(file);
    let kept = input::read(&path)?;
    let now = snapshot(derivation);
    if *kept.text == now {
        return Ok(());
    }
    console::result(&difference(&kept.name, &kept.text, &now, "as derived now"))?;
    Err(Failure::Told(1))
}
