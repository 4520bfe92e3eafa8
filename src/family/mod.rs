//! The families of densities over real numbers, one file each, as formulas.
//!
//! A family says all of itself once: its name and arguments, where its mass lies, its log-density,
//! its entropy and its divergence where they have a closed form, and how it is drawn. Everything
//! else follows: what `check` demands of its arguments, how `bound` prints it, what `plan` may ask
//! of it, how environments and policies draw from it, and, by differentiating the formulas, its
//! gradients. To add one, write its file and give it a row in [`FAMILIES`].

mod beta;
mod between;
mod formula;
mod laplace;
mod normal;
mod tanh_normal;

pub use formula::Formula;

use crate::expr::{ExprId, Graph};
use rand::Rng;
use std::fmt;
use std::ops::Deref;

/// Every family, in the order in which messages list them.
pub const FAMILIES: [Family; 4] = [
    Family(&normal::Normal),
    Family(&tanh_normal::TanhNormal),
    Family(&beta::Beta),
    Family(&laplace::Laplace),
];

/// A density over one real number; the components of a vector are independent.
///
/// Formulas are in nats, and of one component: `x` is its value, `at` are the arguments there.
pub trait RealFamily: Sync {
    /// As it is written in a model: `Normal`.
    fn name(&self) -> &'static str;

    /// In the order in which they are printed.
    fn arguments(&self) -> &'static [Argument];

    /// What it is over, and what its arguments mean: its row in the reference.
    fn meaning(&self) -> &'static str;

    fn reach(&self) -> Reach;

    /// `log p(x)`, finite wherever the family has mass.
    fn log_density(&self, f: &mut Formula, x: ExprId, at: &At) -> ExprId;

    fn draw(&self) -> Draw;

    /// The value that stands for the distribution where nothing is drawn: its mean or its mode.
    fn centre(&self, f: &mut Formula, at: &At) -> ExprId;

    /// `E[−log p(x)]`, where it has a closed form.
    fn entropy(&self, _f: &mut Formula, _at: &At) -> Option<ExprId> {
        None
    }

    /// `KL(q ‖ p)` of two of the family, where it has a closed form.
    fn divergence(&self, _f: &mut Formula, _q: &At, _p: &At) -> Option<ExprId> {
        None
    }

    /// The Fisher information of the arguments, `E[∇log p ∇log pᵀ]`, row by row, where it
    /// has a closed form.
    fn fisher(&self, _f: &mut Formula, _at: &At) -> Option<Vec<ExprId>> {
        None
    }

    /// How a draw moves with each argument while its noise stands still, where that can be said.
    fn path(&self) -> Option<Path> {
        None
    }

    /// The arguments at which it is uniform over its bounds, if it can be.
    fn uniform(&self) -> Option<&'static [f64]> {
        None
    }

    /// A normal, for which the engine has nodes of its own.
    fn as_normal(&self) -> Option<Squash> {
        None
    }
}

/// An argument of a family.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    pub name: &'static str,
    /// It must be above 0.
    pub positive: bool,
}

/// Where a family has mass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// At every real number.
    Line,
    /// Between the declared bounds of its domain, which has some.
    Bounds,
}

/// How a family is drawn.
pub enum Draw {
    /// As a formula of a standard normal number: `x = g(ε)`.
    OfNormal(fn(&mut Formula, ExprId, &At) -> ExprId),
    /// As a formula of a number that is uniform in [0, 1): `x = g(u)`.
    OfUniform(fn(&mut Formula, ExprId, &At) -> ExprId),
    /// By a program: the arguments, then the bounds. NaN where they are no arguments.
    Sampled(Sampler),
}

/// Draws by a program, of the arguments and the bounds.
pub type Sampler = fn(&mut dyn Rng, &[f64], (f64, f64)) -> f64;

/// `∂x/∂argument` of a draw whose noise stands still, for each argument: of `x = g(noise)` the
/// derivative of `g`, or by the distribution function `−∂F/∂argument / p(x)` (Figurnov, Mohamed
/// and Mnih 2018).
pub enum Path {
    /// As formulas of what was drawn.
    Formula(fn(&mut Formula, ExprId, &At) -> Vec<ExprId>),
    /// By a program.
    Computed(ComputedPath),
}

/// From what was drawn, the arguments, then the bounds.
pub type ComputedPath = fn(f64, &[f64], (f64, f64)) -> Vec<f64>;

/// What a normal is drawn through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Squash {
    Nothing,
    /// `tanh`, scaled to the bounds of the domain.
    Tanh,
}

/// The arguments of a family at one component.
pub struct At<'a> {
    /// In the order of [`RealFamily::arguments`].
    pub arguments: &'a [ExprId],
    /// The lowest and the highest value of the domain; infinite where it has no bounds.
    pub bounds: (ExprId, ExprId),
}

impl At<'_> {
    /// How far `x` lies above the lowest value and below the highest, and how far these are apart:
    /// above 0 also where rounding has brought `x` to an end.
    fn distances(&self, f: &mut Formula, x: ExprId) -> [ExprId; 3] {
        let (lo, hi) = self.bounds;
        let whole = f.subtract(hi, lo);
        let least = f.times(LEAST, whole);
        let (above, below) = (f.subtract(x, lo), f.subtract(hi, x));
        [f.max(above, least), f.max(below, least), whole]
    }
}

/// Nearer to an end than this share of the width, a density is that at this distance.
const LEAST: f64 = 1e-12;

/// A row of [`FAMILIES`].
#[derive(Clone, Copy)]
pub struct Family(&'static dyn RealFamily);

impl Family {
    pub fn normal() -> Family {
        Family(&normal::Normal)
    }

    /// Uniform between bounds that are its arguments: not one that is learned.
    pub fn between() -> Family {
        Family(&between::Between)
    }

    pub fn named(name: &str) -> Option<Family> {
        FAMILIES.into_iter().find(|family| family.name() == name)
    }

    /// `` `Normal(mean = …, sd = …)` ``
    pub fn written(self) -> String {
        let arguments: Vec<String> =
            self.arguments().iter().map(|argument| format!("{} = …", argument.name)).collect();
        format!("`{}({})`", self.name(), arguments.join(", "))
    }

    pub fn is_normal(self) -> bool {
        self.as_normal() == Some(Squash::Nothing)
    }

    pub fn has_entropy(self) -> bool {
        self.of_anything(|f, at, _| self.entropy(f, at).is_some())
    }

    pub fn has_divergence(self) -> bool {
        self.of_anything(|f, q, p| self.divergence(f, q, p).is_some())
    }

    /// Draws are smooth functions of noise, through which a gradient passes.
    pub fn has_path(self) -> bool {
        self.path().is_some()
    }

    pub fn has_fisher(self) -> bool {
        self.of_anything(|f, at, _| self.fisher(f, at).is_some())
    }

    /// Asks whether a formula exists, at arguments that do not matter.
    fn of_anything(self, asked: impl FnOnce(&mut Formula, &At, &At) -> bool) -> bool {
        let mut graph = Graph::default();
        let mut f = Formula::new(&mut graph);
        let one = f.number(1.0);
        let arguments = vec![one; self.arguments().len()];
        let at = || At { arguments: &arguments, bounds: (one, one) };
        asked(&mut f, &at(), &at())
    }
}

impl Deref for Family {
    type Target = dyn RealFamily;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for Family {
    fn eq(&self, other: &Family) -> bool {
        self.name() == other.name()
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
