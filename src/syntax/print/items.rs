//! Lists of statements as rows: what shares a line, where comments and blank lines go.

use super::comments::Margin;
use super::rows::{self, Family, Row, WIDTH, width};
use super::statements::{Parts, Statement, Statements};
use crate::source::Span;
use crate::syntax::ast::{EnvironmentFile, File};
use pretty::Arena;

pub struct Printer<'a> {
    arena: &'a Arena<'a>,
    margin: Margin<'a>,
    rows: Vec<Row>,
    indent: usize,
    /// The author's text has been printed up to here.
    place: u32,
    /// Right after a `{`, or at the start of the file: no blank line follows.
    at_start: bool,
}

impl<'a> Printer<'a> {
    pub fn new(arena: &'a Arena<'a>, margin: Margin<'a>) -> Printer<'a> {
        Printer { arena, margin, rows: Vec::new(), indent: 0, place: 0, at_start: true }
    }

    pub fn file(&mut self, file: &File) {
        self.statements(&file.items.iter().map(Statement::Item).collect::<Vec<_>>());
    }

    pub fn environment_file(&mut self, file: &EnvironmentFile) {
        let params = file.params.iter().map(Statement::Param);
        let mut statements: Vec<Statement<'_>> =
            params.chain(file.lets.iter().map(Statement::Let)).collect();
        statements.sort_by_key(|statement| statement.span().start);
        statements.extend(file.body.iter().map(Statement::EnvironmentItem));
        self.statements(&statements);
    }

    pub fn finish(mut self) -> String {
        self.comments_before(self.margin.end() + 1);
        rows::text(&self.rows)
    }

    fn statements(&mut self, statements: &[Statement<'_>]) {
        let mut rest = statements;
        while let Some(first) = rest.first() {
            let count = 1 + rest[1..]
                .iter()
                .take_while(|next| self.margin.on_one_line(first.span().to(next.span())))
                .count();
            let (neighbours, others) = rest.split_at(count);
            let line = if count > 1 { self.one_line(neighbours) } else { None };
            match line.filter(|line| self.indent + width(line) <= WIDTH) {
                Some(line) => {
                    let span = first.span().to(neighbours[count - 1].span());
                    self.comments_before(span.start);
                    self.push(span.start, Row::alone(self.indent, line));
                    self.place = span.end;
                }
                None => neighbours.iter().for_each(|statement| self.statement(*statement)),
            }
            rest = others;
        }
    }

    fn statement(&mut self, statement: Statement<'_>) {
        let span = statement.span();
        self.comments_before(span.start);
        if let Some(row) = self.block_on_one_line(statement) {
            self.push(span.start, row);
            self.place = span.end;
            return;
        }
        let Parts { mut row, body } = self.parts(statement);
        let header_end =
            body.as_ref().map_or(span.end, |body| self.margin.after_brace(body.header_end));
        // comments in an expression that found no place there go before the statement
        for comment in self.margin.take(span.start, header_end) {
            self.push(span.start, Row::alone(self.indent, format!("#{}", comment.text)));
            self.place = span.start;
        }
        match body {
            None => self.push(span.start, row),
            Some(body)
                if body.statements.is_empty()
                    && !self.margin.has_comments(Span { start: header_end, ..span }) =>
            {
                row.body += if row.body.is_empty() { "{}" } else { " {}" };
                self.push(span.start, row);
            }
            Some(body) => {
                row.body += if row.body.is_empty() { "{" } else { " {" };
                row.family = Family::Alone;
                self.push(span.start, row);
                (self.place, self.at_start) = (header_end, true);
                self.indent += 2;
                self.statements(&body.statements);
                self.comments_before(span.end);
                self.indent -= 2;
                self.at_start = true;
                self.push(span.end, Row::alone(self.indent, "}"));
            }
        }
        self.place = span.end;
    }

    /// `prior { s[1] ~ chain.initial; a[t] ~ Uniform }` where the author wrote it so and it fits.
    fn block_on_one_line(&self, statement: Statement<'_>) -> Option<Row> {
        if !self.margin.on_one_line(statement.span()) || self.margin.has_comments(statement.span())
        {
            return None;
        }
        let Parts { mut row, body } = self.parts(statement);
        let inner = self.one_line(&body?.statements)?;
        let braces = if inner.is_empty() { "{}".to_owned() } else { format!("{{ {inner} }}") };
        row.body = if row.body.is_empty() { braces } else { format!("{} {braces}", row.body) };
        let line = row.plain();
        (!line.contains('\n') && self.indent + width(&line) <= WIDTH).then_some(row)
    }

    /// Statements on one line, or `None` where one of them needs several.
    fn one_line(&self, statements: &[Statement<'_>]) -> Option<String> {
        let mut text = String::new();
        for &statement in statements {
            if self.margin.has_comments(statement.span()) {
                return None;
            }
            let Parts { row, body } = self.parts(statement);
            let line = match body {
                None => row.plain(),
                Some(body) => match self.one_line(&body.statements)? {
                    inner if inner.is_empty() => format!("{} {{}}", row.plain()),
                    inner => format!("{} {{ {inner} }}", row.plain()),
                },
            };
            if line.contains('\n') {
                return None;
            }
            if !text.is_empty() {
                text += if text.ends_with('}') && line.ends_with('}') { " " } else { "; " };
            }
            text += &line;
        }
        Some(text)
    }

    fn parts<'t>(&self, statement: Statement<'t>) -> Parts<'t> {
        Statements { arena: self.arena, margin: &self.margin, indent: self.indent }.parts(statement)
    }

    /// The comments between the last statement and a place.
    fn comments_before(&mut self, end: u32) {
        for comment in self.margin.take(self.place, end) {
            let text = format!("#{}", comment.text);
            let same_line = self.margin.lines(self.place, comment.span.start) == 0;
            match self.rows.last_mut() {
                Some(row) if same_line && row.comment.is_none() => row.comment = Some(text),
                Some(_) | None => self.push(comment.span.start, Row::alone(self.indent, text)),
            }
            self.place = comment.span.end;
        }
    }

    /// The row of what begins at this place; a blank line that the author left before it stays.
    fn push(&mut self, start: u32, mut row: Row) {
        row.blank_before = !self.at_start && self.margin.lines(self.place, start) > 1;
        self.at_start = false;
        self.rows.push(row);
    }
}
