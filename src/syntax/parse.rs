//! Source text in, tree out, or every syntax error at once.

use super::ast::{self, EnvironmentFile};
use super::build::{self, Builder, Include};
use super::grammar::{Grammar, Rule};
use super::scan::{DEPTH_LIMIT, Scan, scan};
use super::words;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{LARGEST, Source, Span};
use pest::Parser;
use pest::iterators::Pair;

/// After so many syntax errors the rest says little.
const ERROR_LIMIT: usize = 20;

/// Up to this depth the stack of a test thread (2 MiB) is large enough.
const SHALLOW: usize = 24;

/// The tree of a model file and of the `.rlenv` files that it names.
///
/// No expression in it is deeper than [`DEPTH_LIMIT`], so that passes over it may recurse.
///
/// # Errors
/// All syntax errors, in order of their places; also `.rlenv` files that cannot be read.
///
/// ```
/// use rlppl::{source::Source, syntax};
/// let file = syntax::parse(&Source::new("line.rlmodel", "model line  horizon T = 3"))?;
/// assert_eq!(file.items.len(), 2);
/// # Ok::<(), rlppl::diagnostic::Diagnostics>(())
/// ```
pub fn parse(source: &Source) -> Result<ast::File, Diagnostics> {
    let mut sources = vec![source.clone()];
    let mut diagnostics = Vec::new();
    let reading = {
        let mut include = |path: &str, at: Span| match source.read_named(path) {
            Err(why) => {
                diagnostics.push(cannot_read(path, at, &why.to_string()));
                None
            }
            Ok(included) => {
                let file = sources.len() as u32;
                let reading = read_environment(&included.text, file);
                // what is wrong with a file that the model's author need not have been able to read
                // is not told word for word
                if included.is_foreign && !reading.diagnostics.is_empty() {
                    diagnostics.push(cannot_read(
                        path,
                        at,
                        "it is not one, and stands outside the model's folder",
                    ));
                } else {
                    diagnostics.extend(reading.diagnostics);
                }
                sources.push(included);
                reading.tree
            }
        };
        read(&source.text, 0, Rule::file, &mut include, |builder, node| {
            let items = builder.items(node);
            if items.is_empty() && builder.diagnostics.is_empty() {
                builder.diagnostics.push(empty(0, "model"));
            }
            items
        })
    };
    diagnostics.extend(reading.diagnostics);
    match reading.tree {
        Some(items) if diagnostics.is_empty() => {
            Ok(ast::File { items, comments: reading.comments, sources })
        }
        _ => Err(in_order(diagnostics, sources)),
    }
}

/// The tree of an `.rlenv` file by itself, for the formatter.
///
/// # Errors
/// All its syntax errors.
pub fn parse_environment_file(source: &Source) -> Result<EnvironmentFile, Diagnostics> {
    let reading = read_environment(&source.text, 0);
    match reading.tree {
        Some(file) if reading.diagnostics.is_empty() => Ok(file),
        _ => Err(in_order(reading.diagnostics, vec![source.clone()])),
    }
}

/// The VALUE of `--set NAME=VALUE`; `name` is how diagnostics call the text.
///
/// # Errors
/// A syntax error.
pub fn parse_expr(text: &str, name: &str) -> Result<ast::Expr, Diagnostics> {
    let reading =
        read(text, 0, Rule::lone_expr, &mut |_, _| None, |builder, node| builder.lone_expr(node));
    match reading.tree {
        Some(expr) if reading.diagnostics.is_empty() => Ok(expr),
        _ => Err(in_order(reading.diagnostics, vec![Source::new(name, text)])),
    }
}

/// The name of the texts of `--set`.
pub const SET: &str = "--set";

/// The value of `NAME=VALUE` as the command line gives it. `sources` gains that text, so that what
/// is found wrong with it later points there.
///
/// # Errors
/// A syntax error.
pub fn parse_set(
    name: &str,
    value: &str,
    sources: &mut Vec<Source>,
) -> Result<ast::Expr, Diagnostics> {
    let shown = format!("{name}={value}");
    let file = sources.len() as u32;
    sources.push(Source::new(SET, shown.as_str()));
    // the value alone is an expression: the name before it is blank
    let text = format!("{}{value}", " ".repeat(shown.len() - value.len()));
    let reading = read(&text, file, Rule::lone_expr, &mut |_, _| None, |builder, node| {
        builder.lone_expr(node)
    });
    match reading.tree {
        Some(expr) if reading.diagnostics.is_empty() => Ok(expr),
        _ => Err(in_order(reading.diagnostics, sources.clone())),
    }
}

/// What came of one text; there may be a tree besides errors: that of the statements around them.
struct Reading<T> {
    tree: Option<T>,
    comments: Vec<ast::Comment>,
    diagnostics: Vec<Diagnostic>,
}

fn read_environment(text: &str, file: u32) -> Reading<EnvironmentFile> {
    let reading = read(text, file, Rule::rlenv, &mut |_, _| None, |builder, node| {
        let tree = builder.environment_file(node);
        if tree.params.is_empty()
            && tree.lets.is_empty()
            && tree.body.is_empty()
            && builder.diagnostics.is_empty()
        {
            builder.diagnostics.push(empty(file, "environment"));
        }
        tree
    });
    let tree =
        reading.tree.map(|tree| EnvironmentFile { comments: reading.comments.clone(), ..tree });
    Reading { tree, comments: reading.comments, diagnostics: reading.diagnostics }
}

