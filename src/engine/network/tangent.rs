//! Directional derivatives of a [`NetworkPlan`] by its parameters (forward mode): what a
//! Fisher–vector product begins with.

use super::elementwise::{self, Wide};
use super::forward::{self, Activations, BLOCK};
use super::gru;
use super::picked;
use super::plan::{NetworkPlan, Op, PartSource, Slot, Step};
use crate::engine::heads::masses;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use std::ops::Range;

/// `d slot / dθ · direction` at some rows; buffers are made once.
#[derive(Clone, Debug, Default)]
pub struct Tangents<E> {
    slots: Vec<Vec<E>>,
}

impl<E: Float> Tangents<E> {
    /// Root `output` at all rows, row-major.
    pub fn output(&self, plan: &NetworkPlan, output: usize) -> &[E] {
        &self.slots[plan.outputs[output].0]
    }
}

impl NetworkPlan {
    /// The derivative of all roots along `direction` (flat), from the values that
    /// [`NetworkPlan::forward`] left at `rows`.
    pub fn tangent<E: Float>(
        &self,
        parameters: &[E],
        direction: &[E],
        activations: &Activations<E>,
        rows: Range<usize>,
        tangents: &mut Tangents<E>,
    ) {
        tangents.slots.resize_with(self.slots.len(), Vec::new);
        for (slot, spec) in tangents.slots.iter_mut().zip(&self.slots) {
            slot.clear();
            slot.resize(rows.len() * spec.width, E::ZERO);
        }
        let mut start = rows.start;
        while start < rows.end {
            let block = start..rows.end.min(start + BLOCK);
            for step in self.steps.iter().filter(|step| self.slots[step.out.0].moves) {
                self.step_along(
                    step,
                    (parameters, direction),
                    activations,
                    (block.clone(), rows.start),
                    tangents,
                );
            }
            start = block.end;
        }
    }

    /// `block` counts rows of `activations`; those of `tangents` begin at `first`.
    fn step_along<E: Float>(
        &self,
        step: &Step,
        (parameters, direction): (&[E], &[E]),
        activations: &Activations<E>,
        (block, first): (Range<usize>, usize),
        tangents: &mut Tangents<E>,
    ) {
        let width = self.slots[step.out.0].width;
        let own = block.start - first..block.end - first;
        let mut buffer = std::mem::take(&mut tangents.slots[step.out.0]);
        let dz = &mut buffer[own.start * width..own.end * width];
        let value = |slot: Slot| activations.rows_of(self, slot, &block);
        let along = |slot: Slot| {
            let width = self.slots[slot.0].width;
            &tangents.slots[slot.0][own.start * width..own.end * width]
        };
        match &step.op {
            Op::Affine { parts, weight, bias, activation } => {
                kernels::fill_rows(dz, &direction[bias.clone()]);
                for part in parts {
                    let of_part = weight.start + part.at * width
                        ..weight.start + (part.at + part.width) * width;
                    match part.source {
                        PartSource::OneHot { column } => {
                            kernels::add_gathered(
                                dz,
                                &direction[of_part],
                                activations.column(column, &block),
                                width,
                            );
                        }
                        PartSource::Dense(slot) => {
                            forward::add_product(
                                dz,
                                value(slot),
                                &direction[of_part.clone()],
                                part.width,
                                width,
                            );
                            if self.slots[slot.0].moves {
                                forward::add_product(
                                    dz,
                                    along(slot),
                                    &parameters[of_part],
                                    part.width,
                                    width,
                                );
                            }
                        }
                    }
                }
                forward::activate_back(*activation, dz, value(step.out));
            }
            Op::Rows { column, table } => {
                kernels::add_gathered(
                    dz,
                    &direction[table.clone()],
                    activations.column(*column, &block),
                    width,
                );
            }
            Op::Block { column, heads } => {
                let blocks = along(*heads).chunks_exact(self.slots[heads.0].width);
                for ((dz, heads), &o) in
                    dz.chunks_exact_mut(width).zip(blocks).zip(activations.column(*column, &block))
                {
                    dz.copy_from_slice(&heads[o as usize * width..(o as usize + 1) * width]);
                }
            }
            Op::Concat { parts } => {
                for part in parts {
                    if let PartSource::Dense(slot) = part.source {
                        for (dz, dx) in
                            dz.chunks_exact_mut(width).zip(along(slot).chunks_exact(part.width))
                        {
                            dz[part.at..part.at + part.width].copy_from_slice(dx);
                        }
                    }
                }
            }
            Op::Gru { elements, weights } => {
                let (at, along) =
                    (gru_weights(weights, parameters), gru_weights(weights, direction));
                let mut present = Vec::new();
                for (row, out) in dz.chunks_exact_mut(width).enumerate() {
                    let index = |column: usize| activations.column(column, &block)[row];
                    forward::present_elements(elements, index, value, row, &mut present);
                    gru::along(at, along, &present, out);
                }
            }
            Op::Unary(op, x) => elementwise::unary_along(*op, value(*x), along(*x), dz),
            Op::Binary(op, x, y) => {
                let wide = |slot: Slot, data| Wide::new(data, self.slots[slot.0].width);
                let values = (wide(*x, value(*x)), wide(*y, value(*y)));
                elementwise::binary_along(
                    *op,
                    values,
                    (wide(*x, along(*x)), wide(*y, along(*y))),
                    dz,
                    width,
                );
            }
            Op::Sum { parts, columns } => {
                dz.fill(E::ZERO);
                for (part, columns) in parts.iter().zip(columns) {
                    picked::add(along(*part), self.slots[part.0].width, columns, dz);
                }
            }
            Op::Mixture(slots) => {
                let all: Vec<&[E]> = slots.iter().map(|slot| value(*slot)).collect();
                let tangents: Vec<&[E]> = slots.iter().map(|slot| along(*slot)).collect();
                let (weights, logits) = all.split_at(slots.len() / 2);
                let parts = masses::Parts { weights, logits, outcomes: width };
                masses::along(parts, value(step.out), &tangents, dz);
            }
        }
        tangents.slots[step.out.0] = buffer;
    }
}

