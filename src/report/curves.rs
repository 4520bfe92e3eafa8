//! What a run logged, as curves over environment steps.

use super::{Folder, METRICS, TIMINGS};
use indexmap::IndexMap;
use serde_json::{Map, Value};

/// The numbers of `metrics.jsonl`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// By the name of a number (`bound`, `terms.H(pi)`, `round.kl`): environment steps, and its
    /// value there. Values that were not finite are NaN.
    pub of: IndexMap<String, Vec<(f64, f64)>>,
    /// Of the last line.
    pub steps: u64,
    pub env_steps: u64,
    /// From `timings.jsonl`; `None` where nothing was logged.
    pub wall_seconds: Option<f64>,
    /// Lines that could not be read.
    pub broken: usize,
    /// Values that were not finite.
    pub not_finite: usize,
}

impl Curves {
    /// A log that is missing is empty, and a line that cannot be read is counted and left out.
    pub fn read(folder: &Folder) -> Curves {
        let text = |name| {
            folder
                .read(name)
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .unwrap_or_default()
        };
        let mut curves = Curves::of(&text(METRICS));
        let seconds =
            |line: &str| serde_json::from_str::<Value>(line).ok()?.get("wall_seconds")?.as_f64();
        curves.wall_seconds = text(TIMINGS).lines().rev().find_map(seconds);
        curves
    }

    /// Of the text of a log.
    pub fn of(text: &str) -> Curves {
        let mut curves = Curves::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if curves.add(line).is_none() {
                curves.broken += 1;
            }
        }
        curves
    }

    /// `None` where the line is no record of a step.
    fn add(&mut self, line: &str) -> Option<()> {
        let record: Map<String, Value> = serde_json::from_str(line).ok()?;
        let (step, env_steps) = (record.get("step")?.as_u64()?, record.get("env_steps")?.as_u64()?);
        (self.steps, self.env_steps) = (step, env_steps);
        for (name, value) in
            record.iter().filter(|(name, _)| !["step", "env_steps"].contains(&name.as_str()))
        {
            match value {
                Value::Object(parts) => parts.iter().for_each(|(part, value)| {
                    self.push(format!("{name}.{part}"), env_steps, value)
                }),
                value => self.push(name.clone(), env_steps, value),
            }
        }
        Some(())
    }

    /// JSON has no NaN: it is written as `null`.
    fn push(&mut self, name: String, env_steps: u64, value: &Value) {
        let value = match value {
            // where a density is known by samples alone, there is no such number
            Value::Null if name == "kl" => return,
            Value::Null => f64::NAN,
            Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
            Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => return,
        };
        self.not_finite += usize::from(!value.is_finite());
        self.of.entry(name).or_default().push((env_steps as f64, value));
    }
}

/// At most `most` points, each the mean of as many neighbours as it takes; the last may stand for
/// fewer. NaN counts only where there is nothing else.
pub fn thin(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let together = points.len().div_ceil(most.max(1)).max(1);
    let mean = |chunk: &[(f64, f64)]| {
        let finite: Vec<&(f64, f64)> = chunk.iter().filter(|(_, y)| y.is_finite()).collect();
        let of: Vec<&(f64, f64)> = if finite.is_empty() { chunk.iter().collect() } else { finite };
        let n = of.len() as f64;
        (of.iter().map(|(x, _)| x).sum::<f64>() / n, of.iter().map(|(_, y)| y / n).sum::<f64>())
    };
    points.chunks(together).map(mean).collect()
}

/// A quantile at each of some places.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// Where, and the lower quartile, the median and the upper quartile there.
    pub at: Vec<(f64, [f64; 3])>,
}