fn read<T: Send>(
    text: &str,
    file: u32,
    rule: Rule,
    include: &mut Include<'_>,
    build: impl Fn(&mut Builder<'_>, Pair<'_, Rule>) -> T + Send,
) -> Reading<T> {
    let refused =
        |diagnostic| Reading { tree: None, comments: Vec::new(), diagnostics: vec![diagnostic] };
    if let Some(diagnostic) = not_a_model(text, file, rule) {
        return refused(diagnostic);
    }
    let first = scan(text);
    if let Some(place) = &first.too_deep {
        return refused(too_deep(words::span(file, place)));
    }
    let comments = build::comments(text, &first, file);
    let deep = first.depth > SHALLOW;
    let work = move || read_statements(text, file, rule, first, include, build);
    let (tree, diagnostics) = if deep { on_large_stack(work) } else { work() };
    Reading { tree, comments, diagnostics }
}

/// Parses; where a statement is broken, says so, takes it out of the text and parses again.
fn read_statements<T>(
    text: &str,
    file: u32,
    rule: Rule,
    mut scanned: Scan,
    include: &mut Include<'_>,
    build: impl Fn(&mut Builder<'_>, Pair<'_, Rule>) -> T,
) -> (Option<T>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut mended = text.to_owned();
    for slip in scanned.slips.iter().take(ERROR_LIMIT) {
        diagnostics.push(words::slip(text, slip, file));
        words::mend(&mut mended, words::mend_slip(text, &scanned, slip));
    }
    if !diagnostics.is_empty() {
        scanned = scan(&mended);
    }
    // each error costs a parse: in a long text, look for fewer
    let most = ERROR_LIMIT.min(1 + LARGEST / text.len().max(1));
    while diagnostics.len() < ERROR_LIMIT {
        match Grammar::parse(rule, &mended) {
            Ok(mut pairs) => {
                let node = pairs.next().expect("pest: the rule that was asked for");
                // it tells of mistakes only, and may be large
                drop(std::mem::take(&mut scanned));
                let mut builder = Builder { text: &mended, file, diagnostics, include };
                let tree = build(&mut builder, node);
                return (Some(tree), builder.diagnostics);
            }
            Err(error) => {
                let (diagnostic, mend) = words::explain(&mended, &scanned, &error, file);
                // a second error at the same place is a consequence of the first
                let place = diagnostic.labels[0].span.start;
                if diagnostics.iter().all(|other: &Diagnostic| other.labels[0].span.start != place)
                {
                    diagnostics.push(diagnostic);
                }
                if diagnostics.len() >= most || !words::mend(&mut mended, mend) {
                    break;
                }
                scanned = scan(&mended);
            }
        }
    }
    (None, diagnostics)
}

#[cfg(feature = "system")]
fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(64 << 20).spawn_scoped(scope, work);
        let thread = thread.expect("the system gives a thread");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Without threads it is the caller's: the deepest text takes less than 1 MiB of it, where this
/// crate is compiled with optimisation.
#[cfg(not(feature = "system"))]
fn on_large_stack<T>(work: impl FnOnce() -> T) -> T {
    work()
}

fn in_order(mut list: Vec<Diagnostic>, sources: Vec<Source>) -> Diagnostics {
    list.sort_by_key(|diagnostic| diagnostic.labels.first().map(|label| label.span));
    Diagnostics { list, sources }
}

fn not_a_model(text: &str, file: u32, rule: Rule) -> Option<Diagnostic> {
    let here = |start: usize, end: usize| words::span(file, &(start..end));
    if text.len() > LARGEST {
        let message = format!("this text is {} bytes long; the limit is {LARGEST}", text.len());
        return Some(Diagnostic::error("not-a-model", here(0, 0), message));
    }
    let control = |b: &u8| *b < b' ' && !matches!(*b, b'\n' | b'\r' | b'\t') || *b == 0x7f;
    if let Some(at) = text.bytes().position(|b| control(&b)) {
        let message = "this is not a text file: it holds control characters";
        return Some(
            Diagnostic::error("not-a-model", here(at, at + 1), message)
                .here(format!("the byte {:#04x}", text.as_bytes()[at])),
        );
    }
    // a value may begin so, a file never does
    let start = text
        .find(|c: char| !c.is_whitespace() && c != '\u{feff}')
        .filter(|_| rule != Rule::lone_expr)?;
    let of = match text[start..].chars().next()? {
        '{' | '[' => "JSON",
        '<' => "XML or HTML",
        _ => return None,
    };
    let told = Diagnostic::error(
        "not-a-model",
        here(start, start + 1),
        format!("this is no model: it begins like {of}"),
    );
    Some(
        told.hint("a model begins with `model NAME`; in the folder of a run it is `model.rlmodel`"),
    )
}

fn empty(file: u32, what: &str) -> Diagnostic {
    let message = format!("this file is empty: it states no {what}");
    let hint = match what {
        "model" => "begin with `model NAME`, a `horizon` and an `environment`",
        _ => "begin with the variables: `state s : 0..9`",
    };
    Diagnostic::error("empty-file", words::span(file, &(0..0)), message).hint(hint)
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(
        "too-deep",
        span,
        format!("brackets and `if`s nest more than {DEPTH_LIMIT} deep"),
    )
    .here("this one is too deep")
    .hint("name parts of it with `let`")
}

fn cannot_read(path: &str, at: Span, why: &str) -> Diagnostic {
    let diagnostic =
        Diagnostic::error("cannot-read", at, format!("cannot read the environment file: {why}"));
    if path.ends_with(".rlenv") {
        diagnostic.hint("relative names start from the model file's folder")
    } else {
        diagnostic.hint("environment files end with `.rlenv`")
    }
}

#[cfg(test)]
mod tests;
