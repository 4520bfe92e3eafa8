//! Environments that a Rust program brings, and trained policies that act in it, by the public
//! interface alone.

use rlppl::diagnostic::{Color, render};
use rlppl::engine::{self, EngineError, Metrics};
use rlppl::model::KernelId;
use rlppl::world::{ActionColumns, Failure, Frame, Space, Spec};
use rlppl::{
    Environment, Environments, Observer, Overrides, Parameters, Plan, Policy, Random, Source,
    check, derive, infer, parse, plan_with,
};
use std::ops::ControlFlow;

/// A walk of `length` cells that slips, seen through a number that is worth its cell and noise; it
/// ends at the last cell, and pays −1 for a step that does not reach it.
#[derive(Default)]
struct Walk {
    length: f64,
    cells: Vec<f64>,
    steps: usize,
    /// What goes wrong, and after how many resets and steps.
    fault: Option<(usize, usize, Wrong)>,
    resets: usize,
}

#[derive(Clone, Copy)]
enum Wrong {
    Fails,
    Strays,
    Pays,
    WritesNothing,
    CutsOff,
}

#[derive(Debug, thiserror::Error)]
#[error("the cable is out")]
struct Unplugged;

const SLIP: f64 = 0.2;

fn moved(cell: f64, right: bool, length: f64, random: &mut Random) -> f64 {
    let by = if right { 1.0 } else { -1.0 };
    if random.unit() < SLIP { cell } else { (cell + by).clamp(0.0, length - 1.0) }
}

impl Walk {
    fn new(length: f64) -> Walk {
        Walk { length, ..Walk::default() }
    }

    fn write(&self, frame: &mut Frame<'_>, random: &mut Random) {
        for &row in frame.rows() {
            let cell = self.cells[row];
            frame.write_state(row, &[cell]);
            frame.write_observation(row, &[cell + 0.1 * random.normal()]);
            frame.terminated()[row] = cell == self.length - 1.0;
        }
    }
}

impl Environment for Walk {
    fn spec(&self) -> Spec {
        Spec {
            state: vec![Space::Integer { lo: 0, hi: self.length as i64 - 1 }],
            observation: vec![Space::REAL],
            action: vec![Space::of(2)],
            rewards: 1,
        }
    }

    fn reset(&mut self, first: &mut Frame<'_>, random: &mut Random) -> Result<(), Failure> {
        self.cells = vec![0.0; first.capacity()];
        (self.steps, self.resets) = (0, self.resets + 1);
        self.write(first, random);
        Ok(())
    }

    fn step(
        &mut self,
        actions: ActionColumns<'_>,
        next: &mut Frame<'_>,
        random: &mut Random,
    ) -> Result<(), Failure> {
        self.steps += 1;
        for &row in next.rows() {
            let right = actions.component(0)[row] == 1.0;
            self.cells[row] = moved(self.cells[row], right, self.length, random);
            next.reward(0)[row] = if self.cells[row] == self.length - 1.0 { 0.0 } else { -1.0 };
        }
        self.write(next, random);
        let is_due = |&(resets, steps, _): &(usize, usize, Wrong)| {
            (self.resets, self.steps) == (resets, steps)
        };
        let row = next.rows().first().copied();
        match (self.fault.filter(is_due), row) {
            (Some((_, _, Wrong::Fails)), _) => return Err(Box::new(Unplugged)),
            (Some((_, _, Wrong::Strays)), Some(row)) => next.state(0)[row] = 7.0,
            (Some((_, _, Wrong::Pays)), Some(row)) => next.reward(0)[row] = 3.0,
            (Some((_, _, Wrong::WritesNothing)), Some(row)) => next.observation(0)[row] = f64::NAN,
            (Some((_, _, Wrong::CutsOff)), Some(row)) => next.truncated()[row] = true,
            (Some(_), None) | (None, _) => {}
        }
        Ok(())
    }
}

