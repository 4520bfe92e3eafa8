//! The oracle's recursions beside what they cannot be faster than, and beside what one would write
//! instead: on a dense model of 10 million transitions reading its memory once a step, a loop by
//! hand, and NumPy; on a sparse one of a million, reading its memory. Everything is measured in
//! turns within one run, on one thread, so that what else the machine does falls on all alike; the
//! best turn counts.

mod by_hand;

use rlppl::exact::Oracle;
use rlppl::finite::{Environment, tabulate};
use rlppl::model::{EnvironmentId, Overrides};
use rlppl::source::Source;
use rlppl::{BoundId, Model, check, parse};
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HORIZON: usize = 100;
const TURNS: usize = 7;

fn main() {
    println!("best of {TURNS} turns of {HORIZON} steps, one thread\n");
    dense();
    for (states, actions) in [(10_000, 10), (50_000, 2)] {
        sparse(states, actions);
    }
}

/// A contestant: its name, and a turn, which answers with the number it computed.
type Contestant<'a> = (&'a str, Box<dyn FnMut() -> f64 + 'a>);

fn dense() {
    let (states, actions) = (1000, 10);
    let model = read(&dense_text(states, actions));
    let mut evidence = compile(
        &model,
        &format!(
            "dense, {states} states, {actions} actions: {} transitions",
            states * states * actions
        ),
    );
    let mut best = Oracle::new(&model, BoundId(0), None).expect("the model is finite");
    let table = tabulate(&model, EnvironmentId(0)).expect("the environment is finite");
    let p = &table.transition.probability;
    let reward = rewards(&table);
    let mut numpy = NumPy::start(&table, &reward);
    let mut contestants: Vec<Contestant> = vec![
        ("evidence", Box::new(|| evidence.log_evidence().expect("a number"))),
        ("best bound", Box::new(|| best.best_bound().expect("a number"))),
        (
            "reading p once a step",
            Box::new(|| (0..HORIZON).map(|_| by_hand::read(black_box(p))).sum()),
        ),
        (
            "best bound by hand",
            Box::new(|| by_hand::best_bound(p, &reward, states, actions, HORIZON)),
        ),
    ];
    if let Some(numpy) = &mut numpy {
        contestants.push(("best bound in NumPy", Box::new(|| numpy.turn())));
    }
    let results = run(contestants);
    let reference = results.last().expect("five contestants");
    print(&results, if numpy.is_some() { reference } else { &results[3] });
    for (name, _, value) in &results[3..] {
        let off = (value - results[1].2).abs();
        assert!(off < 1e-9 * value.abs(), "{name}: {value} instead of {}", results[1].2);
    }
    if numpy.is_none() {
        println!("  (NumPy is left out: `python3` with NumPy does not run here)");
    }
    println!();
}

fn sparse(states: usize, actions: usize) {
    let model = read(&sparse_text(states, actions));
    let table = tabulate(&model, EnvironmentId(0)).expect("the environment is finite");
    let matrix = &table.transition;
    let title =
        format!("sparse, {states} states, {actions} actions: {} transitions", matrix.column.len());
    let mut evidence = compile(&model, &title);
    let mut best = Oracle::new(&model, BoundId(0), None).expect("the model is finite");
    let results = run(vec![
        ("evidence", Box::new(|| evidence.log_evidence().expect("a number"))),
        ("best bound", Box::new(|| best.best_bound().expect("a number"))),
        (
            "reading in order",
            Box::new(|| {
                (0..HORIZON)
                    .map(|_| {
                        by_hand::read_in_order(
                            black_box(&matrix.probability),
                            black_box(&matrix.column),
                        )
                    })
                    .sum()
            }),
        ),
        (
            "reading in 16 lanes",
            Box::new(|| {
                let reading = |_| {
                    by_hand::read(black_box(&matrix.probability))
                        + by_hand::read_columns(black_box(&matrix.column))
                };
                (0..HORIZON).map(reading).sum()
            }),
        ),
    ]);
    print(&results, &results[3]);
    println!();
}

/// Times the turns of each, one after the other: name, seconds of the best, the number.
fn run(mut contestants: Vec<Contestant<'_>>) -> Vec<(String, f64, f64)> {
    let mut results: Vec<_> =
        contestants.iter().map(|(name, _)| ((*name).to_owned(), f64::INFINITY, 0.0)).collect();
    for _ in 0..TURNS {
        for ((_, seconds, value), (_, turn)) in results.iter_mut().zip(&mut contestants) {
            let start = Instant::now();
            *value = turn();
            *seconds = seconds.min(start.elapsed().as_secs_f64());
        }
    }
    results
}

