//! The plan of each term of the bound: what a sampled step gives to it, how it is estimated, and
//! which draws it credits; what is not run is refused.

use super::draw::{Draw, is_uniform, kernel_head};
use super::in_place::InPlace;
use super::parts::{parts, predicts};
use super::read::Version;
use super::read::{Credited, Read, learned, reads};
use super::term::{Density, Estimator, Less, Prior, Quantity, Ratio, RatioOf, Subject, Term};
use super::{Baseline, Classifier, Head, Settings, prior, refused};
use crate::bound::{BoundDerivation, Moment, Score, Sign, TermId, TermKind};
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, ExprId, Graph, InputId, Node};
use crate::model::{
    Bound, Dynamics, EnvironmentId, EnvironmentKernel, FactorRef, FiniteDomain, Index, Input,
    KernelId, KernelRef, Kind, LikelihoodForm, Model, Role, Target, TargetVariable, Value,
};
use crate::source::Span;

/// Scalar expressions and what their inputs stand for: the model's, and those made for the plan.
pub struct Scalars {
    pub graph: Graph,
    pub inputs: Vec<Input>,
}

/// The plan of every term, in the derivation's order.
pub(super) fn terms(
    planner: &Planner,
    derivation: &BoundDerivation,
    settings: &Settings,
    scalars: &mut Scalars,
) -> Result<Vec<Term>, Vec<Diagnostic>> {
    let Planner { model, bound, draws, .. } = *planner;
    let mut terms = Vec::with_capacity(derivation.terms.len());
    let mut errors = Vec::new();
    for (at, term) in
        derivation.terms.iter().enumerate().filter(|(_, term)| !is_unknown(bound, &term.kind))
    {
        let id = TermId(at as u32);
        let quantities = match planner.quantities(&term.kind, scalars) {
            Ok(quantities) => quantities,
            Err(found) => {
                errors.extend(found);
                continue;
            }
        };
        for (name, quantity) in quantities {
            let (estimator, why) = estimator(&quantity);
            let of_action = planner.is_of_action(&term.kind);
            let sign = match term.sign {
                Sign::Plus => 1.0,
                Sign::Minus => -1.0,
            };
            let own = matches!(&term.kind, TermKind::Kl { q, .. } | TermKind::LogRatio { q, .. }
                if planner.is_imagined(*q));
            // E_q[log p − log q]: the density is the prior's of a divergence, and of an imagined
            // state the posterior's own
            let against = match (&term.kind, &quantity) {
                (TermKind::Kl { .. }, Quantity::Density { .. }) => !own,
                (TermKind::LogRatio { .. }, Quantity::Density { .. }) => own,
                _ => false,
            };
            let credit = draws.iter().enumerate().map(|(draw, (drawn, score))| {
                let derived = score
                    .and_then(|score| score.credit.iter().find(|credit| credit.term == id))
                    .map(Credited::of);
                // sampled where the bound has a closed form, a divergence reads its own draw too
                let credit = match (&quantity, derived) {
                    (Quantity::Density { less: Less::Draw(own), .. }, derived)
                        if *own == draw && score.is_some() =>
                    {
                        Some(derived.map_or(Credited::From(0), Credited::at_its_own_step))
                    }
                    (
                        Quantity::Density {
                            density,
                            less: Less::Environment(_) | Less::Expression(_),
                        },
                        derived,
                    ) if score.is_some() && (density.kernel, own) == (drawn.kernel, true) => {
                        Some(derived.map_or(Credited::From(0), Credited::at_its_own_step))
                    }
                    (_, derived) => derived,
                };
                credit.filter(|_| settings.kl_to_go || !of_action)
            });
            let credit = credit.collect();
            terms.push(Term {
                id,
                name,
                sign: if against { -sign } else { sign },
                quantity,
                from: step(term.times.from, model.horizon.value),
                to: step(term.times.to, model.horizon.value),
                live: term.live,
                estimator,
                why,
                credit,
                of_action,
                // ∇log q of its own draw has mean zero
                pathwise: !own
                    && derivation.gradient.pathwise.iter().any(|pathwise| pathwise.term == id),
            });
        }
    }
    if errors.is_empty() { Ok(terms) } else { Err(errors) }
}

