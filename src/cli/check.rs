//! `rlppl check`: every mistake in model files.

use super::{Failure, Format, console, input};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, render_json};
use crate::source::{Source, Span};
use crate::syntax;
use crate::{bound, plan};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// Find every mistake in model files.
///
/// Reads each file whole, so that all mistakes are told at once, each with its place and how to
/// mend it.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl check models/reinforce.rlmodel
  rlppl check --deny warnings models/*.rlmodel
  rlppl check --format json - < models/reinforce.rlmodel      for editors")]
pub struct Arguments {
    /// Model files; `-` reads standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Make warnings count as errors for the exit status
    #[arg(long, value_enum, value_name = "WHAT")]
    deny: Option<Deny>,
    /// Add warnings of taste: what a careful author would add
    #[arg(long)]
    pedantic: bool,
    /// How to print: `text` on standard error, `json` on standard output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    set: input::SetArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Deny {
    Warnings,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let sets = input::sets(&arguments.set)?;
    let mut all = Vec::new();
    let mut usage = None;
    for path in &arguments.files {
        match examine(path, &sets, arguments.pedantic) {
            Ok(found) => all.push((path, found)),
            Err(failure @ (Failure::Usage(_) | Failure::UsageAt(_))) => {
                usage = Some(failure.tell())
            }
            Err(failure) => return Err(failure),
        }
    }
    match arguments.format {
        Format::Text => {
            for (path, found) in &all {
                console::diagnostics(found);
                console::result(&format!("{}: {}\n", path.display(), tally(found)))?;
            }
        }
        Format::Json => {
            let found = all.iter().map(|(_, found)| found).fold(Diagnostics::default(), together);
            console::verbatim(&(render_json(&found) + "\n"))?;
        }
    }
    let wrong = |severity| {
        severity == Severity::Error || (arguments.deny.is_some() && severity == Severity::Warning)
    };
    let denied = |found: &Diagnostics| found.list.iter().any(|told| wrong(told.severity));
    match usage {
        Some(code) => Err(Failure::Told(code)),
        None => match all
            .iter()
            .filter(|(_, found)| denied(found))
            .map(|(_, found)| input::code(found))
            .min()
        {
            Some(code) => Err(Failure::Told(code)),
            None => Ok(()),
        },
    }
}

/// All that is to be said of one file. Only what is wrong with the command line is a failure.
fn examine(path: &Path, sets: &input::Sets, pedantic: bool) -> Result<Diagnostics, Failure> {
    let source = match input::read(path) {
        Ok(source) => source,
        Err(Failure::Wrong(message)) => return Ok(whole_file(path, message)),
        Err(failure) => return Err(failure),
    };
    let file = match syntax::parse(&source) {
        Ok(file) => file,
        Err(found) => return Ok(found),
    };
    let taste = if pedantic { syntax::taste(&file) } else { Vec::new() };
    let mut found = match input::check(&file, sets) {
        Ok(model) => {
            // records stand beside a file, and standard input has no place
            let mut list = bound::derive(&model)
                .map_or_else(|found| found.list, |derivation| plan::mistakes(&model, &derivation));
            list.retain(|told| told.code.0 != "data" || source.path.is_some());
            list.extend(model.warnings);
            Diagnostics { list, sources: model.sources }
        }
        Err(Failure::Model(found)) => found,
        Err(failure) => return Err(failure),
    };
    found.list.extend(taste);
    Ok(found)
}

/// `no mistakes`, `2 errors, 1 warning`, `no mistakes, 1 note`
fn tally(found: &Diagnostics) -> String {
    let count =
        |severity| found.list.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let named = |n: usize, word: &str| {
        (n > 0).then(|| format!("{n} {word}{}", if n == 1 { "" } else { "s" }))
    };
    let mistakes =
        [named(count(Severity::Error), "error"), named(count(Severity::Warning), "warning")];
    let mut said: Vec<String> = mistakes.into_iter().flatten().collect();
    if said.is_empty() {
        said.push("no mistakes".to_owned());
    }
    said.extend(named(count(Severity::Note), "note"));
    said.join(", ")
}

/// What is wrong with a file as a whole: its text cannot be shown.
fn whole_file(path: &Path, message: String) -> Diagnostics {
    let list = vec![Diagnostic::error("unreadable", Span::default(), message)];
    Diagnostics { list, sources: vec![Source::new(path.display().to_string(), "")] }
}

/// The diagnostics of several files as of one.
fn together(mut all: Diagnostics, found: &Diagnostics) -> Diagnostics {
    let before = u32::try_from(all.sources.len()).expect("check: fewer than 2^32 files");
    all.sources.extend(found.sources.iter().cloned());
    all.list.extend(found.list.iter().cloned().map(|mut diagnostic| {
        diagnostic.labels.iter_mut().for_each(|label| label.span.file += before);
        diagnostic
    }));
    all
}
