//! What an environment from outside did, as a run tells it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// What became of an environment from outside.
#[derive(Clone, Debug)]
pub struct EnvironmentFailure {
    /// With the step, and of what it wrote the row and the value: a clause.
    pub what: String,
    /// What helps, where something does.
    pub hint: Option<&'static str>,
    /// The error that the environment returned, if it was that: `downcast_ref` finds its type.
    pub cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl fmt::Display for EnvironmentFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
