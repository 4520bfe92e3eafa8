//! Derivation in, Plan out: for each term its estimator and why, which networks, what is downstream of what. Allocates no tensors.
