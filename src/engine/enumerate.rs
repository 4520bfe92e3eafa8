//! The gradient with options summed out: `∇L = E_q(x)[ E_q(o|x)[ Σ_i ∇log q_i · (Σ_{k downstream of i} f_k − b) + Σ_k ∇f_k ] ]`, the states and
//! actions `x` as they were drawn, the options `o` by a forward and a backward pass over what could have led to them (Rabiner 1989). By the
//! law of total variance it varies less than with one drawn `o`.
//!
//! With the pair potentials `w_t(i, j) = q(o_t = j | o_{t−1} = i, ·) π(a_t | j, ·)` and what the bound's terms give to a pair, `f_t(i, j)`:
//! `β_{t−1}(i) = Σ_j w_t β_t(j)`, `B_{t−1}(i) = Σ_j w_t (f_t β_t(j) + B_t(j))`, `α_t(j) = Σ_i α_{t−1}(i) w_t`, `Z = Σ_j α_T(j)`.

use super::advantage::Advantages;
use super::density::{Density, DensityRows};
use super::expressions::Number;
use super::float::Float;
use super::parameters::Parameters;
use super::points::Trajectories;
use super::rollout::{Point, Rollout};
use super::run::EngineError;
use super::stage::{Source, Stage};
use super::tensor::{Matrix, Tape};
use super::trace::{Variable, When};
use crate::plan::{Less, Plan, Version};

/// What draws the option and the action, compiled to be evaluated at any option.
pub(super) struct Enumerator {
    option: Density,
    action: Density,
    /// Number of values.
    outcomes: usize,
    once: bool,
    /// By density of the stage, whether its term at `t` reads the option of `t + 1`.
    ahead: Vec<bool>,
}

/// Of one shard. A *pair* is a row and two values: of the option before it (`outcomes` stands for `none`) and of its own.
#[derive(Default)]
pub(super) struct Enumeration<E> {
    /// By row, its first pair; the pairs of a row are numbered by the first value, then by the second.
    start: Vec<usize>,
    first: Vec<u32>,
    second: Vec<u32>,
    option: DensityRows<E>,
    action: DensityRows<E>,
    option_entropy: Vec<E>,
    action_entropy: Vec<E>,
    densities: Vec<Summed<E>>,
    /// By pair.
    potential: Vec<f64>,
    given: Vec<f64>,
    /// By pair: `q(pair | x)`, and what its scores are credited with times that, before the baseline.
    posterior: Vec<f64>,
    credited: Vec<f64>,
}

/// A density at all pairs that its points may stand for.
#[derive(Default)]
struct Summed<E> {
    rows: DensityRows<E>,
    /// By point: the option at its `t − 1` and at its `t`, or, where it looks ahead, at `t` and at `t + 1`.
    options: Vec<(u32, u32)>,
    /// By point, the pairs that it belongs to: one, or all with the second value of this one where it stands at the end.
    pair: Vec<usize>,
    at_end: Vec<bool>,
}

impl Enumerator {
    /// The plan has seen that options can be summed over pairs of neighbouring steps.
    ///
    /// # Errors
    /// One sentence, where a network cannot run.
    pub fn new(plan: &Plan, densities: &[Density]) -> Result<Enumerator, EngineError> {
        let [option] = plan.options.as_slice() else { panic!("plan: options are summed out where there is one") };
        let once = option.once;
        let outcomes = plan.model.network.layer(option.head.layers()[0]).width;
        let is_ahead = |(variable, when): (Variable, When)| matches!((variable, when), (Variable::Option(_), When::After(1)));
        let ahead = densities.iter().map(|density| density.reads().any(is_ahead)).collect();
        let (option, action) = (Density::of_draw(plan, option)?, Density::of_draw(plan, &plan.policy)?);
        Ok(Enumerator { option, action, outcomes, once, ahead })
    }
}

impl<E: Number> Enumeration<E> {
    /// Evaluates everything at every pair, and credits each row with what is expected from its option on.
    pub fn assess(&mut self, of: &Enumerator, stage: &Stage<E>, rollout: &Rollout<E>, point: Point<E>, credit: &mut Vec<E>) {
        let lengths = &rollout.totals.lengths;
        let on = Trajectories {
            rows: &rollout.rows,
            lengths,
            horizon: stage.horizon,
            trace: &rollout.trace,
            actions: &rollout.draws.numbers,
            options: &rollout.options,
        };
        self.list_pairs(of, &on);
        self.evaluate(of, stage, point, &on);
        self.gather(of, stage, rollout);
        credit.clear();
        credit.resize(rollout.rows.len(), <E as Float>::ZERO);
        for (trajectory, &length) in lengths.iter().enumerate() {
            let rows: Vec<usize> = (1..=length as usize).map(|t| rollout.trace.row(t, trajectory)).collect();
            self.sum_out(of.outcomes, &rows, Float::as_f64(rollout.after[trajectory]), credit);
        }
    }

