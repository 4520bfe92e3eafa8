//! Learning from a model: several bounds in turns, imagined steps, classifiers of density ratios,
//! recorded episodes.

use super::testing::{Log, bits, planned, resumed};
use crate::bound::derive;
use crate::engine::episode::variable::Variable;
use crate::engine::gradient::objective::Aim;
use crate::engine::infer;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::run::train::estimates_at;
use crate::engine::tables::known_ratio::KnownRatio;
use crate::engine::{
    Parameters, SCALES, Viewpoint, assess, evaluate, exact_gradient, random_parameters, tabulate,
};
use crate::exact;
use crate::model::{BoundId, KernelId, Model, Overrides, ParameterId, check};
use crate::plan::{Alternative, Claim, Plan, alternatives, plan};
use crate::source::Source;
use crate::syntax::parse;

fn checked(source: &Source) -> Model {
    let file = parse(source).unwrap_or_else(|errors| panic!("{errors}"));
    check(&file, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A chain of four cells in which a step goes astray with probability 0.2; `world` are the logits
/// of a model of it.
fn chain(world: &str, infer: &str) -> String {
    let bound = |name: &str, prior: &str, posterior: &str| {
        format!(
            "bound {name} {{
               prior      {{ s[1] ~ chain.initial; {prior} }}
               likelihood {{ R[t] ~ exp(0.3 * r[t]) }}
               posterior  {{ s[1] ~ chain.initial; a[t] ~ pi(s[t]); s[t+1] ~ {posterior}(s[t], \
               a[t]) }}
             }}\n"
        )
    };
    format!(
        "model chain
         horizon T = 6
         hidden environment chain {{
           state  s : 0..3
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Uniform(over = [0, 1, 2])
           s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 3)), \
           0.2: Uniform)
           r[t]   = if s[t+1] == 3 then 0 else -1
           end when s[t] == 3
         }}
         kernel pi(a | s)        = Categorical(logits = table(s))
         kernel world(s' | s, a) = Categorical(logits = {world})
         let meant(s, a)         = clamp(s + (if a == right then 1 else -1), 0, 3)
         let just(s, a, n)       = if meant(s, a) == n then log(0.85) else log(0.05)
         let wrong(s, a, n)      = if meant(s, a) == n then log(0.4) else log(0.2)
         {}{}{}{}
         infer {{ {infer} }}",
        bound("fit", "a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t])", "chain.transition"),
        bound("dream", "a[t] ~ Uniform; s[t+1] ~ chain.transition(s[t], a[t])", "world"),
        bound("alone", "a[t] ~ Uniform; s[t+1] ~ world(s[t], a[t])", "world"),
        bound("truth", "a[t] ~ Uniform; s[t+1] ~ chain.transition(s[t], a[t])", "chain.transition"),
    )
}

const JUST: &str = "[just(s, a, 0), just(s, a, 1), just(s, a, 2), just(s, a, 3)]";
const WRONG: &str = "[wrong(s, a, 0), wrong(s, a, 1), wrong(s, a, 2), wrong(s, a, 3)]";

/// The oracle's bound of a policy in the environment itself.
fn exact_bound(plan: &Plan, parameters: &Parameters<f64>) -> f64 {
    let truth =
        plan.model.bounds.iter().position(|bound| bound.name.as_deref() == Some("truth")).unwrap();
    let tables =
        crate::engine::kernel_tables(&plan.model, BoundId(truth as u32), parameters, parameters)
            .unwrap();
    exact::Evaluator::new(&plan.model, BoundId(truth as u32)).evaluate(&tables).unwrap().bound
}

#[test]
fn steps_of_a_model_that_is_the_world_are_those_of_the_world() {
    let plan = planned(&chain(
        JUST,
        "maximize alone over pi; steps = 1; trajectories = 8; precision = f64",
    ));
    let mut parameters = Parameters::<f64>::initial(&plan.model, 0);
    parameters
        .values_mut()
        .iter_mut()
        .zip([0.5, -0.5, 0.2, 0.9, -0.3, 0.1])
        .for_each(|(value, logit)| *value = logit);
    let imagined = evaluate(&plan, &parameters, 40_000, false, 5).unwrap();
    let exact = exact_bound(&plan, &parameters);
    assert!(
        (imagined.bound - exact).abs() < 4.0 * imagined.bound_se,
        "{} ± {}, {exact}",
        imagined.bound,
        imagined.bound_se
    );
}

