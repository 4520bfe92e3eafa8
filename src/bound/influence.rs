//! Which draws a draw can influence: the graph of the posterior, unrolled in time.

use super::derivation::{Downstream, Moment, Term, TermKind};
use super::time::lead;
use crate::expr::ExprId;
use crate::model::{
    Bound, Distribution, Dynamics, Factor, Index, Input, KernelId, KernelRef, LikelihoodForm, Model, Role, Target, TargetVariable, Value,
};
use std::collections::HashMap;

/// What is drawn: a variable at a time, or weights once a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Drawn {
    Variable(TargetVariable),
    Weights(KernelId),
}

/// Something that a factor or a term at `t` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Read {
    pub what: Drawn,
    pub when: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum When {
    Fixed(Moment),
    /// `t + k`
    Step(i32),
    /// all up to `t + k`
    Through(i32),
    /// all from `t + k` on
    From(i32),
}

/// The posterior's factors as a graph: who reads whom, and how many steps later.
pub struct Influence {
    index: HashMap<Drawn, usize>,
    readers: Vec<Vec<(usize, Delay)>>,
}

/// From a draw to one that reads it.
#[derive(Clone, Copy, Debug)]
enum Delay {
    Steps(i32),
    /// Read at `[1]` by all times: the earliest of them lies this much after time 1.
    FromFirst(i32),
    /// Read from any distance.
    Any,
}

/// What the draw of a factor can influence: for each variable the earliest time relative to the factor's `t`.
pub struct Reach<'a> {
    influence: &'a Influence,
    earliest: Vec<Option<Earliest>>,
    /// The factor stands for one time only.
    once: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Earliest {
    Always,
    At(i32),
}

impl Influence {
    pub fn of(model: &Model, bound: &Bound) -> Influence {
        let mut influence = Influence { index: HashMap::new(), readers: Vec::new() };
        for factor in &bound.posterior {
            let reads = factor_reads(model, bound, factor);
            for target in &factor.targets {
                let (drawn, offset) = drawn(*target);
                let reader = influence.node(drawn);
                for read in &reads {
                    let delay = match (read.when, offset) {
                        (When::Step(k) | When::Through(k), When::Step(own)) => Delay::Steps(own - k),
                        (When::Fixed(Moment::First(_)), When::Step(own)) => Delay::FromFirst(own.max(0)),
                        (When::Fixed(Moment::First(_)), _) => Delay::FromFirst(0),
                        (When::Step(_) | When::Through(_) | When::From(_) | When::Fixed(_), _) => Delay::Any,
                    };
                    let source = influence.node(read.what);
                    influence.readers[source].push((reader, delay));
                }
            }
        }
        influence
    }

    fn node(&mut self, drawn: Drawn) -> usize {
        let next = self.readers.len();
        let node = *self.index.entry(drawn).or_insert(next);
        if node == next {
            self.readers.push(Vec::new());
        }
        node
    }

    /// What the draws of `factors` at their `t` are, and all that reads them directly or through others.
    pub fn from<'a, 'f>(&'a self, factors: impl IntoIterator<Item = &'f Factor>) -> Reach<'a> {
        let mut reach = Reach { influence: self, earliest: vec![None; self.readers.len()], once: true };
        let mut waiting = Vec::new();
        for target in factors.into_iter().flat_map(|factor| &factor.targets) {
            let (drawn, when) = drawn(*target);
            let start = match when {
                When::Step(k) => {
                    reach.once = false;
                    Earliest::At(k)
                }
                When::Fixed(_) | When::Through(_) | When::From(_) => Earliest::At(0),
            };
            if let Some(&node) = self.index.get(&drawn) {
                reach.earliest[node] = Some(start);
                waiting.push(node);
            }
        }
        // shortest paths; a cycle of negative delays would be a cycle of the posterior, which `check` has refused: the cap is a safeguard
        let mut budget = 16 * (self.readers.iter().map(Vec::len).sum::<usize>() + self.readers.len() + 16);
        while let Some(node) = waiting.pop() {
            let Some(from) = reach.earliest[node] else { continue };
            for &(reader, delay) in &self.readers[node] {
                let via = match (from, delay) {
                    (Earliest::Always, _) | (_, Delay::Any) => Earliest::Always,
                    (Earliest::At(d), Delay::Steps(k)) => Earliest::At(d + k),
                    // only a draw at time 1 is read as `[1]`; a later draw of the same variable is not
                    (Earliest::At(d), Delay::FromFirst(later)) if d <= 0 => {
                        if reach.once {
                            Earliest::At(later)
                        } else {
                            Earliest::Always
                        }
                    }
                    (Earliest::At(_), Delay::FromFirst(_)) => continue,
                };
                if reach.earliest[reader].is_none_or(|known| via < known) {
                    budget = budget.saturating_sub(1);
                    reach.earliest[reader] = Some(if budget == 0 { Earliest::Always } else { via });
                    waiting.push(reader);
                }
            }
        }
        reach
    }
}

