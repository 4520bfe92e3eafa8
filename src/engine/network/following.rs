//! Networks whose inputs are drawn by other networks: the backward pass goes on from what was
//! loaded to what was fed.

use super::forward::Activations;
use super::plan::Load;
use super::plan::NetworkPlan;
use super::plan::{Passage, PassageKind};
use super::scalars::Program;
use super::unsupported::Unsupported;
use crate::engine::numeric::float::Float;
use crate::model::Model;
use std::ops::Range;

impl NetworkPlan {
    /// The same, whose backward pass also gives the gradient in the real inputs of the sources that
    /// `follow` names. Finite inputs have none.
    ///
    /// # Errors
    /// One sentence, where an expression jumps in such an input.
    pub fn following(
        mut self,
        model: &Model,
        follow: impl Fn(u32) -> bool,
    ) -> Result<NetworkPlan, Unsupported> {
        let followed: Vec<bool> = self.inputs.iter().map(|input| follow(input.source)).collect();
        for at in 0..self.loads.len() {
            let (load, slot) = self.loads[at].clone();
            let kind = match load {
                Load::Real { input, from } if followed[input] => {
                    let columns = self.slots[slot.0].width;
                    PassageKind::Straight { input, from, columns }
                }
                // behind its value stands whether it is there, which does not move
                Load::RealOrNone { input, component } if followed[input] => {
                    PassageKind::Straight { input, from: component, columns: 1 }
                }
                Load::Scalars(program) | Load::ScalarOrNone(program) => {
                    match self.slopes_of(model, &program, &followed)? {
                        Some(kind) => kind,
                        None => continue,
                    }
                }
                Load::Real { .. }
                | Load::RealOrNone { .. }
                | Load::Time { .. }
                | Load::Noise(_) => continue,
            };
            self.slots[slot.0].moves = true;
            self.passages.push(Passage { slot, kind });
        }
        for step in &self.steps {
            let moves = step.op.slots().any(|slot| self.slots[slot.0].moves);
            self.slots[step.out.0].moves |= moves;
        }
        self.order_gradients();
        Ok(self.staged(|_| 0))
    }

    fn slopes_of(
        &mut self,
        model: &Model,
        program: &Program,
        followed: &[bool],
    ) -> Result<Option<PassageKind>, Unsupported> {
        let Some((slopes, of)) = program.slopes(model, |input| followed[input])? else {
            return Ok(None);
        };
        let slot = self.add_slot(of.len());
        self.loads.push((Load::Scalars(slopes), slot));
        Ok(Some(PassageKind::Slopes { slot, of }))
    }

    /// Adds the gradients that have reached loaded slots in `block` to `inputs`: for each input its
    /// columns, of `all` rows.
    pub(in crate::engine) fn pass_to_inputs<E: Float>(
        &self,
        activations: &Activations<E>,
        (block, all): (Range<usize>, &Range<usize>),
        gradients: &[Vec<E>],
        inputs: &mut [Vec<E>],
    ) {
        let (first, stride) = (block.start - all.start, all.len());
        for Passage { slot, kind } in &self.passages {
            let width = self.slots[slot.0].width;
            let gradient = &gradients[slot.0][..block.len() * width];
            match kind {
                PassageKind::Straight { input, from, columns } => {
                    for column in 0..*columns {
                        let into =
                            &mut inputs[*input][(from + column) * stride + first..][..block.len()];
                        into.iter_mut()
                            .zip(gradient[column..].iter().step_by(width))
                            .for_each(|(into, &d)| *into += d);
                    }
                }
                PassageKind::Slopes { slot, of } => {
                    let slopes = activations.rows_of(self, *slot, &block);
                    for (at, slope) in of.iter().enumerate() {
                        let into = &mut inputs[slope.input][slope.component * stride + first..]
                            [..block.len()];
                        let (d, slopes) = (
                            gradient[slope.column..].iter().step_by(width),
                            slopes[at..].iter().step_by(of.len()),
                        );
                        into.iter_mut()
                            .zip(d)
                            .zip(slopes)
                            .for_each(|((into, &d), &slope)| *into += d * slope);
                    }
                }
            }
        }
    }

    /// Room for the gradient of each input at `rows` rows: columns of components, zeros; nothing
    /// for a finite one.
    pub(in crate::engine) fn input_gradients<E: Float>(&self, rows: usize) -> Vec<Vec<E>> {
        self.inputs.iter().map(|input| vec![E::ZERO; input.components() * rows]).collect()
    }

