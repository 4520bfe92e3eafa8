//! A learned density over a real variable has a scale that stays away from 0: else the bound has no
//! maximum.

use super::likelihood::component_between;
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, ExprId, Graph, InputId, UnaryOp};
use crate::model::{
    Activation, Distribution, Factor, FormalVariable, Input, Kernel, KernelId, KernelRef, LayerId,
    LayerOp, Likelihood, LikelihoodForm, Model,
};

const EVERYTHING: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

pub fn faults(model: &Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (at, kernel) in model.kernels.iter().enumerate() {
        let rewarded = is_rewarded(model, KernelId(at as u32));
        scales(&kernel.distribution, &mut |what, layer| {
            found.extend(fault(model, kernel, rewarded, (what, layer)))
        });
    }
    found
}

/// Whether a bound gains by a high density of the kernel: it stands in a prior, an auxiliary or a
/// likelihood, where the posterior draws from something else. A density of the posterior alone is
/// paid for: its logarithm stands in the bound with a minus.
fn is_rewarded(model: &Model, kernel: KernelId) -> bool {
    model.bounds.iter().any(|bound| {
        let cancels = |p: &Factor| {
            bound.posterior.iter().any(|q| {
                (&q.targets, &q.kernel, &q.arguments) == (&p.targets, &p.kernel, &p.arguments)
            })
        };
        let gives = |p: &Factor| p.kernel == KernelRef::Learned(kernel) && !cancels(p);
        let judges = |likelihood: &Likelihood| match &likelihood.form {
            LikelihoodForm::Density { kernel: judge, .. } => *judge == KernelRef::Learned(kernel),
            LikelihoodForm::Exponential { .. } => false,
        };
        bound.prior.iter().chain(&bound.auxiliary).any(gives) || bound.likelihood.iter().any(judges)
    })
}

