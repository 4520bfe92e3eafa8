//! From the tree of a file to its meaning. Lowering goes on after a mistake, so that all are told
//! at once; an expression with a mistake becomes poison, which raises no further one.
//!
//! `let`s, arrays, records and functions exist here only: what is left of an expression is a node
//! of the graph per scalar.

mod arguments;
mod arithmetic;
mod bounds;
mod calls;
mod constants;
mod distributions;
mod domains;
mod environments;
mod expressions;
mod formals;
mod functions;
mod gains;
mod index;
mod kernels;
mod layer;
mod names;
mod net_scope;
mod networks;
mod params;
mod scope;
mod settings;
mod shapes;
#[cfg(test)]
mod tests;
mod unit;
mod value;

use super::{
    Bound, Data, Distribution, Domain, Environment, EnvironmentId, Expectation, Formal, Gain,
    Horizon, Input, Kernel, KernelId, LayerId, Model, Network, Objective, Overrides, Param,
    ParameterId, Role, Setting, VariableId,
};
use crate::diagnostic::{Diagnostic, Severity};
use crate::expr::{ExprId, Graph, InputId};
use crate::source::Span;
use crate::syntax::ast;
use std::collections::HashMap;
use unit::{Unit, UnitId};
use value::Value;

/// The model (where every part of it could be lowered) and all that is to be said of the file.
pub fn lower(file: &ast::File, overrides: &Overrides) -> (Option<Model>, Vec<Diagnostic>) {
    let mut lowering = Lowering::new(file, overrides);
    lowering.declare();
    lowering.lower_params();
    lowering.lower_variables();
    lowering.lower_lets();
    lowering.lower_environments();
    lowering.declare_formals();
    lowering.lower_kernels();
    lowering.lower_data();
    lowering.lower_bounds();
    lowering.lower_settings();
    lowering.lower_expectations();
    lowering.finish()
}

/// The work in progress. What could not be lowered is `None`, and a diagnostic has said why.
pub(super) struct Lowering<'a> {
    file: &'a ast::File,
    overrides: &'a Overrides,
    diagnostics: Vec<Diagnostic>,
    /// The places that diagnostics stand at.
    told: HashMap<Span, Vec<usize>>,
    /// The diagnostic of each unknown name, by its message.
    unknowns: HashMap<String, usize>,
    graph: Graph,
    /// Of the first nodes of the graph, whether they are known before the run.
    known: Vec<bool>,
    inputs: Vec<Input>,
    input_ids: HashMap<Input, InputId>,
    gains: Vec<Gain>,
    /// The exponent of a likelihood is being lowered.
    in_exponent: bool,
    /// The lists of value names, each once.
    names: Vec<Vec<String>>,
    units: Vec<Unit<'a>>,
    model_name: Option<&'a ast::Name>,
    params: Vec<Param>,
    horizon: Option<Horizon>,
    variables: Vec<VariableSlot<'a>>,
    /// How many variables have had their domains lowered.
    variables_done: usize,
    environments: Vec<EnvironmentSlot<'a>>,
    data: Vec<DataSlot<'a>>,
    kernels: Vec<KernelSlot<'a>>,
    network: Network,
    /// Parameters by name, with the place that made them.
    parameters: HashMap<String, (ParameterId, Span)>,
    bounds: Vec<Bound>,
    objectives: Vec<Objective>,
    settings: Vec<Setting>,
    expectations: Vec<Expectation>,
    /// Results of functions by their arguments: equal calls are lowered once.
    calls: HashMap<(UnitId, usize, Vec<Value>), Value>,
    /// Functions being lowered, and how deep expressions are nested.
    active: Vec<(UnitId, usize)>,
    depth: usize,
    exhausted: bool,
}

struct VariableSlot<'a> {
    name: String,
    role: Role,
    written: &'a ast::Domain,
    unit: UnitId,
    environment: Option<EnvironmentId>,
    domain: Option<Domain>,
    span: Span,
}

struct EnvironmentSlot<'a> {
    name: String,
    written: &'a ast::Environment,
    body: &'a [ast::EnvironmentItem],
    unit: UnitId,
    rewards: Vec<RewardSlot<'a>>,
    /// The first of each role that its body declares, and all actions.
    state: Option<VariableId>,
    actions: Vec<VariableId>,
    observation: Option<VariableId>,
    lowered: Option<Environment>,
}

struct RewardSlot<'a> {
    name: String,
    written: Option<&'a (ast::Expr, ast::Expr)>,
    bounds: Option<(f64, f64)>,
    span: Span,
}

struct KernelSlot<'a> {
    name: String,
    /// Absent for a network of `infer`.
    written: Option<&'a ast::Kernel>,
    outputs: Vec<FormalSlot>,
    givens: Vec<FormalSlot>,
    distribution: Option<Distribution<LayerId>>,
    span: Span,
}

struct DataSlot<'a> {
    name: String,
    written: &'a ast::Data,
    outputs: Vec<FormalSlot>,
    givens: Vec<FormalSlot>,
    lowered: Option<Data>,
}

