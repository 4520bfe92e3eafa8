//! Learned kernels in the one form that what draws, trains and judges knows.
//!
//! `Categorical(probs = p)` has the logits `log p`, and `Bernoulli(probs = p)` the logit
//! `log p − log (1 − p)`, or that of which `p` is the sigmoid. What else is drawn over finitely
//! many values (records of independent parts, mixtures, what is certain, uniform, or the one or the
//! other) is a categorical of logits that layers compute from those of its parts. A record of
//! independent parts of one family over real numbers is that family over all of its components.

use super::{
    Distribution, Domain, FiniteDomain, Formal, FormalVariable, KernelId, Layer, LayerId, LayerOp,
    Mixed, Model, NO_COLUMN, Role, Scores, kernel_parameters, parameters_of,
};
use crate::expr::{BinaryOp, ExprId, UnaryOp};
use crate::family::{FAMILIES, Family};
use crate::source::Span;

/// Values of which each is compared with one that is certain.
const MOST: usize = 1 << 16;

/// Rewrites the kernels that have parameters; the others stay as they are written.
pub fn normalise(model: &mut Model) {
    for at in 0..model.kernels.len() {
        let kernel = KernelId(at as u32);
        if !kernel_parameters(model, kernel).is_empty() {
            rewrite(model, kernel, false);
        }
    }
}

/// Rewrites a kernel that is drawn from, whether or not it has parameters.
pub(crate) fn normalise_kernel(model: &mut Model, kernel: KernelId) {
    rewrite(model, kernel, true);
}

fn rewrite(model: &mut Model, kernel: KernelId, drawn: bool) {
    let written = model.kernel(kernel);
    let domains: Vec<Domain> = written
        .outputs
        .iter()
        .map(|output| match output.variable {
            FormalVariable::Variable(variable) => model.variable(variable).domain.clone(),
            FormalVariable::End => Domain::truth(),
            FormalVariable::Reward(..) | FormalVariable::Time => {
                Domain::real(f64::NEG_INFINITY, f64::INFINITY)
            }
        })
        .collect();
    let distribution = written.distribution.clone();
    // a step keeps what the step before drew of its options
    let keeps = match written.outputs[..] {
        [Formal { variable: FormalVariable::Variable(variable), .. }] => {
            model.variable(variable).role == Role::Option
        }
        _ => false,
    };
    let mut on = Rewriter { model, kernel, keeps, drawn };
    let rewritten = match (distribution, &domains[..]) {
        (distribution, [domain]) => on.rewrite(distribution, domain),
        // the parts of several outputs stay apart
        (Distribution::Record(parts), domains) => {
            let parts = parts.into_iter().zip(domains);
            Distribution::Record(parts.map(|(part, domain)| on.rewrite(part, domain)).collect())
        }
        (other, _) => other,
    };
    model.kernels[kernel.0 as usize].distribution = rewritten;
}

/// Turns a kernel that may stay at a given into a categorical.
pub(crate) fn unstick(model: &mut Model, kernel: KernelId) {
    let written = model.kernel(kernel);
    let [Formal { variable: FormalVariable::Variable(variable), .. }] = written.outputs[..] else {
        return;
    };
    let (distribution, domain) =
        (written.distribution.clone(), model.variable(variable).domain.clone());
    let rewritten =
        Rewriter { model, kernel, keeps: false, drawn: true }.rewrite(distribution, &domain);
    model.kernels[kernel.0 as usize].distribution = rewritten;
}

struct Rewriter<'m> {
    model: &'m mut Model,
    kernel: KernelId,
    /// What may stay at a given stays a `Sticky`; else it is a categorical as the rest.
    keeps: bool,
    /// It is drawn from: what it excludes has been told.
    drawn: bool,
}

