//! Recorded steps as inputs of a classifier.

use super::expressions::Number;
use super::float::Float;
use super::network::InputKind;
use super::points::{Columns, Inputs, Source};
use super::trace::Variable;
use crate::model::Domain;
use crate::plan::Plan;
use rand::{Rng, RngExt};

/// The records of a plan, in the precision of a run.
pub(super) struct Recorded<E> {
    states: Values<E>,
    actions: Values<E>,
    /// The first step of each episode, and the number of all.
    starts: Vec<usize>,
}

/// Numbers of a finite variable, or components, row-major.
struct Values<E> {
    numbers: Vec<u32>,
    reals: Vec<E>,
    width: usize,
}

impl<E: Number> Recorded<E> {
    /// Those of a plan, where it has any.
    pub fn of(plan: &Plan) -> Option<Recorded<E>> {
        let records = plan.records.as_ref()?;
        let domain = |variable| &plan.model.variable(variable).domain;
        let state = domain(plan.model.environment(plan.environment).state);
        let (states, actions) = (Values::new(state, &records.states), Values::new(domain(plan.policy.variable), &records.actions));
        Some(Recorded { states, actions, starts: records.starts.clone() })
    }

    /// A step of an episode of `horizon` steps, each as likely as the others; the number of all records stands for those after an end.
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
        for ((indices, reals), &(source, kind)) in columns.indices.iter_mut().zip(columns.reals.iter_mut()).zip(&inputs.0) {
            let values = match source {
                Source::Trajectory(Variable::Action, _) => &self.actions,
                Source::Trajectory(..) | Source::Time => &self.states,
            };
            let kept = |row: u32| (row < self.none()).then_some(row as usize);
            match kind {
                InputKind::Finite { size } => {
                    indices.extend(of.iter().map(|&row| kept(row).map_or(size as u32, |row| values.numbers[row])))
                }
                InputKind::Real { components } => {
                    reals.resize(components * of.len(), Float::of(f64::NAN));
                    for (at, row) in of.iter().enumerate().filter_map(|(at, &row)| kept(row).map(|row| (at, row))) {
                        let value = &values.reals[row * values.width..(row + 1) * values.width];
                        value.iter().enumerate().for_each(|(component, &value)| reals[component * of.len() + at] = value);
                    }
                }
            }
        }
    }
}

impl<E: Number> Values<E> {
    fn new(domain: &Domain, components: &[f64]) -> Values<E> {
        let width = domain.width();
        match &domain.finite {
            Some(finite) => {
                let number = |value: &[f64]| finite.number(value).unwrap_or(0) as u32;
                Values { numbers: components.chunks_exact(width).map(number).collect(), reals: vec![], width }
            }
            None => Values { numbers: vec![], reals: components.iter().map(|&x| Float::of(x)).collect(), width },
        }
    }
}
