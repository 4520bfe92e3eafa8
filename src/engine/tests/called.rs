//! Kernels are called as one writes them: with what is computed from draws, and one kernel with
//! several lists of arguments. On finite chains the mean of each estimator over all trajectories is
//! the gradient, which the oracle agrees with; over real numbers a kernel that is called with an
//! expression is the kernel in whose networks that expression stands, to the bit.

use super::listed::{SIZES, Seen, assert_unbiased, chain, environment};
use super::testing::{planned, try_plan};
use crate::engine::infer;

/// What prior and posterior draw of an action and of options, with the kernels and other blocks.
struct Calls {
    kernels: &'static str,
    prior: &'static str,
    posterior: &'static str,
    likelihood: &'static str,
    auxiliary: &'static str,
}

impl Calls {
    fn of(kernels: &'static str, prior: &'static str, posterior: &'static str) -> Calls {
        Calls { kernels, prior, posterior, likelihood: "", auxiliary: "" }
    }

    fn text(&self, (horizon, end): (usize, &str)) -> String {
        let Calls { kernels, prior, posterior, likelihood, auxiliary } = self;
        let rest = format!(
            "{kernels}
             prior      {{ s[1] ~ e.initial; {prior}; s[t+1] ~ e.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]); {likelihood} }}
             posterior  {{ s[1] ~ e.initial; {posterior}; s[t+1] ~ e.transition(s[t], a[t]) }}
             {auxiliary}"
        );
        chain(horizon, end, &rest)
    }
}

/// Policies over what is computed from the state, the first one, the time and an earlier action.
const POLICY: &str = "kernel pi(a | s) = Categorical(logits = table(s))";
const NETWORK: &str =
    "kernel pi(a | s, last: a?) = Categorical(logits = mlp(s, last, hidden = [3]))";
const WITH_OPTION: &str = "option o : 2
    kernel pi(a | s, o) = Categorical(logits = per(o, table(s)))
    kernel pick(o | s, last: o?) = Sticky(last, keep = sigmoid(linear(s)), fresh = \
    Categorical(logits = table(s, last)))
    kernel back(o | s, next: o?) = Categorical(logits = table(s, next))";

fn calls() -> Vec<Calls> {
    let uniform = "a[t] ~ Uniform";
    let options = "o[t] ~ pick(2 - s[t], o[t-1]); a[t] ~ pi(s[t], 1 - o[t])";
    vec![
        Calls::of(POLICY, uniform, "a[t] ~ pi(2 - s[t])"),
        Calls::of(POLICY, uniform, "a[t] ~ pi(min(abs(s[t] - s[1]) + 1, 2))"),
        Calls::of(POLICY, uniform, "a[t] ~ pi(if t == 1 then 2 else s[t])"),
        Calls::of(POLICY, uniform, "a[t] ~ pi([1, 2, 0][s[t]])"),
        Calls::of(NETWORK, uniform, "a[t] ~ pi(2 - s[t], 1 - a[t-1])"),
        Calls::of(NETWORK, uniform, "a[t] ~ pi(s[t], if t == 1 then 1 else a[t-1])"),
        // the same kernel at other values, present and of the last round
        Calls::of(POLICY, "a[t] ~ pi(min(s[t] + 1, 2))", "a[t] ~ pi(2 - s[t])"),
        Calls::of(POLICY, "a[t] ~ pi(s[t])", "a[t] ~ pi(2 - s[t])"),
        Calls::of(POLICY, "a[t] ~ pi(s[1])", "a[t] ~ pi(s[t])"),
        Calls::of(NETWORK, "a[t] ~ pi(s[1], none)", "a[t] ~ pi(s[t], a[t-1])"),
        Calls::of(POLICY, "a[t] ~ previous pi(s[1])", "a[t] ~ pi(s[t])"),
        Calls::of(POLICY, "a[t] ~ previous pi(2 - s[t])", "a[t] ~ pi(2 - s[t])"),
        // options that stay at what is computed, and reverse models
        Calls {
            auxiliary: "auxiliary { o[t] ~ back(min(s[t+1] + s[t], 2), 1 - o[t+1]) }",
            ..Calls::of(WITH_OPTION, uniform, options)
        },
        Calls {
            auxiliary: "auxiliary { o[t] ~ back(s[T+1], o[t+1]) }",
            ..Calls::of(
                WITH_OPTION,
                uniform,
                "o[t] ~ pick(s[t], 1 - o[t-1]); a[t] ~ pi(2 - s[t], o[t])",
            )
        },
        Calls::of(
            WITH_OPTION,
            "o[t] ~ pick(2 - s[t], o[t-1]); a[t] ~ pi(s[1], 1 - o[t])",
            "o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t])",
        ),
        // a decoder
        Calls {
            likelihood: "H[T] ~ guess(s[1] | 2 - s[T+1], a[T])",
            ..Calls::of(
                "kernel pi(a | s) = Categorical(logits = table(s))
                 kernel guess(s | fin: s, a) = Categorical(logits = table(fin, a))",
                uniform,
                "a[t] ~ pi(2 - s[t])",
            )
        },
    ]
}

#[test]
fn arguments_that_are_computed_leave_every_estimator_unbiased() {
    let mut seen = Seen::default();
    let all = calls();
    for call in &all {
        let name = format!("{} | {} | {}", call.posterior, call.prior, call.auxiliary);
        assert_unbiased(&name, &call.text((2, "")), &SIZES, &mut seen);
        if call.likelihood.is_empty() {
            assert_unbiased(&name, &call.text((3, "end when s[t] == 2")), &[1.0], &mut seen);
        }
    }
    assert!(seen.by_oracle > 45, "{}", seen.by_oracle);
    assert!(seen.summed > 0, "{}", seen.summed);
}

