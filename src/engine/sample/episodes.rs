//! The trajectories of a shard as they were drawn: what gradients are taken from, wherever they
//! come from.
//!
//! Rows are live steps, all of `t = 1` first, then all of `t = 2`, …; a row of a list is that of
//! the same number in every other.

use crate::engine::episode::credit::Rows;
use crate::engine::episode::trace::Trace;
use crate::engine::network::forward::Activations;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::moments::Sums;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::density::DensityRows;
use crate::engine::program::draws::DrawRows;
use crate::engine::program::imagine::Imagined;
use crate::engine::program::outcome::OutcomeRows;
use crate::engine::program::point::Point;
use crate::engine::program::points::EpisodeView;
use crate::engine::program::ratio::RatioRows;
use crate::engine::program::simulation::Simulated;
use crate::engine::program::through::SlopeRows;
use crate::engine::sample::ledger::Ledger;
use std::sync::Arc;

pub(in crate::engine) struct Episodes<E> {
    /// Which rows there are, and what each trajectory counts.
    pub rows: Rows,
    /// By draw of a step.
    pub draws: Vec<DrawRows<E>>,
    /// What each row gives to the terms credited to its own draw, and to those credited to earlier
    /// draws only.
    pub here: Vec<E>,
    pub before: Vec<E>,
    /// Per trajectory, what its steps after the end give to credited terms.
    pub after: Vec<E>,
    pub network: Arc<Activations<E>>,
    pub densities: Vec<DensityRows<E>>,
    /// Of the states, rewards and ends whose score is taken.
    pub scored: Vec<DensityRows<E>>,
    pub ratios: Vec<RatioRows<E>>,
    /// By what draws states.
    pub states: Vec<Imagined<E>>,
    /// What was drawn before first states.
    pub before_start: Vec<Imagined<E>>,
    /// Rewards and ends that are drawn in factors of their own, in the program's order.
    pub outcomes: Vec<OutcomeRows<E>>,
    pub slopes: SlopeRows<E>,
    /// What kernels imagined before they drew.
    pub simulated: Simulated<E>,
    /// By gain, that of each row, where exponents read it when trajectories are whole.
    pub gains: Vec<Vec<E>>,
    /// The values of schedules in their batch.
    pub schedules: Vec<E>,
    pub ledger: Ledger<E>,
    pub trace: Trace<E>,
    /// Of the inputs that are normalised, over the rows kept.
    pub inputs: Sums,
    pub totals: Totals,
}

/// Sums over the trajectories of a shard.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Totals {
    /// Per term of the plan, with its sign.
    pub terms: Vec<f64>,
    pub entropy: f64,
    /// Per trajectory: the bound's sample, the sum of rewards, the live steps.
    pub bound: Vec<f64>,
    pub returns: Vec<f64>,
    /// Of an environment with several rewards, the sum of each, by reward and trajectory.
    pub rewards: Vec<Vec<f64>>,
    pub lengths: Vec<u32>,
}

impl<E: Number> Episodes<E> {
    /// Room for some trajectories.
    pub fn new(program: &CompiledProgram<E>, trajectories: usize) -> Episodes<E> {
        Episodes {
            rows: Rows::default(),
            draws: program.draws.iter().map(|of| DrawRows::new(of, trajectories)).collect(),
            here: Vec::new(),
            before: Vec::new(),
            after: vec![<E as Float>::ZERO; trajectories],
            network: Arc::new(Activations::default()),
            densities: program.densities.iter().map(|_| DensityRows::default()).collect(),
            scored: program.scored.iter().map(|_| DensityRows::default()).collect(),
            ratios: program.ratios.iter().map(|_| RatioRows::default()).collect(),
            states: program.states.iter().map(|_| Imagined::default()).collect(),
            before_start: program.before_start.iter().map(|_| Imagined::default()).collect(),
            outcomes: program.outcomes.iter().map(|_| OutcomeRows::default()).collect(),
            slopes: SlopeRows::new(&program.through, trajectories),
            gains: vec![Vec::new(); program.gains.len()],
            schedules: Vec::new(),
            simulated: Simulated::new(),
            ledger: Ledger::default(),
            trace: Trace::default(),
            inputs: Sums::default(),
            totals: Totals::default(),
        }
    }

    /// How many trajectories there are.
    pub fn size(&self) -> usize {
        self.after.len()
    }

    /// As kernels read them afterwards, where they were recorded.
    pub fn trajectories(&self, program: &CompiledProgram<E>) -> EpisodeView<'_, E> {
        let Episodes { rows, totals, trace, draws, .. } = self;
        EpisodeView { rows, lengths: &totals.lengths, horizon: program.horizon, trace, draws }
    }

    /// Evaluates the densities anew at `point`; what the trajectories gave stays.
    pub fn revalue_densities(&mut self, program: &CompiledProgram<E>, point: Point<E>) {
        let Episodes { rows, totals, trace, draws, densities, .. } = self;
        let on =
            EpisodeView { rows, lengths: &totals.lengths, horizon: program.horizon, trace, draws };
        program
            .densities
            .iter()
            .zip(densities)
            .for_each(|(density, out)| out.evaluate(density, point, &on));
    }

    /// Forgets them.
    pub fn clear(&mut self, program: &CompiledProgram<E>) {
        let trajectories = self.size();
        self.clear_rows();
        self.after.fill(<E as Float>::ZERO);
        let totals = &mut self.totals;
        self.inputs.clear(program.learning.scaled_components());
        totals.terms.clear();
        totals.terms.resize(program.terms.len(), 0.0);
        totals.entropy = 0.0;
        for list in [&mut totals.bound, &mut totals.returns] {
            list.clear();
            list.resize(trajectories, 0.0);
        }
        let several = if program.world.rewards() > 1 { program.world.rewards() } else { 0 };
        totals.rewards.resize_with(several, Vec::new);
        for list in &mut totals.rewards {
            list.clear();
            list.resize(trajectories, 0.0);
        }
        totals.lengths.clear();
        totals.lengths.resize(trajectories, 0);
        if program.keeps_ledger() {
            self.ledger.clear(program.terms.len());
            self.trace.clear(program.horizon, trajectories);
        }
    }

    /// Forgets their rows.
    pub fn clear_rows(&mut self) {
        self.rows.clear();
        self.here.clear();
        self.before.clear();
        self.draws.iter_mut().for_each(DrawRows::clear);
        self.densities.iter_mut().for_each(|density| density.written.clear());
        self.slopes.clear();
        self.gains.iter_mut().for_each(Vec::clear);
    }
}
