//! What a prior excludes of finite values and a posterior draws, of kernels as of distributions in
//! place. What a network computes is taken to be any number: a value is excluded if its probability
//! is 0 whatever the parameters are.

use super::law::{Atoms, Law};
use super::placed::{Place, Placed, Presence};
use super::sampled::{Sampled, ends};
use super::times::{Steps, arguments, at, drawn, horizon, lifetime};
use crate::expr::ExprId;
use crate::model::{
    Distribution, Dynamics, Factor, FiniteDomain, Index, Model, Role, TargetVariable, VariableId,
};

/// One of the factors of a variable.
pub struct Use<'a> {
    pub factor: &'a Factor,
    /// Which of its targets the variable is, and at which index.
    pub output: usize,
    pub index: Index,
}

pub enum Finding {
    Stays,
    /// Where, and what is drawn.
    Strays {
        at: String,
        value: Vec<f64>,
    },
    /// Not looked at: a density, samples alone, too large.
    Unknown,
}

/// Whether `q` draws a value of `variable` that `p` excludes.
pub fn compare(model: &Model, variable: VariableId, p: &Use<'_>, q: &Use<'_>) -> Finding {
    compared(model, variable, p, q).unwrap_or(Finding::Unknown)
}

fn compared(model: &Model, variable: VariableId, p: &Use<'_>, q: &Use<'_>) -> Option<Finding> {
    let domain = &model.variable(variable).domain;
    let finite = domain.finite.as_ref()?;
    let own = TargetVariable::Variable(variable);
    let steps = drawn(model, own, p.index).and(drawn(model, own, q.index));
    let (p_shift, q_shift) = (|index| frame(index, p.index, q.index), |index| index);
    let p_presence = |variable, index| presence(model, variable, index, p.index, steps);
    let q_presence = |variable, index| presence(model, variable, index, q.index, steps);
    let p_place = p.place(&p_shift, &p_presence);
    let q_place = q.place(&q_shift, &q_presence);
    let mut placed = Placed::new(model);
    let (p_written, q_written) = (placed.distribution(&p_place)?, placed.distribution(&q_place)?);
    let ends = [&p_place, &q_place]
        .into_iter()
        .flat_map(|place| ends(model, &mut placed, place))
        .collect();
    let sampled =
        Sampled::new(arguments(&p_written).into_iter().chain(arguments(&q_written)), ends)?;
    let law = |distribution: &Distribution<Vec<ExprId>>| {
        Law::of(distribution, domain, &|id| sampled.column(id))
    };
    let (p_law, q_law) = (law(&p_written)?, law(&q_written)?);
    let space = sampled.space(model, &placed)?;
    let mut atoms = Atoms::default();
    let strays = sampled.first(
        (model, &placed, &space),
        &|_| None,
        |(p_reached, q_reached): &mut (Reached, Reached), values, row| {
            p_reached.add(&p_law, values, row, finite, &mut atoms);
            q_reached.add(&q_law, values, row, finite, &mut atoms);
        },
        |(p_reached, q_reached), _, row| {
            let stray = q_reached.beyond(p_reached)?;
            let mut value = vec![0.0; domain.width()];
            finite.value(stray, &mut value);
            Some(Finding::Strays { at: space.show(model, row.number), value })
        },
    );
    Some(strays.unwrap_or(Finding::Stays))
}

/// The numbers of the values that a distribution draws with some parameters; `None` where it was
/// none with any.
#[derive(Clone, Default)]
struct Reached(Option<Vec<usize>>);

impl Reached {
    fn add(
        &mut self,
        law: &Law,
        values: &[Vec<f64>],
        row: usize,
        finite: &FiniteDomain,
        atoms: &mut Atoms,
    ) {
        atoms.clear();
        if law.fault(values, row).is_some() || !law.atoms(values, row, atoms) {
            return;
        }
        let found = atoms.iter(finite.width()).filter_map(|value| finite.number(value));
        self.0.get_or_insert_default().extend(found);
    }

    /// The first value that is not reached by the other, where both are known.
    fn beyond(&mut self, other: &mut Reached) -> Option<usize> {
        let (own, other) = (self.0.as_mut()?, other.0.as_mut()?);
        own.sort_unstable();
        other.sort_unstable();
        own.iter().copied().find(|number| other.binary_search(number).is_err())
    }
}

impl Use<'_> {
    fn place<'a>(
        &'a self,
        shift: &'a dyn Fn(Index) -> Index,
        presence: &'a dyn Fn(VariableId, Index) -> Presence,
    ) -> Place<'a> {
        let Factor { kernel, arguments, targets, .. } = self.factor;
        Place { kernel, arguments, output: self.output, outputs: targets.len(), shift, presence }
    }
}

/// An index of a factor that draws at `own`, as a factor would write it that draws the same at
/// `other`.
fn frame(index: Index, own: Index, other: Index) -> Index {
    match (own, other, index) {
        (Index::Step(own), Index::Step(other), Index::Step(k)) => Index::Step(k - own + other),
        (Index::Step(own), Index::First, Index::Step(k)) if k == own => Index::First,
        (Index::Step(own), Index::First, Index::Step(k)) => Index::Step(k - own),
        (Index::Step(own), Index::Last(last), Index::Step(k)) => Index::Last(last + k - own),
        (Index::First, Index::Step(other), Index::First) => Index::Step(other),
        (Index::Last(own), Index::Step(other), Index::Last(k)) => Index::Step(other + k - own),
        (_, _, index) => index,
    }
}

/// Whether a factor that draws at `own`, at the steps `steps` of what it draws, reads a value
/// there.
fn presence(
    model: &Model,
    variable: VariableId,
    index: Index,
    own: Index,
    steps: Steps,
) -> Presence {
    let lifetime = lifetime(model, TargetVariable::Variable(variable));
    let own = if let Index::Step(own) = own { i64::from(own) } else { 0 };
    let read = |step: i64| at(index, horizon(model), step - own);
    let (first, last) = (read(steps.from), read(steps.to));
    let ahead =
        matches!(index, Index::Step(k) if i64::from(k) > own) || matches!(index, Index::Last(_));
    let can_end = model.environments.iter().any(|e| {
        matches!(e.dynamics, Dynamics::Written { end: Some(_), .. } | Dynamics::External { .. })
    });
    let may_have_ended = ahead && can_end && model.variable(variable).role != Role::State;
    if last < lifetime.from || first > lifetime.to {
        Presence::Never
    } else if first < lifetime.from || last > lifetime.to || may_have_ended {
        Presence::Sometimes
    } else {
        Presence::Always
    }
}
