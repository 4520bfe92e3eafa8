//! Model and Derivation in, Plan out: for each term its estimator and why, what is downstream of
//! what, and the settings of the run. Allocates no tensors, never samples.

mod apart;
mod called;
mod classifier;
mod conflicts;
pub mod critic;
mod draw;
mod enumeration;
mod estimators;
mod gain;
mod head;
mod in_place;
mod key;
mod keys;
mod outcomes;
mod parts;
mod pathwise;
mod print;
mod prior;
mod read;
mod records;
mod refuse;
mod schedules;
mod settings;
mod simulation;
mod term;
mod terms;
#[cfg(test)]
mod tests;
mod turns;
mod until;
mod weights;
mod written;

pub use classifier::{Apart, Classifier, Side};
pub use draw::{Draw, Outcome, StateDraw};
pub use enumeration::OptionReads;
pub use estimators::{Alternative, Claim, alternatives};
pub use gain::Gain;
pub use head::{Field, Head};
pub use key::{Key, KeyDefault, KeyKind};
pub use keys::{Choice, KEYS, OPTIMIZERS, UPDATES};
pub use pathwise::{Beside, Pathwise, Slope};
pub use read::{Credited, Read, Version};
pub use records::{Recorded, Records};
pub use settings::{
    Baseline, DrawGradient, Normalize, Optimizer, OptionGradient, Precision, Schedule, Settings,
    Update, unknown_key,
};
pub use simulation::Simulation;
pub use term::{
    ComparedWith, Density, Estimator, Extent, Prior, Quantity, Ratio, RatioOf, Subject, Term,
};
pub use until::{Relation, Until, WATCHED, Watched};
pub use weights::MeanField;

use crate::bound::{BoundDerivation, Derivation, Score};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::expr::{ExprId, Graph, ParamId};
use crate::model::{
    BoundId, DataId, EnvironmentId, FactorRef, Index, KernelId, Kind, Model, Parameter,
    ParameterId, Role, VariableId, kernel_parameters, parameters_of,
};
use crate::source::Span;
use crate::world::Environments;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How a model is trained: everything the engine needs besides the world.
#[derive(Clone, Debug)]
pub struct Plan {
    pub model: Arc<Model>,
    pub derivation: BoundDerivation,
    /// The bounds that a step takes before this one, in their order; one that is maximised in two
    /// ways stands there twice.
    pub earlier: Vec<Plan>,
    /// The bounds that nothing maximises: they are evaluated when all is trained.
    pub watched: Vec<Plan>,
    /// Which of the plans of its file this is; 0 is the one that holds the others.
    pub number: u64,
    /// Gradient steps that it takes in its turn.
    pub per_turn: u64,
    /// Keys of `infer` that the bound has for itself.
    pub own_settings: Vec<String>,
    pub settings: Settings,
    pub environment: EnvironmentId,
    /// What a step draws, in this order; each reads what stands before it.
    pub draws: Vec<Draw>,
    /// The states that learned kernels draw in the environment's place: next ones, then first ones.
    /// Where a next state is scored it stands behind the draws of a step, as a draw; a first one
    /// stands behind all others.
    pub states: Vec<StateDraw>,
    /// The rewards and the ends that factors of their own draw, in this order. Those that are
    /// scored stand behind the next state, as draws.
    pub outcomes: Vec<Outcome>,
    /// How the gradient goes through what is drawn; it follows nothing where it does not.
    pub paths: Pathwise,
    /// What kernels imagine before they draw.
    pub simulations: Vec<Simulation>,
    /// What the baseline's network reads at `t`; empty where it is none.
    pub baseline_reads: Vec<Read>,
    /// How many draws of a step stand before what it reads: it is no baseline of theirs.
    pub unserved: usize,
    /// The terms of the bound, in the derivation's order.
    pub terms: Vec<Term>,
    /// What classifiers tell the policy's steps from, each once.
    pub records: Vec<Arc<Records>>,
    /// `log p(s[t+1] | s[t], a[t])` of the environment at real states, as an expression: nothing
    /// learns from it, a classifier is judged by it.
    pub log_transition: Option<ExprId>,
    /// The model's expressions and those made for this plan: what the terms' expressions stand in.
    pub graph: Graph,
    /// Parameters that the bound's gradient moves.
    pub trained: BTreeSet<ParameterId>,
    /// Those of them that a trust region moves; its optimiser moves the others.
    pub region: BTreeSet<ParameterId>,
    /// Parameters of the baseline that its own fit moves: those the bound's gradient does not.
    pub fitted: BTreeSet<ParameterId>,
    /// Parameters of the classifiers.
    pub classified: BTreeSet<ParameterId>,
    /// The baseline's network shares parameters with what is trained, and its fit moves them too.
    pub shared: bool,
    /// The kernels whose weights are drawn, anew for each batch.
    pub weights: Vec<MeanField>,
    /// What exponents read of their movement.
    pub gains: Vec<Gain>,
    /// The variables whose real components networks see normalised.
    pub normalizers: Vec<Normalizer>,
    /// The params that move over the batches, and how.
    pub schedules: Vec<(ParamId, Schedule)>,
    /// What the reader of a result has to know: each choice that biases the gradient, each param
    /// that moves.
    pub remarks: Vec<String>,
    /// The programs that run environments from outside.
    pub environments: Environments,
}

