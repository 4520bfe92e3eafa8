//! The oracle against known numbers, finite differences and itself.

use super::{Evaluator, exact};
use crate::finite::testing::{POLICY, chain, tabular};
use crate::finite::{KernelTable, KernelTables};
use crate::model::{BoundId, Model};

pub(super) const BOUND: BoundId = BoundId(0);

fn uniform(model: &Model) -> KernelTables {
    let domain = |variable: usize| {
        model.variables[variable].domain.finite.as_ref().map_or(0, |finite| finite.size())
    };
    KernelTables {
        current: [(POLICY, KernelTable::uniform(domain(0), domain(1)))].into(),
        ..KernelTables::default()
    }
}

/// Uniform numbers in [0, 1): splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A distribution with some zeros.
    fn distribution(&mut self, n: usize) -> Vec<f64> {
        let mut weights: Vec<f64> = (0..n).map(|_| (self.next() - 0.3).max(0.0)).collect();
        weights[(self.next() * n as f64) as usize] += 0.1;
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|w| w / sum).collect()
    }
}

fn random_model(seed: u64, states: usize, actions: usize, horizon: usize) -> Model {
    let mut numbers = Numbers(seed);
    let initial = numbers.distribution(states);
    let transition: Vec<f64> =
        (0..states * actions).flat_map(|_| numbers.distribution(states)).collect();
    let reward: Vec<f64> = (0..transition.len()).map(|_| -2.0 * numbers.next()).collect();
    let ended: Vec<bool> = (0..states).map(|s| s == states - 1).collect();
    tabular(&initial, &transition, &reward, &ended, actions, horizon)
}

fn softmax_tables(logits: &[f64], outcomes: usize) -> KernelTables {
    let mut log_probability = logits.to_vec();
    for row in log_probability.chunks_mut(outcomes) {
        let norm = super::exponentials::log_sum_exp(row);
        row.iter_mut().for_each(|l| *l -= norm);
    }
    let table = KernelTable { conditions: logits.len() / outcomes, outcomes, log_probability };
    KernelTables { current: [(POLICY, table)].into(), ..KernelTables::default() }
}

#[test]
fn the_reference_table_of_the_chain() {
    let known = [
        (1.0, 20, -14.404088256970361, -15.355586650384566, -19.757722673342457),
        (0.5, 30, -9.462771936797834, -10.014131327979023, -14.388085717545579),
    ];
    for (alpha, horizon, log_evidence, best_bound, bound) in known {
        let model = chain(alpha, horizon);
        let answers = exact(&model, BOUND, Some(&uniform(&model))).unwrap();
        let evaluation = answers.evaluation.unwrap();
        assert!((answers.log_evidence - log_evidence).abs() < 1e-9, "{}", answers.log_evidence);
        assert!((answers.best_bound - best_bound).abs() < 1e-9, "{}", answers.best_bound);
        assert!((evaluation.bound - bound).abs() < 1e-9, "{}", evaluation.bound);
        assert!(evaluation.kl.abs() < 1e-12, "a uniform policy is the prior: {}", evaluation.kl);
        assert!((evaluation.bound - alpha * evaluation.expected_return).abs() < 1e-9);
        assert!(
            evaluation.occupancy.iter().all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-12)
        );
    }
}

