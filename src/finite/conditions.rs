//! How the table of a kernel counts its conditions and outcomes.

use super::{NotFinite, finite_domain};
use crate::model::{Formal, FormalLength, FormalVariable, KernelId, Model};

/// The numbering of [`super::KernelTable`]: axes in the order of the givens, the steps of a window
/// one after the other, the last axis fastest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    pub axes: Vec<Axis>,
    /// The joint values of the outputs, in their order, the last fastest.
    pub outputs: Vec<usize>,
}

/// One finite given, or one step of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Which given of the kernel.
    pub given: usize,
    /// Which step of its window; 0 for a single value.
    pub step: usize,
    /// Number of values, `none` included.
    pub size: usize,
    /// The number of `none`, where the given admits it: the last.
    pub none: Option<usize>,
    /// Conditions between two neighbours on this axis.
    pub stride: usize,
}

impl Conditions {
    /// # Errors
    /// A given or output that is not finite, or a sequence `x[..]`, in one sentence.
    pub fn of(model: &Model, kernel: KernelId) -> Result<Conditions, NotFinite> {
        let kernel = model.kernel(kernel);
        let mut axes = Vec::new();
        for (given, formal) in kernel.givens.iter().enumerate() {
            let steps = match formal.length {
                FormalLength::One => 1,
                FormalLength::Window(steps) => steps,
                FormalLength::Sequence => {
                    return Err(NotFinite(format!(
                        "`{}` conditions on the sequence `{}`: it has no table",
                        kernel.name, formal.name
                    )));
                }
            };
            let size = size(model, &kernel.name, formal)?;
            for step in 0..steps {
                let none = formal.optional.then_some(size);
                axes.push(Axis {
                    given,
                    step,
                    size: size + usize::from(formal.optional),
                    none,
                    stride: 1,
                });
            }
        }
        let mut count = 1usize;
        for axis in axes.iter_mut().rev() {
            axis.stride = count;
            count = count.checked_mul(axis.size).filter(|&n| n <= 1 << 28).ok_or_else(|| {
                NotFinite(format!(
                    "the givens of `{}` have more than 2^28 joint values: too many for a table",
                    kernel.name
                ))
            })?;
        }
        let outputs = kernel
            .outputs
            .iter()
            .map(|formal| size(model, &kernel.name, formal))
            .collect::<Result<_, _>>()?;
        Ok(Conditions { axes, outputs })
    }

    /// Number of conditions: rows of the table.
    pub fn count(&self) -> usize {
        self.axes.iter().map(|axis| axis.size).product()
    }

    /// Number of joint outcomes: columns of the table.
    pub fn outcomes(&self) -> usize {
        self.outputs.iter().product()
    }

    /// The condition in which axis `i` has value `values[i]`.
    pub fn number(&self, values: &[usize]) -> usize {
        self.axes.iter().zip(values).map(|(axis, value)| axis.stride * value).sum()
    }

    /// Writes the value of each axis in a condition.
    pub fn values(&self, condition: usize, out: &mut [usize]) {
        self.axes
            .iter()
            .zip(out)
            .for_each(|(axis, out)| *out = condition / axis.stride % axis.size);
    }
}

fn size(model: &Model, kernel: &str, formal: &Formal) -> Result<usize, NotFinite> {
    match formal.variable {
        FormalVariable::Variable(variable) => Ok(finite_domain(model, variable)?.size()),
        FormalVariable::Time => Ok(model.horizon.value),
        FormalVariable::End => Ok(2),
        FormalVariable::Reward(environment, reward) => {
            let reward = &model.environment(environment).rewards[reward as usize].name;
            Err(NotFinite(format!(
                "the reward `{reward}` of `{kernel}` is a real number: it has no table"
            )))
        }
    }
}
