//! The architecture, held: which layer may import which, which crate belongs to which layer, and
//! that only the program prints. `ARCHITECTURE.md` says the same in words.

#[path = "layers/imports.rs"]
mod imports;

use imports::Imports;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each layer, and the layers it may import: data flows from left to right.
const LAYERS: &[(&str, &[&str])] = &[
    ("source", &[]),
    ("diagnostic", &["source"]),
    ("syntax", &["source", "diagnostic"]),
    ("expr", &[]),
    ("family", &["expr"]),
    ("model", &["source", "diagnostic", "syntax", "expr", "family"]),
    ("finite", &["source", "diagnostic", "syntax", "expr", "model"]),
    ("bound", &["source", "diagnostic", "syntax", "expr", "family", "model", "finite"]),
    ("graph", &["expr", "model", "bound"]),
    ("exact", &["source", "diagnostic", "syntax", "expr", "model", "finite", "bound"]),
    ("verify", &["source", "diagnostic", "syntax", "expr", "model", "finite", "bound"]),
    ("world", &["source", "diagnostic", "syntax", "expr", "family", "model", "finite"]),
    (
        "plan",
        &["source", "diagnostic", "syntax", "expr", "family", "model", "finite", "bound", "world"],
    ),
    (
        "engine",
        &[
            "source",
            "diagnostic",
            "expr",
            "family",
            "model",
            "finite",
            "bound",
            "exact",
            "world",
            "plan",
        ],
    ),
    (
        "report",
        &[
            "source",
            "diagnostic",
            "syntax",
            "expr",
            "model",
            "finite",
            "bound",
            "exact",
            "world",
            "plan",
            "engine",
        ],
    ),
    (
        "cli",
        &[
            "source",
            "diagnostic",
            "syntax",
            "expr",
            "model",
            "finite",
            "bound",
            "exact",
            "world",
            "plan",
            "engine",
            "report",
            "verify",
            "graph",
        ],
    ),
];

/// The rooms of the engine: each imports only those above it.
const ROOMS: &[&str] = &[
    "numeric", "heads", "network", "tape", "family", "episode", "tables", "program", "sample",
    "gradient", "update", "fleet", "run", "judge", "proof",
];

