//! Syntax errors in words: what could stand there, and what probably was meant. Also how to take an
//! error out of the text, to find the next one.

use super::foreign::{Place, ours};
use super::grammar::Rule;
use super::scan::{ITEM_WORDS, RESERVED, Scan, Slip, SlipKind, Token, TokenKind};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use pest::error::{Error, ErrorVariant, InputLocation};
use std::ops::Range;

/// A change of the text, of equal length, after which parsing can go on.
pub enum Mend {
    Blank(Range<usize>),
    /// A forgotten bracket, put over the white space before a place.
    Close(usize, char),
    /// Carriage returns that end lines.
    LineEnds,
    Nothing,
}

/// Says in words what pest found, and how to go on.
pub fn explain(text: &str, scan: &Scan, error: &Error<Rule>, file: u32) -> (Diagnostic, Mend) {
    let place = match error.location {
        InputLocation::Pos(place) => place,
        InputLocation::Span((place, _)) => place,
    };
    let expected: &[Rule] = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => positives,
        ErrorVariant::CustomError { .. } => &[],
    };
    let spot = Spot::new(text, scan, place, file);
    match spot.broken_off(expected) {
        Some(found) => found,
        None => (spot.diagnose(expected), spot.mend(expected)),
    }
}

/// Changes the text; `false` where nothing changed.
pub fn mend(text: &mut String, mend: Mend) -> bool {
    let (range, with) = match mend {
        Mend::LineEnds => {
            let bytes = text.as_bytes();
            let of = |(at, c): (usize, char)| {
                if c == '\r' && bytes.get(at + 1) != Some(&b'\n') { '\n' } else { c }
            };
            (0..text.len(), text.char_indices().map(of).collect::<String>())
        }
        Mend::Blank(range) => {
            (range.clone(), text[range].chars().flat_map(blank).collect::<String>())
        }
        Mend::Close(place, bracket) => match text[..place].rfind(char::is_whitespace) {
            Some(at) if text.as_bytes()[at].is_ascii() => (at..at + 1, bracket.to_string()),
            Some(_) | None => return false,
        },
        Mend::Nothing => return false,
    };
    let changed = text[range.clone()] != with;
    text.replace_range(range, &with);
    changed
}

fn blank(c: char) -> impl Iterator<Item = char> {
    let with = if c == '\n' { '\n' } else { ' ' };
    std::iter::repeat_n(with, c.len_utf8())
}

/// The place of an error and what stands around it.
struct Spot<'a> {
    text: &'a str,
    scan: &'a Scan,
    place: usize,
    found: Option<&'a Token>,
    before: Option<&'a Token>,
    file: u32,
}

