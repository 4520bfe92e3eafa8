//! Returns and bounds of fixed parameters, by rolling whole trajectories out.

use crate::engine::error::EngineError;
use crate::engine::family::choice::Choice;
use crate::engine::fleet::crew::{threads, with_crew};
use crate::engine::numeric::kernels;
use crate::engine::numeric::number::Number;
use crate::engine::numeric::stream::{EVALUATION, WEIGHTS};
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::point::Point;
use crate::engine::run::outcome::{Evaluation, OptionUse};
use crate::engine::sample::episodes::{Episodes, Totals};
use crate::engine::sample::fault::{Fault, term_is};
use crate::engine::sample::rollout::{Keep, Rollout};
use crate::engine::sample::tally::Tally;
use crate::engine::tape::parameters::Parameters;
use crate::plan::{Plan, Precision};
use std::sync::{Mutex, PoisonError};

/// Trajectories of a shard of an evaluation.
pub(in crate::engine) const SHARD: usize = 64;
/// The same where weights are drawn: each shard has a draw of its own.
const SHARD_OF_A_DRAW: usize = 8;

/// Rolls `episodes` trajectories out with `parameters`; `greedy` takes the most probable action.
/// The bound is that of the policy as it is played only where `greedy` is false. Weights that have
/// a mean field are drawn anew for every eight trajectories, and standard errors count draws, not
/// trajectories; `greedy` takes their means.
///
/// # Errors
/// A construct that cannot run; a NaN or an infinity, by kernel, time and state.
pub fn evaluate(
    plan: &Plan,
    parameters: &Parameters<f64>,
    episodes: usize,
    greedy: bool,
    seed: u64,
) -> Result<Evaluation, EngineError> {
    let evaluator =
        Evaluator { episodes, choice: if greedy { Choice::Greedy } else { Choice::Sampled }, seed };
    match plan.settings.precision {
        Precision::F32 => {
            let mut narrow = Parameters::<f32>::initial(&plan.model, 0);
            narrow
                .values_mut()
                .iter_mut()
                .zip(parameters.values())
                .for_each(|(mine, &theirs)| *mine = theirs as f32);
            evaluator.run(&CompiledProgram::new(plan)?, &narrow)
        }
        Precision::F64 => evaluator.run(&CompiledProgram::new(plan)?, parameters),
    }
}

/// Trajectories that a run's summary is estimated from.
pub(in crate::engine) fn episodes_after_training(plan: &Plan) -> usize {
    plan.settings.trajectories.max(256)
}

/// How to evaluate.
pub(in crate::engine) struct Evaluator {
    pub episodes: usize,
    pub choice: Choice,
    pub seed: u64,
}

/// What some trajectories told.
struct Shard<E> {
    totals: Totals,
    tally: Option<Tally<E>>,
    extremes: Vec<(f64, f64)>,
    fault: Option<Fault>,
}

impl<E> Default for Shard<E> {
    fn default() -> Shard<E> {
        Shard { totals: Totals::default(), tally: None, extremes: Vec::new(), fault: None }
    }
}

