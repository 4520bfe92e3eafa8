//! Environments to sample from: tables, and compiled expressions over columns.
