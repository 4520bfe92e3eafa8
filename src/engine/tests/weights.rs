//! Weights drawn from a mean field: their gradient, and what data makes of them.

use super::testing::{bits, ended_after, numbers, resumed};
use crate::bound::derive;
use crate::diagnostic::Diagnostics;
use crate::engine::fleet::shards::{Job, Shared, locked, write};
use crate::engine::infer;
use crate::engine::numeric::stream::WEIGHTS;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::run::train::gradient_estimates;
use crate::engine::{Parameters, Run, evaluate};
use crate::model::{Overrides, check};
use crate::plan::{Plan, plan};
use crate::source::Source;
use crate::syntax::parse;

fn planned(text: &str) -> Result<Plan, Diagnostics> {
    let file = parse(&Source::new("test", text)).unwrap_or_else(|errors| panic!("{errors}"));
    let model = check(&file, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
    plan(&model, &derive(&model).unwrap_or_else(|errors| panic!("{errors}")))
}

/// A line of three states whose transitions `world` learns.
fn line(world: &str, infer: &str) -> Result<Plan, Diagnostics> {
    planned(&format!(
        "model line
         horizon T = 3
         environment line {{
           state  s : 0..2
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Uniform
           s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 2)), \
           0.2: Uniform)
           r[t]   = if s[t+1] == 2 then 0 else -1
         }}
         kernel pi(a | s)        = Categorical(logits = table(s))
         kernel world(s' | s, a) = Categorical(logits = {world})
         prior {{ weights(world) ~ Normal(mean = 0.3, sd = 0.7); s[1] ~ line.initial; a[t] ~ \
         Uniform; s[t+1] ~ world(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior {{ weights(world) ~ Normal; s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ \
         line.transition(s[t], a[t]) }}
         infer {{ {infer} }}"
    ))
}

/// Real steps of standard deviation 1 whose means `world` learns: with its prior a conjugate pair.
fn walk(infer: &str) -> Plan {
    planned(&format!(
        "model walk
         horizon T = 1
         hidden environment walk {{
           state  s : real
           action a : {{ left, right }}
           s[1]   ~ Normal(mean = 0, sd = 1)
           s[t+1] ~ Normal(mean = if a[t] == right then 0.8 else -0.5, sd = 1)
         }}
         kernel pi(a | s)     = Categorical(logits = linear(s))
         kernel world(s' | a) = Normal(mean = table(a), sd = 1)
         bound fit {{
           prior     {{ weights(world) ~ Normal(mean = 0, sd = 1); s[1] ~ walk.initial; a[t] ~ \
           pi(s[t]); s[t+1] ~ world(a[t]) }}
           posterior {{ weights(world) ~ Normal; s[1] ~ walk.initial; a[t] ~ pi(s[t]); s[t+1] ~ \
           walk.transition(s[t], a[t]) }}
         }}
         infer {{ maximize fit over world; {infer} }}"
    ))
    .unwrap()
}

/// The bound of a batch with its own draw of the weights; its trajectories do not depend on them.
fn bound_of_batch(plan: &Plan, parameters: &Parameters<f64>, step: u64) -> f64 {
    let program = CompiledProgram::<f64>::new(plan).unwrap();
    let shared =
        Shared::new(&program, std::sync::Arc::new(std::sync::RwLock::new(parameters.clone())));
    let shares: f64 = program
        .weights
        .shares(parameters.values())
        .map(|(term, share)| program.terms[term].sign * share)
        .sum();
    let drawn = program
        .weights
        .draw([plan.settings.seed, WEIGHTS, step], write(&shared.parameters).values_mut());
    (0..shared.shards.len()).for_each(|at| shared.work(Job::Assess { step }, at));
    let mut sampled = sum(&shared);
    // the mean over the draw and its mirror image
    if program.weights.mirror() {
        program.weights.reflect(&drawn, write(&shared.parameters).values_mut());
        (0..shared.shards.len()).for_each(|at| shared.work(Job::Assess { step }, at));
        sampled = 0.5 * (sampled + sum(&shared));
    }
    sampled / plan.settings.trajectories as f64 + shares
}

fn sum(shared: &Shared<f64>) -> f64 {
    shared
        .shards
        .iter()
        .map(|shard| locked(shard).rollout.episodes.totals.terms.iter().sum::<f64>())
        .sum()
}

#[test]
fn the_gradient_in_means_and_deviations_is_that_of_the_bound_with_its_draw() {
    for world in ["table(s, a)", "mlp(s, a, hidden = [4])"] {
        let plan =
            line(world, "trajectories = 8; steps = 2; shards = 2; seed = 3; threads = 1").unwrap();
        let mut parameters = Parameters::<f64>::initial(&plan.model, 1);
        let noise = numbers(parameters.values().len(), 5);
        parameters
            .values_mut()
            .iter_mut()
            .zip(noise)
            .for_each(|(value, noise)| *value += 0.5 * noise);
        for step in 0..2 {
            let gradient =
                gradient_estimates(&plan, &parameters, step..step + 1).unwrap().remove(0);
            let program = CompiledProgram::<f64>::new(&plan).unwrap();
            let places: Vec<usize> =
                program.weights.places().flat_map(|(mean, log_sd)| [mean, log_sd]).collect();
            for &at in &places {
                let shifted = |by: f64| {
                    let mut moved = parameters.clone();
                    moved.values_mut()[at] += by;
                    bound_of_batch(&plan, &moved, step)
                };
                let difference = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                assert!(
                    (difference - gradient[at]).abs() < 1e-8,
                    "{world}, number {at}: {} and {difference}",
                    gradient[at]
                );
            }
        }
    }
}

#[test]
fn the_divergence_is_the_integral() {
    let plan = line("table(s, a)", "trajectories = 4; steps = 5").unwrap();
    let mut parameters = Parameters::<f64>::initial(&plan.model, 1);
    let noise = numbers(parameters.values().len(), 7);
    parameters.values_mut().iter_mut().zip(noise).for_each(|(value, noise)| *value += 0.5 * noise);
    let program = CompiledProgram::<f64>::new(&plan).unwrap();
    let density = |x: f64, (mean, sd): (f64, f64)| {
        (-0.5 * ((x - mean) / sd).powi(2)).exp() / (sd * std::f64::consts::TAU.sqrt())
    };
    let of_weight = |(mean, log_sd): (usize, usize)| {
        let q = (parameters.values()[mean], parameters.values()[log_sd].exp());
        // the trapezium rule is exact for such functions but for their tails
        let (low, width, count) = (q.0 - 10.0 * q.1, 20.0 * q.1, 4000);
        let points = (0..=count).map(|k| low + width * f64::from(k) / f64::from(count));
        points.map(|x| density(x, q) * (density(x, q) / density(x, (0.3, 0.7))).ln()).sum::<f64>()
            * width
            / f64::from(count)
    };
    let integral: f64 = program.weights.places().map(of_weight).sum();
    let shares: Vec<f64> =
        program.weights.shares(parameters.values()).map(|(_, share)| share * 20.0).collect();
    assert!(shares.len() == 1 && (shares[0] - integral).abs() < 1e-9, "{shares:?} and {integral}");
}

/// Mean and deviation of the weights of `world`, in order.
fn field(plan: &Plan, run: &Run) -> Vec<(f64, f64)> {
    let program = CompiledProgram::<f64>::new(plan).unwrap();
    let values = run.parameters.values();
    program.weights.places().map(|(mean, log_sd)| (values[mean], values[log_sd].exp())).collect()
}

#[test]
fn a_conjugate_posterior_is_found() {
    // of N = 3200 first steps about half go each way: sd = 1 / √(1 + n), and means within four of
    // these of the environment's
    let plan = walk(
        "trajectories = 8; steps = 400; optimizer = adam(rate = ramp(from = 0.1, to = 0), beta2 = \
         0.95); seed = 2; threads = 1",
    );
    let run = infer(&plan, &mut ()).unwrap();
    let found = field(&plan, &run);
    let wanted: f64 = 1.0 / 1601f64.sqrt();
    for (&(mean, sd), truth) in found.iter().zip([-0.5, 0.8]) {
        assert!((mean - truth).abs() < 4.0 * wanted, "{found:?}");
        assert!((sd / wanted).ln().abs() < 0.15, "{found:?}, not {wanted}");
    }
    // little data: the posterior is wide
    let plan =
        walk("trajectories = 1; steps = 4; optimizer = sgd(rate = 0.1); seed = 2; threads = 1");
    let found = field(&plan, &infer(&plan, &mut ()).unwrap());
    assert!(found[..2].iter().all(|(mean, sd)| mean.abs() < 0.9 && *sd > 0.6), "{found:?}");
}

#[test]
fn more_data_brings_the_mean_weights_to_the_environment() {
    let run = |steps: u64| {
        let infer_block = format!(
            "trajectories = 16; steps = {steps}; optimizer = adam(rate = ramp(from = 0.1, to = \
             0)); seed = 1; threads = 1"
        );
        let plan = line("table(s, a)", &infer_block).unwrap();
        let run = infer(&plan, &mut ()).unwrap();
        let term = plan.terms.iter().position(|term| term.name == "log_ratio(line)").unwrap();
        // the divergence of the drawn worlds from the environment, three steps
        let divergence = -evaluate(&plan, &run.parameters, 2000, false, 3).unwrap().terms[term];
        let rows = field(&plan, &run);
        // all but the row of `none`, which no data reaches
        let sd = rows.iter().take(18).map(|(_, sd)| sd).sum::<f64>() / 18.0;
        (divergence, sd)
    };
    let (few, many) = (run(4), run(400));
    assert!(many.0 < 0.02 && few.0 > 5.0 * many.0, "{few:?} and {many:?} nats");
    assert!(few.1 > 0.5 && many.1 < 0.6 * few.1, "{few:?} and {many:?}");
}

#[test]
fn a_share_of_the_divergence_stands_in_the_bound_that_is_told() {
    let plan = line(
        "table(s, a)",
        "trajectories = 16; steps = 20; optimizer = adam(rate = 0.1); seed = 1; threads = 1",
    )
    .unwrap();
    let run = infer(&plan, &mut ()).unwrap();
    let term = plan.terms.iter().position(|term| term.name == "KL(weights(world))").unwrap();
    let program = CompiledProgram::<f64>::new(&plan).unwrap();
    let shares: Vec<(usize, f64)> = program.weights.shares(run.parameters.values()).collect();
    assert_eq!(shares.len(), 1);
    assert!(
        shares[0].0 == term
            && (run.evaluation.terms[term] + shares[0].1).abs() < 1e-6
            && shares[0].1 > 0.0,
        "{shares:?}"
    );
    let sum: f64 = run.evaluation.terms.iter().sum();
    assert!((run.evaluation.bound - sum).abs() < 1e-9, "{} and {sum}", run.evaluation.bound);
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads_and_after_a_resumption() {
    for also in ["", "precision = f64; baseline = mlp(s, hidden = [4]);"] {
        let infer_block = |threads: u64| {
            format!(
                "trajectories = 40; shards = 4; steps = 30; log_every = 1; {also} threads = \
                 {threads}"
            )
        };
        let plan = |threads| line("mlp(s, a, hidden = [4])", &infer_block(threads)).unwrap();
        let one = infer(&plan(1), &mut ()).unwrap();
        let two = infer(&plan(2), &mut ()).unwrap();
        assert_eq!(bits(&two), bits(&one), "two threads, {also}");
        assert_eq!(two.evaluation, one.evaluation);
        let plan = plan(2);
        let whole = resumed(&plan, 13);
        assert_eq!(bits(&whole), bits(&one), "resumed, {also}");
        assert_eq!(whole.evaluation, one.evaluation);
    }
}

#[test]
fn files_keep_the_means_under_the_kernels_own_names() {
    let plan = line("table(s, a)", "").unwrap();
    let names: Vec<&str> =
        plan.model.network.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    let own: Vec<&&str> = names.iter().filter(|name| name.starts_with("world")).collect();
    assert_eq!(own.len(), 2, "{names:?}");
    assert_eq!(format!("{}.log_sd", own[0]), *own[1]);
    let initial = Parameters::<f64>::initial(&plan.model, 0);
    let program = CompiledProgram::<f64>::new(&plan).unwrap();
    assert!(
        program
            .weights
            .places()
            .all(|(_, log_sd)| (initial.values()[log_sd] - 0.7f64.ln()).abs() < 1e-12),
        "the deviation of the prior"
    );
}

#[test]
fn what_does_not_run_with_drawn_weights_is_refused() {
    let told = |planned: Result<Plan, Diagnostics>| {
        planned
            .expect_err("refused")
            .list
            .iter()
            .map(|d| format!("{} {}\n", d.message, d.hints.join(" ")))
            .collect::<String>()
    };
    let text = |prior: &str, posterior: &str, action: &str| {
        planned(&format!(
            "model coin
             horizon T = 2
             environment coin {{
               state s : 0..1; action a : {{ left, right }}; reward r in [-1, 0]
               s[1] ~ Uniform; s[t+1] ~ Uniform; r[t] = -1
             }}
             net body(s) = mlp(s, hidden = [3])
             kernel pi(a | s) = Categorical(logits = linear(body(s)))
             kernel habit(a | s) = Categorical(logits = linear(body(s)))
             prior      {{ weights(pi) ~ Normal(mean = 0, sd = 1); {prior}; s[1] ~ coin.initial; \
             {action}; s[t+1] ~ coin.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior  {{ {posterior}; s[1] ~ coin.initial; a[t] ~ pi(s[t]); s[t+1] ~ \
             coin.transition(s[t], a[t]) }}"
        ))
    };
    let both = (
        "weights(habit) ~ Normal(mean = 0, sd = 1)",
        "weights(pi) ~ Normal; weights(habit) ~ Normal",
    );
    assert!(told(text(both.0, both.1, "a[t] ~ habit(s[t])")).contains("drawn twice"));
    assert!(
        told(text("", "weights(pi) ~ Normal", "a[t] ~ previous pi(s[t])"))
            .contains("is a mixture over")
    );
    assert!(
        told(text("", "weights(pi) ~ Normal(mean = 0, sd = 1)", "a[t] ~ Uniform"))
            .contains("nothing to train")
    );
    // a kernel that shares the net reads the drawn weights, too
    let shared = text("", "weights(pi) ~ Normal", "a[t] ~ habit(s[t])").unwrap();
    let run = ended_after(&shared, 3);
    assert!(run.parameters.values().iter().all(|value| value.is_finite()));
}
