//! Whether what acts draws or takes what stands for its distribution.

/// How actions are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Choice {
    Sampled,
    /// The most probable action; the mean of a normal.
    Greedy,
}
