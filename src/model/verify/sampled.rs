//! Distributions of kernels, evaluated at every joint value of what they read. What a network
//! computes there is unknown: each row is looked at with several numbers in its place, and what
//! shows with all of them is so whatever the parameters are.

use super::placed::{Place, Placed};
use super::space::{BATCH, Columns, Evaluator, Space};
use crate::expr::{ExprId, InputId};
use crate::model::{Dynamics, EnvironmentKernel, Input, KernelRef, LayerId, Model};

/// Expressions that are evaluated at once.
const MOST_ROOTS: usize = 8192;
/// Numbers that what is not known is taken to be.
const SAMPLES: usize = 3;
/// Numbers that are evaluated at once.
const MOST_NUMBERS: usize = 1 << 21;

/// Arguments of distributions, and where nothing is drawn.
pub struct Sampled {
    /// In order, without duplicates.
    pub roots: Vec<ExprId>,
    ends: Vec<ExprId>,
}

/// One row: its number in the space, and its place among columns.
pub struct Row<'a> {
    pub number: usize,
    /// With the last numbers that were tried.
    pub columns: &'a Columns,
    pub at: usize,
}

impl Sampled {
    /// `None` where the expressions are too many.
    pub fn new(arguments: impl IntoIterator<Item = ExprId>, ends: Vec<ExprId>) -> Option<Sampled> {
        let mut roots: Vec<ExprId> = arguments.into_iter().chain(ends.iter().copied()).collect();
        roots.sort_unstable();
        roots.dedup();
        (roots.len() <= MOST_ROOTS).then_some(Sampled { roots, ends })
    }

    /// Which column of values an expression has.
    pub fn column(&self, id: ExprId) -> usize {
        self.roots.binary_search(&id).expect("sampled: every argument is a root")
    }

    /// The joint values of what is read; `None` where these are too many to count.
    pub fn space(&self, model: &Model, placed: &Placed<'_>) -> Option<Space> {
        Space::over(model, &placed.graph, &self.roots, &|input| Some(placed.stands(input)))
    }

    /// What `found` makes of the first row of which it makes something. `see` is told the values of
    /// each row in which something is drawn, once for each number in the place of those that
    /// `known` does not say; what it leaves of a row is handed to `found` with the number of tries.
    pub fn first<S: Clone + Default, F>(
        &self,
        (model, placed, space): (&Model, &Placed<'_>, &Space),
        known: &dyn Fn(LayerId) -> Option<f64>,
        mut see: impl FnMut(&mut S, &[Vec<f64>], usize),
        mut found: impl FnMut(&mut S, usize, &Row<'_>) -> Option<F>,
    ) -> Option<F> {
        let leaves: Vec<(InputId, Option<f64>)> =
            placed.learned_leaves().map(|(input, layer)| (input, known(layer))).collect();
        let samples = if leaves.iter().all(|(_, known)| known.is_some()) { 1 } else { SAMPLES };
        let mut evaluator = Evaluator::over(&placed.graph, &model.param_values(), &self.roots);
        let batch = (MOST_NUMBERS / self.roots.len().max(1)).clamp(1, BATCH);
        for (first, mut columns) in space.batches(batch) {
            let count = columns.time.len();
            let mut seen = vec![S::default(); count];
            for sample in 0..samples {
                for (at, (input, known)) in leaves.iter().enumerate() {
                    columns
                        .inputs
                        .insert(*input, vec![known.unwrap_or_else(|| generic(at, sample)); count]);
                }
                let values = evaluator.run(&columns);
                for row in (0..count).filter(|row| {
                    self.ends.iter().all(|end| values[self.column(*end)][*row] == 0.0)
                }) {
                    see(&mut seen[row], values, row);
                }
            }
            let rows = seen.iter_mut().enumerate();
            let told = rows
                .filter_map(|(at, seen)| {
                    found(seen, samples, &Row { number: first + at, columns: &columns, at })
                })
                .next();
            if told.is_some() {
                return told;
            }
        }
        None
    }
}

/// A number that nothing known of a kernel singles out; the samples differ in sign and in size.
fn generic(place: usize, sample: usize) -> f64 {
    let golden = ((place as f64 + 1.0) * 0.618_033_988_749_895).fract() - 0.5;
    let unlike_zero = if golden.abs() < 0.01 { 0.25 } else { golden };
    unlike_zero * [2.0, -2.0, 0.3][sample % SAMPLES]
}

/// `end when` of the environments whose states are read: nothing is drawn where it holds.
pub fn ends(model: &Model, placed: &mut Placed<'_>, place: &Place<'_>) -> Vec<ExprId> {
    let mut found = Vec::new();
    for (id, environment) in model.environments.iter().enumerate() {
        let Dynamics::Written { end: Some(end), .. } = environment.dynamics else { continue };
        let rename = |input: Input| match place.kernel {
            KernelRef::Environment(
                of,
                part @ (EnvironmentKernel::Transition | EnvironmentKernel::Observation),
            ) if of.0 as usize == id => place.of_environment(model, *part, input),
            _ => match input {
                Input::Variable { variable, component, index } => {
                    Some(Input::Variable { variable, component, index: (place.shift)(index) })
                }
                Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => None,
            },
        };
        found.extend(placed.if_read(end, &rename));
    }
    found
}
