//! Every hint that the sources hold is shown by some snapshot, so that somebody has read it and,
//! beside it, followed it (`tests/errors.rs`).

use std::fs;
use std::path::{Path, PathBuf};

/// Hints that no snapshot shows, by their beginnings: those of taste and of data stand in tests of
/// their own, the others guard places that earlier checks are thought to leave nothing for.
const NOT_SHOWN: &[&str] = &[
    "did you mean `action`?",
    "give one side a kernel with a density",
    "the variables to the left of `~` stand in the order of the kernel's outputs",
    "only a kernel with an optional formal",
    "write the lower bound first",
    "imagine with a kernel that does not imagine",
    "the path is relative to the model file",
    "leave it out: a classifier reads variables",
    "let `{name}` stand in the prior of this bound",
    "declare it `hidden environment`",
    "say what the model shows",
    "`rlppl exact FILE` prints numbers to claim",
    "`param {text} = … in [0, 1]`",
    "`reward {} in [-1, 0]` shows",
];

#[test]
fn every_hint_is_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let snapshots: String = files(&root.join("tests"), "snap")
        .iter()
        .map(|path| fs::read_to_string(path).expect("text"))
        .collect();
    let mut unknown = Vec::new();
    let mut expected: Vec<&str> = NOT_SHOWN.to_vec();
    for path in files(&root.join("src"), "rs") {
        let source = fs::read_to_string(&path).expect("text");
        for hint in hints(source.split("\nmod tests {").next().unwrap_or_default()) {
            let is_shown = is_shown(&hint, &snapshots);
            match expected.iter().position(|known| hint.starts_with(known)) {
                Some(at) if !is_shown => drop(expected.swap_remove(at)),
                Some(_) => {}
                None if is_shown => {}
                None => unknown.push(format!("{}: {hint}", path.display())),
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "no snapshot shows these hints: add a case to tests/errors\n{}",
        unknown.join("\n")
    );
    assert!(
        expected.is_empty(),
        "these hints are shown, or gone: take them off the list\n{}",
        expected.join("\n")
    );
}

/// The texts inside each `.hint(…)` that say something beside what is filled in.
fn hints(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices(".hint(") {
        let (mut depth, mut text, mut escaped) = (1, None::<String>, false);
        for c in source[at + ".hint(".len()..].chars() {
            match (&mut text, c) {
                (Some(inside), c) if escaped => {
                    // a line that ends with `\` goes on after the white space
                    inside.push(if c == '\n' { '\u{0}' } else { c });
                    escaped = false;
                }
                (Some(_), '\\') => escaped = true,
                (Some(_), '"') => found.extend(text.take()),
                (Some(inside), c) if !(c == ' ' && inside.ends_with('\u{0}')) => inside.push(c),
                (Some(_), _) => {}
                (None, '"') => text = Some(String::new()),
                (None, '(') => depth += 1,
                (None, ')') => depth -= 1,
                (None, _) => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    let plain = found.into_iter().map(|text| text.replace('\u{0}', ""));
    plain.filter(|text| parts(text).next().is_some()).collect()
}

/// What stands between the places that are filled in, where it is long enough to tell hints apart.
fn parts(hint: &str) -> impl Iterator<Item = String> {
    let whole = hint.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let pieces: Vec<String> = whole
        .split('{')
        .map(|piece| piece.split_once('}').map_or(piece, |(_, after)| after).to_owned())
        .collect();
    let literal = |piece: String| piece.replace('\u{1}', "{").replace('\u{2}', "}");
    pieces.into_iter().map(literal).filter(|piece| piece.chars().count() > 6)
}

/// On one line the parts stand in their order.
fn is_shown(hint: &str, snapshots: &str) -> bool {
    let parts: Vec<String> = parts(hint).collect();
    snapshots.lines().any(|line| {
        let mut rest = line;
        parts.iter().all(|part| match rest.find(part.as_str()) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    })
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}
