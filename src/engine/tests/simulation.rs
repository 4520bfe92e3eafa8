//! Policies that imagine: bound and gradient against a sum over all that can be imagined, bits, and
//! what look-ahead is good for.

use super::testing::{bits, numbers, planned, resumed, try_plan};
use crate::engine::infer;
use crate::engine::run::train::gradient_estimates;
use crate::engine::{Parameters, evaluate, tabulate};
use crate::model::{BoundId, KernelId, ParameterId};
use crate::plan::Plan;
use std::ops::Range;

/// Two cells and two steps: `right` changes the cell with probability 0.7, cell 1 costs 1.
fn cells(imagined: &str, prior: &str, infer: &str) -> String {
    format!(
        "model cells
         horizon T = 2
         environment cells {{
           state s : 0..1; action a : {{ left, right }}; reward r in [-1, 0]
           s[1]   ~ Uniform
           s[t+1] ~ Mixture(0.7: Delta(if a[t] == right then 1 - s[t] else s[t]), 0.3: Delta(s[t]))
           r[t]   = -s[t+1]
         }}
         kernel pi(a | s)        = Categorical(logits = linear({imagined}))
         kernel plain(a | s)     = Categorical(logits = table(s))
         kernel world(s' | s, a) = Categorical(logits = table(s, a))
         kernel late(a | s, t)   = Categorical(logits = table(s, t))
         prior      {{ s[1] ~ cells.initial; a[t] ~ {prior}; s[t+1] ~ cells.transition(s[t], \
         a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior  {{ s[1] ~ cells.initial; a[t] ~ pi(s[t]); s[t+1] ~ cells.transition(s[t], \
         a[t]) }}
         infer      {{ threads = 1; precision = f64; {infer} }}"
    )
}

const PLAIN: &str = "imagine(world, s, policy = plain, steps = 2)";
const FROZEN: &str = "imagine(world, s, policy = previous pi, steps = 2)";

/// The numbers of the parameter of this name.
fn range(plan: &Plan, parameters: &Parameters<f64>, name: &str) -> Range<usize> {
    let at =
        plan.model.network.parameters.iter().position(|parameter| parameter.name == name).unwrap();
    parameters.layout().range(ParameterId(at as u32))
}

fn softmax(logits: [f64; 2]) -> [f64; 2] {
    let total = logits[0].exp() + logits[1].exp();
    [logits[0].exp() / total, logits[1].exp() / total]
}

/// The bound of [`cells`], summed over all rollouts of two steps, all actions and all cells:
/// nothing here is the engine's.
struct ByHand {
    plain: Range<usize>,
    world: Range<usize>,
    weight: Range<usize>,
    bias: Range<usize>,
    /// Rollouts are drawn by the policy itself, which sees zeros there.
    frozen: bool,
    start: Start,
}

/// Where rollouts start: at the present cell, at the first one, or at a cell that is drawn with
/// probabilities 0.3 and 0.7.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    Present,
    First,
    Drawn,
}

impl ByHand {
    fn of(plan: &Plan, parameters: &Parameters<f64>, frozen: bool) -> ByHand {
        let range = |name| range(plan, parameters, name);
        let (plain, world) = (range("plain.logits.0.table"), range("world.logits.0.table"));
        ByHand {
            plain,
            world,
            weight: range("pi.logits.0.weight"),
            bias: range("pi.logits.0.bias"),
            frozen,
            start: Start::Present,
        }
    }

    fn bound(&self, values: &[f64]) -> f64 {
        0.5 * (self.value(values, (0, 0), 1) + self.value(values, (1, 1), 1))
    }

    fn value(&self, values: &[f64], (first, s): (usize, usize), t: usize) -> f64 {
        if t > 2 {
            return 0.0;
        }
        match self.start {
            Start::Present => self.value_from(values, (first, s, s), t),
            Start::First => self.value_from(values, (first, s, first), t),
            Start::Drawn => {
                let from = |start| self.value_from(values, (first, s, start), t);
                0.3 * from(0) + 0.7 * from(1)
            }
        }
    }

    fn value_from(
        &self,
        values: &[f64],
        (first, s, start): (usize, usize, usize),
        t: usize,
    ) -> f64 {
        let gains = [0, 1].map(|a| {
            let change = if a == 1 { 0.7 } else { 0.0 };
            [(1 - s, change), (s, 1.0 - change)]
                .map(|(next, p)| p * (-(next as f64) + self.value(values, (first, next), t + 1)))
                .iter()
                .sum::<f64>()
        });
        let bias = [values[self.bias.start], values[self.bias.start + 1]];
        let mut sum = 0.0;
        for rollout in 0..16 {
            let (mut now, mut p, mut logits) = (start, 1.0, bias);
            for step in 0..2 {
                let (a, next) = (rollout >> (2 * step) & 1, rollout >> (2 * step + 1) & 1);
                let plain = &values[self.plain.start + 2 * now..];
                let world = &values[self.world.start + 2 * (2 * now + a)..];
                p *= softmax(if self.frozen { bias } else { [plain[0], plain[1]] })[a]
                    * softmax([world[0], world[1]])[next];
                for row in [4 * step + next, 4 * step + 2 + a] {
                    logits[0] += values[self.weight.start + 2 * row];
                    logits[1] += values[self.weight.start + 2 * row + 1];
                }
                now = next;
            }
            let policy = softmax(logits);
            sum += p
                * (0..2).map(|a| policy[a] * (gains[a] - policy[a].ln() - 2f64.ln())).sum::<f64>();
        }
        sum
    }
}

/// Parameters away from 0.
fn random_parameters(plan: &Plan) -> Parameters<f64> {
    let mut parameters = Parameters::<f64>::initial(&plan.model, 3);
    let noise = numbers(parameters.values().len(), 11);
    parameters.values_mut().iter_mut().zip(noise).for_each(|(value, noise)| *value = 1.2 * noise);
    parameters
}

#[test]
fn the_sampled_bound_is_the_sum_over_all_that_is_imagined() {
    for imagined in [PLAIN, FROZEN] {
        let plan = planned(&cells(imagined, "Uniform", ""));
        let parameters = random_parameters(&plan);
        let exact = ByHand::of(&plan, &parameters, imagined == FROZEN).bound(parameters.values());
        let sampled = evaluate(&plan, &parameters, 40_000, false, 5).unwrap();
        assert!(
            (sampled.bound - exact).abs() < 4.0 * sampled.bound_se,
            "{imagined}: {} ± {}, {exact}",
            sampled.bound,
            sampled.bound_se
        );
    }
}

#[test]
fn a_rollout_starts_from_whatever_state_its_kernel_is_given() {
    for start in [Start::First, Start::Drawn] {
        let text = cells(PLAIN, "Uniform", "trajectories = 32; shards = 2");
        let text = match start {
            Start::Present | Start::First => text.replace("a[t] ~ pi(s[t])", "a[t] ~ pi(s[1])"),
            Start::Drawn => text
                .replace("kernel late", "option g : 2\nkernel late")
                .replace("a[t] ~ Uniform", "a[t] ~ Uniform; g[t] ~ Categorical(probs = [0.3, 0.7])")
                .replace(
                    "a[t] ~ pi(s[t])",
                    "g[t] ~ Categorical(probs = [0.3, 0.7]); a[t] ~ pi(g[t])",
                ),
        };
        let plan = planned(&text);
        let parameters = random_parameters(&plan);
        let by_hand = ByHand { start, ..ByHand::of(&plan, &parameters, false) };
        let exact = by_hand.bound(parameters.values());
        let sampled = evaluate(&plan, &parameters, 40_000, false, 5).unwrap();
        assert!(
            (sampled.bound - exact).abs() < 4.0 * sampled.bound_se,
            "{start:?}: {} ± {}, {exact}",
            sampled.bound,
            sampled.bound_se
        );
        let other = ByHand::of(&plan, &parameters, false).bound(parameters.values());
        assert!((other - exact).abs() > 1e-4, "{start:?} makes no difference");
        let estimates = gradient_estimates(&plan, &parameters, 0..600).unwrap();
        let n = estimates.len() as f64;
        for at in by_hand.weight.clone().chain(by_hand.bias.clone()) {
            let moved = |by: f64| {
                let mut values = parameters.values().to_vec();
                values[at] += by;
                by_hand.bound(&values)
            };
            let exact = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let mean = estimates.iter().map(|estimate| estimate[at]).sum::<f64>() / n;
            let squares =
                estimates.iter().map(|estimate| (estimate[at] - mean).powi(2)).sum::<f64>();
            let error = (squares / (n * (n - 1.0))).sqrt();
            // of 18 standard normals the largest exceeds 4 with probability 0.1 %
            assert!(
                (mean - exact).abs() < 4.0 * error,
                "{start:?}, number {at}: {mean} ± {error}, exactly {exact}"
            );
        }
    }
}

#[test]
fn the_gradient_of_a_policy_that_imagines_is_unbiased() {
    for baseline in ["none", "leave_one_out", "table(s, t)"] {
        let plan = planned(&cells(
            PLAIN,
            "Uniform",
            &format!("trajectories = 32; shards = 2; baseline = {baseline}"),
        ));
        let parameters = random_parameters(&plan);
        let by_hand = ByHand::of(&plan, &parameters, false);
        let estimates = gradient_estimates(&plan, &parameters, 0..600).unwrap();
        let n = estimates.len() as f64;
        let mut tested = 0;
        for at in by_hand.weight.clone().chain(by_hand.bias.clone()) {
            let moved = |by: f64| {
                let mut values = parameters.values().to_vec();
                values[at] += by;
                by_hand.bound(&values)
            };
            let exact = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let mean = estimates.iter().map(|estimate| estimate[at]).sum::<f64>() / n;
            let squares =
                estimates.iter().map(|estimate| (estimate[at] - mean).powi(2)).sum::<f64>();
            let error = (squares / (n * (n - 1.0))).sqrt();
            // the largest of 54 standard normals exceeds 4 with probability below 0.4 %
            assert!(
                (mean - exact).abs() < 4.0 * error,
                "{baseline}, number {at}: {mean} ± {error}, exactly {exact}"
            );
            assert!(error > 0.0 && error < 0.05, "{error}");
            tested += 1;
        }
        assert_eq!(tested, 18);
        // the draws are conditioned on: nothing reaches what they are drawn from
        let still = by_hand.plain.clone().chain(by_hand.world.clone());
        assert!(still.into_iter().all(|at| estimates.iter().all(|estimate| estimate[at] == 0.0)));
    }
}

#[test]
fn what_is_imagined_has_the_same_bits_on_any_number_of_threads_and_after_a_resumption() {
    let settings = [
        (PLAIN, "Uniform", "steps = 20"),
        (FROZEN, "Uniform", "steps = 10; rounds = 2"),
        (FROZEN, "previous pi(s[t])", "steps = 10; rounds = 2"),
        (PLAIN, "Uniform", "steps = 20; epochs = 3; minibatch = 16"),
    ];
    for (imagined, prior, steps) in settings {
        let with = |threads: usize| {
            let mut plan = planned(&cells(
                imagined,
                prior,
                &format!("trajectories = 12; shards = 3; {steps}"),
            ));
            plan.settings.threads = Some(threads);
            plan
        };
        let one = infer(&with(1), &mut ()).unwrap();
        assert_eq!(
            infer(&with(2), &mut ()).unwrap().parameters.values(),
            one.parameters.values(),
            "two threads, {imagined}, {steps}"
        );
        let whole = resumed(&with(1), 7);
        assert_eq!(
            whole.parameters.values(),
            one.parameters.values(),
            "resumed, {imagined}, {steps}"
        );
    }
}

#[test]
fn real_states_and_actions_are_imagined() {
    let text = |threads: usize| {
        format!(
            "model drift
             horizon T = 4
             environment line {{
               state z : real; action u : real in [-1, 1]; reward w in [-1, 0]
               z[1]   ~ Normal(mean = 0, sd = 1)
               z[t+1] ~ Normal(mean = 0.9 * z[t] + 0.5 * u[t], sd = 0.1)
               w[t]   = -min(1, abs(z[t+1]))
             }}
             kernel world(z' | z, u) = Normal(mean = 0.9 * z + 0.5 * u, sd = 0.1)
             kernel plain(u | z)     = TanhNormal(mean = linear(z), sd = 0.5)
             kernel pi(u | z)        = TanhNormal(mean = linear(imagine(world, z, policy = plain, \
             steps = 2)), sd = 0.5)
             prior      {{ z[1] ~ line.initial; u[t] ~ Uniform; z[t+1] ~ line.transition(z[t], \
             u[t]) }}
             likelihood {{ R[t] ~ exp(w[t]) }}
             posterior  {{ z[1] ~ line.initial; u[t] ~ pi(z[t]); z[t+1] ~ line.transition(z[t], \
             u[t]) }}
             infer      {{ trajectories = 64; steps = 150; threads = {threads}; optimizer = \
             adam(rate = 0.02) }}"
        )
    };
    let plan = planned(&text(1));
    let before = evaluate(&plan, &Parameters::initial(&plan.model, 0), 4000, false, 5).unwrap();
    let run = infer(&plan, &mut ()).unwrap();
    let after = evaluate(&plan, &run.parameters, 4000, false, 5).unwrap();
    // where it goes is told by where the rollout goes: two standard errors of each side apart, and
    // more
    assert!(
        after.bound > before.bound + 4.0 * (before.bound_se + after.bound_se),
        "{} to {}",
        before.bound,
        after.bound
    );
    assert_eq!(
        infer(&planned(&text(2)), &mut ()).unwrap().parameters.values(),
        run.parameters.values()
    );
}

/// The model of the repository: what is linear in the cell is blind to the lever, and a step of a
/// learned world tells it.
#[test]
fn looking_ahead_tells_what_the_features_hide() {
    let text = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/imagining.rlmodel"),
    )
    .unwrap();
    let plan = planned(&text);
    let run = infer(&plan, &mut ()).unwrap();
    let of = |name: &str| {
        let at =
            plan.model.bounds.iter().position(|bound| bound.name.as_deref() == Some(name)).unwrap();
        let turn = plan.turns().find(|turn| turn.derivation.bound == BoundId(at as u32)).unwrap();
        evaluate(turn, &run.parameters, 4000, false, 5).unwrap()
    };
    let (blind, seeing) = (of("alone"), of("play"));
    let apart = 4.0 * blind.bound_se.hypot(seeing.bound_se);
    assert!(
        seeing.bound > blind.bound + apart + 1.0,
        "{} ± {} and {} ± {}",
        seeing.bound,
        seeing.bound_se,
        blind.bound,
        blind.bound_se
    );
}

#[test]
fn a_policy_that_imagines_has_no_table() {
    let plan = planned(&cells(PLAIN, "Uniform", ""));
    let refused = tabulate(&plan.model, &Parameters::initial(&plan.model, 0), KernelId(0))
        .expect_err("it imagines");
    assert_eq!(
        refused.0,
        "`pi` imagines before it draws: its probabilities are known where it acts, and have no \
         table"
    );
}

#[test]
fn the_derivation_says_what_is_imagined() {
    let plan = planned(&cells(FROZEN, "Uniform", ""));
    let [imagined] = &plan.derivation.imagined[..] else {
        panic!("one rollout: {:?}", plan.derivation.imagined)
    };
    assert_eq!((&imagined.by[..], &imagined.rollout[..]), ("pi", FROZEN));
    let text =
        plan.derivation.gradient.remarks.iter().map(|remark| &remark.0[..]).collect::<Vec<_>>();
    assert_eq!(
        text,
        ["the score of pi is conditional on what it imagined; no gradient passes through these \
             draws"]
    );
    let moving = planned(&cells(PLAIN, "plain(s[t])", ""));
    let remark =
        "pi imagines with plain, which moves: how that moves what is imagined is left out; biased";
    assert!(moving.remarks.iter().any(|told| told == remark), "{:?}", moving.remarks);
}

/// Where the weights of the world are drawn, what is imagined depends on them: their gradient is
/// not taken at a mirror image beside.
#[test]
fn a_world_of_drawn_weights_is_imagined() {
    let text = |policy: &str| {
        cells(
            &format!("imagine(world, s, policy = {policy}, steps = 1)"),
            "Uniform",
            "trajectories = 8; steps = 5",
        )
        .replace(
            "prior      { s[1] ~ cells.initial;",
            "prior      { weights(world) ~ Normal(mean = 0, sd = 1); s[1] ~ cells.initial;",
        )
        .replace(
            "s[t+1] ~ cells.transition(s[t], a[t]) }\n         likelihood",
            "s[t+1] ~ world(s[t], a[t]) }\n         likelihood",
        )
        .replace("posterior  { s[1]", "posterior  { weights(world) ~ Normal; s[1]")
    };
    let plan = planned(&text("plain"));
    assert!(plan.weights.len() == 1 && !plan.weights[0].mirrors, "{:?}", plan.weights);
    let remark =
        "pi imagines with world, which moves: how that moves what is imagined is left out; biased";
    assert!(plan.remarks.iter().any(|told| told == remark), "{:?}", plan.remarks);
    assert!(infer(&plan, &mut ()).unwrap().evaluation.bound.is_finite());
    let alone =
        planned(&text("plain").replace("imagine(world, s, policy = plain, steps = 1)", "s"));
    assert!(alone.weights[0].mirrors, "nothing that is drawn depends on them");
}

#[test]
fn what_cannot_be_imagined_is_told() {
    let cases = [
        ("imagine(word, s, policy = plain, steps = 2)", "unknown kernel `word`"),
        ("imagine(world, s, policy = plan, steps = 2)", "unknown kernel `plan`"),
        (
            "imagine(plain, s, policy = plain, steps = 2)",
            "`plain` is no transition kernel: it does not draw the state alone",
        ),
        (
            "imagine(world, s, policy = world, steps = 2)",
            "`world` does not draw the action `a` alone",
        ),
        (
            "imagine(world, s, policy = late, steps = 2)",
            "`late` reads `t`, which an imagined step does not have",
        ),
        ("imagine(world, s, policy = pi, steps = 2)", "write `policy = previous pi`"),
        (
            "imagine(world, s, policy = previous pi(s), steps = 2)",
            "what the policy reads follows from the rollout",
        ),
        (
            "imagine(world, s, policy = plain, steps = 0)",
            "the number of imagined steps must be between 1 and 1000, not 0",
        ),
        ("imagine(world, s, policy = plain, steps = 1.5)", "the number of imagined steps"),
        ("imagine(world, s, policy = plain)", "`imagine` needs the argument `steps`"),
        ("imagine(world, s, steps = 1)", "`imagine` needs the argument `policy`"),
        ("imagine(world, s, policy = plain, step = 1)", "did you mean `steps`?"),
        (
            "imagine(world, policy = plain, steps = 1)",
            "`imagine` takes a kernel and a state, not 1 arguments",
        ),
        (
            "imagine(world, 1 - s, policy = plain, steps = 1)",
            "`imagine` reads a given of the kernel as it is",
        ),
        (
            "imagine(cells.transition, s, policy = plain, steps = 1)",
            "`imagine` draws from kernels of the file, given by their names",
        ),
    ];
    for (imagined, wanted) in cases {
        let told = try_plan(&cells(imagined, "Uniform", "")).expect_err(imagined);
        assert!(told.contains(wanted), "{imagined} gives {told}");
    }
    let baseline = format!("baseline = mlp({PLAIN}, hidden = [4])");
    let told = try_plan(&cells(PLAIN, "Uniform", &baseline)).expect_err("a baseline");
    assert!(
        told.contains("`imagine` stands in the network of a kernel, not in one of `infer`"),
        "{told}"
    );
}

/// Of a real line, of which the policy sees what it imagines and nothing else.
fn normalised(normalize: &str, steps: usize) -> Plan {
    planned(&format!(
        "model line
         horizon T = 4
         environment line {{
           state  s : real
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Normal(mean = 3, sd = 2)
           s[t+1] ~ Normal(mean = 0.5 * s[t] + 2 * a[t] - 1, sd = 0.3)
           r[t]   = -min(1, abs(s[t+1]))
         }}
         kernel plain(a | s) = Categorical(logits = linear(s))
         kernel world(s' | s, a) = Normal(mean = linear(s, a), sd = 0.5)
         kernel pi(a | s) = Categorical(logits = mlp(imagine(world, s, policy = plain, steps = 2), \
         hidden = [8]))
         bound act {{
           prior      {{ s[1] ~ line.initial; a[t] ~ Uniform;
                         s[t+1] ~ line.transition(s[t], a[t]) }}
           likelihood {{ R[t] ~ exp(r[t]) }}
           posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]);
                         s[t+1] ~ line.transition(s[t], a[t]) }}
         }}
         infer {{ maximize act over pi; trajectories = 16; steps = {steps}; seed = 3;
                  {normalize} }}"
    ))
}

#[test]
fn imagined_states_are_seen_normalised_as_the_present_one_is() {
    let trained = |plan: &Plan| {
        let run = infer(plan, &mut ()).unwrap();
        let layout = run.parameters.layout();
        let of_pi = plan.trained.iter().flat_map(|&id| layout.range(id));
        of_pi.map(|at| run.parameters.values()[at]).collect::<Vec<f64>>()
    };
    let scaled = "normalize = observations";
    // nothing has been seen before the first batch
    assert_eq!(trained(&normalised(scaled, 1)), trained(&normalised("", 1)));
    assert_ne!(trained(&normalised(scaled, 4)), trained(&normalised("", 4)));
    let plan = normalised(scaled, 8);
    assert_eq!(bits(&resumed(&plan, 5)), bits(&infer(&plan, &mut ()).unwrap()));
}
