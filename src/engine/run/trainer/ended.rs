//! What ends a run with a number that is none: of a batch, of a gradient, of an optimiser's memory,
//! of a step.

use super::BoundTrainer;
use crate::engine::error::EngineError;
use crate::engine::fleet::shards::{Shared, read, write};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use crate::engine::numeric::number::Number;
use crate::engine::sample::fault::{Arose, Fault};
use crate::engine::tape::parameters::Parameters;
use crate::engine::update::optimiser::Optimiser;
use crate::plan::{self, Baseline, Plan};

impl<E: Number> BoundTrainer<'_, E> {
    /// Holds that the trajectories of the batch have no number that is none.
    pub(in crate::engine) fn hold_batch(&self, shared: &Shared<E>) -> Result<(), EngineError> {
        let Some(fault) = shared.fault() else { return Ok(()) };
        // what a network made of the present parameters is no reason to keep them
        let good = match (fault.arose, self.plan.weights.is_empty()) {
            (Arose::World | Arose::Outside, true) => (self.step, read(&shared.parameters).to_f64()),
            (Arose::World | Arose::Outside, false) | (Arose::Kernel, _) => {
                (self.good_step, self.good_parameters(shared))
            }
        };
        if let Some(failure) = fault.failure() {
            let (good, kept) = (good.0, Box::new(good.1));
            return Err(EngineError::Environment { step: self.step + 1, failure, good, kept });
        }
        Err(self.ended(fault.to_string(), fault.hint(), good))
    }

    pub(in crate::engine) fn ended(
        &self,
        what: String,
        hint: &str,
        (good, kept): (u64, Parameters<f64>),
    ) -> EngineError {
        EngineError::NotFinite {
            step: self.step + 1,
            what,
            hint: hint.to_owned(),
            good,
            kept: Box::new(kept),
        }
    }

    /// What a trained policy is ends the run as what a batch is does.
    pub fn broken_after(&self, error: EngineError, parameters: &Parameters<E>) -> EngineError {
        if let EngineError::EnvironmentPlayed { mut failure } = error {
            failure.what = format!("in the trajectories after training {}", failure.what);
            let (step, kept) = (self.step, Box::new(parameters.to_f64()));
            return EngineError::Environment { step, failure, good: step, kept };
        }
        let EngineError::Broken(what) = error else { return error };
        let kept = (self.good_step, parameters.frozen_at(Some(&self.good)).to_f64());
        self.ended(
            format!("in the trajectories after training {what}"),
            "a smaller `rate` or a `clip_norm` holds parameters back",
            kept,
        )
    }

    /// Those of the last good batch.
    fn good_parameters(&self, shared: &Shared<E>) -> Parameters<f64> {
        read(&shared.parameters).frozen_at(Some(&self.good)).to_f64()
    }

    /// The run ends: a gradient is not finite. The parameters are again as they were before the
    /// batch moved them.
    pub(in crate::engine) fn not_finite(
        &mut self,
        shared: &Shared<E>,
        parameters: &mut Parameters<E>,
        what: &str,
    ) -> EngineError {
        let drawn = std::mem::take(&mut self.drawn);
        shared.program.weights.put_back(drawn, parameters.values_mut());
        if !kernels::all_finite(parameters.values()) {
            return self.overstepped(parameters);
        }
        if self.has_moved {
            parameters.values_mut().copy_from_slice(&self.good);
        }
        let kept = (self.step, parameters.to_f64());
        // with drawn weights the batch was not rolled out with these
        let as_rolled_out = self.plan.weights.is_empty();
        let state = |at, place| {
            if as_rolled_out { shared.state_before(self.step, at, place, parameters) } else { None }
        };
        if let (Some((at, place, value)), Baseline::Network { kernel, .. }) =
            (shared.broken_value(), &self.plan.settings.baseline)
        {
            let what =
                format!("the value of `{}` is {value}", self.plan.model.kernel(*kernel).name);
            let (t, trajectory) = place;
            let (arose, state) = (Arose::Kernel, state(at, place));
            let fault = Fault { what, arose, t, trajectory, state, outside: None };
            return self.ended(fault.to_string(), fault.hint(), kept);
        }
        let (said, hint) = said_of_gradient(parameters, &self.gradient, what);
        self.ended(said, hint, kept)
    }

    /// Holds that the memory of an optimiser has not overflowed in a step along a gradient of this
    /// norm. Squares of numbers no greater than the norm do not overflow where its own does not,
    /// and means of them do not either: only then is the memory looked at.
    pub(in crate::engine) fn hold_optimiser(
        &self,
        optimiser: &Optimiser<E>,
        norm: f64,
        parameters: &Parameters<E>,
    ) -> Result<(), EngineError> {
        if norm * norm < Float::as_f64(<E as Float>::LARGEST) * 0.25 {
            return Ok(());
        }
        let Some((moment, at)) = optimiser.overflow() else { return Ok(()) };
        let tensor = parameters.layout().name(parameters.layout().parameter_at(at));
        let what = format!(
            "the {moment} that the optimiser keeps of `{tensor}` overflows {}",
            <E as Float>::NAME
        );
        let kept = (self.good_step, parameters.frozen_at(Some(&self.good)).to_f64());
        Err(self.ended(what, overflow_hint(self.plan), kept))
    }

    /// Holds that the steps of the batch have left every parameter a number.
    pub(in crate::engine) fn hold_parameters(&self, shared: &Shared<E>) -> Result<(), EngineError> {
        let mut parameters = write(&shared.parameters);
        match kernels::all_finite(parameters.values()) {
            true => Ok(()),
            false => Err(self.overstepped(&mut parameters)),
        }
    }

    /// The run ends: a step has made parameters that are no numbers. They are again those that
    /// were good last.
    fn overstepped(&self, parameters: &mut Parameters<E>) -> EngineError {
        let what = format!(
            "a step makes what is no number of {}",
            tensor_of(parameters, parameters.values())
        );
        parameters.values_mut().copy_from_slice(&self.good);
        self.ended(
            what,
            "a smaller `rate` of the optimizer makes smaller steps",
            (self.good_step, parameters.to_f64()),
        )
    }
}

/// What is wrong with a gradient whose norm is not finite, and what helps.
fn said_of_gradient<E: Float>(
    parameters: &Parameters<E>,
    gradient: &[E],
    what: &str,
) -> (String, &'static str) {
    match gradient.iter().any(|x| !x.is_finite()) {
        true => (
            format!("{what} of {} is not finite", tensor_of(parameters, gradient)),
            "the slope of a function in a network's arguments is infinite there (`sqrt` and `log` \
             at 0), or the parameters have grown too far: \
             `softplus(x)` stays above 0, a smaller `rate` or a `clip_norm` holds parameters back",
        ),
        false => (format!("the norm of {what} overflows"), SCALE),
    }
}

const SCALE: &str = "rewards of this size leave no digits for anything else: scale them, or the \
                     param before them, down";

fn overflow_hint(plan: &Plan) -> &'static str {
    match plan.settings.precision {
        plan::Precision::F32 => {
            "`precision = f64` reaches further; rewards, or the param before them, may be scaled \
             down instead"
        }
        plan::Precision::F64 => SCALE,
    }
}

fn tensor_of<E: Float>(parameters: &Parameters<E>, values: &[E]) -> String {
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => format!(
            "the tensor `{}`",
            parameters.layout().name(parameters.layout().parameter_at(at))
        ),
        None => "all tensors together".into(),
    }
}
