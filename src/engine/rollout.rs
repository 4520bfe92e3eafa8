//! One shard of a batch: some trajectories, rolled out step by step with the policy, and what their rows give to the bound's terms.
//!
//! Trajectories start at `s[1]` and run to the horizon or the end. Rows that have ended cost nothing: only live rows go through the
//! networks and are kept, all of `t = 1` first, then all of `t = 2`, …

use super::categorical;
use super::credit::Rows;
use super::evaluate::Activations;
use super::expressions::{Number, Values};
use super::float::Float;
use super::stage::{Credit, Feeds, Source, Stage};
use crate::world::{Actions, Batch};
use rand::SeedableRng;
use rand::rand_core::Rng as _;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::sync::Arc;

/// How actions are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Sampled,
    /// The most probable action.
    Greedy,
}

/// Whether rows are kept for a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Rows,
    Nothing,
}

/// The trajectories of a shard and all buffers of their rollout, which are made once.
pub(super) struct Rollout<E> {
    batch: Batch<E>,
    pub rows: Rows,
    pub drawn: Vec<u32>,
    /// What each row gives to the terms credited to its own draw, and to those credited to earlier draws only.
    pub here: Vec<E>,
    pub before: Vec<E>,
    /// Per trajectory, what its steps after the end give to credited terms.
    pub after: Vec<E>,
    /// Log-probabilities of the prior, a row for each row, where it is an expression.
    pub log_prior: Vec<E>,
    pub policy: Arc<Activations<E>>,
    pub prior: Arc<Activations<E>>,
    pub baseline: Arc<Activations<E>>,
    pub totals: Totals,
    exponents: Values<E>,
    prior_values: Option<Values<E>>,
    feeds: Feeds<E>,
    work: Work<E>,
}

/// Sums over the trajectories of a shard.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// Per term of the plan, with its sign.
    pub terms: Vec<f64>,
    pub entropy: f64,
    /// Per trajectory: the bound's sample, the sum of rewards, the live steps.
    pub bound: Vec<f64>,
    pub returns: Vec<f64>,
    pub lengths: Vec<u32>,
}

/// Columns of one step.
struct Work<E> {
    uniforms: Vec<E>,
    log_p: Vec<E>,
    log_q: Vec<E>,
    entropy: Vec<E>,
    divergence: Vec<E>,
    origin: Vec<u32>,
}

impl<E: Number> Rollout<E> {
    pub fn new(stage: &Stage<E>, trajectories: usize) -> Rollout<E> {
        let column = || vec![<E as Float>::ZERO; trajectories];
        let matrix = || vec![<E as Float>::ZERO; trajectories * stage.actions];
        Rollout {
            batch: Batch::new(&stage.world, trajectories),
            rows: Rows::default(),
            drawn: Vec::new(),
            here: Vec::new(),
            before: Vec::new(),
            after: column(),
            log_prior: Vec::new(),
            policy: Arc::new(Activations::new(&stage.policy.network, trajectories)),
            prior: Arc::new(Activations::default()),
            baseline: Arc::new(Activations::default()),
            totals: Totals::default(),
            exponents: stage.exponents.values(trajectories),
            prior_values: stage.log_prior.as_ref().map(|expressions| expressions.values(trajectories)),
            feeds: Feeds::default(),
            work: Work {
                uniforms: column(),
                log_p: matrix(),
                log_q: matrix(),
                entropy: column(),
                divergence: column(),
                origin: vec![0; trajectories],
            },
        }
    }

    pub fn trajectories(&self) -> usize {
        self.batch.rows()
    }

    /// Rolls all trajectories out anew; `stream` names the random numbers.
    pub fn run(&mut self, stage: &Stage<E>, parameters: &[E], stream: [u64; 3], choice: Choice, keep: Keep) {
        let mut random = generator(stream);
        self.clear(stage);
        self.batch.reset(&stage.world, &mut random);
        let all = self.batch.front();
        self.batch.compact(&stage.world);
        self.absorb(stage, 0, self.batch.front()..all);
        for t in 1..=stage.horizon {
            if self.batch.front() == 0 {
                break;
            }
            self.step(stage, parameters, &mut random, t, (choice, keep));
        }
    }