#[test]
fn a_classifier_finds_nothing_where_the_model_is_the_world() {
    let plan = planned(&chain(
        JUST,
        "maximize dream over pi; ratio = table(s, a, s'); ratio_batch = 1024; steps = 400; \
         optimizer = adam(rate = ramp(from = 0.05, to = 0))",
    ));
    let run = infer(&plan, &mut ()).unwrap();
    let calibration = run.calibrations[0].1;
    // the exact log-ratio is 0 everywhere
    assert!(calibration.error < 0.05 && calibration.pairs > 500, "{calibration:?}");
    let term = plan.terms.iter().position(|term| term.name.starts_with("logit")).unwrap();
    assert!(run.evaluation.terms[term].abs() < 0.1, "{}", run.evaluation.terms[term]);
    assert!((run.classified[0].1.loss - 2f64.ln()).abs() < 0.01);
}

#[test]
fn a_classifier_learns_the_log_ratio_of_a_wrong_model() {
    for ratio in ["table(s, a, s')", "mlp(s, a, s', hidden = [32])"] {
        let plan = planned(&chain(
            WRONG,
            &format!(
                "maximize dream over pi; ratio = {ratio}; ratio_batch = 1024; steps = 600; \
                 optimizer = adam(rate = ramp(from = 0.03, to = 0))"
            ),
        ));
        let run = infer(&plan, &mut ()).unwrap();
        let error = run.calibrations[0].1.error;
        assert!(error < 0.05, "{ratio}: {error}");
        // real steps are collected by the policy itself, and counted
        assert!(
            run.env_steps > 10_000 && run.imagined_steps > 10_000,
            "{} and {}",
            run.env_steps,
            run.imagined_steps
        );
    }
}

