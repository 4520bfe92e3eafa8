//! The gradient with options summed out: `∇L = E_q(x)[ E_q(o|x)[ Σ_i ∇log q_i · (Σ_{k downstream of
//! i} f_k − b) + Σ_k ∇f_k ] ]`, the states and actions `x` as they were drawn, the options `o` by a
//! forward and a backward pass over what could have led to them (Rabiner 1989). By the law of total
//! variance it varies less than with one drawn `o`.
//!
//! With the pair potentials `w_t(i, j) = q(o_t = j | o_{t−1} = i, ·) π(a_t | j, ·)` and what the
//! bound's terms give to a pair, `f_t(i, j)`: `β_{t−1}(i) = Σ_j w_t β_t(j)`, `B_{t−1}(i) = Σ_j w_t
//! (f_t β_t(j) + B_t(j))`, `α_t(j) = Σ_i α_{t−1}(i) w_t`, `Z = Σ_j α_T(j)`.
//!
//! `B` has what pairs give from `t` on. A term of an earlier pair that reads what comes later, such
//! as a reverse model of the last state, is downstream of the draws between the two as well. It is
//! carried along as far as the last draw it is downstream of: `A_t(j) = Σ_i w_t (A_{t−1}(i) +
//! α_{t−1}(i) f_t)`, and the pair at `t` is credited with `A_{t−1}(i) w_t β_t(j)`, too.

use super::summed::{Pairs, Summed};
use crate::engine::episode::advantage::Advantages;
use crate::engine::episode::variable::{Variable, When};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::{CompiledProgram, Source, Term};
use crate::engine::program::density::DensityRows;
use crate::engine::program::enumerator::Enumerator;
use crate::engine::program::point::Point;
use crate::engine::program::points::EpisodeView;
use crate::engine::sample::episodes::Episodes;
use crate::engine::tape::parameters::Parameters;
use crate::engine::tape::tensor::{Matrix, Tape};
use crate::plan::{ComparedWith, Credited, OptionReads, Version};
use std::collections::BTreeMap;

/// Of one shard.
#[derive(Default)]
pub(in crate::engine) struct Enumeration<E> {
    pairs: Pairs,
    option: DensityRows<E>,
    action: DensityRows<E>,
    option_entropy: Vec<E>,
    action_entropy: Vec<E>,
    /// By density of the program; empty for one that does not read the option.
    densities: Vec<Summed<E>>,
    /// By exponent that reads the option.
    exponents: Vec<Summed<E>>,
    /// By pair.
    potential: Vec<f64>,
    given: Vec<f64>,
    /// What is given by pairs, by their number, and credited to draws of later rows, too.
    carried: Vec<Carried>,
    /// By pair: `q(pair | x)`, and what its scores are credited with times that, before the
    /// baseline.
    posterior: Vec<f64>,
    credited: Vec<f64>,
}

#[derive(Clone, Copy)]
struct Carried {
    pair: usize,
    /// The last step whose draws are credited with it.
    until: usize,
    value: f64,
}

impl<E> Enumerator<E> {
    /// The last step whose draws a summand at `t` is downstream of, in a trajectory of `length`
    /// steps; 0 if there is none.
    fn until(&self, term: &Term, t: usize, length: usize) -> usize {
        let of_draw = |(draw, credited): (usize, &Option<Credited>)| {
            let last = match credited {
                None => 0,
                Some(Credited::All) => length,
                Some(Credited::From(offset)) => {
                    (t as i64 - i64::from(*offset)).clamp(0, length as i64) as usize
                }
            };
            // one that is drawn once is drawn at 1
            if draw == 0 && self.once { last.min(1) } else { last }
        };
        term.credits.iter().enumerate().map(of_draw).max().unwrap_or(0)
    }
}

