//! What the layout takes from the author's text: comments, line breaks, blank lines.

use crate::source::Span;
use crate::syntax::ast::Comment;
use std::cell::RefCell;

/// The text beside the tree. Each comment is taken once, so that none is lost or doubled.
pub struct Margin<'a> {
    text: &'a str,
    comments: &'a [Comment],
    taken: RefCell<Vec<bool>>,
}

impl<'a> Margin<'a> {
    /// An empty text for a tree that was not parsed: no breaks are kept.
    pub fn new(text: &'a str, comments: &'a [Comment]) -> Margin<'a> {
        Margin { text, comments, taken: RefCell::new(vec![false; comments.len()]) }
    }

    pub fn has_text(&self) -> bool {
        !self.text.is_empty()
    }

    /// The number of line ends between two places.
    pub fn lines(&self, start: u32, end: u32) -> usize {
        self.text
            .get(start as usize..end as usize)
            .map_or(0, |between| between.bytes().filter(|b| *b == b'\n').count())
    }

    /// The author put all of it on one line.
    pub fn on_one_line(&self, span: Span) -> bool {
        self.has_text() && self.lines(span.start, span.end) == 0
    }

    /// The comments of a range that nobody took yet, in order.
    pub fn take(&self, start: u32, end: u32) -> Vec<&'a Comment> {
        let from = self.comments.partition_point(|comment| comment.span.start < start);
        let to = self.comments.partition_point(|comment| comment.span.start < end);
        let mut taken = self.taken.borrow_mut();
        let free = (from..to.max(from)).filter(|&at| !std::mem::replace(&mut taken[at], true));
        free.map(|at| &self.comments[at]).collect()
    }

    /// Whether comments stand in a range.
    pub fn has_comments(&self, span: Span) -> bool {
        let from = self.comments.partition_point(|comment| comment.span.start < span.start);
        self.comments.get(from).is_some_and(|comment| comment.span.start < span.end)
    }

    /// Right after the first `{` that follows a place and stands in no comment.
    pub fn after_brace(&self, mut place: u32) -> u32 {
        while let Some(rest) = self.text.get(place as usize..) {
            let Some(at) = rest.find(['{', '#']) else { break };
            if rest[at..].starts_with('{') {
                return place + at as u32 + 1;
            }
            place += (at + rest[at..].find('\n').unwrap_or(rest.len() - at)) as u32;
        }
        place
    }

    pub fn end(&self) -> u32 {
        self.text.len() as u32
    }
}
