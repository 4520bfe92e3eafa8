//! The joint values of what some expressions read: all of them where they are finite and few, else
//! the corners.

use super::words;
use crate::expr::{Column, ExprId, Graph, InputId, Node, Program, Scratch};
use crate::model::{Domain, FiniteDomain, Index, Input, Kind, Model, TargetVariable, VariableId};
use std::collections::BTreeMap;

/// Beyond this many joint values, every n-th is looked at.
const MOST_ROWS: usize = 1 << 22;
/// Rows evaluated at once.
pub const BATCH: usize = 4096;

/// A list of joint values, in rows.
pub struct Space {
    axes: Vec<Axis>,
    /// Of all joint values, the last axis fastest.
    total: usize,
    stride: usize,
    /// Where each input is found: axis and component.
    places: Vec<(InputId, usize, usize)>,
    time: Option<usize>,
}

struct Axis {
    read: What,
    values: Values,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// Whether a variable is there.
    Present(VariableId, Index),
    Variable(VariableId, Index),
    Reward(TargetVariable, Index),
    Time,
}

/// What an input of a graph stands for.
pub enum Stands {
    At(Input),
    /// 1 where the variable has a value, 0 where it is `none`.
    Present(VariableId, Index),
    /// For a number that the caller fills in.
    Free,
}

enum Values {
    Finite(FiniteDomain),
    /// Rows of components.
    Listed(Vec<Vec<f64>>),
}

impl Space {
    /// `None` where the expressions read formals of a kernel, or a gain.
    pub fn of(model: &Model, roots: &[ExprId]) -> Option<Space> {
        Space::over(model, &model.graph, roots, &|input| {
            Some(Stands::At(model.inputs[input.0 as usize]))
        })
    }

    /// As [`Space::of`] of a graph whose inputs are others: `stands` says what for.
    pub fn over(
        model: &Model,
        graph: &Graph,
        roots: &[ExprId],
        stands: &dyn Fn(InputId) -> Option<Stands>,
    ) -> Option<Space> {
        let mut keys: Vec<What> = Vec::new();
        let mut reads = Vec::new();
        for input in graph.inputs_of(roots) {
            let (what, component) = match stands(input)? {
                Stands::At(Input::Variable { variable, component, index }) => {
                    (What::Variable(variable, index), component as usize)
                }
                Stands::At(Input::Reward { environment, reward, index }) => {
                    (What::Reward(TargetVariable::Reward(environment, reward), index), 0)
                }
                // of a kernel's network, or of a whole run
                Stands::At(Input::Formal { .. } | Input::Gain(_)) => return None,
                Stands::Present(variable, index) => (What::Present(variable, index), 0),
                Stands::Free => continue,
            };
            if !keys.contains(&what) {
                keys.push(what);
            }
            reads.push((input, what, component));
        }
        let time = graph.reach(roots).into_iter().any(|id| *graph.node(id) == Node::Time);
        keys.extend(time.then_some(What::Time));
        // as the reader expects: a state before an action
        keys.sort();
        let axes: Vec<Axis> =
            keys.iter().map(|&read| Axis { read, values: values(model, read) }).collect();
        let total =
            axes.iter().try_fold(1usize, |total, axis| total.checked_mul(axis.values.count()))?;
        let place = |what: What| {
            keys.iter().position(|key| *key == what).expect("space: every read has its axis")
        };
        Some(Space {
            total,
            stride: total.div_ceil(MOST_ROWS).max(1),
            places: reads
                .into_iter()
                .map(|(input, what, component)| (input, place(what), component))
                .collect(),
            time: time.then(|| place(What::Time)),
            axes,
        })
    }

    pub fn rows(&self) -> usize {
        self.total.div_ceil(self.stride)
    }

