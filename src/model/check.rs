//! The tree of a file in, its meaning out: every mistake found at once.

use super::{Model, Overrides, lower, normal_form, verify};
use crate::diagnostic::{Diagnostics, Severity};
use crate::syntax::ast;

/// What the file means, or all that is wrong with it: names, types, domains, widths and indices
/// (found while it is lowered), and then what only the whole shows (each variable generated once,
/// support, likelihoods that exceed 1). Warnings stay with the model.
pub fn check(file: &ast::File, overrides: &Overrides) -> Result<Model, Diagnostics> {
    let (model, mut list) = lower::lower(file, overrides);
    if let Some(model) = &model {
        list.extend(verify::verify(model));
    }
    list.extend(verify::outside(file));
    // beside a mistake an unused name is often its consequence
    if list.iter().all(|found| found.severity == Severity::Warning) {
        list.extend(verify::unused(file));
    }
    list.sort_by_key(|found| found.labels.first().map(|label| label.span));
    match model {
        Some(mut model) if list.iter().all(|found| found.severity == Severity::Warning) => {
            model.warnings = list;
            let exceeding: Vec<Option<String>> =
                model.bounds.iter().map(|bound| verify::exceeds_one(&model, bound)).collect();
            model.bounds.iter_mut().zip(exceeding).for_each(|(bound, why)| bound.exceeds_one = why);
            normal_form::normalise(&mut model);
            Ok(model)
        }
        _ => Err(Diagnostics { list, sources: file.sources.clone() }),
    }
}