impl Rewriter<'_> {
    fn rewrite(
        &mut self,
        distribution: Distribution<LayerId>,
        domain: &Domain,
    ) -> Distribution<LayerId> {
        match (distribution, &domain.finite) {
            (
                written @ (Distribution::Categorical(Scores::Logits(_))
                | Distribution::Bernoulli(Scores::Logits(_))),
                _,
            ) => written,
            (Distribution::Bernoulli(Scores::Probs(prob)), _) => {
                Distribution::Bernoulli(Scores::Logits(log_odds(self.model, prob)))
            }
            (Distribution::Sticky { last, keep, fresh }, Some(finite)) if self.keeps => {
                let fresh = match self.logits(&fresh, domain, finite) {
                    Some(logits) => Box::new(Distribution::Categorical(Scores::Logits(logits))),
                    None => fresh,
                };
                Distribution::Sticky { last, keep, fresh }
            }
            (written, Some(finite)) => match self.logits(&written, domain, finite) {
                Some(logits) => Distribution::Categorical(Scores::Logits(logits)),
                None => written,
            },
            (Distribution::Record(parts), None) => {
                self.keeps = false;
                let parts = parts.into_iter().enumerate();
                let parts = parts.map(|(at, part)| self.rewrite(part, &domain.field(at)));
                let record = Distribution::Record(parts.collect());
                joined(self.model, &record).unwrap_or(record)
            }
            (Distribution::Mixture(parts), None) => {
                let parts = parts.into_iter();
                let parts = parts.map(|(weight, part)| (weight, self.rewrite(part, domain)));
                Distribution::Mixture(parts.collect())
            }
            // the one part has all of the weight, or the other
            (Distribution::If { condition, then, otherwise }, None) => {
                let others = self.not(condition);
                let (then, otherwise) =
                    (self.rewrite(*then, domain), self.rewrite(*otherwise, domain));
                Distribution::Mixture(vec![(condition, then), (others, otherwise)])
            }
            (Distribution::Uniform, None) => self.uniform(domain),
            (Distribution::UniformBox { lo, hi }, None)
                if self.drawn && self.is_fixed(&[lo, hi]) =>
            {
                Distribution::Real { family: Family::between(), arguments: vec![lo, hi] }
            }
            (written, None) => written,
        }
    }

    /// No parameter moves these layers.
    fn is_fixed(&self, layers: &[LayerId]) -> bool {
        layers.iter().all(|layer| parameters_of(&self.model.network, *layer).is_empty())
    }

    /// A uniform one over the bounds of real components, which is one of a family.
    fn uniform(&mut self, domain: &Domain) -> Distribution<LayerId> {
        if domain.is_record() {
            let fields: Vec<Domain> = (0..domain.fields()).map(|at| domain.field(at)).collect();
            let parts = fields.iter().map(|field| self.rewrite(Distribution::Uniform, field));
            let record = Distribution::Record(parts.collect());
            return joined(self.model, &record).unwrap_or(record);
        }
        let family = FAMILIES.into_iter().find(|family| family.uniform().is_some());
        let family = family.expect("family: one has a uniform member");
        let values = family.uniform().unwrap_or_default().to_vec();
        let arguments = values.into_iter().map(|value| {
            let value = self.model.graph.constant(value);
            self.scalars(vec![value; domain.width()])
        });
        Distribution::Real { family, arguments: arguments.collect() }
    }

    /// The logits of all values of a finite domain; `None` of what has no masses there, and of what
    /// jumps from value to value as parameters move.
    fn logits(
        &mut self,
        distribution: &Distribution<LayerId>,
        domain: &Domain,
        finite: &FiniteDomain,
    ) -> Option<LayerId> {
        match distribution {
            Distribution::Categorical(Scores::Logits(logits)) => Some(*logits),
            Distribution::Categorical(Scores::Probs(probs)) => Some(log(self.model, *probs)),
            Distribution::Bernoulli(Scores::Logits(logit)) => {
                Some(self.sum(vec![(*logit, vec![NO_COLUMN, 0])], *logit))
            }
            Distribution::Bernoulli(Scores::Probs(prob)) => match logit_of(self.model, *prob) {
                Some(logit) => Some(self.sum(vec![(logit, vec![NO_COLUMN, 0])], logit)),
                // by each of the two: log odds of what is certain are infinite
                None => {
                    let (of_one, of_zero) = log_chances(self.model, *prob);
                    let each = vec![(of_zero, vec![0, NO_COLUMN]), (of_one, vec![NO_COLUMN, 0])];
                    Some(self.sum(each, *prob))
                }
            },
            Distribution::Uniform => {
                let zero = self.model.graph.constant(0.0);
                Some(self.scalars(vec![zero; finite.size()]))
            }
            Distribution::Delta(value) => self.certain(*value, finite),
            Distribution::UniformOver(values) => {
                let one = self.model.graph.constant(1.0);
                let weight = self.scalars(vec![one]);
                let parts = values
                    .iter()
                    .map(|value| Some(Mixed { weight, logits: self.certain(*value, finite)? }));
                let parts = parts.collect::<Option<_>>()?;
                Some(self.mixture(parts, finite))
            }
            Distribution::Mixture(parts) => {
                let parts = parts.iter().map(|(weight, part)| {
                    Some(Mixed { weight: *weight, logits: self.logits(part, domain, finite)? })
                });
                let parts = parts.collect::<Option<_>>()?;
                Some(self.mixture(parts, finite))
            }
            Distribution::If { condition, then, otherwise } => {
                let others = self.not(*condition);
                let parts = [(*condition, then), (others, otherwise)].map(|(weight, part)| {
                    Some(Mixed { weight, logits: self.logits(part, domain, finite)? })
                });
                let parts = parts.into_iter().collect::<Option<_>>()?;
                Some(self.mixture(parts, finite))
            }
            Distribution::Record(parts) => self.independent(parts, domain, finite),
            Distribution::Sticky { last, keep, fresh } => {
                let fresh = self.logits(fresh, domain, finite)?;
                let (stays, is_there) = self.at(*last, domain, finite);
                let weight = self.binary(BinaryOp::Multiply, *keep, is_there, 1);
                let others = self.not(weight);
                let parts =
                    vec![Mixed { weight, logits: stays }, Mixed { weight: others, logits: fresh }];
                Some(self.mixture(parts, finite))
            }
            Distribution::UniformBox { .. }
            | Distribution::Real { .. }
            | Distribution::Implicit(_) => None,
        }
    }

    /// Of independent parts: the logits of a joint value are the sums of those of its fields.
    fn independent(
        &mut self,
        parts: &[Distribution<LayerId>],
        domain: &Domain,
        finite: &FiniteDomain,
    ) -> Option<LayerId> {
        let (mut picked, mut from) = (Vec::with_capacity(parts.len()), 0);
        let mut value = vec![0.0; finite.width()];
        for (at, part) in parts.iter().enumerate() {
            let field = domain.field(at);
            let values = field.finite.as_ref()?;
            let logits = self.logits(part, &field, values)?;
            let own = from..from + field.width();
            from = own.end;
            let numbers = (0..finite.size()).map(|number| {
                finite.value(number, &mut value);
                values.number(&value[own.clone()]).map(|number| number as u32)
            });
            picked.push((logits, numbers.collect::<Option<_>>()?));
        }
        let first = picked.first()?.0;
        Some(self.sum(picked, first))
    }

    /// All mass on a value that expressions give; where it is none of the domain, nothing has mass.
    fn certain(&mut self, value: LayerId, finite: &FiniteDomain) -> Option<LayerId> {
        if finite.size() > MOST {
            return None;
        }
        let components = self.expressions(value)?;
        let mut wanted = vec![0.0; components.len()];
        let graph = &mut self.model.graph;
        let masses = (0..finite.size()).map(|number| {
            finite.value(number, &mut wanted);
            let mut all = graph.constant(1.0);
            for (&component, &wanted) in components.iter().zip(&wanted) {
                let wanted = graph.constant(wanted);
                let equal = graph.binary(BinaryOp::Equal, component, wanted);
                all = graph.binary(BinaryOp::And, all, equal);
            }
            graph.unary(UnaryOp::Log, all)
        });
        let masses = masses.collect();
        Some(self.scalars(masses))
    }

    /// What a layer without parameters computes, column by column.
    fn expressions(&self, layer: LayerId) -> Option<Vec<ExprId>> {
        match &self.model.network.layer(layer).op {
            LayerOp::Scalars(values) => Some(values.clone()),
            LayerOp::Concat(parts) => {
                let parts = parts.iter().map(|part| self.expressions(*part));
                Some(parts.collect::<Option<Vec<_>>>()?.concat())
            }
            _ => None,
        }
    }

    /// All mass on the value of a given, and whether the given is there.
    fn at(&mut self, given: u32, domain: &Domain, finite: &FiniteDomain) -> (LayerId, LayerId) {
        let given_at = self.model.kernel(self.kernel).formals().nth(given as usize);
        let optional = given_at.is_some_and(|formal| formal.optional);
        let columns = |at: usize| domain.components[at].kind.columns(false);
        let width: usize = (0..domain.width()).map(|at| columns(at) + usize::from(optional)).sum();
        let op = LayerOp::Formal { kernel: self.kernel, formal: given };
        let one_hot = push(self.model, op, width, Span::default());
        // a column of each component in every value
        let (mut log_mass, mut first) = (Vec::new(), 0);
        let logs = log(self.model, one_hot);
        let mut value = vec![0.0; finite.width()];
        let mut lowest = vec![0.0; finite.width()];
        let box_of = FiniteDomain::of(&domain.components);
        box_of.unwrap_or_else(|| finite.clone()).value(0, &mut lowest);
        for at in 0..domain.width() {
            let picked = (0..finite.size()).map(|number| {
                finite.value(number, &mut value);
                first as u32 + (value[at] - lowest[at]) as u32
            });
            log_mass.push((logs, picked.collect()));
            first += columns(at) + usize::from(optional);
        }
        let stays = self.sum(log_mass, one_hot);
        let is_there = match optional {
            true => {
                let none = self.sum(vec![(one_hot, vec![columns(0) as u32])], one_hot);
                self.not(none)
            }
            false => {
                let one = self.model.graph.constant(1.0);
                self.scalars(vec![one])
            }
        };
        (stays, is_there)
    }

    /// 1 less a probability or a condition.
    fn not(&mut self, of: LayerId) -> LayerId {
        let one = self.model.graph.constant(1.0);
        let one = self.scalars(vec![one]);
        self.binary(BinaryOp::Subtract, one, of, 1)
    }

    fn scalars(&mut self, values: Vec<ExprId>) -> LayerId {
        let width = values.len();
        push(self.model, LayerOp::Scalars(values), width, Span::default())
    }

    fn binary(&mut self, op: BinaryOp, x: LayerId, y: LayerId, width: usize) -> LayerId {
        push(self.model, LayerOp::Binary(op, x, y), width, Span::default())
    }

    fn sum(&mut self, parts: Vec<(LayerId, Vec<u32>)>, like: LayerId) -> LayerId {
        let (width, span) = (parts[0].1.len(), self.model.network.layer(like).span);
        push(self.model, LayerOp::Sum(parts), width, span)
    }

    fn mixture(&mut self, parts: Vec<Mixed>, finite: &FiniteDomain) -> LayerId {
        let span = self.model.network.layer(parts[0].logits).span;
        push(self.model, LayerOp::Mixture(parts), finite.size(), span)
    }
}

