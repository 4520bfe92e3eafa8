//! Kernels of the posterior that draw rewards and the end of an episode, and first states that read
//! what their step draws: moved by their scores, and through their draws.

use super::testing::{numbers, planned};
use crate::engine::proof::assess::compare;
use crate::engine::proof::listed::mean_gradient;
use crate::engine::{Parameters, evaluate};
use crate::plan::{Alternative, Baseline, Claim, Plan, alternatives};

const MOST: usize = 30_000;

/// Two states, of which the environment ends the second; a model of the posterior's own draws the
/// end, too.
fn ending(horizon: usize, kernels: &str, blocks: [&str; 3], infer: &str) -> String {
    let [prior, likelihood, posterior] = blocks;
    format!(
        "model ending
         horizon T = {horizon}
         environment e {{
           state  s : 0..1
           action a : {{ left, right }}
           reward r in [-2, 0]
           s[1]   ~ Categorical(probs = [0.7, 0.3])
           s[t+1] ~ Mixture(0.8: Delta(a[t]), 0.2: Uniform)
           r[t]   = -0.3 * a[t] - abs(s[t+1] - s[t])
           end when s[t] == 1
         }}
         kernel pi(a | s) = Categorical(logits = table(s))
         {kernels}
         prior      {{ s[1] ~ e.initial; {prior} }}
         likelihood {{ R[t] ~ exp(r[t]); {likelihood} }}
         posterior  {{ s[1] ~ e.initial; {posterior} }}
         infer      {{ trajectories = 4; threads = 1; precision = f64; {infer} }}"
    )
}

/// Parameters away from the initial ones.
fn parameters(plan: &Plan, size: f64, seed: u64) -> Parameters<f64> {
    let mut parameters = Parameters::<f64>::initial(&plan.model, seed);
    let noise = numbers(parameters.values().len(), seed);
    let values = parameters.values_mut().iter_mut().zip(noise);
    values.for_each(|(value, noise)| *value += size * noise);
    parameters
}

/// Holds the mean gradient over all trajectories of each unbiased estimator against the slope of
/// their mean bound; how many numbers move.
fn assert_slope(text: &str) -> usize {
    let model = super::testing::checked(text).unwrap_or_else(|errors| panic!("{errors}"));
    let all = alternatives(&model, &crate::bound::derive(&model).unwrap()).unwrap();
    let plan = planned(text);
    let mut moved = 0;
    for (size, seed) in [(0.3, 1), (1.0, 2)] {
        let at = parameters(&plan, size, seed);
        let bound = |number: usize, by: f64| {
            let mut at = at.clone();
            at.values_mut()[number] += by;
            mean_gradient(&plan, &at, MOST).unwrap().bound
        };
        let layout = at.layout();
        let trained: Vec<usize> = plan.trained.iter().flat_map(|&id| layout.range(id)).collect();
        let slope = |number: usize| {
            let h = 1e-3;
            let near = bound(number, h) - bound(number, -h);
            let far = bound(number, 2.0 * h) - bound(number, -2.0 * h);
            (8.0 * near - far) / (12.0 * h)
        };
        let slopes: Vec<f64> = trained.iter().map(|&number| slope(number)).collect();
        let scale = slopes.iter().fold(0.0, |scale: f64, slope| scale.max(slope.abs()));
        assert!(scale > 1e-3, "nothing moves");
        for Alternative { name, plan, .. } in all.iter().filter(|one| one.claim == Claim::Unbiased)
        {
            let found = mean_gradient(plan, &at, MOST).unwrap();
            assert!((found.probability - 1.0).abs() < 1e-9, "{name}: {}", found.probability);
            for (&number, &slope) in trained.iter().zip(&slopes) {
                let found = found.gradient[number];
                assert!(
                    (found - slope).abs() <= 1e-9 * scale,
                    "{name}, size {size}: {found} at {number}, the slope is {slope}"
                );
            }
        }
        moved = slopes.iter().filter(|slope| slope.abs() > 1e-6 * scale).count();
    }
    moved
}

