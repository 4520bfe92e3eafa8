//! The factors of a bound that call kernels with what is computed, each as one of the kernel that
//! such a call is. The bound of the model stays as it is written.

use super::Normalizer;
use super::read::{Version, learned};
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, ExprId, InputId, Node, UnaryOp};
use crate::model::{
    Bound, BoundId, FormalVariable, Input, KernelId, KernelRef, Kind, LikelihoodForm, Model, Value,
    call,
};
use crate::source::Span;
use std::collections::BTreeMap;

/// A copy of the bound whose kernels are given nothing that is computed; gains of the model, which
/// exponents read, are made so, too.
pub(super) fn bound(model: &mut Model, of: BoundId) -> Bound {
    let mut bound = model.bound(of).clone();
    let mut calls = Calls { model, known: Vec::new() };
    let Bound { prior, posterior, auxiliary, likelihood, .. } = &mut bound;
    for factor in posterior.iter_mut().chain(prior).chain(auxiliary) {
        calls.make(&mut factor.kernel, &mut factor.arguments, factor.span);
    }
    for likelihood in likelihood {
        if let LikelihoodForm::Density { kernel, givens, .. } = &mut likelihood.form {
            calls.make(kernel, givens, likelihood.span);
        }
    }
    for at in 0..calls.model.gains.len() {
        let mut gain = calls.model.gains[at].clone();
        let mut kernel = KernelRef::Learned(gain.kernel);
        calls.make(&mut kernel, &mut gain.givens, gain.span);
        gain.kernel = learned(&kernel).map_or(gain.kernel, |(kernel, _)| kernel);
        calls.model.gains[at] = gain;
    }
    bound
}

/// Arguments of finitely many values that are counted from real ones, where nothing says that they
/// are of them: a value between two, or beyond all, has no row of a table and no head.
pub(super) fn uncounted(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let factors = [&bound.posterior, &bound.prior, &bound.auxiliary].into_iter().flatten();
    let factors = factors.map(|factor| (&factor.kernel, &factor.arguments, factor.span));
    let densities = bound.likelihood.iter().filter_map(|likelihood| match &likelihood.form {
        LikelihoodForm::Density { kernel, givens, .. } => Some((kernel, givens, likelihood.span)),
        LikelihoodForm::Exponential { .. } => None,
    });
    let of_call = |(kernel, arguments, span): (&KernelRef, &Vec<Value>, Span)| {
        let written = model.kernel(learned(kernel)?.0);
        let mut given = written.givens.iter().zip(arguments);
        let (formal, _) = given.find(|(formal, argument)| {
            let (Value::Expression(values), FormalVariable::Variable(of)) =
                (argument, formal.variable)
            else {
                return false;
            };
            let components = model.variable(of).domain.components.iter();
            values.iter().zip(components).any(|(&value, component)| match component.kind {
                Kind::Real { .. } => false,
                Kind::Integer { lo, hi } => !counts(model, value, (lo as f64, hi as f64)),
                Kind::Bool => !counts(model, value, (0.0, 1.0)),
                Kind::Names(ref names) => !counts(model, value, (0.0, names.len() as f64 - 1.0)),
            })
        })?;
        let message = format!(
            "`{}` is given `{}` as a number that may be none of its values: what is counted from \
             real numbers is to be whole, and within its bounds",
            written.name, formal.name
        );
        let told = Diagnostic::error("leaves-domain", span, message);
        Some(told.hint("round it, and keep it inside: `clamp(floor(…), lo, hi)`"))
    };
    factors.chain(densities).filter_map(of_call).collect()
}

/// Whether an expression that reads real numbers is a whole one within bounds. What it is of
/// finitely many values has been looked at.
fn counts(model: &Model, value: ExprId, (lo, hi): (f64, f64)) -> bool {
    let kind = |input: InputId| match model.inputs[input.0 as usize] {
        Input::Variable { variable, component, .. } => {
            let components = &model.variable(variable).domain.components;
            Some(&components[component as usize].kind)
        }
        Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => None,
    };
    let is_real = |input: &InputId| matches!(kind(*input), None | Some(Kind::Real { .. }));
    if !model.graph.inputs_of(&[value]).iter().any(is_real) {
        return true;
    }
    let between = |input: InputId| match kind(input) {
        Some(Kind::Real { lo, hi }) => (*lo, *hi),
        Some(Kind::Integer { lo, hi }) => (*lo as f64, *hi as f64),
        Some(Kind::Names(names)) => (0.0, names.len() as f64 - 1.0),
        Some(Kind::Bool) => (0.0, 1.0),
        None => (f64::NEG_INFINITY, f64::INFINITY),
    };
    let steps = (1.0, model.horizon.value as f64);
    let (least, most) = model.graph.interval(value, &model.param_ranges(), &between, steps);
    lo <= least && most <= hi && is_whole(model, value, &is_real)
}