/// The parts of a record side by side, where they are of one family.
fn joined(
    model: &mut Model,
    distribution: &Distribution<LayerId>,
) -> Option<Distribution<LayerId>> {
    let Distribution::Record(parts) = distribution else { return None };
    let of = |part: &Distribution<LayerId>| match part {
        Distribution::Real { family, arguments } => Some((*family, arguments.clone())),
        _ => None,
    };
    let parts: Vec<_> = parts.iter().map(of).collect::<Option<_>>()?;
    let family = parts.first()?.0;
    if parts.iter().any(|(other, _)| *other != family) {
        return None;
    }
    let arguments = (0..family.arguments().len()).map(|at| {
        let layers: Vec<LayerId> = parts.iter().map(|(_, arguments)| arguments[at]).collect();
        let width = layers.iter().map(|layer| model.network.layer(*layer).width).sum();
        let span = model.network.layer(layers[0]).span;
        push(model, LayerOp::Concat(layers), width, span)
    });
    Some(Distribution::Real { family, arguments: arguments.collect() })
}

fn log_odds(model: &mut Model, prob: LayerId) -> LayerId {
    if let Some(logit) = logit_of(model, prob) {
        return logit;
    }
    let (of_one, of_zero) = log_chances(model, prob);
    let span = model.network.layer(prob).span;
    push(model, LayerOp::Binary(BinaryOp::Subtract, of_one, of_zero), 1, span)
}

