//! One text through all stages. A stage may refuse the text; what it accepts it has to keep its
//! promises about, or this panics.

use rlppl::bound::render::{self, Detail};
use rlppl::model::{BoundId, Model, Overrides};
use rlppl::source::Source;
use rlppl::{derive, engine, exact, graph, infer, model, plan, syntax, verify};
use std::fmt;

/// How far a text came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    Nothing,
    Parsed,
    Checked,
    Derived,
    Planned,
    Trained,
}

impl Reached {
    pub const ALL: [Reached; 6] = [
        Reached::Nothing,
        Reached::Parsed,
        Reached::Checked,
        Reached::Derived,
        Reached::Planned,
        Reached::Trained,
    ];

    fn word(self) -> &'static str {
        match self {
            Reached::Nothing => "refused",
            Reached::Parsed => "parsed",
            Reached::Checked => "checked",
            Reached::Derived => "derived",
            Reached::Planned => "planned",
            Reached::Trained => "trained",
        }
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The steps that a case is trained and listed at.
const HORIZON: usize = 3;
/// Values of a variable that the oracle is asked about at the most.
const SMALL: usize = 2000;

/// # Panics
/// Where a stage breaks a promise.
pub fn run(text: &str) -> Reached {
    let source = Source::new("case.rlmodel", text);
    let Ok(file) = syntax::parse(&source) else { return Reached::Nothing };
    let printed = syntax::print(&file);
    let again = syntax::parse(&Source::new("printed.rlmodel", printed.as_str()))
        .unwrap_or_else(|errors| panic!("what is printed does not parse: {errors}"));
    assert_eq!(syntax::print(&again), printed, "the layout of a layout differs");

    let Ok(whole) = model::check(&file, &Overrides::default()) else { return Reached::Parsed };
    let Some(small) = shortened(&file, &whole) else { return Reached::Checked };
    let Ok(derivation) = derive(&small) else { return Reached::Checked };
    for detail in [Detail::Bound, Detail::Steps] {
        let _ = (
            render::text(&derivation, detail),
            render::latex(&derivation, detail),
            render::mathml(&derivation, detail),
        );
    }
    let _ = render::json(&derivation);
    for at in 0..small.bounds.len() {
        let _ = graph::svg(&[graph::factor_graph(&small, BoundId(at as u32))]);
    }
    if is_small(&small) {
        for at in 0..small.bounds.len() {
            ask(&small, BoundId(at as u32));
        }
        let written = engine::written_tables(&small, 0);
        for (bound, written) in derivation.bounds.iter().zip(std::iter::repeat(&written)) {
            let Ok(written) = written else { break };
            if let Ok(found) = verify::verify(&small, bound, written, 0) {
                assert!(found.holds(), "a derivation does not hold: {found:?}");
            }
        }
    }

    let Ok(plan) = plan(&small, &derivation) else { return Reached::Derived };
    let _ = plan.to_string();
    let Ok(run) = infer(&plan, &mut ()) else { return Reached::Planned };
    let numbers = [run.evaluation.bound, run.evaluation.expected_return];
    assert!(
        numbers.iter().all(|number| number.is_finite()),
        "a run ends with numbers that are none: {numbers:?}"
    );
    assert!(run.parameters.values().iter().all(|value| value.is_finite()), "parameters are none");
    Reached::Trained
}

/// The same model over a few steps, with little to train; `None` where it does not take that.
fn shortened(file: &rlppl::ast::File, model: &Model) -> Option<Model> {
    let number = |text: &str| syntax::parse_expr(text, "fuzz").expect("a number is an expression");
    let mut overrides = Overrides::default();
    if model.horizon.value > HORIZON {
        overrides.params.push((model.horizon.name.clone(), number(&HORIZON.to_string())));
    }
    let settings =
        [("steps", "2"), ("trajectories", "8"), ("threads", "1"), ("shards", "2"), ("rounds", "1")];
    overrides.settings = settings.map(|(key, value)| (key.to_owned(), number(value))).to_vec();
    model::check(file, &overrides).ok()
}

fn is_small(model: &Model) -> bool {
    model
        .variables
        .iter()
        .all(|variable| variable.domain.finite.as_ref().is_none_or(|finite| finite.size() <= SMALL))
}

fn ask(model: &Model, of: BoundId) {
    let Ok(found) = exact(model, of, None) else { return };
    let (evidence, best) = (found.log_evidence, found.best_bound);
    assert!(
        !evidence.is_nan() && !best.is_nan(),
        "the oracle has numbers that are none: {evidence}, {best}"
    );
    assert!(
        best <= evidence + 1e-9 * (1.0 + evidence.abs()),
        "the best bound {best} is above the evidence {evidence}"
    );
}
