//! The probabilities of factors on a trajectory. Kernels with parameters are tables of random
//! logits: what holds for every table holds for every network. What the file writes down stays as
//! it is: kernels without parameters, and the outcomes that a kernel rules out.

use super::space::{ABSENT, Assignment, Space};
use crate::finite::{Axis, BadMass, Conditions, KernelTable, Masses, NotFinite};
use crate::model::{
    DataId, Distribution, EnvironmentKernel, Factor, FormalLength, FormalVariable, Input, KernelId,
    KernelRef, Model, Target, TargetVariable, Value, kernel_parameters,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::{BTreeMap, HashMap};

/// Whose table a row of logits stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    Current(KernelId),
    Previous(KernelId),
    Data(DataId),
}

/// The rows of all tables that have been met.
pub struct Laws<'w> {
    seed: u64,
    written: HashMap<KernelId, Written<'w>>,
    rows: HashMap<(Table, Vec<u32>), usize>,
    pub tables: Vec<Row>,
}

/// A kernel as the file writes it, at some parameters.
struct Written<'w> {
    /// `None` where it cannot be read.
    table: Option<(&'w KernelTable, Conditions)>,
    has_parameters: bool,
}

/// The probabilities of one kernel at one value of its givens.
pub struct Row {
    pub table: Table,
    pub probability: Vec<f64>,
    /// Where its logits stand in a vector of all logits.
    pub offset: usize,
}

/// A distribution over the joint outcomes of a factor's targets, the last target fastest.
pub struct Law {
    pub probability: Vec<f64>,
    /// The row of logits it comes from.
    pub row: Option<usize>,
}

