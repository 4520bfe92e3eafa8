//! What runs tell: each reward's own return, the measured divergence from the prior, what a best
//! bound sees; and exponents that compare options.

use super::testing::{checked, planned, try_plan};
use crate::bound::derive;
use crate::engine::{
    Metrics, Observer, SCALES, Viewpoint, assess, evaluate, infer, kernel_tables, random_parameters,
};
use crate::exact::{enumerate, exact};
use crate::model::BoundId;
use crate::plan::{Claim, alternatives};
use std::ops::ControlFlow;

/// A chain that pays and costs, and ends; options, what draws, and what is likely.
fn chain(kernels: &str, [prior, drawn]: [&str; 2], likelihood: &str, infer: &str) -> String {
    format!(
        "model chain
         horizon T = 4
         environment chain {{
           state s : 0..2; action a : {{ left, right }}; observation x : 0..1
           reward r in [-1, 0]; reward cost in [-3, 0]
           s[1]   ~ Categorical(probs = [0.6, 0.3, 0.1])
           s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 2)), 0.2: Delta(s[t]))
           x[t]   ~ Delta(min(s[t], 1))
           r[t]    = if s[t+1] == 2 then 0 else -1
           cost[t] = -0.5 * a[t] - s[t]
           end when s[t] == 2
         }}
         {kernels}
         prior      {{ s[1] ~ chain.initial; x[t] ~ chain.observation(s[t]); {prior}; s[t+1] ~ \
         chain.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t] + 0.2 * cost[t]); {likelihood} }}
         posterior  {{ s[1] ~ chain.initial; x[t] ~ chain.observation(s[t]); {drawn}; s[t+1] ~ \
         chain.transition(s[t], a[t]) }}
         infer      {{ trajectories = 64; precision = f64; threads = 1; {infer} }}"
    )
}

const OPTIONS: &str = "option o : 2
    kernel pi(a | x, o) = Categorical(logits = table(x, o))
    kernel pick(o | x, last: o?) = Sticky(last, keep = sigmoid(linear(x)), fresh = \
    Categorical(logits = table(x)))";
const HELD: [&str; 2] = [
    "a[t] ~ Uniform; o[t] ~ pick(x[t], o[t-1])",
    "o[t] ~ pick(x[t], o[t-1]); a[t] ~ pi(x[t], o[t])",
];
const POLICY: &str = "kernel pi(a | x) = Categorical(logits = table(x))";

/// What an exponent may say of options: at the first step and after the end one of them is `none`,
/// or both.
const COMPARED: [&str; 3] = [
    "D[t] ~ exp(if o[t] == o[t-1] then 0 else -0.7)",
    "D[t] ~ exp(if o[t] != o[t-1] and s[t] == 0 then -0.3 * t else -0.1)",
    "D[t] ~ exp(if o[t-1] == 1 then -0.9 else 0); E[T] ~ exp(if o[T] == 0 then -1 else 0)",
];

#[test]
fn exponents_that_compare_options_are_estimated_and_exact() {
    for likelihood in COMPARED {
        let text = chain(OPTIONS, HELD, likelihood, "");
        let model = checked(&text).unwrap();
        let tried = alternatives(&model, &derive(&model).unwrap()).unwrap();
        assert!(tried.iter().any(|one| one.name == "options = enumerate"), "{likelihood}");
        for one in tried.iter().filter(|one| one.claim == Claim::Unbiased) {
            let parameters = random_parameters(&one.plan, SCALES[1], 3).unwrap();
            let viewpoint =
                Viewpoint::at(&one.plan, parameters.clone(), parameters.clone()).unwrap();
            let found = assess(&one.plan, &viewpoint, 1).unwrap();
            assert!(found.holds() && found.components > 5, "{likelihood}, {}: {found:?}", one.name);
            let tables = kernel_tables(&model, BoundId(0), &parameters, &parameters).unwrap();
            let (judge, answers) = (
                enumerate(&model, BoundId(0), &tables, 10_000_000).unwrap(),
                exact(&model, BoundId(0), Some(&tables)).unwrap(),
            );
            let bound = answers.evaluation.unwrap().bound;
            assert!(
                (judge.bound - bound).abs() < 1e-11
                    && (judge.log_evidence - answers.log_evidence).abs() < 1e-11,
                "{judge:?} {bound}"
            );
            let sampled = evaluate(&one.plan, &parameters, 20_000, false, 1).unwrap();
            assert!(
                (sampled.bound - bound).abs() < 4.0 * sampled.bound_se,
                "{likelihood}: {} is not {bound}",
                sampled.bound
            );
        }
        planned(&chain(OPTIONS, HELD, likelihood, "options = enumerate"));
    }
    let far = "D[t] ~ exp(if o[t] == o[t-2] then 0 else -1)";
    let told =
        try_plan(&chain(OPTIONS, HELD, far, "options = enumerate")).map(|_| "planned").unwrap_err();
    assert!(told.contains("the exponent of `D` connects steps that are farther apart"), "{told}");
    // what is not compared may still be `none`
    let told = checked(&chain(OPTIONS, HELD, "D[t] ~ exp(-0.1 * o[t-1])", ""))
        .map(|_| "checked")
        .unwrap_err();
    assert!(
        told.contains(
            "an exponent may compare options, as in `exp(if o[t] == o[t-1] then 0 else -1)`"
        ),
        "{told}"
    );
}

