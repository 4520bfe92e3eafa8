//! Factors and likelihoods, each with the steps it stands at and what it reads relative to them.

use super::delay::{Delayed, delay};
use super::read::{Need, Standing};
use super::refuse::refuse;
use super::rewards;
use crate::finite::NotFinite;
use crate::finite::columns::Columns;
use crate::model::{
    EnvironmentId, EnvironmentKernel, Factor, Index, Input, KernelId, KernelRef, Likelihood,
    LikelihoodForm, Model, Role, Target, TargetVariable, Value, VariableId,
};
use std::collections::{BTreeMap, BTreeSet};

/// A factor of the trajectory.
#[derive(Clone)]
pub(super) struct Placed<'m> {
    pub factor: &'m Factor,
    pub targets: Vec<VariableId>,
    /// Of the targets, as written.
    pub index: Index,
    pub standing: Standing,
}

/// Where a likelihood is evaluated.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// At entries of the transition table: it reads the reward or the next state, the state and the
    /// action.
    Entry { standing: Standing, needs: Vec<Need> },
    /// At choices and nodes, as soon as all it reads is known.
    Slices(Vec<Delayed>),
}

/// The factors of a block, without those of `left_out`.
///
/// # Errors
/// A target that the oracle does not sum over.
pub(super) fn place<'m>(
    model: &'m Model,
    factors: impl IntoIterator<Item = &'m Factor>,
    left_out: &BTreeSet<VariableId>,
) -> Result<Vec<Placed<'m>>, NotFinite> {
    let horizon = model.horizon.value;
    let mut list = Vec::new();
    for factor in factors {
        let mut targets = Vec::new();
        let mut at = None;
        for target in &factor.targets {
            let (variable, index) = match *target {
                Target::Variable { variable: TargetVariable::Variable(variable), index } => {
                    (variable, index)
                }
                Target::Variable {
                    variable: TargetVariable::Reward(..) | TargetVariable::End,
                    ..
                } => {
                    return refuse("a kernel that draws a reward or the end of the episode");
                }
                Target::Weights(kernel) => {
                    return refuse(&format!("`weights({})`", model.kernel(kernel).name));
                }
            };
            if at.is_some_and(|at| at != index) {
                return refuse("a factor whose targets stand at different times");
            }
            at = Some(index);
            targets.push(variable);
        }
        let Some(index) = at else { continue };
        if targets.iter().all(|variable| left_out.contains(variable)) {
            continue;
        }
        if targets.iter().any(|variable| left_out.contains(variable)) {
            return refuse("a factor that draws an auxiliary variable together with another");
        }
        let state = model.variable(targets[0]).role == Role::State;
        let last = if state { horizon + 1 } else { horizon };
        list.push(Placed { factor, targets, index, standing: Standing::of(index, horizon, last) });
    }
    Ok(list)
}

impl Placed<'_> {
    /// What the factor conditions on.
    pub fn conditions(&self, model: &Model) -> Result<Vec<Need>, NotFinite> {
        self.conditions_at(model, &self.standing)
    }

    fn conditions_at(&self, model: &Model, standing: &Standing) -> Result<Vec<Need>, NotFinite> {
        let mut needs = Vec::new();
        for argument in &self.factor.arguments {
            value_needs(model, argument, standing, &mut needs)?;
        }
        if let KernelRef::InPlace(distribution) = &self.factor.kernel {
            let mut roots = Vec::new();
            crate::finite::arguments(distribution, "a factor's variable", &mut roots)?;
            input_needs(model, &roots, standing, &mut needs);
        }
        needs.sort_unstable();
        needs.dedup();
        Ok(needs)
    }

    /// When the factor can be evaluated.
    pub fn delayed(&self, model: &Model) -> Result<Vec<Delayed>, NotFinite> {
        let horizon = model.horizon.value;
        delay(model, &self.standing, &|standing| {
            let mut needs = self.conditions_at(model, standing)?;
            needs.extend(
                self.targets
                    .iter()
                    .map(|&target| Need::Variable(target, standing.relative(self.index, horizon))),
            );
            Ok(needs)
        })
    }

    /// As [`Placed::delayed`], for a factor by which the posterior draws.
    ///
    /// # Errors
    /// Where it would have to wait.
    pub fn drawn(&self, model: &Model) -> Result<Vec<Delayed>, NotFinite> {
        let delayed = self.delayed(model)?;
        if delayed.iter().all(|delayed| delayed.standing.shift == self.standing.shift) {
            return Ok(delayed);
        }
        let names: Vec<&str> =
            self.targets.iter().map(|target| model.variable(*target).name.as_str()).collect();
        refuse(&format!(
            "a posterior that draws `{}` after it has looked ahead",
            names.join("`, `")
        ))
    }
}