impl<E: Number> Enumeration<E> {
    /// Evaluates everything at every pair, and credits each row with what is expected to be
    /// downstream of its draws.
    pub fn assess(
        &mut self,
        of: &Enumerator<E>,
        program: &CompiledProgram<E>,
        episodes: &Episodes<E>,
        point: Point<E>,
        credit: &mut Vec<E>,
    ) {
        let on = episodes.trajectories(program);
        self.pairs.list(of.outcomes, &on);
        self.evaluate_draws(of, point, &on);
        self.densities.resize_with(program.densities.len(), Summed::default);
        for ((summed, density), &reads) in
            self.densities.iter_mut().zip(&program.densities).zip(&of.reads)
        {
            let until = |t: usize, length: usize| of.until(&program.terms[density.term], t, length);
            summed.evaluate((density, reads), &self.pairs, point, &on, until);
        }
        self.exponents.resize_with(of.exponents.len(), Summed::default);
        for (summed, (whole, reads)) in self.exponents.iter_mut().zip(&of.exponents) {
            let until = |t: usize, length: usize| of.until(&program.terms[whole.term], t, length);
            let on = (&on, &episodes.gains[..], &episodes.schedules[..]);
            summed.evaluate_exponent((whole, *reads), &self.pairs, on, until);
        }
        self.gather(of, program, episodes, &on);
        credit.clear();
        credit.resize(episodes.rows.len(), <E as Float>::ZERO);
        for (trajectory, &length) in on.lengths.iter().enumerate() {
            let rows: Vec<usize> =
                (1..=length as usize).map(|t| episodes.trace.row(t, trajectory)).collect();
            self.sum_out(of.outcomes, &rows, Float::as_f64(episodes.after[trajectory]), credit);
        }
    }

    /// What draws the option and the action, at every pair.
    fn evaluate_draws(&mut self, of: &Enumerator<E>, point: Point<E>, on: &EpisodeView<E>) {
        let Enumeration { pairs, option, action, option_entropy, action_entropy, .. } = self;
        for (rows, density, entropies) in
            [(option, &of.option, option_entropy), (action, &of.action, action_entropy)]
        {
            rows.points.clear();
            for (t, bounds) in (1u32..).zip(on.rows.starts.windows(2)) {
                for row in bounds[0]..bounds[1] {
                    rows.points.extend(pairs.of_row(row).map(|_| (t, on.rows.trajectory[row])));
                }
            }
            rows.evaluate_at(density, point, on, |pair, what, t, of_trajectory| match what {
                (Variable::Drawn(0), When::After(-1)) => pairs.first(pair),
                (Variable::Drawn(0), _) => Some(pairs.second(pair)),
                _ => on.trace.number(what, t, of_trajectory, |draw| on.drawn(draw)),
            });
            entropies.clear();
            entropies.resize(pairs.len(), <E as Float>::ZERO);
            // those of real values are in no term
            if density.family.outcomes().is_some() {
                density.family.entropies(&rows.numbers, entropies);
            }
        }
    }

