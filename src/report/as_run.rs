//! The text of a model with its overrides and its seed written in.

use super::MODEL;
use crate::source::Span;
use crate::syntax::ast;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The files that run the model again as it was run, as (name, text): `model.rlmodel`, in the
/// author's own layout, with each of `overrides` (`alpha`, `infer.steps`, … and the text of its
/// value) in the place of what it overrides, the `.rlenv` files it names, and its recorded data.
pub fn as_run(file: &ast::File, overrides: &[(String, String)]) -> Vec<(String, String)> {
    let mut edits = Edits::default();
    let mut files = environment_files(file, &mut edits);
    files.extend(data_files(file, &mut edits));
    let mut added = Vec::new();
    // The last override of a name is the one that counts.
    let last: BTreeMap<&str, usize> =
        overrides.iter().enumerate().map(|(at, (name, _))| (name.as_str(), at)).collect();
    for (at, (name, value)) in overrides.iter().enumerate() {
        if last[name.as_str()] != at {
            continue;
        }
        match overridden(file, name) {
            Some(span) => edits.replace(span, value.clone()),
            None => added.extend(name.strip_prefix("infer.").map(|key| format!("{key} = {value}"))),
        }
    }
    let text = &file.sources[0].text;
    if !added.is_empty() {
        add_settings(file, text, &added, &mut edits);
    }
    files.insert(0, (MODEL.to_owned(), edits.apply(text)));
    files
}

/// Where the value that `--set name=…` overrides is written.
fn overridden(file: &ast::File, name: &str) -> Option<Span> {
    file.items.iter().find_map(|item| match item {
        ast::Item::Param(param) if param.name.text == name => Some(param.value.span),
        ast::Item::Horizon { name: horizon, value, .. } if horizon.text == name => Some(value.span),
        ast::Item::Infer(infer) => {
            let key = ast::SettingKey::read(name.strip_prefix("infer.")?);
            infer
                .settings
                .iter()
                .find(|setting| setting.called() == key)
                .map(|setting| setting.value.span)
        }
        _ => None,
    })
}

/// New lines of `infer`: before the brace that closes the last such block, or in a block of their
/// own at the end.
fn add_settings(file: &ast::File, text: &str, lines: &[String], edits: &mut Edits) {
    let block = file.items.iter().rev().find_map(|item| match item {
        ast::Item::Infer(infer) => Some(infer),
        _ => None,
    });
    let closing = block
        .and_then(|infer| text[..infer.span.end as usize].rfind('}').map(|brace| (infer, brace)));
    let Some((infer, brace)) = closing else {
        let gap = if text.ends_with('\n') { "\n" } else { "\n\n" };
        return edits.insert(text.len(), format!("{gap}infer {{\n  {}\n}}\n", lines.join("\n  ")));
    };
    let line = &text[text[..brace].rfind('\n').map_or(0, |end| end + 1)..brace];
    if line.trim().is_empty() {
        edits.insert(brace - line.len(), format!("  {}\n", lines.join("\n  ")));
    } else {
        let gap = if infer.settings.is_empty() { "" } else { "; " };
        let at = brace - (line.len() - line.trim_end().len());
        edits.insert(at, format!("{gap}{}", lines.join("; ")));
    }
}

/// The `.rlenv` files, each under its own name beside the model, and the names in the model changed
/// to these.
fn environment_files(file: &ast::File, edits: &mut Edits) -> Vec<(String, String)> {
    let mut taken = BTreeSet::from([MODEL.to_owned()]);
    let mut files: Vec<(u32, String)> = Vec::new();
    for item in &file.items {
        let ast::Item::Environment(ast::Environment {
            definition: ast::EnvironmentDefinition::File { path, included, .. },
            ..
        }) = item
        else {
            continue;
        };
        let Some(index) = file_of(included) else { continue };
        let known = files.iter().find(|(known, _)| *known == index).map(|(_, name)| name.clone());
        let name = known.unwrap_or_else(|| {
            let stem = Path::new(&path.text)
                .file_stem()
                .map_or_else(|| "environment".into(), |stem| stem.to_string_lossy());
            let numbered = (2u64..).map(|again| format!("{stem}-{again}.rlenv"));
            let mut names = std::iter::once(format!("{stem}.rlenv")).chain(numbered);
            let name =
                names.find(|name| !taken.contains(name)).expect("as_run: the numbers do not end");
            files.push((index, name.clone()));
            name
        });
        taken.insert(name.clone());
        if name != path.text {
            edits.replace(path.span, format!("\"{name}\""));
        }
    }
    files
        .into_iter()
        .map(|(index, name)| (name, file.sources[index as usize].text.to_string()))
        .collect()
}

