//! What a model file sets, and what two files have in common.

use crate::syntax::{ast, print};
use indexmap::IndexMap;

/// The names and the texts of the values of all `param`s, of the horizon, and of the keys of
/// `infer`, as (`alpha`, `infer.steps`, …), in the order written. The seed is not among them, since
/// it names a run, nor is what changes no result.
pub fn settings(file: &ast::File) -> IndexMap<String, String> {
    let text = |span: crate::source::Span| {
        file.sources[span.file as usize].text[span.start as usize..span.end as usize].to_owned()
    };
    let mut found = IndexMap::new();
    for item in &file.items {
        match item {
            ast::Item::Param(param) => {
                found.insert(param.name.text.clone(), text(param.value.span));
            }
            ast::Item::Horizon { name, value, .. } => {
                found.insert(name.text.clone(), text(value.span));
            }
            ast::Item::Infer(infer) => {
                let kept = infer.settings.iter().filter(|setting| {
                    !["seed", "threads", "checkpoint_every"].contains(&setting.key.text.as_str())
                });
                found.extend(kept.map(|setting| {
                    (format!("infer.{}", setting.called()), text(setting.value.span))
                }));
            }
            ast::Item::Model(_)
            | ast::Item::Let(_)
            | ast::Item::Environment(_)
            | ast::Item::Data(_)
            | ast::Item::Variable(_)
            | ast::Item::Net(_)
            | ast::Item::Kernel(_)
            | ast::Item::Bound { .. }
            | ast::Item::Block(_)
            | ast::Item::Expect(_) => {}
        }
    }
    found
}

/// The names whose values differ between the files, absent ones included.
pub fn differing<'a>(
    of_runs: impl Iterator<Item = &'a IndexMap<String, String>> + Clone,
) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for name in of_runs.clone().flat_map(|settings| settings.keys()) {
        let mut values = of_runs.clone().map(|settings| settings.get(name));
        let first = values.next().flatten();
        if !names.contains(name) && values.any(|value| value != first) {
            names.push(name.clone());
        }
    }
    names
}

/// The same for two files that are the same model: its name, its declarations and factors, without
/// the values of its settings and without comments.
pub fn form(file: &ast::File) -> String {
    let items = file.items.iter().map(|item| match item {
        ast::Item::Param(param) => format!("param {}\n", param.name.text),
        ast::Item::Horizon { name, .. } => format!("horizon {}\n", name.text),
        ast::Item::Infer(_) | ast::Item::Expect(_) => String::new(),
        item => alone(file, item),
    });
    items.collect::<String>() + &included(file)
}

/// The same for two files whose environments, horizon and all settings that these name are the
/// same: their returns may be compared.
pub fn surroundings(file: &ast::File) -> String {
    let is_part = |item: &&ast::Item| matches!(item, ast::Item::Environment(_) | ast::Item::Let(_));
    let text: String = file.items.iter().filter(is_part).map(|item| alone(file, item)).collect();
    let words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let horizons = file.items.iter().filter_map(|item| match item {
        ast::Item::Horizon { name, .. } => Some(name.text.as_str()),
        _ => None,
    });
    let horizons: Vec<&str> = horizons.collect();
    let named: String = settings(file)
        .iter()
        .filter(|(name, _)| horizons.contains(&name.as_str()) || words.contains(&name.as_str()))
        .map(|(name, value)| format!("{name} = {value}\n"))
        .collect();
    text + &named + &included(file)
}

fn alone(file: &ast::File, item: &ast::Item) -> String {
    print(&ast::File { items: vec![item.clone()], comments: vec![], sources: file.sources.clone() })
}

/// The `.rlenv` files.
fn included(file: &ast::File) -> String {
    file.sources.iter().skip(1).map(|source| source.text.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;
    use crate::syntax::parse;

    fn file(text: &str) -> ast::File {
        parse(&Source::new("m", text)).unwrap_or_else(|found| panic!("{found}"))
    }

    const ONE: &str = "model m\nparam alpha = 0.5 # hot\nparam slip = 0\nhorizon T = \
                       3\nenvironment e { state s : 2; s[1] ~ Delta(slip) }\n
        prior { s[1] ~ e.initial }\ninfer { steps = 3; seed = 1; threads = 2 }";

    #[test]
    fn settings_are_told_as_written_without_the_seed() {
        let settings = settings(&file(ONE));
        let told: Vec<String> =
            settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(told, ["alpha=0.5", "slip=0", "T=3", "infer.steps=3"]);
    }

    #[test]
    fn what_differs_is_named_once() {
        let other = ONE.replace("0.5", "1").replace("steps = 3", "steps = 3; rate = 1");
        let list = [settings(&file(ONE)), settings(&file(&other)), settings(&file(ONE))];
        assert_eq!(differing(list.iter()), ["alpha", "infer.rate"]);
        assert!(differing(list[..1].iter()).is_empty());
    }

    #[test]
    fn a_model_is_the_same_whatever_is_set_and_another_with_another_factor() {
        let same =
            ONE.replace("0.5 # hot", "1").replace("T = 3", "T = 4").replace("seed = 1", "seed = 2");
        assert_eq!(form(&file(ONE)), form(&file(&same)));
        assert_ne!(form(&file(ONE)), form(&file(&ONE.replace("e.initial", "Uniform"))));
    }

    #[test]
    fn surroundings_are_environment_horizon_and_what_these_name() {
        let same = |text: &str| surroundings(&file(ONE)) == surroundings(&file(text));
        assert!(same(
            &ONE.replace("0.5", "1")
                .replace("model m", "model other")
                .replace("e.initial", "Uniform")
        ));
        assert!(
            !same(&ONE.replace("slip = 0", "slip = 1")) && !same(&ONE.replace("T = 3", "T = 4"))
        );
    }
}
