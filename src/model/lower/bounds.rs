//! Bounds: the factors of the four blocks.

use super::Lowering;
use super::arguments::{self, Signature};
use super::distributions::InPlace;
use super::functions;
use super::index::Timed;
use super::scope::Scope;
use super::unit::{FILE, Meaning};
use crate::diagnostic::Diagnostic;
use crate::expr::ExprId;
use crate::model::{
    Bound, Distribution, Domain, EnvironmentId, EnvironmentKernel, Factor, FormalVariable, Index,
    Input, KernelRef, Likelihood, LikelihoodForm, Target, TargetVariable,
};
use crate::source::Span;
use crate::syntax::ast::{self, At, BlockKind, ExprKind};
use crate::syntax::{Place, ours};

/// What stands to the right of `~`.
enum Right<'e> {
    Kernel(KernelRef, &'e str, &'e [ast::Argument]),
    InPlace,
    /// A mistake that has been told.
    Mistake,
}

impl<'a> Lowering<'a> {
    pub fn lower_bounds(&mut self) {
        let file = self.file;
        let mut bare: Vec<&ast::Block> = Vec::new();
        let mut named: Option<Span> = None;
        for item in &file.items {
            match item {
                ast::Item::Block(block) => bare.push(block),
                ast::Item::Bound { name, blocks, span } => {
                    named = named.or(Some(name.span));
                    let blocks: Vec<&ast::Block> = blocks.iter().collect();
                    self.bound(Some(name.text.clone()), &blocks, *span);
                }
                ast::Item::Model(_)
                | ast::Item::Param(_)
                | ast::Item::Let(_)
                | ast::Item::Horizon { .. }
                | ast::Item::Environment(_)
                | ast::Item::Data(_)
                | ast::Item::Variable(_)
                | ast::Item::Net(_)
                | ast::Item::Kernel(_)
                | ast::Item::Infer(_)
                | ast::Item::Expect(_) => {}
            }
        }
        if let (Some(first), Some(named)) = (bare.first(), named) {
            let told = Diagnostic::error(
                "block",
                first.span,
                "a file has either bare blocks or named bounds",
            )
            .also(named, "a named bound");
            self.report(told.hint("put the bare blocks into a bound: `bound NAME { … }`"));
        } else if let (Some(first), Some(last)) = (bare.first(), bare.last()) {
            let span = first.span.to(last.span);
            self.bound(None, &bare, span);
        } else if named.is_none() {
            let told =
                Diagnostic::error("missing-block", Span::default(), "the file states no bound");
            self.report(
                told.hint(
                    "write the blocks `prior { … }`, `likelihood { … }` and `posterior { … }`",
                ),
            );
        }
        arguments::turn(self);
    }

