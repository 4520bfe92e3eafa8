//! Each kind of statement as a row and, perhaps, statements in braces after it.

use super::comments::Margin;
use super::expressions::{Doc, Expressions};
use super::rows::{Family, Row, WIDTH};
use crate::source::Span;
use crate::syntax::ast::{
    Block, BlockKind, Claim, ClaimRelation, Environment, EnvironmentDefinition, EnvironmentItem,
    Expect, Expr, Factor, Infer, Item, Let, Objective, Param, ParamBounds, Role, Setting, Target,
    Variable,
};
use pretty::{Arena, DocAllocator};

/// Any statement, so that all lists of statements are laid out in one way.
#[derive(Clone, Copy)]
pub enum Statement<'t> {
    Item(&'t Item),
    Param(&'t Param),
    Let(&'t Let),
    EnvironmentItem(&'t EnvironmentItem),
    Factor(&'t Factor),
    Block(&'t Block),
    Objective(&'t Objective),
    Setting(&'t Setting),
    Claim(&'t Claim),
}

pub struct Parts<'t> {
    /// Without its braces.
    pub row: Row,
    pub body: Option<Body<'t>>,
}

pub struct Body<'t> {
    pub statements: Vec<Statement<'t>>,
    /// Where the words before `{` end.
    pub header_end: u32,
}

impl Statement<'_> {
    pub fn span(self) -> Span {
        match self {
            Statement::Item(item) => match item {
                // a name alone: `model` stands before it
                Item::Model(name) => Span { start: name.span.start, ..name.span },
                Item::Param(param) => param.span,
                Item::Let(let_) => let_.span,
                Item::Horizon { span, .. } | Item::Bound { span, .. } => *span,
                Item::Environment(environment) => environment.span,
                Item::Data(data) => data.span,
                Item::Variable(variable) => variable.span,
                Item::Net(net) => net.span,
                Item::Kernel(kernel) => kernel.span,
                Item::Block(block) => block.span,
                Item::Infer(infer) => infer.span,
                Item::Expect(expect) => expect.span,
            },
            Statement::Param(param) => param.span,
            Statement::Let(let_) => let_.span,
            Statement::EnvironmentItem(item) => match item {
                EnvironmentItem::Variable(variable) => variable.span,
                EnvironmentItem::Let(let_) => let_.span,
                EnvironmentItem::Factor(factor) => factor.span,
                EnvironmentItem::Reward { span, .. }
                | EnvironmentItem::EndWhen { span, .. }
                | EnvironmentItem::Define { span, .. } => *span,
            },
            Statement::Factor(factor) => factor.span,
            Statement::Block(block) => block.span,
            Statement::Objective(objective) => objective.span,
            Statement::Setting(setting) => setting.span,
            Statement::Claim(claim) => claim.span,
        }
    }
}

/// What the layout of one statement depends on.
#[derive(Clone, Copy)]
pub struct Statements<'a, 'm> {
    pub arena: &'a Arena<'a>,
    pub margin: &'m Margin<'m>,
    pub indent: usize,
}

impl<'a> Statements<'a, '_> {
    pub fn parts<'t>(self, statement: Statement<'t>) -> Parts<'t> {
        match statement {
            Statement::Item(item) => self.item(item),
            Statement::Param(param) => self.param(param),
            Statement::Let(let_) => self.let_(let_),
            Statement::EnvironmentItem(item) => self.environment_item(item),
            Statement::Factor(factor) => self.factor(factor),
            Statement::Block(block) => self.block(block),
            Statement::Objective(objective) => {
                let over = objective
                    .over
                    .iter()
                    .map(|name| name.text.as_str())
                    .collect::<Vec<_>>()
                    .join(", ");
                let line = format!("maximize {} over {over}", objective.bound.text);
                match objective.settings.last() {
                    None => self.alone(line),
                    Some(last) => {
                        let settings =
                            self.expressions().settings(&objective.settings, last.span.end);
                        self.row(Family::Alone, vec![line], "", settings)
                    }
                }
            }
            Statement::Setting(setting) => {
                let sides: Vec<&str> = setting.of.iter().map(|name| name.text.as_str()).collect();
                let key = match sides[..] {
                    [] => setting.key.text.clone(),
                    _ => format!("{}({})", setting.key.text, sides.join(", ")),
                };
                self.row(Family::Setting, vec![key], "=", self.expr(&setting.value))
            }
            Statement::Claim(claim) => self.claim(claim),
        }
    }

    fn item<'t>(self, item: &'t Item) -> Parts<'t> {
        match item {
            Item::Model(name) => self.alone(format!("model {}", name.text)),
            Item::Param(param) => self.param(param),
            Item::Let(let_) => self.let_(let_),
            Item::Horizon { name, value, .. } => self.row(
                Family::Alone,
                vec![format!("horizon {}", name.text)],
                "=",
                self.expr(value),
            ),
            Item::Environment(environment) => self.environment(environment),
            Item::Data(data) => self.alone(format!(
                "data {}{} from \"{}\"",
                data.name.text,
                self.expressions().head(&data.head),
                data.path.text
            )),
            Item::Variable(variable) => self.variable(variable),
            Item::Net(net) => {
                let head =
                    format!("{}({})", net.name.text, self.expressions().formals(&net.formals));
                self.row(Family::Kernel, vec!["net".to_owned(), head], "=", self.expr(&net.value))
            }
            Item::Kernel(kernel) => {
                let head = format!("{}{}", kernel.name.text, self.expressions().head(&kernel.head));
                self.row(
                    Family::Kernel,
                    vec!["kernel".to_owned(), head],
                    "=",
                    self.expr(&kernel.distribution),
                )
            }
            Item::Bound { name, blocks, .. } => self.braces(
                Family::Bound,
                format!("bound {}", name.text),
                blocks.iter().map(Statement::Block),
                name.span.end,
            ),
            Item::Block(block) => self.block(block),
            Item::Infer(infer) => self.infer(infer),
            Item::Expect(expect) => self.expect(expect),
        }
    }

    fn param<'t>(self, param: &'t Param) -> Parts<'t> {
        let value = self.expr(&param.value);
        let value = match &param.bounds {
            None => value,
            Some(ParamBounds::Integers(low, high)) => {
                value.append(" in ").append(self.expressions().range(low, high))
            }
            Some(ParamBounds::Reals(low, high)) => {
                value.append(" in ").append(self.expressions().interval(low, high))
            }
        };
        self.row(Family::Param, vec![format!("param {}", param.name.text)], "=", value)
    }

    fn let_<'t>(self, let_: &'t Let) -> Parts<'t> {
        let formals = let_.formals.as_ref().map(|formals| {
            format!(
                "({})",
                formals.iter().map(|name| name.text.as_str()).collect::<Vec<_>>().join(", ")
            )
        });
        let head = format!("let {}{}", let_.name.text, formals.unwrap_or_default());
        let family = if let_.formals.is_some() { Family::Function } else { Family::Let };
        self.row(family, vec![head], "=", self.expr(&let_.value))
    }

    fn environment<'t>(self, environment: &'t Environment) -> Parts<'t> {
        let hidden = if environment.hidden { "hidden " } else { "" };
        let head = format!("{hidden}environment {}", environment.name.text);
        match &environment.definition {
            EnvironmentDefinition::Body(items) => self.braces(
                Family::Alone,
                head,
                items.iter().map(Statement::EnvironmentItem),
                environment.name.span.end,
            ),
            EnvironmentDefinition::File { path, settings, .. } => {
                let from = self.arena.text(format!("from \"{}\"", path.text));
                let from = match settings.is_empty() {
                    true => from,
                    false => from
                        .append(" ")
                        .append(self.expressions().settings(settings, environment.span.end)),
                };
                self.row(Family::Alone, vec![head], "", from)
            }
            EnvironmentDefinition::External { system, arguments, body } => {
                let call = self
                    .arena
                    .text(system.text.clone())
                    .append(self.expressions().arguments_of(arguments));
                let Parts { row, .. } = self.row(Family::Alone, vec![head], "=", call);
                let header_end =
                    arguments.last().map_or(system.span.end, |last| last.value.span.end);
                Parts {
                    row,
                    body: Some(Body {
                        statements: body.iter().map(Statement::EnvironmentItem).collect(),
                        header_end,
                    }),
                }
            }
        }
    }

    fn environment_item<'t>(self, item: &'t EnvironmentItem) -> Parts<'t> {
        match item {
            EnvironmentItem::Variable(variable) => self.variable(variable),
            EnvironmentItem::Reward { name, bounds, .. } => {
                let cells = vec!["reward".to_owned(), name.text.clone()];
                match bounds {
                    None => self.row(Family::Variable, cells, "", self.arena.nil()),
                    Some((low, high)) => self.row(
                        Family::Variable,
                        cells,
                        "in",
                        self.expressions().interval(low, high),
                    ),
                }
            }
            EnvironmentItem::Let(let_) => self.let_(let_),
            EnvironmentItem::EndWhen { condition, .. } => {
                self.row(Family::Alone, vec!["end when".to_owned()], "", self.expr(condition))
            }
            EnvironmentItem::Factor(factor) => self.factor(factor),
            EnvironmentItem::Define { name, index, value, .. } => {
                let head =
                    format!("{}{}", name.text, self.expressions().index(index).pretty(usize::MAX));
                self.row(Family::Factor, vec![head], "=", self.expr(value))
            }
        }
    }

    fn variable<'t>(self, variable: &'t Variable) -> Parts<'t> {
        let role = match variable.role {
            Role::State => "state",
            Role::Action => "action",
            Role::Option => "option",
            Role::Observation => "observation",
        };
        let cells = vec![role.to_owned(), variable.name.text.clone()];
        self.row(Family::Variable, cells, ":", self.expressions().domain(&variable.domain))
    }

    fn factor<'t>(self, factor: &'t Factor) -> Parts<'t> {
        let target = |target: &Target| match target {
            Target::Variable { name, index, .. } => {
                format!("{}{}", name.text, self.expressions().index(index).pretty(usize::MAX))
            }
            Target::Weights { kernel, .. } => format!("weights({})", kernel.text),
        };
        let targets = factor.targets.iter().map(target).collect::<Vec<_>>().join(", ");
        self.row(Family::Factor, vec![targets], "~", self.expr(&factor.distribution))
    }

    fn block<'t>(self, block: &'t Block) -> Parts<'t> {
        let word = match block.kind {
            BlockKind::Prior => "prior",
            BlockKind::Likelihood => "likelihood",
            BlockKind::Posterior => "posterior",
            BlockKind::Auxiliary => "auxiliary",
        };
        let header_end = block.span.start + word.len() as u32;
        self.braces(
            Family::Block,
            word.to_owned(),
            block.factors.iter().map(Statement::Factor),
            header_end,
        )
    }

    fn infer<'t>(self, infer: &'t Infer) -> Parts<'t> {
        let objectives = infer.objectives.iter().map(Statement::Objective);
        let mut lines: Vec<Statement<'t>> =
            objectives.chain(infer.settings.iter().map(Statement::Setting)).collect();
        lines.sort_by_key(|line| line.span().start);
        self.braces(
            Family::Alone,
            "infer".to_owned(),
            lines.into_iter(),
            infer.span.start + "infer".len() as u32,
        )
    }

    fn expect<'t>(self, expect: &'t Expect) -> Parts<'t> {
        let claims = expect.claims.iter().map(Statement::Claim);
        let (head, head_end) = match &expect.bound {
            Some(bound) => (format!("expect {}", bound.text), bound.span.end),
            None => ("expect".to_owned(), expect.span.start + "expect".len() as u32),
        };
        let Some(last) = expect.settings.last() else {
            return self.braces(Family::Alone, head, claims, head_end);
        };
        let Parts { row, .. } = self.row(
            Family::Alone,
            vec![head],
            "",
            self.expressions().settings(&expect.settings, last.span.end),
        );
        Parts { row, body: Some(Body { statements: claims.collect(), header_end: last.span.end }) }
    }

    fn claim<'t>(self, claim: &'t Claim) -> Parts<'t> {
        let (operator, value) = match &claim.relation {
            ClaimRelation::AtLeast(value) => (">=", self.expr(value)),
            ClaimRelation::AtMost(value) => ("<=", self.expr(value)),
            ClaimRelation::Within { value, tolerance } => {
                ("=", self.expr(value).append(" within ").append(self.expr(tolerance)))
            }
        };
        self.row(Family::Claim, vec![claim.quantity.text.clone()], operator, value)
    }

    fn expressions(&self) -> Expressions<'a, '_> {
        Expressions { arena: self.arena, margin: self.margin }
    }

    fn expr(self, expr: &Expr) -> Doc<'a> {
        Expressions { arena: self.arena, margin: self.margin }.expr(expr)
    }

    fn alone<'t>(self, body: String) -> Parts<'t> {
        Parts { row: Row::alone(self.indent, body), body: None }
    }

    /// A row whose value breaks where the line would be too long.
    fn row<'t>(
        self,
        family: Family,
        cells: Vec<String>,
        operator: &'static str,
        value: Doc<'a>,
    ) -> Parts<'t> {
        let mut row = Row { family, cells, operator, ..Row::alone(self.indent, "") };
        let head = row.plain() + " ";
        let line = self
            .arena
            .text(head.clone())
            .append(value)
            .pretty(WIDTH - self.indent.min(WIDTH / 2))
            .to_string();
        row.body = line[head.len()..].replace('\n', &format!("\n{}", " ".repeat(self.indent)));
        Parts { row, body: None }
    }

    fn braces<'t>(
        self,
        family: Family,
        head: String,
        statements: impl Iterator<Item = Statement<'t>>,
        header_end: u32,
    ) -> Parts<'t> {
        let row = Row { family, cells: vec![head], ..Row::alone(self.indent, "") };
        Parts { row, body: Some(Body { statements: statements.collect(), header_end }) }
    }
}
