//! How the time and the memory of a gradient step grow with the trajectories of a batch, their
//! steps and the width of the networks: Pendulum, whose episodes never end, with a policy and a
//! baseline of two hidden layers, on one thread. Time and bytes follow `size ^ exponent`; the
//! exponents are fitted to what is printed above them. Those of the width lie between 1, what is
//! kept of each row, and 2, the weights.

use peak_alloc::PeakAlloc;
use rlppl::model::{Overrides, check};
use rlppl::plan::Plan;
use rlppl::source::Source;
use rlppl::{bound, engine, plan, syntax};
use std::path::Path;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Gradient steps of a run.
const STEPS: u64 = 8;
/// Runs, of which the fastest counts.
const TURNS: usize = 5;

/// A batch of some size.
#[derive(Clone, Copy)]
struct Size {
    trajectories: usize,
    horizon: usize,
    width: usize,
}

/// The usual size with one number changed.
type Vary = fn(usize) -> Size;

const USUAL: Size = Size { trajectories: 64, horizon: 200, width: 64 };

fn main() {
    let sizes: [(&str, [usize; 4], Vary); 3] = [
        ("trajectories", [32, 64, 128, 256], |trajectories| Size { trajectories, ..USUAL }),
        ("horizon", [100, 200, 400, 800], |horizon| Size { horizon, ..USUAL }),
        ("width", [32, 64, 128, 256], |width| Size { width, ..USUAL }),
    ];
    for (name, values, size) in sizes {
        println!("\n{name:14}{:>12}{:>12}", "ms a step", "MB");
        let measured = values.map(|value| (value, measure(size(value))));
        for (value, (seconds, bytes)) in measured {
            println!("{value:<14}{:>12.3}{:>12.2}", 1e3 * seconds, bytes / 1e6);
        }
        let exponent = |of: fn((f64, f64)) -> f64| {
            slope(measured.map(|(value, figures)| ((value as f64).ln(), of(figures).ln())))
        };
        println!(
            "{:14}{:>12.2}{:>12.2}",
            "exponent",
            exponent(|(seconds, _)| seconds),
            exponent(|(_, bytes)| bytes)
        );
    }
}

/// Seconds of a gradient step in the fastest run, and the most bytes that a run held.
fn measure(size: Size) -> (f64, f64) {
    let plan = pendulum(size);
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let seconds = (0..TURNS).map(|_| {
        engine::infer(&plan, &mut ()).expect("Pendulum trains").training_seconds / STEPS as f64
    });
    let fastest = seconds.fold(f64::INFINITY, f64::min);
    (fastest, (ALLOCATOR.peak_usage() - before) as f64)
}

fn pendulum(size: Size) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pendulum.rlmodel");
    let source = Source::read(&path).expect("the model is there");
    let hidden = format!("hidden = [{0}, {0}]", size.width);
    let text = source
        .text
        .replace("hidden = [64, 64]", &hidden)
        .replace("T = 200", &format!("T = {}", size.horizon));
    let file = syntax::parse(&Source::new("pendulum", text)).expect("it parses");
    let model = check(&file, &Overrides::default()).expect("it is well formed");
    let mut plan = plan::plan(&model, &bound::derive(&model).expect("it has a bound"))
        .expect("it can be trained");
    let settings = &mut plan.settings;
    (settings.trajectories, settings.shards, settings.threads) = (size.trajectories, 1, Some(1));
    (settings.epochs, settings.minibatch, settings.clip_ratio) = (1, None, None);
    (settings.steps, settings.rounds) = (STEPS, STEPS);
    plan
}

/// Of the least-squares line through some points.
fn slope(points: [(f64, f64); 4]) -> f64 {
    let mean =
        |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (mut above, mut below) = (0.0, 0.0);
    for point in points {
        above += (point.0 - x) * (point.1 - y);
        below += (point.0 - x) * (point.0 - x);
    }
    above / below
}
