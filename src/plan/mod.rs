//! Model and Derivation in, Plan out: for each term its estimator and why, what is downstream of what, and the settings of the run.
//! Allocates no tensors, never samples.

mod estimators;
mod head;
mod keys;
mod print;
mod prior;
mod refuse;
mod schedules;
mod settings;
mod terms;
#[cfg(test)]
mod tests;
mod together;
mod until;

pub use estimators::{Alternative, alternatives};
pub use head::Head;
pub use keys::{Choice, KEYS, Key, KeyDefault, KeyKind, OPTIMIZERS, UPDATES};
pub use settings::{Baseline, Normalize, Optimizer, Precision, Schedule, Settings, Update};
pub use terms::{Estimator, Prior, Quantity, Term, Version};
pub use until::{Relation, Until, WATCHED, Watched};

use crate::bound::{BoundDerivation, Derivation};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::expr::{Graph, ParamId};
use crate::model::{
    EnvironmentId, FactorRef, Index, KernelId, Kind, Model, Parameter, ParameterId, Role, Value, VariableId, kernel_parameters,
    parameters_of,
};
use crate::source::Span;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How a model is trained: everything the engine needs besides the world.
#[derive(Clone, Debug)]
pub struct Plan {
    pub model: Arc<Model>,
    pub derivation: BoundDerivation,
    pub settings: Settings,
    pub environment: EnvironmentId,
    pub policy: Policy,
    /// What the baseline's network reads at `t`; empty where it is none.
    pub baseline_reads: Vec<Read>,
    /// The terms of the bound, in the derivation's order.
    pub terms: Vec<Term>,
    /// The model's expressions and those made for this plan: what the terms' expressions stand in.
    pub graph: Graph,
    /// Parameters that the bound's gradient moves.
    pub trained: BTreeSet<ParameterId>,
    /// Parameters of the baseline that its own fit moves: those the bound's gradient does not.
    pub fitted: BTreeSet<ParameterId>,
    /// The baseline's network shares parameters with what is trained, and its fit moves them too.
    pub shared: bool,
    /// The variables whose real components networks see normalised.
    pub normalizers: Vec<Normalizer>,
    /// The params that move over the batches, and how.
    pub schedules: Vec<(ParamId, Schedule)>,
    /// What the reader of a result has to know: each choice that biases the gradient, each param that moves.
    pub remarks: Vec<String>,
}

/// How the components of a variable are normalised: by parameters that no gradient moves.
#[derive(Clone, Copy, Debug)]
pub struct Normalizer {
    pub variable: VariableId,
    /// One number per component; 0 and 1 before anything was seen.
    pub mean: ParameterId,
    /// The logarithm of the standard deviation.
    pub log_deviation: ParameterId,
}

/// The factor of the posterior whose draws are scored.
#[derive(Clone, Debug)]
pub struct Policy {
    pub factor: FactorRef,
    pub kernel: KernelId,
    /// The variable it draws.
    pub action: VariableId,
    pub head: Head,
    /// What the kernel's givens read at `t`, in their order.
    pub reads: Vec<Read>,
}

/// What a given of a kernel reads at step `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The value of a state, observation or action at `t`.
    Variable(VariableId),
    Time,
}

/// Decides how each term of the bound and of its gradient is estimated. What this version cannot train is refused, all at once, each
/// with its place.
pub fn plan(model: &Model, derivation: &Derivation) -> Result<Plan, Diagnostics> {
    let mut errors = Vec::new();
    let settings = match settings::read(model) {
        Ok(settings) => Some(settings),
        Err(found) => {
            errors.extend(found);
            None
        }
    };
    errors.extend(refuse::constructs(model, derivation));
    let planned = match (settings, derivation.bounds.first()) {
        (Some(settings), Some(bound)) if errors.is_empty() => assemble(model, bound, settings),
        _ => Err(errors),
    };
    planned.map_err(|list| Diagnostics { list, sources: model.sources.clone() })
}

