//! Gradients through draws: a real draw is a function of what its kernel computes and of noise that
//! no parameter moves, so that the terms of the bound are differentiated in what was drawn (Kingma
//! and Welling 2014; Heess et al. 2015).

use super::draw::{Draw, Outcome, StateDraw};
use super::read::{Credited, Read};
use super::settings::{OptionGradient, Settings, Update};
use super::simulation::Simulation;
use super::term::{ComparedWith, Density, Extent, Prior, Quantity, Subject, Term};
use super::terms::{Planner, Scalars};
use super::{Gain, Ratio, prior};
use crate::bound::{BoundDerivation, Reparameterised, Score};
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, ExprId, InputId, Jump, Node, UnaryOp};
use crate::family::{At, Family, Formula, Path};
use crate::model::{
    Activation, Bound, Component, Distribution, Domain, Dynamics, EnvironmentId, EnvironmentKernel,
    FormalVariable, GainId, Index, Input, KernelRef, Kind, LayerId, LayerOp, Model, Target,
    TargetVariable, VariableId, layers_of, parameters_of,
};
use crate::source::Span;
use std::collections::{BTreeMap, BTreeSet};

/// How a bound is differentiated through its draws.
#[derive(Clone, Debug, Default)]
pub struct Pathwise {
    /// The variables that are drawn as smooth functions of noise, or move with such: the gradient
    /// goes through them, and they have no score.
    pub followed: BTreeSet<VariableId>,
    /// The rewards, likewise.
    pub rewards: BTreeSet<usize>,
    /// How what is sampled moves with what was drawn, by term.
    pub slopes: Vec<Slope>,
    /// How the numbers of priors in place do, by the draw of the prior and its number.
    pub of_priors: Vec<(usize, Slope)>,
    /// How the environment's observation does: each component where it is followed, else the
    /// logarithm of its probability.
    pub of_observation: Vec<Slope>,
    /// How the environment's rewards do that kernels read or have the density of, by reward.
    pub of_rewards: Vec<Slope>,
    /// What keeps its score beside the draws of kernels: the credit of each stands behind theirs,
    /// in this order.
    pub scored: Vec<Beside>,
    /// Some kernel imagines from a state that is followed.
    pub imagines: bool,
}

/// Something of a step that has a score and is drawn by no factor of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// The environment's observation of a state that moves.
    Observation,
    /// The finite draws of rollouts that kernels imagine from such a state.
    Simulation,
}

/// The derivative of an expression in a component of a variable of its step.
#[derive(Clone, Copy, Debug)]
pub struct Slope {
    /// Which expression, by its place.
    pub at: usize,
    pub of: Input,
    pub value: ExprId,
}

/// What is drawn in a bound that is imagined.
#[derive(Clone, Copy)]
pub(super) struct Imagined<'a> {
    pub model: &'a Model,
    pub bound: &'a Bound,
    pub derivation: &'a BoundDerivation,
    pub environment: EnvironmentId,
    /// What a step draws, the action last.
    pub draws: &'a [&'a Draw],
    pub states: &'a [StateDraw],
    /// What is drawn apart from states.
    pub apart: &'a [Outcome],
    /// What kernels imagine before they draw.
    pub simulations: &'a [Simulation],
    /// What exponents read of what steps teach.
    pub gains: &'a [Gain],
}

/// What moves with noise in an expression.
#[derive(Clone, Copy)]
struct Moving<'a> {
    variables: &'a BTreeSet<VariableId>,
    /// Those that a kernel draws.
    rewards: &'a BTreeSet<usize>,
    gains: &'a BTreeSet<GainId>,
}

impl Imagined<'_> {
    /// What draws the next state.
    fn transition(&self) -> &Draw {
        let next = self.states.iter().map(|of| &of.draw).find(|draw| !draw.once);
        next.expect("plan: a gradient goes through what a model imagines")
    }

    /// The rewards and the end that kernels draw.
    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.states.iter().flat_map(|of| &of.outcomes).chain(self.apart)
    }

    /// The rewards that are drawn as smooth functions of noise.
    fn rewards(&self) -> BTreeSet<usize> {
        let made = &self.derivation.gradient.reparameterised;
        let followed = self.outcomes().filter_map(|outcome| match outcome.of {
            Subject::Reward(reward) if made.iter().any(|draw| draw.factor == outcome.factor) => {
                Some(reward)
            }
            Subject::Reward(_) | Subject::End | Subject::Read(_) => None,
        });
        followed.collect()
    }

    /// All that kernels draw.
    fn all(&self) -> impl Iterator<Item = &Draw> {
        self.draws.iter().copied().chain(self.states.iter().map(|of| &of.draw))
    }
}

