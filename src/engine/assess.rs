//! The estimator that training runs, held against the oracle: its bias in standard errors, and its variance.

use super::known_ratio::KnownRatio;
use super::parameters::Parameters;
use super::run::EngineError;
use super::stage::Stage;
use super::tables::kernel_tables;
use super::tabulate::{pull_back, tabulate};
use super::train::estimates;
use crate::exact::Evaluator;
use crate::finite::KernelTable;
use crate::plan::Plan;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Batches that are tested.
pub const BATCHES: u64 = 300;
/// Batches before them, that only say which numbers move often enough to be tested one by one.
const PILOT: u64 = 300;
/// Trajectories of a batch.
pub const TRAJECTORIES: usize = 16;
/// An unbiased estimator exceeds the threshold with at most this probability.
pub const FALSE_ALARM: f64 = 1e-4;
/// Where fewer of the pilot's batches make up the variance of a number, its mean is far from normal: it is tested together with its like.
const OFTEN: f64 = 30.0;
/// Of the largest number of the exact gradient: smaller biases are not told from rare events that no batch has met.
pub const RESOLUTION: f64 = 1e-3;
/// Nothing drawn is rarer than this part of what it is at initial parameters, so that trajectories go everywhere.
const RAREST: f64 = 0.125;

/// A gradient estimator against the exact gradient, at one set of parameters. A component is a trained number, or a fixed random combination of those
/// that seldom move.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    pub components: usize,
    /// Trained numbers that move too seldom even together: nothing is said of them.
    pub untested: usize,
    /// `max |mean − exact| / √(standard error² + resolution²)` over the components: the bias as a z-score.
    pub largest_z: f64,
    /// What the largest of so many standard normals exceeds with probability [`FALSE_ALARM`] at the most.
    pub threshold: f64,
    /// `mean − exact` and its standard error where `largest_z` is found.
    pub bias: f64,
    pub standard_error: f64,
    /// The largest number of the exact gradient; the resolution is [`RESOLUTION`] of it.
    pub scale: f64,
    /// The variance of one batch's estimate, summed over all trained numbers.
    pub variance: f64,
}

impl Assessment {
    /// No bias is seen.
    pub fn holds(&self) -> bool {
        self.largest_z <= self.threshold
    }
}

/// Runs the estimator of `plan` over [`BATCHES`] batches of [`TRAJECTORIES`] trajectories at `parameters` and compares its mean with the oracle's
/// gradient of the same bound. In the place of a classifier stands the log-ratio that it estimates: the estimator is judged, not what it learned.
///
/// # Errors
/// One sentence: the model is not finite, or a construct cannot run.
pub fn assess(plan: &Plan, parameters: &Parameters<f64>) -> Result<Assessment, EngineError> {
    let exact = exact_gradient(plan, parameters)?;
    let trained: Vec<usize> = plan.trained.iter().flat_map(|&id| parameters.layout().range(id)).collect();
    let mut sampled = plan.settled();
    sampled.settings.trajectories = TRAJECTORIES;
    sampled.settings.shards = 2;
    let stage = with_known_ratio(&sampled, parameters)?;
    let pilot = estimates(&stage, parameters, 0..PILOT)?;
    let (directions, untested) = directions(&trained, &pilot);
    let estimates = estimates(&stage, parameters, PILOT..PILOT + BATCHES)?;

    let scale = trained.iter().fold(0.0, |scale: f64, &at| scale.max(exact[at].abs()));
    let variance = trained.iter().map(|&at| Moments::of(estimates.iter().map(|estimate| estimate[at])).variance).sum();
    let mut assessment = Assessment {
        components: directions.len(),
        untested,
        largest_z: 0.0,
        threshold: threshold(directions.len()),
        bias: 0.0,
        standard_error: 0.0,
        scale,
        variance,
    };
    for direction in &directions {
        let moments = Moments::of(estimates.iter().map(|estimate| along(direction, estimate)));
        let bias = moments.mean - along(direction, &exact);
        let standard_error = (moments.variance / BATCHES as f64).sqrt();
        let z = bias.abs() / standard_error.hypot(RESOLUTION * scale.max(1e-6));
        if z > assessment.largest_z {
            assessment = Assessment { largest_z: z, bias, standard_error, ..assessment };
        }
    }
    Ok(assessment)
}