/// How the components of a variable are normalised: by parameters that no gradient moves.
#[derive(Clone, Copy, Debug)]
pub struct Normalizer {
    pub variable: VariableId,
    /// One number per component; 0 and 1 before anything was seen.
    pub mean: ParameterId,
    /// The logarithm of the standard deviation.
    pub log_deviation: ParameterId,
}

/// Decides how each term of the bound and of its gradient is estimated. What cannot be
/// trained is refused, all at once, each with its place.
pub fn plan(model: &Model, derivation: &Derivation) -> Result<Plan, Diagnostics> {
    plan_with(model, derivation, &Environments::new())
}

/// [`plan()`] of a model with environments from outside, `rust("name")`, which `environments`
/// makes. One of each is made here, and what it takes and writes is held against what the file
/// declares.
pub fn plan_with(
    model: &Model,
    derivation: &Derivation,
    environments: &Environments,
) -> Result<Plan, Diagnostics> {
    let mut errors = Vec::new();
    let settings = match conflicts::read(model) {
        Ok(settings) => Some(settings),
        Err(found) => {
            errors.extend(found);
            None
        }
    };
    errors.extend(refuse::constructs(model, derivation, environments));
    let planned = match settings {
        Some(mut settings) if errors.is_empty() => {
            let mut model = model.clone();
            classifier::of_file(&mut model, derivation)
                .and_then(|ratios| {
                    settings.ratios = ratios;
                    turns::turns(&model, derivation, &settings)
                })
                .and_then(refuse::imagined_from_outside)
                .map(|plan| plan.hosting(environments))
        }
        _ => Err(errors),
    };
    planned.map_err(|found| {
        // several bounds may tell the same of what they share
        let mut list: Vec<Diagnostic> = Vec::with_capacity(found.len());
        for told in found {
            let is_known = |known: &Diagnostic| {
                known.message == told.message && known.labels.first() == told.labels.first()
            };
            if !list.iter().any(is_known) {
                list.push(told);
            }
        }
        Diagnostics { list, sources: model.sources.clone() }
    })
}

/// What is wrong with how a model is to be trained, or may be meant otherwise. That it is not
/// trained yet is no mistake of its author, and is a note.
pub fn mistakes(model: &Model, derivation: &Derivation) -> Vec<Diagnostic> {
    let found = plan(model, derivation).map_or_else(|found| found.list, |plan| plan.warnings());
    let note = |told: Diagnostic| match told.code.0 {
        NOT_RUN => Diagnostic {
            severity: Severity::Note,
            message: format!("`infer` does not train this: {}", told.message),
            ..told
        },
        _ => told,
    };
    found.into_iter().map(note).collect()
}