    fn list_pairs(&mut self, of: &Enumerator, on: &Trajectories<E>) {
        let none = of.outcomes as u32;
        self.start.clear();
        self.first.clear();
        self.second.clear();
        for (t, bounds) in (1..).zip(on.rows.starts.windows(2)) {
            for _ in bounds[0]..bounds[1] {
                self.start.push(self.first.len());
                for first in if t == 1 { none..none + 1 } else { 0..none } {
                    self.first.extend((0..none).map(|_| first));
                    self.second.extend(0..none);
                }
            }
        }
        self.start.push(self.first.len());
    }

    fn evaluate(&mut self, of: &Enumerator, stage: &Stage<E>, point: Point<E>, on: &Trajectories<E>) {
        let Enumeration { start, first, second, option, action, densities, .. } = self;
        let drawn = |variable| on.drawn(variable);
        let points = |points: &mut Vec<(u32, u32)>| {
            points.clear();
            for (t, bounds) in (1u32..).zip(on.rows.starts.windows(2)) {
                for row in bounds[0]..bounds[1] {
                    let pairs = start[row + 1] - start[row];
                    points.extend(std::iter::repeat_n((t, on.rows.trajectory[row]), pairs));
                }
            }
        };
        for (rows, density) in [(&mut *option, &of.option), (&mut *action, &of.action)] {
            points(&mut rows.points);
            rows.evaluate_at(density, point, on, |at, what, t, of_trajectory| match what {
                (Variable::Option(_), When::After(-1)) => Some(first[at]).filter(|&value| value < of.outcomes as u32),
                (Variable::Option(_), _) => Some(second[at]),
                _ => on.trace.number(what, t, of_trajectory, drawn),
            });
        }
        densities.resize_with(stage.densities.len(), Summed::default);
        for ((summed, density), &ahead) in densities.iter_mut().zip(&stage.densities).zip(&of.ahead) {
            summed.list(density, ahead, of, (start, first, second), on);
            let Summed { rows, options, .. } = summed;
            let known = |value: u32| Some(value).filter(|&value| value < of.outcomes as u32);
            rows.evaluate_at(density, point, on, |at, what, t, of_trajectory| match (what, ahead) {
                ((Variable::Option(_), When::After(-1)), false) | ((Variable::Option(_), When::After(0)), true) => known(options[at].0),
                ((Variable::Option(_), _), _) => known(options[at].1),
                _ => on.trace.number(what, t, of_trajectory, drawn),
            });
        }
    }

    /// The potential of each pair, and what the bound's terms give to it.
    fn gather(&mut self, of: &Enumerator, stage: &Stage<E>, rollout: &Rollout<E>) {
        let pairs = self.first.len();
        let outcomes = of.outcomes;
        for (rows, density, entropies) in
            [(&self.option, &of.option, &mut self.option_entropy), (&self.action, &of.action, &mut self.action_entropy)]
        {
            entropies.resize(pairs, <E as Float>::ZERO);
            density.family.entropies(&rows.numbers, entropies);
        }
        self.potential.clear();
        self.given.clear();
        self.given.resize(pairs, 0.0);
        for pair in 0..pairs {
            let kept = of.once && self.first[pair] < outcomes as u32;
            let log_option = match kept {
                false => Float::as_f64(self.option.log_prob[pair]),
                true if self.first[pair] == self.second[pair] => 0.0,
                true => f64::NEG_INFINITY,
            };
            self.potential.push((log_option + Float::as_f64(self.action.log_prob[pair])).exp());
        }
        for (term, entries) in stage.terms.iter().zip(&rollout.ledger.entries) {
            let entropies = match term.source {
                Source::Entropy => Some(&self.action_entropy),
                Source::OptionEntropy(_) => Some(&self.option_entropy),
                Source::Density(_) | Source::Ratio | Source::WeightDivergence => continue,
                Source::Exponent(_) | Source::LogRatio(_) | Source::Divergence | Source::LogCount(_) => None,
            };
            for &(t, trajectory, value) in entries {
                let row = rollout.trace.row(t as usize, trajectory as usize);
                for pair in self.start[row]..self.start[row + 1] {
                    self.given[pair] += entropies.map_or(Float::as_f64(value), |entropy| term.sign * Float::as_f64(entropy[pair]));
                }
            }
        }
        for (summed, density) in self.densities.iter().zip(&stage.densities) {
            let sign = stage.terms[density.term].sign;
            for (at, &log_p) in summed.rows.log_prob.iter().enumerate() {
                let (pair, at_end) = (summed.pair[at], summed.at_end[at]);
                for pair in pairs_of(pair, at_end, &self.start, outcomes) {
                    self.given[pair] += sign * Float::as_f64(log_p);
                }
            }
            if let Less::Draw(less) = density.less {
                let log_q = if less == 0 { &self.option.log_prob } else { &self.action.log_prob };
                for &(t, trajectory, _) in &rollout.ledger.entries[density.term] {
                    let row = rollout.trace.row(t as usize, trajectory as usize);
                    let pairs = self.start[row]..self.start[row + 1];
                    for (given, &log_q) in self.given[pairs.clone()].iter_mut().zip(&log_q[pairs]) {
                        *given -= sign * Float::as_f64(log_q);
                    }
                }
            }
        }
        // what cannot happen gives nothing, be its log-ratio infinite
        for (given, _) in self.given.iter_mut().zip(&self.potential).filter(|(_, potential)| **potential == 0.0) {
            *given = 0.0;
        }
    }

