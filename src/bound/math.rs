//! Formulas as trees: what the printers of text, LaTeX and MathML share. Times inside are relative
//! to `t` until [`Math::at`] fixes them.

use super::term::Moment;
use crate::model::Index;

/// What the `t` inside a formula is where it is printed.
#[derive(Clone, Copy, Debug)]
pub enum Clock<'a> {
    /// `symbol + later`, where a sum or the reader runs over `symbol`.
    Runs { symbol: &'a str, later: i64 },
    /// One step alone, `1 + k`.
    First(i64),
    /// One step alone, `T + k`.
    Last(i64),
}

impl Clock<'static> {
    /// `t` itself.
    pub const T: Clock<'static> = Clock::Runs { symbol: "t", later: 0 };
}

impl<'a> Clock<'a> {
    pub fn runs(symbol: &'a str) -> Clock<'a> {
        Clock::Runs { symbol, later: 0 }
    }

    pub fn stands(at: Moment) -> Clock<'a> {
        match at {
            Moment::First(k) => Clock::First(i64::from(k)),
            Moment::Last(k) => Clock::Last(i64::from(k)),
        }
    }

    pub fn later(self, by: i32) -> Clock<'a> {
        let by = i64::from(by);
        match self {
            Clock::Runs { symbol, later } => Clock::Runs { symbol, later: later + by },
            Clock::First(k) => Clock::First(k + by),
            Clock::Last(k) => Clock::Last(k + by),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Math {
    Row(Vec<Math>),
    /// An identifier of the model, or a letter of the theory: `alpha`, `pi`, `T`.
    Name(String),
    Number(String),
    /// Words, upright: `left`, `live`.
    Word(String),
    /// A named operator: `log`, `KL`, `H`, `clamp`.
    Operator(&'static str),
    /// A sign between operands, with space around it: `+`, `−`, `≥`, `‖`.
    Sign(&'static str),
    /// A mark without space: `,` `·` `~`.
    Mark(&'static str),
    /// `s[t+1]`
    Indexed {
        base: Box<Math>,
        index: Vec<Math>,
    },
    /// A time relative to `t`.
    Time(Index),
    /// `from..to`; an open end is absent.
    Span(Option<Box<Math>>, Option<Box<Math>>),
    Sum {
        under: Box<Math>,
        over: Option<Box<Math>>,
        body: Box<Math>,
    },
    /// `E_q[body]`
    Expectation(Box<Math>),
    Round(Box<Math>),
    Square(Box<Math>),
    Fraction(Box<Math>, Box<Math>),
    Power(Box<Math>, Box<Math>),
    Under(Box<Math>, Box<Math>),
}

impl Math {
    pub fn name(text: &str) -> Math {
        Math::Name(text.to_owned())
    }

    pub fn row(parts: impl IntoIterator<Item = Math>) -> Math {
        Math::Row(parts.into_iter().collect())
    }

    pub fn at_index(name: Math, index: Index) -> Math {
        Math::Indexed { base: Box::new(name), index: vec![Math::Time(index)] }
    }

    pub fn call(function: Math, arguments: Vec<Math>) -> Math {
        // the brackets of a call hold a single argument together, too
        let inside = match <[Math; 1]>::try_from(arguments) {
            Ok([Math::Round(alone)]) => alone,
            Ok([alone]) => Box::new(Math::list(vec![alone])),
            Err(several) => Box::new(Math::list(several)),
        };
        Math::row([function, Math::Round(inside)])
    }

    pub fn list(items: Vec<Math>) -> Math {
        let mut row = Vec::with_capacity(items.len() * 2);
        for (position, item) in items.into_iter().enumerate() {
            if position > 0 {
                row.push(Math::Mark(","));
            }
            row.push(item);
        }
        Math::Row(row)
    }

    /// The same formula with the time `t` of `clock`. What is read before the first step is `none`.
    pub fn at(&self, clock: Clock) -> Math {
        let again = |math: &Math| Box::new(math.at(clock));
        match self {
            Math::Time(index) => time(*index, clock),
            Math::Name(_)
            | Math::Number(_)
            | Math::Word(_)
            | Math::Operator(_)
            | Math::Sign(_)
            | Math::Mark(_) => self.clone(),
            Math::Row(parts) => {
                let place = |at: usize| operand(parts, at, parts[at].at(clock));
                Math::Row((0..parts.len()).map(place).collect())
            }
            Math::Indexed { index, .. } if is_before_the_first(index, clock) => {
                Math::Word("none".to_owned())
            }
            Math::Indexed { base, index } => Math::Indexed {
                base: again(base),
                index: index.iter().map(|part| part.at(clock)).collect(),
            },
            Math::Span(from, to) => {
                Math::Span(from.as_deref().map(again), to.as_deref().map(again))
            }
            Math::Sum { under, over, body } => Math::Sum {
                under: again(under),
                over: over.as_deref().map(again),
                body: again(body),
            },
            Math::Expectation(body) => Math::Expectation(again(body)),
            Math::Round(body) => Math::Round(again(body)),
            Math::Square(body) => Math::Square(again(body)),
            Math::Fraction(above, below) => Math::Fraction(again(above), again(below)),
            Math::Power(base, exponent) => {
                Math::Power(Box::new(bracketed(base, base.at(clock))), again(exponent))
            }
            Math::Under(base, below) => Math::Under(again(base), again(below)),
        }
    }
}

/// An item of a row: a time beside an operator, `2·t`, has brackets where it has become a sum.
fn operand(row: &[Math], at: usize, math: Math) -> Math {
    let is_operator = |neighbour: Option<&Math>| {
        matches!(neighbour, Some(Math::Sign(_) | Math::Mark("·" | "/" | "−")))
    };
    let beside = is_operator(at.checked_sub(1).and_then(|before| row.get(before)))
        || is_operator(row.get(at + 1));
    if beside { bracketed(&row[at], math) } else { math }
}

fn bracketed(of: &Math, math: Math) -> Math {
    match (of, &math) {
        (Math::Time(_), Math::Row(_)) => Math::Round(Box::new(math)),
        _ => math,
    }
}

fn is_before_the_first(index: &[Math], clock: Clock) -> bool {
    match (index, clock) {
        ([Math::Time(Index::Step(k))], Clock::First(now)) => now + i64::from(*k) < 0,
        _ => false,
    }
}

/// `t+1`, `1`, `T`, `T+1`
fn time(index: Index, clock: Clock) -> Math {
    let offset = |base: &str, k: i64| match k {
        0 => Math::name(base),
        k => Math::row([
            Math::name(base),
            Math::Mark(if k > 0 { "+" } else { "-" }),
            Math::Number(k.unsigned_abs().to_string()),
        ]),
    };
    match (index, clock) {
        (Index::First, _) => Math::Number("1".to_owned()),
        (Index::Last(k), _) => offset("T", i64::from(k)),
        (Index::Step(k), Clock::Runs { symbol, later }) => offset(symbol, i64::from(k) + later),
        (Index::Step(k), Clock::First(now)) => Math::Number((1 + now + i64::from(k)).to_string()),
        (Index::Step(k), Clock::Last(now)) => offset("T", now + i64::from(k)),
    }
}
