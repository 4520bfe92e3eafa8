//! Expressions compiled to a program over columns: one register holds a block of rows, one
//! instruction works on whole registers.
//!
//! The params are folded in when the program is made, and nothing is allocated when it runs. In
//! `f64` a program computes bit for bit what [`super::Graph::evaluate`] does; in `f32` it contracts
//! products into sums and uses its own elementary functions.

use super::instruction::{Instruction, Register, Ternary};
use super::real::LANES;
use super::{BinaryOp, InputId, Real, UnaryOp};
use std::cell::Cell;

/// Rows that are worked on together: a register of them is 512 bytes in `f32`.
pub(super) const BLOCK: usize = 128;

/// Compiled expressions. Immutable: threads share it, each with a [`Scratch`] of its own.
#[derive(Clone, Debug)]
pub struct Program<E> {
    pub(super) instructions: Vec<Instruction>,
    /// Stand in the first registers.
    pub(super) constants: Vec<E>,
    pub(super) registers: usize,
    pub(super) tables: Vec<Vec<E>>,
    pub(super) outputs: Vec<Register>,
}

/// The registers of a run; made once, by [`Program::scratch`], for one program.
pub struct Scratch<E> {
    registers: Vec<Values<E>>,
}

/// A register. Aligned, so that no vector of it lies across two lines of the cache; of cells, since
/// a target may be an operand.
#[repr(align(64))]
struct Values<E>([Cell<E>; BLOCK]);

/// The values of an input: one for each row, or one for all.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a, E> {
    Each(&'a [E]),
    Same(E),
}

impl<E: Real> Program<E> {
    pub fn scratch(&self) -> Scratch<E> {
        let constants = self.constants.iter().copied().chain(std::iter::repeat(E::ZERO));
        let registers = constants
            .take(self.registers)
            .map(|value| Values(std::array::from_fn(|_| Cell::new(value))))
            .collect();
        Scratch { registers }
    }

    /// Number of outputs.
    pub fn width(&self) -> usize {
        self.outputs.len()
    }

    /// Evaluates `rows` rows: output `k` of row `i` is written to `out[k · stride + i]`. `inputs`
    /// is asked for the columns that the program reads, each of at least `rows` values, and `time`
    /// is `t`, counted from 1.
    ///
    /// # Panics
    /// If a column or `out` is too short.
    pub fn run<'a>(
        &self,
        inputs: &dyn Fn(InputId) -> Column<'a, E>,
        time: Column<'a, E>,
        rows: usize,
        out: &mut [E],
        stride: usize,
        scratch: &mut Scratch<E>,
    ) {
        assert_eq!(
            scratch.registers.len(),
            self.registers,
            "program: the scratch was made for this program"
        );
        pulp::Arch::new().dispatch(Run {
            program: self,
            inputs,
            time,
            rows,
            out,
            stride,
            registers: &scratch.registers,
        });
    }

    /// Runs the instructions on rows `start..start + count`.
    #[inline(always)]
    fn execute<'a>(
        &self,
        inputs: &dyn Fn(InputId) -> Column<'a, E>,
        time: Column<'a, E>,
        start: usize,
        count: usize,
        registers: &[Values<E>],
    ) {
        let filled = count.next_multiple_of(LANES);
        let r = |register: Register| &registers[register.0 as usize].0[..filled];
        for instruction in &self.instructions {
            let d = r(instruction.target());
            match *instruction {
                Instruction::Input { input, .. } => read(d, inputs(input), start, count),
                Instruction::Time { .. } => read(d, time, start, count),
                Instruction::Unary { op, x, .. } => unary(op, d, r(x)),
                Instruction::Square { x, .. } => map1(d, r(x), |x| x * x),
                Instruction::Binary { op, x, y, .. } => binary(op, d, r(x), r(y)),
                Instruction::Ternary { op, x, y, z, .. } => ternary(op, d, r(x), r(y), r(z)),
                Instruction::SinCos { cos, x, .. } => sin_cos(d, r(cos), r(x)),
                Instruction::Lookup { table, index, .. } => {
                    let table = &self.tables[table as usize][..];
                    map1(d, r(index), |index| entry(table, index));
                }
                Instruction::Nothing { .. } => d.iter().for_each(|d| d.set(E::NAN)),
                Instruction::Pick { item, index, position, .. } => {
                    let position = E::from_u32(position);
                    map3(
                        d,
                        d,
                        r(item),
                        r(index),
                        |d, item, index| if index == position { item } else { d },
                    );
                }
            }
        }
    }
}

