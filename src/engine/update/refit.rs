//! A gradient step of a model of the world from kept transitions: maximum likelihood.

use crate::engine::family::Draws;
use crate::engine::network::forward::{Activations, Scratch};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::density::Density;
use crate::engine::program::points::Columns;
use crate::engine::sample::replay::Replay;
use crate::engine::tape::parameters::Parameters;
use crate::engine::tape::tensor::Tape;
use crate::plan::Plan;
use rand::{Rng, RngExt};
use std::sync::{Arc, Mutex};

/// Buffers of a shard.
#[derive(Default)]
pub(in crate::engine) struct Refitting<E> {
    rows: Vec<u32>,
    columns: Columns<E>,
    network: Arc<Activations<E>>,
    drawn: Draws<E>,
    last: Vec<u32>,
    scratch: Arc<Mutex<Scratch<E>>>,
}

impl<E: Number> Refitting<E> {
    /// Adds the gradient of `−Σ weight · log p(·|s, a)` of all `models` over `count` transitions of
    /// the replay.
    pub fn add_gradient<'a>(
        &mut self,
        (plan, models): (&Plan, impl Iterator<Item = &'a Density>),
        (parameters, replay): (&Parameters<E>, &Replay<E>),
        (count, weight): (usize, f64),
        random: &mut impl Rng,
        gradient: &mut [E],
    ) {
        let kept = replay.len();
        if kept == 0 || count == 0 {
            return;
        }
        self.rows.clear();
        self.rows.extend((0..count).map(|_| random.random_range(0..kept as u32)));
        for model in models {
            replay.gather((plan, &model.inputs), &self.rows, None, &mut self.columns);
            match model.last {
                Some((last, _)) => replay.numbers_of(plan, last, &self.rows, &mut self.last),
                None => self.last.resize(count, 0),
            }
            replay.outcomes_of(model.target.0, &self.rows, &mut self.drawn);
            let network = Arc::get_mut(&mut self.network)
                .expect("refit: the tape of the last gradient is gone");
            model.network.forward(
                parameters.values(),
                &self.columns.feeds(&model.inputs, count),
                0..count,
                network,
            );
            let mut tape = Tape::reusing(&self.scratch);
            let roots = tape.network(&model.network, parameters, &self.network, 0..count);
            let log_prob = model.family.log_density(&mut tape, &roots, &self.last, &self.drawn);
            tape.backward(vec![(log_prob, vec![Float::of(-weight); count])], parameters, gradient);
        }
    }
}
