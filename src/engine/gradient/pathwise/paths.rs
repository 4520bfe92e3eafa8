//! What gradient goes on to: by step a tensor for each thing that is drawn smoothly, or moves with
//! what is, and how what reads it sees it.

use crate::engine::episode::variable::Variable;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::scaled::Scaled;
use crate::engine::tape::tensor::{Matrix, Tape, shape_of, values_of};

/// A variable at a time, as it is seen.
#[derive(Clone, Copy)]
pub(super) struct Read<'a> {
    pub variable: Variable,
    pub time: usize,
    /// How it is normalised, where it is.
    pub scaled: Option<&'a Scaled>,
}

/// The tensors of the trajectories of a shard. A row is a trajectory: nothing ends before the
/// horizon.
pub(super) struct Paths<'a, E: Float> {
    /// What comes a step later counts so much less.
    discount: f64,
    /// What normalises, among others.
    parameters: &'a [E],
    /// What kernels imagined at the present step, by simulation.
    pub simulated: Vec<Option<Matrix<E>>>,
    of: Vec<(Variable, Vec<Option<Drawn<E>>>)>,
}

/// What is drawn of a variable, at the time of its place less 1.
struct Drawn<E: Float> {
    tensor: Matrix<E>,
    /// The step that draws it.
    step: usize,
    /// As later steps see it, and normalised.
    views: Vec<(usize, Matrix<E>)>,
    normalised: Vec<(usize, Matrix<E>)>,
}

impl<'a, E: Number> Paths<'a, E> {
    pub fn new(discount: f64, parameters: &'a [E]) -> Paths<'a, E> {
        Paths { discount, parameters, simulated: Vec::new(), of: Vec::new() }
    }

    /// Keeps what step `step` has drawn.
    pub fn keep(&mut self, variable: Variable, (time, step): (usize, usize), tensor: Matrix<E>) {
        let at = self.of.iter().position(|(of, _)| *of == variable).unwrap_or_else(|| {
            self.of.push((variable, Vec::new()));
            self.of.len() - 1
        });
        let times = &mut self.of[at].1;
        times.resize_with(times.len().max(time), || None);
        let (views, normalised) = (Vec::new(), Vec::new());
        times[time - 1] = Some(Drawn { tensor, step, views, normalised });
    }

    fn drawn(&mut self, variable: Variable, time: usize) -> Option<&mut Drawn<E>> {
        let of = self.of.iter_mut().find(|(of, _)| *of == variable);
        of?.1.get_mut(time.checked_sub(1)?)?.as_mut()
    }

    /// The step that draws what is read, where gradient goes on to it.
    pub fn step_of(&mut self, variable: Variable, time: usize) -> Option<usize> {
        Some(self.drawn(variable, time)?.step)
    }

    /// What is read by step `from`: what comes after a draw is faded like the credit of one.
    pub fn seen(
        &mut self,
        tape: &mut Tape<E>,
        (variable, time): (Variable, usize),
        from: usize,
    ) -> Option<Matrix<E>> {
        let discount = self.discount;
        let drawn = self.drawn(variable, time)?;
        let ago = from.saturating_sub(drawn.step);
        if discount == 1.0 || ago == 0 {
            return Some(drawn.tensor.clone());
        }
        if let Some((_, view)) = drawn.views.iter().find(|(known, _)| *known == from) {
            return Some(view.clone());
        }
        let (rows, width) = shape_of(&drawn.tensor);
        let faded: E = Float::of(discount.powi(ago as i32));
        let view = tape.scaled(&drawn.tensor, vec![faded; rows * width]);
        drawn.views.push((from, view.clone()));
        Some(view)
    }

    /// The same, normalised as networks see it: what is as far out as they can see has no slope.
    pub fn read(&mut self, tape: &mut Tape<E>, read: &Read, from: usize) -> Option<Matrix<E>> {
        let seen = self.seen(tape, (read.variable, read.time), from)?;
        let Some(scaled) = read.scaled else { return Some(seen) };
        let parameters = self.parameters;
        let drawn = self.drawn(read.variable, read.time)?;
        if let Some((_, view)) = drawn.normalised.iter().find(|(known, _)| *known == from) {
            return Some(view.clone());
        }
        let slopes = scaled.slopes(parameters, &values_of(&seen));
        let view = tape.scaled(&seen, slopes);
        drawn.normalised.push((from, view.clone()));
        Some(view)
    }

    /// By input of a network, what gradient goes on to.
    pub fn all<'r>(
        &mut self,
        tape: &mut Tape<E>,
        reads: impl Iterator<Item = Option<Read<'r>>>,
        from: usize,
    ) -> Vec<Option<Matrix<E>>> {
        reads.map(|read| self.read(tape, &read?, from)).collect()
    }
}
