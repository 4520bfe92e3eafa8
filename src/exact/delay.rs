//! When all that a term reads is known. A term that looks ahead waits: it is evaluated at a later
//! slice, what it reads of earlier ones out of the memory.

use super::read::{Need, Standing, last_slice};
use super::refuse::refuse;
use crate::finite::NotFinite;
use crate::model::{Index, Model, Role};

/// Some slices of a term that wait equally long.
#[derive(Clone, Debug)]
pub(super) struct Delayed {
    pub moment: Moment,
    /// Counted at the slices of evaluation.
    pub standing: Standing,
    /// What is read within the trajectory, relative to those.
    pub needs: Vec<Need>,
}

/// When a term is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// The state of the slice is there: at a node.
    Arrival,
    /// So is all that is drawn in the slice.
    Choice,
}

/// Splits the slices of a term by how long it waits, at least until its own slice's variables are
/// drawn. `needs` says what it reads, relative to a standing. What lies past the end of the
/// trajectory is `none` and needs no waiting.
///
/// # Errors
/// Where it reads a reward.
pub(super) fn delay(
    model: &Model,
    standing: &Standing,
    needs: &dyn Fn(&Standing) -> Result<Vec<Need>, NotFinite>,
) -> Result<Vec<Delayed>, NotFinite> {
    let reads = needs(standing)?;
    if reads.iter().any(|need| matches!(need, Need::Reward(..))) {
        return refuse("a factor that reads a reward");
    }
    let mut groups: Vec<Group> = Vec::new();
    for slice in standing.slices.clone() {
        let next = Group::of(model, &reads, slice);
        match groups.last_mut() {
            Some(group) if group.goes_on_with(&next) => group.last = slice,
            Some(_) | None => groups.push(next),
        }
    }
    let delayed = |group: Group| {
        let standing = Standing {
            slices: group.first + group.wait..=group.last + group.wait,
            shift: standing.shift + group.wait as i32,
        };
        let mut needs = needs(&standing)?;
        needs.retain(|need| !past_the_end(model, &standing, need));
        Ok(Delayed { moment: group.moment, standing, needs })
    };
    groups.into_iter().map(delayed).collect()
}

/// Consecutive slices of a term.
#[derive(Clone, Copy)]
struct Group {
    first: usize,
    last: usize,
    wait: usize,
    moment: Moment,
    /// Something is read past the end: from each slice it is something else.
    alone: bool,
}

impl Group {
    fn of(model: &Model, reads: &[Need], slice: usize) -> Group {
        let mut known = (slice, Moment::Choice);
        let mut alone = false;
        for need in reads {
            let Need::Variable(variable, index) = *need else { continue };
            let at = match index {
                Index::First => 1,
                Index::Step(k) => slice as i64 + i64::from(k),
                Index::Last(k) => model.horizon.value as i64 + i64::from(k),
            };
            let moment = if model.variable(variable).role == Role::State {
                Moment::Arrival
            } else {
                Moment::Choice
            };
            if at > last_slice(model, variable) as i64 {
                alone = true;
            } else {
                known = known.max((at.max(1) as usize, moment));
            }
        }
        Group { first: slice, last: slice, wait: known.0 - slice, moment: known.1, alone }
    }

    fn goes_on_with(&self, next: &Group) -> bool {
        !self.alone && !next.alone && (self.wait, self.moment) == (next.wait, next.moment)
    }
}

/// A term at a single slice reads `need` (relative to it) past the end of the trajectory.
fn past_the_end(model: &Model, standing: &Standing, need: &Need) -> bool {
    match *need {
        Need::Variable(variable, index) => standing.is_past_the_end(model, variable, index),
        Need::Reward(..) => false,
    }
}
