//! Distributions with finite support, written in scalar expressions, as weighted values at many
//! points.

use super::NotFinite;
use super::columns::{BLOCK, Columns, Fill};
use crate::expr::ExprId;
use crate::model::{
    Component, Distribution, Domain, FiniteDomain, Input, Kind, Model, Scores, Shape,
};
use std::ops::Range;

/// A distribution over a finite domain, ready to be listed.
pub struct Masses<'m> {
    domain: &'m Domain,
    finite: &'m FiniteDomain,
    distribution: &'m Distribution<Vec<ExprId>>,
    columns: Columns<'m>,
}

/// One value with its weight, at each point of a block; where the weight is 0 the value means
/// nothing.
#[derive(Clone)]
struct Atom {
    weight: Vec<f64>,
    value: Vec<Part>,
}

/// A component of an atom's value.
#[derive(Clone, Copy)]
enum Part {
    Constant(f64),
    Column(ExprId),
}

/// Why a point has no list of values.
pub struct BadMass {
    pub point: usize,
    pub what: String,
}

impl<'m> Masses<'m> {
    /// `distribution` over `domain`; `name` says in an error what is drawn.
    ///
    /// # Errors
    /// Where the support is not finite: the sentence names the distribution.
    pub fn new(
        model: &'m Model,
        name: &str,
        domain: &'m Domain,
        distribution: &'m Distribution<Vec<ExprId>>,
    ) -> Result<Masses<'m>, NotFinite> {
        let finite = domain.finite.as_ref().ok_or_else(|| super::not_finite(name, domain))?;
        let mut roots = Vec::new();
        arguments(distribution, name, &mut roots)?;
        Ok(Masses { domain, finite, distribution, columns: Columns::new(model, &roots) })
    }

    pub fn reads_time(&self) -> bool {
        self.columns.reads_time()
    }

    pub fn inputs(&self) -> impl Iterator<Item = Input> + '_ {
        self.columns.inputs()
    }

    /// Calls `visit(point, number, probability)` for every atom of positive weight at the points
    /// `range` (at most [`BLOCK`]). A value may come several times. Points where `skip` holds are
    /// passed over.
    pub fn list(
        &mut self,
        range: Range<usize>,
        t: f64,
        fill: Fill<'_>,
        skip: &dyn Fn(usize) -> bool,
        mut visit: impl FnMut(usize, usize, f64),
    ) -> Result<(), BadMass> {
        debug_assert!(range.len() <= BLOCK);
        self.columns.evaluate(range.clone(), t, fill);
        let atoms = self.atoms(
            self.distribution,
            &self.domain.shape,
            &self.domain.components,
            range.len(),
            true,
        );
        let columns: Vec<Vec<Result<f64, &[f64]>>> = atoms
            .iter()
            .map(|atom| {
                let part = |part: &Part| match part {
                    Part::Constant(value) => Ok(*value),
                    Part::Column(id) => Err(self.columns.column(*id)),
                };
                atom.value.iter().map(part).collect()
            })
            .collect();
        let mut value = vec![0.0; self.domain.width()];
        for (i, point) in range.enumerate() {
            if skip(point) {
                continue;
            }
            let mut sum = 0.0;
            for (atom, parts) in atoms.iter().zip(&columns) {
                let weight = atom.weight[i];
                if weight == 0.0 {
                    continue;
                }
                // a NaN is not positive
                if weight.is_nan() || weight < 0.0 {
                    return Err(BadMass { point, what: format!("a probability is {weight}") });
                }
                value.iter_mut().zip(parts).for_each(|(slot, part)| {
                    *slot = match part {
                        Ok(value) => *value,
                        Err(column) => column[i],
                    }
                });
                let Some(number) = self.finite.number(&value) else {
                    return Err(BadMass {
                        point,
                        what: format!(
                            "the value {} is outside the domain",
                            self.domain.show(&value)
                        ),
                    });
                };
                visit(point, number, weight);
                sum += weight;
            }
            if (sum - 1.0).abs() > 1e-6 {
                return Err(BadMass { point, what: format!("the probabilities sum to {sum}") });
            }
        }
        Ok(())
    }

    /// `whole`: `components` are the domain itself, whose filter leaves out what it leaves out.
    fn atoms(
        &self,
        distribution: &Distribution<Vec<ExprId>>,
        shape: &Shape,
        components: &[Component],
        n: usize,
        whole: bool,
    ) -> Vec<Atom> {
        let column = |id: &ExprId| self.columns.column(*id)[..n].to_vec();
        let values = || -> Vec<Vec<Part>> {
            let listed = FiniteDomain::of(components)
                .expect("masses: every component of a finite domain is finite");
            let finite = if whole { self.finite } else { &listed };
            let mut value = vec![0.0; components.len()];
            (0..finite.size())
                .map(|number| {
                    finite.value(number, &mut value);
                    value.iter().map(|&v| Part::Constant(v)).collect()
                })
                .collect()
        };
        let zip = |weights: Vec<Vec<f64>>| -> Vec<Atom> {
            weights
                .into_iter()
                .zip(values())
                .map(|(weight, value)| Atom { weight, value })
                .collect()
        };
        match distribution {
            Distribution::Uniform => {
                let values = values();
                let weight = 1.0 / values.len() as f64;
                values.into_iter().map(|value| Atom { weight: vec![weight; n], value }).collect()
            }
            Distribution::UniformOver(list) => {
                let weight = vec![1.0 / list.len() as f64; n];
                list.iter()
                    .map(|value| Atom {
                        weight: weight.clone(),
                        value: value.iter().map(|&id| Part::Column(id)).collect(),
                    })
                    .collect()
            }
            Distribution::Delta(value) => {
                vec![Atom {
                    weight: vec![1.0; n],
                    value: value.iter().map(|&id| Part::Column(id)).collect(),
                }]
            }
            Distribution::Categorical(Scores::Probs(probs)) => {
                zip(probs.iter().map(column).collect())
            }
            Distribution::Categorical(Scores::Logits(logits)) => {
                let mut weights: Vec<Vec<f64>> = logits.iter().map(column).collect();
                for i in 0..n {
                    let high = weights.iter().map(|w| w[i]).fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = weights.iter().map(|w| (w[i] - high).exp()).sum();
                    weights.iter_mut().for_each(|w| w[i] = (w[i] - high).exp() / sum);
                }
                zip(weights)
            }
            Distribution::Bernoulli(scores) => {
                let of_one: Vec<f64> = match scores {
                    Scores::Probs(probs) => probs.first().map(column).unwrap_or_default(),
                    Scores::Logits(logits) => logits
                        .first()
                        .map(column)
                        .unwrap_or_default()
                        .iter()
                        .map(|l| 1.0 / (1.0 + (-l).exp()))
                        .collect(),
                };
                zip(vec![of_one.iter().map(|p| 1.0 - p).collect(), of_one])
            }
            Distribution::Mixture(parts) => {
                let mut all = Vec::new();
                for (weight, part) in parts {
                    let weight = self.columns.column(weight[0]);
                    let mut atoms = self.atoms(part, shape, components, n, whole);
                    // a part of weight 0 may mean nothing there
                    atoms.iter_mut().for_each(|atom| {
                        atom.weight
                            .iter_mut()
                            .zip(weight)
                            .for_each(|(w, &m)| *w = if m == 0.0 { 0.0 } else { *w * m });
                    });
                    all.extend(atoms);
                }
                all
            }
            Distribution::If { condition, then, otherwise } => {
                let condition = self.columns.column(condition[0]);
                let mut all = self.atoms(then, shape, components, n, whole);
                all.iter_mut().for_each(|atom| keep_where(&mut atom.weight, condition, true));
                let mut others = self.atoms(otherwise, shape, components, n, whole);
                others.iter_mut().for_each(|atom| keep_where(&mut atom.weight, condition, false));
                all.extend(others);
                all
            }
            Distribution::Record(parts) => {
                let mut all = vec![Atom { weight: vec![1.0; n], value: Vec::new() }];
                let mut rest = components;
                for (part, shape) in parts.iter().zip(parts_of(shape, components.len())) {
                    let (here, after) = rest.split_at(width(&shape).min(rest.len()));
                    rest = after;
                    let atoms = self.atoms(part, &shape, here, n, false);
                    all = all
                        .iter()
                        .flat_map(|left| atoms.iter().map(move |right| left.times(right)))
                        .collect();
                }
                all
            }
            Distribution::UniformBox { .. }
            | Distribution::Real { .. }
            | Distribution::Sticky { .. }
            | Distribution::Implicit(_) => Vec::new(), // `arguments` has refused them
        }
    }
}

