//! MathML Core: a fragment of HTML that browsers show as it is.

use super::Detail;
use super::formula;
use super::greek::GREEK;
use super::lines::{Line, Page, Piece, Size, lines, size};
use crate::bound::derivation::{BoundDerivation, Derivation};
use crate::bound::math::{Clock, Math};

/// Of a line, in em: browsers break no formulas.
const WIDTH: f64 = 48.0;

/// One `<section>` a bound: the bound and its gradient as `<math>`, with [`Detail::Steps`] the
/// numbered steps before them. What a step puts in the place of what it changes is of class
/// `changed`.
pub fn mathml(derivation: &Derivation, detail: Detail) -> String {
    let mut out = String::new();
    for bound in &derivation.bounds {
        out.push_str("<section>\n");
        let title = bound.name.as_ref().map_or_else(
            || derivation.model.clone(),
            |name| format!("{}: {name}", derivation.model),
        );
        out.push_str(&format!("<h2>{}</h2>\n", escape(&title)));
        if detail == Detail::Steps {
            out.push_str("<ol>\n");
            for step in &bound.steps {
                let (before, after) = formula::step(bound, step);
                let after = match formula::set_apart(bound, step) {
                    Some(words) => Math::Word(words),
                    None => Math::row([formula::relation(step.relation), after]),
                };
                let before: String =
                    lines(&before, Page::set(WIDTH)).iter().map(|line| row(line, "")).collect();
                let after: String = lines(&after, Page::set(WIDTH))
                    .iter()
                    .map(|line| row(line, " class=\"changed\""))
                    .collect();
                out.push_str(&format!(
                    "<li><code>{}</code>\n{}</li>\n",
                    step.rule.name(),
                    display(&(before + &after))
                ));
            }
            out.push_str("</ol>\n");
        }
        out.push_str(&mathml_formulas(bound));
        out.push_str("</section>\n");
    }
    out
}

/// A bound and its gradient, as one `<math>` without a heading.
pub fn mathml_formulas(bound: &BoundDerivation) -> String {
    let bounds = std::iter::once(formula::bound(bound)).chain(
        formula::known_up_to(bound)
            .into_iter()
            .chain(formula::no_probability(bound))
            .chain(formula::imagined(bound))
            .map(Math::Word),
    );
    let formulas = bounds.chain(formula::gradients(bound));
    let rows = formulas.flat_map(|formula| lines(&formula, Page::set(WIDTH)));
    display(&rows.map(|line| row(&line, "")).collect::<String>())
}

fn display(rows: &str) -> String {
    format!(
        "<math xmlns=\"http://www.w3.org/1998/Math/MathML\" display=\"block\"><mtable \
         displaystyle=\"true\">\n{rows}</mtable></math>\n"
    )
}

/// A line as a row of a table, aligned at its left end.
fn row(line: &Line, class: &str) -> String {
    let pieces = line.pieces.iter().map(|piece| match piece {
        Piece::Math(math) => show(math),
        Piece::Sum { under, over } => sum(under, over.as_ref()),
        Piece::OpenExpectation => format!("{EXPECTATION}<mo form=\"prefix\">[</mo>"),
        Piece::CloseExpectation => "<mo form=\"postfix\">]</mo>".to_owned(),
        Piece::Open(size) => bracket("(", "prefix", *size),
        Piece::Close(size) => bracket(")", "postfix", *size),
    });
    let indent = if line.indent > 0 {
        format!("<mspace width=\"{}em\"/>", line.indent)
    } else {
        String::new()
    };
    format!(
        "<mtr{class}><mtd style=\"text-align: left\">{indent}<mrow>{}</mrow></mtd></mtr>\n",
        pieces.collect::<String>()
    )
}

const EXPECTATION: &str = "<msub><mi mathvariant=\"normal\">E</mi><mi>q</mi></msub>";

fn sum(under: &Math, over: Option<&Math>) -> String {
    let over = over.map(show).unwrap_or_default();
    format!("<munderover><mo>∑</mo><mrow>{}</mrow><mrow>{over}</mrow></munderover>", show(under))
}

