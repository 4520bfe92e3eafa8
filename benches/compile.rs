//! The compiler's speed: files of some hundred kernels and factors, parsed, checked and derived. A
//! file of 1 000 should take less than 80 ms, and twice as many twice as long; the table of ratios
//! after the benchmarks says how far that holds.

use divan::{Bencher, counter::ItemsCount};
use rlppl::model::Overrides;
use rlppl::source::Source;
use rlppl::{check, derive, parse};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Kernels and factors in a file.
const STATEMENTS: [usize; 4] = [250, 500, 1000, 2000];

fn main() {
    divan::main();
    // `cargo test --benches` only asks whether the benchmarks run
    if std::env::args().any(|argument| argument == "--bench") {
        ratios();
    }
}

#[divan::bench(args = STATEMENTS)]
fn many_bounds(bencher: Bencher, statements: usize) {
    let source = Source::new("bounds", bounds(statements));
    bencher.counter(ItemsCount::new(statements)).bench_local(|| compile(&source));
}

#[divan::bench(args = STATEMENTS)]
fn many_options(bencher: Bencher, statements: usize) {
    let source = Source::new("options", options(statements));
    bencher.counter(ItemsCount::new(statements)).bench_local(|| compile(&source));
}

/// Milliseconds of each stage in the fastest of 40 runs, and how many times longer the whole takes
/// than for half the statements.
fn ratios() {
    for (kind, text) in [("many bounds", bounds as fn(usize) -> String), ("many options", options)]
    {
        println!(
            "\n{kind:<14}{:>9}{:>9}{:>9}{:>9}   per doubling",
            "parse", "check", "derive", "ms"
        );
        let mut before = None;
        for statements in STATEMENTS {
            let source = Source::new(kind, text(statements));
            let runs = (0..40).map(|_| compile(&source));
            let fastest =
                runs.min_by_key(|stages| stages.iter().sum::<Duration>()).expect("40 runs");
            let stages = fastest.map(|time| 1e3 * time.as_secs_f64());
            let total: f64 = stages.iter().sum();
            let ratio =
                before.map_or(String::new(), |before: f64| format!("{:.2}", total / before));
            println!(
                "{statements:<14}{:>9.2}{:>9.2}{:>9.2}{total:>9.2}   {ratio}",
                stages[0], stages[1], stages[2]
            );
            before = Some(total);
        }
    }
}

/// Parses, checks and derives; how long each took.
fn compile(source: &Source) -> [Duration; 3] {
    let start = Instant::now();
    let file = parse(source).expect("the file parses");
    let parsed = start.elapsed();
    let model = check(&file, &Overrides::default()).expect("the file checks");
    let checked = start.elapsed();
    black_box(derive(&model).expect("the bounds are derived"));
    [parsed, checked - parsed, start.elapsed() - checked]
}

const ENVIRONMENT: &str = "
    model big
    horizon T = 5
    environment line {
      state s : 0..4; action a : { left, right }; reward r in [-1, 0]
      s[1] ~ Delta(0); s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4)); r[t] = if s[t+1] == 4 \
      then 0 else -1
    }
";

/// Eight statements a bound: a kernel and seven factors.
fn bounds(statements: usize) -> String {
    let (mut text, mut infer) = (ENVIRONMENT.to_owned(), String::new());
    for k in 0..statements / 8 {
        writeln!(
            text,
            "kernel pi{k}(a | s) = Categorical(logits = table(s))
             bound b{k} {{
               prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], \
               a[t]) }}
               likelihood {{ R[t] ~ exp(r[t]) }}
               posterior  {{ s[1] ~ line.initial; a[t] ~ pi{k}(s[t]); s[t+1] ~ \
               line.transition(s[t], a[t]) }}
             }}"
        )
        .expect("a string");
        writeln!(infer, "maximize b{k} over pi{k}").expect("a string");
    }
    format!("{text}infer {{ {infer} }}")
}

/// Three statements an option: a kernel, its prior and its posterior.
fn options(statements: usize) -> String {
    let (mut text, mut prior, mut posterior) =
        (ENVIRONMENT.to_owned(), String::new(), String::new());
    for k in 0..statements / 3 {
        writeln!(
            text,
            "option o{k} : 4\nkernel pick{k}(o{k} | s, last: o{k}?) = \
                        Categorical(logits = table(s, last))"
        )
        .expect("a string");
        writeln!(prior, "o{k}[t] ~ Uniform").expect("a string");
        writeln!(posterior, "o{k}[t] ~ pick{k}(s[t], o{k}[t-1])").expect("a string");
    }
    format!(
        "{text}
         kernel pi(a | s) = Categorical(logits = table(s))
         prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]); \
         {prior} }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], \
         a[t]); {posterior} }}"
    )
}
