use super::{Piece, Work};
use crate::bound::density::{Density, closed_form, density};
use crate::bound::derivation::{DraftId, Relation, Rule};
use crate::bound::influence::{factor_reads, read_at, shifted};
use crate::bound::term::{Sign, Term, TermKind};
use crate::bound::time::{lead, step_of_draw};

/// E_q[log p(x | ·) − log q(x | ·)] = −KL(q(x | ·) ‖ p(x | ·))
///
/// Holds where both sides condition only on what the draw of `x` cannot influence (else averaging
/// over `x` alone is not the expectation), are live at the same steps, and the divergence has a
/// closed form: a finite domain, or two of one family over real numbers that has one. `Err` says
/// which hypothesis fails.
pub fn pair(work: &mut Work, piece: &Piece) -> Result<DraftId, String> {
    let (p, q) = (work.bound.factor(piece.p), work.bound.factor(piece.q));
    for factor in [p, q] {
        match density(work.model, factor) {
            Density::Known => {}
            Density::Unknown(why) | Density::Singular(why) => return Err(why),
        }
    }
    let reach = work.influence.from([q]);
    let shift = lead(q).saturating_sub(lead(p));
    let now = piece.times.is_once().then_some(piece.times.from);
    let reads = factor_reads(work.scope, p).into_iter().map(|read| shifted(read, shift));
    let mut reads = reads.filter_map(|read| now.map_or(Some(read), |now| read_at(read, now)));
    if let Some(read) = reads.find(|read| reach.influences(*read)) {
        // as in the formulas: in steps, not in the times of the factor's writing
        let read = shifted(read, step_of_draw(work.model, q).saturating_neg());
        let notation = crate::bound::notation::read_name(work.model, read);
        return Err(format!(
            "the {} reads {notation}, which the draw itself influences",
            block_name(piece)
        ));
    }
    closed_form(work.model, q, p)?;
    let term = Term {
        sign: Sign::Minus,
        kind: TermKind::Kl { q: piece.q, p: piece.p },
        times: piece.times,
        live: piece.live,
    };
    let ids =
        work.replace(Rule::Pair, Relation::Equal, &[piece.p_term, piece.q_term], vec![term], None);
    Ok(ids[0])
}

fn block_name(piece: &Piece) -> &'static str {
    match piece.p.block {
        crate::model::Block::Prior => "prior",
        crate::model::Block::Auxiliary => "reverse model",
        crate::model::Block::Posterior => "posterior",
    }
}
