//! A draw from a distribution as an expression of uniform noise, so that one compiled program draws
//! and moves many rows at once.
//!
//! Branches that exclude each other read the same noise. A family that is drawn by a program has
//! no such expression: it becomes a leaf that is drawn before the program runs, from arguments that
//! are expressions themselves.

use super::WorldError;
use crate::expr::{BinaryOp, ExprId, Graph, InputId, UnaryOp};
use crate::family::{self, At, Draw, Family, Formula, Reach};
use crate::model::{Component, Distribution, Domain, FiniteDomain, Kind, Scores, Shape};

/// Domains with more values than this are not drawn from by adding up probabilities.
const MANY: usize = 4096;

/// What a leaf of a world's program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Leaf {
    State(u32),
    Action(u32),
    /// The next state, where another model draws it.
    Next(u32),
    /// Uniform in [0, 1), independent for each row, step and number.
    Uniform(u32),
    /// The draw of [`Sampler::sampled`] of this number.
    Sampled(u32),
}

/// Builds the expressions of draws in a graph of its own.
#[derive(Default)]
pub(super) struct Sampler {
    pub graph: Graph,
    /// Indexed by [`InputId`].
    pub leaves: Vec<Leaf>,
    /// How many independent uniform numbers a row takes in a step.
    pub uniforms: u32,
    /// What is drawn by a program; the arguments may read earlier draws.
    pub sampled: Vec<Sampled>,
}

/// A draw of a family that no formula makes from noise.
pub(super) struct Sampled {
    pub draw: family::Sampler,
    pub arguments: Vec<ExprId>,
    pub bounds: (f64, f64),
}

/// The part of a domain that a distribution is over.
#[derive(Clone, Copy)]
struct Part<'d> {
    shape: &'d Shape,
    components: &'d [Component],
    /// The values, where this is the whole domain and they can be listed.
    finite: Option<&'d FiniteDomain>,
}

type Drawn = Result<Vec<ExprId>, WorldError>;

impl Sampler {
    pub fn leaf(&mut self, leaf: Leaf) -> ExprId {
        let position = self.leaves.iter().position(|&known| known == leaf).unwrap_or_else(|| {
            self.leaves.push(leaf);
            self.leaves.len() - 1
        });
        self.graph.input(InputId(position as u32))
    }

    /// A draw from `distribution` over `domain`, an expression per component. The distribution's
    /// arguments are nodes of [`Sampler::graph`].
    ///
    /// # Errors
    /// Where the distribution cannot be sampled in an environment.
    pub fn draw(&mut self, distribution: &Distribution<Vec<ExprId>>, domain: &Domain) -> Drawn {
        let part = Part {
            shape: &domain.shape,
            components: &domain.components,
            finite: domain.finite.as_ref(),
        };
        let drawn = self.draw_part(distribution, part)?;
        if drawn.len() != domain.width() {
            return Err(WorldError(format!(
                "a draw has {} components where its domain has {}",
                drawn.len(),
                domain.width()
            )));
        }
        Ok(drawn)
    }

