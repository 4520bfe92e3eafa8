//! `imagine(world, s, policy = plain, steps = 3)`: a simulated rollout as an input of a network.

use super::super::Lowering;
use super::super::net_scope::NetScope;
use super::super::unit::{FILE, Meaning};
use super::NetworkLayer;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Actor, Formal, FormalLength, FormalVariable, KernelId, LayerId, LayerOp, Role, Simulation,
    VariableId,
};
use crate::source::Span;
use crate::syntax::ast::{self, ArgumentLabel, ExprKind};

const EXAMPLE: &str = "write `imagine(world, s, policy = plain, steps = 3)`: what draws states, \
                       where it starts, what draws actions, and how many";
const WORLD: &str = "a world draws the next state: `kernel world(s' | s, a) = …`";
const POLICY: &str = "a policy draws the action: `kernel plain(a | s) = …`";
/// Steps of one rollout.
const LONGEST: usize = 1000;

pub(super) const LAYER: NetworkLayer = NetworkLayer {
    name: "imagine",
    build: |lowering, call| lowering.simulation(call.net, call.arguments, call.span),
};

impl Lowering<'_> {
    fn simulation(
        &mut self,
        net: &NetScope,
        arguments: &[ast::Argument],
        span: Span,
    ) -> Option<LayerId> {
        if self.kernel_slot(net.kernel).written.is_none() {
            let told = Diagnostic::error(
                "network",
                span,
                "`imagine` stands in the network of a kernel, not in one of `infer`",
            );
            self.report(told.hint("what a kernel imagined is drawn when it acts"));
            return None;
        }
        let (named, plain): (Vec<&ast::Argument>, Vec<&ast::Argument>) =
            arguments.iter().partition(|argument| argument.label.is_some());
        let [world, start] = plain.as_slice() else {
            let told = Diagnostic::error(
                "arity",
                span,
                format!("`imagine` takes a kernel and a state, not {} arguments", plain.len()),
            );
            self.report(told.hint(EXAMPLE));
            return None;
        };
        let (policy, steps) = self.policy_and_steps(&named, span)?;
        let start_span = start.value.span;
        let (world, start) =
            (self.simulated_kernel(&world.value, WORLD), self.bare_formal(net, "imagine", start));
        let policy = self.actor(policy);
        let steps = self.constant_count(steps, &net.scope, "the number of imagined steps", LONGEST);
        let ((world, world_span), (formal, start)) = (world?, start?);
        let (state, action) = self.world_variables(world, world_span)?;
        if start.variable != FormalVariable::Variable(state)
            || start.length != FormalLength::One
            || start.optional
        {
            let (world, state) = (
                self.kernel_slot(world).name.clone(),
                self.variables[state.0 as usize].name.clone(),
            );
            let told = Diagnostic::error(
                "network",
                start_span,
                format!("`imagine` starts at a state of `{world}`, and `{}` is none", start.name),
            );
            self.report(told.hint(format!(
                "start at a given `{state}` of the kernel, one that is never `none`"
            )));
            return None;
        }
        let ((policy, policy_span), steps) = (policy?, steps?);
        let fits = self.draws_one(policy.kernel(), action)
            && self.reads_only(policy.kernel(), &[state], policy_span)?;
        if !fits {
            let (name, drawn) = (
                self.kernel_slot(policy.kernel()).name.clone(),
                self.variables[action.0 as usize].name.clone(),
            );
            let told = Diagnostic::error(
                "network",
                policy_span,
                format!("`{name}` does not draw the action `{drawn}` alone"),
            );
            self.report(told.hint(POLICY));
            return None;
        }
        let columns = |variable: VariableId| {
            let domain = self.variable_domain(variable)?;
            Some(
                domain
                    .components
                    .iter()
                    .map(|component| component.kind.columns(false))
                    .sum::<usize>(),
            )
        };
        let width = steps * (columns(state)? + columns(action)?);
        let simulation =
            Simulation { kernel: net.kernel, formal, world, policy, state, action, steps };
        Some(self.push_layer(LayerOp::Simulate(simulation), width, span))
    }

    fn policy_and_steps<'e>(
        &mut self,
        named: &[&'e ast::Argument],
        span: Span,
    ) -> Option<(&'e ast::Expr, &'e ast::Expr)> {
        let (mut policy, mut steps, mut good) = (None, None, true);
        for argument in named {
            match &argument.label {
                Some(ArgumentLabel::Named(key)) if key.text == "policy" => {
                    policy = Some(&argument.value)
                }
                Some(ArgumentLabel::Named(key)) if key.text == "steps" => {
                    steps = Some(&argument.value)
                }
                Some(ArgumentLabel::Named(key)) => {
                    self.unknown(
                        &key.text,
                        key.span,
                        "argument of `imagine`",
                        &["policy".to_owned(), "steps".to_owned()],
                    );
                    good = false;
                }
                Some(ArgumentLabel::Weight(weight)) => {
                    self.error("argument", weight.span, "an argument of `imagine` has no weight");
                    good = false;
                }
                None => {}
            }
        }
        for (key, found) in [("policy", policy), ("steps", steps)] {
            if found.is_none() {
                self.report(
                    Diagnostic::error(
                        "argument",
                        span,
                        format!("`imagine` needs the argument `{key}`"),
                    )
                    .hint(EXAMPLE),
                );
                good = false;
            }
        }
        policy.zip(steps).filter(|_| good)
    }

    fn actor(&mut self, expr: &ast::Expr) -> Option<(Actor, Span)> {
        let ExprKind::Previous { kernel, arguments } = &expr.kind else {
            return self
                .simulated_kernel(expr, POLICY)
                .map(|(kernel, span)| (Actor::Present(kernel), span));
        };
        if let Some(argument) = arguments.first() {
            let told = Diagnostic::error(
                "argument",
                argument.value.span,
                "what the policy reads follows from the rollout",
            );
            self.report(told.hint(format!("write `policy = previous {}`", kernel.text)));
            return None;
        }
        let found = self.kernel_named(&kernel.text, kernel.span, POLICY)?;
        Some((Actor::Previous(found), expr.span))
    }

    fn simulated_kernel(&mut self, expr: &ast::Expr, hint: &str) -> Option<(KernelId, Span)> {
        let ExprKind::Name(name) = &expr.kind else {
            let told = Diagnostic::error(
                "type",
                expr.span,
                "`imagine` draws from kernels of the file, given by their names",
            );
            self.report(told.hint(hint));
            return None;
        };
        self.kernel_named(name, expr.span, hint).map(|kernel| (kernel, expr.span))
    }

    fn kernel_named(&mut self, name: &str, span: Span, hint: &str) -> Option<KernelId> {
        match self.meaning(FILE, name) {
            Some(Meaning::Kernel(kernel)) => Some(kernel),
            Some(Meaning::Mistake) => None,
            Some(_) => {
                self.report(
                    Diagnostic::error("type", span, format!("`{name}` is no kernel of the file"))
                        .hint(hint),
                );
                None
            }
            None => {
                let known = self.kernel_names();
                self.unknown(name, span, "kernel", &known);
                None
            }
        }
    }

    /// The state that a world draws, and the action of its environment.
    fn world_variables(&mut self, world: KernelId, span: Span) -> Option<(VariableId, VariableId)> {
        let slot = self.kernel_slot(world);
        let name = slot.name.clone();
        let state = match slot.outputs.as_slice() {
            [only] => match only.formal.as_ref()?.variable {
                FormalVariable::Variable(variable)
                    if self.variables[variable.0 as usize].role == Role::State =>
                {
                    Some(variable)
                }
                FormalVariable::Variable(_)
                | FormalVariable::Reward(..)
                | FormalVariable::End
                | FormalVariable::Time => None,
            },
            _ => None,
        };
        let Some(state) = state else {
            let told = Diagnostic::error(
                "network",
                span,
                format!("`{name}` is no transition kernel: it does not draw the state alone"),
            );
            self.report(told.hint(WORLD));
            return None;
        };
        let environment = self.variables[state.0 as usize].environment?;
        let &[action] = &self.environments[environment.0 as usize].actions[..] else {
            let what = "`imagine` takes an environment of one action";
            let told = Diagnostic::error("network", span, what);
            self.report(told.hint("join the actions in a record: `action a : { x: …, y: … }`"));
            return None;
        };
        self.reads_only(world, &[state, action], span)?.then_some((state, action))
    }

    fn draws_one(&self, kernel: KernelId, variable: VariableId) -> bool {
        let outputs: Vec<Option<&Formal>> =
            self.kernel_slot(kernel).outputs.iter().map(|slot| slot.formal.as_ref()).collect();
        matches!(outputs[..], [Some(only)] if only.variable == FormalVariable::Variable(variable))
    }

    /// What is imagined has states and actions at one step, and nothing else. `None` where a formal
    /// has a mistake, or reads more.
    fn reads_only(&mut self, kernel: KernelId, known: &[VariableId], span: Span) -> Option<bool> {
        let slot = self.kernel_slot(kernel);
        let name = slot.name.clone();
        let givens: Vec<Formal> =
            slot.givens.iter().map(|slot| slot.formal.clone()).collect::<Option<_>>()?;
        let fits = |formal: &Formal| {
            let is_known =
                known.iter().any(|variable| formal.variable == FormalVariable::Variable(*variable));
            is_known && formal.length == FormalLength::One && !formal.optional
        };
        let Some(other) = givens.iter().find(|given| !fits(given)) else { return Some(true) };
        let names: Vec<String> = known
            .iter()
            .map(|variable| format!("`{}`", self.variables[variable.0 as usize].name))
            .collect();
        let message =
            format!("`{name}` reads `{}`, which an imagined step does not have", other.name);
        let told = Diagnostic::error("network", span, message).also(other.span, "declared here");
        self.report(told.hint(format!(
            "a kernel that `imagine` draws from reads {}, each at one step",
            names.join(" and ")
        )));
        None
    }
}
