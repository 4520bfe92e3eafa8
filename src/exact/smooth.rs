//! The exact posterior over options: what a trajectory of states and actions tells of the option at
//! each step, by a forward filter and a backward pass.

use super::compile::{Scope, compile, held};
use super::environments::Environments;
use super::place::place;
use super::read::NONE;
use super::refuse::refuse;
use crate::finite::{KernelTables, NotFinite, finite_domain};
use crate::model::{BoundId, Index, Model, VariableId};
use std::collections::BTreeSet;

/// `q(o[t] | s[1..T+1], a[1..T])` at each live step, a row each, over the values of `option`.
/// `states` and `actions` are the numbers of a trajectory, `states[t − 1]` that of `s[t]`; it may
/// be shorter than the horizon. Whatever else the posterior draws is summed over. `None` where the
/// posterior cannot act so. The transitions do not read the option, so their probabilities do not
/// count.
///
/// # Errors
/// As [`super::information`]; where the posterior does not draw `option`.
pub fn option_posterior(
    model: &Model,
    bound: BoundId,
    tables: &KernelTables,
    option: VariableId,
    (states, actions): (&[usize], &[usize]),
) -> Result<Option<Vec<Vec<f64>>>, NotFinite> {
    let environments = Environments::new(model);
    let options = held(model, &place(model, &model.bound(bound).posterior, &BTreeSet::new())?);
    let Some(&(_, kept)) = options.iter().find(|(variable, _)| *variable == option) else {
        return refuse(&format!(
            "`{}`, which the posterior does not draw",
            model.variable(option).name
        ));
    };
    let values = finite_domain(model, option)?.size();
    let mut trellis = compile(&environments, model.bound(bound), Some(tables), Scope::Options)?;
    trellis.refuse_time("options")?;
    let count = trellis.choices.count();
    let index = if kept == Index::First { Index::First } else { Index::Step(0) };
    let numbers = trellis.at_choices.numbers[&(option, index)].clone();
    let table = trellis.dynamics[0].table.clone();

    // forward: α_t(memory), and what each step may do
    let mut filter = vec![0.0; trellis.memories];
    filter[trellis.first_memory] = 1.0;
    let mut edges: Vec<Vec<Edge>> = vec![];
    let mut log_q = vec![0.0; trellis.memories * count];
    for (t, (&state, &action)) in (1..=trellis.horizon).zip(states.iter().zip(actions)) {
        if table.ended[state] {
            break;
        }
        trellis.log_q(t, &mut log_q)?;
        let mut here = vec![];
        let mut after = vec![0.0; trellis.memories];
        for (memory, &filter) in filter.iter().enumerate().filter(|(_, filter)| **filter > 0.0) {
            for choice in trellis.choices.start[state]..trellis.choices.start[state + 1] {
                let at = memory * count + choice;
                let probability = log_q[at].exp();
                let (next, row) = trellis.choices.leads(memory, choice);
                if probability > 0.0 && row == state * table.actions + action {
                    after[next] += filter * probability;
                    here.push(Edge {
                        option: numbers[at],
                        from: memory,
                        next,
                        filter,
                        probability,
                    });
                }
            }
        }
        let total: f64 = after.iter().sum();
        if total == 0.0 {
            return Ok(None);
        }
        filter = after.into_iter().map(|weight| weight / total).collect();
        edges.push(here);
    }

    // backward: β_t(memory), up to a factor
    let mut ahead = vec![1.0; trellis.memories];
    let mut posterior = vec![];
    for edges in edges.iter().rev() {
        let mut row = vec![0.0; values];
        let mut here = vec![0.0; trellis.memories];
        for edge in edges {
            let reached = edge.probability * ahead[edge.next];
            here[edge.from] += reached;
            if edge.option != NONE {
                row[edge.option as usize] += edge.filter * reached;
            }
        }
        for list in [&mut row, &mut here] {
            let total: f64 = list.iter().sum();
            list.iter_mut().for_each(|p| *p /= total);
        }
        posterior.push(row);
        ahead = here;
    }
    posterior.reverse();
    Ok(Some(posterior))
}

/// What a step may do.
struct Edge {
    /// The option held.
    option: u32,
    /// Memories before and after.
    from: usize,
    next: usize,
    /// `q(from | s[1..t], a[1..t-1])`
    filter: f64,
    /// `q` of what is drawn.
    probability: f64,
}
