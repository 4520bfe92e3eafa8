//! Every derivation is held against the list of all trajectories: on random finite models, and with
//! rules deliberately broken.

mod reader;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rlppl::bound::{BoundDerivation, Downstream, Sign, TermKind, derive};
use rlppl::engine::written_tables;
use rlppl::model::{Block, Model, Overrides, check};
use rlppl::source::Source;
use rlppl::syntax::parse;
use rlppl::verify::{Unverified, Verified};
use std::fmt::Write as _;

/// How many random models are verified.
const MODELS: u64 = 200;

#[test]
fn steps_and_gradients_hold_on_random_models() {
    let mut rules = std::collections::BTreeSet::new();
    let mut verified = 0;
    for seed in 0..MODELS {
        let text = random_model(seed);
        let model = model(&text);
        for bound in &derive(&model).expect("a random model has known densities").bounds {
            rules.extend(bound.steps.iter().map(|step| step.rule.name()));
            let result = match verify(&model, bound, seed) {
                Ok(result) => result,
                Err(Unverified::TooLarge { .. }) => continue,
                Err(error) => panic!("model {seed}: {error}\n{text}"),
            };
            assert!(result.holds(), "model {seed}: {}\n{text}", failures(bound, &result));
            verified += 1;
        }
    }
    assert!(verified >= MODELS * 9 / 10, "only {verified} of {MODELS} models were small enough");
    let all = [
        "importance",
        "jensen",
        "split",
        "cancel",
        "pair",
        "entropy",
        "log_ratio",
        "density_ratio",
        "constant",
    ];
    assert_eq!(
        rules.into_iter().collect::<Vec<_>>(),
        {
            let mut all = all.to_vec();
            all.sort_unstable();
            all
        },
        "every rule is tried"
    );
}

/// What is printed of random models is what is meant.
#[test]
fn printed_formulas_of_random_models_are_read_back() {
    let mut valued = 0;
    for seed in 0..MODELS {
        let text = random_model(seed);
        let read = reader::read_back(&model(&text), seed, 2)
            .unwrap_or_else(|why| panic!("model {seed}: {why}\n{text}"));
        valued += read.valued;
    }
    assert!(valued as u64 >= 10 * MODELS, "only {valued} formulas had a value");
}

/// Each mutant breaks the derivations of some random models in one way; every one that changes
/// anything must be caught.
#[test]
fn broken_rules_are_caught() {
    type Mutation = fn(&mut BoundDerivation) -> bool;
    let mutants: [(&str, Mutation); 9] = [
        ("the sign of a KL", |bound| flip(bound, |kind| matches!(kind, TermKind::Kl { .. }))),
        ("the sign of an entropy", |bound| {
            flip(bound, |kind| matches!(kind, TermKind::Entropy { .. }))
        }),
        ("the sign of a log-ratio", |bound| {
            flip(bound, |kind| matches!(kind, TermKind::LogRatio { .. }))
        }),
        ("a dropped count", |bound| {
            drop_term(bound, |kind| matches!(kind, TermKind::LogCount { .. }))
        }),
        ("a dropped log-ratio", |bound| {
            drop_term(bound, |kind| matches!(kind, TermKind::LogRatio { .. }))
        }),
        ("a wrong pairing: a log-ratio read as a KL", |bound| {
            replace(bound, |kind| match *kind {
                TermKind::LogRatio { p, q } => Some((TermKind::Kl { q, p }, Sign::Minus)),
                _ => None,
            })
        }),
        ("a KL the wrong way round", |bound| {
            replace(bound, |kind| match *kind {
                TermKind::Kl { p, q } => Some((TermKind::Kl { q: p, p: q }, Sign::Minus)),
                _ => None,
            })
        }),
        ("T log n, a constant, where an episode can end", |bound| {
            // nothing stops s[1]: counted by it, log n is counted at every step
            let first = bound.drafts.iter().find_map(|term| match term.kind {
                TermKind::LogFactor { factor }
                    if factor.block == Block::Posterior && !term.live && term.times.is_once() =>
                {
                    Some(factor)
                }
                _ => None,
            });
            let Some(unstopped) = first else { return false };
            let mut changed = false;
            for term in bound.drafts.iter_mut().filter(|term| term.live) {
                if let TermKind::LogCount { count, .. } = term.kind {
                    let of = Box::new(TermKind::LogCount { q: unstopped, count });
                    (term.kind, term.live) =
                        (TermKind::Constant { name: "T log n".to_owned(), of }, false);
                    changed = true;
                }
            }
            changed
        }),
        ("a uniform over one value more", |bound| {
            replace(bound, |kind| match *kind {
                TermKind::LogCount { q, count } => {
                    Some((TermKind::LogCount { q, count: count + 1 }, Sign::Minus))
                }
                _ => None,
            })
        }),
    ];
    for (name, mutate) in mutants {
        let (changed, caught) = trial(mutate, |result| !result.steps.iter().all(|step| step.holds));
        assert!(changed >= 3, "{name}: no random model has it");
        assert_eq!(caught, changed, "{name}: {caught} of {changed} caught");
    }
}

