//! Rewards are numbers and keep the bounds they declare, at every state, action and next state of
//! an environment.

use super::arrays::Arrays;
use super::law::{Atoms, Law};
use super::probabilities::{cause_of_nan, reads_unbounded, round, witness};
use super::space::{BATCH, Columns, Evaluator, Space};
use super::words::slack;
use crate::diagnostic::{Diagnostic, Severity};
use crate::expr::{ExprId, InputId};
use crate::model::{Dynamics, Environment, Index, Input, Model, Reward};
use std::collections::BTreeMap;

pub fn faults(model: &Model) -> Vec<Diagnostic> {
    model
        .environments
        .iter()
        .flat_map(|environment| {
            environment.rewards.iter().filter_map(|r| fault(model, environment, r))
        })
        .collect()
}

fn fault(model: &Model, environment: &Environment, reward: &Reward) -> Option<Diagnostic> {
    if let Some((lo, hi)) = reward.bounds
        && (lo > hi || lo.is_nan() || hi.is_nan())
    {
        let message = format!("the bounds of reward `{}` are empty", reward.name);
        return Some(
            Diagnostic::error("empty-range", reward.span, message)
                .hint("write the lower bound first: `in [-1, 0]`"),
        );
    }
    let (Some(value), Dynamics::Written { transition, end, .. }) =
        (reward.value, &environment.dynamics)
    else {
        return None;
    };
    let next = next_state(model, environment, value);
    let mut roots = super::times::arguments(transition);
    roots.extend(*end);
    let at_now = if next.is_empty() { vec![value] } else { now(model, environment, value) };
    roots.extend(at_now);
    roots.sort_unstable();
    roots.dedup();
    let column = |id: ExprId| roots.binary_search(&id).expect("rewards: every argument is a root");
    let domain = &model.variable(environment.state).domain;
    let (law, space) = (Law::of(transition, domain, &column)?, Space::of(model, &roots)?);
    let params = model.param_values();
    let (lo, hi) = reward.bounds.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    let fits = |r: f64| r.is_finite() && r >= lo - slack(lo) && r <= hi + slack(hi);
    let mut worst: Option<(f64, Diagnostic)> = None;
    let excess = |r: f64| if r.is_finite() { (lo - r).max(r - hi) } else { f64::INFINITY };
    let mut atoms = Atoms::default();
    let (mut evaluator, mut paid) =
        (Evaluator::new(model, &params, &roots), Evaluator::new(model, &params, &[value]));
    let mut arrays = Arrays::of(model, &params, &[value]);
    for (first, inputs) in space.batches(BATCH) {
        let values = evaluator.run(&inputs);
        let live = |row: usize| end.is_none_or(|end| values[column(end)][row] == 0.0);
        // rows of (state, action, next state): the next states with mass
        let (rows, next_values) =
            successors(&law, values, inputs.time.len(), !next.is_empty(), &live, &mut atoms);
        let joint = join(&inputs, &rows, &next, &next_values, domain.width());
        let stray = arrays
            .as_mut()
            .and_then(|arrays| arrays.outside(model, &joint, &|_, _| true, &[value]));
        for (row, &r) in paid.run(&joint)[0].iter().enumerate() {
            let stray = stray.filter(|(stray, _)| *stray == row).map(|(_, lookup)| lookup);
            let r = if stray.is_some() { f64::NAN } else { r };
            if fits(r) || worst.as_ref().is_some_and(|(known, _)| *known >= excess(r)) {
                continue;
            }
            let mut at = space.show(model, first + rows[row]);
            if !next.is_empty() {
                let next_value = &next_values[row * domain.width()..(row + 1) * domain.width()];
                at = format!(
                    "{at}, {}[t+1] = {}",
                    model.variable(environment.state).name,
                    domain.show(next_value)
                );
            }
            let cause = if r.is_nan() {
                cause_of_nan(model, &params, stray.unwrap_or(value), &joint, row)
            } else {
                None
            };
            worst = Some((excess(r), outside(reward, r, cause.as_deref(), &at, (lo, hi))));
        }
    }
    let (_, mut fault) = worst?;
    if reads_unbounded(model, &roots) {
        fault.severity = Severity::Warning;
    }
    Some(fault)
}