const JOINT: &str = "kernel world(s', end | s, a) = {
                       s: Categorical(logits = table(s, a)),
                       end: Bernoulli(logits = table(s, a))
                     }";

#[test]
fn the_score_of_a_model_is_that_of_all_it_draws() {
    let step = "s[t+1], end[t] ~ world(s[t], a[t])";
    let (prior, posterior) =
        (format!("a[t] ~ Uniform; {step}"), format!("a[t] ~ pi(s[t]); {step}"));
    let blocks = [&prior[..], "S[t] ~ exp(-0.2 * t * s[t])", &posterior];
    // beside the policy, with a value that is learned, and alone
    let moved = assert_slope(&ending(3, JOINT, blocks, ""));
    assert!(moved >= 12, "{moved}");
    assert_slope(&ending(3, JOINT, blocks, "baseline = table(s, t)"));
    let fixed = [&prior[..], blocks[1], &format!("a[t] ~ Uniform; {step}")];
    assert_slope(&ending(3, JOINT, fixed, ""));
    // beside another one in the prior, which moves, too
    let other = JOINT.replace("world", "belief").replace("table(s, a)", "table(a)");
    let prior = format!("a[t] ~ Uniform; {}", step.replace("world", "belief"));
    let both = [&prior[..], blocks[1], &posterior];
    assert_slope(&ending(3, &format!("{JOINT}\n{other}"), both, ""));
}

/// The end in a factor of its own, which reads what the step leads to, beside a model of the
/// posterior's own, or beside the environment's steps.
#[test]
fn the_end_may_be_drawn_in_a_factor_of_its_own() {
    let kernels = "kernel world(s' | s, a) = Categorical(logits = table(s, a))
                   kernel stops(end | s, a, next: s) = Bernoulli(logits = table(s, a, next))
                   kernel late(end | s, t) = Bernoulli(logits = table(s, t))";
    let real = "s[t+1] ~ e.transition(s[t], a[t])";
    // of another kernel in the prior, which is compared with it
    let other =
        format!("{kernels}\nkernel chance(end | next: s) = Bernoulli(logits = table(next))");
    let prior = format!("a[t] ~ Uniform; {real}; end[t] ~ chance(s[t+1])");
    let posterior = format!("a[t] ~ pi(s[t]); {real}; end[t] ~ stops(s[t], a[t], s[t+1])");
    assert_slope(&ending(3, &other, [&prior[..], "S[t] ~ exp(-0.2 * t * s[t])", &posterior], ""));
    for end in ["end[t] ~ stops(s[t], a[t], s[t+1])", "end[t] ~ late(s[t], t)"] {
        for step in ["s[t+1] ~ world(s[t], a[t])", real] {
            let prior = format!("a[t] ~ Uniform; {step}; {end}");
            let posterior = format!("a[t] ~ pi(s[t]); {step}; {end}");
            let blocks = [&prior[..], "S[t] ~ exp(-0.2 * t * s[t])", &posterior];
            let moved = assert_slope(&ending(3, kernels, blocks, ""));
            assert!(moved >= 6, "{end}, {step}: {moved}");
        }
    }
}

/// A line on which a model draws rewards, too.
fn paid(reward: &str, infer: &str) -> String {
    let step = "s[t+1], r[t] ~ world(s[t], a[t])";
    let world = "kernel world(s', r | s, a) = { s: Normal(mean = s + linear(s, a), sd = 0.5), r: ";
    on_line(&format!("{world} {reward} }}"), step, infer)
}

fn on_line(kernels: &str, step: &str, infer: &str) -> String {
    format!(
        "model paid
         horizon T = 2
         hidden environment line {{
           state  s : real
           action a : {{ left, right }}
           reward r in [-2, 2]
           s[1]   ~ Normal(mean = 0, sd = 1)
           s[t+1] ~ Normal(mean = s[t] + a[t], sd = 0.5)
           r[t]   = -1
         }}
         kernel pi(a | s) = Categorical(logits = linear(s))
         {kernels}
         prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; {step} }}
         likelihood {{ R[t] ~ exp(-0.3 * (r[t] - 1) ^ 2 - 0.1 * s[t] ^ 2) }}
         posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); {step} }}
         infer      {{ trajectories = 16; threads = 1; precision = f64; {infer} }}"
    )
}

