//! Networks at points of whole trajectories: what each of their inputs reads there, gathered into
//! columns.

use crate::engine::episode::credit::Rows;
use crate::engine::episode::trace::Trace;
use crate::engine::episode::variable::{Variable, When};
use crate::engine::error::EngineError;
use crate::engine::family::Draws;
use crate::engine::network::feed::Feed;
use crate::engine::network::plan::{InputKind, NetworkPlan};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::draws::DrawRows;
use crate::engine::program::scaled::Scaled;
use crate::model::Kernel;
use crate::plan::{Plan, Read};

/// What the inputs of a network read, in their order.
pub(in crate::engine) struct Inputs(pub Vec<(Source, InputKind)>);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::engine) enum Source {
    Time,
    Trajectory(Variable, When),
}

/// The inputs of some points: numbers of finite ones, columns of components of the others.
#[derive(Default)]
pub(in crate::engine) struct Columns<E> {
    pub indices: Vec<Vec<u32>>,
    pub reals: Vec<Vec<E>>,
}

/// Appends the values of the rows `of` to an input: numbers of a finite variable, columns of
/// components of another; `None` stands for `none`.
pub(in crate::engine) fn gather_values<E: Number>(
    values: &Draws<E>,
    kind: InputKind,
    of: impl ExactSizeIterator<Item = Option<usize>>,
    (indices, reals): (&mut Vec<u32>, &mut Vec<E>),
) {
    match kind {
        InputKind::Finite { size } => {
            indices.extend(of.map(|row| row.map_or(size as u32, |row| values.numbers[row])))
        }
        InputKind::Real { components } => {
            let count = of.len();
            reals.resize(components * count, Float::of(f64::NAN));
            for (at, row) in of.enumerate().filter_map(|(at, row)| Some((at, row?))) {
                let value = &values.reals[row * components..(row + 1) * components];
                value
                    .iter()
                    .enumerate()
                    .for_each(|(component, &value)| reals[component * count + at] = value);
            }
        }
    }
}

/// The trajectories of a shard.
pub(in crate::engine) struct EpisodeView<'a, E> {
    pub rows: &'a Rows,
    pub lengths: &'a [u32],
    pub horizon: usize,
    pub trace: &'a Trace<E>,
    pub draws: &'a [DrawRows<E>],
}

impl<'a, E> EpisodeView<'a, E> {
    /// The numbers of what a draw gave, by row.
    pub fn drawn(&self, draw: usize) -> &'a [u32] {
        &self.draws[draw].draws.numbers
    }

    /// A point's step, and the trajectory it is of with its length and the horizon.
    pub fn place(&self, &(t, trajectory): &(u32, u32)) -> (usize, (usize, usize, usize)) {
        let trajectory = trajectory as usize;
        (t as usize, (trajectory, self.lengths[trajectory] as usize, self.horizon))
    }
}

impl Inputs {
    /// Those of a network of `kernel`, whose givens read `reads`.
    ///
    /// # Errors
    /// One sentence, where one reads what is not of the trajectory.
    pub fn new(
        plan: &Plan,
        network: &NetworkPlan,
        kernel: &Kernel,
        reads: &[Read],
    ) -> Result<Inputs, EngineError> {
        let refused = |what: &str| EngineError::Unsupported(format!("`{}` {what}", kernel.name));
        let source = |read: Read, step| match read {
            Read::Time => Ok(Source::Time),
            _ => {
                let (variable, when) = Variable::read(plan, read, step)
                    .ok_or_else(|| refused("reads what is not of the trajectory"))?;
                Ok(Source::Trajectory(variable, when))
            }
        };
        let given = |formal: u32| {
            let at = (formal as usize).checked_sub(kernel.outputs.len());
            at.and_then(|at| reads.get(at))
                .copied()
                .ok_or_else(|| refused("has a network that reads its own output"))
        };
        let inputs = network
            .inputs()
            .iter()
            .map(|spec| Ok((source(given(spec.source)?, spec.step)?, spec.kind)));
        Ok(Inputs(inputs.collect::<Result<_, EngineError>>()?))
    }

    /// By input, which variable it reads from `t`, and at which time.
    pub fn reads_at(&self, t: usize) -> impl Iterator<Item = Option<(Variable, usize)>> {
        self.0.iter().map(move |&(source, _)| match source {
            Source::Trajectory(variable, when) => {
                Some((variable, usize::try_from(when.from(t)).unwrap_or(0)))
            }
            Source::Time => None,
        })
    }
}

