//! Factors, the four blocks of a bound, and indices of time.

use super::{DataId, Distribution, EnvironmentId, EnvironmentKernel, KernelId, VariableId};
use crate::expr::ExprId;
use crate::source::Span;
use crate::syntax::ast;

/// A place in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Index {
    /// `[1]`
    First,
    /// `[t + k]`
    Step(i32),
    /// `[T + k]`, k is 0 or 1
    Last(i32),
}

/// One bound: what is written in `bound NAME { … }`, or in the bare blocks of a file.
#[derive(Clone, Debug)]
pub struct Bound {
    pub name: Option<String>,
    pub prior: Vec<Factor>,
    pub likelihood: Vec<Likelihood>,
    pub posterior: Vec<Factor>,
    pub auxiliary: Vec<Factor>,
    /// Why `exp ΣΛ` is no probability, in one clause: then what bounds it bounds none. Absent where
    /// each likelihood is known to be at most 1.
    pub exceeds_one: Option<String>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Block {
    Prior,
    Posterior,
    Auxiliary,
}

/// A factor of a bound, by its block and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FactorRef {
    pub block: Block,
    pub at: u32,
}

/// `TARGETS ~ KERNEL(ARGUMENTS)`
#[derive(Clone, Debug)]
pub struct Factor {
    pub targets: Vec<Target>,
    pub kernel: KernelRef,
    /// One per given of the kernel, in its order; empty for a distribution in place.
    pub arguments: Vec<Value>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A factor at `First` or `Last` stands for one step, at `Step(k)` for every step the variable
    /// has in `t = 1..T`.
    Variable { variable: TargetVariable, index: Index },
    /// `weights(world)`, drawn once a run.
    Weights(KernelId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetVariable {
    Variable(VariableId),
    Reward(EnvironmentId, u32),
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub enum KernelRef {
    Learned(KernelId),
    /// `previous pi`: the frozen copy of the last round.
    Previous(KernelId),
    Environment(EnvironmentId, EnvironmentKernel),
    Data(DataId),
    /// A distribution in place over the target's domain; of `weights(K)`, over each weight. There a
    /// `Normal` without arguments (empty vectors) is the learned mean field: a mean and a standard
    /// deviation per weight.
    InPlace(Distribution<Vec<ExprId>>),
}

/// An argument of a kernel in a factor.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The whole value of a variable at an index.
    Variable {
        variable: VariableId,
        index: Index,
    },
    Reward {
        environment: EnvironmentId,
        reward: u32,
        index: Index,
    },
    /// `t`
    Time,
    /// `t-K..t+K`
    Window {
        variable: VariableId,
        from: Index,
        to: Index,
    },
    /// `..t-1` (through `to`)
    Past {
        variable: VariableId,
        to: Index,
    },
    /// `t+1..` (from `from`)
    Future {
        variable: VariableId,
        from: Index,
    },
    /// Any other expression, a scalar per component.
    Expression(Vec<ExprId>),
    /// `none`
    Absent,
}

/// `NAME[t] ~ exp(EXPR)` or `NAME[t] ~ KERNEL(x | GIVENS)`
#[derive(Clone, Debug)]
pub struct Likelihood {
    pub name: String,
    pub index: Index,
    pub form: LikelihoodForm,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum LikelihoodForm {
    /// `exp(value)`; `written` is the exponent as the file has it, for print.
    Exponential { value: ExprId, written: ast::Expr },
    /// The probability (density) that `kernel` gives to `values` given `givens`.
    Density { kernel: KernelRef, values: Vec<Value>, givens: Vec<Value> },
}

impl Bound {
    pub fn factors(&self, block: Block) -> &[Factor] {
        match block {
            Block::Prior => &self.prior,
            Block::Posterior => &self.posterior,
            Block::Auxiliary => &self.auxiliary,
        }
    }
    pub fn factor(&self, at: FactorRef) -> &Factor {
        &self.factors(at.block)[at.at as usize]
    }
}
