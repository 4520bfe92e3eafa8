//! Densities that are written: of environments and of distributions in place, as expressions of a
//! step.

use super::prior;
use super::refused;
use super::term::ComparedWith;
use super::terms::{Drawn, Planner, SEVERAL, Scalars};
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, ExprId, InputId, Node};
use crate::model::{
    Distribution, Dynamics, EnvironmentId, EnvironmentKernel, Factor, FactorRef, FiniteDomain,
    Index, Input, KernelRef, Kind, Model, Target, TargetVariable, Value, VariableId,
};
use crate::source::Span;

impl Planner<'_> {
    /// What a density is compared with where that is written: an environment's own, or that of a
    /// distribution in place.
    pub(super) fn known(
        &self,
        q: FactorRef,
        scalars: &mut Scalars,
    ) -> Result<ComparedWith, Vec<Diagnostic>> {
        let factor = self.bound.factor(q);
        if let KernelRef::InPlace(distribution) = &factor.kernel {
            return self
                .in_place_density(factor, distribution, scalars)
                .map(ComparedWith::Expression);
        }
        let KernelRef::Environment(id, kernel) = &factor.kernel else { return Err(self.unlike(q)) };
        let environment = self.model.environment(*id);
        let finite = |variable| self.model.variable(variable).domain.finite.is_some();
        let observes = match kernel {
            EnvironmentKernel::Observation => environment.observation.is_some_and(finite),
            EnvironmentKernel::Initial | EnvironmentKernel::Transition => true,
        };
        if observes && environment.transition_reads().all(finite) {
            return Ok(ComparedWith::Environment(*kernel));
        }
        let written = match kernel {
            EnvironmentKernel::Transition => scalars
                .log_transition(self.model, *id)
                .or_else(|| scalars.log_finite_transition(self.model, *id))
                .ok_or("its transitions have none that can be written"),
            EnvironmentKernel::Initial => scalars.log_initial(self.model, *id),
            EnvironmentKernel::Observation => scalars.log_observation(self.model, *id),
        };
        written.map(ComparedWith::Expression).map_err(|what| {
            let message = format!(
                "the density of `{}` is compared with that of a learned kernel: {what}",
                environment.name
            );
            let told = refused(factor.span, message);
            vec![
                told.hint(
                    "declare it `hidden environment`: the bound is then told up to its entropy",
                ),
            ]
        })
    }

    /// The log-density of a distribution in place at what its factor draws.
    fn in_place_density(
        &self,
        factor: &Factor,
        distribution: &Distribution<Vec<ExprId>>,
        scalars: &mut Scalars,
    ) -> Result<ExprId, Vec<Diagnostic>> {
        let [Target::Variable { variable: TargetVariable::Variable(id), index }] =
            factor.targets[..]
        else {
            return Err(vec![refused(factor.span, SEVERAL)]);
        };
        let variable = self.model.variable(id);
        let log = scalars.log_written(self.model, distribution, (id, index)).map_err(|what| {
            let message = format!(
                "the prior of `{}` is {what}, and the bound compares its density with that of \
                 what is drawn",
                variable.name
            );
            vec![refused(factor.span, message)]
        })?;
        let what = format!("the prior of `{}`", variable.name);
        self.verify_inputs(scalars, &[log], (index, Drawn::Yes), factor.span, &what)?;
        Ok(log)
    }

    /// The log-density of an environment's own kernel, at a value and given what a likelihood says.
    pub(super) fn environment_density(
        &self,
        (id, part): (EnvironmentId, EnvironmentKernel),
        (values, givens): (&[Value], &[Value]),
        (at, span): (Index, Span),
        scalars: &mut Scalars,
    ) -> Result<ExprId, Vec<Diagnostic>> {
        let environment = self.model.environment(id);
        let refuse = |what: &str| {
            let message = format!("a density of `{}` is asked for: {what}", environment.name);
            vec![refused(span, message)]
        };
        if environment.hidden {
            return Err(refuse("it is hidden, and can only be sampled"));
        }
        let Dynamics::Written { initial, transition, observation, .. } = &environment.dynamics
        else {
            return Err(refuse(OUTSIDE));
        };
        let state = environment.state;
        let (distribution, drawn, reads) = match (part, observation, environment.observation) {
            (EnvironmentKernel::Initial, ..) => (initial, (state, Index::First), Vec::new()),
            (EnvironmentKernel::Transition, ..) => {
                let reads = environment.transition_reads().collect();
                (transition, (state, Index::Step(1)), reads)
            }
            (EnvironmentKernel::Observation, Some(observation), Some(variable)) => {
                (observation, (variable, Index::Step(0)), vec![state])
            }
            (EnvironmentKernel::Observation, ..) => return Err(refuse("it has no observation")),
        };
        let log = scalars.log_written(self.model, distribution, drawn).map_err(refuse)?;
        // what it draws and reads, as the likelihood names it
        let mut told: Vec<(InputId, ExprId)> = Vec::new();
        for input in scalars.graph.inputs_of(&[log]) {
            let Input::Variable { variable, component, index } = scalars.inputs[input.0 as usize]
            else {
                continue;
            };
            let given = match (variable, index) == drawn {
                true => values.first(),
                false => {
                    reads.iter().position(|read| *read == variable).and_then(|at| givens.get(at))
                }
            };
            let expr = match given {
                Some(&Value::Variable { variable, index }) => {
                    scalars.input(Input::Variable { variable, component, index })
                }
                Some(Value::Expression(each)) => each[component as usize],
                _ => return Err(refuse("it is given what is none of its values")),
            };
            told.push((input, expr));
        }
        let from = scalars.graph.clone();
        let log = from.copy_into(&[log], &mut scalars.graph, &mut |_, leaf| match leaf {
            Node::Input(input) => {
                told.iter().find(|(known, _)| known == input).map(|(_, expr)| *expr)
            }
            _ => None,
        })[0];
        let what = format!("the density of `{}`", environment.name);
        self.verify_inputs(scalars, &[log], (at, Drawn::Yes), span, &what)?;
        Ok(log)
    }

    /// The log-density of the prior at the drawn action.
    pub(super) fn log_prior(
        &self,
        p: FactorRef,
        scalars: &mut Scalars,
    ) -> Result<ExprId, Vec<Diagnostic>> {
        let factor = self.bound.factor(p);
        let KernelRef::InPlace(distribution) = &factor.kernel else {
            return Err(self.unlike(p));
        };
        self.in_place_density(factor, distribution, scalars)
    }
}