/// A walk of five cells, in the language or as `definition` says, with a policy and its blocks.
fn walk(definition: &str, policy: &str, infer: &str) -> String {
    let dynamics = match definition {
        "" => {
            "s[1] ~ Delta(0)
             s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4)), 0.2: Delta(s[t]))
             x[t] ~ Normal(mean = s[t], sd = 0.1)
             r[t] = if s[t+1] == 4 then 0 else -1
             end when s[t] == 4"
        }
        _ => "",
    };
    format!(
        "model walk
         horizon T = 12
         environment line {definition} {{
           state s : 0..4; action a : {{ left, right }}; observation x : real
           reward r in [-1, 0]
           {dynamics}
         }}
         {policy}
         likelihood {{ R[t] ~ exp(r[t]) }}
         infer {{ trajectories = 64; steps = 12; optimizer = adam(rate = 0.1); {infer} }}"
    )
}

/// A walk whose bounds say themselves what is likely.
fn without_likelihood(walk: &str) -> String {
    walk.replace("likelihood { R[t] ~ exp(r[t]) }\n         infer", "infer")
}

const RUST: &str = "= rust(\"walk\")";

const OF_THE_STATE: &str = "
    kernel pi(a | s, t) = Categorical(logits = table(s, t))
    prior { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }
    posterior { s[1] ~ line.initial; a[t] ~ pi(s[t], t); s[t+1] ~ line.transition(s[t], a[t]) }";

const OF_THE_OBSERVATION: &str = "
    kernel pi(a | x) = Categorical(logits = mlp(x, hidden = [8]))
    prior {
      s[1] ~ line.initial; x[t] ~ line.observation(s[t]); a[t] ~ Uniform
      s[t+1] ~ line.transition(s[t], a[t])
    }
    posterior {
      s[1] ~ line.initial; x[t] ~ line.observation(s[t]); a[t] ~ pi(x[t])
      s[t+1] ~ line.transition(s[t], a[t])
    }";

const OF_OPTIONS: &str = "
    option o : 3
    kernel pi(a | s, o) = Categorical(logits = table(s, o))
    kernel pick(o | s, last: o?) = Sticky(last, keep = sigmoid(linear(s)), fresh = \
                          Categorical(logits = table(s)))
    prior {
      s[1] ~ line.initial; o[t] ~ pick(s[t], o[t-1]); a[t] ~ Uniform
      s[t+1] ~ line.transition(s[t], a[t])
    }
    posterior {
      s[1] ~ line.initial; o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t])
      s[t+1] ~ line.transition(s[t], a[t])
    }";

const OF_THE_PAST: &str = "
    kernel pi(a | s, past: a[..]) = Categorical(logits = linear(s, gru(past, hidden = 4)))
    prior { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }
    posterior {
      s[1] ~ line.initial; a[t] ~ pi(s[t], a[..t-1]); s[t+1] ~ line.transition(s[t], a[t])
    }";

fn walks() -> Environments {
    Environments::new().with("walk", || Walk::new(5.0))
}

fn try_plan(text: &str, environments: &Environments) -> Result<Plan, String> {
    let shown = |found| render(&found, Color::Plain);
    let model = parse(&Source::new("walk.rlmodel", text))
        .and_then(|file| check(&file, &Overrides::default()))
        .unwrap_or_else(|found| panic!("{}", shown(found)));
    let derivation = derive(&model).unwrap_or_else(|found| panic!("{}", shown(found)));
    plan_with(&model, &derivation, environments).map_err(shown)
}

fn planned(text: &str) -> Plan {
    try_plan(text, &walks()).unwrap_or_else(|told| panic!("{told}"))
}

/// The message and the hint of a file that is refused, without its place.
fn refused(text: &str, environments: &Environments) -> Vec<String> {
    let told = try_plan(text, environments).unwrap_err();
    let said = told
        .lines()
        .map(str::trim)
        .filter_map(|line| line.strip_prefix("error[not-run]: ").or(line.strip_prefix("= help: ")));
    said.map(str::to_owned).collect()
}

