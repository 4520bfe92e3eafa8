//! For each term of the bound: what a sampled step gives to it, how it is estimated, and which draws it credits.

use super::{Baseline, Read, Settings, kernel_logits, prior, reads, refused};
use crate::bound::{BoundDerivation, Downstream, Moment, Score, Sign, TermId, TermKind};
use crate::diagnostic::Diagnostic;
use crate::expr::{ExprId, Graph};
use crate::model::{Bound, EnvironmentId, Index, Input, KernelId, KernelRef, LayerId, LikelihoodForm, Model, VariableId};
use crate::source::Span;

/// One term of the bound, in nats: `sign · Σ_{t = from..to} quantity(t)`, over live steps only where `live`.
#[derive(Clone, Debug)]
pub struct Term {
    pub id: TermId,
    /// How metrics call it.
    pub name: String,
    pub sign: f64,
    pub quantity: Quantity,
    /// Steps of the sum, counted from 1, both included.
    pub from: usize,
    pub to: usize,
    pub live: bool,
    pub estimator: Estimator,
    /// Why that estimator, in one clause.
    pub why: String,
    /// The draw at `t` is credited with the summands `k ≥ t + offset`; `None`: with none of them.
    pub credit: Option<i32>,
    /// The trained parameters enter the term itself.
    pub pathwise: bool,
}

/// What a step of a trajectory gives to a term.
#[derive(Clone, Debug, PartialEq)]
pub enum Quantity {
    /// An expression over the state, the next state, the action, the observation, the rewards and the time.
    Exponent(ExprId),
    /// `H(π(·|·))` at `t`.
    Entropy,
    /// `KL(π ‖ p)` at `t`.
    Kl { prior: Prior },
    /// `log n`: a constant per live step.
    LogCount(f64),
}