impl Scalars {
    /// The log-density of an environment's transitions, where it can be written.
    pub fn log_transition(&mut self, model: &Model, environment: EnvironmentId) -> Option<ExprId> {
        let environment = model.environment(environment);
        let Dynamics::Written { transition, .. } = &environment.dynamics else { return None };
        if model.variable(environment.state).domain.is_finite() {
            return None;
        }
        self.log_written(model, transition, (environment.state, Index::Step(1))).ok()
    }

    /// That of its first states.
    fn log_initial(
        &mut self,
        model: &Model,
        environment: EnvironmentId,
    ) -> Result<ExprId, &'static str> {
        let environment = model.environment(environment);
        let Dynamics::Written { initial, .. } = &environment.dynamics else { return Err(OUTSIDE) };
        let state = environment.state;
        self.log_written(model, initial, (state, Index::First))
    }

    /// That of its observations.
    fn log_observation(
        &mut self,
        model: &Model,
        environment: EnvironmentId,
    ) -> Result<ExprId, &'static str> {
        let environment = model.environment(environment);
        let (Dynamics::Written { observation: Some(observation), .. }, Some(variable)) =
            (&environment.dynamics, environment.observation)
        else {
            return Err(OUTSIDE);
        };
        self.log_written(model, observation, (variable, Index::Step(0)))
    }

    /// That of a distribution at a variable.
    fn log_written(
        &mut self,
        model: &Model,
        distribution: &Distribution<Vec<ExprId>>,
        (variable, index): (VariableId, Index),
    ) -> Result<ExprId, &'static str> {
        let domain = &model.variable(variable).domain;
        let drawn = (0..domain.width() as u32)
            .map(|component| self.input(Input::Variable { variable, component, index }));
        let drawn: Vec<ExprId> = drawn.collect();
        prior::log_density(&mut self.graph, distribution, domain, &drawn)
    }

    /// That of transitions to finitely many states, from states or by actions that are not: the
    /// log-probability of each, of which the next state says which one.
    fn log_finite_transition(
        &mut self,
        model: &Model,
        environment: EnvironmentId,
    ) -> Option<ExprId> {
        const MOST: usize = 1024;
        let environment = model.environment(environment);
        let Dynamics::Written { transition, .. } = &environment.dynamics else { return None };
        let domain = &model.variable(environment.state).domain;
        let finite = domain.finite.as_ref().filter(|finite| finite.size() <= MOST)?;
        if FiniteDomain::count(&domain.components)? != finite.size() as f64 {
            return None;
        }
        let each = prior::log_probabilities(&mut self.graph, transition, domain).ok()?;
        let mut number = self.graph.constant(0.0);
        for (component, of) in (0u32..).zip(&domain.components) {
            let (lo, count) = match &of.kind {
                Kind::Integer { lo, hi } => (*lo as f64, (hi - lo + 1) as f64),
                Kind::Names(names) => (0.0, names.len() as f64),
                Kind::Bool => (0.0, 2.0),
                Kind::Real { .. } => return None,
            };
            let index = Index::Step(1);
            let value =
                self.input(Input::Variable { variable: environment.state, component, index });
            let (lo, count) = (self.graph.constant(lo), self.graph.constant(count));
            let digit = self.graph.binary(BinaryOp::Subtract, value, lo);
            let before = self.graph.binary(BinaryOp::Multiply, number, count);
            number = self.graph.binary(BinaryOp::Add, before, digit);
        }
        Some(self.graph.intern(Node::Choose(each.into(), number)))
    }

    /// What an input stands for, as an expression.
    pub(super) fn input(&mut self, input: Input) -> ExprId {
        let at = self.inputs.iter().position(|known| *known == input).unwrap_or_else(|| {
            self.inputs.push(input);
            self.inputs.len() - 1
        });
        self.graph.intern(Node::Input(InputId(at as u32)))
    }
}

/// Whose density it is not.
const OUTSIDE: &str = "it is an outside program, and has none";