/// A plan made ready, with exact log-ratios where it has a classifier.
fn with_known_ratio<'a>(plan: &'a Plan, parameters: &Parameters<f64>) -> Result<Stage<'a, f64>, EngineError> {
    let mut stage = Stage::new(plan)?;
    if let Some(ratio) = &mut stage.ratio {
        ratio.known = KnownRatio::of(plan, parameters)?;
    }
    Ok(stage)
}

/// `∇L` of the oracle, flat, in the layout of the parameters.
///
/// # Errors
/// One sentence: the model is not finite, or a kernel has no table.
pub fn exact_gradient(plan: &Plan, parameters: &Parameters<f64>) -> Result<Vec<f64>, EngineError> {
    let bound = plan.derivation.bound;
    let unsupported = |sentence: &dyn std::fmt::Display| EngineError::Unsupported(sentence.to_string());
    let tables = kernel_tables(&plan.model, bound, parameters, parameters).map_err(|error| unsupported(&error))?;
    let evaluation = Evaluator::new(&plan.model, bound).evaluate(&tables).map_err(|error| unsupported(&error))?;
    let mut gradient = parameters.zero_gradient();
    for (kernel, of_logits) in &evaluation.gradient {
        let part = pull_back(&plan.model, parameters, *kernel, of_logits).map_err(|error| unsupported(&error))?;
        gradient.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    Ok(gradient)
}

/// Initial values with noise in −c..c added to each: away from the uniform policy, where a dropped divergence shows. `c` is the largest of 1, ½, ¼, …
/// that leaves every option and action its chance.
///
/// # Errors
/// One sentence: the policy has no table.
pub fn random_parameters(plan: &Plan, seed: u64) -> Result<Parameters<f64>, EngineError> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let initial = Parameters::<f64>::initial(&plan.model, seed);
    let noise: Vec<f64> = initial.values().iter().map(|_| 2.0 * random.random::<f64>() - 1.0).collect();
    let plain = tables(plan, &initial)?;
    let mut size = 1.0;
    loop {
        let mut parameters = initial.clone();
        parameters.values_mut().iter_mut().zip(&noise).for_each(|(value, noise)| *value += size * noise);
        let noisy = tables(plan, &parameters)?;
        let likely = |(table, least): (&KernelTable, &KernelTable)| {
            table.log_probability.iter().zip(&least.log_probability).all(|(log_p, least)| *log_p >= least + RAREST.ln())
        };
        if size < 1e-3 || noisy.iter().zip(&plain).all(likely) {
            return Ok(parameters);
        }
        size *= 0.5;
    }
}

/// Those of the kernels that are drawn from.
fn tables(plan: &Plan, parameters: &Parameters<f64>) -> Result<Vec<KernelTable>, EngineError> {
    let tables = plan.draws().map(|draw| tabulate(&plan.model, parameters, draw.kernel));
    tables.collect::<Result<_, _>>().map_err(|error| EngineError::Unsupported(error.to_string()))
}

/// Components to test, each a list of (number, weight), and how many numbers none of them covers. Chosen by the pilot alone, so that the choice biases
/// nothing.
fn directions(trained: &[usize], pilot: &[Vec<f64>]) -> (Vec<Vec<(usize, f64)>>, usize) {
    let moves_often = |direction: &[(usize, f64)]| effective(pilot.iter().map(|estimate| along(direction, estimate))) >= OFTEN;
    let (mut directions, seldom): (Vec<_>, Vec<_>) =
        trained.iter().map(|&at| vec![(at, 1.0)]).partition(|direction| moves_often(direction));
    // random weights: the scores of one table row sum to 0
    let mut random = Xoshiro256PlusPlus::seed_from_u64(0);
    let together: Vec<_> = seldom.into_iter().flatten().map(|(at, _)| (at, 2.0 * random.random::<f64>() - 1.0)).collect();
    if moves_often(&together) {
        directions.push(together);
        return (directions, 0);
    }
    (directions, together.len())
}

