//! The terms of a bound as a run takes them: what a sampled step gives to each, and which draws are
//! credited with it.

use super::Head;
use super::classifier::Apart;
use super::read::{Credited, Read, Version};
use crate::bound::TermId;
use crate::expr::ExprId;
use crate::model::{DataId, EnvironmentKernel, FactorRef, KernelId, LayerId};
use crate::source::Span;

/// One term of the bound, in nats: `sign · Σ_{t = from..to} quantity(t)`, over live steps only
/// where `live`.
#[derive(Clone, Debug)]
pub struct Term {
    pub id: TermId,
    /// How metrics call it.
    pub name: String,
    pub sign: f64,
    pub quantity: Quantity,
    /// Steps of the sum, counted from 1, both included.
    pub from: usize,
    pub to: usize,
    pub live: bool,
    /// What its expression reads, where it is one.
    pub extent: Extent,
    pub estimator: Estimator,
    /// Why that estimator, in one clause.
    pub why: String,
    /// By draw, what one at `t` is credited with; `None`: with no summand.
    pub credit: Vec<Option<Credited>>,
    /// The trained parameters enter the term itself.
    pub pathwise: bool,
    /// It is of the factors of the action alone: what `kl_to_go = false` credits nobody with.
    pub of_action: bool,
}

/// How much of a trajectory an expression reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What its own step has once it has been made: it is valued there.
    Step,
    /// Anything at any time: it is valued when the trajectory is whole.
    Trajectory,
}

/// What a step of a trajectory gives to a term.
#[derive(Clone, Debug, PartialEq)]
pub enum Quantity {
    /// An expression over variables of the trajectory and the time.
    Exponent(ExprId),
    /// That of one of the draws, by its number, at `t`.
    Entropy { draw: usize },
    /// `KL(q ‖ p)` of one of the draws, by its number, at `t`.
    Kl { draw: usize, prior: Prior },
    /// `log p(x) − log q(x)` at what a draw gave: `log_prior` is an expression of it, and of what
    /// stands before it.
    LogRatio { draw: usize, log_prior: ExprId },
    /// `log p(x|·)` of a kernel at what was drawn, less a log-density there.
    Density { density: Density, compared_with: ComparedWith },
    /// The logit of a classifier in the place of `log p − log q` at what was drawn.
    Ratio(Ratio),
    /// `KL(q(w) ‖ p(w))` of the mean field of that factor: once for all trajectories of a run, so
    /// that each has its share of it.
    WeightDivergence { of: FactorRef },
    /// `log n`: a constant per live step.
    LogCount(f64),
}

/// A classifier that tells real draws from those of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratio {
    /// Whose draws it tells apart: another ratio of these has the same classifier.
    pub apart: Apart,
    /// How a run's numbers name it, where there are several.
    pub name: String,
    pub kernel: KernelId,
    pub layer: LayerId,
    pub reads: Vec<Read>,
    pub of: RatioOf,
    /// Of records, what the columns of a row are at a step: what the data draw, and what they are
    /// given.
    pub held: Vec<Read>,
    /// What draws the model's side of a pair, where transitions are told apart.
    pub model: Option<Density>,
    /// The model stands above: the term is the logit's negative, and its slope is that of the
    /// model's log-density.
    pub turned: bool,
    pub span: Span,
}

/// What is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RatioOf {
    /// The environment's next states from the model's, each pair from the same state and action.
    Transition,
    /// Its first states from the model's.
    Start,
    /// What is recorded from what the posterior draws, each with what it was drawn in.
    Recorded(DataId),
}

impl RatioOf {
    /// Its real side are transitions of the environment.
    pub fn needs_transitions(self) -> bool {
        match self {
            RatioOf::Transition | RatioOf::Start => true,
            RatioOf::Recorded(_) => false,
        }
    }
}

/// The prior of a KL.
#[derive(Clone, Debug, PartialEq)]
pub enum Prior {
    /// The numbers of its distribution as expressions over variables at `t`: a log-probability for
    /// each action, or the means and then the standard deviations of a normal.
    Expressions(Vec<ExprId>),
    Kernel {
        of: Version,
        kernel: KernelId,
        head: Head,
        reads: Vec<Read>,
    },
}

/// A kernel evaluated at what a whole trajectory holds: a reverse model, a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Density {
    pub of: Version,
    pub kernel: KernelId,
    pub head: Head,
    pub target: Subject,
    pub reads: Vec<Read>,
    pub span: Span,
}

/// What a density is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A variable, as it is read from `t`.
    Read(Read),
    /// The environment's reward of that number at `t`.
    Reward(usize),
    /// Whether the step `t` ends the episode.
    End,
}

/// What a log-density is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComparedWith {
    Nothing,
    /// Itself, held fixed: its slope stands in the bound beside another estimate of its value.
    Itself,
    /// `log q(x|·)` of the draw of that number.
    Draw(usize),
    /// That of the environment, which is finite.
    Environment(EnvironmentKernel),
    /// That of the environment's transitions, as an expression of a step.
    Expression(ExprId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimator {
    /// The mean over sampled trajectories; its gradient by the score function.
    Sampled,
    /// In closed form given what it conditions on; its gradient pathwise, and by the score function
    /// through earlier draws.
    ClosedForm,
    /// A constant for each live step; its gradient by the score function where draws move the end.
    Counted,
}

impl Term {
    /// The kernel whose log-density it holds, or moves by.
    pub fn density(&self) -> Option<&Density> {
        match &self.quantity {
            Quantity::Density { density, .. } => Some(density),
            Quantity::Ratio(Ratio { model, .. }) => model.as_ref().filter(|_| self.pathwise),
            Quantity::Exponent(_)
            | Quantity::Entropy { .. }
            | Quantity::Kl { .. }
            | Quantity::LogRatio { .. }
            | Quantity::WeightDivergence { .. }
            | Quantity::LogCount(_) => None,
        }
    }

    /// A divergence from a kernel of the last round.
    pub fn reads_previous(&self) -> bool {
        match &self.quantity {
            Quantity::Kl { prior: Prior::Kernel { of, .. }, .. }
            | Quantity::Density { density: Density { of, .. }, .. } => *of == Version::Previous,
            Quantity::Kl { prior: Prior::Expressions(_), .. }
            | Quantity::Ratio(_)
            | Quantity::Exponent(_)
            | Quantity::Entropy { .. }
            | Quantity::LogRatio { .. }
            | Quantity::WeightDivergence { .. }
            | Quantity::LogCount(_) => false,
        }
    }
}
