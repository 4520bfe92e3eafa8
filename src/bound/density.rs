//! What is known of a factor's density: whether it can be evaluated, and with what it has a
//! Kullback–Leibler divergence in closed form.

use crate::family::Family;
use crate::model::{
    Distribution, Domain, Dynamics, EnvironmentKernel, Factor, KernelRef, Model, Shape, Target,
    TargetVariable,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Density {
    Known,
    /// It can be sampled, its density cannot be used: why.
    Unknown(String),
    /// It has atoms on a continuous domain, so no density with respect to a common measure: why.
    Singular(String),
}

pub fn density(model: &Model, factor: &Factor) -> Density {
    match &factor.kernel {
        KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => {
            let kernel = model.kernel(*kernel);
            match atoms(&kernel.distribution, drawn_domain(model, factor)) {
                Some(Atom::Implicit) => Density::Unknown(format!(
                    "`{}` is implicit: it can be sampled, its density is unknown",
                    kernel.name
                )),
                Some(Atom::Point) if !is_finite(model, factor) => Density::Singular(format!(
                    "`{}` has point masses on a continuous domain",
                    kernel.name
                )),
                Some(Atom::Point) | None => Density::Known,
            }
        }
        KernelRef::Data(data) => Density::Unknown(format!(
            "`{}` is known by its samples alone",
            model.data[data.0 as usize].name
        )),
        KernelRef::Environment(id, which) => {
            let environment = model.environment(*id);
            if environment.hidden {
                return Density::Unknown(format!(
                    "`{}` is hidden: it can be sampled, its density is unknown",
                    environment.name
                ));
            }
            match environment_distribution(model, factor) {
                None => Density::Unknown(format!(
                    "`{}` is an outside program: it can be sampled, its density is unknown",
                    environment.name
                )),
                Some(distribution)
                    if atoms(distribution, drawn_domain(model, factor)).is_some()
                        && !is_finite(model, factor) =>
                {
                    let what = match which {
                        EnvironmentKernel::Initial => "start",
                        EnvironmentKernel::Transition => "transition",
                        EnvironmentKernel::Observation => "observation",
                    };
                    Density::Singular(format!(
                        "the {what} of `{}` has point masses on a continuous domain",
                        environment.name
                    ))
                }
                Some(_) => Density::Known,
            }
        }
        KernelRef::InPlace(distribution) => {
            match atoms(distribution, drawn_domain(model, factor)) {
                Some(_) if !is_finite(model, factor) => Density::Singular(
                    "a point mass on a continuous domain has no density".to_owned(),
                ),
                Some(_) | None => Density::Known,
            }
        }
    }
}

/// Why `KL(q ‖ p)` has no closed form; `Ok` where it has one.
pub fn closed_form(model: &Model, q: &Factor, p: &Factor) -> Result<(), String> {
    if is_finite(model, q) {
        return Ok(());
    }
    let (Some(q), Some(p)) = (form(model, q), form(model, p)) else {
        return Err("their densities are not both known".to_owned());
    };
    q.divergence(&p)
}

/// The number of values, where the factor is uniform over a finite domain.
pub fn uniform_count(model: &Model, factor: &Factor) -> Option<u64> {
    let KernelRef::InPlace(Distribution::Uniform) = factor.kernel else { return None };
    let [Target::Variable { variable: TargetVariable::Variable(id), .. }] = factor.targets[..]
    else {
        return None;
    };
    model.variable(id).domain.finite.as_ref().map(|domain| domain.size() as u64)
}

/// Whether all that the factor draws has finitely many values.
pub fn is_finite(model: &Model, factor: &Factor) -> bool {
    factor.targets.iter().all(|target| match target {
        Target::Variable { variable: TargetVariable::Variable(id), .. } => {
            model.variable(*id).domain.is_finite()
        }
        Target::Variable { variable: TargetVariable::End, .. } => true,
        // a reward is a function of what else is drawn, or takes values of the environment's own
        Target::Variable { variable: TargetVariable::Reward(..), .. } => factor.targets.len() > 1,
        Target::Weights(_) => false,
    })
}

/// The distribution an environment kernel stands for, where it is written in the language.
pub fn environment_distribution<'a>(
    model: &'a Model,
    factor: &Factor,
) -> Option<&'a Distribution<Vec<crate::expr::ExprId>>> {
    let KernelRef::Environment(id, which) = factor.kernel else { return None };
    match (&model.environment(id).dynamics, which) {
        (Dynamics::Written { initial, .. }, EnvironmentKernel::Initial) => Some(initial),
        (Dynamics::Written { transition, .. }, EnvironmentKernel::Transition) => Some(transition),
        (Dynamics::Written { observation, .. }, EnvironmentKernel::Observation) => {
            observation.as_ref()
        }
        (Dynamics::External { .. }, _) => None,
    }
}

enum Atom {
    Point,
    Implicit,
}

