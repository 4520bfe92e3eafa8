//! LaTeX, for the `amsmath` package: a fragment to paste into a paper.

use super::Detail;
use super::formula;
use super::greek::GREEK;
use super::lines::{Line, Page, Piece, Size, lines, size};
use crate::bound::derivation::Derivation;
use crate::bound::math::{Clock, Math};

/// What a line of an article holds, in em: 345 points at a size of 10.
const WIDTH: f64 = 33.0;
/// What the list of steps takes off it.
const LIST: f64 = 2.5;

/// The bound and its gradient, broken into lines of an article, with [`Detail::Steps`] the numbered
/// steps before them: what a step changes, and what it puts in its place.
pub fn latex(derivation: &Derivation, detail: Detail) -> String {
    let mut out = format!("% {}; needs \\usepackage{{amsmath,amssymb}}\n", derivation.model);
    for bound in &derivation.bounds {
        if let Some(name) = &bound.name {
            out.push_str(&format!("\\paragraph{{{}}}\n", escape(name)));
        }
        if detail == Detail::Steps {
            out.push_str("\\begin{enumerate}\n");
            for step in &bound.steps {
                let (before, after) = formula::step(bound, step);
                let told = match formula::set_apart(bound, step) {
                    Some(words) => Math::row([before, Math::Word(words)]),
                    None => Math::row([before, formula::relation(step.relation), after]),
                };
                let rows = lines(&told, Page::set(WIDTH - LIST));
                out.push_str(&format!("\\item {}\n{}", escape(step.rule.name()), display(&rows)));
            }
            out.push_str("\\end{enumerate}\n");
        }
        let bounds = std::iter::once(formula::bound(bound)).chain(
            formula::known_up_to(bound)
                .into_iter()
                .chain(formula::no_probability(bound))
                .chain(formula::imagined(bound))
                .map(Math::Word),
        );
        let formulas = bounds.chain(formula::gradients(bound));
        let rows: Vec<Line> =
            formulas.flat_map(|formula| lines(&formula, Page::set(WIDTH))).collect();
        out.push_str(&display(&rows));
    }
    out
}

/// Lines under each other, aligned at their left ends.
fn display(rows: &[Line]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|row| format!("  &{}{}", "\\quad ".repeat(row.indent), line(row)))
        .collect();
    format!("\\begin{{align*}}\n{}\n\\end{{align*}}\n", rows.join(" \\\\\n"))
}

fn line(row: &Line) -> String {
    let pieces = row.pieces.iter().map(|piece| match piece {
        Piece::Math(math) => show(math),
        Piece::Sum { under, over } => sum(under, over.as_ref()),
        Piece::OpenExpectation => "\\mathbb{E}_q\\Bigl[".to_owned(),
        Piece::CloseExpectation => "\\Bigr]".to_owned(),
        Piece::Open(Size::Text) => "(".to_owned(),
        Piece::Close(Size::Text) => ")".to_owned(),
        Piece::Open(Size::Display) => "\\Bigl(".to_owned(),
        Piece::Close(Size::Display) => "\\Bigr)".to_owned(),
    });
    let mut text = pieces.collect::<Vec<_>>().join(" ");
    // a sign at the beginning of a line stands between operands all the same
    if let Some(Piece::Math(Math::Sign(_))) = row.pieces.first() {
        text.insert_str(0, "{} ");
    }
    text
}

fn sum(under: &Math, over: Option<&Math>) -> String {
    let over = over.map(|over| format!("^{{{}}}", show(over))).unwrap_or_default();
    format!("\\sum_{{{}}}{over}", show(under))
}

