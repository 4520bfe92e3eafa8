//! What a trust region keeps of a shard.

use crate::engine::network::forward::{Activations, Scratch};
use crate::engine::network::tangent::Tangents;
use crate::engine::numeric::stop::Stop;

/// Working memory of a shard.
#[derive(Default)]
pub(in crate::engine) struct Trial<E> {
    pub tangents: Tangents<E>,
    /// At the rows at which a divergence is measured.
    pub network: Activations<E>,
    pub scratch: Scratch<E>,
    /// By draw.
    pub metric: Vec<Vec<Vec<E>>>,
    pub present: Vec<E>,
    pub log_prob: Vec<E>,
    pub column: Vec<E>,
}

impl<E: Default> Trial<E> {
    /// Of a run that may be asked to end.
    pub fn of(stop: &Stop) -> Trial<E> {
        Trial { scratch: Scratch::of(stop), ..Trial::default() }
    }
}
