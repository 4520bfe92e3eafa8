//! Who does the shards of a batch, on which threads, and in how much memory.

pub(in crate::engine) mod crew;
pub(in crate::engine) mod shards;
