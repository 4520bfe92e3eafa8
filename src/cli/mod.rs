//! The program: a subcommand per stage, each printing that stage's result. The only place that prints; contains no mathematics.
