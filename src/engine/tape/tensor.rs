//! dfdx's tensors and tape, and nothing else of it: values without a tape, and one tape threaded
//! through every node.
//!
//! A node's backward operation runs after those of all nodes recorded later. Shapes are the
//! caller's promise, checked when a network is compiled; dfdx panics on a mismatch.

use crate::engine::network::forward::Scratch;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::stop::Stop;
use dfdx::shapes::{HasShape as _, Rank0};
use dfdx::tensor::{Cpu, Gradients, OwnedTape, PutTape, Tape as _, Tensor, TensorFromVec};
use dfdx::tensor_ops::Backward;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows × columns on the processor.
pub type Matrix<E> = Tensor<(usize, usize), E, Cpu>;

/// The flat vector of parameters as dfdx's tape knows it: an identity, for which a gradient is
/// kept, and a length. The numbers themselves stay with
/// [`crate::engine::tape::parameters::Parameters`], so that threads can read them as a slice.
#[derive(Clone, Debug)]
pub struct Leaf<E: Float> {
    tensor: Tensor<(usize,), E, Cpu>,
}

impl<E: Float> Leaf<E> {
    /// A new identity.
    pub fn new(len: usize) -> Leaf<E> {
        Leaf { tensor: Cpu::default().tensor_from_vec(vec![E::ZERO; len], (len,)) }
    }
}

/// Gradients while a tape runs backward.
pub struct Flow<'a, E: Float>(&'a mut Gradients<E, Cpu>);

impl<E: Float> Flow<'_, E> {
    /// The gradient that has reached a tensor, row-major; zeros where none has. Taken out, so that
    /// others can be written meanwhile.
    pub fn take(&mut self, of: &Matrix<E>) -> Vec<E> {
        std::mem::take(slot(self.0, of))
    }

    /// The gradient of a tensor, to be added to.
    pub fn of(&mut self, of: &Matrix<E>) -> &mut [E] {
        slot(self.0, of)
    }

    /// The gradient of a vector of parameters, to be added to.
    pub fn of_leaf(&mut self, leaf: &Leaf<E>) -> &mut [E] {
        slot(self.0, &leaf.tensor)
    }
}

fn slot<'a, S: dfdx::shapes::Shape, E: Float>(
    gradients: &'a mut Gradients<E, Cpu>,
    of: &Tensor<S, E, Cpu>,
) -> &'a mut Vec<E> {
    gradients.get_or_alloc_mut(of).expect("tensor: memory for a gradient")
}

/// The tape of one gradient.
pub struct Tape<E: Float> {
    device: Cpu,
    tape: OwnedTape<E, Cpu>,
    /// Where networks run backward.
    scratch: Arc<Mutex<Scratch<E>>>,
    /// Asked between two nodes.
    stop: Stop,
}

impl<E: Float> Default for Tape<E> {
    fn default() -> Self {
        Tape::reusing(&Arc::default())
    }
}

impl<E: Float> Tape<E> {
    /// A tape whose networks run backward in buffers that are kept from tape to tape.
    pub fn reusing(scratch: &Arc<Mutex<Scratch<E>>>) -> Tape<E> {
        let stop = scratch.lock().unwrap_or_else(PoisonError::into_inner).stop.clone();
        Tape { device: Cpu::default(), tape: OwnedTape::default(), scratch: scratch.clone(), stop }
    }

    pub(in crate::engine) fn scratch(&self) -> Arc<Mutex<Scratch<E>>> {
        self.scratch.clone()
    }

    /// A tensor with a fresh identity: gradient that flows to it goes no further.
    pub fn constant(&self, values: Vec<E>, columns: usize) -> Matrix<E> {
        let rows = values.len() / columns;
        self.device.tensor_from_vec(values, (rows, columns))
    }

    /// Records what passes gradient on from a node's output.
    pub fn record(&mut self, backward: impl FnOnce(&mut Flow<E>) + 'static) {
        let stop = self.stop.clone();
        self.tape.add_backward_op(move |gradients| {
            // a gradient that was given up is not read
            if !stop.gives_up() {
                backward(&mut Flow(gradients));
            }
            Ok(())
        });
    }

    /// Runs the tape back from `Σ weights · values` and adds the gradient of `leaf` to `gradient`.
    /// Returns the weighted sum.
    pub(in crate::engine) fn backward_to(
        mut self,
        terms: Vec<(Matrix<E>, Vec<E>)>,
        leaf: &Leaf<E>,
        gradient: &mut [E],
    ) -> f64 {
        let sum = terms.iter().map(|(values, weights)| dot(&values_of(values), weights)).sum();
        let objective: Tensor<Rank0, E, Cpu> = self.device.tensor_from_vec(vec![E::of(sum)], ());
        self.record(move |flow| {
            for (values, weights) in terms {
                crate::engine::numeric::kernels::add(flow.of(&values), &weights);
            }
        });
        let mut gradients = objective.put_tape(self.tape).backward();
        crate::engine::numeric::kernels::add(gradient, slot(&mut gradients, &leaf.tensor));
        sum
    }
}

/// Rows and columns.
pub fn shape_of<E: Float>(tensor: &Matrix<E>) -> (usize, usize) {
    *tensor.shape()
}

/// The numbers of a tensor, row-major.
pub fn values_of<E: Float>(tensor: &Matrix<E>) -> Vec<E> {
    let (rows, columns) = shape_of(tensor);
    let mut values = vec![E::ZERO; rows * columns];
    tensor.copy_into(&mut values); // every tensor here is contiguous
    values
}

fn dot<E: Float>(a: &[E], b: &[E]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a.as_f64() * b.as_f64()).sum()
}
