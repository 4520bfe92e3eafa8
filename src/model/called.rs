//! Kernels that are called with what is computed from draws, `pi(2 * s[t])`.
//!
//! Such a call is a kernel of its own: it is given what the expressions read, computes from that
//! what the written kernel is given, and has the parameters of that.

use super::{
    Called, Computed, Distribution, Formal, FormalLength, FormalVariable, Input, Kernel, KernelId,
    Layer, LayerId, LayerOp, Mixed, Model, Simulation, Value, layers_of, unstick,
};
use crate::expr::{ExprId, InputId, Node};
use crate::source::Span;
use std::collections::BTreeMap;

/// The kernel that `kernel` is with these arguments, and what it is given: values of variables,
/// rewards and the time alone. `None` where no argument is computed.
pub(crate) fn call(
    model: &mut Model,
    kernel: KernelId,
    arguments: &[Value],
    span: Span,
) -> Option<(KernelId, Vec<Value>)> {
    let is_passed = |argument: &&Value| !matches!(argument, Value::Expression(_));
    if arguments.iter().all(|argument| is_passed(&argument)) {
        return None;
    }
    let written = model.kernel(kernel).clone();
    let id = KernelId(model.kernels.len() as u32);
    let passed = written.givens.iter().zip(arguments).filter(|(_, argument)| is_passed(argument));
    let (mut givens, mut given): (Vec<Formal>, Vec<Value>) =
        passed.map(|(formal, argument)| (formal.clone(), argument.clone())).unzip();
    // behind what is passed on stands what the expressions read, and behind that what they compute
    let mut read = Vec::new();
    for value in read_by(model, arguments) {
        givens.push(formal_of(model, &value, span));
        read.push((value.clone(), (written.outputs.len() + given.len()) as u32));
        given.push(value);
    }
    let mut caller = Caller { model, from: kernel, to: id, read, formals: Vec::new() };
    let outputs = written.outputs.len() as u32;
    caller.formals.extend((0..outputs).map(Place::Passed));
    let mut next = (outputs, outputs + givens.len() as u32);
    let mut computed = Vec::new();
    for (formal, argument) in written.givens.iter().zip(arguments) {
        let place = if let Value::Expression(values) = argument {
            let values = caller.of_givens(values);
            computed.push(Computed { formal: formal.clone(), values: values.clone() });
            next.1 += 1;
            Place::Computed(next.1 - 1, values)
        } else {
            next.0 += 1;
            Place::Passed(next.0 - 1)
        };
        caller.formals.push(place);
    }
    let (mut distribution, mut copies) = (written.distribution, BTreeMap::new());
    distribution.for_each_mut(&mut |layer| *layer = caller.layer(*layer, &mut copies));
    let mut stays_at_computed = false;
    if let Distribution::Sticky { last, .. } = &mut distribution {
        stays_at_computed = matches!(caller.formals[*last as usize], Place::Computed(..));
        *last = caller.formals[*last as usize].number();
    }
    model.kernels.push(Kernel {
        name: written.name,
        outputs: written.outputs,
        givens,
        called: Some(Called { kernel, computed }),
        distribution,
        span: written.span,
    });
    // only what the step before drew is stayed at by itself
    if stays_at_computed {
        unstick(model, id);
    }
    Some((id, given))
}

/// What the expressions among some arguments read, each once.
fn read_by(model: &Model, arguments: &[Value]) -> Vec<Value> {
    let expressions = arguments.iter().filter_map(|argument| match argument {
        Value::Expression(values) => Some(values.as_slice()),
        _ => None,
    });
    let values = expressions.collect::<Vec<_>>().concat();
    let mut found = Vec::new();
    for input in model.graph.inputs_of(&values) {
        let read = match model.inputs[input.0 as usize] {
            Input::Variable { variable, index, .. } => Value::Variable { variable, index },
            Input::Reward { environment, reward, index } => {
                Value::Reward { environment, reward, index }
            }
            Input::Formal { .. } | Input::Gain(_) => {
                panic!("check: an argument reads what is drawn")
            }
        };
        if !found.contains(&read) {
            found.push(read);
        }
    }
    let time = |at: &ExprId| matches!(model.graph.node(*at), Node::Time);
    if model.graph.reach(&values).iter().any(time) {
        found.push(Value::Time);
    }
    found
}

/// A given that is what an expression reads. Where that is `none`, the expression leaves it out.
fn formal_of(model: &Model, read: &Value, span: Span) -> Formal {
    let (name, variable) = match *read {
        Value::Variable { variable, .. } => {
            (model.variable(variable).name.clone(), FormalVariable::Variable(variable))
        }
        Value::Reward { environment, reward, .. } => {
            let declared = &model.environment(environment).rewards[reward as usize];
            (declared.name.clone(), FormalVariable::Reward(environment, reward))
        }
        _ => ("t".to_owned(), FormalVariable::Time),
    };
    Formal { name, variable, length: FormalLength::One, optional: false, span }
}

/// Where a formal of the written kernel is in the call.
enum Place {
    Passed(u32),
    /// With what each of its components is, over the givens of the call.
    Computed(u32, Vec<ExprId>),
}

impl Place {
    fn number(&self) -> u32 {
        match self {
            Place::Passed(number) | Place::Computed(number, _) => *number,
        }
    }
}

struct Caller<'m> {
    model: &'m mut Model,
    from: KernelId,
    to: KernelId,
    /// What expressions read, each with the number of its formal.
    read: Vec<(Value, u32)>,
    /// By formal of the written kernel.
    formals: Vec<Place>,
}

