//! The score of a learned start: one draw of each trajectory, also of one that ends where it starts
//! and so has no row.

use crate::engine::episode::advantage::Advantages;
use crate::engine::episode::credit::{self, Carry, Given, Others, Rows, StepSums};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::density::{Density, DensityRows};
use crate::engine::program::point::Point;
use crate::engine::program::points::EpisodeView;
use crate::engine::sample::ledger::Ledger;
use crate::plan::Baseline;

/// Lists all trajectories of a shard, in their order, and evaluates the start's density at where
/// they began.
pub(in crate::engine) fn evaluate<E: Number>(
    rows: &mut DensityRows<E>,
    of: &Density,
    point: Point<E>,
    on: &EpisodeView<E>,
) {
    rows.points.clear();
    rows.points.extend((0..on.lengths.len() as u32).map(|trajectory| (1, trajectory)));
    rows.evaluate_at(of, point, on, |_, what, t, of_trajectory| {
        on.trace.number(what, t, of_trajectory, |variable| on.drawn(variable))
    });
}

/// What the start of each trajectory is credited with.
pub(in crate::engine) struct StartCredit<E> {
    /// One row for each trajectory, all of `t = 1`.
    rows: Rows,
    here: Vec<E>,
    zeros: Vec<E>,
}

impl<E: Number> StartCredit<E> {
    pub fn new() -> StartCredit<E> {
        StartCredit { rows: Rows::default(), here: Vec::new(), zeros: Vec::new() }
    }

    /// The whole of each trajectory's credited terms, that of step `t` faded by `γ^(t−1)`: its draw
    /// stands in the first step. What is learned of a value reads the first state, and cannot be a
    /// baseline of its draw, nor end its credit. What comes after the end is faded already from the
    /// last live step, and where there is none from the first step. The advantage follows from the
    /// sums of all shards, unless there is no baseline.
    pub fn assess(
        &mut self,
        (program, number): (&CompiledProgram<E>, usize),
        (ledger, weight): (&Ledger<E>, &[f64]),
        (after, lengths): (&[E], &[u32]),
        out: &mut Advantages<E>,
    ) {
        let trajectories = lengths.len();
        self.rows.clear();
        self.rows.weight.clear();
        self.rows.weight.extend_from_slice(weight);
        self.rows.trajectory.extend(0..trajectories as u32);
        self.rows.close_step();
        for list in [&mut self.here, &mut self.zeros] {
            list.clear();
            list.resize(trajectories, <E as Float>::ZERO);
        }
        let discount = program.plan.settings.discount;
        let faded = |t: u32| <E as Float>::of(discount.powi(t as i32 - 1));
        for (term, entries) in program.terms.iter().zip(&ledger.entries) {
            if term.credits[number].is_some() {
                entries.iter().for_each(|&(t, trajectory, value)| {
                    self.here[trajectory as usize] += faded(t) * value
                });
            }
        }
        for ((here, &after), &length) in self.here.iter_mut().zip(after).zip(lengths) {
            *here += faded(length.max(1)) * after;
        }
        let given = Given { here: &self.here, before: &self.zeros, after: &self.zeros };
        for list in [&mut out.advantage, &mut out.credit] {
            list.resize(trajectories, <E as Float>::ZERO);
        }
        credit::to_go(&self.rows, &given, Float::of(1.0), &mut Carry::default(), &mut out.credit);
        out.advantage.copy_from_slice(&out.credit);
        out.sums.clear(program.horizon);
        out.sums.add_rows(&self.rows, &out.credit);
    }

