//! What looks ahead, held against the sum over whole trajectories: the end of the horizon and of
//! the episode included.

use super::exact;
use super::tests::{BOUND, agree, random_logits, read, walk};

/// Options whose reverse model is `back`, an `auxiliary` factor its arguments.
fn with_reverse_model(kernels: &str, auxiliary: &str) -> String {
    walk(
        &format!(
            "option o : 2
             kernel pick(o | s, last: o?) = Categorical(logits = table(s, last))
             kernel pi(a | s, o) = Categorical(logits = table(s, o))
             {kernels}"
        ),
        "a[t] ~ Uniform",
        "o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t])",
        "R[t] ~ exp(alpha * r[t])",
        &format!("auxiliary {{ {auxiliary} }}"),
    )
}

#[test]
fn reverse_models_that_look_ahead() {
    agree(&with_reverse_model(
        "kernel back(o | next: o?, s, a) = Categorical(logits = table(next, s, a))",
        "o[t] ~ back(o[t+1], s[t], a[t])",
    ));
    agree(&with_reverse_model(
        "kernel back(o | next: o?, after: o?, t) = Categorical(logits = table(next, after, t))",
        "o[t] ~ back(o[t+1], o[t+2], t)",
    ));
}

#[test]
fn reverse_models_that_read_where_the_step_led() {
    agree(&with_reverse_model(
        "kernel back(o | last: o?, s, a, next: s) = Categorical(logits = table(last, s, a, next))",
        "o[t] ~ back(o[t-1], s[t], a[t], s[t+1])",
    ));
}

#[test]
fn reverse_models_of_a_window() {
    agree(&with_reverse_model(
        "kernel back(o | next: o[1]?, s[3]?, a[3]?) = Categorical(logits = table(next, s, a))",
        "o[t] ~ back(o[t+1..t+1], s[t-1..t+1], a[t-1..t+1])",
    ));
    agree(&with_reverse_model(
        "kernel back(o | s[4]?) = Categorical(logits = table(s))",
        "o[t] ~ back(s[t-1..t+2])",
    ));
    agree(&with_reverse_model(
        "kernel back(o | a[5]?) = Categorical(logits = table(a))",
        "o[t] ~ back(a[t-2..t+2])",
    ));
}

#[test]
fn reverse_models_that_read_the_end_or_an_expression() {
    agree(&with_reverse_model(
        "kernel back(o | goal: s) = Categorical(logits = table(goal))",
        "o[t] ~ back(s[T+1])",
    ));
    agree(&with_reverse_model(
        "kernel back(o | s) = Categorical(logits = table(s))",
        "o[t] ~ back(max(s[t], s[t+1]))",
    ));
    agree(&with_reverse_model(
        "",
        "o[t] ~ Categorical(probs = [0.2 + 0.1 * s[t+1], 0.8 - 0.1 * s[t+1]])",
    ));
}

#[test]
fn a_reverse_model_with_a_factor_of_its_own_for_the_first_step() {
    agree(&walk(
        "option o : 2
         kernel first(o | s) = Categorical(logits = table(s))
         kernel back(o | s, goal: s) = Categorical(logits = table(s, goal))
         kernel pi(a | s, o) = Categorical(logits = table(s, o))",
        "a[t] ~ Uniform",
        "o[1] ~ first(s[1]); a[t] ~ pi(s[t], o[1])",
        "R[t] ~ exp(alpha * r[t])",
        "auxiliary { o[1] ~ back(s[1], s[T+1]) }",
    ));
}

#[test]
fn priors_that_run_backwards() {
    agree(&walk(
        "option o : 2
         kernel pick(o | s, last: o?) = Categorical(logits = table(s, last))
         kernel chain(o | next: o?) = Categorical(logits = table(next))
         kernel pi(a | s, o) = Categorical(logits = table(s, o))",
        "o[t] ~ chain(o[t+1]); a[t] ~ Uniform",
        "o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t])",
        "R[t] ~ exp(alpha * r[t])",
        "",
    ));
}

#[test]
fn likelihoods_that_look_further_than_one_step() {
    let kernels = "kernel pi(a | s) = Categorical(logits = table(s))
         kernel guess(s | before: s, later: s?) = Categorical(logits = table(before, later))";
    let ends = "R[t] ~ exp(alpha * r[t]); F[t] ~ exp(-0.2 * abs(s[t+1] - s[1])); G[T] ~ exp(-0.1 \
                * s[1] * s[T+1])";
    agree(&walk(kernels, "a[t] ~ Uniform", "a[t] ~ pi(s[t])", ends, ""));
    agree(&walk(
        kernels,
        "a[t] ~ Uniform",
        "a[t] ~ pi(s[t])",
        "H[t] ~ guess(s[t+1] | s[t], s[t+3])",
        "",
    ));
}

#[test]
fn too_large_a_window_says_how_large() {
    let text = with_reverse_model(
        "kernel back(o | s[9]?) = Categorical(logits = table(s))",
        "o[t] ~ back(s[t-4..t+4])",
    )
    .replace("T = 3", "T = 9");
    let model = read(&text);
    let refused = exact(&model, BOUND, Some(&random_logits(&model, 3))).unwrap_err();
    insta::assert_snapshot!(
        refused.0,
        @"remembering `s[t-8..t-1]`, `o[t-4..t-1]` beside 4 states makes 4.1e8 points to sum over \
          at a step, more than 3.4e7"
    );
}
