//! A first look at the text: words, brackets and comments, without grammar.
//!
//! The grammar alone would tell little of a broken file. This scan knows which bracket is open at a
//! place, where statements begin (so that one broken statement hides no other mistake) and how deep
//! the text nests (so that no later pass overflows its stack).

use std::num::NonZeroU32;
use std::ops::Range;
use unicode_normalization::char::is_combining_mark;

/// No pass needs to go deeper than this: brackets, nested `if`s, operators of one expression.
pub const DEPTH_LIMIT: usize = 256;

/// How deep a text may nest: as an expression may, inside the braces of blocks. What was read is so
/// printed as a text that is read: of the brackets around `if`s, which the formatter adds, each is
/// as deep as its `if`.
const NESTING_LIMIT: usize = DEPTH_LIMIT + 8;

/// The words that begin statements or join expressions; `rule reserved` of the grammar.
pub const RESERVED: [&str; 38] = [
    "model",
    "param",
    "let",
    "horizon",
    "hidden",
    "environment",
    "from",
    "state",
    "action",
    "option",
    "observation",
    "reward",
    "end",
    "when",
    "where",
    "data",
    "net",
    "kernel",
    "bound",
    "prior",
    "likelihood",
    "posterior",
    "auxiliary",
    "infer",
    "maximize",
    "over",
    "expect",
    "within",
    "previous",
    "if",
    "then",
    "else",
    "and",
    "or",
    "not",
    "in",
    "bool",
    "real",
];

/// The reserved words that begin an item of a file, and nothing inside a block of factors.
pub const ITEM_WORDS: [&str; 14] = [
    "model",
    "param",
    "horizon",
    "hidden",
    "environment",
    "data",
    "net",
    "kernel",
    "bound",
    "prior",
    "likelihood",
    "posterior",
    "auxiliary",
    "infer",
];

/// The reserved words after which the same statement goes on.
const JOINING_WORDS: [&str; 13] = [
    "from", "when", "where", "over", "within", "if", "then", "else", "and", "or", "not", "in",
    "previous",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    Word,
    Number,
    Text,
    Open,
    Close,
    Mark,
}

/// Small, since a text may have millions of them: places and numbers of tokens fit into 32 bits, as
/// texts do.
#[derive(Clone, Debug)]
pub struct Token {
    pub kind: TokenKind,
    start: u32,
    end: u32,
    inside: Link,
    partner: Link,
    /// A statement begins here: an operand stands before it, so that it cannot belong to the same
    /// expression.
    pub begins: bool,
}

/// The index of a token, one more.
type Link = Option<NonZeroU32>;

fn link(token: Option<usize>) -> Link {
    token.and_then(|at| NonZeroU32::new(at as u32 + 1))
}

impl Token {
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The innermost bracket that is open here, as an index of its token.
    pub fn inside(&self) -> Option<usize> {
        self.inside.map(|link| link.get() as usize - 1)
    }

    /// The other bracket of a pair.
    pub fn partner(&self) -> Option<usize> {
        self.partner.map(|link| link.get() as usize - 1)
    }
}

/// What looks like another language; [`crate::syntax::words`] says how it is written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlipKind {
    Assignment,
    SlashComment,
    And,
    Or,
    Not,
    LeadingPoint,
    CurlyQuotes,
    Unterminated,
    SingleQuotes,
    DoubleStar,
    /// The first line end that is neither `\n` nor `\r\n`.
    CarriageReturn,
}

#[derive(Clone, Debug)]
pub struct Slip {
    pub kind: SlipKind,
    pub range: Range<usize>,
}

#[derive(Debug, Default)]
pub struct Scan {
    pub tokens: Vec<Token>,
    pub comments: Vec<Range<usize>>,
    pub slips: Vec<Slip>,
    /// The deepest nesting, and where [`NESTING_LIMIT`] is first exceeded.
    pub depth: usize,
    pub too_deep: Option<Range<usize>>,
}

pub fn scan(text: &str) -> Scan {
    let mut scan = Scan::default();
    split(text, &mut scan);
    let alone = text
        .match_indices('\r')
        .map(|(at, _)| at)
        .find(|at| text.as_bytes().get(at + 1) != Some(&b'\n'));
    if let Some(at) = alone {
        scan.slips.insert(0, Slip { kind: SlipKind::CarriageReturn, range: at..at + 1 });
    }
    nest(text, &mut scan);
    scan
}

