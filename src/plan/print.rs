//! A plan as text, for `rlppl plan`.

use super::keys::key_named;
use super::pathwise::variable_of;
use super::{
    Baseline, Beside, Credited, Draw, DrawGradient, Estimator, KEYS, OptionGradient, Plan,
    Precision, Quantity, Ratio, RatioOf, Read, StateDraw, Subject,
};
use crate::bound::Reparameterised;
use crate::model::parameters_of;
use std::collections::BTreeSet;
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "plan of `{}`", self.model.name)?;
        let several = self.model.bounds.len() > 1;
        for plan in self.turns() {
            if several {
                let steps = if plan.per_turn == 1 {
                    "one step".to_owned()
                } else {
                    format!("{} steps", plan.per_turn)
                };
                let name = plan.model.bound(plan.derivation.bound).name.as_deref().unwrap_or("");
                match plan.terms.is_empty() {
                    true => writeln!(
                        f,
                        "\nthe policy in the environment, for the real transitions of a classifier"
                    )?,
                    false => writeln!(f, "\nbound `{name}`, {steps} in a turn")?,
                }
            }
            for key in &plan.own_settings {
                writeln!(f, "  {key} = {}", plan.setting(key))?;
            }
            plan.write_bound(f)?;
        }
        for plan in &self.watched {
            writeln!(
                f,
                "\nbound `{}`, evaluated after training",
                plan.model.bound(plan.derivation.bound).name.as_deref().unwrap_or("")
            )?;
            plan.write_terms(f)?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "settings{}",
            if several { ", where a bound has none of its own" } else { "" }
        )?;
        let width = KEYS.iter().map(|key| key.name.len()).max().unwrap_or(0);
        for key in KEYS {
            let from = if self.model.setting(key.name).is_some() { "" } else { "  (default)" };
            writeln!(f, "  {:width$} = {}{from}", key.name, self.setting(key.name))?;
        }
        Ok(())
    }
}

