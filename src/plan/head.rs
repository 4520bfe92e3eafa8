//! How a kernel over an action or an option is computed: which layers of the network give the
//! numbers of its distribution.

use crate::family::{Family, Squash};
use crate::model::{Distribution, Domain, Kind, LayerId, Model, Scores};

/// The family of a distribution and the layers of its numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    /// Logits, one per value.
    Categorical { logits: LayerId, outcomes: usize },
    /// The second of two values has probability `sigmoid` of a number.
    Bernoulli { logit: LayerId },
    /// Stays at the kernel's given number `last` with probability `keep`, else draws afresh from
    /// the logits.
    Sticky { last: usize, keep: LayerId, fresh: LayerId, outcomes: usize },
    /// A layer for each argument of the family, of a number per component; `bounds` are those of
    /// the components, infinite where there are none.
    Real { family: Family, arguments: Vec<LayerId>, bounds: Vec<(f64, f64)> },
    /// A normal for each weight; weights count relative to their sum.
    Mixture { weights: Vec<LayerId>, means: Vec<LayerId>, sds: Vec<LayerId>, width: usize },
    /// A mixture of other parts than normals; weights count relative to their sum.
    Blend { weights: Vec<LayerId>, parts: Vec<Head>, width: usize },
    /// Independent parts, not all of one family over real numbers, nor all over finitely many
    /// values.
    Record(Vec<Field>),
    /// What the layer computes, from noise or without any: drawn, and without a density.
    Implicit { sample: LayerId, width: usize },
}

/// A part of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub head: Head,
    pub domain: Domain,
}

impl Head {
    /// The layers, in the order in which a network computes them.
    pub fn layers(&self) -> Vec<LayerId> {
        match self {
            Head::Categorical { logits, .. } => vec![*logits],
            Head::Bernoulli { logit } => vec![*logit],
            Head::Sticky { keep, fresh, .. } => vec![*fresh, *keep],
            Head::Real { arguments, .. } => arguments.clone(),
            Head::Mixture { weights, means, sds, .. } => [&weights[..], means, sds].concat(),
            Head::Record(fields) => fields.iter().flat_map(|field| field.head.layers()).collect(),
            Head::Blend { weights, parts, .. } => {
                weights.iter().copied().chain(parts.iter().flat_map(Head::layers)).collect()
            }
            Head::Implicit { sample, .. } => vec![*sample],
        }
    }

    /// Over finitely many values.
    pub fn is_finite(&self) -> bool {
        self.outcomes().is_some()
    }

    /// How many values it is over, where these are finite.
    pub fn outcomes(&self) -> Option<usize> {
        match self {
            Head::Categorical { outcomes, .. } | Head::Sticky { outcomes, .. } => Some(*outcomes),
            Head::Bernoulli { .. } => Some(2),
            Head::Real { .. }
            | Head::Mixture { .. }
            | Head::Blend { .. }
            | Head::Record(_)
            | Head::Implicit { .. } => None,
        }
    }

    /// Its Fisher information and its divergence from another of its family have closed forms.
    pub fn has_metric(&self) -> bool {
        match self {
            Head::Categorical { .. } | Head::Bernoulli { .. } | Head::Sticky { .. } => true,
            Head::Real { family, .. } => {
                family.as_normal().is_some() || family.has_fisher() && family.has_divergence()
            }
            Head::Record(fields) => fields.iter().all(|field| field.head.has_metric()),
            Head::Mixture { .. } | Head::Blend { .. } | Head::Implicit { .. } => false,
        }
    }

    /// What it is called in a model.
    pub fn name(&self) -> &'static str {
        match self {
            Head::Categorical { .. } => "Categorical",
            Head::Bernoulli { .. } => "Bernoulli",
            Head::Sticky { .. } => "Sticky",
            Head::Real { family, .. } => family.name(),
            Head::Mixture { .. } | Head::Blend { .. } => "Mixture",
            Head::Record(_) => "record",
            Head::Implicit { .. } => "Implicit",
        }
    }

    /// Drawn before it is squashed: its draws are not its values.
    pub fn is_squashed(&self) -> bool {
        match self {
            Head::Real { family, .. } => family.as_normal() == Some(Squash::Tanh),
            Head::Record(fields) => fields.iter().any(|field| field.head.is_squashed()),
            Head::Categorical { .. }
            | Head::Bernoulli { .. }
            | Head::Sticky { .. }
            | Head::Mixture { .. }
            | Head::Blend { .. }
            | Head::Implicit { .. } => false,
        }
    }

    /// Its draws are smooth functions of noise, through which a gradient passes.
    pub fn is_smooth(&self) -> bool {
        match self {
            Head::Real { family, .. } => family.has_path(),
            Head::Record(fields) => fields.iter().all(|field| field.head.is_smooth()),
            Head::Implicit { .. } => true,
            Head::Categorical { .. }
            | Head::Bernoulli { .. }
            | Head::Sticky { .. }
            | Head::Blend { .. }
            | Head::Mixture { .. } => false,
        }
    }

    /// A part of it lies between bounds of its own.
    fn has_own_bounds(&self) -> bool {
        match self {
            Head::Real { family, .. } => *family == Family::between(),
            Head::Record(fields) => fields.iter().any(|field| field.head.has_own_bounds()),
            Head::Blend { parts, .. } => parts.iter().any(Head::has_own_bounds),
            Head::Categorical { .. }
            | Head::Bernoulli { .. }
            | Head::Sticky { .. }
            | Head::Mixture { .. }
            | Head::Implicit { .. } => false,
        }
    }

    /// A normal that is not squashed.
    pub fn is_normal(&self) -> bool {
        matches!(self, Head::Real { family, .. } if family.is_normal())
    }

    /// Both are of one family over the same values, so that their divergence has a closed form
    /// here.
    pub fn is_like(&self, other: &Head) -> bool {
        match (self, other) {
            (Head::Categorical { outcomes: a, .. }, Head::Categorical { outcomes: b, .. }) => {
                a == b
            }
            (Head::Bernoulli { .. }, Head::Bernoulli { .. }) => true,
            (
                Head::Real { family: a, bounds: of_a, .. },
                Head::Real { family: b, bounds: of_b, .. },
            ) => a == b && of_a == of_b && a.has_divergence(),
            (Head::Record(a), Head::Record(b)) => {
                let alike = |(a, b): (&Field, &Field)| a.head.is_like(&b.head);
                a.len() == b.len() && a.iter().zip(b).all(alike)
            }
            (Head::Categorical { .. } | Head::Sticky { .. } | Head::Real { .. }, _)
            | (Head::Bernoulli { .. } | Head::Record(_), _)
            | (Head::Mixture { .. } | Head::Blend { .. } | Head::Implicit { .. }, _) => false,
        }
    }
}

