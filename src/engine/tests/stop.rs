//! Whoever is asked twice gives up, wherever it is: in a backward pass, in an exact round, at the
//! oracle that judges a round, and at the judge of a classifier.

use super::testing::{mlp_policy, numbers, planned};
use crate::engine::judge::calibration::calibrate;
use crate::engine::judge::improvement::OfRounds;
use crate::engine::network::feed::Feed;
use crate::engine::network::forward::{Activations, Scratch};
use crate::engine::network::plan::NetworkPlan;
use crate::engine::run::exact_update::improve;
use crate::engine::{Layout, Parameters, Stop, Tape};
use std::sync::{Arc, Mutex};

fn asked_twice() -> Stop {
    let stop = Stop::default();
    assert_eq!([stop.ask(), stop.ask()], [1, 2]);
    stop
}

#[test]
fn a_backward_pass_ends_at_its_next_block_and_a_tape_at_its_next_node() {
    let (model, _, logits) = mlp_policy(2, &[8], 3);
    let plan = NetworkPlan::compile(&model, &[logits], |_, formal| formal).expect("compiles");
    let rows = 300;
    let (parameters, inputs) = (numbers(Layout::of(&model.network).len(), 5), numbers(2 * rows, 1));
    let mut activations = Activations::new(&plan, rows);
    plan.forward(
        &parameters,
        &[Feed::Real { columns: &inputs, stride: rows }],
        0..rows,
        &mut activations,
    );
    let slopes = numbers(rows * 3, 7);
    let gradient = |stop: &Stop| {
        let mut gradient = vec![0.0; parameters.len()];
        plan.backward(
            &parameters,
            &activations,
            0..rows,
            &[&slopes],
            &mut Scratch::of(stop),
            &mut gradient,
        );
        gradient
    };
    assert!(gradient(&Stop::default()).iter().any(|g| *g != 0.0));
    let stop = asked_twice();
    assert!(gradient(&stop).iter().all(|g| *g == 0.0) && stop.has_given_up());

    let own = Parameters::<f64>::initial(&model, 0);
    for (stop, reached) in [(Stop::default(), true), (asked_twice(), false)] {
        let mut tape = Tape::reusing(&Arc::new(Mutex::new(Scratch::of(&stop))));
        let met = Arc::new(Mutex::new(false));
        let told = met.clone();
        tape.record(move |_| *told.lock().unwrap() = true);
        tape.backward(vec![], &own, &mut own.zero_gradient());
        assert_eq!(*met.lock().unwrap(), reached);
    }
}

/// A walk in which a policy of `givens` plays.
fn walk(policy: &str, givens: &str) -> String {
    format!(
        "model walk
         horizon T = 6
         environment walk {{
           state s : 0..4
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Delta(0)
           s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4))
           r[t]   = if s[t+1] == 4 then 0 else -1
         }}
         {policy}
         prior      {{ s[1] ~ walk.initial; a[t] ~ previous pi({givens}); s[t+1] ~ \
         walk.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior  {{ s[1] ~ walk.initial; a[t] ~ pi({givens}); s[t+1] ~ walk.transition(s[t], \
         a[t]) }}
         infer      {{ rounds = 6; update = exact(iterations = 60); precision = f64; trajectories \
         = 4 }}"
    )
}

#[test]
fn an_exact_round_and_its_judge_give_up() {
    for (policy, givens) in [
        ("kernel pi(a | s) = Categorical(logits = table(s))", "s[t]"),
        ("kernel pi(a | s, t) = Categorical(logits = table(s, t))", "s[t], t"),
    ] {
        let plan = planned(&walk(policy, givens));
        let present = Parameters::initial(&plan.model, 0);
        let patient = Stop::default();
        assert!(improve(&plan, &present, 60, &patient).is_ok() && !patient.has_given_up());
        let stop = asked_twice();
        assert!(improve(&plan, &present, 60, &stop).is_err() && stop.has_given_up(), "{policy}");
        let mut judge = OfRounds::new(&plan, &present, &patient).expect("the model is finite");
        assert!(judge.round(&present, &present).is_some());
        patient.ask();
        patient.ask();
        assert!(judge.round(&present, &present).is_none() && patient.has_given_up());
        assert!(OfRounds::new(&plan, &present, &stop).is_none());
    }
}

#[test]
fn the_judge_of_a_classifier_gives_up() {
    let plan = planned(
        "model drift
         horizon T = 5
         hidden environment line {
           state  s : real
           action a : { left, right }
           reward r in [-1, 0]
           s[1]   ~ Normal(mean = 0, sd = 1)
           s[t+1] ~ Normal(mean = 0.5 * s[t], sd = 0.5)
           r[t]   = -min(1, abs(s[t+1]))
         }
         kernel pi(a | s)        = Categorical(logits = linear(s))
         kernel world(s' | s, a) = Normal(mean = 0.5 * s, sd = 0.4)
         prior      { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }
         likelihood { R[t] ~ exp(r[t]) }
         posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }
         infer { ratio = linear(s, s') }",
    );
    let parameters = Parameters::initial(&plan.model, 0);
    assert!(
        calibrate(&plan, &parameters, 16, &Stop::default())
            .unwrap()
            .iter()
            .any(|(_, found)| found.pairs > 0)
    );
    let stop = asked_twice();
    assert!(calibrate(&plan, &parameters, 16, &stop).unwrap().is_empty());
    assert!(stop.has_given_up());
}
