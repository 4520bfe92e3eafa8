//! Critics: how far ahead the credit of a draw looks before a learned value takes the place of the
//! rest. One file each; to add one, write its file and give it a row in [`CRITICS`].
//!
//! With the surprises `δ_k = ρ_k + γ V_{k+1} − V_k` of a trajectory, the advantage of the
//! draw at `t` is `A_t = Σ_{k ≥ 0} γᵏ c_k δ_{t+k}`, where `ρ_k` is what becomes downstream
//! first at `k`. A critic says what the weights `c_k` are. With `c_k = 1` throughout the values
//! cancel but for `V_t`, and the gradient is unbiased; any other critic lowers its variance and
//! biases it, as far as the values are wrong.

mod average_return;
mod gae;
mod n_step;

use super::key::Key;

/// Every critic, in the order in which their keys are printed.
pub const CRITICS: [Critic; 3] = [gae::CRITIC, n_step::CRITIC, average_return::CRITIC];

/// A critic and the key of `infer` that asks for it.
pub struct Critic {
    pub key: Key,
    /// What shortens the credit, in words: `` `lambda` below 1 ``.
    pub shortens: &'static str,
    /// The weights at a value of the key, for so many steps.
    pub fading: fn(f64, usize) -> Fading,
}

/// The weights `c_k` of surprises `k` steps ahead; `c_0` is 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Fading {
    /// 1 throughout: a draw is credited with all that follows it.
    Never,
    /// `cᵏ`
    Geometric(f64),
    /// 1 for so many steps, then 0.
    First(usize),
    /// These, and 0 behind the last of them.
    Listed(Vec<f64>),
}

/// A critic at the value that a file gives to its key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    pub key: &'static str,
    pub value: f64,
}

impl Chosen {
    pub fn critic(&self) -> &'static Critic {
        let found = CRITICS.iter().find(|critic| critic.key.name == self.key);
        found.expect("critic: one is chosen by its key")
    }

    /// The weights for so many steps.
    pub fn fading(&self, horizon: usize) -> Fading {
        (self.critic().fading)(self.value, horizon)
    }
}

/// Those that shorten the credit, at the values that `value` finds for their keys.
pub fn chosen(mut value: impl FnMut(&'static str) -> Option<f64>) -> Vec<Chosen> {
    CRITICS
        .iter()
        .filter_map(|critic| Some(Chosen { key: critic.key.name, value: value(critic.key.name)? }))
        .filter(|chosen| chosen.fading(1) != Fading::Never)
        .collect()
}

/// Whether a key of `infer` asks for a critic.
pub fn is_key(name: &str) -> bool {
    CRITICS.iter().any(|critic| critic.key.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{KeyDefault, KeyKind};

    #[test]
    fn a_draw_is_credited_with_its_own_step_whole_and_by_default_with_all() {
        for critic in CRITICS {
            if let KeyDefault::Number(value) = critic.key.default {
                assert_eq!((critic.fading)(value, 9), Fading::Never, "{}", critic.key.name);
            }
            let (lo, hi) = match critic.key.kind {
                KeyKind::Number { lo, hi } => (lo, hi),
                KeyKind::Count { least } => (least as f64, least as f64 + 7.0),
                kind => panic!("{kind:?} has no values to try"),
            };
            for value in [lo, 0.5 * (lo + hi), hi].map(|x| match critic.key.kind {
                KeyKind::Count { .. } => x.round(),
                _ => x,
            }) {
                match (critic.fading)(value, 9) {
                    Fading::Never => {}
                    Fading::Geometric(c) => assert!((0.0..1.0).contains(&c)),
                    Fading::First(steps) => assert!(steps > 0),
                    Fading::Listed(weights) => assert_eq!(weights.first(), Some(&1.0)),
                }
            }
        }
    }
}