impl<'w> Laws<'w> {
    pub fn random(
        model: &Model,
        written: &'w BTreeMap<KernelId, KernelTable>,
        seed: u64,
    ) -> Laws<'w> {
        let kernels = (0..model.kernels.len() as u32).map(KernelId);
        let read = |kernel| {
            let table = written.get(&kernel).zip(Conditions::of(model, kernel).ok());
            (
                kernel,
                Written { table, has_parameters: !kernel_parameters(model, kernel).is_empty() },
            )
        };
        Laws {
            seed,
            written: kernels.map(read).collect(),
            rows: HashMap::new(),
            tables: Vec::new(),
        }
    }

    /// Random tables in the place of all kernels, those without parameters, too.
    pub fn of_tables_alone(seed: u64) -> Laws<'w> {
        Laws { seed, written: HashMap::new(), rows: HashMap::new(), tables: Vec::new() }
    }

    /// Number of logits in all rows met.
    pub fn width(&self) -> usize {
        self.tables.last().map_or(0, |row| row.offset + row.probability.len())
    }

    /// The law of a factor's draws at its `t`, given the values on the trajectory.
    ///
    /// # Errors
    /// A distribution that has no list of values, in one sentence.
    pub fn law(
        &mut self,
        space: &Space,
        factor: &Factor,
        t: usize,
        values: &Assignment,
    ) -> Result<Law, NotFinite> {
        let targets: Vec<TargetVariable> = factor
            .targets
            .iter()
            .filter_map(|target| match target {
                Target::Variable { variable, .. } => Some(*variable),
                Target::Weights(_) => None,
            })
            .collect();
        let outcomes = targets.iter().map(|variable| space.size(*variable)).product();
        self.kernel_law(space, &factor.kernel, &factor.arguments, outcomes, targets[0], t, values)
    }

    /// The same of a kernel that is not a factor's: a density of the likelihood.
    #[expect(clippy::too_many_arguments, reason = "a kernel, its place and its surroundings")]
    pub fn kernel_law(
        &mut self,
        space: &Space,
        kernel: &KernelRef,
        arguments: &[Value],
        outcomes: usize,
        target: TargetVariable,
        t: usize,
        values: &Assignment,
    ) -> Result<Law, NotFinite> {
        let (table, formals) = match kernel {
            KernelRef::Learned(id) => (Table::Current(*id), &space.model.kernel(*id).givens),
            KernelRef::Previous(id) => (Table::Previous(*id), &space.model.kernel(*id).givens),
            KernelRef::Data(id) => (Table::Data(*id), &space.model.data[id.0 as usize].givens),
            KernelRef::Environment(id, which) => {
                return environment_law(space, *id, *which, arguments, t, values);
            }
            KernelRef::InPlace(Distribution::Uniform) => {
                return Ok(Law { probability: vec![1.0 / outcomes as f64; outcomes], row: None });
            }
            KernelRef::InPlace(distribution) => {
                let TargetVariable::Variable(id) = target else {
                    return Err(NotFinite(
                        "a distribution in place of an end or a reward cannot be listed".to_owned(),
                    ));
                };
                let variable = space.model.variable(id);
                let mut masses =
                    Masses::new(space.model, &variable.name, &variable.domain, distribution)?;
                let mut probability = vec![0.0; outcomes];
                let fill = |input: Input, _: std::ops::Range<usize>, column: &mut [f64]| {
                    column.fill(space.input(input, t, values))
                };
                let listed = masses.list(0..1, t as f64, &fill, &|_| false, |_, number, p| {
                    probability[number] += p
                });
                listed.map_err(|BadMass { what, .. }| {
                    NotFinite(format!("the distribution of `{}`: {what}", variable.name))
                })?;
                return Ok(Law { probability, row: None });
            }
        };
        let numbers: Vec<Vec<u32>> = formals
            .iter()
            .zip(arguments)
            .map(|(formal, argument)| match formal.length {
                FormalLength::One => {
                    vec![argument_number(space, formal.variable, argument, t, values)]
                }
                FormalLength::Window(_) | FormalLength::Sequence => {
                    sequence_numbers(space, argument, t, values)
                }
            })
            .collect();
        let mut ruled_out = None;
        if let Table::Current(id) | Table::Previous(id) = table {
            let kernel = self.written.get(&id);
            let written =
                kernel.and_then(|kernel| kernel.row(&numbers)).filter(|row| row.len() == outcomes);
            if kernel.is_some_and(|kernel| !kernel.has_parameters) {
                let name = &space.model.kernel(id).name;
                let row = written.ok_or_else(|| {
                    NotFinite(format!(
                        "`{name}` has no parameters, and its probabilities cannot be listed"
                    ))
                })?;
                return Ok(Law {
                    probability: row.iter().map(|log_p| log_p.exp()).collect(),
                    row: None,
                });
            }
            ruled_out = written;
        }
        let mut key = Vec::new();
        for ((numbers, formal), argument) in numbers.iter().zip(formals).zip(arguments) {
            key.extend(numbers);
            if formal.length != FormalLength::One {
                key.extend(extent(space, argument, t));
            }
        }
        let row = self.row(table, key, outcomes, ruled_out);
        Ok(Law { probability: self.tables[row].probability.clone(), row: Some(row) })
    }

    /// The row of a table at one value of its givens, by the numbers of their values.
    pub fn row(
        &mut self,
        table: Table,
        key: Vec<u32>,
        outcomes: usize,
        ruled_out: Option<&[f64]>,
    ) -> usize {
        let next = self.tables.len();
        let offset = self.width();
        let mut seed = self.seed;
        // a row's logits depend on its table and condition alone, not on the order in which rows
        // are met
        let mut mix =
            |value: u64| seed = (seed ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let (kind, id) = match table {
            Table::Current(id) => (1, id.0),
            Table::Previous(id) => (2, id.0),
            Table::Data(id) => (3, id.0),
        };
        mix(kind);
        mix(u64::from(id) + 1);
        key.iter().for_each(|value| mix(u64::from(*value) + 1));
        *self.rows.entry((table, key)).or_insert_with(|| {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut weights: Vec<f64> =
                (0..outcomes).map(|_| (3.0 * rng.random::<f64>() - 1.5).exp()).collect();
            let zeros = weights
                .iter_mut()
                .zip(ruled_out.unwrap_or_default())
                .filter(|(_, log_p)| **log_p == f64::NEG_INFINITY);
            zeros.for_each(|(weight, _)| *weight = 0.0);
            let sum: f64 = weights.iter().sum();
            self.tables.push(Row {
                table,
                probability: weights.iter().map(|w| w / sum).collect(),
                offset,
            });
            next
        })
    }
}