/// The plan of one bound; `over` are the kernels that it moves.
fn assemble(
    model: &Model,
    derivation: &BoundDerivation,
    settings: Settings,
    over: &[KernelId],
) -> Result<Plan, Vec<Diagnostic>> {
    let mut with_deviations = model.clone();
    let mut weights =
        weights::mean_fields(&mut with_deviations, model.bound(derivation.bound), derivation)?;
    let in_place = in_place::kernels(&mut with_deviations, derivation)?;
    in_place::written_kernels(&mut with_deviations, derivation);
    let bound = &called::bound(&mut with_deviations, derivation.bound);
    let model = &with_deviations;
    let mut draws = draw::draws(model, bound, (derivation, &settings), &in_place)?;
    let mut states = Vec::new();
    for index in [Index::Step(1), Index::First] {
        let on = (derivation, &settings);
        states.extend(draw::imagined(model, (bound, &in_place), on, index)?);
    }
    let outcomes = outcomes::outcomes(model, (bound, derivation), &states)?;
    draw::verify_before_start(model, bound, &draws, &states)?;
    let through = settings.estimator == DrawGradient::Pathwise
        && !derivation.gradient.reparameterised.is_empty();
    let score_of = |of: &StateDraw| score_at(derivation, of.draw.factor);
    let scored_outcomes = || outcomes.iter().filter_map(|of| score_at(derivation, of.factor));
    // where no draw is scored there is no credit to compare
    let last = draws.len() - 1;
    draws.extend(states.iter().filter_map(|of| Some((of.draw.clone(), Some(score_of(of)?)))));
    let of_step: Vec<&Draw> = draws.iter().map(|(draw, _)| draw).collect();
    let simulations = simulation::simulations(model, bound, &of_step, &weights)?;
    let imagines = states.iter().any(|of| !of.draw.once);
    let beside = match through && imagines {
        true => pathwise::scored(model, (bound, derivation), &simulations),
        false => Vec::new(),
    };
    let scored = draws.iter().any(|(_, score)| score.is_some())
        || scored_outcomes().next().is_some()
        || !beside.is_empty();
    let settings = if scored {
        settings
    } else {
        Settings { baseline: Baseline::None, options: OptionGradient::Sampled, ..settings }
    };
    let of_action = draws.iter().find_map(|(draw, _)| model.variable(draw.variable).environment);
    let environment = of_action.expect("draws: a step draws an action, which an environment takes");
    let mut unserved = 0;
    let baseline_reads = match &settings.baseline {
        Baseline::Network { arguments, .. } => {
            let span = model.setting("baseline").map_or(bound.span, |s| s.span);
            let mut reads = read::reads(model, arguments, span, "the baseline")?;
            // what is drawn once is read as it was drawn
            let once = |of| draws.iter().any(|(draw, _)| draw.once && draw.variable == of);
            for read in &mut reads {
                match *read {
                    Read::Variable(of) if once(of) => *read = Read::First(of),
                    _ => {}
                }
            }
            unserved = draw::unserved(model, &draws[..=last], &reads, span)?;
            reads
        }
        Baseline::None | Baseline::LeaveOneOut => Vec::new(),
    };
    let mut scalars = terms::Scalars { graph: model.graph.clone(), inputs: model.inputs.clone() };
    let planner = terms::Planner {
        model,
        bound,
        id: derivation.bound,
        draws: &draws,
        of_step: last + 1,
        sums: settings.options == OptionGradient::Enumerated,
        environment,
        states: &states,
        classifiers: &settings.ratios,
        in_place: &in_place,
    };
    let mut terms = terms::terms(&planner, derivation, &settings, &mut scalars)?;
    // behind all draws of a row: only that of the start is not one of a row
    let is_scored_once = |of: &&StateDraw| of.draw.once && score_of(of).is_some();
    let behind = draws.len() - states.iter().filter(is_scored_once).count();
    for term in &mut terms {
        let of_outcome = |score| planner.credit((derivation, score), term, &settings);
        let of_outcomes = scored_outcomes().map(of_outcome);
        let credit = of_outcomes.chain(pathwise::credit(&planner, derivation, &beside, term));
        let credit: Vec<Option<Credited>> = credit.collect();
        term.credit.splice(behind..behind, credit);
    }
    let scores = states.iter().map(|of| match score_of(of) {
        Some(_) if !of.outcomes.is_empty() => {
            let next = of.draw.density(model, Read::Step(of.draw.variable, 1));
            let with = of.outcomes.iter().map(|outcome| outcome.density(model));
            Ok(std::iter::once(next).chain(with).collect())
        }
        Some(score) => planner.factor_density(score.factor).map(|density| vec![density]),
        None => Ok(Vec::new()),
    });
    let scores: Vec<Vec<Density>> = scores.collect::<Result<_, _>>()?;
    let gains = gain::gains(&planner, &weights)?;
    let paths = match through && imagines {
        true => {
            let of_step: Vec<&Draw> = draws[..=last].iter().map(|(draw, _)| draw).collect();
            let on = pathwise::Imagined {
                model,
                bound,
                derivation,
                environment,
                draws: &of_step,
                states: &states,
                apart: &outcomes,
                simulations: &simulations,
                gains: &gains,
            };
            pathwise::pathwise(&on, &terms, &settings, &mut scalars)?
        }
        false => Pathwise::default(),
    };
    let moved: BTreeSet<ParameterId> =
        over.iter().flat_map(|&kernel| kernel_parameters(model, kernel)).collect();
    let of_head = |head: &Head| {
        head.layers()
            .into_iter()
            .flat_map(|layer| parameters_of(&model.network, layer))
            .collect::<BTreeSet<_>>()
    };
    let imagined = states.iter().flat_map(|of| {
        let with = of.outcomes.iter().map(|outcome| &outcome.head);
        std::iter::once(&of.draw.head).chain(with)
    });
    let imagined = imagined.chain(outcomes.iter().map(|outcome| &outcome.head));
    let drawn_by: BTreeSet<ParameterId> =
        draws.iter().map(|(draw, _)| &draw.head).chain(imagined).flat_map(of_head).collect();
    let mut used = drawn_by.clone();
    for term in &terms {
        match &term.quantity {
            Quantity::Kl { prior: Prior::Kernel { of: Version::Present, head, .. }, .. }
            | Quantity::Density { density: Density { of: Version::Present, head, .. }, .. }
            | Quantity::Ratio(Ratio { model: Some(Density { head, .. }), .. }) => {
                used.extend(of_head(head))
            }
            Quantity::Kl { .. }
            | Quantity::Density { .. }
            | Quantity::Ratio(_)
            | Quantity::Exponent(_)
            | Quantity::Entropy { .. }
            | Quantity::LogRatio { .. }
            | Quantity::WeightDivergence { .. }
            | Quantity::LogCount(_) => {}
        }
    }
    let mut trained: BTreeSet<ParameterId> = used.intersection(&moved).copied().collect();
    let moving = weights.iter().filter(|field| field.moves);
    trained.extend(
        moving
            .flat_map(|field| &field.parameters)
            .filter(|(mean, _)| used.contains(mean))
            .map(|(_, log_sd)| *log_sd),
    );
    let classified = ratio_parameters(model, &terms, &used)?;
    if let Some(error) = weights::beside_a_ratio(model, &weights, &terms) {
        return Err(vec![error]);
    }
    let read_by_baseline = match &settings.baseline {
        Baseline::Network { layer, .. } => parameters_of(&model.network, *layer),
        Baseline::None | Baseline::LeaveOneOut => BTreeSet::new(),
    };
    let mut elsewhere: BTreeSet<ParameterId> = drawn_by.union(&read_by_baseline).copied().collect();
    for term in &terms {
        if let Quantity::Kl { prior: Prior::Kernel { head, .. }, .. } = &term.quantity {
            elsewhere.extend(of_head(head));
        }
    }
    elsewhere.extend(simulation::parameters(model, &simulations));
    if settings.options == OptionGradient::Sampled {
        weights::note_mirrors(&mut weights, &elsewhere);
    }
    // what a step is drawn from, and where a divergence has a closed form what it is taken from
    let priors = terms.iter().filter_map(|term| match &term.quantity {
        Quantity::Kl { prior: Prior::Kernel { of: Version::Present, head, .. }, .. } => Some(head),
        _ => None,
    });
    if let Some(error) = conflicts::without_metric(model, &settings, &draws[..=last]) {
        return Err(vec![error]);
    }
    let heads = draws[..=last].iter().map(|(draw, _)| &draw.head).chain(priors);
    let measured: BTreeSet<ParameterId> = heads.flat_map(of_head).collect();
    if let Some(error) = weights::along_a_metric(model, &settings, &weights, &measured) {
        return Err(vec![error]);
    }
    let region: BTreeSet<ParameterId> = match settings.update {
        Update::TrustRegion { .. } => measured.intersection(&trained).copied().collect(),
        Update::Gradient | Update::Exact { .. } => BTreeSet::new(),
    };
    if let Update::TrustRegion { .. } = settings.update
        && region == trained
        && read_by_baseline.is_empty()
        && let Some(error) = conflicts::unused_beside_region(model, &settings)
    {
        return Err(vec![error]);
    }
    let fitted = read_by_baseline.difference(&used).copied().collect();
    let shared = !read_by_baseline.is_disjoint(&trained);
    if let Some(error) = conflicts::unshared(model, shared) {
        return Err(vec![error]);
    }
    if let (true, Update::TrustRegion { .. }, Some(setting)) =
        (shared, settings.update, model.setting("baseline"))
    {
        let message = "a trust region bounds how far the policy moves, and this baseline shares a \
                       `net` with it, which its fit would move";
        let error = Diagnostic::error("bad-setting", setting.span, message);
        return Err(vec![error.hint("give the baseline a network of its own")]);
    }
    let mut draws: Vec<Draw> = draws.into_iter().map(|(draw, _)| draw).collect();
    draws.truncate(last + 1);
    for (of, scores) in states.iter_mut().zip(scores) {
        of.scores = scores;
    }
    let moves_states =
        states.iter().any(StateDraw::is_scored) || outcomes.iter().any(|outcome| outcome.is_scored);
    let of_steps = |read: &Read| matches!(read, Read::Variable(_) | Read::Time);
    let beyond = draws.len() > 1
        || moves_states
        || terms
            .iter()
            .any(|term| matches!(term.quantity, Quantity::Density { .. } | Quantity::Ratio(_)))
        || !draws.iter().flat_map(|draw| &draw.reads).all(of_steps);
    if beyond && let Some(error) = conflicts::beyond_policies(model, &settings) {
        return Err(vec![error]);
    }
    let moves = |density: &Density| !of_head(&density.head).is_disjoint(&trained);
    let drawn = !weights.is_empty();
    if let (true, Some(error)) = (
        settings.refits > 0,
        conflicts::against_refits(model, (scored, drawn), &settings, (&terms, environment), moves),
    ) {
        return Err(vec![error]);
    }
    if let (OptionGradient::Enumerated, Some(setting)) =
        (settings.options, model.setting("options"))
        && let Some(message) = enumeration::against_enumeration(
            model,
            &settings,
            (&draws, &terms),
            (&states, &outcomes),
            (moves_states, unserved),
        )
        .or_else(|| {
            let on = (&scalars.graph, &scalars.inputs[..]);
            enumeration::against_exponents(model, on, &draws, &terms)
        })
    {
        return Err(vec![
            Diagnostic::error("bad-setting", setting.span, message)
                .hint("write `options = sampled`"),
        ]);
    }
    if settings.options == OptionGradient::Enumerated {
        let on = (&scalars.graph, &scalars.inputs[..]);
        enumeration::value_whole(model, on, &draws, &mut terms);
    }
    let schedules = schedules::schedules(model, &settings)?;
    let mut remarks = remarks(derivation, &settings, (scored, shared));
    remarks.extend(schedules::remarks(model, &schedules));
    let recorded: BTreeSet<DataId> = terms
        .iter()
        .filter_map(|term| match term.quantity {
            Quantity::Ratio(Ratio { of: RatioOf::Recorded(data), .. }) => Some(data),
            _ => None,
        })
        .collect();
    let records = recorded
        .into_iter()
        .map(|data| records::read(model, data).map(Arc::new))
        .collect::<Result<_, Diagnostic>>()
        .map_err(|error| vec![error])?;
    let judged = terms.iter().any(|term| {
        matches!(term.quantity, Quantity::Ratio(Ratio { of: RatioOf::Transition, .. }))
    });
    let log_transition = if judged { scalars.log_transition(model, environment) } else { None };
    remarks.extend(weights.iter().map(|field| weights::remark(model, field, &settings)));
    let terms::Scalars { graph, inputs } = scalars;
    let mut model = Model { inputs, ..model.clone() };
    let normalizers = if settings.normalize.observations {
        normalizers(&mut model, environment)?
    } else {
        Vec::new()
    };
    if let Some(error) = called::beside_normalized(&model, &normalizers) {
        return Err(vec![error]);
    }
    Ok(Plan {
        model: Arc::new(model),
        derivation: derivation.clone(),
        earlier: Vec::new(),
        watched: Vec::new(),
        number: 0,
        per_turn: 1,
        own_settings: Vec::new(),
        settings,
        environment,
        draws,
        states,
        outcomes,
        paths,
        simulations,
        baseline_reads,
        unserved,
        terms,
        records,
        log_transition,
        graph,
        trained,
        region,
        fitted,
        classified,
        shared,
        normalizers,
        weights,
        gains,
        schedules,
        remarks,
        environments: Environments::new(),
    })
}

