//! Runs a [`NetworkPlan`] forward and backward on plain slices, without a tape.
//!
//! Rows go through all steps in blocks of [`BLOCK`], so that a block's activations stay in the
//! processor's second cache. All buffers belong to an [`Activations`] or a [`Scratch`] and are
//! reused; after the first pass nothing is allocated.

use super::elementwise::{self, Side, Wide};
use super::feed::Feed;
use super::gru;
use super::picked;
use super::plan::{Column, Load};
use super::plan::{Computed, Numbered};
use super::plan::{NetworkPlan, Op, Part, PartSource, Slot, Step};
use super::scalars::Workspace;
use crate::engine::heads::masses;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels::{self, View, Write};
use crate::engine::numeric::stop::Stop;
use crate::model::Activation;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::ops::Range;

/// Rows that go through a network together.
pub const BLOCK: usize = 128;

/// What a forward pass leaves behind for the backward pass: the inputs' features and every layer's
/// values, row-major.
#[derive(Clone, Debug, Default)]
pub struct Activations<E> {
    columns: Vec<Vec<u32>>,
    slots: Vec<Vec<E>>,
    /// Of columns, then of loads.
    workspaces: Vec<Workspace<E>>,
}

/// Gradients of one block of rows.
#[derive(Clone, Debug, Default)]
pub struct Scratch<E> {
    slots: Vec<Vec<E>>,
    /// Asked between two blocks.
    pub(in crate::engine) stop: Stop,
}

impl<E> Scratch<E> {
    /// Of a run that may be asked to end.
    pub(in crate::engine) fn of(stop: &Stop) -> Scratch<E> {
        Scratch { slots: Vec::new(), stop: stop.clone() }
    }
}

impl<E: Float> Activations<E> {
    /// Room for `rows` rows.
    pub fn new(plan: &NetworkPlan, rows: usize) -> Activations<E> {
        let mut activations = Activations { columns: vec![], slots: vec![], workspaces: vec![] };
        activations.reserve(plan, rows);
        activations
    }

    /// Makes room for `rows` rows, keeping what is there.
    pub fn reserve(&mut self, plan: &NetworkPlan, rows: usize) {
        self.columns.resize_with(plan.columns.len(), Vec::new);
        self.slots.resize_with(plan.slots.len(), Vec::new);
        let programs = plan.columns.len() + plan.loads.len();
        self.workspaces.resize_with(programs, Workspace::default);
        for column in &mut self.columns {
            column.resize(column.len().max(rows), 0);
        }
        for (slot, spec) in self.slots.iter_mut().zip(&plan.slots) {
            slot.resize(slot.len().max(rows * spec.width), E::ZERO);
        }
    }

    /// Root `output` at `rows`, row-major.
    pub fn output(&self, plan: &NetworkPlan, output: usize, rows: Range<usize>) -> &[E] {
        // there may be no row at all: all episodes of a shard have ended where they started
        if rows.is_empty() {
            return &[];
        }
        let width = plan.width(output);
        &self.slots[plan.outputs[output].0][rows.start * width..rows.end * width]
    }

    /// A slot's values at `rows`, row-major.
    pub(in crate::engine) fn rows_of(
        &self,
        plan: &NetworkPlan,
        slot: Slot,
        rows: &Range<usize>,
    ) -> &[E] {
        slot_rows(&self.slots, slot, plan.slots[slot.0].width, rows)
    }

    /// A column of indices at `rows`.
    pub(in crate::engine) fn column(&self, column: usize, rows: &Range<usize>) -> &[u32] {
        &self.columns[column][rows.clone()]
    }
}

impl NetworkPlan {
    /// Computes all roots at `rows` and keeps every layer's values there. `inputs` are those of
    /// [`NetworkPlan::inputs`], `rows.len()` values each; `parameters` is the flat vector.
    pub fn forward<E: Float>(
        &self,
        parameters: &[E],
        inputs: &[Feed<E>],
        rows: Range<usize>,
        activations: &mut Activations<E>,
    ) {
        activations.reserve(self, rows.end);
        self.load(inputs, rows.clone(), None, activations);
        self.recompute(parameters, rows, activations);
    }

