//! What each row of a batch gives to each term, and from that what the draws of each kind are
//! credited with.

use crate::engine::episode::trace::Trace;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::Term;
use crate::plan::Credited;

#[derive(Default)]
pub(in crate::engine) struct Ledger<E> {
    /// By term, a list of entries: step, trajectory and value with its sign.
    pub entries: Vec<Vec<(u32, u32, E)>>,
    /// By draw and row, what is downstream of it first.
    pub given: Vec<Vec<E>>,
}

impl<E: Number> Ledger<E> {
    pub fn clear(&mut self, terms: usize) {
        self.entries.resize_with(terms, Vec::new);
        self.entries.iter_mut().for_each(Vec::clear);
    }

    pub fn add(&mut self, term: usize, t: usize, trajectory: u32, value: E) {
        self.entries[term].push((t as u32, trajectory, value));
    }

    /// Credits the draws of `rows` rows: a summand at `k` counts at the last row whose draw it is
    /// downstream of, since a row is credited with all that counts at later rows. What counts after
    /// the last row fades from there on.
    pub fn credit(
        &mut self,
        (terms, discount): (&[Term], f64),
        draws: usize,
        rows: usize,
        lengths: &[u32],
        trace: &Trace<E>,
    ) {
        self.given.resize_with(draws, Vec::new);
        for (draw, given) in self.given.iter_mut().enumerate() {
            given.clear();
            given.resize(rows, <E as Float>::ZERO);
            for (term, entries) in terms.iter().zip(&self.entries) {
                let Some(credited) = term.credits[draw] else { continue };
                for &(t, trajectory, value) in entries {
                    let length = i64::from(lengths[trajectory as usize]);
                    let at = match credited {
                        Credited::From(offset) => i64::from(t) - i64::from(offset),
                        Credited::All => i64::from(t).max(length),
                    };
                    let row = at.min(length);
                    if row >= 1 {
                        let faded = <E as Float>::of(discount.powi((at - row) as i32));
                        given[trace.row(row as usize, trajectory as usize)] += faded * value;
                    }
                }
            }
        }
    }
}
