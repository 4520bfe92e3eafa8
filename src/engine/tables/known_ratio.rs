//! The log-ratio of an environment's transitions and a learned model's, as it is: what a
//! classifier's logit stands for. Where an estimator is verified it takes the classifier's place.
//! It reads the density of an environment that may be hidden, so that nothing that learns makes
//! one.

use crate::engine::episode::joint::JointNumber;
use crate::engine::episode::variable::Variable;
use crate::engine::error::EngineError;
use crate::engine::tables::tabulate::tabulate;
use crate::engine::tape::parameters::Parameters;
use crate::finite::{self, Conditions, finite_domain};
use crate::model::Role;
use crate::plan::{Plan, Ratio, RatioOf, Read};

pub(in crate::engine) struct KnownRatio {
    /// `log p(s'|s,a) − log q(s'|s,a)` at `(s · actions + a) · states + s'`, or of first states
    /// `log p(s) − log q(s)` at `s`.
    log_ratio: Vec<f64>,
    of_start: bool,
    states: usize,
    actions: usize,
    action: JointNumber,
}

impl KnownRatio {
    /// That of a plan whose classifier tells transitions apart, at its parameters.
    ///
    /// # Errors
    /// One sentence: the model is not finite, or its model of the world reads more than the state
    /// and the action.
    pub fn of(
        plan: &Plan,
        ratio: &Ratio,
        parameters: &Parameters<f64>,
    ) -> Result<Option<KnownRatio>, EngineError> {
        let Some(of_model) = ratio.model.as_ref().filter(|_| ratio.of.needs_transitions()) else {
            return Ok(None);
        };
        let unsupported =
            |sentence: &dyn std::fmt::Display| EngineError::Unsupported(sentence.to_string());
        let environment =
            finite::tabulate(&plan.model, plan.environment).map_err(|error| unsupported(&error))?;
        let numbering =
            Conditions::of(&plan.model, of_model.kernel).map_err(|error| unsupported(&error))?;
        let model = tabulate(&plan.model, parameters, of_model.kernel)
            .map_err(|error| unsupported(&error))?;
        let action = JointNumber::of(plan).map_err(|error| unsupported(&error))?;
        let (states, actions) = (environment.states, environment.actions);
        if ratio.of == RatioOf::Start {
            let mut log_ratio = vec![f64::NEG_INFINITY; states];
            environment.initial.row(0).for_each(|(state, p)| log_ratio[state] = p.ln());
            log_ratio.iter_mut().zip(model.row(0)).for_each(|(log_p, log_q)| *log_p -= log_q);
            return Ok(Some(KnownRatio { log_ratio, of_start: true, states, actions, action }));
        }
        let own = &plan.model.environment(plan.environment).actions;
        let sizes = own.iter().map(|&action| Ok((finite_domain(&plan.model, action)?.size(), 0)));
        let sizes = sizes.collect::<Result<Vec<_>, finite::NotFinite>>();
        let mut of_actions = sizes.map_err(|error| unsupported(&error))?;
        let mut of_state = 0;
        for axis in &numbering.axes {
            match of_model.reads[axis.given] {
                Read::Variable(variable) if plan.model.variable(variable).role == Role::State => {
                    of_state += axis.stride
                }
                Read::Variable(variable) if own.contains(&variable) => {
                    let at = own.iter().position(|action| *action == variable);
                    of_actions[at.expect("known_ratio: it is among them")].1 += axis.stride
                }
                _ => {
                    let name = &plan.model.kernel(of_model.kernel).name;
                    let what = format!(
                        "the exact ratio is that of a state, an action and a next state, and \
                         `{name}` reads more"
                    );
                    return Err(EngineError::Unsupported(what));
                }
            }
        }
        let mut log_ratio = Vec::with_capacity(states * actions * states);
        let mut of_row = vec![f64::NEG_INFINITY; states];
        for row in 0..states * actions {
            environment.transition.row(row).for_each(|(next, p)| of_row[next] = p.ln());
            let (mut joint, mut at) = (row % actions, row / actions * of_state);
            for &(size, stride) in of_actions.iter().rev() {
                at += joint % size * stride;
                joint /= size;
            }
            let log_q = model.row(at);
            log_ratio.extend(of_row.iter().zip(log_q).map(|(log_p, log_q)| log_p - log_q));
            of_row.fill(f64::NEG_INFINITY);
        }
        Ok(Some(KnownRatio { log_ratio, of_start: false, states, actions, action }))
    }

    /// At a step, of which `number` gives a variable at `t + offset`.
    pub fn at(&self, number: impl Fn(Variable, i32) -> u32) -> f64 {
        let read = |variable, offset| number(variable, offset) as usize;
        if self.of_start {
            return self.log_ratio[read(Variable::State, 0)];
        }
        let action = self.action.at(|variable| read(variable, 0));
        let row = read(Variable::State, 0) * self.actions + action;
        self.log_ratio[row * self.states + read(Variable::State, 1)]
    }
}
