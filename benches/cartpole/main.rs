//! Environment steps per second (live steps only) on CartPole with a 64×64 policy: the compiled
//! model beside the same loop written by hand. Each pair is measured in turns within one run, so
//! that what else the machine does falls on both alike; the best turn counts.

mod by_hand;

use by_hand::Task;
use rlppl::model::{Overrides, check};
use rlppl::plan::Plan;
use rlppl::source::Source;
use rlppl::{bound, engine, plan, syntax};
use std::path::Path;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Environments of each thread.
const ENVIRONMENTS: usize = 128;
const TURNS: usize = 5;

fn main() {
    println!("{:8} {:24} {:>12} {:>12} {:>6}", "threads", "task", "compiled", "by hand", "ratio");
    for threads in [1, 2] {
        let reinforce = trained(cartpole("cartpole", threads));
        let proximal = trained(cartpole("ppo_cartpole", threads));
        let tasks = [
            Task::Rollout,
            Task::Training,
            Task::Proximal { minibatch: 2048 },
            Task::Proximal { minibatch: 64 },
        ];
        for task in tasks {
            let (mut compiled, mut reference) = (0.0f64, 0.0f64);
            let batches = if matches!(task, Task::Proximal { .. }) { 3 } else { 10 };
            for turn in 0..TURNS {
                compiled = compiled.max(match task {
                    Task::Rollout => rollout(&reinforce, threads, turn as u64),
                    Task::Training => training(&reinforce, batches, None),
                    Task::Proximal { minibatch } => training(&proximal, batches, Some(minibatch)),
                });
                reference = reference.max(by_hand::steps_per_second(
                    task,
                    threads,
                    ENVIRONMENTS,
                    500,
                    batches as usize,
                ));
            }
            let name = match task {
                Task::Rollout => "rollout".to_owned(),
                Task::Training => "training".to_owned(),
                Task::Proximal { minibatch } => format!("PPO, minibatches of {minibatch}"),
            };
            let ratio = compiled / reference;
            println!(
                "{threads:<8} {name:24} {:>8.2} M/s {:>8.2} M/s {ratio:>6.2}",
                compiled / 1e6,
                reference / 1e6
            );
        }
    }
}

struct Trained {
    plan: Plan,
    run: engine::Run,
}

fn trained(plan: Plan) -> Trained {
    let run = engine::infer(&plan, &mut ()).expect("CartPole trains");
    Trained { plan, run }
}

/// A model of `models/`, with as many trajectories as the loop by hand has environments.
fn cartpole(name: &str, threads: usize) -> Plan {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name).with_extension("rlmodel");
    let file = syntax::parse(&Source::read(&path).expect("the model is there")).expect("it parses");
    let model = check(&file, &Overrides::default()).expect("it is well formed");
    let mut plan = plan::plan(&model, &bound::derive(&model).expect("it has a bound"))
        .expect("it can be trained");
    plan.settings.trajectories = ENVIRONMENTS * threads;
    plan.settings.shards = threads;
    plan.settings.threads = Some(threads);
    (plan.settings.steps, plan.settings.rounds) = (40, 40.min(plan.settings.rounds));
    plan
}

fn rollout(of: &Trained, threads: usize, seed: u64) -> f64 {
    let start = std::time::Instant::now();
    let played =
        engine::evaluate(&of.plan, &of.run.parameters, ENVIRONMENTS * threads * 10, false, seed)
            .expect("it plays");
    played.env_steps as f64 / start.elapsed().as_secs_f64()
}

/// More batches from where the policy already balances, as the loop by hand has full batches
/// throughout.
fn training(of: &Trained, batches: u64, minibatch: Option<usize>) -> f64 {
    let (mut longer, checkpoint) = (of.plan.clone(), &of.run.checkpoint);
    longer.settings.steps = checkpoint.step + batches;
    if longer.settings.rounds > 1 {
        longer.settings.rounds = longer.settings.steps;
    }
    longer.settings.minibatch = minibatch;
    let run = engine::resume(&longer, checkpoint, &mut ()).expect("it trains");
    (run.env_steps - checkpoint.env_steps) as f64 / run.training_seconds
}