/// Where a likelihood is evaluated.
pub(super) fn place_likelihood(model: &Model, likelihood: &Likelihood) -> Result<Place, NotFinite> {
    let horizon = model.horizon.value;
    let standing = Standing::of(likelihood.index, horizon, horizon);
    let needs_at = |standing: &Standing| -> Result<Vec<Need>, NotFinite> {
        let mut needs = Vec::new();
        match &likelihood.form {
            LikelihoodForm::Exponential { value, .. } => {
                input_needs(model, &[*value], standing, &mut needs)
            }
            LikelihoodForm::Density { values, givens, .. } => {
                for value in values.iter().chain(givens) {
                    value_needs(model, value, standing, &mut needs)?;
                }
            }
        }
        needs.sort_unstable();
        needs.dedup();
        Ok(needs)
    };
    let needs = needs_at(&standing)?;
    let waits = |need: &Need| match need {
        Need::Variable(_, Index::Step(k)) => *k > 0,
        Need::Variable(_, Index::First) => false,
        Need::Variable(_, Index::Last(_)) | Need::Reward(..) => true,
    };
    let at_entry = |need: &Need| match need {
        Need::Variable(variable, index) => match model.variable(*variable).role {
            Role::State => matches!(index, Index::Step(0 | 1)),
            Role::Action => *index == Index::Step(0),
            Role::Option | Role::Observation => false,
        },
        Need::Reward(_, _, index) => *index == Index::Step(0),
    };
    let exponent = matches!(likelihood.form, LikelihoodForm::Exponential { .. });
    if exponent && needs.iter().any(waits) && needs.iter().all(at_entry) {
        return Ok(Place::Entry { standing, needs });
    }
    // a reward of another step, or beside what no transition holds, is what it is computed from
    let variables_at = |standing: &Standing| -> Result<Vec<Need>, NotFinite> {
        let mut variables = Vec::new();
        for need in needs_at(standing)? {
            match need {
                Need::Reward(environment, reward, at) => {
                    variables.extend(rewards::reads(model, environment, reward, at)?)
                }
                Need::Variable(..) => variables.push(need),
            }
        }
        variables.sort_unstable();
        variables.dedup();
        Ok(variables)
    };
    Ok(Place::Slices(delay(model, &standing, &variables_at)?))
}

fn value_needs(
    model: &Model,
    value: &Value,
    standing: &Standing,
    needs: &mut Vec<Need>,
) -> Result<(), NotFinite> {
    let horizon = model.horizon.value;
    match value {
        Value::Variable { variable, index } => {
            needs.push(Need::Variable(*variable, standing.relative(*index, horizon)))
        }
        Value::Window { variable, from, to } => {
            for index in window(*from, *to)? {
                needs.push(Need::Variable(*variable, standing.relative(index, horizon)));
            }
        }
        Value::Expression(components) => input_needs(model, components, standing, needs),
        Value::Time | Value::Absent => {}
        Value::Reward { .. } => return refuse("a kernel that reads a reward"),
        Value::Past { .. } => return refuse("a kernel that reads all of the past"),
        Value::Future { .. } => return refuse("a kernel that reads all of the future"),
    }
    Ok(())
}

/// The indices of a window.
pub(super) fn window(from: Index, to: Index) -> Result<Vec<Index>, NotFinite> {
    match (from, to) {
        (Index::Step(from), Index::Step(to)) => Ok((from..=to).map(Index::Step).collect()),
        (
            Index::First | Index::Last(_) | Index::Step(_),
            Index::First | Index::Last(_) | Index::Step(_),
        ) => refuse("a window that does not move with `t`"),
    }
}

pub(super) fn input_needs(
    model: &Model,
    roots: &[crate::expr::ExprId],
    standing: &Standing,
    needs: &mut Vec<Need>,
) {
    let horizon = model.horizon.value;
    needs.extend(Columns::new(model, roots).inputs().filter_map(|input| match input {
        Input::Variable { variable, index, .. } => {
            Some(Need::Variable(variable, standing.relative(index, horizon)))
        }
        Input::Reward { environment, reward, index } => {
            Some(Need::Reward(environment, reward, standing.relative(index, horizon)))
        }
        Input::Formal { .. } | Input::Gain(_) => None,
    }));
}

