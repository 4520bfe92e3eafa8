//! Small models for tests, built without a model file.

use crate::expr::{BinaryOp, ExprId, Graph, InputId, ParamId};
use crate::model::{
    Bound, Component, Distribution, Domain, Dynamics, Environment, EnvironmentId,
    EnvironmentKernel, Factor, FiniteDomain, Formal, FormalLength, FormalVariable, Horizon, Index,
    Input, Kernel, KernelId, KernelRef, Kind, Layer, LayerId, LayerOp, Likelihood, LikelihoodForm,
    Model, Network, Param, Reward, Role, Scores, Shape, Target, TargetVariable, Value, Variable,
    VariableId,
};
use crate::source::Span;
use crate::syntax::ast;

pub const STATE: VariableId = VariableId(0);
pub const ACTION: VariableId = VariableId(1);
pub const ENVIRONMENT: EnvironmentId = EnvironmentId(0);
pub const POLICY: KernelId = KernelId(0);

/// The chain of the language reference: 10 cells, slip 0.1, ends at the right.
pub fn chain(alpha: f64, horizon: usize) -> Model {
    let mut b = Builder::new(10, 2, alpha, horizon);
    let g = &mut b.graph;
    let (s, a, next) = (g.input(InputId(0)), g.input(InputId(1)), g.input(InputId(2)));
    let [zero, one, minus, nine, p, slip] = [0.0, 1.0, -1.0, 9.0, 0.9, 0.1].map(|v| g.constant(v));
    let right = g.binary(BinaryOp::Equal, a, one);
    let step = g.if_(right, one, minus);
    let moved = g.binary(BinaryOp::Add, s, step);
    let moved = g.binary(BinaryOp::Max, moved, zero);
    let moved = g.binary(BinaryOp::Min, moved, nine);
    let there = g.binary(BinaryOp::Equal, next, nine);
    let reward = g.if_(there, zero, minus);
    let end = g.binary(BinaryOp::Equal, s, nine);
    let transition = Distribution::Mixture(vec![
        (vec![p], Distribution::Delta(vec![moved])),
        (vec![slip], Distribution::Delta(vec![s])),
    ]);
    b.finish(Distribution::Delta(vec![zero]), transition, reward, Some(end))
}

/// Every distribution and reward from a table: `initial[s]`, `transition[s][a][s']`,
/// `reward[s][a][s']`, `ended[s]`.
pub fn tabular(
    initial: &[f64],
    transition: &[f64],
    reward: &[f64],
    ended: &[bool],
    actions: usize,
    horizon: usize,
) -> Model {
    let n = initial.len();
    let mut b = Builder::new(n, actions, 0.7, horizon);
    let g = &mut b.graph;
    let (s, a, next) = (g.input(InputId(0)), g.input(InputId(1)), g.input(InputId(2)));
    let (width, count) = (g.constant(actions as f64), g.constant(n as f64));
    let row = g.binary(BinaryOp::Multiply, s, width);
    let row = g.binary(BinaryOp::Add, row, a);
    let base = g.binary(BinaryOp::Multiply, row, count);
    let probabilities = g.intern_table(transition.to_vec());
    let probs = (0..n)
        .map(|to| {
            let to = g.constant(to as f64);
            let at = g.binary(BinaryOp::Add, base, to);
            g.lookup(probabilities, at)
        })
        .collect();
    let rewards = g.intern_table(reward.to_vec());
    let at = g.binary(BinaryOp::Add, base, next);
    let reward = g.lookup(rewards, at);
    let ended = g.intern_table(ended.iter().map(|&e| f64::from(u8::from(e))).collect());
    let end = g.lookup(ended, s);
    let start: Vec<ExprId> = initial.iter().map(|&p| g.constant(p)).collect();
    let categorical = |probs| Distribution::Categorical(Scores::Probs(probs));
    b.finish(categorical(start), categorical(probs), reward, Some(end))
}

struct Builder {
    graph: Graph,
    states: usize,
    actions: usize,
    alpha: f64,
    horizon: usize,
}

impl Builder {
    fn new(states: usize, actions: usize, alpha: f64, horizon: usize) -> Builder {
        Builder { graph: Graph::default(), states, actions, alpha, horizon }
    }

