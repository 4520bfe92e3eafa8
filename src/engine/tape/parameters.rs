//! The trainable numbers of a model's networks: one flat vector, a range of it for every parameter.
//!
//! A gradient is a flat vector of the same layout. Initial values depend on the seed and the
//! parameter's name alone, so that adding a network to a model leaves the others as they were:
//!
//! - a weight of a layer (`inputs × outputs`): orthogonal rows or columns (Saxe et al. 2014), √2
//!   long where another layer follows, 1 at the end of a network;
//! - the last weight below logits, and below the mean of a normal: 0.01 long, so that the first
//!   policy is nearly uniform, or centred (Andrychowicz et al. 2021, §3.2);
//! - biases and tables: 0.

use crate::engine::network::layout::Layout;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use crate::engine::tape::initial;
use crate::engine::tape::tensor::Leaf;
use crate::model::{Model, ParameterId};
use std::collections::HashMap;
use std::sync::Arc;

/// All trainable numbers of a model. Cheap to clone for reading; a clone is the same leaf of the
/// tape, [`Parameters::frozen`] is not.
#[derive(Clone, Debug)]
pub struct Parameters<E: Float> {
    layout: Arc<Layout>,
    values: Arc<Vec<E>>,
    leaf: Leaf<E>,
}

impl<E: Float> Parameters<E> {
    /// Initial values, by the scheme above.
    pub fn initial(model: &Model, seed: u64) -> Parameters<E> {
        let layout = Layout::of(&model.network);
        let values = initial::values(model, seed).into_iter().map(E::of).collect();
        Parameters::from_values(Arc::new(layout), values)
    }

    fn from_values(layout: Arc<Layout>, values: Vec<E>) -> Parameters<E> {
        let leaf = Leaf::new(values.len());
        Parameters { layout, values: Arc::new(values), leaf }
    }

    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The flat vector.
    pub fn values(&self) -> &[E] {
        &self.values
    }

    pub(in crate::engine) fn shared_values(&self) -> Arc<Vec<E>> {
        self.values.clone()
    }

    pub(in crate::engine) fn leaf(&self) -> &Leaf<E> {
        &self.leaf
    }

    /// The flat vector, to be changed. Copies it where a clone still reads it.
    pub fn values_mut(&mut self) -> &mut [E] {
        let values: &mut Vec<E> = Arc::make_mut(&mut self.values);
        values
    }

    /// One parameter, row-major.
    pub fn get(&self, id: ParameterId) -> &[E] {
        &self.values[self.layout.range(id)]
    }

    /// A copy that takes no part in later changes and gets no gradient: `previous`.
    pub fn frozen(&self) -> Parameters<E> {
        Parameters::from_values(self.layout.clone(), self.values.to_vec())
    }

    /// The same with other numbers, where there are such.
    pub fn frozen_at(&self, values: Option<&[E]>) -> Parameters<E> {
        values.map_or_else(
            || self.frozen(),
            |values| Parameters::from_values(self.layout.clone(), values.to_vec()),
        )
    }

    pub fn to_f64(&self) -> Parameters<f64> {
        Parameters::from_values(
            self.layout.clone(),
            self.values.iter().map(|v| v.as_f64()).collect(),
        )
    }

    /// A gradient of zeros.
    pub fn zero_gradient(&self) -> Vec<E> {
        vec![E::ZERO; self.values.len()]
    }

