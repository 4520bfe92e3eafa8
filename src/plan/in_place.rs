//! Actions and options that are drawn from distributions in place: each becomes a kernel without
//! parameters over what the distribution reads, so that it is drawn and weighed as learned ones
//! are. The factor stays as it is written.

use super::{prior, refused};
use crate::bound::BoundDerivation;
use crate::diagnostic::Diagnostic;
use crate::expr::{ExprId, Graph, InputId, Node};
use crate::family::{FAMILIES, Family};
use crate::model::{
    Block, Distribution, Domain, Factor, FactorRef, Formal, FormalLength, FormalVariable, Index,
    Input, Kernel, KernelId, KernelRef, Layer, LayerId, LayerOp, Model, Role, Scores, Target,
    TargetVariable, Value, VariableId,
};
use crate::source::Span;
use std::collections::BTreeMap;

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
                let message = format!(
                    "`{}` is drawn from {what} in place, which this version does not draw from",
                    model.variable(variable).name
                );
                errors.push(refused(factor.span, message));
            }
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// The action or option that the factor draws.
fn chosen(model: &Model, factor: &Factor) -> Option<VariableId> {
    match factor.targets[..] {
        [Target::Variable { variable: TargetVariable::Variable(variable), .. }]
            if matches!(model.variable(variable).role, Role::Action | Role::Option) =>
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
    let (family, parts) = match &domain.finite {
        Some(finite) => {
            let over = (&domain, finite);
            (None, vec![prior::log_probabilities(&mut model.graph, distribution, over)?])
        }
        None => {
            let (family, arguments) = of_family(&mut model.graph, distribution, &domain)
                .ok_or("a distribution over real numbers that is of no family")?;
            (Some(family), arguments)
        }
    };
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
    let distribution = match family {
        Some(family) => Distribution::Real { family, arguments: layers },
        None => Distribution::Categorical(Scores::Logits(layers[0])),
    };
    let name = format!("{} in place", model.variable(variable).name);
    model.kernels.push(Kernel { name, outputs, givens, distribution, span: factor.span });
    Ok((id, arguments))
}

/// A distribution over real numbers as a family and its arguments, by component: also a uniform one
/// over bounds, and a record of parts of one family.
fn of_family(
    graph: &mut Graph,
    distribution: &Distribution<Vec<ExprId>>,
    domain: &Domain,
) -> Option<(Family, Vec<Vec<ExprId>>)> {
    match distribution {
        Distribution::Real { family, arguments } => Some((*family, arguments.clone())),
        Distribution::Uniform => {
            let family = FAMILIES.into_iter().find(|family| family.uniform().is_some())?;
            let arguments = family.uniform()?.iter();
            let all = arguments.map(|&value| vec![graph.constant(value); domain.width()]);
            Some((family, all.collect()))
        }
        Distribution::Record(parts) => {
            let mut joined: Option<(Family, Vec<Vec<ExprId>>)> = None;
            for (at, part) in parts.iter().enumerate() {
                let (family, arguments) = of_family(graph, part, &domain.field(at))?;
                match &mut joined {
                    None => joined = Some((family, arguments)),
                    Some((known, _)) if *known != family => return None,
                    Some((_, all)) => {
                        all.iter_mut().zip(arguments).for_each(|(all, own)| all.extend(own));
                    }
                }
            }
            joined
        }
        _ => None,
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
