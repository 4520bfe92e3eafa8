//! An environment from outside, as worlds hold it: what the file declares of it, and for each batch
//! the program that runs it, with the columns that pass between them.
//!
//! A row keeps its place in the program's columns from its start to its end, whatever the batch
//! does with it; so that a row that has ended costs nothing, the program is told which remain.

use super::columns::{Layout, Numbered};
use super::environment::{ActionColumns, Environment, Failure, Frame, Space, Spec};
use super::random::Random;
use super::registry::{Arguments, Environments, Maker};
use super::sample::component_tables;
use crate::expr::Real;
use crate::model::{self, Domain, Dynamics, EnvironmentId, Kind, Model, SettingValue};
use rand::Rng;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// What the file declares, and who makes the program.
#[derive(Clone)]
pub(super) struct Hosted<E> {
    name: String,
    pub layout: Layout,
    pub actions: usize,
    pub numbered_actions: Option<Vec<Numbered<E>>>,
    state: Declared,
    observation: Option<Declared>,
    rewards: Vec<(String, Space)>,
    horizon: usize,
    maker: Maker,
    arguments: Arguments,
}

/// A variable that the program writes.
#[derive(Clone, Debug)]
struct Declared {
    name: String,
    domain: Domain,
    spaces: Vec<Space>,
}

/// Why a batch of an environment from outside cannot go on.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// A row of the batch, and which trajectory that is; of a failure as a whole the first.
    pub row: usize,
    /// What is wrong, without the time: a clause.
    pub what: String,
    pub hint: Option<&'static str>,
    /// What the environment itself says.
    pub cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// The program of one batch, and what it reads and writes.
pub(super) struct Session {
    /// Absent where it could not be made.
    program: Option<Box<dyn Environment>>,
    random: Random,
    actions: Vec<f64>,
    written: Written,
    pub trouble: Option<Trouble>,
}

/// The program's columns, in its own places.
struct Written {
    capacity: usize,
    /// Rows that have not ended.
    live: Vec<usize>,
    state: Vec<f64>,
    observation: Vec<f64>,
    rewards: Vec<f64>,
    terminated: Vec<bool>,
    truncated: Vec<bool>,
}

/// Everything that keeps an environment from standing for what the file declares: a clause each,
/// behind the environment's name.
pub(super) fn differences(
    model: &Model,
    environment: EnvironmentId,
    environments: &Environments,
) -> Vec<String> {
    let Ok(hosted) = Hosted::<f64>::new(model, environment, environments) else {
        return vec!["is an outside environment that nobody has registered".to_owned()];
    };
    match (hosted.maker)(&hosted.arguments) {
        Err(failure) => vec![format!("cannot be made: {failure}")],
        Ok(program) => hosted.held_against(&program.spec(), model, environment),
    }
}

/// It is not an outside environment, or nobody has registered it.
pub(super) struct Unregistered;

impl<E: Real> Hosted<E> {
    pub fn new(
        model: &Model,
        environment: EnvironmentId,
        environments: &Environments,
    ) -> Result<Hosted<E>, Unregistered> {
        let declared = model.environment(environment);
        let Dynamics::External { name, arguments, .. } = &declared.dynamics else {
            return Err(Unregistered);
        };
        let maker = environments.maker(name).ok_or(Unregistered)?.clone();
        let values = arguments.iter().filter_map(|(key, value)| match value {
            SettingValue::Number(number) => Some((key.clone(), *number)),
            SettingValue::Truth(truth) => Some((key.clone(), f64::from(u8::from(*truth)))),
            SettingValue::Word(_)
            | SettingValue::Text(_)
            | SettingValue::List(_)
            | SettingValue::Call { .. }
            | SettingValue::Threshold { .. }
            | SettingValue::Network { .. } => None,
        });
        let arguments = Arguments { values: values.collect() };
        let variable = |id| {
            let variable: &model::Variable = model.variable(id);
            let components = &variable.domain.components;
            Declared {
                name: variable.name.clone(),
                domain: variable.domain.clone(),
                spaces: components.iter().map(|component| space_of(&component.kind)).collect(),
            }
        };
        let reward = |reward: &model::Reward| {
            let space = reward.bounds.map_or(Space::REAL, |(lo, hi)| Space::Real { lo, hi });
            (reward.name.clone(), space)
        };
        let action = declared.joint_action(model);
        let numbered = action.finite.as_ref().map(|values| {
            component_tables(values, action.width()).into_iter().map(Numbered::new).collect()
        });
        let (state, observation) = (variable(declared.state), declared.observation.map(variable));
        Ok(Hosted {
            name: declared.name.clone(),
            layout: Layout {
                state: state.spaces.len(),
                observation: observation.as_ref().map_or(0, |seen| seen.spaces.len()),
                rewards: declared.rewards.len(),
            },
            actions: action.width(),
            numbered_actions: numbered,
            state,
            observation,
            rewards: declared.rewards.iter().map(reward).collect(),
            horizon: model.horizon.value,
            maker,
            arguments,
        })
    }