/// One run, in a form that is compiled once for each set of vector instructions. (A closure is not:
/// its call is not inlined.)
struct Run<'r, 'a, E> {
    program: &'r Program<E>,
    inputs: &'r dyn Fn(InputId) -> Column<'a, E>,
    time: Column<'a, E>,
    rows: usize,
    out: &'r mut [E],
    stride: usize,
    registers: &'r [Values<E>],
}

impl<E: Real> pulp::NullaryFnOnce for Run<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for start in (0..self.rows).step_by(BLOCK) {
            let count = BLOCK.min(self.rows - start);
            self.program.execute(self.inputs, self.time, start, count, self.registers);
            for (k, register) in self.program.outputs.iter().enumerate() {
                let values = &self.registers[register.0 as usize].0[..count];
                self.out[k * self.stride + start..][..count]
                    .iter_mut()
                    .zip(values)
                    .for_each(|(out, value)| *out = value.get());
            }
        }
    }
}

/// Copies a block of an input. Lanes behind the last row keep what they had: their results are not
/// read.
#[inline(always)]
fn read<E: Real>(d: &[Cell<E>], column: Column<'_, E>, start: usize, count: usize) {
    match column {
        Column::Each(values) => {
            d.iter().zip(&values[start..start + count]).for_each(|(d, &value)| d.set(value))
        }
        Column::Same(value) => d.iter().for_each(|d| d.set(value)),
    }
}

#[inline(always)]
fn unary<E: Real>(op: UnaryOp, d: &[Cell<E>], x: &[Cell<E>]) {
    match op {
        UnaryOp::Negate => map1(d, x, |x| -x),
        UnaryOp::Not => map1(d, x, |x| truth(x == E::ZERO)),
        UnaryOp::Abs => map1(d, x, |x| x.abs()),
        UnaryOp::Sign => map1(d, x, |x| {
            let positive = if x > E::ZERO { E::ONE } else { x };
            if x < E::ZERO { -E::ONE } else { positive }
        }),
        UnaryOp::Floor => map1(d, x, |x| x.floor()),
        UnaryOp::Round => map1(d, x, |x| {
            let whole = x.trunc();
            let rest = x - whole;
            let moved = if rest >= E::from_f64(0.5) { whole + E::ONE } else { whole };
            if rest <= E::from_f64(-0.5) { whole - E::ONE } else { moved }
        }),
        UnaryOp::Exp => map1(d, x, |x| x.exp()),
        UnaryOp::Log => map1(d, x, |x| x.log()),
        UnaryOp::Sqrt => map1(d, x, |x| x.sqrt()),
        // `compile` makes these one instruction
        UnaryOp::Sin | UnaryOp::Cos => {}
        UnaryOp::Tan => map1(d, x, |x| x.tan()),
        UnaryOp::Tanh => map1(d, x, |x| x.tanh()),
        UnaryOp::Sigmoid => map1(d, x, |x| E::ONE / (E::ONE + (-x).exp())),
        UnaryOp::Softplus => map1(d, x, |x| x.softplus()),
        UnaryOp::LogGamma | UnaryOp::Polygamma(_) => {
            map1(d, x, |x| E::from_f64(op.apply(x.to_f64())))
        }
    }
}