    /// The bytes of a safetensors file: one tensor per parameter, under its name, of shape rows ×
    /// columns.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, FileError> {
        let bytes: Vec<Vec<u8>> = self
            .layout
            .ids()
            .map(|id| {
                let mut bytes = Vec::with_capacity(std::mem::size_of_val(self.get(id)));
                self.get(id).iter().for_each(|v| v.write_le(&mut bytes));
                bytes
            })
            .collect();
        let views = self.layout.ids().zip(&bytes).map(|(id, bytes)| {
            let (rows, columns) = self.layout.shape(id);
            Ok((
                self.layout.name(id),
                safetensors::tensor::TensorView::new(E::SAFETENSORS, vec![rows, columns], bytes)?,
            ))
        });
        let views =
            views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>().map_err(unwritable)?;
        safetensors::serialize(views, None).map_err(unwritable)
    }

    /// Reads what [`Parameters::to_safetensors`] wrote, in either precision. All parameters of the
    /// model must be there, with their shapes, and each of their numbers has to be one; other
    /// tensors of the file are left alone. On an error nothing has changed.
    pub fn load_safetensors(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let file = safetensors::SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let by_name: HashMap<&str, safetensors::tensor::TensorView> = file.iter().collect();
        let mut values = Vec::with_capacity(self.values.len());
        for id in self.layout.ids() {
            let name = self.layout.name(id);
            let (rows, columns) = self.layout.shape(id);
            let tensor = by_name
                .get(name)
                .ok_or_else(|| FileError(format!("the file has no tensor `{name}`")))?;
            if tensor.shape() != [rows, columns] {
                return Err(FileError(format!(
                    "`{name}` is {rows} × {columns} in the model and {:?} in the file",
                    tensor.shape()
                )));
            }
            let first = values.len();
            match tensor.dtype() {
                safetensors::Dtype::F32 => values
                    .extend(tensor.data().chunks_exact(4).map(|b| E::of(f32::read_le(b).as_f64()))),
                safetensors::Dtype::F64 => {
                    values.extend(tensor.data().chunks_exact(8).map(|b| E::of(f64::read_le(b))))
                }
                other => {
                    return Err(FileError(format!(
                        "`{name}` is of type {other:?} in the file; it can be F32 or F64"
                    )));
                }
            }
            verify_finite(&format!("tensor `{name}`"), columns, &values[first..])
                .map_err(|found| FileError(found.to_string()))?;
        }
        self.values = Arc::new(values);
        Ok(())
    }
}

impl Layout {
    /// Holds that a flat vector (`what`: the gradient, the parameters) has neither NaN nor
    /// infinity.
    ///
    /// # Errors
    /// The first number that is one, by the parameter it belongs to.
    pub fn verify_finite<E: Float>(&self, what: &str, values: &[E]) -> Result<(), NotFinite> {
        if kernels::all_finite(values) {
            return Ok(());
        }
        for id in self.ids() {
            verify_finite(
                &format!("{what} of `{}`", self.name(id)),
                self.shape(id).1,
                &values[self.range(id)],
            )?;
        }
        Ok(())
    }
}

/// Holds that a row-major tensor has neither NaN nor infinity.
///
/// # Errors
/// The first number that is one.
pub fn verify_finite<E: Float>(
    tensor: &str,
    columns: usize,
    values: &[E],
) -> Result<(), NotFinite> {
    if kernels::all_finite(values) {
        return Ok(());
    }
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => Err(NotFinite {
            tensor: tensor.to_owned(),
            row: at / columns,
            column: at % columns,
            value: values[at].as_f64(),
        }),
    }
}

/// A NaN or an infinity where there must be none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the {tensor} is {value} in row {row}, column {column}")]
pub struct NotFinite {
    pub tensor: String,
    pub row: usize,
    pub column: usize,
    pub value: f64,
}

/// A file of parameters that cannot be read or written, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FileError(pub String);

fn unwritable(error: safetensors::SafeTensorError) -> FileError {
    FileError(format!("the parameters cannot be written as safetensors: {error}"))
}

