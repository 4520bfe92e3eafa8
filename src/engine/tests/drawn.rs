//! What is drawn composes: policies and options over finite values that are made of others, by all
//! trajectories of small models, against the oracle; records of real and finite parts, by
//! quadrature.

use super::listed::{SIZES, Seen, assert_unbiased};
use super::testing::planned;
use crate::engine::infer;
use crate::expr::{Graph, InputId};
use crate::family::{At, Family, Formula};

/// A walker that moves and may carry; `kernels` and `action` say how it acts.
fn walker(kernels: &str, prior: &str, action: &str, rest: &str) -> String {
    format!(
        "model walker
         horizon T = 2
         environment e {{
           state s : 0..2
           action a : {{ go: {{ left, stay, right }}, carry: bool }}
           reward r in [-3, 0]
           s[1]   ~ Categorical(probs = [0.6, 0.4, 0])
           s[t+1] ~ Mixture(0.7: Delta(clamp(s[t] + a[t].go - 1, 0, 2)), 0.3: Delta(0))
           r[t]   = -0.4 * a[t].carry - abs(s[t+1] - 1) - 0.2 * a[t].carry * a[t].go
         }}
         {kernels}
         prior      {{ s[1] ~ e.initial; {prior}; s[t+1] ~ e.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior  {{ s[1] ~ e.initial; {action}; s[t+1] ~ e.transition(s[t], a[t]) }}
         {rest}
         infer {{ trajectories = 4; threads = 1; precision = f64 }}"
    )
}

/// Policies of the walker.
const POLICIES: [&str; 11] = [
    "{ go: Categorical(logits = table(s)), carry: Bernoulli(logits = table(s)) }",
    "{ go: Categorical(probs = [0.2, 0.3, 0.5]), carry: Bernoulli(probs = sigmoid(table(s))) }",
    "{ go: Delta(if s == 0 then 2 else 0), carry: Bernoulli(logits = table(s)) }",
    "{ go: Uniform, carry: Bernoulli(logits = linear(s)) }",
    "{ go: Mixture(0.25: Uniform(over = [0, 2]), 0.75: Categorical(logits = table(s))), carry: \
     Mixture(0.5: Delta(true), 0.5: Bernoulli(logits = table(s))) }",
    "Mixture(sigmoid(table(s)): Categorical(logits = table(s)), 1 - sigmoid(table(s)): { go: \
     Categorical(logits = table(s)), carry: Delta(false) })",
    "Mixture(0.2: Uniform, 0.8: Delta({ go: 2, carry: true }), exp(table(s)): Categorical(logits \
     = mlp(s, hidden = [3])))",
    "if s == 1 then { go: Delta(1), carry: Bernoulli(logits = table(s)) } else Categorical(logits \
     = table(s))",
    "Categorical(probs = [1, 2, 3, 1, 2, 3] * exp(table(s)))",
    "{ go: Categorical(logits = table(s)), carry: if s == 0 then Bernoulli(probs = 1) else \
     Bernoulli(logits = table(s)) }",
    "{ go: Categorical(logits = table(s)), carry: Bernoulli(probs = sigmoid(60 + table(s))) }",
];

#[test]
fn policies_over_finite_values_compose() {
    let mut seen = Seen::default();
    for policy in POLICIES {
        let kernel = format!("kernel pi(a | s) = {policy}");
        let text = walker(&kernel, "a[t] ~ Uniform", "a[t] ~ pi(s[t])", "");
        assert_unbiased(policy, &text, &SIZES, &mut seen);
    }
    assert_eq!(seen.by_oracle, POLICIES.len() * SIZES.len());
}

#[test]
fn priors_of_composed_policies_compose() {
    let pi = "kernel pi(a | s) = { go: Categorical(logits = table(s)), carry: Bernoulli(logits = \
              table(s)) }";
    let own = "kernel habit(a | s) = { go: Categorical(logits = table(s)), carry: Mixture(0.5: \
               Uniform, 0.5: Bernoulli(logits = table(s))) }";
    let fixed = "kernel habit(a | s) = { go: Categorical(probs = [0.2, 0.3, 0.5]), carry: \
                 Mixture(0.5: Uniform, 0.5: Bernoulli(probs = 0.9)) }";
    let mut seen = Seen::default();
    let in_place = "a[t] ~ { go: Uniform, carry: Bernoulli(probs = 0.1 + 0.2 * s[t]) }";
    for (habit, prior) in [
        (own, "a[t] ~ habit(s[t])"),
        (fixed, "a[t] ~ habit(s[t])"),
        ("", in_place),
        ("", "a[t] ~ previous pi(s[t])"),
    ] {
        let kernels = format!("{pi}\n{habit}");
        let text = walker(&kernels, prior, "a[t] ~ pi(s[t])", "");
        assert_unbiased(&format!("{prior}, {habit}"), &text, &SIZES, &mut seen);
    }
    assert_eq!(seen.by_oracle, 4 * SIZES.len());
}

#[test]
fn options_over_finite_values_compose() {
    let mut seen = Seen::default();
    let picks = [
        "{ goal: Categorical(logits = table(s)), patient: Bernoulli(logits = table(s)) }",
        "Mixture(0.5: Uniform, 0.5: Categorical(logits = table(s)))",
        "Sticky(last, keep = sigmoid(table(s)), fresh = { goal: Categorical(logits = table(s)), \
         patient: Bernoulli(logits = table(s)) })",
        "Mixture(0.3: Sticky(last, keep = sigmoid(table(s)), fresh = Uniform), 0.7: \
         Categorical(logits = table(s)))",
    ];
    for pick in picks {
        let kernels = format!(
            "option o : {{ goal: 0..1, patient: bool }}
             kernel pi(a | s, o) = {{ go: Categorical(logits = table(s, o)), carry: \
             Bernoulli(logits = linear(o)) }}
             kernel pick(o | s, last: o?) = {pick}
             kernel back(o | s, next: s) = Categorical(logits = table(s, next))"
        );
        let action = "o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t])";
        let auxiliary = "auxiliary { o[t] ~ back(s[t], s[t+1]) }";
        let text = walker(&kernels, "a[t] ~ Uniform", action, auxiliary);
        assert_unbiased(pick, &text, &[1.0], &mut seen);
    }
    assert_eq!((seen.by_oracle, seen.summed), (4, 4));
}

/// A chain of three states with a memory; `posterior` says what a step draws.
fn chain(kernels: &str, posterior: &str, rest: &str) -> String {
    format!(
        "model chain
         horizon T = 3
         environment e {{
           state s : 0..2
           action a : {{ left, right }}
           reward r in [-2, 0]
           s[1]   ~ Categorical(probs = [0.6, 0.4, 0])
           s[t+1] ~ Mixture(0.7: Delta(min(s[t] + a[t], 2)), 0.3: Uniform)
           r[t]   = -0.3 * a[t] - abs(s[t+1] - 1)
         }}
         {kernels}
         prior      {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior  {{ s[1] ~ e.initial; {posterior} }}
         {rest}
         infer {{ trajectories = 4; threads = 1; precision = f64 }}"
    )
}

#[test]
fn a_step_draws_in_any_order_that_its_reads_allow() {
    let kernels = "option o : 2
        kernel pi(a | s, last: o?) = Categorical(logits = table(s, last))
        kernel note(o | s, a, last: o?) = Sticky(last, keep = sigmoid(table(s)), fresh = \
        Categorical(logits = table(s, a)))
        kernel back(o | s, next: s) = Categorical(logits = table(s, next))";
    let posterior = "a[t] ~ pi(s[t], o[t-1]); o[t] ~ note(s[t], a[t], o[t-1]); s[t+1] ~ \
                     e.transition(s[t], a[t])";
    let text = chain(kernels, posterior, "auxiliary { o[t] ~ back(s[t], s[t+1]) }");
    let mut seen = Seen::default();
    assert_unbiased("a memory", &text, &SIZES, &mut seen);
    assert_eq!(seen.by_oracle, SIZES.len());
    // a window that ends at its own step
    let kernels = "option o : 2
        kernel pi(a | s, o[2]?) = Categorical(logits = table(s) + mlp(o, hidden = [3]))
        kernel note(o | s, last: o?) = Categorical(logits = table(s, last))
        kernel back(o | s, next: s) = Categorical(logits = table(s, next))";
    let posterior = "o[t] ~ note(s[t], o[t-1]); a[t] ~ pi(s[t], o[t-1..t]); s[t+1] ~ \
                     e.transition(s[t], a[t])";
    let text = chain(kernels, posterior, "auxiliary { o[t] ~ back(s[t], s[t+1]) }");
    assert_unbiased("a window", &text.replace("T = 3", "T = 2"), &SIZES, &mut seen);
}

#[test]
fn an_option_begins_by_one_kernel_and_goes_on_by_another() {
    let kernels = "option o : 2
        kernel start(o | s) = Categorical(logits = table(s))
        kernel next(o | last: o, before: s, s, a) = Categorical(logits = table(last, before, s) + \
        linear(a))
        kernel pi(a | s, o, first: o) = Categorical(logits = table(s, o) + table(first))";
    let posterior = "o[1] ~ start(s[1]); a[t] ~ pi(s[t], o[t], o[1]); o[t+1] ~ next(o[t], s[t], \
                     s[t+1], a[t]); s[t+1] ~ e.transition(s[t], a[t])";
    let mut seen = Seen::default();
    for (back, auxiliary) in [
        (
            "kernel back(o | s, next: s) = Categorical(logits = table(s, next))",
            "o[t] ~ back(s[t], s[t+1])",
        ),
        (
            "kernel first(o | s) = Categorical(logits = table(s)) kernel back(o | s, last: o) = \
             Categorical(logits = table(s, last))",
            "o[1] ~ first(s[T+1]); o[t+1] ~ back(s[t+1], o[t])",
        ),
        ("", "o[1] ~ Uniform; o[t+1] ~ Uniform"),
        ("", "o[t] ~ Uniform"),
    ] {
        let kernels = format!("{kernels}\n{back}");
        let text = chain(&kernels, posterior, &format!("auxiliary {{ {auxiliary} }}"));
        // of one step nothing goes on
        for text in [text.replace("T = 3", "T = 1"), text.replace("T = 3", "T = 2"), text] {
            assert_unbiased(auxiliary, &text, &[1.0], &mut seen);
        }
    }
    assert_eq!(seen.by_oracle, 12);
}

#[test]
fn actions_stay_where_they_were() {
    let mut seen = Seen::default();
    for pi in [
        "kernel pi(a | s, last: a?) = Sticky(last, keep = sigmoid(table(s)), fresh = \
         Categorical(logits = table(s)))",
        "kernel pi(a | s, last: a?) = Mixture(0.5: Uniform, 0.5: Sticky(last, keep = \
         sigmoid(table(s)), fresh = Bernoulli(logits = table(s))))",
    ] {
        let posterior = "a[t] ~ pi(s[t], a[t-1]); s[t+1] ~ e.transition(s[t], a[t])";
        assert_unbiased(pi, &chain(pi, posterior, ""), &SIZES, &mut seen);
    }
    assert_eq!(seen.by_oracle, 2 * SIZES.len());
}

#[test]
fn imagined_states_are_drawn_from_whatever_has_masses() {
    let mut seen = Seen::default();
    let act = "option o : 2
        kernel pick(o | s) = Categorical(logits = table(s))
        kernel back(o | s, next: s) = Categorical(logits = table(s, next))
        kernel pi(a | s, o) = Categorical(logits = table(s, o))";
    for (world, drawn) in [
        (
            "kernel world(s' | s, a) = Mixture(0.2: Uniform, 0.8: Sticky(s, keep = \
             sigmoid(table(a)), fresh = Categorical(logits = table(s, a))))",
            "world(s[t], a[t])",
        ),
        ("kernel world(s' | s, o) = Categorical(logits = table(s, o))", "world(s[t], o[t])"),
        (
            "kernel world(s' | s, a, before: s?) = Categorical(logits = table(s, a) + \
             table(before))",
            "world(s[t], a[t], s[t-1])",
        ),
        ("", "Categorical(probs = [0.2, 0.5, 0.3])"),
        ("", "Mixture(0.3: Uniform, 0.5: Delta(s[t]), 0.2: Delta(min(s[t] + a[t], 2)))"),
    ] {
        let posterior = format!("o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t]); s[t+1] ~ {drawn}");
        let kernels = format!("{act}\n{world}");
        let text = chain(&kernels, &posterior, "auxiliary { o[t] ~ back(s[t], s[t+1]) }");
        let text = text.replace("T = 3", "T = 2");
        assert_unbiased(&format!("{world} {drawn}"), &text, &SIZES, &mut seen);
    }
    assert!(seen.by_oracle > 0);
}

const BOUNDS: (f64, f64) = (-1.0, 2.0);

/// One draw of a record of a real and a finite part, which the reward couples; the tables begin
/// at 0.
fn record(throttle: &str, gear: &str, prior: &str, seed: u64) -> String {
    format!(
        "model one
         horizon T = 1
         environment line {{
           state s : 0..1
           action a : {{ throttle: real in [-1, 2], gear: {{ low, middle, high }} }}
           reward r
           s[1] ~ Delta(0)
           s[t+1] ~ Delta(0)
           r[t] = -abs(a[t].throttle - 0.4 * a[t].gear)
         }}
         kernel pi(a | s) = {{ throttle: {throttle}, gear: {gear} }}
         prior {{ s[1] ~ line.initial; a[t] ~ {prior}; s[t+1] ~ line.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], a[t]) }}
         infer {{ trajectories = 2000; steps = 1; optimizer = sgd(rate = 1); seed = {seed}
                  precision = f64; baseline = none }}"
    )
}

/// `log p(x)` of a family within the bounds.
fn log_density(family: &str, x: f64, arguments: [f64; 2]) -> f64 {
    let mut graph = Graph::default();
    let ids: Vec<_> = (0..5).map(|at| graph.input(InputId(at))).collect();
    let of = At { arguments: &ids[..2], bounds: (ids[3], ids[4]) };
    let family = Family::named(family).unwrap();
    let root = family.log_density(&mut Formula::new(&mut graph), ids[2], &of);
    let values = [arguments[0], arguments[1], x, BOUNDS.0, BOUNDS.1];
    graph.evaluate(root, &[], &|at| values[at.0 as usize], 1.0)
}

/// `E_q[r + log p − log q]` by the midpoint rule; `log_q` is that of the real part, `logits` are
/// those of the finite one.
fn bound_of(
    log_q: &dyn Fn(f64) -> f64,
    logits: &[f64],
    (log_p, gears): (&dyn Fn(f64) -> f64, [f64; 3]),
) -> f64 {
    let total = logits.iter().map(|z| z.exp()).sum::<f64>().ln();
    let (count, reach) = (4_000, 20.0);
    let step = 2.0 * reach / f64::from(count);
    (0..count)
        .map(|k| {
            let y = 1.0 / (1.0 + (reach - (f64::from(k) + 0.5) * step).exp());
            let width = BOUNDS.1 - BOUNDS.0;
            let x = BOUNDS.0 + width * y;
            let log_q = log_q(x);
            let mass = log_q.exp() * width * y * (1.0 - y) * step;
            let of_gear = |(gear, z): (usize, &f64)| {
                let log_g = z - total;
                let reward = -(x - 0.4 * gear as f64).abs();
                log_g.exp() * (reward + log_p(x) - log_q + gears[gear].ln() - log_g)
            };
            if mass > 0.0 {
                mass * logits.iter().enumerate().map(of_gear).sum::<f64>()
            } else {
                0.0
            }
        })
        .sum()
}

/// Holds what a step of stochastic gradient ascent adds to five numbers of tables, over seeds,
/// against the slopes of the bound `at` them; they begin at 0 and stand at `places`.
fn assert_slopes(
    what: &str,
    text: impl Fn(u64) -> String,
    at: &dyn Fn(&[f64]) -> f64,
    places: [usize; 5],
) {
    let (h, seeds) = (1e-4, 12u32);
    let mut found = vec![Vec::new(); 5];
    for seed in 0..seeds {
        let run = infer(&planned(&text(u64::from(seed))), &mut ()).expect("a policy that trains");
        let values = run.parameters.values();
        found.iter_mut().zip(places).for_each(|(found, place)| found.push(values[place]));
    }
    for (place, found) in found.iter().enumerate() {
        let (mut more, mut less) = ([0.0; 5], [0.0; 5]);
        (more[place], less[place]) = (h, -h);
        let wanted = (at(&more) - at(&less)) / (2.0 * h);
        let mean = found.iter().sum::<f64>() / f64::from(seeds);
        let variance = found.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        let error = (variance / f64::from(seeds * (seeds - 1))).sqrt();
        assert!(
            (mean - wanted).abs() < 4.0 * error + 1e-5 && error < 0.05,
            "{what}, {place}: {mean} ± {error}, {wanted}"
        );
    }
}

#[test]
fn records_of_real_and_finite_parts_are_policies() {
    let gears = "Categorical(probs = [0.2, 0.3, 0.5])";
    let uniform = [1.0 / 3.0; 3];
    let flat = -(BOUNDS.1 - BOUNDS.0).ln();
    let of_beta = |x: f64| log_density("Beta", x, [1.1, 1.2]);
    let constant = |_: f64| flat;
    let beta = "Beta(a = 1.3 * exp(table(s)), b = 0.8 * exp(table(s)))";
    let tanh = "TanhNormal(mean = 0.3 + table(s), sd = 0.8 * exp(table(s)))";
    let logits = "Categorical(logits = table(s))";
    let own = format!("{{ throttle: Beta(a = 1.1, b = 1.2), gear: {gears} }}");
    // the divergence has a closed form, or is sampled
    let written = [0.2, 0.3, 0.5];
    let flat: (&str, &dyn Fn(f64) -> f64, [f64; 3]) = ("Uniform", &constant, uniform);
    let own: (&str, &dyn Fn(f64) -> f64, [f64; 3]) = (&own, &of_beta, written);
    for (family, throttle, start, (prior, log_p, gears)) in [
        ("Beta", beta, [1.3, 0.8], flat),
        ("Beta", beta, [1.3, 0.8], own),
        ("TanhNormal", tanh, [0.3, 0.8], own),
    ] {
        // the tables' numbers: of a positive argument the logarithm of a factor
        let at = |table: &[f64]| {
            let first =
                if family == "Beta" { start[0] * table[0].exp() } else { start[0] + table[0] };
            let q = [first, start[1] * table[1].exp()];
            bound_of(&|x| log_density(family, x, q), &table[2..], (log_p, gears))
        };
        let text = |seed: u64| record(throttle, logits, prior, seed);
        assert_slopes(&format!("{family} beside {prior}"), text, &at, [0, 2, 4, 5, 6]);
    }
}

#[test]
fn mixtures_of_whatever_families_are_policies() {
    let text = |seed: u64| {
        let pi = "{ throttle: Mixture(0.3: Beta(a = 1.3 * exp(table(s)), b = 0.8 * exp(table(s))), \
                  0.7 * exp(table(s)): TanhNormal(mean = 0.3 + table(s), sd = 0.8 * \
                  exp(table(s)))), gear: Uniform }";
        let text = record("", "", "Uniform", seed);
        text.replace("{ throttle: , gear:  }", pi)
    };
    let at = |table: &[f64]| {
        let beta = [1.3 * table[0].exp(), 0.8 * table[1].exp()];
        let tanh = [0.3 + table[3], 0.8 * table[4].exp()];
        let (first, second) = (0.3, 0.7 * table[2].exp());
        let log_q = |x: f64| {
            let parts = first * log_density("Beta", x, beta).exp()
                + second * log_density("TanhNormal", x, tanh).exp();
            (parts / (first + second)).ln()
        };
        bound_of(&log_q, &[0.0; 3], (&|_| -(BOUNDS.1 - BOUNDS.0).ln(), [1.0 / 3.0; 3]))
    };
    assert_slopes("a mixture", text, &at, [0, 2, 4, 6, 8]);
}

#[test]
fn squashed_draws_have_densities_wherever_one_is_asked_for() {
    let text = |seed: u64| {
        format!(
            "model one
             horizon T = 1
             environment line {{
               state s : 0..1; action a : bool; reward r
               s[1] ~ Delta(0)
               s[t+1] ~ Delta(0)
               r[t] = 0
             }}
             option o : real in [-1, 2]
             kernel pick(o | s) = TanhNormal(mean = 0.3 + table(s), sd = 0.8 * exp(table(s)))
             kernel habit(o | s) = TanhNormal(mean = 0.1 + table(s), sd = 0.9 * exp(table(s)))
             kernel pi(a | s) = Bernoulli(logits = table(s))
             prior {{ s[1] ~ line.initial; o[t] ~ habit(s[t]); a[t] ~ Uniform
                      s[t+1] ~ line.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(-abs(o[t] - 0.4)) }}
             posterior {{ s[1] ~ line.initial; o[t] ~ pick(s[t]); a[t] ~ pi(s[t])
                          s[t+1] ~ line.transition(s[t], a[t]) }}
             infer {{ trajectories = 2000; steps = 1; optimizer = sgd(rate = 1); seed = {seed}
                      precision = f64; baseline = none }}"
        )
    };
    let at = |table: &[f64]| {
        let q = [0.3 + table[0], 0.8 * table[1].exp()];
        let p = [0.1 + table[2], 0.9 * table[3].exp()];
        let log_p = |x: f64| log_density("TanhNormal", x, p) - (x - 0.4).abs() + x.abs();
        // the first gear has the reward −|x|, and the only one
        let gears = ([0.0, -1e3, -1e3], [1.0; 3]);
        bound_of(&|x| log_density("TanhNormal", x, q), &gears.0, (&log_p, gears.1))
    };
    assert_slopes("squashed", text, &at, [0, 2, 4, 6, 8]);
}

#[test]
fn records_train_whatever_the_estimator_and_the_use() {
    let records = [
        "{ throttle: Beta(a = 0.1 + exp(table(s)), b = 0.1 + exp(table(s))), gear: \
         Categorical(logits = table(s)) }",
        "{ throttle: TanhNormal(mean = table(s), sd = 0.1 + exp(table(s))), gear: Mixture(0.1: \
         Uniform, 0.9: Categorical(logits = table(s))) }",
    ];
    for (pi, prior, settings) in [
        (0, "habit(s[t])", "epochs = 2; minibatch = 8; clip_ratio = 0.2"),
        (1, "Uniform", "epochs = 2; minibatch = 8; kl_target = 0.01"),
        (1, "Uniform", "baseline = none"),
        (0, "habit(s[t])", "baseline = leave_one_out"),
    ] {
        let text = format!(
            "model car
             horizon T = 4
             environment road {{
               state s : 0..3
               action a : {{ throttle: real in [0, 1], gear: 0..2 }}
               reward r in [-4, 0]
               s[1]   ~ Delta(0)
               s[t+1] ~ Mixture(a[t].throttle: Delta(min(s[t] + a[t].gear, 3)),
                                1 - a[t].throttle: Delta(s[t]))
               r[t]   = -abs(s[t+1] - 2) - a[t].throttle
             }}
             option o : {{ speed: real in [0, 1], careful: bool }}
             kernel pick(o | s) = {{ speed: Beta(a = 0.1 + exp(table(s)), b = 0.1 + \
             exp(table(s))), careful: Bernoulli(logits = table(s)) }}
             kernel back(o | s, a) = {{ speed: Beta(a = 0.1 + exp(table(s)), b = 0.1 + \
             exp(linear(a))), careful: Bernoulli(logits = linear(a)) }}
             kernel pi(a | s, o) = {}
             kernel habit(a | s) = {{ throttle: Beta(a = 0.1 + exp(table(s)), b = 1), gear: \
             Categorical(logits = table(s)) }}
             prior {{ s[1] ~ road.initial; a[t] ~ {prior}
                      s[t+1] ~ road.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior {{ s[1] ~ road.initial; o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t])
                          s[t+1] ~ road.transition(s[t], a[t]) }}
             auxiliary {{ o[t] ~ back(s[t], a[t]) }}
             infer {{ trajectories = 32; steps = 20; {settings} }}",
            records[pi].replace("exp(table(s))", "exp(table(s) + linear(o))")
        );
        let plan = planned(&text);
        let run = infer(&plan, &mut ()).unwrap_or_else(|error| panic!("{settings}: {error}"));
        assert!(run.evaluation.bound.is_finite(), "{settings}");
        assert!(run.parameters.values().iter().any(|value| value.abs() > 1e-3), "{settings}");
        assert!(run.parameters.values().iter().all(|value| value.is_finite()), "{settings}");
    }
}
