//! One whole trajectory, and the logarithms of factors and likelihoods on it.

use super::read::{Standing, none_of};
use super::refuse::refuse;
use crate::expr::ExprId;
use crate::finite::{
    Conditions, Environment, KernelTables, Masses, NotFinite, finite_domain, tabulate,
};
use crate::model::{
    Bound, Dynamics, EnvironmentId, EnvironmentKernel, Factor, FormalVariable, Index, Input,
    KernelId, KernelRef, Likelihood, LikelihoodForm, Model, Role, Target, TargetVariable, Value,
    VariableId,
};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

pub(super) struct Trajectory<'m> {
    pub model: &'m Model,
    tables: &'m KernelTables,
    environments: BTreeMap<EnvironmentId, Environment>,
    conditions: BTreeMap<KernelId, Conditions>,
    params: Vec<f64>,
    state: VariableId,
    /// By state: the episode is over.
    ended: Vec<bool>,
    /// By variable and time (counted from 1): the number of its value, absent where it has none.
    values: Vec<Vec<Option<usize>>>,
}

impl<'m> Trajectory<'m> {
    pub fn new(
        model: &'m Model,
        bound: &'m Bound,
        tables: &'m KernelTables,
    ) -> Result<Trajectory<'m>, NotFinite> {
        let mut environments = BTreeMap::new();
        let mut conditions = BTreeMap::new();
        let mut state = None;
        for factor in bound.prior.iter().chain(&bound.posterior).chain(&bound.auxiliary) {
            for target in &factor.targets {
                match *target {
                    Target::Variable { variable: TargetVariable::Variable(variable), .. } => {
                        if model.variable(variable).role == Role::State {
                            state = Some(variable);
                        }
                    }
                    Target::Variable { .. } => {
                        return refuse("a kernel that draws a reward or the end of the episode");
                    }
                    Target::Weights(_) => return refuse("a prior over a kernel's weights"),
                }
            }
            if let KernelRef::Environment(environment, _) = factor.kernel {
                environments.insert(environment, tabulate(model, environment)?);
            }
        }
        for (id, _) in model.kernels.iter().enumerate() {
            let id = KernelId(id as u32);
            if tables.current.contains_key(&id) || tables.previous.contains_key(&id) {
                conditions.insert(id, Conditions::of(model, id)?);
            }
        }
        let Some(state) = state else { return refuse("a bound without a state") };
        let own = model.variable(state).environment;
        let ended = match own
            .filter(|own| matches!(model.environment(*own).dynamics, Dynamics::Written { .. }))
        {
            Some(own) => match environments.get(&own) {
                Some(table) => table.ended.clone(),
                None => tabulate(model, own)?.ended,
            },
            None => vec![false; finite_domain(model, state)?.size()],
        };
        let values = vec![vec![None; model.horizon.value + 2]; model.variables.len()];
        Ok(Trajectory {
            model,
            tables,
            environments,
            conditions,
            params: model.param_values(),
            state,
            ended,
            values,
        })
    }

    pub fn set(&mut self, variable: VariableId, time: usize, value: Option<usize>) {
        self.values[variable.0 as usize][time] = value;
    }

    pub fn get(&self, variable: VariableId, time: usize) -> Option<usize> {
        self.values[variable.0 as usize].get(time).copied().flatten()
    }

    /// The episode is over at `time`.
    pub fn is_over(&self, time: usize) -> bool {
        time > 0 && self.get(self.state, time).is_some_and(|state| self.ended[state])
    }

    /// The times of a factor's targets.
    pub fn times(&self, factor: &Factor) -> Result<RangeInclusive<usize>, NotFinite> {
        let horizon = self.model.horizon.value;
        match factor.targets[..] {
            [Target::Variable { variable: TargetVariable::Variable(variable), index }, ..] => {
                let last = if self.model.variable(variable).role == Role::State {
                    horizon + 1
                } else {
                    horizon
                };
                Ok(Standing::of(index, horizon, last).slices)
            }
            _ => refuse("a factor without a variable"),
        }
    }

    /// `log p` of a factor whose targets stand at `time`; 0 where they have no value.
    pub fn log_factor(&self, factor: &Factor, time: usize) -> Result<f64, NotFinite> {
        let mut outcomes = Vec::new();
        let mut shift = 0;
        let mut of = self.state;
        for target in &factor.targets {
            let Target::Variable { variable: TargetVariable::Variable(variable), index } = *target
            else {
                continue;
            };
            if let Index::Step(k) = index {
                shift = k;
            }
            let Some(value) = self.get(variable, time) else { return Ok(0.0) };
            of = variable;
            outcomes.push(value);
        }
        let t = time as i64 - i64::from(shift);
        let first = |row: usize| outcomes.first().map_or(row, |&outcome| outcome);
        // after an end the state repeats, and a learned model of it has stopped
        let stopped = of == self.state && time > 1 && self.is_over(time - 1);
        match &factor.kernel {
            KernelRef::Learned(_) | KernelRef::Previous(_) if stopped => Ok(0.0),
            KernelRef::Learned(kernel) => {
                self.look_up(*kernel, false, &outcomes, &factor.arguments, t)
            }
            KernelRef::Previous(kernel) => {
                self.look_up(*kernel, true, &outcomes, &factor.arguments, t)
            }
            KernelRef::Environment(environment, part) => {
                let table = &self.environments[environment];
                let given = |at: usize| {
                    factor
                        .arguments
                        .get(at)
                        .and_then(|value| self.number(value, 0, None, t).ok())
                        .flatten()
                };
                let (sparse, row) = match (part, &table.observation) {
                    (EnvironmentKernel::Initial, _) => (&table.initial, Some(0)),
                    // where the episode is over every action stays
                    (EnvironmentKernel::Transition, _) => (
                        &table.transition,
                        given(0).map(|s| s * table.actions + given(1).unwrap_or(0)),
                    ),
                    (EnvironmentKernel::Observation, Some(observation)) => (observation, given(0)),
                    (EnvironmentKernel::Observation, None) => {
                        return refuse("an environment without observations as a kernel of one");
                    }
                };
                let Some(row) = row else { return Ok(f64::NAN) };
                let wanted = first(0);
                Ok(sparse.row(row).find(|(value, _)| *value == wanted).map_or(0.0, |(_, p)| p).ln())
            }
            KernelRef::InPlace(distribution) => {
                let target = self.model.variable(of);
                let mut masses =
                    Masses::new(self.model, &target.name, &target.domain, distribution)?;
                let mut mass = 0.0;
                let fill = |input: Input, _: std::ops::Range<usize>, out: &mut [f64]| {
                    out.fill(self.input(input, t))
                };
                let wanted = first(0);
                masses
                    .list(0..1, t as f64, &fill, &|_| false, |_, value, p| {
                        mass += if value == wanted { p } else { 0.0 }
                    })
                    .map_err(|bad| {
                        NotFinite(format!("the distribution of `{}`: {}", target.name, bad.what))
                    })?;
                Ok(mass.ln())
            }
            KernelRef::Data(data) => {
                let name = &self.model.data[data.0 as usize].name;
                Err(NotFinite(format!(
                    "`{name}` is known by its samples alone: it has no exact density"
                )))
            }
        }
    }

    /// The sum over its times of a likelihood's logarithm.
    pub fn log_likelihood(&self, likelihood: &Likelihood) -> Result<f64, NotFinite> {
        let horizon = self.model.horizon.value;
        let standing = Standing::of(likelihood.index, horizon, horizon);
        let mut sum = 0.0;
        for time in standing.slices.clone() {
            let t = time as i64 - i64::from(standing.shift);
            sum += match &likelihood.form {
                LikelihoodForm::Exponential { value, .. } => self.value(*value, t),
                LikelihoodForm::Density { kernel, values, givens } => {
                    let (kernel, previous) = match kernel {
                        KernelRef::Learned(kernel) => (*kernel, false),
                        KernelRef::Previous(kernel) => (*kernel, true),
                        KernelRef::Environment(..) | KernelRef::Data(_) | KernelRef::InPlace(_) => {
                            return refuse("a likelihood whose kernel is not a learned one");
                        }
                    };
                    let mut outcomes = Vec::new();
                    for value in values {
                        match self.number(value, 0, None, t)? {
                            Some(outcome) => outcomes.push(outcome),
                            None => return Ok(f64::NAN),
                        }
                    }
                    self.look_up(kernel, previous, &outcomes, givens, t)?
                }
            };
        }
        Ok(sum)
    }

    fn look_up(
        &self,
        kernel: KernelId,
        previous: bool,
        outcomes: &[usize],
        givens: &[Value],
        t: i64,
    ) -> Result<f64, NotFinite> {
        let written = self.model.kernel(kernel);
        let table = if previous {
            self.tables.previous.get(&kernel)
        } else {
            self.tables.current.get(&kernel)
        };
        let (Some(table), Some(numbering)) = (table, self.conditions.get(&kernel)) else {
            return Err(NotFinite(format!(
                "the bound depends on `{}`, whose parameters are not given",
                written.name
            )));
        };
        let mut values = Vec::new();
        for axis in &numbering.axes {
            let formal = match written.givens[axis.given].variable {
                FormalVariable::Variable(variable) => Some(variable),
                FormalVariable::Reward(..) | FormalVariable::End | FormalVariable::Time => None,
            };
            match self.number(&givens[axis.given], axis.step, formal, t)?.or(axis.none) {
                Some(value) => values.push(value),
                None => return Ok(f64::NAN),
            }
        }
        let outcome = outcomes
            .iter()
            .zip(&numbering.outputs)
            .fold(0, |sum, (outcome, size)| sum * size + outcome);
        Ok(table.row(numbering.number(&values))[outcome])
    }

    /// The number of an argument's value, of step `step` where it is a window.
    fn number(
        &self,
        value: &Value,
        step: usize,
        formal: Option<VariableId>,
        t: i64,
    ) -> Result<Option<usize>, NotFinite> {
        match value {
            Value::Variable { variable, index } => Ok(self.at(*variable, *index, t)),
            Value::Window { variable, from: Index::Step(from), .. } => {
                Ok(self.at(*variable, Index::Step(from + step as i32), t))
            }
            Value::Time => Ok(Some(t as usize - 1)),
            Value::Absent => Ok(None),
            Value::Expression(components) => {
                let value: Vec<f64> =
                    components.iter().map(|&component| self.value(component, t)).collect();
                match formal {
                    Some(formal) => Ok(finite_domain(self.model, formal)?.number(&value)),
                    None => refuse("an expression as an argument that is not a variable's"),
                }
            }
            Value::Reward { .. } => refuse("a kernel that reads a reward"),
            Value::Window { .. } | Value::Past { .. } | Value::Future { .. } => {
                refuse("a kernel that reads a whole past or future")
            }
        }
    }

    fn at(&self, variable: VariableId, index: Index, t: i64) -> Option<usize> {
        let time = match index {
            Index::First => 1,
            Index::Step(k) => t + i64::from(k),
            Index::Last(k) => self.model.horizon.value as i64 + i64::from(k),
        };
        usize::try_from(time)
            .ok()
            .filter(|&time| time > 0)
            .and_then(|time| self.get(variable, time))
    }

    fn value(&self, expr: ExprId, t: i64) -> f64 {
        let read = |input: crate::expr::InputId| self.input(self.model.inputs[input.0 as usize], t);
        self.model.graph.evaluate(expr, &self.params, &read, t as f64)
    }

    fn input(&self, input: Input, t: i64) -> f64 {
        match input {
            Input::Variable { variable, component, index } => {
                let domain = &self.model.variable(variable).domain;
                let (Some(number), Some(finite)) = (self.at(variable, index, t), &domain.finite)
                else {
                    return none_of(self.model, variable);
                };
                let mut value = vec![0.0; domain.width()];
                finite.value(number, &mut value);
                value[component as usize]
            }
            Input::Reward { environment, reward, index } => {
                let time = match index {
                    Index::First => 1,
                    Index::Step(k) => t + i64::from(k),
                    Index::Last(k) => self.model.horizon.value as i64 + i64::from(k),
                };
                let value = self.model.environment(environment).rewards[reward as usize].value;
                match (usize::try_from(time), value) {
                    (Ok(step), Some(_)) if self.is_over(step) => 0.0,
                    (Ok(_), Some(value)) => self.value(value, time),
                    (Err(_), _) | (_, None) => f64::NAN,
                }
            }
            Input::Formal { .. } | Input::Gain(_) => f64::NAN,
        }
    }
}
