//! Densities of kernels and of distributions in place, wherever a bound compares them: exactly
//! against all trajectories of finite models, by quadrature and by what they teach otherwise.

use super::testing::{numbers, planned};
use crate::engine::family::{Draws, Family};
use crate::engine::proof::listed::mean_gradient;
use crate::engine::tests::ratios::exact_bound;
use crate::engine::{Parameters, exact_gradient, gradient_estimates, infer};
use crate::model::ParameterId;
use crate::plan::Plan;

/// The mean of the estimates of all trajectories is the oracle's gradient, and their value its
/// bound.
fn assert_exact(text: &str) {
    let plan = planned(text);
    for (size, seed) in [(0.3, 1), (1.0, 2), (3.0, 3)] {
        let mut parameters = Parameters::<f64>::initial(&plan.model, seed);
        let noise = numbers(parameters.values().len(), seed);
        let values = parameters.values_mut().iter_mut().zip(noise);
        values.for_each(|(value, noise)| *value += size * noise);
        let mean = mean_gradient(&plan, &parameters, 20_000).unwrap();
        let bound = exact_bound(&plan, &parameters);
        assert!((mean.bound - bound).abs() < 1e-9 * bound.abs(), "{} {bound}\n{text}", mean.bound);
        let exact = exact_gradient(&plan, &parameters, &parameters).unwrap();
        let largest = exact.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
        assert!(largest > 1e-6);
        for at in plan.trained.iter().flat_map(|&id| parameters.layout().range(id)) {
            let (found, right) = (mean.gradient[at], exact[at]);
            assert!((found - right).abs() <= 1e-9 * largest, "{found} is not {right}\n{text}");
        }
    }
}

