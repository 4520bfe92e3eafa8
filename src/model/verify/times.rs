//! At which steps of the trajectory a factor stands, what it draws there, and what it reads.

use crate::expr::ExprId;
use crate::model::{
    Distribution, Factor, Index, Input, KernelRef, Likelihood, LikelihoodForm, Model, Role, Scores,
    Target, TargetVariable, Value,
};

/// The steps `from..=to`, counted from 1; none where `from > to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    pub from: i64,
    pub to: i64,
}

impl Steps {
    pub fn is_empty(self) -> bool {
        self.from > self.to
    }

    pub fn and(self, other: Steps) -> Steps {
        Steps { from: self.from.max(other.from), to: self.to.min(other.to) }
    }

    pub fn contains(self, step: i64) -> bool {
        self.from <= step && step <= self.to
    }
}

/// What a factor or an exponent reads: `variable` at `from..=to`, relative to its own `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    pub variable: TargetVariable,
    pub from: Index,
    pub to: Index,
    /// The argument of the kernel it stands in; absent in an expression.
    pub argument: Option<usize>,
    pub kind: ReadKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadKind {
    One,
    Window,
    /// `..t-1` or `t+1..`: as long as it happens to be.
    Sequence,
    /// What a gain reads, which is 0 after the end of an episode, whatever that is.
    Gain,
}

impl Read {
    /// The steps read by a factor at `t`, also those outside the trajectory.
    pub fn steps(&self, horizon: i64, t: i64) -> Steps {
        Steps { from: at(self.from, horizon, t), to: at(self.to, horizon, t) }
    }
}

/// `T` as a signed number.
pub fn horizon(model: &Model) -> i64 {
    model.horizon.value as i64
}

/// The step that an index means at `t`.
pub fn at(index: Index, horizon: i64, t: i64) -> i64 {
    match index {
        Index::First => 1,
        Index::Step(k) => t + i64::from(k),
        Index::Last(k) => horizon + i64::from(k),
    }
}

/// `1..T+1` for a state, `1..T` for what is drawn or paid at a step.
pub fn lifetime(model: &Model, variable: TargetVariable) -> Steps {
    let to = match variable {
        TargetVariable::Variable(id) => match model.variable(id).role {
            Role::State => horizon(model) + 1,
            Role::Action | Role::Option | Role::Observation => horizon(model),
        },
        TargetVariable::Reward(..) | TargetVariable::End => horizon(model),
    };
    Steps { from: 1, to }
}

/// The steps at which a target `variable[index]` draws its variable.
pub fn drawn(model: &Model, variable: TargetVariable, index: Index) -> Steps {
    let horizon = horizon(model);
    let steps = match index {
        Index::First | Index::Last(_) => {
            Steps { from: at(index, horizon, 0), to: at(index, horizon, 0) }
        }
        Index::Step(k) => Steps { from: 1 + i64::from(k), to: horizon + i64::from(k) },
    };
    steps.and(lifetime(model, variable))
}

/// The values of `t` for which a factor stands; a factor at `[1]` or `[T]` stands once.
pub fn stands(model: &Model, factor: &Factor) -> Steps {
    let mut steps = Steps { from: 1, to: horizon(model) };
    for target in &factor.targets {
        if let Target::Variable { variable, index } = *target {
            steps = steps.and(stands_at(model, index, lifetime(model, variable)));
        }
    }
    steps
}

/// The values of `t` for which a likelihood factor stands.
pub fn likelihood_stands(model: &Model, likelihood: &Likelihood) -> Steps {
    stands_at(model, likelihood.index, Steps { from: 1, to: horizon(model) })
}

fn stands_at(model: &Model, index: Index, lifetime: Steps) -> Steps {
    let horizon = horizon(model);
    match index {
        Index::First => Steps { from: 1, to: 1 },
        Index::Last(_) => Steps { from: horizon, to: horizon },
        Index::Step(k) => {
            Steps { from: lifetime.from - i64::from(k), to: lifetime.to - i64::from(k) }
                .and(Steps { from: 1, to: horizon })
        }
    }
}

/// What a factor reads, in the order written.
pub fn reads(model: &Model, factor: &Factor) -> Vec<Read> {
    let mut found = Vec::new();
    values(model, &factor.arguments, 0, &mut found);
    kernel(model, &factor.kernel, &mut found);
    found
}

/// What a likelihood factor reads; `argument` counts the values, then the givens.
pub fn likelihood_reads(model: &Model, likelihood: &Likelihood) -> Vec<Read> {
    let mut found = Vec::new();
    match &likelihood.form {
        LikelihoodForm::Exponential { value, .. } => {
            expressions(model, &[*value], None, &mut found)
        }
        LikelihoodForm::Density { kernel: density, values: drawn, givens } => {
            values(model, drawn, 0, &mut found);
            values(model, givens, drawn.len(), &mut found);
            kernel(model, density, &mut found);
        }
    }
    found
}