/// Crates that only these layers may name.
const CRATES: &[(&str, &[&str])] = &[
    ("pest", &["syntax"]),
    ("pest_derive", &["syntax"]),
    ("annotate_snippets", &["diagnostic"]),
    ("dfdx", &["engine"]),
    ("gemm", &["engine"]),
    ("rand", &["family", "verify", "world", "engine"]),
    ("rand_xoshiro", &["family", "verify", "world", "engine"]),
    ("rand_distr", &["family", "world", "engine"]),
    ("libm", &["expr"]),
    ("pulp", &["expr", "exact", "engine"]),
    ("csv", &["plan", "report"]),
    ("safetensors", &["engine"]),
    ("tempfile", &["report"]),
    ("maud", &["report"]),
    ("plotters", &["report"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("indicatif", &["cli"]),
    ("ctrlc", &["cli"]),
    ("signal_hook", &["cli"]),
    ("fnv", &["report"]),
    ("sysinfo", &["cli"]),
    ("rustix", &["cli"]),
    ("mimalloc", &[]),
];

/// What only an operating system gives, and the files left of the engine that name it: all behind
/// the feature `system`.
const OF_THE_SYSTEM: &[(&str, &[&str])] = &[
    ("std::fs", &["source/disk.rs"]),
    ("std::thread", &["syntax/parse.rs"]),
    ("std::env", &[]),
    ("std::net", &[]),
    ("std::process", &[]),
    ("std::time", &[]),
];

#[test]
fn a_layer_imports_only_what_stands_to_its_left() {
    for file in sources() {
        let Some(&(layer, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == file.layer) else {
            assert!(
                ["lib", "main"].contains(&file.layer.as_str()),
                "{} is in no layer: give it a row in LAYERS",
                file.path.display()
            );
            continue;
        };
        for import in file.imports() {
            let known = LAYERS.iter().any(|(name, _)| *name == import);
            assert!(
                !known || import == layer || allowed.contains(&import.as_str()),
                "{}: `{layer}` may not import `crate::{import}`",
                file.path.display()
            );
        }
    }
}

#[test]
fn a_room_of_the_engine_imports_only_those_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine");
    let place = |room: &str| ROOMS.iter().position(|known| *known == room);
    for file in sources().iter().filter(|file| file.layer == "engine") {
        let inside = file.path.strip_prefix(&root).expect("a file of the engine");
        let own = match inside.iter().next().and_then(|part| part.to_str()) {
            // why a run comes to no result, which every room may say
            Some("mod.rs" | "error.rs") => continue,
            Some(room) => place(room),
            None => None,
        };
        let own = own.unwrap_or_else(|| panic!("{} is in no room: see ROOMS", inside.display()));
        for other in file.code.split("crate::engine::").skip(1).flat_map(heads) {
            assert!(
                other == "error" || place(&other).is_some_and(|other| other <= own),
                "{}: `{}` may not import `{other}`, which stands below it",
                inside.display(),
                ROOMS[own]
            );
        }
    }
}

#[test]
fn every_layer_is_there_and_left_of_what_imports_it() {
    let found: BTreeSet<String> = sources().into_iter().map(|file| file.layer).collect();
    for (position, (layer, allowed)) in LAYERS.iter().enumerate() {
        assert!(found.contains(*layer), "there is no src/{layer}");
        for import in *allowed {
            assert!(
                LAYERS[..position].iter().any(|(left, _)| left == import),
                "`{import}` stands to the right of `{layer}`"
            );
        }
    }
}

#[test]
fn a_crate_is_named_only_by_its_layer() {
    for file in sources() {
        for (name, layers) in CRATES {
            let names_it = file
                .code
                .match_indices(&format!("{name}::"))
                .any(|(at, _)| is_word_start(&file.code, at));
            let allowed = layers.contains(&file.layer.as_str())
                || (file.layer == "main" && *name == "mimalloc");
            assert!(
                !names_it || allowed,
                "{}: `{name}` belongs to {layers:?}",
                file.path.display()
            );
        }
    }
}

/// What is built without features stands in `lib.rs` without a condition; files come through a
/// `Loader`.
#[test]
fn what_stands_left_of_the_engine_needs_no_system() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let left = LAYERS.iter().map(|(layer, _)| *layer).take_while(|layer| *layer != "engine");
    let left: BTreeSet<&str> = left.collect();
    for file in sources().iter().filter(|file| left.contains(file.layer.as_str())) {
        let inside = file.path.strip_prefix(&root).expect("below the root");
        for (name, files) in OF_THE_SYSTEM {
            assert!(
                !file.code.contains(name)
                    || files.iter().any(|allowed| Path::new(allowed) == inside),
                "src/{}: `{name}` is there with the feature `system` alone",
                inside.display()
            );
        }
    }
    let library = fs::read_to_string(root.join("lib.rs")).expect("the library");
    let behind: BTreeSet<String> = library
        .split("#[cfg(feature = ")
        .skip(1)
        .filter_map(|rest| rest.lines().nth(1)?.strip_prefix("pub mod "))
        .map(word)
        .collect();
    let right: BTreeSet<String> = LAYERS.iter().map(|(layer, _)| (*layer).to_owned()).collect();
    assert_eq!(behind, right.into_iter().filter(|layer| !left.contains(&**layer)).collect());
}

#[test]
fn only_the_program_prints() {
    for file in sources() {
        for name in ["println!", "print!", "eprintln!", "eprint!", "dbg!"] {
            let prints = file.code.match_indices(name).any(|(at, _)| is_word_start(&file.code, at));
            // The program itself prints through `cli::console`, which knows about closed pipes and
            // full disks.
            assert!(!prints, "{}: `{name}`", file.path.display());
        }
        let writes = file.code.contains("stdout()") || file.code.contains("stderr()");
        assert!(
            !writes || file.layer == "cli",
            "{}: only `cli` writes to standard output or error",
            file.path.display()
        );
    }
}

#[test]
fn nothing_is_left_undone_or_allowed() {
    for file in sources() {
        for name in ["todo!", "unimplemented!", "#[allow(", "#![allow("] {
            assert!(!file.code.contains(name), "{}: `{name}`", file.path.display());
        }
    }
}

/// What two files share belongs into a third.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources = sources();
    let inner = sources.iter().filter(|file| !["lib", "main"].contains(&file.layer.as_str()));
    let files: Vec<(Vec<String>, &str)> =
        inner.map(|file| (file.module(&root), &*file.code)).collect();
    let imports = Imports::of(&files);
    let circles: Vec<String> = imports
        .circles()
        .iter()
        .flat_map(|circle| {
            circle.iter().map(|&file| {
                let others = imports.among(file, circle).join(", ");
                format!("{} imports {others}", imports.name(file))
            })
        })
        .collect();
    assert!(circles.is_empty(), "files import each other:\n{}", circles.join("\n"));
}

