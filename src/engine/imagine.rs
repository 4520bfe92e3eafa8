//! Steps of a learned model in the place of the environment's transitions, and starts of one in the place of its initial distribution.

use super::evaluate::Activations;
use super::expressions::Number;
use super::family::{Choice, Draws, Family};
use super::float::Float;
use super::run::EngineError;
use super::wired::{Feeds, Part, Wired};
use crate::plan::{Draw, Plan};
use crate::world::{Actions, Batch, World};
use rand::Rng;

/// What draws next states, or first ones.
pub(super) struct Imagination {
    wired: Wired,
    family: Family,
}

/// Buffers of a shard.
#[derive(Default)]
pub(super) struct Imagined<E> {
    network: Activations<E>,
    numbers: Vec<E>,
    uniforms: Vec<E>,
    drawn: Draws<E>,
    last: Vec<u32>,
    columns: Vec<E>,
}

impl Imagination {
    /// # Errors
    /// One sentence, where the network cannot run.
    pub fn new(plan: &Plan, draw: &Draw) -> Result<Imagination, EngineError> {
        let part = Part { kernel: draw.kernel, layers: draw.head.layers(), reads: &draw.reads };
        Ok(Imagination { wired: Wired::new(plan, &[], &part, None, None)?, family: Family::of(&draw.head) })
    }

    /// Starts all rows anew.
    pub fn begin<E: Number>(
        &self,
        (world, batch): (&World<E>, &mut Batch<E>),
        parameters: &[E],
        feeds: &mut Feeds<E>,
        into: &mut Imagined<E>,
        random: &mut impl Rng,
    ) {
        let rows = batch.rows();
        self.draw((world, batch), (parameters, rows), feeds, into, random);
        let Imagined { drawn, columns, .. } = into;
        batch.begin(world, self.family.actions(drawn, 0..rows, columns), random);
    }

    /// Moves the rows in front by one step.
    pub fn step<E: Number>(
        &self,
        (world, batch): (&World<E>, &mut Batch<E>),
        (parameters, actions): (&[E], Actions<E>),
        feeds: &mut Feeds<E>,
        into: &mut Imagined<E>,
        random: &mut impl Rng,
    ) {
        let rows = batch.front();
        feeds.take_actions(actions, rows);
        self.draw((world, batch), (parameters, rows), feeds, into, random);
        let Imagined { drawn, columns, .. } = into;
        batch.follow(world, actions, self.family.actions(drawn, 0..rows, columns), random);
    }

    fn draw<E: Number>(
        &self,
        (world, batch): (&World<E>, &Batch<E>),
        (parameters, rows): (&[E], usize),
        feeds: &mut Feeds<E>,
        into: &mut Imagined<E>,
        random: &mut impl Rng,
    ) {
        let Imagined { network, numbers, uniforms, drawn, last, .. } = into;
        self.wired.network.draw_noise(0..rows, random, network);
        self.wired.feed(parameters, (world, batch), rows, feeds, |inputs| {
            self.wired.network.forward(parameters, inputs, 0..rows, network);
        });
        numbers.resize(rows * self.family.numbers(), <E as Float>::ZERO);
        last.resize(rows, 0);
        self.family.describe(self.wired.outputs(network, &self.wired.policy, &(0..rows)), last, numbers);
        drawn.clear();
        self.family.draw(numbers, Choice::Sampled, random, uniforms, drawn);
    }
}
