//! The estimator that training runs, held against the oracle: its bias in standard errors, and its
//! variance.

use crate::engine::error::EngineError;
use crate::engine::gradient::objective::Aim;
use crate::engine::judge::viewpoint::Viewpoint;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::run::train::estimates_at;
use crate::engine::tables::known_ratio::KnownRatio;
use crate::engine::tape::parameters::Parameters;
use crate::plan::Plan;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::ops::Range;

/// Batches that are tested.
pub const BATCHES: u64 = 300;
/// Batches before them, that only say what is to be tested.
const PILOT: u64 = 300;
/// Batches that are tested where [`BATCHES`] leave a doubt.
pub const AGAIN: u64 = 2000;
/// Trajectories of a batch, or fewer where the file has fewer.
pub const TRAJECTORIES: usize = 16;
/// An unbiased estimator exceeds the threshold with at most this probability, over all looks
/// together.
pub const FALSE_ALARM: f64 = 1e-4;
/// What an unbiased estimator exceeds so seldom in its first batches leaves a doubt.
const DOUBT: f64 = 0.02;
/// Where fewer of the pilot's batches make up the variance of a number, its mean is far from
/// normal: it is tested together with its like.
const OFTEN: f64 = 30.0;
/// Of the largest number of the exact gradient: smaller biases are not told from rare events that
/// no batch has met.
pub const RESOLUTION: f64 = 1e-3;

/// Each estimate is finite, and they are too large to be told apart.
const OVERFLOWS: &str = "squares of its estimates exceed 1.8e308, the largest float64; scale the \
                         rewards, or the param before them, down";

/// A gradient estimator against the exact gradient, at one set of parameters. A component is a
/// trained number, or a fixed combination of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    pub components: usize,
    /// Trained numbers that move too seldom even together: nothing is said of them.
    pub untested: usize,
    /// Batches of the last test.
    pub batches: u64,
    /// `max |mean − exact| / √(standard error² + resolution²)` over the components: the bias as a
    /// z-score. Infinite where an estimate is no number.
    pub largest_z: f64,
    /// What the largest of so many standard normals, over all looks, exceeds with probability
    /// [`FALSE_ALARM`] at the most.
    pub threshold: f64,
    /// `mean − exact` and its standard error where `largest_z` is found.
    pub bias: f64,
    pub standard_error: f64,
    /// The largest standard error of a component.
    pub coarsest: f64,
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

    /// A bias is seen, or one as large as the gradient would be, in whichever component.
    pub fn decides(&self) -> bool {
        !self.holds() || self.threshold * self.coarsest <= self.scale
    }

    /// How many more batches would decide: a standard error falls with the root of their number.
    /// Infinite where there is no gradient that a bias could be compared with.
    pub fn batches_more(&self) -> f64 {
        if self.decides() {
            return 0.0;
        }
        let batches = self.batches as f64;
        batches * ((self.threshold * self.coarsest / self.scale).powi(2) - 1.0)
    }
}

