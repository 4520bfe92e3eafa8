//! Weights that are drawn: which of them, from what mean field, under what prior.

use super::read::learned;
use super::settings::{Settings, Update};
use super::term::{Quantity, Term};
use super::{Head, Plan, refused};
use crate::bound::BoundDerivation;
use crate::diagnostic::Diagnostic;
use crate::expr::ExprId;
use crate::model::{
    Block, Bound, Factor, FactorRef, KernelId, KernelRef, Model, Parameter, ParameterId, Target,
    kernel_parameters,
};
use std::collections::BTreeSet;

/// `weights(K) ~ Normal` of the posterior: every weight of `K` is drawn from a normal of its own,
/// `w = mean + sd·ε` (Blundell et al. 2015, section 3.2), under the prior `Normal(mean, sd)` of all
/// of them.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanField {
    pub factor: FactorRef,
    pub kernel: KernelId,
    /// For each parameter of the kernel: where the means stand, which is its own place, and where
    /// `log sd` stands.
    pub parameters: Vec<(ParameterId, ParameterId)>,
    /// Of each weight under the prior.
    pub prior_mean: f64,
    pub prior_sd: f64,
    /// The bound's gradient moves it; else it is drawn from all the same.
    pub moves: bool,
    /// It moves, nothing that is drawn depends on the weights, and they enter densities of whole
    /// trajectories alone.
    pub mirrors: bool,
}

/// The mean fields of a bound, with parameters of the model made for their deviations, which begin
/// at the deviation of the prior.
pub(super) fn mean_fields(
    model: &mut Model,
    bound: &Bound,
    derivation: &BoundDerivation,
) -> Result<Vec<MeanField>, Vec<Diagnostic>> {
    let mut fields: Vec<MeanField> = Vec::new();
    let mut errors = Vec::new();
    for (at, factor) in bound.posterior.iter().enumerate() {
        let [Target::Weights(kernel)] = factor.targets[..] else { continue };
        let name = model.kernel(kernel).name.clone();
        let Some((prior_mean, prior_sd)) = normal_prior(model, bound, kernel) else {
            let message = format!(
                "the prior over `weights({name})` is not a `Normal(mean = …, sd = …)`, from \
                 which alone a mean field has a divergence in closed form"
            );
            errors.push(refused(factor.span, message));
            continue;
        };
        if !is_mean_field(factor) {
            let message = format!("`weights({name})` has a posterior with nothing to train");
            errors
                .push(refused(factor.span, message).hint(
                    "write the learned mean field: `weights(…) ~ Normal`, without arguments",
                ));
            continue;
        }
        let drawn = kernel_parameters(model, kernel);
        let taken =
            |field: &&MeanField| field.parameters.iter().any(|(mean, _)| drawn.contains(mean));
        if let Some(other) = fields.iter().find(taken) {
            let message = format!(
                "`{name}` shares a `net` with `{}`, so that its weights would be drawn twice",
                model.kernel(other.kernel).name
            );
            errors.push(
                refused(factor.span, message)
                    .hint("draw the weights of one of them, or give each a network of its own"),
            );
            continue;
        }
        if drawn.is_empty() {
            errors.push(refused(
                factor.span,
                format!("`{name}` has no weights, so there is nothing to train"),
            ));
            continue;
        }
        let mut parameters = Vec::with_capacity(drawn.len());
        for mean in drawn {
            let Parameter { name, rows, columns, .. } = model.network.parameter(mean).clone();
            // another bound of the file may have made it
            let name = format!("{name}.log_sd");
            let known =
                model.network.parameters.iter().position(|parameter| parameter.name == name);
            let log_sd = known.unwrap_or_else(|| {
                model.network.parameters.push(Parameter {
                    name,
                    rows,
                    columns,
                    start: prior_sd.ln(),
                });
                model.network.parameters.len() - 1
            });
            parameters.push((mean, ParameterId(log_sd as u32)));
        }
        let moves = derivation.gradient.mean_fields.iter().any(|field| field.kernel == kernel);
        let factor = FactorRef { block: Block::Posterior, at: at as u32 };
        fields.push(MeanField {
            factor,
            kernel,
            parameters,
            prior_mean,
            prior_sd,
            moves,
            mirrors: false,
        });
    }
    errors.extend(fields.iter().find_map(|field| previous(model, bound, field)));
    if errors.is_empty() { Ok(fields) } else { Err(errors) }
}

fn is_mean_field(factor: &Factor) -> bool {
    matches!(&factor.kernel, KernelRef::InPlace(field) if field.is_mean_field())
}

