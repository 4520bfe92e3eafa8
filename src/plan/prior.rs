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
            Some(_),
        ) => log_probabilities(graph, distribution, domain),
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
        // the numbers of all parts, one after the other
        (Head::Record(fields), Distribution::Record(parts), _) => {
            let each = fields
                .iter()
                .zip(parts)
                .map(|(field, part)| numbers(graph, part, &field.domain, &field.head));
            Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
        }
        (Head::Record(fields), Distribution::Uniform, _) => {
            let each = fields
                .iter()
                .map(|field| numbers(graph, &Distribution::Uniform, &field.domain, &field.head));
            Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
        }
        (
            Head::Categorical { .. }
            | Head::Bernoulli { .. }
            | Head::Sticky { .. }
            | Head::Real { .. }
            | Head::Record(_)
            | Head::Mixture { .. }
            | Head::Blend { .. }
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

/// The log-probability of one of finitely many values.
fn log_mass(
    graph: &mut Graph,
    distribution: &Distribution<Vec<ExprId>>,
    (domain, finite): (&Domain, &FiniteDomain),
    value: &[ExprId],
) -> Result<ExprId, &'static str> {
    let masses = probabilities(graph, distribution, (domain, finite))?;
    let is_it = indicators(graph, value, finite);
    let mut total = graph.constant(0.0);
    for (mass, is_it) in masses.into_iter().zip(is_it) {
        let nothing = graph.constant(0.0);
        let own = graph.if_(is_it, mass, nothing);
        total = graph.binary(BinaryOp::Add, total, own);
    }
    Ok(graph.unary(UnaryOp::Log, total))
}

fn density_of(
    graph: &mut Graph,
    distribution: &Distribution<Vec<ExprId>>,
    domain: &Domain,
    (action, within): (&[ExprId], Within),
) -> Result<ExprId, &'static str> {
    if let Some(finite) = &domain.finite {
        return log_mass(graph, distribution, (domain, finite), action);
    }
    let kinds = action.iter().zip(&domain.components);
    match distribution {
        Distribution::Uniform => {
            let mut logs = Vec::with_capacity(action.len());
            for (&x, component) in kinds {
                logs.push(match component.kind {
                    Kind::Real { lo, hi } => {
                        let bounds = (graph.constant(lo), graph.constant(hi));
                        log_uniform(graph, x, bounds, within)
                    }
                    Kind::Integer { .. } | Kind::Names(_) | Kind::Bool => {
                        let count = component.kind.columns(false) as f64;
                        graph.constant(-count.ln())
                    }
                });
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
    domain: &Domain,
) -> Result<Vec<ExprId>, &'static str> {
    let finite = domain.finite.as_ref().ok_or("a density over real numbers")?;
    let probabilities = probabilities(graph, distribution, (domain, finite))?;
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
        Distribution::Record(parts) => {
            let (mut value, mut from) = (vec![0.0; domain.width()], 0);
            let mut joint = vec![graph.constant(1.0); size];
            for (at, part) in parts.iter().enumerate() {
                let field = domain.field(at);
                let values = field.finite.as_ref().ok_or("a density over real numbers")?;
                let each = probabilities(graph, part, (&field, values))?;
                let own = from..from + field.width();
                from = own.end;
                for (number, joint) in joint.iter_mut().enumerate() {
                    finite.value(number, &mut value);
                    let of_field = values.number(&value[own.clone()]);
                    let of_field = of_field.expect("check: a value of a record is one of fields");
                    *joint = graph.binary(BinaryOp::Multiply, *joint, each[of_field]);
                }
            }
            Ok(joint)
        }
        Distribution::Sticky { .. } => Err("a `Sticky` draw"),
        Distribution::UniformBox { .. } | Distribution::Real { .. } => {
            Err("a density over real numbers")
        }
        Distribution::Implicit(_) => Err("an `Implicit` draw"),
    }
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
        let components =
            vec![Component { path: String::new(), kind: Kind::Integer { lo: 0, hi: 3 } }];
        let finite = FiniteDomain::of(&components);
        let domain = Domain { shape: crate::model::Shape::Scalar, components, finite };
        let (two, share, rest) = (graph.constant(2.0), graph.constant(0.25), graph.constant(0.75));
        let mixture = Distribution::Mixture(vec![
            (vec![share], Distribution::Delta(vec![two])),
            (vec![rest], Distribution::Uniform),
        ]);
        let logs = log_probabilities(&mut graph, &mixture, &domain).unwrap();
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
