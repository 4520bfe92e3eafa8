//! The items of a file.

use super::expressions::unquoted;
use super::parts::{Node, Parts};
use super::{Builder, nfc};
use crate::syntax::ast::{
    Block, BlockKind, Claim, ClaimRelation, Data, Expect, Factor, Formal, FormalLength, Head,
    Infer, Item, Kernel, Let, Name, Net, Objective, Param, ParamBounds, Setting, Target, Text,
};
use crate::syntax::grammar::Rule;

impl Builder<'_> {
    /// The items of `rule file`.
    pub fn items(&mut self, node: Node<'_>) -> Vec<Item> {
        Parts::of(node).map(|item| self.item(Parts::of(item).must())).collect()
    }

    fn item(&mut self, node: Node<'_>) -> Item {
        match node.as_rule() {
            Rule::model => Item::Model(self.name(Parts::of(node).must())),
            Rule::param => Item::Param(self.param(node)),
            Rule::let_ => Item::Let(self.let_(node)),
            Rule::horizon => {
                let span = self.span(&node);
                let mut parts = Parts::of(node);
                Item::Horizon {
                    name: self.name(parts.must()),
                    value: self.expr(parts.must()),
                    span,
                }
            }
            Rule::environment => Item::Environment(self.environment(node)),
            Rule::data => Item::Data(self.data(node)),
            Rule::variable => Item::Variable(self.variable(node)),
            Rule::net => Item::Net(self.net(node)),
            Rule::kernel => Item::Kernel(self.kernel(node)),
            Rule::bound => {
                let span = self.span(&node);
                let mut parts = Parts::of(node);
                let name = self.name(parts.must());
                Item::Bound { name, blocks: parts.map(|block| self.block(block)).collect(), span }
            }
            Rule::block => Item::Block(self.block(node)),
            Rule::infer => Item::Infer(self.infer(node)),
            Rule::expect => Item::Expect(self.expect(node)),
            rule => unreachable!("the grammar: {rule:?} is no item"),
        }
    }

    pub fn param(&mut self, node: Node<'_>) -> Param {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let name = self.name(parts.must());
        let value = self.expr(parts.must());
        let bounds = parts.next().map(|bounds| {
            let integers = bounds.as_rule() == Rule::range;
            let (low, high) = self.two(bounds);
            if integers { ParamBounds::Integers(low, high) } else { ParamBounds::Reals(low, high) }
        });
        Param { name, value, bounds, span }
    }

    pub fn let_(&mut self, node: Node<'_>) -> Let {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let name = self.name(parts.must());
        let formals = parts.next_if(Rule::parameters).map(|names| self.names(Parts::of(names)));
        Let { name, formals, value: self.expr(parts.must()), span }
    }

    fn data(&mut self, node: Node<'_>) -> Data {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        Data {
            name: self.name(parts.must()),
            head: self.head(parts.must()),
            path: self.text(parts.must()),
            span,
        }
    }

    fn net(&mut self, node: Node<'_>) -> Net {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let name = self.name(parts.must());
        let formals =
            parts.next_if(Rule::formals).map(|formals| self.formals(formals)).unwrap_or_default();
        Net { name, formals, value: self.expr(parts.must()), span }
    }

    fn kernel(&mut self, node: Node<'_>) -> Kernel {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        Kernel {
            name: self.name(parts.must()),
            head: self.head(parts.must()),
            distribution: self.expr(parts.must()),
            span,
        }
    }

    fn head(&mut self, node: Node<'_>) -> Head {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let outputs = self.formals(parts.must());
        let givens =
            parts.next_if(Rule::bar).map(|_| self.formals(parts.must())).unwrap_or_default();
        Head { outputs, givens, span }
    }

    fn formals(&mut self, node: Node<'_>) -> Vec<Formal> {
        Parts::of(node).map(|formal| self.formal(formal)).collect()
    }

    fn formal(&mut self, node: Node<'_>) -> Formal {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let name = self.name(parts.must());
        let variable = parts.next_if(Rule::name).map(|name| self.name(name));
        let length = parts.next_if(Rule::length).map(|length| {
            let mut parts = Parts::of(length);
            match parts.next_if(Rule::dots) {
                Some(_) => FormalLength::Sequence,
                None => FormalLength::Window(self.expr(parts.must())),
            }
        });
        Formal { name, variable, length, optional: parts.next_if(Rule::optional).is_some(), span }
    }

    fn block(&mut self, node: Node<'_>) -> Block {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let kind = match parts.must().as_str() {
            "prior" => BlockKind::Prior,
            "likelihood" => BlockKind::Likelihood,
            "posterior" => BlockKind::Posterior,
            _ => BlockKind::Auxiliary,
        };
        Block { kind, factors: parts.map(|factor| self.factor(factor)).collect(), span }
    }

    pub fn factor(&mut self, node: Node<'_>) -> Factor {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let mut targets = Vec::new();
        while let Some(target) = parts.next_if(Rule::target) {
            targets.push(self.target(target));
        }
        Factor { targets, distribution: self.expr(parts.must()), span }
    }

    fn target(&mut self, node: Node<'_>) -> Target {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        match parts.next_if(Rule::weights) {
            Some(weights) => Target::Weights { kernel: self.name(Parts::of(weights).must()), span },
            None => Target::Variable {
                name: self.name(parts.must()),
                index: self.index(parts.must()),
                span,
            },
        }
    }

    fn infer(&mut self, node: Node<'_>) -> Infer {
        let span = self.span(&node);
        let (mut objectives, mut settings) = (Vec::new(), Vec::new());
        for part in Parts::of(node) {
            match part.as_rule() {
                Rule::maximize => {
                    let span = self.span(&part);
                    let mut parts = Parts::of(part);
                    let (bound, mut over) = (self.name(parts.must()), Vec::new());
                    while let Some(name) = parts.next_if(Rule::name) {
                        over.push(self.name(name));
                    }
                    let settings = parts.next_if(Rule::settings);
                    objectives.push(Objective {
                        bound,
                        over,
                        settings: self.settings(settings),
                        span,
                    });
                }
                _ => settings.push(self.setting(part)),
            }
        }
        Infer { objectives, settings, span }
    }

    pub fn setting(&mut self, node: Node<'_>) -> Setting {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let key = self.name(parts.must());
        let mut of = Vec::new();
        while let Some(side) = parts.next_if(Rule::side) {
            of.push(self.side(side));
        }
        Setting { key, of, value: self.setting_value(parts.must()), span }
    }

    /// `world`, `line.transition`
    fn side(&mut self, node: Node<'_>) -> Name {
        let span = self.span(&node);
        let names: Vec<String> = Parts::of(node).map(|part| self.name(part).text).collect();
        Name { text: names.join("."), span }
    }

    pub fn settings(&mut self, node: Option<Node<'_>>) -> Vec<Setting> {
        node.map(|node| Parts::of(node).map(|setting| self.setting(setting)).collect())
            .unwrap_or_default()
    }

    fn expect(&mut self, node: Node<'_>) -> Expect {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let bound = parts.next_if(Rule::name).map(|name| self.name(name));
        let settings = parts.next_if(Rule::settings);
        Expect {
            bound,
            settings: self.settings(settings),
            claims: parts.map(|claim| self.claim(claim)).collect(),
            span,
        }
    }

    fn claim(&mut self, node: Node<'_>) -> Claim {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let quantity = self.name(parts.must());
        let relation = if parts.next_if(Rule::at_least).is_some() {
            ClaimRelation::AtLeast(self.expr(parts.must()))
        } else if parts.next_if(Rule::at_most).is_some() {
            ClaimRelation::AtMost(self.expr(parts.must()))
        } else {
            ClaimRelation::Within {
                value: self.expr(parts.must()),
                tolerance: self.expr(parts.must()),
            }
        };
        Claim { quantity, relation, span }
    }

    pub fn names(&mut self, parts: Parts<'_>) -> Vec<Name> {
        parts.map(|name| self.name(name)).collect()
    }

    pub fn text(&mut self, node: Node<'_>) -> Text {
        Text { text: nfc(unquoted(node.as_str())), span: self.span(&node) }
    }
}
