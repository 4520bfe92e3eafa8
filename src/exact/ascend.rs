//! The best policy of a family of tables, by ascent on the exact gradient.

use super::evidence::log_sum_exp;
use super::{Evaluation, Evaluator};
use crate::finite::{KernelTables, NotFinite};
use crate::model::{BoundId, KernelId, Model};
use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use std::cell::RefCell;

/// Where an ascent ended.
#[derive(Clone, Debug)]
pub struct Ascent {
    pub tables: KernelTables,
    pub evaluation: Evaluation,
    pub iterations: u64,
}

/// Raises `L` over the logits of the tables of `over`, from `start`, by L-BFGS (Nocedal 1980; Liu and Nocedal 1989) with the line search of Moré
/// and Thuente (1994), until no step helps or after `iterations`. A local optimum: `L` is not concave in the logits.
///
/// # Errors
/// As [`super::exact`], for the start.
pub fn ascend(model: &Model, bound: BoundId, start: &KernelTables, over: &[KernelId], iterations: u64) -> Result<Ascent, NotFinite> {
    let evaluator = Evaluator::new(model, bound);
    let mut best = Ascent { evaluation: evaluator.evaluate(start)?, tables: start.clone(), iterations: 0 };
    let over: Vec<KernelId> = over.iter().copied().filter(|id| best.evaluation.gradient.contains_key(id)).collect();
    // the line search may stop short at the limit of precision: begin again there, with a fresh memory, until that too is of no use
    while best.iterations < iterations {
        let problem = Problem { evaluator: &evaluator, start, over: &over, latest: RefCell::new(None) };
        let logits = problem.logits(&best.tables);
        // differences of L below 1e-13 are rounding
        let solver =
            LBFGS::new(MoreThuenteLineSearch::new(), 20).with_tolerance_grad(1e-10).and_then(|solver| solver.with_tolerance_cost(0.0));
        let Ok(solver) = solver else { break };
        let left = iterations - best.iterations;
        let run = Executor::new(problem, solver).configure(|state| state.param(logits).max_iters(left)).timer(false).run();
        let Ok(run) = run else { break };
        let used = run.state().get_iter().max(1);
        let Some(logits) = run.state().get_best_param() else { break };
        let problem = Problem { evaluator: &evaluator, start, over: &over, latest: RefCell::new(None) };
        let tables = problem.tables(logits);
        let evaluation = evaluator.evaluate(&tables)?;
        let gain = evaluation.bound - best.evaluation.bound;
        best.iterations += used;
        if gain > 0.0 {
            best = Ascent { tables, evaluation, iterations: best.iterations };
        }
        if gain.is_nan() || gain <= 1e-13 * best.evaluation.bound.abs() {
            break;
        }
    }
    Ok(best)
}

/// `−L` of logits, the rows of the tables one after the other.
struct Problem<'a, 'm> {
    evaluator: &'a Evaluator<'m>,
    start: &'a KernelTables,
    over: &'a [KernelId],
    /// The value and the gradient are asked for one after the other at the same point.
    latest: RefCell<Option<(Vec<f64>, Evaluation)>>,
}

impl Problem<'_, '_> {
    fn logits(&self, tables: &KernelTables) -> Vec<f64> {
        // a probability of 0 has no gradient: begin inside
        self.over.iter().flat_map(|id| tables.current[id].log_probability.iter().map(|l| l.max(-30.0))).collect()
    }

    fn tables(&self, logits: &[f64]) -> KernelTables {
        let mut tables = self.start.clone();
        let mut rest = logits;
        for id in self.over {
            let Some(table) = tables.current.get_mut(id) else { continue };
            let (own, after) = rest.split_at(table.log_probability.len());
            rest = after;
            for (row, logits) in table.log_probability.chunks_mut(table.outcomes).zip(own.chunks(table.outcomes)) {
                let norm = log_sum_exp(logits);
                row.iter_mut().zip(logits).for_each(|(log_q, logit)| *log_q = logit - norm);
            }
        }
        tables
    }

    fn evaluate<R>(&self, logits: &[f64], read: impl FnOnce(&Evaluation) -> R) -> Result<R, Error> {
        let mut latest = self.latest.borrow_mut();
        let known = latest.take().filter(|(at, _)| at == logits);
        let (at, evaluation) = match known {
            Some(known) => known,
            None => (logits.to_vec(), self.evaluator.evaluate(&self.tables(logits))?),
        };
        let result = read(&evaluation);
        *latest = Some((at, evaluation));
        Ok(result)
    }
}

impl CostFunction for Problem<'_, '_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, logits: &Vec<f64>) -> Result<f64, Error> {
        self.evaluate(logits, |evaluation| -evaluation.bound)
    }
}

impl Gradient for Problem<'_, '_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, logits: &Vec<f64>) -> Result<Vec<f64>, Error> {
        self.evaluate(logits, |evaluation| self.over.iter().flat_map(|id| evaluation.gradient[id].iter().map(|g| -g)).collect())
    }
}
