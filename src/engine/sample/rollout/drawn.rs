//! What a step draws, and what networks read of earlier steps.

use super::Rollout;
use crate::engine::episode::trace::Trace;
use crate::engine::episode::values::Values;
use crate::engine::episode::variable::Variable;
use crate::engine::family::choice::Choice;
use crate::engine::network::plan::InputKind;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::binding::{Feeds, InputBinding};
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::draws::{DrawRows, Known, Outputs};
use crate::engine::program::point::Point;
use crate::engine::sample::episodes::Episodes;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::ops::Range;
use std::sync::Arc;

impl<E: Number> Rollout<E> {
    /// What networks read of earlier steps.
    pub(in crate::engine) fn read_earlier(
        &mut self,
        (program, binding, parameters): (&CompiledProgram<E>, &InputBinding, &[E]),
        t: usize,
        live: usize,
    ) {
        self.feeds.traced.resize_with(binding.traced.len(), Values::default);
        let drawn = |draw: usize| &self.episodes.draws[draw].draws.numbers[..];
        let origin = &self.work.origin[..live];
        for (&(variable, when, kind, begins), values) in
            binding.traced.iter().zip(&mut self.feeds.traced)
        {
            values.clear();
            // what the first step does not draw sees zeros there
            let is_nothing = begins && t == 1;
            match kind {
                InputKind::Finite { .. } if is_nothing => values.numbers.resize(live, 0),
                InputKind::Real { components } if is_nothing => {
                    values.columns.resize(components * live, <E as Float>::ZERO);
                }
                InputKind::Finite { size } => {
                    values.numbers.extend(origin.iter().map(|&trajectory| {
                        let of = (trajectory as usize, t, program.horizon);
                        self.episodes
                            .trace
                            .number((variable, when), t, of, drawn)
                            .unwrap_or(size as u32)
                    }));
                }
                InputKind::Real { components } => {
                    values.columns.resize(components * live, Float::of(f64::NAN));
                    for (row, &trajectory) in origin.iter().enumerate() {
                        let of = (trajectory as usize, t, program.horizon);
                        let read = self.episodes.trace.reals((variable, when), t, of, components);
                        for (component, &value) in read.unwrap_or(&[]).iter().enumerate() {
                            values.columns[component * live + row] = value;
                        }
                    }
                    binding.scale_earlier(variable, parameters, live, &mut values.columns);
                }
            }
        }
    }

    /// Draws each variable in turn, and what kernels imagine before, from what the network makes of
    /// the draws before it; the first row of what is no distribution, and what is wrong with it.
    pub(in crate::engine) fn draw_step(
        &mut self,
        program: &CompiledProgram<E>,
        point: Point<E>,
        binding: &InputBinding,
        random: &mut Xoshiro256PlusPlus,
        (rows, kept): (Range<usize>, Option<usize>),
        (t, choice): (usize, Choice),
    ) -> Option<(usize, String)> {
        let live = rows.len();
        let Rollout { episodes, feeds, batch, work, listed, .. } = self;
        let Episodes { draws, network, simulated, trace, before_start, .. } = episodes;
        let origin = &work.origin[..live];
        // a draw that is alone reads the last one where it may stay there
        if program.draws.len() > 1 || program.draws[0].stays_at.is_some() {
            let all = program.draws.iter().zip(&*draws).zip(&mut feeds.last);
            all.for_each(|((of, drawn), last)| drawn.read_last(of, t, origin, last));
            feeds.drawn.iter_mut().chain(&mut feeds.first).for_each(Values::clear);
        }
        let computed =
            Arc::get_mut(network).expect("rollout: the tape of the last gradient is gone");
        binding.network.draw_noise(rows.clone(), random, computed);
        for (number, of) in program.draws.iter().enumerate() {
            if number == 0 || program.simulators.iter().any(|simulator| simulator.after == number) {
                if program.imagines_elsewhere() {
                    read_starts(program, (draws, trace), (t, number, origin), feeds);
                }
                simulated.draw(
                    (&program.simulators, number),
                    point,
                    (&program.world, batch),
                    (&feeds.starts, kept),
                    &mut feeds.simulated,
                );
            }
            let (earlier, drawn) = draws.split_at_mut(number);
            let drawn = &mut drawn[0];
            let computed =
                Arc::get_mut(network).expect("rollout: the tape of the last gradient is gone");
            binding.feed(point.present, (&program.world, batch), live, feeds, |inputs| {
                if program.draws.len() == 1 {
                    binding.network.forward(point.present, inputs, rows.clone(), computed);
                } else {
                    let (of, rows) = (point.present, rows.clone());
                    binding.network.forward_pass(number, of, inputs, rows, computed);
                }
            });
            let outputs = Outputs { binding, network: computed, rows: rows.clone() };
            let name = &program.plan.model.kernel(program.plan.draws[number].kernel).name;
            let broken = drawn.describe((of, number, name), &outputs, (t, &feeds.last));
            if broken.is_some() {
                return broken;
            }
            let (before, here) = feeds.drawn.split_at_mut(number);
            let begun = of.begins.filter(|_| t < of.from).map(|at| (&earlier[at], &before[at]));
            let buffers = (&mut work.uniforms, &mut here[0]);
            let made = program.before_start.iter().position(|(draw, _)| *draw == number);
            let made = made.filter(|_| t == 1).and_then(|at| before_start.get(at));
            let known = match listed {
                Some(listed) => Some(Known::Listed(listed)),
                None => made.map(|made| Known::Made(&made.drawn)),
            };
            let how = (t, choice, known);
            drawn.draw((of, number, begun), rows.clone(), how, origin, random, buffers);
            if of.shared {
                drawn.read_first(of, origin, &mut feeds.first[number]);
            }
        }
        None
    }
}

/// The states that rollouts start from which begin once `after` draws of step `t` are made. What a
/// first step has nothing to begin with starts from zeros, and is not read there.
fn read_starts<E: Number>(
    program: &CompiledProgram<E>,
    (draws, trace): (&[DrawRows<E>], &Trace<E>),
    (t, after, origin): (usize, usize, &[u32]),
    feeds: &mut Feeds<E>,
) {
    feeds.starts.resize_with(program.simulators.len(), Values::default);
    for (of, start) in program.simulators.iter().zip(&mut feeds.starts) {
        let Some((variable, when)) = of.start.filter(|_| of.after == after) else { continue };
        start.clear();
        let place = |&trajectory: &u32| (trajectory as usize, t, program.horizon);
        let (width, is_finite) = of.domain();
        if is_finite {
            let drawn = |draw: usize| &draws[draw].draws.numbers[..];
            start.numbers.extend(origin.iter().map(|trajectory| {
                trace.number((variable, when), t, place(trajectory), drawn).unwrap_or(0)
            }));
            continue;
        }
        let live = origin.len();
        start.columns.resize(width * live, <E as Float>::ZERO);
        match variable {
            Variable::Drawn(draw) if when.from(t) == t as i64 => {
                start.columns.copy_from_slice(&feeds.drawn[draw].columns);
            }
            _ => {
                for (row, trajectory) in origin.iter().enumerate() {
                    let read = trace.reals((variable, when), t, place(trajectory), width);
                    for (component, &value) in read.unwrap_or(&[]).iter().enumerate() {
                        start.columns[component * live + row] = value;
                    }
                }
            }
        }
    }
}