#[test]
fn scores_of_rewards_have_the_mean_of_gradients_through_them() {
    for reward in [
        "Normal(mean = linear(s, a), sd = 0.1 + softplus(linear(s)))",
        "Laplace(mean = linear(s, a), scale = 0.5)",
        "TanhNormal(mean = linear(s, a), sd = 0.4)",
        "Beta(a = 1 + softplus(linear(s)), b = 1.5)",
    ] {
        let plan = planned(&paid(reward, "estimator = pathwise"));
        let by_scores = planned(&paid(reward, ""));
        assert!(plan.is_pathwise() && !by_scores.is_pathwise(), "{reward}");
        assert!(by_scores.settings.baseline == Baseline::LeaveOneOut);
        let found = compare(&plan, &by_scores, (3, 1)).unwrap();
        assert!(found.holds() && found.components >= 8, "{reward}: {found:?}");
    }
}

/// Rewards of factors of their own: behind the next state, of which they read, and before it, which
/// reads them.
#[test]
fn rewards_of_their_own_have_one_mean_by_scores_and_by_draws() {
    let behind = (
        "kernel world(s' | s, a) = Normal(mean = s + linear(s, a), sd = 0.5)
         kernel pay(r | s, a, next: s) = Normal(mean = mlp(s, a, next, hidden = [4]), sd = 0.3)",
        "r[t] ~ pay(s[t], a[t], s[t+1]); s[t+1] ~ world(s[t], a[t])",
    );
    let ahead = (
        "kernel world(s' | s, a, r) = Normal(mean = s + linear(s, a, r), sd = 0.5)
         kernel pay(r | s, a) = Laplace(mean = linear(s, a), scale = 0.3)",
        "s[t+1] ~ world(s[t], a[t], r[t]); r[t] ~ pay(s[t], a[t])",
    );
    // what is no smooth function of noise keeps its score beside the next state, which is
    let mixed = (
        "kernel world(s' | s, a) = Normal(mean = s + linear(s, a), sd = 0.5)
         kernel pay(r | s, a, next: s) = Mixture(0.4: Normal(mean = linear(s, next), sd = 0.5),
                                                 0.6: Normal(mean = linear(a), sd = 0.2))",
        "s[t+1] ~ world(s[t], a[t]); r[t] ~ pay(s[t], a[t], s[t+1])",
    );
    for (kernels, step) in [behind, ahead, mixed] {
        let plan = planned(&on_line(kernels, step, "estimator = pathwise"));
        let by_scores = planned(&on_line(kernels, step, ""));
        assert!(plan.is_pathwise() && !by_scores.is_pathwise(), "{step}");
        let found = compare(&plan, &by_scores, (3, 1)).unwrap();
        assert!(found.holds() && found.components >= 8, "{step}: {found:?}");
    }
}

