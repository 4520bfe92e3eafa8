//! How a kernel over an action or an option is computed: which layers of the network give the
//! numbers of its distribution.

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
    /// Independent per component.
    Normal { mean: LayerId, sd: LayerId, width: usize },
    /// `tanh` of a normal, scaled to `bounds`, a pair for each component.
    TanhNormal { mean: LayerId, sd: LayerId, bounds: Vec<(f64, f64)> },
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
            Head::Normal { mean, sd, .. } | Head::TanhNormal { mean, sd, .. } => vec![*mean, *sd],
            Head::Mixture { weights, means, sds, .. } => [&weights[..], means, sds].concat(),
            Head::Implicit { sample, .. } => vec![*sample],
        }
    }

    /// Over finitely many values.
    pub fn is_finite(&self) -> bool {
        match self {
            Head::Categorical { .. } | Head::Bernoulli { .. } | Head::Sticky { .. } => true,
            Head::Normal { .. }
            | Head::TanhNormal { .. }
            | Head::Mixture { .. }
            | Head::Implicit { .. } => false,
        }
    }

    /// Both are of one family over the same values, so that their divergence has a closed form
    /// here.
    pub fn is_like(&self, other: &Head) -> bool {
        match (self, other) {
            (Head::Categorical { outcomes: a, .. }, Head::Categorical { outcomes: b, .. })
            | (Head::Normal { width: a, .. }, Head::Normal { width: b, .. }) => a == b,
            (Head::TanhNormal { bounds: a, .. }, Head::TanhNormal { bounds: b, .. }) => a == b,
            (
                Head::Categorical { .. }
                | Head::Sticky { .. }
                | Head::Normal { .. }
                | Head::TanhNormal { .. },
                _,
            )
            | (Head::Bernoulli { .. }, _)
            | (Head::Mixture { .. } | Head::Implicit { .. }, _) => false,
        }
    }
}

/// The head of one of the parts of a kernel with so many outputs: over what an action is, or over
/// whether the episode ends.
pub fn part(
    model: &Model,
    outputs: usize,
    distribution: &Distribution<LayerId>,
    domain: &Domain,
) -> Result<Head, String> {
    match distribution {
        Distribution::Bernoulli(Scores::Logits(logit)) => Ok(Head::Bernoulli { logit: *logit }),
        _ => head(model, outputs, distribution, domain),
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
    let normal = |mean: LayerId, sd: LayerId| {
        let components = domain.width();
        if (width(mean), width(sd)) == (components, components) {
            Ok(components)
        } else {
            Err(format!(
                "a normal with {} means and {} deviations over {components} components",
                width(mean),
                width(sd)
            ))
        }
    };
    match distribution {
        Distribution::Categorical(Scores::Logits(logits)) => {
            Ok(Head::Categorical { logits: *logits, outcomes: width(*logits) })
        }
        Distribution::Normal { mean, sd } => {
            Ok(Head::Normal { mean: *mean, sd: *sd, width: normal(*mean, *sd)? })
        }
        Distribution::TanhNormal { mean, sd } => {
            normal(*mean, *sd)?;
            let bounds = domain.components.iter().map(|component| match component.kind {
                Kind::Real { lo, hi } => (lo, hi),
                Kind::Integer { lo, hi } => (lo as f64, hi as f64),
                Kind::Names(_) | Kind::Bool => (0.0, 1.0),
            });
            Ok(Head::TanhNormal { mean: *mean, sd: *sd, bounds: bounds.collect() })
        }
        Distribution::Record(parts) => match &parts[..] {
            [only] => head(model, outputs, only, domain),
            _ => Err("a record of independent parts".into()),
        },
        Distribution::Categorical(Scores::Probs(_)) => Err("`Categorical(probs = …)`".into()),
        Distribution::Bernoulli(_) => Err("`Bernoulli`".into()),
        Distribution::Uniform | Distribution::UniformBox { .. } | Distribution::UniformOver(_) => {
            Err("`Uniform`".into())
        }
        Distribution::Delta(_) => Err("`Delta`".into()),
        Distribution::Beta { .. } => Err("`Beta`".into()),
        Distribution::Mixture(parts) => {
            let (mut weights, mut means, mut sds) = (Vec::new(), Vec::new(), Vec::new());
            for (weight, part) in parts {
                let Distribution::Normal { mean, sd } = part else {
                    return Err("a `Mixture` of other parts than `Normal(mean = …, sd = …)`".into());
                };
                normal(*mean, *sd)?;
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
