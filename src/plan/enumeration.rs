//! What `options = enumerate` can sum over: the pairs of an option's values at neighbouring steps.

use super::Plan;
use super::draw::{Draw, Outcome, StateDraw};
use super::read::Read;
use super::settings::Settings;
use super::term::{ComparedWith, Density, Extent, Quantity, Subject, Term};
use crate::expr::{ExprId, Graph, InputId};
use crate::model::{Index, Input, KernelId, Model, Role, Value};

/// At which steps a density reads the option, its target included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionReads {
    Nothing,
    /// The option is drawn once: all steps have it.
    Once,
    /// From `t + first` to `t + last`, one step apart at the most.
    Steps {
        first: i32,
        last: i32,
    },
}

/// Why `options = enumerate` cannot run.
pub fn against_enumeration(
    model: &Model,
    settings: &Settings,
    (draws, terms): (&[Draw], &[Term]),
    (states, outcomes): (&[StateDraw], &[Outcome]),
    (moves_model, unserved): (bool, usize),
) -> Option<String> {
    let (last, before) = draws.split_last()?;
    let why = match before {
        _ if moves_model => {
            "goes with states that this bound does not move, and it moves the model that draws them"
        }
        _ if before.iter().any(|draw| model.variable(draw.variable).role == Role::Action) => {
            "sums over an option that no world reads, and here another action is drawn before the \
             last, which the environment reads"
        }
        _ if unserved > 0 => {
            "compares all draws of a step with one value, and this baseline reads one of them"
        }
        _ if settings.reuses_batches() => {
            "credits what was not drawn, too, and a batch that is used again is weighed by the \
             ratios of what was"
        }
        [] => "sums over nothing: this model draws no option",
        [_, _, ..] => "sums over one option, and this model has several",
        [_] if !settings.kl_to_go || settings.discount < 1.0 || !settings.critics.is_empty() => {
            "goes with whole credit: without `kl_to_go = false`, `discount`, `lambda`, \
             `n_step` and `average_return`"
        }
        [option] if reads_option(option, states, outcomes) => {
            "sums over the options that could have led to the drawn actions, and here a kernel \
             that draws states, rewards or the end reads the option, too"
        }
        [option] if !last.head.is_finite() || !option.head.is_finite() => {
            "sums over finite values, and here a draw is real"
        }
        [option] => return against_reads(model, (option, last), terms),
    };
    Some(format!("`options = enumerate` {why}"))
}

/// Why `options = enumerate` cannot run beside the exponents of a bound.
pub fn against_exponents(
    model: &Model,
    (graph, inputs): (&Graph, &[Input]),
    draws: &[Draw],
    terms: &[Term],
) -> Option<String> {
    let [option, _] = draws else { return None };
    let reads_option = |value: &Value| match value {
        Value::Variable { variable, .. }
        | Value::Window { variable, .. }
        | Value::Past { variable, .. }
        | Value::Future { variable, .. } => *variable == option.variable,
        Value::Reward { .. } | Value::Time | Value::Absent | Value::Expression(_) => false,
    };
    let of_drawn = terms.iter().find_map(|term| {
        let Quantity::Exponent(value) = term.quantity else { return None };
        let gain = |id: InputId| match inputs[id.0 as usize] {
            Input::Gain(gain) => Some(model.gain(gain)),
            Input::Variable { .. } | Input::Reward { .. } | Input::Formal { .. } => None,
        };
        let mut gains = graph.inputs_of(&[value]).into_iter().filter_map(gain);
        gains.find(|gain| gain.reads().any(reads_option))
    });
    if let Some(gain) = of_drawn {
        return Some(format!(
            "`options = enumerate` sums over what an option could have been, and a gain of `{}` is \
             told of the one that was drawn",
            model.kernel(gain.kernel).name
        ));
    }
    // the density of a draw is taken at the option that was drawn
    let beside = terms.iter().find(|term| {
        let Quantity::Density { compared_with: ComparedWith::Expression(value), .. } =
            term.quantity
        else {
            return false;
        };
        let horizon = model.horizon.value;
        OptionReads::of_inputs((graph, inputs), value, term, option, horizon)
            != Some(OptionReads::Nothing)
    });
    if beside.is_some() {
        let what = "`options = enumerate` sums over what an option could have been, and a \
                    distribution in place is taken at the one that was drawn";
        return Some(what.to_owned());
    }
    let found = terms.iter().find(|term| {
        let Quantity::Exponent(value) = term.quantity else { return false };
        let horizon = model.horizon.value;
        OptionReads::of_inputs((graph, inputs), value, term, option, horizon).is_none()
    })?;
    let name = &model.variable(option.variable).name;
    Some(format!(
        "`options = enumerate` sums over the values of `{name}` at two neighbouring steps, and \
         the exponent of `{}` connects steps that are farther apart",
        found.name
    ))
}

/// Whether what is drawn in the environment's place reads the option.
fn reads_option(option: &Draw, states: &[StateDraw], outcomes: &[Outcome]) -> bool {
    let of_states = states.iter().flat_map(|of| &of.draw.reads);
    let mut reads = of_states.chain(outcomes.iter().flat_map(|of| &of.reads));
    reads.any(|read| read.variable() == Some(option.variable))
}

/// Marks the exponents that read the option to be valued when trajectories are whole: at every
/// option, the steps after an end included.
pub fn value_whole(
    model: &Model,
    (graph, inputs): (&Graph, &[Input]),
    draws: &[Draw],
    terms: &mut [Term],
) {
    let [option, _] = draws else { return };
    for term in terms {
        let Quantity::Exponent(value) = term.quantity else { continue };
        let horizon = model.horizon.value;
        let reads = OptionReads::of_inputs((graph, inputs), value, term, option, horizon);
        if reads != Some(OptionReads::Nothing) {
            term.extent = Extent::Trajectory;
        }
    }
}

