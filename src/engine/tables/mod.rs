//! Kernels over finite variables as tables: what the oracle takes as a policy.

pub(in crate::engine) mod head;
pub(in crate::engine) mod kernels;
pub(in crate::engine) mod known_ratio;
pub(in crate::engine) mod numbers;
pub(in crate::engine) mod tabulate;
pub(in crate::engine) mod written;