/// A constant that the bound is told up to: the density of what can only be sampled.
fn is_unknown(bound: &Bound, kind: &TermKind) -> bool {
    let TermKind::Constant { of, .. } = kind else { return false };
    let TermKind::LogFactor { factor } = **of else { return false };
    matches!(bound.factor(factor).kernel, KernelRef::Environment(..))
}

fn step(at: Moment, horizon: usize) -> usize {
    at.at(horizon).clamp(1, horizon as i64) as usize
}

fn estimator(quantity: &Quantity) -> (Estimator, String) {
    match quantity {
        Quantity::Exponent(_) => (Estimator::Sampled, "it reads what the environment draws".into()),
        Quantity::Entropy { .. } => (
            Estimator::ClosedForm,
            "it is over finite values and reads only what the draw conditions on".into(),
        ),
        Quantity::Kl { .. } => (
            Estimator::ClosedForm,
            "both sides have one family and condition on what is drawn before".into(),
        ),
        Quantity::LogRatio { .. } => {
            (Estimator::Sampled, "the divergence has no closed form".into())
        }
        Quantity::Density {
            less: Less::Draw(_) | Less::Environment(_) | Less::Expression(_),
            ..
        } => (
            Estimator::Sampled,
            "a log-ratio at what was drawn, of which the divergence is the mean".into(),
        ),
        Quantity::Density { less: Less::Nothing | Less::Itself, .. } => {
            (Estimator::Sampled, "it reads what was drawn".into())
        }
        Quantity::Ratio(_) => (Estimator::Sampled, "a classifier's logit at what was drawn".into()),
        Quantity::WeightDivergence { .. } => (
            Estimator::ClosedForm,
            "both sides are normals; each trajectory of the run bears its share".into(),
        ),
        Quantity::LogCount(_) => (Estimator::Counted, "a constant at every live step".into()),
    }
}

/// What the terms of a bound are planned from.
#[derive(Clone, Copy)]
pub(super) struct Planner<'a> {
    pub model: &'a Model,
    pub bound: &'a Bound,
    pub draws: &'a [(Draw, Option<&'a Score>)],
    pub policy: &'a Draw,
    pub environment: EnvironmentId,
    /// What draws the first state, and the next one, where that is a learned model.
    pub start: Option<&'a Draw>,
    pub transition: Option<&'a Draw>,
    pub ratio: Option<&'a Classifier>,
    /// Kernels in the place of distributions in place.
    pub in_place: &'a InPlace,
}

