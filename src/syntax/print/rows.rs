//! The lines of a formatted text, and the alignment of neighbours.

/// No line is longer, where a list can be broken or an expression continued.
pub const WIDTH: usize = 100;

/// Which lines are aligned with which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Comments, braces, several statements on a line.
    Alone,
    Param,
    Let,
    Function,
    Variable,
    Kernel,
    Factor,
    Setting,
    /// The operators of claims are aligned at their ends: `=` stands below `>=`.
    Claim,
    /// Blocks on one line: their braces are aligned.
    Block,
    Bound,
}

/// One line: `cells operator body # comment`. The body may go on over further lines, already
/// indented.
#[derive(Clone, Debug)]
pub struct Row {
    pub indent: usize,
    pub blank_before: bool,
    pub family: Family,
    pub cells: Vec<String>,
    pub operator: &'static str,
    pub body: String,
    pub comment: Option<String>,
}

impl Row {
    pub fn alone(indent: usize, body: impl Into<String>) -> Row {
        Row {
            indent,
            blank_before: false,
            family: Family::Alone,
            cells: Vec::new(),
            operator: "",
            body: body.into(),
            comment: None,
        }
    }

    /// The line as it would be without neighbours.
    pub fn plain(&self) -> String {
        let parts = self
            .cells
            .iter()
            .map(String::as_str)
            .chain([self.operator, &self.body])
            .filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(" ")
    }
}

/// Neighbours that differ by more are not aligned: the gaps would be wide.
const SPREAD: usize = 12;

pub fn text(rows: &[Row]) -> String {
    let mut lines: Vec<String> = Vec::with_capacity(rows.len());
    let mut start = 0;
    while start < rows.len() {
        let end = run(rows, start);
        lines.extend(align(&rows[start..end]));
        start = end;
    }
    let mut text = String::new();
    let columns = comment_columns(rows, &lines);
    for ((row, line), column) in rows.iter().zip(&lines).zip(columns) {
        if row.blank_before {
            text.push('\n');
        }
        text.push_str(line);
        if let Some(comment) = &row.comment {
            text.push_str(&" ".repeat(column - last_width(line)));
            text.push_str(comment);
        }
        text.push('\n');
    }
    text
}

/// The end of the neighbours that are aligned with the row `start`.
fn run(rows: &[Row], start: usize) -> usize {
    let first = &rows[start];
    let widths = |row: &Row| row.cells.iter().map(|cell| width(cell)).collect::<Vec<_>>();
    let (mut least, mut most) = (widths(first), widths(first));
    let mut end = start + 1;
    while let Some(row) = rows.get(end) {
        let same = row.family == first.family
            && row.family != Family::Alone
            && row.indent == first.indent
            && !row.blank_before;
        if !same || row.cells.len() != least.len() {
            break;
        }
        let here = widths(row);
        let low: Vec<_> = least.iter().zip(&here).map(|(a, b)| *a.min(b)).collect();
        let high: Vec<_> = most.iter().zip(&here).map(|(a, b)| *a.max(b)).collect();
        if low.iter().zip(&high).any(|(low, high)| high - low > SPREAD) {
            break;
        }
        (least, most) = (low, high);
        end += 1;
    }
    end
}

fn align(rows: &[Row]) -> Vec<String> {
    let columns = rows[0].cells.len();
    let widest =
        |column: usize| rows.iter().map(|row| width(&row.cells[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let operator = rows.iter().map(|row| row.operator.len()).max().unwrap_or(0);
    let line = |row: &Row| {
        let mut line = " ".repeat(row.indent);
        for (cell, width_of_column) in row.cells.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width_of_column - width(cell) + 1));
        }
        if row.family == Family::Claim {
            line.push_str(&" ".repeat(operator - row.operator.len()));
        }
        line.push_str(row.operator);
        if !row.operator.is_empty() {
            line.push(' ');
        }
        line.push_str(&row.body);
        line.truncate(line.trim_end().len());
        line
    };
    rows.iter().map(line).collect()
}

/// Where the comments of neighbouring lines begin: two spaces after the longest of them.
fn comment_columns(rows: &[Row], lines: &[String]) -> Vec<usize> {
    let mut columns = vec![0; rows.len()];
    let mut start = 0;
    while start < rows.len() {
        let mut end = start + 1;
        let least = last_width(&lines[start]);
        let (mut low, mut high) = (least, least);
        while end < rows.len() && has_neighbour(&rows[start], &rows[end]) {
            let here = last_width(&lines[end]);
            (low, high) = (low.min(here), high.max(here));
            if high - low > 3 * SPREAD {
                break;
            }
            end += 1;
        }
        let widest = lines[start..end].iter().map(|line| last_width(line)).max().unwrap_or(0);
        columns[start..end].fill(widest + 2);
        start = end;
    }
    columns
}

fn has_neighbour(row: &Row, next: &Row) -> bool {
    row.comment.is_some()
        && next.comment.is_some()
        && row.indent == next.indent
        && !next.blank_before
}

fn last_width(line: &str) -> usize {
    width(line.rsplit('\n').next().unwrap_or(line))
}

/// Columns on a screen, as long as every character takes one.
pub fn width(text: &str) -> usize {
    text.chars().count()
}
