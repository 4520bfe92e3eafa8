//! Where the gradient goes through draws: the slopes of expressions in what a step reads.

use super::expressions::{Expressions, Place, Values, place};
use super::whole::{Moved, Whole};
use crate::engine::numeric::number::Number;
use crate::plan::{Extent, Plan, Slope};

/// What a gradient through draws needs beside a program.
pub(in crate::engine) struct Through<E> {
    /// Of terms that read their own step alone.
    pub terms: Slopes<E>,
    /// Of exponents that read more, and in what.
    pub wholes: Vec<(Whole<E>, Vec<Moved>)>,
    /// Of the numbers of priors in place, and of which draw's each is.
    pub prior: Slopes<E>,
    pub prior_draws: Vec<usize>,
    /// How the observation moves with the state: its components, or the logarithm of its
    /// probability.
    pub observation: Slopes<E>,
    /// How the environment's rewards do that something reads, by reward.
    pub rewards: Slopes<E>,
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
    pub rewards: Vec<Vec<E>>,
    /// By gain and what it moves with.
    pub gains: Vec<Vec<Vec<E>>>,
    values: [Values<E>; 4],
}

impl<E: Number> Through<E> {
    pub fn of(plan: &Plan) -> Through<E> {
        let paths = &plan.paths;
        let is_of_step = |slope: &Slope| plan.terms[slope.at].extent == Extent::Step;
        let (of_steps, of_wholes): (Vec<Slope>, Vec<Slope>) =
            paths.slopes.iter().copied().partition(is_of_step);
        let (prior_draws, of_priors): (Vec<usize>, Vec<Slope>) =
            paths.of_priors.iter().copied().unzip();
        Through {
            terms: Slopes::of(plan, &of_steps),
            wholes: Whole::slopes(plan, &of_wholes),
            prior: Slopes::of(plan, &of_priors),
            prior_draws,
            observation: Slopes::of(plan, &paths.of_observation),
            rewards: Slopes::of(plan, &paths.of_rewards),
        }
    }

    fn all(&self) -> [&Slopes<E>; 4] {
        [&self.terms, &self.prior, &self.observation, &self.rewards]
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
        let SlopeRows { terms, prior, observation, rewards, gains, .. } = self;
        let lists = terms.iter_mut().chain(prior).chain(observation).chain(rewards);
        lists.chain(gains.iter_mut().flatten()).for_each(Vec::clear);
    }

    /// Room for `rows` rows.
    pub fn new(of: &Through<E>, rows: usize) -> SlopeRows<E> {
        let values = of.all().map(|slopes| slopes.expressions.values(rows));
        let [terms, prior, observation, rewards] = std::array::from_fn(|_| Vec::new());
        SlopeRows { terms, prior, observation, rewards, gains: Vec::new(), values }
    }

    /// Reads what stands before a step, or what a step has made, as `fill` does it.
    pub fn read(&mut self, of: &Through<E>, mut fill: impl FnMut(&Expressions<E>, &mut Values<E>)) {
        for (slopes, values) in of.all().into_iter().zip(&mut self.values) {
            fill(&slopes.expressions, values);
        }
    }

    /// Appends the slopes of the `live` rows of a step, which has been made.
    pub fn add(&mut self, of: &Through<E>, t: usize, live: usize) {
        let SlopeRows { terms, prior, observation, rewards, values, .. } = self;
        let lists = of.all().into_iter().zip(values).zip([terms, prior, observation, rewards]);
        for ((slopes, values), out) in lists {
            slopes.expressions.run(t, 0..live, values);
            out.resize_with(slopes.of.len(), Vec::new);
            out.iter_mut()
                .enumerate()
                .for_each(|(at, out)| out.extend_from_slice(&values.output(at)[..live]));
        }
    }

    /// Appends how a gain moves at the rows of a step, by what it moves with.
    pub fn add_gain(&mut self, gain: usize, slopes: &[Vec<E>]) {
        self.gains.resize_with(self.gains.len().max(gain + 1), Vec::new);
        let kept = &mut self.gains[gain];
        kept.resize_with(slopes.len(), Vec::new);
        kept.iter_mut().zip(slopes).for_each(|(kept, slopes)| kept.extend_from_slice(slopes));
    }

    /// Moves what is scheduled to a batch.
    pub fn move_schedules(&mut self, of: &Through<E>, batch: u64, batches: u64) {
        for (slopes, values) in of.all().into_iter().zip(&mut self.values) {
            slopes.expressions.move_schedules(batch, batches, values);
        }
    }
}