fn chain(kernels: &str, prior: &str, posterior: &str, auxiliary: &str) -> String {
    format!(
        "model chain
         horizon T = 2
         environment e {{
           state s : 0..2
           action a : {{ x: 0..1, y: 0..1 }}
           reward r in [-3, 0]
           s[1]   ~ Categorical(probs = [0.6, 0.4, 0])
           s[t+1] ~ Mixture(0.7: Delta(min(s[t] + a[t].x, 2)), 0.3: Uniform)
           r[t]   = -0.3 * a[t].y - abs(s[t+1] - 1)
         }}
         {kernels}
         prior      {{ s[1] ~ e.initial; {prior}; s[t+1] ~ e.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior  {{ s[1] ~ e.initial; {posterior}; s[t+1] ~ e.transition(s[t], a[t]) }}
         {auxiliary}
         infer {{ trajectories = 4; threads = 1; precision = f64 }}"
    )
}

const PI: &str = "kernel pi(a | s) = Categorical(logits = table(s))";

#[test]
fn a_prior_in_place_may_be_a_record_of_parts() {
    let parts = "{ x: Bernoulli(probs = if s[t] == 1 then 0.2 else 0.6), y: Categorical(probs = \
                 [0.7, 0.3]) }";
    assert_exact(&chain(PI, &format!("a[t] ~ {parts}"), "a[t] ~ pi(s[t])", ""));
    let mixed = format!("a[t] ~ Mixture(0.4: {parts}, 0.6: Uniform)");
    assert_exact(&chain(PI, &mixed, "a[t] ~ pi(s[t])", ""));
}

#[test]
fn options_have_priors_and_reverse_models_in_place() {
    let option = "option o : { u: 0..1, v: 0..1 }
         kernel pi(a | s, o) = Categorical(logits = table(s, o))
         kernel pick(o | s) = Categorical(logits = table(s))";
    let draws = "o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t])";
    let parts = "{ u: Bernoulli(probs = if s[t] == 1 then 0.2 else 0.6), v: Delta(0) }";
    let wide = format!("Mixture(0.5: {parts}, 0.5: Uniform)");
    assert_exact(&chain(option, &format!("o[t] ~ {wide}; a[t] ~ Uniform"), draws, ""));
    // what has been done tells of it
    let reverse = "Mixture(0.8: { u: Delta(a[t].x), v: Bernoulli(probs = 0.5) }, 0.2: Uniform)";
    let auxiliary = format!("auxiliary {{ o[t] ~ {reverse} }}");
    assert_exact(&chain(option, "a[t] ~ Uniform", draws, &auxiliary));
}

/// A divergence that has no closed form here, since the two are of two families, is sampled.
#[test]
fn a_prior_of_another_family_is_weighed_at_the_draw() {
    let coin = "option o : 2
         kernel pi(a | s, o) = Categorical(logits = table(s, o))
         kernel pick(o | s) = Bernoulli(logits = table(s))
         kernel other(o | s) = Categorical(logits = table(s))";
    let draws = "o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t])";
    assert_exact(&chain(coin, "o[t] ~ other(s[t]); a[t] ~ Uniform", draws, ""));
    let two = "model two
         horizon T = 2
         environment e {
           state s : 0..2; action a : { left, right }; reward r in [-2, 0]
           s[1] ~ Uniform
           s[t+1] ~ Mixture(0.7: Delta(min(s[t] + a[t], 2)), 0.3: Uniform)
           r[t] = -abs(s[t+1] - 1)
         }
         kernel pi(a | s) = Bernoulli(logits = table(s))
         kernel other(a | s) = Categorical(logits = table(s))
         prior      { s[1] ~ e.initial; a[t] ~ other(s[t]); s[t+1] ~ e.transition(s[t], a[t]) }
         likelihood { R[t] ~ exp(r[t]) }
         posterior  { s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ e.transition(s[t], a[t]) }
         infer { trajectories = 4; threads = 1; precision = f64 }";
    assert_exact(two);
}

/// `log p` of a squashed normal at a value, and its slopes, are those of the normal before `tanh`
/// but for the slope of that.
#[test]
fn a_squashed_density_at_a_value_is_that_of_what_was_squashed() {
    let plan = planned(
        "model squashed
         horizon T = 1
         environment e {
           state s : 0..1; action a : real in [-1, 3]; reward r
           s[1] ~ Delta(0); s[t+1] ~ Delta(0); r[t] = a[t] - 3
         }
         kernel pi(a | s) = TanhNormal(mean = table(s), sd = exp(table(s)))
         prior      { s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }
         likelihood { R[t] ~ exp(r[t]) }
         posterior  { s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ e.transition(s[t], a[t]) }",
    );
    let head = &plan.draws[0].head;
    let (before, after) = (Family::of(head), Family::at_values(head));
    for (u, tolerance) in [(-2.0f64, 1e-12), (0.3, 1e-12), (1.5, 1e-12), (8.0, 1e-7)] {
        let rows = [0.4, 0.7];
        let told = |family: &Family, real: f64| {
            let draws = Draws { numbers: vec![], reals: vec![real] };
            let mut out = [0.0];
            family.log_probs(&rows, &draws, 0..1, &mut out);
            out[0] + family.log_squash(&draws, 0)
        };
        let (log_u, log_x) = (told(&before, u), told(&after, 1.0 + 2.0 * u.tanh()));
        assert!((log_u - log_x).abs() < tolerance * log_u.abs(), "{u}: {log_u} and {log_x}");
    }
}

fn learned(plan: &Plan, parameters: &Parameters<f64>, name: &str) -> f64 {
    let known = plan.model.network.parameters.iter().position(|one| one.name == name);
    let id = known.unwrap_or_else(|| panic!("{name}"));
    parameters.values()[parameters.layout().range(ParameterId(id as u32)).start]
}

/// A model of a bounded world is learned by the likelihood of where real steps lead.
#[test]
fn a_squashed_model_is_learned_from_a_squashed_world() {
    let plan = planned(
        "model squashed
         horizon T = 8
         environment line {
           state s : real in [-2, 2]; action a : { left, right }; reward r
           s[1]   ~ Uniform
           s[t+1] ~ TanhNormal(mean = 0.5 * s[t] + 0.6 * a[t] - 0.3, sd = 0.4)
           r[t]   = 0
         }
         kernel world(s' | s, a) = TanhNormal(mean = linear(s, a), sd = 0.01 + softplus(linear(1)))
         prior     { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ world(s[t], a[t]) }
         likelihood { R[t] ~ exp(0 * r[t]) }
         posterior { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }
         infer { trajectories = 64; steps = 400; threads = 1;
                 optimizer = adam(rate = ramp(from = 0.05, to = 0)) }",
    );
    let run = infer(&plan, &mut ()).unwrap();
    let slope = learned(&plan, &run.parameters, "world.mean.0.weight");
    assert!((slope - 0.5).abs() < 0.03, "{slope}");
    let sd = learned(&plan, &run.parameters, "world.sd.0.bias")
        + learned(&plan, &run.parameters, "world.sd.0.weight");
    let sd = 0.01 + (1.0 + sd.exp()).ln();
    assert!((sd - 0.4).abs() < 0.02, "{sd}");
    // log p(s') of a perfect model is the environment's own
    assert!(run.evaluation.bound.abs() < 0.02, "{}", run.evaluation.bound);
}

/// A start over real numbers comes to that of the environment, from which the bound takes it off.
#[test]
fn a_real_start_is_compared_with_the_environment_s_own() {
    let plan = planned(
        "model started
         horizon T = 2
         environment line {
           state s : real; action a : { left, right }; reward r
           s[1]   ~ Mixture(0.5: Normal(mean = 1.2, sd = 0.5), 0.5: Normal(mean = 1.2, sd = 0.5))
           s[t+1] ~ Normal(mean = s[t], sd = 1)
           r[t]   = 0
         }
         kernel start(s) = Normal(mean = linear(1), sd = 0.01 + softplus(linear(1)))
         prior      { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }
         likelihood { R[t] ~ exp(0 * r[t]) }
         posterior  { s[1] ~ start; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }
         infer { trajectories = 128; steps = 600; threads = 1; precision = f64;
                 optimizer = adam(rate = ramp(from = 0.05, to = 0)) }",
    );
    let run = infer(&plan, &mut ()).unwrap();
    let of = |what: &str| {
        ["weight", "bias"]
            .map(|part| learned(&plan, &run.parameters, &format!("start.{what}.0.{part}")))
            .iter()
            .sum::<f64>()
    };
    let (mean, sd) = (of("mean"), 0.01 + (1.0 + of("sd").exp()).ln());
    assert!((mean - 1.2).abs() < 0.03 && (sd - 0.5).abs() < 0.03, "{mean} {sd}");
    assert!(run.evaluation.bound.abs() < 0.02, "{}", run.evaluation.bound);
}

/// The gradient of a real option beside a prior that has no closed form with it is the slope of the
/// bound, by quadrature.
#[test]
fn a_real_option_is_weighed_beside_a_mixture_in_place() {
    let plan = planned(
        "model one
         horizon T = 1
         option o : real
         environment e {
           state s : 0..1; action a : { left, right }; reward r in [-1, 0]
           s[1] ~ Delta(0); s[t+1] ~ Delta(0); r[t] = -a[t]
         }
         kernel pi(a | s) = Categorical(logits = table(s))
         kernel pick(o | s) = Normal(mean = table(s), sd = exp(table(s)))
         prior      { s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t])
                      o[t] ~ Mixture(0.3: Normal(mean = -1, sd = 0.5), 0.7: Laplace(mean = 1, \
         scale = 0.8)) }
         likelihood { R[t] ~ exp(r[t]) }
         posterior  { s[1] ~ e.initial; o[t] ~ pick(s[t]); a[t] ~ pi(s[t]);
                      s[t+1] ~ e.transition(s[t], a[t]) }
         infer { trajectories = 2000; threads = 1; precision = f64; baseline = none }",
    );
    let parameters = Parameters::<f64>::initial(&plan.model, 0);
    let bound = |mean: f64, sd: f64| -> f64 {
        let step = 1e-3;
        let each = (-12_000..12_000).map(|k| {
            let x = (f64::from(k) + 0.5) * step;
            let normal = |x: f64, mean: f64, sd: f64| {
                (-0.5 * ((x - mean) / sd).powi(2)).exp() / (sd * std::f64::consts::TAU.sqrt())
            };
            let p = 0.3 * normal(x, -1.0, 0.5) + 0.7 * (-(x - 1.0).abs() / 0.8).exp() / 1.6;
            let q = normal(x, mean, sd);
            if q > 0.0 { q * (p.ln() - q.ln()) * step } else { 0.0 }
        });
        each.sum()
    };
    let h = 1e-4;
    let wanted = [
        (bound(h, 1.0) - bound(-h, 1.0)) / (2.0 * h),
        (bound(0.0, h.exp()) - bound(0.0, (-h).exp())) / (2.0 * h),
    ];
    let estimates = gradient_estimates(&plan, &parameters, 0..24).unwrap();
    for (name, wanted) in ["pick.mean.0.table", "pick.sd.0.table"].iter().zip(wanted) {
        let id = plan.model.network.parameters.iter().position(|one| one.name == *name).unwrap();
        let at = parameters.layout().range(ParameterId(id as u32)).start;
        let found: Vec<f64> = estimates.iter().map(|one| one[at]).collect();
        let count = found.len() as f64;
        let mean = found.iter().sum::<f64>() / count;
        let variance = found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let error = (variance / count).sqrt();
        assert!((mean - wanted).abs() < 4.0 * error, "{name}: {mean} ± {error}, {wanted}");
    }
}

/// Two files whose parameters are the same numbers in the same order have one bound and one
/// gradient.
fn assert_same(one: &str, other: &str) {
    let [one, other] = [planned(one), planned(other)];
    for (size, seed) in [(0.3, 1), (2.0, 2)] {
        let mean = |plan: &Plan| {
            let mut parameters = Parameters::<f64>::initial(&plan.model, 0);
            let noise = numbers(parameters.values().len(), seed);
            let values = parameters.values_mut().iter_mut().zip(noise);
            values.for_each(|(value, noise)| *value = size * noise);
            mean_gradient(plan, &parameters, 20_000).unwrap()
        };
        let (mine, theirs) = (mean(&one), mean(&other));
        assert!((mine.bound - theirs.bound).abs() < 1e-12, "{} {}", mine.bound, theirs.bound);
        assert_eq!(mine.gradient.len(), theirs.gradient.len());
        let largest = theirs.gradient.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
        for (mine, theirs) in mine.gradient.iter().zip(&theirs.gradient) {
            assert!((mine - theirs).abs() <= 1e-12 * largest, "{mine} {theirs}");
        }
    }
}

/// A chain with an option, and what stands in its likelihood, or in its reverse model.
fn with_option(kernels: &str, likelihood: &str, auxiliary: &str) -> String {
    format!(
        "model chain
         horizon T = 2
         option o : 2
         environment e {{
           state s : 0..2
           action a : {{ left, right }}
           reward r in [-3, 0]
           s[1]   ~ Categorical(probs = [0.6, 0.4, 0])
           s[t+1] ~ Mixture(0.7: Delta(min(s[t] + a[t], 2)), 0.3: Uniform)
           r[t]   = -0.3 * a[t] - abs(s[t+1] - 1)
         }}
         kernel pi(a | s, o) = Categorical(logits = table(s, o))
         kernel pick(o | s) = Categorical(logits = table(s))
         {kernels}
         prior      {{ s[1] ~ e.initial; {} a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]); {likelihood} }}
         posterior  {{ s[1] ~ e.initial; o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t]);
                      s[t+1] ~ e.transition(s[t], a[t]) }}
         {auxiliary}
         infer {{ trajectories = 4; threads = 1; precision = f64 }}",
        if auxiliary.is_empty() { "o[t] ~ Uniform;" } else { "" }
    )
}

