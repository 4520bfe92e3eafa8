//! What a step of the posterior draws from learned kernels: options first, then the action; and
//! what a kernel reads there.

use super::in_place::InPlace;
use super::parts::{parts, predicts};
use super::read::{Read, Version, another_time, reads};
use super::settings::{DrawGradient, Settings};
use super::term::{Density, Subject};
use super::{Head, head, refused};
use crate::bound::{BoundDerivation, Score};
use crate::diagnostic::Diagnostic;
use crate::model::{
    Block, Bound, Distribution, Dynamics, Factor, FactorRef, Index, KernelId, KernelRef, Model,
    Role, Target, TargetVariable, Value, VariableId,
};
use crate::source::Span;
use std::collections::BTreeSet;

/// A factor of the posterior whose draws are scored.
#[derive(Clone, Debug)]
pub struct Draw {
    pub factor: FactorRef,
    pub kernel: KernelId,
    /// What it draws.
    pub variable: VariableId,
    /// Drawn at `t = 1` and kept, else at every live `t`.
    pub once: bool,
    /// The first step that draws it, counted from 1: at 1, or at 2 where another draw of the same
    /// variable, made once, has the first.
    pub from: usize,
    pub head: Head,
    /// What the kernel's givens read at `t`, in their order.
    pub reads: Vec<Read>,
}

impl Draw {
    /// The density of its kernel at `target`.
    pub fn density(&self, model: &Model, target: Read) -> Density {
        Density {
            of: Version::Present,
            kernel: self.kernel,
            head: self.head.clone(),
            target: Subject::Read(target),
            reads: self.reads.clone(),
            span: model.kernel(self.kernel).span,
        }
    }
}

/// A reward of a step, or whether it ends the episode, as a kernel of the posterior draws it in the
/// place of the environment's own.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub of: Subject,
    pub factor: FactorRef,
    pub kernel: KernelId,
    pub head: Head,
    /// What the kernel's givens read at `t`, in their order.
    pub reads: Vec<Read>,
    /// It reads nothing of what the step leads to, and is drawn before that.
    pub ahead: bool,
    /// The bound takes its score.
    pub is_scored: bool,
}

impl Outcome {
    /// The density of its kernel at what was drawn.
    pub fn density(&self, model: &Model) -> Density {
        Density {
            of: Version::Present,
            kernel: self.kernel,
            head: self.head.clone(),
            target: self.of,
            reads: self.reads.clone(),
            span: model.kernel(self.kernel).span,
        }
    }
}

/// A draw of the first state or the next in the environment's place, and what is drawn with it.
#[derive(Clone, Debug)]
pub struct StateDraw {
    /// Made [once](Draw::once) where it is of the first state.
    pub draw: Draw,
    /// What stands in the place of the environment's own rewards and end.
    pub outcomes: Vec<Outcome>,
    /// The densities of what it draws, where the bound moves it and takes its score.
    pub scores: Vec<Density>,
}

impl StateDraw {
    /// The bound moves what it draws from, and takes its score.
    pub fn is_scored(&self) -> bool {
        !self.scores.is_empty()
    }
}

