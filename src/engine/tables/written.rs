//! What a file writes down of its kernels: the probabilities of those without parameters, and the
//! outcomes that the others rule out.

use super::numbers::verify_numbers;
use crate::engine::error::EngineError;
use crate::engine::tables::tabulate::layers_at;
use crate::engine::tape::parameters::Parameters;
use crate::finite::{Conditions, KernelTable, NotFinite};
use crate::model::{
    Distribution, FiniteDomain, Formal, FormalLength, FormalVariable, KernelId, LayerId, Model,
    Scores, kernel_parameters,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;

/// Entries of a table that is made only to see what it rules out.
const LARGEST: usize = 1 << 20;
/// Entries of a table that is read: as many as there may be rows of states and actions.
const LARGEST_READ: usize = 1 << 22;

/// Why there are no tables of what a file writes down, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// More probabilities than are written down; with a shorter horizon there may be fewer.
    #[error("{0}")]
    TooMany(NotFinite),
    #[error("{0}")]
    NoNumbers(EngineError),
}

/// The table of every kernel that has one, at random parameters. It takes more distributions than
/// are trained: a kernel without parameters need not be.
///
/// # Errors
/// A kernel's probabilities are no numbers, or too many to be written down.
pub fn written_tables(
    model: &Model,
    seed: u64,
) -> Result<BTreeMap<KernelId, KernelTable>, Unwritten> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut parameters = Parameters::<f64>::initial(model, seed);
    parameters
        .values_mut()
        .iter_mut()
        .for_each(|value| *value += 2.0 * random.random::<f64>() - 1.0);
    let mut tables = BTreeMap::new();
    for kernel in (0..model.kernels.len() as u32).map(KernelId) {
        if let Some(table) = written(model, &parameters, kernel).map_err(Unwritten::TooMany)? {
            verify_numbers(model, kernel, &table).map_err(Unwritten::NoNumbers)?;
            tables.insert(kernel, table);
        }
    }
    Ok(tables)
}

/// `None` where the kernel is not finite, has several outputs, or a distribution that cannot be
/// listed; or where it has parameters, and what it rules out would be looked for among too many
/// probabilities.
///
/// # Errors
/// A kernel without parameters has more probabilities than are written down.
fn written(
    model: &Model,
    parameters: &Parameters<f64>,
    kernel: KernelId,
) -> Result<Option<KernelTable>, NotFinite> {
    let declared = model.kernel(kernel);
    let [output] = &declared.outputs[..] else { return Ok(None) };
    let FormalVariable::Variable(variable) = output.variable else { return Ok(None) };
    let Some(domain) = &model.variable(variable).domain.finite else { return Ok(None) };
    let is_read = kernel_parameters(model, kernel).is_empty();
    let conditions = match Conditions::of(model, kernel) {
        Ok(conditions) => conditions,
        Err(too_many) if is_read && declared.givens.iter().all(|given| is_finite(model, given)) => {
            return Err(too_many);
        }
        Err(_) => return Ok(None),
    };
    let outcomes = conditions.outcomes();
    let entries = conditions.count().saturating_mul(outcomes);
    if is_read && entries > LARGEST_READ {
        let (name, count) = (&declared.name, conditions.count());
        return Err(NotFinite(format!(
            "the kernel `{name}` has {outcomes} outcomes in each of {count} cases, and at most \
             {LARGEST_READ} probabilities are written down"
        )));
    }
    if !is_read && entries > LARGEST {
        return Ok(None);
    }
    let mut layers = Vec::new();
    declared.distribution.for_each(&mut |layer: &LayerId| layers.push(*layer));
    let mut log_probability = vec![0.0; entries];
    let mut is_listed = true;
    let visited = layers_at((model, parameters), (kernel, layers), |condition, values| {
        let last = |formal: u32| {
            let axis = conditions
                .axes
                .iter()
                .find(|axis| axis.given + declared.outputs.len() == formal as usize)?;
            Some(condition / axis.stride % axis.size).filter(|number| Some(*number) != axis.none)
        };
        match masses(&declared.distribution, domain, &last, &mut values.iter().copied()) {
            Some(masses) => {
                let row = &mut log_probability[condition * outcomes..(condition + 1) * outcomes];
                row.iter_mut().zip(masses).for_each(|(log_p, p)| *log_p = p.ln());
            }
            None => is_listed = false,
        }
    });
    let table = KernelTable { conditions: conditions.count(), outcomes, log_probability };
    Ok(visited.ok().filter(|()| is_listed).map(|()| table))
}