    /// The credit less the mean of that of the batch's other trajectories.
    pub fn compare(&self, baseline: &Baseline, all: (&StepSums, Others), out: &mut Advantages<E>) {
        if *baseline != Baseline::None {
            let rests = vec![f64::NAN; self.rows.len()];
            credit::leave_one_out(&self.rows, &out.credit, &rests, all, &mut out.advantage);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::proof::listed::mean_gradient;
    use crate::engine::tests::testing::{numbers, planned};
    use crate::engine::{Parameters, SCALES, Viewpoint, assess, infer, kernel_tables};
    use crate::exact::exact;
    use crate::finite::KernelTable;
    use crate::model::Model;
    use crate::plan::{Alternative, Claim, Plan, alternatives};

    /// A walk that may end where it starts, and what moves.
    fn walk(kernels: &str, prior: &str, posterior: &str, infer: &str) -> String {
        format!(
            "model walk
             horizon T = 4
             environment walk {{
               state  s : 0..2
               action a : {{ left, right }}
               reward r in [-2, 0]
               s[1]   ~ Categorical(probs = [0.5, 0.3, 0.2])
               s[t+1] ~ Mixture(0.8: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 2)), 0.2: Uniform)
               r[t]   = if s[t+1] == 2 then 0 else -1 - 0.3 * s[t] - 0.1 * a[t]
               end when s[t] == 2
             }}
             kernel start(s)            = Categorical(logits = linear(1))
             kernel pi(a | s)          = Categorical(logits = table(s))
             kernel world(s' | s, a, t) = Categorical(logits = table(s, a, t))
             {kernels}
             prior      {{ s[1] ~ walk.initial; s[t+1] ~ walk.transition(s[t], a[t]); {prior} }}
             likelihood {{ R[t] ~ exp(r[t]); S[t] ~ exp(-0.3 * s[t] - 0.1 * t) }}
             posterior  {{ s[1] ~ start; {posterior} }}
             infer      {{ trajectories = 8; threads = 1; {infer} }}"
        )
    }

    fn unbiased(text: &str) -> usize {
        let model = crate::engine::tests::testing::checked(text).unwrap();
        let tried = alternatives(&model, &crate::bound::derive(&model).unwrap()).unwrap();
        for Alternative { name, plan, .. } in
            tried.iter().filter(|one| one.claim == Claim::Unbiased)
        {
            let found = assess(plan, &Viewpoint::of(plan, SCALES[1], 7).unwrap(), 1).unwrap();
            assert!(found.holds() && found.components >= 2, "{name}: {found:?}");
        }
        tried.len()
    }

    #[test]
    fn scores_of_starts_are_unbiased() {
        let real = "s[t+1] ~ walk.transition(s[t], a[t])";
        let dreamt = "s[t+1] ~ world(s[t], a[t], t)";
        let uniform = "a[t] ~ Uniform";
        // the start alone, beside a policy, beside transitions, and all of them; with a value that
        // reads the first state
        unbiased(&walk("", uniform, &format!("{uniform}; {real}"), ""));
        unbiased(&walk("", uniform, &format!("a[t] ~ pi(s[t]); {real}"), "baseline = table(s, t)"));
        unbiased(&walk("", uniform, &format!("{uniform}; {dreamt}"), ""));
        assert!(
            unbiased(&walk(
                "",
                uniform,
                &format!("a[t] ~ pi(s[t]); {dreamt}"),
                "baseline = table(s, t)"
            )) >= 3
        );
    }

    /// The draw of a start is credited with what comes at `t`, faded by `γ^(t−1)`: also where the
    /// episode ends, or has ended, where it starts. So its mean gradient is that of exponents that
    /// fade by themselves.
    #[test]
    fn a_discount_fades_what_a_start_is_credited_with_by_its_step() {
        let real = "s[t+1] ~ walk.transition(s[t], a[t])";
        let option = "option o : 2";
        let drawn = "o[t] ~ Categorical(probs = if s[t] == 0 then [0.2, 0.8] else [0.6, 0.4])";
        let switching = "C[t] ~ exp(if o[t] == o[t-1] then 0 else -0.7)";
        let faded = "C[t] ~ exp(if o[t] == o[t-1] then 0 else -0.7 * 0.5 ^ (t - 1))";
        let cases = [
            ("", "a[t] ~ Uniform".to_owned(), format!("a[t] ~ Uniform; {real}"), ("", "")),
            (
                option,
                format!("a[t] ~ Uniform; {drawn}"),
                format!("a[t] ~ Uniform; {drawn}; {real}"),
                (switching, faded),
            ),
        ];
        for (kernels, prior, posterior, (switching, faded)) in cases {
            let exponents = "R[t] ~ exp(r[t]); S[t] ~ exp(-0.3 * s[t] - 0.1 * t)";
            let fading = "R[t] ~ exp(0.5 ^ (t - 1) * r[t]); S[t] ~ exp(0.5 ^ (t - 1) * (-0.3 * \
                          s[t] - 0.1 * t))";
            let text = |likelihood: String, infer: &str| {
                let text = walk(kernels, &prior, &posterior, &format!("precision = f64; {infer}"));
                assert!(text.contains(exponents));
                planned(&text.replace(exponents, &likelihood))
            };
            let discounted = text(format!("{exponents}; {switching}"), "discount = 0.5");
            let by_itself = text(format!("{fading}; {faded}"), "");
            let mut parameters = Parameters::<f64>::initial(&discounted.model, 1);
            let noise = numbers(parameters.values().len(), 1);
            parameters
                .values_mut()
                .iter_mut()
                .zip(noise)
                .for_each(|(value, noise)| *value += noise);
            let mean = |plan: &Plan| mean_gradient(plan, &parameters, 100_000).unwrap();
            let (found, wanted) = (mean(&discounted), mean(&by_itself));
            assert!((found.probability - 1.0).abs() < 1e-9, "{}", found.probability);
            let moved: Vec<usize> = discounted
                .trained
                .iter()
                .flat_map(|&id| parameters.layout().range(id))
                .filter(|&at| wanted.gradient[at] != 0.0)
                .collect();
            assert!(moved.len() >= 3, "{moved:?}");
            for at in moved {
                let (found, wanted) = (found.gradient[at], wanted.gradient[at]);
                assert!((found - wanted).abs() < 1e-12, "{kernels}: {found} is not {wanted}");
            }
        }
    }

    #[test]
    fn actions_and_options_in_place_are_drawn() {
        let real = "s[t+1] ~ walk.transition(s[t], a[t])";
        let chance =
            "a[t] ~ Categorical(probs = if s[t] == 1 then [0.3, 0.7] else [0.1 * t, 1 - 0.1 * t])";
        unbiased(&walk("", "a[t] ~ Uniform", &format!("{chance}; {real}"), ""));
        let option = "option o : 2  kernel act(a | s, o) = Categorical(logits = table(s, o))";
        let drawn = "o[t] ~ Categorical(probs = if s[t] == 0 then [0.2, 0.8] else [0.6, 0.4])";
        unbiased(&walk(
            option,
            &format!("a[t] ~ Uniform; {drawn}"),
            &format!("{drawn}; a[t] ~ act(s[t], o[t]); {real}"),
            "",
        ));
    }

    /// Two states, five observed days; what is decided is `action`.
    fn smoothing(action: &str, kernel: &str) -> Plan {
        planned(&format!(
            "model smoothing
             horizon T = 5
             let seen = [1, 1, 0, 1, 1]
             environment weather {{
               state s : 0..1; action a : 0..0
               s[1] ~ Uniform
               s[t+1] ~ Categorical(probs = if s[t] == 1 then [0.3, 0.7] else [0.7, 0.3])
             }}
             {kernel}
             kernel start(s) = Categorical(logits = linear(1))
             kernel q(s' | s, a, t) = Categorical(logits = table(s, t))
             prior      {{ s[1] ~ weather.initial; a[t] ~ Uniform; s[t+1] ~ \
             weather.transition(s[t], a[t]) }}
             likelihood {{ X[t] ~ exp(log(if seen[t-1] == 1 then [0.2, 0.9][s[t]] else [0.8, \
             0.1][s[t]])) }}
             posterior  {{ s[1] ~ start; {action}; s[t+1] ~ q(s[t], a[t], t) }}
             infer {{ steps = 400; trajectories = 128; precision = f64; threads = 1; optimizer = \
             adam(rate = ramp(from = 0.1, to = 0)) }}"
        ))
    }

    fn table<'t>(
        model: &Model,
        tables: &'t crate::finite::KernelTables,
        name: &str,
    ) -> &'t KernelTable {
        let (id, _) =
            tables.current.iter().find(|(id, _)| model.kernel(**id).name == name).unwrap();
        &tables.current[id]
    }

