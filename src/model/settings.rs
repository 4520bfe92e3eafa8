//! What `infer` and `expect` say. Which keys there are and what they mean is the plan's business.

use super::{BoundId, DataId, EnvironmentId, EnvironmentKernel, KernelId, LayerId, Value};
use crate::source::Span;
use crate::syntax::ast;

/// `maximize BOUND over KERNEL, …`
#[derive(Clone, Debug)]
pub struct Objective {
    pub bound: BoundId,
    /// The kernels whose parameters move (shared nets included).
    pub over: Vec<KernelId>,
    /// Keys of `infer` that are others for this bound.
    pub settings: Vec<Setting>,
    pub span: Span,
}

/// `key = value` of `infer`.
#[derive(Clone, Debug)]
pub struct Setting {
    pub key: String,
    /// What it is the key of: `ratio(world)`, `ratio(world, line.transition)`; nothing of most.
    pub of: Vec<SettingOf>,
    pub value: SettingValue,
    /// As written, for print.
    pub written: ast::Expr,
    pub span: Span,
}

/// What a key may be of, where several things of a file have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingOf {
    Kernel(KernelId),
    Data(DataId),
    Environment(EnvironmentId, EnvironmentKernel),
}

#[derive(Clone, Debug, PartialEq)]
pub enum SettingValue {
    Number(f64),
    Truth(bool),
    /// A bare word: `enumerate`, `f64`, `observations`.
    Word(String),
    Text(String),
    /// `[observations, returns]`
    List(Vec<SettingValue>),
    /// `adam(rate = 0.003)`, `ramp(from = 1, to = 0)`: a word and its named arguments.
    Call {
        function: String,
        arguments: Vec<(Option<String>, SettingValue)>,
    },
    /// `expected_return >= 475`
    Threshold {
        quantity: String,
        at_least: bool,
        value: f64,
    },
    /// `baseline = mlp(s, hidden = [64, 64])`: a network over variables of the trajectory at `t`
    /// (`s'` is the state at `t+1`), of width 1. It stands in the model's network as the body
    /// `Delta(layer)` of a kernel without outputs, called `infer.KEY`, whose givens are read at
    /// `arguments`.
    Network {
        kernel: KernelId,
        layer: LayerId,
        arguments: Vec<Value>,
    },
}

/// What a claim may be about.
pub const QUANTITIES: [&str; 9] = [
    "log_evidence",
    "best_bound",
    "family_bound",
    "bound",
    "expected_return",
    "kl",
    "dynamics",
    "optimisation",
    "auxiliary",
];

/// One `expect` block: the claims hold under these settings.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Of which bound; `None`: of the one that is maximised last.
    pub bound: Option<BoundId>,
    /// Params (and `infer.KEY`s) it fixes, as overrides.
    pub overrides: super::Overrides,
    pub claims: Vec<Claim>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Claim {
    pub quantity: String,
    pub relation: ClaimRelation,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClaimRelation {
    Within { value: f64, tolerance: f64 },
    AtLeast(f64),
    AtMost(f64),
}