/// The prior of a KL.
#[derive(Clone, Debug, PartialEq)]
pub enum Prior {
    /// The log-probability of each action, as expressions over variables at `t`.
    Expressions(Vec<ExprId>),
    Kernel {
        kernel: KernelId,
        logits: LayerId,
        reads: Vec<Read>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimator {
    /// The mean over sampled trajectories; its gradient by the score function.
    Sampled,
    /// In closed form given what it conditions on; its gradient pathwise, and by the score function through earlier draws.
    ClosedForm,
    /// A constant for each live step; its gradient by the score function where draws move the end.
    Counted,
}

/// The plan of every term, in the derivation's order.
pub fn terms(
    model: &Model,
    bound: &Bound,
    derivation: &BoundDerivation,
    score: &Score,
    settings: &Settings,
    environment: EnvironmentId,
    graph: &mut Graph,
) -> Result<Vec<Term>, Vec<Diagnostic>> {
    let mut terms = Vec::with_capacity(derivation.terms.len());
    let mut errors = Vec::new();
    for (at, term) in derivation.terms.iter().enumerate() {
        let id = TermId(at as u32);
        match quantity(model, bound, &term.kind, environment, graph) {
            Ok((name, quantity)) => {
                let (estimator, why) = estimator(&quantity);
                let offset = score.credit.iter().find(|credit| credit.term == id).map(|credit| match credit.from {
                    Downstream::Offset(offset) => offset,
                    Downstream::All => 0,
                });
                let action_term = !matches!(quantity, Quantity::Exponent(_));
                terms.push(Term {
                    id,
                    name,
                    sign: match term.sign {
                        Sign::Plus => 1.0,
                        Sign::Minus => -1.0,
                    },
                    quantity,
                    from: step(term.times.from, model.horizon.value),
                    to: step(term.times.to, model.horizon.value),
                    live: term.live,
                    estimator,
                    why,
                    credit: offset.filter(|_| settings.kl_to_go || !action_term),
                    pathwise: derivation.gradient.pathwise.iter().any(|pathwise| pathwise.term == id),
                });
            }
            Err(found) => errors.extend(found),
        }
    }
    if errors.is_empty() { Ok(terms) } else { Err(errors) }
}

fn step(at: Moment, horizon: usize) -> usize {
    at.at(horizon).clamp(1, horizon as i64) as usize
}

fn estimator(quantity: &Quantity) -> (Estimator, String) {
    match quantity {
        Quantity::Exponent(_) => (Estimator::Sampled, "it reads what the environment draws".into()),
        Quantity::Entropy => (Estimator::ClosedForm, "the actions are finite and it reads only what the policy conditions on".into()),
        Quantity::Kl { .. } => (Estimator::ClosedForm, "the actions are finite and both sides condition on what is drawn before".into()),
        Quantity::LogCount(_) => (Estimator::Counted, "a constant at every live step".into()),
    }
}

/// A term's name and quantity; what this version does not train is refused.
fn quantity(
    model: &Model,
    bound: &Bound,
    kind: &TermKind,
    environment: EnvironmentId,
    graph: &mut Graph,
) -> Result<(String, Quantity), Vec<Diagnostic>> {
    match kind {
        TermKind::Exponent { likelihood } => {
            let likelihood = &bound.likelihood[*likelihood as usize];
            let LikelihoodForm::Exponential { value, .. } = &likelihood.form else {
                return Err(vec![refused(likelihood.span, "this version trains `exp(…)` likelihoods")]);
            };
            let what = format!("the exponent of `{}`", likelihood.name);
            verify_inputs(model, environment, graph, &[*value], true, likelihood.span, &what)?;
            Ok((likelihood.name.clone(), Quantity::Exponent(*value)))
        }
        TermKind::Entropy { q } => Ok((format!("H({})", kernel_name(model, bound, *q)), Quantity::Entropy)),
        TermKind::LogCount { q, count } => {
            Ok((format!("log_count({})", kernel_name(model, bound, *q)), Quantity::LogCount((*count as f64).ln())))
        }
        TermKind::Kl { q, p } => {
            let (posterior, factor) = (bound.factor(*q), bound.factor(*p));
            let [crate::model::Target::Variable { variable: crate::model::TargetVariable::Variable(action), .. }] =
                posterior.targets.as_slice()
            else {
                return Err(vec![refused(posterior.span, "this version trains a KL between draws of one action")]);
            };
            let prior = prior_of(model, &factor.kernel, &factor.arguments, factor.span, *action, environment, graph)?;
            Ok((format!("KL({})", kernel_name(model, bound, *q)), Quantity::Kl { prior }))
        }
        TermKind::Constant { name, of } => {
            let (_, quantity) = quantity(model, bound, of, environment, graph)?;
            Ok((name.clone(), quantity))
        }
        TermKind::LogDensity { likelihood } => {
            let likelihood = &bound.likelihood[*likelihood as usize];
            Err(vec![refused(likelihood.span, "this version trains `exp(…)` likelihoods, not densities")])
        }
        TermKind::LogFactor { factor } => Err(vec![refused(
            bound.factor(*factor).span,
            "this version trains pairs of a prior's and a posterior's factor; this one has no partner",
        )]),
        TermKind::LogRatio { q, .. } => {
            Err(vec![refused(bound.factor(*q).span, "this version does not estimate the log-ratio of this draw by samples")])
        }
        TermKind::DensityRatio { q, .. } => {
            Err(vec![refused(bound.factor(*q).span, "this version does not estimate density ratios by a classifier")])
        }
    }
}

fn prior_of(
    model: &Model,
    kernel: &KernelRef,
    arguments: &[crate::model::Value],
    span: Span,
    action: VariableId,
    environment: EnvironmentId,
    graph: &mut Graph,
) -> Result<Prior, Vec<Diagnostic>> {
    let variable = model.variable(action);
    let Some(domain) = &variable.domain.finite else {
        return Err(vec![refused(span, format!("the action `{}` is continuous; this version trains finite actions", variable.name))]);
    };
    match kernel {
        KernelRef::InPlace(distribution) => {
            let logs = prior::log_probabilities(graph, distribution, domain).map_err(|what| {
                vec![refused(span, format!("the prior of `{}` is {what}, which this version does not train with", variable.name))]
            })?;
            verify_inputs(model, environment, graph, &logs, false, span, &format!("the prior of `{}`", variable.name))?;
            Ok(Prior::Expressions(logs))
        }
        KernelRef::Learned(kernel) => {
            let logits = kernel_logits(model, *kernel, domain.size())?;
            let reads = reads(model, arguments, span, &format!("`{}`", model.kernel(*kernel).name))?;
            Ok(Prior::Kernel { kernel: *kernel, logits, reads })
        }
        KernelRef::Previous(_) | KernelRef::Environment(..) | KernelRef::Data(_) => {
            Err(vec![refused(span, "this version does not train with this prior of the action")])
        }
    }
}

/// Expressions read the state, observation (and where `drawn`, the next state, action and rewards) of the step they stand at.
fn verify_inputs(
    model: &Model,
    environment: EnvironmentId,
    graph: &Graph,
    roots: &[ExprId],
    drawn: bool,
    span: Span,
    what: &str,
) -> Result<(), Vec<Diagnostic>> {
    let of = model.environment(environment);
    for input in graph.inputs_of(roots) {
        let fits = match model.inputs[input.0 as usize] {
            Input::Variable { variable, index, .. } => match index {
                Index::Step(0) | Index::Last(0) => {
                    variable == of.state || Some(variable) == of.observation || (drawn && variable == of.action)
                }
                Index::Step(1) | Index::Last(1) => drawn && variable == of.state,
                Index::First | Index::Step(_) | Index::Last(_) => false,
            },
            Input::Reward { index, .. } => drawn && matches!(index, Index::Step(0) | Index::Last(0)),
            Input::Formal { .. } => false,
        };
        if !fits {
            let message = format!("{what} reads a variable at another step than its own, which this version does not train");
            return Err(vec![refused(span, message)]);
        }
    }
    Ok(())
}

fn kernel_name(model: &Model, bound: &Bound, factor: crate::model::FactorRef) -> String {
    match &bound.factor(factor).kernel {
        KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => model.kernel(*kernel).name.clone(),
        KernelRef::Environment(environment, _) => model.environment(*environment).name.clone(),
        KernelRef::Data(data) => model.data[data.0 as usize].name.clone(),
        KernelRef::InPlace(_) => "in place".into(),
    }
}

impl Settings {
    /// Whether the credit of a draw is compared with a learned value.
    pub fn has_learned_baseline(&self) -> bool {
        matches!(self.baseline, Baseline::Network { .. })
    }
}
