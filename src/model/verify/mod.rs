//! Model in, diagnostics out: what only the whole model shows. Every check runs, so that all mistakes are told at once.
//!
//! Each file is one condition of the language reference: each variable [`generated`] once, [`coverage`] by the prior, an
//! [`order`] of sampling, no [`none`] read, [`support`], [`likelihood`]s that are probabilities, [`probabilities`] and [`rewards`]
//! at every state and action, [`floors`] under learned scales, and what is [`unused`].

mod coverage;
mod floors;
mod generated;
mod law;
mod likelihood;
mod none;
mod order;
mod probabilities;
mod rewards;
mod space;
mod support;
mod times;
mod unused;
mod words;

use super::{Bound, Model};
use crate::diagnostic::{Diagnostic, Severity};

pub(super) use unused::unused;

/// All that is wrong with a lowered model, in the order of the file.
pub(super) fn verify(model: &Model) -> Vec<Diagnostic> {
    let mut found = probabilities::environment_faults(model);
    found.extend(rewards::faults(model));
    found.extend(floors::faults(model));
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
        let whose = bound.name.as_ref().map_or("the model".to_owned(), |name| format!("bound `{name}`"));
        Diagnostic::error("missing-block", bound.span, format!("{whose} has no factors in `{name}`"))
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