    /// The potential of each pair, and what the bound's terms give to it.
    fn gather(
        &mut self,
        of: &Enumerator<E>,
        program: &CompiledProgram<E>,
        episodes: &Episodes<E>,
        on: &EpisodeView<E>,
    ) {
        self.potential.clear();
        for pair in 0..self.pairs.len() {
            let log_option = match self.pairs.first(pair).filter(|_| of.once) {
                None => Float::as_f64(self.option.log_prob[pair]),
                Some(kept) if kept == self.pairs.second(pair) => 0.0,
                Some(_) => f64::NEG_INFINITY,
            };
            self.potential.push((log_option + Float::as_f64(self.action.log_prob[pair])).exp());
        }
        self.given.clear();
        self.given.resize(self.pairs.len(), 0.0);
        self.carried.clear();
        let Enumeration {
            pairs,
            option,
            action,
            option_entropy,
            action_entropy,
            densities,
            exponents,
            given,
            carried,
            ..
        } = self;
        // what a term gives at `t` depends on no option, or on those of the row of `t`
        let mut at_steps =
            |term: &Term, entries: &[(u32, u32, E)], by_pair: Option<(&[E], f64)>| {
                for &(t, trajectory, value) in entries {
                    let (t, length) = (t as usize, on.lengths[trajectory as usize] as usize);
                    let until = of.until(term, t, length);
                    if until == 0 {
                        continue;
                    }
                    match by_pair {
                        // summed to the end from there
                        None => pairs
                            .of_row(on.trace.row(until, trajectory as usize))
                            .for_each(|pair| given[pair] += Float::as_f64(value)),
                        Some((values, sign)) => {
                            for pair in pairs.of_row(on.trace.row(t, trajectory as usize)) {
                                give(
                                    given,
                                    carried,
                                    (pair, t),
                                    until,
                                    sign * Float::as_f64(values[pair]),
                                );
                            }
                        }
                    }
                }
            };
        for (at, (term, entries)) in program.terms.iter().zip(&episodes.ledger.entries).enumerate()
        {
            match term.source {
                // by options, below
                _ if of.exponents.iter().any(|(whole, _)| whole.term == at) => {}
                Source::Entropy(draw) => {
                    let entropies = [&option_entropy[..], &action_entropy[..]][draw];
                    at_steps(term, entries, Some((entropies, term.sign)))
                }
                Source::Exponent(_) | Source::Whole | Source::LogCount(_) | Source::Ratio => {
                    at_steps(term, entries, None)
                }
                // those stand below; the plan has refused divergences of the action, and that of
                // weights is of no trajectory
                Source::Density
                | Source::LogRatio { .. }
                | Source::Divergence(_)
                | Source::WeightDivergence => {}
            }
        }
        let mut alone = Vec::new();
        let of_densities =
            program.densities.iter().zip(&episodes.densities).zip(densities.iter().zip(&of.reads));
        for ((density, sampled), (summed, reads)) in of_densities {
            let term = &program.terms[density.term];
            if let ComparedWith::Draw(other) = density.compared_with {
                let log_q = if other == 0 { &option.log_prob[..] } else { &action.log_prob[..] };
                at_steps(term, &episodes.ledger.entries[density.term], Some((log_q, -term.sign)));
            }
            alone.clear();
            for (at, (&(t, trajectory), &log_p)) in
                sampled.points.iter().zip(&sampled.log_prob).enumerate()
            {
                let log_p = if *reads == OptionReads::Nothing { log_p } else { <E as Float>::ZERO };
                let none = |_: usize, _: usize| <E as Float>::ZERO;
                let known =
                    sampled.compared(at, density, on, (none, |row: usize| sampled.written[row]));
                alone.push((t, trajectory, <E as Float>::of(term.sign) * (log_p - known)));
            }
            let points = summed
                .rows
                .points
                .iter()
                .zip(&summed.rows.log_prob)
                .enumerate()
                .filter(|(at, _)| summed.is_any(*at));
            alone.extend(points.map(|(_, (&(t, trajectory), &log_p))| {
                (t, trajectory, <E as Float>::of(term.sign) * log_p)
            }));
            at_steps(term, &alone, None);
        }
        for (summed, (whole, _)) in exponents.iter().zip(&of.exponents) {
            let term = &program.terms[whole.term];
            alone.clear();
            let points = summed.rows.points.iter().zip(&summed.rows.log_prob).enumerate();
            alone.extend(points.filter(|(at, _)| summed.is_any(*at)).map(
                |(_, (&(t, trajectory), &value))| {
                    (t, trajectory, <E as Float>::of(term.sign) * value)
                },
            ));
            at_steps(term, &alone, None);
        }
        let summed = densities.iter().zip(program.densities.iter().map(|density| density.term));
        let exponents = exponents.iter().zip(of.exponents.iter().map(|(whole, _)| whole.term));
        for (summed, term) in summed.chain(exponents) {
            let term = &program.terms[term];
            for (at, (&(t, trajectory), &log_p)) in
                summed.rows.points.iter().zip(&summed.rows.log_prob).enumerate()
            {
                let (t, length) = (t as usize, on.lengths[trajectory as usize] as usize);
                let until = of.until(term, t, length);
                if until == 0 {
                    continue;
                }
                for pair in summed.pairs_of(at, pairs) {
                    give(
                        given,
                        carried,
                        (pair, summed.step_of(at)),
                        until,
                        term.sign * Float::as_f64(log_p),
                    );
                }
            }
        }
        carried.sort_by_key(|carried| carried.pair);
    }

