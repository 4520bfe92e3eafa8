//! What whole trajectories give: densities of kernels and the logit of a classifier, which pass
//! their gradient on to what they read and to what they are of.

use super::paths::{Paths, Read};
use super::{AtStep, Trajectories, Weighted, part};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::density::{Density, DensityRows};
use crate::engine::program::ratio::{Ratio, RatioRows};
use crate::engine::tape::parameters::Parameters;
use crate::engine::tape::tensor::{Matrix, Tape};
use crate::plan::{ComparedWith, Version};
use std::ops::Range;

impl<E: Number> Trajectories<'_, E> {
    /// The densities of terms at `t`, less what they are compared with: where that is the density
    /// of a draw which is followed, it stands with the draw.
    pub(super) fn weigh_densities(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        (t, _): &AtStep,
        weighted: &mut Weighted<E>,
    ) {
        let program = self.program;
        for (density, rows) in program.densities.iter().zip(&self.episodes.densities) {
            let term = &program.terms[density.term];
            // the density of a draw itself stands with that
            if density.own.is_some() || !density.counts_at(*t) {
                continue;
            }
            let first = rows.points.partition_point(|(step, _)| (*step as usize) < *t);
            let count =
                rows.points[first..].iter().take_while(|(at, _)| *at as usize == *t).count();
            if count == 0 {
                continue;
            }
            let parameters = match density.version {
                Version::Present => self.parameters,
                Version::Previous => {
                    self.previous.expect("pathwise: a density of the last round has its parameters")
                }
            };
            let of = (density, rows, first..first + count);
            let log_density = Self::log_density(tape, (paths, parameters), of, *t);
            weighted.push((log_density, vec![Float::of(-term.sign * self.share); count]));
        }
    }

    /// `log p` of a density at some of its points, all of step `t`.
    pub(super) fn log_density(
        tape: &mut Tape<E>,
        (paths, parameters): (&mut Paths<E>, &Parameters<E>),
        (density, rows, of): (&Density, &DensityRows<E>, Range<usize>),
        t: usize,
    ) -> Matrix<E> {
        let (target, when) = density.target;
        let target = (target, usize::try_from(when.from(t)).unwrap_or(0));
        // held beside another estimate of its value, it moves by its own parameters alone
        let is_followed = density.compared_with != ComparedWith::Itself;
        let reads = density.inputs.reads_at(t).map(|read| {
            let (variable, time) = read?;
            let scaled = density.scaled.iter().find(|(of, _)| *of == variable);
            let scaled = scaled.map(|(_, scaled)| scaled);
            Some(Read { variable, time, scaled })
        });
        let reads: Vec<Option<Read>> = reads.map(|read| read.filter(|_| is_followed)).collect();
        // as late as the last thing that it reads
        let drawn = reads.iter().flatten().map(|read| (read.variable, read.time)).chain([target]);
        let from = drawn.filter_map(|(of, time)| paths.step_of(of, time)).max().unwrap_or(t).max(t);
        let inputs = paths.all(tape, reads.into_iter(), from);
        let activations = (&rows.network, of.clone());
        let roots = tape.network_through(&density.network, parameters, activations, &inputs);
        let draws = part(&rows.draws, of.clone(), density.family.width());
        let log_density = density.family.log_density(tape, &roots, &rows.last[of], &draws);
        if is_followed && let Some(target) = paths.seen(tape, target, from) {
            let on = (&log_density, &roots[..]);
            density.family.pass_to_draw(tape, on, &draws.reals, &target);
        }
        log_density
    }

    /// The logits of classifiers, whose own parameters stand still.
    pub(super) fn weigh_ratios(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        at: &AtStep,
        weighted: &mut Weighted<E>,
    ) {
        let (program, episodes) = (self.program, self.episodes);
        for (ratio, said) in program.ratios.iter().zip(&episodes.ratios) {
            self.weigh_ratio(tape, paths, (ratio, said), at, weighted);
        }
    }

    fn weigh_ratio(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        (ratio, said): (&Ratio<E>, &RatioRows<E>),
        (t, rows): &AtStep,
        weighted: &mut Weighted<E>,
    ) {
        let (program, episodes) = (self.program, self.episodes);
        let term = &program.terms[ratio.term];
        if !(term.from..=term.to).contains(t) {
            return;
        }
        let first = episodes.rows.starts[term.from - 1];
        let read = |(variable, time)| Read { variable, time, scaled: None };
        let reads = ratio.inputs.reads_at(*t).map(|found| found.map(read));
        let inputs = paths.all(tape, reads, *t);
        let at = rows.start - first..rows.end - first;
        let activations = (&said.network, at.clone());
        let roots = tape.network_through(&ratio.through, self.parameters, activations, &inputs);
        let weight: E = Float::of(-term.sign * ratio.sign * self.share);
        weighted.push((roots[0].clone(), vec![weight; rows.len()]));
        // where the weights of the model are drawn, `log p/q` falls by what `log q` rises from
        // their means: as a function of what was drawn, at weights that stand still
        let Some(model) = ratio.model.as_ref().filter(|_| ratio.shifts) else { return };
        let [drawn, means] =
            [None, Some(&said.means[..])].map(|values| self.parameters.frozen_at(values));
        for (rows, parameters, weight) in said
            .of_model
            .iter()
            .zip([&drawn, &means])
            .zip([-weight, weight])
            .map(|((rows, parameters), weight)| (rows, parameters, weight))
        {
            let of = (model, rows, at.clone());
            let log_density = Self::log_density(tape, (paths, parameters), of, *t);
            weighted.push((log_density, vec![weight; at.len()]));
        }
    }
}
