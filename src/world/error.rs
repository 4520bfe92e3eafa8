//! What cannot be sampled.

/// What of an environment cannot be sampled yet: the message is one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is understood, but cannot be sampled yet")]
pub struct WorldError(pub String);
