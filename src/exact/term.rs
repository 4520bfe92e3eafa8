//! The logarithms of factors and likelihoods at points: one number per point and step.

use super::read::{Expression, NONE, Points, Standing, UNDEFINED, fill};
use crate::expr::ExprId;
use crate::finite::columns::{blocks, listed};
use crate::finite::{KernelTable, Masses, NotFinite};
use crate::model::{Distribution, Domain, Input, KernelId, Model, VariableId};
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::rc::Rc;

pub(super) enum Term<'m> {
    /// An exponent.
    Exponent(Expression<'m>),
    /// A kernel's table.
    Lookup(Lookup<'m>),
    /// A distribution in place.
    InPlace(InPlace<'m>),
    /// Known values, such as those of an environment's observations.
    Fixed { standing: Standing, values: Vec<f64> },
    /// A variable that is drawn at some steps only: the logarithm of 0 for a value at the others,
    /// and for `none` at these.
    Presence { at: Vec<bool>, drawn: Vec<Drawn> },
}

/// Points of a term that are asked why they are infinite.
const LOOKED_AT: usize = 64;

/// Whether a point draws a value of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drawn {
    Value,
    None,
    /// The episode is over.
    Over,
}

/// `log k(outcome | condition)` of a kernel's table.
pub(super) struct Lookup<'m> {
    pub name: String,
    pub kernel: KernelId,
    pub previous: bool,
    pub table: &'m KernelTable,
    pub standing: Standing,
    /// By point, without the time; [`NONE`] where the factor has stopped (the logarithm is 0).
    pub condition: Vec<u32>,
    pub outcome: Vec<u32>,
    /// What one step of time adds to the condition; 0 where the kernel does not read it.
    pub time_stride: usize,
}

/// `log D(outcome)`, the arguments of `D` read at the point.
pub(super) struct InPlace<'m> {
    pub model: &'m Model,
    pub name: &'m str,
    pub domain: &'m Domain,
    pub distribution: &'m Distribution<Vec<ExprId>>,
    pub standing: Standing,
    /// By point; [`NONE`] where the factor has stopped.
    pub outcome: Rc<Vec<u32>>,
    pub lists: BTreeMap<VariableId, Vec<Vec<f64>>>,
    pub reads_time: bool,
}

impl<'m> InPlace<'m> {
    pub fn new(
        model: &'m Model,
        variable: VariableId,
        distribution: &'m Distribution<Vec<ExprId>>,
        standing: Standing,
        outcome: Rc<Vec<u32>>,
    ) -> Result<InPlace<'m>, NotFinite> {
        let target = model.variable(variable);
        let masses = Masses::new(model, &target.name, &target.domain, distribution)?;
        let mut lists = BTreeMap::new();
        for input in masses.inputs() {
            if let Input::Variable { variable, .. } = input {
                lists.insert(variable, listed(model, variable)?);
            }
        }
        let reads_time = masses.reads_time();
        Ok(InPlace {
            model,
            name: &target.name,
            domain: &target.domain,
            distribution,
            standing,
            outcome,
            lists,
            reads_time,
        })
    }

    fn add(&self, slice: usize, points: &Points, out: &mut [f64]) -> Result<(), NotFinite> {
        if let (Distribution::Uniform, Some(finite)) = (self.distribution, &self.domain.finite) {
            let value = -(finite.size() as f64).ln();
            out.iter_mut()
                .zip(self.outcome.iter())
                .filter(|(_, o)| **o != NONE)
                .for_each(|(out, _)| *out += value);
            return Ok(());
        }
        let mut masses = Masses::new(self.model, self.name, self.domain, self.distribution)?;
        let fill = |input: Input, range: Range<usize>, out: &mut [f64]| {
            fill(self.model, &self.standing, &self.lists, input, range, points, out)
        };
        // what is `none` before the first steps is so at points that are never met, too
        let horizon = self.model.horizon.value;
        let read = masses.inputs().filter_map(|input| match input {
            Input::Variable { variable, index, .. } => {
                points.numbers.get(&(variable, self.standing.relative(index, horizon)))
            }
            Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => None,
        });
        let read: Vec<_> = read.collect();
        let reads_none = |point: usize| read.iter().any(|numbers| numbers[point] == NONE);
        let mut mass = vec![0.0; points.count];
        let mut visit = |point: usize, value: usize, probability: f64| {
            if self.outcome[point] as usize == value {
                mass[point] += probability;
            }
        };
        let time = self.standing.time(slice);
        for range in blocks(points.count) {
            let skip = |point: usize| self.outcome[point] == NONE || reads_none(point);
            masses.list(range, time, &fill, &skip, &mut visit).map_err(|bad| {
                NotFinite(format!("the distribution of `{}` in a factor: {}", self.name, bad.what))
            })?;
        }
        let with_none = |&point: &usize| self.outcome[point] != NONE && reads_none(point);
        for point in (0..points.count).filter(with_none) {
            let skip = |_: usize| false;
            if masses.list(point..point + 1, time, &fill, &skip, &mut visit).is_err() {
                visit(point, self.outcome[point] as usize, f64::NAN);
            }
        }
        for ((out, &mass), &outcome) in out.iter_mut().zip(&mass).zip(self.outcome.iter()) {
            if outcome != NONE {
                *out += mass.ln();
            }
        }
        Ok(())
    }
}

