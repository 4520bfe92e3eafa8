//! A run's directory: metrics, checkpoints, summary. Recomputes nothing.
