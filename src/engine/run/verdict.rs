//! What a judge tells of a run.

/// What a round was worth, exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Improvement {
    /// Of the policy it ended with.
    pub expected_return: f64,
    /// What it added to `E_q[ΣΛ]`, nats.
    pub gain: f64,
    /// `KL(π_j ‖ π_{j−1})` of trajectories, nats.
    pub kl: f64,
    /// By how much `gain` is less than `kl`, which the maximum of the round's bound does not fall
    /// short of; nats.
    pub shortfall: f64,
}

/// The rounds that were judged by the oracle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rounds {
    pub done: u64,
    /// Rounds after which `E_q[ΣΛ]` was less than before.
    pub fell: u64,
    /// Nats.
    pub largest_shortfall: f64,
}

/// How good a classifier is, over real pairs and imagined ones, each from the states and actions
/// that the policy meets in the environment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// The mean of `|logit − log p/q|` over those that both sides can draw, nats.
    pub error: f64,
    /// Real transitions, each beside an imagined one.
    pub pairs: usize,
}
