//! Printed bounds and gradients, read back: a parser and an evaluator of the text that share
//! nothing with what printed it. What is read is held on random trajectories, with random tables in
//! the place of kernels, against what the derivation's own terms are worth there.

mod parse;
mod value;

use parse::{Node, parse};
use rlppl::bound::render::{Detail, json, text};
use rlppl::bound::{BoundDerivation, Change, Derivation, Term, derive};
use rlppl::model::Model;
use rlppl::verify::{Measure, Table, Trajectory};
use std::collections::BTreeSet;
use value::{Quantity, Reader, movers};

/// What `b` is taken for: its score has mean zero, but on one trajectory it counts.
const BASELINE: f64 = 0.37;
const TOLERANCE: f64 = 1e-9;

/// How much of a model was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Read {
    /// Formulas whose value was held against the derivation's.
    pub valued: usize,
    /// Formulas that were parsed and whose indices are bound, of bounds whose trajectories have no
    /// list.
    pub parsed: usize,
}

/// A printed formula and what it says.
struct Printed {
    text: String,
    node: Node,
}

/// Reads every formula that is printed of a model back, on `trajectories` of each bound.
///
/// # Errors
/// What does not parse, has a free index, or is worth something else than the derivation.
pub fn read_back(model: &Model, seed: u64, trajectories: usize) -> Result<Read, String> {
    let derivation = derive(model).map_err(|found| found.to_string())?;
    read_text(model, &derivation, &text(&derivation, Detail::Bound), (seed, trajectories))
}

/// The same of any text that stands for a derivation.
pub fn read_text(
    model: &Model,
    derivation: &Derivation,
    printed: &str,
    (seed, trajectories): (u64, usize),
) -> Result<Read, String> {
    let sections =
        printed.split("\nbound ").map(|section| section.strip_prefix("bound ").unwrap_or(section));
    let steps = json(derivation);
    let mut read = Read::default();
    for (number, (bound, section)) in derivation.bounds.iter().zip(sections).enumerate() {
        let mut terms = Vec::new();
        for (term, formula) in bound.terms.iter().zip(listed(section)) {
            terms.push((vec![term], closed(&formula)?));
        }
        if terms.len() != bound.terms.len() {
            return Err(format!("{} of {} terms are listed", terms.len(), bound.terms.len()));
        }
        let whole = between(&paragraph(section, "  "), "E_q[ ", " ]")?;
        terms.push((bound.terms.iter().collect(), closed(&whole)?));
        terms.extend(of_steps(bound, &steps["bounds"][number]["steps"])?);
        let gradient = gradient(section)?;
        match Measure::of(model, bound.bound, seed) {
            Err(_) => read.parsed += terms.len() + 1,
            Ok(mut measure) => {
                for _ in 0..trajectories {
                    let on = measure.draw().map_err(|why| why.to_string())?;
                    for (of, printed) in &terms {
                        let derived = measure.sum(bound, of, &on).map_err(|why| why.to_string())?;
                        hold(model, &mut measure, &on, printed, derived)?;
                    }
                    hold_gradient(model, bound, &mut measure, &on, &gradient)?;
                }
                read.valued += terms.len() + 1;
            }
        }
    }
    Ok(read)
}

fn hold<'m>(
    model: &'m Model,
    measure: &mut Measure<'m>,
    on: &Trajectory,
    printed: &Printed,
    derived: f64,
) -> Result<(), String> {
    let value = reader(model, measure, on, BTreeSet::new()).value(&printed.node)?.number()?;
    let agree = value.is_nan() && derived.is_nan()
        || value == derived
        || (value - derived).abs() <= TOLERANCE * derived.abs().max(1.0);
    if agree {
        Ok(())
    } else {
        Err(format!("`{}` reads as {value}; it stands for {derived}", printed.text))
    }
}

fn hold_gradient<'m>(
    model: &'m Model,
    bound: &BoundDerivation,
    measure: &mut Measure<'m>,
    on: &Trajectory,
    (names, printed): &(String, Printed),
) -> Result<(), String> {
    let moves = movers(model, names)?;
    let idle =
        moves.iter().find(|kernel| rlppl::model::kernel_parameters(model, **kernel).is_empty());
    if let Some(idle) = idle {
        return Err(format!("∇ in `{}`, which has no parameters", model.kernel(*idle).name));
    }
    let is_moving =
        |table: Table| matches!(table, Table::Current(kernel) if moves.contains(&kernel));
    let derived =
        measure.gradient(bound, &is_moving, BASELINE, on).map_err(|why| why.to_string())?;
    let value = match reader(model, measure, on, moves.clone()).value(&printed.node)? {
        Quantity::Moved(gradient) => gradient,
        Quantity::Number(0.0, _) => Default::default(),
        Quantity::Number(number, _) => return Err(format!("`{}` reads as {number}", printed.text)),
    };
    let scale = derived.iter().fold(1.0, |scale: f64, value| scale.max(value.abs()));
    let last = value.keys().last().map_or(0, |last| last + 1).max(derived.len());
    for at in 0..last {
        let (read, meant) =
            (value.get(&at).copied().unwrap_or(0.0), derived.get(at).copied().unwrap_or(0.0));
        if (read - meant).abs() > TOLERANCE * scale && !(read.is_nan() && meant.is_nan()) {
            return Err(format!(
                "`{}` reads as {read} in logit {at}; it stands for {meant}",
                printed.text
            ));
        }
    }
    Ok(())
}