    /// What the program writes has to lie in what the file declares, and the actions that the file
    /// declares in what the program takes.
    fn held_against(&self, spec: &Spec, model: &Model, environment: EnvironmentId) -> Vec<String> {
        let mut found = Vec::new();
        let mut count = |what: &str, declared: usize, own: usize| {
            let is_other = declared != own;
            if is_other {
                found.push(format!("has {own} {what}, and the file declares {declared}"));
            }
            !is_other
        };
        let same_state = count("components of the state", self.layout.state, spec.state.len());
        let seen =
            count("components of the observation", self.layout.observation, spec.observation.len());
        let acted = count("components of the action", self.actions, spec.action.len());
        count("rewards", self.layout.rewards, spec.rewards);
        let observation =
            self.observation.as_ref().filter(|_| seen).map(|of| (of, &spec.observation));
        let written = [(&self.state, &spec.state)].into_iter().filter(|_| same_state);
        for (of, own) in written.chain(observation) {
            for ((component, &declared), &own) in
                of.domain.components.iter().zip(&of.spaces).zip(own)
            {
                if !declared.holds(own) {
                    let name = named(&of.name, &component.path);
                    found.push(format!(
                        "may write `{name}` of {own}, and the file declares {declared}"
                    ));
                }
            }
        }
        let actions = model.environment(environment).actions.iter();
        let components = actions.map(|&id| model.variable(id)).flat_map(|action| {
            action.domain.components.iter().map(|component| (&action.name, component))
        });
        for ((name, component), &own) in components.zip(&spec.action).filter(|_| acted) {
            let declared = space_of(&component.kind);
            if !own.holds(declared) {
                let name = named(name, &component.path);
                found.push(format!("takes `{name}` of {own}, and the file declares {declared}"));
            }
        }
        found
    }

    pub fn session(&self, capacity: usize) -> Session {
        let (program, trouble) = match (self.maker)(&self.arguments) {
            Ok(program) => (Some(program), None),
            Err(failure) => (None, Some(self.failed(failure))),
        };
        let columns = |width: usize| vec![f64::NAN; width * capacity];
        Session {
            program,
            random: Random::seeded(0),
            actions: columns(self.actions),
            written: Written {
                capacity,
                live: Vec::with_capacity(capacity),
                state: columns(self.layout.state),
                observation: columns(self.layout.observation),
                rewards: columns(self.layout.rewards),
                terminated: vec![false; capacity],
                truncated: vec![false; capacity],
            },
            trouble,
        }
    }

    /// Starts all rows of the batch, `origin` as they stand, and writes their first frame.
    pub fn start<R: Rng + ?Sized>(
        &self,
        session: &mut Session,
        origin: &[u32],
        now: &mut [E],
        rng: &mut R,
    ) {
        // one number of the run's stream, however many the program draws
        session.random = Random::seeded(rng.next_u64());
        let Session { program: Some(program), random, written, trouble, .. } = session else {
            return;
        };
        // a shard may have no trajectories
        if written.capacity == 0 {
            return;
        }
        written.live.clear();
        written.live.extend(0..written.capacity);
        let done = program.reset(&mut written.frame(), random);
        written.rewards.fill(0.0);
        *trouble = done.map_err(|failure| self.failed(failure)).err();
        self.take(session, (origin, 0), now);
    }

    /// Moves the rows of the batch in front, but for those that have ended before, by the step `t`;
    /// row `i` of the batch has the place `origin[i]` in the program's columns.
    pub fn step(
        &self,
        session: &mut Session,
        (origin, t): (&[u32], usize),
        (actions, ended): (&[E], &[E]),
        next: &mut [E],
    ) {
        let Session { program: Some(program), random, actions: acted, written, trouble: None } =
            session
        else {
            return;
        };
        let capacity = written.capacity;
        written.live.clear();
        let live = origin.iter().zip(ended).filter(|(_, ended)| **ended == E::ZERO);
        written.live.extend(live.map(|(&place, _)| place as usize));
        for (to, from) in acted.chunks_exact_mut(capacity).zip(actions.chunks_exact(capacity)) {
            origin.iter().zip(from).for_each(|(&place, &x)| to[place as usize] = x.to_f64());
        }
        let actions = ActionColumns { columns: acted, capacity };
        let done = program.step(actions, &mut written.frame(), random);
        session.trouble = done.map_err(|failure| self.failed(failure)).err();
        self.take(session, (origin, t), next);
    }

