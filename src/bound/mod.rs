//! Model in, Derivation out: the variational bound that follows from the factors, and its gradient. Never samples, knows no algorithm's name.

mod derivation;

pub use derivation::{
    BoundDerivation, Credit, Derivation, Downstream, Form, Gradient, Pathwise, Relation, Remark, Rule, Score, Sign, Step, Term, TermId,
    TermKind, Times,
};
