//! The gradient of a bound: which terms each score is credited with, and which terms move directly.

use super::derivation::{Credit, Gradient, Pathwise, Remark, Score, Term, TermId, TermKind};
use super::influence::{Drawn, Read, When, drawn, factor_reads, term_reads, widest};
use super::rules::{Work, kernels_of};
use crate::model::{Block, Bound, FactorRef, Index, KernelId, KernelRef, Model, SettingValue, TargetVariable, kernel_parameters};
use std::collections::BTreeSet;

/// `∇L = E_q[Σ_i ∇log q_i · (Σ_{k downstream of i} f_k − b_i) + Σ_k ∇f_k]`
///
/// A term that reads nothing the draw `i` can influence has no covariance with its score, and is left out of its credit. The factors that cancelled
/// in the bound are still drawn from, so their scores stand here.
pub fn gradient(work: &Work, terms: &[Term]) -> Gradient {
    let reads: Vec<Vec<Read>> = terms.iter().map(|term| term_reads(work.model, work.bound, term)).collect();
    let mut gradient = Gradient { over: work.over.clone(), ..Gradient::default() };
    for (at, factor) in work.bound.posterior.iter().enumerate() {
        let KernelRef::Learned(kernel) = factor.kernel else { continue };
        if !work.moves(&factor.kernel) {
            continue;
        }
        let reach = work.influence.from([factor]);
        let credited = terms.iter().zip(&reads).enumerate().filter_map(|(number, (term, reads))| {
            if matches!(term.kind, TermKind::Constant { .. }) {
                return None;
            }
            let from = widest(reads.iter().map(|read| reach.downstream(*read)))?;
            Some(Credit { term: TermId(number as u32), from })
        });
        let credit = credited.collect();
        let given = factor_reads(work.model, work.bound, factor);
        let factor = FactorRef { block: Block::Posterior, at: at as u32 };
        gradient.scores.push(Score { factor, kernel, credit, baseline_reads: baseline_reads(work, factor, &given) });
    }
    let moving: Vec<(KernelId, BTreeSet<_>)> = work.over.iter().map(|kernel| (*kernel, kernel_parameters(work.model, *kernel))).collect();
    for (number, term) in terms.iter().enumerate() {
        let in_term: Vec<KernelId> = direct_kernels(work.bound, &term.kind);
        let parameters_in: BTreeSet<_> = in_term.iter().flat_map(|kernel| kernel_parameters(work.model, *kernel)).collect();
        if parameters_in.is_empty() {
            continue;
        }
        let kernels: Vec<KernelId> = moving
            .iter()
            .filter(|(_, own)| own.iter().any(|parameter| parameters_in.contains(parameter)))
            .map(|(kernel, _)| *kernel)
            .collect();
        if !kernels.is_empty() {
            gradient.pathwise.push(Pathwise { term: TermId(number as u32), kernels });
        }
    }
    gradient.remarks = remarks(work.model, terms);
    gradient
}

/// The learned kernels whose parameters the gradient passes through where a term contains them. `∇log q` at the draw has mean zero and is left out; a
/// classifier's logit is held fixed.
fn direct_kernels(bound: &Bound, kind: &TermKind) -> Vec<KernelId> {
    let learned = |kernel: &KernelRef| match kernel {
        KernelRef::Learned(kernel) => Some(*kernel),
        KernelRef::Previous(_) | KernelRef::Environment(..) | KernelRef::Data(_) | KernelRef::InPlace(_) => None,
    };
    match kind {
        TermKind::LogRatio { p, .. } => learned(&bound.factor(*p).kernel).into_iter().collect(),
        TermKind::LogFactor { factor } if factor.block == Block::Posterior => Vec::new(),
        TermKind::DensityRatio { .. } | TermKind::Constant { .. } => Vec::new(),
        TermKind::Exponent { .. }
        | TermKind::LogDensity { .. }
        | TermKind::LogFactor { .. }
        | TermKind::Kl { .. }
        | TermKind::Entropy { .. }
        | TermKind::LogCount { .. } => kernels_of(bound, kind).into_iter().filter_map(learned).collect(),
    }
}

/// A baseline may read what the draw cannot influence: the conditions of the factor, and the other variables at its own time that come before it.
fn baseline_reads(work: &Work, factor: FactorRef, given: &[Read]) -> Vec<(crate::model::VariableId, Index)> {
    let q = work.bound.factor(factor);
    let reach = work.influence.from([q]);
    let own = drawn(q.targets[0]);
    let same_time = work.bound.posterior.iter().flat_map(|factor| &factor.targets).filter_map(|target| match (drawn(*target), own.1) {
        ((what @ Drawn::Variable(TargetVariable::Variable(_)), When::Step(_)), When::Step(_)) => Some(Read { what, when: own.1 }),
        ((what @ Drawn::Variable(TargetVariable::Variable(_)), When::Fixed(_)), When::Fixed(_)) => Some(Read { what, when: own.1 }),
        _ => None,
    });
    let mut allowed: Vec<_> = given.iter().copied().chain(same_time).filter(|read| !reach.influences(*read)).filter_map(index_of).collect();
    allowed.sort_unstable();
    allowed.dedup();
    allowed
}

fn index_of(read: Read) -> Option<(crate::model::VariableId, Index)> {
    let Drawn::Variable(TargetVariable::Variable(id)) = read.what else { return None };
    let index = match read.when {
        When::Step(k) | When::Through(k) => Index::Step(k),
        When::Fixed(super::derivation::Moment::First(0)) => Index::First,
        When::Fixed(super::derivation::Moment::Last(k)) => Index::Last(k),
        When::Fixed(super::derivation::Moment::First(_)) | When::From(_) => return None,
    };
    Some((id, index))
}

/// What biases the gradient by choice of the settings, and what a classifier or an unknown constant leaves open.
fn remarks(model: &Model, terms: &[Term]) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut say = |text: &str| remarks.push(Remark(text.to_owned()));
    let value = |key: &str| model.setting(key).map(|setting| &setting.value);
    if value("kl_to_go") == Some(&SettingValue::Truth(false)) {
        say(
            "kl_to_go = false drops the later KL and entropy terms from the credit of an action: the gradient is biased, except where the policy equals its prior",
        );
    }
    if matches!(value("lambda"), Some(SettingValue::Number(lambda)) if *lambda < 1.0) {
        say("lambda < 1 puts learned values in the place of later terms: the gradient is biased as far as they are wrong");
    }
    if matches!(value("discount"), Some(SettingValue::Number(discount)) if *discount < 1.0) {
        say("discount < 1 weighs later terms less than the bound does: the gradient is biased, its variance smaller");
    }
    if value("clip_ratio").is_some() {
        say("clip_ratio drops the gradient of steps whose importance weight has left the clipping range: biased after the first epoch");
    }
    let advantages = SettingValue::Word("advantages".into());
    let scaled = match value("normalize") {
        Some(SettingValue::List(what)) => what.contains(&advantages),
        Some(what) => *what == advantages,
        None => false,
    };
    if scaled {
        say("normalize = advantages rescales the credit of each batch: the direction is biased by its own sample");
    }
    for term in terms {
        match &term.kind {
            TermKind::DensityRatio { .. } => {
                say(
                    "the logit of a classifier stands for the log-ratio of densities: bound and gradient are estimates, exact for the optimal classifier",
                );
            }
            TermKind::Constant { name, of } if matches!(**of, TermKind::LogFactor { .. }) => {
                say(&format!("the bound is printed up to {name}, a constant that is not known"));
            }
            _ => {}
        }
    }
    remarks.dedup();
    remarks
}