/// What a model imagines, beside a prior that is no environment: `state` draws there, and `end`
/// ends episodes.
fn imagined(kernels: &str, state: &str, end: &str) -> String {
    format!(
        "model chain
         horizon T = 3
         {}
         kernel pi(a | s) = Categorical(logits = table(s))
         kernel world(s' | s, a) = Categorical(logits = table(s, a))
         {kernels}
         prior      {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ {state} }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior  {{ s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }}
         infer {{ trajectories = 4; threads = 1; precision = f64 }}",
        environment("Uniform", end)
    )
}

#[test]
fn imagined_states_are_held_to_priors_that_read_other_steps_and_to_learned_ones() {
    let earlier = "kernel other(s' | s, first: s, last: a?) = \
                   Categorical(logits = table(s, first, last))";
    let mut seen = Seen::default();
    for end in ["", "end when s[t] == 2"] {
        for (kernels, state) in [
            ("", "Mixture(0.5: Uniform, 0.5: Delta(s[1]))"),
            ("", "Mixture(0.3: Uniform, 0.7: Delta(if t == 1 then s[t] else s[t-1]))"),
            (earlier, "other(s[t], s[1], a[t-1])"),
            (earlier, "other(2 - s[t], s[1], 1 - a[t-1])"),
        ] {
            let text = imagined(kernels, state, end);
            assert_unbiased(&format!("{state} {end}"), &text, &SIZES, &mut seen);
        }
    }
}

/// A real arm whose model `world` is drawn from; `infer` says how it trains.
fn arm(policy: &str, action: &str, world: &str, state: &str, infer: &str) -> String {
    format!(
        "model arm
         horizon T = 4
         environment line {{
           state  s : {{ x: real, v: real in [-2, 2] }}
           action a : real
           reward r in [-4, 0]
           s[1]   ~ {{ x: Normal(mean = 0, sd = 1), v: Uniform(lo = -1, hi = 1) }}
           s[t+1] ~ {{ x: Normal(mean = s[t].x + s[t].v, sd = 0.2), \
                       v: Uniform(lo = -1, hi = 1) }}
           r[t]   = -min(s[t+1].x ^ 2, 4)
         }}
         {policy}
         {world}
         prior      {{ s[1] ~ line.initial; a[t] ~ Normal(mean = 0, sd = 1); s[t+1] ~ {state} }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior  {{ s[1] ~ line.initial; a[t] ~ {action}; s[t+1] ~ {state} }}
         infer {{ trajectories = 8; steps = 3; threads = 1; precision = f64; {infer} }}"
    )
}

#[test]
fn a_call_with_an_expression_is_the_kernel_in_which_it_stands() {
    let policy = |x: &str, v: &str| {
        format!(
            "kernel pi(a | s, first: s) = Normal(mean = mlp({x} / 2, {v} - first.x, hidden = [3]), \
             sd = 0.1 + softplus(linear({x})))"
        )
    };
    let real = "line.transition(s[t], a[t])";
    let other = "{ x: 2 * s[t].x, v: clamp(s[t].v + s[1].x, -2, 2) }";
    let written =
        arm(&policy("(2 * s.x)", "clamp(s.v + first.x, -2, 2)"), "pi(s[t], s[1])", "", real, "");
    let called = arm(&policy("s.x", "s.v"), &format!("pi({other}, s[1])"), "", real, "");
    let (written, called) = (planned(&written), planned(&called));
    let run = |plan| infer(plan, &mut ()).unwrap().parameters;
    assert_eq!(run(&written).values(), run(&called).values());
}

#[test]
fn a_gradient_passes_through_what_an_argument_computes() {
    let text = |world: &str, state: &str, action: &str, policy: &str| {
        format!(
            "model line
             horizon T = 4
             environment line {{
               state  s : real
               action a : real in [-1, 1]
               reward r in [-4, 0]
               s[1]   ~ Normal(mean = 0, sd = 1)
               s[t+1] ~ Normal(mean = s[t] + a[t], sd = 0.2)
               r[t]   = -min(s[t+1] ^ 2, 4)
             }}
             {policy}
             {world}
             prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], \
             a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior  {{ s[1] ~ line.initial; a[t] ~ {action}; s[t+1] ~ {state} }}
             infer {{ maximize it over pi, world (estimator = pathwise); trajectories = 8; steps = 3
                      threads = 1; precision = f64 }}"
        )
        .replace("prior   ", "bound it { prior   ")
        .replace("infer {", "} infer {")
    };
    let of = |x: &str| {
        format!("kernel pi(a | s, c: s) = TanhNormal(mean = mlp({x}, hidden = [3]), sd = 0.5)")
    };
    let model = |x: &str| {
        format!("kernel world(s' | s, c: s, a) = Normal(mean = s + linear({x}, a), sd = 0.2)")
    };
    let written =
        text(&model("tanh(c) * s"), "world(s[t], s[1], a[t])", "pi(s[t], s[1])", &of("s * c"));
    let called = text(
        &model("c"),
        "world(s[t], tanh(s[1]) * s[t], a[t])",
        "pi(s[t], s[t] * s[1])",
        &of("c"),
    );
    let (written, called) = (planned(&written), planned(&called));
    let run = |plan| infer(plan, &mut ()).unwrap().parameters;
    for (a, b) in run(&written).values().iter().zip(run(&called).values()) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }
    // an index that is drawn jumps
    let jump = text(
        "kernel world(s' | s, a) = Normal(mean = s + a + linear(s), sd = 0.2)",
        "world(s[t], a[t])",
        "pi(s[t], s[t] - floor(s[t]))",
        &of("c"),
    );
    let refused = try_plan(&jump).unwrap_err();
    assert!(refused.contains("`floor`"), "{refused}");
}