#[inline(always)]
fn binary<E: Real>(op: BinaryOp, d: &[Cell<E>], x: &[Cell<E>], y: &[Cell<E>]) {
    match op {
        BinaryOp::Add => map2(d, x, y, |x, y| x + y),
        BinaryOp::Subtract => map2(d, x, y, |x, y| x - y),
        BinaryOp::Multiply => map2(d, x, y, |x, y| x * y),
        BinaryOp::Divide => map2(d, x, y, |x, y| x / y),
        BinaryOp::Power => map2(d, x, y, |x, y| x.power(y)),
        // a NaN operand gives NaN
        BinaryOp::Min => map2(d, x, y, |x, y| if x < y || x.is_nan() { x } else { y }),
        BinaryOp::Max => map2(d, x, y, |x, y| if x > y || x.is_nan() { x } else { y }),
        BinaryOp::Modulo => map2(d, x, y, |x, y| x.modulo(y)),
        BinaryOp::Atan2 => map2(d, x, y, |y, x| y.atan2(x)),
        BinaryOp::Equal => map2(d, x, y, |x, y| truth(x == y)),
        BinaryOp::NotEqual => map2(d, x, y, |x, y| truth(x != y)),
        BinaryOp::Less => map2(d, x, y, |x, y| truth(x < y)),
        BinaryOp::LessEqual => map2(d, x, y, |x, y| truth(x <= y)),
        BinaryOp::And => map2(d, x, y, |x, y| truth((x != E::ZERO) & (y != E::ZERO))),
        BinaryOp::Or => map2(d, x, y, |x, y| truth((x != E::ZERO) | (y != E::ZERO))),
    }
}

#[inline(always)]
fn ternary<E: Real>(op: Ternary, d: &[Cell<E>], x: &[Cell<E>], y: &[Cell<E>], z: &[Cell<E>]) {
    match op {
        Ternary::If => map3(d, x, y, z, |x, y, z| if x != E::ZERO { y } else { z }),
        Ternary::MultiplyAdd => map3(d, x, y, z, |x, y, z| x.multiply_add(y, z)),
        Ternary::MultiplySubtract => map3(d, x, y, z, |x, y, z| x.multiply_add(y, -z)),
        Ternary::NegateMultiplyAdd => map3(d, x, y, z, |x, y, z| (-x).multiply_add(y, z)),
    }
}

#[inline(always)]
fn truth<E: Real>(holds: bool) -> E {
    if holds { E::ONE } else { E::ZERO }
}

#[inline(always)]
fn entry<E: Real>(table: &[E], index: E) -> E {
    let at = index.to_usize();
    // the index is negative or NaN, or not whole, where this does not give it back
    let whole = E::from_u32(at as u32) == index;
    if whole { table.get(at).copied().unwrap_or(E::NAN) } else { E::NAN }
}

// Operands are read into a value of their own before anything is stored: a target may be an
// operand, and the loops vectorise.

#[inline(always)]
fn sin_cos<E: Real>(sin: &[Cell<E>], cos: &[Cell<E>], x: &[Cell<E>]) {
    let (sin, cos, x) =
        (sin.as_chunks::<LANES>().0, cos.as_chunks::<LANES>().0, x.as_chunks::<LANES>().0);
    for ((sin, cos), x) in sin.iter().zip(cos).zip(x) {
        let (mut s, mut c) = ([E::ZERO; LANES], [E::ZERO; LANES]);
        E::sin_cos(&mut s, &mut c, &load(x));
        store(sin, s);
        store(cos, c);
    }
}

#[inline(always)]
fn map1<E: Real>(d: &[Cell<E>], x: &[Cell<E>], f: impl Fn(E) -> E) {
    for (d, x) in d.as_chunks::<LANES>().0.iter().zip(x.as_chunks::<LANES>().0) {
        let mut lanes = load(x);
        for lane in &mut lanes {
            *lane = f(*lane);
        }
        store(d, lanes);
    }
}

#[inline(always)]
fn map2<E: Real>(d: &[Cell<E>], x: &[Cell<E>], y: &[Cell<E>], f: impl Fn(E, E) -> E) {
    let (d, x, y) = (d.as_chunks::<LANES>().0, x.as_chunks::<LANES>().0, y.as_chunks::<LANES>().0);
    for ((d, x), y) in d.iter().zip(x).zip(y) {
        let mut lanes = [E::ZERO; LANES];
        for i in 0..LANES {
            lanes[i] = f(x[i].get(), y[i].get());
        }
        store(d, lanes);
    }
}

