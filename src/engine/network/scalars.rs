//! Scalar expressions of a network's inputs, as compiled programs over columns. They read no
//! parameter; where their inputs are followed, their slopes are expressions too.

use super::feed::Feed;
use super::unsupported::{Unsupported, unsupported};
use crate::engine::numeric::float::{Float, ProgramRun, Programs};
use crate::expr::{self, Column, ExprId, Graph, InputId, Node};
use crate::model::{Input, KernelId, Model};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Expressions, one result each, in both precisions.
#[derive(Clone, Debug)]
pub struct Program {
    values: Vec<ExprId>,
    leaves: Vec<(InputId, Leaf)>,
    programs: Programs,
}

/// A component of an input of the network.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) enum Leaf {
    /// `decode[number]`
    Decoded {
        input: usize,
        decode: Vec<f64>,
    },
    Real {
        input: usize,
        component: usize,
    },
}

/// The derivative of a loaded column in a component of an input.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Slope {
    pub column: usize,
    pub input: usize,
    pub component: usize,
}

/// Columns of a run, made in the first one and reused; a clone begins anew.
#[derive(Default)]
pub(in crate::engine) struct Workspace<E> {
    leaves: Vec<Vec<E>>,
    out: Vec<E>,
    rows: Vec<E>,
    /// Never locked: the mutex lets threads share activations that one of them has filled.
    scratch: Mutex<Option<expr::Scratch<E>>>,
}

impl<E> Clone for Workspace<E> {
    fn clone(&self) -> Self {
        Workspace { leaves: vec![], out: vec![], rows: vec![], scratch: Mutex::new(None) }
    }
}

impl<E> std::fmt::Debug for Workspace<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Workspace")
    }
}

impl PartialEq for Program {
    fn eq(&self, other: &Program) -> bool {
        self.values == other.values && self.leaves == other.leaves
    }
}

impl Program {
    /// The inputs it is computed from.
    pub(in crate::engine) fn inputs(&self) -> Vec<usize> {
        let input = |(_, leaf): &(InputId, Leaf)| match leaf {
            Leaf::Decoded { input, .. } | Leaf::Real { input, .. } => *input,
        };
        self.leaves.iter().map(input).collect()
    }

    /// `leaf` gives the component of a kernel's formal that an expression reads.
    pub(in crate::engine) fn compile(
        model: &Model,
        values: &[ExprId],
        mut leaf: impl FnMut(KernelId, u32, u32) -> Result<Leaf, Unsupported>,
    ) -> Result<Program, Unsupported> {
        let graph = &model.graph;
        if graph.reach(values).into_iter().any(|id| matches!(graph.node(id), Node::Time)) {
            return Err(unsupported("a network that reads `t` past its kernel's givens"));
        }
        let mut leaves = Vec::new();
        for input in graph.inputs_of(values) {
            match model.inputs[input.0 as usize] {
                Input::Formal { kernel, formal, component } => {
                    leaves.push((input, leaf(kernel, formal, component)?))
                }
                Input::Variable { .. } | Input::Reward { .. } | Input::Gain(_) => {
                    return Err(unsupported(
                        "a network that reads a variable past its kernel's givens",
                    ));
                }
            }
        }
        let params = model.param_values();
        let programs = compiled(graph, values, &params);
        Ok(Program { values: values.to_vec(), leaves, programs })
    }

    /// The derivatives of the results in the real inputs that `follow` names, as a program of their
    /// own, and what each of them is; `None` where all vanish.
    pub(in crate::engine) fn slopes(
        &self,
        model: &Model,
        follow: impl Fn(usize) -> bool,
    ) -> Result<Option<(Program, Vec<Slope>)>, Unsupported> {
        let real = |leaf: &Leaf| match leaf {
            Leaf::Real { input, component } if follow(*input) => Some((*input, *component)),
            Leaf::Real { .. } | Leaf::Decoded { .. } => None,
        };
        let moved: BTreeSet<InputId> = self
            .leaves
            .iter()
            .filter(|(_, leaf)| real(leaf).is_some())
            .map(|(id, _)| *id)
            .collect();
        let (mut graph, mut values, mut of) = (model.graph.clone(), Vec::new(), Vec::new());
        for (column, &value) in self.values.iter().enumerate().filter(|_| !moved.is_empty()) {
            let jumps = |_| {
                Unsupported(
                    "an expression of a kernel jumps in what is drawn, through which no \
                             gradient passes"
                        .into(),
                )
            };
            for (id, slope) in graph.derivatives(value, &moved).map_err(jumps)? {
                let leaf = self
                    .leaves
                    .iter()
                    .find(|(leaf, _)| *leaf == id)
                    .and_then(|(_, leaf)| real(leaf));
                let (input, component) =
                    leaf.expect("scalars: a derivative is in one of the leaves");
                values.push(slope);
                of.push(Slope { column, input, component });
            }
        }
        if values.is_empty() {
            return Ok(None);
        }
        let params = model.param_values();
        let programs = compiled(&graph, &values, &params);
        Ok(Some((Program { values, leaves: self.leaves.clone(), programs }, of)))
    }

    /// The results of `rows` rows, row-major.
    pub(in crate::engine) fn values<'w, E: Float>(
        &self,
        feeds: &[Feed<E>],
        rows: usize,
        work: &'w mut Workspace<E>,
    ) -> &'w [E] {
        let mut out = std::mem::take(&mut work.rows);
        out.resize(self.values.len() * rows, E::ZERO);
        self.run(feeds, &mut out, work);
        work.rows = out;
        &work.rows
    }

    /// Computes the results of all rows of `out`, row-major.
    pub(in crate::engine) fn run<E: Float>(
        &self,
        feeds: &[Feed<E>],
        out: &mut [E],
        work: &mut Workspace<E>,
    ) {
        let width = self.values.len();
        let rows = out.len() / width;
        work.leaves.resize_with(self.leaves.len(), Vec::new);
        for ((_, leaf), column) in self.leaves.iter().zip(&mut work.leaves) {
            column.clear();
            match leaf {
                Leaf::Decoded { input, decode } => {
                    column.extend(
                        feeds[*input].numbers()[..rows]
                            .iter()
                            .map(|&number| E::of(decode[number as usize])),
                    );
                }
                Leaf::Real { input, component } => {
                    column.extend_from_slice(&feeds[*input].component(*component)[..rows])
                }
            }
        }
        work.out.resize(width * rows, E::ZERO);
        let place = |id: InputId| {
            self.leaves
                .iter()
                .position(|(leaf, _)| *leaf == id)
                .expect("scalars: `inputs_of` lists every input")
        };
        let leaves = |id: InputId| Column::Each(&work.leaves[place(id)][..]);
        let scratch = work.scratch.get_mut().unwrap_or_else(PoisonError::into_inner);
        let run = ProgramRun { leaves: &leaves, rows, out: &mut work.out, scratch };
        E::run_program(&self.programs, run);
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            out.iter_mut().enumerate().for_each(|(k, out)| *out = work.out[k * rows + row]);
        }
    }
}

fn compiled(graph: &Graph, values: &[ExprId], params: &[f64]) -> Programs {
    Programs {
        single: Arc::new(expr::Program::compile(graph, values, params)),
        double: Arc::new(expr::Program::compile(graph, values, params)),
    }
}
