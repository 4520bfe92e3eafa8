//! Fused nodes of the tape: a whole network, a categorical or normal head, a divergence, a squared
//! error.
//!
//! A node's values are computed on plain slices; what it records is one backward operation. Write a
//! loss as terms `Σ_rows weight · value` and hand them to [`Tape::backward`].

use super::tensor::{Matrix, Tape, values_of};
use crate::engine::heads::categorical;
use crate::engine::heads::mixture;
use crate::engine::heads::normal;
use crate::engine::heads::sticky;
use crate::engine::network::forward::Activations;
use crate::engine::network::plan::NetworkPlan;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use crate::engine::tape::parameters::Parameters;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

impl<E: Float> Tape<E> {
    /// The roots of a network as tensors, from activations that [`NetworkPlan::forward`] left at
    /// `rows` (those of a rollout, say). The whole network is one node; its gradient goes to
    /// `parameters`.
    pub fn network(
        &mut self,
        plan: &Arc<NetworkPlan>,
        parameters: &Parameters<E>,
        activations: &Arc<Activations<E>>,
        rows: Range<usize>,
    ) -> Vec<Matrix<E>> {
        let root = |root| {
            self.constant(activations.output(plan, root, rows.clone()).to_vec(), plan.width(root))
        };
        let roots: Vec<Matrix<E>> = (0..plan.outputs()).map(root).collect();
        let (plan, activations, outputs) = (plan.clone(), activations.clone(), roots.clone());
        let (leaf, values, scratch) =
            (parameters.leaf().clone(), parameters.shared_values(), self.scratch());
        self.record(move |flow| {
            let gradients: Vec<Vec<E>> = outputs.iter().map(|output| flow.take(output)).collect();
            let gradients: Vec<&[E]> = gradients.iter().map(|gradient| &gradient[..]).collect();
            let into = flow.of_leaf(&leaf);
            let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
            plan.backward(&values, &activations, rows, &gradients, &mut scratch, into);
        });
        roots
    }

    /// As [`Tape::network`], of a network whose inputs are [followed](NetworkPlan::following):
    /// gradient also goes on to the tensors that stand in the place of inputs, each with a column
    /// for each component.
    pub fn network_through(
        &mut self,
        plan: &Arc<NetworkPlan>,
        parameters: &Parameters<E>,
        (activations, rows): (&Arc<Activations<E>>, Range<usize>),
        inputs: &[Option<Matrix<E>>],
    ) -> Vec<Matrix<E>> {
        let root = |root| {
            self.constant(activations.output(plan, root, rows.clone()).to_vec(), plan.width(root))
        };
        let roots: Vec<Matrix<E>> = (0..plan.outputs()).map(root).collect();
        let inputs: Vec<(usize, Matrix<E>)> = inputs
            .iter()
            .enumerate()
            .filter(|(at, _)| plan.passes_to(*at))
            .filter_map(|(at, input)| Some((at, input.clone()?)))
            .collect();
        let (plan, activations, outputs) = (plan.clone(), activations.clone(), roots.clone());
        let (leaf, values, scratch) =
            (parameters.leaf().clone(), parameters.shared_values(), self.scratch());
        self.record(move |flow| {
            let gradients: Vec<Vec<E>> = outputs.iter().map(|output| flow.take(output)).collect();
            let gradients: Vec<&[E]> = gradients.iter().map(|gradient| &gradient[..]).collect();
            let mut passed = plan.input_gradients(rows.len());
            let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
            let into = (flow.of_leaf(&leaf), &mut passed[..]);
            plan.backward_through(
                (&values, &activations),
                rows.clone(),
                &gradients,
                &mut scratch,
                into,
            );
            for (at, tensor) in &inputs {
                let width = columns_of(tensor);
                for (component, column) in passed[*at].chunks_exact(rows.len()).enumerate() {
                    flow.of(tensor)[component..]
                        .iter_mut()
                        .step_by(width)
                        .zip(column)
                        .for_each(|(into, &d)| *into += d);
                }
            }
        });
        roots
    }

    /// `x = mean + sd·ε` of independent normals, `x` row-major: gradient flows to both, and no
    /// parameter moves `ε`.
    pub fn reparameterised(&mut self, (mean, sd): (&Matrix<E>, &Matrix<E>), x: &[E]) -> Matrix<E> {
        let drawn = self.constant(x.to_vec(), columns_of(mean));
        let noise: Vec<E> = x
            .iter()
            .zip(values_of(mean))
            .zip(values_of(sd))
            .map(|((&x, mean), sd)| (x - mean) / sd)
            .collect();
        let (to_mean, to_sd, output) = (mean.clone(), sd.clone(), drawn.clone());
        self.record(move |flow| {
            let d = flow.take(&output);
            kernels::add(flow.of(&to_mean), &d);
            flow.of(&to_sd)
                .iter_mut()
                .zip(&d)
                .zip(&noise)
                .for_each(|((to, &d), &noise)| *to += d * noise);
        });
        drawn
    }

