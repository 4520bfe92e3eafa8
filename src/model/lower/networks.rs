//! Networks inside kernels: which layers an expression is. Widths come from outside: a distribution
//! says how many numbers it needs; an `mlp` that nobody asks for a width ends in its last hidden
//! layer.

use super::Lowering;
use super::distributions::Want;
use super::expressions::{DEEPEST, arithmetic_op};
use super::functions::{self, Function};
use super::index::walk;
use super::layer::{is_network, networks};
use super::net_scope::{Binding, NetScope, Signal};
use super::scope::{Local, Scope, nearest};
use super::unit::{FILE, Meaning};
use super::value::{Value, flatten};
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, ExprId, UnaryOp};
use crate::model::{FormalVariable, Input, KernelId, Kind, LayerId, LayerOp, Role, Shape};
use crate::source::Span;
use crate::syntax::ast::{self, ExprKind, UnaryOperator};
use crate::syntax::{Place, ours};

impl Lowering<'_> {
    /// Whether layers are needed for the expression: a network stands in it.
    pub fn is_network(&self, expr: &ast::Expr, net: &NetScope) -> bool {
        let mut found = false;
        walk(expr, &mut |part| match &part.kind {
            ExprKind::Call { function, .. } => {
                if let ExprKind::Name(name) = &function.kind {
                    let declared = net.scope.local(name).is_none()
                        && matches!(self.meaning(net.scope.unit, name), Some(Meaning::Net(_)));
                    found |= is_network(name) || declared;
                }
            }
            ExprKind::Name(name) => found |= matches!(net.signal(name), Some(Signal::Layer(_))),
            ExprKind::Number { .. }
            | ExprKind::Text(_)
            | ExprKind::Previous { .. }
            | ExprKind::Unary { .. }
            | ExprKind::Binary { .. }
            | ExprKind::If { .. }
            | ExprKind::Index { .. }
            | ExprKind::Field { .. }
            | ExprKind::Array(_)
            | ExprKind::Record(_) => {}
        });
        found
    }

    /// An argument of a kernel's distribution, as a layer of the width that `want` asks for.
    pub fn argument_layer(
        &mut self,
        net: &NetScope,
        expr: &ast::Expr,
        want: Want,
    ) -> Option<LayerId> {
        if !self.is_network(expr, net) {
            let value = self.lower(expr, &net.scope);
            let ids = self.fit_want(&value, want, expr.span)?;
            return self.scalars(net, ids, expr.span);
        }
        let width = match want {
            Want::Scores(count) => count,
            Want::Number => 1,
            Want::PerComponent(domain) => {
                if let (ExprKind::Record(parts), Shape::Record(fields)) =
                    (&expr.kind, &domain.shape)
                {
                    return self.record_layer(net, expr, parts, fields);
                }
                domain.width()
            }
            Want::Truth => {
                self.error("network", expr.span, "a condition is no network");
                return None;
            }
            Want::Value(domain) => {
                let told = Diagnostic::error(
                    "network",
                    expr.span,
                    "a network's output is no value of a domain",
                );
                let bounded = |kind: &Kind| {
                    matches!(kind, Kind::Real { lo, hi }
                        if lo.is_finite() && hi.is_finite())
                };
                let drawn = match domain.components.iter().all(|component| bounded(&component.kind))
                {
                    _ if domain.is_finite() => {
                        "what is learned is drawn: `Categorical(logits = …)`"
                    }
                    true => "what is learned is drawn: `TanhNormal(mean = …, sd = 0.1)`",
                    false => "what is learned is drawn: `Normal(mean = …, sd = 0.1)`",
                };
                self.report(match domain.is_finite() || self.draws_a_decision(net.kernel) {
                    true => told.hint(drawn),
                    // only a decision needs a density: a world may do without
                    false => told.hint(format!("{drawn}, or without a density `Implicit(…)`")),
                });
                return None;
            }
        };
        let layer = self.layer(net, expr, Some(width))?;
        self.widened(layer, width, expr.span)
    }

    /// Whether the kernel draws an action or an option, whose probability every bound needs.
    fn draws_a_decision(&self, kernel: KernelId) -> bool {
        self.kernel_slot(kernel).outputs.iter().any(|slot| {
            match slot.formal.as_ref().map(|formal| formal.variable) {
                Some(FormalVariable::Variable(variable)) => {
                    matches!(self.variables[variable.0 as usize].role, Role::Action | Role::Option)
                }
                Some(FormalVariable::Reward(..) | FormalVariable::End | FormalVariable::Time)
                | None => false,
            }
        })
    }

    /// `mean = { x: linear(s), v: linear(s) }`: a layer per field, in the order of the domain.
    fn record_layer(
        &mut self,
        net: &NetScope,
        expr: &ast::Expr,
        parts: &[(ast::Name, ast::Expr)],
        fields: &[(String, Shape)],
    ) -> Option<LayerId> {
        let known: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
        for (name, _) in parts {
            if !known.contains(&name.text) {
                self.unknown(&name.text, name.span, "field", &known);
            }
        }
        let mut layers = Vec::with_capacity(fields.len());
        for (field, shape) in fields {
            let Some((_, part)) = parts.iter().find(|(name, _)| name.text == *field) else {
                self.error("type", expr.span, format!("the field `{field}` is missing"));
                layers.push(None);
                continue;
            };
            let layer = self.layer(net, part, Some(shape.width()));
            layers.push(layer.and_then(|layer| self.widened(layer, shape.width(), part.span)));
        }
        let layers: Option<Vec<LayerId>> = layers.into_iter().collect();
        Some(self.concat(layers?, expr.span))
    }

    /// The layer, repeated where one number stands for all.
    fn widened(&mut self, layer: LayerId, width: usize, span: Span) -> Option<LayerId> {
        let found = self.network.layer(layer).width;
        if found == width {
            return Some(layer);
        }
        if found == 1 {
            return Some(self.concat(vec![layer; width], span));
        }
        self.error("width", span, format!("expected {width} numbers, found {found}"));
        None
    }

    /// An operand: networks of the width asked for, values as columns.
    pub fn layer(
        &mut self,
        net: &NetScope,
        expr: &ast::Expr,
        width: Option<usize>,
    ) -> Option<LayerId> {
        match self.signal(net, expr, width)? {
            Signal::Layer(layer) => Some(layer),
            Signal::Value(value) => self.operand(net, &value, expr.span),
            Signal::Formal(_) => {
                let value = self.lower(expr, &net.scope);
                self.operand(net, &value, expr.span)
            }
        }
    }

    /// The numbers of a value, side by side.
    fn operand(&mut self, net: &NetScope, value: &Value, span: Span) -> Option<LayerId> {
        if value.is_poisoned() {
            return None;
        }
        let mut parts = Vec::new();
        flatten(value, &mut parts);
        let ids: Option<Vec<_>> = parts.iter().map(|part| self.numeric(part, span)).collect();
        self.scalars(net, ids?, span)
    }

    /// What an expression is to a network.
    pub fn signal(
        &mut self,
        net: &NetScope,
        expr: &ast::Expr,
        width: Option<usize>,
    ) -> Option<Signal> {
        if self.depth >= DEEPEST {
            self.error("depth", expr.span, "networks are nested too deep here");
            return None;
        }
        self.depth += 1;
        let signal = self.signal_kind(net, expr, width);
        self.depth -= 1;
        signal
    }

    fn signal_kind(
        &mut self,
        net: &NetScope,
        expr: &ast::Expr,
        width: Option<usize>,
    ) -> Option<Signal> {
        if let ExprKind::Name(name) = &expr.kind
            && let Some(signal) = net.signal(name)
        {
            return Some(signal.clone());
        }
        if !self.is_network(expr, net) {
            let value = self.lower(expr, &net.scope);
            return (!value.is_poisoned()).then_some(Signal::Value(value));
        }
        let span = expr.span;
        let layer = match &expr.kind {
            ExprKind::Call { function, arguments, givens } => {
                let ExprKind::Name(name) = &function.kind else {
                    self.error("type", function.span, "this cannot be called");
                    return None;
                };
                if givens.is_some() {
                    self.error("type", span, "a bar `|` stands in likelihood factors only");
                    return None;
                }
                self.network_call(net, expr, name, arguments, width)?
            }
            ExprKind::Unary { operator: UnaryOperator::Minus, operand } => {
                let operand = self.layer(net, operand, width)?;
                self.unary_layer(UnaryOp::Negate, operand, span)
            }
            ExprKind::Binary { operator, left, right } => {
                let Some(op) = arithmetic_op(*operator) else {
                    self.error(
                        "network",
                        span,
                        "a network's output is a number: it can be added and scaled, not compared",
                    );
                    return None;
                };
                let (left, right) = (self.layer(net, left, width), self.layer(net, right, width));
                self.binary_layer(op, left?, right?, span)?
            }
            ExprKind::Array(items) => {
                let layers: Vec<Option<LayerId>> =
                    items.iter().map(|item| self.layer(net, item, Some(1))).collect();
                self.concat(layers.into_iter().collect::<Option<Vec<_>>>()?, span)
            }
            ExprKind::If { .. } => {
                let told =
                    Diagnostic::error("network", span, "`if` does not choose between networks");
                self.report(told.hint(
                    "choose between distributions: `if … then Categorical(…) else Categorical(…)`",
                ));
                return None;
            }
            ExprKind::Unary { operator: UnaryOperator::Not, .. }
            | ExprKind::Index { .. }
            | ExprKind::Field { .. }
            | ExprKind::Record(_)
            | ExprKind::Previous { .. }
            | ExprKind::Number { .. }
            | ExprKind::Text(_)
            | ExprKind::Name(_) => {
                let told = Diagnostic::error(
                    "network",
                    span,
                    "a network cannot stand inside this expression",
                );
                self.report(told.hint(
                    "networks are joined by arithmetic and by the functions of \
                                       one number, such as `softplus`",
                ));
                return None;
            }
        };
        Some(Signal::Layer(layer))
    }

    fn network_call(
        &mut self,
        net: &NetScope,
        expr: &ast::Expr,
        name: &str,
        arguments: &[ast::Argument],
        width: Option<usize>,
    ) -> Option<LayerId> {
        if is_network(name) {
            return self.primitive(net, name, (arguments, width, expr.span));
        }
        if let Some(Meaning::Net(declared)) = self.meaning(net.scope.unit, name) {
            return self.call_net(net, declared, arguments, width, expr.span);
        }
        let Some(function) = functions::function(name) else {
            if self.find(net.scope.unit, name).is_some() {
                let told = Diagnostic::error(
                    "network",
                    expr.span,
                    format!("`{name}` works on numbers, not on the output of a network"),
                );
                self.report(told.hint(
                    "declare a network with its layers inside, as `net f(s) = 2 \
                                       * linear(s)`, and give it `s`",
                ));
            } else {
                let mut known: Vec<String> = networks().map(str::to_owned).collect();
                known.extend(functions::FUNCTIONS.iter().map(|(name, _)| (*name).to_owned()));
                let near = nearest(name, &known).map(str::to_owned);
                let told = Diagnostic::error(
                    "unknown-name",
                    expr.span,
                    format!("unknown function `{name}`"),
                );
                self.report(match (ours(Place::Function, name), near) {
                    (Some(ours), _) => told.hint(ours),
                    (None, Some(near)) => told.hint(format!("did you mean `{near}`?")),
                    (None, None) => told.hint(format!("known: {}", known.join(", "))),
                });
            }
            return None;
        };
        let mut layers = Vec::with_capacity(arguments.len());
        for argument in arguments {
            if argument.label.is_some() {
                self.error(
                    "argument",
                    argument.value.span,
                    format!("the arguments of `{name}` have no names"),
                );
                return None;
            }
            layers.push(self.layer(net, &argument.value, width));
        }
        let layers = layers.into_iter().collect::<Option<Vec<_>>>()?;
        match (function, layers.as_slice()) {
            (Function::Unary(op), &[x]) => Some(self.unary_layer(op, x, expr.span)),
            (Function::Binary(op), &[x, y]) => self.binary_layer(op, x, y, expr.span),
            (Function::Clamp, &[x, lo, hi]) => {
                let least = self.binary_layer(BinaryOp::Max, x, lo, expr.span)?;
                self.binary_layer(BinaryOp::Min, least, hi, expr.span)
            }
            (Function::Fold(op), [first, rest @ ..]) if !rest.is_empty() => rest
                .iter()
                .try_fold(*first, |kept, layer| self.binary_layer(op, kept, *layer, expr.span)),
            (Function::Sum | Function::Normalize | Function::Fold(_), _) => {
                self.error(
                    "network",
                    expr.span,
                    format!("`{name}` does not reduce the output of a network"),
                );
                None
            }
            (Function::Unary(_) | Function::Binary(_) | Function::Clamp, _) => {
                self.error(
                    "arity",
                    expr.span,
                    format!("`{name}` does not take {} arguments", layers.len()),
                );
                None
            }
        }
    }

    /// The body of a declared net, with its formals bound to the arguments; its parameters carry
    /// the net's name and are shared.
    fn call_net(
        &mut self,
        net: &NetScope,
        declared: &ast::Net,
        arguments: &[ast::Argument],
        width: Option<usize>,
        span: Span,
    ) -> Option<LayerId> {
        let name = &declared.name.text;
        if net.nets.contains(name) {
            let told =
                Diagnostic::error("recursion", span, format!("the net `{name}` uses itself"))
                    .also(declared.name.span, "declared here");
            self.report(told);
            return None;
        }
        if arguments.len() != declared.formals.len() {
            let count = declared.formals.len();
            let plural = if count == 1 { "" } else { "s" };
            let told = Diagnostic::error(
                "arity",
                span,
                format!("`{name}` takes {count} argument{plural}, not {}", arguments.len()),
            );
            self.report(told.also(declared.name.span, "declared here"));
            return None;
        }
        let mut bindings = Vec::with_capacity(arguments.len());
        let mut locals = Vec::with_capacity(arguments.len());
        for (formal, argument) in declared.formals.iter().zip(arguments) {
            if argument.label.is_some() {
                self.error(
                    "argument",
                    argument.value.span,
                    format!("the arguments of `{name}` have no names"),
                );
                return None;
            }
            let signal = self.signal(net, &argument.value, None);
            let signal = signal?;
            let local = match &signal {
                Signal::Formal(at) => self.formal_local(net.kernel, *at),
                Signal::Value(value) => Local::Value(value.clone()),
                Signal::Layer(_) => Local::Opaque("it is the output of a network".to_owned()),
            };
            bindings.push(Binding { name: formal.name.text.clone(), signal });
            locals.push((formal.name.text.clone(), local));
        }
        let mut inner =
            NetScope::new(net.kernel, Scope { unit: net.scope.unit, locals }, bindings, name);
        inner.noise = net.noise;
        inner.nets = net.nets.clone();
        inner.nets.push(name.clone());
        inner.used = net.used.or(Some(span));
        self.layer(&inner, &declared.value, width)
    }

    /// Columns of scalars; they may read the formals of this kernel only.
    pub fn scalars(&mut self, net: &NetScope, ids: Vec<ExprId>, span: Span) -> Option<LayerId> {
        if self.reads_time(&ids) {
            let told = Diagnostic::error(
                "kernel",
                span,
                "a kernel reads its givens only, and `t` is none of them",
            );
            self.report(told.hint("declare it: `kernel pi(a | s, t)`"));
            return None;
        }
        for input in self.reads(&ids) {
            let own = matches!(input, Input::Formal { kernel, .. } if kernel == net.kernel);
            if !own {
                let shown = self.show_input(&input);
                let told = Diagnostic::error(
                    "kernel",
                    span,
                    format!("a kernel reads its givens only, and this reads `{shown}`"),
                );
                self.report(
                    told.hint("declare it as a given; the factor says at which step it is read"),
                );
                return None;
            }
        }
        let width = ids.len();
        Some(self.push_layer(LayerOp::Scalars(ids), width, span))
    }

    /// Mistakes in nets that no kernel uses are told as well, as far as they do not depend on their
    /// inputs.
    pub fn check_nets(&mut self) {
        let file = self.file;
        for item in &file.items {
            let ast::Item::Net(net) = item else { continue };
            for (at, formal) in net.formals.iter().enumerate() {
                if let Some(first) =
                    net.formals[..at].iter().find(|first| first.name.text == formal.name.text)
                {
                    self.duplicate(&formal.name, first.name.span);
                }
            }
            let formals: Vec<String> =
                net.formals.iter().map(|formal| formal.name.text.clone()).collect();
            let mut unknown = Vec::new();
            walk(&net.value, &mut |part| {
                if let ExprKind::Call { function, arguments, .. } = &part.kind
                    && let ExprKind::Name(name) = &function.kind
                {
                    for argument in arguments {
                        if let (None, ExprKind::Name(input)) =
                            (&argument.label, &argument.value.kind)
                            && is_network(name)
                            && !formals.contains(input)
                            && self.find(FILE, input).is_none()
                            && !self.has_enumerator(FILE, input)
                            && functions::reserved(input).is_none()
                        {
                            unknown.push((input.clone(), argument.value.span));
                        }
                    }
                }
            });
            for (name, span) in unknown {
                self.unknown(&name, span, "name", &formals);
            }
        }
    }
}
