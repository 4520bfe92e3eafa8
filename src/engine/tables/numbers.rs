//! Tables that hold no numbers.

use crate::engine::error::EngineError;
use crate::finite::{Conditions, KernelTable};
use crate::model::{FormalVariable, KernelId, Model, VariableId};

/// A distribution whose logarithms are no numbers, or which has no mass, is told by the kernel and
/// by what it was given.
pub(in crate::engine) fn verify_numbers(
    model: &Model,
    kernel: KernelId,
    table: &KernelTable,
) -> Result<(), EngineError> {
    let is_law = |row: &[f64]| {
        row.iter().all(|log_p| *log_p < 1e-9) && row.iter().any(|log_p| log_p.is_finite())
    };
    let Some(condition) = (0..table.conditions).find(|&condition| !is_law(table.row(condition)))
    else {
        return Ok(());
    };
    let declared = model.kernel(kernel);
    let mut given = Vec::new();
    if let Ok(numbering) = Conditions::of(model, kernel) {
        for axis in &numbering.axes {
            let formal = &declared.givens[axis.given];
            let number = condition / axis.stride % axis.size;
            let value = match formal.variable {
                _ if Some(number) == axis.none => "none".into(),
                FormalVariable::Variable(variable) => value_of(model, variable, number),
                FormalVariable::Time => format!("{}", number + 1),
                FormalVariable::End | FormalVariable::Reward(..) => format!("{number}"),
            };
            given.push(format!("{} = {value}", formal.name));
        }
    }
    let place = if given.is_empty() { String::new() } else { format!(" at {}", given.join(", ")) };
    let name = &declared.name;
    Err(EngineError::Unsupported(format!(
        "the probabilities of kernel `{name}`{place} are no numbers"
    )))
}

fn value_of(model: &Model, variable: VariableId, number: usize) -> String {
    let domain = &model.variable(variable).domain;
    let finite = domain.finite.as_ref().expect("tabulate: every given is finite");
    let mut value = vec![0.0; domain.width()];
    finite.value(number, &mut value);
    domain.show(&value)
}
