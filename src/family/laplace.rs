//! `Laplace(mean, scale)`.

use super::{Argument, At, Draw, Formula, Path, Reach, RealFamily};
use crate::expr::ExprId;

/// `log p(x) = −|x − mean| / scale − log 2scale`
pub struct Laplace;

impl RealFamily for Laplace {
    fn name(&self) -> &'static str {
        "Laplace"
    }

    fn arguments(&self) -> &'static [Argument] {
        &[Argument { name: "mean", positive: false }, Argument { name: "scale", positive: true }]
    }

    fn meaning(&self) -> &'static str {
        "reals; `scale` is the mean distance from the mean"
    }

    fn reach(&self) -> Reach {
        Reach::Line
    }

    fn log_density(&self, f: &mut Formula, x: ExprId, at: &At) -> ExprId {
        let &[mean, scale] = at.arguments else { unreachable!("a Laplace has two arguments") };
        let difference = f.subtract(x, mean);
        let distance = f.abs(difference);
        let exponent = f.divide(distance, scale);
        let twice = f.times(2.0, scale);
        let log = f.log(twice);
        let sum = f.add(exponent, log);
        f.negate(sum)
    }

    /// By the inverse of its distribution function: `mean − scale · sign(v) · log(1 − 2|v|)`
    /// with `v = u − ½`.
    fn draw(&self) -> Draw {
        Draw::OfUniform(|f, u, at| {
            let v = f.plus(u, -0.5);
            let distance = f.abs(v);
            let twice = f.times(-2.0, distance);
            // u = 0 has a logarithm, too, in either precision
            let rest = f.plus(twice, 1.0 + f64::from(f32::EPSILON));
            let log = f.log(rest);
            let sign = f.sign(v);
            let side = f.multiply(sign, log);
            let offset = f.multiply(at.arguments[1], side);
            f.subtract(at.arguments[0], offset)
        })
    }

    fn centre(&self, _f: &mut Formula, at: &At) -> ExprId {
        at.arguments[0]
    }

    /// `1 + log 2scale`
    fn entropy(&self, f: &mut Formula, at: &At) -> Option<ExprId> {
        let twice = f.times(2.0, at.arguments[1]);
        let log = f.log(twice);
        Some(f.plus(log, 1.0))
    }

    /// `log(b_p / b_q) + (b_q e^(−d / b_q) + d) / b_p − 1` with scales `b` and `d = |mean_q −
    /// mean_p|`
    fn divergence(&self, f: &mut Formula, q: &At, p: &At) -> Option<ExprId> {
        let (b_q, b_p) = (q.arguments[1], p.arguments[1]);
        let difference = f.subtract(q.arguments[0], p.arguments[0]);
        let d = f.abs(difference);
        let share = f.divide(d, b_q);
        let negative = f.negate(share);
        let fading = f.exp(negative);
        let near = f.multiply(b_q, fading);
        let sum = f.add(near, d);
        let distance = f.divide(sum, b_p);
        let ratio = f.divide(b_p, b_q);
        let log = f.log(ratio);
        let kl = f.add(log, distance);
        Some(f.plus(kl, -1.0))
    }

    /// Of `x = mean + scale · ε`.
    fn path(&self) -> Option<Path> {
        Some(Path::Formula(|f, x, at| {
            let offset = f.subtract(x, at.arguments[0]);
            vec![f.number(1.0), f.divide(offset, at.arguments[1])]
        }))
    }

    /// `1 / scale²` of both, which do not inform about each other.
    fn fisher(&self, f: &mut Formula, at: &At) -> Option<Vec<ExprId>> {
        let square = f.square(at.arguments[1]);
        let (one, zero) = (f.number(1.0), f.number(0.0));
        let own = f.divide(one, square);
        Some(vec![own, zero, zero, own])
    }
}