    /// A tensor whose gradient goes on to `from`, each number times its slope.
    pub fn scaled(&mut self, from: &Matrix<E>, slopes: Vec<E>) -> Matrix<E> {
        let scaled = self.constant(values_of(from), columns_of(from));
        let (from, output) = (from.clone(), scaled.clone());
        self.record(move |flow| {
            let d = flow.take(&output);
            flow.of(&from)
                .iter_mut()
                .zip(&d)
                .zip(&slopes)
                .for_each(|((to, &d), &slope)| *to += d * slope);
        });
        scaled
    }

    /// `log p(action)` and the entropy of `softmax(logits)`, one number a row each.
    pub fn categorical(
        &mut self,
        logits: &Matrix<E>,
        actions: Arc<[u32]>,
    ) -> (Matrix<E>, Matrix<E>) {
        let (log_p, outcomes) = self.log_probabilities(logits);
        let rows = actions.len();
        let (mut log_prob, mut entropy) = (vec![E::ZERO; rows], vec![E::ZERO; rows]);
        categorical::log_prob_and_entropy(&log_p, outcomes, &actions, &mut log_prob, &mut entropy);
        let (log_prob, entropy) = (self.constant(log_prob, 1), self.constant(entropy, 1));
        let (from, outputs) = (logits.clone(), (log_prob.clone(), entropy.clone()));
        self.record(move |flow| {
            let (w, v) = (flow.take(&outputs.0), flow.take(&outputs.1));
            categorical::add_score_gradient(&log_p, outcomes, &actions, (&w, &v), flow.of(&from));
        });
        (log_prob, entropy)
    }

    /// `log p(drawn)` and the entropy of two outcomes, the second with probability
    /// `sigmoid(logit)`, one number a row each: the softmax of 0 and the logit.
    pub fn bernoulli(&mut self, logit: &Matrix<E>, drawn: Arc<[u32]>) -> (Matrix<E>, Matrix<E>) {
        let both = self.two_logits(logit);
        self.categorical(&both, drawn)
    }

    /// The logits of two outcomes, 0 and `logit`; two columns are passed on as they are.
    pub fn two_logits(&mut self, logit: &Matrix<E>) -> Matrix<E> {
        if columns_of(logit) == 2 {
            return logit.clone();
        }
        let both = values_of(logit).into_iter().flat_map(|z| [E::ZERO, z]).collect();
        let both = self.constant(both, 2);
        let (from, to) = (both.clone(), logit.clone());
        // recorded before what reads it, it runs backward after that
        self.record(move |flow| {
            let gradient = flow.take(&from);
            flow.of(&to)
                .iter_mut()
                .zip(gradient.chunks_exact(2))
                .for_each(|(to, pair)| *to += pair[1]);
        });
        both
    }

    /// `KL(softmax(logits) ‖ softmax(other))`, one number a row. Gradient flows to both; make
    /// `other` a [`Tape::constant`] where it is frozen.
    pub fn divergence(&mut self, logits: &Matrix<E>, other: &Matrix<E>) -> Matrix<E> {
        let (log_p, outcomes) = self.log_probabilities(logits);
        let (log_q, _) = self.log_probabilities(other);
        let mut kl = vec![E::ZERO; log_p.len() / outcomes];
        categorical::divergence(&log_p, &log_q, outcomes, &mut kl);
        let kl = self.constant(kl, 1);
        let (first, second, output) = (logits.clone(), other.clone(), kl.clone());
        self.record(move |flow| {
            let w = flow.take(&output);
            categorical::add_divergence_gradient(&log_p, &log_q, outcomes, &w, flow.of(&first));
            categorical::add_divergence_gradient_of_second(
                &log_p,
                &log_q,
                outcomes,
                &w,
                flow.of(&second),
            );
        });
        kl
    }

