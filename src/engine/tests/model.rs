//! What a model of a world may be: mixtures, generators without a density, starts, predictions of
//! rewards and ends.

use super::testing::{bits, planned, resumed, try_plan};
use crate::engine::infer;
use crate::engine::{Parameters, evaluate};
use crate::plan::Plan;

/// A real line on which a step goes to one of two places, nearer to one end or to the other as the
/// action says; `world` is a model of it.
fn fork(world: &str, infer: &str) -> String {
    format!(
        "model fork
         horizon T = 5
         hidden environment line {{
           state  s : real
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Normal(mean = 0, sd = 1)
           s[t+1] ~ Mixture(0.3: Normal(mean = 0.5 * s[t] - 1, sd = 0.3), 0.7: Normal(mean = 0.5 \
           * s[t] + 1, sd = 0.2))
           r[t]   = -min(1, abs(s[t+1]))
         }}
         kernel pi(a | s) = Categorical(logits = linear(s))
         net share(s)     = sigmoid(linear(s))
         kernel world(s' | s, a) = {world}
         bound fit {{
           prior      {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }}
           posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], \
           a[t]) }}
         }}
         bound dream {{
           prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], \
           a[t]) }}
           likelihood {{ R[t] ~ exp(r[t]) }}
           posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }}
         }}
         infer {{ {infer} }}"
    )
}

/// `E[log p]` of a step of the fork, by the midpoint rule.
fn real_log_likelihood() -> f64 {
    let normal = |x: f64, mean: f64, sd: f64| {
        (-0.5 * ((x - mean) / sd).powi(2)).exp() / (sd * (2.0 * std::f64::consts::PI).sqrt())
    };
    let (n, step) = (60_000, 1e-4);
    let density = |i: i32| {
        let x = -3.0 + (f64::from(i) + 0.5) * step;
        0.3 * normal(x, -1.0, 0.3) + 0.7 * normal(x, 1.0, 0.2)
    };
    (0..n).map(density).map(|p| if p > 0.0 { p * p.ln() * step } else { 0.0 }).sum()
}

/// Nats a step that a trained model lacks of the real one, with the standard error.
fn lacks(world: &str, settings: &str) -> (f64, f64) {
    let plan = planned(&fork(world, &format!("maximize fit over world; threads = 1; {settings}")));
    let run = infer(&plan, &mut ()).unwrap();
    let played = evaluate(&plan, &run.parameters, 4000, false, 3).unwrap();
    (real_log_likelihood() - played.bound / 5.0, played.bound_se / 5.0)
}

const TWO: &str = "Normal(mean = linear(s), sd = 0.01 + softplus(linear(s)))";
const SETTINGS: &str =
    "trajectories = 64; steps = 600; optimizer = adam(rate = ramp(from = 0.05, to = 0))";

#[test]
fn a_mixture_learns_a_world_of_two_minds_and_a_normal_does_not() {
    let constant = format!("Mixture(0.3: {TWO}, 0.7: {TWO})");
    let learned = format!("Mixture(share(s): {TWO}, 1 - share(s): {TWO})");
    for world in [&constant, &learned] {
        let (lost, se) = lacks(world, SETTINGS);
        assert!(lost.abs() < 0.02 + 4.0 * se, "{world}: {lost} ± {se}");
        assert!(se < 0.01, "{se}");
    }
    let (lost, _) = lacks(TWO, SETTINGS);
    // log sd of all less the two parts' own and the entropy of which
    assert!(lost > 0.3, "{lost}");
}

#[test]
fn a_mixture_is_refitted_from_kept_transitions() {
    let world = format!("Mixture(softplus(linear(s)): {TWO}, softplus(linear(s)): {TWO})");
    let few = "trajectories = 64; steps = 30; optimizer = adam(rate = ramp(from = 0.05, to = 0))";
    let (once, _) = lacks(&world, few);
    let (again, se) = lacks(&world, &few.replace("steps = 30", "refits = 20; steps = 30"));
    assert!(again < 0.05 + 4.0 * se && again < once - 0.1, "{once} then {again} ± {se}");
}

