//! Many trajectories of one world, step by step.

use super::columns::{Given, Layout, Numbered, Work};
use super::hosted::{Session, Trouble};
use super::tables::Tables;
use super::{Kind, World};
use crate::expr::Real;
use rand::Rng;

/// `rows` trajectories at the same time `t`. All buffers are made at the start.
///
/// Rows that have ended are absorbed: their state repeats and their rewards are 0.
/// [`Batch::compact`] moves them behind the live ones, where they cost nothing; [`Batch::origin`]
/// then says which trajectory stands in a row.
pub struct Batch<E> {
    rows: usize,
    /// Rows `0..front` are worked on; those behind have ended.
    front: usize,
    /// How many of `0..front` have ended.
    ended_in_front: usize,
    time: usize,
    origin: Vec<u32>,
    body: Body<E>,
    /// Pairs of rows that change places.
    swaps: Vec<(u32, u32)>,
}

/// The actions of rows `0..front`.
#[derive(Clone, Copy, Debug)]
pub enum Actions<'a, E> {
    /// Numbers of a finite action, one for each row.
    Numbers(&'a [u32]),
    /// Component `c` of row `i` at `c · stride + i`.
    Columns { values: &'a [E], stride: usize },
}

/// The next states of rows `0..front`, laid out as actions are.
pub type NextStates<'a, E> = Actions<'a, E>;

enum Body<E> {
    Numbers {
        states: Vec<u32>,
        observations: Vec<u32>,
        rewards: Vec<E>,
        ended: Vec<E>,
    },
    /// Two frames, the present one and the one to be written.
    Frames {
        now: Vec<E>,
        next: Vec<E>,
        actions: Vec<E>,
        /// What another model draws.
        told: Vec<E>,
        mover: Mover<E>,
    },
}

/// What writes frames.
enum Mover<E> {
    Compiled(Box<Work<E>>),
    Hosted(Box<Session>),
    /// Whoever uses the batch, with [`Batch::show`].
    Shown,
}

impl<E: Real> Batch<E> {
    /// Call [`Batch::reset`] before the first step.
    pub fn new(world: &World<E>, rows: usize) -> Batch<E> {
        let body = match &world.kind {
            Kind::Tables(tables) => Body::Numbers {
                states: vec![0; rows],
                observations: vec![0; if tables.observes() { rows } else { 0 }],
                rewards: vec![E::ZERO; rows * tables.rewards()],
                ended: vec![E::ZERO; rows],
            },
            Kind::Columns(columns) => Body::Frames {
                now: vec![E::ZERO; rows * columns.layout.width()],
                next: vec![E::ZERO; rows * columns.layout.width()],
                actions: vec![E::ZERO; rows * columns.actions],
                told: Vec::new(),
                mover: Mover::Compiled(Box::new(columns.work(rows))),
            },
            Kind::Hosted(hosted) => Body::Frames {
                now: vec![E::ZERO; rows * hosted.layout.width()],
                next: vec![E::ZERO; rows * hosted.layout.width()],
                actions: vec![E::ZERO; rows * hosted.actions],
                told: Vec::new(),
                mover: Mover::Hosted(Box::new(hosted.session(rows))),
            },
            Kind::Shown(layout) => Body::Frames {
                now: vec![E::ZERO; rows * layout.width()],
                next: Vec::new(),
                actions: Vec::new(),
                told: Vec::new(),
                mover: Mover::Shown,
            },
        };
        Batch {
            rows,
            front: rows,
            ended_in_front: 0,
            time: 1,
            origin: (0..rows as u32).collect(),
            body,
            swaps: Vec::with_capacity(rows),
        }
    }

    /// Starts all rows anew at `t = 1`, in their original order.
    pub fn reset<R: Rng + ?Sized>(&mut self, world: &World<E>, rng: &mut R) {
        self.front = self.rows;
        self.time = 1;
        self.origin.iter_mut().zip(0..).for_each(|(origin, row)| *origin = row);
        match (&world.kind, &mut self.body) {
            (Kind::Tables(tables), Body::Numbers { states, observations, rewards, ended }) => {
                states.iter_mut().for_each(|state| *state = tables.start(rng));
                observations
                    .iter_mut()
                    .zip(&*states)
                    .for_each(|(seen, &state)| *seen = tables.observe(state, rng));
                rewards.fill(E::ZERO);
                ended
                    .iter_mut()
                    .zip(&*states)
                    .for_each(|(ended, &state)| *ended = truth(tables.ended(state)));
            }
            (Kind::Columns(columns), Body::Frames { now, mover: Mover::Compiled(work), .. }) => {
                columns.start((self.rows, self.rows), &[], now, work, rng)
            }
            (Kind::Hosted(hosted), Body::Frames { now, mover: Mover::Hosted(session), .. }) => {
                hosted.start(session, &self.origin, now, rng);
            }
            (Kind::Shown(_), Body::Frames { now, .. }) => now.fill(E::ZERO),
            (_, Body::Frames { .. } | Body::Numbers { .. }) => unlike(),
        }
        self.ended_in_front = self.count_ended();
    }

    /// Shows the state and the observation of the only row, where nothing moves it but what it is
    /// shown: the batch of a world of [`World::shown`].
    ///
    /// # Panics
    /// Where the world is another, or a component is missing.
    pub fn show(&mut self, world: &World<E>, (state, observation): (&[f64], &[f64]), t: usize) {
        let (Kind::Shown(layout), Body::Frames { now, .. }) = (&world.kind, &mut self.body) else {
            unlike()
        };
        assert_eq!((state.len(), observation.len()), (layout.state, layout.observation));
        let components = state.iter().chain(observation);
        now.iter_mut().zip(components).for_each(|(to, &from)| *to = E::from_f64(from));
        self.time = t;
    }

    /// Why nothing of the last start or step can be used, where an environment from outside has
    /// failed.
    pub fn trouble(&self) -> Option<&Trouble> {
        match &self.body {
            Body::Frames { mover: Mover::Hosted(session), .. } => session.trouble.as_ref(),
            Body::Frames { mover: Mover::Compiled(_) | Mover::Shown, .. }
            | Body::Numbers { .. } => None,
        }
    }

    /// As [`Batch::reset`], with first states that another model has drawn, one for each row; the
    /// end and the observation are the environment's.
    ///
    /// # Panics
    /// Where the world is not one of [`World::followed`] that is told its start.
    pub fn begin<R: Rng + ?Sized>(
        &mut self,
        world: &World<E>,
        first: NextStates<'_, E>,
        rng: &mut R,
    ) {
        let (Kind::Columns(columns), Body::Frames { now, told, mover: Mover::Compiled(work), .. }) =
            (&world.kind, &mut self.body)
        else {
            unlike()
        };
        told.resize(columns.layout.state * self.rows, E::ZERO);
        fill(&columns.numbered_states, first, self.rows, self.rows, told);
        columns.start((self.rows, self.rows), told, now, work, rng);
        self.front = self.rows;
        self.time = 1;
        self.origin.iter_mut().zip(0..).for_each(|(origin, row)| *origin = row);
        self.ended_in_front = self.count_ended();
    }

    /// Puts finite observations in the place of those that the environment made of the states, one
    /// for each row in front.
    ///
    /// # Panics
    /// Where the world is not one of [`World::followed`] with finite observations.
    pub fn see(&mut self, world: &World<E>, seen: &[u32]) {
        let (Kind::Columns(columns), Body::Frames { now, .. }) = (&world.kind, &mut self.body)
        else {
            unlike()
        };
        let Layout { state, observation, .. } = columns.layout;
        let places = state * self.rows..(state + observation) * self.rows;
        let seen = Actions::Numbers(seen);
        fill(&columns.numbered_observations, seen, self.front, self.rows, &mut now[places]);
    }

    /// Moves the rows in front by one step: `s[t+1]`, the rewards `r[t]`, whether it has ended, and
    /// the observation `x[t+1]`.
    ///
    /// # Panics
    /// If `actions` has fewer than [`Batch::front`] rows, numbers outside the domain, or is not of
    /// the kind that the world's action is.
    pub fn step<R: Rng + ?Sized>(
        &mut self,
        world: &World<E>,
        actions: Actions<'_, E>,
        rng: &mut R,
    ) {
        match (&world.kind, &mut self.body) {
            (Kind::Tables(tables), Body::Numbers { states, observations, rewards, ended }) => {
                let Actions::Numbers(numbers) = actions else { unlike() };
                step_tables(tables, self.front, self.rows, numbers, (states, rewards, ended), rng);
                let seen = observations
                    .iter_mut()
                    .zip(&*states)
                    .zip(&*ended)
                    .take(self.front)
                    .filter(|(_, ended)| **ended == E::ZERO);
                seen.for_each(|((seen, &state), _)| *seen = tables.observe(state, rng));
            }
            (Kind::Columns(_), Body::Frames { .. }) => self.step_columns(world, actions, None, rng),
            (Kind::Hosted(_), Body::Frames { .. }) => self.step_hosted(world, actions),
            (_, Body::Frames { .. } | Body::Numbers { .. }) => unlike(),
        }
        self.time += 1;
        self.ended_in_front = self.count_ended();
    }

    /// As [`Batch::step`], with next states that another model has drawn; the rewards, the end and
    /// the observation are the environment's, but for the columns `told`, one after another, that
    /// [`World::followed`] was promised.
    ///
    /// # Panics
    /// As [`Batch::step`], and where the world is not one of [`World::followed`].
    pub fn follow<R: Rng + ?Sized>(
        &mut self,
        world: &World<E>,
        actions: Actions<'_, E>,
        (next, told): (NextStates<'_, E>, &[E]),
        rng: &mut R,
    ) {
        self.step_columns(world, actions, Some((next, told)), rng);
        self.time += 1;
        self.ended_in_front = self.count_ended();
    }

    /// Puts what another model has drawn in the place of a reward of the last step.
    pub fn tell_reward(&mut self, world: &World<E>, reward: usize, values: &[E]) {
        let rows = self.rows;
        let column = match (&mut self.body, &world.kind) {
            (Body::Numbers { rewards, .. }, _) => &mut rewards[reward * rows..],
            (Body::Frames { now, .. }, kind) => {
                let rewards = kind.layout().map_or_else(|| unlike(), |layout| layout.rewards());
                &mut now[(rewards.start + reward) * rows..]
            }
        };
        column[..self.front].copy_from_slice(&values[..self.front]);
    }

    /// Likewise in the place of whether it ended the episode, which is 1 or 0.
    pub fn tell_end(&mut self, values: &[E]) {
        let ended = match &mut self.body {
            Body::Numbers { ended, .. } => &mut ended[..],
            Body::Frames { now, .. } => {
                let first = now.len() - self.rows;
                &mut now[first..]
            }
        };
        ended[..self.front].copy_from_slice(&values[..self.front]);
        self.ended_in_front = self.count_ended();
    }

    fn step_columns<R: Rng + ?Sized>(
        &mut self,
        world: &World<E>,
        actions: Actions<'_, E>,
        drawn: Option<(NextStates<'_, E>, &[E])>,
        rng: &mut R,
    ) {
        let (
            Kind::Columns(columns),
            Body::Frames {
                now,
                next,
                actions: columns_of_actions,
                told,
                mover: Mover::Compiled(work),
            },
        ) = (&world.kind, &mut self.body)
        else {
            unlike()
        };
        fill(&columns.numbered_actions, actions, self.front, self.rows, columns_of_actions);
        if let Some((states, outcomes)) = drawn {
            told.resize((columns.layout.state + columns.told) * self.rows, E::ZERO);
            let (of_states, of_outcomes) = told.split_at_mut(columns.layout.state * self.rows);
            fill(&columns.numbered_states, states, self.front, self.rows, of_states);
            let outcomes = Actions::Columns { values: outcomes, stride: self.front };
            fill(&None, outcomes, self.front, self.rows, of_outcomes);
        }
        let given = Given {
            state: now,
            actions: columns_of_actions,
            next: told,
            time: E::from_u32(self.time as u32),
            rows: self.front,
            capacity: self.rows,
        };
        columns.step(given, next, work, rng);
        if self.ended_in_front > 0 {
            absorb(columns.layout, self.front, self.rows, now, next);
        }
        let rewards = columns.layout.rewards();
        rewards.for_each(|column| next[column * self.rows..][self.front..self.rows].fill(E::ZERO));
        std::mem::swap(now, next);
    }

    fn step_hosted(&mut self, world: &World<E>, actions: Actions<'_, E>) {
        let (
            Kind::Hosted(hosted),
            Body::Frames { now, next, actions: acted, mover: Mover::Hosted(session), .. },
        ) = (&world.kind, &mut self.body)
        else {
            unlike()
        };
        let (front, rows, layout) = (self.front, self.rows, hosted.layout);
        fill(&hosted.numbered_actions, actions, front, rows, acted);
        let ended = &now[layout.end() * rows..][..front];
        hosted.step(session, (&self.origin[..front], self.time), (acted, ended), next);
        if session.trouble.is_some() {
            next.copy_from_slice(now);
        } else if self.ended_in_front > 0 {
            absorb(layout, front, rows, now, next);
        }
        layout.rewards().for_each(|column| next[column * rows..][front..rows].fill(E::ZERO));
        std::mem::swap(now, next);
    }

    /// Swaps the rows that have ended behind those that have not, with all that can be read of
    /// them. Costs nothing in steps in which no row ended. A row's place changes, so read what is
    /// stored by row before, or by [`Batch::origin`] after.
    pub fn compact(&mut self, world: &World<E>) {
        if self.ended_in_front == 0 {
            return;
        }
        self.swaps.clear();
        let Batch { rows, front, swaps, body, origin, .. } = self;
        let (rows, all) = (*rows, *front);
        let ended = match &*body {
            Body::Numbers { ended, .. } => &ended[..all],
            Body::Frames { now, .. } => &now[now.len() - rows..][..all],
        };
        for (row, _) in ended.iter().enumerate().rev().filter(|(_, ended)| **ended != E::ZERO) {
            *front -= 1;
            swaps.push((row as u32, *front as u32));
        }
        swap_rows(origin, swaps);
        match (&world.kind, body) {
            (Kind::Tables(_), Body::Numbers { states, observations, rewards, ended }) => {
                swap_rows(states, swaps);
                if !observations.is_empty() {
                    swap_rows(observations, swaps);
                }
                rewards.chunks_exact_mut(rows).for_each(|column| swap_rows(column, swaps));
                swap_rows(ended, swaps);
            }
            (Kind::Columns(_) | Kind::Hosted(_), Body::Frames { now, next, .. }) => {
                for (now, next) in now.chunks_exact_mut(rows).zip(next.chunks_exact_mut(rows)) {
                    swap_rows(now, swaps);
                    // both frames, since rows behind the front are written no more
                    next[*front..all].copy_from_slice(&now[*front..all]);
                }
            }
            (_, Body::Frames { .. } | Body::Numbers { .. }) => unlike(),
        }
        self.ended_in_front = 0;
    }

    /// All rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows that a step works on: after [`Batch::compact`] exactly those that live, as rows
    /// `0..front`.
    pub fn front(&self) -> usize {
        self.front
    }

    /// Rows that have not ended.
    pub fn live(&self) -> usize {
        self.front - self.ended_in_front
    }

    /// `t` of the present state, from 1.
    pub fn time(&self) -> usize {
        self.time
    }

    /// Which trajectory, `0..rows`, stands in each row.
    pub fn origin(&self) -> &[u32] {
        &self.origin
    }

    /// 1 in rows whose present state has ended, else 0.
    pub fn ended(&self) -> &[E] {
        match &self.body {
            Body::Numbers { ended, .. } => ended,
            Body::Frames { now, .. } => &now[now.len() - self.rows..],
        }
    }

    /// Reward `reward` of the last step, in every row.
    pub fn reward(&self, world: &World<E>, reward: usize) -> &[E] {
        match (&self.body, &world.kind) {
            (Body::Numbers { rewards, .. }, _) => &rewards[reward * self.rows..][..self.rows],
            (Body::Frames { now, .. }, kind) => {
                let rewards = kind.layout().map_or_else(|| unlike(), |layout| layout.rewards());
                &now[(rewards.start + reward) * self.rows..][..self.rows]
            }
        }
    }

    /// The number of the present state in every row, where the world is finite.
    pub fn state_numbers(&self) -> Option<&[u32]> {
        match &self.body {
            Body::Numbers { states, .. } => Some(states),
            Body::Frames { .. } => None,
        }
    }

    /// The number of the present observation, where the world is finite and has observations.
    pub fn observation_numbers(&self) -> Option<&[u32]> {
        match &self.body {
            Body::Numbers { observations, .. } if !observations.is_empty() => Some(observations),
            Body::Numbers { .. } | Body::Frames { .. } => None,
        }
    }

    /// Writes component `component` of the present state of rows `0..out.len()`.
    pub fn read_state(&self, world: &World<E>, component: usize, out: &mut [E]) {
        match &self.body {
            Body::Numbers { states, .. } => look_up(&world.state_values[component], states, out),
            Body::Frames { now, .. } => {
                out.copy_from_slice(&now[component * self.rows..][..out.len()])
            }
        }
    }

    /// Writes component `component` of the present observation of rows `0..out.len()`.
    pub fn read_observation(&self, world: &World<E>, component: usize, out: &mut [E]) {
        match &self.body {
            Body::Numbers { observations, .. } => {
                look_up(&world.observation_values[component], observations, out)
            }
            Body::Frames { now, .. } => out.copy_from_slice(
                &now[(world.state_width() + component) * self.rows..][..out.len()],
            ),
        }
    }

    /// The columns of the present state, where the world is not finite: component `c` of row `i` at
    /// `c · rows + i`.
    pub fn state_columns(&self, world: &World<E>) -> Option<&[E]> {
        match &self.body {
            Body::Numbers { .. } => None,
            Body::Frames { now, .. } => Some(&now[..world.state_width() * self.rows]),
        }
    }

    /// The columns of the present observation, where the world is not finite.
    pub fn observation_columns(&self, world: &World<E>) -> Option<&[E]> {
        match &self.body {
            Body::Numbers { .. } => None,
            Body::Frames { now, .. } => Some(
                &now[world.state_width() * self.rows..][..world.observation_width() * self.rows],
            ),
        }
    }

    fn count_ended(&self) -> usize {
        self.ended()[..self.front].iter().filter(|ended| **ended != E::ZERO).count()
    }
}

fn step_tables<E: Real, R: Rng + ?Sized>(
    tables: &Tables<E>,
    front: usize,
    rows: usize,
    numbers: &[u32],
    (states, rewards, ended): (&mut [u32], &mut [E], &mut [E]),
    rng: &mut R,
) {
    for row in 0..front {
        assert!((numbers[row] as usize) < tables.actions, "world: the action is in its domain");
        // an ended state has one successor, itself, with reward 0
        let (next, entry) = tables.step(states[row], numbers[row], rng);
        states[row] = next;
        ended[row] = truth(tables.ended(next));
        for reward in 0..tables.rewards() {
            rewards[reward * rows + row] = tables.reward(reward, entry);
        }
    }
    rewards.chunks_exact_mut(rows).for_each(|column| column[front..].fill(E::ZERO));
}

/// Writes the components of what is drawn.
fn fill<E: Real>(
    numbered: &Option<Vec<Numbered<E>>>,
    drawn: Actions<'_, E>,
    front: usize,
    rows: usize,
    out: &mut [E],
) {
    match (drawn, numbered) {
        (Actions::Numbers(numbers), Some(components)) => {
            let columns = out.chunks_exact_mut(rows).zip(components);
            columns.for_each(|(column, component)| {
                component.fill(&numbers[..front], &mut column[..front])
            });
        }
        (Actions::Columns { values, stride }, _) => {
            for (c, column) in out.chunks_exact_mut(rows).enumerate() {
                column[..front].copy_from_slice(&values[c * stride..][..front]);
            }
        }
        (Actions::Numbers(_), None) => unlike(),
    }
}

/// Rows that had ended before the step keep their state and observation, with rewards 0.
fn absorb<E: Real>(layout: Layout, front: usize, rows: usize, now: &[E], next: &mut [E]) {
    let ended = &now[layout.end() * rows..][..front];
    for column in 0..layout.width() {
        let is_reward = layout.rewards().contains(&column);
        let (now, next) = (&now[column * rows..][..front], &mut next[column * rows..][..front]);
        for ((next, &now), &ended) in next.iter_mut().zip(now).zip(ended) {
            if ended != E::ZERO {
                *next = if is_reward { E::ZERO } else { now };
            }
        }
    }
}

fn look_up<E: Real>(table: &[E], numbers: &[u32], out: &mut [E]) {
    out.iter_mut().zip(numbers).for_each(|(out, &number)| *out = table[number as usize]);
}

fn truth<E: Real>(holds: bool) -> E {
    if holds { E::ONE } else { E::ZERO }
}

#[cold]
fn unlike() -> ! {
    panic!("world: the batch and the actions are of this world's kind")
}

/// Makes the swaps of [`Batch::compact`] in one column.
fn swap_rows<T>(column: &mut [T], swaps: &[(u32, u32)]) {
    swaps.iter().for_each(|&(a, b)| column.swap(a as usize, b as usize));
}
