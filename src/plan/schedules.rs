//! Params that move while training goes: `param alpha = ramp(from = 0.1, to = 1)`.

use super::{Schedule, Settings, Update};
use crate::diagnostic::Diagnostic;
use crate::expr::ParamId;
use crate::model::Model;

/// Each such param and how it moves over the batches.
pub fn schedules(
    model: &Model,
    settings: &Settings,
) -> Result<Vec<(ParamId, Schedule)>, Vec<Diagnostic>> {
    let moving = model
        .params
        .iter()
        .zip(0..)
        .filter_map(|(param, id)| Some((param, ParamId(id), param.from?)));
    let mut schedules = Vec::new();
    for (param, id, from) in moving {
        if let Update::Exact { .. } = settings.update {
            let message = format!(
                "`{}` moves while training goes, and an exact update is that of its last value",
                param.name
            );
            return Err(vec![
                Diagnostic::error("bad-setting", param.span, message)
                    .hint("give it one value, or leave `update` away"),
            ]);
        }
        schedules.push((id, Schedule { from, to: param.value }));
    }
    Ok(schedules)
}

/// What the reader of a result has to know of them.
pub fn remarks<'a>(
    model: &'a Model,
    schedules: &'a [(ParamId, Schedule)],
) -> impl Iterator<Item = String> + 'a {
    schedules.iter().map(|(ParamId(id), schedule)| {
        let (name, last) = (&model.params[*id as usize].name, schedule.to);
        format!(
            "{name} = {schedule} over the batches: each batch follows the bound of its own \
                 {name}; exact numbers and the evaluation at the end are those of {name} = {last}"
        )
    })
}
