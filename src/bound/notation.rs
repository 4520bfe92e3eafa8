//! How the factors of a bound are written: kernels by their names, `·` for what is averaged over,
//! times relative to `t`.

use super::influence::{Drawn, Read, When, drawn};
use super::math::{Clock, Math};
use super::plain::plain;
use super::term::Sign;
use super::time::{lead, step_of_draw};
use crate::expr::{BinaryOp, ExprId, Node, UnaryOp};
use crate::family::Argument;
use crate::model::{
    Block, Bound, Distribution, EnvironmentKernel, Factor, FactorRef, Index, Input, KernelId,
    KernelRef, LikelihoodForm, Model, Scores, Target, TargetVariable, Value, VariableId,
};
use crate::syntax::ast;
use std::sync::Arc;

/// The writing of one bound's factors and exponents.
#[derive(Clone, Debug)]
pub struct Notation {
    prior: Vec<FactorNotation>,
    posterior: Vec<FactorNotation>,
    auxiliary: Vec<FactorNotation>,
    /// Exponents, and densities of the likelihood.
    pub likelihood: Vec<Written>,
    names: Names,
}

/// A summand as it is printed: its sign, and what stands behind it.
#[derive(Clone, Debug)]
pub struct Written {
    pub sign: Sign,
    pub math: Math,
    pub binds: Binds,
}

/// How tightly a summand holds together, from loosest to tightest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Binds {
    /// `a < b`, `not a`: a sum around it needs brackets.
    Comparison,
    Sum,
    Product,
    Whole,
}

impl Written {
    pub fn whole(math: Math) -> Written {
        Written { sign: Sign::Plus, math, binds: Binds::Whole }
    }

    /// By itself, with its sign.
    pub fn alone(&self) -> Math {
        match self.sign {
            Sign::Plus => self.math.clone(),
            Sign::Minus => Math::row([Math::Mark("−"), self.math.clone()]),
        }
    }

    /// The formula behind a sign: in brackets where it would fall apart there.
    pub fn part(self, least: Binds) -> (Sign, Math) {
        let math = if self.binds < least { Math::Round(Box::new(self.math)) } else { self.math };
        (self.sign, math)
    }
}

/// The names of kernels and variables, shared by all bounds of a model.
#[derive(Clone, Debug)]
pub struct Names {
    kernels: Arc<[String]>,
    variables: Arc<[String]>,
}

impl Names {
    pub fn of(model: &Model) -> Names {
        Names {
            kernels: model.kernels.iter().map(|kernel| kernel.name.clone()).collect(),
            variables: model.variables.iter().map(|variable| variable.name.clone()).collect(),
        }
    }
}

#[derive(Clone, Debug)]
struct FactorNotation {
    draw: Math,
    kernel: Math,
    givens: Vec<Math>,
    /// The arguments of a distribution in place: `mean = 0, sd = 1`.
    settings: Vec<Math>,
    of_weights: bool,
    lead: i32,
    /// How much later than the factor's own `t` the step lies that its draw belongs to.
    step: i32,
}

impl Notation {
    pub fn of(model: &Model, bound: &Bound, names: &Names) -> Notation {
        let factors = |factors: &[Factor]| {
            factors.iter().map(|factor| factor_notation(model, factor)).collect()
        };
        let likelihood = bound.likelihood.iter().map(|likelihood| match &likelihood.form {
            LikelihoodForm::Exponential { written, .. } => exponent(&model.horizon.name, written),
            LikelihoodForm::Density { kernel, values, givens } => {
                let (name, settings) = kernel_name(model, kernel);
                let values = values.iter().map(|value| value_name(model, value)).collect();
                let mut givens: Vec<Math> =
                    givens.iter().map(|value| value_name(model, value)).collect();
                givens.extend(settings);
                Written::whole(conditional(name, Math::list(values), givens))
            }
        });
        Notation {
            prior: factors(&bound.prior),
            posterior: factors(&bound.posterior),
            auxiliary: factors(&bound.auxiliary),
            likelihood: likelihood.collect(),
            names: names.clone(),
        }
    }