/// The run of a walk in which something goes wrong at some step after so many resets.
fn broken(resets: usize, steps: usize, wrong: Wrong) -> EngineError {
    let environments = Environments::new()
        .with("walk", move || Walk { fault: Some((resets, steps, wrong)), ..Walk::new(5.0) });
    let text = walk(RUST, OF_THE_OBSERVATION, "threads = 1");
    let plan = try_plan(&text, &environments).unwrap_or_else(|told| panic!("{told}"));
    infer(&plan, &mut ()).unwrap_err()
}

fn are_alike(of: &str, (a, a_error): (f64, f64), (b, b_error): (f64, f64)) {
    let error = a_error.hypot(b_error);
    assert!((a - b).abs() < 4.0 * error, "{of}: {a} and {b}, standard error {error}");
}

#[test]
fn a_program_is_worth_what_the_same_environment_in_the_language_is() {
    for policy in [OF_THE_STATE, OF_THE_OBSERVATION, OF_OPTIONS, OF_THE_PAST] {
        let (written, outside) = (planned(&walk("", policy, "")), planned(&walk(RUST, policy, "")));
        let run = infer(&written, &mut ()).unwrap();
        let told = |plan| engine::evaluate(plan, &run.parameters, 4000, false, 5).unwrap();
        let (written, outside) = (told(&written), told(&outside));
        let bound = |of: &engine::Evaluation| (of.bound, of.bound_se);
        are_alike(policy, bound(&written), bound(&outside));
        let value = |of: &engine::Evaluation| (of.expected_return, of.return_se);
        are_alike(policy, value(&written), value(&outside));
        assert!(outside.lengths.iter().any(|length| *length < 12), "some walks arrive");
    }
}

#[test]
fn what_is_trained_outside_is_as_good_as_in_the_language() {
    let infer_block = "steps = 60; baseline = leave_one_out";
    let text = |definition| walk(definition, OF_THE_STATE, "").replace("steps = 12", infer_block);
    let trained = |definition| infer(&planned(&text(definition)), &mut ()).unwrap().evaluation;
    let (written, outside) = (trained(""), trained(RUST));
    are_alike("bound", (written.bound, written.bound_se), (outside.bound, outside.bound_se));
}

#[test]
fn threads_change_no_bit_of_a_run_outside() {
    for policy in [OF_THE_OBSERVATION, OF_OPTIONS] {
        let run = |threads: &str| infer(&planned(&walk(RUST, policy, threads)), &mut ()).unwrap();
        let (one, two) = (run("threads = 1"), run("threads = 2"));
        assert_eq!(one.parameters.values(), two.parameters.values());
        assert_eq!(one.evaluation, two.evaluation);
        assert_ne!(one.parameters.values(), run("seed = 1").parameters.values());
    }
}

/// Ends the run after some steps.
struct Until(u64);

