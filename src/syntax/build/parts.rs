//! Walking through the pairs of pest: children without punctuation, spans without white space at
//! their end.

use crate::source::Span;
use crate::syntax::grammar::Rule;
use pest::iterators::{Pair, Pairs};

pub type Node<'i> = Pair<'i, Rule>;

/// The children of a node that carry meaning, in order.
pub struct Parts<'i> {
    inner: Pairs<'i, Rule>,
}

impl<'i> Parts<'i> {
    pub fn of(node: Node<'i>) -> Parts<'i> {
        Parts { inner: node.into_inner() }
    }

    /// The next child, if it is of this rule.
    pub fn next_if(&mut self, rule: Rule) -> Option<Node<'i>> {
        self.skip_punctuation();
        if self.inner.peek()?.as_rule() == rule { self.inner.next() } else { None }
    }

    /// The next child; the grammar says that there is one.
    pub fn must(&mut self) -> Node<'i> {
        self.next().expect("the grammar: this rule has one more part")
    }

    fn skip_punctuation(&mut self) {
        while self.inner.peek().is_some_and(|pair| is_punctuation(pair.as_rule())) {
            self.inner.next();
        }
    }
}

impl<'i> Iterator for Parts<'i> {
    type Item = Node<'i>;

    fn next(&mut self) -> Option<Node<'i>> {
        self.skip_punctuation();
        self.inner.next()
    }
}

/// Punctuation, and the keywords whose presence says nothing that the rule around them does not
/// say.
fn is_punctuation(rule: Rule) -> bool {
    use Rule::*;
    matches!(
        rule,
        EOI | equals
            | tilde
            | colon
            | semicolon
            | comma
            | open_paren
            | close_paren
            | open_bracket
            | close_bracket
            | open_brace
            | close_brace
            | k_data
            | k_else
            | k_environment
            | k_expect
            | k_from
            | k_horizon
            | k_if
            | k_in
            | k_infer
            | k_kernel
            | k_let
            | k_maximize
            | k_model
            | k_net
            | k_over
            | k_param
            | k_previous
            | k_reward
            | k_then
            | k_weights
            | k_when
            | k_where
            | k_within
            | k_bound
    )
}

/// The span of a node. Pest counts the white space and comments after a node's last word as its own
/// where something optional could have followed.
pub fn span(file: u32, text: &str, node: &Node<'_>) -> Span {
    let place = node.as_span();
    let (start, end) = (place.start(), place.end());
    let bytes = text.as_bytes();
    let loose = end > start && (bytes[end - 1].is_ascii_whitespace() || end == bytes.len());
    let end = if loose { last_word_end(node).unwrap_or(start).max(start) } else { end };
    Span { file, start: start as u32, end: end as u32 }
}

fn last_word_end(node: &Node<'_>) -> Option<usize> {
    let last = node.clone().into_inner().rfind(|child| child.as_rule() != Rule::EOI);
    match last {
        Some(child) => last_word_end(&child),
        None => Some(node.as_span().start() + node.as_str().trim_end().len()),
    }
}
