//! What a derivation is: the steps from `log p(R̂)` to the bound, the bound's terms, and its
//! gradient.

use super::notation::Notation;
use super::term::{Downstream, Term, TermId};
use crate::model::{BoundId, FactorRef, Index, KernelId, VariableId};
use std::collections::BTreeSet;

/// One derivation per bound of the model, in the order written.
#[derive(Clone, Debug)]
pub struct Derivation {
    pub model: String,
    pub bounds: Vec<BoundDerivation>,
}

/// `log p(R̂) ≥ L = E_q[Σ terms]`; see [`BoundDerivation::bounds_a_probability`].
#[derive(Clone, Debug)]
pub struct BoundDerivation {
    pub bound: BoundId,
    /// As in `bound NAME { … }`; absent where the file has bare blocks.
    pub name: Option<String>,
    /// From the evidence to `terms`.
    pub steps: Vec<Step>,
    /// Every term that stood on the way; [`Change`] counts them.
    pub drafts: Vec<Term>,
    /// The terms of `L`, in nats, in the order they are printed.
    pub terms: Vec<Term>,
    /// Pairs (prior or auxiliary, posterior) that left the bound; the posterior's score stays in
    /// the gradient.
    pub cancelled: Vec<(FactorRef, FactorRef)>,
    /// What kernels imagine before they draw: auxiliary variables with one factor in prior and
    /// posterior, which cancel.
    pub imagined: Vec<Imagined>,
    /// `≥` where L is a lower bound, `≈` where a classifier makes it an estimate.
    pub relation: Relation,
    /// Why `exp ΣΛ` is no probability, so that `L` is an objective, below `log E_p[exp ΣΛ]`; absent
    /// where it is one.
    pub exceeds_one: Option<String>,
    pub gradient: Gradient,
    /// How factors, exponents and kernels are written.
    pub notation: Notation,
}

/// A simulated rollout in a kernel of the bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imagined {
    pub by: String,
    /// As it is written: `imagine(world, s, policy = plain, steps = 3)`.
    pub rollout: String,
}

/// The index of a term in [`BoundDerivation::drafts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DraftId(pub u32);

impl BoundDerivation {
    /// Whether `L` lies below the logarithm of a probability: not where a classifier makes it an
    /// estimate, nor where the likelihood may exceed 1.
    pub fn bounds_a_probability(&self) -> bool {
        self.relation == Relation::AtLeast && self.exceeds_one.is_none()
    }
}

/// One line of the derivation.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub rule: Rule,
    pub relation: Relation,
    pub change: Change,
    /// A sentence where the rule leaves something to say (why a pair stays a log-ratio, what a
    /// constant is).
    pub note: Option<String>,
}

/// What a step changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The whole expression takes another shape.
    Shape { before: Shape, after: Shape },
    /// In the sum, `added` take the place of the first of `removed`. After `split`, nothing is
    /// removed.
    Terms { removed: Vec<DraftId>, added: Vec<DraftId> },
}

/// The shapes an expression takes before it is a sum of terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `log p(R̂)`
    Evidence,
    /// `log E_q[Π P / Π Q · exp ΣΛ]`
    LogExpectation,
    /// `E_q[log (Π P / Π Q · exp ΣΛ)]`
    ExpectationOfLog,
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
#[derive(Clone, Debug, Default)]
pub struct Gradient {
    /// The kernels whose parameters move when this bound is maximised.
    pub over: Vec<KernelId>,
    /// One per posterior factor whose kernel has parameters that move, or which conditions on what
    /// moves through draws.
    pub scores: Vec<Score>,
    /// Terms that the moving parameters enter directly.
    pub pathwise: Vec<Pathwise>,
    /// The posterior's factors through whose real draws the gradient passes, in the place of their
    /// scores; beside them, where a part is drawn first.
    pub reparameterised: Vec<Reparameterised>,
    /// The terms that read what they draw, or hold their own densities: their gradient passes
    /// through the draws.
    pub through: Vec<TermId>,
    /// One per kernel of `over` whose parameters are drawn: there the means and standard deviations
    /// of the draw move in their place.
    pub mean_fields: Vec<MeanField>,
    pub drawn: Peers,
    pub remarks: Vec<Remark>,
}

/// `∇log q_i` and what it is credited with.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    pub factor: FactorRef,
    /// What draws it; `None` where that has no parameters, as the environment and what stands in
    /// place have none: it moves with what it conditions on, which moves through draws.
    pub kernel: Option<KernelId>,
    pub credit: Vec<Credit>,
    pub baseline: BaselineReads,
}