    /// Draws what `noise(n)` stands for at `rows`, for the forward pass that follows.
    pub fn draw_noise<E: Float>(
        &self,
        rows: Range<usize>,
        random: &mut impl Rng,
        activations: &mut Activations<E>,
    ) {
        activations.reserve(self, rows.end);
        for (_, slot) in self.loads.iter().filter(|(load, _)| matches!(load, Load::Noise(_))) {
            let width = self.width_of(*slot);
            for out in &mut activations.slots[slot.0][rows.start * width..rows.end * width] {
                let normal: f64 = StandardNormal.sample(random);
                *out = E::of(normal);
            }
        }
    }

    /// As [`NetworkPlan::forward`], but only what belongs to one pass of a network that is
    /// [staged](NetworkPlan::staged). Inputs of later passes are not read.
    pub fn forward_pass<E: Float>(
        &self,
        pass: usize,
        parameters: &[E],
        inputs: &[Feed<E>],
        rows: Range<usize>,
        activations: &mut Activations<E>,
    ) {
        activations.reserve(self, rows.end);
        self.load(inputs, rows.clone(), Some(pass), activations);
        self.compute(parameters, rows, Some(pass), activations);
    }

    /// As [`NetworkPlan::forward`], with the inputs that are in `activations` already.
    pub fn recompute<E: Float>(
        &self,
        parameters: &[E],
        rows: Range<usize>,
        activations: &mut Activations<E>,
    ) {
        self.compute(parameters, rows, None, activations);
    }

    /// Copies the inputs of the rows `of` from one set of activations to the first rows of another,
    /// to be [recomputed](Self::recompute).
    pub fn gather<E: Float>(&self, from: &Activations<E>, of: &[u32], into: &mut Activations<E>) {
        into.reserve(self, of.len());
        for (from, into) in from.columns.iter().zip(&mut into.columns) {
            into.iter_mut().zip(of).for_each(|(into, &row)| *into = from[row as usize]);
        }
        for (_, slot) in &self.loads {
            let width = self.width_of(*slot);
            for (into, &row) in into.slots[slot.0].chunks_exact_mut(width).zip(of) {
                into.copy_from_slice(&from.slots[slot.0][row as usize * width..][..width]);
            }
        }
    }

    /// Adds to `gradient` (flat) the gradient of `Σ_roots Σ_rows output_gradient · output`, from
    /// the values that [`NetworkPlan::forward`] left at `rows`. `output_gradients` has a slice per
    /// root, row-major over `rows`; an empty one stands for zeros.
    pub fn backward<E: Float>(
        &self,
        parameters: &[E],
        activations: &Activations<E>,
        rows: Range<usize>,
        output_gradients: &[&[E]],
        scratch: &mut Scratch<E>,
        gradient: &mut [E],
    ) {
        self.backward_through(
            (parameters, activations),
            rows,
            output_gradients,
            scratch,
            (gradient, &mut []),
        );
    }

    /// As [`NetworkPlan::backward`]; where inputs are [followed](NetworkPlan::following), their
    /// gradients are added to `inputs`, laid out as [`NetworkPlan::input_gradients`] makes them.
    pub(in crate::engine) fn backward_through<E: Float>(
        &self,
        (parameters, activations): (&[E], &Activations<E>),
        rows: Range<usize>,
        output_gradients: &[&[E]],
        scratch: &mut Scratch<E>,
        (gradient, inputs): (&mut [E], &mut [Vec<E>]),
    ) {
        scratch.slots.resize_with(self.slots.len(), Vec::new);
        for (slot, spec) in scratch.slots.iter_mut().zip(&self.slots) {
            slot.resize(if spec.moves { BLOCK * spec.width } else { 0 }, E::ZERO);
        }
        let mut start = rows.start;
        while start < rows.end && !scratch.stop.gives_up() {
            let block = start..rows.end.min(start + BLOCK);
            self.seed(output_gradients, block.start - rows.start..block.end - rows.start, scratch);
            for step in self.steps.iter().rev().filter(|step| self.slots[step.out.0].moves) {
                self.step_back(step, parameters, activations, block.clone(), scratch, gradient);
            }
            if !inputs.is_empty() {
                self.pass_to_inputs(activations, (block.clone(), &rows), &scratch.slots, inputs);
            }
            start = block.end;
        }
    }

    fn compute<E: Float>(
        &self,
        parameters: &[E],
        rows: Range<usize>,
        pass: Option<usize>,
        activations: &mut Activations<E>,
    ) {
        let mut start = rows.start;
        while start < rows.end {
            let block = start..rows.end.min(start + BLOCK);
            for (step, &stage) in self.steps.iter().zip(&self.stages.steps) {
                if pass.is_none_or(|pass| pass == stage) {
                    self.step(step, parameters, block.clone(), activations);
                }
            }
            start = block.end;
        }
    }