    fn clear(&mut self, stage: &Stage<E>) {
        let trajectories = self.trajectories();
        self.rows.clear();
        self.drawn.clear();
        self.here.clear();
        self.before.clear();
        self.log_prior.clear();
        self.after.fill(<E as Float>::ZERO);
        let totals = &mut self.totals;
        totals.terms.clear();
        totals.terms.resize(stage.terms.len(), 0.0);
        totals.entropy = 0.0;
        for list in [&mut totals.bound, &mut totals.returns] {
            list.clear();
            list.resize(trajectories, 0.0);
        }
        totals.lengths.clear();
        totals.lengths.resize(trajectories, 0);
    }

    /// Moves the live rows by the step `t`.
    fn step(&mut self, stage: &Stage<E>, parameters: &[E], random: &mut Xoshiro256PlusPlus, t: usize, (choice, keep): (Choice, Keep)) {
        let live = self.batch.front();
        if keep == Keep::Nothing {
            self.rows.clear();
            [&mut self.here, &mut self.before, &mut self.log_prior].into_iter().for_each(Vec::clear);
            self.drawn.clear();
        }
        let first = self.rows.len();
        let rows = first..first + live;
        self.work.origin[..live].copy_from_slice(&self.batch.origin()[..live]);
        self.rows.trajectory.extend_from_slice(&self.work.origin[..live]);
        self.rows.close_step();

        let Rollout { batch, feeds, policy, prior, baseline, .. } = self;
        for (wired, activations, needed) in [
            (Some(&stage.policy), policy, true),
            (stage.prior.as_ref(), prior, true),
            (stage.baseline.as_ref(), baseline, keep == Keep::Rows),
        ] {
            if let Some(wired) = wired.filter(|_| needed) {
                let activations = Arc::get_mut(activations).expect("rollout: the tape of the last gradient is gone");
                wired.feed(&stage.world, batch, live, feeds, |inputs| {
                    wired.network.forward(parameters, inputs, rows.clone(), activations);
                });
            }
        }
        self.draw(stage, random, rows.clone(), choice);
        self.divergences(stage, t, rows.clone());

        stage.exponents.read_before(&stage.world, &self.batch, live, &mut self.exponents);
        self.batch.step(&stage.world, Actions::Numbers(&self.drawn[rows.clone()]), random);
        stage.exponents.read_after(&stage.world, &self.batch, &self.drawn[rows], &mut self.exponents);
        stage.exponents.run(t, 0..live, &mut self.exponents);
        self.collect(stage, t, live);
        self.batch.compact(&stage.world);
        self.absorb(stage, t, self.batch.front()..live);
    }

    /// Chooses an action for each row, and leaves the policy's log-probabilities and entropies.
    fn draw(&mut self, stage: &Stage<E>, random: &mut Xoshiro256PlusPlus, rows: std::ops::Range<usize>, choice: Choice) {
        let (live, actions) = (rows.len(), stage.actions);
        let logits = self.policy.output(&stage.policy.network, 0, rows.clone());
        self.drawn.resize(rows.end, 0);
        let drawn = &mut self.drawn[rows];
        match choice {
            Choice::Sampled => {
                let uniforms = &mut self.work.uniforms[..live];
                uniforms.iter_mut().for_each(|u| *u = E::unit(random.next_u64()));
                categorical::sample(logits, actions, uniforms, drawn);
            }
            Choice::Greedy => categorical::greedy(logits, actions, drawn),
        }
        let log_p = &mut self.work.log_p[..live * actions];
        categorical::log_probabilities(logits, actions, log_p);
        categorical::entropies(log_p, actions, &mut self.work.entropy[..live]);
    }

    /// `KL(π ‖ p)` of each row, where the bound has that term.
    fn divergences(&mut self, stage: &Stage<E>, t: usize, rows: std::ops::Range<usize>) {
        let (live, actions) = (rows.len(), stage.actions);
        if let (Some(expressions), Some(values)) = (&stage.log_prior, &mut self.prior_values) {
            expressions.read_before(&stage.world, &self.batch, live, values);
            expressions.run(t, 0..live, values);
            for row in 0..live {
                for action in 0..actions {
                    self.work.log_q[row * actions + action] = values.output(action)[row];
                }
            }
            self.log_prior.extend_from_slice(&self.work.log_q[..live * actions]);
        } else if let Some(prior) = &stage.prior {
            let logits = self.prior.output(&prior.network, 0, rows);
            categorical::log_probabilities(logits, actions, &mut self.work.log_q[..live * actions]);
        } else {
            return;
        }
        let Work { log_p, log_q, divergence, .. } = &mut self.work;
        categorical::divergence(&log_p[..live * actions], &log_q[..live * actions], actions, &mut divergence[..live]);
    }

