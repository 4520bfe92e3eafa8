//! Recorded steps, read from the file that a `data` declaration names.

use crate::diagnostic::Diagnostic;
use crate::model::{
    Component, DataId, Formal, FormalLength, FormalVariable, Kind, Model, VariableId,
};
use crate::source::{Source, leaves_folder};
use std::collections::HashSet;
use std::io::{self, Read};

/// Steps of some episodes, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    pub of: DataId,
    /// What a row holds: what the data draw, then what they are given, in the order of the
    /// declaration.
    pub columns: Vec<Recorded>,
    /// The first step of each episode, and the number of all.
    pub starts: Vec<usize>,
    /// What its author may have meant otherwise.
    pub warnings: Vec<Diagnostic>,
}

/// One value of each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// `None`: the time, which the place in the episode tells.
    pub variable: Option<VariableId>,
    /// Its components, row-major; those of `none` are no numbers.
    pub values: Vec<f64>,
}

impl Records {
    pub fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

const PARTED_BY: &str = "give it a column `episode`, or `t`, which counts the steps of each";
const READ: &str = "what is read are the variables of the declaration by their names, `episode` \
                    and `t`: rename it, or leave it out";

/// A column of the file: its name, and what it holds.
struct Column<'a> {
    name: String,
    component: &'a Component,
    at: usize,
}

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 30;
/// The longest row of it.
const LONGEST_ROW: u64 = 1 << 20;

