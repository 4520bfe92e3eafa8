//! `M(q)`, the bound with the exact reverse model `q(o|x)` in the place of `q̃(o|x)`: the bound of
//! the marginal `q(x)`, auxiliary variables `o` summed over. With `U(x, o)` all that the bound adds
//! up but the posterior's factors and the reverse model,
//!
//! ```text
//! M  = E_q[U(x, o) − log q(x)]
//! ∇M = Σ_{x,o} ∇q(x, o) · (U(x, o) − log q(x)) + E_q ∇U,   since Σ_x q(x) ∇log q(x) = 0.
//! ```
//!
//! The forward filter lists all histories with what they say of `o`; a pass back through them
//! collects the values `B(history, memory) = E_q[U to come − log q(x) | history, memory]`.

use super::policy::{direct, through_softmax, used};
use super::reverse::{Path, ReverseModel};
use super::trellis::Pair;
use crate::finite::{KernelTables, NotFinite};
use crate::model::KernelId;
use std::collections::BTreeMap;

/// What the posterior is worth with the exact reverse model.
#[derive(Clone, Debug, PartialEq)]
pub struct Marginal {
    /// `M(q)`, nats.
    pub bound: f64,
    /// `∂M/∂logit` of every entry of the tables in use, as [`super::Evaluation::gradient`]; the
    /// reverse model has none.
    pub gradient: BTreeMap<KernelId, Vec<f64>>,
}

/// `M` of the posterior whose reverse model was compiled without `q̃`; `None` where there are more
/// than `limit` trajectories.
pub(super) fn marginal(
    reverse: &mut ReverseModel<'_>,
    tables: &KernelTables,
    limit: usize,
) -> Result<Option<Marginal>, NotFinite> {
    let mut histories = vec![reverse.starts()];
    for t in 1..=reverse.trellis.horizon {
        let Some(next) = reverse.after(t, &histories[t - 1], limit)? else { return Ok(None) };
        histories.push(next);
    }

    let mut gradient: BTreeMap<_, Vec<f64>> = used(&reverse.trellis)
        .map(|id| (id, vec![0.0; tables.current[&id].log_probability.len()]))
        .collect();
    let mut value: Vec<Value> = histories.pop().iter().flatten().map(leaf).collect();
    for (before, paths) in histories.iter().enumerate().rev() {
        let t = before + 1;
        let mut slice = Slice::new(reverse, t)?;
        let mut ahead = value.iter();
        value = paths.iter().map(|path| slice.back(reverse, path, &mut ahead)).collect();
        for part in reverse.trellis.parts() {
            direct(&part.choice, t, &slice.visits, &mut gradient);
            direct(&part.arrival, t + 1, &slice.arrivals, &mut gradient);
        }
        for level in &reverse.trellis.levels {
            direct(&level.sum, t, &slice.credit, &mut gradient);
        }
        let Pair { prior, posterior } = &reverse.trellis.transition;
        if let Some(prior) = prior {
            prior.add(1, slice.entry_visits.iter().copied().enumerate(), &mut gradient);
        }
        if let Some(posterior) = posterior {
            posterior.add(1, slice.entry_credit.iter().copied().enumerate(), &mut gradient);
        }
    }
    let prior = &reverse.trellis.dynamics[reverse.trellis.prior_dynamics()].log_initial;
    let worth = |(path, value): (&Path, &Value)| {
        prior[path.state] - path.probability.ln() + value.values().sum::<f64>()
    };
    let started =
        || histories[0].iter().zip(&value).map(|one| (one.0.state, one.0.probability, worth(one)));
    if let Some(prior) = &reverse.trellis.start.prior {
        prior.add(1, started().map(|(state, q, _)| (state, q)), &mut gradient);
    }
    if let Some(posterior) = &reverse.trellis.start.posterior {
        posterior.add(1, started().map(|(state, q, worth)| (state, q * worth)), &mut gradient);
    }
    for (id, gradient) in &mut gradient {
        through_softmax(&tables.current[id], gradient);
    }
    Ok(Some(Marginal { bound: started().map(|(_, q, worth)| q * worth).sum(), gradient }))
}

/// `B` of a history, by memory.
type Value = BTreeMap<u32, f64>;

