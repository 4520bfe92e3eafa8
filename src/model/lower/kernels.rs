//! Kernels: a distribution over the outputs whose arguments are layers of networks.

use super::Lowering;
use super::distributions::{Site, Want, join};
use super::net_scope::{Binding, NetScope, Signal};
use super::scope::Scope;
use super::unit::FILE;
use super::value::Value;
use crate::diagnostic::Diagnostic;
use crate::model::{Distribution, Domain, FormalLength, KernelId, LayerId};
use crate::source::Span;
use crate::syntax::ast::{self, ExprKind};

/// The body of a kernel.
pub struct InKernel {
    pub net: NetScope,
}

impl Site for InKernel {
    type Argument = LayerId;

    fn scope(&self) -> &Scope {
        &self.net.scope
    }

    fn argument(
        &mut self,
        lowering: &mut Lowering,
        expr: &ast::Expr,
        want: Want,
        path: &str,
    ) -> Option<LayerId> {
        self.net.start(path);
        lowering.argument_layer(&self.net, expr, want)
    }

    fn known(
        &mut self,
        lowering: &mut Lowering,
        value: &Value,
        want: Want,
        span: Span,
    ) -> Option<LayerId> {
        let ids = lowering.fit_want(value, want, span)?;
        lowering.scalars(&self.net, ids, span)
    }

    fn last(&mut self, lowering: &mut Lowering, expr: &ast::Expr, domain: &Domain) -> Option<u32> {
        let ExprKind::Name(name) = &expr.kind else {
            let told =
                Diagnostic::error("kernel", expr.span, "`Sticky` stays at a given of the kernel");
            lowering.report(told.hint("name it: `Sticky(last, keep = …, fresh = …)`"));
            return None;
        };
        let Some(Signal::Formal(at)) = self.net.signal(name).cloned() else {
            let known: Vec<String> =
                self.net.bindings.iter().map(|binding| binding.name.clone()).collect();
            lowering.unknown(name, expr.span, "given", &known);
            return None;
        };
        let slot = lowering.kernel_slot(self.net.kernel);
        let is_given = at as usize >= slot.outputs.len();
        let formal = slot.formal(at)?.clone();
        if !is_given || formal.length != FormalLength::One {
            lowering.error(
                "kernel",
                expr.span,
                format!("`Sticky` stays at one value of a given, and `{name}` is none"),
            );
            return None;
        }
        let found = lowering.formal_domain(formal.variable)?;
        lowering.check_same_domain(&found, domain, "`Sticky`", expr.span).then_some(at)
    }

    fn implicit(&mut self, _lowering: &mut Lowering, _span: Span) -> bool {
        self.net.noise = true;
        true
    }
}

impl Lowering<'_> {
    pub fn lower_kernels(&mut self) {
        for at in 0..self.kernels.len() {
            let id = KernelId(at as u32);
            if let Some(written) = self.kernels[at].written {
                let distribution = self.kernel_distribution(id, &written.distribution);
                self.kernels[at].distribution = distribution;
            }
        }
        self.check_nets();
    }

    /// What an expression of a kernel sees: its formals, then the names of the file.
    pub fn net_scope(&mut self, kernel: KernelId, prefix: &str) -> NetScope {
        let slot = self.kernel_slot(kernel);
        let names: Vec<String> =
            slot.outputs.iter().chain(&slot.givens).map(|formal| formal.name.clone()).collect();
        let mut bindings = Vec::with_capacity(names.len());
        let mut locals = Vec::with_capacity(names.len());
        for (at, name) in names.into_iter().enumerate() {
            let local = self.formal_local(kernel, at as u32);
            let output = at < self.kernel_slot(kernel).outputs.len();
            let signal =
                if output { Signal::Value(Value::Poison) } else { Signal::Formal(at as u32) };
            if !output {
                bindings.push(Binding { name: name.clone(), signal });
            }
            locals.push((name, local));
        }
        NetScope::new(kernel, Scope { unit: FILE, locals }, bindings, prefix)
    }

    fn kernel_distribution(
        &mut self,
        id: KernelId,
        written: &ast::Expr,
    ) -> Option<Distribution<LayerId>> {
        let name = self.kernel_slot(id).name.clone();
        let net = self.net_scope(id, &name);
        let mut site = InKernel { net };
        let outputs = self.kernel_slot(id).outputs.clone();
        let domains: Vec<Option<Domain>> = outputs
            .iter()
            .map(|slot| slot.formal.as_ref().and_then(|formal| self.formal_domain(formal.variable)))
            .collect();
        if let [domain] = domains.as_slice() {
            // without a domain the networks have no widths: nothing more can be told
            return self.distribution(&mut site, written, &domain.clone()?, "");
        }
        let ExprKind::Record(parts) = &written.kind else {
            let list: Vec<String> =
                outputs.iter().map(|slot| format!("{}: …", slot.name)).collect();
            let told = Diagnostic::error(
                "kernel",
                written.span,
                "a kernel of several outputs is a record with a distribution for each",
            );
            self.report(told.hint(format!("write `{{ {} }}`", list.join(", "))));
            return None;
        };
        let bare = |name: &str| name.trim_end_matches('\'').to_owned();
        let known: Vec<String> = outputs.iter().map(|slot| slot.name.clone()).collect();
        for (part, _) in parts {
            if !known.iter().any(|name| bare(name) == bare(&part.text)) {
                self.unknown(&part.text, part.span, "output", &known);
            }
        }
        let mut lowered = Vec::new();
        for (slot, domain) in outputs.iter().zip(domains) {
            match parts.iter().find(|(part, _)| bare(&part.text) == bare(&slot.name)) {
                Some((_, part)) => lowered.push(match domain {
                    Some(domain) => {
                        self.distribution(&mut site, part, &domain, &join("", &bare(&slot.name)))
                    }
                    None => None,
                }),
                None => {
                    self.error(
                        "kernel",
                        written.span,
                        format!("the output `{}` has no distribution", slot.name),
                    );
                    lowered.push(None);
                }
            }
        }
        Some(Distribution::Record(lowered.into_iter().collect::<Option<Vec<_>>>()?))
    }
}

/// Several names without a bar, and one distribution: the bar before what is read was forgotten.
/// Told where the kernel is declared, so that nothing is told of its uses.
pub fn without_bar(written: &ast::Kernel) -> Option<Diagnostic> {
    let head = &written.head;
    let is_record = matches!(written.distribution.kind, ExprKind::Record(_));
    if is_record || head.outputs.len() < 2 || !head.givens.is_empty() {
        return None;
    }
    let names: Vec<&str> = head.outputs.iter().map(|formal| formal.name.text.as_str()).collect();
    let (name, list) = (&written.name.text, names.join(", "));
    let told = Diagnostic::error(
        "kernel",
        head.span,
        format!("`{name}({list})` draws all of `{list}`, and has one distribution"),
    );
    let parts: Vec<String> = names.iter().map(|name| format!("{name}: …")).collect();
    let told = told.also(written.distribution.span, "the distribution");
    Some(
        told.hint(format!(
            "what a kernel reads stands behind a bar: `{name}({} | {})`",
            names[0],
            names[1..].join(", ")
        ))
        .hint(format!("if it draws them all, write `{{ {} }}`", parts.join(", "))),
    )
}