/// The parts of a flat vector that are a recurrent unit's.
fn gru_weights<'a, E>(ranges: &[Range<usize>; 4], values: &'a [E]) -> gru::Weights<'a, E> {
    let [input, recurrent, bias, recurrent_bias] = ranges.clone().map(|range| &values[range]);
    gru::Weights { input, recurrent, bias, recurrent_bias }
}

#[cfg(test)]
mod tests {
    use super::super::feed::Feed;
    use super::*;
    use crate::engine::tape::parameters::Parameters;
    use crate::engine::tests::testing::{mlp_policy, numbers};
    use crate::expr::{BinaryOp, UnaryOp};
    use crate::model::LayerOp;

    #[test]
    fn tangents_are_differences_along_the_direction() {
        let (mut model, _, logits) = mlp_policy(2, &[6, 4], 3);
        let soft = model.add_layer(LayerOp::Unary(UnaryOp::Softplus, logits), 3);
        let product = model.add_layer(LayerOp::Binary(BinaryOp::Multiply, logits, soft), 3);
        let both = model.add_layer(LayerOp::Concat(vec![product, soft]), 6);
        let plan =
            NetworkPlan::compile(&model, &[logits, both], |_, formal| formal).expect("compiles");
        let rows = BLOCK + 7;
        let columns = numbers(2 * rows, 1);
        let outputs = |values: &[f64]| {
            let mut activations = Activations::new(&plan, rows);
            plan.forward(
                values,
                &[Feed::Real { columns: &columns, stride: rows }],
                0..rows,
                &mut activations,
            );
            activations
        };
        let parameters = Parameters::<f64>::initial(&model, 1);
        let values: Vec<f64> = parameters
            .values()
            .iter()
            .zip(numbers(parameters.values().len(), 2))
            .map(|(x, n)| x + 0.3 * n)
            .collect();
        let direction = numbers(values.len(), 3);
        let mut tangents = Tangents::default();
        plan.tangent(&values, &direction, &outputs(&values), 3..rows, &mut tangents);
        let at = |h: f64| {
            outputs(&values.iter().zip(&direction).map(|(x, d)| x + h * d).collect::<Vec<f64>>())
        };
        let (up, down) = (at(1e-5), at(-1e-5));
        for root in 0..2 {
            let (up, down) = (up.output(&plan, root, 3..rows), down.output(&plan, root, 3..rows));
            for ((up, down), along) in up.iter().zip(down).zip(tangents.output(&plan, root)) {
                assert!(
                    ((up - down) / 2e-5 - along).abs() < 1e-7,
                    "{} {along}",
                    (up - down) / 2e-5
                );
            }
        }
    }
}