/// Runs the estimator of `plan` over [`BATCHES`] batches of [`TRAJECTORIES`] trajectories at a
/// viewpoint and compares its mean with the oracle's gradient of the same bound; where that leaves
/// a doubt, over [`AGAIN`] others, which alone decide. `looks` are how many such assessments are
/// made together. In the place of a classifier stands the log-ratio that it estimates: the
/// estimator is judged, not what it learned.
///
/// # Errors
/// One sentence: the model is not finite, or a construct cannot run.
pub fn assess(plan: &Plan, at: &Viewpoint, looks: usize) -> Result<Assessment, EngineError> {
    let trained: Vec<usize> =
        plan.trained.iter().flat_map(|&id| at.parameters.layout().range(id)).collect();
    let mut sampled = plan.settled();
    sampled.settings.trajectories = sampled.settings.trajectories.min(TRAJECTORIES);
    sampled.settings.shards = sampled.settings.trajectories.min(2);
    let program = with_known_ratio(&sampled, &at.parameters)?;
    // a fit that moves what the bound moves is part of what is run
    let aim = if plan.fit_moves_bound() { Aim::Both } else { Aim::Policy };
    let estimates =
        |batches: Range<u64>| estimates_at(&program, (&at.parameters, &at.previous), aim, batches);
    let pilot = estimates(0..PILOT)?;
    let scale = trained.iter().fold(0.0, |scale: f64, &number| scale.max(at.exact[number].abs()));
    let Directions { list, untested } = directions(&trained, &pilot, &at.exact, scale);
    let test = |batches: Range<u64>, alarm: f64| -> Result<Assessment, EngineError> {
        let count = batches.end - batches.start;
        let estimates = estimates(batches)?;
        let variance = trained
            .iter()
            .map(|&number| Moments::of(estimates.iter().map(|estimate| estimate[number])).variance)
            .sum();
        let none = Assessment {
            components: list.len(),
            untested,
            batches: count,
            largest_z: 0.0,
            threshold: threshold(list.len(), alarm),
            bias: 0.0,
            standard_error: 0.0,
            coarsest: 0.0,
            scale,
            variance,
        };
        let judged = list.iter().map(|direction| judge(direction, &estimates, &at.exact, scale));
        let worst = judged.fold(none, Assessment::with);
        let told = [worst.bias, worst.standard_error, worst.scale, worst.variance];
        match told.iter().all(|number| number.is_finite()) {
            true => Ok(worst),
            false => Err(EngineError::Unsupported(OVERFLOWS.to_owned())),
        }
    };
    let alarm = FALSE_ALARM / looks.max(1) as f64;
    let first = test(PILOT..PILOT + BATCHES, DOUBT)?;
    if first.holds() || first.largest_z.is_infinite() {
        return Ok(Assessment { threshold: threshold(list.len(), alarm), ..first });
    }
    test(PILOT + BATCHES..PILOT + BATCHES + AGAIN, alarm)
}

/// Runs two estimators of one gradient, each over [`BATCHES`] batches of [`TRAJECTORIES`]
/// trajectories, at parameters away from the initial ones, and compares their means number by
/// number; where that leaves a doubt, over [`AGAIN`] others, which alone decide. Of real draws no
/// oracle has the gradient. A classifier is what it is at these parameters.
///
/// # Errors
/// One sentence: a construct cannot run, or the two have other parameters.
pub fn compare(
    plan: &Plan,
    other: &Plan,
    (seed, looks): (u64, usize),
) -> Result<Assessment, EngineError> {
    let at = |seed: u64| {
        let mut parameters = Parameters::<f64>::initial(&plan.model, seed);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        for value in parameters.values_mut() {
            *value += 0.3 * (2.0 * random.random::<f64>() - 1.0);
        }
        parameters
    };
    let (parameters, previous) = (at(seed), at(!seed));
    if Parameters::<f64>::initial(&other.model, seed).values().len() != parameters.values().len() {
        return Err(EngineError::Unsupported("its scores have other parameters".to_owned()));
    }
    let trained: Vec<usize> =
        plan.trained.iter().flat_map(|&id| parameters.layout().range(id)).collect();
    let sampled = |plan: &Plan| {
        let mut sampled = plan.settled();
        sampled.settings.trajectories = TRAJECTORIES;
        sampled.settings.shards = 2;
        sampled
    };
    let (plan, other) = (sampled(plan), sampled(other));
    let (program, by_other) = (CompiledProgram::new(&plan)?, CompiledProgram::new(&other)?);
    let test = |batches: Range<u64>, alarm: f64| -> Result<Assessment, EngineError> {
        let count = batches.end - batches.start;
        let apart = batches.start + AGAIN + 2 * BATCHES..batches.end + AGAIN + 2 * BATCHES;
        let of = |program: &CompiledProgram<f64>, batches| {
            estimates_at(program, (&parameters, &previous), Aim::Policy, batches)
        };
        let (found, wanted) = (of(&program, batches)?, of(&by_other, apart)?);
        let moments = |estimates: &[Vec<f64>], number: usize| {
            Moments::of(estimates.iter().map(|estimate| estimate[number]))
        };
        let both: Vec<_> =
            trained.iter().map(|&at| (moments(&found, at), moments(&wanted, at))).collect();
        let scale = both.iter().fold(0.0, |scale: f64, (own, _)| scale.max(own.mean.abs()));
        let mut worst = Assessment {
            components: trained.len(),
            untested: 0,
            batches: count,
            largest_z: 0.0,
            threshold: threshold(trained.len(), alarm),
            bias: 0.0,
            standard_error: 0.0,
            coarsest: 0.0,
            scale,
            variance: both.iter().map(|(own, _)| own.variance).sum(),
        };
        for (own, other) in &both {
            let bias = own.mean - other.mean;
            let standard_error = ((own.variance + other.variance) / count as f64).sqrt();
            let z = bias.abs() / standard_error.hypot(RESOLUTION * scale.max(1e-6));
            let z = if z.is_nan() { f64::INFINITY } else { z };
            worst = worst.with((z, bias, standard_error));
        }
        let told = [worst.bias, worst.standard_error, worst.scale, worst.variance];
        match told.iter().all(|number| number.is_finite()) {
            true => Ok(worst),
            false => Err(EngineError::Unsupported(OVERFLOWS.to_owned())),
        }
    };
    let alarm = FALSE_ALARM / looks.max(1) as f64;
    let first = test(0..BATCHES, DOUBT)?;
    if first.holds() {
        let first = Assessment { threshold: threshold(trained.len(), alarm), ..first };
        // more are sampled only if they can decide
        if first.batches_more() == 0.0 || first.batches_more() > (AGAIN - BATCHES) as f64 {
            return Ok(first);
        }
    }
    test(BATCHES..BATCHES + AGAIN, alarm)
}

