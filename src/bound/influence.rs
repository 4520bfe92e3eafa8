//! Which draws a draw can influence: the graph of the posterior, unrolled in time.

use super::term::{Downstream, Moment, Term, TermKind};
use super::time::{lead, step_of_draw};
use crate::expr::ExprId;
use crate::model::{
    Bound, Distribution, Dynamics, Factor, Index, Input, KernelId, KernelRef, LikelihoodForm,
    Model, Role, Target, TargetVariable, Value,
};
use std::collections::{HashMap, HashSet};

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

/// A bound, and what its posterior draws: looked up for every read, so found once.
pub struct Scope<'a> {
    pub model: &'a Model,
    pub bound: &'a Bound,
    drawn: HashSet<Drawn>,
    /// The drawn variables off which it is read whether a step is live.
    ends: Vec<TargetVariable>,
}

/// The posterior's factors as a graph: who reads whom, and how many steps later.
pub struct Influence {
    index: HashMap<Drawn, usize>,
    /// By node, the reverse of `index`.
    drawn: Vec<Drawn>,
    readers: Vec<Vec<(usize, Delay)>>,
    /// Nodes and edges.
    size: usize,
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

/// What the draw of a factor can influence: for each variable the earliest time relative to the
/// factor's `t`. As large as what is influenced, not as the bound.
pub struct Reach<'a> {
    influence: &'a Influence,
    earliest: HashMap<usize, Earliest>,
    /// The factor stands for one time only.
    once: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Earliest {
    Always,
    At(i32),
}

impl<'a> Scope<'a> {
    pub fn of(model: &'a Model, bound: &'a Bound) -> Scope<'a> {
        let targets = || bound.posterior.iter().flat_map(|factor| &factor.targets);
        let ends = targets().filter_map(|target| match *target {
            Target::Variable { variable: variable @ TargetVariable::Variable(id), .. } => {
                let variable_ends = model.variable(id).role == Role::State
                    && model.variable(id).environment.is_some_and(|id| {
                        match &model.environment(id).dynamics {
                            Dynamics::Written { end, .. } => end.is_some(),
                            Dynamics::External { .. } => true,
                        }
                    });
                variable_ends.then_some(variable)
            }
            Target::Variable { variable: variable @ TargetVariable::End, .. } => Some(variable),
            Target::Variable { variable: TargetVariable::Reward(..), .. } | Target::Weights(_) => {
                None
            }
        });
        Scope {
            model,
            bound,
            drawn: targets().map(|target| drawn(*target).0).collect(),
            ends: ends.collect(),
        }
    }
}

impl Influence {
    pub fn of(scope: &Scope) -> Influence {
        let mut influence =
            Influence { index: HashMap::new(), drawn: Vec::new(), readers: Vec::new(), size: 0 };
        for factor in &scope.bound.posterior {
            let mut reads = factor_reads(scope, factor);
            // whatever later steps draw is absorbed, or there is none of it; before the first
            // nothing can have ended
            let is_first = drawn(factor.targets[0]).1 == When::Fixed(Moment::First(0));
            if scope.ends.contains(&TargetVariable::End) && !is_first {
                let when = When::Through(step_of_draw(scope.model, factor).saturating_sub(1));
                reads.push(Read { what: Drawn::Variable(TargetVariable::End), when });
            }
            for target in &factor.targets {
                let (drawn, offset) = drawn(*target);
                let reader = influence.node(drawn);
                for read in &reads {
                    let delay = match (read.when, offset) {
                        (When::Step(k) | When::Through(k), When::Step(own)) => {
                            Delay::Steps(own.saturating_sub(k))
                        }
                        (When::Fixed(Moment::First(_)), When::Step(own)) => {
                            Delay::FromFirst(own.max(0))
                        }
                        (When::Fixed(Moment::First(_)), _) => Delay::FromFirst(0),
                        (When::Step(_) | When::Through(_) | When::From(_) | When::Fixed(_), _) => {
                            Delay::Any
                        }
                    };
                    let source = influence.node(read.what);
                    influence.readers[source].push((reader, delay));
                    influence.size += 1;
                }
            }
        }
        influence.size += influence.readers.len();
        influence
    }

    fn node(&mut self, drawn: Drawn) -> usize {
        let next = self.readers.len();
        let node = *self.index.entry(drawn).or_insert(next);
        if node == next {
            self.readers.push(Vec::new());
            self.drawn.push(drawn);
        }
        node
    }

