//! The best of a family against known numbers, and the parts of the gap.

use crate::engine::{
    Gap, Objective, Parameters, Reach, Supremum, gap, kernel_tables, moved, optimise, reach, starts,
};
use crate::exact::{Evaluator, exact};
use crate::model::{BoundId, Model, Overrides, check};
use crate::source::Source;
use crate::syntax::parse;

const BOUND: BoundId = BoundId(0);

fn read(text: &str) -> Model {
    let file = parse(&Source::new("test", text)).unwrap_or_else(|errors| panic!("{errors}"));
    check(&file, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The chain of the language reference with some network as its policy.
fn chain(alpha: f64, horizon: usize, network: &str) -> Model {
    read(&format!(
        "model chain
         horizon T = {horizon}
         environment chain {{
           state  s : 0..9
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Delta(0)
           s[t+1] ~ Mixture(0.9: Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 9)), \
           0.1: Delta(s[t]))
           r[t]   = if s[t+1] == 9 then 0 else -1
           end when s[t] == 9
         }}
         kernel pi(a | s) = Categorical(logits = {network})
         prior      {{ s[1] ~ chain.initial; a[t] ~ Uniform;  s[t+1] ~ chain.transition(s[t], \
         a[t]) }}
         likelihood {{ R[t] ~ exp({alpha} * r[t]) }}
         posterior  {{ s[1] ~ chain.initial; a[t] ~ pi(s[t]); s[t+1] ~ chain.transition(s[t], \
         a[t]) }}"
    ))
}

#[test]
fn a_table_of_the_state_reaches_the_best_policy_that_is_the_same_at_every_step() {
    for (alpha, horizon, best) in [(0.5, 30, -10.026126222675932), (1.0, 20, -15.379671186355804)] {
        let model = chain(alpha, horizon, "table(s)");
        let previous = Parameters::initial(&model, 0);
        let found = optimise(
            &model,
            BOUND,
            Objective::Bound,
            &starts(&model, BOUND, 2, None),
            &previous,
            500,
        )
        .unwrap();
        assert!((found.bound - best).abs() < 1e-9, "{} after {}", found.bound, found.iterations);
    }
}

#[test]
fn a_network_of_the_state_comes_close() {
    let model = chain(0.5, 30, "mlp(s, hidden = [16])");
    let found = optimise(
        &model,
        BOUND,
        Objective::Bound,
        &starts(&model, BOUND, 1, None),
        &Parameters::initial(&model, 0),
        500,
    )
    .unwrap();
    assert!(
        (found.bound - -10.026126222675932).abs() < 1e-6,
        "{} after {}",
        found.bound,
        found.iterations
    );
}

#[test]
fn a_family_of_one_policy_has_nothing_to_optimise() {
    let model = chain(0.5, 30, "0 * table(s)");
    let initial = Parameters::initial(&model, 0);
    let found = reach(&model, BOUND, &starts(&model, BOUND, 2, None), &initial, 50).unwrap();
    let (answers, parts) = told(&model, &initial, &found);
    assert!((answers - -14.388085717545579).abs() < 1e-9);
    assert!(
        parts.optimisation.value.abs() < 1e-12 && parts.family.unwrap().value > 4.0,
        "{parts:?}"
    );
}

#[test]
fn the_parts_of_an_untrained_policy() {
    let model = chain(0.5, 30, "table(s)");
    let initial = Parameters::initial(&model, 0);
    let found = reach(&model, BOUND, &starts(&model, BOUND, 1, None), &initial, 500).unwrap();
    let (bound, parts) = told(&model, &initial, &found);
    let evidence = -9.462771936797834;
    assert!((parts.dynamics - (evidence - -10.014131327979023)).abs() < 1e-9, "{parts:?}");
    assert!(
        (parts.family.unwrap().value - (-10.014131327979023 - -10.026126222675932)).abs() < 1e-9,
        "{parts:?}"
    );
    assert!(
        (parts.optimisation.value - (-10.026126222675932 - -14.388085717545579)).abs() < 1e-9,
        "{parts:?}"
    );
    assert_eq!(parts.auxiliary.value, 0.0);
    assert!((sum(&parts) - (evidence - bound)).abs() < 1e-9);
}

/// `L` and the parts of its gap.
fn told(model: &Model, parameters: &Parameters<f64>, reach: &Reach) -> (f64, Gap) {
    let tables = kernel_tables(model, BOUND, parameters, parameters).unwrap();
    let answers = exact(model, BOUND, Some(&tables)).unwrap();
    let parts = gap(model, BOUND, &answers, &tables, Some(reach)).unwrap().unwrap();
    (answers.evaluation.unwrap().bound, parts)
}

