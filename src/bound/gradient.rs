//! The gradient of a bound: which terms each score is credited with, which terms move directly, and
//! which move through draws.

use super::density::{Density, density, is_finite};
use super::derivation::{
    BaselineReads, Credit, Gradient, MeanField, NoiseForm, Pathwise, Peers, Remark,
    Reparameterised, Score,
};
use super::influence::{Drawn, Reach, Read, Scope, When, drawn, factor_reads, term_reads, widest};
use super::rules::{Work, kernels_of};
use super::term::{Downstream, Moment, Term, TermId, TermKind};
use crate::family::{Path, Squash};
use crate::model::{
    Block, Bound, Distribution, Dynamics, EnvironmentKernel, Factor, FactorRef, Index, KernelId,
    KernelRef, Model, ParameterId, Role, Setting, SettingValue, Target, TargetVariable, VariableId,
    kernel_parameters,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// `∇L = E_q[Σ_i ∇log q_i · (Σ_{k downstream of i} f_k − b_i) + Σ_k ∇f_k]`
///
/// A term that reads nothing the draw `i` can influence has no covariance with its score, and is
/// left out of its credit. The factors that cancelled in the bound are still drawn from, so their
/// scores stand here.
pub fn gradient(work: &Work, terms: &[Term]) -> Gradient {
    let readers = readers(work.scope, terms);
    let mut gradient =
        Gradient { over: work.over.clone(), drawn: peers(work.bound), ..Gradient::default() };
    let through = Through::of(work);
    for (at, factor) in work.bound.posterior.iter().enumerate() {
        if !work.moves(&factor.kernel) && !through.moves(work.scope, factor) {
            continue;
        }
        // any other has no parameters, and moves with what it conditions on
        let kernel = match factor.kernel {
            KernelRef::Learned(kernel) => Some(kernel),
            KernelRef::Previous(_)
            | KernelRef::Environment(..)
            | KernelRef::Data(_)
            | KernelRef::InPlace(_) => None,
        };
        if let Some(form) = through.form(work.model, factor) {
            let factor = FactorRef { block: Block::Posterior, at: at as u32 };
            gradient.reparameterised.push(Reparameterised { factor, kernel, form });
            if form != NoiseForm::Part {
                continue;
            }
        }
        let reach = work.influence.from([factor]);
        // only terms that read what is influenced are looked at: a bound of many factors is not
        // gone through once for each of them
        let mut credited: BTreeMap<TermId, Downstream> = BTreeMap::new();
        for (term, read) in reach.influenced().filter_map(|drawn| readers.get(&drawn)).flatten() {
            if let Some(from) = widest([reach.downstream(*read), credited.get(term).copied()]) {
                credited.insert(*term, from);
            }
        }
        let credit = credited.into_iter().map(|(term, from)| Credit { term, from }).collect();
        let baseline = baseline_reads(work.scope, factor, &reach);
        let factor = FactorRef { block: Block::Posterior, at: at as u32 };
        gradient.scores.push(Score { factor, kernel, credit, baseline });
    }
    let mut movers: BTreeMap<ParameterId, Vec<KernelId>> = BTreeMap::new();
    for kernel in &work.over {
        kernel_parameters(work.model, *kernel)
            .into_iter()
            .for_each(|parameter| movers.entry(parameter).or_default().push(*kernel));
    }
    for (number, term) in terms.iter().enumerate() {
        let parameters = direct_kernels(work.model, work.bound, &term.kind)
            .into_iter()
            .flat_map(|kernel| kernel_parameters(work.model, kernel));
        let kernels: BTreeSet<KernelId> =
            parameters.filter_map(|parameter| movers.get(&parameter)).flatten().copied().collect();
        if !kernels.is_empty() {
            gradient.pathwise.push(Pathwise {
                term: TermId(number as u32),
                kernels: kernels.into_iter().collect(),
            });
        }
    }
    if let Some(reach) = &through.reach {
        let reads_draw = |term: &Term| {
            term_reads(work.scope, term).into_iter().any(|read| reach.downstream(read).is_some())
        };
        let moves = |(_, term): &(usize, &Term)| {
            !matches!(term.kind, TermKind::Constant { .. } | TermKind::LogCount { .. })
                && reads_draw(term)
        };
        gradient.through = terms
            .iter()
            .enumerate()
            .filter(moves)
            .map(|(number, _)| TermId(number as u32))
            .collect();
    }
    gradient.mean_fields = mean_fields(work, terms, &gradient);
    gradient.remarks = remarks(work.model, terms);
    gradient
}

/// The real draws that a gradient may pass through, and what those that move can influence.
struct Through<'a> {
    /// Where the settings ask for it, or a kernel that moves has no density.
    asked: bool,
    /// Of those whose kernels move; absent where there are none.
    reach: Option<Reach<'a>>,
}

