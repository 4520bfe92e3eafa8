//! A gradient step of a classifier: real draws against those of the model, from the same
//! conditions, by the logistic loss.

use super::judged::Judged;
use crate::engine::family::Draws;
use crate::engine::family::choice::Choice;
use crate::engine::network::forward::{Activations, Scratch};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::density::Density;
use crate::engine::program::points::{Columns, EpisodeView, Source};
use crate::engine::program::ratio::Ratio;
use crate::engine::program::recorded::Recorded;
use crate::engine::sample::replay::Replay;
use crate::plan::{Plan, RatioOf};
use rand::{Rng, RngExt};

/// What tells pairs apart, with its buffers.
#[derive(Default)]
pub(in crate::engine) struct Classifying<E> {
    rows: Vec<u32>,
    /// Rows of records, each with its time.
    recorded: Vec<(u32, u32)>,
    model: Columns<E>,
    of_model: Activations<E>,
    numbers: Vec<E>,
    uniforms: Vec<E>,
    drawn: Draws<E>,
    last: Vec<u32>,
    columns: Columns<E>,
    sides: [Activations<E>; 2],
    of_logits: Vec<E>,
    scratch: Scratch<E>,
}

/// What a step told of the classifier.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Classified {
    /// The mean logistic loss, nats; `log 2` where nothing can be told apart.
    pub loss: f64,
    /// The share of logits beyond ±[`SATURATED`].
    pub saturated: f64,
    pub pairs: usize,
}

/// Logits beyond it are told by a classifier that has no examples of one side there.
pub const SATURATED: f64 = 10.0;

impl Classified {
    pub fn add(&mut self, other: &Classified) {
        let (mine, theirs) = (self.pairs as f64, other.pairs as f64);
        let all = (mine + theirs).max(1.0);
        self.loss = (self.loss * mine + other.loss * theirs) / all;
        self.saturated = (self.saturated * mine + other.saturated * theirs) / all;
        self.pairs += other.pairs;
    }
}

impl<E: Number> Classifying<E> {
    /// Adds the gradient of the loss of `pairs` transitions of the replay, each beside one of
    /// the model from the same state and action, or of first states; a pair weighs `share`.
    pub fn add_gradient(
        &mut self,
        (plan, ratio, model): (&Plan, &Ratio<E>, &Density),
        (parameters, replay): (&[E], &Replay<E>),
        (pairs, share): (usize, f64),
        random: &mut impl Rng,
        gradient: &mut [E],
    ) -> Classified {
        let kept = replay.len();
        if kept == 0 || pairs == 0 {
            return Classified::default();
        }
        self.rows.clear();
        if ratio.of == RatioOf::Start {
            let first: Vec<u32> = replay.firsts().collect();
            if first.is_empty() {
                return Classified::default();
            }
            let any = |_| first[random.random_range(0..first.len())];
            self.rows.extend((0..pairs).map(any));
        } else {
            self.rows.extend((0..pairs).map(|_| random.random_range(0..kept as u32)));
        }
        self.gather_from(replay, (plan, model));
        self.imagine(model, (parameters, self.rows.len()), random);
        let mut told = Classified { pairs, ..Classified::default() };
        for real in [true, false] {
            let drawn = (!real).then_some((&self.drawn, ratio.of));
            replay.gather((plan, &ratio.inputs), &self.rows, drawn, &mut self.columns);
            self.add_side(ratio, parameters, (real, pairs, share), &mut told, gradient);
        }
        told
    }

    /// Likewise of `pairs` recorded draws, each beside one of the model from what it was given.
    pub fn add_gradient_of_records(
        &mut self,
        (ratio, model): (&Ratio<E>, &Density),
        (parameters, records): (&[E], &Recorded<E>),
        (pairs, share): (usize, f64),
        random: &mut impl Rng,
        gradient: &mut [E],
    ) -> Classified {
        if pairs == 0 {
            return Classified::default();
        }
        self.recorded.clear();
        self.recorded.extend((0..pairs).map(|_| records.some(random)));
        records.gather(&model.inputs, &self.recorded, None, &mut self.model);
        if let Some((last, when)) = model.last {
            let last = Source::Trajectory(last, when);
            records.numbers_of(last, &self.recorded, &mut self.last);
        }
        self.imagine(model, (parameters, pairs), random);
        let mut told = Classified { pairs, ..Classified::default() };
        for real in [true, false] {
            let drawn = (!real).then_some(&self.drawn);
            records.gather(&ratio.inputs, &self.recorded, drawn, &mut self.columns);
            self.add_side(ratio, parameters, (real, pairs, share), &mut told, gradient);
        }
        told
    }

