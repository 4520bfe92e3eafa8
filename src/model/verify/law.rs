//! A distribution in place as it stands at one row of evaluated arguments: whether it is one, and
//! where it has mass.

use crate::expr::ExprId;
use crate::family::{Family, Reach};
use crate::model::{Component, Distribution, Domain, FiniteDomain, Kind, Model, Scores, Shape};

/// Probabilities may miss 1 by this much.
const TOLERANCE: f64 = 1e-9;

/// A distribution whose arguments are columns of evaluated expressions.
pub struct Law {
    kind: LawKind,
    width: usize,
}

enum LawKind {
    Equal(FiniteDomain),
    Probabilities(FiniteDomain, Vec<usize>),
    Logits(FiniteDomain, Vec<usize>),
    Bernoulli {
        probability: usize,
    },
    BernoulliLogit(usize),
    /// Each with the same probability.
    Atoms(Vec<Vec<usize>>),
    Mixture(Vec<(usize, Law)>),
    If(usize, Box<Law>, Box<Law>),
    Record(Vec<Law>),
    Box {
        lo: Vec<usize>,
        hi: Vec<usize>,
    },
    /// A column a component for each argument.
    Real(Family, Vec<Vec<usize>>),
    /// Over the declared bounds.
    Bounds,
    /// Known by its samples alone.
    Implicit,
}

/// Why a row is no distribution.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The column whose value is not a number.
    NotANumber(usize),
    /// A column whose logit is ∞.
    Infinite(usize),
    /// Every logit is −∞.
    NoValue,
    WeightsSum(f64),
    NegativeWeight {
        part: usize,
        value: f64,
    },
    ProbabilitiesSum(f64),
    NegativeProbability {
        outcome: String,
        value: f64,
    },
    NotAProbability(f64),
    EmptyBox {
        lo: f64,
        hi: f64,
    },
    /// One that a family wants above 0.
    NotPositive {
        argument: &'static str,
        value: f64,
    },
}

/// Values with mass, side by side. Reused from row to row.
#[derive(Default)]
pub struct Atoms {
    pub values: Vec<f64>,
    pub count: usize,
}

impl Atoms {
    pub fn clear(&mut self) {
        self.values.clear();
        self.count = 0;
    }

    pub fn iter(&self, width: usize) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(width.max(1))
    }

    fn push(&mut self, value: impl IntoIterator<Item = f64>) {
        self.values.extend(value);
        self.count += 1;
    }
}

/// Which values of a finite domain a distribution that reads nothing reaches; `None` where it reads
/// something, or has no list of values.
pub fn reaches(
    model: &Model,
    distribution: &Distribution<Vec<ExprId>>,
    domain: &Domain,
    params: &[f64],
) -> Option<Vec<bool>> {
    let finite = domain.finite.as_ref()?;
    let roots = super::times::arguments(distribution);
    if !model.graph.inputs_of(&roots).is_empty() {
        return None;
    }
    let columns: Vec<Vec<f64>> = roots
        .iter()
        .map(|&root| vec![model.graph.evaluate(root, params, &|_| f64::NAN, 1.0)])
        .collect();
    let column = |id: ExprId| {
        roots.iter().position(|root| *root == id).expect("reaches: every argument is a root")
    };
    let law = Law::of(distribution, domain, &column)?;
    let mut atoms = Atoms::default();
    if law.fault(&columns, 0).is_some() || !law.atoms(&columns, 0, &mut atoms) {
        return None;
    }
    let mut reached = vec![false; finite.size()];
    atoms
        .iter(domain.width())
        .filter_map(|value| finite.number(value))
        .for_each(|number| reached[number] = true);
    Some(reached)
}

impl Law {
    /// `column` says in which column an expression was evaluated. Absent where the shapes do not
    /// fit or `Sticky` stands in place.
    pub fn of(
        distribution: &Distribution<Vec<ExprId>>,
        domain: &Domain,
        column: &dyn Fn(ExprId) -> usize,
    ) -> Option<Law> {
        law(distribution, &domain.shape, &domain.components, domain.finite.as_ref(), column)
    }

