//! Fused nodes of the tape: a whole network, a categorical head, a divergence, a squared error.
//!
//! A node's values are computed on plain slices; what it records is one backward operation. Write a loss as terms
//! `Σ_rows weight · value` and hand them to [`Tape::backward`].

use super::categorical;
use super::evaluate::{Activations, Scratch};
use super::float::Float;
use super::network::NetworkPlan;
use super::parameters::Parameters;
use super::tensor::{Matrix, Tape, values_of};
use std::ops::Range;
use std::sync::Arc;

impl<E: Float> Tape<E> {
    /// The roots of a network as tensors, from activations that [`NetworkPlan::forward`] left at `rows` (those of a rollout, say). The
    /// whole network is one node; its gradient goes to `parameters`.
    pub fn network(
        &mut self,
        plan: &Arc<NetworkPlan>,
        parameters: &Parameters<E>,
        activations: &Arc<Activations<E>>,
        rows: Range<usize>,
    ) -> Vec<Matrix<E>> {
        let root = |root| self.constant(activations.output(plan, root, rows.clone()).to_vec(), plan.width(root));
        let roots: Vec<Matrix<E>> = (0..plan.outputs()).map(root).collect();
        let (plan, activations, outputs) = (plan.clone(), activations.clone(), roots.clone());
        let (leaf, values) = (parameters.leaf().clone(), parameters.shared_values());
        self.record(move |flow| {
            let gradients: Vec<Vec<E>> = outputs.iter().map(|output| flow.take(output)).collect();
            let gradients: Vec<&[E]> = gradients.iter().map(|gradient| &gradient[..]).collect();
            let into = flow.of_leaf(&leaf);
            plan.backward(&values, &activations, rows, &gradients, &mut Scratch::default(), into);
        });
        roots
    }

    /// `log p(action)` and the entropy of `softmax(logits)`, one number a row each.
    pub fn categorical(&mut self, logits: &Matrix<E>, actions: Arc<[u32]>) -> (Matrix<E>, Matrix<E>) {
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

    /// `KL(softmax(logits) ‖ softmax(other))`, one number a row. Gradient flows to both; make `other` a [`Tape::constant`] where it is
    /// frozen.
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
            categorical::add_divergence_gradient_of_second(&log_p, &log_q, outcomes, &w, flow.of(&second));
        });
        kl
    }

    /// `(value − target)² / 2`, element by element.
    pub fn squared_error(&mut self, values: &Matrix<E>, targets: &[E]) -> Matrix<E> {
        let errors: Vec<E> = values_of(values).iter().zip(targets).map(|(&value, &target)| value - target).collect();
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
