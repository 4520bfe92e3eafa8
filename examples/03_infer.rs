//! Training, watched: `cargo run --example 03_infer`.
//!
//! `infer` runs a plan and tells an observer how it goes. The trained policy is held against the
//! oracle.

use rlppl::engine::{self, Metrics};
use rlppl::{BoundId, Observer, Overrides, Source, check, derive, exact, infer, parse, plan};
use std::ops::ControlFlow;

const WALK: &str = "
model walk
horizon T = 10

environment line {
  state  s : 0..4
  action a : { left, right }
  reward r in [-1, 0]

  s[1]   ~ Delta(0)
  s[t+1] ~ Mixture(0.9: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4)), 0.1: Delta(s[t]))
  r[t]   = if s[t+1] == 4 then 0 else -1
}

kernel pi(a | s, t) = Categorical(logits = table(s, t))

prior      { s[1] ~ line.initial; a[t] ~ Uniform;     s[t+1] ~ line.transition(s[t], a[t]) }
likelihood { R[t] ~ exp(r[t]) }
posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t], t); s[t+1] ~ line.transition(s[t], a[t]) }

infer { trajectories = 64; steps = 200; optimizer = adam(rate = 0.1); log_every = 40 }
";

/// Prints a line per logged step.
struct Printer;

impl Observer for Printer {
    fn step(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        println!(
            "step {:3}: bound {:8.4}, entropy {:.4}",
            metrics.step, metrics.bound, metrics.entropy
        );
        ControlFlow::Continue(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = check(&parse(&Source::new("walk.rlmodel", WALK))?, &Overrides::default())?;
    let plan = plan(&model, &derive(&model)?)?;
    print!("{plan}");

    let run = infer(&plan, &mut Printer)?;

    // The policy reads the time, so it can come as near to the best bound as it likes.
    let tables = engine::kernel_tables(&model, BoundId(0), &run.parameters, &run.parameters)?;
    let answers = exact(&model, BoundId(0), Some(&tables))?;
    let bound = answers.evaluation.as_ref().map_or(f64::NAN, |evaluation| evaluation.bound);
    println!("exact bound {bound:.4} of at most {:.4}", answers.best_bound);
    assert!(bound <= answers.best_bound);
    Ok(())
}
