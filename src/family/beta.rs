//! `Beta(a, b)`, scaled to the bounds of its domain.

use super::{Argument, At, Draw, Formula, LEAST, Path, Reach, RealFamily};
use crate::expr::{ExprId, polygamma};

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

    /// By the distribution function; `1 − y` has that of the arguments in turn.
    fn path(&self) -> Option<Path> {
        Some(Path::Computed(|x, arguments, (lo, hi)| {
            let (a, b, width) = (arguments[0], arguments[1], hi - lo);
            let [above, below] = [x - lo, hi - x].map(|distance| (distance / width).max(LEAST));
            vec![
                width * slope_in_first((a, b), (above, below)),
                -width * slope_in_first((b, a), (below, above)),
            ]
        }))
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

/// `∂y/∂a = −∂F/∂a / p(y)` of a draw `y`, which lies so far above 0 and below 1. With
/// `y = σ(u)` and `h(u) = a log y + b log(1 − y)`, up to the constant that both have:
///
/// `∂F/∂a / p(y) = y (1 − y) ∫_{v ≤ u} e^(h(v) − h(u)) (log σ(v) − ψ(a) + ψ(a + b)) dv`
///
/// The integral over all `v` is 0: it is taken on the side on which `h` falls from `u` on.
fn slope_in_first((a, b): (f64, f64), (above, below): (f64, f64)) -> f64 {
    let softplus = |x: f64| if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() };
    let u = (above / below).ln();
    let h = |v: f64| -a * softplus(-v) - b * softplus(v);
    let (at_u, mean_log) = (h(u), polygamma(0, a) - polygamma(0, a + b));
    // it falls to the left of u where it rises there
    let side = if a * below >= b * above { -1.0 } else { 1.0 };
    let integrand = |distance: f64| {
        let v = u + side * distance;
        (h(v) - at_u).exp() * (-softplus(-v) - mean_log)
    };
    let (mut sum, mut from) = (0.0, 0.0);
    let mut width = (1.0 / ((a + b) * above * below).sqrt()).min(1.0);
    while h(u + side * from) - at_u > -42.0 {
        sum += legendre(&integrand, from, from + width);
        from += width;
        width *= 2.0;
    }
    side * above * below * sum
}

/// `∫ f` between two points, by Gauss and Legendre's rule of 16 points.
fn legendre(f: &impl Fn(f64) -> f64, from: f64, to: f64) -> f64 {
    const RULE: [(f64, f64); 8] = [
        (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
        (0.281_603_550_779_258_9, 0.182_603_415_044_923_6),
        (0.458_016_777_657_227_4, 0.169_156_519_395_002_5),
        (0.617_876_244_402_643_8, 0.149_595_988_816_576_7),
        (0.755_404_408_355_003, 0.124_628_971_255_533_9),
        (0.865_631_202_387_831_8, 0.095_158_511_682_492_8),
        (0.944_575_023_073_232_6, 0.062_253_523_938_647_9),
        (0.989_400_934_991_649_9, 0.027_152_459_411_754_1),
    ];
    let (middle, half) = (0.5 * (from + to), 0.5 * (to - from));
    let pair = |&(x, weight): &(f64, f64)| weight * (f(middle - half * x) + f(middle + half * x));
    half * RULE.iter().map(pair).sum::<f64>()
}