    fn width_of(&self, slot: Slot) -> usize {
        self.slots[slot.0].width
    }

    fn load<E: Float>(
        &self,
        inputs: &[Feed<E>],
        rows: Range<usize>,
        pass: Option<usize>,
        activations: &mut Activations<E>,
    ) {
        assert_eq!(
            inputs.len(),
            self.inputs.len(),
            "forward: one input for each that the plan asks for"
        );
        let is_due = |stage: usize| pass.is_none_or(|pass| pass == stage);
        let (of_columns, of_loads) = activations.workspaces.split_at_mut(self.columns.len());
        for (((column, out), work), &stage) in self
            .columns
            .iter()
            .zip(&mut activations.columns)
            .zip(of_columns)
            .zip(&self.stages.columns)
        {
            if is_due(stage) {
                load_column(column, inputs, &mut out[rows.clone()], work);
            }
        }
        for (((load, slot), work), &stage) in
            self.loads.iter().zip(of_loads).zip(&self.stages.loads)
        {
            if !is_due(stage) {
                continue;
            }
            let width = self.width_of(*slot);
            let out = &mut activations.slots[slot.0][rows.start * width..rows.end * width];
            load_slot(load, inputs, width, out, work);
        }
    }

    /// The roots' gradients of a block, zero where a root has none. Roots that share a slot add up.
    fn seed<E: Float>(
        &self,
        output_gradients: &[&[E]],
        rows: Range<usize>,
        scratch: &mut Scratch<E>,
    ) {
        for (at, (slot, from)) in self.outputs.iter().zip(output_gradients).enumerate() {
            let width = self.width_of(*slot);
            if !self.slots[slot.0].moves {
                continue;
            }
            let into = &mut scratch.slots[slot.0][..rows.len() * width];
            let shared = self.outputs[..at].contains(slot);
            match (from.is_empty(), shared) {
                (true, true) => {}
                (true, false) => into.fill(E::ZERO),
                (false, true) => kernels::add(into, &from[rows.start * width..rows.end * width]),
                (false, false) => into.copy_from_slice(&from[rows.start * width..rows.end * width]),
            }
        }
    }

    fn step<E: Float>(
        &self,
        step: &Step,
        parameters: &[E],
        rows: Range<usize>,
        activations: &mut Activations<E>,
    ) {
        let width = self.width_of(step.out);
        let mut buffer = std::mem::take(&mut activations.slots[step.out.0]);
        let out = &mut buffer[rows.start * width..rows.end * width];
        let (slots, columns) = (&activations.slots, &activations.columns);
        let read = |slot: Slot| slot_rows(slots, slot, self.width_of(slot), &rows);
        match &step.op {
            Op::Affine { parts, weight, bias, activation } => {
                kernels::fill_rows(out, &parameters[bias.clone()]);
                for part in parts {
                    let weights = &parameters[part_rows(part, weight, width)];
                    match part.source {
                        PartSource::OneHot { column } => kernels::add_gathered(
                            out,
                            weights,
                            &columns[column][rows.clone()],
                            width,
                        ),
                        PartSource::Dense(slot) => {
                            add_product(out, read(slot), weights, part.width, width)
                        }
                    }
                }
                activate(*activation, out);
            }
            Op::Rows { column, table } => {
                out.fill(E::ZERO);
                kernels::add_gathered(
                    out,
                    &parameters[table.clone()],
                    &columns[*column][rows],
                    width,
                );
            }
            Op::Block { column, heads } => {
                let blocks = read(*heads).chunks_exact(self.width_of(*heads));
                for ((out, heads), &o) in
                    out.chunks_exact_mut(width).zip(blocks).zip(&columns[*column][rows.clone()])
                {
                    out.copy_from_slice(&heads[o as usize * width..(o as usize + 1) * width]);
                }
            }
            Op::Concat { parts } => parts.iter().for_each(|part| match part.source {
                PartSource::OneHot { column } => {
                    for (out, &index) in
                        out.chunks_exact_mut(width).zip(&columns[column][rows.clone()])
                    {
                        out[part.at..part.at + part.width].fill(E::ZERO);
                        out[part.at + index as usize] = E::ONE;
                    }
                }
                PartSource::Dense(slot) => {
                    for (out, x) in
                        out.chunks_exact_mut(width).zip(read(slot).chunks_exact(part.width))
                    {
                        out[part.at..part.at + part.width].copy_from_slice(x);
                    }
                }
            }),
            Op::Gru { elements, weights } => {
                let [input, recurrent, bias, recurrent_bias] =
                    weights.clone().map(|range| &parameters[range]);
                let weights = gru::Weights { input, recurrent, bias, recurrent_bias };
                let (mut memory, mut present) = (gru::Memory::default(), Vec::new());
                for (row, out) in out.chunks_exact_mut(width).enumerate() {
                    present_elements(
                        elements,
                        |column| columns[column][rows.start + row],
                        |slot| read(slot),
                        row,
                        &mut present,
                    );
                    gru::forward(weights, &present, &mut memory, out);
                }
            }
            Op::Unary(op, x) => elementwise::unary(*op, read(*x), out),
            Op::Binary(op, x, y) => elementwise::binary(
                *op,
                Wide::new(read(*x), self.width_of(*x)),
                Wide::new(read(*y), self.width_of(*y)),
                out,
                width,
            ),
            Op::Sum { parts, columns } => {
                out.fill(E::ZERO);
                for (part, columns) in parts.iter().zip(columns) {
                    picked::add(read(*part), self.width_of(*part), columns, out);
                }
            }
            Op::Mixture(slots) => {
                let all: Vec<&[E]> = slots.iter().map(|slot| read(*slot)).collect();
                let (weights, logits) = all.split_at(slots.len() / 2);
                masses::mix(masses::Parts { weights, logits, outcomes: width }, out);
            }
        }
        activations.slots[step.out.0] = buffer;
    }

