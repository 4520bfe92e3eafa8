//! What options tell, against a list of all trajectories.

use super::tests::{BOUND, random_logits, read, walk};
use super::trajectory::Trajectory;
use super::{OptionInformation, information, option_posterior, visits};
use crate::finite::{KernelTables, finite_domain};
use crate::model::{Model, Role, VariableId};
use std::collections::BTreeMap;

/// What an episode holds: `s[1..T+1]`, `o` and `a` of each live step.
struct Episode {
    probability: f64,
    states: Vec<usize>,
    options: Vec<usize>,
    actions: Vec<usize>,
}

fn variable(model: &Model, role: Role) -> VariableId {
    VariableId(model.variables.iter().position(|variable| variable.role == role).unwrap() as u32)
}

/// All episodes of positive probability, by the factors as they are written.
fn episodes(model: &Model, tables: &KernelTables, once: bool) -> Vec<Episode> {
    let bound = model.bound(BOUND);
    let [state, option, action] =
        [Role::State, Role::Option, Role::Action].map(|role| variable(model, role));
    let [states, options, actions] =
        [state, option, action].map(|v| finite_domain(model, v).unwrap().size());
    let horizon = model.horizon.value;
    let mut found = vec![];
    let each = |n: usize, length: usize| {
        (0..n.pow(length as u32))
            .map(move |k| (0..length).map(|i| k / n.pow(i as u32) % n).collect())
    };
    let mut trajectory = Trajectory::new(model, bound, tables).unwrap();
    for walk in each(states, horizon + 1).collect::<Vec<Vec<usize>>>() {
        let live = walk[..horizon].iter().position(|&s| s == states - 1).unwrap_or(horizon);
        for held in
            each(options, if once { live.min(1) } else { live }).collect::<Vec<Vec<usize>>>()
        {
            for acts in each(actions, live).collect::<Vec<Vec<usize>>>() {
                (0..=horizon).for_each(|t| trajectory.set(state, t + 1, Some(walk[t])));
                for t in 0..horizon {
                    trajectory.set(option, t + 1, held.get(t).copied());
                    trajectory.set(action, t + 1, acts.get(t).copied());
                }
                let mut log_q = 0.0;
                for factor in &bound.posterior {
                    for time in trajectory.times(factor).unwrap() {
                        log_q += trajectory.log_factor(factor, time).unwrap();
                    }
                }
                if log_q > f64::NEG_INFINITY {
                    let options = (0..live).map(|t| if once { held[0] } else { held[t] }).collect();
                    found.push(Episode {
                        probability: log_q.exp(),
                        states: walk.clone(),
                        options,
                        actions: acts.clone(),
                    });
                }
            }
        }
    }
    assert!((found.iter().map(|episode| episode.probability).sum::<f64>() - 1.0).abs() < 1e-12);
    found
}

type Joint<K> = BTreeMap<K, f64>;

fn entropy<K>(joint: &Joint<K>) -> f64 {
    joint.values().map(|p| -p * p.ln()).sum()
}

fn sum_to<K, L: Ord>(joint: &Joint<K>, key: impl Fn(&K) -> L) -> Joint<L> {
    let mut sums = BTreeMap::new();
    joint.iter().for_each(|(k, p)| *sums.entry(key(k)).or_default() += p);
    sums
}

fn close(one: f64, other: f64, what: &str) {
    assert!((one - other).abs() < 1e-12, "{what}: {one} {other}");
}

/// By entropies of the listed episodes.
fn judge(model: &Model, tables: &KernelTables, once: bool) -> OptionInformation {
    let episodes = episodes(model, tables, once);
    let [told] = &information(model, BOUND, tables).unwrap()[..] else { panic!("one option") };
    let together = visits(model, BOUND, tables).unwrap();
    for (state, of_state) in
        told.visits.steps.chunks(told.visits.values * told.visits.actions).enumerate()
    {
        let sum = |a: usize| of_state.iter().skip(a).step_by(told.visits.actions).sum::<f64>();
        (0..told.visits.actions)
            .for_each(|a| close(together.at(state, 0)[a], sum(a), "steps of all options"));
    }
    let (mut live, mut segments, mut of_action, mut of_both) = (0.0, 0.0, 0.0, 0.0);
    let mut usage = [0.0; 2];
    for t in 0..model.horizon.value {
        let mut joint: Joint<(usize, usize, usize)> = BTreeMap::new();
        for Episode { probability, states, options, actions } in
            episodes.iter().filter(|episode| t < episode.options.len())
        {
            *joint.entry((states[t], options[t], actions[t])).or_default() += probability;
            usage[options[t]] += probability;
            segments += if t == 0 || options[t] != options[t - 1] { *probability } else { 0.0 };
        }
        let mass: f64 = joint.values().sum();
        joint.values_mut().for_each(|p| *p /= mass);
        let h = [
            entropy(&joint),
            entropy(&sum_to(&joint, |k| (k.0, k.1))),
            entropy(&sum_to(&joint, |k| (k.0, k.2))),
            entropy(&sum_to(&joint, |k| k.0)),
            entropy(&sum_to(&joint, |k| k.1)),
        ];
        // I(o; a | s) = H(s, o) + H(s, a) − H(s, o, a) − H(s); I(o; s, a) = H(o) + H(s, a) − H(s,
        // o, a)
        of_action += mass * (h[1] + h[2] - h[0] - h[3]);
        of_both += mass * (h[4] + h[2] - h[0]);
        live += mass;
    }
    close(told.action, of_action / live, "I(o; a | s)");
    close(told.state_action, of_both / live, "I(o; s, a)");
    close(told.visits.live(), live, "live steps");
    close(told.visits.duration().unwrap(), live / segments, "duration");
    (0..2).for_each(|o| close(told.visits.of(o), usage[o], "usage"));
    for (o, steps) in usage.into_iter().enumerate() {
        let after = |t: usize, e: &Episode| t > 0 && e.options[t - 1] == o;
        let sum = |counts: &dyn Fn(usize, &Episode) -> bool| -> f64 {
            episodes
                .iter()
                .map(|e| {
                    e.probability * (0..e.options.len()).filter(|&t| counts(t, e)).count() as f64
                })
                .sum()
        };
        let ends = sum(&|t, e| after(t, e) && e.options[t] != o) / sum(&|t, e| after(t, e));
        close(told.visits.ends_of(o).unwrap(), ends, "ends");
        close(
            told.visits.duration_of(o).unwrap(),
            steps / sum(&|t, e| e.options[t] == o && (t == 0 || e.options[t - 1] != o)),
            "of one",
        );
        let there = sum(&|t, e| after(t, e) && e.states[t] == 1 && e.options[t] != o);
        close(told.visits.ends[2 + o], there, "ends in a state");
    }
    assert_eq!((told.once, told.end.is_some()), (once, once));
    if let Some(end) = told.end {
        let mut joint: Joint<(usize, usize)> = BTreeMap::new();
        episodes.iter().for_each(|e| {
            *joint.entry((e.options[0], *e.states.last().unwrap())).or_default() += e.probability
        });
        close(
            end,
            entropy(&sum_to(&joint, |k| k.0)) + entropy(&sum_to(&joint, |k| k.1)) - entropy(&joint),
            "I(o; s[T+1])",
        );
    }
    told.clone()
}

