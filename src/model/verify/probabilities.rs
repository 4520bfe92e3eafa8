//! Distributions of environments and in place are distributions over their variable's domain,
//! wherever they can be met: weights and probabilities are not negative and sum to 1, scales are
//! positive, arrays are read inside, and values lie in the domain.

use super::arrays::Arrays;
use super::law::{Atoms, Fault, Law};
use super::space::{BATCH, Columns, Evaluator, Space};
use super::words;
use crate::diagnostic::{Diagnostic, Severity};
use crate::expr::{BinaryOp, ExprId, Graph, Node, UnaryOp};
use crate::model::{
    Bound, Distribution, Dynamics, Environment, Index, Input, KernelRef, Model, Target,
    TargetVariable, VariableId,
};
use crate::source::Span;

/// The distributions of all environments.
pub fn environment_faults(model: &Model) -> Vec<Diagnostic> {
    model
        .environments
        .iter()
        .flat_map(|environment| faults_of_environment(model, environment))
        .collect()
}

/// The distributions that stand in place in a bound.
pub fn faults(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for factor in bound.prior.iter().chain(&bound.posterior).chain(&bound.auxiliary) {
        if let (
            KernelRef::InPlace(distribution),
            [Target::Variable { variable: TargetVariable::Variable(variable), index }],
        ) = (&factor.kernel, &factor.targets[..])
        {
            let subject = Subject {
                variable: *variable,
                index: *index,
                distribution,
                end: None,
                place: factor.span,
            };
            found.extend(faults_of(model, &subject));
        }
    }
    found
}

fn faults_of_environment(model: &Model, environment: &Environment) -> Vec<Diagnostic> {
    let Dynamics::Written { initial, transition, observation, end, places } = &environment.dynamics
    else {
        return Vec::new();
    };
    let state = |index, distribution, end, place| Subject {
        variable: environment.state,
        index,
        distribution,
        end,
        place,
    };
    let mut found = faults_of(model, &state(Index::First, initial, None, places.initial));
    found.extend(faults_of(model, &state(Index::Step(1), transition, *end, places.transition)));
    if let (Some(variable), Some(distribution)) = (environment.observation, observation) {
        let place = places.observation.unwrap_or(environment.span);
        found.extend(faults_of(
            model,
            &Subject { variable, index: Index::Step(0), distribution, end: *end, place },
        ));
    }
    found
}

/// A distribution of `variable` at `index`; where `end` holds it is not used.
struct Subject<'m> {
    variable: VariableId,
    index: Index,
    distribution: &'m Distribution<Vec<ExprId>>,
    end: Option<ExprId>,
    place: Span,
}

