//! The settings of a run, read from the keys of `infer` by the table in [`super::keys`]. All that
//! is wrong is found at once.

use super::classifier::Classifier;
use super::critic;
use super::key::{Key, KeyDefault, KeyKind};
use super::keys::{Choice, KEYS, OPTIMIZERS, UPDATES, key_named};
use super::until::{self, Until};
use crate::diagnostic::Diagnostic;
use crate::model::{KernelId, LayerId, Model, Setting, SettingValue, Value};
use crate::source::Span;
use crate::syntax::ast::SettingKey;
use crate::syntax::{Place, our_argument, ours};
use std::fmt;

/// Every key of `infer`, with its default where the file says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// In each batch.
    pub trajectories: usize,
    /// Batches of the whole run: those of a round times the rounds.
    pub steps: u64,
    pub rounds: u64,
    /// Passes over a batch.
    pub epochs: u64,
    /// Live steps of each gradient; `None`: all of the batch.
    pub minibatch: Option<usize>,
    pub clip_ratio: Option<f64>,
    /// Nats a live step.
    pub kl_target: Option<f64>,
    pub update: Update,
    pub optimizer: Optimizer,
    pub clip_norm: Option<f64>,
    pub baseline: Baseline,
    pub baseline_weight: f64,
    /// What ends the credit of a draw; at most one of them, once the settings are held against each
    /// other.
    pub critics: Vec<critic::Chosen>,
    pub discount: f64,
    pub kl_to_go: bool,
    pub options: OptionGradient,
    pub estimator: DrawGradient,
    /// Of the file's density ratios, each its own.
    pub ratios: Vec<Classifier>,
    /// Gradient steps of the classifier before each batch.
    pub ratio_steps: u64,
    /// Pairs of a real draw and one of the model in each of them.
    pub ratio_batch: usize,
    /// Real transitions that are kept.
    pub replay: usize,
    /// Gradient steps from kept transitions after each batch; 0: one from the batch.
    pub refits: u64,
    pub refit_batch: usize,
    pub normalize: Normalize,
    pub precision: Precision,
    /// `None`: as many as the machine has.
    pub threads: Option<usize>,
    pub seed: u64,
    pub shards: usize,
    pub log_every: u64,
    /// Seconds of wall time between two checkpoints.
    pub checkpoint_every: f64,
    /// Ends the run before its last step.
    pub until: Option<Until>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    F32,
    F64,
}

/// What is rescaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Normalize {
    /// Real inputs of networks.
    pub observations: bool,
    /// What the baseline is fitted to.
    pub returns: bool,
    pub advantages: bool,
}

/// How a batch moves the policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Update {
    /// Optimiser steps along the gradient.
    Gradient,
    /// A natural-gradient step with a line search (Schulman et al. 2015): `kl` in nats a live step,
    /// `damping` of the Fisher matrix, `iterations` of conjugate gradients.
    TrustRegion { kl: f64, damping: f64, iterations: usize },
    /// To the maximum of the exact bound of a finite model, in at most `iterations` steps of an
    /// ascent where it has no closed form.
    Exact { iterations: u64 },
}

/// A number that moves linearly from the first batch to the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    pub from: f64,
    pub to: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    Adam { rate: Schedule, beta1: f64, beta2: f64, epsilon: f64 },
    Sgd { rate: Schedule, momentum: f64 },
    RmsProp { rate: Schedule, decay: f64, epsilon: f64 },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Baseline {
    None,
    LeaveOneOut,
    /// The value of one column that `layer` computes from `arguments`.
    Network {
        kernel: KernelId,
        layer: LayerId,
        arguments: Vec<Value>,
    },
}