/// The variable that a factor draws of one.
pub(super) fn variable_of(target: &Target) -> Option<VariableId> {
    match target {
        Target::Variable { variable: TargetVariable::Variable(variable), .. } => Some(*variable),
        Target::Variable { .. } | Target::Weights(_) => None,
    }
}

/// The variables that are drawn as smooth functions of noise.
fn followed(bound: &Bound, derivation: &BoundDerivation) -> BTreeSet<VariableId> {
    let made = derivation.gradient.reparameterised.iter();
    made.flat_map(|draw| &bound.factor(draw.factor).targets).filter_map(variable_of).collect()
}

/// How the gradient goes through the draws of a bound; what it cannot go through is refused, all at
/// once.
pub(super) fn pathwise(
    on: &Imagined,
    terms: &[Term],
    settings: &Settings,
    scalars: &mut Scalars,
) -> Result<Pathwise, Vec<Diagnostic>> {
    let followed = followed(on.bound, on.derivation);
    let gains: BTreeSet<GainId> =
        on.gains.iter().filter(|gain| moves(on, gain, &followed)).map(|gain| gain.id).collect();
    let rewards = on.rewards();
    let moving = Moving { variables: &followed, rewards: &rewards, gains: &gains };
    let mut errors = of_draws(on);
    errors.extend(of_settings(on, settings));
    errors.extend(of_networks(on, terms, &followed));
    errors.extend(of_gains(on, &gains));
    let (mut slopes, mut of_priors) = (Vec::new(), Vec::new());
    for (at, term) in terms.iter().enumerate() {
        let (values, draw) = match &term.quantity {
            Quantity::Exponent(value) | Quantity::LogRatio { log_prior: value, .. } => {
                (std::slice::from_ref(value), None)
            }
            Quantity::Density { compared_with: ComparedWith::Expression(value), .. } => {
                (std::slice::from_ref(value), None)
            }
            Quantity::Kl { prior: Prior::Expressions(numbers), draw } => {
                (&numbers[..], Some(*draw))
            }
            Quantity::Kl { .. }
            | Quantity::Entropy { .. }
            | Quantity::Density { .. }
            | Quantity::Ratio(_)
            | Quantity::WeightDivergence { .. }
            | Quantity::LogCount(_) => continue,
        };
        for (number, &value) in values.iter().enumerate() {
            match (of_expression(on, (value, term.extent, moving), scalars), draw) {
                (Ok(found), None) => {
                    slopes.extend(found.into_iter().map(|(of, value)| Slope { at, of, value }))
                }
                (Ok(found), Some(draw)) => {
                    let slope = |(of, value)| (draw, Slope { at: number, of, value });
                    of_priors.extend(found.into_iter().map(slope));
                }
                (Err(what), _) => {
                    let told = Diagnostic::error(
                        "pathwise",
                        on.bound.span,
                        format!("no gradient passes through `{}`: it {what}", term.name),
                    );
                    errors.push(told.hint(format!("{WITHOUT_JUMPS}, or {}", by_scores(on))));
                    break;
                }
            }
        }
    }
    let of_observation = observed(on, &followed, scalars).unwrap_or_else(|found| {
        errors.push(found);
        Vec::new()
    });
    let of_rewards = rewarded(on, (terms, moving), scalars).unwrap_or_else(|found| {
        errors.extend(found);
        Vec::new()
    });
    let scored = scored(on.model, (on.bound, on.derivation), on.simulations);
    let state = on.model.environment(on.environment).state;
    let starts = on.simulations.iter().filter_map(|simulation| simulation.start.variable());
    let imagines = starts.chain([state]).any(|of| followed.contains(&of));
    let imagines = !on.simulations.is_empty() && imagines;
    let found = Pathwise {
        followed,
        rewards,
        slopes,
        of_priors,
        of_observation,
        of_rewards,
        scored,
        imagines,
    };
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// The credit of a term to each thing that is [scored beside](Beside) the draws of kernels.
pub(super) fn credit(
    planner: &Planner,
    derivation: &BoundDerivation,
    beside: &[Beside],
    term: &Term,
) -> Vec<Option<Credited>> {
    let kind = &derivation.terms[term.id.0 as usize].kind;
    let of = |beside: &Beside| match beside {
        Beside::Observation => {
            let score = scored_observation(planner.bound, derivation)?;
            let credit = score.credit.iter().find(|credit| credit.term == term.id)?;
            Some(planner.in_steps(Credited::of(credit), kind, score.factor))
        }
        // it comes before all that its step draws: whatever is given from there on may move with it
        Beside::Simulation => Some(term.density().map_or(Credited::From(0), ahead)),
    };
    beside.iter().map(of).collect()
}

/// The draws of which step a density may read: those from so many steps ahead of its own.
fn ahead(density: &Density) -> Credited {
    let target = match density.target {
        Subject::Read(read) => Some(read),
        Subject::Reward(_) | Subject::End => None,
    };
    let of = |read: &Read| match *read {
        Read::Variable(_)
        | Read::Time
        | Read::First(_)
        | Read::Past(_, ..=0)
        | Read::Absent
        | Read::Reward(_, Index::Step(..=0) | Index::First) => Some(0),
        Read::Reward(_, Index::Step(offset)) => Some(offset),
        Read::Step(_, offset) | Read::Past(_, offset) | Read::Window(_, _, offset) => {
            Some(offset.max(0))
        }
        Read::Last(..)
        | Read::Future(..)
        | Read::Whole(..)
        | Read::Between(..)
        | Read::Tail(..)
        | Read::Reward(_, Index::Last(_)) => None,
    };
    let most = density
        .reads
        .iter()
        .chain(&target)
        .map(of)
        .try_fold(0, |most, ahead| Some(most.max(ahead?)));
    most.map_or(Credited::All, |most| Credited::From(-most))
}

/// What keeps its score beside the draws of kernels, where the gradient goes through some.
pub(super) fn scored(
    model: &Model,
    (bound, derivation): (&Bound, &BoundDerivation),
    simulations: &[Simulation],
) -> Vec<Beside> {
    let followed = followed(bound, derivation);
    let observation = scored_observation(bound, derivation).map(|_| Beside::Observation);
    let is_finite =
        |simulation: &Simulation| !simulation.world.is_smooth() || !simulation.policy.is_smooth();
    let reads_moved = |simulation: &&Simulation| {
        let written = model.simulation(simulation.layer).map(|written| written.state);
        let mut read = written.into_iter().chain(simulation.start.variable());
        read.any(|of| followed.contains(&of))
    };
    let imagined = simulations.iter().filter(reads_moved).any(is_finite);
    observation.into_iter().chain(imagined.then_some(Beside::Simulation)).collect()
}

/// The factor of the environment's observation, where it keeps its score.
fn scored_observation<'d>(bound: &Bound, derivation: &'d BoundDerivation) -> Option<&'d Score> {
    derivation.gradient.scores.iter().find(|score| {
        matches!(
            bound.factor(score.factor).kernel,
            KernelRef::Environment(_, EnvironmentKernel::Observation)
        )
    })
}

