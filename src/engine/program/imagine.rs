//! Steps of a learned model in the place of the environment's transitions, and starts of one in the
//! place of its initial distribution.

use super::binding::{Feeds, InputBinding, Part};
use crate::engine::episode::values::Values;
use crate::engine::episode::variable::Variable;
use crate::engine::error::EngineError;
use crate::engine::family::choice::Choice;
use crate::engine::family::{Draws, Family};
use crate::engine::network::forward::Activations;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::plan::{Draw, Outcome, Plan, StateDraw, Subject};
use crate::world::{Actions, Batch, World};
use rand::Rng;
use std::ops::Range;
use std::sync::Arc;

/// What draws next states, or first ones.
pub(in crate::engine) struct Imagination {
    /// It draws first ones.
    pub once: bool,
    pub binding: InputBinding,
    pub family: Family,
    /// What is drawn beside: the rewards in their order, then the end; each with its roots.
    pub outcomes: Vec<(Variable, Family, Range<usize>)>,
    /// The name of what draws.
    kernel: String,
}

/// Buffers of a shard.
#[derive(Default)]
pub(in crate::engine) struct Imagined<E> {
    /// Of the last step; where rows are kept, of all of them.
    pub network: Arc<Activations<E>>,
    numbers: Vec<E>,
    uniforms: Vec<E>,
    pub drawn: Draws<E>,
    /// In the order of [`Imagination::outcomes`].
    pub outcomes: Vec<Draws<E>>,
    /// The first row of the last draw from what is no distribution, and what is wrong with it.
    pub broken: Option<(usize, String)>,
    /// Column by column.
    told: Vec<E>,
    last: Vec<u32>,
    columns: Vec<E>,
}

impl Imagination {
    /// # Errors
    /// One sentence, where the network cannot run.
    pub fn new(plan: &Plan, of: &StateDraw) -> Result<Imagination, EngineError> {
        Imagination::of(plan, &of.draw, &of.outcomes)
    }

    /// A draw of a step, and what is drawn with it.
    ///
    /// # Errors
    /// As [`Imagination::new`].
    pub fn of(plan: &Plan, draw: &Draw, with: &[Outcome]) -> Result<Imagination, EngineError> {
        let mut layers = draw.head.layers();
        let mut outcomes = Vec::with_capacity(with.len());
        let (rewards, end): (Vec<&Outcome>, Vec<&Outcome>) =
            with.iter().partition(|outcome| outcome.of != Subject::End);
        for outcome in rewards.into_iter().chain(end) {
            let first = layers.len();
            layers.extend(outcome.head.layers());
            let family = Family::at_values(&outcome.head);
            outcomes.push((Variable::told(outcome.of), family, first..layers.len()));
        }
        let part = Part { kernel: draw.kernel, layers, reads: &draw.reads };
        let kernel = plan.model.kernel(draw.kernel).name.clone();
        Ok(Imagination {
            once: draw.once,
            // a model of the world draws and reads states as they are
            binding: InputBinding::new(plan, &[part], &[], None)?.unscaled(),
            family: Family::of(&draw.head),
            outcomes,
            kernel,
        })
    }

    /// Draws for all rows what the first state reads, as a step will have drawn it.
    pub fn precede<E: Number>(
        &self,
        (world, batch): (&World<E>, &Batch<E>),
        parameters: &[E],
        feeds: &mut Feeds<E>,
        (into, values): (&mut Imagined<E>, &mut Values<E>),
        random: &mut impl Rng,
    ) {
        let rows = 0..batch.rows();
        self.draw((world, batch), (parameters, rows.clone()), feeds, into, random);
        let Imagined { drawn, columns, .. } = into;
        values.copy(self.family.actions(drawn, rows.clone(), columns), rows.len());
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
        let rows = 0..batch.rows();
        self.draw((world, batch), (parameters, rows.clone()), feeds, into, random);
        let Imagined { drawn, columns, .. } = into;
        batch.begin(world, self.family.actions(drawn, rows, columns), random);
    }

    /// Moves the rows in front by one step; what was computed and drawn stands behind the first
    /// `kept` rows. `feeds` has what the step drew, `done` is what the world takes of it.
    pub fn step<E: Number>(
        &self,
        (world, batch): (&World<E>, &mut Batch<E>),
        (parameters, done, kept): (&[E], Actions<E>, usize),
        feeds: &mut Feeds<E>,
        into: &mut Imagined<E>,
        random: &mut impl Rng,
    ) {
        let rows = kept..kept + batch.front();
        self.draw((world, batch), (parameters, rows.clone()), feeds, into, random);
        self.draw_outcomes(rows.clone(), into, random);
        let Imagined { drawn, columns, told, .. } = into;
        batch.follow(world, done, (self.family.actions(drawn, rows, columns), told), random);
    }

    /// What is drawn beside the next states, from the same pass of the network.
    fn draw_outcomes<E: Number>(
        &self,
        rows: Range<usize>,
        into: &mut Imagined<E>,
        random: &mut impl Rng,
    ) {
        let Imagined { network, numbers, uniforms, outcomes, last, told, broken, .. } = into;
        told.clear();
        outcomes.resize_with(self.outcomes.len(), Draws::default);
        for ((_, family, roots), drawn) in self.outcomes.iter().zip(outcomes) {
            numbers.resize(rows.len() * family.numbers(), <E as Float>::ZERO);
            family.describe(self.binding.outputs(network, roots, &rows), last, numbers);
            if broken.is_none() {
                *broken = family.fault(
                    &self.kernel,
                    numbers,
                    self.binding.outputs(network, roots, &rows),
                );
            }
            drawn.keep(rows.start, 1);
            family.draw(numbers, Choice::Sampled, random, uniforms, drawn);
            told.extend(
                drawn
                    .numbers
                    .iter()
                    .skip(rows.start)
                    .map(|&number| <E as Float>::of(f64::from(number))),
            );
            told.extend(drawn.reals.iter().skip(rows.start));
        }
    }

    fn draw<E: Number>(
        &self,
        (world, batch): (&World<E>, &Batch<E>),
        (parameters, rows): (&[E], Range<usize>),
        feeds: &mut Feeds<E>,
        into: &mut Imagined<E>,
        random: &mut impl Rng,
    ) {
        let Imagined { network, numbers, uniforms, drawn, last, broken, .. } = into;
        let network =
            Arc::get_mut(network).expect("imagine: the tape of the last gradient is gone");
        self.binding.network.draw_noise(rows.clone(), random, network);
        self.binding.feed(parameters, (world, batch), rows.len(), feeds, |inputs| {
            self.binding.network.forward(parameters, inputs, rows.clone(), network);
        });
        numbers.resize(rows.len() * self.family.numbers(), <E as Float>::ZERO);
        // nothing is drawn before
        last.clear();
        last.resize(rows.len(), self.family.numbers() as u32);
        self.family.describe(
            self.binding.outputs(network, &self.binding.draws[0], &rows),
            last,
            numbers,
        );
        *broken = self.family.fault(
            &self.kernel,
            numbers,
            self.binding.outputs(network, &self.binding.draws[0], &rows),
        );
        drawn.keep(rows.start, self.family.width());
        self.family.draw(numbers, Choice::Sampled, random, uniforms, drawn);
    }
}