    /// Adds the gradient of the loss of `pairs` recorded steps, each beside one of the policy's
    /// last batch, steps after an end among both.
    pub fn add_gradient_of_actions(
        &mut self,
        ratio: &Ratio<E>,
        (parameters, records): (&[E], &Recorded<E>),
        on: &EpisodeView<E>,
        (pairs, share): (usize, f64),
        random: &mut impl Rng,
        gradient: &mut [E],
    ) -> Classified {
        let trajectories = on.lengths.len();
        if on.rows.len() == 0 || pairs == 0 {
            return Classified::default();
        }
        let mut told = Classified { pairs, ..Classified::default() };
        self.recorded.clear();
        self.recorded.extend((0..pairs).map(|_| records.any(random)));
        records.gather(&ratio.inputs, &self.recorded, None, &mut self.columns);
        self.add_side(ratio, parameters, (true, pairs, share), &mut told, gradient);

        let mut points = Vec::with_capacity(pairs);
        let mut absorbed = Vec::new();
        for _ in 0..pairs {
            let (trajectory, t) =
                (random.random_range(0..trajectories), random.random_range(ratio.steps()));
            match t <= on.lengths[trajectory] as usize {
                true => points.push((t as u32, trajectory as u32)),
                false => absorbed.push(t as u32),
            }
        }
        self.columns.gather(&ratio.inputs, &points, on, |_, what, t, of| {
            on.trace.number(what, t, of, |variable| on.drawn(variable))
        });
        for (at, t) in (points.len()..).zip(absorbed) {
            self.columns.append_none(&ratio.inputs, t, at);
        }
        self.add_side(ratio, parameters, (false, pairs, share), &mut told, gradient);
        told
    }

    /// The loss of one side, whose inputs stand in the columns.
    fn add_side(
        &mut self,
        ratio: &Ratio<E>,
        parameters: &[E],
        (real, pairs, share): (bool, usize, f64),
        told: &mut Classified,
        gradient: &mut [E],
    ) {
        let network = &mut self.sides[usize::from(!real)];
        ratio.network.forward(
            parameters,
            &self.columns.feeds(&ratio.inputs, pairs),
            0..pairs,
            network,
        );
        let sign = if real { 1.0 } else { -1.0 };
        self.of_logits.clear();
        for &logit in network.output(&ratio.network, 0, 0..pairs) {
            let logit = Float::as_f64(logit);
            told.loss += softplus(-sign * logit) / (2 * pairs) as f64;
            told.saturated += if logit.abs() > SATURATED { 0.5 / pairs as f64 } else { 0.0 };
            // the slope of softplus(−z) is −σ(−z)
            self.of_logits.push(Float::of(-sign * share * 0.5 * sigmoid(-sign * logit)));
        }
        ratio.network.backward(
            parameters,
            network,
            0..pairs,
            &[&self.of_logits],
            &mut self.scratch,
            gradient,
        );
    }

    /// What a classifier says of every kept transition, and of one of the model beside each.
    pub fn judge(
        &mut self,
        (program, ratio): (&CompiledProgram<E>, &Ratio<E>),
        (parameters, replay): (&[E], &Replay<E>),
        random: &mut impl Rng,
    ) -> Vec<Judged> {
        let Some(model) = &ratio.model else { return vec![] };
        self.rows.clear();
        self.rows.extend(0..replay.len() as u32);
        self.gather_from(replay, (program.plan, model));
        self.imagine(model, (parameters, self.rows.len()), random);
        let (count, width) = (self.rows.len(), program.world.state_width());
        let mut judged = Vec::with_capacity(2 * count);
        for (side, next) in [(0, replay.nexts()), (1, &self.drawn)] {
            let inputs = (program.plan, &ratio.inputs);
            replay.gather(inputs, &self.rows, Some((next, ratio.of)), &mut self.columns);
            let network = &mut self.sides[side];
            ratio.network.forward(
                parameters,
                &self.columns.feeds(&ratio.inputs, count),
                0..count,
                network,
            );
            let mut log_q = vec![<E as Float>::ZERO; count];
            model.family.log_probs(&self.numbers, next, 0..count, &mut log_q);
            for (of, (logit, log_q)) in
                network.output(&ratio.network, 0, 0..count).iter().zip(log_q).enumerate()
            {
                let reals = next.reals.get(of * width..(of + 1) * width).unwrap_or(&[]);
                judged.push(Judged {
                    logit: Float::as_f64(*logit),
                    log_q: Float::as_f64(log_q),
                    of,
                    numbers: replay.numbers(of, next.numbers.get(of)),
                    next: reals.iter().map(|&x| Float::as_f64(x)).collect(),
                });
            }
        }
        judged
    }

    /// What the model reads at each of `rows` of the replay.
    fn gather_from(&mut self, replay: &Replay<E>, (plan, model): (&Plan, &Density)) {
        replay.gather((plan, &model.inputs), &self.rows, None, &mut self.model);
        if let Some((last, _)) = model.last {
            replay.numbers_of(plan, last, &self.rows, &mut self.last);
        }
    }

    /// Draws from the model at each of `count` conditions.
    fn imagine(
        &mut self,
        model: &Density,
        (parameters, count): (&[E], usize),
        random: &mut impl Rng,
    ) {
        model.network.draw_noise(0..count, random, &mut self.of_model);
        model.network.forward(
            parameters,
            &self.model.feeds(&model.inputs, count),
            0..count,
            &mut self.of_model,
        );
        self.numbers.resize(count * model.family.numbers(), <E as Float>::ZERO);
        if model.last.is_none() {
            self.last.resize(count, 0);
        }
        model.family.describe(
            |root| self.of_model.output(&model.network, root, 0..count),
            &self.last,
            &mut self.numbers,
        );
        self.drawn.clear();
        model.family.draw(
            &self.numbers,
            Choice::Sampled,
            random,
            &mut self.uniforms,
            &mut self.drawn,
        );
    }
}

/// `log(1 + e^z)`
fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}
