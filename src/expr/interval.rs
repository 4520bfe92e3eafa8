//! Where an expression lies, given where its leaves lie.

use super::{BinaryOp, ExprId, Graph, InputId, Node, UnaryOp};
use std::f64::consts::{FRAC_PI_2, PI, TAU};

/// From the lowest to the highest value.
pub type Interval = (f64, f64);

const EVERYTHING: Interval = (f64::NEG_INFINITY, f64::INFINITY);
const TRUTH: Interval = (0.0, 1.0);

impl Graph {
    /// An interval that holds the value of `expr` for all params within `params`, inputs within
    /// `inputs` and times within `t`, as far as the value is a number: a NaN (the logarithm of a
    /// negative number, an index outside) is in no interval. Sound, to the rounding of the
    /// library's elementary functions, and not always tight: two mentions of an input count as two
    /// inputs, except in a square.
    pub fn interval(
        &self,
        expr: ExprId,
        params: &[Interval],
        inputs: &dyn Fn(InputId) -> Interval,
        t: Interval,
    ) -> Interval {
        let mut ranges = vec![Range { interval: EVERYTHING, nan: true }; expr.0 as usize + 1];
        let known = |interval: Interval| Range { interval, nan: false };
        for id in self.reach(&[expr]) {
            let of = |id: &ExprId| ranges[id.0 as usize];
            let range = match self.node(id) {
                Node::Constant(bits) => constant(f64::from_bits(*bits)),
                Node::Param(param) => known(params[param.0 as usize]),
                Node::Input(input) => known(inputs(*input)),
                Node::Time => known(t),
                Node::Unary(op, x) => unary_range(*op, of(x)),
                Node::Binary(BinaryOp::Multiply, x, y) if x == y => {
                    binary_range(BinaryOp::Power, of(x), constant(2.0))
                }
                Node::Binary(op, x, y) => binary_range(*op, of(x), of(y)),
                Node::If(condition, then, otherwise) => match of(condition) {
                    c if c.is_false() => of(otherwise),
                    c if c.is_true() => of(then),
                    _ => hull([of(then), of(otherwise)]),
                },
                // the index may be outside or not whole
                Node::Lookup(table, index) => {
                    let table = self.table(*table);
                    let entries =
                        entries(of(index).interval, table.len()).map(|at| constant(table[at]));
                    Range { nan: true, ..hull(entries) }
                }
                Node::Choose(items, index) => Range {
                    nan: true,
                    ..hull(entries(of(index).interval, items.len()).map(|at| of(&items[at])))
                },
            };
            ranges[id.0 as usize] = range.sound();
        }
        ranges[expr.0 as usize].interval
    }
}

/// Where `op` of a number in an interval lies.
pub fn unary(op: UnaryOp, x: Interval) -> Interval {
    unary_range(op, Range { interval: x, nan: false }).sound().interval
}

/// Where `op` of two numbers in intervals lies.
pub fn binary(op: BinaryOp, x: Interval, y: Interval) -> Interval {
    let known = |interval| Range { interval, nan: false };
    binary_range(op, known(x), known(y)).sound().interval
}

/// Where the numbers lie, and whether the value may be none. Comparisons with a NaN are false, so
/// they must know.
#[derive(Clone, Copy)]
struct Range {
    interval: Interval,
    nan: bool,
}

impl Range {
    /// An end that is NaN says nothing.
    fn sound(self) -> Range {
        let (lo, hi) = self.interval;
        if lo <= hi { self } else { Range { interval: EVERYTHING, nan: true } }
    }

    /// A NaN counts as true: it is not 0.
    fn is_true(self) -> bool {
        self.interval.0 > 0.0 || self.interval.1 < 0.0
    }

    fn is_false(self) -> bool {
        self.interval == (0.0, 0.0) && !self.nan
    }

    fn is_unbounded(self) -> bool {
        self.interval.0.is_infinite() || self.interval.1.is_infinite()
    }

