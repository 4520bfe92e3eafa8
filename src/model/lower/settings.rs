//! `infer` and `expect`: values only; what the keys mean is the plan's business.

use super::constants::show_number;
use super::distributions::Want;
use super::functions;
use super::net_scope::NetScope;
use super::params::place_of_set;
use super::scope::Scope;
use super::unit::{FILE, Meaning};
use super::{FormalSlot, KernelSlot, Lowering};
use crate::diagnostic::Diagnostic;
use crate::model::{
    BoundId, Claim, ClaimRelation, Distribution, Expectation, Formal, FormalLength, FormalVariable,
    Index, KernelId, Objective, Overrides, QUANTITIES, Setting, SettingOf, SettingValue, Value,
};
use crate::source::Span;
use crate::syntax::ast::{self, ArgumentLabel, BinaryOperator, ExprKind, SettingKey};

impl<'a> Lowering<'a> {
    pub fn lower_settings(&mut self) {
        let file = self.file;
        let mut first: Option<Span> = None;
        let mut objectives = Vec::new();
        let mut settings: Vec<&'a ast::Setting> = Vec::new();
        let mut nothing = true;
        for item in &file.items {
            let ast::Item::Infer(infer) = item else { continue };
            if let Some(first) = first {
                self.report(
                    Diagnostic::error("duplicate-name", infer.span, "a file has one `infer`")
                        .also(first, "the first is here"),
                );
            }
            first = first.or(Some(infer.span));
            for objective in &infer.objectives {
                nothing = false;
                objectives.extend(self.objective(objective));
            }
            for setting in &infer.settings {
                match settings.iter().find(|first| first.called() == setting.called()) {
                    Some(first) => {
                        let text = setting.called().to_string();
                        let name = ast::Name { text, ..setting.key.clone() };
                        self.duplicate(&name, first.key.span);
                    }
                    None => settings.push(setting),
                }
            }
        }
        if nothing {
            self.default_objective(first);
        } else {
            self.objectives = objectives;
        }
        let overrides = self.overrides.settings.iter();
        let overrides: Vec<(SettingKey, &'a ast::Expr)> =
            overrides.map(|(key, value)| (SettingKey::read(key), value)).collect();
        for setting in settings {
            let called = setting.called();
            if overrides.iter().any(|(key, _)| *key == called) {
                continue;
            }
            let setting = self.setting(&called, &setting.value, setting.span);
            self.settings.extend(setting);
        }
        for (at, (key, value)) in overrides.iter().enumerate() {
            if overrides[at + 1..].iter().any(|(later, _)| later == key) {
                continue;
            }
            // with the key, which stands before the value
            let place = place_of_set(value)
                .map_or(first.unwrap_or_default(), |span| Span { start: 0, ..span });
            let setting = self.setting(key, value, place);
            self.settings.extend(setting);
        }
    }

    /// Without `maximize` a file's one bound is maximised over all its kernels.
    fn default_objective(&mut self, infer: Option<Span>) {
        if self.bounds.len() > 1 {
            let told = Diagnostic::error(
                "objective",
                infer.unwrap_or_default(),
                "the file has several bounds and does not say how to maximise them",
            );
            self.report(
                told.hint("write `maximize BOUND over KERNEL` in `infer`, a line for each"),
            );
        } else if let [bound] = self.bounds.as_slice() {
            let over = (0..self.kernels.len() as u32)
                .map(KernelId)
                .filter(|id| self.kernel_slot(*id).written.is_some())
                .collect();
            self.objectives =
                vec![Objective { bound: BoundId(0), over, settings: Vec::new(), span: bound.span }];
        }
    }

    fn objective(&mut self, written: &'a ast::Objective) -> Option<Objective> {
        let bound = self.bound_named(
            &written.bound,
            "leave the line out, or name the bound: `bound NAME { … }`",
        );
        let mut settings: Vec<Setting> = Vec::with_capacity(written.settings.len());
        for (at, setting) in written.settings.iter().enumerate() {
            match written.settings[..at].iter().find(|first| first.key.text == setting.key.text) {
                Some(first) => self.duplicate(&setting.key, first.key.span),
                None => {
                    settings.extend(self.setting(&setting.called(), &setting.value, setting.span))
                }
            }
        }
        let mut over = Vec::with_capacity(written.over.len());
        for (at, kernel) in written.over.iter().enumerate() {
            if let Some(first) = written.over[..at].iter().find(|first| first.text == kernel.text) {
                let told = Diagnostic::error(
                    "duplicate-name",
                    kernel.span,
                    format!("`{}` stands twice after `over`", kernel.text),
                );
                self.report(
                    told.also(first.span, "the first is here").hint("remove one of the two"),
                );
                continue;
            }
            over.push(match self.meaning(FILE, &kernel.text) {
                Some(Meaning::Kernel(id)) => Some(id),
                Some(Meaning::Mistake) => None,
                Some(_) => {
                    self.error(
                        "objective",
                        kernel.span,
                        format!("`{}` is no kernel: it has no parameters to move", kernel.text),
                    );
                    None
                }
                None => {
                    let known: Vec<String> =
                        self.kernels.iter().map(|slot| slot.name.clone()).collect();
                    self.unknown(&kernel.text, kernel.span, "kernel", &known);
                    None
                }
            });
        }
        let over = over.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Objective { bound: bound?, over, settings, span: written.span })
    }

