use super::Work;
use crate::bound::density::{Density, density};
use crate::bound::derivation::{Change, Relation, Rule, Shape, Step};
use crate::model::{Distribution, Factor, KernelRef, Model, Scores, Target};
use std::collections::HashMap;

/// log p(R̂) = log E_q[ Π P / Π Q · exp ΣΛ ]
///
/// Averaging over the posterior instead of the prior, with the ratio of the two as weight. An equality where the posterior reaches
/// wherever the prior and the likelihood have mass; where it may not, the right side is the smaller one (≥).
pub fn importance(work: &mut Work) {
    let mut others: HashMap<Target, Vec<&Factor>> = HashMap::new();
    for p in work.bound.prior.iter().chain(&work.bound.auxiliary) {
        others.entry(p.targets[0]).or_default().push(p);
    }
    let short = work.bound.posterior.iter().find(|q| !reaches(work.model, others.get(&q.targets[0]).map_or(&[], Vec::as_slice), q));
    let (relation, note) = match short {
        None => (Relation::Equal, None),
        Some(_) => (Relation::AtLeast, Some("the posterior may leave out what the prior can reach".to_owned())),
    };
    work.steps.push(Step {
        rule: Rule::Importance,
        relation,
        change: Change::Shape { before: Shape::Evidence, after: Shape::LogExpectation },
        note,
    });
}

/// Whether a factor of the posterior is the prior's own, or positive everywhere.
fn reaches(model: &Model, partners: &[&Factor], q: &Factor) -> bool {
    let same = |p: &Factor| p.targets == q.targets && p.kernel == q.kernel && p.arguments == q.arguments;
    if partners.iter().any(|p| same(p)) {
        return true;
    }
    if density(model, q) != Density::Known {
        return false;
    }
    match &q.kernel {
        KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => positive(&model.kernel(*kernel).distribution),
        KernelRef::InPlace(distribution) => positive(distribution),
        KernelRef::Environment(..) | KernelRef::Data(_) => false,
    }
}

fn positive<A>(distribution: &Distribution<A>) -> bool {
    match distribution {
        Distribution::Uniform
        | Distribution::Categorical(Scores::Logits(_))
        | Distribution::Bernoulli(Scores::Logits(_))
        | Distribution::Normal { .. }
        | Distribution::TanhNormal { .. }
        | Distribution::Beta { .. } => true,
        Distribution::Categorical(Scores::Probs(_))
        | Distribution::Bernoulli(Scores::Probs(_))
        | Distribution::UniformBox { .. }
        | Distribution::UniformOver(_)
        | Distribution::Delta(_)
        | Distribution::Implicit(_) => false,
        Distribution::Mixture(parts) => parts.iter().any(|(_, part)| positive(part)),
        Distribution::If { then, otherwise, .. } => positive(then) && positive(otherwise),
        Distribution::Record(parts) => parts.iter().all(positive),
        Distribution::Sticky { fresh, .. } => positive(fresh),
    }
}
