//! The bound with the exact reverse model against the bound and what its reverse model loses, and
//! against finite differences.

use super::exponentials::log_sum_exp;
use super::tests::{BOUND, random_logits, read};
use super::{Evaluator, ReverseModel};
use crate::finite::KernelTables;
use crate::model::{KernelId, Model};

const MANY: usize = 1_000_000;

/// Chance in the start and in the steps; what the options remember and what the reverse model reads
/// are up to the test.
fn options(horizon: usize, pick: &str, drawn: &str, auxiliary: &str) -> Model {
    read(&format!(
        "model m
         horizon T = {horizon}
         environment e {{
           state  s : 0..2
           action a : {{ left, right }}
           reward r in [-2, 0]
           s[1]   ~ Categorical(probs = [0.5, 0.3, 0.2])
           s[t+1] ~ Mixture(0.7: Delta(min(s[t] + a[t], 2)), 0.3: Delta(0))
           r[t]   = -0.5 * s[t+1] - 0.2 * a[t]
           end when s[t] == 2
         }}
         option o : 3
         kernel {pick}
         kernel pi(a | s, o) = Categorical(logits = table(s, o))
         kernel back(o | last: o?, s, a, next: s) = Categorical(logits = table(last, s, a, next))
         kernel ahead(o | next: o?, s, a) = Categorical(logits = table(next, s, a))
         prior {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior {{ s[1] ~ e.initial; o[t] ~ {drawn}; a[t] ~ pi(s[t], o[t]); s[t+1] ~ \
         e.transition(s[t], a[t]) }}
         {auxiliary}"
    ))
}

const PICK: &str = "pick(o | s, last: o?) = Categorical(logits = table(s, last))";

fn models() -> Vec<Model> {
    let [back, ahead] = [
        "auxiliary { o[t] ~ back(o[t-1], s[t], a[t], s[t+1]) }",
        "auxiliary { o[t] ~ ahead(o[t+1], s[t], a[t]) }",
    ];
    vec![
        options(3, PICK, "pick(s[t], o[t-1])", back),
        options(3, PICK, "pick(s[t], o[t-1])", ahead),
        options(3, "pick(o | s) = Categorical(logits = table(s))", "pick(s[t])", ahead),
    ]
}

#[test]
fn it_is_the_bound_and_what_the_reverse_model_loses() {
    for (model, seed) in models().iter().zip(1..) {
        let tables = random_logits(model, seed);
        let evaluator = Evaluator::new(model, BOUND);
        let bound = evaluator.evaluate(&tables).unwrap().bound;
        let lost =
            ReverseModel::new(model, BOUND, &tables).unwrap().divergence(MANY).unwrap().unwrap();
        let marginal = evaluator.marginal(&tables).unwrap().unwrap();
        assert!(
            lost > 0.01 && (marginal.bound - bound - lost).abs() < 1e-12,
            "{} {bound} {lost}",
            marginal.bound
        );
        let names: Vec<&str> =
            marginal.gradient.keys().map(|&kernel| model.kernel(kernel).name.as_str()).collect();
        assert_eq!(names, ["pick", "pi"], "the reverse model moves nothing");
    }
}

#[test]
fn its_gradient_is_that_of_finite_differences() {
    for (model, seed) in models().iter().zip(1..) {
        let tables = random_logits(model, seed);
        let evaluator = Evaluator::new(model, BOUND);
        let gradient = evaluator.marginal(&tables).unwrap().unwrap().gradient;
        let at = |tables: &KernelTables| evaluator.marginal(tables).unwrap().unwrap().bound;
        let (mut count, mut largest) = (0, 0.0f64);
        for (&kernel, gradient) in &gradient {
            for (entry, exact) in gradient.iter().enumerate() {
                let step = 1e-5;
                let slope = (at(&moved(&tables, kernel, entry, step))
                    - at(&moved(&tables, kernel, entry, -step)))
                    / (2.0 * step);
                assert!(
                    (slope - exact).abs() < 1e-8,
                    "{kernel:?} {entry}: {exact} against {slope}"
                );
                count += 1;
                largest = largest.max(exact.abs());
            }
        }
        assert!(count > 20 && largest > 0.01, "{count} {largest}");
    }
}

/// The tables with one logit moved.
fn moved(tables: &KernelTables, kernel: KernelId, entry: usize, by: f64) -> KernelTables {
    let mut tables = tables.clone();
    let table = tables.current.get_mut(&kernel).unwrap();
    table.log_probability[entry] += by;
    let from = entry / table.outcomes * table.outcomes;
    let row = &mut table.log_probability[from..from + table.outcomes];
    let norm = log_sum_exp(row);
    row.iter_mut().for_each(|log_q| *log_q -= norm);
    tables
}

/// Nothing is auxiliary: the same sum in another order, with a policy that the prior shares and one
/// that a likelihood reads.
#[test]
fn without_auxiliary_variables_it_is_the_bound() {
    let plain = |prior: &str, likelihood: &str| {
        read(&format!(
            "model m
             horizon T = 4
             environment e {{
               state  s : 0..2
               action a : {{ left, right }}
               reward r in [-2, 0]
               s[1]   ~ Categorical(probs = [0.5, 0.3, 0.2])
               s[t+1] ~ Mixture(0.7: Delta(min(s[t] + a[t], 2)), 0.3: Delta(0))
               r[t]   = -0.5 * s[t+1] - 0.2 * a[t]
               end when s[t] == 2
             }}
             kernel pi(a | s, t) = Categorical(logits = table(s, t))
             kernel guess(s | first: s) = Categorical(logits = table(first))
             prior {{ s[1] ~ e.initial; a[t] ~ {prior}; s[t+1] ~ e.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]); {likelihood} }}
             posterior {{ s[1] ~ e.initial; a[t] ~ pi(s[t], t); s[t+1] ~ e.transition(s[t], a[t]) \
             }}"
        ))
    };
    for (prior, likelihood) in
        [("Uniform", ""), ("pi(s[t], t)", ""), ("Uniform", "G[T] ~ guess(s[T+1] | s[1])")]
    {
        let model = plain(prior, likelihood);
        let tables = random_logits(&model, 3);
        let evaluator = Evaluator::new(&model, BOUND);
        let (bound, marginal) =
            (evaluator.evaluate(&tables).unwrap(), evaluator.marginal(&tables).unwrap().unwrap());
        assert!((bound.bound - marginal.bound).abs() < 1e-12, "{} {}", bound.bound, marginal.bound);
        assert!(bound.gradient.keys().eq(marginal.gradient.keys()) && !bound.gradient.is_empty());
        for (one, other) in
            bound.gradient.values().flatten().zip(marginal.gradient.values().flatten())
        {
            assert!((one - other).abs() < 1e-12, "{one} {other}");
        }
    }
}

/// An ascent that stepped too far has to be told so.
#[test]
fn what_is_not_a_number_is_refused() {
    for model in models() {
        let mut tables = random_logits(&model, 1);
        tables.current.values_mut().for_each(|table| table.log_probability.fill(f64::NAN));
        assert!(Evaluator::new(&model, BOUND).marginal(&tables).is_err());
    }
}
