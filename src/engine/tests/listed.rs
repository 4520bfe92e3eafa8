//! Every estimator's mean over all trajectories of small models is the gradient: with options as
//! they are drawn and with options summed out, whatever the terms read ahead. The reference credits
//! each draw with everything, which no notion of what is downstream can make wrong; the oracle
//! agrees with it where it takes the model.

use super::testing::{numbers, planned, try_plan};
use crate::bound::derive;
use crate::engine::proof::listed::{bias, mean_gradient};
use crate::engine::{Parameters, SCALES, Viewpoint, exact_gradient};
use crate::plan::{Claim, Credited, OptionGradient, Plan, alternatives};

const MOST: usize = 20_000;

/// A chain of three states; `rest` has the kernels and the blocks.
pub(super) fn chain(horizon: usize, end: &str, rest: &str) -> String {
    let infer = "infer { trajectories = 4; threads = 1; precision = f64 }";
    format!("model chain\nhorizon T = {horizon}\n{}\n{rest}\n{infer}", environment("Delta(0)", end))
}

/// It slips to `slip`.
pub(super) fn environment(slip: &str, end: &str) -> String {
    format!(
        "environment e {{
           state s : 0..2
           action a : {{ left, right }}
           reward r in [-2, 0]
           s[1]   ~ Categorical(probs = [0.6, 0.4, 0])
           s[t+1] ~ Mixture(0.7: Delta(min(s[t] + a[t], 2)), 0.3: {slip})
           r[t]   = -0.3 * a[t] - abs(s[t+1] - 1)
           {end}
         }}"
    )
}

/// An option at every step, of which `kernel back(o | GIVENS)` is the reverse model at
/// `back(ARGUMENTS)`.
fn with_reverse(givens: &str, logits: &str, arguments: &str) -> String {
    format!(
        "option o : 2
         kernel pi(a | s, o) = Categorical(logits = table(s, o))
         kernel pick(o | s, last: o?) = Sticky(last, keep = sigmoid(linear(s)), fresh = \
         Categorical(logits = table(s, last)))
         kernel back(o | {givens}) = Categorical(logits = {logits})
         prior      {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior  {{ s[1] ~ e.initial; o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t]); s[t+1] \
         ~ e.transition(s[t], a[t]) }}
         auxiliary  {{ o[t] ~ back({arguments}) }}"
    )
}

/// An option that is drawn once, with other blocks.
fn once(kernels: &str, prior: &str, likelihood: &str, auxiliary: &str) -> String {
    format!(
        "option o : 2
         kernel pi(a | s, o, t) = Categorical(logits = table(s, o, t))
         kernel pick(o | s) = Categorical(logits = table(s))
         {kernels}
         prior      {{ s[1] ~ e.initial; {prior} a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], \
         a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]); {likelihood} }}
         posterior  {{ s[1] ~ e.initial; o[1] ~ pick(s[1]); a[t] ~ pi(s[t], o[1], t); s[t+1] ~ \
         e.transition(s[t], a[t]) }}
         {auxiliary}"
    )
}

/// An option at every step, drawn and read as they say.
fn each(
    kernels: &str,
    prior: &str,
    likelihood: &str,
    (option, action): (&str, &str),
    auxiliary: &str,
) -> String {
    format!(
        "option o : 2
         {kernels}
         prior      {{ s[1] ~ e.initial; {prior} a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], \
         a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]); {likelihood} }}
         posterior  {{ s[1] ~ e.initial; o[t] ~ {option}; a[t] ~ {action}; s[t+1] ~ \
         e.transition(s[t], a[t]) }}
         {auxiliary}"
    )
}

#[derive(Default)]
pub(super) struct Seen {
    /// How many gradients the oracle could compare.
    pub(super) by_oracle: usize,
    pub(super) summed: usize,
}

/// How far parameters are from their initial values: where a missing term is small, and where it is
/// not.
pub(super) const SIZES: [f64; 3] = [0.3, 1.0, 3.0];

