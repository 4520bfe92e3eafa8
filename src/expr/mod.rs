//! Scalar expressions of a model as a graph with shared nodes. Knows numbers, no variables, no
//! probability.
//!
//! Arrays, records, `let`s and functions are gone here: [`crate::model`] resolves them when it
//! lowers a file, and what is left is a hash-consed graph of scalars, so that equal expressions are
//! computed once. Truth values are 0 and 1, names of a domain are counted from 0.

mod compile;
mod copy;
mod derivative;
mod elementary;
mod evaluate;
mod fold;
mod gamma;
mod graph;
mod instruction;
pub mod interval;
mod operation;
mod overflow;
mod program;
mod real;
#[cfg(test)]
mod testing;

pub use derivative::Jump;
pub(crate) use gamma::polygamma;
pub use graph::{BinaryOp, ExprId, Graph, InputId, Node, ParamId, TableId, UnaryOp};
pub use interval::Interval;
pub use program::{Column, Program, Scratch};
pub use real::Real;
