//! The settings of a run, read from the keys of `infer` by the table in [`super::keys`]. All that is wrong is found at once.

use super::keys::{KEYS, Key, KeyDefault, KeyKind, OPTIMIZERS, OptimizerKey, key_named};
use crate::diagnostic::Diagnostic;
use crate::model::{KernelId, LayerId, Model, Setting, SettingValue, Value};
use crate::source::Span;
use std::fmt;

/// Every key of `infer` that this version runs, with its default where the file says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub trajectories: usize,
    pub steps: u64,
    pub optimizer: Optimizer,
    pub clip_norm: Option<f64>,
    pub baseline: Baseline,
    pub lambda: f64,
    pub discount: f64,
    pub kl_to_go: bool,
    pub precision: Precision,
    /// `None`: as many as the machine has.
    pub threads: Option<usize>,
    pub seed: u64,
    pub shards: usize,
    pub log_every: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    F32,
    F64,
}

/// A number that moves linearly from the first gradient step to the last.
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

/// Reads the settings of a model; on failure all that is wrong with them.
pub fn read(model: &Model) -> Result<Settings, Vec<Diagnostic>> {
    let mut reader = Reader { model, errors: Vec::new() };
    for setting in &model.settings {
        reader.verify_known(setting);
    }
    let trajectories = reader.count("trajectories").unwrap_or(1) as usize;
    let steps = reader.count("steps").unwrap_or(0);
    let settings = Settings {
        trajectories,
        steps,
        optimizer: reader.optimizer("optimizer"),
        clip_norm: reader.number("clip_norm"),
        baseline: reader.baseline("baseline"),
        lambda: reader.number("lambda").unwrap_or(1.0),
        discount: reader.number("discount").unwrap_or(1.0),
        kl_to_go: reader.truth("kl_to_go"),
        precision: if reader.word("precision") == "f64" { Precision::F64 } else { Precision::F32 },
        threads: reader.count("threads").map(|n| n as usize),
        seed: reader.count("seed").unwrap_or(0),
        // a function of the model alone: the same bits on any machine
        shards: reader.count("shards").map_or((trajectories / 32).clamp(2, 16), |n| n as usize).min(trajectories),
        log_every: reader.count("log_every").unwrap_or(steps / 1000).max(1),
    };
    if settings.lambda < 1.0 && !matches!(settings.baseline, Baseline::Network { .. }) {
        let span = model.setting("lambda").map_or(Span::default(), |s| s.span);
        reader.errors.push(
            Diagnostic::error("bad-setting", span, "`lambda` below 1 bootstraps from a learned value, and `baseline` is not a network")
                .hint("write a network, as in `baseline = mlp(s, hidden = [64])`, or leave `lambda` at 1"),
        );
    }
    if reader.errors.is_empty() { Ok(settings) } else { Err(reader.errors) }
}

impl Schedule {
    pub fn constant(value: f64) -> Schedule {
        Schedule { from: value, to: value }
    }

    /// The value at gradient step `step` (from 0) of `steps`.
    pub fn at(self, step: u64, steps: u64) -> f64 {
        if steps <= 1 || self.from == self.to {
            return self.from;
        }
        self.from + (self.to - self.from) * (step.min(steps - 1) as f64 / (steps - 1) as f64)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { write!(f, "{}", self.from) } else { write!(f, "ramp(from = {}, to = {})", self.from, self.to) }
    }
}

impl fmt::Display for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Optimizer::Adam { rate, beta1, beta2, epsilon } => {
                write!(f, "adam(rate = {rate}, beta1 = {beta1}, beta2 = {beta2}, epsilon = {epsilon})")
            }
            Optimizer::Sgd { rate, momentum } => write!(f, "sgd(rate = {rate}, momentum = {momentum})"),
            Optimizer::RmsProp { rate, decay, epsilon } => {
                write!(f, "rmsprop(rate = {rate}, decay = {decay}, epsilon = {epsilon})")
            }
        }
    }
}