#[test]
fn each_reward_has_its_own_return() {
    let plan = planned(&chain(POLICY, ["a[t] ~ Uniform", "a[t] ~ pi(x[t])"], "", "steps = 3"));
    assert_eq!(plan.reward_names(), ["r", "cost"]);
    let run = infer(&plan, &mut ()).unwrap();
    let tables = kernel_tables(&plan.model, BoundId(0), &run.parameters, &run.parameters).unwrap();
    let exactly = exact(&plan.model, BoundId(0), Some(&tables)).unwrap().evaluation.unwrap();
    assert_eq!(exactly.expected_return, exactly.returns.iter().sum::<f64>());
    let sampled = evaluate(&plan, &run.parameters, 20_000, false, 1).unwrap();
    for ((mean, se), exactly) in sampled.returns.iter().zip(&exactly.returns) {
        assert!(
            *exactly < -0.1 && (mean - exactly).abs() < 4.0 * se,
            "{mean} ± {se} is not {exactly}"
        );
    }
    // the sum of two rewards is watched by nobody, either of them may be
    let told = try_plan(&chain(
        POLICY,
        ["a[t] ~ Uniform", "a[t] ~ pi(x[t])"],
        "",
        "until = expected_return >= -1",
    ));
    assert!(told.map(|_| "planned").unwrap_err().contains("this model pays 2 rewards"));
    let watching = planned(&chain(
        POLICY,
        ["a[t] ~ Uniform", "a[t] ~ pi(x[t])"],
        "",
        "steps = 9; until = cost >= -100",
    ));
    assert_eq!(infer(&watching, &mut ()).unwrap().steps, 2, "100 trajectories");
}

/// The last metrics, of each batch.
#[derive(Default)]
struct All(Vec<Metrics>);

impl Observer for All {
    fn step(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        self.0.push(metrics.clone());
        ControlFlow::Continue(())
    }
}

#[test]
fn the_divergence_from_the_prior_is_measured() {
    // as the exact numbers of the round have it, to the noise of a batch
    let rounds = chain(
        POLICY,
        ["a[t] ~ previous pi(x[t])", "a[t] ~ pi(x[t])"],
        "",
        "rounds = 4; steps = 1; optimizer = sgd(rate = 1)",
    );
    let mut all = All::default();
    infer(&planned(&rounds.replace("trajectories = 64", "trajectories = 4000")), &mut all).unwrap();
    for told in &all.0 {
        let (measured, exactly) = (told.kl.unwrap(), told.improvement.unwrap().kl);
        assert!(
            exactly > 1e-4 && (measured / exactly - 1.0).abs() < 0.3,
            "{measured} is not {exactly}"
        );
    }
    let uniform = planned(&chain(POLICY, ["a[t] ~ Uniform", "a[t] ~ pi(x[t])"], "", "steps = 1"));
    let parameters = random_parameters(&uniform, SCALES[1], 2).unwrap();
    let tables = kernel_tables(&uniform.model, BoundId(0), &parameters, &parameters).unwrap();
    let exactly = exact(&uniform.model, BoundId(0), Some(&tables)).unwrap().evaluation.unwrap().kl;
    let measured = uniform
        .divergence_of(&evaluate(&uniform, &parameters, 20_000, false, 1).unwrap().terms)
        .unwrap();
    assert!(
        exactly > 0.01 && (measured / exactly - 1.0).abs() < 0.05,
        "{measured} is not {exactly}"
    );
}

#[test]
fn a_best_bound_says_what_it_sees() {
    let sees = |kernel: &str, drawn: &str| {
        checked(&chain(kernel, ["a[t] ~ Uniform", drawn], "", "")).unwrap().hides_state(BoundId(0))
    };
    assert!(sees(POLICY, "a[t] ~ pi(x[t])"));
    assert!(!sees("kernel pi(a | s) = Categorical(logits = table(s))", "a[t] ~ pi(s[t])"));
    assert!(!sees(
        "kernel pi(a | s, x) = Categorical(logits = table(s, x))",
        "a[t] ~ pi(s[t], x[t])"
    ));
    assert!(!sees("kernel pi(a | t) = Categorical(logits = table(t))", "a[t] ~ pi(t)"));
}
