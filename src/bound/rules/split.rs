use super::{Piece, Work};
use crate::bound::derivation::{Relation, Rule};
use crate::bound::influence::{Drawn, drawn};
use crate::bound::term::{Sign, Term, TermKind, Times};
use crate::bound::time::{coverage, intersect, lead, likelihood_times, stops_at_end};
use crate::model::{Block, Factor, FactorRef};
use std::collections::HashMap;

/// log (Π P / Π Q · exp ΣΛ) = ΣΛ + Σ log P − Σ log Q
///
/// A logarithm of products is a sum over the factors and over the times each stands for; the
/// factors of actions, options, observations and learned models are summed over the live steps.
/// Where prior and posterior cut a variable's times differently (`o[1]` and `o[t+1]` against
/// `o[t]`), the sums are cut so that each stretch has one factor of either side.
pub fn split(work: &mut Work) -> Vec<Piece> {
    let plus = |kind, times, live| Term { sign: Sign::Plus, kind, times, live };
    let mut terms = Vec::new();
    for (number, likelihood) in work.bound.likelihood.iter().enumerate() {
        let likelihood_at = number as u32;
        let kind = match likelihood.form {
            crate::model::LikelihoodForm::Exponential { .. } => {
                TermKind::Exponent { likelihood: likelihood_at }
            }
            crate::model::LikelihoodForm::Density { .. } => {
                TermKind::LogDensity { likelihood: likelihood_at }
            }
        };
        terms.push(plus(kind, likelihood_times(likelihood.index), false));
    }

    // one stretch per posterior factor and partner
    let partners = by_first_draw(work);
    let mut stretches = Vec::new();
    let mut lonely = Vec::new();
    for (at, q) in work.bound.posterior.iter().enumerate() {
        let q_ref = FactorRef { block: Block::Posterior, at: at as u32 };
        let mut partnered = false;
        for &p_ref in partners.get(&drawn(q.targets[0]).0).into_iter().flatten() {
            let p = work.bound.factor(p_ref);
            if !same_draws(p, q) {
                continue;
            }
            if let Some(shared) = intersect(coverage(work.model, p), coverage(work.model, q)) {
                partnered = true;
                stretches.push((p_ref, q_ref, shared));
            }
        }
        if !partnered {
            lonely.push(q_ref);
        }
    }
    let in_stretch: std::collections::HashSet<FactorRef> =
        stretches.iter().map(|stretch| stretch.0).collect();
    let others = [(Block::Prior, &work.bound.prior), (Block::Auxiliary, &work.bound.auxiliary)];
    let alone = others.iter().flat_map(|(block, factors)| {
        (0..factors.len()).map(|at| FactorRef { block: *block, at: at as u32 })
    });
    lonely.extend(alone.filter(|factor| !in_stretch.contains(factor)));

    let live = |factor: &Factor| work.can_end && stops_at_end(work.model, factor);
    let own_times = |factor: &Factor, covered: Times| Times {
        from: covered.from.shifted(lead(factor).saturating_neg()),
        to: covered.to.shifted(lead(factor).saturating_neg()),
    };
    let first_pair = terms.len();
    for &(p_ref, q_ref, shared) in &stretches {
        let (p, q) = (work.bound.factor(p_ref), work.bound.factor(q_ref));
        terms.push(plus(TermKind::LogFactor { factor: p_ref }, own_times(p, shared), live(p)));
        terms.push(Term {
            sign: Sign::Minus,
            ..plus(TermKind::LogFactor { factor: q_ref }, own_times(q, shared), live(q))
        });
    }
    for factor_ref in lonely {
        let factor = work.bound.factor(factor_ref);
        let sign = if factor_ref.block == Block::Posterior { Sign::Minus } else { Sign::Plus };
        let times = own_times(factor, coverage(work.model, factor));
        terms.push(Term {
            sign,
            ..plus(TermKind::LogFactor { factor: factor_ref }, times, live(factor))
        });
    }

    let live_of: Vec<bool> = stretches
        .iter()
        .map(|&(p, q, _)| live(work.bound.factor(p)) || live(work.bound.factor(q)))
        .collect();
    let ids = work.replace(Rule::Split, Relation::Equal, &[], terms, None);
    let pieces =
        stretches.iter().zip(live_of).enumerate().map(|(number, (&(p, q, shared), live))| Piece {
            p,
            q,
            p_term: ids[first_pair + 2 * number],
            q_term: ids[first_pair + 2 * number + 1],
            times: own_times(work.bound.factor(q), shared),
            live,
        });
    pieces.collect()
}

/// The factors of prior and auxiliary by what they draw first.
fn by_first_draw(work: &Work) -> HashMap<Drawn, Vec<FactorRef>> {
    let mut partners: HashMap<Drawn, Vec<FactorRef>> = HashMap::new();
    for block in [Block::Prior, Block::Auxiliary] {
        for (at, factor) in work.bound.factors(block).iter().enumerate() {
            partners
                .entry(drawn(factor.targets[0]).0)
                .or_default()
                .push(FactorRef { block, at: at as u32 });
        }
    }
    partners
}

/// Whether two factors draw the same variables of the trajectory; a reward or an end that only one
/// of them draws is the environment's in the other.
fn same_draws(p: &Factor, q: &Factor) -> bool {
    let variables = |factor: &Factor| {
        let mut drawn: Vec<Drawn> = factor
            .targets
            .iter()
            .map(|target| drawn(*target).0)
            .filter(|drawn| is_own(*drawn))
            .collect();
        drawn.sort_unstable();
        drawn
    };
    variables(p) == variables(q)
}

fn is_own(drawn: Drawn) -> bool {
    match drawn {
        Drawn::Variable(crate::model::TargetVariable::Variable(_)) | Drawn::Weights(_) => true,
        Drawn::Variable(
            crate::model::TargetVariable::Reward(..) | crate::model::TargetVariable::End,
        ) => false,
    }
}