impl Reach<'_> {
    /// For which `k` a term at `k` that reads `read` is downstream of the draw at `t`; `None` if for none.
    pub fn downstream(&self, read: Read) -> Option<Downstream> {
        let earliest = self.earliest[*self.influence.index.get(&read.what)?]?;
        match (earliest, read.when) {
            (Earliest::Always, _) => Some(Downstream::All),
            (Earliest::At(d), When::Step(k) | When::Through(k)) => {
                Some(if self.once { Downstream::All } else { Downstream::Offset(d.saturating_sub(k)) })
            }
            (Earliest::At(_), When::From(_) | When::Fixed(Moment::Last(_))) => Some(Downstream::All),
            (Earliest::At(d), When::Fixed(Moment::First(k))) => (d <= k).then_some(Downstream::All),
        }
    }

    /// Whether a factor at the same `t` that conditions on `read` conditions on what the draw influences.
    pub fn influences(&self, read: Read) -> bool {
        match self.downstream(read) {
            None => false,
            Some(Downstream::All) => true,
            Some(Downstream::Offset(offset)) => offset <= 0,
        }
    }
}

/// The downstream part of a term that reads several things: the largest.
pub fn widest(reads: impl IntoIterator<Item = Option<Downstream>>) -> Option<Downstream> {
    reads.into_iter().flatten().reduce(|a, b| match (a, b) {
        (Downstream::Offset(a), Downstream::Offset(b)) => Downstream::Offset(a.min(b)),
        (Downstream::All, _) | (_, Downstream::All) => Downstream::All,
    })
}

/// Whose draw a target is, and when.
pub fn drawn(target: Target) -> (Drawn, When) {
    match target {
        Target::Weights(kernel) => (Drawn::Weights(kernel), When::Fixed(Moment::First(0))),
        Target::Variable { variable, index } => (Drawn::Variable(variable), when(index)),
    }
}

fn when(index: Index) -> When {
    match index {
        Index::First => When::Fixed(Moment::First(0)),
        Index::Step(k) => When::Step(k),
        Index::Last(k) => When::Fixed(Moment::Last(k)),
    }
}

/// What a factor conditions on.
pub fn factor_reads(model: &Model, bound: &Bound, factor: &Factor) -> Vec<Read> {
    let mut reads = Vec::new();
    for value in &factor.arguments {
        value_reads(model, bound, value, &mut reads);
    }
    match &factor.kernel {
        KernelRef::InPlace(distribution) => expression_reads(model, bound, &distribution_expressions(distribution), &mut reads),
        KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => weights_read(bound, *kernel, &mut reads),
        KernelRef::Environment(..) | KernelRef::Data(_) => {}
    }
    reads
}

/// What the value of a term at `t` depends on, the liveness of its step included.
pub fn term_reads(model: &Model, bound: &Bound, term: &Term) -> Vec<Read> {
    let mut reads = Vec::new();
    kind_reads(model, bound, &term.kind, &mut reads);
    if term.live {
        liveness_reads(model, bound, &term.kind, &mut reads);
    }
    reads.sort_unstable();
    reads.dedup();
    reads
}

