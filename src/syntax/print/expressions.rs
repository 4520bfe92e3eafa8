//! Expressions, domains and lists as documents that know where they may break.

use super::comments::Margin;
use crate::source::Span;
use crate::syntax::ast::{
    Argument, ArgumentLabel, At, BinaryOperator, Domain, DomainKind, Expr, ExprKind, Formal,
    FormalLength, Head, Name, Setting, UnaryOperator,
};
use pretty::{Arena, DocAllocator, DocBuilder};

pub type Doc<'a> = DocBuilder<'a, Arena<'a>>;

#[derive(Clone, Copy)]
pub struct Expressions<'a, 'm> {
    pub arena: &'a Arena<'a>,
    pub margin: &'m Margin<'m>,
}

/// How tightly an expression holds together; [`crate::syntax::build`] reads it back the same way.
fn strength(expr: &Expr) -> u8 {
    match &expr.kind {
        // what stands in brackets behind it would be its arguments
        ExprKind::Previous { arguments, .. } if arguments.is_empty() => 8,
        ExprKind::If { .. } => 0,
        ExprKind::Unary { operator: UnaryOperator::Not, .. } => 3,
        ExprKind::Unary { operator: UnaryOperator::Minus, .. } => 7,
        ExprKind::Binary { operator, .. } => operator_strength(*operator),
        ExprKind::Number { .. }
        | ExprKind::Text(_)
        | ExprKind::Name(_)
        | ExprKind::Previous { .. }
        | ExprKind::Call { .. }
        | ExprKind::Index { .. }
        | ExprKind::Field { .. }
        | ExprKind::Array(_)
        | ExprKind::Record(_) => 9,
    }
}

fn operator_strength(operator: BinaryOperator) -> u8 {
    match operator {
        BinaryOperator::Or => 1,
        BinaryOperator::And => 2,
        BinaryOperator::Equal
        | BinaryOperator::NotEqual
        | BinaryOperator::Less
        | BinaryOperator::LessEqual
        | BinaryOperator::Greater
        | BinaryOperator::GreaterEqual => 4,
        BinaryOperator::Add | BinaryOperator::Subtract => 5,
        BinaryOperator::Multiply | BinaryOperator::Divide => 6,
        BinaryOperator::Power => 8,
    }
}

fn symbol(operator: BinaryOperator) -> &'static str {
    match operator {
        BinaryOperator::Add => "+",
        BinaryOperator::Subtract => "-",
        BinaryOperator::Multiply => "*",
        BinaryOperator::Divide => "/",
        BinaryOperator::Power => "^",
        BinaryOperator::Equal => "==",
        BinaryOperator::NotEqual => "!=",
        BinaryOperator::Less => "<",
        BinaryOperator::LessEqual => "<=",
        BinaryOperator::Greater => ">",
        BinaryOperator::GreaterEqual => ">=",
        BinaryOperator::And => "and",
        BinaryOperator::Or => "or",
    }
}

