//! What a plan decides and what it refuses.

use super::{Baseline, Credited, Estimator, Extent, Optimizer, Plan, Schedule, plan};
use crate::bound::derive;
use crate::diagnostic::Diagnostics;
use crate::model::{Overrides, check};
use crate::source::Source;
use crate::syntax::parse;

fn planned(infer: &str) -> Result<Plan, Diagnostics> {
    planned_with(
        "kernel pi(a | s) = Categorical(logits = table(s))",
        "a[t] ~ Uniform",
        "a[t] ~ pi(s[t])",
        infer,
    )
}

fn planned_with(
    kernels: &str,
    prior: &str,
    posterior: &str,
    infer: &str,
) -> Result<Plan, Diagnostics> {
    planned_at("1", kernels, (prior, posterior), infer)
}

fn planned_at(
    alpha: &str,
    kernels: &str,
    (prior, posterior): (&str, &str),
    infer: &str,
) -> Result<Plan, Diagnostics> {
    let text = format!(
        "model walk
         param alpha = {alpha}
         horizon T = 9
         environment walk {{
           state s : 0..3
           action a : {{ left, right }}
           reward r in [-1, 0]
           s[1]   ~ Delta(0)
           s[t+1] ~ Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 3))
           r[t]   = if s[t+1] == 3 then 0 else -1
           end when s[t] == 3
         }}
         {kernels}
         prior      {{ s[1] ~ walk.initial; {prior}; s[t+1] ~ walk.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(alpha * r[t]) }}
         posterior  {{ s[1] ~ walk.initial; {posterior}; s[t+1] ~ walk.transition(s[t], a[t]) }}
         infer      {{ {infer} }}"
    );
    let file = parse(&Source::new("walk", text)).unwrap_or_else(|errors| panic!("{errors}"));
    let model = check(&file, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
    plan(&model, &derive(&model).unwrap_or_else(|errors| panic!("{errors}")))
}

/// The messages and hints of a plan that is refused.
fn refusals(infer: &str) -> String {
    told(planned(infer))
}

fn told(planned: Result<Plan, Diagnostics>) -> String {
    let errors = planned.expect_err("the plan is refused");
    errors.list.iter().map(|d| format!("{} {}\n", d.message, d.hints.join(" "))).collect()
}

#[test]
fn defaults_hold_where_nothing_is_set() {
    let settings = planned("").unwrap().settings;
    assert_eq!(
        (settings.trajectories, settings.steps, settings.shards, settings.log_every),
        (64, 1000, 2, 1)
    );
    assert_eq!((settings.critics.len(), settings.discount, settings.kl_to_go), (0, 1.0, true));
    assert_eq!(settings.baseline, Baseline::LeaveOneOut);
    let adam = Optimizer::Adam {
        rate: Schedule::constant(0.001),
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
    };
    assert_eq!(settings.optimizer, adam);
}

