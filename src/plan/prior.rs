//! A distribution in place as scalar expressions: the numbers that a policy's divergence from it is
//! computed from, or its log-density.

use super::Head;
use crate::expr::{BinaryOp, ExprId, Graph, UnaryOp};
use crate::family::{At, Formula};
use crate::model::{Distribution, Domain, FiniteDomain, Kind, Scores};

/// The numbers of the distribution in the family of `head`: a log-probability for each value, or
/// the arguments of a family, one after the other; else what it is, in words.
pub fn numbers(
    graph: &mut Graph,
    distribution: &Distribution<Vec<ExprId>>,
    domain: &Domain,
    head: &Head,
) -> Result<Vec<ExprId>, &'static str> {
    match (head, distribution, &domain.finite) {
        (
            Head::Categorical { .. } | Head::Bernoulli { .. } | Head::Sticky { .. },
            distribution,
            Some(finite),
        ) => log_probabilities(graph, distribution, (domain, finite)),
        (Head::Real { family, .. }, Distribution::Real { family: of, arguments }, _)
            if family == of =>
        {
            Ok(arguments.concat())
        }
        (Head::Real { family, .. }, Distribution::Record(parts), _) => {
            let of = |part: &Distribution<Vec<ExprId>>| match part {
                Distribution::Real { family: of, arguments } if of == family => {
                    Some(arguments.clone())
                }
                _ => None,
            };
            let parts: Vec<_> =
                parts.iter().map(of).collect::<Option<_>>().ok_or("of another family")?;
            // each argument of all parts, one after the other
            let argument = |at: usize| parts.iter().flat_map(move |part| part[at].iter().copied());
            Ok((0..family.arguments().len()).flat_map(argument).collect())
        }
        (Head::Real { family, bounds, .. }, Distribution::Uniform, _) => {
            let arguments = family.uniform().ok_or("of another family")?;
            let columns = arguments.iter().flat_map(|&of| std::iter::repeat_n(of, bounds.len()));
            Ok(columns.map(|of| graph.constant(of)).collect())
        }
        (
            Head::Categorical { .. }
            | Head::Bernoulli { .. }
            | Head::Sticky { .. }
            | Head::Real { .. }
            | Head::Mixture { .. }
            | Head::Implicit { .. },
            _,
            _,
        ) => Err("of another family"),
    }
}

/// `log p(action)`, in nats: a density of what is real, a probability of what is finite; within the
/// support, which the checks hold. Else what it is, in words.
pub fn log_density(
    graph: &mut Graph,
    distribution: &Distribution<Vec<ExprId>>,
    domain: &Domain,
    action: &[ExprId],
) -> Result<ExprId, &'static str> {
    density_of(graph, distribution, domain, (action, Within::Support))
}

/// Whether the value is known to lie where the distribution has mass.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Support,
    Unknown,
}

fn log_uniform(graph: &mut Graph, x: ExprId, (lo, hi): (ExprId, ExprId), within: Within) -> ExprId {
    let width = graph.binary(BinaryOp::Subtract, hi, lo);
    let log = graph.unary(UnaryOp::Log, width);
    let density = graph.unary(UnaryOp::Negate, log);
    if within == Within::Support {
        return density;
    }
    let above = graph.binary(BinaryOp::LessEqual, lo, x);
    let below = graph.binary(BinaryOp::LessEqual, x, hi);
    let inside = graph.binary(BinaryOp::And, above, below);
    let nothing = graph.constant(f64::NEG_INFINITY);
    graph.if_(inside, density, nothing)
}

