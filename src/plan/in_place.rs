//! Actions, options and states that are drawn from distributions in place: each becomes a kernel
//! without parameters over what the distribution reads, so that it is drawn and weighed as learned
//! ones are. The factor stays as it is written.

use super::read::learned;
use super::{prior, refused};
use crate::bound::BoundDerivation;
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, ExprId, Graph, InputId, Node};
use crate::family::{FAMILIES, Family};
use crate::model::{
    Block, Distribution, Domain, Factor, FactorRef, Formal, FormalLength, FormalVariable, Index,
    Input, Kernel, KernelId, KernelRef, Layer, LayerId, LayerOp, LikelihoodForm, Model, Role,
    Scores, Target, TargetVariable, Value, VariableId, normalise_kernel, unstick,
};
use crate::source::Span;
use std::collections::{BTreeMap, BTreeSet};

/// By factor, what it draws from and what that reads.
pub(super) type InPlace = BTreeMap<FactorRef, (KernelId, Vec<Value>)>;

/// Adds such kernels to the model, for all factors of a bound that need one.
pub(super) fn kernels(
    model: &mut Model,
    derivation: &BoundDerivation,
) -> Result<InPlace, Vec<Diagnostic>> {
    let bound = model.bound(derivation.bound);
    let of_block = |block: Block| {
        let factors = (0u32..).zip(bound.factors(block).iter().cloned());
        factors.map(move |(at, factor)| (FactorRef { block, at }, factor))
    };
    let factors = [Block::Posterior, Block::Prior, Block::Auxiliary].into_iter().flat_map(of_block);
    let factors: Vec<(FactorRef, Factor)> = factors.collect();
    let (mut found, mut errors) = (InPlace::new(), Vec::new());
    for (at, factor) in &factors {
        let (Some(variable), KernelRef::InPlace(distribution)) =
            (chosen(model, factor), &factor.kernel)
        else {
            continue;
        };
        // the bound counts its values
        if at.block != Block::Posterior && matches!(distribution, Distribution::Uniform) {
            continue;
        }
        match kernel(model, variable, distribution, factor) {
            Ok(kernel) => drop(found.insert(*at, kernel)),
            // a prior may have a closed form of its own
            Err(_) if at.block != Block::Posterior => {}
            Err(what) => {
                let name = &model.variable(variable).name;
                let message = format!("`{name}` is drawn from {what}");
                errors.push(refused(factor.span, message));
            }
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// Brings the kernels of a bound, also those without parameters, into the form that is drawn.
pub(super) fn written_kernels(model: &mut Model, derivation: &BoundDerivation) {
    let bound = model.bound(derivation.bound);
    let blocks = [Block::Posterior, Block::Prior, Block::Auxiliary];
    let factors = blocks.into_iter().flat_map(|block| bound.factors(block));
    let of_likelihood = bound.likelihood.iter().filter_map(|likelihood| match &likelihood.form {
        LikelihoodForm::Density { kernel, .. } => Some(kernel),
        LikelihoodForm::Exponential { .. } => None,
    });
    let used: BTreeSet<KernelId> = factors
        .map(|factor| &factor.kernel)
        .chain(of_likelihood)
        .filter_map(|kernel| Some(learned(kernel)?.0))
        .collect();
    // what stays elsewhere than at the step before has no shorter form
    let elsewhere = |factor: &&Factor| match (&factor.kernel, &factor.targets[..]) {
        (KernelRef::Learned(kernel), [Target::Variable { variable, .. }]) => {
            let kernel = model.kernel(*kernel);
            let Distribution::Sticky { last, .. } = kernel.distribution else { return false };
            let stays_at = factor.arguments.get(last as usize - kernel.outputs.len());
            !matches!((stays_at, variable), (
                Some(Value::Variable { variable: at, index: Index::Step(-1) }),
                TargetVariable::Variable(of),
            ) if at == of)
        }
        _ => false,
    };
    let stuck: BTreeSet<KernelId> = bound
        .posterior
        .iter()
        .filter(elsewhere)
        .filter_map(|factor| Some(learned(&factor.kernel)?.0))
        .collect();
    used.into_iter().for_each(|kernel| normalise_kernel(model, kernel));
    stuck.into_iter().for_each(|kernel| unstick(model, kernel));
}

/// The action, option or state that the factor draws.
fn chosen(model: &Model, factor: &Factor) -> Option<VariableId> {
    match factor.targets[..] {
        [Target::Variable { variable: TargetVariable::Variable(variable), .. }]
            if matches!(
                model.variable(variable).role,
                Role::Action | Role::Option | Role::State
            ) =>
        {
            Some(variable)
        }
        _ => None,
    }
}

fn kernel(
    model: &mut Model,
    variable: VariableId,
    distribution: &Distribution<Vec<ExprId>>,
    factor: &Factor,
) -> Result<(KernelId, Vec<Value>), &'static str> {
    let id = KernelId(model.kernels.len() as u32);
    let domain = model.variable(variable).domain.clone();
    let formal = |variable: VariableId, model: &Model| {
        let known = model.variable(variable);
        Formal {
            name: known.name.clone(),
            variable: FormalVariable::Variable(variable),
            length: FormalLength::One,
            optional: false,
            span: factor.span,
        }
    };
    let outputs = vec![formal(variable, model)];
    let in_families = match &domain.finite {
        Some(_) => {
            let logits = prior::log_probabilities(&mut model.graph, distribution, &domain)?;
            Distribution::Categorical(Scores::Logits(logits))
        }
        None => in_families(&mut model.graph, distribution, &domain)
            .ok_or("point masses on a continuous domain, which have no density")?,
    };
    let mut parts: Vec<Vec<ExprId>> = Vec::new();
    in_families.for_each(&mut |part| parts.push(part.clone()));
    // what it reads becomes its givens
    let mut read: Vec<(VariableId, Index)> = Vec::new();
    let reads_time = model
        .graph
        .reach(&parts.concat())
        .into_iter()
        .any(|at| matches!(model.graph.node(at), Node::Time));
    for input in model.graph.inputs_of(&parts.concat()) {
        match model.inputs[input.0 as usize] {
            Input::Variable { variable, index, .. } if !read.contains(&(variable, index)) => {
                read.push((variable, index))
            }
            Input::Variable { .. } => {}
            Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => {
                return Err("a distribution that reads a reward or a gain");
            }
        }
    }
    let mut givens: Vec<Formal> =
        read.iter().map(|&(variable, _)| formal(variable, model)).collect();
    let mut arguments: Vec<Value> =
        read.iter().map(|&(variable, index)| Value::Variable { variable, index }).collect();
    if reads_time {
        let time = FormalVariable::Time;
        givens.push(Formal {
            name: "t".into(),
            variable: time,
            length: FormalLength::One,
            optional: false,
            span: factor.span,
        });
        arguments.push(Value::Time);
    }
    let layers: Vec<LayerId> = parts.iter().map(|part| layer(model, id, part, &read)).collect();
    let distribution = with_layers(&in_families, &mut layers.into_iter());
    let name = format!("{} in place", model.variable(variable).name);
    let span = factor.span;
    model.kernels.push(Kernel { name, outputs, givens, called: None, distribution, span });
    Ok((id, arguments))
}

/// A distribution over real numbers in the forms that are drawn: families, mixtures of them, and
/// records of both and of finite parts; a uniform one over bounds is one of a family.
fn in_families(
    graph: &mut Graph,
    distribution: &Distribution<Vec<ExprId>>,
    domain: &Domain,
) -> Option<Distribution<Vec<ExprId>>> {
    if domain.is_finite() {
        let logits = prior::log_probabilities(graph, distribution, domain).ok()?;
        return Some(Distribution::Categorical(Scores::Logits(logits)));
    }
    match distribution {
        Distribution::Real { .. } => Some(distribution.clone()),
        Distribution::Uniform if domain.is_record() => {
            let parts =
                (0..domain.fields()).map(|at| in_families(graph, distribution, &domain.field(at)));
            of_one_family(parts.collect::<Option<_>>()?)
        }
        Distribution::Uniform => {
            let family = FAMILIES.into_iter().find(|family| family.uniform().is_some())?;
            let arguments = family.uniform()?.iter();
            let all = arguments.map(|&value| vec![graph.constant(value); domain.width()]);
            Some(Distribution::Real { family, arguments: all.collect() })
        }
        Distribution::Record(parts) => {
            let parts = parts.iter().enumerate();
            let parts = parts.map(|(at, part)| in_families(graph, part, &domain.field(at)));
            of_one_family(parts.collect::<Option<_>>()?)
        }
        Distribution::Mixture(parts) => {
            let parts = parts
                .iter()
                .map(|(weight, part)| Some((weight.clone(), in_families(graph, part, domain)?)));
            Some(Distribution::Mixture(parts.collect::<Option<_>>()?))
        }
        Distribution::If { condition, then, otherwise } => {
            let one = graph.constant(1.0);
            let others = graph.binary(BinaryOp::Subtract, one, condition[0]);
            let then = in_families(graph, then, domain)?;
            let otherwise = in_families(graph, otherwise, domain)?;
            Some(Distribution::Mixture(vec![(condition.clone(), then), (vec![others], otherwise)]))
        }
        Distribution::UniformBox { lo, hi } => {
            let arguments = vec![lo.clone(), hi.clone()];
            Some(Distribution::Real { family: Family::between(), arguments })
        }
        Distribution::UniformOver(_)
        | Distribution::Delta(_)
        | Distribution::Categorical(_)
        | Distribution::Bernoulli(_)
        | Distribution::Sticky { .. }
        | Distribution::Implicit(_) => None,
    }
}

/// A record, or the one family of all of its parts.
fn of_one_family(parts: Vec<Distribution<Vec<ExprId>>>) -> Option<Distribution<Vec<ExprId>>> {
    let mut joined: Option<(Family, Vec<Vec<ExprId>>)> = None;
    for part in &parts {
        let Distribution::Real { family, arguments } = part else {
            return Some(Distribution::Record(parts));
        };
        match &mut joined {
            None => joined = Some((*family, arguments.clone())),
            Some((known, _)) if known != family => return Some(Distribution::Record(parts)),
            Some((_, all)) => {
                all.iter_mut().zip(arguments).for_each(|(all, own)| all.extend(own));
            }
        }
    }
    let (family, arguments) = joined?;
    Some(Distribution::Real { family, arguments })
}

/// The same with layers in the place of expressions, in the order in which they are visited.
fn with_layers(
    distribution: &Distribution<Vec<ExprId>>,
    layers: &mut dyn Iterator<Item = LayerId>,
) -> Distribution<LayerId> {
    let mut next = || layers.next().expect("in_place: a layer for each argument");
    match distribution {
        Distribution::Real { family, arguments } => Distribution::Real {
            family: *family,
            arguments: arguments.iter().map(|_| next()).collect(),
        },
        Distribution::Mixture(parts) => {
            let parts = parts.iter().map(|(_, part)| {
                let weight = layers.next().expect("in_place: a layer for each weight");
                (weight, with_layers(part, layers))
            });
            Distribution::Mixture(parts.collect())
        }
        Distribution::Record(parts) => {
            Distribution::Record(parts.iter().map(|part| with_layers(part, layers)).collect())
        }
        // the only other form
        _ => Distribution::Categorical(Scores::Logits(next())),
    }
}

/// The expressions as a layer of the kernel, with its formals in the place of what they read.
fn layer(
    model: &mut Model,
    kernel: KernelId,
    values: &[ExprId],
    read: &[(VariableId, Index)],
) -> LayerId {
    let (graph, inputs) = (model.graph.clone(), model.inputs.clone());
    // outputs come first, and there is one
    let formal = |given: usize, component: u32| Input::Formal {
        kernel,
        formal: 1 + given as u32,
        component,
    };
    let place = |leaf: &Node| match leaf {
        Node::Time => Some(formal(read.len(), 0)),
        Node::Input(InputId(at)) => match inputs[*at as usize] {
            Input::Variable { variable, component, index } => read
                .iter()
                .position(|known| *known == (variable, index))
                .map(|given| formal(given, component)),
            Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => None,
        },
        _ => None,
    };
    let known = &mut model.inputs;
    let values = graph.copy_into(values, &mut model.graph, &mut |target, leaf| {
        let input = place(leaf)?;
        let at = known.iter().position(|known| *known == input).unwrap_or_else(|| {
            known.push(input);
            known.len() - 1
        });
        Some(target.intern(Node::Input(InputId(at as u32))))
    });
    model.network.layers.push(Layer {
        width: values.len(),
        op: LayerOp::Scalars(values),
        span: Span::default(),
    });
    LayerId(model.network.layers.len() as u32 - 1)
}