/// Holds the mean of each estimator against the gradient, at parameters of several sizes.
pub(super) fn assert_unbiased(name: &str, text: &str, sizes: &[f64], seen: &mut Seen) {
    // what lies outside at every step is refused: the longer chain has it
    if text.contains("horizon T = 2") && text.contains("t+3") {
        return;
    }
    let sampled = try_plan(text).unwrap_or_else(|errors| panic!("{name}: {errors}"));
    let enumerated = try_plan(&text.replace("infer {", "infer { options = enumerate;"));
    seen.summed += usize::from(enumerated.is_ok());
    let trained: Vec<usize> = sampled
        .trained
        .iter()
        .flat_map(|&id| Parameters::<f64>::initial(&sampled.model, 0).layout().range(id))
        .collect();
    let mut wholly = sampled.clone();
    wholly
        .terms
        .iter_mut()
        .flat_map(|term| &mut term.credit)
        .for_each(|credit| *credit = Some(Credited::All));
    for (&size, seed) in sizes.iter().zip(1..) {
        let mut parameters = Parameters::<f64>::initial(&sampled.model, seed);
        let noise = numbers(parameters.values().len(), seed);
        parameters
            .values_mut()
            .iter_mut()
            .zip(noise)
            .for_each(|(value, noise)| *value += size * noise);
        let mean = |plan: &Plan| {
            mean_gradient(plan, &parameters, MOST).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let reference = mean(&wholly);
        assert!(
            (reference.probability - 1.0).abs() < 1e-9,
            "{name}: probability {}",
            reference.probability
        );
        let scale =
            trained.iter().fold(0.0, |scale: f64, &at| scale.max(reference.gradient[at].abs()));
        let assert_close = |what: &str, gradient: &[f64]| {
            for &at in &trained {
                let (found, right) = (gradient[at], reference.gradient[at]);
                assert!(
                    (found - right).abs() <= 1e-9 * scale,
                    "{name}, size {size}: {what} has {found} at {at}, the gradient {right}"
                );
            }
        };
        assert!(scale > 1e-3, "{name}: nothing moves");
        if let Ok(exact) = exact_gradient(&sampled, &parameters, &parameters) {
            seen.by_oracle += 1;
            assert_close("the oracle", &exact);
        }
        assert_close("options = sampled", &mean(&sampled).gradient);
        if let Ok(enumerated) = &enumerated {
            assert!(enumerated.settings.options == OptionGradient::Enumerated);
            assert_close("options = enumerate", &mean(enumerated).gradient);
        }
    }
}

/// Horizons, ends, and sizes of parameters: longer trajectories are many.
const CHAINS: [(usize, &str, &[f64]); 2] = [(2, "", &SIZES), (3, "end when s[t] == 2", &[1.0])];

/// Of reverse models at every step: what `back` is given, its logits, and its arguments.
const REVERSE: [(&str, &str, &str); 14] = [
    ("s", "table(s)", "s[t]"),
    ("s, next: s", "table(s, next)", "s[t], s[t+1]"),
    ("s, soon: s?", "table(s, soon)", "s[t], s[t+2]"),
    ("soon: s?, a: a?", "table(soon, a)", "s[t+3], a[t+2]"),
    ("s, fin: s, a?", "table(s, fin, a)", "s[t], s[T], a[T]"),
    ("fin: s", "table(fin)", "s[T+1]"),
    ("s, next: a?", "table(s, next)", "s[t], a[t+1]"),
    ("later: a[..]", "linear(gru(later, hidden = 2))", "a[t..]"),
    ("all: s[..]", "linear(gru(all, hidden = 2))", "s[..T]"),
    ("last: o?, soon: s?", "table(last, soon)", "o[t-1], s[t+2]"),
    ("next: o?, s", "table(next, s)", "o[t+1], s[t]"),
    ("next: o?, fin: s", "table(next, fin)", "o[t+1], s[T+1]"),
    ("next: o?, soon: s?", "table(next, soon)", "o[t+1], s[t+3]"),
    ("seen: s[3]?", "mlp(seen, hidden = [3])", "s[t-1..t+1]"),
];

#[test]
fn reverse_models_that_read_ahead_are_credited_to_every_draw_before() {
    let mut seen = Seen::default();
    for (horizon, end, sizes) in CHAINS {
        for (givens, logits, arguments) in REVERSE {
            let text = chain(horizon, end, &with_reverse(givens, logits, arguments));
            assert_unbiased(&format!("back({arguments}) {end}"), &text, sizes, &mut seen);
        }
    }
    let far = REVERSE.iter().filter(|(_, _, arguments)| arguments.contains("t+3")).count();
    assert_eq!(seen.summed, 2 * REVERSE.len() - far);
    assert!(seen.by_oracle > 20, "{}", seen.by_oracle);
}

#[test]
fn a_term_that_is_not_credited_is_seen_at_every_size() {
    for arguments in ["s[T+1]", "s[t+2]"] {
        let text = chain(2, "", &with_reverse("soon: s?", "table(soon)", arguments));
        let whole = try_plan(&text.replace("infer {", "infer { options = enumerate;")).unwrap();
        let mut short = whole.clone();
        // as if the reverse model read nothing later than its own step
        short
            .terms
            .iter_mut()
            .flat_map(|term| &mut term.credit)
            .for_each(|credit| *credit = Some(Credited::From(0)));
        for (size, seed) in SIZES.into_iter().zip(1..) {
            let mut parameters = Parameters::<f64>::initial(&whole.model, seed);
            let noise = numbers(parameters.values().len(), seed);
            parameters
                .values_mut()
                .iter_mut()
                .zip(noise)
                .for_each(|(value, noise)| *value += size * noise);
            let mean = |plan: &Plan| mean_gradient(plan, &parameters, MOST).unwrap().gradient;
            let apart = mean(&whole)
                .iter()
                .zip(mean(&short))
                .fold(0.0, |apart: f64, (a, b)| apart.max((a - b).abs()));
            assert!(apart > 1e-4, "{arguments}, size {size}: {apart}");
        }
    }
}

#[test]
fn an_option_drawn_once_is_credited_with_all_that_reads_it() {
    let back = |givens: &str, logits: &str| {
        format!("kernel back(o | {givens}) = Categorical(logits = {logits})")
    };
    let decoder = "kernel decoder(o | s, goal: s) = Categorical(logits = table(s, goal))";
    let ahead = |arguments: &str| format!("auxiliary {{ o[1] ~ back({arguments}) }}");
    let decoded = "H[T] ~ decoder(o[1] | s[1], s[T+1])";
    let models = [
        once(&back("fin: s", "table(fin)"), "", "", &ahead("s[T+1]")),
        once(&back("fin: s, a?", "table(fin, a)"), "", "", &ahead("s[T], a[T]")),
        once(&back("seen: a[..]", "linear(gru(seen, hidden = 2))"), "", "", &ahead("a[..T]")),
        once(decoder, "o[1] ~ Uniform;", decoded, ""),
        once(decoder, "o[1] ~ pick(s[1]);", decoded, ""),
        once(
            &format!("{decoder}\n{}", back("fin: s", "table(fin)")),
            "",
            decoded,
            &ahead("s[T+1]"),
        ),
        once(
            "kernel told(o | s, soon: s?) = Categorical(logits = table(s, soon))",
            "o[1] ~ Uniform;",
            "H[t] ~ told(o[1] | s[t], s[t+2])",
            "",
        ),
    ];
    let mut seen = Seen::default();
    for (horizon, end, sizes) in CHAINS {
        for (at, model) in models.iter().enumerate() {
            assert_unbiased(
                &format!("model {at} {end}"),
                &chain(horizon, end, model),
                sizes,
                &mut seen,
            );
        }
    }
    assert_eq!(seen.summed, 2 * models.len());
    assert!(seen.by_oracle > 0);
}

const PICK: &str = "kernel pick(o | s, last: o?) = Categorical(logits = table(s, last))";
const DRAWN: &str = "pick(s[t], o[t-1])";

#[test]
fn options_at_every_step_are_credited_through_whatever_reads_them() {
    let with = |kernels: &str| format!("{PICK}\n{kernels}");
    let flat = "kernel pi(a | s, o) = Categorical(logits = table(s, o))";
    let last = "kernel pi(a | s, o, last: o?) = Categorical(logits = table(s, o) + table(last))";
    let timed = "kernel pi(a | s, o, t) = Categorical(logits = table(s, o, t))";
    let past = "kernel pi(a | o, past: a[..]) = Categorical(logits = mlp(o, gru(past, hidden = \
                2), hidden = [3]))";
    let fin = "kernel back(o | fin: s) = Categorical(logits = table(fin))";
    let (by_state, of_fin) = ((DRAWN, "pi(s[t], o[t])"), "auxiliary { o[t] ~ back(s[T+1]) }");
    let told = |givens: &str, logits: &str| {
        format!("kernel told(o | {givens}) = Categorical(logits = {logits})")
    };
    let seen_state = "kernel told(s | o, last: o?) = Categorical(logits = table(o, last))";
    let other = "kernel other(o | s, last: o?) = Sticky(last, keep = 0.4, fresh = \
                 Categorical(logits = table(s)))";
    let models = [
        each(&with(&format!("{last}\n{fin}")), "", "", (DRAWN, "pi(s[t], o[t], o[t-1])"), of_fin),
        each(&with(&format!("{timed}\n{fin}")), "", "", (DRAWN, "pi(s[t], o[t], t)"), of_fin),
        each(&with(&format!("{past}\n{fin}")), "", "", (DRAWN, "pi(o[t], a[..t-1])"), of_fin),
        each(&with(flat), "o[t] ~ pick(s[t], o[t-1]);", "", by_state, ""),
        each(&with(flat), "o[t] ~ Uniform;", "", by_state, ""),
        each(&with(&format!("{flat}\n{other}")), "o[t] ~ other(s[t], o[t-1]);", "", by_state, ""),
        each(
            &with(&format!("{flat}\n{}", told("soon: s?", "table(soon)"))),
            "o[t] ~ Uniform;",
            "H[t] ~ told(o[t] | s[t+3])",
            by_state,
            "",
        ),
        each(
            &with(&format!("{flat}\n{}", told("fin: s", "table(fin)"))),
            "o[t] ~ Uniform;",
            "H[T] ~ told(o[T] | s[T+1])",
            by_state,
            "",
        ),
        each(
            &with(&format!("{flat}\n{seen_state}")),
            "o[t] ~ Uniform;",
            "H[t] ~ told(s[t+1] | o[t], o[t-1])",
            by_state,
            "",
        ),
        each(
            &with(&format!("{flat}\n{fin}\n{}", told("s, a?", "table(s, a)"))),
            "",
            "H[t] ~ told(o[t] | s[t], a[t+1])",
            by_state,
            of_fin,
        ),
    ];
    let mut seen = Seen::default();
    for (horizon, end, sizes) in CHAINS {
        for (at, model) in models.iter().enumerate() {
            // after an end there is no option to tell
            if end.is_empty() || !model.contains("told(") {
                assert_unbiased(
                    &format!("model {at} {end}"),
                    &chain(horizon, end, model),
                    sizes,
                    &mut seen,
                );
            }
        }
    }
    // four stand in one chain alone, and what is told of `s[t+3]` in none
    assert_eq!(seen.summed, 2 * models.len() - 5);
    assert!(seen.by_oracle > 10, "{}", seen.by_oracle);
}

/// A bound whose states a learned model draws; `hidden` or not.
fn imagined(hidden: &str, reverse: &str, infer: &str) -> String {
    let (prior, auxiliary) = match reverse {
        "" => ("o[t] ~ pick(s[t], o[t-1]);", String::new()),
        arguments => ("", format!("auxiliary {{ o[t] ~ back({arguments}) }}")),
    };
    format!(
        "model chain
         horizon T = 2
         {hidden} {}
         option o : 2
         {PICK}
         kernel pi(a | s, o) = Categorical(logits = table(s, o))
         kernel world(s' | s, a) = Categorical(logits = table(s, a))
         kernel back(o | s, fin: s) = Categorical(logits = table(s, fin))
         bound fit {{
           prior      {{ s[1] ~ e.initial; o[t] ~ pick(s[t], o[t-1]); a[t] ~ Uniform; s[t+1] ~ \
           world(s[t], a[t]) }}
           posterior  {{ s[1] ~ e.initial; o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t]); \
           s[t+1] ~ e.transition(s[t], a[t]) }}
         }}
         bound act {{
           prior      {{ s[1] ~ e.initial; {prior} a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], \
           a[t]) }}
           likelihood {{ R[t] ~ exp(r[t]) }}
           posterior  {{ s[1] ~ e.initial; o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t]); \
           s[t+1] ~ world(s[t], a[t]) }}
           {auxiliary}
         }}
         infer {{ maximize fit over world; maximize act over pi, pick; trajectories = 4; threads \
         = 1; precision = f64; {infer} }}",
        environment("Uniform", "")
    )
}

