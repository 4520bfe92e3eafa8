//! The formulas of a derivation, as trees.

use crate::bound::derivation::{
    BoundDerivation, Change, Credit, Downstream, DraftId, Imagined, Moment, NoiseForm, Relation, Reparameterised, Score, Shape, Sign, Step,
    Term, TermId, TermKind, Times,
};
use crate::bound::math::Math;
use crate::model::{FactorRef, Index, KernelId};

/// `log p(R̂) ≥ L = E_q[ … ]`
pub fn bound(derivation: &BoundDerivation) -> Math {
    let expectation = Math::Expectation(Box::new(sum(derivation, &derivation.terms.iter().collect::<Vec<_>>())));
    Math::row([evidence(), relation(derivation.relation), Math::name("L"), Math::Sign("="), expectation])
}

/// One term with its sign: `−  Σ_{t=1..T} KL(…)`.
pub fn term(derivation: &BoundDerivation, term: &Term) -> (Sign, Math) {
    (term.sign, summed(&term.times, term.live, "t", None, body(derivation, term, "t", 0)))
}

/// The formula after a step; for a step of the sum, what it takes away and what it puts there.
pub fn step(derivation: &BoundDerivation, step: &Step) -> (Math, Math) {
    let terms = |ids: &[DraftId]| -> Vec<&Term> { ids.iter().map(|id| &derivation.drafts[id.0 as usize]).collect() };
    match &step.change {
        Change::Shape { before, after } => (shape(*before), shape(*after)),
        Change::Terms { removed, added } if removed.is_empty() => (shape(Shape::ExpectationOfLog), expectation(derivation, &terms(added))),
        Change::Terms { removed, added } => (sum(derivation, &terms(removed)), sum(derivation, &terms(added))),
    }
}

/// Which constant a step sets apart: the formula stays what it was.
pub fn set_apart(derivation: &BoundDerivation, step: &Step) -> Option<String> {
    let Change::Terms { added, .. } = &step.change else { return None };
    let [added] = added[..] else { return None };
    let TermKind::Constant { name, .. } = &derivation.drafts[added.0 as usize].kind else { return None };
    Some(format!(" is set apart as a constant: {name}"))
}

/// What has to be known beside the formula of the bound: its constants that are not.
pub fn known_up_to(derivation: &BoundDerivation) -> Option<String> {
    let unknown = derivation.terms.iter().filter_map(|term| term.kind.unknown_constant());
    let names: Vec<&str> = unknown.collect();
    (!names.is_empty()).then(|| format!("known up to {}, which is not known and does not depend on what is maximised", names.join(" and ")))
}

/// What kernels imagine before they draw, in words: it stands in no formula, since it is drawn alike on both sides.
pub fn imagined(derivation: &BoundDerivation) -> impl Iterator<Item = String> + '_ {
    let words = |imagined: &Imagined| format!("{} draws {} before it acts, alike in prior and posterior", imagined.by, imagined.rollout);
    derivation.imagined.iter().map(words)
}

