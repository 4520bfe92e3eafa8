//! What stands around an expression of a network: what its names are to it, and where its
//! parameters belong.

use super::scope::Scope;
use super::value::Value;
use crate::model::{KernelId, LayerId};
use crate::source::Span;
use std::cell::Cell;

/// What an expression of a network sees, and where its parameters belong.
pub struct NetScope {
    pub kernel: KernelId,
    /// The names as values of ordinary expressions.
    pub scope: Scope,
    /// The names as inputs of networks.
    pub bindings: Vec<Binding>,
    /// The kernel or net that owns the parameters made here.
    pub owner: String,
    /// The argument of the distribution: `logits`.
    path: String,
    /// Layers with parameters so far, in this argument.
    count: Cell<usize>,
    /// `noise(n)` may stand here.
    pub noise: bool,
    /// Nets whose bodies this is inside.
    pub nets: Vec<String>,
    /// Where the outermost of them is used.
    pub used: Option<Span>,
}

pub struct Binding {
    pub name: String,
    pub signal: Signal,
}

/// What a name or an expression is to a network.
#[derive(Clone, Debug)]
pub enum Signal {
    /// A formal of the kernel.
    Formal(u32),
    /// Scalars of formals, params and constants.
    Value(Value),
    Layer(LayerId),
}

impl NetScope {
    pub fn new(kernel: KernelId, scope: Scope, bindings: Vec<Binding>, owner: &str) -> NetScope {
        let (path, nets) = (String::new(), Vec::new());
        NetScope {
            kernel,
            scope,
            bindings,
            owner: owner.to_owned(),
            path,
            count: Cell::new(0),
            noise: false,
            nets,
            used: None,
        }
    }

    /// Begins an argument of the distribution.
    pub fn start(&mut self, path: &str) {
        path.clone_into(&mut self.path);
        self.count.set(0);
    }

    pub fn signal(&self, name: &str) -> Option<&Signal> {
        self.bindings.iter().find(|binding| binding.name == name).map(|binding| &binding.signal)
    }

    /// Where the author of a kernel brought in what stands at `span`, maybe inside a net.
    pub fn place(&self, span: Span) -> Span {
        self.used.unwrap_or(span)
    }

    /// The name of the next layer's parameters: `pi.logits.0`.
    pub fn next_name(&self) -> String {
        let at = self.count.replace(self.count.get() + 1);
        if self.path.is_empty() {
            format!("{}.{at}", self.owner)
        } else {
            format!("{}.{}.{at}", self.owner, self.path)
        }
    }
}
