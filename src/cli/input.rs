//! From the arguments of a command to a checked model.

use super::{Failure, console};
use crate::bound;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::model::{self, Model, Overrides};
use crate::plan;
use crate::report::MODEL;
use crate::source::{ReadError, Source, Span};
use crate::syntax::{self, ast};
use std::path::{Path, PathBuf};

/// A model file and what the command line changes in it.
#[derive(clap::Args, Debug)]
pub struct ModelArguments {
    /// The model file; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub set: SetArguments,
}

#[derive(clap::Args, Debug, Default)]
pub struct SetArguments {
    /// Give a `param` or the horizon another value (`alpha=1`), or a key of `infer`
    /// (`infer.steps=500`; `infer.steps=default` takes it away); may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// A model as it was read, and as it is meant.
pub struct Loaded {
    pub file: ast::File,
    pub model: Model,
}

/// What `--set` says: names, and the text of their values.
pub type Sets = Vec<(String, String)>;

/// Reads, parses and checks; warnings go to standard error.
pub fn load(arguments: &ModelArguments) -> Result<Loaded, Failure> {
    load_with(&arguments.file, &sets(&arguments.set)?)
}

pub fn load_with(path: &Path, sets: &Sets) -> Result<Loaded, Failure> {
    let file = parse(&read(path)?)?;
    let model = check(&file, sets)?;
    console::diagnostics(&Diagnostics {
        list: model.warnings.clone(),
        sources: model.sources.clone(),
    });
    Ok(Loaded { file, model })
}

/// The text of a file, or of standard input for `-`.
pub fn read(path: &Path) -> Result<Source, Failure> {
    let source = if is_stdin(path) {
        Source::read_stream("<stdin>", std::io::stdin().lock())
    } else {
        Source::read(path)
    };
    source.map_err(|error| refused(path, error))
}

pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn refused(path: &Path, error: ReadError) -> Failure {
    if error.is_content() {
        return Failure::Wrong(error.to_string());
    }
    match if path.is_dir() { inside(path) } else { nearest(path).map(|near| vec![near]) } {
        Some(near) if near.len() == 1 => {
            Failure::Usage(format!("{error}\nhint: did you mean `{}`?", near[0].display()))
        }
        Some(near) => {
            let all = path.join("*.rlmodel");
            Failure::Usage(format!(
                "{error}\nhint: it holds {} model files, such as `{}`: `{}`",
                near.len(),
                near[0].display(),
                all.display()
            ))
        }
        None => Failure::Usage(error.to_string()),
    }
}

/// The model of a run where `folder` is that of a run, else all model files in it; `None` where
/// there are none.
fn inside(folder: &Path) -> Option<Vec<PathBuf>> {
    let of_run = folder.join(MODEL);
    if of_run.is_file() {
        return Some(vec![of_run]);
    }
    let paths = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut models: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "rlmodel"))
        .collect();
    models.sort();
    Some(models).filter(|models| !models.is_empty())
}

/// A file beside `path` whose name is nearly the one asked for.
fn nearest(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let name = path.file_name()?.to_str()?;
    let listed =
        std::fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
            .ok()?;
    let names = listed
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|near| near.ends_with(".rlmodel"));
    let close = names
        .map(|near| (strsim::damerau_levenshtein(name, &near), near))
        .filter(|(distance, _)| (1..=3).contains(distance));
    close.min().map(|(_, near)| folder.join(near))
}

pub fn parse(source: &Source) -> Result<ast::File, Failure> {
    syntax::parse(source).map_err(Failure::Model)
}

/// Checks a file under `sets`.
pub fn check(file: &ast::File, sets: &Sets) -> Result<Model, Failure> {
    if sets.is_empty() {
        return model::check(file, &Overrides::default()).map_err(Failure::Model);
    }
    let mut file = file.clone();
    let overrides = overrides(sets, &mut file.sources)?;
    let model = model::check(&file, &overrides).map_err(Failure::Model)?;
    if overrides.settings.is_empty() {
        return Ok(model);
    }
    // a value that no key takes is refused also by commands that read no keys
    let mut list =
        bound::derive(&model).map_or(vec![], |derivation| plan::mistakes(&model, &derivation));
    list.retain(|told| told.severity == Severity::Error && is_of_set(told, &model.sources));
    if list.is_empty() {
        Ok(model)
    } else {
        Err(Failure::Model(Diagnostics { list, sources: model.sources }))
    }
}

/// The exit code of diagnostics: 2 where all that is wrong is what `--set` says, 1 where the model
/// is.
pub fn code(found: &Diagnostics) -> u8 {
    let mut errors = found.list.iter().filter(|told| told.severity == Severity::Error).peekable();
    if errors.peek().is_some() && errors.all(|told| is_of_set(told, &found.sources)) {
        2
    } else {
        1
    }
}

fn is_of_set(told: &Diagnostic, sources: &[Source]) -> bool {
    let source = told.labels.first().and_then(|label| sources.get(label.span.file as usize));
    source.is_some_and(|source| source.path.is_none() && source.name == syntax::SET)
}

/// Splits `NAME=VALUE`.
pub fn sets(arguments: &SetArguments) -> Result<Sets, Failure> {
    let split = arguments.set.iter().map(|set| match set.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
            Ok((called(name.trim()), value.trim().to_owned()))
        }
        _ => Err(Failure::Usage(format!(
            "`--set {set}` has to be `--set NAME=VALUE`, such as \
                                         `--set alpha=1` or `--set infer.steps=500`"
        ))),
    });
    split.collect()
}

/// The name as all that reads it has it, whatever spaces a key is written with.
fn called(name: &str) -> String {
    name.strip_prefix("infer.")
        .map_or_else(|| name.to_owned(), |key| format!("infer.{}", ast::SettingKey::read(key)))
}

/// The values are expressions of the language. A key that there is not is refused by every command,
/// also by those that read no keys.
pub fn overrides(sets: &Sets, sources: &mut Vec<Source>) -> Result<Overrides, Failure> {
    let mut overrides = Overrides::default();
    let mut unknown = Vec::new();
    for (name, value) in sets {
        let expr = syntax::parse_set(name, value, sources).map_err(Failure::UsageAt)?;
        match name.strip_prefix("infer.") {
            Some(key) => {
                unknown.extend(plan::unknown_key(key, Span { start: 0, ..expr.span }));
                overrides.settings.push((key.to_owned(), expr));
            }
            None => overrides.params.push((name.clone(), expr)),
        }
    }
    if unknown.is_empty() {
        Ok(overrides)
    } else {
        Err(Failure::Model(Diagnostics { list: unknown, sources: sources.clone() }))
    }
}
