//! A finite environment as alias tables: one draw a step, whatever the number of successors.

use crate::expr::Real;
use crate::finite::{Environment, Sparse};
use rand::Rng;

#[derive(Clone, Debug)]
pub(super) struct Tables<E> {
    pub actions: usize,
    initial: Alias,
    transition: Alias,
    observation: Option<Alias>,
    /// Per reward, its value at each entry of `transition`.
    rewards: Vec<Vec<E>>,
    ended: Vec<bool>,
}

/// Walker's alias method (Walker 1977; Vose 1991) for each row of a sparse matrix.
#[derive(Clone, Debug)]
struct Alias {
    start: Vec<u32>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Below this the entry itself is drawn, in units of 2⁻³²; else the other.
    threshold: u32,
    column: u32,
    other: u32,
    other_column: u32,
}

impl<E: Real> Tables<E> {
    pub fn new(environment: &Environment) -> Tables<E> {
        Tables {
            actions: environment.actions,
            initial: Alias::new(&environment.initial),
            transition: Alias::new(&environment.transition),
            observation: environment.observation.as_ref().map(Alias::new),
            rewards: environment
                .rewards
                .iter()
                .map(|values| values.iter().map(|&v| E::from_f64(v)).collect())
                .collect(),
            ended: environment.ended.clone(),
        }
    }

    pub fn bytes(&self) -> usize {
        let draws = [&self.initial, &self.transition]
            .into_iter()
            .chain(&self.observation)
            .map(Alias::bytes)
            .sum::<usize>();
        draws + self.rewards.iter().map(Vec::len).sum::<usize>() * size_of::<E>() + self.ended.len()
    }

    pub fn start<R: Rng + ?Sized>(&self, rng: &mut R) -> u32 {
        self.initial.draw(0, rng).1
    }

    /// The next state, and where its rewards stand.
    #[inline]
    pub fn step<R: Rng + ?Sized>(&self, state: u32, action: u32, rng: &mut R) -> (u32, u32) {
        let (entry, next) =
            self.transition.draw(state as usize * self.actions + action as usize, rng);
        (next, entry)
    }

    #[inline]
    pub fn reward(&self, reward: usize, entry: u32) -> E {
        self.rewards[reward][entry as usize]
    }

    pub fn rewards(&self) -> usize {
        self.rewards.len()
    }

    #[inline]
    pub fn ended(&self, state: u32) -> bool {
        self.ended[state as usize]
    }

    pub fn observes(&self) -> bool {
        self.observation.is_some()
    }

    pub fn observe<R: Rng + ?Sized>(&self, state: u32, rng: &mut R) -> u32 {
        self.observation
            .as_ref()
            .map_or(state, |observation| observation.draw(state as usize, rng).1)
    }
}

impl Alias {
    fn new(matrix: &Sparse) -> Alias {
        let mut entries = Vec::with_capacity(matrix.column.len());
        let (mut small, mut large, mut share) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..matrix.rows() {
            let range = matrix.start[row]..matrix.start[row + 1];
            let (first, count) = (range.start, range.len());
            let total: f64 = matrix.probability[range.clone()].iter().sum();
            share.clear();
            share
                .extend(matrix.probability[range.clone()].iter().map(|p| p / total * count as f64));
            let column = &matrix.column[range];
            entries.extend(column.iter().zip(first as u32..).map(|(&column, at)| Entry {
                threshold: u32::MAX,
                column,
                other: at,
                other_column: column,
            }));
            small.clear();
            large.clear();
            (0..count).for_each(|i| if share[i] < 1.0 { small.push(i) } else { large.push(i) });
            while let (Some(&little), Some(&much)) = (small.last(), large.last()) {
                small.pop();
                let entry = &mut entries[first + little];
                entry.threshold = (share[little] * 4_294_967_296.0) as u32;
                (entry.other, entry.other_column) = ((first + much) as u32, column[much]);
                share[much] -= 1.0 - share[little];
                if share[much] < 1.0 {
                    large.pop();
                    small.push(much);
                }
            }
        }
        Alias { start: matrix.start.iter().map(|&at| at as u32).collect(), entries }
    }

    fn bytes(&self) -> usize {
        self.start.len() * size_of::<u32>() + self.entries.len() * size_of::<Entry>()
    }

    /// The entry drawn, and its column.
    #[inline]
    fn draw<R: Rng + ?Sized>(&self, row: usize, rng: &mut R) -> (u32, u32) {
        let bits = rng.next_u64();
        let (first, end) = (self.start[row], self.start[row + 1]);
        let slot = first + ((u64::from((bits >> 32) as u32) * u64::from(end - first)) >> 32) as u32;
        let entry = &self.entries[slot as usize];
        // a threshold of all ones is the whole slot: its other is itself
        if (bits as u32) < entry.threshold {
            (slot, entry.column)
        } else {
            (entry.other, entry.other_column)
        }
    }
}