    fn step_back<E: Float>(
        &self,
        step: &Step,
        parameters: &[E],
        activations: &Activations<E>,
        rows: Range<usize>,
        scratch: &mut Scratch<E>,
        gradient: &mut [E],
    ) {
        let width = self.width_of(step.out);
        let mut dy = std::mem::take(&mut scratch.slots[step.out.0]);
        let dz = &mut dy[..rows.len() * width];
        let read = |slot: Slot| slot_rows(&activations.slots, slot, self.width_of(slot), &rows);
        match &step.op {
            Op::Affine { parts, weight, bias, activation } => {
                activate_back(*activation, dz, read(step.out));
                kernels::add_column_sums(&mut gradient[bias.clone()], dz);
                let mut first = step.first.iter();
                for part in parts {
                    let weights = part_rows(part, weight, width);
                    match part.source {
                        PartSource::OneHot { column } => {
                            kernels::add_scattered(
                                &mut gradient[weights],
                                dz,
                                &activations.columns[column][rows.clone()],
                                width,
                            );
                        }
                        PartSource::Dense(slot) => {
                            let x = read(slot);
                            add_weight_gradient(
                                &mut gradient[weights.clone()],
                                x,
                                dz,
                                part.width,
                                width,
                            );
                            let write = write(first.next());
                            if self.slots[slot.0].moves {
                                let dx = &mut scratch.slots[slot.0][..rows.len() * part.width];
                                let w = View::new(&parameters[weights], part.width, width);
                                kernels::product(
                                    View::new(dz, rows.len(), width),
                                    w.transposed(),
                                    dx,
                                    write,
                                );
                            }
                        }
                    }
                }
            }
            Op::Rows { column, table } => {
                kernels::add_scattered(
                    &mut gradient[table.clone()],
                    dz,
                    &activations.columns[*column][rows.clone()],
                    width,
                );
            }
            Op::Block { column, heads } => {
                let heads_width = self.width_of(*heads);
                let dx = &mut scratch.slots[heads.0][..rows.len() * heads_width];
                if write(step.first.first()) == Write::Store {
                    dx.fill(E::ZERO);
                }
                for ((dz, dx), &o) in dz
                    .chunks_exact(width)
                    .zip(dx.chunks_exact_mut(heads_width))
                    .zip(&activations.columns[*column][rows.clone()])
                {
                    kernels::add(&mut dx[o as usize * width..(o as usize + 1) * width], dz);
                }
            }
            Op::Concat { parts } => {
                let mut first = step.first.iter();
                for part in parts {
                    if let PartSource::Dense(slot) = part.source {
                        let write = write(first.next());
                        if self.slots[slot.0].moves {
                            let dx = &mut scratch.slots[slot.0][..rows.len() * part.width];
                            for (dz, dx) in
                                dz.chunks_exact(width).zip(dx.chunks_exact_mut(part.width))
                            {
                                elementwise::write(write, dx, &dz[part.at..part.at + part.width]);
                            }
                        }
                    }
                }
            }
            Op::Gru { elements, weights: ranges } => {
                let [input, recurrent, bias, recurrent_bias] =
                    ranges.clone().map(|range| &parameters[range]);
                let weights = gru::Weights { input, recurrent, bias, recurrent_bias };
                let (mut memory, mut present, mut out) =
                    (gru::Memory::default(), Vec::new(), vec![E::ZERO; width]);
                let mut sums = ranges.clone().map(|range| vec![E::ZERO; range.len()]);
                // its inputs are those of the kernel, to which a gradient passes where they are
                // followed
                let passes = step.op.slots().any(|slot| self.slots[slot.0].moves);
                for (slot, _) in step.op.slots().zip(&step.first).filter(|(_, first)| **first) {
                    scratch.slots[slot.0].fill(E::ZERO);
                }
                let mut passed = Vec::new();
                for (row, d) in dz.chunks_exact_mut(width).enumerate() {
                    let index = |column: usize| activations.columns[column][rows.start + row];
                    present_elements(elements, index, read, row, &mut present);
                    gru::forward(weights, &present, &mut memory, &mut out);
                    let [input, recurrent, bias, recurrent_bias] = &mut sums;
                    passed.resize(if passes { present.len() } else { 0 }, Vec::new());
                    let into = &mut gru::Gradients { input, recurrent, bias, recurrent_bias };
                    gru::backward(weights, &present, &mut memory, d, (into, &mut passed));
                    if passes {
                        let there = elements.iter().filter(|of| is_there(of, index, read, row));
                        for (parts, passed) in there.zip(&passed) {
                            let mut rest = &passed[..];
                            for part in parts {
                                let (slot, own) = match part.source {
                                    PartSource::OneHot { .. } => (None, 1),
                                    PartSource::Dense(slot) => (Some(slot), part.width),
                                };
                                let (d, others) = rest.split_at(own);
                                rest = others;
                                let moves = |slot: &Slot| self.slots[slot.0].moves;
                                if let Some(slot) = slot.filter(moves) {
                                    kernels::add(
                                        &mut scratch.slots[slot.0][row * own..(row + 1) * own],
                                        d,
                                    );
                                }
                            }
                        }
                    }
                }
                ranges
                    .iter()
                    .zip(&sums)
                    .for_each(|(range, sum)| kernels::add(&mut gradient[range.clone()], sum));
            }
            Op::Unary(op, x) => {
                let (x_slot, x) = (x.0, read(*x));
                let dx = &mut scratch.slots[x_slot][..x.len()];
                elementwise::unary_back(*op, x, dz, dx, write(step.first.first()));
            }
            Op::Binary(op, left, right) => {
                let (x, y) = (
                    Wide::new(read(*left), self.width_of(*left)),
                    Wide::new(read(*right), self.width_of(*right)),
                );
                for (slot, side, first) in [
                    (*left, Side::Left, step.first.first()),
                    (*right, Side::Right, step.first.get(1)),
                ] {
                    if self.slots[slot.0].moves {
                        let d = &mut scratch.slots[slot.0][..rows.len() * self.width_of(slot)];
                        if write(first) == Write::Store {
                            d.fill(E::ZERO);
                        }
                        elementwise::add_binary_back((*op, side), x, y, Wide::new(dz, width), d);
                    }
                }
            }
            Op::Sum { parts, columns } => {
                for ((slot, columns), first) in parts.iter().zip(columns).zip(&step.first) {
                    if self.slots[slot.0].moves {
                        let part = self.width_of(*slot);
                        let dx = &mut scratch.slots[slot.0][..rows.len() * part];
                        if write(Some(first)) == Write::Store {
                            dx.fill(E::ZERO);
                        }
                        picked::add_back(dz, columns, dx, part);
                    }
                }
            }
            Op::Mixture(slots) => {
                let all: Vec<&[E]> = slots.iter().map(|slot| read(*slot)).collect();
                let (weights, logits) = all.split_at(slots.len() / 2);
                let parts = masses::Parts { weights, logits, outcomes: width };
                let mut gradients: Vec<Vec<E>> =
                    all.iter().map(|values| vec![E::ZERO; values.len()]).collect();
                masses::add_gradient(parts, read(step.out), dz, &mut gradients);
                for ((slot, gradient), first) in slots.iter().zip(&gradients).zip(&step.first) {
                    if self.slots[slot.0].moves {
                        let dx = &mut scratch.slots[slot.0][..gradient.len()];
                        elementwise::write(write(Some(first)), dx, gradient);
                    }
                }
            }
        }
        scratch.slots[step.out.0] = dy;
    }
}