impl<'w> Written<'w> {
    /// The row under a condition; `None` where there is no such row.
    fn row(&self, numbers: &[Vec<u32>]) -> Option<&'w [f64]> {
        let (table, conditions) = self.table.as_ref()?;
        let number = |axis: &Axis| match numbers[axis.given].get(axis.step) {
            Some(&number) if number != ABSENT => Some(number as usize),
            Some(_) | None => axis.none,
        };
        let places: Option<usize> =
            conditions.axes.iter().map(|axis| Some(axis.stride * number(axis)?)).sum();
        Some(table.row(places?))
    }
}

fn environment_law(
    space: &Space,
    id: crate::model::EnvironmentId,
    which: EnvironmentKernel,
    arguments: &[Value],
    t: usize,
    values: &Assignment,
) -> Result<Law, NotFinite> {
    let environment = &space.environments[&id];
    let declared = space.model.environment(id);
    let number = |at: usize, variable| {
        argument_number(space, FormalVariable::Variable(variable), &arguments[at], t, values)
    };
    let (rows, row) = match which {
        EnvironmentKernel::Initial => (&environment.initial, 0),
        EnvironmentKernel::Transition => {
            let s = number(0, declared.state);
            let mut a = 0;
            for (at, &action) in declared.actions.iter().enumerate() {
                // after the end no action is drawn, and every action stays
                let value = number(at + 1, action);
                let size = space.size(TargetVariable::Variable(action)) as u32;
                a = a * size + if value == ABSENT { 0 } else { value };
            }
            (&environment.transition, s as usize * environment.actions + a as usize)
        }
        EnvironmentKernel::Observation => {
            let observation = environment.observation.as_ref();
            let observation = observation
                .ok_or_else(|| NotFinite(format!("`{}` has no observations", declared.name)))?;
            (observation, number(0, declared.state) as usize)
        }
    };
    let outcomes = match which {
        EnvironmentKernel::Initial | EnvironmentKernel::Transition => environment.states,
        EnvironmentKernel::Observation => {
            declared.observation.map_or(0, |id| space.size(TargetVariable::Variable(id)))
        }
    };
    let mut probability = vec![0.0; outcomes];
    rows.row(row).for_each(|(value, p)| probability[value] += p);
    Ok(Law { probability, row: None })
}

fn argument_number(
    space: &Space,
    formal: FormalVariable,
    argument: &Value,
    t: usize,
    values: &Assignment,
) -> u32 {
    match argument {
        Value::Variable { variable, index } => {
            space.number(TargetVariable::Variable(*variable), space.time(*index, t), values)
        }
        Value::Time => t as u32 - 1,
        Value::Expression(parts) => {
            let FormalVariable::Variable(id) = formal else { return ABSENT };
            let value: Vec<f64> = parts.iter().map(|part| space.value(*part, t, values)).collect();
            let number = space
                .model
                .variable(id)
                .domain
                .finite
                .as_ref()
                .and_then(|domain| domain.number(&value));
            number.map_or(ABSENT, |number| number as u32)
        }
        Value::Reward { .. }
        | Value::Window { .. }
        | Value::Past { .. }
        | Value::Future { .. }
        | Value::Absent => ABSENT,
    }
}

/// The steps of a window or a sequence, one after the other; outside the trajectory `none`.
fn sequence_numbers(space: &Space, argument: &Value, t: usize, values: &Assignment) -> Vec<u32> {
    let Some((variable, from, to)) = steps(space, argument, t) else { return vec![ABSENT] };
    (from..=to).map(|time| space.number(variable, time, values)).collect()
}

/// How far the ends of a window or a sequence lie apart: those of different lengths are different
/// conditions.
fn extent(space: &Space, argument: &Value, t: usize) -> Option<u32> {
    steps(space, argument, t).map(|(_, from, to)| to.max(from - 1).abs_diff(from) as u32)
}

fn steps(space: &Space, argument: &Value, t: usize) -> Option<(TargetVariable, i64, i64)> {
    let (variable, from, to) = match argument {
        Value::Window { variable, from, to } => {
            (variable, space.time(*from, t), space.time(*to, t))
        }
        Value::Past { variable, to } => (variable, 1, space.time(*to, t)),
        Value::Future { variable, from } => {
            (variable, space.time(*from, t), space.horizon as i64 + 1)
        }
        Value::Variable { .. }
        | Value::Reward { .. }
        | Value::Time
        | Value::Expression(_)
        | Value::Absent => return None,
    };
    Some((TargetVariable::Variable(*variable), from, to))
}
