//! Runs: the training of bounds in turns, what it tells, and what it keeps.

pub(in crate::engine) mod checkpoint;
pub(in crate::engine) mod evaluate;
pub(in crate::engine) mod exact_update;
pub(in crate::engine) mod judge;
pub(in crate::engine) mod memory;
pub(in crate::engine) mod outcome;
pub(in crate::engine) mod policy;
pub(in crate::engine) mod record;
pub(in crate::engine) mod train;
pub(in crate::engine) mod trainer;
pub(in crate::engine) mod trust_region;
pub(in crate::engine) mod verdict;
pub(in crate::engine) mod watch;