impl Planner<'_> {
    /// A term's quantities with their names: one, or where a factor draws several independent
    /// values, one of each.
    fn quantities(
        &self,
        kind: &TermKind,
        scalars: &mut Scalars,
    ) -> Result<Vec<(String, Quantity)>, Vec<Diagnostic>> {
        match kind {
            TermKind::LogFactor { factor } if predicts(self.bound.factor(*factor)) => {
                let parts = parts(self.model, self.bound.factor(*factor))?.into_iter();
                Ok(parts
                    .map(|part| {
                        (
                            part.name,
                            Quantity::Density { density: part.density, less: Less::Nothing },
                        )
                    })
                    .collect())
            }
            TermKind::Kl { p, q }
            | TermKind::LogRatio { p, q }
            | TermKind::DensityRatio { p, q }
                if predicts(self.bound.factor(*q)) =>
            {
                let name = self.kernel_name(*q);
                let message = format!(
                    "`{name}` draws rewards or the end, too, which this version does not compare \
                     with the environment's own"
                );
                let told = refused(self.bound.factor(*p).span, message);
                Err(vec![told.hint(format!(
                    "let `{name}` stand in the prior of this bound, too: its factors cancel"
                ))])
            }
            TermKind::Kl { p, .. }
            | TermKind::LogRatio { p, .. }
            | TermKind::DensityRatio { p, .. }
                if predicts(self.bound.factor(*p)) =>
            {
                let message = "this version learns a model of rewards or the end beside a \
                               `hidden` environment";
                Err(vec![refused(self.bound.factor(*p).span, message)])
            }
            _ => Ok(vec![self.quantity(kind, scalars)?]),
        }
    }

    /// A term's name and quantity; what this version does not train is refused.
    fn quantity(
        &self,
        kind: &TermKind,
        scalars: &mut Scalars,
    ) -> Result<(String, Quantity), Vec<Diagnostic>> {
        let bound = self.bound;
        match kind {
            TermKind::Exponent { likelihood } => {
                let likelihood = &bound.likelihood[*likelihood as usize];
                let LikelihoodForm::Exponential { value, .. } = &likelihood.form else {
                    return Err(vec![refused(
                        likelihood.span,
                        "this version trains `exp(…)` likelihoods",
                    )]);
                };
                let what = format!("the exponent of `{}`", likelihood.name);
                self.verify_inputs(
                    scalars,
                    &[*value],
                    (likelihood.index, Drawn::Yes),
                    likelihood.span,
                    &what,
                )?;
                Ok((likelihood.name.clone(), Quantity::Exponent(*value)))
            }
            TermKind::Entropy { q } => {
                let name = format!("H({})", self.kernel_name(*q));
                Ok((name, Quantity::Entropy { draw: self.draw(*q)? }))
            }
            TermKind::LogCount { q, count } => Ok((
                format!("log_count({})", self.kernel_name(*q)),
                Quantity::LogCount((*count as f64).ln()),
            )),
            TermKind::Kl { q, p } if *q == self.policy.factor => Ok((
                format!("KL({})", self.kernel_name(*q)),
                Quantity::Kl { prior: self.prior(*p, scalars)? },
            )),
            TermKind::Kl { q, .. }
                if let [Target::Weights(kernel)] = bound.factor(*q).targets[..] =>
            {
                Ok((
                    format!("KL(weights({}))", self.model.kernel(kernel).name),
                    Quantity::WeightDivergence { of: *q },
                ))
            }
            TermKind::Kl { q, p } | TermKind::LogRatio { p, q } if self.is_imagined(*q) => {
                let quantity = Quantity::Density {
                    density: self.factor_density(*q)?,
                    less: self.known(*p, scalars)?,
                };
                Ok((format!("log_ratio({})", self.kernel_name(*q)), quantity))
            }
            // sampled: −KL(q ‖ p) = E_q[log p − log q]
            TermKind::Kl { q, p } => {
                let quantity = Quantity::Density {
                    density: self.factor_density(*p)?,
                    less: self.less(*q, scalars)?,
                };
                Ok((format!("log_ratio({})", self.kernel_name(*q)), quantity))
            }
            TermKind::LogRatio { p, q } => {
                let name = format!("log_ratio({})", self.kernel_name(*q));
                match learned(&bound.factor(*p).kernel) {
                    None if *q == self.policy.factor => {
                        Ok((name, Quantity::LogRatio { log_prior: self.log_prior(*p, scalars)? }))
                    }
                    // a kernel, or a distribution in place that has become one
                    Some(_) | None => Ok((
                        name,
                        Quantity::Density {
                            density: self.factor_density(*p)?,
                            less: self.less(*q, scalars)?,
                        },
                    )),
                }
            }
            TermKind::LogFactor { factor } if learned(&bound.factor(*factor).kernel).is_some() => {
                let name = format!("log {}", self.kernel_name(*factor));
                Ok((
                    name,
                    Quantity::Density {
                        density: self.factor_density(*factor)?,
                        less: Less::Nothing,
                    },
                ))
            }
            TermKind::Constant { name, of } => {
                let (_, quantity) = self.quantity(of, scalars)?;
                Ok((name.clone(), quantity))
            }
            TermKind::LogDensity { likelihood } => {
                let likelihood = &bound.likelihood[*likelihood as usize];
                let LikelihoodForm::Density { kernel, values, givens } = &likelihood.form else {
                    return Err(vec![refused(
                        likelihood.span,
                        "an exponent stands where a density does",
                    )]);
                };
                let [value @ Value::Variable { .. }] = values.as_slice() else {
                    let message =
                        "this version trains likelihoods that are densities of one variable";
                    return Err(vec![refused(likelihood.span, message)]);
                };
                let density = self.density(kernel, value, givens, likelihood.span)?;
                Ok((likelihood.name.clone(), Quantity::Density { density, less: Less::Nothing }))
            }
            TermKind::LogFactor { factor } => Err(vec![refused(
                bound.factor(*factor).span,
                "this version trains pairs of a prior's and a posterior's factor; this one has no \
                 partner",
            )]),
            TermKind::DensityRatio { q, p } => Ok((
                format!("logit({} / {})", self.kernel_name(*p), self.kernel_name(*q)),
                Quantity::Ratio(self.ratio(*p, *q)?),
            )),
        }
    }

    /// Whether a term is of the action's factors alone: what `kl_to_go` leaves out.
    fn is_of_action(&self, kind: &TermKind) -> bool {
        match kind {
            TermKind::Kl { q, .. }
            | TermKind::Entropy { q }
            | TermKind::LogCount { q, .. }
            | TermKind::LogRatio { q, .. }
            | TermKind::DensityRatio { q, .. } => *q == self.policy.factor,
            TermKind::Constant { of, .. } => self.is_of_action(of),
            TermKind::Exponent { .. }
            | TermKind::LogDensity { .. }
            | TermKind::LogFactor { .. } => false,
        }
    }

    /// A learned model draws the state.
    fn is_imagined(&self, factor: FactorRef) -> bool {
        self.start.into_iter().chain(self.transition).any(|draw| draw.factor == factor)
    }

    /// The number of the draw of a factor.
    fn draw(&self, factor: FactorRef) -> Result<usize, Vec<Diagnostic>> {
        let found = self.draws.iter().position(|(draw, _)| draw.factor == factor);
        found.ok_or_else(|| {
            vec![refused(
                self.bound.factor(factor).span,
                "this version trains the factors of options and of the action",
            )]
        })
    }

    /// The classifier of the ratio of two factors.
    fn ratio(&self, p: FactorRef, q: FactorRef) -> Result<Ratio, Vec<Diagnostic>> {
        let (prior, posterior) = (self.bound.factor(p), self.bound.factor(q));
        let span = posterior.span;
        let (of, model) = match (&prior.kernel, &posterior.kernel) {
            (KernelRef::Environment(_, EnvironmentKernel::Transition), _)
                if let Some(draw) = self.transition.filter(|draw| draw.factor == q) =>
            {
                let next = Read::Step(draw.variable, 1);
                (RatioOf::Transition, Some(draw.density(self.model, next)))
            }
            (KernelRef::Learned(_), KernelRef::Environment(_, EnvironmentKernel::Transition)) => {
                (RatioOf::Transition, Some(self.factor_density(p)?))
            }
            (KernelRef::Data(data), _) if q == self.policy.factor => (RatioOf::Action(*data), None),
            _ => {
                let message = "this version estimates two ratios by a classifier: of an \
                               environment's transitions and a learned model's, \
                               and of recorded actions and the policy's";
                return Err(vec![refused(span, message)]);
            }
        };
        let turned = matches!(posterior.kernel, KernelRef::Environment(..));
        let Some(classifier) = self.ratio else {
            let message = "it has a density ratio, and only a bound that is maximised teaches its \
                           classifier";
            return Err(vec![refused(span, message)]);
        };
        let span = self.model.setting("ratio").map_or(span, |setting| setting.span);
        let reads = reads(self.model, &classifier.arguments, span, "the classifier")?;
        let environment = self.model.environment(self.environment);
        let (state, action) = (environment.state, self.policy.variable);
        let told_apart = match of {
            RatioOf::Transition => Read::Step(state, 1),
            RatioOf::Action(_) => Read::Variable(action),
        };
        let fits = |read: &Read| {
            let here = match (read, of) {
                (Read::Variable(read), RatioOf::Transition) => {
                    *read == state || environment.actions.contains(read)
                }
                (Read::Variable(read), RatioOf::Action(_)) => [state, action].contains(read),
                (Read::Time, RatioOf::Transition) => true,
                _ => false,
            };
            here || *read == told_apart
        };
        if !reads.contains(&told_apart) || !reads.iter().all(fits) {
            let (must, may) = match of {
                RatioOf::Transition => ("the next state", "the state, the actions and the time"),
                RatioOf::Action(_) => ("the action", "the state"),
            };
            return Err(vec![refused(
                span,
                format!("this classifier reads {must}, and beside it no more than {may}"),
            )]);
        }
        let here = |read: &Read| fits(read) && *read != told_apart;
        if let Some(model) = model.as_ref().filter(|model| !model.reads.iter().all(here)) {
            let name = &self.model.kernel(model.kernel).name;
            let message = format!(
                "a classifier tells what `{name}` draws from what the environment does where both \
                 have the same state, action and time, and `{name}` reads more"
            );
            return Err(vec![refused(span, message)]);
        }
        let Classifier { kernel, layer, .. } = *classifier;
        Ok(Ratio { kernel, layer, reads, of, model, turned, span })
    }

    /// What the density of the pair's other factor is compared with: that of a draw, or of the
    /// environment, whose density has to be known.
    fn less(&self, q: FactorRef, scalars: &mut Scalars) -> Result<Less, Vec<Diagnostic>> {
        match self.bound.factor(q).kernel {
            KernelRef::Environment(..) => self.known(q, scalars),
            _ => Ok(Less::Draw(self.draw(q)?)),
        }
    }

    fn known(&self, q: FactorRef, scalars: &mut Scalars) -> Result<Less, Vec<Diagnostic>> {
        let factor = self.bound.factor(q);
        let KernelRef::Environment(id, kernel) = &factor.kernel else { return Err(self.unlike(q)) };
        let environment = self.model.environment(*id);
        let finite = |variable| self.model.variable(variable).domain.finite.is_some();
        if environment.transition_reads().all(finite) {
            return Ok(Less::Environment(*kernel));
        }
        let written = match kernel {
            EnvironmentKernel::Transition => scalars
                .log_transition(self.model, *id)
                .or_else(|| scalars.log_finite_transition(self.model, *id)),
            EnvironmentKernel::Initial | EnvironmentKernel::Observation => None,
        };
        if let Some(density) = written {
            return Ok(Less::Expression(density));
        }
        if let EnvironmentKernel::Initial = kernel {
            let message = format!(
                "this version compares a learned start with that of a finite environment; `{}` is \
                 not",
                environment.name
            );
            return Err(vec![
                refused(factor.span, message)
                    .hint("let the learned kernel stand in the prior, too: its factors cancel"),
            ]);
        }
        let message = format!(
            "this version compares a learned world with an environment whose density it can \
             write: finite values, families over real numbers, and mixtures, branches and records \
             of them; `{}` has another",
            environment.name
        );
        Err(vec![
            refused(factor.span, message)
                .hint("declare it `hidden environment`: the bound is then told up to its entropy"),
        ])
    }

    fn unlike(&self, p: FactorRef) -> Vec<Diagnostic> {
        let message = "this version trains options with a prior or a reverse model that is \
                       uniform or a learned kernel";
        vec![refused(self.bound.factor(p).span, message)]
    }

    /// The density of a factor that is a learned kernel.
    pub fn factor_density(&self, p: FactorRef) -> Result<Density, Vec<Diagnostic>> {
        let factor = self.bound.factor(p);
        let [Target::Variable { variable: TargetVariable::Variable(variable), index }] =
            factor.targets.as_slice()
        else {
            return Err(self.unlike(p));
        };
        let (kernel, arguments) = match (self.in_place.get(&p), &factor.kernel) {
            (Some((kernel, arguments)), _) => (KernelRef::Learned(*kernel), arguments),
            (None, KernelRef::InPlace(distribution)) if !is_uniform(distribution) => {
                return Err(self.unlike(p));
            }
            (None, kernel) => (kernel.clone(), &factor.arguments),
        };
        let value = Value::Variable { variable: *variable, index: *index };
        self.density(&kernel, &value, arguments, factor.span)
    }

    pub fn density(
        &self,
        kernel: &KernelRef,
        value: &Value,
        givens: &[Value],
        span: Span,
    ) -> Result<Density, Vec<Diagnostic>> {
        let Some((kernel, of)) = learned(kernel) else {
            return Err(vec![refused(
                span,
                "this version trains with densities of learned kernels and of `Normal`s in place",
            )]);
        };
        let name = format!("`{}`", self.model.kernel(kernel).name);
        let Value::Variable { variable, .. } = value else {
            return Err(vec![refused(
                span,
                format!(
                    "{name} gives the density of more than one value, which this version does not \
                     train"
                ),
            )]);
        };
        if !self.model.simulations_of(kernel).is_empty() {
            let message = format!(
                "{name} imagines before it draws: its density is known where it acts, and no term \
                 asks for it elsewhere"
            );
            return Err(vec![refused(span, message)]);
        }
        let head = kernel_head(self.model, kernel, *variable)?;
        let fits = match head {
            Head::Categorical { .. } | Head::Bernoulli { .. } | Head::Sticky { .. } => true,
            // its density is that before the squashing
            Head::Real { .. } => !head.is_squashed(),
            Head::Implicit { .. } => {
                return Err(vec![refused(
                    span,
                    format!(
                        "{name} is `Implicit`: it is drawn from, and has no density to train with"
                    ),
                )]);
            }
            Head::Mixture { .. } => true,
        };
        if !fits {
            let message = format!(
                "{name} is a `TanhNormal`, whose density is known before the squashing; this \
                 version trains densities over finite values, and of families that are not \
                 squashed"
            );
            return Err(vec![refused(span, message)]);
        }
        let target = Subject::Read(
            reads(self.model, std::slice::from_ref(value), span, &name)?.swap_remove(0),
        );
        Ok(Density {
            of,
            kernel,
            head,
            target,
            reads: reads(self.model, givens, span, &name)?,
            span,
        })
    }

    /// What the policy's divergence is taken from.
    fn prior(&self, p: FactorRef, scalars: &mut Scalars) -> Result<Prior, Vec<Diagnostic>> {
        let factor = self.bound.factor(p);
        let name = &self.model.variable(self.policy.variable).name;
        let unlike = |what: &str| {
            let message = format!(
                "the prior of `{name}` is {what}, which this version does not train this policy \
                 with"
            );
            vec![refused(factor.span, message)]
        };
        let kernel = |kernel: KernelId, of: Version| {
            let head = kernel_head(self.model, kernel, self.policy.variable)?;
            if !head.is_like(&self.policy.head) {
                return Err(unlike("of another family"));
            }
            let reads = reads(
                self.model,
                &factor.arguments,
                factor.span,
                &format!("`{}`", self.model.kernel(kernel).name),
            )?;
            Ok(Prior::Kernel { of, kernel, head, reads })
        };
        match &factor.kernel {
            KernelRef::InPlace(distribution) => {
                let domain = &self.model.variable(self.policy.variable).domain;
                let numbers =
                    prior::numbers(&mut scalars.graph, distribution, domain, &self.policy.head)
                        .map_err(unlike)?;
                self.verify_inputs(
                    scalars,
                    &numbers,
                    (Index::Step(0), Drawn::No),
                    factor.span,
                    &format!("the prior of `{name}`"),
                )?;
                Ok(Prior::Expressions(numbers))
            }
            KernelRef::Learned(id) => kernel(*id, Version::Present),
            KernelRef::Previous(id) => kernel(*id, Version::Previous),
            KernelRef::Environment(..) | KernelRef::Data(_) => Err(unlike("known by its samples")),
        }
    }

    /// The log-density of the prior at the drawn action.
    fn log_prior(&self, p: FactorRef, scalars: &mut Scalars) -> Result<ExprId, Vec<Diagnostic>> {
        let factor = self.bound.factor(p);
        let variable = self.model.variable(self.policy.variable);
        let unlike = |what: &str| {
            let message = format!(
                "the prior of `{}` is {what}, whose log-ratio this version does not estimate by \
                 samples",
                variable.name
            );
            vec![refused(factor.span, message)]
        };
        match &factor.kernel {
            KernelRef::InPlace(distribution) => {
                let action: Vec<ExprId> = (0..variable.domain.width() as u32)
                    .map(|component| {
                        let input = Input::Variable {
                            variable: self.policy.variable,
                            component,
                            index: Index::Step(0),
                        };
                        scalars.input(input)
                    })
                    .collect();
                let log =
                    prior::log_density(&mut scalars.graph, distribution, &variable.domain, &action)
                        .map_err(unlike)?;
                self.verify_inputs(
                    scalars,
                    &[log],
                    (Index::Step(0), Drawn::Yes),
                    factor.span,
                    &format!("the prior of `{}`", variable.name),
                )?;
                Ok(log)
            }
            KernelRef::Learned(_) | KernelRef::Previous(_) => {
                Err(unlike("a kernel whose divergence has no closed form"))
            }
            KernelRef::Environment(..) | KernelRef::Data(_) => Err(unlike("known by its samples")),
        }
    }

    /// Expressions read the state, observation (and where `drawn`, the next state, action, rewards
    /// and options) of the step they stand at; of options those of the step before, too.
    fn verify_inputs(
        &self,
        scalars: &Scalars,
        roots: &[ExprId],
        (at, drawn): (Index, Drawn),
        span: Span,
        what: &str,
    ) -> Result<(), Vec<Diagnostic>> {
        let of = self.model.environment(self.environment);
        let drawn = drawn == Drawn::Yes;
        // how many steps after its own, where that is the same for all of its steps
        let later = |index: Index| match (at, index) {
            (_, Index::Step(k)) | (Index::Last(_), Index::Last(k)) => Some(k),
            (Index::First, Index::First) => Some(0),
            (Index::First | Index::Step(_) | Index::Last(_), Index::First | Index::Last(_)) => None,
        };
        for input in scalars.graph.inputs_of(roots) {
            let fits = match scalars.inputs[input.0 as usize] {
                Input::Variable { variable, index, .. }
                    if matches!(
                        self.model.variable(variable).role,
                        Role::Option | Role::Action
                    ) && variable != self.policy.variable =>
                {
                    let option = self
                        .draws
                        .iter()
                        .map(|(draw, _)| draw)
                        .find(|draw| draw.variable == variable);
                    let own = |once: bool| {
                        if once {
                            index == Index::First
                        } else {
                            // what a real one was before is not kept
                            let finite = self.model.variable(variable).domain.is_finite();
                            matches!(later(index), Some(0)) || finite && later(index) == Some(-1)
                        }
                    };
                    drawn && option.is_some_and(|draw| own(draw.once))
                }
                Input::Variable { variable, index, .. } => match later(index) {
                    Some(0) => {
                        variable == of.state
                            || Some(variable) == of.observation
                            || (drawn && variable == self.policy.variable)
                    }
                    Some(1) => drawn && variable == of.state,
                    Some(_) | None => false,
                },
                Input::Reward { index, .. } => drawn && later(index) == Some(0),
                // what it reads, it says itself
                Input::Gain(_) => drawn,
                Input::Formal { .. } => false,
            };
            if !fits {
                let message = format!(
                    "{what} reads a variable at another step than its own (of an option, or the \
                     one before), which this version does not train"
                );
                return Err(vec![refused(span, message)]);
            }
        }
        Ok(())
    }

    fn kernel_name(&self, factor: FactorRef) -> String {
        let model = self.model;
        match &self.bound.factor(factor).kernel {
            KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => {
                model.kernel(*kernel).name.clone()
            }
            KernelRef::Environment(environment, _) => model.environment(*environment).name.clone(),
            KernelRef::Data(data) => model.data[data.0 as usize].name.clone(),
            KernelRef::InPlace(_) => "in place".into(),
        }
    }
}

