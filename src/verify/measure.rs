//! What a derivation is worth on single trajectories: whoever reads a printed formula back holds
//! its value against this one.

use super::gradient;
use super::laws::{Laws, Table};
use super::space::{ABSENT, Instance, Space};
use super::sum::Unjudged;
use super::trajectories;
use super::values::summand;
use crate::bound::{BoundDerivation, Term};
use crate::finite::Environment;
use crate::model::{Block, BoundId, EnvironmentId, Model, TargetVariable};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// One bound of a finite model, with random tables in the place of its kernels.
pub struct Measure<'m> {
    space: Space<'m>,
    laws: Laws<'m>,
    posterior: Vec<Instance>,
    rng: Xoshiro256PlusPlus,
}

/// What was drawn on the way through a bound's posterior.
#[derive(Clone, Debug)]
pub struct Trajectory(Vec<u32>);

impl<'m> Measure<'m> {
    /// # Errors
    /// What keeps the bound's trajectories from being listed.
    pub fn of(model: &'m Model, bound: BoundId, seed: u64) -> Result<Measure<'m>, Unjudged> {
        let space = Space::of(model, model.bound(bound))?;
        let posterior = space.order(&[Block::Posterior])?;
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Ok(Measure { space, laws: Laws::of_tables_alone(seed), posterior, rng })
    }

    /// A trajectory of the posterior.
    ///
    /// # Errors
    /// A law that cannot be listed.
    pub fn draw(&mut self) -> Result<Trajectory, Unjudged> {
        let Measure { space, laws, posterior, rng } = self;
        Ok(Trajectory(trajectories::draw(space, laws, posterior, &mut || rng.random())?))
    }

    /// The summands of some terms at all their times, with the terms' signs, in nats.
    ///
    /// # Errors
    /// A law that cannot be listed.
    pub fn sum(
        &mut self,
        of: &BoundDerivation,
        terms: &[&Term],
        on: &Trajectory,
    ) -> Result<f64, Unjudged> {
        let mut sum = 0.0;
        for term in terms {
            for t in term.times.range(self.space.horizon) {
                let value = summand(&self.space, &mut self.laws, of, term, t as usize, &on.0)?;
                sum += term.sign.factor() * value;
            }
        }
        Ok(sum)
    }

    /// The derived estimate of the gradient in the logits of the tables that `moves` names, with
    /// `baseline` as the baseline of every score.
    ///
    /// # Errors
    /// A law that cannot be listed.
    pub fn gradient(
        &mut self,
        of: &BoundDerivation,
        moves: &dyn Fn(Table) -> bool,
        baseline: f64,
        on: &Trajectory,
    ) -> Result<Vec<f64>, Unjudged> {
        let gradient = gradient::estimate(&self.space, &mut self.laws, of, moves, baseline, &on.0)?;
        Ok(gradient.into_iter().map(|sum| sum.value).collect())
    }

    /// The number of a variable's value; `None` where it is `none`.
    pub fn number(&self, variable: TargetVariable, time: i64, on: &Trajectory) -> Option<u32> {
        Some(self.space.number(variable, time, &on.0)).filter(|number| *number != ABSENT)
    }

    /// A reward of an environment; 0 after the end.
    pub fn reward(
        &self,
        environment: EnvironmentId,
        reward: usize,
        time: i64,
        on: &Trajectory,
    ) -> f64 {
        self.space.reward(environment, reward, time, &on.0)
    }

    /// Whether the episode goes on when the step begins.
    pub fn is_live(&self, step: i64, on: &Trajectory) -> bool {
        !self.space.ended(step, &on.0)
    }

    /// The probabilities in the row of a table at the numbers of its givens, and where its logits
    /// stand in a gradient. Of a window or a sequence come the numbers of its steps, then how far
    /// its ends lie apart (1 where it is empty); [`ABSENT`] stands for `none`.
    pub fn row(&mut self, table: Table, givens: Vec<u32>, outcomes: usize) -> (Vec<f64>, usize) {
        let row = self.laws.row(table, givens, outcomes, None);
        let row = &self.laws.tables[row];
        (row.probability.clone(), row.offset)
    }

    pub fn environment(&self, id: EnvironmentId) -> Option<&Environment> {
        self.space.environments.get(&id)
    }
}