/// Reads the settings of a model, and what is wrong with each; whether they go together is left to
/// [`super::conflicts`].
pub fn read(model: &Model) -> (Settings, Vec<Diagnostic>) {
    let mut reader = Reader { model, errors: Vec::new() };
    for setting in &model.settings {
        reader.errors.extend(unknown_key(&setting.key, setting.span));
        reader.errors.extend(of_nothing(setting));
    }
    reader.classifiers("ratio");
    let trajectories = reader.count("trajectories").unwrap_or(1) as usize;
    let rounds = reader.count("rounds").unwrap_or(1);
    let in_round =
        reader.count("steps").unwrap_or(if model.setting("rounds").is_some() { 1 } else { 1000 });
    let steps = in_round.saturating_mul(rounds);
    let until = until::read(model, trajectories).unwrap_or_else(|error| {
        reader.errors.push(error);
        None
    });
    let settings = Settings {
        trajectories,
        steps,
        rounds,
        epochs: reader.count("epochs").unwrap_or(1),
        minibatch: reader.count("minibatch").map(|n| n as usize),
        clip_ratio: reader.number("clip_ratio"),
        kl_target: reader.number("kl_target"),
        update: reader.update("update"),
        optimizer: reader.optimizer("optimizer"),
        clip_norm: reader.number("clip_norm"),
        baseline: reader.baseline("baseline"),
        baseline_weight: reader.number("baseline_weight").unwrap_or(1.0),
        critics: critic::chosen(|key| reader.number(key)),
        discount: reader.number("discount").unwrap_or(1.0),
        kl_to_go: reader.truth("kl_to_go"),
        options: if reader.word("options") == "enumerate" {
            OptionGradient::Enumerated
        } else {
            OptionGradient::Sampled
        },
        estimator: if reader.word("estimator") == "pathwise" {
            DrawGradient::Pathwise
        } else {
            DrawGradient::Score
        },
        // a file's, which its ratios tell
        ratios: Vec::new(),
        ratio_steps: reader.count("ratio_steps").unwrap_or(1),
        ratio_batch: reader.count("ratio_batch").unwrap_or(1) as usize,
        replay: reader.count("replay").unwrap_or(1) as usize,
        refits: reader.count("refits").unwrap_or(0),
        refit_batch: reader.count("refit_batch").unwrap_or(1) as usize,
        normalize: reader.normalize("normalize"),
        precision: if reader.word("precision") == "f64" { Precision::F64 } else { Precision::F32 },
        threads: reader.count("threads").map(|n| n as usize),
        seed: reader.count("seed").unwrap_or(0),
        // a function of the model alone: the same bits on any machine
        shards: reader
            .count("shards")
            .map_or((trajectories / 32).clamp(2, 16), |n| n as usize)
            .min(trajectories),
        checkpoint_every: reader.number("checkpoint_every").unwrap_or(60.0),
        log_every: reader.count("log_every").unwrap_or(steps / 1000).max(1),
        until,
    };
    (settings, reader.errors)
}

/// How the gradient takes the option of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionGradient {
    /// As it was drawn.
    Sampled,
    /// In expectation over all that could have led to the drawn states and actions.
    Enumerated,
}

/// How a bound is differentiated by what its real draws depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrawGradient {
    /// By `∇log q` of the draw.
    Score,
    /// Through the draw.
    Pathwise,
}

impl Settings {
    /// Batches of a round.
    pub fn steps_in_round(&self) -> u64 {
        self.steps / self.rounds.max(1)
    }

    /// A batch gives more than one gradient, so that draws are weighed by ratios.
    pub fn reuses_batches(&self) -> bool {
        self.epochs > 1 || self.minibatch.is_some()
    }
}

impl Schedule {
    pub fn constant(value: f64) -> Schedule {
        Schedule { from: value, to: value }
    }

    /// The value at batch `step` (from 0) of `steps`.
    pub fn at(self, step: u64, steps: u64) -> f64 {
        if steps <= 1 || self.from == self.to {
            return self.from;
        }
        self.from + (self.to - self.from) * (step.min(steps - 1) as f64 / (steps - 1) as f64)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            write!(f, "{}", self.from)
        } else {
            write!(f, "ramp(from = {}, to = {})", self.from, self.to)
        }
    }
}

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Update::Gradient => f.write_str("gradient"),
            Update::Exact { iterations } => write!(f, "exact(iterations = {iterations})"),
            Update::TrustRegion { kl, damping, iterations } => {
                write!(f, "trust_region(kl = {kl}, damping = {damping}, iterations = {iterations})")
            }
        }
    }
}