fn faults_of(model: &Model, subject: &Subject<'_>) -> Vec<Diagnostic> {
    let domain = &model.variable(subject.variable).domain;
    let mut roots = super::times::arguments(subject.distribution);
    roots.extend(subject.end);
    roots.sort_unstable();
    roots.dedup();
    let column =
        |id: ExprId| roots.binary_search(&id).expect("probabilities: every argument is a root");
    let (Some(law), Some(space)) =
        (Law::of(subject.distribution, domain, &column), Space::of(model, &roots))
    else {
        return Vec::new();
    };
    let params = model.param_values();
    let (mut wrong, mut outside): (Option<Diagnostic>, Option<Diagnostic>) = (None, None);
    let mut atoms = Atoms::default();
    let mut evaluator = Evaluator::new(model, &params, &roots);
    let mut arrays = Arrays::of(model, &params, &roots);
    for (first, inputs) in space.batches(BATCH) {
        let values = evaluator.run(&inputs);
        let stray = arrays.as_mut().and_then(|arrays| {
            // the columns that count, row by row, are only asked for where some look-up fails
            let used = std::cell::OnceCell::new();
            let used = |root: ExprId, row: usize| {
                used.get_or_init(|| used_columns(&law, values, subject.end.map(column)))
                    [column(root)][row]
            };
            arrays.outside(model, &inputs, &used, &roots)
        });
        if let (Some((row, lookup)), None) = (stray, &wrong) {
            let cause = cause_of_nan(model, &params, lookup, &inputs, row);
            let fault = Fault::NotANumber(0);
            wrong = Some(not_a_distribution(
                model,
                subject,
                &fault,
                cause.as_deref(),
                &space.show(model, first + row),
            ));
        }
        for row in 0..inputs.time.len() {
            if subject.end.is_some_and(|end| values[column(end)][row] != 0.0) {
                continue;
            }
            if let Some(fault) = law.fault(values, row) {
                if wrong.is_none() {
                    let cause = match fault {
                        Fault::NotANumber(column) => {
                            cause_of_nan(model, &params, roots[column], &inputs, row)
                        }
                        _ => None,
                    };
                    wrong = Some(not_a_distribution(
                        model,
                        subject,
                        &fault,
                        cause.as_deref(),
                        &space.show(model, first + row),
                    ));
                }
            } else if outside.is_none() {
                atoms.clear();
                law.atoms(values, row, &mut atoms);
                let bad = atoms.iter(domain.width()).find(|value| lies_outside(domain, value));
                outside = bad.map(|value| {
                    leaves_domain(model, subject, value, &space.show(model, first + row))
                });
            }
            if wrong.is_some() && outside.is_some() {
                break;
            }
        }
        if wrong.is_some() && outside.is_some() {
            break;
        }
    }
    let mut found: Vec<Diagnostic> = wrong.into_iter().chain(outside).collect();
    if reads_unbounded(model, &roots) {
        // nobody says that these values are ever met
        found.iter_mut().for_each(|fault| fault.severity = Severity::Warning);
    }
    found
}

/// For each column, the rows at which it counts: always the end, and what the law uses where the
/// episode goes on.
fn used_columns(law: &Law, values: &[Vec<f64>], end: Option<usize>) -> Vec<Vec<bool>> {
    let rows = values.first().map_or(0, Vec::len);
    let mut used = vec![vec![false; rows]; values.len()];
    for row in 0..rows {
        if let Some(end) = end {
            used[end][row] = true;
            if values[end][row] != 0.0 {
                continue;
            }
        }
        law.used(values, row, &mut |column| used[column][row] = true);
    }
    used
}

/// Whether a value is none of a domain.
pub fn lies_outside(domain: &crate::model::Domain, value: &[f64]) -> bool {
    match &domain.finite {
        Some(finite) => finite.number(value).is_none(),
        None => words::outside(domain, value).is_some(),
    }
}

/// Whether a real without bounds is read, so that the rows looked at are guesses.
pub fn reads_unbounded(model: &Model, roots: &[ExprId]) -> bool {
    model.graph.inputs_of(roots).into_iter().any(|input| match model.inputs[input.0 as usize] {
        Input::Variable { variable, component, .. } => {
            let kind = &model.variable(variable).domain.components[component as usize].kind;
            matches!(kind, crate::model::Kind::Real { lo, hi }
                if lo.is_infinite() || hi.is_infinite())
        }
        Input::Reward { environment, reward, .. } => {
            model.environment(environment).rewards[reward as usize].bounds.is_none()
        }
        Input::Formal { .. } => true,
        Input::Gain(_) => false,
    })
}

/// The operation that first made a value no number: `the array has 4 entries, the index is 4`.
pub fn cause_of_nan(
    model: &Model,
    params: &[f64],
    root: ExprId,
    inputs: &Columns,
    row: usize,
) -> Option<String> {
    cause_in(&model.graph, params, root, inputs, row)
}