    fn holds_zero(self) -> bool {
        self.interval.0 <= 0.0 && self.interval.1 >= 0.0
    }
}

fn constant(value: f64) -> Range {
    Range { interval: (value, value), nan: value.is_nan() }
}

fn hull(parts: impl IntoIterator<Item = Range>) -> Range {
    // a part that is NaN and nothing else adds no number
    let mut joined = Range { interval: (f64::INFINITY, f64::NEG_INFINITY), nan: false };
    for Range { interval: (lo, hi), nan } in parts {
        joined = Range {
            interval: (joined.interval.0.min(lo), joined.interval.1.max(hi)),
            nan: joined.nan || nan,
        };
    }
    joined.sound()
}

/// The whole numbers below `len` that an index in the interval may be.
fn entries((lo, hi): Interval, len: usize) -> std::ops::Range<usize> {
    let first = lo.max(0.0).ceil() as usize;
    let end = if hi < 0.0 { 0 } else { (hi.floor() as usize).saturating_add(1).min(len) };
    first.min(end)..end
}

fn truth(surely: bool, never: bool) -> Interval {
    match (surely, never) {
        (true, _) => (1.0, 1.0),
        (false, true) => (0.0, 0.0),
        (false, false) => TRUTH,
    }
}

fn unary_range(op: UnaryOp, x: Range) -> Range {
    let (lo, hi) = x.interval;
    let rising = || (op.apply(lo), op.apply(hi));
    let interval = match op {
        UnaryOp::Negate => (-hi, -lo),
        UnaryOp::Not => return Range { interval: truth(x.is_false(), x.is_true()), nan: false },
        UnaryOp::Abs => absolute(x.interval),
        UnaryOp::Sign
        | UnaryOp::Floor
        | UnaryOp::Round
        | UnaryOp::Exp
        | UnaryOp::Tanh
        | UnaryOp::Sigmoid
        | UnaryOp::Softplus => rising(),
        // of positive numbers: one falls and rises, the others do one of both
        UnaryOp::LogGamma | UnaryOp::Polygamma(_) if lo <= 0.0 => EVERYTHING,
        UnaryOp::LogGamma => (LEAST_LOG_GAMMA, op.apply(lo).max(op.apply(hi))),
        UnaryOp::Polygamma(order) if order % 2 == 0 => rising(),
        UnaryOp::Polygamma(_) => (op.apply(hi), op.apply(lo)),
        // the negative part of the argument gives no number
        UnaryOp::Log | UnaryOp::Sqrt => (op.apply(lo.max(0.0)), op.apply(hi)),
        UnaryOp::Sin => sine(x.interval, 0.0),
        UnaryOp::Cos => sine(x.interval, FRAC_PI_2),
        UnaryOp::Tan if pole_free(x.interval) => rising(),
        UnaryOp::Tan => EVERYTHING,
    };
    let nan = match op {
        UnaryOp::Log | UnaryOp::Sqrt => lo < 0.0,
        UnaryOp::LogGamma | UnaryOp::Polygamma(_) => lo <= 0.0,
        UnaryOp::Sin | UnaryOp::Cos | UnaryOp::Tan => x.is_unbounded(),
        UnaryOp::Negate
        | UnaryOp::Not
        | UnaryOp::Abs
        | UnaryOp::Sign
        | UnaryOp::Floor
        | UnaryOp::Round
        | UnaryOp::Exp
        | UnaryOp::Tanh
        | UnaryOp::Sigmoid
        | UnaryOp::Softplus => false,
    };
    Range { interval, nan: nan || x.nan }
}

/// Below the least value of `log Γ` of a positive number, at 1.4616.
const LEAST_LOG_GAMMA: f64 = -0.12149;

fn absolute((lo, hi): Interval) -> Interval {
    if lo >= 0.0 {
        (lo, hi)
    } else if hi <= 0.0 {
        (-hi, -lo)
    } else {
        (0.0, hi.max(-lo))
    }
}

