//! Conditional distributions with parameters, and the networks inside them.

use super::{Distribution, Domain, EnvironmentId, KernelId, Simulation, VariableId};
use crate::expr::ExprId;
use crate::source::Span;

/// `kernel NAME(OUTPUTS | GIVENS) = DISTRIBUTION`
#[derive(Clone, Debug)]
pub struct Kernel {
    pub name: String,
    pub outputs: Vec<Formal>,
    pub givens: Vec<Formal>,
    /// Which written kernel it is, called with what is computed; `None` of one that is written.
    pub called: Option<Called>,
    /// Over the outputs jointly; where there are several, a `Record` with a part for each.
    pub distribution: Distribution<LayerId>,
    pub span: Span,
}

/// A call of a kernel, some of whose givens are computed from those of the call.
#[derive(Clone, Debug)]
pub struct Called {
    pub kernel: KernelId,
    pub computed: Vec<Computed>,
}

/// A given that is computed.
#[derive(Clone, Debug)]
pub struct Computed {
    pub formal: Formal,
    /// Its components, as expressions of the formals of the call.
    pub values: Vec<ExprId>,
}

/// `data NAME(a | s) from "x.csv"`: a kernel known by its samples alone.
#[derive(Clone, Debug)]
pub struct Data {
    pub name: String,
    pub outputs: Vec<Formal>,
    pub givens: Vec<Formal>,
    /// As written; relative to the model file.
    pub path: String,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Formal {
    pub name: String,
    pub variable: FormalVariable,
    pub length: FormalLength,
    /// Admits `none`.
    pub optional: bool,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormalVariable {
    Variable(VariableId),
    /// A reward of an environment, as an output of a world kernel.
    Reward(EnvironmentId, u32),
    /// The end of the episode, as an output of a world kernel.
    End,
    /// The time `t`.
    Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormalLength {
    One,
    /// `o[K]`
    Window(usize),
    /// `x[..]`
    Sequence,
}

/// The kernels an environment offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EnvironmentKernel {
    Initial,
    Transition,
    Observation,
}

impl EnvironmentKernel {
    pub const ALL: [EnvironmentKernel; 3] =
        [EnvironmentKernel::Initial, EnvironmentKernel::Transition, EnvironmentKernel::Observation];

    /// As a file has it behind the environment's name.
    pub fn name(self) -> &'static str {
        match self {
            EnvironmentKernel::Initial => "initial",
            EnvironmentKernel::Transition => "transition",
            EnvironmentKernel::Observation => "observation",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerId(pub u32);
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterId(pub u32);

/// All layers of a model's kernels, and the parameters they use. Layers stand after the layers they
/// read.
#[derive(Clone, Debug, Default)]
pub struct Network {
    pub layers: Vec<Layer>,
    pub parameters: Vec<Parameter>,
}

/// A trainable matrix or table.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// A stable, readable name: `pi.logits.0.weight`, `body.1.bias`. A net's parameters carry its
    /// name, whichever kernel uses it.
    pub name: String,
    pub rows: usize,
    pub columns: usize,
    /// What its numbers begin with, where the scheme of its layer says nothing else: 0 for biases
    /// and tables.
    pub start: f64,
}

/// One layer: a vector of `width` numbers per row of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    pub op: LayerOp,
    pub width: usize,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum LayerOp {
    /// A formal of `kernel` (outputs first, then givens): one-hot per finite component with one
    /// more column for `none` where it is optional, raw where it is real, the steps of a window
    /// side by side. The time is `t / T`.
    Formal {
        kernel: KernelId,
        formal: u32,
    },
    /// Scalar expressions of formals ([`super::Input::Formal`]), params and constants, one per
    /// column.
    Scalars(Vec<ExprId>),
    /// Side by side.
    Concat(Vec<LayerId>),
    /// A row per joint value of the finite formals read (one more for `none` where a formal is
    /// optional; `t` has T rows).
    Table {
        kernel: KernelId,
        formals: Vec<u32>,
        weight: ParameterId,
    },
    Linear {
        input: LayerId,
        weight: ParameterId,
        bias: ParameterId,
    },
    /// `hidden` and `activation`; weights (inputs × outputs) and biases in the order of the layers.
    /// The width of the last is the layer's own. Where the network ends in a width that its
    /// surroundings ask for, the last layer is affine (`last` is `None`); where it ends in its last
    /// hidden layer, as the body of another network does, that one is activated too.
    Mlp {
        input: LayerId,
        activation: Activation,
        last: Option<Activation>,
        weights: Vec<(ParameterId, ParameterId)>,
    },
    /// `per(o, net)`: the block of columns `o · width ..` of `heads` (as many blocks as the option
    /// has values).
    Per {
        kernel: KernelId,
        formal: u32,
        heads: LayerId,
    },
    /// The last state of a gated recurrent unit over a sequence formal (`backward`: from the
    /// horizon back). Parameters, `x · W` like all: input (columns × 3 widths), recurrent (width ×
    /// 3 widths) and their biases, for the gates reset, update and new in this order (Cho 2014).
    Gru {
        kernel: KernelId,
        formal: u32,
        backward: bool,
        parameters: Vec<ParameterId>,
    },
    /// `noise(n)`: standard normal draws.
    Noise,
    /// `imagine(…)`: for each step of a rollout, the columns of its state and of the action that
    /// led there; finite components one-hot.
    Simulate(Simulation),
    /// Element by element; an input of width 1 is repeated.
    Unary(crate::expr::UnaryOp, LayerId),
    Binary(crate::expr::BinaryOp, LayerId, LayerId),
    /// Each column is the sum of one column of each part, which the part lists for every column;
    /// [`NO_COLUMN`] adds nothing. The logits of what is drawn independently.
    Sum(Vec<(LayerId, Vec<u32>)>),
    /// The log-probabilities of a mixture of categoricals.
    Mixture(Vec<Mixed>),
}

/// In the place of a column of a [`LayerOp::Sum`].
pub const NO_COLUMN: u32 = u32::MAX;

/// A part of a [`LayerOp::Mixture`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mixed {
    /// Of width 1, relative to the sum of all; a part whose weight is 0 may have no logits.
    pub weight: LayerId,
    pub logits: LayerId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    Tanh,
    Relu,
    Sigmoid,
    Softplus,
}

impl Kernel {
    /// Outputs, then givens, then what is computed from these: what [`LayerOp::Formal`] counts.
    pub fn formals(&self) -> impl Iterator<Item = &Formal> {
        let computed = self.called.iter().flat_map(|called| &called.computed);
        self.outputs.iter().chain(&self.givens).chain(computed.map(|computed| &computed.formal))
    }

    /// What the formal of that number is computed as, where it is.
    pub fn computed(&self, formal: u32) -> Option<&Computed> {
        let behind = (formal as usize).checked_sub(self.outputs.len() + self.givens.len())?;
        self.called.as_ref()?.computed.get(behind)
    }
}

impl Formal {
    /// Columns of the formal as the input of a network; `domain` is that of its variable, and
    /// absent for the time. `None` for a sequence, which has no fixed width.
    pub fn columns(&self, domain: Option<&Domain>) -> Option<usize> {
        let step = domain.map_or(1, |domain| {
            domain.components.iter().map(|component| component.kind.columns(self.optional)).sum()
        });
        match self.length {
            FormalLength::One => Some(step),
            FormalLength::Window(steps) => Some(step * steps),
            FormalLength::Sequence => None,
        }
    }
}

impl Network {
    pub fn layer(&self, id: LayerId) -> &Layer {
        &self.layers[id.0 as usize]
    }
    pub fn parameter(&self, id: ParameterId) -> &Parameter {
        &self.parameters[id.0 as usize]
    }
}
