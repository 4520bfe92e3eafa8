//! Derivatives of expressions in their inputs, as expressions: the graph run backward.

use super::{BinaryOp, ExprId, Graph, InputId, Node, UnaryOp};
use std::collections::{BTreeMap, BTreeSet};

/// Where an expression may jump in an input, so that its derivative does not tell how its mean
/// moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    /// A condition, a comparison or a truth value.
    Condition,
    /// `floor`, `round`, `sign` or `mod`.
    Step,
    /// The index of an array.
    Index,
}

/// What a condition makes of the slopes of its branches.
#[derive(Clone, Copy)]
enum Branches {
    /// The slope on the way to a branch is 0 where it is not taken.
    Weighed,
    /// Those of the branch that is taken.
    Chosen,
}

impl Graph {
    /// `∂ root / ∂ input` for each of the inputs of which it does not vanish. `min`, `max` and
    /// `abs` have the derivative of one of their sides where both meet.
    ///
    /// # Errors
    /// Where the expression may jump in one of them.
    pub fn derivatives(
        &mut self,
        root: ExprId,
        inputs: &BTreeSet<InputId>,
    ) -> Result<BTreeMap<InputId, ExprId>, Jump> {
        self.differentiate(root, inputs, Branches::Weighed)
    }

    /// The same, where a branch that is not taken may read what is no number.
    ///
    /// # Errors
    /// As [`Graph::derivatives`].
    pub fn derivatives_of_taken(
        &mut self,
        root: ExprId,
        inputs: &BTreeSet<InputId>,
    ) -> Result<BTreeMap<InputId, ExprId>, Jump> {
        self.differentiate(root, inputs, Branches::Chosen)
    }

    fn differentiate(
        &mut self,
        root: ExprId,
        inputs: &BTreeSet<InputId>,
        branches: Branches,
    ) -> Result<BTreeMap<InputId, ExprId>, Jump> {
        let order = self.reach(&[root]);
        let mut moving = BTreeSet::new();
        for &id in &order {
            let mut moves = matches!(self.node(id), Node::Input(input) if inputs.contains(input));
            self.operands(id, |operand| moves |= moving.contains(&operand));
            if moves {
                self.verify_smooth(id, &moving)?;
                moving.insert(id);
            }
        }
        let one = self.constant(1.0);
        let mut slopes = BTreeMap::from([(root, one)]);
        let mut found = BTreeMap::new();
        for &id in order.iter().rev().filter(|id| moving.contains(id)) {
            let Some(slope) = slopes.remove(&id) else { continue };
            if let Node::Input(input) = *self.node(id) {
                self.add_to(&mut found, input, slope);
            }
            if let (Branches::Chosen, Node::If(condition, then, otherwise)) =
                (branches, self.node(id).clone())
            {
                let then = self.differentiate(then, inputs, branches)?;
                let otherwise = self.differentiate(otherwise, inputs, branches)?;
                let zero = self.constant(0.0);
                let all: BTreeSet<InputId> = then.keys().chain(otherwise.keys()).copied().collect();
                for input in all {
                    let of = |found: &BTreeMap<InputId, ExprId>| found.get(&input).copied();
                    let (left, right) = (of(&then).unwrap_or(zero), of(&otherwise).unwrap_or(zero));
                    let taken = self.if_(condition, left, right);
                    let part = self.product(slope, taken);
                    self.add_to(&mut found, input, part);
                }
                continue;
            }
            for (operand, own) in self.partials(id, &moving) {
                let part = self.product(slope, own);
                let sum = match slopes.get(&operand) {
                    Some(&known) => self.binary(BinaryOp::Add, known, part),
                    None => part,
                };
                slopes.insert(operand, sum);
            }
        }
        Ok(found)
    }

    fn add_to(&mut self, found: &mut BTreeMap<InputId, ExprId>, input: InputId, part: ExprId) {
        let sum = match found.get(&input) {
            Some(&known) => self.binary(BinaryOp::Add, known, part),
            None => part,
        };
        found.insert(input, sum);
    }

