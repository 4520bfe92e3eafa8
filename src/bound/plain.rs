//! Formulas as plain text on one line.

use super::math::{Clock, Math};

/// A formula on one line.
pub fn plain(math: &Math) -> String {
    let mut out = String::new();
    write(&mut out, math);
    out
}

pub fn write(out: &mut String, math: &Math) {
    match math {
        Math::Row(parts) => parts.iter().for_each(|part| write(out, part)),
        Math::Name(text) | Math::Number(text) | Math::Word(text) => out.push_str(text),
        Math::Operator(name) => {
            out.push_str(name);
            // a function that takes its argument without brackets
            if *name == "log" || *name == "exp" {
                out.push(' ');
            }
        }
        Math::Sign(sign) => {
            out.push(' ');
            out.push_str(sign);
            out.push(' ');
        }
        Math::Mark(",") => out.push_str(", "),
        Math::Mark(mark) => out.push_str(mark),
        Math::Indexed { base, index } => {
            write(out, base);
            out.push('[');
            for (number, part) in index.iter().enumerate() {
                if number > 0 {
                    out.push_str(", ");
                }
                write(out, part);
            }
            out.push(']');
        }
        Math::Time(_) => write(out, &math.at(Clock::T)),
        Math::Span(from, to) => {
            from.iter().for_each(|part| write(out, part));
            out.push_str("..");
            to.iter().for_each(|part| write(out, part));
        }
        Math::Sum { under, over, body } => {
            write_sum(out, under, over.as_deref());
            write(out, body);
        }
        Math::Expectation(body) => {
            out.push_str("E_q[ ");
            write(out, body);
            out.push_str(" ]");
        }
        Math::Round(body) => {
            let inner = plain(body);
            close_up(out);
            let roomy = inner.contains("Σ_") || body_is_sum(body);
            out.push_str(if roomy { "( " } else { "(" });
            out.push_str(&inner);
            out.push_str(if roomy { " )" } else { ")" });
        }
        Math::Square(body) => {
            out.push('[');
            write(out, body);
            out.push(']');
        }
        Math::Fraction(above, below) => {
            write(out, above);
            out.push_str(" / ");
            write(out, below);
        }
        Math::Power(base, exponent) => {
            write(out, base);
            out.push('^');
            let exponent = plain(exponent);
            if exponent.chars().all(char::is_alphanumeric) {
                out.push_str(&exponent);
            } else {
                out.push('(');
                out.push_str(&exponent);
                out.push(')');
            }
        }
        Math::Under(base, below) => match &**below {
            Math::Word(word) => {
                out.push_str(word);
                out.push(' ');
                write(out, base);
            }
            below => {
                write(out, base);
                out.push_str("_{");
                write(out, below);
                out.push_str("} ");
            }
        },
    }
}

/// `log p( … )` would read as a product: a bracket closes up to what it belongs to.
pub fn close_up(out: &mut String) {
    while out.ends_with(' ') && (out.ends_with("log ") || out.ends_with("exp ")) {
        out.pop();
    }
}

pub fn write_sum(out: &mut String, under: &Math, over: Option<&Math>) {
    out.push_str("Σ_{");
    write_limits(out, under, over);
    out.push_str("} ");
}

/// `t=1..T, live`
pub fn write_limits(out: &mut String, under: &Math, over: Option<&Math>) {
    let Math::Row(parts) = under else { return write(out, under) };
    let (start, rest) = parts.split_at(parts.len().min(3));
    start.iter().for_each(|part| write(out, part));
    if let Some(over) = over {
        out.push_str("..");
        write(out, over);
    }
    rest.iter().for_each(|part| write(out, part));
}

fn body_is_sum(body: &Math) -> bool {
    let is_sum = |part: &Math| matches!(part, Math::Sign("+" | "−"));
    matches!(body, Math::Row(parts) if parts.iter().any(is_sum))
}
