//! Printed formulas as trees: the grammar of what `rlppl bound` prints, written down a second time.

use std::iter::Peekable;
use std::str::Chars;

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Number(f64),
    Name(String),
    /// `none`
    Absent,
    /// `·`, in the place of what is averaged over.
    Dot,
    List(Vec<Node>),
    Field(Box<Node>, String),
    /// `s[t+1]`, `a[..t-1]`
    Index(Box<Node>, Vec<Place>),
    /// `max(a, b)`, `pi(a[t]|s[t])`, `previous pi(·|s[t])`
    Call {
        previous: bool,
        function: Box<Node>,
        values: Vec<Node>,
        givens: Vec<Node>,
    },
    Negative(Box<Node>),
    Binary(char, Box<Node>, Box<Node>),
    If(Box<[Node; 3]>),
    Log(Box<Node>),
    /// `p / q` behind a logarithm
    Ratio(Box<Node>, Box<Node>),
    Entropy(Box<Node>),
    Divergence(Box<Node>, Box<Node>),
    Nabla(Box<Node>),
    Sum {
        symbol: String,
        from: Box<Node>,
        to: Option<Box<Node>>,
        live: bool,
        body: Box<Node>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    At(Node),
    Span(Option<Node>, Option<Node>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Word(String),
    Mark(char),
    /// `..`
    To,
    /// ` / `, with space around it
    Ratio,
    /// `Σ_{`
    Sum,
    End,
}

/// The tree of a whole formula.
pub fn parse(text: &str) -> Result<Node, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let node = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(node),
        other => Err(format!("{other:?} is left over in `{text}`")),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        match c {
            ' ' => {}
            'Σ' => {
                if (rest.next(), rest.next()) != (Some('_'), Some('{')) {
                    return Err(format!("a Σ without limits in `{text}`"));
                }
                tokens.push(Token::Sum);
            }
            '/' if before == ' ' && rest.peek() == Some(&' ') => tokens.push(Token::Ratio),
            '.' if rest.peek() == Some(&'.') => {
                rest.next();
                tokens.push(Token::To);
            }
            c if c.is_ascii_digit() => tokens.push(Token::Number(number(c, &mut rest)?)),
            '…' => tokens.push(Token::Word("…".to_owned())),
            c if c.is_alphabetic() || c == '_' => {
                let mut word = c.to_string();
                while let Some(c) = rest.next_if(|c| c.is_alphanumeric() || *c == '_' || *c == '\'')
                {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
            c if "()[]{},|·‖+−-/^=≠<≤>≥.:∇".contains(c) => tokens.push(Token::Mark(c)),
            c => return Err(format!("`{c}` in `{text}`")),
        }
        before = c;
    }
    tokens.push(Token::End);
    Ok(tokens)
}

fn number(first: char, rest: &mut Peekable<Chars>) -> Result<f64, String> {
    let mut text = first.to_string();
    loop {
        let mut ahead = rest.clone();
        match (ahead.next(), ahead.next()) {
            (Some(c), _) if c.is_ascii_digit() => text.push(c),
            (Some('_'), _) => {}
            (Some('.'), Some(next)) if next.is_ascii_digit() && !text.contains('.') => {
                text.push('.')
            }
            (Some('e'), Some(next)) if next.is_ascii_digit() || next == '-' => {
                text.push_str(if next == '-' { "e-" } else { "e" });
                if next == '-' {
                    rest.next();
                }
            }
            _ => return text.parse().map_err(|why| format!("{text}: {why}")),
        }
        rest.next();
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

/// Or, and, not, comparisons, sums, products: from loosest to tightest.
const SUM: u8 = 4;
const PRODUCT: u8 = 5;

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at]
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn has(&mut self, token: &Token) -> bool {
        let is_next = self.peek() == token;
        if is_next {
            self.next();
        }
        is_next
    }

    fn mark(&mut self, mark: char) -> bool {
        self.has(&Token::Mark(mark))
    }

    fn word(&mut self, word: &str) -> bool {
        self.has(&Token::Word(word.to_owned()))
    }

    fn must(&mut self, mark: char) -> Result<(), String> {
        if self.mark(mark) {
            Ok(())
        } else {
            Err(format!("`{mark}` is missing before {:?}", self.peek()))
        }
    }

    fn expression(&mut self, level: u8) -> Result<Node, String> {
        if level > PRODUCT {
            return self.factor();
        }
        if level == 2 && self.word("not") {
            let operand = self.expression(3)?;
            return Ok(Node::Binary('=', Box::new(operand), Box::new(Node::Number(0.0))));
        }
        let mut left = self.expression(level + 1)?;
        while let Some(operator) = self.operator(level) {
            let right = self.expression(level + 1)?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    /// The next operator, if it is one of this level.
    fn operator(&mut self, level: u8) -> Option<char> {
        let operator = match (level, self.peek()) {
            (0, Token::Word(word)) if word == "or" => 'o',
            (1, Token::Word(word)) if word == "and" => 'a',
            (3, Token::Mark(mark @ ('=' | '≠' | '<' | '≤' | '>' | '≥'))) => *mark,
            (SUM, Token::Mark('+')) => '+',
            (SUM, Token::Mark('−' | '-')) => '−',
            (PRODUCT, Token::Mark(mark @ ('·' | '/'))) => *mark,
            _ => return None,
        };
        self.next();
        Some(operator)
    }

    fn factor(&mut self) -> Result<Node, String> {
        if self.mark('−') {
            return Ok(Node::Negative(Box::new(self.factor()?)));
        }
        if self.mark('∇') {
            return Ok(Node::Nabla(Box::new(self.factor()?)));
        }
        if self.has(&Token::Sum) {
            return self.sum();
        }
        if self.word("log") {
            // of a number; that of a density or of a ratio has no brackets of its own
            if self.mark('(') {
                return self.call(false, Node::Name("log".to_owned()));
            }
            let above = self.postfix()?;
            let inside = if self.has(&Token::Ratio) {
                Node::Ratio(Box::new(above), Box::new(self.postfix()?))
            } else {
                above
            };
            return Ok(Node::Log(Box::new(inside)));
        }
        let base = self.postfix()?;
        if self.mark('^') {
            Ok(Node::Binary('^', Box::new(base), Box::new(self.postfix()?)))
        } else {
            Ok(base)
        }
    }

    /// `t=1..T, live} body`
    fn sum(&mut self) -> Result<Node, String> {
        let Token::Word(symbol) = self.next() else { return Err("a sum over nothing".to_owned()) };
        self.must('=')?;
        let from = Box::new(self.expression(SUM)?);
        let to = if self.has(&Token::To) { Some(Box::new(self.expression(SUM)?)) } else { None };
        let live = self.mark(',') && {
            if !self.word("live") {
                return Err(format!("{:?} in the limits of a sum", self.peek()));
            }
            true
        };
        self.must('}')?;
        let body = Box::new(self.expression(PRODUCT)?);
        Ok(Node::Sum { symbol, from, to, live, body })
    }

    fn postfix(&mut self) -> Result<Node, String> {
        let previous = self.word("previous");
        let mut node = self.atom()?;
        loop {
            if self.mark('.') {
                let Token::Word(field) = self.next() else {
                    return Err("a field without a name".to_owned());
                };
                node = Node::Field(Box::new(node), field);
            } else if self.mark('[') {
                let mut places = vec![self.place()?];
                while self.mark(',') {
                    places.push(self.place()?);
                }
                self.must(']')?;
                node = Node::Index(Box::new(node), places);
            } else if self.mark('(') {
                node = self.call(previous, node)?;
            } else {
                return Ok(node);
            }
        }
    }

    /// What stands in brackets behind a name.
    fn call(&mut self, previous: bool, function: Node) -> Result<Node, String> {
        let name = if let Node::Name(name) = &function { name.as_str() } else { "" };
        let node = match name {
            "H" => Node::Entropy(Box::new(self.postfix()?)),
            "KL" => {
                let q = Box::new(self.postfix()?);
                self.must('‖')?;
                Node::Divergence(q, Box::new(self.postfix()?))
            }
            // the logit of an optimal classifier
            "logit" => {
                let above = Box::new(self.postfix()?);
                if !self.has(&Token::Ratio) {
                    return Err("a logit of no ratio".to_owned());
                }
                Node::Log(Box::new(Node::Ratio(above, Box::new(self.postfix()?))))
            }
            _ => {
                let values = self.list()?;
                let givens = if self.mark('|') { self.list()? } else { Vec::new() };
                Node::Call { previous, function: Box::new(function), values, givens }
            }
        };
        self.must(')')?;
        Ok(node)
    }

    fn list(&mut self) -> Result<Vec<Node>, String> {
        let mut items = Vec::new();
        loop {
            items.push(if self.mark('·') { Node::Dot } else { self.expression(0)? });
            if !self.mark(',') {
                return Ok(items);
            }
        }
    }

    fn place(&mut self) -> Result<Place, String> {
        if self.has(&Token::To) {
            return Ok(Place::Span(None, Some(self.expression(SUM)?)));
        }
        let from = self.expression(SUM)?;
        if !self.has(&Token::To) {
            return Ok(Place::At(from));
        }
        let is_open = *self.peek() == Token::Mark(']');
        Ok(Place::Span(Some(from), if is_open { None } else { Some(self.expression(SUM)?) }))
    }

    fn atom(&mut self) -> Result<Node, String> {
        match self.next() {
            Token::Number(number) => Ok(Node::Number(number)),
            Token::Mark('-') => Ok(Node::Negative(Box::new(self.atom()?))),
            Token::Mark('(') => {
                let node = self.expression(0)?;
                self.must(')')?;
                Ok(node)
            }
            Token::Mark('[') => {
                let items = self.list()?;
                self.must(']')?;
                Ok(Node::List(items))
            }
            Token::Word(word) if word == "none" => Ok(Node::Absent),
            Token::Word(word) if word == "if" => {
                let condition = self.expression(0)?;
                if !self.word("then") {
                    return Err("`then` is missing".to_owned());
                }
                let then = self.expression(0)?;
                if !self.word("else") {
                    return Err("`else` is missing".to_owned());
                }
                Ok(Node::If(Box::new([condition, then, self.expression(0)?])))
            }
            Token::Word(word) => Ok(Node::Name(word)),
            other => Err(format!("{other:?} where a value should stand")),
        }
    }
}

impl Node {
    /// The indices that no sum binds.
    pub fn free(&self, bound: &mut Vec<String>, found: &mut Vec<String>) {
        let mut all = |nodes: &[&Node]| nodes.iter().for_each(|node| node.free(bound, found));
        match self {
            Node::Number(_) | Node::Absent | Node::Dot => {}
            Node::Name(name) => {
                if (name == "t" || name == "k") && !bound.contains(name) {
                    found.push(name.clone());
                }
            }
            Node::List(items) => all(&items.iter().collect::<Vec<_>>()),
            Node::Field(base, _) => all(&[base]),
            Node::Index(base, places) => {
                all(&[base]);
                for place in places {
                    match place {
                        Place::At(at) => all(&[at]),
                        Place::Span(from, to) => {
                            all(&[from, to].into_iter().flatten().collect::<Vec<_>>())
                        }
                    }
                }
            }
            Node::Call { function, values, givens, .. } => {
                all(&[function]);
                all(&values.iter().chain(givens).collect::<Vec<_>>());
            }
            Node::Negative(one) | Node::Log(one) | Node::Entropy(one) | Node::Nabla(one) => {
                all(&[one])
            }
            Node::Binary(_, left, right)
            | Node::Ratio(left, right)
            | Node::Divergence(left, right) => all(&[left, right]),
            Node::If(parts) => all(&parts.iter().collect::<Vec<_>>()),
            Node::Sum { symbol, from, to, body, .. } => {
                all(&[from]);
                to.iter().for_each(|to| to.free(bound, found));
                bound.push(symbol.clone());
                body.free(bound, found);
                bound.pop();
            }
        }
    }
}
