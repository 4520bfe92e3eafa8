//! Densities and masses on plain slices, with their gradients: what families are computed by.

pub mod categorical;
pub(in crate::engine) mod masses;
pub(in crate::engine) mod mixture;
pub(in crate::engine) mod normal;
pub(in crate::engine) mod sticky;
