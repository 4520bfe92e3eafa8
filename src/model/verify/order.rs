//! The blocks are normalised and acyclic: the prior reads no auxiliary variable, and each block can
//! be sampled in some order (`auxiliary` given all the rest). Factors are unrolled over a few steps
//! and searched for a cycle.

use super::generated::block_name;
use super::times::{self, Read, at};
use super::words;
use crate::diagnostic::Diagnostic;
use crate::model::{Block, Bound, Factor, Index, Model, Target, TargetVariable};
use std::collections::BTreeMap;

pub fn faults(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let mut found = reads_auxiliary(model, bound);
    for block in [Block::Prior, Block::Posterior, Block::Auxiliary] {
        found.extend(
            Unrolled::of(model, bound, block)
                .cycle()
                .map(|cycle| cyclic(model, bound, block, &cycle)),
        );
    }
    found
}

/// The prior is a distribution over everything but the auxiliary variables, so it may not read one.
fn reads_auxiliary(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let targets = |factors: &[Factor], wanted: TargetVariable| {
        factors
            .iter()
            .find(|f| {
                f.targets
                    .iter()
                    .any(|t| matches!(t, Target::Variable { variable, .. } if *variable == wanted))
            })
            .map(|f| f.span)
    };
    let mut found: Vec<Diagnostic> = Vec::new();
    for factor in &bound.prior {
        for read in times::reads(model, factor) {
            let (None, Some(auxiliary)) =
                (targets(&bound.prior, read.variable), targets(&bound.auxiliary, read.variable))
            else {
                continue;
            };
            let written = words::read(model, &read);
            let name = words::name(model, read.variable);
            found.push(
                Diagnostic::error(
                    "not-normalised",
                    words::find(model, factor.span, &written),
                    format!("the prior reads `{written}`, which only `auxiliary` generates"),
                )
                .here("read here")
                .also(auxiliary, "generated here, given all the rest")
                .hint(format!(
                    "generate `{name}` in `prior` too and remove it from `auxiliary`, \
                               or let this factor not read it"
                )),
            );
        }
    }
    found
}

/// A draw: the factor of the block and its `t`.
type Draw = (usize, i64);

/// The dependence of draws on draws, over so many steps that every cycle shows.
struct Unrolled {
    /// What each draw reads, and the steps of it.
    parents: BTreeMap<Draw, Vec<Draw>>,
    horizon: i64,
}

impl Unrolled {
    fn of(model: &Model, bound: &Bound, block: Block) -> Unrolled {
        let factors = bound.factors(block);
        let reads: Vec<Vec<Read>> = factors
            .iter()
            .map(|factor| expand_rewards(model, factors, times::reads(model, factor)))
            .collect();
        let horizon = steps_needed(factors, &reads).min(times::horizon(model));
        let mut drawn_by: BTreeMap<(TargetVariable, i64), Draw> = BTreeMap::new();
        for (position, factor) in factors.iter().enumerate() {
            for t in stands(model, factor, horizon) {
                for target in &factor.targets {
                    if let Target::Variable { variable, index } = *target {
                        drawn_by.insert((variable, at(index, horizon, t)), (position, t));
                    }
                }
            }
        }
        let mut parents = BTreeMap::new();
        for &draw in drawn_by.values() {
            let (position, t) = draw;
            let reads = reads[position].iter();
            let steps = reads.flat_map(|read| {
                let steps = read.steps(horizon, t);
                (steps.from.max(1)..=steps.to.min(horizon + 1)).map(|step| (read.variable, step))
            });
            parents.insert(draw, steps.filter_map(|step| drawn_by.get(&step).copied()).collect());
        }
        Unrolled { parents, horizon }
    }

    /// A cycle of draws, each of which reads the next.
    fn cycle(&self) -> Option<Cycle> {
        let mut state: BTreeMap<Draw, Visit> = BTreeMap::new();
        // middle steps first, so that the cycle found is one of the inner steps where there is one
        let mut starts: Vec<Draw> = self.parents.keys().copied().collect();
        starts.sort_by_key(|&(position, t)| ((2 * t - self.horizon).abs(), position));
        for start in starts {
            if state.contains_key(&start) {
                continue;
            }
            let mut path: Vec<(Draw, usize)> = vec![(start, 0)];
            state.insert(start, Visit::Open);
            while let Some((draw, next)) = path.last_mut() {
                let parent = self.parents[draw].get(*next).copied();
                *next += 1;
                match parent {
                    None => {
                        state.insert(*draw, Visit::Done);
                        path.pop();
                    }
                    Some(parent) => match state.get(&parent) {
                        None => {
                            state.insert(parent, Visit::Open);
                            path.push((parent, 0));
                        }
                        Some(Visit::Open) => {
                            let from = path
                                .iter()
                                .position(|(on_path, _)| *on_path == parent)
                                .expect("an open draw is on the path");
                            return Some(Cycle(
                                path[from..].iter().map(|(draw, _)| *draw).collect(),
                            ));
                        }
                        Some(Visit::Done) => {}
                    },
                }
            }
        }
        None
    }
}

#[derive(Clone, Copy)]
enum Visit {
    Open,
    Done,
}

struct Cycle(Vec<Draw>);

