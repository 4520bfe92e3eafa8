//! The arguments of a kernel in a factor: whole values of variables at an index, windows of time,
//! the time, or expressions.

use super::constants::show_index;
use super::index::Timed;
use super::scope::Scope;
use super::shapes::Fit;
use super::unit::FILE;
use super::{FormalSlot, Lowering};
use crate::diagnostic::Diagnostic;
use crate::model::{
    EnvironmentKernel, Formal, FormalLength, FormalVariable, Index, KernelId, KernelRef, LayerOp,
    LikelihoodForm, Value, VariableId,
};
use crate::source::Span;
use crate::syntax::ast::{self, At, ExprKind};

/// What a kernel draws and reads; `None` is a formal with a mistake.
#[derive(Clone)]
pub struct Signature {
    pub outputs: Vec<Option<Formal>>,
    pub givens: Vec<Option<Formal>>,
}

impl Lowering<'_> {
    pub fn signature(&self, kernel: &KernelRef) -> Signature {
        let formals = |slots: &[FormalSlot]| slots.iter().map(|slot| slot.formal.clone()).collect();
        match kernel {
            KernelRef::Learned(id) | KernelRef::Previous(id) => {
                let slot = self.kernel_slot(*id);
                Signature { outputs: formals(&slot.outputs), givens: formals(&slot.givens) }
            }
            KernelRef::Data(id) => {
                let slot = &self.data[id.0 as usize];
                Signature { outputs: formals(&slot.outputs), givens: formals(&slot.givens) }
            }
            KernelRef::Environment(id, part) => {
                let slot = &self.environments[id.0 as usize];
                let formal = |id: Option<VariableId>| {
                    let variable = id?;
                    let slot = &self.variables[variable.0 as usize];
                    let (name, variable) = (slot.name.clone(), FormalVariable::Variable(variable));
                    Some(Formal {
                        name,
                        variable,
                        length: FormalLength::One,
                        optional: false,
                        span: slot.span,
                    })
                };
                let (state, observation) = (formal(slot.state), formal(slot.observation));
                match part {
                    EnvironmentKernel::Initial => {
                        Signature { outputs: vec![state], givens: vec![] }
                    }
                    EnvironmentKernel::Transition => {
                        let actions = slot.actions.iter().map(|action| formal(Some(*action)));
                        let givens = [state.clone()].into_iter().chain(actions).collect();
                        Signature { outputs: vec![state], givens }
                    }
                    EnvironmentKernel::Observation => {
                        Signature { outputs: vec![observation], givens: vec![state] }
                    }
                }
            }
            KernelRef::InPlace(_) => Signature { outputs: vec![], givens: vec![] },
        }
    }

    pub fn kernel_arguments(
        &mut self,
        signature: &Signature,
        name: &str,
        arguments: &[ast::Argument],
        span: Span,
    ) -> Option<Vec<Value>> {
        let givens = &signature.givens;
        let mut values = Vec::with_capacity(arguments.len());
        for (at, argument) in arguments.iter().enumerate() {
            let formal = givens.get(at).cloned().flatten();
            let known = at >= givens.len() || formal.is_some();
            if argument.label.is_some() {
                let told = Diagnostic::error(
                    "argument",
                    argument.value.span,
                    format!("the arguments of `{name}` have no names"),
                );
                self.report(told.hint("they stand in the order of its givens"));
                values.push(None);
                continue;
            }
            values.push(match (known, formal) {
                (true, Some(formal)) => self.kernel_argument(&formal, &argument.value),
                // too many: its own mistakes are still told
                (true, None) | (false, _) => None,
            });
        }
        // a given that is none has been told of, and how many it leaves is not known
        if arguments.len() != givens.len() && givens.iter().all(Option::is_some) {
            let list: Vec<&str> =
                givens.iter().flatten().map(|formal| formal.name.as_str()).collect();
            let plural = if givens.len() == 1 { "" } else { "s" };
            let told = Diagnostic::error(
                "arity",
                span,
                format!(
                    "`{name}` takes {} argument{plural}, not {}",
                    givens.len(),
                    arguments.len()
                ),
            );
            self.report(if list.is_empty() {
                told
            } else {
                told.hint(format!("it reads {}", list.join(", ")))
            });
            return None;
        }
        if arguments.len() != givens.len() {
            return None;
        }
        values.into_iter().collect()
    }

    fn kernel_argument(&mut self, formal: &Formal, expr: &ast::Expr) -> Option<Value> {
        let scope = Scope::of(FILE);
        match &expr.kind {
            ExprKind::Name(name) if name == "none" => {
                if formal.optional {
                    return Some(Value::Absent);
                }
                let told = Diagnostic::error(
                    "none",
                    expr.span,
                    format!("the given `{}` does not admit `none`", formal.name),
                );
                self.report(
                    told.also(formal.span, "declared here")
                        .hint(format!("declare it as `{}?`", formal.name)),
                );
                None
            }
            ExprKind::Name(name) if name == "t" && formal.variable == FormalVariable::Time => {
                Some(Value::Time)
            }
            ExprKind::Index { base, at } => {
                if let ExprKind::Name(name) = &base.kind
                    && let Some(timed) = self.timed(name, &scope)
                    && let [at] = at.as_slice()
                {
                    return self.timed_argument(formal, name, timed, at, expr.span);
                }
                self.expression_argument(formal, expr)
            }
            ExprKind::Number { .. }
            | ExprKind::Text(_)
            | ExprKind::Name(_)
            | ExprKind::Previous { .. }
            | ExprKind::Unary { .. }
            | ExprKind::Binary { .. }
            | ExprKind::If { .. }
            | ExprKind::Call { .. }
            | ExprKind::Field { .. }
            | ExprKind::Array(_)
            | ExprKind::Record(_) => self.expression_argument(formal, expr),
        }
    }

    /// `s[t]`, `r[t]`, `o[t+1..t+K]`, `x[..t]`, `x[t..]`
    fn timed_argument(
        &mut self,
        formal: &Formal,
        name: &str,
        timed: Timed,
        at: &At,
        span: Span,
    ) -> Option<Value> {
        let scope = Scope::of(FILE);
        let own = match timed {
            Timed::Variable(id) => FormalVariable::Variable(id),
            Timed::Reward(environment, reward) => FormalVariable::Reward(environment, reward),
        };
        let value = match (at, timed) {
            (At::One(index), _) => {
                let index = self.time_index(index, &scope)?;
                if !self.check_range(name, timed, index, span) {
                    return None;
                }
                match timed {
                    Timed::Variable(variable) => Value::Variable { variable, index },
                    Timed::Reward(environment, reward) => {
                        Value::Reward { environment, reward, index }
                    }
                }
            }
            (_, Timed::Reward(..)) => {
                self.error("index", span, "a kernel reads a reward at one step");
                return None;
            }
            (At::Between(from, to), Timed::Variable(variable)) => {
                let (first, last) = (self.time_index(from, &scope), self.time_index(to, &scope));
                Value::Window { variable, from: first?, to: last? }
            }
            (At::Through(to), Timed::Variable(variable)) => {
                Value::Past { variable, to: self.time_index(to, &scope)? }
            }
            (At::From(from), Timed::Variable(variable)) => {
                Value::Future { variable, from: self.time_index(from, &scope)? }
            }
        };
        if formal.variable == FormalVariable::Time {
            let told = Diagnostic::error(
                "domain",
                span,
                format!("the given `{}` is the time", formal.name),
            );
            self.report(told.hint("give it `t`"));
            return None;
        }
        let fits = match (&value, formal.length) {
            (Value::Variable { .. } | Value::Reward { .. }, FormalLength::One) => true,
            (Value::Window { from, to, .. }, FormalLength::Window(wanted)) => {
                match steps(*from, *to, self.horizon.as_ref()?.value) {
                    Some(found) if found == wanted as i64 => true,
                    Some(found) => {
                        let told = Diagnostic::error(
                            "width",
                            span,
                            format!(
                                "a window of {found} steps, and `{}` takes {wanted}",
                                formal.name
                            ),
                        );
                        self.report(told.also(formal.span, "declared here"));
                        return None;
                    }
                    None => {
                        self.error("index", span, "both ends of a window are counted from `t`");
                        return None;
                    }
                }
            }
            (Value::Past { .. } | Value::Future { .. }, FormalLength::Sequence) => true,
            (
                Value::Variable { .. }
                | Value::Reward { .. }
                | Value::Window { .. }
                | Value::Past { .. }
                | Value::Future { .. }
                | Value::Time
                | Value::Expression(_)
                | Value::Absent,
                _,
            ) => false,
        };
        if !fits {
            let wanted = match formal.length {
                FormalLength::One => format!("one value: `{name}[t]`"),
                FormalLength::Window(steps) => {
                    format!("a window of {steps} steps: `{name}[t..t+{}]`", steps - 1)
                }
                FormalLength::Sequence => format!("a sequence: `{name}[..t]`"),
            };
            let told = Diagnostic::error(
                "index",
                span,
                format!("the given `{}` takes another form", formal.name),
            );
            self.report(told.also(formal.span, "declared here").hint(format!("it takes {wanted}")));
            return None;
        }
        let (found, wanted) = self.formal_domain(own).zip(self.formal_domain(formal.variable))?;
        self.check_same_domain(&found, &wanted, &format!("the given `{}`", formal.name), span)
            .then_some(value)
    }

    fn expression_argument(&mut self, formal: &Formal, expr: &ast::Expr) -> Option<Value> {
        let value = self.lower(expr, &Scope::of(FILE));
        if value.is_poisoned() {
            return None;
        }
        if formal.variable == FormalVariable::Time {
            let told = Diagnostic::error(
                "domain",
                expr.span,
                format!("the given `{}` is the time", formal.name),
            );
            self.report(told.hint("give it `t`"));
            return None;
        }
        if formal.length != FormalLength::One {
            let told = Diagnostic::error(
                "index",
                expr.span,
                format!("the given `{}` takes several steps", formal.name),
            );
            self.report(
                told.also(formal.span, "declared here")
                    .hint("give it a window of a variable: `o[t+1..t+K]`"),
            );
            return None;
        }
        let domain = self.formal_domain(formal.variable)?;
        let ids = self.fit(&value, &domain, Fit::Value, expr.span)?;
        self.check_inside(&ids, &domain, expr.span).then_some(Value::Expression(ids))
    }

    /// Whether an argument names its steps without `t`; tells where it does not.
    pub fn is_fixed(&mut self, value: &Value, span: Span) -> bool {
        let index = match value {
            Value::Variable { index, .. } | Value::Reward { index, .. } => Some(*index),
            Value::Window { from, .. } | Value::Future { from, .. } => Some(*from),
            Value::Past { to, .. } => Some(*to),
            Value::Time => Some(Index::Step(0)),
            Value::Expression(ids) => return self.check_timeless(ids, span),
            Value::Absent => None,
        };
        let moving = index.filter(|index| matches!(index, Index::Step(_)));
        if let Some(index) = moving {
            let told = Diagnostic::error(
                "index",
                span,
                format!(
                    "this factor stands for one step, so the index {} says nothing",
                    show_index(index)
                ),
            );
            self.report(told.hint("name the step: `[1]`, `[T]` or `[T+1]`"));
        }
        moving.is_none()
    }
}