fn kept(pick: &str) -> Model {
    read(
        &walk(
            &format!("option o : 2 {pick} kernel pi(a | s, o) = Categorical(logits = table(s, o))"),
            "a[t] ~ Uniform; o[t] ~ Uniform",
            "o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t])",
            "R[t] ~ exp(alpha * r[t])",
            "",
        )
        .replace(
            "pick(s[t])",
            if pick.contains("last") { "pick(s[t], o[t-1])" } else { "pick(s[t])" },
        ),
    )
}

fn drawn_once(posterior: &str) -> Model {
    read(&walk(
        "option o : 2
         kernel pick(o | s) = Categorical(logits = table(s))
         kernel pi(a | s, o) = Categorical(logits = table(s, o))",
        "o[1] ~ Uniform; a[t] ~ Uniform",
        posterior,
        "R[t] ~ exp(alpha * r[t])",
        "",
    ))
}

const ONCE: &str = "o[1] ~ pick(s[1]); a[t] ~ pi(s[t], o[1])";
/// The same: what the first action reads is drawn before it, wherever that is written.
const ONCE_BEHIND: &str = "a[t] ~ pi(s[t], o[1]); o[1] ~ pick(s[1])";

#[test]
fn options_drawn_at_each_step() {
    for pick in [
        "kernel pick(o | s, last: o?) = Categorical(logits = table(s, last))",
        "kernel pick(o | s) = Categorical(logits = table(s))",
    ] {
        let model = kept(pick);
        for seed in 0..3 {
            let told = judge(&model, &random_logits(&model, seed), false);
            assert!(
                told.action > 0.01
                    && told.state_action > told.action * 0.1
                    && told.visits.duration().unwrap() > 1.1,
                "{told:?}"
            );
        }
    }
}

#[test]
fn options_drawn_once() {
    for posterior in [ONCE, ONCE_BEHIND] {
        let model = drawn_once(posterior);
        for seed in 0..3 {
            let told = judge(&model, &random_logits(&model, seed), true);
            assert!(
                told.end.unwrap() > 0.01 && told.visits.ends.iter().all(|&ends| ends == 0.0),
                "{told:?}"
            );
        }
    }
}

#[test]
fn a_model_without_options_tells_nothing() {
    let model = crate::finite::testing::chain(1.0, 5);
    assert_eq!(information(&model, BOUND, &random_logits(&model, 0)).unwrap(), []);
}

/// `q(o[t] | s, a)` of every trajectory, from the list of all.
#[test]
fn the_posterior_over_options_of_each_trajectory() {
    let stepwise = kept("kernel pick(o | s, last: o?) = Categorical(logits = table(s, last))");
    for (model, once) in [(stepwise, false), (drawn_once(ONCE), true)] {
        let tables = random_logits(&model, 4);
        type Walk = (Vec<usize>, Vec<usize>);
        let mut by_walk: BTreeMap<Walk, Vec<[f64; 2]>> = BTreeMap::new();
        for Episode { probability, states, options, actions } in episodes(&model, &tables, once) {
            let rows =
                by_walk.entry((states, actions)).or_insert_with(|| vec![[0.0; 2]; options.len()]);
            options.iter().enumerate().for_each(|(t, &o)| rows[t][o] += probability);
        }
        assert!(by_walk.len() > 50);
        for ((states, actions), rows) in by_walk {
            let found = option_posterior(
                &model,
                BOUND,
                &tables,
                variable(&model, Role::Option),
                (&states, &actions),
            )
            .unwrap()
            .unwrap();
            assert_eq!(found.len(), rows.len());
            for (found, row) in found.iter().zip(rows) {
                (0..2).for_each(|o| close(found[o], row[o] / (row[0] + row[1]), "q(o | s, a)"));
            }
        }
    }
}
