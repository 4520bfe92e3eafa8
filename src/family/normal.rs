//! `Normal(mean, sd)`.

use super::{Argument, At, Draw, Formula, Path, Reach, RealFamily, Squash};
use crate::expr::ExprId;

/// `log p(x) = −(x − mean)² / 2sd² − log sd − ½ log 2π`
pub struct Normal;

impl RealFamily for Normal {
    fn name(&self) -> &'static str {
        "Normal"
    }

    fn arguments(&self) -> &'static [Argument] {
        &[Argument { name: "mean", positive: false }, Argument { name: "sd", positive: true }]
    }

    fn meaning(&self) -> &'static str {
        "reals; `sd` is the standard deviation"
    }

    fn reach(&self) -> Reach {
        Reach::Line
    }

    fn log_density(&self, f: &mut Formula, x: ExprId, at: &At) -> ExprId {
        let &[mean, sd] = at.arguments else { unreachable!("a normal has two arguments") };
        let distance = f.subtract(x, mean);
        let z = f.divide(distance, sd);
        let square = f.square(z);
        let exponent = f.times(-0.5, square);
        let log_sd = f.log(sd);
        let log = f.subtract(exponent, log_sd);
        f.plus(log, -0.5 * std::f64::consts::TAU.ln())
    }

    fn draw(&self) -> Draw {
        Draw::OfNormal(|f, noise, at| {
            let offset = f.multiply(at.arguments[1], noise);
            f.add(at.arguments[0], offset)
        })
    }

    fn centre(&self, _f: &mut Formula, at: &At) -> ExprId {
        at.arguments[0]
    }

    /// `log sd + ½ log 2πe`
    fn entropy(&self, f: &mut Formula, at: &At) -> Option<ExprId> {
        let log_sd = f.log(at.arguments[1]);
        Some(f.plus(log_sd, 0.5 * (1.0 + std::f64::consts::TAU.ln())))
    }

    /// `log(sd_p / sd_q) + (sd_q² + (mean_q − mean_p)²) / 2sd_p² − ½`
    fn divergence(&self, f: &mut Formula, q: &At, p: &At) -> Option<ExprId> {
        let ratio = f.divide(p.arguments[1], q.arguments[1]);
        let log = f.log(ratio);
        let distance = f.subtract(q.arguments[0], p.arguments[0]);
        let squares = [q.arguments[1], distance, p.arguments[1]].map(|x| f.square(x));
        let sum = f.add(squares[0], squares[1]);
        let share = f.divide(sum, squares[2]);
        let half = f.times(0.5, share);
        let kl = f.add(log, half);
        Some(f.plus(kl, -0.5))
    }

    /// Of `x = mean + sd · ε`.
    fn path(&self) -> Option<Path> {
        Some(Path::Formula(|f, x, at| {
            let offset = f.subtract(x, at.arguments[0]);
            vec![f.number(1.0), f.divide(offset, at.arguments[1])]
        }))
    }

    fn as_normal(&self) -> Option<Squash> {
        Some(Squash::Nothing)
    }
}
