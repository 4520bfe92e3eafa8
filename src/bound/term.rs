//! The terms of a bound: what they are of, and at which times they stand.

use crate::model::FactorRef;

/// The index of a term in [`super::BoundDerivation::terms`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TermId(pub u32);

/// `sign · Σ_times E_q[kind]`
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    pub sign: Sign,
    pub kind: TermKind,
    pub times: Times,
    /// The sum stops where the episode ends (`end when`): factors of actions, options, observations
    /// and learned models.
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
    /// `log p(x | ·) − log q(x | ·)`, estimated at the drawn x.
    LogRatio { p: FactorRef, q: FactorRef },
    /// The same where one density is unknown: a classifier's logit.
    DensityRatio { p: FactorRef, q: FactorRef },
    /// A value that no parameter moves; `name` says what it is.
    Constant { name: String, of: Box<TermKind> },
}

impl TermKind {
    /// The name of a constant that is a density nobody knows, such as an environment's.
    pub fn unknown_constant(&self) -> Option<&str> {
        match self {
            TermKind::Constant { name, of } if matches!(**of, TermKind::LogFactor { .. }) => {
                Some(name)
            }
            TermKind::Constant { .. }
            | TermKind::Exponent { .. }
            | TermKind::LogDensity { .. }
            | TermKind::LogFactor { .. }
            | TermKind::Kl { .. }
            | TermKind::Entropy { .. }
            | TermKind::LogCount { .. }
            | TermKind::LogRatio { .. }
            | TermKind::DensityRatio { .. } => None,
        }
    }
}

/// A fixed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Moment {
    /// `1 + k`
    First(i32),
    /// `T + k`
    Last(i32),
}

/// The times `t` of a sum, both included; for factors, the `t` of the posterior's (else of the
/// prior's) own writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Times {
    pub from: Moment,
    pub to: Moment,
}

/// Which summands `f_k` of a term are downstream of the draw of a factor at its `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downstream {
    /// Those with index `k ≥ t + offset`: 0 for rewards, 1 for an analytic KL (it reads its
    /// conditions only), `−K` for a window that looks K steps ahead.
    Offset(i32),
    /// All of them: the term stands at the end of the trajectory or reads all of its future, or the
    /// draw stands at the beginning.
    All,
}

impl Sign {
    pub fn factor(self) -> f64 {
        match self {
            Sign::Plus => 1.0,
            Sign::Minus => -1.0,
        }
    }
}

impl Moment {
    /// The time it is, for a horizon `T`. May lie outside `1..T+1` when the horizon is short.
    pub fn at(self, horizon: usize) -> i64 {
        match self {
            Moment::First(k) => 1 + i64::from(k),
            Moment::Last(k) => horizon as i64 + i64::from(k),
        }
    }

    pub fn shifted(self, by: i32) -> Moment {
        match self {
            Moment::First(k) => Moment::First(k.saturating_add(by)),
            Moment::Last(k) => Moment::Last(k.saturating_add(by)),
        }
    }
}

impl Times {
    pub fn once(at: Moment) -> Times {
        Times { from: at, to: at }
    }

    pub fn is_once(&self) -> bool {
        self.from == self.to
    }

    /// The times, for a horizon `T`; empty where the horizon is too short for any.
    pub fn range(&self, horizon: usize) -> std::ops::RangeInclusive<i64> {
        self.from.at(horizon)..=self.to.at(horizon)
    }
}
