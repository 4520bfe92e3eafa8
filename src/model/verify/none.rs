//! No kernel and no exponent meets `none` unless it says so: an index may not leave the trajectory,
//! and after the end of an episode there are no actions, options and observations.

use super::times::{self, Read, ReadKind, Steps, horizon, lifetime};
use super::words;
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, ExprId, Graph, InputId, Node};
use crate::model::{
    Bound, Dynamics, Factor, Formal, FormalLength, Index, Input, KernelRef, Likelihood,
    LikelihoodForm, Model, Role, Target, TargetVariable,
};
use crate::source::Span;

pub fn faults(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for factor in bound.posterior.iter().chain(&bound.prior).chain(&bound.auxiliary) {
        for read in times::reads(model, factor) {
            let formal = formal_of(model, factor, &read);
            if formal
                .is_some_and(|formal| formal.optional || formal.length == FormalLength::Sequence)
            {
                continue;
            }
            let stands = times::stands(model, factor);
            let roots = match &factor.kernel {
                KernelRef::InPlace(distribution) => times::arguments(distribution),
                KernelRef::Learned(_)
                | KernelRef::Previous(_)
                | KernelRef::Environment(..)
                | KernelRef::Data(_) => Vec::new(),
            };
            if let Some(when) = leaves_trajectory(model, &read, stands)
                .filter(|_| roots.is_empty() || !is_left_out_there(model, &roots, &read, stands))
                .or_else(|| beyond_end(model, &read, true))
            {
                found.push(meets_none(model, factor, &read, formal, &when));
            }
        }
    }
    for likelihood in &bound.likelihood {
        let stands = times::likelihood_stands(model, likelihood);
        for read in times::likelihood_reads(model, likelihood) {
            let (formal, what) = match &likelihood.form {
                LikelihoodForm::Exponential { .. } => (None, "the exponent"),
                LikelihoodForm::Density { kernel, .. } => {
                    (read.argument.and_then(|at| formal(model, kernel, at)), "the factor")
                }
            };
            if formal
                .is_some_and(|formal| formal.optional || formal.length == FormalLength::Sequence)
            {
                continue;
            }
            // what is drawn at the first step is there unless the episode ends before it begins
            let once = read.from == Index::First && read.to == Index::First;
            let ended = match (once, read.kind) {
                (_, ReadKind::Gain) => None,
                (true, _) => ended_at_the_start(model, bound, &read),
                (false, _) => beyond_end(model, &read, false),
            };
            let roots = match likelihood.form {
                LikelihoodForm::Exponential { value, .. } => vec![value],
                LikelihoodForm::Density { .. } => Vec::new(),
            };
            let leaves = leaves_trajectory(model, &read, stands)
                .filter(|_| roots.is_empty() || !is_left_out_there(model, &roots, &read, stands));
            if let Some(when) = leaves.or(ended)
                && !is_only_compared(model, likelihood, &read)
            {
                found.push(exponent_meets_none(model, likelihood.span, what, &read, &when, once));
            }
        }
    }
    found
}

/// Whether expressions read a variable only at steps that have it: at the others their conditions
/// on `t` leave the read out, as in `if t == 1 then 0 else -abs(a[t] - a[t-1])`.
fn is_left_out_there(model: &Model, roots: &[ExprId], read: &Read, stands: Steps) -> bool {
    if read.kind != ReadKind::One {
        return false;
    }
    let (horizon, lifetime) = (horizon(model), lifetime(model, read.variable));
    let params = model.param_values();
    let is_read = |input: InputId| match model.inputs[input.0 as usize] {
        Input::Variable { variable, index, .. } => {
            (TargetVariable::Variable(variable), index) == (read.variable, read.from)
        }
        Input::Reward { environment, reward, index } => {
            (TargetVariable::Reward(environment, reward), index) == (read.variable, read.from)
        }
        Input::Formal { .. } | Input::Gain(_) => false,
    };
    let reads_at = |t: i64| {
        let mut there = Graph::default();
        let roots = model.graph.copy_into(roots, &mut there, &mut |target, leaf| match leaf {
            Node::Time => Some(target.constant(t as f64)),
            // a schedule has other values, too
            Node::Param(param) if model.params[param.0 as usize].from.is_none() => {
                Some(target.constant(params[param.0 as usize]))
            }
            _ => None,
        });
        there.inputs_of(&roots).into_iter().any(is_read)
    };
    let is_there = |t: &i64| lifetime.contains(read.steps(horizon, *t).from);
    (stands.from..=stands.to).filter(|t| !is_there(t)).all(|t| !reads_at(t))
}

