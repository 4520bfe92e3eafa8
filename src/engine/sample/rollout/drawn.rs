//! What is drawn before the action: the options of a step, and what networks read of earlier steps.

use super::Rollout;
use crate::engine::episode::values::Values;
use crate::engine::episode::variable::Variable;
use crate::engine::family::choice::Choice;
use crate::engine::network::plan::InputKind;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::options::Outputs;
use crate::engine::program::point::Point;
use crate::engine::program::stage::Stage;
use crate::engine::program::wired::{Feeds, Wired};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::ops::Range;
use std::sync::Arc;

impl<E: Number> Rollout<E> {
    /// What networks read of earlier steps.
    pub(in crate::engine) fn read_earlier(
        &mut self,
        (stage, wired, parameters): (&Stage<E>, &Wired, &[E]),
        t: usize,
        live: usize,
    ) {
        self.feeds.traced.resize_with(wired.traced.len(), Values::default);
        let drawn = |variable| match variable {
            Variable::Option(option) => &self.options[option].draws.numbers[..],
            Variable::Action
            | Variable::State
            | Variable::Observation
            | Variable::Reward(_)
            | Variable::End => &self.draws.numbers[..],
        };
        let origin = &self.work.origin[..live];
        for (&(variable, when, kind), values) in wired.traced.iter().zip(&mut self.feeds.traced) {
            values.clear();
            match kind {
                InputKind::Finite { size } => {
                    values.numbers.extend(origin.iter().map(|&trajectory| {
                        let of = (trajectory as usize, t, stage.horizon);
                        self.trace.number((variable, when), t, of, drawn).unwrap_or(size as u32)
                    }));
                }
                InputKind::Real { components } => {
                    values.columns.resize(components * live, Float::of(f64::NAN));
                    for (row, &trajectory) in origin.iter().enumerate() {
                        let of = (trajectory as usize, t, stage.horizon);
                        let read = self.trace.reals((variable, when), t, of, components);
                        for (component, &value) in read.unwrap_or(&[]).iter().enumerate() {
                            values.columns[component * live + row] = value;
                        }
                    }
                    wired.scale_earlier(variable, parameters, live, &mut values.columns);
                }
            }
        }
    }

    /// Draws each option in turn, each from what the network makes of the draws before it; then
    /// computes the rest of the network.
    pub(in crate::engine) fn draw_options(
        &mut self,
        stage: &Stage<E>,
        point: Point<E>,
        wired: &Wired,
        random: &mut Xoshiro256PlusPlus,
        rows: Range<usize>,
        (t, choice): (usize, Choice),
    ) -> Option<(usize, String)> {
        let live = rows.len();
        let mut broken = None;
        let origin = &self.work.origin[..live];
        for ((option, own), last) in
            stage.options.iter().zip(&self.options).zip(&mut self.feeds.last)
        {
            own.read_last(option, t, origin, last);
        }
        self.feeds.drawn.iter_mut().chain(&mut self.feeds.first).for_each(Values::clear);
        // one for each option, one for the action
        for pass in 0..=stage.options.len() {
            let network = Arc::get_mut(&mut self.network)
                .expect("rollout: the tape of the last gradient is gone");
            wired.feed(
                point.present,
                (&stage.world, &self.batch),
                live,
                &mut self.feeds,
                |inputs| {
                    wired.network.forward_pass(pass, point.present, inputs, rows.clone(), network);
                },
            );
            if let Some(option) = stage.options.get(pass) {
                let outputs = Outputs { wired, network: &self.network, rows: rows.clone() };
                let Feeds { drawn, last, first, .. } = &mut self.feeds;
                let buffers = (&mut self.work.uniforms, &mut drawn[pass]);
                self.options[pass].draw(
                    (option, pass),
                    outputs,
                    (t, choice, self.listed.as_ref()),
                    (origin, last),
                    random,
                    buffers,
                );
                self.options[pass].read_first(option, origin, &mut first[pass]);
                // what is drawn once is not drawn from later rows
                if !option.once || t == 1 {
                    let numbers =
                        &self.options[pass].numbers[rows.start * option.family.numbers()..];
                    let name = &stage.plan.model.kernel(stage.plan.options[pass].kernel).name;
                    let root = wired.outputs(&self.network, &wired.options[pass], &rows);
                    broken = broken.or_else(|| option.family.fault(name, numbers, root));
                }
            }
        }
        broken
    }
}
