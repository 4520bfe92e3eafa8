//! Distributions over a domain, with arguments that are scalar expressions (in environments and in
//! place) or layers of a network (in kernels).

use crate::expr::ExprId;
use crate::family::Family;

/// `A` is a vector-valued argument: `Vec<ExprId>` (a scalar per component) or [`super::LayerId`] (a
/// layer and its width).
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution<A> {
    /// Over all values of a finite domain, or over the declared bounds of a real one.
    Uniform,
    /// `Uniform(lo =, hi =)`, per component.
    UniformBox {
        lo: A,
        hi: A,
    },
    /// `Uniform(over = [..])`: each listed value, one argument per value.
    UniformOver(Vec<A>),
    /// All mass on one value.
    Delta(A),
    /// Over the values of a finite domain in the order of enumeration.
    Categorical(Scores<A>),
    Bernoulli(Scores<A>),
    /// Of a family over real numbers, with its arguments in the family's order; independent per
    /// component.
    Real {
        family: Family,
        arguments: Vec<A>,
    },
    /// Weights and parts; constant weights sum to 1.
    Mixture(Vec<(A, Distribution<A>)>),
    If {
        condition: A,
        then: Box<Distribution<A>>,
        otherwise: Box<Distribution<A>>,
    },
    /// Independent parts, one per field of the record in the order of the domain.
    Record(Vec<Distribution<A>>),
    /// With probability `keep` the value of the kernel's formal `last` (an index into
    /// outputs-then-givens), else from `fresh`; from `fresh` where `last` is `none`.
    Sticky {
        last: u32,
        keep: A,
        fresh: Box<Distribution<A>>,
    },
    /// Can be sampled, has no density.
    Implicit(A),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Scores<A> {
    Logits(A),
    Probs(A),
}

impl Distribution<Vec<ExprId>> {
    /// `weights(world) ~ Normal`: a mean field, whose means and deviations are learned.
    pub fn mean_field() -> Distribution<Vec<ExprId>> {
        Distribution::Real { family: Family::normal(), arguments: vec![Vec::new(), Vec::new()] }
    }

    pub fn is_mean_field(&self) -> bool {
        self.as_normal().is_some_and(|(mean, _)| mean.is_empty())
    }
}

impl<A> Distribution<A> {
    pub fn normal(mean: A, sd: A) -> Distribution<A> {
        Distribution::Real { family: Family::normal(), arguments: vec![mean, sd] }
    }

    /// The mean and the deviation of a normal that is not squashed.
    pub fn as_normal(&self) -> Option<(&A, &A)> {
        match self {
            Distribution::Real { family, arguments } if family.is_normal() => {
                Some((&arguments[0], &arguments[1]))
            }
            _ => None,
        }
    }

    /// Changes every argument, in the order written.
    pub fn for_each_mut(&mut self, change: &mut dyn FnMut(&mut A)) {
        match self {
            Distribution::Uniform => {}
            Distribution::UniformBox { lo, hi } => [lo, hi].into_iter().for_each(change),
            Distribution::Real { arguments, .. } => arguments.iter_mut().for_each(change),
            Distribution::UniformOver(values) => values.iter_mut().for_each(change),
            Distribution::Delta(value) | Distribution::Implicit(value) => change(value),
            Distribution::Categorical(scores) | Distribution::Bernoulli(scores) => match scores {
                Scores::Logits(scores) | Scores::Probs(scores) => change(scores),
            },
            Distribution::Mixture(parts) => {
                for (weight, part) in parts {
                    change(weight);
                    part.for_each_mut(change);
                }
            }
            Distribution::If { condition, then, otherwise } => {
                change(condition);
                then.for_each_mut(change);
                otherwise.for_each_mut(change);
            }
            Distribution::Record(parts) => {
                parts.iter_mut().for_each(|part| part.for_each_mut(change))
            }
            Distribution::Sticky { last: _, keep, fresh } => {
                change(keep);
                fresh.for_each_mut(change);
            }
        }
    }

    /// Visits every argument, in the order written.
    pub fn for_each(&self, visit: &mut dyn FnMut(&A)) {
        match self {
            Distribution::Uniform => {}
            Distribution::UniformBox { lo, hi } => {
                visit(lo);
                visit(hi);
            }
            Distribution::Real { arguments, .. } => arguments.iter().for_each(visit),
            Distribution::UniformOver(values) => values.iter().for_each(visit),
            Distribution::Delta(value) | Distribution::Implicit(value) => visit(value),
            Distribution::Categorical(scores) | Distribution::Bernoulli(scores) => match scores {
                Scores::Logits(scores) | Scores::Probs(scores) => visit(scores),
            },
            Distribution::Mixture(parts) => {
                for (weight, part) in parts {
                    visit(weight);
                    part.for_each(visit);
                }
            }
            Distribution::If { condition, then, otherwise } => {
                visit(condition);
                then.for_each(visit);
                otherwise.for_each(visit);
            }
            Distribution::Record(parts) => parts.iter().for_each(|part| part.for_each(visit)),
            Distribution::Sticky { last: _, keep, fresh } => {
                visit(keep);
                fresh.for_each(visit);
            }
        }
    }
}
