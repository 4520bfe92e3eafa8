//! Finite environments and kernels as sparse tables in float64: what the oracle sums over and what finite worlds are sampled from.

mod kernels;
mod tables;

pub use kernels::{KernelTable, KernelTables};
pub use tables::{Environment, NotFinite, Sparse};
