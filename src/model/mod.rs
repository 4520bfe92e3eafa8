//! What a model file means: variables, domains, kernels, environments and the four lists of factors
//! of each bound. Contains no tensors and never samples.

mod called;
mod check;
mod distribution;
mod domain;
mod factor;
mod gain;
mod kernel;
mod lower;
mod normal_form;
mod parameters;
mod settings;
mod simulation;
mod verify;

pub(crate) use called::call;
pub use check::check;
pub use distribution::{Distribution, Scores};
pub use domain::{Component, Domain, FiniteDomain, Kind, Shape};
pub use factor::{
    Block, Bound, Factor, FactorRef, Index, KernelRef, Likelihood, LikelihoodForm, Target,
    TargetVariable, Value,
};
pub use gain::{Gain, GainId};
pub use kernel::{
    Activation, Called, Computed, Data, EnvironmentKernel, Formal, FormalLength, FormalVariable,
    Kernel, Layer, LayerId, LayerOp, Mixed, NO_COLUMN, Network, Parameter, ParameterId,
};
pub(crate) use normal_form::{normalise_kernel, unstick};
pub use parameters::{kernel_parameters, layers_of, parameters_of};
pub use settings::{
    Claim, ClaimRelation, Expectation, Objective, QUANTITIES, Setting, SettingOf, SettingValue,
};
pub use simulation::{Actor, Simulation};

use crate::diagnostic::Diagnostic;
use crate::expr::{ExprId, Graph, InputId};
use crate::source::{Source, Span};
use crate::syntax::ast;
pub use crate::syntax::ast::Role;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableId(pub u32);
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvironmentId(pub u32);
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KernelId(pub u32);
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataId(pub u32);
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BoundId(pub u32);

/// A checked model. Every id in it is valid, every factor has a kernel, every `param` a value.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: String,
    pub params: Vec<Param>,
    pub horizon: Horizon,
    pub variables: Vec<Variable>,
    pub environments: Vec<Environment>,
    pub data: Vec<Data>,
    pub kernels: Vec<Kernel>,
    /// All networks of all kernels: one graph, so that kernels which use the same `net` share its
    /// parameters.
    pub network: Network,
    pub bounds: Vec<Bound>,
    /// `maximize … over …` in the order written; one entry over all kernels where the file has one
    /// bound.
    pub objectives: Vec<Objective>,
    pub settings: Vec<Setting>,
    pub expectations: Vec<Expectation>,
    /// Scalar expressions of environments and factors.
    pub graph: Graph,
    /// What [`crate::expr::InputId`] stands for.
    pub inputs: Vec<Input>,
    /// The information gains that exponents read.
    pub gains: Vec<Gain>,
    pub warnings: Vec<Diagnostic>,
    pub sources: Vec<Source>,
}

/// `param α = 0.5` or `param α = ramp(from = 0.1, to = 0.5)`, after `--set`.
#[derive(Clone, Debug)]
pub struct Param {
    pub name: String,
    /// Of a schedule, the last: what the model means once it is trained.
    pub value: f64,
    /// Of a schedule, the value at the first batch of training.
    pub from: Option<f64>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Horizon {
    pub name: String,
    pub value: usize,
    pub span: Span,
}

/// A variable of the trajectory, one value per time step.
#[derive(Clone, Debug)]
pub struct Variable {
    pub name: String,
    pub role: Role,
    pub domain: Domain,
    /// The environment it is declared in.
    pub environment: Option<EnvironmentId>,
    pub span: Span,
}

/// A scalar read by an expression: component `component` of `variable` at `index`, or a formal of a
/// kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    Variable {
        variable: VariableId,
        component: u32,
        index: Index,
    },
    /// Reward `reward` of `environment` at time `index`.
    Reward {
        environment: EnvironmentId,
        reward: u32,
        index: Index,
    },
    /// Component `component` of formal `formal` (outputs first, then givens) of the kernel in whose
    /// network the expression stands.
    Formal {
        kernel: KernelId,
        formal: u32,
        component: u32,
    },
    /// The information gain of a transition.
    Gain(GainId),
}

