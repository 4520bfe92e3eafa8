//! What the best time-dependent policy draws: the soft value iteration of [`super::best`] kept step
//! by step, then a pass forward along it.

use super::Uses;
use super::best::best_policy_steps;
use super::policy::direct;
use super::step::{begin, choose, pass_on};
use super::trellis::Trellis;
use crate::finite::{KernelTables, NotFinite};

/// Numbers of a policy that are kept at the most: a quarter of a gigabyte.
const KEPT: usize = 1 << 25;

/// The expected uses of each entry of the tables that draw actions and options; the trellis was
/// compiled with tables and over all that the posterior draws. `None` where the policy would have
/// more than [`KEPT`] numbers.
pub(super) fn uses_of_the_best(
    trellis: &mut Trellis<'_>,
    tables: &KernelTables,
) -> Result<Option<Uses>, NotFinite> {
    let (horizon, nodes) = (trellis.horizon, trellis.nodes());
    let points = trellis.memories * trellis.choices.count();
    if points.saturating_mul(horizon) > KEPT {
        return Ok(None);
    }
    let mut log_policy = vec![0.0; points * horizon];
    best_policy_steps(trellis, &mut log_policy)?;

    let rows = trellis.dynamics[0].table.transition.rows();
    let mut uses: Uses = Uses::new();
    for lookup in trellis.levels.iter().flat_map(|level| level.sum.lookups()) {
        uses.entry(lookup)
            .or_insert_with(|| vec![0.0; tables.current[&lookup].log_probability.len()]);
    }
    let mut visits = vec![0.0; nodes];
    begin(trellis, &mut visits);
    let mut flow = vec![0.0; trellis.memories * rows];
    let mut weight = vec![0.0; points];
    for (t, log_policy) in (1..=horizon).zip(log_policy.chunks(points)) {
        choose(trellis, &visits, log_policy, &mut weight, &mut flow);
        for level in &trellis.levels {
            direct(&level.sum, t, &weight, &mut uses);
        }
        visits.fill(0.0);
        pass_on(trellis, t, &flow, &mut visits, |_, _| {});
    }
    Ok(Some(uses))
}
