//! The gradient through draws: the tape of whole trajectories, each draw a function of what its
//! kernel computed and of its noise.
//!
//! The surrogate `Σ_i log q_i · A_i + Σ_k f_k`, of the draws `i` that keep their score, the
//! advantages held fixed, is differentiated in all that its states, options and actions depend on:
//! draws that are followed have no score, and where all are, the surrogate is the bound itself
//! (Schulman et al. 2015, "Gradient estimation using stochastic computation graphs", corollary 1).
//! Nothing ends an episode here before the horizon: the plan holds it.

mod densities;
mod paths;
mod simulated;

use self::paths::{Paths, Read};
use crate::engine::episode::variable::{Variable, When};
use crate::engine::family::path::OnPath;
use crate::engine::family::{Draws, Family};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::binding::InputBinding;
use crate::engine::program::compiled::{CompiledProgram, Source, Term};
use crate::engine::program::draws::KlReference;
use crate::engine::program::expressions::Place;
use crate::engine::program::imagine::{Imagination, Imagined};
use crate::engine::program::scored::Scored;
use crate::engine::program::through::{Slopes, Through};
use crate::engine::program::whole::Moved;
use crate::engine::sample::episodes::Episodes;
use crate::engine::tape::parameters::Parameters;
use crate::engine::tape::tensor::{Matrix, Tape, shape_of};
use crate::model::FactorRef;
use crate::plan::{Beside, ComparedWith};
use std::collections::BTreeSet;
use std::ops::Range;

/// The trajectories of a shard, and what their draws are credited with.
pub(in crate::engine) struct Trajectories<'a, E: Float> {
    pub program: &'a CompiledProgram<'a, E>,
    pub through: &'a Through<E>,
    pub parameters: &'a Parameters<E>,
    /// Those of the last round, where a prior is of it.
    pub previous: Option<&'a Parameters<E>>,
    pub episodes: &'a Episodes<E>,
    /// By draw, of each row; of no use where the gradient goes through what is drawn.
    pub advantages: Vec<&'a [E]>,
    pub share: f64,
}

/// What a surrogate is made of: tensors and the weights of their rows.
type Weighted<E> = Vec<(Matrix<E>, Vec<E>)>;

/// The step `t` and its rows.
type AtStep = (usize, Range<usize>);

