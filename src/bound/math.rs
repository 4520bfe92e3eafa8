//! Formulas as trees: what the printers of text, LaTeX and MathML share. Times inside are relative to `t` until [`Math::at`] fixes them.

use crate::model::Index;

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
        Math::row([function, Math::Round(Box::new(Math::list(arguments)))])
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

    /// The same formula with time `t` written `symbol` and moved by `shift`.
    pub fn at(&self, symbol: &str, shift: i32) -> Math {
        let again = |math: &Math| Box::new(math.at(symbol, shift));
        match self {
            Math::Time(index) => time(*index, symbol, shift),
            Math::Name(_) | Math::Number(_) | Math::Word(_) | Math::Operator(_) | Math::Sign(_) | Math::Mark(_) => self.clone(),
            Math::Row(parts) => Math::Row(parts.iter().map(|part| part.at(symbol, shift)).collect()),
            Math::Indexed { base, index } => {
                Math::Indexed { base: again(base), index: index.iter().map(|part| part.at(symbol, shift)).collect() }
            }
            Math::Span(from, to) => Math::Span(from.as_deref().map(again), to.as_deref().map(again)),
            Math::Sum { under, over, body } => Math::Sum { under: again(under), over: over.as_deref().map(again), body: again(body) },
            Math::Expectation(body) => Math::Expectation(again(body)),
            Math::Round(body) => Math::Round(again(body)),
            Math::Square(body) => Math::Square(again(body)),
            Math::Fraction(above, below) => Math::Fraction(again(above), again(below)),
            Math::Power(base, exponent) => Math::Power(again(base), again(exponent)),
            Math::Under(base, below) => Math::Under(again(base), again(below)),
        }
    }
}

/// `t+1`, `1`, `T`, `T+1`
fn time(index: Index, symbol: &str, shift: i32) -> Math {
    let offset = |base: &str, k: i32| match k {
        0 => Math::name(base),
        k => Math::row([Math::name(base), Math::Mark(if k > 0 { "+" } else { "-" }), Math::Number(k.unsigned_abs().to_string())]),
    };
    match index {
        Index::First => Math::Number("1".to_owned()),
        Index::Step(k) => offset(symbol, k + shift),
        Index::Last(k) => offset("T", k),
    }
}