#[test]
fn a_model_is_learned_and_a_policy_from_it_in_turns() {
    let plan = planned(&chain(
        "table(s, a)",
        "maximize fit over world
         maximize dream over pi
         ratio = table(s, a, s'); trajectories = 128; steps = 500; optimizer = adam(rate = \
         ramp(from = 0.05, to = 0)); seed = 2",
    ));
    let uniform = exact_bound(&plan, &Parameters::initial(&plan.model, 0));
    let run = infer(&plan, &mut ()).unwrap();
    let (reached, best) = (
        exact_bound(&plan, &run.parameters),
        exact::exact(&plan.model, BoundId(3), None).unwrap().best_bound,
    );
    assert!(reached > uniform + 0.85 * (best - uniform), "{reached}, from {uniform}, best {best}");
    let truth = run.others.iter().find(|(bound, _)| *bound == BoundId(3)).unwrap();
    assert!((truth.1.bound - reached).abs() < 5.0 * truth.1.bound_se, "{truth:?} {reached}");
}

#[test]
fn turns_give_the_same_bits_on_any_number_of_threads_and_after_a_resumption() {
    let settings = "ratio = mlp(s, a, s', hidden = [4]); shards = 4; steps = 24; log_every = 1";
    let turns = [
        "maximize fit over world (trajectories = 9, refits = 3); maximize dream over pi (steps = \
         2, trajectories = 16, baseline = table(s))",
        // fewer trajectories than shards
        "maximize fit over world (trajectories = 1, refits = 3); maximize dream over pi \
         (trajectories = 16, baseline = table(s))",
        "maximize dream over pi; maximize fit over world (trajectories = 2)",
        "maximize dream over pi",
    ];
    for turn in turns {
        let with = |threads: usize| {
            planned(&chain("table(s, a)", &format!("{turn}; {settings}; threads = {threads}")))
        };
        let plan = with(1);
        let one = infer(&plan, &mut ()).unwrap();
        assert_eq!(bits(&infer(&with(2), &mut ()).unwrap()), bits(&one), "two threads, {turn}");
        let whole = resumed(&plan, 12);
        assert_eq!(bits(&whole), bits(&one), "resumed, {turn}");
        assert_eq!(
            (whole.env_steps, whole.imagined_steps),
            (one.env_steps, one.imagined_steps),
            "{turn}"
        );
    }
}

/// The environment can only be sampled: its density is taken away here, and all of learning runs.
#[test]
fn nothing_on_the_way_of_learning_reads_the_density_of_the_environment() {
    let text = "model drift
         horizon T = 5
         hidden environment line {
           state  s : real
           action a : { left, right }
           reward r in [-1, 0]
           s[1]   ~ Normal(mean = 0, sd = 1)
           s[t+1] ~ Mixture(0.5: Normal(mean = 0.9 * s[t] + (if a[t] == right then 0.5 else \
           -0.5), sd = 0.3), 0.5: Normal(mean = 0, sd = 0.5))
           r[t]   = -min(1, abs(s[t+1]))
         }
         kernel pi(a | s)        = Categorical(logits = mlp(s, hidden = [8]))
         kernel world(s' | s, a) = Normal(mean = linear(s, a), sd = 0.05 + softplus(linear(s, a)))
         bound fit {
           prior      { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }
           posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], a[t]) }
         }
         bound dream {
           prior      { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }
           likelihood { R[t] ~ exp(r[t]) }
           posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }
         }
         infer { maximize fit over world (refits = 5); maximize dream over pi; ratio = mlp(s, a, \
         s', hidden = [32]); steps = 300; optimizer = adam(rate = 0.01) }";
    // the judge alone reads it, after training
    let mut plan = planned(text);
    assert!(plan.log_transition.take().is_some());
    let mut log = Log::default();
    let run = infer(&plan, &mut log).unwrap();
    assert!(run.calibrations.is_empty(), "what is not known is not told");
    let (first, last) = (&log.0[0].earlier[0], &log.0[log.0.len() - 1].earlier[0]);
    assert!(
        last.bound > first.bound + 1.0,
        "the likelihood of real steps: {} to {}",
        first.bound,
        last.bound
    );
    let told: Vec<f64> =
        log.0[200..].iter().flat_map(|batch| &batch.classified).map(|told| told.1.loss).collect();
    let loss = told.iter().sum::<f64>() / told.len() as f64;
    // a batch of 256 pairs is within 0.01 or so; a hundred of them within 0.001
    assert!(loss < 2f64.ln() - 0.003, "one normal is told from two: {loss}");
}

#[test]
fn recorded_episodes_are_imitated() {
    let folder = tempfile::tempdir().unwrap();
    let header = "model chain
         horizon T = 8
         environment chain {
           state  s : 0..3
           action a : { left, right }
           reward r in [-1, 0]
           s[1]   ~ Uniform(over = [0, 1, 2])
           s[t+1] ~ Mixture(0.9: Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 3)), \
           0.1: Uniform)
           r[t]   = if s[t+1] == 3 then 0 else -1
           end when s[t] == 3
         }
         data expert(a | s) from \"expert.csv\"
         kernel pi(a | s) = Categorical(logits = table(s))
         prior      { s[1] ~ chain.initial; a[t] ~ expert(s[t]); s[t+1] ~ chain.transition(s[t], \
         a[t]) }
         likelihood { R[t] ~ exp(0 * r[t]) }
         posterior  { s[1] ~ chain.initial; a[t] ~ pi(s[t]); s[t+1] ~ chain.transition(s[t], a[t]) }
         infer { ratio = table(s, a); trajectories = 64; shards = 4; steps = 300; optimizer = \
         adam(rate = ramp(from = 0.05, to = 0)) }";
    // one that goes right, but at cell 1 half the time left; two episodes
    let steps =
        ["0,0,right", "0,1,right", "0,2,right", "1,1,left", "1,0,right", "1,1,right", "1,2,right"];
    std::fs::write(
        folder.path().join("expert.csv"),
        format!("episode,s,a\n{}\n", steps.join("\n")),
    )
    .unwrap();
    let model = checked(&Source::at(&folder.path().join("m.rlmodel"), header));
    let plan = plan(&model, &derive(&model).unwrap()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(plan.records[0].starts, [0, 3, 7]);
    let run = infer(&plan, &mut ()).unwrap();
    let policy = tabulate(&plan.model, &run.parameters, KernelId(0)).unwrap();
    let right = |state: usize| policy.row(state)[1].exp();
    assert!(right(0) > 0.9 && right(2) > 0.9, "{} and {}", right(0), right(2));
    assert!((0.3..0.97).contains(&right(1)), "as the records are of two minds there: {}", right(1));
    let whole = resumed(&plan, 70);
    assert_eq!(bits(&whole), bits(&run), "resumed");
}