/// Reads the records of a declaration. The file is CSV with a header: a column for each component
/// of each formal (`s`, `s'`, or `s.x` of a record), and where there are several episodes, an
/// `episode` or the time `t`, which begins anew with each. A given that may be `none` is, where its
/// fields are empty.
///
/// # Errors
/// All that is wrong with the declaration, or what first is wrong with the file, with its line. Of
/// a file outside the model's folder nothing is quoted. What is read otherwise than it may be meant
/// is a warning of the records.
pub fn read(model: &Model, id: DataId) -> Result<Records, Diagnostic> {
    let data = &model.data[id.0 as usize];
    let wrong = |message: String| Diagnostic::error("data", data.span, message);
    let formals: Vec<&Formal> = data.outputs.iter().chain(&data.givens).collect();
    for formal in &formals {
        let what = match (formal.variable, &formal.length) {
            (_, FormalLength::Window(_) | FormalLength::Sequence) => "several steps",
            (FormalVariable::Reward(..), _) => "a reward",
            (FormalVariable::End, _) => "the end of an episode",
            (FormalVariable::Variable(_) | FormalVariable::Time, FormalLength::One) => continue,
        };
        return Err(wrong(format!(
            "`{}` holds {what}, `{}`, and a row holds one value of each variable of a step",
            data.name, formal.name
        ))
        .hint("leave it out: a classifier reads variables and the time"));
    }
    let written = model.sources.first().cloned().unwrap_or_else(|| Source::new("", ""));
    let path = written.path_of(&data.path);
    let shown = path.display();
    let stream = written.open_named(&data.path).map_err(|error| {
        wrong(format!("the records cannot be read: {error}")).hint(
            "the path is relative to the model file; `rlppl eval RUN --record FILE` writes one",
        )
    })?;
    let mut file = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(Limited::new(stream));
    let is_foreign = leaves_folder(&data.path);
    // what a foreign file holds is not told
    let quoted =
        |text: &str| if is_foreign { "what it is there".to_owned() } else { format!("`{text}`") };
    let unreadable = |error: csv::Error| match error.kind() {
        csv::ErrorKind::Io(error) => wrong(format!("`{shown}` cannot be read: {error}")),
        _ => wrong(format!("`{shown}`: {error}")),
    };
    let header = file.headers().map_err(unreadable)?.clone();
    if let Some(twice) = header
        .iter()
        .enumerate()
        .find(|(at, name)| header.iter().take(*at).any(|other| other == *name))
    {
        return Err(wrong(match is_foreign {
            true => format!("`{shown}` has two columns of the same name"),
            false => format!("`{shown}` has two columns of the same name, `{}`", twice.1),
        })
        .hint("leave one of them away"));
    }
    let columns = |formal: &Formal| -> Result<Vec<Column>, Diagnostic> {
        let components = match formal.variable {
            FormalVariable::Variable(variable) => &model.variable(variable).domain.components[..],
            _ => &[],
        };
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
                let hint = match (is_foreign, has.is_empty()) {
                    (true, _) => "the first line names the columns".into(),
                    (false, true) => "it has no header: the first line names the columns".into(),
                    (false, false) => format!("its header has {has}"),
                };
                return Err(told.hint(hint));
            };
            columns.push(Column { name, component, at });
        }
        Ok(columns)
    };
    let read: Vec<(&Formal, Vec<Column>)> =
        formals.iter().map(|formal| Ok((*formal, columns(formal)?))).collect::<Result<_, _>>()?;
    let mut episodes = Episodes::new(&header);
    let variable = |formal: &Formal| match formal.variable {
        FormalVariable::Variable(variable) => Some(variable),
        _ => None,
    };
    let mut records = Records {
        of: id,
        columns: formals
            .iter()
            .map(|formal| Recorded { variable: variable(formal), values: Vec::new() })
            .collect(),
        starts: Vec::new(),
        warnings: Vec::new(),
    };
    let mut rows = 0;
    for (row, record) in file.records().enumerate() {
        let record = record.map_err(unreadable)?;
        let line = record.position().map_or(0, |position| position.line());
        for ((formal, columns), kept) in read.iter().zip(&mut records.columns) {
            let text = |column: &Column| record.get(column.at).unwrap_or("");
            let is_none = formal.optional && columns.iter().all(|column| text(column).is_empty());
            for column in columns {
                let value = match is_none {
                    true => Some(f64::NAN),
                    false => value(text(column), &column.component.kind),
                };
                kept.values.push(value.ok_or_else(|| {
                    wrong(format!(
                        "`{shown}`, line {line}: `{}` cannot be {}",
                        column.name,
                        quoted(text(column))
                    ))
                    .hint(format!("it is {}", kind(&column.component.kind)))
                })?);
            }
        }
        match episodes.begins(&record) {
            Ok(true) => records.starts.push(row),
            Ok(false) => {}
            Err(Disorder { what, hint }) => {
                return Err(wrong(format!("`{shown}`, line {line}: {what}")).hint(hint));
            }
        }
        rows = row + 1;
    }
    if rows == 0 {
        return Err(wrong(format!("`{shown}` records nothing: it has a header alone")));
    }
    let horizon = model.horizon.value;
    if !episodes.are_told() && rows > horizon {
        let what = format!(
            "`{shown}` has {rows} rows, more than the {horizon} steps of an episode, and does not \
             say where one begins"
        );
        return Err(wrong(what).hint(PARTED_BY));
    }
    records.starts.push(rows);
    let warn = |message: String| Diagnostic::warning("data", data.span, message);
    if !episodes.are_told() && rows > 1 {
        records.warnings.push(
            warn(format!(
                "the {rows} rows of `{shown}` are read as one episode: no column \
                                says where one begins"
            ))
            .hint(PARTED_BY),
        );
    }
    let is_read = |at: usize| {
        read.iter().flat_map(|(_, columns)| columns).any(|column| column.at == at)
            || episodes.reads(at)
    };
    let unread: Vec<String> = header
        .iter()
        .enumerate()
        .filter(|(at, _)| !is_read(*at))
        .map(|(_, name)| format!("`{name}`"))
        .collect();
    match (unread.as_slice(), is_foreign) {
        ([], _) => {}
        (unread, true) => records.warnings.push(
            warn(format!("nothing reads {} of the columns of `{shown}`", unread.len())).hint(READ),
        ),
        ([one], false) => records
            .warnings
            .push(warn(format!("nothing reads the column {one} of `{shown}`")).hint(READ)),
        (several, false) => {
            records.warnings.push(
                warn(format!("nothing reads the columns {} of `{shown}`", several.join(", ")))
                    .hint(READ),
            );
        }
    }
    Ok(records)
}

/// Where an episode begins, by the columns `episode` and `t`, whichever there are.
struct Episodes {
    episode: Option<usize>,
    t: Option<usize>,
    /// A row was read.
    is_open: bool,
    /// Of the last row.
    name: Option<String>,
    time: Option<i64>,
    /// Of the first row: the `t` with which episodes begin.
    first: Option<i64>,
    ended: HashSet<String>,
}

/// Rows that are in no order of steps.
struct Disorder {
    what: String,
    hint: &'static str,
}

impl Episodes {
    fn new(header: &csv::StringRecord) -> Episodes {
        let at = |name: &str| header.iter().position(|column| column == name);
        Episodes {
            episode: at("episode"),
            t: at("t"),
            is_open: false,
            name: None,
            time: None,
            first: None,
            ended: HashSet::new(),
        }
    }