/// The elements of a sequence that are there in a row of a block.
pub(in crate::engine) fn present_elements<'a, E: Float>(
    elements: &[Vec<Part>],
    index: impl Fn(usize) -> u32,
    read: impl Fn(Slot) -> &'a [E],
    row: usize,
    present: &mut Vec<gru::Element<E>>,
) {
    present.clear();
    for parts in elements {
        let mut element = Vec::with_capacity(parts.len());
        let mut is_there = true;
        for part in parts {
            match part.source {
                PartSource::OneHot { column } => {
                    let index = index(column) as usize;
                    is_there &= index < part.width;
                    element.push((part.at + index, E::ONE));
                }
                PartSource::Dense(slot) => {
                    for (at, &x) in
                        read(slot)[row * part.width..(row + 1) * part.width].iter().enumerate()
                    {
                        is_there &= !x.as_f64().is_nan();
                        element.push((part.at + at, x));
                    }
                }
            }
        }
        if is_there {
            present.push(element);
        }
    }
}

/// Whether an element of a sequence is there in a row of a block.
fn is_there<'a, E: Float>(
    parts: &[Part],
    index: impl Fn(usize) -> u32,
    read: impl Fn(Slot) -> &'a [E],
    row: usize,
) -> bool {
    parts.iter().all(|part| match part.source {
        PartSource::OneHot { column } => (index(column) as usize) < part.width,
        PartSource::Dense(slot) => {
            let own = &read(slot)[row * part.width..(row + 1) * part.width];
            own.iter().all(|x| !x.as_f64().is_nan())
        }
    })
}

