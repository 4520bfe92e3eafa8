//! What is summed over: the pairs of an option's values at neighbouring steps, and a density at all
//! pairs that its points may stand for.

use crate::engine::episode::variable::{Variable, When};
use crate::engine::numeric::number::Number;
use crate::engine::program::density::{Density, DensityRows};
use crate::engine::program::point::Point;
use crate::engine::program::points::EpisodeView;
use crate::engine::program::whole::Whole;
use crate::plan::OptionReads;
use std::ops::Range;

/// A *pair* is a row and two values: of the option before it, which is `none` at the first step,
/// and of its own. The pairs of a row are numbered by the first value, then by the second.
#[derive(Default)]
pub(in crate::engine) struct Pairs {
    /// By row, its first pair, and behind them how many pairs there are.
    start: Vec<usize>,
    outcomes: usize,
    first: Vec<u32>,
    second: Vec<u32>,
}

/// A density at all options that its points may stand for.
#[derive(Default)]
pub(in crate::engine) struct Summed<E> {
    pub rows: DensityRows<E>,
    /// By point.
    of: Vec<Of>,
}

/// What a point stands for.
#[derive(Clone, Copy)]
enum Of {
    /// No option that it reads is there: it stands for whatever is drawn.
    Any,
    /// All pairs of the row, that of a step, with the second value.
    Second {
        row: usize,
        step: u32,
        value: u32,
    },
    One {
        pair: usize,
        step: u32,
    },
}

impl Pairs {
    /// Those of all rows.
    pub fn list<E>(&mut self, outcomes: usize, on: &EpisodeView<E>) {
        let none = outcomes as u32;
        self.outcomes = outcomes;
        self.start.clear();
        self.first.clear();
        self.second.clear();
        for (t, bounds) in (1..).zip(on.rows.starts.windows(2)) {
            for _ in bounds[0]..bounds[1] {
                self.start.push(self.first.len());
                for first in if t == 1 { none..none + 1 } else { 0..none } {
                    self.first.extend((0..none).map(|_| first));
                    self.second.extend(0..none);
                }
            }
        }
        self.start.push(self.first.len());
    }

    pub fn len(&self) -> usize {
        self.first.len()
    }

    pub fn of_row(&self, row: usize) -> Range<usize> {
        self.start[row]..self.start[row + 1]
    }

    /// `None` where there is no step before.
    pub fn first(&self, pair: usize) -> Option<u32> {
        Some(self.first[pair]).filter(|&value| (value as usize) < self.outcomes)
    }

    pub fn second(&self, pair: usize) -> u32 {
        self.second[pair]
    }
}

impl<E: Number> Summed<E> {
    /// Evaluates a density at its points, each for all options that it reads; `until` says which
    /// step a summand at `t` of a trajectory of that length is credited to last.
    pub fn evaluate(
        &mut self,
        (density, reads): (&Density, OptionReads),
        pairs: &Pairs,
        point: Point<E>,
        on: &EpisodeView<E>,
        until: impl Fn(usize, usize) -> usize,
    ) {
        self.list(reads, pairs, density.points(on), on, until);
        if reads == OptionReads::Nothing {
            return;
        }
        let Summed { rows, of } = self;
        rows.evaluate_at(density, point, on, |at, what, t, of_trajectory| {
            of[at].number((reads, pairs), what, (t, of_trajectory), on)
        });
    }

    /// Evaluates an exponent at the steps at which it stands, likewise.
    pub fn evaluate_exponent(
        &mut self,
        (whole, reads): (&Whole<E>, OptionReads),
        pairs: &Pairs,
        (on, gains, schedules): (&EpisodeView<E>, &[Vec<E>], &[E]),
        until: impl Fn(usize, usize) -> usize,
    ) {
        let steps = whole.from as u32..=whole.to as u32;
        let trajectories = 0..on.lengths.len() as u32;
        let points =
            steps.flat_map(|t| trajectories.clone().map(move |trajectory| (t, trajectory)));
        self.list(reads, pairs, points, on, until);
        let Summed { rows, of } = self;
        rows.log_prob.clear();
        // those of a step stand side by side
        let mut values = whole.values_with(schedules, rows.points.len());
        for same in rows.points.chunk_by(|one, other| one.0 == other.0) {
            let first = rows.log_prob.len();
            let number = |at: usize, what: (Variable, When), t: usize, trajectory| {
                of[first + at].number((reads, pairs), what, (t, trajectory), on)
            };
            rows.log_prob.extend_from_slice(whole.evaluate_at(
                same,
                (on, gains),
                number,
                &mut values,
            ));
        }
    }