    /// The file says where episodes begin.
    fn are_told(&self) -> bool {
        self.episode.is_some() || self.t.is_some()
    }

    fn reads(&self, at: usize) -> bool {
        [self.episode, self.t].contains(&Some(at))
    }

    fn begins(&mut self, record: &csv::StringRecord) -> Result<bool, Disorder> {
        let text = |at: Option<usize>| at.map(|at| record.get(at).unwrap_or(""));
        let (name, time) = (text(self.episode), text(self.t));
        let is_first = !std::mem::replace(&mut self.is_open, true);
        let time = match time.map(whole) {
            Some(None) => {
                return Err(Disorder {
                    what: "`t` is no whole number".into(),
                    hint: "it counts the steps of an episode",
                });
            }
            Some(time) => time,
            None => None,
        };
        let is_renamed = name.is_some() && name != self.name.as_deref();
        if is_first {
            self.first = time;
        }
        let is_again = self.first.is_some() && time == self.first;
        let begins = is_first || is_renamed || (self.episode.is_none() && is_again);
        if is_renamed && let Some(name) = name {
            self.ended.extend(self.name.replace(name.to_owned()));
            if self.ended.contains(name) {
                let what = "an episode goes on that another one has interrupted".into();
                return Err(Disorder {
                    what,
                    hint: "the rows of an episode stand together, in the order of its steps",
                });
            }
        }
        if begins && time != self.first {
            let what = "an episode begins with another `t` than the first one".into();
            return Err(Disorder {
                what,
                hint: "the rows of an episode stand in the order of its steps, none left out",
            });
        }
        if let (false, Some((last, time))) =
            (begins, self.time.zip(time).filter(|(last, time)| last.checked_add(1) != Some(*time)))
        {
            let what = format!("`t` goes from {last} to {time} within an episode");
            return Err(Disorder {
                what,
                hint: "the rows of an episode stand in the order of its steps, none left out",
            });
        }
        self.time = time;
        Ok(begins)
    }
}

/// A stream that ends with an error where a file is too large to be records, or a row too long.
struct Limited<R> {
    stream: R,
    bytes: u64,
    of_row: u64,
}

impl<R> Limited<R> {
    fn new(stream: R) -> Limited<R> {
        Limited { stream, bytes: 0, of_row: 0 }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.bytes += count as u64;
        for part in buffer[..count].split_inclusive(|&byte| byte == b'\n') {
            self.of_row += part.len() as u64;
            if self.of_row > LONGEST_ROW {
                return Err(io::Error::other(format!(
                    "it has a row of more than {} MiB",
                    LONGEST_ROW >> 20
                )));
            }
            if part.ends_with(b"\n") {
                self.of_row = 0;
            }
        }
        match self.bytes > LARGEST {
            true => Err(io::Error::other(format!("it is larger than {} MiB", LARGEST >> 20))),
            false => Ok(count),
        }
    }
}

/// A name, or the number that it counts as; so for truth values. Programs that keep whole numbers
/// as reals write them as `1.0`.
fn value(text: &str, kind: &Kind) -> Option<f64> {
    let below =
        |count: usize| whole(text).filter(|at| (0..count as i64).contains(at)).map(|at| at as f64);
    match kind {
        Kind::Names(names) => names
            .iter()
            .position(|name| name == text)
            .map(|at| at as f64)
            .or_else(|| below(names.len())),
        Kind::Bool => {
            text.to_ascii_lowercase().parse::<bool>().ok().map(f64::from).or_else(|| below(2))
        }
        Kind::Integer { lo, hi } => {
            whole(text).filter(|value| (lo..=hi).contains(&value)).map(|value| value as f64)
        }
        Kind::Real { lo, hi } => {
            text.parse::<f64>().ok().filter(|value| value.is_finite() && (lo..=hi).contains(&value))
        }
    }
}

fn whole(text: &str) -> Option<i64> {
    let real = || {
        text.parse::<f64>()
            .ok()
            .filter(|value| value.fract() == 0.0 && value.abs() < 9e15)
            .map(|value| value as i64)
    };
    text.parse().ok().or_else(real)
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Names(names) => format!("one of {}, or its number, counted from 0", names.join(", ")),
        Kind::Bool => "`true` or `false`, or 1 or 0".to_owned(),
        Kind::Integer { lo, hi } => format!("a whole number from {lo} to {hi}"),
        Kind::Real { lo, hi } if lo.is_infinite() && hi.is_infinite() => "a number".to_owned(),
        Kind::Real { lo, hi } => format!("a number from {lo} to {hi}"),
    }
}
