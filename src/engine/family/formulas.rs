//! The formulas of a family over real numbers, compiled, and their slopes.

use crate::expr::{ExprId, Graph, InputId, Program};
use crate::family::{At, Draw, Family, Formula, Path};
use std::collections::BTreeSet;
use std::ops::Range;

/// Programs over elements: a component of a row each.
#[derive(Debug)]
pub struct Formulas {
    /// `log p(x)`, then its slope in each argument.
    pub log_density: Program<f64>,
    /// The slope of `log p(x)` in `x`.
    pub slope_in_x: Program<f64>,
    /// The entropy, then its slope in each argument.
    pub entropy: Option<Program<f64>>,
    /// `KL(q ‖ p)`, then its slope in each argument of `q`, then of `p`.
    pub divergence: Option<Program<f64>>,
    /// The Fisher information, row by row.
    pub fisher: Option<Program<f64>>,
    /// A draw, from noise.
    pub draw: Option<Program<f64>>,
    pub centre: Program<f64>,
    /// How a draw moves with each argument while its noise stands still.
    pub path: Option<Program<f64>>,
}

/// The inputs of the formulas, in the order of their numbers.
pub struct Inputs {
    /// How many arguments the family has.
    pub arguments: usize,
}

impl Inputs {
    pub fn of_p(&self) -> usize {
        self.arguments
    }

    pub fn x(&self) -> usize {
        2 * self.arguments
    }

    pub fn lo(&self) -> usize {
        2 * self.arguments + 1
    }

    pub fn hi(&self) -> usize {
        2 * self.arguments + 2
    }

    pub fn noise(&self) -> usize {
        2 * self.arguments + 3
    }

    pub fn count(&self) -> usize {
        2 * self.arguments + 4
    }
}

impl Formulas {
    pub fn compile(family: Family) -> Formulas {
        let inputs = Inputs { arguments: family.arguments().len() };
        let mut graph = Graph::default();
        let ids: Vec<ExprId> =
            (0..inputs.count()).map(|at| graph.input(InputId(at as u32))).collect();
        let bounds = (ids[inputs.lo()], ids[inputs.hi()]);
        let q = At { arguments: &ids[..inputs.of_p()], bounds };
        let p = At { arguments: &ids[inputs.of_p()..inputs.x()], bounds };
        let (x, noise) = (ids[inputs.x()], ids[inputs.noise()]);
        let mut f = Formula::new(&mut graph);
        let log_density = family.log_density(&mut f, x, &q);
        let entropy = family.entropy(&mut f, &q);
        let divergence = family.divergence(&mut f, &q, &p);
        let fisher = family.fisher(&mut f, &q);
        let draw = match family.draw() {
            Draw::OfNormal(draw) | Draw::OfUniform(draw) => Some(draw(&mut f, noise, &q)),
            Draw::Sampled(_) => None,
        };
        let centre = family.centre(&mut f, &q);
        let path = match family.path() {
            Some(Path::Formula(path)) => Some(path(&mut f, x, &q)),
            Some(Path::Computed(_)) | None => None,
        };
        let (one, two, of_x) = (inputs.of_p(), inputs.x(), inputs.x() as u32);
        let in_x = slopes(&mut graph, log_density, of_x..of_x + 1);
        let mut with_slopes = |root: ExprId, count: usize| {
            let all = slopes(&mut graph, root, 0..count as u32);
            let roots: Vec<ExprId> = std::iter::once(root).chain(all).collect();
            Program::compile(&graph, &roots, &[])
        };
        Formulas {
            log_density: with_slopes(log_density, one),
            entropy: entropy.map(|root| with_slopes(root, one)),
            divergence: divergence.map(|root| with_slopes(root, two)),
            slope_in_x: Program::compile(&graph, &in_x, &[]),
            fisher: fisher.map(|roots| Program::compile(&graph, &roots, &[])),
            draw: draw.map(|root| Program::compile(&graph, &[root], &[])),
            centre: Program::compile(&graph, &[centre], &[]),
            path: path.map(|roots| Program::compile(&graph, &roots, &[])),
        }
    }
}

/// The derivatives of a formula in some of the inputs.
fn slopes(graph: &mut Graph, root: ExprId, inputs: Range<u32>) -> Vec<ExprId> {
    let wanted: BTreeSet<InputId> = inputs.map(InputId).collect();
    let found = graph.derivatives(root, &wanted).expect("family: its formulas do not jump");
    let zero = graph.constant(0.0);
    wanted.iter().map(|input| found.get(input).copied().unwrap_or(zero)).collect()
}