/// sin(x + phase)
fn sine((lo, hi): Interval, phase: f64) -> Interval {
    // the rounding of `lo + phase` may move a crest across an end: there, be generous
    let slack = 1e-9 * (1.0 + lo.abs().max(hi.abs()));
    if hi - lo >= TAU || !slack.is_finite() || slack > 1.0 {
        return (-1.0, 1.0);
    }
    let value = |x: f64| if phase == 0.0 { x.sin() } else { x.cos() };
    let (a, b) = (value(lo), value(hi));
    let reaches = |angle: f64| {
        let turns = ((lo + phase - slack - angle) / TAU).ceil();
        angle + turns * TAU <= hi + phase + slack
    };
    (
        if reaches(-FRAC_PI_2) { -1.0 } else { a.min(b) },
        if reaches(FRAC_PI_2) { 1.0 } else { a.max(b) },
    )
}

/// tan has no pole between the ends.
fn pole_free((lo, hi): Interval) -> bool {
    let branch = |x: f64| ((x + FRAC_PI_2) / PI).floor();
    let slack = 1e-9 * (1.0 + lo.abs().max(hi.abs()));
    slack < 1.0 && branch(lo - slack) == branch(hi + slack)
}

fn binary_range(op: BinaryOp, left: Range, right: Range) -> Range {
    let (x, y) = (left.interval, right.interval);
    let number = !left.nan && !right.nan;
    let unbounded = left.is_unbounded() || right.is_unbounded();
    let apart = x.1 < y.0 || y.1 < x.0;
    let equal = x.0 == x.1 && x == y && number;
    let decided = |surely, never| Range { interval: truth(surely, never), nan: false };
    let (interval, nan) = match op {
        BinaryOp::Add => ((x.0 + y.0, x.1 + y.1), unbounded),
        BinaryOp::Subtract => ((x.0 - y.1, x.1 - y.0), unbounded),
        BinaryOp::Multiply => (corners(x, y, product), unbounded),
        BinaryOp::Divide if right.holds_zero() => (EVERYTHING, true),
        BinaryOp::Divide => (corners(x, y, quotient), unbounded),
        BinaryOp::Power => (power(x, y), x.0 < 0.0 || unbounded),
        BinaryOp::Min => ((x.0.min(y.0), x.1.min(y.1)), false),
        BinaryOp::Max => ((x.0.max(y.0), x.1.max(y.1)), false),
        BinaryOp::Modulo => (modulo(x, y), unbounded || right.holds_zero()),
        BinaryOp::Atan2 if y.0 > 0.0 => (corners(x, y, f64::atan2), false),
        BinaryOp::Atan2 => ((-PI, PI), false),
        BinaryOp::Equal => return decided(equal, apart),
        BinaryOp::NotEqual => return decided(apart, equal),
        BinaryOp::Less => return decided(x.1 < y.0 && number, x.0 >= y.1),
        BinaryOp::LessEqual => return decided(x.1 <= y.0 && number, x.0 > y.1),
        BinaryOp::And => {
            return decided(left.is_true() && right.is_true(), left.is_false() || right.is_false());
        }
        BinaryOp::Or => {
            return decided(left.is_true() || right.is_true(), left.is_false() && right.is_false());
        }
    };
    Range { interval, nan: nan || !number }
}

/// The hull of the values at the corners: right for operations that are monotone in each operand.
fn corners(x: Interval, y: Interval, f: impl Fn(f64, f64) -> f64) -> Interval {
    hull([(x.0, y.0), (x.0, y.1), (x.1, y.0), (x.1, y.1)].map(|(x, y)| constant(f(x, y)))).interval
}

/// An infinite end stands for numbers however large, and 0 times those is 0.
fn product(x: f64, y: f64) -> f64 {
    if x == 0.0 || y == 0.0 { 0.0 } else { x * y }
}

fn quotient(x: f64, y: f64) -> f64 {
    if y.is_infinite() { 0.0 } else { x / y }
}

