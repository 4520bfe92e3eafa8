//! Text with Unicode mathematics.

use super::Detail;
use super::formula;
use super::lines::{Page, Piece, lines};
use crate::bound::derivation::{BoundDerivation, Change, Derivation, MeanField, NoiseForm};
use crate::bound::math::Math;
use crate::bound::plain::{close_up, plain, write, write_sum};
use crate::bound::term::{Sign, TermId, TermKind};
use std::fmt::Write as _;

/// Columns of a line, where the signs of its formula allow that.
const WIDTH: usize = 100;

/// The whole derivation as text: the bound, its terms, what cancelled, the gradient, and (with
/// [`Detail::Steps`]) every step. Long formulas are broken before their signs.
pub fn text(derivation: &Derivation, detail: Detail) -> String {
    let mut out = String::new();
    for (number, bound) in derivation.bounds.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        write_bound(&mut out, &derivation.model, bound, detail);
    }
    out
}

fn write_bound(out: &mut String, model: &str, bound: &BoundDerivation, detail: Detail) {
    let title = match &bound.name {
        Some(name) => format!("bound {name} of {model}"),
        None => format!("bound of {model}"),
    };
    line(out, &title);
    line(out, "");
    display(out, "  ", &formula::bound(bound), "");
    for what in formula::known_up_to(bound).into_iter().chain(formula::no_probability(bound)) {
        line(out, &format!("  {what}"));
    }
    line(out, "");

    line(out, "terms, in nats");
    for (number, term) in bound.terms.iter().enumerate() {
        let (sign, math) = formula::term(bound, term);
        let constant = match &term.kind {
            TermKind::Constant { name, .. } => format!("    (a constant: {name})"),
            _ => String::new(),
        };
        display(out, &format!("  {}. {} ", number + 1, sign_text(sign)), &math, &constant);
    }
    if !bound.cancelled.is_empty() {
        line(out, "");
        line(out, "cancelled, with the same kernel and arguments in prior and posterior");
        for (_, q) in &bound.cancelled {
            line(out, &format!("  {}", plain(&formula::density(bound, *q))));
        }
    }
    if !bound.imagined.is_empty() {
        line(out, "");
        line(out, "imagined and cancelled, drawn alike in prior and posterior at each step");
        for imagined in &bound.imagined {
            line(out, &format!("  {} of {}", imagined.rollout, imagined.by));
        }
    }
    let notes: Vec<(&str, &str)> = bound
        .steps
        .iter()
        .filter_map(|step| Some((step.rule.name(), step.note.as_deref()?)))
        .collect();
    if !notes.is_empty() {
        line(out, "");
        line(out, "because");
        for (rule, note) in notes {
            line(out, &format!("  {rule}: {note}"));
        }
    }
    if detail == Detail::Steps {
        line(out, "");
        write_steps(out, bound);
    }
    line(out, "");
    write_gradient(out, bound);
}

fn write_steps(out: &mut String, bound: &BoundDerivation) {
    line(out, "derivation (the changed terms stand between « and »)");
    for (number, step) in bound.steps.iter().enumerate() {
        let (before, after) = formula::step(bound, step);
        let label = format!("{:>4}. {:<13} ", number + 1, step.rule.name());
        let changed = |formula: Math| match &step.change {
            Change::Terms { removed, .. } if !removed.is_empty() => {
                Math::row([Math::Mark("«"), formula, Math::Mark("»")])
            }
            Change::Terms { .. } | Change::Shape { .. } => formula,
        };
        let told = match formula::set_apart(bound, step) {
            Some(words) => Math::row([changed(before), Math::Word(words)]),
            None => Math::row([changed(before), formula::relation(step.relation), changed(after)]),
        };
        display(out, &label, &told, "");
    }
}

