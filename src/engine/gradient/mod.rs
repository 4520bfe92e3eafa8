//! From episodes to the gradient of a bound.

pub(in crate::engine) mod enumerate;
pub(in crate::engine) mod objective;
pub(in crate::engine) mod pathwise;
pub(in crate::engine) mod summed;