    /// The forward and the backward pass over one trajectory, whose last step is followed by `after`.
    fn sum_out(&mut self, outcomes: usize, rows: &[usize], after: f64, credit: &mut [E]) {
        self.posterior.resize(self.first.len(), 0.0);
        self.credited.resize(self.first.len(), 0.0);
        let steps = rows.len();
        // messages before each step and after the last; each row of them is brought to sum 1, which cancels
        let mut ahead = vec![(0.0, 0.0); (steps + 1) * outcomes];
        ahead[steps * outcomes..].fill((1.0, after));
        for (step, &row) in rows.iter().enumerate().rev() {
            let (here, next) = ahead.split_at_mut((step + 1) * outcomes);
            let here = &mut here[step * outcomes..];
            let mut scale = 0.0;
            for (pair, number) in (self.start[row]..self.start[row + 1]).zip(0..) {
                let (beta, b) = next[number % outcomes];
                let here = &mut here[number / outcomes];
                here.0 += self.potential[pair] * beta;
                here.1 += self.potential[pair] * (self.given[pair] * beta + b);
                scale += self.potential[pair] * beta;
            }
            here.iter_mut().for_each(|message| *message = (message.0 / scale, message.1 / scale));
        }
        let mut alpha = vec![0.0; outcomes];
        alpha[0] = 1.0; // before the first step there is one value, `none`
        for (step, &row) in rows.iter().enumerate() {
            let next = &ahead[(step + 1) * outcomes..];
            let pairs = self.start[row]..self.start[row + 1];
            let mut z = 0.0;
            for (pair, number) in pairs.clone().zip(0..) {
                z += alpha[number / outcomes] * self.potential[pair] * next[number % outcomes].0;
            }
            let mut after_step = vec![0.0; outcomes];
            let mut total = 0.0;
            for (pair, number) in pairs.zip(0..) {
                let weight = alpha[number / outcomes] * self.potential[pair];
                let (beta, b) = next[number % outcomes];
                self.posterior[pair] = weight * beta / z;
                self.credited[pair] = weight * (self.given[pair] * beta + b) / z;
                total += self.credited[pair];
                after_step[number % outcomes] += weight;
            }
            credit[row] = Float::of(total);
            let sum: f64 = after_step.iter().sum();
            after_step.iter_mut().for_each(|alpha| *alpha /= sum);
            alpha = after_step;
        }
    }

