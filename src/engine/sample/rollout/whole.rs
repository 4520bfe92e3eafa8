//! What whole trajectories give to the bound: the exponents, the densities and the density ratio of
//! terms that read more than one step.

use super::Rollout;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::point::Point;
use crate::engine::program::points::EpisodeView;
use crate::engine::sample::episodes::Episodes;
use crate::engine::sample::fault::{self, Arose, Fault};
use crate::engine::sample::reached;
use crate::engine::sample::start;
use crate::plan::ComparedWith;

impl<E: Number> Rollout<E> {
    /// Adds what whole trajectories give, and credits the draws with it, where rows were kept for
    /// that.
    pub fn value(&mut self, program: &CompiledProgram<E>, point: Point<E>) {
        if program.keeps_ledger() {
            self.evaluate_exponents(program);
            self.evaluate_densities(program, point);
            self.episodes.ledger.credit(
                (&program.terms, program.plan.settings.discount),
                program.row_draws(),
                self.episodes.rows.len(),
                &self.episodes.totals.lengths,
                &self.episodes.trace,
            );
        }
    }

    /// What whole trajectories give to the exponents that read them, in all steps.
    fn evaluate_exponents(&mut self, program: &CompiledProgram<E>) {
        let Rollout { episodes, exponents, wholes, fault, .. } = self;
        episodes.schedules.clear();
        episodes.schedules.extend_from_slice(exponents.schedules());
        let Episodes { rows, totals, trace, draws, gains, ledger, .. } = episodes;
        let on =
            EpisodeView { rows, lengths: &totals.lengths, horizon: program.horizon, trace, draws };
        for (whole, values) in program.wholes.iter().zip(wholes) {
            let sign = program.terms[whole.term].sign;
            for t in whole.from..=whole.to {
                let exponents = whole.evaluate(t, &on, gains, values);
                for (trajectory, &value) in (0..).zip(exponents) {
                    let value = <E as Float>::of(sign) * value;
                    if !Float::is_finite(value) && fault.is_none() {
                        let is_live = t <= on.lengths[trajectory as usize] as usize;
                        *fault = Some(Fault {
                            what: fault::term_is(program.plan, whole.term, value.as_f64()),
                            arose: Arose::World,
                            t,
                            trajectory: trajectory as usize,
                            state: is_live
                                .then(|| reached::state_at(program, &on, (t as u32, trajectory)))
                                .flatten(),
                            outside: None,
                        });
                    }
                    ledger.add(whole.term, t, trajectory, value);
                    totals.terms[whole.term] += value.as_f64();
                    totals.bound[trajectory as usize] += value.as_f64();
                }
            }
        }
    }

    /// What whole trajectories give to the densities of the bound, and to its density ratio.
    fn evaluate_densities(&mut self, program: &CompiledProgram<E>, point: Point<E>) {
        let Rollout { episodes, fault, .. } = self;
        let Episodes { rows, totals, trace, draws, densities, ledger, ratios, scored, .. } =
            episodes;
        let lengths = totals.lengths.clone();
        let on = EpisodeView { rows, lengths: &lengths, horizon: program.horizon, trace, draws };
        for (of, rows) in program.scored.iter().zip(scored) {
            match of.once {
                true => start::evaluate(rows, &of.density, point, &on),
                false => rows.evaluate(&of.density, point, &on),
            }
        }
        let mut hold = |term: usize, value: E, point: (u32, u32)| {
            if !Float::is_finite(value) && fault.is_none() {
                let what = fault::term_is(program.plan, term, value.as_f64());
                let (t, trajectory) = (point.0 as usize, point.1 as usize);
                *fault = Some(Fault {
                    what,
                    arose: Arose::Kernel,
                    t,
                    trajectory,
                    state: reached::state_at(program, &on, point),
                    outside: None,
                });
            }
        };
        for (of, ratio) in program.ratios.iter().zip(ratios) {
            ratio.evaluate(of, point, &on);
            let sign = program.terms[of.term].sign * of.sign;
            for (&(t, trajectory), &logit) in ratio.points.iter().zip(ratio.logits(of)) {
                let value = <E as Float>::of(sign) * logit;
                hold(of.term, value, (t, trajectory));
                ledger.add(of.term, t as usize, trajectory, value);
                totals.terms[of.term] += value.as_f64();
                totals.bound[trajectory as usize] += value.as_f64();
            }
            let discount = program.plan.settings.discount;
            for &(trajectory, steps) in &ratio.absorbed {
                let length = lengths[trajectory as usize] as usize;
                let mut add = |first: usize, count: u32| {
                    let logit = ratio.logit_of_absorbed(of, first).as_f64() * sign;
                    hold(of.term, <E as Float>::of(logit), (length as u32, trajectory));
                    // from the step at which the ledger has them
                    let faded: f64 = if discount == 1.0 {
                        f64::from(count)
                    } else {
                        (0..count).map(|k| discount.powi(k as i32)).sum()
                    };
                    ledger.add(of.term, first, trajectory, <E as Float>::of(logit * faded));
                    totals.terms[of.term] += logit * f64::from(count);
                    totals.bound[trajectory as usize] += logit * f64::from(count);
                };
                match of.reads_time() {
                    false => add(length + 1, steps),
                    true => (0..steps).for_each(|k| add(*of.steps().end() - k as usize, 1)),
                }
            }
        }
        for (density, out) in program.densities.iter().zip(densities) {
            out.evaluate(density, point, &on);
            if density.compared_with == ComparedWith::Itself {
                out.points
                    .iter()
                    .zip(&out.log_prob)
                    .for_each(|(&point, &log_p)| hold(density.term, log_p, point));
                continue;
            }
            let sign = program.terms[density.term].sign;
            for (at, (&(t, trajectory), &log_p)) in out.points.iter().zip(&out.log_prob).enumerate()
            {
                // of a squashed draw the density of what it became
                let of_draw = |draw: usize, row: usize| {
                    let (family, drawn) = (&program.draws[draw].family, &draws[draw]);
                    drawn.log_prob[row] + family.log_squash(&drawn.draws, row)
                };
                let log_q =
                    out.compared(at, density, &on, (of_draw, |row: usize| out.written[row]));
                let value = <E as Float>::of(sign) * (log_p - log_q);
                hold(density.term, value, (t, trajectory));
                ledger.add(density.term, t as usize, trajectory, value);
                totals.terms[density.term] += value.as_f64();
                totals.bound[trajectory as usize] += value.as_f64();
            }
        }
    }
}
