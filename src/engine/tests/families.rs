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
        let seeds = 12;
        let mut found = vec![Vec::new(); 2];
        for seed in 0..seeds {
            let run = infer(&planned(&model(family, seed)), &mut ()).expect("a policy that trains");
            // a table of both states each, of which one is seen; they begin at 0
            let values = run.parameters.values();
            values.chunks_exact(2).zip(&mut found).for_each(|(table, found)| found.push(table[0]));
        }
        for ((found, wanted), at) in found.iter().zip(wanted).zip(0..) {
            let count = f64::from(seeds as u32);
            let mean = found.iter().sum::<f64>() / count;
            let variance = found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
            let error = (variance / count).sqrt();
            assert!(
                (mean - wanted).abs() < 4.0 * error + 1e-6,
                "{family:?} {at}: {mean} ± {error}, {wanted}"
            );
        }
    }
}
