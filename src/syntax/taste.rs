//! Warnings of taste: what a careful author adds, seen in the tree alone. Asked for with
//! `--pedantic`.

use super::ast;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// What a careful author would add to a file that means what it should; warnings only, in the order
/// of their places.
pub fn taste(file: &ast::File) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    let first = file.items.first().map_or(Span::default(), place);
    if file.comments.first().is_none_or(|comment| comment.span.start > first.start) {
        let told = Diagnostic::warning("taste", first, "no comment at the head of the file");
        found.push(told.hint(
            "say what the model shows, and its known answer: `# REINFORCE (Williams, 1992).`",
        ));
    }
    for item in &file.items {
        match item {
            ast::Item::Param(param) if param.bounds.is_none() => {
                found.push(without_bounds(&param.name))
            }
            ast::Item::Environment(environment) => {
                let body = match &environment.definition {
                    ast::EnvironmentDefinition::Body(body)
                    | ast::EnvironmentDefinition::External { body, .. } => body,
                    ast::EnvironmentDefinition::File { included, .. } => &included.body,
                };
                found.extend(body.iter().filter_map(unbounded_reward));
            }
            _ => {}
        }
    }
    if !file.items.iter().any(|item| matches!(item, ast::Item::Expect(_))) {
        let last = file.items.last().map_or(Span::default(), place);
        let told = Diagnostic::warning(
            "taste",
            last,
            "no `expect` block: nothing notices when the model's answer changes",
        );
        found.push(told.hint(
            "`rlppl exact FILE` prints numbers to claim: `expect { log_evidence = … within 1e-9 }`",
        ));
    }
    found
}

fn without_bounds(name: &ast::Name) -> Diagnostic {
    let text = &name.text;
    Diagnostic::warning(
        "taste",
        name.span,
        format!("param `{text}` has no bounds: `--set {text}=…` takes any number"),
    )
    .hint(format!("`param {text} = … in [0, 1]`"))
}

fn unbounded_reward(item: &ast::EnvironmentItem) -> Option<Diagnostic> {
    match item {
        ast::EnvironmentItem::Reward { name, bounds: None, .. } => {
            let told = Diagnostic::warning(
                "taste",
                name.span,
                format!("reward `{}` has no bounds", name.text),
            );
            Some(told.hint(format!(
                "`reward {} in [-1, 0]` shows that a likelihood cannot exceed 1",
                name.text
            )))
        }
        _ => None,
    }
}

/// The line on which an item begins.
fn place(item: &ast::Item) -> Span {
    match item {
        ast::Item::Model(name) => name.span,
        ast::Item::Param(param) => param.span,
        ast::Item::Let(item) => item.span,
        ast::Item::Environment(environment) => environment.name.span,
        ast::Item::Data(data) => data.span,
        ast::Item::Variable(variable) => variable.span,
        ast::Item::Net(net) => net.name.span,
        ast::Item::Kernel(kernel) => kernel.name.span,
        ast::Item::Block(block) => Span { end: block.span.start, ..block.span },
        ast::Item::Infer(infer) => Span { end: infer.span.start, ..infer.span },
        ast::Item::Expect(expect) => Span { end: expect.span.start, ..expect.span },
        ast::Item::Horizon { span, .. } => *span,
        ast::Item::Bound { name, .. } => name.span,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::source::Source;

    fn messages(text: &str) -> Vec<String> {
        let file = parse(&Source::new("m", text)).unwrap_or_else(|found| panic!("{found}"));
        taste(&file).into_iter().map(|told| told.message).collect()
    }

    #[test]
    fn what_a_careful_author_adds_is_missed() {
        let told = messages("model m  param alpha = 1  environment e { reward r }");
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(
            messages(
                "# shows this\nmodel m  param alpha = 1 in [0, 2]  horizon T = 3  expect \
                          { bound >= 1 }"
            )
            .is_empty()
        );
    }
}
