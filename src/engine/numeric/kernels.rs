//! Loops over slices of numbers, compiled for AVX-512, AVX2 and the baseline and chosen at run
//! time; and matrix products.
//!
//! The loops are plain Rust that the compiler vectorises for the instruction set that `pulp` finds:
//! 2 to 8 times faster than for the x86-64 baseline. The bits of a result depend on the instruction
//! set and on nothing else. Matrices are row-major.

use super::float::Float;

/// Makes the body one function per instruction set. It stays a function with arguments, since the
/// compiler knows of arguments, not of what a closure holds, that they do not overlap.
macro_rules! vectorised {
    ($(
        $(#[$meta:meta])*
        pub fn $name:ident<$E:ident>($($a:ident: $t:ty),* $(,)?) $(-> $r:ty)? $body:block
    )*) => { $(
        $(#[$meta])*
        pub fn $name<$E: Float>($($a: $t),*) $(-> $r)? {
            #[inline(always)]
            fn body<$E: Float>($($a: $t),*) $(-> $r)? $body
            pulp::Arch::new().dispatch(Inlined(#[inline(always)] move || body($($a),*)))
        }
    )* };
}

/// A loop to be compiled for the instruction set that `pulp` finds. A bare closure is called
/// through a shim, which is compiled for the baseline, and then a multiply-add is a call of the
/// library's.
pub(in crate::engine) struct Inlined<F>(pub F);

impl<R, F: FnMut() -> R> pulp::NullaryFnOnce for Inlined<F> {
    type Output = R;

    #[inline(always)]
    fn call(mut self) -> R {
        (self.0)()
    }
}

/// Numbers below 1e-38 slow a product by 200 times: every worker thread calls this before it
/// computes.
pub fn flush_denormals() {
    dfdx::flush_denormals_to_zero();
}

/// Whether a result replaces what its buffer held or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    Store,
    Add,
}

/// A matrix seen in a slice.
#[derive(Clone, Copy)]
pub struct View<'a, E> {
    data: &'a [E],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, E: Float> View<'a, E> {
    pub fn new(data: &'a [E], rows: usize, columns: usize) -> View<'a, E> {
        assert!(
            data.len() >= rows * columns,
            "a view of {rows} × {columns} over {} numbers",
            data.len()
        );
        View { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    pub fn transposed(self) -> View<'a, E> {
        View {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// `c = a b` or `c += a b` on one thread.
pub fn product<E: Float>(a: View<E>, b: View<E>, c: &mut [E], write: Write) {
    assert!(
        a.columns == b.rows && c.len() >= a.rows * b.columns,
        "product: shapes are checked when the network is compiled"
    );
    let (keep, add) = match write {
        Write::Store => (E::ZERO, false),
        Write::Add => (E::ONE, true),
    };
    // SAFETY: `View::new` checked that each operand lies within its slice, the line above that `c`
    // holds the result; `c` is borrowed mutably, so it overlaps neither.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            c.as_mut_ptr(),
            1,
            b.columns as isize,
            add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            keep,
            E::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

vectorised! {
    /// Every row of `y` becomes `row`.
    pub fn fill_rows<E>(y: &mut [E], row: &[E]) {
        for y in y.chunks_exact_mut(row.len()) {
            y.copy_from_slice(row);
        }
    }

    /// `y += x`
    pub fn add<E>(y: &mut [E], x: &[E]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }

    /// `y *= factor`
    pub fn scale<E>(y: &mut [E], factor: E) {
        for y in y {
            *y *= factor;
        }
    }

    /// `Σ x²`, in `f64` over eight partial sums, so that long sums keep their digits.
    pub fn sum_of_squares<E>(x: &[E]) -> f64 {
        let (eights, rest) = x.as_chunks::<8>();
        let mut sums = [0.0f64; 8];
        for eight in eights {
            for (sum, &x) in sums.iter_mut().zip(eight) {
                *sum += x.as_f64() * x.as_f64();
            }
        }
        sums.iter().sum::<f64>() + rest.iter().map(|&x| x.as_f64() * x.as_f64()).sum::<f64>()
    }

    /// Whether no number is NaN or infinite.
    pub fn all_finite<E>(x: &[E]) -> bool {
        // 0 · x is 0 for every finite x and NaN for every other
        let (eights, rest) = x.as_chunks::<8>();
        let mut sums = [E::ZERO; 8];
        for eight in eights {
            for (sum, &x) in sums.iter_mut().zip(eight) {
                *sum += E::ZERO * x;
            }
        }
        sums.iter().chain(rest).all(|x| x.is_finite())
    }

    /// Whether no number is NaN; infinities are none.
    pub fn none_nan<E>(x: &[E]) -> bool {
        // counted, not returned from: the loop then has no branch
        let mut found = 0u32;
        for &x in x {
            found += u32::from(x.is_nan());
        }
        found == 0
    }

    /// `sums += Σ_rows rows`
    pub fn add_column_sums<E>(sums: &mut [E], rows: &[E]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, &x) in sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }

    /// Row `i` of `y` (`width` numbers) `+=` row `index[i]` of `table`.
    pub fn add_gathered<E>(y: &mut [E], table: &[E], index: &[u32], width: usize) {
        for (y, &at) in y.chunks_exact_mut(width).zip(index) {
            let at = at as usize * width;
            for (y, &x) in y.iter_mut().zip(&table[at..at + width]) {
                *y += x;
            }
        }
    }

    /// Row `index[i]` of `table` `+=` row `i` of `y` (`width` numbers).
    pub fn add_scattered<E>(table: &mut [E], y: &[E], index: &[u32], width: usize) {
        for (y, &at) in y.chunks_exact(width).zip(index) {
            let at = at as usize * width;
            for (x, &y) in table[at..at + width].iter_mut().zip(y) {
                *x += y;
            }
        }
    }

    /// `y += x w` for few columns of `x` (`inputs`): row by row, the row of `y` stays in registers.
    pub fn add_product_of_few<E>(y: &mut [E], x: &[E], w: &[E], inputs: usize) {
        let width = w.len() / inputs;
        for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(inputs)) {
            for (&x, w) in x.iter().zip(w.chunks_exact(width)) {
                for (y, &w) in y.iter_mut().zip(w) {
                    *y = x.mul_add(w, *y);
                }
            }
        }
    }

    /// `w += xᵀ dy` for few columns of `x` (`inputs`).
    pub fn add_outer_of_few<E>(w: &mut [E], x: &[E], dy: &[E], inputs: usize) {
        let width = w.len() / inputs;
        for (x, dy) in x.chunks_exact(inputs).zip(dy.chunks_exact(width)) {
            for (&x, w) in x.iter().zip(w.chunks_exact_mut(width)) {
                for (w, &dy) in w.iter_mut().zip(dy) {
                    *w = x.mul_add(dy, *w);
                }
            }
        }
    }

    /// `y = tanh(y)`
    pub fn tanh<E>(y: &mut [E]) {
        for y in y {
            *y = y.tanh();
        }
    }

    /// `y = max(y, 0)`
    pub fn relu<E>(y: &mut [E]) {
        for y in y {
            *y = if *y < E::ZERO { E::ZERO } else { *y };
        }
    }

    /// `y = 1 / (1 + exp(−y))`, as `(1 + tanh(y / 2)) / 2`, which cannot overflow.
    pub fn sigmoid<E>(y: &mut [E]) {
        let half = E::of(0.5);
        for y in y {
            *y = half.mul_add((half * *y).tanh(), half);
        }
    }

    /// `y = log(1 + exp(y))`
    pub fn softplus<E>(y: &mut [E]) {
        for y in y {
            *y = y.softplus();
        }
    }

    /// `dy *= 1 − y²`: the derivative of `y = tanh(x)`.
    pub fn tanh_derivative<E>(dy: &mut [E], y: &[E]) {
        for (dy, &y) in dy.iter_mut().zip(y) {
            *dy *= E::ONE - y * y;
        }
    }

    /// `dy = 0` where `y = max(x, 0)` is 0.
    pub fn relu_derivative<E>(dy: &mut [E], y: &[E]) {
        for (dy, &y) in dy.iter_mut().zip(y) {
            *dy = if y > E::ZERO { *dy } else { E::ZERO };
        }
    }

    /// `dy *= y (1 − y)`: the derivative of `y = sigmoid(x)`.
    pub fn sigmoid_derivative<E>(dy: &mut [E], y: &[E]) {
        for (dy, &y) in dy.iter_mut().zip(y) {
            *dy *= y * (E::ONE - y);
        }
    }

    /// `dy *= 1 − exp(−y)`: the derivative of `y = softplus(x)`, which is `sigmoid(x)`.
    pub fn softplus_derivative<E>(dy: &mut [E], y: &[E]) {
        for (dy, &y) in dy.iter_mut().zip(y) {
            *dy *= E::ONE - (-y).exp();
        }
    }

    /// A step of Adam on `x` with first moment `m`, second moment `v` and gradient `g`.
    pub fn adam<E>(x: &mut [E], m: &mut [E], v: &mut [E], g: &[E], step: &AdamStep<E>) {
        let (one1, one2) = (E::ONE - step.beta1, E::ONE - step.beta2);
        for (((x, m), v), &g) in x.iter_mut().zip(m).zip(v).zip(g) {
            *m = *m * step.beta1 + g * one1;
            *v = *v * step.beta2 + g * g * one2;
            *x -= step.rate * (*m * step.unbias1) / ((*v * step.unbias2).sqrt() + step.epsilon);
        }
    }

    /// A step of SGD on `x` with velocity `v`, gradient `g` and `(rate, momentum)`.
    pub fn sgd<E>(x: &mut [E], v: &mut [E], g: &[E], factors: (E, E)) {
        for ((x, v), &g) in x.iter_mut().zip(v).zip(g) {
            *v = g + factors.1 * *v;
            *x -= factors.0 * *v;
        }
    }

    /// A step of RMSprop on `x` with mean square `s`, gradient `g` and `(rate, decay, epsilon)`.
    pub fn rmsprop<E>(x: &mut [E], s: &mut [E], g: &[E], factors: (E, E, E)) {
        let (rate, decay, epsilon) = factors;
        for ((x, s), &g) in x.iter_mut().zip(s).zip(g) {
            *s += (E::ONE - decay) * (g * g - *s);
            *x -= rate * (g / (*s + epsilon).sqrt());
        }
    }
}

/// The numbers of one step of Adam; `unbias` is `1 / (1 − βᵗ)`.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep<E> {
    pub rate: E,
    pub beta1: E,
    pub beta2: E,
    pub epsilon: E,
    pub unbias1: E,
    pub unbias2: E,
}

/// The least and the greatest number of a list that is not empty.
pub fn extremes<E: Float>(values: &[E]) -> (E, E) {
    let (mut least, mut greatest) = (values[0], values[0]);
    pulp::Arch::new().dispatch(Inlined(
        #[inline(always)]
        || {
            for &value in values {
                least = if value < least { value } else { least };
                greatest = if value > greatest { value } else { greatest };
            }
        },
    ));
    (least, greatest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u64) -> Vec<f64> {
        (0..n)
            .map(|i| (((i as u64 * 2_654_435_761 + seed * 977) % 1013) as f64 / 506.5) - 1.0)
            .collect()
    }

    fn naive(a: &[f64], b: &[f64], (m, k, n): (usize, usize, usize)) -> Vec<f64> {
        (0..m * n).map(|at| (0..k).map(|j| a[at / n * k + j] * b[j * n + at % n]).sum()).collect()
    }

    fn close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            assert!((a - b).abs() < 1e-12, "number {i}: {a} and {b}");
        }
    }

    #[test]
    fn products_agree_with_the_definition() {
        for (m, k, n) in [(1, 1, 1), (3, 4, 5), (17, 4, 64), (128, 64, 2), (5, 0, 3)] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let expected = naive(&a, &b, (m, k, n));
            let mut c = vec![7.0; m * n];
            product(View::new(&a, m, k), View::new(&b, k, n), &mut c, Write::Store);
            close(&c, &expected);
            product(View::new(&a, m, k), View::new(&b, k, n), &mut c, Write::Add);
            close(&c, &expected.iter().map(|x| 2.0 * x).collect::<Vec<_>>());
            if k > 0 {
                let mut c = vec![0.0; m * n];
                add_product_of_few(&mut c, &a, &b, k);
                close(&c, &expected);
            }
        }
    }

    #[test]
    fn transposed_products_agree() {
        let (rows, inputs, width) = (9, 4, 16);
        let (x, dy) = (numbers(rows * inputs, 3), numbers(rows * width, 4));
        let mut expected = vec![0.0; inputs * width];
        product(
            View::new(&x, rows, inputs).transposed(),
            View::new(&dy, rows, width),
            &mut expected,
            Write::Store,
        );
        let mut w = vec![0.0; inputs * width];
        add_outer_of_few(&mut w, &x, &dy, inputs);
        close(&w, &expected);
        let by_hand: f64 = (0..rows).map(|r| x[r * inputs + 2] * dy[r * width + 5]).sum();
        assert!((w[2 * width + 5] - by_hand).abs() < 1e-12);
    }

    #[test]
    fn long_sums_keep_their_digits() {
        let x = vec![0.1f32; 1_000_003];
        let exact = 1_000_003.0 * f64::from(0.1f32).powi(2);
        assert!((sum_of_squares(&x) - exact).abs() < 1e-6 * exact);
    }

    #[test]
    fn activations_do_not_overflow() {
        let mut y = [-1e4f32, -1.0, 0.0, 1.0, 1e4];
        softplus(&mut y);
        assert_eq!((y[0], y[4]), (0.0, 1e4));
        let mut y = [-1e4f32, 0.0, 1e4];
        sigmoid(&mut y);
        assert!(
            y[0] >= 0.0 && y[0] < 1e-6 && y[1] == 0.5 && y[2] <= 1.0 && y[2] > 1.0 - 1e-6,
            "{y:?}"
        );
    }
}
