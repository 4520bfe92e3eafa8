//! What a file declares: every name gets its place before anything is lowered, so that order does
//! not matter.

use super::kernels::without_bar;
use super::params::place_of_set;
use super::scope::nearest;
use super::unit::{Definition, FILE, Given, Meaning, State, Unit, UnitId};
use super::value::NamesId;
use super::{DataSlot, EnvironmentSlot, KernelSlot, Lowering, RewardSlot, VariableSlot, functions};
use crate::diagnostic::Diagnostic;
use crate::model::{DataId, EnvironmentId, KernelId, Role, VariableId};
use crate::source::Span;
use crate::syntax::ast;

impl<'a> Lowering<'a> {
    /// Enters every declaration of the file.
    pub fn declare(&mut self) {
        let file = self.file;
        for item in &file.items {
            match item {
                ast::Item::Model(name) => match self.model_name {
                    None => self.model_name = Some(name),
                    Some(first) => self.told_twice("model", name.span, first.span),
                },
                ast::Item::Param(param) => {
                    let over = self
                        .overrides
                        .params
                        .iter()
                        .rev()
                        .find(|(name, _)| *name == param.name.text);
                    let given = over.map_or(Given::Written, |(_, value)| Given::Override(value));
                    self.define(FILE, &param.name, Meaning::Param(param, given));
                }
                ast::Item::Let(definition) => {
                    self.define(FILE, &definition.name, Meaning::Let(definition))
                }
                ast::Item::Horizon { name, value, span } => {
                    self.declare_horizon(name, value, *span)
                }
                ast::Item::Environment(environment) => self.declare_environment(environment),
                ast::Item::Variable(variable) => {
                    self.declare_variable(variable, FILE, None);
                }
                ast::Item::Data(data) => {
                    self.define(FILE, &data.name, Meaning::Data(DataId(self.data.len() as u32)));
                    let name = data.name.text.clone();
                    self.data.push(DataSlot {
                        name,
                        written: data,
                        outputs: Vec::new(),
                        givens: Vec::new(),
                        lowered: None,
                    });
                }
                ast::Item::Net(net) => self.define(FILE, &net.name, Meaning::Net(net)),
                ast::Item::Kernel(kernel) => {
                    if let Some(told) = without_bar(kernel) {
                        self.report(told);
                        self.define(FILE, &kernel.name, Meaning::Mistake);
                        continue;
                    }
                    self.define(
                        FILE,
                        &kernel.name,
                        Meaning::Kernel(KernelId(self.kernels.len() as u32)),
                    );
                    self.kernels.push(KernelSlot {
                        name: kernel.name.text.clone(),
                        written: Some(kernel),
                        outputs: Vec::new(),
                        givens: Vec::new(),
                        distribution: None,
                        span: kernel.span,
                    });
                }
                ast::Item::Bound { name, .. } => self.define(FILE, name, Meaning::Bound),
                ast::Item::Block(_) | ast::Item::Infer(_) | ast::Item::Expect(_) => {}
            }
        }
        self.check_overrides();
    }

    fn declare_horizon(&mut self, name: &'a ast::Name, value: &'a ast::Expr, span: Span) {
        let first = self.units[FILE.0]
            .definitions
            .values()
            .find(|d| matches!(d.meaning, Meaning::Horizon(_)))
            .map(|d| d.span);
        match first {
            Some(first) => self.told_twice("horizon", span, first),
            None => self.define(FILE, name, Meaning::Horizon(value)),
        }
    }

    fn told_twice(&mut self, what: &str, span: Span, first: Span) {
        self.report(
            Diagnostic::error("duplicate-name", span, format!("a file has one `{what}`"))
                .also(first, "the first is here"),
        );
    }