    #[test]
    fn a_hidden_markov_chain_is_smoothed() {
        // the forward and the backward algorithm
        let (moves, seen) = (
            [[0.7, 0.3], [0.3, 0.7]],
            [1, 1, 0, 1, 1].map(|seen: usize| [[0.8, 0.1], [0.2, 0.9]][seen]),
        );
        let mut backward = [[1.0; 2]; 6];
        for t in (0..5).rev() {
            let ahead = backward[t + 1];
            backward[t] = [0, 1].map(|s: usize| {
                let follows =
                    if t == 4 { 1.0 } else { moves[s][0] * ahead[0] + moves[s][1] * ahead[1] };
                seen[t][s] * follows
            });
        }
        let evidence = 0.5 * (backward[0][0] + backward[0][1]);
        for (action, kernel) in [
            ("a[t] ~ Uniform", ""),
            ("a[t] ~ only(s[t])", "kernel only(a | s) = Categorical(logits = table(s))"),
        ] {
            let plan = smoothing(action, kernel);
            let run = infer(&plan, &mut ()).unwrap();
            let tables =
                kernel_tables(&plan.model, plan.derivation.bound, &run.parameters, &run.parameters)
                    .unwrap();
            let answers = exact(&plan.model, plan.derivation.bound, Some(&tables)).unwrap();
            assert!(
                (answers.log_evidence - f64::ln(evidence)).abs() < 1e-12,
                "{} is not {evidence}",
                answers.log_evidence
            );
            let bound = answers.evaluation.unwrap().bound;
            assert!(bound < answers.log_evidence && bound > answers.log_evidence - 1e-3, "{bound}");
            // log-odds of what was learned are those of the posterior, to the second digit of a
            // probability
            let start = table(&plan.model, &tables, "start").row(0)[1].exp();
            assert!((start - 0.5 * backward[0][1] / evidence).abs() < 0.02, "{start}");
            for (s, t) in [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3), (0, 4), (1, 4)] {
                let learned = table(&plan.model, &tables, "q").row(s * 5 + t - 1)[1].exp();
                let wanted = moves[s][1] * backward[t][1]
                    / (moves[s][0] * backward[t][0] + moves[s][1] * backward[t][1]);
                assert!((learned - wanted).abs() < 0.05, "{s} {t}: {learned} is not {wanted}");
            }
        }
    }
}