impl<'a> Spot<'a> {
    fn new(text: &'a str, scan: &'a Scan, place: usize, file: u32) -> Spot<'a> {
        let at = scan.token_at(place);
        let before =
            at.unwrap_or(scan.tokens.len()).checked_sub(1).map(|before| &scan.tokens[before]);
        Spot { text, scan, place, found: at.map(|at| &scan.tokens[at]), before, file }
    }

    fn word(&self) -> &'a str {
        self.found.map_or("", |token| &self.text[token.range()])
    }

    fn span(&self) -> Span {
        match self.found {
            Some(token) => span(self.file, &token.range()),
            None => {
                let end = self.before.map_or(self.place, |token| token.range().end);
                span(self.file, &(end..end))
            }
        }
    }

    fn diagnose(&self, expected: &[Rule]) -> Diagnostic {
        let has = |rule| expected.contains(&rule);
        let word = self.word();
        if let Some(special) = self.special(expected) {
            return special;
        }
        let found = match self.found {
            Some(_) => format!("found `{}`", short(word)),
            None => "but the text ends here".to_owned(),
        };
        let mut diagnostic = Diagnostic::error(
            "syntax",
            self.span(),
            format!("expected {}, {found}", self.list(expected)),
        );
        if let Some(open) = self.scan.open_at(self.place)
            && (has(Rule::close_paren) || has(Rule::close_bracket) || has(Rule::close_brace))
            && (self.found.is_none() || open.partner().is_none())
        {
            let bracket = &self.text[open.range()];
            diagnostic = diagnostic
                .also(span(self.file, &open.range()), format!("this `{bracket}` is still open"));
        }
        match self.hint(expected) {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        }
    }

    /// `s[1] ~` and on the next line `r[t] = 0`: the grammar goes on to `s[1] ~ r[t]` and stumbles
    /// over the `=`.
    fn broken_off(&self, expected: &[Rule]) -> Option<(Diagnostic, Mend)> {
        if !matches!(self.word(), "=" | "~") || !expected.contains(&Rule::infix) {
            return None;
        }
        let mut at = self.scan.token_at(self.place)?;
        while !self.scan.begins_line(self.text, at) {
            at = self.scan.sibling_before(at)?;
        }
        let before = self.scan.tokens.get(at.checked_sub(1)?)?;
        if before.kind != TokenKind::Mark || before.range().end > self.place {
            return None;
        }
        let word = &self.text[before.range()];
        let diagnostic = Diagnostic::error(
            "syntax",
            span(self.file, &before.range()),
            format!("expected an expression after `{word}`"),
        )
        .here("the line ends here, and another statement begins");
        let start = self.scan.statement(self.text, at - 1).start;
        Some((diagnostic, Mend::Blank(start..before.range().end)))
    }

    /// Slips that deserve their own sentence.
    fn special(&self, expected: &[Rule]) -> Option<Diagnostic> {
        let has = |rule| expected.contains(&rule);
        let (word, at) = (self.word(), self.span());
        let token = self.found?;
        let error = |message: String| Diagnostic::error("syntax", at, message);
        if self.missing_brace(expected) {
            let open = self.scan.open_at(self.place)?;
            return Some(
                error(format!("a `}}` is missing before `{word}`"))
                    .also(span(self.file, &open.range()), "this `{` is still open"),
            );
        }
        if token.kind == TokenKind::Close
            && token.partner().is_none()
            && self.scan.open_at(self.place).is_none()
        {
            return Some(error(format!("this `{word}` closes nothing")));
        }
        if word == "=" && has(Rule::tilde) && !has(Rule::equals) {
            return Some(error("a factor is written with `~`, not with `=`".to_owned()).hint(
                "`~` says how a variable is drawn; `=` defines a kernel, a `let` or an \
                           environment's reward",
            ));
        }
        if word == "~" && has(Rule::equals) && !has(Rule::tilde) {
            return Some(error("a definition is written with `=`, not with `~`".to_owned()).hint(
                "`=` defines a kernel, a `let`, a setting; `~` says how a variable is \
                           drawn, and stands in factors",
            ));
        }
        if word == "?" && has(Rule::infix) {
            return Some(
                error("there is no `… ? … : …`".to_owned()).hint("write `if … then … else …`"),
            );
        }
        if word == "if" && has(Rule::infix) {
            return Some(
                error("there is no `… if … else …`".to_owned())
                    .hint("the condition stands first: write `if … then … else …`"),
            );
        }
        if word == "=" && has(Rule::infix) && !has(Rule::equals) {
            return Some(
                error("`=` does not stand in an expression".to_owned()).hint("compare with `==`"),
            );
        }
        let names = [
            Rule::name,
            Rule::primed,
            Rule::formal,
            Rule::formals,
            Rule::parameters,
            Rule::names,
            Rule::target,
        ];
        if RESERVED.contains(&word) && expected.iter().all(|rule| names.contains(rule)) {
            return Some(
                error(format!("`{word}` is a reserved word and cannot be a name"))
                    .hint(format!("choose another, such as `{word}_`")),
            );
        }
        let next = self.scan.tokens.iter().find(|next| next.range().start == token.range().end);
        if token.kind == TokenKind::Number
            && let Some(next) = next
            && next.kind == TokenKind::Word
        {
            let name = &self.text[next.range()];
            let both = token.range().start..next.range().end;
            let error = Diagnostic::error(
                "syntax",
                span(self.file, &both),
                format!("`{word}{name}` is neither a number nor a name"),
            );
            return Some(error.hint(format!(
                "for a product write `{word} * {name}`; names begin with a letter"
            )));
        }
        let strange = token.kind == TokenKind::Mark
            && !matches!(
                word,
                "+" | "-"
                    | "−"
                    | "*"
                    | "·"
                    | "/"
                    | "^"
                    | "="
                    | "~"
                    | "<"
                    | ">"
                    | "≤"
                    | "≥"
                    | "≠"
                    | "=="
                    | "!="
                    | "<="
                    | ">="
                    | "."
                    | ".."
                    | ","
                    | ";"
                    | ":"
                    | "|"
                    | "?"
                    | "'"
            );
        strange.then(|| {
            let error = error(format!("the character `{word}` has no meaning here"));
            match word {
                "%" => error.hint("the remainder is `mod(a, b)`"),
                "²" => error.hint("write `^ 2`"),
                "³" => error.hint("write `^ 3`"),
                "\\" => error.hint("line ends are white space: an expression goes on by itself"),
                _ => error,
            }
        })
    }

    fn hint(&self, expected: &[Rule]) -> Option<String> {
        let has = |rule| expected.contains(&rule);
        let word = self.word();
        if has(Rule::k_else) {
            return Some("every `if … then …` has an `else`, because it is a value".to_owned());
        }
        if has(Rule::k_within) {
            return Some("an equality says how near is near enough: `= 3 within 1e-9`".to_owned());
        }
        let token = self.found?;
        if let Some(ours) = self.foreign(expected) {
            return Some(ours);
        }
        if word == "="
            && let Some((_, example)) = self.before.and_then(|before| {
                NAMED.iter().find(|(item, _)| *item == &self.text[before.range()])
            })
        {
            return Some(format!("it has a name: `{example}`"));
        }
        if word == "," && has(Rule::close_paren) && !has(Rule::comma) {
            return Some("a list stands in square brackets: `[64, 64]`".to_owned());
        }
        if word == ":" && has(Rule::equals) {
            return Some("a value is given with `=`".to_owned());
        }
        if matches!(word, "reward" | "end") && has(Rule::item) {
            return Some(format!("`{word}` stands inside an environment"));
        }
        if word == "==" && has(Rule::equals) {
            return Some("`=` defines, `==` compares".to_owned());
        }
        if word == "<" && has(Rule::tilde) && self.text[token.range().end..].starts_with('-') {
            return Some("a factor is written with `~`: `a[t] ~ pi(s[t])`".to_owned());
        }
        if word == "else" && has(Rule::k_then) {
            return Some("a condition is written `if … then … else …`".to_owned());
        }
        if word == "=" && (has(Rule::reward) || has(Rule::env_item)) {
            return Some(
                "a reward is declared by `reward r in [-1, 0]` and defined by `r[t] = …`"
                    .to_owned(),
            );
        }
        if RESERVED.contains(&word) {
            let same_line = self.before.is_some_and(|before| {
                !self.text[before.range().end..token.range().start].contains('\n')
            });
            return same_line.then(|| format!("`{word}` is a reserved word and cannot be a name"));
        }
        let begin = |rule| match rule {
            Rule::item => RESERVED[..].to_vec(),
            // `stat s : 0..9` begins like a factor
            Rule::open_bracket if token.kind == TokenKind::Word => {
                vec!["state", "action", "option", "observation", "reward"]
            }
            Rule::env_item => {
                vec!["state", "action", "option", "observation", "reward", "let", "end when"]
            }
            Rule::block | Rule::block_kind => vec!["prior", "likelihood", "posterior", "auxiliary"],
            _ => Vec::new(),
        };
        // `kernal pi(a | s)`: after a whole statement the error stands at the second word,
        // otherwise at the first
        let slip = [Some(token), self.before]
            .into_iter()
            .flatten()
            .filter(|token| token.kind == TokenKind::Word)
            .find_map(|token| {
                let word = &self.text[token.range()];
                let words = expected.iter().flat_map(|&rule| begin(rule));
                words
                    .filter(|known| {
                        !RESERVED.contains(&word)
                            && strsim::damerau_levenshtein(word, known) <= 2
                            && known.len() > 2
                    })
                    .min_by_key(|known| strsim::damerau_levenshtein(word, known))
            });
        slip.map(|known| format!("did you mean `{known}`?"))
    }

    /// Where a statement begins, the word of another tool for it: the word found, or the one
    /// before, which was taken for a name.
    fn foreign(&self, expected: &[Rule]) -> Option<String> {
        let starts = [Rule::item, Rule::env_item, Rule::block, Rule::block_kind];
        let begun = match expected.iter().any(|rule| starts.contains(rule)) {
            true => self.found,
            false => {
                self.before.filter(|before| before.begins && expected.contains(&Rule::open_bracket))
            }
        };
        let begun = begun.filter(|token| token.kind == TokenKind::Word)?;
        ours(Place::Item, &self.text[begun.range()])
    }

    /// `a factor such as … or `}``
    fn list(&self, expected: &[Rule]) -> String {
        let mut ordered = expected.to_vec();
        ordered.sort_by_key(|rule| order(*rule));
        let telling: Vec<Rule> =
            ordered.iter().copied().filter(|rule| !goes_without_saying(*rule, expected)).collect();
        let mut words: Vec<&str> = Vec::new();
        for rule in if telling.is_empty() { ordered } else { telling } {
            let phrase = match rule {
                Rule::open_bracket
                    if self.before.is_some_and(|before| &self.text[before.range()] == "in") =>
                {
                    phrase(Rule::interval)
                }
                Rule::open_bracket => phrase(Rule::index),
                rule => phrase(rule),
            };
            if !phrase.is_empty() && !words.contains(&phrase) {
                words.push(phrase);
            }
        }
        match words.split_last() {
            None => "something else".to_owned(),
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
        }
    }

    /// A word that begins an item stands where a block is still open.
    fn missing_brace(&self, expected: &[Rule]) -> bool {
        expected.contains(&Rule::close_brace)
            && self.found.is_some_and(|token| token.begins)
            && ITEM_WORDS.contains(&self.word())
    }

    fn mend(&self, expected: &[Rule]) -> Mend {
        let Some(token) = self.found else { return Mend::Nothing };
        if self.missing_brace(expected) {
            return Mend::Close(token.range().start, '}');
        }
        let starters = [
            Rule::item,
            Rule::env_item,
            Rule::factor,
            Rule::target,
            Rule::block,
            Rule::setting,
            Rule::setting_of,
            Rule::claim,
            Rule::maximize,
        ];
        let complete = starters.iter().any(|rule| expected.contains(rule));
        // where a statement broke off and another begins, the first is the broken one
        let broken = match self.before {
            Some(before) if token.begins && !complete => before,
            Some(_) | None => token,
        };
        let at = self.scan.tokens.iter().position(|other| other.range() == broken.range());
        at.map_or(Mend::Nothing, |at| Mend::Blank(self.scan.statement(self.text, at)))
    }
}

