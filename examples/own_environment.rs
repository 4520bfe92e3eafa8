//! A simulator of one's own, trained and played: `cargo run --example own_environment`.
//!
//! The model file says what a pole on a cart shows, takes and pays; a Rust type says how it moves.
//! What is trained acts afterwards on a pole that rlppl knows nothing of.

use rlppl::engine::Metrics;
use rlppl::world::{ActionColumns, Failure, Frame, Space, Spec};
use rlppl::{
    Environment, Environments, Observer, Overrides, Random, Source, check, derive, infer, parse,
    plan_with,
};
use std::ops::ControlFlow;

const MODEL: &str = r#"
model balance
horizon T = 200

environment pole = rust("pole", push = 10) {
  state  s : { x: real, v: real, θ: real, ω: real }
  action a : { left, right }
  reward r in [0, 1]
}

kernel pi(a | s) = Categorical(logits = mlp(s, hidden = [32, 32]))

prior      { s[1] ~ pole.initial; a[t] ~ Uniform;  s[t+1] ~ pole.transition(s[t], a[t]) }
likelihood { R[t] ~ exp(r[t] - 1) }
posterior  { s[1] ~ pole.initial; a[t] ~ pi(s[t]); s[t+1] ~ pole.transition(s[t], a[t]) }

infer {
  trajectories = 32
  steps        = 60
  optimizer    = adam(rate = 0.01)
  baseline     = leave_one_out
  log_every    = 20
}
"#;

/// One pole on its cart (Barto, Sutton and Anderson 1983): metres, radians, seconds.
#[derive(Clone, Copy)]
struct Pole {
    x: f64,
    v: f64,
    angle: f64,
    spin: f64,
}

impl Pole {
    fn start(random: &mut Random) -> Pole {
        let mut near = || random.between(-0.05, 0.05);
        Pole { x: near(), v: near(), angle: near(), spin: near() }
    }

    /// A fiftieth of a second with this force, newtons.
    fn push(&mut self, force: f64) {
        let (sin, cos) = self.angle.sin_cos();
        let shove = (force + 0.05 * self.spin * self.spin * sin) / 1.1;
        let bend = (9.8 * sin - cos * shove) / (0.5 * (4.0 / 3.0 - 0.1 * cos * cos / 1.1));
        let slide = shove - 0.05 * bend * cos / 1.1;
        self.x += 0.02 * self.v;
        self.v += 0.02 * slide;
        self.angle += 0.02 * self.spin;
        self.spin += 0.02 * bend;
    }

    fn has_fallen(&self) -> bool {
        self.x.abs() > 2.4 || self.angle.abs() > 0.2095
    }

    fn components(&self) -> [f64; 4] {
        [self.x, self.v, self.angle, self.spin]
    }
}

/// Many poles, one a row.
struct Poles {
    force: f64,
    rows: Vec<Pole>,
}

impl Environment for Poles {
    fn spec(&self) -> Spec {
        Spec {
            state: vec![Space::REAL; 4],
            action: vec![Space::of(2)],
            rewards: 1,
            ..Spec::default()
        }
    }

    fn reset(&mut self, first: &mut Frame<'_>, random: &mut Random) -> Result<(), Failure> {
        self.rows = (0..first.capacity()).map(|_| Pole::start(random)).collect();
        for &row in first.rows() {
            first.write_state(row, &self.rows[row].components());
        }
        Ok(())
    }

    fn step(
        &mut self,
        actions: ActionColumns<'_>,
        next: &mut Frame<'_>,
        _: &mut Random,
    ) -> Result<(), Failure> {
        let right = actions.component(0);
        for &row in next.rows() {
            let pole = &mut self.rows[row];
            pole.push(if right[row] == 1.0 { self.force } else { -self.force });
            next.write_state(row, &pole.components());
            next.reward(0)[row] = 1.0;
            next.terminated()[row] = self.rows[row].has_fallen();
        }
        Ok(())
    }
}

/// Prints a line per logged step.
struct Printer;

impl Observer for Printer {
    fn step(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        println!("step {:3}: return {:6.1}", metrics.step, metrics.expected_return);
        ControlFlow::Continue(())
    }
}

/// The mean number of steps that a pole stands, and its standard error.
fn stands(
    episodes: u32,
    mut episode: impl FnMut(u64) -> Result<u32, rlppl::EngineError>,
) -> Result<(f64, f64), rlppl::EngineError> {
    let lengths = (0..episodes).map(|seed| Ok(f64::from(episode(u64::from(seed))?)));
    let lengths: Vec<f64> = lengths.collect::<Result<_, rlppl::EngineError>>()?;
    let count = f64::from(episodes);
    let mean = lengths.iter().sum::<f64>() / count;
    let squares: f64 = lengths.iter().map(|length| (length - mean).powi(2)).sum();
    Ok((mean, (squares / (count - 1.0) / count).sqrt()))
}

/// How long a pole stands that is pushed as `acts` says, right where that is true.
fn episode(
    seed: u64,
    mut acts: impl FnMut(&Pole, &mut Random) -> Result<bool, rlppl::EngineError>,
) -> Result<u32, rlppl::EngineError> {
    let mut random = Random::seeded(seed);
    let mut pole = Pole::start(&mut random);
    for step in 1..=200 {
        let right = acts(&pole, &mut random)?;
        pole.push(if right { 10.0 } else { -10.0 });
        if pole.has_fallen() {
            return Ok(step);
        }
    }
    Ok(200)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The file calls the environment by name, and may give it arguments.
    let environments = Environments::new().with_arguments("pole", &["push"], |arguments| {
        let force = arguments.get("push").unwrap_or(10.0);
        if force > 0.0 {
            Ok(Poles { force, rows: Vec::new() })
        } else {
            Err("`push` is a force to either side: above 0".into())
        }
    });
    let model = check(&parse(&Source::new("balance.rlmodel", MODEL))?, &Overrides::default())?;
    let plan = plan_with(&model, &derive(&model)?, &environments)?;
    let run = infer(&plan, &mut Printer)?;

    // What was trained acts by itself: it is told a state, and says what to do.
    let policy = run.policy(&plan)?;
    let trained = stands(50, |seed| {
        let mut memory = policy.memory();
        episode(seed, |pole, random| {
            let action = policy.act(&pole.components(), &mut memory, Some(random))?;
            Ok(action.components[0] == 1.0)
        })
    })?;
    let uniform = stands(50, |seed| episode(seed, |_, random| Ok(random.unit() < 0.5)))?;
    println!("trained: a pole stands for {:.1} ± {:.1} steps", trained.0, trained.1);
    println!("uniform: a pole stands for {:.1} ± {:.1} steps", uniform.0, uniform.1);
    assert!(trained.0 > uniform.0 + 4.0 * trained.1.hypot(uniform.1));
    Ok(())
}