/// What reads its own step alone is valued there: the first and the last step are that of events of
/// theirs alone.
#[test]
fn an_exponent_that_reads_its_own_step_is_valued_there() {
    let extent = |likelihood: &str| {
        let text = format!(
            "model steps
             horizon T = 3
             environment e {{
               state s : 0..1; action a : 0..1; reward r in [-1, 0]
               s[1] ~ Uniform; s[t+1] ~ Uniform; r[t] = -a[t]
             }}
             kernel pi(a | s) = Categorical(logits = table(s))
             prior      {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
             likelihood {{ {likelihood} }}
             posterior  {{ s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ e.transition(s[t], a[t]) }}"
        );
        let file = parse(&Source::new("steps", text)).unwrap_or_else(|errors| panic!("{errors}"));
        let model = check(&file, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
        let planned = plan(&model, &derive(&model).unwrap_or_else(|errors| panic!("{errors}")));
        planned.unwrap_or_else(|errors| panic!("{errors}")).terms[0].extent
    };
    for own in [
        "R[t] ~ exp(r[t] - s[t+1])",
        "F[1] ~ exp(-s[1])",
        "F[1] ~ exp(-a[1])",
        "G[T] ~ exp(-s[T] - s[T+1])",
    ] {
        assert_eq!(extent(own), Extent::Step, "{own}");
    }
    for other in [
        "R[t] ~ exp(-s[1])",
        "R[t] ~ exp(r[t] - s[T])",
        "R[t] ~ exp(-s[T+1])",
        "F[1] ~ exp(-s[T])",
        "G[T] ~ exp(-s[1])",
    ] {
        assert_eq!(extent(other), Extent::Trajectory, "{other}");
    }
}

#[test]
fn a_rate_may_move_over_the_steps() {
    let settings =
        planned("steps = 11; optimizer = sgd(rate = ramp(from = 1, to = 0))").unwrap().settings;
    let Optimizer::Sgd { rate, .. } = settings.optimizer else {
        panic!("{:?}", settings.optimizer)
    };
    assert_eq!((rate.at(0, 11), rate.at(5, 11), rate.at(10, 11)), (1.0, 0.5, 0.0));
}

#[test]
fn rewards_count_from_the_draw_on_and_action_terms_from_the_next() {
    let plan = planned("").unwrap();
    let credits: Vec<_> = plan.terms.iter().map(|t| (&*t.name, t.credit[0], t.estimator)).collect();
    let from = |offset| Some(Credited::From(offset));
    let wanted = [
        ("R", from(0), Estimator::Sampled),
        ("H(pi)", from(1), Estimator::ClosedForm),
        ("log_count(pi)", from(1), Estimator::Counted),
    ];
    for term in wanted {
        assert!(credits.contains(&term), "{term:?} of {credits:?}");
    }
    let dropped = planned("kl_to_go = false").unwrap();
    assert!(dropped.terms.iter().all(|t| t.credit[0].is_some() == (t.name == "R")));
    assert!(dropped.remarks.iter().any(|remark| remark.contains("biased")));
}

/// An observation that keeps its score is credited with what its own step draws and later ones,
/// however the option's factor is written: an option that is drawn for `t+1` is of that step.
#[test]
fn scores_of_observations_are_credited_from_their_step_on() {
    let credited = |options: &str, kernels: &str, over: &str| {
        let prior = if options.contains("o[1]") {
            "o[1] ~ Uniform; o[t+1] ~ Uniform"
        } else {
            "o[t] ~ Uniform"
        };
        let text = format!(
            "model line
             horizon T = 3
             environment line {{
               state s : real; observation x : 0..2; action a : real; reward r
               s[1] ~ Normal(mean = 0.5, sd = 0.5)
               s[t+1] ~ Normal(mean = 0.9 * s[t] + 0.5 * a[t], sd = 0.5)
               x[t] ~ Categorical(logits = [0, s[t], 0.5 * s[t]^2])
               r[t] = -(s[t+1] - 1)^2
             }}
             option o : 2
             {kernels}
             kernel pi(a | x, o) = Normal(mean = linear(x, o), sd = 0.5)
             kernel world(s' | s, a) = Normal(mean = linear(s, a), sd = 0.3 + softplus(linear(s)))
             bound dream {{
               prior      {{ s[1] ~ line.initial; x[t] ~ line.observation(s[t]); a[t] ~ \
             Normal(mean = 0, sd = 1); s[t+1] ~ line.transition(s[t], a[t]); {prior} }}
               likelihood {{ R[t] ~ exp(r[t]) }}
               posterior  {{ s[1] ~ line.initial; x[t] ~ line.observation(s[t]); {options}; \
             a[t] ~ pi(x[t], o[t]); s[t+1] ~ world(s[t], a[t]) }}
             }}
             infer {{ maximize dream over pi, world, {over}; estimator = pathwise }}"
        );
        let file = parse(&Source::new("line", text)).unwrap_or_else(|errors| panic!("{errors}"));
        let model = check(&file, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
        let plan = plan(&model, &derive(&model).unwrap_or_else(|errors| panic!("{errors}")));
        let plan = plan.unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(plan.scored_beside(), [super::Beside::Observation]);
        let behind = plan.draws.len();
        // what stands at one step is credited to all that it can follow
        let at_steps = plan.terms.iter().filter(|term| term.from < term.to);
        let credits: Vec<_> = at_steps.filter_map(|term| term.credit[behind]).collect();
        assert!(credits.len() > 2, "{credits:?}");
        credits
    };
    let last = "kernel pick(o | x, last: o?) = Categorical(logits = linear(x, last))";
    let first = "kernel begin(o | x) = Categorical(logits = linear(x))
                 kernel pick(o | x, last: o) = Categorical(logits = linear(x, last))";
    for credits in [
        credited("o[t] ~ pick(x[t], o[t-1])", last, "pick"),
        credited("o[1] ~ begin(x[1]); o[t+1] ~ pick(x[t+1], o[t])", first, "pick, begin"),
    ] {
        assert!(credits.iter().all(|&credit| credit == Credited::From(0)), "{credits:?}");
    }
}

#[test]
fn what_is_wrong_with_the_settings_is_told_at_once() {
    let told = refusals(
        "trajectorys = 3; steps = -1; precision = f16; options = 2; optimizer = adm(rate = 1); \
         lambda = 0.9",
    );
    for wanted in [
        "unknown key `trajectorys` of `infer` did you mean `trajectories`?",
        "`steps` is a whole number, at least 0, not -1",
        "`precision` is `f32` or `f64`",
        "`options` is `sampled` or `enumerate`",
        "unknown optimiser `adm` did you mean `adam`?",
        "`lambda` below 1 bootstraps from a learned value",
    ] {
        assert!(told.contains(wanted), "{wanted}\nin\n{told}");
    }
}

#[test]
fn a_prior_of_the_last_round_is_run_in_rounds() {
    let kernel = "kernel pi(a | s) = Categorical(logits = table(s))";
    let stable = |infer| planned_with(kernel, "a[t] ~ previous pi(s[t])", "a[t] ~ pi(s[t])", infer);
    let settings = stable("rounds = 7").unwrap().settings;
    assert_eq!((settings.rounds, settings.steps, settings.steps_in_round()), (7, 7, 1));
    let settings = stable("rounds = 7; steps = 3").unwrap().settings;
    assert_eq!((settings.steps, settings.steps_in_round()), (21, 3));
    let told = refusals("rounds = 7");
    assert!(
        told.contains("`rounds` move `previous`, and no prior of this model reads it"),
        "{told}"
    );
}

#[test]
fn a_setting_that_would_do_nothing_is_refused() {
    for (infer, wanted) in [
        ("clip_ratio = 0.2", "`clip_ratio` clips nothing"),
        ("kl_target = 0.01", "`kl_target` ends nothing"),
        ("n_step = 5", "`n_step` bootstraps from a learned value"),
        (
            "n_step = 5; lambda = 0.9; baseline = table(s)",
            "`lambda` and `n_step` are two ways to end the credit of a draw",
        ),
        ("baseline_weight = 2; baseline = table(s)", "`baseline_weight` weighs nothing"),
        ("update = trust_region; epochs = 3", "`epochs` belongs to optimiser steps"),
        ("update = trust_region; optimizer = sgd", "`optimizer` belongs to optimiser steps"),
        ("update = exact", "write `precision = f64`"),
        ("update = exact; precision = f64; lambda = 1", "`lambda` belongs to optimiser steps"),
        (
            "epochs = 4; clip_ratio = 0.2; update = trust_region",
            "`clip_ratio` belongs to optimiser steps",
        ),
        ("update = trust_regions(kl = 1)", "did you mean `trust_region`?"),
        ("update = trust_region(kl = 0)", "`kl` of `trust_region` is a number greater than 0"),
    ] {
        let told = refusals(infer);
        assert!(told.contains(wanted), "{wanted}\nin\n{told}");
    }
}

#[test]
fn a_threshold_is_watched_over_a_hundred_trajectories() {
    let until = |infer: &str| {
        planned(infer).unwrap().settings.until.map(|until| (until.written(&[]), until.batches))
    };
    assert_eq!(
        until("until = bound >= -5 / 2; trajectories = 32"),
        Some(("bound >= -2.5".to_string(), 4))
    );
    assert_eq!(
        until("until = entropy <= 0.1; trajectories = 500"),
        Some(("entropy <= 0.1".to_string(), 1))
    );
    assert_eq!(until(""), None);
}

#[test]
fn a_param_that_moves_is_told_of() {
    let kernel = "kernel pi(a | s) = Categorical(logits = table(s))";
    let moving = |infer| {
        planned_at(
            "ramp(from = 0.25, to = 1)",
            kernel,
            ("a[t] ~ previous pi(s[t])", "a[t] ~ pi(s[t])"),
            infer,
        )
    };
    let plan = moving("rounds = 2").unwrap();
    assert_eq!(
        plan.schedules.iter().map(|(_, schedule)| *schedule).collect::<Vec<_>>(),
        [Schedule { from: 0.25, to: 1.0 }]
    );
    assert!(
        plan.remarks
            .iter()
            .any(|remark| remark.starts_with("alpha = ramp(from = 0.25, to = 1) over the batches")),
        "{:?}",
        plan.remarks
    );
    assert!(plan.settled().schedules.is_empty());
    let told = told(moving("rounds = 2; update = exact; precision = f64"));
    assert!(
        told.contains(
            "`alpha` moves while training goes, and an exact update is that of its last value"
        ),
        "{told}"
    );
}

#[test]
fn a_plan_prints_its_terms_its_credit_and_its_settings() {
    let printed = planned("trajectories = 8").unwrap().to_string();
    for wanted in [
        "score of `pi`",
        "from `t+1` on",
        "baseline: the mean credit",
        "trajectories     = 8\n",
        "(default)",
    ] {
        assert!(printed.contains(wanted), "{wanted}\nin\n{printed}");
    }
}

#[test]
fn what_options_cannot_be_trained_with_is_told() {
    let pick = "option o : 2
        kernel pick(o | s, last: o?) = Sticky(last, keep = 0.5, fresh = Categorical(logits = \
        table(s)))";
    let (prior, draws) =
        ("o[t] ~ pick(s[t], o[t-1]); a[t] ~ Uniform", "o[t] ~ pick(s[t], o[t-1]); a[t] ~ ");
    let enumerated = |policy: &str, action: &str| {
        planned_with(
            &format!("{pick}\n{policy}"),
            prior,
            &format!("{draws}{action}"),
            "options = enumerate",
        )
    };
    enumerated(
        "kernel pi(a | s, o, last: o?) = Categorical(logits = table(s, o, last))",
        "pi(s[t], o[t], o[t-1])",
    )
    .unwrap();
    let before = enumerated(
        "kernel pi(a | s, o, before: o?) = Categorical(logits = table(s, o, before))",
        "pi(s[t], o[t], o[t-2])",
    );
    assert!(
        told(before).contains("connects steps that are farther apart"),
        "a sum over pairs has no option of two steps before"
    );

    let real = "option o : real
        kernel pick(o | s) = Normal(mean = linear(s), sd = 1)
        kernel pi(a | s, o) = Categorical(logits = linear(s, o))";
    let with = |infer: &str| {
        planned_with(
            real,
            "o[t] ~ pick(s[t]); a[t] ~ Uniform",
            "o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t])",
            infer,
        )
    };
    assert!(!with("").unwrap().draws[0].head.is_finite());
    assert!(told(with("options = enumerate")).contains("sums over finite values"));
}