/// A draw as a function of what its kernel computes and of noise that no parameter moves (Kingma &
/// Welling 2014; Schulman et al. 2015, "Gradient estimation using stochastic computation graphs").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reparameterised {
    pub factor: FactorRef,
    /// `None` as of a [`Score`].
    pub kernel: Option<KernelId>,
    pub form: NoiseForm,
}

/// How noise `ε` makes a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoiseForm {
    /// `mean + sd·ε`
    Normal,
    /// `tanh(mean + sd·ε)`, scaled to the bounds of what is drawn.
    TanhNormal,
    /// The kernel's own function of `ε`; it has no density.
    Implicit,
    /// What the kernel computes, without noise; it has no density.
    Point,
    /// The quantile of a number that is uniform between 0 and 1, component by component.
    Quantile,
    /// What noise makes of a part of a mixture, which is drawn by its weight: its score is that of
    /// the weights alone.
    Part,
}

impl NoiseForm {
    /// Its draws have a density, and a score.
    pub fn has_density(self) -> bool {
        match self {
            NoiseForm::Implicit | NoiseForm::Point => false,
            NoiseForm::Normal | NoiseForm::TanhNormal | NoiseForm::Quantile | NoiseForm::Part => {
                true
            }
        }
    }
}

/// What a baseline may read besides the time `t`: what the draw cannot influence, at the times the
/// factor itself reads or at its own. Kept as a rule, not as a list, which would be as long as the
/// bound for each of its scores: see [`Gradient::baseline_reads`].
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineReads {
    /// Of what the factor conditions on.
    pub given: Vec<(VariableId, Index)>,
    /// The index of the draw, at which the other variables of [`Peers`] may be read, too.
    pub at: Option<Index>,
    /// All but these, which the draw influences there.
    pub except: BTreeSet<VariableId>,
}

/// The variables that the posterior draws: at every step, and at one alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peers {
    pub each_step: BTreeSet<VariableId>,
    pub once: BTreeSet<VariableId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    pub term: TermId,
    pub from: Downstream,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Pathwise {
    pub term: TermId,
    /// Of `Gradient::over`, those whose parameters the term contains.
    pub kernels: Vec<KernelId>,
}

/// `weights(K) ~ Normal` of the posterior: `w = mean + sd·ε`, `ε ~ Normal(0, 1)`, drawn once a run,
/// a mean and a standard deviation for each weight.
///
/// Its gradient is pathwise, by this reparameterisation (Kingma & Welling 2014; Blundell et al.
/// 2015, eq. 3): `∇L = E_ε[Σ_i ∇log q_i · (Σ_{k downstream of i} f_k − b_i) + Σ_k ∇f_k] − ∇KL(q(w)
/// ‖ p(w))`, where ∇ of `log q_i` and `f_k` passes through `w`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeanField {
    pub factor: FactorRef,
    /// Whose parameters are drawn.
    pub kernel: KernelId,
    /// How many there are: twice as many numbers move.
    pub weights: usize,
    /// The factors of `Gradient::scores` that read the drawn weights: their scores pass through
    /// them, with their credit.
    pub scores: Vec<FactorRef>,
    /// The terms that read the drawn weights: pathwise through them.
    pub through: Vec<TermId>,
    /// The divergence from the prior of the weights, where it has a closed form in the means and
    /// standard deviations.
    pub divergence: Option<TermId>,
}

/// What the reader of a gradient has to know: a bias, an unknown constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark(pub String);

impl Gradient {
    /// What the baseline of one of the scores may read besides `t`, in order.
    pub fn baseline_reads(&self, score: &Score) -> Vec<(VariableId, Index)> {
        let BaselineReads { given, at, except } = &score.baseline;
        let peers = at.iter().flat_map(|at| {
            let drawn = match at {
                Index::Step(_) => &self.drawn.each_step,
                Index::First | Index::Last(_) => &self.drawn.once,
            };
            drawn.difference(except).map(|id| (*id, *at))
        });
        let mut reads: Vec<_> = given.iter().copied().chain(peers).collect();
        reads.sort_unstable();
        reads.dedup();
        reads
    }
}

impl Rule {
    pub const ALL: [Rule; 9] = [
        Rule::Importance,
        Rule::Jensen,
        Rule::Split,
        Rule::Cancel,
        Rule::Pair,
        Rule::Entropy,
        Rule::LogRatio,
        Rule::DensityRatio,
        Rule::Constant,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Rule::Importance => "importance",
            Rule::Jensen => "jensen",
            Rule::Split => "split",
            Rule::Cancel => "cancel",
            Rule::Pair => "pair",
            Rule::Entropy => "entropy",
            Rule::LogRatio => "log_ratio",
            Rule::DensityRatio => "density_ratio",
            Rule::Constant => "constant",
        }
    }
}