/// The density of the environment is known here, so that the classifier can be judged: a mixture
/// that imitates a normal.
#[test]
fn a_classifier_tells_a_mixture_from_the_world() {
    let plan = planned(
        "model drift
         horizon T = 5
         hidden environment line {
           state  s : real
           action a : { left, right }
           reward r in [-1, 0]
           s[1]   ~ Normal(mean = 0, sd = 1)
           s[t+1] ~ Normal(mean = 0.5 * s[t], sd = 0.5)
           r[t]   = -min(1, abs(s[t+1]))
         }
         kernel pi(a | s)        = Categorical(logits = linear(s))
         kernel world(s' | s, a) = Mixture(0.5: Normal(mean = 0.5 * s - 0.4, sd = 0.4), 0.5: \
         Normal(mean = 0.5 * s + 0.4, sd = 0.4))
         prior      { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }
         likelihood { R[t] ~ exp(r[t]) }
         posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }
         infer { ratio = mlp(s, s', hidden = [32]); ratio_batch = 1024; steps = 500; optimizer = \
         adam(rate = ramp(from = 0.02, to = 0)) }",
    );
    let calibration = infer(&plan, &mut ()).unwrap().calibrations[0].1;
    assert!(calibration.error < 0.06 && calibration.pairs > 100, "{calibration:?}");
}

#[test]
fn runs_with_mixtures_have_the_same_bits_on_any_number_of_threads_and_after_a_resumption() {
    let world = format!("Mixture(share(s): {TWO}, 1 - share(s): {TWO})");
    let settings = "ratio = mlp(s, a, s', hidden = [4]); shards = 4; steps = 16; trajectories = \
                    16; log_every = 1";
    let with = |threads: usize| {
        planned(&fork(
            &world,
            &format!(
                "maximize fit over world (refits = 2); maximize dream over pi; {settings}; \
                 threads = {threads}"
            ),
        ))
    };
    let plan = with(1);
    let one = infer(&plan, &mut ()).unwrap();
    assert_eq!(bits(&infer(&with(2), &mut ()).unwrap()), bits(&one));
    let whole = resumed(&plan, 7);
    assert_eq!(bits(&whole), bits(&one), "resumed");
}

#[test]
fn what_a_model_may_not_be_is_said_in_a_sentence() {
    let cases = [
        (
            "Mixture(0.5: Normal(mean = s, sd = 1), 0.5: Uniform(lo = -1, hi = 1))",
            "uniform between bounds of its own",
        ),
        ("Mixture(0.5: Normal(mean = s, sd = 1), 0.6: Normal(mean = s, sd = 2))", "sum to 1"),
        (
            "Mixture(linear(s): Normal(mean = s, sd = 1), 0.5: Normal(mean = s, sd = 2))",
            "can be negative",
        ),
    ];
    for (world, wanted) in cases {
        let told =
            try_plan(&fork(world, "maximize dream over pi; ratio = mlp(s, a, s', hidden = [4])"))
                .map(|_| "planned")
                .expect_err(world);
        assert!(told.contains(wanted), "{world}: {told}");
    }
}

/// A line with drift, of which the model may be what it is itself; `known` is `hidden` or nothing.
fn drift(known: &str, world: &str, infer: &str) -> String {
    format!(
        "model drift
         horizon T = 5
         {known} environment line {{
           state  s : real
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Normal(mean = 0, sd = 1)
           s[t+1] ~ Normal(mean = 0.5 * s[t] + (if a[t] == right then 0.5 else -0.5), sd = 0.5)
           r[t]   = -min(1, abs(s[t+1]))
         }}
         kernel pi(a | s)        = Categorical(logits = linear(s))
         kernel dream(s' | s, a) = {world}
         bound imagined {{
           prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], \
           a[t]) }}
           likelihood {{ R[t] ~ exp(r[t]) }}
           posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ dream(s[t], a[t]) }}
         }}
         bound truth {{
           prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], \
           a[t]) }}
           likelihood {{ R[t] ~ exp(r[t]) }}
           posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], \
           a[t]) }}
         }}
         infer {{ {infer} }}"
    )
}