/// Macros and comments too, which rustfmt leaves as they are.
#[test]
fn rows_are_no_wider_than_a_hundred() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wide = Vec::new();
    for folder in ["src", "tests", "benches", "examples", "fuzz"] {
        let mut paths = Vec::new();
        rust_files(&root.join(folder), &mut paths);
        assert!(!paths.is_empty(), "there is no code in `{folder}`");
        for path in paths {
            let text = fs::read_to_string(&path).expect("a source file");
            let shown = path.strip_prefix(root).expect("below the root").display();
            for (at, row) in text.lines().enumerate() {
                let width = row.chars().count();
                if width > 100 {
                    wide.push(format!("{shown}:{}: {width}", at + 1));
                }
            }
        }
    }
    assert!(wide.is_empty(), "wider than 100 characters:\n{}", wide.join("\n"));
}

/// All below a folder, but for what a build leaves there.
fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("a folder of sources");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if !path.ends_with("target") {
                rust_files(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

struct SourceFile {
    path: PathBuf,
    /// The first part of its path under `src`.
    layer: String,
    /// Without comments, and without the module of its tests.
    code: String,
}

impl SourceFile {
    /// `["engine", "rollout", "prior"]`
    fn module(&self, root: &Path) -> Vec<String> {
        let inside = self.path.strip_prefix(root).expect("below the root").with_extension("");
        let parts = inside.iter().map(|part| part.to_string_lossy().into_owned());
        parts.filter(|part| part != "mod").collect()
    }

    /// The layers named after `crate::`, also in a group: `use crate::{model::Model, expr}`.
    fn imports(&self) -> BTreeSet<String> {
        let after =
            self.code.match_indices("crate::").filter(|(at, _)| is_word_start(&self.code, *at));
        after.flat_map(|(at, found)| heads(&self.code[at + found.len()..])).collect()
    }
}

/// The first names of a path or of a group of paths.
fn heads(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![word(path)];
    };
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(word(group[start..at].trim()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(word(group[start..at].trim()));
                start = at + 1;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn is_word_start(text: &str, at: usize) -> bool {
    !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$')
}

fn sources() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    assert!(files.len() > 20, "the sources are not where they are looked for");
    files
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of sources")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !is_test_code(&path)
        {
            let inside = path.strip_prefix(root).expect("below the root");
            let first = inside.iter().next().expect("a file has a name").to_string_lossy();
            let text = fs::read_to_string(&path).expect("a source file");
            files.push(SourceFile {
                layer: first.trim_end_matches(".rs").to_owned(),
                code: code(&text),
                path,
            });
        }
    }
}

/// A file that holds nothing but tests, or what they share: `tests.rs`, `testing.rs`, and what
/// stands in a folder `tests`.
fn is_test_code(path: &Path) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let inside = path.strip_prefix(root).unwrap_or(path);
    inside.components().any(|part| part.as_os_str() == "tests")
        || inside
            .file_stem()
            .and_then(|stem| stem.to_str())
            .is_some_and(|stem| stem == "testing" || stem == "tests")
}

/// What the compiler reads: no comments (their links may point anywhere), no tests (they may use
/// what they like).
fn code(text: &str) -> String {
    let tests = ["mod tests {", "pub mod tests {"].map(|tests| format!("#[cfg(test)]\n{tests}"));
    let before_tests =
        tests.iter().fold(text, |text, tests| text.split(tests).next().unwrap_or(text));
    before_tests
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_scanner_sees_what_it_should() {
    assert_eq!(heads("model::{Model, Kernel};"), ["model"]);
    assert_eq!(heads("{expr::{ExprId, Graph}, source, model as m};"), ["expr", "source", "model"]);
    assert_eq!(
        code("use crate::a; // crate::b\n#[cfg(test)]\nmod tests {\n use crate::c; }"),
        "use crate::a; "
    );
}