fn sum(parts: &Gap) -> f64 {
    parts.dynamics
        + parts.family.map_or(0.0, |family| family.value)
        + parts.optimisation.value
        + parts.auxiliary.value
}

/// A short corridor whose options stay, with a reverse model that looks ahead.
fn options(horizon: usize) -> Model {
    read(&format!(
        "model options
         horizon T = {horizon}
         environment corridor {{
           state  s : 0..3
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Delta(0)
           s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 3)), 0.2: Delta(s[t]))
           r[t]   = if s[t+1] == 3 then 0 else -1
           end when s[t] == 3
         }}
         option o : 2
         kernel pi(a | s, o)             = Categorical(logits = table(s, o))
         kernel pick(o | s, last: o?)    = Sticky(last, keep = 0.6, fresh = Categorical(logits = \
         table(s)))
         kernel back(o | next: o?, s, a) = Categorical(logits = linear(next, s, a))
         prior      {{ s[1] ~ corridor.initial; a[t] ~ Uniform; s[t+1] ~ \
         corridor.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior  {{ s[1] ~ corridor.initial; o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t]); \
         s[t+1] ~ corridor.transition(s[t], a[t]) }}
         auxiliary  {{ o[t] ~ back(o[t+1], s[t], a[t]) }}"
    ))
}

#[test]
fn all_parts_with_options() {
    for (horizon, listed) in [(4, true), (16, false)] {
        let model = options(horizon);
        let current = starts(&model, BOUND, 2, None).pop().unwrap();
        let found =
            reach(&model, BOUND, &starts(&model, BOUND, 1, Some(&current)), &current, 60).unwrap();
        let (bound, parts) = told(&model, &current, &found);
        let all = [parts.family.unwrap(), parts.optimisation, parts.auxiliary];
        assert!(found.bound.bound > bound && parts.dynamics > 0.0);
        assert!(
            all.iter().all(|part| part.value >= -4.0 * part.standard_error - 1e-12),
            "{parts:?}"
        );
        assert_eq!(parts.supremum, if listed { Supremum::OfMarginal } else { Supremum::OfBound });
        assert!(
            parts.auxiliary.value > 1e-3 && (parts.auxiliary.standard_error == 0.0) == listed,
            "{parts:?}"
        );
        let tables = kernel_tables(&model, BOUND, &current, &current).unwrap();
        let evidence = exact(&model, BOUND, Some(&tables)).unwrap().log_evidence;
        assert!((sum(&parts) - (evidence - bound)).abs() < 1e-9, "{parts:?}");
    }
}

/// A corridor whose cells look alike to the policy: it has to go right twice, then left, and only
/// options tell when. With two of them it must draw, and the reverse model, which reads the action
/// alone, cannot tell what was drawn.
fn aliased() -> Model {
    read(
        "model aliased
         horizon T = 4
         environment corridor {
           state  s : 0..4
           action a : { left, right }
           reward r in [-2, 0]
           s[1]   ~ Delta(1)
           s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4))
           r[t]   = if s[t+1] == 2 then 0 else if s[t+1] == 3 then 0 else -2
         }
         option o : 2
         kernel pi(a | o)          = Categorical(logits = table(o))
         kernel pick(o | last: o?) = Categorical(logits = table(last))
         kernel back(o | a)        = Categorical(logits = table(a))
         prior      { s[1] ~ corridor.initial; a[t] ~ Uniform; s[t+1] ~ corridor.transition(s[t], \
         a[t]) }
         likelihood { R[t] ~ exp(r[t]) }
         posterior  { s[1] ~ corridor.initial; o[t] ~ pick(o[t-1]); a[t] ~ pi(o[t]); s[t+1] ~ \
         corridor.transition(s[t], a[t]) }
         auxiliary  { o[t] ~ back(a[t]) }",
    )
}

#[test]
fn the_bound_with_the_exact_reverse_model_is_raised_itself() {
    let model = aliased();
    let initial = starts(&model, BOUND, 2, None).pop().unwrap();
    let found = reach(&model, BOUND, &starts(&model, BOUND, 4, None), &initial, 500).unwrap();
    let highest = found.marginal.as_ref().unwrap().bound;
    let there = Evaluator::new(&model, BOUND).marginal(&found.bound.tables).unwrap().unwrap().bound;
    let best = exact(&model, BOUND, Some(&found.bound.tables)).unwrap().best_bound;
    assert!(
        (found.bound.bound - -3.385094452945323).abs() < 1e-9
            && (highest - -3.378023075806262).abs() < 1e-9,
        "{} {highest}",
        found.bound.bound
    );
    // where `L` is greatest the options do not leave anything to guess: only an ascent on `M` finds
    // where that would pay
    assert!(
        (found.bound.bound - there).abs() < 1e-9 && there < highest - 1e-3 && highest < best,
        "{there}"
    );

    let (bound, parts) = told(&model, &initial, &found);
    assert_eq!(parts.supremum, Supremum::OfMarginal);
    assert!((parts.family.unwrap().value - (best - highest)).abs() < 1e-12, "{parts:?}");
    assert!(
        (parts.optimisation.value - (highest - bound - parts.auxiliary.value)).abs() < 1e-9,
        "{parts:?}"
    );
}