/// A likelihood of 0 costs everything, and what the policy is from the prior is a number still.
#[test]
fn overflow_is_told_from_what_is_excluded() {
    let walk = |reward: &str, exponent: &str| {
        read(&format!(
            "model walk
             param alpha = 1e308
             horizon T = 4
             environment line {{
               state s : 0..2
               action a : {{ left, right }}
               reward r
               s[1] ~ Delta(0)
               s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 2))
               r[t] = {reward}
             }}
             kernel pi(a | s) = Categorical(logits = table(s))
             prior {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp({exponent}) }}
             posterior {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], \
             a[t]) }}"
        ))
    };
    let tables = |model: &Model| {
        let mut tables = uniform(model);
        tables.current.insert(
            crate::model::KernelId(0),
            softmax_tables(&[0.0, 1.0, 2.0, -1.0, 0.5, 0.5], 2).current[&POLICY].clone(),
        );
        tables
    };
    // a sum over steps, a product at one step, and a sum of rewards that are in no exponent
    for (reward, exponent, told) in [
        ("-1", "alpha * r[t]", "the evidence overflows: sums of `R` over 4 steps exceed 1.8e308"),
        ("-10", "alpha * r[t]", "the evidence overflows: sums of `R`"),
        ("if s[t+1] == 2 then 0 else -10", "alpha * r[t]", "overflows: sums of `R`"),
        (
            "-alpha",
            "0 * s[t]",
            "the expected return is -inf after 4 steps: the rewards exceed 1.8e308",
        ),
    ] {
        let model = walk(reward, exponent);
        let refused = exact(&model, BOUND, Some(&tables(&model))).unwrap_err().to_string();
        assert!(
            refused.contains(told)
                && refused.contains("scale the rewards")
                && !refused.contains('\n'),
            "{exponent}: {refused}"
        );
    }
    let model = walk("0", "if s[t+1] == 2 then log(0) else 0");
    let evaluation = exact(&model, BOUND, Some(&tables(&model))).unwrap().evaluation.unwrap();
    assert_eq!(
        (evaluation.bound, evaluation.expected_log_likelihood),
        (f64::NEG_INFINITY, f64::NEG_INFINITY)
    );
    let other = walk("0", "0 * s[t]");
    let of_policy = exact(&other, BOUND, Some(&tables(&other))).unwrap().evaluation.unwrap().kl;
    assert!(
        of_policy > 0.01 && (evaluation.kl - of_policy).abs() < 1e-12,
        "{} {of_policy}",
        evaluation.kl
    );
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    for seed in 0..8 {
        let (states, actions) = (5, 3);
        let model = random_model(seed, states, actions, 6);
        let evaluator = Evaluator::new(&model, BOUND);
        let mut numbers = Numbers(seed + 100);
        let logits: Vec<f64> = (0..states * actions).map(|_| 4.0 * numbers.next() - 2.0).collect();
        let gradient = evaluator.evaluate(&softmax_tables(&logits, actions)).unwrap().gradient
            [&POLICY]
            .clone();
        let bound =
            |logits: &[f64]| evaluator.evaluate(&softmax_tables(logits, actions)).unwrap().bound;
        for at in 0..logits.len() {
            let step = 1e-5;
            let (mut up, mut down) = (logits.clone(), logits.clone());
            up[at] += step;
            down[at] -= step;
            let difference = (bound(&up) - bound(&down)) / (2.0 * step);
            assert!(
                (difference - gradient[at]).abs() < 1e-6,
                "seed {seed}, entry {at}: {difference} against {}",
                gradient[at]
            );
        }
        assert!(gradient.iter().any(|g| g.abs() > 1e-3), "a gradient that is not everywhere 0");
    }
}

#[test]
fn the_bound_is_below_the_best_and_the_best_below_the_evidence() {
    for seed in 0..20 {
        let model = random_model(seed, 4, 2, 5);
        let mut numbers = Numbers(seed + 7);
        let logits: Vec<f64> = (0..8).map(|_| 6.0 * numbers.next() - 3.0).collect();
        let gap = exact(&model, BOUND, Some(&softmax_tables(&logits, 2))).unwrap().gap.unwrap();
        assert!(gap.dynamics > 0.0 && gap.family_and_optimisation > 0.0, "{gap:?}");
    }
}

#[test]
fn a_bound_without_a_policy_has_its_two_numbers() {
    let answers = exact(&chain(1.0, 20), BOUND, None).unwrap();
    assert!(
        (answers.log_evidence + 14.404088256970361).abs() < 1e-9 && answers.evaluation.is_none()
    );
}

#[test]
fn ascent_finds_the_best_policy_that_is_the_same_at_every_step() {
    for (alpha, horizon, best) in [(1.0, 20, -15.379671186355804), (0.5, 30, -10.026126222675932)] {
        let model = chain(alpha, horizon);
        let found = super::ascend(&model, BOUND, &uniform(&model), &[POLICY], 500).unwrap();
        assert!(
            (found.evaluation.bound - best).abs() < 1e-9,
            "{} after {}",
            found.evaluation.bound,
            found.iterations
        );
    }
}