impl<E: Number> Trajectories<'_, E> {
    /// Puts the surrogate of `−L` on the tape.
    pub fn weigh(&self, tape: &mut Tape<E>, weighted: &mut Weighted<E>) {
        let Trajectories { program, episodes, .. } = *self;
        let count = episodes.size();
        let mut paths = Paths::new(program.plan.settings.discount, self.parameters.values());
        // what the start reads is followed here, and again where its step draws it
        for ((draw, of), own) in program.before_start.iter().zip(&episodes.before_start) {
            if program.plan.follows(program.plan.draws[*draw].factor) {
                let inputs = Self::inputs(tape, &mut paths, &of.binding, 1);
                let drawn = self.draw(tape, (of, own), 0..count, &inputs).0;
                self.keep_drawn(&mut paths, (*draw, 1), &drawn.value);
            }
        }
        for (of, rows) in program.scored.iter().zip(&episodes.scored).filter(|(of, _)| of.once) {
            let at = (&of.density, rows, 0..count);
            let log_prob = Self::log_density(tape, (&mut paths, self.parameters), at, 1);
            weighted.push((log_prob, self.scored(of.credit, 0..count)));
        }
        if let Some((at, start)) = program.imagination(true)
            && program.plan.follows(program.plan.states[at].draw.factor)
        {
            let inputs = Self::inputs(tape, &mut paths, &start.binding, 1);
            let drawn = &episodes.states[at];
            let (state, roots) = self.draw(tape, (start, drawn), 0..count, &inputs);
            let of_draw = &roots[start.binding.draws[0].clone()];
            let own = (&start.family, of_draw, &state);
            let factor = Some(program.plan.states[at].draw.factor);
            self.weigh_own(tape, (factor, 1), own, &drawn.drawn.reals, weighted);
            paths.keep(Variable::State, (1, 1), state.value);
        }
        // kernels that are imagined with move by other bounds
        let standing = program.imagines_through().then(|| self.parameters.frozen());
        let steps = || (1..).zip(episodes.rows.starts.windows(2)).map(|(t, of)| (t, of[0]..of[1]));
        for at in steps() {
            assert_eq!(at.1.len(), count, "pathwise: nothing ends before the horizon");
            self.weigh_observation(tape, &mut paths, &at, weighted);
            paths.simulated.clear();
            self.weigh_simulations(tape, (&mut paths, &standing), (&at, 0), weighted);
            self.weigh_draws(tape, (&mut paths, &standing), &at, weighted);
            self.weigh_model(tape, &mut paths, &at, weighted);
            self.weigh_expressions(tape, &mut paths, &at);
            self.weigh_ratios(tape, &mut paths, &at, weighted);
        }
        // they may read what comes later
        self.weigh_wholes(tape, &mut paths);
        steps().for_each(|at| self.weigh_densities(tape, &mut paths, &at, weighted));
    }

    fn follows(&self, variable: Variable) -> bool {
        variable.is_followed(self.program.plan)
    }

    /// By input of a network at `t`, what gradient goes on to.
    fn inputs(
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        binding: &InputBinding,
        t: usize,
    ) -> Vec<Option<Matrix<E>>> {
        let read = |(variable, time, scaled)| Read { variable, time, scaled };
        let mut inputs = paths.all(tape, binding.reads_at(t).map(|found| found.map(read)), t);
        for (input, simulation) in inputs.iter_mut().zip(binding.simulated()) {
            if let Some(at) = simulation {
                *input = paths.simulated.get(at).cloned().flatten();
            }
        }
        inputs
    }

    /// The roots of what decides at `t`, of what has been drawn so far.
    fn decided(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        (t, rows): &AtStep,
    ) -> Vec<Matrix<E>> {
        let binding = &self.program.learning;
        let inputs = Self::inputs(tape, paths, binding, *t);
        let activations = (&self.episodes.network, rows.clone());
        tape.network_through(&binding.network, self.parameters, activations, &inputs)
    }

    /// The terms and the scores of what is drawn at `t`.
    fn weigh_draws(
        &self,
        tape: &mut Tape<E>,
        (paths, standing): (&mut Paths<E>, &Option<Parameters<E>>),
        at: &AtStep,
        weighted: &mut Weighted<E>,
    ) {
        let program = self.program;
        let t = at.0;
        for (number, _) in program.draws.iter().enumerate().filter(|(_, of)| of.once && t > 1) {
            let variable = Variable::Drawn(number);
            if let Some(kept) = paths.seen(tape, (variable, 1), 1) {
                paths.keep(variable, (t, 1), kept);
            }
        }
        let mut roots = self.decided(tape, paths, at);
        for number in 0..program.draws.len() {
            let drawn = match program.draws[number].is_drawn_at(t) {
                true => self.weigh_draw(tape, paths, (at, number, &roots), weighted),
                false => None,
            };
            let mut moves = false;
            if let Some(drawn) = drawn {
                self.keep_drawn(paths, (number, t), &drawn);
                moves = true;
            }
            if program.simulators.iter().any(|of| of.after == number + 1) {
                self.weigh_simulations(tape, (paths, standing), (at, number + 1), weighted);
                moves = true;
            }
            // what is drawn next reads it from a pass of its own
            if moves && number + 1 < program.draws.len() {
                roots = self.decided(tape, paths, at);
            }
        }
    }

    /// Keeps what step `t` draws, which another draw may go on with.
    fn keep_drawn(&self, paths: &mut Paths<E>, (number, t): (usize, usize), drawn: &Matrix<E>) {
        paths.keep(Variable::Drawn(number), (t, t), drawn.clone());
        for (other, of) in self.program.draws.iter().enumerate() {
            if t == 1 && of.from > 1 && of.begins == Some(number) {
                paths.keep(Variable::Drawn(other), (1, 1), drawn.clone());
            }
        }
    }

    /// Those of one draw; what it is made of noise, where it is followed.
    fn weigh_draw(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        (at, number, roots): (&AtStep, usize, &[Matrix<E>]),
        weighted: &mut Weighted<E>,
    ) -> Option<Matrix<E>> {
        let (program, own) = (self.program, &self.episodes.draws[number]);
        let (t, rows) = (at.0, at.1.clone());
        let (draw, binding) = (&program.draws[number], &program.learning);
        let family = &draw.family;
        let of_draw = &roots[binding.draws[number].clone()];
        let drawn = part(&own.draws, rows.clone(), family.width());
        let last = own.last.get(rows.clone()).unwrap_or(&[]);
        // one draw of a variable may be smooth, and another not
        let is_followed = self.follows(Variable::Drawn(number)) && family.has_path();
        let is_own = |term: &&Term| match term.source {
            Source::LogRatio { draw, .. } => is_followed && draw == number,
            Source::Entropy(draw) => draw == number,
            _ => false,
        };
        // −log q of a draw that is followed moves as the entropy does
        let own_terms: Vec<&Term> = self.terms_at(t).filter(is_own).collect();
        let compared = program.densities.iter().filter(|density| {
            is_followed
                && density.compared_with == ComparedWith::Draw(number)
                && density.counts_at(t)
        });
        let compared: Vec<&Term> = compared.map(|density| &program.terms[density.term]).collect();
        // no term compares what has no density
        if !family.has_density() {
            // what the start has read was made of its own noise, and not of the step's
            if is_followed && t == 1 && program.before_start.iter().any(|(of, _)| *of == number) {
                return paths.seen(tape, (Variable::Drawn(number), 1), 1);
            }
            return is_followed.then(|| family.follow(tape, of_draw, &drawn.reals).value);
        }
        let factor = is_followed.then(|| program.plan.draws[number].factor);
        let (log_prob, entropy) = if own_terms.is_empty() && compared.is_empty() {
            (family.log_density(tape, of_draw, last, &drawn), None)
        } else {
            let (log_prob, entropy) = family.score(tape, of_draw, last, &drawn);
            (log_prob, Some(entropy))
        };
        let scored = match is_followed {
            true => family.log_choice(tape, of_draw, &drawn.reals),
            false => Some(log_prob),
        };
        if let Some(log_prob) = scored {
            weighted.push((log_prob, self.scored(number, rows.clone())));
        }
        let on_path = is_followed.then(|| family.follow(tape, of_draw, &drawn.reals));
        for term in self.terms_at(t) {
            let weights = || vec![<E as Float>::of(-term.sign * self.share); rows.len()];
            match (term.source, &entropy) {
                (Source::Entropy(of), Some(entropy)) if of == number => {
                    weighted.push((entropy.clone(), weights()));
                }
                (Source::Divergence(of), _) if of == number => {
                    let prior = match &draw.reference {
                        KlReference::Expressions(_) => self.prior(tape, paths, (at, number)),
                        KlReference::Itself | KlReference::Previous(_) => {
                            self.previous_prior(tape, paths, (at, number))
                        }
                        KlReference::Present | KlReference::None => {
                            roots[binding.references[number].clone()].to_vec()
                        }
                    };
                    weighted.push((family.divergence(tape, of_draw, &prior), weights()));
                }
                // of what keeps its score, −log q is credited like any other term
                (
                    Source::Entropy(_)
                    | Source::Divergence(_)
                    | Source::LogRatio { .. }
                    | Source::Exponent(_)
                    | Source::Whole
                    | Source::WeightDivergence
                    | Source::LogCount(_)
                    | Source::Density
                    | Source::Ratio,
                    _,
                ) => {}
            }
        }
        let on_path = on_path?;
        let sampled =
            own_terms.into_iter().filter(|term| matches!(term.source, Source::LogRatio { .. }));
        for (term, entropy) in sampled.chain(compared).zip(entropy.iter().cycle()) {
            let weight = Float::of(-term.sign * self.share);
            let own = (of_draw, entropy, &on_path);
            family.weigh_own(tape, own, &drawn.reals, weight, weighted);
        }
        self.weigh_own(tape, (factor, t), (family, of_draw, &on_path), &drawn.reals, weighted);
        Some(on_path.value)
    }

    /// The terms at `t` that are the density of a draw which is followed, that of `factor`, less
    /// one that is written: what is written passes its own slopes on.
    fn weigh_own(
        &self,
        tape: &mut Tape<E>,
        (factor, t): (Option<FactorRef>, usize),
        (family, roots, drawn): (&Family, &[Matrix<E>], &OnPath<E>),
        reals: &[E],
        weighted: &mut Weighted<E>,
    ) {
        let program = self.program;
        let own = program.densities.iter().filter(|density| {
            density.own.is_some() && density.own == factor && density.counts_at(t)
        });
        for density in own {
            let draws = Draws { numbers: vec![], reals: reals.to_vec() };
            let (_, entropy) = family.score(tape, roots, &[], &draws);
            // the term is that of the draw's own density, less the other
            let weight = Float::of(program.terms[density.term].sign * self.share);
            family.weigh_own(tape, (roots, &entropy, drawn), reals, weight, weighted);
        }
    }

    /// The weights of the scores of a draw.
    fn scored(&self, draw: usize, rows: Range<usize>) -> Vec<E> {
        let down: E = Float::of(-self.share);
        self.advantages[draw][rows].iter().map(|&advantage| down * advantage).collect()
    }

    fn terms_at(&self, t: usize) -> impl Iterator<Item = &Term> {
        self.program.terms.iter().filter(move |term| (term.from..=term.to).contains(&t))
    }

    /// A prior of the last round, whose parameters stand still.
    fn previous_prior(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        ((t, rows), number): (&AtStep, usize),
    ) -> Vec<Matrix<E>> {
        let ((binding, of), parameters) = self
            .program
            .previous_of(number)
            .zip(self.previous)
            .expect("pathwise: the prior is one of the last round");
        let inputs = Self::inputs(tape, paths, binding, *t);
        let activations = (&self.episodes.draws[number].previous, rows.clone());
        let roots = tape.network_through(&binding.network, parameters, activations, &inputs);
        roots[of.clone()].to_vec()
    }

    /// A prior in place, whose numbers may read what stands before the draw.
    fn prior(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        ((t, rows), number): (&AtStep, usize),
    ) -> Vec<Matrix<E>> {
        let Trajectories { program, through, episodes, .. } = *self;
        let family = &program.draws[number].family;
        let numbers = family.numbers();
        let reference = &episodes.draws[number].reference;
        let prior = family.frozen(tape, &reference[rows.start * numbers..rows.end * numbers]);
        let widths: Vec<usize> = prior.iter().map(|tensor| shape_of(tensor).1).collect();
        let all = episodes.slopes.prior.iter().zip(&through.prior.of).zip(&through.prior_draws);
        let own = all.filter(|(_, draw)| **draw == number).map(|(of, _)| of);
        for (slopes, &(number, of)) in own {
            let Some((to, component)) = self.place(tape, paths, (of, *t), *t) else { continue };
            // the tensors have the numbers of a row in their order
            let (mut at, mut column) = (0, number);
            while column >= widths[at] {
                (at, column) = (at + 1, column - widths[at]);
            }
            let (from, width) = (prior[at].clone(), widths[at]);
            let slopes = slopes[rows.clone()].to_vec();
            tape.record(move |flow| {
                let flows: Vec<E> =
                    flow.of(&from)[column..].iter().step_by(width).copied().collect();
                let to = flow.of(&to);
                let components = to.len() / flows.len();
                let to = to[component..].iter_mut().step_by(components);
                to.zip(&flows).zip(&slopes).for_each(|((to, &d), &slope)| *to += d * slope);
            });
        }
        prior
    }

    /// What a model draws, where the gradient goes through that, and all that its network computed.
    fn draw(
        &self,
        tape: &mut Tape<E>,
        (of, drawn): (&Imagination, &Imagined<E>),
        rows: Range<usize>,
        inputs: &[Option<Matrix<E>>],
    ) -> (OnPath<E>, Vec<Matrix<E>>) {
        let activations = (&drawn.network, rows.clone());
        let roots = tape.network_through(&of.binding.network, self.parameters, activations, inputs);
        let width = of.family.width();
        let reals = &drawn.drawn.reals[rows.start * width..rows.end * width];
        (of.family.follow(tape, &roots[of.binding.draws[0].clone()], reals), roots)
    }

    /// The next states and the rewards that the model draws, or their scores; and `log p − log
    /// world` where that is compared with the environment's own density: `−log world` of a draw
    /// that is followed moves as the entropy does.
    fn weigh_model(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        (t, rows): &AtStep,
        weighted: &mut Weighted<E>,
    ) {
        let Trajectories { program, episodes, .. } = *self;
        let (at, imagination) = program
            .imagination(false)
            .expect("plan: a gradient through draws is of imagined steps");
        self.keep_outcomes(tape, paths, (*t, rows), true);
        let inputs = Self::inputs(tape, paths, &imagination.binding, *t);
        let (of, drawn) = (imagination, &episodes.states[at]);
        let family = &of.family;
        // of the state's factors one may be followed, and another keep its score
        let factor = program.plan.states[at].draw.factor;
        if !program.plan.follows(factor) {
            let activations = (&drawn.network, rows.clone());
            let roots =
                tape.network_through(&of.binding.network, self.parameters, activations, &inputs);
            let is_state = |of: &&Scored| !of.once && !of.density.is_of_outcome();
            for scored in program.scored.iter().filter(is_state) {
                let drawn = part(&drawn.drawn, rows.clone(), family.width());
                let roots = &roots[of.binding.draws[0].clone()];
                let log_prob = family.log_density(tape, roots, &[], &drawn);
                weighted.push((log_prob, self.scored(scored.credit, rows.clone())));
            }
            self.follow_rewards(tape, paths, (t, rows));
            self.keep_outcomes(tape, paths, (*t, rows), false);
            self.weigh_outcomes(tape, paths, (*t, rows), weighted);
            return;
        }
        let (next, roots) = self.draw(tape, (of, drawn), rows.clone(), &inputs);
        for ((variable, family, places), drawn) in of.outcomes.iter().zip(&drawn.outcomes) {
            let drawn = family.follow(tape, &roots[places.clone()], &drawn.reals[rows.clone()]);
            paths.keep(*variable, (*t, *t), drawn.value);
        }
        let (own, width) = (&roots[of.binding.draws[0].clone()], family.width());
        let reals = &drawn.drawn.reals[rows.start * width..rows.end * width];
        self.weigh_own(tape, (Some(factor), *t), (family, own, &next), reals, weighted);
        let is_state = |of: &&Scored| !of.once && !of.density.is_of_outcome();
        if let Some(scored) = program.scored.iter().find(is_state)
            && let Some(log_prob) = family.log_choice(tape, own, reals)
        {
            weighted.push((log_prob, self.scored(scored.credit, rows.clone())));
        }
        paths.keep(Variable::State, (t + 1, *t), next.value);
        self.follow_rewards(tape, paths, (t, rows));
        self.keep_outcomes(tape, paths, (*t, rows), false);
        self.weigh_outcomes(tape, paths, (*t, rows), weighted);
    }

    /// The rewards of factors of their own that are followed: those drawn `ahead` of the next
    /// state, or those behind it.
    fn keep_outcomes(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        (t, rows): (usize, &Range<usize>),
        ahead: bool,
    ) {
        let Trajectories { program, episodes, .. } = *self;
        let all = program.outcomes.iter().zip(&episodes.outcomes);
        for (of, own) in all.filter(|(of, _)| of.followed && of.ahead == ahead) {
            let read = |read: Option<(Variable, usize)>| {
                read.map(|(variable, time)| Read { variable, time, scaled: None })
            };
            let inputs = paths.all(tape, of.density.inputs.reads_at(t).map(read), t);
            let activations = (&own.network, rows.clone());
            let (network, parameters) = (&of.density.network, self.parameters);
            let roots = tape.network_through(network, parameters, activations, &inputs);
            let drawn = of.density.family.follow(tape, &roots, &own.draws.reals[rows.clone()]);
            paths.keep(of.variable, (t, t), drawn.value);
        }
    }

    /// The scores of the rewards that kernels draw at `t`.
    fn weigh_outcomes(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        (t, rows): (usize, &Range<usize>),
        weighted: &mut Weighted<E>,
    ) {
        let Trajectories { program, episodes, .. } = *self;
        for (of, drawn) in program.scored.iter().zip(&episodes.scored) {
            if of.density.is_of_outcome() {
                let at = (&of.density, drawn, rows.clone());
                let log_prob = Self::log_density(tape, (paths, self.parameters), at, t);
                weighted.push((log_prob, self.scored(of.credit, rows.clone())));
            }
        }
    }

    /// The observation of a state that moves: what it is made of noise, or its score.
    fn weigh_observation(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        (t, rows): &AtStep,
        weighted: &mut Weighted<E>,
    ) {
        let Trajectories { program, through, episodes, .. } = *self;
        let Slopes { of, .. } = &through.observation;
        if of.is_empty() {
            return;
        }
        let width = program.world.observation_width();
        let scored = program.beside(Beside::Observation);
        let columns = if scored.is_some() { 1 } else { width };
        let seen = if scored.is_some() {
            tape.constant(vec![<E as Float>::ZERO; rows.len()], 1)
        } else {
            let reals = episodes.trace.observations(width);
            tape.constant(reals[rows.start * width..rows.end * width].to_vec(), width)
        };
        for (slopes, &(column, place)) in episodes.slopes.observation.iter().zip(of) {
            let Some((to, component)) = self.place(tape, paths, (place, *t), *t) else { continue };
            let (from, slopes) = (seen.clone(), slopes[rows.clone()].to_vec());
            tape.record(move |flow| {
                let flows: Vec<E> =
                    flow.of(&from)[column..].iter().step_by(columns).copied().collect();
                let to = flow.of(&to);
                let components = to.len() / flows.len();
                let to = to[component..].iter_mut().step_by(components);
                to.zip(&flows).zip(&slopes).for_each(|((to, &d), &slope)| *to += d * slope);
            });
        }
        match scored {
            Some(draw) => weighted.push((seen, self.scored(draw, rows.clone()))),
            None => paths.keep(Variable::Observation, (*t, *t), seen),
        }
    }

    /// The tensor that an input of an expression at `t` stands for, and the component of it, as
    /// step `from` sees it.
    fn place(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        (place, t): (Place, usize),
        from: usize,
    ) -> Option<(Matrix<E>, usize)> {
        let (variable, time, component) = match place {
            Place::State(component) => (Variable::State, t, component),
            Place::NextState(component) => (Variable::State, t + 1, component),
            Place::Observation(component) => (Variable::Observation, t, component),
            Place::Reward(reward) => (Variable::Reward(reward), t, 0),
            Place::Drawn(draw, component) => (Variable::Drawn(draw), t, component),
            Place::LastDrawn(draw, component) => (Variable::Drawn(draw), t - 1, component),
            Place::Gain(gain) => return Some((self.gain(tape, paths, (gain, t), from), 0)),
            Place::Trajectory(_) => return None,
        };
        Some((paths.seen(tape, (variable, time), from)?, component))
    }

    /// A gain at `t`, a number a row, which moves with what it reads, as step `from` sees that.
    fn gain(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        (gain, t): (usize, usize),
        from: usize,
    ) -> Matrix<E> {
        let Trajectories { program, episodes, .. } = *self;
        let rows = episodes.rows.starts[t - 1]..episodes.rows.starts[t];
        let told = tape.constant(vec![<E as Float>::ZERO; rows.len()], 1);
        let moved = &program.gains[gain].moved;
        for (&(variable, when, component), slopes) in moved.iter().zip(&episodes.slopes.gains[gain])
        {
            let time = usize::try_from(when.from(t)).unwrap_or(0);
            if let Some(to) = paths.seen(tape, (variable, time), from) {
                pass_through(tape, &told, (to, component), &slopes[rows.clone()]);
            }
        }
        told
    }

    /// The environment's rewards that something reads, which move with their step.
    fn follow_rewards(
        &self,
        tape: &mut Tape<E>,
        paths: &mut Paths<E>,
        (t, rows): (&usize, &Range<usize>),
    ) {
        let Trajectories { through, episodes, .. } = *self;
        let of = &through.rewards.of;
        let rewards: BTreeSet<usize> = of.iter().map(|(reward, _)| *reward).collect();
        for reward in rewards {
            let told = tape.constant(vec![<E as Float>::ZERO; rows.len()], 1);
            for (slopes, &(_, place)) in
                episodes.slopes.rewards.iter().zip(of).filter(|(_, (at, _))| *at == reward)
            {
                if let Some(to) = self.place(tape, paths, (place, *t), *t) {
                    pass_through(tape, &told, to, &slopes[rows.clone()]);
                }
            }
            paths.keep(Variable::Reward(reward), (*t, *t), told);
        }
    }

    /// What exponents and other expressions of the step pass on.
    fn weigh_expressions(&self, tape: &mut Tape<E>, paths: &mut Paths<E>, (t, rows): &AtStep) {
        let Trajectories { program, through, episodes, .. } = *self;
        for (slopes, &(term, of)) in episodes.slopes.terms.iter().zip(&through.terms.of) {
            let term = &program.terms[term];
            if !(term.from..=term.to).contains(t) {
                continue;
            }
            let Some((to, component)) = self.place(tape, paths, (of, *t), *t) else { continue };
            // a density less an expression falls as that rises
            let sign = if let Source::Density = term.source { -term.sign } else { term.sign };
            pass_on(tape, (to, component), Float::of(-sign * self.share), &slopes[rows.clone()]);
        }
    }

    /// What exponents that read more than their own step pass on.
    fn weigh_wholes(&self, tape: &mut Tape<E>, paths: &mut Paths<E>) {
        let Trajectories { program, through, episodes, .. } = *self;
        let (on, count) = (episodes.trajectories(program), episodes.size());
        for (whole, of) in &through.wholes {
            let weight: E = Float::of(-program.terms[whole.term].sign * self.share);
            let mut values = whole.values_with(&episodes.schedules, count);
            for t in whole.from..=whole.to {
                whole.evaluate(t, &on, &episodes.gains, &mut values);
                let time = |when: When| usize::try_from(when.from(t)).unwrap_or(0);
                let drawn = of.iter().filter_map(|moved| match *moved {
                    Moved::Drawn(variable, when, _) => paths.step_of(variable, time(when)),
                    Moved::Gain(_) => None,
                });
                // as late as the last thing that it reads
                let from = drawn.max().unwrap_or(t).max(t);
                for (at, moved) in of.iter().enumerate() {
                    let to = match *moved {
                        Moved::Drawn(variable, when, component) => {
                            let seen = paths.seen(tape, (variable, time(when)), from);
                            seen.map(|to| (to, component))
                        }
                        Moved::Gain(gain) => Some((self.gain(tape, paths, (gain, t), from), 0)),
                    };
                    if let Some(to) = to {
                        pass_on(tape, to, weight, &values.output(at)[..count]);
                    }
                }
            }
        }
    }
}