fn leaf(path: &Path) -> Value {
    path.hidden.keys().map(|&memory| (memory, -path.log_q)).collect()
}

/// What is summed over the histories of one slice.
struct Slice {
    /// `log p` and likelihood at `memory · choices + choice`.
    choice: Vec<f64>,
    /// The same, of a node where the slice leads, at `memory · states + state`.
    arrival: Vec<f64>,
    /// The same, at an entry of the posterior's table.
    entry: Vec<f64>,
    /// The probability of each choice.
    visits: Vec<f64>,
    /// That of each node where the slice leads.
    arrivals: Vec<f64>,
    /// `visits` times what follows from the choice: the gradient of its `log q`.
    credit: Vec<f64>,
    /// The same of the entries of the posterior's table.
    entry_visits: Vec<f64>,
    entry_credit: Vec<f64>,
}

impl Slice {
    fn new(reverse: &mut ReverseModel<'_>, t: usize) -> Result<Slice, NotFinite> {
        reverse.prepare(t)?;
        let (points, nodes) = (reverse.log_q.len(), reverse.trellis.nodes());
        let (mut choice, mut arrival) = (vec![0.0; points], vec![0.0; nodes]);
        let trellis = &mut reverse.trellis;
        trellis.weigh(t, &mut choice)?;
        trellis.arrive(t + 1, &mut arrival)?;
        let at = trellis.posterior_dynamics();
        let dynamics = &mut trellis.dynamics[at];
        let mut entry = match &trellis.log_ratio {
            Some(log_ratio) => log_ratio.at(t).to_vec(),
            None => vec![0.0; dynamics.table.transition.column.len()],
        };
        entry.iter_mut().zip(dynamics.likelihood.at(t)?).for_each(|(sum, term)| *sum += term);
        Ok(Slice {
            choice,
            arrival,
            visits: vec![0.0; points],
            arrivals: vec![0.0; nodes],
            credit: vec![0.0; points],
            entry_visits: vec![0.0; entry.len()],
            entry_credit: vec![0.0; entry.len()],
            entry,
        })
    }

    /// The value of a path, from those of the paths that go on from it, which are next in `ahead`.
    fn back<'v>(
        &mut self,
        reverse: &ReverseModel<'_>,
        path: &Path,
        ahead: &mut impl Iterator<Item = &'v Value>,
    ) -> Value {
        let trellis = &reverse.trellis;
        let transition = &trellis.dynamics[trellis.posterior_dynamics()].table.transition;
        let mut expected: BTreeMap<(u32, u32), f64> = BTreeMap::new();
        for step in reverse.steps(path) {
            for entry in transition.start[step.row]..transition.start[step.row + 1] {
                let (state, probability) =
                    (transition.column[entry] as usize, transition.probability[entry]);
                let Some(value) = ahead.next() else { continue };
                for (&memory, hidden) in &step.hidden {
                    let node = memory as usize * trellis.states + state;
                    let visits = path.probability * step.probability * probability * hidden.weight;
                    let follows = self.entry[entry] + self.arrival[node] + value[&memory];
                    self.arrivals[node] += visits;
                    self.entry_visits[entry] += visits;
                    self.entry_credit[entry] += visits * follows;
                    *expected.entry((step.group, memory)).or_default() += probability * follows;
                }
            }
        }
        let choices = &trellis.choices;
        let value_of = |(&memory, hidden): (&u32, &super::reverse::Hidden)| {
            let mut value = 0.0;
            for choice in choices.start[path.state]..choices.start[path.state + 1] {
                let at = memory as usize * choices.count() + choice;
                let q = reverse.log_q[at].exp();
                let next = if choices.next.is_empty() { memory } else { choices.next[at] };
                // absent where the probability is 0
                if let Some(expected) =
                    expected.get(&(reverse.group[choice], next)).filter(|_| q != 0.0)
                {
                    let follows = self.choice[at] + expected;
                    let weight = path.probability * hidden.weight * q;
                    self.visits[at] += weight;
                    self.credit[at] += weight * follows;
                    value += q * follows;
                }
            }
            (memory, value)
        };
        path.hidden.iter().map(value_of).collect()
    }
}