/// The same of an expression of another graph.
pub fn cause_in(
    graph: &Graph,
    params: &[f64],
    root: ExprId,
    inputs: &Columns,
    row: usize,
) -> Option<String> {
    const MOST_NODES: usize = 4000;
    let value = |id: ExprId| {
        graph.evaluate(id, params, &|input| inputs.inputs[&input][row], inputs.time[row])
    };
    let mut at = root;
    for _ in 0..MOST_NODES {
        let mut below = None;
        let mut visit = |id: ExprId| {
            if below.is_none() && value(id).is_nan() {
                below = Some(id);
            }
        };
        match graph.node(at) {
            Node::If(condition, then, otherwise) => {
                visit(*condition);
                visit(if value(*condition) != 0.0 { *then } else { *otherwise });
            }
            Node::Choose(items, index) => {
                visit(*index);
                if let Some(item) = items.get(value(*index) as usize) {
                    visit(*item);
                }
            }
            _ => graph.operands(at, visit),
        }
        match below {
            Some(id) => at = id,
            None => break,
        }
    }
    match graph.node(at) {
        Node::Lookup(table, index) => match graph.node(*index) {
            // a place in a table of several dimensions, or -1 where an index leaves its own
            Node::If(inside, ..) if value(*index) == -1.0 => {
                outside_dimension(graph, *inside, &value)
            }
            _ => Some(out_of_range(value(*index), graph.table(*table).len())),
        },
        Node::Choose(items, index) => Some(out_of_range(value(*index), items.len())),
        Node::Unary(UnaryOp::Log, x) => Some(format!("log of {}", value(*x))),
        Node::Unary(UnaryOp::Sqrt, x) => Some(format!("sqrt of {}", value(*x))),
        Node::Binary(BinaryOp::Divide, x, y) => Some(format!("{} / {}", value(*x), value(*y))),
        Node::Binary(BinaryOp::Power, x, y) => Some(format!("{} ^ {}", value(*x), value(*y))),
        Node::Binary(BinaryOp::Modulo, x, y) => Some(format!("mod({}, {})", value(*x), value(*y))),
        Node::Constant(_)
        | Node::Param(_)
        | Node::Input(_)
        | Node::Time
        | Node::Unary(..)
        | Node::Binary(..)
        | Node::If(..) => None,
    }
}

/// The comparison that fails among those that hold where all indices are inside.
fn outside_dimension(
    graph: &Graph,
    inside: ExprId,
    value: &dyn Fn(ExprId) -> f64,
) -> Option<String> {
    match graph.node(inside) {
        Node::Binary(BinaryOp::And, a, b) => {
            outside_dimension(graph, *a, value).or_else(|| outside_dimension(graph, *b, value))
        }
        Node::Binary(BinaryOp::LessEqual, _, index) if value(inside) == 0.0 => {
            Some(format!("the index is {} in an array, which counts from 0", value(*index)))
        }
        Node::Binary(BinaryOp::Less, index, count) if value(inside) == 0.0 => {
            Some(out_of_range(value(*index), value(*count) as usize))
        }
        _ => None,
    }
}

fn out_of_range(index: f64, length: usize) -> String {
    if index.fract() == 0.0 {
        format!(
            "the index is {index} in an array of {length}, which counts from 0 to {}",
            length.saturating_sub(1)
        )
    } else {
        format!("the index {index} of an array is not a whole number")
    }
}

/// `s = 3, a = right: the probabilities sum to 1.1`
pub fn witness(at: &str, what: &str) -> String {
    if at.is_empty() { what.to_owned() } else { format!("{at}: {what}") }
}

/// As many digits as a reader needs: `1.1` for 1.1000000000000001.
pub fn round(value: f64) -> f64 {
    // −0 is 0
    format!("{value:.9}").parse().unwrap_or(value) + 0.0
}