/// Where the first number of a parameter stands.
fn place(plan: &Plan, parameters: &Parameters<f64>, name: &str) -> usize {
    let at = plan
        .model
        .network
        .parameters
        .iter()
        .position(|parameter| parameter.name == name)
        .expect(name);
    parameters.layout().range(ParameterId(at as u32)).start
}

/// A real action, imitated from what `record` tells of a policy whose numbers are known.
#[test]
fn recorded_real_actions_are_imitated() {
    let folder = tempfile::tempdir().unwrap();
    let text = |data: &str, prior: &str, ratio: &str| {
        format!(
            "model line
             horizon T = 8
             environment line {{
               state s : real; action a : real; reward r
               s[1] ~ Normal(mean = 0, sd = 1); s[t+1] ~ Normal(mean = 0.9 * s[t] + 0.5 * a[t], \
               sd = 0.3); r[t] = -s[t]^2
             }}
             {data}
             kernel pi(a | s) = Normal(mean = linear(s), sd = 0.05 + softplus(linear(1)))
             prior      {{ s[1] ~ line.initial; a[t] ~ {prior}; s[t+1] ~ line.transition(s[t], \
             a[t]) }}
             likelihood {{ R[t] ~ exp(0 * r[t]) }}
             posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], \
             a[t]) }}
             infer {{ {ratio} trajectories = 128; shards = 2; steps = 800; optimizer = adam(rate \
             = ramp(from = 0.01, to = 0)) }}"
        )
    };
    let expert = planned(&text("", "Normal(mean = 0, sd = 1)", ""));
    let mut parameters = Parameters::<f64>::initial(&expert.model, 0);
    let [slope, shift] =
        ["pi.mean.0.weight", "pi.mean.0.bias"].map(|name| place(&expert, &parameters, name));
    (parameters.values_mut()[slope], parameters.values_mut()[shift]) = (-0.8, 0.5);
    let steps = crate::engine::record(&expert, &parameters, 200, false, 3).unwrap();
    let rows: Vec<String> = steps
        .iter()
        .map(|step| format!("{},{},{}", step.episode, step.state[0], step.action[0]))
        .collect();
    std::fs::write(folder.path().join("expert.csv"), format!("episode,s,a\n{}\n", rows.join("\n")))
        .unwrap();
    let text = text(
        "data expert(a | s) from \"expert.csv\"",
        "expert(s[t])",
        "ratio = mlp(s, a, hidden = [32]); ratio_batch = 512; ratio_steps = 3;",
    );
    let model = checked(&Source::at(&folder.path().join("m.rlmodel"), text));
    let plan = plan(&model, &derive(&model).unwrap()).unwrap_or_else(|errors| panic!("{errors}"));
    let run = infer(&plan, &mut ()).unwrap();
    let told = ["pi.mean.0.weight", "pi.mean.0.bias"]
        .map(|name| run.parameters.values()[place(&plan, &run.parameters, name)]);
    assert!(
        (told[0] + 0.8).abs() < 0.15 && (told[1] - 0.5).abs() < 0.15,
        "{told:?} of −0.8 and 0.5"
    );
}

