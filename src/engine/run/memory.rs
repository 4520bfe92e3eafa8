//! What a run will hold in memory, counted before anything of it is made.
//!
//! It is counted as if every trajectory lived to the horizon: episodes that end earlier hold less.
//! Lists that grow hold up to twice what is in them, half as much more in the mean. A test holds
//! the count against what was measured.

use crate::engine::error::EngineError;
use crate::engine::family::Family;
use crate::engine::fleet::crew::threads;
use crate::engine::network::plan::NetworkPlan;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::density::Density;
use crate::engine::program::draws::KlReference;
use crate::engine::run::evaluate::{SHARD, episodes_after_training};
use crate::model::{EnvironmentId, Model};
use crate::plan::{Plan, Precision};
use std::collections::BTreeMap;
use std::fmt;

/// What is counted, each with its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    pub parts: Vec<(&'static str, u64)>,
}

/// The numbers of a list that grew as they were added, and room beside them.
const GROWN: f64 = 1.5;
/// Of an index.
const INDEX: f64 = 4.0;
/// A checkpoint is kept and written in float64.
const WIDE: f64 = 8.0;

impl Memory {
    /// All together.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }

    fn of(parts: &[(&'static str, f64)]) -> Memory {
        // a cast saturates
        Memory {
            parts: parts
                .iter()
                .filter(|(_, bytes)| *bytes > 0.0)
                .map(|&(name, bytes)| (name, bytes as u64))
                .collect(),
        }
    }
}

/// `1.5 GB (trajectories 1.2 GB, parameters 0.3 GB)`
impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .parts
            .iter()
            .map(|(name, bytes)| format!("{name} {}", shown_bytes(*bytes)))
            .collect();
        write!(f, "{} ({})", shown_bytes(self.bytes()), parts.join(", "))
    }
}

/// A count of bytes with two digits or three: `640 kB`, `1.2 GB`.
pub fn shown_bytes(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let at =
        (0..units.len()).rfind(|&at| bytes as f64 >= 0.9995 * 1000f64.powi(at as i32)).unwrap_or(0);
    let value = bytes as f64 / 1000f64.powi(at as i32);
    let digits = usize::from(at > 0 && value < 99.5);
    format!("{value:.digits$} {}", units[at])
}

/// What training holds at its most.
///
/// # Errors
/// A construct that cannot run.
pub fn memory(plan: &Plan) -> Result<Memory, EngineError> {
    let number = number(plan);
    let (mut rows, mut tables, mut learning, mut batches) = (0.0, 0.0, 0.0, 0.0);
    let mut replays: BTreeMap<EnvironmentId, f64> = BTreeMap::new();
    let mut all = 0.0;
    for plan in plan.turns() {
        let program = CompiledProgram::<f32>::new(plan)?;
        let settings = &plan.settings;
        let of = Rows { program: &program, number };
        let (trajectories, shards, steps) =
            (settings.trajectories as f64, settings.shards as f64, program.horizon as f64);
        rows += trajectories * (steps * GROWN * of.row(true) + of.trajectory())
            + shards * steps * of.step();
        tables += program.world.bytes() as f64;
        all = numbers(plan);
        let trained = 2.0
            * (count(plan, &plan.trained)
                + count(plan, &plan.fitted)
                + count(plan, &plan.classified));
        // a gradient of each shard, their sum, what was good, the previous ones; then the memory of
        // the optimisers, and their copies in a checkpoint
        learning += number * (all * (shards + 3.0) + trained) + WIDE * (all + trained);
        // both sides of a pair, and what draws the model's
        for ratio in &program.ratios {
            let of_model = ratio.model.as_ref().map_or(0.0, |model| of.density(model));
            let pair = 2.0 * of.network(&ratio.network) + of_model;
            batches += settings.ratio_batch as f64 * pair;
        }
        if settings.refits > 0 {
            let of_step = program.densities.iter().filter(|density| density.is_of_step());
            let row: f64 = of_step.map(|density| of.density(density)).sum();
            batches += settings.refit_batch as f64 * row;
        }
        if program.imagination(false).is_some() || settings.refits > 0 {
            let width = (2 * program.world.state_width()
                + program.world.action_width()
                + program.world.rewards()
                + 2) as f64;
            replays.insert(plan.environment, settings.replay as f64 * width * number);
        }
    }
    // those that move, those that the run began with, and a checkpoint: kept, as bytes, and as a
    // file
    let parameters = all * (2.0 * number + 3.0 * WIDE);
    let evaluation =
        evaluation(plan, &CompiledProgram::<f32>::new(plan)?, episodes_after_training(plan));
    Ok(Memory::of(&[
        ("trajectories", rows.max(evaluation)),
        ("parameters", parameters),
        ("gradients and optimiser", learning),
        ("replay", replays.into_values().sum()),
        ("batches of classifiers and refits", batches),
        ("tables", tables),
    ]))
}

