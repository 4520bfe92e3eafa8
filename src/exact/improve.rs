//! The policy that attains the best bound: `π_t(a|s) ∝ p(a|s) exp(Q_t(s, a))`, with `Q` the soft
//! value of [`super::best`].

use super::compile::{Scope, compile};
use super::environments::Environments;
use super::exponentials::log_sum_exp;
use super::step::expectations;
use super::term::Term;
use crate::finite::{KernelTable, KernelTables, NotFinite};
use crate::model::{BoundId, KernelId};

/// The best policy at `tables`, as a table of the posterior's `kernel`; `None` where that table
/// cannot hold it: where the kernel does not see the state and the time, or other variables are
/// drawn beside the action. What is never met stays as it is in `tables`.
///
/// # Errors
/// As [`super::exact`].
pub(super) fn best_policy(
    environments: &Environments<'_>,
    bound: BoundId,
    tables: &KernelTables,
    kernel: KernelId,
) -> Result<Option<KernelTable>, NotFinite> {
    let written = environments.model.bound(bound);
    let mut trellis = compile(environments, written, Some(tables), Scope::Prior)?;
    let drawn = compile(environments, written, Some(tables), Scope::Posterior)?;
    let ([level], Some(present)) = (&drawn.levels[..], tables.current.get(&kernel)) else {
        return Ok(None);
    };
    let of_kernel = |term: &&Term| {
        matches!(term, Term::Lookup(lookup)
            if lookup.kernel == kernel && !lookup.previous)
    };
    let Some(Term::Lookup(lookup)) = level.sum.terms.iter().find(of_kernel) else {
        return Ok(None);
    };
    if trellis.memories > 1 || drawn.memories > 1 {
        return Ok(None);
    }
    let horizon = trellis.horizon;
    let mut value = vec![0.0; trellis.nodes()];
    let mut ahead = vec![0.0; trellis.dynamics[0].table.transition.rows()];
    let mut weight = vec![0.0; trellis.choices.count()];
    let mut table = present.clone();
    let mut written = vec![false; table.log_probability.len()];
    for t in (1..=horizon).rev() {
        trellis.arrive(t + 1, &mut value)?;
        expectations(&mut trellis, None, t, &value, &mut ahead)?;
        trellis.weigh(t, &mut weight)?;
        for (state, value) in value.iter_mut().enumerate() {
            let choices = trellis.choices.start[state]..trellis.choices.start[state + 1];
            let soft: Vec<f64> = choices
                .clone()
                .map(|choice| match weight[choice] {
                    f64::NEG_INFINITY => f64::NEG_INFINITY,
                    weight => weight + ahead[trellis.choices.row[choice] as usize],
                })
                .collect();
            *value = log_sum_exp(&soft);
            for (choice, soft) in choices.zip(soft) {
                let Some(entry) = lookup.entry(choice, t).filter(|_| *value > f64::NEG_INFINITY)
                else {
                    continue;
                };
                let log_policy = soft - *value;
                // one entry for several steps or states: the table does not tell them apart
                if written[entry] && (table.log_probability[entry] - log_policy).abs() > 1e-12 {
                    return Ok(None);
                }
                (table.log_probability[entry], written[entry]) = (log_policy, true);
            }
        }
    }
    Ok(Some(table))
}
