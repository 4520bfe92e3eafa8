//! The information gain of a transition, as an input of expressions.

use super::{Bound, Input, KernelId, LikelihoodForm, Model, Value};
use crate::source::Span;

/// The index of a gain in [`super::Model::gains`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GainId(pub u32);

/// `gain(world, s[t], a[t], s[t+1], at_most = 1)`: how far the mean field over the weights of
/// `world` would move if it saw `s[t+1]` drawn by `world(s[t], a[t])`, in nats, and never more than
/// `at_most`. It has a value and no gradient, and is 0 after the end of an episode.
#[derive(Clone, Debug, PartialEq)]
pub struct Gain {
    pub kernel: KernelId,
    /// One per given of the kernel.
    pub givens: Vec<Value>,
    /// One per output.
    pub outputs: Vec<Value>,
    pub at_most: f64,
    /// Where it is first written.
    pub span: Span,
}

impl Model {
    /// The gains that the exponents of a bound read, each once.
    pub fn gains_of(&self, bound: &Bound) -> Vec<GainId> {
        let exponents = bound.likelihood.iter().filter_map(|likelihood| match likelihood.form {
            LikelihoodForm::Exponential { value, .. } => Some(value),
            LikelihoodForm::Density { .. } => None,
        });
        let inputs = self.graph.inputs_of(&exponents.collect::<Vec<_>>()).into_iter();
        let gains = inputs.filter_map(|input| match self.inputs[input.0 as usize] {
            Input::Gain(gain) => Some(gain),
            Input::Variable { .. } | Input::Reward { .. } | Input::Formal { .. } => None,
        });
        gains.collect()
    }

    /// Why the numbers of a bound with a gain are in no table: one sentence about the first.
    pub fn depends_on_the_run(&self, bound: &Bound) -> Option<String> {
        let gain = self.gain(*self.gains_of(bound).first()?);
        let name = &self.kernel(gain.kernel).name;
        Some(format!(
            "a bound with `gain({name}, …)` depends on the run, which moves the weights of \
             `{name}`: it has no table of exact numbers"
        ))
    }
}

impl Gain {
    /// What it reads: the givens, then the outputs.
    pub fn reads(&self) -> impl Iterator<Item = &Value> {
        self.givens.iter().chain(&self.outputs)
    }
}
