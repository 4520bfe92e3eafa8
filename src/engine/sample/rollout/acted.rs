//! One step of one episode whose states somebody else tells: what is drawn, and nothing of what
//! follows.

use super::{Keep, Rollout};
use crate::engine::family::choice::Choice;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::point::Point;
use crate::engine::program::stage::Stage;
use crate::model::Domain;
use crate::world::Actions;
use rand_xoshiro::Xoshiro256PlusPlus;

/// What a step has drawn.
pub(in crate::engine) struct Drawn {
    /// The components of all actions, in the environment's order.
    pub action: Vec<f64>,
    /// By draw before the last, its components.
    pub before: Vec<Vec<f64>>,
    /// Of all that is drawn in the step; of squashed draws the density of what they became.
    pub log_prob: f64,
}

impl<E: Number> Rollout<E> {
    /// Begins an episode whose imagination is named by `stream`.
    pub fn begin_shown(&mut self, stage: &Stage<E>, stream: [u64; 3]) {
        self.fault = None;
        self.simulated.begin(stream);
        self.clear(stage);
    }

    /// Draws at step `t` of the only row, which is shown its state and its observation; nothing
    /// where a kernel has broken, which is the fault.
    pub fn act(
        &mut self,
        stage: &Stage<E>,
        point: Point<E>,
        (shown, t): ((&[f64], &[f64]), usize),
        choice: Choice,
        random: &mut Xoshiro256PlusPlus,
    ) -> Option<Drawn> {
        self.batch.show(&stage.world, shown, t);
        let keep = if stage.acting.traced.is_empty() { Keep::Nothing } else { Keep::Rows };
        let rows = self.decide(stage, point, random, t, (choice, keep))?;
        let row = rows.start;
        let actions = stage.family.actions(&self.draws, rows, &mut self.work.actions);
        if keep == Keep::Rows {
            self.trace.record_actions(actions, 1);
            for (at, option) in stage.options.iter().enumerate().filter(|(_, of)| of.width > 0) {
                self.trace.record_option(at, &self.feeds.drawn[at].columns[..option.width], 1);
            }
        }
        let (joint, joint_columns) = (&mut self.work.joint, &mut self.work.joint_columns);
        let done = match &stage.joint {
            Some(of) => of.actions(actions, &self.feeds.drawn, 1, (joint, joint_columns)),
            None => actions,
        };
        let model = &stage.plan.model;
        let environment = model.environment(stage.plan.environment);
        let before = stage.plan.options.iter().zip(&self.feeds.drawn).map(|(draw, drawn)| {
            let domain = &model.variable(draw.variable).domain;
            let value = match drawn.numbers.is_empty() {
                true => Actions::Columns { values: &drawn.columns, stride: 1 },
                false => Actions::Numbers(&drawn.numbers),
            };
            components(value, domain)
        });
        let log_probs = stage.options.iter().zip(&self.options).map(|(option, own)| {
            // what is drawn once has no density at a later step
            let is_drawn = !option.once || t == 1;
            let log_prob = || own.log_prob[row] + option.family.log_squash(&own.draws, row);
            if is_drawn { log_prob().as_f64() } else { 0.0 }
        });
        let last = self.log_prob[row] + stage.family.log_squash(&self.draws, row);
        Some(Drawn {
            action: components(done, &environment.joint_action(model)),
            before: before.collect(),
            log_prob: log_probs.sum::<f64>() + last.as_f64(),
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
