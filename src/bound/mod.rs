//! Model in, Derivation out: the variational bound that follows from the factors, and its gradient.
//! Never samples, knows no algorithm's name.

mod density;
mod derivation;
mod gradient;
mod imagined;
pub(crate) mod influence;
mod math;
pub mod notation;
mod plain;
pub mod render;
mod rules;
mod term;
pub(crate) mod time;

pub use derivation::{
    BaselineReads, BoundDerivation, Change, Credit, Derivation, DraftId, Gradient, Imagined,
    MeanField, NoiseForm, Pathwise, Peers, Relation, Remark, Reparameterised, Rule, Score, Shape,
    Step,
};
pub use math::Math;
pub use term::{Downstream, Moment, Sign, Term, TermId, TermKind, Times};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{BoundId, KernelId, KernelRef, Model, kernel_parameters};
use density::{Density, density};
use influence::{Influence, Scope};
use rules::{Piece, Work};
use std::collections::BTreeSet;

/// Derives the variational bound of each of the model's bounds, and its gradient, from the factors
/// alone.
///
/// With `P` the factors of prior and auxiliary, `Λ` the likelihood's exponents and `Q` the
/// posterior's factors, `log p(R̂) ≥ E_q[ΣΛ + Σ log P − Σ log Q] = L`, in nats (Jordan et al. 1999;
/// Levine 2018). The steps are recorded: see [`Step`].
///
/// # Errors
/// Where two densities of one draw are both unknown, so that not even a classifier tells them apart
/// from known data.
///
/// ```
/// # use rlppl::{bound, model, source::Source, syntax};
/// let source = Source::new("walk", "
///     horizon T = 5
///     environment walk {
///       state s : 0..4; action a : { left, right }; reward r in [-1, 0]
///       s[1] ~ Delta(0); s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4))
///       r[t] = if s[t+1] == 4 then 0 else -1
///     }
///     kernel pi(a | s) = Categorical(logits = table(s))
///     prior      { s[1] ~ walk.initial; a[t] ~ Uniform;  s[t+1] ~ walk.transition(s[t], a[t]) }
///     likelihood { R[t] ~ exp(r[t]) }
///     posterior  { s[1] ~ walk.initial; a[t] ~ pi(s[t]); s[t+1] ~ walk.transition(s[t], a[t]) }
/// ");
/// let model = model::check(&syntax::parse(&source)?, &Default::default())?;
/// let derivation = bound::derive(&model)?;
/// assert!(derivation.to_string().contains("H(pi(·|s[t]))"));
/// # Ok::<(), rlppl::diagnostic::Diagnostics>(())
/// ```
pub fn derive(model: &Model) -> Result<Derivation, Diagnostics> {
    let mut mistakes = Vec::new();
    let mut over = vec![BTreeSet::new(); model.bounds.len()];
    // a kernel without parameters does not move
    let moves = |kernel: &&KernelId| !kernel_parameters(model, **kernel).is_empty();
    for objective in &model.objectives {
        over[objective.bound.0 as usize].extend(objective.over.iter().filter(moves));
    }
    let names = notation::Names::of(model);
    let each = over.into_iter().enumerate();
    let bounds = each
        .map(|(number, over)| {
            derive_bound(model, BoundId(number as u32), over, &names, &mut mistakes)
        })
        .collect();
    if mistakes.is_empty() {
        Ok(Derivation { model: model.name.clone(), bounds })
    } else {
        Err(Diagnostics { list: mistakes, sources: model.sources.clone() })
    }
}

fn derive_bound(
    model: &Model,
    id: BoundId,
    over: BTreeSet<KernelId>,
    names: &notation::Names,
    mistakes: &mut Vec<Diagnostic>,
) -> BoundDerivation {
    let bound = model.bound(id);
    let scope = Scope::of(model, bound);
    let influence = Influence::of(&scope);
    let mut work = Work::new(&scope, &influence, over.into_iter().collect());

    rules::importance(&mut work);
    rules::jensen(&mut work);
    let pieces = rules::split(&mut work);
    let mut cancelled = Vec::new();
    for piece in &pieces {
        if rules::cancel(&mut work, piece) {
            cancelled.push((piece.p, piece.q));
        } else {
            relate(&mut work, piece, mistakes);
        }
    }
    set_constants_apart(&mut work);

    let terms: Vec<Term> = work.sum().map(|id| work.term(id).clone()).collect();
    let estimated = terms.iter().any(|term| matches!(term.kind, TermKind::DensityRatio { .. }));
    let mut gradient = gradient::gradient(&work, &terms);
    let imagined = imagined::imagined(model, work.bound);
    gradient.remarks.extend(imagined::remarks(model, work.bound, &gradient));
    BoundDerivation {
        bound: id,
        name: bound.name.clone(),
        steps: work.steps,
        drafts: work.drafts,
        terms,
        cancelled,
        imagined,
        relation: if estimated { Relation::Approximately } else { Relation::AtLeast },
        exceeds_one: bound.exceeds_one.clone(),
        gradient,
        notation: notation::Notation::of(model, bound, names),
    }
}

/// What becomes of two different factors for the same draws.
fn relate(work: &mut Work, piece: &Piece, mistakes: &mut Vec<Diagnostic>) {
    let why = match rules::pair(work, piece) {
        Ok(kl) => {
            rules::entropy(work, kl);
            return;
        }
        Err(why) => why,
    };
    let (p, q) = (work.bound.factor(piece.p), work.bound.factor(piece.q));
    match (density(work.model, p), density(work.model, q)) {
        (Density::Known, Density::Known) => rules::log_ratio(work, piece, why),
        // the posterior's own density need not be known where nothing that moves enters it: it is
        // the entropy of what it draws
        (Density::Known, Density::Unknown(_) | Density::Singular(_)) => {
            let name = format!("the entropy of {}", notation::draw_name(work.model, q));
            if !rules::constant(work, piece.q_term, name) {
                rules::density_ratio(work, piece, why);
            }
        }
        (Density::Unknown(_) | Density::Singular(_), Density::Known) => {
            rules::density_ratio(work, piece, why)
        }
        (Density::Singular(_), Density::Unknown(_) | Density::Singular(_))
        | (Density::Unknown(_), Density::Singular(_)) => {
            rules::density_ratio(work, piece, why);
        }
        // a learned generator can be drawn from wherever the other was: a classifier needs no more
        (Density::Unknown(_), Density::Unknown(_)) if matches!(q.kernel, KernelRef::Learned(_)) => {
            rules::density_ratio(work, piece, why)
        }
        (Density::Unknown(p_why), Density::Unknown(q_why)) => {
            let message = format!(
                "nothing is known of either density of {}",
                notation::draw_name(work.model, q)
            );
            let mistake = Diagnostic::error("unknown-densities", q.span, message)
                .here(q_why)
                .also(p.span, p_why);
            mistakes.push(mistake.hint(
                "give one side a kernel with a density: the ratio is then a classifier's logit",
            ));
        }
    }
}

/// `log n` where it is drawn at every step for certain.
fn set_constants_apart(work: &mut Work) {
    let counts: Vec<(DraftId, String)> = work
        .sum()
        .filter_map(|id| match &work.term(id).kind {
            TermKind::LogCount { count, .. } if work.term(id).times.is_once() => {
                Some((id, format!("log {count}")))
            }
            TermKind::LogCount { count, .. } => Some((id, format!("log {count} at each step"))),
            _ => None,
        })
        .collect();
    for (id, name) in counts {
        rules::constant(work, id, name);
    }
}