/// Every scale within a distribution, and what it is called.
fn scales(distribution: &Distribution<LayerId>, visit: &mut dyn FnMut(&'static str, LayerId)) {
    match distribution {
        Distribution::Real { family, arguments } => {
            let named = family.arguments().iter().zip(arguments);
            let positive = named.filter(|(argument, _)| argument.positive);
            positive.for_each(|(argument, layer)| visit(argument.name, *layer));
        }
        Distribution::Mixture(parts) => parts.iter().for_each(|(_, part)| scales(part, visit)),
        Distribution::If { then, otherwise, .. } => {
            scales(then, visit);
            scales(otherwise, visit);
        }
        Distribution::Record(parts) => parts.iter().for_each(|part| scales(part, visit)),
        Distribution::Sticky { fresh, .. } => scales(fresh, visit),
        Distribution::Uniform
        | Distribution::UniformBox { .. }
        | Distribution::UniformOver(_)
        | Distribution::Delta(_) => {}
        Distribution::Categorical(_) | Distribution::Bernoulli(_) | Distribution::Implicit(_) => {}
    }
}

fn fault(
    model: &Model,
    kernel: &Kernel,
    rewarded: bool,
    (what, layer): (&'static str, LayerId),
) -> Option<Diagnostic> {
    let lowest = between(model, layer).0;
    let span = model.network.layer(layer).span;
    let span = if span.end > span.start { span } else { kernel.span };
    let name = &kernel.name;
    if lowest > 0.0 {
        return None;
    }
    if lowest < 0.0 {
        return Some(
            Diagnostic::error(
                "not-positive",
                span,
                format!("`{what}` of `{name}` can be negative"),
            )
            .hint(format!(
                "pass it through `softplus` and add a floor: `{what} = 0.01 + softplus(…)`"
            )),
        );
    }
    let (message, why) = match (rewarded, never_zero(model, layer)) {
        (false, true) => return None,
        (true, _) => (
            "can come as near to 0 as it likes",
            "its density has no upper bound, and neither has the objective",
        ),
        (false, false) => ("can be 0", "a density is none there"),
    };
    Some(
        Diagnostic::warning("no-floor", span, format!("`{what}` of `{name}` {message}"))
            .here(why)
            .hint(format!("add a floor: `{what} = 0.01 + …`")),
    )
}

/// Whether a layer that is not negative is above 0, too: by the function it ends with.
fn never_zero(model: &Model, layer: LayerId) -> bool {
    let part = |layer: &LayerId| never_zero(model, *layer);
    match &model.network.layer(layer).op {
        LayerOp::Unary(UnaryOp::Exp | UnaryOp::Sigmoid | UnaryOp::Softplus, _) => true,
        LayerOp::Mlp { last: Some(Activation::Sigmoid | Activation::Softplus), .. } => true,
        LayerOp::Binary(BinaryOp::Add | BinaryOp::Max, x, y) => part(x) || part(y),
        LayerOp::Binary(BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Min, x, y) => {
            part(x) && part(y)
        }
        LayerOp::Per { heads, .. } => part(heads),
        _ => between(model, layer).0 > 0.0,
    }
}

/// Where all numbers of a layer lie.
pub fn between(model: &Model, layer: LayerId) -> (f64, f64) {
    Layers { model, graph: Graph::default() }.between(layer)
}

/// Where each number of a layer lies: of expressions one by one.
pub fn each_between(model: &Model, layer: LayerId) -> Vec<(f64, f64)> {
    let of = &model.network.layer(layer);
    match &of.op {
        LayerOp::Scalars(all) => Layers { model, graph: Graph::default() }.each_scalar(all),
        _ => vec![between(model, layer); of.width],
    }
}

/// The arithmetic of layers as an expression whose inputs are the layers that are none.
struct Layers<'m> {
    model: &'m Model,
    graph: Graph,
}

impl Layers<'_> {
    /// Where all numbers of a layer lie.
    fn between(&mut self, layer: LayerId) -> (f64, f64) {
        let expr = self.expression(layer);
        self.graph.interval(expr, &[], &|input| self.leaf(LayerId(input.0)), (1.0, 1.0))
    }

    fn expression(&mut self, layer: LayerId) -> ExprId {
        match &self.model.network.layer(layer).op {
            LayerOp::Unary(op, x) => {
                let x = self.expression(*x);
                self.graph.unary(*op, x)
            }
            LayerOp::Binary(op, x, y) => {
                let (x, y) = (self.expression(*x), self.expression(*y));
                self.graph.binary(*op, x, y)
            }
            LayerOp::Per { heads, .. } => self.expression(*heads),
            LayerOp::Formal { .. }
            | LayerOp::Scalars(_)
            | LayerOp::Concat(_)
            | LayerOp::Table { .. }
            | LayerOp::Linear { .. } => self.graph.input(InputId(layer.0)),
            LayerOp::Sum(_) | LayerOp::Mixture(_) => self.graph.input(InputId(layer.0)),
            LayerOp::Mlp { .. } | LayerOp::Gru { .. } | LayerOp::Noise | LayerOp::Simulate(_) => {
                self.graph.input(InputId(layer.0))
            }
        }
    }

    /// Where the numbers of a layer lie that is no arithmetic.
    fn leaf(&self, layer: LayerId) -> (f64, f64) {
        match &self.model.network.layer(layer).op {
            LayerOp::Scalars(all) => self
                .each_scalar(all)
                .into_iter()
                .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
                .unwrap_or(EVERYTHING),
            LayerOp::Mlp { last: Some(activation), .. } => match activation {
                Activation::Tanh => (-1.0, 1.0),
                Activation::Relu | Activation::Softplus => (0.0, f64::INFINITY),
                Activation::Sigmoid => (0.0, 1.0),
            },
            LayerOp::Gru { .. } => (-1.0, 1.0),
            LayerOp::Formal { .. }
            | LayerOp::Concat(_)
            | LayerOp::Table { .. }
            | LayerOp::Linear { .. }
            | LayerOp::Mlp { .. } => EVERYTHING,
            LayerOp::Per { .. }
            | LayerOp::Noise
            | LayerOp::Simulate(_)
            | LayerOp::Unary(..)
            | LayerOp::Binary(..)
            | LayerOp::Sum(_)
            | LayerOp::Mixture(_) => EVERYTHING,
        }
    }

    fn each_scalar(&self, all: &[ExprId]) -> Vec<(f64, f64)> {
        let (params, steps) = (self.model.param_ranges(), (1.0, self.model.horizon.value as f64));
        let of = |&expr: &ExprId| {
            self.model.graph.interval(expr, &params, &|input| self.scalar(input), steps)
        };
        all.iter().map(of).collect()
    }

    fn scalar(&self, input: InputId) -> (f64, f64) {
        match self.model.inputs[input.0 as usize] {
            Input::Formal { kernel, formal, component } => {
                match self
                    .model
                    .kernel(kernel)
                    .formals()
                    .nth(formal as usize)
                    .map(|formal| formal.variable)
                {
                    Some(FormalVariable::Variable(variable)) => {
                        component_between(self.model, variable, component)
                    }
                    Some(
                        FormalVariable::Reward(..) | FormalVariable::End | FormalVariable::Time,
                    )
                    | None => EVERYTHING,
                }
            }
            Input::Variable { variable, component, .. } => {
                component_between(self.model, variable, component)
            }
            Input::Reward { .. } | Input::Gain(_) => EVERYTHING,
        }
    }
}