fn density_of(
    graph: &mut Graph,
    distribution: &Distribution<Vec<ExprId>>,
    domain: &Domain,
    (action, within): (&[ExprId], Within),
) -> Result<ExprId, &'static str> {
    if let Some(finite) = &domain.finite {
        let probability = probability(graph, distribution, (domain, finite), action)?;
        return Ok(graph.unary(UnaryOp::Log, probability));
    }
    let kinds = action.iter().zip(&domain.components);
    match distribution {
        Distribution::Uniform => {
            let mut logs = Vec::with_capacity(action.len());
            for (&x, component) in kinds {
                let Kind::Real { lo, hi } = component.kind else {
                    return Err("a uniform over more than real numbers");
                };
                let bounds = (graph.constant(lo), graph.constant(hi));
                logs.push(log_uniform(graph, x, bounds, within));
            }
            Ok(sum(graph, &logs))
        }
        Distribution::UniformBox { lo, hi } => {
            let mut logs = Vec::with_capacity(action.len());
            for ((&x, &lo), &hi) in action.iter().zip(lo).zip(hi) {
                logs.push(log_uniform(graph, x, (lo, hi), within));
            }
            Ok(sum(graph, &logs))
        }
        Distribution::Real { family, arguments } => {
            let mut logs = Vec::with_capacity(action.len());
            for (at, (&x, component)) in kinds.enumerate() {
                let Kind::Real { lo, hi } = component.kind else {
                    return Err("a density over values that can be counted");
                };
                let arguments: Vec<ExprId> = arguments.iter().map(|of| of[at]).collect();
                let bounds = (graph.constant(lo), graph.constant(hi));
                let of = At { arguments: &arguments, bounds };
                logs.push(family.log_density(&mut Formula::new(graph), x, &of));
            }
            Ok(sum(graph, &logs))
        }
        Distribution::Mixture(parts) => {
            let mut logs = Vec::with_capacity(parts.len());
            for (weight, part) in parts {
                // what one part excludes another may draw
                let log = density_of(graph, part, domain, (action, Within::Unknown))?;
                let log_weight = graph.unary(UnaryOp::Log, weight[0]);
                logs.push(graph.binary(BinaryOp::Add, log_weight, log));
            }
            Ok(log_sum(graph, &logs))
        }
        Distribution::If { condition, then, otherwise } => {
            let then = density_of(graph, then, domain, (action, within))?;
            let otherwise = density_of(graph, otherwise, domain, (action, within))?;
            Ok(graph.if_(condition[0], then, otherwise))
        }
        Distribution::Record(parts) => {
            let (mut logs, mut rest) = (Vec::with_capacity(parts.len()), action);
            for (at, part) in parts.iter().enumerate() {
                let field = domain.field(at);
                let (own, others) = rest.split_at(field.width());
                logs.push(density_of(graph, part, &field, (own, within))?);
                rest = others;
            }
            Ok(sum(graph, &logs))
        }
        Distribution::UniformOver(_)
        | Distribution::Delta(_)
        | Distribution::Categorical(_)
        | Distribution::Bernoulli(_)
        | Distribution::Sticky { .. }
        | Distribution::Implicit(_) => Err("without a density"),
    }
}

/// `log Σ e^l`, which does not overflow.
fn log_sum(graph: &mut Graph, logs: &[ExprId]) -> ExprId {
    let largest = logs
        .iter()
        .copied()
        .reduce(|a, b| graph.binary(BinaryOp::Max, a, b))
        .expect("check: a mixture has parts");
    let shares: Vec<ExprId> = logs
        .iter()
        .map(|&log| {
            let less = graph.binary(BinaryOp::Subtract, log, largest);
            graph.unary(UnaryOp::Exp, less)
        })
        .collect();
    let total = sum(graph, &shares);
    let log = graph.unary(UnaryOp::Log, total);
    graph.binary(BinaryOp::Add, largest, log)
}

/// One expression per value of `domain`, in nats, in the order of enumeration; else what cannot be
/// listed, in words.
pub fn log_probabilities(
    graph: &mut Graph,
    distribution: &Distribution<Vec<ExprId>>,
    domain: (&Domain, &FiniteDomain),
) -> Result<Vec<ExprId>, &'static str> {
    let probabilities = probabilities(graph, distribution, domain)?;
    Ok(probabilities.into_iter().map(|p| graph.unary(UnaryOp::Log, p)).collect())
}

