//! One step of one episode whose states somebody else tells: what is drawn, and nothing of what
//! follows.

use super::{Keep, Rollout};
use crate::engine::family::choice::Choice;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::point::Point;
use crate::engine::sample::episodes::Episodes;
use crate::model::Domain;
use crate::world::Actions;
use rand_xoshiro::Xoshiro256PlusPlus;

/// What a step has drawn.
pub(in crate::engine) struct Drawn {
    /// The components of all actions, in the environment's order.
    pub action: Vec<f64>,
    /// By draw, its components.
    pub each: Vec<Vec<f64>>,
    /// Of all that is drawn in the step; of squashed draws the density of what they became.
    pub log_prob: f64,
}

impl<E: Number> Rollout<E> {
    /// Begins an episode whose imagination is named by `stream`.
    pub fn begin_shown(&mut self, program: &CompiledProgram<E>, stream: [u64; 3]) {
        self.fault = None;
        self.episodes.simulated.begin(stream);
        self.episodes.clear(program);
    }

    /// Draws at step `t` of the only row, which is shown its state and its observation; nothing
    /// where a kernel has broken, which is the fault.
    pub fn act(
        &mut self,
        program: &CompiledProgram<E>,
        point: Point<E>,
        (shown, t): ((&[f64], &[f64]), usize),
        choice: Choice,
        random: &mut Xoshiro256PlusPlus,
    ) -> Option<Drawn> {
        self.batch.show(&program.world, shown, t);
        let reads_past = !program.acting.traced.is_empty() || program.imagines_elsewhere();
        let keep = if reads_past { Keep::Rows } else { Keep::Nothing };
        let rows = self.decide(program, point, random, t, (choice, keep))?;
        let row = rows.start;
        let Rollout { episodes: Episodes { draws, trace, .. }, feeds, work, .. } = self;
        if keep == Keep::Rows {
            let real = program.draws.iter().enumerate().filter(|(_, of)| of.width > 0);
            real.for_each(|(at, _)| trace.record_drawn(at, &feeds.drawn[at].columns, 1));
        }
        let drawn = |at: usize| draws[at].taken(&program.draws[at], rows.clone(), &feeds.drawn[at]);
        let done = program.joint.actions(drawn, 1, &mut work.joint);
        let model = &program.plan.model;
        let environment = model.environment(program.plan.environment);
        let each = program
            .plan
            .draws
            .iter()
            .enumerate()
            .map(|(at, draw)| components(drawn(at), &model.variable(draw.variable).domain));
        let log_probs = program.draws.iter().zip(draws.iter()).map(|(of, own)| {
            // what is drawn once has no density at a later step
            let log_prob = || own.log_prob[row] + of.family.log_squash(&own.draws, row);
            if of.is_drawn_at(t) { log_prob().as_f64() } else { 0.0 }
        });
        Some(Drawn {
            action: components(done, &environment.joint_action(model)),
            each: each.collect(),
            log_prob: log_probs.sum(),
        })
    }
}

/// The components of the only row.
fn components<E: Number>(drawn: Actions<E>, domain: &Domain) -> Vec<f64> {
    match (drawn, &domain.finite) {
        (Actions::Numbers(numbers), Some(finite)) => {
            let mut value = vec![0.0; domain.width()];
            finite.value(numbers[0] as usize, &mut value);
            value
        }
        (Actions::Numbers(_), None) => Vec::new(),
        (Actions::Columns { values, .. }, _) => values.iter().map(|x| Float::as_f64(*x)).collect(),
    }
}