    /// The forward and the backward pass over one trajectory, whose last step is followed by
    /// `after`.
    fn sum_out(&mut self, outcomes: usize, rows: &[usize], after: f64, credit: &mut [E]) {
        self.posterior.resize(self.pairs.len(), 0.0);
        self.credited.resize(self.pairs.len(), 0.0);
        let steps = rows.len();
        // messages before each step and after the last; each row of them is brought to sum 1, which
        // cancels
        let mut ahead = vec![(0.0, 0.0); (steps + 1) * outcomes];
        ahead[steps * outcomes..].fill((1.0, after));
        for (step, &row) in rows.iter().enumerate().rev() {
            let (here, next) = ahead.split_at_mut((step + 1) * outcomes);
            let here = &mut here[step * outcomes..];
            let mut scale = 0.0;
            for (pair, number) in self.pairs.of_row(row).zip(0..) {
                let (beta, b) = next[number % outcomes];
                let here = &mut here[number / outcomes];
                here.0 += self.potential[pair] * beta;
                here.1 += weighed(self.potential[pair] * beta, self.given[pair])
                    + self.potential[pair] * b;
                scale += self.potential[pair] * beta;
            }
            here.iter_mut().for_each(|message| *message = (message.0 / scale, message.1 / scale));
        }
        let mut alpha = vec![0.0; outcomes];
        alpha[0] = 1.0; // before the first step there is one value, `none`
        // by the last step that is credited, `A`
        let mut earlier: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for (t, &row) in (1..).zip(rows) {
            earlier.retain(|&until, _| until >= t);
            let next = &ahead[t * outcomes..];
            let pairs = self.pairs.of_row(row);
            let mut z = 0.0;
            for (pair, number) in pairs.clone().zip(0..) {
                z += alpha[number / outcomes] * self.potential[pair] * next[number % outcomes].0;
            }
            let mut after_step = vec![0.0; outcomes];
            let mut moved: BTreeMap<usize, Vec<f64>> =
                earlier.keys().map(|&until| (until, vec![0.0; outcomes])).collect();
            let mut total = 0.0;
            for (pair, number) in pairs.clone().zip(0..) {
                let (from, to) = (number / outcomes, number % outcomes);
                let weight = alpha[from] * self.potential[pair];
                let (beta, b) = next[to];
                let a: f64 = earlier.values().map(|message| message[from]).sum();
                self.posterior[pair] = weight * beta / z;
                self.credited[pair] = (weighed(weight * beta, self.given[pair])
                    + weight * b
                    + a * self.potential[pair] * beta)
                    / z;
                total += self.credited[pair];
                after_step[to] += weight;
                for (message, moved) in earlier.values().zip(moved.values_mut()) {
                    moved[to] += message[from] * self.potential[pair];
                }
            }
            let given_here = self.carried.partition_point(|carried| carried.pair < pairs.start);
            for &Carried { pair, until, value } in
                self.carried[given_here..].iter().take_while(|carried| carried.pair < pairs.end)
            {
                let number = pair - pairs.start;
                let message = moved.entry(until).or_insert_with(|| vec![0.0; outcomes]);
                message[number % outcomes] +=
                    weighed(alpha[number / outcomes] * self.potential[pair], value);
            }
            credit[row] = Float::of(total);
            let sum: f64 = after_step.iter().sum();
            for message in moved.values_mut().chain([&mut after_step]) {
                message.iter_mut().for_each(|number| *number /= sum);
            }
            (alpha, earlier) = (after_step, moved);
        }
    }