/// What `evaluate` holds at its most.
///
/// # Errors
/// A construct that cannot run.
pub fn memory_of_evaluation(plan: &Plan, episodes: usize) -> Result<Memory, EngineError> {
    let program = CompiledProgram::<f32>::new(plan)?;
    let parameters = numbers(plan) * (number(plan) + WIDE);
    Ok(Memory::of(&[
        ("trajectories", evaluation(plan, &program, episodes)),
        ("parameters", parameters),
        ("tables", program.world.bytes() as f64),
    ]))
}

/// What the parameters of a model take where a policy is evaluated exactly: two sets of them, and
/// their gradient.
pub fn memory_of_parameters(model: &Model) -> Memory {
    Memory::of(&[("parameters", 3.0 * WIDE * numbers_of(model))])
}

/// Shards come and go, one a thread; what each trajectory gave stays.
fn evaluation(plan: &Plan, program: &CompiledProgram<f32>, episodes: usize) -> f64 {
    let of = Rows { program, number: number(plan) };
    let kept = program.reads_trajectories();
    let steps = if kept { program.horizon as f64 } else { 1.0 };
    let at_once = (threads(plan) * SHARD).min(episodes.max(1)) as f64;
    at_once * (steps * GROWN * of.row(kept) + of.trajectory())
        + episodes as f64 * 2.0 * (2.0 * WIDE + INDEX)
}

/// Bytes of a number.
fn number(plan: &Plan) -> f64 {
    match plan.settings.precision {
        Precision::F32 => 4.0,
        Precision::F64 => 8.0,
    }
}

/// Numbers that can move.
fn numbers(plan: &Plan) -> f64 {
    numbers_of(&plan.model)
}

fn numbers_of(model: &Model) -> f64 {
    model
        .network
        .parameters
        .iter()
        .map(|parameter| parameter.rows as f64 * parameter.columns as f64)
        .sum()
}

fn count(plan: &Plan, of: &std::collections::BTreeSet<crate::model::ParameterId>) -> f64 {
    let of = of.iter().map(|id| &plan.model.network.parameters[id.0 as usize]);
    of.map(|parameter| parameter.rows as f64 * parameter.columns as f64).sum()
}

/// Bytes of what rollouts and gradients keep of a trajectory.
struct Rows<'a> {
    program: &'a CompiledProgram<'a, f32>,
    number: f64,
}