/// The head of the distribution over `domain` of a kernel with so many outputs; else what it is, in
/// words.
pub fn head(
    model: &Model,
    outputs: usize,
    distribution: &Distribution<LayerId>,
    domain: &Domain,
) -> Result<Head, String> {
    let width = |layer: LayerId| model.network.layer(layer).width;
    match distribution {
        Distribution::Categorical(Scores::Logits(logits)) => {
            Ok(Head::Categorical { logits: *logits, outcomes: width(*logits) })
        }
        Distribution::Real { family, arguments } => {
            if let Some(other) = arguments.iter().find(|of| width(**of) != domain.width()) {
                return Err(format!(
                    "a `{}` with an argument of {} numbers over {} components",
                    family.name(),
                    width(*other),
                    domain.width()
                ));
            }
            let bounds = domain.components.iter().map(|component| match component.kind {
                Kind::Real { lo, hi } => (lo, hi),
                Kind::Integer { lo, hi } => (lo as f64, hi as f64),
                Kind::Names(_) | Kind::Bool => (0.0, 1.0),
            });
            Ok(Head::Real {
                family: *family,
                arguments: arguments.clone(),
                bounds: bounds.collect(),
            })
        }
        Distribution::Record(parts) => match &parts[..] {
            [only] => head(model, outputs, only, domain),
            parts => {
                let fields = parts.iter().enumerate().map(|(at, part)| {
                    let domain = domain.field(at);
                    Ok(Field { head: head(model, outputs, part, &domain)?, domain })
                });
                let fields: Vec<Field> = fields.collect::<Result<_, String>>()?;
                match fields.iter().any(|field| matches!(field.head, Head::Implicit { .. })) {
                    true => Err("a record with a part that has no density".into()),
                    false => Ok(Head::Record(fields)),
                }
            }
        },
        Distribution::Bernoulli(Scores::Logits(logit)) => Ok(Head::Bernoulli { logit: *logit }),
        Distribution::Categorical(Scores::Probs(_)) | Distribution::Bernoulli(Scores::Probs(_)) => {
            Err("of probabilities that no layer computes".into())
        }
        Distribution::Uniform | Distribution::UniformBox { .. } => Err(
            "uniform between bounds of its own: what it can draw moves with them, and no score \
             says how"
                .into(),
        ),
        Distribution::Delta(_) if domain.is_finite() => Err(
            "a `Delta` of a network over finitely many values: it jumps from one to another, and \
             no gradient says where to"
                .into(),
        ),
        // what it computes is drawn as it is
        Distribution::Delta(value) if width(*value) == domain.width() => {
            Ok(Head::Implicit { sample: *value, width: domain.width() })
        }
        Distribution::Delta(_) | Distribution::UniformOver(_) => {
            Err("without a density: it has point masses on a continuous domain".into())
        }
        Distribution::Mixture(parts) => {
            let weights: Vec<LayerId> = parts.iter().map(|(weight, _)| *weight).collect();
            let width = domain.width();
            let normals = parts.iter().map(|(_, part)| part.as_normal());
            if let Some(normals) = normals.collect::<Option<Vec<_>>>() {
                let (means, sds) = normals.into_iter().unzip();
                return Ok(Head::Mixture { weights, means, sds, width });
            }
            let heads = parts.iter().map(|(_, part)| head(model, outputs, part, domain));
            let parts: Vec<Head> = heads.collect::<Result<_, String>>()?;
            if parts.iter().any(|part| matches!(part, Head::Implicit { .. })) {
                return Err("a `Mixture` with a part that has no density".into());
            }
            if parts.iter().any(Head::has_own_bounds) {
                return Err("a `Mixture` with a part that is uniform between bounds of its own: \
                            where another part draws beyond them its density jumps"
                    .into());
            }
            Ok(Head::Blend { weights, parts, width })
        }
        Distribution::If { .. } => Err("of branches that no layer weighs".into()),
        Distribution::Sticky { last, keep, fresh } => match **fresh {
            Distribution::Categorical(Scores::Logits(fresh)) => Ok(Head::Sticky {
                last: *last as usize - outputs,
                keep: *keep,
                fresh,
                outcomes: width(fresh),
            }),
            _ => Err("a `Sticky`, which has a point mass on a continuous domain".into()),
        },
        Distribution::Implicit(sample) => match (width(*sample), domain.width()) {
            (found, components) if found == components => {
                Ok(Head::Implicit { sample: *sample, width: components })
            }
            (found, components) => {
                Err(format!("an `Implicit` of {found} numbers over {components} components"))
            }
        },
    }
}
