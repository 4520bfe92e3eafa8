//! How far two distributions of one variable reach: what one can draw and the other cannot.

use super::law::{Atoms, Law};
use crate::family::Reach;
use crate::model::{Component, Distribution, Domain, Kind, LayerId, Shape};

/// Where a learned distribution has mass in one component.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// On every real number.
    Reals,
    /// On every value of the declared domain.
    Everything,
    /// On single values that only a run knows.
    Points,
}

/// What the posterior draws and the prior does not.
pub enum Stray {
    Value(Vec<f64>),
    /// One component and a value of it.
    Component(usize, f64),
}

/// Buffers reused from row to row.
#[derive(Default)]
pub struct Seen {
    p: Atoms,
    q: Atoms,
}

pub struct Row<'a> {
    pub domain: &'a Domain,
    pub columns: &'a [Vec<f64>],
    pub row: usize,
}

impl Row<'_> {
    pub fn written(&self, p: &Law, q: &Law, seen: &mut Seen) -> Option<Stray> {
        let width = self.domain.width();
        seen.p.clear();
        seen.q.clear();
        let p_listed = p.atoms(self.columns, self.row, &mut seen.p);
        let q_listed = q.atoms(self.columns, self.row, &mut seen.q);
        if p_listed {
            if !q_listed {
                let ranges = self.ranges(q);
                let spread = |range: &Option<(f64, f64)>| range.is_some_and(|(lo, hi)| lo < hi);
                let at = ranges.iter().position(spread)?;
                return ranges[at]
                    .map(|range| Stray::Component(at, off(&self.column_of(&seen.p, at), range)));
            }
            let near = |a: &[f64], b: &[f64]| {
                a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(1.0))
            };
            return seen
                .q
                .iter(width)
                .find(|q| !seen.p.iter(width).any(|p| near(p, q)))
                .map(|q| Stray::Value(q.to_vec()));
        }
        let p_ranges = self.ranges(p);
        let q_ranges = self.ranges(q);
        p_ranges.iter().zip(&q_ranges).enumerate().find_map(|(at, pair)| match pair {
            (Some(p), Some(q)) => stray(*p, *q).map(|value| Stray::Component(at, value)),
            (Some(_), None) | (None, _) => None,
        })
    }

    pub fn learned(&self, p: &Law, q: &[Spread], seen: &mut Seen) -> Option<Stray> {
        seen.p.clear();
        let listed = p.atoms(self.columns, self.row, &mut seen.p);
        if let Some(finite) = &self.domain.finite {
            let mut numbers: Vec<usize> =
                seen.p.iter(self.domain.width()).filter_map(|value| finite.number(value)).collect();
            if !listed || numbers.len() < finite.size() || q.contains(&Spread::Points) {
                numbers.sort_unstable();
                numbers.dedup();
                let missing =
                    (0..finite.size()).find(|number| numbers.binary_search(number).is_err())?;
                let mut value = vec![0.0; self.domain.width()];
                finite.value(missing, &mut value);
                return (listed && !q.contains(&Spread::Points)).then_some(Stray::Value(value));
            }
            return None;
        }
        let ranges = if listed { vec![None; self.domain.width()] } else { self.ranges(p) };
        self.domain.components.iter().zip(q).enumerate().find_map(|(at, (component, spread))| {
            let Kind::Real { lo, hi } = component.kind else { return None };
            let q = match spread {
                Spread::Reals => (f64::NEG_INFINITY, f64::INFINITY),
                Spread::Everything => (lo, hi),
                Spread::Points => return None,
            };
            match ranges[at] {
                Some(p) => stray(p, q).map(|value| Stray::Component(at, value)),
                None if listed => Some(Stray::Component(at, off(&self.column_of(&seen.p, at), q))),
                None => None,
            }
        })
    }

    fn ranges(&self, law: &Law) -> Vec<Option<(f64, f64)>> {
        let mut ranges = Vec::new();
        law.reach(self.columns, self.row, &self.domain.components, &mut ranges);
        ranges
    }

    fn column_of(&self, atoms: &Atoms, component: usize) -> Vec<f64> {
        atoms.iter(self.domain.width()).map(|value| value[component]).collect()
    }
}

