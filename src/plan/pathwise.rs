//! Gradients through draws: a real draw is a function of what its kernel computes and of noise that
//! no parameter moves, so that the terms of the bound are differentiated in what was drawn (Kingma
//! and Welling 2014; Heess et al. 2015).

use super::draw::{Draw, Outcome};
use super::read::Read;
use super::settings::{Settings, Update};
use super::term::{Extent, Less, Prior, Quantity, Subject, Term};
use super::terms::Scalars;
use super::{Head, refused};
use crate::diagnostic::Diagnostic;
use crate::expr::{ExprId, InputId, Jump, Node};
use crate::model::{
    Bound, Dynamics, EnvironmentId, FormalVariable, Input, LayerId, LayerOp, Model, VariableId,
    layers_of,
};
use crate::source::Span;
use std::collections::BTreeSet;

/// How a bound is differentiated through its draws.
#[derive(Clone, Debug, Default)]
pub struct Pathwise {
    /// The gradient goes through the action, too, which then has no score.
    pub action: bool,
    /// How what is sampled moves with what was drawn, by term.
    pub slopes: Vec<Slope>,
    /// How the numbers of a prior in place do, by number.
    pub of_prior: Vec<Slope>,
}

/// The derivative of an expression in a component of a variable of its step.
#[derive(Clone, Debug)]
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
    pub environment: EnvironmentId,
    pub options: &'a [Draw],
    pub policy: &'a Draw,
    pub start: Option<&'a Draw>,
    pub transition: &'a Draw,
    pub outcomes: &'a [Outcome],
    /// Kernels imagine before they draw.
    pub simulates: bool,
    /// Exponents read information gains.
    pub gains: bool,
}