impl Atom {
    /// The joint value of two independent parts.
    fn times(&self, right: &Atom) -> Atom {
        // 0 · NaN: what has no mass on one side has none at all
        let product = |(&l, &r): (&f64, &f64)| if l == 0.0 || r == 0.0 { 0.0 } else { l * r };
        Atom {
            weight: self.weight.iter().zip(&right.weight).map(product).collect(),
            value: self.value.iter().chain(&right.value).copied().collect(),
        }
    }
}

fn keep_where(weight: &mut [f64], condition: &[f64], wanted: bool) {
    weight.iter_mut().zip(condition).for_each(|(w, &c)| {
        if (c != 0.0) != wanted {
            *w = 0.0;
        }
    });
}

/// The shapes of a record's fields, or one scalar per component of a vector.
fn parts_of(shape: &Shape, width: usize) -> Vec<Shape> {
    match shape {
        Shape::Record(fields) => fields.iter().map(|(_, shape)| shape.clone()).collect(),
        Shape::Scalar | Shape::Vector(_) => vec![Shape::Scalar; width],
    }
}

fn width(shape: &Shape) -> usize {
    match shape {
        Shape::Scalar => 1,
        Shape::Vector(n) => *n,
        Shape::Record(fields) => fields.iter().map(|(_, shape)| width(shape)).sum(),
    }
}