/// Mean and standard deviation of each weight under the prior; `None` where that is no normal.
fn normal_prior(model: &Model, bound: &Bound, kernel: KernelId) -> Option<(f64, f64)> {
    let factor = bound.prior.iter().find(|factor| factor.targets == [Target::Weights(kernel)])?;
    let KernelRef::InPlace(distribution) = &factor.kernel else { return None };
    let (mean, sd) = distribution.as_normal()?;
    let value = |ids: &[ExprId]| {
        Some(model.graph.evaluate(*ids.first()?, &model.param_values(), &|_| f64::NAN, f64::NAN))
    };
    Some((value(mean)?, value(sd)?))
}

/// A copy of the last round whose weights are drawn: of which draw it would be is not settled.
fn previous(model: &Model, bound: &Bound, field: &MeanField) -> Option<Diagnostic> {
    let factors = [Block::Prior, Block::Posterior, Block::Auxiliary]
        .into_iter()
        .flat_map(|block| bound.factors(block));
    let factor = factors.into_iter().find(|factor| match learned(&factor.kernel) {
        Some((kernel, super::Version::Previous)) => {
            let read = kernel_parameters(model, kernel);
            field.parameters.iter().any(|(mean, _)| read.contains(mean))
        }
        Some((_, super::Version::Present)) | None => false,
    })?;
    let name = &model.kernel(field.kernel).name;
    Some(refused(
        factor.span,
        format!(
            "the weights of `{name}` are drawn: what it was in the last round is a mixture over \
             all of them, whose density is an integral"
        ),
    ))
}

/// A step in a metric of distributions is one of the parameters that they have, not of a draw:
/// `measured` are those that a step's draws are drawn from.
pub(super) fn along_a_metric(
    model: &Model,
    settings: &Settings,
    fields: &[MeanField],
    measured: &BTreeSet<ParameterId>,
) -> Option<Diagnostic> {
    let setting = model.setting("update").filter(|_| settings.update != Update::Gradient)?;
    let is_exact = matches!(settings.update, Update::Exact { .. });
    let field = fields.iter().find(|field| {
        is_exact || field.parameters.iter().any(|(mean, _)| measured.contains(mean))
    })?;
    let name = &model.kernel(field.kernel).name;
    let message = format!(
        "`update` measures how far a policy goes, and the weights of `{name}` are drawn anew for \
         each batch"
    );
    let told = Diagnostic::error("bad-setting", setting.span, message);
    Some(told.hint("leave `update` away: optimiser steps move the means and deviations of weights"))
}

/// What the bound that is told means where weights are drawn once a run.
pub(super) fn remark(model: &Model, field: &MeanField, settings: &Settings) -> String {
    let name = &model.kernel(field.kernel).name;
    let all = settings.steps as f64 * settings.trajectories as f64;
    format!(
        "the weights of `{name}` are drawn once a run: a trajectory bears 1/{all} of their \
         divergence, the run having so many"
    )
}

/// Notes which fields move and enter densities of whole trajectories alone: `elsewhere` are the
/// parameters that anything else reads.
pub(super) fn note_mirrors(fields: &mut [MeanField], elsewhere: &BTreeSet<ParameterId>) {
    for field in fields {
        field.mirrors =
            field.moves && !field.parameters.iter().any(|(mean, _)| elsewhere.contains(mean));
    }
}

impl Plan {
    /// Trajectories of the whole run as planned: the data that weights which are drawn once a run
    /// are one draw for. `until` may end a run before; a run that is resumed has as many as one
    /// that never stopped.
    pub fn trajectories_of_run(&self) -> f64 {
        self.settings.steps as f64 * self.settings.trajectories as f64
    }
}

/// Why the weights of a model that a classifier tells from the environment are not drawn: the
/// classifier learns at their means, and what the draw differs by is a density.
pub(super) fn beside_a_ratio(
    model: &Model,
    weights: &[MeanField],
    terms: &[Term],
) -> Option<Diagnostic> {
    let ratios = terms.iter().filter_map(|term| match &term.quantity {
        Quantity::Ratio(ratio) => Some(ratio),
        _ => None,
    });
    let mut drawn = ratios.filter_map(|ratio| {
        let drawn = ratio.model.as_ref().filter(|of| matches!(of.head, Head::Implicit { .. }))?;
        let of_model = kernel_parameters(model, drawn.kernel);
        let is_of_model =
            |field: &&MeanField| field.parameters.iter().any(|(mean, _)| of_model.contains(mean));
        Some((ratio, weights.iter().find(is_of_model)?))
    });
    let (ratio, field) = drawn.next()?;
    let name = &model.kernel(field.kernel).name;
    let message = format!(
        "the weights of `{name}` are drawn anew for each batch, and with them its ratio to the \
         environment: `{name}` has no density by which one classifier could follow"
    );
    Some(refused(ratio.span, message))
}
