//! Brackets: a variable at a time, an item of an array.

use super::Lowering;
use super::constants::{show_index, show_number};
use super::scope::{Local, Scope};
use super::unit::Meaning;
use super::value::{Type, Value};
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, ExprId};
use crate::model::{FormalVariable, Index, Input, Role, VariableId};
use crate::source::Span;
use crate::syntax::ast::{self, At, BinaryOperator, ExprKind, UnaryOperator};

/// Steps that an index may lie from `t`, whatever the horizon.
const FARTHEST: f64 = (1 << 20) as f64;

/// What a name with an index stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    Variable(VariableId),
    Reward(crate::model::EnvironmentId, u32),
}

impl Lowering<'_> {
    pub fn index(&mut self, expr: &ast::Expr, base: &ast::Expr, at: &[At], scope: &Scope) -> Value {
        if let ExprKind::Name(name) = &base.kind
            && let Some(timed) = self.timed(name, scope)
        {
            return self.read(name, timed, at, expr.span, scope);
        }
        if let ExprKind::Name(name) = &base.kind
            && self.is_given_at_a_time(name, at, scope)
        {
            let told = Diagnostic::error(
                "index",
                expr.span,
                format!("`{name}` is one value here, and has no step"),
            );
            self.report(told.hint(format!(
                "write `{name}`: where the kernel is used says at which step it is read"
            )));
            return Value::Poison;
        }
        if let ExprKind::Name(name) = &base.kind
            && scope.local(name).is_none()
            && self.find(scope.unit, name).is_none()
            && self.reads_the_time(at, scope)
        {
            let known = self.variable_names();
            self.unknown(name, base.span, "variable", &known);
            return Value::Poison;
        }
        let value = self.lower(base, scope);
        let mut places = Vec::with_capacity(at.len());
        for at in at {
            match at {
                At::One(index) => {
                    let value = self.lower(index, scope);
                    match self.numeric(&value, index.span) {
                        Some(id) => places.push((id, index.span)),
                        None => return Value::Poison,
                    }
                }
                At::Between(from, to) => return self.no_window(from.span.to(to.span)),
                At::Through(end) | At::From(end) => return self.no_window(end.span),
            }
        }
        self.items(&value, &places, expr.span)
    }

    fn no_window(&mut self, span: Span) -> Value {
        let told = Diagnostic::error(
            "index",
            span,
            "a window of time stands only in the arguments of a kernel",
        );
        self.report(told.hint("for example `o[t] ~ back(o[t+1..t+K])`"));
        Value::Poison
    }

    /// The variable or reward that a name means here, where it is one.
    pub fn timed(&self, name: &str, scope: &Scope) -> Option<Timed> {
        if scope.local(name).is_some() {
            return None;
        }
        match self.meaning(scope.unit, name)? {
            Meaning::Variable(variable) => Some(Timed::Variable(variable)),
            Meaning::Reward(environment, reward) => Some(Timed::Reward(environment, reward)),
            Meaning::Param(..)
            | Meaning::Let(_)
            | Meaning::Horizon(_)
            | Meaning::Environment(_)
            | Meaning::Kernel(_)
            | Meaning::Net(_)
            | Meaning::Data(_)
            | Meaning::Bound
            | Meaning::Mistake => None,
        }
    }

    fn reads_the_time(&self, at: &[At], scope: &Scope) -> bool {
        let time = |expr: &ast::Expr| mentions(expr, "t") && scope.local("t").is_none();
        at.iter().any(|at| match at {
            At::One(index) | At::Through(index) | At::From(index) => time(index),
            At::Between(from, to) => time(from) || time(to),
        })
    }

    /// `s[t]` where `s` is a given of the kernel.
    fn is_given_at_a_time(&self, name: &str, at: &[At], scope: &Scope) -> bool {
        let is_array = match scope.local(name) {
            None => return false,
            Some(Local::Value(value)) => matches!(value, Value::Array(_)),
            Some(Local::Opaque(_)) => false,
        };
        let time =
            |expr: &ast::Expr| mentions(expr, "t") && !(is_array && scope.local("t").is_some());
        let reads_time = at.iter().any(|at| match at {
            At::One(index) | At::Through(index) | At::From(index) => time(index),
            At::Between(from, to) => time(from) || time(to),
        });
        reads_time && self.timed(name, &Scope::of(scope.unit)).is_some()
    }

    /// `s[t]`, with more indices for its components: `s[t, 0]`.
    fn read(&mut self, name: &str, timed: Timed, at: &[At], span: Span, scope: &Scope) -> Value {
        let Some((first, rest)) = at.split_first() else { return Value::Poison };
        let index = match first {
            At::One(index) => self.time_index(index, scope),
            At::Between(from, to) => return self.no_window(from.span.to(to.span)),
            At::Through(end) | At::From(end) => return self.no_window(end.span),
        };
        let Some(index) = index else { return Value::Poison };
        if !self.check_range(name, timed, index, span) {
            return Value::Poison;
        }
        let value = self.value_at(timed, index, span);
        if rest.is_empty() {
            return value;
        }
        let mut places = Vec::new();
        for at in rest {
            let At::One(index) = at else { return self.no_window(span) };
            let value = self.lower(index, scope);
            match self.numeric(&value, index.span) {
                Some(id) => places.push((id, index.span)),
                None => return Value::Poison,
            }
        }
        self.items(&value, &places, span)
    }

    /// A variable or reward at an index, as inputs of the graph.
    pub fn value_at(&mut self, timed: Timed, index: Index, span: Span) -> Value {
        match timed {
            Timed::Variable(variable) => {
                let slot = &self.variables[variable.0 as usize];
                let Some(domain) = slot.domain.clone() else {
                    if variable.0 as usize >= self.variables_done {
                        let message = format!(
                            "a domain, a param or the horizon cannot depend on `{}`, a variable \
                             of the trajectory",
                            slot.name
                        );
                        self.report(Diagnostic::error("constant", span, message));
                    }
                    return Value::Poison;
                };
                self.structure(&domain, &mut |lowering, component| {
                    lowering.input(Input::Variable { variable, component, index })
                })
            }
            Timed::Reward(environment, reward) => {
                Value::number(self.input(Input::Reward { environment, reward, index }))
            }
        }
    }

    /// The last time at which something has a value: `T + 1` of states, else `T`, as the number
    /// after `T`.
    pub fn last_of(&self, timed: FormalVariable) -> i32 {
        match timed {
            FormalVariable::Variable(variable) => {
                i32::from(self.variables[variable.0 as usize].role == Role::State)
            }
            FormalVariable::Reward(..) | FormalVariable::End | FormalVariable::Time => 0,
        }
    }

    /// A fixed index outside the trajectory is a mistake wherever it stands.
    pub fn check_range(&mut self, name: &str, timed: Timed, index: Index, span: Span) -> bool {
        let formal = match timed {
            Timed::Variable(variable) => FormalVariable::Variable(variable),
            Timed::Reward(environment, reward) => FormalVariable::Reward(environment, reward),
        };
        let last = self.last_of(formal);
        if let (Index::Step(k), Some(horizon)) = (index, &self.horizon)
            && u64::from(k.unsigned_abs()) > horizon.value as u64
        {
            let message = format!(
                "`{name}{}` lies outside the trajectory at every step: it has {} steps",
                show_index(index),
                horizon.value
            );
            let told = Diagnostic::error("index", span, message)
                .also(horizon.span, "their number is declared here");
            self.report(told.hint(format!(
                "an index this far away never reads anything: write `none`, or \
                                   a nearer one such as `{name}[t-1]`"
            )));
            return false;
        }
        let outside = match index {
            Index::First | Index::Step(_) => false,
            Index::Last(k) => k > last,
        };
        if outside {
            let end = if last == 1 { "T+1" } else { "T" };
            let told = Diagnostic::error(
                "index",
                span,
                format!("`{name}{}` is outside the trajectory", show_index(index)),
            );
            self.report(told.hint(format!("`{name}` has values at 1..{end}")));
        }
        !outside
    }

    /// `[1]`, `[t]`, `[t+k]`, `[T]`, `[T+1]`.
    pub fn time_index(&mut self, expr: &ast::Expr, scope: &Scope) -> Option<Index> {
        let affine = self.affine(expr, scope)?;
        let shift = affine.constant;
        let whole = shift.fract() == 0.0 && shift.abs() <= FARTHEST;
        let horizon = self.horizon.as_ref().map(|horizon| horizon.value as f64);
        match (affine.time, affine.last) {
            (1.0, 0.0) if whole => return Some(Index::Step(shift as i32)),
            (0.0, 1.0) if shift == 0.0 || shift == 1.0 => return Some(Index::Last(shift as i32)),
            (0.0, 0.0) if shift == 1.0 => return Some(Index::First),
            (0.0, last)
                if shift < 1.0 && last == 0.0
                    || last == 1.0 && shift > 1.0
                    || horizon.is_some_and(|t| last == 0.0 && shift > t + 1.0) =>
            {
                let place = if last == 1.0 { format!("T+{shift}") } else { show_number(shift) };
                let told = Diagnostic::error(
                    "index",
                    expr.span,
                    format!("the step {place} is outside the trajectory"),
                );
                self.report(told.hint("steps run from 1 to T; the last state is at T+1"));
            }
            _ => {
                self.no_index(expr.span);
            }
        }
        None
    }

    fn no_index(&mut self, span: Span) {
        let message = format!(
            "an index is `1`, `t`, `t+k`, `t-k`, `T` or `T+1`, with a whole number k of at most \
             {FARTHEST}"
        );
        self.error("index", span, message);
    }

    /// An index as `time · t + last · T + constant`.
    fn affine(&mut self, expr: &ast::Expr, scope: &Scope) -> Option<Affine> {
        match &expr.kind {
            ExprKind::Name(name) if name == "t" && scope.local(name).is_none() => {
                Some(Affine { time: 1.0, last: 0.0, constant: 0.0 })
            }
            ExprKind::Name(name)
                if scope.local(name).is_none()
                    && matches!(self.meaning(scope.unit, name), Some(Meaning::Horizon(_))) =>
            {
                Some(Affine { time: 0.0, last: 1.0, constant: 0.0 })
            }
            ExprKind::Unary { operator: UnaryOperator::Minus, operand } => {
                Some(self.affine(operand, scope)?.scaled(-1.0))
            }
            ExprKind::Binary { operator: BinaryOperator::Add, left, right } => {
                let (left, right) = (self.affine(left, scope), self.affine(right, scope));
                Some(left?.plus(right?))
            }
            ExprKind::Binary { operator: BinaryOperator::Subtract, left, right } => {
                let (left, right) = (self.affine(left, scope), self.affine(right, scope));
                Some(left?.plus(right?.scaled(-1.0)))
            }
            ExprKind::Number { .. }
            | ExprKind::Text(_)
            | ExprKind::Name(_)
            | ExprKind::Previous { .. }
            | ExprKind::Unary { .. }
            | ExprKind::Binary { .. }
            | ExprKind::If { .. }
            | ExprKind::Call { .. }
            | ExprKind::Index { .. }
            | ExprKind::Field { .. }
            | ExprKind::Array(_)
            | ExprKind::Record(_) => {
                if mentions(expr, "t") && scope.local("t").is_none() {
                    self.no_index(expr.span);
                    return None;
                }
                let constant = self.constant(expr, scope, "an index of time")?;
                Some(Affine { time: 0.0, last: 0.0, constant })
            }
        }
    }

    /// `array[i, j]`: a place that is known picks the item; one that is not becomes a look-up.
    fn items(&mut self, value: &Value, places: &[(ExprId, Span)], span: Span) -> Value {
        let Some((&(index, place), rest)) = places.split_first() else { return value.clone() };
        let items = match value {
            Value::Poison => return Value::Poison,
            Value::Array(items) => items.clone(),
            Value::Scalar(..) | Value::Record(_) | Value::Enumerator(_) => {
                let found = value.describe(&self.names);
                let told = Diagnostic::error("type", span, format!("{found} has no items"));
                self.report(match value {
                    Value::Record(fields) if !fields.is_empty() => {
                        told.hint(format!("read a field: `.{}`", fields[0].0))
                    }
                    _ => told,
                });
                return Value::Poison;
            }
        };
        if let Some(at) = self.evaluate(index) {
            if at.fract() != 0.0 || at < 0.0 || at >= items.len() as f64 {
                let told = Diagnostic::error(
                    "index",
                    place,
                    format!("there is no item {} in an array of {}", show_number(at), items.len()),
                );
                self.report(told.hint("items are counted from 0"));
                return Value::Poison;
            }
            return self.items(&items[at as usize], rest, span);
        }
        if items.is_empty() {
            self.error("index", place, "the array is empty");
            return Value::Poison;
        }
        if let Some(cells) = self.constant_cells(value, places.len()) {
            return self.look_up(cells, places, &sizes(value, places.len()));
        }
        let chosen: Vec<Value> = items.iter().map(|item| self.items(item, rest, span)).collect();
        self.merge(&chosen, span, &mut |lowering, ids| lowering.graph.choose(ids, index))
    }

    /// The constants of a rectangular array of `depth` dimensions, row by row, and their type;
    /// `None` where it is none.
    fn constant_cells(&self, value: &Value, depth: usize) -> Option<(Vec<f64>, Type)> {
        let sizes = sizes(value, depth);
        if depth < 2 || sizes.len() != depth {
            return None;
        }
        let mut level = vec![value.clone()];
        for &size in &sizes {
            let mut next = Vec::new();
            for value in &level {
                match value {
                    Value::Array(items) if items.len() == size => {
                        next.extend(items.iter().cloned())
                    }
                    Value::Array(_)
                    | Value::Scalar(..)
                    | Value::Record(_)
                    | Value::Enumerator(_)
                    | Value::Poison => return None,
                }
            }
            level = next;
        }
        let Some(Value::Scalar(_, kind)) = level.first() else { return None };
        let kind = *kind;
        let cell = |value: &Value| match value {
            Value::Scalar(id, found) if *found == kind => self.graph.as_constant(*id),
            Value::Scalar(..)
            | Value::Array(_)
            | Value::Record(_)
            | Value::Enumerator(_)
            | Value::Poison => None,
        };
        Some((level.iter().map(cell).collect::<Option<Vec<f64>>>()?, kind))
    }

    /// One look-up in a table of all cells; an index outside its row must not read another row.
    fn look_up(
        &mut self,
        (cells, kind): (Vec<f64>, Type),
        places: &[(ExprId, Span)],
        sizes: &[usize],
    ) -> Value {
        let zero = self.graph.constant(0.0);
        let mut at = zero;
        let mut inside = self.graph.constant(1.0);
        for (&(index, _), &size) in places.iter().zip(sizes) {
            let count = self.graph.constant(size as f64);
            at = self.graph.binary(BinaryOp::Multiply, at, count);
            at = self.graph.binary(BinaryOp::Add, at, index);
            let above = self.graph.binary(BinaryOp::LessEqual, zero, index);
            let below = self.graph.binary(BinaryOp::Less, index, count);
            let fits = self.graph.binary(BinaryOp::And, above, below);
            if !self.certainly_inside(index, size) {
                inside = self.graph.binary(BinaryOp::And, inside, fits);
            }
        }
        let outside = self.graph.constant(-1.0);
        let at = self.graph.if_(inside, at, outside);
        let table = self.graph.intern_table(cells);
        Value::Scalar(self.graph.lookup(table, at), kind)
    }

    /// An index that is a component of a variable never leaves the component's range.
    fn certainly_inside(&self, index: ExprId, size: usize) -> bool {
        use crate::expr::Node;
        let component = match self.graph.node(index) {
            Node::Input(input) => match self.inputs[input.0 as usize] {
                Input::Variable { variable, component, .. } => self.variables[variable.0 as usize]
                    .domain
                    .as_ref()
                    .map(|domain| domain.components[component as usize].kind.clone()),
                Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => None,
            },
            Node::Constant(bits) => return (0.0..size as f64).contains(&f64::from_bits(*bits)),
            Node::Param(_)
            | Node::Time
            | Node::Unary(..)
            | Node::Binary(..)
            | Node::If(..)
            | Node::Lookup(..)
            | Node::Choose(..) => None,
        };
        match component {
            Some(crate::model::Kind::Integer { lo, hi }) => lo >= 0 && hi < size as i64,
            Some(crate::model::Kind::Names(names)) => names.len() <= size,
            Some(crate::model::Kind::Bool) => size >= 2,
            Some(crate::model::Kind::Real { .. }) | None => false,
        }
    }
}

