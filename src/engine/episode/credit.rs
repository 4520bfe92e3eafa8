//! What each draw is credited with: the terms downstream of it, less a baseline.
//!
//! Rows are the live steps of a batch, all of `t = 1` first, then all of `t = 2`, …; a trajectory
//! has one row per live step.
//!
//! With `ρ_t` what becomes downstream first at the draw of `t` (terms at `t` it moves, and those at
//! `t + 1` that read only what comes before the next draw), `G_t = Σ_{k ≥ t} γ^{k−t} ρ_k` is the
//! reward-to-go and KL-to-go. With a learned value `V` the advantage is `A_t = Σ_{k ≥ t} (γλ)^{k−t}
//! (ρ_k + γ V_{k+1} − V_k)` (Schulman et al. 2016, eq. 16), which is `G_t − V_t` at λ = 1.

use crate::engine::numeric::float::Float;

/// Which trajectory each live step belongs to, and where each `t` begins.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Rows of step `t` (from 0): `starts[t]..starts[t + 1]`.
    pub starts: Vec<usize>,
    pub trajectory: Vec<u32>,
    /// What each trajectory counts in a mean; empty where all count alike.
    pub weight: Vec<f64>,
}

/// What rows give to the terms that are credited, in nats.
pub struct Given<'a, E> {
    /// By the draw of the same step and earlier ones.
    pub here: &'a [E],
    /// By draws of earlier steps only.
    pub before: &'a [E],
    /// Per trajectory, after its last live step.
    pub after: &'a [E],
}

/// γ and λ.
#[derive(Clone, Copy, Debug)]
pub struct Discounts<E> {
    pub discount: E,
    pub lambda: E,
}

/// Working memory, one entry per trajectory.
#[derive(Clone, Debug, Default)]
pub struct Carry<E> {
    credit: Vec<E>,
    advantage: Vec<E>,
    value: Vec<E>,
    next_before: Vec<E>,
    /// Of later steps.
    ahead: Vec<E>,
}

/// Writes `G` of every row.
pub fn to_go<E: Float>(
    rows: &Rows,
    given: &Given<E>,
    discount: E,
    carry: &mut Carry<E>,
    credit: &mut [E],
) {
    carry.reset(given.after);
    for row in (0..rows.trajectory.len()).rev() {
        let at = rows.trajectory[row] as usize;
        let total = given.here[row] + carry.next_before[at] + discount * carry.credit[at];
        carry.credit[at] = total;
        carry.next_before[at] = given.before[row];
        credit[row] = total;
    }
}

/// Writes `A` of every row and what the value is to be fitted to: `A + V`, which is `G` at λ = 1.
pub fn advantages<E: Float>(
    rows: &Rows,
    given: &Given<E>,
    values: &[E],
    discounts: Discounts<E>,
    carry: &mut Carry<E>,
    advantage: &mut [E],
    target: &mut [E],
) {
    let Discounts { discount, lambda } = discounts;
    carry.reset(given.after);
    for row in (0..rows.trajectory.len()).rev() {
        let at = rows.trajectory[row] as usize;
        let surprise =
            given.here[row] + carry.next_before[at] + discount * carry.value[at] - values[row];
        let total = surprise + discount * lambda * carry.advantage[at];
        carry.advantage[at] = total;
        carry.value[at] = values[row];
        carry.next_before[at] = given.before[row];
        advantage[row] = total;
        target[row] = total + values[row];
    }
}

/// From advantages to the end, `S_t = Σ_k γᵏ δ_{t+k}`, to `A_t = Σ_k γᵏ c_k δ_{t+k}` with
/// `weights` `c_0, c_1, …` that end, and what the value is to be fitted to. With `c_0 = 1` this
/// is `A_t = S_t + Σ_{k ≥ 1} γᵏ (c_k − c_{k−1}) S_{t+k}`.
pub fn fade<E: Float>(
    rows: &Rows,
    values: &[E],
    (discount, weights): (E, &[f64]),
    carry: &mut Carry<E>,
    advantage: &mut [E],
    target: &mut [E],
) {
    let count = rows.starts.len().min(weights.len());
    let mut faded = E::ONE;
    let mut falls = Vec::with_capacity(count);
    for k in 1..=count {
        faded *= discount;
        let fall = weights.get(k).copied().unwrap_or(0.0) - weights[k - 1];
        if fall != 0.0 {
            falls.push((k, faded * E::of(fall)));
        }
    }
    // the sums of the last `count` steps, by trajectory
    let trajectories = carry.value.len();
    carry.ahead.clear();
    carry.ahead.resize(trajectories * count, E::ZERO);
    for (t, bounds) in rows.starts.windows(2).enumerate().rev() {
        for row in bounds[0]..bounds[1] {
            let of = rows.trajectory[row] as usize;
            let whole = advantage[row];
            for &(k, fall) in &falls {
                // in its place still stands S of the step t + k of the same trajectory
                advantage[row] += fall * carry.ahead[(t + k) % count * trajectories + of];
            }
            carry.ahead[t % count * trajectories + of] = whole;
            target[row] = advantage[row] + values[row];
        }
    }
}

