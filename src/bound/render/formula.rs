//! The formulas of a derivation, as trees.

use crate::bound::derivation::{
    BoundDerivation, Change, Credit, DraftId, Imagined, NoiseForm, Relation, Reparameterised,
    Score, Shape, Step,
};
use crate::bound::math::{Clock, Math};
use crate::bound::notation::{Binds, Written};
use crate::bound::term::{Downstream, Moment, Sign, Term, TermId, TermKind, Times};
use crate::model::{FactorRef, Index, KernelId};

/// `log p(R̂) ≥ L = E_q[ … ]`; `log Z ≥ …` where that is no probability, and `L ≈ …` where a
/// classifier makes it an estimate.
pub fn bound(derivation: &BoundDerivation) -> Math {
    let expectation =
        Math::Expectation(Box::new(sum(derivation, &derivation.terms.iter().collect::<Vec<_>>())));
    let objective = Math::name("L");
    match derivation.relation {
        // an estimate lies on no side of the evidence
        Relation::Approximately => {
            Math::row([objective, relation(Relation::Approximately), expectation])
        }
        Relation::Equal | Relation::AtLeast => Math::row([
            evidence(derivation),
            relation(derivation.relation),
            objective,
            Math::Sign("="),
            expectation,
        ]),
    }
}

/// One term with its sign: `−  Σ_{t=1..T} KL(…)`.
pub fn term(derivation: &BoundDerivation, term: &Term) -> (Sign, Math) {
    group(derivation, &[term], "t", None)
}

/// When a term is summed, as it is printed: the steps that its draws belong to.
pub fn steps(derivation: &BoundDerivation, term: &Term) -> Steps {
    let later = of_factor(&term.kind).map_or(0, |factor| derivation.notation.step(factor));
    Steps {
        times: Times { from: term.times.from.shifted(later), to: term.times.to.shifted(later) },
        live: term.live,
        later,
    }
}

/// Steps that a sum runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    pub times: Times,
    /// It stops where the episode ends.
    pub live: bool,
    /// How much later they are than the `t` of the writing.
    later: i32,
}

impl Steps {
    /// What the `t` of the writing is, where the sum runs over `symbol`.
    fn clock<'a>(&self, symbol: &'a str) -> Clock<'a> {
        let step =
            if self.times.is_once() { Clock::stands(self.times.from) } else { Clock::runs(symbol) };
        step.later(self.later.saturating_neg())
    }

    /// Whether another sum has the same limits.
    fn is_alike(&self, other: &Steps) -> bool {
        (self.times, self.live) == (other.times, other.live)
    }
}

/// The factor whose draw a term belongs to.
fn of_factor(kind: &TermKind) -> Option<FactorRef> {
    match kind {
        TermKind::Exponent { .. } | TermKind::LogDensity { .. } => None,
        TermKind::LogFactor { factor } => Some(*factor),
        TermKind::Kl { q, .. }
        | TermKind::Entropy { q }
        | TermKind::LogCount { q, .. }
        | TermKind::LogRatio { q, .. }
        | TermKind::DensityRatio { q, .. } => Some(*q),
        TermKind::Constant { of, .. } => of_factor(of),
    }
}

/// From which step on a score at `t` is credited with a term: the printed `k ≥ t + offset`.
pub fn offset(derivation: &BoundDerivation, score: &Score, term: TermId, offset: i32) -> i32 {
    let term = steps(derivation, &derivation.terms[term.0 as usize]);
    offset.saturating_add(term.later).saturating_sub(derivation.notation.step(score.factor))
}

/// A factor's density at its own step: `pi(a[t]|s[t])`.
pub fn density(derivation: &BoundDerivation, factor: FactorRef) -> Math {
    derivation.notation.density(factor).at(clock_of(derivation, factor))
}

/// What a factor draws, at its own step: `a[t]`.
pub fn draw(derivation: &BoundDerivation, factor: FactorRef) -> Math {
    derivation.notation.draw(factor).at(clock_of(derivation, factor))
}

fn clock_of(derivation: &BoundDerivation, factor: FactorRef) -> Clock<'static> {
    match steps_of_factor(derivation, factor) {
        Some(steps) => steps.clock("t"),
        None => Clock::T,
    }
}