    fn draw_part(&mut self, distribution: &Distribution<Vec<ExprId>>, part: Part<'_>) -> Drawn {
        let width = part.components.len();
        match distribution {
            Distribution::Delta(value) => Ok(value.clone()),
            Distribution::Uniform => self.uniform(part),
            Distribution::UniformBox { lo, hi } => Ok((0..width)
                .map(|i| {
                    let size = self.graph.binary(BinaryOp::Subtract, hi[i], lo[i]);
                    let u = self.uniform_leaf();
                    let offset = self.graph.binary(BinaryOp::Multiply, size, u);
                    self.graph.binary(BinaryOp::Add, lo[i], offset)
                })
                .collect()),
            Distribution::UniformOver(values) => {
                let index = self.uniform_index(values.len());
                Ok((0..width)
                    .map(|i| {
                        let items: Vec<ExprId> = values.iter().map(|value| value[i]).collect();
                        self.graph.choose(items, index)
                    })
                    .collect())
            }
            Distribution::Categorical(scores) => {
                let weights = match scores {
                    Scores::Probs(probs) => probs.clone(),
                    Scores::Logits(logits) => self.exponentials(logits),
                };
                let index = self.categorical_index(&weights);
                self.value_of(part, index)
            }
            Distribution::Bernoulli(scores) => {
                let p = match scores {
                    Scores::Probs(probs) => probs[0],
                    Scores::Logits(logits) => self.graph.unary(UnaryOp::Sigmoid, logits[0]),
                };
                let u = self.uniform_leaf();
                let index = self.graph.binary(BinaryOp::Less, u, p);
                let index = self.none_if_none(index, p);
                self.value_of(part, index)
            }
            Distribution::Real { family, arguments } => self.real(*family, arguments, part),
            Distribution::Mixture(parts) => {
                let weights: Vec<ExprId> = parts.iter().map(|(weight, _)| weight[0]).collect();
                let index = self.categorical_index(&weights);
                let is_constant =
                    weights.iter().all(|&weight| self.graph.as_constant(weight).is_some());
                let draws = self.excluding(parts.iter().map(|(_, part)| part), part)?;
                Ok((0..width)
                    .map(|i| {
                        let last = draws[draws.len() - 1][i];
                        draws.iter().enumerate().rev().skip(1).fold(last, |others, (k, draw)| {
                            let k = self.graph.constant(k as f64);
                            let here = self.graph.binary(BinaryOp::Equal, index, k);
                            self.graph.if_(here, draw[i], others)
                        })
                    })
                    .collect::<Vec<ExprId>>())
                .map(|drawn| {
                    if is_constant {
                        drawn
                    } else {
                        drawn.into_iter().map(|drawn| self.none_if_none(drawn, index)).collect()
                    }
                })
            }
            Distribution::If { condition, then, otherwise } => {
                let draws = self.excluding([&**then, &**otherwise].into_iter(), part)?;
                Ok((0..width)
                    .map(|i| self.graph.if_(condition[0], draws[0][i], draws[1][i]))
                    .collect())
            }
            Distribution::Record(parts) => {
                let mut drawn = Vec::with_capacity(width);
                for (part, distribution) in fields(part).into_iter().zip(parts) {
                    drawn.extend(self.draw_part(distribution, part)?);
                }
                Ok(drawn)
            }
            Distribution::Sticky { .. } => Err(unsampled("Sticky")),
            Distribution::Implicit(_) => Err(unsampled("Implicit")),
        }
    }