impl fmt::Display for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Optimizer::Adam { rate, beta1, beta2, epsilon } => {
                write!(
                    f,
                    "adam(rate = {rate}, beta1 = {beta1}, beta2 = {beta2}, epsilon = {epsilon})"
                )
            }
            Optimizer::Sgd { rate, momentum } => {
                write!(f, "sgd(rate = {rate}, momentum = {momentum})")
            }
            Optimizer::RmsProp { rate, decay, epsilon } => {
                write!(f, "rmsprop(rate = {rate}, decay = {decay}, epsilon = {epsilon})")
            }
        }
    }
}

/// What is wrong with a key of `infer` that there is not, in a file or after `--set`.
pub fn unknown_key(key: &str, span: Span) -> Option<Diagnostic> {
    // the key alone; what it is the key of, the model knows
    let key = &SettingKey::read(key).key;
    if key_named(key).is_some() {
        return None;
    }
    let error =
        Diagnostic::error("unknown-setting", span, format!("unknown key `{key}` of `infer`"));
    let near =
        nearest(key, KEYS.iter().map(|key| key.name)).map(|name| format!("did you mean `{name}`?"));
    let list = || format!("the keys are {}", listed(KEYS.iter().map(|key| key.name)));
    Some(error.hint(ours(Place::Key, key).or(near).unwrap_or_else(list)))
}

/// A key that is of the whole file, or of a bound, and of no kernel.
fn of_nothing(setting: &Setting) -> Option<Diagnostic> {
    let is_of_all = !setting.of.is_empty() && setting.key != "ratio";
    is_of_all.then(|| {
        let message = format!("`{}` is of no kernel: a file, or a bound, has one", setting.key);
        Diagnostic::error("bad-setting", setting.span, message)
            .hint(format!("write `{} = …`", setting.key))
    })
}

/// Below this each whole number is a float64 of its own.
const EXACT: f64 = 9e15;