#[test]
fn options_in_imagined_worlds_are_credited_with_the_model_s_error() {
    let ratio = "ratio = mlp(s, a, s', hidden = [3])";
    let mut seen = Seen::default();
    for reverse in ["", "s[t], s[T+1]", "s[t], s[T]"] {
        assert_unbiased(&format!("back({reverse})"), &imagined("", reverse, ""), &SIZES, &mut seen);
        assert_unbiased(
            &format!("hidden, back({reverse})"),
            &imagined("hidden", reverse, ratio),
            &SIZES,
            &mut seen,
        );
    }
    assert_eq!(seen.summed, 6);
    assert!(seen.by_oracle > 0);
}

/// What is seen of a state is drawn: each observation makes a trajectory of its own.
#[test]
fn policies_of_random_observations_are_credited_through_what_they_see() {
    let mut seen = Seen::default();
    for (posterior, kernels) in [
        ("a[t] ~ pi(x[t])", "kernel pi(a | x) = Categorical(logits = table(x))"),
        (
            "o[t] ~ pick(x[t], o[t-1]); a[t] ~ pi(x[t], o[t])",
            "option o : 2
             kernel pick(o | x, last: o?) = Categorical(logits = table(x, last))
             kernel pi(a | x, o) = Categorical(logits = table(x, o))",
        ),
    ] {
        let option = if kernels.contains("option") { "o[t] ~ Uniform;" } else { "" };
        let text = format!(
            "model seen\nhorizon T = 2
             environment e {{
               state s : 0..2
               action a : {{ left, right }}
               observation x : {{ low, middle, high }}
               reward r in [-2, 0]
               s[1]   ~ Categorical(probs = [0.6, 0.4, 0])
               s[t+1] ~ Mixture(0.7: Delta(min(s[t] + a[t], 2)), 0.3: Uniform)
               x[t]   ~ Categorical(probs = if s[t] == 0 then [0.7, 0.3, 0] else [0.1, 0.4, 0.5])
               r[t]   = -0.3 * a[t] - abs(s[t+1] - 1)
               end when s[t] == 2
             }}
             {kernels}
             prior      {{ s[1] ~ e.initial; x[t] ~ e.observation(s[t]); {option} a[t] ~ Uniform; \
             s[t+1] ~ e.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior  {{ s[1] ~ e.initial; x[t] ~ e.observation(s[t]); {posterior}; s[t+1] ~ \
             e.transition(s[t], a[t]) }}
             infer {{ trajectories = 4; threads = 1; precision = f64 }}"
        );
        assert_unbiased(posterior, &text, &SIZES, &mut seen);
    }
    assert!(seen.by_oracle > 0, "the oracle takes observations");
}

#[test]
fn what_connects_options_that_are_no_neighbours_is_refused_and_runs_sampled() {
    let first = format!("{PICK}\nkernel pi(a | s, o) = Categorical(logits = table(s, o))");
    let both = format!(
        "{PICK}\nkernel pi(a | s, o, first: o) = Categorical(logits = table(s, o) + table(first))"
    );
    let with = |kernel: &str| format!("{first}\n{kernel}");
    let far = with("kernel back(o | soon: o?) = Categorical(logits = table(soon))");
    let told = with("kernel told(o | last: o?) = Categorical(logits = table(last))");
    let (by_first, by_own) = ((DRAWN, "pi(s[t], o[1])"), (DRAWN, "pi(s[t], o[t])"));
    let models = [
        ("pi", each(&first, "o[t] ~ Uniform;", "", by_first, "")),
        ("pi", each(&both, "o[t] ~ Uniform;", "", (DRAWN, "pi(s[t], o[t], o[1])"), "")),
        ("back", each(&far, "", "", by_own, "auxiliary { o[t] ~ back(o[t+2]) }")),
        ("told", each(&told, "o[t] ~ Uniform;", "H[t] ~ told(o[t] | o[1])", by_own, "")),
        ("told", each(&told, "o[t] ~ Uniform;", "H[t] ~ told(o[t] | o[t-2])", by_own, "")),
    ];
    let mut seen = Seen::default();
    for (kernel, model) in &models {
        let text = chain(3, "", model);
        let told = try_plan(&text.replace("infer {", "infer { options = enumerate;")).unwrap_err();
        let what = "`options = enumerate` sums over the values of `o` at two neighbouring steps";
        assert_eq!(
            told,
            format!("{what}, and `{kernel}` connects steps that are farther apart"),
            "{model}"
        );
        assert_unbiased(model, &text, &[1.0], &mut seen);
    }
    assert_eq!(seen.summed, 0);
}

#[test]
fn coins_are_policies_and_options() {
    let coins = "option o : 2
         kernel pi(a | s, o) = Bernoulli(logits = table(s, o))
         kernel pick(o | s) = Bernoulli(logits = table(s))
         kernel back(o | s, a) = Bernoulli(logits = table(s, a))
         prior      { s[1] ~ e.initial; a[t] ~ Bernoulli(probs = 0.3); s[t+1] ~ \
         e.transition(s[t], a[t]) }
         likelihood { R[t] ~ exp(r[t]) }
         posterior  { s[1] ~ e.initial; o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t]); s[t+1] ~ \
         e.transition(s[t], a[t]) }
         auxiliary  { o[t] ~ back(s[t], a[t]) }";
    let mut seen = Seen::default();
    assert_unbiased("coins", &chain(2, "", coins), &[0.5, 1.5], &mut seen);
}