/// Whether an expression stands after the step's draws.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drawn {
    Yes,
    No,
}

impl Scalars {
    /// The log-density of an environment's transitions, where it can be written.
    pub fn log_transition(&mut self, model: &Model, environment: EnvironmentId) -> Option<ExprId> {
        let environment = model.environment(environment);
        let Dynamics::Written { transition, .. } = &environment.dynamics else { return None };
        let domain = &model.variable(environment.state).domain;
        if domain.finite.is_some() {
            return None;
        }
        let next = (0..domain.width() as u32).map(|component| {
            self.input(Input::Variable {
                variable: environment.state,
                component,
                index: Index::Step(1),
            })
        });
        let next: Vec<ExprId> = next.collect();
        prior::log_density(&mut self.graph, transition, domain, &next).ok()
    }

    /// That of transitions to finitely many states, from states or by actions that are not: the
    /// log-probability of each, of which the next state says which one.
    fn log_finite_transition(
        &mut self,
        model: &Model,
        environment: EnvironmentId,
    ) -> Option<ExprId> {
        const MOST: usize = 1024;
        let environment = model.environment(environment);
        let Dynamics::Written { transition, .. } = &environment.dynamics else { return None };
        let domain = &model.variable(environment.state).domain;
        let finite = domain.finite.as_ref().filter(|finite| finite.size() <= MOST)?;
        if FiniteDomain::count(&domain.components)? != finite.size() as f64 {
            return None;
        }
        let each = prior::log_probabilities(&mut self.graph, transition, finite).ok()?;
        let mut number = self.graph.constant(0.0);
        for (component, of) in (0u32..).zip(&domain.components) {
            let (lo, count) = match &of.kind {
                Kind::Integer { lo, hi } => (*lo as f64, (hi - lo + 1) as f64),
                Kind::Names(names) => (0.0, names.len() as f64),
                Kind::Bool => (0.0, 2.0),
                Kind::Real { .. } => return None,
            };
            let index = Index::Step(1);
            let value =
                self.input(Input::Variable { variable: environment.state, component, index });
            let (lo, count) = (self.graph.constant(lo), self.graph.constant(count));
            let digit = self.graph.binary(BinaryOp::Subtract, value, lo);
            let before = self.graph.binary(BinaryOp::Multiply, number, count);
            number = self.graph.binary(BinaryOp::Add, before, digit);
        }
        Some(self.graph.intern(Node::Choose(each.into(), number)))
    }

    fn input(&mut self, input: Input) -> ExprId {
        let at = self.inputs.iter().position(|known| *known == input).unwrap_or_else(|| {
            self.inputs.push(input);
            self.inputs.len() - 1
        });
        self.graph.intern(Node::Input(InputId(at as u32)))
    }
}

impl Settings {
    /// Whether the credit of a draw is compared with a learned value.
    pub fn has_learned_baseline(&self) -> bool {
        matches!(self.baseline, Baseline::Network { .. })
    }
}