fn assemble(model: &Model, derivation: &BoundDerivation, settings: Settings) -> Result<Plan, Vec<Diagnostic>> {
    let bound = model.bound(derivation.bound);
    let [score] = derivation.gradient.scores.as_slice() else {
        let message = match derivation.gradient.scores.len() {
            0 => "the posterior has no kernel with parameters, so there is nothing to train".to_string(),
            n => format!("{n} factors of the posterior have parameters; this version trains one, the policy's"),
        };
        return Err(vec![refused(bound.span, message)]);
    };
    let policy = policy(model, bound, score.factor, score.kernel)?;
    let environment = model
        .variable(policy.action)
        .environment
        .ok_or_else(|| vec![refused(model.variable(policy.action).span, "this version trains actions of an environment only")])?;
    let baseline_reads = match &settings.baseline {
        Baseline::Network { arguments, .. } => {
            let span = model.setting("baseline").map_or(bound.span, |s| s.span);
            reads(model, arguments, span, "the baseline")?
        }
        Baseline::None | Baseline::LeaveOneOut => Vec::new(),
    };
    let mut scalars = terms::Scalars { graph: model.graph.clone(), inputs: model.inputs.clone() };
    let terms = terms::terms(model, bound, derivation, score, &settings, (&policy, environment), &mut scalars)?;
    let moved: BTreeSet<ParameterId> = match model.objectives.as_slice() {
        [objective] if !objective.over.is_empty() => objective.over.iter().flat_map(|&kernel| kernel_parameters(model, kernel)).collect(),
        _ => model.kernels.iter().enumerate().flat_map(|(k, _)| kernel_parameters(model, KernelId(k as u32))).collect(),
    };
    let of_head = |head: &Head| head.layers().into_iter().flat_map(|layer| parameters_of(&model.network, layer)).collect::<BTreeSet<_>>();
    let mut used = of_head(&policy.head);
    for term in &terms {
        if let Quantity::Kl { prior: Prior::Kernel { of: Version::Present, head, .. } } = &term.quantity {
            used.extend(of_head(head));
        }
    }
    let trained: BTreeSet<ParameterId> = used.intersection(&moved).copied().collect();
    let read_by_baseline = match &settings.baseline {
        Baseline::Network { layer, .. } => parameters_of(&model.network, *layer),
        Baseline::None | Baseline::LeaveOneOut => BTreeSet::new(),
    };
    let fitted = read_by_baseline.difference(&used).copied().collect();
    let shared = !read_by_baseline.is_disjoint(&trained);
    verify_rounds(model, &terms, &settings)?;
    if let Some(error) = together::unshared(model, shared) {
        return Err(vec![error]);
    }
    if let (true, Update::TrustRegion { .. }, Some(setting)) = (shared, settings.update, model.setting("baseline")) {
        let message = "a trust region bounds how far the policy moves, and this baseline shares a `net` with it, which its fit would move";
        let error = Diagnostic::error("bad-setting", setting.span, message);
        return Err(vec![error.hint("give the baseline a network of its own")]);
    }
    let schedules = schedules::schedules(model, &settings)?;
    let mut remarks = remarks(derivation, &settings, shared);
    remarks.extend(schedules::remarks(model, &schedules));
    let terms::Scalars { graph, inputs } = scalars;
    let mut model = Model { inputs, ..model.clone() };
    let normalizers = if settings.normalize.observations { normalizers(&mut model, environment)? } else { Vec::new() };
    Ok(Plan {
        model: Arc::new(model),
        derivation: derivation.clone(),
        settings,
        environment,
        policy,
        baseline_reads,
        terms,
        graph,
        trained,
        fitted,
        shared,
        normalizers,
        schedules,
        remarks,
    })
}

impl Plan {
    /// The plan of the bound that training ends with: each schedule at its last value.
    pub fn settled(&self) -> Plan {
        Plan { schedules: Vec::new(), ..self.clone() }
    }
}

fn policy(model: &Model, bound: &crate::model::Bound, at: FactorRef, kernel: KernelId) -> Result<Policy, Vec<Diagnostic>> {
    let factor = bound.factor(at);
    let [crate::model::Target::Variable { variable: crate::model::TargetVariable::Variable(action), index: Index::Step(0) }] =
        factor.targets.as_slice()
    else {
        return Err(vec![refused(factor.span, "this version trains a kernel that draws one variable at every `t`")]);
    };
    let variable = model.variable(*action);
    if variable.role != Role::Action {
        return Err(vec![refused(factor.span, format!("`{}` is not an action; this version trains policies only", variable.name))]);
    }
    let head = kernel_head(model, kernel, *action)?;
    let name = &model.kernel(kernel).name;
    let reads = reads(model, &factor.arguments, factor.span, &format!("`{name}`"))?;
    Ok(Policy { factor: at, kernel, action: *action, head, reads })
}

/// The head of a kernel over the action.
fn kernel_head(model: &Model, kernel: KernelId, action: VariableId) -> Result<Head, Vec<Diagnostic>> {
    let kernel = model.kernel(kernel);
    head::head(model, &kernel.distribution, action).map_err(|what| {
        let message =
            format!("`{}` is {what}; this version trains `Categorical(logits = …)`, `Normal` and `TanhNormal` over actions", kernel.name);
        vec![refused(kernel.span, message)]
    })
}

