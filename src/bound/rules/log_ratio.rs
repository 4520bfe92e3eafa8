use super::{Piece, Work};
use crate::bound::derivation::{Relation, Rule};
use crate::bound::term::{Sign, Term, TermKind};

/// log p(x | ·) − log q(x | ·) = log (p(x | ·) / q(x | ·))
///
/// Any other pair of known densities stays a ratio, evaluated at the draw; `why` says which
/// hypothesis of `pair` failed.
pub fn log_ratio(work: &mut Work, piece: &Piece, why: String) {
    let term = Term {
        sign: Sign::Plus,
        kind: TermKind::LogRatio { p: piece.p, q: piece.q },
        times: piece.times,
        live: piece.live,
    };
    work.replace(
        Rule::LogRatio,
        Relation::Equal,
        &[piece.p_term, piece.q_term],
        vec![term],
        Some(why),
    );
}