#[test]
fn a_likelihood_of_several_values_is_that_of_each() {
    let split = with_option(
        "kernel of_option(o | s, next: s) = Categorical(logits = table(s, next))
         kernel of_action(a | s, next: s) = Categorical(logits = table(s) + table(next))",
        "H[t] ~ of_option(o[t] | s[t], s[t+1]); G[t] ~ of_action(a[t] | s[t], s[t+1])",
        "",
    );
    assert_exact(&split);
    let joint = with_option(
        "kernel both(o, a | s, next: s) = { o: Categorical(logits = table(s, next)),
                                            a: Categorical(logits = table(s) + table(next)) }",
        "H[t] ~ both(o[t], a[t] | s[t], s[t+1])",
        "",
    );
    assert_same(&joint, &split);
}

/// How probable a step was in the world itself may be a part of what is likely.
#[test]
fn an_environment_s_own_density_is_a_likelihood() {
    let written = "exp(log(0.7 * (if s[t+1] == min(s[t] + a[t], 2) then 1 else 0) + 0.1))";
    let written = with_option("", &format!("H[t] ~ {written}"), "");
    assert_exact(&written);
    assert_same(&with_option("", "H[t] ~ e.transition(s[t+1] | s[t], a[t])", ""), &written);
}

#[test]
fn kernels_read_rewards_and_windows_of_fixed_times_and_none() {
    let reverse = |kernel: &str, arguments: &str| {
        with_option(kernel, "", &format!("auxiliary {{ o[t] ~ back({arguments}) }}"))
    };
    let paid = reverse("kernel back(o | s, r) = Categorical(logits = linear(s, r))", "s[t], r[t]");
    let computed = "kernel back(o | s, a, next: s) = Categorical(logits = linear(s, \
                    -0.3 * a - abs(next - 1)))";
    assert_same(&paid, &reverse(computed, "s[t], a[t], s[t+1]"));
    let window = "kernel back(o | seen: s[2]) = Categorical(logits = linear(seen))";
    let each = "kernel back(o | one: s, two: s) = Categorical(logits = linear(one, two))";
    assert_same(&reverse(window, "s[T..T+1]"), &reverse(each, "s[T], s[T+1]"));
    let none = "kernel back(o | s, soon: s?) = Categorical(logits = table(s, soon))";
    assert_same(&reverse(none, "s[t], none"), &reverse(none, "s[t], s[t-2]"));
}

