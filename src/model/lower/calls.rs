//! Calls: functions of the language, and `let`s with arguments, whose bodies are lowered at the
//! place of the call.

use super::Lowering;
use super::functions::{self, FUNCTIONS, Function, GAIN};
use super::layer::{is_network, networks};
use super::scope::{Local, Scope};
use super::unit::{Meaning, UnitId};
use super::value::Value;
use crate::diagnostic::Diagnostic;
use crate::expr::BinaryOp;
use crate::source::Span;
use crate::syntax::ast::{self, ArgumentLabel, ExprKind};
use crate::syntax::{Place, ours};

/// Nodes of the graph, and results of functions that are kept: beyond these a model is refused.
const MOST_NODES: usize = 2_000_000;
const MOST_CALLS: usize = 200_000;

impl Lowering<'_> {
    pub fn call(
        &mut self,
        expr: &ast::Expr,
        function: &ast::Expr,
        arguments: &[ast::Argument],
        givens: Option<&[ast::Argument]>,
        scope: &Scope,
    ) -> Value {
        let ExprKind::Name(name) = &function.kind else {
            if let ExprKind::Field { base, field } = &function.kind
                && let ExprKind::Name(base) = &base.kind
                && matches!(self.meaning(scope.unit, base), Some(Meaning::Environment(_)))
            {
                self.distribution_as_value(expr, &format!("{base}.{}", field.text));
            } else {
                self.error("type", function.span, "this cannot be called");
            }
            return Value::Poison;
        };
        if givens.is_some() || functions::is_distribution(name) {
            self.distribution_as_value(expr, name);
            return Value::Poison;
        }
        if is_network(name) {
            let told = Diagnostic::error(
                "network",
                expr.span,
                format!("the network `{name}(…)` cannot stand here"),
            );
            self.report(told.hint(
                "networks stand in kernels and nets: `kernel pi(a | s) = \
                                   Categorical(logits = mlp(s, hidden = [64]))`",
            ));
            return Value::Poison;
        }
        if name == GAIN {
            return self.gain(expr, arguments);
        }
        if let Some(known) = functions::function(name) {
            let Some(values) = self.positional(name, arguments, scope) else {
                return Value::Poison;
            };
            return self.apply(name, known, &values, arguments, expr.span);
        }
        if scope.local(name).is_some() {
            self.error("type", function.span, format!("`{name}` is no function"));
            return Value::Poison;
        }
        match self.find(scope.unit, name) {
            None => {
                let mut known: Vec<String> =
                    FUNCTIONS.iter().map(|(name, _)| (*name).to_owned()).collect();
                known.extend(networks().chain([GAIN]).map(str::to_owned));
                known.extend(self.visible(&Scope::of(scope.unit)));
                let near = super::scope::nearest(name, &known).map(str::to_owned);
                let told = Diagnostic::error(
                    "unknown-name",
                    function.span,
                    format!("unknown function `{name}`"),
                );
                self.report(match (ours(Place::Function, name), near) {
                    (Some(ours), _) => told.hint(ours),
                    (None, Some(near)) => told.hint(format!("did you mean `{near}`?")),
                    (None, None) => {
                        let known: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
                        told.hint(format!("functions are {}", known.join(", ")))
                    }
                });
                arguments.iter().for_each(|argument| {
                    self.lower(&argument.value, scope);
                });
                Value::Poison
            }
            Some((unit, index)) => match self.units[unit.0].definitions[index].meaning {
                Meaning::Let(definition) => match &definition.formals {
                    Some(formals) => self.call_let(
                        (unit, index),
                        definition,
                        formals,
                        arguments,
                        expr.span,
                        scope,
                    ),
                    None => {
                        let told = Diagnostic::error(
                            "arity",
                            function.span,
                            format!("`{name}` is a value, not a function"),
                        );
                        self.report(
                            told.also(definition.name.span, "defined here without arguments"),
                        );
                        Value::Poison
                    }
                },
                Meaning::Kernel(_) | Meaning::Data(_) => {
                    self.distribution_as_value(expr, name);
                    Value::Poison
                }
                Meaning::Net(_) => {
                    let told = Diagnostic::error(
                        "network",
                        expr.span,
                        format!("the network `{name}(…)` cannot stand here"),
                    );
                    self.report(told.hint("networks stand in kernels and nets"));
                    Value::Poison
                }
                Meaning::Variable(_) | Meaning::Reward(..) => {
                    let told = Diagnostic::error(
                        "type",
                        function.span,
                        format!("`{name}` is no function"),
                    );
                    self.report(told.hint(format!("an index stands in brackets: `{name}[t]`")));
                    Value::Poison
                }
                Meaning::Mistake => Value::Poison,
                Meaning::Param(..)
                | Meaning::Horizon(_)
                | Meaning::Environment(_)
                | Meaning::Bound => {
                    self.error("type", function.span, format!("`{name}` is no function"));
                    Value::Poison
                }
            },
        }
    }

    /// The values of arguments that have no names.
    fn positional(
        &mut self,
        function: &str,
        arguments: &[ast::Argument],
        scope: &Scope,
    ) -> Option<Vec<Value>> {
        let mut good = true;
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match &argument.label {
                None => {}
                Some(ArgumentLabel::Named(name)) => {
                    self.error(
                        "argument",
                        name.span,
                        format!("`{function}` has no argument `{}`", name.text),
                    );
                    good = false;
                }
                Some(ArgumentLabel::Weight(weight)) => {
                    let told = Diagnostic::error(
                        "argument",
                        weight.span,
                        format!("an argument of `{function}` has no weight"),
                    );
                    self.report(told.hint("`weight: distribution` stands in `Mixture(…)`"));
                    good = false;
                }
            }
            values.push(self.lower(&argument.value, scope));
        }
        good.then_some(values)
    }

    fn arity(&mut self, name: &str, wanted: usize, found: usize, span: Span) -> bool {
        if wanted != found {
            let plural = if wanted == 1 { "" } else { "s" };
            self.error(
                "arity",
                span,
                format!("`{name}` takes {wanted} argument{plural}, not {found}"),
            );
        }
        wanted == found
    }

    fn apply(
        &mut self,
        name: &str,
        function: Function,
        values: &[Value],
        arguments: &[ast::Argument],
        span: Span,
    ) -> Value {
        match function {
            Function::Unary(op) if self.arity(name, 1, values.len(), span) => {
                self.unary(op, &values[0], arguments[0].value.span)
            }
            Function::Binary(op) if self.arity(name, 2, values.len(), span) => {
                self.arithmetic(op, &values[0], &values[1], span)
            }
            Function::Clamp if self.arity(name, 3, values.len(), span) => {
                let least = self.arithmetic(BinaryOp::Max, &values[0], &values[1], span);
                self.arithmetic(BinaryOp::Min, &least, &values[2], span)
            }
            Function::Sum | Function::Normalize if self.arity(name, 1, values.len(), span) => {
                match &values[0] {
                    Value::Array(items) => {
                        let zero = Value::number(self.graph.constant(0.0));
                        let sum = items.iter().fold(zero, |sum, item| {
                            self.arithmetic(BinaryOp::Add, &sum, item, span)
                        });
                        match function {
                            Function::Normalize => {
                                self.arithmetic(BinaryOp::Divide, &values[0], &sum, span)
                            }
                            _ => sum,
                        }
                    }
                    Value::Poison => Value::Poison,
                    Value::Scalar(..) | Value::Record(_) | Value::Enumerator(_) => {
                        self.mismatch(arguments[0].value.span, "an array", &values[0]);
                        Value::Poison
                    }
                }
            }
            Function::Fold(op) => {
                let items = match values {
                    [Value::Array(items)] => items.as_slice(),
                    values => values,
                };
                match items.split_first() {
                    Some((first, rest)) => rest
                        .iter()
                        .fold(first.clone(), |kept, item| self.arithmetic(op, &kept, item, span)),
                    None => {
                        self.error("arity", span, format!("`{name}` of nothing"));
                        Value::Poison
                    }
                }
            }
            Function::Unary(_)
            | Function::Binary(_)
            | Function::Clamp
            | Function::Sum
            | Function::Normalize => Value::Poison,
        }
    }

    fn call_let(
        &mut self,
        (unit, index): (UnitId, usize),
        definition: &ast::Let,
        formals: &[ast::Name],
        arguments: &[ast::Argument],
        span: Span,
        scope: &Scope,
    ) -> Value {
        let name = &definition.name.text;
        let Some(values) = self.positional(name, arguments, scope) else { return Value::Poison };
        if formals.len() != values.len() {
            let plural = if formals.len() == 1 { "" } else { "s" };
            let told = Diagnostic::error(
                "arity",
                span,
                format!("`{name}` takes {} argument{plural}, not {}", formals.len(), values.len()),
            );
            self.report(told.also(definition.name.span, "defined here"));
            return Value::Poison;
        }
        if self.active.contains(&(unit, index)) {
            let told = Diagnostic::error("recursion", span, format!("`{name}` calls itself"))
                .also(definition.name.span, "defined here");
            self.report(told.hint("a function may only call others that do not lead back to it"));
            return Value::Poison;
        }
        let key = (unit, index, values.clone());
        if let Some(known) = self.calls.get(&key) {
            return known.clone();
        }
        if self.exhausted || self.graph.nodes().len() > MOST_NODES || self.calls.len() > MOST_CALLS
        {
            if !self.exhausted {
                self.error(
                    "size",
                    span,
                    "the functions of this model expand to too many expressions",
                );
            }
            self.exhausted = true;
            return Value::Poison;
        }
        let locals = formals
            .iter()
            .zip(values)
            .map(|(formal, value)| (formal.text.clone(), Local::Value(value)))
            .collect();
        self.active.push((unit, index));
        let value = self.lower(&definition.value, &Scope { unit, locals });
        self.active.pop();
        self.calls.insert(key, value.clone());
        value
    }

    /// Lowers every `let`, so that one that is never used has its mistakes told too.
    pub fn lower_lets(&mut self) {
        for unit in 0..self.units.len() {
            for index in 0..self.units[unit].definitions.len() {
                let definition = &self.units[unit].definitions[index];
                let (span, meaning) = (definition.span, definition.meaning);
                let Meaning::Let(written) = meaning else { continue };
                match &written.formals {
                    None => {
                        self.definition(UnitId(unit), index, span);
                    }
                    Some(formals) => {
                        for (at, formal) in formals.iter().enumerate() {
                            if let Some(why) = functions::reserved(&formal.text) {
                                self.error(
                                    "reserved",
                                    formal.span,
                                    format!("`{}` is {why} and cannot be declared", formal.text),
                                );
                            } else if let Some(first) =
                                formals[..at].iter().find(|first| first.text == formal.text)
                            {
                                self.duplicate(formal, first.span);
                            }
                        }
                        // with poison for arguments only what is wrong for all arguments is told
                        let locals = formals
                            .iter()
                            .map(|formal| (formal.text.clone(), Local::Value(Value::Poison)))
                            .collect();
                        self.active.push((UnitId(unit), index));
                        self.lower(&written.value, &Scope { unit: UnitId(unit), locals });
                        self.active.pop();
                    }
                }
            }
        }
    }
}