#[test]
fn what_is_wrong_with_records_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/imitation.rlmodel"),
    )
    .unwrap();
    let source = Source::at(&folder.path().join("m.rlmodel"), text);
    let model = checked(&source);
    let derivation = derive(&model).unwrap();
    let cases = [
        ("s,a\n0,right\n9,left\n", "line 3: `s` cannot be `9`"),
        ("s,a\n0,up\n", "line 2: `a` cannot be `up`"),
        ("s,b\n0,left\n", "has no column `a`"),
        ("s,a\n", "records nothing"),
        ("s,a\n0,left,1\n", "line"),
        ("s,a,s\n0,left,0\n", "two columns of the same name, `s`"),
        ("s,a\n0,2\n", "line 2: `a` cannot be `2`"),
        ("t,s,a\n1,0,left\n3,0,left\n", "line 3: `t` goes from 1 to 3"),
        ("t,s,a\n1,0,left\n2,0,left\n2,0,left\n", "line 4: `t` goes from 2 to 2"),
        ("episode,t,s,a\n1,1,0,left\n2,3,0,left\n", "line 3: an episode begins with another `t`"),
        ("t,s,a\n1,0,left\n9223372036854775807,0,left\n1,0,left\n", "line 3: `t` goes from 1 to"),
        ("t,s,a\nx,0,left\n", "line 2: `t` is no whole number"),
        ("episode,t,s,a\n1,1,0,left\n1,1,0,left\n", "line 3: `t` goes from 1 to 1"),
        ("episode,s,a\n1,0,left\n2,0,left\n1,0,left\n", "line 4: an episode goes on"),
        (&format!("s,a\n{}", "0,left\n".repeat(1000)), "does not say where one begins"),
        (&format!("s,a\n{},left\n", " ".repeat(2 << 20)), "a row of more than 1 MiB"),
    ];
    for (file, wanted) in cases {
        std::fs::write(folder.path().join("expert.csv"), file).unwrap();
        let told = plan(&model, &derivation).expect_err("the file is wrong").to_string();
        assert!(told.contains(wanted), "{file:?} gives {told}");
    }
    let read = [
        ("s,a\n0,right\n1,1\n2,1.0\n", vec![0, 3]),
        ("t,s,a\n1,0,right\n2,1,1\n1,0,0\n1,0,0\n", vec![0, 2, 3, 4]),
        ("episode,s,a\n7,0,right\n7,1,1\n8,0,0\n", vec![0, 2, 3]),
    ];
    for (file, starts) in read {
        std::fs::write(folder.path().join("expert.csv"), file).unwrap();
        let records = plan(&model, &derivation).unwrap().records[0].clone();
        assert_eq!(
            (&records.starts, records.len()),
            (&starts, file.lines().count() - 1),
            "{file:?}"
        );
    }
    let episode = "read as one episode: no column says where one begins";
    let warned = [
        ("s,a\n0,right\n1,1\n2,1.0\n", vec![episode]),
        ("s,a\n0,right\n", vec![]),
        ("t,s,a\n1,0,right\n", vec![]),
        (
            "run,step,s,a\n0,1,0,right\n0,2,1,1\n",
            vec![episode, "nothing reads the columns `run`, `step` of"],
        ),
        ("episode,s,a,r\n0,0,right,-1\n0,1,1,-1\n", vec!["nothing reads the column `r` of"]),
    ];
    for (file, wanted) in warned {
        std::fs::write(folder.path().join("expert.csv"), file).unwrap();
        let told = plan(&model, &derivation).unwrap().warnings();
        let has = |wanted: &&str| {
            told.iter().any(|told| told.message.contains(wanted) && !told.hints.is_empty())
        };
        assert!(told.len() == wanted.len() && wanted.iter().all(has), "{file:?} gives {told:?}");
    }
    std::fs::remove_file(folder.path().join("expert.csv")).unwrap();
    assert!(
        plan(&model, &derivation)
            .expect_err("there is no file")
            .to_string()
            .contains("cannot be read")
    );
}

fn is_judged(one: &Alternative) -> bool {
    !matches!(one.claim, Claim::BeyondOneBatch(_))
}

