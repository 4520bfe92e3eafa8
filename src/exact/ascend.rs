//! The best policy of a family of tables, by ascent on the exact gradient.

use super::exponentials::log_sum_exp;
use super::maximise::{Patience, maximise};
use super::{Evaluation, Evaluator};
use crate::finite::{KernelTables, NotFinite};
use crate::model::{BoundId, KernelId, Model};

/// Where an ascent ended.
#[derive(Clone, Debug)]
pub struct Ascent {
    pub tables: KernelTables,
    pub evaluation: Evaluation,
    pub iterations: u64,
}

/// Raises `L` over the logits of the tables of `over`, from `start`, as [`maximise`] does. A local
/// optimum: `L` is not concave in the logits.
///
/// # Errors
/// As [`super::exact`], for the start.
pub fn ascend(
    model: &Model,
    bound: BoundId,
    start: &KernelTables,
    over: &[KernelId],
    iterations: u64,
) -> Result<Ascent, NotFinite> {
    let evaluator = Evaluator::new(model, bound);
    let used = evaluator.evaluate(start)?.gradient;
    let over: Vec<KernelId> = over.iter().copied().filter(|id| used.contains_key(id)).collect();
    let slope = |logits: &[f64]| -> Result<_, NotFinite> {
        let evaluation = evaluator.evaluate(&tables_of(logits, &over, start))?;
        Ok((
            evaluation.bound,
            over.iter().flat_map(|id| evaluation.gradient[id].iter().copied()).collect(),
        ))
    };
    // a probability of 0 has no gradient: begin inside
    let logits = over
        .iter()
        .flat_map(|id| start.current[id].log_probability.iter().map(|l| l.max(-30.0)))
        .collect();
    let found = maximise(&slope, logits, Patience::whole(iterations))?;
    let tables = tables_of(&found.at, &over, start);
    Ok(Ascent { evaluation: evaluator.evaluate(&tables)?, tables, iterations: found.iterations })
}

/// The tables whose logits these are, row after row; those of other kernels as they were.
fn tables_of(logits: &[f64], over: &[KernelId], start: &KernelTables) -> KernelTables {
    let mut tables = start.clone();
    let mut rest = logits;
    for id in over {
        let Some(table) = tables.current.get_mut(id) else { continue };
        let (own, after) = rest.split_at(table.log_probability.len());
        rest = after;
        for (row, logits) in
            table.log_probability.chunks_mut(table.outcomes).zip(own.chunks(table.outcomes))
        {
            let norm = log_sum_exp(logits);
            row.iter_mut().zip(logits).for_each(|(log_q, logit)| *log_q = logit - norm);
        }
    }
    tables
}
