//! Expressions, and what stands in brackets after them.

use super::operators::{self, Built, Piece, Pieces};
use super::parts::{Node, Parts};
use super::{Builder, nfc};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{
    Argument, ArgumentLabel, At, BinaryOperator, Expr, ExprKind, Name, UnaryOperator,
};
use crate::syntax::grammar::Rule;
use crate::syntax::scan::DEPTH_LIMIT;

impl Builder<'_> {
    pub fn expr(&mut self, node: Node<'_>) -> Expr {
        self.built(node).expr
    }

    /// The value of a key: an expression, or a threshold, which is one but for the name of its
    /// quantity.
    pub fn setting_value(&mut self, node: Node<'_>) -> Expr {
        if node.as_rule() != Rule::threshold {
            return self.expr(node);
        }
        let mut parts = Parts::of(node);
        let quantity = self.name(parts.must());
        let operator = operators::binary_operator(parts.must().as_str());
        let value = self.built(parts.must());
        let quantity = Built {
            expr: Expr { kind: ExprKind::Name(quantity.text), span: quantity.span },
            depth: 0,
        };
        self.binary(operator, quantity, value).expr
    }

    fn built(&mut self, node: Node<'_>) -> Built {
        let span = self.span(&node);
        let mut pieces = Vec::new();
        for part in Parts::of(node) {
            let at = self.span(&part);
            pieces.push(match part.as_rule() {
                Rule::prefix => Piece::Prefix(
                    if part.as_str() == "not" { UnaryOperator::Not } else { UnaryOperator::Minus },
                    at,
                ),
                Rule::infix => Piece::Infix(operators::binary_operator(part.as_str()), at),
                Rule::cond => Piece::Operand(self.cond(part)),
                _ => Piece::Operand(self.postfix(part)),
            });
        }
        let count = pieces.iter().filter(|piece| !matches!(piece, Piece::Operand(_))).count();
        if count > DEPTH_LIMIT {
            self.say(too_long(span, count));
            return leaf(span);
        }
        let mut pieces: Pieces = pieces.into_iter().peekable();
        operators::climb(self, &mut pieces, 0)
    }

    pub fn unary(&mut self, operator: UnaryOperator, at: Span, operand: Built) -> Built {
        let span = at.to(operand.expr.span);
        self.node(
            span,
            operand.depth,
            ExprKind::Unary { operator, operand: Box::new(operand.expr) },
        )
    }

    pub fn binary(&mut self, operator: BinaryOperator, left: Built, right: Built) -> Built {
        let span = left.expr.span.to(right.expr.span);
        let depth = left.depth.max(right.depth);
        self.node(
            span,
            depth,
            ExprKind::Binary { operator, left: Box::new(left.expr), right: Box::new(right.expr) },
        )
    }

    /// A node above parts of this depth.
    fn node(&mut self, span: Span, depth: usize, kind: ExprKind) -> Built {
        if depth >= DEPTH_LIMIT {
            if self.diagnostics.iter().all(|other| other.code.0 != "too-deep") {
                self.say(too_deep(span));
            }
            return leaf(span);
        }
        Built { expr: Expr { kind, span }, depth: depth + 1 }
    }

    fn cond(&mut self, node: Node<'_>) -> Built {
        let span = self.span(&node);
        let mut parts: Vec<Built> = Parts::of(node).map(|part| self.built(part)).collect();
        // condition, then, condition, then, …, otherwise
        let mut otherwise = parts.pop().expect("the grammar: an `if` ends with its `else`");
        while let Some(then) = parts.pop() {
            let condition = parts.pop().expect("the grammar: a `then` follows its condition");
            let depth = condition.depth.max(then.depth).max(otherwise.depth);
            let here = if parts.is_empty() { span } else { condition.expr.span.to(span_end(span)) };
            let (condition, then, rest) =
                (Box::new(condition.expr), Box::new(then.expr), Box::new(otherwise.expr));
            otherwise = self.node(here, depth, ExprKind::If { condition, then, otherwise: rest });
        }
        otherwise
    }

    fn postfix(&mut self, node: Node<'_>) -> Built {
        let mut parts = Parts::of(node);
        let atom = parts.must();
        let mut built = self.atom(atom);
        for part in parts {
            let span = built.expr.span.to(self.span(&part));
            let inner = built.depth;
            let base = Box::new(built.expr);
            let (depth, kind) = match part.as_rule() {
                Rule::call => {
                    let (arguments, givens, depth) = self.call(part);
                    (depth, ExprKind::Call { function: base, arguments, givens })
                }
                Rule::index => {
                    let (at, depth) = self.index_of(part);
                    (depth, ExprKind::Index { base, at })
                }
                _ => (0, ExprKind::Field { base, field: self.name(Parts::of(part).must()) }),
            };
            built = self.node(span, inner.max(depth), kind);
        }
        built
    }

    fn atom(&mut self, node: Node<'_>) -> Built {
        let span = self.span(&node);
        let (depth, kind) = match node.as_rule() {
            Rule::number => (0, self.number(span, node.as_str())),
            Rule::string => (0, ExprKind::Text(unquoted(node.as_str()).to_owned())),
            Rule::previous => {
                let mut parts = Parts::of(node);
                let kernel = self.name(parts.must());
                let (arguments, givens, depth) =
                    parts.next_if(Rule::call).map_or((Vec::new(), None, 0), |call| self.call(call));
                if givens.is_some() {
                    self.say(Diagnostic::error(
                        "syntax",
                        span,
                        "`previous` takes the givens of a kernel, without a bar",
                    ));
                }
                (depth, ExprKind::Previous { kernel, arguments })
            }
            Rule::array => {
                let (mut values, mut depth) = (Vec::new(), 0);
                for part in Parts::of(node) {
                    if part.as_rule() == Rule::run {
                        depth = depth.max(self.numbers(part, &mut values));
                        continue;
                    }
                    let built = self.built(part);
                    depth = depth.max(built.depth);
                    values.push(built.expr);
                }
                values.shrink_to_fit();
                (depth, ExprKind::Array(values))
            }
            Rule::record => {
                let mut depth = 0;
                let fields = Parts::of(node)
                    .map(|field| {
                        let mut parts = Parts::of(field);
                        let name = self.name(parts.must());
                        let value = self.built(parts.must());
                        depth = depth.max(value.depth);
                        (name, value.expr)
                    })
                    .collect();
                (depth, ExprKind::Record(fields))
            }
            Rule::group => {
                let mut built = self.built(Parts::of(node).must());
                built.expr.span = span;
                return built;
            }
            _ => (0, ExprKind::Name(nfc(node.as_str()))),
        };
        self.node(span, depth, kind)
    }

    /// The numbers of a run, each as an expression of its own; their depth.
    fn numbers(&mut self, node: Node<'_>, values: &mut Vec<Expr>) -> usize {
        let (file, start, text) = (self.file, node.as_span().start(), node.as_str());
        // and one more, which mostly follows
        values.reserve_exact(1 + text.bytes().filter(|&byte| byte == b',').count());
        let mut deepest = 0;
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            match c {
                '#' => at = text[at..].find('\n').map_or(text.len(), |end| at + end),
                '-' | '−' | '0'..='9' => {
                    let sign = if c.is_ascii_digit() { 0 } else { c.len_utf8() };
                    let ends = |c: char| c == ',' || c == '#' || c.is_ascii_whitespace();
                    let length = text[at..].find(ends).unwrap_or(text.len() - at);
                    let place = |from: usize, to: usize| Span {
                        file,
                        start: (start + from) as u32,
                        end: (start + to) as u32,
                    };
                    let span = place(at + sign, at + length);
                    let kind = self.number(span, &text[at + sign..at + length]);
                    let mut number = self.node(span, 0, kind);
                    if sign > 0 {
                        number = self.unary(UnaryOperator::Minus, place(at, at + sign), number);
                    }
                    deepest = deepest.max(number.depth);
                    values.push(number.expr);
                    at += length;
                }
                _ => at += c.len_utf8(),
            }
        }
        deepest
    }

    fn number(&mut self, span: Span, text: &str) -> ExprKind {
        let value = text.replace('_', "").parse().unwrap_or(f64::INFINITY);
        if !value.is_finite() {
            self.say(
                Diagnostic::error(
                    "number-too-large",
                    span,
                    format!("the number {} is too large", short(text)),
                )
                .here("larger than 1.797e308, the largest double-precision number"),
            );
            return ExprKind::Number { value: 0.0, text: "0".to_owned() };
        }
        ExprKind::Number { value, text: text.to_owned() }
    }

    fn call(&mut self, node: Node<'_>) -> (Vec<Argument>, Option<Vec<Argument>>, usize) {
        let mut depth = 0;
        let mut arguments = Vec::new();
        let mut givens = None;
        for part in Parts::of(node) {
            match part.as_rule() {
                Rule::bar => givens = Some(Vec::new()),
                _ => {
                    let list = givens.as_mut().unwrap_or(&mut arguments);
                    for argument in Parts::of(part) {
                        let (argument, inner) = self.argument(argument);
                        depth = depth.max(inner);
                        list.push(argument);
                    }
                }
            }
        }
        (arguments, givens, depth)
    }

    /// The arguments of `gymnasium("CartPole-v1")`.
    pub fn arguments(&mut self, node: Node<'_>) -> Vec<Argument> {
        let span = self.span(&node);
        let (arguments, givens, _) = self.call(node);
        if givens.is_some() {
            self.say(Diagnostic::error(
                "syntax",
                span,
                "the arguments of an outer environment hold no bar",
            ));
        }
        arguments
    }

    fn argument(&mut self, node: Node<'_>) -> (Argument, usize) {
        let mut parts = Parts::of(node);
        let first = parts.must();
        if first.as_rule() == Rule::named {
            let mut parts = Parts::of(first);
            let label = ArgumentLabel::Named(self.name(parts.must()));
            let value = self.built(parts.must());
            return (Argument { label: Some(label), value: value.expr }, value.depth);
        }
        let first = self.built(first);
        match parts.next() {
            Some(value) => {
                let value = self.built(value);
                let depth = first.depth.max(value.depth);
                (
                    Argument {
                        label: Some(ArgumentLabel::Weight(Box::new(first.expr))),
                        value: value.expr,
                    },
                    depth,
                )
            }
            None => (Argument { label: None, value: first.expr }, first.depth),
        }
    }

    pub fn index(&mut self, node: Node<'_>) -> Vec<At> {
        self.index_of(node).0
    }

    fn index_of(&mut self, node: Node<'_>) -> (Vec<At>, usize) {
        let mut depth = 0;
        let places = Parts::of(node)
            .map(|at| {
                let mut parts = Parts::of(at);
                let mut built = |builder: &mut Self, node| {
                    let built = builder.built(node);
                    depth = depth.max(built.depth);
                    built.expr
                };
                if parts.next_if(Rule::dots).is_some() {
                    return At::Through(built(self, parts.must()));
                }
                let first = built(self, parts.must());
                match (parts.next_if(Rule::dots), parts.next()) {
                    (None, _) => At::One(first),
                    (Some(_), None) => At::From(first),
                    (Some(_), Some(last)) => At::Between(first, built(self, last)),
                }
            })
            .collect();
        (places, depth)
    }

    pub fn name(&mut self, node: Node<'_>) -> Name {
        Name { text: nfc(node.as_str()), span: self.span(&node) }
    }
}

pub fn unquoted(text: &str) -> &str {
    &text[1..text.len() - 1]
}

fn leaf(span: Span) -> Built {
    Built {
        expr: Expr { kind: ExprKind::Number { value: 0.0, text: "0".to_owned() }, span },
        depth: 1,
    }
}

fn span_end(span: Span) -> Span {
    Span { start: span.end, ..span }
}

fn short(text: &str) -> String {
    if text.len() <= 24 {
        text.to_owned()
    } else {
        format!("{}…", text.chars().take(20).collect::<String>())
    }
}

fn too_long(span: Span, count: usize) -> Diagnostic {
    Diagnostic::error(
        "too-deep",
        span,
        format!("this expression has {count} operators in a row; the limit is {DEPTH_LIMIT}"),
    )
    .hint("name parts of it with `let`, or use `sum([…])`")
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(
        "too-deep",
        span,
        format!("this expression nests more than {DEPTH_LIMIT} deep"),
    )
    .here("each operator, bracket, index and `else` counts one")
    .hint("name parts of it with `let`")
}
