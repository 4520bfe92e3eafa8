//! The estimators that `infer` runs for a file, each looked at from several viewpoints.

use crate::bound;
use crate::cli::Failure;
use crate::engine::{
    self, Assessment, BATCHES, SCALES, Scale, TRAJECTORIES as OF_A_BATCH, Viewpoint,
};
use crate::model::{BoundId, Model};
use crate::plan::{self, Alternative, Claim};

/// The horizon at which all estimators are compared: a missing term stands out there from the noise
/// of the others.
pub const SHORT: usize = 6;

/// What was found of the engine's estimators.
pub enum Judged {
    /// `infer` does not run the file, for this reason.
    NotRun(String),
    /// Nothing maximises the bound that was asked for.
    NothingMaximised,
    Estimators(Vec<Estimator>),
}

pub struct Estimator {
    /// Of which bound.
    pub bound: Option<String>,
    pub name: String,
    pub is_own: bool,
    pub is_biased_by_design: bool,
    /// By viewpoint; or why it was not judged, in one sentence.
    pub looks: Result<Vec<Look>, String>,
}

/// One estimator from one viewpoint.
pub struct Look {
    pub horizon: usize,
    pub scale: Scale,
    pub found: Assessment,
}

impl Judged {
    pub fn holds(&self) -> bool {
        self.estimators().iter().all(Estimator::holds)
    }

    pub fn estimators(&self) -> &[Estimator] {
        match self {
            Judged::Estimators(estimators) => estimators,
            Judged::NotRun(_) | Judged::NothingMaximised => &[],
        }
    }

    pub fn not_judged(&self) -> usize {
        self.estimators().iter().filter(|estimator| estimator.looks.is_err()).count()
    }
}

impl Estimator {
    pub fn holds(&self) -> bool {
        self.is_biased_by_design
            || self.looks.as_ref().map_or(true, |looks| looks.iter().all(|look| look.found.holds()))
    }

    /// The look in which the bias stands out most.
    pub fn worst(&self) -> Result<&Look, &str> {
        let looks = self.looks.as_ref().map_err(String::as_str)?;
        let beyond = |look: &&Look| look.found.largest_z / look.found.threshold;
        looks.iter().max_by(|a, b| beyond(a).total_cmp(&beyond(b))).ok_or("no viewpoint was found")
    }
}

/// Of a file whose horizon is long, `short` is the same at [`SHORT`]; there all estimators are
/// looked at, and at its own horizon the one that it asks for.
pub fn judge(
    whole: &Model,
    short: Option<&Model>,
    only: Option<BoundId>,
    seed: u64,
) -> Result<Judged, Failure> {
    let all = |model: &Model| -> Result<Vec<Alternative>, String> {
        let derivation = bound::derive(model).map_err(|refused| refused.list[0].message.clone())?;
        let found = plan::alternatives(model, &derivation)
            .map_err(|refused| refused.list[0].message.clone())?;
        Ok(found
            .into_iter()
            .filter(|one| only.is_none_or(|bound| one.plan.derivation.bound == bound))
            .collect())
    };
    let of_whole = match all(whole) {
        Ok(found) if found.is_empty() => return Ok(Judged::NothingMaximised),
        Ok(found) => found,
        Err(why) => return Ok(Judged::NotRun(why)),
    };
    let short =
        short.and_then(|short| all(short).ok()).filter(|short| short.len() == of_whole.len());
    let (at_length, compared): (Vec<&Alternative>, &[Alternative]) = match &short {
        Some(short) => (of_whole.iter().filter(|one| one.is_own).collect(), short),
        None => (Vec::new(), &of_whole),
    };
    let is_judged = |one: &Alternative| !matches!(one.claim, Claim::BeyondOneBatch(_));
    let looks = compared.iter().filter(|one| is_judged(one)).count() * SCALES.len()
        + at_length.iter().filter(|one| is_judged(one)).count();
    let mut estimators: Vec<Estimator> =
        compared.iter().map(|one| estimator(one, (&SCALES, seed), looks)).collect();
    for own in at_length {
        let same = |estimator: &&mut Estimator| {
            estimator.bound == own.plan.derivation.name && estimator.name == own.name
        };
        if let Some(same) = estimators.iter_mut().find(same) {
            let more = match sampled_steps(own) {
                steps if steps > MOST_STEPS => Err(too_long(own, steps)),
                _ => estimator(own, (&SCALES[1..2], seed), looks).looks,
            };
            same.looks = std::mem::replace(&mut same.looks, Ok(Vec::new()))
                .and_then(|looks| Ok(more?.into_iter().chain(looks).collect()));
        }
    }
    Ok(Judged::Estimators(estimators))
}

/// Steps that one look samples at the most: some minutes.
const MOST_STEPS: f64 = 1e8;

/// Steps that a look at an estimator samples where no episode ends before the horizon and no doubt
/// is left.
fn sampled_steps(one: &Alternative) -> f64 {
    2.0 * BATCHES as f64 * OF_A_BATCH as f64 * one.plan.model.horizon.value as f64
}

fn too_long(one: &Alternative, steps: f64) -> String {
    let horizon = &one.plan.model.horizon;
    let most = (MOST_STEPS / steps * horizon.value as f64).floor();
    format!(
        "at {} = {} its {} batches of {OF_A_BATCH} trajectories would be {steps:.1e} steps to \
         sample, more than {MOST_STEPS:.0e}: `--set {}={most}` is \
         the longest that is judged",
        horizon.name,
        horizon.value,
        2 * BATCHES,
        horizon.name
    )
}

fn estimator(one: &Alternative, (scales, seed): (&[Scale], u64), looks: usize) -> Estimator {
    let look = |(&scale, seed): (&Scale, u64)| {
        let at = Viewpoint::of(&one.plan, scale, seed)?;
        let found = engine::assess(&one.plan, &at, looks)?;
        Ok(Look { horizon: one.plan.model.horizon.value, scale, found })
    };
    let looks = match one.claim {
        Claim::BeyondOneBatch(why) => Err(why.to_owned()),
        Claim::Unbiased | Claim::Biased => scales
            .iter()
            .zip(seed..)
            .map(look)
            .collect::<Result<_, engine::EngineError>>()
            .map_err(|error| error.to_string()),
    };
    Estimator {
        bound: one.plan.derivation.name.clone(),
        name: one.name.clone(),
        is_own: one.is_own,
        is_biased_by_design: one.claim != Claim::Unbiased,
        looks,
    }
}
