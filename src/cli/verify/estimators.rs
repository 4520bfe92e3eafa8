//! The estimators that `infer` runs for a file, each looked at from several viewpoints.

use crate::bound;
use crate::cli::Failure;
use crate::engine::{
    self, Assessment, BATCHES, Bias, SCALES, Scale, TRAJECTORIES as OF_A_BATCH, Viewpoint,
};
use crate::model::{BoundId, Model};
use crate::plan::{self, Alternative, Claim, Plan};

/// The horizon at which all estimators are compared: a missing term stands out there from the noise
/// of the others.
pub const SHORT: usize = 6;
/// Trajectories that are listed at the most where the bias of an estimator is found exactly: at
/// the longest horizon, up to [`SHORT`], that has no more.
pub const LISTED: usize = 2000;
/// And if two steps have more, at these.
pub const LISTED_AT_TWO: usize = 50_000;

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
    /// It is held against the same gradient by scores: of real draws no oracle has it.
    pub is_beside_scores: bool,
    /// By viewpoint; or why it was not judged, in one sentence.
    pub looks: Result<Vec<Look>, String>,
    /// By viewpoint, from all trajectories; empty where they cannot be listed.
    pub listed: Vec<Listed>,
}

/// The bias of one estimator from one viewpoint, without an error of sampling.
pub struct Listed {
    pub horizon: usize,
    pub scale: Scale,
    pub bias: Bias,
    /// From the oracle's gradient; else from that of draws that are credited with every term.
    pub is_by_oracle: bool,
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
        self.estimators().iter().filter(|one| !one.is_judged() && !one.is_undecided()).count()
    }

    pub fn undecided(&self) -> usize {
        self.estimators().iter().filter(|one| !one.is_judged() && one.is_undecided()).count()
    }
}

impl Estimator {
    pub fn holds(&self) -> bool {
        let listed = || self.listed.iter().all(|look| look.bias.is_rounding());
        self.is_biased_by_design || self.samples_hold() && listed()
    }

    /// No bias is seen where it was sampled.
    pub fn samples_hold(&self) -> bool {
        self.looks.iter().flatten().all(|look| look.found.holds())
    }

    /// It was sampled so often that something follows, or its bias is known exactly.
    pub fn is_judged(&self) -> bool {
        self.looks.is_ok() && !self.is_undecided() || !self.listed.is_empty()
    }

    /// It was sampled, and no look would have shown a bias as large as the gradient itself. What
    /// is biased by design is measured, and nothing is decided of it.
    pub fn is_undecided(&self) -> bool {
        let looks = self.looks.as_deref().unwrap_or_default();
        !self.is_biased_by_design
            && !looks.is_empty()
            && looks.iter().all(|look| !look.found.decides())
    }

    /// How many trajectories more would decide, about; infinite where none would.
    pub fn trajectories_more(&self) -> f64 {
        let more = self.looks.iter().flatten().map(|look| look.found.batches_more());
        more.fold(f64::INFINITY, f64::min) * OF_A_BATCH as f64
    }

    /// The exact bias where it is largest beside what rounding explains.
    pub fn worst_listed(&self) -> Option<&Listed> {
        let tolerance = |bias: &Bias| bias.tolerance().max(f64::MIN_POSITIVE);
        let beside = |look: &&Listed| look.bias.largest / tolerance(&look.bias);
        self.listed.iter().max_by(|a, b| beside(a).total_cmp(&beside(b)))
    }

    /// The look in which the bias stands out most, of those that decide something.
    pub fn worst(&self) -> Result<&Look, &str> {
        let looks = self.looks.as_ref().map_err(String::as_str)?;
        let decides = |look: &&Look| look.found.decides() || self.is_biased_by_design;
        let beyond = |look: &&Look| look.found.largest_z / look.found.threshold;
        let worst = looks
            .iter()
            .max_by(|a, b| decides(a).cmp(&decides(b)).then(beyond(a).total_cmp(&beyond(b))));
        worst.ok_or("no viewpoint was found")
    }
}