    fn declare_environment(&mut self, environment: &'a ast::Environment) {
        let id = EnvironmentId(self.environments.len() as u32);
        self.define(FILE, &environment.name, Meaning::Environment(id));
        let unit = UnitId(self.units.len());
        let (parent, body) = match &environment.definition {
            ast::EnvironmentDefinition::Body(body)
            | ast::EnvironmentDefinition::External { body, .. } => (Some(FILE), body),
            ast::EnvironmentDefinition::File { included, .. } => (None, &included.body),
        };
        self.units.push(Unit { parent, ..Unit::default() });
        self.environments.push(EnvironmentSlot {
            name: environment.name.text.clone(),
            written: environment,
            body,
            unit,
            rewards: Vec::new(),
            state: None,
            actions: Vec::new(),
            observation: None,
            lowered: None,
        });
        if let ast::EnvironmentDefinition::File { included, settings, .. } = &environment.definition
        {
            self.declare_environment_file(environment, included, settings, unit);
        }
        for item in body {
            match item {
                ast::EnvironmentItem::Variable(variable) => {
                    let declared = self.declare_variable(variable, unit, Some(id));
                    self.take_role(id, variable, declared);
                }
                ast::EnvironmentItem::Reward { name, bounds, span } => {
                    let slot = &mut self.environments[id.0 as usize];
                    let meaning = Meaning::Reward(id, slot.rewards.len() as u32);
                    slot.rewards.push(RewardSlot {
                        name: name.text.clone(),
                        written: bounds.as_ref(),
                        bounds: None,
                        span: *span,
                    });
                    self.define(FILE, name, meaning);
                    self.define_inside(unit, name, meaning);
                }
                ast::EnvironmentItem::Let(definition) => {
                    self.define(unit, &definition.name, Meaning::Let(definition))
                }
                ast::EnvironmentItem::EndWhen { .. }
                | ast::EnvironmentItem::Factor(_)
                | ast::EnvironmentItem::Define { .. } => {}
            }
        }
    }

    fn declare_environment_file(
        &mut self,
        environment: &'a ast::Environment,
        included: &'a ast::EnvironmentFile,
        settings: &'a [ast::Setting],
        unit: UnitId,
    ) {
        for param in &included.params {
            let qualified = format!("{}.{}", environment.name.text, param.name.text);
            let here = settings.iter().rev().find(|setting| setting.key.text == param.name.text);
            let over = self.overrides.params.iter().rev().find(|(name, _)| *name == qualified);
            let given = match (over, here) {
                (Some((_, value)), _) => Given::Override(value),
                (None, Some(setting)) => Given::Here(&setting.value),
                (None, None) => Given::Written,
            };
            self.define(unit, &param.name, Meaning::Param(param, given));
        }
        let known: Vec<String> =
            included.params.iter().map(|param| param.name.text.clone()).collect();
        for (at, setting) in settings.iter().enumerate() {
            if !known.contains(&setting.key.text) {
                let of = format!("param of `{}`", environment.name.text);
                self.unknown(&setting.key.text, setting.key.span, &of, &known);
            } else if let Some(first) =
                settings[..at].iter().find(|first| first.key.text == setting.key.text)
            {
                self.duplicate(&setting.key, first.key.span);
            }
        }
        for definition in &included.lets {
            self.define(unit, &definition.name, Meaning::Let(definition));
        }
    }

    fn declare_variable(
        &mut self,
        variable: &'a ast::Variable,
        unit: UnitId,
        environment: Option<EnvironmentId>,
    ) -> VariableId {
        let id = VariableId(self.variables.len() as u32);
        self.define(FILE, &variable.name, Meaning::Variable(id));
        if unit != FILE {
            self.define_inside(unit, &variable.name, Meaning::Variable(id));
        }
        self.variables.push(VariableSlot {
            name: variable.name.text.clone(),
            role: variable.role,
            written: &variable.domain,
            unit,
            environment,
            domain: None,
            span: variable.span,
        });
        self.declare_value_names(&variable.domain, unit);
        id
    }

    /// One state, at most one observation; any number of actions.
    fn take_role(&mut self, environment: EnvironmentId, variable: &ast::Variable, id: VariableId) {
        let slot = &mut self.environments[environment.0 as usize];
        let (role, what) = match variable.role {
            Role::State => (&mut slot.state, "state"),
            Role::Action => {
                slot.actions.push(id);
                return;
            }
            Role::Observation => (&mut slot.observation, "observation"),
            Role::Option => {
                let told = Diagnostic::error(
                    "environment",
                    variable.span,
                    "an environment has no options",
                );
                self.report(
                    told.hint("options belong to the agent: declare them outside the environment"),
                );
                return;
            }
        };
        match *role {
            None => *role = Some(id),
            Some(first) => {
                let first = self.variables[first.0 as usize].span;
                let told = Diagnostic::error(
                    "environment",
                    variable.span,
                    format!("an environment has one `{what}`"),
                )
                .also(first, "the first is here");
                self.report(told.hint(format!(
                    "join them in a record: `{what} {} : {{ x: …, y: … }}`",
                    variable.name.text
                )));
            }
        }
    }