    fn bound_named(&mut self, name: &ast::Name, hint: &str) -> Option<BoundId> {
        let found = self.bounds.iter().position(|bound| bound.name.as_deref() == Some(&name.text));
        if found.is_none() {
            let known: Vec<String> =
                self.bounds.iter().filter_map(|bound| bound.name.clone()).collect();
            if known.is_empty() {
                let told = Diagnostic::error(
                    "objective",
                    name.span,
                    "the file has one bound, without a name, and maximises it",
                );
                self.report(told.hint(hint));
            } else {
                self.unknown(&name.text, name.span, "bound", &known);
            }
        }
        found.map(|at| BoundId(at as u32))
    }

    /// `None` also for `KEY = default`, which says what the absence of the key says.
    fn setting(&mut self, called: &SettingKey, value: &ast::Expr, span: Span) -> Option<Setting> {
        if matches!(&value.kind, ExprKind::Name(name)
            if name == "default" && self.meaning(FILE, name).is_none())
        {
            return None;
        }
        let of: Vec<Option<SettingOf>> =
            called.of.iter().map(|name| self.object(name, span)).collect();
        let of = of.into_iter().collect::<Option<Vec<_>>>()?;
        let lowered = if self.has_network(value) {
            self.network_setting(called, value)
        } else {
            self.setting_value(value)
        };
        let (key, written) = (called.key.clone(), value.clone());
        Some(Setting { key, of, value: lowered?, written, span })
    }

    /// What a key is the key of.
    fn object(&mut self, name: &str, span: Span) -> Option<SettingOf> {
        if let Some((environment, part)) = name.split_once('.') {
            let Some(Meaning::Environment(id)) = self.meaning(FILE, environment) else {
                let known: Vec<String> =
                    self.environments.iter().map(|slot| slot.name.clone()).collect();
                self.unknown(environment, span, "environment", &known);
                return None;
            };
            let part = self.environment_kernel(id, &ast::Name { text: part.to_owned(), span })?;
            return Some(SettingOf::Environment(id, part));
        }
        match self.meaning(FILE, name) {
            Some(Meaning::Kernel(id)) => Some(SettingOf::Kernel(id)),
            Some(Meaning::Data(id)) => Some(SettingOf::Data(id)),
            Some(Meaning::Mistake) => None,
            Some(_) => {
                let told = format!("`{name}` is neither a kernel nor recorded `data`");
                let told = Diagnostic::error("bad-setting", span, told);
                self.report(
                    told.hint("name one of the two kernels that stand in the ratio, or both"),
                );
                None
            }
            None => {
                let mut known = self.kernel_names();
                known.retain(|name| !name.contains('.'));
                self.unknown(name, span, "kernel", &known);
                None
            }
        }
    }

    fn has_network(&self, expr: &ast::Expr) -> bool {
        let net = NetScope::new(KernelId(0), Scope::of(FILE), Vec::new(), "");
        self.is_network(expr, &net)
    }

