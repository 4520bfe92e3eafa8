//! What is drawn apart from the draws of a step: rewards and ends in factors of their own, and what
//! first states read.

use super::Rollout;
use crate::engine::episode::values::Values;
use crate::engine::episode::variable::Variable;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::outcome::Stage;
use crate::engine::program::point::Point;
use crate::engine::program::points::EpisodeView;
use crate::engine::sample::episodes::Episodes;
use crate::engine::sample::fault::Arose;
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

    /// Draws what the first states read.
    pub(in crate::engine) fn draw_before_start(
        &mut self,
        program: &CompiledProgram<E>,
        parameters: &[E],
        random: &mut Xoshiro256PlusPlus,
    ) {
        let all = self.size();
        if program.before_start.is_empty() {
            return;
        }
        self.work.origin.iter_mut().zip(0..).for_each(|(origin, row)| *origin = row);
        let Rollout { episodes, feeds, work, .. } = self;
        let last = program.draws.iter().zip(&episodes.draws).zip(&mut feeds.last);
        last.for_each(|((of, drawn), last)| drawn.read_last(of, 1, &work.origin, last));
        for (number, (draw, of)) in program.before_start.iter().enumerate() {
            self.read_earlier((program, &of.binding, parameters), 1, all);
            let Rollout { episodes, batch, feeds, .. } = self;
            let own = &mut episodes.before_start[number];
            let mut values = Values::default();
            let into = (&mut *own, &mut values);
            of.precede((&program.world, batch), parameters, feeds, into, random);
            feeds.first[*draw].clone_from(&values);
            feeds.drawn[*draw] = values;
            let broken = own.broken.take();
            self.is_broken(broken, Arose::Kernel, 1);
        }
    }
}
