//! The tree of a model file as it was written: data only, no meaning.

use crate::source::{Source, Span};
use std::fmt;

/// A whole `.rlmodel` file.
#[derive(Clone, Debug)]
pub struct File {
    pub items: Vec<Item>,
    pub comments: Vec<Comment>,
    /// The file itself, then the `.rlenv` files it names: [`Span::file`] indexes it.
    pub sources: Vec<Source>,
}

/// The body of an environment in a file of its own (`.rlenv`): `param` and `let` lines, then an
/// environment's body.
#[derive(Clone, Debug)]
pub struct EnvironmentFile {
    pub params: Vec<Param>,
    pub lets: Vec<Let>,
    pub body: Vec<EnvironmentItem>,
    pub comments: Vec<Comment>,
}

/// `# …` to the end of the line; `text` without the `#` and without white space at its end.
#[derive(Clone, Debug)]
pub struct Comment {
    pub text: String,
    pub span: Span,
}

/// An identifier, in NFC.
#[derive(Clone, Debug)]
pub struct Name {
    pub text: String,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Item {
    Model(Name),
    Param(Param),
    Let(Let),
    Horizon {
        name: Name,
        value: Expr,
        span: Span,
    },
    Environment(Environment),
    Data(Data),
    Variable(Variable),
    Net(Net),
    Kernel(Kernel),
    /// `bound NAME { … }`
    Bound {
        name: Name,
        blocks: Vec<Block>,
        span: Span,
    },
    /// A bare block: the file has one bound.
    Block(Block),
    Infer(Infer),
    Expect(Expect),
}

/// `param NAME = EXPR [in LO..HI | in [LO, HI]]`
#[derive(Clone, Debug)]
pub struct Param {
    pub name: Name,
    pub value: Expr,
    pub bounds: Option<ParamBounds>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ParamBounds {
    /// `in LO..HI`: integers
    Integers(Expr, Expr),
    /// `in [LO, HI]`: reals
    Reals(Expr, Expr),
}

/// `let NAME = EXPR` (`formals` is `None`) or `let NAME(x, y) = EXPR`.
#[derive(Clone, Debug)]
pub struct Let {
    pub name: Name,
    pub formals: Option<Vec<Name>>,
    pub value: Expr,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Environment {
    pub hidden: bool,
    pub name: Name,
    pub definition: EnvironmentDefinition,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum EnvironmentDefinition {
    /// `{ … }`
    Body(Vec<EnvironmentItem>),
    /// `from "x.rlenv" (slip = 0.1)`
    File { path: Text, settings: Vec<Setting>, included: EnvironmentFile },
    /// `= gymnasium("CartPole-v1") { … }`, `= rust("pole", length = 0.5) { … }`
    External { system: Name, arguments: Vec<Argument>, body: Vec<EnvironmentItem> },
}

#[derive(Clone, Debug)]
pub enum EnvironmentItem {
    Variable(Variable),
    /// `reward r in [-1, 0]`
    Reward {
        name: Name,
        bounds: Option<(Expr, Expr)>,
        span: Span,
    },
    Let(Let),
    /// `end when COND`
    EndWhen {
        condition: Expr,
        span: Span,
    },
    Factor(Factor),
    /// `r[t] = EXPR`
    Define {
        name: Name,
        index: Vec<At>,
        value: Expr,
        span: Span,
    },
}

/// `data NAME(a | s) from "x.csv"`
#[derive(Clone, Debug)]
pub struct Data {
    pub name: Name,
    pub head: Head,
    pub path: Text,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    State,
    Action,
    Option,
    Observation,
}

/// `state s : 0..9`
#[derive(Clone, Debug)]
pub struct Variable {
    pub role: Role,
    pub name: Name,
    pub domain: Domain,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Domain {
    pub kind: DomainKind,
    /// `where EXPR` over the fields.
    pub filter: Option<Expr>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum DomainKind {
    /// `lo..hi`, both included
    Range(Expr, Expr),
    /// `4`: short for `0..3`
    Count(Expr),
    /// `{ left, right }`
    Names(Vec<Name>),
    Bool,
    /// `real`, `real[n]`, `real in [lo, hi]`, `real[n] in [lo, hi]`
    Real {
        length: Option<Expr>,
        bounds: Option<(Expr, Expr)>,
    },
    /// `{ x: 0..7, v: real }`
    Record(Vec<(Name, Domain)>),
}

/// `net NAME(s, o) = EXPR`
#[derive(Clone, Debug)]
pub struct Net {
    pub name: Name,
    pub formals: Vec<Formal>,
    pub value: Expr,
    pub span: Span,
}

/// `kernel NAME(OUTPUTS | GIVENS) = DISTRIBUTION`
#[derive(Clone, Debug)]
pub struct Kernel {
    pub name: Name,
    pub head: Head,
    pub distribution: Expr,
    pub span: Span,
}

/// `(OUTPUTS | GIVENS)`
#[derive(Clone, Debug)]
pub struct Head {
    pub outputs: Vec<Formal>,
    pub givens: Vec<Formal>,
    pub span: Span,
}

/// `s`, `s'`, `last: o?`, `next: o[K]?`, `past: x[..]`, `end`, `t`
#[derive(Clone, Debug)]
pub struct Formal {
    /// The name it has in the kernel; `s'` keeps its prime.
    pub name: Name,
    /// The variable whose domain it takes, where it is renamed: `last: o`.
    pub variable: Option<Name>,
    pub length: Option<FormalLength>,
    /// `?`: admits `none`.
    pub optional: bool,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum FormalLength {
    /// `[2*K+1]`
    Window(Expr),
    /// `[..]`
    Sequence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockKind {
    Prior,
    Likelihood,
    Posterior,
    Auxiliary,
}

#[derive(Clone, Debug)]
pub struct Block {
    pub kind: BlockKind,
    pub factors: Vec<Factor>,
    pub span: Span,
}

/// `s[t+1], r[t] ~ world(s[t], a[t])`
#[derive(Clone, Debug)]
pub struct Factor {
    pub targets: Vec<Target>,
    pub distribution: Expr,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Target {
    /// `s[t+1]`, `end[t]`
    Variable { name: Name, index: Vec<At>, span: Span },
    /// `weights(world)`
    Weights { kernel: Name, span: Span },
}

#[derive(Clone, Debug)]
pub struct Infer {
    pub objectives: Vec<Objective>,
    pub settings: Vec<Setting>,
    pub span: Span,
}

/// `maximize BOUND over KERNEL, …`
#[derive(Clone, Debug)]
pub struct Objective {
    pub bound: Name,
    pub over: Vec<Name>,
    pub settings: Vec<Setting>,
    pub span: Span,
}

/// `key = value`, `ratio(world) = value`, `ratio(world, line.transition) = value`
#[derive(Clone, Debug)]
pub struct Setting {
    pub key: Name,
    /// What of a file it is the key of, where several things may have one: one or two of the
    /// kernels that stand in a ratio.
    pub of: Vec<Name>,
    pub value: Expr,
    pub span: Span,
}

impl Setting {
    /// Its key as `--set infer.KEY` names it.
    pub fn called(&self) -> SettingKey {
        let of = self.of.iter().map(|name| name.text.clone());
        SettingKey::new(self.key.text.clone(), of.collect())
    }
}

/// The key of a setting, whatever its spaces and the order of what it is of: `steps`,
/// `ratio(world)`, `ratio(line.transition, world)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettingKey {
    pub key: String,
    pub of: Vec<String>,
}

impl SettingKey {
    fn new(key: String, mut of: Vec<String>) -> SettingKey {
        of.sort_unstable();
        SettingKey { key, of }
    }

    /// As `--set infer.KEY` has it. A text that is no key is a key that there is not.
    pub fn read(text: &str) -> SettingKey {
        let of =
            text.split_once('(').and_then(|(key, of)| Some((key, of.trim().strip_suffix(')')?)));
        let Some((key, of)) = of else {
            return SettingKey { key: text.trim().to_owned(), of: Vec::new() };
        };
        // the two parts of an environment's kernel may have spaces between them, too
        let part = |part: &str| part.split('.').map(str::trim).collect::<Vec<_>>().join(".");
        SettingKey::new(key.trim().to_owned(), of.split(',').map(part).collect())
    }
}

impl fmt::Display for SettingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of[..] {
            [] => f.write_str(&self.key),
            _ => write!(f, "{}({})", self.key, self.of.join(", ")),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Expect {
    /// Of which bound.
    pub bound: Option<Name>,
    pub settings: Vec<Setting>,
    pub claims: Vec<Claim>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Claim {
    pub quantity: Name,
    pub relation: ClaimRelation,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ClaimRelation {
    /// `= VALUE within TOLERANCE`
    Within {
        value: Expr,
        tolerance: Expr,
    },
    AtLeast(Expr),
    AtMost(Expr),
}

/// A quoted string, without its quotes.
#[derive(Clone, Debug)]
pub struct Text {
    pub text: String,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `text` is as written (`1_000`, `1e-9`): the formatter keeps it.
    Number {
        value: f64,
        text: String,
    },
    Text(String),
    /// A name, also `true`, `false`, `t`, `none`, and `s'` with its prime.
    Name(String),
    /// `previous pi(s[t])`; without arguments where a copy is named, as in `policy = previous pi`.
    Previous {
        kernel: Name,
        arguments: Vec<Argument>,
    },
    Unary {
        operator: UnaryOperator,
        operand: Box<Expr>,
    },
    Binary {
        operator: BinaryOperator,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    If {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
    /// `f(x, n = 2, 0.1: D | givens)`; `givens` is `Some` where a bar stands.
    Call {
        function: Box<Expr>,
        arguments: Vec<Argument>,
        givens: Option<Vec<Argument>>,
    },
    Index {
        base: Box<Expr>,
        at: Vec<At>,
    },
    Field {
        base: Box<Expr>,
        field: Name,
    },
    Array(Vec<Expr>),
    Record(Vec<(Name, Expr)>),
}

#[derive(Clone, Debug)]
pub struct Argument {
    pub label: Option<ArgumentLabel>,
    pub value: Expr,
}

#[derive(Clone, Debug)]
pub enum ArgumentLabel {
    /// `logits = …`
    Named(Name),
    /// `0.9: D` in a mixture
    Weight(Box<Expr>),
}

/// What stands between the brackets of an index.
#[derive(Clone, Debug)]
pub enum At {
    One(Expr),
    /// `t-K..t+K`
    Between(Expr, Expr),
    /// `..t-1`
    Through(Expr),
    /// `t+1..`
    From(Expr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOperator {
    Minus,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOperator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
}
