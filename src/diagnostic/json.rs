//! Diagnostics for programs: an array of objects, places as bytes and as lines and columns.

use super::lines::Lines;
use super::printable::printable_json;
use super::render::bytes;
use super::{Diagnostics, Label, Severity};
use crate::source::Source;
use serde::Serialize;

/// A JSON array, one object for each diagnostic in order of place. Lines and columns count from 1,
/// columns in characters; `end` is the first place after.
///
/// ```json
/// [{ "code": "syntax", "severity": "error", "message": "…", "file": "m.rlmodel",
///    "bytes": { "start": 8, "end": 13 },
///    "start": { "line": 1, "column": 9 }, "end": { "line": 1, "column": 14 },
///    "labels": [{ "text": "…", "file": …, "bytes": …, "start": …, "end": … }],
///    "witness": null, "hints": ["…"] }]
/// ```
pub fn render_json(diagnostics: &Diagnostics) -> String {
    let lines: Vec<Lines> =
        diagnostics.sources.iter().map(|source| Lines::of(&source.text)).collect();
    let place = |label| place(label, &diagnostics.sources, &lines);
    let list: Vec<Object<'_>> = diagnostics
        .in_order()
        .map(|diagnostic| {
            let labels: Vec<_> = diagnostic
                .labels
                .iter()
                .map(|label| Note { text: &label.text, place: place(label) })
                .collect();
            Object {
                code: diagnostic.code.0,
                severity: match diagnostic.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                    Severity::Note => "note",
                },
                message: &diagnostic.message,
                place: diagnostic.labels.first().map(place),
                labels,
                witness: diagnostic.witness.as_deref(),
                hints: &diagnostic.hints,
            }
        })
        .collect();
    printable_json(&serde_json::to_string_pretty(&list).expect("strings and numbers are JSON"))
        .into_owned()
}

#[derive(Serialize)]
struct Object<'a> {
    code: &'a str,
    severity: &'a str,
    message: &'a str,
    #[serde(flatten)]
    place: Option<Place<'a>>,
    labels: Vec<Note<'a>>,
    witness: Option<&'a str>,
    hints: &'a [String],
}

#[derive(Serialize)]
struct Note<'a> {
    text: &'a str,
    #[serde(flatten)]
    place: Place<'a>,
}

#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    bytes: Bytes,
    start: Position,
    end: Position,
}

#[derive(Serialize)]
struct Bytes {
    start: usize,
    end: usize,
}

#[derive(Serialize)]
struct Position {
    line: usize,
    column: usize,
}

fn place<'a>(label: &Label, sources: &'a [Source], lines: &[Lines]) -> Place<'a> {
    let (file, text) = sources
        .get(label.span.file as usize)
        .map_or(("", ""), |source| (source.name.as_str(), &*source.text));
    let range = bytes(text, label);
    let position = |at: usize| match lines.get(label.span.file as usize) {
        Some(lines) => Position { line: lines.at(at).0, column: lines.column(text, at) },
        None => Position { line: 1, column: 1 },
    };
    Place {
        file,
        start: position(range.start),
        end: position(range.end),
        bytes: Bytes { start: range.start, end: range.end },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostic;
    use crate::source::Span;

    #[test]
    fn places_count_characters_from_one() {
        let text = "let π = 1\nlet θ = ööö";
        let start = text.find("ööö").unwrap() as u32;
        let span = Span { file: 0, start, end: start + 6 };
        let list = vec![Diagnostic::error("unknown-name", span, "unknown").witness("w").hint("h")];
        let json = render_json(&Diagnostics { list, sources: vec![Source::new("m", text)] });
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value[0]["start"], serde_json::json!({ "line": 2, "column": 9 }));
        assert_eq!(value[0]["end"], serde_json::json!({ "line": 2, "column": 12 }));
        assert_eq!(value[0]["bytes"]["start"], start);
        assert_eq!(value[0]["hints"][0], "h");
    }
}
