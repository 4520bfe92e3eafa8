//! Where the gradient goes through draws: the slopes of expressions in what a step reads.

use super::expressions::{Expressions, Place, Values, place};
use crate::engine::numeric::number::Number;
use crate::plan::{Plan, Slope};

/// What a gradient through draws needs beside a program.
pub(in crate::engine) struct Through<E> {
    pub terms: Slopes<E>,
    pub prior: Slopes<E>,
    /// How the observation moves with the state: its components, or the logarithm of its
    /// probability.
    pub observation: Slopes<E>,
}

/// Derivatives of expressions in what a step reads.
pub(in crate::engine) struct Slopes<E> {
    pub expressions: Expressions<E>,
    /// Of each output: which expression it is of, and in what.
    pub of: Vec<(usize, Place)>,
}

/// What they were at the rows of a rollout: a list for each derivative.
pub(in crate::engine) struct SlopeRows<E> {
    pub terms: Vec<Vec<E>>,
    pub prior: Vec<Vec<E>>,
    pub observation: Vec<Vec<E>>,
    values: [Values<E>; 3],
}

impl<E: Number> Through<E> {
    pub fn of(plan: &Plan) -> Through<E> {
        Through {
            terms: Slopes::of(plan, &plan.paths.slopes),
            prior: Slopes::of(plan, &plan.paths.of_prior),
            observation: Slopes::of(plan, &plan.paths.of_observation),
        }
    }

    fn all(&self) -> [&Slopes<E>; 3] {
        [&self.terms, &self.prior, &self.observation]
    }
}

impl<E: Number> Slopes<E> {
    fn of(plan: &Plan, slopes: &[Slope]) -> Slopes<E> {
        let values: Vec<_> = slopes.iter().map(|slope| slope.value).collect();
        let of = slopes.iter().map(|slope| {
            let at = place(plan, slope.of).expect("plan: a slope is in what its step reads");
            (slope.at, at)
        });
        Slopes { of: of.collect(), expressions: Expressions::compile(plan, &values) }
    }
}

impl<E: Number> SlopeRows<E> {
    pub fn clear(&mut self) {
        let SlopeRows { terms, prior, observation, .. } = self;
        terms.iter_mut().chain(prior).chain(observation).for_each(Vec::clear);
    }

    /// Room for `rows` rows.
    pub fn new(of: &Through<E>, rows: usize) -> SlopeRows<E> {
        let values = of.all().map(|slopes| slopes.expressions.values(rows));
        SlopeRows { terms: Vec::new(), prior: Vec::new(), observation: Vec::new(), values }
    }

    /// Reads what stands before a step, or what a step has made, as `fill` does it.
    pub fn read(&mut self, of: &Through<E>, mut fill: impl FnMut(&Expressions<E>, &mut Values<E>)) {
        for (slopes, values) in of.all().into_iter().zip(&mut self.values) {
            fill(&slopes.expressions, values);
        }
    }

    /// Appends the slopes of the `live` rows of a step, which has been made.
    pub fn add(&mut self, of: &Through<E>, t: usize, live: usize) {
        let SlopeRows { terms, prior, observation, values } = self;
        let lists = of.all().into_iter().zip(values).zip([terms, prior, observation]);
        for ((slopes, values), out) in lists {
            slopes.expressions.run(t, 0..live, values);
            out.resize_with(slopes.of.len(), Vec::new);
            out.iter_mut()
                .enumerate()
                .for_each(|(at, out)| out.extend_from_slice(&values.output(at)[..live]));
        }
    }

    /// Moves what is scheduled to a batch.
    pub fn move_schedules(&mut self, of: &Through<E>, batch: u64, batches: u64) {
        for (slopes, values) in of.all().into_iter().zip(&mut self.values) {
            slopes.expressions.move_schedules(batch, batches, values);
        }
    }
}
