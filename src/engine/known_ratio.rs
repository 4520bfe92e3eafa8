//! The log-ratio of an environment's transitions and a learned model's, as it is: what a
//! classifier's logit stands for. Where an estimator is verified it takes the classifier's place.
//! It reads the density of an environment that may be hidden, so that nothing that learns makes
//! one.

use super::error::EngineError;
use super::parameters::Parameters;
use super::tabulate::tabulate;
use crate::finite::{self, Conditions};
use crate::model::Role;
use crate::plan::{Plan, Read};

pub(super) struct KnownRatio {
    /// `log p(s'|s,a) − log q(s'|s,a)` at `(s · actions + a) · states + s'`.
    log_ratio: Vec<f64>,
    states: usize,
    actions: usize,
}

impl KnownRatio {
    /// That of a plan whose classifier tells transitions apart, at its parameters.
    ///
    /// # Errors
    /// One sentence: the model is not finite, or its model of the world reads more than the state
    /// and the action.
    pub fn of(
        plan: &Plan,
        parameters: &Parameters<f64>,
    ) -> Result<Option<KnownRatio>, EngineError> {
        let Some(draw) = plan.transition.as_ref().filter(|_| plan.tells_transitions_apart()) else {
            return Ok(None);
        };
        let unsupported =
            |sentence: &dyn std::fmt::Display| EngineError::Unsupported(sentence.to_string());
        let environment =
            finite::tabulate(&plan.model, plan.environment).map_err(|error| unsupported(&error))?;
        let numbering =
            Conditions::of(&plan.model, draw.kernel).map_err(|error| unsupported(&error))?;
        let model =
            tabulate(&plan.model, parameters, draw.kernel).map_err(|error| unsupported(&error))?;
        let (mut of_state, mut of_action) = (0, 0);
        for axis in &numbering.axes {
            match draw.reads[axis.given] {
                Read::Variable(variable) if plan.model.variable(variable).role == Role::State => {
                    of_state += axis.stride
                }
                Read::Variable(variable) if plan.model.variable(variable).role == Role::Action => {
                    of_action += axis.stride
                }
                _ => {
                    let name = &plan.model.kernel(draw.kernel).name;
                    let what = format!(
                        "the exact ratio is that of a state, an action and a next state, and \
                         `{name}` reads more"
                    );
                    return Err(EngineError::Unsupported(what));
                }
            }
        }
        let (states, actions) = (environment.states, environment.actions);
        let mut log_ratio = Vec::with_capacity(states * actions * states);
        let mut of_row = vec![f64::NEG_INFINITY; states];
        for row in 0..states * actions {
            environment.transition.row(row).for_each(|(next, p)| of_row[next] = p.ln());
            let log_q = model.row(row / actions * of_state + row % actions * of_action);
            log_ratio.extend(of_row.iter().zip(log_q).map(|(log_p, log_q)| log_p - log_q));
            of_row.fill(f64::NEG_INFINITY);
        }
        Ok(Some(KnownRatio { log_ratio, states, actions }))
    }

    pub fn at(&self, [state, action, next]: [u32; 3]) -> f64 {
        self.log_ratio
            [(state as usize * self.actions + action as usize) * self.states + next as usize]
    }
}