    /// What the draws of `factors` at their `t` are, and all that reads them directly or through
    /// others.
    pub fn from<'a, 'f>(&'a self, factors: impl IntoIterator<Item = &'f Factor>) -> Reach<'a> {
        let mut reach = Reach { influence: self, earliest: HashMap::new(), once: true };
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
                reach.earliest.insert(node, start);
                waiting.push(node);
            }
        }
        // shortest paths; a cycle of negative delays would be a cycle of the posterior, which
        // `check` has refused: the cap is a safeguard
        let mut budget = 16 * (self.size + 16);
        while let Some(node) = waiting.pop() {
            let from = reach.earliest[&node];
            for &(reader, delay) in &self.readers[node] {
                let via = match (from, delay) {
                    (Earliest::Always, _) | (_, Delay::Any) => Earliest::Always,
                    (Earliest::At(d), Delay::Steps(k)) => Earliest::At(d.saturating_add(k)),
                    // only a draw at time 1 is read as `[1]`; a later draw of the same variable is
                    // not. It moves with draws up to `t = 1 − d`
                    (Earliest::At(d), Delay::FromFirst(later)) if d <= 0 => {
                        Earliest::At(if reach.once { later } else { later.saturating_add(d) })
                    }
                    (Earliest::At(_), Delay::FromFirst(_)) => continue,
                };
                counted();
                if reach.earliest.get(&reader).is_none_or(|known| via < *known) {
                    budget = budget.saturating_sub(1);
                    reach.earliest.insert(reader, if budget == 0 { Earliest::Always } else { via });
                    waiting.push(reader);
                }
            }
        }
        reach
    }
}

impl Reach<'_> {
    /// For which `k` a term at `k` that reads `read` is downstream of the draw at `t`; `None` if
    /// for none.
    pub fn downstream(&self, read: Read) -> Option<Downstream> {
        counted();
        let earliest = *self.earliest.get(self.influence.index.get(&read.what)?)?;
        match (earliest, read.when) {
            (Earliest::Always, _) => Some(Downstream::All),
            (Earliest::At(d), When::Step(k) | When::Through(k)) => Some(if self.once {
                Downstream::All
            } else {
                Downstream::Offset(d.saturating_sub(k))
            }),
            (Earliest::At(_), When::From(_) | When::Fixed(Moment::Last(_))) => {
                Some(Downstream::All)
            }
            (Earliest::At(d), When::Fixed(Moment::First(k))) => (d <= k).then_some(Downstream::All),
        }
    }

    /// All that is drawn and that the draw can influence, itself included; in no order.
    pub fn influenced(&self) -> impl Iterator<Item = Drawn> + '_ {
        self.earliest.keys().map(|node| self.influence.drawn[*node])
    }

    /// Whether a factor at the same `t` that conditions on `read` conditions on what the draw
    /// influences.
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
pub fn factor_reads(scope: &Scope, factor: &Factor) -> Vec<Read> {
    let mut reads = Vec::new();
    for value in &factor.arguments {
        value_reads(scope, value, &mut reads);
    }
    match &factor.kernel {
        KernelRef::InPlace(distribution) => {
            expression_reads(scope, &distribution_expressions(distribution), &mut reads)
        }
        KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => {
            weights_read(scope, *kernel, &mut reads)
        }
        KernelRef::Environment(..) | KernelRef::Data(_) => {}
    }
    reads
}

/// What the value of a term at `t` depends on, the liveness of its step included.
pub fn term_reads(scope: &Scope, term: &Term) -> Vec<Read> {
    let mut reads = Vec::new();
    kind_reads(scope, &term.kind, &mut reads);
    if term.live {
        liveness_reads(scope, &term.kind, &mut reads);
    }
    if term.times.is_once() {
        reads = reads.into_iter().filter_map(|read| read_at(read, term.times.from)).collect();
    }
    reads.sort_unstable();
    reads.dedup();
    reads
}

fn kind_reads(scope: &Scope, kind: &TermKind, reads: &mut Vec<Read>) {
    match kind {
        TermKind::Exponent { likelihood } | TermKind::LogDensity { likelihood } => {
            match &scope.bound.likelihood[*likelihood as usize].form {
                LikelihoodForm::Exponential { value, .. } => {
                    expression_reads(scope, &[*value], reads)
                }
                LikelihoodForm::Density { kernel, values, givens } => {
                    for value in values.iter().chain(givens) {
                        value_reads(scope, value, reads);
                    }
                    if let KernelRef::Learned(kernel) | KernelRef::Previous(kernel) = kernel {
                        weights_read(scope, *kernel, reads);
                    }
                }
            }
        }
        TermKind::LogFactor { factor } => {
            let factor = scope.bound.factor(*factor);
            reads.extend(factor.targets.iter().map(|target| target_read(*target)));
            reads.extend(factor_reads(scope, factor));
        }
        TermKind::LogRatio { p, q } | TermKind::DensityRatio { p, q } => {
            reads.extend(scope.bound.factor(*q).targets.iter().map(|target| target_read(*target)));
            reads.extend(pair_reads(scope, *p, *q));
        }
        // a closed form reads what both condition on, not the draw
        TermKind::Kl { q, p } => reads.extend(pair_reads(scope, *p, *q)),
        TermKind::Entropy { q } => reads.extend(factor_reads(scope, scope.bound.factor(*q))),
        TermKind::LogCount { .. } => {}
        TermKind::Constant { of, .. } => kind_reads(scope, of, reads),
    }
}