    /// A node of which an operand moves has a derivative almost everywhere and does not jump.
    fn verify_smooth(&self, id: ExprId, moving: &BTreeSet<ExprId>) -> Result<(), Jump> {
        match self.node(id) {
            Node::Unary(op, _) => match op {
                UnaryOp::Not => Err(Jump::Condition),
                UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Round => Err(Jump::Step),
                UnaryOp::Negate
                | UnaryOp::Abs
                | UnaryOp::Exp
                | UnaryOp::Log
                | UnaryOp::Sqrt
                | UnaryOp::Sin
                | UnaryOp::Cos
                | UnaryOp::Tan
                | UnaryOp::Tanh
                | UnaryOp::Sigmoid
                | UnaryOp::Softplus
                | UnaryOp::LogGamma
                | UnaryOp::Polygamma(_) => Ok(()),
            },
            Node::Binary(op, ..) => match op {
                BinaryOp::Equal
                | BinaryOp::NotEqual
                | BinaryOp::Less
                | BinaryOp::LessEqual
                | BinaryOp::And
                | BinaryOp::Or => Err(Jump::Condition),
                BinaryOp::Modulo => Err(Jump::Step),
                BinaryOp::Add
                | BinaryOp::Subtract
                | BinaryOp::Multiply
                | BinaryOp::Divide
                | BinaryOp::Power
                | BinaryOp::Min
                | BinaryOp::Max
                | BinaryOp::Atan2 => Ok(()),
            },
            Node::If(condition, ..) if moving.contains(condition) => Err(Jump::Condition),
            Node::Lookup(..) => Err(Jump::Index),
            Node::Choose(_, index) if moving.contains(index) => Err(Jump::Index),
            Node::If(..)
            | Node::Choose(..)
            | Node::Constant(_)
            | Node::Param(_)
            | Node::Input(_)
            | Node::Time => Ok(()),
        }
    }

    /// The operands that move, each with the node's derivative in it.
    fn partials(&mut self, id: ExprId, moving: &BTreeSet<ExprId>) -> Vec<(ExprId, ExprId)> {
        let moves = |operand: &ExprId| moving.contains(operand);
        match self.node(id).clone() {
            Node::Constant(_) | Node::Param(_) | Node::Input(_) | Node::Time | Node::Lookup(..) => {
                Vec::new()
            }
            Node::Unary(op, x) => vec![(x, self.slope(op, x, id))],
            Node::Binary(op, x, y) => {
                let (left, right) = self.slopes(op, (x, y), (moves(&x), moves(&y)), id);
                [(x, left), (y, right)]
                    .into_iter()
                    .filter_map(|(operand, slope)| Some((operand, slope?)))
                    .collect()
            }
            Node::If(condition, then, otherwise) => {
                let (one, zero) = (self.constant(1.0), self.constant(0.0));
                let taken = self.if_(condition, one, zero);
                let left = self.if_(condition, zero, one);
                [(then, taken), (otherwise, left)]
                    .into_iter()
                    .filter(|(branch, _)| moves(branch))
                    .collect()
            }
            Node::Choose(items, index) => {
                let (one, zero) = (self.constant(1.0), self.constant(0.0));
                let mut partials = Vec::new();
                for (at, item) in items.iter().enumerate().filter(|(_, item)| moves(item)) {
                    let chosen: Vec<ExprId> = (0..items.len())
                        .map(|other| if other == at { one } else { zero })
                        .collect();
                    partials.push((*item, self.choose(chosen, index)));
                }
                partials
            }
        }
    }