    /// What is wrong at `row`, if anything.
    pub fn fault(&self, columns: &[Vec<f64>], row: usize) -> Option<Fault> {
        let at = |column: usize| columns[column][row];
        let nan = |all: &[usize]| {
            all.iter().find(|&&column| at(column).is_nan()).map(|&column| Fault::NotANumber(column))
        };
        let positive = |all: &[usize], argument: &'static str| {
            all.iter()
                .map(|&column| at(column))
                .find(|value| *value <= 0.0)
                .map(|value| Fault::NotPositive { argument, value })
        };
        match &self.kind {
            LawKind::Equal(_) | LawKind::Bounds | LawKind::Implicit => None,
            LawKind::Logits(_, all) => nan(all)
                .or_else(|| {
                    all.iter()
                        .find(|&&column| at(column) == f64::INFINITY)
                        .map(|&column| Fault::Infinite(column))
                })
                .or_else(|| {
                    all.iter()
                        .all(|&column| at(column) == f64::NEG_INFINITY)
                        .then_some(Fault::NoValue)
                }),
            LawKind::BernoulliLogit(logit) => nan(&[*logit]),
            LawKind::Atoms(values) => values.iter().find_map(|value| nan(value)),
            LawKind::Probabilities(domain, all) => nan(all).or_else(|| {
                let negative = all.iter().position(|&column| at(column) < -TOLERANCE);
                let sum: f64 = all.iter().map(|&column| at(column)).sum();
                match negative {
                    Some(outcome) => Some(Fault::NegativeProbability {
                        outcome: show_outcome(domain, outcome),
                        value: at(all[outcome]),
                    }),
                    None => ((sum - 1.0).abs() > TOLERANCE).then_some(Fault::ProbabilitiesSum(sum)),
                }
            }),
            LawKind::Bernoulli { probability } => {
                let p = at(*probability);
                nan(&[*probability]).or_else(|| {
                    (!(-TOLERANCE..=1.0 + TOLERANCE).contains(&p))
                        .then_some(Fault::NotAProbability(p))
                })
            }
            LawKind::Mixture(parts) => {
                let mut sum = 0.0;
                for (part, (weight, _)) in parts.iter().enumerate() {
                    let value = at(*weight);
                    if value.is_nan() {
                        return Some(Fault::NotANumber(*weight));
                    }
                    if value < -TOLERANCE {
                        return Some(Fault::NegativeWeight { part, value });
                    }
                    sum += value;
                }
                if (sum - 1.0).abs() > TOLERANCE {
                    return Some(Fault::WeightsSum(sum));
                }
                parts
                    .iter()
                    .filter(|(weight, _)| at(*weight) > 0.0)
                    .find_map(|(_, part)| part.fault(columns, row))
            }
            LawKind::If(condition, then, otherwise) => nan(&[*condition]).or_else(|| {
                if at(*condition) != 0.0 {
                    then.fault(columns, row)
                } else {
                    otherwise.fault(columns, row)
                }
            }),
            LawKind::Record(parts) => parts.iter().find_map(|part| part.fault(columns, row)),
            LawKind::Box { lo, hi } => nan(lo).or_else(|| nan(hi)).or_else(|| {
                let empty = lo.iter().zip(hi).find(|&(&lo, &hi)| at(lo) > at(hi));
                empty.map(|(&lo, &hi)| Fault::EmptyBox { lo: at(lo), hi: at(hi) })
            }),
            LawKind::Real(family, arguments) => {
                let named = || family.arguments().iter().zip(arguments);
                named().find_map(|(_, columns)| nan(columns)).or_else(|| {
                    named()
                        .filter(|(argument, _)| argument.positive)
                        .find_map(|(argument, columns)| positive(columns, argument.name))
                })
            }
        }
    }

    /// Calls `visit` with each column that counts at `row`: not those of parts that are not chosen
    /// or have no weight.
    pub fn used(&self, columns: &[Vec<f64>], row: usize, visit: &mut dyn FnMut(usize)) {
        let at = |column: usize| columns[column][row];
        match &self.kind {
            LawKind::Equal(_) | LawKind::Bounds | LawKind::Implicit => {}
            LawKind::Probabilities(_, all) | LawKind::Logits(_, all) => {
                all.iter().copied().for_each(visit)
            }
            LawKind::Bernoulli { probability: one } | LawKind::BernoulliLogit(one) => visit(*one),
            LawKind::Atoms(values) => values.iter().flatten().copied().for_each(visit),
            LawKind::Mixture(parts) => {
                for (weight, part) in parts {
                    visit(*weight);
                    if at(*weight) > 0.0 {
                        part.used(columns, row, visit);
                    }
                }
            }
            LawKind::If(condition, then, otherwise) => {
                visit(*condition);
                (if at(*condition) != 0.0 { then } else { otherwise }).used(columns, row, visit);
            }
            LawKind::Record(parts) => parts.iter().for_each(|part| part.used(columns, row, visit)),
            LawKind::Box { lo, hi } => lo.iter().chain(hi).copied().for_each(visit),
            LawKind::Real(_, arguments) => arguments.iter().flatten().copied().for_each(visit),
        }
    }

    /// Collects the values with mass at `row`; false where some of the mass has a density.
    pub fn atoms(&self, columns: &[Vec<f64>], row: usize, found: &mut Atoms) -> bool {
        let at = |column: usize| columns[column][row];
        match &self.kind {
            LawKind::Equal(domain) => {
                (0..domain.size()).for_each(|outcome| self.push_outcome(domain, outcome, found));
                true
            }
            LawKind::Logits(domain, all) => {
                let mass =
                    all.iter().enumerate().filter(|&(_, &column)| at(column) > f64::NEG_INFINITY);
                mass.for_each(|(outcome, _)| self.push_outcome(domain, outcome, found));
                true
            }
            LawKind::BernoulliLogit(logit) => {
                let logit = at(*logit);
                (logit < f64::INFINITY).then(|| found.push([0.0]));
                (logit > f64::NEG_INFINITY).then(|| found.push([1.0]));
                true
            }
            LawKind::Probabilities(domain, all) => {
                let mass = all.iter().enumerate().filter(|&(_, &column)| at(column) > 0.0);
                mass.for_each(|(outcome, _)| self.push_outcome(domain, outcome, found));
                true
            }
            LawKind::Bernoulli { probability } => {
                let p = at(*probability);
                (p < 1.0).then(|| found.push([0.0]));
                (p > 0.0).then(|| found.push([1.0]));
                true
            }
            LawKind::Atoms(values) => {
                values.iter().for_each(|value| found.push(value.iter().map(|&column| at(column))));
                true
            }
            LawKind::Mixture(parts) => {
                let with_mass = parts.iter().filter(|(weight, _)| at(*weight) > 0.0);
                with_mass.fold(true, |all, (_, part)| part.atoms(columns, row, found) && all)
            }
            LawKind::If(condition, then, otherwise) => {
                (if at(*condition) != 0.0 { then } else { otherwise }).atoms(columns, row, found)
            }
            LawKind::Record(parts) => {
                let mut joint = vec![Vec::with_capacity(self.width)];
                for part in parts {
                    let mut own = Atoms::default();
                    if !part.atoms(columns, row, &mut own) {
                        return false;
                    }
                    joint = joint
                        .iter()
                        .flat_map(|head| {
                            own.iter(part.width)
                                .map(|tail| head.iter().chain(tail).copied().collect::<Vec<f64>>())
                        })
                        .collect();
                }
                joint.into_iter().for_each(|value| found.push(value));
                true
            }
            LawKind::Box { .. } | LawKind::Real(..) | LawKind::Bounds | LawKind::Implicit => false,
        }
    }

    /// The range of values per component at `row`, where the mass has a density; a component with
    /// atoms alone has none.
    pub fn reach(
        &self,
        columns: &[Vec<f64>],
        row: usize,
        components: &[Component],
        found: &mut Vec<Option<(f64, f64)>>,
    ) {
        let at = |column: usize| columns[column][row];
        match &self.kind {
            LawKind::Box { lo, hi } => {
                found.extend(lo.iter().zip(hi).map(|(&lo, &hi)| Some((at(lo), at(hi)))))
            }
            LawKind::Real(family, _) if family.reach() == Reach::Line => {
                found.extend(components.iter().map(|_| Some((f64::NEG_INFINITY, f64::INFINITY))))
            }
            LawKind::Real(..) | LawKind::Bounds => {
                found.extend(components.iter().map(|component| match component.kind {
                    Kind::Real { lo, hi } => Some((lo, hi)),
                    Kind::Integer { .. } | Kind::Names(_) | Kind::Bool => None,
                }))
            }
            LawKind::If(condition, then, otherwise) => {
                (if at(*condition) != 0.0 { then } else { otherwise })
                    .reach(columns, row, components, found);
            }
            LawKind::Record(parts) => {
                let mut start = 0;
                for part in parts {
                    part.reach(columns, row, &components[start..start + part.width], found);
                    start += part.width;
                }
            }
            LawKind::Mixture(parts) => {
                let start = found.len();
                found.extend(components.iter().map(|_| None));
                for (_, part) in parts.iter().filter(|(weight, _)| at(*weight) > 0.0) {
                    let mut own = Vec::new();
                    part.reach(columns, row, components, &mut own);
                    for (all, one) in found[start..].iter_mut().zip(own) {
                        *all = match (*all, one) {
                            (Some((lo, hi)), Some((lo_2, hi_2))) => {
                                Some((lo.min(lo_2), hi.max(hi_2)))
                            }
                            (all, one) => all.or(one),
                        };
                    }
                }
            }
            LawKind::Equal(_)
            | LawKind::Probabilities(..)
            | LawKind::Logits(..)
            | LawKind::Atoms(_) => {
                found.extend(components.iter().map(|_| None));
            }
            LawKind::Bernoulli { .. } | LawKind::BernoulliLogit(_) | LawKind::Implicit => {
                found.extend(components.iter().map(|_| None))
            }
        }
    }

    fn push_outcome(&self, domain: &FiniteDomain, outcome: usize, found: &mut Atoms) {
        let start = found.values.len();
        found.values.resize(start + self.width, 0.0);
        domain.value(outcome, &mut found.values[start..]);
        found.count += 1;
    }
}

