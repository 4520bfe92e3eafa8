//! Distributions where factors use them, as expressions over what a trajectory holds. Of a kernel
//! stays what is known before the run: constants, params, and scalars of what it reads. A number
//! that a network computes becomes a leaf, of which nothing is known but that it is one.

use super::space::Stands;
use crate::expr::{BinaryOp, ExprId, Graph, InputId, Node};
use crate::model::{
    Distribution, EnvironmentKernel, FormalVariable, Index, Input, Kernel, KernelRef, Kind,
    LayerId, LayerOp, Model, Scores, Value, VariableId,
};
use std::collections::HashMap;

/// A distribution whose arguments are expressions.
type Written = Distribution<Vec<ExprId>>;
/// What `Sticky` comes to, from the given that it keeps, how likely it is to, and what is drawn
/// anew.
type Sticks<'a, P> = dyn FnMut(&mut P, u32, Vec<ExprId>, Written) -> Option<Written> + 'a;

/// Arguments of a distribution that are looked at, in numbers.
const MOST_ARGUMENTS: usize = 4096;

/// A graph of its own, for the distributions that are placed in it.
pub struct Placed<'m> {
    model: &'m Model,
    pub graph: Graph,
    leaves: Vec<Leaf>,
    ids: HashMap<Leaf, InputId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Leaf {
    Read(Input),
    /// 1 where a variable has a value, 0 where it is `none`.
    Present(VariableId, Index),
    /// A number that a network computes, by its layer and column.
    Learned(LayerId, u32),
}

/// A factor's distribution of one of its targets, and how what it reads is called.
pub struct Place<'a> {
    pub kernel: &'a KernelRef,
    pub arguments: &'a [Value],
    /// Which of the kernel's outputs, and how many it has.
    pub output: usize,
    pub outputs: usize,
    /// An index of the factor, in the frame that all distributions of the graph share.
    pub shift: &'a dyn Fn(Index) -> Index,
    pub presence: &'a dyn Fn(VariableId, Index) -> Presence,
}

/// Whether what a factor reads is there: at every step at which it stands, at none, or at some.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Always,
    Never,
    Sometimes,
}

impl<'m> Placed<'m> {
    pub fn new(model: &'m Model) -> Placed<'m> {
        Placed { model, graph: Graph::default(), leaves: Vec::new(), ids: HashMap::new() }
    }

    /// `None` where the distribution is known by samples alone, or is too large to be looked at.
    pub fn distribution(&mut self, place: &Place<'_>) -> Option<Distribution<Vec<ExprId>>> {
        match place.kernel {
            KernelRef::InPlace(distribution) => {
                self.written(distribution, &|input| shifted(input, place.shift))
            }
            KernelRef::Environment(id, part) => {
                let distribution = self.model.environment(*id).written(*part)?;
                self.written(distribution, &|input| place.of_environment(self.model, *part, input))
            }
            KernelRef::Learned(id) | KernelRef::Previous(id) => {
                let kernel = self.model.kernel(*id);
                let distribution = match &kernel.distribution {
                    Distribution::Record(parts) if place.outputs > 1 => parts.get(place.output)?,
                    distribution => distribution,
                };
                let mut size = 0;
                distribution.for_each(&mut |layer| size += self.model.network.layer(*layer).width);
                (size <= MOST_ARGUMENTS).then_some(())?;
                self.learned(distribution, kernel, place, &mut HashMap::new())
            }
            KernelRef::Data(_) => None,
        }
    }

    /// An expression of the model, where all that it reads is read by what has been placed.
    pub fn if_read(
        &mut self,
        root: ExprId,
        rename: &dyn Fn(Input) -> Option<Input>,
    ) -> Option<ExprId> {
        let reads = self.model.graph.inputs_of(&[root]);
        let known = reads.iter().all(|input| {
            rename(self.model.inputs[input.0 as usize])
                .is_some_and(|input| self.ids.contains_key(&Leaf::Read(input)))
        });
        if !known {
            return None;
        }
        self.copied(&[root], &|_, input| rename(input).map(Leaf::Read)).map(|copies| copies[0])
    }

    /// What an input of the graph stands for.
    pub fn stands(&self, input: InputId) -> Stands {
        match self.leaves[input.0 as usize] {
            Leaf::Read(input) => Stands::At(input),
            Leaf::Present(variable, index) => Stands::Present(variable, index),
            Leaf::Learned(..) => Stands::Free,
        }
    }

    /// The numbers of networks, and what the layer is that computes each.
    pub fn learned_leaves(&self) -> impl Iterator<Item = (InputId, LayerId)> + '_ {
        self.leaves.iter().enumerate().filter_map(|(id, leaf)| match leaf {
            Leaf::Learned(layer, _) => Some((InputId(id as u32), *layer)),
            Leaf::Read(_) | Leaf::Present(..) => None,
        })
    }