/// Sums and counts of the credit at each `t`, and of what ended trajectories go on to give in a
/// step: from these the leave-one-out means follow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepSums {
    pub sum: Vec<f64>,
    pub count: Vec<f64>,
    pub rest_sum: f64,
    pub rest_count: f64,
}

impl StepSums {
    pub fn clear(&mut self, horizon: usize) {
        for list in [&mut self.sum, &mut self.count] {
            list.clear();
            list.resize(horizon, 0.0);
        }
        (self.rest_sum, self.rest_count) = (0.0, 0.0);
    }

    /// Adds what each trajectory gives in a step after its end; NaN stands for one that did not
    /// end.
    pub fn add_rests(&mut self, rows: &Rows, rests: &[f64]) {
        for (at, &rest) in rests.iter().enumerate().filter(|(_, rest)| !rest.is_nan()) {
            let weight = rows.weight_of(at as u32);
            self.rest_sum += weight * rest;
            self.rest_count += weight;
        }
    }

    pub fn add_rows<E: Float>(&mut self, rows: &Rows, credit: &[E]) {
        for (t, bounds) in rows.starts.windows(2).enumerate() {
            let credit = credit[bounds[0]..bounds[1]].iter().map(|g| g.as_f64());
            if rows.weight.is_empty() {
                self.count[t] += (bounds[1] - bounds[0]) as f64;
                self.sum[t] += credit.sum::<f64>();
                continue;
            }
            for (credit, &trajectory) in credit.zip(&rows.trajectory[bounds[0]..bounds[1]]) {
                let weight = rows.weight_of(trajectory);
                self.count[t] += weight;
                self.sum[t] += weight * credit;
            }
        }
    }

    pub fn add(&mut self, other: &StepSums) {
        for (mine, theirs) in [(&mut self.sum, &other.sum), (&mut self.count, &other.count)] {
            mine.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
        }
        self.rest_sum += other.rest_sum;
        self.rest_count += other.rest_count;
    }
}

/// What a trajectory gives in each step after its end, on average; NaN where it lives to the
/// horizon.
pub fn rests<E: Float>(after: &[E], lengths: &[u32], horizon: usize, out: &mut Vec<f64>) {
    out.clear();
    out.extend(after.iter().zip(lengths).map(|(after, &length)| {
        let steps = horizon as f64 - f64::from(length);
        if steps > 0.0 { after.as_f64() / steps } else { f64::NAN }
    }));
}

/// Whose credit a row is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// That of the batch's other trajectories.
    OfBatch,
    /// That of an independent copy of the batch.
    OfCopy,
}

/// Writes `G` less the mean `G` of the other trajectories that are live at the same `t`; unbiased,
/// since that mean does not read the draw. Where no other is live, the others give their `rests`
/// until the horizon.
pub fn leave_one_out<E: Float>(
    rows: &Rows,
    credit: &[E],
    rests: &[f64],
    (all, others): (&StepSums, Others),
    advantage: &mut [E],
) {
    let horizon = all.count.len();
    for (t, bounds) in rows.starts.windows(2).enumerate() {
        for row in bounds[0]..bounds[1] {
            let (own, trajectory) = (credit[row].as_f64(), rows.trajectory[row]);
            let weight = match others {
                Others::OfBatch => rows.weight_of(trajectory),
                Others::OfCopy => 0.0,
            };
            let count = all.count[t] - weight;
            let mean = if count > 0.0 {
                (all.sum[t] - weight * own) / count
            } else {
                let own = rests[trajectory as usize];
                rest_of_others((own, weight), all) * (horizon - t) as f64
            };
            advantage[row] = E::of(own - mean);
        }
    }
}

fn rest_of_others((own, weight): (f64, f64), all: &StepSums) -> f64 {
    let (sum, count) = if own.is_nan() {
        (all.rest_sum, all.rest_count)
    } else {
        (all.rest_sum - weight * own, all.rest_count - weight)
    };
    if count > 0.0 { sum / count } else { 0.0 }
}

impl Rows {
    /// What a trajectory counts.
    pub fn weight_of(&self, trajectory: u32) -> f64 {
        self.weight.get(trajectory as usize).copied().unwrap_or(1.0)
    }

    pub fn clear(&mut self) {
        self.starts.clear();
        self.starts.push(0);
        self.trajectory.clear();
    }

    /// Ends a step whose rows have been pushed to `trajectory`.
    pub fn close_step(&mut self) {
        self.starts.push(self.trajectory.len());
    }

    pub fn len(&self) -> usize {
        self.trajectory.len()
    }
}

