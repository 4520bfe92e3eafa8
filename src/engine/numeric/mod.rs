//! Numbers: the two precisions, loops over slices, moments, streams of random numbers.

pub(in crate::engine) mod float;
pub mod kernels;
pub(in crate::engine) mod moments;
pub(in crate::engine) mod number;
pub(in crate::engine) mod said;
pub(in crate::engine) mod stop;
pub(in crate::engine) mod stream;
