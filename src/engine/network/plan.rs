//! A compiled network as data: what it reads, its steps over numbered buffers, and where gradients
//! go on to its inputs.

use super::scalars::{Program, Slope};
use crate::expr::{BinaryOp, UnaryOp};
use crate::model::{Activation, FiniteDomain, LayerId};
use std::ops::Range;
use std::sync::Arc;

/// A network that can run.
#[derive(Clone, Debug)]
pub struct NetworkPlan {
    pub(in crate::engine) inputs: Vec<InputSpec>,
    pub(in crate::engine) columns: Vec<Column>,
    pub(in crate::engine) loads: Vec<(Load, Slot)>,
    pub(in crate::engine) steps: Vec<Step>,
    pub(in crate::engine) slots: Vec<SlotSpec>,
    pub(in crate::engine) outputs: Vec<Slot>,
    pub(in crate::engine) stages: Stages,
    /// To inputs that are followed.
    pub(in crate::engine) passages: Vec<Passage>,
}

/// Of columns, loads and steps, the first pass that has all they read: where some inputs are drawn
/// from what others led to, a network runs in several passes.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Stages {
    pub columns: Vec<usize>,
    pub loads: Vec<usize>,
    pub steps: Vec<usize>,
}

/// What a caller feeds at one place of [`super::feed::Feed`]s.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// The number that the caller gave this formal when compiling.
    pub source: u32,
    /// Step of a window; 0 elsewhere.
    pub step: usize,
    pub kind: InputKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// Numbers `0..size` of a finite domain; `size` itself stands for `none`. The time `t` is `t −
    /// 1` of `0..T`.
    Finite { size: usize },
    /// The components of a domain that is not finite, as numbers; NaN stands for `none`.
    Real { components: usize },
}

impl InputSpec {
    /// Components of a real input; 0 of a finite one.
    pub fn components(&self) -> usize {
        match self.kind {
            InputKind::Real { components } => components,
            InputKind::Finite { .. } => 0,
        }
    }
}

/// A buffer of `width` numbers a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Slot(pub usize);

#[derive(Clone, Debug)]
pub(in crate::engine) struct SlotSpec {
    pub width: usize,
    /// Depends on a parameter, or on an input that is [followed](NetworkPlan::following).
    pub moves: bool,
}

#[derive(Clone, Debug)]
pub(in crate::engine) struct Step {
    pub op: Op,
    pub out: Slot,
    /// For each slot the operation reads: whether it is the first, backward, to write that slot's
    /// gradient.
    pub first: Vec<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) enum Op {
    /// `activation(Σ parts · weight rows + bias)`
    Affine {
        parts: Vec<Part>,
        weight: Range<usize>,
        bias: Range<usize>,
        activation: Option<Activation>,
    },
    /// A row of a table.
    Rows {
        column: usize,
        table: Range<usize>,
    },
    /// Columns `o · width ..` of `heads`.
    Block {
        column: usize,
        heads: Slot,
    },
    Concat {
        parts: Vec<Part>,
    },
    /// A recurrent unit over the elements that are there, in this order; `weights` as
    /// [`crate::engine::network::gru::Weights`] lists them.
    Gru {
        elements: Vec<Vec<Part>>,
        weights: [Range<usize>; 4],
    },
    Unary(UnaryOp, Slot),
    Binary(BinaryOp, Slot, Slot),
    /// Sums of picked columns, as [`crate::model::LayerOp::Sum`] lists them.
    Sum {
        parts: Vec<Slot>,
        columns: Vec<Arc<[u32]>>,
    },
    /// The log-probabilities of a mixture: all weights, then the logits of all parts.
    Mixture(Vec<Slot>),
}

/// Some columns of a layer, from column `at` of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Part {
    pub at: usize,
    pub width: usize,
    pub source: PartSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum PartSource {
    /// One in the column that the index names.
    OneHot {
        column: usize,
    },
    Dense(Slot),
}

/// An index per row, computed from the inputs.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) enum Column {
    /// The input's own number.
    Number { input: usize },
    /// `decode[number]`: a component of a finite domain, counted from its lowest value.
    Decoded { input: usize, decode: Arc<[u32]> },
    /// The joint number of several inputs of these sizes, the last one fastest.
    Joint { inputs: Vec<(usize, usize)> },
    /// A finite component of a domain that is not finite: its value less `lo`, below `count`.
    Cell { input: usize, component: usize, lo: i64, count: usize, optional: bool },
    /// `decode[number]` of a computed value; behind those of all values that of `none`, where it
    /// may be that.
    Computed { program: Program, of: Computed, decode: Arc<[u32]> },
    /// The joint number of several values of these sizes, some of them computed by `program`; the
    /// last one fastest.
    JointComputed { program: Program, values: Vec<(Numbered, usize)> },
}

/// The number of a value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) enum Numbered {
    Input(usize),
    Computed(Computed),
}

/// A value of a finite domain whose components a program computes.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct Computed {
    /// The first of its components among the results of the program.
    pub from: usize,
    pub domain: Arc<FiniteDomain>,
    /// What is no value of the domain is `none`; else there is nothing that is none.
    pub optional: bool,
}

/// Numbers per row, computed from the inputs.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) enum Load {
    /// Components `from..from + width` of a real input.
    Real { input: usize, from: usize },
    /// A real component that may be `none`: its value and 0, or 0 and 1.
    RealOrNone { input: usize, component: usize },
    /// `t / T`
    Time { input: usize, horizon: usize },
    /// Scalar expressions.
    Scalars(Program),
    /// An expression that may be `none`, which NaN is: its value and 0, or 0 and 1.
    ScalarOrNone(Program),
    /// Standard normals of that layer, which [`NetworkPlan::draw_noise`] has put there.
    Noise(LayerId),
}

impl Column {
    /// The inputs it is computed from.
    pub fn inputs(&self) -> Vec<usize> {
        match self {
            Column::Number { input }
            | Column::Decoded { input, .. }
            | Column::Cell { input, .. } => vec![*input],
            Column::Joint { inputs } => inputs.iter().map(|(input, _)| *input).collect(),
            Column::Computed { program, .. } => program.inputs(),
            Column::JointComputed { program, values } => {
                let inputs = values.iter().filter_map(|(of, _)| match of {
                    Numbered::Input(input) => Some(*input),
                    Numbered::Computed(_) => None,
                });
                inputs.chain(program.inputs()).collect()
            }
        }
    }
}

impl Load {
    /// The inputs they are computed from.
    pub fn inputs(&self) -> Vec<usize> {
        match self {
            Load::Real { input, .. }
            | Load::RealOrNone { input, .. }
            | Load::Time { input, .. } => vec![*input],
            Load::Scalars(program) | Load::ScalarOrNone(program) => program.inputs(),
            Load::Noise(_) => vec![],
        }
    }
}

/// How the gradient of a loaded slot goes on to inputs.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Passage {
    /// What was loaded.
    pub slot: Slot,
    pub kind: PassageKind,
}

#[derive(Clone, Debug)]
pub(in crate::engine) enum PassageKind {
    /// Each of the first `columns`, column `c` is component `from + c` of an input.
    Straight { input: usize, from: usize, columns: usize },
    /// Expressions of inputs, with their slopes in a slot of their own.
    Slopes { slot: Slot, of: Vec<Slope> },
}
