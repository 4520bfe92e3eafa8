//! Text in, tree out, and back. Knows no probability.

pub mod ast;
mod build;
mod grammar;
mod parse;
mod scan;
mod words;

pub use parse::{SIZE_LIMIT, parse, parse_environment_file, parse_expr};
pub use scan::{DEPTH_LIMIT, RESERVED};
