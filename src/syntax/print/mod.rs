//! Tree in, text out: the canonical layout.
//!
//! - Two spaces of indentation, one statement a line, 100 columns.
//! - What the author put on one line stays there while it fits: a block (`prior { …; … }`) and
//!   neighbours (`let g = 10; let m = 1`). A list of arguments or elements that the author broke
//!   stays broken, one a line.
//! - Blank lines between statements stay, at most one; none follows `{`, none precedes `}`.
//! - In neighbouring lines of one kind, what stands around `=`, `~`, `:` is aligned; a much longer
//!   neighbour is left out.
//! - Comments stay where they are: before a statement, after it on its line, between the elements
//!   of a broken list. One inside an expression moves before its statement.
//! - Operators have spaces around them; simple sums in an index or a range have none: `s[t+1]`,
//!   `o[t-K..t+K]`.
//! - A text that was formatted is its own layout, and has the same tree.

mod comments;
mod expressions;
mod items;
mod rows;
mod statements;

use super::ast::{EnvironmentFile, Expr, File};
use crate::source::Source;
use comments::Margin;
use items::Printer;
use pretty::Arena;

pub use rows::WIDTH;

/// A model file in the canonical layout. Line breaks and blank lines follow the file's text
/// (`file.sources`) where it has one.
///
/// ```
/// use rlppl::{source::Source, syntax};
/// let file = syntax::parse(&Source::new("m", "param K=2 # wide\nprior{o[t+1]~pick(s[ t ])}"))?;
/// assert_eq!(syntax::print(&file), "param K = 2  # wide\nprior { o[t+1] ~ pick(s[t]) }\n");
/// # Ok::<(), rlppl::diagnostic::Diagnostics>(())
/// ```
pub fn print(file: &File) -> String {
    let text = file.sources.first().map_or("", |source| &*source.text);
    let arena = Arena::new();
    let mut printer = Printer::new(&arena, Margin::new(text, &file.comments));
    printer.file(file);
    printer.finish()
}

/// An `.rlenv` file in the canonical layout; `source` is the text it was parsed from.
pub fn print_environment_file(file: &EnvironmentFile, source: &Source) -> String {
    let arena = Arena::new();
    let mut printer = Printer::new(&arena, Margin::new(&source.text, &file.comments));
    printer.environment_file(file);
    printer.finish()
}

/// An expression on one line, with no more brackets than it needs.
///
/// ```
/// let expr = rlppl::syntax::parse_expr("(a+b)*(-c)^2", "--set")?;
/// assert_eq!(rlppl::syntax::expr_to_string(&expr), "(a + b) * (-c) ^ 2");
/// # Ok::<(), rlppl::diagnostic::Diagnostics>(())
/// ```
pub fn expr_to_string(expr: &Expr) -> String {
    let arena = Arena::new();
    let margin = Margin::new("", &[]);
    let doc = expressions::Expressions { arena: &arena, margin: &margin }.expr(expr);
    doc.pretty(usize::MAX).to_string()
}

#[cfg(test)]
mod tests;