    fn factor(&self, at: FactorRef) -> &FactorNotation {
        let block = match at.block {
            Block::Prior => &self.prior,
            Block::Posterior => &self.posterior,
            Block::Auxiliary => &self.auxiliary,
        };
        &block[at.at as usize]
    }

    /// `pi(a[t]|s[t])`, in the times of the factor's own writing.
    pub fn density(&self, at: FactorRef) -> Math {
        let factor = self.factor(at);
        let mut givens = factor.givens.clone();
        givens.extend(factor.settings.iter().cloned());
        conditional(factor.kernel.clone(), factor.draw.clone(), givens)
    }

    /// `a[t]`, `weights(world)`: what a factor draws.
    pub fn draw(&self, at: FactorRef) -> Math {
        self.factor(at).draw.clone()
    }

    /// `pi(·|s[t])`; a distribution that conditions on nothing is its name alone, and one over
    /// weights says which they are.
    pub fn distribution(&self, at: FactorRef) -> Math {
        let factor = self.factor(at);
        if factor.of_weights {
            return self.density(at);
        }
        match (factor.givens.is_empty(), factor.settings.is_empty()) {
            (true, true) => factor.kernel.clone(),
            (true, false) => Math::call(factor.kernel.clone(), factor.settings.clone()),
            (false, _) => {
                conditional(factor.kernel.clone(), Math::Mark("·"), factor.givens.clone())
            }
        }
    }

    /// How much later (in `t`) a factor of prior or auxiliary is written than the posterior's it
    /// stands against.
    pub fn shift(&self, p: FactorRef, q: FactorRef) -> i32 {
        self.factor(q).lead.saturating_sub(self.factor(p).lead)
    }

    /// How much later than a factor's own `t` the step lies that its draw belongs to: formulas
    /// count steps.
    pub fn step(&self, at: FactorRef) -> i32 {
        self.factor(at).step
    }

    pub fn kernel(&self, id: KernelId) -> &str {
        &self.names.kernels[id.0 as usize]
    }

    /// `s[t]`
    pub fn variable(&self, (id, index): (VariableId, Index)) -> Math {
        Math::at_index(Math::name(&self.names.variables[id.0 as usize]), index)
    }
}

/// `pi(a[t]|s[t])`
fn conditional(kernel: Math, draw: Math, givens: Vec<Math>) -> Math {
    let inside = if givens.is_empty() {
        draw
    } else {
        Math::row([draw, Math::Mark("|"), Math::list(givens)])
    };
    Math::row([kernel, Math::Round(Box::new(inside))])
}

fn factor_notation(model: &Model, factor: &Factor) -> FactorNotation {
    let (kernel, settings) = kernel_name(model, &factor.kernel);
    FactorNotation {
        draw: Math::list(factor.targets.iter().map(|target| target_name(model, *target)).collect()),
        kernel,
        givens: factor.arguments.iter().map(|value| value_name(model, value)).collect(),
        settings,
        of_weights: factor.targets.iter().any(|target| matches!(target, Target::Weights(_))),
        lead: lead(factor),
        step: step_of_draw(model, factor),
    }
}

/// What a factor draws from: `pi`, `previous pi`, `Normal(mean=0, sd=1)`.
pub fn law_name(model: &Model, kernel: &KernelRef) -> Math {
    let (name, settings) = kernel_name(model, kernel);
    if settings.is_empty() { name } else { Math::call(name, settings) }
}

fn kernel_name(model: &Model, kernel: &KernelRef) -> (Math, Vec<Math>) {
    match kernel {
        KernelRef::Learned(id) => (Math::name(&model.kernel(*id).name), Vec::new()),
        KernelRef::Previous(id) => {
            let name = Box::new(Math::name(&model.kernel(*id).name));
            (Math::Under(name, Box::new(Math::Word("previous".to_owned()))), Vec::new())
        }
        KernelRef::Data(id) => (Math::name(&model.data[id.0 as usize].name), Vec::new()),
        KernelRef::Environment(id, which) => {
            let which = match which {
                EnvironmentKernel::Initial => "initial",
                EnvironmentKernel::Transition => "transition",
                EnvironmentKernel::Observation => "observation",
            };
            let name = [
                Math::name(&model.environment(*id).name),
                Math::Mark("."),
                Math::Word(which.to_owned()),
            ];
            (Math::row(name), Vec::new())
        }
        KernelRef::InPlace(distribution) => {
            let (name, settings) = distribution_name(model, distribution);
            (Math::Word(name.to_owned()), settings)
        }
    }
}

