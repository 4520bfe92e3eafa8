//! What a printed formula is worth on one trajectory, and its gradient in the logits of all tables.

use super::parse::{Node, Place, parse};
use rlppl::model::{FormalLength, FormalVariable, KernelId, Model, TargetVariable};
use rlppl::syntax::ast::Item;
use rlppl::syntax::expr_to_string;
use rlppl::verify::{ABSENT, Measure, Table, Trajectory};
use std::collections::{BTreeMap, BTreeSet};

/// By the place of a logit.
pub type Gradient = BTreeMap<usize, f64>;

/// A number with its own gradient where one is asked for, or what stands behind ∇.
#[derive(Clone, Debug)]
pub enum Quantity {
    Number(f64, Gradient),
    Moved(Gradient),
}

/// What formulas of one bound are read with.
pub struct Reader<'a, 'm> {
    pub model: &'m Model,
    pub measure: &'a mut Measure<'m>,
    pub on: &'a Trajectory,
    /// The kernels under the ∇ of the formula.
    pub moves: BTreeSet<KernelId>,
    /// What `b` is.
    pub baseline: f64,
    /// The indices of the sums around, from the outermost.
    pub times: Vec<(String, i64)>,
}

/// The probabilities of a factor's joint outcomes, and where its logits stand if they move.
struct Law {
    probability: Vec<f64>,
    logits: Option<usize>,
}

impl Law {
    fn log(&self, outcome: usize) -> Quantity {
        let mut gradient = Gradient::new();
        if let Some(first) = self.logits {
            for (at, p) in self.probability.iter().enumerate() {
                gradient.insert(first + at, if at == outcome { 1.0 - p } else { -p });
            }
        }
        Quantity::Number(self.probability[outcome].ln(), gradient)
    }
}

impl Quantity {
    fn of(number: f64) -> Quantity {
        Quantity::Number(number, Gradient::new())
    }

    pub fn number(&self) -> Result<f64, String> {
        match self {
            Quantity::Number(number, _) => Ok(*number),
            Quantity::Moved(_) => Err("a gradient where a number should stand".to_owned()),
        }
    }

    fn scaled(self, by: f64) -> Quantity {
        let scale = |mut gradient: Gradient| {
            gradient.values_mut().for_each(|value| *value *= by);
            gradient
        };
        match self {
            Quantity::Number(number, gradient) => Quantity::Number(by * number, scale(gradient)),
            Quantity::Moved(gradient) => Quantity::Moved(scale(gradient)),
        }
    }

    fn plus(self, other: Quantity) -> Result<Quantity, String> {
        let both = |mut one: Gradient, other: Gradient| {
            other.into_iter().for_each(|(at, value)| *one.entry(at).or_default() += value);
            one
        };
        match (self, other) {
            (Quantity::Number(a, of_a), Quantity::Number(b, of_b)) => {
                Ok(Quantity::Number(a + b, both(of_a, of_b)))
            }
            (Quantity::Moved(a), Quantity::Moved(b)) => Ok(Quantity::Moved(both(a, b))),
            // a sum without summands is 0 of either kind
            (Quantity::Moved(a), Quantity::Number(zero, _))
            | (Quantity::Number(zero, _), Quantity::Moved(a))
                if zero == 0.0 =>
            {
                Ok(Quantity::Moved(a))
            }
            _ => Err("a gradient and a number are added".to_owned()),
        }
    }

    fn times(self, other: Quantity) -> Result<Quantity, String> {
        match (self, other) {
            (moved @ Quantity::Moved(_), Quantity::Number(by, _))
            | (Quantity::Number(by, _), moved @ Quantity::Moved(_)) => Ok(moved.scaled(by)),
            (Quantity::Number(a, of_a), Quantity::Number(b, of_b)) => {
                let slope = Quantity::Number(0.0, of_a)
                    .scaled(b)
                    .plus(Quantity::Number(0.0, of_b).scaled(a))?;
                let Quantity::Number(_, gradient) = slope else {
                    return Err("a slope is no number".to_owned());
                };
                Ok(Quantity::Number(a * b, gradient))
            }
            _ => Err("two gradients are multiplied".to_owned()),
        }
    }
}