    /// Adds up what the rows of a step gave.
    fn collect(&mut self, stage: &Stage<E>, t: usize, live: usize) {
        let first = self.here.len();
        self.here.resize(first + live, <E as Float>::ZERO);
        self.before.resize(first + live, <E as Float>::ZERO);
        let origin = &self.work.origin[..live];
        let entropy = &self.work.entropy[..live];
        self.totals.entropy += entropy.iter().map(|h| h.as_f64()).sum::<f64>();
        for (k, term) in stage.terms.iter().enumerate().filter(|(_, term)| (term.from..=term.to).contains(&t)) {
            let values = match term.source {
                Source::Exponent(at) => &self.exponents.output(at)[..live],
                Source::Entropy => entropy,
                Source::Divergence => &self.work.divergence[..live],
                Source::LogCount(value) => {
                    self.work.uniforms[..live].fill(Float::of(value));
                    &self.work.uniforms[..live]
                }
            };
            let sign: E = Float::of(term.sign);
            let credit = match term.credit {
                Credit::Here => Some(&mut self.here[first..]),
                Credit::Before => Some(&mut self.before[first..]),
                Credit::Nowhere => None,
            };
            if let Some(credit) = credit {
                credit.iter_mut().zip(values).for_each(|(credit, &value)| *credit += sign * value);
            }
            let mut total = 0.0;
            for (&value, &trajectory) in values.iter().zip(origin) {
                let value = term.sign * value.as_f64();
                total += value;
                self.totals.bound[trajectory as usize] += value;
            }
            self.totals.terms[k] += total;
        }
        for reward in 0..stage.world.rewards() {
            for (&value, &trajectory) in self.batch.reward(&stage.world, reward).iter().zip(origin) {
                self.totals.returns[trajectory as usize] += value.as_f64();
            }
        }
        for &trajectory in origin {
            self.totals.lengths[trajectory as usize] = t as u32;
        }
    }

    /// Adds what the steps after `last` give for the rows `ended`, whose state is absorbed: their exponents with rewards 0, to the
    /// horizon. The factors of actions have stopped.
    fn absorb(&mut self, stage: &Stage<E>, last: usize, ended: std::ops::Range<usize>) {
        if ended.is_empty() || last == stage.horizon {
            return;
        }
        let expressions = &stage.exponents;
        expressions.read_absorbed(&stage.world, &self.batch, ended.end, &mut self.exponents);
        let discount = stage.plan.settings.discount;
        let mut t = last + 1;
        while t <= stage.horizon {
            // all steps to come are one where the exponents do not read the time
            let until = if expressions.reads_time { t } else { stage.horizon };
            expressions.run(t, ended.clone(), &mut self.exponents);
            for (k, term) in stage.terms.iter().enumerate() {
                let Source::Exponent(at) = term.source else { continue };
                let (from, to) = (term.from.max(t), term.to.min(until));
                if from > to {
                    continue;
                }
                let count = (to - from + 1) as f64;
                let faded = if discount == 1.0 { count } else { (from..=to).map(|k| discount.powi((k - last) as i32)).sum() };
                let values = &self.exponents.output(at)[..ended.len()];
                for (&value, &trajectory) in values.iter().zip(&self.batch.origin()[ended.clone()]) {
                    let value = term.sign * value.as_f64();
                    self.totals.terms[k] += value * count;
                    self.totals.bound[trajectory as usize] += value * count;
                    if term.credit != Credit::Nowhere {
                        self.after[trajectory as usize] += E::of(value * faded);
                    }
                }
            }
            t = until + 1;
        }
    }
}

/// The generator of a stream: SplitMix64 over its words, so that neighbouring streams share nothing.
pub(super) fn generator(stream: [u64; 3]) -> Xoshiro256PlusPlus {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for word in stream {
        state = mix(state ^ word.wrapping_mul(0xd129_42f8_6d1e_59cb));
    }
    Xoshiro256PlusPlus::seed_from_u64(state)
}

fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
