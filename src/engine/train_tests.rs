//! Training as a whole, on models built by hand.

use super::Run;
use super::train::infer;
use crate::bound::derive;
use crate::finite::testing::{POLICY, chain};
use crate::model::{BoundId, Layer, LayerOp, Model, Objective, Parameter, ParameterId, Setting, SettingValue};
use crate::plan::{Plan, plan};
use crate::source::Span;
use crate::syntax::ast;

/// The chain with `pi(a | s) = Categorical(logits = table(s))`.
fn chain_with_table(settings: &[(&str, SettingValue)]) -> Model {
    let mut model = chain(0.5, 30);
    model.network.parameters.push(Parameter { name: "pi.table".into(), rows: 10, columns: 2 });
    model.network.layers[0] =
        Layer { op: LayerOp::Table { kernel: POLICY, formals: vec![1], weight: ParameterId(0) }, width: 2, span: Span::default() };
    model.objectives = vec![Objective { bound: BoundId(0), over: vec![POLICY], span: Span::default() }];
    for (key, value) in settings {
        set(&mut model, key, value.clone());
    }
    model
}

fn set(model: &mut Model, key: &str, value: SettingValue) {
    let written = ast::Expr { kind: ast::ExprKind::Name("value".into()), span: Span::default() };
    model.settings.retain(|setting| setting.key != key);
    model.settings.push(Setting { key: key.into(), value, written, span: Span::default() });
}

fn adam(rate: f64) -> SettingValue {
    SettingValue::Call { function: "adam".into(), arguments: vec![(Some("rate".into()), SettingValue::Number(rate))] }
}

fn planned(model: &Model) -> Plan {
    plan(model, &derive(model).unwrap()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn trained(model: &Model) -> Run {
    infer(&planned(model), &mut ()).unwrap()
}

#[test]
fn the_chain_is_learned() {
    let model = chain_with_table(&[("steps", SettingValue::Number(400.0)), ("optimizer", adam(0.05))]);
    let run = trained(&model);
    let evaluation = run.evaluation;
    eprintln!("bound {} ± {}, {} env steps in {:.3} s", evaluation.bound, evaluation.bound_se, run.env_steps, run.wall_seconds);
    // the best stationary policy reaches -10.026126222675932
    assert!((evaluation.bound + 10.026126222675932).abs() < 4.0 * evaluation.bound_se + 0.05, "{evaluation:?}");
}
