//! The trajectories of a small finite model: what is drawn when, and what each expression is worth
//! on one of them.

use crate::bound::influence::{Drawn, Read, Scope, When, drawn, factor_reads};
use crate::bound::time::{coverage, lead};
use crate::expr::ExprId;
use crate::finite::{Environment, NotFinite, finite_domain, tabulate};
use crate::model::{
    Block, Bound, Dynamics, EnvironmentId, Factor, FactorRef, Index, Input, Model, Role, Target,
    TargetVariable, VariableId,
};
use std::collections::HashMap;

/// Number of a value, or [`ABSENT`].
pub type Assignment = [u32];
/// `none`: the variable has no value there.
pub const ABSENT: u32 = u32::MAX;

/// Everything that can be drawn on the way through one bound's factors.
pub struct Space<'m> {
    pub model: &'m Model,
    pub bound: &'m Bound,
    pub horizon: usize,
    pub environments: HashMap<EnvironmentId, Environment>,
    params: Vec<f64>,
    slots: HashMap<(TargetVariable, usize), usize>,
    /// State variables that can end an episode, and at which of their values they do.
    ends: Vec<(VariableId, Vec<bool>)>,
}

/// One factor at one time of its own `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    pub factor: FactorRef,
    pub t: usize,
}

impl<'m> Space<'m> {
    /// # Errors
    /// What keeps the trajectories from being listed, in one sentence.
    pub fn of(model: &'m Model, bound: &'m Bound) -> Result<Space<'m>, NotFinite> {
        if let Some(sentence) = model.depends_on_the_run(bound) {
            return Err(NotFinite(sentence));
        }
        let mut slots = HashMap::new();
        let mut environments = HashMap::new();
        let mut ends = Vec::new();
        let horizon = model.horizon.value;
        let all = [Block::Prior, Block::Posterior, Block::Auxiliary]
            .into_iter()
            .flat_map(|block| bound.factors(block));
        for factor in all {
            if let crate::model::KernelRef::Environment(id, _) = factor.kernel
                && let std::collections::hash_map::Entry::Vacant(place) = environments.entry(id)
            {
                place.insert(tabulate(model, id)?);
            }
            for target in &factor.targets {
                let Target::Variable { variable, .. } = *target else {
                    return Err(NotFinite(
                        "weights are real numbers: their values cannot be listed".to_owned(),
                    ));
                };
                let last = match variable {
                    TargetVariable::Variable(id) => {
                        finite_domain(model, id)?;
                        if ends.iter().all(|(known, _)| *known != id) {
                            ends.extend(ended_values(model, id)?.map(|ended| (id, ended)));
                        }
                        horizon + usize::from(model.variable(id).role == Role::State)
                    }
                    TargetVariable::End => horizon,
                    TargetVariable::Reward(environment, reward) => {
                        let name = &model.environment(environment).rewards[reward as usize].name;
                        return Err(NotFinite(format!(
                            "the reward `{name}` is drawn, and is a real number: its values \
                             cannot be listed"
                        )));
                    }
                };
                for time in 1..=last {
                    let next = slots.len();
                    slots.entry((variable, time)).or_insert(next);
                }
            }
        }
        Ok(Space { model, bound, horizon, environments, params: model.param_values(), slots, ends })
    }

    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The number of `variable`'s value at `time`; [`ABSENT`] outside the trajectory and after its
    /// end.
    pub fn number(&self, variable: TargetVariable, time: i64, values: &Assignment) -> u32 {
        usize::try_from(time)
            .ok()
            .and_then(|time| self.slots.get(&(variable, time)))
            .map_or(ABSENT, |slot| values[*slot])
    }

    pub fn slot(&self, variable: TargetVariable, time: usize) -> usize {
        self.slots[&(variable, time)]
    }

    pub fn time(&self, index: Index, t: usize) -> i64 {
        match index {
            Index::First => 1,
            Index::Step(k) => t as i64 + i64::from(k),
            Index::Last(k) => self.horizon as i64 + i64::from(k),
        }
    }

    /// Number of values of a target.
    pub fn size(&self, variable: TargetVariable) -> usize {
        match variable {
            TargetVariable::Variable(id) => {
                self.model.variable(id).domain.finite.as_ref().map_or(0, |domain| domain.size())
            }
            TargetVariable::End => 2,
            TargetVariable::Reward(..) => 0,
        }
    }

    /// Whether the episode has ended before the step `time` begins.
    pub fn ended(&self, time: i64, values: &Assignment) -> bool {
        // an end that the posterior draws stands in the place of the environment's, but for where
        // an episode starts
        let draws_end = self.bound.posterior.iter().flat_map(|factor| &factor.targets);
        let mut draws_end = draws_end.map(|target| drawn(*target).0);
        let time_of_state = match draws_end.any(|of| of == Drawn::Variable(TargetVariable::End)) {
            true => 1,
            false => time,
        };
        let by_state = self.ends.iter().any(|(variable, ended)| {
            let number = self.number(TargetVariable::Variable(*variable), time_of_state, values);
            number != ABSENT && ended[number as usize]
        });
        by_state || (1..time).any(|earlier| self.number(TargetVariable::End, earlier, values) == 1)
    }

    /// Whether a factor of prior, auxiliary or posterior stands at its `t`, or has stopped.
    pub fn live(&self, factor: &Factor, t: usize, values: &Assignment) -> bool {
        match factor.targets[0] {
            Target::Weights(_) => true,
            Target::Variable { variable, index } => {
                let time = self.time(index, t);
                let is_state = matches!(variable, TargetVariable::Variable(id)
                    if self.model.variable(id).role == Role::State);
                let step = if is_state { time - 1 } else { time };
                step < 1 || !self.ended(step, values)
            }
        }
    }

    /// A scalar expression on a trajectory at `t`; NaN where it reads `none` of a state, and
    /// [`crate::model::NONE`] where what a step draws is `none`: that it compares.
    pub fn value(&self, expr: ExprId, t: usize, values: &Assignment) -> f64 {
        let input =
            |id: crate::expr::InputId| self.input(self.model.inputs[id.0 as usize], t, values);
        self.model.graph.evaluate(expr, &self.params, &input, t as f64)
    }

    /// Whether an expression that is infinite on a trajectory at `t` is so since numbers overflow.
    pub fn overflows(&self, expr: ExprId, t: usize, values: &Assignment) -> bool {
        let input =
            |id: crate::expr::InputId| self.input(self.model.inputs[id.0 as usize], t, values);
        self.model.graph.overflows(expr, &self.params, &input, t as f64)
    }

    /// What an expression at `t` reads there.
    pub fn input(&self, input: Input, t: usize, values: &Assignment) -> f64 {
        match input {
            Input::Variable { variable, component, index } => self.component(
                variable,
                component as usize,
                self.number(TargetVariable::Variable(variable), self.time(index, t), values),
            ),
            Input::Reward { environment, reward, index } => {
                self.reward(environment, reward as usize, self.time(index, t), values)
            }
            Input::Formal { .. } | Input::Gain(_) => f64::NAN,
        }
    }

    fn component(&self, variable: VariableId, component: usize, number: u32) -> f64 {
        if number == ABSENT {
            return if self.model.variable(variable).role == Role::State {
                f64::NAN
            } else {
                crate::model::NONE
            };
        }
        let domain = &self.model.variable(variable).domain;
        let mut value = vec![0.0; domain.width()];
        domain
            .finite
            .as_ref()
            .expect("space: every drawn variable is finite")
            .value(number as usize, &mut value);
        value[component]
    }

    /// A reward of the environment: a function of state, action and next state, 0 after the end.
    pub fn reward(
        &self,
        environment: EnvironmentId,
        reward: usize,
        time: i64,
        values: &Assignment,
    ) -> f64 {
        if time < 1 || self.ended(time, values) {
            return 0.0;
        }
        match self.model.environment(environment).rewards[reward].value {
            Some(value) => self.value(value, time as usize, values),
            None => f64::NAN,
        }
    }

    /// The factors of some blocks at each of their times, in an order in which they can be drawn.
    ///
    /// # Errors
    /// Where there is none: the factors form a cycle.
    pub fn order(&self, blocks: &[Block]) -> Result<Vec<Instance>, NotFinite> {
        let mut instances = Vec::new();
        let mut draws: HashMap<(TargetVariable, usize), usize> = HashMap::new();
        for &block in blocks {
            for (at, factor) in self.bound.factors(block).iter().enumerate() {
                for t in self.times(factor) {
                    for target in &factor.targets {
                        if let Target::Variable { variable, index } = *target {
                            draws.insert((variable, self.time(index, t) as usize), instances.len());
                        }
                    }
                    instances.push(Instance { factor: FactorRef { block, at: at as u32 }, t });
                }
            }
        }
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); instances.len()];
        let mut waits = vec![0usize; instances.len()];
        let scope = Scope::of(self.model, self.bound);
        for (reader, instance) in instances.iter().enumerate() {
            let factor = self.bound.factor(instance.factor);
            let mut reads = factor_reads(&scope, factor);
            // whether it is live, and what an absorbed state repeats
            let own = self.first_time(factor, instance.t);
            for &(variable, _) in &self.ends {
                reads.push(Read {
                    what: Drawn::Variable(TargetVariable::Variable(variable)),
                    when: When::Through((own - instance.t as i64 - 1) as i32),
                });
                let is_state = matches!(factor.targets[0],
                    Target::Variable { variable: TargetVariable::Variable(id), .. }
                        if self.model.variable(id).role == Role::State);
                if !is_state {
                    reads.push(Read {
                        what: Drawn::Variable(TargetVariable::Variable(variable)),
                        when: When::Step((own - instance.t as i64) as i32),
                    });
                }
            }
            if self.slots.contains_key(&(TargetVariable::End, 1)) {
                let back = 1 + i64::from(matches!(factor.targets[0],
                    Target::Variable { variable: TargetVariable::Variable(id), .. }
                        if self.model.variable(id).role == Role::State));
                reads.push(Read {
                    what: Drawn::Variable(TargetVariable::End),
                    when: When::Through((own - instance.t as i64 - back) as i32),
                });
            }
            for read in reads {
                let Drawn::Variable(variable) = read.what else { continue };
                for time in self.read_times(read.when, instance.t) {
                    if let Some(&source) = draws.get(&(variable, time))
                        && source != reader
                    {
                        readers[source].push(reader);
                        waits[reader] += 1;
                    }
                }
            }
        }
        let mut ready: std::collections::BTreeSet<(usize, usize)> = (0..instances.len())
            .filter(|at| waits[*at] == 0)
            .map(|at| (instances[at].t, at))
            .collect();
        let mut order = Vec::with_capacity(instances.len());
        while let Some((_, at)) = ready.pop_first() {
            order.push(instances[at]);
            for &reader in &readers[at] {
                waits[reader] -= 1;
                if waits[reader] == 0 {
                    ready.insert((instances[reader].t, reader));
                }
            }
        }
        if order.len() < instances.len() {
            return Err(NotFinite(
                "the factors have no order in which they can be drawn".to_owned(),
            ));
        }
        Ok(order)
    }

    /// The `t`s at which a factor stands.
    pub fn times(&self, factor: &Factor) -> std::ops::RangeInclusive<usize> {
        let covered = coverage(self.model, factor);
        let shift = i64::from(lead(factor));
        let (from, to) =
            (covered.from.at(self.horizon) - shift, covered.to.at(self.horizon) - shift);
        from.max(1) as usize..=to.max(0) as usize
    }

    fn first_time(&self, factor: &Factor, t: usize) -> i64 {
        match drawn(factor.targets[0]).1 {
            When::Step(k) => t as i64 + i64::from(k),
            When::Fixed(moment) => moment.at(self.horizon),
            When::Through(_) | When::From(_) => t as i64,
        }
    }

    fn read_times(&self, when: When, t: usize) -> Vec<usize> {
        let last = self.horizon as i64 + 1;
        let at = |k: i32| t as i64 + i64::from(k);
        let (from, to) = match when {
            When::Fixed(moment) => (moment.at(self.horizon), moment.at(self.horizon)),
            When::Step(k) => (at(k), at(k)),
            When::Through(k) => (1, at(k)),
            When::From(k) => (at(k), last),
        };
        (from.max(1)..=to.min(last)).map(|time| time as usize).collect()
    }
}

/// At which values of a state the episode has ended; `None` where it never does.
fn ended_values(model: &Model, variable: VariableId) -> Result<Option<Vec<bool>>, NotFinite> {
    let Some(environment) = model.variable(variable).environment else { return Ok(None) };
    match &model.environment(environment).dynamics {
        Dynamics::Written { end: Some(_), .. }
            if model.environment(environment).state == variable =>
        {
            Ok(Some(tabulate(model, environment)?.ended))
        }
        Dynamics::Written { .. } | Dynamics::External { .. } => Ok(None),
    }
}
