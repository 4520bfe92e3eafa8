//! From the factors of a bound, as they are written, to the nodes and edges of its graph.

use super::{FactorGraph, FactorNode, Kind, NodeId, Part, Place, VariableNode};
use crate::bound::notation::{Names, Notation, law_name};
use crate::bound::render::plain;
use crate::expr::ExprId;
use crate::model::{
    Block, Bound, BoundId, Dynamics, EnvironmentId, Factor, FactorRef, Index, Input, KernelId,
    KernelRef, Likelihood, LikelihoodForm, Model, Role, Target, TargetVariable, Value, VariableId,
};
use std::collections::{BTreeMap, BTreeSet};

/// A window of at most so many steps is drawn step by step.
const SPELT_OUT: i32 = 5;

/// The factor graph of one bound.
///
/// A factor that prior (or auxiliary block) and posterior write alike is one node in both. Rewards
/// and ends that the posterior does not draw are computed by a factor of their environment; they
/// are there where something reads them.
pub fn factor_graph(model: &Model, bound: BoundId) -> FactorGraph {
    let bound = model.bound(bound);
    let mut draft = Draft { model, bound, nodes: BTreeMap::new(), factors: Vec::new() };
    let notation = Notation::of(model, bound, &Names::of(model));
    let mut shared = BTreeSet::new();
    for (block, part) in [
        (Block::Prior, Part::Prior),
        (Block::Auxiliary, Part::Auxiliary),
        (Block::Posterior, Part::Posterior),
    ] {
        for (at, factor) in bound.factors(block).iter().enumerate() {
            let mut parts = BTreeSet::from([part]);
            if block != Block::Posterior
                && let Some(twin) = bound.posterior.iter().position(|other| is_alike(factor, other))
            {
                parts.insert(Part::Posterior);
                shared.insert(twin);
            }
            if block == Block::Posterior && shared.contains(&at) {
                continue;
            }
            let formula = plain(&notation.density(FactorRef { block, at: at as u32 }));
            draft.factor(factor, parts, formula);
        }
    }
    for (number, likelihood) in bound.likelihood.iter().enumerate() {
        draft.likelihood(number as u32, likelihood, plain(&notation.likelihood[number].alone()));
    }
    draft.rewards();
    draft.ends();
    draft.finish()
}

/// Rows of the picture, from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Row {
    Weights(KernelId),
    State(VariableId),
    Observation(VariableId),
    Option(VariableId),
    Action(VariableId),
    Reward(EnvironmentId, u32),
    End,
    Event(u32),
}

type Key = (Row, Place);

struct Draft<'a> {
    model: &'a Model,
    bound: &'a Bound,
    nodes: BTreeMap<Key, Kind>,
    factors: Vec<FactorDraft>,
}

struct FactorDraft {
    law: String,
    formula: String,
    parts: BTreeSet<Part>,
    reads: BTreeSet<Key>,
    draws: Vec<Key>,
}

