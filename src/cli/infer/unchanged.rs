//! Whether a run is to go on with the model it was begun with.

use crate::cli::Failure;
use crate::cli::difference::difference;
use crate::report::MODEL;
use crate::source::Source;
use crate::syntax::{self, ast};
use std::path::Path;

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
            infer.settings.sort_by(|one, other| one.key.text.cmp(&other.key.text));
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