fn unreadable(error: safetensors::SafeTensorError) -> FileError {
    FileError(format!("this is not a safetensors file: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::testing::*;
    use crate::model::{Activation, FormalVariable, LayerOp};

    #[test]
    fn files_keep_every_bit() {
        let (model, _, _) = mlp_policy(3, &[5], 2);
        let saved = Parameters::<f32>::initial(&model, 1);
        let bytes = saved.to_safetensors().expect("written");
        let mut loaded = Parameters::<f32>::initial(&model, 2);
        assert_ne!(loaded.values(), saved.values());
        loaded.load_safetensors(&bytes).expect("read");
        assert_eq!(loaded.values(), saved.values());
        // in the other precision, and back
        let mut wide = Parameters::<f64>::initial(&model, 2);
        wide.load_safetensors(&bytes).expect("read");
        assert_eq!(wide.values(), saved.to_f64().values());
        loaded.load_safetensors(&wide.to_safetensors().expect("written")).expect("read");
        assert_eq!(loaded.values(), saved.values());
    }

    #[test]
    fn other_files_are_refused_and_change_nothing() {
        let (model, _, _) = mlp_policy(3, &[5], 2);
        let mut parameters = Parameters::<f32>::initial(&model, 1);
        let before = parameters.values().to_vec();
        let refused = |parameters: &mut Parameters<f32>, bytes: &[u8]| {
            parameters.load_safetensors(bytes).expect_err("refused").0
        };
        let bytes = parameters.to_safetensors().expect("written");
        assert!(
            refused(&mut parameters, &bytes[..bytes.len() - 3])
                .starts_with("this is not a safetensors file")
        );
        assert!(refused(&mut parameters, b"").starts_with("this is not a safetensors file"));
        let (wider, _, _) = mlp_policy(3, &[6], 2);
        let bytes = Parameters::<f32>::initial(&wider, 1).to_safetensors().expect("written");
        assert_eq!(
            refused(&mut parameters, &bytes),
            "`pi.0.weight` is 3 × 5 in the model and [3, 6] in the file"
        );
        let bytes =
            Parameters::<f32>::initial(&empty_model(1), 1).to_safetensors().expect("written");
        assert_eq!(refused(&mut parameters, &bytes), "the file has no tensor `pi.0.weight`");
        assert_eq!(parameters.values(), before);
    }

    #[test]
    fn a_file_with_what_is_no_number_is_refused_and_changes_nothing() {
        let (model, _, _) = mlp_policy(3, &[5], 2);
        for (broken, told) in
            [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf"), (1e300, "inf")]
        {
            let mut saved = Parameters::<f64>::initial(&model, 1);
            saved.values_mut()[15 + 5 + 7] = broken;
            let bytes = saved.to_safetensors().expect("written");
            // 1e300 is a number in float64 alone
            let mut wide = Parameters::<f64>::initial(&model, 2);
            assert_eq!(wide.load_safetensors(&bytes).is_ok(), broken.is_finite(), "{broken}");
            let mut narrow = Parameters::<f32>::initial(&model, 2);
            let before = narrow.values().to_vec();
            let refused = narrow.load_safetensors(&bytes).expect_err("refused").0;
            assert_eq!(refused, format!("the tensor `pi.1.weight` is {told} in row 3, column 1"));
            assert_eq!(narrow.values(), before);
        }
    }

    #[test]
    fn initial_values_follow_the_scheme() {
        let (mut model, pi, _) = mlp_policy(4, &[64, 16], 3);
        let weight = model.add_parameter("table", 7, 3);
        model.add_layer(LayerOp::Table { kernel: pi, formals: vec![0], weight }, 3);
        let parameters = Parameters::<f64>::initial(&model, 9);
        let length = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let (first, second, last) = (
            parameters.get(ParameterId(0)),
            parameters.get(ParameterId(2)),
            parameters.get(ParameterId(4)),
        );
        for row in first.chunks_exact(64) {
            assert!((length(row) - 2f64.sqrt()).abs() < 1e-12);
        }
        let column = |j: usize| second.iter().skip(j).step_by(16).copied().collect::<Vec<f64>>();
        assert!((length(&column(3)) - 2f64.sqrt()).abs() < 1e-12);
        let across: f64 = column(3).iter().zip(column(7)).map(|(a, b)| a * b).sum();
        assert!(across.abs() < 1e-12, "orthogonal columns");
        assert!((length(last) - 0.01 * 3f64.sqrt()).abs() < 1e-12, "three columns of logits");
        assert!(
            parameters.get(ParameterId(1)).iter().chain(parameters.get(weight)).all(|&x| x == 0.0)
        );
        // a further network leaves the others as they are
        let x = model.add_variable("x", &[real()]);
        let other = model.add_kernel("other", x, &[formal(FormalVariable::Variable(x))]);
        let x = model.add_layer(LayerOp::Formal { kernel: other, formal: 1 }, 1);
        model.add_mlp("other", x, &[3], Activation::Tanh, None);
        let more = Parameters::<f64>::initial(&model, 9);
        assert_eq!(&more.values()[..parameters.values().len()], parameters.values());
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let (model, _, _) = mlp_policy(3, &[5], 2);
        let layout = Layout::of(&model.network);
        let mut gradient = vec![0.0f32; layout.len()];
        assert_eq!(layout.verify_finite("gradient", &gradient), Ok(()));
        gradient[15 + 5 + 7] = f32::NAN;
        let error = layout.verify_finite("gradient", &gradient).expect_err("NaN");
        assert_eq!(error.to_string(), "the gradient of `pi.1.weight` is NaN in row 3, column 1");
        assert_eq!(layout.name(layout.parameter_at(27)), "pi.1.weight");
        gradient[27] = f32::NEG_INFINITY;
        assert!(layout.verify_finite("gradient", &gradient).is_err());
    }
}
