//! What a classifier says of single transitions, for its judge.

/// What a classifier says of a transition.
pub(in crate::engine) struct Judged {
    pub logit: f64,
    /// `log q` of the model.
    pub log_q: f64,
    /// Which transition of the replay it is of.
    pub of: usize,
    /// State, action and next state, where they are finite.
    pub numbers: [usize; 3],
    /// The components of the next state, where they are real.
    pub next: Vec<f64>,
}