/// Lists all arguments, and refuses what has no finite support.
pub fn arguments(
    distribution: &Distribution<Vec<ExprId>>,
    name: &str,
    roots: &mut Vec<ExprId>,
) -> Result<(), NotFinite> {
    let refuse = |what: &str| {
        Err(NotFinite(format!("`{name}` is drawn from {what}, whose values cannot be listed")))
    };
    match distribution {
        Distribution::Uniform => {}
        Distribution::UniformOver(list) => list.iter().for_each(|value| roots.extend(value)),
        Distribution::Delta(value) => roots.extend(value),
        Distribution::Categorical(Scores::Logits(scores) | Scores::Probs(scores))
        | Distribution::Bernoulli(Scores::Logits(scores) | Scores::Probs(scores)) => {
            roots.extend(scores)
        }
        Distribution::Mixture(parts) => {
            for (weight, part) in parts {
                roots.extend(weight);
                arguments(part, name, roots)?;
            }
        }
        Distribution::If { condition, then, otherwise } => {
            roots.extend(condition);
            arguments(then, name, roots)?;
            arguments(otherwise, name, roots)?;
        }
        Distribution::Record(parts) => {
            for part in parts {
                arguments(part, name, roots)?;
            }
        }
        Distribution::UniformBox { .. } => return refuse("a `Uniform` between bounds"),
        Distribution::Real { family, .. } => return refuse(&format!("a `{}`", family.name())),
        Distribution::Sticky { .. } => return refuse("a `Sticky` outside a kernel"),
        Distribution::Implicit(_) => return refuse("an `Implicit` distribution"),
    }
    Ok(())
}

/// What keeps a domain from being listed.
pub(super) fn infinite_component(domain: &Domain) -> Option<&Component> {
    domain.components.iter().find(|component| match component.kind {
        Kind::Real { .. } => true,
        Kind::Integer { .. } | Kind::Names(_) | Kind::Bool => false,
    })
}
