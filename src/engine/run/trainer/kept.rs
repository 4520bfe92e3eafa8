//! What a run keeps to go on from: a checkpoint, and within a round the parameters of its
//! beginning.

use super::BoundTrainer;
use crate::engine::error::EngineError;
use crate::engine::fleet::shards::{Previous, Shared, read, write};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::run::checkpoint::Checkpoint;
use crate::engine::tape::parameters::Parameters;
use crate::engine::update::optimiser::OptimiserState;

impl<E: Number> BoundTrainer<'_, E> {
    pub fn checkpoint(&self, shared: &Shared<E>) -> Checkpoint {
        let previous = read(&shared.previous);
        Checkpoint {
            step: self.step,
            env_steps: self.env_steps,
            parameters: read(&shared.parameters).to_f64(),
            previous: if previous.moved {
                previous.values.iter().map(|v| v.as_f64()).collect()
            } else {
                Vec::new()
            },
            optimiser: widened(self.optimiser.state()),
            fit: widened(self.fit.state()),
            recent: self.watch.recent(),
            inputs: self.inputs.to_numbers(),
            returns: self.returns.to_numbers(),
            rounds: self.rounds().unwrap_or_default(),
            classifiers: self.classifiers.iter().map(|one| widened(one.state())).collect(),
            replays: Vec::new(),
            earlier: Vec::new(),
        }
    }

    /// Those of a bound without a classifier are one that holds nothing.
    fn restore_classifiers(&mut self, kept: &[OptimiserState<f64>]) -> bool {
        let is_nothing = |state: &OptimiserState<f64>| state.first.is_empty();
        if self.classifiers.is_empty() {
            return kept.iter().all(is_nothing);
        }
        self.classifiers.len() == kept.len()
            && self.classifiers.iter_mut().zip(kept).all(|(one, kept)| one.restore(narrowed(kept)))
    }

    pub fn restore(
        &mut self,
        checkpoint: &Checkpoint,
        shared: &Shared<E>,
    ) -> Result<(), EngineError> {
        let values = checkpoint.parameters.values();
        let mut parameters = write(&shared.parameters);
        let mut previous = write(&shared.previous);
        let fits = values.len() == parameters.values().len()
            && (checkpoint.previous.is_empty() || checkpoint.previous.len() == values.len())
            && self.optimiser.restore(narrowed(&checkpoint.optimiser))
            && self.fit.restore(narrowed(&checkpoint.fit))
            && self.restore_classifiers(&checkpoint.classifiers)
            && self.inputs.restore(&checkpoint.inputs)
            && self.returns.restore(&checkpoint.returns);
        if !fits {
            return Err(EngineError::Checkpoint(
                "its parameters or its optimiser are not those of this model".into(),
            ));
        }
        if !self.watch.restore(&checkpoint.recent) {
            return Err(EngineError::Checkpoint("it was watched by another `until`".into()));
        }
        if checkpoint.step > self.plan.settings.steps {
            let message = format!(
                "it is of step {}, and the run has {} steps",
                checkpoint.step, self.plan.settings.steps
            );
            return Err(EngineError::Checkpoint(message));
        }
        parameters
            .values_mut()
            .iter_mut()
            .zip(values)
            .for_each(|(mine, &theirs)| *mine = Float::of(theirs));
        self.good.copy_from_slice(parameters.values());
        self.good_step = checkpoint.step;
        previous.moved = !checkpoint.previous.is_empty();
        previous
            .values
            .iter_mut()
            .zip(&checkpoint.previous)
            .for_each(|(mine, &theirs)| *mine = Float::of(theirs));
        (self.step, self.env_steps) = (checkpoint.step, checkpoint.env_steps);
        let within = !checkpoint.step.is_multiple_of(self.plan.settings.steps_in_round());
        let at_round = if within && previous.moved {
            previous_values(&parameters.to_f64(), &previous)
        } else {
            parameters.to_f64()
        };
        self.judge.resume(checkpoint.rounds, &at_round);
        if self.plan.settings.normalize.returns {
            *write(&shared.returns) = self.return_scale();
        }
        Ok(())
    }
}

/// The parameters at the beginning of a round, in the layout of the present ones.
fn previous_values<E: Number>(
    present: &Parameters<f64>,
    previous: &Previous<E>,
) -> Parameters<f64> {
    let mut parameters = present.frozen();
    parameters
        .values_mut()
        .iter_mut()
        .zip(&previous.values)
        .for_each(|(value, &then)| *value = then.as_f64());
    parameters
}

impl<E: Number> Shared<'_, E> {
    pub(in crate::engine) fn previous_parameters(
        &self,
        present: &Parameters<f64>,
    ) -> Parameters<f64> {
        let previous = read(&self.previous);
        if previous.moved { previous_values(present, &previous) } else { present.frozen() }
    }

    /// Keeps the parameters at the beginning of the round, before they move.
    pub(in crate::engine) fn leave_previous(&self, present: &[E]) {
        let mut previous = write(&self.previous);
        if !previous.moved {
            previous.values.copy_from_slice(present);
            previous.moved = true;
        }
    }
}

fn widened<E: Float>(state: OptimiserState<E>) -> OptimiserState<f64> {
    let wide = |values: Vec<E>| values.into_iter().map(|v| v.as_f64()).collect();
    OptimiserState { steps: state.steps, first: wide(state.first), second: wide(state.second) }
}

fn narrowed<E: Float>(state: &OptimiserState<f64>) -> OptimiserState<E> {
    let narrow = |values: &[f64]| values.iter().map(|&v| E::of(v)).collect();
    OptimiserState {
        steps: state.steps,
        first: narrow(&state.first),
        second: narrow(&state.second),
    }
}
