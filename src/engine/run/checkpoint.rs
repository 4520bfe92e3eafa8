//! A checkpoint as bytes: the parameters under their own names, the rest under names with a slash,
//! which no parameter has.

use super::verdict::Rounds;
use crate::engine::tape::parameters::{FileError, Parameters, verify_finite};
use crate::engine::update::optimiser::OptimiserState;
use crate::model::Model;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

const COUNTS: &str = "checkpoint/counts";
const LISTS: [&str; 8] = [
    "optimiser/first",
    "optimiser/second",
    "fit/first",
    "fit/second",
    "previous/parameters",
    "normalize/inputs",
    "normalize/returns",
    "rounds/judged",
];
/// Of classifiers, and of the transitions of environments: those behind the first have their number
/// behind the first word.
fn numbered(word: &str, at: usize, rest: &str) -> String {
    match at {
        0 => format!("{word}/{rest}"),
        at => format!("{word}{}/{rest}", at + 1),
    }
}

const RECENT: &str = "until/recent";

/// What a checkpoint keeps of one bound, as tensors.
type Tensors = Vec<(String, Dtype, Vec<u8>)>;

/// All that resuming to the same bits needs: the random streams follow from the seed and the step.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub step: u64,
    pub env_steps: u64,
    pub parameters: Parameters<f64>,
    /// The parameters at the beginning of the round, flat; empty where they have not moved since.
    pub previous: Vec<f64>,
    /// Of the bound's gradient.
    pub optimiser: OptimiserState<f64>,
    /// Of the baseline's fit.
    pub fit: OptimiserState<f64>,
    /// What `until` watches, in the last batches; empty where there is none.
    pub recent: Vec<f64>,
    /// Count, means and spreads of normalised inputs and of returns.
    pub inputs: Vec<f64>,
    pub returns: Vec<f64>,
    pub rounds: Rounds,
    /// Of the classifiers, in the order of their ratios.
    pub classifiers: Vec<OptimiserState<f64>>,
    /// The transitions that are kept, by environment, as numbers.
    pub replays: Vec<Vec<f64>>,
    /// Of the bounds that a step takes before this one.
    pub earlier: Vec<Checkpoint>,
}

impl Checkpoint {
    /// The bytes of a safetensors file; equal checkpoints have equal bytes. Its parameters read as
    /// those of [`Parameters::to_safetensors`].
    ///
    /// # Errors
    /// What the format cannot hold.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, FileError> {
        let parameters = self.parameters.to_safetensors()?;
        let parameters = SafeTensors::deserialize(&parameters).map_err(unwritable)?;
        let mut own = self.tensors("");
        own.extend(
            self.earlier
                .iter()
                .enumerate()
                .flat_map(|(turn, earlier)| earlier.tensors(&of_turn(turn))),
        );
        let mut views: Vec<(String, TensorView<'_>)> = parameters.tensors();
        for (name, dtype, bytes) in &own {
            views.push((
                name.clone(),
                TensorView::new(*dtype, vec![bytes.len() / 8], bytes).map_err(unwritable)?,
            ));
        }
        safetensors::serialize(views, None).map_err(unwritable)
    }

    /// All but the parameters.
    fn tensors(&self, prefix: &str) -> Tensors {
        // of one that there is not, too
        let none = OptimiserState { steps: 0, first: Vec::new(), second: Vec::new() };
        let classifiers = match self.classifiers.as_slice() {
            [] => std::slice::from_ref(&none),
            some => some,
        };
        let counts = [self.step, self.env_steps, self.optimiser.steps, self.fit.steps];
        let of_classifiers = classifiers.iter().map(|classifier| classifier.steps);
        let mut tensors = vec![(
            format!("{prefix}{COUNTS}"),
            Dtype::U64,
            counts.into_iter().chain(of_classifiers).flat_map(u64::to_le_bytes).collect(),
        )];
        let Checkpoint { optimiser, fit, previous, inputs, returns, rounds, recent, .. } = self;
        let rounds = vec![rounds.done as f64, rounds.fell as f64, rounds.largest_shortfall];
        let lists = [
            &optimiser.first,
            &optimiser.second,
            &fit.first,
            &fit.second,
            previous,
            inputs,
            returns,
            &rounds,
        ];
        let mut push = |name: &str, values: &[f64]| {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            tensors.push((format!("{prefix}{name}"), Dtype::F64, bytes));
        };
        LISTS.iter().zip(lists).for_each(|(name, values)| push(name, values));
        for (at, classifier) in classifiers.iter().enumerate() {
            push(&numbered("classifier", at, "first"), &classifier.first);
            push(&numbered("classifier", at, "second"), &classifier.second);
        }
        let replays = match self.replays.as_slice() {
            [] => &[Vec::new()][..],
            some => some,
        };
        for (at, replay) in replays.iter().enumerate() {
            push(&numbered("replay", at, "transitions"), replay);
        }
        push(RECENT, recent);
        tensors
    }

