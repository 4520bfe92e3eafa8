use super::Work;
use crate::bound::derivation::{Change, Relation, Rule, Shape, Step};

/// log E_q[w] ≥ E_q[log w]
///
/// Jensen's inequality for the logarithm, which is concave. The two sides are equal where the
/// weight `w = Π P / Π Q · exp ΣΛ` is the same for every trajectory, that is where the posterior is
/// the exact one.
pub fn jensen(work: &mut Work) {
    let change = Change::Shape { before: Shape::LogExpectation, after: Shape::ExpectationOfLog };
    work.steps.push(Step { rule: Rule::Jensen, relation: Relation::AtLeast, change, note: None });
}
