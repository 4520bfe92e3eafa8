//! Independent parts side by side, of whatever families: log-probabilities, entropies and
//! divergences add up, draws stand side by side.
//!
//! A draw is the components of the record as numbers, those of a finite part among them, as the
//! world takes them; those of a squashed part before the squashing. A row of numbers has those of
//! the first part, then those of the second, and so on; so it is with the roots of a network.

use super::choice::Choice;
use super::path::OnPath;
use super::record::{Part, Record};
use super::{Draws, Family};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use crate::engine::numeric::number::Number;
use crate::engine::tape::tensor::{Matrix, Tape, shape_of, values_of};
use crate::plan::Field;
use rand::Rng;
use std::ops::Range;

impl Part<Family> {
    /// Its numbers of each row.
    fn rows<E: Copy>(&self, all: &[E], of: &Record<Family>) -> Vec<E> {
        let own = |row: &[E]| row[self.numbers.clone()].to_vec();
        all.chunks_exact(of.numbers).flat_map(own).collect()
    }

    /// Its part of draws, row-major.
    fn drawn<E: Number>(&self, reals: &[E], of: &Record<Family>) -> Draws<E> {
        let rows = reals.chunks_exact(of.width).map(|row| &row[self.components.clone()]);
        let mut drawn = Draws::default();
        match &self.values {
            None => drawn.reals.extend(rows.flatten()),
            Some(values) => {
                let mut value = vec![0.0; self.components.len()];
                drawn.numbers.extend(rows.map(|row| {
                    value.iter_mut().zip(row).for_each(|(to, &from)| *to = Float::as_f64(from));
                    let number = values.number(&value);
                    number.expect("record: what was drawn of a part is one of its values") as u32
                }));
            }
        }
        drawn
    }
}

impl Record<Family> {
    pub fn new(fields: &[Field]) -> Record<Family> {
        let (mut parts, mut width, mut numbers, mut roots) = (Vec::new(), 0, 0, 0);
        for field in fields {
            let family = Family::of(&field.head);
            let part = Part {
                components: width..width + field.domain.width(),
                numbers: numbers..numbers + family.numbers(),
                roots: roots..roots + field.head.layers().len(),
                values: field.domain.finite.clone(),
                family,
            };
            (width, numbers, roots) = (part.components.end, part.numbers.end, part.roots.end);
            parts.push(part);
        }
        Record { parts: parts.into(), width, numbers }
    }

    /// Components of a draw.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Numbers a row.
    pub fn numbers(&self) -> usize {
        self.numbers
    }

    /// The family of each part, and its roots.
    pub fn parts(&self) -> impl Iterator<Item = (&Family, Range<usize>)> {
        self.parts.iter().map(|part| (&part.family, part.roots.clone()))
    }

    /// What each part drew.
    pub fn drawn<E: Number>(&self, reals: &[E]) -> impl Iterator<Item = Draws<E>> {
        self.parts.iter().map(|part| part.drawn(reals, self))
    }

    pub fn has_entropy(&self) -> bool {
        self.parts.iter().all(|part| part.family.has_entropy())
    }

    /// Whether each part of a row of numbers describes a distribution.
    pub fn describes<E: Number>(&self, row: &[E]) -> bool {
        self.parts.iter().all(|part| part.family.describes(&row[part.numbers.clone()]))
    }

