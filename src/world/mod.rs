//! Environments to sample from: tables, and compiled expressions over columns. Model in,
//! trajectories out, many rows at once.
//!
//! A [`World`] is immutable and shared by threads; each shard of a batch has a [`Batch`] of its
//! own. A finite environment becomes alias tables, any other a program over columns in which a draw
//! is an expression of uniform noise.

mod arguments;
mod batch;
mod columns;
mod error;
mod sample;
mod tables;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use batch::{Actions, Batch, NextStates};
pub use error::WorldError;

use columns::Moved;
pub use columns::Told;

use crate::expr::Real;
use crate::finite;
use crate::model::{EnvironmentId, FiniteDomain, Model};

/// More tables than this are not made: the environment is compiled to columns instead.
const MOST_TRANSITIONS: usize = 1 << 22;

/// An environment that can be sampled, in `f32` or `f64`.
#[derive(Clone, Debug)]
pub struct World<E> {
    kind: Kind<E>,
    /// Component `c` of state number `n` is `state_values[c][n]`; empty where the state is not
    /// numbered.
    state_values: Vec<Vec<E>>,
    observation_values: Vec<Vec<E>>,
    actions: usize,
}

#[derive(Clone, Debug)]
enum Kind<E> {
    Tables(tables::Tables<E>),
    Columns(Box<columns::Columns<E>>),
}

impl<E: Real> World<E> {
    /// Alias tables where the state, the action and the observation are finite and the tables not
    /// too large; else compiled columns.
    ///
    /// # Errors
    /// One sentence that names the construct: an environment that is not written in the language, a
    /// distribution that has no sampler.
    pub fn compile(model: &Model, environment: EnvironmentId) -> Result<World<E>, WorldError> {
        let written = model.environment(environment);
        let values = |variable| model.variable(variable).domain.finite.as_ref();
        let acted = written.joint_action(model);
        let actions = acted.width();
        if let (Some(states), Some(moves)) = (values(written.state), acted.finite.as_ref())
            && states.size().saturating_mul(moves.size()) <= MOST_TRANSITIONS
            && let Ok(tables) = finite::tabulate(model, environment)
        {
            return Ok(World {
                kind: Kind::Tables(tables::Tables::new(&tables)),
                state_values: numbered(states, model.variable(written.state).domain.width()),
                observation_values: written
                    .observation
                    .and_then(|variable| {
                        Some(numbered(values(variable)?, model.variable(variable).domain.width()))
                    })
                    .unwrap_or_default(),
                actions,
            });
        }
        let columns = columns::Columns::compile(
            model,
            written,
            Moved::Itself,
            Moved::Itself,
            Told::default(),
        )?;
        Ok(World {
            kind: Kind::Columns(Box::new(columns)),
            state_values: Vec::new(),
            observation_values: Vec::new(),
            actions,
        })
    }

    /// An environment whose next states another model draws, step by step with [`Batch::follow`]:
    /// it has the environment's rewards, its end and its observations, but for what is `told` with
    /// them, and starts as the environment does, or, if `started`, where another model says, too,
    /// with [`Batch::begin`]. Nothing of it knows the environment's transitions.
    ///
    /// # Errors
    /// As [`World::compile`].
    pub fn followed(
        model: &Model,
        environment: EnvironmentId,
        started: bool,
        told: Told,
    ) -> Result<World<E>, WorldError> {
        let started = if started { Moved::ByAnother } else { Moved::Itself };
        let written = model.environment(environment);
        let columns = columns::Columns::compile(model, written, started, Moved::ByAnother, told)?;
        let actions = written.joint_action(model).width();
        Ok(World {
            kind: Kind::Columns(Box::new(columns)),
            state_values: Vec::new(),
            observation_values: Vec::new(),
            actions,
        })
    }

    /// Bytes of its tables.
    pub fn bytes(&self) -> usize {
        let values: usize =
            self.state_values.iter().chain(&self.observation_values).map(Vec::len).sum();
        let tables = match &self.kind {
            Kind::Tables(tables) => tables.bytes(),
            Kind::Columns(_) => 0,
        };
        values * size_of::<E>() + tables
    }

    /// An environment that another model starts, with [`Batch::begin`], and that then moves by
    /// itself.
    ///
    /// # Errors
    /// As [`World::compile`].
    pub fn started(model: &Model, environment: EnvironmentId) -> Result<World<E>, WorldError> {
        let written = model.environment(environment);
        let columns = columns::Columns::compile(
            model,
            written,
            Moved::ByAnother,
            Moved::Itself,
            Told::default(),
        )?;
        let actions = written.joint_action(model).width();
        Ok(World {
            kind: Kind::Columns(Box::new(columns)),
            state_values: Vec::new(),
            observation_values: Vec::new(),
            actions,
        })
    }

    /// States are numbered, and actions must be too.
    pub fn is_finite(&self) -> bool {
        match self.kind {
            Kind::Tables(_) => true,
            Kind::Columns(_) => false,
        }
    }

    /// Components of the state.
    pub fn state_width(&self) -> usize {
        match &self.kind {
            Kind::Tables(_) => self.state_values.len(),
            Kind::Columns(columns) => columns.layout.state,
        }
    }

    /// Components of the observation; 0 where the environment has none.
    pub fn observation_width(&self) -> usize {
        match &self.kind {
            Kind::Tables(_) => self.observation_values.len(),
            Kind::Columns(columns) => columns.layout.observation,
        }
    }

    /// Components of the action.
    pub fn action_width(&self) -> usize {
        self.actions
    }

    pub fn rewards(&self) -> usize {
        match &self.kind {
            Kind::Tables(tables) => tables.rewards(),
            Kind::Columns(columns) => columns.layout.rewards,
        }
    }
}

fn numbered<E: Real>(values: &FiniteDomain, width: usize) -> Vec<Vec<E>> {
    sample::component_tables(values, width)
        .into_iter()
        .map(|table| table.into_iter().map(E::from_f64).collect())
        .collect()
}