fn show(math: &Math) -> String {
    match math {
        Math::Row(parts) => parts.iter().map(show).collect::<Vec<_>>().join(" "),
        Math::Name(name) => identifier(name),
        Math::Number(text) => text.replace('_', ""),
        Math::Word(text) => format!("\\text{{{}}}", escape(text)),
        Math::Operator(name) => operator(name),
        Math::Sign(sign) | Math::Mark(sign) => mark(sign).to_owned(),
        Math::Indexed { base, index } => {
            format!("{}_{{{}}}", show(base), index.iter().map(show).collect::<Vec<_>>().join(","))
        }
        Math::Time(_) => show(&math.at(Clock::T)),
        Math::Span(from, to) => {
            let end = |part: &Option<Box<Math>>| part.as_deref().map(show).unwrap_or_default();
            format!("{}{{:}}{}", end(from), end(to))
        }
        Math::Sum { under, over, body } => {
            format!("{} {}", sum(under, over.as_deref()), show(body))
        }
        Math::Expectation(body) => format!("\\mathbb{{E}}_q\\Bigl[ {} \\Bigr]", show(body)),
        Math::Round(body) => match size(body) {
            Size::Text => format!("({})", show(body)),
            Size::Display => format!("\\Bigl( {} \\Bigr)", show(body)),
        },
        Math::Square(body) => format!("[{}]", show(body)),
        Math::Fraction(above, below) => format!("\\frac{{{}}}{{{}}}", show(above), show(below)),
        Math::Power(base, exponent) => format!("{{{}}}^{{{}}}", show(base), show(exponent)),
        Math::Under(base, below) => match &**below {
            Math::Word(word) => format!("{{{}}}_{{\\text{{{}}}}}", show(base), escape(word)),
            below => format!("{}_{{{}}}", show(base), show(below)),
        },
    }
}

/// A letter stays a letter, a Greek one gets its command, a word is set upright.
fn identifier(name: &str) -> String {
    if name == "R̂" {
        return "\\hat{R}".to_owned();
    }
    if let Some(greek) = greek(name) {
        return greek;
    }
    let mut letters = name.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter.is_ascii_alphabetic() => name.to_owned(),
        _ => format!(
            "\\mathrm{{{}}}",
            name.chars()
                .map(|c| greek(&c.to_string()).unwrap_or_else(|| escape(&c.to_string())))
                .collect::<String>()
        ),
    }
}

fn greek(name: &str) -> Option<String> {
    GREEK
        .iter()
        .find(|(word, letter)| *word == name || *letter == name)
        .map(|(word, _)| format!("\\{word} ").trim_end().to_owned() + "{}")
}

fn operator(name: &str) -> String {
    match name {
        "log" | "exp" | "sin" | "cos" | "tan" | "tanh" | "min" | "max" => format!("\\{name}"),
        "H" => "\\mathrm{H}".to_owned(),
        "KL" => "\\mathrm{KL}".to_owned(),
        _ => format!("\\operatorname{{{}}}", escape(name)),
    }
}

fn mark(sign: &str) -> &str {
    match sign {
        "−" => "-",
        "≥" => "\\ge ",
        "≤" => "\\le ",
        "≠" => "\\ne ",
        "≈" => "\\approx ",
        "~" => "\\sim ",
        "‖" => "\\,\\|\\,",
        "·" => "\\cdot ",
        "∇" => "\\nabla ",
        "Π" => "\\textstyle\\prod ",
        "Σ" => "\\textstyle\\sum ",
        "…" => "\\ldots ",
        "|" => "\\mid ",
        "and" => "\\text{ and }",
        "or" => "\\text{ or }",
        "[…]" => "[\\ldots]",
        " " => "\\ ",
        ": " => ":\\ ",
        other => other,
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '{' | '}' | '_' | '#' | '$' | '%' | '&' => {
                out.push('\\');
                out.push(c);
            }
            '^' => out.push_str("\\^{}"),
            '~' => out.push_str("\\~{}"),
            '₀'..='₉' => out.push_str(&format!("\\ensuremath{{_{}}}", c as u32 - '₀' as u32)),
            c => out.push(c),
        }
    }
    out
}
