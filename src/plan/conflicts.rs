//! Settings that make sense only beside others: what would be accepted and do nothing is refused.

use super::critic::CRITICS;
use super::draw::Draw;
use super::read::Read;
use super::settings::{self, Baseline, Precision, Settings, Update};
use super::term::{Density, Quantity, Subject, Term};
use crate::bound::Score;
use crate::diagnostic::Diagnostic;
use crate::model::{EnvironmentId, Model};
use crate::source::Span;

/// Reads the settings of a model; on failure all that is wrong with them, alone and beside each
/// other.
pub fn read(model: &Model) -> Result<Settings, Vec<Diagnostic>> {
    let (settings, mut errors) = settings::read(model);
    errors.extend(faults(model, &settings));
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

/// All settings that do not go together.
fn faults(model: &Model, settings: &Settings) -> Vec<Diagnostic> {
    let mut told = Told { model, errors: Vec::new() };
    of_learned_values(settings, &mut told);
    of_batches(settings, &mut told);
    of_the_update(settings, &mut told);
    told.errors
}

/// A baseline that shares nothing with the policy has no weight beside it.
pub fn unshared(model: &Model, shared: bool) -> Option<Diagnostic> {
    let setting = model.setting("baseline_weight").filter(|_| !shared)?;
    let message = "`baseline_weight` weighs nothing: no baseline shares a `net` with the policy, \
                   so that each moves parameters of its own";
    Some(
        Diagnostic::error("bad-setting", setting.span, message)
            .hint("leave it away, or build both on one `net`"),
    )
}

/// What is not run with several draws, reverse models and decoders.
pub fn beyond_policies(model: &Model, settings: &Settings) -> Option<Diagnostic> {
    let is_exact = matches!(settings.update, Update::Exact { .. });
    let setting = model.setting("update").filter(|_| is_exact)?;
    let message = "an exact update sums over the actions of a policy that reads the state and the \
                   time, and here more is drawn or read";
    let told = Diagnostic::error("bad-setting", setting.span, message);
    Some(told.hint("write `update = trust_region(kl = 0.01)`, or leave it away"))
}

/// Settings of optimiser steps where a trust region moves all that is trained.
pub fn unused_beside_region(model: &Model, settings: &Settings) -> Option<Diagnostic> {
    let mut told = Told { model, errors: Vec::new() };
    for key in ["optimizer", "clip_norm"] {
        let message =
            format!("`{key}` belongs to optimiser steps, and `update` is `{}`", settings.update);
        let hint = format!("leave one of them away, here or by `--set infer.{key}=default`");
        told.error(key, &message, &hint);
    }
    told.errors.into_iter().next()
}

/// Why a bound cannot learn from kept transitions.
pub fn against_refits(
    model: &Model,
    (scored, drawn): (bool, bool),
    settings: &Settings,
    (terms, environment): (&[Term], EnvironmentId),
    moves: impl Fn(&Density) -> bool,
) -> Option<Diagnostic> {
    let span = model.setting("refits").map_or(Span::default(), |setting| setting.span);
    let wrong = |message: &str, hint: &str| {
        Some(Diagnostic::error("bad-setting", span, message).hint(hint))
    };
    if scored {
        let hint = "move the model alone: `maximize BOUND over MODEL (refits = …)`";
        return wrong(
            "`refits` teach a model from transitions that other policies met, and this bound \
             moves the policy too",
            hint,
        );
    }
    if drawn {
        return wrong(
            "weights are drawn once for each batch, and `refits` take several steps",
            "leave it away",
        );
    }
    if settings.update != Update::Gradient {
        return wrong(
            "`refits` are optimiser steps, and `update` is another",
            "leave one of them away",
        );
    }
    let moved: Vec<&Density> = terms
        .iter()
        .filter_map(|term| match &term.quantity {
            Quantity::Density { density, .. } if term.pathwise && moves(density) => Some(density),
            _ => None,
        })
        .collect();
    let environment = model.environment(environment);
    let is_kept = |read: &Read| match read {
        Read::Variable(read) => *read == environment.state || environment.actions.contains(read),
        Read::Time => true,
        _ => false,
    };
    if let Some(more) = moved.iter().find(|density| !density.reads.iter().all(is_kept)) {
        let message = format!(
            "`refits` teach from kept transitions, each a state, the actions, the next state and \
             the time, and `{}` reads more",
            model.kernel(more.kernel).name
        );
        return wrong(&message, "leave it away: the batch has all that the kernel reads");
    }
    let moved = moved.iter().map(|density| density.target);
    let (of_steps, others): (Vec<Subject>, Vec<Subject>) = moved.partition(|target| {
        matches!(target, Subject::Read(Read::Step(_, 1)) | Subject::Reward(_) | Subject::End)
    });
    if of_steps.is_empty() {
        return wrong(
            "`refits` teach a model of transitions, and this bound has none to teach",
            "leave it away",
        );
    }
    if !others.is_empty() {
        let hint = "move it by a line of its own, without `refits`: `maximize BOUND over KERNEL`";
        return wrong(
            "`refits` teach what a step leads to, and this bound also moves a kernel of another \
             draw, such as the start",
            hint,
        );
    }
    None
}

fn of_learned_values(settings: &Settings, told: &mut Told) {
    let network = "write a network, as in `baseline = mlp(s, hidden = [64])`, or leave it away";
    if !is_learned(settings) {
        for chosen in &settings.critics {
            let message = format!(
                "{} bootstraps from a learned value, and `baseline` is not a network",
                chosen.critic().shortens
            );
            told.error(chosen.key, &message, network);
        }
        if settings.normalize.returns {
            told.error(
                "normalize",
                "`returns` are rescaled for a learned value, and `baseline` is not a network",
                network,
            );
        }
    }
    if let [one, other, ..] = settings.critics[..] {
        let message =
            format!("`{}` and `{}` are two ways to end the credit of a draw", one.key, other.key);
        told.error(one.key, &message, "leave one of them away");
    }
}

fn of_batches(settings: &Settings, told: &mut Told) {
    let reuse = "set `epochs` above 1 or a `minibatch`";
    if settings.clip_ratio.is_some() && !settings.reuses_batches() {
        told.error(
            "clip_ratio",
            "`clip_ratio` clips nothing: each batch gives one gradient, at which all ratios are 1",
            reuse,
        );
    }
    if settings.kl_target.is_some() && !settings.reuses_batches() {
        told.error("kl_target", "`kl_target` ends nothing: each batch gives one gradient", reuse);
    }
}

fn of_the_update(settings: &Settings, told: &mut Told) {
    let unused: &[&str] = match settings.update {
        Update::Gradient => &[],
        // optimiser steps are those of the baseline's fit, and of what no draw is drawn from
        Update::TrustRegion { .. } if is_learned(settings) => &["clip_ratio", "kl_target"],
        Update::TrustRegion { .. } => &["clip_ratio", "kl_target", "epochs", "minibatch"],
        Update::Exact { .. } => &UNUSED_BY_EXACT,
    };
    let critics = CRITICS.iter().map(|critic| critic.key.name);
    let exact = matches!(settings.update, Update::Exact { .. });
    for key in unused.iter().copied().chain(critics.filter(|_| exact)) {
        let message =
            format!("`{key}` belongs to optimiser steps, and `update` is `{}`", settings.update);
        told.error(
            key,
            &message,
            &format!("leave one of them away, here or by `--set infer.{key}=default`"),
        );
    }
    if matches!(settings.update, Update::Exact { .. }) && settings.precision == Precision::F32 {
        let span = told.model.setting("update").map_or(Span::default(), |setting| setting.span);
        let message = "an exact update is kept in float64, and `precision` is f32";
        told.errors
            .push(Diagnostic::error("bad-setting", span, message).hint("write `precision = f64`"));
    }
}

/// What an update without samples does not read, beside critics.
const UNUSED_BY_EXACT: [&str; 11] = [
    "clip_ratio",
    "kl_target",
    "epochs",
    "minibatch",
    "optimizer",
    "clip_norm",
    "baseline",
    "baseline_weight",
    "discount",
    "kl_to_go",
    "normalize",
];

fn is_learned(settings: &Settings) -> bool {
    matches!(settings.baseline, Baseline::Network { .. })
}

struct Told<'a> {
    model: &'a Model,
    errors: Vec<Diagnostic>,
}

