//! Numbers that are known when the model is read: expressions of constants and params.

use super::Lowering;
use super::scope::Scope;
use super::value::{Type, Value};
use crate::diagnostic::Diagnostic;
use crate::expr::{ExprId, Node};
use crate::model::{Index, Input};
use crate::source::Span;
use crate::syntax::ast;

impl Lowering<'_> {
    /// The value of an expression that has to be known before the run; tells where it is not.
    pub fn constant(&mut self, expr: &ast::Expr, scope: &Scope, what: &str) -> Option<f64> {
        let value = self.lower(expr, scope);
        self.constant_of(&value, expr.span, what)
    }

    /// A whole number, known before the run.
    pub fn constant_integer(&mut self, expr: &ast::Expr, scope: &Scope, what: &str) -> Option<i64> {
        let value = self.constant(expr, scope, what)?;
        if value.abs() > 9e15 {
            let message =
                format!("{what} must be a whole number from -9e15 to 9e15, not {value:e}");
            self.report(
                Diagnostic::error("constant", expr.span, message)
                    .here("beyond it neighbouring numbers are not told apart"),
            );
            return None;
        }
        if value.fract() != 0.0 {
            self.report(Diagnostic::error(
                "constant",
                expr.span,
                format!("{what} must be a whole number, not {value}"),
            ));
            return None;
        }
        Some(value as i64)
    }

    /// A whole number ≥ 1 and at most `most`.
    pub fn constant_count(
        &mut self,
        expr: &ast::Expr,
        scope: &Scope,
        what: &str,
        most: usize,
    ) -> Option<usize> {
        let value = self.constant_integer(expr, scope, what)?;
        match usize::try_from(value) {
            Ok(count) if count >= 1 && count <= most => Some(count),
            _ => {
                self.report(Diagnostic::error(
                    "constant",
                    expr.span,
                    format!("{what} must be between 1 and {most}, not {value}"),
                ));
                None
            }
        }
    }

    pub fn constant_of(&mut self, value: &Value, span: Span, what: &str) -> Option<f64> {
        let id = match value {
            Value::Poison => return None,
            Value::Scalar(id, Type::Number | Type::Name(_)) => *id,
            Value::Scalar(..) | Value::Array(_) | Value::Record(_) | Value::Enumerator(_) => {
                self.numeric(value, span)?
            }
        };
        let Some(number) = self.evaluate(id) else {
            let why = match (self.reads(&[id]).first(), self.schedule_read_by(id)) {
                (Some(input), _) => format!("it reads `{}`", self.show_input(input)),
                (None, Some(param)) => {
                    format!("it reads `{param}`, which moves while training goes")
                }
                (None, None) => "it reads the time `t`".to_owned(),
            };
            self.report(
                Diagnostic::error("constant", span, format!("{what} must be known before the run"))
                    .here(why),
            );
            return None;
        };
        if !number.is_finite() {
            self.report(Diagnostic::error(
                "constant",
                span,
                format!("{what} must be a finite number, and this is {}", show_number(number)),
            ));
            return None;
        }
        Some(number)
    }

    /// The value of a node that reads constants and params only.
    pub fn evaluate(&mut self, id: ExprId) -> Option<f64> {
        if let Some(value) = self.graph.as_constant(id) {
            return Some(value);
        }
        self.is_known(id)
            .then(|| self.graph.evaluate(id, &self.param_values(), &|_| f64::NAN, f64::NAN))
    }

    /// Whether a node reads no inputs, no schedule and not the time; found once a node, since nodes
    /// stand after what they read.
    fn is_known(&mut self, id: ExprId) -> bool {
        while self.known.len() <= id.0 as usize {
            let at = ExprId(self.known.len() as u32);
            let mut known = match self.graph.node(at) {
                Node::Input(_) | Node::Time => false,
                Node::Param(param) => self.params[param.0 as usize].from.is_none(),
                _ => true,
            };
            self.graph.operands(at, |operand| known &= self.known[operand.0 as usize]);
            self.known.push(known);
        }
        self.known[id.0 as usize]
    }

    fn schedule_read_by(&self, id: ExprId) -> Option<&str> {
        self.graph.reach(&[id]).into_iter().find_map(|id| match self.graph.node(id) {
            Node::Param(param) => Some(&self.params[param.0 as usize])
                .filter(|param| param.from.is_some())
                .map(|param| &*param.name),
            _ => None,
        })
    }

    pub fn param_values(&self) -> Vec<f64> {
        self.params.iter().map(|param| param.value).collect()
    }

    /// What the nodes read, in order of first mention in the model.
    pub fn reads(&self, ids: &[ExprId]) -> Vec<Input> {
        self.graph.inputs_of(ids).into_iter().map(|input| self.inputs[input.0 as usize]).collect()
    }

    pub fn reads_time(&self, ids: &[ExprId]) -> bool {
        self.graph.reach(ids).into_iter().any(|id| matches!(self.graph.node(id), Node::Time))
    }

    /// An input in the words of the file: `s[t+1].x`.
    pub fn show_input(&self, input: &Input) -> String {
        match *input {
            Input::Variable { variable, component, index } => {
                let slot = &self.variables[variable.0 as usize];
                let path = slot
                    .domain
                    .as_ref()
                    .map_or("", |domain| domain.components[component as usize].path.as_str());
                let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
                format!("{}{}{dot}{path}", slot.name, show_index(index))
            }
            Input::Reward { environment, reward, index } => {
                format!(
                    "{}{}",
                    self.environments[environment.0 as usize].rewards[reward as usize].name,
                    show_index(index)
                )
            }
            Input::Formal { kernel, formal, .. } => {
                self.kernels[kernel.0 as usize].formal_name(formal).to_owned()
            }
            Input::Gain(gain) => {
                format!("gain({}, …)", self.kernel_slot(self.gains[gain.0 as usize].kernel).name)
            }
        }
    }
}

/// `[t+1]`, as a file has it.
pub fn show_index(index: Index) -> String {
    match index {
        Index::First => "[1]".to_owned(),
        Index::Step(0) => "[t]".to_owned(),
        Index::Step(k) => format!("[t{k:+}]"),
        Index::Last(0) => "[T]".to_owned(),
        Index::Last(k) => format!("[T{k:+}]"),
    }
}

/// NaN and infinities in words.
pub fn show_number(value: f64) -> String {
    if value.is_nan() {
        "not a number (NaN)".to_owned()
    } else if value.is_infinite() {
        "infinite".to_owned()
    } else {
        value.to_string()
    }
}
