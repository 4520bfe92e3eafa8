//! From the pairs of pest to the tree. What the grammar cannot say is checked here: precedence,
//! chains of comparisons, numbers, depth.

mod environments;
mod expressions;
mod items;
mod operators;
mod parts;

use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{Comment, Expr};
use crate::syntax::scan::Scan;
use parts::{Node, Parts};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Reads the file `from "…"` names; the place is where it is named. The builder itself touches no
/// disk.
pub type Include<'a> =
    dyn FnMut(&str, Span) -> Option<crate::syntax::ast::EnvironmentFile> + Send + 'a;

/// Builds the tree of one text.
pub struct Builder<'a> {
    pub text: &'a str,
    pub file: u32,
    pub diagnostics: Vec<Diagnostic>,
    pub include: &'a mut Include<'a>,
}

impl Builder<'_> {
    /// The only expression of a text, of `rule lone_expr`.
    pub fn lone_expr(&mut self, node: Node<'_>) -> Expr {
        self.setting_value(Parts::of(node).must())
    }

    fn say(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn span(&self, node: &Node<'_>) -> Span {
        parts::span(self.file, self.text, node)
    }
}

/// The comments of a text, without their `#`.
pub fn comments(text: &str, scan: &Scan, file: u32) -> Vec<Comment> {
    let comment = |range: &std::ops::Range<usize>| Comment {
        text: text[range.start + 1..range.end].trim_end().to_owned(),
        span: Span {
            file,
            start: range.start as u32,
            end: (range.start + text[range.clone()].trim_end().len()) as u32,
        },
    };
    scan.comments.iter().map(comment).collect()
}

/// Names are compared in NFC: `é` is one name however it was typed.
fn nfc(text: &str) -> String {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text.to_owned(),
        IsNormalized::No | IsNormalized::Maybe => text.nfc().collect(),
    }
}
