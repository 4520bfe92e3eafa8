//! Rewards of a step, and whether it ends the episode, as kernels draw them in factors of their
//! own.

use super::density::Density;
use super::points::{Columns, EpisodeView};
use crate::engine::episode::listing::Listed;
use crate::engine::episode::variable::Variable;
use crate::engine::error::EngineError;
use crate::engine::family::Draws;
use crate::engine::family::choice::Choice;
use crate::engine::network::forward::Activations;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::plan::{self, Plan};
use rand::Rng;
use std::ops::Range;
use std::sync::Arc;

/// What draws a reward, or the end.
pub(in crate::engine) struct Outcome {
    pub variable: Variable,
    /// Of its kernel, whose network draws it.
    pub density: Density,
    /// It is drawn before the next state, which may read it.
    pub ahead: bool,
    /// The gradient goes through what it draws.
    pub followed: bool,
    /// The name of its kernel.
    kernel: String,
}

/// Where in a step rewards and ends are drawn, in factors of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Stage {
    /// Before the next state.
    Ahead,
    /// Once the next state is there.
    Made,
    /// Behind it.
    Behind,
}

/// Of one outcome, by row.
#[derive(Default)]
pub(in crate::engine) struct OutcomeRows<E> {
    pub network: Arc<Activations<E>>,
    pub draws: Draws<E>,
    /// Of the last step, as numbers.
    pub values: Vec<E>,
    points: Vec<(u32, u32)>,
    columns: Columns<E>,
    numbers: Vec<E>,
    uniforms: Vec<E>,
}

impl Outcome {
    /// Those of a plan, in their order.
    ///
    /// # Errors
    /// One sentence, where a network cannot run.
    pub fn all(plan: &Plan) -> Result<Vec<Outcome>, EngineError> {
        let outcome = |of: &plan::Outcome| {
            Ok(Outcome {
                variable: Variable::told(of.of),
                density: Density::compile(plan, &of.density(&plan.model))?,
                ahead: of.ahead,
                followed: plan.follows(of.factor),
                kernel: plan.model.kernel(of.kernel).name.clone(),
            })
        };
        plan.outcomes.iter().map(outcome).collect()
    }
}

impl<E: Number> OutcomeRows<E> {
    /// Draws for the trajectories `origin` at step `t`, of rows that stand behind `rows.start`
    /// others; the first row of what is no distribution, and what is wrong with it. `listed` has
    /// ends, where nothing is sampled.
    pub fn draw(
        &mut self,
        of: &Outcome,
        parameters: &[E],
        on: &EpisodeView<E>,
        ((t, origin), rows): ((usize, &[u32]), Range<usize>),
        listed: Option<&Listed>,
        random: &mut impl Rng,
    ) -> Option<(usize, String)> {
        let OutcomeRows { network, draws, values, points, columns, numbers, uniforms } = self;
        let Density { inputs, family, network: plan, .. } = &of.density;
        points.clear();
        points.extend(origin.iter().map(|&trajectory| (t as u32, trajectory)));
        columns.gather(inputs, points, on, |_, what, t, of_trajectory| {
            on.trace.number(what, t, of_trajectory, |draw| on.drawn(draw))
        });
        let network =
            Arc::get_mut(network).expect("outcome: the tape of the last gradient is gone");
        plan.forward(parameters, &columns.feeds(inputs, points.len()), rows.clone(), network);
        numbers.clear();
        numbers.resize(rows.len() * family.numbers(), <E as Float>::ZERO);
        let root = |root| network.output(plan, root, rows.clone());
        family.describe(root, &[], numbers);
        let broken = family.fault(&of.kernel, numbers, root);
        draws.keep(rows.start, 1);
        values.clear();
        if let Some(listed) = listed {
            values.extend(listed.ends::<E>(t, origin));
            draws.numbers.extend(values.iter().map(|&end| u32::from(end != <E as Float>::ZERO)));
            return broken;
        }
        family.draw(numbers, Choice::Sampled, random, uniforms, draws);
        let drawn = draws.numbers.iter().skip(rows.start);
        values.extend(drawn.map(|&number| <E as Float>::of(f64::from(number))));
        values.extend(draws.reals.iter().skip(rows.start));
        broken
    }
}