fn distribution_name(
    model: &Model,
    distribution: &Distribution<Vec<ExprId>>,
) -> (&'static str, Vec<Math>) {
    let vector = |values: &Vec<ExprId>| match values[..] {
        [value] => from_graph(model, value),
        _ => Math::Square(Box::new(Math::list(
            values.iter().map(|value| from_graph(model, *value)).collect(),
        ))),
    };
    // `weights(world) ~ Normal`: the learned mean field has no arguments of its own
    if distribution.is_mean_field() {
        return ("Normal", Vec::new());
    }
    let named = |name: &str, value: &Vec<ExprId>| {
        Math::row([Math::Word(name.to_owned()), Math::Mark("="), vector(value)])
    };
    match distribution {
        Distribution::Uniform => ("Uniform", Vec::new()),
        Distribution::UniformBox { lo, hi } => ("Uniform", vec![named("lo", lo), named("hi", hi)]),
        Distribution::UniformOver(values) => (
            "Uniform",
            vec![Math::Square(Box::new(Math::list(values.iter().map(vector).collect())))],
        ),
        Distribution::Delta(value) => ("Delta", vec![vector(value)]),
        Distribution::Categorical(Scores::Logits(scores)) => {
            ("Categorical", vec![named("logits", scores)])
        }
        Distribution::Categorical(Scores::Probs(scores)) => {
            ("Categorical", vec![named("probs", scores)])
        }
        Distribution::Bernoulli(Scores::Logits(scores)) => {
            ("Bernoulli", vec![named("logits", scores)])
        }
        Distribution::Bernoulli(Scores::Probs(scores)) => {
            ("Bernoulli", vec![named("probs", scores)])
        }
        Distribution::Real { family, arguments } => {
            let named = |(argument, value): (&Argument, _)| named(argument.name, value);
            (family.name(), family.arguments().iter().zip(arguments).map(named).collect())
        }
        Distribution::Mixture(_) => ("Mixture", vec![Math::Mark("…")]),
        Distribution::If { .. } => ("if", vec![Math::Mark("…")]),
        Distribution::Record(_) => ("Record", vec![Math::Mark("…")]),
        Distribution::Sticky { .. } => ("Sticky", vec![Math::Mark("…")]),
        Distribution::Implicit(_) => ("Implicit", vec![Math::Mark("…")]),
    }
}

fn target_name(model: &Model, target: Target) -> Math {
    match target {
        Target::Weights(kernel) => Math::call(
            Math::Word("weights".to_owned()),
            vec![Math::name(&model.kernel(kernel).name)],
        ),
        Target::Variable { variable, index } => {
            Math::at_index(Math::name(variable_name(model, variable)), index)
        }
    }
}

fn variable_name(model: &Model, variable: TargetVariable) -> &str {
    match variable {
        TargetVariable::Variable(id) => &model.variable(id).name,
        TargetVariable::Reward(environment, reward) => {
            &model.environment(environment).rewards[reward as usize].name
        }
        TargetVariable::End => "end",
    }
}

fn value_name(model: &Model, value: &Value) -> Math {
    let name = |id: VariableId| Math::name(&model.variable(id).name);
    let span = |id, from: Option<Index>, to: Option<Index>| {
        let end = |index: Option<Index>| index.map(|index| Box::new(Math::Time(index)));
        Math::Indexed { base: Box::new(name(id)), index: vec![Math::Span(end(from), end(to))] }
    };
    match value {
        Value::Variable { variable, index } => Math::at_index(name(*variable), *index),
        Value::Reward { environment, reward, index } => Math::at_index(
            Math::name(&model.environment(*environment).rewards[*reward as usize].name),
            *index,
        ),
        Value::Time => Math::Time(Index::Step(0)),
        Value::Window { variable, from, to } => span(*variable, Some(*from), Some(*to)),
        Value::Past { variable, to } => span(*variable, None, Some(*to)),
        Value::Future { variable, from } => span(*variable, Some(*from), None),
        Value::Expression(expressions) => Math::list(
            expressions.iter().map(|expression| from_graph(model, *expression)).collect(),
        ),
        Value::Absent => Math::Word("none".to_owned()),
    }
}