fn pair_reads(scope: &Scope, p: crate::model::FactorRef, q: crate::model::FactorRef) -> Vec<Read> {
    let (p, q) = (scope.bound.factor(p), scope.bound.factor(q));
    let shift = lead(q).saturating_sub(lead(p));
    let mut reads = factor_reads(scope, q);
    reads.extend(factor_reads(scope, p).into_iter().map(|read| shifted(read, shift)));
    reads
}

/// The same read by a factor that is written with another lead.
pub fn shifted(read: Read, by: i32) -> Read {
    let when = match read.when {
        When::Fixed(moment) => When::Fixed(moment),
        When::Step(k) => When::Step(k.saturating_add(by)),
        When::Through(k) => When::Through(k.saturating_add(by)),
        When::From(k) => When::From(k.saturating_add(by)),
    };
    Read { when, ..read }
}

/// The same read by what stands at one time alone; `None` where that lies before the first time,
/// where `none` is read.
pub fn read_at(read: Read, now: Moment) -> Option<Read> {
    let is_there = |k: i32| now.shifted(k) >= Moment::First(0);
    match read.when {
        When::Step(k) => is_there(k).then(|| Read { when: When::Fixed(now.shifted(k)), ..read }),
        When::Through(k) => is_there(k).then_some(read),
        When::Fixed(_) | When::From(_) => Some(read),
    }
}

fn target_read(target: Target) -> Read {
    let (what, when) = drawn(target);
    Read { what, when }
}

/// Whether a step is live is read off the state it starts in, or off the drawn ends before it.
fn liveness_reads(scope: &Scope, kind: &TermKind, reads: &mut Vec<Read>) {
    let q = match kind {
        TermKind::Kl { q, .. } | TermKind::Entropy { q } | TermKind::LogCount { q, .. } => *q,
        TermKind::LogRatio { q, .. } | TermKind::DensityRatio { q, .. } => *q,
        TermKind::LogFactor { factor } => *factor,
        TermKind::Exponent { .. } | TermKind::LogDensity { .. } => return,
        TermKind::Constant { of, .. } => return liveness_reads(scope, of, reads),
    };
    // a state's factor is live where the step that leads to it is
    let back = match scope.bound.factor(q).targets[0] {
        Target::Variable { variable: TargetVariable::Variable(id), .. }
            if scope.model.variable(id).role == Role::State =>
        {
            1
        }
        Target::Variable { .. } | Target::Weights(_) => 0,
    };
    let at = match target_read(scope.bound.factor(q).targets[0]).when {
        When::Step(k) => When::Step(k.saturating_sub(back)),
        When::Fixed(Moment::First(k)) => When::Fixed(Moment::First((k - back).max(0))),
        When::Fixed(Moment::Last(k)) => When::Fixed(Moment::Last(k - back)),
        When::Through(k) => When::Through(k),
        When::From(k) => When::From(k),
    };
    for variable in &scope.ends {
        let when = match (variable, at) {
            // an end at `t` stops what comes after it
            (TargetVariable::End, When::Step(k)) => When::Through(k.saturating_sub(1)),
            (TargetVariable::End | TargetVariable::Variable(_) | TargetVariable::Reward(..), _) => {
                at
            }
        };
        reads.push(Read { what: Drawn::Variable(*variable), when });
    }
}

fn weights_read(scope: &Scope, kernel: KernelId, reads: &mut Vec<Read>) {
    if scope.drawn.contains(&Drawn::Weights(kernel)) {
        reads.push(Read { what: Drawn::Weights(kernel), when: When::Fixed(Moment::First(0)) });
    }
}

fn value_reads(scope: &Scope, value: &Value, reads: &mut Vec<Read>) {
    let mut push = |variable, when| {
        reads.push(Read { what: Drawn::Variable(TargetVariable::Variable(variable)), when })
    };
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
        Value::Reward { environment, reward, index } => {
            reward_reads(scope, (*environment, *reward), *index, reads)
        }
        Value::Expression(expressions) => expression_reads(scope, expressions, reads),
        Value::Time | Value::Absent => {}
    }
}

fn expression_reads(scope: &Scope, expressions: &[ExprId], reads: &mut Vec<Read>) {
    for input in scope.model.graph.inputs_of(expressions) {
        match scope.model.inputs[input.0 as usize] {
            Input::Variable { variable, index, .. } => {
                reads.push(Read {
                    what: Drawn::Variable(TargetVariable::Variable(variable)),
                    when: when(index),
                });
            }
            Input::Reward { environment, reward, index } => {
                reward_reads(scope, (environment, reward), index, reads)
            }
            Input::Formal { .. } => {}
            // of the mean field, not of the drawn weights: what it is frozen at nothing draws
            Input::Gain(gain) => {
                scope.model.gain(gain).reads().for_each(|value| value_reads(scope, value, reads))
            }
        }
    }
}

