//! The classifiers of a file: of each density ratio one, as `infer` gives it, or a network of all
//! that it may read.

use crate::bound::{Derivation, TermKind};
use crate::diagnostic::Diagnostic;
use crate::expr::Node;
use crate::model::{
    Activation, BoundId, DataId, Distribution, EnvironmentId, EnvironmentKernel, Factor, FactorRef,
    Formal, FormalLength, FormalVariable, Index, Kernel, KernelId, KernelRef, Layer, LayerId,
    LayerOp, Model, Parameter, ParameterId, Setting, SettingOf, SettingValue, Target,
    TargetVariable, Value,
};
use crate::source::Span;

/// Widths of the hidden layers.
const HIDDEN: [usize; 2] = [64, 64];

/// The network whose logit stands for the log-ratio of two kernels' densities.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    pub apart: Apart,
    /// How a run's numbers name it, where there are several.
    pub name: String,
    pub kernel: KernelId,
    pub layer: LayerId,
    pub arguments: Vec<Value>,
    /// Of the line that gives it, or of the factor that asks for it.
    pub span: Span,
}

/// Two kernels between whose draws a classifier stands, in whichever bounds and whichever of them
/// is the prior's: `log real − log model`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apart {
    pub real: Side,
    pub model: Side,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Environment(EnvironmentId, EnvironmentKernel),
    Kernel(KernelId),
    Data(DataId),
    /// A distribution in place, of that factor.
    InPlace(BoundId, FactorRef),
}

impl Apart {
    pub fn of(model: &Model, bound: BoundId, (p, q): (FactorRef, FactorRef)) -> Apart {
        let side = |at: FactorRef| match &model.bound(bound).factor(at).kernel {
            KernelRef::Environment(id, kernel) => Side::Environment(*id, *kernel),
            KernelRef::Learned(id) | KernelRef::Previous(id) => Side::Kernel(*id),
            KernelRef::Data(id) => Side::Data(*id),
            KernelRef::InPlace(_) => Side::InPlace(bound, at),
        };
        match (side(p), side(q)) {
            (p, q @ Side::Environment(..)) => Apart { real: q, model: p },
            (p, q) => Apart { real: p, model: q },
        }
    }

    /// Whether a key that names these sides is of this ratio.
    fn is_of(self, sides: &[SettingOf]) -> bool {
        sides.iter().all(|&of| {
            let side = Side::of(of);
            self.real == side || self.model == side
        })
    }

    /// What a key can name of it: no distribution in place.
    fn sides(self) -> Vec<SettingOf> {
        [self.real, self.model].into_iter().filter_map(Side::named).collect()
    }

    /// One side is of recorded data.
    fn is_recorded(self) -> bool {
        [self.real, self.model].into_iter().any(|side| matches!(side, Side::Data(_)))
    }
}

impl Side {
    fn of(named: SettingOf) -> Side {
        match named {
            SettingOf::Kernel(kernel) => Side::Kernel(kernel),
            SettingOf::Data(data) => Side::Data(data),
            SettingOf::Environment(environment, kernel) => Side::Environment(environment, kernel),
        }
    }

    fn named(self) -> Option<SettingOf> {
        match self {
            Side::Kernel(kernel) => Some(SettingOf::Kernel(kernel)),
            Side::Data(data) => Some(SettingOf::Data(data)),
            Side::Environment(environment, kernel) => {
                Some(SettingOf::Environment(environment, kernel))
            }
            Side::InPlace(..) => None,
        }
    }
}

/// A ratio of the file: what it is of, what the classifier may read there, and where it stands.
struct Asked {
    apart: Apart,
    reads: Vec<Value>,
    span: Span,
}

