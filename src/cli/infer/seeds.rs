//! Several seeds in one command: a run each, one after the other, and what they come to together.

use super::arguments::{Arguments, Seeds};
use super::signals;
use super::start::{self, Given};
use super::train::{self, Done};
use crate::cli::progress::{short, uncertain};
use crate::cli::{Failure, Format, console};
use serde::Serialize;

/// What became of the runs.
#[derive(Debug, Serialize)]
struct Outcome {
    model: String,
    runs: Vec<Done>,
    failed: Vec<Failed>,
    /// Seeds whose run was interrupted or never begun.
    not_done: Vec<u64>,
    /// All seeds, as they were asked for.
    #[serde(skip)]
    asked: Vec<u64>,
    /// Of each number apart, over the runs that came to their end; absent where none did.
    median: Option<Numbers>,
    min: Option<Numbers>,
    max: Option<Numbers>,
}

#[derive(Debug, Serialize)]
struct Failed {
    seed: u64,
    error: String,
}

/// The numbers that runs are compared by.
#[derive(Debug, Serialize)]
struct Numbers {
    /// Estimated from trajectories, nats.
    bound: f64,
    expected_return: f64,
    /// Of the oracle, nats, where the model is finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    exact_bound: Option<f64>,
    env_steps: f64,
    wall_seconds: f64,
}

/// Trains with each seed and prints the table. What can be known of all runs, those that go on
/// among them, is looked at before the first one begins.
pub fn run(arguments: &Arguments, all: &Seeds, given: Option<&Given>) -> Result<(), Failure> {
    let Seeds(seeds) = all;
    let mut name = String::new();
    for &seed in seeds {
        name = start::verify(arguments, given, seed).map_err(|failure| of_seed(seed, failure))?;
    }
    let (mut runs, mut failed, mut stopped) = (Vec::new(), Vec::new(), None);
    for (at, &seed) in seeds.iter().enumerate() {
        if signals::stop().is_asked() {
            stopped = Some((at, "interrupted".to_owned()));
            break;
        }
        if !arguments.quiet {
            console::note(&format!("seed {seed}"));
        }
        match start::start(arguments, given, Some(seed))
            .and_then(|start| train::train(arguments, start))
        {
            Ok(done) => runs.push(done),
            Err(Failure::Run(error) | Failure::Wrong(error) | Failure::Usage(error)) => {
                console::error(&format!("seed {seed}: {error}"));
                failed.push(Failed { seed, error });
            }
            Err(Failure::Interrupted(told)) => {
                stopped = Some((at, format!("seed {seed}: {told}")));
                break;
            }
            Err(failure) => return Err(failure),
        }
    }
    let not_done = stopped.as_ref().map_or(Vec::new(), |(at, _)| seeds[*at..].to_vec());
    let outcome = outcome((name, seeds), runs, failed, not_done);
    match arguments.format {
        Format::Text => console::result(&outcome.print())?,
        Format::Json => console::json(&outcome)?,
    }
    match stopped {
        Some((at, told)) => {
            let rest = seeds.get(at + 1).map_or(String::new(), |next| {
                format!("; seed {next} and those after it were not begun")
            });
            let again =
                again(arguments, all, at).map_or(String::new(), |again| format!("; {again}"));
            Err(Failure::Interrupted(told + &rest + &again))
        }
        None if outcome.failed.is_empty() => Ok(()),
        None => Err(Failure::Told(3)),
    }
}

/// The same failure, which says of which seed it is.
fn of_seed(seed: u64, failure: Failure) -> Failure {
    match failure {
        Failure::Usage(text) => Failure::Usage(format!("seed {seed}: {text}")),
        Failure::Wrong(text) => Failure::Wrong(format!("seed {seed}: {text}")),
        Failure::Run(text) => Failure::Run(format!("seed {seed}: {text}")),
        other => other,
    }
}

/// How the whole set is taken up again after the seed at `at` was interrupted, where that one alone
/// is not all of it.
fn again(arguments: &Arguments, all: &Seeds, at: usize) -> Option<String> {
    let mut words = vec!["rlppl infer".to_owned()];
    words.extend(arguments.file.iter().map(|file| quoted(&file.to_string_lossy())));
    words.extend(arguments.set.set.iter().map(|set| format!("--set {}", quoted(set))));
    words.extend(arguments.memory.is_ignored().then(|| "--ignore-memory".to_owned()));
    let out = arguments.out.as_ref().or(arguments.resume.as_ref().and_then(Option::as_ref));
    words.extend(out.map(|out| format!("--out {}", quoted(&out.to_string_lossy()))));
    let command = words.join(" ");
    match arguments.overwrite {
        // the folders of the others may still hold the runs that they were to replace
        true => match all.0.get(at + 1..) {
            Some(rest @ [_, ..]) => Some(format!(
                "`{command} --seeds {} --overwrite` begins those",
                Seeds(rest.to_vec())
            )),
            _ => None,
        },
        false => Some(format!("`{command} --seeds {all} --resume` goes on with all of them")),
    }
}

/// An argument as a shell reads it.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn outcome(
    (model, asked): (String, &[u64]),
    runs: Vec<Done>,
    failed: Vec<Failed>,
    not_done: Vec<u64>,
) -> Outcome {
    let numbers: Vec<Numbers> = runs.iter().map(Numbers::of).collect();
    let (median, min, max) = (
        over(&numbers, median),
        over(&numbers, |sorted| sorted[0]),
        over(&numbers, |sorted| sorted[sorted.len() - 1]),
    );
    Outcome { model, runs, failed, not_done, asked: asked.to_vec(), median, min, max }
}