/// What a step draws, where an exponent compares it with another value and reads it in no other
/// way: there `none` is a value of its own.
fn is_only_compared(model: &Model, likelihood: &Likelihood, read: &Read) -> bool {
    let (LikelihoodForm::Exponential { value, .. }, TargetVariable::Variable(id)) =
        (&likelihood.form, read.variable)
    else {
        return false;
    };
    if model.variable(id).role == Role::State || read.kind != ReadKind::One {
        return false;
    }
    let is_read = |at: ExprId| match model.graph.node(at) {
        Node::Input(input) => {
            matches!(model.inputs[input.0 as usize], Input::Variable { variable, index, .. }
                if variable == id && index == read.from)
        }
        _ => false,
    };
    let reads_otherwise = |at: ExprId| match model.graph.node(at) {
        Node::Binary(BinaryOp::Equal | BinaryOp::NotEqual, ..)
        | Node::Constant(_)
        | Node::Param(_)
        | Node::Input(_)
        | Node::Time => false,
        Node::Unary(_, x) | Node::Lookup(_, x) => is_read(*x),
        Node::Binary(_, x, y) => is_read(*x) || is_read(*y),
        Node::If(condition, then, otherwise) => {
            [condition, then, otherwise].into_iter().any(|part| is_read(*part))
        }
        Node::Choose(items, index) => is_read(*index) || items.iter().any(|item| is_read(*item)),
    };
    !is_read(*value) && !model.graph.reach(&[*value]).into_iter().any(reads_otherwise)
}

/// The formal that an argument is given to.
fn formal_of<'m>(model: &'m Model, factor: &Factor, read: &Read) -> Option<&'m Formal> {
    let (KernelRef::Learned(id) | KernelRef::Previous(id)) = factor.kernel else {
        return match factor.kernel {
            KernelRef::Data(id) => model.data[id.0 as usize].givens.get(read.argument?),
            KernelRef::Learned(_)
            | KernelRef::Previous(_)
            | KernelRef::Environment(..)
            | KernelRef::InPlace(_) => None,
        };
    };
    model.kernel(id).givens.get(read.argument?)
}

/// A formal of a kernel by its place among outputs, then givens.
fn formal<'m>(model: &'m Model, kernel: &KernelRef, at: usize) -> Option<&'m Formal> {
    match kernel {
        KernelRef::Learned(id) | KernelRef::Previous(id) => model.kernel(*id).formals().nth(at),
        KernelRef::Data(id) => {
            let data = &model.data[id.0 as usize];
            data.outputs.iter().chain(&data.givens).nth(at)
        }
        KernelRef::Environment(..) | KernelRef::InPlace(_) => None,
    }
}

/// `at t = 1` where the index is before the trajectory, `at t = T` where it is after it.
fn leaves_trajectory(model: &Model, read: &Read, stands: Steps) -> Option<String> {
    if stands.is_empty() || read.kind == ReadKind::Sequence {
        return None;
    }
    let (horizon, lifetime) = (horizon(model), lifetime(model, read.variable));
    let show = |t: i64, step: i64| {
        format!(
            "at t = {} it is `{}[{}]`, which is `none`",
            words::step(model, t),
            words::name(model, read.variable),
            words::step(model, step)
        )
    };
    let (first, last) = (read.steps(horizon, stands.from), read.steps(horizon, stands.to));
    if first.from < lifetime.from {
        Some(show(stands.from, first.from))
    } else if last.to > lifetime.to {
        Some(show(stands.to, last.to))
    } else {
        None
    }
}

/// Whether the episode may have ended where the variable is read. A factor that stands stops with
/// the episode, so that only what it reads ahead can be missing; an exponent goes on to the
/// horizon.
fn beyond_end(model: &Model, read: &Read, stops_with_the_episode: bool) -> Option<String> {
    let TargetVariable::Variable(id) = read.variable else { return None };
    let ends = model.environments.iter().find(|e| {
        matches!(e.dynamics, Dynamics::Written { end: Some(_), .. } | Dynamics::External { .. })
    })?;
    match model.variable(id).role {
        Role::State => return None,
        Role::Action | Role::Option | Role::Observation => {}
    }
    let ahead = match read.to {
        Index::Step(k) => k > 0,
        Index::Last(_) => true,
        Index::First => false,
    };
    (ahead || !stops_with_the_episode)
        .then(|| format!("it is `none` once the episode of `{}` has ended", ends.name))
}