impl Scan {
    /// The token that holds or follows the place.
    pub fn token_at(&self, place: usize) -> Option<usize> {
        let index = self.tokens.partition_point(|token| token.range().end <= place);
        (index < self.tokens.len()).then_some(index)
    }

    /// The innermost bracket that is open at a place.
    pub fn open_at(&self, place: usize) -> Option<&Token> {
        let inside = match self.token_at(place) {
            Some(next) => self.tokens[next].inside(),
            None => {
                let last = self.tokens.len().checked_sub(1)?;
                let token = &self.tokens[last];
                match token.kind {
                    TokenKind::Open => Some(last),
                    TokenKind::Close
                    | TokenKind::Word
                    | TokenKind::Number
                    | TokenKind::Text
                    | TokenKind::Mark => token.inside(),
                }
            }
        };
        inside.map(|open| &self.tokens[open])
    }

    /// The whole statement that a token belongs to, as bytes.
    pub fn statement(&self, text: &str, token: usize) -> Range<usize> {
        let at = self.outermost_in_block(text, token);
        let block = self.tokens[at].inside();
        let mut first = at;
        while !self.tokens[first].begins {
            let Some(before) = self.sibling_before(first) else { break };
            if is(text, &self.tokens[before], ";") {
                break;
            }
            first = before;
        }
        let mut last = at;
        loop {
            let after = self.sibling_after(last);
            match after {
                Some(next)
                    if !self.tokens[next].begins
                        && self.tokens[next].inside() == block
                        && !is(text, &self.tokens[next], ";") =>
                {
                    last = next;
                }
                Some(_) | None => break,
            }
        }
        let end = match self.tokens[last].kind {
            TokenKind::Open => {
                self.tokens[last].partner().unwrap_or_else(|| self.last_of_unclosed(text, last))
            }
            TokenKind::Close
            | TokenKind::Word
            | TokenKind::Number
            | TokenKind::Text
            | TokenKind::Mark => last,
        };
        self.tokens[first].range().start..self.tokens[self.last_on_line(text, end)].range().end
    }

    /// Where a bracket is never closed, its statement probably ends before the next one that begins
    /// a line.
    fn last_of_unclosed(&self, text: &str, open: usize) -> usize {
        let next = (open + 1..self.tokens.len())
            .find(|&at| self.tokens[at].begins && self.begins_line(text, at));
        next.unwrap_or(self.tokens.len()) - 1
    }

    /// Statements on one line have `;` between them: what follows without one belongs to the same
    /// mistake.
    fn last_on_line(&self, text: &str, end: usize) -> usize {
        let mut last = end;
        while let Some(next) = self.sibling_after(last)
            && !self.begins_line(text, next)
            && !is(text, &self.tokens[next], ";")
        {
            last = self.tokens[next].partner().unwrap_or(next);
        }
        last
    }

    pub fn begins_line(&self, text: &str, at: usize) -> bool {
        at.checked_sub(1).is_none_or(|before| {
            text[self.tokens[before].range().end..self.tokens[at].range().start].contains('\n')
        })
    }

    fn outermost_in_block(&self, text: &str, token: usize) -> usize {
        let mut at = token;
        if self.tokens[at].kind == TokenKind::Close {
            at = self.tokens[at].partner().unwrap_or(at);
        }
        while let Some(open) = self.tokens[at].inside() {
            if self.opens_block(text, open) {
                break;
            }
            at = open;
        }
        at
    }

    /// A `{` that holds statements, not the fields of a record or the names of a domain.
    pub fn opens_block(&self, text: &str, open: usize) -> bool {
        is(text, &self.tokens[open], "{") && open > 0 && heads_block(text, &self.tokens[open - 1])
    }

    pub fn sibling_before(&self, at: usize) -> Option<usize> {
        let before = at.checked_sub(1)?;
        match self.tokens[before].kind {
            TokenKind::Close => Some(self.tokens[before].partner().unwrap_or(before)),
            TokenKind::Open => None,
            TokenKind::Word | TokenKind::Number | TokenKind::Text | TokenKind::Mark => Some(before),
        }
    }

    fn sibling_after(&self, at: usize) -> Option<usize> {
        let from = match self.tokens[at].kind {
            TokenKind::Open => self.tokens[at].partner()?,
            TokenKind::Close
            | TokenKind::Word
            | TokenKind::Number
            | TokenKind::Text
            | TokenKind::Mark => at,
        };
        let next = from + 1;
        let token = self.tokens.get(next)?;
        (token.kind != TokenKind::Close || token.partner().is_none()).then_some(next)
    }
}

