//! A finite environment as sparse tables.

/// Rows of (column, probability), compressed. Row `i` is `start[i]..start[i + 1]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sparse {
    pub start: Vec<usize>,
    pub column: Vec<u32>,
    pub probability: Vec<f64>,
}

/// States, actions and observations are numbered as their [`crate::model::FiniteDomain`]s number
/// them.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    pub states: usize,
    pub actions: usize,
    /// One row: the distribution of `s[1]`.
    pub initial: Sparse,
    /// Row `s · actions + a`: the distribution of `s[t+1]`. In an ended state every action stays,
    /// with probability 1.
    pub transition: Sparse,
    /// Row `s`: the distribution of `x[t]`, where the environment has observations.
    pub observation: Option<Sparse>,
    /// Per reward of the environment, its value at each entry of `transition` (0 from an ended
    /// state).
    pub rewards: Vec<Vec<f64>>,
    /// `end when` holds.
    pub ended: Vec<bool>,
}

/// Why a model has no tables: which variable is not finite, or what makes them too large, in one
/// sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotFinite(pub String);

impl Environment {
    /// The same states, actions and ends, and nothing that depends on how one leads to the next.
    pub fn without_transitions(&self) -> Environment {
        Environment { transition: Sparse::default(), rewards: vec![], ..self.clone() }
    }
}

impl Sparse {
    pub fn rows(&self) -> usize {
        self.start.len().saturating_sub(1)
    }
    pub fn row(&self, row: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let entries = self.start[row]..self.start[row + 1];
        entries.map(|entry| (self.column[entry] as usize, self.probability[entry]))
    }
}