fn print(results: &[(String, f64, f64)], reference: &(String, f64, f64)) {
    println!("  {:24}{:>12}   times `{}`", "", "ms a step", reference.0);
    for (name, seconds, _) in results {
        println!(
            "  {name:24}{:>12.3}   {:.2}",
            1e3 * seconds / HORIZON as f64,
            seconds / reference.1
        );
    }
}

fn read(text: &str) -> Model {
    let file = parse(&Source::new("bench", text)).expect("the model parses");
    check(&file, &Overrides::default()).expect("the model checks")
}

fn compile<'m>(model: &'m Model, title: &str) -> Oracle<'m> {
    let start = Instant::now();
    let oracle = Oracle::new(model, BoundId(0), None).expect("the model is finite");
    println!("{title}, compiled in {:.2} s", start.elapsed().as_secs_f64());
    oracle
}

/// The expected reward of each row.
fn rewards(table: &Environment) -> Vec<f64> {
    let matrix = &table.transition;
    let of_row = |bounds: &[usize]| {
        (bounds[0]..bounds[1])
            .map(|entry| matrix.probability[entry] * table.rewards[0][entry])
            .sum()
    };
    matrix.start.windows(2).map(of_row).collect()
}

/// `numpy.py` with the same table, waiting to be asked for a turn.
struct NumPy {
    program: Child,
    answers: BufReader<std::process::ChildStdout>,
    _folder: tempfile::TempDir,
}

impl NumPy {
    /// `None` where it does not run.
    fn start(table: &Environment, reward: &[f64]) -> Option<NumPy> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, numbers) in [("p", &table.transition.probability[..]), ("r", reward)] {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            std::fs::write(folder.path().join(name), bytes).expect("room for the table");
        }
        let mut program = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/oracle/numpy_loop.py"))
            .arg(folder.path())
            .args([table.states, table.actions, HORIZON].map(|n| n.to_string()))
            .envs(
                ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"]
                    .map(|name| (name, "1")),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let answers = BufReader::new(program.stdout.take()?);
        let mut numpy = NumPy { program, answers, _folder: folder };
        numpy.ask()?;
        Some(numpy)
    }

    fn turn(&mut self) -> f64 {
        self.ask().expect("NumPy answered before")
    }

    fn ask(&mut self) -> Option<f64> {
        self.program.stdin.as_mut()?.write_all(b"\n").ok()?;
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        line.trim().parse().ok()
    }
}

impl Drop for NumPy {
    fn drop(&mut self) {
        drop(self.program.stdin.take());
        // it ends with its input
        self.program.wait().ok();
    }
}

/// Every state can follow, with probabilities that look random.
fn dense_text(states: usize, actions: usize) -> String {
    let numbers: Vec<String> = (0..states).map(|k| k.to_string()).collect();
    let logits = format!(
        "3 * sin(0.37 * s[t] + 1.7 * a[t] + [{}] * (0.9 + 0.011 * s[t] + 0.13 * a[t]))",
        numbers.join(", ")
    );
    text(states, actions, &format!("Categorical(logits = {logits})"))
}

/// Ten states can follow, anywhere.
fn sparse_text(states: usize, actions: usize) -> String {
    let mut parts = String::new();
    for (k, weight) in
        [0.19, 0.17, 0.15, 0.13, 0.11, 0.09, 0.07, 0.05, 0.03, 0.01].into_iter().enumerate()
    {
        let hash =
            format!("floor(43758.5453 * (1 + sin(12.9898 * s[t] + 78.233 * a[t] + {k}.719)))");
        write!(parts, "{}{weight}: Delta(mod({hash}, {states}))", if k == 0 { "" } else { ", " })
            .expect("a string");
    }
    text(states, actions, &format!("Mixture({parts})"))
}

fn text(states: usize, actions: usize, transition: &str) -> String {
    format!(
        "model random
         horizon T = {HORIZON}
         environment random {{
           state  s : 0..{}
           action a : 0..{}
           reward r in [-1, 0]
           s[1]   ~ Uniform
           s[t+1] ~ {transition}
           r[t]   = 0.5 * sin(1.3 * s[t] + 2.1 * a[t]) - 0.5
         }}
         kernel pi(a | s) = Categorical(logits = table(s))
         prior      {{ s[1] ~ random.initial; a[t] ~ Uniform;  s[t+1] ~ random.transition(s[t], \
         a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior  {{ s[1] ~ random.initial; a[t] ~ pi(s[t]); s[t+1] ~ random.transition(s[t], \
         a[t]) }}",
        states - 1,
        actions - 1
    )
}