impl Plan {
    fn write_bound(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_terms(f)?;
        if self.terms.is_empty() {
            return Ok(());
        }
        let width = self.width();
        writeln!(f)?;
        writeln!(f, "gradient")?;
        let of_states = |once: bool| {
            let scored = self.states.iter().filter(|of| of.is_scored());
            scored.map(|of| &of.draw).filter(move |draw| draw.once == once)
        };
        let name = |draw: &Draw| format!("`{}`", self.model.kernel(draw.kernel).name);
        let beside = self.scored_beside().iter().map(|beside| match beside {
            Beside::Observation => "the observation".to_owned(),
            Beside::Simulation => "what kernels imagine".to_owned(),
        });
        let apart = self.outcomes.iter().filter(|outcome| outcome.is_scored);
        let apart = apart.map(|outcome| format!("`{}`", self.model.kernel(outcome.kernel).name));
        let all = self
            .draws
            .iter()
            .chain(of_states(false))
            .map(name)
            .chain(apart)
            .chain(beside)
            .chain(of_states(true).map(name));
        for (number, name) in all.enumerate() {
            if self.terms.iter().all(|term| term.credit[number].is_none()) {
                continue;
            }
            writeln!(f, "  score of {name}, at each draw credited with")?;
            for term in &self.terms {
                match term.credit[number] {
                    Some(Credited::All) => writeln!(f, "    {:width$}  whole", term.name)?,
                    Some(Credited::From(0)) => {
                        writeln!(f, "    {:width$}  from `t` on", term.name)?
                    }
                    Some(Credited::From(offset)) => {
                        writeln!(f, "    {:width$}  from `t{offset:+}` on", term.name)?
                    }
                    None => {}
                }
            }
        }
        let through = &self.derivation.gradient.through;
        for term in self
            .terms
            .iter()
            .filter(|term| term.pathwise || self.is_pathwise() && through.contains(&term.id))
        {
            match &term.quantity {
                Quantity::Ratio(Ratio { model: Some(model), turned: true, .. }) => {
                    let name = &self.model.kernel(model.kernel).name;
                    writeln!(f, "  pathwise through log {name}")?;
                }
                _ => writeln!(f, "  pathwise through {}", term.name)?,
            }
        }
        if self.is_pathwise() {
            let drawn = self.derivation.gradient.reparameterised.iter();
            let kernel = |draw: &Reparameterised| match draw.kernel {
                Some(kernel) => format!("`{}`", self.model.kernel(kernel).name),
                None => {
                    let bound = self.model.bound(self.derivation.bound);
                    let variable = bound.factor(draw.factor).targets.iter().find_map(variable_of);
                    let of = variable.map_or("", |of| &self.model.variable(of).name);
                    format!("`{of}`")
                }
            };
            let kernels: Vec<String> = drawn.map(kernel).collect();
            writeln!(f, "  and through the draws of {}, to the first step", kernels.join(" and "))?;
        }
        let givens = |kernel| {
            let names: Vec<&str> =
                self.model.kernel(kernel).givens.iter().map(|given| given.name.as_str()).collect();
            names.join(", ")
        };
        let baseline = match &self.settings.baseline {
            Baseline::None => "none".to_string(),
            Baseline::LeaveOneOut => {
                "the mean credit of the other live trajectories at the same `t`".to_string()
            }
            Baseline::Network { kernel, .. } => {
                let count: usize = self.fitted.iter().map(|&id| size(self, id)).sum();
                format!(
                    "a network of {}, fitted to earlier batches, {count} parameters of its own",
                    givens(*kernel)
                )
            }
        };
        writeln!(f, "  baseline: {baseline}")?;
        let several = self.settings.ratios.len() > 1;
        for (_, ratio) in self.ratios() {
            let own = parameters_of(&self.model.network, ratio.layer);
            let count: usize = own.iter().map(|&id| size(self, id)).sum();
            let (steps, pairs) = (self.settings.ratio_steps, self.settings.ratio_batch);
            let apart = match ratio.of {
                RatioOf::Transition => "real transitions from the model's",
                RatioOf::Start => "real first states from the model's",
                RatioOf::Recorded(_) if ratio.model.is_some() => "recorded draws from the model's",
                RatioOf::Recorded(_) => "recorded actions from the policy's",
            };
            let of = if several { format!(" `{}`", ratio.name) } else { String::new() };
            let each = if steps == 1 { "one step".to_owned() } else { format!("{steps} steps") };
            writeln!(
                f,
                "  classifier{of}: a network of {}, {count} parameters, {each} of {pairs} pairs a \
                 batch, {apart}",
                givens(ratio.kernel)
            )?;
        }
        for remark in &self.remarks {
            writeln!(f, "  remark: {remark}")?;
        }
        writeln!(f)?;
        let count: usize = self.trained.iter().map(|&id| size(self, id)).sum();
        writeln!(f, "parameters ({count} trained)")?;
        for &id in
            self.trained.iter().chain(&self.fitted).chain(&self.classified).collect::<BTreeSet<_>>()
        {
            let parameter = self.model.network.parameter(id);
            writeln!(f, "  {}  {} x {}", parameter.name, parameter.rows, parameter.columns)?;
        }
        Ok(())
    }

    /// What a step leads to, as a file writes it.
    fn subject(&self, of: Subject) -> Option<String> {
        match of {
            Subject::Reward(reward) => {
                let environment = self.model.environment(self.environment);
                Some(format!("{}[t]", environment.rewards[reward].name))
            }
            Subject::End => Some("end[t]".to_owned()),
            Subject::Read(Read::Step(variable, 1)) => {
                Some(format!("{}[t+1]", self.model.variable(variable).name))
            }
            Subject::Read(_) => None,
        }
    }

    fn write_terms(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(StateDraw { draw, outcomes, .. }) = self.next_state() {
            let (state, kernel) =
                (&self.model.variable(draw.variable).name, &self.model.kernel(draw.kernel).name);
            let drawn = outcomes.iter().filter_map(|outcome| self.subject(outcome.of));
            let with: Vec<String> = drawn.map(|drawn| format!("`{drawn}`")).collect();
            let told = if with.is_empty() {
                "rewards and the end are".to_owned()
            } else {
                format!("so is {}, the rest is", with.join(", "))
            };
            writeln!(f, "\n`{state}[t+1]` is imagined by `{kernel}`; {told} the environment's")?;
        }
        for outcome in &self.outcomes {
            let kernel = &self.model.kernel(outcome.kernel).name;
            let drawn = self.subject(outcome.of).unwrap_or_default();
            writeln!(f, "\n`{drawn}` is drawn by `{kernel}`, in the environment's place")?;
        }
        if self.terms.is_empty() {
            return Ok(());
        }
        writeln!(f)?;
        writeln!(f, "terms of the bound")?;
        let width = self.width();
        for term in &self.terms {
            let sign = if term.sign < 0.0 { '-' } else { '+' };
            let steps = if term.live { "live steps of " } else { "" };
            let estimator = match term.estimator {
                Estimator::Sampled => "mean over trajectories",
                Estimator::ClosedForm => "closed form",
                Estimator::Counted => "counted",
            };
            writeln!(
                f,
                "  {sign} {:width$}  {steps}t = {}..{}: {estimator}, since {}",
                term.name, term.from, term.to, term.why
            )?;
        }
        Ok(())
    }

