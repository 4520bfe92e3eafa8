//! The information gain of a transition: against its closed form, and what it is in a run.

use super::testing::{bits, planned, resumed};
use crate::engine::infer;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::gain::{Gain, GainRows, Transition};
use crate::engine::program::point::Frozen;
use crate::engine::run::train::gradient_estimates;
use crate::engine::{Parameters, Run, evaluate};
use crate::plan::Plan;

fn line(end: &str, eta: f64, world: &str, infer: &str) -> Plan {
    planned(&format!(
        "model line
         param eta = {eta}
         horizon T = 5
         environment line {{
           state  s : 0..3
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Uniform
           s[t+1] ~ Mixture(0.9: Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 3)), \
           0.1: Uniform)
           r[t]   = 0
           {end}
         }}
         kernel pi(a | s)        = Categorical(logits = table(s))
         kernel world(s' | s, a) = Categorical(logits = {world})
         prior {{ weights(world) ~ Normal(mean = 0, sd = 1); s[1] ~ line.initial; a[t] ~ Uniform; \
         s[t+1] ~ world(s[t], a[t]) }}
         likelihood {{ I[t] ~ exp(eta * (gain(world, s[t], a[t], s[t+1], at_most = 0.4) - 0.4) + \
         r[t]) }}
         posterior {{ weights(world) ~ Normal; s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ \
         line.transition(s[t], a[t]) }}
         infer {{ {infer} }}"
    ))
}

/// What a run's bound has of the exponent.
fn exponent(plan: &Plan, parameters: &Parameters<f64>) -> f64 {
    let term = plan.terms.iter().position(|term| term.name == "I").unwrap();
    evaluate(plan, parameters, 400, false, 3).unwrap().terms[term]
}