    /// The value names of a domain and of the records inside it.
    fn declare_value_names(&mut self, domain: &ast::Domain, unit: UnitId) {
        match &domain.kind {
            ast::DomainKind::Names(names) => {
                let list = self.names_id(names.iter().map(|name| name.text.clone()).collect());
                for unit in if unit == FILE { vec![FILE] } else { vec![unit, FILE] } {
                    for (position, name) in names.iter().enumerate() {
                        let entry =
                            self.units[unit.0].enumerators.entry(name.text.clone()).or_default();
                        if !entry.iter().any(|(known, _)| *known == list) {
                            entry.push((list, position));
                        }
                    }
                }
            }
            ast::DomainKind::Record(fields) => {
                fields.iter().for_each(|(_, domain)| self.declare_value_names(domain, unit))
            }
            ast::DomainKind::Range(..)
            | ast::DomainKind::Count(_)
            | ast::DomainKind::Bool
            | ast::DomainKind::Real { .. } => {}
        }
    }

    pub fn names_id(&mut self, names: Vec<String>) -> NamesId {
        let at = self.names.iter().position(|known| *known == names).unwrap_or_else(|| {
            self.names.push(names);
            self.names.len() - 1
        });
        NamesId(at as u32)
    }

    fn define(&mut self, unit: UnitId, name: &ast::Name, meaning: Meaning<'a>) {
        if let Some(why) = functions::reserved(&name.text) {
            let told = Diagnostic::error(
                "reserved",
                name.span,
                format!("`{}` is {why} and cannot be declared", name.text),
            );
            self.report(told.hint("choose another name"));
            self.define_inside(unit, name, Meaning::Mistake);
            return;
        }
        match self.units[unit.0].definitions.get_mut(&name.text) {
            Some(first) => {
                // which of the two is meant, nobody knows
                first.meaning = Meaning::Mistake;
                let first = first.span;
                self.duplicate(name, first);
            }
            None => self.define_inside(unit, name, meaning),
        }
    }

    /// Enters a name that was checked where it stands in the file.
    fn define_inside(&mut self, unit: UnitId, name: &ast::Name, meaning: Meaning<'a>) {
        let definition = Definition { span: name.span, meaning, state: State::Untouched };
        self.units[unit.0].definitions.entry(name.text.clone()).or_insert(definition);
    }

    pub fn duplicate(&mut self, name: &ast::Name, first: Span) {
        let told = Diagnostic::error(
            "duplicate-name",
            name.span,
            format!("`{}` is declared twice", name.text),
        );
        self.report(
            told.also(first, "first declared here").hint("remove or rename one of the two"),
        );
    }

    /// `--set` of a name that is no param.
    fn check_overrides(&mut self) {
        let known = self.settable();
        for (name, value) in &self.overrides.params {
            if !known.contains(name) {
                let place =
                    place_of_set(value).map_or(Span::default(), |span| Span { start: 0, ..span });
                let told = Diagnostic::error(
                    "unknown-name",
                    place,
                    format!("--set {name}=…: the model has no param `{name}`"),
                );
                let near = nearest(name, &known).map(|near| format!("did you mean `{near}`?"));
                let list = (!known.is_empty()).then(|| {
                    format!(
                        "it has {}",
                        known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")
                    )
                });
                self.report(match near.or(list) {
                    Some(hint) => told.hint(hint),
                    None => told,
                });
            }
        }
    }

    /// The names that `--set` and `expect (…)` may fix.
    pub fn settable(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (at, unit) in self.units.iter().enumerate() {
            let prefix = self
                .environments
                .iter()
                .find(|slot| slot.unit == UnitId(at))
                .map(|slot| format!("{}.", slot.name))
                .unwrap_or_default();
            let settable = unit
                .definitions
                .iter()
                .filter(|(_, d)| matches!(d.meaning, Meaning::Param(..) | Meaning::Horizon(_)));
            names.extend(settable.map(|(name, _)| format!("{prefix}{name}")));
        }
        names
    }
}
