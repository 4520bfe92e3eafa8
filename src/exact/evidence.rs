//! `log p(R̂) = log E_P[exp ΣΛ]`, backwards: `β_t(z) = log Σ_u p(u|z) Σ_s' p(s'|s,a) exp(Λ_t + β_{t+1}(z'))`.

use super::trellis::Trellis;
use crate::finite::{Environment, NotFinite};

/// The evidence in nats.
pub(super) fn log_evidence(trellis: &mut Trellis<'_>) -> Result<f64, NotFinite> {
    let (memories, states, horizon) = (trellis.memories, trellis.states, trellis.horizon);
    let prior = trellis.prior_dynamics();
    let rows = trellis.dynamics[prior].table.transition.rows();
    let mut beta = vec![0.0; trellis.nodes()];
    let mut ahead = vec![0.0; memories * rows];
    let count = trellis.choices.count();
    let mut weight = vec![0.0; memories * count];
    let mut values = Vec::new();
    for t in (1..=horizon).rev() {
        trellis.arrive(t + 1, &mut beta)?;
        let dynamics = &mut trellis.dynamics[prior];
        let likelihood = dynamics.likelihood.at(t)?;
        for memory in 0..memories {
            let next = &beta[memory * states..(memory + 1) * states];
            log_expectations(&dynamics.table, likelihood, next, &mut ahead[memory * rows..(memory + 1) * rows]);
        }
        trellis.weigh(t, &mut weight)?;
        for memory in 0..memories {
            for state in 0..states {
                values.clear();
                for choice in trellis.choices.start[state]..trellis.choices.start[state + 1] {
                    let at = memory * count + choice;
                    if weight[at] == f64::NEG_INFINITY {
                        continue;
                    }
                    let next = if trellis.choices.next.is_empty() { memory } else { trellis.choices.next[at] as usize };
                    let row = next * rows + trellis.choices.row[choice] as usize;
                    values.push(weight[at] + ahead[row]);
                }
                beta[memory * states + state] = log_sum_exp(&values);
            }
        }
    }
    let initial = &trellis.dynamics[prior].initial;
    let start = &beta[trellis.first_memory * states..];
    let values: Vec<f64> = initial.iter().zip(start).filter(|(p, _)| **p > 0.0).map(|(p, beta)| p.ln() + beta).collect();
    Ok(log_sum_exp(&values))
}

/// `log Σ_s' p(s'|row) exp(likelihood + next(s'))` for every row.
fn log_expectations(table: &Environment, likelihood: &[f64], next: &[f64], out: &mut [f64]) {
    let sparse = &table.transition;
    for (row, out) in out.iter_mut().enumerate() {
        let (from, to) = (sparse.start[row], sparse.start[row + 1]);
        let exponent = |entry: usize| next[sparse.column[entry] as usize] + likelihood.get(entry).copied().unwrap_or(0.0);
        if to == from + 1 {
            *out = exponent(from) + sparse.probability[from].ln();
            continue;
        }
        let high = (from..to).map(exponent).fold(f64::NEG_INFINITY, f64::max);
        *out = if high == f64::NEG_INFINITY {
            high
        } else {
            let sum: f64 = (from..to).map(|entry| sparse.probability[entry] * (exponent(entry) - high).exp()).sum();
            high + sum.ln()
        };
    }
}

/// `log Σ exp`; −∞ of nothing.
pub(super) fn log_sum_exp(values: &[f64]) -> f64 {
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if high == f64::NEG_INFINITY {
        return if values.iter().any(|v| v.is_nan()) { f64::NAN } else { high };
    }
    high + values.iter().map(|value| (value - high).exp()).sum::<f64>().ln()
}
