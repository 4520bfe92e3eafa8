//! Several density ratios, each with a classifier of its own: of first states beside next ones, of
//! several worlds, of records beside what is imagined; and what records hold.

use super::testing::{bits, numbers, planned, resumed, try_plan};
use crate::bound::derive;
use crate::engine::proof::listed::mean_gradient;
use crate::engine::{Parameters, exact_gradient, infer, kernel_tables};
use crate::exact::Evaluator;
use crate::model::{Model, Overrides, check};
use crate::plan::{Plan, plan};
use crate::source::Source;
use crate::syntax::parse;
use std::path::Path;

/// A hidden chain whose first states and whose steps are imagined, beside another world.
fn imagined(infer: &str) -> String {
    format!(
        "model imagined
         horizon T = 2
         hidden environment e {{
           state s : 0..2
           action a : {{ left, right }}
           reward r in [-2, 0]
           s[1]   ~ Categorical(probs = [0.5, 0.3, 0.2])
           s[t+1] ~ Mixture(0.7: Delta(min(s[t] + a[t], 2)), 0.3: Uniform)
           r[t]   = -0.3 * a[t] - abs(s[t+1] - 1)
         }}
         kernel pi(a | s) = Categorical(logits = table(s))
         kernel start(s) = Categorical(logits = linear(1))
         kernel world(s' | s, a) = Categorical(logits = table(s, a))
         kernel other(s' | s, a) = Categorical(logits = table(s) + table(a))
         bound dream {{
           prior      {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
           likelihood {{ R[t] ~ exp(r[t]) }}
           posterior  {{ s[1] ~ start; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }}
         }}
         bound again {{
           prior      {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
           likelihood {{ R[t] ~ exp(r[t]) }}
           posterior  {{ s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ other(s[t], a[t]) }}
         }}
         infer {{ threads = 1; precision = f64; {infer} }}"
    )
}

fn of_bound<'a>(plan: &'a Plan, name: &str) -> &'a Plan {
    let named = |plan: &&Plan| {
        plan.model.bound(plan.derivation.bound).name.as_deref() == Some(name)
            && !plan.terms.is_empty()
    };
    plan.turns().find(named).expect(name)
}

pub fn exact_bound(plan: &Plan, parameters: &Parameters<f64>) -> f64 {
    let bound = plan.derivation.bound;
    let tables = kernel_tables(&plan.model, bound, parameters, parameters).unwrap();
    Evaluator::new(&plan.model, bound).evaluate(&tables).unwrap().bound
}

/// With the exact ratios the mean over all trajectories is the oracle's gradient, and the value its
/// bound.
#[test]
fn a_start_and_a_world_are_told_apart_without_bias() {
    for over in ["pi", "pi, start", "pi, start, world"] {
        let text = imagined(&format!(
            "maximize dream over {over}; maximize again over pi; trajectories = 4"
        ));
        let whole = planned(&text);
        let plan = of_bound(&whole, "dream");
        assert_eq!(plan.ratios().count(), 2, "{over}");
        for (size, seed) in [(0.3, 1), (1.0, 2), (3.0, 3)] {
            let mut parameters = Parameters::<f64>::initial(&plan.model, seed);
            let noise = numbers(parameters.values().len(), seed);
            let values = parameters.values_mut().iter_mut().zip(noise);
            values.for_each(|(value, noise)| *value += size * noise);
            let mean = mean_gradient(plan, &parameters, 20_000).unwrap();
            let bound = exact_bound(plan, &parameters);
            assert!((mean.bound - bound).abs() < 1e-9 * bound.abs(), "{} {bound}", mean.bound);
            let exact = exact_gradient(plan, &parameters, &parameters).unwrap();
            let largest = exact.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
            for at in plan.trained.iter().flat_map(|&id| parameters.layout().range(id)) {
                let (found, right) = (mean.gradient[at], exact[at]);
                assert!((found - right).abs() <= 1e-9 * largest, "{over}: {found} is not {right}");
            }
        }
    }
}

/// Three classifiers learn, each its own ratio, and a run goes on to the same bits.
#[test]
fn each_ratio_of_a_file_has_a_classifier_that_learns_it() {
    let settings = "maximize dream over pi; maximize again over pi; ratio(start) = table(s);
         ratio(world) = table(s, a, s'); ratio(other) = table(s, a, s'); ratio_batch = 512;
         steps = 250; trajectories = 32; shards = 2;
         optimizer = adam(rate = ramp(from = 0.1, to = 0))";
    let plan = planned(&imagined(settings));
    let run = infer(&plan, &mut ()).unwrap();
    let mut told: Vec<&str> = run.classified.iter().map(|(name, _)| name.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["other", "start", "world"]);
    assert!(run.calibrations.len() == 2, "{:?}", run.calibrations);
    for (name, found) in &run.calibrations {
        assert!(found.error < 0.15 && found.pairs > 500, "{name}: {found:?}");
    }
    // the initial kernels are uniform: log p/q at 1, and its logit of first states
    let ratio = of_bound(&plan, "dream").ratios().find(|(_, ratio)| ratio.name == "start");
    let table = crate::model::parameters_of(&plan.model.network, ratio.unwrap().1.layer);
    let range = run.parameters.layout().range(*table.first().unwrap());
    let logits = &run.parameters.values()[range];
    for (logit, p) in logits.iter().zip([0.5, 0.3, 0.2f64]) {
        assert!((logit - (3.0 * p).ln()).abs() < 0.15, "{logits:?}");
    }
    let whole = resumed(&plan, 100);
    assert_eq!(bits(&whole), bits(&run), "resumed");
}

#[test]
fn a_network_that_is_not_given_is_the_default_one_of_its_ratio() {
    let plan = planned(&imagined("maximize dream over pi; ratio(start) = table(s)"));
    let names: Vec<&str> =
        plan.classified.iter().map(|&id| plan.model.network.parameter(id).name.as_str()).collect();
    assert!(names.contains(&"infer.ratio.world.0.weight"), "{names:?}");
    assert!(names.contains(&"infer.ratio.start.0.table"), "{names:?}");
    // where one is left, `ratio` is of it
    let plan = planned(&imagined(
        "maximize dream over pi; ratio(start) = table(s); ratio = table(s, a, s')",
    ));
    assert_eq!(plan.classified.len(), 2);
    let wrong = [
        ("ratio = table(s, a, s')", "does not say of which"),
        ("ratio(pi) = table(s)", "`pi` stands in no density ratio"),
        ("ratio(world) = table(s, a)", "this classifier reads the next state"),
        ("ratio(start) = table(s, a)", "this classifier reads the first state, and nothing"),
        ("steps(world) = 3", "`steps` is of no kernel"),
        ("ratio(wrld) = table(s)", "unknown kernel `wrld`"),
        ("ratio(e) = table(s)", "neither a kernel nor recorded `data`"),
    ];
    for (line, wanted) in wrong {
        let told = try_plan(&imagined(&format!("maximize dream over pi; {line}")))
            .map(|_| "planned")
            .expect_err(line);
        assert!(told.contains(wanted), "{line}: {told}");
    }
}

fn at(folder: &Path, text: &str) -> Result<Plan, String> {
    let path = folder.join("m.rlmodel");
    std::fs::write(&path, text).unwrap();
    let told = |found: crate::diagnostic::Diagnostics| found.to_string();
    let file = parse(&Source::read(&path).unwrap()).map_err(told)?;
    let model: Model = check(&file, &Overrides::default()).map_err(told)?;
    plan(&model, &derive(&model).map_err(told)?).map_err(told)
}

/// Two actions, each imitated from records of its own; one of them reads the other.
#[test]
fn two_sets_of_records_teach_two_actions() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..40).map(|k| format!("{k},0,right,{}", k % 4 / 3)).collect();
    let csv = format!("episode,s,go,hand\n{}\n", rows.join("\n"));
    std::fs::write(folder.path().join("both.csv"), csv).unwrap();
    let text = "model hands
         horizon T = 1
         environment e {
           state s : 0..1
           action go   : { left, right }
           action hand : { open, close }
           reward r in [-1, 0]
           s[1] ~ Delta(0); s[t+1] ~ Uniform; r[t] = -go[t] * hand[t]
         }
         data walker(go | s) from \"both.csv\"
         data gripper(hand | s, go) from \"both.csv\"
         kernel move(go | s) = Categorical(logits = table(s))
         kernel grip(hand | s, go) = Categorical(logits = table(s, go))
         prior      { s[1] ~ e.initial; go[t] ~ walker(s[t]); hand[t] ~ gripper(s[t], go[t]);
                      s[t+1] ~ e.transition(s[t], go[t], hand[t]) }
         likelihood { R[t] ~ exp(0 * r[t]) }
         posterior  { s[1] ~ e.initial; go[t] ~ move(s[t]); hand[t] ~ grip(s[t], go[t]);
                      s[t+1] ~ e.transition(s[t], go[t], hand[t]) }
         infer { ratio(walker) = table(s, go); ratio(gripper) = table(s, go, hand);
                 ratio_batch = 512; ratio_steps = 2; trajectories = 128; shards = 2; threads = 1;
                 steps = 400; optimizer = adam(rate = ramp(from = 0.05, to = 0)) }";
    let plan = at(folder.path(), text).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!((plan.records.len(), plan.ratios().count()), (2, 2));
    let run = infer(&plan, &mut ()).unwrap();
    let of = |name: &str| {
        let id = plan.model.network.parameters.iter().position(|one| one.name == name).unwrap();
        run.parameters.layout().range(crate::model::ParameterId(id as u32))
    };
    let share = |logits: &[f64]| logits[1].exp() / (logits[0].exp() + logits[1].exp());
    let right = share(&run.parameters.values()[of("move.logits.0.table")][..2]);
    assert!(right > 0.9, "{right}");
    // after going right one time in four it closes
    let close = share(&run.parameters.values()[of("grip.logits.0.table")][2..4]);
    assert!((close - 0.25).abs() < 0.12, "{close}");
    let whole = resumed(&plan, 130);
    assert_eq!(bits(&whole), bits(&run), "resumed");
}