    /// Draws of which only one is used: they may read the same noise.
    fn excluding<'a>(
        &mut self,
        distributions: impl Iterator<Item = &'a Distribution<Vec<ExprId>>>,
        part: Part<'_>,
    ) -> Result<Vec<Vec<ExprId>>, WorldError> {
        let first = self.uniforms;
        let mut most = first;
        let mut draws = Vec::new();
        for distribution in distributions {
            self.uniforms = first;
            draws.push(self.draw_part(distribution, part)?);
            most = most.max(self.uniforms);
        }
        self.uniforms = most;
        Ok(draws)
    }

    fn uniform_leaf(&mut self) -> ExprId {
        self.uniforms += 1;
        self.leaf(Leaf::Uniform(self.uniforms - 1))
    }

    /// A whole number below `count`, all equally likely.
    fn uniform_index(&mut self, count: usize) -> ExprId {
        let u = self.uniform_leaf();
        let count = self.graph.constant(count as f64);
        let scaled = self.graph.binary(BinaryOp::Multiply, u, count);
        self.graph.unary(UnaryOp::Floor, scaled)
    }

    /// Over all values, or between the bounds, component by component.
    fn uniform(&mut self, part: Part<'_>) -> Drawn {
        if let Some(finite) = part.finite {
            let index = self.uniform_index(finite.size());
            return self.value_of(part, index);
        }
        let mut drawn = Vec::with_capacity(part.components.len());
        for component in part.components {
            drawn.push(match component.kind {
                Kind::Real { lo, hi } => {
                    if !(lo.is_finite() && hi.is_finite()) {
                        return Err(WorldError(format!(
                            "`Uniform` over {}, which has no bounds",
                            shown(component)
                        )));
                    }
                    let (lo, size, u) = (
                        self.graph.constant(lo),
                        self.graph.constant(hi - lo),
                        self.uniform_leaf(),
                    );
                    let offset = self.graph.binary(BinaryOp::Multiply, size, u);
                    self.graph.binary(BinaryOp::Add, lo, offset)
                }
                Kind::Integer { .. } | Kind::Names(_) | Kind::Bool => {
                    let values = listed(std::slice::from_ref(component))?;
                    let index = self.uniform_index(values.size());
                    let part = Part {
                        shape: &Shape::Scalar,
                        components: std::slice::from_ref(component),
                        finite: Some(&values),
                    };
                    self.value_of(part, index)?[0]
                }
            });
        }
        Ok(drawn)
    }

    /// The components of value number `index` of a finite domain.
    fn value_of(&mut self, part: Part<'_>, index: ExprId) -> Drawn {
        let made;
        let values = match part.finite {
            Some(values) => values,
            None => {
                made = listed(part.components)?;
                &made
            }
        };
        Ok(component_tables(values, part.components.len())
            .into_iter()
            .map(|table| {
                // consecutive values, as in `0..9`, need no table
                if table.windows(2).all(|pair| pair[1] == pair[0] + 1.0) && !table.is_empty() {
                    let first = self.graph.constant(table[0]);
                    return self.graph.binary(BinaryOp::Add, index, first);
                }
                let table = self.graph.intern_table(table);
                self.graph.lookup(table, index)
            })
            .collect())
    }

    /// How many of the sums `w₀, w₀ + w₁, …` (without the last) are at most `u Σ w`: index k with
    /// probability `w_k / Σ w`.
    fn categorical_index(&mut self, weights: &[ExprId]) -> ExprId {
        let mut sums = Vec::with_capacity(weights.len());
        let mut sum = self.graph.constant(0.0);
        for &weight in weights {
            sum = self.graph.binary(BinaryOp::Add, sum, weight);
            sums.push(sum);
        }
        let u = self.uniform_leaf();
        let height = self.graph.binary(BinaryOp::Multiply, u, sum);
        let zero = self.graph.constant(0.0);
        let index = sums[..weights.len() - 1].iter().fold(zero, |index, &sum| {
            let passed = self.graph.binary(BinaryOp::LessEqual, sum, height);
            self.graph.binary(BinaryOp::Add, index, passed)
        });
        if self.graph.as_constant(sum).is_some() { index } else { self.none_if_none(index, sum) }
    }

    /// `value`, or NaN where `other` is NaN or infinite: comparisons would hide that, and a draw
    /// from no distribution would look like any other.
    fn none_if_none(&mut self, value: ExprId, other: ExprId) -> ExprId {
        if self.graph.as_constant(other).is_some_and(f64::is_finite) {
            return value;
        }
        let zero = self.graph.constant(0.0);
        let nothing = self.graph.binary(BinaryOp::Multiply, zero, other);
        self.graph.binary(BinaryOp::Add, value, nothing)
    }

    /// exp(l − max l)
    fn exponentials(&mut self, logits: &[ExprId]) -> Vec<ExprId> {
        let largest = logits
            .iter()
            .copied()
            .reduce(|a, b| self.graph.binary(BinaryOp::Max, a, b))
            .expect("check: a domain has values");
        logits
            .iter()
            .map(|&logit| {
                let relative = self.graph.binary(BinaryOp::Subtract, logit, largest);
                self.graph.unary(UnaryOp::Exp, relative)
            })
            .collect()
    }

    /// A draw of each component from a family over real numbers.
    fn real(&mut self, family: Family, arguments: &[Vec<ExprId>], part: Part<'_>) -> Drawn {
        let noise: Vec<ExprId> = match family.draw() {
            Draw::OfNormal(_) => self.normals(part.components.len()),
            Draw::OfUniform(_) => part.components.iter().map(|_| self.uniform_leaf()).collect(),
            Draw::Sampled(_) => Vec::new(),
        };
        let mut drawn = Vec::with_capacity(part.components.len());
        for (at, component) in part.components.iter().enumerate() {
            let bounds = bounds(family, component)?;
            let arguments: Vec<ExprId> = arguments.iter().map(|of| of[at]).collect();
            let ends = (self.graph.constant(bounds.0), self.graph.constant(bounds.1));
            let of = At { arguments: &arguments, bounds: ends };
            drawn.push(match family.draw() {
                Draw::OfNormal(draw) | Draw::OfUniform(draw) => {
                    draw(&mut Formula::new(&mut self.graph), noise[at], &of)
                }
                Draw::Sampled(draw) => {
                    self.sampled.push(Sampled { draw, arguments, bounds });
                    self.leaf(Leaf::Sampled(self.sampled.len() as u32 - 1))
                }
            });
        }
        Ok(drawn)
    }

    /// Box and Muller (1958): two independent standard normals from two uniforms, √(−2 log(1 − u))
    /// · (cos, sin)(2πv).
    fn normals(&mut self, count: usize) -> Vec<ExprId> {
        let mut drawn = Vec::with_capacity(count);
        while drawn.len() < count {
            let (u, v) = (self.uniform_leaf(), self.uniform_leaf());
            let g = &mut self.graph;
            let (one, minus_two, turn) =
                (g.constant(1.0), g.constant(-2.0), g.constant(std::f64::consts::TAU));
            let rest = g.binary(BinaryOp::Subtract, one, u);
            let log = g.unary(UnaryOp::Log, rest);
            let square = g.binary(BinaryOp::Multiply, minus_two, log);
            let radius = g.unary(UnaryOp::Sqrt, square);
            let angle = g.binary(BinaryOp::Multiply, turn, v);
            for side in [UnaryOp::Cos, UnaryOp::Sin].into_iter().take(count - drawn.len()) {
                let side = g.unary(side, angle);
                drawn.push(g.binary(BinaryOp::Multiply, radius, side));
            }
        }
        drawn
    }
}

