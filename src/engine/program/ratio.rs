//! The classifier of a density ratio: its logit stands for the log-density of what is real, less
//! that of the model, or of the policy, at what was drawn (Sugiyama, Suzuki and Kanamori 2012).

use super::density::{Density, DensityRows};
use super::point::Point;
use crate::engine::episode::variable::When;
use crate::engine::error::EngineError;
use crate::engine::network::forward::Activations;
use crate::engine::network::plan::NetworkPlan;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::points::{Columns, EpisodeView, Inputs, Source, followed};
use crate::engine::program::recorded::Recorded;
use crate::engine::tables::known_ratio::KnownRatio;
use crate::model::kernel_parameters;
use crate::plan::{self, Apart, Plan, RatioOf};
use std::sync::Arc;

/// A classifier, compiled.
pub(in crate::engine) struct Ratio<E> {
    pub network: NetworkPlan,
    /// The same where it stands in the bound, and where a gradient goes through its inputs.
    pub through: Arc<NetworkPlan>,
    pub inputs: Inputs,
    pub of: RatioOf,
    pub apart: Apart,
    /// How numbers of a run name it.
    pub name: String,
    /// What draws the model's side, where that is drawn for the classifier alone.
    pub model: Option<Density>,
    /// Where the real side is recorded.
    pub recorded: Option<Recorded<E>>,
    /// The term it is of.
    pub term: usize,
    /// What the term has the logit with: −1 where the model stands above.
    pub sign: f64,
    /// The weights of the model are drawn, and the classifier learns at their means.
    pub shifts: bool,
    from: usize,
    to: usize,
    /// Stands in the place of what the network says, where an estimator is verified.
    pub known: Option<KnownRatio>,
}

/// What it said of a batch: a row for each live step at which the term counts.
#[derive(Default)]
pub(in crate::engine) struct RatioRows<E> {
    /// Step and trajectory.
    pub points: Vec<(u32, u32)>,
    /// Trajectories that have ended, with the steps after that. Their logits stand behind those of
    /// the points: one, or where the classifier reads the time, one of each step.
    pub absorbed: Vec<(u32, u32)>,
    columns: Columns<E>,
    pub network: Arc<Activations<E>>,
    known: Vec<E>,
    /// The log-densities of a model whose weights are drawn, at the draw and at the means.
    pub of_model: [DensityRows<E>; 2],
    /// The flat vector with those means.
    pub means: Vec<E>,
    said: Vec<E>,
}

impl<E: Number> Ratio<E> {
    /// Those of a plan, in the order of its terms.
    ///
    /// # Errors
    /// One sentence, where a network cannot run.
    pub fn all(plan: &Plan) -> Result<Vec<Ratio<E>>, EngineError> {
        let compiled = |(term, ratio): (usize, &plan::Ratio)| {
            let planned = &plan.terms[term];
            let compiled = NetworkPlan::compile(&plan.model, &[ratio.layer], |_, formal| formal);
            let network = compiled.map_err(|error| EngineError::Unsupported(error.to_string()))?;
            let inputs =
                Inputs::new(plan, &network, plan.model.kernel(ratio.kernel), &ratio.reads)?;
            let outputs = plan.model.kernel(ratio.kernel).outputs.len();
            let through = followed(plan, network.clone(), outputs, &ratio.reads)?;
            let model = ratio.model.as_ref().map(|model| Density::compile(plan, model));
            Ok(Ratio {
                network,
                through: Arc::new(through),
                inputs,
                of: ratio.of,
                apart: ratio.apart,
                name: ratio.name.clone(),
                model: model.transpose()?,
                recorded: Recorded::of(plan, term, ratio),
                term,
                sign: if ratio.turned { -1.0 } else { 1.0 },
                shifts: ratio.model.as_ref().is_some_and(|model| {
                    let of_model = kernel_parameters(&plan.model, model.kernel);
                    let mut drawn = plan.weights.iter().flat_map(|field| &field.parameters);
                    drawn.any(|(mean, _)| of_model.contains(mean))
                }),
                from: planned.from,
                to: planned.to,
                known: None,
            })
        };
        plan.ratios().map(compiled).collect()
    }
}

impl<E> Ratio<E> {
    /// Whether the ratio counts at step `t`.
    fn counts_at(&self, t: usize) -> bool {
        (self.from..=self.to).contains(&t)
    }

