//! The tensors and the tape of dfdx, its fused nodes, and parameters.

pub(in crate::engine) mod initial;
pub(in crate::engine) mod nodes;
pub(in crate::engine) mod parameters;
pub(in crate::engine) mod tensor;