/// That of the one variable that a factor draws.
fn drawn_domain<'m>(model: &'m Model, factor: &Factor) -> Option<&'m Domain> {
    match factor.targets[..] {
        [Target::Variable { variable: TargetVariable::Variable(id), .. }] => {
            Some(&model.variable(id).domain)
        }
        _ => None,
    }
}

/// Over finitely many values everything is an atom, and none is told.
fn atoms<A>(distribution: &Distribution<A>, domain: Option<&Domain>) -> Option<Atom> {
    match distribution {
        Distribution::Implicit(_) => Some(Atom::Implicit),
        _ if domain.is_some_and(Domain::is_finite) => None,
        Distribution::Delta(_) | Distribution::UniformOver(_) | Distribution::Sticky { .. } => {
            Some(Atom::Point)
        }
        Distribution::Uniform
        | Distribution::UniformBox { .. }
        | Distribution::Categorical(_)
        | Distribution::Bernoulli(_)
        | Distribution::Real { .. } => None,
        Distribution::Mixture(parts) => parts.iter().find_map(|(_, part)| atoms(part, domain)),
        Distribution::If { then, otherwise, .. } => {
            atoms(then, domain).or_else(|| atoms(otherwise, domain))
        }
        Distribution::Record(parts) => parts
            .iter()
            .enumerate()
            .find_map(|(at, part)| atoms(part, domain.map(|domain| domain.field(at)).as_ref())),
    }
}

/// Continuous distributions, as far as closed forms need them apart.
#[derive(Debug)]
enum Form {
    /// Whatever is over finitely many values.
    Finite,
    /// Over the bounds of its domain.
    Uniform,
    Box,
    Real(Family),
    Record(Vec<Form>),
    Other(&'static str),
}

fn form(model: &Model, factor: &Factor) -> Option<Form> {
    let domain = drawn_domain(model, factor);
    match &factor.kernel {
        KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => {
            Some(form_of(&model.kernel(*kernel).distribution, domain))
        }
        KernelRef::InPlace(distribution) => Some(form_of(distribution, domain)),
        KernelRef::Environment(..) => {
            environment_distribution(model, factor).map(|of| form_of(of, domain))
        }
        KernelRef::Data(_) => None,
    }
}

/// `domain` is that of the one variable that is drawn.
fn form_of<A>(distribution: &Distribution<A>, domain: Option<&Domain>) -> Form {
    if domain.is_some_and(Domain::is_finite) {
        return Form::Finite;
    }
    match distribution {
        Distribution::Uniform => match domain.map(|domain| &domain.shape) {
            // what is uniform over a record is so over each field
            Some(Shape::Record(fields)) => {
                let of = |at: usize| domain.map(|domain| domain.field(at));
                let all = (0..fields.len()).map(|at| form_of(distribution, of(at).as_ref()));
                Form::Record(all.collect())
            }
            Some(Shape::Scalar | Shape::Vector(_)) | None => Form::Uniform,
        },
        Distribution::UniformBox { .. } => Form::Box,
        Distribution::Real { family, .. } => Form::Real(*family),
        Distribution::Record(parts) => {
            let all = parts
                .iter()
                .enumerate()
                .map(|(at, part)| form_of(part, domain.map(|domain| domain.field(at)).as_ref()));
            Form::Record(all.collect())
        }
        Distribution::Mixture(_) => Form::Other("Mixture"),
        Distribution::If { .. } => Form::Other("if … then … else"),
        Distribution::UniformOver(_) => Form::Other("Uniform over points"),
        Distribution::Delta(_) => Form::Other("Delta"),
        Distribution::Categorical(_) => Form::Other("Categorical"),
        Distribution::Bernoulli(_) => Form::Other("Bernoulli"),
        Distribution::Sticky { .. } => Form::Other("Sticky"),
        Distribution::Implicit(_) => Form::Other("Implicit"),
    }
}

impl Form {
    fn divergence(&self, p: &Form) -> Result<(), String> {
        match (self, p) {
            (Form::Finite, Form::Finite) => Ok(()),
            (Form::Real(q), Form::Real(p)) if q == p && q.has_divergence() => Ok(()),
            (Form::Uniform | Form::Box, Form::Uniform | Form::Box) => Ok(()),
            // a record of one family side by side
            (Form::Real(_) | Form::Box, Form::Record(p)) => {
                p.iter().try_for_each(|p| self.divergence(p))
            }
            (Form::Record(q), Form::Real(_) | Form::Box) => {
                q.iter().try_for_each(|q| q.divergence(p))
            }
            // the prior is one of the family
            (Form::Real(q), Form::Uniform) if q.uniform().is_some() && q.has_divergence() => Ok(()),
            (Form::Record(q), Form::Record(p)) if q.len() == p.len() => {
                q.iter().zip(p).try_for_each(|(q, p)| q.divergence(p))
            }
            _ => Err(format!("KL({} ‖ {}) has no closed form", self.name(), p.name())),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Form::Finite => "finitely many values",
            Form::Uniform | Form::Box => "Uniform",
            Form::Real(family) => family.name(),
            Form::Record(_) => "a record",
            Form::Other(name) => name,
        }
    }
}