    /// Reads what [`Checkpoint::to_safetensors`] wrote, for a model with the same networks.
    ///
    /// # Errors
    /// What is missing, of another shape, or no number.
    pub fn from_safetensors(model: &Model, bytes: &[u8]) -> Result<Checkpoint, FileError> {
        let mut parameters = Parameters::initial(model, 0);
        parameters.load_safetensors(bytes)?;
        let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let has = |turn: &usize| file.tensor(&format!("{}{COUNTS}", of_turn(*turn))).is_ok();
        let earlier = (0..)
            .take_while(has)
            .map(|turn| Checkpoint::read(&file, &of_turn(turn), &parameters))
            .collect::<Result<_, _>>()?;
        Ok(Checkpoint { earlier, ..Checkpoint::read(&file, "", &parameters)? })
    }

    fn read(
        file: &SafeTensors<'_>,
        prefix: &str,
        parameters: &Parameters<f64>,
    ) -> Result<Checkpoint, FileError> {
        let words = |name: &str, dtype: Dtype| {
            let name = format!("{prefix}{name}");
            let tensor = file.tensor(&name).map_err(|_| {
                FileError(format!("the file is no checkpoint: it has no tensor `{name}`"))
            })?;
            if tensor.dtype() != dtype {
                return Err(FileError(format!(
                    "`{name}` is of type {:?} in the file, not {dtype:?}",
                    tensor.dtype()
                )));
            }
            let words = tensor
                .data()
                .chunks_exact(8)
                .map(|word| u64::from_le_bytes(word.try_into().expect("a chunk of 8 bytes")));
            Ok(words.collect::<Vec<u64>>())
        };
        let counts = words(COUNTS, Dtype::U64)?;
        let [step, env_steps, optimiser_steps, fit_steps, _, ..] = counts[..] else {
            return Err(FileError(format!(
                "`{prefix}{COUNTS}` holds {} numbers in the file, not 5 or more",
                counts.len()
            )));
        };
        let numbers = |name: &str| -> Result<Vec<f64>, FileError> {
            let values: Vec<f64> =
                words(name, Dtype::F64)?.into_iter().map(f64::from_bits).collect();
            verify_finite(&format!("tensor `{prefix}{name}`"), 1, &values)
                .map_err(|found| FileError(found.to_string()))?;
            Ok(values)
        };
        let list = |at: usize| numbers(LISTS[at]);
        let optimiser =
            OptimiserState { steps: optimiser_steps, first: list(0)?, second: list(1)? };
        let fit = OptimiserState { steps: fit_steps, first: list(2)?, second: list(3)? };
        let (previous, inputs, returns, judged) = (list(4)?, list(5)?, list(6)?, list(7)?);
        let [done, fell, largest_shortfall] = judged[..] else {
            return Err(FileError(format!(
                "`{prefix}{}` holds {} numbers in the file, not 3",
                LISTS[7],
                judged.len()
            )));
        };
        let classifier = |(at, &steps): (usize, &u64)| {
            let list = |rest| numbers(&numbered("classifier", at, rest));
            Ok(OptimiserState { steps, first: list("first")?, second: list("second")? })
        };
        let classifiers =
            counts[4..].iter().enumerate().map(classifier).collect::<Result<_, FileError>>()?;
        let has = |at: &usize| {
            let name = format!("{prefix}{}", numbered("replay", *at, "transitions"));
            *at == 0 || file.tensor(&name).is_ok()
        };
        let replays = (0..)
            .take_while(has)
            .map(|at| numbers(&numbered("replay", at, "transitions")))
            .collect::<Result<_, FileError>>()?;
        let rounds = Rounds { done: done as u64, fell: fell as u64, largest_shortfall };
        let recent = numbers(RECENT)?;
        let (parameters, earlier) = (parameters.clone(), Vec::new());
        Ok(Checkpoint {
            step,
            env_steps,
            parameters,
            previous,
            optimiser,
            fit,
            recent,
            inputs,
            returns,
            rounds,
            classifiers,
            replays,
            earlier,
        })
    }
}

/// How the names begin of what is kept of an earlier bound.
fn of_turn(turn: usize) -> String {
    format!("turn{}/", turn + 1)
}

fn unwritable(error: SafeTensorError) -> FileError {
    FileError(format!("the checkpoint cannot be written as safetensors: {error}"))
}