fn law(
    distribution: &Distribution<Vec<ExprId>>,
    shape: &Shape,
    components: &[Component],
    finite: Option<&FiniteDomain>,
    column: &dyn Fn(ExprId) -> usize,
) -> Option<Law> {
    let columns = |all: &[ExprId]| all.iter().map(|&id| column(id)).collect::<Vec<usize>>();
    // one argument per component, or one for all
    let spread = |all: &[ExprId]| match all {
        [one] => Some(vec![column(*one); components.len()]),
        all => (all.len() == components.len()).then(|| columns(all)),
    };
    let listed = || finite.cloned().or_else(|| FiniteDomain::of(components));
    let kind = match distribution {
        Distribution::Uniform => listed().map_or(LawKind::Bounds, LawKind::Equal),
        Distribution::UniformBox { lo, hi } => LawKind::Box { lo: spread(lo)?, hi: spread(hi)? },
        Distribution::UniformOver(values) => {
            LawKind::Atoms(values.iter().map(|value| spread(value)).collect::<Option<_>>()?)
        }
        Distribution::Delta(value) => LawKind::Atoms(vec![spread(value)?]),
        Distribution::Categorical(scores) => {
            let domain = listed()?;
            let (Scores::Logits(all) | Scores::Probs(all)) = scores;
            if all.len() != domain.size() {
                return None;
            }
            match scores {
                Scores::Logits(_) => LawKind::Logits(domain, columns(all)),
                Scores::Probs(_) => LawKind::Probabilities(domain, columns(all)),
            }
        }
        Distribution::Bernoulli(Scores::Logits(all)) => {
            LawKind::BernoulliLogit(column(*all.first()?))
        }
        Distribution::Bernoulli(Scores::Probs(all)) => {
            LawKind::Bernoulli { probability: column(*all.first()?) }
        }
        Distribution::Real { family, arguments } => {
            let arguments = arguments.iter().map(|of| spread(of));
            LawKind::Real(*family, arguments.collect::<Option<_>>()?)
        }
        Distribution::Mixture(parts) => {
            let parts = parts.iter().map(|(weight, part)| {
                Some((column(*weight.first()?), law(part, shape, components, finite, column)?))
            });
            LawKind::Mixture(parts.collect::<Option<_>>()?)
        }
        Distribution::If { condition, then, otherwise } => LawKind::If(
            column(*condition.first()?),
            Box::new(law(then, shape, components, finite, column)?),
            Box::new(law(otherwise, shape, components, finite, column)?),
        ),
        Distribution::Record(parts) => {
            let Shape::Record(fields) = shape else { return None };
            let mut start = 0;
            let mut laws = Vec::with_capacity(parts.len());
            for (part, (_, shape)) in parts.iter().zip(fields) {
                let end = start + width(shape);
                laws.push(law(part, shape, components.get(start..end)?, None, column)?);
                start = end;
            }
            LawKind::Record(laws)
        }
        Distribution::Sticky { .. } => return None,
        Distribution::Implicit(_) => LawKind::Implicit,
    };
    Some(Law { kind, width: components.len() })
}

