//! From the factor lists of a bound to a trellis.

use super::build::Build;
use super::delay::{Delayed, Moment};
use super::environments::{Environments, entry_points};
use super::listing::{Listing, groups, list};
use super::memory::Memory;
use super::place::{
    Place, Placed, drawing_order, input_needs, place, place_likelihood, state_factors,
};
use super::read::{Expression, Need, Points, Standing};
use super::refuse::refuse;
use super::rewards;
use super::rows::Rows;
use super::term::{Sum, Term};
use super::transitions::{Slices, Start, Transitions, log_ratio};
use super::trellis::{Dynamics, Level, Pair, Part, Trellis};
use crate::expr::ExprId;
use crate::finite::{KernelTables, NotFinite};
use crate::model::{
    Bound, EnvironmentId, Index, Input, KernelRef, LikelihoodForm, Model, Role, Target,
    TargetVariable, Value, VariableId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Which variables stand on the trellis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All that the posterior draws: what `L` is a sum over.
    Posterior,
    /// As many, without the reverse model: what the bound with the exact one is a sum over.
    Marginal,
    /// Those of the prior, without the auxiliary ones: what the evidence and the best bound are
    /// sums over. The learned kernels of the posterior's steps are left open.
    Prior,
    /// The posterior alone, and at each step the option held: what is told of options is a sum
    /// over.
    Options,
}