#[test]
fn the_gain_of_a_normal_is_its_closed_form_and_near_the_exact_divergence() {
    let plan = planned(
        "model walk
         horizon T = 1
         hidden environment walk {
           state  s : real
           action a : { left, right }
           s[1]   ~ Normal(mean = 0, sd = 1)
           s[t+1] ~ Normal(mean = s[t], sd = 1)
         }
         kernel pi(a | s)     = Categorical(logits = linear(s))
         kernel world(s' | a) = Normal(mean = table(a), sd = 1)
         bound fit {
         prior     { weights(world) ~ Normal(mean = 0, sd = 0.1); s[1] ~ walk.initial; a[t] ~ \
         pi(s[t]); s[t+1] ~ world(a[t]) }
         likelihood { I[t] ~ exp(gain(world, a[t], s[t+1], at_most = 1) - 1) }
         posterior { weights(world) ~ Normal; s[1] ~ walk.initial; a[t] ~ pi(s[t]); s[t+1] ~ \
         walk.transition(s[t], a[t]) }
         }
         infer { maximize fit over world }",
    );
    let program = CompiledProgram::<f64>::new(&plan).unwrap();
    let mut values = Parameters::<f64>::initial(&plan.model, 0).values().to_vec();
    let places: Vec<(usize, usize)> = program.weights.places().collect();
    let (mean, sd): (f64, f64) = (0.3, 0.1);
    values[places[1].0] = mean;
    let frozen = program.freeze(&values, (5, 0));
    for x in [-1.0, 0.3, 2.0] {
        let transition = Transition { indices: vec![1], reals: vec![x], ..Default::default() };
        let gain = of_transition(&program.gains[0], &frozen, transition);
        // the draws come in pairs, so that E[g] is exact; E[g ε] = −sd · mean of ε²
        let second = frozen.mean_square_noise(places[1].0);
        let wanted = 0.5 * (sd.powi(2) * (x - mean).powi(2) + 0.5 * sd.powi(4) * second * second);
        assert!((gain - wanted).abs() < 1e-12, "{x}: {gain} and {wanted}");
        // the posterior after one observation: variance sd² / (1 + sd²), the mean moved by sd² (x −
        // mean) / (1 + sd²)
        let one = 1.0 + sd * sd;
        let moved = sd * (x - mean) / one;
        let exact = 0.5 * (one.ln() + 1.0 / one + moved * moved - 1.0);
        assert!((gain - exact).abs() < 0.05 * exact + 1e-4, "{x}: {gain} and {exact}");
    }
    // and never more than is declared
    assert_eq!(
        of_transition(
            &program.gains[0],
            &frozen,
            Transition { indices: vec![1], reals: vec![1e6], ..Default::default() }
        ),
        1.0
    );
}

fn of_transition(gain: &Gain, frozen: &Frozen<f64>, transition: Transition<f64>) -> f64 {
    GainRows::default().of_transition(gain, frozen, vec![transition])
}

#[test]
fn a_gain_has_no_gradient_and_is_credited_like_a_reward() {
    let gradient = |eta: f64| {
        let plan =
            line("", eta, "table(s, a)", "trajectories = 16; shards = 2; threads = 1; seed = 4");
        let parameters = Parameters::<f64>::initial(&plan.model, 0);
        let program = CompiledProgram::<f64>::new(&plan).unwrap();
        let own: Vec<usize> =
            program.weights.places().flat_map(|(mean, log_sd)| [mean, log_sd]).collect();
        let gradient = gradient_estimates(&plan, &parameters, 0..1).unwrap().remove(0);
        let world: Vec<f64> = own.iter().map(|&at| gradient[at]).collect();
        let policy: Vec<f64> =
            (0..gradient.len()).filter(|at| !own.contains(at)).map(|at| gradient[at]).collect();
        (world, policy)
    };
    let (without, with) = (gradient(0.0), gradient(1.0));
    assert_eq!(without.0, with.0, "no gradient flows into the world");
    assert_ne!(without.1, with.1, "actions are credited");
}

#[test]
fn what_is_known_gains_nothing_and_what_is_not_does() {
    let run = |steps: u64| -> (Plan, Run) {
        let infer_block = format!(
            "trajectories = 64; steps = {steps}; optimizer = adam(rate = 0.05); seed = 1; threads \
             = 1"
        );
        let plan = line("", 1.0, "table(s, a)", &infer_block);
        let run = infer(&plan, &mut ()).unwrap();
        (plan, run)
    };
    let (plan, early) = run(1);
    let (_, late) = run(300);
    let (early, late) = (exponent(&plan, &early.parameters), exponent(&plan, &late.parameters));
    // five steps, of which each is short of 0.4 by what it does not gain
    assert!(
        (-2.0..0.0).contains(&early) && (-2.0..early - 0.5).contains(&late),
        "{early} and {late}"
    );
}

#[test]
fn after_the_end_nothing_is_gained() {
    let plan = line("end when s[t] >= 0", 2.0, "table(s, a)", "");
    let parameters = Parameters::<f64>::initial(&plan.model, 0);
    assert!((exponent(&plan, &parameters) + 2.0 * 0.4 * 5.0).abs() < 1e-5);
}

#[test]
fn the_bits_are_the_same_on_any_number_of_threads_and_after_a_resumption() {
    let told = |threads: u64, world: &str| {
        let infer_block = format!("trajectories = 20; shards = 4; steps = 10; threads = {threads}");
        let run = infer(&line("end when s[t] == 3", 1.0, world, &infer_block), &mut ()).unwrap();
        (bits(&run), run.evaluation)
    };
    for world in ["table(s, a)", "mlp(s, a, hidden = [3])"] {
        assert_eq!(told(1, world), told(2, world), "{world}");
        let plan = line(
            "end when s[t] == 3",
            1.0,
            world,
            "trajectories = 20; shards = 4; steps = 10; log_every = 1",
        );
        assert_eq!(
            bits(&resumed(&plan, 4)),
            bits(&infer(&plan, &mut ()).unwrap()),
            "resumed, {world}"
        );
    }
}

#[test]
fn a_mixture_of_one_normal_has_its_gain() {
    let plan = |world: &str| {
        planned(&format!(
            "model walk
             horizon T = 3
             environment walk {{
               state  s : real
               action a : {{ left, right }}
               reward r in [-1, 0]
               s[1]   ~ Normal(mean = 0, sd = 1)
               s[t+1] ~ Normal(mean = s[t] + 0.5 * a[t], sd = 0.5)
               r[t]   = 0
             }}
             net drift(s, a) = linear(s, a)
             kernel pi(a | s) = Categorical(logits = linear(s))
             kernel world(s' | s, a) = {world}
             prior {{ weights(world) ~ Normal(mean = 0, sd = 1); s[1] ~ walk.initial
                      a[t] ~ Uniform; s[t+1] ~ world(s[t], a[t]) }}
             likelihood {{ I[t] ~ exp(gain(world, s[t], a[t], s[t+1], at_most = 4) - 4 + r[t]) }}
             posterior {{ weights(world) ~ Normal; s[1] ~ walk.initial; a[t] ~ pi(s[t])
                          s[t+1] ~ walk.transition(s[t], a[t]) }}
             infer {{ trajectories = 8; steps = 1; precision = f64 }}"
        ))
    };
    let gain = |world: &str| {
        let plan = plan(world);
        exponent(&plan, &Parameters::initial(&plan.model, 3))
    };
    let one = "Normal(mean = drift(s, a), sd = 0.7)";
    let (of_normal, of_mixture) = (gain(one), gain(&format!("Mixture(0.5: {one}, 0.5: {one})")));
    assert!((of_normal - of_mixture).abs() < 1e-9, "{of_normal}, {of_mixture}");
    assert!(of_normal > -12.0 + 1e-3, "nothing is gained: {of_normal}");
}

#[test]
fn the_gain_of_several_values_is_that_of_all_of_them() {
    let plan = planned(
        "model walk
         horizon T = 1
         hidden environment walk {
           state  s : real
           action a : { left, right }
           reward r in [-9, 9]
           s[1]   ~ Normal(mean = 0, sd = 1)
           s[t+1] ~ Normal(mean = s[t], sd = 1)
           r[t]   = clamp(s[t+1], -9, 9)
         }
         kernel pi(a | s)        = Categorical(logits = linear(s))
         kernel world(s', r | a) = { s: Normal(mean = table(a), sd = 1), r: Normal(mean = \
         table(a), sd = 2) }
         bound fit {
         prior     { weights(world) ~ Normal(mean = 0, sd = 0.1); s[1] ~ walk.initial; a[t] ~ \
         pi(s[t]); s[t+1], r[t] ~ world(a[t]) }
         likelihood { I[t] ~ exp(gain(world, a[t], s[t+1], r[t], at_most = 1) - 1) }
         posterior { weights(world) ~ Normal; s[1] ~ walk.initial; a[t] ~ pi(s[t]); s[t+1] ~ \
         walk.transition(s[t], a[t]) }
         }
         infer { maximize fit over world }",
    );
    let program = CompiledProgram::<f64>::new(&plan).unwrap();
    let values = Parameters::<f64>::initial(&plan.model, 0).values().to_vec();
    let places: Vec<(usize, usize)> = program.weights.places().collect();
    let frozen = program.freeze(&values, (5, 0));
    let (x, paid, sd): (f64, f64, f64) = (1.5, -2.0, 0.1);
    let transition = |x: f64| Transition { indices: vec![1], reals: vec![x], ..Default::default() };
    let (gain, both) = (&program.gains[0], vec![transition(x), transition(paid)]);
    let found = GainRows::default().of_transition(gain, &frozen, both);
    // by weight, of the second action: half the square of the step in units of its deviation
    let of = |(mean, _): (usize, usize), x: f64, own: f64| {
        let second = frozen.mean_square_noise(mean);
        let of_mean = sd * (x - values[mean]) / own.powi(2);
        let of_deviation = sd * sd * second / own.powi(2);
        0.5 * (of_mean.powi(2) + 0.5 * of_deviation.powi(2))
    };
    let wanted = of(places[1], x, 1.0) + of(places[3], paid, 2.0);
    assert!((found - wanted).abs() < 1e-12, "{found} and {wanted}");
}

/// `line` with a world that stays where it is, or is drawn anew.
fn stays(keep: f64) -> Plan {
    let text = format!(
        "model line
         horizon T = 5
         environment line {{
           state  s : 0..3; action a : {{ left, right }}
           s[1]   ~ Uniform
           s[t+1] ~ Mixture(0.9: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 3)), 0.1: Uniform)
         }}
         kernel pi(a | s)        = Categorical(logits = table(s))
         kernel world(s' | s, a) = Sticky(s, keep = {keep}, fresh = Categorical(logits = table(s, \
         a)))
         prior {{ weights(world) ~ Normal(mean = 0, sd = 1); s[1] ~ line.initial; a[t] ~ Uniform; \
         s[t+1] ~ world(s[t], a[t]) }}
         likelihood {{ I[t] ~ exp(gain(world, s[t], a[t], s[t+1], at_most = 9) - 9) }}
         posterior {{ weights(world) ~ Normal; s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ \
         line.transition(s[t], a[t]) }}"
    );
    planned(&text)
}

#[test]
fn what_may_have_stayed_tells_less_of_what_is_drawn_anew() {
    let gain = |keep: f64, to: u32| {
        let plan = stays(keep);
        let program = CompiledProgram::<f64>::new(&plan).unwrap();
        let values = Parameters::<f64>::initial(&plan.model, 3).values().to_vec();
        let (from, action) = (2, 1);
        let indices =
            program.gains[0].inputs().map(|is_state| if is_state { from } else { action });
        let transition = Transition {
            indices: indices.collect(),
            numbers: vec![to],
            last: vec![from],
            reals: vec![],
        };
        of_transition(&program.gains[0], &program.freeze(&values, (5, 0)), transition)
    };
    // what has moved was drawn anew, whatever the odds of that were
    assert!((gain(0.3, 1) - gain(0.8, 1)).abs() < 1e-12);
    // and what has not may not have been
    assert!(gain(0.8, 2) < gain(0.3, 2) && gain(0.3, 2) < gain(0.3, 1), "{}", gain(0.3, 2));
}
