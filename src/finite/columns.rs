//! Expressions of a model at many points, a column of values for each.

use super::NotFinite;
use crate::expr::{Column, ExprId, InputId, Program, Scratch};
use crate::model::{Input, Model};
use std::collections::BTreeMap;
use std::ops::Range;

/// How many points are evaluated at once: the columns of a usual expression fit the cache.
pub const BLOCK: usize = 1024;

/// Writes the values of an input at a range of points.
pub type Fill<'a> = &'a dyn Fn(Input, Range<usize>, &mut [f64]);

/// Some expressions as a program, and buffers for their values at up to [`BLOCK`] points.
pub struct Columns<'m> {
    model: &'m Model,
    program: Program<f64>,
    scratch: Scratch<f64>,
    /// What the expressions read, with a buffer each.
    inputs: Vec<(InputId, Vec<f64>)>,
    reads_time: bool,
    /// Root → its column.
    place: BTreeMap<ExprId, usize>,
    values: Vec<f64>,
}

impl<'m> Columns<'m> {
    pub fn new(model: &'m Model, roots: &[ExprId]) -> Columns<'m> {
        let mut place = BTreeMap::new();
        let mut distinct = Vec::new();
        for &root in roots {
            place.entry(root).or_insert_with(|| {
                distinct.push(root);
                distinct.len() - 1
            });
        }
        let program = Program::compile(&model.graph, &distinct, &model.param_values());
        let inputs = model
            .graph
            .inputs_of(&distinct)
            .into_iter()
            .map(|input| (input, vec![0.0; BLOCK]))
            .collect();
        let reads_time = model
            .graph
            .reach(&distinct)
            .iter()
            .any(|&id| *model.graph.node(id) == crate::expr::Node::Time);
        Columns {
            model,
            scratch: program.scratch(),
            program,
            inputs,
            reads_time,
            place,
            values: vec![0.0; BLOCK * distinct.len()],
        }
    }

    /// What the expressions read, each once.
    pub fn inputs(&self) -> impl Iterator<Item = Input> + '_ {
        self.inputs.iter().map(|(id, _)| self.model.inputs[id.0 as usize])
    }

    pub fn reads_time(&self) -> bool {
        self.reads_time
    }

    /// Evaluates at the points `range` (at most [`BLOCK`] of them) at time `t`.
    pub fn evaluate(&mut self, range: Range<usize>, t: f64, fill: Fill<'_>) {
        let rows = range.len();
        for (id, column) in &mut self.inputs {
            fill(self.model.inputs[id.0 as usize], range.clone(), &mut column[..rows]);
        }
        let inputs = &self.inputs;
        let column = |id: InputId| match inputs.binary_search_by_key(&id, |(known, _)| *known) {
            Ok(at) => Column::Each(&inputs[at].1),
            Err(_) => Column::Same(f64::NAN),
        };
        self.program.run(
            &column,
            Column::Same(t),
            rows,
            &mut self.values,
            BLOCK,
            &mut self.scratch,
        );
    }

    /// The values of a root at the points of the last [`Columns::evaluate`], from its first point
    /// on.
    pub fn column(&self, root: ExprId) -> &[f64] {
        &self.values[self.place[&root] * BLOCK..][..BLOCK]
    }
}

/// One expression at the points `0..n`.
pub fn values_at(model: &Model, root: ExprId, n: usize, t: f64, fill: Fill<'_>) -> Vec<f64> {
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
pub fn listed(
    model: &Model,
    variable: crate::model::VariableId,
) -> Result<Vec<Vec<f64>>, NotFinite> {
    Ok(values(super::finite_domain(model, variable)?))
}

/// The values of a finite domain, a column for each component.
pub fn values(finite: &crate::model::FiniteDomain) -> Vec<Vec<f64>> {
    let mut columns = vec![Vec::with_capacity(finite.size()); finite.width()];
    let mut value = vec![0.0; finite.width()];
    for number in 0..finite.size() {
        finite.value(number, &mut value);
        columns.iter_mut().zip(&value).for_each(|(column, &v)| column.push(v));
    }
    columns
}