    fn leaf(&mut self, leaf: Leaf) -> ExprId {
        let id = *self.ids.entry(leaf).or_insert_with(|| {
            self.leaves.push(leaf);
            InputId(self.leaves.len() as u32 - 1)
        });
        self.graph.input(id)
    }

    /// Expressions of the model, with leaves for what they read; `None` where `leaf` has none.
    fn copied(
        &mut self,
        roots: &[ExprId],
        leaf: &dyn Fn(&Model, Input) -> Option<Leaf>,
    ) -> Option<Vec<ExprId>> {
        let model = self.model;
        let mut leaves = HashMap::new();
        for input in model.graph.inputs_of(roots) {
            let leaf = leaf(model, model.inputs[input.0 as usize])?;
            leaves.insert(input, self.leaf(leaf));
        }
        Some(self.with_leaves(roots, &leaves))
    }

    fn with_leaves(&mut self, roots: &[ExprId], leaves: &HashMap<InputId, ExprId>) -> Vec<ExprId> {
        self.model.graph.copy_into(roots, &mut self.graph, &mut |_, node| match node {
            Node::Input(input) => leaves.get(input).copied(),
            _ => None,
        })
    }

    fn written(
        &mut self,
        distribution: &Distribution<Vec<ExprId>>,
        rename: &dyn Fn(Input) -> Option<Input>,
    ) -> Option<Distribution<Vec<ExprId>>> {
        let argument = &mut |placed: &mut Self, roots: &Vec<ExprId>| {
            placed.copied(roots, &|_, input| rename(input).map(Leaf::Read))
        };
        self.mapped(distribution, argument, &mut |_, _, _, _| None)
    }

    fn learned(
        &mut self,
        distribution: &Distribution<LayerId>,
        kernel: &Kernel,
        place: &Place<'_>,
        done: &mut HashMap<LayerId, Vec<ExprId>>,
    ) -> Option<Distribution<Vec<ExprId>>> {
        let given = |formal: u32| {
            (formal as usize)
                .checked_sub(kernel.outputs.len())
                .and_then(|given| place.arguments.get(given))
        };
        let placed = self.mapped(
            distribution,
            &mut |placed, layer| Some(placed.layer(*layer, kernel, place, done)),
            &mut |placed, last, keep, fresh| match given(last)? {
                Value::Absent => Some(fresh),
                Value::Variable { variable, index } => {
                    let there = (place.presence)(*variable, *index);
                    let index = (place.shift)(*index);
                    if there == Presence::Never {
                        return Some(fresh);
                    }
                    let width = placed.model.variable(*variable).domain.width() as u32;
                    let component = |component| {
                        Leaf::Read(Input::Variable { variable: *variable, component, index })
                    };
                    let value: Vec<ExprId> =
                        (0..width).map(|at| placed.leaf(component(at))).collect();
                    let one = placed.graph.constant(1.0);
                    let moves = placed.graph.binary(BinaryOp::Subtract, one, keep[0]);
                    let stays = Distribution::Mixture(vec![
                        (keep, Distribution::Delta(value)),
                        (vec![moves], fresh.clone()),
                    ]);
                    if there == Presence::Always {
                        return Some(stays);
                    }
                    let condition = vec![placed.leaf(Leaf::Present(*variable, index))];
                    Some(Distribution::If {
                        condition,
                        then: Box::new(stays),
                        otherwise: Box::new(fresh),
                    })
                }
                Value::Reward { .. }
                | Value::Time
                | Value::Window { .. }
                | Value::Past { .. }
                | Value::Future { .. } => None,
                Value::Expression(_) => None,
            },
        )?;
        Some(self.relative(placed))
    }