fn is_whole(model: &Model, value: ExprId, is_real: &dyn Fn(&InputId) -> bool) -> bool {
    let (graph, params) = (&model.graph, model.param_values());
    let mut whole: BTreeMap<ExprId, bool> = BTreeMap::new();
    for at in graph.reach(&[value]) {
        let of = |id: &ExprId| whole[id];
        let is = match graph.node(at) {
            Node::Constant(bits) => f64::from_bits(*bits).fract() == 0.0,
            Node::Param(param) => params[param.0 as usize].fract() == 0.0,
            Node::Input(input) => !is_real(input),
            Node::Time => true,
            Node::Unary(op, x) => match op {
                UnaryOp::Not | UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Round => true,
                UnaryOp::Negate | UnaryOp::Abs => of(x),
                _ => false,
            },
            Node::Binary(op, x, y) => match op {
                BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply => of(x) && of(y),
                BinaryOp::Min | BinaryOp::Max | BinaryOp::Modulo => of(x) && of(y),
                BinaryOp::Equal | BinaryOp::NotEqual | BinaryOp::Less => true,
                BinaryOp::LessEqual | BinaryOp::And | BinaryOp::Or => true,
                BinaryOp::Divide | BinaryOp::Power | BinaryOp::Atan2 => false,
            },
            Node::If(_, then, otherwise) => of(then) && of(otherwise),
            Node::Lookup(table, _) => graph.table(*table).iter().all(|of| of.fract() == 0.0),
            Node::Choose(items, _) => items.iter().all(of),
        };
        whole.insert(at, is);
    }
    whole[&value]
}

/// Why what networks read cannot be normalised: a call counts by it.
pub(super) fn beside_normalized(model: &Model, normalizers: &[Normalizer]) -> Option<Diagnostic> {
    let is_counted = |variable: FormalVariable| match variable {
        FormalVariable::Variable(variable) => {
            let components = &model.variable(variable).domain.components;
            components.iter().any(|component| !matches!(component.kind, Kind::Real { .. }))
        }
        FormalVariable::Reward(..) | FormalVariable::End | FormalVariable::Time => false,
    };
    let counts = model.kernels.iter().find(|kernel| {
        let computed = kernel.called.iter().flat_map(|called| &called.computed);
        let counted = computed.filter(|computed| is_counted(computed.formal.variable));
        let values: Vec<_> = counted.flat_map(|computed| computed.values.clone()).collect();
        model.graph.inputs_of(&values).into_iter().any(|input| {
            let Input::Formal { formal, .. } = model.inputs[input.0 as usize] else { return false };
            let read = kernel.formals().nth(formal as usize).map(|formal| formal.variable);
            let moves = |of: &Normalizer| read == Some(FormalVariable::Variable(of.variable));
            normalizers.iter().any(moves)
        })
    })?;
    let message = format!(
        "`{}` is given a value of finitely many, counted from what is normalised: moved and \
         scaled, that counts to other values",
        counts.name
    );
    let setting = model.setting("normalize")?;
    let told = Diagnostic::error("bad-setting", setting.span, message);
    Some(told.hint("leave `observations` away, and scale real inputs in the kernels: `x / 8`"))
}

struct Calls<'m> {
    model: &'m mut Model,
    /// Kernels with their arguments, and what such a call is: one of the last round has its
    /// parameters as they were.
    known: Vec<(Given, Given)>,
}

/// A kernel and its arguments.
type Given = (KernelId, Vec<Value>);

impl Calls<'_> {
    fn make(&mut self, kernel: &mut KernelRef, arguments: &mut Vec<Value>, span: Span) {
        let Some((written, version)) = learned(kernel) else { return };
        let wanted = (written, std::mem::take(arguments));
        let known = self.known.iter().find(|(known, _)| *known == wanted);
        let made = match known {
            Some((_, made)) => Some(made.clone()),
            None => call(self.model, written, &wanted.1, span),
        };
        let Some((id, given)) = made else {
            *arguments = wanted.1;
            return;
        };
        *kernel = match version {
            Version::Present => KernelRef::Learned(id),
            Version::Previous => KernelRef::Previous(id),
        };
        arguments.clone_from(&given);
        self.known.push((wanted, (id, given)));
    }
}
