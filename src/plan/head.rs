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
    /// What the layer computes from noise: drawn, and without a density.
    Implicit { sample: LayerId, width: usize },
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
            Head::Real { .. } | Head::Mixture { .. } | Head::Implicit { .. } => None,
        }
    }

    /// Its Fisher information and its divergence from another of its family have closed forms.
    pub fn has_metric(&self) -> bool {
        match self {
            Head::Categorical { .. } | Head::Bernoulli { .. } | Head::Sticky { .. } => true,
            Head::Real { family, .. } => {
                family.as_normal().is_some() || family.has_fisher() && family.has_divergence()
            }
            Head::Mixture { .. } | Head::Implicit { .. } => false,
        }
    }

    /// What it is called in a model.
    pub fn name(&self) -> &'static str {
        match self {
            Head::Categorical { .. } => "Categorical",
            Head::Bernoulli { .. } => "Bernoulli",
            Head::Sticky { .. } => "Sticky",
            Head::Real { family, .. } => family.name(),
            Head::Mixture { .. } => "Mixture",
            Head::Implicit { .. } => "Implicit",
        }
    }

    /// Drawn before it is squashed: its draws are not its values.
    pub fn is_squashed(&self) -> bool {
        matches!(self, Head::Real { family, .. } if family.as_normal() == Some(Squash::Tanh))
    }

    /// Its draws are a function of normal noise, through which a gradient passes.
    pub fn is_reparameterised(&self) -> bool {
        matches!(self, Head::Real { family, .. } if family.as_normal().is_some())
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
            (Head::Categorical { .. } | Head::Sticky { .. } | Head::Real { .. }, _)
            | (Head::Bernoulli { .. }, _)
            | (Head::Mixture { .. } | Head::Implicit { .. }, _) => false,
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
            _ => Err("a record of independent parts".into()),
        },
        Distribution::Categorical(Scores::Probs(_)) => Err("`Categorical(probs = …)`".into()),
        Distribution::Bernoulli(Scores::Logits(logit)) => Ok(Head::Bernoulli { logit: *logit }),
        Distribution::Bernoulli(Scores::Probs(_)) => Err("`Bernoulli(probs = …)`".into()),
        Distribution::Uniform | Distribution::UniformBox { .. } | Distribution::UniformOver(_) => {
            Err("`Uniform`".into())
        }
        Distribution::Delta(_) => Err("`Delta`".into()),
        Distribution::Mixture(parts) => {
            let (mut weights, mut means, mut sds) = (Vec::new(), Vec::new(), Vec::new());
            for (weight, part) in parts {
                let Some((mean, sd)) = part.as_normal() else {
                    return Err("a `Mixture` of other parts than `Normal(mean = …, sd = …)`".into());
                };
                weights.push(*weight);
                means.push(*mean);
                sds.push(*sd);
            }
            Ok(Head::Mixture { weights, means, sds, width: domain.width() })
        }
        Distribution::If { .. } => Err("`if … then … else`".into()),
        Distribution::Sticky { last, keep, fresh } => match **fresh {
            Distribution::Categorical(Scores::Logits(fresh)) => Ok(Head::Sticky {
                last: *last as usize - outputs,
                keep: *keep,
                fresh,
                outcomes: width(fresh),
            }),
            _ => Err("`Sticky` around another distribution than `Categorical(logits = …)`".into()),
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