#[test]
fn enumeration_of_whole_trajectories_agrees() {
    for seed in 0..6 {
        let model = random_model(seed, 3, 2, 4);
        let mut numbers = Numbers(seed + 50);
        let logits: Vec<f64> = (0..6).map(|_| 4.0 * numbers.next() - 2.0).collect();
        let tables = softmax_tables(&logits, 2);
        let judge = super::enumerate(&model, BOUND, &tables, 1_000_000).unwrap();
        let answers = exact(&model, BOUND, Some(&tables)).unwrap();
        assert!((judge.mass - 1.0).abs() < 1e-12 && judge.trajectories > 50);
        assert!((judge.log_evidence - answers.log_evidence).abs() < 1e-12);
        assert!((judge.bound - answers.evaluation.unwrap().bound).abs() < 1e-12);
    }
}

/// A model from its text, its learned kernels at random.
pub(super) fn read(text: &str) -> Model {
    let source = crate::source::Source::new("test", text);
    let file = crate::syntax::parse(&source).unwrap_or_else(|errors| panic!("{errors}"));
    crate::model::check(&file, &crate::model::Overrides::default())
        .unwrap_or_else(|errors| panic!("{errors}"))
}

pub(super) fn random_logits(model: &Model, seed: u64) -> KernelTables {
    let mut numbers = Numbers(seed);
    let mut tables = KernelTables::default();
    for at in 0..model.kernels.len() {
        let id = crate::model::KernelId(at as u32);
        let Ok(numbering) = crate::finite::Conditions::of(model, id) else { continue };
        let mut random = || {
            let outcomes = numbering.outcomes();
            let logits: Vec<f64> =
                (0..numbering.count() * outcomes).map(|_| 3.0 * numbers.next() - 1.5).collect();
            softmax_tables(&logits, outcomes).current[&POLICY].clone()
        };
        tables.current.insert(id, random());
        tables.previous.insert(id, random());
    }
    tables
}

/// The oracle, the sum over whole trajectories and finite differences agree.
pub(super) fn agree(text: &str) {
    let model = read(text);
    let tables = random_logits(&model, 3);
    let judge = super::enumerate(&model, BOUND, &tables, 10_000_000).unwrap();
    let answers = exact(&model, BOUND, Some(&tables)).unwrap();
    let evaluation = answers.evaluation.unwrap();
    assert!((judge.mass - 1.0).abs() < 1e-11, "{judge:?}");
    assert!(
        (judge.log_evidence - answers.log_evidence).abs() < 1e-11,
        "{judge:?} {}",
        answers.log_evidence
    );
    assert!((judge.bound - evaluation.bound).abs() < 1e-11, "{judge:?} {}", evaluation.bound);
    assert!(
        evaluation.bound <= answers.best_bound + 1e-11
            && answers.best_bound <= answers.log_evidence + 1e-11,
        "{}",
        answers.best_bound
    );
    let evaluator = Evaluator::new(&model, BOUND);
    for (id, gradient) in &evaluation.gradient {
        let mut largest = 0.0f64;
        for at in (0..gradient.len()).step_by(1 + gradient.len() / 12) {
            let bound = |step: f64| {
                let mut moved = tables.clone();
                let table = moved.current.get_mut(id).unwrap();
                table.log_probability[at] += step;
                table.log_probability = softmax_tables(&table.log_probability, table.outcomes)
                    .current[&POLICY]
                    .log_probability
                    .clone();
                evaluator.evaluate(&moved).unwrap().bound
            };
            let difference = (bound(1e-5) - bound(-1e-5)) / 2e-5;
            assert!(
                (difference - gradient[at]).abs() < 1e-6,
                "{}, {at}: {difference}, {}",
                model.kernel(*id).name,
                gradient[at]
            );
            largest = largest.max(difference.abs());
        }
        assert!(largest > 1e-4, "{} has no gradient to compare", model.kernel(*id).name);
    }
}

