//! The estimate of a run's memory against what runs hold at their most.

use peak_alloc::PeakAlloc;
use rlppl::model::{Overrides, check};
use rlppl::plan::Plan;
use rlppl::source::Source;
use rlppl::{bound, engine, plan, syntax};
use std::path::Path;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What is estimated lies between what is measured over this and what is measured times this.
const FACTOR: f64 = 2.0;

fn planned(
    model: &str,
    settings: &[(&str, &str)],
    horizon: &str,
    replacements: &[(&str, &str)],
) -> Plan {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(format!("{model}.rlmodel"));
    let text = std::fs::read_to_string(&path).expect("a model");
    let text = replacements.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{model} has {from}");
        text.replace(from, to)
    });
    let file = syntax::parse(&Source::at(&path, text)).unwrap_or_else(|found| panic!("{found}"));
    let value = |text: &str| syntax::parse_expr(text, "value").expect("an expression");
    let overrides = Overrides {
        params: vec![("T".to_owned(), value(horizon))],
        settings: settings.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect(),
    };
    let model = check(&file, &overrides).unwrap_or_else(|found| panic!("{found}"));
    let derivation = bound::derive(&model).unwrap_or_else(|found| panic!("{found}"));
    plan::plan(&model, &derivation).unwrap_or_else(|found| panic!("{found}"))
}

/// One test, so that no other allocates beside it.
#[test]
fn the_estimate_is_near_what_a_run_holds() {
    let few = ("steps", "2");
    let wide = [("hidden = [64, 64]", "hidden = [1024, 1024]")];
    let cases = [
        // rows of activations, batches used again
        (
            "pendulum",
            planned("pendulum", &[few, ("rounds", "2"), ("trajectories", "256")], "200", &[]),
        ),
        (
            "pendulum, f64",
            planned(
                "pendulum",
                &[few, ("rounds", "2"), ("trajectories", "64"), ("precision", "f64")],
                "400",
                &[],
            ),
        ),
        // an environment in tables
        ("reinforce", planned("reinforce", &[few, ("trajectories", "2000")], "100", &[])),
        // parameters, their gradients and an optimiser
        ("reinforce, wide", planned("reinforce", &[few, ("trajectories", "4")], "5", &wide)),
        // options with a reverse model: a ledger, whole trajectories
        (
            "options_look_back",
            planned("options_look_back", &[few, ("trajectories", "1000")], "60", &[]),
        ),
        // several bounds, and what a classifier learns from
        ("world_chain", planned("world_chain", &[few, ("trajectories", "512")], "60", &[])),
    ];
    // where episodes end early less is held than could be
    let (mut told, mut all_near) = (String::new(), true);
    let early =
        planned("ppo_cartpole", &[few, ("trajectories", "64"), ("rounds", "2")], "500", &[]);
    for (name, plan, most) in cases.into_iter().map(|(name, plan)| (name, plan, FACTOR)).chain([(
        "ends early",
        early,
        f64::INFINITY,
    )]) {
        let estimated = engine::memory(&plan).unwrap_or_else(|error| panic!("{name}: {error}"));
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        engine::infer(&plan, &mut ()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let measured = (ALLOCATOR.peak_usage() - before) as f64;
        let ratio = estimated.bytes() as f64 / measured;
        all_near &= (1.0 / FACTOR..=most).contains(&ratio);
        told += &format!("{name}: {ratio:.2} of {:.1} MB measured: {estimated}\n", measured / 1e6);
    }
    println!("{told}");
    assert!(all_near, "the estimate is not within a factor {FACTOR}:\n{told}");
}