impl Lookup<'_> {
    /// The entry of the table at a point and a slice; `None` where the factor has stopped.
    pub fn entry(&self, point: usize, slice: usize) -> Option<usize> {
        let condition = self.condition[point];
        if condition >= UNDEFINED {
            return None;
        }
        let time = (slice as i64 - i64::from(self.standing.shift) - 1) as usize;
        Some(
            (condition as usize + time * self.time_stride) * self.table.outcomes
                + self.outcome[point] as usize,
        )
    }
}

impl Term<'_> {
    fn stands_at(&self, slice: usize) -> bool {
        match self {
            Term::Exponent(Expression { standing, .. })
            | Term::Lookup(Lookup { standing, .. })
            | Term::InPlace(InPlace { standing, .. })
            | Term::Fixed { standing, .. } => standing.slices.contains(&slice),
            Term::Presence { .. } => true,
        }
    }

    /// How messages call it.
    fn name(&self) -> &str {
        match self {
            Term::Exponent(expression) => expression.name,
            Term::Lookup(lookup) => &lookup.name,
            Term::InPlace(in_place) => in_place.name,
            Term::Fixed { .. } | Term::Presence { .. } => "an observation",
        }
    }

    fn reads_time(&self) -> bool {
        match self {
            Term::Exponent(expression) => expression.reads_time(),
            Term::Lookup(lookup) => lookup.time_stride != 0,
            Term::InPlace(in_place) => in_place.reads_time,
            Term::Fixed { .. } => false,
            Term::Presence { .. } => true,
        }
    }

    /// Adds the logarithm at every point. The term must stand at the slice.
    fn add(&self, slice: usize, points: &Points, out: &mut [f64]) -> Result<(), NotFinite> {
        match self {
            Term::Exponent(expression) => expression.add(slice, points, out),
            Term::Lookup(lookup) => {
                for (point, out) in out.iter_mut().enumerate() {
                    if let Some(entry) = lookup.entry(point, slice) {
                        *out += lookup.table.log_probability[entry];
                    } else if lookup.condition[point] == UNDEFINED {
                        *out = f64::NAN;
                    }
                }
            }
            Term::InPlace(in_place) => in_place.add(slice, points, out)?,
            Term::Fixed { values, .. } => {
                out.iter_mut().zip(values).for_each(|(out, value)| *out += value)
            }
            Term::Presence { at, drawn, .. } => {
                let absent = if at[slice] { Drawn::None } else { Drawn::Value };
                out.iter_mut()
                    .zip(drawn)
                    .filter(|(_, d)| **d == absent)
                    .for_each(|(out, _)| *out = f64::NEG_INFINITY);
            }
        }
        Ok(())
    }
}

/// A sum of terms at the same points; what does not change with the step is added once.
pub(super) struct Sum<'m> {
    pub terms: Vec<Term<'m>>,
    pub points: Rc<Points>,
    /// The terms that change.
    timed: Vec<usize>,
    stationary: Vec<f64>,
    values: Vec<f64>,
    /// The slice that `values` are of.
    latest: Option<usize>,
    /// What the sum is multiplied by.
    pub power: f64,
}

