//! From a text to a bound: `cargo run --example 01_parse_and_bound`.
//!
//! A model is a prior, a likelihood and a posterior over trajectories, as lists of factors. Here
//! they differ in one factor, the action's, and that alone decides what the bound is.

use rlppl::{Overrides, Source, check, derive, parse};

/// A walk along a line of five cells; every step away from the right end costs 1.
const WALK: &str = "
model walk
horizon T = 5

environment line {
  state  s : 0..4
  action a : { left, right }
  reward r in [-1, 0]

  s[1]   ~ Delta(0)
  s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4))
  r[t]   = if s[t+1] == 4 then 0 else -1
}

kernel pi(a | s) = Categorical(logits = table(s))

prior      { s[1] ~ line.initial; a[t] ~ Uniform;  s[t+1] ~ line.transition(s[t], a[t]) }
likelihood { R[t] ~ exp(r[t]) }
posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], a[t]) }
";

fn main() -> Result<(), rlppl::Diagnostics> {
    // Text in, tree out: no meaning yet. All syntax errors are told at once.
    let file = parse(&Source::new("walk.rlmodel", WALK))?;
    println!("{} statements", file.items.len());

    // Tree in, meaning out: names, domains, widths, and that the three blocks fit together.
    let model = check(&file, &Overrides::default())?;
    println!(
        "`{}` has {} variables and a horizon of {}",
        model.name,
        model.variables.len(),
        model.horizon.value
    );

    // The factors of the world stand in prior and posterior alike and cancel; those of the action
    // pair into a divergence from the uniform policy, which is an entropy.
    let derivation = derive(&model)?;
    print!("{derivation}");

    // A mistake points at its place, and helps.
    let mistaken = WALK.replace("a[t] ~ pi(s[t])", "a[t] ~ po(s[t])");
    let found = parse(&Source::new("walk.rlmodel", mistaken))
        .and_then(|file| check(&file, &Overrides::default()));
    if let Err(found) = found {
        print!("\n{}", rlppl::diagnostic::render(&found, rlppl::diagnostic::Color::Plain));
    }
    Ok(())
}
