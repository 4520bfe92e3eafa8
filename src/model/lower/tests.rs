//! Small texts in, facts about their models or their mistakes out.

use crate::diagnostic::Diagnostics;
use crate::model::*;
use crate::source::Source;
use crate::syntax;

fn model_with(text: &str, overrides: &Overrides) -> Result<Model, Diagnostics> {
    let source = Source::at(std::path::Path::new("models/test.rlmodel"), text);
    check(&syntax::parse(&source).expect("the test's text parses"), overrides)
}

fn model(text: &str) -> Model {
    model_with(text, &Overrides::default()).unwrap_or_else(|found| panic!("{}", errors_of(&found)))
}

fn errors_of(found: &Diagnostics) -> String {
    let lines = found.list.iter().map(|d| {
        let label = &d.labels[0];
        let text = &found.sources[label.span.file as usize].text;
        let place = text.get(label.span.start as usize..label.span.end as usize).unwrap_or("");
        let hints: Vec<String> = d.hints.iter().map(|hint| format!(" | {hint}")).collect();
        format!(
            "{}: {} @ {}{}",
            d.code.0,
            d.message,
            place.lines().next().unwrap_or(""),
            hints.concat()
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The mistakes of a text, a line each: `code: message @ place | hint`.
fn errors(text: &str) -> String {
    match model_with(text, &Overrides::default()) {
        Ok(_) => String::new(),
        Err(mut found) => {
            found.list.retain(|d| d.severity == crate::diagnostic::Severity::Error);
            errors_of(&found)
        }
    }
}

const CHAIN: &str = r#"
# REINFORCE: policy gradients as variational inference (Williams, 1992).
model reinforce

param alpha = 0.5                 # inverse temperature; override with --set alpha=1
horizon T = 30

environment chain {
  state  s : 0..9
  action a : { left, right }
  reward r in [-1, 0]

  s[1]   ~ Delta(0)
  s[t+1] ~ Mixture(0.9: Delta(clamp(s[t] + (if a[t] == right then 1 else -1), 0, 9)),
                   0.1: Delta(s[t]))
  r[t]   = if s[t+1] == 9 then 0 else -1
  end when s[t] == 9
}

kernel pi(a | s) = Categorical(logits = mlp(s, hidden = [64, 64]))

prior {
  s[1]   ~ chain.initial
  a[t]   ~ Uniform
  s[t+1] ~ chain.transition(s[t], a[t])
}

likelihood {
  R[t] ~ exp(alpha * r[t])
}

posterior {
  s[1]   ~ chain.initial
  a[t]   ~ pi(s[t])
  s[t+1] ~ chain.transition(s[t], a[t])
}

infer {
  trajectories = 64
  steps        = 300
  optimizer    = adam(rate = 0.003)
  baseline     = mlp(s, hidden = [64, 64])
}
"#;

#[test]
fn the_models_lower() {
    for name in ["cartpole", "frozenlake", "reinforce"] {
        let path = format!("models/{name}.rlmodel");
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let source = Source::at(std::path::Path::new(&path), text);
        let file = syntax::parse(&source).expect("the model parses");
        if let Err(found) = check(&file, &Overrides::default()) {
            panic!("{name}: {}", errors_of(&found));
        }
    }
}

#[test]
fn environments_of_files_lower() {
    for (name, observed) in [("acrobot", true), ("four_rooms", false)] {
        let x = if observed { "x[t] ~ e.observation(s[t])" } else { "" };
        let text = format!(
            "horizon T = 9 environment e from \"{name}.rlenv\" kernel pi(a | s) = \
             Categorical(logits = linear(s))
             prior {{ s[1] ~ e.initial  a[t] ~ Uniform  s[t+1] ~ e.transition(s[t], a[t]) {x} }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior {{ s[1] ~ e.initial  a[t] ~ pi(s[t])  s[t+1] ~ e.transition(s[t], a[t]) \
             {x} }}"
        );
        assert_eq!(errors(&text), "", "{name}");
    }
}

#[test]
fn the_chain_is_what_it_says() {
    let model = model(CHAIN);
    assert_eq!(model.horizon.value, 30);
    assert_eq!(model.variables.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(), ["s", "a"]);
    let parameters: Vec<String> = model
        .network
        .parameters
        .iter()
        .map(|p| format!("{} {}x{}", p.name, p.rows, p.columns))
        .collect();
    assert_eq!(
        parameters[..6],
        [
            "pi.logits.0.weight 10x64",
            "pi.logits.0.bias 1x64",
            "pi.logits.1.weight 64x64",
            "pi.logits.1.bias 1x64",
            "pi.logits.2.weight 64x2",
            "pi.logits.2.bias 1x2"
        ]
    );
    assert!(matches!(
        model.setting("baseline").map(|s| &s.value),
        Some(SettingValue::Network { .. })
    ));
}

/// The expression of a text's exponent at a point: components by their names in the file.
fn exponent(model: &Model, at: &[(&str, f64)]) -> f64 {
    let LikelihoodForm::Exponential { value, .. } = &model.bounds[0].likelihood[0].form else {
        panic!("an exponent")
    };
    let leaf = |input: crate::expr::InputId| {
        let Input::Variable { variable, component, .. } = model.inputs[input.0 as usize] else {
            panic!("a variable")
        };
        let variable = model.variable(variable);
        let path = &variable.domain.components[component as usize].path;
        let name = if path.is_empty() {
            variable.name.clone()
        } else {
            format!("{}.{path}", variable.name)
        };
        at.iter()
            .find(|(known, _)| *known == name)
            .unwrap_or_else(|| panic!("a value for {name}"))
            .1
    };
    model.graph.evaluate(*value, &model.param_values(), &leaf, 3.0)
}

/// A model on a 4 × 4 grid with three actions whose exponent is `exponent`, after the
/// `definitions`.
fn grid(definitions: &str, exponent: &str) -> String {
    format!(
        "horizon T = 6
         {definitions}
         environment grid {{
           state s : {{ y: 0..3, x: 0..3 }}  action a : {{ left, stay, right }}
           s[1] ~ Delta({{ x: 1, y: 0 }})
           s[t+1] ~ Delta({{ y: s[t].y, x: clamp(s[t].x + a[t] - 1, 0, 3) }})
         }}
         prior {{ s[1] ~ grid.initial  a[t] ~ Uniform  s[t+1] ~ grid.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(min(0, {exponent})) }}
         posterior {{ s[1] ~ grid.initial  a[t] ~ Uniform  s[t+1] ~ grid.transition(s[t], a[t]) }}"
    )
}

#[track_caller]
/// Only lowered: whether it is a number wherever it is read is a check's affair.
fn assert_exponent(definitions: &str, text: &str, at: &[(&str, f64)], expected: f64) {
    let source = Source::at(std::path::Path::new("test.rlmodel"), grid(definitions, text));
    let file = syntax::parse(&source).expect("the test's text parses");
    let (lowered, mistakes) = super::lower(&file, &Overrides::default());
    assert!(mistakes.is_empty(), "{text}: {mistakes:?}");
    let value = exponent(&lowered.expect("no mistake leaves a model"), at);
    assert!(
        value == expected || (value.is_nan() && expected.is_nan()),
        "{text} = {value}, expected {expected}"
    );
}

#[test]
fn names_of_values_count_from_zero() {
    assert_exponent("", "if a[t] == right then -1 else -2", &[("a", 2.0)], -1.0);
    assert_exponent("", "if a[t] != right then -1 else -2", &[("a", 2.0)], -2.0);
    assert_exponent("", "-a[t] - stay", &[("a", 2.0)], -3.0);
    assert_exponent("", "[-5, -6, -7][a[t]]", &[("a", 1.0)], -6.0);
}

#[test]
fn arrays_texts_and_records_are_read_by_index_and_field() {
    let map = r##"let map = ["S#FF", "FHFH", "FFFH", "HFFG"]  let hole(p) = map[p.y, p.x] == "H""##;
    let at = |y: f64, x: f64| [("s.y", y), ("s.x", x)];
    assert_exponent(map, "if hole(s[t]) then -1 else 0", &at(2.0, 3.0), -1.0);
    assert_exponent(map, "if hole(s[t]) then -1 else 0", &at(3.0, 3.0), 0.0);
    assert_exponent(
        map,
        r##"if map[s[t].y][s[t].x + 1] == "#" then -1 else 0"##,
        &at(0.0, 0.0),
        -1.0,
    );
    assert_exponent("", "if s[t] == { x: 1, y: 2 } then -1 else 0", &at(2.0, 1.0), -1.0);
    assert_exponent("", "-[[1, 2], [3, 4]][s[t].y, 1]", &at(1.0, 0.0), -4.0);
    // beside its row there is nothing, not the next row
    assert_exponent("", "-[[1, 2], [3, 4]][s[t].y, s[t].x]", &at(0.0, 2.0), f64::NAN);
    assert_exponent("", "-(if s[t].x == 2 then { p: 5 } else { p: 6 }).p", &at(0.0, 2.0), -5.0);
}

#[test]
fn functions_work_on_arrays_element_by_element() {
    assert_exponent("let v = [1, 2, 3] * 2 + [1, 1, 1]", "-sum(v)", &[], -15.0);
    assert_exponent("", "-max([1, 5, 2]) - min(3, 4)", &[], -8.0);
    assert_exponent("", "mod(-1, 4) - 10 - sum(abs([-1, 2]))", &[], -10.0);
    assert_exponent("let f(x) = x ^ 2  let g(x) = -f(x + 1)", "g(g(1))", &[], -9.0);
    assert_exponent("param k = 2", "-k * t", &[], -6.0);
}

#[test]
fn domains_leave_out_what_where_leaves_out() {
    let text = CHAIN
        .replace("state  s : 0..9", "state s : 0..9 where mod(s, 3) == 0")
        .replace("clamp(s[t] + (if a[t] == right then 1 else -1), 0, 9)", "0");
    let model = model(&text);
    assert_eq!(model.variables[0].domain.finite.as_ref().map(FiniteDomain::size), Some(4));
    assert_eq!(
        model.network.parameters[0].rows, 10,
        "one-hot over the component, not over what is left"
    );
}

fn set(params: &[(&str, &str)], settings: &[(&str, &str)]) -> Overrides {
    let lower = |list: &[(&str, &str)]| {
        let parsed = list.iter().map(|(name, value)| {
            ((*name).to_owned(), syntax::parse_expr(value, name).expect("a value"))
        });
        parsed.collect()
    };
    Overrides { params: lower(params), settings: lower(settings) }
}

#[test]
fn overrides_replace_params_the_horizon_and_settings() {
    let model = model_with(
        CHAIN,
        &set(&[("alpha", "1 / 4"), ("T", "7")], &[("steps", "5"), ("seed", "3")]),
    )
    .expect("a model");
    assert_eq!((model.params[0].value, model.horizon.value), (0.25, 7));
    assert_eq!(model.setting("steps").map(|s| &s.value), Some(&SettingValue::Number(5.0)));
    assert_eq!(model.setting("seed").map(|s| &s.value), Some(&SettingValue::Number(3.0)));
    let without = model_with(CHAIN, &set(&[], &[("baseline", "none")])).expect("a model");
    assert!(
        without.kernels.iter().all(|kernel| kernel.name == "pi"),
        "no network is left of the baseline"
    );
    for (name, value, message) in [
        ("alhpa", "1", "--set alhpa=…: the model has no param `alhpa`"),
        (
            "alpha",
            "0 / 0",
            "--set alpha=…: param `alpha` must be a finite number, and this is not a number (NaN)",
        ),
        (
            "alpha",
            "s[1]",
            "--set alpha=…: a domain, a param or the horizon cannot depend on `s`, a variable of \
             the trajectory",
        ),
        ("T", "0", "the horizon must be a whole number from 1 to 1000000000, not 0"),
    ] {
        let found = model_with(CHAIN, &set(&[(name, value)], &[])).expect_err("a mistake");
        assert!(found.list.iter().any(|d| d.message == message), "{}", errors_of(&found));
    }
}

#[test]
fn params_of_an_environment_file_are_set_where_it_is_named() {
    let text = |settings: &str| {
        format!(
            "horizon T = 3  param q = 0.3  environment e from \"four_rooms.rlenv\" {settings}
             prior {{ s[1] ~ e.initial  a[t] ~ Uniform  s[t+1] ~ e.transition(s[t], a[t]) }}  \
             likelihood {{ R[t] ~ exp(q * r[t]) }}
             posterior {{ s[1] ~ e.initial  a[t] ~ Uniform  s[t+1] ~ e.transition(s[t], a[t]) }}"
        )
    };
    let slip = |model: &Model| model.params.iter().find(|p| p.name == "e.slip").map(|p| p.value);
    let plain = model(&text(""));
    assert_eq!(slip(&plain), Some(0.1));
    assert_eq!(plain.variables[0].domain.finite.as_ref().map(FiniteDomain::size), Some(104));
    assert_eq!(slip(&model(&text("(slip = q / 3)"))), Some(0.3 / 3.0));
    let over = model_with(&text("(slip = 0.2)"), &set(&[("e.slip", "0")], &[])).expect("a model");
    assert_eq!(slip(&over), Some(0.0));
}

/// The chain with more kernels, which no factor uses.
fn with_kernels(kernels: &str) -> Model {
    model(&CHAIN.replace("kernel pi(a | s)", &format!("{kernels}\nkernel pi(a | s)")))
}

fn parameters(model: &Model, of: &str) -> Vec<String> {
    let named = model
        .network
        .parameters
        .iter()
        .filter(|p| p.name.starts_with(of) && !p.name.ends_with("bias"));
    named.map(|p| format!("{} {}x{}", p.name, p.rows, p.columns)).collect()
}

#[test]
fn nets_share_their_parameters_and_end_where_nobody_asks_for_a_width() {
    let model = with_kernels(
        "net body(s) = mlp(s, hidden = [32, 16])
         kernel one(a | s) = Categorical(logits = linear(body(s)))
         kernel two(s' | s) = Categorical(logits = linear(body(s)))",
    );
    assert_eq!(parameters(&model, "body"), ["body.0.weight 10x32", "body.1.weight 32x16"]);
    assert_eq!(parameters(&model, "one"), ["one.logits.0.weight 16x2"]);
    assert_eq!(parameters(&model, "two"), ["two.logits.0.weight 16x10"]);
    let bodies = model
        .network
        .layers
        .iter()
        .filter(|layer| matches!(&layer.op, LayerOp::Mlp { last: Some(Activation::Tanh), .. }));
    assert_eq!(bodies.count(), 2, "a layer for each kernel, since each has its own inputs");
}

#[test]
fn inputs_are_encoded_by_their_domains() {
    let model = with_kernels(
        "option o : 4
         kernel w(o | next: o[2]?, s[3], t) = Categorical(logits = mlp(next, s, t, hidden = [8]))
         kernel k(o | s, last: o?) = Sticky(last, keep = sigmoid(linear(last)), fresh = \
         Categorical(logits = table(s, last)))
         kernel h(a | s, o) = Categorical(logits = per(o, linear(s)))
         kernel g(a | past: s[..]) = Categorical(logits = linear(gru(past, hidden = 5)))",
    );
    assert_eq!(parameters(&model, "w"), ["w.logits.0.weight 41x8", "w.logits.1.weight 8x4"]);
    assert_eq!(parameters(&model, "k"), ["k.keep.0.weight 5x1", "k.fresh.logits.0.table 50x4"]);
    assert_eq!(parameters(&model, "h"), ["h.logits.0.weight 10x8"]);
    assert_eq!(parameters(&model, "g.logits.1"), ["g.logits.1.weight 5x2"]);
    let Distribution::Sticky { last, .. } = &model.kernels[1].distribution else {
        panic!("sticky")
    };
    assert_eq!(*last, 2, "outputs first, then givens");
}

#[test]
fn kernels_of_reals_and_of_several_outputs() {
    let text = "horizon T = 4
      environment line {
        state s : { x: real, v: real in [-1, 1] }  action a : real[2] in [-1, 1]  reward r in \
        [-1, 0]
        s[1] ~ { x: Delta(0), v: Uniform }
        s[t+1] ~ { x: Normal(mean = s[t].x + sum(a[t]), sd = 0.1), v: Delta(s[t].v) }
        r[t] = -abs(s[t].v)
      }
      net body(s) = mlp(s, hidden = [8])
      kernel pi(a | s) = TanhNormal(mean = linear(body(s)), sd = 0.01 + softplus(linear(body(s))))
      kernel world(s', r, end | s, a) = {
        s: { x: Normal(mean = s.x + linear(s, a / [1, 2]), sd = 1), v: Uniform },
        r: Normal(mean = linear(s), sd = 0.5), end: Bernoulli(logits = linear(s))
      }
      kernel drift(s' | s, a) = Normal(mean = s + mlp(s, a, hidden = [8]), sd = 1)
      kernel dream(s' | s, a) = Implicit(mlp(s, a, noise(4), hidden = [8]))
      prior { s[1] ~ line.initial  a[t] ~ Uniform  s[t+1] ~ drift(s[t], a[t]) }
      likelihood { R[t] ~ exp(r[t]) }
      posterior { s[1] ~ line.initial  a[t] ~ pi(s[t])  s[t+1] ~ line.transition(s[t], a[t]) }
      infer { ratio = mlp(s, a, s', hidden = [4])  optimizer = adam(rate = ramp(from = 1, to = \
      0))  until = expected_return >= 2 * T }";
    let model = model(text);
    assert_eq!(parameters(&model, "pi"), ["pi.mean.0.weight 8x2", "pi.sd.0.weight 8x2"]);
    assert_eq!(
        parameters(&model, "world"),
        [
            "world.s.x.mean.0.weight 4x1",
            "world.r.mean.0.weight 2x1",
            "world.end.logits.0.weight 2x1"
        ]
    );
    assert_eq!(parameters(&model, "drift"), ["drift.mean.0.weight 4x8", "drift.mean.1.weight 8x2"]);
    assert_eq!(
        parameters(&model, "dream"),
        ["dream.sample.0.weight 8x8", "dream.sample.1.weight 8x2"]
    );
    let Some(SettingValue::Network { kernel, arguments, .. }) =
        model.setting("ratio").map(|s| &s.value)
    else {
        panic!("a network")
    };
    let (s, a) = (VariableId(0), VariableId(1));
    let at = |variable, step| Value::Variable { variable, index: Index::Step(step) };
    assert_eq!(*arguments, [at(s, 0), at(a, 0), at(s, 1)]);
    assert!(model.kernel(*kernel).outputs.is_empty());
    let until =
        SettingValue::Threshold { quantity: "expected_return".into(), at_least: true, value: 8.0 };
    assert_eq!(model.setting("until").map(|s| &s.value), Some(&until));
}

#[test]
fn factors_keep_windows_times_and_densities() {
    let text = CHAIN
        .replace(
            "kernel pi(a | s) =",
            "option o : 3\nkernel look(o | next: o[2]?, s) = \
                                        Categorical(logits = table(next, s))\nkernel hear(o | \
                                        past: s[..]) = Categorical(logits = \
                                        linear(gru(past)))\nkernel guess(o | s) = \
                                        Categorical(logits = table(s))\nkernel pi(a | s) =",
        )
        .replace(
            "R[t] ~ exp(alpha * r[t])",
            "R[t] ~ exp(alpha * r[t])  H[T] ~ guess(o[1] | s[T+1])",
        )
        .replace(
            "posterior {",
            "auxiliary { o[t] ~ look(o[t+1..t+2], s[t]) }\nposterior {\n  \
                                 o[t] ~ hear(s[t..])",
        )
        .replace("o[t] ~ hear(s[t..])", "o[t] ~ hear(s[..t])");
    let model = model(&text);
    let o = VariableId(2);
    let window = Value::Window { variable: o, from: Index::Step(1), to: Index::Step(2) };
    assert_eq!(model.bounds[0].auxiliary[0].arguments[0], window);
    assert_eq!(
        model.bounds[0].posterior[0].arguments[0],
        Value::Past { variable: VariableId(0), to: Index::Step(0) }
    );
    let LikelihoodForm::Density { values, givens, .. } = &model.bounds[0].likelihood[1].form else {
        panic!("a density")
    };
    assert_eq!(*values, [Value::Variable { variable: o, index: Index::First }]);
    assert_eq!(*givens, [Value::Variable { variable: VariableId(0), index: Index::Last(1) }]);
    assert!(
        model
            .network
            .layers
            .iter()
            .any(|layer| matches!(layer.op, LayerOp::Gru { backward: false, .. }))
    );
}

#[test]
fn weights_have_priors_and_a_mean_field() {
    let text = CHAIN
        .replace("a[t]   ~ Uniform", "a[t] ~ Uniform  weights(pi) ~ Normal(mean = 0, sd = 1)")
        .replace("a[t]   ~ pi(s[t])", "a[t] ~ pi(s[t])  weights(pi) ~ Normal");
    let model = model(&text);
    let weights = |factors: &[Factor]| {
        factors
            .iter()
            .find(|f| f.targets == [Target::Weights(KernelId(0))])
            .map(|f| f.kernel.clone())
    };
    let field = KernelRef::InPlace(Distribution::mean_field());
    assert_eq!(weights(&model.bounds[0].posterior), Some(field));
    let Some(KernelRef::InPlace(prior)) = weights(&model.bounds[0].prior) else {
        panic!("the prior draws the weights from a distribution in place")
    };
    assert_eq!(prior.as_normal().map(|(mean, _)| mean.len()), Some(1));
}

#[test]
fn gymnasium_environments_declare_their_spaces() {
    let text = "horizon T = 9  environment pole = gymnasium(\"CartPole-v1\", sutton = true) { \
                state s : real[4] action a : { l, r } reward g in [0, 1] }
      kernel pi(a | s) = Categorical(logits = linear(s))
      prior { s[1] ~ pole.initial  a[t] ~ Uniform  s[t+1] ~ pole.transition(s[t], a[t]) }  \
      likelihood { R[t] ~ exp(g[t] - 1) }
      posterior { s[1] ~ pole.initial  a[t] ~ pi(s[t])  s[t+1] ~ pole.transition(s[t], a[t]) }";
    let model = model(text);
    let environment = &model.environments[0];
    assert!(environment.hidden && environment.rewards[0].value.is_none());
    let Dynamics::External { system: System::Gymnasium, name, arguments } = &environment.dynamics
    else {
        panic!("external")
    };
    assert_eq!(
        (name.as_str(), arguments.as_slice()),
        ("CartPole-v1", &[("sutton".to_owned(), SettingValue::Truth(true))][..])
    );
}

#[test]
fn a_second_bound_needs_an_objective() {
    let body = "prior { s[1] ~ e.initial  a[t] ~ Uniform  s[t+1] ~ e.transition(s[t], a[t]) }  \
                likelihood { R[t] ~ exp(-1) }
      posterior { s[1] ~ e.initial  a[t] ~ pi(s[t])  s[t+1] ~ e.transition(s[t], a[t]) }";
    let text = format!(
        "horizon T = 9  environment e {{ state s : 0..1  action a : 2  s[1] ~ Delta(0)  s[t+1] ~ \
         Delta(a[t]) }}
         kernel pi(a | s) = Categorical(logits = table(s))  bound one {{ {body} }}  bound two {{ \
         {body} }}"
    );
    assert!(errors(&text).contains("does not say how to maximise them"));
    let model = model(&format!("{text} infer {{ maximize two over pi  maximize one over pi }}"));
    assert_eq!(
        model.objectives.iter().map(|o| o.bound).collect::<Vec<_>>(),
        [BoundId(1), BoundId(0)]
    );
}

#[test]
fn large_and_deep_files_end_in_words() {
    let many: String = (0..5_000).map(|at| format!("let v{at} = u{at}\n")).collect();
    let found = errors(&format!("{many}{CHAIN}"));
    assert_eq!(found.lines().count(), 5_000);
    let chain: String = (0..2_000).map(|at| format!("let v{} = v{} + 1\n", at + 1, at)).collect();
    assert_eq!(errors(&format!("{CHAIN}\nlet v0 = 1\n{chain}")), "");
    let backwards: String =
        (0..2_000).rev().map(|at| format!("let v{} = v{} + 1\n", at + 1, at)).collect();
    assert!(errors(&format!("{CHAIN}\n{backwards}\nlet v0 = 1")).contains("deep"));
    let calls: String =
        (0..2_000).map(|at| format!("let f{}(x) = f{}(x) + 1\n", at + 1, at)).collect();
    assert!(
        errors(&format!("{CHAIN}\nlet f0(x) = x\n{calls}\nlet all = f2000(1)")).contains("deep")
    );
}

#[test]
fn a_mistake_is_told_once() {
    let text =
        CHAIN.replace("param alpha = 0.5", "param alpha = beta").replace("clamp(s[t]", "lift(s[t]");
    let found = errors(&text);
    assert_eq!(found.lines().count(), 2, "{found}");
    assert!(found.contains("unknown name `beta`") && found.contains("unknown function `lift`"));
}

/// A walk whose state and reward are as given.
fn walk(state: &str, start: &str, next: &str, reward: &str) -> String {
    format!(
        "horizon T = 3
         environment e {{
           state s : {state}
           action a : bool
           reward r in [-1, 0]
           s[1] ~ Delta({start})
           s[t+1] ~ Delta({next})
           r[t] = {reward}
         }}
         kernel pi(a | s) = Categorical(logits = table(s))
         prior {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior {{ s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ e.transition(s[t], a[t]) }}"
    )
}

#[test]
fn truth_values_are_numbers() {
    assert_eq!(errors(&walk("bool", "false", "a[t]", "s[t+1] - 1")), "");
    assert_eq!(
        errors(&walk(
            "0..2",
            "true",
            "a[t] + s[t] * (s[t] < 2 and a[t])",
            "min(0, -a[t] + (a[t] == 1))"
        )),
        ""
    );
    assert_eq!(errors(&walk("0..1", "0", "if a[t] then s[t] else true", "-a[t]")), "");
    // a number is no truth value, though
    assert!(errors(&walk("bool", "0", "a[t]", "-1")).contains("expected a truth value"));
}

#[test]
fn fields_may_be_called_by_any_word() {
    let state = "{ over: 0..3, where: bool, end: 0..1, prior: 0..2 }";
    let start = "{ over: 0, where: false, end: 1, prior: 0 }";
    let next = "{ over: s[t].over, where: s[t].where or a[t], end: s[t].end, prior: s[t].prior }";
    assert_eq!(errors(&walk(state, start, next, "-(s[t].end)")), "");
}

#[test]
fn what_is_normalised_sums_to_one() {
    let prior = |probs: &str| {
        walk("0..1", "0", "a[t]", "-1").replace("Uniform", &format!("Categorical(probs = {probs})"))
    };
    assert_eq!(errors(&prior("normalize([0.333333, 0.333333])")), "");
    assert!(errors(&prior("[0.333333, 0.333333]")).contains("normalize"));
    assert!(errors(&prior("normalize([0, 0])")).contains("not a number"));
    assert!(errors(&prior("normalize(2)")).contains("expected an array"));
}