#[derive(Clone, Copy)]
struct Affine {
    time: f64,
    last: f64,
    constant: f64,
}

impl Affine {
    fn plus(self, other: Affine) -> Affine {
        Affine {
            time: self.time + other.time,
            last: self.last + other.last,
            constant: self.constant + other.constant,
        }
    }

    fn scaled(self, by: f64) -> Affine {
        Affine { time: self.time * by, last: self.last * by, constant: self.constant * by }
    }
}

/// The lengths of the outermost dimensions, as the first items have them.
fn sizes(value: &Value, depth: usize) -> Vec<usize> {
    let mut sizes = Vec::new();
    let mut at = value.clone();
    while sizes.len() < depth {
        let Value::Array(items) = &at else { break };
        sizes.push(items.len());
        let Some(first) = items.first().cloned() else { break };
        at = first;
    }
    sizes
}

/// Whether an expression has a bare name in it.
pub fn mentions(expr: &ast::Expr, name: &str) -> bool {
    let mut found = false;
    walk(expr, &mut |expr| found |= matches!(&expr.kind, ExprKind::Name(known) if known == name));
    found
}

/// Visits an expression and all inside it, outermost first.
pub fn walk<'e>(expr: &'e ast::Expr, visit: &mut dyn FnMut(&'e ast::Expr)) {
    visit(expr);
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::Text(_) | ExprKind::Name(_) => {}
        ExprKind::Previous { arguments, .. } => {
            arguments.iter().for_each(|argument| walk_argument(argument, visit))
        }
        ExprKind::Unary { operand, .. } => walk(operand, visit),
        ExprKind::Binary { left, right, .. } => {
            walk(left, visit);
            walk(right, visit);
        }
        ExprKind::If { condition, then, otherwise } => {
            walk(condition, visit);
            walk(then, visit);
            walk(otherwise, visit);
        }
        ExprKind::Call { function, arguments, givens } => {
            walk(function, visit);
            arguments
                .iter()
                .chain(givens.iter().flatten())
                .for_each(|argument| walk_argument(argument, visit));
        }
        ExprKind::Index { base, at } => {
            walk(base, visit);
            for at in at {
                match at {
                    At::One(index) | At::Through(index) | At::From(index) => walk(index, visit),
                    At::Between(from, to) => {
                        walk(from, visit);
                        walk(to, visit);
                    }
                }
            }
        }
        ExprKind::Field { base, .. } => walk(base, visit),
        ExprKind::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        ExprKind::Record(fields) => fields.iter().for_each(|(_, value)| walk(value, visit)),
    }
}

fn walk_argument<'e>(argument: &'e ast::Argument, visit: &mut dyn FnMut(&'e ast::Expr)) {
    if let Some(ast::ArgumentLabel::Weight(weight)) = &argument.label {
        walk(weight, visit);
    }
    walk(&argument.value, visit);
}
