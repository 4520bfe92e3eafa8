//! What the steps after an end give to the bound, whose state is absorbed.

use super::Rollout;
use crate::engine::episode::values::Values;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::{CompiledProgram, Source, Term};
use crate::engine::sample::episodes::Episodes;
use crate::engine::sample::fault::{self, Arose, Fault};

impl<E: Number> Rollout<E> {
    /// What an absorbed step gives to each term that is credited relative to it.
    pub(in crate::engine) fn value_absorbed_steps(&mut self, program: &CompiledProgram<E>) {
        self.absorbed.clear();
        self.absorbed.resize(program.terms.len(), <E as Float>::ZERO);
        if self.size() == 0 || !program.terms.iter().any(|term| term.relative) {
            return;
        }
        program.exponents.read_absorbed(&program.world, &self.batch, 1, &mut self.exponents);
        program.exponents.run(1, 0..1, &mut self.exponents);
        for (value, term) in self.absorbed.iter_mut().zip(&program.terms) {
            if let (true, Source::Exponent(at)) = (term.relative, term.source) {
                *value = self.exponents.output(at)[0];
            }
        }
    }

    /// Adds what the steps after `last` give for the rows `ended`, whose state is absorbed: their
    /// exponents with rewards 0, to the horizon. The factors of actions have stopped. A discount
    /// fades them from the last live step on; where there is none, from the first step.
    pub(in crate::engine) fn absorb(
        &mut self,
        program: &CompiledProgram<E>,
        last: usize,
        ended: std::ops::Range<usize>,
    ) {
        if ended.is_empty() || last == program.horizon {
            return;
        }
        let expressions = &program.exponents;
        expressions.read_absorbed(&program.world, &self.batch, ended.end, &mut self.exponents);
        let discount = program.plan.settings.discount;
        let undiscounted = last.max(1);
        // one draw a step is credited with all that its ledger would have, live or absorbed
        let delay_of = |term: &Term| if program.keeps_ledger() { term.delay } else { 0 };
        let delay = program.terms.iter().map(delay_of).max().unwrap_or(0);
        let mut t = last + 1;
        while t <= program.horizon {
            let is_first = t == last + 1;
            self.read_drawn_after(program, last, ended.end, is_first);
            // all steps to come are one where the exponents do not read the time, nor what was
            // drawn in a step that was live, nor are too near to some draws to be their credit
            let alone = expressions.reads_time
                || is_first && expressions.reads_last_draws()
                || t - last < delay;
            let until = if alone { t } else { program.horizon };
            expressions.run(t, ended.clone(), &mut self.exponents);
            for (k, term) in program.terms.iter().enumerate() {
                let Source::Exponent(at) = term.source else { continue };
                let (from, to) = (term.from.max(t), term.to.min(until));
                if from > to {
                    continue;
                }
                let count = (to - from + 1) as f64;
                let faded = if discount == 1.0 {
                    count
                } else {
                    (from..=to).map(|k| discount.powi((k - undiscounted) as i32)).sum()
                };
                let values = &self.exponents.output(at)[..ended.len()];
                for (&value, &trajectory) in values.iter().zip(&self.batch.origin()[ended.clone()])
                {
                    let value = term.sign * value.as_f64();
                    if !value.is_finite() && self.fault.is_none() {
                        let what = format!(
                            "{} in steps after the end",
                            fault::term_is(program.plan, k, value)
                        );
                        let (t, trajectory) = (last.max(1), trajectory as usize);
                        let arose = Arose::World;
                        let (state, outside) = (None, None);
                        self.fault = Some(Fault { what, arose, t, trajectory, state, outside });
                    }
                    self.episodes.totals.terms[k] += value * count;
                    self.episodes.totals.bound[trajectory as usize] += value * count;
                    let credited = term.credits.iter().any(Option::is_some);
                    if is_first && expressions.reads_last_draws() || t - last < delay_of(term) {
                        // it reads a draw of the last live step, or that moves only what comes
                        // later: whose credit it is depends on how far it looks
                        let beyond = E::of(value) - E::of(term.sign) * self.absorbed[k];
                        self.episodes.ledger.add(k, t, trajectory, beyond);
                    } else if credited && !term.relative {
                        self.episodes.after[trajectory as usize] += E::of(value * faded);
                    }
                }
            }
            t = until + 1;
        }
    }
    /// Reads what is left of draws in a step after `last`, of rows `0..rows`: what is drawn once is
    /// kept, and the first step after the end reads what the last live one drew.
    fn read_drawn_after(
        &mut self,
        program: &CompiledProgram<E>,
        last: usize,
        rows: usize,
        is_first: bool,
    ) {
        let Rollout { episodes: Episodes { draws, .. }, batch, exponents, .. } = self;
        let is_kept = program.draws.iter().all(|of| of.shared);
        if !is_kept || !program.exponents.reads_draws() {
            return;
        }
        let left = |is_first: bool| {
            let values = program.draws.iter().zip(&*draws).map(|(of, drawn)| {
                let origin = &batch.origin()[..rows];
                let is_there = last > 0 && (of.once || is_first);
                let mut values = Values::default();
                match (of.width, is_there) {
                    (0, true) => values.numbers.extend(origin.iter().map(|&at| drawn.latest(at))),
                    (0, false) => values.numbers.resize(rows, of.none()),
                    (width, _) => {
                        for component in 0..width {
                            let value = |&at: &u32| match of.once && last > 0 {
                                true => drawn.latest_real(of, at, component),
                                false => E::of(crate::model::NONE),
                            };
                            values.columns.extend(origin.iter().map(value));
                        }
                    }
                }
                values
            });
            values.collect::<Vec<Values<E>>>()
        };
        let (now, before) = (left(false), left(is_first));
        program.exponents.read_drawn(
            rows,
            |draw| now[draw].as_actions(rows),
            |draw| before[draw].as_actions(rows),
            exponents,
        );
    }
}
