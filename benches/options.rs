//! Training with four options beside training without, in live environment steps per second. Each
//! pair is measured in turns within one run, so that what else the machine does falls on both
//! alike; the best turn counts.

use rlppl::engine;
use rlppl::model::{Overrides, check};
use rlppl::plan::Plan;
use rlppl::source::Source;
use rlppl::{bound, plan, syntax};
use std::path::Path;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TRAJECTORIES: usize = 128;
/// Batches that a policy is trained for before it is timed, and that are timed.
const BEFORE: u64 = 60;
const TIMED: u64 = 10;
const TURNS: usize = 5;

const PAIRS: [(&str, &str, &str); 3] = [
    ("CartPole, 64×64, a head for each option", "cartpole", "options_cartpole"),
    ("four rooms, tables", "four_rooms", "four_rooms_original"),
    ("four rooms, tables, reverse model", "four_rooms", "four_rooms_look_back"),
];

fn main() {
    println!("{:8} {:42} {:>12} {:>12} {:>6}", "threads", "model", "options", "none", "ratio");
    for threads in [1, 2] {
        for (name, without, with) in PAIRS {
            let [without, with] = [without, with].map(|model| Trained::new(model, threads));
            let (mut plain, mut options) = (0.0f64, 0.0f64);
            for _ in 0..TURNS {
                plain = plain.max(without.steps_per_second());
                options = options.max(with.steps_per_second());
            }
            println!(
                "{threads:<8} {name:42} {:>8.2} M/s {:>8.2} M/s {:>6.2}",
                options / 1e6,
                plain / 1e6,
                options / plain
            );
        }
    }
}

struct Trained {
    plan: Plan,
    run: engine::Run,
}

impl Trained {
    fn new(name: &str, threads: usize) -> Trained {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("models")
            .join(name)
            .with_extension("rlmodel");
        let file =
            syntax::parse(&Source::read(&path).expect("the model is there")).expect("it parses");
        let model = check(&file, &Overrides::default()).expect("it is well formed");
        let mut plan = plan::plan(&model, &bound::derive(&model).expect("it has a bound"))
            .expect("it can be trained");
        let settings = &mut plan.settings;
        (settings.trajectories, settings.shards, settings.threads, settings.steps) =
            (TRAJECTORIES, 4, Some(threads), BEFORE);
        let run = engine::infer(&plan, &mut ()).expect("it trains");
        Trained { plan, run }
    }

    /// From where the policy stands after the first batches.
    fn steps_per_second(&self) -> f64 {
        let (mut longer, checkpoint) = (self.plan.clone(), &self.run.checkpoint);
        longer.settings.steps = checkpoint.step + TIMED;
        let run = engine::resume(&longer, checkpoint, &mut ()).expect("it trains");
        (run.env_steps - checkpoint.env_steps) as f64 / run.training_seconds
    }
}