/// What reads more of the option than a pair, or depends on it in a way that is not summed.
fn against_reads(model: &Model, (option, last): (&Draw, &Draw), terms: &[Term]) -> Option<String> {
    let horizon = model.horizon.value;
    let name = &model.variable(option.variable).name;
    let more = |kernel: KernelId| {
        let kernel = &model.kernel(kernel).name;
        let what = format!(
            "`options = enumerate` sums over the values of `{name}` at two neighbouring steps"
        );
        Some(format!("{what}, and `{kernel}` connects steps that are farther apart"))
    };
    for draw in [option, last] {
        let own = (draw.variable == option.variable && !draw.once)
            .then_some(Read::Variable(option.variable));
        match OptionReads::of(draw.reads.iter().copied().chain(own), option, (1, horizon), horizon)
        {
            Some(
                OptionReads::Nothing
                | OptionReads::Once
                | OptionReads::Steps { first: -1..=0, last: -1..=0 },
            ) => {}
            Some(OptionReads::Steps { .. }) | None => return more(draw.kernel),
        }
    }
    for term in terms {
        if let Some(density) = term.density()
            && OptionReads::of_density(density, term, option, horizon).is_none()
        {
            return more(density.kernel);
        }
        match &term.quantity {
            // where the file asks for the sum, both are sums of log-ratios
            Quantity::Kl { .. } | Quantity::LogRatio { .. } => {
                return Some(format!("`{}` is taken in closed form at what was drawn", term.name));
            }
            Quantity::Density { .. }
            | Quantity::Ratio(_)
            | Quantity::Exponent(_)
            | Quantity::Entropy { .. }
            | Quantity::WeightDivergence { .. }
            | Quantity::LogCount(_) => {}
        }
    }
    None
}

impl OptionReads {
    /// Those of a density of a term; `None` if they are more than two neighbours.
    pub fn of_density(
        density: &Density,
        term: &Term,
        option: &Draw,
        horizon: usize,
    ) -> Option<OptionReads> {
        let target = match density.target {
            Subject::Read(read) => Some(read),
            Subject::Reward(_) | Subject::End => None,
        };
        OptionReads::of(
            density.reads.iter().copied().chain(target),
            option,
            (term.from, term.to),
            horizon,
        )
    }

    /// Those of the exponent of a term, `None` where it is none; within that as of a density.
    pub fn of_exponent(plan: &Plan, term: &Term, option: &Draw) -> Option<Option<OptionReads>> {
        let Quantity::Exponent(value) = term.quantity else { return None };
        let (on, horizon) = ((&plan.graph, &plan.model.inputs[..]), plan.model.horizon.value);
        Some(OptionReads::of_inputs(on, value, term, option, horizon))
    }

    fn of_inputs(
        (graph, inputs): (&Graph, &[Input]),
        value: ExprId,
        term: &Term,
        option: &Draw,
        horizon: usize,
    ) -> Option<OptionReads> {
        let read = |id: InputId| match inputs[id.0 as usize] {
            Input::Variable { variable, index, .. } => Some(match index {
                Index::First => Read::First(variable),
                Index::Step(0) => Read::Variable(variable),
                Index::Step(k) => Read::Step(variable, k),
                Index::Last(k) => Read::Last(variable, k),
            }),
            Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => None,
        };
        let reads = graph.inputs_of(&[value]).into_iter().filter_map(read);
        OptionReads::of(reads, option, (term.from, term.to), horizon)
    }

    /// Those of `reads` from the steps `from..=to`.
    fn of(
        reads: impl Iterator<Item = Read>,
        option: &Draw,
        (from, to): (usize, usize),
        horizon: usize,
    ) -> Option<OptionReads> {
        let mut found = OptionReads::Nothing;
        for read in reads {
            // a fixed step has one distance from a term that stands at one step
            let fixed = |step: i64| if from == to { Some(step - from as i64) } else { None };
            let (variable, steps) = match read {
                Read::Time => continue,
                Read::Variable(variable) => (variable, Some((0, 0))),
                Read::Step(variable, offset) => (variable, Some((offset, offset))),
                Read::Window(variable, from, to) => (variable, Some((from, to))),
                Read::First(variable) => {
                    (variable, fixed(1).map(|offset| (offset as i32, offset as i32)))
                }
                Read::Last(variable, offset) => {
                    let offset = fixed(horizon as i64 + i64::from(offset));
                    (variable, offset.map(|offset| (offset as i32, offset as i32)))
                }
                Read::Past(variable, _)
                | Read::Future(variable, _)
                | Read::Whole(variable, _)
                | Read::Between(variable, ..)
                | Read::Tail(variable, _) => (variable, None),
                Read::Reward(..) | Read::Absent => continue,
            };
            if variable != option.variable {
                continue;
            }
            found = match (found, steps) {
                _ if option.once => OptionReads::Once,
                (_, None) => return None,
                (OptionReads::Steps { first, last }, Some((from, to))) => {
                    OptionReads::Steps { first: first.min(from), last: last.max(to) }
                }
                (OptionReads::Nothing | OptionReads::Once, Some((first, last))) => {
                    OptionReads::Steps { first, last }
                }
            };
        }
        match found {
            OptionReads::Steps { first, last } if last.saturating_sub(first) > 1 => None,
            found => Some(found),
        }
    }
}