impl Observer for Until {
    fn step(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        if metrics.step == self.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn a_run_outside_goes_on_to_the_same_bits() {
    let plan = planned(&walk(RUST, OF_THE_OBSERVATION, "log_every = 1"));
    let whole = infer(&plan, &mut ()).unwrap();
    let Err(EngineError::Interrupted { kept: Some(kept) }) = infer(&plan, &mut Until(5)) else {
        panic!("the observer ends it")
    };
    let resumed = engine::resume(&plan, &kept, &mut ()).unwrap();
    assert_eq!(whole.parameters.values(), resumed.parameters.values());
}

#[test]
fn an_error_of_the_environment_ends_the_run_with_what_was_good() {
    let error = broken(3, 2, Wrong::Fails);
    assert_eq!(
        error.to_string(),
        "step 3: `line` fails: the cable is out at t = 2; the parameters of step 2 are kept"
    );
    let EngineError::Environment { step: 3, failure, good: 2, kept } = error else {
        panic!("{error}")
    };
    assert!(failure.cause.unwrap().downcast_ref::<Unplugged>().is_some());
    let two_steps = walk(RUST, OF_THE_OBSERVATION, "").replace("steps = 12", "steps = 2");
    let good = infer(&planned(&two_steps), &mut ()).unwrap();
    assert_eq!(kept.values(), good.parameters.values());
}

#[test]
fn an_error_in_the_evaluation_names_it() {
    let environments = Environments::new()
        .with("walk", || Walk { fault: Some((1, 2, Wrong::Fails)), ..Walk::new(5.0) });
    let plan = try_plan(&walk(RUST, OF_THE_STATE, ""), &environments).unwrap();
    let parameters = Parameters::<f64>::initial(&plan.model, 0);
    let error = engine::evaluate(&plan, &parameters, 64, false, 0).unwrap_err();
    assert_eq!(error.to_string(), "`line` fails: the cable is out at t = 2");
    assert!(matches!(error, EngineError::EnvironmentPlayed { .. }));
}

#[test]
fn what_is_outside_its_domain_is_named_with_row_step_and_value() {
    let told = |wrong| broken(2, 3, wrong).to_string().replace('\n', " ");
    for (wrong, said) in [
        (Wrong::Strays, "step 2: `line` writes s = 7, which the file declares 0..4, in row "),
        (
            Wrong::Pays,
            "step 2: `line` writes r = 3, which the file declares real in [-1, 0], in row ",
        ),
        (
            Wrong::WritesNothing,
            "step 2: `line` writes no number as x, which the file declares real, in row ",
        ),
        (Wrong::CutsOff, "step 2: `line` cuts off, before the horizon of 12 steps, in row "),
    ] {
        let told = told(wrong);
        let rest = told.strip_prefix(said).unwrap_or_else(|| panic!("{told}"));
        let (row, rest) = rest.split_once(" at t = 3, s = ").unwrap_or_else(|| panic!("{told}"));
        assert!(row.parse::<usize>().is_ok(), "{told}");
        assert!(rest.contains("; the parameters of step 1 are kept hint: "), "{told}");
    }
}

#[test]
fn the_last_step_of_the_horizon_may_be_cut_off() {
    let environments = Environments::new()
        .with("walk", || Walk { fault: Some((1, 12, Wrong::CutsOff)), ..Walk::new(5.0) });
    let plan = try_plan(&walk(RUST, OF_THE_STATE, ""), &environments).unwrap();
    assert!(infer(&plan, &mut ()).is_ok());
}

#[test]
fn an_environment_that_nobody_registered_is_refused() {
    assert_eq!(
        refused(&walk(RUST, OF_THE_STATE, ""), &Environments::new()),
        ["`line` is an environment of a Rust program, and nobody has registered `walk`: \
             `plan_with` takes it, as `Environments::new().with(\"walk\", …)`"]
    );
    let gymnasium = walk("= gymnasium(\"Walk-v0\")", OF_THE_STATE, "");
    assert_eq!(
        refused(&gymnasium, &walks()),
        ["`line` is `Walk-v0` of Gymnasium, a program of Python, and rlppl starts none: it runs \
          what is written in the language, and programs of Rust"]
    );
}

#[test]
fn every_difference_to_what_the_file_declares_is_told() {
    let text = walk(RUST, OF_THE_STATE, "")
        .replace("state s : 0..4", "state s : 0..3")
        .replace("{ left, right }", "{ left, stay, right }")
        .replace("reward r in [-1, 0]", "reward r in [-1, 0]; reward more in [-1, 0]");
    assert_eq!(
        refused(&text, &walks()),
        [
            "`line` has 1 rewards, and the file declares 2",
            "`line` may write `s` of 0..4, and the file declares 0..3",
            "`line` takes `a` of 0..1, and the file declares 0..2",
        ]
    );
    let given = walk("= rust(\"walk\", length = 4)", OF_THE_STATE, "");
    assert_eq!(
        refused(&given, &walks()),
        ["`line` cannot be made: it takes no arguments, and is given `length`"]
    );
    let taken = Environments::new().with_arguments("walk", &["length"], |given| {
        Ok(Walk::new(given.get("length").unwrap_or(5.0)))
    });
    assert_eq!(
        refused(&walk("= rust(\"walk\", long = 4)", OF_THE_STATE, ""), &taken),
        ["`line` cannot be made: it is given `long`, and takes `length`"]
    );
    let shorter = try_plan(&given, &taken).unwrap();
    assert!(infer(&shorter, &mut ()).is_ok());
}

#[test]
fn no_learned_kernel_draws_the_states_of_an_outside_environment() {
    let policy = "
        kernel pi(a | s) = Categorical(logits = table(s))
        kernel world(s' | s, a) = Categorical(logits = table(s, a))
        bound learn {
          prior { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ world(s[t], a[t]) }
          posterior { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], a[t]) }
        }
        bound dream {
          prior { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }
          likelihood { R[t] ~ exp(r[t]) }
          posterior { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }
        }";
    let lines = "maximize learn over world; maximize dream over pi";
    let text = without_likelihood(&walk(RUST, policy, lines));
    assert_eq!(
        refused(&text, &walks()),
        [
            "`line` comes from outside: what it pays as `r` and when it ends only its own steps \
             say, and a learned kernel draws its states",
            "let kernels draw rewards and the end, too, in prior and posterior, as `s[t+1], r[t], \
             end[t] ~ world(s[t], a[t])`"
        ]
    );
}

/// A bound of what kernels imagine alone.
fn imagined(definition: &str, start: &str) -> String {
    let step = "s[t+1], r[t] ~ world(s[t], a[t]); end[t] ~ stops(s[t+1])";
    let text = walk(
        definition,
        &format!(
            "kernel begin(s) = Categorical(logits = linear(1))
             kernel pi(a | s) = Categorical(logits = table(s))
             kernel world(s', r | s, a) = {{
               s: Categorical(logits = table(s, a)),
               r: Normal(mean = -sigmoid(linear(s, a)), sd = 0.1)
             }}
             kernel stops(end | s) = Bernoulli(logits = linear(s))
             prior {{ s[1] ~ {start}; a[t] ~ Uniform; {step} }}
             posterior {{ s[1] ~ {start}; a[t] ~ pi(s[t]); {step} }}"
        ),
        "",
    );
    text.replace("exp(r[t])", "exp(clamp(r[t], -1, 0))")
}

