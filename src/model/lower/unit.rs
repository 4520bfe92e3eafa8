//! Units and their names: a unit is a text with names of its own, the file, an environment's body,
//! an `.rlenv` file.

use super::value::{NamesId, Value};
use crate::model::{DataId, EnvironmentId, KernelId, VariableId};
use crate::source::Span;
use crate::syntax::ast;
use indexmap::IndexMap;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnitId(pub usize);

/// The model file's own names.
pub const FILE: UnitId = UnitId(0);

#[derive(Debug, Default)]
pub struct Unit<'a> {
    pub parent: Option<UnitId>,
    pub definitions: IndexMap<String, Definition<'a>>,
    /// Names of values, with the lists that have them.
    pub enumerators: HashMap<String, Vec<(NamesId, usize)>>,
}

#[derive(Debug)]
pub struct Definition<'a> {
    pub span: Span,
    pub meaning: Meaning<'a>,
    pub state: State,
}

#[derive(Clone, Copy, Debug)]
pub enum Meaning<'a> {
    Param(&'a ast::Param, Given<'a>),
    Let(&'a ast::Let),
    Horizon(&'a ast::Expr),
    Variable(VariableId),
    Reward(EnvironmentId, u32),
    Environment(EnvironmentId),
    Kernel(KernelId),
    Net(&'a ast::Net),
    Data(DataId),
    Bound,
    /// Declared twice, or with a name that cannot be declared: this has been told, and uses of the
    /// name raise nothing further.
    Mistake,
}

/// Where a param's value comes from.
#[derive(Clone, Copy, Debug)]
pub enum Given<'a> {
    /// The line that declares it.
    Written,
    /// `(slip = 0.1)` after an `.rlenv` file.
    Here(&'a ast::Expr),
    /// `--set`
    Override(&'a ast::Expr),
}

/// How far a definition is lowered; names may be used before the line that defines them.
#[derive(Clone, Debug)]
pub enum State {
    Untouched,
    Working,
    Done(Value),
}