    /// Weights of a kernel count relative to their sum, and so do listed probabilities, whose
    /// networks nobody knows here.
    fn relative(&mut self, distribution: Distribution<Vec<ExprId>>) -> Distribution<Vec<ExprId>> {
        match distribution {
            Distribution::Mixture(parts) => {
                let weights: Vec<ExprId> = parts.iter().map(|(weight, _)| weight[0]).collect();
                let weights = self.divided(&weights);
                let parts = parts
                    .into_iter()
                    .zip(weights)
                    .map(|((_, part), weight)| (vec![weight], self.relative(part)));
                Distribution::Mixture(parts.collect())
            }
            Distribution::Categorical(Scores::Probs(all)) => {
                Distribution::Categorical(Scores::Probs(self.divided(&all)))
            }
            Distribution::If { condition, then, otherwise } => {
                let (then, otherwise) =
                    (Box::new(self.relative(*then)), Box::new(self.relative(*otherwise)));
                Distribution::If { condition, then, otherwise }
            }
            Distribution::Record(parts) => {
                Distribution::Record(parts.into_iter().map(|part| self.relative(part)).collect())
            }
            other => other,
        }
    }

    fn divided(&mut self, all: &[ExprId]) -> Vec<ExprId> {
        let zero = self.graph.constant(0.0);
        let sum = all.iter().fold(zero, |sum, &one| self.graph.binary(BinaryOp::Add, sum, one));
        all.iter().map(|&one| self.graph.binary(BinaryOp::Divide, one, sum)).collect()
    }

    /// The numbers of a layer.
    fn layer(
        &mut self,
        id: LayerId,
        kernel: &Kernel,
        place: &Place<'_>,
        done: &mut HashMap<LayerId, Vec<ExprId>>,
    ) -> Vec<ExprId> {
        if let Some(known) = done.get(&id) {
            return known.clone();
        }
        let model = self.model;
        let layer = model.network.layer(id);
        let known = match &layer.op {
            LayerOp::Scalars(all) => self.scalars(all, kernel, place),
            LayerOp::Concat(parts) => {
                Some(parts.iter().flat_map(|part| self.layer(*part, kernel, place, done)).collect())
            }
            LayerOp::Unary(op, x) => {
                let x = self.layer(*x, kernel, place, done);
                Some(x.into_iter().map(|x| self.graph.unary(*op, x)).collect())
            }
            LayerOp::Binary(op, x, y) => {
                let (x, y) =
                    (self.layer(*x, kernel, place, done), self.layer(*y, kernel, place, done));
                let at = |all: &[ExprId], column: usize| {
                    if all.len() == 1 { all[0] } else { all[column] }
                };
                Some(
                    (0..layer.width)
                        .map(|column| self.graph.binary(*op, at(&x, column), at(&y, column)))
                        .collect(),
                )
            }
            LayerOp::Per { formal, heads, .. } => {
                let heads = self.layer(*heads, kernel, place, done);
                self.chosen(&heads, layer.width, *formal, kernel, place)
            }
            LayerOp::Formal { .. }
            | LayerOp::Table { .. }
            | LayerOp::Linear { .. }
            | LayerOp::Mlp { .. }
            | LayerOp::Gru { .. } => None,
            LayerOp::Noise | LayerOp::Simulate(_) => None,
            // the normal form, which is made of what is verified, has them
            LayerOp::Sum(_) | LayerOp::Mixture(_) => None,
        };
        let numbers = known.unwrap_or_else(|| {
            (0..layer.width as u32).map(|column| self.leaf(Leaf::Learned(id, column))).collect()
        });
        done.insert(id, numbers.clone());
        numbers
    }

    fn scalars(
        &mut self,
        all: &[ExprId],
        kernel: &Kernel,
        place: &Place<'_>,
    ) -> Option<Vec<ExprId>> {
        let mut leaves = HashMap::new();
        for input in self.model.graph.inputs_of(all) {
            leaves.insert(input, self.formal(self.model.inputs[input.0 as usize], kernel, place)?);
        }
        Some(self.with_leaves(all, &leaves))
    }

