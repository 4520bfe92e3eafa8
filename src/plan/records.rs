//! Recorded states and actions, read from the file that a `data` declaration names.

use crate::diagnostic::Diagnostic;
use crate::model::{Component, Data, DataId, FormalVariable, Kind, Model, VariableId};
use std::path::{Path, PathBuf};

/// Steps of some episodes, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    /// Components of the states, row-major.
    pub states: Vec<f64>,
    pub actions: Vec<f64>,
    /// The first step of each episode, and the number of all.
    pub starts: Vec<usize>,
}

impl Records {
    pub fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A column of the file: its name, and what it holds.
struct Column<'a> {
    name: String,
    component: &'a Component,
    at: usize,
}

/// Reads the records of a declaration whose output is `action` and whose given is `state`. The file is CSV with a header: a column for each
/// component (`s`, or `s.x` of a record), and an `episode` where there are several.
///
/// # Errors
/// All that is wrong with the declaration, or what first is wrong with the file, with its line.
pub fn read(model: &Model, id: DataId, (state, action): (VariableId, VariableId)) -> Result<Records, Diagnostic> {
    let data = &model.data[id.0 as usize];
    let wrong = |message: String| Diagnostic::error("data", data.span, message);
    let is = |formal: &crate::model::Formal, variable| formal.variable == FormalVariable::Variable(variable);
    let ([output], [given]) = (data.outputs.as_slice(), data.givens.as_slice()) else {
        return Err(wrong(format!("`{}` records more than a state and an action, which this version does not read", data.name)));
    };
    if !is(output, action) || !is(given, state) {
        return Err(wrong(format!("`{}` does not record the environment's action given its state", data.name)));
    }
    let path = path_of(model, data);
    let shown = path.display();
    let mut file = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(&path).map_err(|error| {
        wrong(format!("`{shown}` cannot be read: {error}"))
            .hint("the path is relative to the model file; `rlppl eval RUN --record FILE` writes one")
    })?;
    let header = file.headers().map_err(|error| wrong(format!("`{shown}`: {error}")))?.clone();
    let columns = |formal: &crate::model::Formal, variable: VariableId| -> Result<Vec<Column>, Diagnostic> {
        let components = &model.variable(variable).domain.components;
        let mut columns = Vec::with_capacity(components.len());
        for component in components {
            let name = match component.path.as_str() {
                "" => formal.name.clone(),
                path if path.starts_with('[') => format!("{}{path}", formal.name),
                path => format!("{}.{path}", formal.name),
            };
            let Some(at) = header.iter().position(|column| column == name) else {
                let has = header.iter().collect::<Vec<_>>().join(", ");
                let told = wrong(format!("`{shown}` has no column `{name}`"));
                let hint = if has.is_empty() {
                    "it has no header: the first line names the columns".into()
                } else {
                    format!("its header has {has}")
                };
                return Err(told.hint(hint));
            };
            columns.push(Column { name, component, at });
        }
        Ok(columns)
    };
    let (of_state, of_action) = (columns(given, state)?, columns(output, action)?);
    let episode = header.iter().position(|column| column == "episode");
    let mut records = Records { states: Vec::new(), actions: Vec::new(), starts: Vec::new() };
    let mut last = None;
    for (row, record) in file.records().enumerate() {
        let record = record.map_err(|error| wrong(format!("`{shown}`: {error}")))?;
        let line = record.position().map_or(0, |position| position.line());
        for (columns, values) in [(&of_state, &mut records.states), (&of_action, &mut records.actions)] {
            for column in columns {
                let text = record.get(column.at).unwrap_or("");
                let value = value(text, &column.component.kind).ok_or_else(|| {
                    wrong(format!("`{shown}`, line {line}: `{}` cannot be `{text}`", column.name))
                        .hint(format!("it is {}", kind(&column.component.kind)))
                })?;
                values.push(value);
            }
        }
        let named = episode.map(|at| record.get(at).unwrap_or("").to_owned());
        if row == 0 || named != last {
            records.starts.push(row);
        }
        last = named;
    }
    let rows = records.states.len() / of_state.len().max(1);
    if rows == 0 {
        return Err(wrong(format!("`{shown}` records nothing: it has a header alone")));
    }
    records.starts.push(rows);
    Ok(records)
}

/// Where the file of a declaration is.
fn path_of(model: &Model, data: &Data) -> PathBuf {
    let folder = model.sources.first().and_then(|source| source.path.as_ref()).and_then(|path| path.parent()).unwrap_or(Path::new(""));
    folder.join(&data.path)
}

fn value(text: &str, kind: &Kind) -> Option<f64> {
    match kind {
        Kind::Names(names) => names.iter().position(|name| name == text).map(|at| at as f64),
        Kind::Bool => text.parse::<bool>().ok().map(f64::from),
        Kind::Integer { lo, hi } => text.parse::<i64>().ok().filter(|value| (lo..=hi).contains(&value)).map(|value| value as f64),
        Kind::Real { lo, hi } => text.parse::<f64>().ok().filter(|value| value.is_finite() && (lo..=hi).contains(&value)),
    }
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Names(names) => format!("one of {}", names.join(", ")),
        Kind::Bool => "`true` or `false`".to_owned(),
        Kind::Integer { lo, hi } => format!("a whole number from {lo} to {hi}"),
        Kind::Real { lo, hi } if lo.is_infinite() && hi.is_infinite() => "a number".to_owned(),
        Kind::Real { lo, hi } => format!("a number from {lo} to {hi}"),
    }
}
