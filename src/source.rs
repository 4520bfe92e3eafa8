//! The text of a model file, and places in it. A word that every layer uses.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A named text. `path` is where files it names (`environment … from "x.rlenv"`) are looked for.
#[derive(Clone, Debug)]
pub struct Source {
    /// How diagnostics call it: the path as the user wrote it, or `<stdin>`.
    pub name: String,
    pub path: Option<PathBuf>,
    pub text: Arc<str>,
}

impl Source {
    /// A text that is not on disk: a test, a doctest, standard input. Files it names are looked for in the current folder.
    pub fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Source {
        Source { name: name.into(), path: None, text: text.into() }
    }

    /// A text that was read from `path`.
    pub fn at(path: &Path, text: impl Into<Arc<str>>) -> Source {
        Source { name: path.display().to_string(), path: Some(path.to_owned()), text: text.into() }
    }

    /// The folder that relative names in this file start from.
    pub fn folder(&self) -> &Path {
        self.path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""))
    }
}

/// Bytes `start..end` of one file: 0 is the model file, the others are the `.rlenv` files it names, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub file: u32,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// The smallest span that holds both.
    pub fn to(self, end: Span) -> Span {
        Span { file: self.file, start: self.start.min(end.start), end: self.end.max(end.end) }
    }
}