impl Reader<'_, '_> {
    pub fn value(&mut self, node: &Node) -> Result<Quantity, String> {
        match node {
            Node::Number(number) => Ok(Quantity::of(*number)),
            Node::Name(name) => self.name(name).map(Quantity::of),
            Node::Negative(inner) => Ok(self.value(inner)?.scaled(-1.0)),
            Node::Binary(operator, left, right) => self.binary(*operator, left, right),
            Node::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                let holds = self.value(condition)?.number()? != 0.0;
                self.value(if holds { then } else { otherwise })
            }
            Node::Sum { symbol, from, to, live, body } => {
                let from = self.time(from)?;
                let to = to.as_ref().map_or(Ok(from), |to| self.time(to))?;
                let mut sum = Quantity::of(0.0);
                for step in from..=to {
                    if *live && !self.measure.is_live(step, self.on) {
                        continue;
                    }
                    self.times.push((symbol.clone(), step));
                    let summand = self.value(body);
                    self.times.pop();
                    sum = sum.plus(summand?)?;
                }
                Ok(sum)
            }
            Node::Nabla(inner) => match self.value(inner)? {
                Quantity::Number(_, gradient) => Ok(Quantity::Moved(gradient)),
                Quantity::Moved(_) => Err("a gradient of a gradient".to_owned()),
            },
            Node::Log(inner) => match &**inner {
                Node::Ratio(above, below) => {
                    let below = self.log_density(below)?.scaled(-1.0);
                    self.log_density(above)?.plus(below)
                }
                Node::Number(count) => Ok(Quantity::of(count.ln())),
                density => self.log_density(density),
            },
            Node::Entropy(of) => {
                let law = self.law(of, None)?;
                self.mean(&law, &law, None).map(|mean| mean.scaled(-1.0))
            }
            Node::Divergence(q, p) => {
                let size = self.size_of(q).or_else(|| self.size_of(p));
                let (q, p) = (self.law(q, size)?, self.law(p, size)?);
                self.mean(&q, &q, Some(&p))
            }
            Node::Call { previous: false, function, values, givens } if givens.is_empty() => {
                let Node::Name(name) = &**function else {
                    return Err(format!("{function:?} is called"));
                };
                let mut numbers = Vec::new();
                for value in values {
                    numbers.push(self.value(value)?.number()?);
                }
                call(name, &numbers).map(Quantity::of)
            }
            Node::Index(..) | Node::Field(..) | Node::List(_) => match self.numbers(node)?[..] {
                [number] => Ok(Quantity::of(number)),
                _ => Err(format!("{node:?} is no number")),
            },
            Node::Call { .. } | Node::Absent | Node::Dot | Node::Ratio(..) => {
                Err(format!("{node:?} is no number"))
            }
        }
    }

    fn name(&self, name: &str) -> Result<f64, String> {
        if let Some((_, step)) = self.times.iter().rev().find(|(symbol, _)| symbol == name) {
            return Ok(*step as f64);
        }
        if name == "T" {
            return Ok(self.model.horizon.value as f64);
        }
        if let Some(param) = self.model.params.iter().find(|param| param.name == name) {
            return Ok(param.value);
        }
        match name {
            "b" => Ok(self.baseline),
            "false" => Ok(0.0),
            "true" => Ok(1.0),
            _ => self.value_name(name).ok_or_else(|| format!("`{name}` stands for nothing here")),
        }
    }

    /// `left`, of some variable: names are counted from 0.
    fn value_name(&self, name: &str) -> Option<f64> {
        let components =
            self.model.variables.iter().flat_map(|variable| &variable.domain.components);
        let mut names = components.filter_map(|component| match &component.kind {
            rlppl::model::Kind::Names(names) => names.iter().position(|known| known == name),
            _ => None,
        });
        names.next().map(|at| at as f64)
    }

    fn binary(&mut self, operator: char, left: &Node, right: &Node) -> Result<Quantity, String> {
        let (left, right) = (self.value(left)?, self.value(right)?);
        match operator {
            '+' => return left.plus(right),
            '−' => return left.plus(right.scaled(-1.0)),
            '·' => return left.times(right),
            _ => {}
        }
        let (left, right) = (left.number()?, right.number()?);
        let truth = |holds: bool| f64::from(u8::from(holds));
        Ok(Quantity::of(match operator {
            '/' => left / right,
            '^' => left.powf(right),
            '=' => truth(left == right),
            '≠' => truth(left != right),
            '<' => truth(left < right),
            '≤' => truth(left <= right),
            '>' => truth(left > right),
            '≥' => truth(left >= right),
            'a' => truth(left != 0.0 && right != 0.0),
            'o' => truth(left != 0.0 || right != 0.0),
            other => return Err(format!("the operator {other}")),
        }))
    }

    /// `Σ q (log a − log b)`, with the gradient through `q` and through both logarithms.
    fn mean(&mut self, q: &Law, a: &Law, b: Option<&Law>) -> Result<Quantity, String> {
        let mut sum = Quantity::of(0.0);
        for (outcome, p) in q.probability.iter().enumerate().filter(|(_, p)| **p > 0.0) {
            let Quantity::Number(_, score) = q.log(outcome) else { continue };
            let weight = Quantity::Number(*p, score).times(Quantity::of(1.0))?;
            // ∇p = p ∇log p
            let weight = match weight {
                Quantity::Number(p, score) => {
                    Quantity::Number(p, score.into_iter().map(|(at, s)| (at, p * s)).collect())
                }
                moved => moved,
            };
            let ratio = match b {
                Some(b) => a.log(outcome).plus(b.log(outcome).scaled(-1.0))?,
                None => a.log(outcome),
            };
            sum = sum.plus(weight.times(ratio)?)?;
        }
        Ok(sum)
    }

    fn log_density(&mut self, node: &Node) -> Result<Quantity, String> {
        let Node::Call { values, .. } = node else { return Err(format!("{node:?} is no density")) };
        let (mut size, mut outcome) = (1, Some(0));
        for value in values {
            let (variable, number) = self.drawn(value)?;
            let of = self.size(variable)?;
            size *= of;
            outcome = outcome.zip(number).map(|(outcome, number)| outcome * of + number as usize);
        }
        let law = self.law(node, Some(size))?;
        Ok(outcome.map_or(Quantity::of(f64::NAN), |outcome| law.log(outcome)))
    }

    /// The variable at a time, and the number of its value.
    fn drawn(&mut self, node: &Node) -> Result<(TargetVariable, Option<u32>), String> {
        let Node::Index(base, places) = node else { return Err(format!("{node:?} is drawn")) };
        let (Node::Name(name), [Place::At(at)]) = (&**base, &places[..]) else {
            return Err(format!("{node:?} is drawn"));
        };
        let variable = self.variable(name)?;
        let time = self.time(at)?;
        Ok((variable, self.measure.number(variable, time, self.on)))
    }

    fn variable(&self, name: &str) -> Result<TargetVariable, String> {
        if name == "end" {
            return Ok(TargetVariable::End);
        }
        let at = self.model.variables.iter().position(|variable| variable.name == name);
        let at = at.ok_or_else(|| format!("`{name}` is no variable"))?;
        Ok(TargetVariable::Variable(rlppl::model::VariableId(at as u32)))
    }

    fn size(&self, variable: TargetVariable) -> Result<usize, String> {
        match variable {
            TargetVariable::Variable(id) => {
                let finite = self.model.variable(id).domain.finite.as_ref();
                finite.map(|finite| finite.size()).ok_or_else(|| "a real variable".to_owned())
            }
            TargetVariable::End => Ok(2),
            TargetVariable::Reward(..) => Err("a drawn reward".to_owned()),
        }
    }

    /// How many outcomes a kernel has, by what it declares.
    fn size_of(&mut self, node: &Node) -> Option<usize> {
        let Node::Call { function, .. } = node else { return None };
        match &**function {
            Node::Name(name) => {
                let declared = self
                    .model
                    .kernels
                    .iter()
                    .find(|kernel| kernel.name == *name)
                    .map(|kernel| &kernel.outputs);
                let outputs = declared.or_else(|| {
                    self.model.data.iter().find(|data| data.name == *name).map(|data| &data.outputs)
                })?;
                let sizes = outputs.iter().map(|formal| match formal.variable {
                    FormalVariable::Variable(id) => self.size(TargetVariable::Variable(id)).ok(),
                    FormalVariable::End => Some(2),
                    FormalVariable::Reward(..) | FormalVariable::Time => None,
                });
                sizes.product()
            }
            Node::Field(base, which) => {
                let Node::Name(name) = &**base else { return None };
                let environment =
                    self.model.environments.iter().find(|environment| environment.name == *name)?;
                let variable = if which == "observation" {
                    environment.observation?
                } else {
                    environment.state
                };
                self.size(TargetVariable::Variable(variable)).ok()
            }
            _ => None,
        }
    }

    /// The law of `pi(·|s[t])`, `pi(a[t]|s[t])`, `line.transition(·|s[t], a[t])`, `Uniform`.
    fn law(&mut self, node: &Node, size: Option<usize>) -> Result<Law, String> {
        // a kernel that reads nothing has no brackets
        let called = match node {
            Node::Name(name) if name != "Uniform" => Some(node),
            Node::Field(..) => Some(node),
            _ => None,
        };
        if let Some(function) = called {
            let function = Box::new(function.clone());
            return self.law(
                &Node::Call { previous: false, function, values: vec![Node::Dot], givens: vec![] },
                size,
            );
        }
        let fixed = |probability| Ok(Law { probability, logits: None });
        let size = size.or_else(|| self.size_of(node));
        let known = |size: Option<usize>| {
            size.ok_or_else(|| format!("nothing tells how many outcomes {node:?} has"))
        };
        let (previous, function, givens) = match node {
            Node::Name(name) if name == "Uniform" => {
                let size = known(size)?;
                return fixed(vec![1.0 / size as f64; size]);
            }
            Node::Call { previous, function, givens, .. } => (*previous, &**function, givens),
            other => return Err(format!("{other:?} is no distribution")),
        };
        match function {
            Node::Name(name) if name == "Uniform" && givens.is_empty() => {
                let size = known(size)?;
                fixed(vec![1.0 / size as f64; size])
            }
            Node::Name(name) if name == "Categorical" => self.categorical(node),
            Node::Name(name) => {
                let size = known(size)?;
                let (table, formals) = self.table(name, previous)?;
                let mut key = Vec::new();
                for (formal, given) in formals.iter().zip(givens) {
                    self.given(*formal, given, &mut key)?;
                }
                let (probability, first) = self.measure.row(table, key, size);
                let moves = matches!(table, Table::Current(kernel) if self.moves.contains(&kernel));
                Ok(Law { probability, logits: moves.then_some(first) })
            }
            Node::Field(base, which) => {
                let Node::Name(name) = &**base else {
                    return Err(format!("{function:?} is no kernel"));
                };
                let at = self
                    .model
                    .environments
                    .iter()
                    .position(|environment| environment.name == *name);
                let at = at.ok_or_else(|| format!("`{name}` is no environment"))?;
                let mut numbers = Vec::new();
                for given in givens {
                    numbers.push(self.drawn(given)?.1);
                }
                let id = rlppl::model::EnvironmentId(at as u32);
                let size = known(size)?;
                let environment = self
                    .measure
                    .environment(id)
                    .ok_or_else(|| format!("`{name}` has no tables"))?;
                let number =
                    |at: usize| numbers.get(at).copied().flatten().map(|number| number as usize);
                let state = || number(0).ok_or_else(|| format!("{node:?} at no state"));
                let (rows, row) = match which.as_str() {
                    "initial" => (&environment.initial, 0),
                    // after the end every action stays
                    "transition" => {
                        // the last action is the fastest
                        let actions = self.model.environment(id).actions.iter();
                        let sizes = actions.map(|action| {
                            let domain = &self.model.variable(*action).domain;
                            domain.finite.as_ref().map_or(1, |values| values.size())
                        });
                        let joint = (1..)
                            .zip(sizes)
                            .fold(0, |joint, (at, size)| joint * size + number(at).unwrap_or(0));
                        (&environment.transition, state()? * environment.actions + joint)
                    }
                    "observation" => {
                        (environment.observation.as_ref().ok_or("no observations")?, state()?)
                    }
                    other => return Err(format!("`{name}.{other}` is no kernel")),
                };
                let mut probability = vec![0.0; size];
                rows.row(row).for_each(|(value, p)| probability[value] += p);
                fixed(probability)
            }
            other => Err(format!("{other:?} is no kernel")),
        }
    }

    /// `Categorical(·|probs=[…])`, in place.
    fn categorical(&mut self, node: &Node) -> Result<Law, String> {
        let Node::Call { values, givens, .. } = node else { return Err("no call".to_owned()) };
        for setting in values.iter().chain(givens) {
            let Node::Binary('=', name, list) = setting else { continue };
            let numbers = self.numbers(list)?;
            let weights: Vec<f64> = match &**name {
                Node::Name(name) if name == "probs" => numbers,
                Node::Name(name) if name == "logits" => {
                    numbers.iter().map(|logit| logit.exp()).collect()
                }
                other => return Err(format!("{other:?} of a Categorical")),
            };
            let sum: f64 = weights.iter().sum();
            return Ok(Law {
                probability: weights.iter().map(|weight| weight / sum).collect(),
                logits: None,
            });
        }
        Err("a Categorical of nothing".to_owned())
    }

    fn table(
        &self,
        name: &str,
        previous: bool,
    ) -> Result<(Table, Vec<(FormalVariable, FormalLength)>), String> {
        let formals = |formals: &[rlppl::model::Formal]| {
            formals.iter().map(|formal| (formal.variable, formal.length)).collect()
        };
        if let Some(at) = self.model.kernels.iter().position(|kernel| kernel.name == name) {
            let id = KernelId(at as u32);
            let table = if previous { Table::Previous(id) } else { Table::Current(id) };
            return Ok((table, formals(&self.model.kernels[at].givens)));
        }
        let at = self
            .model
            .data
            .iter()
            .position(|data| data.name == name)
            .ok_or_else(|| format!("`{name}` is no kernel"))?;
        Ok((Table::Data(rlppl::model::DataId(at as u32)), formals(&self.model.data[at].givens)))
    }

    /// Which row an argument of a kernel chooses.
    fn given(
        &mut self,
        (variable, length): (FormalVariable, FormalLength),
        node: &Node,
        key: &mut Vec<u32>,
    ) -> Result<(), String> {
        if let Node::Index(base, places) = node
            && let (Node::Name(name), [Place::Span(from, to)]) = (&**base, &places[..])
        {
            let variable = self.variable(name)?;
            let from = from.as_ref().map_or(Ok(1), |from| self.time(from))?;
            let to =
                to.as_ref().map_or(Ok(self.model.horizon.value as i64 + 1), |to| self.time(to))?;
            key.extend(
                (from..=to)
                    .map(|time| self.measure.number(variable, time, self.on).unwrap_or(ABSENT)),
            );
            key.push(to.max(from - 1).abs_diff(from) as u32);
            return Ok(());
        }
        if length != FormalLength::One {
            return Err(format!("{node:?} is no window"));
        }
        let id = match variable {
            FormalVariable::Time => {
                key.push(self.time(node)? as u32 - 1);
                return Ok(());
            }
            FormalVariable::Variable(id) => id,
            FormalVariable::Reward(..) | FormalVariable::End => {
                return Err(format!("{node:?} is given"));
            }
        };
        if *node == Node::Absent {
            key.push(ABSENT);
            return Ok(());
        }
        let is_variable = matches!(node, Node::Index(base, _)
            if matches!(&**base, Node::Name(name) if self.variable(name).is_ok()));
        key.push(if is_variable {
            self.drawn(node)?.1.unwrap_or(ABSENT)
        } else {
            let value = self.numbers(node)?;
            let finite = self.model.variable(id).domain.finite.as_ref().ok_or("a real given")?;
            finite.number(&value).map_or(ABSENT, |number| number as u32)
        });
        Ok(())
    }

    /// The components of a value.
    fn numbers(&mut self, node: &Node) -> Result<Vec<f64>, String> {
        match node {
            Node::List(items) => {
                let mut numbers = Vec::new();
                for item in items {
                    numbers.extend(self.numbers(item)?);
                }
                Ok(numbers)
            }
            Node::Index(base, places) => {
                let [Place::At(at)] = &places[..] else {
                    return Err(format!("{node:?} is no number"));
                };
                if let Some(items) = self.list(base)? {
                    let at = self.numbers(at)?[0];
                    let item = items.get(at as usize).filter(|_| at >= 0.0);
                    return item.map_or(Ok(vec![f64::NAN]), |item| self.numbers(item));
                }
                let Node::Name(name) = &**base else {
                    return Err(format!("{node:?} is no variable"));
                };
                let time = self.time(at)?;
                if let Some((environment, reward)) = self.reward(name) {
                    return Ok(vec![self.measure.reward(environment, reward, time, self.on)]);
                }
                let variable = self.variable(name)?;
                let TargetVariable::Variable(id) = variable else {
                    return Err(format!("{node:?} is no number"));
                };
                let domain = &self.model.variable(id).domain;
                let mut value = vec![f64::NAN; domain.width()];
                if let Some(number) = self.measure.number(variable, time, self.on) {
                    domain
                        .finite
                        .as_ref()
                        .ok_or("a real variable")?
                        .value(number as usize, &mut value);
                }
                Ok(value)
            }
            Node::Field(base, field) => {
                let Node::Index(variable, _) = &**base else {
                    return Err(format!("{node:?} is no field"));
                };
                let Node::Name(name) = &**variable else {
                    return Err(format!("{node:?} is no field"));
                };
                let TargetVariable::Variable(id) = self.variable(name)? else {
                    return Err(format!("{node:?} is no field"));
                };
                let components = &self.model.variable(id).domain.components;
                let at = components.iter().position(|component| component.path == *field);
                let at = at.ok_or_else(|| format!("`{name}` has no field `{field}`"))?;
                Ok(vec![self.numbers(base)?[at]])
            }
            other => Ok(vec![self.value(other)?.number()?]),
        }
    }

    /// The items of a list that is written down, or that a `let` of the file names.
    fn list(&self, node: &Node) -> Result<Option<Vec<Node>>, String> {
        match node {
            Node::List(items) => Ok(Some(items.clone())),
            Node::Name(name) if self.reward(name).is_none() && self.variable(name).is_err() => {
                let file = rlppl::syntax::parse(&self.model.sources[0])
                    .map_err(|errors| errors.to_string())?;
                let named = file.items.iter().find_map(|item| match item {
                    Item::Let(definition) if definition.name.text == *name => {
                        Some(expr_to_string(&definition.value))
                    }
                    _ => None,
                });
                match named.map(|value| parse(&value)).transpose()? {
                    Some(Node::List(items)) => Ok(Some(items)),
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    fn reward(&self, name: &str) -> Option<(rlppl::model::EnvironmentId, usize)> {
        let environments = self.model.environments.iter().enumerate();
        let mut rewards = environments.filter_map(|(at, environment)| {
            let reward = environment.rewards.iter().position(|reward| reward.name == name)?;
            Some((rlppl::model::EnvironmentId(at as u32), reward))
        });
        rewards.next()
    }

    fn time(&mut self, node: &Node) -> Result<i64, String> {
        let number = self.value(node)?.number()?;
        if number.fract() == 0.0 { Ok(number as i64) } else { Err(format!("{number} is no time")) }
    }
}

fn call(name: &str, numbers: &[f64]) -> Result<f64, String> {
    match (name, numbers) {
        ("min", _) => Ok(numbers.iter().copied().fold(f64::INFINITY, f64::min)),
        ("max", _) => Ok(numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        ("clamp", [x, lo, hi]) => Ok(x.max(*lo).min(*hi)),
        ("abs", [x]) => Ok(x.abs()),
        ("exp", [x]) => Ok(x.exp()),
        ("log", [x]) => Ok(x.ln()),
        ("sqrt", [x]) => Ok(x.sqrt()),
        _ => Err(format!("the function {name}")),
    }
}

/// The kernels named under ∇.
pub fn movers(model: &Model, names: &str) -> Result<BTreeSet<KernelId>, String> {
    let names = names.split(", ").filter(|name| !name.is_empty());
    let id = |name: &str| {
        let at = model.kernels.iter().position(|kernel| kernel.name == name);
        at.map(|at| KernelId(at as u32)).ok_or_else(|| format!("∇ in `{name}`, which is no kernel"))
    };
    names.map(id).collect()
}
