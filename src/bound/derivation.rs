//! What a derivation is: the steps from `log p(R̂)` to the bound, the bound's terms, and its gradient.

use crate::model::{BoundId, FactorRef, Index, KernelId, VariableId};

/// One derivation per bound of the model, in the order written.
#[derive(Clone, Debug)]
pub struct Derivation {
    pub bounds: Vec<BoundDerivation>,
}

/// `log p(R̂) ≥ L = E_q[Σ terms]`
#[derive(Clone, Debug)]
pub struct BoundDerivation {
    pub bound: BoundId,
    /// From the evidence to `terms`.
    pub steps: Vec<Step>,
    /// The terms of `L`, in nats, in the order they are printed.
    pub terms: Vec<Term>,
    /// Pairs (prior or auxiliary, posterior) that left the bound; the posterior's score stays in the gradient.
    pub cancelled: Vec<(FactorRef, FactorRef)>,
    /// `≥` where L is a lower bound, `≈` where a classifier makes it an estimate.
    pub relation: Relation,
    pub gradient: Gradient,
}

/// The index of a term in [`BoundDerivation::terms`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TermId(pub u32);

/// `sign · Σ_times E_q[kind]`
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    pub sign: Sign,
    pub kind: TermKind,
    pub times: Times,
    /// The sum stops where the episode ends (`end when`): factors of actions, options, observations and learned models.
    pub live: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Plus,
    Minus,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TermKind {
    /// The exponent of likelihood factor number `likelihood`, such as `α r[t]`.
    Exponent { likelihood: u32 },
    /// `log` of a likelihood factor that is a density, such as a decoder.
    LogDensity { likelihood: u32 },
    /// `log p(x | ·)` of one factor.
    LogFactor { factor: FactorRef },
    /// `KL(q ‖ p)`, in closed form over the values of what both draw, given what they condition on.
    Kl { q: FactorRef, p: FactorRef },
    /// `H(q)`, the entropy of one draw.
    Entropy { q: FactorRef },
    /// `log n`, once for each draw of `q`: a uniform prior over n values.
    LogCount { q: FactorRef, count: u64 },
    /// `log p(x | ·) − log q(x | ·)`, estimated at the drawn x; `why` it is not a KL.
    LogRatio { p: FactorRef, q: FactorRef, why: String },
    /// The same where one density is unknown: a classifier's logit.
    DensityRatio { p: FactorRef, q: FactorRef },
    /// A value that no parameter moves; `name` says what it is.
    Constant { name: String, of: Box<TermKind> },
}

/// The times of a sum, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub from: Index,
    pub to: Index,
}

/// One line of the derivation: `before  relation  after  by rule`.
#[derive(Clone, Debug)]
pub struct Step {
    pub rule: Rule,
    pub relation: Relation,
    pub before: Form,
    pub after: Form,
    /// Which of `after`'s terms the rule made or changed.
    pub changed: Vec<usize>,
    /// A sentence where the rule leaves something to say (why a pair stays a log-ratio, what a constant is).
    pub note: Option<String>,
}

/// The shapes an expression takes on the way.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// `log p(R̂)`
    Evidence,
    /// `log E_q[Π P / Π Q · exp ΣΛ]`
    LogExpectation,
    /// `E_q[log (Π P / Π Q · exp ΣΛ)]`
    ExpectationOfLog,
    /// `E_q[Σ terms]`
    Sum(Vec<Term>),
}

/// The named laws of a derivation; `src/bound/rules` has a file for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    Importance,
    Jensen,
    Split,
    Cancel,
    Pair,
    Entropy,
    LogRatio,
    DensityRatio,
    Constant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Equal,
    /// The left side is at least the right side.
    AtLeast,
    Approximately,
}

/// `∇L = E_q[Σ_i ∇log q_i · (Σ_{k downstream of i} f_k − b_i) + Σ_k ∇f_k]`
#[derive(Clone, Debug)]
pub struct Gradient {
    /// One per posterior factor whose kernel has parameters.
    pub scores: Vec<Score>,
    /// Terms that the parameters of `kernels` enter directly.
    pub pathwise: Vec<Pathwise>,
    pub remarks: Vec<Remark>,
}

/// `∇log q_i` and what it is credited with.
#[derive(Clone, Debug)]
pub struct Score {
    pub factor: FactorRef,
    pub kernel: KernelId,
    pub credit: Vec<Credit>,
    /// What a baseline may read: all that is sampled before the factor's own draw, of its Markov state (with the time `t`).
    pub baseline_reads: Vec<(VariableId, Index)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    pub term: TermId,
    pub from: Downstream,
}

/// Which summands `f_k` of a term are downstream of the draw at `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downstream {
    /// Those with index `k ≥ t + offset`: 0 for rewards, 1 for an analytic KL (it reads its conditions only), `−K` for a window
    /// that looks K steps ahead.
    Offset(i32),
    /// All of them: the term stands at the end of the trajectory, or the draw at its beginning.
    All,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Pathwise {
    pub term: TermId,
    pub kernels: Vec<KernelId>,
}

/// What the reader of a gradient has to know: a bias, an unknown constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark(pub String);
