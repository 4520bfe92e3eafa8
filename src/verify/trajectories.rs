//! Every trajectory that some blocks can draw, with its probability.

use super::laws::Laws;
use super::space::{ABSENT, Assignment, Instance, Space};
use crate::finite::NotFinite;
use crate::model::{Factor, Role, Target, TargetVariable};

/// Trajectories side by side: `values` holds `slots` numbers for each.
pub struct Trajectories {
    slots: usize,
    values: Vec<u32>,
    pub probability: Vec<f64>,
}

/// There are more trajectories than may be listed.
pub struct TooMany;

impl Trajectories {
    /// All trajectories of positive probability, drawn in `order`; at most `limit`.
    ///
    /// # Errors
    /// A law that cannot be listed.
    pub fn enumerate(
        space: &Space,
        laws: &mut Laws<'_>,
        order: &[Instance],
        limit: usize,
    ) -> Result<Result<Trajectories, TooMany>, NotFinite> {
        let slots = space.slots();
        let mut now = Trajectories { slots, values: vec![ABSENT; slots], probability: vec![1.0] };
        for instance in order {
            let factor = space.bound.factor(instance.factor);
            let mut next = Trajectories { slots, values: Vec::new(), probability: Vec::new() };
            for (values, probability) in now.iter() {
                if !space.live(factor, instance.t, values) {
                    let mut values = values.to_vec();
                    absorb(space, factor, instance.t, &mut values);
                    next.push(&values, probability);
                    continue;
                }
                let law = laws.law(space, factor, instance.t, values)?;
                let mut values = values.to_vec();
                for (outcome, p) in law.probability.iter().enumerate().filter(|(_, p)| **p > 0.0) {
                    assign(space, factor, instance.t, outcome, &mut values);
                    next.push(&values, probability * p);
                }
                if next.probability.len() > limit {
                    return Ok(Err(TooMany));
                }
            }
            now = next;
        }
        Ok(Ok(now))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Assignment, f64)> {
        // a space without slots has one trajectory, and it is empty
        (0..self.probability.len())
            .map(|at| (&self.values[at * self.slots..(at + 1) * self.slots], self.probability[at]))
    }

    pub fn len(&self) -> usize {
        self.probability.len()
    }

    fn push(&mut self, values: &Assignment, probability: f64) {
        self.values.extend_from_slice(values);
        self.probability.push(probability);
    }
}

/// One trajectory, drawn in `order` with numbers of `uniform`, which lie in [0, 1).
///
/// # Errors
/// A law that cannot be listed.
pub fn draw(
    space: &Space,
    laws: &mut Laws<'_>,
    order: &[Instance],
    uniform: &mut dyn FnMut() -> f64,
) -> Result<Vec<u32>, NotFinite> {
    let mut values = vec![ABSENT; space.slots()];
    for instance in order {
        let factor = space.bound.factor(instance.factor);
        if !space.live(factor, instance.t, &values) {
            absorb(space, factor, instance.t, &mut values);
            continue;
        }
        let law = laws.law(space, factor, instance.t, &values)?;
        let mut left = uniform();
        let reached = law.probability.iter().position(|p| {
            left -= p;
            left < 0.0
        });
        // the probabilities may sum to a little less than 1
        let last = law.probability.iter().rposition(|p| *p > 0.0);
        let outcome =
            reached.or(last).ok_or_else(|| NotFinite("a law has no outcome".to_owned()))?;
        assign(space, factor, instance.t, outcome, &mut values);
    }
    Ok(values)
}

/// The joint outcome that a factor's targets have on a trajectory; `None` where one is absent.
pub fn outcome(space: &Space, factor: &Factor, t: usize, values: &Assignment) -> Option<usize> {
    let mut number = 0;
    for target in &factor.targets {
        let Target::Variable { variable, index } = *target else { return None };
        let value = space.number(variable, space.time(index, t), values);
        if value == ABSENT {
            return None;
        }
        number = number * space.size(variable) + value as usize;
    }
    Some(number)
}

fn assign(space: &Space, factor: &Factor, t: usize, mut outcome: usize, values: &mut Assignment) {
    for target in factor.targets.iter().rev() {
        let Target::Variable { variable, index } = *target else { continue };
        let size = space.size(variable);
        values[space.slot(variable, space.time(index, t) as usize)] = (outcome % size) as u32;
        outcome /= size;
    }
}

/// After the end a state repeats; everything else is `none`.
fn absorb(space: &Space, factor: &Factor, t: usize, values: &mut Assignment) {
    for target in &factor.targets {
        let Target::Variable { variable, index } = *target else { continue };
        let time = space.time(index, t);
        let is_state = matches!(variable, TargetVariable::Variable(id)
            if space.model.variable(id).role == Role::State);
        let value = if is_state { space.number(variable, time - 1, values) } else { ABSENT };
        values[space.slot(variable, time as usize)] = value;
    }
}
