//! A trained policy that acts, step by step, in whatever world its user has.

use crate::engine::episode::variable::Variable;
use crate::engine::error::EngineError;
use crate::engine::family::choice::Choice;
use crate::engine::numeric::stream::EVALUATION;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::draws::StepDraw;
use crate::engine::program::point::{Frozen, Point};
use crate::engine::run::outcome::Run;
use crate::engine::sample::rollout::Rollout;
use crate::engine::tape::parameters::Parameters;
use crate::model::{Role, VariableId};
use crate::plan::Plan;
use crate::world::Random;
use rand::Rng;

/// The policy of a plan with fixed parameters, in float64; it reads nothing of the environment but
/// what it is told.
pub struct Policy<'p> {
    program: CompiledProgram<'p, f64>,
    parameters: Vec<f64>,
    frozen: Frozen<f64>,
    sees: Variable,
    /// It reads the time or the past, or keeps an option: its episodes end with the horizon.
    reads_past: bool,
}

/// What a policy remembers of the present episode: the step, the options that were drawn, and what
/// its networks read of earlier steps. Of the policy that made it.
pub struct EpisodeMemory {
    rollout: Box<Rollout<f64>>,
    /// Steps that have been acted in.
    steps: usize,
}

/// What a policy does in a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// The components of the action: a real one as it is, a finite one as its value, a named one
    /// as its number, counted from 0. Of several actions all, in the order of their declaration.
    pub components: Vec<f64>,
    /// The options that hold in this step, with their components, in the order they are drawn.
    pub options: Vec<(VariableId, Vec<f64>)>,
    /// The logarithm of the probability (of real ones the density), nats, of all that was drawn in
    /// this step, options included.
    pub log_probability: f64,
}

impl Run {
    /// The policy that it has trained, of the plan that it ran.
    ///
    /// # Errors
    /// As [`Policy::new`].
    pub fn policy<'p>(&self, plan: &'p Plan) -> Result<Policy<'p>, EngineError> {
        Policy::new(plan, &self.parameters)
    }
}

impl<'p> Policy<'p> {
    /// Weights that have a mean field stand at their means.
    ///
    /// # Errors
    /// A network that cannot run, and a policy that reads the state beside an observation of it, in
    /// one sentence.
    pub fn new(plan: &'p Plan, parameters: &Parameters<f64>) -> Result<Policy<'p>, EngineError> {
        let program = CompiledProgram::<f64>::shown(plan)?;
        let mut read: Vec<Variable> = plan
            .draws
            .iter()
            .flat_map(|draw| &draw.reads)
            .filter_map(|&read| Some(Variable::read(plan, read, 0)?.0))
            .collect();
        if !plan.simulations.is_empty() {
            // what it imagines starts there
            read.push(Variable::State);
        }
        let reads = |variable| read.contains(&variable);
        let environment = plan.model.environment(plan.environment);
        let sees = match (environment.observation, reads(Variable::Observation)) {
            (Some(observation), true) if reads(Variable::State) => {
                return Err(EngineError::Unsupported(format!(
                    "`{}` reads the state `{}` beside `{}`, and acts on one of them only",
                    plan.model.kernel(plan.last_draw().kernel).name,
                    plan.model.variable(environment.state).name,
                    plan.model.variable(observation).name,
                )));
            }
            (Some(_), true) => Variable::Observation,
            (Some(_) | None, _) => Variable::State,
        };
        let keeps = |draw: &StepDraw<f64>| draw.once || draw.stays_at.is_some();
        let reads_past = program.acting.reads_past() || program.draws.iter().any(keeps);
        Ok(Policy {
            program,
            parameters: parameters.values().to_vec(),
            frozen: Frozen::default(),
            sees,
            reads_past,
        })
    }

    /// What it acts on: the observation where it reads that, else the state.
    pub fn sees(&self) -> VariableId {
        let plan = self.program.plan;
        let environment = plan.model.environment(plan.environment);
        match (self.sees, environment.observation) {
            (Variable::Observation, Some(observation)) => observation,
            _ => environment.state,
        }
    }

    /// The memory of an episode that begins.
    pub fn memory(&self) -> EpisodeMemory {
        EpisodeMemory { rollout: Box::new(Rollout::new(&self.program, 1)), steps: 0 }
    }

    /// What it does next in the episode of `memory`, where it sees `seen`: the components of
    /// [`Policy::sees`], as [`Action::components`] are. Drawn from `random`, or without it what is
    /// most probable (of a normal the mean).
    ///
    /// # Errors
    /// A value that is not of the variable's domain; an episode that is longer than the horizon, of
    /// a policy that reads the time or the past or keeps options; a network whose output is no
    /// number, after which the memory is of no use.
    pub fn act(
        &self,
        seen: &[f64],
        memory: &mut EpisodeMemory,
        random: Option<&mut Random>,
    ) -> Result<Action, EngineError> {
        let plan = self.program.plan;
        self.verify_seen(seen)?;
        if self.reads_past && memory.steps == self.program.horizon {
            return Err(EngineError::Observation(format!(
                "the episode has had its {} steps: the next one begins with a new memory",
                self.program.horizon
            )));
        }
        let t = memory.steps + 1;
        let mut unused = Random::seeded(0);
        let (choice, random) = match random {
            Some(random) => (Choice::Sampled, random),
            None => (Choice::Greedy, &mut unused),
        };
        let rollout = &mut memory.rollout;
        if t == 1 {
            let imagined = if plan.simulations.is_empty() { 0 } else { random.next_u64() };
            rollout.begin_shown(&self.program, [imagined, EVALUATION, 0]);
        }
        let point = Point { present: &self.parameters, previous: None, frozen: &self.frozen };
        let (state, observation) =
            (self.program.world.state_width(), self.program.world.observation_width());
        let unseen = vec![0.0; state.max(observation)];
        let shown = match self.sees {
            Variable::Observation => (&unseen[..state], seen),
            _ => (seen, &unseen[..observation]),
        };
        let drawn = rollout.act(&self.program, point, (shown, t), choice, random.generator());
        let Some(drawn) = drawn else {
            let fault = rollout.fault.take();
            return Err(fault.expect("policy: a step without a draw has a fault").played());
        };
        memory.steps = t;
        let is_option = |variable| plan.model.variable(variable).role == Role::Option;
        let options = plan.draws.iter().map(|draw| draw.variable).zip(drawn.each);
        Ok(Action {
            components: drawn.action,
            options: options.filter(|(variable, _)| is_option(*variable)).collect(),
            log_probability: drawn.log_prob,
        })
    }

    fn verify_seen(&self, seen: &[f64]) -> Result<(), EngineError> {
        let variable = self.program.plan.model.variable(self.sees());
        let (name, domain) = (&variable.name, &variable.domain);
        if seen.len() != domain.width() {
            return Err(EngineError::Observation(format!(
                "`{name}` has {} components, and the policy is told {}",
                domain.width(),
                seen.len()
            )));
        }
        let is_known = match &domain.finite {
            Some(finite) => finite.number(seen).is_some(),
            None => seen
                .iter()
                .zip(&domain.components)
                .all(|(&x, component)| x.is_finite() && component.kind.has(x)),
        };
        let told = || format!("{name} = {} is not of its domain", domain.show(seen));
        if is_known { Ok(()) } else { Err(EngineError::Observation(told())) }
    }
}