fn not_a_distribution(
    model: &Model,
    subject: &Subject<'_>,
    fault: &Fault,
    cause: Option<&str>,
    at: &str,
) -> Diagnostic {
    let written = words::at(model, TargetVariable::Variable(subject.variable), subject.index);
    let domain = &model.variable(subject.variable).domain;
    let (code, message, what, hint) = match fault {
        Fault::NotANumber(_) => (
            "not-a-number",
            format!("the distribution of `{written}` reads a value that is not a number"),
            cause.unwrap_or("a value is not a number").to_owned(),
            match cause {
                Some(cause) if cause.contains("index") => {
                    "keep the index inside the array, with `clamp` or `mod`, say"
                }
                _ => {
                    "guard the operation with `if … then … else …`, or keep its argument in range \
                     with `max`"
                }
            },
        ),
        Fault::Infinite(_) | Fault::NoValue => (
            "no-distribution",
            format!("the logits of `{written}` make no distribution"),
            if *fault == Fault::NoValue { "every logit is −∞" } else { "a logit is ∞" }.to_owned(),
            "a logit of −∞ leaves its value out; at least one is a finite number, and none is ∞",
        ),
        Fault::WeightsSum(sum) => (
            "weights-sum",
            format!("the weights of a mixture for `{written}` do not sum to 1"),
            format!("the weights sum to {}", round(*sum)),
            "the weights of `Mixture(w: D, …)` are probabilities: let the last one be 1 minus the \
             others",
        ),
        Fault::NegativeWeight { part, value } => (
            "negative-probability",
            format!("a mixture for `{written}` has a negative weight"),
            format!("weight number {} is {}", part + 1, round(*value)),
            "the weights of `Mixture(w: D, …)` are probabilities, at least 0",
        ),
        Fault::ProbabilitiesSum(sum) => (
            "probabilities-sum",
            format!("the probabilities of `{written}` do not sum to 1"),
            format!("the probabilities sum to {}", round(*sum)),
            "`probs` lists one probability per value, which sum to 1; `probs = normalize([…])` \
             divides by their sum, and `logits` takes any numbers",
        ),
        Fault::NegativeProbability { outcome, value } => {
            let shown = outcome.split(", ").filter_map(|v| v.parse().ok()).collect::<Vec<f64>>();
            let outcome =
                if shown.len() == domain.width() { domain.show(&shown) } else { outcome.clone() };
            (
                "negative-probability",
                format!("a probability of `{written}` is negative"),
                format!("the probability of {written} = {outcome} is {}", round(*value)),
                "`probs` lists one probability per value, at least 0; `logits` takes any numbers",
            )
        }
        Fault::NotAProbability(p) => (
            "not-a-probability",
            format!("the probability of `{written}` is outside [0, 1]"),
            format!("the probability is {}", round(*p)),
            "`Bernoulli(probs = p)` takes a probability; `Bernoulli(logits = x)` any number",
        ),
        Fault::EmptyBox { lo, hi } => (
            "empty-range",
            format!("the range of a `Uniform` for `{written}` is empty"),
            format!("lo = {}, hi = {}", round(*lo), round(*hi)),
            "`lo` is at most `hi`",
        ),
        Fault::NotPositive { argument, value } => (
            "not-positive",
            format!("`{argument}` of the distribution of `{written}` is not positive"),
            format!("{argument} = {}", round(*value)),
            "keep it above zero, as in `max(0.01, …)`",
        ),
    };
    Diagnostic::error(code, subject.place, message).witness(witness(at, &what)).hint(hint)
}

fn leaves_domain(model: &Model, subject: &Subject<'_>, value: &[f64], at: &str) -> Diagnostic {
    let written = words::at(model, TargetVariable::Variable(subject.variable), subject.index);
    let variable = model.variable(subject.variable);
    let filtered = words::outside_components(&variable.domain, value).is_none();
    let what = words::outside(&variable.domain, value).unwrap_or_default();
    let shown = variable.domain.show(value);
    let shown = if variable.domain.width() == 1 || filtered {
        format!("{written} = {what}")
    } else {
        format!("{written} = {shown}: {what}")
    };
    let hint = if filtered {
        format!("stay where the value would be left out: `if … then … else {}[t]`", variable.name)
    } else if value.iter().any(|value| value.fract() != 0.0) && variable.domain.is_finite() {
        "round it: `floor(…)` or `round(…)`".to_owned()
    } else {
        format!(
            "keep it inside with `clamp(…, lo, hi)`, or widen the domain of `{}`",
            variable.name
        )
    };
    Diagnostic::error(
        "leaves-domain",
        subject.place,
        format!("`{written}` can leave the domain of `{}`", variable.name),
    )
    .also(variable.span, format!("the values of `{}` are declared here", variable.name))
    .witness(witness(at, &shown))
    .hint(hint)
}
