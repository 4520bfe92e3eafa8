//! The reference: REINFORCE on CartPole with a 4-64-64-2 tanh policy, and PPO with a value beside
//! the two logits, written by hand for this one problem. Plain slices, no tape, no compiler;
//! structure-of-arrays environments that restart when they end; a data-parallel gradient and Adam,
//! replicated on every thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Instant;

/// Rows that go through the network together and stay in the second-level cache.
const BLOCK: usize = 128;

/// What the loop is made to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Rollout,
    Training,
    /// Four passes over each batch, in minibatches of so many rows of all threads.
    Proximal {
        minibatch: usize,
    },
}

/// Passes of [`Task::Proximal`].
const EPOCHS: usize = 4;
const CLIP: f32 = 0.2;
const DISCOUNT: f32 = 0.99;
const LAMBDA: f32 = 0.95;

/// Environment steps per second of `threads` threads, each with `environments` environments for
/// `steps` steps a batch.
pub fn steps_per_second(
    task: Task,
    threads: usize,
    environments: usize,
    steps: usize,
    batches: usize,
) -> f64 {
    let outputs = if matches!(task, Task::Proximal { .. }) { 3 } else { 2 };
    let sizes = [4, 64, 64, outputs];
    let parameters: usize = sizes.windows(2).map(|s| s[0] * s[1] + s[1]).sum();
    let gradients: Vec<Mutex<Vec<f32>>> =
        (0..threads).map(|_| Mutex::new(vec![0.0; parameters])).collect();
    let (barrier, arrived) = (Barrier::new(threads), AtomicUsize::new(0));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for id in 0..threads {
            let (gradients, barrier, arrived) = (&gradients, &barrier, &arrived);
            scope.spawn(move || {
                flush_denormals();
                let mut worker = Worker::new(sizes, environments, steps, id as u64 + 1);
                let mut updates = 0;
                let mut together = |worker: &mut Worker| {
                    gradients[id].lock().unwrap().copy_from_slice(&worker.gradient);
                    barrier.wait();
                    worker.gradient.fill(0.0);
                    for theirs in gradients {
                        worker
                            .gradient
                            .iter_mut()
                            .zip(theirs.lock().unwrap().iter())
                            .for_each(|(sum, g)| *sum += g / threads as f32);
                    }
                    barrier.wait();
                    updates += 1;
                    worker.update(updates);
                };
                for _ in 0..batches {
                    worker.rollout();
                    match task {
                        Task::Rollout => {}
                        Task::Training => {
                            worker.gradient();
                            together(&mut worker);
                        }
                        Task::Proximal { minibatch } => {
                            worker.advantages();
                            let rows = environments * steps;
                            let size = (minibatch / threads).clamp(1, rows);
                            for _ in 0..EPOCHS {
                                worker.shuffle();
                                for from in (0..rows).step_by(size) {
                                    worker.proximal_gradient(from..rows.min(from + size));
                                    together(&mut worker);
                                }
                            }
                        }
                    }
                }
                arrived.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    (threads * environments * steps * batches) as f64 / start.elapsed().as_secs_f64()
}

struct Worker {
    sizes: [usize; 4],
    environments: usize,
    steps: usize,
    state: [Vec<f32>; 4],
    age: Vec<u32>,
    random: Random,
    observed: Vec<f32>,
    drawn: Vec<u8>,
    ended: Vec<f32>,
    advantage: Vec<f32>,
    /// Of the value and of the draw, where the task is PPO.
    value: Vec<f32>,
    target: Vec<f32>,
    log_prob: Vec<f32>,
    order: Vec<u32>,
    gathered: Vec<f32>,
    /// Weights and biases, layer by layer.
    theta: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    gradient: Vec<f32>,
    activations: [Vec<f32>; 3],
    back: [Vec<f32>; 2],
}

impl Worker {
    fn new(sizes: [usize; 4], environments: usize, steps: usize, seed: u64) -> Worker {
        let mut random = Random(seed * 7 + 1, seed + 99);
        let mut theta = Vec::new();
        for pair in sizes.windows(2) {
            let bound = (1.0 / pair[0] as f32).sqrt();
            let mut same = Random(pair[0] as u64, 3); // every thread starts from the same weights
            theta.extend((0..pair[0] * pair[1]).map(|_| (same.unit() * 2.0 - 1.0) * bound));
            theta.extend(std::iter::repeat_n(0.0, pair[1]));
        }
        let (rows, n) = (environments * steps, theta.len());
        let state = std::array::from_fn(|_| {
            (0..environments).map(|_| random.unit() * 0.1 - 0.05).collect()
        });
        Worker {
            sizes,
            environments,
            steps,
            state,
            age: vec![0; environments],
            random,
            observed: vec![0.0; rows * 4],
            drawn: vec![0; rows],
            ended: vec![0.0; rows],
            advantage: vec![0.0; rows],
            value: vec![0.0; rows + environments],
            target: vec![0.0; rows],
            log_prob: vec![0.0; rows],
            order: (0..rows as u32).collect(),
            gathered: vec![0.0; BLOCK * 4],
            theta,
            first: vec![0.0; n],
            second: vec![0.0; n],
            gradient: vec![0.0; n],
            activations: std::array::from_fn(|l| vec![0.0; BLOCK.max(environments) * sizes[l + 1]]),
            back: std::array::from_fn(|_| vec![0.0; BLOCK * 64]),
        }
    }

    fn rollout(&mut self) {
        let n = self.environments;
        for t in 0..self.steps {
            let rows = t * n..(t + 1) * n;
            let observed = &mut self.observed[rows.start * 4..rows.end * 4];
            for (i, row) in observed.chunks_exact_mut(4).enumerate() {
                row.copy_from_slice(&[
                    self.state[0][i],
                    self.state[1][i],
                    self.state[2][i],
                    self.state[3][i],
                ]);
            }
            for start in (0..n).step_by(BLOCK) {
                let count = BLOCK.min(n - start);
                forward(
                    (&self.sizes, &self.theta),
                    &observed[start * 4..(start + count) * 4],
                    count,
                    &mut self.activations,
                );
                let logits = self.activations[2].chunks_exact(self.sizes[3]);
                for (a, z) in self.drawn[rows.start + start..][..count].iter_mut().zip(logits) {
                    *a = (self.random.unit() * (1.0 + (z[0] - z[1]).exp()) < 1.0) as u8;
                }
                if self.sizes[3] == 3 {
                    for (row, z) in
                        (rows.start + start..).zip(self.activations[2].chunks_exact(3).take(count))
                    {
                        self.value[row] = z[2];
                        self.log_prob[row] = -(1.0
                            + (z[1 - self.drawn[row] as usize] - z[self.drawn[row] as usize])
                                .exp())
                        .ln();
                    }
                }
            }
            let [x, v, angle, spin] = &mut self.state;
            physics(x, v, angle, spin, &self.drawn[rows.clone()]);
            for i in 0..n {
                self.age[i] += 1;
                let ended = self.state[0][i].abs() > 2.4
                    || self.state[2][i].abs() > 0.209_439_51
                    || self.age[i] >= 500;
                self.ended[rows.start + i] = f32::from(ended);
                if ended {
                    self.age[i] = 0;
                    self.state
                        .iter_mut()
                        .for_each(|column| column[i] = self.random.unit() * 0.1 - 0.05);
                }
            }
        }
    }

    fn gradient(&mut self) {
        let (n, rows) = (self.environments, self.environments * self.steps);
        let mut to_go = vec![0.0f32; n];
        for t in (0..self.steps).rev() {
            for (i, to_go) in to_go.iter_mut().enumerate() {
                *to_go = 1.0 + DISCOUNT * *to_go * (1.0 - self.ended[t * n + i]);
                self.advantage[t * n + i] = *to_go;
            }
        }
        let mean = self.advantage.iter().sum::<f32>() / rows as f32;
        let variance =
            self.advantage.iter().map(|a| (a - mean) * (a - mean)).sum::<f32>() / rows as f32;
        let scale = 1.0 / ((variance.sqrt() + 1e-6) * rows as f32);
        self.gradient.fill(0.0);
        for start in (0..rows).step_by(BLOCK) {
            let count = BLOCK.min(rows - start);
            let observed = &self.observed[start * 4..(start + count) * 4];
            forward((&self.sizes, &self.theta), observed, count, &mut self.activations);
            for row in 0..count {
                let z = &self.activations[2][row * 2..row * 2 + 2];
                let p1 = 1.0 / (1.0 + (z[0] - z[1]).exp());
                let (p, weight) = ([1.0 - p1, p1], (self.advantage[start + row] - mean) * scale);
                let entropy = -p[0] * p[0].max(1e-30).ln() - p[1] * p[1].max(1e-30).ln();
                for (j, p) in p.into_iter().enumerate() {
                    let score = f32::from(u8::from(self.drawn[start + row] as usize == j)) - p;
                    let bonus = -p * (p.max(1e-30).ln() + entropy) * 0.01 / rows as f32;
                    self.back[0][row * 2 + j] = -(weight * score + bonus);
                }
            }
            backward(
                (&self.sizes, &self.theta),
                observed,
                count,
                &self.activations,
                &mut self.back,
                &mut self.gradient,
            );
        }
    }

    /// Generalised advantage estimation, brought to mean 0 and deviation 1; the value after the
    /// last step stands for the rest.
    fn advantages(&mut self) {
        let (n, rows) = (self.environments, self.environments * self.steps);
        let mut carry = vec![0.0f32; n];
        for t in (0..self.steps).rev() {
            for (i, carry) in carry.iter_mut().enumerate() {
                let (at, goes_on) = (t * n + i, 1.0 - self.ended[t * n + i]);
                let surprise = 1.0 + DISCOUNT * self.value[at + n] * goes_on - self.value[at];
                *carry = surprise + DISCOUNT * LAMBDA * *carry * goes_on;
                self.advantage[at] = *carry;
                self.target[at] = *carry + self.value[at];
            }
        }
        let mean = self.advantage.iter().sum::<f32>() / rows as f32;
        let variance =
            self.advantage.iter().map(|a| (a - mean) * (a - mean)).sum::<f32>() / rows as f32;
        let scale = 1.0 / (variance.sqrt() + 1e-6);
        self.advantage.iter_mut().for_each(|a| *a = (*a - mean) * scale);
    }

    fn shuffle(&mut self) {
        for last in (1..self.order.len()).rev() {
            self.order.swap(last, ((self.random.unit() * (last + 1) as f32) as usize).min(last));
        }
    }

    /// The gradient of the clipped surrogate, the value's squared error and the entropy, of some
    /// rows in their shuffled order.
    fn proximal_gradient(&mut self, rows: std::ops::Range<usize>) {
        self.gradient.fill(0.0);
        let share = 1.0 / rows.len() as f32;
        for from in rows.clone().step_by(BLOCK) {
            let block = from..rows.end.min(from + BLOCK);
            let count = block.len();
            for (into, &row) in self.gathered.chunks_exact_mut(4).zip(&self.order[block.clone()]) {
                into.copy_from_slice(&self.observed[row as usize * 4..row as usize * 4 + 4]);
            }
            let gathered = &self.gathered[..count * 4];
            forward((&self.sizes, &self.theta), gathered, count, &mut self.activations);
            let logits = self.activations[2].chunks_exact(3).zip(self.back[0].chunks_exact_mut(3));
            for ((z, back), &row) in logits.zip(&self.order[block.clone()]) {
                let row = row as usize;
                let (p1, drawn) = (1.0 / (1.0 + (z[0] - z[1]).exp()), self.drawn[row] as usize);
                let p = [1.0 - p1, p1];
                let ratio = (p[drawn].max(1e-30).ln() - self.log_prob[row]).exp();
                let advantage = self.advantage[row];
                let clipped = if advantage > 0.0 { ratio > 1.0 + CLIP } else { ratio < 1.0 - CLIP };
                let weight = if clipped { 0.0 } else { ratio * advantage * share };
                let entropy = -p[0] * p[0].max(1e-30).ln() - p[1] * p[1].max(1e-30).ln();
                for (j, p) in p.into_iter().enumerate() {
                    let score = f32::from(u8::from(drawn == j)) - p;
                    back[j] = -(weight * score - p * (p.max(1e-30).ln() + entropy) * 0.01 * share);
                }
                back[2] = 0.5 * (z[2] - self.target[row]) * share;
            }
            backward(
                (&self.sizes, &self.theta),
                gathered,
                count,
                &self.activations,
                &mut self.back,
                &mut self.gradient,
            );
        }
    }

    fn update(&mut self, step: i32) {
        let (one, two) = (1.0 - 0.9f32.powi(step), 1.0 - 0.999f32.powi(step));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((w, (m, v)), g) in self.theta.iter_mut().zip(moments).zip(&self.gradient) {
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            *w -= 3e-3 * (*m / one) / ((*v / two).sqrt() + 1e-8);
        }
    }
}

/// Start of the weight and of the bias of a layer.
fn place(sizes: &[usize; 4], layer: usize) -> (usize, usize) {
    let before: usize = sizes.windows(2).take(layer).map(|s| s[0] * s[1] + s[1]).sum();
    (before, before + sizes[layer] * sizes[layer + 1])
}

fn forward(
    (sizes, theta): (&[usize; 4], &[f32]),
    x: &[f32],
    rows: usize,
    activations: &mut [Vec<f32>; 3],
) {
    for layer in 0..3 {
        let (inputs, outputs) = (sizes[layer], sizes[layer + 1]);
        let (weight, bias) = place(sizes, layer);
        let (before, rest) = activations.split_at_mut(layer);
        let input = if layer == 0 { x } else { &before[layer - 1][..rows * inputs] };
        let out = &mut rest[0][..rows * outputs];
        let (w, b) = (&theta[weight..bias], &theta[bias..bias + outputs]);
        out.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(b));
        if layer == 0 {
            add_product_of_few(out, input, w, inputs, outputs);
        } else {
            product((rows, inputs, outputs), (input, inputs, 1), (w, outputs, 1), out, true);
        }
        if layer < 2 {
            tanh(out);
        }
    }
}

/// `back[0]` holds the gradient of the last layer's output.
fn backward(
    (sizes, theta): (&[usize; 4], &[f32]),
    x: &[f32],
    rows: usize,
    activations: &[Vec<f32>; 3],
    back: &mut [Vec<f32>; 2],
    gradient: &mut [f32],
) {
    for layer in (0..3).rev() {
        let (inputs, outputs) = (sizes[layer], sizes[layer + 1]);
        let (weight, bias) = place(sizes, layer);
        let [here, next] = back;
        let dz = &mut here[..rows * outputs];
        if layer < 2 {
            tanh_derivative(dz, &activations[layer][..rows * outputs]);
        }
        let (dw, db) = gradient[weight..bias + outputs].split_at_mut(bias - weight);
        for row in dz.chunks_exact(outputs) {
            db.iter_mut().zip(row).for_each(|(sum, d)| *sum += d);
        }
        if layer == 0 {
            add_outer_of_few(dw, x, dz, inputs, outputs);
            return;
        }
        let input = &activations[layer - 1][..rows * inputs];
        product((inputs, rows, outputs), (input, 1, inputs), (dz, outputs, 1), dw, true);
        product(
            (rows, outputs, inputs),
            (dz, outputs, 1),
            (&theta[weight..bias], 1, outputs),
            &mut next[..rows * inputs],
            false,
        );
        back.swap(0, 1);
    }
}

/// Row-major `c (+)= a b`; an operand is its numbers, row stride and column stride.
fn product(
    (m, k, n): (usize, usize, usize),
    a: (&[f32], usize, usize),
    b: (&[f32], usize, usize),
    c: &mut [f32],
    add: bool,
) {
    assert!(a.0.len() >= m * k && b.0.len() >= k * n && c.len() >= m * n);
    let (keep, none) = (if add { 1.0 } else { 0.0 }, gemm::Parallelism::None);
    let (pa, pb) = (a.0.as_ptr(), b.0.as_ptr());
    // SAFETY: the line above checks that every operand holds the matrix its strides describe; `c`
    // is borrowed mutably.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            add,
            pa,
            a.2 as isize,
            a.1 as isize,
            pb,
            b.2 as isize,
            b.1 as isize,
            keep,
            1.0,
            false,
            false,
            false,
            none,
        );
    }
}