/// The formula after a step; for a step of the sum, what it takes away and what it puts there.
pub fn step(derivation: &BoundDerivation, step: &Step) -> (Math, Math) {
    let terms = |ids: &[DraftId]| -> Vec<&Term> {
        ids.iter().map(|id| &derivation.drafts[id.0 as usize]).collect()
    };
    match &step.change {
        Change::Shape { before, after } => (shape(derivation, *before), shape(derivation, *after)),
        Change::Terms { removed, added } if removed.is_empty() => {
            (shape(derivation, Shape::ExpectationOfLog), expectation(derivation, &terms(added)))
        }
        Change::Terms { removed, added } => {
            (sum(derivation, &terms(removed)), sum(derivation, &terms(added)))
        }
    }
}

/// Which constant a step sets apart: the formula stays what it was.
pub fn set_apart(derivation: &BoundDerivation, step: &Step) -> Option<String> {
    let Change::Terms { added, .. } = &step.change else { return None };
    let [added] = added[..] else { return None };
    let TermKind::Constant { name, .. } = &derivation.drafts[added.0 as usize].kind else {
        return None;
    };
    Some(format!(" is set apart as a constant: {name}"))
}

/// What has to be known beside the formula of the bound: its constants that are not.
pub fn known_up_to(derivation: &BoundDerivation) -> Option<String> {
    let unknown = derivation.terms.iter().filter_map(|term| term.kind.unknown_constant());
    let names: Vec<&str> = unknown.collect();
    (!names.is_empty()).then(|| {
        format!(
            "known up to {}, which is not known and does not depend on what is maximised",
            names.join(" and ")
        )
    })
}

/// Why the bound lies below no probability, in words.
pub fn no_probability(derivation: &BoundDerivation) -> impl Iterator<Item = String> {
    let exceeds = derivation
        .exceeds_one
        .as_ref()
        .map(|why| format!("Z = E[ exp(ΣΛ) ] under the prior is no probability: {why}"));
    let estimated = (derivation.relation == Relation::Approximately)
        .then(|| "L is a classifier's estimate and bounds no probability".to_owned());
    exceeds.into_iter().chain(estimated)
}

/// What kernels imagine before they draw, in words: it stands in no formula, since it is drawn
/// alike on both sides.
pub fn imagined(derivation: &BoundDerivation) -> impl Iterator<Item = String> + '_ {
    let words = |imagined: &Imagined| {
        format!(
            "{} draws {} before it acts, alike in prior and posterior",
            imagined.by, imagined.rollout
        )
    };
    derivation.imagined.iter().map(words)
}

/// The gradient in each group of parameters: `∇L = E_q[ Σ_t ∇log q · ( … − b ) + … ]` of the
/// kernels', then that of each learned distribution over weights with the reparameterisation that
/// it passes through.
pub fn gradients(derivation: &BoundDerivation) -> Vec<Math> {
    let gradient = &derivation.gradient;
    let is_drawn =
        |kernel: &KernelId| gradient.mean_fields.iter().any(|field| field.kernel == *kernel);
    let of_field = |kernel: &Option<KernelId>| kernel.as_ref().is_some_and(is_drawn);
    let own: Vec<KernelId> =
        gradient.over.iter().copied().filter(|kernel| !is_drawn(kernel)).collect();
    let mut formulas = Vec::new();
    if gradient.mean_fields.is_empty() || !own.is_empty() {
        let scores = gradient
            .scores
            .iter()
            .filter(|score| !of_field(&score.kernel))
            .map(|score| scored(derivation, score));
        let direct = gradient
            .pathwise
            .iter()
            .filter(|pathwise| !pathwise.kernels.iter().all(is_drawn))
            .map(|pathwise| pathwise.term);
        let mut moved: Vec<TermId> = direct.chain(gradient.through.iter().copied()).collect();
        moved.sort_unstable();
        moved.dedup();
        let parts = scores.chain(moved.into_iter().map(|term| moving(derivation, term))).collect();
        let names = own.iter().map(|kernel| kernel_name(derivation, *kernel)).collect();
        formulas.push(ascent(derivation, names, parts));
    }
    formulas.extend(gradient.reparameterised.iter().map(|draw| made_of_noise(derivation, draw)));
    for field in &gradient.mean_fields {
        let scores = gradient
            .scores
            .iter()
            .filter(|score| field.scores.contains(&score.factor))
            .map(|score| scored(derivation, score));
        let through =
            field.through.iter().chain(&field.divergence).map(|term| moving(derivation, *term));
        let weights = || derivation.notation.draw(field.factor);
        let of_weights = |what: &'static str| Math::call(Math::Operator(what), vec![weights()]);
        formulas.push(ascent(
            derivation,
            vec![of_weights("mean"), of_weights("sd")],
            scores.chain(through).collect(),
        ));
        formulas.push(Math::row([weights(), Math::Sign("="), around(&of_weights), noise()]));
    }
    formulas
}

