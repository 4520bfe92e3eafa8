//! Precedence. From loose to tight: `or`; `and`; `not`; comparison (one, never a chain); `+ -`; `*
//! /`; unary `-`; `^` (to the right).

use super::Builder;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{BinaryOperator, Expr, UnaryOperator};

/// An expression with the depth of its tree, which is bounded: dropping or printing it overflows no
/// stack.
pub struct Built {
    pub expr: Expr,
    pub depth: usize,
}

/// An expression as the grammar gives it: a flat list.
pub enum Piece {
    Prefix(UnaryOperator, Span),
    Operand(Built),
    Infix(BinaryOperator, Span),
}

const NOT: u8 = 3;
const COMPARISON: u8 = 4;
const MINUS: u8 = 7;

fn strength(operator: BinaryOperator) -> u8 {
    match operator {
        BinaryOperator::Or => 1,
        BinaryOperator::And => 2,
        BinaryOperator::Equal
        | BinaryOperator::NotEqual
        | BinaryOperator::Less
        | BinaryOperator::LessEqual
        | BinaryOperator::Greater
        | BinaryOperator::GreaterEqual => COMPARISON,
        BinaryOperator::Add | BinaryOperator::Subtract => 5,
        BinaryOperator::Multiply | BinaryOperator::Divide => 6,
        BinaryOperator::Power => 8,
    }
}

pub type Pieces = std::iter::Peekable<std::vec::IntoIter<Piece>>;

/// Builds the tree of a flat list `prefix* operand (infix prefix* operand)*`. Its recursion is
/// bounded by the length of the list.
pub fn climb(builder: &mut Builder<'_>, pieces: &mut Pieces, weakest: u8) -> Built {
    let mut left = match pieces.next() {
        Some(Piece::Operand(built)) => built,
        Some(Piece::Prefix(operator, at)) => {
            let operand = match operator {
                UnaryOperator::Minus => climb(builder, pieces, MINUS),
                UnaryOperator::Not => {
                    if weakest > NOT {
                        builder.say(not_in_arithmetic(at));
                    }
                    climb(builder, pieces, NOT)
                }
            };
            builder.unary(operator, at, operand)
        }
        Some(Piece::Infix(..)) | None => {
            unreachable!("the grammar: an operand follows the prefixes")
        }
    };
    let mut compared: Option<Span> = None;
    while let Some(&Piece::Infix(operator, at)) = pieces.peek() {
        let strength = strength(operator);
        if strength < weakest {
            break;
        }
        pieces.next();
        // what stands to the right of `^` may hold another `^`, of the others only tighter
        // operators
        let right = climb(
            builder,
            pieces,
            if operator == BinaryOperator::Power { strength } else { strength + 1 },
        );
        if strength == COMPARISON
            && let Some(before) = compared.replace(at)
        {
            builder.say(chained(before, at));
        }
        left = builder.binary(operator, left, right);
    }
    left
}

pub fn binary_operator(text: &str) -> BinaryOperator {
    match text {
        "+" => BinaryOperator::Add,
        "-" | "−" => BinaryOperator::Subtract,
        "*" | "·" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "^" => BinaryOperator::Power,
        "==" => BinaryOperator::Equal,
        "!=" | "≠" => BinaryOperator::NotEqual,
        "<" => BinaryOperator::Less,
        "<=" | "≤" => BinaryOperator::LessEqual,
        ">" => BinaryOperator::Greater,
        ">=" | "≥" => BinaryOperator::GreaterEqual,
        "and" => BinaryOperator::And,
        "or" => BinaryOperator::Or,
        other => unreachable!("the grammar: {other} is no operator"),
    }
}

fn chained(first: Span, second: Span) -> Diagnostic {
    Diagnostic::error("chained-comparison", second, "comparisons cannot be chained")
        .here("a second comparison")
        .also(first, "the first one")
        .hint("write `0 <= y and y < 5` for `0 <= y < 5`")
}

fn not_in_arithmetic(at: Span) -> Diagnostic {
    Diagnostic::error(
        "syntax",
        at,
        "`not` cannot stand right after an arithmetic operator or a comparison",
    )
    .hint("put it in brackets: `a == (not b)`")
}
