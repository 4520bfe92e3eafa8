//! The joint action of a step, where an environment has several actions: each is a draw of its own,
//! and the world takes them together.

use super::values::Values;
use super::variable::Variable;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::finite::{NotFinite, finite_domain};
use crate::plan::Plan;
use crate::world::Actions;

/// How the draws of a step make what the world takes.
pub(in crate::engine) struct Joint<E> {
    /// In the order in which the environment declares its actions.
    parts: Vec<Part<E>>,
    /// The number of the joint value of some numbers, where all are finite.
    is_finite: bool,
}

struct Part<E> {
    /// Which of the draws before the last one it is; `None` of the last one.
    draw: Option<usize>,
    /// Component by component, those of each value, where it is finite.
    values: Vec<Vec<E>>,
    size: u32,
    width: usize,
}

/// The number of the joint action at a step of a finite trajectory.
pub(in crate::engine) struct JointNumber(Vec<(Variable, usize)>);

impl JointNumber {
    /// # Errors
    /// One sentence: the action that is not finite.
    pub fn of(plan: &Plan) -> Result<JointNumber, NotFinite> {
        let actions = plan.model.environment(plan.environment).actions.iter();
        let part = |&action| {
            let size = finite_domain(&plan.model, action)?.size();
            Ok((Variable::of(plan, action).expect("joint: a plan draws every action"), size))
        };
        Ok(JointNumber(actions.map(part).collect::<Result<_, NotFinite>>()?))
    }

    /// Of the numbers that `number` reads; 0 where there is none.
    pub fn at(&self, number: impl Fn(Variable) -> usize) -> usize {
        self.0.iter().fold(0, |joint, &(variable, size)| joint * size + number(variable))
    }
}

impl<E: Number> Joint<E> {
    /// `None` where the environment has one action.
    pub fn of(plan: &Plan) -> Option<Joint<E>> {
        let model = &plan.model;
        let actions = &model.environment(plan.environment).actions;
        if actions.len() == 1 {
            return None;
        }
        let parts: Vec<Part<E>> = actions
            .iter()
            .map(|&action| {
                let domain = &model.variable(action).domain;
                let finite = domain.finite.as_ref();
                let mut values = vec![Vec::new(); finite.map_or(0, |_| domain.width())];
                let mut value = vec![0.0; domain.width()];
                for number in 0..finite.map_or(0, |finite| finite.size()) {
                    finite.expect("joint: it has values").value(number, &mut value);
                    let columns = values.iter_mut().zip(&value);
                    columns.for_each(|(column, &value)| column.push(<E as Float>::of(value)));
                }
                Part {
                    draw: plan.options.iter().position(|draw| draw.variable == action),
                    values,
                    size: finite.map_or(0, |finite| finite.size() as u32),
                    width: domain.width(),
                }
            })
            .collect();
        // as the world takes them: too many joint values are columns
        let is_finite = model.environment(plan.environment).joint_action(model).finite.is_some();
        Some(Joint { parts, is_finite })
    }

    /// The joint actions of the `count` rows of a step; `last` are those of its last draw, `before`
    /// what the draws before it drew, `numbers` and `columns` room for them.
    pub fn actions<'a>(
        &self,
        last: Actions<E>,
        before: &[Values<E>],
        count: usize,
        (numbers, columns): (&'a mut Vec<u32>, &'a mut Vec<E>),
    ) -> Actions<'a, E> {
        let drawn = |part: &Part<E>, row: usize| match (part.draw, last) {
            (Some(draw), _) => before[draw].numbers[row],
            (None, Actions::Numbers(numbers)) => numbers[row],
            (None, Actions::Columns { .. }) => 0,
        };
        if self.is_finite {
            numbers.clear();
            numbers.extend((0..count).map(|row| {
                self.parts.iter().fold(0, |joint, part| joint * part.size + drawn(part, row))
            }));
            return Actions::Numbers(numbers);
        }
        columns.clear();
        for part in &self.parts {
            match (part.draw, last) {
                (None, Actions::Columns { values, stride }) => {
                    for column in values.chunks_exact(stride.max(1)).take(part.width) {
                        columns.extend_from_slice(&column[..count]);
                    }
                }
                (Some(draw), _) if part.size == 0 => {
                    columns.extend_from_slice(&before[draw].columns);
                }
                (Some(_), _) | (None, Actions::Numbers(_)) => {
                    for values in &part.values {
                        columns.extend((0..count).map(|row| values[drawn(part, row) as usize]));
                    }
                }
            }
        }
        Actions::Columns { values: columns, stride: count }
    }
}