/// What a probability is the sigmoid of, which does not round to that of 0 or 1.
fn logit_of(model: &Model, prob: LayerId) -> Option<LayerId> {
    match model.network.layer(prob).op {
        LayerOp::Unary(UnaryOp::Sigmoid, logit) => Some(logit),
        _ => None,
    }
}

/// `log p` and `log (1 − p)`.
fn log_chances(model: &mut Model, prob: LayerId) -> (LayerId, LayerId) {
    let span = model.network.layer(prob).span;
    let one = model.graph.constant(1.0);
    let one = push(model, LayerOp::Scalars(vec![one]), 1, span);
    let rest = push(model, LayerOp::Binary(BinaryOp::Subtract, one, prob), 1, span);
    (log(model, prob), log(model, rest))
}

fn log(model: &mut Model, of: LayerId) -> LayerId {
    let (width, span) = (model.network.layer(of).width, model.network.layer(of).span);
    push(model, LayerOp::Unary(UnaryOp::Log, of), width, span)
}

fn push(model: &mut Model, op: LayerOp, width: usize, span: Span) -> LayerId {
    model.network.layers.push(Layer { op, width, span });
    LayerId(model.network.layers.len() as u32 - 1)
}

#[cfg(test)]
mod tests {
    use crate::model::{Distribution, Overrides, Scores, check};
    use crate::source::Source;
    use crate::syntax::parse;

