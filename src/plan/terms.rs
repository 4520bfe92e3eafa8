//! The plan of each term of the bound: what a sampled step gives to it, how it is estimated, and
//! which draws it credits; what is not run is refused.

use super::classifier::Classifier;
use super::draw::{Draw, StateDraw, is_there, kernel_head, lead, reads_now};
use super::in_place::InPlace;
use super::parts::{Part, of_values, parts, predicts};
use super::read::Version;
use super::read::{Credited, Read, another_time, learned, reads};
use super::term::{ComparedWith, Density, Estimator, Extent, Prior, Quantity, Subject, Term};
use super::{Baseline, Head, Settings, prior, refused};
use crate::bound::{BoundDerivation, Moment, Score, Sign, TermId, TermKind};
use crate::diagnostic::Diagnostic;
use crate::expr::{ExprId, Graph, InputId};
use crate::model::{
    Bound, BoundId, EnvironmentId, FactorRef, Index, Input, KernelId, KernelRef, LikelihoodForm,
    Model, Role, Target, TargetVariable, Value,
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
        for Summand { name, quantity, of_draw } in quantities {
            let (estimator, why) = estimator(&quantity);
            let of_action = planner.is_of_action(&term.kind);
            let sign = match term.sign {
                Sign::Plus => 1.0,
                Sign::Minus => -1.0,
            };
            // the density of the draw itself, less the other
            let (own_factor, is_own) = match (&term.kind, &quantity) {
                (
                    TermKind::Kl { p, q } | TermKind::LogRatio { p, q },
                    Quantity::Density { density, .. },
                ) if of_draw.is_some() || planner.weighs_itself(*p, *q) => {
                    let is_own = of_draw.unwrap_or_else(|| !planner.is_prior(*p, density));
                    (Some(*q), is_own)
                }
                _ => (None, of_draw.unwrap_or(false)),
            };
            let own = own_factor.and_then(|q| planner.draw(q).ok());
            // E_q[log p − log q]: the density is the prior's of a divergence, and of an imagined
            // state the posterior's own
            let against = match (&term.kind, &quantity) {
                (TermKind::Kl { .. }, Quantity::Density { .. }) => !is_own,
                (TermKind::LogRatio { .. }, Quantity::Density { .. }) => is_own,
                _ => false,
            };
            let of_term = planner.lead(&term.kind);
            let credit = draws.iter().enumerate().map(|(draw, (drawn, score))| {
                let derived = score
                    .and_then(|score| score.credit.iter().find(|credit| credit.term == id))
                    .map(Credited::of);
                // sampled where the bound has a closed form, a divergence reads its own draw too
                let credit = match (&quantity, derived) {
                    (Quantity::Density { compared_with: ComparedWith::Draw(own), .. }, derived)
                        if *own == draw && score.is_some() =>
                    {
                        Some(derived.map_or(Credited::From(0), Credited::at_its_own_step))
                    }
                    (
                        Quantity::Density {
                            compared_with:
                                ComparedWith::Environment(_)
                                | ComparedWith::Expression(_)
                                | ComparedWith::Nothing,
                            ..
                        },
                        derived,
                    ) if score.is_some() && own == Some(draw) => {
                        Some(derived.map_or(Credited::From(0), Credited::at_its_own_step))
                    }
                    (_, derived) => derived,
                };
                let credit =
                    credit.map(|credit| planner.in_steps(credit, &term.kind, drawn.factor));
                credit.filter(|_| settings.kl_to_go || !of_action)
            });
            let credit = credit.collect();
            let extent = match (&term.kind, &quantity) {
                (TermKind::Exponent { likelihood }, Quantity::Exponent(value)) => {
                    let at = bound.likelihood[*likelihood as usize].index;
                    planner.extent(scalars, &[*value], (at, Drawn::Yes))
                }
                _ => Extent::Step,
            };
            let times = (term.times.from, term.times.to);
            let (from, to) = steps(times, model.horizon.value, of_term);
            terms.push(Term {
                id,
                name,
                extent,
                sign: if against { -sign } else { sign },
                quantity,
                from,
                to,
                live: term.live,
                estimator,
                why,
                credit,
                of_action,
                // ∇log q of its own draw has mean zero
                pathwise: !is_own
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

/// The first and the last step at which a term counts; of none the last stands before the first.
fn steps((from, to): (Moment, Moment), horizon: usize, lead: i32) -> (usize, usize) {
    let at = |moment: Moment| moment.at(horizon) + i64::from(lead);
    (at(from).max(1) as usize, at(to).clamp(0, horizon as i64) as usize)
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
            compared_with:
                ComparedWith::Draw(_) | ComparedWith::Environment(_) | ComparedWith::Expression(_),
            ..
        } => (
            Estimator::Sampled,
            "a log-ratio at what was drawn, of which the divergence is the mean".into(),
        ),
        Quantity::Density {
            compared_with: ComparedWith::Nothing | ComparedWith::Itself, ..
        } => (Estimator::Sampled, "it reads what was drawn".into()),
        Quantity::Ratio(_) => (Estimator::Sampled, "a classifier's logit at what was drawn".into()),
        Quantity::WeightDivergence { .. } => (
            Estimator::ClosedForm,
            "both sides are normals; each trajectory of the run bears its share".into(),
        ),
        Quantity::LogCount(_) => (Estimator::Counted, "a constant at every live step".into()),
    }
}

/// A quantity of a term. Where both densities of a divergence stand apart, it is said of each
/// whether it is that of the draw.
struct Summand {
    name: String,
    quantity: Quantity,
    of_draw: Option<bool>,
}

/// What the terms of a bound are planned from.
#[derive(Clone, Copy)]
pub(super) struct Planner<'a> {
    pub model: &'a Model,
    pub bound: &'a Bound,
    /// Of that bound.
    pub id: BoundId,
    pub draws: &'a [(Draw, Option<&'a Score>)],
    /// How many of the draws are of a step: states stand behind them.
    pub of_step: usize,
    /// The gradient sums over draws.
    pub sums: bool,
    pub environment: EnvironmentId,
    /// What draws the first state, and the next one, where that is a learned model.
    pub states: &'a [StateDraw],
    /// Of the file's density ratios.
    pub classifiers: &'a [Classifier],
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
    ) -> Result<Vec<Summand>, Vec<Diagnostic>> {
        if let TermKind::Kl { p, q } | TermKind::LogRatio { p, q } = kind
            && predicts(self.bound.factor(*q))
            && let Some(both) = self.both_densities(*p, *q)?
        {
            return Ok(both);
        }
        let found = self.quantities_of_one(kind, scalars)?.into_iter();
        Ok(found.map(|(name, quantity)| Summand { name, quantity, of_draw: None }).collect())
    }

    /// The densities of two kernels that draw the same rewards, or the same end, at the draws of
    /// one of them; `None` where they draw something else, or one has no density.
    fn both_densities(
        &self,
        p: FactorRef,
        q: FactorRef,
    ) -> Result<Option<Vec<Summand>>, Vec<Diagnostic>> {
        let (prior, own) = (self.bound.factor(p), self.bound.factor(q));
        if learned(&prior.kernel).is_none() || learned(&own.kernel).is_none() {
            return Ok(None);
        }
        let (prior, own) = (parts(self.model, prior)?, parts(self.model, own)?);
        let is_same = |part: &Part| own.iter().any(|of| of.density.target == part.density.target);
        if prior.len() != own.len() || !prior.iter().all(is_same) {
            return Ok(None);
        }
        let quantity = |part: Part, is_own: bool| {
            let compared_with = ComparedWith::Nothing;
            let quantity = Quantity::Density { density: part.density, compared_with };
            Summand { name: part.name, quantity, of_draw: Some(is_own) }
        };
        let prior = prior.into_iter().map(|part| quantity(part, false));
        Ok(Some(prior.chain(own.into_iter().map(|part| quantity(part, true))).collect()))
    }

    fn quantities_of_one(
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
                            Quantity::Density {
                                density: part.density,
                                compared_with: ComparedWith::Nothing,
                            },
                        )
                    })
                    .collect())
            }
            TermKind::LogDensity { likelihood } => {
                let likelihood = &self.bound.likelihood[*likelihood as usize];
                let LikelihoodForm::Density { kernel, values, givens } = &likelihood.form else {
                    return Err(vec![refused(likelihood.span, AN_EXPONENT)]);
                };
                if let KernelRef::Environment(id, part) = *kernel {
                    let log = self.environment_density(
                        (id, part),
                        (values, givens),
                        (likelihood.index, likelihood.span),
                        scalars,
                    )?;
                    return Ok(vec![(likelihood.name.clone(), Quantity::Exponent(log))]);
                }
                let several = values.len() > 1;
                let on = (values.as_slice(), likelihood.index);
                let found = of_values(self.model, (kernel, givens), on, likelihood.span)?;
                let quantity =
                    |density| Quantity::Density { density, compared_with: ComparedWith::Nothing };
                let named = found.into_iter().map(|part| match several {
                    true => (part.name, quantity(part.density)),
                    false => (likelihood.name.clone(), quantity(part.density)),
                });
                Ok(named.collect())
            }
            TermKind::Kl { p, q }
            | TermKind::LogRatio { p, q }
            | TermKind::DensityRatio { p, q }
                if predicts(self.bound.factor(*q)) =>
            {
                let name = self.kernel_name(*q);
                let message = format!(
                    "`{name}` draws rewards or the end, which follow in the environment from what \
                     else is drawn: where the two differ the prior has no mass, and the divergence \
                     is infinite"
                );
                let told = refused(self.bound.factor(*p).span, message);
                Err(vec![told.hint(format!(
                    "let `{name}` stand in the prior of this bound, too: its factors cancel"
                ))])
            }
            // under the environment the end is certain, given what else is drawn: it has no
            // entropy, and what is left of it is the model's log-probability
            TermKind::Kl { p, q }
            | TermKind::LogRatio { p, q }
            | TermKind::DensityRatio { p, q }
                if predicts(self.bound.factor(*p)) =>
            {
                let mut found = Vec::new();
                for Part { name, density } in parts(self.model, self.bound.factor(*p))? {
                    let quantity = match density.target {
                        Subject::End => {
                            Quantity::Density { density, compared_with: ComparedWith::Nothing }
                        }
                        Subject::Reward(_) => {
                            let message = format!(
                                "a reward follows in the environment from what else is drawn, so \
                                 that it has no density there, and `{}` has one: their divergence \
                                 is infinite",
                                self.kernel_name(*p)
                            );
                            let told = refused(self.bound.factor(*p).span, message);
                            return Err(vec![told.hint(
                                "declare it `hidden environment`, and move the model alone: the \
                                 bound is then told up to that",
                            )]);
                        }
                        Subject::Read(_) => match kind {
                            TermKind::DensityRatio { .. } => {
                                Quantity::Ratio(self.ratio(*p, *q, Some(density))?)
                            }
                            _ if self.is_imagined(*q) => {
                                let message = format!(
                                    "`{}` draws the end, too, and is compared with a model that \
                                     draws the state alone: a classifier or the environment tells \
                                     them apart, and here is neither",
                                    self.kernel_name(*p)
                                );
                                return Err(vec![refused(self.bound.factor(*p).span, message)]);
                            }
                            _ => Quantity::Density {
                                density,
                                compared_with: self.less(*q, scalars)?,
                            },
                        },
                    };
                    found.push((name, quantity));
                }
                Ok(found)
            }
            // a kernel beside the one that draws: learned, or a distribution in place that has
            // become one, as it reads more than its step
            TermKind::Kl { p, q } | TermKind::LogRatio { p, q }
                if self.is_imagined(*q)
                    && (self.in_place.contains_key(p)
                        || learned(&self.bound.factor(*p).kernel).is_some())
                    && self.known(*p, scalars).is_err() =>
            {
                let alone = |factor: FactorRef| -> Result<_, Vec<Diagnostic>> {
                    let density = self.factor_density(factor)?;
                    let compared_with = ComparedWith::Nothing;
                    let name = format!("log {}", self.kernel_name(factor));
                    Ok((name, Quantity::Density { density, compared_with }))
                };
                Ok(vec![alone(*p)?, alone(*q)?])
            }
            _ => Ok(vec![self.quantity(kind, scalars)?]),
        }
    }

    /// A term's name and quantity.
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
                    return Err(vec![refused(likelihood.span, AN_EXPONENT)]);
                };
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
            TermKind::Kl { q, p } if let Some(draw) = self.in_closed_form(*p, *q) => Ok((
                format!("KL({})", self.kernel_name(*q)),
                Quantity::Kl { draw, prior: self.prior(*p, draw, scalars)? },
            )),
            TermKind::Kl { q, .. }
                if let [Target::Weights(kernel)] = bound.factor(*q).targets[..] =>
            {
                Ok((
                    format!("KL(weights({}))", self.model.kernel(kernel).name),
                    Quantity::WeightDivergence { of: *q },
                ))
            }
            TermKind::LogRatio { p, q }
                if let Some(draw) = self.step_draw(*q)
                    && !self.sums
                    && learned(&bound.factor(*p).kernel).is_none()
                    && self.is_of_step(*p) =>
            {
                let name = format!("log_ratio({})", self.kernel_name(*q));
                Ok((name, Quantity::LogRatio { draw, log_prior: self.log_prior(*p, scalars)? }))
            }
            // sampled: −KL(q ‖ p) = E_q[log p − log q]
            TermKind::Kl { q, p } | TermKind::LogRatio { p, q } => {
                let quantity = match self.weighs_itself(*p, *q) {
                    // at the draw, of which the other density is an expression
                    true => Quantity::Density {
                        density: self.factor_density(*q)?,
                        compared_with: self.known(*p, scalars)?,
                    },
                    // a kernel, or a distribution in place that has become one
                    false => Quantity::Density {
                        density: self.factor_density(*p)?,
                        compared_with: self.less(*q, scalars)?,
                    },
                };
                Ok((format!("log_ratio({})", self.kernel_name(*q)), quantity))
            }
            TermKind::LogFactor { factor } if learned(&bound.factor(*factor).kernel).is_some() => {
                let name = format!("log {}", self.kernel_name(*factor));
                Ok((
                    name,
                    Quantity::Density {
                        density: self.factor_density(*factor)?,
                        compared_with: ComparedWith::Nothing,
                    },
                ))
            }
            TermKind::Constant { name, of } => {
                let (_, quantity) = self.quantity(of, scalars)?;
                Ok((name.clone(), quantity))
            }
            TermKind::LogDensity { likelihood } => {
                Err(vec![refused(bound.likelihood[*likelihood as usize].span, SEVERAL)])
            }
            // a distribution in place, or what is known of an environment, at what was drawn
            TermKind::LogFactor { factor } => {
                let of = bound.factor(*factor);
                match self.known(*factor, scalars)? {
                    ComparedWith::Expression(log) => {
                        Ok((format!("log {}", self.kernel_name(*factor)), Quantity::Exponent(log)))
                    }
                    _ => Err(vec![refused(
                        of.span,
                        "an environment over finite values stands beside a draw that has no \
                         density: the two have no common measure",
                    )]),
                }
            }
            TermKind::DensityRatio { q, p } => Ok((
                format!("logit({} / {})", self.kernel_name(*p), self.kernel_name(*q)),
                Quantity::Ratio(self.ratio(*p, *q, None)?),
            )),
        }
    }

    /// A credit from the `t` of a draw's factor to those of a term, as one from step to step: each
    /// is of the step in which what it is of is drawn.
    pub fn in_steps(&self, credit: Credited, term: &TermKind, draw: FactorRef) -> Credited {
        match credit {
            Credited::From(offset) => Credited::From(offset + self.lead(term) - self.lead_of(draw)),
            Credited::All => Credited::All,
        }
    }

    /// How many steps later than `t` the draw of a factor is made: 0 of a state's, which is of the
    /// step that leads to it.
    fn lead_of(&self, factor: FactorRef) -> i32 {
        let factor = self.bound.factor(factor);
        match factor.targets[..] {
            [Target::Variable { variable: TargetVariable::Variable(of), .. }]
                if self.model.variable(of).role != Role::State =>
            {
                lead(factor)
            }
            _ => 0,
        }
    }

    /// That of what a term is of.
    fn lead(&self, kind: &TermKind) -> i32 {
        match kind {
            TermKind::Kl { q, .. }
            | TermKind::Entropy { q }
            | TermKind::LogCount { q, .. }
            | TermKind::LogRatio { q, .. }
            | TermKind::DensityRatio { q, .. } => self.lead_of(*q),
            TermKind::LogFactor { factor } => self.lead_of(*factor),
            TermKind::Constant { of, .. } => self.lead(of),
            TermKind::Exponent { .. } | TermKind::LogDensity { .. } => 0,
        }
    }

    /// The credit of a term to the score of a factor that draws rewards or the end.
    pub fn credit(
        &self,
        (derivation, score): (&BoundDerivation, &Score),
        term: &Term,
        settings: &Settings,
    ) -> Option<Credited> {
        let kind = &derivation.terms[term.id.0 as usize].kind;
        let derived = score.credit.iter().find(|credit| credit.term == term.id).map(Credited::of);
        // sampled, a divergence reads its own draw, too
        let is_own = matches!(kind, TermKind::Kl { q, .. } | TermKind::LogRatio { q, .. }
            if *q == score.factor);
        let derived = match is_own {
            true => Some(derived.map_or(Credited::From(0), Credited::at_its_own_step)),
            false => derived,
        };
        let credit = self.in_steps(derived?, kind, score.factor);
        Some(credit).filter(|_| settings.kl_to_go || !term.of_action)
    }

    /// Whether a term is of the factors of an action alone: what `kl_to_go` leaves out.
    fn is_of_action(&self, kind: &TermKind) -> bool {
        match kind {
            TermKind::Kl { q, .. }
            | TermKind::Entropy { q }
            | TermKind::LogCount { q, .. }
            | TermKind::LogRatio { q, .. }
            | TermKind::DensityRatio { q, .. } => self.step_draw(*q).is_some_and(|at| {
                self.model.variable(self.draws[at].0.variable).role == Role::Action
            }),
            TermKind::Constant { of, .. } => self.is_of_action(of),
            TermKind::Exponent { .. }
            | TermKind::LogDensity { .. }
            | TermKind::LogFactor { .. } => false,
        }
    }

    /// A learned model draws the state.
    fn is_imagined(&self, factor: FactorRef) -> bool {
        self.states.iter().any(|of| of.draw.factor == factor)
    }

    /// What stands in a term is the density of the draw itself, of which its partner's is taken
    /// off: that of an environment, or a distribution in place that is no kernel.
    fn weighs_itself(&self, p: FactorRef, q: FactorRef) -> bool {
        let in_place = matches!(self.bound.factor(p).kernel, KernelRef::InPlace(_));
        self.is_imagined(q) || in_place && !self.in_place.contains_key(&p)
    }

    /// A density is that of the prior's factor, where that is a kernel.
    fn is_prior(&self, p: FactorRef, density: &Density) -> bool {
        self.factor_density(p).is_ok_and(|prior| prior == *density)
    }

    /// The draw of a step whose divergence from a prior has a closed form here: both are of one
    /// family, at one step. Where the gradient sums over draws, it sums their log-ratios.
    fn in_closed_form(&self, p: FactorRef, q: FactorRef) -> Option<usize> {
        let at = self.step_draw(q)?;
        let is_alike = !self.sums && self.is_like(p, &self.draws[at].0) && self.is_of_step(p);
        // what is drawn behind it is not there where its network runs
        let factor = self.bound.factor(p);
        let behind = &self.draws[at..self.of_step];
        let reads_behind = |read: &Read| behind.iter().any(|(draw, _)| reads_now(read, draw));
        let is_there = learned(&factor.kernel).is_none()
            || reads(self.model, &factor.arguments, factor.span, "it")
                .is_ok_and(|reads| !reads.iter().any(reads_behind));
        (is_alike && is_there).then_some(at)
    }

    fn is_like(&self, p: FactorRef, draw: &Draw) -> bool {
        let factor = self.bound.factor(p);
        let Draw { variable, head, .. } = draw;
        match &factor.kernel {
            // its expressions stand at another step
            KernelRef::InPlace(_) if self.lead_of(p) > 0 => false,
            KernelRef::InPlace(distribution) => {
                let domain = &self.model.variable(*variable).domain;
                prior::numbers(&mut self.model.graph.clone(), distribution, domain, head).is_ok()
            }
            // what a kernel imagines is told where it acts, and there alone
            KernelRef::Learned(kernel) | KernelRef::Previous(kernel)
                if !self.model.simulations_of(*kernel).is_empty()
                    && !reads(self.model, &factor.arguments, factor.span, "it")
                        .is_ok_and(|reads| reads == draw.reads) =>
            {
                false
            }
            KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => {
                kernel_head(self.model, *kernel, *variable).is_ok_and(|other| other.is_like(head))
            }
            KernelRef::Environment(..) | KernelRef::Data(_) => false,
        }
    }

    /// The number of the draw of a factor, where a step makes it.
    fn step_draw(&self, factor: FactorRef) -> Option<usize> {
        self.draws[..self.of_step].iter().position(|(draw, _)| draw.factor == factor)
    }

    /// The number of the draw of a factor.
    fn draw(&self, factor: FactorRef) -> Result<usize, Vec<Diagnostic>> {
        let found = self.draws.iter().position(|(draw, _)| draw.factor == factor);
        found.ok_or_else(|| {
            vec![refused(
                self.bound.factor(factor).span,
                "its density is asked for at a draw of the posterior, and it draws neither an \
                 option, nor an action, nor a state",
            )]
        })
    }

    /// What the density of the pair's other factor is compared with: that of a draw, or of the
    /// environment, whose density has to be known.
    fn less(&self, q: FactorRef, scalars: &mut Scalars) -> Result<ComparedWith, Vec<Diagnostic>> {
        match self.bound.factor(q).kernel {
            KernelRef::Environment(..) => self.known(q, scalars),
            _ => Ok(ComparedWith::Draw(self.draw(q)?)),
        }
    }

    pub(super) fn unlike(&self, p: FactorRef) -> Vec<Diagnostic> {
        let message = "what is known by samples alone has no density to compare with that of what \
                       is drawn";
        vec![refused(self.bound.factor(p).span, message)]
    }

    /// Whether a prior is written for its own step, and where it stands in place
    /// reads what that has before it draws: then the numbers of the two are compared there.
    fn is_of_step(&self, p: FactorRef) -> bool {
        let of = self.model.environment(self.environment);
        let is_before = |value: &Value| match value {
            Value::Variable { variable, index: Index::Step(0) } => {
                *variable == of.state || Some(*variable) == of.observation
            }
            value => *value == Value::Time,
        };
        let is_own =
            |target: &Target| matches!(target, Target::Variable { index: Index::Step(0), .. });
        let factor = self.bound.factor(p);
        // what no draw influences may still come later
        let is_known = learned(&factor.kernel).is_none()
            || reads(self.model, &factor.arguments, factor.span, "it")
                .is_ok_and(|reads| reads.iter().all(|read| is_there(self.model, read)));
        is_known
            && factor.targets.iter().all(is_own)
            && self.in_place.get(&p).is_none_or(|(_, reads)| reads.iter().all(is_before))
    }

    /// The density of a factor that is a learned kernel, counted from the step of its draw.
    pub fn factor_density(&self, p: FactorRef) -> Result<Density, Vec<Diagnostic>> {
        let factor = self.bound.factor(p);
        let [Target::Variable { variable: TargetVariable::Variable(variable), index }] =
            factor.targets.as_slice()
        else {
            return Err(vec![refused(factor.span, SEVERAL)]);
        };
        let (kernel, arguments) = match (self.in_place.get(&p), &factor.kernel) {
            (Some((kernel, arguments)), _) => (KernelRef::Learned(*kernel), arguments),
            (None, kernel) => (kernel.clone(), &factor.arguments),
        };
        let value = Value::Variable { variable: *variable, index: *index };
        let density = self.density(&kernel, &value, arguments, factor.span)?;
        let by = self.lead_of(p);
        let earlier = |read: Read| read.earlier(by).ok_or_else(|| self.reads_another_time(p));
        let target = match density.target {
            Subject::Read(read) => Subject::Read(earlier(read)?),
            other @ (Subject::Reward(_) | Subject::End) => other,
        };
        let reads = density.reads.iter().map(|&read| earlier(read)).collect::<Result<_, _>>()?;
        Ok(Density { target, reads, ..density })
    }

    /// What a factor of another step than its own cannot read.
    fn reads_another_time(&self, p: FactorRef) -> Vec<Diagnostic> {
        another_time(self.model, self.bound.factor(p))
    }

    pub fn density(
        &self,
        kernel: &KernelRef,
        value: &Value,
        givens: &[Value],
        span: Span,
    ) -> Result<Density, Vec<Diagnostic>> {
        let Some((kernel, of)) = learned(kernel) else {
            let what = "what is known by samples alone has no density, and is compared by none";
            return Err(vec![refused(span, what)]);
        };
        let name = format!("`{}`", self.model.kernel(kernel).name);
        let Value::Variable { variable, .. } = value else {
            return Err(vec![refused(
                span,
                format!(
                    "{name} is asked for the density of what is computed, and a kernel has one of \
                     what is drawn"
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
        if let Head::Implicit { .. } = head {
            let message =
                format!("{name} is `Implicit`: it is drawn from, and has no density to train with");
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

    /// What a draw's divergence is taken from.
    fn prior(
        &self,
        p: FactorRef,
        draw: usize,
        scalars: &mut Scalars,
    ) -> Result<Prior, Vec<Diagnostic>> {
        let factor = self.bound.factor(p);
        let draw = &self.draws[draw].0;
        let name = &self.model.variable(draw.variable).name;
        let kernel = |kernel: KernelId, of: Version| {
            let head = kernel_head(self.model, kernel, draw.variable)?;
            let reads = reads(
                self.model,
                &factor.arguments,
                factor.span,
                &format!("`{}`", self.model.kernel(kernel).name),
            )?;
            let earlier = |read: &Read| read.earlier(self.lead_of(p));
            let reads: Option<_> = reads.iter().map(earlier).collect();
            let reads = reads.ok_or_else(|| self.reads_another_time(p))?;
            Ok(Prior::Kernel { of, kernel, head, reads })
        };
        match &factor.kernel {
            KernelRef::InPlace(distribution) => {
                let domain = &self.model.variable(draw.variable).domain;
                let numbers = prior::numbers(&mut scalars.graph, distribution, domain, &draw.head)
                    .expect("terms: both are of one family");
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
            KernelRef::Environment(..) | KernelRef::Data(_) => Err(self.unlike(p)),
        }
    }

    /// Whether expressions that stand at `at` read what their own step has alone: the state and the
    /// observation (and where `drawn`, the next state, action, rewards and options; of finite
    /// options those of the step before, too).
    fn extent(&self, scalars: &Scalars, roots: &[ExprId], (at, drawn): (Index, Drawn)) -> Extent {
        let of = self.model.environment(self.environment);
        let drawn = drawn == Drawn::Yes;
        // what is drawn last is held in its own step alone
        let last = self.draws[self.of_step - 1].0.variable;
        // how many steps after its own, where that is the same for all of its steps
        let later = |index: Index| match (at, index) {
            (_, Index::Step(k)) | (Index::Last(_), Index::Last(k)) => Some(k),
            (Index::First, Index::First) => Some(0),
            (Index::First | Index::Step(_) | Index::Last(_), Index::First | Index::Last(_)) => None,
        };
        let is_of_step = |input: InputId| match scalars.inputs[input.0 as usize] {
            Input::Variable { variable, index, .. }
                if matches!(self.model.variable(variable).role, Role::Option | Role::Action)
                    && variable != last =>
            {
                let mut draws = self.draws.iter().map(|(draw, _)| draw);
                let option = draws.rfind(|draw| draw.variable == variable);
                let own = |once: bool| {
                    if once {
                        index == Index::First
                    } else {
                        // what a real one was before is not held
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
                        || (drawn && variable == last)
                }
                Some(1) => drawn && variable == of.state,
                Some(_) | None => false,
            },
            Input::Reward { index, .. } => drawn && later(index) == Some(0),
            // what it reads, it says itself
            Input::Gain(_) => drawn,
            Input::Formal { .. } => false,
        };
        match scalars.graph.inputs_of(roots).into_iter().all(is_of_step) {
            true => Extent::Step,
            false => Extent::Trajectory,
        }
    }

    /// Expressions of a prior read what their step has before it draws.
    pub(super) fn verify_inputs(
        &self,
        scalars: &Scalars,
        roots: &[ExprId],
        (at, drawn): (Index, Drawn),
        span: Span,
        what: &str,
    ) -> Result<(), Vec<Diagnostic>> {
        match self.extent(scalars, roots, (at, drawn)) {
            Extent::Step => Ok(()),
            Extent::Trajectory => {
                let message = format!(
                    "{what} reads a variable at another step than its own (of an option, or the \
                     one before), and its density is not taken there yet"
                );
                Err(vec![refused(span, message)])
            }
        }
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

/// What the derivation holds of likelihoods.
const AN_EXPONENT: &str = "an exponent and a density are two forms of a likelihood";

/// What a density is asked for.
pub(super) const SEVERAL: &str = "a density of several values at once is asked for, and what \
                                  draws them is no record of independent parts: only each part \
                                  has a density of its own";

/// Whether an expression stands after the step's draws.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Drawn {
    Yes,
    No,
}

impl Settings {
    /// Whether the credit of a draw is compared with a learned value.
    pub fn has_learned_baseline(&self) -> bool {
        matches!(self.baseline, Baseline::Network { .. })
    }
}