impl Assessment {
    /// With another component: its z-score, its bias and the standard error of that.
    fn with(self, (z, bias, standard_error): (f64, f64, f64)) -> Assessment {
        let coarsest = self.coarsest.max(standard_error);
        if z > self.largest_z {
            Assessment { largest_z: z, bias, standard_error, coarsest, ..self }
        } else {
            Assessment { coarsest, ..self }
        }
    }
}

/// The z-score of a component, its bias and the standard error of that.
fn judge(
    direction: &[(usize, f64)],
    estimates: &[Vec<f64>],
    exact: &[f64],
    scale: f64,
) -> (f64, f64, f64) {
    let moments = Moments::of(estimates.iter().map(|estimate| along(direction, estimate)));
    let bias = moments.mean - along(direction, exact);
    let standard_error = (moments.variance / estimates.len() as f64).sqrt();
    let z = bias.abs() / standard_error.hypot(RESOLUTION * scale.max(1e-6));
    (if z.is_nan() { f64::INFINITY } else { z }, bias, standard_error)
}

/// A plan made ready, with exact log-ratios where it has a classifier.
fn with_known_ratio<'a>(
    plan: &'a Plan,
    parameters: &Parameters<f64>,
) -> Result<CompiledProgram<'a, f64>, EngineError> {
    let mut program = CompiledProgram::new(plan)?;
    for (ratio, (_, planned)) in program.ratios.iter_mut().zip(plan.ratios()) {
        ratio.known = KnownRatio::of(plan, planned, parameters)?;
    }
    Ok(program)
}

/// What is tested.
struct Directions {
    /// Components, each a list of (number, weight).
    list: Vec<Vec<(usize, f64)>>,
    /// Numbers that none of them covers.
    untested: usize,
}

/// Chosen by the pilot alone, so that the choice biases nothing: each number that moves often,
/// those together that do not, and the direction in which the pilot's mean leaves the exact
/// gradient, which shows a bias that is spread over many numbers.
fn directions(trained: &[usize], pilot: &[Vec<f64>], exact: &[f64], scale: f64) -> Directions {
    let moves_often = |direction: &[(usize, f64)]| {
        effective(pilot.iter().map(|estimate| along(direction, estimate))) >= OFTEN
    };
    let (mut list, seldom): (Vec<_>, Vec<_>) =
        trained.iter().map(|&at| vec![(at, 1.0)]).partition(|direction| moves_often(direction));
    // random weights: the scores of one table row sum to 0
    let mut random = Xoshiro256PlusPlus::seed_from_u64(0);
    let together: Vec<_> = seldom
        .into_iter()
        .flatten()
        .map(|(at, _)| (at, 2.0 * random.random::<f64>() - 1.0))
        .collect();
    let astray = astray(&list, pilot, exact, scale);
    let untested = if moves_often(&together) { 0 } else { together.len() };
    if untested == 0 && !together.is_empty() {
        list.push(together);
    }
    if moves_often(&astray) {
        list.push(astray);
    }
    Directions { list, untested }
}