    pub fn describe<'a, E: Number>(&self, root: &dyn Fn(usize) -> &'a [E], out: &mut [E]) {
        let count = out.len() / self.numbers;
        let mut rows = Vec::new();
        for part in self.parts.iter() {
            let own = part.numbers.len();
            rows.resize(count * own, <E as Float>::ZERO);
            let of_part: &dyn Fn(usize) -> &'a [E] = &|at| root(part.roots.start + at);
            part.family.describe(of_part, &[], &mut rows);
            for (out, row) in out.chunks_exact_mut(self.numbers).zip(rows.chunks_exact(own)) {
                out[part.numbers.clone()].copy_from_slice(row);
            }
        }
    }

    /// Appends a draw of each row.
    pub fn draw<E: Number>(
        &self,
        rows: &[E],
        choice: Choice,
        random: &mut dyn Rng,
        uniforms: &mut Vec<E>,
        into: &mut Vec<E>,
    ) {
        let (first, count) = (into.len(), rows.len() / self.numbers);
        into.resize(first + count * self.width, <E as Float>::ZERO);
        let into = &mut into[first..];
        for part in self.parts.iter() {
            let mut drawn = Draws::default();
            let random = &mut &mut *random;
            part.family.draw(&part.rows(rows, self), choice, random, uniforms, &mut drawn);
            let mut value = vec![0.0; part.components.len()];
            for (row, into) in into.chunks_exact_mut(self.width).enumerate() {
                let into = &mut into[part.components.clone()];
                match &part.values {
                    Some(values) => {
                        values.value(drawn.numbers[row] as usize, &mut value);
                        into.iter_mut().zip(&value).for_each(|(to, &from)| *to = Float::of(from));
                    }
                    None => {
                        let width = into.len();
                        into.copy_from_slice(&drawn.reals[row * width..(row + 1) * width]);
                    }
                }
            }
        }
    }

    /// The values of draws, column by column: of a squashed part those behind the squashing.
    pub fn values<E: Number>(&self, reals: &[E], columns: &mut [E]) {
        let count = reals.len() / self.width;
        let mut own = Vec::new();
        for part in self.parts.iter() {
            let into = &mut columns[part.components.start * count..part.components.end * count];
            if part.values.is_some() {
                super::turn(&component_rows(reals, part, self.width), part.components.len(), into);
                continue;
            }
            let drawn = part.drawn(reals, self);
            own.clear();
            part.family.actions(&drawn, 0..count, &mut own);
            into.copy_from_slice(&own);
        }
    }

    pub fn log_probs<E: Number>(&self, rows: &[E], reals: &[E], out: &mut [E]) {
        let mut own = vec![<E as Float>::ZERO; out.len()];
        out.fill(<E as Float>::ZERO);
        for part in self.parts.iter() {
            let drawn = part.drawn(reals, self);
            part.family.log_probs(&part.rows(rows, self), &drawn, 0..out.len(), &mut own);
            kernels::add(out, &own);
        }
    }

    /// What squashing adds to `log q` of a draw.
    pub fn log_squash<E: Number>(&self, draw: &[E]) -> E {
        let mut sum = <E as Float>::ZERO;
        for part in self.parts.iter() {
            sum += part.family.log_squash(&part.drawn(draw, self), 0);
        }
        sum
    }

    /// Turns values into draws.
    pub fn unsquash<E: Number>(&self, reals: &mut [E]) {
        for part in self.parts.iter().filter(|part| part.values.is_none()) {
            for row in reals.chunks_exact_mut(self.width) {
                part.family.unsquash(&mut row[part.components.clone()]);
            }
        }
    }

    pub fn entropies<E: Number>(&self, rows: &[E], out: &mut [E]) {
        let mut own = vec![<E as Float>::ZERO; out.len()];
        out.fill(<E as Float>::ZERO);
        for part in self.parts.iter() {
            part.family.entropies(&part.rows(rows, self), &mut own);
            kernels::add(out, &own);
        }
    }

    pub fn divergences<E: Number>(&self, q: &[E], p: &[E], out: &mut [E]) {
        let mut own = vec![<E as Float>::ZERO; out.len()];
        out.fill(<E as Float>::ZERO);
        for part in self.parts.iter() {
            part.family.divergences(&part.rows(q, self), &part.rows(p, self), &mut own);
            kernels::add(out, &own);
        }
    }

    /// The Fisher information, which has a block for each part.
    pub fn metric<'a, E: Number>(
        &self,
        rows: &[E],
        outputs: &dyn Fn(usize) -> &'a [E],
        tangent: &dyn Fn(usize) -> &'a [E],
        out: &mut [Vec<E>],
    ) {
        for part in self.parts.iter() {
            let outputs: &dyn Fn(usize) -> &'a [E] = &|at| outputs(part.roots.start + at);
            let tangent: &dyn Fn(usize) -> &'a [E] = &|at| tangent(part.roots.start + at);
            let own = &mut out[part.roots.clone()];
            part.family.metric((&part.rows(rows, self), &[]), outputs, tangent, own);
        }
    }

    pub fn score<E: Number>(
        &self,
        tape: &mut Tape<E>,
        roots: &[Matrix<E>],
        reals: &[E],
    ) -> (Matrix<E>, Matrix<E>) {
        let of = |part: &Part<Family>| {
            let drawn = part.drawn(reals, self);
            part.family.score(tape, &roots[part.roots.clone()], &[], &drawn)
        };
        let (log_probs, entropies): (Vec<_>, Vec<_>) = self.parts.iter().map(of).unzip();
        (tape.sum(log_probs), tape.sum(entropies))
    }

    pub fn log_density<E: Number>(
        &self,
        tape: &mut Tape<E>,
        roots: &[Matrix<E>],
        reals: &[E],
    ) -> Matrix<E> {
        let of = |part: &Part<Family>| {
            let drawn = part.drawn(reals, self);
            part.family.log_density(tape, &roots[part.roots.clone()], &[], &drawn)
        };
        let all = self.parts.iter().map(of).collect();
        tape.sum(all)
    }

    /// The draws of all parts side by side, each of which is followed.
    pub fn follow<E: Number>(
        &self,
        tape: &mut Tape<E>,
        roots: &[Matrix<E>],
        reals: &[E],
    ) -> OnPath<E> {
        let of = |part: &Part<Family>| {
            let drawn = part.drawn(reals, self);
            part.family.follow(tape, &roots[part.roots.clone()], &drawn.reals)
        };
        let parts: Vec<OnPath<E>> = self.parts.iter().map(of).collect();
        let columns: Vec<Matrix<E>> = parts.iter().map(|part| part.value.clone()).collect();
        let value = tape.beside(columns);
        OnPath { plain: value.clone(), value, parts }
    }

    /// Weighs `−log q` of each part.
    pub fn weigh_own<E: Number>(
        &self,
        tape: &mut Tape<E>,
        (roots, on_path): (&[Matrix<E>], &OnPath<E>),
        reals: &[E],
        weight: E,
        weighted: &mut Vec<(Matrix<E>, Vec<E>)>,
    ) {
        for (part, on_path) in self.parts.iter().zip(&on_path.parts) {
            let (drawn, roots) = (part.drawn(reals, self), &roots[part.roots.clone()]);
            let (_, entropy) = part.family.score(tape, roots, &[], &drawn);
            let own = (roots, &entropy, on_path);
            part.family.weigh_own(tape, own, &drawn.reals, weight, weighted);
        }
    }

    /// `∂ log p(x) / ∂x` of draws, row-major; 0 of a finite part.
    pub fn slopes_in_draw<E: Number>(&self, roots: &[Vec<E>], reals: &[E]) -> Vec<E> {
        let mut slopes = vec![<E as Float>::ZERO; reals.len()];
        for part in self.parts.iter().filter(|part| part.values.is_none()) {
            let drawn = part.drawn(reals, self);
            let own = part.family.slopes_in_draw(&roots[part.roots.clone()], &drawn.reals);
            let rows = slopes.chunks_exact_mut(self.width);
            for (to, own) in rows.zip(own.chunks_exact(part.components.len())) {
                to[part.components.clone()].copy_from_slice(own);
            }
        }
        slopes
    }

    pub fn divergence<E: Number>(
        &self,
        tape: &mut Tape<E>,
        q: &[Matrix<E>],
        p: &[Matrix<E>],
    ) -> Matrix<E> {
        let of = |part: &Part<Family>| {
            let own = part.roots.clone();
            part.family.divergence(tape, &q[own.clone()], &p[own])
        };
        let all = self.parts.iter().map(of).collect();
        tape.sum(all)
    }

    /// Rows of numbers as tensors that no gradient passes, part by part.
    pub fn frozen<E: Number>(&self, tape: &Tape<E>, rows: &[E]) -> Vec<Matrix<E>> {
        self.parts
            .iter()
            .flat_map(|part| part.family.frozen(tape, &part.rows(rows, self)))
            .collect()
    }
}