/// The files of recorded data, each under a name of its own beside the model, and the names in the
/// model changed to these.
fn data_files(file: &ast::File, edits: &mut Edits) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for item in &file.items {
        let ast::Item::Data(data) = item else { continue };
        // what cannot be read is told by who reads it
        let opened = file.sources[0].open_named(&data.path.text).ok();
        let Some(text) = opened.and_then(|stream| std::io::read_to_string(stream).ok()) else {
            continue;
        };
        let name = format!("{}.csv", data.name.text);
        if name != data.path.text {
            edits.replace(data.path.span, format!("\"{name}\""));
        }
        files.push((name, text));
    }
    files
}

/// The number of the source that an included environment was read from.
fn file_of(included: &ast::EnvironmentFile) -> Option<u32> {
    let item = included.body.first()?;
    let span = match item {
        ast::EnvironmentItem::Variable(variable) => variable.span,
        ast::EnvironmentItem::Let(item) => item.span,
        ast::EnvironmentItem::Factor(factor) => factor.span,
        ast::EnvironmentItem::Reward { span, .. }
        | ast::EnvironmentItem::EndWhen { span, .. }
        | ast::EnvironmentItem::Define { span, .. } => *span,
    };
    Some(span.file)
}

/// Replacements in one text, by place.
#[derive(Default)]
struct Edits {
    list: Vec<(usize, usize, String)>,
}

impl Edits {
    fn replace(&mut self, span: Span, by: String) {
        self.list.push((span.start as usize, span.end as usize, by));
    }

    fn insert(&mut self, at: usize, text: String) {
        self.list.push((at, at, text));
    }

    fn apply(mut self, text: &str) -> String {
        self.list.sort_by_key(|(start, end, _)| (*start, *end));
        let mut done = String::with_capacity(text.len() + 64);
        let mut from = 0;
        for (start, end, by) in &self.list {
            done.push_str(&text[from..*start]);
            done.push_str(by);
            from = *end;
        }
        done + &text[from..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;
    use crate::syntax::parse;

    fn model(text: &str, overrides: &[(&str, &str)]) -> String {
        let file = parse(&Source::new("m", text)).unwrap_or_else(|found| panic!("{found}"));
        let overrides: Vec<_> =
            overrides.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let files = as_run(&file, &overrides);
        assert_eq!((files.len(), files[0].0.as_str()), (1, MODEL));
        let again = parse(&Source::new("m", files[0].1.as_str()))
            .unwrap_or_else(|found| panic!("{found}: {}", files[0].1));
        assert_eq!(as_run(&again, &overrides)[0].1, files[0].1, "written twice is written once");
        files[0].1.clone()
    }

    #[test]
    fn values_are_replaced_where_they_stand() {
        let text = "param alpha = 0.5 in [0, 1] # hot\nhorizon T = 30\ninfer { steps = 3 }\n";
        let overrides = [("alpha", "1 / 4"), ("T", "5"), ("infer.steps", "7"), ("alpha", "1 / 8")];
        assert_eq!(
            model(text, &overrides),
            "param alpha = 1 / 8 in [0, 1] # hot\nhorizon T = 5\ninfer { steps = 7 }\n"
        );
    }

    #[test]
    fn a_key_that_is_not_there_is_added() {
        let seed = [("infer.seed", "2"), ("infer.seed", "3")];
        assert_eq!(
            model("infer {\n  steps = 3 # few\n}\n", &seed),
            "infer {\n  steps = 3 # few\n  seed = 3\n}\n"
        );
        assert_eq!(model("infer { steps = 3 }", &seed), "infer { steps = 3; seed = 3 }");
        assert_eq!(model("infer {}", &seed), "infer {seed = 3}");
        assert_eq!(model("horizon T = 3", &seed), "horizon T = 3\n\ninfer {\n  seed = 3\n}\n");
    }

    /// A key is what it is of, whatever its spaces and the order of two kernels.
    #[test]
    fn keys_of_ratios_are_replaced_where_they_stand() {
        let text = "infer { ratio( pi , line.initial ) = table(s); steps = 3 }";
        let key = [("infer.ratio(line . initial,pi)", "mlp(s)")];
        assert_eq!(model(text, &key), "infer { ratio( pi , line.initial ) = mlp(s); steps = 3 }");
    }

    #[test]
    fn environment_files_come_along() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("worlds")).expect("a folder");
        std::fs::write(folder.path().join("worlds/a.rlenv"), "state s : 0..1").expect("written");
        std::fs::write(folder.path().join("a.rlenv"), "state s : 0..2").expect("written");
        let text = "environment x from \"worlds/a.rlenv\"\nenvironment y from \"a.rlenv\"\n";
        let file = parse(&Source::at(&folder.path().join("m.rlmodel"), text))
            .unwrap_or_else(|found| panic!("{found}"));
        let files = as_run(&file, &[]);
        let expected = [
            (MODEL, "environment x from \"a.rlenv\"\nenvironment y from \"a-2.rlenv\"\n"),
            ("a.rlenv", "state s : 0..1"),
            ("a-2.rlenv", "state s : 0..2"),
        ];
        assert_eq!(files, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }
}