impl<'m> Sum<'m> {
    /// To be read at `slices`.
    pub fn new(
        terms: Vec<Term<'m>>,
        points: Rc<Points>,
        slices: RangeInclusive<usize>,
    ) -> Result<Sum<'m>, NotFinite> {
        let mut stationary = vec![0.0; points.count];
        let mut timed = Vec::new();
        for (at, term) in terms.iter().enumerate() {
            if term.reads_time()
                || !(term.stands_at(*slices.start()) && term.stands_at(*slices.end()))
            {
                timed.push(at);
            } else {
                term.add(*slices.start(), &points, &mut stationary)?;
            }
        }
        let values = if timed.is_empty() { Vec::new() } else { stationary.clone() };
        Ok(Sum { terms, points, timed, stationary, values, latest: None, power: 1.0 })
    }

    /// The values at a slice, by point.
    pub fn at(&mut self, slice: usize) -> Result<&[f64], NotFinite> {
        if !self.changes(slice) {
            return Ok(self.latest());
        }
        self.latest = Some(slice);
        if self.power == 1.0 {
            self.values.copy_from_slice(&self.stationary);
        } else {
            self.values.fill(0.0);
        }
        for &at in &self.timed {
            if self.terms[at].stands_at(slice) {
                self.terms[at].add(slice, &self.points, &mut self.values)?;
            }
        }
        if self.power != 1.0 {
            let all = self.values.iter_mut().zip(&self.stationary);
            all.for_each(|(value, stationary)| *value = self.power * *value + stationary);
        }
        Ok(&self.values)
    }

    /// Multiplies the sum by a positive number.
    pub fn raise(&mut self, power: f64) {
        self.stationary.iter_mut().for_each(|value| *value *= power);
        self.power *= power;
        self.latest = None;
    }

    /// The values at a slice are not those that [`Sum::latest`] has.
    pub fn changes(&self, slice: usize) -> bool {
        let stands_as = |term: &Term<'_>, other: usize| {
            !term.reads_time() && term.stands_at(slice) == term.stands_at(other)
        };
        !self.timed.is_empty()
            && !self
                .latest
                .is_some_and(|other| self.timed.iter().all(|&at| stands_as(&self.terms[at], other)))
    }

    /// What [`Sum::at`] said last.
    pub fn latest(&self) -> &[f64] {
        if self.timed.is_empty() { &self.stationary } else { &self.values }
    }

    /// The part that is the same at every slice.
    pub fn stationary(&self) -> &[f64] {
        &self.stationary
    }

    /// Nothing changes with the slice.
    pub fn is_stationary(&self) -> bool {
        self.timed.is_empty()
    }

    /// The current kernels whose tables are read.
    pub fn lookups(&self) -> impl Iterator<Item = KernelId> {
        self.terms.iter().filter_map(|term| match term {
            Term::Lookup(lookup) if !lookup.previous => Some(lookup.kernel),
            Term::Lookup(_)
            | Term::Exponent(_)
            | Term::InPlace(_)
            | Term::Fixed { .. }
            | Term::Presence { .. } => None,
        })
    }

    /// By term, its name and the most that it comes to over all of `slices`: infinite where that,
    /// or the term itself, overflows. An infinity that is meant, as the logarithm of 0, is no size.
    pub fn most(&self, slices: RangeInclusive<usize>) -> Vec<(&str, f64)> {
        let mut values = vec![0.0; self.points.count];
        let mut at = |term: &Term<'_>, slice: usize| -> f64 {
            values.fill(0.0);
            if term.add(slice, &self.points, &mut values).is_err() {
                return 0.0;
            }
            if let Term::Exponent(expression) = term {
                let mut infinite =
                    (0..values.len()).filter(|&point| values[point].is_infinite()).take(LOOKED_AT);
                if infinite.any(|point| expression.overflows(slice, &self.points, point)) {
                    return f64::INFINITY;
                }
            }
            self.power
                * values
                    .iter()
                    .filter(|value| value.is_finite())
                    .fold(0.0, |most: f64, value| most.max(value.abs()))
        };
        let most = |term: &Term<'m>| {
            let mut stands = slices.clone().filter(|&slice| term.stands_at(slice));
            match term.reads_time() {
                true => stands.map(|slice| at(term, slice)).sum(),
                false => {
                    stands.next().map_or(0.0, |slice| (1 + stands.count()) as f64 * at(term, slice))
                }
            }
        };
        self.terms
            .iter()
            .map(most)
            .zip(&self.terms)
            .map(|(most, term)| (term.name(), most))
            .collect()
    }

    /// The name of a term that is not a number somewhere at a slice.
    pub fn undefined(&self, slice: usize) -> Option<&str> {
        let mut values = vec![0.0; self.points.count];
        self.terms.iter().find_map(|term| {
            values.fill(0.0);
            let bad = term.stands_at(slice)
                && term.add(slice, &self.points, &mut values).is_ok()
                && values.iter().any(|v| v.is_nan());
            bad.then(|| term.name())
        })
    }
}
