//! From an environment written in the language to sparse tables.

use super::columns::{BLOCK, blocks, listed, values, values_at};
use super::masses::Masses;
use super::{Environment, NotFinite, Sparse, finite_domain};
use crate::expr::ExprId;
use crate::model::{Distribution, Dynamics, EnvironmentId, Index, Input, Model, VariableId};
use std::ops::Range;

/// The tables of an environment with finite state and action. Equal successors are merged; an ended
/// state stays where it is, with reward 0. Linear in the number of transitions that the
/// distributions list.
///
/// # Errors
/// One sentence: the variable that is not finite, the distribution whose values cannot be listed,
/// the state and action at which a distribution is none (its probabilities do not sum to 1, a value
/// is outside the domain), or that the environment changes with `t`.
pub fn tabulate(model: &Model, environment: EnvironmentId) -> Result<Environment, NotFinite> {
    let it = model.environment(environment);
    let Dynamics::Written { initial, transition, observation, end, .. } = &it.dynamics else {
        return Err(NotFinite(format!(
            "`{}` is not written in the language: its transitions cannot be listed",
            it.name
        )));
    };
    let states = finite_domain(model, it.state)?.size();
    for &action in &it.actions {
        finite_domain(model, action)?;
    }
    let acted = it.joint_action(model);
    let Some(joint) = &acted.finite else {
        return Err(NotFinite(format!("`{}` has too many joint actions to list", it.name)));
    };
    let actions = joint.size();
    if states.saturating_mul(actions) > 1 << 28 {
        return Err(NotFinite(format!(
            "`{}` has {states} states and {actions} actions: too many to list",
            it.name
        )));
    }
    let points = Points {
        model,
        environment,
        state: listed(model, it.state)?,
        action: values(joint),
        actions,
    };

    let ended = match end {
        None => vec![false; states],
        Some(end) => points
            .values(*end, states, &|number, _| (number, 0, 0))?
            .into_iter()
            .map(|v| v != 0.0)
            .collect(),
    };
    let initial = points.sparse(it.state, initial, 1, None, &|_| (0, 0, 0))?;
    let transition =
        points.sparse(it.state, transition, states * actions, Some(&ended), &|row| {
            (row / actions, row % actions, 0)
        })?;
    let observation = match (observation, it.observation) {
        (Some(distribution), Some(variable)) => {
            Some(points.sparse(variable, distribution, states, None, &|row| (row, 0, 0))?)
        }
        (Some(_), None) | (None, _) => None,
    };

    // the row of each entry, to know the state and action it starts from
    let mut row_of = Vec::with_capacity(transition.column.len());
    for row in 0..transition.rows() {
        row_of.resize(transition.start[row + 1], row as u32);
    }
    let mut rewards = Vec::with_capacity(it.rewards.len());
    for reward in &it.rewards {
        let Some(value) = reward.value else {
            return Err(NotFinite(format!(
                "the reward `{}` is not written in the language",
                reward.name
            )));
        };
        let entry = |at: usize, _| {
            let row = row_of[at] as usize;
            (row / actions, row % actions, transition.column[at] as usize)
        };
        let mut values = points.values(value, row_of.len(), &entry)?;
        for (value, &row) in values.iter_mut().zip(&row_of) {
            if ended[row as usize / actions] {
                *value = 0.0;
            }
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            let (s, a, next) = entry(at, ());
            let place = format!(
                "{}, {} = {}",
                points.show(s, a),
                points.name(it.state, "t+1"),
                points.show_value(it.state, next)
            );
            return Err(NotFinite(format!(
                "the reward `{}` is {} at {place}",
                reward.name, values[at]
            )));
        }
        rewards.push(values);
    }
    Ok(Environment { states, actions, initial, transition, observation, rewards, ended })
}

/// The points at which an environment's expressions are evaluated: (state, action, next state).
struct Points<'m> {
    model: &'m Model,
    environment: EnvironmentId,
    state: Vec<Vec<f64>>,
    /// Of the joint actions: components of all of them.
    action: Vec<Vec<f64>>,
    actions: usize,
}

type Place<'a> = &'a dyn Fn(usize) -> (usize, usize, usize);