/// A value of `q` outside `p`.
fn stray(p: (f64, f64), q: (f64, f64)) -> Option<f64> {
    let step = if (p.1 - p.0).is_finite() && p.1 > p.0 { 0.5 * (p.1 - p.0) } else { 1.0 };
    if q.1 > p.1 {
        Some(q.1.min(p.1 + step))
    } else if q.0 < p.0 {
        Some(q.0.max(p.0 - step))
    } else {
        None
    }
}

/// A value within `range` that is none of `values`.
fn off(values: &[f64], (lo, hi): (f64, f64)) -> f64 {
    let middle = match (lo.is_finite(), hi.is_finite()) {
        (true, true) => 0.5 * (lo + hi),
        (true, false) => lo + 1.0,
        (false, true) => hi - 1.0,
        (false, false) => 0.0,
    };
    let step = if (hi - lo).is_finite() { 0.1 * (hi - lo) } else { 1.0 };
    (0..)
        .map(|n| middle + f64::from(n) * step)
        .find(|value| !values.contains(value))
        .unwrap_or(middle)
}

/// A value outside the declared bounds of a component.
pub fn beyond(component: &Component) -> Option<f64> {
    match component.kind {
        Kind::Real { lo, hi } => {
            stray((lo, hi), (f64::NEG_INFINITY, f64::INFINITY)).filter(|value| value.is_finite())
        }
        Kind::Integer { .. } | Kind::Names(_) | Kind::Bool => None,
    }
}

/// Where a learned distribution has mass, per component.
pub fn spreads(distribution: &Distribution<LayerId>, domain: &Domain) -> Vec<Spread> {
    let count = domain.width();
    match distribution {
        Distribution::Record(parts) => {
            let Shape::Record(fields) = &domain.shape else {
                return vec![Spread::Everything; count];
            };
            let mut found = Vec::with_capacity(count);
            for (part, (name, shape)) in parts.iter().zip(fields) {
                let own = |c: &&Component| {
                    c.path == *name
                        || c.path
                            .strip_prefix(name.as_str())
                            .is_some_and(|rest| rest.starts_with(['.', '[']))
                };
                let components: Vec<Component> =
                    domain.components.iter().filter(own).cloned().collect();
                found.extend(spreads(
                    part,
                    &Domain { shape: shape.clone(), components, finite: None },
                ));
            }
            found.resize(count, Spread::Everything);
            found
        }
        _ => vec![spread(distribution); count],
    }
}

fn spread(distribution: &Distribution<LayerId>) -> Spread {
    match distribution {
        Distribution::Uniform | Distribution::Categorical(_) | Distribution::Bernoulli(_) => {
            Spread::Everything
        }
        Distribution::Real { family, .. } => match family.reach() {
            Reach::Line => Spread::Reals,
            Reach::Bounds => Spread::Everything,
        },
        Distribution::Implicit(_) => Spread::Everything,
        Distribution::UniformBox { .. } | Distribution::UniformOver(_) | Distribution::Delta(_) => {
            Spread::Points
        }
        Distribution::Mixture(parts) => widest(parts.iter().map(|(_, part)| spread(part))),
        Distribution::If { then, otherwise, .. } => {
            widest([spread(then), spread(otherwise)].into_iter())
        }
        Distribution::Record(parts) => widest(parts.iter().map(spread)),
        Distribution::Sticky { fresh, .. } => spread(fresh),
    }
}

fn widest(mut all: impl Iterator<Item = Spread> + Clone) -> Spread {
    if all.clone().any(|s| s == Spread::Reals) {
        Spread::Reals
    } else if all.any(|s| s == Spread::Everything) {
        Spread::Everything
    } else {
        Spread::Points
    }
}
