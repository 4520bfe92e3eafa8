//! A plan compiled: what its draws and terms are computed by.

pub(in crate::engine) mod binding;
pub(in crate::engine) mod compiled;
pub(in crate::engine) mod density;
pub(in crate::engine) mod draws;
pub(in crate::engine) mod enumerator;
pub(in crate::engine) mod expressions;
pub(in crate::engine) mod gain;
pub(in crate::engine) mod imagine;
pub(in crate::engine) mod outcome;
pub(in crate::engine) mod point;
pub(in crate::engine) mod points;
pub(in crate::engine) mod ratio;
pub(in crate::engine) mod recorded;
pub(in crate::engine) mod scaled;
pub(in crate::engine) mod scored;
pub(in crate::engine) mod simulation;
pub(in crate::engine) mod through;
pub(in crate::engine) mod weights;
pub(in crate::engine) mod whole;