pub fn is(text: &str, token: &Token, word: &str) -> bool {
    &text[token.range()] == word
}

/// A character that may stand in a word after the first.
pub fn is_letter(c: char) -> bool {
    c == '_'
        || c.is_alphanumeric() && !matches!(c, '⁰'..='⁹' | '¹' | '²' | '³')
        || matches!(c, '₋' | '₊')
        || is_combining_mark(c)
}

fn split(text: &str, scan: &mut Scan) {
    let mut chars = text.char_indices().peekable();
    let push = |scan: &mut Scan, kind, range: Range<usize>| {
        let (start, end) = (range.start as u32, range.end as u32);
        scan.tokens.push(Token { kind, start, end, inside: None, partner: None, begins: false });
    };
    let skip_line = |from: usize| text[from..].find('\n').map_or(text.len(), |at| from + at);
    while let Some((start, c)) = chars.next() {
        let rest = &text[start..];
        let mut end = start + c.len_utf8();
        match c {
            ' ' | '\t' | '\r' | '\n' | '\u{feff}' => continue,
            '#' => {
                end = skip_line(start);
                scan.comments.push(start..end);
            }
            '"' => {
                let line = skip_line(start);
                match text[end..line].find('"') {
                    Some(at) => end += at + 1,
                    None => {
                        end = line;
                        scan.slips.push(Slip {
                            kind: SlipKind::Unterminated,
                            range: start..text[..line].trim_end().len(),
                        });
                    }
                }
                push(scan, TokenKind::Text, start..end);
            }
            '“' | '”' | '„' | '‟' | '«' | '»' | '‘' | '’' => {
                let line = skip_line(start);
                let closing = |c: char| matches!(c, '“' | '”' | '„' | '‟' | '«' | '»' | '‘' | '’');
                if let Some((at, quote)) = text[end..line].char_indices().find(|&(_, c)| closing(c))
                {
                    end += at + quote.len_utf8();
                }
                scan.slips.push(Slip { kind: SlipKind::CurlyQuotes, range: start..end });
                push(scan, TokenKind::Text, start..end);
            }
            '/' if rest.starts_with("//") || rest.starts_with("/*") => {
                end = skip_line(start);
                scan.slips.push(Slip {
                    kind: SlipKind::SlashComment,
                    range: start..text[..end].trim_end().len(),
                });
            }
            '0'..='9' => {
                end = start + number_length(rest);
                push(scan, TokenKind::Number, start..end);
            }
            '.' if rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
                && !ends_before(text, scan, start) =>
            {
                end = start + 1 + number_length(&rest[1..]);
                scan.slips.push(Slip { kind: SlipKind::LeadingPoint, range: start..end });
                push(scan, TokenKind::Number, start..end);
            }
            '\'' if !ends_before(text, scan, start) => {
                let line = skip_line(start);
                if let Some(at) = text[end..line].find('\'') {
                    end += at + 1;
                }
                scan.slips.push(Slip { kind: SlipKind::SingleQuotes, range: start..end });
                push(scan, TokenKind::Text, start..end);
            }
            '(' | '[' | '{' => push(scan, TokenKind::Open, start..end),
            ')' | ']' | '}' => push(scan, TokenKind::Close, start..end),
            _ if is_letter(c) => {
                end = start + rest.find(|c| !is_letter(c)).unwrap_or(rest.len());
                push(scan, TokenKind::Word, start..end);
            }
            _ => {
                const LONG: [&str; 9] = [":=", "&&", "||", "==", "!=", "<=", ">=", "**", ".."];
                if let Some(long) = LONG.iter().find(|long| rest.starts_with(**long)) {
                    end = start + long.len();
                }
                let slip = match &text[start..end] {
                    ":=" => Some(SlipKind::Assignment),
                    "&&" | "&" => Some(SlipKind::And),
                    "||" => Some(SlipKind::Or),
                    "!" | "¬" => Some(SlipKind::Not),
                    "**" => Some(SlipKind::DoubleStar),
                    _ => None,
                };
                if let Some(kind) = slip {
                    scan.slips.push(Slip { kind, range: start..end });
                }
                push(scan, TokenKind::Mark, start..end);
            }
        }
        while chars.next_if(|&(at, _)| at < end).is_some() {}
    }
}

fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes[from..].iter().take_while(|b| b.is_ascii_digit() || **b == b'_').count()
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end += 1 + digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            end += 1 + sign + digits(end + 1 + sign);
        }
    }
    end
}

/// Something ends right before this place, so that a point or a prime belongs to it.
fn ends_before(text: &str, scan: &Scan, place: usize) -> bool {
    let last = scan.tokens.last();
    last.is_some_and(|token| {
        token.range().end == place
            && (token.kind != TokenKind::Mark || is(text, token, ".."))
            && token.kind != TokenKind::Open
    })
}

fn ends_operand(text: &str, token: &Token) -> bool {
    match token.kind {
        TokenKind::Word => {
            let word = &text[token.range()];
            !RESERVED.contains(&word) || matches!(word, "bool" | "real")
        }
        TokenKind::Number | TokenKind::Text | TokenKind::Close => true,
        TokenKind::Mark => matches!(&text[token.range()], "'" | "?" | ";"),
        TokenKind::Open => false,
    }
}

fn heads_block(text: &str, token: &Token) -> bool {
    token.kind == TokenKind::Close
        || token.kind == TokenKind::Word && !JOINING_WORDS.contains(&&text[token.range()])
}

/// Pairs the brackets, finds where statements begin, and how deep it goes.
fn nest(text: &str, scan: &mut Scan) {
    // for each open bracket its token and the `if`s that are open right inside it
    let mut stack: Vec<(usize, usize)> = Vec::new();
    let mut ifs_here = 0;
    let mut ifs = 0;
    for at in 0..scan.tokens.len() {
        let previous = at.checked_sub(1);
        let word = &text[scan.tokens[at].range()];
        match scan.tokens[at].kind {
            TokenKind::Open => {
                scan.tokens[at].inside = link(stack.last().map(|&(open, _)| open));
                stack.push((at, ifs_here));
                ifs_here = 0;
            }
            TokenKind::Close => {
                let wanted = match word {
                    ")" => "(",
                    "]" => "[",
                    _ => "{",
                };
                // a stray `)` closes nothing; a `}` closes brackets that were forgotten inside it
                if let Some(depth) =
                    stack.iter().rposition(|&(open, _)| is(text, &scan.tokens[open], wanted))
                    && (wanted == "{" || depth + 1 == stack.len())
                {
                    let (open, ifs_before) = stack[depth];
                    ifs -= ifs_here
                        + stack[depth + 1..].iter().map(|&(_, before)| before).sum::<usize>();
                    ifs_here = ifs_before;
                    stack.truncate(depth);
                    scan.tokens[open].partner = link(Some(at));
                    scan.tokens[at].partner = link(Some(open));
                }
                scan.tokens[at].inside = link(stack.last().map(|&(open, _)| open));
            }
            TokenKind::Word | TokenKind::Number | TokenKind::Text | TokenKind::Mark => {
                scan.tokens[at].inside = link(stack.last().map(|&(open, _)| open));
                let before = previous.map(|before| &scan.tokens[before]);
                let after_operand = before.is_none_or(|before| {
                    ends_operand(text, before) || before.kind == TokenKind::Open
                });
                let after = before.map_or("", |before| &text[before.range()]);
                // a word such as `let` begins a statement even where the one before broke off
                let starts = RESERVED.contains(&word)
                    && !matches!(word, "bool" | "real" | "end")
                    && !matches!(after, "." | "hidden" | ",");
                let can_begin =
                    scan.tokens[at].kind == TokenKind::Word && !JOINING_WORDS.contains(&word);
                scan.tokens[at].begins = can_begin && (after_operand || starts);
                if scan.tokens[at].begins || word == "," || word == ";" {
                    ifs -= ifs_here;
                    ifs_here = 0;
                }
                // `else if` goes on with its chain, and `(if` is as deep as its bracket
                let goes_on = |before: usize| {
                    ["else", "("].iter().any(|mark| is(text, &scan.tokens[before], mark))
                };
                if word == "if" && !previous.is_some_and(goes_on) {
                    ifs_here += 1;
                    ifs += 1;
                }
            }
        }
        let depth = stack.len() + ifs;
        scan.depth = scan.depth.max(depth);
        if depth > NESTING_LIMIT {
            // such a text is refused: no need to look at the rest
            scan.too_deep = Some(scan.tokens[at].range());
            return;
        }
    }
}