/// The world itself, told as a generator.
const GENERATOR: &str = "Implicit(0.5 * s + (if a == right then 0.5 else -0.5) + 0.5 * noise(1))";

/// The density of the environment is known, that of the model is not: a classifier estimates the
/// bound, and finds nothing to correct.
#[test]
fn an_implicit_model_that_is_the_world_has_the_bound_of_the_world() {
    for known in ["hidden", ""] {
        let settings = "maximize imagined over pi; ratio = mlp(s, a, s', hidden = [16]); \
                        ratio_batch = 512; steps = 300; optimizer = adam(rate = ramp(from = 0.02, \
                        to = 0))";
        let plan = planned(&drift(known, GENERATOR, settings));
        let run = infer(&plan, &mut ()).unwrap();
        assert!(run.calibrations.is_empty(), "the model's density is not known");
        let (imagined, truth) = (&run.evaluation, &run.others[0].1);
        let se = imagined.bound_se.hypot(truth.bound_se);
        // a classifier that tells nothing apart is off by little at each of five steps
        assert!(
            (imagined.bound - truth.bound).abs() < 4.0 * se + 0.15,
            "{} {} ± {se}",
            imagined.bound,
            truth.bound
        );
        assert!((run.classified[0].1.loss - 2f64.ln()).abs() < 0.02, "{:?}", run.classified);
    }
}

/// A generator too wide by half is told from the world, by as much as the divergence of its
/// densities says.
#[test]
fn a_classifier_corrects_an_implicit_model() {
    let settings = "maximize imagined over pi; ratio = mlp(s, a, s', hidden = [32]); ratio_batch \
                    = 1024; steps = 500; optimizer = adam(rate = ramp(from = 0.02, to = 0))";
    let wide = GENERATOR.replace("0.5 * noise(1)", "0.75 * noise(1)");
    let plan = planned(&drift("hidden", &wide, settings));
    let run = infer(&plan, &mut ()).unwrap();
    let term = plan.terms.iter().position(|term| term.name.starts_with("logit")).unwrap();
    // five times E_q[log p − log q] = −KL(N(0, 0.75) ‖ N(0, 0.5))
    let exact = -5.0 * ((0.5f64 / 0.75).ln() + 0.75 * 0.75 / (2.0 * 0.25) - 0.5);
    let told = run.evaluation.terms[term];
    assert!((told - exact).abs() < 0.15 * exact.abs(), "{told}, exactly {exact}");
}

#[test]
fn noise_is_the_same_for_any_number_of_threads() {
    let network = "Implicit(s + mlp(s, a, noise(3), hidden = [8]))";
    let with = |threads: usize| {
        let settings = "maximize imagined over pi; ratio = mlp(s, a, s', hidden = [4]); shards = \
                        4; trajectories = 16; steps = 12; log_every = 1";
        planned(&drift("hidden", network, &format!("{settings}; threads = {threads}")))
    };
    let plan = with(1);
    let one = infer(&plan, &mut ()).unwrap();
    assert_eq!(bits(&infer(&with(2), &mut ()).unwrap()), bits(&one));
    let whole = resumed(&plan, 5);
    assert_eq!(bits(&whole), bits(&one), "resumed");
}

#[test]
fn an_implicit_model_has_no_score() {
    let network = "Implicit(s + mlp(s, a, noise(3), hidden = [8]))";
    let settings = "maximize imagined over dream; ratio = mlp(s, a, s', hidden = [4])";
    let told = try_plan(&drift("hidden", network, settings))
        .map(|_| "planned")
        .expect_err("it has no density");
    assert!(told.contains("moves `dream`, from which it draws, and it is `Implicit`"), "{told}");
}