/// Known traps of the gradient: each leaves a bias that the exact gradient shows.
#[test]
fn broken_credit_is_caught() {
    type Mutation = fn(&mut BoundDerivation) -> bool;
    let mutants: [(&str, Mutation); 5] = [
        ("log n of live steps credited to nobody, as if it were a constant", |bound| {
            let counts: Vec<bool> = bound
                .terms
                .iter()
                .map(|term| matches!(term.kind, TermKind::LogCount { .. }) && term.live)
                .collect();
            let mut changed = false;
            for score in &mut bound.gradient.scores {
                let before = score.credit.len();
                score.credit.retain(|credit| !counts[credit.term.0 as usize]);
                changed |= score.credit.len() < before;
            }
            changed
        }),
        ("the score of a cancelled factor dropped", |bound| {
            let cancelled: Vec<_> = bound.cancelled.iter().map(|(_, q)| *q).collect();
            let before = bound.gradient.scores.len();
            bound.gradient.scores.retain(|score| !cancelled.contains(&score.factor));
            bound.gradient.scores.len() < before
        }),
        ("a look-ahead term credited at its own index", |bound| {
            let mut changed = false;
            for credit in bound.gradient.scores.iter_mut().flat_map(|score| &mut score.credit) {
                if let Downstream::Offset(offset @ ..=-1) = &mut credit.from {
                    *offset = 0;
                    changed = true;
                }
            }
            changed
        }),
        ("rewards credited one step late", |bound| {
            let exponents: Vec<bool> = bound
                .terms
                .iter()
                .map(|term| matches!(term.kind, TermKind::Exponent { .. }))
                .collect();
            let mut changed = false;
            for credit in bound.gradient.scores.iter_mut().flat_map(|score| &mut score.credit) {
                if let (true, Downstream::Offset(offset)) =
                    (exponents[credit.term.0 as usize], &mut credit.from)
                {
                    *offset += 1;
                    changed = true;
                }
            }
            changed
        }),
        ("the direct part of a KL or entropy dropped", |bound| {
            let before = bound.gradient.pathwise.len();
            bound.gradient.pathwise.clear();
            before > 0
        }),
    ];
    for (name, mutate) in mutants {
        let (changed, caught) = trial(mutate, |result| {
            result
                .estimators
                .iter()
                .any(|estimator| estimator.name == "derived credit" && !estimator.holds())
        });
        assert!(changed >= 3, "{name}: only {changed} random models have it");
        // a trap may do no harm where what it drops happens to be constant
        assert!(caught * 2 > changed, "{name}: {caught} of {changed} caught");
    }
}