/// Of a file whose horizon is long, `short` are the same at [`SHORT`] and at each that is shorter,
/// where they can be had. At [`SHORT`] all estimators are sampled, and at its own horizon the one
/// that the file asks for; and at the longest that has few enough trajectories the bias of each is
/// found by listing them.
pub fn judge(
    whole: &Model,
    short: &[Model],
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
    let mut shorter: Vec<Vec<Alternative>> = Vec::new();
    for model in short {
        shorter.extend(all(model).ok().filter(|found| found.len() == of_whole.len()));
    }
    let horizon = |all: &[Alternative]| all[0].plan.model.horizon.value;
    let short =
        shorter.first().filter(|short| horizon(&of_whole) > SHORT && horizon(short) == SHORT);
    let (at_length, compared): (Vec<&Alternative>, &[Alternative]) = match &short {
        Some(short) => (of_whole.iter().filter(|one| one.is_own).collect(), &short[..]),
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
    let candidates = [&of_whole].into_iter().filter(|all| horizon(all) <= SHORT).chain(&shorter);
    let candidates: Vec<&Vec<Alternative>> = candidates.collect();
    let at_two = candidates.iter().find(|all| horizon(all) == 2);
    let listed = candidates.iter().find_map(|all| by_listing(all, seed, LISTED));
    let listed = listed.or_else(|| at_two.and_then(|all| by_listing(all, seed, LISTED_AT_TWO)));
    if let Some(listed) = listed {
        for (estimator, listed) in estimators.iter_mut().zip(listed) {
            estimator.listed = listed;
        }
    }
    Ok(Judged::Estimators(estimators))
}

/// The exact bias of each estimator; `None` where trajectories are too many, or none can be listed.
fn by_listing(all: &[Alternative], seed: u64, most: usize) -> Option<Vec<Vec<Listed>>> {
    let look = |one: &Alternative, scale: Scale, seed: u64| -> Option<Listed> {
        let of_oracle = Viewpoint::of(&one.plan, scale, seed).ok();
        let is_by_oracle = of_oracle.is_some();
        let at = of_oracle.or_else(|| {
            // the first of a bound has no baseline, and nothing that biases it
            let is_of_bound = |plan: &&Plan| {
                plan.derivation.bound == one.plan.derivation.bound
                    && plan.trained == one.plan.trained
            };
            let plain = all.iter().map(|other| &other.plan).find(is_of_bound)?;
            engine::viewpoint_by_listing(plain, scale, seed, most).ok()
        })?;
        let bias = engine::bias(&one.plan, &at, most).ok()?;
        Some(Listed { horizon: one.plan.model.horizon.value, scale, bias, is_by_oracle })
    };
    let of_one = |one: &Alternative| match one.claim {
        Claim::BeyondOneBatch(_) => Some(Vec::new()),
        Claim::Unbiased | Claim::Biased => {
            SCALES.iter().zip(seed..).map(|(&scale, seed)| look(one, scale, seed)).collect()
        }
    };
    // what a step does to later ones shows from two steps on
    if all[0].plan.model.horizon.value < 2 {
        return None;
    }
    all.iter().map(of_one).collect()
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
    let beside = |by_scores| {
        let found = engine::compare(&one.plan, by_scores, (seed, looks))?;
        Ok(vec![Look { horizon: one.plan.model.horizon.value, scale: scales[0], found }])
    };
    let looks = match (one.claim, &one.by_scores) {
        (Claim::BeyondOneBatch(why), _) => Err(why.to_owned()),
        (Claim::Unbiased | Claim::Biased, Some(by_scores)) => {
            beside(by_scores).map_err(|error: engine::EngineError| error.to_string())
        }
        (Claim::Unbiased | Claim::Biased, None) => scales
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
        is_beside_scores: one.by_scores.is_some(),
        looks,
        listed: Vec::new(),
    }
}
