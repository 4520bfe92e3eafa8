//! How messages of the checks name variables, steps and kernels: in the words of the model file.

use super::times::{Read, ReadKind, Steps, horizon};
use crate::model::{Domain, Environment, Index, KernelRef, Kind, Model, Target, TargetVariable};
use crate::source::Span;

/// `s`, `r`, `end`
pub fn name(model: &Model, variable: TargetVariable) -> &str {
    match variable {
        TargetVariable::Variable(id) => &model.variable(id).name,
        TargetVariable::Reward(environment, reward) => {
            &model.environment(environment).rewards[reward as usize].name
        }
        TargetVariable::End => "end",
    }
}

/// The actions of an environment's step: `a[t], b[t]`.
pub fn actions(model: &Model, environment: &Environment) -> String {
    let written = environment.actions.iter().map(|id| format!("{}[t]", model.variable(*id).name));
    written.collect::<Vec<_>>().join(", ")
}

/// `1`, `t`, `t+1`, `T`
pub fn index(model: &Model, index: Index) -> String {
    let shifted = |base: &str, by: i32| match by {
        0 => base.to_owned(),
        by => format!("{base}{by:+}"),
    };
    match index {
        Index::First => "1".to_owned(),
        Index::Step(k) => shifted("t", k),
        Index::Last(k) => shifted(&model.horizon.name, k),
    }
}

/// `s[t+1]`
pub fn at(model: &Model, variable: TargetVariable, place: Index) -> String {
    format!("{}[{}]", name(model, variable), index(model, place))
}

/// `weights(world)` or `s[t+1]`
pub fn target(model: &Model, target: Target) -> String {
    match target {
        Target::Variable { variable, index } => at(model, variable, index),
        Target::Weights(kernel) => format!("weights({})", model.kernel(kernel).name),
    }
}

/// `s[t]`, `o[t+1..t+2]`, `x[..t-1]`
pub fn read(model: &Model, read: &Read) -> String {
    match read.kind {
        ReadKind::One | ReadKind::Gain => at(model, read.variable, read.from),
        ReadKind::Window => format!(
            "{}[{}..{}]",
            name(model, read.variable),
            index(model, read.from),
            index(model, read.to)
        ),
        ReadKind::Sequence if read.from == Index::First => {
            format!("{}[..{}]", name(model, read.variable), index(model, read.to))
        }
        ReadKind::Sequence => {
            format!("{}[{}..]", name(model, read.variable), index(model, read.from))
        }
    }
}

/// A concrete step, in the words of the horizon: `1`, `7`, `T`, `T+1`.
pub fn step(model: &Model, step: i64) -> String {
    match step - horizon(model) {
        _ if step <= 1 => step.to_string(),
        0 => model.horizon.name.clone(),
        1 => format!("{}+1", model.horizon.name),
        _ => step.to_string(),
    }
}

/// `s[1]`, `s[2..T+1]`
pub fn steps(model: &Model, variable: TargetVariable, steps: Steps) -> String {
    let name = name(model, variable);
    if steps.from == steps.to {
        format!("{name}[{}]", step(model, steps.from))
    } else {
        format!("{name}[{}..{}]", step(model, steps.from), step(model, steps.to))
    }
}

/// `pi`, `previous pi`, `chain.transition`, or the text of a distribution in place.
pub fn kernel(model: &Model, kernel: &KernelRef, factor: Span) -> String {
    match kernel {
        KernelRef::Learned(id) => model.kernel(*id).name.clone(),
        KernelRef::Previous(id) => format!("previous {}", model.kernel(*id).name),
        KernelRef::Environment(id, part) => {
            format!("{}.{}", model.environment(*id).name, part.name())
        }
        KernelRef::Data(id) => model.data[id.0 as usize].name.clone(),
        KernelRef::InPlace(_) => {
            let text = text(model, factor);
            text.split_once('~').map_or(text, |(_, right)| right).trim().to_owned()
        }
    }
}

/// What the file says at `span`.
pub fn text(model: &Model, span: Span) -> &str {
    let source = model.sources.get(span.file as usize).map_or("", |source| &source.text);
    source.get(span.start as usize..span.end as usize).unwrap_or("")
}

/// Where `wanted` stands within `span`, white space aside; `span` itself where it does not.
pub fn find(model: &Model, span: Span, wanted: &str) -> Span {
    let text = text(model, span);
    let after_tilde = text.find(['~', '=']).map_or(0, |at| at + 1);
    for (start, _) in text.char_indices().filter(|(at, _)| *at >= after_tilde) {
        let before = text[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.') {
            continue;
        }
        let mut wanted_chars = wanted.chars().peekable();
        for (offset, c) in text[start..].char_indices() {
            if wanted_chars.peek() == Some(&c) {
                wanted_chars.next();
                if wanted_chars.peek().is_none() {
                    let end = start + offset + c.len_utf8();
                    return Span {
                        file: span.file,
                        start: span.start + start as u32,
                        end: span.start + end as u32,
                    };
                }
            } else if !c.is_whitespace() || offset == 0 {
                break;
            }
        }
    }
    span
}

/// What is wrong with a value of a variable: `10 is outside 0..9`; nothing where it lies in the
/// domain.
pub fn outside(domain: &Domain, value: &[f64]) -> Option<String> {
    outside_components(domain, value).or_else(|| {
        let finite = domain.finite.as_ref()?;
        finite
            .number(value)
            .is_none()
            .then(|| format!("{} is left out by the domain's `where`", domain.show(value)))
    })
}

/// The same, `where` aside.
pub fn outside_components(domain: &Domain, value: &[f64]) -> Option<String> {
    domain.components.iter().zip(value).find_map(|(component, &v)| {
        let what = match &component.kind {
            _ if v.is_nan() => "not a number".to_owned(),
            Kind::Integer { .. } | Kind::Names(_) | Kind::Bool if v.fract() != 0.0 => {
                format!("{v} is not a whole number")
            }
            Kind::Integer { lo, hi } if v < *lo as f64 || v > *hi as f64 => {
                format!("{v} is outside {lo}..{hi}")
            }
            Kind::Names(names) if v < 0.0 || v >= names.len() as f64 => {
                format!(
                    "{v} is none of the {} names {{ {} }}, counted from 0",
                    names.len(),
                    names.join(", ")
                )
            }
            Kind::Bool if v != 0.0 && v != 1.0 => format!("{v} is neither false nor true"),
            Kind::Real { .. } if v.is_infinite() => format!("{v} is not finite"),
            Kind::Real { lo, hi } if v < lo - slack(*lo) || v > hi + slack(*hi) => {
                format!("{v} is outside [{lo}, {hi}]")
            }
            Kind::Integer { .. } | Kind::Names(_) | Kind::Bool | Kind::Real { .. } => return None,
        };
        Some(if component.path.is_empty() { what } else { format!("{} = {what}", component.path) })
    })
}

/// Rounding may carry a real over its bound by this much.
pub fn slack(bound: f64) -> f64 {
    if bound.is_finite() { 1e-9 * bound.abs().max(1.0) } else { 0.0 }
}