/// The estimators that `infer` may run, of each bound that is maximised.
fn tried(text: &str) -> Vec<Alternative> {
    let model = checked(&Source::new("test", text));
    alternatives(&model, &derive(&model).unwrap_or_else(|errors| panic!("{errors}")))
        .unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_estimators_of_a_model_and_of_a_policy_inside_it_are_unbiased() {
    let turns = "maximize fit over world (refits = 3); maximize dream over pi; ratio = mlp(s, a, \
                 s', hidden = [4]); baseline = table(s)";
    let tried = tried(&chain("table(s, a)", turns));
    let names: Vec<(&str, &str)> = tried
        .iter()
        .map(|one| (one.plan.derivation.name.as_deref().unwrap(), one.name.as_str()))
        .collect();
    let of_dream =
        ["baseline = none", "baseline = leave_one_out", "baseline = a network", "kl_to_go = false"];
    let expected: Vec<(&str, &str)> = [("fit", "baseline = none"), ("fit", "refits = 3")]
        .into_iter()
        .chain(of_dream.into_iter().map(|name| ("dream", name)))
        .collect();
    assert_eq!(names, expected, "a fit draws nothing that is scored");
    for Alternative { name, claim, plan, .. } in tried.iter().filter(|one| is_judged(one)) {
        let found = assess(plan, &Viewpoint::of(plan, SCALES[1], 5).unwrap(), 1).unwrap();
        assert!(found.holds() || *claim == Claim::Biased, "{name}: {found:?}");
        assert!(found.components > 3 && found.scale > 0.01, "{name}: {found:?}");
    }
}

/// A model that draws and moves: next states are scored like actions, of a world whose density is
/// known and of one that a classifier corrects, and where the model stands in the prior, too.
#[test]
fn the_estimators_of_a_model_in_its_own_bound_are_unbiased() {
    let settings = "ratio = table(s, a, s'); baseline = table(s)";
    let hidden = chain("table(s, a)", &format!("maximize dream over pi, world; {settings}"));
    let known = chain("table(s, a)", "maximize dream over pi, world; baseline = table(s)")
        .replace("hidden environment", "environment");
    let both = chain("table(s, a)", "maximize alone over world; baseline = table(s)");
    for (text, moved) in [(known, 40), (hidden, 40), (both, 32)] {
        let tried = tried(&text);
        assert!(tried.len() >= 3, "{}", tried.len());
        for Alternative { name, claim, plan, .. } in tried.iter().filter(|one| is_judged(one)) {
            assert_eq!(
                plan.trained
                    .iter()
                    .map(|&id| Parameters::<f64>::initial(&plan.model, 0).layout().range(id).len())
                    .sum::<usize>(),
                moved
            );
            let found = assess(plan, &Viewpoint::of(plan, SCALES[1], 5).unwrap(), 1).unwrap();
            assert!(found.holds() || *claim == Claim::Biased, "{name}: {found:?}");
            assert!(found.components > 10 && found.scale > 0.01, "{name}: {found:?}");
        }
    }
}

/// Options, actions and states: all three are drawn by kernels that move, and a reverse model looks
/// back at them.
#[test]
fn options_in_a_model_that_moves_are_unbiased() {
    let text = "model chain
         horizon T = 3
         environment chain {
           state  s : 0..2
           action a : { left, right }
           reward r in [-1, 0]
           s[1]   ~ Uniform(over = [0, 1])
           s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 2)), \
           0.2: Uniform)
           r[t]   = if s[t+1] == 2 then 0 else -1
           end when s[t] == 2
         }
         option o : 2
         kernel pi(a | s, o)           = Categorical(logits = table(s, o))
         kernel pick(o | s)            = Categorical(logits = table(s))
         kernel back(o | s, a, next: s) = Categorical(logits = table(s, a, next))
         kernel world(s' | s, a)       = Categorical(logits = table(s, a))
         prior      { s[1] ~ chain.initial; a[t] ~ Uniform; s[t+1] ~ chain.transition(s[t], a[t]) }
         likelihood { R[t] ~ exp(r[t]) }
         posterior  { s[1] ~ chain.initial; o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t]); s[t+1] ~ \
         world(s[t], a[t]) }
         auxiliary  { o[t] ~ back(s[t], a[t], s[t+1]) }
         infer { baseline = table(s) }";
    let tried = tried(text);
    assert!(tried.len() >= 3, "{}", tried.len());
    for Alternative { name, claim, plan, .. } in tried.iter().filter(|one| is_judged(one)) {
        let found = assess(plan, &Viewpoint::of(plan, SCALES[1], 5).unwrap(), 1).unwrap();
        assert!(found.holds() || *claim == Claim::Biased, "{name}: {found:?}");
        assert!(found.components > 10 && found.scale > 0.01, "{name}: {found:?}");
    }
    let told =
        super::testing::try_plan(&text.replace("baseline = table(s)", "options = enumerate"))
            .map(|_| "planned")
            .expect_err("a model that moves");
    assert!(told.contains("it moves the model that draws them"), "{told}");
}