    /// A component of a given, as the factor gives it.
    fn formal(&mut self, input: Input, kernel: &Kernel, place: &Place<'_>) -> Option<ExprId> {
        let Input::Formal { formal, component, .. } = input else { return None };
        let argument = place.arguments.get((formal as usize).checked_sub(kernel.outputs.len())?)?;
        match argument {
            Value::Variable { variable, index } => Some(self.leaf(Leaf::Read(Input::Variable {
                variable: *variable,
                component,
                index: (place.shift)(*index),
            }))),
            Value::Reward { environment, reward, index } => {
                let (environment, reward) = (*environment, *reward);
                Some(self.leaf(Leaf::Read(Input::Reward {
                    environment,
                    reward,
                    index: (place.shift)(*index),
                })))
            }
            Value::Time => Some(self.graph.time()),
            Value::Window { variable, from: Index::Step(from), .. } => {
                let width = self.model.variable(*variable).domain.width() as u32;
                let index = (place.shift)(Index::Step(from + (component / width) as i32));
                Some(self.leaf(Leaf::Read(Input::Variable {
                    variable: *variable,
                    component: component % width,
                    index,
                })))
            }
            Value::Expression(all) => {
                let root = *all.get(component as usize)?;
                self.copied(&[root], &|_, input| shifted(input, place.shift).map(Leaf::Read))
                    .map(|copies| copies[0])
            }
            Value::Window { .. } | Value::Past { .. } | Value::Future { .. } | Value::Absent => {
                None
            }
        }
    }

    /// Of several heads, the numbers of the one that a given chooses.
    fn chosen(
        &mut self,
        heads: &[ExprId],
        width: usize,
        formal: u32,
        kernel: &Kernel,
        place: &Place<'_>,
    ) -> Option<Vec<ExprId>> {
        let given = kernel.formals().nth(formal as usize).filter(|given| !given.optional)?;
        let lowest = match given.variable {
            FormalVariable::Time => 1,
            FormalVariable::Variable(id) => match &self.model.variable(id).domain.components[..] {
                [component] => match component.kind {
                    Kind::Integer { lo, .. } => lo,
                    Kind::Names(_) | Kind::Bool => 0,
                    Kind::Real { .. } => return None,
                },
                _ => return None,
            },
            FormalVariable::Reward(..) | FormalVariable::End => return None,
        };
        let id = self.model.kernels.iter().position(|known| std::ptr::eq(known, kernel))?;
        let input =
            Input::Formal { kernel: crate::model::KernelId(id as u32), formal, component: 0 };
        let value = self.formal(input, kernel, place)?;
        let lowest = self.graph.constant(lowest as f64);
        let choice = self.graph.binary(BinaryOp::Subtract, value, lowest);
        let head = |column: usize| {
            heads.iter().skip(column).step_by(width).copied().collect::<Vec<ExprId>>()
        };
        Some((0..width).map(|column| self.graph.choose(head(column), choice)).collect())
    }