/// A formal, or the name of one with a mistake.
#[derive(Clone)]
struct FormalSlot {
    name: String,
    formal: Option<Formal>,
}

impl KernelSlot<'_> {
    fn formal(&self, at: u32) -> Option<&Formal> {
        self.outputs
            .iter()
            .chain(&self.givens)
            .nth(at as usize)
            .and_then(|slot| slot.formal.as_ref())
    }

    fn formal_name(&self, at: u32) -> &str {
        self.outputs.iter().chain(&self.givens).nth(at as usize).map_or("", |slot| &slot.name)
    }
}

impl<'a> Lowering<'a> {
    fn new(file: &'a ast::File, overrides: &'a Overrides) -> Lowering<'a> {
        Lowering {
            file,
            overrides,
            diagnostics: Vec::new(),
            told: HashMap::new(),
            unknowns: HashMap::new(),
            graph: Graph::default(),
            known: Vec::new(),
            inputs: Vec::new(),
            input_ids: HashMap::new(),
            gains: Vec::new(),
            in_exponent: false,
            names: Vec::new(),
            units: vec![Unit::default()],
            model_name: None,
            params: Vec::new(),
            horizon: None,
            variables: Vec::new(),
            variables_done: 0,
            environments: Vec::new(),
            data: Vec::new(),
            kernels: Vec::new(),
            network: Network::default(),
            parameters: HashMap::new(),
            bounds: Vec::new(),
            objectives: Vec::new(),
            settings: Vec::new(),
            expectations: Vec::new(),
            calls: HashMap::new(),
            active: Vec::new(),
            depth: 0,
            exhausted: false,
        }
    }

    /// Keeps a diagnostic, once: a function with a mistake may be used many times.
    fn report(&mut self, diagnostic: Diagnostic) {
        let here = self.told.entry(diagnostic.labels[0].span).or_default();
        if !here.iter().any(|at| self.diagnostics[*at] == diagnostic) {
            here.push(self.diagnostics.len());
            self.diagnostics.push(diagnostic);
        }
    }

    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::error(code, span, message));
    }

    fn input(&mut self, input: Input) -> ExprId {
        let id = *self.input_ids.entry(input).or_insert_with(|| {
            self.inputs.push(input);
            InputId(self.inputs.len() as u32 - 1)
        });
        self.graph.input(id)
    }

    fn finish(self) -> (Option<Model>, Vec<Diagnostic>) {
        let mut diagnostics = self.diagnostics;
        diagnostics.sort_by_key(|found| (found.labels[0].span, found.severity));
        if diagnostics.iter().any(|found| found.severity == Severity::Error) {
            return (None, diagnostics);
        }
        let variables = self.variables.into_iter().map(|slot| {
            let domain = slot.domain?;
            Some(super::Variable {
                name: slot.name,
                role: slot.role,
                domain,
                environment: slot.environment,
                span: slot.span,
            })
        });
        let kernels = self.kernels.into_iter().map(|slot| {
            let formals = |slots: Vec<FormalSlot>| {
                slots.into_iter().map(|slot| slot.formal).collect::<Option<Vec<Formal>>>()
            };
            let (outputs, givens) = (formals(slot.outputs)?, formals(slot.givens)?);
            Some(Kernel {
                name: slot.name,
                outputs,
                givens,
                called: None,
                distribution: slot.distribution?,
                span: slot.span,
            })
        });
        let (variables, kernels): (Option<Vec<_>>, Option<Vec<_>>) =
            (variables.collect(), kernels.collect());
        let environments: Option<Vec<_>> =
            self.environments.into_iter().map(|slot| slot.lowered).collect();
        let data: Option<Vec<_>> = self.data.into_iter().map(|slot| slot.lowered).collect();
        let name = match self.model_name {
            Some(name) => name.text.clone(),
            None => default_name(self.file),
        };
        let parts = variables.zip(kernels).zip(environments).zip(data).zip(self.horizon);
        let Some(((((variables, kernels), environments), data), horizon)) = parts else {
            unreachable!("lower: a part that is missing has a diagnostic")
        };
        let model = Model {
            name,
            params: self.params,
            horizon,
            variables,
            environments,
            data,
            kernels,
            network: self.network,
            bounds: self.bounds,
            objectives: self.objectives,
            settings: self.settings,
            expectations: self.expectations,
            graph: self.graph,
            inputs: self.inputs,
            gains: self.gains,
            warnings: Vec::new(),
            sources: self.file.sources.clone(),
        };
        (Some(model), diagnostics)
    }

    fn kernel_slot(&self, id: KernelId) -> &KernelSlot<'a> {
        &self.kernels[id.0 as usize]
    }
}

/// A file without a `model` line is called after itself.
fn default_name(file: &ast::File) -> String {
    let path = file.sources.first().and_then(|source| source.path.as_deref());
    path.and_then(|path| path.file_stem())
        .map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned())
}