/// The score of a factor of the posterior, where the bound takes it.
fn score_at(derivation: &BoundDerivation, factor: FactorRef) -> Option<&Score> {
    derivation.gradient.scores.iter().find(|score| score.factor == factor)
}

impl Plan {
    /// The draw of a step that no other one of it reads.
    pub fn last_draw(&self) -> &Draw {
        self.draws.last().expect("plan: a step draws an action")
    }

    /// What is made before the first step, whose reads of `t = 1` are of that step.
    pub fn made_first(&self, draw: &Draw) -> Draw {
        let is_once = |of| self.draws.iter().any(|draw| draw.variable == of && draw.once);
        let now = |read: &Read| match *read {
            Read::First(of) if !is_once(of) => Read::Variable(of),
            other => other,
        };
        Draw { reads: draw.reads.iter().map(now).collect(), ..draw.clone() }
    }

    /// The first state, where a learned kernel draws it.
    pub fn first_state(&self) -> Option<&StateDraw> {
        self.states.iter().find(|of| of.draw.once)
    }

    /// Which draws of the first step are made before the first state, which reads them.
    pub fn before_start(&self) -> Vec<usize> {
        let draws: Vec<&Draw> = self.draws.iter().collect();
        draw::before_start(&draws, &self.states).into_iter().collect()
    }

