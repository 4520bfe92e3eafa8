//! Checking a file is work in proportion to its size: eight times the text takes about eight times
//! as long, not sixty-four. Both are measured in one process, the shortest of several times each,
//! so that a busy machine changes nothing but the wait.

use rlppl::diagnostic::{Color, render, render_json};
use rlppl::model::{self, Overrides};
use rlppl::source::Source;
use rlppl::syntax;
use std::time::{Duration, Instant};

/// How much longer eight times the work may take: a work in n² would take 64 times as long.
const MOST: f64 = 24.0;

#[test]
fn diagnostics_are_told_in_proportion_to_the_text() {
    let text = |n: usize| {
        format!(
            "{}{}",
            (0..n).map(|k| format!("let unused{k} = {k}\n")).collect::<String>(),
            grid("0", "")
        )
    };
    let tell = |text: &str| {
        let source = Source::new("many", text);
        let file = syntax::parse(&source).expect("it parses");
        let model = model::check(&file, &Overrides::default()).expect("it is a model");
        let told = rlppl::diagnostic::Diagnostics { list: model.warnings, sources: model.sources };
        assert!(render(&told, Color::Plain).len() + render_json(&told).len() > text.len());
    };
    assert_growth("unused lets", &text(500), &text(4000), &tell);
}

/// A file may have one line, and each mistake two places that are far apart.
#[test]
fn diagnostics_on_one_line_are_told_in_proportion_to_it() {
    let unknown = |n: usize| {
        format!(
            "let all = [{}] {}",
            (0..n).map(|k| format!("z{k}")).collect::<Vec<_>>().join(","),
            grid("0", "")
        )
    };
    let twice = |n: usize| {
        let lets =
            (0..2).flat_map(|_| 0..n).map(|k| format!("let twice{k} = {k} ")).collect::<String>();
        lets + &grid("0", "")
    };
    let tell = |text: &str| {
        let file = syntax::parse(&Source::new("line", text)).expect("it parses");
        let told = model::check(&file, &Overrides::default()).expect_err("it is wrong");
        assert!(render(&told, Color::Plain).len() + render_json(&told).len() > text.len());
    };
    assert_growth("unknown names", &unknown(500), &unknown(4000), &tell);
    assert_growth("names given twice", &twice(500), &twice(4000), &tell);
}

#[test]
fn literals_are_looked_at_in_proportion_to_their_size() {
    let map = |n: usize| {
        let row = |y: usize| {
            format!("[{}]", (0..n).map(|x| (y * n + x).to_string()).collect::<Vec<_>>().join(", "))
        };
        format!("let map = [{}]\n", (0..n).map(row).collect::<Vec<_>>().join(", "))
    };
    let text =
        |n: usize| format!("{}{}", map(n), grid(&(n - 1).to_string(), "where map[y, x] >= 0"));
    let check = |text: &str| {
        let file = syntax::parse(&Source::new("map", text)).expect("it parses");
        model::check(&file, &Overrides::default()).expect("it is a model");
    };
    // 32² and 90² numbers
    assert_growth("a literal", &text(32), &text(90), &check);
}

fn assert_growth(what: &str, short: &str, long: &str, work: &dyn Fn(&str)) {
    let (short, long) = (shortest(short, work), shortest(long, work));
    let growth = long.as_secs_f64() / short.as_secs_f64();
    assert!(growth < MOST, "{what}: {growth:.1} times as long, {short:?} and {long:?}");
}

fn shortest(text: &str, work: &dyn Fn(&str)) -> Duration {
    let once = || {
        let start = Instant::now();
        work(text);
        start.elapsed()
    };
    (0..5).map(|_| once()).min().expect("five times")
}

/// A grid from 0 to `last` in both directions.
fn grid(last: &str, filter: &str) -> String {
    format!(
        "horizon T = 3
         environment e {{
           state s : {{ y: 0..{last}, x: 0..{last} }} {filter}
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1] ~ Delta({{ y: 0, x: 0 }})
           s[t+1] ~ Delta({{ y: s[t].y, x: clamp(s[t].x + 2 * a[t] - 1, 0, {last}) }})
           r[t] = -1
         }}
         kernel pi(a | s) = Categorical(logits = linear(s))
         prior {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior {{ s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ e.transition(s[t], a[t]) }}"
    )
}
