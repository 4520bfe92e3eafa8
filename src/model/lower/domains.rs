//! Domains of variables.

use super::Lowering;
use super::scope::{Local, Scope};
use super::unit::UnitId;
use super::value::Value;
use crate::diagnostic::Diagnostic;
use crate::expr::{Column, InputId, Program};
use crate::model::{Component, Domain, FiniteDomain, Index, Input, Kind, Shape, VariableId};
use crate::source::Span;
use crate::syntax::ast::{self, DomainKind, ExprKind};
use crate::syntax::{Place, ours};
use std::collections::HashMap;

/// Components of a vector.
const LONGEST_VECTOR: usize = 65_536;
/// Values of one finite component.
const MOST_VALUES: i64 = 1 << 26;
/// Values from which `where` leaves some out: each is looked at.
const MOST_FILTERED: usize = 1 << 22;

impl Lowering<'_> {
    /// Lowers the domain of each variable and the bounds of each reward.
    pub fn lower_variables(&mut self) {
        for at in 0..self.variables.len() {
            let slot = &self.variables[at];
            let (written, unit) = (slot.written, slot.unit);
            let domain = self.domain(written, unit, VariableId(at as u32));
            self.variables[at].domain = domain;
            self.variables_done = at + 1;
        }
        for environment in 0..self.environments.len() {
            let scope = Scope::of(self.environments[environment].unit);
            for reward in 0..self.environments[environment].rewards.len() {
                if let Some((lo, hi)) = self.environments[environment].rewards[reward].written {
                    let bounds = self.bounds(lo, hi, &scope);
                    self.environments[environment].rewards[reward].bounds = bounds;
                }
            }
        }
    }

    fn bounds(&mut self, lo: &ast::Expr, hi: &ast::Expr, scope: &Scope) -> Option<(f64, f64)> {
        let (low, high) =
            (self.constant(lo, scope, "a bound"), self.constant(hi, scope, "a bound"));
        let (low, high) = low.zip(high)?;
        if low > high {
            let told = Diagnostic::error(
                "domain",
                lo.span.to(hi.span),
                format!("no number lies between {low} and {high}"),
            );
            self.report(told.hint("the lower bound stands first"));
            return None;
        }
        Some((low, high))
    }

    fn domain(
        &mut self,
        written: &ast::Domain,
        unit: UnitId,
        variable: VariableId,
    ) -> Option<Domain> {
        let mut components = Vec::new();
        let shape = self.domain_shape(written, unit, "", &mut components);
        let shape = shape?;
        let mut finite = FiniteDomain::of(&components);
        if let Some(filter) = &written.filter {
            let Some(box_) = finite.filter(|finite| finite.size() <= MOST_FILTERED) else {
                self.not_filtered(filter.span, &components);
                return None;
            };
            let domain =
                Domain { shape: shape.clone(), components: components.clone(), finite: None };
            finite = Some(self.filtered(filter, box_, &domain, unit, variable)?);
        }
        Some(Domain { shape, components, finite })
    }

    /// Why `where` cannot stand after a domain.
    fn not_filtered(&mut self, span: Span, components: &[Component]) {
        let told = match FiniteDomain::count(components) {
            None => Diagnostic::error(
                "domain",
                span,
                "`where` leaves values out of a finite \
                                                       domain, and this one is not finite",
            )
            .hint("give every field a finite domain, such as `0..9`"),
            Some(count) => Diagnostic::error(
                "domain",
                span,
                format!("`where` looks at each value, and this domain has {count} of them"),
            )
            .here(format!("at most {MOST_FILTERED} values are looked at"))
            .hint(
                "declare smaller ranges, or leave `where` away and keep within it by the \
                       transitions",
            ),
        };
        self.report(told);
    }

    fn domain_shape(
        &mut self,
        written: &ast::Domain,
        unit: UnitId,
        path: &str,
        out: &mut Vec<Component>,
    ) -> Option<Shape> {
        let scope = Scope::of(unit);
        let kind = match &written.kind {
            DomainKind::Range(lo, hi) => {
                let (low, high) = (
                    self.constant_integer(lo, &scope, "the end of a range"),
                    self.constant_integer(hi, &scope, "the end of a range"),
                );
                let (lo, hi) = low.zip(high)?;
                if lo > hi {
                    let told = Diagnostic::error(
                        "domain",
                        written.span,
                        format!("the range {lo}..{hi} has no values"),
                    );
                    self.report(told.hint("the lowest value stands first"));
                    return None;
                }
                if hi.saturating_sub(lo) >= MOST_VALUES {
                    let told = Diagnostic::error(
                        "domain",
                        written.span,
                        format!("the range {lo}..{hi} has more than {MOST_VALUES} values"),
                    );
                    self.report(told.hint(
                        "a range is listed value by value: declare a smaller one, or \
                                   `real` for a number without bounds",
                    ));
                    return None;
                }
                Kind::Integer { lo, hi }
            }
            DomainKind::Count(count) => {
                if let Some(told) = self.foreign_domain(count, unit) {
                    self.report(told);
                    return None;
                }
                let count = self.constant_count(
                    count,
                    &scope,
                    "the number of values",
                    MOST_VALUES as usize,
                )?;
                Kind::Integer { lo: 0, hi: count as i64 - 1 }
            }
            DomainKind::Names(names) => {
                let mut firsts = HashMap::new();
                for name in names {
                    if matches!(name.text.as_str(), "true" | "false" | "none" | "t") {
                        self.error(
                            "reserved",
                            name.span,
                            format!(
                                "`{}` is a word of the language and cannot be a value",
                                name.text
                            ),
                        );
                    } else if let Some(first) = firsts.insert(&name.text, name.span) {
                        self.duplicate(name, first);
                    }
                }
                Kind::Names(names.iter().map(|name| name.text.clone()).collect())
            }
            DomainKind::Bool => Kind::Bool,
            DomainKind::Real { length, bounds } => {
                return self.real_shape(length.as_ref(), bounds.as_ref(), &scope, path, out);
            }
            DomainKind::Record(fields) => return self.record_shape(fields, unit, path, out),
        };
        out.push(Component { path: path.to_owned(), kind });
        Some(Shape::Scalar)
    }

    /// `Discrete(10)`, `int`: where a number of values is expected, what other tools call a domain.
    fn foreign_domain(&self, count: &ast::Expr, unit: UnitId) -> Option<Diagnostic> {
        let head = match &count.kind {
            ExprKind::Call { function, .. } => function,
            _ => count,
        };
        let ExprKind::Name(name) = &head.kind else { return None };
        let ours = ours(Place::Domain, name).filter(|_| self.find(unit, name).is_none())?;
        Some(
            Diagnostic::error("unknown-name", count.span, format!("unknown domain `{name}`"))
                .hint(ours),
        )
    }

    fn real_shape(
        &mut self,
        length: Option<&ast::Expr>,
        bounds: Option<&(ast::Expr, ast::Expr)>,
        scope: &Scope,
        path: &str,
        out: &mut Vec<Component>,
    ) -> Option<Shape> {
        let count = match length {
            Some(length) => Some(self.constant_count(
                length,
                scope,
                "the length of a vector",
                LONGEST_VECTOR,
            )?),
            None => None,
        };
        let width = count.unwrap_or(1);
        let (lows, highs) = match bounds {
            None => (vec![f64::NEG_INFINITY; width], vec![f64::INFINITY; width]),
            Some((lo, hi)) => {
                let (lows, highs) = (
                    self.bound_per_component(lo, width, scope),
                    self.bound_per_component(hi, width, scope),
                );
                let (lows, highs) = lows.zip(highs)?;
                if let Some((low, high)) = lows.iter().zip(&highs).find(|(low, high)| low >= high) {
                    let message =
                        format!("the lower bound {low} is not below the upper bound {high}");
                    let told = Diagnostic::error("domain", lo.span.to(hi.span), message);
                    self.report(told.hint("the lower bound stands first"));
                    return None;
                }
                (lows, highs)
            }
        };
        for (at, (lo, hi)) in lows.into_iter().zip(highs).enumerate() {
            let path = if count.is_some() { format!("{path}[{at}]") } else { path.to_owned() };
            out.push(Component { path, kind: Kind::Real { lo, hi } });
        }
        Some(count.map_or(Shape::Scalar, Shape::Vector))
    }

    /// One bound for all components, or an array with one for each.
    fn bound_per_component(
        &mut self,
        bound: &ast::Expr,
        width: usize,
        scope: &Scope,
    ) -> Option<Vec<f64>> {
        let value = self.lower(bound, scope);
        match &value {
            Value::Array(items) => {
                if items.len() != width {
                    self.error(
                        "width",
                        bound.span,
                        format!("{} bounds for {width} components", items.len()),
                    );
                    return None;
                }
                items.iter().map(|item| self.constant_of(item, bound.span, "a bound")).collect()
            }
            Value::Scalar(..) | Value::Record(_) | Value::Enumerator(_) | Value::Poison => {
                self.constant_of(&value, bound.span, "a bound").map(|bound| vec![bound; width])
            }
        }
    }

    fn record_shape(
        &mut self,
        fields: &[(ast::Name, ast::Domain)],
        unit: UnitId,
        path: &str,
        out: &mut Vec<Component>,
    ) -> Option<Shape> {
        let mut shapes = Vec::with_capacity(fields.len());
        let mut good = true;
        let mut firsts = HashMap::new();
        for (name, domain) in fields {
            if let Some(first) = firsts.insert(&name.text, name.span) {
                self.duplicate(name, first);
                good = false;
                continue;
            }
            if let Some(filter) = &domain.filter {
                let told = Diagnostic::error(
                    "domain",
                    filter.span,
                    "`where` stands after a whole domain, not inside a record",
                );
                self.report(told.hint("write it after the closing brace of the outermost record"));
                good = false;
            }
            let path =
                if path.is_empty() { name.text.clone() } else { format!("{path}.{}", name.text) };
            match self.domain_shape(domain, unit, &path, out) {
                Some(shape) => shapes.push((name.text.clone(), shape)),
                None => good = false,
            }
        }
        good.then_some(Shape::Record(shapes))
    }

    /// The values for which `filter` holds: over the fields of a record, or over the variable's own
    /// name.
    fn filtered(
        &mut self,
        filter: &ast::Expr,
        finite: FiniteDomain,
        domain: &Domain,
        unit: UnitId,
        variable: VariableId,
    ) -> Option<FiniteDomain> {
        let leaf = |component| Input::Variable { variable, component, index: Index::Step(0) };
        let value =
            self.structure(domain, &mut |lowering, component| lowering.input(leaf(component)));
        let locals = match &value {
            Value::Record(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), Local::Value(value.clone())))
                .collect(),
            Value::Scalar(..) | Value::Array(_) | Value::Enumerator(_) | Value::Poison => {
                vec![(
                    self.variables[variable.0 as usize].name.clone(),
                    Local::Value(value.clone()),
                )]
            }
        };
        let condition = self.lower(filter, &Scope { unit, locals });
        let condition = self.truth(&condition, filter.span, "the condition of `where`")?;
        let reads = self.reads(&[condition]);
        if let Some(other) = reads.iter().find(|input| {
            !matches!(input, Input::Variable { variable: of, index: Index::Step(0), .. }
                if *of == variable)
        }) {
            let shown = self.show_input(other);
            self.error(
                "domain",
                filter.span,
                format!("`where` reads the fields of the domain only, not `{shown}`"),
            );
            return None;
        }
        if self.reads_time(&[condition]) {
            self.error("domain", filter.span, "`where` does not read the time");
            return None;
        }
        let components: Vec<usize> = self
            .inputs
            .iter()
            .map(|input| match input {
                Input::Variable { variable: of, component, .. } if *of == variable => {
                    *component as usize
                }
                Input::Variable { .. }
                | Input::Reward { .. }
                | Input::Formal { .. }
                | Input::Gain(_) => 0,
            })
            .collect();
        let params = self.param_values();
        let program = Program::compile(&self.graph, &[condition], &params);
        let mut scratch = program.scratch();
        let mut holds = Vec::new();
        let kept = finite.filtered(|columns, stays| {
            let count = stays.len();
            holds.resize(count, 0.0);
            let leaf = |input: InputId| Column::Each(&columns[components[input.0 as usize]]);
            program.run(&leaf, Column::Same(f64::NAN), count, &mut holds, count, &mut scratch);
            stays.iter_mut().zip(&holds).for_each(|(stays, holds)| *stays = *holds == 1.0);
        });
        if kept.size() == 0 {
            self.error("domain", filter.span, "`where` leaves no value");
            return None;
        }
        Some(kept)
    }
}