/// A start, a policy and dynamics of the posterior's own: the oracle's gradient of all three
/// against differences of its bound.
#[test]
fn the_exact_gradient_of_a_start_of_its_own() {
    let text = "model chain
         horizon T = 3
         environment chain {
           state  s : 0..3
           action a : { left, right }
           reward r in [-1, 0]
           s[1]   ~ Uniform
           s[t+1] ~ Mixture(0.7: Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 3)), \
           0.3: Uniform)
           r[t]   = if s[t+1] == 3 then 0 else -1
           end when s[t] == 3
         }
         kernel start(s)         = Categorical(logits = linear(1))
         kernel pi(a | s)        = Categorical(logits = table(s))
         kernel world(s' | s, a) = Categorical(logits = table(s, a))
         prior      { s[1] ~ chain.initial; a[t] ~ Uniform; s[t+1] ~ chain.transition(s[t], a[t]) }
         likelihood { R[t] ~ exp(0.7 * r[t]) }
         posterior  { s[1] ~ start; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }
         infer      { maximize only over pi }";
    let text = text
        .replace("prior      {", "bound only { prior {")
        .replace("world(s[t], a[t]) }\n         infer", "world(s[t], a[t]) } }\n         infer");
    let plan = planned(&text);
    let mut parameters = Parameters::<f64>::initial(&plan.model, 0);
    let shifts = super::testing::numbers(parameters.values().len(), 7);
    parameters.values_mut().copy_from_slice(&shifts);
    let gradient = exact_gradient(&plan, &parameters, &parameters).unwrap();
    super::testing::assert_gradient(&shifts, &gradient, |values| {
        let mut moved = parameters.clone();
        moved.values_mut().copy_from_slice(values);
        let tables = crate::engine::kernel_tables(&plan.model, BoundId(0), &moved, &moved).unwrap();
        exact::Evaluator::new(&plan.model, BoundId(0)).evaluate(&tables).unwrap().bound
    });
}

/// A posterior that may choose its own dynamics reaches the evidence, but for the start.
#[test]
fn policy_and_dynamics_together_reach_the_evidence() {
    let settings = "maximize dream over pi, world; trajectories = 256; steps = 600; precision = \
                    f64; optimizer = adam(rate = ramp(from = 0.1, to = 0))";
    let text = chain("table(s, a, t)", settings)
        .replace("hidden environment", "environment")
        .replace("Uniform(over = [0, 1, 2])", "Delta(1)");
    let text = text
        .replace("world(s' | s, a)", "world(s' | s, a, t)")
        .replace("pi(a | s) ", "pi(a | s, t)")
        .replace("= Categorical(logits = table(s))", "= Categorical(logits = table(s, t))");
    let text = text
        .replace("pi(s[t])", "pi(s[t], t)")
        .replace("world(s[t], a[t])", "world(s[t], a[t], t)");
    let plan = planned(&text);
    let run = infer(&plan, &mut ()).unwrap();
    // `truth` has the same prior and likelihood
    let evidence = exact::exact(&plan.model, BoundId(3), None).unwrap().log_evidence;
    let told = evaluate(&plan, &run.parameters, 20_000, false, 5).unwrap();
    let from_above = told.bound - evidence;
    assert!(
        from_above < 4.0 * told.bound_se && from_above > -0.02 - 4.0 * told.bound_se,
        "{} ± {} of {evidence}",
        told.bound,
        told.bound_se
    );
    // at the posterior itself every trajectory tells the same
    assert!(told.bound_se < 0.005, "{}", told.bound_se);
}

/// Batches whose mean gradients are compared.
const BATCHES: u64 = 200;

/// The mean of the estimates, with the exact log-ratio or with what the classifier says.
fn mean_estimate(plan: &Plan, parameters: &Parameters<f64>, exact: bool) -> Vec<f64> {
    let mut program = CompiledProgram::<f64>::new(plan).unwrap();
    for ratio in program.ratios.iter_mut().filter(|_| exact) {
        ratio.known = KnownRatio::of(plan, plan.ratios().next().unwrap().1, parameters).unwrap();
    }
    let mut mean = parameters.zero_gradient();
    for estimate in
        estimates_at(&program, (parameters, parameters), Aim::Policy, 0..BATCHES).unwrap()
    {
        mean.iter_mut().zip(estimate).for_each(|(mean, value)| *mean += value / BATCHES as f64);
    }
    mean
}

const ALONE: &str = "trajectories = 32; threads = 1; ratio = table(s, a, s')";

