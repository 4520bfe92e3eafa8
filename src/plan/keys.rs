//! The keys of `infer`: one table with each key's meaning, kind and default. The reference, `rlppl plan` and the reader of settings
//! all read this table.

use std::fmt;

/// One key of `infer`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    pub name: &'static str,
    pub meaning: &'static str,
    pub kind: KeyKind,
    pub default: KeyDefault,
    /// Whether this version has the machinery; setting a key that is not run is refused.
    pub run: bool,
}

/// What values a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyKind {
    /// A whole number, at least this.
    Count {
        least: u64,
    },
    /// A number between these, both included.
    Number {
        lo: f64,
        hi: f64,
    },
    /// A number greater than zero.
    Positive,
    Truth,
    Word(&'static [&'static str]),
    /// One of [`OPTIMIZERS`] with named arguments.
    Optimizer,
    /// A network over variables at `t`, or one of these words.
    NetworkOr(&'static [&'static str]),
    /// Belongs to machinery that is not run yet.
    Later,
}

/// What holds where the key is not set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyDefault {
    Number(f64),
    Truth(bool),
    Word(&'static str),
    /// Follows from other settings or from the machine, in these words.
    Derived(&'static str),
}

/// An optimiser and its arguments, each with its meaning and default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerKey {
    pub name: &'static str,
    pub arguments: &'static [(&'static str, f64, &'static str)],
}

const fn key(name: &'static str, kind: KeyKind, default: KeyDefault, meaning: &'static str) -> Key {
    Key { name, meaning, kind, default, run: true }
}

const fn later(name: &'static str, meaning: &'static str) -> Key {
    Key { name, meaning, kind: KeyKind::Later, default: KeyDefault::Derived("not set"), run: false }
}

/// All keys, in the order they are printed.
pub const KEYS: &[Key] = &[
    key("trajectories", KeyKind::Count { least: 1 }, KeyDefault::Number(64.0), "trajectories sampled for each gradient step"),
    key("steps", KeyKind::Count { least: 0 }, KeyDefault::Number(1000.0), "gradient steps"),
    key(
        "optimizer",
        KeyKind::Optimizer,
        KeyDefault::Word("adam"),
        "how a gradient moves the parameters; `rate` may be `ramp(from = …, to = …)` over the steps",
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
        "what is subtracted from a draw's credit: a network fitted to earlier batches, the mean credit of the other trajectories at the same `t`, or nothing",
    ),
    key(
        "lambda",
        KeyKind::Number { lo: 0.0, hi: 1.0 },
        KeyDefault::Number(1.0),
        "λ of generalised advantage estimation (Schulman 2016); below 1 it biases the gradient and needs a network as baseline",
    ),
    key(
        "discount",
        KeyKind::Number { lo: 0.0, hi: 1.0 },
        KeyDefault::Number(1.0),
        "factor per step on later terms in a draw's credit: lowers the variance; below 1 it biases the gradient, never the bound",
    ),
    key(
        "kl_to_go",
        KeyKind::Truth,
        KeyDefault::Truth(true),
        "credit a draw with the later action terms (KL, entropy, log n); without them the gradient is biased",
    ),
    key("precision", KeyKind::Word(&["f32", "f64"]), KeyDefault::Word("f32"), "floating-point numbers of networks and environments"),
    key("threads", KeyKind::Count { least: 1 }, KeyDefault::Derived("the machine's"), "worker threads; the result does not depend on it"),
    key("seed", KeyKind::Count { least: 0 }, KeyDefault::Number(0.0), "seed of all random streams"),
    key(
        "shards",
        KeyKind::Count { least: 1 },
        KeyDefault::Derived("trajectories / 32, between 2 and 16"),
        "parts of a batch, each with its own random stream; the result depends on it",
    ),
    key("log_every", KeyKind::Count { least: 1 }, KeyDefault::Derived("steps / 1000"), "gradient steps between two lines of metrics"),
    later("rounds", "outer iterations that move `previous`"),
    later("epochs", "passes over a batch by importance weights"),
    later("minibatch", "trajectories for each gradient within a pass"),
    later("clip_ratio", "bound on the importance ratio (PPO)"),
    later("update", "how the policy moves in a round"),
    later("ratio", "the classifier network of a density ratio"),
    later("normalize", "rescaling of advantages or observations"),
    later("until", "stops the run when a quantity reaches a threshold"),
    later("options", "how sampled options are marginalised in the gradient"),
];

/// The optimisers, with the update of the paper or manual named.
pub const OPTIMIZERS: &[OptimizerKey] = &[
    OptimizerKey {
        name: "adam",
        arguments: &[
            ("rate", 0.001, "step size (Kingma & Ba 2015)"),
            ("beta1", 0.9, "decay of the first moment"),
            ("beta2", 0.999, "decay of the second moment"),
            ("epsilon", 1e-8, "added to the root of the second moment"),
        ],
    },
    OptimizerKey { name: "sgd", arguments: &[("rate", 0.01, "step size"), ("momentum", 0.0, "decay of the velocity")] },
    OptimizerKey {
        name: "rmsprop",
        arguments: &[
            ("rate", 0.001, "step size (Tieleman & Hinton 2012)"),
            ("decay", 0.9, "decay of the squared gradient's mean"),
            ("epsilon", 1e-8, "added to the mean before its root is taken"),
        ],
    },
];

impl fmt::Display for KeyDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyDefault::Number(value) => write!(f, "{value}"),
            KeyDefault::Truth(value) => write!(f, "{value}"),
            KeyDefault::Word(word) | KeyDefault::Derived(word) => f.write_str(word),
        }
    }
}

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
                (KeyKind::Truth, KeyDefault::Truth(_)) => true,
                (KeyKind::Word(words) | KeyKind::NetworkOr(words), KeyDefault::Word(word)) => words.contains(&word),
                (KeyKind::Optimizer, KeyDefault::Word(word)) => OPTIMIZERS.iter().any(|o| o.name == word),
                _ => false,
            };
            assert!(fits, "{}", key.name);
        }
    }
}