fn write_gradient(out: &mut String, bound: &BoundDerivation) {
    let gradient = &bound.gradient;
    line(out, "gradient");
    for formula in formula::gradients(bound) {
        display(out, "  ", &formula, "");
    }
    for score in &gradient.scores {
        let density = plain(&formula::density(bound, score.factor));
        line(
            out,
            &format!(
                "  b of {density} may read {}; it is fitted before the batch",
                plain(&formula::baseline(bound, score))
            ),
        );
        if bound.cancelled.iter().any(|(_, q)| *q == score.factor) {
            line(out, &format!("  {density} cancelled in the bound; its score stays"));
        }
    }
    for draw in &gradient.reparameterised {
        let what = plain(&formula::draw(bound, draw.factor));
        let scaled = if draw.form == NoiseForm::TanhNormal { ", scaled to its bounds" } else { "" };
        let noise = if draw.form == NoiseForm::Quantile { "u" } else { "ε" };
        let more = match draw.form {
            NoiseForm::Part => {
                format!("; no parameter moves {noise}, and its part j has a score beside it")
            }
            NoiseForm::Point => String::new(),
            NoiseForm::Normal
            | NoiseForm::TanhNormal
            | NoiseForm::Implicit
            | NoiseForm::Quantile => format!("; no parameter moves {noise}"),
        };
        line(out, &format!("  ∇ passes through {what}{scaled}{more}"));
    }
    for field in &gradient.mean_fields {
        line(out, &format!("  {}", path(bound, field)));
    }
    for remark in &gradient.remarks {
        line(out, &format!("  note: {}", remark.0));
    }
}

/// How the means and standard deviations of drawn weights get their gradient.
fn path(bound: &BoundDerivation, field: &MeanField) -> String {
    let weights = plain(&bound.notation.draw(field.factor));
    let terms =
        |ids: &[TermId]| ids.iter().map(|id| (id.0 + 1).to_string()).collect::<Vec<_>>().join(", ");
    let mut text =
        format!("a mean and an sd for each of the {} numbers of {weights} move", field.weights);
    if !field.through.is_empty() {
        text.push_str(&format!(
            ": pathwise through the drawn weights in {}",
            counted("term", &field.through, &terms(&field.through))
        ));
    }
    if !field.scores.is_empty() {
        let densities: Vec<String> =
            field.scores.iter().map(|factor| plain(&formula::density(bound, *factor))).collect();
        text.push_str(&format!(
            ", in the {} of {}",
            counted("score", &field.scores, ""),
            densities.join(", ")
        ));
    }
    if let Some(divergence) = field.divergence {
        text.push_str(&format!(", in closed form in term {}", divergence.0 + 1));
    }
    text
}

fn counted<T>(word: &str, items: &[T], names: &str) -> String {
    format!("{word}{} {names}", if items.len() == 1 { "" } else { "s" }).trim_end().to_owned()
}

fn sign_text(sign: Sign) -> &'static str {
    match sign {
        Sign::Plus => "+",
        Sign::Minus => "−",
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string can be written to");
}

/// A formula after `label` and before `remark`, in lines under each other where one is too long.
fn display(out: &mut String, label: &str, math: &Math, remark: &str) {
    let left = columns(label);
    let page = Page {
        width: (WIDTH - left) as f64,
        indent: INDENT as f64,
        short: 24.0,
        piece: |piece| columns(&show(piece)) as f64,
    };
    let rows = lines(math, page);
    for (number, row) in rows.iter().enumerate() {
        let mut text = String::new();
        row.pieces.iter().for_each(|piece| put(&mut text, piece));
        let before =
            if number == 0 { label.to_owned() } else { " ".repeat(left + INDENT * row.indent) };
        let after = if number + 1 == rows.len() { remark } else { "" };
        // a sign at the beginning of a line has no space before it
        line(out, &format!("{before}{}{after}", text.trim()));
    }
}

/// Of one level of a broken formula.
const INDENT: usize = 4;

fn columns(text: &str) -> usize {
    text.chars().count()
}

fn show(piece: &Piece) -> String {
    let mut out = String::new();
    put(&mut out, piece);
    out
}

fn put(out: &mut String, piece: &Piece) {
    match piece {
        Piece::Math(math) => write(out, math),
        Piece::Sum { under, over } => write_sum(out, under, over.as_ref()),
        Piece::OpenExpectation => out.push_str("E_q[ "),
        Piece::CloseExpectation => out.push_str(" ]"),
        Piece::Open(_) => {
            close_up(out);
            out.push_str("( ");
        }
        Piece::Close(_) => out.push_str(" )"),
    }
}
