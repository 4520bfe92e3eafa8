//! From a program and a world to episodes.

pub(in crate::engine) mod evaluate;
pub(in crate::engine) mod failure;
pub(in crate::engine) mod fault;
pub(in crate::engine) mod policy;
pub(in crate::engine) mod reached;
pub(in crate::engine) mod record;
pub(in crate::engine) mod rollout;