/// One statistic of each number apart; none of no runs.
fn over(runs: &[Numbers], statistic: impl Fn(&[f64]) -> f64) -> Option<Numbers> {
    let of = |number: fn(&Numbers) -> Option<f64>| {
        let mut values: Vec<f64> = runs.iter().filter_map(number).collect();
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then(|| statistic(&values))
    };
    Some(Numbers {
        bound: of(|run| Some(run.bound))?,
        expected_return: of(|run| Some(run.expected_return))?,
        exact_bound: of(|run| run.exact_bound),
        env_steps: of(|run| Some(run.env_steps))?,
        wall_seconds: of(|run| Some(run.wall_seconds))?,
    })
}

/// The middle value, or the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

impl Numbers {
    fn of(Done { summary, .. }: &Done) -> Numbers {
        Numbers {
            bound: summary.bound,
            expected_return: summary.expected_return,
            exact_bound: summary
                .exact
                .as_ref()
                .and_then(|exact| exact.policy.as_ref())
                .map(|policy| policy.bound),
            env_steps: summary.env_steps as f64,
            wall_seconds: summary.wall_seconds,
        }
    }

    fn cells(
        &self,
        name: &str,
        bound: String,
        expected_return: String,
        folder: &str,
    ) -> [String; 7] {
        let exact = self.exact_bound.map_or("–".to_owned(), |bound| format!("{bound:.4}"));
        let (steps, seconds) = (short(self.env_steps), format!("{:.2}", self.wall_seconds));
        [name.to_owned(), bound, expected_return, exact, steps, seconds, folder.to_owned()]
    }
}

impl Outcome {
    /// A row for each seed, and below them the median and the spread from the least to the
    /// greatest.
    fn print(&self) -> String {
        let header =
            ["seed", "bound", "expected return", "exact bound", "env steps", "seconds", "folder"]
                .map(str::to_owned);
        let mut rows = vec![header];
        for seed in &self.asked {
            if let Some(done) = self.runs.iter().find(|done| done.summary.seed == *seed) {
                let summary = &done.summary;
                let bound = uncertain(summary.bound, summary.bound_se);
                let expected_return = uncertain(summary.expected_return, summary.return_se);
                rows.push(Numbers::of(done).cells(
                    &seed.to_string(),
                    bound,
                    expected_return,
                    &done.folder,
                ));
            } else if self.failed.iter().any(|failed| failed.seed == *seed) {
                rows.push([
                    seed.to_string(),
                    "failed".to_owned(),
                    "–".into(),
                    "–".into(),
                    "–".into(),
                    "–".into(),
                    String::new(),
                ]);
            }
        }
        for (name, numbers) in [("median", &self.median), ("min", &self.min), ("max", &self.max)] {
            if let Some(n) = numbers {
                rows.push(n.cells(
                    name,
                    format!("{:.4}", n.bound),
                    format!("{:.4}", n.expected_return),
                    "",
                ));
            }
        }
        let (done, all) =
            (self.runs.len(), self.runs.len() + self.failed.len() + self.not_done.len());
        // the reason lies in the model, so that all runs have the same
        let why = self.runs.iter().find_map(|done| done.why_not_exact.as_ref());
        let why = why.map_or(String::new(), |why| format!("no exact bounds: {why}\n"));
        format!(
            "{}: {done} of {all} seeds done; bounds in nats\n{}{why}",
            self.model,
            aligned(&rows)
        )
    }
}

/// Columns two spaces apart, numbers to the right, the last to the left.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).enumerate();
        let line: String = cells
            .map(
                |(at, (cell, width))| {
                    if at + 1 == N { cell.clone() } else { format!("{cell:>width$}  ") }
                },
            )
            .collect();
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_lists_are_seeds() {
        assert_eq!(Seeds::parse("1..5"), Ok(Seeds(vec![1, 2, 3, 4, 5])));
        assert_eq!(Seeds::parse("1,4,7"), Ok(Seeds(vec![1, 4, 7])));
        assert_eq!(Seeds::parse("8, 1..3"), Ok(Seeds(vec![8, 1, 2, 3])));
        assert_eq!(Seeds::parse("6..6"), Ok(Seeds(vec![6])));
    }

    #[test]
    fn seeds_are_shown_as_they_are_read() {
        for text in ["1..5", "1,4,7", "8,1..3", "6"] {
            assert_eq!(Seeds::parse(text).map(|seeds| seeds.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(
            [quoted("runs/a-1"), quoted("alpha=1 / 2"), quoted("it's")],
            ["runs/a-1", "'alpha=1 / 2'", "'it'\\''s'"]
        );
    }

    #[test]
    fn what_is_no_list_of_seeds_is_refused_in_words() {
        for (text, told) in [
            ("", "`` is not a seed"),
            ("1,", "`` is not a seed"),
            ("1..", "`` is not a seed"),
            ("a", "`a` is not a seed"),
            ("-1", "`-1` is not a seed"),
            ("1.5", "`1.5` is not a seed"),
            ("9007199254740992", "is not a seed"),
            (
                "5..1",
                "`5..1` is empty: a range goes from its least seed to its greatest, as `1..5`",
            ),
            ("1..3,2", "seed 2 is named twice"),
            ("0..9007199254740991", "more than 10000 seeds"),
            ("1..9999,10000,10001", "more than 10000 seeds"),
        ] {
            let refused = Seeds::parse(text).expect_err(text);
            assert!(refused.contains(told), "{text}: {refused}");
        }
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(
            (median(&[1.0, 2.0, 9.0]), median(&[1.0, 2.0, 4.0, 9.0]), median(&[3.0])),
            (2.0, 3.0, 3.0)
        );
    }
}