/// How the environment's observation moves with the state that it is one of.
fn observed(
    on: &Imagined,
    followed: &BTreeSet<VariableId>,
    scalars: &mut Scalars,
) -> Result<Vec<Slope>, Diagnostic> {
    let environment = on.model.environment(on.environment);
    let (Some(variable), Dynamics::Written { observation: Some(distribution), places, .. }) =
        (environment.observation, &environment.dynamics)
    else {
        return Ok(Vec::new());
    };
    let is_followed = followed.contains(&variable);
    if !is_followed && scored_observation(on.bound, on.derivation).is_none() {
        return Ok(Vec::new());
    }
    let name = &on.model.variable(variable).name;
    let refuse = |what: String| {
        let told = Diagnostic::error("pathwise", places.observation.unwrap_or(on.bound.span), what);
        told.hint(by_scores(on))
    };
    if environment.hidden {
        return Err(refuse(format!(
            "`{name}` is drawn by a hidden environment, of which nobody knows how it moves with \
             the state: no gradient passes through it"
        )));
    }
    let state = BTreeSet::from([environment.state]);
    let state = Moving { variables: &state, rewards: &BTreeSet::new(), gains: &BTreeSet::new() };
    let domain = &on.model.variable(variable).domain;
    let index = Index::Step(0);
    let drawn = |scalars: &mut Scalars| -> Vec<ExprId> {
        let component = |component| Input::Variable { variable, component, index };
        (0..domain.width() as u32).map(|at| scalars.input(component(at))).collect()
    };
    let jumps = |jump: Jump| {
        refuse(format!("no gradient passes through `{name}`: its distribution {}", words(jump)))
    };
    let drawn = drawn(scalars);
    if !is_followed {
        let log = prior::log_density(&mut scalars.graph, distribution, domain, &drawn);
        let log = log.map_err(|what| {
            refuse(format!(
                "`{name}` is {what}, whose probability is no expression of the state: no gradient \
                 passes through it"
            ))
        })?;
        let found = slopes(log, state, scalars).map_err(jumps)?;
        return Ok(found.into_iter().map(|(of, value)| Slope { at: 0, of, value }).collect());
    }
    let mut found = Vec::new();
    for (at, moved) in made_of(distribution, domain).into_iter().enumerate() {
        for (of, value) in moved.slopes(drawn[at], state, scalars).map_err(jumps)? {
            found.push(Slope { at, of, value });
        }
    }
    Ok(found)
}