struct Reader<'a> {
    model: &'a Model,
    errors: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn verify_known(&mut self, setting: &Setting) {
        match key_named(&setting.key) {
            None => {
                let hint = nearest(&setting.key, KEYS.iter().map(|key| key.name));
                let error = Diagnostic::error("unknown-setting", setting.span, format!("unknown key `{}` of `infer`", setting.key));
                self.errors.push(match hint {
                    Some(name) => error.hint(format!("did you mean `{name}`?")),
                    None => error.hint(format!("the keys are {}", listed(KEYS.iter().map(|key| key.name)))),
                });
            }
            Some(key) if !key.run => {
                let message = format!("`{}` ({}) is not yet run by this version", key.name, key.meaning);
                self.errors.push(Diagnostic::error("not-run", setting.span, message));
            }
            Some(_) => {}
        }
    }

    /// The table's row of a key this module reads.
    fn key(&self, name: &str) -> &'static Key {
        key_named(name).expect("plan: settings read only keys of the table")
    }

    fn wrong(&mut self, span: Span, message: String) {
        self.errors.push(Diagnostic::error("bad-setting", span, message));
    }

    /// A number as the table's kind wants it; `None` where it is not set and its default is derived, or where it was wrong.
    fn number(&mut self, name: &str) -> Option<f64> {
        let key = self.key(name);
        let Some(setting) = self.model.setting(name) else {
            return match key.default {
                KeyDefault::Number(value) => Some(value),
                KeyDefault::Truth(_) | KeyDefault::Word(_) | KeyDefault::Derived(_) => None,
            };
        };
        let SettingValue::Number(value) = setting.value else {
            self.wrong(setting.span, format!("`{name}` is {}", wanted(key.kind)));
            return None;
        };
        let fits = match key.kind {
            KeyKind::Count { least } => value.fract() == 0.0 && value >= least as f64 && value < 2f64.powi(53),
            KeyKind::Number { lo, hi } => (lo..=hi).contains(&value),
            KeyKind::Positive => value > 0.0 && value.is_finite(),
            KeyKind::Truth | KeyKind::Word(_) | KeyKind::Optimizer | KeyKind::NetworkOr(_) | KeyKind::Later => false,
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
        match self.model.setting(name).map(|s| (&s.value, s.span)) {
            None => default,
            Some((SettingValue::Truth(value), _)) => *value,
            Some((_, span)) => {
                self.wrong(span, format!("`{name}` is {}", wanted(key.kind)));
                default
            }
        }
    }

    fn word(&mut self, name: &str) -> String {
        let key = self.key(name);
        let default = key.default.to_string();
        let KeyKind::Word(words) = key.kind else { return default };
        match self.model.setting(name).map(|s| (&s.value, s.span)) {
            None => default,
            Some((SettingValue::Word(word), _)) if words.contains(&word.as_str()) => word.clone(),
            Some((_, span)) => {
                self.wrong(span, format!("`{name}` is {}", wanted(key.kind)));
                default
            }
        }
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
                    self.wrong(setting.span, format!("a baseline is one number, and this network computes {width}"));
                }
                Baseline::Network { kernel: *kernel, layer: *layer, arguments: arguments.clone() }
            }
            SettingValue::Word(_)
            | SettingValue::Number(_)
            | SettingValue::Truth(_)
            | SettingValue::Text(_)
            | SettingValue::Call { .. }
            | SettingValue::Threshold { .. } => {
                self.wrong(setting.span, format!("`{name}` is {}", wanted(key.kind)));
                Baseline::LeaveOneOut
            }
        }
    }

    fn optimizer(&mut self, name: &str) -> Optimizer {
        let key = self.key(name);
        let default = key.default.to_string();
        let no_arguments = Vec::new();
        let (function, arguments, span) = match self.model.setting(name).map(|s| (&s.value, s.span)) {
            None => (default.as_str(), &no_arguments, Span::default()),
            Some((SettingValue::Word(word), span)) => (word.as_str(), &no_arguments, span),
            Some((SettingValue::Call { function, arguments }, span)) => (function.as_str(), arguments, span),
            Some((_, span)) => {
                self.wrong(span, format!("`{name}` is {}", wanted(key.kind)));
                (default.as_str(), &no_arguments, span)
            }
        };
        let Some(known) = OPTIMIZERS.iter().find(|known| known.name == function) else {
            let names = listed(OPTIMIZERS.iter().map(|o| o.name));
            let error = Diagnostic::error("bad-setting", span, format!("unknown optimiser `{function}`"));
            self.errors.push(match nearest(function, OPTIMIZERS.iter().map(|o| o.name)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("the optimisers are {names}")),
            });
            return Optimizer::Sgd { rate: Schedule::constant(0.0), momentum: 0.0 };
        };
        let values = self.optimizer_arguments(known, arguments, span);
        let value = |argument: &str| {
            let at = known.arguments.iter().position(|(name, ..)| *name == argument).expect("plan: arguments are of the table");
            values[at]
        };
        match known.name {
            "adam" => Optimizer::Adam {
                rate: value("rate"),
                beta1: value("beta1").from,
                beta2: value("beta2").from,
                epsilon: value("epsilon").from,
            },
            "sgd" => Optimizer::Sgd { rate: value("rate"), momentum: value("momentum").from },
            _ => Optimizer::RmsProp { rate: value("rate"), decay: value("decay").from, epsilon: value("epsilon").from },
        }
    }

    /// One value per argument of the table, in its order.
    fn optimizer_arguments(&mut self, known: &OptimizerKey, given: &[(Option<String>, SettingValue)], span: Span) -> Vec<Schedule> {
        let mut values: Vec<Schedule> = known.arguments.iter().map(|&(_, default, _)| Schedule::constant(default)).collect();
        for (name, value) in given {
            let Some(name) = name else {
                self.wrong(span, format!("the arguments of `{}` have names: `{}(rate = 0.01)`", known.name, known.name));
                continue;
            };
            let Some(at) = known.arguments.iter().position(|(known, ..)| known == name) else {
                let names = listed(known.arguments.iter().map(|(name, ..)| *name));
                let error = Diagnostic::error("bad-setting", span, format!("`{}` has no argument `{name}`", known.name));
                self.errors.push(error.hint(format!("its arguments are {names}")));
                continue;
            };
            let schedule = match value {
                SettingValue::Number(value) => Some(Schedule::constant(*value)),
                SettingValue::Call { function, arguments } if function == "ramp" && name == "rate" => ramp(arguments),
                _ => None,
            };
            let fits = |value: f64| match name.as_str() {
                "rate" => (0.0..f64::INFINITY).contains(&value),
                "epsilon" => value > 0.0 && value.is_finite(),
                _ => (0.0..1.0).contains(&value),
            };
            match schedule.filter(|s| fits(s.from) && fits(s.to)) {
                Some(schedule) => values[at] = schedule,
                None => {
                    let wanted = match name.as_str() {
                        "rate" => "a number that is not negative, or `ramp(from = …, to = …)`",
                        "epsilon" => "a number greater than 0",
                        _ => "a number of [0, 1)",
                    };
                    self.wrong(span, format!("`{name}` of `{}` is {wanted}", known.name));
                }
            }
        }
        values
    }
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
        KeyKind::Number { lo, hi } => format!("a number of [{lo}, {hi}]"),
        KeyKind::Positive => "a number greater than 0".into(),
        KeyKind::Truth => "`true` or `false`".into(),
        KeyKind::Word(words) => listed(words.iter().copied()).replace(" and ", " or "),
        KeyKind::Optimizer => "an optimiser, as `adam(rate = 0.003)`".into(),
        KeyKind::NetworkOr(words) => {
            format!("a network, as `mlp(s, hidden = [64])`, or {}", listed(words.iter().copied()).replace(" and ", " or "))
        }
        KeyKind::Later => "not yet run".into(),
    }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known.map(|k| (strsim::osa_distance(name, k), k)).filter(|(distance, k)| *distance * 3 <= k.len().max(3)).min().map(|(_, k)| k)
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
