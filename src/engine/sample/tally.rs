//! What options are used for, counted as trajectories are rolled out.

use crate::engine::episode::trace::Present;
use crate::engine::episode::values::Values;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::draws::DrawRows;
use crate::exact::OptionVisits;
use crate::model::Role;
use crate::plan::Draw;
use crate::world::Batch;
use std::ops::Range;

/// Counts of a shard: what [`OptionVisits`] expects, summed over its trajectories.
pub(in crate::engine) struct Tally<E> {
    /// By draw that is counted: finite options.
    pub visits: Vec<(usize, OptionVisits)>,
    states: Option<Present<E>>,
}

/// Counts of an option at the most; beyond, those of all states are counted together.
const LARGEST: usize = 1 << 22;

impl<E: Number> Tally<E> {
    pub fn new(program: &CompiledProgram<E>) -> Tally<E> {
        let plan = program.plan;
        let is_counted = |at: &usize| {
            let variable = plan.model.variable(plan.draws[*at].variable);
            let is_whole = plan.draw_of(plan.draws[*at].variable) == Some(*at);
            variable.role == Role::Option && variable.domain.is_finite() && is_whole
        };
        let counted = (0..program.draws.len()).filter(is_counted);
        let numbers = |at: usize| program.draws[at].family.numbers();
        let actions = program.draws[acting(program)].family.outcomes().unwrap_or(1);
        let states = program
            .states()
            .filter(|states| counted.clone().all(|at| states * numbers(at) * actions <= LARGEST));
        let visits = |values: usize| {
            let places = states.unwrap_or(1) * values;
            OptionVisits {
                values,
                actions,
                steps: vec![0.0; places * actions],
                starts: vec![0.0; values],
                held: vec![0.0; places],
                ends: vec![0.0; places],
            }
        };
        Tally {
            visits: counted.map(|at| (at, visits(numbers(at)))).collect(),
            states: states.map(|_| Present::default()),
        }
    }

    /// Counts the live rows of step `t`, all drawn and before it is taken; `last` are the values of
    /// the step before of each draw.
    pub fn add(
        &mut self,
        program: &CompiledProgram<E>,
        batch: &Batch<E>,
        (t, rows): (usize, Range<usize>),
        (draws, last): (&[DrawRows<E>], &[Values<E>]),
    ) {
        let states = self
            .states
            .as_mut()
            .map(|present| present.state_numbers(&program.seen(), batch, rows.len()));
        let acts = &draws[acting(program)].draws.numbers;
        for (option, visits) in &mut self.visits {
            let (drawn, last) = (&draws[*option].draws.numbers, &last[*option].numbers);
            for (at, row) in rows.clone().enumerate() {
                let o = drawn[row] as usize;
                let action = acts.get(row).map_or(0, |&action| action as usize);
                let place = states.map_or(0, |states| states[at] as usize) * visits.values;
                visits.steps[(place + o) * visits.actions + action] += 1.0;
                let before = last[at] as usize;
                if t == 1 {
                    visits.starts[o] += 1.0;
                    continue;
                }
                visits.held[place + before] += 1.0;
                if before != o {
                    visits.starts[o] += 1.0;
                    visits.ends[place + before] += 1.0;
                }
            }
        }
    }

    /// Adds the counts of another shard.
    pub fn merge(&mut self, other: Tally<E>) {
        self.visits.iter_mut().zip(other.visits).for_each(|(sum, visits)| sum.1.add(&visits.1));
    }
}

/// The last action that a step draws.
fn acting<E>(program: &CompiledProgram<E>) -> usize {
    let plan = program.plan;
    let acts = |draw: &Draw| plan.model.variable(draw.variable).role == Role::Action;
    plan.draws.iter().rposition(acts).expect("plan: a step draws an action")
}

#[cfg(test)]
mod tests {
    use crate::bound::derive;
    use crate::engine::{Parameters, evaluate, kernel_tables};
    use crate::exact::information;
    use crate::model::{BoundId, Overrides, check};
    use crate::plan::{Plan, plan};
    use crate::source::Source;
    use crate::syntax::parse;

    /// A slippery chain that ends at the right, with two options.
    fn planned(kernels: &str, draws: &str) -> Plan {
        let text = format!(
            "model chain
             horizon T = 6
             environment chain {{
               state s : 0..3
               action a : {{ left, right }}
               reward r in [-1, 0]
               s[1]   ~ Categorical(probs = [0.5, 0.2, 0.2, 0.1])
               s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 3)), 0.2: Delta(s[t]))
               r[t]   = if s[t+1] == 3 then 0 else -1
               end when s[t] == 3
             }}
             option o : 2
             {kernels}
             prior      {{ s[1] ~ chain.initial; {draws}; s[t+1] ~ chain.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior  {{ s[1] ~ chain.initial; {draws}; s[t+1] ~ chain.transition(s[t], a[t]) }}
             infer      {{ threads = 2 }}"
        );
        let model = check(&parse(&Source::new("test", text)).unwrap(), &Overrides::default())
            .unwrap_or_else(|errors| panic!("{errors}"));
        let derivation = derive(&model).unwrap();
        plan(&model, &derivation).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn counts_of_many_episodes_are_what_the_oracle_expects() {
        let step = planned(
            "kernel pick(o | s, last: o?) = Sticky(last, keep = 0.6, fresh = Categorical(logits = \
             table(s)))
             kernel pi(a | s, o) = Categorical(logits = table(s, o))",
            "o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t])",
        );
        let once = planned(
            "kernel pick(o | s) = Categorical(logits = table(s))
             kernel pi(a | s, o, t) = Categorical(logits = table(s, o, t))",
            "o[1] ~ pick(s[1]); a[t] ~ pi(s[t], o[1], t)",
        );
        for (plan, drawn_once) in [(step, false), (once, true)] {
            let mut parameters = Parameters::<f64>::initial(&plan.model, 1);
            let noise = crate::engine::tests::testing::numbers(parameters.values().len(), 5);
            parameters
                .values_mut()
                .iter_mut()
                .zip(noise)
                .for_each(|(value, noise)| *value += noise);
            let tables = kernel_tables(&plan.model, BoundId(0), &parameters, &parameters).unwrap();
            let told = information(&plan.model, BoundId(0), &tables).unwrap().swap_remove(0);
            let episodes = 40_000;
            let counted =
                evaluate(&plan, &parameters, episodes, false, 3).unwrap().options.swap_remove(0);
            assert_eq!(
                (counted.option, counted.once, told.once),
                (told.option, drawn_once, drawn_once)
            );
            let lists = [
                (&told.visits.steps, &counted.visits.steps),
                (&told.visits.starts, &counted.visits.starts),
                (&told.visits.held, &counted.visits.held),
                (&told.visits.ends, &counted.visits.ends),
            ];
            for (expected, mean) in lists.into_iter().flat_map(|(expected, mean)| {
                assert_eq!(expected.len(), mean.len());
                expected.iter().zip(mean)
            }) {
                // a count of at most 6 with mean m has a variance of at most m (6 − m)
                let standard_error = (expected * (6.0 - expected) / episodes as f64).sqrt();
                assert!(
                    (expected - mean).abs() <= 4.0 * standard_error,
                    "{expected} {mean} ± {standard_error}"
                );
            }
            assert!(
                told.visits.held.iter().sum::<f64>() > 1.0
                    && (drawn_once || told.visits.ends.iter().sum::<f64>() > 0.2)
            );
        }
    }
}