    /// The derivative of `op(x)`, which is `y`.
    fn slope(&mut self, op: UnaryOp, x: ExprId, y: ExprId) -> ExprId {
        let one = self.constant(1.0);
        match op {
            UnaryOp::Negate => self.constant(-1.0),
            UnaryOp::Abs => self.unary(UnaryOp::Sign, x),
            UnaryOp::Exp => y,
            UnaryOp::Log => self.binary(BinaryOp::Divide, one, x),
            UnaryOp::Sqrt => {
                let half = self.constant(0.5);
                self.binary(BinaryOp::Divide, half, y)
            }
            UnaryOp::Sin => self.unary(UnaryOp::Cos, x),
            UnaryOp::Cos => {
                let sine = self.unary(UnaryOp::Sin, x);
                self.unary(UnaryOp::Negate, sine)
            }
            UnaryOp::Tan => {
                let square = self.product(y, y);
                self.binary(BinaryOp::Add, one, square)
            }
            UnaryOp::Tanh => {
                let square = self.product(y, y);
                self.binary(BinaryOp::Subtract, one, square)
            }
            UnaryOp::Sigmoid => {
                let rest = self.binary(BinaryOp::Subtract, one, y);
                self.product(y, rest)
            }
            UnaryOp::Softplus => self.unary(UnaryOp::Sigmoid, x),
            UnaryOp::LogGamma => self.unary(UnaryOp::Polygamma(0), x),
            UnaryOp::Polygamma(order) => self.unary(UnaryOp::Polygamma(order + 1), x),
            // these jump: `verify_smooth` has refused them
            UnaryOp::Not | UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Round => self.constant(0.0),
        }
    }

    /// The derivatives of `op(x, y)`, which is `z`, in the operands that move.
    fn slopes(
        &mut self,
        op: BinaryOp,
        (x, y): (ExprId, ExprId),
        (x_moves, y_moves): (bool, bool),
        z: ExprId,
    ) -> (Option<ExprId>, Option<ExprId>) {
        let (one, zero) = (self.constant(1.0), self.constant(0.0));
        let (left, right) = match op {
            BinaryOp::Add => (one, one),
            BinaryOp::Subtract => (one, self.constant(-1.0)),
            BinaryOp::Multiply => (y, x),
            BinaryOp::Divide => {
                let inverse = self.binary(BinaryOp::Divide, one, y);
                let ratio = self.binary(BinaryOp::Divide, z, y);
                (inverse, self.unary(UnaryOp::Negate, ratio))
            }
            BinaryOp::Power => {
                let less = self.binary(BinaryOp::Subtract, y, one);
                let power = self.binary(BinaryOp::Power, x, less);
                let in_base = self.product(y, power);
                let log = self.unary(UnaryOp::Log, x);
                (in_base, self.product(z, log))
            }
            BinaryOp::Min | BinaryOp::Max => {
                let (small, large) = if op == BinaryOp::Min { (x, y) } else { (y, x) };
                let takes_left = self.binary(BinaryOp::LessEqual, small, large);
                (takes_left, self.if_(takes_left, zero, one))
            }
            BinaryOp::Atan2 => {
                let (x_square, y_square) = (self.product(x, x), self.product(y, y));
                let square = self.binary(BinaryOp::Add, x_square, y_square);
                let right = self.binary(BinaryOp::Divide, x, square);
                (self.binary(BinaryOp::Divide, y, square), self.unary(UnaryOp::Negate, right))
            }
            // these jump: `verify_smooth` has refused them
            BinaryOp::Modulo
            | BinaryOp::Equal
            | BinaryOp::NotEqual
            | BinaryOp::Less
            | BinaryOp::LessEqual
            | BinaryOp::And
            | BinaryOp::Or => (zero, zero),
        };
        (x_moves.then_some(left), y_moves.then_some(right))
    }