/// `s[t]`, for messages.
pub fn read_name(model: &Model, read: Read) -> String {
    let name = match read.what {
        Drawn::Variable(variable) => Math::name(variable_name(model, variable)),
        Drawn::Weights(kernel) => return format!("weights({})", model.kernel(kernel).name),
    };
    let index = |index| Math::Time(index);
    let at = match read.when {
        When::Fixed(super::term::Moment::First(k)) => Math::Number((1 + i64::from(k)).to_string()),
        When::Fixed(super::term::Moment::Last(k)) => index(Index::Last(k)),
        When::Step(k) => index(Index::Step(k)),
        When::Through(k) => Math::Span(None, Some(Box::new(index(Index::Step(k))))),
        When::From(k) => Math::Span(Some(Box::new(index(Index::Step(k)))), None),
    };
    plain(&Math::Indexed { base: Box::new(name), index: vec![at] }.at(Clock::T))
}

/// `s[t+1]`, for messages: what a factor draws first.
pub fn draw_name(model: &Model, factor: &Factor) -> String {
    let (what, when) = drawn(factor.targets[0]);
    read_name(model, Read { what, when })
}

/// An exponent as it was written; a leading minus is its sign.
fn exponent(horizon: &str, written: &ast::Expr) -> Written {
    if let Some(positive) = negated(written) {
        let binds = binds(&positive);
        let math = from_ast(horizon, &positive);
        let math = if binds < Binds::Product { Math::Round(Box::new(math)) } else { math };
        return Written { sign: Sign::Minus, math, binds: binds.max(Binds::Product) };
    }
    Written { sign: Sign::Plus, math: from_ast(horizon, written), binds: binds(written) }
}

/// What stands behind the minus with which a product begins: `a * b` of `-a * b`.
fn negated(expr: &ast::Expr) -> Option<ast::Expr> {
    match &expr.kind {
        ast::ExprKind::Unary { operator: ast::UnaryOperator::Minus, operand } => {
            Some((**operand).clone())
        }
        ast::ExprKind::Binary {
            operator: operator @ (ast::BinaryOperator::Multiply | ast::BinaryOperator::Divide),
            left,
            right,
        } => {
            let kind = ast::ExprKind::Binary {
                operator: *operator,
                left: Box::new(negated(left)?),
                right: right.clone(),
            };
            Some(ast::Expr { kind, span: expr.span })
        }
        _ => None,
    }
}

fn binds(expr: &ast::Expr) -> Binds {
    match strength(expr) {
        0..=4 => Binds::Comparison,
        5 => Binds::Sum,
        6 => Binds::Product,
        _ => Binds::Whole,
    }
}

