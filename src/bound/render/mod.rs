//! A derivation in print: text with Unicode mathematics, LaTeX, MathML and JSON. Every printer
//! prints the same formulas.

mod formula;
mod greek;
mod json;
mod latex;
mod lines;
mod mathml;
mod text;

pub use crate::bound::plain::plain;
pub use json::{SCHEMA_VERSION, json};
pub use latex::latex;
pub use mathml::{mathml, mathml_formulas};
pub use text::text;

use super::derivation::Derivation;
use std::fmt;

/// Whether the steps from the evidence to the bound are printed, or the bound alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    Bound,
    Steps,
}

impl fmt::Display for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(self, Detail::Bound))
    }
}
