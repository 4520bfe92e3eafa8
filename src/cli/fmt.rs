//! `rlppl fmt`: the canonical layout of model files.

use super::difference::difference;
use super::{Failure, console, input};
use crate::diagnostic::Diagnostics;
use crate::report;
use crate::source::Source;
use crate::syntax;
use std::path::{Path, PathBuf};

/// Lay model files out in the canonical way.
///
/// Rewrites each file in place and keeps its comments; a file with a syntax error is left as it is.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl fmt models/*.rlmodel models/*.rlenv
  rlppl fmt --check models/*.rlmodel      show what would change, and exit 1 where something would
  rlppl fmt - < draft.rlmodel             from standard input to standard output")]
pub struct Arguments {
    /// `.rlmodel` and `.rlenv` files; `-` formats standard input to standard output
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change nothing: print the differences, and exit 1 where there are any
    #[arg(long)]
    check: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut changed, mut worst) = (0, None);
    for path in &arguments.files {
        match format(path, arguments.check) {
            Ok(true) => changed += 1,
            Ok(false) => {}
            Err(failure @ (Failure::Run(_) | Failure::Closed)) => return Err(failure),
            // The other files are formatted all the same.
            Err(failure) => worst = worst.max(Some(failure.tell())),
        }
    }
    let files = |n: usize| if n == 1 { "1 file".to_owned() } else { format!("{n} files") };
    match (worst, arguments.check, changed) {
        (Some(code), ..) => Err(Failure::Told(code)),
        (None, true, 1..) => {
            console::note(&format!("{} would be laid out differently", files(changed)));
            Err(Failure::Told(1))
        }
        (None, false, 1..) if !arguments.files.iter().all(|path| input::is_stdin(path)) => {
            console::note(&format!(
                "{} laid out anew, {} unchanged",
                files(changed),
                arguments.files.len() - changed
            ));
            Ok(())
        }
        (None, _, _) => Ok(()),
    }
}

/// Whether the layout of `path` differs from the canonical one; it is rewritten unless `check` only
/// asks.
fn format(path: &Path, check: bool) -> Result<bool, Failure> {
    let source = input::read(path)?;
    let printed = layout(&source).map_err(Failure::Model)?;
    let differs = printed != *source.text;
    if check {
        if differs {
            console::result(&difference(&source.name, &source.text, &printed, "canonical layout"))?;
        }
    } else if input::is_stdin(path) {
        console::verbatim(&printed)?;
    } else if differs {
        report::write_atomic(path, printed.as_bytes())
            .map_err(|error| Failure::Run(error.to_string()))?;
    }
    Ok(differs)
}

fn layout(source: &Source) -> Result<String, Diagnostics> {
    let is_environment = source
        .path
        .as_deref()
        .and_then(Path::extension)
        .is_some_and(|extension| extension == "rlenv");
    if is_environment {
        syntax::parse_environment_file(source)
            .map(|file| syntax::print_environment_file(&file, source))
    } else {
        syntax::parse(source).map(|file| syntax::print(&file))
    }
}