/// First states that are drawn from an option, which is drawn once, or at every step from the last.
#[test]
fn a_start_reads_what_its_step_draws_before() {
    let text = |pick: &str, option: &str, prior: &str| {
        format!(
            "model aimed
             horizon T = 3
             environment e {{
               state  s : 0..1
               action a : {{ left, right }}
               reward r in [-2, 0]
               s[1]   ~ Categorical(probs = [0.7, 0.3])
               s[t+1] ~ Mixture(0.8: Delta(a[t]), 0.2: Uniform)
               r[t]   = -0.3 * a[t] - abs(s[t+1] - s[t])
             }}
             option o : 2
             {pick}
             kernel start(s | o) = Categorical(logits = table(o))
             kernel pi(a | s, o) = Categorical(logits = table(s, o))
             prior      {{ s[1] ~ e.initial; {prior}; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], \
             a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]); S[t] ~ exp(-0.2 * t * s[t]) }}
             posterior  {{ {option}; s[1] ~ start(o[1]); a[t] ~ pi(s[t], {read}); s[t+1] ~ \
             e.transition(s[t], a[t]) }}
             infer      {{ trajectories = 4; threads = 1; precision = f64 }}",
            read = if option.contains("o[t]") { "o[t]" } else { "o[1]" },
        )
    };
    let once =
        text("kernel pick(o) = Categorical(logits = linear(1))", "o[1] ~ pick()", "o[1] ~ Uniform");
    let each = text(
        "kernel pick(o | last: o?) = Categorical(logits = table(last))",
        "o[t] ~ pick(o[t-1])",
        "o[t] ~ Uniform",
    );
    for text in [once, each] {
        assert!(assert_slope(&text) >= 6);
        let plan = planned(&text);
        let at = parameters(&plan, 1.0, 2);
        let exact = mean_gradient(&plan, &at, MOST).unwrap().bound;
        let sampled = evaluate(&plan, &at, 40_000, false, 5).unwrap();
        let apart = (sampled.bound - exact).abs();
        assert!(apart < 4.0 * sampled.bound_se, "{} is not {exact}", sampled.bound);
    }
}

