use super::Work;
use crate::bound::derivation::{DraftId, Relation, Rule};
use crate::bound::influence::term_reads;
use crate::bound::term::{Term, TermKind};
use crate::model::{Bound, FactorRef, KernelRef, LikelihoodForm};

/// E_q[f] = c
///
/// A term is set apart where neither its value nor the law of anything it reads (liveness included)
/// depends on the parameters that are maximised. It is named, and a bound whose constant is unknown
/// is printed "up to" it.
pub fn constant(work: &mut Work, at: DraftId, name: String) -> bool {
    if !is_fixed(work, at) {
        return false;
    }
    let term = work.term(at).clone();
    let kind = TermKind::Constant { name, of: Box::new(term.kind) };
    work.replace(Rule::Constant, Relation::Equal, &[at], vec![Term { kind, ..term }], None);
    true
}

fn is_fixed(work: &Work, at: DraftId) -> bool {
    let term = work.term(at);
    let reads = term_reads(work.scope, term);
    !work.over.is_empty()
        && !kernels_of(work.bound, &term.kind).into_iter().any(|kernel| work.moves(kernel))
        && reads.iter().all(|read| work.moved.downstream(*read).is_none())
}

/// The kernels whose parameters the value of a term contains.
pub fn kernels_of<'a>(bound: &'a Bound, kind: &TermKind) -> Vec<&'a KernelRef> {
    let kernel = |factor: FactorRef| &bound.factor(factor).kernel;
    match kind {
        TermKind::Exponent { .. } | TermKind::LogCount { .. } => Vec::new(),
        TermKind::LogDensity { likelihood } => match &bound.likelihood[*likelihood as usize].form {
            LikelihoodForm::Density { kernel, .. } => vec![kernel],
            LikelihoodForm::Exponential { .. } => Vec::new(),
        },
        TermKind::LogFactor { factor } => vec![kernel(*factor)],
        TermKind::Kl { q, p } | TermKind::LogRatio { p, q } | TermKind::DensityRatio { p, q } => {
            vec![kernel(*q), kernel(*p)]
        }
        TermKind::Entropy { q } => vec![kernel(*q)],
        TermKind::Constant { of, .. } => kernels_of(bound, of),
    }
}
