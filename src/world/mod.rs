//! Environments to sample from: tables, compiled expressions over columns, and programs from
//! outside. Model in, trajectories out, many rows at once.
//!
//! A [`World`] is immutable and shared by threads; each shard of a batch has a [`Batch`] of its
//! own. A finite environment becomes alias tables, any other that is written in the language a
//! program over columns in which a draw is an expression of uniform noise. One from outside is an
//! [`Environment`] that the library's user registers among [`Environments`].

mod arguments;
mod batch;
mod columns;
mod environment;
mod error;
mod hosted;
mod random;
mod registry;
mod sample;
mod tables;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use batch::{Actions, Batch, NextStates};
pub use environment::{ActionColumns, Environment, Failure, Frame, Space, Spec};
pub use error::WorldError;
pub use hosted::Trouble;
pub use random::Random;
pub use registry::{Arguments, Environments};

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
    Hosted(Box<hosted::Hosted<E>>),
    /// It is shown state by state, and moves by nothing.
    Shown(columns::Layout),
}

impl<E> Kind<E> {
    /// What stands in the columns of its frames, where it has frames.
    fn layout(&self) -> Option<columns::Layout> {
        match self {
            Kind::Tables(_) => None,
            Kind::Columns(columns) => Some(columns.layout),
            Kind::Hosted(hosted) => Some(hosted.layout),
            Kind::Shown(layout) => Some(*layout),
        }
    }
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
    /// with [`Batch::begin`]. Nothing of it knows the environment's transitions. One from outside
    /// is to be started; its rewards and its end are what is told.
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

    /// An environment from outside, which a program moves.
    ///
    /// # Errors
    /// One sentence: nobody has registered it.
    pub fn hosted(
        model: &Model,
        environment: EnvironmentId,
        environments: &Environments,
    ) -> Result<World<E>, WorldError> {
        let hosted = hosted::Hosted::new(model, environment, environments);
        let hosted = hosted.map_err(|hosted::Unregistered| {
            let name = &model.environment(environment).name;
            WorldError(format!("sampling `{name}`, which nobody has registered,"))
        })?;
        Ok(World {
            actions: hosted.actions,
            kind: Kind::Hosted(Box::new(hosted)),
            state_values: Vec::new(),
            observation_values: Vec::new(),
        })
    }

    /// The spaces of an environment alone: its batches are what [`Batch::show`] shows.
    pub fn shown(model: &Model, environment: EnvironmentId) -> World<E> {
        let declared = model.environment(environment);
        let width = |variable| model.variable(variable).domain.width();
        let layout = columns::Layout {
            state: width(declared.state),
            observation: declared.observation.map_or(0, width),
            rewards: declared.rewards.len(),
        };
        World {
            kind: Kind::Shown(layout),
            state_values: Vec::new(),
            observation_values: Vec::new(),
            actions: declared.joint_action(model).width(),
        }
    }

    /// Bytes of its tables.
    pub fn bytes(&self) -> usize {
        let values: usize =
            self.state_values.iter().chain(&self.observation_values).map(Vec::len).sum();
        let tables = match &self.kind {
            Kind::Tables(tables) => tables.bytes(),
            Kind::Columns(_) | Kind::Hosted(_) | Kind::Shown(_) => 0,
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
            Kind::Columns(_) | Kind::Hosted(_) | Kind::Shown(_) => false,
        }
    }

    /// Components of the state.
    pub fn state_width(&self) -> usize {
        self.kind.layout().map_or(self.state_values.len(), |layout| layout.state)
    }

    /// Components of the observation; 0 where the environment has none.
    pub fn observation_width(&self) -> usize {
        self.kind.layout().map_or(self.observation_values.len(), |layout| layout.observation)
    }

    /// Components of the action.
    pub fn action_width(&self) -> usize {
        self.actions
    }

    pub fn rewards(&self) -> usize {
        match &self.kind {
            Kind::Tables(tables) => tables.rewards(),
            Kind::Columns(columns) => columns.layout.rewards,
            Kind::Hosted(hosted) => hosted.layout.rewards,
            Kind::Shown(layout) => layout.rewards,
        }
    }
}

/// Everything that keeps a program from standing for an outside environment of a model: a clause
/// each, behind the environment's name.
pub fn differences(
    model: &Model,
    environment: EnvironmentId,
    environments: &Environments,
) -> Vec<String> {
    hosted::differences(model, environment, environments)
}

fn numbered<E: Real>(values: &FiniteDomain, width: usize) -> Vec<Vec<E>> {
    sample::component_tables(values, width)
        .into_iter()
        .map(|table| table.into_iter().map(E::from_f64).collect())
        .collect()
}
