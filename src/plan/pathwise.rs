//! Gradients through draws: a real draw is a function of what its kernel computes and of noise that
//! no parameter moves, so that the terms of the bound are differentiated in what was drawn (Kingma
//! and Welling 2014; Heess et al. 2015).

use super::draw::{Draw, Outcome, StateDraw};
use super::read::{Credited, Read};
use super::settings::{OptionGradient, Settings, Update};
use super::simulation::Simulation;
use super::term::{ComparedWith, Density, Extent, Prior, Quantity, Subject, Term};
use super::terms::{Planner, Scalars};
use super::{Head, prior, refused};
use crate::bound::{BoundDerivation, Score};
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, ExprId, InputId, Jump, Node};
use crate::family::{At, Family, Formula, Path};
use crate::model::{
    Bound, Component, Distribution, Domain, Dynamics, EnvironmentId, EnvironmentKernel,
    FormalVariable, Index, Input, KernelRef, Kind, LayerId, LayerOp, Model, Target, TargetVariable,
    VariableId, layers_of,
};
use crate::source::Span;
use std::collections::BTreeSet;

/// How a bound is differentiated through its draws.
#[derive(Clone, Debug, Default)]
pub struct Pathwise {
    /// The variables that are drawn as smooth functions of noise, or move with such: the gradient
    /// goes through them, and they have no score.
    pub followed: BTreeSet<VariableId>,
    /// How what is sampled moves with what was drawn, by term.
    pub slopes: Vec<Slope>,
    /// How the numbers of a prior in place do, by number.
    pub of_prior: Vec<Slope>,
    /// How the environment's observation does: each component where it is followed, else the
    /// logarithm of its probability.
    pub of_observation: Vec<Slope>,
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
    /// What kernels imagine before they draw.
    pub simulations: &'a [Simulation],
    /// Exponents read information gains.
    pub gains: bool,
}

impl Imagined<'_> {
    /// What draws the next state.
    fn transition(&self) -> &Draw {
        let next = self.states.iter().map(|of| &of.draw).find(|draw| !draw.once);
        next.expect("plan: a gradient goes through what a model imagines")
    }

    /// What is drawn with states.
    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.states.iter().flat_map(|of| &of.outcomes)
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
    let mut errors = of_draws(on);
    errors.extend(of_terms(on, terms));
    errors.extend(of_settings(on, settings));
    errors.extend(of_networks(on, terms, &followed));
    let (mut slopes, mut of_prior) = (Vec::new(), Vec::new());
    for (at, term) in terms.iter().enumerate() {
        let (values, found) = match &term.quantity {
            Quantity::Exponent(value) | Quantity::LogRatio { log_prior: value, .. } => {
                (std::slice::from_ref(value), &mut slopes)
            }
            Quantity::Density { compared_with: ComparedWith::Expression(value), .. } => {
                (std::slice::from_ref(value), &mut slopes)
            }
            Quantity::Kl { prior: Prior::Expressions(numbers), .. } => {
                (&numbers[..], &mut of_prior)
            }
            Quantity::Kl { .. }
            | Quantity::Entropy { .. }
            | Quantity::Density { .. }
            | Quantity::Ratio(_)
            | Quantity::WeightDivergence { .. }
            | Quantity::LogCount(_) => continue,
        };
        let of_prior = matches!(term.quantity, Quantity::Kl { .. });
        for (number, &value) in values.iter().enumerate() {
            let at = if of_prior { number } else { at };
            match of_expression(on, (value, &followed), scalars) {
                Ok(slopes) => {
                    found.extend(slopes.into_iter().map(|(of, value)| Slope { at, of, value }))
                }
                Err(what) => {
                    let told = Diagnostic::error(
                        "pathwise",
                        on.bound.span,
                        format!("no gradient passes through `{}`: it {what}", term.name),
                    );
                    errors.push(told.hint(
                        "write it without jumps (`min`, `max` and `abs` have none), or take the \
                         gradient by scores: `estimator = score`",
                    ));
                    break;
                }
            }
        }
    }
    let of_observation = observed(on, &followed, scalars).unwrap_or_else(|found| {
        errors.push(found);
        Vec::new()
    });
    let scored = scored(on.model, (on.bound, on.derivation), on.simulations);
    let state = on.model.environment(on.environment).state;
    let imagines = !on.simulations.is_empty() && followed.contains(&state);
    let found = Pathwise { followed, slopes, of_prior, of_observation, scored, imagines };
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
        let written = model.simulation(simulation.layer);
        written.is_some_and(|written| followed.contains(&written.state))
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
        told.hint("take the gradient by scores: `estimator = score`")
    };
    if environment.hidden {
        return Err(refuse(format!(
            "`{name}` is drawn by a hidden environment, of which nobody knows how it moves with \
             the state: no gradient passes through it"
        )));
    }
    let state = BTreeSet::from([environment.state]);
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
        let found = slopes(log, &state, scalars).map_err(jumps)?;
        return Ok(found.into_iter().map(|(of, value)| Slope { at: 0, of, value }).collect());
    }
    let mut found = Vec::new();
    for (at, moved) in made_of(distribution, domain).into_iter().enumerate() {
        for (of, value) in moved.slopes(drawn[at], &state, scalars).map_err(jumps)? {
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
        state: &BTreeSet<VariableId>,
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
    let name = |draw: &Draw| &model.kernel(draw.kernel).name;
    let span = |draw: &Draw| bound.factor(draw.factor).span;
    let mut errors = Vec::new();
    let mut refuse = |span: Span, message: String| {
        errors.push(
            Diagnostic::error("pathwise", span, message)
                .hint("take the gradient by scores: `estimator = score`"),
        );
    };
    for outcome in on.outcomes() {
        match (&outcome.of, &outcome.head) {
            (Subject::End, _) => refuse(
                span(on.transition()),
                format!(
                    "`{}` draws the end of an episode: it comes or does not, and no gradient \
                     passes through that",
                    name(on.transition())
                ),
            ),
            (_, Head::Real { family, .. }) if family.has_path() => {}
            (Subject::Reward(_) | Subject::Read(_), _) => refuse(
                span(on.transition()),
                format!(
                    "`{}` draws a reward that is no smooth function of noise: no gradient passes \
                     through it",
                    name(on.transition())
                ),
            ),
        }
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
    if on.gains {
        errors.push(refused(
            bound.span,
            "a gradient through draws does not pass through information gains yet: their slopes \
             are second derivatives of networks",
        ));
    }
    errors
}

/// What is valued when trajectories are whole, and has no slopes yet.
fn of_terms(on: &Imagined, terms: &[Term]) -> Vec<Diagnostic> {
    let what = |term: &Term| match &term.quantity {
        Quantity::Exponent(_) if term.extent == Extent::Trajectory => {
            Some("reads variables at other steps than its own")
        }
        Quantity::Density { density, compared_with: ComparedWith::Expression(_) }
            if density.kernel != on.transition().kernel =>
        {
            Some("compares what is drawn with a density that is written")
        }
        Quantity::Density {
            density: Density { head: Head::Record(_) | Head::Blend { .. }, .. },
            ..
        } => Some("is the density of a record, or of a mixture of several families"),
        _ => None,
    };
    let found = terms.iter().filter_map(|term| Some((term, what(term)?)));
    let told = found.map(|(term, what)| {
        let message = format!("`{}` {what}, whose slopes in draws are not taken yet", term.name);
        refused(on.bound.span, message).hint("take the gradient by scores: `estimator = score`")
    });
    told.collect()
}

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
        let LayerOp::Scalars(values) = &layer.op else { continue };
        let mut of = None;
        let mut moved = BTreeSet::new();
        for id in graph.inputs_of(values) {
            let Input::Formal { kernel, formal, .. } = model.inputs[id.0 as usize] else {
                continue;
            };
            let kernel = model.kernel(kernel);
            of = Some(kernel);
            if let Some(FormalVariable::Variable(variable)) =
                kernel.formals().nth(formal as usize).map(|formal| formal.variable)
                && followed.contains(&variable)
            {
                moved.insert(id);
            }
        }
        let jump = values.iter().find_map(|&value| graph.derivatives(value, &moved).err());
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
            errors.push(told.hint(
                "write it without jumps, or take the gradient by scores: `estimator = score`",
            ));
        }
    }
    errors
}

