//! The built-in names: functions, networks, distributions.

use super::layer::is_network;
use crate::expr::{BinaryOp, UnaryOp};
use crate::family::FAMILIES;

/// A function of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// One argument, element by element.
    Unary(UnaryOp),
    /// Two arguments, element by element.
    Binary(BinaryOp),
    /// One or more arguments, element by element; of a single array, its least or greatest item.
    Fold(BinaryOp),
    Clamp,
    Sum,
    /// An array divided by its sum.
    Normalize,
}

pub const FUNCTIONS: [(&str, Function); 20] = [
    ("min", Function::Fold(BinaryOp::Min)),
    ("max", Function::Fold(BinaryOp::Max)),
    ("clamp", Function::Clamp),
    ("abs", Function::Unary(UnaryOp::Abs)),
    ("sign", Function::Unary(UnaryOp::Sign)),
    ("mod", Function::Binary(BinaryOp::Modulo)),
    ("floor", Function::Unary(UnaryOp::Floor)),
    ("round", Function::Unary(UnaryOp::Round)),
    ("exp", Function::Unary(UnaryOp::Exp)),
    ("log", Function::Unary(UnaryOp::Log)),
    ("sqrt", Function::Unary(UnaryOp::Sqrt)),
    ("sin", Function::Unary(UnaryOp::Sin)),
    ("cos", Function::Unary(UnaryOp::Cos)),
    ("tan", Function::Unary(UnaryOp::Tan)),
    ("tanh", Function::Unary(UnaryOp::Tanh)),
    ("atan2", Function::Binary(BinaryOp::Atan2)),
    ("sum", Function::Sum),
    ("normalize", Function::Normalize),
    ("sigmoid", Function::Unary(UnaryOp::Sigmoid)),
    ("softplus", Function::Unary(UnaryOp::Softplus)),
];

/// The information gain of a transition: not a function of numbers alone, since its first argument
/// is a kernel.
pub const GAIN: &str = "gain";

/// Beside the families of densities.
const DISTRIBUTIONS: [&str; 7] =
    ["Uniform", "Delta", "Categorical", "Bernoulli", "Mixture", "Sticky", "Implicit"];

/// The names of all distributions.
pub fn distributions() -> impl Iterator<Item = &'static str> {
    DISTRIBUTIONS.into_iter().chain(FAMILIES.into_iter().map(|family| family.name()))
}

pub fn is_distribution(name: &str) -> bool {
    distributions().any(|known| known == name)
}

pub fn function(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
}

/// Why a name cannot be declared.
pub fn reserved(name: &str) -> Option<&'static str> {
    if matches!(name, "true" | "false" | "none") {
        Some("a value of the language")
    } else if name == "t" {
        Some("the time")
    } else if function(name).is_some() {
        Some("a function of the language")
    } else if is_network(name) {
        Some("a network of the language")
    } else if is_distribution(name) {
        Some("a distribution of the language")
    } else if name == GAIN {
        Some("the information gain of a transition")
    } else if name == "weights" {
        Some("how a prior over parameters is written")
    } else {
        None
    }
}