impl<'a> Through<'a> {
    fn of(work: &Work<'a>) -> Through<'a> {
        let posterior = work.bound.posterior.iter();
        let is_imagined = posterior.clone().any(|factor| {
            draws_state(work.model, factor) && matches!(factor.kernel, KernelRef::Learned(_))
        });
        let has_no_density = |factor: &Factor| {
            noise_form(work.model, factor).is_some_and(|form| !form.has_density())
                && work.moves(&factor.kernel)
        };
        let asked = is_imagined && (is_asked(work) || posterior.clone().any(has_no_density));
        let through = Through { asked, reach: None };
        let moved: Vec<&Factor> = posterior
            .filter(|factor| {
                work.moves(&factor.kernel) && through.form(work.model, factor).is_some()
            })
            .collect();
        let reach = (!moved.is_empty()).then(|| work.influence.from(moved));
        Through { reach, ..through }
    }

    fn form(&self, model: &Model, factor: &Factor) -> Option<NoiseForm> {
        if self.asked { noise_form(model, factor) } else { None }
    }

    /// Whether a factor conditions on what moves through draws.
    fn moves(&self, scope: &Scope, factor: &Factor) -> bool {
        let Some(reach) = &self.reach else { return false };
        factor_reads(scope, factor).into_iter().any(|read| reach.downstream(read).is_some())
    }
}

/// Whether `estimator = pathwise` holds for an objective of the bound.
fn is_asked(work: &Work) -> bool {
    let of = |settings: &[Setting]| {
        settings
            .iter()
            .find(|setting| setting.key == "estimator")
            .map(|setting| setting.value.clone())
    };
    let pathwise = SettingValue::Word("pathwise".into());
    let own = work
        .model
        .objectives
        .iter()
        .filter(|objective| std::ptr::eq(work.model.bound(objective.bound), work.bound));
    own.map(|objective| of(&objective.settings).or_else(|| of(&work.model.settings)))
        .any(|value| value == Some(pathwise.clone()))
}

fn draws_state(model: &Model, factor: &Factor) -> bool {
    factor.targets.iter().any(|target| match target {
        Target::Variable { variable: TargetVariable::Variable(id), .. } => {
            model.variable(*id).role == Role::State
        }
        Target::Variable { .. } | Target::Weights(_) => false,
    })
}

/// How noise makes what a factor draws; `None` where that is not a smooth function of noise.
fn noise_form(model: &Model, factor: &Factor) -> Option<NoiseForm> {
    if factor.targets.iter().any(|target| matches!(target, Target::Weights(_))) {
        return None;
    }
    let form = match &factor.kernel {
        KernelRef::Learned(kernel) => NoiseForm::of(&model.kernel(*kernel).distribution),
        KernelRef::InPlace(distribution) => NoiseForm::of(distribution),
        KernelRef::Environment(environment, EnvironmentKernel::Observation) => {
            match &model.environment(*environment).dynamics {
                Dynamics::Written { observation: Some(distribution), .. } => {
                    NoiseForm::of(distribution).filter(|_| is_by_formula(distribution))
                }
                Dynamics::Written { observation: None, .. } | Dynamics::External { .. } => None,
            }
        }
        KernelRef::Environment(..) | KernelRef::Previous(_) | KernelRef::Data(_) => None,
    }?;
    // whose part is drawn first has a credit of its own: a start's is not that of a step, and
    // what draws several values has one of none
    let is_of_step = match factor.targets[..] {
        [Target::Variable { variable: TargetVariable::Variable(id), index }] => {
            model.variable(id).role != Role::State || index != Index::First
        }
        _ => false,
    };
    match form {
        NoiseForm::Part if !is_of_step => None,
        // among finitely many values it jumps
        NoiseForm::Point if is_finite(model, factor) => None,
        _ => Some(form),
    }
}

/// Expressions say how draws move with the arguments.
fn is_by_formula<A>(distribution: &Distribution<A>) -> bool {
    match distribution {
        Distribution::Real { family, .. } => matches!(family.path(), Some(Path::Formula(_))),
        Distribution::Record(parts) => parts.iter().all(is_by_formula),
        _ => false,
    }
}

impl NoiseForm {
    /// `None` where draws are no smooth function of noise.
    pub fn of<A>(distribution: &Distribution<A>) -> Option<NoiseForm> {
        match distribution {
            Distribution::Real { family, .. } => match family.as_normal() {
                Some(Squash::Nothing) => Some(NoiseForm::Normal),
                Some(Squash::Tanh) => Some(NoiseForm::TanhNormal),
                None => family.has_path().then_some(NoiseForm::Quantile),
            },
            Distribution::Implicit(_) => Some(NoiseForm::Implicit),
            Distribution::Delta(_) => Some(NoiseForm::Point),
            Distribution::Record(parts) => {
                let forms: Option<BTreeSet<NoiseForm>> = parts.iter().map(NoiseForm::of).collect();
                let forms = forms.filter(|forms| forms.iter().all(|form| form.has_density()))?;
                match forms.len() {
                    1 => forms.first().copied(),
                    _ if forms.contains(&NoiseForm::Part) => Some(NoiseForm::Part),
                    _ => Some(NoiseForm::Quantile),
                }
            }
            Distribution::Mixture(parts) => {
                let mut forms = parts.iter().map(|(_, part)| NoiseForm::of(part));
                forms
                    .all(|form| form.is_some_and(NoiseForm::has_density))
                    .then_some(NoiseForm::Part)
            }
            Distribution::Uniform
            | Distribution::UniformBox { .. }
            | Distribution::UniformOver(_)
            | Distribution::Categorical(_)
            | Distribution::Bernoulli(_)
            | Distribution::Sticky { .. }
            | Distribution::If { .. } => None,
        }
    }
}

/// The terms that read each thing drawn; constants are credited to nobody.
fn readers(scope: &Scope, terms: &[Term]) -> HashMap<Drawn, Vec<(TermId, Read)>> {
    let mut readers: HashMap<Drawn, Vec<(TermId, Read)>> = HashMap::new();
    for (number, term) in
        terms.iter().enumerate().filter(|(_, term)| !matches!(term.kind, TermKind::Constant { .. }))
    {
        for read in term_reads(scope, term) {
            readers.entry(read.what).or_default().push((TermId(number as u32), read));
        }
    }
    readers
}

/// The learned distributions over weights that move. Everything that reads the drawn weights moves
/// with them: what is pathwise in the weights is pathwise in means and standard deviations, by the
/// chain rule.
fn mean_fields(work: &Work, terms: &[Term], gradient: &Gradient) -> Vec<MeanField> {
    let scores = &gradient.scores;
    let learned = work.bound.posterior.iter().enumerate().filter_map(|(at, factor)| {
        match (&factor.targets[..], &factor.kernel) {
            ([Target::Weights(kernel)], KernelRef::InPlace(field)) if field.is_mean_field() => {
                Some((FactorRef { block: Block::Posterior, at: at as u32 }, *kernel))
            }
            _ => None,
        }
    });
    let moved = learned.filter_map(|(factor, kernel)| {
        let drawn: BTreeSet<ParameterId> = kernel_parameters(work.model, kernel);
        if drawn.is_disjoint(&work.moving) {
            return None;
        }
        let reads_draw =
            |kernel: KernelId| !kernel_parameters(work.model, kernel).is_disjoint(&drawn);
        let of_weights = |kind: &TermKind| match kind {
            TermKind::Kl { q, .. } | TermKind::LogRatio { q, .. } => *q == factor,
            TermKind::LogFactor { factor: own } => *own == factor,
            TermKind::Exponent { .. }
            | TermKind::LogDensity { .. }
            | TermKind::Entropy { .. }
            | TermKind::LogCount { .. }
            | TermKind::DensityRatio { .. }
            | TermKind::Constant { .. } => false,
        };
        let ids = |wanted: &dyn Fn(&TermKind) -> bool| -> Vec<TermId> {
            (0..terms.len() as u32)
                .map(TermId)
                .filter(|id| wanted(&terms[id.0 as usize].kind))
                .collect()
        };
        let is_closed = |kind: &TermKind| of_weights(kind) && matches!(kind, TermKind::Kl { .. });
        // what is drawn with the weights moves with them, and on through terms
        let makes = |draw: &Reparameterised| draw.kernel.is_some_and(reads_draw);
        let is_made = gradient.reparameterised.iter().any(makes);
        let is_through = |kind: &TermKind| {
            // a ratio without closed form is evaluated at the drawn weights
            direct_kernels(work.model, work.bound, kind).into_iter().any(reads_draw)
                || of_weights(kind) && !is_closed(kind)
        };
        Some(MeanField {
            factor,
            kernel,
            weights: drawn.iter().map(|id| weight_count(work.model, *id)).sum(),
            scores: scores
                .iter()
                .filter(|score| score.kernel.is_some_and(reads_draw))
                .map(|score| score.factor)
                .collect(),
            through: (0u32..)
                .zip(terms)
                .map(|(id, term)| (TermId(id), &term.kind))
                .filter(|(id, kind)| is_through(kind) || is_made && gradient.through.contains(id))
                .map(|(id, _)| id)
                .collect(),
            divergence: ids(&is_closed).first().copied(),
        })
    });
    moved.collect()
}

fn weight_count(model: &Model, id: ParameterId) -> usize {
    let parameter = &model.network.parameters[id.0 as usize];
    parameter.rows * parameter.columns
}

/// The learned kernels whose parameters the gradient passes through where a term contains them.
/// `∇log q` at the draw has mean zero and is left out. A classifier's logit is held fixed, and of
/// the ratio that it stands for `∇log p` is left, if `p` has a density.
fn direct_kernels(model: &Model, bound: &Bound, kind: &TermKind) -> Vec<KernelId> {
    let learned = |kernel: &KernelRef| match kernel {
        KernelRef::Learned(kernel) => Some(*kernel),
        KernelRef::Previous(_)
        | KernelRef::Environment(..)
        | KernelRef::Data(_)
        | KernelRef::InPlace(_) => None,
    };
    match kind {
        TermKind::LogRatio { p, .. } => learned(&bound.factor(*p).kernel).into_iter().collect(),
        TermKind::LogFactor { factor } if factor.block == Block::Posterior => Vec::new(),
        TermKind::DensityRatio { p, .. } => {
            let prior = bound.factor(*p);
            let is_known = density(model, prior) == Density::Known;
            learned(&prior.kernel).filter(|_| is_known).into_iter().collect()
        }
        TermKind::Constant { .. } => Vec::new(),
        TermKind::Exponent { .. }
        | TermKind::LogDensity { .. }
        | TermKind::LogFactor { .. }
        | TermKind::Kl { .. }
        | TermKind::Entropy { .. }
        | TermKind::LogCount { .. } => {
            kernels_of(bound, kind).into_iter().filter_map(learned).collect()
        }
    }
}

/// A baseline may read what the draw cannot influence: the conditions of the factor, and the other
/// variables at its own time that come before it.
fn baseline_reads(scope: &Scope, factor: &Factor, reach: &Reach) -> BaselineReads {
    let when = drawn(factor.targets[0]).1;
    let given = factor_reads(scope, factor)
        .into_iter()
        .filter(|read| !reach.influences(*read))
        .filter_map(index_of)
        .collect();
    let variable = |drawn| match drawn {
        Drawn::Variable(TargetVariable::Variable(id))
            if reach.influences(Read { what: drawn, when }) =>
        {
            Some(id)
        }
        Drawn::Variable(_) | Drawn::Weights(_) => None,
    };
    BaselineReads {
        given,
        at: index_at(when),
        except: reach.influenced().filter_map(variable).collect(),
    }
}

/// The variables that the posterior draws at every step, and those at one.
fn peers(bound: &Bound) -> Peers {
    let mut peers = Peers::default();
    for target in bound.posterior.iter().flat_map(|factor| &factor.targets) {
        if let (Drawn::Variable(TargetVariable::Variable(id)), when) = drawn(*target) {
            match when {
                When::Fixed(_) => peers.once.insert(id),
                When::Step(_) | When::Through(_) | When::From(_) => peers.each_step.insert(id),
            };
        }
    }
    peers
}

fn index_of(read: Read) -> Option<(VariableId, Index)> {
    let Drawn::Variable(TargetVariable::Variable(id)) = read.what else { return None };
    Some((id, index_at(read.when)?))
}

fn index_at(when: When) -> Option<Index> {
    match when {
        When::Step(k) | When::Through(k) => Some(Index::Step(k)),
        When::Fixed(Moment::First(0)) => Some(Index::First),
        When::Fixed(Moment::Last(k)) => Some(Index::Last(k)),
        When::Fixed(Moment::First(_)) | When::From(_) => None,
    }
}

/// What biases the gradient by choice of the settings, and what a classifier or an unknown constant
/// leaves open.
fn remarks(model: &Model, terms: &[Term]) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut say = |text: &str| remarks.push(Remark(text.to_owned()));
    let value = |key: &str| model.setting(key).map(|setting| &setting.value);
    if value("kl_to_go") == Some(&SettingValue::Truth(false)) {
        say("kl_to_go = false drops the later KL and entropy terms from the credit of an action: \
             the gradient is biased, except where the policy equals its prior");
    }
    if matches!(value("lambda"), Some(SettingValue::Number(lambda)) if *lambda < 1.0) {
        say("lambda < 1 puts learned values in the place of later terms: the gradient is biased \
             as far as they are wrong");
    }
    if matches!(value("discount"), Some(SettingValue::Number(discount)) if *discount < 1.0) {
        say("discount < 1 weighs later terms less than the bound does: the gradient is biased, \
             its variance smaller");
    }
    if value("clip_ratio").is_some() {
        say(
            "clip_ratio drops the gradient of steps whose importance weight has left the clipping \
             range: biased after the first epoch",
        );
    }
    let advantages = SettingValue::Word("advantages".into());
    let scaled = match value("normalize") {
        Some(SettingValue::List(what)) => what.contains(&advantages),
        Some(what) => *what == advantages,
        None => false,
    };
    if scaled {
        say(
            "normalize = advantages rescales the credit of each batch: the direction is biased by \
             its own sample",
        );
    }
    for term in terms {
        if matches!(term.kind, TermKind::DensityRatio { .. }) {
            say("the logit of a classifier stands for the log-ratio of densities: bound and \
                 gradient are estimates, exact for the optimal classifier");
        }
        if let Some(name) = term.kind.unknown_constant() {
            say(&format!("the bound is printed up to {name}, a constant that is not known"));
        }
    }
    remarks.dedup();
    remarks
}
