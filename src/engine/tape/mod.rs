//! The only room that names dfdx: tensors, the tape, and its fused nodes.

pub(in crate::engine) mod initial;
pub(in crate::engine) mod nodes;
pub(in crate::engine) mod parameters;
pub(in crate::engine) mod tensor;
