//! The gated recurrent unit (Cho et al. 2014) over the elements of a sequence that are there: on
//! plain slices, a row at a time.
//!
//! `r = σ(x W_r + b_r + h U_r + c_r)`, `u = σ(x W_u + b_u + h U_u + c_u)`, `n = tanh(x W_n + b_n +
//! r (h U_n + c_n))`, `h ← (1 − u) n + u h`, from `h = 0`. The columns of `W`, `U`, `b` and `c` are
//! those of the gates reset, update and new, in this order.

use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels::Inlined;

/// The parameters, as slices of one width.
#[derive(Clone, Copy)]
pub struct Weights<'a, E> {
    /// Columns × 3 widths.
    pub input: &'a [E],
    /// Width × 3 widths.
    pub recurrent: &'a [E],
    pub bias: &'a [E],
    pub recurrent_bias: &'a [E],
}

/// Where gradients of the parameters are added.
pub struct Gradients<'a, E> {
    pub input: &'a mut [E],
    pub recurrent: &'a mut [E],
    pub bias: &'a mut [E],
    pub recurrent_bias: &'a mut [E],
}

/// An element of a sequence: non-zero numbers and their columns.
pub type Element<E> = Vec<(usize, E)>;

/// Buffers of a row, made once.
#[derive(Clone, Debug, Default)]
pub struct Memory<E> {
    /// By element: the state before it, the gates r, u and n, and the recurrent part of n.
    before: Vec<E>,
    gates: Vec<E>,
    recurrent_new: Vec<E>,
    from_input: Vec<E>,
    from_state: Vec<E>,
}

/// The last state, to `out`; `memory` keeps what [`backward`] needs.
pub fn forward<E: Float>(
    weights: Weights<E>,
    elements: &[Element<E>],
    memory: &mut Memory<E>,
    out: &mut [E],
) {
    pulp::Arch::new().dispatch(Inlined(
        #[inline(always)]
        || run(weights, elements, memory, out),
    ));
}

#[inline(always)]
fn run<E: Float>(
    weights: Weights<E>,
    elements: &[Element<E>],
    memory: &mut Memory<E>,
    out: &mut [E],
) {
    let width = out.len();
    let Memory { before, gates, recurrent_new, from_input, from_state } = memory;
    before.clear();
    gates.clear();
    recurrent_new.clear();
    out.fill(E::ZERO);
    for element in elements {
        from_input.clear();
        from_input.extend_from_slice(weights.bias);
        for &(column, x) in element {
            add_scaled(from_input, &weights.input[column * 3 * width..][..3 * width], x);
        }
        from_state.clear();
        from_state.extend_from_slice(weights.recurrent_bias);
        for (row, &h) in out.iter().enumerate() {
            add_scaled(from_state, &weights.recurrent[row * 3 * width..][..3 * width], h);
        }
        before.extend_from_slice(out);
        recurrent_new.extend_from_slice(&from_state[2 * width..]);
        let first = gates.len();
        gates.resize(first + 3 * width, E::ZERO);
        let (opened, new) = gates[first..].split_at_mut(2 * width);
        for ((gate, &x), &h) in opened.iter_mut().zip(&*from_input).zip(&*from_state) {
            *gate = sigmoid(x + h);
        }
        let (reset, update) = opened.split_at(width);
        for (((new, &reset), &x), &h) in
            new.iter_mut().zip(reset).zip(&from_input[2 * width..]).zip(&from_state[2 * width..])
        {
            *new = (x + reset * h).tanh();
        }
        for ((h, &u), &n) in out.iter_mut().zip(update).zip(&*new) {
            *h = n + u * (*h - n);
        }
    }
}

