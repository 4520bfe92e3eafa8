//! Each family held against quadrature of its own density, and against its own draws.

use super::{At, Draw, FAMILIES, Family, Formula, Path, Reach};
use crate::expr::{ExprId, Graph, InputId};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Two sets of arguments that every family takes.
const ARGUMENTS: [[f64; 2]; 2] = [[1.3, 0.8], [2.1, 1.7]];
const BOUNDS: (f64, f64) = (-2.0, 3.0);

/// The value of a formula at the arguments `q` and `p`, and at `x`.
fn value(
    (q, p, x): ([f64; 2], [f64; 2], f64),
    formula: impl FnOnce(&mut Formula, &At, &At, ExprId) -> ExprId,
) -> f64 {
    let mut graph = Graph::default();
    let inputs: Vec<ExprId> = (0..7).map(|at| graph.input(InputId(at))).collect();
    let bounds = (inputs[5], inputs[6]);
    let (of_q, of_p) =
        (At { arguments: &inputs[..2], bounds }, At { arguments: &inputs[2..4], bounds });
    let root = formula(&mut Formula::new(&mut graph), &of_q, &of_p, inputs[4]);
    let values = [q[0], q[1], p[0], p[1], x, BOUNDS.0, BOUNDS.1];
    graph.evaluate(root, &[], &|input| values[input.0 as usize], 1.0)
}

fn log_density(family: Family, of: [f64; 2], x: f64) -> f64 {
    value((of, of, x), |f, at, _, x| family.log_density(f, x, at))
}

/// `∫ p(x) g(x) dx` by the midpoint rule in a variable in which the ends are far away.
fn mean(family: Family, of: [f64; 2], g: impl Fn(f64) -> f64) -> f64 {
    let (count, reach) = (40_000, 40.0);
    let step = 2.0 * reach / f64::from(count);
    let at = |k: i32| -reach + (f64::from(k) + 0.5) * step;
    (0..count)
        .map(|k| {
            let z = at(k);
            let (x, slope) = match family.reach() {
                Reach::Line => (z, 1.0),
                Reach::Bounds => {
                    let y = 1.0 / (1.0 + (-z).exp());
                    (BOUNDS.0 + (BOUNDS.1 - BOUNDS.0) * y, (BOUNDS.1 - BOUNDS.0) * y * (1.0 - y))
                }
            };
            let p = log_density(family, of, x).exp();
            if slope == 0.0 || p == 0.0 || !p.is_finite() { 0.0 } else { p * g(x) * slope * step }
        })
        .sum()
}

#[test]
fn densities_integrate_to_one() {
    for family in FAMILIES {
        for of in ARGUMENTS {
            let whole = mean(family, of, |_| 1.0);
            assert!((whole - 1.0).abs() < 1e-6, "{family:?}{of:?}: {whole}");
        }
    }
}

#[test]
fn entropies_and_divergences_are_those_of_the_density() {
    for family in FAMILIES {
        let [q, p] = ARGUMENTS;
        if family.has_entropy() {
            let exact = value((q, p, 0.0), |f, at, _, _| family.entropy(f, at).unwrap());
            let found = -mean(family, q, |x| log_density(family, q, x));
            assert!((exact - found).abs() < 1e-5, "{family:?}: {exact}, {found}");
        }
        if family.has_divergence() {
            let exact = value((q, p, 0.0), |f, q, p, _| family.divergence(f, q, p).unwrap());
            let found = mean(family, q, |x| log_density(family, q, x) - log_density(family, p, x));
            assert!((exact - found).abs() < 1e-5, "{family:?}: {exact}, {found}");
        }
    }
}

#[test]
fn the_fisher_information_is_the_variance_of_scores() {
    let h = 1e-5;
    let slope = |family: Family, of: [f64; 2], at: usize, x: f64| {
        let (mut more, mut less) = (of, of);
        more[at] += h;
        less[at] -= h;
        (log_density(family, more, x) - log_density(family, less, x)) / (2.0 * h)
    };
    for family in FAMILIES.into_iter().filter(|family| family.has_fisher()) {
        let of = ARGUMENTS[1];
        for k in 0..4 {
            let exact = value((of, of, 0.0), |f, at, _, _| family.fisher(f, at).unwrap()[k]);
            let found =
                mean(family, of, |x| slope(family, of, k / 2, x) * slope(family, of, k % 2, x));
            assert!((exact - found).abs() < 1e-3, "{family:?} {k}: {exact}, {found}");
        }
    }
}

#[test]
fn draws_have_the_density() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    let count = 40_000;
    for family in FAMILIES {
        let of = ARGUMENTS[1];
        let draws: Vec<f64> = (0..count)
            .map(|_| match family.draw() {
                Draw::OfNormal(of_noise) => {
                    let noise = StandardNormal.sample(&mut random);
                    value((of, of, noise), |f, at, _, e| of_noise(f, e, at))
                }
                Draw::OfUniform(of_noise) => {
                    let noise = StandardUniform.sample(&mut random);
                    value((of, of, noise), |f, at, _, u| of_noise(f, u, at))
                }
                Draw::Sampled(sample) => sample(&mut random, &of, BOUNDS),
            })
            .collect();
        // `tanh` of the draw: bounded, and not symmetric about the middle of any of them
        let g = |x: f64| (x - 0.5).tanh();
        let found = draws.iter().map(|&x| g(x)).sum::<f64>() / f64::from(count);
        let exact = mean(family, of, g);
        let variance = mean(family, of, |x| g(x) * g(x)) - exact * exact;
        let error = (variance / f64::from(count)).sqrt();
        assert!((found - exact).abs() < 4.0 * error, "{family:?}: {found}, {exact} ± {error}");
    }
}

/// `d E[g(x)] = E[g′(x) dx]` where draws move with the arguments while their noise stands still.
#[test]
fn draws_move_as_their_means_do() {
    let (g, slope) = (|x: f64| (1.3 * x).sin(), |x: f64| 1.3 * (1.3 * x).cos());
    for family in FAMILIES {
        let Some(path) = family.path() else { continue };
        for of in ARGUMENTS {
            for at in 0..2 {
                let moved = |x: f64| match path {
                    Path::Formula(path) => {
                        value((of, of, x), |f, own, _, x| path(f, x, own).swap_remove(at))
                    }
                    Path::Computed(path) => path(x, &of, BOUNDS)[at],
                };
                let by = |by: f64| {
                    let mut of = of;
                    of[at] += by;
                    mean(family, of, g)
                };
                let (h, found) = (1e-4, mean(family, of, |x| slope(x) * moved(x)));
                let wanted = (by(h) - by(-h)) / (2.0 * h);
                assert!(
                    (found - wanted).abs() < 1e-6,
                    "{family:?}{of:?} {at}: {found} is not {wanted}"
                );
            }
        }
    }
}
