//! Long formulas on several lines, as a paper breaks them: before relations, then before the signs
//! of the outermost sum, then further in.

use crate::bound::math::{Clock, Math};

/// A line of a broken formula.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// How deep it stands below the first line.
    pub indent: usize,
    pub pieces: Vec<Piece>,
}

/// What a line is made of. Brackets stand alone, for the other one may stand on another line.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    Math(Math),
    Sum {
        under: Math,
        over: Option<Math>,
    },
    /// `E_q[`
    OpenExpectation,
    CloseExpectation,
    Open(Size),
    Close(Size),
}

/// Of a pair of brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Text,
    /// Around sums and fractions.
    Display,
}

/// A piece, and how far inside the formula a line may end before it: 0 at relations.
struct Link {
    piece: Piece,
    before: Option<usize>,
}

/// What lines are set on. Widths are in one unit.
#[derive(Clone, Copy)]
pub struct Page {
    pub width: f64,
    /// One level of [`Line::indent`].
    pub indent: f64,
    /// A left side of at most so much stays with what follows, where that is broken anyway.
    pub short: f64,
    pub piece: fn(&Piece) -> f64,
}

impl Page {
    /// Of a paper or a browser, in em.
    pub fn set(width: f64) -> Page {
        Page { width, indent: 1.0, short: 10.0, piece: piece_width }
    }
}

/// The lines of a formula; each fits on the page where its signs allow that.
pub fn lines(math: &Math, page: Page) -> Vec<Line> {
    let mut links = Vec::new();
    flatten(math, 0, &mut links);
    let mut lines = Vec::new();
    page.broken(&links, 0, (0, 1), &mut lines);
    lines
}

fn flatten(math: &Math, depth: usize, links: &mut Vec<Link>) {
    let mut push = |piece, before| links.push(Link { piece, before });
    match math {
        Math::Sign("=" | "≥" | "≈") if depth == 0 => push(Piece::Math(math.clone()), Some(0)),
        Math::Sign("+" | "−") => push(Piece::Math(math.clone()), Some(depth + 1)),
        Math::Sign("·") => push(Piece::Math(math.clone()), Some(depth + 2)),
        Math::Row(parts) => parts.iter().for_each(|part| flatten(part, depth, links)),
        Math::Expectation(body) => {
            push(Piece::OpenExpectation, None);
            flatten(body, depth + 2, links);
            links.push(Link { piece: Piece::CloseExpectation, before: None });
        }
        Math::Round(body) if is_sum(body) => {
            push(Piece::Open(size(body)), None);
            flatten(body, depth + 2, links);
            links.push(Link { piece: Piece::Close(size(body)), before: None });
        }
        Math::Sum { under, over, body } => {
            push(Piece::Sum { under: (**under).clone(), over: over.as_deref().cloned() }, None);
            flatten(body, depth + 2, links);
        }
        Math::Name(_)
        | Math::Number(_)
        | Math::Word(_)
        | Math::Operator(_)
        | Math::Sign(_)
        | Math::Mark(_)
        | Math::Indexed { .. }
        | Math::Time(_)
        | Math::Span(..)
        | Math::Round(_)
        | Math::Square(_)
        | Math::Fraction(..)
        | Math::Power(..)
        | Math::Under(..) => push(Piece::Math(math.clone()), None),
    }
}

/// Whether a bracket holds a sum of terms, not the arguments of something.
fn is_sum(body: &Math) -> bool {
    match body {
        Math::Row(parts) => {
            parts.iter().any(|part| matches!(part, Math::Sign("+" | "−") | Math::Sum { .. }))
        }
        body => matches!(body, Math::Sum { .. }),
    }
}

/// The size of brackets around `body`.
pub fn size(body: &Math) -> Size {
    let largest = |inside: &[&Math]| {
        if inside.iter().any(|part| size(part) == Size::Display) {
            Size::Display
        } else {
            Size::Text
        }
    };
    match body {
        Math::Sum { .. } | Math::Fraction(..) => Size::Display,
        Math::Row(parts) => largest(&parts.iter().collect::<Vec<_>>()),
        Math::Round(body) | Math::Square(body) | Math::Expectation(body) => size(body),
        Math::Power(base, _) | Math::Under(base, _) => size(base),
        Math::Name(_)
        | Math::Number(_)
        | Math::Word(_)
        | Math::Operator(_)
        | Math::Sign(_)
        | Math::Mark(_)
        | Math::Indexed { .. }
        | Math::Time(_)
        | Math::Span(..) => Size::Text,
    }
}