    /// Reads what the program has written, where nothing of it is wrong; `t` is the step, 0 of a
    /// start.
    fn take(&self, session: &mut Session, (origin, t): (&[u32], usize), frame: &mut [E]) {
        if session.trouble.is_none() {
            session.trouble = self.wrong(&session.written, (origin, t));
        }
        if session.trouble.is_some() {
            return;
        }
        let Written { capacity, state, observation, rewards, terminated, .. } = &session.written;
        let columns = [state, observation, rewards].into_iter();
        let columns = columns.flat_map(|columns| columns.chunks_exact(*capacity));
        for (to, from) in frame.chunks_exact_mut(*capacity).zip(columns) {
            to.iter_mut()
                .zip(origin)
                .for_each(|(to, &place)| *to = E::from_f64(from[place as usize]));
        }
        let ended = &mut frame[self.layout.end() * capacity..][..*capacity];
        ended.iter_mut().zip(origin).for_each(|(ended, &place)| {
            *ended = if terminated[place as usize] { E::ONE } else { E::ZERO }
        });
    }

    /// The first thing that is wrong with what the program has written.
    fn wrong(&self, written: &Written, (origin, t): (&[u32], usize)) -> Option<Trouble> {
        let Written { capacity, live, state, observation, rewards, terminated, truncated } =
            written;
        let told = |place: usize, what: String, hint| {
            let row = origin.iter().position(|&origin| origin as usize == place);
            let row = row.expect("world: a live row is one of the batch");
            Trouble {
                row,
                what: format!("`{}` {what} in row {place}", self.name),
                hint: Some(hint),
                cause: None,
            }
        };
        let observed = self.observation.as_ref().map(|of| (of, observation));
        for (of, columns) in [(&self.state, state)].into_iter().chain(observed) {
            let each = of.domain.components.iter().zip(&of.spaces);
            for ((component, space), column) in each.zip(columns.chunks_exact(*capacity)) {
                if let Some(&place) = live.iter().find(|row| !space.has(column[**row])) {
                    let name = named(&of.name, &component.path);
                    return Some(told(place, strayed(&name, column[place], space), STRAYED));
                }
            }
            let Some(finite) = &of.domain.finite else { continue };
            let mut value = vec![0.0; of.spaces.len()];
            for &place in live {
                let columns = columns.chunks_exact(*capacity);
                value.iter_mut().zip(columns).for_each(|(value, column)| *value = column[place]);
                if finite.number(&value).is_none() {
                    let shown = of.domain.show(&value);
                    let what = format!("writes {} = {shown}, which `where` leaves out,", of.name);
                    return Some(told(place, what, STRAYED));
                }
            }
        }
        if t == 0 {
            return None;
        }
        for ((name, space), column) in self.rewards.iter().zip(rewards.chunks_exact(*capacity)) {
            let loose = space.loosened();
            if let Some(&place) = live.iter().find(|row| !loose.has(column[**row])) {
                return Some(told(place, strayed(name, column[place], space), STRAYED));
            }
        }
        let cut = live.iter().find(|row| truncated[**row] && !terminated[**row]);
        cut.filter(|_| t < self.horizon).map(|&place| {
            let what = format!("cuts off, before the horizon of {} steps,", self.horizon);
            told(place, what, CUT)
        })
    }

    fn failed(&self, failure: Failure) -> Trouble {
        Trouble {
            row: 0,
            what: format!("`{}` fails: {failure}", self.name),
            hint: None,
            cause: Some(Arc::from(failure)),
        }
    }
}

const STRAYED: &str = "networks and exponents rely on what is declared: declare the wider domain, \
                       or hold the value in it";
const CUT: &str = "what would follow is missing from the bound: let `horizon` be the environment's \
                   own limit, or let the environment go on";

fn strayed(name: &str, value: f64, space: &Space) -> String {
    match value.is_nan() {
        true => format!("writes no number as {name}, which the file declares {space},"),
        false => format!("writes {name} = {value}, which the file declares {space},"),
    }
}

impl Written {
    /// What the program writes next: nothing is known of the rows that live.
    fn frame(&mut self) -> Frame<'_> {
        let Written { capacity, live, state, observation, rewards, terminated, truncated } = self;
        for columns in [&mut *state, &mut *observation, &mut *rewards] {
            for column in columns.chunks_exact_mut(*capacity) {
                live.iter().for_each(|&row| column[row] = f64::NAN);
            }
        }
        for &row in &*live {
            (terminated[row], truncated[row]) = (false, false);
        }
        Frame {
            rows: live,
            capacity: *capacity,
            state,
            observation,
            rewards,
            terminated,
            truncated,
        }
    }
}

fn space_of(kind: &Kind) -> Space {
    match kind {
        Kind::Integer { lo, hi } => Space::Integer { lo: *lo, hi: *hi },
        Kind::Names(names) => Space::of(names.len() as u32),
        Kind::Bool => Space::of(2),
        Kind::Real { lo, hi } => Space::Real { lo: *lo, hi: *hi },
    }
}

/// `s.x`, `s[1]`, or `s` itself.
fn named(variable: &str, path: &str) -> String {
    match path {
        "" => variable.to_owned(),
        path if path.starts_with(['[', '.']) => format!("{variable}{path}"),
        path => format!("{variable}.{path}"),
    }
}

impl<E> fmt::Debug for Hosted<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosted").field("name", &self.name).finish_non_exhaustive()
    }
}
