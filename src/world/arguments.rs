//! Distributions with other arguments.

use super::WorldError;
use crate::expr::ExprId;
use crate::model::{Distribution, Scores};

/// What becomes of a vector of arguments.
type Map<'f> = dyn FnMut(&[ExprId]) -> Result<Vec<ExprId>, WorldError> + 'f;

/// The same distribution with other arguments.
pub(super) fn map_arguments(
    distribution: &Distribution<Vec<ExprId>>,
    f: &mut Map<'_>,
) -> Result<Distribution<Vec<ExprId>>, WorldError> {
    Ok(match distribution {
        Distribution::Uniform => Distribution::Uniform,
        Distribution::UniformBox { lo, hi } => Distribution::UniformBox { lo: f(lo)?, hi: f(hi)? },
        Distribution::UniformOver(values) => {
            Distribution::UniformOver(values.iter().map(|v| f(v)).collect::<Result<_, _>>()?)
        }
        Distribution::Delta(value) => Distribution::Delta(f(value)?),
        Distribution::Categorical(scores) => Distribution::Categorical(map_scores(scores, f)?),
        Distribution::Bernoulli(scores) => Distribution::Bernoulli(map_scores(scores, f)?),
        Distribution::Real { family, arguments } => Distribution::Real {
            family: *family,
            arguments: arguments.iter().map(|of| f(of)).collect::<Result<_, _>>()?,
        },
        Distribution::Mixture(parts) => {
            let part = |(weight, part): &(Vec<ExprId>, Distribution<Vec<ExprId>>)| {
                Ok((f(weight)?, map_arguments(part, f)?))
            };
            Distribution::Mixture(parts.iter().map(part).collect::<Result<_, WorldError>>()?)
        }
        Distribution::If { condition, then, otherwise } => Distribution::If {
            condition: f(condition)?,
            then: Box::new(map_arguments(then, f)?),
            otherwise: Box::new(map_arguments(otherwise, f)?),
        },
        Distribution::Record(parts) => Distribution::Record(
            parts.iter().map(|part| map_arguments(part, f)).collect::<Result<_, _>>()?,
        ),
        Distribution::Sticky { last, keep, fresh } => Distribution::Sticky {
            last: *last,
            keep: f(keep)?,
            fresh: Box::new(map_arguments(fresh, f)?),
        },
        Distribution::Implicit(output) => Distribution::Implicit(f(output)?),
    })
}

fn map_scores(
    scores: &Scores<Vec<ExprId>>,
    f: &mut Map<'_>,
) -> Result<Scores<Vec<ExprId>>, WorldError> {
    Ok(match scores {
        Scores::Logits(logits) => Scores::Logits(f(logits)?),
        Scores::Probs(probs) => Scores::Probs(f(probs)?),
    })
}
