//! Generalised advantage estimation (Schulman et al. 2016, eq. 16): `c_k = λᵏ`.

use super::{Critic, Fading};
use crate::plan::key::{Key, KeyDefault, KeyKind};

pub(super) const CRITIC: Critic = Critic {
    key: Key {
        name: "lambda",
        kind: KeyKind::Number { lo: 0.0, hi: 1.0 },
        default: KeyDefault::Number(1.0),
        meaning: "λ of generalised advantage estimation (Schulman 2016); below 1 it biases the \
                  gradient and needs a network as baseline",
    },
    shortens: "`lambda` below 1",
    fading: |lambda, _| if lambda < 1.0 { Fading::Geometric(lambda) } else { Fading::Never },
};