/// Each number's bias in the pilot over its variance, to length 1, and shorter where the exact
/// gradient is long in its largest number's units: the resolution is that of the whole gradient.
fn astray(
    numbers: &[Vec<(usize, f64)>],
    pilot: &[Vec<f64>],
    exact: &[f64],
    scale: f64,
) -> Vec<(usize, f64)> {
    let weight = |&(at, _): &(usize, f64)| {
        let moments = Moments::of(pilot.iter().map(|estimate| estimate[at]));
        (
            at,
            (moments.mean - exact[at])
                / (moments.variance / pilot.len() as f64 + (RESOLUTION * scale.max(1e-6)).powi(2)),
        )
    };
    let mut direction: Vec<(usize, f64)> = numbers.iter().flatten().map(weight).collect();
    let length = |values: &mut dyn Iterator<Item = f64>| {
        values.map(|value| value * value).sum::<f64>().sqrt()
    };
    let of_weights = length(&mut direction.iter().map(|(_, weight)| *weight));
    let of_exact = length(&mut direction.iter().map(|(at, _)| exact[*at]));
    let unit = scale.max(1e-6) / of_exact.max(scale.max(1e-6)) / of_weights;
    direction.iter_mut().for_each(|(_, weight)| *weight *= unit);
    if unit.is_finite() { direction } else { Vec::new() }
}

