//! What the best time-dependent policy draws: the soft value iteration of [`super::best`] kept step
//! by step, then a pass forward along it.

use super::Uses;
use super::best::best_policy_steps;
use super::policy::direct;
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
    let (states, horizon, nodes) = (trellis.states, trellis.horizon, trellis.nodes());
    let points = trellis.memories * trellis.choices.count();
    if points.saturating_mul(horizon) > KEPT {
        return Ok(None);
    }
    let mut log_policy = vec![0.0; points * horizon];
    best_policy_steps(trellis, &mut log_policy)?;

    let q = trellis.posterior_dynamics();
    let rows = trellis.dynamics[q].table.transition.rows();
    let mut uses: Uses = Uses::new();
    for lookup in trellis.levels.iter().flat_map(|level| level.sum.lookups()) {
        uses.entry(lookup)
            .or_insert_with(|| vec![0.0; tables.current[&lookup].log_probability.len()]);
    }
    let mut visits = vec![0.0; nodes];
    visits[trellis.first_memory * states..][..states].copy_from_slice(&trellis.dynamics[q].initial);
    let mut flow = vec![0.0; trellis.memories * rows];
    let mut weight = vec![0.0; points];
    for (t, log_policy) in (1..=horizon).zip(log_policy.chunks(points)) {
        flow.fill(0.0);
        let (choices, count) = (&trellis.choices, trellis.choices.count());
        for (at, (weight, log_policy)) in weight.iter_mut().zip(log_policy).enumerate() {
            let (memory, choice) = (at / count, at % count);
            let visit = visits[memory * states + choices.state[choice] as usize];
            // what is not reached has no policy
            *weight = if visit == 0.0 { 0.0 } else { visit * log_policy.exp() };
            if *weight != 0.0 {
                let (next, row) = choices.leads(memory, choice);
                flow[next * rows + row] += *weight;
            }
        }
        for level in &trellis.levels {
            direct(&level.sum, t, &weight, &mut uses);
        }
        visits.fill(0.0);
        let (sparse, probability) =
            (&trellis.dynamics[q].table.transition, trellis.dynamics[q].probability.at(t));
        for (at, &flow) in flow.iter().enumerate().filter(|(_, flow)| **flow != 0.0) {
            let (memory, row) = (at / rows, at % rows);
            for entry in sparse.start[row]..sparse.start[row + 1] {
                visits[memory * states + sparse.column[entry] as usize] +=
                    flow * probability[entry];
            }
        }
    }
    Ok(Some(uses))
}
