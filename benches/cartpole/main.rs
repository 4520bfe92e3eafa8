//! Environment steps per second (live steps only) on CartPole with a 64×64 policy: the compiled model beside the same loop written by
//! hand. Each pair is measured in turns within one run, so that what else the machine does falls on both alike; the best turn counts.

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
    println!("{:8} {:8} {:>12} {:>12} {:>6}", "threads", "task", "compiled", "by hand", "ratio");
    for threads in [1, 2] {
        let plan = cartpole(threads);
        let trained = engine::infer(&plan, &mut ()).expect("CartPole trains");
        for (task, name) in [(Task::Rollout, "rollout"), (Task::Training, "training")] {
            let (mut compiled, mut reference) = (0.0f64, 0.0f64);
            for turn in 0..TURNS {
                compiled = compiled.max(match task {
                    Task::Rollout => rollout(&plan, &trained.parameters, threads, turn as u64),
                    Task::Training => training(&plan, &trained.checkpoint),
                });
                reference = reference.max(by_hand::steps_per_second(task, threads, ENVIRONMENTS, 500, 10));
            }
            let ratio = compiled / reference;
            println!("{threads:<8} {name:8} {:>8.2} M/s {:>8.2} M/s {ratio:>6.2}", compiled / 1e6, reference / 1e6);
        }
    }
}

/// The model of `models/`, with as many trajectories as the loop by hand has environments.
fn cartpole(threads: usize) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/cartpole.rlmodel");
    let file = syntax::parse(&Source::read(&path).expect("the model is there")).expect("it parses");
    let model = check(&file, &Overrides::default()).expect("it is well formed");
    let mut plan = plan::plan(&model, &bound::derive(&model).expect("it has a bound")).expect("it can be trained");
    plan.settings.trajectories = ENVIRONMENTS * threads;
    plan.settings.shards = threads;
    plan.settings.threads = Some(threads);
    plan.settings.steps = 40;
    plan
}

fn rollout(plan: &Plan, parameters: &engine::Parameters<f64>, threads: usize, seed: u64) -> f64 {
    let start = std::time::Instant::now();
    let played = engine::evaluate(plan, parameters, ENVIRONMENTS * threads * 10, false, seed).expect("it plays");
    played.env_steps as f64 / start.elapsed().as_secs_f64()
}

/// Ten more steps from where the policy already balances, as the loop by hand has full batches throughout.
fn training(plan: &Plan, checkpoint: &engine::Checkpoint) -> f64 {
    let mut longer = plan.clone();
    longer.settings.steps = checkpoint.step + 10;
    let run = engine::resume(&longer, checkpoint, &mut ()).expect("it trains");
    (run.env_steps - checkpoint.env_steps) as f64 / run.training_seconds
}