/// The derivative of the last state along `direction`, which has one number for each weight; the
/// elements do not move.
pub fn along<E: Float>(
    weights: Weights<E>,
    direction: Weights<E>,
    elements: &[Element<E>],
    out: &mut [E],
) {
    let width = out.len();
    let mut state = vec![E::ZERO; width];
    out.fill(E::ZERO);
    let (mut of_input, mut of_state) = (Vec::new(), Vec::new());
    let (mut input_along, mut state_along) = (Vec::new(), Vec::new());
    for element in elements {
        let restart = |list: &mut Vec<E>, bias: &[E]| {
            list.clear();
            list.extend_from_slice(bias);
        };
        restart(&mut of_input, weights.bias);
        restart(&mut input_along, direction.bias);
        for &(column, x) in element {
            let row = column * 3 * width..(column + 1) * 3 * width;
            add_scaled(&mut of_input, &weights.input[row.clone()], x);
            add_scaled(&mut input_along, &direction.input[row], x);
        }
        restart(&mut of_state, weights.recurrent_bias);
        restart(&mut state_along, direction.recurrent_bias);
        for (at, (&h, &dh)) in state.iter().zip(&*out).enumerate() {
            let row = at * 3 * width..(at + 1) * 3 * width;
            add_scaled(&mut of_state, &weights.recurrent[row.clone()], h);
            add_scaled(&mut state_along, &direction.recurrent[row.clone()], h);
            add_scaled(&mut state_along, &weights.recurrent[row], dh);
        }
        for (at, (h, dh)) in state.iter_mut().zip(out.iter_mut()).enumerate() {
            let gate = |gate: usize| {
                let at = gate * width + at;
                let opened = sigmoid(of_input[at] + of_state[at]);
                (opened, opened * (E::ONE - opened) * (input_along[at] + state_along[at]))
            };
            let ((reset, reset_along), (update, update_along)) = (gate(0), gate(1));
            let of_new = 2 * width + at;
            let new = (of_input[of_new] + reset * of_state[of_new]).tanh();
            let inner =
                input_along[of_new] + reset_along * of_state[of_new] + reset * state_along[of_new];
            let new_along = (E::ONE - new * new) * inner;
            *dh = new_along + update_along * (*h - new) + update * (*dh - new_along);
            *h = new + update * (*h - new);
        }
    }
}

/// Adds the gradients of the parameters, given that of the last state, `d`, which is used up;
/// `memory` is that of the forward pass. Where `passed` has lists, one for each element, those get
/// the gradients of the element's numbers.
pub fn backward<E: Float>(
    weights: Weights<E>,
    elements: &[Element<E>],
    memory: &mut Memory<E>,
    d: &mut [E],
    (into, passed): (&mut Gradients<E>, &mut [Vec<E>]),
) {
    pulp::Arch::new().dispatch(Inlined(
        #[inline(always)]
        || run_back(weights, elements, memory, d, (into, passed)),
    ));
}

#[inline(always)]
fn run_back<E: Float>(
    weights: Weights<E>,
    elements: &[Element<E>],
    memory: &mut Memory<E>,
    d: &mut [E],
    (into, passed): (&mut Gradients<E>, &mut [Vec<E>]),
) {
    let width = d.len();
    let Memory { before, gates, recurrent_new, from_input, from_state } = memory;
    from_input.resize(3 * width, E::ZERO);
    from_state.resize(3 * width, E::ZERO);
    for (at, element) in elements.iter().enumerate().rev() {
        let before = &before[at * width..][..width];
        let gates = &gates[at * 3 * width..][..3 * width];
        let recurrent_new = &recurrent_new[at * width..][..width];
        for k in 0..width {
            let (r, u, n) = (gates[k], gates[width + k], gates[2 * width + k]);
            let d_new = d[k] * (E::ONE - u) * (E::ONE - n * n);
            from_input[k] = d_new * recurrent_new[k] * r * (E::ONE - r);
            from_input[width + k] = d[k] * (before[k] - n) * u * (E::ONE - u);
            from_input[2 * width + k] = d_new;
            from_state[k] = from_input[k];
            from_state[width + k] = from_input[width + k];
            from_state[2 * width + k] = d_new * r;
            d[k] *= u;
        }
        add_scaled(into.bias, from_input, E::ONE);
        add_scaled(into.recurrent_bias, from_state, E::ONE);
        for &(column, x) in element {
            add_scaled(&mut into.input[column * 3 * width..][..3 * width], from_input, x);
        }
        if let Some(passed) = passed.get_mut(at) {
            passed.clear();
            passed.extend(element.iter().map(|&(column, _)| {
                dot(&weights.input[column * 3 * width..][..3 * width], from_input)
            }));
        }
        for (row, &h) in before.iter().enumerate() {
            let own = row * 3 * width..(row + 1) * 3 * width;
            add_scaled(&mut into.recurrent[own.clone()], from_state, h);
            d[row] += dot(&weights.recurrent[own], from_state);
        }
    }
}

#[inline(always)]
fn sigmoid<E: Float>(x: E) -> E {
    E::ONE / (E::ONE + (E::ZERO - x).exp())
}

#[inline(always)]
fn add_scaled<E: Float>(into: &mut [E], from: &[E], factor: E) {
    for (into, &from) in into.iter_mut().zip(from) {
        *into += factor * from;
    }
}

