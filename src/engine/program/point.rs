//! The parameters that trajectories are rolled out at.

/// The parameters a rollout reads.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Point<'a, E> {
    pub present: &'a [E],
    /// Those of the beginning of the round; `None` where they are the present ones.
    pub previous: Option<&'a [E]>,
    /// What gains are computed from, and what weights were drawn from.
    pub frozen: &'a Frozen<E>,
}

/// Mean fields at the beginning of a batch: draws of all weights, and their noise.
#[derive(Default)]
pub(in crate::engine) struct Frozen<E> {
    /// Flat vectors with a draw in the place of the means.
    pub draws: Vec<Vec<E>>,
    /// ε, where the mean stands in the flat vector.
    pub noise: Vec<Vec<E>>,
    /// The flat vector that the draws were made from.
    pub values: Vec<E>,
}