struct Reader<'a> {
    model: &'a Model,
    errors: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// The table's row of a key this module reads.
    fn key(&self, name: &str) -> &'static Key {
        key_named(name).expect("plan: settings read only keys of the table")
    }

    fn wrong(&mut self, span: Span, message: String) {
        self.errors.push(Diagnostic::error("bad-setting", span, message));
    }

    /// A value that a key does not take at all: a word of other tools for nothing, or a word in
    /// quotes.
    fn misplaced(&mut self, key: &Key, setting: &Setting) {
        let told = Diagnostic::error(
            "bad-setting",
            setting.span,
            format!("`{}` is {}", key.name, wanted(key.kind)),
        );
        let word = match &setting.value {
            SettingValue::Word(word) | SettingValue::Text(word) => word.as_str(),
            SettingValue::Truth(false) => "false",
            SettingValue::Truth(true)
            | SettingValue::Number(_)
            | SettingValue::List(_)
            | SettingValue::Call { .. }
            | SettingValue::Threshold { .. }
            | SettingValue::Network { .. } => "",
        };
        let taken: &[&str] = match key.kind {
            KeyKind::Word(words) | KeyKind::Words(words) | KeyKind::NetworkOr(words) => words,
            KeyKind::Count { .. }
            | KeyKind::Number { .. }
            | KeyKind::Positive
            | KeyKind::Truth
            | KeyKind::Optimizer
            | KeyKind::Update
            | KeyKind::Threshold(_) => &[],
        };
        self.errors.push(
            if matches!(setting.value, SettingValue::Text(_)) && taken.contains(&word) {
                told.hint(format!("a word stands without quotes: `{} = {word}`", key.name))
            } else if ["none", "null", "nil", "off", "no", "false"]
                .contains(&word.to_ascii_lowercase().as_str())
            {
                told.hint(match key.kind {
                    KeyKind::Truth => format!("write `{} = false`", key.name),
                    _ => format!("leave `{}` away: its default is {}", key.name, key.default),
                })
            } else {
                told
            },
        );
    }

    /// A number as the table's kind wants it; `None` where it is not set and its default is
    /// derived, or where it was wrong.
    fn number(&mut self, name: &str) -> Option<f64> {
        let key = self.key(name);
        let Some(setting) = self.model.setting(name) else {
            return match key.default {
                KeyDefault::Number(value) => Some(value),
                KeyDefault::Truth(_) | KeyDefault::Word(_) | KeyDefault::Derived(_) => None,
            };
        };
        let SettingValue::Number(value) = setting.value else {
            self.misplaced(key, setting);
            return None;
        };
        if let KeyKind::Count { least } = key.kind
            && value >= EXACT
        {
            let message =
                format!("`{name}` is {} and below {EXACT:e}, not {value:e}", wanted(key.kind));
            let told = Diagnostic::error("bad-setting", setting.span, message);
            self.errors.push(told.hint(format!("write a number from {least} to {:e}", 1e15)));
            return None;
        }
        let fits = match key.kind {
            KeyKind::Count { least } => {
                value.fract() == 0.0 && value >= least as f64 && value < EXACT
            }
            KeyKind::Number { lo, hi } => (lo..=hi).contains(&value),
            KeyKind::Positive => value > 0.0 && value.is_finite(),
            KeyKind::Truth
            | KeyKind::Word(_)
            | KeyKind::Words(_)
            | KeyKind::Optimizer
            | KeyKind::NetworkOr(_)
            | KeyKind::Update
            | KeyKind::Threshold(_) => false,
        };
        if !fits {
            self.wrong(setting.span, format!("`{name}` is {}, not {value}", wanted(key.kind)));
        }
        Some(value).filter(|_| fits)
    }

    fn count(&mut self, name: &str) -> Option<u64> {
        self.number(name).map(|value| value as u64)
    }

    fn truth(&mut self, name: &str) -> bool {
        let key = self.key(name);
        let default = key.default == KeyDefault::Truth(true);
        match self.model.setting(name) {
            None => default,
            Some(Setting { value: SettingValue::Truth(value), .. }) => *value,
            Some(setting) => {
                self.misplaced(key, setting);
                default
            }
        }
    }

    fn word(&mut self, name: &str) -> String {
        let key = self.key(name);
        let default = key.default.to_string();
        let KeyKind::Word(words) = key.kind else { return default };
        match self.model.setting(name) {
            None => default,
            Some(Setting { value: SettingValue::Word(word), .. })
                if words.contains(&word.as_str()) =>
            {
                word.clone()
            }
            Some(setting) => {
                self.misplaced(key, setting);
                default
            }
        }
    }

    fn normalize(&mut self, name: &str) -> Normalize {
        let key = self.key(name);
        let mut found = Normalize::default();
        let Some(setting) = self.model.setting(name) else { return found };
        let words = match &setting.value {
            SettingValue::List(words) => &words[..],
            word => std::slice::from_ref(word),
        };
        for word in words {
            match word {
                SettingValue::Word(word) if word == "observations" => found.observations = true,
                SettingValue::Word(word) if word == "returns" => found.returns = true,
                SettingValue::Word(word) if word == "advantages" => found.advantages = true,
                _ => self.wrong(setting.span, format!("`{name}` is {}", wanted(key.kind))),
            }
        }
        found
    }

    fn baseline(&mut self, name: &str) -> Baseline {
        let key = self.key(name);
        let Some(setting) = self.model.setting(name) else { return Baseline::LeaveOneOut };
        match &setting.value {
            SettingValue::Word(word) if word == "leave_one_out" => Baseline::LeaveOneOut,
            SettingValue::Word(word) if word == "none" => Baseline::None,
            SettingValue::Network { kernel, layer, arguments } => {
                let width = self.model.network.layer(*layer).width;
                if width != 1 {
                    self.wrong(
                        setting.span,
                        format!("a baseline is one number, and this network computes {width}"),
                    );
                }
                Baseline::Network { kernel: *kernel, layer: *layer, arguments: arguments.clone() }
            }
            SettingValue::Word(_)
            | SettingValue::Number(_)
            | SettingValue::Truth(_)
            | SettingValue::List(_)
            | SettingValue::Text(_)
            | SettingValue::Call { .. }
            | SettingValue::Threshold { .. } => {
                self.wrong(setting.span, format!("`{name}` is {}", wanted(key.kind)));
                Baseline::LeaveOneOut
            }
        }
    }

    /// Each line of that key is a network of one number.
    fn classifiers(&mut self, name: &str) {
        let model = self.model;
        for setting in model.settings.iter().filter(|setting| setting.key == name) {
            let SettingValue::Network { layer, .. } = &setting.value else {
                self.wrong(setting.span, format!("`{name}` is {}", wanted(self.key(name).kind)));
                continue;
            };
            let width = model.network.layer(*layer).width;
            if width != 1 {
                let message = format!(
                    "a classifier's logit is one number, and this network computes {width}"
                );
                self.wrong(setting.span, message);
            }
        }
    }

    fn optimizer(&mut self, name: &str) -> Optimizer {
        let Some((known, values)) = self.choice(name, OPTIMIZERS, "optimiser") else {
            return Optimizer::Sgd { rate: Schedule::constant(0.0), momentum: 0.0 };
        };
        let value = |argument: &str| values[place(known, argument)];
        match known.name {
            "adam" => Optimizer::Adam {
                rate: value("rate"),
                beta1: value("beta1").from,
                beta2: value("beta2").from,
                epsilon: value("epsilon").from,
            },
            "sgd" => Optimizer::Sgd { rate: value("rate"), momentum: value("momentum").from },
            _ => Optimizer::RmsProp {
                rate: value("rate"),
                decay: value("decay").from,
                epsilon: value("epsilon").from,
            },
        }
    }

    fn update(&mut self, name: &str) -> Update {
        let Some((known, values)) = self.choice(name, UPDATES, "update") else {
            return Update::Gradient;
        };
        let value = |argument: &str| values[place(known, argument)].from;
        match known.name {
            "trust_region" => Update::TrustRegion {
                kl: value("kl"),
                damping: value("damping"),
                iterations: value("iterations") as usize,
            },
            "exact" => Update::Exact { iterations: value("iterations") as u64 },
            _ => Update::Gradient,
        }
    }

    /// The word of a key among `known`, and the values of its arguments in the table's order.
    fn choice(
        &mut self,
        name: &str,
        known: &'static [Choice],
        what: &str,
    ) -> Option<(&'static Choice, Vec<Schedule>)> {
        let key = self.key(name);
        let default = key.default.to_string();
        let no_arguments = Vec::new();
        let (function, arguments, span) = match self.model.setting(name).map(|s| (&s.value, s.span))
        {
            None => (default.as_str(), &no_arguments, Span::default()),
            Some((SettingValue::Word(word), span)) => (word.as_str(), &no_arguments, span),
            Some((SettingValue::Call { function, arguments }, span)) => {
                (function.as_str(), arguments, span)
            }
            Some((_, span)) => {
                self.wrong(span, format!("`{name}` is {}", wanted(key.kind)));
                return None;
            }
        };
        let Some(choice) = known.iter().find(|choice| choice.name == function) else {
            let error =
                Diagnostic::error("bad-setting", span, format!("unknown {what} `{function}`"));
            self.errors.push(
                match nearest(&function.to_lowercase(), known.iter().map(|choice| choice.name)) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint(format!(
                        "the {what}s are {}",
                        listed(known.iter().map(|choice| choice.name))
                    )),
                },
            );
            return None;
        };
        let values = self.arguments(choice, arguments, span);
        Some((choice, values))
    }

    /// One value per argument of the table, in its order.
    fn arguments(
        &mut self,
        known: &Choice,
        given: &[(Option<String>, SettingValue)],
        span: Span,
    ) -> Vec<Schedule> {
        let mut values: Vec<Schedule> =
            known.arguments.iter().map(|&(_, default, _)| Schedule::constant(default)).collect();
        for (name, value) in given {
            let Some(name) = name else {
                let first = known.arguments.first().map_or("", |(name, ..)| name);
                self.wrong(
                    span,
                    format!(
                        "the arguments of `{}` have names: `{}({first} = …)`",
                        known.name, known.name
                    ),
                );
                continue;
            };
            let Some(at) = known.arguments.iter().position(|(known, ..)| known == name) else {
                let names = known.arguments.iter().map(|(name, ..)| *name);
                let error = Diagnostic::error(
                    "bad-setting",
                    span,
                    format!("`{}` has no argument `{name}`", known.name),
                );
                let owned: Vec<String> = names.clone().map(str::to_owned).collect();
                self.errors.push(
                    match our_argument(name, &owned).or(nearest(name, names.clone())) {
                        Some(ours) => error.hint(format!("write `{ours} = …`")),
                        None if owned.is_empty() => {
                            error.hint(format!("it has none: write `{}`", known.name))
                        }
                        None => error.hint(format!("its arguments are {}", listed(names))),
                    },
                );
                continue;
            };
            let schedule = match value {
                SettingValue::Number(value) => Some(Schedule::constant(*value)),
                SettingValue::Call { function, arguments }
                    if function == "ramp" && name == "rate" =>
                {
                    ramp(arguments)
                }
                _ => None,
            };
            let fits = |value: f64| match name.as_str() {
                "rate" => (0.0..f64::INFINITY).contains(&value),
                "epsilon" | "kl" => value > 0.0 && value.is_finite(),
                "damping" => (0.0..f64::INFINITY).contains(&value),
                "iterations" => value.fract() == 0.0 && (1.0..1e6).contains(&value),
                _ => (0.0..1.0).contains(&value),
            };
            match schedule.filter(|s| fits(s.from) && fits(s.to)) {
                Some(schedule) => values[at] = schedule,
                None => {
                    let wanted = match name.as_str() {
                        "rate" => "a number that is not negative, or `ramp(from = …, to = …)`",
                        "epsilon" | "kl" => "a number greater than 0",
                        "damping" => "a number that is not negative",
                        "iterations" => "a whole number, at least 1",
                        _ => "a number of [0, 1)",
                    };
                    self.wrong(span, format!("`{name}` of `{}` is {wanted}", known.name));
                }
            }
        }
        values
    }
}