/// Whether an episode may be over where it starts, so that nothing is drawn at the first step: `it
/// is `none` where the episode of `e` starts in s[1] = 3`. Of starts that cannot be listed, nothing
/// is said.
fn ended_at_the_start(model: &Model, bound: &Bound, read: &Read) -> Option<String> {
    beyond_end(model, read, false)?;
    let environment = model
        .environments
        .iter()
        .find(|e| matches!(e.dynamics, Dynamics::Written { end: Some(_), .. }))?;
    let Dynamics::Written { initial, end: Some(end), .. } = &environment.dynamics else {
        return None;
    };
    let state = model.variable(environment.state);
    let finite = state.domain.finite.as_ref()?;
    let starts = |factor: &&Factor| {
        let variable = TargetVariable::Variable(environment.state);
        factor.targets.iter().any(|target| {
            matches!(target, Target::Variable { variable: of, index: Index::First }
                if *of == variable)
        })
    };
    let law = match &bound.posterior.iter().find(starts)?.kernel {
        KernelRef::Environment(..) => Some(initial),
        KernelRef::InPlace(distribution) => Some(distribution),
        KernelRef::Learned(_) | KernelRef::Previous(_) | KernelRef::Data(_) => None,
    };
    let params = model.param_values();
    let reaches: Option<Vec<bool>> =
        law.and_then(|law| super::law::reaches(model, law, &state.domain, &params));
    let mut value = vec![0.0; state.domain.width()];
    let ended = (0..finite.size())
        .filter(|number| reaches.as_ref().is_none_or(|reaches| reaches[*number]))
        .find(|number| {
            finite.value(*number, &mut value);
            let leaf = |input: InputId| match model.inputs[input.0 as usize] {
                Input::Variable { component, .. } => value[component as usize],
                Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => f64::NAN,
            };
            model.graph.evaluate(*end, &params, &leaf, 1.0) != 0.0
        })?;
    finite.value(ended, &mut value);
    let start = words::at(model, TargetVariable::Variable(environment.state), Index::First);
    Some(format!(
        "it is `none` where the episode of `{}` is over at its start: {start} = {}",
        environment.name,
        state.domain.show(&value)
    ))
}

fn meets_none(
    model: &Model,
    factor: &Factor,
    read: &Read,
    formal: Option<&Formal>,
    when: &str,
) -> Diagnostic {
    let written = words::read(model, read);
    let kernel = words::kernel(model, &factor.kernel, factor.span);
    let place = words::find(model, factor.span, &written);
    let message = format!("`{kernel}` can meet `none` in `{written}`");
    let fault = Diagnostic::error("meets-none", place, message).here(when);
    match formal {
        Some(formal) => fault
            .also(formal.span, format!("`{}` does not admit `none`", formal.name))
            .hint(format!(
                "write `{}?` in the kernel if it can do without, or give the {} a factor of its \
                 own",
                written_formal(formal),
                if matches!(read.from, Index::Step(k) if k < 0) {
                    "first step"
                } else {
                    "last step"
                }
            )),
        None => fault.hint(
            "only a kernel with an optional formal, as in `last: o?`, can read `none`; or \
             use another index",
        ),
    }
}

/// The formal up to its `?`.
fn written_formal(formal: &Formal) -> String {
    match formal.length {
        FormalLength::One | FormalLength::Sequence => formal.name.clone(),
        FormalLength::Window(length) => format!("{}[{length}]", formal.name),
    }
}

fn exponent_meets_none(
    model: &Model,
    span: Span,
    what: &str,
    read: &Read,
    when: &str,
    once: bool,
) -> Diagnostic {
    let written = words::read(model, read);
    let place = words::find(model, span, &written);
    let is_before = when.contains("at t =") && matches!(read.from, Index::Step(..0));
    let is_option = matches!(read.variable, TargetVariable::Variable(id)
        if model.variable(id).role == Role::Option);
    let hint = match read.variable {
        _ if is_before && what == "the exponent" && !is_option => {
            "leave it out at that step, as in `if t == 1 then 0 else …`".to_owned()
        }
        TargetVariable::Reward(..) => {
            format!("a reward exists for t in 1..{}: use another index", model.horizon.name)
        }
        TargetVariable::Variable(id) if model.variable(id).role == Role::State => {
            format!("a state exists for t in 1..{}+1: use another index", model.horizon.name)
        }
        TargetVariable::Variable(_) | TargetVariable::End if once && !when.contains("at t =") => {
            "let no episode start in a state that ends it: leave these states out of the start"
                .to_owned()
        }
        // not an end is in its way: there is no such step
        TargetVariable::Variable(id) if !matches!(read.to, Index::Step(..=0) | Index::First) => {
            format!(
                "`{}` exists for t in 1..{}: use another index",
                model.variable(id).name,
                model.horizon.name
            )
        }
        TargetVariable::Variable(id) if model.variable(id).role == Role::Option => {
            let name = &model.variable(id).name;
            format!(
                "an exponent may compare options, as in `exp(if {name}[t] == {name}[t-1] then 0 \
                 else -1)`: `none` equals `none` and no value"
            )
        }
        TargetVariable::Variable(_) | TargetVariable::End => {
            "put it into a reward: rewards are 0 after the end, and the likelihood goes on to the \
             horizon; or compare it and no more: `none` equals `none` and no value"
                .to_owned()
        }
    };
    Diagnostic::error("meets-none", place, format!("{what} can read `none` in `{written}`"))
        .here(when)
        .hint(hint)
}