/// Length of a window, where both ends are counted from the same time.
fn steps(from: Index, to: Index, horizon: usize) -> Option<i64> {
    let fixed = |index: Index| match index {
        Index::First => Some(1),
        Index::Last(k) => Some(horizon as i64 + i64::from(k)),
        Index::Step(_) => None,
    };
    match (from, to) {
        (Index::Step(from), Index::Step(to)) => Some(i64::from(to) - i64::from(from) + 1),
        (from, to) => Some(fixed(to)? - fixed(from)? + 1),
    }
}

/// Sets which way each `gru` runs: forward over a past, backward over a future; both at once is a
/// mistake.
pub fn turn(lowering: &mut Lowering) {
    let mut uses: Vec<(KernelId, usize, bool, Span)> = Vec::new();
    let mut take = |kernel: &KernelRef, arguments: &[Value], span: Span| {
        let (KernelRef::Learned(id) | KernelRef::Previous(id)) = kernel else { return };
        for (at, argument) in arguments.iter().enumerate() {
            match argument {
                Value::Past { .. } => uses.push((*id, at, false, span)),
                Value::Future { .. } => uses.push((*id, at, true, span)),
                Value::Variable { .. }
                | Value::Reward { .. }
                | Value::Time
                | Value::Window { .. }
                | Value::Expression(_)
                | Value::Absent => {}
            }
        }
    };
    for bound in &lowering.bounds {
        for factor in bound.prior.iter().chain(&bound.posterior).chain(&bound.auxiliary) {
            take(&factor.kernel, &factor.arguments, factor.span);
        }
        for likelihood in &bound.likelihood {
            if let LikelihoodForm::Density { kernel, givens, .. } = &likelihood.form {
                take(kernel, givens, likelihood.span);
            }
        }
    }
    for (at, (kernel, given, backward, span)) in uses.iter().enumerate() {
        if let Some((.., first)) =
            uses[..at].iter().find(|(k, g, b, _)| k == kernel && g == given && b != backward)
        {
            let told = Diagnostic::error(
                "index",
                *span,
                "one kernel reads both the past and the future of a sequence",
            )
            .also(*first, "the other way here");
            lowering.report(told.hint("declare a second kernel: a `gru` runs one way"));
        }
        let formal = (lowering.kernel_slot(*kernel).outputs.len() + given) as u32;
        for layer in &mut lowering.network.layers {
            if let LayerOp::Gru { kernel: of, formal: reads, backward: way, .. } = &mut layer.op
                && of == kernel
                && *reads == formal
            {
                *way = *backward;
            }
        }
    }
}