/// A small model whose posterior draws from kernels that are written down: `wrong` has no
/// parameters, `pi` rules `up` out as its prior does.
fn with_constants(alpha: f64) -> String {
    format!(
        "model constants
         horizon T = 2
         environment e {{
           state s : 0..1; action a : {{ down, stay, up }}; reward r in [-1, 0]
           s[1] ~ Uniform
           s[t+1] ~ Categorical(probs = if a[t] == down then [0.7, 0.3] else [0.2, 0.8])
           r[t] = -s[t+1]
         }}
         kernel pi(a | s)        = Categorical(logits = table(s) + log([1, 1, 0]))
         kernel habit(a | s)     = Categorical(probs = [0.4, 0.6, 0])
         kernel wrong(s' | s, a) = Categorical(logits = [s, 1 - 2 * a])
         prior      {{ s[1] ~ e.initial; a[t] ~ habit(s[t]); s[t+1] ~ e.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp({alpha} * r[t]) }}
         posterior  {{ s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ wrong(s[t], a[t]) }}"
    )
}

#[test]
fn constants_stay_as_they_are() {
    let model = model(&with_constants(1.0));
    let derivation = derive(&model).expect("densities are known");
    let bounds: Vec<f64> = (0..3)
        .map(|seed| {
            let result = verify(&model, &derivation.bounds[0], seed).expect("it is small");
            assert!(
                result.holds() && result.is_judged(),
                "{}",
                failures(&derivation.bounds[0], &result)
            );
            // two starts, then two actions and two states a step: nothing that a kernel rules out
            // is drawn
            assert_eq!(result.trajectories, 2 * 4 * 4);
            result.log_evidence
        })
        .collect();
    // the prior has nothing that a random table could take the place of
    assert!(bounds.iter().all(|log_evidence| *log_evidence == bounds[0]), "{bounds:?}");
}

#[test]
fn large_rewards_are_not_taken_for_mistakes() {
    let model = model(&with_constants(4.85e8));
    let bound = &mut derive(&model).expect("densities are known").bounds[0];
    let result = verify(&model, bound, 0).expect("it is small");
    assert!(result.holds(), "{}", failures(bound, &result));
    // beside them, a reward that comes a step late is one
    for credit in bound.gradient.scores.iter_mut().flat_map(|score| &mut score.credit) {
        if let Downstream::Offset(offset) = &mut credit.from {
            *offset += 1;
        }
    }
    assert!(!verify(&model, bound, 0).expect("it is small").holds());
}

/// What `check` refuses, because the bound would not be one: each with the model that is sound in
/// its place.
#[test]
fn what_would_be_no_bound_is_refused() {
    let text = |prior: &str, auxiliary: &str| {
        format!(
            "model trap
             horizon T = 3
             environment line {{
               state s : 0..2; action a : {{ left, right }}; reward r in [-1, 0]
               s[1] ~ Delta(0); s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 2)); r[t] = if \
               s[t+1] == 2 then 0 else -1
             }}
             option o : 2
             kernel pick(o | s) = Categorical(logits = table(s))
             kernel pi(a | s, o) = Categorical(logits = table(s, o))
             kernel back(o | s, a) = Categorical(logits = table(s, a))
             prior      {{ s[1] ~ line.initial; {prior}; s[t+1] ~ line.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior  {{ s[1] ~ line.initial; o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t]); s[t+1] \
             ~ line.transition(s[t], a[t]) }}
             {auxiliary}"
        )
    };
    let codes = |text: &str| match parse(&Source::new("trap", text))
        .and_then(|file| check(&file, &Overrides::default()))
    {
        Ok(_) => Vec::new(),
        Err(refused) => refused.list.iter().map(|diagnostic| diagnostic.code.0).collect(),
    };
    let reverse = "auxiliary { o[t] ~ back(s[t], a[t]) }";
    let no_code: [&str; 0] = [];
    // a variable of the posterior with a factor in the prior, in the auxiliary block, in neither,
    // in both
    assert_eq!(
        codes(
            &text("o[t] ~ Uniform; a[t] ~ Uniform", "")
                .replace("kernel back(o | s, a) = Categorical(logits = table(s, a))", "")
        ),
        no_code
    );
    assert_eq!(codes(&text("a[t] ~ Uniform", reverse)), no_code);
    assert_eq!(codes(&text("a[t] ~ Uniform", "")), ["no-prior"]);
    assert_eq!(codes(&text("o[t] ~ Uniform; a[t] ~ Uniform", reverse)).len(), 1);
    // a posterior where the prior has no mass: `right` alone; both values again
    assert_eq!(codes(&text("a[t] ~ Uniform(over = [right])", reverse)), ["outside-support"]);
    assert_eq!(codes(&text("a[t] ~ Uniform(over = [left, right])", reverse)), no_code);
}

/// With the constants that the model's kernels have.
fn verify(model: &Model, bound: &BoundDerivation, seed: u64) -> Result<Verified, Unverified> {
    let written = written_tables(model, seed).expect("every kernel has probabilities");
    rlppl::verify::verify(model, bound, &written, seed)
}

fn trial(mutate: fn(&mut BoundDerivation) -> bool, is_caught: fn(&Verified) -> bool) -> (u32, u32) {
    let (mut changed, mut caught) = (0, 0);
    for seed in 0..120 {
        let model = model(&random_model(seed));
        // a single step leaves no room for most mistakes of time
        if model.horizon.value == 1 || changed >= 8 {
            continue;
        }
        for bound in &mut derive(&model).expect("a random model has known densities").bounds {
            if mutate(bound)
                && let Ok(result) = verify(&model, bound, seed)
            {
                changed += 1;
                caught += u32::from(is_caught(&result));
            }
        }
    }
    (changed, caught)
}

fn flip(bound: &mut BoundDerivation, which: fn(&TermKind) -> bool) -> bool {
    let mut changed = false;
    for term in bound.drafts.iter_mut().chain(&mut bound.terms).filter(|term| which(&term.kind)) {
        term.sign = if term.sign == Sign::Plus { Sign::Minus } else { Sign::Plus };
        changed = true;
    }
    changed
}