/// How the gradient goes through the draws of a bound; what it cannot go through is refused, all at
/// once.
pub(super) fn pathwise(
    on: &Imagined,
    terms: &[Term],
    settings: &Settings,
    scalars: &mut Scalars,
) -> Result<Pathwise, Vec<Diagnostic>> {
    let mut errors = of_draws(on);
    errors.extend(of_terms(on, terms));
    errors.extend(of_settings(on.model, settings));
    errors.extend(of_networks(on, terms));
    // any other keeps its score, as finite ones do
    let action = on.policy.head.is_reparameterised();
    let (mut slopes, mut of_prior) = (Vec::new(), Vec::new());
    for (at, term) in terms.iter().enumerate() {
        let (values, found) = match &term.quantity {
            Quantity::Exponent(value) | Quantity::LogRatio { log_prior: value } => {
                (std::slice::from_ref(value), &mut slopes)
            }
            Quantity::Density { less: Less::Expression(value), .. } => {
                (std::slice::from_ref(value), &mut slopes)
            }
            Quantity::Kl { prior: Prior::Expressions(numbers) } => (&numbers[..], &mut of_prior),
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
            match of_expression(on, (value, action), scalars) {
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
    if errors.is_empty() { Ok(Pathwise { action, slopes, of_prior }) } else { Err(errors) }
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
    for draw in on.start.into_iter().chain([on.transition]) {
        let not_normal;
        let what = match draw.head {
            Head::Implicit { .. } => continue,
            Head::Real { .. } if draw.head.is_normal() => continue,
            Head::Mixture { .. } | Head::Blend { .. } => {
                "a `Mixture`, whose draw jumps from part to part"
            }
            Head::Record(_) => "a record of which a part is no function of normal noise",
            Head::Real { family, .. } => {
                not_normal = format!("a `{}`, and states are moved by normal noise", family.name());
                &not_normal
            }
            Head::Categorical { .. } | Head::Bernoulli { .. } | Head::Sticky { .. } => {
                "drawn from finitely many values"
            }
        };
        refuse(span(draw), format!("`{}` is {what}: no gradient passes through it", name(draw)));
    }
    for outcome in on.outcomes {
        match (&outcome.of, &outcome.head) {
            (Subject::End, _) => refuse(
                span(on.transition),
                format!(
                    "`{}` draws the end of an episode: it comes or does not, and no gradient \
                     passes through that",
                    name(on.transition)
                ),
            ),
            (_, head) if head.is_normal() => {}
            (Subject::Reward(_) | Subject::Read(_), _) => refuse(
                span(on.transition),
                format!(
                    "`{}` draws a reward from another distribution than `Normal`: no gradient \
                     passes through it",
                    name(on.transition)
                ),
            ),
        }
    }
    if let Dynamics::Written { end: Some(_), .. } = environment.dynamics
        && !on.outcomes.iter().any(|outcome| outcome.of == Subject::End)
    {
        let message = format!(
            "episodes of `{}` end by a condition on the state: they end or do not, and no \
             gradient passes through that",
            environment.name
        );
        refuse(span(on.transition), message);
    }
    if let Some(option) = on.options.first() {
        let message = "this version takes no gradient through draws where there are options";
        errors.push(refused(span(option), message));
    }
    let fits =
        |read: &Read| matches!(read, Read::Time) || *read == Read::Variable(environment.state);
    if !on.policy.reads.iter().all(fits) {
        let message = format!(
            "this version takes a gradient through draws where `{}` reads the state and the time",
            name(on.policy)
        );
        errors.push(refused(span(on.policy), message));
    }
    let beside = [(on.simulates, "kernels that imagine"), (on.gains, "information gains")];
    for (_, what) in beside.into_iter().filter(|(there, _)| *there) {
        errors.push(refused(
            bound.span,
            format!("this version takes no gradient through draws beside {what}"),
        ));
    }
    errors
}

fn of_terms(on: &Imagined, terms: &[Term]) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for term in terms {
        let what = match &term.quantity {
            Quantity::Density { density, less: Less::Expression(_) }
                if density.kernel == on.transition.kernel =>
            {
                continue;
            }
            Quantity::Density { .. } => "is a density of what is read of whole trajectories",
            Quantity::WeightDivergence { .. } => "is of weights that are drawn",
            Quantity::Exponent(_) if term.extent == Extent::Trajectory => {
                "reads variables at other steps than its own"
            }
            Quantity::Kl { .. }
            | Quantity::Exponent(_)
            | Quantity::Entropy { .. }
            | Quantity::LogRatio { .. }
            | Quantity::Ratio(_)
            | Quantity::LogCount(_) => continue,
        };
        let message = format!(
            "`{}` {what}, beside which this version takes no gradient through draws",
            term.name
        );
        errors.push(refused(on.bound.span, message));
    }
    errors
}

/// Expressions that networks read: of what the gradient goes through, none may jump.
fn of_networks(on: &Imagined, terms: &[Term]) -> Vec<Diagnostic> {
    let model = on.model;
    let state = model.environment(on.environment).state;
    let is_followed = |variable: VariableId| {
        (variable == state || variable == on.policy.variable)
            && model.variable(variable).domain.finite.is_none()
    };
    let drawn =
        on.start.into_iter().chain([on.policy, on.transition]).flat_map(|draw| draw.head.layers());
    let beside = terms.iter().flat_map(|term| match &term.quantity {
        Quantity::Kl { prior: Prior::Kernel { head, .. } } => head.layers(),
        Quantity::Ratio(ratio) => vec![ratio.layer],
        _ => Vec::new(),
    });
    let roots =
        drawn.chain(on.outcomes.iter().flat_map(|outcome| outcome.head.layers())).chain(beside);
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
                && is_followed(variable)
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

fn of_settings(model: &Model, settings: &Settings) -> Vec<Diagnostic> {
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
    (value, action): (ExprId, bool),
    scalars: &mut Scalars,
) -> Result<Vec<(Input, ExprId)>, &'static str> {
    let environment = on.model.environment(on.environment);
    let told = |reward: u32| {
        on.outcomes.iter().any(|outcome| outcome.of == Subject::Reward(reward as usize))
    };
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
    let read = scalars.graph.inputs_of(&[value]);
    let observes = |id: &InputId| match scalars.inputs[id.0 as usize] {
        Input::Variable { variable, .. } => Some(variable) == environment.observation,
        Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => false,
    };
    if read.iter().any(observes) {
        return Err("reads the observation");
    }
    let is_drawn = |variable: VariableId| {
        variable == environment.state || action && variable == on.policy.variable
    };
    let moved: BTreeSet<InputId> = read
        .into_iter()
        .filter(|id| match scalars.inputs[id.0 as usize] {
            Input::Variable { variable, .. } => is_drawn(variable),
            Input::Reward { .. } => true,
            Input::Formal { .. } | Input::Gain(_) => false,
        })
        .collect();
    let found = scalars.graph.derivatives(value, &moved).map_err(words)?;
    Ok(found.into_iter().map(|(id, value)| (scalars.inputs[id.0 as usize], value)).collect())
}

fn words(jump: Jump) -> &'static str {
    match jump {
        Jump::Condition => "has a condition on what is drawn",
        Jump::Step => "has `floor`, `round`, `sign` or `mod` of what is drawn",
        Jump::Index => "has an array that what is drawn indexes",
    }
}