/// Exponents that read other steps than their own; those of the second list go on after an end.
const ELSEWHERE: [&str; 8] = [
    "D[t] ~ exp(if t == 1 then 0 else -abs(a[t] - a[t-1]))",
    "D[t] ~ exp(if t < T then -abs(2 * a[t+1] - s[t]) else r[t])",
    "D[t] ~ exp(-0.5 * a[1] * s[t+1])",
    "D[T] ~ exp(-abs(a[T] - a[1]) + r[1])",
    "D[t] ~ exp(-0.4 * abs(s[t+1] - a[T]))",
    "D[t] ~ exp(if t > 1 and s[t] == s[t-1] then -a[t-1] else 0)",
    "D[t] ~ exp(if t + 2 <= T then -abs(s[t+2] - s[1]) - a[t+1] else -0.1 * t)",
    "D[1] ~ exp(-abs(s[T+1] - s[1]) - a[T] - a[1])",
];
const AFTER_AN_END: [&str; 11] = [
    "D[t] ~ exp(-abs(s[t+1] - s[1]))",
    "D[t] ~ exp(r[t] - abs(s[t+1] - s[1]))",
    "D[t] ~ exp(-abs(s[T+1] - s[t]))",
    "D[T] ~ exp(-abs(s[T+1] - s[1]))",
    "D[1] ~ exp(-abs(s[T+1] - s[1]) + r[1])",
    "D[t] ~ exp(if t == 1 then r[t] else -r[t] * r[t-1])",
    "D[t] ~ exp(r[1] - 0.3 * r[1] * r[t])",
    "D[t] ~ exp(if t < T then -s[t+2] * r[t+1] * r[t+1] else r[T])",
    "D[t] ~ exp(if a[t] == a[t-1] then 0 else -0.7)",
    "D[t] ~ exp(if a[t] == a[1] and t > 1 then -0.2 * s[t] else r[t])",
    "D[t] ~ exp(if a[T] == a[t] then 0 else -0.3 * abs(s[T] - s[t]))",
];