/// A finite line whose start is learned, of three cells the last of which ends the episode; `start`
/// draws the first state of imagined rollouts.
fn started(known: &str, settings: &str) -> String {
    format!(
        "model started
         horizon T = 4
         {known} environment line {{
           state  s : 0..2
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Categorical(probs = [0.5, 0.3, 0.2])
           s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 2)), \
           0.2: Uniform)
           r[t]   = if s[t+1] == 2 then 0 else -1
           end when s[t] == 2
         }}
         kernel pi(a | s)        = Categorical(logits = table(s))
         kernel world(s' | s, a) = Categorical(logits = table(s, a))
         kernel start(s)         = Categorical(logits = linear(1))
         bound fit {{
           prior      {{ s[1] ~ start; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }}
           posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], \
           a[t]) }}
         }}
         bound dream {{
           prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ world(s[t], a[t]) }}
           likelihood {{ R[t] ~ exp(r[t]) }}
           posterior  {{ s[1] ~ start; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }}
         }}
         infer {{ {settings} }}"
    )
}

#[test]
fn the_start_of_imagined_rollouts_is_weighed_against_the_environment() {
    let plan = planned(&started("", "maximize dream over pi; steps = 1; precision = f64"));
    let mut parameters = Parameters::<f64>::initial(&plan.model, 0);
    parameters.values_mut().fill(0.0);
    let imagined = evaluate(&plan, &parameters, 20_000, false, 5).unwrap();
    let term = plan.terms.iter().position(|term| term.name.contains("start")).unwrap();
    // all starts alike: −KL(Uniform ‖ initial), starts at the end among them
    let exact: f64 = [0.5f64, 0.3, 0.2].iter().map(|p| (p.ln() + 3f64.ln()) / 3.0).sum();
    let told = imagined.terms[term];
    // the log-ratio of a draw has a deviation of 0.38
    assert!((told - exact).abs() < 4.0 * 0.38 / 20_000f64.sqrt(), "{told}, exactly {exact}");
}

#[test]
fn a_start_is_learned_from_real_episodes_and_dreamed_from() {
    let settings = "maximize fit over world
                    maximize fit over start
                    maximize dream over pi
                    trajectories = 128; steps = 300; optimizer = adam(rate = ramp(from = 0.1, to \
                    = 0))";
    let plan = planned(&started("", settings));
    let run = infer(&plan, &mut ()).unwrap();
    let term = plan.terms.iter().position(|term| term.name.contains("start")).unwrap();
    assert!(
        run.evaluation.terms[term].abs() < 0.05,
        "the starts are those of the environment: {}",
        run.evaluation.terms[term]
    );
}

#[test]
fn kept_transitions_teach_the_world_and_not_its_start() {
    let turns = |fit: &str| {
        started(
            "hidden",
            &format!("{fit}; maximize dream over pi; trajectories = 8; steps = 20; log_every = 1"),
        )
    };
    let dream = "s[1] ~ line.initial; a[t] ~ Uniform";
    let text = |fit: &str| turns(fit).replace(dream, "s[1] ~ start; a[t] ~ Uniform");
    let plan = planned(&text("maximize fit over world (refits = 10); maximize fit over start"));
    let run = infer(&plan, &mut ()).unwrap();
    let whole = resumed(&plan, 9);
    assert_eq!(bits(&whole), bits(&run), "resumed");
    let told = try_plan(&text("maximize fit over world, start (refits = 10)"))
        .map(|_| "planned")
        .expect_err("a start is not kept");
    assert!(told.contains("also moves a kernel of another draw"), "{told}");
    let told = try_plan(&text("maximize fit over start (refits = 10); maximize fit over world"))
        .map(|_| "planned")
        .expect_err("no model");
    assert!(told.contains("has none to teach"), "{told}");
}