    /// Lists the points, each for all options that it reads.
    fn list(
        &mut self,
        reads: OptionReads,
        pairs: &Pairs,
        points: impl Iterator<Item = (u32, u32)>,
        on: &EpisodeView<E>,
        until: impl Fn(usize, usize) -> usize,
    ) {
        let Summed { rows, of } = self;
        of.clear();
        rows.points.clear();
        if reads == OptionReads::Nothing {
            return;
        }
        let mut listed = Vec::new();
        for (t, trajectory) in points {
            let length = on.lengths[trajectory as usize] as usize;
            stands_for(
                reads,
                pairs,
                on,
                (t, trajectory),
                until(t as usize, length).clamp(1, length.max(1)),
                &mut listed,
            );
            rows.points.extend(listed.iter().map(|_| (t, trajectory)));
            of.append(&mut listed);
        }
    }
}

impl Of {
    /// What a point reads, the option of what it stands for.
    fn number<E: Number>(
        self,
        (reads, pairs): (OptionReads, &Pairs),
        (variable, when): (Variable, When),
        (t, of_trajectory): (usize, (usize, usize, usize)),
        on: &EpisodeView<E>,
    ) -> Option<u32> {
        // the option is the first draw of a step
        match (variable, self) {
            (Variable::Drawn(0), Of::Any) => None,
            (Variable::Drawn(0), Of::Second { step, value, .. }) => {
                (reads == OptionReads::Once || when.from(t) == i64::from(step)).then_some(value)
            }
            (Variable::Drawn(0), Of::One { pair, step }) => match i64::from(step) - when.from(t) {
                0 => Some(pairs.second(pair)),
                1 => pairs.first(pair),
                _ => None,
            },
            _ => on.trace.number((variable, when), t, of_trajectory, |variable| on.drawn(variable)),
        }
    }
}

/// Lists what a point is evaluated for. One that reads an option drawn once stands at `until`: all
/// steps have that option.
fn stands_for<E: Number>(
    reads: OptionReads,
    pairs: &Pairs,
    on: &EpisodeView<E>,
    (t, trajectory): (u32, u32),
    until: usize,
    out: &mut Vec<Of>,
) {
    let length = i64::from(on.lengths[trajectory as usize]);
    let row = |step: i64| on.trace.row(step as usize, trajectory as usize);
    let exists = |step: i64| (1..=length).contains(&step);
    let (first, last) = match reads {
        OptionReads::Nothing => return,
        OptionReads::Once => (until as i64, until as i64),
        OptionReads::Steps { first, last } => {
            (i64::from(t) + i64::from(first), i64::from(t) + i64::from(last))
        }
    };
    match (exists(first), exists(last)) {
        (true, true) if first < last => {
            out.extend(pairs.of_row(row(last)).map(|pair| Of::One { pair, step: last as u32 }))
        }
        (false, false) => out.push(Of::Any),
        (is_first, _) => {
            let step = if is_first { first } else { last };
            out.extend((0..pairs.outcomes as u32).map(|value| Of::Second {
                row: row(step),
                step: step as u32,
                value,
            }));
        }
    }
}

impl<E> Summed<E> {
    /// A point stands for whatever is drawn.
    pub fn is_any(&self, at: usize) -> bool {
        matches!(self.of[at], Of::Any)
    }

    /// The pairs that a point stands for; none if it stands for any.
    pub fn pairs_of(&self, at: usize, pairs: &Pairs) -> impl Iterator<Item = usize> + use<E> {
        let outcomes = pairs.outcomes;
        let range = match self.of[at] {
            Of::Any => 0..0,
            Of::Second { row, value, .. } => {
                pairs.of_row(row).start + value as usize..pairs.of_row(row).end
            }
            Of::One { pair, .. } => pair..pair + 1,
        };
        range.step_by(outcomes)
    }

    /// The step of those pairs.
    pub fn step_of(&self, at: usize) -> usize {
        match self.of[at] {
            Of::Any => 0,
            Of::Second { step, .. } | Of::One { step, .. } => step as usize,
        }
    }

    /// How likely a point is, of `posterior` by pair.
    pub fn probability(&self, at: usize, pairs: &Pairs, posterior: &[f64]) -> f64 {
        match self.of[at] {
            Of::Any => 1.0,
            Of::Second { .. } | Of::One { .. } => {
                self.pairs_of(at, pairs).map(|pair| posterior[pair]).sum()
            }
        }
    }
}