    /// Adds the scores, weighed, and the pathwise parts to a tape.
    pub fn weigh(
        &self,
        (of, stage): (&Enumerator, &Stage<E>),
        (tape, parameters): (&mut Tape<E>, &Parameters<E>),
        advantages: &Advantages<E>,
        times: &[u32],
        share: f64,
        weighted: &mut Vec<(Matrix<E>, Vec<E>)>,
    ) {
        let outcomes = of.outcomes;
        let mut scores = vec![<E as Float>::ZERO; self.first.len()];
        for (row, (&credit, &advantage)) in advantages.credit.iter().zip(&advantages.advantage).enumerate() {
            let baseline = Float::as_f64(credit - advantage);
            let pairs = self.start[row]..self.start[row + 1];
            let of_pairs = self.credited[pairs.clone()].iter().zip(&self.posterior[pairs.clone()]);
            for (score, (credited, posterior)) in scores[pairs].iter_mut().zip(of_pairs) {
                *score = Float::of(-share * (credited - posterior * baseline));
            }
        }
        for (rows, density, source) in [(&self.option, &of.option, Source::OptionEntropy(0)), (&self.action, &of.action, Source::Entropy)] {
            let roots = tape.network(&density.network, parameters, &rows.network, 0..rows.points.len());
            let (log_prob, entropy) = density.family.score(tape, &roots, &rows.last, &rows.draws);
            let mut own = scores.clone();
            if of.once && source != Source::Entropy {
                own.iter_mut().zip(&self.first).filter(|(_, first)| **first < outcomes as u32).for_each(|(w, _)| *w = <E as Float>::ZERO);
            }
            weighted.push((log_prob, own));
            for term in stage.terms.iter().filter(|term| term.pathwise && term.source == source) {
                let mut weights = vec![<E as Float>::ZERO; self.first.len()];
                for (row, _) in times.iter().enumerate().filter(|(_, t)| (term.from..=term.to).contains(&(**t as usize))) {
                    let pairs = self.start[row]..self.start[row + 1];
                    for (weight, posterior) in weights[pairs.clone()].iter_mut().zip(&self.posterior[pairs]) {
                        *weight = Float::of(-term.sign * share * posterior);
                    }
                }
                weighted.push((entropy.clone(), weights));
            }
        }
        for (summed, density) in self.densities.iter().zip(&stage.densities) {
            let term = &stage.terms[density.term];
            let count = summed.rows.points.len();
            if !term.pathwise || density.version != Version::Present || count == 0 {
                continue;
            }
            let roots = tape.network(&density.network, parameters, &summed.rows.network, 0..count);
            let (log_prob, _) = density.family.score(tape, &roots, &summed.rows.last, &summed.rows.draws);
            let weights = summed.pair.iter().zip(&summed.at_end).map(|(&pair, &at_end)| {
                let posterior: f64 = pairs_of(pair, at_end, &self.start, outcomes).map(|pair| self.posterior[pair]).sum();
                Float::of(-term.sign * share * posterior)
            });
            weighted.push((log_prob, weights.collect()));
        }
    }
}

/// The pairs that a point belongs to.
fn pairs_of(pair: usize, at_end: bool, start: &[usize], outcomes: usize) -> impl Iterator<Item = usize> {
    let row = start.partition_point(|&first| first <= pair) - 1;
    let (from, to) = if at_end { (start[row] + (pair - start[row]) % outcomes, start[row + 1]) } else { (pair, pair + 1) };
    (from..to).step_by(outcomes)
}

impl<E: Number> Summed<E> {
    /// The points of a density: at each pair of its row, or, where it looks ahead, of the next row; the last of a trajectory with no row
    /// after it, and those after the end, at each value.
    fn list(
        &mut self,
        density: &Density,
        ahead: bool,
        of: &Enumerator,
        (start, first, second): (&[usize], &[u32], &[u32]),
        on: &Trajectories<E>,
    ) {
        let none = of.outcomes as u32;
        let Summed { rows, options, pair, at_end } = self;
        rows.points.clear();
        options.clear();
        pair.clear();
        at_end.clear();
        let mut add = |point: (u32, u32), both: (u32, u32), of_pair: usize, end: bool| {
            let of_trajectory = (point.1 as usize, on.lengths[point.1 as usize] as usize, on.horizon);
            if on.trace.has(density.target, point.0 as usize, of_trajectory) {
                rows.points.push(point);
                options.push(both);
                pair.push(of_pair);
                at_end.push(end);
            }
        };
        let shift = u32::from(ahead);
        for (t, bounds) in (1u32..).zip(on.rows.starts.windows(2)) {
            for row in bounds[0]..bounds[1] {
                let trajectory = on.rows.trajectory[row];
                if t > shift && density.counts_at((t - shift) as usize) {
                    for at in start[row]..start[row + 1] {
                        add((t - shift, trajectory), (first[at], second[at]), at, false);
                    }
                }
                let length = on.lengths[trajectory as usize];
                if t < length {
                    continue;
                }
                let ends = |value: u32| start[row] + value as usize;
                if ahead && density.counts_at(t as usize) {
                    (0..none).for_each(|value| add((t, trajectory), (value, none), ends(value), true));
                }
                for later in density.after_end(length as usize) {
                    (0..none).for_each(|value| add((later as u32, trajectory), (value, value), ends(value), true));
                }
            }
        }
    }
}
