//! Plan and world in, trained parameters out, on dfdx tensors. Knows no source text.
