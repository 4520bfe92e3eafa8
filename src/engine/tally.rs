//! What options are used for, counted as trajectories are rolled out.

use super::expressions::Number;
use super::family::Draws;
use super::options::OptionRows;
use super::stage::Stage;
use super::trace::Present;
use crate::exact::OptionVisits;
use crate::world::Batch;
use std::ops::Range;

/// Counts of a shard: what [`OptionVisits`] expects, summed over its trajectories.
pub(super) struct Tally<E> {
    /// By option.
    pub visits: Vec<OptionVisits>,
    states: Option<Present<E>>,
}

/// Counts of an option at the most; beyond, those of all states are counted together.
const LARGEST: usize = 1 << 22;

impl<E: Number> Tally<E> {
    pub fn new(stage: &Stage<E>) -> Tally<E> {
        let actions = stage.family.outcomes().unwrap_or(1);
        let states = stage.states().filter(|states| stage.options.iter().all(|o| states * o.family.numbers() * actions <= LARGEST));
        let visits = |values: usize| {
            let places = states.unwrap_or(1) * values;
            OptionVisits {
                values,
                actions,
                steps: vec![0.0; places * actions],
                starts: vec![0.0; values],
                held: vec![0.0; places],
                ends: vec![0.0; places],
            }
        };
        Tally { visits: stage.options.iter().map(|option| visits(option.family.numbers())).collect(), states: states.map(|_| Present::default()) }
    }

    /// Counts the live rows of step `t`, all drawn and before it is taken; `last` are the values of the step before of each option.
    pub fn add(
        &mut self,
        stage: &Stage<E>,
        batch: &Batch<E>,
        (t, rows): (usize, Range<usize>),
        (options, last): (&[OptionRows<E>], &[Vec<u32>]),
        draws: &Draws<E>,
    ) {
        let states = self.states.as_mut().map(|present| present.state_numbers(stage, batch, rows.len()));
        for ((visits, option), last) in self.visits.iter_mut().zip(options).zip(last) {
            for (at, row) in rows.clone().enumerate() {
                let (o, action) = (option.draws.numbers[row] as usize, draws.numbers.get(row).map_or(0, |&action| action as usize));
                let place = states.map_or(0, |states| states[at] as usize) * visits.values;
                visits.steps[(place + o) * visits.actions + action] += 1.0;
                let before = last[at] as usize;
                if t == 1 {
                    visits.starts[o] += 1.0;
                    continue;
                }
                visits.held[place + before] += 1.0;
                if before != o {
                    visits.starts[o] += 1.0;
                    visits.ends[place + before] += 1.0;
                }
            }
        }
    }

    /// Adds the counts of another shard.
    pub fn merge(&mut self, other: Tally<E>) {
        self.visits.iter_mut().zip(other.visits).for_each(|(sum, visits)| sum.add(&visits));
    }
}
