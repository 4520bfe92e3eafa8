//! Bad files and what the compiler says of them: every `tests/errors/**/*.rlmodel` has its rendered diagnostics as a snapshot beside it.
//!
//! To add one, write the file, run `INSTA_UPDATE=always cargo test --test errors`, and read the snapshot.

use rlppl::bound::derive;
use rlppl::diagnostic::{Diagnostic, Diagnostics, Severity};
use rlppl::model::{self, Overrides};
use rlppl::plan::plan;
use rlppl::source::Source;
use rlppl::syntax;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn bad_files_are_refused_in_words() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let failed: Vec<&PathBuf> = files.iter().filter(|path| std::panic::catch_unwind(|| compare(path)).is_err()).collect();
    assert!(failed.is_empty(), "other diagnostics than before: {failed:#?}");
}

#[test]
fn good_models_are_accepted_in_silence() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(!files.is_empty(), "{} has no models", root.display());
    for path in files {
        let source = Source::at(&path, fs::read_to_string(&path).expect("the file is text"));
        let told = syntax::parse(&source).and_then(|file| model::check(&file, &Overrides::default()));
        let told = told.map_or_else(|refused| refused, |model| Diagnostics { list: model.warnings, sources: model.sources });
        // a hidden environment's density is unknown by the author's own word: the warning says what follows
        let expected = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Warning && diagnostic.code.0 == "unknown-density";
        assert!(told.list.iter().all(expected), "{}:\n{told}", path.display());
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rlmodel") {
            files.push(path);
        }
    }
}

fn compare(path: &Path) {
    let folder = path.parent().expect("a file has a folder");
    let source = Source::at(path, fs::read_to_string(path).expect("the file is text"));
    let diagnostics = diagnose(&source);
    assert!(!diagnostics.list.is_empty(), "{}: nothing is wrong with it", path.display());
    // without folders, the snapshots are the same on every machine
    let mut diagnostics = diagnostics;
    let short = |text: &str| text.replace(&format!("{}/", folder.display()), "");
    for source in &mut diagnostics.sources {
        source.name = short(&source.name);
    }
    let rendered = short(&diagnostics.to_string());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let stem = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
    settings.bind(|| insta::assert_snapshot!(stem, rendered));
}

/// What the first stage that has something to say says of a file: errors, else the warnings of a model.
fn diagnose(source: &Source) -> Diagnostics {
    let told = |result: Result<Diagnostics, Diagnostics>| result.unwrap_or_else(|diagnostics| diagnostics);
    told(syntax::parse(source).and_then(|file| {
        let model = model::check(&file, &Overrides::default())?;
        if !model.warnings.is_empty() {
            return Ok(Diagnostics { list: model.warnings, sources: model.sources });
        }
        let derivation = derive(&model)?;
        plan(&model, &derivation)?;
        Ok(Diagnostics { list: Vec::new(), sources: model.sources })
    }))
}
