//! Diagnostics as a reader sees them: the lines of the text, marked, in the manner of rustc.

use super::lines::Lines;
use super::printable::{in_place, printable};
use super::{Diagnostic, Diagnostics, Label, Severity};
use crate::source::Source;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::ops::Range;

/// Whether the output may hold ANSI colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    Plain,
    Ansi,
}

/// All diagnostics in order of place, each with its lines, its witness as a note and its hints as
/// help.
///
/// ```
/// use rlppl::diagnostic::{Color, Diagnostic, Diagnostics, render};
/// use rlppl::source::{Source, Span};
/// let span = Span { file: 0, start: 8, end: 13 };
/// let list = vec![Diagnostic::error("unknown-name", span, "unknown variable `acton`").hint("did you mean `action`?")];
/// let text = render(&Diagnostics { list, sources: vec![Source::new("m.rlmodel", "let x = acton")] }, Color::Plain);
/// assert!(text.starts_with("error[unknown-name]: unknown variable `acton`\n --> m.rlmodel:1:9"));
/// assert!(text.contains("= help: did you mean `action`?"));
/// ```
pub fn render(diagnostics: &Diagnostics, color: Color) -> String {
    let renderer = match color {
        Color::Plain => Renderer::plain(),
        Color::Ansi => Renderer::styled(),
    };
    let lines: Vec<Lines> =
        diagnostics.sources.iter().map(|source| Lines::of(&source.text)).collect();
    let rendered = diagnostics
        .in_order()
        .map(|diagnostic| renderer.render(&[group(diagnostic, &diagnostics.sources, &lines)]));
    rendered.map(|text| text + "\n").collect::<Vec<_>>().join("\n")
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a [Source], lines: &[Lines]) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group = Group::with_title(
        level.primary_title(printable(&diagnostic.message)).id(diagnostic.code.0),
    );
    let mut files: Vec<u32> = Vec::new();
    for label in &diagnostic.labels {
        if !files.contains(&label.span.file) {
            files.push(label.span.file);
        }
    }
    for file in files {
        let (Some(source), Some(lines)) = (sources.get(file as usize), lines.get(file as usize))
        else {
            continue;
        };
        group = match source.is_foreign {
            false => group.element(snippet(diagnostic, file, source, lines)),
            true => group.element(place(diagnostic, file, source)),
        };
    }
    if let Some(witness) = &diagnostic.witness {
        group = group.element(Level::NOTE.message(printable(witness)));
    }
    diagnostic
        .hints
        .iter()
        .fold(group, |group, hint| group.element(Level::HELP.message(printable(hint))))
}

fn snippet<'a>(
    diagnostic: &'a Diagnostic,
    file: u32,
    source: &'a Source,
    lines: &Lines,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = &*source.text;
    let labels: Vec<(usize, &Label)> =
        diagnostic.labels.iter().enumerate().filter(|(_, label)| label.span.file == file).collect();
    let ranges: Vec<Range<usize>> = labels.iter().map(|(_, label)| bytes(text, label)).collect();
    // only the lines that are shown: the text may be large
    let first = ranges.iter().map(|range| range.start).min().unwrap_or(0);
    let last = ranges.iter().map(|range| range.end).max().unwrap_or(0);
    let end = text[last..].find('\n').map_or(text.len(), |at| last + at);
    let (line, start) = lines.at(first);
    let annotations = labels.iter().zip(ranges).map(|(&(index, label), range)| {
        let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        let annotation = kind.span(range.start - start..range.end - start);
        if label.text.is_empty() { annotation } else { annotation.label(printable(&label.text)) }
    });
    Snippet::source(in_place(&text[start..end]))
        .line_start(line)
        .path(printable(&source.name))
        .fold(true)
        .annotations(annotations)
}

/// Where a diagnostic stands in a file that is not quoted.
fn place<'a>(diagnostic: &Diagnostic, file: u32, source: &'a Source) -> Origin<'a> {
    let origin = Origin::path(printable(&source.name));
    match diagnostic.labels.iter().find(|label| label.span.file == file) {
        Some(label) => {
            origin.line(1 + source.text[..bytes(&source.text, label).start].matches('\n').count())
        }
        None => origin,
    }
}

/// The bytes of a label, moved onto characters of the text should they not be.
pub fn bytes(text: &str, label: &Label) -> Range<usize> {
    let on_character = |at: u32| {
        (0..=(at as usize).min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
    };
    let start = on_character(label.span.start);
    let end = on_character(label.span.end).max(start);
    start..end
}
