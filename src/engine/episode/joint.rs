//! What the world takes of a step: its actions, each a draw of its own, and several together.

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
    /// Which draw of the step it is.
    draw: usize,
    /// Component by component, those of each value, where it is finite.
    values: Vec<Vec<E>>,
    size: u32,
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
    pub fn of(plan: &Plan) -> Joint<E> {
        let model = &plan.model;
        let actions = &model.environment(plan.environment).actions;
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
                    draw: plan.draw_of(action).expect("plan: it draws every action"),
                    values,
                    size: finite.map_or(0, |finite| finite.size() as u32),
                }
            })
            .collect();
        // as the world takes them: too many joint values are columns
        let is_finite = model.environment(plan.environment).joint_action(model).finite.is_some();
        Joint { parts, is_finite }
    }

    /// The actions of the `count` rows of a step; `drawn` is what each draw of it gave, `room` is
    /// for what several make together.
    pub fn actions<'a>(
        &self,
        drawn: impl Fn(usize) -> Actions<'a, E>,
        count: usize,
        room: &'a mut Values<E>,
    ) -> Actions<'a, E> {
        if let [one] = &self.parts[..] {
            return drawn(one.draw);
        }
        let Values { numbers, columns } = room;
        let number = |part: &Part<E>, row: usize| match drawn(part.draw) {
            Actions::Numbers(numbers) => numbers[row],
            Actions::Columns { .. } => 0,
        };
        if self.is_finite {
            numbers.clear();
            numbers.extend((0..count).map(|row| {
                self.parts.iter().fold(0, |joint, part| joint * part.size + number(part, row))
            }));
            return Actions::Numbers(numbers);
        }
        columns.clear();
        for part in &self.parts {
            match drawn(part.draw) {
                Actions::Columns { values, .. } => columns.extend_from_slice(values),
                Actions::Numbers(numbers) => {
                    for values in &part.values {
                        let of = numbers.iter().map(|&number| values[number as usize]);
                        columns.extend(of.take(count));
                    }
                }
            }
        }
        Actions::Columns { values: columns, stride: count }
    }
}
