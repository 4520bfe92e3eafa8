//! Steps of a learned model in the place of the environment's transitions, and starts of one in the place of its initial distribution.

use super::evaluate::Activations;
use super::expressions::Number;
use super::family::{Choice, Draws, Family};
use super::float::Float;
use super::run::EngineError;
use super::wired::{Feeds, Part, Wired};
use crate::plan::{Draw, Outcome, Plan, Subject};
use crate::world::{Actions, Batch, World};
use rand::Rng;
use std::ops::Range;

/// What draws next states, or first ones.
pub(super) struct Imagination {
    wired: Wired,
    family: Family,
    /// What is drawn beside: the rewards in their order, then the end; each with its roots.
    outcomes: Vec<(Family, Range<usize>)>,
}

/// Buffers of a shard.
#[derive(Default)]
pub(super) struct Imagined<E> {
    network: Activations<E>,
    numbers: Vec<E>,
    uniforms: Vec<E>,
    drawn: Draws<E>,
    outcome: Draws<E>,
    /// Column by column.
    told: Vec<E>,
    last: Vec<u32>,
    columns: Vec<E>,
}

impl Imagination {
    /// # Errors
    /// One sentence, where the network cannot run.
    pub fn new(plan: &Plan, draw: &Draw, with: &[Outcome]) -> Result<Imagination, EngineError> {
        let mut layers = draw.head.layers();
        let mut outcomes = Vec::with_capacity(with.len());
        let (rewards, end): (Vec<&Outcome>, Vec<&Outcome>) = with.iter().partition(|outcome| outcome.of != Subject::End);
        for outcome in rewards.into_iter().chain(end) {
            let first = layers.len();
            layers.extend(outcome.head.layers());
            outcomes.push((Family::of(&outcome.head), first..layers.len()));
        }
        let part = Part { kernel: draw.kernel, layers, reads: &draw.reads };
        Ok(Imagination { wired: Wired::new(plan, &[], &part, None, None)?, family: Family::of(&draw.head), outcomes })
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
        self.draw_outcomes(rows, into, random);
        let Imagined { drawn, columns, told, .. } = into;
        batch.follow(world, actions, (self.family.actions(drawn, 0..rows, columns), told), random);
    }

    /// What is drawn beside the next states, from the same pass of the network.
    fn draw_outcomes<E: Number>(&self, rows: usize, into: &mut Imagined<E>, random: &mut impl Rng) {
        let Imagined { network, numbers, uniforms, outcome, last, told, .. } = into;
        told.clear();
        for (family, roots) in &self.outcomes {
            numbers.resize(rows * family.numbers(), <E as Float>::ZERO);
            family.describe(self.wired.outputs(network, roots, &(0..rows)), last, numbers);
            outcome.clear();
            family.draw(numbers, Choice::Sampled, random, uniforms, outcome);
            told.extend(outcome.numbers.iter().map(|&number| <E as Float>::of(f64::from(number))));
            told.extend_from_slice(&outcome.reals);
        }
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