    fn mapped<A>(
        &mut self,
        distribution: &Distribution<A>,
        argument: &mut dyn FnMut(&mut Self, &A) -> Option<Vec<ExprId>>,
        sticky: &mut Sticks<'_, Self>,
    ) -> Option<Distribution<Vec<ExprId>>> {
        Some(match distribution {
            Distribution::Uniform => Distribution::Uniform,
            Distribution::UniformBox { lo, hi } => {
                Distribution::UniformBox { lo: argument(self, lo)?, hi: argument(self, hi)? }
            }
            Distribution::UniformOver(all) => Distribution::UniformOver(
                all.iter().map(|value| argument(self, value)).collect::<Option<Vec<_>>>()?,
            ),
            Distribution::Delta(value) => Distribution::Delta(argument(self, value)?),
            Distribution::Categorical(Scores::Logits(all)) => {
                Distribution::Categorical(Scores::Logits(argument(self, all)?))
            }
            Distribution::Categorical(Scores::Probs(all)) => {
                Distribution::Categorical(Scores::Probs(argument(self, all)?))
            }
            Distribution::Bernoulli(Scores::Logits(one)) => {
                Distribution::Bernoulli(Scores::Logits(argument(self, one)?))
            }
            Distribution::Bernoulli(Scores::Probs(one)) => {
                Distribution::Bernoulli(Scores::Probs(argument(self, one)?))
            }
            Distribution::Real { family, arguments } => {
                let mut mapped = Vec::with_capacity(arguments.len());
                for of in arguments {
                    mapped.push(argument(self, of)?);
                }
                Distribution::Real { family: *family, arguments: mapped }
            }
            Distribution::Mixture(parts) => {
                let mut mapped = Vec::with_capacity(parts.len());
                for (weight, part) in parts {
                    mapped.push((argument(self, weight)?, self.mapped(part, argument, sticky)?));
                }
                Distribution::Mixture(mapped)
            }
            Distribution::If { condition, then, otherwise } => Distribution::If {
                condition: argument(self, condition)?,
                then: Box::new(self.mapped(then, argument, sticky)?),
                otherwise: Box::new(self.mapped(otherwise, argument, sticky)?),
            },
            Distribution::Record(parts) => Distribution::Record(
                parts
                    .iter()
                    .map(|part| self.mapped(part, argument, sticky))
                    .collect::<Option<Vec<_>>>()?,
            ),
            Distribution::Sticky { last, keep, fresh } => {
                let (keep, fresh) = (argument(self, keep)?, self.mapped(fresh, argument, sticky)?);
                return sticky(self, *last, keep, fresh);
            }
            Distribution::Implicit(value) => Distribution::Implicit(argument(self, value)?),
        })
    }
}

impl Place<'_> {
    /// What an environment's own distribution reads, as the factor gives it.
    pub fn of_environment(
        &self,
        model: &Model,
        part: EnvironmentKernel,
        input: Input,
    ) -> Option<Input> {
        let Input::Variable { variable, component, .. } = input else { return None };
        let KernelRef::Environment(id, _) = self.kernel else { return None };
        let environment = model.environment(*id);
        let formals: Vec<VariableId> = match part {
            EnvironmentKernel::Initial => vec![],
            EnvironmentKernel::Transition => environment.transition_reads().collect(),
            EnvironmentKernel::Observation => vec![environment.state],
        };
        match self.arguments.get(formals.iter().position(|formal| *formal == variable)?)? {
            Value::Variable { variable, index } => Some(Input::Variable {
                variable: *variable,
                component,
                index: (self.shift)(*index),
            }),
            Value::Reward { .. }
            | Value::Time
            | Value::Window { .. }
            | Value::Past { .. }
            | Value::Future { .. } => None,
            Value::Expression(_) | Value::Absent => None,
        }
    }
}

/// Whether anything is known of a kernel's distribution before the run but its form.
pub fn is_known(model: &Model, distribution: &Distribution<LayerId>) -> bool {
    let mut known = false;
    distribution.for_each(&mut |layer| known |= holds_scalars(model, *layer));
    known
}

fn holds_scalars(model: &Model, layer: LayerId) -> bool {
    match &model.network.layer(layer).op {
        LayerOp::Scalars(_) => true,
        LayerOp::Concat(parts) => parts.iter().any(|part| holds_scalars(model, *part)),
        LayerOp::Unary(_, x) | LayerOp::Per { heads: x, .. } => holds_scalars(model, *x),
        LayerOp::Binary(_, x, y) => holds_scalars(model, *x) || holds_scalars(model, *y),
        LayerOp::Formal { .. }
        | LayerOp::Table { .. }
        | LayerOp::Linear { .. }
        | LayerOp::Mlp { .. }
        | LayerOp::Gru { .. } => false,
        LayerOp::Noise | LayerOp::Simulate(_) => false,
        LayerOp::Sum(_) | LayerOp::Mixture(_) => false,
    }
}

fn shifted(input: Input, shift: &dyn Fn(Index) -> Index) -> Option<Input> {
    match input {
        Input::Variable { variable, component, index } => {
            Some(Input::Variable { variable, component, index: shift(index) })
        }
        Input::Reward { environment, reward, index } => {
            Some(Input::Reward { environment, reward, index: shift(index) })
        }
        Input::Formal { .. } | Input::Gain(_) => None,
    }
}
