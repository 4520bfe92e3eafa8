//! Numbers that are none, wherever they can arise: the run ends there, names what made them, and
//! keeps what was good.

use super::testing::planned;
use crate::engine::family::Family;
use crate::engine::heads::mixture::Shape;
use crate::engine::infer;
use crate::engine::{EngineError, Parameters, evaluate, tabulate};
use crate::plan::Plan;

/// A walk over five cells.
fn cells(kernel: &str, infer: &str) -> String {
    format!(
        "model cells
         param alpha = 1
         horizon T = 4
         environment cells {{
           state s : 0..4
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Delta(3)
           s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4)), 0.2: Delta(s[t]))
           r[t]   = if s[t+1] == 4 then 0 else -1
         }}
         kernel pi(a | s) = {kernel}
         prior      {{ s[1] ~ cells.initial; a[t] ~ Uniform; s[t+1] ~ cells.transition(s[t], \
         a[t]) }}
         likelihood {{ R[t] ~ exp(alpha * r[t]) }}
         posterior  {{ s[1] ~ cells.initial; a[t] ~ pi(s[t]); s[t+1] ~ cells.transition(s[t], \
         a[t]) }}
         infer      {{ trajectories = 8; steps = 5; {infer} }}"
    )
}

const TABLE: &str = "Categorical(logits = table(s))";

/// A walk on the line, whose steps and rewards are written down.
fn line(kernel: &str, step: &str, reward: &str) -> String {
    format!(
        "model line
         horizon T = 4
         environment line {{
           state s : real
           action a : real
           reward r
           s[1]   ~ Delta(1)
           s[t+1] ~ {step}
           r[t]   = {reward}
         }}
         kernel pi(a | s) = {kernel}
         prior      {{ s[1] ~ line.initial; a[t] ~ Normal(mean = 0, sd = 1); s[t+1] ~ \
         line.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], a[t]) }}
         infer      {{ trajectories = 8; steps = 5 }}"
    )
}

const GAUSSIAN: &str = "Normal(mean = linear(s), sd = 1)";
const STEP: &str = "Normal(mean = s[t] + a[t], sd = 0.1)";

