//! Expressions of a model at many points, a column of values per node.

use super::NotFinite;
use crate::expr::{ExprId, Graph, Node};
use crate::model::{Input, Model};
use std::collections::HashMap;
use std::ops::Range;

/// How many points are evaluated at once: all columns of a usual expression fit the cache.
pub const BLOCK: usize = 1024;

/// Some expressions, and buffers for their values at up to [`BLOCK`] points.
pub struct Columns<'m> {
    model: &'m Model,
    params: Vec<f64>,
    /// The nodes that are read, operands first.
    nodes: Vec<ExprId>,
    /// Node → its place in `nodes` and `values`.
    place: HashMap<ExprId, usize>,
    values: Vec<Vec<f64>>,
}

impl<'m> Columns<'m> {
    pub fn new(model: &'m Model, roots: &[ExprId]) -> Columns<'m> {
        let nodes = model.graph.reach(roots);
        let place = nodes.iter().enumerate().map(|(at, &id)| (id, at)).collect();
        let values = vec![vec![0.0; BLOCK]; nodes.len()];
        Columns { model, params: model.param_values(), nodes, place, values }
    }

    /// What the expressions read, each once.
    pub fn inputs(&self) -> impl Iterator<Item = Input> + '_ {
        self.nodes.iter().filter_map(|&id| match self.model.graph.node(id) {
            Node::Input(input) => Some(self.model.inputs[input.0 as usize]),
            _ => None,
        })
    }

    pub fn reads_time(&self) -> bool {
        self.nodes.iter().any(|&id| matches!(self.model.graph.node(id), Node::Time))
    }

    /// Evaluates at the points `range` (at most [`BLOCK`] of them) at time `t`. `fill(input, range, column)` writes the values of an input.
    pub fn evaluate(&mut self, range: Range<usize>, t: f64, fill: &dyn Fn(Input, Range<usize>, &mut [f64])) {
        let n = range.len();
        for at in 0..self.nodes.len() {
            let (done, rest) = self.values.split_at_mut(at);
            let out = &mut rest[0][..n];
            let column = |id: &ExprId| &done[self.place[id]][..n];
            match self.model.graph.node(self.nodes[at]) {
                Node::Constant(bits) => out.fill(f64::from_bits(*bits)),
                Node::Param(param) => out.fill(self.params[param.0 as usize]),
                Node::Time => out.fill(t),
                Node::Input(input) => fill(self.model.inputs[input.0 as usize], range.clone(), out),
                Node::Unary(op, x) => out.iter_mut().zip(column(x)).for_each(|(out, &x)| *out = op.apply(x)),
                Node::Binary(op, x, y) => {
                    for ((out, &x), &y) in out.iter_mut().zip(column(x)).zip(column(y)) {
                        *out = op.apply(x, y);
                    }
                }
                Node::If(condition, then, otherwise) => {
                    let (condition, then, otherwise) = (column(condition), column(then), column(otherwise));
                    for (i, out) in out.iter_mut().enumerate() {
                        *out = if condition[i] != 0.0 { then[i] } else { otherwise[i] };
                    }
                }
                Node::Lookup(table, index) => lookup(&self.model.graph, *table, column(index), out),
                Node::Choose(items, index) => {
                    let items: Vec<&[f64]> = items.iter().map(column).collect();
                    for (i, (out, &index)) in out.iter_mut().zip(column(index)).enumerate() {
                        *out = whole(index).and_then(|at| items.get(at)).map_or(f64::NAN, |item| item[i]);
                    }
                }
            }
        }
    }

    /// The values of a root at the points of the last [`Columns::evaluate`].
    pub fn column(&self, root: ExprId) -> &[f64] {
        &self.values[self.place[&root]]
    }
}

/// One expression at the points `0..n`, as a whole vector.
pub fn values_at(model: &Model, root: ExprId, n: usize, t: f64, fill: &dyn Fn(Input, Range<usize>, &mut [f64])) -> Vec<f64> {
    let mut columns = Columns::new(model, &[root]);
    let mut all = Vec::with_capacity(n);
    for range in blocks(n) {
        columns.evaluate(range.clone(), t, fill);
        all.extend_from_slice(&columns.column(root)[..range.len()]);
    }
    all
}

/// `0..n` in pieces of at most [`BLOCK`].
pub fn blocks(n: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n.div_ceil(BLOCK)).map(move |block| block * BLOCK..n.min((block + 1) * BLOCK))
}

/// The values of a finite variable, a column per component: `columns[component][number]`.
pub fn listed(model: &Model, variable: crate::model::VariableId) -> Result<Vec<Vec<f64>>, NotFinite> {
    let domain = &model.variable(variable).domain;
    let finite = super::finite_domain(model, variable)?;
    let mut columns = vec![Vec::with_capacity(finite.size()); domain.width()];
    let mut value = vec![0.0; domain.width()];
    for number in 0..finite.size() {
        finite.value(number, &mut value);
        columns.iter_mut().zip(&value).for_each(|(column, &v)| column.push(v));
    }
    Ok(columns)
}

fn lookup(graph: &Graph, table: crate::expr::TableId, index: &[f64], out: &mut [f64]) {
    let table = graph.table(table);
    for (out, &index) in out.iter_mut().zip(index) {
        *out = whole(index).and_then(|at| table.get(at)).copied().unwrap_or(f64::NAN);
    }
}

fn whole(index: f64) -> Option<usize> {
    let at = index as usize; // saturates; NaN gives 0
    (at as f64 == index).then_some(at)
}