fn probabilities(
    graph: &mut Graph,
    distribution: &Distribution<Vec<ExprId>>,
    (domain, finite): (&Domain, &FiniteDomain),
) -> Result<Vec<ExprId>, &'static str> {
    let size = finite.size();
    match distribution {
        Distribution::Uniform => Ok(vec![graph.constant(1.0 / size as f64); size]),
        Distribution::UniformOver(values) => {
            let share = graph.constant(1.0 / values.len() as f64);
            let parts: Vec<_> =
                values.iter().map(|value| (share, indicators(graph, value, finite))).collect();
            Ok(weighted(graph, &parts, size))
        }
        Distribution::Delta(value) => Ok(indicators(graph, value, finite)),
        Distribution::Categorical(Scores::Probs(probs)) => Ok(probs.clone()),
        Distribution::Categorical(Scores::Logits(logits)) => {
            let exps: Vec<ExprId> =
                logits.iter().map(|&logit| graph.unary(UnaryOp::Exp, logit)).collect();
            let total = sum(graph, &exps);
            Ok(exps.into_iter().map(|e| graph.binary(BinaryOp::Divide, e, total)).collect())
        }
        Distribution::Bernoulli(scores) => {
            let one = match scores {
                Scores::Probs(probs) => probs[0],
                Scores::Logits(logits) => graph.unary(UnaryOp::Sigmoid, logits[0]),
            };
            let unit = graph.constant(1.0);
            Ok(vec![graph.binary(BinaryOp::Subtract, unit, one), one])
        }
        Distribution::Mixture(parts) => {
            let mut listed = Vec::with_capacity(parts.len());
            for (weight, part) in parts {
                listed.push((weight[0], probabilities(graph, part, (domain, finite))?));
            }
            Ok(weighted(graph, &listed, size))
        }
        Distribution::If { condition, then, otherwise } => {
            let then = probabilities(graph, then, (domain, finite))?;
            let otherwise = probabilities(graph, otherwise, (domain, finite))?;
            Ok(then
                .into_iter()
                .zip(otherwise)
                .map(|(a, b)| graph.if_(condition[0], a, b))
                .collect())
        }
        Distribution::Record(_) => {
            let mut each = Vec::with_capacity(size);
            let mut components = vec![0.0; domain.width()];
            for number in 0..size {
                finite.value(number, &mut components);
                let value: Vec<ExprId> = components.iter().map(|&x| graph.constant(x)).collect();
                each.push(probability(graph, distribution, (domain, finite), &value)?);
            }
            Ok(each)
        }
        Distribution::Sticky { .. } => Err("a `Sticky` draw"),
        Distribution::UniformBox { .. } | Distribution::Real { .. } => {
            Err("a density over real numbers")
        }
        Distribution::Implicit(_) => Err("an `Implicit` draw"),
    }
}

/// The probability of one value, given by its components.
fn probability(
    graph: &mut Graph,
    distribution: &Distribution<Vec<ExprId>>,
    (domain, finite): (&Domain, &FiniteDomain),
    value: &[ExprId],
) -> Result<ExprId, &'static str> {
    match distribution {
        Distribution::Uniform => Ok(graph.constant(1.0 / finite.size() as f64)),
        Distribution::UniformOver(values) => {
            let share = graph.constant(1.0 / values.len() as f64);
            let found: Vec<ExprId> =
                values.iter().map(|listed| are_equal(graph, listed, value)).collect();
            let count = sum(graph, &found);
            Ok(graph.binary(BinaryOp::Multiply, share, count))
        }
        Distribution::Delta(at) => Ok(are_equal(graph, at, value)),
        Distribution::Mixture(parts) => {
            let mut shares = Vec::with_capacity(parts.len());
            for (weight, part) in parts {
                let of_part = probability(graph, part, (domain, finite), value)?;
                shares.push(graph.binary(BinaryOp::Multiply, weight[0], of_part));
            }
            Ok(sum(graph, &shares))
        }
        Distribution::If { condition, then, otherwise } => {
            let then = probability(graph, then, (domain, finite), value)?;
            let otherwise = probability(graph, otherwise, (domain, finite), value)?;
            Ok(graph.if_(condition[0], then, otherwise))
        }
        Distribution::Record(parts) => {
            let (mut product, mut rest) = (graph.constant(1.0), value);
            for (at, part) in parts.iter().enumerate() {
                let field = domain.field(at);
                let of_field = field.finite.as_ref().ok_or("a density over real numbers")?;
                let (own, others) = rest.split_at(field.width());
                let share = probability(graph, part, (&field, of_field), own)?;
                product = graph.binary(BinaryOp::Multiply, product, share);
                rest = others;
            }
            Ok(product)
        }
        // one of a list, by the place of the value in it
        Distribution::Categorical(_) | Distribution::Bernoulli(_) => {
            let each = probabilities(graph, distribution, (domain, finite))?;
            let listed = (0..finite.size()).map(|number| {
                let mut components = vec![0.0; value.len()];
                finite.value(number, &mut components);
                let components: Vec<ExprId> =
                    components.into_iter().map(|x| graph.constant(x)).collect();
                let is_it = are_equal(graph, &components, value);
                graph.binary(BinaryOp::Multiply, is_it, each[number])
            });
            let listed: Vec<ExprId> = listed.collect();
            Ok(sum(graph, &listed))
        }
        Distribution::Sticky { .. } => Err("a `Sticky` draw"),
        Distribution::UniformBox { .. } | Distribution::Real { .. } => {
            Err("a density over real numbers")
        }
        Distribution::Implicit(_) => Err("an `Implicit` draw"),
    }
}

