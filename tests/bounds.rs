//! The derived bound of every model: the snapshot beside the model, as `rlppl bound --save` writes
//! it, and the formulas of the papers.

use rlppl::bound::render::{Detail, json, latex, mathml, text};
use rlppl::bound::{Derivation, derive};
use rlppl::model::{Model, Overrides, check};
use rlppl::source::Source;
use rlppl::syntax::parse;
use std::fs;
use std::path::{Path, PathBuf};

/// How a crate that uses the library keeps a bound: as text, reviewed.
#[test]
fn a_bound_as_a_reviewed_snapshot() {
    let derivation = derivation("reinforce");
    insta::assert_snapshot!(derivation.to_string());
}

/// `rlppl bound FILE --check` for every model.
#[test]
fn every_bound_is_the_one_beside_its_model() {
    let mut models = 0;
    for entry in fs::read_dir(folder()).expect("models/ can be read") {
        let path = entry.expect("models/ can be read").path();
        if path.extension().is_none_or(|extension| extension != "rlmodel") {
            continue;
        }
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("model names are text");
        let beside = folder().join(format!("{name}.rlmodel.bound.snap"));
        let kept = fs::read_to_string(&beside).unwrap_or_else(|_| {
            panic!("no bound beside {name}: rlppl bound models/{name}.rlmodel --save")
        });
        assert_eq!(
            kept,
            text(&derivation(name), Detail::Steps),
            "the bound of {name} has changed: rlppl bound --check shows how"
        );
        models += 1;
    }
    assert!(models >= 16, "only {models} models");
}

/// What stands in no formula is told beside it, on every page.
#[test]
fn what_is_imagined_is_told() {
    let derivation = derivation("imagining");
    let rollout = "imagine(world, s, policy = plain, steps";
    for page in [
        text(&derivation, Detail::Bound),
        latex(&derivation, Detail::Bound),
        mathml(&derivation, Detail::Bound),
    ] {
        assert!(page.contains(rollout), "{page}");
    }
}

/// «≥» stands beside the logarithm of a probability, and of nothing else.
#[test]
fn a_bound_that_bounds_no_probability_says_so() {
    let predicted = include_str!("errors/warnings/predicted_above.rlmodel");
    let held = predicted.replace("exp(r[t])", "exp(clamp(r[t], -1, 0))");
    for (text_of_model, exceeds) in [(predicted, true), (&held, false)] {
        let file = parse(&Source::new("predicted", text_of_model)).expect("it parses");
        let model = check(&file, &Overrides::default()).expect("it is a model");
        assert_eq!(model.warnings.is_empty(), !exceeds, "{:?}", model.warnings);
        let derivation = derive(&model).expect("it has a bound");
        assert_eq!(derivation.bounds[0].bounds_a_probability(), !exceeds);
        for page in [
            text(&derivation, Detail::Steps),
            latex(&derivation, Detail::Steps),
            mathml(&derivation, Detail::Steps),
        ] {
            assert_eq!(
                page.contains("bounds no probability") || page.contains("is no probability"),
                exceeds,
                "{page}"
            );
        }
        let told = text(&derivation, Detail::Steps);
        assert_eq!(told.contains("p(R̂)"), !exceeds, "only a probability is called p(R̂): {told}");
    }
    for estimated in ["imitation", "ratio_drift"] {
        let derivation = derivation(estimated);
        assert!(derivation.bounds.iter().any(|bound| !bound.bounds_a_probability()), "{estimated}");
        assert!(!text(&derivation, Detail::Bound).contains("p(R̂) ≈"), "{estimated}");
    }
}