/// What an expression reads of an option that is `none`. The checks let such a read stand in `==`
/// and `!=` alone: it equals itself, and no value.
pub const NONE: f64 = f64::NEG_INFINITY;

#[derive(Clone, Debug)]
pub struct Environment {
    pub name: String,
    pub hidden: bool,
    pub state: VariableId,
    /// In the order they are declared.
    pub actions: Vec<VariableId>,
    pub observation: Option<VariableId>,
    pub rewards: Vec<Reward>,
    pub dynamics: Dynamics,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Dynamics {
    /// Written in the language.
    Written {
        /// of `s[1]`
        initial: Distribution<Vec<ExprId>>,
        /// of `s[t+1]` given `s[t]`, `a[t]`
        transition: Distribution<Vec<ExprId>>,
        /// of `x[t]` given `s[t]`
        observation: Option<Distribution<Vec<ExprId>>>,
        /// `end when`: over `s[t]`; absent where episodes last to the horizon.
        end: Option<ExprId>,
        places: Box<DynamicsPlaces>,
    },
    /// `gymnasium("CartPole-v1")`, `rust("pole", length = 0.5)`
    External { system: System, name: String, arguments: Vec<(String, SettingValue)> },
}

/// Where an environment comes from that is not written in the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Gymnasium,
    /// A Rust program registers it.
    Rust,
}

/// Where the parts of written dynamics stand, for messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct DynamicsPlaces {
    /// The factor `s[1] ~ …`
    pub initial: Span,
    /// The factor `s[t+1] ~ …`
    pub transition: Span,
    /// The factor `x[t] ~ …`
    pub observation: Option<Span>,
    /// `end when …`
    pub end: Option<Span>,
}

#[derive(Clone, Debug)]
pub struct Reward {
    pub name: String,
    pub bounds: Option<(f64, f64)>,
    /// Over `s[t]`, `a[t]`, `s[t+1]`; absent in an external environment.
    pub value: Option<ExprId>,
    pub span: Span,
}

impl Model {
    /// Actions and options of the bound's posterior come of kernels that read an observation and
    /// not the state: a policy that reads the state sees more.
    pub fn hides_state(&self, bound: BoundId) -> bool {
        let chosen = |target: &Target| match target {
            Target::Variable { variable: TargetVariable::Variable(id), .. } => {
                matches!(self.variable(*id).role, Role::Action | Role::Option)
            }
            Target::Variable { .. } | Target::Weights(_) => false,
        };
        let policies = self
            .bound(bound)
            .posterior
            .iter()
            .filter(|factor| matches!(factor.kernel, KernelRef::Learned(_)));
        let read: Vec<Role> = policies
            .filter(|factor| factor.targets.iter().all(chosen))
            .flat_map(|factor| &factor.arguments)
            .flat_map(|value| match value {
                Value::Variable { variable, .. }
                | Value::Window { variable, .. }
                | Value::Past { variable, .. }
                | Value::Future { variable, .. } => vec![*variable],
                Value::Expression(values) => {
                    let read = self.graph.inputs_of(values).into_iter();
                    let of = |input: InputId| match self.inputs[input.0 as usize] {
                        Input::Variable { variable, .. } => Some(variable),
                        Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => None,
                    };
                    read.filter_map(of).collect()
                }
                Value::Reward { .. } | Value::Time | Value::Absent => Vec::new(),
            })
            .map(|variable| self.variable(variable).role)
            .collect();
        read.contains(&Role::Observation) && !read.contains(&Role::State)
    }