    /// A value of a key: a number, a word, a call with named arguments.
    pub fn setting_value(&mut self, expr: &ast::Expr) -> Option<SettingValue> {
        let scope = Scope::of(FILE);
        match &expr.kind {
            ExprKind::Text(text) => Some(SettingValue::Text(text.clone())),
            ExprKind::Name(name) if name == "true" || name == "false" => {
                Some(SettingValue::Truth(name == "true"))
            }
            ExprKind::Name(name) => match self.meaning(FILE, name) {
                Some(Meaning::Param(..) | Meaning::Let(_) | Meaning::Horizon(_)) => {
                    self.constant(expr, &scope, "a setting").map(SettingValue::Number)
                }
                Some(
                    Meaning::Variable(_)
                    | Meaning::Reward(..)
                    | Meaning::Environment(_)
                    | Meaning::Kernel(_)
                    | Meaning::Net(_)
                    | Meaning::Data(_)
                    | Meaning::Bound
                    | Meaning::Mistake,
                )
                | None => Some(SettingValue::Word(name.clone())),
            },
            ExprKind::Call { function, arguments, givens: None } => {
                let ExprKind::Name(name) = &function.kind else {
                    self.error("type", function.span, "this cannot be called");
                    return None;
                };
                if functions::function(name).is_some()
                    || matches!(self.meaning(FILE, name), Some(Meaning::Let(_)))
                {
                    return self.constant(expr, &scope, "a setting").map(SettingValue::Number);
                }
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    let label = match &argument.label {
                        None => None,
                        Some(ArgumentLabel::Named(key)) => Some(key.text.clone()),
                        Some(ArgumentLabel::Weight(weight)) => {
                            self.error("argument", weight.span, "a setting has no weights");
                            return None;
                        }
                    };
                    values.push(self.setting_value(&argument.value).map(|value| (label, value)));
                }
                let arguments = values.into_iter().collect::<Option<Vec<_>>>()?;
                Some(SettingValue::Call { function: name.clone(), arguments })
            }
            ExprKind::Binary {
                operator: operator @ (BinaryOperator::GreaterEqual | BinaryOperator::LessEqual),
                left,
                right,
            } => {
                let ExprKind::Name(quantity) = &left.kind else {
                    let told = Diagnostic::error(
                        "type",
                        left.span,
                        "a threshold begins with the name of a quantity",
                    );
                    self.report(told.hint("for example `until = expected_return >= 475`"));
                    return None;
                };
                let value = self.constant(right, &scope, "a threshold")?;
                Some(SettingValue::Threshold {
                    quantity: quantity.clone(),
                    at_least: *operator == BinaryOperator::GreaterEqual,
                    value,
                })
            }
            ExprKind::Array(items) => {
                let items: Vec<Option<SettingValue>> =
                    items.iter().map(|item| self.setting_value(item)).collect();
                items.into_iter().collect::<Option<Vec<_>>>().map(SettingValue::List)
            }
            ExprKind::Number { .. }
            | ExprKind::Previous { .. }
            | ExprKind::Unary { .. }
            | ExprKind::Binary { .. }
            | ExprKind::If { .. }
            | ExprKind::Call { .. }
            | ExprKind::Index { .. }
            | ExprKind::Field { .. }
            | ExprKind::Record(_) => {
                self.constant(expr, &scope, "a setting").map(SettingValue::Number)
            }
        }
    }

    /// A network over variables at `t` (`s'` is the next state) with one output, as the body of a
    /// kernel without outputs.
    fn network_setting(&mut self, called: &SettingKey, expr: &ast::Expr) -> Option<SettingValue> {
        let mut names: Vec<(String, Span)> = Vec::new();
        super::index::walk(expr, &mut |part| {
            if let ExprKind::Name(name) = &part.kind
                && !names.iter().any(|(known, _)| known == name)
            {
                names.push((name.clone(), part.span));
            }
        });
        let mut givens = Vec::new();
        let mut arguments = Vec::new();
        for (name, span) in names {
            let bare = name.trim_end_matches('\'');
            // after an end nothing is done, and a classifier of recorded actions sees that
            let optional = called.key == "ratio" && !self.data.is_empty();
            let formal = |variable| Formal {
                name: name.clone(),
                variable,
                length: FormalLength::One,
                optional,
                span,
            };
            match self.meaning(FILE, bare) {
                Some(Meaning::Variable(variable)) => {
                    let index = Index::Step(i32::from(bare != name));
                    givens.push(FormalSlot {
                        name: name.clone(),
                        formal: Some(formal(FormalVariable::Variable(variable))),
                    });
                    arguments.push(Value::Variable { variable, index });
                }
                _ if name == "t" => {
                    givens.push(FormalSlot {
                        name: name.clone(),
                        formal: Some(formal(FormalVariable::Time)),
                    });
                    arguments.push(Value::Time);
                }
                Some(_) | None => {}
            }
        }
        let kernel = KernelId(self.kernels.len() as u32);
        let of = called.of.iter().map(|of| format!(".{of}"));
        let name = format!("infer.{}{}", called.key, of.collect::<String>());
        self.kernels.push(KernelSlot {
            name: name.clone(),
            written: None,
            outputs: Vec::new(),
            givens,
            distribution: None,
            span: expr.span,
        });
        let net = self.net_scope(kernel, &name);
        let layer = self.argument_layer(&net, expr, Want::Number)?;
        self.kernels[kernel.0 as usize].distribution = Some(Distribution::Delta(layer));
        Some(SettingValue::Network { kernel, layer, arguments })
    }

    pub fn lower_expectations(&mut self) {
        let file = self.file;
        for item in &file.items {
            let ast::Item::Expect(expect) = item else { continue };
            let bound = match &expect.bound {
                None => None,
                Some(name) => match self
                    .bound_named(name, "leave the name out: the claims are about that bound")
                {
                    None => continue,
                    found => found,
                },
            };
            let known = self.settable();
            let mut overrides = Overrides::default();
            for (at, setting) in expect.settings.iter().enumerate() {
                if !known.contains(&setting.key.text) {
                    self.unknown(&setting.key.text, setting.key.span, "param", &known);
                } else if let Some(first) =
                    expect.settings[..at].iter().find(|first| first.key.text == setting.key.text)
                {
                    self.duplicate(&setting.key, first.key.span);
                } else if self
                    .constant(&setting.value, &Scope::of(FILE), &format!("`{}`", setting.key.text))
                    .is_some()
                {
                    overrides.params.push((setting.key.text.clone(), setting.value.clone()));
                }
            }
            let claims: Vec<Option<Claim>> =
                expect.claims.iter().map(|claim| self.claim(claim)).collect();
            if let Some(claims) = claims.into_iter().collect::<Option<Vec<_>>>() {
                self.expectations.push(Expectation { bound, overrides, claims, span: expect.span });
            }
        }
    }

    fn claim(&mut self, written: &ast::Claim) -> Option<Claim> {
        let scope = Scope::of(FILE);
        let is_reward =
            matches!(self.meaning(FILE, &written.quantity.text), Some(Meaning::Reward(..)));
        if !is_reward && !QUANTITIES.contains(&written.quantity.text.as_str()) {
            self.unknown(
                &written.quantity.text,
                written.quantity.span,
                "quantity",
                &QUANTITIES.map(str::to_owned),
            );
            return None;
        }
        let relation = match &written.relation {
            ast::ClaimRelation::Within { value, tolerance } => {
                let (value, width) = (
                    self.constant(value, &scope, "a claim"),
                    self.constant(tolerance, &scope, "a tolerance"),
                );
                let (value, width) = value.zip(width)?;
                if width < 0.0 {
                    self.error(
                        "constant",
                        tolerance.span,
                        format!("a tolerance is at least 0, not {}", show_number(width)),
                    );
                    return None;
                }
                ClaimRelation::Within { value, tolerance: width }
            }
            ast::ClaimRelation::AtLeast(value) => {
                ClaimRelation::AtLeast(self.constant(value, &scope, "a claim")?)
            }
            ast::ClaimRelation::AtMost(value) => {
                ClaimRelation::AtMost(self.constant(value, &scope, "a claim")?)
            }
        };
        Some(Claim { quantity: written.quantity.text.clone(), relation, span: written.span })
    }
}