/// Whether two values are the same.
fn are_equal(graph: &mut Graph, one: &[ExprId], other: &[ExprId]) -> ExprId {
    let mut all = graph.constant(1.0);
    for (&one, &other) in one.iter().zip(other) {
        let equal = graph.binary(BinaryOp::Equal, one, other);
        all = graph.binary(BinaryOp::And, all, equal);
    }
    all
}

/// For each value of the domain, whether all of `components` are equal to it.
fn indicators(graph: &mut Graph, components: &[ExprId], domain: &FiniteDomain) -> Vec<ExprId> {
    let mut value = vec![0.0; components.len()];
    (0..domain.size())
        .map(|number| {
            domain.value(number, &mut value);
            let mut all = graph.constant(1.0);
            for (&component, &wanted) in components.iter().zip(&value) {
                let wanted = graph.constant(wanted);
                let equal = graph.binary(BinaryOp::Equal, component, wanted);
                all = graph.binary(BinaryOp::And, all, equal);
            }
            all
        })
        .collect()
}

fn weighted(graph: &mut Graph, parts: &[(ExprId, Vec<ExprId>)], size: usize) -> Vec<ExprId> {
    (0..size)
        .map(|value| {
            let terms: Vec<ExprId> = parts
                .iter()
                .map(|(weight, part)| graph.binary(BinaryOp::Multiply, *weight, part[value]))
                .collect();
            sum(graph, &terms)
        })
        .collect()
}

fn sum(graph: &mut Graph, terms: &[ExprId]) -> ExprId {
    let mut total = graph.constant(0.0);
    for &term in terms {
        total = graph.binary(BinaryOp::Add, total, term);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Component, Kind};

    #[test]
    fn a_mixture_of_point_and_uniform_sums_to_one() {
        let mut graph = Graph::default();
        let component = Component { path: String::new(), kind: Kind::Integer { lo: 0, hi: 3 } };
        let components = vec![component];
        let finite = FiniteDomain::of(&components);
        let domain = Domain { shape: crate::model::Shape::Scalar, finite, components };
        let finite = domain.finite.as_ref().unwrap();
        let (two, share, rest) = (graph.constant(2.0), graph.constant(0.25), graph.constant(0.75));
        let mixture = Distribution::Mixture(vec![
            (vec![share], Distribution::Delta(vec![two])),
            (vec![rest], Distribution::Uniform),
        ]);
        let logs = log_probabilities(&mut graph, &mixture, (&domain, finite)).unwrap();
        let probabilities: Vec<f64> =
            logs.iter().map(|&id| graph.as_constant(id).unwrap().exp()).collect();
        for (got, wanted) in probabilities.iter().zip([0.1875, 0.1875, 0.4375, 0.1875]) {
            assert!((got - wanted).abs() < 1e-15, "{probabilities:?}");
        }
    }

    #[test]
    fn a_part_of_a_mixture_has_its_density_where_it_has_mass() {
        let mut graph = Graph::default();
        let component = |lo, hi| Component { path: String::new(), kind: Kind::Real { lo, hi } };
        let components = vec![component(f64::NEG_INFINITY, f64::INFINITY)];
        let domain = Domain { shape: crate::model::Shape::Scalar, finite: None, components };
        let [half, less, one, zero, three] =
            [0.5, -1.0, 1.0, 0.0, 3.0].map(|value| graph.constant(value));
        let mixture = Distribution::Mixture(vec![
            (vec![half], Distribution::UniformBox { lo: vec![less], hi: vec![one] }),
            (vec![half], Distribution::normal(vec![zero], vec![three])),
        ]);
        let normal = |x: f64| (-x * x / 18.0).exp() / (3.0 * std::f64::consts::TAU.sqrt());
        for (x, wanted) in [(2.0, 0.5 * normal(2.0)), (0.5, 0.25 + 0.5 * normal(0.5))] {
            let at = graph.constant(x);
            let log = log_density(&mut graph, &mixture, &domain, &[at]).unwrap();
            let found = graph.evaluate(log, &[], &|_| f64::NAN, 1.0).exp();
            assert!((found - wanted).abs() < 1e-12, "{x}: {found}, {wanted}");
        }
    }
}
