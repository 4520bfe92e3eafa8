//! Training with options as a whole: what runs promise about bits, what is sampled against the
//! oracle, and what a policy without memory cannot do.

use super::testing::{Log, ended_after, numbers, planned};
use crate::bound::derive;
use crate::engine::run::train::gradient_estimates;
use crate::engine::{
    Parameters, SCALES, evaluate, kernel_tables, mean_gradient, random_parameters,
};
use crate::engine::{infer, resume};
use crate::exact::Evaluator;
use crate::model::{Overrides, check};
use crate::plan::{Plan, plan};
use crate::source::Source;
use crate::syntax::parse;

/// Two ends, the goal between them, and two cells beside it that look alike. The policy sees `x[t]`
/// and its option.
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
         kernel pick(o | x, last: o?) = Sticky(last, keep = sigmoid(linear(x)), fresh = \
         Categorical(logits = table(x)))
         {reverse}
         prior      {{ s[1] ~ corridor.initial; x[t] ~ corridor.observation(s[t]); {prior} a[t] ~ \
         Uniform; s[t+1] ~ corridor.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(2 * r[t]) }}
         posterior  {{ s[1] ~ corridor.initial; x[t] ~ corridor.observation(s[t]); o[t] ~ \
         pick(x[t], o[t-1]); a[t] ~ pi(x[t], o[t])
                       s[t+1] ~ corridor.transition(s[t], a[t]) }}
         {auxiliary}
         infer {{ trajectories = 64; steps = 300; optimizer = adam(rate = ramp(from = 0.1, to = \
         0)); {infer} }}"
    ))
}

const BACK: &str = "kernel back(o | last: o?, s, a?, next: s) = Categorical(logits = mlp(last, s, \
                    a, next, hidden = [8]))";
const LOOKS_BACK: &str = "auxiliary { o[t] ~ back(o[t-1], s[t], a[t], s[t+1]) }";

fn exact_bound(plan: &Plan, parameters: &Parameters<f64>) -> f64 {
    let bound = plan.derivation.bound;
    let tables = kernel_tables(&plan.model, bound, parameters, parameters).unwrap();
    Evaluator::new(&plan.model, bound).evaluate(&tables).unwrap().bound
}

#[test]
fn an_option_remembers_what_the_policy_does_not_see() {
    // exactly (L-BFGS over the flat policy): without memory no bound above -5.6 is reached, and the
    // best of all is below -3.3
    for (reverse, auxiliary, prior) in
        [("", "", "o[t] ~ pick(x[t], o[t-1]);"), (BACK, LOOKS_BACK, "")]
    {
        for gradient in ["sampled", "enumerate"] {
            let plan = aliased(
                reverse,
                auxiliary,
                prior,
                &format!("seed = 1; threads = 1; options = {gradient}"),
            );
            let run = infer(&plan, &mut ()).unwrap();
            let bound = exact_bound(&plan, &run.parameters);
            assert!((-3.6..=-3.3).contains(&bound), "options = {gradient}, {auxiliary}: {bound}");
        }
    }
}