impl<E: Float> Carry<E> {
    fn reset(&mut self, after: &[E]) {
        for list in [&mut self.credit, &mut self.advantage, &mut self.value] {
            list.clear();
            list.resize(after.len(), E::ZERO);
        }
        self.next_before.clear();
        self.next_before.extend_from_slice(after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two trajectories: the first lives 3 steps, the second 1.
    fn rows() -> Rows {
        Rows { starts: vec![0, 2, 3, 4], trajectory: vec![0, 1, 0, 0], weight: vec![] }
    }

    #[test]
    fn credit_counts_what_is_downstream() {
        let given = Given {
            here: &[1.0, 10.0, 2.0, 4.0],
            before: &[0.5, 0.25, 0.125, 0.0625],
            after: &[100.0, 1000.0],
        };
        let mut credit = [0.0; 4];
        to_go(&rows(), &given, 1.0, &mut Carry::default(), &mut credit);
        assert_eq!(credit, [107.1875, 1010.0, 106.0625, 104.0]);
    }

    #[test]
    fn the_advantage_at_lambda_one_is_credit_less_value() {
        let given = Given {
            here: &[1.0, 10.0, 2.0, 4.0],
            before: &[0.5, 0.25, 0.125, 0.0625],
            after: &[100.0, 1000.0],
        };
        let values = [3.0, 5.0, 7.0, 11.0];
        let (mut credit, mut advantage, mut target) = ([0.0; 4], [0.0; 4], [0.0; 4]);
        to_go(&rows(), &given, 1.0, &mut Carry::default(), &mut credit);
        let discounts = Discounts { discount: 1.0, lambda: 1.0 };
        advantages(
            &rows(),
            &given,
            &values,
            discounts,
            &mut Carry::default(),
            &mut advantage,
            &mut target,
        );
        for row in 0..4 {
            assert!((advantage[row] - (credit[row] - values[row])).abs() < 1e-12);
            assert!((target[row] - credit[row]).abs() < 1e-12);
        }
        let discounts = Discounts { discount: 1.0, lambda: 0.0 };
        advantages(
            &rows(),
            &given,
            &values,
            discounts,
            &mut Carry::default(),
            &mut advantage,
            &mut target,
        );
        assert_eq!(advantage[0], 1.0 + 0.125 + values[2] - values[0]);
    }

    #[test]
    fn the_advantage_over_n_steps_bootstraps_there() {
        let given = Given {
            here: &[1.0, 10.0, 2.0, 4.0],
            before: &[0.5, 0.25, 0.125, 0.0625],
            after: &[100.0, 1000.0],
        };
        let values = [3.0, 5.0, 7.0, 11.0];
        let run = |steps: usize, discount: f64| {
            let (mut advantage, mut target) = ([0.0; 4], [0.0; 4]);
            let (rows, mut carry) = (rows(), Carry::default());
            let discounts = Discounts { discount, lambda: 1.0 };
            let sums = (&mut advantage, &mut target);
            advantages(&rows, &given, &values, discounts, &mut carry, sums.0, sums.1);
            let weights = vec![1.0; steps];
            fade(&rows, &values, (discount, &weights), &mut carry, &mut advantage, &mut target);
            for row in 0..4 {
                assert!((target[row] - advantage[row] - values[row]).abs() < 1e-12);
            }
            advantage
        };
        // the first trajectory lives at rows 0, 2 and 3; what its end gives is part of the last
        // step
        let (g, v) = ([1.0 + 0.125, 2.0 + 0.0625, 4.0 + 100.0], [3.0, 7.0, 11.0]);
        for discount in [1.0, 0.5] {
            let one = run(1, discount);
            assert_eq!(
                [one[0], one[2], one[3]],
                [g[0] + discount * v[1] - v[0], g[1] + discount * v[2] - v[1], g[2] - v[2]]
            );
            let two = run(2, discount);
            assert!(
                (two[0] - (g[0] + discount * g[1] + discount * discount * v[2] - v[0])).abs()
                    < 1e-12,
                "{two:?}"
            );
            assert!((two[2] - (g[1] + discount * g[2] - v[1])).abs() < 1e-12, "{two:?}");
            assert!(
                (run(3, discount)[0]
                    - (g[0] + discount * g[1] + discount * discount * g[2] - v[0]))
                    .abs()
                    < 1e-12
            );
        }
        let (mut whole, mut target) = ([0.0; 4], [0.0; 4]);
        let discounts = Discounts { discount: 1.0, lambda: 1.0 };
        advantages(
            &rows(),
            &given,
            &values,
            discounts,
            &mut Carry::default(),
            &mut whole,
            &mut target,
        );
        assert_eq!(run(1000, 1.0), whole);
    }

    #[test]
    fn a_trajectory_does_not_read_its_own_baseline() {
        let credit = [3.0, 5.0, 7.0, 11.0];
        let mut sums = StepSums::default();
        sums.clear(3);
        sums.add_rows(&rows(), &credit);
        let mut rest = Vec::new();
        rests(&[100.0, -4.0], &[3, 1], 3, &mut rest);
        sums.add_rests(&rows(), &rest);
        let mut advantage = [0.0; 4];
        leave_one_out(&rows(), &credit, &rest, (&sums, Others::OfBatch), &mut advantage);
        // alone at t = 2 and t = 3, the first is compared with the -2 a step that the second gives
        // after its end
        assert_eq!(advantage, [3.0 - 5.0, 5.0 - 3.0, 7.0 + 4.0, 11.0 + 2.0]);
    }
}
