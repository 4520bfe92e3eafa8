//! rlppl: reinforcement learning as variational inference, from a model file of factors.
//!
//! A `.rlmodel` file states a prior over trajectories, a likelihood of their going well, and a
//! family of posteriors, as lists of factors. From these, and from nothing else, follow the
//! variational bound, its gradient, and so the algorithm. The language is described in
//! `docs/language.md`, the program in [`cli`].
//!
//! # The pipeline
//!
//! Data flows one way, and each stage is one function:
//!
//! | stage | in | out |
//! |---|---|---|
//! | [`parse()`] | a [`Source`] | an [`ast::File`] |
//! | [`check()`] | tree, [`Overrides`] | a [`Model`]: variables, kernels, environments, factors |
//! | [`derive()`] | model | a [`Derivation`]: the bound, step by step, and its gradient |
//! | [`plan()`] | model, derivation | a [`Plan`]: an estimator for each term |
//! | [`infer()`] | plan, an [`Observer`] | a [`Run`]: trained parameters |
//! | [`exact()`] | finite model, bound, policy | an [`Exact`]: evidence, best bound, policy's |
//!
//! The first four and the last need no features: the crate with `default-features = false` is the
//! compiler and the oracle, without tensors, threads and a file system. `system` adds files and
//! threads, `engine` adds [`infer()`], `program` (the default) all that the program has. What a
//! model names as a file comes from the [`Loader`] of its [`Source`]: from disk, or from [`Texts`]
//! in memory.
//!
//! A simulator of one's own is an [`Environment`]: [`plan_with`] takes it by the name that the file
//! calls it by. What was trained acts, step by step, as a [`Policy`].
//!
//! All that is wrong with a file is found at once, as [`Diagnostics`] that
//! [`render`](fn@diagnostic::render) with the lines they point at.
//!
//! ```
//! use rlppl::{BoundId, Overrides, Source, check, derive, exact, infer, parse, plan};
//!
//! let text = "
//!     model walk
//!     horizon T = 5
//!     environment line {
//!       state s : 0..4; action a : { left, right }; reward r in [-1, 0]
//!       s[1]   ~ Delta(0)
//!       s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4))
//!       r[t]   = if s[t+1] == 4 then 0 else -1
//!     }
//!     kernel pi(a | s) = Categorical(logits = table(s))
//!     prior      { s[1] ~ line.initial; a[t] ~ Uniform;  s[t+1] ~ line.transition(s[t], a[t]) }
//!     likelihood { R[t] ~ exp(r[t]) }
//!     posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], a[t]) }
//!     infer      { trajectories = 32; steps = 20; optimizer = adam(rate = 0.1) }
//! ";
//! let file = parse(&Source::new("walk.rlmodel", text))?;
//! let model = check(&file, &Overrides::default())?;
//! let derivation = derive(&model)?;
//! println!("{derivation}");
//!
//! let run = infer(&plan(&model, &derivation)?, &mut ())?;
//! let best = exact(&model, BoundId(0), None)?.best_bound;
//! assert!(run.evaluation.bound < best + 4.0 * run.evaluation.bound_se);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bound;
#[cfg(feature = "program")]
pub mod cli;
pub mod diagnostic;
#[cfg(feature = "engine")]
pub mod engine;
pub mod exact;
pub mod expr;
pub mod family;
pub mod finite;
pub mod graph;
pub mod model;
pub mod plan;
#[cfg(feature = "program")]
pub mod report;
pub mod source;
pub mod syntax;
pub mod verify;
pub mod world;

pub use bound::{Derivation, derive};
pub use diagnostic::Diagnostics;
#[cfg(feature = "engine")]
pub use engine::{Action, EngineError, Observer, Parameters, Policy, Run, infer};
pub use exact::{Exact, exact};
pub use finite::NotFinite;
pub use model::{BoundId, Model, Overrides, check};
pub use plan::{Plan, plan, plan_with};
pub use source::{Loader, Source, Texts};
pub use syntax::{ast, parse};
pub use world::{Environment, Environments, Random};