impl Page {
    /// Breaks at the outermost signs from `depth` on, fills lines with what lies between, and
    /// breaks what is still too long further in. The first line stands at `indent`, those after it
    /// at `rest`.
    fn broken(
        &self,
        links: &[Link],
        depth: usize,
        (indent, rest): (usize, usize),
        lines: &mut Vec<Line>,
    ) {
        let total =
            |links: &[Link]| links.iter().map(|link| (self.piece)(&link.piece)).sum::<f64>();
        let fits = |links: &[Link], indent: usize| {
            total(links) + indent as f64 * self.indent <= self.width
        };
        let outermost = links
            .iter()
            .skip(1)
            .filter_map(|link| link.before)
            .filter(|before| *before >= depth)
            .min();
        let (false, Some(outermost)) = (fits(links, indent), outermost) else {
            lines.push(Line {
                indent,
                pieces: links.iter().map(|link| link.piece.clone()).collect(),
            });
            return;
        };
        let cuts =
            (1..links.len()).filter(|at| links[*at].before == Some(outermost)).chain([links.len()]);
        let (mut start, mut end, mut own) = (0, 0, indent);
        for cut in cuts {
            let stays = outermost == 0
                && total(&links[start..end]) <= self.short
                && !fits(&links[end..cut], own + 1);
            if end > start && !fits(&links[start..cut], own) && !stays {
                self.broken(&links[start..end], outermost + 1, (own, rest + 1), lines);
                start = end;
                own = rest;
            }
            end = cut;
        }
        let after = if start == 0 { rest } else { rest + 1 };
        self.broken(&links[start..end], outermost + 1, (own, after), lines);
    }
}

fn piece_width(piece: &Piece) -> f64 {
    match piece {
        Piece::Math(math) => math_width(math),
        // the limits are set small, above and below the sign
        Piece::Sum { under, over } => {
            0.72 * math_width(under).max(over.as_ref().map_or(0.0, math_width)).max(2.0) + 0.2
        }
        Piece::OpenExpectation => 1.7,
        Piece::CloseExpectation | Piece::Open(_) | Piece::Close(_) => 0.6,
    }
}

/// About how many em a formula takes.
fn math_width(math: &Math) -> f64 {
    let letters = |text: &str| text.chars().count() as f64;
    match math {
        Math::Row(parts) => parts.iter().map(math_width).sum(),
        Math::Name(text) if letters(text) == 1.0 => 0.6,
        Math::Name(text) | Math::Number(text) | Math::Word(text) => 0.53 * letters(text),
        Math::Operator(name) => 0.53 * letters(name) + 0.2,
        Math::Sign(_) => 1.35,
        Math::Mark("," | "." | " ") => 0.45,
        Math::Mark("|" | "·" | "+" | "-" | "−" | "=") => 0.9,
        Math::Mark(mark) => 0.8 * letters(mark),
        Math::Indexed { base, index } => {
            math_width(base) + 0.72 * index.iter().map(math_width).sum::<f64>()
        }
        Math::Time(_) => math_width(&math.at(Clock::T)),
        Math::Span(from, to) => {
            0.3 + [from, to].into_iter().flatten().map(|end| math_width(end)).sum::<f64>()
        }
        Math::Sum { under, over, body } => {
            piece_width(&Piece::Sum { under: (**under).clone(), over: over.as_deref().cloned() })
                + math_width(body)
        }
        Math::Expectation(body) => 2.3 + math_width(body),
        Math::Round(body) | Math::Square(body) => 0.9 + math_width(body),
        Math::Fraction(above, below) => math_width(above).max(math_width(below)) + 0.3,
        Math::Power(base, small) | Math::Under(base, small) => {
            math_width(base) + 0.72 * math_width(small)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(name: &str) -> Math {
        Math::row([Math::Operator("log"), Math::name(name)])
    }

    #[test]
    fn what_fits_stays_on_one_line_and_what_does_not_breaks_before_its_outermost_sign() {
        let inner = Math::Round(Box::new(Math::row([term("one"), Math::Sign("−"), term("two")])));
        let sum = |left: &str| {
            Math::row([
                Math::name(left),
                Math::Sign("="),
                term("three"),
                Math::Sign("+"),
                inner.clone(),
            ])
        };
        let starts =
            |lines: &[Line]| lines.iter().map(|line| line.pieces[0].clone()).collect::<Vec<_>>();
        let (name, sign) =
            (|name| Piece::Math(Math::name(name)), |sign| Piece::Math(Math::Sign(sign)));
        assert_eq!(lines(&sum("L"), Page::set(100.0)).len(), 1);
        assert_eq!(
            starts(&lines(&sum("a long left side"), Page::set(20.0))),
            [name("a long left side"), sign("=")]
        );
        // the right side does not fit on a line of its own: a short left side stays with it
        assert_eq!(starts(&lines(&sum("L"), Page::set(14.0))), [name("L"), sign("+")]);
        let three = lines(&sum("L"), Page::set(8.0));
        assert_eq!(starts(&three), [name("L"), sign("+"), sign("−")]);
        let indents = |lines: &[Line]| lines.iter().map(|line| line.indent).collect::<Vec<_>>();
        assert_eq!(indents(&three), [0, 1, 2]);
        // what goes on with the first summand stands deeper than the second
        let first = Math::row([inner.clone(), Math::Sign("+"), term("three")]);
        assert_eq!(indents(&lines(&first, Page::set(6.0))), [0, 2, 1]);
    }
}
