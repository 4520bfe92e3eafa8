//! How far the policy is from its prior at the rows of a step.

use super::Rollout;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::point::Point;
use crate::engine::program::stage::{Anchor, Stage};
use crate::engine::program::wired::Wired;
use std::ops::Range;
use std::sync::Arc;

impl<E: Number> Rollout<E> {
    /// `KL(π ‖ p)` of each row, where the bound has that term.
    pub(in crate::engine) fn divergences(
        &mut self,
        stage: &Stage<E>,
        point: Point<E>,
        t: usize,
        rows: Range<usize>,
        wired: &Wired,
    ) {
        let live = rows.len();
        let width = stage.family.numbers();
        let first = self.anchor.len();
        let Rollout { batch, feeds, anchor, work, previous, policy, .. } = self;
        let policy = &policy[rows.start * width..rows.end * width];
        let prior = match (&stage.anchor, point.previous) {
            (Anchor::None, _) => return,
            (Anchor::Present, _) => {
                work.prior.resize(live * width, <E as Float>::ZERO);
                stage.family.describe(
                    wired.outputs(&self.network, &wired.prior, &rows),
                    &[],
                    &mut work.prior,
                );
                &work.prior[..]
            }
            (Anchor::PreviousPolicy, None) if stage.through.is_none() => {
                anchor.extend_from_slice(policy);
                &anchor[first..]
            }
            (Anchor::PreviousPolicy | Anchor::Previous(_), _) => {
                let wired =
                    stage.previous_prior().expect("rollout: the prior is one of the last round");
                let at = if stage.through.is_some() { rows.clone() } else { 0..live };
                let previous =
                    Arc::get_mut(previous).expect("rollout: the tape of the last gradient is gone");
                let parameters = point.previous.unwrap_or(point.present);
                wired.feed(parameters, (&stage.world, batch), live, feeds, |inputs| {
                    wired.network.forward(parameters, inputs, at.clone(), previous);
                });
                anchor.resize(first + live * width, <E as Float>::ZERO);
                stage.family.describe(
                    wired.outputs(previous, &wired.policy, &at),
                    &[],
                    &mut anchor[first..],
                );
                &anchor[first..]
            }
            (Anchor::Expressions(expressions), _) => {
                let Some(values) = &mut self.anchor_values else { return };
                expressions.read_before(&stage.world, batch, live, values);
                expressions.run(t, 0..live, values);
                anchor.resize(first + live * width, <E as Float>::ZERO);
                for (row, out) in anchor[first..].chunks_exact_mut(width).enumerate() {
                    out.iter_mut()
                        .enumerate()
                        .for_each(|(number, out)| *out = values.output(number)[row]);
                }
                &anchor[first..]
            }
        };
        stage.family.divergences(policy, prior, &mut work.divergence[..live]);
    }
}
