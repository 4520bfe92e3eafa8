//! `Uniform(lo, hi)` between bounds of its own, which a kernel without parameters may draw from:
//! what it can draw moves with its bounds, so that it has no score.

use super::{Argument, At, Draw, Formula, Reach, RealFamily};
use crate::expr::ExprId;

/// `log p(x) = −log(hi − lo)`
pub struct Between;

/// `log(hi − lo)`
fn log_width(f: &mut Formula, at: &At) -> ExprId {
    let width = f.subtract(at.arguments[1], at.arguments[0]);
    f.log(width)
}

impl RealFamily for Between {
    fn name(&self) -> &'static str {
        "Uniform"
    }

    fn arguments(&self) -> &'static [Argument] {
        &[Argument { name: "lo", positive: false }, Argument { name: "hi", positive: false }]
    }

    fn meaning(&self) -> &'static str {
        "a box of reals"
    }

    fn reach(&self) -> Reach {
        Reach::Line
    }

    fn log_density(&self, f: &mut Formula, _x: ExprId, at: &At) -> ExprId {
        let log = log_width(f, at);
        f.negate(log)
    }

    fn draw(&self) -> Draw {
        Draw::OfUniform(|f, u, at| {
            let width = f.subtract(at.arguments[1], at.arguments[0]);
            let part = f.multiply(u, width);
            f.add(at.arguments[0], part)
        })
    }

    fn centre(&self, f: &mut Formula, at: &At) -> ExprId {
        let sum = f.add(at.arguments[0], at.arguments[1]);
        f.times(0.5, sum)
    }

    fn entropy(&self, f: &mut Formula, at: &At) -> Option<ExprId> {
        Some(log_width(f, at))
    }
}