impl Told<'_> {
    /// Says so of a key, where the file has it.
    fn error(&mut self, key: &str, message: &str, hint: &str) {
        if let Some(setting) = self.model.setting(key) {
            self.errors.push(Diagnostic::error("bad-setting", setting.span, message).hint(hint));
        }
    }
}

/// A trust region, and a target of divergence, measure how far a draw's distribution moves, which
/// needs a formula.
pub fn without_metric(
    model: &Model,
    settings: &Settings,
    draws: &[(Draw, Option<&Score>)],
) -> Option<Diagnostic> {
    let (key, what, hint) = match settings.update {
        Update::TrustRegion { .. } => {
            let hint = "leave `update` away: `optimizer` steps along the gradient need none";
            ("update", "a trust region", hint)
        }
        Update::Gradient | Update::Exact { .. } if settings.kl_target.is_some() => {
            ("kl_target", "`kl_target`", "leave `kl_target` away")
        }
        Update::Gradient | Update::Exact { .. } => return None,
    };
    let (draw, _) = draws.iter().find(|(draw, _)| !draw.head.has_metric())?;
    let message = format!(
        "{what} measures how far `{}` moves, and the divergence of a `{}` has no closed form",
        model.kernel(draw.kernel).name,
        draw.head.name()
    );
    let setting = model.setting(key)?;
    Some(Diagnostic::error("bad-setting", setting.span, message).hint(hint))
}