/// The bounds of a component, which a family within bounds needs.
fn bounds(family: Family, component: &Component) -> Result<(f64, f64), WorldError> {
    let lacks = |what: &str| {
        WorldError(format!("`{}` over {}, which {what}", family.name(), shown(component)))
    };
    let Kind::Real { lo, hi } = component.kind else { return Err(lacks("is not real")) };
    match family.reach() {
        Reach::Bounds if !(lo.is_finite() && hi.is_finite()) => Err(lacks("has no bounds")),
        Reach::Bounds | Reach::Line => Ok((lo, hi)),
    }
}

/// Component `c` of each value: `tables[c][number]`.
pub(super) fn component_tables(values: &FiniteDomain, width: usize) -> Vec<Vec<f64>> {
    let mut tables = vec![Vec::with_capacity(values.size()); width];
    let mut value = vec![0.0; width];
    for number in 0..values.size() {
        values.value(number, &mut value);
        tables.iter_mut().zip(&value).for_each(|(table, &v)| table.push(v));
    }
    tables
}

/// The fields of a record, or the components of a vector.
fn fields(part: Part<'_>) -> Vec<Part<'_>> {
    let mut at = 0;
    let mut next = |shape| {
        let width = width(shape);
        at += width;
        Part { shape, components: &part.components[at - width..at], finite: None }
    };
    match part.shape {
        Shape::Scalar => vec![part],
        Shape::Vector(n) => (0..*n).map(|_| next(&Shape::Scalar)).collect(),
        Shape::Record(fields) => fields.iter().map(|(_, shape)| next(shape)).collect(),
    }
}

fn width(shape: &Shape) -> usize {
    match shape {
        Shape::Scalar => 1,
        Shape::Vector(n) => *n,
        Shape::Record(fields) => fields.iter().map(|(_, shape)| width(shape)).sum(),
    }
}

fn listed(components: &[Component]) -> Result<FiniteDomain, WorldError> {
    let values = FiniteDomain::of(components).filter(|values| values.size() <= MANY);
    values.ok_or_else(|| {
        WorldError(format!(
            "drawing {} from more than {MANY} values, or from real ones, by their probabilities",
            shown(&components[0])
        ))
    })
}

fn shown(component: &Component) -> String {
    if component.path.is_empty() {
        "a variable".to_owned()
    } else {
        format!("component `{}`", component.path)
    }
}

fn unsampled(name: &str) -> WorldError {
    WorldError(format!("`{name}` in an environment"))
}
