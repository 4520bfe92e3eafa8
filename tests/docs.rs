//! The book says what the program does: its tables are those that the program reads.

use rlppl::family::FAMILIES;
use rlppl::plan::{KEYS, KeyKind, OPTIMIZERS};
use std::fs;
use std::path::Path;

#[test]
fn the_reference_lists_every_key_of_infer_with_its_default() {
    let reference = read("docs/language.md");
    for key in KEYS {
        let words = match key.kind {
            KeyKind::Word(words)
            | KeyKind::Words(words)
            | KeyKind::NetworkOr(words)
            | KeyKind::Threshold(words) => {
                if words.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", words.join(", "))
                }
            }
            KeyKind::Count { .. }
            | KeyKind::Number { .. }
            | KeyKind::Positive
            | KeyKind::Truth
            | KeyKind::Optimizer
            | KeyKind::Update => String::new(),
        };
        let row = format!("| `{}` | {} | {}{words} |", key.name, key.default, key.meaning);
        assert!(
            reference.contains(&row),
            "docs/language.md, section 12, has to hold the row\n{row}"
        );
    }
}

#[test]
fn the_reference_lists_the_optimisers() {
    let listed: Vec<String> = OPTIMIZERS
        .iter()
        .map(|optimizer| {
            let arguments: Vec<String> = optimizer
                .arguments
                .iter()
                .map(|(name, value, _)| format!("{name} = {value}"))
                .collect();
            format!("`{}({})`", optimizer.name, arguments.join(", "))
        })
        .collect();
    let sentence = format!("Optimisers: {}.", listed.join(", "));
    assert!(
        read("docs/language.md").contains(&sentence),
        "docs/language.md, section 12, has to say\n{sentence}"
    );
}

#[test]
fn the_reference_lists_the_families() {
    for family in FAMILIES {
        let arguments: Vec<String> =
            family.arguments().iter().map(|argument| format!("{} =", argument.name)).collect();
        let row =
            format!("| `{}({})` | {} |", family.name(), arguments.join(", "), family.meaning());
        assert!(
            read("docs/language.md").contains(&row),
            "docs/language.md, section 8, has to hold the row\n{row}"
        );
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "docs/environments.md",
        "docs/language.md",
        "docs/options.md",
        "docs/worlds.md",
    ] {
        let text = read(page);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(Path::new(page).parent().expect("a page has a folder"));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or("");
            assert!(
                target.is_empty() || target.contains("://") || folder.join(target).exists(),
                "{page} links to {link}"
            );
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}
