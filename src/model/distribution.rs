//! Distributions over a domain, with arguments that are scalar expressions (in environments and in place) or layers of a network
//! (in kernels).

/// `A` is a vector-valued argument: `Vec<ExprId>` (a scalar per component) or [`super::LayerId`] (a layer and its width).
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution<A> {
    /// Over all values of a finite domain, or over the declared bounds of a real one.
    Uniform,
    /// `Uniform(lo =, hi =)`, per component.
    UniformBox {
        lo: A,
        hi: A,
    },
    /// `Uniform(over = [..])`: each listed value, one argument per value.
    UniformOver(Vec<A>),
    /// All mass on one value.
    Delta(A),
    /// Over the values of a finite domain in the order of enumeration.
    Categorical(Scores<A>),
    Bernoulli(Scores<A>),
    /// Independent per component.
    Normal {
        mean: A,
        sd: A,
    },
    /// `tanh` of a normal, scaled to the declared bounds.
    TanhNormal {
        mean: A,
        sd: A,
    },
    Beta {
        a: A,
        b: A,
    },
    /// Weights and parts; constant weights sum to 1.
    Mixture(Vec<(A, Distribution<A>)>),
    If {
        condition: A,
        then: Box<Distribution<A>>,
        otherwise: Box<Distribution<A>>,
    },
    /// Independent parts, one per field of the record in the order of the domain.
    Record(Vec<Distribution<A>>),
    /// With probability `keep` the value of the kernel's formal `last` (an index into outputs-then-givens), else from `fresh`;
    /// from `fresh` where `last` is `none`.
    Sticky {
        last: u32,
        keep: A,
        fresh: Box<Distribution<A>>,
    },
    /// Can be sampled, has no density.
    Implicit(A),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Scores<A> {
    Logits(A),
    Probs(A),
}