impl Rows<'_> {
    /// Of a live step; where nothing learns from it, of what acting needs.
    fn row(&self, learns: bool) -> f64 {
        let (program, number) = (self.program, self.number);
        let last = &program.draws[program.draws.len() - 1];
        let numbers = last.family.numbers() as f64 * number;
        let network = if learns { &program.learning.network } else { &program.acting.network };
        let mut bytes =
            INDEX + 3.0 * number + numbers + self.draw(&last.family) + self.network(network);
        if !matches!(last.reference, KlReference::None | KlReference::Present) {
            bytes += numbers;
        }
        for draw in &program.draws[..program.draws.len() - 1] {
            bytes += draw.family.numbers() as f64 * number + number + 2.0 * INDEX;
        }
        if !learns {
            return bytes;
        }
        // times and their order, values, and by draw the advantage, the target and the credit
        let draws = program.credited() as f64;
        bytes += 2.0 * INDEX + number + 3.0 * number * draws;
        // the tape of a gradient: log-probabilities and their slopes, and a list a head and a term
        bytes += 2.0 * numbers + 6.0 * number;
        if program.keeps_ledger() {
            let state = program.world.state_width()
                + program.world.observation_width()
                + program.world.action_width()
                + program.world.rewards();
            bytes += program.terms.len() as f64 * (2.0 * INDEX + number)
                + draws * number
                + state as f64 * number
                + 2.0 * INDEX;
        }
        for density in program
            .densities
            .iter()
            .chain(program.scored.iter().filter(|of| !of.once).map(|of| &of.density))
        {
            bytes += self.density(density);
        }
        for outcome in &program.outcomes {
            bytes += self.density(&outcome.density);
        }
        for ratio in &program.ratios {
            bytes += 2.0 * INDEX + self.network(&ratio.network);
        }
        if !program.summed.is_empty() {
            // pairs of what is drawn, with their densities
            let pairs = (program.draws[0].family.numbers() as f64).powi(2);
            bytes += pairs * (2.0 * INDEX + 4.0 * WIDE + 2.0 * number);
        }
        if program.is_pathwise() {
            let imagined = program
                .imagination(false)
                .map_or(0.0, |(_, imagined)| self.network(&imagined.binding.network));
            let previous: f64 = (0..program.draws.len())
                .filter_map(|draw| program.previous_of(draw))
                .map(|(binding, _)| self.network(&binding.network))
                .sum();
            // values, and their gradients
            bytes += 2.0 * imagined + previous + self.network(network);
            // slopes of gains, and of what whole trajectories are read for
            let gains: usize = program.gains.iter().map(|gain| gain.moved.len()).sum();
            let wholes: usize = program.through.wholes.iter().map(|(whole, _)| whole.width()).sum();
            bytes += (gains + wholes) as f64 * number;
        }
        let settings = &program.plan.settings;
        if settings.reuses_batches() {
            bytes +=
                (self.network(network) + 3.0 * numbers) / settings.minibatch.map_or(1.0, |_| 2.0);
        }
        bytes
    }

    /// Of a trajectory, whatever its length.
    fn trajectory(&self) -> f64 {
        let world = &self.program.world;
        let frame = (world.state_width() + world.observation_width() + world.rewards() + 1) as f64;
        let wholes: usize = self.program.wholes.iter().map(|whole| whole.width()).sum();
        let columns = 3.0 * frame + (world.action_width() + wholes) as f64 + 8.0;
        columns * self.number + 2.0 * WIDE + 6.0 * INDEX
    }

    /// Of a step of a shard: where its rows begin, and by draw the sums over them.
    fn step(&self) -> f64 {
        WIDE * (1.0 + 2.0 * self.program.credited() as f64)
    }

    fn density(&self, density: &Density) -> f64 {
        2.0 * INDEX
            + self.network(&density.network)
            + (density.family.numbers() as f64 + 3.0) * self.number
            + self.draw(&density.family)
    }

    fn draw(&self, family: &Family) -> f64 {
        if family.outcomes().is_some() { INDEX } else { family.numbers() as f64 * self.number }
    }

    fn network(&self, network: &NetworkPlan) -> f64 {
        let widths: usize = network.slots.iter().map(|slot| slot.width).sum();
        widths as f64 * self.number + network.columns.len() as f64 * INDEX
    }
}

#[cfg(test)]
mod tests {
    use super::shown_bytes;

    #[test]
    fn bytes_are_shown_with_two_digits_or_three() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (640_000, "640 kB"),
            (999_600, "1.0 MB"),
            (1_234_567_890, "1.2 GB"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(shown_bytes(bytes), shown);
        }
        assert_eq!(shown_bytes(u64::MAX), "18.4 EB");
    }
}