/// The components of a part, row by row.
fn component_rows<E: Copy>(reals: &[E], part: &Part<Family>, width: usize) -> Vec<E> {
    reals.chunks_exact(width).flat_map(|row| row[part.components.clone()].iter().copied()).collect()
}

impl<E: Number> Tape<E> {
    /// The columns of several tensors, one after the other.
    fn beside(&mut self, parts: Vec<Matrix<E>>) -> Matrix<E> {
        let widths: Vec<usize> = parts.iter().map(|part| shape_of(part).1).collect();
        let all: Vec<Vec<E>> = parts.iter().map(values_of).collect();
        let rows = all[0].len() / widths[0];
        let width = widths.iter().sum();
        let mut values = Vec::with_capacity(rows * width);
        for row in 0..rows {
            for (part, width) in all.iter().zip(&widths) {
                values.extend_from_slice(&part[row * width..(row + 1) * width]);
            }
        }
        let beside = self.constant(values, width);
        let output = beside.clone();
        self.record(move |flow| {
            let d = flow.take(&output);
            let mut first = 0;
            for (part, own) in parts.iter().zip(&widths) {
                let rows = flow.of(part).chunks_exact_mut(*own).zip(d.chunks_exact(width));
                for (to, d) in rows {
                    kernels::add(to, &d[first..first + own]);
                }
                first += own;
            }
        });
        beside
    }

    /// The sums of columns of one number a row each.
    fn sum(&mut self, parts: Vec<Matrix<E>>) -> Matrix<E> {
        let mut total = values_of(&parts[0]);
        parts[1..].iter().for_each(|part| kernels::add(&mut total, &values_of(part)));
        let total = self.constant(total, 1);
        let output = total.clone();
        self.record(move |flow| {
            let gradient = flow.take(&output);
            parts.iter().for_each(|part| kernels::add(flow.of(part), &gradient));
        });
        total
    }
}
