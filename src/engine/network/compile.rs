//! The layers of a model compiled to a list of steps over numbered buffers: what
//! [`super::forward`] runs.
//!
//! Model and roots in, [`NetworkPlan`] out. Layers that several roots read are computed once, also
//! where two kernels reach the same `net` through formals that are fed from the same source.
//! One-hot inputs never become columns of zeros and ones where a weight follows: they are gathered
//! rows of it, and a concatenation is a weight's blocks of rows.

use super::features::{self, Feature};
use super::plan::Load;
use super::plan::{InputSpec, NetworkPlan, Op, Part, PartSource, Slot, SlotSpec, Stages, Step};
use super::unsupported::Unsupported;
use crate::engine::network::layout::Layout;
use crate::model::{Activation, KernelId, LayerId, LayerOp, Model, ParameterId, Simulation};

impl NetworkPlan {
    /// Compiles the layers `roots`. `source` numbers what the caller will feed for a formal of a
    /// kernel (outputs first, then givens): formals that get the same number are fed the same
    /// values.
    ///
    /// # Errors
    /// One sentence about the first construct that cannot run yet, or whose widths do not fit.
    pub fn compile(
        model: &Model,
        roots: &[LayerId],
        source: impl Fn(KernelId, u32) -> u32,
    ) -> Result<NetworkPlan, Unsupported> {
        NetworkPlan::compile_acting(model, roots, source, |_| None)
    }

    /// The same of kernels where they act: `simulated` numbers what the caller will feed for a
    /// simulated rollout. Elsewhere nothing was imagined, and a kernel that imagines does not run.
    ///
    /// # Errors
    /// As [`NetworkPlan::compile`].
    pub fn compile_acting(
        model: &Model,
        roots: &[LayerId],
        source: impl Fn(KernelId, u32) -> u32,
        simulated: impl Fn(LayerId) -> Option<u32>,
    ) -> Result<NetworkPlan, Unsupported> {
        let roots: Vec<(LayerId, usize)> = roots.iter().map(|&root| (root, 0)).collect();
        NetworkPlan::compile_calls(
            model,
            &roots,
            |_, kernel, formal| source(kernel, formal),
            simulated,
        )
    }

    /// The same of roots that belong to several calls, counted from 0: in each of them the formals
    /// of a kernel are fed from sources of its own.
    ///
    /// # Errors
    /// As [`NetworkPlan::compile`].
    pub fn compile_calls(
        model: &Model,
        roots: &[(LayerId, usize)],
        source: impl Fn(usize, KernelId, u32) -> u32,
        simulated: impl Fn(LayerId) -> Option<u32>,
    ) -> Result<NetworkPlan, Unsupported> {
        let layout = Layout::of(&model.network);
        let mut plan = NetworkPlan {
            inputs: vec![],
            columns: vec![],
            loads: vec![],
            steps: vec![],
            slots: vec![],
            outputs: vec![],
            stages: Stages::default(),
            passages: vec![],
        };
        let calls = roots.iter().map(|(_, call)| call + 1).max().unwrap_or(0);
        let mut outputs = vec![None; roots.len()];
        for call in 0..calls {
            let source = |kernel: KernelId, formal: u32| source(call, kernel, formal);
            let mut compiler = Compiler {
                model,
                layout: layout.clone(),
                source: &source,
                simulated: &simulated,
                plan,
                layers: vec![None; model.network.layers.len()],
            };
            let mut needed = vec![false; model.network.layers.len()];
            let own = roots.iter().filter(|(_, of)| *of == call);
            own.for_each(|(root, _)| needed[root.0 as usize] = true);
            for at in (0..needed.len()).rev() {
                if needed[at] {
                    operands(&model.network.layers[at].op, |layer| needed[layer.0 as usize] = true);
                }
            }
            for (at, _) in needed.iter().enumerate().filter(|(_, needed)| **needed) {
                compiler.layer(LayerId(at as u32))?;
            }
            for ((root, _), slot) in
                roots.iter().zip(&mut outputs).filter(|((_, of), _)| *of == call)
            {
                *slot = Some(compiler.dense(*root));
            }
            plan = compiler.plan;
        }
        plan.outputs = outputs.into_iter().flatten().collect();
        plan.order_gradients();
        Ok(plan.staged(|_| 0))
    }