    /// The next state, where a learned model draws it in the environment's place.
    pub fn next_state(&self) -> Option<&StateDraw> {
        self.states.iter().find(|of| !of.draw.once)
    }

    /// It draws options, which no world takes.
    pub fn has_options(&self) -> bool {
        self.draws.iter().any(|draw| self.model.variable(draw.variable).role == Role::Option)
    }

    /// Which draw of a step is that of a variable.
    pub fn draw_of(&self, variable: VariableId) -> Option<usize> {
        self.draws.iter().rposition(|draw| draw.variable == variable)
    }

    /// All rewards and ends that kernels draw, with a state or apart.
    pub fn all_outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.states.iter().flat_map(|of| &of.outcomes).chain(&self.outcomes)
    }

    /// The gradient goes through draws.
    pub fn is_pathwise(&self) -> bool {
        !self.paths.followed.is_empty() || !self.paths.rewards.is_empty()
    }

    /// The gradient goes through what a factor of the posterior draws.
    pub fn follows(&self, factor: FactorRef) -> bool {
        let made = &self.derivation.gradient.reparameterised;
        self.is_pathwise() && made.iter().any(|draw| draw.factor == factor)
    }

    /// What keeps its score beside the draws of kernels.
    pub fn scored_beside(&self) -> &[Beside] {
        &self.paths.scored
    }

    /// The density ratios of the bound that classifiers estimate, each with the number of its
    /// term.
    pub fn ratios(&self) -> impl Iterator<Item = (usize, &Ratio)> {
        self.terms.iter().enumerate().filter_map(|(at, term)| match &term.quantity {
            Quantity::Ratio(ratio) => Some((at, ratio)),
            _ => None,
        })
    }

    /// What the draws of actions and options cost, `E_q[log q − log p]`, from the terms of the
    /// bound: nats, as they are. `None` where a density is known by samples alone.
    pub fn divergence_of(&self, terms: &[f64]) -> Option<f64> {
        let mut sum = 0.0;
        for (term, value) in self.terms.iter().zip(terms) {
            match &term.quantity {
                Quantity::Ratio(Ratio { of: RatioOf::Recorded(_), .. }) => return None,
                Quantity::Kl { .. }
                | Quantity::Entropy { .. }
                | Quantity::LogCount(_)
                | Quantity::LogRatio { .. }
                | Quantity::Density { compared_with: ComparedWith::Draw(_), .. } => sum -= value,
                // what is drawn, beside a prior in place
                Quantity::Density { density, compared_with: ComparedWith::Expression(_) }
                    if self.draws.iter().any(|draw| draw.kernel == density.kernel) =>
                {
                    sum -= value
                }
                Quantity::Density { .. }
                | Quantity::Exponent(_)
                | Quantity::Ratio(_)
                | Quantity::WeightDivergence { .. } => {}
            }
        }
        // no negative zero
        Some(sum + 0.0)
    }

    /// The names of the environment's rewards, where there are several: each has an expected return
    /// of its own.
    pub fn reward_names(&self) -> Vec<&str> {
        let rewards = &self.model.environment(self.environment).rewards;
        if rewards.len() > 1 {
            rewards.iter().map(|reward| reward.name.as_str()).collect()
        } else {
            Vec::new()
        }
    }

    /// Its samples tell the bound up to a constant: the entropy of what can only be sampled.
    pub fn lacks_a_constant(&self) -> bool {
        let mut all = 0..self.derivation.terms.len() as u32;
        // a policy that is rolled out for its transitions alone tells no bound
        !self.terms.is_empty() && all.any(|at| !self.terms.iter().any(|term| term.id.0 == at))
    }

    /// The baseline's fit moves what the bound's gradient moves, too.
    pub fn fit_moves_bound(&self) -> bool {
        self.shared && self.settings.baseline_weight > 0.0
    }

    /// A classifier of it needs real transitions.
    pub fn tells_transitions_apart(&self) -> bool {
        self.ratios().any(|(_, ratio)| ratio.of.needs_transitions())
    }

    /// It is rolled out in the environment itself.
    pub fn is_real(&self) -> bool {
        self.next_state().is_none() && self.outcomes.is_empty()
    }

    /// Gives all bounds of the run another seed.
    pub fn set_seed(&mut self, seed: u64) {
        self.settings.seed = seed;
        self.earlier.iter_mut().chain(&mut self.watched).for_each(|plan| plan.settings.seed = seed);
    }

    /// The plans of the bounds that are maximised, in the order in which a step takes them.
    pub fn turns(&self) -> impl Iterator<Item = &Plan> {
        self.earlier.iter().chain([self])
    }

    /// What the author may have meant otherwise, of all bounds, each once.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let records: Vec<&Arc<Records>> =
            self.turns().chain(&self.watched).flat_map(|plan| &plan.records).collect();
        let mut found: Vec<Diagnostic> = Vec::new();
        for told in records.into_iter().flat_map(|records| &records.warnings) {
            if !found.contains(told) {
                found.push(told.clone());
            }
        }
        found
    }

    /// The plan of one of the file's bounds, where it is maximised or evaluated.
    pub fn of_bound(&self, bound: BoundId) -> Option<&Plan> {
        self.turns()
            .chain(&self.watched)
            .find(|plan| plan.derivation.bound == bound && !plan.terms.is_empty())
    }

    /// With what runs the environments from outside.
    fn hosting(self, environments: &Environments) -> Plan {
        let all = |plans: Vec<Plan>| plans.into_iter().map(|plan| plan.hosting(environments));
        Plan {
            earlier: all(self.earlier).collect(),
            watched: all(self.watched).collect(),
            environments: environments.clone(),
            ..self
        }
    }

    /// The plan of the bound that training ends with: each schedule at its last value.
    pub fn settled(&self) -> Plan {
        Plan { schedules: Vec::new(), ..self.clone() }
    }
}

