//! Models built by hand for the tests of the tensor core, and observers for those of training.

use crate::bound::derive;
use crate::engine::Checkpoint;
use crate::engine::error::EngineError;
use crate::engine::run::outcome::{Metrics, Observer, Run};
use crate::engine::{infer, resume};
use crate::expr::Graph;
use crate::model::*;
use crate::plan::{Plan, plan};
use crate::source::{Source, Span};
use crate::syntax::parse;
use std::ops::ControlFlow;

/// A model's text, checked; else what is wrong with it.
pub fn checked(text: &str) -> Result<Model, String> {
    let file = parse(&Source::new("test", text)).map_err(|errors| errors.to_string())?;
    check(&file, &Overrides::default()).map_err(|errors| errors.to_string())
}

/// The plan of a model's text; else what is wrong with it.
pub fn try_plan(text: &str) -> Result<Plan, String> {
    let model = checked(text)?;
    let derivation = derive(&model).map_err(|errors| errors.to_string())?;
    plan(&model, &derivation).map_err(|errors| {
        errors.list.iter().map(|told| told.message.clone()).collect::<Vec<_>>().join("\n")
    })
}

pub fn planned(text: &str) -> Plan {
    try_plan(text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A model that has nothing yet but a horizon.
pub fn empty_model(horizon: usize) -> Model {
    Model {
        name: "test".into(),
        params: vec![],
        horizon: Horizon { name: "T".into(), value: horizon, span: Span::default() },
        variables: vec![],
        environments: vec![],
        data: vec![],
        kernels: vec![],
        network: Network::default(),
        bounds: vec![],
        objectives: vec![],
        settings: vec![],
        expectations: vec![],
        graph: Graph::default(),
        inputs: vec![],
        gains: vec![],
        warnings: vec![],
        sources: vec![],
    }
}

impl Model {
    pub fn add_variable(&mut self, name: &str, kinds: &[Kind]) -> VariableId {
        let components: Vec<Component> = kinds
            .iter()
            .map(|kind| Component { path: String::new(), kind: kind.clone() })
            .collect();
        let domain = Domain {
            shape: Shape::Vector(kinds.len()),
            finite: FiniteDomain::of(&components),
            components,
        };
        self.variables.push(Variable {
            name: name.into(),
            role: Role::State,
            domain,
            environment: None,
            span: Span::default(),
        });
        VariableId(self.variables.len() as u32 - 1)
    }

    /// A kernel `name(a | givens)`, `Categorical(logits = …)` over a layer that is set later.
    pub fn add_kernel(&mut self, name: &str, output: VariableId, givens: &[Formal]) -> KernelId {
        self.kernels.push(Kernel {
            name: name.into(),
            outputs: vec![formal(FormalVariable::Variable(output))],
            givens: givens.to_vec(),
            called: None,
            distribution: Distribution::Uniform,
            span: Span::default(),
        });
        KernelId(self.kernels.len() as u32 - 1)
    }

    pub fn set_logits(&mut self, kernel: KernelId, layer: LayerId) {
        self.kernels[kernel.0 as usize].distribution =
            Distribution::Categorical(Scores::Logits(layer));
    }

    pub fn add_layer(&mut self, op: LayerOp, width: usize) -> LayerId {
        self.network.layers.push(Layer { op, width, span: Span::default() });
        LayerId(self.network.layers.len() as u32 - 1)
    }

    pub fn add_parameter(&mut self, name: &str, rows: usize, columns: usize) -> ParameterId {
        self.network.parameters.push(Parameter { name: name.into(), rows, columns, start: 0.0 });
        ParameterId(self.network.parameters.len() as u32 - 1)
    }

    pub fn add_linear(&mut self, name: &str, input: LayerId, width: usize) -> LayerId {
        let weight =
            self.add_parameter(&format!("{name}.weight"), self.network.layer(input).width, width);
        let bias = self.add_parameter(&format!("{name}.bias"), 1, width);
        self.add_layer(LayerOp::Linear { input, weight, bias }, width)
    }

    pub fn add_mlp(
        &mut self,
        name: &str,
        input: LayerId,
        widths: &[usize],
        activation: Activation,
        last: Option<Activation>,
    ) -> LayerId {
        let mut inputs = self.network.layer(input).width;
        let weights = widths.iter().enumerate().map(|(at, &width)| {
            let weight = self.add_parameter(&format!("{name}.{at}.weight"), inputs, width);
            let bias = self.add_parameter(&format!("{name}.{at}.bias"), 1, width);
            inputs = width;
            (weight, bias)
        });
        let weights = weights.collect();
        self.add_layer(LayerOp::Mlp { input, activation, last, weights }, inputs)
    }
}

pub fn formal(variable: FormalVariable) -> Formal {
    Formal {
        name: "x".into(),
        variable,
        length: FormalLength::One,
        optional: false,
        span: Span::default(),
    }
}

pub fn integers(count: i64) -> Kind {
    Kind::Integer { lo: 0, hi: count - 1 }
}

pub fn real() -> Kind {
    Kind::Real { lo: f64::NEG_INFINITY, hi: f64::INFINITY }
}

/// `pi(a | s) = Categorical(logits = mlp(s, hidden = hidden))` over `inputs` real numbers; the
/// kernel and its logits.
pub fn mlp_policy(inputs: usize, hidden: &[usize], actions: usize) -> (Model, KernelId, LayerId) {
    let mut model = empty_model(10);
    let s = model.add_variable("s", &vec![real(); inputs]);
    let a = model.add_variable("a", &[integers(actions as i64)]);
    let pi = model.add_kernel("pi", a, &[formal(FormalVariable::Variable(s))]);
    let x = model.add_layer(LayerOp::Formal { kernel: pi, formal: 1 }, inputs);
    let logits = model.add_mlp("pi", x, &[hidden, &[actions]].concat(), Activation::Tanh, None);
    model.set_logits(pi, logits);
    (model, pi, logits)
}

/// Numbers in −1..1 that look random and are the same everywhere.
pub fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Holds a gradient against central differences of `f` at `x`.
pub fn assert_gradient(x: &[f64], gradient: &[f64], f: impl Fn(&[f64]) -> f64) {
    assert_eq!(x.len(), gradient.len());
    let h = 1e-6;
    for (at, &g) in gradient.iter().enumerate() {
        let shifted = |by: f64| {
            let mut x = x.to_vec();
            x[at] += by;
            f(&x)
        };
        let difference = (shifted(h) - shifted(-h)) / (2.0 * h);
        assert!(
            (difference - g).abs() < 1e-7 * (1.0 + g.abs()),
            "number {at}: gradient {g}, difference {difference}"
        );
    }
}

/// Keeps what a run tells.
#[derive(Default)]
pub struct Log(pub Vec<Metrics>);

impl Observer for Log {
    fn step(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        self.0.push(metrics.clone());
        ControlFlow::Continue(())
    }
}

/// Ends the run after a step.
struct After(u64);

impl Observer for After {
    fn step(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        if metrics.step == self.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// What a run that is ended after a step can be gone on with.
pub fn ended_after(plan: &Plan, step: u64) -> Checkpoint {
    match infer(plan, &mut After(step)) {
        Err(EngineError::Interrupted { kept: Some(kept) }) if kept.step == step => *kept,
        other => panic!("the run was not ended after step {step}: {other:?}"),
    }
}

/// A run that is ended after a step, written, read back and taken up again.
pub fn resumed(plan: &Plan, after: u64) -> Run {
    let written = ended_after(plan, after).to_safetensors().unwrap();
    resume(plan, &Checkpoint::from_safetensors(&plan.model, &written).unwrap(), &mut ()).unwrap()
}

/// The parameters of a run, to compare to the last bit.
pub fn bits(run: &Run) -> Vec<u64> {
    run.parameters.values().iter().map(|value| value.to_bits()).collect()
}
