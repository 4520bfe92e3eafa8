//! `Beta(a, b)`, scaled to the bounds of its domain.

use super::{Argument, At, Draw, Formula, Reach, RealFamily};
use crate::expr::ExprId;

/// With `y = (x − lo) / (hi − lo)`:
/// `log p(x) = (a − 1) log y + (b − 1) log(1 − y) − log B(a, b) − log(hi − lo)`
pub struct Beta;

impl RealFamily for Beta {
    fn name(&self) -> &'static str {
        "Beta"
    }

    fn arguments(&self) -> &'static [Argument] {
        &[Argument { name: "a", positive: true }, Argument { name: "b", positive: true }]
    }

    fn meaning(&self) -> &'static str {
        "reals with declared bounds, scaled to them"
    }

    fn reach(&self) -> Reach {
        Reach::Bounds
    }

    fn log_density(&self, f: &mut Formula, x: ExprId, at: &At) -> ExprId {
        let &[a, b] = at.arguments else { unreachable!("a Beta has two arguments") };
        let [above, below, width] = at.distances(f, x);
        let log_width = f.log(width);
        let [above, below] = [(a, above), (b, below)].map(|(argument, distance)| {
            let log = f.log(distance);
            let log = f.subtract(log, log_width);
            let power = f.plus(argument, -1.0);
            f.multiply(power, log)
        });
        let powers = f.add(above, below);
        let log_beta = log_beta(f, a, b);
        let log = f.subtract(powers, log_beta);
        f.subtract(log, log_width)
    }

    fn draw(&self) -> Draw {
        Draw::Sampled(|random, arguments, (lo, hi)| {
            match rand_distr::Beta::new(arguments[0], arguments[1]) {
                Ok(beta) => {
                    let y: f64 = rand_distr::Distribution::sample(&beta, random);
                    lo + (hi - lo) * y
                }
                Err(_) => f64::NAN,
            }
        })
    }

    /// The mean.
    fn centre(&self, f: &mut Formula, at: &At) -> ExprId {
        let &[a, b] = at.arguments else { unreachable!("a Beta has two arguments") };
        let (lo, hi) = at.bounds;
        let (sum, width) = (f.add(a, b), f.subtract(hi, lo));
        let share = f.divide(a, sum);
        let offset = f.multiply(width, share);
        f.add(lo, offset)
    }

    fn uniform(&self) -> Option<&'static [f64]> {
        Some(&[1.0, 1.0])
    }

    /// `log B(a, b) − (a − 1) ψ(a) − (b − 1) ψ(b) + (a + b − 2) ψ(a + b)
    /// + log(hi − lo)`
    fn entropy(&self, f: &mut Formula, at: &At) -> Option<ExprId> {
        let &[a, b] = at.arguments else { unreachable!("a Beta has two arguments") };
        let (lo, hi) = at.bounds;
        let sum = f.add(a, b);
        let [of_a, of_b, of_sum] = [(a, -1.0), (b, -1.0), (sum, -2.0)].map(|(x, less)| {
            let (factor, psi) = (f.plus(x, less), f.digamma(x));
            f.multiply(factor, psi)
        });
        let width = f.subtract(hi, lo);
        let (log_width, log_beta) = (f.log(width), log_beta(f, a, b));
        let (of_a, of_b) = (f.negate(of_a), f.negate(of_b));
        Some(f.sum(&[log_beta, of_a, of_b, of_sum, log_width]))
    }

    /// `log B(a_p, b_p) − log B(a_q, b_q) + (a_q − a_p) ψ(a_q) + (b_q − b_p) ψ(b_q)
    /// + (a_p − a_q + b_p − b_q) ψ(a_q + b_q)`
    fn divergence(&self, f: &mut Formula, q: &At, p: &At) -> Option<ExprId> {
        let (&[a_q, b_q], &[a_p, b_p]) = (q.arguments, p.arguments) else {
            unreachable!("a Beta has two arguments")
        };
        let (of_p, of_q) = (log_beta(f, a_p, b_p), log_beta(f, a_q, b_q));
        let (more_a, more_b) = (f.subtract(a_q, a_p), f.subtract(b_q, b_p));
        let (sum, more) = (f.add(a_q, b_q), f.add(more_a, more_b));
        let [of_a, of_b, of_sum] = [(more_a, a_q), (more_b, b_q), (more, sum)].map(|(by, x)| {
            let psi = f.digamma(x);
            f.multiply(by, psi)
        });
        let (of_q, of_sum) = (f.negate(of_q), f.negate(of_sum));
        Some(f.sum(&[of_p, of_q, of_a, of_b, of_sum]))
    }

    /// `ψ′(a) − ψ′(a + b)` and `ψ′(b) − ψ′(a + b)`, with `−ψ′(a + b)`
    /// between them
    fn fisher(&self, f: &mut Formula, at: &At) -> Option<Vec<ExprId>> {
        let &[a, b] = at.arguments else { unreachable!("a Beta has two arguments") };
        let sum = f.add(a, b);
        let [of_a, of_b, of_sum] = [a, b, sum].map(|x| f.trigamma(x));
        let between = f.negate(of_sum);
        Some(vec![f.subtract(of_a, of_sum), between, between, f.subtract(of_b, of_sum)])
    }
}

/// `log B(a, b) = log Γ(a) + log Γ(b) − log Γ(a + b)`
fn log_beta(f: &mut Formula, a: ExprId, b: ExprId) -> ExprId {
    let sum = f.add(a, b);
    let [of_a, of_b, of_sum] = [a, b, sum].map(|x| f.log_gamma(x));
    let both = f.add(of_a, of_b);
    f.subtract(both, of_sum)
}
