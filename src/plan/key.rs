//! What a key of `infer` is.

use std::fmt;

/// One key of `infer`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    pub name: &'static str,
    pub meaning: &'static str,
    pub kind: KeyKind,
    pub default: KeyDefault,
}

/// What values a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyKind {
    /// A whole number, at least this.
    Count {
        least: u64,
    },
    /// A number between these, both included.
    Number {
        lo: f64,
        hi: f64,
    },
    /// A number greater than zero.
    Positive,
    Truth,
    Word(&'static [&'static str]),
    /// One of these words, or several in brackets.
    Words(&'static [&'static str]),
    /// One of [`super::OPTIMIZERS`] with named arguments.
    Optimizer,
    /// A network over variables at `t`, or one of these words.
    NetworkOr(&'static [&'static str]),
    /// One of [`super::UPDATES`] with named arguments.
    Update,
    /// A threshold of one of these quantities.
    Threshold(&'static [&'static str]),
}

/// What holds where the key is not set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyDefault {
    Number(f64),
    Truth(bool),
    Word(&'static str),
    /// Follows from other settings or from the machine, in these words.
    Derived(&'static str),
}

impl fmt::Display for KeyDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyDefault::Number(value) => write!(f, "{value}"),
            KeyDefault::Truth(value) => write!(f, "{value}"),
            KeyDefault::Word(word) | KeyDefault::Derived(word) => f.write_str(word),
        }
    }
}
