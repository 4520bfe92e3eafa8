//! Steps on parameters: optimisers, ascents on the exact gradient, classifiers, models.

pub(in crate::engine) mod anneal;
pub(in crate::engine) mod ascent;
pub(in crate::engine) mod classify;
pub(in crate::engine) mod judged;
pub(in crate::engine) mod optimise;
pub(in crate::engine) mod optimiser;
pub(in crate::engine) mod refit;
pub(in crate::engine) mod trial;