/// Parameters for the mean and the deviation of the state and the observation, where they are real.
fn normalizers(
    model: &mut Model,
    environment: EnvironmentId,
) -> Result<Vec<Normalizer>, Vec<Diagnostic>> {
    let environment = model.environment(environment);
    let mut found = Vec::new();
    for variable in [Some(environment.state), environment.observation].into_iter().flatten() {
        let (name, domain) =
            (model.variable(variable).name.clone(), &model.variable(variable).domain);
        let columns = domain.width();
        if !domain.components.iter().any(|component| matches!(component.kind, Kind::Real { .. })) {
            continue;
        }
        let mut parameter = |what: &str| {
            model.network.parameters.push(Parameter {
                name: format!("normalize.{name}.{what}"),
                rows: 1,
                columns,
                start: 0.0,
            });
            ParameterId(model.network.parameters.len() as u32 - 1)
        };
        found.push(Normalizer {
            variable,
            mean: parameter("mean"),
            log_deviation: parameter("log_deviation"),
        });
    }
    match (found.is_empty(), model.setting("normalize")) {
        (true, Some(setting)) => {
            let message = "there are no observations to normalise: no component of the state or \
                           observation is real";
            Err(vec![Diagnostic::error("bad-setting", setting.span, message)])
        }
        (true | false, _) => Ok(found),
    }
}

