//! The terms of a bound's factors and likelihoods at the points of a trellis.

use super::delay::{Delayed, Moment};
use super::environments::Environments;
use super::place::{Placed, window};
use super::read::{Expression, NONE, Points, Standing, UNDEFINED};
use super::refuse::refuse;
use super::term::{InPlace, Lookup, Sum, Term};
use crate::finite::{Conditions, KernelTable, KernelTables, NotFinite, finite_domain};
use crate::model::{
    EnvironmentKernel, FormalVariable, Index, KernelId, KernelRef, Likelihood, LikelihoodForm,
    Model, Value, VariableId,
};
use std::rc::Rc;

pub(super) struct Build<'m, 'b> {
    pub environments: &'b Environments<'m>,
    pub tables: Option<&'m KernelTables>,
    pub state: VariableId,
    pub at_choices: &'b Rc<Points>,
    pub at_nodes: &'b Rc<Points>,
}

/// What a kernel's given or output is at each point.
enum Column {
    Numbers(Rc<Vec<u32>>),
    /// The number of `t − 1`.
    Time,
}

/// A kernel's name in messages, its table and how that is numbered.
///
/// # Errors
/// One sentence: there is no table, or it is of another kernel.
pub(super) fn table_of<'m>(
    model: &Model,
    tables: Option<&'m KernelTables>,
    kernel: KernelId,
    previous: bool,
) -> Result<(String, &'m KernelTable, Conditions), NotFinite> {
    let written = &model.kernel(kernel).name;
    let name = if previous { format!("previous {written}") } else { written.clone() };
    let table = tables.and_then(|tables| {
        if previous { tables.previous.get(&kernel) } else { tables.current.get(&kernel) }
    });
    let Some(table) = table else {
        return Err(NotFinite(format!(
            "the bound depends on `{name}`, whose parameters are not given"
        )));
    };
    let numbering = Conditions::of(model, kernel)?;
    let (conditions, outcomes) = (numbering.count(), numbering.outcomes());
    if (table.conditions, table.outcomes) != (conditions, outcomes) {
        let size = format!("{} x {}", table.conditions, table.outcomes);
        return Err(NotFinite(format!(
            "the table of `{name}` is {size}, its kernel is {conditions} x {outcomes}"
        )));
    }
    Ok((name, table, numbering))
}