fn place(choice: &Choice, argument: &str) -> usize {
    choice
        .arguments
        .iter()
        .position(|(name, ..)| *name == argument)
        .expect("plan: arguments are of the table")
}

fn ramp(arguments: &[(Option<String>, SettingValue)]) -> Option<Schedule> {
    let named = |wanted: &str| {
        arguments.iter().find_map(|(name, value)| match value {
            SettingValue::Number(value) if name.as_deref() == Some(wanted) => Some(*value),
            _ => None,
        })
    };
    Some(Schedule { from: named("from")?, to: named("to")? }).filter(|_| arguments.len() == 2)
}

fn wanted(kind: KeyKind) -> String {
    match kind {
        KeyKind::Count { least } => format!("a whole number, at least {least}"),
        KeyKind::Number { lo, hi } if hi == f64::MAX => format!("a number, at least {lo}"),
        KeyKind::Number { lo, hi } => format!("a number of [{lo}, {hi}]"),
        KeyKind::Positive => "a number greater than 0".into(),
        KeyKind::Truth => "`true` or `false`".into(),
        KeyKind::Word(words) => listed(words.iter().copied()).replace(" and ", " or "),
        KeyKind::Words(words) => format!(
            "one or more of {}, as `[{}]`",
            listed(words.iter().copied()),
            words[..2].join(", ")
        ),
        KeyKind::Optimizer => "an optimiser, as `adam(rate = 0.003)`".into(),
        KeyKind::NetworkOr([]) => "a network, as `mlp(s, a, s', hidden = [64])`".into(),
        KeyKind::NetworkOr(words) => {
            format!(
                "a network, as `mlp(s, hidden = [64])`, or {}",
                listed(words.iter().copied()).replace(" and ", " or ")
            )
        }
        KeyKind::Update => "an update, as `trust_region(kl = 0.01)`".into(),
        KeyKind::Threshold(words) => {
            format!("a threshold of {}", listed(words.iter().copied()).replace(" and ", " or "))
        }
    }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|k| (strsim::osa_distance(name, k), k))
        .filter(|(distance, k)| *distance * 3 <= k.len().max(3))
        .min()
        .map(|(_, k)| k)
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
