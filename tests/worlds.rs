//! The environments under `models/` against Gymnasium 1.4 (its classic control in float64, its
//! FrozenLake's table of transitions): reference numbers made once by stepping it from the same
//! state.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rlppl::finite::{self, Environment};
use rlppl::model::{EnvironmentId, Model, Overrides, check};
use rlppl::source::Source;
use rlppl::syntax::parse;
use rlppl::world::{Actions, Batch, World};
use std::path::Path;

const FIRST: EnvironmentId = EnvironmentId(0);

fn text(file: &str) -> String {
    std::fs::read_to_string(Path::new("models").join(file)).unwrap()
}

fn model(name: &str, text: String) -> Model {
    let file = parse(&Source::at(&Path::new("models").join(name), text))
        .unwrap_or_else(|found| panic!("{name}: {found}"));
    check(&file, &Overrides::default()).unwrap_or_else(|found| panic!("{name}: {found}"))
}

/// The text of a model or an environment with another start.
fn starting(text: &str, at: &str) -> String {
    let (before, rest) = text.split_once("s[1]   ~ ").unwrap();
    let (_, after) = rest.split_once("s[t+1]").unwrap();
    format!("{before}s[1]   ~ Delta({at})\ns[t+1]{after}")
}

/// An action: the number of a finite one, or a real one.
enum Action {
    Number(u32),
    Real(f64),
}

/// States from the first on, in `f64`, until the end or the horizon; actions by the number of the
/// step and the state.
fn roll(model: &Model, action: impl Fn(usize, &[f64]) -> Action) -> (Vec<Vec<f64>>, Vec<f64>, f64) {
    let world = World::<f64>::compile(model, FIRST).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
    let mut batch = Batch::new(&world, 1);
    batch.reset(&world, &mut rng);
    let read = |batch: &Batch<f64>| -> Vec<f64> { batch.state_columns(&world).unwrap().to_vec() };
    let (mut states, mut sum) = (vec![read(&batch)], 0.0);
    for step in 0..model.horizon.value {
        match action(step, states.last().unwrap()) {
            Action::Number(chosen) => batch.step(&world, Actions::Numbers(&[chosen]), &mut rng),
            Action::Real(chosen) => {
                batch.step(&world, Actions::Columns { values: &[chosen], stride: 1 }, &mut rng)
            }
        }
        states.push(read(&batch));
        sum += batch.reward(&world, 0)[0];
        if batch.live() == 0 {
            break;
        }
    }
    let seen = batch.observation_columns(&world).unwrap().to_vec();
    (states, seen, sum)
}

fn close(found: &[f64], wanted: &[f64], within: f64) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() <= within, "{found}, not {wanted}");
    }
}

#[test]
fn cartpole_moves_as_gymnasium_does() {
    let environment = starting(&text("cartpole.rlenv"), "{ x: 0.01, v: -0.02, θ: 0.03, ω: 0.04 }");
    let text = text("cartpole.rlmodel")
        .replace("from \"cartpole.rlenv\"", &format!("{{\n{environment}\n}}"));
    let (states, _, sum) = roll(&model("cartpole.rlmodel", text), |step, _| {
        Action::Number([1, 1, 0, 1, 0, 0, 1][step % 7])
    });
    assert_eq!((states.len() - 1, sum), (21, 21.0));
    close(
        &states[1],
        &[0.009600000000000001, 0.17467919574755525, 0.030799999999999998, -0.2430687179600081],
        1e-12,
    );
    close(
        &states[10],
        &[0.05649316485946018, 0.36901517137137, -0.032849498377435594, -0.5184785912499668],
        1e-12,
    );
    close(
        &states[21],
        &[0.16604113858534789, 0.5789960715179743, -0.212139995134798, -1.1621319433574029],
        1e-11,
    );
}

