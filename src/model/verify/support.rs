//! The posterior draws nothing to which the prior gives no mass: there the bound would be minus
//! infinity.

use super::exclusions::{Finding, Use, compare};
use super::generated::block_name;
use super::law::Law;
use super::placed::is_known;
use super::probabilities::witness;
use super::reach::{Row, Seen, Spread, Stray, beyond, spreads};
use super::space::{BATCH, Evaluator, Space, Stands};
use super::times::{arguments, drawn};
use super::words;
use crate::diagnostic::Diagnostic;
use crate::expr::{ExprId, InputId};
use crate::family::Reach;
use crate::model::{
    Block, Bound, Component, Distribution, Dynamics, EnvironmentKernel, Factor, Index, Input,
    KernelRef, LayerId, Model, Target, TargetVariable, Value, VariableId,
};

pub fn faults(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for q in &bound.posterior {
        for (place, target) in q.targets.iter().enumerate() {
            let Target::Variable { variable: TargetVariable::Variable(variable), index } = *target
            else {
                continue;
            };
            for block in [Block::Prior, Block::Auxiliary] {
                for p in bound.factors(block) {
                    if let Some(p_place) =
                        p.targets.iter().position(|t| meets(model, *t, variable, index))
                        && !(p.kernel == q.kernel && p.arguments == q.arguments)
                    {
                        let pair = Pair {
                            variable,
                            index,
                            q: Side::of(model, q, place),
                            p: Side::of(model, p, p_place),
                            block,
                        };
                        found.extend(pair.fault(model));
                    }
                }
            }
        }
    }
    found
}

fn meets(model: &Model, target: Target, wanted: VariableId, at: Index) -> bool {
    match target {
        Target::Variable { variable: TargetVariable::Variable(variable), index }
            if variable == wanted =>
        {
            let id = TargetVariable::Variable(variable);
            !drawn(model, id, index).and(drawn(model, id, at)).is_empty()
        }
        Target::Variable { .. } | Target::Weights(_) => false,
    }
}

/// The two factors of one variable.
struct Pair<'m> {
    variable: VariableId,
    index: Index,
    q: Side<'m>,
    p: Side<'m>,
    block: Block,
}

struct Side<'m> {
    factor: &'m Factor,
    /// Which of its targets.
    place: usize,
    law: Knowledge<'m>,
}

