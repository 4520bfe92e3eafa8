//! The oracle: exact answers on finite models. `cargo run --example 02_exact`.
//!
//! Everything is a sum over sparse tables in float64, so that whatever is trained can be held
//! against the truth.

use rlppl::finite::{KernelTable, KernelTables};
use rlppl::model::KernelId;
use rlppl::{BoundId, Overrides, Source, check, exact, parse, syntax};

const WALK: &str = "
model walk
param alpha = 1
horizon T = 5

environment line {
  state  s : 0..4
  action a : { left, right }
  reward r in [-1, 0]

  s[1]   ~ Delta(0)
  s[t+1] ~ Mixture(0.9: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4)), 0.1: Delta(s[t]))
  r[t]   = if s[t+1] == 4 then 0 else -1
}

kernel pi(a | s) = Categorical(logits = table(s))

prior      { s[1] ~ line.initial; a[t] ~ Uniform;  s[t+1] ~ line.transition(s[t], a[t]) }
likelihood { R[t] ~ exp(alpha * r[t]) }
posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], a[t]) }
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = parse(&Source::new("walk.rlmodel", WALK))?;

    println!("{:>6} {:>12} {:>12} {:>12}", "alpha", "log p(R̂)", "max L", "L(uniform)");
    for alpha in ["0.5", "1", "2", "4"] {
        // An override is an expression of the language, as `--set alpha=…` takes it.
        let overrides = Overrides {
            params: vec![("alpha".to_owned(), syntax::parse_expr(alpha, "alpha")?)],
            ..Overrides::default()
        };
        let model = check(&file, &overrides)?;

        // A policy is a table for each learned kernel: a row of log-probabilities for each value of
        // what it reads.
        let uniform = KernelTable::uniform(5, 2);
        let policy =
            KernelTables { current: [(KernelId(0), uniform)].into(), ..KernelTables::default() };

        let answers = exact(&model, BoundId(0), Some(&policy))?;
        let bound = answers.evaluation.as_ref().map_or(f64::NAN, |evaluation| evaluation.bound);
        println!(
            "{alpha:>6} {:>12.6} {:>12.6} {:>12.6}",
            answers.log_evidence, answers.best_bound, bound
        );

        // The bound is below the best bound, and that is below the evidence: the posterior has to
        // keep the world's chance.
        assert!(bound <= answers.best_bound && answers.best_bound <= answers.log_evidence);
    }
    Ok(())
}
