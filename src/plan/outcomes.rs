//! What kernels of the posterior draw of rewards and ends in factors of their own, in the
//! environment's place.

use super::draw::{Outcome, StateDraw, is_there};
use super::parts::{parts, predicts};
use super::read::Read;
use super::refused;
use super::term::{Density, Subject};
use crate::bound::BoundDerivation;
use crate::diagnostic::Diagnostic;
use crate::model::{Block, Bound, FactorRef, Index, KernelRef, Model, Role};

/// The rewards and the ends that factors of their own draw, in an order in which each reads what is
/// drawn before it; those that are drawn with a state stand there.
pub(super) fn outcomes(
    model: &Model,
    (bound, derivation): (&Bound, &BoundDerivation),
    states: &[StateDraw],
) -> Result<Vec<Outcome>, Vec<Diagnostic>> {
    let mut waiting: Vec<Outcome> = Vec::new();
    for (at, factor) in bound.posterior.iter().enumerate() {
        let at = FactorRef { block: Block::Posterior, at: at as u32 };
        if !predicts(factor) || states.iter().any(|of| of.draw.factor == at) {
            continue;
        }
        let KernelRef::Learned(kernel) = factor.kernel else {
            let message = "a reward or the end of an episode is drawn here by no kernel of the \
                           present round, and has no parameters that the bound could move";
            let told = refused(factor.span, message);
            return Err(vec![
                told.hint("declare a kernel that draws it, as `kernel pay(r | s, a) = …`"),
            ]);
        };
        for part in parts(model, factor)? {
            let Density { target: of, head, reads, .. } = part.density;
            if let Subject::Read(_) = of {
                unreachable!("plan: what is drawn in a step is drawn alone")
            }
            let (factor, ahead) = (at, false);
            let is_scored = derivation.gradient.scores.iter().any(|score| score.factor == at);
            waiting.push(Outcome { of, factor, kernel, head, reads, ahead, is_scored });
        }
    }
    let mut ordered: Vec<Outcome> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let waits = |outcome: &Outcome| {
            waiting.iter().any(|other| outcome.reads.iter().any(|read| reads_outcome(read, other)))
        };
        // what reads the end of its step would be drawn where nothing is live any more
        let next = waiting.iter().position(|outcome| !waits(outcome));
        let next = next.expect("check: the posterior can be drawn in some order");
        let mut outcome = waiting.remove(next);
        outcome.ahead = outcome.reads.iter().all(|read| match *read {
            Read::Step(_, offset) | Read::Window(_, _, offset) | Read::Past(_, offset) => {
                offset <= 0
            }
            Read::Reward(_, Index::Step(0) | Index::First) => {
                ordered.iter().any(|other| other.ahead && reads_outcome(read, other))
            }
            _ => true,
        });
        if outcome.reads.iter().any(|read| !is_had(model, read)) {
            let kernel = &model.kernel(outcome.kernel).name;
            let message = format!(
                "`{kernel}` draws a reward or the end of a step and reads what later steps draw"
            );
            return Err(vec![refused(bound.factor(outcome.factor).span, message)]);
        }
        ordered.push(outcome);
    }
    for StateDraw { draw, .. } in states.iter().filter(|of| !of.draw.once) {
        let late = ordered.iter().filter(|outcome| !outcome.ahead);
        if late.clone().any(|outcome| draw.reads.iter().any(|read| reads_outcome(read, outcome))) {
            let kernel = &model.kernel(draw.kernel).name;
            let message = format!(
                "`{kernel}` draws the next state and reads a reward that is drawn when that is \
                 there"
            );
            return Err(vec![refused(bound.factor(draw.factor).span, message)]);
        }
    }
    Ok(ordered)
}

/// A kernel's read of a reward of the same step that `outcome` draws.
fn reads_outcome(read: &Read, outcome: &Outcome) -> bool {
    match (*read, outcome.of) {
        (Read::Reward(read, Index::Step(0) | Index::First), Subject::Reward(of)) => read == of,
        _ => false,
    }
}

/// Whether a step that has led to its next state knows what a read asks for.
fn is_had(model: &Model, read: &Read) -> bool {
    match *read {
        Read::Reward(_, Index::Step(offset)) => offset <= 0,
        Read::Reward(_, Index::First) => true,
        Read::Window(of, _, 1) | Read::Step(of, 1) | Read::Past(of, 1) => {
            model.variable(of).role == Role::State
        }
        Read::Past(_, 0) => true,
        ref read => is_there(model, read),
    }
}
