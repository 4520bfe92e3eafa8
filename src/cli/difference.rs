//! What has changed between two texts.

use similar::TextDiff;

/// A unified difference: `-` the text of `name` as it is, `+` as it would be, and `what` that is.
pub fn difference(name: &str, old: &str, new: &str, what: &str) -> String {
    TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(2)
        .header(name, &format!("{name} ({what})"))
        .to_string()
}