/// A component of what a distribution draws as a smooth function of noise.
struct Made<'a> {
    family: Family,
    arguments: Vec<ExprId>,
    component: &'a Component,
}

/// Those of a distribution that [`NoiseForm::of`] says to be such.
fn made_of<'a>(distribution: &Distribution<Vec<ExprId>>, domain: &'a Domain) -> Vec<Made<'a>> {
    let mut made = Vec::new();
    collect_made(distribution, &domain.components, &mut made);
    made
}

fn collect_made<'a>(
    distribution: &Distribution<Vec<ExprId>>,
    components: &'a [Component],
    into: &mut Vec<Made<'a>>,
) {
    match distribution {
        Distribution::Real { family, arguments } => {
            // of a field of a record these are its own
            let own = &components[into.len()..][..arguments[0].len()];
            for (at, component) in own.iter().enumerate() {
                let arguments = arguments.iter().map(|of| of[at]).collect();
                into.push(Made { family: *family, arguments, component });
            }
        }
        Distribution::Record(parts) => {
            parts.iter().for_each(|part| collect_made(part, components, into))
        }
        _ => unreachable!("derive: an observation that is followed is a smooth function of noise"),
    }
}

impl Made<'_> {
    /// `Σ ∂x/∂argument · ∂argument/∂state`, by component of the state.
    fn slopes(
        &self,
        x: ExprId,
        state: Moving,
        scalars: &mut Scalars,
    ) -> Result<Vec<(Input, ExprId)>, Jump> {
        let Kind::Real { lo, hi } = self.component.kind else {
            unreachable!("check: a density is over real numbers")
        };
        let bounds = (scalars.graph.constant(lo), scalars.graph.constant(hi));
        let at = At { arguments: &self.arguments, bounds };
        let Some(Path::Formula(path)) = self.family.path() else {
            unreachable!("derive: what is followed says by a formula how it moves")
        };
        let path = path(&mut Formula::new(&mut scalars.graph), x, &at);
        let mut sums: Vec<(Input, ExprId)> = Vec::new();
        for (own, &argument) in path.into_iter().zip(&self.arguments) {
            for (of, slope) in slopes(argument, state, scalars)? {
                let part = scalars.graph.binary(BinaryOp::Multiply, own, slope);
                match sums.iter_mut().find(|(known, _)| *known == of) {
                    Some((_, sum)) => {
                        *sum = scalars.graph.binary(BinaryOp::Add, *sum, part);
                    }
                    None => sums.push((of, part)),
                }
            }
        }
        Ok(sums)
    }
}

