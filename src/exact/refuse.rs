//! What the oracle does not take, in one sentence.

use crate::finite::NotFinite;

pub(super) fn refuse<T>(what: &str) -> Result<T, NotFinite> {
    Err(NotFinite(format!("the exact oracle does not take {what} yet")))
}
