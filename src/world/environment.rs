//! What a simulator of the user's own implements, and what is handed to it.

use super::random::Random;
use std::error::Error;

/// Why an environment could not go on: any error, or a sentence (`"…".into()`).
pub type Failure = Box<dyn Error + Send + Sync>;

/// A simulator of many episodes at once.
///
/// A model file declares it, `environment pole = rust("pole") { … }`, with its spaces, and
/// [`Environments`](super::Environments) tells how to make it. Its density is not known: prior and
/// posterior share it, and it cancels.
///
/// Each episode is a *row*, which keeps its number from its start to its end. All that passes
/// between rlppl and an environment are columns: component `c` of the state is a slice with a
/// number for each row. A value that is named stands as its number, counted from 0, a truth value
/// as 0 or 1. What else the environment remembers of a row is its own affair.
///
/// # Equal seeds, equal bits
/// A run gives the same bits on any number of threads, and goes on from a checkpoint to the same
/// bits, if the environment draws from the source it is handed and from nothing else, and if what
/// follows a [`reset`](Environment::reset) depends on nothing before it. An environment is made for
/// each shard of a batch and stays with it; no two threads use one at the same time.
///
/// ```
/// use rlppl::world::{ActionColumns, Failure, Frame, Space, Spec};
/// use rlppl::{
///     Environment, Environments, Overrides, Random, Source, check, derive, infer, parse,
///     plan_with,
/// };
///
/// /// The smallest of three numbers is the best guess, whatever is seen.
/// struct Guess;
///
/// impl Environment for Guess {
///     fn spec(&self) -> Spec {
///         let number = vec![Space::of(3)];
///         Spec { state: number.clone(), action: number, rewards: 1, ..Spec::default() }
///     }
///
///     fn reset(&mut self, first: &mut Frame<'_>, random: &mut Random) -> Result<(), Failure> {
///         first.state(0).iter_mut().for_each(|number| *number = random.below(3) as f64);
///         Ok(())
///     }
///
///     fn step(
///         &mut self,
///         actions: ActionColumns<'_>,
///         next: &mut Frame<'_>,
///         random: &mut Random,
///     ) -> Result<(), Failure> {
///         for &row in next.rows() {
///             let guess = actions.component(0)[row];
///             next.reward(0)[row] = -guess;
///             next.state(0)[row] = random.below(3) as f64;
///         }
///         Ok(())
///     }
/// }
///
/// let text = "
///     model guess
///     horizon T = 4
///     environment game = rust(\"guess\") { state s : 0..2; action a : 0..2; reward r in [-2, 0] }
///     kernel pi(a | s) = Categorical(logits = table(s))
///     prior      { s[1] ~ game.initial; a[t] ~ Uniform;  s[t+1] ~ game.transition(s[t], a[t]) }
///     likelihood { R[t] ~ exp(r[t]) }
///     posterior  { s[1] ~ game.initial; a[t] ~ pi(s[t]); s[t+1] ~ game.transition(s[t], a[t]) }
///     infer      { trajectories = 64; steps = 50; optimizer = adam(rate = 0.1) }
/// ";
/// let model = check(&parse(&Source::new("guess.rlmodel", text))?, &Overrides::default())?;
/// let environments = Environments::new().with("guess", || Guess);
/// let plan = plan_with(&model, &derive(&model)?, &environments)?;
/// let run = infer(&plan, &mut ())?;
///
/// let policy = run.policy(&plan)?;
/// let action = policy.act(&[1.0], &mut policy.memory(), None)?;
/// assert_eq!(action.components, [0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Environment: Send {
    /// Its spaces, which are held against those that the model file declares before training
    /// begins.
    fn spec(&self) -> Spec;

    /// Starts an episode in every row of `first`, and writes `s[1]` and what is seen of it.
    ///
    /// # Errors
    /// Whatever keeps it from starting: the run ends, and tells it.
    fn reset(&mut self, first: &mut Frame<'_>, random: &mut Random) -> Result<(), Failure>;

    /// Moves each of [`next.rows()`](Frame::rows) by a step, and writes `s[t+1]`, the rewards
    /// `r[t]`, whether the episode has ended, and what is seen. Rows that are not among them have
    /// ended, and stay as they are until the next reset.
    ///
    /// # Errors
    /// Whatever keeps it from going on: the run ends, and tells it.
    fn step(
        &mut self,
        actions: ActionColumns<'_>,
        next: &mut Frame<'_>,
        random: &mut Random,
    ) -> Result<(), Failure>;
}

/// The spaces of an environment, component by component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    /// What it may write as state.
    pub state: Vec<Space>,
    /// What it may write as observation; empty where the file declares none.
    pub observation: Vec<Space>,
    /// What it takes; of several actions, those of the first that is declared come first.
    pub action: Vec<Space>,
    /// How many rewards a step has.
    pub rewards: usize,
}

/// The values of one component, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Space {
    Real { lo: f64, hi: f64 },
    Integer { lo: i64, hi: i64 },
}

impl Space {
    /// All real numbers.
    pub const REAL: Space = Space::Real { lo: f64::NEG_INFINITY, hi: f64::INFINITY };