fn kind_reads(model: &Model, bound: &Bound, kind: &TermKind, reads: &mut Vec<Read>) {
    match kind {
        TermKind::Exponent { likelihood } | TermKind::LogDensity { likelihood } => match &bound.likelihood[*likelihood as usize].form {
            LikelihoodForm::Exponential { value, .. } => expression_reads(model, bound, &[*value], reads),
            LikelihoodForm::Density { kernel, values, givens } => {
                for value in values.iter().chain(givens) {
                    value_reads(model, bound, value, reads);
                }
                if let KernelRef::Learned(kernel) | KernelRef::Previous(kernel) = kernel {
                    weights_read(bound, *kernel, reads);
                }
            }
        },
        TermKind::LogFactor { factor } => {
            let factor = bound.factor(*factor);
            reads.extend(factor.targets.iter().map(|target| target_read(*target)));
            reads.extend(factor_reads(model, bound, factor));
        }
        TermKind::LogRatio { p, q } | TermKind::DensityRatio { p, q } => {
            reads.extend(bound.factor(*q).targets.iter().map(|target| target_read(*target)));
            reads.extend(pair_reads(model, bound, *p, *q));
        }
        // a closed form reads what both condition on, not the draw
        TermKind::Kl { q, p } => reads.extend(pair_reads(model, bound, *p, *q)),
        TermKind::Entropy { q } => reads.extend(factor_reads(model, bound, bound.factor(*q))),
        TermKind::LogCount { .. } => {}
        TermKind::Constant { of, .. } => kind_reads(model, bound, of, reads),
    }
}

fn pair_reads(model: &Model, bound: &Bound, p: crate::model::FactorRef, q: crate::model::FactorRef) -> Vec<Read> {
    let (p, q) = (bound.factor(p), bound.factor(q));
    let shift = lead(q) - lead(p);
    let mut reads = factor_reads(model, bound, q);
    reads.extend(factor_reads(model, bound, p).into_iter().map(|read| shifted(read, shift)));
    reads
}

/// The same read by a factor that is written with another lead.
pub fn shifted(read: Read, by: i32) -> Read {
    let when = match read.when {
        When::Fixed(moment) => When::Fixed(moment),
        When::Step(k) => When::Step(k + by),
        When::Through(k) => When::Through(k + by),
        When::From(k) => When::From(k + by),
    };
    Read { when, ..read }
}

fn target_read(target: Target) -> Read {
    let (what, when) = drawn(target);
    Read { what, when }
}

/// Whether a step is live is read off the state it starts in, or off the drawn ends before it.
fn liveness_reads(model: &Model, bound: &Bound, kind: &TermKind, reads: &mut Vec<Read>) {
    let q = match kind {
        TermKind::Kl { q, .. } | TermKind::Entropy { q } | TermKind::LogCount { q, .. } => *q,
        TermKind::LogRatio { q, .. } | TermKind::DensityRatio { q, .. } => *q,
        TermKind::LogFactor { factor } => *factor,
        TermKind::Exponent { .. } | TermKind::LogDensity { .. } => return,
        TermKind::Constant { of, .. } => return liveness_reads(model, bound, of, reads),
    };
    // a state's factor is live where the step that leads to it is
    let back = match bound.factor(q).targets[0] {
        Target::Variable { variable: TargetVariable::Variable(id), .. } if model.variable(id).role == Role::State => 1,
        Target::Variable { .. } | Target::Weights(_) => 0,
    };
    let at = match target_read(bound.factor(q).targets[0]).when {
        When::Step(k) => When::Step(k - back),
        When::Fixed(Moment::First(k)) => When::Fixed(Moment::First((k - back).max(0))),
        When::Fixed(Moment::Last(k)) => When::Fixed(Moment::Last(k - back)),
        When::Through(k) => When::Through(k),
        When::From(k) => When::From(k),
    };
    for factor in &bound.posterior {
        for target in &factor.targets {
            match target {
                Target::Variable { variable: variable @ TargetVariable::Variable(id), .. } => {
                    let ends = model.variable(*id).role == Role::State
                        && model.variable(*id).environment.is_some_and(|id| match &model.environment(id).dynamics {
                            Dynamics::Written { end, .. } => end.is_some(),
                            Dynamics::External { .. } => true,
                        });
                    if ends {
                        reads.push(Read { what: Drawn::Variable(*variable), when: at });
                    }
                }
                Target::Variable { variable: TargetVariable::End, .. } => {
                    let when = match at {
                        When::Step(k) => When::Through(k - 1),
                        When::Fixed(_) | When::Through(_) | When::From(_) => at,
                    };
                    reads.push(Read { what: Drawn::Variable(TargetVariable::End), when });
                }
                Target::Variable { variable: TargetVariable::Reward(..), .. } | Target::Weights(_) => {}
            }
        }
    }
}

