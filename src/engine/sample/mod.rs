//! From a program and a world to episodes.

pub(in crate::engine) mod episodes;
pub(in crate::engine) mod failure;
pub(in crate::engine) mod fault;
pub(in crate::engine) mod ledger;
pub(in crate::engine) mod reached;
pub(in crate::engine) mod replay;
pub(in crate::engine) mod rollout;
pub(in crate::engine) mod start;
pub(in crate::engine) mod tally;
