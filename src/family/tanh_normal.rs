//! `TanhNormal(mean, sd)`: `tanh` of a normal, scaled to the bounds of its domain (Haarnoja et al.
//! 2018, appendix C).

use super::normal::Normal;
use super::{Argument, At, Draw, Formula, Path, Reach, RealFamily, Squash};
use crate::expr::ExprId;

/// `x = middle + half · tanh u` with `u ~ Normal(mean, sd)`, so that
/// `log p(x) = log N(u) − log half − log(1 − tanh² u)`.
pub struct TanhNormal;

impl RealFamily for TanhNormal {
    fn name(&self) -> &'static str {
        "TanhNormal"
    }

    fn arguments(&self) -> &'static [Argument] {
        Normal.arguments()
    }

    fn meaning(&self) -> &'static str {
        "reals with declared bounds: `tanh` of a normal, scaled to them"
    }

    fn reach(&self) -> Reach {
        Reach::Bounds
    }

    fn log_density(&self, f: &mut Formula, x: ExprId, at: &At) -> ExprId {
        let (u, log_slope) = unsquashed(f, x, at);
        let log_normal = Normal.log_density(f, u, at);
        f.subtract(log_normal, log_slope)
    }

    fn draw(&self) -> Draw {
        Draw::OfNormal(|f, noise, at| {
            let offset = f.multiply(at.arguments[1], noise);
            let u = f.add(at.arguments[0], offset);
            squashed(f, u, at)
        })
    }

    fn centre(&self, f: &mut Formula, at: &At) -> ExprId {
        squashed(f, at.arguments[0], at)
    }

    /// That before `tanh`, which one map brings both to their values.
    fn divergence(&self, f: &mut Formula, q: &At, p: &At) -> Option<ExprId> {
        Normal.divergence(f, q, p)
    }

    /// Of `u = mean + sd · ε`, and on to `x`.
    fn path(&self) -> Option<Path> {
        Some(Path::Formula(|f, x, at| {
            let (u, log_slope) = unsquashed(f, x, at);
            let slope = f.exp(log_slope);
            let offset = f.subtract(u, at.arguments[0]);
            let noise = f.divide(offset, at.arguments[1]);
            vec![slope, f.multiply(slope, noise)]
        }))
    }

    fn as_normal(&self) -> Option<Squash> {
        Some(Squash::Tanh)
    }
}

fn squashed(f: &mut Formula, u: ExprId, at: &At) -> ExprId {
    let (lo, hi) = at.bounds;
    let (sum, difference) = (f.add(lo, hi), f.subtract(hi, lo));
    let two = f.number(2.0);
    let (middle, half) = (f.divide(sum, two), f.divide(difference, two));
    let tanh = f.tanh(u);
    let offset = f.multiply(half, tanh);
    f.add(middle, offset)
}

/// With `x − lo` and `hi − x`: `u = ½ log((x − lo) / (hi − x))`, and the logarithm of
/// `half · (1 − tanh² u) = 2 (x − lo)(hi − x) / (hi − lo)`.
fn unsquashed(f: &mut Formula, x: ExprId, at: &At) -> (ExprId, ExprId) {
    let [above, below, whole] = at.distances(f, x).map(|x| f.log(x));
    let difference = f.subtract(above, below);
    let u = f.times(0.5, difference);
    let sum = f.add(above, below);
    let slope = f.subtract(sum, whole);
    (u, f.plus(slope, std::f64::consts::LN_2))
}