impl Evaluator {
    /// What it returns is worth nothing if the run has given up meanwhile.
    ///
    /// # Errors
    /// A NaN or an infinity: nothing is told of trajectories among which there is one.
    pub fn run<E: Number>(
        &self,
        program: &CompiledProgram<E>,
        parameters: &Parameters<E>,
    ) -> Result<Evaluation, EngineError> {
        // a shard's buffers are dropped with it: only what it told is kept
        let draws = !program.weights.is_empty() && self.choice == Choice::Sampled;
        let size = if draws { SHARD_OF_A_DRAW } else { SHARD };
        let shards: Vec<Mutex<Shard<E>>> =
            (0..self.episodes.div_ceil(size)).map(|_| Mutex::default()).collect();
        let frozen = program.freeze(parameters.values(), (self.seed, u64::MAX));
        let work = |_: (), at: usize| {
            kernels::flush_denormals();
            let stream = [self.seed, EVALUATION, at as u64];
            let mut rollout = Rollout::new(program, size.min(self.episodes - at * size));
            let mut own = if draws { parameters.values().to_vec() } else { Vec::new() };
            if draws {
                program.weights.draw([self.seed, WEIGHTS + 1, at as u64], &mut own);
            }
            let point = Point {
                present: if draws { &own } else { parameters.values() },
                previous: None,
                frozen: &frozen,
            };
            let keep = if program.reads_trajectories() { Keep::Rows } else { Keep::Nothing };
            rollout.tally = program.plan.has_options().then(|| Tally::new(program));
            rollout.extremes = Some(Vec::new());
            rollout.run(program, point, stream, self.choice, keep);
            if program.stop.has_given_up() {
                return;
            }
            if keep == Keep::Rows && rollout.fault.is_none() {
                rollout.value(program, point);
            }
            let Rollout { episodes: Episodes { totals, .. }, tally, extremes, fault, .. } = rollout;
            *shards[at].lock().unwrap_or_else(PoisonError::into_inner) =
                Shard { totals, tally, extremes: extremes.unwrap_or_default(), fault };
        };
        with_crew(threads(program.plan), shards.len(), (), &work, |crew| crew.run(()));
        let (mut bounds, mut returns, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        let mut by_reward: Vec<Vec<f64>> = Vec::new();
        let mut terms = vec![0.0; program.terms.len()];
        let (mut tally, mut rewards) = (Tally::new(program), Vec::new());
        for shard in shards {
            let Shard { totals, tally: counts, extremes, fault } =
                shard.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Some(fault) = fault {
                return Err(fault.played());
            }
            rewards.resize(rewards.len().max(extremes.len()), (f64::INFINITY, f64::NEG_INFINITY));
            rewards.iter_mut().zip(extremes).for_each(|(all, (least, greatest))| {
                *all = (all.0.min(least), all.1.max(greatest))
            });
            counts.into_iter().for_each(|counts| tally.merge(counts));
            bounds.extend(totals.bound);
            returns.extend(totals.returns);
            by_reward.resize_with(totals.rewards.len(), Vec::new);
            by_reward.iter_mut().zip(totals.rewards).for_each(|(all, own)| all.extend(own));
            lengths.extend(totals.lengths);
            terms.iter_mut().zip(totals.terms).for_each(|(sum, term)| *sum += term);
        }
        terms.iter_mut().for_each(|term| *term /= self.episodes.max(1) as f64);
        for (term, share) in program.weights.shares(parameters.values()) {
            let share = program.terms[term].sign * share;
            if !share.is_finite() {
                return Err(EngineError::Broken(term_is(program.plan, term, share)));
            }
            terms[term] += share;
            bounds.iter_mut().for_each(|bound| *bound += share);
        }
        let together = if draws { size } else { 1 };
        let told = |samples: &[f64], what: &str| held(mean_and_error(samples, together), what);
        // a greedy policy is not the posterior: its bound is nobody's
        let (bound, bound_se) = match self.choice {
            Choice::Greedy => mean_and_error(&bounds, together),
            Choice::Sampled => told(&bounds, "the bound")?,
        };
        let (expected_return, return_se) = told(&returns, "the expected return")?;
        let each = by_reward
            .iter()
            .map(|own| told(own, "an expected return"))
            .collect::<Result<_, _>>()?;
        let env_steps = lengths.iter().map(|&length| u64::from(length)).sum();
        let options = tally.visits.into_iter().map(|(at, mut visits)| {
            let draw = &program.plan.draws[at];
            visits.divide(self.episodes.max(1) as f64);
            OptionUse { option: draw.variable, once: draw.once, visits }
        });
        let options = options.collect();
        Ok(Evaluation {
            episodes: self.episodes,
            expected_return,
            return_se,
            returns: each,
            bound,
            bound_se,
            terms,
            lengths,
            env_steps,
            rewards,
            options,
        })
    }
}

/// A mean and its standard error that float64 holds: every trajectory is a number, and the sum of
/// all may be none.
fn held((mean, error): (f64, f64), what: &str) -> Result<(f64, f64), EngineError> {
    let of = match (mean.is_infinite(), error.is_infinite()) {
        (false, false) => return Ok((mean, error)),
        (true, _) => what.to_owned(),
        (false, true) => format!("the standard error of {}", what),
    };
    let why = "over all trajectories it exceeds 1.8e308, the largest float64; scale the rewards, \
               or the param before them, down";
    Err(EngineError::Broken(format!("{of} overflows: {why}")))
}

/// The sample mean and its standard error, where `together` neighbours are not independent; NaN of
/// nothing, and an error of NaN of one group.
fn mean_and_error(samples: &[f64], together: usize) -> (f64, f64) {
    let n = samples.len() as f64;
    let groups = samples.len().div_ceil(together) as f64;
    let mean = samples.iter().sum::<f64>() / n;
    let deviations =
        samples.chunks(together).map(|group| group.iter().map(|x| x - mean).sum::<f64>());
    let variance = deviations.map(|sum| sum * sum).sum::<f64>() / (groups - 1.0) * (groups / n);
    (mean, (variance / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_numbers_that_is_none_is_named() {
        let told = |samples: &[f64]| {
            held(mean_and_error(samples, 1), "the bound").map_err(|error| error.to_string())
        };
        assert_eq!(told(&[1.0, 3.0]), Ok((2.0, 1.0)));
        assert!(told(&[1e308, 1e308]).unwrap_err().starts_with("the bound overflows: "));
        assert!(
            told(&[1e200, -1e200])
                .unwrap_err()
                .starts_with("the standard error of the bound overflows: ")
        );
        // one draw of weights has no error, and is no overflow
        assert!(
            held(mean_and_error(&[1.0, 3.0], 2), "the bound")
                .is_ok_and(|(mean, error)| mean == 2.0 && error.is_nan())
        );
    }
}