#[test]
fn a_start_that_is_hidden_has_a_classifier_of_its_own() {
    let told = try_plan(&started("hidden", "maximize dream over pi; ratio = table(s, a, s')"))
        .map(|_| "planned")
        .expect_err("the world cancels");
    assert!(told.contains("this classifier reads the first state, and nothing"), "{told}");
    let dream = planned(&started("hidden", "maximize dream over pi; ratio(start) = table(s)"));
    assert_eq!(dream.ratios().count(), 1);
    let alone = started("", "maximize dream over pi").replace(
        "s[1] ~ start; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }\n         }\n         infer",
        "s[1] ~ start; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], a[t]) }\n         \
         }\n         infer",
    );
    // real steps from learned starts are no imagined ones
    assert!(planned(&alone).turns().any(|plan| plan.first_state().is_some() && plan.is_real()));
}

/// One step from one cell to one of two, of which the second pays and ends; `world` predicts all of
/// it.
fn predicted(known: &str, settings: &str) -> String {
    format!(
        "model predicted
         horizon T = 1
         {known} environment line {{
           state  s : 0..2
           action a : {{ wait, go }}
           reward r in [0, 1]
           s[1]   ~ Delta(0)
           s[t+1] ~ Mixture(0.7: Delta(1), 0.3: Delta(2))
           r[t]   = if s[t+1] == 2 then 1 else 0
           end when s[t] == 2
         }}
         kernel pi(a | s) = Categorical(logits = table(s))
         kernel world(s', r, end | s, a) = {{
           s:   Categorical(logits = table(s, a)),
           r:   Normal(mean = linear(s, a), sd = 0.01 + softplus(linear(s))),
           end: Bernoulli(logits = linear(s, a))
         }}
         bound fit {{
           prior     {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1], r[t], end[t] ~ world(s[t], \
           a[t]) }}
           posterior {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], \
           a[t]) }}
         }}
         infer {{ maximize fit over world; {settings} }}"
    )
}

#[test]
fn rewards_and_the_end_are_learned_beside_the_state() {
    let from_batches =
        "trajectories = 256; steps = 400; optimizer = adam(rate = ramp(from = 0.1, to = 0))";
    // 16 384 real steps are kept in all
    let from_kept = "trajectories = 512; steps = 32; refits = 20; optimizer = adam(rate = \
                     ramp(from = 0.1, to = 0))";
    for settings in [from_batches, from_kept] {
        assert_learned(settings);
    }
}

fn assert_learned(settings: &str) {
    let plan = planned(&predicted("hidden", settings));
    let run = infer(&plan, &mut ()).unwrap();
    let episodes = 20_000;
    let played = evaluate(&plan, &run.parameters, episodes, false, 3).unwrap();
    let entropy = -(0.7 * 0.7f64.ln() + 0.3 * 0.3f64.ln());
    // the variance of what pays 1 with probability 0.3 is 0.21
    let of_normal = 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E * 0.21).ln();
    let one_se = 0.46 / (episodes as f64).sqrt();
    for (name, wanted) in
        [("log world(s')", -entropy), ("log world(r)", -of_normal), ("log world(end)", -entropy)]
    {
        let term = plan
            .terms
            .iter()
            .position(|term| term.name == name)
            .unwrap_or_else(|| panic!("no `{name}`"));
        let told = played.terms[term];
        assert!(
            (told - wanted).abs() < 4.0 * one_se + 0.005,
            "{settings}: {name}: {told}, at most {wanted}"
        );
    }
}

#[test]
fn what_is_not_learned_of_rewards_and_the_end_is_refused() {
    let beside_known =
        try_plan(&predicted("", "steps = 1")).map(|_| "planned").expect_err("a known environment");
    assert!(beside_known.contains("their divergence is infinite"), "{beside_known}");
    // prior and posterior change places
    let imagined = predicted("hidden", "steps = 1")
        .replace("over world", "over pi")
        .replace("posterior {", "other {");
    let imagined = imagined.replace("prior     {", "posterior {").replace("other {", "prior {");
    let told =
        try_plan(&imagined).map(|_| "planned").expect_err("imagined rewards beside real ones");
    assert!(told.contains("the prior has no mass, and the divergence is infinite"), "{told}");
}

