//! The maximum of a smooth function from a start, by L-BFGS (Nocedal 1980; Liu and Nocedal 1989)
//! with the line search of Moré and Thuente (1994).

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use std::cell::{Cell, RefCell};

/// Where an ascent ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Maximum {
    pub at: Vec<f64>,
    pub value: f64,
    pub iterations: u64,
}

/// Points of a line search, in the mean; one that goes on and on at the limit of precision is
/// ended.
const MOST_CALLS: u64 = 20;

/// A function's value and gradient at a point.
pub type Slope = (f64, Vec<f64>);

/// How long an ascent goes on.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Steps at the most.
    pub iterations: u64,
    /// It begins again, with a fresh memory, as long as that gains more than this, relative to the
    /// value's size; a thousandth of it ends what it does with one memory.
    gain: f64,
}

impl Patience {
    /// Until no step helps: smaller gains are rounding.
    pub fn whole(iterations: u64) -> Patience {
        Patience { iterations, gain: 1e-13 }
    }

    /// Until it is known to about 10⁻⁶ of its size where an ascent ends.
    pub fn rough(iterations: u64) -> Patience {
        Patience { iterations, gain: 1e-7 }
    }
}

/// Raises `function` from `start` until its patience ends: a local maximum.
///
/// # Errors
/// As the function at the start; later failures end the ascent where it is.
pub fn maximise<E>(
    function: &dyn Fn(&[f64]) -> Result<Slope, E>,
    start: Vec<f64>,
    Patience { iterations, gain: least }: Patience,
) -> Result<Maximum, E>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut best = Maximum { value: function(&start)?.0, at: start, iterations: 0 };
    // the line search may stop short at the limit of precision: begin again there, with a fresh
    // memory, until that too is of no use
    while best.iterations < iterations {
        let left = iterations - best.iterations;
        let problem = Problem {
            function,
            latest: RefCell::new(None),
            calls: Cell::new(left.saturating_mul(MOST_CALLS)),
        };
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), 20)
            .with_tolerance_grad(1e-10)
            .and_then(|solver| solver.with_tolerance_cost(1e-3 * least * best.value.abs()));
        let Ok(solver) = solver else { break };
        let from = best.at.clone();
        let run = Executor::new(problem, solver)
            .configure(|state| state.param(from).max_iters(left))
            .timer(false)
            .run();
        let Ok(run) = run else { break };
        best.iterations += run.state().get_iter().max(1);
        let (Some(at), value) = (run.state().get_best_param(), -run.state().get_best_cost()) else {
            break;
        };
        let gain = value - best.value;
        if gain > 0.0 {
            best = Maximum { at: at.clone(), value, iterations: best.iterations };
        }
        if gain.is_nan() || gain <= least * best.value.abs() {
            break;
        }
    }
    Ok(best)
}

/// `−f`
struct Problem<'a, E> {
    function: &'a dyn Fn(&[f64]) -> Result<Slope, E>,
    /// The value and the gradient are asked for one after the other at the same point.
    latest: RefCell<Option<(Vec<f64>, Slope)>>,
    /// Points that may still be asked for.
    calls: Cell<u64>,
}

impl<E: std::error::Error + Send + Sync + 'static> Problem<'_, E> {
    fn evaluate<R>(&self, at: &[f64], read: impl FnOnce(&Slope) -> R) -> Result<R, Error> {
        let mut latest = self.latest.borrow_mut();
        let known = latest.take().filter(|(known, _)| known == at);
        let (at, slope) = match known {
            Some(known) => known,
            None => {
                let left = self
                    .calls
                    .get()
                    .checked_sub(1)
                    .ok_or_else(|| Error::msg("the line search goes on and on"))?;
                self.calls.set(left);
                (at.to_vec(), (self.function)(at)?)
            }
        };
        let result = read(&slope);
        *latest = Some((at, slope));
        Ok(result)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> CostFunction for Problem<'_, E> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, at: &Vec<f64>) -> Result<f64, Error> {
        self.evaluate(at, |(value, _)| -value)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> Gradient for Problem<'_, E> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, at: &Vec<f64>) -> Result<Vec<f64>, Error> {
        self.evaluate(at, |(_, gradient)| gradient.iter().map(|g| -g).collect())
    }
}
