//! A folder with a small model in it, and runs of that.

use crate::common::{Outcome, run};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A walk along a line of five cells.
pub const WALK: &str = include_str!("../texts/walk.rlmodel");

/// A folder with `walk.rlmodel` in it.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("walk.rlmodel"), WALK).expect("written");
    folder
}

/// Trains in `folder`, to the end.
pub fn infer(folder: &Path, arguments: &[&str]) -> Outcome {
    let outcome = run(folder, &[&["infer"], arguments].concat());
    assert_eq!(outcome.code, 0, "{arguments:?}: {}", outcome.err);
    outcome
}

/// The names of what a folder holds, in order; none of a folder that is not there.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Two runs left the same bytes in each of `files`.
pub fn assert_equal_files(files: &[&str], one: &Path, other: &Path) {
    for name in files {
        assert!(
            fs::read(one.join(name)).expect(name) == fs::read(other.join(name)).expect(name),
            "{name} differs"
        );
    }
}