macro_rules! vectorised {
    ($($(#[$meta:meta])* fn $name:ident($($a:ident: $t:ty),*) $body:block)*) => { $(
        $(#[$meta])*
        fn $name($($a: $t),*) {
            #[inline(always)]
            fn body($($a: $t),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                fn wide($($a: $t),*) { body($($a),*) }
                #[target_feature(enable = "avx2,fma")]
                fn narrow($($a: $t),*) { body($($a),*) }
                if is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                {
                    // SAFETY: the features were found.
                    return unsafe { wide($($a),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the features were found.
                    return unsafe { narrow($($a),*) };
                }
            }
            body($($a),*)
        }
    )* };
}

vectorised! {
    /// Rational approximation of degree 13/6.
    fn tanh(y: &mut [f32]) {
        for v in y {
            let x = v.clamp(-7.905_311, 7.905_311);
            let s = x * x;
            let mut p = -2.760_768_5e-16f32;
            let below = [
                2.000_188e-13,
                -8.604_672e-11,
                5.122_297e-8,
                1.485_722_4e-5,
                6.372_619_3e-4,
                4.893_524_6e-3,
            ];
            for c in below {
                p = p.mul_add(s, c);
            }
            let mut q = 1.198_258_4e-6f32;
            for c in [1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3] {
                q = q.mul_add(s, c);
            }
            *v = x * p / q;
        }
    }
    fn tanh_derivative(dy: &mut [f32], y: &[f32]) {
        for (d, &v) in dy.iter_mut().zip(y) {
            *d *= 1.0 - v * v;
        }
    }
    fn add_product_of_few(y: &mut [f32], x: &[f32], w: &[f32], inputs: usize, outputs: usize) {
        for (y, x) in y.chunks_exact_mut(outputs).zip(x.chunks_exact(inputs)) {
            for (&x, w) in x.iter().zip(w.chunks_exact(outputs)) {
                y.iter_mut().zip(w).for_each(|(y, &w)| *y = x.mul_add(w, *y));
            }
        }
    }
    fn add_outer_of_few(dw: &mut [f32], x: &[f32], dz: &[f32], inputs: usize, outputs: usize) {
        for (x, dz) in x.chunks_exact(inputs).zip(dz.chunks_exact(outputs)) {
            for (&x, dw) in x.iter().zip(dw.chunks_exact_mut(outputs)) {
                dw.iter_mut().zip(dz).for_each(|(dw, &dz)| *dw = x.mul_add(dz, *dw));
            }
        }
    }
    /// One Euler step. |θ| < 0.3, where Taylor's polynomials of sine and cosine are exact to 1e-9.
    fn physics(x: &mut [f32], v: &mut [f32], angle: &mut [f32], spin: &mut [f32], action: &[u8]) {
        let carts = x.iter_mut().zip(v).zip(angle).zip(spin).zip(action);
        for ((((x, v), angle), spin), &action) in carts {
            let force = if action == 1 { 10.0f32 } else { -10.0 };
            let s2 = *angle * *angle;
            let sin = *angle * (1.0 - s2 * (1.0 / 6.0 - s2 * (1.0 / 120.0 - s2 / 5040.0)));
            let cos = 1.0 - s2 * (0.5 - s2 * (1.0 / 24.0 - s2 * (1.0 / 720.0 - s2 / 40320.0)));
            let push = (force + 0.05 * *spin * *spin * sin) / 1.1;
            let turn = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - 0.1 * cos * cos / 1.1));
            let pull = push - 0.05 * turn * cos / 1.1;
            *x += 0.02 * *v;
            *v += 0.02 * pull;
            *angle += 0.02 * *spin;
            *spin += 0.02 * turn;
        }
    }
}

/// xoroshiro128+
struct Random(u64, u64);

impl Random {
    #[inline(always)]
    fn unit(&mut self) -> f32 {
        let (a, mut b) = (self.0, self.1);
        let sum = a.wrapping_add(b);
        b ^= a;
        self.0 = a.rotate_left(24) ^ b ^ (b << 16);
        self.1 = b.rotate_left(37);
        (sum >> 40) as f32 * (1.0 / (1u64 << 24) as f32)
    }
}

/// Numbers below 1e-38 slow a product by 200 times.
fn flush_denormals() {
    dfdx::flush_denormals_to_zero();
}