/// Median and quartiles of several curves, over the part of the axis that all of them cover.
pub fn spread(curves: &[Vec<(f64, f64)>], places: usize) -> Option<Spread> {
    let finite: Vec<Vec<(f64, f64)>> = curves
        .iter()
        .map(|curve| curve.iter().copied().filter(|(_, y)| y.is_finite()).collect())
        .collect();
    let from = finite
        .iter()
        .map(|curve| curve.first().map(|point| point.0))
        .collect::<Option<Vec<f64>>>()?;
    let to = finite
        .iter()
        .map(|curve| curve.last().map(|point| point.0))
        .collect::<Option<Vec<f64>>>()?;
    let (from, to) = (from.into_iter().reduce(f64::max)?, to.into_iter().reduce(f64::min)?);
    if from > to {
        return None;
    }
    let place = |k: usize| from + (to - from) * k as f64 / places.saturating_sub(1).max(1) as f64;
    let quartiles = |x: f64| {
        let mut values: Vec<f64> = finite.iter().map(|curve| interpolate(curve, x)).collect();
        values.sort_by(f64::total_cmp);
        (x, [0.25, 0.5, 0.75].map(|p| quantile(&values, p)))
    };
    Some(Spread { at: (0..places).map(place).map(quartiles).collect() })
}

/// Of sorted values that are not none, linear between neighbours.
pub fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

/// `curve` is sorted by `x` and not empty.
fn interpolate(curve: &[(f64, f64)], x: f64) -> f64 {
    let after = curve.partition_point(|point| point.0 < x);
    let (left, right) = (curve[after.saturating_sub(1)], curve[after.min(curve.len() - 1)]);
    match right.0 > left.0 {
        true => left.1 + (right.1 - left.1) * ((x - left.0) / (right.0 - left.0)).clamp(0.0, 1.0),
        false => right.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_lines_are_counted_and_null_is_not_finite() {
        let curves = Curves::of(
            "{\"step\":1,\"bound\":-2.5,\"terms\":{\"H(pi)\":1,\"R\":null},\"env_steps\":10}\n\
             nonsense\n[1]\n\n{\"step\":2,\"bound\":1e999,\
             \"env_steps\":20}\n{\"step\":2,\"bound\":-2,\"env_steps\":20}\n{\"step\":3,\"bou",
        );
        assert_eq!(curves.of["bound"], [(10.0, -2.5), (20.0, -2.0)]);
        assert_eq!(curves.of.keys().collect::<Vec<_>>(), ["bound", "terms.H(pi)", "terms.R"]);
        assert!(curves.of["terms.R"][0].1.is_nan());
        assert_eq!(
            (curves.steps, curves.env_steps, curves.broken, curves.not_finite),
            (2, 20, 4, 1)
        );
        assert_eq!(Curves::of(""), Curves::default());
    }

    #[test]
    fn thinning_takes_means_of_neighbours() {
        let points: Vec<(f64, f64)> =
            (0..5).map(|k| (k as f64, if k == 1 { f64::NAN } else { 2.0 * k as f64 })).collect();
        assert_eq!(thin(&points, 3), [(0.0, 0.0), (2.5, 5.0), (4.0, 8.0)]);
        assert_eq!(thin(&[], 3), []);
        assert!(thin(&[(1.0, f64::NAN)], 3)[0].1.is_nan());
    }

    #[test]
    fn the_spread_is_over_what_all_curves_cover() {
        let line = |from: f64, to: f64, height: f64| vec![(from, height), (to, height)];
        let found =
            spread(&[line(0.0, 4.0, 1.0), line(1.0, 5.0, 3.0), line(0.0, 3.0, 2.0)], 3).unwrap();
        assert_eq!(found.at.iter().map(|at| at.0).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
        assert!(found.at.iter().all(|at| at.1 == [1.5, 2.0, 2.5]), "{found:?}");
        assert_eq!(spread(&[line(0.0, 1.0, 1.0), line(2.0, 3.0, 1.0)], 3), None);
        assert_eq!(spread(&[vec![]], 3), None);
        assert_eq!(interpolate(&[(0.0, 0.0), (2.0, 1.0)], 1.0), 0.5);
    }
}
