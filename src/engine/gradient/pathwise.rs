//! The gradient through draws: the tape of whole trajectories, each draw a function of what its
//! kernel computed and of its noise.
//!
//! The surrogate `Σ_t log π(a_t|s_t) · A_t + Σ_k f_k`, the advantages held fixed, is differentiated
//! in all that its states and real actions depend on: draws that are reparameterised have no score,
//! and where all are, the surrogate is the bound itself (Schulman et al. 2015, "Gradient estimation
//! using stochastic computation graphs", corollary 1). Nothing ends an episode here before the
//! horizon: the plan holds it.

use crate::engine::family::{Draws, Family, squashing};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::draws::KlReference;
use crate::engine::program::expressions::Place;
use crate::engine::program::imagine::{Imagination, Imagined};
use crate::engine::program::stage::{Source, Stage};
use crate::engine::program::through::Through;
use crate::engine::sample::episodes::Episodes;
use crate::engine::tape::parameters::Parameters;
use crate::engine::tape::tensor::{Matrix, Tape};
use crate::plan::Less;
use std::ops::Range;

/// The tensors of a step that gradient goes on to.
struct Step<E: Float> {
    state: Matrix<E>,
    action: Option<Matrix<E>>,
    next: Matrix<E>,
    rewards: Vec<Matrix<E>>,
}

/// The trajectories of a shard, and what their actions are credited with.
pub(in crate::engine) struct Trajectories<'a, E: Float> {
    pub stage: &'a Stage<'a, E>,
    pub through: &'a Through<E>,
    pub parameters: &'a Parameters<E>,
    /// Those of the last round, where the prior of the action is of it.
    pub previous: Option<&'a Parameters<E>>,
    pub episodes: &'a Episodes<E>,
    /// Of each draw and row; of no use where the gradient goes through it.
    pub advantages: Vec<&'a [E]>,
    pub share: f64,
}