impl Draft<'_> {
    fn factor(&mut self, factor: &Factor, parts: BTreeSet<Part>, formula: String) {
        let mut reads = BTreeSet::new();
        factor.arguments.iter().for_each(|value| self.value_reads(value, &mut reads));
        self.kernel_reads(&factor.kernel, &mut reads);
        let draws = factor.targets.iter().map(|target| match *target {
            Target::Weights(kernel) => (Row::Weights(kernel), Place::Run),
            Target::Variable { variable, index } => (self.target_row(variable), place(index)),
        });
        let draws = draws.collect();
        self.add(
            plain(&law_name(self.model, &factor.kernel)),
            formula,
            owned(parts, &factor.kernel),
            reads,
            draws,
            Kind::Drawn,
        );
    }

    /// The event `R[t]` and its factor, an exponential or a kernel's density.
    fn likelihood(&mut self, number: u32, likelihood: &Likelihood, formula: String) {
        let mut reads = BTreeSet::new();
        let mut parts = BTreeSet::from([Part::Likelihood]);
        let (law, formula) = match &likelihood.form {
            LikelihoodForm::Exponential { value, .. } => {
                self.expression_reads(&[*value], &mut reads);
                let formula = format!("exp({formula})");
                (formula.clone(), formula)
            }
            LikelihoodForm::Density { kernel, values, givens } => {
                values.iter().chain(givens).for_each(|value| self.value_reads(value, &mut reads));
                self.kernel_reads(kernel, &mut reads);
                parts = owned(parts, kernel);
                (plain(&law_name(self.model, kernel)), formula)
            }
        };
        self.add(
            law,
            formula,
            parts,
            reads,
            vec![(Row::Event(number), place(likelihood.index))],
            Kind::Event,
        );
    }

    /// The environments' own rewards: a factor for each that is read and that the posterior does
    /// not draw.
    fn rewards(&mut self) {
        let read: Vec<Key> = self.nodes.keys().copied().collect();
        for (row, at) in read {
            let Row::Reward(environment, reward) = row else { continue };
            let is_it = |target: &Target| {
                matches!(target, Target::Variable { variable: TargetVariable::Reward(e, r), .. }
                    if (*e, *r) == (environment, reward))
            };
            if self.bound.posterior.iter().any(|factor| factor.targets.iter().any(is_it)) {
                continue;
            }
            let of = self.model.environment(environment);
            let inputs: BTreeSet<Key> = match of.rewards[reward as usize].value {
                Some(value) => {
                    let mut reads = BTreeSet::new();
                    self.expression_reads(&[value], &mut reads);
                    reads
                }
                None => {
                    let now =
                        of.transition_reads().map(|id| (self.variable_row(id), Place::Step(0)));
                    now.chain([(self.variable_row(of.state), Place::Step(1))]).collect()
                }
            };
            let reads = inputs.into_iter().map(|(row, place)| (row, moved(place, at))).collect();
            let formula = format!(
                "{}[{}], a function of the environment",
                of.rewards[reward as usize].name,
                at.index()
            );
            self.add(
                format!("{} reward", of.name),
                formula,
                BTreeSet::from([Part::Environment]),
                reads,
                vec![(row, at)],
                Kind::Computed,
            );
        }
    }

    /// The environment's own end of the episode, where something reads or predicts it and the
    /// posterior does not draw it: a function of the state that a step led to.
    fn ends(&mut self) {
        let is_end = |target: &Target| {
            matches!(target, Target::Variable { variable: TargetVariable::End, .. })
        };
        let is_drawn = self.bound.posterior.iter().any(|factor| factor.targets.iter().any(is_end));
        let of_bound =
            self.bound.posterior.iter().flat_map(|factor| &factor.targets).find_map(|target| {
                match target {
                    Target::Variable { variable: TargetVariable::Variable(id), .. } => {
                        self.model.variable(*id).environment
                    }
                    Target::Variable { .. } | Target::Weights(_) => None,
                }
            });
        let (Some(environment), false) = (of_bound, is_drawn) else { return };
        let of = self.model.environment(environment);
        let mut inputs = BTreeSet::new();
        match of.dynamics {
            Dynamics::Written { end: Some(end), .. } => self.expression_reads(&[end], &mut inputs),
            Dynamics::Written { end: None, .. } => {}
            Dynamics::External { .. } => {
                inputs.extend([(self.variable_row(of.state), Place::Step(0))])
            }
        }
        let ends: Vec<Key> =
            self.nodes.keys().copied().filter(|(row, _)| *row == Row::End).collect();
        for (row, at) in ends {
            let reads = inputs
                .iter()
                .map(|(row, place)| (*row, moved(moved(*place, Place::Step(1)), at)))
                .collect();
            let formula = format!("end[{}], a function of the environment", at.index());
            self.add(
                format!("{} end", of.name),
                formula,
                BTreeSet::from([Part::Environment]),
                reads,
                vec![(row, at)],
                Kind::Computed,
            );
        }
    }

    fn add(
        &mut self,
        law: String,
        formula: String,
        parts: BTreeSet<Part>,
        reads: BTreeSet<Key>,
        draws: Vec<Key>,
        kind: Kind,
    ) {
        for read in &reads {
            self.nodes.entry(*read).or_insert(Kind::Elsewhere);
        }
        for draw in &draws {
            self.nodes.insert(*draw, kind);
        }
        self.factors.push(FactorDraft { law, formula, parts, reads, draws });
    }

    fn value_reads(&self, value: &Value, reads: &mut BTreeSet<Key>) {
        match value {
            Value::Variable { variable, index } => {
                reads.insert((self.variable_row(*variable), place(*index)));
            }
            Value::Reward { environment, reward, index } => {
                reads.insert((Row::Reward(*environment, *reward), place(*index)));
            }
            Value::Window { variable, from: Index::Step(from), to: Index::Step(to) }
                if to - from >= SPELT_OUT =>
            {
                reads.insert((self.variable_row(*variable), Place::Window(*from, *to)));
            }
            Value::Window { variable, from: Index::Step(from), to: Index::Step(to) } => {
                let row = self.variable_row(*variable);
                reads.extend((*from..=*to).map(|k| (row, Place::Step(k))));
            }
            Value::Window { variable, from, to } => {
                let row = self.variable_row(*variable);
                reads.extend([(row, place(*from)), (row, place(*to))]);
            }
            Value::Past { variable, to } => {
                let through = match *to {
                    Index::First => Place::First(0),
                    Index::Step(k) => Place::Through(k),
                    Index::Last(k) => Place::ThroughLast(k),
                };
                reads.insert((self.variable_row(*variable), through));
            }
            Value::Future { variable, from } => {
                let onwards = match *from {
                    // all of it, from the beginning
                    Index::First => Place::ThroughLast(0),
                    Index::Step(k) => Place::From(k),
                    Index::Last(k) => Place::Last(k),
                };
                reads.insert((self.variable_row(*variable), onwards));
            }
            Value::Expression(expressions) => self.expression_reads(expressions, reads),
            Value::Time | Value::Absent => {}
        }
    }

    /// What the arguments of a distribution in place read; of a learned kernel its weights, where
    /// they are drawn.
    fn kernel_reads(&self, kernel: &KernelRef, reads: &mut BTreeSet<Key>) {
        match kernel {
            KernelRef::InPlace(distribution) => {
                distribution.for_each(&mut |argument| self.expression_reads(argument, reads))
            }
            KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => {
                if self
                    .bound
                    .posterior
                    .iter()
                    .any(|factor| factor.targets.contains(&Target::Weights(*kernel)))
                {
                    reads.insert((Row::Weights(*kernel), Place::Run));
                }
            }
            KernelRef::Environment(..) | KernelRef::Data(_) => {}
        }
    }

    fn expression_reads(&self, expressions: &[ExprId], reads: &mut BTreeSet<Key>) {
        for input in self.model.graph.inputs_of(expressions) {
            match self.model.inputs[input.0 as usize] {
                Input::Variable { variable, index, .. } => {
                    reads.insert((self.variable_row(variable), place(index)))
                }
                Input::Reward { environment, reward, index } => {
                    reads.insert((Row::Reward(environment, reward), place(index)))
                }
                // of a kernel's own network: the factor's arguments say what it is
                Input::Formal { .. } => false,
                Input::Gain(gain) => {
                    self.model.gain(gain).reads().for_each(|value| self.value_reads(value, reads));
                    false
                }
            };
        }
    }

    fn variable_row(&self, id: VariableId) -> Row {
        match self.model.variable(id).role {
            Role::State => Row::State(id),
            Role::Action => Row::Action(id),
            Role::Option => Row::Option(id),
            Role::Observation => Row::Observation(id),
        }
    }

    fn target_row(&self, variable: TargetVariable) -> Row {
        match variable {
            TargetVariable::Variable(id) => self.variable_row(id),
            TargetVariable::Reward(environment, reward) => Row::Reward(environment, reward),
            TargetVariable::End => Row::End,
        }
    }

    /// Numbers the nodes by row and place.
    fn finish(self) -> FactorGraph {
        let ids: BTreeMap<Key, NodeId> = self
            .nodes
            .keys()
            .enumerate()
            .map(|(number, key)| (*key, NodeId(number as u32)))
            .collect();
        let rows: BTreeSet<Row> = self.nodes.keys().map(|(row, _)| *row).collect();
        let row_number = |row: Row| rows.range(..row).count() as u32;
        let variables = self.nodes.iter().map(|(&(row, place), &kind)| VariableNode {
            name: self.name(row),
            place,
            row: row_number(row),
            kind,
        });
        let variables = variables.collect();
        let same = self.nodes.keys().filter_map(|&(row, place)| {
            let step = match place {
                Place::First(k) | Place::Last(k) => Place::Step(k),
                Place::Run
                | Place::Through(_)
                | Place::Step(_)
                | Place::Window(..)
                | Place::From(_)
                | Place::ThroughLast(_) => {
                    return None;
                }
            };
            Some((ids[&(row, place)], *ids.get(&(row, step))?))
        });
        let same = same.collect();
        let name = self.bound.name.as_ref();
        let title = name
            .map_or_else(|| self.model.name.clone(), |name| format!("{}: {name}", self.model.name));
        let factors = self.factors.into_iter().map(|factor| FactorNode {
            law: factor.law,
            formula: factor.formula,
            parts: factor.parts,
            reads: factor.reads.iter().map(|key| ids[key]).collect(),
            draws: factor.draws.iter().map(|key| ids[key]).collect(),
        });
        FactorGraph { title, variables, factors: factors.collect(), same }
    }

    fn name(&self, row: Row) -> String {
        match row {
            Row::Weights(kernel) => format!("weights({})", self.model.kernel(kernel).name),
            Row::State(id) | Row::Observation(id) | Row::Option(id) | Row::Action(id) => {
                self.model.variable(id).name.clone()
            }
            Row::Reward(environment, reward) => {
                self.model.environment(environment).rewards[reward as usize].name.clone()
            }
            Row::End => "end".to_owned(),
            Row::Event(number) => self.bound.likelihood[number as usize].name.clone(),
        }
    }
}

/// The same draws from the same kernel at the same arguments: such a factor cancels in the bound.
fn is_alike(p: &Factor, q: &Factor) -> bool {
    p.targets == q.targets && p.kernel == q.kernel && p.arguments == q.arguments
}

fn owned(mut parts: BTreeSet<Part>, kernel: &KernelRef) -> BTreeSet<Part> {
    match kernel {
        KernelRef::Environment(..) => {
            parts.insert(Part::Environment);
        }
        KernelRef::Learned(_)
        | KernelRef::Previous(_)
        | KernelRef::Data(_)
        | KernelRef::InPlace(_) => {}
    }
    parts
}

fn place(index: Index) -> Place {
    match index {
        Index::First => Place::First(0),
        Index::Step(k) => Place::Step(k),
        Index::Last(k) => Place::Last(k),
    }
}

/// What a reward's function reads at `place` relative to its own step, for the reward `at`.
fn moved(read: Place, at: Place) -> Place {
    match (read, at) {
        (Place::Step(j), Place::Step(k)) => Place::Step(j + k),
        (Place::Step(j), Place::First(k)) => Place::First(j + k),
        (Place::Step(j), Place::Last(k)) => Place::Last(j + k),
        (read, _) => read,
    }
}
