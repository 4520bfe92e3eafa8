//! Every whole trajectory of a small bound, one after the other: the slow judge of everything that
//! is faster. It reads the factor lists as they are written, whatever they condition on, and shares
//! nothing with the trellis.

use super::exponentials::log_sum_exp;
use super::trajectory::Trajectory;
use crate::finite::{KernelTables, NotFinite, finite_domain};
use crate::model::{
    Bound, BoundId, EnvironmentKernel, Factor, KernelRef, Model, Role, Target, TargetVariable,
    VariableId,
};

/// Sums over all trajectories, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Enumeration {
    /// `log Σ P exp ΣΛ`, the auxiliary variables summed over as well.
    pub log_evidence: f64,
    /// `Σ Q (ΣΛ + log P − log Q)`
    pub bound: f64,
    /// `Σ Q`, which is 1.
    pub mass: f64,
    /// How many trajectories were visited.
    pub trajectories: usize,
}

/// Visits every trajectory that the states can follow, at most `limit` of them. `tables` holds
/// every learned kernel in use.
///
/// # Errors
/// One sentence: what is not finite, lacks a table, or that there are more trajectories than
/// `limit`.
pub fn enumerate(
    model: &Model,
    bound: BoundId,
    tables: &KernelTables,
    limit: usize,
) -> Result<Enumeration, NotFinite> {
    let bound = model.bound(bound);
    let order = order(model, bound);
    let mut walk = Walk {
        bound,
        trajectory: Trajectory::new(model, bound, tables)?,
        sizes: order
            .iter()
            .map(|draw| finite_domain(model, draw.variable).map(|finite| finite.size()))
            .collect::<Result<_, _>>()?,
        order,
        log_weights: vec![],
        sum: Enumeration { log_evidence: 0.0, bound: 0.0, mass: 0.0, trajectories: 0 },
        limit,
    };
    walk.visit(0)?;
    Ok(Enumeration { log_evidence: log_sum_exp(&walk.log_weights), ..walk.sum })
}

/// A variable at a time.
struct Draw {
    variable: VariableId,
    time: usize,
    is_state: bool,
}

/// States and what is drawn between them, by time; only what the posterior draws.
fn order(model: &Model, bound: &Bound) -> Vec<Draw> {
    let horizon = model.horizon.value;
    let mut order = Vec::new();
    for factor in &bound.posterior {
        for target in &factor.targets {
            let Target::Variable { variable: TargetVariable::Variable(variable), index } = *target
            else {
                continue;
            };
            let is_state = model.variable(variable).role == Role::State;
            let times = super::read::Standing::of(
                index,
                horizon,
                if is_state { horizon + 1 } else { horizon },
            )
            .slices;
            order.extend(times.map(|time| Draw { variable, time, is_state }));
        }
    }
    order.sort_by_key(|draw| (draw.time, !draw.is_state, draw.variable));
    order
}

struct Walk<'m> {
    bound: &'m Bound,
    trajectory: Trajectory<'m>,
    order: Vec<Draw>,
    sizes: Vec<usize>,
    log_weights: Vec<f64>,
    sum: Enumeration,
    limit: usize,
}

impl Walk<'_> {
    fn visit(&mut self, at: usize) -> Result<(), NotFinite> {
        let Some(draw) = self.order.get(at) else {
            return self.arrive();
        };
        let (variable, time, is_state) = (draw.variable, draw.time, draw.is_state);
        // an ended episode stays where it is and draws nothing
        let stays = self.trajectory.is_over(if is_state { time - 1 } else { time });
        if stays {
            let value = if is_state { self.trajectory.get(variable, time - 1) } else { None };
            self.trajectory.set(variable, time, value);
            self.visit(at + 1)?;
        } else {
            for value in 0..self.sizes[at] {
                self.trajectory.set(variable, time, Some(value));
                if !is_state || self.possible(time)? {
                    self.visit(at + 1)?;
                }
            }
        }
        self.trajectory.set(variable, time, None);
        Ok(())
    }

    /// Some environment's factor lets the state be what it is.
    fn possible(&self, time: usize) -> Result<bool, NotFinite> {
        for factor in self.bound.prior.iter().chain(&self.bound.posterior) {
            let kernel = match factor.kernel {
                KernelRef::Environment(_, EnvironmentKernel::Initial) if time == 1 => true,
                KernelRef::Environment(_, EnvironmentKernel::Transition) => time > 1,
                KernelRef::Learned(_) | KernelRef::Previous(_) | KernelRef::InPlace(_) => {
                    let states = |target: &Target| match *target {
                        Target::Variable {
                            variable: TargetVariable::Variable(variable), ..
                        } => self.trajectory.model.variable(variable).role == Role::State,
                        Target::Variable { .. } | Target::Weights(_) => false,
                    };
                    factor.targets.iter().any(states)
                        && self.trajectory.times(factor)?.contains(&time)
                }
                KernelRef::Environment(..) | KernelRef::Data(_) => false,
            };
            if kernel && self.trajectory.log_factor(factor, time)? > f64::NEG_INFINITY {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn arrive(&mut self) -> Result<(), NotFinite> {
        self.sum.trajectories += 1;
        if self.sum.trajectories > self.limit {
            return Err(NotFinite(format!(
                "there are more than {} trajectories to visit",
                self.limit
            )));
        }
        let log_p = self.log(&self.bound.prior)? + self.log(&self.bound.auxiliary)?;
        let log_q = self.log(&self.bound.posterior)?;
        let mut likelihood = 0.0;
        for factor in &self.bound.likelihood {
            likelihood += self.trajectory.log_likelihood(factor)?;
        }
        if log_p > f64::NEG_INFINITY {
            self.log_weights.push(log_p + likelihood);
        }
        let q = log_q.exp();
        if q > 0.0 {
            self.sum.mass += q;
            self.sum.bound += q * (likelihood + log_p - log_q);
        }
        Ok(())
    }

    fn log(&self, factors: &[Factor]) -> Result<f64, NotFinite> {
        let mut sum = 0.0;
        for factor in factors {
            for time in self.trajectory.times(factor)? {
                sum += self.trajectory.log_factor(factor, time)?;
            }
        }
        Ok(sum)
    }
}
