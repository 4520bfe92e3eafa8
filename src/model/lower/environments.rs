//! Environments: the start, the transition, the observation, the rewards and the end, each over
//! what it may read.

use super::distributions::InPlace;
use super::index::Timed;
use super::scope::Scope;
use super::unit::Meaning;
use super::{EnvironmentSlot, Lowering};
use crate::diagnostic::Diagnostic;
use crate::expr::ExprId;
use crate::model::{
    Distribution, Domain, Dynamics, DynamicsPlaces, Environment, EnvironmentId, Index, Input,
    Reward, SettingValue, System, VariableId,
};
use crate::source::Span;
use crate::syntax::ast::{self, ArgumentLabel, At, EnvironmentDefinition, EnvironmentItem};

/// The statements of an environment's body, each at most once.
#[derive(Default)]
struct Body<'a> {
    initial: Option<&'a ast::Factor>,
    transition: Option<&'a ast::Factor>,
    observation: Option<&'a ast::Factor>,
    rewards: Vec<Option<(&'a ast::Expr, Span)>>,
    end: Option<(&'a ast::Expr, Span)>,
    /// What lines are about that were refused: that it is missing is no second mistake.
    refused: Vec<&'a str>,
}

impl<'a> Lowering<'a> {
    pub fn lower_environments(&mut self) {
        for at in 0..self.environments.len() {
            let id = EnvironmentId(at as u32);
            let lowered = self.environment(id);
            self.environments[at].lowered = lowered;
        }
    }

    fn slot(&self, id: EnvironmentId) -> &EnvironmentSlot<'a> {
        &self.environments[id.0 as usize]
    }

    fn environment(&mut self, id: EnvironmentId) -> Option<Environment> {
        let written = self.slot(id).written;
        let (dynamics, rewards) = match &written.definition {
            EnvironmentDefinition::External { system, arguments, .. } => {
                let dynamics = self.external(id, system, arguments);
                let values = vec![None; self.slot(id).rewards.len()];
                (dynamics, Some(values))
            }
            EnvironmentDefinition::Body(_) | EnvironmentDefinition::File { .. } => self.written(id),
        };
        let span = written.name.span;
        let state = self.role(id, self.slot(id).state, "state", "state s : 0..9", span);
        let first = self.slot(id).actions.first().copied();
        let action = self.role(id, first, "action", "action a : { left, right }", span);
        let external = matches!(dynamics, Some(Dynamics::External { .. }));
        let slot = self.slot(id);
        let rewards = slot.rewards.iter().zip(rewards?).map(|(reward, value)| Reward {
            name: reward.name.clone(),
            bounds: reward.bounds,
            value,
            span: reward.span,
        });
        Some(Environment {
            name: slot.name.clone(),
            hidden: written.hidden || external,
            state: state?,
            actions: action.map(|_| slot.actions.clone())?,
            observation: slot.observation,
            rewards: rewards.collect(),
            dynamics: dynamics?,
            span: written.span,
        })
    }

    fn role(
        &mut self,
        id: EnvironmentId,
        found: Option<VariableId>,
        what: &str,
        example: &str,
        span: Span,
    ) -> Option<VariableId> {
        if found.is_none() {
            let name = self.slot(id).name.clone();
            let told = Diagnostic::error(
                "environment",
                span,
                format!("the environment `{name}` has no {what}"),
            );
            self.report(told.hint(format!("declare one: `{example}`")));
        }
        found
    }

    /// A system from outside: its declared spaces are checked against the real ones when it starts.
    fn external(
        &mut self,
        id: EnvironmentId,
        system: &ast::Name,
        arguments: &[ast::Argument],
    ) -> Option<Dynamics> {
        let word = system;
        let system = match word.text.as_str() {
            "gymnasium" => System::Gymnasium,
            "rust" => System::Rust,
            other => {
                let known = ["gymnasium".to_owned(), "rust".to_owned()];
                self.unknown(other, word.span, "environment", &known);
                return None;
            }
        };
        for item in self.slot(id).body {
            let span = match item {
                EnvironmentItem::Variable(_) | EnvironmentItem::Reward { .. } => continue,
                EnvironmentItem::Let(definition) => definition.span,
                EnvironmentItem::EndWhen { span, .. } | EnvironmentItem::Define { span, .. } => {
                    *span
                }
                EnvironmentItem::Factor(factor) => factor.span,
            };
            let message = match system {
                System::Gymnasium => "a Gymnasium environment declares its spaces only",
                System::Rust => "an environment from outside declares its spaces only",
            };
            let told = Diagnostic::error("environment", span, message);
            self.report(told.hint("its dynamics, rewards and end are its own"));
        }
        let mut name = None;
        let mut settings = Vec::new();
        let mut named: Vec<&ast::Name> = Vec::new();
        for (at, argument) in arguments.iter().enumerate() {
            let Some(value) = self.setting_value(&argument.value) else { continue };
            match &argument.label {
                None if at == 0 => match value {
                    SettingValue::Text(text) => name = Some(text),
                    SettingValue::Number(_)
                    | SettingValue::Truth(_)
                    | SettingValue::Word(_)
                    | SettingValue::List(_)
                    | SettingValue::Call { .. }
                    | SettingValue::Threshold { .. }
                    | SettingValue::Network { .. } => {}
                },
                Some(ArgumentLabel::Named(key)) => {
                    if system == System::Rust
                        && !matches!(value, SettingValue::Number(_) | SettingValue::Truth(_))
                    {
                        self.error(
                            "argument",
                            argument.value.span,
                            "an argument of `rust` is a number, or `true` or `false`",
                        );
                    }
                    match named.iter().find(|first| first.text == key.text) {
                        Some(first) => self.duplicate(key, first.span),
                        None => {
                            named.push(key);
                            settings.push((key.text.clone(), value));
                        }
                    }
                }
                None | Some(ArgumentLabel::Weight(_)) => {
                    let message = match system {
                        System::Gymnasium => {
                            "arguments after the environment's name have names: `render_mode = \
                             \"none\"`"
                        }
                        System::Rust => {
                            "arguments after the environment's name have names: `length = 1`"
                        }
                    };
                    self.error("argument", argument.value.span, message);
                }
            }
        }
        let Some(name) = name else {
            let message = match system {
                System::Gymnasium => {
                    "`gymnasium` needs the environment's name: `gymnasium(\"CartPole-v1\")`"
                }
                System::Rust => "`rust` needs the environment's name: `rust(\"pole\")`",
            };
            self.error("argument", word.span, message);
            return None;
        };
        Some(Dynamics::External { system, name, arguments: settings })
    }

    fn written(&mut self, id: EnvironmentId) -> (Option<Dynamics>, Option<Vec<Option<ExprId>>>) {
        let body = self.body(id);
        let (state, observation) = (self.slot(id).state, self.slot(id).observation);
        let actions = self.slot(id).actions.clone();
        let name_of = |lowering: &Self, id: Option<VariableId>, name: &str| {
            id.map_or_else(|| name.to_owned(), |id| lowering.variables[id.0 as usize].name.clone())
        };
        let (s, x) = (name_of(self, state, "s"), name_of(self, observation, "x"));
        let now = |id: Option<VariableId>| id.map(|id| (Timed::Variable(id), Index::Step(0)));
        let next = state.map(|id| (Timed::Variable(id), Index::Step(1)));
        let expected = |id: Option<VariableId>, name: &str, factor: Option<&ast::Factor>| {
            id.filter(|_| factor.is_some() || !body.refused.contains(&name))
        };
        let target = expected(state, &s, body.initial);
        let initial = self.part(id, body.initial, target, &[], &format!("the start `{s}[1] ~ …`"));
        // an environment without an action is refused, and what reads one with it
        let acted = || match actions.is_empty() {
            true => vec![None],
            false => actions.iter().map(|&action| now(Some(action))).collect(),
        };
        let reads: Vec<_> = [now(state)].into_iter().chain(acted()).collect();
        let target = expected(state, &s, body.transition);
        let transition = self.part(
            id,
            body.transition,
            target,
            &reads,
            &format!("the transition `{s}[t+1] ~ …`"),
        );
        let watched = observation.map(|_| {
            let target = expected(observation, &x, body.observation);
            self.part(
                id,
                body.observation,
                target,
                &[now(state)],
                &format!("the observation `{x}[t] ~ …`"),
            )
        });
        let end =
            body.end.map(|(condition, span)| self.end_condition(id, condition, span, now(state)));
        let mut rewards = Vec::new();
        for (at, definition) in body.rewards.iter().enumerate() {
            if definition.is_none()
                && body.refused.contains(&self.slot(id).rewards[at].name.as_str())
            {
                rewards.push(None);
                continue;
            }
            let reads: Vec<_> = reads.iter().copied().chain([next]).collect();
            rewards.push(self.reward(id, at, *definition, &reads));
        }
        let dynamics = initial.zip(transition).and_then(|(initial, transition)| {
            let observation = match watched {
                Some(observation) => Some(observation?),
                None => None,
            };
            let end = match end {
                Some(end) => Some(end?),
                None => None,
            };
            let place = |factor: Option<&ast::Factor>| factor.map(|factor| factor.span);
            let places = Box::new(DynamicsPlaces {
                initial: place(body.initial)?,
                transition: place(body.transition)?,
                observation: place(body.observation),
                end: body.end.map(|(_, span)| span),
            });
            Some(Dynamics::Written { initial, transition, observation, end, places })
        });
        (dynamics, rewards.into_iter().map(|reward| reward.map(Some)).collect())
    }

    /// Sorts the statements of the body by what they define.
    fn body(&mut self, id: EnvironmentId) -> Body<'a> {
        let mut body = Body { rewards: vec![None; self.slot(id).rewards.len()], ..Body::default() };
        for item in self.slot(id).body {
            match item {
                EnvironmentItem::Factor(factor) => {
                    let told = self.diagnostics.len();
                    self.body_factor(id, factor, &mut body);
                    if let (true, Some(ast::Target::Variable { name, .. })) =
                        (self.diagnostics.len() > told, factor.targets.first())
                    {
                        body.refused.push(&name.text);
                    }
                }
                EnvironmentItem::EndWhen { condition, span } => match body.end {
                    None => body.end = Some((condition, *span)),
                    Some((_, first)) => self.twice("end when", *span, first),
                },
                EnvironmentItem::Define { name, index, value, span } => {
                    let told = self.diagnostics.len();
                    self.body_definition(id, name, index, value, *span, &mut body);
                    if self.diagnostics.len() > told {
                        body.refused.push(&name.text);
                    }
                }
                EnvironmentItem::Variable(_)
                | EnvironmentItem::Reward { .. }
                | EnvironmentItem::Let(_) => {}
            }
        }
        body
    }

    fn twice(&mut self, what: &str, span: Span, first: Span) {
        let told = Diagnostic::error("duplicate-name", span, format!("`{what}` stands twice"))
            .also(first, "the first is here");
        self.report(told.hint(
            "keep one; cases are told apart with `if … then … else …`, chances \
                               with `Mixture(w: …, …)`",
        ));
    }

    fn body_factor(&mut self, id: EnvironmentId, factor: &'a ast::Factor, body: &mut Body<'a>) {
        let [ast::Target::Variable { name, index, span }] = factor.targets.as_slice() else {
            self.error(
                "environment",
                factor.span,
                "a factor of an environment has one variable to its left",
            );
            return;
        };
        let unit = self.slot(id).unit;
        let scope = Scope::of(unit);
        let (state, observation) = (self.slot(id).state, self.slot(id).observation);
        let variable = match self.meaning(unit, &name.text) {
            Some(Meaning::Variable(variable))
                if Some(variable) == state || Some(variable) == observation =>
            {
                variable
            }
            Some(Meaning::Variable(_)) => {
                let told = Diagnostic::error(
                    "environment",
                    name.span,
                    format!("an environment does not draw `{}`", name.text),
                );
                self.report(told.hint(
                    "it draws its state and its observation; actions and \
                                       options are drawn by kernels",
                ));
                return;
            }
            Some(Meaning::Reward(..)) => {
                let told = Diagnostic::error("environment", *span, "a reward is no random draw");
                self.report(told.hint(format!(
                    "write `{}[t] = …`; what is random about it is drawn into the state",
                    name.text
                )));
                return;
            }
            Some(Meaning::Mistake) => return,
            Some(_) => {
                return self.error(
                    "environment",
                    name.span,
                    format!("`{}` is no variable", name.text),
                );
            }
            None => {
                let known = self.visible(&scope);
                return self.unknown(&name.text, name.span, "variable", &known);
            }
        };
        let [At::One(at)] = index.as_slice() else {
            self.error("index", *span, "a factor has one index to its left");
            return;
        };
        let Some(index) = self.time_index(at, &scope) else { return };
        let place = match index {
            Index::First if Some(variable) == state => &mut body.initial,
            Index::Step(1) if Some(variable) == state => &mut body.transition,
            Index::Step(0) if Some(variable) == observation => &mut body.observation,
            Index::First | Index::Step(_) | Index::Last(_) => {
                let told = Diagnostic::error(
                    "environment",
                    *span,
                    format!("an environment does not draw `{}` at this index", name.text),
                );
                let hint = if Some(variable) == state { "[1]` and `NAME[t+1]" } else { "[t]" };
                self.report(told.hint(format!(
                    "it draws `{}{}`",
                    name.text,
                    hint.replace("NAME", &name.text)
                )));
                return;
            }
        };
        match place {
            None => *place = Some(factor),
            Some(first) => {
                let first = first.span;
                self.twice(
                    &format!("{}{} ~ …", name.text, super::constants::show_index(index)),
                    factor.span,
                    first,
                );
            }
        }
    }

    fn body_definition(
        &mut self,
        id: EnvironmentId,
        name: &'a ast::Name,
        index: &'a [At],
        value: &'a ast::Expr,
        span: Span,
        body: &mut Body<'a>,
    ) {
        let unit = self.slot(id).unit;
        let scope = Scope::of(unit);
        let reward = match self.meaning(unit, &name.text) {
            Some(Meaning::Reward(environment, reward)) if environment == id => reward as usize,
            Some(Meaning::Mistake) => return,
            Some(Meaning::Variable(_)) => {
                let told = Diagnostic::error(
                    "environment",
                    span,
                    format!("`{}` is drawn, not set", name.text),
                );
                return self.report(told.hint(format!("write `{}[…] ~ Delta(…)`", name.text)));
            }
            Some(_) => {
                let told = Diagnostic::error(
                    "environment",
                    name.span,
                    format!("`{}` is no reward of this environment", name.text),
                );
                return self.report(
                    told.hint("declare it: `reward r in [-1, 0]`; other values are `let`s"),
                );
            }
            None => {
                let known: Vec<String> =
                    self.slot(id).rewards.iter().map(|reward| reward.name.clone()).collect();
                return self.unknown(&name.text, name.span, "reward", &known);
            }
        };
        let [At::One(at)] = index else {
            return self.error("index", span, "a reward is defined at `[t]`");
        };
        match self.time_index(at, &scope) {
            None => {}
            Some(Index::Step(0)) => match body.rewards[reward] {
                None => body.rewards[reward] = Some((value, span)),
                Some((_, first)) => self.twice(&format!("{}[t] = …", name.text), span, first),
            },
            Some(Index::First | Index::Step(_) | Index::Last(_)) => {
                let told = Diagnostic::error(
                    "index",
                    at.span,
                    "a reward is defined at `[t]`, for every step at once",
                );
                self.report(told.hint(format!("write `{}[t] = …`", name.text)));
            }
        }
    }

    fn part(
        &mut self,
        id: EnvironmentId,
        factor: Option<&'a ast::Factor>,
        target: Option<VariableId>,
        reads: &[Option<(Timed, Index)>],
        what: &str,
    ) -> Option<Distribution<Vec<ExprId>>> {
        let target = target?;
        let Some(factor) = factor else {
            let (name, span) = (self.slot(id).name.clone(), self.slot(id).written.name.span);
            let told = Diagnostic::error(
                "environment",
                span,
                format!("the environment `{name}` lacks {what}"),
            );
            self.report(told.hint(
                "an environment says how its state begins and how the next one \
                                   follows: `s[1] ~ …` and `s[t+1] ~ …`",
            ));
            return None;
        };
        let domain = self.variables[target.0 as usize].domain.clone();
        // without its domain the expressions still have mistakes to tell, but nothing to fit
        let domain = domain?;
        let mut site = InPlace { scope: Scope::of(self.slot(id).unit) };
        let distribution = self.distribution(&mut site, &factor.distribution, &domain, "")?;
        let mut ids = Vec::new();
        distribution.for_each(&mut |argument: &Vec<ExprId>| ids.extend_from_slice(argument));
        self.check_reads(&ids, reads, what, factor.distribution.span).then_some(distribution)
    }

    fn end_condition(
        &mut self,
        id: EnvironmentId,
        condition: &'a ast::Expr,
        span: Span,
        state: Option<(Timed, Index)>,
    ) -> Option<ExprId> {
        let value = self.lower(condition, &Scope::of(self.slot(id).unit));
        let end = self.truth(&value, condition.span, "the condition of `end when`")?;
        self.check_reads(&[end], &[state], "`end when`", span).then_some(end)
    }

    fn reward(
        &mut self,
        id: EnvironmentId,
        at: usize,
        written: Option<(&'a ast::Expr, Span)>,
        reads: &[Option<(Timed, Index)>],
    ) -> Option<ExprId> {
        let (name, span) = (self.slot(id).rewards[at].name.clone(), self.slot(id).rewards[at].span);
        let Some((value, place)) = written else {
            let told =
                Diagnostic::error("environment", span, format!("the reward `{name}` has no value"));
            self.report(told.hint(format!("write `{name}[t] = …`")));
            return None;
        };
        let lowered = self.lower(value, &Scope::of(self.slot(id).unit));
        let reward = self.numeric(&lowered, value.span)?;
        self.check_reads(&[reward], reads, &format!("the reward `{name}[t]`"), place)
            .then_some(reward)
    }

    /// Whether `ids` read nothing but `allowed`, at those indices.
    fn check_reads(
        &mut self,
        ids: &[ExprId],
        allowed: &[Option<(Timed, Index)>],
        what: &str,
        span: Span,
    ) -> bool {
        if self.reads_time(ids) {
            let told = Diagnostic::error("time", span, "an environment does not read the time `t`");
            self.report(told.hint("make the time a part of the state"));
            return false;
        }
        for input in self.reads(ids) {
            let read = match input {
                Input::Variable { variable, index, .. } => Some((Timed::Variable(variable), index)),
                Input::Reward { environment, reward, index } => {
                    Some((Timed::Reward(environment, reward), index))
                }
                Input::Formal { .. } | Input::Gain(_) => None,
            };
            if allowed.contains(&read) && read.is_some() {
                continue;
            }
            let shown = |lowering: &Self, (timed, index): (Timed, Index)| match timed {
                Timed::Variable(id) => format!(
                    "`{}{}`",
                    lowering.variables[id.0 as usize].name,
                    super::constants::show_index(index)
                ),
                Timed::Reward(..) => String::new(),
            };
            let list: Vec<String> =
                allowed.iter().flatten().map(|read| shown(self, *read)).collect();
            let found = self.show_input(&input);
            let told = Diagnostic::error("environment", span, format!("{what} reads `{found}`"));
            self.report(match list.as_slice() {
                [] => told.hint("it may read params and `let`s of them only"),
                list => told.hint(format!("it may read {}", list.join(", "))),
            });
            return false;
        }
        true
    }

    /// The domain of a variable; `None` where it has a mistake.
    pub fn variable_domain(&self, id: VariableId) -> Option<&Domain> {
        self.variables[id.0 as usize].domain.as_ref()
    }
}