#[test]
fn acrobot_moves_as_gymnasium_does() {
    let environment = starting(&text("acrobot.rlenv"), "[0.05, -0.03, 0.02, -0.06]");
    let text = text("acrobot.rlmodel")
        .replace("from \"acrobot.rlenv\"", &format!("{{\n{environment}\n}}"));
    // with the second link, against it: swings up in 74 steps
    let (states, seen, sum) = roll(&model("acrobot.rlmodel", text), |_, s| {
        Action::Number(if s[3] > 0.0 { 2 } else { 0 })
    });
    assert_eq!((states.len() - 1, sum), (74, -73.0));
    // Gymnasium keeps what it has integrated in float32 between steps
    close(
        &states[1],
        &[0.06039541362863624, -0.06804440608484441, 0.08051610630161557, -0.3119807206380278],
        1e-12,
    );
    close(
        &states[20],
        &[0.3267579047174298, -0.9307142061587995, -0.9755158050877627, 0.12233945417228675],
        1e-9,
    );
    close(
        &states[74],
        &[2.040584916139111, 1.6711800076593526, 0.8526108338687238, -2.599883242932044],
        1e-7,
    );
    let x = [
        -0.4526977837085724,
        0.8916640281677246,
        -0.10021517425775528,
        0.9949657917022705,
        0.8526108264923096,
        -2.5998833179473877,
    ];
    close(&seen, &x, 1e-6);
}

#[test]
fn pendulum_moves_as_gymnasium_does() {
    let model = model("pendulum.rlmodel", starting(&text("pendulum.rlmodel"), "{ θ: 3, ω: -0.4 }"));
    let torques = [2.0, -1.3, 0.4, 1.7, -2.0, 0.9, -0.2];
    let (states, seen, sum) = roll(&model, |step, _| Action::Real(torques[step % 7]));
    assert_eq!(states.len() - 1, 200);
    close(&states[1], &[3.000292000302245, 0.00584000604490037], 1e-12);
    close(&states[20], &[3.3568100984881326, -0.25608623885733056], 1e-12);
    close(&states[200], &[3.0437699687225277, 0.5849403692290857], 1e-9);
    close(&[sum], &[-1828.5388886128433], 1e-8);
    // Gymnasium shows float32
    close(&seen, &[-0.9952191710472107, 0.09766674041748047, 0.5849403738975525], 1e-7);

    // with the swing: over the top, round and round, at the greatest speed
    let (states, _, sum) = roll(&model, |_, s| Action::Real(if s[1] > 0.0 { 2.0 } else { -2.0 }));
    close(&states[60], &[-2.5968101266829287, -8.0], 1e-9);
    close(&states[200], &[-53.80217789331402, -8.0], 1e-9);
    close(&[sum], &[-1604.2788445959154], 1e-8);
}

#[test]
fn mountain_car_moves_as_gymnasium_does() {
    let text = text("mountain_car_continuous.rlmodel");
    // Gymnasium keeps the state in float32 between steps
    let rocked = model("mountain_car_continuous.rlmodel", starting(&text, "{ x: -0.5, v: 0 }"));
    let (states, _, sum) = roll(&rocked, |_, s| Action::Real(if s[1] > 0.0 { 0.9 } else { -0.7 }));
    assert_eq!(states.len() - 1, 81);
    close(&states[1], &[-0.5012268424034119, -0.0012268429854884744], 1e-7);
    close(&states[20], &[-0.6973849534988403, -0.014143785461783409], 1e-6);
    close(&states[60], &[-0.2541736364364624, 0.04306919500231743], 1e-5);
    close(&states[81], &[0.46435654163360596, 0.030954862013459206], 1e-5);
    close(&[sum], &[94.719], 1e-9);

    // into the wall on the left, which takes the speed
    let walled = model("mountain_car_continuous.rlmodel", starting(&text, "{ x: -1.1, v: -0.05 }"));
    let (states, _, sum) = roll(&walled, |_, _| Action::Real(0.25));
    assert_eq!(states.len() - 1, 53);
    close(&states[2], &[-1.1915491819381714, -0.044392868876457214], 1e-7);
    close(&states[3], &[-1.2, 0.0], 0.0);
    close(&states[20], &[-0.7835976481437683, 0.046201035380363464], 1e-6);
    close(&states[53], &[0.45866572856903076, 0.018708068877458572], 1e-5);
    close(&[sum], &[99.66875], 1e-9);
}