impl<'a> Expressions<'a, '_> {
    pub fn expr(self, expr: &Expr) -> Doc<'a> {
        let arena = self.arena;
        match &expr.kind {
            ExprKind::Number { text, .. } | ExprKind::Name(text) => arena.text(text.clone()),
            ExprKind::Text(text) => arena.text(format!("\"{text}\"")),
            ExprKind::Previous { kernel, arguments } if arguments.is_empty() => {
                arena.text(format!("previous {}", kernel.text))
            }
            ExprKind::Previous { kernel, arguments } => arena
                .text(format!("previous {}", kernel.text))
                .append(self.arguments(arguments, None, expr.span)),
            ExprKind::Unary { operator: UnaryOperator::Minus, operand } => {
                arena.text("-").append(self.at_least(operand, 7))
            }
            ExprKind::Unary { operator: UnaryOperator::Not, operand } => {
                arena.text("not ").append(self.at_least(operand, 3))
            }
            ExprKind::Binary { operator, .. } => {
                let (first, rest) = self.chain(expr, operator_strength(*operator));
                first.append(rest.nest(2)).group()
            }
            ExprKind::If { .. } => self.cond(expr),
            ExprKind::Call { function, arguments, givens } => self
                .at_least(function, 9)
                .append(self.arguments(arguments, givens.as_deref(), expr.span)),
            ExprKind::Index { base, at } => self.at_least(base, 9).append(self.index(at)),
            ExprKind::Field { base, field } => {
                self.at_least(base, 9).append(arena.text(format!(".{}", field.text)))
            }
            ExprKind::Array(values) => {
                let numbers =
                    values.iter().all(|value| matches!(value.kind, ExprKind::Number { .. }));
                let items = values.iter().map(|value| (value.span, self.expr(value))).collect();
                let fill = match &values[..] {
                    [only] if is_list(only) => Fill::Hug,
                    _ if numbers => Fill::Dense,
                    _ => Fill::OneALine,
                };
                self.list("[", items, "]", expr.span, fill)
            }
            ExprKind::Record(fields) => {
                let field = |(name, value): &(Name, Expr)| {
                    (
                        name.span.to(value.span),
                        arena.text(format!("{}: ", name.text)).append(self.expr(value)),
                    )
                };
                self.list("{", fields.iter().map(field).collect(), "}", expr.span, Fill::OneALine)
            }
        }
    }

    /// In brackets where it does not hold together as tightly as this.
    fn at_least(self, expr: &Expr, least: u8) -> Doc<'a> {
        let doc = self.expr(expr);
        if strength(expr) >= least {
            doc
        } else {
            self.arena.text("(").append(doc.nest(1)).append(")")
        }
    }

    /// `a + b - c` as its first operand and the rest: one group breaks before all its operators.
    fn chain(self, expr: &Expr, level: u8) -> (Doc<'a>, Doc<'a>) {
        let mut operators = Vec::new();
        let mut first = expr;
        while let ExprKind::Binary { operator, left, right } = &first.kind
            && operator_strength(*operator) == level
            && (operators.is_empty() || level != 4 && level != 8)
        {
            operators.push((*operator, right));
            first = left;
        }
        // a comparison is no chain, and `^` goes to the right
        let left = if level == 4 || level == 8 { level + 1 } else { level };
        let mut rest = self.arena.nil();
        for (operator, right) in operators.into_iter().rev() {
            let minus =
                matches!(right.kind, ExprKind::Unary { operator: UnaryOperator::Minus, .. });
            let least = if level == 8 { if minus { 7 } else { 8 } } else { level + 1 };
            let word = self.arena.text(format!("{} ", symbol(operator)));
            rest = rest.append(self.arena.line()).append(word).append(self.at_least(right, least));
        }
        (self.at_least(first, left), rest)
    }

    /// Broken, a single `if` has a line for `then` and one for `else`; a chain has a line for each
    /// case.
    fn cond(self, expr: &Expr) -> Doc<'a> {
        let arena = self.arena;
        let mut doc = arena.nil();
        let mut rest = expr;
        let mut broken = false;
        let mut lead = "if ";
        while let ExprKind::If { condition, then, otherwise } = &rest.kind {
            broken |= self.margin.lines(condition.span.end, then.span.start)
                + self.margin.lines(then.span.end, otherwise.span.start)
                > 0;
            let case = arena.text(lead).append(self.at_least(condition, 1));
            let value = arena.line().append("then ").append(self.at_least(then, 1));
            let single = lead == "if " && !matches!(otherwise.kind, ExprKind::If { .. });
            doc = doc
                .append(if single {
                    case.append(value)
                } else {
                    case.append(value.nest(2)).group()
                })
                .append(arena.line());
            lead = "else if ";
            rest = otherwise;
        }
        doc = doc.append("else ").append(self.expr(rest));
        if broken { doc.append(self.break_here()).nest(2).group() } else { doc.nest(2).group() }
    }

    /// Nothing on the page; the group around it is broken.
    fn break_here(self) -> Doc<'a> {
        self.arena.nil().flat_alt(self.arena.hardline())
    }

    fn arguments(self, arguments: &[Argument], givens: Option<&[Argument]>, span: Span) -> Doc<'a> {
        let arena = self.arena;
        let mut items: Vec<(Span, Doc<'a>)> =
            arguments.iter().map(|argument| self.argument(argument)).collect();
        for (place, given) in givens.into_iter().flatten().enumerate() {
            let (span, doc) = self.argument(given);
            match items.last_mut() {
                Some(last) if place == 0 => {
                    *last = (last.0.to(span), last.1.clone().append(" | ").append(doc))
                }
                Some(_) => items.push((span, doc)),
                None => items.push((span, arena.text("| ").append(doc))),
            }
        }
        let fill = match arguments {
            [only] if givens.is_none() && is_list(&only.value) => Fill::Hug,
            _ => Fill::OneALine,
        };
        self.list("(", items, ")", span, fill)
    }

    fn argument(self, argument: &Argument) -> (Span, Doc<'a>) {
        let value = self.expr(&argument.value);
        match &argument.label {
            None => (argument.value.span, value),
            Some(ArgumentLabel::Named(name)) => (
                name.span.to(argument.value.span),
                self.arena.text(format!("{} = ", name.text)).append(value),
            ),
            Some(ArgumentLabel::Weight(weight)) => {
                (weight.span.to(argument.value.span), self.expr(weight).append(": ").append(value))
            }
        }
    }

    pub fn index(self, at: &[At]) -> Doc<'a> {
        let arena = self.arena;
        let places = at.iter().map(|at| match at {
            At::One(place) => self.tight(place),
            At::Between(first, last) => self.range(first, last),
            At::Through(last) => arena.text("..").append(self.tight(last)),
            At::From(first) => self.tight(first).append(".."),
        });
        arena.text("[").append(arena.intersperse(places, ", ")).append("]")
    }

    pub fn range(self, low: &Expr, high: &Expr) -> Doc<'a> {
        self.tight(low).append("..").append(self.tight(high))
    }

    /// Without spaces where that is easily read: `t+1`, `2*K+1`.
    fn tight(self, expr: &Expr) -> Doc<'a> {
        match tight(expr) {
            Some(text) => self.arena.text(text),
            None => self.expr(expr),
        }
    }

    pub fn interval(self, low: &Expr, high: &Expr) -> Doc<'a> {
        self.arena.text("[").append(self.expr(low)).append(", ").append(self.expr(high)).append("]")
    }

    pub fn domain(self, domain: &Domain) -> Doc<'a> {
        let arena = self.arena;
        let doc = match &domain.kind {
            DomainKind::Range(low, high) => self.range(low, high),
            DomainKind::Count(count) => self.expr(count),
            DomainKind::Names(names) => {
                let items =
                    names.iter().map(|name| (name.span, arena.text(name.text.clone()))).collect();
                self.list("{", items, "}", domain.span, Fill::Dense)
            }
            DomainKind::Bool => arena.text("bool"),
            DomainKind::Real { length, bounds } => {
                let mut doc = arena.text("real");
                if let Some(length) = length {
                    doc = doc.append("[").append(self.tight(length)).append("]");
                }
                match bounds {
                    Some((low, high)) => doc.append(" in ").append(self.interval(low, high)),
                    None => doc,
                }
            }
            DomainKind::Record(fields) => {
                let field = |(name, domain): &(Name, Domain)| {
                    (
                        name.span.to(domain.span),
                        arena.text(format!("{}: ", name.text)).append(self.domain(domain)),
                    )
                };
                // the domain ends with its filter, its braces end before
                let end =
                    domain.filter.as_ref().map_or(domain.span.end, |filter| filter.span.start);
                self.list(
                    "{",
                    fields.iter().map(field).collect(),
                    "}",
                    Span { end, ..domain.span },
                    Fill::OneALine,
                )
            }
        };
        match &domain.filter {
            Some(filter) => {
                let filter = arena.line().append("where ").append(self.expr(filter)).nest(2);
                doc.append(filter).group()
            }
            None => doc,
        }
    }

    pub fn settings(self, settings: &[Setting], end: u32) -> Doc<'a> {
        let setting = |setting: &Setting| {
            (
                setting.span,
                self.arena
                    .text(format!("{} = ", setting.key.text))
                    .append(self.expr(&setting.value)),
            )
        };
        let span = settings.first().map_or(Span::default(), |first| Span { end, ..first.span });
        self.list("(", settings.iter().map(setting).collect(), ")", span, Fill::OneALine)
    }

    pub fn arguments_of(self, arguments: &[Argument]) -> Doc<'a> {
        let end = arguments.last().map_or(Span::default(), |last| last.value.span);
        self.arguments(arguments, None, end)
    }

    pub fn head(self, head: &Head) -> String {
        match head.givens.is_empty() {
            true => format!("({})", self.formals(&head.outputs)),
            false => format!("({} | {})", self.formals(&head.outputs), self.formals(&head.givens)),
        }
    }

    pub fn formals(self, formals: &[Formal]) -> String {
        let formal = |formal: &Formal| {
            let mut text = formal.name.text.clone();
            if let Some(variable) = &formal.variable {
                text += &format!(": {}", variable.text);
            }
            match &formal.length {
                None => {}
                Some(FormalLength::Sequence) => text += "[..]",
                Some(FormalLength::Window(length)) => {
                    text += &format!("[{}]", self.tight(length).pretty(usize::MAX))
                }
            }
            if formal.optional {
                text.push('?');
            }
            text
        };
        formals.iter().map(formal).collect::<Vec<_>>().join(", ")
    }

    /// A list in brackets: on one line, or broken as its author broke it or its length asks. `span`
    /// ends after the closing bracket.
    fn list(
        self,
        open: &'static str,
        items: Vec<(Span, Doc<'a>)>,
        close: &'static str,
        span: Span,
        fill: Fill,
    ) -> Doc<'a> {
        let arena = self.arena;
        if items.is_empty() {
            return arena.text(format!("{open}{close}"));
        }
        let gaps = items.windows(2).map(|pair| (pair[0].0.end, pair[1].0.start));
        let broken = gaps.clone().any(|(end, start)| self.margin.lines(end, start) > 0);
        let dense = matches!(fill, Fill::Dense)
            && !gaps.into_iter().any(|(end, start)| {
                self.margin.has_comments(Span { start: end, end: start, ..span })
            });
        let last = items.len() - 1;
        let ends: Vec<u32> =
            items.iter().skip(1).map(|item| item.0.start).chain([span.end]).collect();
        let mut commented = false;
        let mut doc = arena.nil();
        for (at, ((item_span, item), next)) in items.into_iter().zip(ends).enumerate() {
            doc = doc.append(item).append(if at < last { "," } else { "" });
            let comments = self.margin.take(item_span.end, next);
            commented |= !comments.is_empty();
            let mut own_line = arena.nil();
            for comment in &comments {
                let text = arena.text(format!("#{}", comment.text));
                if self.margin.lines(item_span.end, comment.span.start) == 0 {
                    doc = doc.append("  ").append(text);
                } else {
                    own_line = own_line.append(arena.hardline()).append(text);
                }
            }
            doc = doc.append(own_line);
            if at < last {
                doc = match () {
                    () if !comments.is_empty() => doc.append(arena.hardline()),
                    () if dense => doc.append(arena.line().group()),
                    () => doc.append(arena.line()),
                };
            }
        }
        if matches!(fill, Fill::Hug) && !commented {
            return arena.text(open).append(doc).append(close);
        }
        let pad = || if open == "{" { arena.line() } else { arena.line_() };
        let inner = pad().append(doc).nest(2).append(pad());
        let inner =
            if commented || broken && !dense { inner.append(self.break_here()) } else { inner };
        arena.text(open).append(inner).append(close).group()
    }
}