#[inline(always)]
fn map3<E: Real>(
    d: &[Cell<E>],
    x: &[Cell<E>],
    y: &[Cell<E>],
    z: &[Cell<E>],
    f: impl Fn(E, E, E) -> E,
) {
    let (d, x) = (d.as_chunks::<LANES>().0, x.as_chunks::<LANES>().0);
    let (y, z) = (y.as_chunks::<LANES>().0, z.as_chunks::<LANES>().0);
    for (((d, x), y), z) in d.iter().zip(x).zip(y).zip(z) {
        let mut lanes = [E::ZERO; LANES];
        for i in 0..LANES {
            lanes[i] = f(x[i].get(), y[i].get(), z[i].get());
        }
        store(d, lanes);
    }
}

#[inline(always)]
fn load<E: Real>(x: &[Cell<E>; LANES]) -> [E; LANES] {
    let mut lanes = [E::ZERO; LANES];
    lanes.iter_mut().zip(x).for_each(|(lane, x)| *lane = x.get());
    lanes
}

#[inline(always)]
fn store<E: Real>(d: &[Cell<E>; LANES], lanes: [E; LANES]) {
    d.iter().zip(lanes).for_each(|(d, lane)| d.set(lane));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Node;
    use crate::expr::testing::{UNARY, grow};
    use crate::expr::{ExprId, Graph};
    use proptest::prelude::*;

    fn run<E: Real>(g: &Graph, roots: &[ExprId], columns: &[Vec<f64>], times: &[f64]) -> Vec<E> {
        let program = Program::<E>::compile(g, roots, &[0.75]);
        let columns: Vec<Vec<E>> =
            columns.iter().map(|c| c.iter().map(|&v| E::from_f64(v)).collect()).collect();
        let times: Vec<E> = times.iter().map(|&t| E::from_f64(t)).collect();
        let mut out = vec![E::ZERO; roots.len() * times.len()];
        let read = |input: InputId| Column::Each(&columns[input.0 as usize][..]);
        program.run(
            &read,
            Column::Each(&times),
            times.len(),
            &mut out,
            times.len(),
            &mut program.scratch(),
        );
        out
    }

    fn columns(rows: usize, seed: u64) -> Vec<Vec<f64>> {
        let value = |i: usize, j: usize| {
            let bits = (seed ^ (i * 1_000 + j) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            ((bits >> 40) as f64 / (1u64 << 24) as f64 * 8.0 - 4.0)
                * if bits.is_multiple_of(3) { 1.0 } else { 0.25 }
        };
        (0..3)
            .map(|i| {
                (0..rows)
                    .map(|j| if j % 7 == 0 { (j % 5) as f64 - 2.0 } else { value(i, j) })
                    .collect()
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(7),
            failure_persistence: None,
            ..ProptestConfig::with_cases(400)
        })]

        #[test]
        fn a_program_computes_in_f64_what_evaluation_does(
            recipe in proptest::collection::vec(any::<(u8, u8, u8, u8)>(), 1..60),
            seed: u64,
        ) {
            let (named, pool) = grow(&recipe);
            // folding may change the sign of a zero, so the reference has the params folded in as
            // well
            let mut g = Graph::default();
            let last = &pool[pool.len().saturating_sub(12)..];
            let roots = &named.specialise_into(last, &[0.75], &mut g)[..];
            let rows = 1 + recipe.len() * 5; // below, at and above a block
            let columns = columns(rows, seed);
            let times: Vec<f64> = (1..=rows).map(|t| t as f64).collect();
            let out = run::<f64>(&named, last, &columns, &times);
            for row in (0..rows).step_by(11).chain([rows - 1]) {
                let read = |input: InputId| columns[input.0 as usize][row];
                for (k, &root) in roots.iter().enumerate() {
                    let exact = g.evaluate(root, &[0.75], &read, times[row]);
                    let value = out[k * rows + row];
                    prop_assert!(value == exact || (value.is_nan() && exact.is_nan()),
    "row {row}, {:?}: {value}, not {exact}", g.node(root));
                }
            }
        }

        /// In `f32` roundings differ, so only functions that pass on small errors as small ones are
        /// drawn.
        #[test]
        fn a_program_in_f32_is_close(
            recipe in proptest::collection::vec(any::<(u8, u8, u8, u8)>(), 1..12),
            seed: u64,
        ) {
            let smooth = [0u8, 2, 9, 10, 12, 13, 14, 15, 16, 17, 20, 21, 37, 38, 39];
            let recipe: Vec<_> = recipe
                .into_iter()
                .map(|(k, a, b, c)| (smooth[k as usize % smooth.len()], a, b, c))
                .collect();
            let (g, pool) = grow(&recipe);
            let rows = 70;
            let columns: Vec<Vec<f64>> = columns(rows, seed)
                .iter()
                .map(|c| c.iter().map(|&v| f64::from(v as f32)).collect())
                .collect();
            let times = vec![1.0; rows];
            let out = run::<f32>(&g, &pool, &columns, &times);
            for row in 0..rows {
                let read = |input: InputId| columns[input.0 as usize][row];
                let value = |of: ExprId| g.evaluate(of, &[0.75], &read, 1.0);
                // the size of what was added up bounds what cancellation may bring to light
                let sizes = g.reach(&pool).into_iter().map(|id| value(id).abs());
                let scale = sizes.fold(1.0, f64::max);
                prop_assume!(scale < 50.0);
                for (k, &root) in pool.iter().enumerate() {
                    let (value, exact) = (f64::from(out[k * rows + row]), value(root));
                    prop_assert!(
                        (value - exact).abs() <= 2e-3 * scale,
                        "{:?}: {value}, not {exact}",
                        g.node(root)
                    );
                }
            }
        }
    }

    #[test]
    fn registers_are_used_again() {
        let mut g = Graph::default();
        let mut x = g.input(InputId(0));
        for i in 0..1000 {
            let op = UNARY[[5usize, 9, 12][i % 3]];
            x = g.unary(op, x);
        }
        let program = Program::<f32>::compile(&g, &[x], &[]);
        assert!(program.registers <= 4, "{} registers", program.registers);
    }

    #[test]
    fn an_untaken_division_by_zero_and_a_missing_entry_do_not_spread() {
        let mut g = Graph::default();
        let (x, one, zero) = (g.input(InputId(0)), g.constant(1.0), g.constant(0.0));
        let table = g.intern_table(vec![5.0, 7.0]);
        let entry = g.lookup(table, x);
        let inverse = g.binary(BinaryOp::Divide, one, x);
        let is_zero = g.binary(BinaryOp::Equal, x, zero);
        let safe = g.if_(is_zero, zero, inverse);
        let xs = [0.0f32, 1.0, 2.0, -1.0, 0.5, f32::NAN];
        let program = Program::<f32>::compile(&g, &[safe, entry], &[]);
        let mut out = [9.0f32; 12];
        program.run(
            &|_| Column::Each(&xs),
            Column::Same(1.0),
            6,
            &mut out,
            6,
            &mut program.scratch(),
        );
        assert_eq!(out[..4], [0.0, 1.0, 0.5, -1.0]);
        assert_eq!(out[6..8], [5.0, 7.0]);
        assert!(out[8..].iter().all(|v| v.is_nan()));
    }

    #[test]
    fn large_angles_are_reduced() {
        let mut g = Graph::default();
        let x = g.input(InputId(0));
        let sin = g.unary(UnaryOp::Sin, x);
        assert!(matches!(g.node(sin), Node::Unary(UnaryOp::Sin, _)));
        let out = run::<f32>(&g, &[sin], &[vec![1e7, 0.5, -3e8]], &[1.0; 3]);
        for (value, x) in out.iter().zip([1e7f64, 0.5, -3e8]) {
            assert!((f64::from(*value) - x.sin()).abs() < 1e-6);
        }
    }
}
