//! What changes in the course of a run: params that are schedules, and the threshold that ends it.

use super::testing::{Log, bits, resumed};
use crate::bound::derive;
use crate::engine::run::train::gradient_estimates;
use crate::engine::{Metrics, Parameters, Run, Stopped, evaluate};
use crate::engine::{infer, resume};
use crate::model::{Overrides, check};
use crate::plan::{Plan, plan};
use crate::source::Source;
use crate::syntax::parse;

/// A short slippery walk whose exponent is linear in alpha.
fn walk(alpha: &str, infer: &str) -> Plan {
    let text = format!(
        "model walk
         param alpha = {alpha}
         horizon T = 6
         environment walk {{
           state s : 0..4
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Delta(0)
           s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4)), 0.2: Delta(s[t]))
           r[t]   = if s[t+1] == 4 then 0 else -1
           end when s[t] == 4
         }}
         kernel pi(a | s) = Categorical(logits = table(s))
         prior      {{ s[1] ~ walk.initial; a[t] ~ Uniform; s[t+1] ~ walk.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(alpha * r[t] - 0.1 * s[t]) }}
         posterior  {{ s[1] ~ walk.initial; a[t] ~ pi(s[t]); s[t+1] ~ walk.transition(s[t], a[t]) }}
         infer      {{ trajectories = 40; precision = f64; log_every = 1; {infer} }}"
    );
    let file = parse(&Source::new("walk", text)).unwrap_or_else(|errors| panic!("{errors}"));
    let model = check(&file, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
    plan(&model, &derive(&model).unwrap_or_else(|errors| panic!("{errors}")))
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn logged(plan: &Plan) -> (Run, Vec<Metrics>) {
    let mut log = Log::default();
    let run = infer(plan, &mut log).unwrap_or_else(|error| panic!("{error}"));
    (run, log.0)
}

fn assert_same(one: &Run, other: &Run) {
    assert_eq!(
        (bits(one), &one.evaluation, one.steps, one.stopped),
        (bits(other), &other.evaluation, other.steps, other.stopped)
    );
}

fn assert_close(one: f64, other: f64) {
    assert!((one - other).abs() <= 1e-12 * (1.0 + one.abs()), "{one} and {other}");
}

#[test]
fn each_batch_follows_the_bound_of_its_own_alpha() {
    // parameters that stay: the same batches for every alpha
    let still = "steps = 5; optimizer = sgd(rate = 0)";
    let (_, moving) = logged(&walk("ramp(from = 0.25, to = 1.25)", still));
    for (metrics, alpha) in moving.iter().zip(["0.25", "0.5", "0.75", "1", "1.25"]) {
        let (_, fixed) = logged(&walk(alpha, still));
        let same = &fixed[metrics.step as usize - 1];
        assert_close(metrics.bound, same.bound);
        assert_close(metrics.gradient_norm, same.gradient_norm);
        assert!(metrics.expected_return == same.expected_return && same.gradient_norm > 0.0);
    }
}

#[test]
fn a_schedule_ends_at_the_model_that_is_meant() {
    let ends = "steps = 7; optimizer = adam(rate = 0.05)";
    let (moving, fixed) = (walk("ramp(from = 0.1, to = 0.7)", ends), walk("0.7", ends));
    let (run, _) = logged(&moving);
    let again = evaluate(&fixed, &run.parameters, run.evaluation.episodes, false, 0).unwrap();
    assert_close(run.evaluation.bound, again.bound);
    let estimates =
        |plan: &Plan| gradient_estimates(plan, &Parameters::initial(&plan.model, 3), 0..2).unwrap();
    for (one, other) in estimates(&moving).concat().into_iter().zip(estimates(&fixed).concat()) {
        assert_close(one, other);
    }
}

#[test]
fn a_run_with_a_schedule_goes_on_to_the_same_bits() {
    let plan = walk("ramp(from = 0.1, to = 0.7)", "steps = 20; optimizer = adam(rate = 0.05)");
    let (whole, _) = logged(&plan);
    assert_same(&whole, &resumed(&plan, 9));
    let (fixed, _) = logged(&walk("0.7", "steps = 20; optimizer = adam(rate = 0.05)"));
    assert_ne!(whole.parameters.values(), fixed.parameters.values());
}

type Quantity = fn(&Metrics) -> f64;
type Reached = fn(f64) -> bool;

/// 3 batches of 40 are the first to hold 100 trajectories.
const WINDOW: usize = 3;

#[test]
fn a_threshold_ends_a_run_where_the_mean_of_the_last_batches_reaches_it() {
    let until = |threshold: &str| {
        walk("1", &format!("steps = 200; optimizer = adam(rate = 0.05); until = {threshold}"))
    };
    let cases: [(&str, Quantity, Reached); 3] = [
        ("expected_return >= -5.55", |metrics| metrics.expected_return, |mean| mean >= -5.55),
        ("bound >= -6.12", |metrics| metrics.bound, |mean| mean >= -6.12),
        ("entropy <= 0.684", |metrics| metrics.entropy, |mean| mean <= 0.684),
    ];
    for (threshold, quantity, reached) in cases {
        let plan = until(threshold);
        let (run, log) = logged(&plan);
        let means: Vec<f64> = log
            .windows(WINDOW)
            .map(|last| last.iter().map(quantity).sum::<f64>() / WINDOW as f64)
            .collect();
        let (last, before) = means.split_last().expect("as many batches as the mean is over");
        assert_eq!(run.stopped, Stopped::Until, "{threshold}: {means:?}");
        assert!(
            reached(*last) && !before.is_empty() && !before.iter().any(|&mean| reached(mean)),
            "{threshold}: {means:?}"
        );
        assert_eq!(
            log.last().map(|metrics| metrics.step),
            Some(run.steps),
            "the last batch is logged"
        );

        // in the middle of the first mean, later, and from the end on
        for after in [2, run.steps - 1] {
            assert_same(&run, &resumed(&plan, after));
        }
        assert_same(&run, &resume(&plan, &run.checkpoint, &mut ()).unwrap());
    }
    let (run, _) = logged(&until("expected_return >= 0"));
    assert_eq!((run.stopped, run.steps), (Stopped::Steps, 200));
}