#[test]
fn exponents_that_read_other_steps_are_credited_to_all_that_they_follow() {
    let with = |likelihood: &str| {
        format!(
            "kernel pi(a | s, t) = Categorical(logits = table(s, t))
             prior      {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]); {likelihood} }}
             posterior  {{ s[1] ~ e.initial; a[t] ~ pi(s[t], t); s[t+1] ~ e.transition(s[t], \
             a[t]) }}"
        )
    };
    let mut seen = Seen::default();
    for (horizon, end, sizes) in CHAINS {
        let live = ELSEWHERE.iter().filter(|_| end.is_empty());
        for likelihood in live.chain(&AFTER_AN_END) {
            let text = chain(horizon, end, &with(likelihood));
            assert_unbiased(&format!("{likelihood} {end}"), &text, sizes, &mut seen);
        }
    }
    let (live, all) = (ELSEWHERE.len(), AFTER_AN_END.len());
    assert_eq!(seen.by_oracle, SIZES.len() * (live + all) + all);
}

#[test]
fn exponents_that_read_options_of_other_steps_are_credited_to_what_draws_them() {
    let flat = format!("{PICK}\nkernel pi(a | s, o) = Categorical(logits = table(s, o))");
    let read = [
        "D[t] ~ exp(if o[t] == o[1] then 0 else -0.5)",
        "D[t] ~ exp(if t > 2 and o[t] != o[t-2] then r[t] - 0.2 * s[t-1] else 0)",
        "D[t] ~ exp(if o[T] == o[t] then 0 else -0.4 * abs(s[t] - s[T]))",
        "D[t] ~ exp(if o[t+1] == o[t] then 0 else -0.4)",
        "D[t] ~ exp(if o[t] == 1 then -0.5 * abs(s[t+1] - s[1]) else r[t])",
        "D[t] ~ exp(if o[t-1] == 1 then -0.5 * abs(s[t+1] - s[1]) else 0)",
    ];
    let kept = [
        "D[T] ~ exp(-abs(s[T+1] - 2 * o[1]))",
        "D[t] ~ exp(-abs(s[t+1] - s[1]) * o[1] + (1 - o[1]) * r[t])",
        "D[t] ~ exp(if t == 1 then 0 else -abs(s[t+1] - s[t-1]) * o[1])",
    ];
    let each_step = |likelihood: &&str| {
        each(&flat, "o[t] ~ Uniform;", likelihood, (DRAWN, "pi(s[t], o[t])"), "")
    };
    let first = |likelihood: &&str| once("", "o[1] ~ Uniform;", likelihood, "");
    let models: Vec<String> = read.iter().map(each_step).chain(kept.iter().map(first)).collect();
    let mut seen = Seen::default();
    for (horizon, end, sizes) in CHAINS {
        for model in &models {
            assert_unbiased(model, &chain(horizon, end, model), sizes, &mut seen);
        }
    }
    assert_eq!(seen.by_oracle, (SIZES.len() + 1) * models.len());
    // three connect options that are farther apart than neighbours
    assert_eq!(seen.summed, 2 * (models.len() - 3));
}