/// Rows of a slot of `width` numbers a row.
fn slot_rows<'a, E>(slots: &'a [Vec<E>], slot: Slot, width: usize, rows: &Range<usize>) -> &'a [E] {
    &slots[slot.0][rows.start * width..rows.end * width]
}

/// The range of a weight that a part of its input meets.
fn part_rows(part: &Part, weight: &Range<usize>, width: usize) -> Range<usize> {
    weight.start + part.at * width..weight.start + (part.at + part.width) * width
}

fn write(first: Option<&bool>) -> Write {
    if first == Some(&true) { Write::Store } else { Write::Add }
}

/// Few inputs go row by row: the blocked product would spend its time packing.
fn few(inputs: usize, width: usize) -> bool {
    inputs <= 8 && width >= 16
}

pub(in crate::engine) fn add_product<E: Float>(
    out: &mut [E],
    x: &[E],
    weights: &[E],
    inputs: usize,
    width: usize,
) {
    let rows = out.len() / width;
    if few(inputs, width) || (rows < 4 && width >= 16) {
        kernels::add_product_of_few(out, x, weights, inputs);
    } else {
        kernels::product(
            View::new(x, rows, inputs),
            View::new(weights, inputs, width),
            out,
            Write::Add,
        );
    }
}

fn add_weight_gradient<E: Float>(
    gradient: &mut [E],
    x: &[E],
    dz: &[E],
    inputs: usize,
    width: usize,
) {
    if few(inputs, width) {
        kernels::add_outer_of_few(gradient, x, dz, inputs);
    } else {
        let rows = dz.len() / width;
        kernels::product(
            View::new(x, rows, inputs).transposed(),
            View::new(dz, rows, width),
            gradient,
            Write::Add,
        );
    }
}

fn activate<E: Float>(activation: Option<Activation>, y: &mut [E]) {
    match activation {
        None => {}
        Some(Activation::Tanh) => kernels::tanh(y),
        Some(Activation::Relu) => kernels::relu(y),
        Some(Activation::Sigmoid) => kernels::sigmoid(y),
        Some(Activation::Softplus) => kernels::softplus(y),
    }
}