/// `(Σx²)² / Σx⁴`, how many samples make up the sum of squares: n/3 for normal ones, 1 where a single one outweighs all others.
fn effective(samples: impl Iterator<Item = f64>) -> f64 {
    let (squares, fourths) =
        samples.map(|x| x * x).fold((0.0, 0.0), |(squares, fourths), square| (squares + square, fourths + square * square));
    if fourths > 0.0 { squares * squares / fourths } else { 0.0 }
}

fn along(direction: &[(usize, f64)], gradient: &[f64]) -> f64 {
    direction.iter().map(|&(at, weight)| weight * gradient[at]).sum()
}

struct Moments {
    mean: f64,
    /// Of one sample.
    variance: f64,
}

impl Moments {
    fn of(samples: impl ExactSizeIterator<Item = f64> + Clone) -> Moments {
        let n = samples.len() as f64;
        let mean = samples.clone().sum::<f64>() / n;
        let squares: f64 = samples.map(|sample| (sample - mean).powi(2)).sum();
        Moments { mean, variance: squares / (n - 1.0) }
    }
}

/// The `c` for which `P(max of n |N(0, 1)| > c) ≤ n · 2φ(c)/c = FALSE_ALARM` (Bonferroni, and Gordon's bound of the normal tail).
fn threshold(components: usize) -> f64 {
    let exceeds = |c: f64| components.max(1) as f64 * 2.0 * (-0.5 * c * c).exp() / ((2.0 * std::f64::consts::PI).sqrt() * c);
    let (mut lo, mut hi) = (1.0, 40.0);
    while hi - lo > 1e-9 {
        let middle = 0.5 * (lo + hi);
        if exceeds(middle) > FALSE_ALARM { lo = middle } else { hi = middle }
    }
    hi
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bound::derive;
    use crate::model::{Overrides, check};
    use crate::plan::{Alternative, Credited, alternatives};
    use crate::source::Source;
    use crate::syntax::parse;
    use std::collections::BTreeMap;

    /// A short slippery chain that ends at the right.
    const CHAIN: &str = "
        model chain
        param alpha = 0.7
        horizon T = 6
        environment chain {
          state s : 0..4
          action a : { left, stay, right }
          reward r in [-1, 0]
          s[1]   ~ Categorical(probs = [0.5, 0.2, 0.2, 0, 0.1])
          s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + a[t] - 1, 0, 4)), 0.2: Delta(s[t]))
          r[t]   = if s[t+1] == 4 then 0 else -1
          end when s[t] == 4
        }
        kernel pi(a | s) = Categorical(logits = table(s))
        prior      { s[1] ~ chain.initial; a[t] ~ Uniform; s[t+1] ~ chain.transition(s[t], a[t]) }
        likelihood { R[t] ~ exp(alpha * r[t]) }
        posterior  { s[1] ~ chain.initial; a[t] ~ pi(s[t]); s[t+1] ~ chain.transition(s[t], a[t]) }
        infer      { trajectories = 8; baseline = table(s, t); lambda = 0.5; discount = 0.9; kl_to_go = false; threads = 1 }";

    fn tried(text: &str) -> Vec<Alternative> {
        let model = check(&parse(&Source::new("test", text)).unwrap(), &Overrides::default()).unwrap();
        alternatives(&model, &derive(&model).unwrap()).unwrap()
    }

    #[test]
    fn unbiased_estimators_pass_and_a_biased_one_is_caught() {
        let tried = tried(CHAIN);
        let names: Vec<&str> = tried.iter().map(|one| one.name).collect();
        assert_eq!(names, ["baseline = none", "baseline = leave_one_out", "baseline = a network", "kl_to_go = false"]);
        for Alternative { name, claims_unbiased, plan } in &tried {
            let found = assess(plan, &random_parameters(plan, 5).unwrap()).unwrap();
            assert_eq!(found.holds(), *claims_unbiased, "{name}: {found:?}");
            assert!(found.components > 10 && found.variance > 0.0, "{name}: {found:?}");
        }
    }

    #[test]
    fn a_dropped_divergence_does_no_harm_at_the_uniform_policy() {
        let tried = tried(CHAIN);
        let plan = &tried.last().unwrap().plan;
        let uniform = Parameters::<f64>::initial(&plan.model, 0);
        // what is dropped, H − log n of each live step, is 0 there
        let found = assess(plan, &uniform).unwrap();
        assert!(found.holds(), "{found:?}");
    }

    /// A shorter chain with two options: what draws them, what their reverse model is.
    fn with_options(kernels: &str, prior: &str, posterior: &str, rest: &str) -> Vec<Alternative> {
        let text = format!(
            "model chain
             param alpha = 0.7
             horizon T = 4
             environment chain {{
               state s : 0..2
               action a : {{ stay, right }}
               reward r in [-1, 0]
               s[1]   ~ Categorical(probs = [0.7, 0.3, 0])
               s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + a[t], 0, 2)), 0.2: Delta(s[t]))
               r[t]   = if s[t+1] == 2 then 0 else -1
               end when s[t] == 2
             }}
             option o : 2
             {kernels}
             prior      {{ s[1] ~ chain.initial; {prior}; s[t+1] ~ chain.transition(s[t], a[t]) }}
             posterior  {{ s[1] ~ chain.initial; {posterior}; s[t+1] ~ chain.transition(s[t], a[t]) }}
             {rest}
             infer      {{ trajectories = 8; threads = 1 }}"
        );
        tried(&text)
    }

    #[test]
    fn gradients_with_options_are_unbiased() {
        let pick = "kernel pi(a | s, o) = Categorical(logits = table(s, o))
            kernel pick(o | s, last: o?) = Sticky(last, keep = sigmoid(linear(s)), fresh = Categorical(logits = table(s, last)))";
        let draws = "o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t])";
        let returns = "likelihood { R[t] ~ exp(alpha * r[t]) }";
        let with = |kernel: &str| format!("{pick}\n{kernel}");
        let back = with("kernel back(o | last: o?, s, a?, next: s) = Categorical(logits = mlp(last, s, a, next, hidden = [3]))");
        let ahead = with("kernel back(o | next: o?, s, a?) = Categorical(logits = table(next, s, a))");
        let window = with("kernel back(o | next: o[2]?, s[3]?, a[3]?) = Categorical(logits = mlp(next, s, a, hidden = [3]))");
        let other = with("kernel other(o | s, last: o?) = Sticky(last, keep = 0.4, fresh = Categorical(logits = linear(s)))");
        let once = "kernel pick(o | s) = Categorical(logits = table(s))
            kernel pi(a | s, o, t) = Categorical(logits = table(s, o, t))
            kernel decoder(o | s, goal: s) = Categorical(logits = table(s, goal))";
        let models = [
            ("none", with_options(pick, &format!("{}; a[t] ~ Uniform", "o[t] ~ pick(s[t], o[t-1])"), draws, returns)),
            ("uniform", with_options(pick, "o[t] ~ Uniform; a[t] ~ Uniform", draws, returns)),
            (
                "look back",
                with_options(&back, "a[t] ~ Uniform", draws, &format!("{returns} auxiliary {{ o[t] ~ back(o[t-1], s[t], a[t], s[t+1]) }}")),
            ),
            (
                "look ahead",
                with_options(&ahead, "a[t] ~ Uniform", draws, &format!("{returns} auxiliary {{ o[t] ~ back(o[t+1], s[t], a[t]) }}")),
            ),
            (
                "window",
                with_options(
                    &window,
                    "a[t] ~ Uniform",
                    draws,
                    &format!("{returns} auxiliary {{ o[t] ~ back(o[t+1..t+2], s[t-1..t+1], a[t-1..t+1]) }}"),
                ),
            ),
            (
                "kept for good",
                with_options(
                    &back.replace("keep = sigmoid(linear(s))", "keep = 1"),
                    "a[t] ~ Uniform",
                    draws,
                    &format!("{returns} auxiliary {{ o[t] ~ back(o[t-1], s[t], a[t], s[t+1]) }}"),
                ),
            ),
            ("learned prior", with_options(&other, "o[t] ~ other(s[t], o[t-1]); a[t] ~ Uniform", draws, returns)),
            (
                "drawn once, decoded from the end",
                with_options(
                    once,
                    "o[1] ~ Uniform; a[t] ~ pi(s[t], o[1], t)",
                    "o[1] ~ pick(s[1]); a[t] ~ pi(s[t], o[1], t)",
                    "likelihood { H[T] ~ decoder(o[1] | s[1], s[T+1]) }",
                ),
            ),
        ];
        for (model, tried) in models {
            let mut variances = BTreeMap::new();
            for Alternative { name, claims_unbiased, plan } in tried.iter().filter(|one| one.claims_unbiased) {
                let found = assess(plan, &random_parameters(plan, 5).unwrap()).unwrap();
                assert!(*claims_unbiased && found.holds(), "{model}, {name}: {found:?}");
                assert!(found.components > 5 && found.variance > 0.0, "{model}, {name}: {found:?}");
                variances.insert(*name, found.variance);
            }
            // summed out, options vary less; a window of them is not summed over
            let (sampled, enumerated) = (variances["baseline = leave_one_out"], variances.get("options = enumerate"));
            assert_eq!(enumerated.is_none(), model == "window", "{model}");
            assert!(enumerated.is_none_or(|enumerated| *enumerated < sampled), "{model}: {variances:?}");
        }
    }

    /// Each broken estimator of the bound is told from the true one.
    #[test]
    fn wrong_estimators_are_caught() {
        let plan = tried(CHAIN).swap_remove(1).plan;
        let broken = |change: &dyn Fn(&mut crate::plan::Term)| {
            let mut plan = plan.clone();
            plan.terms.iter_mut().for_each(change);
            assess(&plan, &random_parameters(&plan, 5).unwrap()).unwrap()
        };
        assert!(broken(&|_| {}).holds());
        let wrong = [
            ("no pathwise part", broken(&|term| term.pathwise = false)),
            ("rewards credited one step late", broken(&|term| term.credit = later(&term.credit))),
            ("the wrong sign", broken(&|term| term.sign = -term.sign)),
            ("a term that stops early", broken(&|term| term.to = 4)),
        ];
        for (name, found) in wrong {
            assert!(!found.holds(), "{name}: {found:?}");
        }
    }

    fn later(credit: &[Option<Credited>]) -> Vec<Option<Credited>> {
        let later = |credited: &Option<Credited>| match credited {
            Some(Credited::From(offset)) => Some(Credited::From(offset + 1)),
            whole @ (Some(Credited::All) | None) => *whole,
        };
        credit.iter().map(later).collect()
    }

    #[test]
    fn thresholds_bound_the_largest_of_many_normals() {
        // 1 − (1 − 2Φ(−c))ⁿ at c: Φ(−3.8906) = 5.0e-5 (tables), so that one component alone needs 3.8906
        assert!((threshold(1) - 3.8906).abs() < 0.02, "{}", threshold(1));
        assert!(threshold(1) > 3.8906, "Gordon's bound is above the tail");
        assert!((threshold(1000) - 5.3267).abs() < 0.02, "{}", threshold(1000));
    }
}