impl<E: Number> Trajectories<'_, E> {
    /// Puts the surrogate of `−L` on the tape.
    pub fn weigh(&self, tape: &mut Tape<E>, weighted: &mut Vec<(Matrix<E>, Vec<E>)>) {
        let Trajectories { stage, episodes, .. } = *self;
        let (count, width) = (episodes.size(), stage.world.state_width());
        let mut state = match &stage.start {
            Some(start) => self.draw(tape, (start, &episodes.imagined_start), 0..count, &[]).0,
            None => carrier(tape, count, width),
        };
        let discount: E = Float::of(stage.plan.settings.discount);
        for (t, bounds) in (1..).zip(episodes.rows.starts.windows(2)) {
            let rows = bounds[0]..bounds[1];
            assert_eq!(rows.len(), count, "pathwise: nothing ends before the horizon");
            let action = self.weigh_action(tape, (&state, t, rows.clone()), weighted);
            let imagination = stage
                .imagination
                .as_ref()
                .expect("plan: a gradient through draws is of imagined steps");
            let inputs = imagination.wired.through(&state, |_| action.as_ref());
            let (next, roots) =
                self.draw(tape, (imagination, &episodes.imagined), rows.clone(), &inputs);
            let rewards = self.draw_rewards(tape, imagination, &roots, rows.clone());
            let step = Step { state, action, next, rewards };
            self.weigh_model(tape, (imagination, &roots, t), weighted);
            self.weigh_expressions(tape, &step, (t, rows.clone()));
            self.weigh_ratios(tape, &step, (t, rows), weighted);
            // what comes after the next action is faded like its credit
            state = if discount == Float::of(1.0) {
                step.next
            } else {
                tape.scaled(&step.next, vec![discount; count * width])
            };
        }
    }

    /// The terms and the score of the action at `t`; the action, where the gradient goes through
    /// it.
    fn weigh_action(
        &self,
        tape: &mut Tape<E>,
        (state, t, rows): (&Matrix<E>, usize, Range<usize>),
        weighted: &mut Vec<(Matrix<E>, Vec<E>)>,
    ) -> Option<Matrix<E>> {
        let Trajectories { stage, through, parameters, episodes, .. } = *self;
        let wired = &stage.learning;
        let number = stage.draws.len() - 1;
        let (family, drawn) = (&stage.draws[number].family, &episodes.draws[number]);
        let inputs = wired.through(state, |_| None);
        let roots = tape.network_through(
            &wired.network,
            parameters,
            (&episodes.network, rows.clone()),
            &inputs,
        );
        let policy = &roots[wired.draws[number].clone()];
        let drawn = part(&drawn.draws, rows.clone(), family.width());
        let (log_prob, entropy) = family.score(tape, policy, &[], &drawn);
        if !through.action {
            let down: E = Float::of(-self.share);
            weighted.push((
                log_prob,
                self.advantages[number][rows.clone()]
                    .iter()
                    .map(|&advantage| down * advantage)
                    .collect(),
            ));
        }
        for term in stage.terms.iter().filter(|term| (term.from..=term.to).contains(&t)) {
            let weights = |sign: f64| vec![<E as Float>::of(-sign * self.share); rows.len()];
            match term.source {
                Source::Entropy(_) => weighted.push((entropy.clone(), weights(term.sign))),
                // −log π of a draw moves as the entropy does: its noise stands still
                Source::LogRatio { .. } if through.action => {
                    weighted.push((entropy.clone(), weights(term.sign)));
                }
                Source::Divergence(_) => {
                    let prior = match &stage.draws[number].reference {
                        KlReference::Expressions(_) => self.prior(tape, state, rows.clone()),
                        KlReference::Itself | KlReference::Previous(_) => {
                            self.previous_prior(tape, state, rows.clone())
                        }
                        KlReference::Present | KlReference::None => {
                            roots[wired.references[number].clone()].to_vec()
                        }
                    };
                    weighted.push((family.divergence(tape, policy, &prior), weights(term.sign)));
                }
                // of what keeps its score, −log π is credited like any other term
                Source::LogRatio { .. }
                | Source::Exponent(_)
                | Source::Whole
                | Source::WeightDivergence
                | Source::LogCount(_)
                | Source::Density
                | Source::Ratio => {}
            }
        }
        let (true, Family::Normal { width, bounds }) = (through.action, family) else {
            return None;
        };
        let plain = tape.reparameterised((&policy[0], &policy[1]), &drawn.reals);
        let Some(bounds) = bounds else { return Some(plain) };
        let one: E = Float::of(1.0);
        let slope = |(at, &u): (usize, &E)| {
            let (tanh, half) = (Float::tanh(u), squashing::<E>(bounds[at % width]).1);
            half * (one - tanh * tanh)
        };
        let slopes = drawn.reals.iter().enumerate().map(slope).collect();
        // −log π of a squashed draw has log |da/du| in it, whose slope is −2 tanh(u)
        let sampled = stage.terms.iter().filter(|term| {
            matches!(term.source, Source::LogRatio { .. }) && (term.from..=term.to).contains(&t)
        });
        for term in sampled {
            let weight: E = Float::of(2.0 * term.sign * self.share);
            let of_plain = plain.clone();
            let flows: Vec<E> = drawn.reals.iter().map(|&u| weight * Float::tanh(u)).collect();
            tape.record(move |flow| {
                crate::engine::numeric::kernels::add(flow.of(&of_plain), &flows)
            });
        }
        Some(tape.scaled(&plain, slopes))
    }

    /// A prior of the last round, whose parameters stand still.
    fn previous_prior(
        &self,
        tape: &mut Tape<E>,
        state: &Matrix<E>,
        rows: Range<usize>,
    ) -> Vec<Matrix<E>> {
        let number = self.stage.draws.len() - 1;
        let ((wired, of), parameters) = self
            .stage
            .previous_of(number)
            .zip(self.previous)
            .expect("pathwise: the prior is one of the last round");
        let activations = (&self.episodes.draws[number].previous, rows);
        let roots = tape.network_through(
            &wired.network,
            parameters,
            activations,
            &wired.through(state, |_| None),
        );
        roots[of.clone()].to_vec()
    }

    /// A prior in place, whose numbers may read the state.
    fn prior(&self, tape: &mut Tape<E>, state: &Matrix<E>, rows: Range<usize>) -> Vec<Matrix<E>> {
        let Trajectories { stage, through, episodes, .. } = *self;
        let number = stage.draws.len() - 1;
        let family = &stage.draws[number].family;
        let numbers = family.numbers();
        let reference = &episodes.draws[number].reference;
        let prior = family.frozen(tape, &reference[rows.start * numbers..rows.end * numbers]);
        let width = numbers / prior.len();
        for (slopes, &(number, of)) in episodes.slopes.prior.iter().zip(&through.prior.of) {
            let Place::State(component) = of else { continue };
            let (from, to, slopes) =
                (prior[number / width].clone(), state.clone(), slopes[rows.clone()].to_vec());
            let components = stage.world.state_width();
            tape.record(move |flow| {
                let flows: Vec<E> =
                    flow.of(&from)[number % width..].iter().step_by(width).copied().collect();
                let to = flow.of(&to)[component..].iter_mut().step_by(components);
                to.zip(&flows).zip(&slopes).for_each(|((to, &d), &slope)| *to += d * slope);
            });
        }
        prior
    }

    /// States as a model drew them, and all that its network computed.
    fn draw(
        &self,
        tape: &mut Tape<E>,
        (of, drawn): (&Imagination, &Imagined<E>),
        rows: Range<usize>,
        inputs: &[Option<&Matrix<E>>],
    ) -> (Matrix<E>, Vec<Matrix<E>>) {
        let roots = tape.network_through(
            &of.wired.network,
            self.parameters,
            (&drawn.network, rows.clone()),
            inputs,
        );
        let policy = &roots[of.wired.draws[0].clone()];
        let states = match &of.family {
            Family::Normal { width, .. } => tape.reparameterised(
                (&policy[0], &policy[1]),
                &drawn.drawn.reals[rows.start * width..rows.end * width],
            ),
            // it is what the network made of noise
            _ => policy[0].clone(),
        };
        (states, roots)
    }

    /// The rewards that the model draws beside.
    fn draw_rewards(
        &self,
        tape: &mut Tape<E>,
        of: &Imagination,
        roots: &[Matrix<E>],
        rows: Range<usize>,
    ) -> Vec<Matrix<E>> {
        let drawn = of.outcomes.iter().zip(&self.episodes.imagined.outcomes);
        drawn
            .map(|((_, at), drawn)| {
                tape.reparameterised(
                    (&roots[at.start], &roots[at.start + 1]),
                    &drawn.reals[rows.clone()],
                )
            })
            .collect()
    }

    /// `log p − log world` where that is compared with the environment's own density: `−log world`
    /// of a draw moves as the entropy does.
    fn weigh_model(
        &self,
        tape: &mut Tape<E>,
        (of, roots, t): (&Imagination, &[Matrix<E>], usize),
        weighted: &mut Vec<(Matrix<E>, Vec<E>)>,
    ) {
        let stage = self.stage;
        for density in stage
            .densities
            .iter()
            .filter(|density| matches!(density.less, Less::Expression(_)) && density.counts_at(t))
        {
            let count = self.episodes.size();
            let policy = &roots[of.wired.draws[0].clone()];
            let drawn = Draws {
                numbers: vec![],
                reals: vec![<E as Float>::ZERO; count * stage.world.state_width()],
            };
            let (_, entropy) = of.family.score(tape, policy, &[], &drawn);
            // the term is that of the draw's own density, less the other
            weighted.push((
                entropy,
                vec![Float::of(stage.terms[density.term].sign * self.share); count],
            ));
        }
    }

    /// What exponents and other expressions of the step pass on.
    fn weigh_expressions(
        &self,
        tape: &mut Tape<E>,
        step: &Step<E>,
        (t, rows): (usize, Range<usize>),
    ) {
        let Trajectories { stage, through, episodes, .. } = *self;
        for (slopes, &(term, of)) in episodes.slopes.terms.iter().zip(&through.terms.of) {
            let term = &stage.terms[term];
            if !(term.from..=term.to).contains(&t) {
                continue;
            }
            let (to, component) = match of {
                Place::State(component) => (&step.state, component),
                Place::NextState(component) => (&step.next, component),
                Place::Reward(told) => (&step.rewards[told], 0),
                Place::Drawn(_, component) => match &step.action {
                    Some(action) => (action, component),
                    None => continue,
                },
                Place::Observation(_)
                | Place::Gain(_)
                | Place::LastDrawn(..)
                | Place::Trajectory(_) => continue,
            };
            // a density less an expression falls as that rises
            let sign = if let Source::Density = term.source { -term.sign } else { term.sign };
            let weight: E = Float::of(-sign * self.share);
            let (to, slopes) = (to.clone(), slopes[rows.clone()].to_vec());
            tape.record(move |flow| {
                let into = flow.of(&to);
                let width = into.len() / slopes.len();
                into[component..]
                    .iter_mut()
                    .step_by(width)
                    .zip(&slopes)
                    .for_each(|(into, &slope)| *into += weight * slope);
            });
        }
    }

    /// The classifiers' logits, whose own parameters stand still.
    fn weigh_ratios(
        &self,
        tape: &mut Tape<E>,
        step: &Step<E>,
        (t, rows): (usize, Range<usize>),
        weighted: &mut Vec<(Matrix<E>, Vec<E>)>,
    ) {
        let Trajectories { stage, parameters, episodes, .. } = *self;
        for (ratio, told) in stage.ratios.iter().zip(&episodes.ratios) {
            let term = &stage.terms[ratio.term];
            if !(term.from..=term.to).contains(&t) {
                continue;
            }
            let first = episodes.rows.starts[term.from - 1];
            let inputs = ratio.inputs.through(&step.state, |_| step.action.as_ref(), &step.next);
            let at = rows.start - first..rows.end - first;
            let roots =
                tape.network_through(&ratio.through, parameters, (&told.network, at), &inputs);
            weighted.push((roots[0].clone(), vec![Float::of(-term.sign * self.share); rows.len()]));
        }
    }
}

/// A tensor that gradient is to be collected in.
fn carrier<E: Float>(tape: &Tape<E>, rows: usize, columns: usize) -> Matrix<E> {
    tape.constant(vec![E::ZERO; rows * columns], columns)
}

/// The draws of some rows, of `width` reals each where they are real.
fn part<E: Copy>(draws: &Draws<E>, rows: Range<usize>, width: usize) -> Draws<E> {
    let numbers = draws.numbers.get(rows.clone()).unwrap_or(&[]).to_vec();
    Draws {
        numbers,
        reals: draws.reals.get(rows.start * width..rows.end * width).unwrap_or(&[]).to_vec(),
    }
}
