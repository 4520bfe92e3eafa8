//! Steps on parameters: optimisers, trust regions, classifiers, models, exact rounds.

pub(in crate::engine) mod classify;
pub(in crate::engine) mod judged;
pub(in crate::engine) mod optimiser;
pub(in crate::engine) mod refit;
pub(in crate::engine) mod trial;