fn width(shape: &Shape) -> usize {
    match shape {
        Shape::Scalar => 1,
        Shape::Vector(n) => *n,
        Shape::Record(fields) => fields.iter().map(|(_, shape)| width(shape)).sum(),
    }
}

fn show_outcome(domain: &FiniteDomain, outcome: usize) -> String {
    let mut value = vec![0.0; domain.width()];
    domain.value(outcome, &mut value);
    value.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{ExprId, Graph};

    fn scalar(kind: Kind) -> Domain {
        let components = vec![Component { path: String::new(), kind }];
        Domain { shape: Shape::Scalar, finite: FiniteDomain::of(&components), components }
    }

    /// The law of a distribution whose arguments are constants, and its one row.
    fn constant(
        distribution: impl Fn(&mut dyn FnMut(f64) -> Vec<ExprId>) -> Distribution<Vec<ExprId>>,
        domain: &Domain,
    ) -> (Law, Vec<Vec<f64>>) {
        let mut graph = Graph::default();
        let distribution = distribution(&mut |value| vec![graph.constant(value)]);
        let law = Law::of(&distribution, domain, &|id| id.0 as usize).expect("the shapes fit");
        (
            law,
            graph
                .nodes()
                .iter()
                .enumerate()
                .map(|(id, _)| vec![graph.as_constant(ExprId(id as u32)).unwrap_or(0.0)])
                .collect(),
        )
    }

    #[test]
    fn weights_are_probabilities() {
        let domain = scalar(Kind::Integer { lo: 0, hi: 3 });
        let mixture = |weights: [f64; 2]| {
            constant(
                |c| {
                    Distribution::Mixture(
                        weights
                            .iter()
                            .zip([1.0, 7.0])
                            .map(|(&w, v)| (c(w), Distribution::Delta(c(v))))
                            .collect(),
                    )
                },
                &domain,
            )
        };
        let fault = |weights| {
            let (law, columns) = mixture(weights);
            law.fault(&columns, 0)
        };
        assert_eq!(fault([0.25, 0.75]), None);
        assert_eq!(fault([0.5, 0.75]), Some(Fault::WeightsSum(1.25)));
        assert_eq!(fault([-0.5, 1.5]), Some(Fault::NegativeWeight { part: 0, value: -0.5 }));
    }

    #[test]
    fn a_part_without_weight_has_no_mass() {
        let domain = scalar(Kind::Integer { lo: 0, hi: 3 });
        let (law, columns) = constant(
            |c| {
                Distribution::Mixture(vec![
                    (c(1.0), Distribution::Delta(c(2.0))),
                    (c(0.0), Distribution::Delta(c(9.0))),
                ])
            },
            &domain,
        );
        let mut atoms = Atoms::default();
        assert!(law.atoms(&columns, 0, &mut atoms));
        assert_eq!((atoms.count, &atoms.values[..]), (1, &[2.0][..]));
    }

    #[test]
    fn independent_parts_multiply() {
        let field = |lo, hi| Component { path: String::new(), kind: Kind::Integer { lo, hi } };
        let components = vec![field(0, 1), field(5, 7)];
        let shape = Shape::Record(vec![("x".into(), Shape::Scalar), ("y".into(), Shape::Scalar)]);
        let domain = Domain { shape, finite: FiniteDomain::of(&components), components };
        let (law, columns) = constant(
            |c| Distribution::Record(vec![Distribution::Uniform, Distribution::Delta(c(6.0))]),
            &domain,
        );
        let mut atoms = Atoms::default();
        assert!(law.atoms(&columns, 0, &mut atoms));
        assert_eq!(atoms.iter(2).collect::<Vec<_>>(), [[0.0, 6.0], [1.0, 6.0]]);
    }

    #[test]
    fn a_density_has_a_range_and_no_atoms() {
        let domain = scalar(Kind::Real { lo: -2.0, hi: 2.0 });
        let family = Family::named("TanhNormal").unwrap();
        let (law, columns) =
            constant(|c| Distribution::Real { family, arguments: vec![c(0.0), c(1.0)] }, &domain);
        let (mut atoms, mut reach) = (Atoms::default(), Vec::new());
        assert!(!law.atoms(&columns, 0, &mut atoms));
        law.reach(&columns, 0, &domain.components, &mut reach);
        assert_eq!(reach, [Some((-2.0, 2.0))]);
    }
}