/// `mean(·) + sd(·)·ε`
fn around(of: &dyn Fn(&'static str) -> Math) -> Math {
    Math::row([of("mean"), Math::Sign("+"), of("sd"), Math::Mark("·"), Math::name("ε")])
}

/// `, ε ~ Normal(0, 1)`
fn noise() -> Math {
    let standard = Math::call(
        Math::Word("Normal".to_owned()),
        ["0", "1"].map(|number| Math::Number(number.to_owned())).to_vec(),
    );
    Math::row([Math::Mark(","), Math::name("ε"), Math::Sign("~"), standard])
}

/// `weight(pi(·|s[t]), j)`: the chance of a part of a mixture.
fn weight_of_part(derivation: &BoundDerivation, made: &Reparameterised) -> Math {
    let distribution =
        derivation.notation.distribution(made.factor).at(clock_of(derivation, made.factor));
    Math::call(Math::Word("weight".to_owned()), vec![distribution, Math::name("j")])
}

/// `s[t+1] = mean(world(·|s[t], a[t])) + sd(world(·|s[t], a[t]))·ε, ε ~ Normal(0, 1)`
fn made_of_noise(derivation: &BoundDerivation, made: &Reparameterised) -> Math {
    let distribution =
        || derivation.notation.distribution(made.factor).at(clock_of(derivation, made.factor));
    let of = |what: &'static str| Math::call(Math::Operator(what), vec![distribution()]);
    let noisy = match made.form {
        NoiseForm::Normal => around(&of),
        NoiseForm::TanhNormal => Math::call(Math::Operator("tanh"), vec![around(&of)]),
        NoiseForm::Implicit => {
            Math::call(Math::Word("function".to_owned()), vec![distribution(), Math::name("ε")])
        }
        NoiseForm::Point => {
            let value = Math::call(Math::Word("function".to_owned()), vec![distribution()]);
            return Math::row([draw(derivation, made.factor), Math::Sign("="), value]);
        }
        NoiseForm::Part => {
            let of = vec![distribution(), Math::name("j"), Math::name("ε")];
            let parts = [
                Math::Mark(","),
                Math::name("j"),
                Math::Sign("~"),
                Math::call(Math::Word("weights".to_owned()), vec![distribution()]),
            ];
            let made_of = Math::call(Math::Word("function".to_owned()), of);
            return Math::row(
                [draw(derivation, made.factor), Math::Sign("="), made_of].into_iter().chain(parts),
            );
        }
        NoiseForm::Quantile => {
            let of = vec![distribution(), Math::name("u")];
            let quantile = Math::call(Math::Word("quantile".to_owned()), of);
            let uniform = Math::call(
                Math::Word("Uniform".to_owned()),
                ["0", "1"].map(|number| Math::Number(number.to_owned())).to_vec(),
            );
            let parts = [Math::Mark(","), Math::name("u"), Math::Sign("~"), uniform];
            return Math::row(
                [draw(derivation, made.factor), Math::Sign("="), quantile].into_iter().chain(parts),
            );
        }
    };
    Math::row([draw(derivation, made.factor), Math::Sign("="), noisy, noise()])
}

/// `∇_{names} L = E_q[ parts ]`
fn ascent(derivation: &BoundDerivation, names: Vec<Math>, parts: Vec<(Sign, Math)>) -> Math {
    let nabla = match names[..] {
        [] => Math::Mark("∇"),
        _ => Math::Under(Box::new(Math::Mark("∇")), Box::new(Math::list(names))),
    };
    let right = if parts.is_empty() {
        Math::Number("0".to_owned())
    } else {
        Math::Expectation(Box::new(signed(parts)))
    };
    let relation =
        Math::Sign(if derivation.relation == Relation::Approximately { "≈" } else { "=" });
    Math::row([nabla, Math::name("L"), relation, right])
}

/// `Σ_t ∇log q · ( … − b )`
fn scored(derivation: &BoundDerivation, score: &Score) -> (Sign, Math) {
    let own =
        steps_of_factor(derivation, score.factor).expect("derive: a scored factor was split off");
    let is_part =
        |draw: &&Reparameterised| draw.factor == score.factor && draw.form == NoiseForm::Part;
    let of = match derivation.gradient.reparameterised.iter().find(is_part) {
        Some(draw) => weight_of_part(derivation, draw),
        None => density(derivation, score.factor),
    };
    let nabla = Math::row([Math::Mark("∇"), Math::Operator("log"), of]);
    let mut inside: Vec<(Sign, Math)> = Vec::new();
    // neighbours that run over the same times share a sum
    let from = |credit: &Credit| credited_from(derivation, score, credit, &own);
    let of = |credit: &Credit| steps(derivation, &derivation.terms[credit.term.0 as usize]);
    let mut at = 0;
    while at < score.credit.len() {
        let first = &score.credit[at];
        let (first_from, first_of) = (from(first), of(first));
        let alike = |credit: &&Credit| from(credit) == first_from && of(credit).is_alike(&first_of);
        let run = score.credit[at..].iter().take_while(alike).count();
        let terms: Vec<&Term> = score.credit[at..at + run]
            .iter()
            .map(|credit| &derivation.terms[credit.term.0 as usize])
            .collect();
        inside.push(group(derivation, &terms, "k", first_from));
        at += run;
    }
    inside.push((Sign::Minus, Math::name("b")));
    let body = Math::row([nabla, Math::Sign("·"), Math::Round(Box::new(signed(inside)))]);
    (Sign::Plus, summed(&own, "t", None, body))
}

/// Where the part of a term begins that a score is credited with, `t+1`; `None` where it is all of
/// the term.
fn credited_from(
    derivation: &BoundDerivation,
    score: &Score,
    credit: &Credit,
    own: &Steps,
) -> Option<Math> {
    let term = steps(derivation, &derivation.terms[credit.term.0 as usize]);
    let Downstream::Offset(written) = credit.from else { return None };
    if term.times.is_once() || own.times.is_once() {
        return None;
    }
    let offset = offset(derivation, score, credit.term, written);
    let from = Math::Time(Index::Step(offset)).at(Clock::T);
    // what reaches back, or stands later than the score does at first, begins where the term does
    let earliest = own.times.from.shifted(offset);
    let is_inside = match (term.times.from, earliest) {
        (Moment::First(begins), Moment::First(earliest)) => earliest >= begins,
        (Moment::Last(begins), Moment::Last(earliest)) => earliest >= begins,
        (Moment::First(_), Moment::Last(_)) | (Moment::Last(_), Moment::First(_)) => false,
    };
    Some(if is_inside {
        from
    } else {
        Math::call(Math::Operator("max"), vec![moment(term.times.from), from])
    })
}

/// `Σ_t ∇f`
fn moving(derivation: &BoundDerivation, term: TermId) -> (Sign, Math) {
    let of = &derivation.terms[term.0 as usize];
    let steps = steps(derivation, of);
    let of_weights = |factor: FactorRef| {
        derivation.gradient.mean_fields.iter().any(|field| field.factor == factor)
    };
    let moving = match &of.kind {
        // of a ratio only the part above moves: the score below has mean zero, if the draw has one;
        // a ratio of weights moves with the weights
        TermKind::LogRatio { p, q } | TermKind::DensityRatio { p, q }
            if !of_weights(*q) && !derivation.gradient.through.contains(&term) =>
        {
            let clock = steps.clock("t").later(derivation.notation.shift(*p, *q));
            Written::whole(Math::row([
                Math::Operator("log"),
                derivation.notation.density(*p).at(clock),
            ]))
        }
        _ => body(derivation, of, steps.clock("t")),
    };
    let (sign, math) = moving.part(Binds::Whole);
    (times(of.sign, sign), summed(&steps, "t", None, Math::row([Math::Mark("∇"), math])))
}

pub fn kernel_name(derivation: &BoundDerivation, kernel: KernelId) -> Math {
    Math::name(derivation.notation.kernel(kernel))
}

/// What a baseline may read: `s[t], t`.
pub fn baseline(derivation: &BoundDerivation, score: &Score) -> Math {
    let clock = clock_of(derivation, score.factor);
    let mut reads: Vec<Math> = derivation
        .gradient
        .baseline_reads(score)
        .iter()
        .map(|read| derivation.notation.variable(*read).at(clock))
        .collect();
    if matches!(clock, Clock::Runs { .. }) {
        reads.push(Math::name("t"));
    }
    Math::list(reads)
}

/// `log p(R̂)`, or `log Z` where the likelihood is no probability.
fn evidence(derivation: &BoundDerivation) -> Math {
    match derivation.exceeds_one {
        Some(_) => Math::row([Math::Operator("log"), Math::name("Z")]),
        None => Math::row([
            Math::Operator("log"),
            Math::name("p"),
            Math::Round(Box::new(Math::name("R̂"))),
        ]),
    }
}

pub fn relation(relation: Relation) -> Math {
    Math::Sign(match relation {
        Relation::Equal => "=",
        Relation::AtLeast => "≥",
        Relation::Approximately => "≈",
    })
}

fn shape(derivation: &BoundDerivation, shape: Shape) -> Math {
    let big = |letter: &str| Math::row([Math::Mark("Π"), Math::name(letter)]);
    let likelihood = [
        Math::Operator("exp"),
        Math::Round(Box::new(Math::row([Math::Mark("Σ"), Math::name("Λ")]))),
    ];
    let above = Math::row([big("P"), Math::Mark("·")].into_iter().chain(likelihood));
    let weight = Math::Fraction(Box::new(above), Box::new(big("Q")));
    match shape {
        Shape::Evidence => evidence(derivation),
        Shape::LogExpectation => {
            Math::row([Math::Operator("log"), Math::Expectation(Box::new(weight))])
        }
        Shape::ExpectationOfLog => Math::Expectation(Box::new(Math::row([
            Math::Operator("log"),
            Math::Round(Box::new(weight)),
        ]))),
    }
}

fn expectation(derivation: &BoundDerivation, terms: &[&Term]) -> Math {
    Math::Expectation(Box::new(sum(derivation, terms)))
}

/// Terms added up; neighbours that run over the same times share a sum.
pub fn sum(derivation: &BoundDerivation, terms: &[&Term]) -> Math {
    let mut parts: Vec<(Sign, Math)> = Vec::new();
    let mut at = 0;
    while at < terms.len() {
        let first = steps(derivation, terms[at]);
        let run =
            terms[at..].iter().take_while(|term| steps(derivation, term).is_alike(&first)).count();
        let run = if first.times.is_once() { 1 } else { run };
        parts.push(group(derivation, &terms[at..at + run], "t", None));
        at += run;
    }
    if parts.is_empty() { Math::Number("0".to_owned()) } else { signed(parts) }
}

/// One sum over several terms, from `from` on or all of it: a single one keeps its sign outside.
fn group(
    derivation: &BoundDerivation,
    terms: &[&Term],
    symbol: &str,
    from: Option<Math>,
) -> (Sign, Math) {
    let first = steps(derivation, terms[0]);
    let mut parts = Vec::with_capacity(terms.len());
    for term in terms {
        let written = body(derivation, term, steps(derivation, term).clock(symbol));
        // an exponent that is a sum needs brackets, but where others follow it inside theirs
        let leads =
            terms.len() > 1 && parts.is_empty() && times(term.sign, written.sign) == Sign::Plus;
        let (sign, math) = written.part(if leads { Binds::Sum } else { Binds::Product });
        parts.push((times(term.sign, sign), math));
    }
    match parts.len() {
        1 => {
            let (sign, math) = parts.remove(0);
            (sign, summed(&first, symbol, from, math))
        }
        _ => (Sign::Plus, summed(&first, symbol, from, Math::Round(Box::new(signed(parts))))),
    }
}

/// When a factor of the posterior is drawn, and whether it stops at the end: where its times were
/// cut, all of them.
fn steps_of_factor(derivation: &BoundDerivation, factor: FactorRef) -> Option<Steps> {
    let split = derivation.drafts.iter().filter(
        |term| matches!(term.kind, TermKind::LogFactor { factor: known } if known == factor),
    );
    split.map(|term| steps(derivation, term)).reduce(|one, other| Steps {
        times: Times {
            from: one.times.from.min(other.times.from),
            to: one.times.to.max(other.times.to),
        },
        live: one.live || other.live,
        ..one
    })
}

fn times(one: Sign, other: Sign) -> Sign {
    if one == other { Sign::Plus } else { Sign::Minus }
}

fn signed(parts: Vec<(Sign, Math)>) -> Math {
    let mut row = Vec::new();
    for (number, (sign, part)) in parts.into_iter().enumerate() {
        match (number, sign) {
            (0, Sign::Plus) => {}
            (0, Sign::Minus) => row.push(Math::Mark("−")),
            (_, Sign::Plus) => row.push(Math::Sign("+")),
            (_, Sign::Minus) => row.push(Math::Sign("−")),
        }
        row.push(part);
    }
    Math::Row(row)
}

/// `Σ_{t=1..T, live} body`; a single time has no sum, but for `Σ_{t=1, live} body`.
fn summed(steps: &Steps, symbol: &str, from: Option<Math>, body: Math) -> Math {
    let once = steps.times.is_once();
    // nothing can have ended before the first step
    let live = steps.live && steps.times.to >= Moment::First(0);
    if once && !live {
        return body;
    }
    let start = from.unwrap_or_else(|| moment(steps.times.from));
    let mut under = vec![Math::name(symbol), Math::Mark("="), start];
    if live {
        under.extend([Math::Mark(","), Math::Word("live".to_owned())]);
    }
    let over = (!once).then(|| Box::new(moment(steps.times.to)));
    Math::Sum { under: Box::new(Math::Row(under)), over, body: Box::new(body) }
}

fn moment(moment: Moment) -> Math {
    Math::Time(Index::Step(0)).at(Clock::stands(moment))
}

/// The summand of a term at the time of `clock`, with its sign.
fn body(derivation: &BoundDerivation, term: &Term, clock: Clock) -> Written {
    kind(derivation, &term.kind, clock)
}

fn kind(derivation: &BoundDerivation, of: &TermKind, clock: Clock) -> Written {
    let notation = &derivation.notation;
    let density = |factor: FactorRef| notation.density(factor).at(clock);
    let distribution = |factor: FactorRef| notation.distribution(factor).at(clock);
    let other = |p: FactorRef, q: FactorRef| clock.later(notation.shift(p, q));
    let log = |inner: Math| Math::row([Math::Operator("log"), inner]);
    let operator = |name: &'static str, inner: Math| {
        Math::row([Math::Operator(name), Math::Round(Box::new(inner))])
    };
    let ratio = |p: FactorRef, q: FactorRef| {
        Math::Fraction(Box::new(notation.density(p).at(other(p, q))), Box::new(density(q)))
    };
    Written::whole(match of {
        TermKind::Exponent { likelihood } => {
            let written = notation.likelihood[*likelihood as usize].clone();
            return Written { math: written.math.at(clock), ..written };
        }
        TermKind::LogDensity { likelihood } => {
            log(notation.likelihood[*likelihood as usize].math.at(clock))
        }
        TermKind::LogFactor { factor } => log(density(*factor)),
        TermKind::Kl { q, p } => {
            let prior = notation.distribution(*p).at(other(*p, *q));
            operator("KL", Math::row([distribution(*q), Math::Sign("‖"), prior]))
        }
        TermKind::Entropy { q } => operator("H", distribution(*q)),
        TermKind::LogCount { count, .. } => log(Math::Number(count.to_string())),
        TermKind::LogRatio { p, q } => log(ratio(*p, *q)),
        TermKind::DensityRatio { p, q } => operator("logit", Math::row([ratio(*p, *q)])),
        TermKind::Constant { of, .. } => return kind(derivation, of, clock),
    })
}