#[test]
fn the_exact_ratio_and_what_it_credits_vanish_where_the_model_is_the_world() {
    let plan = planned(&chain(JUST, &format!("maximize dream over pi; {ALONE}")));
    let parameters = random_parameters(&plan, SCALES[1], 1).unwrap();
    let known =
        KnownRatio::of(&plan, plan.ratios().next().unwrap().1, &parameters).unwrap().unwrap();
    for (state, action, next) in
        (0..3).flat_map(|s| (0..2).flat_map(move |a| (0..4).map(move |n| (s, a, n))))
    {
        let number = |variable, offset| match (variable, offset) {
            (Variable::Drawn(_), _) => action,
            (_, 0) => state,
            _ => next,
        };
        assert!(known.at(number).abs() < 1e-12, "{state} {action} {next}");
    }
    // `alone` is the same bound without the ratio: the same trajectories are credited with the same
    let without = planned(&chain(JUST, "maximize alone over pi; trajectories = 32; threads = 1"));
    let mut without = Plan { number: plan.number, ..without };
    without.settings.shards = plan.settings.shards;
    let (with, without) =
        (mean_estimate(&plan, &parameters, true), mean_estimate(&without, &parameters, false));
    assert!(
        plan.trained
            .iter()
            .flat_map(|&id| parameters.layout().range(id))
            .all(|at| (with[at] - without[at]).abs() < 1e-12)
    );
    assert!(with.iter().any(|g| g.abs() > 0.01));
}

#[test]
fn without_the_ratio_a_policy_in_a_wrong_model_is_taught_something_else() {
    let plan = planned(&chain(WRONG, &format!("maximize dream over pi; {ALONE}")));
    let parameters = Parameters::<f64>::initial(&plan.model, 0);
    let exact = exact_gradient(&plan, &parameters, &parameters).unwrap();
    let off = |estimate: &[f64]| {
        exact
            .iter()
            .zip(estimate)
            .map(|(exact, estimate)| (exact - estimate).abs())
            .fold(0.0, f64::max)
    };
    let scale = exact.iter().fold(0.0f64, |scale, g| scale.max(g.abs()));
    // an untrained table says 0 everywhere
    let (known, untrained) =
        (mean_estimate(&plan, &parameters, true), mean_estimate(&plan, &parameters, false));
    assert!(
        off(&untrained) > 0.2 * scale && off(&known) < 0.5 * off(&untrained),
        "{} and {} of {scale}",
        off(&known),
        off(&untrained)
    );
}

#[test]
fn exact_numbers_follow_a_learned_model() {
    let plan = planned(&chain(
        "table(s, a)",
        "maximize fit over world; trajectories = 64; steps = 400; optimizer = adam(rate = \
         ramp(from = 0.05, to = 0))",
    ));
    let per_step = |parameters: &Parameters<f64>| {
        let tables =
            crate::engine::kernel_tables(&plan.model, BoundId(0), parameters, parameters).unwrap();
        let found = exact::Evaluator::new(&plan.model, BoundId(0)).evaluate(&tables).unwrap();
        found.transition_kl.unwrap() / found.live_steps
    };
    let (before, after) = (
        per_step(&Parameters::initial(&plan.model, 0)),
        per_step(&infer(&plan, &mut ()).unwrap().parameters),
    );
    assert!(before > 0.3 && after < 0.01, "{before} to {after} nats a step");
}

#[test]
fn what_belongs_to_the_run_or_to_nobody_is_refused() {
    let cases = [
        ("maximize fit over world (seed = 1); maximize dream over pi", "`seed` is the whole run's"),
        (
            "maximize fit over world (steps = 0); maximize dream over pi",
            "a whole number, at least 1",
        ),
        (
            "maximize fit over world; maximize dream over pi (refits = 3)",
            "this bound moves the policy too",
        ),
        (
            "maximize fit over world (refit_batch = 3); maximize dream over pi",
            "`refit_batch` belongs to `refits`",
        ),
        ("maximize fit over world; maximize truth over pi", "no bound that is maximised has one"),
    ];
    for (turns, wanted) in cases {
        let source =
            Source::new("test", chain("table(s, a)", &format!("{turns}; ratio = table(s, a, s')")));
        let model = checked(&source);
        let planned = derive(&model).and_then(|derivation| plan(&model, &derivation).map(|_| ()));
        let told = planned.expect_err(turns).to_string();
        assert!(told.contains(wanted), "{turns} gives {told}");
    }
}