/// As many steps as every inner cycle and every end of the trajectory need to show.
fn steps_needed(factors: &[Factor], reads: &[Vec<Read>]) -> i64 {
    let offset = |index: Index| match index {
        Index::Step(k) | Index::Last(k) => i64::from(k.unsigned_abs()),
        Index::First => 0,
    };
    let widest = reads
        .iter()
        .flatten()
        .flat_map(|read| [offset(read.from), offset(read.to)])
        .max()
        .unwrap_or(0);
    ((widest + 2) * (factors.len() as i64 + 1)).min(64).max(2 * widest + 3).min(512)
}

/// The values of `t` at which a factor stands in a trajectory of `horizon` steps.
fn stands(model: &Model, factor: &Factor, horizon: i64) -> std::ops::RangeInclusive<i64> {
    let full = times::stands(model, factor);
    let last = times::horizon(model);
    let shift = |t: i64| if t > last / 2 { t - last + horizon } else { t };
    match full.from == full.to && full.to == last && last > 1 {
        true => horizon..=horizon,
        false => full.from..=shift(full.to).max(full.from - 1).min(horizon),
    }
}

/// A reward that the environment pays reads what its expression reads.
fn expand_rewards(model: &Model, factors: &[Factor], reads: Vec<Read>) -> Vec<Read> {
    let generated = |wanted: TargetVariable| {
        factors.iter().any(|f| {
            f.targets
                .iter()
                .any(|t| matches!(t, Target::Variable { variable, .. } if *variable == wanted))
        })
    };
    let mut found = Vec::new();
    for read in reads {
        match read.variable {
            TargetVariable::Reward(environment, reward) if !generated(read.variable) => {
                let Some(value) = model.environment(environment).rewards[reward as usize].value
                else {
                    continue;
                };
                for inner in times::reward_reads(model, value) {
                    let shift = |outer: Index| match (outer, inner.from) {
                        (Index::Step(k), Index::Step(j)) => Index::Step(k + j),
                        (Index::Last(k), Index::Step(j)) => Index::Last(k + j),
                        (Index::First, Index::Step(0)) | (_, Index::First) => Index::First,
                        (Index::First, Index::Step(_)) | (_, Index::Last(_)) => inner.from,
                    };
                    found.push(Read {
                        variable: inner.variable,
                        from: shift(read.from),
                        to: shift(read.to),
                        ..read
                    });
                }
            }
            TargetVariable::Reward(..) | TargetVariable::Variable(_) | TargetVariable::End => {
                found.push(read)
            }
        }
    }
    found
}

fn cyclic(model: &Model, bound: &Bound, block: Block, cycle: &Cycle) -> Diagnostic {
    let factors = bound.factors(block);
    let cycle = &from_the_past(factors, cycle);
    let inner = cycle.0.iter().all(|&(position, _)| is_repeated(&factors[position]));
    let base = cycle.0.iter().map(|&(_, t)| t).min().unwrap_or(1);
    let show = |(position, t): Draw| {
        let Some(Target::Variable { variable, index }) = factors[position].targets.first().copied()
        else {
            return String::new();
        };
        match index {
            Index::Step(k) if inner => {
                format!("`{}`", words::at(model, variable, Index::Step(k + (t - base) as i32)))
            }
            Index::Step(k) => format!("`{}[{}]`", words::name(model, variable), t + i64::from(k)),
            Index::First | Index::Last(_) => format!("`{}`", words::at(model, variable, index)),
        }
    };
    let mut chain: Vec<String> = cycle.0.iter().map(|&draw| show(draw)).collect();
    let first = &factors[cycle.0[0].0];
    chain.push(chain[0].clone());
    let what = match block {
        Block::Prior => "the prior is cyclic",
        Block::Posterior => "the posterior cannot be sampled in any order",
        Block::Auxiliary => "the auxiliary block is cyclic",
    };
    let message = match chain.len() {
        2 => format!("{what}: {} reads itself", chain[0]),
        _ => format!("{what}: {} reads {}", chain[0], chain[1..].join(", which reads ")),
    };
    let mut fault = Diagnostic::error("cyclic", first.span, message);
    let mut shown = vec![cycle.0[0].0];
    for &(position, _) in &cycle.0 {
        if !shown.contains(&position) {
            shown.push(position);
            fault = fault.also(factors[position].span, "and on the way back");
        }
    }
    let hint = match block {
        Block::Auxiliary => {
            let name = first.targets.first().map_or("o", |target| match target {
                Target::Variable { variable, .. } => words::name(model, *variable),
                Target::Weights(_) => "o",
            });
            format!(
                "a reverse model may look back (`{name}[..t-1]`) or ahead (`{name}[t+1..]`), not \
                 both"
            )
        }
        Block::Prior | Block::Posterior => {
            format!(
                "let a factor of the cycle read an earlier step, so that the {} can be sampled in \
                 order of time",
                block_name(block)
            )
        }
    };
    fault.hint(hint)
}

/// The cycle from its earliest draw on: the one that reads ahead, which is most often the mistake.
fn from_the_past(factors: &[Factor], cycle: &Cycle) -> Cycle {
    let step = |&(position, t): &Draw| match factors[position].targets.first() {
        Some(Target::Variable { index, .. }) => at(*index, i64::MAX / 2, t),
        Some(Target::Weights(_)) | None => t,
    };
    let first = (0..cycle.0.len()).min_by_key(|&at| step(&cycle.0[at])).unwrap_or(0);
    let mut draws = cycle.0.clone();
    draws.rotate_left(first);
    Cycle(draws)
}

fn is_repeated(factor: &Factor) -> bool {
    factor
        .targets
        .iter()
        .all(|target| matches!(target, Target::Variable { index: Index::Step(_), .. }))
}
