//! Imagined steps per second: CartPole from a learned 64×64 model, beside CartPole itself with the same policy. Both are measured in turns within
//! one run; the best turn counts.

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

fn main() {
    let trained = trained();
    println!("{:8} {:44} {:>14}", "threads", "CartPole, 64×64 policy", "live steps");
    for threads in [1, 2] {
        let mut plan = trained.0.clone();
        plan.settings.threads = Some(threads);
        let mut real = plan.watched.first().expect("the model has a bound of the world itself").clone();
        real.settings.threads = Some(threads);
        let (mut imagined, mut of_world) = (0.0f64, 0.0f64);
        for _ in 0..TURNS {
            imagined = imagined.max(steps_per_second(&plan, &trained.1));
            of_world = of_world.max(steps_per_second(&real, &trained.1));
        }
        println!("{threads:<8} {:44} {:>10.2} M/s", "imagined by a learned 64×64 model", imagined / 1e6);
        println!("{threads:<8} {:44} {:>10.2} M/s   ratio {:.2}", "in the environment", of_world / 1e6, imagined / of_world);
    }
}

/// The model of the world and the policy, after some turns.
fn trained() -> (Plan, Parameters<f64>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/world_cartpole.rlmodel");
    let file = syntax::parse(&Source::read(&path).expect("the model is there")).expect("it parses");
    let model = check(&file, &Overrides::default()).expect("it is well formed");
    let mut plan = plan::plan(&model, &bound::derive(&model).expect("it has bounds")).expect("it can be trained");
    plan.settings.steps = BEFORE * plan.per_turn;
    let run = engine::infer(&plan, &mut ()).expect("it trains");
    (plan, run.parameters)
}

fn steps_per_second(plan: &Plan, parameters: &Parameters<f64>) -> f64 {
    let start = Instant::now();
    let evaluation = engine::evaluate(plan, parameters, EPISODES, false, 1).expect("it runs");
    evaluation.env_steps as f64 / start.elapsed().as_secs_f64()
}