/// The classifiers of the ratios of all bounds that are maximised, each once: the networks that
/// `infer` gives, `ratio(world) = …` or `ratio = …` of the one that no other line names, and
/// `mlp(s, a, s', hidden = [64, 64])` of the others, which is added to the model.
///
/// # Errors
/// Each line that is of no ratio, or of several.
pub(super) fn of_file(
    model: &mut Model,
    derivation: &Derivation,
) -> Result<Vec<Classifier>, Vec<Diagnostic>> {
    let asked = asked(model, derivation);
    let lines: Vec<Setting> =
        model.settings.iter().filter(|setting| setting.key == "ratio").cloned().collect();
    let wrong = |span, message: String, hint: String| {
        Diagnostic::error("bad-setting", span, message).hint(hint)
    };
    let mut errors = Vec::new();
    let mut given: Vec<Option<&Setting>> = vec![None; asked.len()];
    for line in lines.iter().filter(|line| !line.of.is_empty()) {
        let found: Vec<usize> =
            (0..asked.len()).filter(|&at| asked[at].apart.is_of(&line.of)).collect();
        let named: Vec<String> =
            line.of.iter().map(|&side| format!("`{}`", name_of_side(model, side))).collect();
        match found[..] {
            _ if line.of.len() == 2 && line.of[0] == line.of[1] => errors.push(wrong(
                line.span,
                format!("both sides of this ratio are {}", named[0]),
                "name each of its two sides once, or one of them".into(),
            )),
            [] if named.len() == 1 => errors.push(wrong(
                line.span,
                format!(
                    "{} stands in no density ratio of a bound that is maximised, so that no \
                     classifier is of it",
                    named[0]
                ),
                "leave it away".into(),
            )),
            [] => errors.push(wrong(
                line.span,
                format!(
                    "no density ratio of a bound that is maximised is of {}, so that no \
                     classifier is",
                    named.join(" and ")
                ),
                "leave it away".into(),
            )),
            [one] if given[one].is_some() => errors.push(wrong(
                line.span,
                "two lines give the classifier of one ratio, by its two kernels".into(),
                "leave one of them away".into(),
            )),
            [one] => given[one] = Some(line),
            _ => errors.push(wrong(
                line.span,
                format!(
                    "{} stands in several ratios, and each has its classifier",
                    named.join(" beside ")
                ),
                keys_of(model, &asked, &found),
            )),
        }
    }
    if let Some(line) = lines.iter().find(|line| line.of.is_empty()) {
        let left: Vec<usize> = (0..asked.len()).filter(|&at| given[at].is_none()).collect();
        match left[..] {
            [one] => given[one] = Some(line),
            // that of no ratio at all is told with the other keys of classifiers
            [] if asked.is_empty() => {}
            [] => errors.push(wrong(
                line.span,
                "each ratio of this file has a line of its own, so that `ratio` is of none".into(),
                "leave it away".into(),
            )),
            _ => errors.push(wrong(
                line.span,
                format!(
                    "one network cannot be the logit of {} ratios, and `ratio` does not say of \
                     which it is",
                    left.len()
                ),
                keys_of(model, &asked, &left),
            )),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut names: Vec<String> = Vec::with_capacity(asked.len());
    for at in 0..asked.len() {
        let name = name_of(model, &asked, at);
        // those that no name tells apart are counted
        let known = names.iter().filter(|known| **known == name).count();
        names.push(if known == 0 { name } else { format!("{name}.{}", known + 1) });
    }
    let several = asked.len() > 1;
    let mut all = Vec::with_capacity(asked.len());
    for ((asked, name), given) in asked.into_iter().zip(names).zip(given) {
        let Asked { apart, reads, span } = asked;
        all.push(match given {
            Some(Setting { value: SettingValue::Network { kernel, layer, arguments }, .. }) => {
                let (kernel, layer, arguments) = (*kernel, *layer, arguments.clone());
                let span = given.map_or(span, |line| line.span);
                Classifier { apart, name, kernel, layer, arguments, span }
            }
            _ => {
                let key =
                    if several { format!("infer.ratio.{name}") } else { "infer.ratio".into() };
                let (kernel, layer) = network(model, key, (&reads, apart.is_recorded()), span);
                Classifier { apart, name, kernel, layer, arguments: reads, span }
            }
        });
    }
    Ok(all)
}

/// How to name each of several ratios, as a hint.
fn keys_of(model: &Model, asked: &[Asked], of: &[usize]) -> String {
    let keys: Option<Vec<String>> =
        of.iter().map(|&at| Some(format!("`{} = …`", key_of(model, asked, at)?))).collect();
    match keys {
        Some(keys) => format!("write {}", keys.join(" and ")),
        None => "leave it away: each has a network of its own; or declare the distribution in \
                 place that stands in one of them as a `kernel`, so that a key can name it"
            .to_owned(),
    }
}

/// The key that is of one of several ratios alone: by the side that stands in no other, or by both.
fn key_of(model: &Model, asked: &[Asked], at: usize) -> Option<String> {
    let sides = asked[at].apart.sides();
    let is_own =
        |named: &[SettingOf]| asked.iter().filter(|other| other.apart.is_of(named)).count() == 1;
    let one = sides.iter().find(|&&side| is_kernel(side) && is_own(&[side]));
    let named = match one {
        Some(&side) => vec![side],
        None if sides.len() == 2 && is_own(&sides) => sides,
        None => return None,
    };
    let names: Vec<String> = named.into_iter().map(|side| name_of_side(model, side)).collect();
    Some(format!("ratio({})", names.join(", ")))
}

/// The file itself declares it, with a name of its own.
fn is_kernel(side: SettingOf) -> bool {
    !matches!(side, SettingOf::Environment(..))
}

fn name_of_side(model: &Model, side: SettingOf) -> String {
    match side {
        SettingOf::Kernel(id) => model.kernel(id).name.clone(),
        SettingOf::Data(id) => model.data[id.0 as usize].name.clone(),
        SettingOf::Environment(id, kernel) => {
            format!("{}.{}", model.environment(id).name, kernel.name())
        }
    }
}

/// The name of one of several ratios: that of one of its kernels which stands in no other, or both.
fn name_of(model: &Model, asked: &[Asked], at: usize) -> String {
    let kernels: Vec<SettingOf> =
        asked[at].apart.sides().into_iter().filter(|&side| is_kernel(side)).collect();
    let is_own =
        |side: SettingOf| asked.iter().filter(|other| other.apart.is_of(&[side])).count() == 1;
    let named = match kernels.iter().find(|&&side| is_own(side)) {
        Some(&own) => vec![own],
        None => kernels,
    };
    match named[..] {
        [] => "in_place".to_owned(),
        _ => {
            let names: Vec<String> =
                named.into_iter().map(|side| name_of_side(model, side)).collect();
            names.join(".")
        }
    }
}

/// The ratios of all bounds that are maximised, in their order.
fn asked(model: &Model, derivation: &Derivation) -> Vec<Asked> {
    let is_maximised =
        |bound: BoundId| model.objectives.iter().any(|objective| objective.bound == bound);
    let mut found: Vec<Asked> = Vec::new();
    for derived in derivation.bounds.iter().filter(|derived| is_maximised(derived.bound)) {
        for term in &derived.terms {
            let TermKind::DensityRatio { p, q } = term.kind else { continue };
            let apart = Apart::of(model, derived.bound, (p, q));
            if found.iter().any(|known| known.apart == apart) {
                continue;
            }
            let (prior, posterior) =
                (model.bound(derived.bound).factor(p), model.bound(derived.bound).factor(q));
            if let Some(reads) = reads(model, prior, posterior) {
                found.push(Asked { apart, reads, span: posterior.span });
            }
        }
    }
    found
}

/// All that the classifier of two factors may read: the state, with all actions of its environment
/// and the next state, and with the time where the model reads it; the first state alone; or what
/// is recorded.
fn reads(model: &Model, prior: &Factor, posterior: &Factor) -> Option<Vec<Value>> {
    let [Target::Variable { variable: TargetVariable::Variable(drawn), index }] =
        posterior.targets[..]
    else {
        return None;
    };
    if let KernelRef::Data(_) = prior.kernel {
        let is_plain = |value: &&Value| matches!(value, Value::Variable { .. } | Value::Time);
        let told = Value::Variable { variable: drawn, index };
        return Some(prior.arguments.iter().filter(is_plain).cloned().chain([told]).collect());
    }
    let environment = model.environments.iter().find(|of| of.state == drawn)?;
    let at = |variable, step| Value::Variable { variable, index: Index::Step(step) };
    let state = at(environment.state, 0);
    Some(match index {
        Index::First => vec![state],
        _ => {
            let actions = environment.actions.iter().map(|&action| at(action, 0));
            let is_time = |value: &Value| match value {
                Value::Time => true,
                Value::Expression(values) => {
                    let mut read = model.graph.reach(values).into_iter();
                    read.any(|at| matches!(model.graph.node(at), Node::Time))
                }
                _ => false,
            };
            let reads_time = [prior, posterior].iter().any(|of| of.arguments.iter().any(is_time));
            let time = reads_time.then_some(Value::Time);
            let next = at(environment.state, 1);
            [state].into_iter().chain(actions).chain([next]).chain(time).collect()
        }
    })
}

/// An `mlp` of all that is read, by the name of its parameters.
fn network(
    model: &mut Model,
    name: String,
    (arguments, is_recorded): (&[Value], bool),
    span: Span,
) -> (KernelId, LayerId) {
    let kernel = KernelId(model.kernels.len() as u32);
    let push = |model: &mut Model, op: LayerOp, width: usize| {
        model.network.layers.push(Layer { op, width, span });
        LayerId(model.network.layers.len() as u32 - 1)
    };
    let (mut givens, mut inputs) = (Vec::new(), Vec::new());
    for (at, read) in (0..).zip(arguments) {
        let (name, variable, domain) = match *read {
            Value::Variable { variable, index } => {
                let known = model.variable(variable);
                let next = if index == Index::Step(1) { "'" } else { "" };
                let name = format!("{}{next}", known.name);
                (name, FormalVariable::Variable(variable), Some(&known.domain))
            }
            _ => ("t".to_owned(), FormalVariable::Time, None),
        };
        // after an end nothing is done, and a classifier of recorded actions sees that
        let optional = is_recorded && domain.is_some();
        let formal = Formal { name, variable, length: FormalLength::One, optional, span };
        let width = formal.columns(domain).expect("classifier: of one step");
        givens.push(formal);
        inputs.push(push(model, LayerOp::Formal { kernel, formal: at }, width));
    }
    let width = |model: &Model, layer: &LayerId| model.network.layer(*layer).width;
    let mut rows = inputs.iter().map(|layer| width(model, layer)).sum();
    let input = push(model, LayerOp::Concat(inputs), rows);
    let mut weights = Vec::new();
    for (at, columns) in HIDDEN.into_iter().chain([1]).enumerate() {
        let mut parameter = |what: &str, rows: usize| {
            let name = format!("{name}.{at}.{what}");
            model.network.parameters.push(Parameter { name, rows, columns, start: 0.0 });
            ParameterId(model.network.parameters.len() as u32 - 1)
        };
        weights.push((parameter("weight", rows), parameter("bias", 1)));
        rows = columns;
    }
    let op = LayerOp::Mlp { input, activation: Activation::Tanh, last: None, weights };
    let layer = push(model, op, 1);
    model.kernels.push(Kernel {
        name,
        outputs: Vec::new(),
        givens,
        called: None,
        distribution: Distribution::Delta(layer),
        span,
    });
    (kernel, layer)
}
