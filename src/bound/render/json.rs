//! JSON with a versioned schema, documented in `docs/bound-json.md`.

use super::formula;
use crate::bound::derivation::{BoundDerivation, Change, Derivation, NoiseForm, Relation};
use crate::bound::plain::plain;
use crate::bound::term::{Downstream, Moment, Sign, Term, TermKind, Times};
use serde_json::{Value, json};

/// Grows when a field changes its meaning or goes; new fields may come without it.
pub const SCHEMA_VERSION: u32 = 1;

/// The whole derivation: bounds, terms, steps and gradients, formulas as text.
pub fn json(derivation: &Derivation) -> Value {
    json!({
        "schema": SCHEMA_VERSION,
        "model": derivation.model,
        "bounds": derivation.bounds.iter().map(bound).collect::<Vec<_>>(),
    })
}

fn bound(bound: &BoundDerivation) -> Value {
    let density = |at| plain(&formula::density(bound, at));
    let gradient = &bound.gradient;
    let formulas: Vec<String> = formula::gradients(bound).iter().map(plain).collect();
    let kernels = |ids: &[crate::model::KernelId]| {
        ids.iter().map(|id| bound.notation.kernel(*id).to_owned()).collect::<Vec<_>>()
    };
    let scores = gradient.scores.iter().map(|score| {
        let credit = score.credit.iter().map(|credit| match credit.from {
            Downstream::Offset(written) => {
                let offset = formula::offset(bound, score, credit.term, written);
                json!({ "term": credit.term.0 + 1, "from": "offset", "offset": offset })
            }
            Downstream::All => json!({ "term": credit.term.0 + 1, "from": "all" }),
        });
        json!({
            "factor": density(score.factor),
            "kernel": score.kernel.map(|kernel| bound.notation.kernel(kernel)),
            "credit": credit.collect::<Vec<_>>(),
            "baseline_reads": plain(&formula::baseline(bound, score)),
        })
    });
    json!({
        "name": bound.name,
        "relation": relation(bound.relation),
        "bounds_a_probability": bound.bounds_a_probability(),
        "formula": plain(&formula::bound(bound)),
        "terms": bound.terms.iter().map(|of| term(bound, of)).collect::<Vec<_>>(),
        "cancelled": bound.cancelled.iter().map(|(_, q)| density(*q)).collect::<Vec<_>>(),
        "imagined": bound.imagined.iter().map(|of| json!({
            "kernel": of.by,
            "rollout": of.rollout,
        })).collect::<Vec<_>>(),
        "steps": bound.steps.iter().map(|step| {
            let (before, after) = formula::step(bound, step);
            let changes = match step.change {
                Change::Shape { .. } => "expression",
                Change::Terms { .. } => "terms",
            };
            json!({
                "rule": step.rule.name(),
                "relation": relation(step.relation),
                "changes": changes,
                "before": plain(&before),
                "after": plain(&after),
                "note": step.note,
            })
        }).collect::<Vec<_>>(),
        "gradient": {
            "formula": formulas.first(),
            "formulas": formulas,
            "over": kernels(&gradient.over),
            "scores": scores.collect::<Vec<_>>(),
            "pathwise": gradient.pathwise.iter().map(|path| json!({
                "term": path.term.0 + 1,
                "kernels": kernels(&path.kernels),
            })).collect::<Vec<_>>(),
            "reparameterised": gradient.reparameterised.iter().map(|draw| json!({
                "factor": density(draw.factor),
                "kernel": draw.kernel.map(|kernel| bound.notation.kernel(kernel)),
                "noise": match draw.form {
                    NoiseForm::Normal => "normal",
                    NoiseForm::TanhNormal => "tanh_normal",
                    NoiseForm::Implicit => "implicit",
                    NoiseForm::Quantile => "quantile",
                    NoiseForm::Part => "part",
                    NoiseForm::Point => "none",
                },
            })).collect::<Vec<_>>(),
            "through": gradient.through.iter().map(|term| term.0 + 1).collect::<Vec<_>>(),
            "mean_fields": gradient.mean_fields.iter().map(|field| json!({
                "factor": plain(&bound.notation.draw(field.factor)),
                "kernel": bound.notation.kernel(field.kernel),
                "parameters": { "mean": field.weights, "sd": field.weights },
                "estimator": "pathwise",
                "scores": field.scores.iter().map(|factor| density(*factor)).collect::<Vec<_>>(),
                "through": field.through.iter().map(|term| term.0 + 1).collect::<Vec<_>>(),
                "closed_form": field.divergence.map(|term| term.0 + 1),
            })).collect::<Vec<_>>(),
            "remarks": gradient.remarks.iter().map(|remark| remark.0.clone()).collect::<Vec<_>>(),
        },
    })
}

fn term(bound: &BoundDerivation, term: &Term) -> Value {
    let (sign, math) = formula::term(bound, term);
    json!({
        "kind": kind(&term.kind),
        "sign": match sign { Sign::Plus => 1, Sign::Minus => -1 },
        "formula": plain(&math),
        "times": times(formula::steps(bound, term).times),
        "live": term.live,
    })
}

fn kind(kind: &TermKind) -> &'static str {
    match kind {
        TermKind::Exponent { .. } => "exponent",
        TermKind::LogDensity { .. } => "log_density",
        TermKind::LogFactor { .. } => "log_factor",
        TermKind::Kl { .. } => "kl",
        TermKind::Entropy { .. } => "entropy",
        TermKind::LogCount { .. } => "log_count",
        TermKind::LogRatio { .. } => "log_ratio",
        TermKind::DensityRatio { .. } => "density_ratio",
        TermKind::Constant { .. } => "constant",
    }
}

fn times(times: Times) -> Value {
    let moment = |moment| match moment {
        Moment::First(k) => (1 + i64::from(k)).to_string(),
        Moment::Last(0) => "T".to_owned(),
        Moment::Last(k) => format!("T{k:+}"),
    };
    json!({ "from": moment(times.from), "to": moment(times.to) })
}

fn relation(relation: Relation) -> &'static str {
    match relation {
        Relation::Equal => "=",
        Relation::AtLeast => ">=",
        Relation::Approximately => "~",
    }
}
