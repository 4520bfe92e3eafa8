//! Episodes: what trajectories held, by row and as a whole, and what their draws are credited with.

pub(in crate::engine) mod advantage;
pub(in crate::engine) mod credit;
pub(in crate::engine) mod joint;
pub(in crate::engine) mod listing;
pub(in crate::engine) mod trace;
pub(in crate::engine) mod values;
pub(in crate::engine) mod variable;
