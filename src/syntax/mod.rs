//! Text in, tree out, and back. Knows no probability.

pub mod ast;