/// What is known of a factor's distribution.
enum Knowledge<'m> {
    Written(&'m Distribution<Vec<ExprId>>),
    Learned(&'m Distribution<LayerId>),
    /// An environment that can only be sampled.
    Hidden,
    Samples,
}

impl<'m> Side<'m> {
    fn of(model: &'m Model, factor: &'m Factor, place: usize) -> Side<'m> {
        let law = match &factor.kernel {
            KernelRef::InPlace(distribution) => Knowledge::Written(distribution),
            KernelRef::Learned(id) | KernelRef::Previous(id) => {
                match &model.kernel(*id).distribution {
                    Distribution::Record(parts) if factor.targets.len() > 1 => {
                        parts.get(place).map_or(Knowledge::Samples, Knowledge::Learned)
                    }
                    distribution => Knowledge::Learned(distribution),
                }
            }
            KernelRef::Data(_) => Knowledge::Samples,
            KernelRef::Environment(id, part) => {
                let environment = model.environment(*id);
                match &environment.dynamics {
                    Dynamics::Written { initial, transition, observation, .. }
                        if !environment.hidden =>
                    {
                        match part {
                            EnvironmentKernel::Initial => Knowledge::Written(initial),
                            EnvironmentKernel::Transition => Knowledge::Written(transition),
                            EnvironmentKernel::Observation => {
                                observation.as_ref().map_or(Knowledge::Samples, Knowledge::Written)
                            }
                        }
                    }
                    Dynamics::Written { .. } | Dynamics::External { .. } => Knowledge::Hidden,
                }
            }
        };
        Side { factor, place, law }
    }

    /// What an input of the distribution stands for in the factor.
    fn rename(&self, model: &Model, input: InputId) -> Option<Input> {
        let read = model.inputs[input.0 as usize];
        let (
            KernelRef::Environment(id, part),
            Input::Variable { variable, component, index: Index::Step(0) },
        ) = (&self.factor.kernel, read)
        else {
            return Some(read);
        };
        let environment = model.environment(*id);
        let formals: Vec<VariableId> = match part {
            EnvironmentKernel::Initial => vec![],
            EnvironmentKernel::Transition => environment.transition_reads().collect(),
            EnvironmentKernel::Observation => vec![environment.state],
        };
        match self.factor.arguments.get(formals.iter().position(|formal| *formal == variable)?)? {
            Value::Variable { variable, index } => {
                Some(Input::Variable { variable: *variable, component, index: *index })
            }
            Value::Reward { .. }
            | Value::Time
            | Value::Window { .. }
            | Value::Past { .. }
            | Value::Future { .. } => None,
            Value::Expression(_) | Value::Absent => None,
        }
    }

    /// `end when` of the environment whose transition or observation this is: nothing is drawn
    /// where it holds.
    fn end(&self, model: &Model) -> Option<ExprId> {
        let KernelRef::Environment(
            id,
            EnvironmentKernel::Transition | EnvironmentKernel::Observation,
        ) = self.factor.kernel
        else {
            return None;
        };
        match model.environment(id).dynamics {
            Dynamics::Written { end, .. } => end,
            Dynamics::External { .. } => None,
        }
    }

    fn name(&self, model: &Model) -> String {
        words::kernel(model, &self.factor.kernel, self.factor.span)
    }
}

