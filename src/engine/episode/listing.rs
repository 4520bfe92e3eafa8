//! Trajectories that are known before they are rolled out: what each draws.

use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;

/// What trajectories draw, by step and trajectory.
pub(in crate::engine) struct Listed {
    trajectories: usize,
    states: Vec<u32>,
    /// Empty where observations follow from the states.
    observations: Vec<u32>,
    /// By draw of a step.
    draws: Vec<Vec<u32>>,
    /// Whether a step ends the episode, where that is drawn.
    ends: Vec<u32>,
}

/// One trajectory: its states, one more than its steps.
#[derive(Clone, Default)]
pub(in crate::engine) struct Trajectory {
    pub states: Vec<u32>,
    /// By step, what is seen of its state, if that is drawn.
    pub observations: Vec<u32>,
    /// By step, the value of each of its draws.
    pub draws: Vec<Vec<u32>>,
    /// By step, whether it ends the episode, where that is drawn; else empty.
    pub ends: Vec<u32>,
    /// Of what the environment draws.
    pub log_p: f64,
}

impl Listed {
    /// The trajectories of a list, of so many steps, with so many draws each.
    pub fn of(list: &[Trajectory], horizon: usize, draws: usize) -> Listed {
        // behind its end a trajectory is not read
        let column = |of: &dyn Fn(&Trajectory, usize) -> Option<u32>, steps: usize| {
            (0..steps)
                .flat_map(|step| {
                    list.iter().map(move |trajectory| of(trajectory, step).unwrap_or(0))
                })
                .collect()
        };
        let draw = |k: usize| {
            column(&move |one, step| one.draws.get(step).map(|values| values[k]), horizon)
        };
        let is_seen = list.iter().any(|one| !one.observations.is_empty());
        let seen = if is_seen { horizon + 1 } else { 0 };
        Listed {
            trajectories: list.len(),
            states: column(&|one, step| one.states.get(step).copied(), horizon + 1),
            observations: column(&|one, step| one.observations.get(step).copied(), seen),
            draws: (0..draws).map(draw).collect(),
            ends: column(&|one, step| one.ends.get(step).copied(), horizon),
        }
    }

    /// The first states.
    pub fn starts(&self) -> &[u32] {
        &self.states[..self.trajectories]
    }

    /// Appends the states `s[t]` of some trajectories.
    pub fn read_states(&self, t: usize, of: &[u32], out: &mut Vec<u32>) {
        self.read(&self.states, t, of, out);
    }

    /// Whether observations are drawn.
    pub fn sees(&self) -> bool {
        !self.observations.is_empty()
    }

    /// Appends the observations `x[t]` of some trajectories.
    pub fn read_observations(&self, t: usize, of: &[u32], out: &mut Vec<u32>) {
        self.read(&self.observations, t, of, out);
    }

    /// Appends what some trajectories draw at `t`, of a draw by its number.
    pub fn read_draws(&self, draw: usize, t: usize, of: &[u32], out: &mut Vec<u32>) {
        self.read(&self.draws[draw], t, of, out);
    }

    /// Whether the step `t` of some trajectories ends them.
    pub fn ends<E: Number>(&self, t: usize, of: &[u32]) -> Vec<E> {
        let mut ends = Vec::new();
        self.read(&self.ends, t, of, &mut ends);
        ends.into_iter().map(|end| <E as Float>::of(f64::from(end))).collect()
    }

    fn read(&self, list: &[u32], t: usize, of: &[u32], out: &mut Vec<u32>) {
        out.extend(
            of.iter().map(|&trajectory| list[(t - 1) * self.trajectories + trajectory as usize]),
        );
    }
}