    /// Whether a backward pass has anything to give to an input.
    pub(in crate::engine) fn passes_to(&self, wanted: usize) -> bool {
        self.passages.iter().any(|passage| match &passage.kind {
            PassageKind::Straight { input, .. } => *input == wanted,
            PassageKind::Slopes { of, .. } => of.iter().any(|slope| slope.input == wanted),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::feed::Feed;
    use super::super::forward::Scratch;
    use super::*;
    use crate::engine::tape::parameters::Parameters;
    use crate::engine::tests::testing::{assert_gradient, checked, numbers};

    const ROWS: usize = 150;

    /// The world of a text with two real components, a state and an action that is read as `action`
    /// says.
    fn world(action: &str, distribution: &str) -> Model {
        let text = format!(
            "model m horizon T = 2
             hidden environment e {{
               state s : {{ x: real, y: real }}; action a : {action}; reward r
               s[1] ~ {{ x: Normal(mean = 0, sd = 1), y: Normal(mean = 0, sd = 1) }}
               s[t+1] ~ {{ x: Normal(mean = s[t].y, sd = 1), y: Normal(mean = s[t].x, sd = 1) }}
               r[t] = 0
             }}
             net body(s) = mlp(s, hidden = [6], activation = tanh)
             kernel world(s' | s, a) = {distribution}
             kernel pi(a | s) = Normal(mean = linear(s), sd = 0.1 + softplus(linear(s)))
             prior      {{ s[1] ~ e.initial; a[t] ~ Normal(mean = 0, sd = 1); s[t+1] ~ \
             world(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(0 * r[t]) }}
             posterior  {{ s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }}
             infer      {{ trajectories = 2 }}"
        );
        checked(&text).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn gradients_reach_inputs_through_layers_and_expressions() {
        let written = "Normal(mean = s + 0.1 * linear(body(s), a, max(s.x, s.y), s.x * s.y + \
                       exp(a / 2)), sd = 0.1 + softplus(linear(s)))";
        let model = &world("real", written);
        let at = model.kernels.iter().position(|kernel| kernel.name == "world").unwrap();
        let mut layers = Vec::new();
        model.kernels[at].distribution.for_each(&mut |layer| layers.push(*layer));
        let compiled = NetworkPlan::compile(model, &layers, |_, formal| formal).unwrap();
        let network = compiled.following(model, |_| true).unwrap();
        let parameters = Parameters::<f64>::initial(model, 3);
        let widths: Vec<usize> = network.inputs().iter().map(|input| input.components()).collect();
        let values = numbers(ROWS * widths.iter().sum::<usize>(), 5);
        let weights: Vec<Vec<f64>> =
            (0..2).map(|root| numbers(ROWS * network.width(root), 7 + root as u64)).collect();
        let run = |values: &[f64]| {
            let mut rest = values;
            let feeds: Vec<Feed<f64>> = widths
                .iter()
                .map(|width| {
                    let (columns, others) = rest.split_at(width * ROWS);
                    rest = others;
                    Feed::Real { columns, stride: ROWS }
                })
                .collect();
            let mut activations = Activations::default();
            network.forward(parameters.values(), &feeds, 0..ROWS, &mut activations);
            activations
        };
        let activations = run(&values);
        let outputs: Vec<&[f64]> = weights.iter().map(|weights| &weights[..]).collect();
        let mut inputs = network.input_gradients(ROWS);
        let mut gradient = parameters.zero_gradient();
        let mut scratch = Scratch::default();
        let on = (parameters.values(), &activations);
        network.backward_through(on, 0..ROWS, &outputs, &mut scratch, (&mut gradient, &mut inputs));
        let found: Vec<f64> = inputs.concat();
        assert_eq!(found.iter().filter(|d| **d != 0.0).count(), found.len());
        assert_gradient(&values, &found, |values| {
            let activations = run(values);
            let of_root = |(root, weights): (usize, &Vec<f64>)| {
                let output = activations.output(&network, root, 0..ROWS);
                output.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>()
            };
            weights.iter().enumerate().map(of_root).sum()
        });
        // and the gradient of the parameters is what it is without
        let mut plain = parameters.zero_gradient();
        let compiled = NetworkPlan::compile(model, &layers, |_, formal| formal).unwrap();
        compiled.backward(
            parameters.values(),
            &activations,
            0..ROWS,
            &outputs,
            &mut Scratch::default(),
            &mut plain,
        );
        assert!(gradient.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-12 * (1.0 + a.abs())));
    }

    #[test]
    fn an_expression_that_jumps_is_refused_where_it_is_followed() {
        let model =
            &world("real", "Normal(mean = s + (if a > 0 then 1 else 0) * linear(s), sd = 1)");
        let at = model.kernels.iter().position(|kernel| kernel.name == "world").unwrap();
        let mut layers = Vec::new();
        model.kernels[at].distribution.for_each(&mut |layer| layers.push(*layer));
        let compile = || NetworkPlan::compile(model, &layers, |_, formal| formal).unwrap();
        let told = compile().following(model, |_| true).unwrap_err();
        assert!(told.0.contains("jumps"), "{told}");
        // the action is the third formal
        assert!(compile().following(model, |formal| formal != 2).is_ok());
    }
}