/// A world compiled to `f32` columns draws starts inside the box and steps many rows at once as
/// each alone.
#[test]
fn real_actions_move_each_row_by_its_own() {
    let model = model("mountain_car_continuous.rlmodel", text("mountain_car_continuous.rlmodel"));
    let world = World::<f32>::compile(&model, FIRST).unwrap();
    let (mut rng, rows) = (Xoshiro256PlusPlus::seed_from_u64(1), 5);
    let mut batch = Batch::new(&world, rows);
    batch.reset(&world, &mut rng);
    let before = batch.state_columns(&world).unwrap().to_vec();
    let pushes = [-1.0, -0.5, 0.0, 0.5, 1.0];
    batch.step(&world, Actions::Columns { values: &pushes, stride: rows }, &mut rng);
    let after = batch.state_columns(&world).unwrap();
    for row in 0..rows {
        let (x, v) = (before[row], before[rows + row]);
        assert!((-0.6..=-0.4).contains(&x) && v == 0.0, "{x}, {v}");
        let moved = 0.0015 * pushes[row] - 0.0025 * (3.0 * x).cos();
        assert!(
            (after[rows + row] - moved).abs() < 1e-8 && (after[row] - x - moved).abs() < 1e-7,
            "row {row}"
        );
        assert!(
            (batch.reward(&world, 0)[row] + 0.1 * pushes[row] * pushes[row]).abs() < 1e-8,
            "row {row}"
        );
    }
}

/// The probability of a reward of 1 within `steps`, if every step takes the best action, or a
/// random one.
fn success(tables: &Environment, steps: usize) -> (f64, f64) {
    let start = tables.initial.row(0).next().unwrap().0;
    let (mut best, mut random) = (vec![0.0; tables.states], vec![0.0; tables.states]);
    for _ in 0..steps {
        let value = |of: &[f64], s: usize, a: usize| -> f64 {
            let row = s * tables.actions + a;
            (tables.transition.start[row]..tables.transition.start[row + 1])
                .map(|e| {
                    tables.transition.probability[e]
                        * (tables.rewards[0][e] + of[tables.transition.column[e] as usize])
                })
                .sum()
        };
        let actions = 0..tables.actions;
        best = (0..tables.states)
            .map(|s| actions.clone().map(|a| value(&best, s, a)).fold(f64::MIN, f64::max))
            .collect();
        random = (0..tables.states)
            .map(|s| {
                actions.clone().map(|a| value(&random, s, a)).sum::<f64>() / tables.actions as f64
            })
            .collect();
    }
    (best[start], random[start])
}

#[test]
fn frozen_lakes_have_the_transitions_of_gymnasium() {
    for (file, best, random) in [
        ("frozenlake.rlmodel", 0.7441902878292689, 0.01393979595917145),
        ("frozenlake8x8.rlmodel", 0.9132201502016288, 0.0019013954948230456),
    ] {
        let model = model(file, text(file));
        let found = success(&finite::tabulate(&model, FIRST).unwrap(), model.horizon.value);
        close(&[found.0, found.1], &[best, random], 1e-12);
        assert!(World::<f32>::compile(&model, FIRST).unwrap().is_finite());
    }
}

#[test]
fn four_rooms_have_their_walls() {
    let model = model("four_rooms.rlmodel", text("four_rooms.rlmodel"));
    let tables = finite::tabulate(&model, FIRST).unwrap();
    assert_eq!((tables.states, tables.actions), (104, 4));
    assert_eq!(tables.ended.iter().filter(|&&ended| ended).count(), 1);
}