impl Points<'_> {
    /// One row per point: a distribution over `variable`. Rows of ended states stay.
    fn sparse(
        &self,
        variable: VariableId,
        distribution: &Distribution<Vec<ExprId>>,
        rows: usize,
        ended: Option<&[bool]>,
        place: Place<'_>,
    ) -> Result<Sparse, NotFinite> {
        let target = self.model.variable(variable);
        let name = &self.model.environment(self.environment).name;
        let mut masses = Masses::new(self.model, &target.name, &target.domain, distribution)?;
        if masses.reads_time() {
            return Err(self.changes());
        }
        masses.inputs().try_for_each(|input| self.known(input))?;
        let fill = |input: Input, range: Range<usize>, out: &mut [f64]| {
            self.fill(input, range, out, place)
        };
        let stays = |row: usize| ended.is_some_and(|ended| ended[row / self.actions]);

        let size = finite_domain(self.model, variable)?.size();
        let mut table = Sparse { start: Vec::with_capacity(rows + 1), ..Sparse::default() };
        table.start.push(0);
        // value → its entry in the current row, where it is at or after the row's start
        let mut entry_of = vec![usize::MAX; size];
        for range in blocks(rows) {
            let first = range.start;
            let end = range.end;
            let close = |table: &mut Sparse, through: usize, entry_of: &mut [usize]| {
                // rows between the last one with atoms and this one: ended states
                while table.start.len() <= through {
                    let row = table.start.len() - 1;
                    if stays(row) {
                        let s = row / self.actions;
                        entry_of[s] = table.column.len();
                        table.column.push(s as u32);
                        table.probability.push(1.0);
                    }
                    table.start.push(table.column.len());
                }
            };
            debug_assert!(table.start.len() == first + 1 && range.len() <= BLOCK);
            masses
                .list(range, 1.0, &fill, &stays, |row, value, probability| {
                    close(&mut table, row, &mut entry_of);
                    let known = entry_of[value];
                    if known != usize::MAX && known >= table.start[row] {
                        table.probability[known] += probability;
                    } else {
                        entry_of[value] = table.column.len();
                        table.column.push(value as u32);
                        table.probability.push(probability);
                    }
                })
                .map_err(|bad| {
                    let (s, a, _) = place(bad.point);
                    let at = if rows == 1 {
                        "at the start".to_owned()
                    } else {
                        format!("at {}", self.show(s, a))
                    };
                    NotFinite(format!("`{}` of `{name}`, {at}: {}", target.name, bad.what))
                })?;
            close(&mut table, end, &mut entry_of);
        }
        Ok(table)
    }

    /// One value per point.
    fn values(
        &self,
        value: ExprId,
        n: usize,
        place: &dyn Fn(usize, ()) -> (usize, usize, usize),
    ) -> Result<Vec<f64>, NotFinite> {
        let columns = super::columns::Columns::new(self.model, &[value]);
        if columns.reads_time() {
            return Err(self.changes());
        }
        columns.inputs().try_for_each(|input| self.known(input))?;
        Ok(values_at(self.model, value, n, 1.0, &|input, range, out| {
            self.fill(input, range, out, &|at| place(at, ()))
        }))
    }

    fn known(&self, input: Input) -> Result<(), NotFinite> {
        let it = self.model.environment(self.environment);
        let own = match input {
            Input::Variable { variable, index, .. } => {
                (variable == it.state && matches!(index, Index::Step(0 | 1)))
                    || (it.actions.contains(&variable) && index == Index::Step(0))
            }
            Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => false,
        };
        if own {
            return Ok(());
        }
        Err(NotFinite(format!(
            "`{}` reads more than its state and action: its transitions cannot be listed",
            it.name
        )))
    }

    fn fill(&self, input: Input, range: Range<usize>, out: &mut [f64], place: Place<'_>) {
        let Input::Variable { variable, component, index } = input else {
            return out.fill(f64::NAN);
        };
        let component = component as usize;
        let it = self.model.environment(self.environment);
        if let Some(first) = it.action_offset(self.model, variable) {
            let column = &self.action[first + component];
            out.iter_mut().zip(range).for_each(|(out, point)| *out = column[place(point).1]);
        } else if index == Index::Step(0) {
            out.iter_mut()
                .zip(range)
                .for_each(|(out, point)| *out = self.state[component][place(point).0]);
        } else {
            out.iter_mut()
                .zip(range)
                .for_each(|(out, point)| *out = self.state[component][place(point).2]);
        }
    }

    fn changes(&self) -> NotFinite {
        let name = &self.model.environment(self.environment).name;
        NotFinite(format!(
            "`{name}` changes with `t`; the oracle takes environments that are the same at every \
             step"
        ))
    }

    /// `s[t] = 3, a[t] = right`
    fn show(&self, state: usize, action: usize) -> String {
        let it = self.model.environment(self.environment);
        let mut shown =
            vec![format!("{} = {}", self.name(it.state, "t"), self.show_value(it.state, state))];
        let mut first = 0;
        for &id in &it.actions {
            let domain = &self.model.variable(id).domain;
            let own = first..first + domain.width();
            first = own.end;
            let value: Vec<f64> = self.action[own].iter().map(|column| column[action]).collect();
            shown.push(format!("{} = {}", self.name(id, "t"), domain.show(&value)));
        }
        shown.join(", ")
    }

    fn name(&self, variable: VariableId, index: &str) -> String {
        format!("{}[{index}]", self.model.variable(variable).name)
    }

    fn show_value(&self, variable: VariableId, number: usize) -> String {
        let domain = &self.model.variable(variable).domain;
        domain.show(&self.state.iter().map(|column| column[number]).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite::testing::{ENVIRONMENT, chain};

    #[test]
    fn a_chain_has_two_successors_a_row_and_stays_where_it_ended() {
        let tables = tabulate(&chain(1.0, 20), ENVIRONMENT).unwrap();
        assert_eq!((tables.states, tables.actions, tables.transition.rows()), (10, 2, 20));
        assert_eq!(tables.transition.row(2 * 4 + 1).collect::<Vec<_>>(), [(5, 0.9), (4, 0.1)]);
        // equal successors are one: at the left wall, going left
        assert_eq!(tables.transition.row(0).collect::<Vec<_>>(), [(0, 1.0)]);
        assert_eq!(tables.transition.row(2 * 9).collect::<Vec<_>>(), [(9, 1.0)]);
        assert_eq!(tables.initial.row(0).collect::<Vec<_>>(), [(0, 1.0)]);
        let entry = tables.transition.start[2 * 8 + 1];
        assert_eq!(tables.rewards[0][entry..entry + 2], [0.0, -1.0]);
        assert_eq!(tables.rewards[0][tables.transition.start[2 * 9]], 0.0);
        assert_eq!(tables.ended.iter().position(|&e| e), Some(9));
    }

    #[test]
    fn probabilities_that_are_none_are_shown_with_their_place() {
        let mut model = chain(1.0, 20);
        let Dynamics::Written { transition: Distribution::Mixture(parts), .. } =
            &mut model.environments[0].dynamics
        else {
            unreachable!()
        };
        parts.pop();
        let error = tabulate(&model, ENVIRONMENT).unwrap_err();
        assert_eq!(error.0, "`s` of `env`, at s[t] = 0, a[t] = 0: the probabilities sum to 0.9");
    }
}