/// Parameters for the mean and the deviation of the state and the observation, where they are real.
fn normalizers(model: &mut Model, environment: EnvironmentId) -> Result<Vec<Normalizer>, Vec<Diagnostic>> {
    let environment = model.environment(environment);
    let mut found = Vec::new();
    for variable in [Some(environment.state), environment.observation].into_iter().flatten() {
        let (name, domain) = (model.variable(variable).name.clone(), &model.variable(variable).domain);
        let columns = domain.width();
        if !domain.components.iter().any(|component| matches!(component.kind, Kind::Real { .. })) {
            continue;
        }
        let mut parameter = |what: &str| {
            model.network.parameters.push(Parameter { name: format!("normalize.{name}.{what}"), rows: 1, columns });
            ParameterId(model.network.parameters.len() as u32 - 1)
        };
        found.push(Normalizer { variable, mean: parameter("mean"), log_deviation: parameter("log_deviation") });
    }
    match (found.is_empty(), model.setting("normalize")) {
        (true, Some(setting)) => {
            let message = "there are no observations to normalise: no component of the state or observation is real";
            Err(vec![Diagnostic::error("bad-setting", setting.span, message)])
        }
        (true | false, _) => Ok(found),
    }
}

/// `rounds` move `previous`, so a model without it has none.
fn verify_rounds(model: &Model, terms: &[Term], settings: &Settings) -> Result<(), Vec<Diagnostic>> {
    match model.setting("rounds") {
        Some(setting) if settings.rounds > 1 && !terms.iter().any(Term::reads_previous) => {
            let message = "`rounds` move `previous`, and no prior of this model reads it";
            let error = Diagnostic::error("bad-setting", setting.span, message);
            Err(vec![error.hint("write `steps` for the number of batches, or the prior `a[t] ~ previous pi(s[t])`")])
        }
        Some(_) | None => Ok(()),
    }
}

/// What the arguments of a kernel read; anything but a variable at `t` and the time is refused.
fn reads(model: &Model, arguments: &[Value], span: Span, who: &str) -> Result<Vec<Read>, Vec<Diagnostic>> {
    let read = |value: &Value| match value {
        Value::Variable { variable, index: Index::Step(0) } => Ok(Read::Variable(*variable)),
        Value::Time => Ok(Read::Time),
        Value::Variable { variable, .. } => Err(format!("reads `{}` at another time than `t`", model.variable(*variable).name)),
        Value::Reward { .. } => Err("reads a reward".to_string()),
        Value::Window { variable, .. } => Err(format!("reads a window of `{}`", model.variable(*variable).name)),
        Value::Past { variable, .. } => Err(format!("reads the past of `{}`", model.variable(*variable).name)),
        Value::Future { variable, .. } => Err(format!("reads the future of `{}`", model.variable(*variable).name)),
        Value::Expression(_) => Err("reads an expression".to_string()),
        Value::Absent => Err("reads `none`".to_string()),
    };
    let mut found = Vec::with_capacity(arguments.len());
    for value in arguments {
        found.push(read(value).map_err(|what| {
            let message = format!("{who} {what}; this version trains kernels that read variables at `t` and the time");
            vec![refused(span, message)]
        })?);
    }
    Ok(found)
}

fn remarks(derivation: &BoundDerivation, settings: &Settings, shared: bool) -> Vec<String> {
    let mut remarks: Vec<String> = derivation.gradient.remarks.iter().map(|remark| remark.0.clone()).collect();
    if !settings.kl_to_go {
        remarks.push("kl_to_go = false: a draw is not credited with later action terms; the gradient is biased".into());
    }
    if settings.lambda < 1.0 {
        remarks.push(format!("lambda = {}: credit bootstraps from a learned value; the gradient is biased", settings.lambda));
    }
    if settings.discount < 1.0 {
        remarks.push(format!("discount = {}: credit fades with time; the gradient is biased", settings.discount));
    }
    if let Some(steps) = settings.n_step {
        remarks.push(format!("n_step = {steps}: credit bootstraps from a learned value; the gradient is biased"));
    }
    if shared && settings.baseline_weight > 0.0 {
        let weight = settings.baseline_weight;
        remarks.push(format!(
            "the baseline shares a `net` with the policy: its fit moves it too, with weight {weight}; the gradient is biased"
        ));
    }
    if settings.update == Update::Gradient && settings.reuses_batches() {
        remarks.push(
            "a batch is used again: the ratios of earlier draws are left out of a draw's weight; biased as the policy leaves the one that drew"
                .into(),
        );
    }
    if let Some(clip) = settings.clip_ratio {
        remarks.push(format!("clip_ratio = {clip}: draws whose ratio has left the range have no gradient; biased"));
    }
    if settings.clip_norm.is_some() {
        remarks.push("clip_norm: long gradients are scaled down; their mean is biased".into());
    }
    remarks
}

/// The refusal of a construct that is understood and not yet trained.
fn refused(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("not-run", span, message)
}
