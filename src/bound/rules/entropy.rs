use super::Work;
use crate::bound::density::uniform_count;
use crate::bound::derivation::{DraftId, Relation, Rule};
use crate::bound::term::{Sign, Term, TermKind};

/// −KL(q ‖ Uniform over n values) = H(q) − log n
///
/// `log n` is counted once for each draw, that is for each *live* step: it is not a constant where
/// the episode can end.
pub fn entropy(work: &mut Work, kl: DraftId) -> Option<[DraftId; 2]> {
    let term = work.term(kl).clone();
    let TermKind::Kl { q, p } = term.kind else { return None };
    let count = uniform_count(work.model, work.bound.factor(p))?;
    let entropy = Term { sign: Sign::Plus, kind: TermKind::Entropy { q }, ..term.clone() };
    let log_count = Term { sign: Sign::Minus, kind: TermKind::LogCount { q, count }, ..term };
    let ids = work.replace(Rule::Entropy, Relation::Equal, &[kl], vec![entropy, log_count], None);
    Some([ids[0], ids[1]])
}
