//! Episodes: what trajectories held, by row and as a whole, and what their draws are credited with.

pub(in crate::engine) mod advantage;
pub(in crate::engine) mod credit;
pub(in crate::engine) mod joint;
pub(in crate::engine) mod ledger;
pub(in crate::engine) mod listed;
pub(in crate::engine) mod listing;
pub(in crate::engine) mod points;
pub(in crate::engine) mod recorded;
pub(in crate::engine) mod replay;
pub(in crate::engine) mod tally;
pub(in crate::engine) mod trace;
pub(in crate::engine) mod values;
pub(in crate::engine) mod variable;
