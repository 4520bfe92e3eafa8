//! The oracle: exact answers on finite models in float64. Never estimates.
