//! Whether a run's folder still holds the model that it was run with.

use super::Failure;
use super::difference::difference;
use crate::plan;
use crate::report::{Folder, MODEL, as_run};
use crate::source::Source;
use crate::syntax::{self, ast};
use std::path::Path;

/// Keys of `infer` that change no step that was made already.
pub const MAY_CHANGE: [&str; 3] = ["infer.steps", "infer.threads", "infer.checkpoint_every"];

/// Holds that the model of a run, with all that it reads, is as the run itself wrote it down: with
/// another one its parameters are not what was trained, and it cannot go on. `file` is what its
/// folder holds. A run that an earlier version has left says nothing.
pub fn verify_unchanged(folder: &Folder, file: &ast::File) -> Result<(), Failure> {
    let Some(manifest) = folder.manifest().map_err(|error| Failure::Run(error.to_string()))? else {
        return Ok(());
    };
    let model = folder.file(MODEL);
    if let Some(name) = manifest.changed_data(|name| folder.read(name).ok()) {
        let shown = folder.file(name);
        return Err(Failure::Usage(format!(
            "`{}` was changed since the run began, which is what it was run with: undo the change",
            shown.display()
        )));
    }
    let recorded: Vec<(String, String)> = manifest.texts.into_iter().collect();
    let advice = "undo the change (`manifest.json` has the texts as they were run), or begin \
                  another run with the changed model";
    let run = Compared { path: &model, files: &as_run(file, &[]) };
    verify_same(
        &run,
        &recorded,
        &MAY_CHANGE,
        (format!("`{}` was changed since the run began", model.display()), advice),
    )
}

/// Whether a run was trained with another model than `file`, with `sets` or without them; what
/// trains it is no part of that.
pub fn is_of_another(
    folder: &Folder,
    file: &ast::File,
    path: &Path,
    sets: &[(String, String)],
) -> bool {
    let Some(manifest) = folder.manifest().ok().flatten() else { return false };
    let recorded: Vec<(String, String)> = manifest.texts.into_iter().collect();
    let keys: Vec<String> = plan::KEYS.iter().map(|key| format!("infer.{}", key.name)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let is_same = |files: &[(String, String)]| {
        verify_same(&Compared { path, files }, &recorded, &keys, (String::new(), "")).is_ok()
    };
    !is_same(&as_run(file, sets)) && !is_same(&as_run(file, &[]))
}

/// The files of a run, as [`as_run`](crate::report::as_run) returns them, and where its model is.
pub struct Compared<'a> {
    pub path: &'a Path,
    pub files: &'a [(String, String)],
}

/// Whether `other` are the same files but for their layout, their comments and the keys of `infer`
/// that `may_differ`; what differs is shown below `what`, and below that an advice.
pub fn verify_same(
    run: &Compared,
    other: &[(String, String)],
    may_differ: &[&str],
    what: (String, &str),
) -> Result<(), Failure> {
    let (what, advice) = what;
    let refused = |name: &str, old: &str, new: &str| {
        let shown = difference(name, old, new, "the other");
        let lines = shown
            .lines()
            .filter(|line| !["---", "+++", "@@"].iter().any(|head| line.starts_with(head)));
        let lines: Vec<&str> = lines.filter(|line| !line.starts_with(' ')).collect();
        Err(Failure::Usage(format!("{what} (`{name}`):\n{}\nhint: {advice}", lines.join("\n"))))
    };
    let of = |files: &[(String, String)], name: &str| {
        files.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone())
    };
    for (name, text) in run.files {
        let Some(others) = of(other, name) else {
            // recorded data are in no manifest
            if name.ends_with(".csv") {
                continue;
            }
            return refused(name, text, "");
        };
        if text == &others {
            continue;
        }
        let (old, new) = match name == MODEL {
            true => {
                (canonical(run.path, text, may_differ)?, canonical(run.path, &others, may_differ)?)
            }
            false => (text.clone(), others),
        };
        if old != new {
            return refused(name, &old, &new);
        }
    }
    match other.iter().find(|(name, _)| of(run.files, name).is_none()) {
        Some((name, text)) => refused(name, "", text),
        None => Ok(()),
    }
}

/// A model in the canonical layout, without comments, blank lines and columns, the keys of `infer`
/// in the order of their names.
fn canonical(path: &Path, text: &str, without: &[&str]) -> Result<String, Failure> {
    let mut file = syntax::parse(&Source::at(path, text)).map_err(Failure::Model)?;
    for item in &mut file.items {
        if let ast::Item::Infer(infer) = item {
            infer.settings.retain(|setting| {
                !without.iter().any(|name| name.strip_prefix("infer.") == Some(&setting.key.text))
            });
            infer.settings.sort_by_key(ast::Setting::called);
        }
    }
    // without its text, whose line breaks the layout would follow
    let sources = vec![Source::new("", "")];
    let items = file
        .items
        .into_iter()
        .filter(|item| !matches!(item, ast::Item::Infer(infer) if infer.settings.is_empty()));
    let text = syntax::print(&ast::File { items: items.collect(), comments: vec![], sources });
    // columns that are aligned move with their neighbours
    let words = |line: &str| line.split_whitespace().collect::<Vec<&str>>().join(" ") + "\n";
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(words).collect())
}