/// The step's variables in an order in which the posterior can draw them.
pub(super) fn drawing_order(
    model: &Model,
    step: &[&Placed<'_>],
) -> Result<Vec<VariableId>, NotFinite> {
    let mut waits: BTreeMap<VariableId, BTreeSet<VariableId>> = BTreeMap::new();
    let mut written = Vec::new();
    for placed in step {
        let needs = placed.conditions(model)?;
        for &target in &placed.targets {
            if !written.contains(&target) {
                written.push(target);
            }
            let waits = waits.entry(target).or_default();
            // at the first step `[1]` is what that step draws
            let is_first = placed.standing.slices.contains(&1);
            waits.extend(needs.iter().filter_map(|need| match need {
                Need::Variable(variable, Index::Step(0) | Index::First)
                    if model.variable(*variable).role == Role::State =>
                {
                    None
                }
                Need::Variable(variable, Index::Step(0)) => Some(*variable),
                Need::Variable(variable, Index::First) if is_first => Some(*variable),
                Need::Variable(..) | Need::Reward(..) => None,
            }));
        }
    }
    // what is left out is not waited for
    waits.values_mut().for_each(|waits| waits.retain(|variable| written.contains(variable)));
    let mut order: Vec<VariableId> = Vec::new();
    while order.len() < written.len() {
        let ready = |variable: &&VariableId| {
            !order.contains(variable) && waits[variable].iter().all(|w| order.contains(w))
        };
        let Some(&next) = written.iter().find(ready) else {
            return refuse("a posterior whose variables of a step wait for each other");
        };
        order.push(next);
    }
    Ok(order)
}

/// What draws `s[t+1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Environment(EnvironmentId),
    /// A learned model in the place of an environment.
    Kernel {
        kernel: KernelId,
        previous: bool,
    },
}

/// The state's factors of a side: `s[1] ~ …`, and `s[t+1] ~ …` with what it is drawn from and the
/// action of its step.
pub(super) struct StateFactors<'m> {
    pub initial: &'m Factor,
    pub transition: &'m Factor,
    pub source: Source,
    /// All actions of the state's environment, in their order.
    pub actions: Vec<VariableId>,
}

pub(super) fn state_factors<'m>(
    model: &'m Model,
    state: VariableId,
    placed: &[Placed<'m>],
) -> Result<StateFactors<'m>, NotFinite> {
    let name = &model.variable(state).name;
    let mut initial = None;
    let mut transition = None;
    for it in placed.iter().filter(|it| it.targets.contains(&state)) {
        if it.targets.len() > 1 {
            return refuse(&format!("`{name}` drawn together with another variable"));
        }
        if *it.standing.slices.end() <= 1 { initial = Some(it) } else { transition = Some(it) }
    }
    let (Some(initial), Some(transition)) = (initial, transition) else {
        return refuse(&format!("a bound without factors of `{name}[1]` and `{name}[t+1]`"));
    };
    let source = match &transition.factor.kernel {
        KernelRef::Environment(environment, EnvironmentKernel::Transition) => {
            Source::Environment(*environment)
        }
        KernelRef::Learned(kernel) => Source::Kernel { kernel: *kernel, previous: false },
        KernelRef::Previous(kernel) => Source::Kernel { kernel: *kernel, previous: true },
        KernelRef::Environment(..) | KernelRef::Data(_) | KernelRef::InPlace(_) => {
            return refuse(&format!(
                "a factor of `{name}[t+1]` that is neither an environment's transition nor a \
                 learned kernel"
            ));
        }
    };
    // whether the transition reads them or not
    let own = model.variable(state).environment.map(|own| model.environment(own).actions.clone());
    let actions = own.unwrap_or_default();
    let mut fits = transition.standing.slices == (2..=model.horizon.value + 1);
    for argument in &transition.factor.arguments {
        match argument {
            Value::Variable { variable, index } => {
                let of_step = *variable == state || actions.contains(variable);
                fits &= of_step
                    && transition.standing.relative(*index, model.horizon.value) == Index::Step(-1);
            }
            Value::Absent => {}
            // that of the step which leads to the state
            Value::Time => fits &= transition.index == Index::Step(1),
            Value::Reward { .. }
            | Value::Window { .. }
            | Value::Past { .. }
            | Value::Future { .. }
            | Value::Expression(_) => {
                fits = false;
            }
        }
    }
    if !fits || actions.is_empty() {
        return refuse(&format!(
            "a transition of `{name}` that reads anything but `{name}[t]`, the actions and the \
             time at `t`"
        ));
    }
    Ok(StateFactors { initial: initial.factor, transition: transition.factor, source, actions })
}
