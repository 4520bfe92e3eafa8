use super::{Piece, Work};
use crate::bound::derivation::{Relation, Rule};
use crate::bound::time::lead;
use crate::model::{Factor, Index, KernelRef, Value};

/// log f − log f = 0
///
/// A factor that stands in the prior (or the auxiliary block) and in the posterior with the same
/// kernel and arguments leaves the *bound*. Its score ∇log q stays in the gradient: the posterior
/// is still drawn from it.
pub fn cancel(work: &mut Work, piece: &Piece) -> bool {
    let (p, q) = (work.bound.factor(piece.p), work.bound.factor(piece.q));
    if !same(p, q) {
        return false;
    }
    work.replace(Rule::Cancel, Relation::Equal, &[piece.p_term, piece.q_term], Vec::new(), None);
    true
}

/// The same kernel at the same arguments, whatever lead either is written with.
fn same(p: &Factor, q: &Factor) -> bool {
    let shift = lead(q).saturating_sub(lead(p));
    let same_kernel = match (&p.kernel, &q.kernel) {
        // a distribution in place reads times, too: only one that is written alike is known to be
        // alike
        (KernelRef::InPlace(a), KernelRef::InPlace(b)) => a == b && shift == 0,
        (a, b) => a == b,
    };
    let no_expression = |factor: &Factor| {
        !factor.arguments.iter().any(|value| matches!(value, Value::Expression(_)))
    };
    same_kernel
        && p.arguments.len() == q.arguments.len()
        && p.targets.len() == q.targets.len()
        && p.arguments.iter().zip(&q.arguments).all(|(p, q)| shifted(p, shift) == *q)
        && (shift == 0 || (no_expression(p) && no_expression(q)))
}

fn shifted(value: &Value, by: i32) -> Value {
    let index = |index: Index| match index {
        Index::Step(k) => Index::Step(k.saturating_add(by)),
        Index::First | Index::Last(_) => index,
    };
    match value.clone() {
        Value::Variable { variable, index: at } => Value::Variable { variable, index: index(at) },
        Value::Reward { environment, reward, index: at } => {
            Value::Reward { environment, reward, index: index(at) }
        }
        Value::Window { variable, from, to } => {
            Value::Window { variable, from: index(from), to: index(to) }
        }
        Value::Past { variable, to } => Value::Past { variable, to: index(to) },
        Value::Future { variable, from } => Value::Future { variable, from: index(from) },
        // `t` itself moves with the writing
        value @ (Value::Time | Value::Expression(_) | Value::Absent) => value,
    }
}
