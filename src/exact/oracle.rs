//! A bound compiled once for the questions that do not depend on a policy.

use super::compile::{Scope, compile};
use super::environments::Environments;
use super::trellis::Trellis;
use super::{best, evidence, number};
use crate::finite::{KernelTables, NotFinite};
use crate::model::{BoundId, Model};

/// The tables of a finite bound. An answer is one backward recursion over them.
pub struct Oracle<'m> {
    trellis: Trellis<'m>,
}

impl<'m> Oracle<'m> {
    /// `tables` are those of the learned kernels that the prior or the likelihood reads.
    ///
    /// # Errors
    /// As [`super::exact`].
    pub fn new(
        model: &'m Model,
        bound: BoundId,
        tables: Option<&'m KernelTables>,
    ) -> Result<Oracle<'m>, NotFinite> {
        Oracle::within(&Environments::new(model), bound, tables)
    }

    pub(super) fn within(
        environments: &Environments<'m>,
        bound: BoundId,
        tables: Option<&'m KernelTables>,
    ) -> Result<Oracle<'m>, NotFinite> {
        Ok(Oracle {
            trellis: compile(environments, environments.model.bound(bound), tables, Scope::Prior)?,
        })
    }

    /// [`super::Exact::log_evidence`]
    ///
    /// # Errors
    /// Where it is not a number.
    pub fn log_evidence(&mut self) -> Result<f64, NotFinite> {
        number(evidence::log_evidence(&mut self.trellis)?, "the evidence", &self.trellis)
    }

    /// [`super::Exact::best_bound`]
    ///
    /// # Errors
    /// Where it is not a number.
    pub fn best_bound(&mut self) -> Result<f64, NotFinite> {
        number(best::best_bound(&mut self.trellis)?, "the best bound", &self.trellis)
    }
}
