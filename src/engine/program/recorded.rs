//! Recorded steps as inputs of a classifier.

use crate::engine::episode::variable::Variable;
use crate::engine::family::Draws;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::points::{Columns, Inputs, Source, gather_values};
use crate::model::Domain;
use crate::plan::{self, Plan, Ratio, RatioOf, Read};
use rand::{Rng, RngExt};

/// The records of a ratio, in the precision of a run.
pub(in crate::engine) struct Recorded<E> {
    /// What the columns of a row are at a step, with their values.
    columns: Vec<(Source, Values<E>)>,
    /// The first step of each episode, and the number of all.
    starts: Vec<usize>,
    /// Steps of an episode that a row can stand for, both included.
    steps: (usize, usize),
    reads_time: bool,
}

/// Values of one column; those that are `none` are not told as numbers.
struct Values<E> {
    all: Draws<E>,
    /// By row, where some are.
    none: Vec<bool>,
}

impl<E: Number> Recorded<E> {
    /// Those that a ratio of a plan has for its real side.
    pub fn of(plan: &Plan, term: usize, ratio: &Ratio) -> Option<Recorded<E>> {
        let RatioOf::Recorded(data) = ratio.of else { return None };
        let records = plan.records.iter().find(|records| records.of == data)?;
        // the time is no column
        let column = |(held, column): (&Read, &plan::Recorded)| {
            let (of, when) = Variable::read(plan, *held, 0)?;
            let domain = &plan.model.variable(column.variable?).domain;
            Some((Source::Trajectory(of, when), values(domain, &column.values)))
        };
        let columns = ratio.held.iter().zip(&records.columns).filter_map(column).collect();
        let steps = (plan.terms[term].from, plan.terms[term].to);
        let reads_time = ratio.reads.contains(&Read::Time);
        Some(Recorded { columns, starts: records.starts.clone(), steps, reads_time })
    }

    /// A step of an episode of so many steps as the ratio counts at, each as likely as the others,
    /// by its row and its time; the number of all records stands for those after an end.
    pub fn any(&self, random: &mut impl Rng) -> (u32, u32) {
        let episode = random.random_range(0..self.starts.len() - 1);
        let (start, end) = (self.starts[episode], self.starts[episode + 1]);
        let (from, to) = self.steps;
        // a longer episode than the horizon is all used, where its time is not read
        let all = to > 1 && !self.reads_time;
        let last = if all { to.max(end - start) } else { to };
        let step = random.random_range(from - 1..last);
        let row = if start + step < end { (start + step) as u32 } else { self.none() };
        (row, step as u32 + 1)
    }

    /// A step that is recorded, each as likely as the others.
    pub fn some(&self, random: &mut impl Rng) -> (u32, u32) {
        let row = match self.steps {
            (1, 1) => self.starts[random.random_range(0..self.starts.len() - 1)],
            _ => random.random_range(0..self.none() as usize),
        };
        let episode = self.starts.partition_point(|&start| start <= row) - 1;
        (row as u32, (row - self.starts[episode]) as u32 + 1)
    }

    /// The numbers of a finite value at the records `of`.
    pub fn numbers_of(&self, source: Source, of: &[(u32, u32)], into: &mut Vec<u32>) {
        let column = self.columns.iter().find(|(held, _)| *held == source);
        let (_, values) = column.expect("recorded: the model reads what the data hold");
        into.clear();
        into.extend(of.iter().map(|&(row, _)| values.all.numbers[row as usize]));
    }

    fn none(&self) -> u32 {
        self.starts.last().copied().unwrap_or(0) as u32
    }

    /// The inputs of a network at the records `of`, each with its time; `told` are draws of a model
    /// in the place of what the data draw.
    pub fn gather(
        &self,
        inputs: &Inputs,
        of: &[(u32, u32)],
        told: Option<&Draws<E>>,
        columns: &mut Columns<E>,
    ) {
        columns.clear(inputs);
        for ((indices, reals), &(source, kind)) in
            columns.indices.iter_mut().zip(columns.reals.iter_mut()).zip(&inputs.0)
        {
            if source == Source::Time {
                indices.extend(of.iter().map(|&(_, t)| t - 1));
                continue;
            }
            let (told_apart, _) = &self.columns[0];
            if let (Some(told), true) = (told, source == *told_apart) {
                gather_values(told, kind, (0..of.len()).map(Some), (indices, reals));
                continue;
            }
            let none = self.none();
            let at = |row: u32| (row < none).then_some(row as usize);
            let column = self.columns.iter().find(|(held, _)| *held == source);
            let (_, values) = column.expect("recorded: the classifier reads what the data hold");
            let rows = of.iter().map(|&(row, _)| {
                at(row).filter(|&row| !values.none.get(row).is_some_and(|&is_none| is_none))
            });
            gather_values(&values.all, kind, rows, (indices, reals));
        }
    }
}

/// From components, row-major.
fn values<E: Number>(domain: &Domain, components: &[f64]) -> Values<E> {
    let width = domain.width();
    let is_none = |value: &[f64]| value.iter().all(|component| component.is_nan());
    let mut none: Vec<bool> = components.chunks_exact(width).map(is_none).collect();
    if !none.contains(&true) {
        none.clear();
    }
    let all = match &domain.finite {
        Some(finite) => {
            let number = |value: &[f64]| finite.number(value).unwrap_or(0) as u32;
            Draws { numbers: components.chunks_exact(width).map(number).collect(), reals: vec![] }
        }
        None => {
            Draws { numbers: vec![], reals: components.iter().map(|&x| Float::of(x)).collect() }
        }
    };
    Values { all, none }
}
