//! rlppl: reinforcement learning as variational inference, from a model file of factors.

pub mod bound;
pub mod cli;
pub mod diagnostic;
pub mod engine;
pub mod exact;
pub mod expr;
pub mod finite;
pub mod model;
pub mod plan;
pub mod report;
pub mod source;
pub mod syntax;
pub mod world;