impl Pair<'_> {
    fn fault(&self, model: &Model) -> Option<Diagnostic> {
        let domain = &model.variable(self.variable).domain;
        if self.is_finite_and_known(model) {
            let side = |side: &Side<'_>| match side.factor.targets[side.place] {
                Target::Variable { index, .. } => index,
                Target::Weights(_) => self.index,
            };
            let [p, q] = [&self.p, &self.q].map(|of| Use {
                factor: of.factor,
                output: of.place,
                index: side(of),
            });
            match compare(model, self.variable, &p, &q) {
                Finding::Stays => return None,
                Finding::Strays { at, value } => {
                    let what = format!(
                        "{} = {}",
                        words::at(model, TargetVariable::Variable(self.variable), self.index),
                        domain.show(&value)
                    );
                    return Some(self.outside(model, &at, &what));
                }
                Finding::Unknown => {}
            }
        }
        match (&self.p.law, &self.q.law) {
            (Knowledge::Samples, _) | (_, Knowledge::Samples) => None,
            (Knowledge::Hidden, _) => Some(self.unknown(model, &self.p)),
            (Knowledge::Learned(p), Knowledge::Learned(q)) => {
                self.spreads(model, &spreads(p, domain), &spreads(q, domain))
            }
            (Knowledge::Learned(p), Knowledge::Hidden | Knowledge::Written(_)) => {
                let points = spreads(p, domain).contains(&Spread::Points);
                points.then(|| self.outside(model, "", "its values are known only when it runs"))
            }
            (Knowledge::Written(p), Knowledge::Hidden) => {
                let everywhere = matches!(p, Distribution::Uniform) || is_over_the_line(p);
                (!everywhere).then(|| self.unknown(model, &self.q))
            }
            (Knowledge::Written(p), Knowledge::Learned(q)) => {
                self.compare(model, p, Reaches::Learned(spreads(q, domain)))
            }
            (Knowledge::Written(p), Knowledge::Written(q)) => {
                self.compare(model, p, Reaches::Written(q))
            }
        }
    }

    /// Whether more is known of a kernel than its kind: a distribution in place is compared as it
    /// is written.
    fn is_finite_and_known(&self, model: &Model) -> bool {
        let known = |side: &Side<'_>| match side.law {
            Knowledge::Learned(distribution) => is_known(model, distribution),
            Knowledge::Written(_) | Knowledge::Hidden | Knowledge::Samples => false,
        };
        let density =
            |side: &Side<'_>| matches!(side.law, Knowledge::Written(_) | Knowledge::Learned(_));
        model.variable(self.variable).domain.is_finite()
            && density(&self.p)
            && density(&self.q)
            && (known(&self.p) || known(&self.q))
            && !matches!(self.p.law, Knowledge::Written(Distribution::Uniform))
    }

    /// Both learned: only the kinds of the distributions tell.
    fn spreads(&self, model: &Model, p: &[Spread], q: &[Spread]) -> Option<Diagnostic> {
        let domain = &model.variable(self.variable).domain;
        for (component, (p, q)) in domain.components.iter().zip(p.iter().zip(q)) {
            match (p, q) {
                (Spread::Points, _) => {
                    return Some(self.outside(
                        model,
                        "",
                        "a `Delta` of a network has mass on one value",
                    ));
                }
                (Spread::Everything, Spread::Reals) => {
                    if let Some(value) = beyond(component) {
                        return Some(self.outside(model, "", &self.shown(model, component, value)));
                    }
                }
                (
                    Spread::Reals | Spread::Everything,
                    Spread::Reals | Spread::Everything | Spread::Points,
                ) => {}
            }
        }
        None
    }

    fn compare(
        &self,
        model: &Model,
        p: &Distribution<Vec<ExprId>>,
        q: Reaches<'_>,
    ) -> Option<Diagnostic> {
        let domain = &model.variable(self.variable).domain;
        if matches!((p, &q), (Distribution::Uniform, Reaches::Learned(_))) && domain.is_finite() {
            return None;
        }
        let ends = [self.p.end(model), self.q.end(model)];
        let (p_roots, q_roots) = (arguments(p), q.roots());
        let mut roots: Vec<ExprId> =
            p_roots.iter().chain(&q_roots).copied().chain(ends.into_iter().flatten()).collect();
        roots.sort_unstable();
        roots.dedup();
        let p_inputs = model.graph.inputs_of(&[p_roots, ends[0].into_iter().collect()].concat());
        let q_inputs = model.graph.inputs_of(&[q_roots, ends[1].into_iter().collect()].concat());
        let rename = |input: InputId| match (
            p_inputs.binary_search(&input).is_ok(),
            q_inputs.binary_search(&input).is_ok(),
        ) {
            // the same expression under two sets of arguments
            (true, true) => self
                .p
                .rename(model, input)
                .filter(|renamed| self.q.rename(model, input).as_ref() == Some(renamed)),
            (true, false) => self.p.rename(model, input),
            (false, _) => self.q.rename(model, input),
        };
        let space =
            Space::over(model, &model.graph, &roots, &|input| rename(input).map(Stands::At))?;
        let column =
            |id: ExprId| roots.binary_search(&id).expect("support: every argument is a root");
        let p_law = Law::of(p, domain, &column)?;
        let q_law = match &q {
            Reaches::Written(q) => Some(Law::of(q, domain, &column)?),
            Reaches::Learned(_) => None,
        };
        let params = model.param_values();
        let mut seen = Seen::default();
        let mut evaluator = Evaluator::new(model, &params, &roots);
        for (first, inputs) in space.batches(BATCH) {
            let values = evaluator.run(&inputs);
            for row in 0..inputs.time.len() {
                let ended = ends.iter().flatten().any(|&end| values[column(end)][row] != 0.0);
                if ended
                    || p_law.fault(values, row).is_some()
                    || q_law.as_ref().is_some_and(|q| q.fault(values, row).is_some())
                {
                    continue;
                }
                let one = Row { domain, columns: values, row };
                let stray = match (&q_law, &q) {
                    (Some(q), _) => one.written(&p_law, q, &mut seen),
                    (None, Reaches::Learned(q)) => one.learned(&p_law, q, &mut seen),
                    (None, Reaches::Written(_)) => None,
                };
                if let Some(stray) = stray {
                    let what = match stray {
                        Stray::Value(value) => {
                            format!(
                                "{} = {}",
                                words::at(
                                    model,
                                    TargetVariable::Variable(self.variable),
                                    self.index
                                ),
                                domain.show(&value)
                            )
                        }
                        Stray::Component(at, value) => {
                            self.shown(model, &domain.components[at], value)
                        }
                    };
                    return Some(self.outside(model, &space.show(model, first + row), &what));
                }
            }
        }
        None
    }

    fn shown(&self, model: &Model, component: &Component, value: f64) -> String {
        let variable = words::at(model, TargetVariable::Variable(self.variable), self.index);
        let dot =
            if component.path.is_empty() || component.path.starts_with('[') { "" } else { "." };
        format!("{variable}{dot}{} = {value}", component.path)
    }

    fn outside(&self, model: &Model, at: &str, what: &str) -> Diagnostic {
        let name = words::at(model, TargetVariable::Variable(self.variable), self.index);
        let (p, q) = (self.p.name(model), self.q.name(model));
        let block = block_name(self.block);
        let hint = match (&self.p.law, &self.q.law) {
            (Knowledge::Written(_), _)
                if matches!(self.p.factor.kernel, KernelRef::Environment(..)) =>
            {
                format!(
                    "use `{p}` in the posterior as well, or a prior with mass on every value \
                         that `{q}` can draw"
                )
            }
            (_, Knowledge::Learned(q)) if is_over_the_line(q) => {
                "`TanhNormal(mean = …, sd = …)` stays within the declared bounds; or give the \
                 prior a `Normal`"
                    .to_owned()
            }
            (_, Knowledge::Learned(_)) if model.variable(self.variable).domain.is_finite() => {
                format!(
                    "give the {block} mass on every value that `{q}` can draw, as `Uniform` does, \
                     or \
                 leave the value out of `{q}`, too: its logits plus `log([1, 0])` \
                 leave out the second of two"
                )
            }
            _ => format!(
                "give the {block} mass on every value that `{q}` can draw, as `Uniform` \
                          does, or restrict the posterior"
            ),
        };
        Diagnostic::error(
            "outside-support",
            self.q.factor.span,
            format!(
                "the posterior can draw a value of `{name}` to which the {block} gives no mass"
            ),
        )
        .here(format!("drawn by `{q}`"))
        .also(self.p.factor.span, format!("no mass there under `{p}`"))
        .witness(witness(at, what))
        .hint(hint)
    }

    fn unknown(&self, model: &Model, hidden: &Side<'_>) -> Diagnostic {
        let name = words::at(model, TargetVariable::Variable(self.variable), self.index);
        let environment = hidden.name(model);
        let message = format!(
            "the density of `{environment}` is unknown: the bound through `{name}` is an estimate"
        );
        Diagnostic::warning("unknown-density", hidden.factor.span, message)
            .also(
                if std::ptr::eq(hidden, &raw const self.p) {
                    self.q.factor.span
                } else {
                    self.p.factor.span
                },
                "compared with this factor",
            )
            .hint(
                "a classifier estimates the ratio of the two densities from samples; whether \
                   the posterior stays where the prior has mass cannot be checked",
            )
    }
}

enum Reaches<'m> {
    Written(&'m Distribution<Vec<ExprId>>),
    Learned(Vec<Spread>),
}

impl Reaches<'_> {
    fn roots(&self) -> Vec<ExprId> {
        match self {
            Reaches::Written(distribution) => arguments(distribution),
            Reaches::Learned(_) => Vec::new(),
        }
    }
}

/// Of a family that has mass at every real number.
fn is_over_the_line<A>(distribution: &Distribution<A>) -> bool {
    matches!(distribution, Distribution::Real { family, .. } if family.reach() == Reach::Line)
}