    /// `log m(drawn)` of the sticky head over logits and probabilities to stay at `last`, and its
    /// entropy where that is `wanted`, one number a row each.
    pub fn sticky(
        &mut self,
        (fresh, keep): (&Matrix<E>, &Matrix<E>),
        last: Arc<[u32]>,
        drawn: Arc<[u32]>,
        wanted: bool,
    ) -> (Matrix<E>, Option<Matrix<E>>) {
        let (logits, keeps) = (values_of(fresh), values_of(keep));
        let (log_f, outcomes) = self.log_probabilities(fresh);
        let mut log_m = log_f.to_vec();
        sticky::persist(
            sticky::Rows { fresh: &logits, keep: &keeps, last: &last, outcomes },
            &mut log_m,
        );
        let mut log_prob = vec![E::ZERO; drawn.len()];
        categorical::log_probs(&log_m, outcomes, &drawn, &mut log_prob);
        let entropy = wanted.then(|| {
            let mut entropy = vec![E::ZERO; drawn.len()];
            categorical::entropies(&log_m, outcomes, &mut entropy);
            self.constant(entropy, 1)
        });
        let log_prob = self.constant(log_prob, 1);
        let (to_fresh, to_keep, outputs) =
            (fresh.clone(), keep.clone(), (log_prob.clone(), entropy.clone()));
        self.record(move |flow| {
            let weights = (
                flow.take(&outputs.0),
                outputs.1.as_ref().map_or(Vec::new(), |entropy| flow.take(entropy)),
            );
            let (mut d_fresh, mut d_keep) =
                (vec![E::ZERO; logits.len()], vec![E::ZERO; keeps.len()]);
            let rows = sticky::Rows { fresh: &logits, keep: &keeps, last: &last, outcomes };
            sticky::add_score_gradient(
                rows,
                (&log_f, &log_m),
                &drawn,
                (&weights.0, &weights.1),
                (&mut d_fresh, &mut d_keep),
            );
            kernels::add(flow.of(&to_fresh), &d_fresh);
            kernels::add(flow.of(&to_keep), &d_keep);
        });
        (log_prob, entropy)
    }

    /// `log N(x)` and the entropy of independent normals, one number a row each; `x` is row-major.
    pub fn normal(
        &mut self,
        (mean, sd): (&Matrix<E>, &Matrix<E>),
        x: Vec<E>,
    ) -> (Matrix<E>, Matrix<E>) {
        let width = columns_of(mean);
        let (means, sds) = (values_of(mean), values_of(sd));
        let rows = means.len() / width;
        let (mut log_prob, mut entropy) = (vec![E::ZERO; rows], vec![E::ZERO; rows]);
        normal::log_densities((&means, &sds), width, &x, &mut log_prob);
        normal::entropies(&sds, width, &mut entropy);
        let (log_prob, entropy) = (self.constant(log_prob, 1), self.constant(entropy, 1));
        let (to_mean, to_sd, outputs) =
            (mean.clone(), sd.clone(), (log_prob.clone(), entropy.clone()));
        self.record(move |flow| {
            let weights = (flow.take(&outputs.0), flow.take(&outputs.1));
            let (mut d_mean, mut d_sd) = (vec![E::ZERO; means.len()], vec![E::ZERO; means.len()]);
            normal::add_score_gradient(
                (&means, &sds),
                width,
                &x,
                (&weights.0, &weights.1),
                (&mut d_mean, &mut d_sd),
            );
            kernels::add(flow.of(&to_mean), &d_mean);
            kernels::add(flow.of(&to_sd), &d_sd);
        });
        (log_prob, entropy)
    }

    /// `log p(x)` of the mixture of normals whose weights, means and deviations are `roots`, one
    /// number a row; `x` is row-major.
    pub fn mixture(&mut self, shape: mixture::Shape, roots: &[Matrix<E>], x: Vec<E>) -> Matrix<E> {
        let values: Vec<Vec<E>> = roots.iter().map(values_of).collect();
        let mut rows = vec![E::ZERO; values[0].len() * shape.numbers()];
        mixture::describe(shape, |root| &values[root][..], &mut rows);
        let mut log_prob = vec![E::ZERO; values[0].len()];
        mixture::log_densities(shape, &rows, &x, &mut log_prob);
        let log_prob = self.constant(log_prob, 1);
        let (to, output) = (roots.to_vec(), log_prob.clone());
        self.record(move |flow| {
            let factors = flow.take(&output);
            let mut totals = vec![E::ZERO; factors.len()];
            values[..shape.parts].iter().for_each(|weights| kernels::add(&mut totals, weights));
            let mut gradient: Vec<Vec<E>> =
                values.iter().map(|values| vec![E::ZERO; values.len()]).collect();
            mixture::add_score_gradient(shape, (&rows, &totals), &x, &factors, &mut gradient);
            to.iter().zip(&gradient).for_each(|(to, d)| kernels::add(flow.of(to), d));
        });
        log_prob
    }

