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
        format!("{}: {} @ {}{}", d.code.0, d.message, place.lines().next().unwrap_or(""), hints.concat())
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
            "horizon T = 9 environment e from \"{name}.rlenv\" kernel pi(a | s) = Categorical(logits = linear(s))
             prior {{ s[1] ~ e.initial  a[t] ~ Uniform  s[t+1] ~ e.transition(s[t], a[t]) {x} }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior {{ s[1] ~ e.initial  a[t] ~ pi(s[t])  s[t+1] ~ e.transition(s[t], a[t]) {x} }}"
        );
        assert_eq!(errors(&text), "", "{name}");
    }
}

#[test]
fn the_chain_is_what_it_says() {
    let model = model(CHAIN);
    assert_eq!(model.horizon.value, 30);
    assert_eq!(model.variables.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(), ["s", "a"]);
    let parameters: Vec<String> = model.network.parameters.iter().map(|p| format!("{} {}x{}", p.name, p.rows, p.columns)).collect();
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
    assert!(matches!(model.setting("baseline").map(|s| &s.value), Some(SettingValue::Network { .. })));
}
