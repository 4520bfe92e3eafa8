//! What is seen of a run while it goes: a live line on a terminal, plain lines elsewhere.

use super::console;
use crate::engine::Metrics;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// Plain lines of a whole run, where standard error is not a terminal.
const LINES: u64 = 10;

pub struct Progress {
    steps: u64,
    shown: Shown,
}

enum Shown {
    Nothing,
    Live(ProgressBar),
    /// The step from which the next line is due.
    Lines {
        due: u64,
    },
}

impl Progress {
    /// Of a run of `steps` gradient steps that goes on after `done`.
    pub fn new(steps: u64, done: u64, quiet: bool) -> Progress {
        let shown = match (quiet, console::is_live()) {
            (true, _) => Shown::Nothing,
            (false, true) => Shown::Live(live(steps, done)),
            (false, false) => Shown::Lines { due: done + steps.div_ceil(LINES) },
        };
        Progress { steps, shown }
    }

    /// `steps_per_second` counts those of the environment and those that a model imagines.
    pub fn show(&mut self, metrics: &Metrics, steps_per_second: f64) {
        let rate = short(steps_per_second);
        let numbers = format!(
            "bound {:.4}  return {:.3}  entropy {:.3}  {rate} steps/s",
            metrics.bound, metrics.expected_return, metrics.entropy
        );
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Live(bar) => {
                bar.set_position(metrics.step);
                bar.set_message(numbers);
            }
            Shown::Lines { due } => {
                if metrics.step >= *due || metrics.step == self.steps {
                    *due = metrics.step + self.steps.div_ceil(LINES);
                    let width = self.steps.to_string().len();
                    console::note(&format!(
                        "step {:width$}/{}  {numbers}",
                        metrics.step, self.steps
                    ));
                }
            }
        }
    }

    pub fn end(&self) {
        match &self.shown {
            Shown::Live(bar) => bar.finish_and_clear(),
            Shown::Nothing | Shown::Lines { .. } => {}
        }
    }
}

fn live(steps: u64, done: u64) -> ProgressBar {
    let template = "{bar:20} {pos}/{len}  {msg}  {eta} left";
    let style = ProgressStyle::with_template(template)
        .expect("progress: the template is well-formed")
        .progress_chars("━╸─");
    let bar = ProgressBar::new(steps).with_style(style).with_position(done);
    bar.reset_eta();
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// `1.2 M`, `340 k`, `12`
pub fn short(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.1} M", n / 1e6),
        n if n >= 1e3 => format!("{:.0} k", n / 1e3),
        n => format!("{n:.0}"),
    }
}

/// What an estimate comes from.
pub fn sampled(imagined: bool) -> &'static str {
    if imagined { "imagined trajectories" } else { "trajectories" }
}

/// What a sampled bound is told in; `no_probability` says that it bounds none.
pub fn nats(up_to_entropy: bool, no_probability: bool) -> &'static str {
    match (up_to_entropy, no_probability) {
        (false, false) => "nats",
        (true, false) => "nats up to the entropy of the environment",
        (false, true) => "nats of an objective that bounds no probability",
        (true, true) => {
            "nats up to the entropy of the environment, of an objective that bounds no probability"
        }
    }
}

/// `-10.3087 ± 0.1868`; `-10.3087 ± –` where there are too few draws for an error.
pub fn uncertain(estimate: f64, standard_error: f64) -> String {
    if standard_error.is_nan() {
        format!("{estimate:.4} ± –")
    } else {
        format!("{estimate:.4} ± {standard_error:.4}")
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn rates_are_short() {
        assert_eq!([short(2_345_678.0), short(34_567.0), short(12.3)], ["2.3 M", "35 k", "12"]);
    }
}