    /// The same, run in passes: `pass` says in which one an input of a source is there.
    #[must_use]
    pub fn staged(mut self, pass: impl Fn(u32) -> usize) -> NetworkPlan {
        let of_inputs = |inputs: Vec<usize>| {
            inputs.into_iter().map(|input| pass(self.inputs[input].source)).max().unwrap_or(0)
        };
        let columns: Vec<usize> =
            self.columns.iter().map(|column| of_inputs(column.inputs())).collect();
        let loads: Vec<usize> =
            self.loads.iter().map(|(load, _)| of_inputs(load.inputs())).collect();
        let mut slots = vec![0; self.slots.len()];
        self.loads.iter().zip(&loads).for_each(|((_, slot), &pass)| slots[slot.0] = pass);
        let mut steps = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let of_columns = step.op.columns().map(|column| columns[column]);
            let pass =
                step.op.slots().map(|slot| slots[slot.0]).chain(of_columns).max().unwrap_or(0);
            slots[step.out.0] = pass;
            steps.push(pass);
        }
        self.stages = Stages { columns, loads, steps };
        self
    }

    /// What to feed, in this order.
    pub fn inputs(&self) -> &[InputSpec] {
        &self.inputs
    }

    /// Number of roots.
    pub fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// Numbers a row of root `output`.
    pub fn width(&self, output: usize) -> usize {
        self.slots[self.outputs[output].0].width
    }

    /// Another slot, which no gradient reaches.
    pub(in crate::engine) fn add_slot(&mut self, width: usize) -> Slot {
        self.slots.push(SlotSpec { width, moves: false });
        Slot(self.slots.len() - 1)
    }

    /// Decides which step, backward, is the first to write each slot's gradient, so that no buffer
    /// is cleared in vain.
    pub(in crate::engine) fn order_gradients(&mut self) {
        let mut written = vec![false; self.slots.len()];
        self.outputs.iter().for_each(|slot| written[slot.0] = true);
        for step in self.steps.iter_mut().rev() {
            step.first = step
                .op
                .slots()
                .map(|slot| !std::mem::replace(&mut written[slot.0], true))
                .collect();
        }
    }
}

impl Op {
    /// The columns of indices it reads.
    pub fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        let (parts, own): (&[Part], Option<usize>) = match self {
            Op::Affine { parts, .. } | Op::Concat { parts } => (parts, None),
            Op::Rows { column, .. } | Op::Block { column, .. } => (&[], Some(*column)),
            Op::Gru { .. } | Op::Unary(..) | Op::Binary(..) => (&[], None),
            Op::Sum { .. } | Op::Mixture(_) => (&[], None),
        };
        let of_parts = parts.iter().chain(self.elements().iter().flatten()).filter_map(|part| {
            match part.source {
                PartSource::OneHot { column } => Some(column),
                PartSource::Dense(_) => None,
            }
        });
        of_parts.chain(own)
    }

    /// The slots it reads, in the order in which it passes gradient back.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        let (parts, rest): (&[Part], [Option<Slot>; 2]) = match self {
            Op::Affine { parts, .. } | Op::Concat { parts } => (parts, [None, None]),
            Op::Rows { .. } | Op::Gru { .. } => (&[], [None, None]),
            Op::Block { heads, .. } => (&[], [Some(*heads), None]),
            Op::Unary(_, x) => (&[], [Some(*x), None]),
            Op::Binary(_, x, y) => (&[], [Some(*x), Some(*y)]),
            Op::Sum { .. } | Op::Mixture(_) => (&[], [None, None]),
        };
        let several: &[Slot] = match self {
            Op::Sum { parts, .. } | Op::Mixture(parts) => parts,
            _ => &[],
        };
        let dense = parts.iter().chain(self.elements().iter().flatten()).filter_map(|part| {
            match part.source {
                PartSource::Dense(slot) => Some(slot),
                PartSource::OneHot { .. } => None,
            }
        });
        dense.chain(rest.into_iter().flatten()).chain(several.iter().copied())
    }
}

impl Op {
    fn elements(&self) -> &[Vec<Part>] {
        if let Op::Gru { elements, .. } = self { elements } else { &[] }
    }
}

struct Compiler<'a> {
    model: &'a Model,
    layout: Layout,
    source: &'a dyn Fn(KernelId, u32) -> u32,
    simulated: &'a dyn Fn(LayerId) -> Option<u32>,
    plan: NetworkPlan,
    layers: Vec<Option<Vec<Part>>>,
}

