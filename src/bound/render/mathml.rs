//! MathML Core: a fragment of HTML that browsers show as it is.

use super::Detail;
use super::formula;
use crate::bound::derivation::Derivation;
use crate::bound::math::Math;

/// One `<section>` a bound: the bound and its gradient as `<math>`, with [`Detail::Steps`] the numbered steps before them.
pub fn mathml(derivation: &Derivation, detail: Detail) -> String {
    let mut out = String::new();
    for bound in &derivation.bounds {
        out.push_str("<section>\n");
        let title = bound.name.as_ref().map_or_else(|| derivation.model.clone(), |name| format!("{}: {name}", derivation.model));
        out.push_str(&format!("<h2>{}</h2>\n", escape(&title)));
        if detail == Detail::Steps {
            out.push_str("<ol>\n");
            for step in &bound.steps {
                let (before, after) = formula::step(bound, step);
                let formula = Math::row([before, formula::relation(step.relation), Math::Marked(Box::new(after))]);
                out.push_str(&format!("<li><code>{}</code> {}</li>\n", step.rule.name(), display(&formula)));
            }
            out.push_str("</ol>\n");
        }
        for formula in std::iter::once(formula::bound(bound)).chain(formula::gradients(bound)) {
            out.push_str(&format!("<p>{}</p>\n", display(&formula)));
        }
        out.push_str("</section>\n");
    }
    out
}

fn display(math: &Math) -> String {
    format!("<math xmlns=\"http://www.w3.org/1998/Math/MathML\" display=\"block\">{}</math>", show(math))
}

fn show(math: &Math) -> String {
    match math {
        Math::Row(parts) => format!("<mrow>{}</mrow>", parts.iter().map(show).collect::<String>()),
        Math::Name(name) => format!("<mi>{}</mi>", escape(name)),
        Math::Number(text) => format!("<mn>{}</mn>", escape(text)),
        Math::Word(text) => format!("<mtext>{}</mtext>", escape(text)),
        Math::Operator(name) => format!("<mi mathvariant=\"normal\">{}</mi><mspace width=\"0.17em\"/>", escape(name)),
        Math::Sign(sign) => format!("<mo>{}</mo>", escape(sign)),
        Math::Mark("-") => "<mo>−</mo>".to_owned(),
        Math::Mark(mark @ ("," | "·" | "|" | "=" | "+" | "−" | "/" | "∇" | "Π" | "Σ" | ".")) => format!("<mo>{mark}</mo>"),
        Math::Mark(mark) => format!("<mtext>{}</mtext>", escape(mark)),
        Math::Indexed { base, index } => {
            let index = index.iter().map(show).collect::<Vec<_>>().join("<mo>,</mo>");
            format!("<msub><mrow>{}</mrow><mrow>{index}</mrow></msub>", show(base))
        }
        Math::Time(_) => show(&math.at("t", 0)),
        Math::Span(from, to) => {
            let end = |part: &Option<Box<Math>>| part.as_deref().map(show).unwrap_or_default();
            format!("{}<mo>:</mo>{}", end(from), end(to))
        }
        Math::Sum { under, over, body } => {
            let over = over.as_deref().map(show).unwrap_or_default();
            format!("<munderover><mo>∑</mo><mrow>{}</mrow><mrow>{over}</mrow></munderover>{}", show(under), show(body))
        }
        Math::Expectation(body) => {
            format!("<msub><mi mathvariant=\"normal\">E</mi><mi>q</mi></msub><mrow><mo>[</mo>{}<mo>]</mo></mrow>", show(body))
        }
        Math::Round(body) => format!("<mrow><mo>(</mo>{}<mo>)</mo></mrow>", show(body)),
        Math::Square(body) => format!("<mrow><mo>[</mo>{}<mo>]</mo></mrow>", show(body)),
        Math::Fraction(above, below) => format!("<mfrac><mrow>{}</mrow><mrow>{}</mrow></mfrac>", show(above), show(below)),
        Math::Power(base, exponent) => format!("<msup><mrow>{}</mrow><mrow>{}</mrow></msup>", show(base), show(exponent)),
        Math::Under(base, below) => format!("<msub><mrow>{}</mrow><mrow>{}</mrow></msub>", show(base), show(below)),
        Math::Marked(body) => format!("<mrow class=\"changed\">{}</mrow>", show(body)),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