impl<'m> Build<'m, '_> {
    /// The points at which terms are evaluated at a moment.
    pub fn points(&self, moment: Moment) -> &Rc<Points> {
        match moment {
            Moment::Choice => self.at_choices,
            Moment::Arrival => self.at_nodes,
        }
    }

    /// `log` of a factor of a step's variables.
    pub fn factor(&self, placed: &Placed<'m>, delayed: &Delayed) -> Result<Term<'m>, NotFinite> {
        let model = self.environments.model;
        let horizon = model.horizon.value;
        let points = self.points(delayed.moment);
        let standing = delayed.standing.clone();
        let outcome = |target: &VariableId| {
            points.numbers[&(*target, standing.relative(placed.index, horizon))].clone()
        };
        match &placed.factor.kernel {
            KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => {
                let previous = matches!(placed.factor.kernel, KernelRef::Previous(_));
                let outcomes: Vec<_> = placed.targets.iter().map(outcome).collect();
                self.lookup(
                    *kernel,
                    previous,
                    &outcomes,
                    &placed.factor.arguments,
                    standing,
                    points,
                    NONE,
                )
            }
            KernelRef::InPlace(distribution) => match placed.targets[..] {
                [target] => {
                    if delayed.needs.iter().any(|need| !points.has(*need)) {
                        return refuse(&format!(
                            "what the distribution of `{}` reads",
                            model.variable(target).name
                        ));
                    }
                    let outcome = outcome(&target);
                    InPlace::new(model, target, distribution, standing, outcome).map(Term::InPlace)
                }
                _ => refuse("one distribution in place over several variables"),
            },
            KernelRef::Environment(environment, EnvironmentKernel::Observation) => {
                let own_state = match placed.factor.arguments[..] {
                    [Value::Variable { variable, index }] => {
                        variable == self.state
                            && standing.relative(index, horizon) == Index::Step(0)
                    }
                    _ => false,
                };
                let (true, [target]) = (own_state, &placed.targets[..]) else {
                    return refuse("an observation of anything but the state at the same step");
                };
                let environment = self.environments.table(*environment)?;
                let Some(table) = &environment.observation else {
                    return refuse("an environment without observations as a kernel of one");
                };
                let log_probability = |(&s, &x): (&u32, &u32)| match x {
                    NONE => 0.0,
                    x => table
                        .row(s as usize)
                        .find(|(value, _)| *value == x as usize)
                        .map_or(f64::NEG_INFINITY, |(_, p)| p.ln()),
                };
                let states = &points.numbers[&(self.state, Index::Step(0))];
                let values =
                    states.iter().zip(outcome(target).iter()).map(log_probability).collect();
                Ok(Term::Fixed { standing, values })
            }
            KernelRef::Environment(
                _,
                EnvironmentKernel::Initial | EnvironmentKernel::Transition,
            ) => refuse("an environment's transition of anything but the state"),
            KernelRef::Data(data) => {
                let name = &model.data[data.0 as usize].name;
                Err(NotFinite(format!(
                    "`{name}` is known by its samples alone: it has no exact density"
                )))
            }
        }
    }

    /// `log` of a likelihood that is not evaluated at entries of a transition table.
    pub fn likelihood(
        &self,
        likelihood: &'m Likelihood,
        delayed: &Delayed,
    ) -> Result<Term<'m>, NotFinite> {
        let (standing, points) = (&delayed.standing, self.points(delayed.moment));
        match &likelihood.form {
            LikelihoodForm::Exponential { value, .. } => {
                Expression::new(self.environments.model, &likelihood.name, *value, standing.clone())
                    .map(Term::Exponent)
            }
            LikelihoodForm::Density { kernel, values, givens } => {
                let (kernel, previous) = match kernel {
                    KernelRef::Learned(kernel) => (*kernel, false),
                    KernelRef::Previous(kernel) => (*kernel, true),
                    KernelRef::Environment(..) | KernelRef::Data(_) | KernelRef::InPlace(_) => {
                        return refuse(&format!(
                            "the likelihood `{}`, whose kernel is not a learned one",
                            likelihood.name
                        ));
                    }
                };
                let mut outcomes = Vec::new();
                for value in values {
                    match self.column(value, 0, None, standing, points)? {
                        Column::Numbers(numbers) => outcomes.push(numbers),
                        Column::Time => return refuse("a likelihood of the time"),
                    }
                }
                self.lookup(
                    kernel,
                    previous,
                    &outcomes,
                    givens,
                    standing.clone(),
                    points,
                    UNDEFINED,
                )
            }
        }
    }

    /// `stopped` stands for the condition where an outcome is `none`: a factor has stopped there, a
    /// likelihood is undefined.
    #[expect(
        clippy::too_many_arguments,
        reason = "a kernel's place in a factor list is all of these"
    )]
    fn lookup(
        &self,
        kernel: KernelId,
        previous: bool,
        outcomes: &[Rc<Vec<u32>>],
        givens: &[Value],
        standing: Standing,
        points: &Points,
        stopped: u32,
    ) -> Result<Term<'m>, NotFinite> {
        let model = self.environments.model;
        let written = model.kernel(kernel);
        let (name, table, numbering) = table_of(model, self.tables, kernel, previous)?;

        let mut condition = vec![0u32; points.count];
        let mut time_stride = 0;
        for axis in &numbering.axes {
            let formal = &written.givens[axis.given];
            let Some(value) = givens.get(axis.given) else {
                return refuse(&format!("`{name}` with fewer arguments than givens"));
            };
            let variable = match formal.variable {
                FormalVariable::Variable(variable) => Some(variable),
                FormalVariable::Reward(..) | FormalVariable::End | FormalVariable::Time => None,
            };
            match self.column(value, axis.step, variable, &standing, points)? {
                Column::Time => time_stride += axis.stride,
                Column::Numbers(numbers) => {
                    for (condition, &number) in condition.iter_mut().zip(numbers.iter()) {
                        let digit = if number == NONE { axis.none } else { Some(number as usize) };
                        *condition = match (digit, *condition) {
                            (_, UNDEFINED) | (None, _) => UNDEFINED,
                            (Some(digit), sum) => sum + (digit * axis.stride) as u32,
                        };
                    }
                }
            }
        }
        let mut outcome = vec![0u32; points.count];
        for (column, &size) in outcomes.iter().zip(&numbering.outputs) {
            for (point, &number) in column.iter().enumerate() {
                if number == NONE {
                    condition[point] = stopped;
                } else {
                    outcome[point] = outcome[point] * size as u32 + number;
                }
            }
        }
        Ok(Term::Lookup(Lookup {
            name,
            kernel,
            previous,
            table,
            standing,
            condition,
            outcome,
            time_stride,
        }))
    }

    /// The numbers of an argument (of step `step` of a window), in the domain of `formal` where it
    /// is an expression.
    fn column(
        &self,
        value: &Value,
        step: usize,
        formal: Option<VariableId>,
        standing: &Standing,
        points: &Points,
    ) -> Result<Column, NotFinite> {
        let model = self.environments.model;
        let horizon = model.horizon.value;
        let none = || Column::Numbers(Rc::new(vec![NONE; points.count]));
        let read = |variable: VariableId, index: Index| match points
            .numbers
            .get(&(variable, standing.relative(index, horizon)))
        {
            Some(numbers) => Ok(Column::Numbers(numbers.clone())),
            None if standing.is_past_the_end(
                model,
                variable,
                standing.relative(index, horizon),
            ) =>
            {
                Ok(none())
            }
            None => refuse(&format!(
                "a kept factor that reads `{}` here",
                model.variable(variable).name
            )),
        };
        match value {
            Value::Variable { variable, index } => read(*variable, *index),
            Value::Window { variable, from, to } => match window(*from, *to)?.get(step) {
                Some(index) => read(*variable, *index),
                None => refuse("a window shorter than its kernel's given"),
            },
            Value::Time => Ok(Column::Time),
            Value::Absent => Ok(none()),
            Value::Expression(components) => {
                let Some(formal) = formal else {
                    return refuse("an expression as an argument that is not a variable's");
                };
                let domain = finite_domain(model, formal)?;
                let mut columns = Vec::new();
                for &component in components {
                    let name = &model.variable(formal).name;
                    let expression = Expression::new(model, name, component, standing.clone())?;
                    if expression.reads_time() {
                        return refuse("a kernel's argument that is an expression of `t`");
                    }
                    let sum = Sum::new(
                        vec![Term::Exponent(expression)],
                        Rc::new(points.clone()),
                        standing.slices.clone(),
                    )?;
                    columns.push(sum.stationary().to_vec());
                }
                let number = |point: usize| {
                    let value: Vec<f64> = columns.iter().map(|column| column[point]).collect();
                    domain.number(&value).map_or(NONE, |number| number as u32)
                };
                Ok(Column::Numbers(Rc::new((0..points.count).map(number).collect())))
            }
            Value::Reward { .. } => refuse("a kernel that reads a reward"),
            Value::Past { .. } | Value::Future { .. } => {
                refuse("a kernel that reads a whole past or future")
            }
        }
    }
}