impl Compiler<'_> {
    fn layer(&mut self, id: LayerId) -> Result<(), Unsupported> {
        let model = self.model;
        let layer = model.network.layer(id);
        let parts = match &layer.op {
            LayerOp::Formal { kernel, formal } => self.formal(*kernel, *formal)?,
            LayerOp::Scalars(values) => {
                let load = features::scalars(model, &mut self.plan, values, self.source)?;
                whole(self.load(load, values.len()), values.len())
            }
            LayerOp::Concat(layers) => {
                let mut parts = Vec::new();
                let mut at = 0;
                for layer in layers {
                    let (of_layer, width) = self.parts(*layer);
                    parts
                        .extend(of_layer.into_iter().map(|part| Part { at: at + part.at, ..part }));
                    at += width;
                }
                parts
            }
            LayerOp::Table { kernel, formals, weight } => {
                let (column, rows) =
                    features::joint(model, &mut self.plan, *kernel, formals, self.source)?;
                self.verify_shape(*weight, rows, layer.width)?;
                let table = self.layout.range(*weight);
                whole(self.step(Op::Rows { column, table }, layer.width), layer.width)
            }
            LayerOp::Linear { input, weight, bias } => {
                let slot = self.affine(*input, *weight, *bias, None)?;
                whole(slot, layer.width)
            }
            LayerOp::Mlp { input, activation, last, weights } => {
                let mut parts = self.parts(*input);
                for (at, &(weight, bias)) in weights.iter().enumerate() {
                    let activation = if at + 1 < weights.len() { Some(*activation) } else { *last };
                    let width = self.layout.shape(weight).1;
                    parts =
                        (whole(self.affine_parts(parts, weight, bias, activation)?, width), width);
                }
                parts.0
            }
            LayerOp::Per { kernel, formal, heads } => {
                let (column, blocks) =
                    features::joint(model, &mut self.plan, *kernel, &[*formal], self.source)?;
                let heads_width = self.model.network.layer(*heads).width;
                if heads_width != blocks * layer.width {
                    return Err(widths(
                        &format!("`per` over {blocks} values"),
                        heads_width,
                        blocks * layer.width,
                    ));
                }
                let heads = self.dense(*heads);
                whole(self.step(Op::Block { column, heads }, layer.width), layer.width)
            }
            LayerOp::Gru { kernel, formal, backward, parameters } => {
                let mut elements = Vec::new();
                for features in
                    features::of_sequence(model, &mut self.plan, *kernel, *formal, self.source)?
                {
                    elements.push(self.side_by_side(features));
                }
                if *backward {
                    elements.reverse();
                }
                let range = |at: usize| self.layout.range(parameters[at]);
                let weights = [range(0), range(1), range(2), range(3)];
                whole(self.step(Op::Gru { elements, weights }, layer.width), layer.width)
            }
            LayerOp::Simulate(simulation) => {
                let source = (self.simulated)(id).ok_or_else(|| imagines(model, simulation))?;
                let load = features::simulated(&mut self.plan, source, layer.width);
                whole(self.load(load, layer.width), layer.width)
            }
            LayerOp::Noise => whole(self.load(Load::Noise(id), layer.width), layer.width),
            LayerOp::Unary(op, input) => {
                let input = self.dense(*input);
                whole(self.step(Op::Unary(*op, input), layer.width), layer.width)
            }
            LayerOp::Binary(op, x, y) => {
                let (x, y) = (self.dense(*x), self.dense(*y));
                whole(self.step(Op::Binary(*op, x, y), layer.width), layer.width)
            }
            LayerOp::Sum(picked) => {
                let parts = picked.iter().map(|(part, _)| self.dense(*part)).collect();
                let columns = picked.iter().map(|(_, columns)| columns.as_slice().into()).collect();
                whole(self.step(Op::Sum { parts, columns }, layer.width), layer.width)
            }
            LayerOp::Mixture(mixed) => {
                let weights = mixed.iter().map(|part| part.weight);
                let all = weights.chain(mixed.iter().map(|part| part.logits));
                let slots = all.map(|part| self.dense(part)).collect();
                whole(self.step(Op::Mixture(slots), layer.width), layer.width)
            }
        };
        let width: usize = parts.iter().map(|part| part.width).sum();
        if width != layer.width {
            return Err(widths("a layer", width, layer.width));
        }
        self.layers[id.0 as usize] = Some(parts);
        Ok(())
    }

    fn formal(&mut self, kernel: KernelId, formal: u32) -> Result<Vec<Part>, Unsupported> {
        let features =
            features::of_formal(self.model, &mut self.plan, kernel, formal, self.source)?;
        Ok(self.side_by_side(features))
    }

    fn side_by_side(&mut self, features: Vec<Feature>) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut at = 0;
        for feature in features {
            let (width, source) = match feature {
                Feature::OneHot { column, width } => (width, PartSource::OneHot { column }),
                Feature::Dense { load, width } => {
                    (width, PartSource::Dense(self.load(load, width)))
                }
            };
            parts.push(Part { at, width, source });
            at += width;
        }
        parts
    }

    fn affine(
        &mut self,
        input: LayerId,
        weight: ParameterId,
        bias: ParameterId,
        activation: Option<Activation>,
    ) -> Result<Slot, Unsupported> {
        let parts = self.parts(input);
        self.affine_parts(parts, weight, bias, activation)
    }

    fn affine_parts(
        &mut self,
        (parts, inputs): (Vec<Part>, usize),
        weight: ParameterId,
        bias: ParameterId,
        activation: Option<Activation>,
    ) -> Result<Slot, Unsupported> {
        let width = self.layout.shape(weight).1;
        self.verify_shape(weight, inputs, width)?;
        let (weight, bias) = (self.layout.range(weight), self.layout.range(bias));
        if bias.len() != width {
            return Err(widths("a bias", bias.len(), width));
        }
        Ok(self.step(Op::Affine { parts, weight, bias, activation }, width))
    }

    fn verify_shape(
        &self,
        parameter: ParameterId,
        rows: usize,
        columns: usize,
    ) -> Result<(), Unsupported> {
        let shape = self.layout.shape(parameter);
        if shape == (rows, columns) {
            return Ok(());
        }
        let name = self.layout.name(parameter);
        Err(Unsupported(format!(
            "the parameter `{name}` is {} × {}, where {rows} × {columns} is needed",
            shape.0, shape.1
        )))
    }

    /// The columns of a layer, and how many there are.
    fn parts(&self, id: LayerId) -> (Vec<Part>, usize) {
        let parts = self.layers[id.0 as usize]
            .clone()
            .expect("model: layers stand after the layers they read");
        (parts, self.model.network.layer(id).width)
    }

    /// The layer as one slot.
    fn dense(&mut self, id: LayerId) -> Slot {
        let (parts, width) = self.parts(id);
        match parts[..] {
            [Part { source: PartSource::Dense(slot), .. }] => slot,
            _ => self.step(Op::Concat { parts }, width),
        }
    }

    /// The slot of an operation; an equal one is computed once.
    fn step(&mut self, op: Op, width: usize) -> Slot {
        if let Some(same) = self.plan.steps.iter().find(|step| step.op == op) {
            return same.out;
        }
        let moves = matches!(op, Op::Affine { .. } | Op::Rows { .. } | Op::Gru { .. })
            || op.slots().any(|slot| self.plan.slots[slot.0].moves);
        let out = self.slot(width, moves);
        self.plan.steps.push(Step { op, out, first: vec![] });
        out
    }

    fn load(&mut self, load: Load, width: usize) -> Slot {
        if let Some((_, slot)) = self.plan.loads.iter().find(|(same, _)| *same == load) {
            return *slot;
        }
        let slot = self.slot(width, false);
        self.plan.loads.push((load, slot));
        slot
    }

    fn slot(&mut self, width: usize, moves: bool) -> Slot {
        self.plan.slots.push(SlotSpec { width, moves });
        Slot(self.plan.slots.len() - 1)
    }
}