/// Compiles a bound.
///
/// # Errors
/// One sentence, naming what the oracle does not evaluate or what is not finite.
pub(super) fn compile<'m>(
    environments: &Environments<'m>,
    bound: &'m Bound,
    tables: Option<&'m KernelTables>,
    scope: Scope,
) -> Result<Trellis<'m>, NotFinite> {
    let model = environments.model;
    if let Some(sentence) = model.depends_on_the_run(bound) {
        return Err(NotFinite(sentence));
    }
    let horizon = model.horizon.value;
    // what the likelihood reads is summed over by its reverse model, which is normalised
    let keeps_auxiliary = reads_auxiliary(model, bound);
    let left_out = match scope {
        Scope::Posterior | Scope::Marginal | Scope::Options => BTreeSet::new(),
        Scope::Prior if keeps_auxiliary => BTreeSet::new(),
        Scope::Prior => auxiliary_variables(bound),
    };
    let auxiliary = match scope {
        Scope::Prior if !keeps_auxiliary => vec![],
        Scope::Posterior | Scope::Prior => place(model, &bound.auxiliary, &left_out)?,
        Scope::Marginal | Scope::Options => vec![],
    };
    let posterior = place(model, &bound.posterior, &left_out)?;
    let state = only_state(model, &posterior)?;
    let (prior, likelihood) = match scope {
        Scope::Posterior | Scope::Marginal | Scope::Prior => {
            (place(model, &bound.prior, &left_out)?, &bound.likelihood[..])
        }
        Scope::Options => (
            posterior.iter().filter(|placed| placed.targets.contains(&state)).cloned().collect(),
            &[][..],
        ),
    };
    let (p, q) = (state_factors(model, state, &prior)?, state_factors(model, state, &posterior)?);
    let of_p = Transitions::new(environments, tables, state, &p)?;
    let of_q = Transitions::new(environments, tables, state, &q)?;
    let (prior_table, table) = (of_p.table.clone(), of_q.table.clone());
    if (table.states, table.actions, &table.ended)
        != (prior_table.states, prior_table.actions, &prior_table.ended)
    {
        return refuse("a prior and a posterior whose environments end in different states");
    }

    let is_step = |placed: &&Placed<'m>| !placed.targets.contains(&state);
    let step_p: Vec<&Placed> = prior.iter().filter(is_step).collect();
    let step_q: Vec<&Placed> = posterior.iter().filter(is_step).collect();
    let variables = drawing_order(model, &step_q)?;
    let mut targets = step_p.iter().copied().chain(&auxiliary).flat_map(|placed| &placed.targets);
    if let Some(stray) = targets.find(|target| !variables.contains(target)) {
        return refuse(&format!(
            "`{}`, which the posterior does not draw",
            model.variable(*stray).name
        ));
    }
    let is_open = |placed: &Placed| scope == Scope::Prior && is_policy(model, placed);

    let delayed = |placed: &[&'_ Placed<'m>]| -> Result<Vec<(Placed<'m>, Delayed)>, NotFinite> {
        let mut list = Vec::new();
        for placed in placed {
            list.extend(
                placed.delayed(model)?.into_iter().map(|delayed| ((*placed).clone(), delayed)),
            );
        }
        Ok(list)
    };
    let delayed_p = delayed(&step_p)?;
    let delayed_auxiliary = delayed(&auxiliary.iter().collect::<Vec<_>>())?;
    let likelihoods = likelihood
        .iter()
        .map(|it| Ok((it, place_likelihood(model, it)?)))
        .collect::<Result<Vec<_>, NotFinite>>()?;
    let mut needs: Vec<Need> = Vec::new();
    for (_, place) in &likelihoods {
        if let Place::Slices(delayed) = place {
            needs.extend(delayed.iter().flat_map(|delayed| &delayed.needs));
        }
    }
    needs
        .extend(delayed_p.iter().chain(&delayed_auxiliary).flat_map(|(_, delayed)| &delayed.needs));
    for placed in step_q.iter().filter(|placed| !is_open(placed)) {
        needs.extend(placed.drawn(model)?.iter().flat_map(|delayed| &delayed.needs));
    }
    if scope == Scope::Options {
        needs.extend(
            held(model, &posterior)
                .into_iter()
                .map(|(option, index)| Need::Variable(option, index)),
        );
    }
    needs.sort_unstable();
    needs.dedup();

    let listing = Listing::new(environments, variables, &q.actions, &step_p, &step_q)?;
    let mut choices = list(&listing, &table);
    let memory = Memory::new(model, &needs, table.states, choices.count())?;
    memory.link(state, &mut choices);
    let mut at_choices = memory.choice_points(state, &choices, &needs);
    let mut at_nodes = memory.node_points(state, table.states, &needs);
    for (likelihood, place) in &likelihoods {
        let (LikelihoodForm::Exponential { value, .. }, Place::Slices(delayed)) =
            (&likelihood.form, place)
        else {
            continue;
        };
        for Delayed { moment, standing, .. } in delayed {
            let points = match moment {
                Moment::Choice => &mut at_choices,
                Moment::Arrival => &mut at_nodes,
            };
            for of @ (environment, reward, at) in paid(model, *value, standing) {
                if !points.rewards.contains_key(&of) {
                    let column = rewards::column(environments, (environment, reward), at, points)?;
                    points.rewards.insert(of, Rc::new(column));
                }
            }
        }
    }
    let (at_choices, at_nodes) = (Rc::new(at_choices), Rc::new(at_nodes));
    let steps = 1..=horizon;

    let build = Build { environments, tables, state, at_choices: &at_choices, at_nodes: &at_nodes };
    let mut levels = Vec::new();
    for (level, &variable) in choices.variables.iter().enumerate() {
        let mut terms = vec![];
        let mut free = vec![];
        for placed in step_q.iter().filter(|placed| placed.targets.contains(&variable)) {
            if is_policy(model, placed) {
                free.push(placed.standing.slices.clone());
            }
            // a joint draw counts once, at its last variable
            let last = choices.variables.iter().rev().find(|v| placed.targets.contains(v));
            if !is_open(placed) && last == Some(&variable) {
                for delayed in placed.drawn(model)? {
                    terms.push(build.factor(placed, &delayed)?);
                }
            }
        }
        terms.extend(listing.presence(level, &at_choices));
        let (first, parent) = groups(&choices, level);
        levels.push(Level {
            sum: Sum::new(terms, at_choices.clone(), steps.clone())?,
            free,
            first,
            parent,
        });
    }
    let part = |terms: Vec<(Moment, Term<'m>)>| -> Result<Part<'m>, NotFinite> {
        let (choice, arrival): (Vec<_>, Vec<_>) =
            terms.into_iter().partition(|(moment, _)| *moment == Moment::Choice);
        let sum = |terms: Vec<(Moment, Term<'m>)>, points: &Rc<Points>, slices| {
            let points = if terms.is_empty() { Rc::new(Points::empty()) } else { points.clone() };
            Sum::new(terms.into_iter().map(|(_, term)| term).collect(), points, slices)
        };
        Ok(Part {
            choice: sum(choice, &at_choices, 1..=horizon)?,
            arrival: sum(arrival, &at_nodes, 2..=horizon + 1)?,
        })
    };
    let factors = |list: &[(Placed<'m>, Delayed)]| -> Result<Vec<(Moment, Term<'m>)>, NotFinite> {
        list.iter()
            .map(|(placed, delayed)| Ok((delayed.moment, build.factor(placed, delayed)?)))
            .collect()
    };
    let mut terms = factors(&delayed_p)?;
    terms.extend(
        (0..levels.len())
            .filter_map(|level| listing.presence(level, &at_choices))
            .map(|term| (Moment::Choice, term)),
    );
    let prior = part(terms)?;
    let auxiliary = part(factors(&delayed_auxiliary)?)?;
    let mut terms = Vec::new();
    for (likelihood, place) in &likelihoods {
        if let Place::Slices(delayed) = place {
            for delayed in delayed {
                terms.push((delayed.moment, build.likelihood(likelihood, delayed)?));
            }
        }
    }
    let likelihood = part(terms)?;
    let (moves, starts) = (p.source != q.source, p.initial.kernel != q.initial.kernel);
    let start_p = Start::new(environments, tables, state, &p)?;
    let start_q = Start::new(environments, tables, state, &q)?;
    // what is the same on both sides moves by what is drawn alone
    let transition = Pair {
        prior: of_p.entries(&table.transition).filter(|_| moves),
        posterior: of_q.entries(&table.transition),
    };
    let start = Pair { prior: start_p.entries().filter(|_| starts), posterior: start_q.entries() };
    let log_ratio = moves.then(|| log_ratio(&of_p, &of_q));
    let mut dynamics = Vec::new();
    let sides = if moves || starts {
        vec![(of_p, start_p), (of_q, start_q)]
    } else {
        vec![(of_q, start_q)]
    };
    for (side, start) in sides {
        let table = side.table.clone();
        let mut terms = Vec::new();
        let mut points = Points::empty();
        for (likelihood, place) in &likelihoods {
            let Place::Entry { standing, needs } = place else { continue };
            if points.count == 0 {
                points = entry_points(model, state, &q.actions, &table);
            }
            for need in needs {
                if let Need::Reward(environment, reward, index) = *need {
                    let values = side.reward(environments, environment, reward)?;
                    points.rewards.insert((environment, reward, index), Rc::new(values));
                }
            }
            if let LikelihoodForm::Exponential { value, .. } = &likelihood.form {
                terms.push(Term::Exponent(Expression::new(
                    model,
                    &likelihood.name,
                    *value,
                    standing.clone(),
                )?));
            }
        }
        dynamics.push(Dynamics {
            initial: start.probability,
            log_initial: start.log_probability,
            likelihood: Sum::new(terms, Rc::new(points), steps.clone())?,
            expected_likelihood: vec![],
            rows: Rows::new(table.clone()),
            probability: Slices(side.probability.clone()),
            table,
        });
    }

    Ok(Trellis {
        gives_up: environments.gives_up.clone(),
        horizon,
        states: table.states,
        memories: memory.count,
        first_memory: memory.first,
        log_ratio,
        transition,
        start,
        dynamics,
        prior,
        auxiliary,
        likelihood,
        levels,
        choices,
        at_choices,
        at_nodes,
    })
}

/// The rewards that an exponent reads, relative to its slice.
fn paid(
    model: &Model,
    value: ExprId,
    standing: &Standing,
) -> impl Iterator<Item = (EnvironmentId, u32, Index)> {
    let mut needs = Vec::new();
    input_needs(model, &[value], standing, &mut needs);
    needs.into_iter().filter_map(|need| match need {
        Need::Reward(environment, reward, at) => Some((environment, reward, at)),
        Need::Variable(..) => None,
    })
}

/// Each option of the posterior, and where the one that was held stands at the next step:
/// `Step(-1)`, or `First` of one drawn once.
pub(super) fn held(model: &Model, posterior: &[Placed<'_>]) -> Vec<(VariableId, Index)> {
    let mut last: BTreeMap<VariableId, usize> = BTreeMap::new();
    for placed in posterior {
        for &target in
            placed.targets.iter().filter(|target| model.variable(**target).role == Role::Option)
        {
            let slice = last.entry(target).or_default();
            *slice = (*slice).max(*placed.standing.slices.end());
        }
    }
    let once = |slice: usize| slice == 1 && model.horizon.value > 1;
    last.into_iter()
        .map(|(option, slice)| (option, if once(slice) { Index::First } else { Index::Step(-1) }))
        .collect()
}

/// A learned kernel that draws actions or options: what the best bound is over.
pub(super) fn is_policy(model: &Model, placed: &Placed<'_>) -> bool {
    let chosen = |variable: &VariableId| {
        matches!(model.variable(*variable).role, Role::Action | Role::Option)
    };
    matches!(placed.factor.kernel, KernelRef::Learned(_)) && placed.targets.iter().all(chosen)
}

pub(super) fn auxiliary_variables(bound: &Bound) -> BTreeSet<VariableId> {
    let targets = bound.auxiliary.iter().flat_map(|factor| &factor.targets);
    targets
        .filter_map(|target| match target {
            Target::Variable { variable: TargetVariable::Variable(variable), .. } => {
                Some(*variable)
            }
            Target::Variable { .. } | Target::Weights(_) => None,
        })
        .collect()
}

/// Whether a likelihood reads an auxiliary variable, which the evidence then is a sum over, too.
pub(super) fn reads_auxiliary(model: &Model, bound: &Bound) -> bool {
    let auxiliary = auxiliary_variables(bound);
    let is_auxiliary = |value: &Value| match value {
        Value::Variable { variable, .. }
        | Value::Window { variable, .. }
        | Value::Past { variable, .. }
        | Value::Future { variable, .. } => auxiliary.contains(variable),
        Value::Expression(roots) => reads_any(model, roots, &auxiliary),
        Value::Reward { .. } | Value::Time | Value::Absent => false,
    };
    bound.likelihood.iter().any(|likelihood| match &likelihood.form {
        LikelihoodForm::Exponential { value, .. } => reads_any(model, &[*value], &auxiliary),
        LikelihoodForm::Density { values, givens, .. } => {
            values.iter().chain(givens).any(is_auxiliary)
        }
    })
}

fn reads_any(model: &Model, roots: &[ExprId], of: &BTreeSet<VariableId>) -> bool {
    model.graph.inputs_of(roots).into_iter().any(|input| {
        matches!(model.inputs[input.0 as usize], Input::Variable { variable, .. }
            if of.contains(&variable))
    })
}

pub(super) fn only_state(model: &Model, posterior: &[Placed<'_>]) -> Result<VariableId, NotFinite> {
    let states: BTreeSet<VariableId> = posterior
        .iter()
        .flat_map(|placed| placed.targets.iter().copied())
        .filter(|variable| model.variable(*variable).role == Role::State)
        .collect();
    match states.iter().collect::<Vec<_>>()[..] {
        [state] => Ok(*state),
        [] => refuse("a bound without a state"),
        _ => refuse("a bound with more than one state"),
    }
}
