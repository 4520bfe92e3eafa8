//! How far draws are from their priors at the rows of a step.

use super::Rollout;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::binding::InputBinding;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::draws::KlReference;
use crate::engine::program::point::Point;
use crate::engine::sample::episodes::Episodes;
use std::ops::Range;
use std::sync::Arc;

impl<E: Number> Rollout<E> {
    /// `KL(q ‖ p)` of each row and draw, where the bound has that term.
    pub(in crate::engine) fn divergences(
        &mut self,
        program: &CompiledProgram<E>,
        point: Point<E>,
        t: usize,
        rows: Range<usize>,
        binding: &InputBinding,
    ) {
        let live = rows.len();
        for (number, of) in program.draws.iter().enumerate() {
            // what a kernel of the last round reads of earlier steps
            let earlier = match &of.reference {
                KlReference::Previous(binding) => Some(binding),
                KlReference::Itself => Some(&program.acting),
                KlReference::None | KlReference::Present | KlReference::Expressions(_) => None,
            };
            if let Some(binding) = earlier
                && !binding.traced.is_empty()
            {
                let parameters = point.previous.unwrap_or(point.present);
                self.read_earlier((program, binding, parameters), t, live);
            }
            let Rollout { episodes, batch, feeds, work, .. } = self;
            let Episodes { draws, network, .. } = episodes;
            let drawn = &mut draws[number];
            let width = of.family.numbers();
            let (reference, previous) = (&mut drawn.reference, &mut drawn.previous);
            let first = reference.len();
            let numbers = &drawn.numbers[rows.start * width..rows.end * width];
            let prior = match &of.reference {
                KlReference::None => continue,
                KlReference::Present => {
                    work.prior.resize(live * width, <E as Float>::ZERO);
                    of.family.describe(
                        binding.outputs(network, &binding.references[number], &rows),
                        &[],
                        &mut work.prior,
                    );
                    &work.prior[..]
                }
                KlReference::Itself if point.previous.is_none() && !program.is_pathwise() => {
                    reference.extend_from_slice(numbers);
                    &reference[first..]
                }
                KlReference::Itself | KlReference::Previous(_) => {
                    let (binding, roots) =
                        program.previous_of(number).expect("rollout: it is of the last round");
                    let at = if program.is_pathwise() { rows.clone() } else { 0..live };
                    let previous = Arc::get_mut(previous)
                        .expect("rollout: the tape of the last gradient is gone");
                    let parameters = point.previous.unwrap_or(point.present);
                    binding.feed(parameters, (&program.world, batch), live, feeds, |inputs| {
                        binding.network.forward(parameters, inputs, at.clone(), previous);
                    });
                    reference.resize(first + live * width, <E as Float>::ZERO);
                    let outputs = binding.outputs(previous, roots, &at);
                    of.family.describe(outputs, &[], &mut reference[first..]);
                    &reference[first..]
                }
                KlReference::Expressions(expressions) => {
                    let Some(values) = &mut drawn.reference_values else { continue };
                    expressions.read_before(&program.world, batch, live, values);
                    expressions.run(t, 0..live, values);
                    reference.resize(first + live * width, <E as Float>::ZERO);
                    for (row, out) in reference[first..].chunks_exact_mut(width).enumerate() {
                        out.iter_mut()
                            .enumerate()
                            .for_each(|(number, out)| *out = values.output(number)[row]);
                    }
                    &reference[first..]
                }
            };
            drawn.divergence.resize(live, <E as Float>::ZERO);
            of.family.divergences(numbers, prior, &mut drawn.divergence);
        }
    }
}
