//! What a file declares and never mentions: a name that does nothing is often a name misspelt.

use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{
    Argument, ArgumentLabel, At, Block, ClaimRelation, Domain, DomainKind, Environment,
    EnvironmentDefinition, EnvironmentItem, Expr, ExprKind, Factor, File, Formal, FormalLength,
    Item, Let, Name, Param, ParamBounds, Setting, Target,
};
use std::collections::HashSet;

/// Warnings for params, `let`s, nets, kernels and data that nothing mentions.
pub(in crate::model) fn unused(file: &File) -> Vec<Diagnostic> {
    let mut mentions = Mentions::default();
    file.items.iter().for_each(|item| mentions.item(item));
    let mut found = Vec::new();
    for item in &file.items {
        match item {
            Item::Param(param) => found.extend(mentions.missing("param", &param.name)),
            Item::Let(definition) => found.extend(mentions.missing("let", &definition.name)),
            Item::Net(net) => found.extend(mentions.missing("net", &net.name)),
            Item::Kernel(kernel) => found.extend(mentions.missing("kernel", &kernel.name)),
            Item::Data(data) => found.extend(mentions.missing("data", &data.name)),
            Item::Variable(variable) => found.extend(mentions.missing("variable", &variable.name)),
            Item::Environment(environment) => {
                found.extend(mentions.missing("environment", &environment.name))
            }
            Item::Model(_)
            | Item::Horizon { .. }
            | Item::Bound { .. }
            | Item::Block(_)
            | Item::Infer(_)
            | Item::Expect(_) => {}
        }
    }
    found
}

/// All names that some expression, factor or formal mentions.
#[derive(Default)]
struct Mentions<'a> {
    names: HashSet<&'a str>,
}

impl<'a> Mentions<'a> {
    fn missing(&self, kind: &str, name: &Name) -> Option<Diagnostic> {
        (!self.names.contains(name.text.as_str())).then(|| {
            Diagnostic::warning(
                "unused",
                name.span,
                format!("{kind} `{}` is never used", name.text),
            )
            .hint("remove it, or use it")
        })
    }

    fn item(&mut self, item: &'a Item) {
        match item {
            Item::Model(_) => {}
            Item::Param(param) => self.param(param),
            Item::Let(definition) => self.definition(definition),
            Item::Horizon { value, .. } => self.expr(value),
            Item::Environment(environment) => self.environment(environment),
            Item::Data(data) => self.formals(data.head.outputs.iter().chain(&data.head.givens)),
            Item::Variable(variable) => self.domain(&variable.domain),
            Item::Net(net) => {
                self.formals(&net.formals);
                self.expr(&net.value);
            }
            Item::Kernel(kernel) => {
                self.formals(kernel.head.outputs.iter().chain(&kernel.head.givens));
                self.expr(&kernel.distribution);
            }
            Item::Bound { blocks, .. } => blocks.iter().for_each(|block| self.block(block)),
            Item::Block(block) => self.block(block),
            Item::Infer(infer) => {
                for objective in &infer.objectives {
                    self.names.extend(objective.over.iter().map(|name| name.text.as_str()));
                }
                self.settings(&infer.settings);
            }
            Item::Expect(expect) => {
                self.settings(&expect.settings);
                for claim in &expect.claims {
                    match &claim.relation {
                        ClaimRelation::Within { value, tolerance } => {
                            self.expr(value);
                            self.expr(tolerance);
                        }
                        ClaimRelation::AtLeast(value) | ClaimRelation::AtMost(value) => {
                            self.expr(value)
                        }
                    }
                }
            }
        }
    }

    fn param(&mut self, param: &'a Param) {
        self.expr(&param.value);
        if let Some(ParamBounds::Integers(lo, hi) | ParamBounds::Reals(lo, hi)) = &param.bounds {
            self.expr(lo);
            self.expr(hi);
        }
    }

    fn definition(&mut self, definition: &'a Let) {
        self.expr(&definition.value);
    }

    fn environment(&mut self, environment: &'a Environment) {
        match &environment.definition {
            EnvironmentDefinition::Body(body) => self.body(body),
            // a file of its own sees none of this file's names
            EnvironmentDefinition::File { settings, .. } => self.settings(settings),
            EnvironmentDefinition::External { arguments, body, .. } => {
                self.arguments(arguments);
                self.body(body);
            }
        }
    }

