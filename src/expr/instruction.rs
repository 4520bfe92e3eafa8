//! What a compiled program consists of: instructions on registers.

use super::{BinaryOp, InputId, UnaryOp};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Register(pub u32);

/// An instruction on registers. `target` is none of its operands, except that `Pick` changes a part
/// of its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Instruction {
    Input {
        target: Register,
        input: InputId,
    },
    Time {
        target: Register,
    },
    Unary {
        op: UnaryOp,
        target: Register,
        x: Register,
    },
    Square {
        target: Register,
        x: Register,
    },
    Binary {
        op: BinaryOp,
        target: Register,
        x: Register,
        y: Register,
    },
    Ternary {
        op: Ternary,
        target: Register,
        x: Register,
        y: Register,
        z: Register,
    },
    SinCos {
        sin: Register,
        cos: Register,
        x: Register,
    },
    Lookup {
        target: Register,
        table: u32,
        index: Register,
    },
    /// NaN in every row.
    Nothing {
        target: Register,
    },
    /// `item` in the rows where `index` is `position`.
    Pick {
        target: Register,
        item: Register,
        index: Register,
        position: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ternary {
    If,
    /// x y + z
    MultiplyAdd,
    /// x y − z
    MultiplySubtract,
    /// z − x y
    NegateMultiplyAdd,
}

impl Instruction {
    #[inline(always)]
    pub(super) fn target(&self) -> Register {
        match *self {
            Instruction::Input { target, .. }
            | Instruction::Time { target }
            | Instruction::Unary { target, .. }
            | Instruction::Square { target, .. }
            | Instruction::Binary { target, .. }
            | Instruction::Ternary { target, .. }
            | Instruction::SinCos { sin: target, .. }
            | Instruction::Lookup { target, .. }
            | Instruction::Nothing { target }
            | Instruction::Pick { target, .. } => target,
        }
    }
}