    /// The learned kernels from which a bound's posterior draws what no policy does, starts and
    /// steps of the world: the best bound of any policy has them as they are.
    pub fn kept_beside_policies(&self, bound: BoundId) -> Vec<KernelId> {
        let of_the_world = |target: &Target| match target {
            Target::Variable { variable: TargetVariable::Variable(id), .. } => {
                !matches!(self.variable(*id).role, Role::Action | Role::Option)
            }
            Target::Variable { .. } => true,
            Target::Weights(_) => false,
        };
        let mut kept = Vec::new();
        for factor in &self.bound(bound).posterior {
            if let KernelRef::Learned(kernel) = factor.kernel
                && factor.targets.iter().any(of_the_world)
                && !kept.contains(&kernel)
            {
                kept.push(kernel);
            }
        }
        kept
    }

    pub fn variable(&self, id: VariableId) -> &Variable {
        &self.variables[id.0 as usize]
    }
    pub fn environment(&self, id: EnvironmentId) -> &Environment {
        &self.environments[id.0 as usize]
    }
    pub fn kernel(&self, id: KernelId) -> &Kernel {
        &self.kernels[id.0 as usize]
    }
    /// The kernel as it is written, of one that is called with what is computed.
    pub fn written(&self, kernel: KernelId) -> KernelId {
        self.kernel(kernel).called.as_ref().map_or(kernel, |called| called.kernel)
    }
    pub fn bound(&self, id: BoundId) -> &Bound {
        &self.bounds[id.0 as usize]
    }
    pub fn gain(&self, id: GainId) -> &Gain {
        &self.gains[id.0 as usize]
    }
    /// Values of all params, indexed by [`crate::expr::ParamId`].
    pub fn param_values(&self) -> Vec<f64> {
        self.params.iter().map(|p| p.value).collect()
    }
    /// From the least to the greatest value of each param: one number, but for schedules.
    pub fn param_ranges(&self) -> Vec<(f64, f64)> {
        self.params
            .iter()
            .map(|p| {
                p.from.map_or((p.value, p.value), |from| (p.value.min(from), p.value.max(from)))
            })
            .collect()
    }
    /// The value of a key of `infer`, after `--set infer.KEY=VALUE`.
    pub fn setting(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|s| s.key == key && s.of.is_empty())
    }
}

impl Environment {
    /// The joint values of its actions.
    pub fn joint_action(&self, model: &Model) -> Domain {
        let actions = self.actions.iter().map(|id| model.variable(*id));
        let parts: Vec<(&str, &Domain)> =
            actions.map(|action| (action.name.as_str(), &action.domain)).collect();
        Domain::joined(&parts)
    }
    /// The place of an action's first component among those of all its actions.
    pub fn action_offset(&self, model: &Model, action: VariableId) -> Option<usize> {
        let at = self.actions.iter().position(|known| *known == action)?;
        let widths = self.actions[..at].iter().map(|before| model.variable(*before).domain.width());
        Some(widths.sum())
    }
    /// What its transition reads of the step before: the state, then the actions.
    pub fn transition_reads(&self) -> impl Iterator<Item = VariableId> {
        [self.state].into_iter().chain(self.actions.iter().copied())
    }
    /// A program from outside runs it.
    pub fn is_outside(&self) -> bool {
        matches!(self.dynamics, Dynamics::External { .. })
    }
    /// Its action, where it has one.
    pub fn only_action(&self) -> Option<VariableId> {
        match self.actions[..] {
            [only] => Some(only),
            _ => None,
        }
    }
    /// One of its kernels, where it is written in the language.
    pub fn written(&self, part: EnvironmentKernel) -> Option<&Distribution<Vec<ExprId>>> {
        let Dynamics::Written { initial, transition, observation, .. } = &self.dynamics else {
            return None;
        };
        match part {
            EnvironmentKernel::Initial => Some(initial),
            EnvironmentKernel::Transition => Some(transition),
            EnvironmentKernel::Observation => observation.as_ref(),
        }
    }
}

/// `--set NAME=VALUE` (a `param` or the horizon) and `--set infer.KEY=VALUE`: names and the text of
/// an expression.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub params: Vec<(String, ast::Expr)>,
    pub settings: Vec<(String, ast::Expr)>,
}