/// An expression as it was written.
fn from_ast(horizon: &str, expr: &ast::Expr) -> Math {
    let again = |expr: &ast::Expr| from_ast(horizon, expr);
    let boxed = |expr: &ast::Expr| Box::new(from_ast(horizon, expr));
    let argument = |argument: &ast::Argument| match &argument.label {
        Some(ast::ArgumentLabel::Named(name)) => {
            Math::row([Math::Word(name.text.clone()), Math::Mark("="), again(&argument.value)])
        }
        Some(ast::ArgumentLabel::Weight(_)) | None => again(&argument.value),
    };
    let arguments =
        |arguments: &[ast::Argument]| arguments.iter().map(argument).collect::<Vec<_>>();
    if let Some(index) = time_index(horizon, expr) {
        return Math::Time(index);
    }
    match &expr.kind {
        ast::ExprKind::Number { text, .. } => Math::Number(text.clone()),
        ast::ExprKind::Text(text) => Math::Word(format!("\"{text}\"")),
        ast::ExprKind::Name(name) => Math::name(name),
        ast::ExprKind::Previous { kernel, arguments: given } => {
            let name = Math::Under(
                Box::new(Math::name(&kernel.text)),
                Box::new(Math::Word("previous".to_owned())),
            );
            Math::call(name, arguments(given))
        }
        ast::ExprKind::Unary { operator: ast::UnaryOperator::Minus, operand } => {
            Math::row([Math::Mark("−"), wrapped(horizon, operand, 8)])
        }
        ast::ExprKind::Unary { operator: ast::UnaryOperator::Not, operand } => {
            Math::row([Math::Word("not".to_owned()), Math::Mark(" "), wrapped(horizon, operand, 3)])
        }
        ast::ExprKind::Binary { operator: ast::BinaryOperator::Power, left, right } => {
            Math::Power(Box::new(wrapped(horizon, left, 9)), boxed(right))
        }
        ast::ExprKind::Binary { operator, left, right } => {
            let (own, sign) = operator_sign(*operator);
            // comparisons do not chain; a minus stands at the beginning of a term alone
            let (left_own, right_own) =
                if own == COMPARISON { (own + 1, own + 1) } else { (own, own + 1) };
            let is_minus = matches!(
                right.kind,
                ast::ExprKind::Unary { operator: ast::UnaryOperator::Minus, .. }
            );
            let right_own = if is_minus && own > COMPARISON { ATOM } else { right_own };
            Math::row([wrapped(horizon, left, left_own), sign, wrapped(horizon, right, right_own)])
        }
        ast::ExprKind::If { condition, then, otherwise } => {
            let word = |text: &str| Math::Word(text.to_owned());
            let space = || Math::Mark(" ");
            Math::Round(Box::new(Math::row([
                word("if"),
                space(),
                again(condition),
                space(),
                word("then"),
                space(),
                again(then),
                space(),
                word("else"),
                space(),
                again(otherwise),
            ])))
        }
        ast::ExprKind::Call { function, arguments: given, givens } => {
            let mut inside = arguments(given);
            if let Some(givens) = givens {
                let values = Math::list(std::mem::take(&mut inside));
                return conditional(again(function), values, arguments(givens));
            }
            Math::call(again(function), inside)
        }
        ast::ExprKind::Index { base, at } => {
            let index = at.iter().map(|at| match at {
                ast::At::One(index) => again(index),
                ast::At::Between(from, to) => Math::Span(Some(boxed(from)), Some(boxed(to))),
                ast::At::Through(to) => Math::Span(None, Some(boxed(to))),
                ast::At::From(from) => Math::Span(Some(boxed(from)), None),
            });
            Math::Indexed { base: boxed(base), index: index.collect() }
        }
        ast::ExprKind::Field { base, field } => {
            Math::row([again(base), Math::Mark("."), Math::name(&field.text)])
        }
        ast::ExprKind::Array(items) => {
            Math::Square(Box::new(Math::list(items.iter().map(again).collect())))
        }
        ast::ExprKind::Record(fields) => {
            let field = |(name, value): &(ast::Name, ast::Expr)| {
                Math::row([Math::name(&name.text), Math::Mark(": "), again(value)])
            };
            Math::Square(Box::new(Math::list(fields.iter().map(field).collect())))
        }
    }
}

/// In brackets where the operand binds less than `own`.
fn wrapped(horizon: &str, expr: &ast::Expr, own: u8) -> Math {
    let math = from_ast(horizon, expr);
    if strength(expr) < own { Math::Round(Box::new(math)) } else { math }
}

const COMPARISON: u8 = 4;
const ATOM: u8 = 9;

/// How tightly a written expression holds together.
fn strength(expr: &ast::Expr) -> u8 {
    match &expr.kind {
        ast::ExprKind::Binary { operator, .. } => operator_sign(*operator).0,
        ast::ExprKind::Unary { operator: ast::UnaryOperator::Not, .. } => 3,
        ast::ExprKind::Unary { operator: ast::UnaryOperator::Minus, .. } => 7,
        // `if` is printed in brackets
        ast::ExprKind::If { .. }
        | ast::ExprKind::Number { .. }
        | ast::ExprKind::Text(_)
        | ast::ExprKind::Name(_)
        | ast::ExprKind::Previous { .. }
        | ast::ExprKind::Call { .. }
        | ast::ExprKind::Index { .. }
        | ast::ExprKind::Field { .. }
        | ast::ExprKind::Array(_)
        | ast::ExprKind::Record(_) => ATOM,
    }
}