    /// All rows, at most `size` at once: the number of the first, and the columns.
    pub fn batches(&self, size: usize) -> impl Iterator<Item = (usize, Columns)> + '_ {
        (0..self.rows())
            .step_by(size)
            .map(move |first| (first, self.columns(first, size.min(self.rows() - first))))
    }

    /// Columns of inputs, and of the time, for rows `first..first + count`.
    pub fn columns(&self, first: usize, count: usize) -> Columns {
        let mut columns: Vec<Vec<f64>> = self.places.iter().map(|_| vec![0.0; count]).collect();
        let mut time = vec![1.0; count];
        let mut values = self.one_row();
        for row in 0..count {
            self.decode(first + row, &mut values);
            for (column, &(_, axis, component)) in columns.iter_mut().zip(&self.places) {
                column[row] = values[axis][component];
            }
            if let Some(axis) = self.time {
                time[row] = values[axis][0];
            }
        }
        let inputs = self.places.iter().map(|&(input, ..)| input).zip(columns).collect();
        Columns { inputs, time }
    }

    /// `s = 3, a = right`
    pub fn show(&self, model: &Model, row: usize) -> String {
        self.show_with(model, row, &|index| index != Index::Step(0))
    }

    /// `r[t] = 1`: as in the expression that reads it.
    pub fn show_indexed(&self, model: &Model, row: usize) -> String {
        self.show_with(model, row, &|_| true)
    }

    fn show_with(&self, model: &Model, row: usize, indexed: &dyn Fn(Index) -> bool) -> String {
        let mut values = self.one_row();
        self.decode(row, &mut values);
        let is_none = |wanted: VariableId, at: Index| {
            self.axes
                .iter()
                .zip(&values)
                .any(|(axis, value)| axis.read == What::Present(wanted, at) && value[0] == 0.0)
        };
        let shown = self.axes.iter().zip(&values).filter(|(axis, value)| match axis.read {
            What::Present(..) => value[0] == 0.0,
            What::Variable(id, index) => !is_none(id, index),
            What::Reward(..) | What::Time => true,
        });
        let parts = shown.map(|(axis, value)| match axis.read {
            What::Present(id, index) => {
                format!("{} = none", words::at(model, TargetVariable::Variable(id), index))
            }
            What::Variable(id, index) if !indexed(index) => {
                format!("{} = {}", model.variable(id).name, model.variable(id).domain.show(value))
            }
            What::Variable(id, index) => {
                format!(
                    "{} = {}",
                    words::at(model, TargetVariable::Variable(id), index),
                    model.variable(id).domain.show(value)
                )
            }
            What::Reward(reward, index) => {
                format!("{} = {}", words::at(model, reward, index), value[0])
            }
            What::Time => format!("t = {}", value[0]),
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    fn one_row(&self) -> Vec<Vec<f64>> {
        self.axes.iter().map(|axis| vec![0.0; axis.values.width()]).collect()
    }

    fn decode(&self, row: usize, values: &mut [Vec<f64>]) {
        let mut number = row * self.stride;
        for (axis, value) in self.axes.iter().zip(values).rev() {
            let count = axis.values.count();
            match &axis.values {
                Values::Finite(domain) => domain.value(number % count, value),
                Values::Listed(rows) => value.copy_from_slice(&rows[number % count]),
            }
            number /= count;
        }
    }
}

/// The values of inputs, one row per joint value.
pub struct Columns {
    pub inputs: BTreeMap<InputId, Vec<f64>>,
    pub time: Vec<f64>,
}

impl Values {
    fn count(&self) -> usize {
        match self {
            Values::Finite(domain) => domain.size(),
            Values::Listed(rows) => rows.len(),
        }
    }

    fn width(&self) -> usize {
        match self {
            Values::Finite(domain) => domain.width(),
            Values::Listed(rows) => rows.first().map_or(0, Vec::len),
        }
    }
}

fn values(model: &Model, read: What) -> Values {
    match read {
        What::Present(..) => Values::Listed(vec![vec![1.0], vec![0.0]]),
        What::Variable(id, _) => {
            let domain = &model.variable(id).domain;
            domain.finite.clone().map_or_else(|| Values::Listed(corners(domain)), Values::Finite)
        }
        What::Reward(reward, _) => {
            let bounds = match reward {
                TargetVariable::Reward(environment, reward) => {
                    model.environment(environment).rewards[reward as usize].bounds
                }
                TargetVariable::Variable(_) | TargetVariable::End => None,
            };
            let (lo, hi) = bounds.unwrap_or((0.0, 0.0));
            Values::Listed(if lo == hi { vec![vec![lo]] } else { vec![vec![hi], vec![lo]] })
        }
        What::Time => {
            let last = model.horizon.value;
            let steps = if last <= 256 { (1..=last).collect() } else { vec![1, 2, last / 2, last] };
            Values::Listed(steps.into_iter().map(|t| vec![t as f64]).collect())
        }
    }
}

/// The ends and the middle of each component; a component without bounds only at 0.
fn corners(domain: &Domain) -> Vec<Vec<f64>> {
    const MOST: usize = 1 << 12;
    let mut rows: Vec<Vec<f64>> = vec![Vec::new()];
    for component in &domain.components {
        let values = match &component.kind {
            Kind::Integer { lo, hi } => vec![*lo as f64, *hi as f64, ((lo / 2) + (hi / 2)) as f64],
            Kind::Names(names) => (0..names.len()).map(|n| n as f64).collect(),
            Kind::Bool => vec![0.0, 1.0],
            Kind::Real { lo, hi } => match (lo.is_finite(), hi.is_finite()) {
                (true, true) => vec![*lo, *hi, 0.5 * (lo + hi)],
                (true, false) => vec![*lo],
                (false, true) => vec![*hi],
                (false, false) => vec![0.0],
            },
        };
        let values = if rows.len() * values.len() > MOST { &values[..1] } else { &values[..] };
        rows = rows
            .iter()
            .flat_map(|row| {
                values.iter().map(|&value| row.iter().copied().chain([value]).collect())
            })
            .collect();
    }
    rows
}

/// Expressions compiled once and evaluated for one batch of rows after another.
pub struct Evaluator {
    program: Program<f64>,
    scratch: Scratch<f64>,
    out: Vec<f64>,
    values: Vec<Vec<f64>>,
}

impl Evaluator {
    pub fn new(model: &Model, params: &[f64], roots: &[ExprId]) -> Evaluator {
        Evaluator::over(&model.graph, params, roots)
    }

    pub fn over(graph: &Graph, params: &[f64], roots: &[ExprId]) -> Evaluator {
        let program = Program::compile(graph, roots, params);
        let scratch = program.scratch();
        Evaluator { program, scratch, out: Vec::new(), values: vec![Vec::new(); roots.len()] }
    }

    /// One column per root, one value per row of `columns`.
    pub fn run(&mut self, columns: &Columns) -> &[Vec<f64>] {
        let rows = columns.time.len();
        self.out.resize(rows * self.values.len(), 0.0);
        let input = |input: InputId| Column::Each(&columns.inputs[&input]);
        self.program.run(
            &input,
            Column::Each(&columns.time),
            rows,
            &mut self.out,
            rows,
            &mut self.scratch,
        );
        for (at, column) in self.values.iter_mut().enumerate() {
            column.clear();
            column.extend_from_slice(&self.out[at * rows..(at + 1) * rows]);
        }
        &self.values
    }
}
