//! The formals of kernels and data: each takes the domain of a variable.

use super::scope::{Local, Scope};
use super::unit::{FILE, Meaning};
use super::value::Value;
use super::{FormalSlot, Lowering, functions};
use crate::diagnostic::Diagnostic;
use crate::model::{Data, Domain, Formal, FormalLength, FormalVariable, Input, KernelId};
use crate::syntax::{Place, ast, ours};

/// Steps of a window.
const LONGEST_WINDOW: usize = 10_000;

impl Lowering<'_> {
    /// Lowers the heads of all kernels and data, so that factors may use them in any order.
    pub fn declare_formals(&mut self) {
        for at in 0..self.kernels.len() {
            if let Some(written) = self.kernels[at].written {
                let (outputs, givens) = self.head(&written.head);
                self.kernels[at].outputs = outputs;
                self.kernels[at].givens = givens;
            }
        }
        for at in 0..self.data.len() {
            let (outputs, givens) = self.head(&self.data[at].written.head);
            self.data[at].outputs = outputs;
            self.data[at].givens = givens;
        }
    }

    /// Data need no more than their heads.
    pub fn lower_data(&mut self) {
        for at in 0..self.data.len() {
            let slot = &self.data[at];
            let formals = |slots: &[FormalSlot]| {
                slots.iter().map(|slot| slot.formal.clone()).collect::<Option<Vec<Formal>>>()
            };
            let parts = formals(&slot.outputs).zip(formals(&slot.givens));
            let (name, path, span) =
                (slot.name.clone(), slot.written.path.text.clone(), slot.written.span);
            let at_path = slot.written.path.span;
            if let Some(ours) =
                path.rsplit_once('.').and_then(|(_, ending)| ours(Place::DataFile, ending))
            {
                self.report(
                    Diagnostic::error("data", at_path, format!("`{path}` is no file of records"))
                        .hint(ours),
                );
            }
            self.data[at].lowered =
                parts.map(|(outputs, givens)| Data { name, outputs, givens, path, span });
        }
    }

    fn head(&mut self, head: &ast::Head) -> (Vec<FormalSlot>, Vec<FormalSlot>) {
        let all: Vec<&ast::Formal> = head.outputs.iter().chain(&head.givens).collect();
        for (at, formal) in all.iter().enumerate() {
            if let Some(first) = all[..at].iter().find(|first| first.name.text == formal.name.text)
            {
                let told = Diagnostic::error(
                    "duplicate-name",
                    formal.name.span,
                    format!("the formal `{}` stands twice", formal.name.text),
                );
                let told = told.also(first.name.span, "the first is here");
                self.report(
                    told.hint(format!("give one another name: `next: {}`", formal.name.text)),
                );
            }
        }
        let outputs = head.outputs.iter().map(|formal| self.formal(formal, true)).collect();
        let givens = head.givens.iter().map(|formal| self.formal(formal, false)).collect();
        (outputs, givens)
    }

    fn formal(&mut self, written: &ast::Formal, output: bool) -> FormalSlot {
        let name = written.name.text.clone();
        let of = written.variable.as_ref().unwrap_or(&written.name);
        let variable = self.formal_variable(of);
        let length = match &written.length {
            None => Some(FormalLength::One),
            Some(ast::FormalLength::Sequence) => Some(FormalLength::Sequence),
            Some(ast::FormalLength::Window(steps)) => self
                .constant_count(steps, &Scope::of(FILE), "the length of a window", LONGEST_WINDOW)
                .map(FormalLength::Window),
        };
        let mut good = true;
        if let Some(why) = functions::reserved(&name)
            && (name != "t" || written.variable.is_some())
        {
            self.error(
                "reserved",
                written.name.span,
                format!("`{name}` is {why} and cannot be a formal"),
            );
            good = false;
        }
        if output && (written.optional || written.length.is_some()) {
            let told = Diagnostic::error(
                "kernel",
                written.span,
                format!("the output `{name}` is one value, drawn at one step"),
            );
            self.report(told.hint("`?` and `[…]` stand at givens only"));
            good = false;
        }
        if variable == Some(FormalVariable::End) && !output {
            let told = Diagnostic::error(
                "kernel",
                written.span,
                "`end` is no given: a kernel that is used has not ended",
            );
            self.report(told.hint(
                "`end` stands among the outputs of a world: `kernel world(s', r, end | s, a)`",
            ));
            good = false;
        }
        if variable == Some(FormalVariable::Time)
            && (output || written.optional || written.length.is_some())
        {
            self.error("kernel", written.span, "the time `t` is a given, and always known");
            good = false;
        }
        let formal = variable.zip(length).filter(|_| good).map(|(variable, length)| Formal {
            name: name.clone(),
            variable,
            length,
            optional: written.optional,
            span: written.span,
        });
        FormalSlot { name, formal }
    }

    fn formal_variable(&mut self, of: &ast::Name) -> Option<FormalVariable> {
        let bare = of.text.trim_end_matches('\'');
        match bare {
            "t" => return Some(FormalVariable::Time),
            "end" => return Some(FormalVariable::End),
            _ => {}
        }
        match self.meaning(FILE, bare) {
            Some(Meaning::Variable(variable)) => Some(FormalVariable::Variable(variable)),
            Some(Meaning::Reward(environment, reward)) => {
                Some(FormalVariable::Reward(environment, reward))
            }
            Some(Meaning::Mistake) => None,
            Some(_) => {
                let told = Diagnostic::error("kernel", of.span, format!("`{bare}` is no variable"));
                self.report(told.hint(
                    "a formal takes the domain of the variable of its name; \
                                       rename one with `last: o`",
                ));
                None
            }
            None => {
                let mut known: Vec<String> =
                    self.variables.iter().map(|slot| slot.name.clone()).collect();
                known.extend(
                    self.environments
                        .iter()
                        .flat_map(|slot| slot.rewards.iter().map(|reward| reward.name.clone())),
                );
                self.unknown(bare, of.span, "variable", &known);
                None
            }
        }
    }

    /// The domain of a formal's variable at one step; `None` for the time, and where it has a
    /// mistake.
    pub fn formal_domain(&self, variable: FormalVariable) -> Option<Domain> {
        match variable {
            FormalVariable::Variable(id) => self.variable_domain(id).cloned(),
            FormalVariable::Reward(environment, reward) => {
                let (lo, hi) = self.environments[environment.0 as usize].rewards[reward as usize]
                    .bounds
                    .unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
                Some(Domain::real(lo, hi))
            }
            FormalVariable::End => Some(Domain::truth()),
            FormalVariable::Time => None,
        }
    }

    /// What a formal is in an expression of its kernel.
    pub fn formal_local(&mut self, kernel: KernelId, at: u32) -> Local {
        let slot = self.kernel_slot(kernel);
        let output = (at as usize) < slot.outputs.len();
        let Some(formal) = slot.formal(at).cloned() else { return Local::Value(Value::Poison) };
        if output {
            return Local::Opaque("it is what the kernel draws".to_owned());
        }
        if formal.optional {
            return Local::Opaque(
                "it may be `none`; give it to a network, or to `Sticky`".to_owned(),
            );
        }
        let leaf = |component| Input::Formal { kernel, formal: at, component };
        if formal.variable == FormalVariable::Time {
            return Local::Value(Value::number(self.input(leaf(0))));
        }
        let Some(domain) = self.formal_domain(formal.variable) else {
            return Local::Value(Value::Poison);
        };
        let width = domain.width() as u32;
        match formal.length {
            FormalLength::One => Local::Value(
                self.structure(&domain, &mut |lowering, component| lowering.input(leaf(component))),
            ),
            FormalLength::Window(steps) => {
                let step = |lowering: &mut Self, step: u32| {
                    lowering.structure(&domain, &mut |lowering, component| {
                        lowering.input(leaf(step * width + component))
                    })
                };
                Local::Value(Value::array((0..steps as u32).map(|at| step(self, at)).collect()))
            }
            FormalLength::Sequence => {
                Local::Opaque("it is a whole sequence; give it to `gru`".to_owned())
            }
        }
    }
}