const WALK: &str = "
model walk
param alpha = 0.7
horizon T = 3
environment walk {
  state  s : 0..3
  action a : { left, right }
  reward r in [-2, 0]
  s[1]   ~ Categorical(probs = [0.5, 0.3, 0.2, 0])
  s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 3)), 0.2: \
  Delta(s[t]))
  r[t]   = if s[t+1] == 3 then 0 else -1 - 0.3 * s[t]
  end when s[t] == 3
}
";

/// The blocks around the factors of the action, and exponents.
pub(super) fn walk(
    kernels: &str,
    prior: &str,
    posterior: &str,
    likelihood: &str,
    rest: &str,
) -> String {
    format!(
        "{WALK}{kernels}
        prior {{ s[1] ~ walk.initial; {prior}; s[t+1] ~ walk.transition(s[t], a[t]) }}
        likelihood {{ {likelihood} }}
        posterior {{ s[1] ~ walk.initial; {posterior}; s[t+1] ~ walk.transition(s[t], a[t]) }}
        {rest}"
    )
}

#[test]
fn policies_of_the_time() {
    agree(&walk(
        "kernel pi(a | s, t) = Categorical(logits = table(s, t))",
        "a[t] ~ Uniform",
        "a[t] ~ pi(s[t], t)",
        "R[t] ~ exp(alpha * r[t])",
        "",
    ));
}

#[test]
fn the_best_bound_is_reached_by_ascent_over_policies_of_the_time() {
    let model = read(&walk(
        "kernel pi(a | s, t) = Categorical(logits = table(s, t))",
        "a[t] ~ Uniform",
        "a[t] ~ pi(s[t], t)",
        "R[t] ~ exp(alpha * r[t])",
        "",
    ));
    let found = super::ascend(&model, BOUND, &random_logits(&model, 1), &[POLICY], 500).unwrap();
    let best = exact(&model, BOUND, None).unwrap().best_bound;
    assert!((found.evaluation.bound - best).abs() < 1e-9, "{} {best}", found.evaluation.bound);
}

#[test]
fn exponents_that_change_with_the_time_and_stand_at_one_step() {
    agree(&walk(
        "kernel pi(a | s) = Categorical(logits = table(s))",
        "a[t] ~ Uniform",
        "a[t] ~ pi(s[t])",
        "R[t] ~ exp(alpha * r[t] / t); G[T] ~ exp(-0.5 * abs(s[T+1] - 2)); F[1] ~ exp(-0.1 * \
         s[1]); S[t] ~ exp(-0.01 * t * s[t])",
        "",
    ));
}

#[test]
fn nodes_that_are_hundreds_of_nats_apart() {
    // seen from the end of the walk, whatever a row at its start leads to is below the smallest
    // number
    let posterior = "a[t] ~ pi(s[t])";
    let pi = "kernel pi(a | s) = Categorical(logits = table(s))";
    for (likelihood, start) in [
        ("R[t] ~ exp(500 * r[t])", "Delta(0)"),
        ("R[t] ~ exp(300 * t * r[t] - 900 * s[t+1])", "Uniform"),
    ] {
        let text = walk(pi, "a[t] ~ Uniform", posterior, likelihood, "")
            .replace("Categorical(probs = [0.5, 0.3, 0.2, 0])", start);
        let model = read(&text);
        let tables = random_logits(&model, 3);
        let judge = super::enumerate(&model, BOUND, &tables, 1_000_000).unwrap();
        let answers = exact(&model, BOUND, Some(&tables)).unwrap();
        assert!(judge.log_evidence < -700.0, "{judge:?}");
        assert!(
            (judge.log_evidence / answers.log_evidence - 1.0).abs() < 1e-13,
            "{judge:?} {}",
            answers.log_evidence
        );
        assert!(
            answers.best_bound <= answers.log_evidence + 1e-9 && judge.bound <= answers.best_bound,
            "{judge:?} {}",
            answers.best_bound
        );
    }
}