/// The network of a kernel at points, each of whose givens reads one of `reads`: where the gradient
/// of a plan goes through draws, its backward pass goes on to the inputs that are drawn so.
///
/// # Errors
/// One sentence, where an expression jumps in one.
pub(in crate::engine) fn followed(
    plan: &Plan,
    network: NetworkPlan,
    outputs: usize,
    reads: &[Read],
) -> Result<NetworkPlan, EngineError> {
    if !plan.is_pathwise() {
        return Ok(network);
    }
    let follows = |formal: u32| {
        let read = (formal as usize).checked_sub(outputs).and_then(|at| reads.get(at));
        let variable = read.and_then(|&read| Variable::read(plan, read, 0));
        variable.is_some_and(|(variable, _)| variable.is_followed(plan))
    };
    let followed = network.following(&plan.model, follows);
    followed.map_err(|error| EngineError::Unsupported(error.to_string()))
}

impl<E: Number> Columns<E> {
    /// Gathers the inputs of points; `number` is the value of a finite variable as a point reads
    /// it.
    pub fn gather(
        &mut self,
        inputs: &Inputs,
        points: &[(u32, u32)],
        on: &EpisodeView<E>,
        number: impl Fn(usize, (Variable, When), usize, (usize, usize, usize)) -> Option<u32>,
    ) {
        self.clear(inputs);
        let count = points.len();
        for ((indices, reals), &(source, kind)) in
            self.indices.iter_mut().zip(self.reals.iter_mut()).zip(&inputs.0)
        {
            match (source, kind) {
                (Source::Time, _) => indices.extend(points.iter().map(|&(t, _)| t - 1)),
                (Source::Trajectory(variable, when), InputKind::Finite { size }) => {
                    let numbers = points.iter().map(|point| on.place(point)).enumerate();
                    indices.extend(numbers.map(|(at, (t, of))| {
                        number(at, (variable, when), t, of).unwrap_or(size as u32)
                    }));
                }
                (Source::Trajectory(variable, when), InputKind::Real { components }) => {
                    reals.resize(components * count, Float::of(f64::NAN));
                    for (row, (t, of)) in points.iter().map(|point| on.place(point)).enumerate() {
                        let values =
                            on.trace.reals((variable, when), t, of, components).unwrap_or(&[]);
                        values
                            .iter()
                            .enumerate()
                            .for_each(|(component, &value)| reals[component * count + row] = value);
                    }
                }
            }
        }
    }

    /// Normalises what is to be, of `count` points.
    pub fn scale(
        &mut self,
        inputs: &Inputs,
        scaled: &[(Variable, Scaled)],
        parameters: &[E],
        count: usize,
    ) {
        for (reals, (source, _)) in self.reals.iter_mut().zip(&inputs.0) {
            let Source::Trajectory(variable, _) = source else { continue };
            if let Some((_, scaled)) = scaled.iter().find(|(of, _)| of == variable)
                && !reals.is_empty()
            {
                let read = std::mem::take(reals);
                scaled.scale(parameters, &read, (count, count), reals);
            }
        }
    }

    /// Adds a point of step `t` behind `count` others, at which all inputs but the time are `none`.
    pub fn append_none(&mut self, inputs: &Inputs, t: u32, count: usize) {
        for ((indices, reals), &(source, kind)) in
            self.indices.iter_mut().zip(self.reals.iter_mut()).zip(&inputs.0)
        {
            match kind {
                InputKind::Finite { .. } if source == Source::Time => indices.push(t - 1),
                InputKind::Finite { size } => indices.push(size as u32),
                InputKind::Real { components } => {
                    // a column grows at its end: from the last to the first
                    (1..=components)
                        .rev()
                        .for_each(|component| reals.insert(component * count, Float::of(f64::NAN)));
                }
            }
        }
    }

    /// Empty columns for the inputs of a network.
    pub fn clear(&mut self, inputs: &Inputs) {
        self.indices.resize_with(inputs.0.len(), Vec::new);
        self.reals.resize_with(inputs.0.len(), Vec::new);
        self.indices.iter_mut().for_each(Vec::clear);
        self.reals.iter_mut().for_each(Vec::clear);
    }

    /// As a network is fed with `count` points.
    pub fn feeds(&self, inputs: &Inputs, count: usize) -> Vec<Feed<'_, E>> {
        let columns = self.indices.iter().zip(&self.reals).zip(&inputs.0);
        columns
            .map(|((indices, columns), (_, kind))| match kind {
                InputKind::Finite { .. } => Feed::Finite(indices),
                InputKind::Real { .. } => Feed::Real { columns, stride: count },
            })
            .collect()
    }
}
