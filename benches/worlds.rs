//! Imagined steps per second: CartPole from a learned 64×64 model, beside CartPole itself with the
//! same policy; and a batch of Pendulum with its gradient, through its draws beside by scores. What
//! is compared is measured in turns within one run; the best turn counts.

use rlppl::engine::{self, Parameters};
use rlppl::model::{Overrides, check};
use rlppl::plan::{self, Plan};
use rlppl::source::Source;
use rlppl::{bound, syntax};
use std::path::Path;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EPISODES: usize = 2048;
const TURNS: usize = 5;
/// Turns of learning before anything is timed: episodes are then long.
const BEFORE: u64 = 30;
/// Gradient steps of a timed training.
const BATCHES: u64 = 100;

fn main() {
    let trained = trained();
    println!("{:8} {:44} {:>14}", "threads", "CartPole, 64×64 policy", "live steps");
    for threads in [1, 2] {
        let mut plan = trained.0.clone();
        plan.settings.threads = Some(threads);
        let mut real =
            plan.watched.first().expect("the model has a bound of the world itself").clone();
        real.settings.threads = Some(threads);
        let (mut imagined, mut of_world) = (0.0f64, 0.0f64);
        for _ in 0..TURNS {
            imagined = imagined.max(steps_per_second(&plan, &trained.1));
            of_world = of_world.max(steps_per_second(&real, &trained.1));
        }
        println!(
            "{threads:<8} {:44} {:>10.2} M/s",
            "imagined by a learned 64×64 model",
            imagined / 1e6
        );
        println!(
            "{threads:<8} {:44} {:>10.2} M/s   ratio {:.2}",
            "in the environment",
            of_world / 1e6,
            imagined / of_world
        );
    }

    println!("\n{:8} {:44} {:>14}", "threads", "Pendulum, 64×64 policy, 64 model", "trained steps");
    let [through, by_scores] = ["estimator = pathwise, ", "estimator = score, "].map(dreamed);
    for threads in [1, 2] {
        let (mut followed, mut scored) = (0.0f64, 0.0f64);
        for _ in 0..TURNS {
            followed = followed.max(trained_per_second(&through, threads));
            scored = scored.max(trained_per_second(&by_scores, threads));
        }
        println!("{threads:<8} {:44} {:>10.2} M/s", "by the scores of actions", scored / 1e6);
        println!(
            "{threads:<8} {:44} {:>10.2} M/s   ratio {:.2}",
            "through the draws",
            followed / 1e6,
            followed / scored
        );
    }
}

/// The bound that teaches a policy of Pendulum what the model imagines, alone.
fn dreamed(estimator: &str) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/world_pendulum.rlmodel");
    let text = std::fs::read_to_string(path)
        .expect("the model is there")
        .replace("estimator = pathwise, ", estimator);
    let file = syntax::parse(&Source::new("world_pendulum", text)).expect("it parses");
    let model = check(&file, &Overrides::default()).expect("it is well formed");
    let mut plan = plan::plan(&model, &bound::derive(&model).expect("it has bounds"))
        .expect("it can be trained");
    plan.earlier.clear();
    plan.watched.clear();
    (plan.settings.steps, plan.settings.shards) = (BATCHES, 2);
    plan
}

fn trained_per_second(plan: &Plan, threads: usize) -> f64 {
    let mut plan = plan.clone();
    plan.settings.threads = Some(threads);
    let start = Instant::now();
    engine::infer(&plan, &mut ()).expect("it trains");
    let steps = BATCHES as usize * plan.settings.trajectories * plan.model.horizon.value;
    steps as f64 / start.elapsed().as_secs_f64()
}

/// The model of the world and the policy, after some turns.
fn trained() -> (Plan, Parameters<f64>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/world_cartpole.rlmodel");
    let file = syntax::parse(&Source::read(&path).expect("the model is there")).expect("it parses");
    let model = check(&file, &Overrides::default()).expect("it is well formed");
    let mut plan = plan::plan(&model, &bound::derive(&model).expect("it has bounds"))
        .expect("it can be trained");
    plan.settings.steps = BEFORE * plan.per_turn;
    let run = engine::infer(&plan, &mut ()).expect("it trains");
    (plan, run.parameters)
}

fn steps_per_second(plan: &Plan, parameters: &Parameters<f64>) -> f64 {
    let start = Instant::now();
    let evaluation = engine::evaluate(plan, parameters, EPISODES, false, 1).expect("it runs");
    evaluation.env_steps as f64 / start.elapsed().as_secs_f64()
}