/// The step, what the run says, and the step whose parameters it keeps.
fn ends(plan: &Plan) -> (u64, String, u64) {
    match infer(plan, &mut ()) {
        Err(EngineError::NotFinite { step, what, hint, good, kept }) => {
            assert!(kept.values().iter().all(|value| value.is_finite()), "{what}");
            assert!(!hint.is_empty() && good < step, "{what}: {good}");
            (step, what, good)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_place_is_named_with_its_kernel_its_time_and_its_state() {
    let cases: &[(String, &str, &str)] = &[
        // a policy: NaN, +∞, and nothing but −∞; of a network that is 0 at first, which no check of
        // the file foresees
        (
            cells("Categorical(logits = log(abs(mlp(s - s, hidden = [4])) - 0.01))", ""),
            "the logits of `pi` are [NaN, NaN] at t = 1",
            "s = 3",
        ),
        (
            cells("Categorical(logits = 1 / mlp(s - s, hidden = [4]))", ""),
            "the logits of `pi` are [inf, inf] at t = 1",
            "s = 3",
        ),
        (
            cells("Categorical(logits = log(abs(mlp(s - s, hidden = [4]))))", ""),
            "the logits of `pi` are [-inf, -inf] at t = 1",
            "s = 3",
        ),
        (
            line(
                "Normal(mean = log(abs(mlp(s - s, hidden = [4])) - 0.01), sd = 1)",
                STEP,
                "-s[t]^2",
            ),
            "the mean of `pi` is NaN at t = 1",
            "s = 1",
        ),
        (
            line(
                "Normal(mean = linear(s), sd = exp(1 / abs(mlp(s - s, hidden = [4]))))",
                STEP,
                "-s[t]^2",
            ),
            "the sd of `pi` is inf at t = 1",
            "s = 1",
        ),
        (
            line(
                "Normal(mean = linear(s), sd = exp(0 - 1 / abs(mlp(s - s, hidden = [4]))))",
                STEP,
                "-s[t]^2",
            ),
            "the sd of `pi` is 0 at t = 1",
            "s = 1",
        ),
        // the environment
        (line(GAUSSIAN, STEP, "log(s[t] - 5)"), "the reward `r` is NaN at t = 1", "s = 1"),
        (
            line(GAUSSIAN, "Normal(mean = s[t], sd = sqrt(-s[t]))", "-s[t]^2"),
            "the state `s` that is reached is NaN at t = 1",
            "s = 1",
        ),
        (
            line(GAUSSIAN, "Mixture(log(-s[t]): Delta(1), 0.5: Delta(2))", "-s[t]^2"),
            "the state `s` that is reached is NaN",
            "s = 1",
        ),
        (
            line(GAUSSIAN, "Delta(exp(100 * s[t]))", "-s[t]"),
            "the state `s` that is reached is inf at t = 1",
            "s = 1",
        ),
        // the bound, the baseline, a slope
        (
            cells(TABLE, "").replace("r[t])", "r[t] + log(s[t] - 3))"),
            "the term `R` is -inf at t = 1",
            "s = 3",
        ),
        (
            cells(TABLE, "baseline = log(table(s) - 1)"),
            "the value of `infer.baseline` is NaN at t = 1",
            "s = 3",
        ),
        (
            cells("Categorical(logits = sqrt(table(s)))", ""),
            "the gradient of the tensor `pi.logits.0.table` is not finite",
            "",
        ),
    ];
    let mut wrong = String::new();
    for (text, told, state) in cases {
        let (step, what, good) = ends(&planned(text));
        if !what.starts_with(told) || !what.ends_with(state) || (step, good) != (1, 0) {
            wrong +=
                &format!("step {step}, good {good}: {what}, where it should be {told}, {state}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_same_is_told_on_any_number_of_threads_and_in_both_precisions() {
    let text = cells("Categorical(logits = log(abs(mlp(s - s, hidden = [4])) - 0.01))", "")
        .replace("trajectories = 8", "trajectories = 64");
    let told = |more: &str| ends(&planned(&text.replace("steps = 5", more)));
    let one = told("steps = 5; threads = 1");
    assert_eq!(told("steps = 5; threads = 3"), one);
    assert_eq!(told("steps = 5; precision = f64"), one);
}

/// Two steps are good; then the parameter has passed the edge of the logarithm.
#[test]
fn what_is_kept_are_the_parameters_of_the_last_good_batch() {
    let text =
        cells("Categorical(logits = log(0.0025 + table(s)))", "optimizer = adam(rate = 0.001)");
    let (step, what, good) = ends(&planned(&text));
    assert!(what.starts_with("the logits of `pi` are [") && step > 2, "step {step}: {what}");
    assert_eq!(good, step - 2);
}

#[test]
fn a_memory_that_overflows_is_told_and_helped_by_the_hint() {
    let rms = "optimizer = rmsprop(rate = 0.01)";
    for (optimizer, told) in [("", "the second moment"), (rms, "the second moment")] {
        let text = cells(TABLE, optimizer).replace("alpha = 1", "alpha = 1e20");
        let error = infer(&planned(&text), &mut ()).unwrap_err().to_string();
        let begins = format!(
            "step 1: {told} that the optimiser keeps of `pi.logits.0.table` overflows float32; \
             the parameters of step 0 are kept"
        );
        assert!(error.starts_with(&begins) && error.contains("hint: `precision = f64`"), "{error}");
        let wide =
            infer(&planned(&text.replace("steps = 5", "steps = 5; precision = f64")), &mut ())
                .unwrap();
        assert!(wide.parameters.values().iter().any(|value| *value != 0.0));
    }
    // what neither precision holds
    let text = cells(TABLE, "precision = f64").replace("alpha = 1", "alpha = 1e200");
    let error = infer(&planned(&text), &mut ()).unwrap_err().to_string();
    assert!(
        error.contains("the norm of the gradient overflows") && error.contains("hint: "),
        "{error}"
    );
}

#[test]
fn what_is_played_and_what_is_tabulated_is_told_too() {
    let plan = planned(&cells(TABLE, ""));
    let mut parameters = Parameters::<f64>::initial(&plan.model, 0);
    // the second row is of s = 1
    parameters.values_mut()[2] = f64::NAN;
    parameters.values_mut()[7] = f64::NAN;
    let error = evaluate(&plan, &parameters, 100, false, 1).unwrap_err().to_string();
    assert!(error.starts_with("the logits of `pi` are [0, NaN] at t = 1, s = 3"), "{error}");
    let error =
        tabulate(&plan.model, &parameters, plan.last_draw().kernel).unwrap_err().to_string();
    assert_eq!(error, "the network of `pi` is [NaN, 0] at s = 1: no distribution");
}

#[test]
fn a_model_of_the_world_and_its_classifier_are_named() {
    let model = |world: &str, ratio: &str| {
        let bound = |name: &str, prior: &str, posterior: &str| {
            format!(
                "bound {name} {{
                   prior      {{ s[1] ~ chain.initial; {prior} }}
                   likelihood {{ R[t] ~ exp(r[t]) }}
                   posterior  {{ s[1] ~ chain.initial; a[t] ~ pi(s[t]); s[t+1] ~ \
                   {posterior}(s[t], a[t]) }}
                 }}\n"
            )
        };
        format!(
            "model chain
             horizon T = 4
             hidden environment chain {{
               state s : 0..3
               action a : {{ left, right }}
               reward r in [-1, 0]
               s[1]   ~ Delta(2)
               s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 3)), 0.2: Uniform)
               r[t]   = if s[t+1] == 3 then 0 else -1
             }}
             kernel pi(a | s)        = Categorical(logits = table(s))
             kernel world(s' | s, a) = Categorical(logits = {world})
             {}{}
             infer {{ maximize fit over world; maximize dream over pi; {ratio}; ratio_batch = 8; \
             trajectories = 8; steps = 3 }}",
            bound("fit", "a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t])", "chain.transition"),
            bound("dream", "a[t] ~ Uniform; s[t+1] ~ chain.transition(s[t], a[t])", "world"),
        )
    };
    let (_, what, _) = ends(&planned(&model(
        "log(abs(mlp(s - s, a - a, hidden = [4])) - 0.01)",
        "ratio = table(s, a, s')",
    )));
    assert!(what.contains("of bound `fit` is NaN at t = 1, s = 2"), "{what}");
    let (_, what, _) = ends(&planned(&model("table(s, a)", "ratio = log(table(s, a, s') - 1)")));
    assert_eq!(what, "the classifier's gradient of the tensor `infer.ratio.0.table` is not finite");
}

/// The rows of heads that no short file reaches; a logit of −∞ is a number, all of them together
/// describe nothing.
#[test]
fn heads_know_what_describes_a_distribution() {
    let (none, never) = (f64::NAN, f64::NEG_INFINITY);
    let told = |family: &Family, roots: &[&[f64]], last: &[u32]| {
        let mut rows = vec![0.0; family.numbers()];
        family.describe(|at| roots[at], last, &mut rows);
        family.fault("k", &rows, |at| roots[at]).map(|(_, what)| what)
    };
    let categorical = Family::Categorical { outcomes: 3 };
    assert_eq!(told(&categorical, &[&[0.5, never, 0.0]], &[]), None);
    assert_eq!(
        told(&categorical, &[&[0.5, none, 0.0]], &[]).unwrap(),
        "the logits of `k` are [0.5, NaN, 0]"
    );
    assert_eq!(
        told(&categorical, &[&[0.5, f64::INFINITY, 0.0]], &[]).unwrap(),
        "the logits of `k` are [0.5, inf, 0]"
    );
    assert_eq!(
        told(&categorical, &[&[never; 3]], &[]).unwrap(),
        "the logits of `k` are [-inf, -inf, -inf]"
    );
    let sticky = Family::Sticky { outcomes: 2 };
    assert_eq!(told(&sticky, &[&[0.0, 1.0], &[1.0]], &[0]), None);
    assert_eq!(
        told(&sticky, &[&[0.0, 1.0], &[none]], &[0]).unwrap(),
        "the probability to stay of `k` is NaN"
    );
    let mixture = Family::Mixture(Shape { parts: 2, width: 1 });
    let ones: &[f64] = &[1.0];
    assert_eq!(told(&mixture, &[ones, &[0.0], ones, ones, ones, ones], &[]), None);
    assert_eq!(
        told(&mixture, &[ones, &[none], ones, ones, ones, ones], &[]).unwrap(),
        "the weight of `k` is NaN"
    );
    assert_eq!(
        told(&mixture, &[ones, ones, ones, &[none], ones, ones], &[]).unwrap(),
        "the mean of `k` is NaN"
    );
    assert_eq!(
        told(&mixture, &[ones, ones, ones, ones, ones, &[0.0]], &[]).unwrap(),
        "the sd of `k` is 0"
    );
    let implicit = Family::Implicit { width: 1 };
    assert_eq!(told(&implicit, &[&[none]], &[]).unwrap(), "the draw of `k` is NaN");
}