#[test]
fn kernels_may_draw_all_that_an_outside_environment_would_say() {
    // nothing of the environment is needed where its start is drawn, too
    let written = imagined("", "begin")
        .replace("; observation x : real", "")
        .replace("x[t] ~ Normal(mean = s[t], sd = 0.1)", "")
        .replace("environment line", "hidden environment line")
        .replace("end when s[t] == 4", "");
    let told = |text: &str| infer(&planned(text), &mut ()).unwrap();
    let (outside, written) = (told(&imagined(RUST, "begin")), told(&written));
    assert_eq!(outside.parameters.values(), written.parameters.values());
    assert!(outside.imagined_steps > 0 && outside.env_steps == 0);
    // it may begin the episodes that are imagined: at cell 0
    let plan = planned(&imagined(RUST, "line.initial"));
    let own = planned(&imagined("", "line.initial").replace("end when s[t] == 4", ""));
    let values = |plan: &Plan| {
        let parameters = Parameters::<f64>::initial(&plan.model, 3);
        engine::evaluate(plan, &parameters, 20_000, false, 5).unwrap()
    };
    let (outside, written) = (values(&plan), values(&own));
    let apart = (outside.bound - written.bound).abs();
    assert!(apart < 4.0 * outside.bound_se.hypot(written.bound_se), "{apart}");
}