/// A world that is known by records of its steps alone, beside the policy's real ones.
#[test]
fn recorded_steps_are_told_from_a_model_s() {
    let folder = tempfile::tempdir().unwrap();
    // three times in four what is asked for happens
    let row = |k: usize| {
        let (s, a, slips) = (k % 2, k / 2 % 2, usize::from((k / 4).is_multiple_of(4)));
        format!("{k},{s},{},{}", ["stay", "move"][a], (s + a + slips) % 2)
    };
    let rows: Vec<String> = (0..320).map(row).collect();
    let csv = format!("episode,s,a,s'\n{}\n", rows.join("\n"));
    std::fs::write(folder.path().join("walk.csv"), csv).unwrap();
    let text = "model walk
         horizon T = 3
         environment e {
           state s : 0..1
           action a : { stay, move }
           reward r in [-1, 0]
           s[1] ~ Uniform; s[t+1] ~ Uniform; r[t] = -s[t+1]
         }
         data walk(s' | s, a) from \"walk.csv\"
         kernel pi(a | s) = Categorical(logits = table(s))
         kernel world(s' | s, a) = Categorical(logits = table(s, a))
         bound walked {
           prior      { s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ walk(s[t], a[t]) }
           likelihood { R[t] ~ exp(0 * r[t]) }
           posterior  { s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }
         }
         infer { maximize walked over pi; ratio = table(s, a, s'); ratio_batch = 512;
                 trajectories = 64; threads = 1; steps = 400;
                 optimizer = adam(rate = ramp(from = 0.1, to = 0)) }";
    let plan = at(folder.path(), text).unwrap_or_else(|told| panic!("{told}"));
    assert!(!plan.tells_transitions_apart(), "nothing is rolled out for it");
    let run = infer(&plan, &mut ()).unwrap();
    let id = plan.model.network.parameters.iter().position(|one| one.name == "infer.ratio.0.table");
    let range = run.parameters.layout().range(crate::model::ParameterId(id.unwrap() as u32));
    let values = &run.parameters.values()[range];
    // the model goes either way half the time; each axis has a place for `none`
    assert_eq!(values.len(), 27);
    for at in 0..8 {
        let (state, action, next) = (at / 4, at / 2 % 2, at % 2);
        let logit = values[(state * 3 + action) * 3 + next];
        let asked = (state + action) % 2 == next;
        let wanted: f64 = if asked { 1.5f64.ln() } else { 0.5f64.ln() };
        assert!((logit - wanted).abs() < 0.15, "{state} {action} {next}: {logit} of {wanted}");
    }
    let whole = resumed(&plan, 130);
    assert_eq!(bits(&whole), bits(&run), "resumed");
}

/// What records hold goes as far as variables do: options, the time, and what is `none`.
#[test]
fn records_hold_options_and_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let csv = "episode,s,o,a\n0,0,,left\n0,1,1,right\n1,0,,left\n1,1,1,right\n";
    std::fs::write(folder.path().join("expert.csv"), csv).unwrap();
    let text = |given: &str, read: &str, ratio: &str| {
        format!(
            "model told
             horizon T = 2
             option o : 2
             environment e {{
               state s : 0..1; action a : {{ left, right }}; reward r in [-1, 0]
               s[1] ~ Uniform; s[t+1] ~ Uniform; r[t] = -s[t+1]
             }}
             data expert(a | {given}) from \"expert.csv\"
             kernel pi(a | s, t) = Categorical(logits = table(s, t))
             kernel pick(o | s) = Categorical(logits = table(s))
             prior      {{ s[1] ~ e.initial; o[t] ~ Uniform; a[t] ~ expert({read});
                          s[t+1] ~ e.transition(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(0 * r[t]) }}
             posterior  {{ s[1] ~ e.initial; o[t] ~ pick(s[t]); a[t] ~ pi(s[t], t);
                          s[t+1] ~ e.transition(s[t], a[t]) }}
             infer {{ ratio = {ratio}; trajectories = 64; threads = 1; steps = 300;
                     optimizer = adam(rate = ramp(from = 0.1, to = 0)) }}"
        )
    };
    let plan = at(folder.path(), &text("s, o?, t", "s[t], o[t], t", "table(s, a, t)")).unwrap();
    let columns = &plan.records[0].columns;
    assert_eq!(columns.len(), 4);
    let options: Vec<bool> = columns[2].values.iter().map(|value| value.is_nan()).collect();
    assert_eq!((options, &columns[3].values[..]), (vec![true, false, true, false], &[][..]));
    let run = infer(&plan, &mut ()).unwrap();
    let values = run.parameters.values();
    let id = plan.model.network.parameters.iter().position(|one| one.name == "pi.logits.0.table");
    let range = run.parameters.layout().range(crate::model::ParameterId(id.unwrap() as u32));
    let right = |state: usize, t: usize| {
        let logits = &values[range.clone()][(state * 2 + t) * 2..][..2];
        logits[1].exp() / (logits[0].exp() + logits[1].exp())
    };
    // at first it goes left, and then right
    assert!(right(0, 0) < 0.2 && right(1, 1) > 0.8, "{} {}", right(0, 0), right(1, 1));
    let wrong = at(folder.path(), &text("s, o[2]?", "s[t], o[t-1..t]", "table(s, a)"));
    let told = wrong.map(|_| ()).unwrap_err();
    assert!(told.contains("holds several steps"), "{told}");
}
