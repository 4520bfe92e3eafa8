//! Ascents on the exact bound that do not stay where a plain one gets stuck.
//!
//! A bound with a strong likelihood has many local maxima, at deterministic policies above all.
//! With the likelihood raised to a small power `β` the bound `E_q[β ΣΛ] − KL(q ‖ p)` has few; its
//! maximum, followed as `β` grows to 1, leads past them (deterministic annealing, Rose 1998). From
//! the other side comes the best policy that may depend on the time and on the state, which soft
//! value iteration knows: its projection onto the family, `argmax_θ E_{q*}[Σ log q_θ]`, is where an
//! ascent begins that no plain one would find.

use super::ascent::{End, Family, agrees, unsupported};
use crate::engine::network::unsupported::Unsupported;
use crate::engine::tables::tabulate::pull_back_all;
use crate::engine::tape::parameters::Parameters;
use crate::exact::{Patience, Slope, Uses};

/// One rung of `β` to the next.
const FACTOR: f64 = 4.0;
/// Rungs at the most: from a likelihood of 10⁹ nats.
const RUNGS: u32 = 15;
/// Steps on a rung that is not the last.
const ON_A_RUNG: u64 = 30;
/// Steps of a projection.
const OF_A_PROJECTION: u64 = 60;
/// Powers of the likelihood at which the best policy is projected: above 1 it is closer to
/// deterministic.
const PROJECTED: [f64; 4] = [1.0, 0.25, 4.0, 16.0];

/// From `start`, with a likelihood that grows from about one nat to what it is; `None` where there
/// is nothing to grow.
pub(in crate::engine) fn upwards(
    family: &Family<'_>,
    start: &Parameters<f64>,
    iterations: u64,
) -> Result<Option<End>, Unsupported> {
    let tables = family.tables(start)?;
    let likelihood =
        family.evaluator.evaluate(&tables).map_err(unsupported)?.expected_log_likelihood.abs();
    if !likelihood.is_finite() || likelihood <= 1.0 {
        return Ok(None);
    }
    let rungs = (likelihood.ln() / FACTOR.ln()).ceil() as u32;
    let (mut at, mut used) = (start.frozen(), 0);
    let on_a_rung = Patience::whole(iterations.min(ON_A_RUNG));
    for rung in (1..=rungs.min(RUNGS)).rev() {
        let end = family.climb(&at, FACTOR.powi(-(rung as i32)), on_a_rung)?;
        used += end.iterations;
        at = end.parameters;
    }
    let end = family.climb(&at, 1.0, Patience::rough(iterations))?;
    Ok(Some(End { iterations: used + end.iterations, ..end }))
}

/// From the projections of the best time-dependent policy, until one ascent has reached `most`,
/// which no policy exceeds; what the ascents do not move is as in `start`.
pub(in crate::engine) fn projected(
    family: &Family<'_>,
    start: &Parameters<f64>,
    iterations: u64,
    most: f64,
) -> Result<Vec<End>, Unsupported> {
    let tables = family.tables(start)?;
    let of_a_projection = Patience::whole(iterations.min(OF_A_PROJECTION));
    let mut ends = Vec::new();
    for power in PROJECTED {
        let Some(uses) = family.evaluator.uses_of_the_best(&tables, power).map_err(unsupported)?
        else {
            break;
        };
        let likelihood = |at: &Parameters<f64>| log_likelihood(family, at, &uses);
        let projection = family.maximise(start, of_a_projection, &likelihood)?;
        let end = family.climb(&projection.parameters, 1.0, Patience::rough(iterations))?;
        let is_most = agrees(end.value, most);
        ends.push(End { iterations: projection.iterations + end.iterations, ..end });
        if is_most {
            break;
        }
    }
    Ok(ends)
}

/// `Σ uses · log q` and its gradient, flat.
fn log_likelihood(
    family: &Family<'_>,
    at: &Parameters<f64>,
    uses: &Uses,
) -> Result<Slope, Unsupported> {
    let tables = family.tables(at)?;
    let log_q = |kernel| tables.current[kernel].log_probability.iter();
    let of_kernel = |(kernel, uses): (_, &Vec<f64>)| {
        uses.iter()
            .zip(log_q(kernel))
            .filter(|(uses, _)| **uses != 0.0)
            .map(|(uses, log_q)| uses * log_q)
            .sum::<f64>()
    };
    Ok((uses.iter().map(of_kernel).sum(), pull_back_all(family.model, at, uses)?))
}