    /// `KL(N(q) ‖ N(p))` of means and deviations, one number a row. Gradient flows to both.
    pub fn normal_divergence(
        &mut self,
        q: (&Matrix<E>, &Matrix<E>),
        p: (&Matrix<E>, &Matrix<E>),
    ) -> Matrix<E> {
        let width = columns_of(q.0);
        let [mean_q, sd_q, mean_p, sd_p] = [q.0, q.1, p.0, p.1].map(values_of);
        let mut kl = vec![E::ZERO; mean_q.len() / width];
        normal::divergences((&mean_q, &sd_q), (&mean_p, &sd_p), width, &mut kl);
        let kl = self.constant(kl, 1);
        let (to, output) = ([q.0, q.1, p.0, p.1].map(Matrix::clone), kl.clone());
        self.record(move |flow| {
            let w = flow.take(&output);
            let (q, p) = ((&mean_q[..], &sd_q[..]), (&mean_p[..], &sd_p[..]));
            let mut d: [Vec<E>; 4] = std::array::from_fn(|_| vec![E::ZERO; q.0.len()]);
            let [mean_q, sd_q, mean_p, sd_p] = &mut d;
            normal::add_divergence_gradient(q, p, width, &w, (mean_q, sd_q));
            normal::add_divergence_gradient_of_second(q, p, width, &w, (mean_p, sd_p));
            to.iter().zip(&d).for_each(|(to, d)| kernels::add(flow.of(to), d));
        });
        kl
    }

    /// `(value − target)² / 2`, element by element.
    pub fn squared_error(&mut self, values: &Matrix<E>, targets: &[E]) -> Matrix<E> {
        let errors: Vec<E> =
            values_of(values).iter().zip(targets).map(|(&value, &target)| value - target).collect();
        let half = E::of(0.5);
        let columns = columns_of(values);
        let squares = self.constant(errors.iter().map(|&e| half * e * e).collect(), columns);
        let (from, output) = (values.clone(), squares.clone());
        self.record(move |flow| {
            let w = flow.take(&output);
            for ((d, &w), &e) in flow.of(&from).iter_mut().zip(&w).zip(&errors) {
                *d += w * e;
            }
        });
        squares
    }

    /// Runs the tape back from `Σ weights · values` and adds the gradient of `parameters` to
    /// `gradient` (flat). Returns the weighted sum, summed in `f64`.
    pub fn backward(
        self,
        terms: Vec<(Matrix<E>, Vec<E>)>,
        parameters: &Parameters<E>,
        gradient: &mut [E],
    ) -> f64 {
        self.backward_to(terms, parameters.leaf(), gradient)
    }

    fn log_probabilities(&self, logits: &Matrix<E>) -> (Vec<E>, usize) {
        let outcomes = columns_of(logits);
        let values = values_of(logits);
        let mut log_p = vec![E::ZERO; values.len()];
        categorical::log_probabilities(&values, outcomes, &mut log_p);
        (log_p, outcomes)
    }
}

