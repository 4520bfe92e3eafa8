//! The return over `n` steps (Mnih et al. 2016): `c_k = 1` for `k < n`, and 0 behind.

use super::{Critic, Fading};
use crate::plan::key::{Key, KeyDefault, KeyKind};

pub(super) const CRITIC: Critic = Critic {
    key: Key {
        name: "n_step",
        kind: KeyKind::Count { least: 1 },
        default: KeyDefault::Derived("to the end"),
        meaning: "steps of credit before the learned value takes the place of the rest (Mnih \
                  2016); it biases the gradient and needs a network as baseline",
    },
    shortens: "`n_step`",
    fading: |steps, _| Fading::First(steps as usize),
};