/// How a list that does not fit on a line is broken.
#[derive(Clone, Copy)]
enum Fill {
    OneALine,
    /// As many on a line as fit: numbers and names.
    Dense,
    /// A single element that is a list itself: `Delta({`, and its fields follow.
    Hug,
}

fn is_list(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Array(values) => !values.is_empty(),
        ExprKind::Call { arguments, .. } | ExprKind::Previous { arguments, .. } => {
            !arguments.is_empty()
        }
        ExprKind::Record(_) => true,
        ExprKind::Number { .. }
        | ExprKind::Text(_)
        | ExprKind::Name(_)
        | ExprKind::Unary { .. }
        | ExprKind::Binary { .. }
        | ExprKind::If { .. }
        | ExprKind::Index { .. }
        | ExprKind::Field { .. } => false,
    }
}

/// Names, numbers and `+ - *` between them.
fn tight(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Number { text, .. } | ExprKind::Name(text) => Some(text.clone()),
        ExprKind::Unary { operator: UnaryOperator::Minus, operand } if strength(operand) >= 7 => {
            Some(format!("-{}", tight(operand)?))
        }
        ExprKind::Binary { operator, left, right } => {
            let level = match operator {
                BinaryOperator::Add | BinaryOperator::Subtract => 5,
                BinaryOperator::Multiply => 6,
                BinaryOperator::Divide
                | BinaryOperator::Power
                | BinaryOperator::Equal
                | BinaryOperator::NotEqual
                | BinaryOperator::Less
                | BinaryOperator::LessEqual
                | BinaryOperator::Greater
                | BinaryOperator::GreaterEqual
                | BinaryOperator::And
                | BinaryOperator::Or => return None,
            };
            if strength(left) < level || strength(right) <= level || strength(right) == 7 {
                return None;
            }
            Some(format!("{}{}{}", tight(left)?, symbol(*operator), tight(right)?))
        }
        ExprKind::Unary { .. }
        | ExprKind::Text(_)
        | ExprKind::Previous { .. }
        | ExprKind::If { .. }
        | ExprKind::Call { .. }
        | ExprKind::Index { .. }
        | ExprKind::Field { .. }
        | ExprKind::Array(_)
        | ExprKind::Record(_) => None,
    }
}