/// The gradient in each group of parameters: `∇L = E_q[ Σ_t ∇log q · ( … − b ) + … ]` of the kernels', then that of each learned distribution over
/// weights with the reparameterisation that it passes through.
pub fn gradients(derivation: &BoundDerivation) -> Vec<Math> {
    let gradient = &derivation.gradient;
    let is_drawn = |kernel: &KernelId| gradient.mean_fields.iter().any(|field| field.kernel == *kernel);
    let own: Vec<KernelId> = gradient.over.iter().copied().filter(|kernel| !is_drawn(kernel)).collect();
    let mut formulas = Vec::new();
    if gradient.mean_fields.is_empty() || !own.is_empty() {
        let scores = gradient.scores.iter().filter(|score| !is_drawn(&score.kernel)).map(|score| scored(derivation, score));
        let direct = gradient.pathwise.iter().filter(|pathwise| !pathwise.kernels.iter().all(is_drawn)).map(|pathwise| pathwise.term);
        let mut moved: Vec<TermId> = direct.chain(gradient.through.iter().copied()).collect();
        moved.sort_unstable();
        moved.dedup();
        let parts = scores.chain(moved.into_iter().map(|term| moving(derivation, term))).collect();
        let names = own.iter().map(|kernel| kernel_name(derivation, *kernel)).collect();
        formulas.push(ascent(derivation, names, parts));
    }
    formulas.extend(gradient.reparameterised.iter().map(|draw| made_of_noise(derivation, draw)));
    for field in &gradient.mean_fields {
        let scores = gradient.scores.iter().filter(|score| field.scores.contains(&score.factor)).map(|score| scored(derivation, score));
        let through = field.through.iter().chain(&field.divergence).map(|term| moving(derivation, *term));
        let weights = || derivation.notation.draw(field.factor);
        let of_weights = |what: &'static str| Math::call(Math::Operator(what), vec![weights()]);
        formulas.push(ascent(derivation, vec![of_weights("mean"), of_weights("sd")], scores.chain(through).collect()));
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
    let standard = Math::call(Math::Word("Normal".to_owned()), ["0", "1"].map(|number| Math::Number(number.to_owned())).to_vec());
    Math::row([Math::Mark(","), Math::name("ε"), Math::Sign("~"), standard])
}

/// `s[t+1] = mean(world(·|s[t], a[t])) + sd(world(·|s[t], a[t]))·ε, ε ~ Normal(0, 1)`
fn made_of_noise(derivation: &BoundDerivation, draw: &Reparameterised) -> Math {
    let distribution = || derivation.notation.distribution(draw.factor);
    let of = |what: &'static str| Math::call(Math::Operator(what), vec![distribution()]);
    let made = match draw.form {
        NoiseForm::Normal => around(&of),
        NoiseForm::TanhNormal => Math::call(Math::Operator("tanh"), vec![around(&of)]),
        NoiseForm::Implicit => Math::call(Math::Word("function".to_owned()), vec![distribution(), Math::name("ε")]),
    };
    Math::row([derivation.notation.draw(draw.factor), Math::Sign("="), made, noise()]).at("t", 0)
}

/// `∇_{names} L = E_q[ parts ]`
fn ascent(derivation: &BoundDerivation, names: Vec<Math>, parts: Vec<(Sign, Math)>) -> Math {
    let nabla = match names[..] {
        [] => Math::Mark("∇"),
        _ => Math::Under(Box::new(Math::Mark("∇")), Box::new(Math::list(names))),
    };
    let right = if parts.is_empty() { Math::Number("0".to_owned()) } else { Math::Expectation(Box::new(signed(parts))) };
    let relation = Math::Sign(if derivation.relation == Relation::Approximately { "≈" } else { "=" });
    Math::row([nabla, Math::name("L"), relation, right])
}

/// `Σ_t ∇log q · ( … − b )`
fn scored(derivation: &BoundDerivation, score: &Score) -> (Sign, Math) {
    let own = times_of_score(derivation, score.factor);
    let density = derivation.notation.density(score.factor).at("t", 0);
    let nabla = Math::row([Math::Mark("∇"), Math::Operator("log"), density]);
    let mut inside: Vec<(Sign, Math)> = Vec::new();
    // neighbours that run over the same times share a sum
    let mut at = 0;
    while at < score.credit.len() {
        let first = score.credit[at];
        let of = |credit: Credit| &derivation.terms[credit.term.0 as usize];
        let alike =
            |credit: &&Credit| credit.from == first.from && of(**credit).times == of(first).times && of(**credit).live == of(first).live;
        let run = score.credit[at..].iter().take_while(alike).count();
        inside.push(credited(derivation, &score.credit[at..at + run], own));
        at += run;
    }
    inside.push((Sign::Minus, Math::name("b")));
    let body = Math::row([nabla, Math::Sign("·"), Math::Round(Box::new(signed(inside)))]);
    let live = own.is_some_and(|(_, live)| live);
    let times = own.map_or(Times { from: Moment::First(0), to: Moment::Last(0) }, |(times, _)| times);
    (Sign::Plus, if times.is_once() { body } else { summed(&times, live, "t", None, body) })
}

/// `Σ_t ∇f`
fn moving(derivation: &BoundDerivation, term: TermId) -> (Sign, Math) {
    let of = &derivation.terms[term.0 as usize];
    let of_weights = |factor: FactorRef| derivation.gradient.mean_fields.iter().any(|field| field.factor == factor);
    let moving = match &of.kind {
        // of a ratio only the part above moves: the score below has mean zero, if the draw has one; a ratio of weights moves with the weights
        TermKind::LogRatio { p, q } if !of_weights(*q) && !derivation.gradient.through.contains(&term) => {
            let density = at_shift(derivation.notation.density(*p), derivation.notation.shift(*p, *q));
            Math::row([Math::Operator("log"), density]).at("t", 0)
        }
        _ => body(derivation, of, "t", 0),
    };
    let inner = Math::row([Math::Mark("∇"), moving]);
    (of.sign, summed(&of.times, of.live, "t", None, inner))
}

pub fn kernel_name(derivation: &BoundDerivation, kernel: KernelId) -> Math {
    Math::name(derivation.notation.kernel(kernel))
}

/// What a baseline may read: `s[t], t`.
pub fn baseline(derivation: &BoundDerivation, score: &Score) -> Math {
    let mut reads: Vec<Math> =
        derivation.gradient.baseline_reads(score).iter().map(|read| derivation.notation.variable(*read).at("t", 0)).collect();
    if times_of_score(derivation, score.factor).is_none_or(|(times, _)| !times.is_once()) {
        reads.push(Math::name("t"));
    }
    Math::list(reads)
}

fn evidence() -> Math {
    Math::row([Math::Operator("log"), Math::name("p"), Math::Round(Box::new(Math::name("R̂")))])
}

pub fn relation(relation: Relation) -> Math {
    Math::Sign(match relation {
        Relation::Equal => "=",
        Relation::AtLeast => "≥",
        Relation::Approximately => "≈",
    })
}

fn shape(shape: Shape) -> Math {
    let big = |letter: &str| Math::row([Math::Mark("Π"), Math::name(letter)]);
    let likelihood = [Math::Operator("exp"), Math::Round(Box::new(Math::row([Math::Mark("Σ"), Math::name("Λ")])))];
    let above = Math::row([big("P"), Math::Mark("·")].into_iter().chain(likelihood));
    let weight = Math::Fraction(Box::new(above), Box::new(big("Q")));
    match shape {
        Shape::Evidence => evidence(),
        Shape::LogExpectation => Math::row([Math::Operator("log"), Math::Expectation(Box::new(weight))]),
        Shape::ExpectationOfLog => Math::Expectation(Box::new(Math::row([Math::Operator("log"), Math::Round(Box::new(weight))]))),
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
        let first = terms[at];
        let run = terms[at..].iter().take_while(|term| term.times == first.times && term.live == first.live).count();
        let run = if first.times.is_once() { 1 } else { run };
        parts.push(group(derivation, &terms[at..at + run], |inner| summed(&first.times, first.live, "t", None, inner), "t", 0));
        at += run;
    }
    if parts.is_empty() { Math::Number("0".to_owned()) } else { signed(parts) }
}

/// One sum over several terms: a single one keeps its sign outside.
fn group(derivation: &BoundDerivation, terms: &[&Term], sum: impl Fn(Math) -> Math, symbol: &str, shift: i32) -> (Sign, Math) {
    match terms {
        [term] => (term.sign, sum(body(derivation, term, symbol, shift))),
        _ => {
            let inner = signed(terms.iter().map(|term| (term.sign, body(derivation, term, symbol, shift))).collect());
            (Sign::Plus, sum(Math::Round(Box::new(inner))))
        }
    }
}

/// The part of some terms that one score is credited with.
fn credited(derivation: &BoundDerivation, credits: &[Credit], own: Option<(Times, bool)>) -> (Sign, Math) {
    let terms: Vec<&Term> = credits.iter().map(|credit| &derivation.terms[credit.term.0 as usize]).collect();
    let first = terms[0];
    let once = first.times.is_once() || own.is_none();
    match credits[0].from {
        Downstream::Offset(offset) if !once => {
            let from = Math::Time(Index::Step(offset)).at("t", 0);
            // a window that reaches back stops at the first time there is
            let from = if offset < 0 { Math::call(Math::Operator("max"), vec![moment(first.times.from), from]) } else { from };
            group(derivation, &terms, |inner| summed(&first.times, first.live, "k", Some(from.clone()), inner), "k", 0)
        }
        Downstream::Offset(_) | Downstream::All => {
            group(derivation, &terms, |inner| summed(&first.times, first.live, "k", None, inner), "k", 0)
        }
    }
}

/// When a scored factor is drawn, and whether it stops at the end.
fn times_of_score(derivation: &BoundDerivation, factor: FactorRef) -> Option<(Times, bool)> {
    let split = derivation.drafts.iter().find(|term| matches!(term.kind, TermKind::LogFactor { factor: known } if known == factor))?;
    Some((split.times, split.live))
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

/// `Σ_{t=1..T, live} body`; a single time has no sum.
fn summed(times: &Times, live: bool, symbol: &str, from: Option<Math>, body: Math) -> Math {
    if times.is_once() {
        return body;
    }
    let start = from.unwrap_or_else(|| moment(times.from));
    let mut under = vec![Math::name(symbol), Math::Mark("="), start];
    if live {
        under.extend([Math::Mark(","), Math::Word("live".to_owned())]);
    }
    Math::Sum { under: Box::new(Math::Row(under)), over: Some(Box::new(moment(times.to))), body: Box::new(body) }
}

fn moment(moment: Moment) -> Math {
    match moment {
        Moment::First(k) => Math::Number((1 + k).to_string()),
        Moment::Last(k) => Math::Time(Index::Last(k)).at("t", 0),
    }
}

/// The summand of a term at time `symbol`.
fn body(derivation: &BoundDerivation, term: &Term, symbol: &str, shift: i32) -> Math {
    kind(derivation, &term.kind).at(symbol, shift)
}

fn kind(derivation: &BoundDerivation, of: &TermKind) -> Math {
    let notation = &derivation.notation;
    let log = |inner: Math| Math::row([Math::Operator("log"), inner]);
    let operator = |name: &'static str, inner: Math| Math::row([Math::Operator(name), Math::Round(Box::new(inner))]);
    match of {
        TermKind::Exponent { likelihood } => notation.likelihood[*likelihood as usize].clone(),
        TermKind::LogDensity { likelihood } => log(notation.likelihood[*likelihood as usize].clone()),
        TermKind::LogFactor { factor } => log(notation.density(*factor)),
        TermKind::Kl { q, p } => {
            let prior = at_shift(notation.distribution(*p), notation.shift(*p, *q));
            operator("KL", Math::row([notation.distribution(*q), Math::Sign("‖"), prior]))
        }
        TermKind::Entropy { q } => operator("H", notation.distribution(*q)),
        TermKind::LogCount { count, .. } => log(Math::Number(count.to_string())),
        TermKind::LogRatio { p, q } => {
            let prior = at_shift(notation.density(*p), notation.shift(*p, *q));
            log(Math::Fraction(Box::new(prior), Box::new(notation.density(*q))))
        }
        TermKind::DensityRatio { p, q } => {
            let prior = at_shift(notation.density(*p), notation.shift(*p, *q));
            let ratio = Math::Fraction(Box::new(prior), Box::new(notation.density(*q)));
            operator("logit", Math::row([ratio]))
        }
        TermKind::Constant { of, .. } => kind(derivation, of),
    }
}

/// Moves the relative times of a formula, leaving them relative.
fn at_shift(math: Math, by: i32) -> Math {
    if by == 0 {
        return math;
    }
    match math {
        Math::Time(Index::Step(k)) => Math::Time(Index::Step(k + by)),
        Math::Row(parts) => Math::Row(parts.into_iter().map(|part| at_shift(part, by)).collect()),
        Math::Indexed { base, index } => {
            Math::Indexed { base: Box::new(at_shift(*base, by)), index: index.into_iter().map(|part| at_shift(part, by)).collect() }
        }
        Math::Span(from, to) => Math::Span(from.map(|part| Box::new(at_shift(*part, by))), to.map(|part| Box::new(at_shift(*part, by)))),
        Math::Round(body) => Math::Round(Box::new(at_shift(*body, by))),
        Math::Square(body) => Math::Square(Box::new(at_shift(*body, by))),
        Math::Under(base, below) => Math::Under(Box::new(at_shift(*base, by)), below),
        other => other,
    }
}
