//! The keys of `infer`: one table with each key's meaning, kind and default. The reference, `rlppl
//! plan` and the reader of settings all read this table.

use super::critic::CRITICS;
use super::key::{Key, KeyDefault, KeyKind};
use super::until::WATCHED;

/// A word and its named arguments, each with its default and meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub name: &'static str,
    pub arguments: &'static [(&'static str, f64, &'static str)],
}

const fn key(name: &'static str, kind: KeyKind, default: KeyDefault, meaning: &'static str) -> Key {
    Key { name, meaning, kind, default }
}

/// All keys, in the order they are printed.
pub const KEYS: &[Key] = &ALL;

const ALL: [Key; FIRST.len() + CRITICS.len() + LAST.len()] = {
    let mut all = [FIRST[0]; FIRST.len() + CRITICS.len() + LAST.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < FIRST.len() {
            FIRST[at]
        } else if at < FIRST.len() + CRITICS.len() {
            CRITICS[at - FIRST.len()].key
        } else {
            LAST[at - FIRST.len() - CRITICS.len()]
        };
        at += 1;
    }
    all
};

/// Those that stand before the critics.
const FIRST: &[Key] = &[
    key(
        "trajectories",
        KeyKind::Count { least: 1 },
        KeyDefault::Number(64.0),
        "trajectories sampled for each gradient step",
    ),
    key(
        "steps",
        KeyKind::Count { least: 0 },
        KeyDefault::Derived("1000, or 1 where `rounds` is set"),
        "batches of trajectories, in each round; a batch is one gradient step unless `epochs` or \
         `minibatch` make it more",
    ),
    key(
        "rounds",
        KeyKind::Count { least: 1 },
        KeyDefault::Number(1.0),
        "outer iterations: each begins by moving `previous` to the present parameters",
    ),
    key(
        "epochs",
        KeyKind::Count { least: 1 },
        KeyDefault::Number(1.0),
        "passes over a batch; after the first gradient its draws are weighed by the ratio of the \
         present policy to the one that drew them",
    ),
    key(
        "minibatch",
        KeyKind::Count { least: 1 },
        KeyDefault::Derived("the whole batch"),
        "live steps for each gradient within a pass, drawn without replacement",
    ),
    key(
        "clip_ratio",
        KeyKind::Positive,
        KeyDefault::Derived("no clipping"),
        "a draw whose ratio has left [1 − clip_ratio, 1 + clip_ratio] in the direction of its \
         advantage has no gradient (Schulman 2017, eq. 7)",
    ),
    key(
        "kl_target",
        KeyKind::Positive,
        KeyDefault::Derived("no target"),
        "nats a live step; the passes over a batch end where KL(policy ‖ the one that drew it) \
         exceeds it",
    ),
    key(
        "update",
        KeyKind::Update,
        KeyDefault::Word("gradient"),
        "how a batch moves the policy: optimiser steps, a natural-gradient step with a line \
         search (Schulman 2015), or, on a finite model, to the maximum of the exact bound",
    ),
    key(
        "optimizer",
        KeyKind::Optimizer,
        KeyDefault::Word("adam"),
        "how a gradient moves the parameters; `rate` may be `ramp(from = …, to = …)` over the \
         batches",
    ),
    key(
        "clip_norm",
        KeyKind::Positive,
        KeyDefault::Derived("no clipping"),
        "greatest Euclidean norm of a gradient; longer ones are scaled down to it",
    ),
    key(
        "baseline",
        KeyKind::NetworkOr(&["leave_one_out", "none"]),
        KeyDefault::Word("leave_one_out"),
        "what is subtracted from a draw's credit: a network fitted to earlier batches, the mean \
         credit of the other trajectories at the same `t`, or nothing",
    ),
    key(
        "baseline_weight",
        KeyKind::Number { lo: 0.0, hi: f64::MAX },
        KeyDefault::Number(1.0),
        "weight of the baseline's squared error (halved) beside the bound, where its network \
         shares a `net` with the policy and moves it",
    ),
];