/// Items that have names, each with an example.
const NAMED: [(&str, &str); 6] = [
    ("horizon", "horizon T = 30"),
    ("param", "param alpha = 0.5"),
    ("let", "let x = 1"),
    ("environment", "environment chain { … }"),
    ("kernel", "kernel pi(a | s) = Categorical(logits = table(s))"),
    ("net", "net body(s) = mlp(s, hidden = [64])"),
];

/// What to say of a slip that needs no grammar.
pub fn slip(text: &str, slip: &Slip, file: u32) -> Diagnostic {
    let error = |message: &str| Diagnostic::error("syntax", span(file, &slip.range), message);
    let here = &text[slip.range.clone()];
    match slip.kind {
        SlipKind::Assignment => {
            error("there is no `:=`").hint("`=` defines a value, `~` says how a variable is drawn")
        }
        SlipKind::SlashComment => {
            error("this is not how a comment begins").hint("comments begin with `#`")
        }
        SlipKind::And => error(&format!("`{here}` is written `and`")).hint("write `a and b`"),
        SlipKind::Or => error(&format!("`{here}` is written `or`")).hint("write `a or b`"),
        SlipKind::Not => {
            error(&format!("`{here}` is written `not`")).hint("write `not a`; unequal is `a != b`")
        }
        SlipKind::LeadingPoint => {
            error("a number begins with a digit").hint(format!("write `0{here}`"))
        }
        SlipKind::CurlyQuotes => {
            error("texts stand between straight double quotes").hint("write `\"…\"`")
        }
        SlipKind::SingleQuotes => error("texts stand between double quotes").hint("write `\"…\"`"),
        SlipKind::Unterminated => error("this text has no closing `\"`")
            .hint("a text ends on the line on which it begins"),
        SlipKind::DoubleStar => error("a power is written `^`").hint("write `a ^ b`"),
        SlipKind::CarriageReturn => error(
            "a line ends with a carriage return alone, as on old Macintoshes",
        )
        .hint("save the file with line ends `\\n` or `\\r\\n`: a comment would not end here"),
    }
}