fn reader<'a, 'm>(
    model: &'m Model,
    measure: &'a mut Measure<'m>,
    on: &'a Trajectory,
    moves: BTreeSet<rlppl::model::KernelId>,
) -> Reader<'a, 'm> {
    Reader { model, measure, on, moves, baseline: BASELINE, times: Vec::new() }
}

/// A formula without free indices.
fn closed(text: &str) -> Result<Printed, String> {
    let node = parse(text)?;
    let mut free = Vec::new();
    node.free(&mut Vec::new(), &mut free);
    match free.first() {
        None => Ok(Printed { text: text.to_owned(), node }),
        Some(index) => Err(format!("nothing binds `{index}` in `{text}`")),
    }
}

/// The lines of a formula that begins like `start`, as one.
fn paragraph(section: &str, start: &str) -> String {
    let lines = section.lines().skip_while(|line| !line.starts_with(start));
    let own = lines
        .enumerate()
        .take_while(|(at, line)| *at == 0 || line.starts_with("      "))
        .map(|(_, line)| line.trim());
    own.collect::<Vec<_>>().join(" ")
}

fn between(text: &str, before: &str, after: &str) -> Result<String, String> {
    let (_, rest) = text.split_once(before).ok_or_else(|| format!("no `{before}` in `{text}`"))?;
    rest.strip_suffix(after)
        .map(str::to_owned)
        .ok_or_else(|| format!("no `{after}` at the end of `{text}`"))
}

/// The numbered terms, each with its sign in front.
fn listed(section: &str) -> Vec<String> {
    let lines = section
        .lines()
        .skip_while(|line| !line.starts_with("terms, "))
        .skip(1)
        .take_while(|line| !line.is_empty());
    let mut terms: Vec<String> = Vec::new();
    for line in lines {
        let line = line.split("    (a constant: ").next().unwrap_or(line);
        match line
            .trim()
            .split_once(". ")
            .filter(|(number, _)| number.bytes().all(|b| b.is_ascii_digit()))
        {
            Some((_, term)) => terms.push(term.strip_prefix("+ ").unwrap_or(term).replacen(
                "− ",
                "−",
                usize::from(term.starts_with('−')),
            )),
            None => {
                let last = terms.last_mut().expect("a list of terms begins with a number");
                last.push(' ');
                last.push_str(line.trim());
            }
        }
    }
    terms
}

/// What the steps take away and put there, with the terms that they stand for.
fn of_steps<'d>(
    bound: &'d BoundDerivation,
    printed: &serde_json::Value,
) -> Result<Vec<(Vec<&'d Term>, Printed)>, String> {
    let mut read = Vec::new();
    for (step, printed) in bound.steps.iter().zip(printed.as_array().ok_or("no steps")?) {
        let Change::Terms { removed, added } = &step.change else { continue };
        let drafts = |ids: &[rlppl::bound::DraftId]| {
            ids.iter().map(|id| &bound.drafts[id.0 as usize]).collect::<Vec<_>>()
        };
        let side =
            |name: &str| printed[name].as_str().ok_or_else(|| format!("a step without `{name}`"));
        let after = side("after")?;
        if removed.is_empty() {
            read.push((drafts(added), closed(&between(after, "E_q[ ", " ]")?)?));
        } else {
            read.push((drafts(removed), closed(side("before")?)?));
            read.push((drafts(added), closed(after)?));
        }
    }
    Ok(read)
}

/// The names under ∇, and the estimate that stands behind it.
fn gradient(section: &str) -> Result<(String, Printed), String> {
    let at = section.find("\ngradient\n").ok_or("no gradient")?;
    let formula = paragraph(&section[at..], "  ∇");
    let (left, right) = formula
        .split_once(" L ")
        .or_else(|| formula.split_once("L "))
        .ok_or("a gradient of nothing")?;
    let names =
        left.trim_start_matches("∇").trim_start_matches("_{").trim_end_matches('}').to_owned();
    let right = right.trim_start_matches(['=', '≈', ' ']);
    let body = if right == "0" { "0".to_owned() } else { between(right, "E_q[ ", " ]")? };
    Ok((names, closed(&body)?))
}