/// A model that is told, not learned: rewards of -0.3, and an end at one step in four, wherever its
/// states are.
#[test]
fn imagined_rollouts_have_the_rewards_and_the_end_of_the_model() {
    let model = |outcomes: &str, targets: &str, parts: &str| {
        planned(&format!(
            "model told
             horizon T = 6
             hidden environment line {{
               state  s : real
               action a : {{ left, right }}
               reward r in [-1, 0]
               s[1]   ~ Normal(mean = 0, sd = 1)
               s[t+1] ~ Normal(mean = s[t], sd = 0.5)
               r[t]   = -1
               end when s[t] > 100
             }}
             kernel pi(a | s) = Categorical(logits = linear(s))
             kernel world(s'{outcomes} | s, a) = {{ s: Normal(mean = s, sd = 0.5){parts} }}
             prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1]{targets} ~ world(s[t], \
             a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1]{targets} ~ world(s[t], \
             a[t]) }}
             infer {{ threads = 1 }}"
        ))
    };
    let episodes = 20_000;
    let told = |plan: &Plan| {
        evaluate(plan, &Parameters::<f64>::initial(&plan.model, 0), episodes, false, 3).unwrap()
    };
    let paid = ", r: Normal(mean = -0.3, sd = 0.05)";
    let ends = ", end: Bernoulli(logits = log(1/3))";
    // the step t is lived with probability (3/4)^(t-1)
    let steps: f64 = (0..6).map(|k| 0.75f64.powi(k)).sum();
    let both = told(&model(", r, end", ", r[t], end[t]", &format!("{paid}{ends}")));
    assert!(
        (both.expected_return + 0.3 * steps).abs() < 4.0 * both.return_se,
        "{} ± {}",
        both.expected_return,
        both.return_se
    );
    let length =
        both.lengths.iter().map(|&length| f64::from(length)).sum::<f64>() / episodes as f64;
    assert!((length - steps).abs() < 4.0 * 2.0 / (episodes as f64).sqrt(), "{length} {steps}");
    let turned = told(&model(", end, r", ", end[t], r[t]", &format!("{paid}{ends}")));
    assert!(
        (turned.expected_return + 0.3 * steps).abs() < 4.0 * turned.return_se,
        "{} ± {}",
        turned.expected_return,
        turned.return_se
    );
    let end = told(&model(", end", ", end[t]", ends));
    assert!(
        (end.expected_return + steps).abs() < 4.0 * end.return_se,
        "{} ± {}",
        end.expected_return,
        end.return_se
    );
    let reward = told(&model(", r", ", r[t]", paid));
    assert!(
        (reward.expected_return + 1.8).abs() < 4.0 * reward.return_se,
        "{} ± {}",
        reward.expected_return,
        reward.return_se
    );
}

#[test]
fn one_classifier_is_of_one_ratio() {
    let text = fork(TWO, "maximize fit over world; maximize dream over pi; steps = 2")
        .replace("bound dream", "BOUND bound dream");
    let second = "kernel other(s' | s, a) = Normal(mean = linear(s, a), sd = 1)
         bound again {
           prior      { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }
           likelihood { R[t] ~ exp(r[t]) }
           posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ other(s[t], a[t]) }
         }";
    assert!(try_plan(&text.replace("BOUND", "")).is_ok());
    let both =
        text.replace("BOUND", second).replace("over pi;", "over pi; maximize again over pi;");
    let told = try_plan(&both).map(|_| "planned");
    assert_eq!(told, Ok("planned"), "each has the default network");
    let one = both.replace("steps = 2", "steps = 2; ratio = mlp(s, a, s', hidden = [4])");
    let told = try_plan(&one).map(|_| "planned").expect_err("two ratios, and one network");
    assert!(told.contains("cannot be the logit of 2 ratios"), "{told}");
}
