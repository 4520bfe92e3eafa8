//! Training with options as a whole: what runs promise about bits, what is sampled against the oracle, and what a policy without memory cannot do.

use super::testing::{After, Log, planned};
use super::train::{infer, resume};
use super::{Parameters, evaluate, kernel_tables, random_parameters};
use crate::exact::Evaluator;
use crate::plan::Plan;

/// Two ends, the goal between them, and two cells beside it that look alike. The policy sees `x[t]` and its option.
fn aliased(reverse: &str, auxiliary: &str, prior: &str, infer: &str) -> Plan {
    planned(&format!(
        "model aliased
         horizon T = 6
         let looks = [0, 1, 2, 1, 3]
         environment corridor {{
           state s : 0..4
           action a : {{ left, right }}
           observation x : 0..3
           reward r in [-1, 0]
           s[1]   ~ Categorical(probs = [0.5, 0, 0, 0, 0.5])
           s[t+1] ~ Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 4))
           x[t]   ~ Delta(looks[s[t]])
           r[t]   = if s[t+1] == 2 then 0 else -1
           end when s[t] == 2
         }}
         option o : 2
         kernel pi(a | x, o) = Categorical(logits = table(x, o))
         kernel pick(o | x, last: o?) = Sticky(last, keep = sigmoid(linear(x)), fresh = Categorical(logits = table(x)))
         {reverse}
         prior      {{ s[1] ~ corridor.initial; x[t] ~ corridor.observation(s[t]); {prior} a[t] ~ Uniform; s[t+1] ~ corridor.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(2 * r[t]) }}
         posterior  {{ s[1] ~ corridor.initial; x[t] ~ corridor.observation(s[t]); o[t] ~ pick(x[t], o[t-1]); a[t] ~ pi(x[t], o[t])
                       s[t+1] ~ corridor.transition(s[t], a[t]) }}
         {auxiliary}
         infer {{ trajectories = 64; steps = 300; optimizer = adam(rate = ramp(from = 0.1, to = 0)); {infer} }}"
    ))
}

const BACK: &str = "kernel back(o | last: o?, s, a?, next: s) = Categorical(logits = mlp(last, s, a, next, hidden = [8]))";
const LOOKS_BACK: &str = "auxiliary { o[t] ~ back(o[t-1], s[t], a[t], s[t+1]) }";

fn exact_bound(plan: &Plan, parameters: &Parameters<f64>) -> f64 {
    let bound = plan.derivation.bound;
    let tables = kernel_tables(&plan.model, bound, parameters, parameters).unwrap();
    Evaluator::new(&plan.model, bound).evaluate(&tables).unwrap().bound
}

#[test]
fn an_option_remembers_what_the_policy_does_not_see() {
    // exactly (L-BFGS over the flat policy): without memory no bound above -5.6 is reached, and the best of all is below -3.3
    for (reverse, auxiliary, prior) in [("", "", "o[t] ~ pick(x[t], o[t-1]);"), (BACK, LOOKS_BACK, "")] {
        for gradient in ["sampled", "enumerate"] {
            let plan = aliased(reverse, auxiliary, prior, &format!("seed = 1; threads = 1; options = {gradient}"));
            let run = infer(&plan, &mut ()).unwrap();
            let bound = exact_bound(&plan, &run.parameters);
            assert!((-3.6..=-3.3).contains(&bound), "options = {gradient}, {auxiliary}: {bound}");
        }
    }
}

#[test]
fn sampled_bounds_are_those_of_the_oracle() {
    let ahead = "kernel back(o | next: o?, s, a?) = Categorical(logits = table(next, s, a))";
    let window = "kernel back(o | next: o[2]?, s[3]?, a[3]?) = Categorical(logits = mlp(next, s, a, hidden = [8]))";
    let models = [
        ("", "", "o[t] ~ pick(x[t], o[t-1]);"),
        (BACK, LOOKS_BACK, ""),
        (ahead, "auxiliary { o[t] ~ back(o[t+1], s[t], a[t]) }", ""),
        (window, "auxiliary { o[t] ~ back(o[t+1..t+2], s[t-1..t+1], a[t-1..t+1]) }", ""),
    ];
    for (reverse, auxiliary, prior) in models {
        let plan = aliased(reverse, auxiliary, prior, "precision = f64; threads = 1");
        let parameters = random_parameters(&plan, 3).unwrap();
        let exact = exact_bound(&plan, &parameters);
        let played = evaluate(&plan, &parameters, 20_000, false, 5).unwrap();
        let z = (played.bound - exact) / played.bound_se;
        assert!(z.abs() < 4.0, "{auxiliary}: sampled {} ± {}, exactly {exact}", played.bound, played.bound_se);
        let terms: f64 = played.terms.iter().sum();
        assert!((terms - played.bound).abs() < 1e-9, "{auxiliary}: the terms sum to {terms}, the bound is {}", played.bound);
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads_and_after_a_pause() {
    for gradient in ["sampled", "enumerate"] {
        let plan = |threads: usize| {
            let mut plan = aliased(BACK, LOOKS_BACK, "", &format!("seed = 4; options = {gradient}; shards = 3"));
            (plan.settings.steps, plan.settings.threads) = (20, Some(threads));
            plan
        };
        let one = infer(&plan(1), &mut Log::default()).unwrap();
        let two = infer(&plan(2), &mut Log::default()).unwrap();
        assert_eq!(one.parameters.values(), two.parameters.values(), "{gradient}");
        let paused = infer(&plan(1), &mut After(7)).unwrap();
        let resumed = resume(&plan(2), &paused.checkpoint, &mut Log::default()).unwrap();
        assert_eq!(one.parameters.values(), resumed.parameters.values(), "{gradient}");
    }
}

#[test]
fn a_decoder_reads_real_states_and_the_past_of_actions() {
    let plan = planned(
        "model walk
         horizon T = 3
         environment line {
           state s : real
           action a : { left, right }
           s[1]   ~ Delta(0)
           s[t+1] ~ Normal(mean = s[t] + (if a[t] == right then 1 else -1), sd = 0.1)
         }
         option o : 2
         kernel pick(o | s) = Categorical(logits = linear(s))
         kernel pi(a | o, past: a[..]) = Categorical(logits = mlp(o, gru(past, hidden = 4), hidden = [8]))
         kernel decoder(o | goal: s, seen: a[..]) = Categorical(logits = mlp(goal, gru(seen, hidden = 4), hidden = [8]))
         prior      { s[1] ~ line.initial; o[1] ~ Uniform; a[t] ~ pi(o[1], a[..t-1]); s[t+1] ~ line.transition(s[t], a[t]) }
         likelihood { H[T] ~ decoder(o[1] | s[T+1], a[..T]) }
         posterior  { s[1] ~ line.initial; o[1] ~ pick(s[1]); a[t] ~ pi(o[1], a[..t-1]); s[t+1] ~ line.transition(s[t], a[t]) }
         infer { trajectories = 64; steps = 150; optimizer = adam(rate = 0.03); seed = 2; threads = 1 }",
    );
    let before = evaluate(&plan, &Parameters::initial(&plan.model, 2), 2000, false, 1).unwrap();
    let run = infer(&plan, &mut ()).unwrap();
    let after = evaluate(&plan, &run.parameters, 2000, false, 1).unwrap();
    // L + log 2 ≤ I(o; s[T+1]): 0 where nothing is told, log 2 where the option is read off the end
    assert!((before.bound + 2f64.ln()).abs() < 0.1, "{}", before.bound);
    assert!(after.bound > -0.05, "{} ± {}", after.bound, after.bound_se);
}