/// `(Σx²)² / Σx⁴`, how many samples make up the sum of squares: n/3 for normal ones, 1 where a
/// single one outweighs all others.
fn effective(samples: impl Iterator<Item = f64>) -> f64 {
    let (squares, fourths) =
        samples.map(|x| x * x).fold((0.0, 0.0), |(squares, fourths), square| {
            (squares + square, fourths + square * square)
        });
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

/// The `c` for which `P(max of n |N(0, 1)| > c) ≤ n · 2φ(c)/c = alarm` (Bonferroni, and Gordon's
/// bound of the normal tail).
fn threshold(components: usize, alarm: f64) -> f64 {
    let exceeds = |c: f64| {
        components.max(1) as f64 * 2.0 * (-0.5 * c * c).exp()
            / ((2.0 * std::f64::consts::PI).sqrt() * c)
    };
    let (mut lo, mut hi) = (1.0, 40.0);
    while hi - lo > 1e-9 {
        let middle = 0.5 * (lo + hi);
        if exceeds(middle) > alarm { lo = middle } else { hi = middle }
    }
    hi
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bound::derive;
    use crate::engine::SCALES;
    use crate::model::{Overrides, check};
    use crate::plan::{Alternative, Claim, Credited, alternatives};
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
        infer      { trajectories = 8; baseline = table(s, t); lambda = 0.5; discount = 0.9; \
        kl_to_go = false; threads = 1 }";

    fn tried(text: &str) -> Vec<Alternative> {
        let model =
            check(&parse(&Source::new("test", text)).unwrap(), &Overrides::default()).unwrap();
        alternatives(&model, &derive(&model).unwrap()).unwrap()
    }

    fn viewpoint(plan: &Plan) -> Viewpoint {
        Viewpoint::of(plan, SCALES[1], 5).unwrap()
    }

    /// At z = 1.8 a bias as large as the gradient is no news: nothing is decided, and a standard
    /// error of a fifth of it takes so many batches more.
    #[test]
    fn what_would_hide_a_bias_as_large_as_the_gradient_decides_nothing() {
        let found = Assessment {
            components: 22,
            untested: 0,
            batches: 300,
            largest_z: 1.8,
            threshold: 5.0,
            bias: 1.8,
            standard_error: 1.0,
            coarsest: 1.0,
            scale: 2.0,
            variance: 1.0,
        };
        assert!(found.holds() && !found.decides());
        assert!((found.batches_more() - 300.0 * 5.25).abs() < 1e-9);
        let biased = Assessment { largest_z: 5.1, ..found.clone() };
        assert!(!biased.holds() && biased.decides() && biased.batches_more() == 0.0);
        let finer = Assessment { coarsest: 0.4, ..found.clone() };
        assert!(finer.holds() && finer.decides() && finer.batches_more() == 0.0);
        let flat = Assessment { scale: 0.0, ..found };
        assert!(!flat.decides() && flat.batches_more().is_infinite());
    }

    #[test]
    fn unbiased_estimators_pass_and_biased_ones_are_caught() {
        let tried = tried(CHAIN);
        let names: Vec<(&str, bool)> =
            tried.iter().map(|one| (one.name.as_str(), one.is_own)).collect();
        let own = "baseline = a network, lambda = 0.5, discount = 0.9, kl_to_go = false";
        let others = [
            "baseline = none",
            "baseline = leave_one_out",
            "baseline = a network",
            "kl_to_go = false",
        ];
        assert_eq!(
            names,
            others.map(|name| (name, false)).into_iter().chain([(own, true)]).collect::<Vec<_>>()
        );
        for Alternative { name, claim, plan, .. } in &tried {
            let found = assess(plan, &viewpoint(plan), 1).unwrap();
            assert_eq!(found.holds(), *claim == Claim::Unbiased, "{name}: {found:?}");
            assert!(found.components > 10 && found.variance > 0.0, "{name}: {found:?}");
        }
    }

    #[test]
    fn a_dropped_divergence_does_no_harm_at_the_uniform_policy() {
        let tried = tried(CHAIN);
        let plan = &tried.iter().find(|one| one.name == "kl_to_go = false").unwrap().plan;
        let uniform = Parameters::<f64>::initial(&plan.model, 0);
        // what is dropped, H − log n of each live step, is 0 there
        let found =
            assess(plan, &Viewpoint::at(plan, uniform.clone(), uniform).unwrap(), 1).unwrap();
        assert!(found.holds(), "{found:?}");
    }

    /// In the midst of a round the policy has left the one of its prior: what is dropped shows,
    /// though at the round's beginning it is 0.
    #[test]
    fn a_dropped_divergence_from_the_last_round_is_caught() {
        let text = CHAIN
            .replace("a[t] ~ Uniform", "a[t] ~ previous pi(s[t])")
            .replace("kl_to_go = false", "rounds = 2");
        let tried = tried(&text);
        for Alternative { name, claim, plan, .. } in tried.iter().filter(|one| !one.is_own) {
            let found = assess(plan, &viewpoint(plan), 1).unwrap();
            assert_eq!(found.holds(), *claim == Claim::Unbiased, "{name}: {found:?}");
        }
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
             posterior  {{ s[1] ~ chain.initial; {posterior}; s[t+1] ~ chain.transition(s[t], \
             a[t]) }}
             {rest}
             infer      {{ trajectories = 8; threads = 1 }}"
        );
        tried(&text)
    }

    #[test]
    fn gradients_with_options_are_unbiased() {
        let pick = "kernel pi(a | s, o) = Categorical(logits = table(s, o))
            kernel pick(o | s, last: o?) = Sticky(last, keep = sigmoid(linear(s)), fresh = \
            Categorical(logits = table(s, last)))";
        let draws = "o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t])";
        let returns = "likelihood { R[t] ~ exp(alpha * r[t]) }";
        let with = |kernel: &str| format!("{pick}\n{kernel}");
        let back = with(
            "kernel back(o | last: o?, s, a?, next: s) = Categorical(logits = mlp(last, s, a, \
             next, hidden = [3]))",
        );
        let ahead =
            with("kernel back(o | next: o?, s, a?) = Categorical(logits = table(next, s, a))");
        let window = with(
            "kernel back(o | next: o[2]?, s[3]?, a[3]?) = Categorical(logits = mlp(next, s, a, \
             hidden = [3]))",
        );
        let other = with(
            "kernel other(o | s, last: o?) = Sticky(last, keep = 0.4, fresh = Categorical(logits \
             = linear(s)))",
        );
        let once = "kernel pick(o | s) = Categorical(logits = table(s))
            kernel pi(a | s, o, t) = Categorical(logits = table(s, o, t))
            kernel decoder(o | s, goal: s) = Categorical(logits = table(s, goal))";
        let models = [
            (
                "none",
                with_options(
                    pick,
                    &format!("{}; a[t] ~ Uniform", "o[t] ~ pick(s[t], o[t-1])"),
                    draws,
                    returns,
                ),
            ),
            ("uniform", with_options(pick, "o[t] ~ Uniform; a[t] ~ Uniform", draws, returns)),
            (
                "look back",
                with_options(
                    &back,
                    "a[t] ~ Uniform",
                    draws,
                    &format!("{returns} auxiliary {{ o[t] ~ back(o[t-1], s[t], a[t], s[t+1]) }}"),
                ),
            ),
            (
                "look ahead",
                with_options(
                    &ahead,
                    "a[t] ~ Uniform",
                    draws,
                    &format!("{returns} auxiliary {{ o[t] ~ back(o[t+1], s[t], a[t]) }}"),
                ),
            ),
            (
                "window",
                with_options(
                    &window,
                    "a[t] ~ Uniform",
                    draws,
                    &format!(
                        "{returns} auxiliary {{ o[t] ~ back(o[t+1..t+2], s[t-1..t+1], \
                         a[t-1..t+1]) }}"
                    ),
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
            (
                "learned prior",
                with_options(&other, "o[t] ~ other(s[t], o[t-1]); a[t] ~ Uniform", draws, returns),
            ),
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
            for Alternative { name, plan, .. } in
                tried.iter().filter(|one| one.claim == Claim::Unbiased)
            {
                let found = assess(plan, &viewpoint(plan), 1).unwrap();
                assert!(found.holds(), "{model}, {name}: {found:?}");
                assert!(found.components > 5 && found.variance > 0.0, "{model}, {name}: {found:?}");
                variances.insert(name.as_str(), found.variance);
            }
            // summed out, options vary less; a window of them is not summed over
            let (sampled, enumerated) =
                (variances["baseline = leave_one_out"], variances.get("options = enumerate"));
            assert_eq!(enumerated.is_none(), model == "window", "{model}");
            assert!(
                enumerated.is_none_or(|enumerated| *enumerated < sampled),
                "{model}: {variances:?}"
            );
        }
    }

    /// Each broken estimator is told from the true one, which holds at every scale.
    #[test]
    fn wrong_estimators_are_caught_at_some_scale() {
        let plan = tried(CHAIN).swap_remove(1).plan;
        let caught = |change: &dyn Fn(&mut crate::plan::Term)| {
            let mut plan = plan.clone();
            plan.terms.iter_mut().for_each(change);
            let holds = |(scale, seed)| {
                assess(&plan, &Viewpoint::of(&plan, scale, seed).unwrap(), SCALES.len())
                    .unwrap()
                    .holds()
            };
            SCALES.into_iter().zip(5..).filter(|look| !holds(*look)).count()
        };
        assert_eq!(caught(&|_| {}), 0);
        let wrong = [
            ("no pathwise part", caught(&|term| term.pathwise = false)),
            ("rewards credited one step late", caught(&|term| term.credit = later(&term.credit))),
            ("the wrong sign", caught(&|term| term.sign = -term.sign)),
            ("a term that stops early", caught(&|term| term.to = 4)),
        ];
        for (name, looks) in wrong {
            assert!(looks > 0, "{name}");
        }
    }

    /// A divergence that is dropped is small near the prior: the scales that leave it show the bias
    /// more clearly.
    #[test]
    fn a_small_bias_shows_far_from_the_prior() {
        let plan =
            tried(CHAIN).into_iter().find(|one| one.name == "kl_to_go = false").unwrap().plan;
        let bias = |scale| {
            let found = assess(&plan, &Viewpoint::of(&plan, scale, 5).unwrap(), 1).unwrap();
            found.largest_z / found.threshold
        };
        let [near, _, far] = SCALES.map(bias);
        assert!(far > 1.0 && far > near, "{near} near the prior, {far} far from it");
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
        // 1 − (1 − 2Φ(−c))ⁿ at c: Φ(−3.8906) = 5.0e-5 (tables), so that one component alone needs
        // 3.8906
        assert!((threshold(1, FALSE_ALARM) - 3.8906).abs() < 0.02, "{}", threshold(1, FALSE_ALARM));
        assert!(threshold(1, FALSE_ALARM) > 3.8906, "Gordon's bound is above the tail");
        assert!(
            (threshold(1000, FALSE_ALARM) - 5.3267).abs() < 0.02,
            "{}",
            threshold(1000, FALSE_ALARM)
        );
    }
}
