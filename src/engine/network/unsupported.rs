//! Networks that cannot run.

/// A network that cannot run, in one sentence that names the construct.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(pub String);

pub(in crate::engine) fn unsupported(construct: &str) -> Unsupported {
    Unsupported(format!("{construct} is understood but cannot run yet"))
}