    /// The product; a slope of 0 or 1 leaves no node.
    fn product(&mut self, x: ExprId, y: ExprId) -> ExprId {
        let zero = self.constant(0.0);
        if x == zero || y == zero {
            return zero;
        }
        self.binary(BinaryOp::Multiply, x, y)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{BINARY, UNARY};
    use super::*;

    /// Two inputs, a graph over them and an expression of it.
    fn build(of: impl Fn(&mut Graph, ExprId, ExprId) -> ExprId) -> (Graph, ExprId) {
        let mut graph = Graph::default();
        let (x, y) = (graph.input(InputId(0)), graph.input(InputId(1)));
        let root = of(&mut graph, x, y);
        (graph, root)
    }

    fn both() -> BTreeSet<InputId> {
        BTreeSet::from([InputId(0), InputId(1)])
    }

    fn value(graph: &Graph, root: ExprId, at: [f64; 2]) -> f64 {
        graph.evaluate(root, &[], &|InputId(id)| at[id as usize], 1.0)
    }

    #[test]
    fn derivatives_are_those_of_differences() {
        let unary = UNARY.iter().filter(|op| {
            !matches!(op, UnaryOp::Not | UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Round)
        });
        let jumps = |op: &BinaryOp| {
            use BinaryOp::{And, Equal, Less, LessEqual, Modulo, NotEqual, Or};
            matches!(op, Modulo | Equal | NotEqual | Less | LessEqual | And | Or)
        };
        let mut cases: Vec<(Graph, ExprId)> = Vec::new();
        for &op in unary {
            // of a node that reads both, twice
            cases.push(build(|graph, x, y| {
                let product = graph.binary(BinaryOp::Multiply, x, y);
                let inner = graph.unary(op, product);
                let outer = graph.binary(BinaryOp::Multiply, inner, x);
                graph.binary(BinaryOp::Add, outer, inner)
            }));
        }
        for &op in BINARY.iter().filter(|op| !jumps(op)) {
            cases.push(build(|graph, x, y| {
                let inner = graph.binary(op, x, y);
                graph.binary(BinaryOp::Multiply, inner, y)
            }));
        }
        let h = 1e-6;
        for (graph, root) in &mut cases {
            for at in [[0.7, 1.3], [1.9, 0.4]] {
                let slopes = graph.derivatives(*root, &both()).unwrap();
                for component in 0..2 {
                    let shifted = |by: f64| {
                        let mut at = at;
                        at[component] += by;
                        value(graph, *root, at)
                    };
                    let difference = (shifted(h) - shifted(-h)) / (2.0 * h);
                    let slope = slopes
                        .get(&InputId(component as u32))
                        .map_or(0.0, |&slope| value(graph, slope, at));
                    assert!(
                        (slope - difference).abs() < 1e-7 * (1.0 + slope.abs()),
                        "{at:?}: {slope}, difference {difference}"
                    );
                }
            }
        }
    }

    #[test]
    fn branches_and_choices_pass_on_the_slope_of_what_is_taken() {
        let (mut graph, root) = build(|graph, x, y| {
            let one = graph.constant(1.0);
            let late = graph.time();
            let condition = graph.binary(BinaryOp::Less, one, late);
            let square = graph.binary(BinaryOp::Multiply, x, x);
            let branch = graph.if_(condition, square, y);
            let chosen = graph.choose(vec![y, square], late);
            graph.binary(BinaryOp::Add, branch, chosen)
        });
        let slopes = graph.derivatives(root, &both()).unwrap();
        let at_one =
            |slope: ExprId| graph.evaluate(slope, &[], &|InputId(id)| [3.0, 5.0][id as usize], 1.0);
        // at t = 1 the branch is y, and entry 1 is x²
        assert_eq!([at_one(slopes[&InputId(0)]), at_one(slopes[&InputId(1)])], [6.0, 1.0]);
    }

    #[test]
    fn what_jumps_is_refused() {
        let jump = |of: &dyn Fn(&mut Graph, ExprId, ExprId) -> ExprId| {
            let (mut graph, root) = build(of);
            graph.derivatives(root, &both())
        };
        assert_eq!(jump(&|graph, x, _| graph.unary(UnaryOp::Floor, x)), Err(Jump::Step));
        assert_eq!(jump(&|graph, x, y| graph.binary(BinaryOp::Modulo, x, y)), Err(Jump::Step));
        assert_eq!(
            jump(&|graph, x, y| {
                let condition = graph.binary(BinaryOp::Less, x, y);
                graph.if_(condition, x, y)
            }),
            Err(Jump::Condition)
        );
        let indexed = |graph: &mut Graph, x, y| graph.choose(vec![x, y], x);
        assert_eq!(jump(&indexed), Err(Jump::Index));
        // of an input that is not asked for, nothing is said
        let (mut graph, root) = build(|graph, x, y| {
            let step = graph.unary(UnaryOp::Round, y);
            graph.binary(BinaryOp::Multiply, step, x)
        });
        assert_eq!(graph.derivatives(root, &BTreeSet::from([InputId(0)])).unwrap().len(), 1);
    }
}