fn operator_sign(operator: ast::BinaryOperator) -> (u8, Math) {
    use ast::BinaryOperator as Op;
    match operator {
        Op::Or => (1, Math::Sign("or")),
        Op::And => (2, Math::Sign("and")),
        Op::Equal => (COMPARISON, Math::Sign("=")),
        Op::NotEqual => (COMPARISON, Math::Sign("≠")),
        Op::Less => (COMPARISON, Math::Sign("<")),
        Op::LessEqual => (COMPARISON, Math::Sign("≤")),
        Op::Greater => (COMPARISON, Math::Sign(">")),
        Op::GreaterEqual => (COMPARISON, Math::Sign("≥")),
        Op::Add => (5, Math::Sign("+")),
        Op::Subtract => (5, Math::Sign("−")),
        Op::Multiply => (6, Math::Mark("·")),
        Op::Divide => (6, Math::Mark("/")),
        Op::Power => (8, Math::Mark("^")),
    }
}

/// `t`, `t+2`, `T`, `T+1` as an index.
fn time_index(horizon: &str, expr: &ast::Expr) -> Option<Index> {
    let base = |expr: &ast::Expr| match &expr.kind {
        ast::ExprKind::Name(name) if name == "t" => Some(Index::Step(0)),
        ast::ExprKind::Name(name) if name == horizon => Some(Index::Last(0)),
        _ => None,
    };
    if let Some(index) = base(expr) {
        return Some(index);
    }
    let ast::ExprKind::Binary { operator, left, right } = &expr.kind else { return None };
    let ast::ExprKind::Number { value, .. } = right.kind else { return None };
    let by = match operator {
        ast::BinaryOperator::Add => value,
        ast::BinaryOperator::Subtract => -value,
        _ => return None,
    };
    if by.fract() != 0.0 || by.abs() > f64::from(i32::MAX) {
        return None;
    }
    base(left).map(|index| match index {
        Index::Step(_) => Index::Step(by as i32),
        Index::First | Index::Last(_) => Index::Last(by as i32),
    })
}

/// An expression of the graph, for distributions in place; a large one is cut short.
fn from_graph(model: &Model, expr: ExprId) -> Math {
    let mut budget = 60;
    graph_math(model, expr, &mut budget)
}

fn graph_math(model: &Model, expr: ExprId, budget: &mut u32) -> Math {
    if *budget == 0 {
        return Math::Mark("…");
    }
    *budget -= 1;
    let call =
        |name: &'static str, arguments: Vec<Math>| Math::call(Math::Operator(name), arguments);
    match model.graph.node(expr) {
        Node::Constant(bits) => number(f64::from_bits(*bits)),
        Node::Param(id) => Math::name(&model.params[id.0 as usize].name),
        Node::Time => Math::Time(Index::Step(0)),
        Node::Input(id) => match model.inputs[id.0 as usize] {
            Input::Variable { variable, component, index } => {
                let variable = model.variable(variable);
                let whole = Math::at_index(Math::name(&variable.name), index);
                match variable.domain.components[component as usize].path.as_str() {
                    "" => whole,
                    path => Math::row([whole, Math::Mark("."), Math::name(path)]),
                }
            }
            Input::Reward { environment, reward, index } => Math::at_index(
                Math::name(&model.environment(environment).rewards[reward as usize].name),
                index,
            ),
            Input::Formal { kernel, formal, .. } => Math::name(
                model
                    .kernel(kernel)
                    .formals()
                    .nth(formal as usize)
                    .map_or("", |formal| formal.name.as_str()),
            ),
            Input::Gain(gain) => {
                let gain = model.gain(gain);
                let values = gain.reads().map(|value| value_name(model, value));
                let at_most = Math::row([
                    Math::Word("at_most".to_owned()),
                    Math::Mark("="),
                    number(gain.at_most),
                ]);
                call(
                    "gain",
                    [Math::name(&model.kernel(gain.kernel).name)]
                        .into_iter()
                        .chain(values)
                        .chain([at_most])
                        .collect(),
                )
            }
        },
        Node::Unary(UnaryOp::Negate, x) => Math::row([Math::Mark("−"), grouped(model, *x, budget)]),
        Node::Unary(op, x) => call(unary_name(*op), vec![graph_math(model, *x, budget)]),
        Node::Binary(BinaryOp::Power, x, y) => Math::Power(
            Box::new(grouped(model, *x, budget)),
            Box::new(graph_math(model, *y, budget)),
        ),
        Node::Binary(op, x, y) => match binary_sign(*op) {
            Ok(sign) => Math::row([grouped(model, *x, budget), sign, grouped(model, *y, budget)]),
            Err(name) => {
                call(name, vec![graph_math(model, *x, budget), graph_math(model, *y, budget)])
            }
        },
        Node::If(c, x, y) => {
            call("if", [c, x, y].map(|id| graph_math(model, *id, budget)).to_vec())
        }
        Node::Lookup(_, index) => Math::row([
            Math::Mark("[…]"),
            Math::Square(Box::new(graph_math(model, *index, budget))),
        ]),
        Node::Choose(items, index) => {
            let items = items.iter().map(|item| graph_math(model, *item, budget)).collect();
            Math::row([
                Math::Square(Box::new(Math::list(items))),
                Math::Square(Box::new(graph_math(model, *index, budget))),
            ])
        }
    }
}

