//! The text of a model with its overrides and its seed written in.

use super::MODEL;
use crate::source::Span;
use crate::syntax::ast;
use std::collections::BTreeSet;
use std::path::Path;

/// The files that run the model again as it was run, as (name, text): `model.rlmodel`, in the author's own layout, with each of `overrides`
/// (`alpha`, `infer.steps`, … and the text of its value) in the place of what it overrides, and the `.rlenv` files it names.
pub fn as_run(file: &ast::File, overrides: &[(String, String)]) -> Vec<(String, String)> {
    let mut edits = Edits::default();
    let mut files = environment_files(file, &mut edits);
    let mut added = Vec::new();
    for (name, value) in overrides {
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
            let key = name.strip_prefix("infer.")?;
            infer.settings.iter().find(|setting| setting.key.text == key).map(|setting| setting.value.span)
        }
        _ => None,
    })
}

/// New lines of `infer`: before the brace that closes the last such block, or in a block of their own at the end.
fn add_settings(file: &ast::File, text: &str, lines: &[String], edits: &mut Edits) {
    let block = file.items.iter().rev().find_map(|item| match item {
        ast::Item::Infer(infer) => Some(infer),
        _ => None,
    });
    let closing = block.and_then(|infer| text[..infer.span.end as usize].rfind('}').map(|brace| (infer, brace)));
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

/// The `.rlenv` files, each under its own name beside the model, and the names in the model changed to these.
fn environment_files(file: &ast::File, edits: &mut Edits) -> Vec<(String, String)> {
    let mut taken = BTreeSet::from([MODEL.to_owned()]);
    let mut files: Vec<(u32, String)> = Vec::new();
    for item in &file.items {
        let ast::Item::Environment(ast::Environment { definition: ast::EnvironmentDefinition::File { path, included, .. }, .. }) = item
        else {
            continue;
        };
        let Some(index) = file_of(included) else { continue };
        let known = files.iter().find(|(known, _)| *known == index).map(|(_, name)| name.clone());
        let name = known.unwrap_or_else(|| {
            let stem = Path::new(&path.text).file_stem().map_or_else(|| "environment".into(), |stem| stem.to_string_lossy());
            let numbered = (2u64..).map(|again| format!("{stem}-{again}.rlenv"));
            let mut names = std::iter::once(format!("{stem}.rlenv")).chain(numbered);
            let name = names.find(|name| !taken.contains(name)).expect("as_run: the numbers do not end");
            files.push((index, name.clone()));
            name
        });
        taken.insert(name.clone());
        if name != path.text {
            edits.replace(path.span, format!("\"{name}\""));
        }
    }
    files.into_iter().map(|(index, name)| (name, file.sources[index as usize].text.to_string())).collect()
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
        // The last override of a name is the one that counts.
        self.list.retain(|(start, end, _)| (*start, *end) != (span.start as usize, span.end as usize));
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
