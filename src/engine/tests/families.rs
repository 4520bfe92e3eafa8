//! Every family over real numbers as a policy: the gradient that trains it is the slope of the
//! bound, by quadrature.

use super::testing::planned;
use crate::engine::infer;
use crate::expr::{Graph, InputId};
use crate::family::{At, FAMILIES, Family, Formula, Reach};

const BOUNDS: (f64, f64) = (-1.0, 2.0);
/// What a table of zeros stands for.
const START: [f64; 2] = [1.3, 0.8];
const PRIOR: [f64; 2] = [1.1, 1.2];

/// One action, a reward that falls with its distance from 0.4, and a policy whose arguments are
/// numbers of their own.
fn model(family: Family, seed: u64) -> String {
    let name = |at: usize| family.arguments()[at].name;
    let learned = |at: usize| match family.arguments()[at].positive {
        true => format!("{} = {} * exp(table(s))", name(at), START[at]),
        false => format!("{} = {} + table(s)", name(at), START[at]),
    };
    let domain = match family.reach() {
        Reach::Line => "real".to_owned(),
        Reach::Bounds => format!("real in [{}, {}]", BOUNDS.0, BOUNDS.1),
    };
    format!(
        "model one
         horizon T = 1
         environment line {{
           state s : 0..1; action a : {domain}; reward r
           s[1] ~ Delta(0)
           s[t+1] ~ Delta(0)
           r[t] = -abs(a[t] - 0.4)
         }}
         kernel pi(a | s) = {family:?}({}, {})
         prior {{ s[1] ~ line.initial; a[t] ~ {family:?}({} = {}, {} = {})
                  s[t+1] ~ line.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior {{ s[1] ~ line.initial; a[t] ~ pi(s[t])
                      s[t+1] ~ line.transition(s[t], a[t]) }}
         infer {{ trajectories = 2000; steps = 1; optimizer = sgd(rate = 1); seed = {seed}
                  precision = f64; baseline = none }}",
        learned(0),
        learned(1),
        name(0),
        PRIOR[0],
        name(1),
        PRIOR[1],
    )
}

/// `E_q[r + log p − log q]` by the midpoint rule.
fn bound(family: Family, q: [f64; 2]) -> f64 {
    let mut graph = Graph::default();
    let ids: Vec<_> = (0..7).map(|at| graph.input(InputId(at))).collect();
    let mut f = Formula::new(&mut graph);
    let bounds = (ids[5], ids[6]);
    let roots = [0, 2].map(|first| {
        family.log_density(&mut f, ids[4], &At { arguments: &ids[first..first + 2], bounds })
    });
    let (count, reach) = (20_000, 30.0);
    let step = 2.0 * reach / f64::from(count);
    (0..count)
        .map(|k| {
            let z = -reach + (f64::from(k) + 0.5) * step;
            let (x, slope) = match family.reach() {
                Reach::Line => (z, 1.0),
                Reach::Bounds => {
                    let y = 1.0 / (1.0 + (-z).exp());
                    (BOUNDS.0 + (BOUNDS.1 - BOUNDS.0) * y, (BOUNDS.1 - BOUNDS.0) * y * (1.0 - y))
                }
            };
            let values = [q[0], q[1], PRIOR[0], PRIOR[1], x, BOUNDS.0, BOUNDS.1];
            let [log_q, log_p] =
                roots.map(|root| graph.evaluate(root, &[], &|at| values[at.0 as usize], 1.0));
            let mass = log_q.exp() * slope * step;
            if mass > 0.0 { mass * (-(x - 0.4).abs() + log_p - log_q) } else { 0.0 }
        })
        .sum()
}

/// The means of what a step of stochastic gradient ascent at rate 1 adds to each table's first
/// number, over seeds, and their standard errors.
fn steps(text: impl Fn(u64) -> String, tables: usize) -> Vec<(f64, f64)> {
    let seeds = 12;
    let mut found = vec![Vec::new(); tables];
    for seed in 0..seeds {
        let run = infer(&planned(&text(seed)), &mut ()).expect("a policy that trains");
        // a table of both states each, of which one is seen; they begin at 0
        let values = run.parameters.values();
        values.chunks_exact(2).zip(&mut found).for_each(|(table, found)| found.push(table[0]));
    }
    let moments = |found: &Vec<f64>| {
        let count = found.len() as f64;
        let mean = found.iter().sum::<f64>() / count;
        let variance = found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, (variance / count).sqrt())
    };
    found.iter().map(moments).collect()
}

#[test]
fn the_gradient_of_a_policy_is_the_slope_of_the_bound() {
    for family in FAMILIES {
        let h = 1e-4;
        let wanted = [0, 1].map(|at| {
            let (mut more, mut less) = (START, START);
            more[at] += h;
            less[at] -= h;
            let slope = (bound(family, more) - bound(family, less)) / (2.0 * h);
            // of the table's number, which is a factor's logarithm or is added
            if family.arguments()[at].positive { START[at] * slope } else { slope }
        });
        let found = steps(|seed| model(family, seed), 2);
        for ((mean, error), wanted) in found.into_iter().zip(wanted) {
            assert!(
                (mean - wanted).abs() < 4.0 * error + 1e-6,
                "{family:?}: {mean} ± {error}, {wanted}"
            );
        }
    }
}

/// The log-density of a normal.
fn log_normal(x: f64, mean: f64, sd: f64) -> f64 {
    let z = (x - mean) / sd;
    -0.5 * z * z - sd.ln() - 0.5 * std::f64::consts::TAU.ln()
}

#[test]
fn the_gradient_of_a_mixture_is_the_slope_of_the_bound() {
    let text = |seed: u64| {
        format!(
            "model one
             horizon T = 1
             environment line {{
               state s : 0..1; action a : real; reward r
               s[1] ~ Delta(0)
               s[t+1] ~ Delta(0)
               r[t] = -abs(a[t] - 0.4)
             }}
             kernel pi(a | s) = Mixture(
               0.3: Normal(mean = 0.5 + table(s), sd = 0.8 * exp(table(s))),
               0.7: Normal(mean = -0.7 + table(s), sd = 0.5 * exp(table(s))))
             prior {{ s[1] ~ line.initial; a[t] ~ Normal(mean = 0, sd = 1.2)
                      s[t+1] ~ line.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior {{ s[1] ~ line.initial; a[t] ~ pi(s[t])
                          s[t+1] ~ line.transition(s[t], a[t]) }}
             infer {{ trajectories = 2000; steps = 1; optimizer = sgd(rate = 1); seed = {seed}
                      precision = f64; baseline = none; epochs = 1 }}"
        )
    };
    let bound = |q: [f64; 4]| -> f64 {
        let step = 1e-3;
        (-12_000..12_000)
            .map(|k| {
                let x = (f64::from(k) + 0.5) * step;
                let parts = [(0.3, q[0], q[1]), (0.7, q[2], q[3])];
                let density: f64 =
                    parts.iter().map(|(w, mean, sd)| w * log_normal(x, *mean, *sd).exp()).sum();
                let reward = -(x - 0.4).abs();
                if density > 0.0 {
                    step * density * (reward + log_normal(x, 0.0, 1.2) - density.ln())
                } else {
                    0.0
                }
            })
            .sum()
    };
    let start = [0.5, 0.8, -0.7, 0.5];
    let found = steps(text, 4);
    for (at, (mean, error)) in found.into_iter().enumerate() {
        let (mut more, mut less) = (start, start);
        more[at] += 1e-4;
        less[at] -= 1e-4;
        let slope = (bound(more) - bound(less)) / 2e-4;
        // the table of a deviation is its factor's logarithm
        let wanted = if at % 2 == 1 { start[at] * slope } else { slope };
        assert!((mean - wanted).abs() < 4.0 * error + 1e-6, "{at}: {mean} ± {error}, {wanted}");
    }
}

#[test]
fn batches_of_any_family_are_used_again() {
    for policy in [
        "Laplace(mean = linear(s), scale = 0.1 + softplus(linear(s)))",
        "Mixture(0.5: Normal(mean = linear(s), sd = 0.5), 0.5: Normal(mean = linear(s), sd = 1))",
    ] {
        let text = format!(
            "model line
             horizon T = 4
             environment line {{
               state s : real; action a : real; reward r
               s[1] ~ Normal(mean = 0, sd = 1)
               s[t+1] ~ Normal(mean = s[t] + 0.5 * a[t], sd = 0.1)
               r[t] = -abs(s[t+1])
             }}
             kernel pi(a | s) = {policy}
             prior {{ s[1] ~ line.initial; a[t] ~ Normal(mean = 0, sd = 1)
                      s[t+1] ~ line.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(2 * r[t]) }}
             posterior {{ s[1] ~ line.initial; a[t] ~ pi(s[t])
                          s[t+1] ~ line.transition(s[t], a[t]) }}
             infer {{ trajectories = 64; steps = STEPS; optimizer = adam(rate = 0.02); seed = 3
                      epochs = 3; minibatch = 64; clip_ratio = 0.2 }}"
        );
        let bound = |steps: &str| {
            let plan = planned(&text.replace("STEPS", steps));
            let run = infer(&plan, &mut ()).expect("a policy that trains");
            (run.evaluation.bound, run.evaluation.bound_se)
        };
        let ((before, _), (after, error)) = (bound("0"), bound("60"));
        assert!(after > before + 4.0 * error, "{policy}: {before}, {after} ± {error}");
    }
}

#[test]
fn what_is_no_normal_moves_through_draws_as_by_its_score() {
    let text = |estimator: &str, seed: u64| {
        format!(
            "model dream
             horizon T = 3
             hidden environment line {{
               state s : real; action a : real; reward r in [-1, 0]
               s[1] ~ Normal(mean = 0, sd = 1)
               s[t+1] ~ Normal(mean = 0.8 * s[t] + 0.5 * a[t], sd = 0.3)
               r[t] = -min(1, s[t+1] * s[t+1] / 4)
             }}
             kernel pi(a | s) = Laplace(mean = 0.3 + linear(s), scale = 0.8)
             kernel world(s' | s, a) = Normal(
               mean = 0.7 * s + 0.6 * a, sd = 0.2 + softplus(linear(1)))
             bound fit {{
               prior {{ s[1] ~ line.initial; a[t] ~ Laplace(mean = 0, scale = 1)
                        s[t+1] ~ world(s[t], a[t]) }}
               posterior {{ s[1] ~ line.initial; a[t] ~ pi(s[t])
                            s[t+1] ~ line.transition(s[t], a[t]) }}
             }}
             bound act {{
               prior {{ s[1] ~ line.initial; a[t] ~ Laplace(mean = 0, scale = 1)
                        s[t+1] ~ world(s[t], a[t]) }}
               likelihood {{ R[t] ~ exp(4 * r[t]) }}
               posterior {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }}
             }}
             infer {{ maximize fit over world
                      maximize act over pi, world{estimator}
                      trajectories = 4000; steps = 1; optimizer = sgd(rate = 1); seed = {seed}
                      precision = f64 }}"
        )
    };
    let pairs: Vec<(f64, f64)> = (0..10)
        .map(|seed| {
            let of = |estimator: &str| {
                let plan = planned(&text(estimator, seed));
                let before = crate::engine::Parameters::<f64>::initial(&plan.model, seed);
                let run = infer(&plan, &mut ()).expect("a policy that trains");
                // the weight of the policy's mean, which stands first and differs by seed
                run.parameters.values()[0] - before.values()[0]
            };
            (of(" (estimator = pathwise)"), of(""))
        })
        .collect();
    let count = pairs.len() as f64;
    let mean = pairs.iter().map(|(one, other)| one - other).sum::<f64>() / count;
    let variance =
        pairs.iter().map(|(one, other)| (one - other - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let error = (variance / count).sqrt();
    let size = pairs.iter().map(|(_, other)| other.abs()).sum::<f64>() / count;
    assert!(mean.abs() < 4.0 * error, "{mean} ± {error} of {size}: {pairs:?}");
    assert!(size > 4.0 * error, "{size} is nothing to compare, at ± {error}");
}

#[test]
fn records_of_normals_and_uniforms_in_place_are_drawn() {
    let text = "model line
             horizon T = 4
             environment line {
               state s : real; action a : real in [-1, 3]
               action b : { x: real, y: real }; reward r in [-1, 0]
               s[1] ~ Normal(mean = 0, sd = 1)
               s[t+1] ~ Normal(mean = s[t] + a[t] - 1 - b[t].x, sd = 0.1)
               r[t] = 0
             }
             kernel pi(b | s) = {
               x: Normal(mean = 0.2, sd = 0.5 * exp(linear(0 * s))),
               y: Normal(mean = -0.1, sd = 0.3 * exp(linear(0 * s))) }
             prior { s[1] ~ line.initial; a[t] ~ Beta(a = 2, b = 2)
                      b[t] ~ { x: Normal(mean = 0, sd = 1), y: Normal(mean = 0, sd = 1) }
                      s[t+1] ~ line.transition(s[t], a[t], b[t]) }
             likelihood { R[t] ~ exp(r[t]) }
             posterior { s[1] ~ line.initial; a[t] ~ Uniform; b[t] ~ pi(s[t])
                          s[t+1] ~ line.transition(s[t], a[t], b[t]) }
             infer { trajectories = 8; steps = 0; precision = f64 }";
    // KL(Uniform ‖ Beta(2, 2)) = E[−log 6y(1 − y)] = 2 − log 6, and that of the normals
    let normal = |mean: f64, sd: f64| 0.5 * (sd * sd + mean * mean - 1.0) - sd.ln();
    let wanted = -4.0 * (2.0 - 6f64.ln() + normal(0.2, 0.5) + normal(-0.1, 0.3));
    let run = infer(&planned(text), &mut ()).expect("a policy that trains");
    let (found, error) = (run.evaluation.bound, run.evaluation.bound_se);
    assert!((found - wanted).abs() < 4.0 * error + 1e-9, "{found} ± {error}, {wanted}");
}
