//! What is told to the author of a model: where, what, why and how to mend it. A word that every
//! layer uses.

mod json;
mod lines;
mod printable;
mod render;

pub use json::render_json;
pub use printable::{printable, printable_json};
pub use render::{Color, render};

use crate::source::{Source, Span};
use std::fmt;

/// The kind of a mistake; printed in brackets, `error[unknown-name]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub &'static str);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
    /// Nothing is wrong: something is good to know.
    Note,
}

/// A place, and what is to be said of it there (possibly nothing).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    pub message: String,
    /// The first is the place of the mistake; the others explain it.
    pub labels: Vec<Label>,
    /// A state, action or value that shows the mistake: `s = 3, a = right: the probabilities sum to
    /// 1.1`.
    pub witness: Option<String>,
    /// How to mend it.
    pub hints: Vec<String>,
}

impl Diagnostic {
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        let labels = vec![Label { span, text: String::new() }];
        Diagnostic {
            code: Code(code),
            severity: Severity::Error,
            message: message.into(),
            labels,
            witness: None,
            hints: Vec::new(),
        }
    }

    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message) }
    }

    /// Words under the place of the mistake.
    pub fn here(mut self, text: impl Into<String>) -> Diagnostic {
        self.labels[0].text = text.into();
        self
    }

    /// A second place that explains the mistake.
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    pub fn witness(mut self, witness: impl Into<String>) -> Diagnostic {
        self.witness = Some(witness.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hints.push(hint.into());
        self
    }
}

/// Several diagnostics, with the texts they point into: all that a stage found, not only the first.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    pub list: Vec<Diagnostic>,
    /// Indexed by [`Span::file`].
    pub sources: Vec<Source>,
}

impl Diagnostics {
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// In order of place, those without a place first; at one place as they were found.
    pub fn in_order(&self) -> impl Iterator<Item = &Diagnostic> {
        let mut list: Vec<&Diagnostic> = self.list.iter().collect();
        list.sort_by_key(|diagnostic| {
            diagnostic.labels.first().map(|label| (label.span.file, label.span.start))
        });
        list.into_iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(self, Color::Plain))
    }
}

impl std::error::Error for Diagnostics {}