/// A reward is read as drawn where the posterior draws it; else it is a function of the state, the
/// action and the next state.
fn reward_reads(
    scope: &Scope,
    (environment, reward): (crate::model::EnvironmentId, u32),
    index: Index,
    reads: &mut Vec<Read>,
) {
    let variable = TargetVariable::Reward(environment, reward);
    if scope.drawn.contains(&Drawn::Variable(variable)) {
        reads.push(Read { what: Drawn::Variable(variable), when: when(index) });
        return;
    }
    let environment = scope.model.environment(environment);
    let next = match index {
        Index::First => When::Fixed(Moment::First(1)),
        Index::Step(k) => When::Step(k.saturating_add(1)),
        Index::Last(k) => When::Fixed(Moment::Last(k + 1)),
    };
    let variable = |id| Drawn::Variable(TargetVariable::Variable(id));
    for now in environment.transition_reads() {
        reads.push(Read { what: variable(now), when: when(index) });
    }
    reads.push(Read { what: variable(environment.state), when: next });
}

/// All scalar expressions in a distribution's arguments.
pub fn distribution_expressions(distribution: &Distribution<Vec<ExprId>>) -> Vec<ExprId> {
    let mut expressions = Vec::new();
    distribution.for_each(&mut |argument: &Vec<ExprId>| expressions.extend(argument));
    expressions
}

/// One look into the graph: what a derivation's work is counted in.
#[inline]
fn counted() {
    #[cfg(test)]
    tests::LOOKS.set(tests::LOOKS.get() + 1);
}

#[cfg(test)]
pub mod tests {
    use crate::bound::derive;
    use crate::model::{Overrides, check};
    use crate::source::Source;
    use crate::syntax::parse;
    use std::cell::Cell;

    thread_local! {
        pub static LOOKS: Cell<u64> = const { Cell::new(0) };
    }

    /// How often the derivation of a file looks into the graph.
    fn looks(text: &str) -> u64 {
        let model =
            check(&parse(&Source::new("grown", text)).unwrap(), &Overrides::default()).unwrap();
        LOOKS.set(0);
        derive(&model).unwrap();
        LOOKS.get()
    }

    const LINE: &str = "
        model grown
        horizon T = 5
        environment line {
          state s : 0..4; action a : { left, right }; reward r in [-1, 0]
          s[1] ~ Delta(0); s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4)); r[t] = if s[t+1] == \
          4 then 0 else -1
          end when s[t] == 4
        }";

    fn bounds(count: usize) -> String {
        let bound = |k| {
            format!(
                "kernel pi{k}(a | s) = Categorical(logits = table(s))
                 bound b{k} {{
                   prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ \
                   line.transition(s[t], a[t]) }}
                   likelihood {{ R[t] ~ exp(r[t]) }}
                   posterior  {{ s[1] ~ line.initial; a[t] ~ pi{k}(s[t]); s[t+1] ~ \
                   line.transition(s[t], a[t]) }}
                 }}"
            )
        };
        let bounds: String = (0..count).map(bound).collect();
        let maximised: String = (0..count).map(|k| format!("maximize b{k} over pi{k}\n")).collect();
        format!("{LINE} {bounds} infer {{ {maximised} }}")
    }

    fn options(count: usize) -> String {
        let all = |of: &dyn Fn(usize) -> String| (0..count).map(of).collect::<String>();
        let declared = all(&|k| {
            format!(
                "option o{k} : 4\nkernel pick{k}(o{k} | s, last: o{k}?) = Categorical(logits = \
                 table(s, last))\n"
            )
        });
        let prior = all(&|k| format!("o{k}[t] ~ Uniform\n"));
        let posterior = all(&|k| format!("o{k}[t] ~ pick{k}(s[t], o{k}[t-1])\n"));
        format!(
            "{LINE} {declared}
             kernel pi(a | s) = Categorical(logits = table(s))
             prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], \
             a[t]); {prior} }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], \
             a[t]); {posterior} }}"
        )
    }

    #[test]
    fn the_work_of_a_derivation_grows_with_its_file() {
        for text in [bounds as fn(usize) -> String, options] {
            let (once, twice, four) = (looks(&text(20)), looks(&text(40)), looks(&text(80)));
            // twice the statements add as many looks again, but for what is there in any case
            assert!(once > 100, "{once} looks");
            assert_eq!(four - twice, 2 * (twice - once), "{once}, {twice}, {four} looks");
        }
    }
}