/// Those of the classifiers, which share none with what is trained or told apart.
fn ratio_parameters(
    model: &Model,
    terms: &[Term],
    used: &BTreeSet<ParameterId>,
) -> Result<BTreeSet<ParameterId>, Vec<Diagnostic>> {
    let ratios = terms.iter().filter_map(|term| {
        if let Quantity::Ratio(ratio) = &term.quantity { Some(ratio) } else { None }
    });
    let of = |ratio: &Ratio| parameters_of(&model.network, ratio.layer);
    let shared = ratios.clone().find(|ratio| !of(ratio).is_disjoint(used));
    match shared {
        Some(ratio) => {
            let error = Diagnostic::error(
                "bad-setting",
                ratio.span,
                "the classifier shares a `net` with the policy or the model",
            );
            Err(vec![
                error.hint("give it a network of its own: what it tells apart would move with it"),
            ])
        }
        None => Ok(ratios.flat_map(of).collect()),
    }
}

/// `rounds` move `previous`, so a model without it has none.
fn remarks(
    derivation: &BoundDerivation,
    settings: &Settings,
    (scored, shared): (bool, bool),
) -> Vec<String> {
    let mut remarks: Vec<String> =
        derivation.gradient.remarks.iter().map(|remark| remark.0.clone()).collect();
    if !settings.kl_to_go {
        remarks.push(
            "kl_to_go = false: a draw is not credited with later action terms; the \
                      gradient is biased"
                .into(),
        );
    }
    for chosen in settings.critics.iter().filter(|_| scored) {
        remarks.push(format!(
            "{} = {}: credit bootstraps from a learned value; the gradient is biased",
            chosen.key, chosen.value
        ));
    }
    if settings.discount < 1.0 {
        remarks.push(format!(
            "discount = {}: credit fades with time; the gradient is biased",
            settings.discount
        ));
    }
    if settings.refits > 0 {
        remarks.push(
            "refits: the model learns from kept transitions, of states that earlier policies met"
                .into(),
        );
    }
    if shared && settings.baseline_weight > 0.0 {
        let weight = settings.baseline_weight;
        remarks.push(format!(
            "the baseline shares a `net` with the policy: its fit moves it too, with weight \
             {weight}; the gradient is biased"
        ));
    }
    if settings.update == Update::Gradient && settings.reuses_batches() {
        remarks.push(
            "a batch is used again: the ratios of earlier draws are left out of a draw's weight; \
             biased as the policy leaves the one that drew"
                .into(),
        );
    }
    if let Some(clip) = settings.clip_ratio {
        remarks.push(format!(
            "clip_ratio = {clip}: draws whose ratio has left the range have no gradient; biased"
        ));
    }
    if settings.clip_norm.is_some() {
        remarks.push("clip_norm: long gradients are scaled down; their mean is biased".into());
    }
    remarks
}

/// The code of what the language has and `infer` does not train yet.
const NOT_RUN: &str = "not-run";

/// The refusal of a construct that is understood and not yet trained.
fn refused(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(NOT_RUN, span, message)
}
