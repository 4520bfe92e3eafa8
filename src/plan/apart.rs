//! What a classifier tells apart: of the two factors of a density ratio, which draws stand for
//! each, and what both sides know.

use super::classifier::{Apart, Classifier};
use super::read::{Read, learned, reads};
use super::refused;
use super::term::{Density, Ratio, RatioOf};
use super::terms::Planner;
use crate::diagnostic::Diagnostic;
use crate::model::{EnvironmentKernel, Factor, FactorRef, KernelRef, Value};
use crate::source::Span;

impl Planner<'_> {
    /// The classifier of the ratio of two factors.
    /// `of_prior` is the density of the prior's next state, where that draws more beside.
    pub(super) fn ratio(
        &self,
        p: FactorRef,
        q: FactorRef,
        of_prior: Option<Density>,
    ) -> Result<Ratio, Vec<Diagnostic>> {
        let (prior, posterior) = (self.bound.factor(p), self.bound.factor(q));
        let span = posterior.span;
        let environment = self.model.environment(self.environment);
        let state = environment.state;
        let of_environment = |factor: &Factor, kernel| match factor.kernel {
            KernelRef::Environment(_, of) => of == kernel,
            _ => false,
        };
        let plain = |values: &[Value], span| reads(self.model, values, span, "the classifier");
        // what is told apart, what draws the model's side, and what else both sides know
        let of_state = self.states.iter().map(|of| &of.draw).find(|draw| draw.factor == q);
        let (of, model, told_apart, given) = if let KernelRef::Data(data) = prior.kernel {
            let draw = self.draws.iter().find(|(draw, _)| draw.factor == q);
            let (told, model) = match (of_state, draw) {
                (Some(draw), _) if draw.once => (Read::Variable(state), Some(draw)),
                (Some(draw), _) => (Read::Step(state, 1), Some(draw)),
                (None, Some((draw, _))) if draw.once => (Read::First(draw.variable), None),
                (None, Some((draw, _))) => (Read::Variable(draw.variable), None),
                (None, None) => return Err(self.two_unknown(span)),
            };
            let model = model.map(|draw| draw.density(self.model, told));
            (RatioOf::Recorded(data), model, told, plain(&prior.arguments, prior.span)?)
        } else {
            let actions = environment.actions.iter().map(|&action| Read::Variable(action));
            let known = [Read::Variable(state)].into_iter().chain(actions).chain([Read::Time]);
            let next = Read::Step(state, 1);
            match of_state {
                Some(draw)
                    if !draw.once && of_environment(prior, EnvironmentKernel::Transition) =>
                {
                    let model = draw.density(self.model, next);
                    (RatioOf::Transition, Some(model), next, known.collect())
                }
                Some(draw) if draw.once && of_environment(prior, EnvironmentKernel::Initial) => {
                    let first = Read::Variable(state);
                    let model = draw.density(self.model, first);
                    (RatioOf::Start, Some(model), first, Vec::new())
                }
                _ if learned(&prior.kernel).is_some()
                    && of_environment(posterior, EnvironmentKernel::Transition) =>
                {
                    let model = of_prior.map_or_else(|| self.factor_density(p), Ok)?;
                    (RatioOf::Transition, Some(model), next, known.collect())
                }
                _ => return Err(self.two_unknown(span)),
            }
        };
        let turned = matches!(posterior.kernel, KernelRef::Environment(..));
        let apart = Apart::of(self.model, self.id, (p, q));
        let Some(classifier) = self.classifiers.iter().find(|known| known.apart == apart) else {
            let message = "it has a density ratio, and only a bound that is maximised teaches its \
                           classifier";
            return Err(vec![refused(span, message)]);
        };
        let span = classifier.span;
        let reads = plain(&classifier.arguments, span)?;
        // what is drawn once is read as it was drawn
        let reads: Vec<Read> = reads
            .into_iter()
            .map(|read| match (read, told_apart) {
                (Read::Variable(read), Read::First(told))
                | (Read::First(read), Read::Variable(told))
                    if read == told =>
                {
                    told_apart
                }
                (read, _) => read,
            })
            .collect();
        let fits = |read: &Read| given.contains(read) || *read == told_apart;
        if !reads.contains(&told_apart) || !reads.iter().all(fits) {
            let (must, may) = match of {
                RatioOf::Transition => {
                    ("the next state", "beside it no more than the state, the actions and the time")
                }
                RatioOf::Start => ("the first state", "nothing beside it"),
                RatioOf::Recorded(_) => {
                    ("what the data draw", "beside it no more than what the data are given")
                }
            };
            let message = format!("this classifier reads {must}, and {may}");
            return Err(vec![Diagnostic::error("bad-setting", span, message)]);
        }
        let here = |read: &Read| given.contains(read);
        if let Some(model) = model.as_ref().filter(|model| !model.reads.iter().all(here)) {
            let name = &self.model.kernel(model.kernel).name;
            let message = format!(
                "a classifier tells what `{name}` draws from real draws where both are given the \
                 same (of an environment its state, action and time, of records what they hold), \
                 and `{name}` reads more"
            );
            return Err(vec![refused(span, message)]);
        }
        let held = match of {
            RatioOf::Recorded(_) => [told_apart].into_iter().chain(given).collect(),
            RatioOf::Transition | RatioOf::Start => Vec::new(),
        };
        let Classifier { kernel, layer, ref name, .. } = *classifier;
        let name = name.clone();
        Ok(Ratio { apart, name, kernel, layer, reads, of, held, model, turned, span })
    }

    /// Neither density is known, nor are there draws of both.
    fn two_unknown(&self, span: Span) -> Vec<Diagnostic> {
        let message = "a classifier tells apart draws of the environment's states and a learned \
                       model's, or recorded draws and the posterior's: here one side has no draws \
                       to learn from";
        vec![refused(span, message)]
    }
}
