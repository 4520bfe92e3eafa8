//! Bad files and what the compiler says of them: every `tests/errors/**/*.rlmodel` has its rendered
//! diagnostics as a snapshot beside it, and if they hold a hint, `NAME.followed`: how the file
//! changes by following it. Then it passes.
//!
//! To add one, write the file, run `INSTA_UPDATE=always cargo test --test errors`, read the
//! snapshot, and follow its hints. A `NAME.followed` holds changes, with an empty line between
//! them: lines that go (`- `) and lines that come in their place (`+ `), at the end if none goes.

use rlppl::bound::derive;
use rlppl::diagnostic::{Diagnostic, Diagnostics, Severity};
use rlppl::model::{self, Overrides};
use rlppl::plan::mistakes;
use rlppl::source::Source;
use rlppl::syntax::{self, FOREIGN, Foreign, Place};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn bad_files_are_refused_in_words() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let failed: Vec<&PathBuf> =
        files.iter().filter(|path| std::panic::catch_unwind(|| compare(path)).is_err()).collect();
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
        let told =
            syntax::parse(&source).and_then(|file| model::check(&file, &Overrides::default()));
        let told = told.map_or_else(
            |refused| refused,
            |model| Diagnostics { list: model.warnings, sources: model.sources },
        );
        // a hidden environment's density is unknown by the author's own word: the warning says what
        // follows
        let expected = |diagnostic: &Diagnostic| {
            diagnostic.severity == Severity::Warning && diagnostic.code.0 == "unknown-density"
        };
        assert!(told.list.iter().all(expected), "{}:\n{told}", path.display());
    }
}

/// Hints that say what to know, not what to change.
const NOT_EDITS: &[&str] = &["warnings/hidden_environment", "warnings/a_density_as_likelihood"];