#[test]
fn sampled_bounds_are_those_of_the_oracle() {
    let ahead = "kernel back(o | next: o?, s, a?) = Categorical(logits = table(next, s, a))";
    let window = "kernel back(o | next: o[2]?, s[3]?, a[3]?) = Categorical(logits = mlp(next, s, \
                  a, hidden = [8]))";
    let models = [
        ("", "", "o[t] ~ pick(x[t], o[t-1]);"),
        (BACK, LOOKS_BACK, ""),
        (ahead, "auxiliary { o[t] ~ back(o[t+1], s[t], a[t]) }", ""),
        (window, "auxiliary { o[t] ~ back(o[t+1..t+2], s[t-1..t+1], a[t-1..t+1]) }", ""),
    ];
    for (reverse, auxiliary, prior) in models {
        let plan = aliased(reverse, auxiliary, prior, "precision = f64; threads = 1");
        let parameters = random_parameters(&plan, SCALES[1], 3).unwrap();
        let exact = exact_bound(&plan, &parameters);
        let played = evaluate(&plan, &parameters, 20_000, false, 5).unwrap();
        let z = (played.bound - exact) / played.bound_se;
        assert!(
            z.abs() < 4.0,
            "{auxiliary}: sampled {} ± {}, exactly {exact}",
            played.bound,
            played.bound_se
        );
        let terms: f64 = played.terms.iter().sum();
        assert!(
            (terms - played.bound).abs() < 1e-9,
            "{auxiliary}: the terms sum to {terms}, the bound is {}",
            played.bound
        );
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads_and_after_a_pause() {
    for gradient in ["sampled", "enumerate"] {
        let plan = |threads: usize| {
            let mut plan = aliased(
                BACK,
                LOOKS_BACK,
                "",
                &format!("seed = 4; options = {gradient}; shards = 3"),
            );
            (plan.settings.steps, plan.settings.threads) = (20, Some(threads));
            plan
        };
        let one = infer(&plan(1), &mut Log::default()).unwrap();
        let two = infer(&plan(2), &mut Log::default()).unwrap();
        assert_eq!(one.parameters.values(), two.parameters.values(), "{gradient}");
        let paused = ended_after(&plan(1), 7);
        let resumed = resume(&plan(2), &paused, &mut Log::default()).unwrap();
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
         kernel pi(a | o, past: a[..]) = Categorical(logits = mlp(o, gru(past, hidden = 4), \
         hidden = [8]))
         kernel decoder(o | goal: s, seen: a[..]) = Categorical(logits = mlp(goal, gru(seen, \
         hidden = 4), hidden = [8]))
         prior      { s[1] ~ line.initial; o[1] ~ Uniform; a[t] ~ pi(o[1], a[..t-1]); s[t+1] ~ \
         line.transition(s[t], a[t]) }
         likelihood { H[T] ~ decoder(o[1] | s[T+1], a[..T]) }
         posterior  { s[1] ~ line.initial; o[1] ~ pick(s[1]); a[t] ~ pi(o[1], a[..t-1]); s[t+1] ~ \
         line.transition(s[t], a[t]) }
         infer { trajectories = 64; steps = 150; optimizer = adam(rate = 0.03); seed = 2; threads \
         = 1 }",
    );
    let before = evaluate(&plan, &Parameters::initial(&plan.model, 2), 2000, false, 1).unwrap();
    let run = infer(&plan, &mut ()).unwrap();
    let after = evaluate(&plan, &run.parameters, 2000, false, 1).unwrap();
    // L + log 2 ≤ I(o; s[T+1]): 0 where nothing is told, log 2 where the option is read off the end
    assert!((before.bound + 2f64.ln()).abs() < 0.1, "{}", before.bound);
    assert!(after.bound > -0.05, "{} ± {}", after.bound, after.bound_se);
}

/// The option models of `models/`, with a policy that reads `o[1]` of an option drawn at every
/// step.
#[test]
fn a_policy_reads_the_first_of_an_option_that_is_drawn_at_every_step() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rlmodel"));
    files.sort();
    let mut ran = 0;
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let edited = text
            .replace("~ pi(s[t], o[t])", "~ pi(s[t], o[1])")
            .replace("~ pi(x[t], o[t])", "~ pi(x[t], o[1])");
        if edited == text {
            continue;
        }
        let planned = |text: &str| {
            let model =
                check(&parse(&Source::at(&path, text)).unwrap(), &Overrides::default()).unwrap();
            plan(&model, &derive(&model).unwrap())
        };
        let mut sampled =
            planned(&edited).unwrap_or_else(|errors| panic!("{}: {errors}", path.display()));
        (sampled.settings.steps, sampled.settings.trajectories, sampled.settings.shards) =
            (2, 8, 1);
        let run =
            infer(&sampled, &mut ()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(run.parameters.values().iter().all(|value| value.is_finite()));
        assert!(evaluate(&sampled, &run.parameters, 8, false, 1).unwrap().bound.is_finite());
        let told = planned(&edited.replace("infer {", "infer {\n options = enumerate\n"))
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("and `pi` connects steps that are farther apart"),
            "{}: {told}",
            path.display()
        );
        ran += 1;
    }
    assert!(ran >= 8, "{ran} models");
}

/// At `t = 1` the option of the step is the first, in acting as in what is read of whole
/// trajectories.
#[test]
fn the_first_option_is_read_as_it_was_drawn() {
    let plan = planned(
        "model first
         horizon T = 3
         environment line {
           state s : 0..2; action a : 0..1; reward r in [-1, 0]
           s[1] ~ Delta(0); s[t+1] ~ Delta(a[t]); r[t] = -a[t]
         }
         option o : 2
         kernel pick(o | s) = Categorical(logits = table(s))
         kernel pi(a | o, first: o) = Categorical(logits = 2 * table(o) + table(first))
         prior      { s[1] ~ line.initial; o[t] ~ pick(s[t]); a[t] ~ Uniform; s[t+1] ~ \
         line.transition(s[t], a[t]) }
         likelihood { R[t] ~ exp(r[t]) }
         posterior  { s[1] ~ line.initial; o[t] ~ pick(s[t]); a[t] ~ pi(o[t], o[1]); s[t+1] ~ \
         line.transition(s[t], a[t]) }
         infer { trajectories = 8; precision = f64; threads = 1 }",
    );
    let parameters = random_parameters(&plan, SCALES[1], 3).unwrap();
    let mean = mean_gradient(&plan, &parameters, 10_000).unwrap();
    let played = evaluate(&plan, &parameters, 20_000, false, 5).unwrap();
    let z = (played.bound - mean.bound) / played.bound_se;
    assert!(
        z.abs() < 4.0,
        "sampled {} ± {}, over all trajectories {}",
        played.bound,
        played.bound_se,
        mean.bound
    );
}

