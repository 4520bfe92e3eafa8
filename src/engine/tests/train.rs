//! Training as a whole: each estimator of the gradient against the oracle, and what a run promises
//! about bits and failures.

use super::testing::{Log, bits, resumed};
use crate::bound::derive;
use crate::engine::judge::viewpoint::exact_gradient;
use crate::engine::run::train::gradient_estimates;
use crate::engine::{Checkpoint, EngineError, Parameters, evaluate, tabulate};
use crate::engine::{infer, resume};
use crate::exact;
use crate::finite::KernelTables;
use crate::model::{BoundId, Model, Overrides, check};
use crate::plan::{Plan, plan};
use crate::source::Source;
use crate::syntax::{parse, parse_expr};

/// A short slippery chain that ends at the right, with `policy` and the prior of its actions. The
/// bound pays for lateness, place and time.
fn chain(policy: &str, prior: &str, infer: &str) -> String {
    format!(
        "model chain
         param alpha = 0.7
         horizon T = 6
         environment chain {{
           state s : 0..4
           action a : {{ left, stay, right }}
           reward r in [-1, 0]
           s[1]   ~ Categorical(probs = [0.5, 0.2, 0.2, 0, 0.1])
           s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + a[t] - 1, 0, 4)), 0.2: Delta(s[t]))
           r[t]   = if s[t+1] == 4 then 0 else -1
           end when s[t] == 4
         }}
         {policy}
         prior      {{ s[1] ~ chain.initial; a[t] ~ {prior}; s[t+1] ~ chain.transition(s[t], \
         a[t]) }}
         likelihood {{ R[t] ~ exp(alpha * r[t] - 0.1 * s[t] - 0.05 * t); H[T] ~ exp(-0.3 * \
         abs(s[T+1] - 2)) }}
         posterior  {{ s[1] ~ chain.initial; a[t] ~ pi(s[t]); s[t+1] ~ chain.transition(s[t], \
         a[t]) }}
         infer      {{ {infer} }}"
    )
}

const TABLE: &str = "kernel pi(a | s) = Categorical(logits = table(s))";
const MLP: &str = "kernel pi(a | s) = Categorical(logits = mlp(s, hidden = [7]))";

fn checked(text: &str, settings: &[(&str, &str)]) -> Model {
    let file = parse(&Source::new("test", text)).unwrap_or_else(|errors| panic!("{errors}"));
    let set = |(key, value): &(&str, &str)| (key.to_string(), parse_expr(value, "value").unwrap());
    let overrides = Overrides { params: vec![], settings: settings.iter().map(set).collect() };
    check(&file, &overrides).unwrap_or_else(|errors| panic!("{errors}"))
}