fn weights_read(bound: &Bound, kernel: KernelId, reads: &mut Vec<Read>) {
    let drawn_once = bound.posterior.iter().any(|factor| factor.targets.contains(&Target::Weights(kernel)));
    if drawn_once {
        reads.push(Read { what: Drawn::Weights(kernel), when: When::Fixed(Moment::First(0)) });
    }
}

fn value_reads(model: &Model, bound: &Bound, value: &Value, reads: &mut Vec<Read>) {
    let mut push = |variable, when| reads.push(Read { what: Drawn::Variable(TargetVariable::Variable(variable)), when });
    match value {
        Value::Variable { variable, index } => push(*variable, when(*index)),
        Value::Window { variable, from: Index::Step(from), to: Index::Step(to) } => {
            (*from..=*to).for_each(|k| push(*variable, When::Step(k)))
        }
        Value::Window { variable, from, to } => {
            push(*variable, when(*from));
            push(*variable, when(*to));
        }
        Value::Past { variable, to: Index::Step(k) } => push(*variable, When::Through(*k)),
        Value::Past { variable, to } => push(*variable, when(*to)),
        Value::Future { variable, from: Index::Step(k) } => push(*variable, When::From(*k)),
        Value::Future { variable, from } => push(*variable, when(*from)),
        Value::Reward { environment, reward, index } => reward_reads(model, bound, (*environment, *reward), *index, reads),
        Value::Expression(expressions) => expression_reads(model, bound, expressions, reads),
        Value::Time | Value::Absent => {}
    }
}

fn expression_reads(model: &Model, bound: &Bound, expressions: &[ExprId], reads: &mut Vec<Read>) {
    for input in model.graph.inputs_of(expressions) {
        match model.inputs[input.0 as usize] {
            Input::Variable { variable, index, .. } => {
                reads.push(Read { what: Drawn::Variable(TargetVariable::Variable(variable)), when: when(index) });
            }
            Input::Reward { environment, reward, index } => reward_reads(model, bound, (environment, reward), index, reads),
            Input::Formal { .. } => {}
        }
    }
}

/// A reward is read as drawn where the posterior draws it; else it is a function of the state, the action and the next state.
fn reward_reads(
    model: &Model,
    bound: &Bound,
    (environment, reward): (crate::model::EnvironmentId, u32),
    index: Index,
    reads: &mut Vec<Read>,
) {
    let variable = TargetVariable::Reward(environment, reward);
    let is_drawn = |target: &Target| matches!(target, Target::Variable { variable: v, .. } if *v == variable);
    if bound.posterior.iter().any(|factor| factor.targets.iter().any(is_drawn)) {
        reads.push(Read { what: Drawn::Variable(variable), when: when(index) });
        return;
    }
    let environment = model.environment(environment);
    let next = match index {
        Index::First => When::Fixed(Moment::First(1)),
        Index::Step(k) => When::Step(k + 1),
        Index::Last(k) => When::Fixed(Moment::Last(k + 1)),
    };
    let variable = |id| Drawn::Variable(TargetVariable::Variable(id));
    reads.push(Read { what: variable(environment.state), when: when(index) });
    reads.push(Read { what: variable(environment.action), when: when(index) });
    reads.push(Read { what: variable(environment.state), when: next });
}

/// All scalar expressions in a distribution's arguments.
pub fn distribution_expressions(distribution: &Distribution<Vec<ExprId>>) -> Vec<ExprId> {
    let mut expressions = Vec::new();
    distribution.for_each(&mut |argument: &Vec<ExprId>| expressions.extend(argument));
    expressions
}
