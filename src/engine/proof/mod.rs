//! What judges the estimators that train: by samples, and by all trajectories of a small model.

pub(in crate::engine) mod assess;
pub(in crate::engine) mod listed;