#[test]
fn a_likelihood_of_where_a_step_leads_under_a_prior_of_the_state() {
    agree(&walk(
        "kernel pi(a | s) = Categorical(logits = table(s))",
        "a[t] ~ Categorical(probs = if s[t] == 1 then [0.5, 0.5] else [0.3, 0.7])",
        "a[t] ~ pi(s[t])",
        "R[t] ~ exp(alpha * r[t] - 2 * s[t+1])",
        "",
    ));
}

#[test]
fn a_prior_that_is_the_frozen_policy_or_a_written_distribution() {
    let pi = "kernel pi(a | s) = Categorical(logits = table(s))";
    agree(&walk(pi, "a[t] ~ previous pi(s[t])", "a[t] ~ pi(s[t])", "R[t] ~ exp(alpha * r[t])", ""));
    let written = "a[t] ~ Categorical(probs = [0.25 + 0.1 * s[t], 0.75 - 0.1 * s[t]])";
    agree(&walk(pi, written, "a[t] ~ pi(s[t])", "R[t] ~ exp(alpha * r[t])", ""));
}

#[test]
fn a_kernel_of_the_prior_that_moves_with_the_policy() {
    let kernels = "kernel pi(a | s) = Categorical(logits = table(s))  kernel p(a | s) = \
                   Categorical(logits = table(s))";
    agree(&walk(kernels, "a[t] ~ p(s[t])", "a[t] ~ pi(s[t])", "R[t] ~ exp(alpha * r[t])", ""));
    agree(&walk(
        "kernel pi(a | s) = Categorical(logits = table(s))",
        "a[t] ~ pi(s[t])",
        "a[t] ~ pi(s[t])",
        "R[t] ~ exp(alpha * r[t])",
        "",
    ));
}

#[test]
fn policies_of_an_observation() {
    let text = WALK.replace(
        "  reward r",
        "  observation x : 0..2\n  x[t] ~ Mixture(0.7: \
                                           Delta(min(s[t], 2)), 0.3: Delta(1))\n  reward r",
    );
    let blocks = "kernel pi(a | x, t) = Categorical(logits = table(x, t))
        prior { s[1] ~ walk.initial; x[t] ~ walk.observation(s[t]); a[t] ~ Uniform; s[t+1] ~ \
        walk.transition(s[t], a[t]) }
        likelihood { R[t] ~ exp(alpha * r[t]) }
        posterior { s[1] ~ walk.initial; x[t] ~ walk.observation(s[t]); a[t] ~ pi(x[t], t); \
        s[t+1] ~ walk.transition(s[t], a[t]) }";
    agree(&format!("{text}{blocks}"));
}

#[test]
fn a_prior_and_a_posterior_with_dynamics_of_their_own() {
    let kernels = "environment other {
          state  z : 0..3
          action b : { left, right }
          reward w in [-2, 0]
          z[1]   ~ Uniform
          z[t+1] ~ Mixture(0.5: Delta(clamp(z[t] + (if b[t] == right then 1 else -1), 0, 3)), \
          0.25: Delta(z[t]), 0.25: Delta(max(z[t] - 1, 0)))
          w[t]   = -1
          end when z[t] == 3
        }
        kernel pi(a | s) = Categorical(logits = table(s))
        prior { s[1] ~ other.initial; a[t] ~ Uniform; s[t+1] ~ other.transition(s[t], a[t]) }
        likelihood { R[t] ~ exp(alpha * r[t]) }
        posterior { s[1] ~ walk.initial; a[t] ~ pi(s[t]); s[t+1] ~ walk.transition(s[t], a[t]) }";
    agree(&format!("{WALK}{kernels}"));
}

#[test]
fn options_that_cancel() {
    agree(&walk(
        "option o : 2
         kernel pick(o | s, last: o?) = Sticky(last, keep = 0.5, fresh = Categorical(logits = \
         table(s)))
         kernel pi(a | s, o) = Categorical(logits = table(s, o))",
        "o[t] ~ pick(s[t], o[t-1]); a[t] ~ Uniform",
        "o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t])",
        "R[t] ~ exp(alpha * r[t])",
        "",
    ));
}