/// What a reward that the environment pays at `t` reads.
pub fn reward_reads(model: &Model, value: ExprId) -> Vec<Read> {
    let mut found = Vec::new();
    expressions(model, &[value], None, &mut found);
    found
}

fn kernel(model: &Model, kernel: &KernelRef, found: &mut Vec<Read>) {
    match kernel {
        KernelRef::InPlace(distribution) => {
            expressions(model, &arguments(distribution), None, found)
        }
        KernelRef::Learned(_)
        | KernelRef::Previous(_)
        | KernelRef::Environment(..)
        | KernelRef::Data(_) => {}
    }
}

fn values(model: &Model, arguments: &[Value], first: usize, found: &mut Vec<Read>) {
    for (position, value) in arguments.iter().enumerate() {
        let argument = Some(first + position);
        let mut push =
            |variable, from, to, kind| found.push(Read { variable, from, to, argument, kind });
        match value {
            Value::Variable { variable, index } => {
                push(TargetVariable::Variable(*variable), *index, *index, ReadKind::One)
            }
            Value::Reward { environment, reward, index } => {
                push(TargetVariable::Reward(*environment, *reward), *index, *index, ReadKind::One);
            }
            Value::Window { variable, from, to } => {
                push(TargetVariable::Variable(*variable), *from, *to, ReadKind::Window)
            }
            Value::Past { variable, to } => {
                push(TargetVariable::Variable(*variable), Index::First, *to, ReadKind::Sequence)
            }
            Value::Future { variable, from } => {
                let last = Index::Last(i32::from(model.variable(*variable).role == Role::State));
                push(TargetVariable::Variable(*variable), *from, last, ReadKind::Sequence);
            }
            Value::Expression(roots) => expressions(model, roots, argument, found),
            Value::Time | Value::Absent => {}
        }
    }
}

fn expressions(model: &Model, roots: &[ExprId], argument: Option<usize>, found: &mut Vec<Read>) {
    for input in model.graph.inputs_of(roots) {
        let (variable, index) = match model.inputs[input.0 as usize] {
            Input::Variable { variable, index, .. } => (TargetVariable::Variable(variable), index),
            Input::Reward { environment, reward, index } => {
                (TargetVariable::Reward(environment, reward), index)
            }
            Input::Formal { .. } => continue,
            Input::Gain(gain) => {
                let first = found.len();
                let gain = model.gain(gain);
                values(model, &gain.givens, 0, found);
                values(model, &gain.outputs, 0, found);
                let whole = |read: &&mut Read| matches!(read.kind, ReadKind::One);
                found[first..]
                    .iter_mut()
                    .filter(whole)
                    .for_each(|read| (read.argument, read.kind) = (argument, ReadKind::Gain));
                continue;
            }
        };
        let read = Read { variable, from: index, to: index, argument, kind: ReadKind::One };
        if !found.contains(&read) {
            found.push(read);
        }
    }
}

/// All scalar arguments of a distribution, its parts included.
pub fn arguments(distribution: &Distribution<Vec<ExprId>>) -> Vec<ExprId> {
    let mut found = Vec::new();
    collect(distribution, &mut found);
    found
}

fn collect(distribution: &Distribution<Vec<ExprId>>, found: &mut Vec<ExprId>) {
    match distribution {
        Distribution::Uniform => {}
        Distribution::UniformBox { lo, hi } => found.extend(lo.iter().chain(hi)),
        Distribution::Real { arguments, .. } => found.extend(arguments.iter().flatten()),
        Distribution::UniformOver(values) => found.extend(values.iter().flatten()),
        Distribution::Delta(a) | Distribution::Implicit(a) => found.extend(a),
        Distribution::Categorical(Scores::Logits(a) | Scores::Probs(a)) => found.extend(a),
        Distribution::Bernoulli(Scores::Logits(a) | Scores::Probs(a)) => found.extend(a),
        Distribution::Mixture(parts) => {
            for (weight, part) in parts {
                found.extend(weight);
                collect(part, found);
            }
        }
        Distribution::If { condition, then, otherwise } => {
            found.extend(condition);
            collect(then, found);
            collect(otherwise, found);
        }
        Distribution::Record(parts) => parts.iter().for_each(|part| collect(part, found)),
        Distribution::Sticky { keep, fresh, .. } => {
            found.extend(keep);
            collect(fresh, found);
        }
    }
}
