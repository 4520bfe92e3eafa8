//! Recorded steps as inputs of a classifier.

use crate::engine::episode::variable::Variable;
use crate::engine::family::Draws;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::points::{Columns, Inputs, Source, gather_values};
use crate::model::Domain;
use crate::plan::Plan;
use rand::{Rng, RngExt};

/// The records of a plan, in the precision of a run.
pub(in crate::engine) struct Recorded<E> {
    states: Draws<E>,
    actions: Draws<E>,
    /// The first step of each episode, and the number of all.
    starts: Vec<usize>,
}

impl<E: Number> Recorded<E> {
    /// Those of a plan, where it has any.
    pub fn of(plan: &Plan) -> Option<Recorded<E>> {
        let records = plan.records.as_ref()?;
        let domain = |variable| &plan.model.variable(variable).domain;
        let state = domain(plan.model.environment(plan.environment).state);
        let (states, actions) = (
            values(state, &records.states),
            values(domain(plan.last_draw().variable), &records.actions),
        );
        Some(Recorded { states, actions, starts: records.starts.clone() })
    }

    /// A step of an episode of `horizon` steps, each as likely as the others; the number of all
    /// records stands for those after an end.
    pub fn any(&self, horizon: usize, random: &mut impl Rng) -> u32 {
        let episode = random.random_range(0..self.starts.len() - 1);
        let (start, end) = (self.starts[episode], self.starts[episode + 1]);
        // a longer episode than the horizon is all used
        let step = random.random_range(0..horizon.max(end - start));
        if start + step < end { (start + step) as u32 } else { self.none() }
    }

    fn none(&self) -> u32 {
        self.starts.last().copied().unwrap_or(0) as u32
    }

    /// The inputs of a network at the records `of`.
    pub fn gather(&self, inputs: &Inputs, of: &[u32], columns: &mut Columns<E>) {
        columns.clear(inputs);
        for ((indices, reals), &(source, kind)) in
            columns.indices.iter_mut().zip(columns.reals.iter_mut()).zip(&inputs.0)
        {
            let values = match source {
                Source::Trajectory(Variable::Drawn(_), _) => &self.actions,
                Source::Trajectory(..) | Source::Time => &self.states,
            };
            let none = self.none();
            let rows = of.iter().map(|&row| (row < none).then_some(row as usize));
            gather_values(values, kind, rows, (indices, reals));
        }
    }
}

/// From components, row-major.
fn values<E: Number>(domain: &Domain, components: &[f64]) -> Draws<E> {
    match &domain.finite {
        Some(finite) => {
            let number = |value: &[f64]| finite.number(value).unwrap_or(0) as u32;
            Draws {
                numbers: components.chunks_exact(domain.width()).map(number).collect(),
                reals: vec![],
            }
        }
        None => {
            Draws { numbers: vec![], reals: components.iter().map(|&x| Float::of(x)).collect() }
        }
    }
}
