//! Model in, diagnostics out: what only the whole model shows. Every check runs, so that all
//! mistakes are told at once.
//!
//! Each file is one condition of the language reference: each variable [`generated`] once,
//! [`coverage`] by the prior, an [`order`] of sampling, no [`none`] read, [`support`]
//! ([`exclusions`] of finite values, by distributions as they are [`placed`] and [`sampled`]),
//! [`likelihood`]s that are probabilities, [`exponents`] that are numbers, [`probabilities`] and
//! [`rewards`] at every state and action ([`arrays`] included), kernels that are distributions
//! where a run [`starts`], [`floors`] under learned scales, [`chances`] in kernels, [`gains`] of
//! mean fields alone, [`schedules`] where they may be read, [`simulations`] that do not simulate in
//! turn, what is [`unused`], and files that lie [`outside`] its folder.

mod arrays;
mod chances;
mod coverage;
mod exclusions;
mod exponents;
mod floors;
mod gains;
mod generated;
mod law;
mod likelihood;
mod none;
mod order;
mod outside;
mod placed;
mod probabilities;
mod reach;
mod rewards;
mod sampled;
mod schedules;
mod simulations;
mod space;
mod starts;
mod support;
mod times;
mod unused;
mod words;

use super::{Bound, Model};
use crate::diagnostic::{Diagnostic, Severity};

pub(super) use likelihood::exceeds_one;
pub(super) use outside::outside;
pub(super) use unused::unused;

/// All that is wrong with a lowered model, in the order of the file.
pub(super) fn verify(model: &Model) -> Vec<Diagnostic> {
    let mut found = probabilities::environment_faults(model);
    found.extend(rewards::faults(model));
    found.extend(floors::faults(model));
    found.extend(chances::faults(model));
    found.extend(schedules::faults(model));
    found.extend(simulations::faults(model));
    // a kernel whose form is wrong is told of once
    if found.iter().all(|fault| fault.severity == Severity::Warning) {
        found.extend(starts::faults(model));
    }
    for bound in &model.bounds {
        found.extend(faults_of_bound(model, bound));
    }
    found.sort_by_key(|fault| fault.labels.first().map(|label| label.span));
    found.dedup();
    found
}

fn faults_of_bound(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let missing = missing_blocks(bound);
    if !missing.is_empty() {
        return missing;
    }
    let mut found = generated::faults(model, bound);
    found.extend(coverage::faults(model, bound));
    found.extend(order::faults(model, bound));
    found.extend(none::faults(model, bound));
    found.extend(likelihood::faults(model, bound));
    found.extend(exponents::faults(model, bound));
    found.extend(gains::faults(model, bound));
    found.extend(starts::argument_faults(model, bound));
    let in_place = probabilities::faults(model, bound);
    // where a distribution is none, its support says nothing
    if in_place.iter().all(|fault| fault.severity == Severity::Warning) {
        found.extend(support::faults(model, bound));
    }
    found.extend(in_place);
    found
}

