//! The mean of the returns over 1 to `n` steps (a compound return, Sutton and Barto 2018, section
//! 12.1): `c_k = (n − k) / n` for `k < n`, and 0 behind.

use super::{Critic, Fading};
use crate::plan::key::{Key, KeyDefault, KeyKind};

pub(super) const CRITIC: Critic = Critic {
    key: Key {
        name: "average_return",
        kind: KeyKind::Count { least: 1 },
        default: KeyDefault::Derived("to the end"),
        meaning: "n: the mean of the returns over 1 to n steps, each with the learned value in the \
                  place of the rest; it biases the gradient and needs a network as baseline",
    },
    shortens: "`average_return`",
    fading: |n, horizon| {
        let count = n.min(horizon as f64) as usize;
        Fading::Listed((0..count).map(|k| 1.0 - k as f64 / n).collect())
    },
};
