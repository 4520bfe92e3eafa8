//! What is printed is what is meant: each formula that `rlppl bound` prints is read back by a
//! reader of its own, and is worth what the derivation is worth.

mod reader;

use reader::{Read, read_back, read_text};
use rlppl::bound::derive;
use rlppl::bound::render::{Detail, latex, mathml, text};
use rlppl::model::{Model, Overrides, check};
use rlppl::source::Source;
use rlppl::syntax::{parse, parse_expr};
use std::fs;
use std::path::{Path, PathBuf};

/// Trajectories of each bound.
const TRAJECTORIES: usize = 4;

#[test]
fn every_printed_bound_of_the_models_is_read_back() {
    let (mut faults, mut all, mut finite) = (Vec::new(), Read::default(), 0);
    for path in files("models") {
        let name = path.file_stem().expect("a model has a name").to_string_lossy().into_owned();
        match read_back(&short(&path), 1, TRAJECTORIES) {
            Ok(read) => {
                finite += usize::from(read.valued > 0);
                all = Read { valued: all.valued + read.valued, parsed: all.parsed + read.parsed };
            }
            Err(why) => faults.push(format!("{name}: {why}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(
        finite >= 30 && all.valued >= 500 && all.parsed >= 200,
        "{finite} finite models, {all:?}"
    );
}

#[test]
fn cut_times_odd_exponents_and_fixed_kernels_are_read_back() {
    for path in files("tests/cases") {
        let whole = fs::read_to_string(&path).expect("a case can be read");
        for text in variants(&whole) {
            let read = read_back(&model(&path, &text, None), 2, 8)
                .unwrap_or_else(|why| panic!("{}: {why}\n{text}", path.display()));
            assert!(read.valued > 0, "{}: nothing had a value\n{text}", path.display());
        }
    }
}

/// The formulas that these cases were wrong about.
#[test]
fn cases_print_what_is_meant() {
    let printed = |name: &str, edit: &dyn Fn(&str) -> String| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
        let whole = fs::read_to_string(&path).expect("a case can be read");
        text(
            &derive(&model(&path, &edit(&whole), None)).unwrap_or_else(|found| panic!("{found}")),
            Detail::Steps,
        )
    };
    let cut = printed("cut_times.rlmodel", &str::to_owned);
    let at_first = "  2. − KL(pick(·|s[1]) ‖ back(·|none, s[1]))\n";
    let later = "  3. − Σ_{t=2..T} KL(sw(·|o[t-1], s[t]) ‖ back(·|o[t-1], s[t]))\n";
    assert!(cut.contains(at_first) && cut.contains(later) && !cut.contains("because"), "{cut}");
    let ends = printed("cut_times.rlmodel", &with_end);
    let later = "  3. − Σ_{t=2..T, live} KL(sw(·|o[t-1], s[t]) ‖ back(·|o[t-1], s[t]))\n";
    assert!(ends.contains(later), "{ends}");
    let sum = printed("printed_sum.rlmodel", &str::to_owned);
    assert!(
        sum.contains(
            "L = E_q[ Σ_{t=1..T} ( r[t] − 0.1·t ) − s[1] + Σ_{t=1..T} ( H(pi(·|s[t])) − log 2 ) ]"
        ),
        "{sum}"
    );
    let fixed = printed("fixed_world.rlmodel", &str::to_owned);
    assert!(fixed.contains("  ∇_{pi} L = "), "{fixed}");
}

/// A case, an edit of it, what is printed of it, and what is put in its place.
type Slip<'a> = (&'a str, &'a dyn Fn(&str) -> String, &'a str, &'a str);

/// A reader that cannot find a fault proves nothing: what was once printed, and slips of every
/// kind, are noticed.
#[test]
fn a_text_that_says_something_else_is_noticed() {
    let same = &str::to_owned;
    let slips: [Slip; 19] = [
        // an index that no sum binds
        (
            "cut_times",
            same,
            "− KL(pick(·|s[1]) ‖ back(·|none, s[1]))",
            "+ log back(o[t]|o[t-1], s[t]) / pick(o[1]|s[1])",
        ),
        ("cut_times", same, "back(·|none, s[1])", "back(·|o[1], s[1])"),
        // `live` of another step
        (
            "cut_times",
            &with_end,
            "Σ_{t=2..T, live} KL(sw(·|o[t-1], s[t]) ‖ back(·|o[t-1], s[t]))",
            "Σ_{t=1..T-1, live} KL(sw(·|o[t], s[t+1]) ‖ back(·|o[t], s[t+1]))",
        ),
        ("cut_times", &with_end, "Σ_{t=1..T, live} ( H(", "Σ_{t=1..T} ( H("),
        // a sum without its brackets
        (
            "printed_sum",
            same,
            "Σ_{t=1..T} ( r[t] − 0.1·t ) − s[1]",
            "Σ_{t=1..T} r[t] − 0.1·t + −s[1]",
        ),
        ("printed_sum", same, "Σ_{t=1..T} ( r[t] − 0.1·t )", "Σ_{t=1..T} r[t] − 0.1"),
        ("printed_sum", same, "− s[1]", "+ s[1]"),
        // a gradient over what does not move
        ("fixed_world", same, "∇_{pi}", "∇_{pi, wrong}"),
        // an index beyond all steps
        ("fixed_world", same, "Σ_{k=t..T} r[k]", "Σ_{k=max(1, t-2147483648)..T} r[k]"),
        ("fixed_world", same, "Σ_{k=t+1..T} H(", "Σ_{k=t..T} H("),
        (
            "fixed_world",
            same,
            "KL(wrong(·|s[t], a[t]) ‖ e.transition(·|s[t], a[t]))",
            "KL(e.transition(·|s[t], a[t]) ‖ wrong(·|s[t], a[t]))",
        ),
        ("fixed_world", same, "+ Σ_{t=1..T} ∇H(pi(·|s[t]))", ""),
        ("fixed_world", same, " − b )", " )"),
        ("fixed_world", same, "∇log pi(a[t]|s[t])", "∇log pi(a[t]|s[t+1])"),
        ("fixed_world", same, "log 2", "log 3"),
        ("cut_prior", same, "Σ_{t=2..T}", "Σ_{t=1..T}"),
        ("cut_prior", same, "( −s[T+1] − 0.1 )", "−s[T+1] − 0.2"),
        ("cut_prior", same, "s[T+1]", "s[T]"),
        ("cut_window", same, "o[-1..0]", "o[1..2]"),
    ];
    for (name, edit, meant, slip) in slips {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/{name}.rlmodel"));
        let whole = edit(&fs::read_to_string(&path).expect("a case can be read"));
        let model = model(&path, &whole, None);
        let derivation = derive(&model).unwrap_or_else(|found| panic!("{found}"));
        let printed = text(&derivation, Detail::Bound);
        assert!(printed.contains(meant), "{name} does not print `{meant}`:\n{printed}");
        let said = read_text(&model, &derivation, &printed.replace(meant, slip), (3, 20));
        assert!(said.is_err(), "{name}: `{slip}` in the place of `{meant}` goes unnoticed");
    }
}

/// LaTeX and MathML print the same trees: brackets close, and there are as many sums that stop at
/// the end.
#[test]
fn other_formats_have_the_same_sums() {
    for path in files("models").into_iter().chain(files("tests/cases")) {
        let derivation = derive(&short(&path)).unwrap_or_else(|found| panic!("{found}"));
        let formulas: String = rlppl::bound::render::json(&derivation)["bounds"]
            .as_array()
            .expect("bounds")
            .iter()
            .flat_map(|bound| {
                let gradients = bound["gradient"]["formulas"].as_array().expect("formulas").iter();
                std::iter::once(&bound["formula"])
                    .chain(gradients)
                    .map(|formula| formula.as_str().expect("a formula").to_owned())
            })
            .collect();
        let (latex, mathml) =
            (latex(&derivation, Detail::Bound), mathml(&derivation, Detail::Bound));
        let shown = path.display();
        let count = |text: &str, what: &str| text.matches(what).count();
        assert_eq!(count(&formulas, "Σ_{"), count(&latex, "\\sum_{"), "{shown}: {latex}");
        assert_eq!(count(&formulas, "Σ_{"), count(&mathml, "<mo>∑</mo>"), "{shown}: {mathml}");
        assert_eq!(count(&formulas, ", live"), count(&latex, "\\text{live}"), "{shown}: {latex}");
        assert_eq!(
            count(&formulas, ", live"),
            count(&mathml, "<mtext>live</mtext>"),
            "{shown}: {mathml}"
        );
        for pair in [["{", "}"], ["(", ")"], ["[", "]"]] {
            assert_eq!(
                count(&latex, pair[0]),
                count(&latex, pair[1]),
                "{shown}: {pair:?} in {latex}"
            );
        }
        for tag in [
            "mrow",
            "msub",
            "msup",
            "munderover",
            "mtext",
            "mi",
            "mo",
            "mn",
            "mtr",
            "mtd",
            "mtable",
            "math",
            "mfrac",
        ] {
            let opened = count(&mathml, &format!("<{tag}>")) + count(&mathml, &format!("<{tag} "));
            assert_eq!(opened, count(&mathml, &format!("</{tag}>")), "{shown}: {tag} in {mathml}");
        }
    }
}

/// A case as it is, with an end of the episode, at one step alone, and with exponents that need
/// brackets.
fn variants(text: &str) -> Vec<String> {
    let exponents = [
        "r[t]",
        "-0.5 * s[1] - 0.1 * t",
        "-(2 - r[t])",
        "r[t] - 0.1 * (t + 1)",
        "-(t - 1) ^ 2 * 0.1",
        "r[t] / 2 - (0.5 - r[t])",
        "if s[t] == 1 then r[t] else -0.25",
        "min(0, r[t]) * 0.5 - 2 * -s[t] - 4",
    ];
    let with = |exponent: &str| text.replace("exp(r[t])", &format!("exp({exponent})"));
    let mut texts: Vec<String> = exponents.iter().map(|exponent| with(exponent)).collect();
    texts.extend(exponents.iter().map(|exponent| with_end(&with(exponent))));
    // the fewest steps of which some index reads something
    let few = if text.contains("t-2") { "horizon T = 2" } else { "horizon T = 1" };
    texts.extend([text.replace("horizon T = 3", few), text.to_owned(), with_end(text)]);
    texts
}

/// Where episodes end in state 1, which none begins with.
fn with_end(text: &str) -> String {
    let begins = text.replace("s[1]   ~ Uniform", "s[1]   ~ Delta(0)");
    begins.replace("  s[1]   ~ Delta(0)\n", "  end when s[t] == 1\n  s[1]   ~ Delta(0)\n")
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .expect("a folder of models");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rlmodel"));
    paths.sort();
    paths
}

/// A model with few steps: formulas do not depend on how many there are.
fn short(path: &Path) -> Model {
    let text = fs::read_to_string(path).expect("a model can be read");
    let whole = model(path, &text, None);
    let steps = whole.horizon.value.min(5);
    model(path, &text, Some((whole.horizon.name.clone(), steps)))
}

fn model(path: &Path, text: &str, horizon: Option<(String, usize)>) -> Model {
    let file = parse(&Source::at(path, text)).unwrap_or_else(|found| panic!("{found}\n{text}"));
    let set = horizon
        .map(|(name, steps)| (name, parse_expr(&steps.to_string(), "--set").expect("a number")));
    let overrides = Overrides { params: set.into_iter().collect(), ..Overrides::default() };
    check(&file, &overrides).unwrap_or_else(|found| panic!("{found}\n{text}"))
}