/// The inputs of `value` that read the next state, and their components.
fn next_state(model: &Model, environment: &Environment, value: ExprId) -> Vec<(InputId, usize)> {
    let reads = model.graph.inputs_of(&[value]).into_iter();
    reads
        .filter_map(|input| match model.inputs[input.0 as usize] {
            Input::Variable { variable, component, index: Index::Step(1) }
                if variable == environment.state =>
            {
                Some((input, component as usize))
            }
            Input::Variable { .. }
            | Input::Reward { .. }
            | Input::Formal { .. }
            | Input::Gain(_) => None,
        })
        .collect()
}

/// The nodes of `value` that read inputs of this step alone: they give the space its axes.
fn now(model: &Model, environment: &Environment, value: ExprId) -> Vec<ExprId> {
    let nodes = model.graph.reach(&[value]).into_iter();
    nodes
        .filter(|&id| match model.graph.node(id) {
            crate::expr::Node::Input(input) => !matches!(
                model.inputs[input.0 as usize],
                Input::Variable { variable, index: Index::Step(1), .. }
                    if variable == environment.state
            ),
            crate::expr::Node::Time => true,
            _ => false,
        })
        .collect()
}

/// The row each successor belongs to, and the successors' values side by side; each live row once
/// where the next state is not read.
fn successors(
    law: &Law,
    values: &[Vec<f64>],
    count: usize,
    reads_next: bool,
    live: &dyn Fn(usize) -> bool,
    atoms: &mut Atoms,
) -> (Vec<usize>, Vec<f64>) {
    let (mut rows, mut next_values) = (Vec::new(), Vec::new());
    for row in (0..count).filter(|&row| live(row)) {
        if !reads_next {
            rows.push(row);
        } else if law.fault(values, row).is_none() {
            atoms.clear();
            law.atoms(values, row, atoms);
            rows.extend(std::iter::repeat_n(row, atoms.count));
            next_values.extend_from_slice(&atoms.values);
        }
    }
    (rows, next_values)
}

fn join(
    inputs: &Columns,
    rows: &[usize],
    next: &[(InputId, usize)],
    next_values: &[f64],
    width: usize,
) -> Columns {
    let pick = |column: &Vec<f64>| rows.iter().map(|&row| column[row]).collect::<Vec<f64>>();
    let mut joint: BTreeMap<InputId, Vec<f64>> =
        inputs.inputs.iter().map(|(&input, column)| (input, pick(column))).collect();
    for &(input, component) in next {
        joint.insert(
            input,
            (0..rows.len()).map(|row| next_values[row * width + component]).collect(),
        );
    }
    Columns { inputs: joint, time: pick(&inputs.time) }
}

fn outside(
    reward: &Reward,
    r: f64,
    cause: Option<&str>,
    at: &str,
    (lo, hi): (f64, f64),
) -> Diagnostic {
    let name = &reward.name;
    if r.is_finite() {
        return Diagnostic::error(
            "reward-outside-bounds",
            reward.span,
            format!("reward `{name}` leaves its declared bounds [{lo}, {hi}]"),
        )
        .witness(witness(at, &format!("{name} = {}", round(r))))
        .hint(format!(
            "declare `reward {name} in [{}, {}]`, or `clamp` its value",
            lo.min(round(r)),
            hi.max(round(r))
        ));
    }
    let what = cause.map_or_else(|| format!("{name} = {r}"), str::to_owned);
    Diagnostic::error(
        "not-a-number",
        reward.span,
        format!("reward `{name}` is not a finite number"),
    )
    .witness(witness(at, &what))
    .hint(match cause {
        Some(cause) if cause.contains("index") => {
            "keep the index inside the array, with `clamp` or `mod`, say"
        }
        _ => "guard the operation with `if … then … else …`",
    })
}
