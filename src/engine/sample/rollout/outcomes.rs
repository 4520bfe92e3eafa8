//! What is drawn apart from the draws of a step: rewards and ends in factors of their own.

use super::Rollout;
use crate::engine::episode::variable::Variable;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::outcome::Stage;
use crate::engine::program::point::Point;
use crate::engine::program::points::EpisodeView;
use crate::engine::sample::episodes::Episodes;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::ops::Range;

impl<E: Number> Rollout<E> {
    /// Draws the rewards and the ends of a stage of step `t`, and tells them to the batch once the
    /// step is made; the first row of what is no distribution, and what is wrong with it.
    pub(in crate::engine) fn draw_outcomes(
        &mut self,
        program: &CompiledProgram<E>,
        point: Point<E>,
        (t, rows): (usize, &Range<usize>),
        random: &mut Xoshiro256PlusPlus,
        stage: Stage,
    ) -> Option<(usize, String)> {
        if program.outcomes.is_empty() {
            return None;
        }
        let Rollout { episodes, batch, work, listed, .. } = self;
        let Episodes { rows: all, totals, trace, draws, outcomes, .. } = episodes;
        let origin = &work.origin[..rows.len()];
        // the step is lived
        origin.iter().for_each(|&trajectory| totals.lengths[trajectory as usize] = t as u32);
        for (of, own) in program.outcomes.iter().zip(outcomes) {
            let drawn_at = if of.ahead { Stage::Ahead } else { Stage::Behind };
            if stage == drawn_at {
                let lengths = &totals.lengths;
                let on = EpisodeView { rows: all, lengths, horizon: program.horizon, trace, draws };
                let at = ((t, origin), rows.clone());
                let broken = own.draw(of, point.present, &on, at, listed.as_ref(), random);
                if broken.is_some() {
                    return broken;
                }
            }
            let told = match stage {
                Stage::Ahead => false,
                Stage::Made => of.ahead,
                Stage::Behind => !of.ahead,
            };
            match of.variable {
                Variable::Reward(reward) => {
                    if stage == drawn_at {
                        trace.record_reward(&program.seen(), (reward, rows.start), &own.values);
                    }
                    if told {
                        batch.tell_reward(&program.world, reward, &own.values);
                    }
                }
                _ if told => batch.tell_end(&own.values),
                _ => {}
            }
        }
        None
    }
}