    fn body(&mut self, body: &'a [EnvironmentItem]) {
        for item in body {
            match item {
                EnvironmentItem::Variable(variable) => self.domain(&variable.domain),
                EnvironmentItem::Reward { bounds, .. } => {
                    if let Some((lo, hi)) = bounds {
                        self.expr(lo);
                        self.expr(hi);
                    }
                }
                EnvironmentItem::Let(definition) => self.definition(definition),
                EnvironmentItem::EndWhen { condition, .. } => self.expr(condition),
                EnvironmentItem::Factor(factor) => self.factor(factor),
                EnvironmentItem::Define { index, value, .. } => {
                    self.index(index);
                    self.expr(value);
                }
            }
        }
    }

    fn domain(&mut self, domain: &'a Domain) {
        match &domain.kind {
            DomainKind::Range(lo, hi) => {
                self.expr(lo);
                self.expr(hi);
            }
            DomainKind::Count(count) => self.expr(count),
            DomainKind::Names(_) | DomainKind::Bool => {}
            DomainKind::Real { length, bounds } => {
                length.iter().for_each(|length| self.expr(length));
                if let Some((lo, hi)) = bounds {
                    self.expr(lo);
                    self.expr(hi);
                }
            }
            DomainKind::Record(fields) => fields.iter().for_each(|(_, domain)| self.domain(domain)),
        }
        domain.filter.iter().for_each(|filter| self.expr(filter));
    }

    fn formals(&mut self, formals: impl IntoIterator<Item = &'a Formal>) {
        for formal in formals {
            // `s'` and `s` take the domain of the variable `s`
            let variable = formal.variable.as_ref().unwrap_or(&formal.name);
            self.names.insert(variable.text.trim_end_matches('\''));
            if let Some(FormalLength::Window(length)) = &formal.length {
                self.expr(length);
            }
        }
    }

    fn block(&mut self, block: &'a Block) {
        block.factors.iter().for_each(|factor| self.factor(factor));
    }

    fn factor(&mut self, factor: &'a Factor) {
        for target in &factor.targets {
            match target {
                Target::Variable { name, index, .. } => {
                    self.names.insert(&name.text);
                    self.index(index);
                }
                Target::Weights { kernel, .. } => {
                    self.names.insert(&kernel.text);
                }
            }
        }
        self.expr(&factor.distribution);
    }

    fn settings(&mut self, settings: &'a [Setting]) {
        settings.iter().for_each(|setting| self.expr(&setting.value));
    }

    fn arguments(&mut self, arguments: &'a [Argument]) {
        for argument in arguments {
            if let Some(ArgumentLabel::Weight(weight)) = &argument.label {
                self.expr(weight);
            }
            self.expr(&argument.value);
        }
    }

    fn index(&mut self, index: &'a [At]) {
        for at in index {
            match at {
                At::One(a) | At::Through(a) | At::From(a) => self.expr(a),
                At::Between(a, b) => {
                    self.expr(a);
                    self.expr(b);
                }
            }
        }
    }

    fn expr(&mut self, expr: &'a Expr) {
        match &expr.kind {
            ExprKind::Number { .. } | ExprKind::Text(_) => {}
            ExprKind::Name(name) => {
                self.names.insert(name.trim_end_matches('\''));
            }
            ExprKind::Previous { kernel, arguments } => {
                self.names.insert(&kernel.text);
                self.arguments(arguments);
            }
            ExprKind::Unary { operand, .. } => self.expr(operand),
            ExprKind::Binary { left, right, .. } => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::If { condition, then, otherwise } => {
                self.expr(condition);
                self.expr(then);
                self.expr(otherwise);
            }
            ExprKind::Call { function, arguments, givens } => {
                self.expr(function);
                self.arguments(arguments);
                givens.iter().for_each(|givens| self.arguments(givens));
            }
            ExprKind::Index { base, at } => {
                self.expr(base);
                self.index(at);
            }
            ExprKind::Field { base, .. } => self.expr(base),
            ExprKind::Array(items) => items.iter().for_each(|item| self.expr(item)),
            ExprKind::Record(fields) => fields.iter().for_each(|(_, value)| self.expr(value)),
        }
    }
}
