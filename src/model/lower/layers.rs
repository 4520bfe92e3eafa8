//! The layers of the language, `linear`, `mlp`, `table`, `per`, `gru`, `noise` (`imagine` has a
//! file of its own), and the parameters they make.

use super::Lowering;
use super::networks::{NetScope, Signal, flatten};
use super::value::{Type, Value};
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, ExprId, Node, UnaryOp};
use crate::model::{
    Activation, FormalLength, FormalVariable, Input, Kind, Layer, LayerId, LayerOp, Parameter,
    ParameterId,
};
use crate::source::Span;
use crate::syntax::ast::{self, ArgumentLabel, ExprKind};
use crate::syntax::our_argument;

/// Units of one layer, and entries of one parameter.
const WIDEST: usize = 1 << 20;
const LARGEST: usize = 1 << 28;
/// Width of a `gru` whose `hidden` is not given.
const GRU_WIDTH: usize = 64;

impl Lowering<'_> {
    pub fn primitive(
        &mut self,
        net: &NetScope,
        expr: &ast::Expr,
        name: &str,
        arguments: &[ast::Argument],
        width: Option<usize>,
    ) -> Option<LayerId> {
        let span = expr.span;
        match name {
            "linear" => {
                let input = self.input_layers(net, name, arguments, &[], span);
                let (input, width) = (input?, self.demanded(name, width, span)?);
                let owner = net.next_name();
                let (weight, bias) =
                    self.affine_parameters(&owner, input, width, net.place(span))?;
                Some(self.push_layer(LayerOp::Linear { input, weight, bias }, width, span))
            }
            "mlp" => self.mlp(net, arguments, width, span),
            "table" => self.table(net, arguments, width, span),
            "per" => self.per(net, arguments, width, span),
            "gru" => self.gru(net, arguments, width, span),
            "imagine" => self.simulation(net, arguments, span),
            _ => self.noise(net, arguments, span),
        }
    }

    fn demanded(&mut self, name: &str, width: Option<usize>, span: Span) -> Option<usize> {
        if width.is_none() {
            let told = Diagnostic::error(
                "width",
                span,
                format!("nothing says how many numbers `{name}` gives here"),
            );
            self.report(told.hint(
                "the width follows from a distribution; inside another network \
                                   use `mlp(…, hidden = [n])`",
            ));
        }
        width
    }

    /// The inputs of a network side by side; `settings` are the named arguments it has.
    fn input_layers(
        &mut self,
        net: &NetScope,
        name: &str,
        arguments: &[ast::Argument],
        settings: &[&str],
        span: Span,
    ) -> Option<LayerId> {
        let mut layers = Vec::new();
        for argument in arguments {
            match &argument.label {
                None => {
                    let layer = self.input_layer(net, &argument.value);
                    layers.push(layer);
                }
                Some(ArgumentLabel::Named(key)) if settings.contains(&key.text.as_str()) => {}
                Some(ArgumentLabel::Named(key)) => {
                    let known: Vec<String> = settings.iter().map(|key| (*key).to_owned()).collect();
                    let ours =
                        our_argument(&key.text, &known).map(|ours| format!("write `{ours} = …`"));
                    self.unknown_word(
                        &key.text,
                        key.span,
                        &format!("argument of `{name}`"),
                        &known,
                        ours,
                    );
                    layers.push(None);
                }
                Some(ArgumentLabel::Weight(weight)) => {
                    self.error(
                        "argument",
                        weight.span,
                        format!("an input of `{name}` has no weight"),
                    );
                    layers.push(None);
                }
            }
        }
        if layers.is_empty() {
            self.error("argument", span, format!("`{name}` has no input"));
            return None;
        }
        let layers = layers.into_iter().collect::<Option<Vec<_>>>()?;
        Some(self.concat(layers, span))
    }

    /// One input: a formal as the engine encodes it, other values as columns (one-hot where they
    /// are finite parts of a formal).
    fn input_layer(&mut self, net: &NetScope, expr: &ast::Expr) -> Option<LayerId> {
        match self.signal(net, expr, None)? {
            Signal::Layer(layer) => Some(layer),
            Signal::Formal(formal) => self.formal_layer(net, formal, expr.span),
            Signal::Value(value) => {
                let mut scalars = Vec::new();
                flatten(&value, &mut scalars);
                let mut columns = Vec::new();
                for scalar in &scalars {
                    self.columns(scalar, expr.span, &mut columns)?;
                }
                if columns.is_empty() {
                    let message = "an empty array is no input of a network: it has no numbers";
                    self.error("argument", expr.span, message);
                    return None;
                }
                self.scalars(net, columns, expr.span)
            }
        }
    }

    fn columns(&mut self, scalar: &Value, span: Span, out: &mut Vec<ExprId>) -> Option<()> {
        let (id, range) = match scalar {
            Value::Scalar(id, Type::Name(list)) => {
                (*id, Some((0, self.names[list.0 as usize].len() as i64)))
            }
            Value::Scalar(id, Type::Truth) => (*id, None),
            Value::Scalar(id, Type::Number) => (*id, self.range_of_input(*id)),
            Value::Scalar(_, Type::Character)
            | Value::Array(_)
            | Value::Record(_)
            | Value::Enumerator(_)
            | Value::Poison => (self.numeric(scalar, span)?, None),
        };
        match range {
            Some((lo, count)) => {
                for value in lo..lo + count {
                    let value = self.graph.constant(value as f64);
                    out.push(self.graph.binary(BinaryOp::Equal, id, value));
                }
            }
            None => out.push(id),
        }
        Some(())
    }

    /// The values of a finite component of a formal.
    fn range_of_input(&self, id: ExprId) -> Option<(i64, i64)> {
        let Node::Input(input) = self.graph.node(id) else { return None };
        let Input::Formal { kernel, formal, component } = self.inputs[input.0 as usize] else {
            return None;
        };
        let variable = self.kernel_slot(kernel).formal(formal)?.variable;
        let domain = self.formal_domain(variable)?;
        match &domain.components[component as usize % domain.width()].kind {
            Kind::Integer { lo, hi } => Some((*lo, hi - lo + 1)),
            Kind::Names(_) | Kind::Bool | Kind::Real { .. } => None,
        }
    }

    fn formal_layer(&mut self, net: &NetScope, at: u32, span: Span) -> Option<LayerId> {
        let formal = self.kernel_slot(net.kernel).formal(at)?.clone();
        let domain = self.formal_domain(formal.variable);
        if domain.is_none() && formal.variable != FormalVariable::Time {
            return None;
        }
        let Some(width) = formal.columns(domain.as_ref()) else {
            let told = Diagnostic::error(
                "network",
                span,
                format!("`{}` is a sequence of any length", formal.name),
            );
            self.report(told.hint(format!("sum it up with `gru({})`", formal.name)));
            return None;
        };
        Some(self.push_layer(LayerOp::Formal { kernel: net.kernel, formal: at }, width, span))
    }

    fn mlp(
        &mut self,
        net: &NetScope,
        arguments: &[ast::Argument],
        width: Option<usize>,
        span: Span,
    ) -> Option<LayerId> {
        let input = self.input_layers(net, "mlp", arguments, &["hidden", "activation"], span);
        let hidden = self.hidden(net, "mlp", arguments, span);
        let activation = self.activation(arguments);
        let (input, mut widths, activation) = (input?, hidden?, activation?);
        let last = match width {
            Some(width) => {
                widths.push(width);
                None
            }
            None if widths.is_empty() => {
                self.demanded("mlp", width, span)?;
                None
            }
            None => Some(activation),
        };
        let mut weights = Vec::with_capacity(widths.len());
        let mut rows = self.network.layer(input).width;
        for &width in &widths {
            let owner = net.next_name();
            weights.push(self.affine_of(&owner, rows, width, net.place(span))?);
            rows = width;
        }
        Some(self.push_layer(LayerOp::Mlp { input, activation, last, weights }, rows, span))
    }

    /// `hidden = [64, 64]`
    fn hidden(
        &mut self,
        net: &NetScope,
        name: &str,
        arguments: &[ast::Argument],
        span: Span,
    ) -> Option<Vec<usize>> {
        let Some(hidden) = named(arguments, "hidden") else {
            let told = Diagnostic::error(
                "argument",
                span,
                format!("`{name}` needs the argument `hidden`"),
            );
            self.report(told.hint(format!(
                "write `{name}(…, hidden = [64, 64])`, or `linear(…)` without hidden layers"
            )));
            return None;
        };
        let value = self.lower(hidden, &net.scope);
        let items = match &value {
            Value::Array(items) => items.clone(),
            Value::Poison => return None,
            Value::Scalar(..) | Value::Record(_) | Value::Enumerator(_) => {
                let told = Diagnostic::error(
                    "type",
                    hidden.span,
                    "`hidden` is the list of the hidden layers' widths",
                );
                self.report(told.hint("write `hidden = [64]`"));
                return None;
            }
        };
        let mut widths = Vec::with_capacity(items.len());
        for item in items.iter() {
            let width = self.constant_of(item, hidden.span, "the width of a layer")?;
            if !(1.0..=WIDEST as f64).contains(&width) || width.fract() != 0.0 {
                self.error(
                    "width",
                    hidden.span,
                    format!(
                        "the width of a layer is a whole number from 1 to {WIDEST}, not {width}"
                    ),
                );
                return None;
            }
            widths.push(width as usize);
        }
        Some(widths)
    }

    fn activation(&mut self, arguments: &[ast::Argument]) -> Option<Activation> {
        let Some(activation) = named(arguments, "activation") else {
            return Some(Activation::Tanh);
        };
        let known = [
            ("tanh", Activation::Tanh),
            ("relu", Activation::Relu),
            ("sigmoid", Activation::Sigmoid),
            ("softplus", Activation::Softplus),
        ];
        let name = match &activation.kind {
            ExprKind::Name(name) => name.as_str(),
            ExprKind::Number { .. }
            | ExprKind::Text(_)
            | ExprKind::Previous { .. }
            | ExprKind::Unary { .. }
            | ExprKind::Binary { .. }
            | ExprKind::If { .. }
            | ExprKind::Call { .. }
            | ExprKind::Index { .. }
            | ExprKind::Field { .. }
            | ExprKind::Array(_)
            | ExprKind::Record(_) => "",
        };
        if let ExprKind::Text(text) = &activation.kind {
            let told = Diagnostic::error(
                "type",
                activation.span,
                format!("an activation is a word, and `\"{text}\"` stands in quotes"),
            );
            let word = known
                .iter()
                .map(|(known, _)| *known)
                .find(|known| text.eq_ignore_ascii_case(known));
            self.report(told.hint(match word {
                Some(word) => format!("write `activation = {word}`"),
                None => "write `activation = relu`, or `tanh`, `sigmoid`, `softplus`".to_owned(),
            }));
            return None;
        }
        match known.iter().find(|(known, _)| *known == name) {
            Some((_, activation)) => Some(*activation),
            None => {
                let known: Vec<String> = known.iter().map(|(name, _)| (*name).to_owned()).collect();
                self.unknown(name, activation.span, "activation", &known);
                None
            }
        }
    }

    /// A formal given by its bare name, for `table`, `per`, `gru` and `imagine`.
    pub fn bare_formal(
        &mut self,
        net: &NetScope,
        name: &str,
        argument: &ast::Argument,
    ) -> Option<(u32, crate::model::Formal)> {
        let span = argument.value.span;
        if argument.label.is_none()
            && let ExprKind::Name(input) = &argument.value.kind
        {
            match net.signal(input) {
                Some(Signal::Formal(at)) => {
                    let at = *at;
                    return self
                        .kernel_slot(net.kernel)
                        .formal(at)
                        .map(|formal| (at, formal.clone()));
                }
                Some(Signal::Value(_) | Signal::Layer(_)) => {}
                None if self.lower(&argument.value, &net.scope).is_poisoned() => return None,
                None => {}
            }
        }
        if let ExprKind::Index { base, .. } = &argument.value.kind
            && let ExprKind::Name(input) = &base.kind
            && matches!(net.signal(input), Some(Signal::Formal(_)))
        {
            let told =
                Diagnostic::error("index", span, format!("inside a kernel `{input}` has no index"));
            self.report(told.hint(format!(
                "write `{input}`: the factor that uses the kernel says at which step it is read"
            )));
            return None;
        }
        let told = Diagnostic::error(
            "network",
            span,
            format!("`{name}` reads a given of the kernel as it is"),
        );
        self.report(told.hint(match &argument.value.kind {
            ExprKind::Name(input) if input == "t" => {
                "declare the time among the givens: `kernel pi(a | s, t)`"
            }
            _ => "name the given, without operations on it",
        }));
        None
    }

    fn table(
        &mut self,
        net: &NetScope,
        arguments: &[ast::Argument],
        width: Option<usize>,
        span: Span,
    ) -> Option<LayerId> {
        let formals: Vec<_> = arguments
            .iter()
            .map(|argument| (self.bare_formal(net, "table", argument), argument.value.span))
            .collect();
        let width = self.demanded("table", width, span);
        let mut rows = Some(1usize);
        let mut places = Vec::with_capacity(formals.len());
        for (formal, place) in formals {
            let (at, formal) = formal?;
            places.push(at);
            let size = match formal.variable {
                FormalVariable::Time => self.horizon.as_ref()?.value,
                FormalVariable::Variable(_) | FormalVariable::Reward(..) | FormalVariable::End => {
                    let domain = self.formal_domain(formal.variable)?;
                    match &domain.finite {
                        Some(finite) => finite.size(),
                        None => {
                            let told = Diagnostic::error(
                                "network",
                                place,
                                format!(
                                    "`table` has a row per value, and `{}` is not finite",
                                    formal.name
                                ),
                            );
                            self.report(told.hint("use `linear` or `mlp`"));
                            return None;
                        }
                    }
                }
            };
            let size = size + usize::from(formal.optional);
            let steps = match formal.length {
                FormalLength::One => 1,
                FormalLength::Window(steps) => steps,
                FormalLength::Sequence => {
                    self.error(
                        "network",
                        place,
                        format!("`table` has no rows for the sequence `{}`", formal.name),
                    );
                    return None;
                }
            };
            rows = (0..steps).try_fold(rows.unwrap_or(usize::MAX), |rows, _| {
                rows.checked_mul(size).filter(|rows| *rows <= LARGEST)
            });
            if rows.is_none() {
                break;
            }
        }
        let width = width?;
        let Some(rows) =
            rows.filter(|rows| rows.checked_mul(width).is_some_and(|entries| entries <= LARGEST))
        else {
            self.error("size", span, format!("this table has more than {LARGEST} entries"));
            return None;
        };
        if places.is_empty() {
            self.error("argument", span, "`table` has no input");
            return None;
        }
        let weight =
            self.parameter(&format!("{}.table", net.next_name()), rows, width, net.place(span))?;
        Some(self.push_layer(
            LayerOp::Table { kernel: net.kernel, formals: places, weight },
            width,
            span,
        ))
    }

    fn per(
        &mut self,
        net: &NetScope,
        arguments: &[ast::Argument],
        width: Option<usize>,
        span: Span,
    ) -> Option<LayerId> {
        let [choice, body] = arguments else {
            let told = Diagnostic::error(
                "arity",
                span,
                format!("`per` takes 2 arguments, not {}", arguments.len()),
            );
            self.report(told.hint("write `per(o, linear(s))`: one head per value of `o`"));
            return None;
        };
        let formal = self.bare_formal(net, "per", choice);
        let width = self.demanded("per", width, span);
        let ((at, formal), width) = (formal?, width?);
        let count = match formal.variable {
            FormalVariable::Time => self.horizon.as_ref().map(|horizon| horizon.value),
            of => {
                self.formal_domain(of).and_then(|domain| domain.finite).map(|finite| finite.size())
            }
        };
        let heads = match count {
            Some(count) if formal.length == FormalLength::One && !formal.optional => count,
            Some(_) | None => {
                let told = Diagnostic::error(
                    "network",
                    choice.value.span,
                    format!("`per` has a head per value of `{}`", formal.name),
                );
                self.report(told.hint(
                    "the given must be finite or the time `t`, a single value, and never `none`",
                ));
                return None;
            }
        };
        let inner = self.layer(net, &body.value, Some(heads.saturating_mul(width)))?;
        if self.network.layer(inner).width != heads * width {
            self.error(
                "width",
                body.value.span,
                format!("`per` needs {heads} × {width} numbers here"),
            );
            return None;
        }
        Some(self.push_layer(
            LayerOp::Per { kernel: net.kernel, formal: at, heads: inner },
            width,
            span,
        ))
    }

    fn gru(
        &mut self,
        net: &NetScope,
        arguments: &[ast::Argument],
        width: Option<usize>,
        span: Span,
    ) -> Option<LayerId> {
        let [sequence, rest @ ..] = arguments else {
            self.error("argument", span, "`gru` has no input");
            return None;
        };
        let (at, formal) = self.bare_formal(net, "gru", sequence)?;
        let mut hidden = GRU_WIDTH;
        for argument in rest {
            match &argument.label {
                Some(ArgumentLabel::Named(key)) if key.text == "hidden" => {
                    hidden = self.constant_count(
                        &argument.value,
                        &net.scope,
                        "the width of `gru`",
                        WIDEST,
                    )?;
                }
                Some(ArgumentLabel::Named(key)) => {
                    self.unknown(&key.text, key.span, "argument of `gru`", &["hidden".to_owned()]);
                    return None;
                }
                Some(ArgumentLabel::Weight(_)) | None => {
                    self.error("argument", argument.value.span, "`gru` reads one sequence");
                    return None;
                }
            }
        }
        if formal.length != FormalLength::Sequence {
            let told = Diagnostic::error(
                "network",
                sequence.value.span,
                format!("`gru` reads a sequence, and `{}` is none", formal.name),
            );
            self.report(told.hint(format!("declare it as one: `{}[..]`", formal.name)));
            return None;
        }
        if width.is_some_and(|width| width != hidden) {
            let told = Diagnostic::error(
                "width",
                span,
                format!("`gru` gives {hidden} numbers, and {} are needed", width.unwrap_or(0)),
            );
            self.report(told.hint("put a layer after it: `linear(gru(…))`"));
            return None;
        }
        let columns: usize = self
            .formal_domain(formal.variable)?
            .components
            .iter()
            .map(|component| component.kind.columns(formal.optional))
            .sum();
        let owner = net.next_name();
        let mut parameters = Vec::with_capacity(4);
        for (part, rows) in
            [("input", columns), ("recurrent", hidden), ("bias", 1), ("recurrent_bias", 1)]
        {
            parameters.push(self.parameter(
                &format!("{owner}.{part}"),
                rows,
                3 * hidden,
                net.place(span),
            )?);
        }
        // which way it runs follows from the factors that use the kernel
        Some(self.push_layer(
            LayerOp::Gru { kernel: net.kernel, formal: at, backward: false, parameters },
            hidden,
            span,
        ))
    }

    fn noise(
        &mut self,
        net: &NetScope,
        arguments: &[ast::Argument],
        span: Span,
    ) -> Option<LayerId> {
        let [ast::Argument { label: None, value }] = arguments else {
            self.error("arity", span, "`noise` takes the number of draws: `noise(4)`");
            return None;
        };
        let width = self.constant_count(value, &net.scope, "the number of draws", WIDEST)?;
        if !net.noise {
            let told = Diagnostic::error(
                "network",
                span,
                "`noise` stands inside `Implicit(…)` only: with it a kernel has no density",
            );
            self.report(told.hint("write `Implicit(mlp(s, a, noise(4), hidden = [64]))`"));
            return None;
        }
        // draws are independent, so equal layers stay apart
        self.network.layers.push(Layer { op: LayerOp::Noise, width, span });
        Some(LayerId(self.network.layers.len() as u32 - 1))
    }

    fn affine_parameters(
        &mut self,
        owner: &str,
        input: LayerId,
        width: usize,
        span: Span,
    ) -> Option<(ParameterId, ParameterId)> {
        let rows = self.network.layer(input).width;
        self.affine_of(owner, rows, width, span)
    }

    fn affine_of(
        &mut self,
        owner: &str,
        rows: usize,
        width: usize,
        span: Span,
    ) -> Option<(ParameterId, ParameterId)> {
        let weight = self.parameter(&format!("{owner}.weight"), rows, width, span)?;
        let bias = self.parameter(&format!("{owner}.bias"), 1, width, span)?;
        Some((weight, bias))
    }

    /// The parameter of this name, made if it is new; a net that is used again must fit the
    /// parameters it has.
    fn parameter(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
        span: Span,
    ) -> Option<ParameterId> {
        if rows.checked_mul(columns).is_none_or(|entries| entries > LARGEST) {
            self.error(
                "size",
                span,
                format!("the parameter `{name}` would have more than {LARGEST} entries"),
            );
            return None;
        }
        if let Some(&(id, first)) = self.parameters.get(name) {
            let known = self.network.parameter(id);
            if (known.rows, known.columns) != (rows, columns) {
                let owner = name.split('.').next().unwrap_or(name);
                let message = format!(
                    "the net `{owner}` cannot be shared: its parameter `{name}` is {} × {} in one \
                     place and {rows} × {columns} in another",
                    known.rows, known.columns
                );
                let told = Diagnostic::error("width", span, message).also(first, "first used here");
                self.report(told.hint(
                    "use it with inputs and outputs of the same widths, or declare a second net",
                ));
                return None;
            }
            return Some(id);
        }
        let id = ParameterId(self.network.parameters.len() as u32);
        self.network.parameters.push(Parameter {
            name: name.to_owned(),
            rows,
            columns,
            start: 0.0,
        });
        self.parameters.insert(name.to_owned(), (id, span));
        Some(id)
    }

    pub fn unary_layer(&mut self, op: UnaryOp, input: LayerId, span: Span) -> LayerId {
        let width = self.network.layer(input).width;
        self.push_layer(LayerOp::Unary(op, input), width, span)
    }

    pub fn binary_layer(
        &mut self,
        op: BinaryOp,
        left: LayerId,
        right: LayerId,
        span: Span,
    ) -> Option<LayerId> {
        let (a, b) = (self.network.layer(left).width, self.network.layer(right).width);
        if a != b && a != 1 && b != 1 {
            self.error("width", span, format!("{a} numbers and {b} numbers do not fit"));
            return None;
        }
        Some(self.push_layer(LayerOp::Binary(op, left, right), a.max(b), span))
    }

    pub fn concat(&mut self, layers: Vec<LayerId>, span: Span) -> LayerId {
        if let [one] = layers.as_slice() {
            return *one;
        }
        let width = layers.iter().map(|layer| self.network.layer(*layer).width).sum();
        self.push_layer(LayerOp::Concat(layers), width, span)
    }

    /// The layer; an equal one is made once.
    pub fn push_layer(&mut self, op: LayerOp, width: usize, span: Span) -> LayerId {
        let same =
            self.network.layers.iter().position(|layer| layer.op == op && layer.width == width);
        let at = same.unwrap_or_else(|| {
            self.network.layers.push(Layer { op, width, span });
            self.network.layers.len() - 1
        });
        LayerId(at as u32)
    }
}

fn named<'e>(arguments: &'e [ast::Argument], key: &str) -> Option<&'e ast::Expr> {
    arguments
        .iter()
        .find(|argument| {
            matches!(&argument.label, Some(ArgumentLabel::Named(name)) if name.text == key)
        })
        .map(|argument| &argument.value)
}