fn drop_term(bound: &mut BoundDerivation, which: fn(&TermKind) -> bool) -> bool {
    let gone: Vec<u32> = (0..bound.drafts.len() as u32)
        .filter(|at| which(&bound.drafts[*at as usize].kind))
        .collect();
    for step in &mut bound.steps {
        if let rlppl::bound::Change::Terms { added, .. } = &mut step.change {
            added.retain(|id| !gone.contains(&id.0));
        }
    }
    !gone.is_empty()
}

fn replace(bound: &mut BoundDerivation, with: fn(&TermKind) -> Option<(TermKind, Sign)>) -> bool {
    let mut changed = false;
    for term in bound.drafts.iter_mut().chain(&mut bound.terms) {
        if let Some((kind, sign)) = with(&term.kind) {
            term.kind = kind;
            term.sign = sign;
            changed = true;
        }
    }
    changed
}

fn model(text: &str) -> Model {
    let file =
        parse(&Source::new("random", text)).unwrap_or_else(|error| panic!("{error}\n{text}"));
    check(&file, &Overrides::default()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn failures(bound: &BoundDerivation, result: &Verified) -> String {
    let mut out = String::new();
    for (number, (step, checked)) in bound.steps.iter().zip(&result.steps).enumerate() {
        if !checked.holds {
            writeln!(
                out,
                "step {} {}: {} against {}",
                number + 1,
                step.rule.name(),
                checked.before,
                checked.after
            )
            .expect("a string");
        }
    }
    for estimator in result.estimators.iter().filter(|estimator| !estimator.holds()) {
        writeln!(out, "{}: bias {} at scale {}", estimator.name, estimator.bias, estimator.scale)
            .expect("a string");
    }
    if !result.bound_holds() {
        writeln!(out, "log p = {} but L = {}", result.log_evidence, result.bound)
            .expect("a string");
    }
    out
}

/// A small random model: domains, kernels, blocks, options, windows, worlds.
fn random_model(seed: u64) -> String {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut pick = |n: u64| rng.random_range(0..n);
    let states = 2 + pick(2);
    let actions = 2 + pick(2);
    let ends = pick(2) == 0;
    let observed = pick(4) == 0;
    let options = pick(8);
    let world = pick(5);
    let prior_of_action = pick(5);
    let timed = pick(3) == 0;
    let hidden = pick(4) == 0;
    // some thousand trajectories at the most
    let branches =
        states * actions * if observed { 2 } else { 1 } * if options <= 4 { 2 } else { 1 };
    let horizon = 1 + pick(if branches <= 12 { 3 } else { 2 });
    let mut number = |lo: f64, hi: f64| lo + (hi - lo) * rng.random::<f64>();
    let mut law = |n: u64| {
        let weights: Vec<f64> = (0..n).map(|_| number(0.1, 1.0)).collect();
        let sum: f64 = weights.iter().sum();
        let mut law: Vec<f64> = weights.iter().map(|w| (w / sum * 1e4).round() / 1e4).collect();
        law[0] = 1.0 - law[1..].iter().sum::<f64>();
        format!("[{}]", law.iter().map(f64::to_string).collect::<Vec<_>>().join(", "))
    };
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    let transition =
        list((0..states).map(|_| list((0..actions).map(|_| law(states)).collect())).collect());
    let initial = law(states);
    let observation = list((0..states).map(|_| law(2)).collect());
    let reward = list(
        (0..states)
            .map(|_| list((0..actions).map(|_| format!("-{:.3}", number(0.0, 2.0))).collect()))
            .collect(),
    );

    let mut text = format!("model random\nparam alpha = 0.7\nhorizon T = {horizon}\n");
    let hidden_word = if hidden { "hidden " } else { "" };
    writeln!(
        text,
        "{hidden_word}environment mdp {{\n  state s : 0..{}\n  action a : 0..{}",
        states - 1,
        actions - 1
    )
    .expect("a string");
    if observed {
        writeln!(text, "  observation x : 0..1").expect("a string");
    }
    writeln!(text, "  reward r in [-2, 0]\n  s[1] ~ Categorical(probs = {initial})")
        .expect("a string");
    writeln!(text, "  s[t+1] ~ Categorical(probs = {transition}[s[t], a[t]])").expect("a string");
    if observed {
        writeln!(text, "  x[t] ~ Categorical(probs = {observation}[s[t]])").expect("a string");
    }
    writeln!(text, "  r[t] = {reward}[s[t], a[t]]").expect("a string");
    if ends {
        writeln!(text, "  end when s[t] == {}", states - 1).expect("a string");
    }
    writeln!(text, "}}").expect("a string");

    // what the policy conditions on: (formals, arguments)
    let mut given = vec![if observed { ("x", "x[t]") } else { ("s", "s[t]") }];
    if timed {
        given.push(("t", "t"));
    }
    let (mut kernels, mut option_prior, mut option_posterior, mut auxiliary, mut extra) =
        (String::new(), "", "", "", "");
    match options {
        0..=4 => {
            text.push_str("option o : 2\n");
            given.push(("o", "o[t]"));
            kernels.push_str(
                "kernel pick(o | s, last: o?) = Sticky(last, keep = 0.6, fresh = \
                              Categorical(logits = table(s)))\n",
            );
            option_posterior = "  o[t] ~ pick(s[t], o[t-1])\n";
            match options {
                0 => option_prior = option_posterior,
                1 => {
                    kernels.push_str(
                        "kernel back(o | last: o?, s, a, next: s) = \
                                      Categorical(logits = table(last, s, a, next))\n",
                    );
                    auxiliary = "auxiliary { o[t] ~ back(o[t-1], s[t], a[t], s[t+1]) }\n";
                }
                2 => {
                    kernels.push_str(
                        "kernel back(o | next: o?, s, a) = Categorical(logits = \
                                      table(next, s, a))\n",
                    );
                    auxiliary = "auxiliary { o[t] ~ back(o[t+1], s[t], a[t]) }\n";
                }
                3 => {
                    kernels.push_str(
                        "kernel back(o | next: o[1]?, s[3]?, a[3]?) = \
                                      Categorical(logits = mlp(next, s, a, hidden = [4]))\n",
                    );
                    auxiliary =
                        "auxiliary { o[t] ~ back(o[t+1..t+1], s[t-1..t+1], a[t-1..t+1]) }\n";
                }
                _ => {
                    kernels.push_str("kernel other(o | s) = Categorical(logits = table(s))\n");
                    option_prior = "  o[t] ~ other(s[t])\n";
                }
            }
        }
        5 if !ends => {
            text.push_str("option o : 2\n");
            given.push(("o", "o[1]"));
            kernels.push_str("kernel pick(o | s) = Categorical(logits = table(s))\n");
            kernels.push_str(
                "kernel decoder(o | s, goal: s) = Categorical(logits = table(s, goal))\n",
            );
            option_prior = "  o[1] ~ Uniform\n";
            option_posterior = "  o[1] ~ pick(s[1])\n";
            extra = "  H[T] ~ decoder(o[1] | s[1], s[T+1])\n";
        }
        _ => {}
    }
    let formals: Vec<&str> = given.iter().map(|(formal, _)| *formal).collect();
    let arguments: Vec<&str> = given.iter().map(|(_, argument)| *argument).collect();
    let (formals, arguments) = (formals.join(", "), arguments.join(", "));
    writeln!(kernels, "kernel pi(a | {formals}) = Categorical(logits = table({formals}))")
        .expect("a string");
    let policy = format!("pi({arguments})");
    // what only the auxiliary block generates may not stand in the prior
    let prior_of_action =
        if auxiliary.is_empty() { prior_of_action } else { prior_of_action % 2 * 4 };
    let action_prior = match prior_of_action {
        0 | 1 => "Uniform".to_owned(),
        2 => format!("previous {policy}"),
        3 => policy.clone(),
        _ => {
            kernels.push_str("kernel base(a | s) = Categorical(logits = table(s))\n");
            "base(s[t])".to_owned()
        }
    };
    let real = "mdp.transition(s[t], a[t])";
    let (state_prior, state_posterior) = match world {
        0 | 1 => {
            kernels.push_str("kernel world(s' | s, a) = Categorical(logits = table(s, a))\n");
            if world == 0 { ("world(s[t], a[t])", real) } else { (real, "world(s[t], a[t])") }
        }
        _ => (real, real),
    };
    let seen = if observed { "  x[t] ~ mdp.observation(s[t])\n" } else { "" };
    text.push_str(&kernels);
    writeln!(
        text,
        "prior {{\n  s[1] ~ mdp.initial\n{option_prior}{seen}  a[t] ~ \
                    {action_prior}\n  s[t+1] ~ {state_prior}\n}}"
    )
    .expect("a string");
    writeln!(text, "likelihood {{\n  R[t] ~ exp(alpha * r[t])\n{extra}}}").expect("a string");
    writeln!(
        text,
        "posterior {{\n  s[1] ~ mdp.initial\n{option_posterior}{seen}  a[t] ~ \
                    {policy}\n  s[t+1] ~ {state_posterior}\n}}"
    )
    .expect("a string");
    text.push_str(auxiliary);
    text
}