#[test]
fn what_only_an_outside_environment_s_own_steps_say_is_refused() {
    let starts = walk(RUST, OF_THE_STATE, "")
        .replace("kernel pi", "kernel begin(s) = Categorical(logits = linear(1))\n    kernel pi")
        .replace("s[1] ~ line.initial", "s[1] ~ begin");
    assert_eq!(
        refused(&starts, &walks()),
        ["`line` comes from outside: it starts by itself, and nothing puts it into a state \
             that a kernel has drawn"]
    );
    let ends = walk(RUST, OF_THE_STATE, "")
        .replace(
            "kernel pi",
            "kernel stops(end | s) = Bernoulli(logits = linear(s))\n    kernel pi",
        )
        .replace("s[t+1] ~", "end[t] ~ stops(s[t]); s[t+1] ~");
    assert_eq!(
        refused(&ends, &walks()),
        ["`line` comes from outside: where it has ended it makes no further step, whatever a \
          kernel draws of its end"]
    );
}

#[test]
fn a_model_of_an_outside_environment_is_learned() {
    let policy = "
        kernel pi(a | s) = Categorical(logits = table(s))
        kernel world(s' | s, a) = Categorical(logits = table(s, a))
        bound learn {
          prior { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }
          posterior { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], a[t]) }
        }";
    let text = without_likelihood(&walk(RUST, policy, "maximize learn over world"));
    let plan = planned(&text.replace("steps = 12", "steps = 150"));
    let run = infer(&plan, &mut ()).unwrap();
    let world = plan.model.kernels.iter().position(|kernel| kernel.name == "world").unwrap();
    let learned = engine::tabulate(&plan.model, &run.parameters, KernelId(world as u32)).unwrap();
    // from cell 1 to the right it slips with probability 0.2
    let row = learned.row(3);
    assert!(
        (row[1].exp() - SLIP).abs() < 0.1 && (row[2].exp() - 1.0 + SLIP).abs() < 0.1,
        "{row:?}"
    );
}

/// The return of a walk that a policy makes by itself.
fn played(policy: &Policy, sees_cell: bool, random: &mut Random) -> f64 {
    let mut memory = policy.memory();
    let (mut cell, mut sum) = (0.0, 0.0);
    for _ in 0..12 {
        let seen = if sees_cell { cell } else { cell + 0.1 * random.normal() };
        let action = policy.act(&[seen], &mut memory, Some(random)).unwrap();
        cell = moved(cell, action.components == [1.0], 5.0, random);
        if cell == 4.0 {
            break;
        }
        sum -= 1.0;
    }
    sum
}

#[test]
fn a_policy_that_acts_is_worth_what_its_evaluation_is() {
    for policy in [OF_THE_STATE, OF_THE_OBSERVATION, OF_OPTIONS, OF_THE_PAST] {
        let plan = planned(&walk("", policy, ""));
        let run = infer(&plan, &mut ()).unwrap();
        let acting = run.policy(&plan).unwrap();
        let mut random = Random::seeded(3);
        let sees_cell = plan.model.variable(acting.sees()).name == "s";
        let returns: Vec<f64> =
            (0..4000).map(|_| played(&acting, sees_cell, &mut random)).collect();
        let count = returns.len() as f64;
        let mean = returns.iter().sum::<f64>() / count;
        let squares: f64 = returns.iter().map(|x| (x - mean).powi(2)).sum();
        let told = engine::evaluate(&plan, &run.parameters, 4000, false, 5).unwrap();
        are_alike(
            policy,
            (mean, (squares / (count - 1.0) / count).sqrt()),
            (told.expected_return, told.return_se),
        );
    }
}

