//! Small environments for tests, built without a model file.

use crate::expr::{BinaryOp, ExprId, Graph, InputId};
use crate::finite::testing::{ACTION, ENVIRONMENT, STATE, chain};
use crate::model::{
    Component, Distribution, Domain, Dynamics, FiniteDomain, Index, Input, Kind, Model, Shape,
};

pub fn integers(count: i64) -> Component {
    Component { path: String::new(), kind: Kind::Integer { lo: 0, hi: count - 1 } }
}

pub fn real(lo: f64, hi: f64) -> Component {
    Component { path: String::new(), kind: Kind::Real { lo, hi } }
}

fn domain(components: Vec<Component>) -> Domain {
    let shape = match components.len() {
        1 => Shape::Scalar,
        n => Shape::Vector(n),
    };
    Domain { shape, finite: FiniteDomain::of(&components), components }
}

/// What [`environment`] is made of; `s`, `a` and `next` are the components of `s[t]`, `a[t]` and
/// `s[t+1]`.
pub struct Written {
    pub initial: Distribution<Vec<ExprId>>,
    pub transition: Distribution<Vec<ExprId>>,
    pub reward: ExprId,
    pub end: Option<ExprId>,
}

/// A model with one environment, as `write` says.
pub fn environment(
    state: Vec<Component>,
    action: Vec<Component>,
    write: impl FnOnce(&mut Graph, &[ExprId], &[ExprId], &[ExprId]) -> Written,
) -> Model {
    let mut model = chain(1.0, 10);
    let mut graph = Graph::default();
    model.inputs.clear();
    let mut read = |variable, index, width: usize| -> Vec<ExprId> {
        (0..width as u32)
            .map(|component| {
                model.inputs.push(Input::Variable { variable, component, index });
                graph.input(InputId(model.inputs.len() as u32 - 1))
            })
            .collect()
    };
    let s = read(STATE, Index::Step(0), state.len());
    let a = read(ACTION, Index::Step(0), action.len());
    let next = read(STATE, Index::Step(1), state.len());
    let Written { initial, transition, reward, end } = write(&mut graph, &s, &a, &next);
    model.variables[STATE.0 as usize].domain = domain(state);
    model.variables[ACTION.0 as usize].domain = domain(action);
    let environment = &mut model.environments[ENVIRONMENT.0 as usize];
    environment.dynamics =
        Dynamics::Written { initial, transition, observation: None, end, places: Box::default() };
    environment.rewards[0].value = Some(reward);
    model.graph = graph;
    model
}

/// An environment whose state is drawn anew at each step, and whose reward is 0.
pub fn draws(
    state: Vec<Component>,
    write: impl Fn(&mut Graph) -> Distribution<Vec<ExprId>>,
) -> Model {
    environment(state, vec![integers(2)], |g, _, _, _| Written {
        initial: write(g),
        transition: write(g),
        reward: g.constant(0.0),
        end: None,
    })
}

pub fn constants(g: &mut Graph, values: &[f64]) -> Vec<ExprId> {
    values.iter().map(|&v| g.constant(v)).collect()
}

/// s' = s + a + 1 (a counts from 0) without noise, reward s' − s, ends from 5 on: everything is
/// known in advance.
pub fn counter() -> Model {
    environment(vec![real(f64::NEG_INFINITY, f64::INFINITY)], vec![integers(2)], |g, s, a, next| {
        let (one, five, zero) = (g.constant(1.0), g.constant(5.0), g.constant(0.0));
        let moved = g.binary(BinaryOp::Add, s[0], a[0]);
        let moved = g.binary(BinaryOp::Add, moved, one);
        Written {
            initial: Distribution::Delta(vec![zero]),
            transition: Distribution::Delta(vec![moved]),
            reward: g.binary(BinaryOp::Subtract, next[0], s[0]),
            end: Some(g.binary(BinaryOp::LessEqual, five, s[0])),
        }
    })
}