fn whole(slot: Slot, width: usize) -> Vec<Part> {
    vec![Part { at: 0, width, source: PartSource::Dense(slot) }]
}

fn operands(op: &LayerOp, mut visit: impl FnMut(LayerId)) {
    match op {
        LayerOp::Formal { .. }
        | LayerOp::Scalars(_)
        | LayerOp::Table { .. }
        | LayerOp::Gru { .. }
        | LayerOp::Noise
        | LayerOp::Simulate(_) => {}
        LayerOp::Concat(layers) => layers.iter().copied().for_each(visit),
        LayerOp::Linear { input, .. } | LayerOp::Mlp { input, .. } | LayerOp::Unary(_, input) => {
            visit(*input)
        }
        LayerOp::Per { heads, .. } => visit(*heads),
        LayerOp::Binary(_, x, y) => [*x, *y].into_iter().for_each(visit),
        LayerOp::Sum(parts) => parts.iter().for_each(|(part, _)| visit(*part)),
        LayerOp::Mixture(parts) => {
            parts.iter().flat_map(|part| [part.weight, part.logits]).for_each(visit);
        }
    }
}

fn imagines(model: &Model, simulation: &Simulation) -> Unsupported {
    let name = &model.kernel(simulation.kernel).name;
    Unsupported(format!(
        "`{name}` imagines before it draws: its probabilities are known where it acts, and have \
         no table"
    ))
}

fn widths(what: &str, found: usize, needed: usize) -> Unsupported {
    Unsupported(format!("{what} is {found} wide, where {needed} is needed"))
}