#[test]
fn a_start_that_reads_is_followed_with_what_it_reads() {
    let text = |infer: &str| {
        format!(
            "model aimed
             horizon T = 2
             hidden environment line {{
               state  s : real
               action a : {{ left, right }}
               reward r in [-2, 2]
               s[1]   ~ Normal(mean = 0, sd = 1)
               s[t+1] ~ Normal(mean = s[t] + a[t], sd = 0.5)
               r[t]   = -1
             }}
             option o : real
             kernel pick(o) = Normal(mean = linear(1), sd = 0.4)
             kernel start(s | o) = Normal(mean = linear(o), sd = 0.3)
             kernel pi(a | s, o) = Categorical(logits = linear(s, o))
             kernel world(s' | s, a) = Normal(mean = s + linear(s, a), sd = 0.5)
             prior      {{ s[1] ~ start(o[1]); o[1] ~ Normal(mean = 0, sd = 1); a[t] ~ Uniform; \
             s[t+1] ~ world(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(-0.3 * (s[t+1] - 1) ^ 2) }}
             posterior  {{ s[1] ~ start(o[1]); o[1] ~ pick(); a[t] ~ pi(s[t], o[1]); s[t+1] ~ \
             world(s[t], a[t]) }}
             infer      {{ trajectories = 16; threads = 1; precision = f64; {infer} }}"
        )
    };
    let (plan, by_scores) = (planned(&text("estimator = pathwise")), planned(&text("")));
    assert!(plan.is_pathwise() && !by_scores.is_pathwise());
    let found = compare(&plan, &by_scores, (3, 1)).unwrap();
    assert!(found.holds() && found.components >= 8, "{found:?}");
}

/// A state that a mixture draws with a reward keeps its score beside a start that is followed, and
/// what reads a reward moves with it.
#[test]
fn each_factor_is_followed_or_scored_by_itself() {
    let start = "kernel start(s) = Normal(mean = linear(1), sd = 0.6)
                 kernel pi(a | s) = Categorical(logits = linear(s))";
    let blended = (
        "kernel world(s', r | s, a) = {
           s: Mixture(0.4: Normal(mean = linear(s, a), sd = 0.5), 0.6: Normal(mean = s, sd = 0.3)),
           r: Normal(mean = linear(s, a), sd = 0.4)
         }",
        "s[t+1], r[t] ~ world(s[t], a[t])",
        "-0.3 * (r[t] - 1) ^ 2 - 0.1 * s[t] ^ 2",
    );
    let told = (
        "kernel pay(r | s, a) = Normal(mean = linear(s, a), sd = 0.3)
         kernel world(s' | s, a, r) = Normal(mean = s + 3 * r + linear(a), sd = 0.5)",
        "r[t] ~ pay(s[t], a[t]); s[t+1] ~ world(s[t], a[t], r[t])",
        "-0.1 * (s[t+1] - 1) ^ 2",
    );
    let computed = (
        "kernel world(s' | s, a) = Normal(mean = s + linear(s, a), sd = 0.5)
         kernel pay(r | q, a) = Normal(mean = 2 * q + linear(a), sd = 0.3)",
        "s[t+1] ~ world(s[t], a[t]); r[t] ~ pay(q[t], a[t])",
        "-0.1 * (r[t] - 1) ^ 2",
    );
    for (kernels, step, likelihood) in [blended, told, computed] {
        let text = |infer: &str| {
            started(&format!("{start}\n{kernels}"), ["", "s[1] ~ start()", step], likelihood, infer)
        };
        assert_agrees(text, step);
    }
}

/// What is drawn before the start, and is followed into it: through the part of a mixture that was
/// taken, into the score of a start that keeps its own, and at the noise that the start has read.
#[test]
fn what_a_start_reads_is_followed_into_it_however_it_is_drawn() {
    let world = "kernel world(s' | s, a) = Normal(mean = s + linear(s, a), sd = 0.5)
                 kernel pi(a | s, o) = Categorical(logits = linear(s, o))";
    let (normal, mixture) = (
        "Normal(mean = linear(1), sd = 0.4)",
        "Mixture(0.4: Normal(mean = linear(1), sd = 0.4), 0.6: Normal(mean = 1, sd = 0.3))",
    );
    let given = "Normal(mean = linear(o), sd = 0.3)";
    let parts = "Mixture(0.4: Normal(mean = 2 * o, sd = 0.4), 0.6: Normal(mean = linear(o), sd = \
                 0.3))";
    for (pick, start) in [(mixture, given), (normal, parts)] {
        let kernels = format!(
            "option o : real
             kernel pick(o) = {pick}
             kernel start(s | o) = {start}
             {world}"
        );
        let blocks = ["o[1] ~ pick()", "s[1] ~ start(o[1])", "s[t+1] ~ world(s[t], a[t])"];
        let text = |infer: &str| started(&kernels, blocks, "-0.3 * (s[t+1] - 1) ^ 2", infer);
        assert_agrees(text, pick);
    }
}

/// A line whose starts are drawn, too, of what is the same in the prior.
fn started(
    kernels: &str,
    [option, start, step]: [&str; 3],
    likelihood: &str,
    infer: &str,
) -> String {
    let policy = if option.is_empty() { "pi(s[t])" } else { "pi(s[t], o[1])" };
    let option = if option.is_empty() { String::new() } else { format!("{option};") };
    format!(
        "model started
         horizon T = 2
         environment line {{
           state  s : real
           action a : {{ left, right }}
           reward r in [-2, 2]
           reward q in [-9, 9]
           s[1]   ~ Normal(mean = 0, sd = 1)
           s[t+1] ~ Normal(mean = s[t] + a[t], sd = 0.5)
           r[t]   = -1
           q[t]   = s[t+1] - 0.5 * s[t]
         }}
         {kernels}
         prior      {{ {option} {start}; a[t] ~ Uniform; {step} }}
         likelihood {{ R[t] ~ exp({likelihood}) }}
         posterior  {{ {option} {start}; a[t] ~ {policy}; {step} }}
         infer      {{ trajectories = 16; threads = 1; precision = f64; {infer} }}"
    )
}

/// Gradients through draws have the mean of those by scores.
fn assert_agrees(text: impl Fn(&str) -> String, what: &str) {
    let (plan, by_scores) = (planned(&text("estimator = pathwise")), planned(&text("")));
    assert!(plan.is_pathwise() && !by_scores.is_pathwise(), "{what}");
    let found = compare(&plan, &by_scores, (3, 1)).unwrap();
    assert!(found.holds() && found.components >= 8, "{what}: {found:?}");
}
