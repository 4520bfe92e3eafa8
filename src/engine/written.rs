//! What a file writes down of its kernels: the probabilities of those without parameters, and the
//! outcomes that the others rule out.

use super::error::EngineError;
use super::parameters::Parameters;
use super::tabulate::layers_at;
use super::viewpoint::verify_numbers;
use crate::finite::{Conditions, KernelTable};
use crate::model::{
    Distribution, FiniteDomain, FormalVariable, KernelId, LayerId, Model, Scores, kernel_parameters,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;

/// Entries of a table that is made only to see what it rules out.
const LARGEST: usize = 1 << 20;

/// The table of every kernel that has one, at random parameters. It takes more distributions than
/// are trained: a kernel without parameters need not be.
///
/// # Errors
/// One sentence: a kernel's probabilities are no numbers.
pub fn written_tables(
    model: &Model,
    seed: u64,
) -> Result<BTreeMap<KernelId, KernelTable>, EngineError> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut parameters = Parameters::<f64>::initial(model, seed);
    parameters
        .values_mut()
        .iter_mut()
        .for_each(|value| *value += 2.0 * random.random::<f64>() - 1.0);
    let mut tables = BTreeMap::new();
    for kernel in (0..model.kernels.len() as u32).map(KernelId) {
        if let Some(table) = written(model, &parameters, kernel) {
            verify_numbers(model, kernel, &table)?;
            tables.insert(kernel, table);
        }
    }
    Ok(tables)
}

/// `None` where the kernel is not finite, has several outputs, or a distribution that cannot be
/// listed.
fn written(model: &Model, parameters: &Parameters<f64>, kernel: KernelId) -> Option<KernelTable> {
    let declared = model.kernel(kernel);
    let [output] = &declared.outputs[..] else { return None };
    let FormalVariable::Variable(variable) = output.variable else { return None };
    let domain = model.variable(variable).domain.finite.as_ref()?;
    let conditions = Conditions::of(model, kernel).ok()?;
    let outcomes = conditions.outcomes();
    let entries = conditions.count().checked_mul(outcomes)?;
    if entries > LARGEST && !kernel_parameters(model, kernel).is_empty() {
        return None;
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
    visited.ok().filter(|()| is_listed)?;
    Some(KernelTable { conditions: conditions.count(), outcomes, log_probability })
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
        | Distribution::Normal { .. }
        | Distribution::TanhNormal { .. }
        | Distribution::Beta { .. }
        | Distribution::Record(_)
        | Distribution::Implicit(_) => None,
    }
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let high = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - high).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}