/// What reaches `from`, a number a row, goes on to a component of `to`, times its slope.
fn pass_through<E: Number>(
    tape: &mut Tape<E>,
    from: &Matrix<E>,
    (to, component): (Matrix<E>, usize),
    slopes: &[E],
) {
    let (from, slopes) = (from.clone(), slopes.to_vec());
    tape.record(move |flow| {
        let flows: Vec<E> = flow.of(&from).to_vec();
        let to = flow.of(&to);
        let components = to.len() / flows.len();
        let to = to[component..].iter_mut().step_by(components);
        to.zip(&flows).zip(&slopes).for_each(|((to, &d), &slope)| *to += d * slope);
    });
}

/// Adds `weight · slopes`, a number a row, to the gradient of a component of `to`.
fn pass_on<E: Number>(
    tape: &mut Tape<E>,
    (to, component): (Matrix<E>, usize),
    weight: E,
    slopes: &[E],
) {
    let slopes = slopes.to_vec();
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

/// The draws of some rows, of `width` reals each where they are real.
fn part<E: Copy>(draws: &Draws<E>, rows: Range<usize>, width: usize) -> Draws<E> {
    let numbers = draws.numbers.get(rows.clone()).unwrap_or(&[]).to_vec();
    Draws {
        numbers,
        reals: draws.reals.get(rows.start * width..rows.end * width).unwrap_or(&[]).to_vec(),
    }
}