fn missing_blocks(bound: &Bound) -> Vec<Diagnostic> {
    let missing = |name: &str, meaning: &str| {
        let whose =
            bound.name.as_ref().map_or("the model".to_owned(), |name| format!("bound `{name}`"));
        Diagnostic::error(
            "missing-block",
            bound.span,
            format!("{whose} has no factors in `{name}`"),
        )
        .hint(format!("add `{name} {{ … }}`: {meaning}"))
    };
    let mut found = Vec::new();
    if bound.prior.is_empty() {
        found.push(missing("prior", "the factors of the model, such as `a[t] ~ Uniform`"));
    }
    if bound.posterior.is_empty() {
        found.push(missing("posterior", "the factors that are sampled, such as `a[t] ~ pi(s[t])`"));
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::model::{Overrides, check};
    use crate::source::Source;
    use crate::syntax::parse;

    /// The codes of all that is said of a model.
    fn codes(text: &str) -> Vec<&'static str> {
        let file = parse(&Source::new("test", text)).expect("the text is a model file");
        let list = check(&file, &Overrides::default())
            .map_or_else(|refused| refused.list, |model| model.warnings);
        list.iter().map(|found| found.code.0).collect()
    }

    /// A walk of `steps` steps over `0..9` with an option, whose posterior and auxiliary factors of
    /// the option are given.
    fn walk(steps: usize, posterior: &str, auxiliary: &str) -> String {
        format!(
            "model walk
             horizon T = {steps}
             environment line {{
               state s : 0..9
               action a : {{ left, right }}
               reward r in [-1, 0]
               s[1] ~ Delta(0)
               s[t+1] ~ Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 9))
               r[t] = if s[t+1] == 9 then 0 else -1
               end when s[t] == 9
             }}
             option o : 2
             kernel pi(a | s, o) = Categorical(logits = table(s, o))
             kernel first(o | s) = Categorical(logits = table(s))
             kernel pick(o | s, last: o?) = Sticky(last, keep = 0.5, fresh = Categorical(logits = \
             table(s)))
             kernel back(o | last: o?, next: o?) = Categorical(logits = table(last, next))
             prior {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior {{ s[1] ~ line.initial; {posterior}; a[t] ~ pi(s[t], o[t]); s[t+1] ~ \
             line.transition(s[t], a[t]) }}
             auxiliary {{ {auxiliary} }}"
        )
    }

    const PICK: &str = "o[t] ~ pick(s[t], o[t-1])";

    fn wrong(steps: usize, posterior: &str, auxiliary: &str) -> Vec<&'static str> {
        codes(&walk(steps, posterior, auxiliary))
            .into_iter()
            .filter(|code| *code != "unused")
            .collect()
    }

    #[test]
    fn a_reverse_model_looks_back_or_ahead_and_not_both() {
        for steps in [2, 3, 30, 5000] {
            assert_eq!(
                wrong(steps, PICK, "o[t] ~ back(o[t-1], none)"),
                [""; 0],
                "{steps} steps back"
            );
            assert_eq!(
                wrong(steps, PICK, "o[t] ~ back(none, o[t+1])"),
                [""; 0],
                "{steps} steps ahead"
            );
            assert_eq!(
                wrong(steps, PICK, "o[t] ~ back(o[t-1], o[t+1])"),
                ["cyclic"],
                "{steps} steps both ways"
            );
        }
        // with one step there is no other option to look at
        assert_eq!(wrong(1, PICK, "o[t] ~ back(o[t-1], o[t+1])"), [""; 0]);
    }

    #[test]
    fn the_first_step_and_the_later_ones_are_all_steps() {
        let apart = "o[1] ~ first(s[1]); o[t+1] ~ pick(s[t+1], o[t])";
        for steps in [1, 2, 30] {
            assert_eq!(wrong(steps, apart, "o[t] ~ back(none, o[t+1])"), [""; 0], "{steps} steps");
        }
        assert_eq!(
            wrong(30, "o[t+1] ~ pick(s[t+1], o[t])", "o[t+1] ~ back(none, none)"),
            ["not-generated"]
        );
        assert_eq!(
            wrong(30, "o[1] ~ first(s[1]); o[t] ~ first(s[t])", "o[t] ~ back(none, none)"),
            ["generated-twice"]
        );
    }

    #[test]
    fn what_looks_ahead_may_meet_the_end() {
        let model = walk(30, PICK, "o[t] ~ back(none, o[t+1])")
            .replace("next: o?", "next: o")
            .replace("back(none", "back(o[1]");
        assert!(codes(&model).contains(&"meets-none"));
    }

    #[test]
    fn an_index_is_guarded_by_the_branch_it_stands_in() {
        let map = |value: &str| {
            walk(30, PICK, "o[t] ~ back(none, none)")
                .replace("Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 9))", value)
        };
        let wrong = |value| {
            codes(&map(value)).into_iter().filter(|code| *code != "unused").collect::<Vec<_>>()
        };
        assert_eq!(
            wrong(
                "Delta(if s[t] > 0 and [0, 1, 2, 3, 4, 5, 6, 7, 8][s[t] - 1] < 5 then s[t] else 0)"
            ),
            [""; 0]
        );
        assert_eq!(
            wrong("Delta(if [0, 1, 2, 3, 4, 5, 6, 7, 8][s[t] - 1] < 5 then s[t] else 0)"),
            ["not-a-number"]
        );
        // only in the state that ends the episode
        assert_eq!(wrong("Delta([1, 2, 3, 4, 5, 6, 7, 8, 9][s[t]])"), [""; 0]);
    }

    /// A walk of three cells, with kernels as given and the factors of the prior and of the
    /// posterior that differ.
    fn exclusion(kernels: &str, prior: &str, posterior: &str) -> Vec<String> {
        let text = format!(
            "horizon T = 3
             environment line {{
               state s : 0..2
               action a : {{ down, up }}
               reward r in [-1, 0]
               s[1] ~ Uniform(over = [0, 1])
               s[t+1] ~ Delta(min(s[t] + a[t], 2))
               r[t] = -1
             }}
             option o : 3
             {kernels}
             prior {{ {prior} }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior {{ {posterior} }}"
        );
        let file = parse(&Source::new("test", text.as_str())).expect("the text is a model file");
        let list = check(&file, &Overrides::default())
            .map_or_else(|refused| refused.list, |model| model.warnings);
        let told = list.iter().filter(|found| found.code.0 != "unused");
        told.map(|found| {
            format!("{}: {}", found.code.0, found.witness.as_deref().unwrap_or(&found.message))
        })
        .collect()
    }

    const STRAYS: &str = "outside-support: ";

    #[test]
    fn what_a_prior_excludes_is_known_of_kernels_as_of_distributions_in_place() {
        let any = "Categorical(logits = table(s))";
        let by_state =
            "if s == 0 then Categorical(probs = [1, 0]) else Categorical(logits = table(s))";
        let cases: [(&str, &str, Option<&str>); 21] = [
            ("Categorical(probs = [1, 0])", any, Some("a[t] = up")),
            ("Categorical(probs = [0.9, 0.1])", any, None),
            ("Categorical(logits = [0, log(0)])", any, Some("a[t] = up")),
            ("Categorical(logits = table(s) + log([1, 0]))", any, Some("a[t] = up")),
            (
                "Categorical(logits = table(s) + log([1, 0]))",
                "Categorical(logits = linear(s) - 2 + log([1, 0]))",
                None,
            ),
            (
                "Categorical(logits = linear(s) + log([1, 0]))",
                "Categorical(logits = table(s) + log([0, 1]))",
                Some("a[t] = up"),
            ),
            ("Bernoulli(probs = 0)", any, Some("a[t] = up")),
            ("Bernoulli(probs = 1)", any, Some("a[t] = down")),
            ("Bernoulli(probs = 1)", "Delta(up)", None),
            ("Bernoulli(probs = sigmoid(linear(s)))", any, None),
            ("Bernoulli(logits = linear(s))", any, None),
            ("Categorical(probs = [[0.5, 0.5], [1, 0], [0, 1]][s])", any, Some("s = 1: a[t] = up")),
            (by_state, any, Some("s = 0: a[t] = up")),
            (by_state, "if s == 0 then Delta(down) else Categorical(logits = linear(s))", None),
            ("Mixture(1: Delta(down), 0: Uniform)", any, Some("a[t] = up")),
            ("Mixture(1: Delta(down), 0: Uniform)", "Uniform(over = [down])", None),
            ("Mixture(0.5: Delta(down), 0.5: Delta(up))", any, None),
            (
                "Mixture(sigmoid(linear(s)): Delta(down), 1 - sigmoid(linear(s)): Delta(up))",
                any,
                None,
            ),
            ("Delta(down)", any, Some("a[t] = up")),
            (
                "Delta(if s == 1 then up else down)",
                "Categorical(logits = table(s) + log([s != 1, s == 1]))",
                None,
            ),
            ("Uniform", any, None),
        ];
        for (habit, pi, strays) in cases {
            let kernels = format!("kernel habit(a | s) = {habit}\nkernel pi(a | s) = {pi}");
            let factors = |a: &str| {
                format!("s[1] ~ line.initial; a[t] ~ {a}; s[t+1] ~ line.transition(s[t], a[t])")
            };
            let found = exclusion(&kernels, &factors("habit(s[t])"), &factors("pi(s[t])"));
            assert_eq!(
                found,
                strays.map(|witness| format!("{STRAYS}{witness}")).into_iter().collect::<Vec<_>>(),
                "{habit} ‖ {pi}"
            );
        }
    }

    #[test]
    fn starts_transitions_and_options_are_held_to_what_excludes_them() {
        let learned = "kernel pi(a | s) = Categorical(logits = table(s))
             kernel start(s) = Categorical(logits = linear(1))
             kernel first(s) = Categorical(logits = linear(1) + log([1, 1, 0]))
             kernel world(s' | s, a) = Categorical(logits = table(s, a))
             kernel near(s' | s, a) = Categorical(logits = table(s, a) + log([s == 0, s <= 1, s + \
             a >= 1]))
             kernel pick(o | s) = Categorical(logits = table(s))
             kernel stay(o | last: o?) = Sticky(last, keep = 1, fresh = Uniform)
             kernel keep(o | s, last: o?) = Sticky(last, keep = 1, fresh = Categorical(logits = \
             table(s)))
             kernel move(o | last: o?) = Sticky(last, keep = 0, fresh = Categorical(probs = [0.5, \
             0.5, 0]))
             kernel some(o | last: o?) = Sticky(last, keep = 0.5, fresh = Categorical(logits = \
             table(last) + log([1, 1, 0])))";
        let factors = |start: &str, option: &str, next: &str| {
            format!("s[1] ~ {start}; {option} a[t] ~ pi(s[t]); s[t+1] ~ {next}")
        };
        let (begin, go) = ("line.initial", "line.transition(s[t], a[t])");
        let found = |p: (&str, &str, &str), q: (&str, &str, &str)| {
            exclusion(learned, &factors(p.0, p.1, p.2), &factors(q.0, q.1, q.2))
        };
        assert_eq!(found((begin, "", go), ("start", "", go)), [format!("{STRAYS}s[1] = 2")]);
        assert_eq!(found((begin, "", go), ("first", "", go)), [""; 0]);
        assert_eq!(found(("first", "", go), ("start", "", go)), [format!("{STRAYS}s[1] = 2")]);
        assert_eq!(
            found((begin, "", go), (begin, "", "world(s[t], a[t])")),
            [format!("{STRAYS}s = 0, a = down: s[t+1] = 1")]
        );
        assert_eq!(found((begin, "", "near(s[t], a[t])"), (begin, "", go)), [""; 0]);
        let option = |kernel: &'static str| (begin, kernel, go);
        assert_eq!(
            found(option("o[t] ~ stay(o[t-1]);"), option("o[t] ~ pick(s[t]);")),
            [format!("{STRAYS}o[t-1] = 0: o[t] = 1")]
        );
        assert_eq!(
            found(option("o[t] ~ stay(o[t-1]);"), option("o[t] ~ keep(s[t], o[t-1]);")),
            [""; 0]
        );
        assert_eq!(found(option("o[t] ~ some(o[t-1]);"), option("o[t] ~ move(o[t-1]);")), [""; 0]);
        assert_eq!(
            found(option("o[t] ~ move(o[t-1]);"), option("o[t] ~ some(o[t-1]);")),
            [format!("{STRAYS}o[t-1] = 2: o[t] = 2")]
        );
        // the same in another writing: the first step, where there is no last option, and the later
        // ones
        let apart = "o[1] ~ pick(s[1]); o[t+1] ~ keep(s[t+1], o[t]);";
        assert_eq!(found(option("o[t] ~ stay(o[t-1]);"), option(apart)), [""; 0]);
        let strays = "o[1] ~ pick(s[1]); o[t+1] ~ pick(s[t+1]);";
        assert_eq!(
            found(option("o[t] ~ stay(o[t-1]);"), option(strays)),
            [format!("{STRAYS}o = 0: o[t+1] = 1")]
        );
    }

    #[test]
    fn a_million_states_and_actions_are_looked_at() {
        let grid = |x: &str| {
            format!(
                "model grid
                 horizon T = 3
                 environment grid {{
                   state s : {{ x: 0..499, y: 0..499 }}
                   action a : {{ left, right, up, down }}
                   reward r in [-1, 0]
                   s[1] ~ Delta({{ x: 0, y: 0 }})
                   s[t+1] ~ Mixture(0.9: Delta({{ x: {x}, y: clamp(s[t].y + [0, 0, 1, -1][a[t]], \
                   0, 499) }}), 0.1: Delta(s[t]))
                   r[t] = if s[t+1].x == 499 then 0 else -1
                 }}
                 kernel pi(a | s) = Categorical(logits = linear(s))
                 prior {{ s[1] ~ grid.initial; a[t] ~ Uniform; s[t+1] ~ grid.transition(s[t], \
                 a[t]) }}
                 likelihood {{ R[t] ~ exp(r[t]) }}
                 posterior {{ s[1] ~ grid.initial; a[t] ~ pi(s[t]); s[t+1] ~ \
                 grid.transition(s[t], a[t]) }}"
            )
        };
        assert_eq!(codes(&grid("clamp(s[t].x + [-1, 1, 0, 0][a[t]], 0, 499)")), [""; 0]);
        // one step too far at x = 499 alone
        assert_eq!(codes(&grid("max(s[t].x + [-1, 1, 0, 0][a[t]], 0)")), ["leaves-domain"]);
    }
}