    /// Inputs: 0 `s[t]`, 1 `a[t]`, 2 `s[t+1]`, 3 `r[t]`.
    fn finish(
        mut self,
        initial: Distribution<Vec<ExprId>>,
        transition: Distribution<Vec<ExprId>>,
        reward: ExprId,
        end: Option<ExprId>,
    ) -> Model {
        let span = Span::default();
        let variable = |name: &str, role, count: usize| Variable {
            name: name.to_owned(),
            role,
            domain: integers(count),
            environment: Some(ENVIRONMENT),
            span,
        };
        let formal = |name: &str, variable| Formal {
            name: name.to_owned(),
            variable: FormalVariable::Variable(variable),
            length: FormalLength::One,
            optional: false,
            span,
        };
        let (alpha, r) = (self.graph.param(ParamId(0)), self.graph.input(InputId(3)));
        let value = self.graph.binary(BinaryOp::Multiply, alpha, r);
        let written = ast::Expr { kind: ast::ExprKind::Name("r".to_owned()), span };
        let read = |variable, component, index| Input::Variable { variable, component, index };
        let at = |variable, index| Value::Variable { variable, index };
        let factor = |variable, index, kernel, arguments| Factor {
            targets: vec![Target::Variable { variable: TargetVariable::Variable(variable), index }],
            kernel,
            arguments,
            span,
        };
        let own = |kernel| KernelRef::Environment(ENVIRONMENT, kernel);
        let block = |policy: KernelRef, arguments: Vec<Value>| {
            vec![
                factor(STATE, Index::First, own(EnvironmentKernel::Initial), vec![]),
                factor(ACTION, Index::Step(0), policy, arguments),
                factor(
                    STATE,
                    Index::Step(1),
                    own(EnvironmentKernel::Transition),
                    vec![at(STATE, Index::Step(0)), at(ACTION, Index::Step(0))],
                ),
            ]
        };
        Model {
            name: "test".to_owned(),
            params: vec![Param { name: "alpha".to_owned(), value: self.alpha, from: None, span }],
            horizon: Horizon { name: "T".to_owned(), value: self.horizon, span },
            variables: vec![
                variable("s", Role::State, self.states),
                variable("a", Role::Action, self.actions),
            ],
            environments: vec![Environment {
                name: "env".to_owned(),
                hidden: false,
                state: STATE,
                actions: vec![ACTION],
                observation: None,
                rewards: vec![Reward {
                    name: "r".to_owned(),
                    bounds: None,
                    value: Some(reward),
                    span,
                }],
                dynamics: Dynamics::Written {
                    initial,
                    transition,
                    observation: None,
                    end,
                    places: Box::default(),
                },
                span,
            }],
            data: vec![],
            kernels: vec![Kernel {
                name: "pi".to_owned(),
                outputs: vec![formal("a", ACTION)],
                givens: vec![formal("s", STATE)],
                called: None,
                distribution: Distribution::Categorical(Scores::Logits(LayerId(0))),
                span,
            }],
            network: Network {
                layers: vec![Layer { op: LayerOp::Noise, width: self.actions, span }],
                parameters: vec![],
            },
            bounds: vec![Bound {
                name: None,
                prior: block(KernelRef::InPlace(Distribution::Uniform), vec![]),
                likelihood: vec![Likelihood {
                    name: "R".to_owned(),
                    index: Index::Step(0),
                    form: LikelihoodForm::Exponential { value, written },
                    span,
                }],
                posterior: block(KernelRef::Learned(POLICY), vec![at(STATE, Index::Step(0))]),
                auxiliary: vec![],
                exceeds_one: None,
                span,
            }],
            objectives: vec![],
            settings: vec![],
            expectations: vec![],
            graph: self.graph,
            inputs: vec![
                read(STATE, 0, Index::Step(0)),
                read(ACTION, 0, Index::Step(0)),
                read(STATE, 0, Index::Step(1)),
                Input::Reward { environment: ENVIRONMENT, reward: 0, index: Index::Step(0) },
            ],
            gains: vec![],
            warnings: vec![],
            sources: vec![],
        }
    }
}

fn integers(count: usize) -> Domain {
    let components = vec![Component {
        path: String::new(),
        kind: Kind::Integer { lo: 0, hi: count as i64 - 1 },
    }];
    let finite = FiniteDomain::of(&components);
    Domain { shape: Shape::Scalar, components, finite }
}