fn power(x: Interval, y: Interval) -> Interval {
    let f = |x: f64, y: f64| BinaryOp::Power.apply(x, y);
    if x.0 > 0.0 || (x.0 >= 0.0 && y.0 > 0.0) {
        // monotone in each operand
        return corners(x, y, f);
    }
    match y {
        (n, m) if n == m && n > 0.0 && n % 2.0 == 0.0 => {
            let (lo, hi) = absolute(x);
            (f(lo, n), f(hi, n))
        }
        (n, m) if n == m && n > 0.0 && n.fract() == 0.0 => (f(x.0, n), f(x.1, n)),
        // negative numbers have no such power
        (n, m) if n == m && n > 0.0 => (0.0, f(x.1.max(0.0), n)),
        (0.0, 0.0) => (1.0, 1.0),
        _ => EVERYTHING,
    }
}

fn modulo(x: Interval, y: Interval) -> Interval {
    if y.0 > 0.0 {
        if x.0 >= 0.0 && x.1 < y.0 { x } else { (0.0, if x.0 >= 0.0 { y.1.min(x.1) } else { y.1 }) }
    } else if y.1 < 0.0 {
        (y.0, 0.0)
    } else {
        let largest = y.1.max(-y.0);
        (-largest, largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::testing::grow;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(8),
            failure_persistence: None,
            ..ProptestConfig::with_cases(600)
        })]

        #[test]
        fn every_value_lies_in_its_interval(
            recipe in proptest::collection::vec(any::<(u8, u8, u8, u8)>(), 1..30),
            ends in proptest::array::uniform3((-3.0f64..3.0, -3.0f64..3.0)),
            (least, middle, greatest) in (-2.0f64..2.0, 0.0f64..=1.0, -2.0f64..2.0),
            parts in proptest::collection::vec(proptest::array::uniform3(0.0f64..=1.0), 20),
        ) {
            let (g, pool) = grow(&recipe);
            // whole ends as often as not
            let ends = ends.map(|(a, b)| {
                if a > 0.0 { (a.min(b), a.max(b)) } else { (a.min(b).floor(), a.max(b).ceil()) }
            });
            let params = (least.min(greatest), least.max(greatest));
            let param = params.0 + middle * (params.1 - params.0);
            for &root in &pool {
                let end = |input: InputId| ends[input.0 as usize];
                let (lo, hi) = g.interval(root, &[params], &end, (1.0, 3.0));
                prop_assert!(lo <= hi);
                for part in &parts {
                    let at = |input: InputId| {
                        let ((lo, hi), part) = (ends[input.0 as usize], part[input.0 as usize]);
                        // the ends themselves are of interest
                        if part < 0.2 {
                            lo
                        } else if part > 0.8 {
                            hi
                        } else {
                            lo + part * (hi - lo)
                        }
                    };
                    let value = g.evaluate(root, &[param], &at, 2.0);
                    let slack = 1e-12 * (1.0 + value.abs());
                    let within = value.is_nan()
                        || value == lo
                        || value == hi
                        || (lo - slack <= value && value <= hi + slack);
                    prop_assert!(within, "{:?}: {value} outside {lo}..{hi}", g.node(root));
                }
            }
        }
    }

    #[test]
    fn rewards_of_a_bounded_exponent_are_seen_to_be_at_most_zero() {
        let mut g = Graph::default();
        let (r, alpha, one) = (g.input(InputId(0)), g.constant(0.5), g.constant(1.0));
        let shifted = g.binary(BinaryOp::Subtract, r, one);
        let exponent = g.binary(BinaryOp::Multiply, alpha, shifted);
        assert_eq!(g.interval(exponent, &[], &|_| (0.0, 1.0), (1.0, 1.0)), (-0.5, 0.0));
        let square = g.binary(BinaryOp::Multiply, shifted, shifted);
        let cost = g.unary(UnaryOp::Negate, square);
        assert_eq!(g.interval(cost, &[], &|_| (-2.0, 3.0), (1.0, 1.0)), (-9.0, 0.0));
    }
}