/// Those that stand behind them.
const LAST: &[Key] = &[
    key(
        "discount",
        KeyKind::Number { lo: 0.0, hi: 1.0 },
        KeyDefault::Number(1.0),
        "factor per step on later terms in a draw's credit: lowers the variance; below 1 it \
         biases the gradient, never the bound",
    ),
    key(
        "kl_to_go",
        KeyKind::Truth,
        KeyDefault::Truth(true),
        "credit a draw with the later action terms (KL, entropy, log n); without them the \
         gradient is biased",
    ),
    key(
        "options",
        KeyKind::Word(&["sampled", "enumerate"]),
        KeyDefault::Word("sampled"),
        "how the gradient takes the option: as it was drawn, or in expectation over all that \
         could have led to the drawn states and actions, which has less variance and asks that no \
         kernel reads it at steps farther apart than neighbours",
    ),
    key(
        "estimator",
        KeyKind::Word(&["score", "pathwise"]),
        KeyDefault::Word("score"),
        "the gradient of a bound whose states a learned model draws: by the scores of what is \
         drawn, or through real draws, as functions of what their kernels compute and of noise \
         (Kingma & Welling 2014)",
    ),
    key(
        "normalize",
        KeyKind::Words(&["observations", "returns", "advantages"]),
        KeyDefault::Derived("nothing"),
        "what is rescaled: real inputs of networks by their running mean and deviation (kept with \
         the parameters; they move as a round begins, or as each batch does where there is one \
         round and no prior reads `previous`), what the baseline is fitted to likewise, or the \
         advantages of a batch by their root mean square",
    ),
    key(
        "precision",
        KeyKind::Word(&["f32", "f64"]),
        KeyDefault::Word("f32"),
        "floating-point numbers of networks and environments",
    ),
    key(
        "threads",
        KeyKind::Count { least: 1 },
        KeyDefault::Derived("the machine's"),
        "worker threads; the result does not depend on it",
    ),
    key("seed", KeyKind::Count { least: 0 }, KeyDefault::Number(0.0), "seed of all random streams"),
    key(
        "shards",
        KeyKind::Count { least: 1 },
        KeyDefault::Derived("trajectories / 32, between 2 and 16"),
        "parts of a batch, each with its own random stream; the result depends on it",
    ),
    key(
        "checkpoint_every",
        KeyKind::Positive,
        KeyDefault::Number(60.0),
        "seconds between two checkpoints, as `0.2`; the result does not depend on it",
    ),
    key(
        "log_every",
        KeyKind::Count { least: 1 },
        KeyDefault::Derived("steps / 1000"),
        "gradient steps between two lines of metrics",
    ),
    key(
        "until",
        KeyKind::Threshold(WATCHED),
        KeyDefault::Derived("to the last step"),
        "ends the run once the mean over the last batches, together at least 100 trajectories, \
         reaches a threshold, as `expected_return >= 475`",
    ),
    key(
        "ratio",
        KeyKind::NetworkOr(&[]),
        KeyDefault::Derived("mlp(s, a, s', hidden = [64, 64])"),
        "the classifier of a density ratio, where a bound has one: its logit is the logarithm of \
         the ratio; trained on real draws against those of the model, both after the same state \
         and actions. It reads these, the next state and the time, and so may the model. Where \
         there are several ratios, `ratio(world)` is the key of the one in which `world` stands, \
         and `ratio(world, line.transition)` that of these two",
    ),
    key(
        "ratio_steps",
        KeyKind::Count { least: 1 },
        KeyDefault::Number(1.0),
        "gradient steps of the classifier before each batch of the bound that needs it",
    ),
    key(
        "ratio_batch",
        KeyKind::Count { least: 1 },
        KeyDefault::Number(256.0),
        "real draws of each of these steps, each beside one of the model",
    ),
    key(
        "replay",
        KeyKind::Count { least: 1 },
        KeyDefault::Number(100_000.0),
        "real transitions that are kept for the classifier and for `refits`: the last ones",
    ),
    key(
        "refits",
        KeyKind::Count { least: 0 },
        KeyDefault::Number(0.0),
        "gradient steps of a model of the world from kept transitions (state, actions, next state, \
         rewards, end, time) after each batch, in the place of one from the batch",
    ),
    key(
        "refit_batch",
        KeyKind::Count { least: 1 },
        KeyDefault::Number(256.0),
        "transitions of each of these steps",
    ),
];

/// The optimisers, with the update of the paper or manual named.
pub const OPTIMIZERS: &[Choice] = &[
    Choice {
        name: "adam",
        arguments: &[
            ("rate", 0.001, "step size (Kingma & Ba 2015)"),
            ("beta1", 0.9, "decay of the first moment"),
            ("beta2", 0.999, "decay of the second moment"),
            ("epsilon", 1e-8, "added to the root of the second moment"),
        ],
    },
    Choice {
        name: "sgd",
        arguments: &[("rate", 0.01, "step size"), ("momentum", 0.0, "decay of the velocity")],
    },
    Choice {
        name: "rmsprop",
        arguments: &[
            ("rate", 0.001, "step size (Tieleman & Hinton 2012)"),
            ("decay", 0.9, "decay of the squared gradient's mean"),
            ("epsilon", 1e-8, "added to the mean before its root is taken"),
        ],
    },
];

/// How a batch moves the policy.
pub const UPDATES: &[Choice] = &[
    Choice { name: "gradient", arguments: &[] },
    Choice {
        name: "trust_region",
        arguments: &[
            ("kl", 0.01, "radius: nats a live step"),
            ("damping", 0.01, "added to the diagonal of the Fisher matrix"),
            ("iterations", 10.0, "of conjugate gradients"),
        ],
    },
    Choice {
        name: "exact",
        arguments: &[(
            "iterations",
            1000.0,
            "of the ascent in a round, where the maximum has no closed form",
        )],
    },
];

/// The key of that name.
pub fn key_named(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_defaults_fit_their_kind() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..at].iter().all(|other| other.name != key.name), "{}", key.name);
            let fits = match (key.kind, key.default) {
                (_, KeyDefault::Derived(_)) => true,
                (KeyKind::Count { least }, KeyDefault::Number(n)) => n >= least as f64,
                (KeyKind::Number { lo, hi }, KeyDefault::Number(n)) => (lo..=hi).contains(&n),
                (KeyKind::Positive, KeyDefault::Number(n)) => n > 0.0,
                (KeyKind::Truth, KeyDefault::Truth(_)) => true,
                (KeyKind::Word(words) | KeyKind::NetworkOr(words), KeyDefault::Word(word)) => {
                    words.contains(&word)
                }
                (KeyKind::Optimizer, KeyDefault::Word(word)) => {
                    OPTIMIZERS.iter().any(|o| o.name == word)
                }
                (KeyKind::Update, KeyDefault::Word(word)) => UPDATES.iter().any(|u| u.name == word),
                _ => false,
            };
            assert!(fits, "{}", key.name);
        }
    }
}
