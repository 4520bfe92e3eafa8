//! Learning a model of the world: the learned transitions against the real ones.

use super::testing::planned;
use crate::engine::infer;
use crate::engine::{evaluate, tabulate};
use crate::finite;
use crate::model::EnvironmentId;
use crate::plan::Plan;

fn line(hidden: &str, world: &str, blocks: &str) -> Plan {
    planned(&format!(
        "model line
         horizon T = 10
         {hidden} environment line {{
           state  s : 0..4
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Uniform
           s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 4)), \
           0.2: Uniform)
           r[t]   = if s[t+1] == 4 then 0 else -1
           end when s[t] == 4
         }}
         kernel pi(a | s) = Categorical(logits = table(s))
         kernel world(s' | s, a) = Categorical(logits = {world})
         {blocks}"
    ))
}

const LIKELIHOOD: &str = "likelihood { R[t] ~ exp(0.1 * r[t]) }";
const POSTERIOR: &str =
    "posterior { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], a[t]) }";

/// The greatest KL(env ‖ world) of the conditions that are met, nats.
fn worst_divergence(plan: &Plan, parameters: &crate::engine::Parameters<f64>) -> f64 {
    let tables = finite::tabulate(&plan.model, EnvironmentId(0)).unwrap();
    let world = plan.model.kernels.iter().position(|kernel| kernel.name == "world").unwrap();
    let learned = tabulate(&plan.model, parameters, crate::model::KernelId(world as u32)).unwrap();
    let live = (0..tables.transition.rows()).filter(|row| !tables.ended[row / tables.actions]);
    live.map(|row| {
        let log_q = &learned.log_probability[row * learned.outcomes..][..learned.outcomes];
        tables
            .transition
            .row(row)
            .filter(|(_, p)| *p > 0.0)
            .map(|(next, p)| p * (p.ln() - log_q[next]))
            .sum::<f64>()
    })
    .fold(0.0, f64::max)
}

#[test]
fn a_learned_table_comes_to_be_the_world() {
    let prior = "prior { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ world(s[t], a[t]) }";
    for world in ["table(s, a)", "mlp(s, a, hidden = [16])"] {
        let infer_block = "infer { trajectories = 256; steps = 300; optimizer = adam(rate = \
                           ramp(from = 0.1, to = 0)); seed = 1; threads = 1 }";
        let plan = line("", world, &format!("{prior} {LIKELIHOOD} {POSTERIOR} {infer_block}"));
        let run = infer(&plan, &mut ()).unwrap();
        let worst = worst_divergence(&plan, &run.parameters);
        assert!(worst < 0.01, "{world}: {worst} nats");
        // the term itself: minus the divergence of ten steps at the most
        let played = evaluate(&plan, &run.parameters, 5000, false, 3).unwrap();
        let term = plan.terms.iter().position(|term| term.name == "log_ratio(line)").unwrap();
        assert!(played.terms[term].abs() < 0.1, "{world}: {}", played.terms[term]);
    }
}

#[test]
fn a_hidden_world_is_learned_from_its_samples_and_the_policy_stays() {
    let prior = "prior { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }";
    let infer_block = "infer { maximize fit over world; trajectories = 256; steps = 300
        optimizer = adam(rate = ramp(from = 0.1, to = 0)); seed = 1; threads = 1 }";
    let plan = line(
        "hidden",
        "table(s, a)",
        &format!("bound fit {{ {prior} {LIKELIHOOD} {POSTERIOR} }} {infer_block}"),
    );
    let run = infer(&plan, &mut ()).unwrap();
    let worst = worst_divergence(&plan, &run.parameters);
    assert!(worst < 0.01, "{worst} nats");
    let policy = tabulate(&plan.model, &run.parameters, plan.last_draw().kernel).unwrap();
    assert!(
        policy.log_probability.iter().all(|log_p| (log_p + 2f64.ln()).abs() < 1e-6),
        "`pi` is not what is maximised"
    );
    assert!(
        plan.remarks.iter().any(|remark| remark.contains("up to the entropy")),
        "{:?}",
        plan.remarks
    );
}

#[test]
fn a_gaussian_world_reaches_the_likelihood_of_the_real_one() {
    let plan = planned(
        "model drift
         horizon T = 10
         hidden environment line {
           state  s : real
           action a : { left, right }
           s[1]   ~ Normal(mean = 0, sd = 1)
           s[t+1] ~ Normal(mean = 0.9 * s[t] + (if a[t] == right then 0.5 else -0.5), sd = 0.3)
         }
         kernel pi(a | s)        = Categorical(logits = linear(s))
         kernel world(s' | s, a) = Normal(mean = linear(s, a), sd = softplus(linear(s, a)) + 0.01)
         bound fit {
           prior      { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }
           posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], a[t]) }
         }
         infer { maximize fit over world; trajectories = 128; steps = 500; optimizer = adam(rate \
         = ramp(from = 0.05, to = 0)); threads = 1 }",
    );
    let run = infer(&plan, &mut ()).unwrap();
    let played = evaluate(&plan, &run.parameters, 5000, false, 3).unwrap();
    // ten times E[log N(x; 0, 0.3)]
    let real =
        -10.0 * (0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E).ln() + 0.3f64.ln());
    let lost = real - played.bound;
    assert!(
        lost.abs() < 4.0 * played.bound_se + 0.1,
        "{} ± {}, the real world's own is {real}",
        played.bound,
        played.bound_se
    );
}
