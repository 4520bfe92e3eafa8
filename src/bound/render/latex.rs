//! LaTeX, for the `amsmath` package: a fragment to paste into a paper.

use super::Detail;
use super::formula;
use crate::bound::derivation::Derivation;
use crate::bound::math::Math;

/// The bound and its gradient in an `align*`, with [`Detail::Steps`] the derivation before them.
pub fn latex(derivation: &Derivation, detail: Detail) -> String {
    let mut out = format!("% {}; needs \\usepackage{{amsmath,amssymb}}\n", derivation.model);
    for bound in &derivation.bounds {
        if let Some(name) = &bound.name {
            out.push_str(&format!("\\paragraph{{{}}}\n", escape(name)));
        }
        if detail == Detail::Steps {
            out.push_str("\\begin{align*}\n");
            let last = bound.steps.len().saturating_sub(1);
            for (number, step) in bound.steps.iter().enumerate() {
                let (before, after) = formula::step(bound, step);
                let relation = formula::relation(step.relation);
                let end = if number == last { "" } else { "\\\\" };
                out.push_str(&format!(
                    "  {} &{} {} && \\text{{({}. {})}}{end}\n",
                    show(&before),
                    show(&relation),
                    show(&after),
                    number + 1,
                    escape(step.rule.name())
                ));
            }
            out.push_str("\\end{align*}\n");
        }
        out.push_str("\\begin{gather*}\n");
        let formulas: Vec<String> =
            std::iter::once(formula::bound(bound)).chain(formula::gradients(bound)).map(|math| show(&math)).collect();
        out.push_str(&format!("  {}\n", formulas.join(" \\\\\n  ")));
        out.push_str("\\end{gather*}\n");
    }
    out
}

fn show(math: &Math) -> String {
    match math {
        Math::Row(parts) => parts.iter().map(show).collect::<Vec<_>>().join(" "),
        Math::Name(name) => identifier(name),
        Math::Number(text) => text.replace('_', ""),
        Math::Word(text) => format!("\\text{{{}}}", escape(text)),
        Math::Operator(name) => operator(name),
        Math::Sign(sign) | Math::Mark(sign) => mark(sign).to_owned(),
        Math::Indexed { base, index } => format!("{}_{{{}}}", show(base), index.iter().map(show).collect::<Vec<_>>().join(",")),
        Math::Time(_) => show(&math.at("t", 0)),
        Math::Span(from, to) => {
            let end = |part: &Option<Box<Math>>| part.as_deref().map(show).unwrap_or_default();
            format!("{}{{:}}{}", end(from), end(to))
        }
        Math::Sum { under, over, body } => {
            let over = over.as_deref().map(|over| format!("^{{{}}}", show(over))).unwrap_or_default();
            format!("\\sum_{{{}}}{over} {}", show(under), show(body))
        }
        Math::Expectation(body) => format!("\\mathbb{{E}}_q\\Bigl[ {} \\Bigr]", show(body)),
        Math::Round(body) => {
            let inner = show(body);
            if inner.contains("\\sum") || inner.contains("\\frac") { format!("\\Bigl( {inner} \\Bigr)") } else { format!("({inner})") }
        }
        Math::Square(body) => format!("[{}]", show(body)),
        Math::Fraction(above, below) => format!("\\frac{{{}}}{{{}}}", show(above), show(below)),
        Math::Power(base, exponent) => format!("{{{}}}^{{{}}}", show(base), show(exponent)),
        Math::Under(base, below) => match &**below {
            Math::Word(word) => format!("{{{}}}_{{\\text{{{}}}}}", show(base), escape(word)),
            below => format!("{}_{{{}}}", show(base), show(below)),
        },
        Math::Marked(body) => format!("\\boxed{{{}}}", show(body)),
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
            name.chars().map(|c| greek(&c.to_string()).unwrap_or_else(|| escape(&c.to_string()))).collect::<String>()
        ),
    }
}

/// Names and letters of the Greek alphabet, as TeX knows them.
const GREEK: [(&str, &str); 33] = [
    ("alpha", "α"),
    ("beta", "β"),
    ("gamma", "γ"),
    ("delta", "δ"),
    ("epsilon", "ε"),
    ("zeta", "ζ"),
    ("eta", "η"),
    ("theta", "θ"),
    ("iota", "ι"),
    ("kappa", "κ"),
    ("lambda", "λ"),
    ("mu", "μ"),
    ("nu", "ν"),
    ("xi", "ξ"),
    ("pi", "π"),
    ("rho", "ρ"),
    ("sigma", "σ"),
    ("tau", "τ"),
    ("upsilon", "υ"),
    ("phi", "φ"),
    ("chi", "χ"),
    ("psi", "ψ"),
    ("omega", "ω"),
    ("Gamma", "Γ"),
    ("Delta", "Δ"),
    ("Theta", "Θ"),
    ("Lambda", "Λ"),
    ("Xi", "Ξ"),
    ("Pi", "Π"),
    ("Sigma", "Σ"),
    ("Phi", "Φ"),
    ("Psi", "Ψ"),
    ("Omega", "Ω"),
];

fn greek(name: &str) -> Option<String> {
    GREEK.iter().find(|(word, letter)| *word == name || *letter == name).map(|(word, _)| format!("\\{word} ").trim_end().to_owned() + "{}")
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