/// Whether the joint values of a kernel's givens are finitely many, however many.
fn is_finite(model: &Model, given: &Formal) -> bool {
    let of_variable = match given.variable {
        FormalVariable::Variable(variable) => model.variable(variable).domain.finite.is_some(),
        FormalVariable::Time | FormalVariable::End => true,
        FormalVariable::Reward(..) => false,
    };
    of_variable && given.length != FormalLength::Sequence
}

/// The probability of each value, from what the distribution's arguments come to, in the order
/// written.
fn masses(
    distribution: &Distribution<LayerId>,
    domain: &FiniteDomain,
    last: &dyn Fn(u32) -> Option<usize>,
    arguments: &mut dyn Iterator<Item = &[f64]>,
) -> Option<Vec<f64>> {
    let size = domain.size();
    let at = |value: &[f64], mass: f64, masses: &mut Vec<f64>| {
        // a value outside the domain is no probability
        match domain.number(value) {
            Some(number) => masses[number] += mass,
            None => masses.fill(f64::NAN),
        }
    };
    match distribution {
        Distribution::Uniform => Some(vec![1.0 / size as f64; size]),
        Distribution::UniformOver(values) => {
            let mut masses = vec![0.0; size];
            for _ in values {
                at(arguments.next()?, 1.0 / values.len() as f64, &mut masses);
            }
            Some(masses)
        }
        Distribution::Delta(_) => {
            let mut masses = vec![0.0; size];
            at(arguments.next()?, 1.0, &mut masses);
            Some(masses)
        }
        Distribution::Categorical(Scores::Probs(_)) => Some(arguments.next()?.to_vec()),
        Distribution::Categorical(Scores::Logits(_)) => Some(softmax(arguments.next()?)),
        Distribution::Bernoulli(Scores::Probs(_)) => {
            arguments.next()?.first().map(|p| vec![1.0 - p, *p])
        }
        Distribution::Bernoulli(Scores::Logits(_)) => {
            arguments.next()?.first().map(|logit| softmax(&[0.0, *logit]))
        }
        Distribution::Mixture(parts) => {
            let (mut sum, mut all) = (vec![0.0; size], 0.0);
            for (_, part) in parts {
                let weight = *arguments.next()?.first()?;
                let masses = masses(part, domain, last, arguments)?;
                // a part that is never drawn may lie anywhere
                if weight != 0.0 {
                    sum.iter_mut().zip(masses).for_each(|(sum, mass)| *sum += weight * mass);
                }
                all += weight;
            }
            // weights count relative to their sum
            sum.iter_mut().for_each(|mass| *mass /= all);
            Some(sum)
        }
        Distribution::If { then, otherwise, .. } => {
            let holds = *arguments.next()?.first()? != 0.0;
            let (then, otherwise) = (
                masses(then, domain, last, arguments)?,
                masses(otherwise, domain, last, arguments)?,
            );
            Some(if holds { then } else { otherwise })
        }
        Distribution::Sticky { last: given, fresh, .. } => {
            let keep = *arguments.next()?.first()?;
            let mut fresh = masses(fresh, domain, last, arguments)?;
            if let Some(kept) = last(*given) {
                fresh.iter_mut().for_each(|mass| *mass *= 1.0 - keep);
                fresh[kept] += keep;
            }
            Some(fresh)
        }
        Distribution::UniformBox { .. }
        | Distribution::Real { .. }
        | Distribution::Record(_)
        | Distribution::Implicit(_) => None,
    }
}

/// In the place of a weight that a float cannot hold.
const SMALLEST: f64 = 1e-300;

fn softmax(logits: &[f64]) -> Vec<f64> {
    let high = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // only −∞ rules out: what is too small for a float is not 0
    let weight = |logit: &f64| match (logit - high).exp() {
        0.0 if *logit > f64::NEG_INFINITY => SMALLEST,
        weight => weight,
    };
    let weights: Vec<f64> = logits.iter().map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::softmax;

    #[test]
    fn only_what_is_ruled_out_has_no_probability() {
        let far = softmax(&[0.0, -2000.0, f64::NEG_INFINITY]);
        assert!(far[0] == 1.0 && far[1] > 0.0 && far[1].ln().is_finite(), "{far:?}");
        assert_eq!(far[2], 0.0);
        assert!(softmax(&[0.0, f64::NAN]).iter().all(|p| p.is_nan()));
    }
}
