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
/// let error = Diagnostic::error("unknown-name", span, "unknown variable `acton`");
/// let list = vec![error.hint("did you mean `action`?")];
/// let sources = vec![Source::new("m.rlmodel", "let x = acton")];
/// let text = render(&Diagnostics { list, sources }, Color::Plain);
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
    let rendered = diagnostics.in_order().map(|diagnostic| {
        let mut places = Vec::new();
        let group = group(diagnostic, &diagnostics.sources, &lines, &mut places);
        with_places(&renderer.render(&[group]), &places)
    });
    rendered.map(|text| text + "\n").collect::<Vec<_>>().join("\n")
}

/// Stands behind the name of a file where the renderer counts columns from within a line. No text
/// that it is given has this character.
const MARK: char = '\u{1}';

/// The rendered text with the line and the column of each place that is marked, in their order.
fn with_places(rendered: &str, places: &[(usize, usize)]) -> String {
    let mut parts = rendered.split(MARK);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (part, (line, column)) in parts.zip(places) {
        text.push_str(&format!(":{line}:{column}"));
        text.push_str(part.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit()));
    }
    text
}

/// `places` gains those that are marked.
fn group<'a>(
    diagnostic: &'a Diagnostic,
    sources: &'a [Source],
    lines: &[Lines],
    places: &mut Vec<(usize, usize)>,
) -> Group<'a> {
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
        let labels: Vec<(usize, &Label)> = diagnostic
            .labels
            .iter()
            .enumerate()
            .filter(|(_, label)| label.span.file == file)
            .collect();
        group = match source.is_foreign {
            false => {
                let pieces = near_each_other(labels, &source.text);
                group.elements(pieces.iter().map(|labels| quote(labels, source, lines, places)))
            }
            true => group.element(place(labels[0].1, source, lines)),
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

/// Labels that are shown in one piece of the text, the first of a diagnostic in the first: what
/// lies between two that are far apart is not read.
fn near_each_other<'l>(
    mut labels: Vec<(usize, &'l Label)>,
    text: &str,
) -> Vec<Vec<(usize, &'l Label)>> {
    labels.sort_by_key(|(_, label)| (label.span.start, label.span.end));
    let mut pieces: Vec<Vec<(usize, &Label)>> = Vec::new();
    let mut end = 0;
    for (index, label) in labels {
        let range = bytes(text, label);
        match pieces.last_mut() {
            Some(piece) if range.start <= end + APART => piece.push((index, label)),
            Some(_) | None => pieces.push(vec![(index, label)]),
        }
        end = end.max(range.end);
    }
    pieces.iter_mut().for_each(|piece| piece.sort_by_key(|(index, _)| *index));
    pieces.sort_by_key(|piece| piece[0].0);
    pieces
}

/// Bytes between two labels beyond which each is shown by itself.
const APART: usize = 1 << 14;
/// Bytes of a line that are shown at most on either side of its labels: the renderer shows as many
/// as a screen is wide.
const BESIDE: usize = 1 << 10;

/// The lines of some labels.
fn quote<'a>(
    labels: &[(usize, &'a Label)],
    source: &'a Source,
    lines: &Lines,
    places: &mut Vec<(usize, usize)>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = &*source.text;
    let ranges: Vec<Range<usize>> = labels.iter().map(|(_, label)| bytes(text, label)).collect();
    // only the lines that are shown: the text may be large
    let first = ranges.iter().map(|range| range.start).min().unwrap_or(0);
    let last = ranges.iter().map(|range| range.end).max().unwrap_or(0);
    let (line, start) = lines.at(first);
    let whole = start..lines.end(text, last);
    let boundary = |at: usize| (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let shown = boundary(whole.start.max(first.saturating_sub(BESIDE)))
        ..boundary(whole.end.min(last + BESIDE));
    let annotations = labels.iter().zip(&ranges).map(|(&(index, label), range)| {
        let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        let annotation = kind.span(range.start - shown.start..range.end - shown.start);
        if label.text.is_empty() { annotation } else { annotation.label(printable(&label.text)) }
    });
    let snippet = Snippet::source(in_place(&text[shown.clone()]))
        .line_start(line)
        .fold(true)
        .annotations(annotations);
    let name = printable(&source.name);
    if shown.start == whole.start {
        return snippet.path(name);
    }
    let at = ranges[0].start;
    places.push((lines.at(at).0, lines.column(text, at)));
    snippet.path(format!("{name}{MARK}"))
}

/// Where a diagnostic stands in a file that is not quoted.
fn place<'a>(label: &Label, source: &'a Source, lines: &Lines) -> Origin<'a> {
    Origin::path(printable(&source.name)).line(lines.at(bytes(&source.text, label).start).0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Span;

    /// A long line is shown in part, and the column is that in the whole; so is a second place far
    /// away.
    #[test]
    fn columns_are_those_of_the_whole_line() {
        let before = "π ".repeat(20_000);
        let text = format!("model m\n{before}acton {before}action");
        let at = |word: &str| {
            let start = text.find(word).unwrap() as u32;
            Span { file: 0, start, end: start + word.len() as u32 }
        };
        let told = Diagnostic::error("unknown-name", at("acton"), "unknown variable `acton`")
            .also(at("action"), "this is known");
        let list = vec![told];
        let rendered = render(
            &Diagnostics { list, sources: vec![Source::new("m.rlmodel", text.as_str())] },
            Color::Plain,
        );
        let column = |word: &str| {
            1 + text.lines().nth(1).unwrap().split(word).next().unwrap().chars().count()
        };
        let (first, second) = (column("acton"), column("action"));
        assert!(rendered.contains(&format!("--> m.rlmodel:2:{first}\n")), "{rendered}");
        assert!(rendered.contains(&format!("::: m.rlmodel:2:{second}\n")), "{rendered}");
        assert!(
            rendered.contains("acton")
                && rendered.contains("^^^^^")
                && rendered.contains("this is known"),
            "{rendered}"
        );
        assert!(rendered.len() < 2000, "{rendered}");
    }
}