/// The table of language.md, §6, term by term.
#[test]
fn bounds_are_those_of_the_papers() {
    let expected = [
        (
            "reinforce",
            0,
            "log p(R̂) ≥ L = E_q[ Σ_{t=1..T} alpha·r[t] + Σ_{t=1..T, live} ( H(pi(·|s[t])) − log \
             2 ) ]",
        ),
        (
            "stable_iteration",
            0,
            "log p(R̂) ≥ L = E_q[ Σ_{t=1..T} alpha·r[t] − Σ_{t=1..T, live} KL(pi(·|s[t]) ‖ \
             previous pi(·|s[t])) ]",
        ),
        (
            "options_original",
            0,
            "log p(R̂) ≥ L = E_q[ Σ_{t=1..T} alpha·r[t] + Σ_{t=1..T, live} ( H(pi(·|s[t], o[t])) \
             − log 2 ) ]",
        ),
        (
            "options_look_back",
            0,
            "log p(R̂) ≥ L = E_q[ Σ_{t=1..T} alpha·r[t] + Σ_{t=1..T, live} ( log \
             back(o[t]|o[t-1], s[t], a[t], s[t+1]) / pick(o[t]|s[t], o[t-1]) + H(pi(·|s[t], \
             o[t])) − log 2 ) ]",
        ),
        (
            "options_look_ahead",
            0,
            "log p(R̂) ≥ L = E_q[ Σ_{t=1..T} alpha·r[t] + Σ_{t=1..T, live} ( log \
             back(o[t]|o[t+1], s[t], a[t]) / pick(o[t]|s[t], o[t-1]) + H(pi(·|s[t], o[t])) − log \
             2 ) ]",
        ),
        (
            "options_window",
            0,
            "log p(R̂) ≥ L = E_q[ Σ_{t=1..T} alpha·r[t] + Σ_{t=1..T, live} ( log \
             back(o[t]|o[t+1..t+2], s[t-2..t+2], a[t-2..t+2]) / pick(o[t]|s[t], o[t-1]) + \
             H(pi(·|s[t], o[t])) − log 4 ) ]",
        ),
        (
            "vic",
            0,
            "log p(R̂) ≥ L = E_q[ log decoder(o[1]|s[1], s[T+1]) + H(pick(·|s[1])) − log 8 ]",
        ),
        (
            "empowerment",
            0,
            "log p(R̂) ≥ L = E_q[ Σ_{t=1..T} ( log decoder(a[t]|a[..t-1], s[1], s[T+1]) + \
             H(source(·|s[1], a[..t-1])) − log 5 ) ]",
        ),
        (
            "model_learning",
            0,
            "log p(R̂) ≥ L = E_q[ Σ_{t=1..T} alpha·r[t] + Σ_{t=1..T, live} ( H(pi(·|s[t])) − log \
             2 − KL(line.transition(·|s[t], a[t]) ‖ world(·|s[t], a[t])) ) ]",
        ),
        (
            "learning_from_model",
            1,
            "L ≈ E_q[ Σ_{t=1..T} alpha·r[t] + Σ_{t=1..T, live} ( H(pi(·|s[t])) − log 2 + \
             logit(line.transition(s[t+1]|s[t], a[t]) / world(s[t+1]|s[t], a[t])) ) ]",
        ),
        (
            "imitation",
            0,
            "L ≈ E_q[ Σ_{t=1..T} alpha·r[t] + Σ_{t=1..T, live} logit(expert(a[t]|s[t]) / \
             pi(a[t]|s[t])) ]",
        ),
        (
            "bayesian_model",
            0,
            "log p(R̂) ≥ L = E_q[ Σ_{t=1..T} alpha·r[t] − KL(Normal(weights(world)) ‖ \
             Normal(weights(world)|mean=0, sd=1)) + Σ_{t=1..T, live} ( H(pi(·|s[t])) − log 2 − \
             KL(line.transition(·|s[t], a[t]) ‖ world(·|s[t], a[t])) ) ]",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, bound, wanted) in expected {
        let printed = text(&derivation(name), Detail::Bound);
        // a long formula stands in several lines
        let paragraphs = printed.split("\n\n").filter(|paragraph| {
            paragraph.starts_with("  log p(R̂)") || paragraph.starts_with("  L ≈")
        });
        let formula = |paragraph: &str| {
            let lines = paragraph.lines().filter(|line| !line.contains("bounds no probability"));
            lines.map(str::trim).collect::<Vec<_>>().join(" ")
        };
        let formulas: Vec<String> = paragraphs.map(formula).collect();
        if formulas[bound] != wanted {
            wrong.push(format!("{name}\n  printed  {}\n  expected {wanted}", formulas[bound]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The means and standard deviations of drawn weights have a gradient of their own: through every
/// term and score that reads the draw, and through the divergence from the prior.
#[test]
fn drawn_weights_have_a_pathwise_gradient() {
    let text =
        fs::read_to_string(folder().join("bayesian_model.rlmodel")).expect("the model can be read");
    let field = |text: &str| {
        let derivation = derive(&model(text)).unwrap_or_else(|found| panic!("{found}"));
        json(&derivation)["bounds"][0]["gradient"].clone()
    };
    let weights = |scores: serde_json::Value, through: serde_json::Value| {
        serde_json::json!([{
            "factor": "weights(world)", "kernel": "world",
            "parameters": { "mean": 50, "sd": 50 }, "estimator": "pathwise",
            "scores": scores, "through": through, "closed_form": 2,
        }])
    };
    // the learned model in the prior: term 5, KL(line.transition ‖ world), reads the drawn weights
    let gradient = field(&text);
    assert_eq!(gradient["mean_fields"], weights(serde_json::json!([]), serde_json::json!([5])));
    assert!(
        !gradient["formula"].as_str().expect("a formula").contains("∇KL"),
        "pi enters no divergence directly"
    );
    assert_eq!(
        gradient["formulas"][1],
        "∇_{mean(weights(world)), sd(weights(world))} L = E_q[ −Σ_{t=1..T, live} \
         ∇KL(line.transition(·|s[t], a[t]) ‖ world(·|s[t], a[t])) − ∇KL(Normal(weights(world)) ‖ \
         Normal(weights(world)|mean=0, sd=1)) ]"
    );
    assert_eq!(
        gradient["formulas"][2],
        "weights(world) = mean(weights(world)) + sd(weights(world))·ε, ε ~ Normal(0, 1)"
    );
    // in the posterior, what it draws is scored: the score passes through the drawn weights too
    let (real, learned) =
        ("s[t+1]         ~ line.transition(s[t], a[t])", "s[t+1]         ~ world(s[t], a[t])");
    let dreaming = text.replace(real, "DREAM").replace(learned, real).replace("DREAM", learned);
    let gradient = field(&dreaming);
    assert_eq!(
        gradient["mean_fields"],
        weights(serde_json::json!(["world(s[t+1]|s[t], a[t])"]), serde_json::json!([5]))
    );
    assert!(
        gradient["formulas"][1]
            .as_str()
            .expect("a formula")
            .contains("∇log world(s[t+1]|s[t], a[t]) · ( ")
    );
    // a given distribution has nothing that moves
    let given =
        text.replace("weights(world) ~ Normal\n", "weights(world) ~ Normal(mean = 0, sd = 0.1)\n");
    assert_eq!(field(&given)["mean_fields"], serde_json::json!([]));
}

/// The parameters of drawn weights stand in print as they do in the derivation.
#[test]
fn drawn_weights_are_printed_in_every_format() {
    let derivation = derivation("bayesian_model");
    let (latex, mathml) = (latex(&derivation, Detail::Bound), mathml(&derivation, Detail::Bound));
    assert!(latex.contains(r"\operatorname{mean} (\text{weights} (\mathrm{world}))"), "{latex}");
    assert!(latex.contains(r"\sim "), "{latex}");
    // a formula goes on in rows that are set in
    let (rows, set_in) =
        (mathml.matches("<mtr>").count(), mathml.matches("left\"><mspace").count());
    assert_eq!(rows - set_in, 4, "the bound, two gradients and the draw of the weights: {mathml}");
}

/// A constant that nobody knows is told where the bound stands, and a step that sets one apart does
/// not repeat the formula.
#[test]
fn constants_are_told_with_the_bound() {
    let derivation = derivation("learning_from_model");
    let text = text(&derivation, Detail::Steps);
    let apart = "«−Σ_{t=1..T} log line.transition(s[t+1]|s[t], a[t])» is set apart as a constant: \
                 the entropy of s[t+1]";
    assert!(text.contains(apart), "{text}");
    for printed in [text, latex(&derivation, Detail::Bound), mathml(&derivation, Detail::Bound)] {
        assert_eq!(printed.matches("known up to the entropy of s[t+1]").count(), 1, "{printed}");
    }
}

/// Lines of the text end before 100 columns where a sum or a product lets them.
#[test]
fn long_formulas_are_broken_in_text() {
    let text = text(&derivation("options_window"), Detail::Steps);
    let long = text.lines().filter(|line| line.chars().count() > 100);
    let rest = long
        .map(|line| line.trim_start_matches(|c: char| c.is_ascii_digit() || " .=+−«".contains(c)));
    let breakable: Vec<&str> = rest
        .filter(|line| [" + ", " − ", " · ", " = "].iter().any(|sign| line.contains(sign)))
        .collect();
    assert!(breakable.is_empty(), "{breakable:#?}");
}

#[test]
fn a_derivation_prints_the_same_bytes_twice() {
    for name in ["options_window", "learning_from_model"] {
        let (one, two) = (derivation(name), derivation(name));
        assert_eq!(text(&one, Detail::Steps), text(&two, Detail::Steps));
        assert_eq!(latex(&one, Detail::Steps), latex(&two, Detail::Steps));
        assert_eq!(mathml(&one, Detail::Steps), mathml(&two, Detail::Steps));
    }
}

/// Formulas are broken into lines; what one line opens another closes.
#[test]
fn every_environment_bracket_and_element_that_is_opened_is_closed() {
    for entry in fs::read_dir(folder()).expect("models/ can be read") {
        let path = entry.expect("models/ can be read").path();
        if path.extension().is_none_or(|extension| extension != "rlmodel") {
            continue;
        }
        let derivation = derivation(
            path.file_stem().and_then(|stem| stem.to_str()).expect("model names are text"),
        );
        let (paper, page) = (latex(&derivation, Detail::Steps), mathml(&derivation, Detail::Steps));
        for (open, close) in [
            ("{", "}"),
            ("(", ")"),
            ("[", "]"),
            ("\\Bigl(", "\\Bigr)"),
            ("\\Bigl[", "\\Bigr]"),
            ("\\begin", "\\end"),
        ] {
            assert_eq!(
                paper.matches(open).count(),
                paper.matches(close).count(),
                "{}: {open} {close}",
                path.display()
            );
        }
        for element in [
            "section",
            "ol",
            "li",
            "math",
            "mtable",
            "mtr",
            "mtd",
            "mrow",
            "msub",
            "mo",
            "mi",
            "mn",
            "mtext",
            "mfrac",
            "munderover",
        ] {
            let opened = page.matches(&format!("<{element}>")).count()
                + page.matches(&format!("<{element} ")).count();
            assert!(
                opened > 0 || ["mtext", "mfrac"].contains(&element),
                "{}: no <{element}>",
                path.display()
            );
            assert_eq!(
                opened,
                page.matches(&format!("</{element}>")).count(),
                "{}: <{element}>",
                path.display()
            );
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn derivation(name: &str) -> Derivation {
    let source =
        Source::read(&folder().join(format!("{name}.rlmodel"))).expect("the model can be read");
    derive(&checked(&source)).unwrap_or_else(|found| panic!("{found}"))
}

fn model(text: &str) -> Model {
    checked(&Source::new("test", text))
}

fn checked(source: &Source) -> Model {
    parse(source)
        .and_then(|file| check(&file, &Overrides::default()))
        .unwrap_or_else(|found| panic!("{found}"))
}