fn of_draws(on: &Imagined) -> Vec<Diagnostic> {
    let Imagined { model, bound, .. } = *on;
    let environment = model.environment(on.environment);
    let span = |draw: &Draw| bound.factor(draw.factor).span;
    let mut errors = Vec::new();
    let mut refuse = |span: Span, message: String| {
        errors.push(Diagnostic::error("pathwise", span, message).hint(by_scores(on)));
    };
    for outcome in on.outcomes().filter(|outcome| outcome.of == Subject::End) {
        refuse(
            bound.factor(outcome.factor).span,
            format!(
                "`{}` draws the end of an episode: it comes or does not, and no gradient passes \
                 through that",
                model.kernel(outcome.kernel).name
            ),
        );
    }
    if let Dynamics::Written { end: Some(_), .. } = environment.dynamics
        && !on.outcomes().any(|outcome| outcome.of == Subject::End)
    {
        let message = format!(
            "episodes of `{}` end by a condition on the state: they end or do not, and no \
             gradient passes through that",
            environment.name
        );
        refuse(span(on.transition()), message);
    }
    errors
}

/// Whether a gain moves with noise: it reads, or is of, what is drawn smoothly or moves with such.
fn moves(on: &Imagined, gain: &Gain, followed: &BTreeSet<VariableId>) -> bool {
    let reads = |read: &Read| match *read {
        Read::Variable(of)
        | Read::Step(of, _)
        | Read::First(of)
        | Read::Last(of, _)
        | Read::Window(of, ..)
        | Read::Past(of, _)
        | Read::Future(of, _)
        | Read::Whole(of, _)
        | Read::Between(of, ..)
        | Read::Tail(of, _) => followed.contains(&of) && !on.model.variable(of).domain.is_finite(),
        Read::Reward(..) => true,
        Read::Time | Read::Absent => false,
    };
    gain.densities.iter().any(|density| {
        density.reads.iter().any(reads)
            || match &density.target {
                Subject::Read(read) => reads(read),
                Subject::Reward(_) => true,
                Subject::End => false,
            }
    })
}

/// A gain is made of how a log-density moves with the weights, which jumps where a network of them
/// has an edge.
fn of_gains(on: &Imagined, moved: &BTreeSet<GainId>) -> Vec<Diagnostic> {
    let network = &on.model.network;
    let has_edge = |layer: &LayerId| {
        !parameters_of(network, *layer).is_empty()
            && match &network.layer(*layer).op {
                LayerOp::Mlp { activation, last, .. } => {
                    *activation == Activation::Relu || *last == Some(Activation::Relu)
                }
                LayerOp::Unary(op, _) => {
                    use UnaryOp::{Abs, Floor, Round, Sign};
                    matches!(op, Abs | Floor | Round | Sign)
                }
                LayerOp::Binary(op, ..) => {
                    matches!(op, BinaryOp::Min | BinaryOp::Max | BinaryOp::Modulo)
                }
                LayerOp::Formal { .. }
                | LayerOp::Scalars(_)
                | LayerOp::Concat(_)
                | LayerOp::Table { .. }
                | LayerOp::Linear { .. }
                | LayerOp::Per { .. }
                | LayerOp::Gru { .. }
                | LayerOp::Noise
                | LayerOp::Simulate(_)
                | LayerOp::Sum(_)
                | LayerOp::Mixture(_) => false,
            }
    };
    let found = on.gains.iter().filter(|gain| moved.contains(&gain.id)).filter_map(|gain| {
        let roots = gain.densities.iter().flat_map(|density| density.head.layers());
        let layers: BTreeSet<LayerId> = roots.flat_map(|root| layers_of(network, root)).collect();
        let kernel = on.model.kernel(gain.densities[0].kernel);
        layers.iter().any(has_edge).then(|| {
            let message = format!(
                "no gradient passes through the gain of `{}`: the slopes in its weights, which a \
                 gain is made of, jump where one of its units has an edge",
                kernel.name
            );
            let told = Diagnostic::error("pathwise", on.model.gain(gain.id).span, message);
            told.hint(
                "give it smooth units: `activation = tanh`, `softplus` in the place of `max`, \
                 `min` and `abs` of layers",
            )
        })
    });
    found.collect()
}