#[test]
fn options_with_a_reverse_model_that_looks_back() {
    agree(&walk(
        "option o : 2
         kernel pick(o | s, last: o?) = Categorical(logits = table(s, last))
         kernel back(o | s, a, last: o?) = Categorical(logits = table(s, a, last))
         kernel pi(a | s, o) = Categorical(logits = table(s, o))",
        "a[t] ~ Uniform",
        "o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t])",
        "R[t] ~ exp(alpha * r[t])",
        "auxiliary { o[t] ~ back(s[t], a[t], o[t-1]) }",
    ));
}

#[test]
fn one_option_for_the_whole_trajectory_decoded_from_its_end() {
    agree(&walk(
        "option o : 2
         kernel pick(o | s) = Categorical(logits = table(s))
         kernel decoder(o | s, goal: s) = Categorical(logits = table(s, goal))
         kernel pi(a | s, o) = Categorical(logits = table(s, o))",
        "o[1] ~ Uniform; a[t] ~ pi(s[t], o[1])",
        "o[1] ~ pick(s[1]); a[t] ~ pi(s[t], o[1])",
        "H[T] ~ decoder(o[1] | s[1], s[T+1])",
        "",
    ));
}

#[test]
fn exponents_that_read_other_steps() {
    let kernel = "kernel pi(a | s, t) = Categorical(logits = table(s, t))";
    for likelihood in [
        "R[t] ~ exp(alpha * r[t] - abs(s[t+1] - s[1]))",
        "R[t] ~ exp(alpha * r[t]); D[T] ~ exp(-abs(s[T+1] - s[1]))",
        "R[t] ~ exp(r[t] - abs(s[T+1] - s[t]))",
        "R[t] ~ exp(if t == 1 then r[t] else r[t] + 0.3 * r[t-1])",
        "R[t] ~ exp(r[t] - r[1] * r[t])",
        "D[1] ~ exp(r[1] - abs(s[T+1] - s[1]))",
        "R[t] ~ exp(if t < T then r[t] + r[t+1] else 2 * r[T])",
        "R[t] ~ exp(r[T] * (s[t] + 1))",
        "R[t] ~ exp(if a[t] == a[t-1] then r[t] else r[t] - 0.4)",
        "R[t] ~ exp(if a[t] == a[1] and t > 1 then r[t] else 2 * r[t])",
    ] {
        agree(&walk(kernel, "a[t] ~ Uniform", "a[t] ~ pi(s[t], t)", likelihood, ""));
    }
}

#[test]
fn exponents_of_options_beside_rewards_and_starts() {
    for likelihood in [
        "R[t] ~ exp(if o[t] == 1 then r[t] else 2 * r[t])",
        "R[t] ~ exp(if o[t] == o[1] then r[t] else -abs(s[t+1] - s[1]))",
        "R[t] ~ exp(if t > 2 and o[t] == o[t-2] then r[t] else r[1])",
    ] {
        agree(&walk(
            "option o : 2
             kernel pick(o | s, last: o?) = Categorical(logits = table(s, last))
             kernel back(o | s, a, last: o?) = Categorical(logits = table(s, a, last))
             kernel pi(a | s, o) = Categorical(logits = table(s, o))",
            "a[t] ~ Uniform",
            "o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t])",
            likelihood,
            "auxiliary { o[t] ~ back(s[t], a[t], o[t-1]) }",
        ));
    }
}

/// What would have to be remembered is counted, and too much of it refused with the numbers.
#[test]
fn a_memory_that_is_too_large_is_refused() {
    let kernel = "kernel pi(a | s, t) = Categorical(logits = table(s, t))";
    let likelihood = "R[t] ~ exp(r[t] - abs(s[T+1] - s[t]))";
    let text = walk(kernel, "a[t] ~ Uniform", "a[t] ~ pi(s[t], t)", likelihood, "");
    let model = read(&text.replace("horizon T = 3", "horizon T = 20"));
    let told = exact(&model, BOUND, None).unwrap_err().0;
    assert!(
        told.starts_with("remembering `s[t-20..t-1]` beside 4 states makes ")
            && told.ends_with("points to sum over at a step, more than 3.4e7"),
        "{told}"
    );
}
