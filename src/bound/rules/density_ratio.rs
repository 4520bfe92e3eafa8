use super::{Piece, Work};
use crate::bound::derivation::{Relation, Rule};
use crate::bound::term::{Sign, Term, TermKind};

/// log p(x | c) − log q(x | c) ≈ logit of a classifier of x ~ p(· | c) and x ~ q(· | c), c the same
///
/// Where a density is unknown, the ratio is estimated by a classifier that is trained to tell their
/// draws apart; an optimal one has the ratio as its logit (Sugiyama, Suzuki and Kanamori 2012;
/// Huszár 2017). The bound becomes an estimate.
pub fn density_ratio(work: &mut Work, piece: &Piece, why: String) {
    let term = Term {
        sign: Sign::Plus,
        kind: TermKind::DensityRatio { p: piece.p, q: piece.q },
        times: piece.times,
        live: piece.live,
    };
    work.replace(
        Rule::DensityRatio,
        Relation::Approximately,
        &[piece.p_term, piece.q_term],
        vec![term],
        Some(why),
    );
}