/// How the environment's own rewards move, where kernels read them or have their density.
fn rewarded(
    on: &Imagined,
    (terms, moving): (&[Term], Moving),
    scalars: &mut Scalars,
) -> Result<Vec<Slope>, Vec<Diagnostic>> {
    let of_terms = terms.iter().filter_map(Term::density);
    let of_priors = terms.iter().filter_map(|term| match &term.quantity {
        Quantity::Ratio(Ratio { reads, .. })
        | Quantity::Kl { prior: Prior::Kernel { reads, .. }, .. } => Some(reads),
        _ => None,
    });
    let of_gains = on.gains.iter().flat_map(|gain| &gain.densities);
    let mut read: BTreeSet<usize> = BTreeSet::new();
    for density in of_terms.chain(of_gains) {
        if let Subject::Reward(reward) = density.target {
            read.insert(reward);
        }
        read.extend(density.reads.iter().filter_map(reward_of));
    }
    let of_draws = on.all().map(|draw| &draw.reads);
    let of_outcomes = on.outcomes().map(|outcome| &outcome.reads);
    let of_factors = of_priors.chain(of_draws).chain(of_outcomes);
    read.extend(of_factors.flatten().filter_map(reward_of));
    let environment = on.model.environment(on.environment);
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for at in read {
        let is_told = on.outcomes().any(|outcome| outcome.of == Subject::Reward(at));
        let Some(value) = environment.rewards[at].value.filter(|_| !is_told) else { continue };
        match slopes(value, moving, scalars) {
            Ok(slopes) => {
                found.extend(slopes.into_iter().map(|(of, value)| Slope { at, of, value }))
            }
            Err(jump) => {
                let (name, what) = (&environment.rewards[at].name, words(jump));
                let message = format!("no gradient passes through the reward `{name}`: it {what}");
                let told = Diagnostic::error("pathwise", on.bound.span, message);
                errors.push(told.hint(format!("{WITHOUT_JUMPS}, or {}", by_scores(on))));
            }
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

fn reward_of(read: &Read) -> Option<usize> {
    match *read {
        Read::Reward(reward, _) => Some(reward),
        _ => None,
    }
}

/// How to do without draws that are followed.
fn by_scores(on: &Imagined) -> String {
    let drawn = on.derivation.gradient.reparameterised.iter();
    let named: Vec<String> = drawn
        .filter(|draw| !draw.form.has_density())
        .filter_map(|draw| Some(format!("`{}`", on.model.kernel(draw.kernel?).name)))
        .collect();
    let told = on.outcomes().any(|outcome| !matches!(outcome.of, Subject::Read(_)));
    let is_moved = |draw: &&Reparameterised| draw.factor == on.transition().factor;
    match named.is_empty() {
        // what has no density has no score
        false => format!(
            "give {} a density, a `Normal` or a `Mixture`, and take the gradient by scores: \
             `estimator = score`",
            named.join(" and ")
        ),
        true if told && on.derivation.gradient.reparameterised.iter().any(|d| is_moved(&d)) => {
            format!(
                "let another bound teach `{}`, `maximize BOUND over` the other kernels, and take \
                 the gradient by scores: `estimator = score`",
                on.model.kernel(on.transition().kernel).name
            )
        }
        true => "take the gradient by scores: `estimator = score`".into(),
    }
}

const WITHOUT_JUMPS: &str = "write it without jumps (`min`, `max` and `abs` have none)";

/// Expressions that networks read: of what the gradient goes through, none may jump.
fn of_networks(on: &Imagined, terms: &[Term], followed: &BTreeSet<VariableId>) -> Vec<Diagnostic> {
    let model = on.model;
    let beside = terms.iter().flat_map(|term| match &term.quantity {
        Quantity::Kl { prior: Prior::Kernel { head, .. }, .. }
        | Quantity::Density { density: Density { head, .. }, .. } => head.layers(),
        Quantity::Ratio(ratio) => vec![ratio.layer],
        _ => Vec::new(),
    });
    let roots = on
        .all()
        .flat_map(|draw| draw.head.layers())
        .chain(on.outcomes().flat_map(|outcome| outcome.head.layers()))
        .chain(beside)
        .chain(on.simulations.iter().flat_map(|simulation| {
            [simulation.world.layers(), simulation.policy.layers()].concat()
        }));
    let layers: BTreeSet<LayerId> =
        roots.flat_map(|root| layers_of(&model.network, root)).collect();
    let mut errors = Vec::new();
    let mut graph = model.graph.clone();
    for layer in layers.into_iter().map(|layer| model.network.layer(layer)) {
        let (values, counted) = expressions(model, &layer.op);
        let mut of = None;
        let mut moved = BTreeSet::new();
        for id in graph.inputs_of(&[&values[..], &counted].concat()) {
            let Input::Formal { kernel, formal, .. } = model.inputs[id.0 as usize] else {
                continue;
            };
            let kernel = model.kernel(kernel);
            of = Some(kernel);
            let moves = match kernel.formals().nth(formal as usize).map(|formal| formal.variable) {
                Some(FormalVariable::Variable(variable)) => followed.contains(&variable),
                Some(FormalVariable::Reward(..)) => true,
                Some(FormalVariable::End | FormalVariable::Time) | None => false,
            };
            if moves {
                moved.insert(id);
            }
        }
        let jump = values.iter().find_map(|&value| graph.derivatives(value, &moved).err());
        let counts = graph.inputs_of(&counted).iter().any(|id| moved.contains(id));
        let jump = jump.or(counts.then_some(Jump::Index));
        if let (Some(jump), Some(kernel)) = (jump, of) {
            let span = if layer.span.end > layer.span.start { layer.span } else { kernel.span };
            let what = words(jump);
            let told = Diagnostic::error(
                "pathwise",
                span,
                format!(
                    "no gradient passes through `{}`: what its network reads {what}",
                    kernel.name
                ),
            );
            errors.push(told.hint(format!("write it without jumps, or {}", by_scores(on))));
        }
    }
    errors
}

/// The expressions that a layer reads: those of real numbers, and those of what is counted, which
/// move in steps.
fn expressions(model: &Model, op: &LayerOp) -> (Vec<ExprId>, Vec<ExprId>) {
    let (kernel, formals) = match op {
        LayerOp::Scalars(values) => return (values.clone(), Vec::new()),
        LayerOp::Formal { kernel, formal } | LayerOp::Per { kernel, formal, .. } => {
            (*kernel, std::slice::from_ref(formal))
        }
        LayerOp::Table { kernel, formals, .. } => (*kernel, &formals[..]),
        _ => return Default::default(),
    };
    let computed = formals.iter().filter_map(|&formal| model.kernel(kernel).computed(formal));
    let components = computed.flat_map(|computed| {
        let real = match computed.formal.variable {
            FormalVariable::Variable(variable) => {
                let components = model.variable(variable).domain.components.iter();
                components.map(|of| matches!(of.kind, Kind::Real { .. })).collect()
            }
            FormalVariable::Reward(..) => vec![true],
            FormalVariable::End | FormalVariable::Time => vec![false],
        };
        computed.values.iter().copied().zip(real)
    });
    let (real, counted): (Vec<_>, Vec<_>) = components.partition(|(_, real)| *real);
    let values = |of: Vec<(ExprId, bool)>| of.into_iter().map(|(value, _)| value).collect();
    (values(real), values(counted))
}

fn of_settings(on: &Imagined, settings: &Settings) -> Vec<Diagnostic> {
    let model = on.model;
    let mut errors = Vec::new();
    let mut refuse = |keys: &[&str], message: &str| {
        if let Some(setting) = keys.iter().find_map(|key| model.setting(key)) {
            errors.push(
                Diagnostic::error("bad-setting", setting.span, message)
                    .hint(format!("leave it away, or {}", by_scores(on))),
            );
        }
    };
    if settings.reuses_batches() {
        refuse(
            &["epochs", "minibatch"],
            "a gradient through draws is that of the parameters that drew them: each batch gives \
             one",
        );
    }
    if settings.update != Update::Gradient {
        refuse(&["update"], "a gradient through draws goes with optimiser steps");
    }
    if settings.options == OptionGradient::Enumerated && on.draws.len() > 1 {
        refuse(
            &["options"],
            "where options are summed out, no one of them is drawn that what comes later could \
             move with: a gradient through draws is that of what was drawn",
        );
    }
    if !settings.kl_to_go {
        refuse(
            &["kl_to_go"],
            "a gradient through draws has the later terms of the action in it, and `kl_to_go = \
             false` leaves them out",
        );
    }
    errors
}

/// The derivatives of an expression in what is drawn; rewards that the environment computes stand
/// for their expressions.
fn of_expression(
    on: &Imagined,
    (value, extent, moving): (ExprId, Extent, Moving),
    scalars: &mut Scalars,
) -> Result<Vec<(Input, ExprId)>, &'static str> {
    let environment = on.model.environment(on.environment);
    let told =
        |reward: u32| on.outcomes().any(|outcome| outcome.of == Subject::Reward(reward as usize));
    let mut written: BTreeMap<InputId, ExprId> = BTreeMap::new();
    for id in scalars.graph.inputs_of(&[value]) {
        if let Input::Reward { reward, index, .. } = scalars.inputs[id.0 as usize]
            && !told(reward)
            && let Some(own) = environment.rewards[reward as usize].value
        {
            // what reads its own step alone is one of that step, however it names it
            let own = match extent {
                Extent::Step => own,
                Extent::Trajectory => at_index(on.model, (own, index), scalars),
            };
            written.insert(id, own);
        }
    }
    let from = scalars.graph.clone();
    let rewards = |node: &Node| match node {
        Node::Input(id) => written.get(id).copied(),
        _ => None,
    };
    let value = from.copy_into(&[value], &mut scalars.graph, &mut |_, node| rewards(node))[0];
    slopes_of(value, moving, (extent, scalars)).map_err(words)
}

/// An expression of the step `t`, as it reads at the step of `index`.
fn at_index(model: &Model, (value, index): (ExprId, Index), scalars: &mut Scalars) -> ExprId {
    let horizon = model.horizon.value as i32;
    let later = |by: i32| match index {
        Index::First if by == 0 => Index::First,
        Index::First => Index::Last(1 + by - horizon),
        Index::Step(offset) => Index::Step(offset + by),
        Index::Last(offset) => Index::Last(offset + by),
    };
    let mut moved: BTreeMap<InputId, ExprId> = BTreeMap::new();
    for id in scalars.graph.inputs_of(&[value]) {
        if let Input::Variable { variable, component, index: Index::Step(by) } =
            scalars.inputs[id.0 as usize]
        {
            let input = Input::Variable { variable, component, index: later(by) };
            moved.insert(id, scalars.input(input));
        }
    }
    let from = scalars.graph.clone();
    let inputs = |node: &Node| match node {
        Node::Input(id) => moved.get(id).copied(),
        _ => None,
    };
    from.copy_into(&[value], &mut scalars.graph, &mut |_, node| inputs(node))[0]
}

/// The derivatives of an expression in what is followed, in rewards that a model draws and in gains
/// that move.
fn slopes(
    value: ExprId,
    moving: Moving,
    scalars: &mut Scalars,
) -> Result<Vec<(Input, ExprId)>, Jump> {
    slopes_of(value, moving, (Extent::Step, scalars))
}

fn slopes_of(
    value: ExprId,
    moving: Moving,
    (extent, scalars): (Extent, &mut Scalars),
) -> Result<Vec<(Input, ExprId)>, Jump> {
    let moves = |id: &InputId| match scalars.inputs[id.0 as usize] {
        Input::Variable { variable, .. } => moving.variables.contains(&variable),
        // what is not followed keeps its score
        Input::Reward { reward, .. } => moving.rewards.contains(&(reward as usize)),
        Input::Gain(id) => moving.gains.contains(&id),
        Input::Formal { .. } => false,
    };
    let moved: BTreeSet<InputId> =
        scalars.graph.inputs_of(&[value]).into_iter().filter(moves).collect();
    let found = match extent {
        Extent::Step => scalars.graph.derivatives(value, &moved)?,
        // what a condition on the time leaves out is not there
        Extent::Trajectory => scalars.graph.derivatives_of_taken(value, &moved)?,
    };
    Ok(found.into_iter().map(|(id, value)| (scalars.inputs[id.0 as usize], value)).collect())
}

fn words(jump: Jump) -> &'static str {
    match jump {
        Jump::Condition => "has a condition on what is drawn",
        Jump::Step => "has `floor`, `round`, `sign` or `mod` of what is drawn",
        Jump::Index => "has an array that what is drawn indexes",
    }
}
