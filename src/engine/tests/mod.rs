//! Tests of the engine as a whole.

pub(in crate::engine) mod called;
pub(in crate::engine) mod composed;
pub(in crate::engine) mod densities;
pub(in crate::engine) mod drawn;
pub(in crate::engine) mod dream;
pub(in crate::engine) mod evaluate;
pub(in crate::engine) mod families;
pub(in crate::engine) mod fault;
pub(in crate::engine) mod gain;
pub(in crate::engine) mod listed;
pub(in crate::engine) mod model;
pub(in crate::engine) mod optimise;
pub(in crate::engine) mod options;
pub(in crate::engine) mod outcomes;
pub(in crate::engine) mod pathwise;
pub(in crate::engine) mod ratios;
pub(in crate::engine) mod schedule;
pub(in crate::engine) mod simulation;
pub(in crate::engine) mod stop;
pub(in crate::engine) mod testing;
pub(in crate::engine) mod told;
pub(in crate::engine) mod train;
pub(in crate::engine) mod weights;
pub(in crate::engine) mod world;
