//! Environments, their variables and domains.

use super::Builder;
use super::parts::{Node, Parts};
use crate::syntax::ast::{
    Domain, DomainKind, Environment, EnvironmentDefinition, EnvironmentFile, EnvironmentItem, Expr,
    Role, Variable,
};
use crate::syntax::grammar::Rule;

impl Builder<'_> {
    pub fn environment(&mut self, node: Node<'_>) -> Environment {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let hidden = parts.next_if(Rule::k_hidden).is_some();
        let name = self.name(parts.must());
        let definition = parts.must();
        let rule = definition.as_rule();
        let mut parts = Parts::of(definition);
        let definition = match rule {
            Rule::env_file => {
                let path = self.text(parts.must());
                let settings = self.settings(parts.next());
                // where it cannot be read, that is an error, and nobody meets the empty one
                let empty = EnvironmentFile {
                    params: Vec::new(),
                    lets: Vec::new(),
                    body: Vec::new(),
                    comments: Vec::new(),
                };
                let included = (self.include)(&path.text, path.span).unwrap_or(empty);
                EnvironmentDefinition::File { path, settings, included }
            }
            Rule::env_external => {
                let system = self.name(parts.must());
                let arguments = self.arguments(parts.must());
                let body = self.environment_items(Parts::of(parts.must()));
                EnvironmentDefinition::External { system, arguments, body }
            }
            _ => EnvironmentDefinition::Body(self.environment_items(parts)),
        };
        Environment { hidden, name, definition, span }
    }

    /// `rule rlenv`
    pub fn environment_file(&mut self, node: Node<'_>) -> EnvironmentFile {
        let mut file = EnvironmentFile {
            params: Vec::new(),
            lets: Vec::new(),
            body: Vec::new(),
            comments: Vec::new(),
        };
        let mut parts = Parts::of(node);
        loop {
            if let Some(param) = parts.next_if(Rule::param) {
                file.params.push(self.param(param));
            } else if let Some(let_) = parts.next_if(Rule::let_) {
                file.lets.push(self.let_(let_));
            } else {
                break;
            }
        }
        file.body = self.environment_items(parts);
        file
    }

    fn environment_items(&mut self, parts: Parts<'_>) -> Vec<EnvironmentItem> {
        parts.map(|item| self.environment_item(Parts::of(item).must())).collect()
    }

    fn environment_item(&mut self, node: Node<'_>) -> EnvironmentItem {
        let span = self.span(&node);
        match node.as_rule() {
            Rule::variable => EnvironmentItem::Variable(self.variable(node)),
            Rule::reward => {
                let mut parts = Parts::of(node);
                let name = self.name(parts.must());
                EnvironmentItem::Reward {
                    name,
                    bounds: parts.next().map(|bounds| self.two(bounds)),
                    span,
                }
            }
            Rule::let_ => EnvironmentItem::Let(self.let_(node)),
            Rule::end_when => {
                let condition = Parts::of(node).find(|part| part.as_rule() == Rule::expr);
                let condition = condition.expect("the grammar: `end when` has a condition");
                EnvironmentItem::EndWhen { condition: self.expr(condition), span }
            }
            Rule::factor => EnvironmentItem::Factor(self.factor(node)),
            Rule::define => {
                let mut parts = Parts::of(node);
                let name = self.name(parts.must());
                EnvironmentItem::Define {
                    name,
                    index: self.index(parts.must()),
                    value: self.expr(parts.must()),
                    span,
                }
            }
            rule => unreachable!("the grammar: {rule:?} does not stand in an environment"),
        }
    }

    pub fn variable(&mut self, node: Node<'_>) -> Variable {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let role = match parts.must().as_str() {
            "state" => Role::State,
            "action" => Role::Action,
            "option" => Role::Option,
            _ => Role::Observation,
        };
        Variable { role, name: self.name(parts.must()), domain: self.domain(parts.must()), span }
    }

    fn domain(&mut self, node: Node<'_>) -> Domain {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let kind = parts.must();
        let rule = kind.as_rule();
        let mut inner = Parts::of(kind);
        let kind = match rule {
            Rule::record_domain => DomainKind::Record(
                inner
                    .map(|field| {
                        let mut parts = Parts::of(field);
                        (self.name(parts.must()), self.domain(parts.must()))
                    })
                    .collect(),
            ),
            Rule::names => DomainKind::Names(self.names(inner)),
            Rule::k_bool => DomainKind::Bool,
            Rule::real => {
                let keyword = inner.must();
                debug_assert_eq!(keyword.as_rule(), Rule::k_real);
                let length = inner.next_if(Rule::expr).map(|length| self.expr(length));
                DomainKind::Real { length, bounds: inner.next().map(|bounds| self.two(bounds)) }
            }
            _ => {
                let first = self.expr(inner.must());
                match inner.next_if(Rule::dots) {
                    Some(_) => DomainKind::Range(first, self.expr(inner.must())),
                    None => DomainKind::Count(first),
                }
            }
        };
        let filter = parts.next().map(|filter| self.expr(Parts::of(filter).must()));
        Domain { kind, filter, span }
    }

    /// `0..9` or `[-1, 0]`
    pub fn two(&mut self, node: Node<'_>) -> (Expr, Expr) {
        let mut parts = Parts::of(node).filter(|part| part.as_rule() == Rule::expr);
        let mut must = || parts.next().expect("the grammar: two bounds");
        let (low, high) = (must(), must());
        (self.expr(low), self.expr(high))
    }
}