pub(in crate::engine) fn activate_back<E: Float>(
    activation: Option<Activation>,
    dy: &mut [E],
    y: &[E],
) {
    match activation {
        None => {}
        Some(Activation::Tanh) => kernels::tanh_derivative(dy, y),
        Some(Activation::Relu) => kernels::relu_derivative(dy, y),
        Some(Activation::Sigmoid) => kernels::sigmoid_derivative(dy, y),
        Some(Activation::Softplus) => kernels::softplus_derivative(dy, y),
    }
}

fn load_column<E: Float>(
    column: &Column,
    feeds: &[Feed<E>],
    out: &mut [u32],
    work: &mut Workspace<E>,
) {
    match column {
        Column::Number { input } => out.copy_from_slice(&feeds[*input].numbers()[..out.len()]),
        Column::Decoded { input, decode } => {
            out.iter_mut()
                .zip(feeds[*input].numbers())
                .for_each(|(out, &number)| *out = decode[number as usize]);
        }
        Column::Joint { inputs } => {
            out.fill(0);
            for &(input, size) in inputs {
                out.iter_mut()
                    .zip(feeds[input].numbers())
                    .for_each(|(out, &number)| *out = *out * size as u32 + number);
            }
        }
        Column::Cell { input, component, lo, count, optional } => {
            let last = (*count - 1) as f64;
            for (out, &value) in out.iter_mut().zip(feeds[*input].component(*component)) {
                let cell = value.as_f64() - *lo as f64;
                *out = if *optional && cell.is_nan() {
                    *count as u32
                } else {
                    cell.clamp(0.0, last) as u32
                };
            }
        }
        Column::Computed { program, of, decode } => {
            let rows = program.values(feeds, out.len(), work);
            number_all(of, rows, out, |out, number| *out = decode[number as usize]);
        }
        Column::JointComputed { program, values } => {
            let rows = program.values(feeds, out.len(), work);
            out.fill(0);
            for (of, size) in values {
                let add = |out: &mut u32, number: u32| *out = *out * *size as u32 + number;
                match of {
                    Numbered::Input(input) => {
                        let numbers = feeds[*input].numbers();
                        out.iter_mut().zip(numbers).for_each(|(out, &number)| add(out, number));
                    }
                    Numbered::Computed(of) => number_all(of, rows, out, add),
                }
            }
        }
    }
}

/// Tells `each` row the number of the value that is computed there; `rows` has what the program of
/// all such values comes to.
fn number_all<E: Float>(of: &Computed, rows: &[E], out: &mut [u32], each: impl Fn(&mut u32, u32)) {
    let Computed { from, domain, optional } = of;
    let beyond = domain.size() - usize::from(!optional);
    let mut value = vec![0.0; domain.width()];
    let width = rows.len() / out.len().max(1);
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(width.max(1))) {
        value.iter_mut().zip(&row[*from..]).for_each(|(to, of)| *to = of.as_f64());
        each(out, domain.number(&value).unwrap_or(beyond) as u32);
    }
}

fn load_slot<E: Float>(
    load: &Load,
    feeds: &[Feed<E>],
    width: usize,
    out: &mut [E],
    work: &mut Workspace<E>,
) {
    match load {
        Load::Real { input, from } => {
            for c in 0..width {
                let column = feeds[*input].component(from + c);
                out[c..]
                    .iter_mut()
                    .step_by(width)
                    .zip(column)
                    .for_each(|(out, &value)| *out = value);
            }
        }
        Load::RealOrNone { input, component } => {
            for (out, &value) in out.chunks_exact_mut(2).zip(feeds[*input].component(*component)) {
                let none = value.as_f64().is_nan();
                (out[0], out[1]) = if none { (E::ZERO, E::of(1.0)) } else { (value, E::ZERO) };
            }
        }
        Load::Time { input, horizon } => {
            for (out, &t) in out.iter_mut().zip(feeds[*input].numbers()) {
                *out = E::of(f64::from(t + 1) / *horizon as f64);
            }
        }
        Load::Scalars(program) => program.run(feeds, out, work),
        Load::ScalarOrNone(program) => {
            let values = program.values(feeds, out.len() / 2, work);
            for (out, &value) in out.chunks_exact_mut(2).zip(values) {
                let none = value.as_f64().is_nan();
                (out[0], out[1]) = if none { (E::ZERO, E::of(1.0)) } else { (value, E::ZERO) };
            }
        }
        // drawn before the pass
        Load::Noise(_) => {}
    }
}