fn unreadable(error: SafeTensorError) -> FileError {
    FileError(format!("the file is not in the format of safetensors: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{self, Overrides};
    use crate::source::Source;
    use crate::syntax;

    #[test]
    fn a_checkpoint_comes_back_as_it_was() {
        let text = "horizon T = 3
            environment line {
              state s : 0..2; action a : { left, right }; reward r in [-1, 0]
              s[1] ~ Delta(0); s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 2)); r[t] = -1
            }
            kernel pi(a | s) = Categorical(logits = table(s))
            prior      { s[1] ~ line.initial; a[t] ~ Uniform;  s[t+1] ~ line.transition(s[t], \
            a[t]) }
            likelihood { R[t] ~ exp(r[t]) }
            posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], \
            a[t]) }";
        let file = syntax::parse(&Source::new("m", text)).unwrap_or_else(|found| panic!("{found}"));
        let model =
            model::check(&file, &Overrides::default()).unwrap_or_else(|found| panic!("{found}"));
        let mut parameters = Parameters::<f64>::initial(&model, 1);
        parameters
            .values_mut()
            .iter_mut()
            .zip(1..)
            .for_each(|(value, n)| *value = 1.0 / f64::from(n));
        let optimiser =
            OptimiserState { steps: 7, first: vec![0.1, -0.0], second: vec![f64::MIN_POSITIVE] };
        let fit = OptimiserState { steps: 0, first: vec![], second: vec![] };
        let kept = Checkpoint {
            step: 5,
            env_steps: u64::MAX,
            parameters,
            previous: vec![0.5, 0.25],
            optimiser,
            fit,
            recent: vec![475.0],
            inputs: vec![2.0],
            returns: vec![],
            rounds: Rounds { done: 3, fell: 1, largest_shortfall: 0.125 },
            classifiers: vec![
                OptimiserState { steps: 3, first: vec![0.5], second: vec![] },
                OptimiserState { steps: 4, first: vec![0.25], second: vec![1.5] },
            ],
            replays: vec![vec![1.0, 2.0], vec![3.0]],
            earlier: vec![],
        };
        let kept = Checkpoint { earlier: vec![Checkpoint { step: 2, ..kept.clone() }], ..kept };
        let bytes = kept.to_safetensors().expect("bytes");
        let back = Checkpoint::from_safetensors(&model, &bytes).expect("a checkpoint");
        assert_eq!((back.step, back.env_steps), (kept.step, kept.env_steps));
        assert_eq!(
            (&back.optimiser, &back.fit, &back.previous),
            (&kept.optimiser, &kept.fit, &kept.previous)
        );
        assert_eq!(
            (&back.inputs, &back.returns, back.rounds),
            (&kept.inputs, &kept.returns, kept.rounds)
        );
        assert_eq!((&back.classifiers, &back.replays), (&kept.classifiers, &kept.replays));
        assert_eq!(back.recent, kept.recent);
        assert_eq!(
            (back.earlier.len(), back.earlier[0].step, &back.earlier[0].previous),
            (1, 2, &kept.previous)
        );
        assert_eq!(back.parameters.values(), kept.parameters.values());
        assert_eq!(back.to_safetensors().expect("bytes"), bytes);

        // a NaN or an infinity anywhere is told by its tensor
        type Spoil = fn(&mut Checkpoint);
        let spoilt: [(&str, Spoil); 8] = [
            ("`pi.logits.0.table`", |kept| kept.parameters.values_mut()[0] = f64::NAN),
            ("`optimiser/second`", |kept| kept.optimiser.second[0] = f64::INFINITY),
            ("`classifier/first`", |kept| kept.classifiers[0].first[0] = f64::NAN),
            ("`classifier2/second`", |kept| kept.classifiers[1].second[0] = f64::NAN),
            ("`normalize/inputs`", |kept| kept.inputs[0] = f64::NEG_INFINITY),
            ("`replay/transitions`", |kept| kept.replays[0][1] = f64::NAN),
            ("`replay2/transitions`", |kept| kept.replays[1][0] = f64::NAN),
            ("`turn1/previous/parameters`", |kept| kept.earlier[0].previous[1] = f64::NAN),
        ];
        for (tensor, spoil) in spoilt {
            let mut spoilt = kept.clone();
            spoil(&mut spoilt);
            let error =
                Checkpoint::from_safetensors(&model, &spoilt.to_safetensors().expect("bytes"))
                    .expect_err("no number");
            assert!(error.to_string().starts_with(&format!("the tensor {tensor} is ")), "{error}");
        }

        let parameters = kept.parameters.to_safetensors().expect("bytes");
        let error = Checkpoint::from_safetensors(&model, &parameters)
            .expect_err("parameters alone are no checkpoint");
        assert!(error.to_string().contains("no checkpoint"), "{error}");
    }
}