#[test]
fn a_reverse_model_of_the_last_state_trains_alike_sampled_and_summed() {
    for gradient in ["sampled", "enumerate"] {
        let plan = planned(&format!(
            "model ends
             horizon T = 3
             environment e {{
               state  s : 0..2
               action a : {{ left, right }}
               reward r in [-1, 0]
               s[1]   ~ Delta(1)
               s[t+1] ~ Mixture(0.9: Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, \
               2)), 0.1: Uniform)
               r[t]   = if s[t+1] == 1 then -1 else 0
             }}
             option o : 2
             kernel pi(a | s, o, t)  = Categorical(logits = table(s, o, t))
             kernel pick(o | s)      = Categorical(logits = table(s))
             kernel back(o | fin: s) = Categorical(logits = [[2, -2], [0, 0], [-2, 2]][fin])
             prior {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior {{ s[1] ~ e.initial; o[1] ~ pick(s[1]); a[t] ~ pi(s[t], o[1], t); s[t+1] ~ \
             e.transition(s[t], a[t]) }}
             auxiliary {{ o[1] ~ back(s[T+1]) }}
             infer {{ trajectories = 64; steps = 400; optimizer = adam(rate = ramp(from = 0.05, \
             to = 0)); precision = f64; threads = 1
                     seed = 1; options = {gradient} }}"
        ));
        let run = infer(&plan, &mut ()).unwrap();
        let bound = exact_bound(&plan, &run.parameters);
        // the best of the family is -0.86369; without the reverse model in the credit of actions no
        // run is above -1.5
        assert!((-0.867..-0.8636).contains(&bound), "options = {gradient}: {bound}");
    }
}

/// What draws sees its inputs normalised, whichever option it is asked about.
#[test]
fn options_are_summed_out_beside_normalised_inputs() {
    let plan = |gradient: &str| {
        planned(&format!(
            "model walk
             horizon T = 3
             environment line {{
               state s : real
               action a : {{ left, right }}
               reward r in [-1, 0]
               s[1]   ~ Normal(mean = 3, sd = 2)
               s[t+1] ~ Normal(mean = 0.5 * s[t] + 2 * a[t] - 1, sd = 0.3)
               r[t]   = -min(1, abs(s[t+1]))
             }}
             option o : 2
             kernel pick(o | s, last: o?) = Categorical(logits = linear(s, last))
             kernel pi(a | s, o)          = Categorical(logits = mlp(s, o, hidden = [3]))
             kernel back(o | s, a)        = Categorical(logits = linear(s, a))
             prior      {{ s[1] ~ line.initial; a[t] ~ Uniform;
                           s[t+1] ~ line.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior  {{ s[1] ~ line.initial; o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t]);
                           s[t+1] ~ line.transition(s[t], a[t]) }}
             auxiliary  {{ o[t] ~ back(s[t], a[t]) }}
             infer {{ trajectories = 16; shards = 1; threads = 1; precision = f64; steps = 2;
                      normalize = observations; options = {gradient} }}"
        ))
    };
    let means = |gradient: &str| {
        let plan = plan(gradient);
        let mut parameters = Parameters::<f64>::initial(&plan.model, 4);
        let layout = parameters.layout().clone();
        let noise = numbers(parameters.values().len(), 5);
        for (value, noise) in parameters.values_mut().iter_mut().zip(noise) {
            *value += 0.7 * noise;
        }
        let normalizer = plan.normalizers[0];
        for (id, value) in [(normalizer.mean, 2.0), (normalizer.log_deviation, 1.0)] {
            layout.range(id).for_each(|at| parameters.values_mut()[at] = value);
        }
        let all = gradient_estimates(&plan, &parameters, 0..600).unwrap();
        let count = all.len() as f64;
        let trained = plan.trained.iter().flat_map(|&id| layout.range(id));
        let of = |at: usize| {
            let mean = all.iter().map(|one| one[at]).sum::<f64>() / count;
            let square = all.iter().map(|one| (one[at] - mean).powi(2)).sum::<f64>();
            (mean, square / (count - 1.0) / count)
        };
        trained.map(of).collect::<Vec<_>>()
    };
    let (sampled, summed) = (means("sampled"), means("enumerate"));
    assert!(sampled.len() > 20);
    let mut largest: f64 = 0.0;
    for ((mean, variance), (other, of_other)) in sampled.iter().zip(&summed) {
        let z = (mean - other) / (variance + of_other).sqrt();
        assert!(z.abs() < 4.5, "{mean} and {other}: {z}");
        largest = largest.max(mean.abs() / variance.sqrt());
    }
    // not because nothing moves
    assert!(largest > 20.0, "{largest}");
}