#[test]
fn a_policy_tells_the_probability_of_what_it_does() {
    let plan = planned(&walk("", OF_THE_STATE, ""));
    let run = infer(&plan, &mut ()).unwrap();
    let policy = run.policy(&plan).unwrap();
    let table = engine::tabulate(&plan.model, &run.parameters, KernelId(0)).unwrap();
    let (mut random, mut memory) = (Random::seeded(1), policy.memory());
    for t in 0..12 {
        for greedy in [false, true] {
            let cell = t % 4;
            // each step once with either: a memory counts them
            let mut other = policy.memory();
            (0..t).for_each(|_| drop(policy.act(&[0.0], &mut other, None).unwrap()));
            let of = if greedy { &mut other } else { &mut memory };
            let source = if greedy { None } else { Some(&mut random) };
            let action = policy.act(&[f64::from(cell)], of, source).unwrap();
            let row = table.row((cell * 12 + t) as usize);
            let chosen = action.components[0] as usize;
            assert!((action.log_probability - row[chosen]).abs() < 1e-12);
            assert!(!greedy || row[chosen] >= row[1 - chosen]);
        }
    }
    let told = policy.act(&[0.0], &mut memory, None).unwrap_err().to_string();
    assert_eq!(told, "the episode has had its 12 steps: the next one begins with a new memory");
    let told = |seen: &[f64]| policy.act(seen, &mut policy.memory(), None).unwrap_err().to_string();
    assert_eq!(told(&[7.0]), "s = 7 is not of its domain");
    assert_eq!(told(&[0.0, 1.0]), "`s` has 1 components, and the policy is told 2");
}

#[test]
fn a_policy_with_options_tells_them_and_keeps_them() {
    let plan = planned(&walk("", OF_OPTIONS, "").replace("sigmoid(linear(s))", "1"));
    let run = infer(&plan, &mut ()).unwrap();
    let policy = run.policy(&plan).unwrap();
    let (mut random, mut memory) = (Random::seeded(1), policy.memory());
    let mut options = Vec::new();
    for _ in 0..12 {
        let action = policy.act(&[1.0], &mut memory, Some(&mut random)).unwrap();
        let [(option, value)] = &action.options[..] else { panic!("one option") };
        assert_eq!(plan.model.variable(*option).name, "o");
        options.push(value[0]);
    }
    assert!(options.iter().all(|option| *option == options[0]), "{options:?}");
}

#[test]
fn a_policy_of_several_and_real_actions_tells_all_of_them() {
    let text = "
        model hands
        horizon T = 4
        environment hands {
          state s : real
          action go : { left, right }
          action push : { x: real in [-1, 1], y: real in [-1, 1] }
          reward r in [-9, 0]
          s[1] ~ Delta(0)
          s[t+1] ~ Delta(clamp(s[t] + (if go[t] == right then push[t].x else -push[t].y), -3, 3))
          r[t] = -s[t+1]^2
        }
        kernel choose(go | s) = Categorical(logits = linear(s))
        kernel shove(push | s, go) = TanhNormal(mean = linear(s, go), sd = softplus(linear(s)))
        prior {
          s[1] ~ hands.initial; go[t] ~ Uniform; push[t] ~ Uniform
          s[t+1] ~ hands.transition(s[t], go[t], push[t])
        }
        likelihood { R[t] ~ exp(r[t]) }
        posterior {
          s[1] ~ hands.initial; go[t] ~ choose(s[t]); push[t] ~ shove(s[t], go[t])
          s[t+1] ~ hands.transition(s[t], go[t], push[t])
        }
        infer { trajectories = 16; steps = 5; optimizer = adam(rate = 0.01) }";
    let plan = planned(text);
    let run = infer(&plan, &mut ()).unwrap();
    let policy = run.policy(&plan).unwrap();
    let (mut random, mut memory) = (Random::seeded(1), policy.memory());
    // it reads no time: an episode may be longer than the horizon
    for step in 0..9 {
        let action = policy.act(&[0.5], &mut memory, Some(&mut random)).unwrap();
        let [go, x, y] = action.components[..] else { panic!("{action:?}") };
        assert!(go == 0.0 || go == 1.0, "step {step}");
        assert!(x.abs() < 1.0 && y.abs() < 1.0 && action.log_probability.is_finite());
        assert!(action.options.is_empty());
    }
    let greedy = |memory: &mut engine::EpisodeMemory| policy.act(&[0.5], memory, None).unwrap();
    assert_eq!(greedy(&mut policy.memory()), greedy(&mut policy.memory()));
}
