//! The best of a model's own kernels: at least what is known of it, also where a plain ascent gets
//! stuck.

use assert_cmd::Command;
use serde_json::Value;

/// What `rlppl exact --optimise` says of a file, with one `param` at another value.
fn optimised(file: &str, alpha: f64) -> Value {
    let mut program = Command::cargo_bin("rlppl").unwrap();
    program.current_dir(env!("CARGO_MANIFEST_DIR"));
    let alpha = format!("alpha={alpha}");
    program.args(["exact", file, "--set", &alpha, "--optimise", "--format", "json"]);
    let output = program.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The least that the best of the family is known to be, and the best that may depend on the time,
/// which it cannot exceed.
#[track_caller]
fn assert_reaches(file: &str, alpha: f64, known: f64) {
    let found = optimised(file, alpha);
    let number = |key: &str| found[key].as_f64().unwrap();
    let (family, best) = (number("family_bound"), number("best_bound"));
    assert!(
        family >= known && family <= best + 1e-9,
        "{file}, alpha = {alpha}: {known} <= {family} <= {best}"
    );
    let (made, agreed) = (&found["family_ascents"]["made"], &found["family_ascents"]["agreed"]);
    assert!(agreed.as_u64() >= Some(1) && agreed.as_u64() <= made.as_u64(), "{found}");
}

/// The path along the cliff is shorter and the way around it is safer; which is best depends on α,
/// and each is a local maximum.
#[test]
fn the_way_around_the_cliff() {
    for (alpha, known) in [(0.5, -24.52), (1.0, -31.02), (2.0, -44.02)] {
        assert_reaches("tests/cases/cliff.rlmodel", alpha, known);
    }
}

/// At a great α the first door that is opened decides, and a plain ascent ends at a policy that
/// never opens one.
#[test]
fn the_tiger_is_listened_to() {
    assert_reaches("tests/cases/tiger.rlmodel", 100.0, -3762.28);
    assert_reaches("tests/cases/tiger.rlmodel", 1000.0, -37585.0);
}
