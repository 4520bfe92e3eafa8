//! Draws and steps against what is known of them, at fixed seeds; bounds are in standard errors.

use super::columns::Columns;
use super::testing::{constants, counter, draws, integers, real};
use super::{Actions, Batch, Kind, World};
use crate::expr::{ExprId, Graph, Real};
use crate::family::Family;
use crate::finite;
use crate::finite::testing::{ENVIRONMENT, chain};
use crate::model::{Component, Distribution, Model, Scores};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

const ROWS: usize = 40_000;

fn seeded(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// A family by its name, with constant arguments.
fn of_family(graph: &mut Graph, name: &str, arguments: [&[f64]; 2]) -> Distribution<Vec<ExprId>> {
    let family = Family::named(name).unwrap();
    Distribution::Real { family, arguments: arguments.map(|of| constants(graph, of)).to_vec() }
}

/// The columns, also of a finite environment.
fn as_columns<E: Real>(model: &Model) -> World<E> {
    let columns = Columns::compile(
        model,
        model.environment(ENVIRONMENT),
        super::columns::Moved::Itself,
        super::columns::Moved::Itself,
        super::Told::default(),
    )
    .unwrap();
    let world = World::<E>::compile(model, ENVIRONMENT).unwrap();
    World { kind: Kind::Columns(Box::new(columns)), ..world }
}

/// Frequencies of the states of the chain at time `t` under uniformly random actions.
fn frequencies(world: &World<f32>, t: usize, compact: bool, seed: u64) -> Vec<f64> {
    let mut rng = seeded(seed);
    let mut batch = Batch::new(world, ROWS);
    batch.reset(world, &mut rng);
    let mut actions = vec![0; ROWS];
    for _ in 1..t {
        actions.iter_mut().for_each(|a| *a = rand::Rng::next_u32(&mut rng) & 1);
        batch.step(world, Actions::Numbers(&actions), &mut rng);
        if compact {
            batch.compact(world);
        }
    }
    let mut state = vec![0.0; ROWS];
    batch.read_state(world, 0, &mut state);
    let mut counts = vec![0.0; 10];
    state.iter().for_each(|&s| counts[s as usize] += 1.0 / ROWS as f64);
    counts
}

#[test]
fn tables_and_columns_move_the_chain_as_its_probabilities_say() {
    let model = chain(0.5, 30);
    let tables = finite::tabulate(&model, ENVIRONMENT).unwrap();
    let t = 21;
    let mut exact = vec![0.0; tables.states];
    tables.initial.row(0).for_each(|(s, p)| exact[s] = p);
    for _ in 1..t {
        let mut next = vec![0.0; tables.states];
        for (row, p) in
            (0..tables.transition.rows()).flat_map(|row| [(row, exact[row / tables.actions])])
        {
            tables
                .transition
                .row(row)
                .for_each(|(to, q)| next[to] += p * q / tables.actions as f64);
        }
        exact = next;
    }
    let world = World::<f32>::compile(&model, ENVIRONMENT).unwrap();
    assert!(world.is_finite());
    let columns = as_columns::<f32>(&model);
    for (seed, (world, compact)) in
        [(&world, false), (&world, true), (&columns, false), (&columns, true)]
            .into_iter()
            .enumerate()
    {
        let counted = frequencies(world, t, compact, seed as u64);
        for (s, (counted, p)) in counted.iter().zip(&exact).enumerate() {
            let error = (p * (1.0 - p) / ROWS as f64).sqrt();
            assert!(
                (counted - p).abs() < 4.5 * error + 1e-9,
                "state {s}, world {seed}: {counted}, not {p}"
            );
        }
    }
}

#[test]
fn ended_rows_repeat_and_earn_nothing() {
    let model = counter();
    for compact in [false, true] {
        let world = World::<f64>::compile(&model, ENVIRONMENT).unwrap();
        assert!(!world.is_finite());
        let (rows, mut rng) = (70, seeded(1));
        let mut batch = Batch::new(&world, rows);
        batch.reset(&world, &mut rng);
        // trajectory i moves by 1 or 2: states 0 1 2 3 4 5 or 0 2 4 6
        let (mut states, mut sums) = (vec![0.0; rows], vec![0.0; rows]);
        for t in 1..9 {
            assert_eq!(batch.time(), t);
            let actions: Vec<u32> =
                batch.origin()[..batch.front()].iter().map(|origin| origin % 2).collect();
            batch.step(&world, Actions::Numbers(&actions), &mut rng);
            for (&origin, reward) in batch.origin().iter().zip(batch.reward(&world, 0)) {
                sums[origin as usize] += reward;
            }
            if compact {
                batch.compact(&world);
                assert_eq!(batch.front(), batch.live());
            }
            let live = (0..rows).filter(|i| t < if i % 2 == 0 { 5 } else { 3 }).count();
            assert_eq!(batch.live(), live, "after step {t}");
            let mut column = vec![0.0; rows];
            batch.read_state(&world, 0, &mut column);
            batch.origin().iter().zip(column).for_each(|(&origin, s)| states[origin as usize] = s);
        }
        for i in 0..rows {
            let last = if i % 2 == 0 { 5.0 } else { 6.0 };
            assert_eq!((states[i], sums[i]), (last, last), "row {i}, compact {compact}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let model = draws(vec![real(-9.0, 9.0), real(-9.0, 9.0)], |g| {
        Distribution::normal(constants(g, &[0.0, 1.0]), constants(g, &[1.0, 2.0]))
    });
    assert_eq!(sample::<f32>(&model, 0, 3), sample::<f32>(&model, 0, 3));
    assert_ne!(sample::<f32>(&model, 0, 3), sample::<f32>(&model, 0, 4));
}

/// Component `component` of the states after a reset and a step.
fn sample<E: Real>(model: &Model, component: usize, seed: u64) -> Vec<E> {
    let world = as_columns::<E>(model);
    let mut rng = seeded(seed);
    let mut batch = Batch::new(&world, ROWS);
    batch.reset(&world, &mut rng);
    batch.step(&world, Actions::Numbers(&vec![0; ROWS]), &mut rng);
    let mut out = vec![E::ZERO; ROWS];
    batch.read_state(&world, component, &mut out);
    out
}

/// Holds the mean and the variance of a drawn component to their truth, in both precisions.
fn moments(
    state: Vec<Component>,
    component: usize,
    write: impl Fn(&mut Graph) -> Distribution<Vec<ExprId>>,
    mean: f64,
    variance: f64,
) {
    let model = draws(state, write);
    let in_f32: Vec<f64> =
        sample::<f32>(&model, component, 11).into_iter().map(f64::from).collect();
    for values in [in_f32, sample::<f64>(&model, component, 12)] {
        let n = values.len() as f64;
        let m = values.iter().sum::<f64>() / n;
        let squares: Vec<f64> = values.iter().map(|v| (v - mean).powi(2)).collect();
        let v = squares.iter().sum::<f64>() / n;
        let spread = squares.iter().map(|s| (s - v).powi(2)).sum::<f64>() / n;
        assert!((m - mean).abs() < 4.0 * (variance / n).sqrt() + 1e-6, "mean {m}, not {mean}");
        assert!(
            (v - variance).abs() <= 4.0 * (spread / n).sqrt() + 1e-4 * variance,
            "variance {v}, not {variance}"
        );
    }
}

#[test]
fn draws_have_the_moments_of_their_distributions() {
    let line = || vec![real(f64::NEG_INFINITY, f64::INFINITY)];
    moments(
        line(),
        0,
        |g| Distribution::normal(constants(g, &[0.5]), constants(g, &[2.0])),
        0.5,
        4.0,
    );
    moments(
        line(),
        0,
        |g| Distribution::UniformBox { lo: constants(g, &[-1.0]), hi: constants(g, &[3.0]) },
        1.0,
        16.0 / 12.0,
    );
    moments(vec![real(-2.0, 4.0)], 0, |_| Distribution::Uniform, 1.0, 3.0);
    moments(vec![integers(7)], 0, |_| Distribution::Uniform, 3.0, 4.0);
    moments(vec![real(0.0, 1.0)], 0, |g| of_family(g, "Beta", [&[2.0], &[3.0]]), 0.4, 0.04);
    let over = |g: &mut Graph| {
        Distribution::UniformOver(vec![
            constants(g, &[0.0]),
            constants(g, &[1.0]),
            constants(g, &[5.0]),
        ])
    };
    moments(line(), 0, over, 2.0, 14.0 / 3.0);
    let probs =
        |g: &mut Graph| Distribution::Categorical(Scores::Probs(constants(g, &[0.2, 0.5, 0.3])));
    moments(vec![integers(3)], 0, probs, 1.1, 0.49);
    let logits = |g: &mut Graph| {
        Distribution::Categorical(Scores::Logits(constants(g, &[2.0, 5.0, 3.0].map(f64::ln))))
    };
    moments(vec![integers(3)], 0, logits, 1.1, 0.49);
    let coin = |g: &mut Graph| Distribution::Bernoulli(Scores::Probs(constants(g, &[0.3])));
    moments(
        vec![Component { path: String::new(), kind: crate::model::Kind::Bool }],
        0,
        coin,
        0.3,
        0.21,
    );
    let mixture = |g: &mut Graph| {
        let narrow = Distribution::normal(constants(g, &[0.0]), constants(g, &[1.0]));
        let wide =
            Distribution::UniformBox { lo: constants(g, &[10.0]), hi: constants(g, &[12.0]) };
        Distribution::Mixture(vec![(constants(g, &[0.75]), narrow), (constants(g, &[0.25]), wide)])
    };
    // 0.75 · 1 + 0.25 · (121 + 1/3) − 2.75²
    moments(line(), 0, mixture, 2.75, 0.75 + 0.25 * (121.0 + 1.0 / 3.0) - 2.75 * 2.75);
    let record = |g: &mut Graph| {
        let first = Distribution::Delta(constants(g, &[1.0]));
        let second = Distribution::normal(constants(g, &[-1.0]), constants(g, &[0.5]));
        Distribution::Record(vec![first, second])
    };
    moments(vec![real(-9.0, 9.0), real(-9.0, 9.0)], 1, record, -1.0, 0.25);
    moments(vec![real(-9.0, 9.0), real(-9.0, 9.0)], 0, record, 1.0, 0.0);
}

#[test]
fn a_squashed_normal_stays_in_its_bounds_and_halves_are_alike() {
    let model = draws(vec![real(1.0, 5.0)], |g| of_family(g, "TanhNormal", [&[0.0], &[1.5]]));
    let values = sample::<f32>(&model, 0, 5);
    assert!(values.iter().all(|v| (1.0..=5.0).contains(v)));
    let above = values.iter().filter(|v| **v > 3.0).count() as f64 / ROWS as f64;
    assert!((above - 0.5).abs() < 4.0 * (0.25 / ROWS as f64).sqrt(), "{above}");
    // P(tanh z > 1/2) for z ~ N(0, 1.5²)
    let high = values.iter().filter(|v| **v > 4.0).count() as f64 / ROWS as f64;
    assert!((high - 0.357_1).abs() < 4.0 * (0.23 / ROWS as f64).sqrt(), "{high}");
}

#[test]
fn what_cannot_be_sampled_is_refused_by_name() {
    let model = draws(vec![real(f64::NEG_INFINITY, f64::INFINITY)], |_| Distribution::Uniform);
    let refusal = World::<f32>::compile(&model, ENVIRONMENT).unwrap_err().to_string();
    assert!(refusal.contains("`Uniform`") && refusal.contains("no bounds"), "{refusal}");
    let model = draws(vec![real(0.0, 1.0)], |g| Distribution::Implicit(constants(g, &[0.0])));
    assert!(
        World::<f32>::compile(&model, ENVIRONMENT).unwrap_err().to_string().contains("`Implicit`")
    );
}
