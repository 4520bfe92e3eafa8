//! What sums over an option: the draws of the option and of the action, evaluated at any option.

use super::density::Density;
use super::whole::Whole;
use crate::engine::error::EngineError;
use crate::engine::numeric::number::Number;
use crate::plan::{OptionReads, Plan};

/// What draws the option and the action, compiled to be evaluated at any option.
pub(in crate::engine) struct Enumerator<E> {
    pub option: Density,
    pub action: Density,
    /// Number of values.
    pub outcomes: usize,
    pub once: bool,
    /// By density of the program.
    pub reads: Vec<OptionReads>,
    /// The exponents that read the option.
    pub exponents: Vec<(Whole<E>, OptionReads)>,
}

impl<E: Number> Enumerator<E> {
    /// The plan has seen that options can be summed over pairs of neighbouring steps.
    ///
    /// # Errors
    /// One sentence, where a network cannot run.
    pub fn new(plan: &Plan) -> Result<Enumerator<E>, EngineError> {
        let [option, action] = plan.draws.as_slice() else {
            panic!("plan: options are summed out where there is one")
        };
        let reads = plan.terms.iter().filter_map(|term| {
            let horizon = plan.model.horizon.value;
            let reads = OptionReads::of_density(term.density()?, term, option, horizon);
            Some(reads.expect("plan: what is summed out reads pairs of neighbouring options"))
        });
        let of_exponents = plan.terms.iter().enumerate().filter_map(|(at, term)| {
            let reads = OptionReads::of_exponent(plan, term, option)?;
            let reads =
                reads.expect("plan: what is summed out reads pairs of neighbouring options");
            (reads != OptionReads::Nothing).then(|| Some((Whole::of(plan, at)?, reads))).flatten()
        });
        Ok(Enumerator {
            exponents: of_exponents.collect(),
            option: Density::of_draw(plan, option)?,
            action: Density::of_draw(plan, action)?,
            outcomes: option
                .head
                .outcomes()
                .expect("plan: what is summed out has finitely many values"),
            once: option.once,
            reads: reads.collect(),
        })
    }
}
