//! Inputs of networks that are normalised: by means and deviations that no gradient moves.

use crate::engine::network::layout::Layout;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::model::VariableId;
use crate::plan::{Normalizer, Plan};
use std::ops::Range;

/// Where the mean and the logarithm of the deviation of each component stand in the flat vector.
pub(in crate::engine) struct Scaled {
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

    /// `(x − mean) / deviation` of each component, within [`FARTHEST`]; NaN, which stands for
    /// `none`, stays.
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
            out.extend(column[..rows].iter().map(|&x| {
                let z = (x - mean) * factor;
                if z > far {
                    far
                } else if z < near {
                    near
                } else {
                    z
                }
            }));
        }
    }

    /// The slope of what is seen in each number of rows of all components.
    pub fn slopes<E: Number>(&self, parameters: &[E], rows: &[E]) -> Vec<E> {
        let means = &parameters[self.mean.clone()];
        let log_deviations = &parameters[self.log_deviation.clone()];
        let (far, width): (E, usize) = (Float::of(FARTHEST), means.len());
        let slope = |(at, &x): (usize, &E)| {
            let factor = Float::exp(-log_deviations[at % width]);
            let z = (x - means[at % width]) * factor;
            if z > far || z < -far { <E as Float>::ZERO } else { factor }
        };
        rows.iter().enumerate().map(slope).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_scaled_within_limits_and_none_stays_none() {
        let scaled = Scaled { mean: 0..2, log_deviation: 2..4 };
        let parameters = [1.0f64, -2.0, 0.0, 2f64.ln()];
        // two components of three rows, of which two are asked for
        let columns = [2.0, f64::NAN, 0.0, 1e9, -4.0, 0.0];
        let mut out = Vec::new();
        scaled.scale(&parameters, &columns, (2, 3), &mut out);
        assert!(out[0] == 1.0 && out[1].is_nan() && out[2..] == [10.0, -1.0], "{out:?}");
        // the same rows, row by row
        let slopes = scaled.slopes(&parameters, &[2.0, 1e9, 0.0, -4.0]);
        assert_eq!(slopes, [1.0, 0.0, 1.0, 0.5]);
    }
}
