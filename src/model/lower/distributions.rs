//! Distributions over a domain. What their arguments become depends on where they stand: scalars in
//! environments and in place, layers in kernels.

use super::Lowering;
use super::functions::distributions;
use super::scope::{Scope, nearest};
use super::shapes::{Fit, describe_domain};
use super::unit::Meaning;
use super::value::{Type, Value};
use crate::diagnostic::Diagnostic;
use crate::expr::ExprId;
use crate::family::{FAMILIES, Family, Reach};
use crate::model::{Distribution, Domain, Kind, Scores, Shape};
use crate::source::Span;
use crate::syntax::ast::{self, ArgumentLabel, ExprKind};
use crate::syntax::{Place, our_argument, ours};

/// What an argument has to be.
#[derive(Clone, Copy, Debug)]
pub enum Want<'d> {
    /// A number per value of a finite domain.
    Scores(usize),
    /// A value of the domain.
    Value(&'d Domain),
    /// A number per component of the domain.
    PerComponent(&'d Domain),
    Number,
    Truth,
}

/// Where a distribution stands.
pub trait Site {
    type Argument;
    fn scope(&self) -> &Scope;
    /// `path` names the argument: `logits`, `fresh.logits`.
    fn argument(
        &mut self,
        lowering: &mut Lowering,
        expr: &ast::Expr,
        want: Want,
        path: &str,
    ) -> Option<Self::Argument>;
    fn known(
        &mut self,
        lowering: &mut Lowering,
        value: &Value,
        want: Want,
        span: Span,
    ) -> Option<Self::Argument>;
    /// The formal that `Sticky` stays at.
    fn last(&mut self, lowering: &mut Lowering, expr: &ast::Expr, domain: &Domain) -> Option<u32>;
    /// Whether `Implicit` may stand here; tells where it may not.
    fn implicit(&mut self, lowering: &mut Lowering, span: Span) -> bool;
}

/// In an environment, or to the right of `~`.
pub struct InPlace {
    pub scope: Scope,
}

impl Site for InPlace {
    type Argument = Vec<ExprId>;

    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn argument(
        &mut self,
        lowering: &mut Lowering,
        expr: &ast::Expr,
        want: Want,
        _path: &str,
    ) -> Option<Vec<ExprId>> {
        let value = lowering.lower(expr, &self.scope);
        self.known(lowering, &value, want, expr.span)
    }

    fn known(
        &mut self,
        lowering: &mut Lowering,
        value: &Value,
        want: Want,
        span: Span,
    ) -> Option<Vec<ExprId>> {
        lowering.fit_want(value, want, span)
    }

    fn last(&mut self, lowering: &mut Lowering, expr: &ast::Expr, _domain: &Domain) -> Option<u32> {
        let told = Diagnostic::error("distribution", expr.span, "`Sticky` stands in a kernel only");
        lowering.report(told.hint(
            "declare `kernel pick(o | s, last: o?) = Sticky(last, keep = …, \
                                   fresh = …)` and use it here",
        ));
        None
    }

    fn implicit(&mut self, lowering: &mut Lowering, span: Span) -> bool {
        lowering.error("distribution", span, "`Implicit` stands in a kernel only");
        false
    }
}

impl Lowering<'_> {
    pub fn fit_want(&mut self, value: &Value, want: Want, span: Span) -> Option<Vec<ExprId>> {
        match want {
            Want::Scores(count) => self.fit_count(value, count, "numbers", span),
            Want::Value(domain) => {
                let ids = self.fit(value, domain, Fit::Value, span)?;
                self.check_inside(&ids, domain, span).then_some(ids)
            }
            Want::PerComponent(domain) => self.fit(value, domain, Fit::PerComponent, span),
            Want::Number => self.numeric(value, span).map(|id| vec![id]),
            Want::Truth => self.truth(value, span, "the condition of `if`").map(|id| vec![id]),
        }
    }

    /// A constant outside the domain is a mistake.
    pub fn check_inside(&mut self, ids: &[ExprId], domain: &Domain, span: Span) -> bool {
        let known: Option<Vec<f64>> = ids.iter().map(|id| self.evaluate(*id)).collect();
        let Some(value) = known else { return true };
        let real = |(value, kind): (&f64, &Kind)| match kind {
            Kind::Real { lo, hi } => (lo..=hi).contains(&value),
            Kind::Integer { .. } | Kind::Names(_) | Kind::Bool => true,
        };
        let inside = match &domain.finite {
            Some(finite) => finite.number(&value).is_some(),
            None => value
                .iter()
                .zip(domain.components.iter().map(|component| &component.kind))
                .all(real),
        };
        if !inside {
            self.error(
                "domain",
                span,
                format!("{} is not a value of {}", domain.show(&value), describe_domain(domain)),
            );
        }
        inside
    }

    /// A distribution over `domain`.
    pub fn distribution<S: Site>(
        &mut self,
        site: &mut S,
        expr: &ast::Expr,
        domain: &Domain,
        path: &str,
    ) -> Option<Distribution<S::Argument>> {
        match &expr.kind {
            ExprKind::If { condition, then, otherwise } => {
                let condition =
                    site.argument(self, condition, Want::Truth, &join(path, "condition"));
                let then = self.distribution(site, then, domain, &join(path, "then"));
                let otherwise = self.distribution(site, otherwise, domain, &join(path, "else"));
                Some(Distribution::If {
                    condition: condition?,
                    then: Box::new(then?),
                    otherwise: Box::new(otherwise?),
                })
            }
            ExprKind::Record(parts) => self.record_distribution(site, expr, parts, domain, path),
            ExprKind::Name(name) => self.named_distribution(site, expr, name, &[], domain, path),
            ExprKind::Call { function, arguments, givens: None } => match &function.kind {
                ExprKind::Name(name) => {
                    self.named_distribution(site, expr, name, arguments, domain, path)
                }
                ExprKind::Field { .. } => {
                    self.not_a_distribution(site, expr);
                    None
                }
                ExprKind::Number { .. }
                | ExprKind::Text(_)
                | ExprKind::Previous { .. }
                | ExprKind::Unary { .. }
                | ExprKind::Binary { .. }
                | ExprKind::If { .. }
                | ExprKind::Call { .. }
                | ExprKind::Index { .. }
                | ExprKind::Array(_)
                | ExprKind::Record(_) => {
                    self.error("type", function.span, "this cannot be called");
                    None
                }
            },
            ExprKind::Number { .. }
            | ExprKind::Text(_)
            | ExprKind::Previous { .. }
            | ExprKind::Unary { .. }
            | ExprKind::Binary { .. }
            | ExprKind::Call { .. }
            | ExprKind::Index { .. }
            | ExprKind::Field { .. }
            | ExprKind::Array(_) => {
                self.not_a_distribution(site, expr);
                None
            }
        }
    }

    /// Where a value stands for a distribution: its own mistakes first.
    fn not_a_distribution<S: Site>(&mut self, site: &S, expr: &ast::Expr) {
        let unit = site.scope().unit;
        let head = match &expr.kind {
            ExprKind::Call { function, .. } => &function.kind,
            other => other,
        };
        let kernel = match head {
            ExprKind::Name(name) => {
                matches!(self.meaning(unit, name), Some(Meaning::Kernel(_) | Meaning::Data(_)))
            }
            ExprKind::Field { base, .. } => {
                matches!(&base.kind, ExprKind::Name(name)
                    if matches!(self.meaning(unit, name), Some(Meaning::Environment(_))))
            }
            ExprKind::Previous { .. } => true,
            ExprKind::Number { .. }
            | ExprKind::Text(_)
            | ExprKind::Unary { .. }
            | ExprKind::Binary { .. }
            | ExprKind::If { .. }
            | ExprKind::Call { .. }
            | ExprKind::Index { .. }
            | ExprKind::Array(_)
            | ExprKind::Record(_) => false,
        };
        let mut clean = true;
        if !kernel {
            let told = self.diagnostics.len();
            let scope = site.scope().clone();
            clean = !self.lower(expr, &scope).is_poisoned() && self.diagnostics.len() == told;
        }
        if clean {
            let told =
                Diagnostic::error("distribution", expr.span, "a distribution is expected here");
            self.report(if kernel {
                told.hint(
                    "a kernel stands alone to the right of `~`; it cannot be a part of a \
                           distribution",
                )
            } else {
                told.hint("a value that is certain is `Delta(…)`")
            });
        }
    }

    fn record_distribution<S: Site>(
        &mut self,
        site: &mut S,
        expr: &ast::Expr,
        parts: &[(ast::Name, ast::Expr)],
        domain: &Domain,
        path: &str,
    ) -> Option<Distribution<S::Argument>> {
        let Shape::Record(fields) = &domain.shape else {
            let told = Diagnostic::error(
                "distribution",
                expr.span,
                format!("a record of distributions over {}", describe_domain(domain)),
            );
            self.report(told.hint("a record stands over a domain with fields"));
            return None;
        };
        let known: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
        for (at, (name, _)) in parts.iter().enumerate() {
            if !known.contains(&name.text) {
                self.unknown(&name.text, name.span, "field", &known);
            } else if let Some((first, _)) =
                parts[..at].iter().find(|(first, _)| first.text == name.text)
            {
                self.duplicate(name, first.span);
            }
        }
        if domain.finite.as_ref().is_some_and(|finite| finite.size() < box_size(domain)) {
            let told = Diagnostic::error(
                "distribution",
                expr.span,
                "independent parts reach values that `where` leaves out",
            );
            self.report(told.hint(
                "use a joint distribution: `Delta`, `Uniform`, `Categorical` or \
                                   a `Mixture` of them",
            ));
            return None;
        }
        let mut lowered = Vec::with_capacity(fields.len());
        for (at, (field, _)) in fields.iter().enumerate() {
            match parts.iter().find(|(name, _)| name.text == *field) {
                Some((_, part)) => lowered.push(self.distribution(
                    site,
                    part,
                    &domain.field(at),
                    &join(path, field),
                )),
                None => {
                    self.error(
                        "distribution",
                        expr.span,
                        format!("the field `{field}` has no distribution"),
                    );
                    lowered.push(None);
                }
            }
        }
        Some(Distribution::Record(lowered.into_iter().collect::<Option<Vec<_>>>()?))
    }

    fn named_distribution<S: Site>(
        &mut self,
        site: &mut S,
        expr: &ast::Expr,
        name: &str,
        arguments: &[ast::Argument],
        domain: &Domain,
        path: &str,
    ) -> Option<Distribution<S::Argument>> {
        let span = expr.span;
        match name {
            "Uniform" => self.uniform(site, expr, arguments, domain, path),
            "Delta" => {
                let [value] =
                    self.arguments(name, span, arguments, ["value"], Positional::First)?;
                Some(Distribution::Delta(site.argument(
                    self,
                    value,
                    Want::Value(domain),
                    &join(path, "value"),
                )?))
            }
            "Categorical" => {
                let Some(finite) = &domain.finite else {
                    return self.wrong_domain(span, name, "a finite domain", domain);
                };
                let size = finite.size();
                Some(Distribution::Categorical(self.scores(
                    site,
                    name,
                    span,
                    arguments,
                    Want::Scores(size),
                    path,
                )?))
            }
            "Bernoulli" => {
                if domain.width() != 1
                    || domain.finite.as_ref().is_none_or(|finite| finite.size() != 2)
                {
                    return self.wrong_domain(span, name, "a domain of two values", domain);
                }
                Some(Distribution::Bernoulli(self.scores(
                    site,
                    name,
                    span,
                    arguments,
                    Want::Number,
                    path,
                )?))
            }
            "Mixture" => self.mixture(site, span, arguments, domain, path),
            "Sticky" => {
                let [last, keep, fresh] = self.arguments(
                    name,
                    span,
                    arguments,
                    ["last", "keep", "fresh"],
                    Positional::First,
                )?;
                if domain.finite.is_none() {
                    return self.wrong_domain(span, name, "a finite domain", domain);
                }
                let last = site.last(self, last, domain);
                self.check_known(site, keep, "keep", Range::Probability);
                let keep = site.argument(self, keep, Want::Number, &join(path, "keep"));
                let fresh = self.distribution(site, fresh, domain, &join(path, "fresh"));
                Some(Distribution::Sticky { last: last?, keep: keep?, fresh: Box::new(fresh?) })
            }
            "Implicit" => {
                if !site.implicit(self, span) || !self.check_real(span, name, domain, false) {
                    return None;
                }
                let [sample] =
                    self.arguments(name, span, arguments, ["sample"], Positional::First)?;
                Some(Distribution::Implicit(site.argument(
                    self,
                    sample,
                    Want::PerComponent(domain),
                    &join(path, "sample"),
                )?))
            }
            _ => match Family::named(name) {
                Some(family) => self.real(site, family, span, arguments, domain, path),
                None => {
                    self.not_named(site, expr, name);
                    None
                }
            },
        }
    }

    /// A density over real numbers.
    fn real<S: Site>(
        &mut self,
        site: &mut S,
        family: Family,
        span: Span,
        arguments: &[ast::Argument],
        domain: &Domain,
        path: &str,
    ) -> Option<Distribution<S::Argument>> {
        if !self.check_real(span, family.name(), domain, family.reach() == Reach::Bounds) {
            return None;
        }
        let names: Vec<&str> = family.arguments().iter().map(|argument| argument.name).collect();
        let written =
            self.arguments_of(family.name(), span, arguments, &names, Positional::None)?;
        let mut lowered = Vec::with_capacity(names.len());
        for (argument, expr) in family.arguments().iter().zip(written) {
            if argument.positive {
                self.check_known(site, expr, argument.name, Range::Positive);
            }
            let path = join(path, argument.name);
            lowered.push(site.argument(self, expr, Want::PerComponent(domain), &path));
        }
        let arguments = lowered.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Distribution::Real { family, arguments })
    }

    fn not_named<S: Site>(&mut self, site: &S, expr: &ast::Expr, name: &str) {
        let known: Vec<String> = distributions().map(str::to_owned).collect();
        let kernel = matches!(
            self.meaning(site.scope().unit, name),
            Some(Meaning::Kernel(_) | Meaning::Data(_))
        );
        let value = site.scope().local(name).is_some()
            || super::functions::reserved(name).is_some()
            || self.find(site.scope().unit, name).is_some()
            || self.has_enumerator(site.scope().unit, name);
        if kernel || value {
            self.not_a_distribution(site, expr);
        } else if nearest(name, &known).is_some() || name.starts_with(char::is_uppercase) {
            self.unknown_word(
                name,
                expr.span,
                "distribution",
                &known,
                ours(Place::Distribution, name),
            );
        } else {
            let mut known = known;
            known.extend(self.visible(site.scope()));
            self.unknown_word(
                name,
                expr.span,
                "distribution or kernel",
                &known,
                ours(Place::Distribution, name),
            );
        }
    }

    fn uniform<S: Site>(
        &mut self,
        site: &mut S,
        expr: &ast::Expr,
        arguments: &[ast::Argument],
        domain: &Domain,
        path: &str,
    ) -> Option<Distribution<S::Argument>> {
        let span = expr.span;
        if arguments.is_empty() {
            if domain.finite.is_none()
                && !domain.components.iter().all(|component| bounded(&component.kind))
            {
                let told = Diagnostic::error(
                    "distribution",
                    span,
                    format!("`Uniform` over {} has no bounds", describe_domain(domain)),
                );
                self.report(
                    told.hint(
                        "write `Uniform(lo = …, hi = …)`, or declare bounds: `real in [-1, 1]`",
                    ),
                );
                return None;
            }
            return Some(Distribution::Uniform);
        }
        let over = arguments.iter().any(|argument| is_named(argument, "over"));
        if over {
            let [over] = self.arguments("Uniform", span, arguments, ["over"], Positional::None)?;
            let scope = site.scope().clone();
            let value = self.lower(over, &scope);
            let items = match &value {
                Value::Array(items) if !items.is_empty() => items.clone(),
                Value::Poison => return None,
                Value::Array(_) | Value::Scalar(..) | Value::Record(_) | Value::Enumerator(_) => {
                    self.mismatch(over.span, "an array of values", &value);
                    return None;
                }
            };
            let items: Vec<Option<S::Argument>> = items
                .iter()
                .map(|item| site.known(self, item, Want::Value(domain), over.span))
                .collect();
            return Some(Distribution::UniformOver(items.into_iter().collect::<Option<Vec<_>>>()?));
        }
        if !self.check_real(span, "Uniform(lo =, hi =)", domain, false) {
            return None;
        }
        let [lo, hi] =
            self.arguments("Uniform", span, arguments, ["lo", "hi"], Positional::None)?;
        let lo = site.argument(self, lo, Want::PerComponent(domain), &join(path, "lo"));
        let hi = site.argument(self, hi, Want::PerComponent(domain), &join(path, "hi"));
        let (lo, hi) = lo.zip(hi)?;
        Some(Distribution::UniformBox { lo, hi })
    }

    fn scores<S: Site>(
        &mut self,
        site: &mut S,
        name: &str,
        span: Span,
        arguments: &[ast::Argument],
        want: Want,
        path: &str,
    ) -> Option<Scores<S::Argument>> {
        let probs = arguments.iter().any(|argument| is_named(argument, "probs"));
        let logits = arguments.iter().any(|argument| is_named(argument, "logits"));
        if probs == logits {
            if !self.check_names(name, arguments, &["logits", "probs"]) {
                return None;
            }
            let told = Diagnostic::error(
                "argument",
                span,
                format!("`{name}` takes either `logits` or `probs`"),
            );
            self.report(told.hint(format!("write `{name}(logits = …)` or `{name}(probs = …)`")));
            return None;
        }
        let key = if probs { "probs" } else { "logits" };
        let [scores] = self.arguments(name, span, arguments, [key], Positional::None)?;
        if probs && matches!(want, Want::Number) {
            self.check_known(site, scores, "probs", Range::Probability);
        }
        let scores = site.argument(self, scores, want, &join(path, key))?;
        Some(if probs { Scores::Probs(scores) } else { Scores::Logits(scores) })
    }

    fn mixture<S: Site>(
        &mut self,
        site: &mut S,
        span: Span,
        arguments: &[ast::Argument],
        domain: &Domain,
        path: &str,
    ) -> Option<Distribution<S::Argument>> {
        if arguments.is_empty() {
            let told = Diagnostic::error("argument", span, "`Mixture` of nothing");
            self.report(told.hint("write `Mixture(0.9: Delta(…), 0.1: Uniform)`"));
            return None;
        }
        let mut parts = Vec::with_capacity(arguments.len());
        for (at, argument) in arguments.iter().enumerate() {
            let part =
                |at: usize| if arguments.len() > 1 { format!("{at}") } else { String::new() };
            match &argument.label {
                Some(ArgumentLabel::Weight(weight)) => {
                    let weight = site.argument(
                        self,
                        weight,
                        Want::Number,
                        &join(path, &format!("weight{at}")),
                    );
                    let part = self.distribution(
                        site,
                        &argument.value,
                        domain,
                        &join(path, &format!("part{}", part(at))),
                    );
                    parts.push(weight.zip(part));
                }
                None | Some(ArgumentLabel::Named(_)) => {
                    let told = Diagnostic::error(
                        "argument",
                        argument.value.span,
                        "a part of `Mixture` needs its weight",
                    );
                    self.report(told.hint("write `0.9: Delta(…)`"));
                    parts.push(None);
                }
            }
        }
        Some(Distribution::Mixture(parts.into_iter().collect::<Option<Vec<_>>>()?))
    }

    fn wrong_domain<A>(
        &mut self,
        span: Span,
        name: &str,
        wanted: &str,
        domain: &Domain,
    ) -> Option<A> {
        let told = Diagnostic::error(
            "distribution",
            span,
            format!("`{name}` needs {wanted}, and this one is {}", describe_domain(domain)),
        );
        self.report(
            told.hint(match domain.is_finite() {
                true => {
                    "over values that can be counted stand `Categorical(logits = …)`, `Uniform` \
                     and `Delta(…)`"
                        .to_owned()
                }
                false => {
                    let mut families = FAMILIES.into_iter();
                    let first = families.next().map(Family::written).unwrap_or_default();
                    let others: Vec<String> =
                        families.map(|family| format!(", `{}`", family.name())).collect();
                    format!(
                        "over real numbers stand {first}{}, `Uniform` and `Delta(…)`",
                        others.concat()
                    )
                }
            }),
        );
        None
    }

    fn check_real(&mut self, span: Span, name: &str, domain: &Domain, with_bounds: bool) -> bool {
        let real =
            domain.components.iter().all(|component| matches!(component.kind, Kind::Real { .. }));
        if !real {
            self.wrong_domain::<()>(span, name, "a domain of real numbers", domain);
            return false;
        }
        if with_bounds && !domain.components.iter().all(|component| bounded(&component.kind)) {
            let told = Diagnostic::error(
                "distribution",
                span,
                format!("`{name}` is scaled to the bounds of its domain, and this one has none"),
            );
            self.report(told.hint("declare them: `real in [-2, 2]`"));
            return false;
        }
        true
    }

    /// Holds an argument that is a constant or a param to its range.
    fn check_known<S: Site>(&mut self, site: &S, expr: &ast::Expr, what: &str, range: Range) {
        let scope = site.scope().clone();
        let known = match &expr.kind {
            ExprKind::Number { .. } => true,
            ExprKind::Unary { operand, .. } => matches!(operand.kind, ExprKind::Number { .. }),
            ExprKind::Name(name) => {
                scope.local(name).is_none()
                    && matches!(self.meaning(scope.unit, name), Some(Meaning::Param(..)))
            }
            ExprKind::Text(_)
            | ExprKind::Previous { .. }
            | ExprKind::Binary { .. }
            | ExprKind::If { .. }
            | ExprKind::Call { .. }
            | ExprKind::Index { .. }
            | ExprKind::Field { .. }
            | ExprKind::Array(_)
            | ExprKind::Record(_) => false,
        };
        if !known {
            return;
        }
        let Value::Scalar(id, Type::Number) = self.lower(expr, &scope) else { return };
        let Some(value) = self.evaluate(id) else { return };
        let (holds, wanted) = match range {
            Range::Positive => (value > 0.0, "above 0"),
            Range::Probability => ((0.0..=1.0).contains(&value), "between 0 and 1"),
        };
        if !holds {
            self.error("argument", expr.span, format!("`{what}` must be {wanted}, not {value}"));
        }
    }

    fn check_names(&mut self, function: &str, arguments: &[ast::Argument], known: &[&str]) -> bool {
        let mut good = true;
        for (at, argument) in arguments.iter().enumerate() {
            if let Some(ArgumentLabel::Named(name)) = &argument.label {
                let first = arguments[..at].iter().find_map(|earlier| match &earlier.label {
                    Some(ArgumentLabel::Named(first)) if first.text == name.text => {
                        Some(first.span)
                    }
                    Some(_) | None => None,
                });
                if !known.contains(&name.text.as_str()) {
                    let known: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
                    let ours =
                        our_argument(&name.text, &known).map(|ours| format!("write `{ours} = …`"));
                    self.unknown_word(
                        &name.text,
                        name.span,
                        &format!("argument of `{function}`"),
                        &known,
                        ours,
                    );
                    good = false;
                } else if let Some(first) = first {
                    self.report(
                        Diagnostic::error(
                            "argument",
                            name.span,
                            format!("`{}` is given twice", name.text),
                        )
                        .also(first, "first given here"),
                    );
                    good = false;
                }
            }
        }
        good
    }

    /// The arguments by their names; tells of unknown, missing and unnamed ones.
    pub fn arguments<'e, const N: usize>(
        &mut self,
        function: &str,
        span: Span,
        arguments: &'e [ast::Argument],
        names: [&str; N],
        positional: Positional,
    ) -> Option<[&'e ast::Expr; N]> {
        let found = self.arguments_of(function, span, arguments, &names, positional)?;
        found.try_into().ok()
    }

    /// As [`Lowering::arguments`], of as many as there are names.
    fn arguments_of<'e>(
        &mut self,
        function: &str,
        span: Span,
        arguments: &'e [ast::Argument],
        names: &[&str],
        positional: Positional,
    ) -> Option<Vec<&'e ast::Expr>> {
        let mut good = self.check_names(function, arguments, names);
        let mut found: Vec<Option<&'e ast::Expr>> = vec![None; names.len()];
        for (at, argument) in arguments.iter().enumerate() {
            match &argument.label {
                Some(ArgumentLabel::Named(name)) => {
                    if let Some(slot) = names.iter().position(|known| *known == name.text) {
                        found[slot] = Some(&argument.value);
                    }
                }
                None if at == 0 && positional == Positional::First => {
                    found[0] = Some(&argument.value)
                }
                None => {
                    let written: Vec<String> =
                        names.iter().map(|name| format!("{name} = …")).collect();
                    let told = Diagnostic::error(
                        "argument",
                        argument.value.span,
                        format!("the arguments of `{function}` have names"),
                    );
                    self.report(told.hint(format!("write `{function}({})`", written.join(", "))));
                    return None;
                }
                Some(ArgumentLabel::Weight(weight)) => {
                    let told = Diagnostic::error(
                        "argument",
                        weight.span,
                        format!("an argument of `{function}` has no weight"),
                    );
                    self.report(told.hint("`weight: distribution` stands in `Mixture(…)`"));
                    return None;
                }
            }
        }
        if good {
            for (name, found) in names.iter().zip(&found) {
                if found.is_none() {
                    self.error(
                        "argument",
                        span,
                        format!("`{function}` needs the argument `{name}`"),
                    );
                    good = false;
                }
            }
        }
        if !good {
            return None;
        }
        found.into_iter().collect()
    }
}

/// What an argument that is known has to be.
#[derive(Clone, Copy)]
enum Range {
    Positive,
    Probability,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positional {
    None,
    /// The first argument has no name.
    First,
}

pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn bounded(kind: &Kind) -> bool {
    match kind {
        Kind::Real { lo, hi } => lo.is_finite() && hi.is_finite(),
        Kind::Integer { .. } | Kind::Names(_) | Kind::Bool => true,
    }
}

/// Values of the full box, without `where`.
fn box_size(domain: &Domain) -> usize {
    crate::model::FiniteDomain::of(&domain.components).map_or(usize::MAX, |full| full.size())
}

/// Whether an argument is written `name = …`.
fn is_named(argument: &ast::Argument, name: &str) -> bool {
    matches!(&argument.label, Some(ArgumentLabel::Named(named)) if named.text == name)
}