fn of_settings(on: &Imagined, settings: &Settings) -> Vec<Diagnostic> {
    let model = on.model;
    let mut errors = Vec::new();
    let mut refuse = |keys: &[&str], message: &str| {
        if let Some(setting) = keys.iter().find_map(|key| model.setting(key)) {
            errors.push(
                Diagnostic::error("bad-setting", setting.span, message)
                    .hint("leave it away, or write `estimator = score`"),
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
    (value, followed): (ExprId, &BTreeSet<VariableId>),
    scalars: &mut Scalars,
) -> Result<Vec<(Input, ExprId)>, &'static str> {
    let environment = on.model.environment(on.environment);
    let told =
        |reward: u32| on.outcomes().any(|outcome| outcome.of == Subject::Reward(reward as usize));
    let from = scalars.graph.clone();
    let rewards = |node: &Node| {
        let Node::Input(InputId(id)) = node else { return None };
        match scalars.inputs[*id as usize] {
            Input::Reward { reward, .. } if !told(reward) => {
                environment.rewards[reward as usize].value
            }
            _ => None,
        }
    };
    let value = from.copy_into(&[value], &mut scalars.graph, &mut |_, node| rewards(node))[0];
    slopes(value, followed, scalars).map_err(words)
}

/// The derivatives of an expression in what is followed and in rewards that a model draws.
fn slopes(
    value: ExprId,
    followed: &BTreeSet<VariableId>,
    scalars: &mut Scalars,
) -> Result<Vec<(Input, ExprId)>, Jump> {
    let moves = |id: &InputId| match scalars.inputs[id.0 as usize] {
        Input::Variable { variable, .. } => followed.contains(&variable),
        Input::Reward { .. } => true,
        Input::Formal { .. } | Input::Gain(_) => false,
    };
    let moved: BTreeSet<InputId> =
        scalars.graph.inputs_of(&[value]).into_iter().filter(moves).collect();
    let found = scalars.graph.derivatives(value, &moved)?;
    Ok(found.into_iter().map(|(id, value)| (scalars.inputs[id.0 as usize], value)).collect())
}

fn words(jump: Jump) -> &'static str {
    match jump {
        Jump::Condition => "has a condition on what is drawn",
        Jump::Step => "has `floor`, `round`, `sign` or `mod` of what is drawn",
        Jump::Index => "has an array that what is drawn indexes",
    }
}
