//! Files that a model names outside its own folder: whoever runs a model of somebody else should
//! know that it reads them.

use crate::diagnostic::Diagnostic;
use crate::source::leaves_folder;
use crate::syntax::ast::{EnvironmentDefinition, File, Item, Text};

/// A warning for each.
pub(in crate::model) fn outside(file: &File) -> Vec<Diagnostic> {
    let named = file.items.iter().filter_map(|item| match item {
        Item::Environment(environment) => match &environment.definition {
            EnvironmentDefinition::File { path, .. } => Some(path),
            EnvironmentDefinition::Body(_) | EnvironmentDefinition::External { .. } => None,
        },
        Item::Data(data) => Some(&data.path),
        Item::Model(_)
        | Item::Param(_)
        | Item::Let(_)
        | Item::Horizon { .. }
        | Item::Variable(_)
        | Item::Net(_)
        | Item::Kernel(_)
        | Item::Bound { .. }
        | Item::Block(_)
        | Item::Infer(_)
        | Item::Expect(_) => None,
    });
    named.filter(|path| leaves_folder(&path.text)).map(warning).collect()
}

fn warning(path: &Text) -> Diagnostic {
    Diagnostic::warning(
        "foreign-file",
        path.span,
        format!("the model reads `{}`, outside its folder", path.text),
    )
    .hint("put the file beside the model if it belongs to it; none of its lines is printed")
}
