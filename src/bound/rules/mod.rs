//! The named laws of a derivation, one a file. Each is a guarded rewriting of the sum: where its
//! hypotheses hold it replaces terms and records the step, else it leaves the sum alone.

mod cancel;
mod constant;
mod density_ratio;
mod entropy;
mod importance;
mod jensen;
mod log_ratio;
mod pair;
mod split;

pub use cancel::cancel;
pub use constant::{constant, kernels_of};
pub use density_ratio::density_ratio;
pub use entropy::entropy;
pub use importance::importance;
pub use jensen::jensen;
pub use log_ratio::log_ratio;
pub use pair::pair;
pub use split::split;

use super::derivation::{Change, DraftId, Relation, Rule, Step};
use super::influence::{Influence, Reach, Scope};
use super::term::{Term, Times};
use super::time::can_end;
use crate::model::{
    Bound, Factor, FactorRef, KernelId, KernelRef, Model, ParameterId, kernel_parameters,
};
use std::collections::BTreeSet;

/// A derivation at work: the sum as it stands, and the steps that led to it.
pub struct Work<'a> {
    pub model: &'a Model,
    pub bound: &'a Bound,
    pub scope: &'a Scope<'a>,
    pub influence: &'a Influence,
    /// What the draws of the factors with moving parameters can influence.
    pub moved: Reach<'a>,
    /// The kernels whose parameters move when this bound is maximised, and those parameters.
    pub over: Vec<KernelId>,
    pub moving: BTreeSet<ParameterId>,
    pub can_end: bool,
    pub steps: Vec<Step>,
    pub drafts: Vec<Term>,
    /// The sum, in order: the terms that came out of each term of `split`.
    slots: Vec<Vec<DraftId>>,
    slot_of: Vec<usize>,
}

/// A factor of prior or auxiliary and the posterior's factor for the same draws, at the times (of
/// `q`) that both have.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub p: FactorRef,
    pub q: FactorRef,
    pub p_term: DraftId,
    pub q_term: DraftId,
    pub times: Times,
    pub live: bool,
}

impl<'a> Work<'a> {
    pub fn new(scope: &'a Scope<'a>, influence: &'a Influence, over: Vec<KernelId>) -> Work<'a> {
        let (model, bound) = (scope.model, scope.bound);
        let moving: BTreeSet<ParameterId> =
            over.iter().flat_map(|kernel| kernel_parameters(model, *kernel)).collect();
        let moves = |factor: &&Factor| kernel_moves(model, &moving, &factor.kernel);
        let moved = influence.from(bound.posterior.iter().filter(moves));
        let can_end = can_end(model, bound);
        Work {
            model,
            bound,
            scope,
            influence,
            moved,
            over,
            moving,
            can_end,
            steps: Vec::new(),
            drafts: Vec::new(),
            slots: Vec::new(),
            slot_of: Vec::new(),
        }
    }

    /// Whether a kernel has parameters that move.
    pub fn moves(&self, kernel: &KernelRef) -> bool {
        kernel_moves(self.model, &self.moving, kernel)
    }

    pub fn term(&self, id: DraftId) -> &Term {
        &self.drafts[id.0 as usize]
    }

    /// The terms of the sum as it stands.
    pub fn sum(&self) -> impl Iterator<Item = DraftId> + '_ {
        self.slots.iter().flatten().copied()
    }

    /// Puts `added` in the place of the first of `removed` and records the step. Returns the ids of
    /// `added`.
    pub fn replace(
        &mut self,
        rule: Rule,
        relation: Relation,
        removed: &[DraftId],
        added: Vec<Term>,
        note: Option<String>,
    ) -> Vec<DraftId> {
        let slot = removed.iter().map(|id| self.slot_of[id.0 as usize]).min();
        for id in removed {
            let slot = &mut self.slots[self.slot_of[id.0 as usize]];
            slot.retain(|known| known != id);
        }
        let ids: Vec<DraftId> = added.into_iter().map(|term| self.draft(term, slot)).collect();
        self.steps.push(Step {
            rule,
            relation,
            change: Change::Terms { removed: removed.to_vec(), added: ids.clone() },
            note,
        });
        ids
    }

    fn draft(&mut self, term: Term, slot: Option<usize>) -> DraftId {
        let id = DraftId(self.drafts.len() as u32);
        self.drafts.push(term);
        let slot = slot.unwrap_or_else(|| {
            self.slots.push(Vec::new());
            self.slots.len() - 1
        });
        self.slots[slot].push(id);
        self.slot_of.push(slot);
        id
    }
}

fn kernel_moves(model: &Model, moving: &BTreeSet<ParameterId>, kernel: &KernelRef) -> bool {
    match kernel {
        KernelRef::Learned(kernel) => {
            kernel_parameters(model, *kernel).iter().any(|parameter| moving.contains(parameter))
        }
        KernelRef::Previous(_)
        | KernelRef::Environment(..)
        | KernelRef::Data(_)
        | KernelRef::InPlace(_) => false,
    }
}
