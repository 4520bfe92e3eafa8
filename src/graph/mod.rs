//! Model in, factor graph out, and its drawing as DOT and as SVG. Draws the factors as they are
//! written; derives and samples nothing.
//!
//! ```
//! # use rlppl::{graph, model::{self, BoundId}, source::Source, syntax};
//! # let source = Source::new("walk", "
//! #     horizon T = 5
//! #     environment walk {
//! #       state s : 0..4; action a : { left, right }; reward r in [-1, 0]
//! #       s[1] ~ Delta(0); s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4))
//! #       r[t] = if s[t+1] == 4 then 0 else -1
//! #     }
//! #     kernel pi(a | s) = Categorical(logits = table(s))
//! #     prior      { s[1] ~ walk.initial; a[t] ~ Uniform;  s[t+1] ~ walk.transition(s[t], a[t]) }
//! #     likelihood { R[t] ~ exp(r[t]) }
//! #     posterior  { s[1] ~ walk.initial; a[t] ~ pi(s[t]); s[t+1] ~ walk.transition(s[t], a[t]) }
//! # ");
//! let model = model::check(&syntax::parse(&source)?, &Default::default())?;
//! let graph = graph::factor_graph(&model, BoundId(0));
//! assert!(graph::dot(std::slice::from_ref(&graph)).starts_with("digraph"));
//! assert!(graph::svg(&[graph]).starts_with("<svg"));
//! # Ok::<(), rlppl::diagnostic::Diagnostics>(())
//! ```

mod build;
mod dot;
mod grid;
mod layout;
mod legend;
mod route;
mod sizes;
mod svg;
mod text;

pub use build::factor_graph;
pub use dot::dot;
pub use svg::svg;

use std::collections::BTreeSet;

/// The factor graph of one bound (Kschischang, Frey and Loeliger 2001), its steps on one plate
/// (Buntine 1994).
///
/// What a step draws and what it reads of other steps stand on the plate `t = 1..T`; what is drawn
/// once stands beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct FactorGraph {
    /// The model's name, and the bound's where the file has several.
    pub title: String,
    /// By rows, in each by place.
    pub variables: Vec<VariableNode>,
    pub factors: Vec<FactorNode>,
    /// Two writings of one variable: `s[1]` is `s[t]` at `t = 1`, `s[T+1]` is `s[t+1]` at `t = T`.
    pub same: Vec<(NodeId, NodeId)>,
}

/// The index of a node in [`FactorGraph::variables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// A variable at a time, `s[t+1]`; or at several that a factor reads together, `x[..t-1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableNode {
    pub name: String,
    pub place: Place,
    /// Variables of one name share a row: weights, states, observations, options, actions, rewards,
    /// events.
    pub row: u32,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A factor draws it here.
    Drawn,
    /// It is drawn at another step, and read here.
    Elsewhere,
    /// The environment computes it: a reward, or the end.
    Computed,
    /// An event of the likelihood, which is observed.
    Event,
}

/// Where a variable stands in time; the order is that of the picture, from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Weights, drawn once a run.
    Run,
    /// `[1 + k]`
    First(i32),
    /// `[..t+k]`
    Through(i32),
    /// `[t+k]`
    Step(i32),
    /// `[t+k..t+l]`, where the window is too wide to draw each of its steps
    Window(i32, i32),
    /// `[t+k..]`
    From(i32),
    /// `[..T+k]`
    ThroughLast(i32),
    /// `[T+k]`
    Last(i32),
}

/// A factor, between what it reads and what it draws.
#[derive(Clone, Debug, PartialEq)]
pub struct FactorNode {
    /// What it is called: `pi`, `chain.transition`, `exp(alpha·r[t])`.
    pub law: String,
    /// All of it: `pi(a[t]|s[t])`.
    pub formula: String,
    /// The blocks it stands in. One that prior and posterior share is one factor in both; an
    /// environment's own has [`Part::Environment`], too.
    pub parts: BTreeSet<Part>,
    pub reads: Vec<NodeId>,
    /// Never empty.
    pub draws: Vec<NodeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    Prior,
    Auxiliary,
    Posterior,
    Likelihood,
    Environment,
}

impl Place {
    /// Whether it stands on the plate of steps.
    pub fn is_step(self) -> bool {
        match self {
            Place::Through(_) | Place::Step(_) | Place::Window(..) | Place::From(_) => true,
            Place::Run | Place::First(_) | Place::ThroughLast(_) | Place::Last(_) => false,
        }
    }

    /// `t+1`, `..t-1`; of weights nothing.
    pub fn index(self) -> String {
        let step = |k| offset("t", k);
        match self {
            Place::Run => String::new(),
            Place::First(k) => (1 + k).to_string(),
            Place::Through(k) => format!("..{}", step(k)),
            Place::Step(k) => step(k),
            Place::Window(from, to) => format!("{}..{}", step(from), step(to)),
            Place::From(k) => format!("{}..", step(k)),
            Place::ThroughLast(k) => format!("..{}", offset("T", k)),
            Place::Last(k) => offset("T", k),
        }
    }
}

fn offset(base: &str, k: i32) -> String {
    match k {
        0 => base.to_owned(),
        k => format!("{base}{k:+}"),
    }
}

impl VariableNode {
    /// `s[t+1]`
    pub fn label(&self) -> String {
        match self.place {
            Place::Run => self.name.clone(),
            place => format!("{}[{}]", self.name, place.index()),
        }
    }
}

impl FactorGraph {
    pub fn variable(&self, id: NodeId) -> &VariableNode {
        &self.variables[id.0 as usize]
    }
}
