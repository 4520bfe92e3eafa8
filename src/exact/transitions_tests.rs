//! Learned models of the world in the prior and in the posterior, against whole trajectories,
//! finite differences and what is known.

use super::tests::{BOUND, agree, random_logits, read};
use super::{Evaluator, ascend, exact};
use crate::finite::{KernelTable, KernelTables, tabulate};
use crate::model::{EnvironmentId, KernelId, Model};

/// A walk whose steps go astray; `s[1]` and `s[t+1]` of either side, and what else there is.
fn walk(
    kernels: &str,
    [prior, posterior]: [&str; 2],
    [before, drawn]: [&str; 2],
    rest: &str,
) -> String {
    format!(
        "model walk
         param alpha = 0.7
         horizon T = 3
         environment walk {{
           state  s : 0..2
           action a : {{ left, right }}
           reward r in [-2, 0]
           s[1]   ~ Categorical(probs = [0.5, 0.3, 0.2])
           s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 2)), 0.2: Uniform)
           r[t]   = if s[t+1] == 2 then 0 else -1 - 0.3 * s[t] - 0.1 * a[t]
           end when s[t] == 2
         }}
         kernel pi(a | s)           = Categorical(logits = table(s))
         kernel timed(a | s, t)     = Categorical(logits = table(s, t))
         kernel world(s' | s, a)    = Categorical(logits = table(s, a))
         kernel imagined(s' | a, s) = Categorical(logits = table(s, a))
         kernel drift(s' | s, a?)   = Categorical(logits = table(s, a))
         kernel start(s | last: s?) = Categorical(logits = table(last))
         {kernels}
         prior      {{ {before}; {prior} }}
         likelihood {{ R[t] ~ exp(alpha * r[t]) }}
         posterior  {{ {drawn}; {posterior} }}
         {rest}"
    )
}

const REAL: &str = "s[t+1] ~ walk.transition(s[t], a[t])";
const WORLD: &str = "s[t+1] ~ world(s[t], a[t])";
const IMAGINED: &str = "s[t+1] ~ imagined(a[t], s[t])";
const PLAIN: [&str; 2] =
    ["s[1] ~ walk.initial; a[t] ~ Uniform", "s[1] ~ walk.initial; a[t] ~ pi(s[t])"];

fn kernel(model: &Model, name: &str) -> KernelId {
    KernelId(model.kernels.iter().position(|kernel| kernel.name == name).unwrap() as u32)
}

#[test]
fn a_learned_world_on_either_side_or_on_both() {
    for sides in [[WORLD, REAL], [REAL, WORLD], [WORLD, WORLD], [IMAGINED, WORLD]] {
        agree(&walk("", sides, PLAIN, ""));
    }
    agree(&walk("", [WORLD, REAL], ["s[1] ~ walk.initial; a[t] ~ pi(s[t])", PLAIN[1]], ""));
}

#[test]
fn a_world_of_the_last_round_and_one_that_reads_no_action() {
    agree(&walk("", ["s[t+1] ~ previous world(s[t], a[t])", WORLD], PLAIN, ""));
    agree(&walk("", [REAL, "s[t+1] ~ drift(s[t], none)"], PLAIN, ""));
}

#[test]
fn learned_starts() {
    let learned = "s[1] ~ start(none); a[t] ~ Uniform";
    agree(&walk("", [REAL, REAL], [learned, PLAIN[1]], ""));
    agree(&walk("", [WORLD, REAL], [learned, "s[1] ~ start(none); a[t] ~ pi(s[t])"], ""));
    agree(&walk("", [REAL, WORLD], [PLAIN[0], "s[1] ~ start(none); a[t] ~ pi(s[t])"], ""));
}

#[test]
fn likelihoods_of_the_time_and_policies_of_it() {
    let text =
        walk("", [REAL, WORLD], [PLAIN[0], "s[1] ~ walk.initial; a[t] ~ timed(s[t], t)"], "");
    agree(&text.replace(
        "alpha * r[t])",
        "alpha * r[t] / t); G[T] ~ exp(-0.5 * abs(s[T+1] - 1)); S[t] ~ exp(-0.1 * t * s[t+1])",
    ));
}

#[test]
fn transitions_of_the_time_on_either_side() {
    let timed = "kernel season(s' | s, a, t) = Categorical(logits = table(s, a, t))";
    const SEASON: &str = "s[t+1] ~ season(s[t], a[t], t)";
    for sides in
        [[SEASON, REAL], [REAL, SEASON], [SEASON, SEASON], [SEASON, WORLD], [WORLD, SEASON]]
    {
        agree(&walk(timed, sides, PLAIN, ""));
    }
    agree(&walk(
        timed,
        [REAL, SEASON],
        ["s[1] ~ walk.initial; a[t] ~ Uniform", "s[1] ~ start(none); a[t] ~ timed(s[t], t)"],
        "",
    ));
    // beside a reverse model it is refused, in words
    let drawn = "s[1] ~ walk.initial; o[t] ~ pick(s[t], o[t-1]); a[t] ~ act(s[t], o[t])";
    let kernels = format!("{timed} {OPTIONS}");
    let model = read(&walk(
        &kernels,
        [REAL, SEASON],
        [PLAIN[0], drawn],
        "auxiliary { o[t] ~ back(s[t], a[t], o[t-1]) }",
    ));
    let refused = exact(&model, BOUND, Some(&random_logits(&model, 3))).unwrap_err();
    assert_eq!(
        refused.0,
        "the exact oracle does not take a reverse model beside transitions that read the time yet"
    );
}

const OPTIONS: &str = "option o : 2
    kernel pick(o | s, last: o?) = Categorical(logits = table(s, last))
    kernel act(a | s, o) = Categorical(logits = table(s, o))
    kernel back(o | s, a, last: o?) = Categorical(logits = table(s, a, last))";

#[test]
fn options_that_are_remembered_in_a_learned_world() {
    let drawn = "s[1] ~ start(none); o[t] ~ pick(s[t], o[t-1]); a[t] ~ act(s[t], o[t])";
    for sides in [[WORLD, REAL], [REAL, WORLD], [IMAGINED, WORLD]] {
        let text = walk(
            OPTIONS,
            sides,
            [PLAIN[0], drawn],
            "auxiliary { o[t] ~ back(s[t], a[t], o[t-1]) }",
        );
        agree(&text);
        let model = read(&text);
        let tables = random_logits(&model, 3);
        let evaluator = Evaluator::new(&model, BOUND);
        let marginal = evaluator.marginal(&tables).unwrap().unwrap();
        let gap = exact(&model, BOUND, Some(&tables)).unwrap().gap.unwrap();
        let bound = evaluator.evaluate(&tables).unwrap().bound;
        assert!(
            (marginal.bound - bound - gap.auxiliary).abs() < 1e-12,
            "{} {bound} {gap:?}",
            marginal.bound
        );
        for name in ["world", "start", "act"] {
            let id = kernel(&model, name);
            for (entry, exact) in marginal.gradient[&id].iter().enumerate() {
                let at = |step: f64| {
                    evaluator.marginal(&moved(&tables, id, entry, step)).unwrap().unwrap().bound
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((slope - exact).abs() < 1e-7, "{name} {entry}: {exact} against {slope}");
            }
        }
    }
}

fn moved(tables: &KernelTables, kernel: KernelId, entry: usize, step: f64) -> KernelTables {
    let mut tables = tables.clone();
    let table = tables.current.get_mut(&kernel).unwrap();
    table.log_probability[entry] += step;
    let row =
        entry / table.outcomes * table.outcomes..(entry / table.outcomes + 1) * table.outcomes;
    let norm = super::exponentials::log_sum_exp(&table.log_probability[row.clone()]);
    table.log_probability[row].iter_mut().for_each(|log_p| *log_p -= norm);
    tables
}

#[test]
fn the_best_bound_in_an_imagined_world_is_that_of_the_best_policy_of_the_time() {
    for sides in [[REAL, WORLD], [WORLD, REAL], [IMAGINED, WORLD]] {
        let model =
            read(&walk("", sides, [PLAIN[0], "s[1] ~ walk.initial; a[t] ~ timed(s[t], t)"], ""));
        let tables = random_logits(&model, 5);
        let found = ascend(&model, BOUND, &tables, &[kernel(&model, "timed")], 500).unwrap();
        let best = exact(&model, BOUND, Some(&tables)).unwrap().best_bound;
        assert!((found.evaluation.bound - best).abs() < 1e-9, "{} {best}", found.evaluation.bound);
    }
}

/// The environment's own transitions as a table of `world`.
fn as_the_world_is(model: &Model) -> KernelTable {
    let environment = tabulate(model, EnvironmentId(0)).unwrap();
    let mut table =
        KernelTable::uniform(environment.states * environment.actions, environment.states);
    for (row, log_p) in table.log_probability.chunks_mut(environment.states).enumerate() {
        log_p.fill(f64::NEG_INFINITY);
        environment.transition.row(row).for_each(|(next, p)| log_p[next] = p.ln());
    }
    table
}

#[test]
fn a_model_that_is_the_world_changes_nothing() {
    let truth = read(&walk("", [REAL, REAL], PLAIN, ""));
    let mut tables = random_logits(&truth, 2);
    tables.current.insert(kernel(&truth, "world"), as_the_world_is(&truth));
    let known = exact(&truth, BOUND, Some(&tables)).unwrap();
    for sides in [[WORLD, REAL], [REAL, WORLD], [WORLD, WORLD]] {
        let model = read(&walk("", sides, PLAIN, ""));
        let answers = exact(&model, BOUND, Some(&tables)).unwrap();
        let (of_model, evaluation) =
            (answers.evaluation.unwrap(), known.evaluation.clone().unwrap());
        assert!((answers.log_evidence - known.log_evidence).abs() < 1e-12);
        assert!((answers.best_bound - known.best_bound).abs() < 1e-12);
        assert!(
            (of_model.bound - evaluation.bound).abs() < 1e-12
                && (of_model.kl - evaluation.kl).abs() < 1e-12
        );
        assert!((of_model.expected_return - evaluation.expected_return).abs() < 1e-12);
        assert_eq!(of_model.transition_kl, if sides[0] == sides[1] { None } else { Some(0.0) });
        let pi = kernel(&model, "pi");
        let pairs = of_model.gradient[&pi].iter().zip(&evaluation.gradient[&pi]);
        assert!(pairs.into_iter().all(|(mine, known)| (mine - known).abs() < 1e-12));
        if sides == [WORLD, REAL] {
            let world = &of_model.gradient[&kernel(&model, "world")];
            assert!(world.iter().all(|g| g.abs() < 1e-12), "maximum likelihood: {world:?}");
        }
    }
}

#[test]
fn the_divergence_of_a_model_is_that_of_the_steps_it_is_used_in() {
    let model = read(&walk("", [WORLD, REAL], PLAIN, ""));
    let tables = random_logits(&model, 4);
    let evaluation = Evaluator::new(&model, BOUND).evaluate(&tables).unwrap();
    let environment = tabulate(&model, EnvironmentId(0)).unwrap();
    let (pi, world) =
        (&tables.current[&kernel(&model, "pi")], &tables.current[&kernel(&model, "world")]);
    let (mut live, mut sum) = (0.0, 0.0);
    for visits in &evaluation.occupancy[..3] {
        for (state, action) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let weight = visits[state] * pi.row(state)[action].exp();
            let row = 2 * state + action;
            live += weight;
            sum += environment
                .transition
                .row(row)
                .map(|(next, p)| weight * p * (p.ln() - world.row(row)[next]))
                .sum::<f64>();
        }
    }
    assert!(
        (evaluation.live_steps - live).abs() < 1e-12
            && (evaluation.transition_kl.unwrap() - sum).abs() < 1e-12
            && sum > 0.1
    );
    // no policy, no likelihood: what the bound pays is that alone
    let uniform = KernelTable::uniform(pi.conditions, pi.outcomes);
    let mut tables = tables.clone();
    tables.current.insert(kernel(&model, "pi"), uniform);
    let evaluation = Evaluator::new(&model, BOUND).evaluate(&tables).unwrap();
    assert!(
        (evaluation.kl - evaluation.transition_kl.unwrap()).abs() < 1e-12,
        "{} {:?}",
        evaluation.kl,
        evaluation.transition_kl
    );
}

#[test]
fn what_the_environment_rules_out_costs_everything() {
    // a step cannot go astray, and the model believes it can
    let text = walk("", [REAL, WORLD], PLAIN, "").replace("0.2: Uniform", "0.2: Delta(s[t])");
    // of a hidden one nobody knows before the run
    let text = text.replace("environment walk {", "hidden environment walk {");
    let model = read(&text);
    let tables = random_logits(&model, 3);
    let answers = exact(&model, BOUND, Some(&tables)).unwrap();
    let evaluation = answers.evaluation.unwrap();
    assert_eq!((evaluation.bound, answers.best_bound), (f64::NEG_INFINITY, f64::NEG_INFINITY));
    assert_eq!((evaluation.kl, evaluation.transition_kl), (f64::INFINITY, Some(f64::INFINITY)));
    assert!(answers.log_evidence.is_finite() && evaluation.expected_return.is_finite());
    assert!(evaluation.gradient.values().flatten().all(|g| g.is_nan()), "there is no slope at −∞");
    // a model that leaves out what the world does is only punished the other way round
    let fit = read(&walk("", [WORLD, REAL], PLAIN, ""));
    let mut certain = as_the_world_is(&fit);
    for row in certain.log_probability.chunks_mut(3) {
        let likeliest = (0..3).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        row.fill(f64::NEG_INFINITY);
        row[likeliest] = 0.0;
    }
    let mut tables = random_logits(&fit, 3);
    tables.current.insert(kernel(&fit, "world"), certain);
    assert_eq!(Evaluator::new(&fit, BOUND).evaluate(&tables).unwrap().bound, f64::NEG_INFINITY);
    let dream = read(&walk("", [REAL, WORLD], PLAIN, ""));
    let evaluation = Evaluator::new(&dream, BOUND).evaluate(&tables).unwrap();
    assert!(
        evaluation.bound.is_finite()
            && evaluation.gradient.values().flatten().all(|g| g.is_finite()),
        "{}",
        evaluation.bound
    );
    let judge = super::enumerate(&dream, BOUND, &tables, 100_000).unwrap();
    assert!((judge.bound - evaluation.bound).abs() < 1e-12, "{judge:?}");
}

#[test]
fn what_is_missing_or_reads_too_much_is_told() {
    let model = read(&walk("", [REAL, WORLD], PLAIN, ""));
    assert_eq!(
        exact(&model, BOUND, None).unwrap_err().0,
        "the bound depends on `world`, whose parameters are not given"
    );
    let kernels = "kernel late(s' | s, first: s) = Categorical(logits = table(s, first))";
    let model = read(&walk(kernels, [REAL, "s[t+1] ~ late(s[t], s[1])"], PLAIN, ""));
    let told = exact(&model, BOUND, Some(&random_logits(&model, 0))).unwrap_err().0;
    assert_eq!(
        told,
        "the exact oracle does not take a transition of `s` that reads anything but `s[t]`, the \
         actions and the time at `t` yet"
    );
}
