//! Networks: the layers of a model compiled to steps, run forward and backward; their parameters.

pub(in crate::engine) mod compile;
pub(in crate::engine) mod elementwise;
pub(in crate::engine) mod features;
pub(in crate::engine) mod feed;
pub(in crate::engine) mod following;
pub(in crate::engine) mod forward;
pub(in crate::engine) mod gru;
pub(in crate::engine) mod layout;
mod picked;
pub(in crate::engine) mod plan;
pub(in crate::engine) mod scalars;
pub(in crate::engine) mod tangent;
pub(in crate::engine) mod unsupported;