/// The end is certain where the environment says so: what is left is what the model makes of it.
#[test]
fn a_model_of_the_end_is_weighed_beside_a_known_environment() {
    let file = |kernels: &str, prior: &str| {
        format!(
            "model ends
             horizon T = 3
             environment e {{
               state s : 0..2
               action a : {{ left, right }}
               reward r in [-2, 0]
               s[1]   ~ Categorical(probs = [0.6, 0.4, 0])
               s[t+1] ~ Mixture(0.7: Delta(min(s[t] + a[t], 2)), 0.3: Delta(0))
               r[t]   = -abs(s[t+1] - 1)
               end when s[t] == 2
             }}
             kernel pi(a | s) = Categorical(logits = table(s))
             {kernels}
             prior      {{ s[1] ~ e.initial; a[t] ~ Uniform; {prior} }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior  {{ s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ e.transition(s[t], a[t]) }}
             infer {{ trajectories = 4; threads = 1; precision = f64 }}"
        )
    };
    let plan = planned(&file(
        "kernel world(s', end | s, a) = { s: Categorical(logits = table(s, a)),
                                          end: Bernoulli(logits = table(s)) }",
        "s[t+1], end[t] ~ world(s[t], a[t])",
    ));
    // the slopes of the bound of all trajectories, by differences
    let mut parameters = Parameters::<f64>::initial(&plan.model, 0);
    let noise = numbers(parameters.values().len(), 1);
    parameters.values_mut().copy_from_slice(&noise);
    let gradient = mean_gradient(&plan, &parameters, 20_000).unwrap().gradient;
    let h = 1e-5;
    let trained = plan.trained.iter().flat_map(|&id| parameters.layout().range(id));
    for at in trained.collect::<Vec<usize>>() {
        let mut bound = |by: f64| {
            parameters.values_mut()[at] += by;
            let bound = mean_gradient(&plan, &parameters, 20_000).unwrap().bound;
            parameters.values_mut()[at] -= by;
            bound
        };
        let slope = (bound(h) - bound(-h)) / (2.0 * h);
        assert!((gradient[at] - slope).abs() < 1e-7, "{} is not {slope}", gradient[at]);
    }
}