    #[test]
    fn learned_probabilities_become_logits_and_constants_stay() {
        let text = "model coin
            horizon T = 2
            environment line {
              state s : 0..2; action a : bool; reward r
              s[1] ~ Delta(0)
              s[t+1] ~ Delta(if a[t] then min(s[t] + 1, 2) else s[t])
              r[t] = -s[t]
            }
            kernel pi(a | s) = Bernoulli(probs = 0.1 + 0.8 * sigmoid(linear(s)))
            kernel rarely(a | s) = Bernoulli(probs = 0.1)
            prior { s[1] ~ line.initial; a[t] ~ rarely(s[t])
                    s[t+1] ~ line.transition(s[t], a[t]) }
            likelihood { R[t] ~ exp(r[t]) }
            posterior { s[1] ~ line.initial; a[t] ~ pi(s[t])
                        s[t+1] ~ line.transition(s[t], a[t]) }";
        let file = parse(&Source::new("coin.rlmodel", text)).expect("the text is a model");
        let model = check(&file, &Overrides::default()).expect("nothing is wrong with it");
        let scores = |name: &str| {
            let kernel = model.kernels.iter().find(|kernel| kernel.name == name);
            match &kernel.expect("a kernel").distribution {
                Distribution::Bernoulli(scores) => matches!(scores, Scores::Logits(_)),
                other => panic!("{other:?}"),
            }
        };
        assert!(scores("pi") && !scores("rarely"));
    }
}