/// A comment is taken out by itself, of anything else the whole statement.
pub fn mend_slip(text: &str, scan: &Scan, slip: &Slip) -> Mend {
    match slip.kind {
        SlipKind::SlashComment => Mend::Blank(slip.range.clone()),
        SlipKind::CarriageReturn => Mend::LineEnds,
        SlipKind::Assignment
        | SlipKind::And
        | SlipKind::Or
        | SlipKind::Not
        | SlipKind::LeadingPoint
        | SlipKind::CurlyQuotes
        | SlipKind::SingleQuotes
        | SlipKind::Unterminated
        | SlipKind::DoubleStar => match scan.token_at(slip.range.start) {
            Some(at) => Mend::Blank(scan.statement(text, at)),
            None => Mend::Blank(slip.range.clone()),
        },
    }
}

pub fn span(file: u32, range: &Range<usize>) -> Span {
    Span { file, start: range.start as u32, end: range.end as u32 }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(32) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// What may stand there too, but tells less than the rest: an expression can always go on with an
/// operator.
fn goes_without_saying(rule: Rule, expected: &[Rule]) -> bool {
    use Rule::*;
    let has = |rule| expected.contains(&rule);
    let closes = has(close_paren) || has(close_bracket) || has(close_brace);
    match rule {
        infix | call | index | field | open_paren | colon | bar | dots | prefix if has(infix) => {
            true
        }
        open_bracket if has(infix) => true,
        setting_of => true,
        open_paren => has(equals),
        colon | optional | open_bracket => closes || has(k_from),
        k_in | k_where => true,
        let_ | param | k_let | k_param => has(env_item),
        _ => false,
    }
}

fn order(rule: Rule) -> u8 {
    use Rule::*;
    match rule {
        item | env_item | factor | setting | setting_of | claim | block => 0,
        comma => 2,
        close_paren | close_bracket | close_brace | EOI => 3,
        _ => 1,
    }
}

/// A rule in the words of a reader; empty for what goes without saying.
fn phrase(rule: Rule) -> &'static str {
    use Rule::*;
    match rule {
        EOI => "the end of the text",
        item | model | environment => "an item such as `param`, `environment`, `kernel` or `prior`",
        env_item | variable | reward | end_when | define | role => {
            "a line of an environment such as `s[t+1] ~ …` or `reward r in [-1, 0]`"
        }
        factor | target => "a factor such as `a[t] ~ pi(s[t])`",
        weights => "`weights(…)`",
        block | block_kind => "a block such as `prior { … }`",
        setting | setting_of => "a setting such as `steps = 300`",
        side => "a kernel such as `world` or `line.transition`",
        settings => "settings in brackets such as `(slip = 0.1)`",
        maximize => "`maximize`",
        claim => "a claim such as `bound >= -1.5`",
        param => "`param`",
        let_ => "`let`",
        horizon => "`horizon`",
        data => "`data`",
        net => "`net`",
        kernel => "`kernel`",
        bound => "`bound`",
        infer => "`infer`",
        expect => "`expect`",
        expr | operand | atom | postfix | number | previous | array | record | group | prefix
        | cond | k_if | lone_expr | threshold | quantity | run => "an expression",
        infix => "an operator",
        call => "arguments in brackets",
        argument | arguments | named => "an argument",
        index => "an index such as `[t]`",
        at => "a time such as `t+1`",
        field => "a field",
        field_domain => "a field such as `x: 0..7`",
        record_field => "a field such as `x: 1`",
        name | primed => "a name",
        word => "a name",
        names | record_domain => "names or fields in braces",
        string => "a file name in double quotes",
        domain | real | range_or_count | range => {
            "a domain such as `0..9`, `{ left, right }` or `real`"
        }
        interval => "bounds such as `[-1, 0]`",
        where_ | k_where => "`where`",
        parameters => "names in brackets",
        head => "a head such as `(a | s)`",
        formals | formal => "a variable such as `s`, `last: o?` or `x[..]`",
        length => "a length such as `[K]`",
        env_file | env_external | env_body => "a body in braces, `from \"….rlenv\"` or `= rust(…)`",
        equals => "`=`",
        tilde => "`~`",
        colon => "`:`",
        comma => "`,`",
        bar => "`|`",
        dots => "`..`",
        optional => "`?`",
        at_least => "`>=`",
        at_most => "`<=`",
        open_paren => "`(`",
        close_paren => "`)`",
        open_bracket => "`[`",
        close_bracket => "`]`",
        open_brace => "`{`",
        close_brace => "`}`",
        k_bool => "`bool`",
        k_bound => "`bound`",
        k_data => "`data`",
        k_else => "`else`",
        k_end => "`end`",
        k_environment => "`environment`",
        k_expect => "`expect`",
        k_from => "`from`",
        k_hidden => "`hidden`",
        k_horizon => "`horizon`",
        k_in => "`in`",
        k_infer => "`infer`",
        k_kernel => "`kernel`",
        k_let => "`let`",
        k_maximize => "`maximize`",
        k_model => "`model`",
        k_net => "`net`",
        k_over => "`over`",
        k_param => "`param`",
        k_previous => "`previous`",
        k_real => "`real`",
        k_reward => "`reward`",
        k_then => "`then`",
        k_weights => "`weights`",
        k_when => "`when`",
        k_within => "`within`",
        semicolon | WHITESPACE | BOM | file | rlenv | letter | reserved => "",
    }
}