fn planned(text: &str, settings: &[(&str, &str)]) -> Plan {
    let model = checked(text, settings);
    let derivation = derive(&model).unwrap_or_else(|errors| panic!("{errors}"));
    plan(&model, &derivation).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Parameters away from the uniform policy, where dropping terms shows.
fn random_parameters(model: &Model) -> Parameters<f64> {
    let mut parameters = Parameters::<f64>::initial(model, 3);
    let noise = super::testing::numbers(parameters.values().len(), 11);
    parameters.values_mut().iter_mut().zip(noise).for_each(|(value, noise)| *value += 1.2 * noise);
    parameters
}

/// The z-scores of the estimator's mean over `batches` batches against the oracle, one for each
/// trained number that the estimate moves.
fn z_scores(plan: &Plan, batches: u64) -> Vec<f64> {
    let parameters = random_parameters(&plan.model);
    let exact = exact_gradient(plan, &parameters, &parameters).unwrap();
    let (mut sum, mut squares) = (vec![0.0; exact.len()], vec![0.0; exact.len()]);
    for estimate in gradient_estimates(plan, &parameters, 0..batches).unwrap() {
        for (at, g) in estimate.into_iter().enumerate() {
            sum[at] += g;
            squares[at] += g * g;
        }
    }
    let n = batches as f64;
    let trained = plan.trained.iter().flat_map(|&id| parameters.layout().range(id));
    trained
        .filter_map(|at| {
            let mean = sum[at] / n;
            let error = ((squares[at] / n - mean * mean).max(0.0) / (n - 1.0)).sqrt();
            if error == 0.0 {
                assert!(
                    (mean - exact[at]).abs() < 1e-12,
                    "number {at} is always {mean}, and exactly {}",
                    exact[at]
                );
                return None;
            }
            Some((mean - exact[at]) / error)
        })
        .collect()
}

fn worst(z: &[f64]) -> f64 {
    z.iter().fold(0.0, |worst, z| worst.max(z.abs()))
}

#[test]
fn every_estimator_is_unbiased() {
    let priors = [
        "Uniform",
        "Categorical(probs = [0.2, 0.3, 0.5])",
        "Categorical(probs = if s[t] == 0 then [0.2, 0.3, 0.5] else [0.6, 0.3, 0.1])",
    ];
    for (policy, prior) in
        [(TABLE, priors[0]), (MLP, priors[0]), (TABLE, priors[1]), (TABLE, priors[2])]
    {
        for baseline in ["none", "leave_one_out", "table(s, t)", "mlp(s, hidden = [5])"] {
            let text = chain(
                policy,
                prior,
                &format!(
                    "trajectories = 32; shards = 3; threads = 1; precision = f64; baseline = \
                     {baseline}"
                ),
            );
            let z = z_scores(&planned(&text, &[]), 400);
            // the largest of n standard normals exceeds 4 with probability below n · 6.4e-5
            assert!(worst(&z) < 4.0, "{policy}, prior {prior}, baseline {baseline}: {z:?}");
        }
    }
}

#[test]
fn a_prior_with_parameters_is_trained_without_bias() {
    let kernels = "kernel pi(a | s) = Categorical(logits = table(s))
                   kernel habit(a | s) = Categorical(logits = linear(s))";
    let text = chain(kernels, "habit(s[t])", "trajectories = 32; threads = 1; precision = f64");
    let z = z_scores(&planned(&text, &[]), 600);
    assert!(z.len() > 15, "both kernels have parameters: {z:?}");
    assert!(worst(&z) < 4.0, "{z:?}");
}

#[test]
fn dropping_the_kl_to_go_is_biased_away_from_the_uniform_policy() {
    let text = chain(
        TABLE,
        "Uniform",
        "trajectories = 32; threads = 1; precision = f64; kl_to_go = false",
    );
    let z = z_scores(&planned(&text, &[]), 400);
    assert!(worst(&z) > 6.0, "{z:?}");
}

#[test]
fn the_sampled_bound_and_return_are_those_of_the_oracle() {
    for prior in ["Uniform", "Categorical(probs = [0.2, 0.3, 0.5])"] {
        let plan = planned(&chain(TABLE, prior, "precision = f64"), &[]);
        let parameters = random_parameters(&plan.model);
        let mut tables = KernelTables::default();
        tables.current.insert(
            plan.last_draw().kernel,
            tabulate(&plan.model, &parameters, plan.last_draw().kernel).unwrap(),
        );
        let exact = exact::Evaluator::new(&plan.model, BoundId(0)).evaluate(&tables).unwrap();
        let sampled = evaluate(&plan, &parameters, 20_000, false, 5).unwrap();
        assert!(
            (sampled.bound - exact.bound).abs() < 4.0 * sampled.bound_se,
            "{sampled:?} {}",
            exact.bound
        );
        assert!(
            (sampled.expected_return - exact.expected_return).abs() < 4.0 * sampled.return_se,
            "{}",
            exact.expected_return
        );
    }
}

#[test]
fn a_learned_baseline_lowers_the_error_of_its_predictions() {
    let text = chain(
        TABLE,
        "Uniform",
        "trajectories = 64; steps = 300; log_every = 1; optimizer = adam(rate = 0.02); baseline = \
         table(s, t)",
    );
    let mut log = Log::default();
    infer(&planned(&text, &[]), &mut log).unwrap();
    let error = |at: usize| log.0[at].baseline_error.unwrap();
    assert!(error(299) < 0.5 * error(0), "{} at first, {} at last", error(0), error(299));
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads_and_after_a_resumption() {
    for infer_block in [
        "baseline = mlp(s, hidden = [8])",
        "baseline = leave_one_out; precision = f64",
        "baseline = none; optimizer = rmsprop",
    ] {
        let text = chain(
            MLP,
            "Uniform",
            &format!("trajectories = 40; shards = 4; steps = 30; log_every = 1; {infer_block}"),
        );
        let one = infer(&planned(&text, &[("threads", "1")]), &mut ()).unwrap();
        for threads in ["2", "3"] {
            let plan = planned(&text, &[("threads", threads)]);
            assert_eq!(
                bits(&infer(&plan, &mut ()).unwrap()),
                bits(&one),
                "{threads} threads, {infer_block}"
            );
        }
        let plan = planned(&text, &[]);
        let whole = resumed(&plan, 13);
        assert_eq!(bits(&whole), bits(&one), "resumed, {infer_block}");
        assert_eq!(whole.env_steps, one.env_steps);
        assert_eq!(whole.evaluation, one.evaluation);
    }
}

#[test]
fn rounds_and_passes_give_the_same_bits_on_any_number_of_threads_and_after_a_resumption() {
    let cases = [
        (
            "previous pi(s[t])",
            "rounds = 10; steps = 3; epochs = 2; minibatch = 50; clip_ratio = 0.2; baseline = \
             mlp(s, t, hidden = [8])",
        ),
        (
            "previous pi(s[t])",
            "rounds = 30; update = trust_region(kl = 0.02); baseline = table(s, t); epochs = 2; \
             normalize = returns",
        ),
        (
            "Uniform",
            "steps = 30; n_step = 2; baseline = mlp(s, hidden = [8]); normalize = [returns, \
             advantages]",
        ),
        ("Uniform", "steps = 30; epochs = 3; kl_target = 0.001"),
    ];
    for (prior, infer_block) in cases {
        let text = chain(
            MLP,
            prior,
            &format!("trajectories = 40; shards = 4; log_every = 1; {infer_block}"),
        );
        let one = infer(&planned(&text, &[("threads", "1")]), &mut ()).unwrap();
        let plan = planned(&text, &[("threads", "2")]);
        assert_eq!(bits(&infer(&plan, &mut ()).unwrap()), bits(&one), "two threads, {infer_block}");
        let whole = resumed(&plan, 13);
        assert_eq!(bits(&whole), bits(&one), "resumed, {infer_block}");
        assert_eq!((whole.evaluation, whole.rounds), (one.evaluation, one.rounds), "{infer_block}");
    }
}

/// The stable iteration without samples: no round falls, and each keeps the promise of the theorem.
#[test]
fn exact_rounds_never_fall() {
    let stationary = "kernel pi(a | s) = Categorical(logits = table(s))";
    let in_time = "kernel pi(a | s, t) = Categorical(logits = table(s, t))";
    let mut gains = Vec::new();
    for (policy, reads) in [(stationary, "s[t]"), (MLP, "s[t]"), (in_time, "s[t], t")] {
        let infer_block = "rounds = 6; update = exact(iterations = 60); precision = f64; \
                           trajectories = 4; log_every = 1";
        let text = chain(policy, &format!("previous pi({reads})"), infer_block)
            .replace("~ pi(s[t])", &format!("~ pi({reads})"));
        let mut log = Log::default();
        let run = infer(&planned(&text, &[]), &mut log).unwrap();
        let rounds = run.rounds.unwrap();
        assert_eq!((rounds.done, rounds.fell), (6, 0), "{policy}");
        assert!(rounds.largest_shortfall < 1e-9, "{policy}: {rounds:?}");
        let gained: f64 = log.0.iter().map(|batch| batch.improvement.unwrap().gain).sum();
        assert!(gained > 0.1, "{policy}: {gained}");
        gains.push(gained);
    }
    assert!(gains[2] >= gains[0], "a policy that sees the time can do no worse: {gains:?}");
}

/// The batch's policy is left by no more than the radius, and the bound of the round rises.
#[test]
fn a_trust_region_step_improves_within_its_radius() {
    let settings = "trajectories = 400; rounds = 12; update = trust_region(kl = 0.01); log_every \
                    = 1; precision = f64";
    let mut log = Log::default();
    infer(&planned(&chain(MLP, "previous pi(s[t])", settings), &[]), &mut log).unwrap();
    let improvements: Vec<_> = log.0.iter().map(|batch| batch.improvement.unwrap()).collect();
    for (batch, improvement) in log.0.iter().zip(&improvements) {
        // the mean over the batch's states times its live steps is at most what a trajectory's six
        // steps can hold
        assert!(improvement.kl <= 0.01 * 6.0 * 1.2, "step {}: {improvement:?}", batch.step);
    }
    let gained: f64 = improvements.iter().map(|improvement| improvement.gain).sum();
    assert!(gained > 0.3, "{gained}");
}

/// One normal draw, rewarded by `−(a − ½)²`: `L = −α ((m − ½)² + σ²) − KL(N(m, σ) ‖ N(0, 1))`.
#[test]
fn the_gradient_of_a_normal_policy_is_that_of_its_bound() {
    let text = "model aim
        param alpha = 0.8
        horizon T = 1
        environment aim {
          state s : 0..1; action a : real; reward r
          s[1] ~ Delta(0); s[t+1] ~ Delta(1); r[t] = -(a[t] - 0.5) ^ 2
        }
        kernel pi(a | s) = Normal(mean = table(s), sd = softplus(table(s)) + 0.1)
        prior      { s[1] ~ aim.initial; a[t] ~ PRIOR;    s[t+1] ~ aim.transition(s[t], a[t]) }
        likelihood { R[t] ~ exp(alpha * r[t]) }
        posterior  { s[1] ~ aim.initial; a[t] ~ pi(s[t]); s[t+1] ~ aim.transition(s[t], a[t]) }
        infer      { trajectories = 64; precision = f64; threads = 1 }";
    let plan = planned(&text.replace("PRIOR", "Normal(mean = 0, sd = 1)"), &[]);
    let mut parameters = Parameters::<f64>::initial(&plan.model, 0);
    // rows of the two states, mean first
    parameters.values_mut().copy_from_slice(&[0.3, 0.0, 0.4, 0.0]);
    let bound = |at: &[f64]| {
        let (m, sd) = (at[0], (1.0 + at[2].exp()).ln() + 0.1);
        -0.8 * ((m - 0.5) * (m - 0.5) + sd * sd) - (0.5 * (sd * sd + m * m) - 0.5 - sd.ln())
    };
    let exact: Vec<f64> = (0..4)
        .map(|k| {
            let at = |h: f64| {
                parameters
                    .values()
                    .iter()
                    .enumerate()
                    .map(|(i, x)| x + if i == k { h } else { 0.0 })
                    .collect::<Vec<f64>>()
            };
            (bound(&at(1e-5)) - bound(&at(-1e-5))) / 2e-5
        })
        .collect();
    let batches = 400;
    let estimates = gradient_estimates(&plan, &parameters, 0..batches).unwrap();
    for k in [0, 2] {
        let mean = estimates.iter().map(|g| g[k]).sum::<f64>() / batches as f64;
        let variance =
            estimates.iter().map(|g| (g[k] - mean).powi(2)).sum::<f64>() / (batches as f64 - 1.0);
        let z = (mean - exact[k]) / (variance / batches as f64).sqrt();
        assert!(z.abs() < 4.0 && variance > 0.0, "number {k}: {mean} and {}, z = {z}", exact[k]);
    }
    let sampled = evaluate(&plan, &parameters, 20_000, false, 3).unwrap();
    assert!(
        (sampled.bound - bound(parameters.values())).abs() < 4.0 * sampled.bound_se,
        "{sampled:?}"
    );
}

#[test]
fn a_step_that_explodes_stops_the_run_and_keeps_what_was_good() {
    let text = chain(MLP, "Uniform", "trajectories = 8; steps = 50; optimizer = sgd(rate = 1e39)");
    match infer(&planned(&text, &[]), &mut ()) {
        Err(EngineError::NotFinite { step, what, kept, .. }) => {
            assert!(step >= 1 && what.contains('`'), "step {step}, {what}");
            assert!(kept.values().iter().all(|v| v.is_finite()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_term_that_is_not_finite_is_named() {
    let text = chain(TABLE, "Uniform", "trajectories = 8; steps = 5")
        .replace("- 0.05 * t", "+ min(0, log(s[t]))");
    match infer(&planned(&text, &[]), &mut ()) {
        Err(EngineError::NotFinite { step: 1, what, .. }) => {
            assert!(
                what.starts_with("the term `R` is -inf at t = ") && what.ends_with(", s = 0"),
                "{what}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let settings = "trajectories = 8; steps = 2";
    let run = infer(&planned(&chain(MLP, "Uniform", settings), &[]), &mut ()).unwrap();
    let other = planned(&chain(TABLE, "Uniform", settings), &[]);
    assert!(matches!(resume(&other, &run.checkpoint, &mut ()), Err(EngineError::Checkpoint(_))));
    let written = run.checkpoint.to_safetensors().unwrap();
    assert!(Checkpoint::from_safetensors(&other.model, &written).is_err());
    assert!(Checkpoint::from_safetensors(&other.model, b"no checkpoint").is_err());
}