    /// Of the longest name of a term.
    fn width(&self) -> usize {
        self.terms.iter().map(|term| term.name.chars().count()).max().unwrap_or(0)
    }
}

fn size(plan: &Plan, id: crate::model::ParameterId) -> usize {
    let parameter = plan.model.network.parameter(id);
    parameter.rows * parameter.columns
}

impl Plan {
    /// The value of a key of the table, as text.
    fn setting(&self, key: &str) -> String {
        let settings = &self.settings;
        match key {
            "trajectories" => settings.trajectories.to_string(),
            "steps" => settings.steps_in_round().to_string(),
            "rounds" => settings.rounds.to_string(),
            "epochs" => settings.epochs.to_string(),
            "minibatch" => {
                settings.minibatch.map_or("the whole batch".into(), |rows| rows.to_string())
            }
            "clip_ratio" => settings.clip_ratio.map_or("none".into(), |ratio| ratio.to_string()),
            "kl_target" => settings.kl_target.map_or("none".into(), |kl| kl.to_string()),
            "update" => settings.update.to_string(),
            "optimizer" => settings.optimizer.to_string(),
            "clip_norm" => settings.clip_norm.map_or("none".into(), |norm| norm.to_string()),
            "baseline" => match settings.baseline {
                Baseline::None => "none".into(),
                Baseline::LeaveOneOut => "leave_one_out".into(),
                Baseline::Network { .. } => "a network".into(),
            },
            "baseline_weight" => settings.baseline_weight.to_string(),
            "discount" => settings.discount.to_string(),
            "options" => match settings.options {
                OptionGradient::Sampled => "sampled".into(),
                OptionGradient::Enumerated => "enumerate".into(),
            },
            "estimator" => match settings.estimator {
                DrawGradient::Score => "score".into(),
                DrawGradient::Pathwise => "pathwise".into(),
            },
            "ratio" => match settings.ratios.len() {
                0 => "none".into(),
                1 => "a network".into(),
                several => format!("{several} networks"),
            },
            "ratio_steps" => settings.ratio_steps.to_string(),
            "ratio_batch" => settings.ratio_batch.to_string(),
            "replay" => settings.replay.to_string(),
            "refits" => settings.refits.to_string(),
            "refit_batch" => settings.refit_batch.to_string(),
            "kl_to_go" => settings.kl_to_go.to_string(),
            "normalize" => {
                let all = [
                    ("observations", settings.normalize.observations),
                    ("returns", settings.normalize.returns),
                    ("advantages", settings.normalize.advantages),
                ];
                let named: Vec<&str> =
                    all.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
                if named.is_empty() { "nothing".into() } else { format!("[{}]", named.join(", ")) }
            }
            "precision" => match settings.precision {
                Precision::F32 => "f32".into(),
                Precision::F64 => "f64".into(),
            },
            "threads" => {
                settings.threads.map_or("the machine's".into(), |threads| threads.to_string())
            }
            "seed" => settings.seed.to_string(),
            "shards" => settings.shards.to_string(),
            "checkpoint_every" => format!("{} s", settings.checkpoint_every),
            "log_every" => settings.log_every.to_string(),
            "until" => settings.until.map_or("the last step".into(), |until| {
                format!(
                    "{}, in the mean of {} batches",
                    until.written(&self.reward_names()),
                    until.batches
                )
            }),
            name => {
                let chosen = settings.critics.iter().find(|chosen| chosen.key == name);
                let default = key_named(name).map(|key| key.default.to_string());
                let value = chosen.map(|chosen| chosen.value.to_string()).or(default);
                value.unwrap_or_else(|| "not run".into())
            }
        }
    }
}