fn columns_of<E: Float>(tensor: &Matrix<E>) -> usize {
    super::tensor::shape_of(tensor).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::network::feed::Feed;
    use crate::engine::tests::testing::*;
    use crate::model::{Activation, LayerOp};

    /// A policy and a baseline over one trunk, and everything a loss can be made of, against
    /// differences.
    #[test]
    fn a_loss_on_the_tape_has_the_gradient_of_its_value() {
        let (mut model, pi, logits) = mlp_policy(2, &[6, 4], 3);
        let x = model.add_layer(LayerOp::Formal { kernel: pi, formal: 1 }, 2);
        let value = model.add_mlp("baseline", x, &[5, 1], Activation::Tanh, None);
        let plan = Arc::new(
            NetworkPlan::compile(&model, &[logits, value], |_, formal| formal).expect("compiles"),
        );
        let rows = 150;
        let columns = numbers(2 * rows, 1);
        let actions: Arc<[u32]> = (0..rows as u32).map(|i| i % 3).collect();
        let (targets, prior) = (numbers(rows, 2), numbers(3 * rows, 3));
        let weights: Vec<Vec<f64>> = (4..8).map(|seed| numbers(rows, seed)).collect();
        let run = |values: &[f64], gradient: &mut [f64]| {
            let mut parameters = Parameters::<f64>::initial(&model, 1);
            parameters.values_mut().copy_from_slice(values);
            let mut activations = Activations::new(&plan, rows);
            plan.forward(
                parameters.values(),
                &[Feed::Real { columns: &columns, stride: rows }],
                0..rows,
                &mut activations,
            );
            let mut tape = Tape::default();
            let roots = tape.network(&plan, &parameters, &Arc::new(activations), 0..rows);
            let (log_prob, entropy) = tape.categorical(&roots[0], actions.clone());
            let other = tape.constant(prior.clone(), 3);
            let kl = tape.divergence(&roots[0], &other);
            let error = tape.squared_error(&roots[1], &targets);
            let terms = [log_prob, entropy, kl, error].into_iter().zip(weights.clone()).collect();
            tape.backward(terms, &parameters, gradient)
        };
        let values = numbers(crate::engine::Layout::of(&model.network).len(), 9);
        let mut gradient = vec![0.0; values.len()];
        run(&values, &mut gradient);
        assert_gradient(&values, &gradient, |values| run(values, &mut vec![0.0; values.len()]));
    }

    #[test]
    fn frozen_copies_get_no_gradient() {
        let (model, _, logits) = mlp_policy(2, &[4], 3);
        let plan = Arc::new(
            NetworkPlan::compile(&model, &[logits], |_, formal| formal).expect("compiles"),
        );
        let parameters = Parameters::<f64>::initial(&model, 1);
        let previous = parameters.frozen();
        let columns = numbers(2 * 10, 1);
        let logits_of = |tape: &mut Tape<f64>, parameters: &Parameters<f64>| {
            let mut activations = Activations::new(&plan, 10);
            plan.forward(
                parameters.values(),
                &[Feed::Real { columns: &columns, stride: 10 }],
                0..10,
                &mut activations,
            );
            tape.network(&plan, parameters, &Arc::new(activations), 0..10).swap_remove(0)
        };
        let mut tape = Tape::default();
        let (current, frozen) =
            (logits_of(&mut tape, &parameters), logits_of(&mut tape, &previous));
        let kl = tape.divergence(&current, &frozen);
        let mut gradient = parameters.zero_gradient();
        let sum = tape.backward(vec![(kl, vec![1.0; 10])], &parameters, &mut gradient);
        // at equal parameters the divergence is 0 and flat; were the copy the same leaf, this would
        // hold too, so look further
        assert!(sum.abs() < 1e-12 && gradient.iter().all(|g| g.abs() < 1e-12));
        let mut tape = Tape::default();
        let frozen = logits_of(&mut tape, &previous);
        let (log_prob, _) = tape.categorical(&frozen, vec![0; 10].into());
        tape.backward(vec![(log_prob, vec![1.0; 10])], &parameters, &mut gradient);
        assert!(
            gradient.iter().all(|g| g.abs() < 1e-12),
            "gradient of a frozen copy reached the parameters"
        );
    }

    /// Shards summed in their order give the same bits, whichever thread computed them.
    #[test]
    fn sharded_sums_do_not_depend_on_threads() {
        let (model, _, logits) = mlp_policy(4, &[16], 2);
        let plan = Arc::new(
            NetworkPlan::compile(&model, &[logits], |_, formal| formal).expect("compiles"),
        );
        let parameters = Parameters::<f32>::initial(&model, 1);
        let shard = |at: u64| shard_gradient(&plan, &parameters, at);
        let sum = |shards: Vec<Vec<f32>>| {
            let mut total = parameters.zero_gradient();
            shards.iter().for_each(|shard| crate::engine::numeric::kernels::add(&mut total, shard));
            total
        };
        let one = sum((0..8).map(shard).collect());
        let two = std::thread::scope(|scope| {
            let even = scope.spawn(|| (0..8).step_by(2).map(shard).collect::<Vec<_>>());
            let odd = scope.spawn(|| (1..8).step_by(2).map(shard).collect::<Vec<_>>());
            let (even, odd) = (even.join().expect("even"), odd.join().expect("odd"));
            sum(even.into_iter().zip(odd).flat_map(|(a, b)| [a, b]).collect())
        });
        assert!(one.iter().zip(&two).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert!(one.iter().any(|&g| g != 0.0));
    }

    fn shard_gradient(plan: &Arc<NetworkPlan>, parameters: &Parameters<f32>, at: u64) -> Vec<f32> {
        let columns: Vec<f32> = numbers(4 * 33, at).iter().map(|&x| x as f32).collect();
        let mut activations = Activations::new(plan, 33);
        plan.forward(
            parameters.values(),
            &[Feed::Real { columns: &columns, stride: 33 }],
            0..33,
            &mut activations,
        );
        let mut tape = Tape::default();
        let logits = tape.network(plan, parameters, &Arc::new(activations), 0..33).swap_remove(0);
        let (log_prob, entropy) = tape.categorical(&logits, vec![1; 33].into());
        let mut gradient = parameters.zero_gradient();
        tape.backward(
            vec![(log_prob, vec![0.3; 33]), (entropy, vec![0.1; 33])],
            parameters,
            &mut gradient,
        );
        gradient
    }
}
