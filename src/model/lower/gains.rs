//! `gain(world, s[t], a[t], s[t+1], at_most = 1)` in the exponent of a likelihood.

use super::Lowering;
use super::arguments::Signature;
use super::scope::Scope;
use super::unit::{FILE, Meaning};
use super::value::Value;
use crate::diagnostic::Diagnostic;
use crate::model::{Gain, GainId, Input, KernelId, KernelRef};
use crate::source::Span;
use crate::syntax::ast::{self, ArgumentLabel, ExprKind};

const EXAMPLE: &str = "write `gain(world, s[t], a[t], s[t+1], at_most = 1)`: the kernel, what it \
                       reads, what it draws, and the most nats it counts for";

impl Lowering<'_> {
    pub fn gain(&mut self, expr: &ast::Expr, arguments: &[ast::Argument]) -> Value {
        if !self.in_exponent {
            let told = Diagnostic::error(
                "gain",
                expr.span,
                "`gain(…)` stands in the exponent of a likelihood, and nowhere else",
            );
            self.report(told.hint(
                "write it out there, as in `I[t] ~ exp(eta * (gain(world, s[t], \
                                   a[t], s[t+1], at_most = 1) - 1))`",
            ));
            return Value::Poison;
        }
        let (named, plain): (Vec<&ast::Argument>, Vec<&ast::Argument>) = arguments
            .iter()
            .partition(|argument| matches!(argument.label, Some(ArgumentLabel::Named(_))));
        let at_most = self.at_most(&named, expr.span);
        let Some((kernel, values)) = plain.split_first() else {
            let told = Diagnostic::error("arity", expr.span, "`gain` of nothing");
            self.report(told.hint(EXAMPLE));
            return Value::Poison;
        };
        let Some((kernel, name)) = self.gaining_kernel(&kernel.value) else { return Value::Poison };
        let signature = self.signature(&KernelRef::Learned(kernel));
        let count = signature.givens.len() + signature.outputs.len();
        if values.len() != count {
            let formals: Vec<&str> = signature
                .givens
                .iter()
                .chain(&signature.outputs)
                .flatten()
                .map(|formal| formal.name.as_str())
                .collect();
            let message = format!(
                "`gain` of `{name}` takes {count} values after the kernel, not {}",
                values.len()
            );
            let told = Diagnostic::error("arity", expr.span, message);
            self.report(told.hint(format!(
                "what `{name}` reads and then what it draws: {}",
                formals.join(", ")
            )));
            return Value::Poison;
        }
        let owned: Vec<ast::Argument> = values.iter().map(|&value| value.clone()).collect();
        let (givens, outputs) = owned.split_at(signature.givens.len());
        let givens = self.kernel_arguments(&signature, &name, givens, expr.span);
        let drawn = Signature { outputs: Vec::new(), givens: signature.outputs.clone() };
        let outputs = self.kernel_arguments(&drawn, &name, outputs, expr.span);
        let (Some(givens), Some(outputs), Some(at_most)) = (givens, outputs, at_most) else {
            return Value::Poison;
        };
        let gain = Gain { kernel, givens, outputs, at_most, span: expr.span };
        let same = |known: &Gain| Gain { span: gain.span, ..known.clone() } == gain;
        let at = self.gains.iter().position(same).unwrap_or_else(|| {
            self.gains.push(gain.clone());
            self.gains.len() - 1
        });
        Value::number(self.input(Input::Gain(GainId(at as u32))))
    }

    /// The greatest value, which has to be declared.
    fn at_most(&mut self, named: &[&ast::Argument], span: Span) -> Option<f64> {
        let mut found = None;
        for argument in named {
            let Some(ArgumentLabel::Named(name)) = &argument.label else { continue };
            if name.text != "at_most" {
                self.unknown(&name.text, name.span, "argument of `gain`", &["at_most".to_owned()]);
                return None;
            }
            found = Some(&argument.value);
        }
        let Some(value) = found else {
            let told = Diagnostic::error(
                "argument",
                span,
                "`gain` needs its greatest value, `at_most = …` nats: a likelihood may not \
                 exceed 1",
            );
            self.report(told.hint(EXAMPLE));
            return None;
        };
        let at_most = self.constant(value, &Scope::of(FILE), "`at_most`")?;
        if at_most <= 0.0 {
            self.error(
                "constant",
                value.span,
                format!("`at_most` must be above 0, and this is {at_most}"),
            );
            return None;
        }
        Some(at_most)
    }

    fn gaining_kernel(&mut self, expr: &ast::Expr) -> Option<(KernelId, String)> {
        let ExprKind::Name(name) = &expr.kind else {
            let told =
                Diagnostic::error("type", expr.span, "the first argument of `gain` is a kernel");
            self.report(told.hint(EXAMPLE));
            return None;
        };
        match self.meaning(FILE, name) {
            Some(Meaning::Kernel(kernel)) => Some((kernel, name.clone())),
            Some(Meaning::Mistake) => None,
            Some(_) => {
                let told = Diagnostic::error(
                    "type",
                    expr.span,
                    format!("`{name}` is no kernel: nothing is learned of it"),
                );
                self.report(told.hint(EXAMPLE));
                None
            }
            None => {
                let known = self.kernel_names();
                self.unknown(name, expr.span, "kernel", &known);
                None
            }
        }
    }
}