/// In lanes, so that it vectorises.
#[inline(always)]
fn dot<E: Float>(a: &[E], b: &[E]) -> E {
    const LANES: usize = 16;
    let mut lanes = [E::ZERO; LANES];
    let (a_lanes, b_lanes) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let mut sum = E::ZERO;
    for (&a, &b) in a_lanes.remainder().iter().zip(b_lanes.remainder()) {
        sum += a * b;
    }
    for (a, b) in a_lanes.zip(b_lanes) {
        for (lane, (&a, &b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    for lane in lanes {
        sum += lane;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::testing::{assert_gradient, numbers};

    const WIDTH: usize = 3;
    const COLUMNS: usize = 4;
    const SIZES: [usize; 4] = [COLUMNS * 3 * WIDTH, WIDTH * 3 * WIDTH, 3 * WIDTH, 3 * WIDTH];

    fn weights(parameters: &[f64]) -> Weights<'_, f64> {
        let (input, rest) = parameters.split_at(SIZES[0]);
        let (recurrent, rest) = rest.split_at(SIZES[1]);
        let (bias, recurrent_bias) = rest.split_at(SIZES[2]);
        Weights { input, recurrent, bias, recurrent_bias }
    }

    #[test]
    fn gradients_are_differences() {
        let parameters = numbers(SIZES.iter().sum(), 1);
        let elements = vec![vec![(1, 1.0)], vec![(0, 0.5), (3, -2.0)], vec![(2, 1.0)]];
        let weight = numbers(WIDTH, 2);
        let value = |parameters: &[f64]| {
            let mut out = vec![0.0; WIDTH];
            forward(weights(parameters), &elements, &mut Memory::default(), &mut out);
            out.iter().zip(&weight).map(|(h, w)| h * w).sum()
        };
        let (mut memory, mut out) = (Memory::default(), vec![0.0; WIDTH]);
        forward(weights(&parameters), &elements, &mut memory, &mut out);
        let mut gradient = vec![0.0; parameters.len()];
        let (input, rest) = gradient.split_at_mut(SIZES[0]);
        let (recurrent, rest) = rest.split_at_mut(SIZES[1]);
        let (bias, recurrent_bias) = rest.split_at_mut(SIZES[2]);
        let mut into = Gradients { input, recurrent, bias, recurrent_bias };
        let mut passed = vec![Vec::new(); elements.len()];
        let d = &mut weight.clone();
        let into = (&mut into, &mut passed[..]);
        backward(weights(&parameters), &elements, &mut memory, d, into);
        assert_gradient(&parameters, &gradient, value);
        let numbers: Vec<f64> = elements.iter().flatten().map(|(_, x)| *x).collect();
        assert_gradient(&numbers, &passed.concat(), |numbers| {
            let mut rest = numbers.iter();
            let moved = elements.iter().map(|element| {
                element.iter().zip(&mut rest).map(|((column, _), x)| (*column, *x)).collect()
            });
            let moved: Vec<Element<f64>> = moved.collect();
            let mut out = vec![0.0; WIDTH];
            forward(weights(&parameters), &moved, &mut Memory::default(), &mut out);
            out.iter().zip(&weight).map(|(h, w)| h * w).sum()
        });
    }

    #[test]
    fn derivatives_along_a_direction_are_differences() {
        let parameters = numbers(SIZES.iter().sum(), 1);
        let direction = numbers(parameters.len(), 4);
        let elements = vec![vec![(1, 1.0)], vec![(0, 0.5), (3, -2.0)], vec![(2, 1.0)]];
        let mut found = vec![1.0; WIDTH];
        along(weights(&parameters), weights(&direction), &elements, &mut found);
        let at = |h: f64| {
            let moved: Vec<f64> =
                parameters.iter().zip(&direction).map(|(x, d)| x + h * d).collect();
            let mut out = vec![0.0; WIDTH];
            forward(weights(&moved), &elements, &mut Memory::default(), &mut out);
            out
        };
        for (found, (up, down)) in found.iter().zip(at(1e-6).iter().zip(at(-1e-6))) {
            let difference = (up - down) / 2e-6;
            assert!((found - difference).abs() < 1e-8, "{found} is not {difference}");
        }
    }

    #[test]
    fn an_empty_sequence_leaves_the_state_at_zero() {
        let mut out = vec![1.0; WIDTH];
        forward(weights(&numbers(SIZES.iter().sum(), 1)), &[], &mut Memory::default(), &mut out);
        assert_eq!(out, [0.0; WIDTH]);
    }
}