#[test]
fn priors_that_read_other_steps_are_compared_with_the_draw_they_are_of() {
    let with = |prior: &str| {
        format!(
            "kernel pi(a | s, t) = Categorical(logits = table(s, t))
             kernel used(a | s, last: a) = Categorical(logits = [s, 2 * last])
             prior      {{ s[1] ~ e.initial; {prior}; s[t+1] ~ e.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior  {{ s[1] ~ e.initial; a[t] ~ pi(s[t], t); s[t+1] ~ e.transition(s[t], \
             a[t]) }}"
        )
    };
    let priors = [
        "a[t] ~ Categorical(logits = [s[1], 0.5])",
        "a[t] ~ Categorical(logits = if t == 1 then [0, 1] else [a[t-1], s[t-1]])",
        "a[1] ~ Uniform; a[t+1] ~ Categorical(logits = [2 * a[t], s[t]])",
        "a[1] ~ Categorical(logits = [s[1], 1]); a[t+1] ~ Categorical(logits = [s[t+1], a[t]])",
        "a[1] ~ Uniform; a[t+1] ~ used(s[t], a[t])",
    ];
    let mut seen = Seen::default();
    for (horizon, end, sizes) in CHAINS {
        for prior in priors {
            assert_unbiased(prior, &chain(horizon, end, &with(prior)), sizes, &mut seen);
        }
    }
    assert_eq!(seen.by_oracle, (SIZES.len() + 1) * priors.len());
}

/// Of each estimator of a file, with every baseline: what claims to be unbiased is to the last
/// digits, in the midst of a round, too; what is biased by design is seen to be.
#[test]
fn the_bias_of_each_estimator_comes_out_exactly() {
    let flat = format!(
        "{PICK}
         kernel pi(a | s, o) = Categorical(logits = table(s, o))
         kernel back(o | s, fin: s) = Categorical(logits = table(s, fin))"
    );
    let read_ahead = "auxiliary { o[t] ~ back(s[t], s[T+1]) }";
    let own = [
        "baseline = table(s, o, t)",
        "baseline = table(s); lambda = 0.5",
        "baseline = table(s); discount = 0.9",
    ];
    let files = own.map(|own| {
        let text = chain(
            3,
            "end when s[t] == 2",
            &each(&flat, "", "", (DRAWN, "pi(s[t], o[t])"), read_ahead),
        );
        text.replace("infer {", &format!("infer {{ {own};"))
    });
    let previous = chain(
        3,
        "",
        "kernel pi(a | s) = Categorical(logits = table(s))
         prior      { s[1] ~ e.initial; a[t] ~ previous pi(s[t]);
                      s[t+1] ~ e.transition(s[t], a[t]) }
         likelihood { R[t] ~ exp(r[t]) }
         posterior  { s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ e.transition(s[t], a[t]) }",
    )
    .replace("infer {", "infer { rounds = 2; steps = 2;");
    let (mut unbiased, mut biased) = (0, 0);
    for text in files.into_iter().chain([previous]) {
        let plan = planned(&text);
        for one in alternatives(&plan.model, &derive(&plan.model).unwrap()).unwrap() {
            for (&scale, seed) in SCALES.iter().zip(3..) {
                let at = Viewpoint::of(&one.plan, scale, seed).unwrap();
                let found = bias(&one.plan, &at, MOST).unwrap();
                match one.claim {
                    Claim::Unbiased => {
                        unbiased += 1;
                        assert!(found.is_rounding(), "{}: {found:?}", one.name);
                    }
                    Claim::Biased => {
                        biased += 1;
                        assert!(found.largest > 1e-4 * found.scale, "{}: {found:?}", one.name);
                    }
                    Claim::BeyondOneBatch(_) => {}
                }
            }
        }
    }
    assert!(unbiased >= 30 && biased >= 15, "{unbiased} {biased}");
}

/// Options are summed out beside any prior of the action: of one family with it or of another, in
/// place or learned, and what it reads of the option is summed, too.
#[test]
fn options_are_summed_out_beside_any_prior_of_the_action() {
    let pick = "kernel pi(a | s, o) = Categorical(logits = table(s, o))
         kernel pick(o | s, last: o?) = Categorical(logits = table(s, last))";
    let mut seen = Seen::default();
    for (kernels, prior, option) in [
        ("", "a[t] ~ Categorical(probs = [0.3, 0.7])", "o[t] ~ Uniform"),
        (
            "",
            "a[t] ~ Categorical(probs = if s[t] == 1 then [0.2, 0.8] else [0.6, 0.4])",
            "o[t] ~ Uniform",
        ),
        ("", "a[t] ~ Categorical(probs = [[0.2, 0.8], [0.6, 0.4]][o[t]])", "o[t] ~ Uniform"),
        (
            "kernel known(a | s) = Categorical(logits = table(s))
             kernel before(o | last: o?) = Categorical(logits = table(last))",
            "a[t] ~ known(s[t])",
            "o[t] ~ before(o[t-1])",
        ),
        (
            "kernel known(a | s, o) = Categorical(logits = table(s, o))",
            "a[t] ~ known(s[t], o[t])",
            "o[t] ~ Uniform",
        ),
    ] {
        let prior = format!("{option}; {prior};");
        let kernels = format!("{pick}\n{kernels}");
        let draws = ("pick(s[t], o[t-1])", "pi(s[t], o[t])");
        let rest = each(&kernels, &prior, "", draws, "").replace("a[t] ~ Uniform;", "");
        for end in ["", "end when s[t] == 2"] {
            assert_unbiased(&prior, &chain(3, end, &rest), &SIZES, &mut seen);
        }
    }
    assert_eq!(seen.summed, 10);
    assert!(seen.by_oracle > 0);
}

/// A prior that reads what its step draws behind it is compared at what was drawn: a divergence in
/// closed form would read what is not there yet.
#[test]
fn a_prior_may_read_what_its_step_draws_later() {
    let kernels = "kernel pi(a | s) = Categorical(logits = table(s))
         kernel pick(o | s) = Categorical(logits = table(s))
         kernel habit(o | s, a) = Categorical(logits = table(s, a))";
    let mut seen = Seen::default();
    let draws = ("pick(s[t])", "pi(s[t])");
    let rest = each(kernels, "o[t] ~ habit(s[t], a[t]);", "", draws, "");
    assert_unbiased("habit(s[t], a[t])", &chain(3, "end when s[t] == 2", &rest), &SIZES, &mut seen);
    assert_eq!(seen.by_oracle, SIZES.len());
}