#[test]
fn hints_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut wrong = Vec::new();
    for path in files {
        let name = path
            .strip_prefix(&root)
            .expect("it was found there")
            .with_extension("")
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&path).expect("the file is text");
        let told = diagnose(&Source::at(&path, text.as_str()));
        let has_hint = told.list.iter().any(|told| !told.hints.is_empty())
            && !NOT_EDITS.contains(&name.as_str());
        let Ok(changes) = fs::read_to_string(path.with_extension("followed")) else {
            wrong.extend(has_hint.then(|| {
                format!("{name}: there is no `{name}.followed`, and the hint stands untried")
            }));
            continue;
        };
        if !has_hint {
            wrong.push(format!("{name}: there is no hint that `{name}.followed` could follow"));
            continue;
        }
        let followed = Source::at(&path, follow(&text, &changes, &name));
        // the files of mistakes in writing are no whole models
        let left = match name.starts_with("syntax/") {
            true => syntax::parse(&followed).err().unwrap_or_default(),
            false => diagnose(&followed),
        };
        // another warning may come, the same may not
        let bad = |left: &Diagnostic| match left.severity {
            Severity::Error => true,
            // of a hidden environment that density stays unknown, by its author's own word
            Severity::Warning => {
                left.code.0 != "unknown-density"
                    && told.list.iter().any(|told| told.code == left.code)
            }
            Severity::Note => false,
        };
        if left.list.iter().any(bad) {
            wrong.push(format!("{name}: the hint is followed, and it does not pass:\n{left}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A text after the changes of a `.followed` file.
fn follow(text: &str, changes: &str, name: &str) -> String {
    let mut text = format!("{text}\n");
    for change in changes.split("\n\n") {
        let run = |mark: &str| -> String {
            let lines = change.lines().filter_map(|line| line.strip_prefix(mark));
            lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
        };
        let (old, new) = (run("-"), run("+"));
        assert!(
            !old.is_empty() || !new.is_empty(),
            "{name}.followed: a line begins with `- ` or `+ `"
        );
        if old.is_empty() {
            text.push_str(&new);
        } else {
            assert_eq!(
                text.matches(&old).count(),
                1,
                "{name}.followed: the file holds these lines once:\n{old}"
            );
            text = text.replace(&old, &new);
        }
    }
    text
}

/// What other tools' users are told to write is accepted where they are told to.
#[test]
fn our_words_for_those_of_other_tools_are_accepted() {
    let mut wrong = Vec::new();
    for row in FOREIGN.iter().filter(|row| !row.write.is_empty() && row.place != Place::Argument) {
        let contexts = contexts(row.place);
        let tries = contexts.iter().flat_map(|context| {
            fillers(row.place).iter().map(move |filler| refusal(context, row, filler))
        });
        let refusals: Vec<String> = tries.map_while(|refused| refused).collect();
        if refusals.len() == contexts.len() * fillers(row.place).len() {
            wrong.push(format!("`{}` for {:?}:\n{}", row.write, row.words, refusals.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Why a row's words are refused in a context, if they are.
fn refusal(context: &str, row: &Foreign, filler: &str) -> Option<String> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let written = row
        .write
        .replace('…', filler)
        .replace("file.rlenv", &models.join("four_rooms.rlenv").to_string_lossy());
    // a key that the context sets is set by the row alone
    let key = written.split(" = ").next().unwrap_or("");
    let kept = context.lines().filter(|line| {
        row.place != Place::Key || !line.trim_start().starts_with(&format!("{key} ="))
    });
    let text = kept.map(|line| line.replace("HERE", &written)).collect::<Vec<_>>().join("\n");
    let source = Source::new("m", text);
    let found = match row.place {
        Place::Item => syntax::parse(&source).err().unwrap_or_default(),
        Place::Value
        | Place::Function
        | Place::Distribution
        | Place::Domain
        | Place::DataFile
        | Place::Key
        | Place::Argument => diagnose(&source),
    };
    found.has_errors().then(|| found.to_string())
}

fn fillers(place: Place) -> &'static [&'static str] {
    match place {
        Place::Item => &[
            "s[1] ~ Delta(0)",
            "prior { a[t] ~ Uniform }",
            "a[t] ~ Uniform",
            "Uniform",
            "steps = 3",
            "0..3",
        ],
        Place::Distribution => &["1", "0.5", "Uniform", "[0.5, 0.5]"],
        Place::Value
        | Place::Function
        | Place::Domain
        | Place::DataFile
        | Place::Key
        | Place::Argument => &[""],
    }
}

/// Models in which `HERE` is the place.
fn contexts(place: Place) -> Vec<String> {
    let small = |state: &str, start: &str, extra: &str, kernel: &str, policy: &str, infer: &str| {
        format!(
            "model m\nhorizon T = 3\n{extra}\nenvironment e {{\n  state s : {state}\n  action a : \
             {{ left, right }}\n  reward r in [-1, 0]\n\
             s[1] ~ {start}\n  s[t+1] ~ Delta(s[t])\n  r[t] = if a[t] == left then 0 else \
             -1\n}}\n{kernel}\n\
             prior {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) \
             }}\nlikelihood {{ R[t] ~ exp(r[t]) }}\n\
             posterior {{ s[1] ~ e.initial; a[t] ~ {policy}; s[t+1] ~ e.transition(s[t], a[t]) \
             }}\ninfer {{\n{infer}\n}}"
        )
    };
    let pi = |logits: &str| format!("kernel pi(a | s) = Categorical(logits = {logits})");
    match place {
        Place::Item => {
            vec!["HERE".into(), "environment e {\nHERE\n}".into(), "bound b {\nHERE\n}".into()]
        }
        Place::Value => vec![small(
            "0..3",
            "Uniform",
            "let x = if HERE then 1 else 0",
            &pi("x * linear(s)"),
            "pi(s[t])",
            "steps = 3",
        )],
        Place::Function => vec![
            small(
                "0..3",
                "Uniform",
                "let f(x, y, lo, hi) = HERE",
                &pi("f(1, 1, 0, 1) * linear(s)"),
                "pi(s[t])",
                "steps = 3",
            ),
            small("0..3", "Uniform", "", &pi("HERE"), "pi(s[t])", "steps = 3"),
            small(
                "0..3",
                "Uniform",
                "",
                "kernel pi(a | past: s[..]) = Categorical(logits = HERE)",
                "pi(s[..t])",
                "steps = 3",
            ),
        ],
        Place::Distribution => ["0..3", "real", "real in [-1, 1]", "bool"]
            .map(|state| small(state, "HERE", "", &pi("linear(s)"), "pi(s[t])", "steps = 3"))
            .to_vec(),
        Place::Domain => ["Uniform", "Normal(mean = 0, sd = 1)"]
            .map(|start| small("HERE", start, "", &pi("linear(s)"), "pi(s[t])", "steps = 3"))
            .to_vec(),
        Place::Key => {
            let shared = "net body(s) = mlp(s, hidden = [8])\nkernel pi(a | s) = \
                          Categorical(logits = linear(body(s)))";
            let mut found: Vec<String> = [
                "HERE",
                "HERE\nbaseline = linear(body(s))",
                "HERE\nbaseline = linear(body(s))\nepochs = 4",
            ]
            .map(|infer| small("real", "Normal(mean = 0, sd = 1)", "", shared, "pi(s[t])", infer))
            .to_vec();
            let imitation = fs::read_to_string(
                Path::new(env!("CARGO_MANIFEST_DIR")).join("models/learning_from_model.rlmodel"),
            );
            found.push(
                imitation.expect("there is such a model").replace("infer {", "infer {\nHERE\n"),
            );
            found
        }
        Place::DataFile | Place::Argument => Vec::new(),
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

/// What the first stage that has something to say says of a file: errors, else the warnings of a
/// model and what is wrong with its training.
fn diagnose(source: &Source) -> Diagnostics {
    let told =
        |result: Result<Diagnostics, Diagnostics>| result.unwrap_or_else(|diagnostics| diagnostics);
    told(syntax::parse(source).and_then(|file| {
        let model = model::check(&file, &Overrides::default())?;
        // a model that is not derived yet has its warnings alone
        let list = match derive(&model) {
            Ok(derivation) => [model.warnings.clone(), mistakes(&model, &derivation)].concat(),
            Err(_) if !model.warnings.is_empty() => model.warnings.clone(),
            Err(refused) => return Err(refused),
        };
        Ok(Diagnostics { list, sources: model.sources })
    }))
}