    /// `0..count−1`: the numbers of so many named values.
    pub fn of(count: u32) -> Space {
        Space::Integer { lo: 0, hi: i64::from(count) - 1 }
    }

    /// Every value of `other`, which is of the same kind, is one of these.
    pub(super) fn holds(self, other: Space) -> bool {
        match (self, other) {
            (Space::Real { lo, hi }, Space::Real { lo: least, hi: greatest }) => {
                lo <= least && greatest <= hi
            }
            (Space::Integer { lo, hi }, Space::Integer { lo: least, hi: greatest }) => {
                lo <= least && greatest <= hi
            }
            (Space::Real { .. }, Space::Integer { .. })
            | (Space::Integer { .. }, Space::Real { .. }) => false,
        }
    }

    /// With what a rounded sum may add at its ends.
    pub(super) fn loosened(self) -> Space {
        let slack = |bound: f64| if bound.is_finite() { 1e-9 * bound.abs().max(1.0) } else { 0.0 };
        match self {
            Space::Real { lo, hi } => Space::Real { lo: lo - slack(lo), hi: hi + slack(hi) },
            Space::Integer { .. } => self,
        }
    }

    pub(super) fn has(self, value: f64) -> bool {
        match self {
            Space::Real { lo, hi } => value.is_finite() && lo <= value && value <= hi,
            Space::Integer { lo, hi } => {
                value.fract() == 0.0 && lo as f64 <= value && value <= hi as f64
            }
        }
    }
}

impl std::fmt::Display for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Space::Real { lo: f64::NEG_INFINITY, hi: f64::INFINITY } => write!(f, "real"),
            Space::Real { lo, hi } => write!(f, "real in [{lo}, {hi}]"),
            Space::Integer { lo, hi } => write!(f, "{lo}..{hi}"),
        }
    }
}

/// What an environment writes. Columns have [`Frame::capacity`] numbers, and only those of
/// [`Frame::rows`] are read. A number that is not written is noticed; an end that is not written is
/// none.
#[derive(Debug)]
pub struct Frame<'a> {
    pub(super) rows: &'a [usize],
    pub(super) capacity: usize,
    pub(super) state: &'a mut [f64],
    pub(super) observation: &'a mut [f64],
    pub(super) rewards: &'a mut [f64],
    pub(super) terminated: &'a mut [bool],
    pub(super) truncated: &'a mut [bool],
}

impl<'a> Frame<'a> {
    /// The rows that are to be written, each once, in no order.
    pub fn rows(&self) -> &'a [usize] {
        self.rows
    }

    /// How many rows there are, those included that have ended.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The column of component `component` of the state.
    ///
    /// # Panics
    /// Where the state has no such component.
    pub fn state(&mut self, component: usize) -> &mut [f64] {
        column(self.state, self.capacity, component)
    }

    /// The column of component `component` of the observation.
    ///
    /// # Panics
    /// Where the observation has no such component.
    pub fn observation(&mut self, component: usize) -> &mut [f64] {
        column(self.observation, self.capacity, component)
    }

    /// The column of a reward, of the step that is made; of a start there is none to write.
    ///
    /// # Panics
    /// Where there is no such reward.
    pub fn reward(&mut self, reward: usize) -> &mut [f64] {
        column(self.rewards, self.capacity, reward)
    }

    /// Whether the episode has ended, by the rules of the environment: nothing follows.
    pub fn terminated(&mut self) -> &mut [bool] {
        self.terminated
    }

    /// Whether the environment gives up here though the episode could go on, as at a limit of time.
    /// What would follow is missing from the bound, so that only the last step of the horizon may
    /// be cut off.
    pub fn truncated(&mut self) -> &mut [bool] {
        self.truncated
    }

    /// Writes all components of the state of a row.
    pub fn write_state(&mut self, row: usize, components: &[f64]) {
        write(self.state, self.capacity, row, components);
    }

    /// Writes all components of the observation of a row.
    pub fn write_observation(&mut self, row: usize, components: &[f64]) {
        write(self.observation, self.capacity, row, components);
    }
}

fn column(columns: &mut [f64], capacity: usize, at: usize) -> &mut [f64] {
    &mut columns[at * capacity..][..capacity]
}

fn write(columns: &mut [f64], capacity: usize, row: usize, components: &[f64]) {
    assert_eq!(components.len() * capacity, columns.len(), "one number for each component");
    columns.chunks_exact_mut(capacity).zip(components).for_each(|(column, &x)| column[row] = x);
}

/// The actions of a step, in columns; those of rows that have ended are of no meaning.
#[derive(Clone, Copy, Debug)]
pub struct ActionColumns<'a> {
    pub(super) columns: &'a [f64],
    pub(super) capacity: usize,
}

impl<'a> ActionColumns<'a> {
    /// Component `component` of the action in every row; of several actions, those of the first
    /// that is declared come first.
    ///
    /// # Panics
    /// Where the action has no such component.
    pub fn component(&self, component: usize) -> &'a [f64] {
        &self.columns[component * self.capacity..][..self.capacity]
    }
}