fn grouped(model: &Model, expr: ExprId, budget: &mut u32) -> Math {
    let math = graph_math(model, expr, budget);
    match model.graph.node(expr) {
        Node::Binary(op, ..) if binary_sign(*op).is_ok() => Math::Round(Box::new(math)),
        Node::Unary(UnaryOp::Negate, _) => Math::Round(Box::new(math)),
        Node::Constant(bits) if f64::from_bits(*bits) < 0.0 => Math::Round(Box::new(math)),
        _ => math,
    }
}

fn number(value: f64) -> Math {
    if value < 0.0 {
        Math::row([Math::Mark("−"), Math::Number((-value).to_string())])
    } else {
        Math::Number(value.to_string())
    }
}

fn unary_name(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Negate => "−",
        UnaryOp::Not => "not",
        UnaryOp::Abs => "abs",
        UnaryOp::Sign => "sign",
        UnaryOp::Floor => "floor",
        UnaryOp::Round => "round",
        UnaryOp::Exp => "exp",
        UnaryOp::Log => "log",
        UnaryOp::Sqrt => "sqrt",
        UnaryOp::Sin => "sin",
        UnaryOp::Cos => "cos",
        UnaryOp::Tan => "tan",
        UnaryOp::Tanh => "tanh",
        UnaryOp::Sigmoid => "sigmoid",
        UnaryOp::Softplus => "softplus",
        UnaryOp::LogGamma => "log_gamma",
        UnaryOp::Polygamma(0) => "digamma",
        UnaryOp::Polygamma(1) => "trigamma",
        UnaryOp::Polygamma(_) => "polygamma",
    }
}

/// The sign of an infix operator, or the name of one that is written as a function.
fn binary_sign(op: BinaryOp) -> Result<Math, &'static str> {
    match op {
        BinaryOp::Add => Ok(Math::Sign("+")),
        BinaryOp::Subtract => Ok(Math::Sign("−")),
        BinaryOp::Multiply => Ok(Math::Mark("·")),
        BinaryOp::Divide => Ok(Math::Mark("/")),
        BinaryOp::Equal => Ok(Math::Sign("=")),
        BinaryOp::NotEqual => Ok(Math::Sign("≠")),
        BinaryOp::Less => Ok(Math::Sign("<")),
        BinaryOp::LessEqual => Ok(Math::Sign("≤")),
        BinaryOp::And => Ok(Math::Sign("and")),
        BinaryOp::Or => Ok(Math::Sign("or")),
        BinaryOp::Power => Err("pow"),
        BinaryOp::Min => Err("min"),
        BinaryOp::Max => Err("max"),
        BinaryOp::Modulo => Err("mod"),
        BinaryOp::Atan2 => Err("atan2"),
    }
}
