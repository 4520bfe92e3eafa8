//! Runs: the training of bounds in turns, what it tells, and what it keeps.

pub(in crate::engine) mod checkpoint;
pub(in crate::engine) mod error;
pub(in crate::engine) mod lead;
pub(in crate::engine) mod run;
pub(in crate::engine) mod train;
pub(in crate::engine) mod watch;
