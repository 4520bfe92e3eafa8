//! What judges beside what trains: the oracle on finite models, the exactness of estimators.

pub(in crate::engine) mod calibration;
pub(in crate::engine) mod gap;
pub(in crate::engine) mod improvement;
pub(in crate::engine) mod oracle;
pub(in crate::engine) mod viewpoint;
