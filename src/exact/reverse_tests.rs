//! The exact reverse model against the best that an ascent over tables finds, and against a list by
//! hand.

use super::tests::{BOUND, random_logits, read};
use super::{Evaluator, ReverseModel, ascend, exact};
use crate::finite::KernelTables;
use crate::model::{KernelId, Model};

/// Two steps of two actions without reward; the option is drawn anew at each step, and the reverse
/// model reads the action.
fn memoryless(auxiliary: &str) -> Model {
    read(&format!(
        "model m
         horizon T = 3
         environment e {{
           state  s : 0..2
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Categorical(probs = [0.5, 0.3, 0.2])
           s[t+1] ~ Mixture(0.7: Delta(min(s[t] + a[t], 2)), 0.3: Delta(0))
           r[t]   = -0.5 * s[t+1]
           end when s[t] == 2
         }}
         option o : 3
         kernel pick(o | s) = Categorical(logits = table(s))
         kernel pi(a | s, o) = Categorical(logits = table(s, o))
         kernel back(o | s, a) = Categorical(logits = table(s, a))
         kernel ahead(o | next: o?, s, a) = Categorical(logits = table(next, s, a))
         prior {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior {{ s[1] ~ e.initial; o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t]); s[t+1] ~ \
         e.transition(s[t], a[t]) }}
         auxiliary {{ o[t] ~ {auxiliary} }}"
    ))
}

fn kernel(model: &Model, name: &str) -> KernelId {
    KernelId(model.kernels.iter().position(|kernel| kernel.name == name).unwrap() as u32)
}

/// `q(o|s,a)` of the two kernels is what a reverse model over `s, a` can be: with it nothing is
/// lost.
#[test]
fn the_posteriors_own_reverse_model_loses_nothing() {
    let model = memoryless("back(s[t], a[t])");
    let mut tables = random_logits(&model, 5);
    let before = exact(&model, BOUND, Some(&tables)).unwrap();
    let lost = before.gap.unwrap().auxiliary;
    assert!(lost > 0.01, "{lost}");

    let (pick, pi) = (
        tables.current[&kernel(&model, "pick")].clone(),
        tables.current[&kernel(&model, "pi")].clone(),
    );
    let back = tables.current.get_mut(&kernel(&model, "back")).unwrap();
    for (s, a) in (0..3).flat_map(|s| [(s, 0), (s, 1)]) {
        let joint = [0, 1, 2].map(|o| (pick.row(s)[o] + pi.row(3 * s + o)[a]).exp());
        let total: f64 = joint.iter().sum();
        (0..3).for_each(|o| back.log_probability[(2 * s + a) * 3 + o] = (joint[o] / total).ln());
    }
    let after = exact(&model, BOUND, Some(&tables)).unwrap();
    let gap = after.gap.unwrap();
    assert!(gap.auxiliary.abs() < 1e-12, "{gap:?}");
    let gained = after.evaluation.unwrap().bound - before.evaluation.unwrap().bound;
    assert!(
        (gained - lost).abs() < 1e-12,
        "M does not depend on the reverse model: {gained} {lost}"
    );
}

/// A reverse model that may read the next option, of a posterior whose options remember nothing,
/// can be exact, too; ascent finds it.
#[test]
fn ascent_over_the_reverse_model_alone_ends_where_nothing_is_lost() {
    let model = memoryless("ahead(o[t+1], s[t], a[t])");
    let tables = random_logits(&model, 5);
    let lost = exact(&model, BOUND, Some(&tables)).unwrap().gap.unwrap().auxiliary;
    let found = ascend(&model, BOUND, &tables, &[kernel(&model, "ahead")], 300).unwrap();
    let gained =
        found.evaluation.bound - Evaluator::new(&model, BOUND).evaluate(&tables).unwrap().bound;
    assert!((gained - lost).abs() < 1e-8 && lost > 0.01, "{gained} {lost}");
}

/// With options that are kept the exact reverse model reads all of the trajectory: parts that sum
/// to the gap, each at least 0.
#[test]
fn the_parts_are_not_negative_and_drawn_trajectories_agree_with_all_of_them() {
    let text = "
        model m
        horizon T = 4
        environment e {
          state  s : 0..2
          action a : { left, right }
          reward r in [-1, 0]
          s[1]   ~ Delta(0)
          s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 2)), 0.2: Delta(s[t]))
          r[t]   = if s[t+1] == 2 then 0 else -1
          end when s[t] == 2
        }
        option o : 2
        kernel pick(o | s, last: o?) = Categorical(logits = table(s, last))
        kernel pi(a | s, o) = Categorical(logits = table(s, o))
        kernel back(o | last: o?, s, a, next: s) = Categorical(logits = table(last, s, a, next))
        prior { s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }
        likelihood { R[t] ~ exp(r[t]) }
        posterior { s[1] ~ e.initial; o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t]); s[t+1] ~ \
        e.transition(s[t], a[t]) }
        auxiliary { o[t] ~ back(o[t-1], s[t], a[t], s[t+1]) }";
    let model = read(text);
    for seed in 0..3 {
        let tables: KernelTables = random_logits(&model, seed);
        let answers = exact(&model, BOUND, Some(&tables)).unwrap();
        let gap = answers.gap.unwrap();
        assert!(
            gap.dynamics > 0.0 && gap.family_and_optimisation > 0.0 && gap.auxiliary > 0.01,
            "{gap:?}"
        );
        let sum = gap.dynamics + gap.family_and_optimisation + gap.auxiliary;
        assert!((sum - (answers.log_evidence - answers.evaluation.unwrap().bound)).abs() < 1e-12);

        let mut state = seed + 9;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut reverse = ReverseModel::new(&model, BOUND, &tables).unwrap();
        assert_eq!(reverse.divergence(10).unwrap(), None, "there are more");
        let drawn = reverse.draw(4000, &mut uniform).unwrap();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let variance =
            drawn.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (drawn.len() - 1) as f64;
        let standard_error = (variance / drawn.len() as f64).sqrt();
        assert!(
            (mean - gap.auxiliary).abs() < 4.0 * standard_error,
            "{mean} ± {standard_error}, {}",
            gap.auxiliary
        );
        assert!(drawn.iter().all(|&d| d > -1e-12) && standard_error > 0.0);
    }
}
