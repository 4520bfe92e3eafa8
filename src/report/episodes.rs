//! Recorded episodes as CSV: what a `data` declaration reads.

use crate::engine::RecordedStep;
use crate::model::{Component, Domain, EnvironmentId, Kind, Model};

/// A column for the episode, the time, and each component of the state and of the actions.
pub fn csv_of(
    model: &Model,
    environment: EnvironmentId,
    steps: &[RecordedStep],
) -> Result<Vec<u8>, String> {
    let of = model.environment(environment);
    let state = model.variable(of.state);
    let actions = || of.actions.iter().map(|action| model.variable(*action));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let name = |variable: &str, component: &Component| match component.path.as_str() {
        "" => variable.to_owned(),
        path if path.starts_with('[') => format!("{variable}{path}"),
        path => format!("{variable}.{path}"),
    };
    let columns = |name_of: &str, domain: &Domain| {
        domain.components.iter().map(|component| name(name_of, component)).collect::<Vec<_>>()
    };
    let mut header = vec!["episode".to_owned(), "t".to_owned()];
    header.extend(columns(&state.name, &state.domain));
    actions().for_each(|action| header.extend(columns(&action.name, &action.domain)));
    writer.write_record(&header).map_err(|error| error.to_string())?;
    for step in steps {
        let mut row = vec![step.episode.to_string(), step.t.to_string()];
        let of_actions = actions().flat_map(|action| &action.domain.components).zip(&step.action);
        let components = state.domain.components.iter().zip(&step.state).chain(of_actions);
        row.extend(components.map(|(component, &value)| show(&component.kind, value)));
        writer.write_record(&row).map_err(|error| error.to_string())?;
    }
    writer.into_inner().map_err(|error| error.to_string())
}

fn show(kind: &Kind, value: f64) -> String {
    match kind {
        Kind::Names(names) => names[value as usize].clone(),
        Kind::Bool => (value == 1.0).to_string(),
        Kind::Integer { .. } | Kind::Real { .. } => value.to_string(),
    }
}