    pub fn reads_time(&self) -> bool {
        self.inputs.0.iter().any(|(source, _)| *source == Source::Time)
    }

    /// It learns from what a batch drew: recorded draws are told from the posterior's own.
    pub fn learns_within(&self) -> bool {
        self.model.is_none()
    }

    /// The steps at which it counts.
    pub fn steps(&self) -> std::ops::RangeInclusive<usize> {
        self.from..=self.to
    }
}

impl<E: Number> RatioRows<E> {
    /// The logits at all live steps. A classifier of actions also sees the steps after an end, at
    /// which there is neither a state nor an action: so does what it learned from.
    pub fn evaluate(&mut self, of: &Ratio<E>, point: Point<E>, on: &EpisodeView<E>) {
        let parameters = point.present;
        self.points.clear();
        for (t, bounds) in (1u32..).zip(on.rows.starts.windows(2)) {
            if of.counts_at(t as usize) {
                self.points.extend(
                    on.rows.trajectory[bounds[0]..bounds[1]]
                        .iter()
                        .map(|&trajectory| (t, trajectory)),
                );
            }
        }
        self.columns.gather(&of.inputs, &self.points, on, |_, what, t, of| {
            on.trace.number(what, t, of, |variable| on.drawn(variable))
        });
        let mut count = self.points.len();
        self.absorbed.clear();
        if of.learns_within() {
            let after =
                |&length: &u32| (of.to as u32).saturating_sub(length.max(of.from as u32 - 1));
            self.absorbed
                .extend((0u32..).zip(on.lengths.iter().map(after)).filter(|(_, steps)| *steps > 0));
            for t in 1..=if of.reads_time() { of.to as u32 } else { 1 } {
                self.columns.append_none(&of.inputs, t, count);
                count += 1;
            }
        }
        let network =
            Arc::get_mut(&mut self.network).expect("ratio: the tape of the last gradient is gone");
        of.through.forward(parameters, &self.columns.feeds(&of.inputs, count), 0..count, network);
        if let Some(known) = &of.known {
            let number = |point, variable, offset| {
                let (t, of_trajectory) = on.place(point);
                let number =
                    on.trace.number((variable, When::After(offset)), t, of_trajectory, |drawn| {
                        on.drawn(drawn)
                    });
                number.expect("ratio: a live step has a state, an action and a next state")
            };
            self.known.clear();
            self.known.extend(self.points.iter().map(|point| {
                <E as Float>::of(known.at(|variable, offset| number(point, variable, offset)))
            }));
        }
        self.said.clear();
        if let (true, Some(model)) = (of.shifts, &of.model) {
            self.shift(of, model, point, on);
        }
    }

    /// From the means of a model's weights, at which the classifier learns, to their draw: `log
    /// p/q` falls by what `log q` rises.
    fn shift(&mut self, of: &Ratio<E>, model: &Density, point: Point<E>, on: &EpisodeView<E>) {
        let at_means = Point { present: &point.frozen.values, ..point };
        self.means.clone_from(&point.frozen.values);
        for (rows, point) in self.of_model.iter_mut().zip([point, at_means]) {
            rows.points.clone_from(&self.points);
            rows.evaluate_at(model, point, on, |_, what, t, of| {
                on.trace.number(what, t, of, |variable| on.drawn(variable))
            });
        }
        let [drawn, means] = &self.of_model;
        let by = drawn.log_prob.iter().zip(&means.log_prob).map(|(&drawn, &mean)| drawn - mean);
        let said = self.logits(of).iter().zip(by).map(|(&logit, by)| logit - by).collect();
        self.said = said;
    }

    /// In the order of the points.
    pub fn logits(&self, of: &Ratio<E>) -> &[E] {
        if !self.said.is_empty() {
            return &self.said;
        }
        if of.known.is_some() {
            return &self.known;
        }
        self.network.output(&of.through, 0, 0..self.points.len())
    }

    /// That of step `t` after an end.
    pub fn logit_of_absorbed(&self, of: &Ratio<E>, t: usize) -> E {
        let at = self.points.len() + if of.reads_time() { t - 1 } else { 0 };
        self.network.output(&of.through, 0, at..at + 1)[0]
    }
}