/// The draws of a bound, in an order in which each reads what is drawn before it; the last is an
/// action's, where no draw of the step reads that.
pub(super) fn draws<'d>(
    model: &Model,
    bound: &Bound,
    (derivation, settings): (&'d BoundDerivation, &Settings),
    in_place: &InPlace,
) -> Result<Vec<(Draw, Option<&'d Score>)>, Vec<Diagnostic>> {
    let maximised = model.objectives.iter().any(|objective| objective.bound == derivation.bound);
    let gradient = &derivation.gradient;
    if maximised
        && gradient.scores.is_empty()
        && gradient.pathwise.is_empty()
        && gradient.reparameterised.is_empty()
    {
        return Err(vec![refused(
            bound.span,
            "the posterior has no kernel with parameters, so there is nothing to train",
        )]);
    }
    let mut errors = Vec::new();
    let (mut options, mut actions) = (Vec::new(), Vec::new());
    for (at, factor) in bound.posterior.iter().enumerate() {
        let Some((variable, role)) = drawn(model, factor) else { continue };
        let at = FactorRef { block: Block::Posterior, at: at as u32 };
        // what is not moved is drawn all the same
        let score = derivation.gradient.scores.iter().find(|score| score.factor == at);
        let (kernel, arguments) = match (&factor.kernel, in_place.get(&at)) {
            (KernelRef::Learned(kernel), _) => (*kernel, &factor.arguments),
            (_, Some((kernel, arguments))) => (*kernel, arguments),
            (
                KernelRef::Previous(_)
                | KernelRef::Environment(..)
                | KernelRef::Data(_)
                | KernelRef::InPlace(_),
                None,
            ) => {
                let name = &model.variable(variable).name;
                let message = format!(
                    "`{name}` is drawn from a kernel of the last round: what a round draws is its \
                     own, and a copy of the last one stands in the prior"
                );
                errors.push(refused(factor.span, message));
                continue;
            }
        };
        let found = draw(model, factor, (at, kernel, arguments), variable).and_then(|draw| {
            match without_score(model, (derivation, settings), &draw) {
                Some(told) => Err(vec![told]),
                None => Ok(draw),
            }
        });
        match found {
            Ok(draw) if role == Role::Option => options.push((draw, score)),
            Ok(draw) => actions.push((draw, score)),
            Err(found) => errors.extend(found),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    if actions.is_empty() {
        return Err(vec![refused(bound.span, "no factor of the posterior draws an action")]);
    }
    let mut waiting = options;
    waiting.append(&mut actions);
    // the last is read by no other draw of the step: an action where one is so
    let is_read = |at: usize| {
        let (draw, _) = &waiting[at];
        waiting.iter().any(|(other, _)| other.reads.iter().any(|read| reads_now(read, draw)))
    };
    let unread: Vec<usize> = (0..waiting.len()).filter(|&at| !is_read(at)).collect();
    let acts = |at: &usize| model.variable(waiting[*at].0.variable).role == Role::Action;
    // what goes on where another draw of the variable began stands behind that
    let begun = |at: usize| {
        let of = waiting[at].0.variable;
        waiting.iter().any(|(other, _)| other.from > 1 && other.variable == of)
    };
    let unread: Vec<usize> =
        unread.into_iter().filter(|&at| waiting[at].0.from > 1 || !begun(at)).collect();
    let last = unread.iter().copied().rfind(acts).or(unread.last().copied());
    let circle = || {
        let message = "the draws of the first step and those of later ones read each other so that \
                       no one order of a step serves both";
        vec![refused(bound.span, message)]
    };
    let last = waiting.remove(last.ok_or_else(circle)?);
    let mut ordered: Vec<(Draw, Option<&Score>)> = Vec::with_capacity(waiting.len() + 1);
    while !waiting.is_empty() {
        let waits = |draw: &Draw| {
            let begins =
                |other: &Draw| draw.from > 1 && other.from == 1 && other.variable == draw.variable;
            let waits_for = |other: &Draw| {
                begins(other) || draw.reads.iter().any(|read| reads_now(read, other))
            };
            waiting.iter().any(|(other, _)| waits_for(other))
        };
        let next = waiting.iter().position(|(draw, _)| !waits(draw));
        ordered.push(waiting.remove(next.ok_or_else(circle)?));
    }
    ordered.push(last);
    Ok(ordered)
}

/// What draws the state at `wanted`, the first or the next, where that is a learned kernel, and
/// what else that draws.
pub(super) fn imagined(
    model: &Model,
    (bound, in_place): (&Bound, &InPlace),
    (derivation, settings): (&BoundDerivation, &Settings),
    wanted: Index,
) -> Result<Option<StateDraw>, Vec<Diagnostic>> {
    for (at, factor) in bound.posterior.iter().enumerate() {
        let state = factor.targets.iter().find_map(|target| match target {
            Target::Variable { variable: TargetVariable::Variable(variable), index } => {
                Some((variable, index))
            }
            Target::Variable { .. } | Target::Weights(_) => None,
        });
        let Some((variable, index)) = state else { continue };
        let name = &model.variable(*variable).name;
        if model.variable(*variable).role != Role::State
            || *index != wanted
            || matches!(factor.kernel, KernelRef::Environment(..))
        {
            continue;
        }
        let at = FactorRef { block: Block::Posterior, at: at as u32 };
        let refuse = |message: String| Err(vec![refused(factor.span, message)]);
        let (kernel, arguments) = match (&factor.kernel, in_place.get(&at)) {
            (KernelRef::Learned(kernel), _) => (*kernel, &factor.arguments),
            (_, Some((kernel, arguments))) => (*kernel, arguments),
            _ => {
                return refuse(format!(
                    "`{name}` is drawn from a kernel of the last round, which has no parameters \
                     of the present one"
                ));
            }
        };
        if let Some((what, hint)) = unmoved(model, derivation, settings, (at, kernel)) {
            let of = &model.kernel(kernel).name;
            let moves = match derivation.gradient.over.contains(&model.written(kernel)) {
                true => format!("this bound moves `{of}`, from which it draws, and"),
                false => format!(
                    "the gradient goes through what `{of}` reads, and on through what it draws, but"
                ),
            };
            return Err(vec![refused(factor.span, format!("{moves} {what}")).hint(hint)]);
        }
        let (mut head, mut outcomes) = (None, Vec::new());
        if predicts(factor) {
            for part in parts(model, factor)? {
                match part.density.target {
                    Subject::Read(_) => head = Some(part.density.head),
                    of @ (Subject::Reward(_) | Subject::End) => {
                        let Density { head, reads, .. } = part.density;
                        let (ahead, is_scored) = (false, false);
                        let factor = at;
                        outcomes.push(Outcome { of, factor, kernel, head, reads, ahead, is_scored })
                    }
                }
            }
        }
        let head = match head {
            Some(head) => head,
            None => kernel_head(model, kernel, *variable)?,
        };
        let reads =
            reads(model, arguments, factor.span, &format!("`{}`", model.kernel(kernel).name))?;
        // `check` has it that no reward of its step waits for it; one that is paid does
        let is_paid = |reward: usize| {
            let drawn = bound.posterior.iter().flat_map(|factor| &factor.targets);
            let mut drawn = drawn.filter_map(|target| match target {
                Target::Variable { variable: TargetVariable::Reward(_, of), .. } => Some(*of),
                Target::Variable { .. } | Target::Weights(_) => None,
            });
            !drawn.any(|of| of as usize == reward)
        };
        let is_had = |read: &&Read| match **read {
            Read::Reward(reward, Index::Step(0)) => !is_paid(reward),
            Read::Reward(_, Index::Step(offset)) => offset < 0,
            ref read => is_there(model, read),
        };
        if let Some(read) = reads.iter().find(|read| !is_had(read)) {
            debug_assert!(*read != Read::Time, "draw: the time is always there");
            return refuse(format!(
                "the model that imagines `{name}` reads what is drawn later, or its own step at \
                 the end of a sequence of any length"
            ));
        }
        let reads_draws = reads.iter().any(|read| !matches!(read, Read::Time | Read::Absent));
        if wanted == Index::First && reads_draws && ends_where_it_starts(model, *variable) {
            let told = refused(
                factor.span,
                format!(
                    "`{name}[1]` is drawn from what its step draws, and a step draws nothing where \
                     the episode has ended: neither of the two comes first"
                ),
            );
            return Err(vec![told.hint(
                "take `end when` away, and let a kernel draw the end: nothing is drawn before the \
                 start",
            )]);
        }
        let once = wanted == Index::First;
        let draw = Draw { factor: at, kernel, variable: *variable, once, from: 1, head, reads };
        return Ok(Some(StateDraw { draw, outcomes, scores: Vec::new() }));
    }
    Ok(None)
}

/// Which draws of the first step are made before the first state, which reads them.
pub(super) fn before_start(draws: &[&Draw], states: &[StateDraw]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let first = states.iter().filter(|of| of.draw.once);
    let mut waiting: Vec<Read> = first.flat_map(|of| of.draw.reads.clone()).collect();
    while let Some(read) = waiting.pop() {
        let (Read::First(of) | Read::Variable(of)) = read else { continue };
        let at_first = |draw: &&Draw| draw.variable == of && draw.from == 1;
        if let Some(at) = draws.iter().position(at_first)
            && found.insert(at)
        {
            waiting.extend(&draws[at].reads);
        }
    }
    found
}

/// Refuses what is drawn before a first state and imagines: a rollout belongs to a step.
pub(super) fn verify_before_start(
    model: &Model,
    bound: &Bound,
    draws: &[(Draw, Option<&Score>)],
    states: &[StateDraw],
) -> Result<(), Vec<Diagnostic>> {
    let draws: Vec<&Draw> = draws.iter().map(|(draw, _)| draw).collect();
    for draw in before_start(&draws, states).into_iter().map(|at| draws[at]) {
        if !model.simulations_of(draw.kernel).is_empty() {
            let message = format!(
                "`{}` imagines what would follow a state, and the first state is drawn from what \
                 it draws: there is none yet to imagine from",
                model.kernel(draw.kernel).name
            );
            return Err(vec![refused(bound.factor(draw.factor).span, message)]);
        }
    }
    Ok(())
}

/// Whether an episode can end at its first state, which is one of an environment.
fn ends_where_it_starts(model: &Model, state: VariableId) -> bool {
    let of = model.variable(state).environment.map(|of| &model.environment(of).dynamics);
    matches!(of, Some(Dynamics::Written { end: Some(_), .. }))
}

/// Why a bound cannot move a model that it draws from, and what to do; `None` where it can, or does
/// not.
fn unmoved(
    model: &Model,
    derivation: &BoundDerivation,
    settings: &Settings,
    (at, kernel): (FactorRef, KernelId),
) -> Option<(&'static str, &'static str)> {
    let distribution = &model.kernel(kernel).distribution;
    let through = derivation.gradient.reparameterised.iter().any(|draw| draw.factor == at);
    if !through && !derivation.gradient.scores.iter().any(|score| score.factor == at) {
        return None;
    }
    let by_draws = "write `estimator = pathwise`, or `maximize BOUND over` the other kernels, and \
                    let another bound teach this one";
    match settings.estimator {
        DrawGradient::Score if through && matches!(distribution, Distribution::Implicit(_)) => {
            Some(("it is `Implicit`: it has no density, and no score", by_draws))
        }
        DrawGradient::Score if through && matches!(distribution, Distribution::Delta(_)) => {
            Some(("it is a `Delta`: it has no density, and no score", by_draws))
        }
        DrawGradient::Score if through => {
            Some(("another line takes the gradient of this bound through its draws", by_draws))
        }
        DrawGradient::Score | DrawGradient::Pathwise => None,
    }
}

/// Why draws that have no density cannot move as a bound asks: they have no score.
fn without_score(
    model: &Model,
    (derivation, settings): (&BoundDerivation, &Settings),
    draw: &Draw,
) -> Option<Diagnostic> {
    let Head::Implicit { .. } = draw.head else { return None };
    let gradient = &derivation.gradient;
    let is_followed = gradient.reparameterised.iter().any(|of| of.factor == draw.factor);
    let is_scored = gradient.scores.iter().any(|score| score.factor == draw.factor);
    let kernel = model.kernel(draw.kernel);
    let hint = match (is_followed, is_scored) {
        (true, _) if settings.estimator == DrawGradient::Score => {
            "write `estimator = pathwise`: the gradient then passes through what is drawn"
        }
        (false, true) => {
            "give it a density, such as a `Normal` of a small deviation, or let a learned kernel \
             draw the states, and write `estimator = pathwise`"
        }
        (true | false, _) => return None,
    };
    let message = format!(
        "`{}` is drawn from {}, which has no density: no score says how its draws are to move",
        model.variable(draw.variable).name,
        match kernel.distribution {
            Distribution::Delta(_) => "a `Delta`",
            _ => "`Implicit`",
        }
    );
    Some(refused(kernel.span, message).hint(hint))
}

/// A kernel's read of what `draw` draws in the same step, if only at `t = 1`.
pub(super) fn reads_now(read: &Read, draw: &Draw) -> bool {
    match *read {
        Read::Variable(of) | Read::First(of) | Read::Window(of, _, 0) => of == draw.variable,
        _ => false,
    }
}

/// The option or action that a factor draws.
fn drawn(model: &Model, factor: &Factor) -> Option<(VariableId, Role)> {
    factor.targets.iter().find_map(|target| match target {
        Target::Variable { variable: TargetVariable::Variable(variable), .. } => {
            match model.variable(*variable).role {
                role @ (Role::Option | Role::Action) => Some((*variable, role)),
                Role::State | Role::Observation => None,
            }
        }
        Target::Variable { variable: TargetVariable::Reward(..) | TargetVariable::End, .. }
        | Target::Weights(_) => None,
    })
}

fn draw(
    model: &Model,
    factor: &Factor,
    (at, kernel, arguments): (FactorRef, KernelId, &[Value]),
    variable: VariableId,
) -> Result<Draw, Vec<Diagnostic>> {
    let name = &model.variable(variable).name;
    let (once, from) = match factor.targets.as_slice() {
        [Target::Variable { index: Index::Step(0), .. }] => (false, 1),
        [Target::Variable { index: Index::First, .. }] => (true, 1),
        [Target::Variable { index: Index::Step(1), .. }] => (false, 2),
        _ => {
            let message = format!(
                "`{name}` is drawn with others, or at another index than `[t]`, `[1]` and `[t+1]`"
            );
            return Err(vec![refused(factor.span, message)]);
        }
    };
    let head = kernel_head(model, kernel, variable)?;
    let mut reads =
        reads(model, arguments, factor.span, &format!("`{}`", model.kernel(kernel).name))?;
    for read in &mut reads {
        *read = read.earlier(lead(factor)).ok_or_else(|| another_time(model, factor))?;
        // what is drawn at 1 reads its own step there
        if let (true, Read::First(of)) = (once, *read) {
            *read = if model.variable(of).role == Role::Option {
                Read::First(of)
            } else {
                Read::Variable(of)
            };
        }

        if !is_there(model, read) {
            let message = format!(
                "the kernel that draws `{name}` reads what is drawn later, or its own step at the \
                 end of a sequence of any length"
            );
            let hint = "let the sequence end before the step, and read what that draws beside it";
            return Err(vec![refused(factor.span, message).hint(hint)]);
        }
    }
    Ok(Draw { factor: at, kernel, variable, once, from, head, reads })
}

/// How many steps later than `t` a factor draws an option or an action: `o[t+1]` belongs to the
/// step `t + 1`.
pub(super) fn lead(factor: &Factor) -> i32 {
    match factor.targets[..] {
        [Target::Variable { index: Index::Step(lead), .. }] => lead,
        _ => 0,
    }
}

/// Whether a step that draws knows what a read asks for, but for what it draws itself.
pub(super) fn is_there(model: &Model, read: &Read) -> bool {
    let seen =
        |of: &VariableId| matches!(model.variable(*of).role, Role::State | Role::Observation);
    let before = |of: &VariableId, offset: i32| offset < i32::from(seen(of));
    match read {
        Read::Variable(_) | Read::Time => true,
        Read::Window(_, _, to) => *to <= 0,
        Read::Step(of, offset) | Read::Past(of, offset) => before(of, *offset),
        Read::First(_) | Read::Absent => true,
        Read::Last(..)
        | Read::Future(..)
        | Read::Whole(..)
        | Read::Between(..)
        | Read::Tail(..)
        | Read::Reward(..) => false,
    }
}

/// How many of the draws stand before all that a baseline reads: it compares the credit of those
/// behind it, of which it reads nothing.
///
/// # Errors
/// A baseline that reads what is drawn last, or later than its step.
pub(super) fn unserved(
    model: &Model,
    draws: &[(Draw, Option<&Score>)],
    reads: &[Read],
    span: Span,
) -> Result<usize, Vec<Diagnostic>> {
    let last_of_step = draws.len().saturating_sub(1);
    let mut count = 0;
    for read in reads {
        let drawn = draws.iter().rposition(|(draw, _)| reads_now(read, draw));
        if !is_there(model, read) || drawn == Some(last_of_step) {
            let message = "a baseline does not read what is drawn last in its step, or later: what \
                           a draw is compared with does not depend on it";
            return Err(vec![Diagnostic::error("bad-setting", span, message)]);
        }
        count = count.max(drawn.map_or(0, |at| at + 1));
    }
    Ok(count)
}

/// The head of a kernel over a variable.
pub(super) fn kernel_head(
    model: &Model,
    kernel: KernelId,
    variable: VariableId,
) -> Result<Head, Vec<Diagnostic>> {
    let kernel = model.kernel(kernel);
    head::head(model, kernel.outputs.len(), &kernel.distribution, &model.variable(variable).domain)
        .map_err(|what| vec![refused(kernel.span, format!("`{}` is {what}", kernel.name))])
}