fn show(math: &Math) -> String {
    match math {
        Math::Row(parts) => format!("<mrow>{}</mrow>", parts.iter().map(show).collect::<String>()),
        Math::Name(name) => identifier(name),
        Math::Number(text) => format!("<mn>{}</mn>", escape(text)),
        Math::Word(text) => format!("<mtext>{}</mtext>", escape(text)),
        Math::Operator(name) => {
            format!("<mi mathvariant=\"normal\">{}</mi>{}", escape(name), after_operator(name))
        }
        Math::Sign(sign @ ("+" | "−")) => format!("<mo form=\"infix\">{sign}</mo>"),
        Math::Sign("‖") => {
            "<mo form=\"infix\" stretchy=\"false\" lspace=\"0.3em\" rspace=\"0.3em\">‖</mo>"
                .to_owned()
        }
        Math::Sign("~") => "<mo>∼</mo>".to_owned(),
        Math::Sign(sign @ ("and" | "or")) => format!("<mtext>\u{a0}{sign}\u{a0}</mtext>"),
        Math::Sign(sign) => format!("<mo>{}</mo>", escape(sign)),
        Math::Mark("-") => "<mo>−</mo>".to_owned(),
        Math::Mark("|") => {
            "<mo form=\"infix\" stretchy=\"false\" lspace=\"0.2em\" rspace=\"0.2em\">|</mo>"
                .to_owned()
        }
        Math::Mark(mark @ ("·" | "." | "∇" | "Π" | "Σ" | "/")) => {
            format!("<mo lspace=\"0.06em\" rspace=\"0.06em\">{mark}</mo>")
        }
        Math::Mark(mark @ ("," | "=" | "+" | "−")) => format!("<mo>{mark}</mo>"),
        Math::Mark(" ") => "<mspace width=\"0.3em\"/>".to_owned(),
        Math::Mark(mark) => format!("<mtext>{}</mtext>", escape(mark)),
        Math::Indexed { base, index } => {
            let index = index.iter().map(show).collect::<Vec<_>>().join("<mo>,</mo>");
            format!("<msub><mrow>{}</mrow><mrow>{index}</mrow></msub>", show(base))
        }
        Math::Time(_) => show(&math.at(Clock::T)),
        Math::Span(from, to) => {
            let end = |part: &Option<Box<Math>>| part.as_deref().map(show).unwrap_or_default();
            format!("{}<mo>:</mo>{}", end(from), end(to))
        }
        Math::Sum { under, over, body } => sum(under, over.as_deref()) + &show(body),
        Math::Expectation(body) => {
            format!("{EXPECTATION}<mrow><mo>[</mo>{}<mo>]</mo></mrow>", show(body))
        }
        Math::Round(body) => {
            format!(
                "<mrow>{}{}{}</mrow>",
                bracket("(", "prefix", size(body)),
                show(body),
                bracket(")", "postfix", size(body))
            )
        }
        Math::Square(body) => {
            format!(
                "<mrow>{}{}{}</mrow>",
                bracket("[", "prefix", size(body)),
                show(body),
                bracket("]", "postfix", size(body))
            )
        }
        Math::Fraction(above, below) => {
            format!("<mfrac><mrow>{}</mrow><mrow>{}</mrow></mfrac>", show(above), show(below))
        }
        Math::Power(base, exponent) => {
            format!("<msup><mrow>{}</mrow><mrow>{}</mrow></msup>", show(base), show(exponent))
        }
        Math::Under(base, below) => {
            format!("<msub><mrow>{}</mrow><mrow>{}</mrow></msub>", show(base), show(below))
        }
    }
}

/// A bracket that grows with what it holds only where that is tall.
fn bracket(mark: &str, form: &str, size: Size) -> String {
    let stretchy = match size {
        Size::Text => " stretchy=\"false\"",
        Size::Display => "",
    };
    format!("<mo form=\"{form}\"{stretchy}>{mark}</mo>")
}

/// A name that is a Greek letter's is written as the letter.
fn identifier(name: &str) -> String {
    if name == "R̂" {
        return "<mover accent=\"true\"><mi>R</mi><mo stretchy=\"false\">^</mo></mover>".to_owned();
    }
    let letter = GREEK.iter().find(|(word, _)| *word == name).map_or(name, |(_, letter)| letter);
    format!("<mi>{}</mi>", escape(letter))
}

/// A function that takes its argument without brackets stands a little apart from it.
fn after_operator(name: &str) -> &'static str {
    if name == "log" { "<mspace width=\"0.17em\"/>" } else { "" }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
