//! Inputs of networks that are normalised: by means and deviations that no gradient moves.

use super::expressions::Number;
use super::float::Float;
use super::parameters::Layout;
use crate::model::VariableId;
use crate::plan::{Normalizer, Plan};
use std::ops::Range;

/// Where the mean and the logarithm of the deviation of each component stand in the flat vector.
pub(super) struct Scaled {
    pub mean: Range<usize>,
    pub log_deviation: Range<usize>,
}

/// A normalised input is kept within so many deviations.
const FARTHEST: f64 = 10.0;

impl Scaled {
    /// By variable that networks of a plan's draws see normalised.
    pub fn all(plan: &Plan) -> Vec<(VariableId, Scaled)> {
        let layout = Layout::of(&plan.model.network);
        let of = |normalizer: &Normalizer| {
            let range = |id| layout.range(id);
            let scaled = Scaled {
                mean: range(normalizer.mean),
                log_deviation: range(normalizer.log_deviation),
            };
            (normalizer.variable, scaled)
        };
        plan.normalizers.iter().map(of).collect()
    }

    /// `(x − mean) / deviation` of each component, within [`FARTHEST`].
    pub fn scale<E: Number>(
        &self,
        parameters: &[E],
        columns: &[E],
        (rows, stride): (usize, usize),
        out: &mut Vec<E>,
    ) {
        let (far, near): (E, E) = (Float::of(FARTHEST), Float::of(-FARTHEST));
        out.clear();
        let parts =
            parameters[self.mean.clone()].iter().zip(&parameters[self.log_deviation.clone()]);
        for ((&mean, &log_deviation), column) in parts.zip(columns.chunks_exact(stride.max(1))) {
            let factor = Float::exp(-log_deviation);
            out.extend(
                column[..rows]
                    .iter()
                    .map(|&x| Float::min(Float::max((x - mean) * factor, near), far)),
            );
        }
    }
}