    /// Adds the scores, weighed, and the pathwise parts to a tape.
    pub fn weigh(
        &self,
        (of, program, episodes): (&Enumerator<E>, &CompiledProgram<E>, &Episodes<E>),
        (tape, parameters): (&mut Tape<E>, &Parameters<E>),
        advantages: &Advantages<E>,
        times: &[u32],
        share: impl Fn(u32) -> f64,
        weighted: &mut Vec<(Matrix<E>, Vec<E>)>,
    ) {
        let of_row = |row: usize| share(episodes.rows.trajectory[row]);
        let mut scores = vec![<E as Float>::ZERO; self.pairs.len()];
        for (row, (&credit, &advantage)) in
            advantages.credit.iter().zip(&advantages.advantage).enumerate()
        {
            let baseline = Float::as_f64(credit - advantage);
            let pairs = self.pairs.of_row(row);
            let of_pairs = self.credited[pairs.clone()].iter().zip(&self.posterior[pairs.clone()]);
            for (score, (credited, posterior)) in scores[pairs].iter_mut().zip(of_pairs) {
                *score = Float::of(-of_row(row) * (credited - posterior * baseline));
            }
        }
        for (rows, density, source) in [
            (&self.option, &of.option, Source::Entropy(0)),
            (&self.action, &of.action, Source::Entropy(1)),
        ] {
            let roots =
                tape.network(&density.network, parameters, &rows.network, 0..rows.points.len());
            let (log_prob, entropy) = density.family.score(tape, &roots, &rows.last, &rows.draws);
            let mut own = scores.clone();
            if of.once && source != Source::Entropy(1) {
                own.iter_mut()
                    .zip(0..)
                    .filter(|(_, pair)| self.pairs.first(*pair).is_some())
                    .for_each(|(w, _)| *w = <E as Float>::ZERO);
            }
            weighted.push((log_prob, own));
            for term in program.terms.iter().filter(|term| term.pathwise && term.source == source) {
                let mut weights = vec![<E as Float>::ZERO; self.pairs.len()];
                for (row, _) in times
                    .iter()
                    .enumerate()
                    .filter(|(_, t)| (term.from..=term.to).contains(&(**t as usize)))
                {
                    let pairs = self.pairs.of_row(row);
                    for (weight, posterior) in
                        weights[pairs.clone()].iter_mut().zip(&self.posterior[pairs])
                    {
                        *weight = Float::of(-term.sign * of_row(row) * posterior);
                    }
                }
                weighted.push((entropy.clone(), weights));
            }
        }
        for (((density, reads), summed), sampled) in
            program.densities.iter().zip(&of.reads).zip(&self.densities).zip(&episodes.densities)
        {
            let term = &program.terms[density.term];
            let rows = if *reads == OptionReads::Nothing { sampled } else { &summed.rows };
            let count = rows.points.len();
            if !term.pathwise || density.version != Version::Present || count == 0 {
                continue;
            }
            let roots = tape.network(&density.network, parameters, &rows.network, 0..count);
            let log_prob = density.family.log_density(tape, &roots, &rows.last, &rows.draws);
            let weight = |at: usize| match reads {
                OptionReads::Nothing => 1.0,
                OptionReads::Once | OptionReads::Steps { .. } => {
                    summed.probability(at, &self.pairs, &self.posterior)
                }
            };
            let of_point = |at: usize| -term.sign * share(rows.points[at].1) * weight(at);
            let weights = (0..count).map(|at| Float::of(of_point(at)));
            weighted.push((log_prob, weights.collect()));
        }
    }
}

/// Adds a value to a pair of step `at`; draws of its step and of earlier ones are credited with it,
/// and later ones `until`.
fn give(
    given: &mut [f64],
    carried: &mut Vec<Carried>,
    (pair, at): (usize, usize),
    until: usize,
    value: f64,
) {
    given[pair] += value;
    if until > at {
        carried.push(Carried { pair, until, value });
    }
}

/// What cannot happen gives nothing, be its log-ratio infinite.
fn weighed(weight: f64, value: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { weight * value }
}