impl Caller<'_> {
    /// Expressions of a factor, over the givens of the call.
    fn of_givens(&mut self, values: &[ExprId]) -> Vec<ExprId> {
        let (inputs, to) = (self.model.inputs.clone(), self.to);
        let read = &self.read;
        let formal = |value: &Value, component: u32| {
            let (_, formal) = read.iter().find(|(known, _)| known == value)?;
            Some(Input::Formal { kernel: to, formal: *formal, component })
        };
        self.model.replace(values, &|leaf| match leaf {
            Node::Time => Some(Replaced::Input(formal(&Value::Time, 0)?)),
            Node::Input(InputId(at)) => {
                let (value, component) = match inputs[*at as usize] {
                    Input::Variable { variable, component, index } => {
                        (Value::Variable { variable, index }, component)
                    }
                    Input::Reward { environment, reward, index } => {
                        (Value::Reward { environment, reward, index }, 0)
                    }
                    Input::Formal { .. } | Input::Gain(_) => return None,
                };
                Some(Replaced::Input(formal(&value, component)?))
            }
            _ => None,
        })
    }

    /// Expressions of the written kernel's formals, over those of the call.
    fn of_formals(&mut self, values: &[ExprId]) -> Vec<ExprId> {
        let (inputs, from, to) = (self.model.inputs.clone(), self.from, self.to);
        let formals = &self.formals;
        self.model.replace(values, &|leaf| {
            let Node::Input(InputId(at)) = leaf else { return None };
            let Input::Formal { kernel, formal, component } = inputs[*at as usize] else {
                return None;
            };
            (kernel == from).then(|| match &formals[formal as usize] {
                Place::Passed(formal) => {
                    Replaced::Input(Input::Formal { kernel: to, formal: *formal, component })
                }
                Place::Computed(_, values) => Replaced::Value(values[component as usize]),
            })
        })
    }

    /// The layer as the call has it: itself where it reads nothing that is given.
    fn layer(&mut self, root: LayerId, copies: &mut BTreeMap<LayerId, LayerId>) -> LayerId {
        for at in layers_of(&self.model.network, root) {
            if copies.contains_key(&at) {
                continue;
            }
            let layer = self.model.network.layer(at).clone();
            let op = self.op(&layer, copies);
            let copy = match op == layer.op {
                true => at,
                false => {
                    self.model.network.layers.push(Layer { op, ..layer });
                    LayerId(self.model.network.layers.len() as u32 - 1)
                }
            };
            copies.insert(at, copy);
        }
        copies[&root]
    }

    /// What the layer computes, from copies of the layers that it reads.
    fn op(&mut self, layer: &Layer, copies: &BTreeMap<LayerId, LayerId>) -> LayerOp {
        let of = |layer: LayerId| copies[&layer];
        let kernel = self.to;
        match layer.op.clone() {
            LayerOp::Formal { formal, .. } => {
                LayerOp::Formal { kernel, formal: self.number(formal) }
            }
            LayerOp::Scalars(values) => LayerOp::Scalars(self.of_formals(&values)),
            LayerOp::Table { formals, weight, .. } => {
                let formals = formals.into_iter().map(|formal| self.number(formal)).collect();
                LayerOp::Table { kernel, formals, weight }
            }
            LayerOp::Per { formal, heads, .. } => {
                LayerOp::Per { kernel, formal: self.number(formal), heads: of(heads) }
            }
            LayerOp::Gru { formal, backward, parameters, .. } => {
                LayerOp::Gru { kernel, formal: self.number(formal), backward, parameters }
            }
            LayerOp::Simulate(written) => LayerOp::Simulate(Simulation {
                kernel,
                formal: self.number(written.formal),
                ..written
            }),
            LayerOp::Concat(parts) => LayerOp::Concat(parts.into_iter().map(of).collect()),
            LayerOp::Linear { input, weight, bias } => {
                LayerOp::Linear { input: of(input), weight, bias }
            }
            LayerOp::Mlp { input, activation, last, weights } => {
                LayerOp::Mlp { input: of(input), activation, last, weights }
            }
            LayerOp::Unary(op, input) => LayerOp::Unary(op, of(input)),
            LayerOp::Binary(op, left, right) => LayerOp::Binary(op, of(left), of(right)),
            LayerOp::Sum(parts) => {
                LayerOp::Sum(parts.into_iter().map(|(part, columns)| (of(part), columns)).collect())
            }
            LayerOp::Mixture(parts) => {
                let parts = parts.into_iter();
                let parts =
                    parts.map(|part| Mixed { weight: of(part.weight), logits: of(part.logits) });
                LayerOp::Mixture(parts.collect())
            }
            LayerOp::Noise => LayerOp::Noise,
        }
    }

    fn number(&self, formal: u32) -> u32 {
        self.formals[formal as usize].number()
    }
}

/// What takes the place of a leaf of an expression.
enum Replaced {
    Input(Input),
    Value(ExprId),
}

impl Model {
    /// Copies of expressions with other leaves; `None` leaves one as it is.
    fn replace(
        &mut self,
        values: &[ExprId],
        leaf: &dyn Fn(&Node) -> Option<Replaced>,
    ) -> Vec<ExprId> {
        let (graph, inputs) = (self.graph.clone(), &mut self.inputs);
        graph.copy_into(values, &mut self.graph, &mut |target, node| {
            let input = match leaf(node)? {
                Replaced::Value(value) => return Some(value),
                Replaced::Input(input) => input,
            };
            let at = inputs.iter().position(|known| *known == input).unwrap_or_else(|| {
                inputs.push(input);
                inputs.len() - 1
            });
            Some(target.intern(Node::Input(InputId(at as u32))))
        })
    }
}