    fn bound(&mut self, name: Option<String>, blocks: &[&'a ast::Block], span: Span) {
        let mut bound = Bound {
            name,
            prior: Vec::new(),
            likelihood: Vec::new(),
            posterior: Vec::new(),
            auxiliary: Vec::new(),
            exceeds_one: None,
            span,
        };
        for (at, block) in blocks.iter().enumerate() {
            if let Some(first) = blocks[..at].iter().find(|first| first.kind == block.kind) {
                let told = Diagnostic::error(
                    "duplicate-name",
                    block.span,
                    format!("the block `{}` stands twice", block_name(block.kind)),
                );
                self.report(
                    told.also(first.span, "the first is here")
                        .hint("write all its factors in one block"),
                );
            }
            self.verify_not_empty(block);
            for factor in &block.factors {
                match block.kind {
                    BlockKind::Likelihood => {
                        let lowered = self.likelihood(factor, &bound.likelihood);
                        bound.likelihood.extend(lowered);
                    }
                    BlockKind::Prior => bound.prior.extend(self.factor(factor, block.kind)),
                    BlockKind::Posterior => bound.posterior.extend(self.factor(factor, block.kind)),
                    BlockKind::Auxiliary => bound.auxiliary.extend(self.factor(factor, block.kind)),
                }
            }
        }
        self.bounds.push(bound);
    }

    /// Without a prior or a posterior there is no bound, and that is said of the whole; the other
    /// blocks may be absent.
    fn verify_not_empty(&mut self, block: &ast::Block) {
        let (message, example) = match block.kind {
            BlockKind::Prior | BlockKind::Posterior => return,
            BlockKind::Likelihood => (
                "the likelihood has no factors: nothing rewards the posterior for anything but to \
                 be as the prior",
                "R[t] ~ exp(r[t])",
            ),
            BlockKind::Auxiliary => {
                ("the auxiliary block has no factors", "o[t] ~ back(s[t], o[t+1])")
            }
        };
        if block.factors.is_empty() {
            let told = Diagnostic::warning("empty-block", block.span, message);
            self.report(
                told.hint(format!("add a factor, such as `{example}`, or remove the block")),
            );
        }
    }

    fn factor(&mut self, written: &'a ast::Factor, block: BlockKind) -> Option<Factor> {
        let targets: Vec<Option<Target>> =
            written.targets.iter().map(|target| self.target(target)).collect();
        let right = self.right_side(&written.distribution);
        let targets = targets.into_iter().collect::<Option<Vec<Target>>>();
        let (kernel, arguments) = match right {
            Right::Mistake => return None,
            Right::Kernel(kernel, name, arguments) => {
                let signature = self.signature(&kernel);
                let values =
                    self.kernel_arguments(&signature, name, arguments, written.distribution.span);
                let targets = targets.as_ref()?;
                if !self.check_targets(written, targets, &signature, name) {
                    return None;
                }
                (kernel, values?)
            }
            Right::InPlace => {
                (KernelRef::InPlace(self.in_place(written, targets.as_deref(), block)?), Vec::new())
            }
        };
        Some(Factor { targets: targets?, kernel, arguments, span: written.span })
    }

    fn target(&mut self, written: &ast::Target) -> Option<Target> {
        match written {
            ast::Target::Weights { kernel, .. } => match self.meaning(FILE, &kernel.text) {
                Some(Meaning::Kernel(id)) => Some(Target::Weights(id)),
                Some(Meaning::Mistake) => None,
                Some(_) => {
                    self.error(
                        "type",
                        kernel.span,
                        format!("`{}` is no kernel: it has no weights", kernel.text),
                    );
                    None
                }
                None => {
                    let known = self.kernel_names();
                    self.unknown(&kernel.text, kernel.span, "kernel", &known);
                    None
                }
            },
            ast::Target::Variable { name, index, span } => {
                let at = match index.as_slice() {
                    [At::One(at)] => at,
                    _ => {
                        let told =
                            Diagnostic::error("index", *span, "a factor's variable has one index");
                        self.report(
                            told.hint(format!(
                                "write `{}[t]`; it stands for every step",
                                name.text
                            )),
                        );
                        return None;
                    }
                };
                let variable = if name.text == "end" {
                    TargetVariable::End
                } else {
                    match self.timed(&name.text, &Scope::of(FILE)) {
                        Some(Timed::Variable(id)) => TargetVariable::Variable(id),
                        Some(Timed::Reward(environment, reward)) => {
                            TargetVariable::Reward(environment, reward)
                        }
                        None => {
                            if matches!(self.meaning(FILE, &name.text), Some(Meaning::Mistake)) {
                                return None;
                            }
                            if self.find(FILE, &name.text).is_some() {
                                let told = Diagnostic::error(
                                    "type",
                                    name.span,
                                    format!("`{}` is no variable", name.text),
                                );
                                self.report(told.hint(
                                    "a factor draws a state, an action, an \
                                                       option or an observation",
                                ));
                            } else {
                                let known = self.variable_names();
                                self.unknown(&name.text, name.span, "variable", &known);
                            }
                            return None;
                        }
                    }
                };
                let index = self.time_index(at, &Scope::of(FILE))?;
                let last = match variable {
                    TargetVariable::Variable(id) => self.last_of(FormalVariable::Variable(id)),
                    TargetVariable::Reward(..) | TargetVariable::End => 0,
                };
                if matches!(index, Index::Last(k) if k > last) {
                    let told = Diagnostic::error(
                        "index",
                        *span,
                        format!("`{}[T+1]` is outside the trajectory", name.text),
                    );
                    self.report(told.hint(format!("`{}` has values at 1..T", name.text)));
                    return None;
                }
                Some(Target::Variable { variable, index })
            }
        }
    }

    pub fn variable_names(&self) -> Vec<String> {
        let mut known: Vec<String> = self.variables.iter().map(|slot| slot.name.clone()).collect();
        known.extend(
            self.environments
                .iter()
                .flat_map(|slot| slot.rewards.iter().map(|reward| reward.name.clone())),
        );
        known
    }

    pub fn kernel_names(&self) -> Vec<String> {
        self.kernels
            .iter()
            .map(|slot| slot.name.clone())
            .chain(self.data.iter().map(|slot| slot.name.clone()))
            .collect()
    }

    /// Sorts what stands to the right of `~`; an unknown kernel is told here.
    fn right_side<'e>(&mut self, expr: &'e ast::Expr) -> Right<'e> {
        match &expr.kind {
            ExprKind::Previous { kernel, arguments } => match self.meaning(FILE, &kernel.text) {
                Some(Meaning::Kernel(id)) => {
                    Right::Kernel(KernelRef::Previous(id), &kernel.text, arguments)
                }
                Some(Meaning::Mistake) => Right::Mistake,
                Some(_) => {
                    let told = Diagnostic::error(
                        "kernel",
                        kernel.span,
                        format!("`{}` has no parameters, so it has no previous copy", kernel.text),
                    );
                    self.report(
                        told.hint(
                            "leave `previous` away: it is the frozen copy of a learned kernel",
                        ),
                    );
                    Right::Mistake
                }
                None => {
                    let known: Vec<String> =
                        self.kernels.iter().map(|slot| slot.name.clone()).collect();
                    self.unknown(&kernel.text, kernel.span, "kernel", &known);
                    Right::Mistake
                }
            },
            ExprKind::Call { function, arguments, givens } => {
                if givens.is_some() {
                    let told = Diagnostic::error(
                        "kernel",
                        expr.span,
                        "a bar `|` stands in likelihood factors only",
                    );
                    self.report(
                        told.hint(
                            "to draw from a kernel write its givens alone: `a[t] ~ pi(s[t])`",
                        ),
                    );
                    return Right::Mistake;
                }
                self.called(function, arguments)
            }
            ExprKind::Name(_) | ExprKind::Field { .. } => self.called(expr, &[]),
            ExprKind::Number { .. }
            | ExprKind::Text(_)
            | ExprKind::Unary { .. }
            | ExprKind::Binary { .. }
            | ExprKind::If { .. }
            | ExprKind::Index { .. }
            | ExprKind::Array(_)
            | ExprKind::Record(_) => Right::InPlace,
        }
    }

    fn called<'e>(&mut self, function: &'e ast::Expr, arguments: &'e [ast::Argument]) -> Right<'e> {
        match &function.kind {
            ExprKind::Name(name) => match self.meaning(FILE, name) {
                Some(Meaning::Kernel(id)) => Right::Kernel(KernelRef::Learned(id), name, arguments),
                Some(Meaning::Data(id)) => Right::Kernel(KernelRef::Data(id), name, arguments),
                Some(Meaning::Mistake) => Right::Mistake,
                Some(Meaning::Environment(_)) => {
                    let told = Diagnostic::error(
                        "kernel",
                        function.span,
                        format!("`{name}` is an environment, not a kernel"),
                    );
                    self.report(told.hint(format!(
                        "say which: `{name}.initial`, \
                                                   `{name}.transition(…)` or \
                                                   `{name}.observation(…)`"
                    )));
                    Right::Mistake
                }
                Some(_) => Right::InPlace,
                None if functions::is_distribution(name) || functions::reserved(name).is_some() => {
                    Right::InPlace
                }
                None if self.has_enumerator(FILE, name) => Right::InPlace,
                None => {
                    let mut known = self.kernel_names();
                    known.extend(functions::distributions().map(str::to_owned));
                    self.unknown_word(
                        name,
                        function.span,
                        "kernel or distribution",
                        &known,
                        ours(Place::Distribution, name),
                    );
                    Right::Mistake
                }
            },
            ExprKind::Field { base, field } => {
                let environment = match &base.kind {
                    ExprKind::Name(name) => match self.meaning(FILE, name) {
                        Some(Meaning::Environment(id)) => id,
                        Some(Meaning::Mistake) => return Right::Mistake,
                        Some(_) => return Right::InPlace,
                        None => {
                            let known: Vec<String> =
                                self.environments.iter().map(|slot| slot.name.clone()).collect();
                            self.unknown(name, base.span, "environment", &known);
                            return Right::Mistake;
                        }
                    },
                    ExprKind::Number { .. }
                    | ExprKind::Text(_)
                    | ExprKind::Previous { .. }
                    | ExprKind::Unary { .. }
                    | ExprKind::Binary { .. }
                    | ExprKind::If { .. }
                    | ExprKind::Call { .. }
                    | ExprKind::Index { .. }
                    | ExprKind::Field { .. }
                    | ExprKind::Array(_)
                    | ExprKind::Record(_) => return Right::InPlace,
                };
                let Some(part) = self.environment_kernel(environment, field) else {
                    return Right::Mistake;
                };
                Right::Kernel(KernelRef::Environment(environment, part), &field.text, arguments)
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
            | ExprKind::Record(_) => Right::InPlace,
        }
    }

    /// The kernel of an environment by its name; what is wrong with that is told.
    pub fn environment_kernel(
        &mut self,
        environment: EnvironmentId,
        name: &ast::Name,
    ) -> Option<EnvironmentKernel> {
        let all = EnvironmentKernel::ALL;
        let Some(part) = all.into_iter().find(|part| part.name() == name.text) else {
            let known = all.map(|part| part.name().to_owned());
            self.unknown(&name.text, name.span, "environment kernel", &known);
            return None;
        };
        let environment = &self.environments[environment.0 as usize];
        if part == EnvironmentKernel::Observation && environment.observation.is_none() {
            let told = format!("the environment `{}` has no observation", environment.name);
            let told = Diagnostic::error("environment", name.span, told);
            self.report(told.hint("its state is seen as it is; or declare `observation x : …`"));
            return None;
        }
        Some(part)
    }

    fn check_targets(
        &mut self,
        written: &ast::Factor,
        targets: &[Target],
        signature: &Signature,
        name: &str,
    ) -> bool {
        if targets.len() != signature.outputs.len() {
            let (wanted, found) = (signature.outputs.len(), targets.len());
            let plural = if wanted == 1 { "" } else { "s" };
            let message = format!(
                "`{name}` draws {wanted} variable{plural}, and {found} stand to the left of `~`"
            );
            self.error("arity", written.span, message);
            return false;
        }
        let mut good = true;
        for ((target, output), place) in
            targets.iter().zip(&signature.outputs).zip(&written.targets)
        {
            let span = match place {
                ast::Target::Variable { span, .. } | ast::Target::Weights { span, .. } => *span,
            };
            let Target::Variable { variable, .. } = target else {
                self.error("kernel", span, "the weights of a kernel are not drawn by a kernel");
                return false;
            };
            let Some(output) = output else { continue };
            let found = match variable {
                TargetVariable::Variable(id) => FormalVariable::Variable(*id),
                TargetVariable::Reward(environment, reward) => {
                    FormalVariable::Reward(*environment, *reward)
                }
                TargetVariable::End => FormalVariable::End,
            };
            if (found == FormalVariable::End) != (output.variable == FormalVariable::End) {
                let told = Diagnostic::error(
                    "domain",
                    span,
                    format!("`{name}` draws `{}` here", output.name),
                );
                self.report(told.hint(
                    "the variables to the left of `~` stand in the order of the kernel's outputs",
                ));
                good = false;
                continue;
            }
            if let Some((found, wanted)) =
                self.formal_domain(found).zip(self.formal_domain(output.variable))
            {
                good &= self.check_same_domain(
                    &found,
                    &wanted,
                    &format!("the output `{}` of `{name}`", output.name),
                    span,
                );
            }
        }
        good
    }

    fn in_place(
        &mut self,
        written: &'a ast::Factor,
        targets: Option<&[Target]>,
        block: BlockKind,
    ) -> Option<Distribution<Vec<ExprId>>> {
        let expr = &written.distribution;
        let domain = match targets {
            None => {
                // the target has a mistake; those of the distribution itself need its domain
                return None;
            }
            Some([Target::Weights(_)]) => {
                let bare = matches!(&expr.kind, ExprKind::Name(name) if name == "Normal");
                if bare && block == BlockKind::Posterior {
                    return Some(Distribution::mean_field());
                }
                Domain::real(f64::NEG_INFINITY, f64::INFINITY)
            }
            Some([Target::Variable { variable, .. }]) => {
                let variable = match variable {
                    TargetVariable::Variable(id) => FormalVariable::Variable(*id),
                    TargetVariable::Reward(environment, reward) => {
                        FormalVariable::Reward(*environment, *reward)
                    }
                    TargetVariable::End => FormalVariable::End,
                };
                self.formal_domain(variable)?
            }
            Some(_) => {
                let told = Diagnostic::error(
                    "distribution",
                    expr.span,
                    "a distribution in place draws one variable",
                );
                self.report(
                    told.hint("write a factor for each, or declare a kernel of several outputs"),
                );
                return None;
            }
        };
        let mut site = InPlace { scope: Scope::of(FILE) };
        self.distribution(&mut site, expr, &domain, "").filter(|distribution| {
            self.check_now(targets.and_then(|targets| targets.first()), distribution, expr.span)
        })
    }

    /// A factor of one fixed step has no `t`.
    fn check_now(
        &mut self,
        target: Option<&Target>,
        distribution: &Distribution<Vec<ExprId>>,
        span: Span,
    ) -> bool {
        let fixed = match target {
            Some(Target::Variable { index, .. }) => !matches!(index, Index::Step(_)),
            Some(Target::Weights(_)) | None => true,
        };
        let mut ids = Vec::new();
        distribution.for_each(&mut |argument: &Vec<ExprId>| ids.extend_from_slice(argument));
        !fixed || self.check_timeless(&ids, span)
    }

    /// Tells where an expression of one fixed step reads `t`.
    pub fn check_timeless(&mut self, ids: &[ExprId], span: Span) -> bool {
        let step = self.reads(ids).into_iter().find(|input| match input {
            Input::Variable { index, .. } | Input::Reward { index, .. } => {
                matches!(index, Index::Step(_))
            }
            Input::Gain(gain) => self.gains[gain.0 as usize].reads().any(|value| {
                matches!(value, crate::model::Value::Variable { index: Index::Step(_), .. })
            }),
            Input::Formal { .. } => false,
        });
        let what = match step {
            Some(input) => self.show_input(&input),
            None if self.reads_time(ids) => "t".to_owned(),
            None => return true,
        };
        let told = Diagnostic::error(
            "index",
            span,
            format!("this factor stands for one step, so `{what}` says nothing"),
        );
        self.report(told.hint("name the step: `[1]`, `[T]` or `[T+1]`"));
        false
    }

    fn likelihood(
        &mut self,
        written: &'a ast::Factor,
        before: &[Likelihood],
    ) -> Option<Likelihood> {
        let [ast::Target::Variable { name, index, span }] = written.targets.as_slice() else {
            self.error(
                "likelihood",
                written.span,
                "a likelihood factor has one event to its left: `R[t] ~ exp(…)`",
            );
            return None;
        };
        let scope = Scope::of(FILE);
        if let Some((unit, at)) = self.find(FILE, &name.text) {
            let declared = self.units[unit.0].definitions[at].span;
            let message = format!(
                "`{}` is declared: a likelihood factor names an event of its own",
                name.text
            );
            let told =
                Diagnostic::error("likelihood", name.span, message).also(declared, "declared here");
            let free = ["R", "O", "G"].into_iter().find(|free| self.find(FILE, free).is_none());
            let free = free.map_or_else(|| format!("{}_event", name.text), str::to_owned);
            self.report(told.hint(format!(
                "give the event a name of its own, such as `{free}[t] ~ \
                                           exp(…)`, or rename what is declared"
            )));
        }
        if let Some(first) = before.iter().find(|first| first.name == name.text) {
            self.duplicate(name, first.span);
        }
        let index = match index.as_slice() {
            [At::One(at)] => self.time_index(at, &scope),
            _ => {
                self.error("index", *span, "an event has one index");
                None
            }
        };
        if let Some(found) = index
            && !matches!(found, Index::First | Index::Step(0) | Index::Last(0))
        {
            let told = Diagnostic::error(
                "index",
                *span,
                "an event happens at `[t]`, at `[1]` or at `[T]`",
            );
            self.report(told.hint("shift what it reads instead of the event"));
            return None;
        }
        let form = self.likelihood_form(&written.distribution, index);
        Some(Likelihood { name: name.text.clone(), index: index?, form: form?, span: written.span })
    }

    fn likelihood_form(
        &mut self,
        expr: &'a ast::Expr,
        index: Option<Index>,
    ) -> Option<LikelihoodForm> {
        let fixed = index.is_some_and(|index| !matches!(index, Index::Step(_)));
        if let ExprKind::Call { function, arguments, givens } = &expr.kind {
            match (&function.kind, givens) {
                (ExprKind::Name(name), None) if name == "exp" => {
                    let [ast::Argument { label: None, value }] = arguments.as_slice() else {
                        self.error(
                            "arity",
                            expr.span,
                            format!("`exp` takes 1 argument, not {}", arguments.len()),
                        );
                        return None;
                    };
                    self.in_exponent = true;
                    let lowered = self.lower(value, &Scope::of(FILE));
                    self.in_exponent = false;
                    let exponent = self.numeric(&lowered, value.span)?;
                    if fixed && !self.check_timeless(&[exponent], value.span) {
                        return None;
                    }
                    return Some(LikelihoodForm::Exponential {
                        value: exponent,
                        written: value.clone(),
                    });
                }
                (_, Some(givens)) => return self.density(expr, function, arguments, givens, fixed),
                (_, None) => {}
            }
        }
        let told = Diagnostic::error(
            "likelihood",
            expr.span,
            "a likelihood factor is `exp(…)`, or a kernel's probability of a value",
        );
        self.report(
            told.hint("write `R[t] ~ exp(alpha * r[t])`, or `H[T] ~ decoder(o[1] | s[T+1])`"),
        );
        None
    }

    fn density(
        &mut self,
        expr: &'a ast::Expr,
        function: &'a ast::Expr,
        values: &'a [ast::Argument],
        givens: &'a [ast::Argument],
        fixed: bool,
    ) -> Option<LikelihoodForm> {
        let Right::Kernel(kernel, name, _) = self.called(function, &[]) else {
            let told = Diagnostic::error(
                "likelihood",
                function.span,
                "before the bar stands a kernel and the value whose probability it gives",
            );
            self.report(told.hint("for example `decoder(o[1] | s[1], s[T+1])`"));
            return None;
        };
        if matches!(kernel, KernelRef::Data(_)) {
            let told = Diagnostic::error(
                "likelihood",
                function.span,
                format!("`{name}` is known by its samples alone: it has no density"),
            );
            self.report(told.hint("a likelihood needs a kernel with a density"));
            return None;
        }
        let signature = self.signature(&kernel);
        let outputs = Signature { outputs: Vec::new(), givens: signature.outputs.clone() };
        let values = self.kernel_arguments(&outputs, name, values, expr.span);
        let givens = self.kernel_arguments(&signature, name, givens, expr.span);
        let (values, givens) = values.zip(givens)?;
        if fixed && !values.iter().chain(&givens).all(|value| self.is_fixed(value, expr.span)) {
            return None;
        }
        Some(LikelihoodForm::Density { kernel, values, givens })
    }
}

pub fn block_name(kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::Prior => "prior",
        BlockKind::Likelihood => "likelihood",
        BlockKind::Posterior => "posterior",
        BlockKind::Auxiliary => "auxiliary",
    }
}