/// Through the tables of the networks, shared givens and `Sticky`.
#[test]
fn both_objectives_climb_along_their_gradients() {
    let model = options(3);
    let at = starts(&model, BOUND, 2, None).pop().unwrap();
    for objective in [Objective::Bound, Objective::Marginal] {
        let start = std::slice::from_ref(&at);
        let none = optimise(&model, BOUND, objective, start, &at, 0).unwrap();
        let some = optimise(&model, BOUND, objective, start, &at, 300).unwrap();
        assert!(some.bound > none.bound + 0.1, "{objective:?}: {} {}", some.bound, none.bound);
        let again =
            optimise(&model, BOUND, objective, std::slice::from_ref(&some.parameters), &at, 300)
                .unwrap();
        assert!(
            (again.bound - some.bound).abs() < 1e-8,
            "{objective:?} has nowhere to go: {} {}",
            again.bound,
            some.bound
        );
    }
}

/// The decoder is the likelihood: with other parameters the evidence is another one, and the two
/// parts are told as one.
#[test]
fn where_the_evidence_moves_family_and_optimisation_are_one_number() {
    let model = read(
        "model vic
         horizon T = 3
         environment room { state s : 0..3; action a : { left, right }
           s[1] ~ Delta(1)
           s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 3))
         }
         option o : 2
         kernel pick(o | s)             = Categorical(logits = table(s))
         kernel pi(a | s, o)            = Categorical(logits = table(s, o))
         kernel decoder(o | s, goal: s) = Categorical(logits = table(goal))
         prior      { s[1] ~ room.initial; o[1] ~ Uniform; a[t] ~ pi(s[t], o[1]); s[t+1] ~ \
         room.transition(s[t], a[t]) }
         likelihood { H[T] ~ decoder(o[1] | s[1], s[T+1]) }
         posterior  { s[1] ~ room.initial; o[1] ~ pick(s[1]); a[t] ~ pi(s[t], o[1]); s[t+1] ~ \
         room.transition(s[t], a[t]) }",
    );
    let initial = Parameters::initial(&model, 0);
    let found = reach(&model, BOUND, &starts(&model, BOUND, 3, None), &initial, 300).unwrap();
    // two ends, told apart: L + log 2 is at most log 2
    assert!(found.bound.bound > -0.01 && found.bound.bound <= 1e-9, "{}", found.bound.bound);
    assert_eq!(told(&model, &initial, &found).1.family, None);
}

/// Where another bound teaches the model, every ascent on the policy is inside the same model.
#[test]
fn what_a_bound_does_not_move_stands_still_in_all_starts() {
    let text = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/learning_from_model.rlmodel"),
    )
    .unwrap();
    let model = check(&parse(&Source::new("test", text)).unwrap(), &Overrides::default()).unwrap();
    let (fit, dream) = (BoundId(0), BoundId(1));
    let taught =
        reach(&model, fit, &starts(&model, fit, 1, None), &Parameters::initial(&model, 0), 200)
            .unwrap();
    let tables = taught.bound.tables;
    let found = Evaluator::new(&model, fit).evaluate(&tables).unwrap();
    assert!(
        found.transition_kl.unwrap() < 1e-6,
        "maximum likelihood of a table is the world: {:?}",
        found.transition_kl
    );
    let all = starts(&model, dream, 3, Some(&taught.bound.parameters));
    let moved = moved(&model, dream);
    for start in &all {
        let layout = start.layout().clone();
        let held = layout.ids().filter(|id| !moved.contains(id));
        held.for_each(|id| assert_eq!(start.get(id), taught.bound.parameters.get(id)));
    }
    assert!(all[1].values() != all[2].values());
    // inside a model that is the world the best policy is the world's
    let found = reach(&model, dream, &all, &taught.bound.parameters, 200).unwrap();
    let truth = reach(&model, BoundId(2), &all, &taught.bound.parameters, 200).unwrap();
    assert!(
        (found.bound.bound - truth.bound.bound).abs() < 1e-4,
        "{} {}",
        found.bound.bound,
        truth.bound.bound
    );
}
