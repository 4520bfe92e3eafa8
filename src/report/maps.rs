//! Maps of a grid world, a character a cell: where an option goes, where it is held, where it gives way.

use crate::exact::OptionVisits;
use crate::finite::Environment;
use crate::model::{EnvironmentId, Kind, Model};

/// Rows of characters.
pub type Map = Vec<String>;

/// A state with integer components `y` and `x`: which cell each of its values stands in.
pub struct Grid {
    /// By state: row and column.
    cell: Vec<(usize, usize)>,
    rows: usize,
    columns: usize,
    /// By action: how it is drawn.
    signs: Vec<char>,
}

impl Grid {
    /// `None` where the state has no such components. Rows go down the page as `y` grows, unless the action `up` lets it grow.
    pub fn new(model: &Model, environment: EnvironmentId, table: &Environment) -> Option<Grid> {
        let written = model.environment(environment);
        let (state, action) = (&model.variable(written.state).domain, &model.variable(written.action).domain);
        let axis = |name: &str| {
            let at = state.components.iter().position(|component| component.path == name)?;
            match state.components[at].kind {
                Kind::Integer { lo, hi } => Some((at, lo, (hi - lo + 1) as usize)),
                Kind::Names(_) | Kind::Bool | Kind::Real { .. } => None,
            }
        };
        let ((y, lowest, rows), (x, leftmost, columns)) = (axis("y")?, axis("x")?);
        let finite = state.finite.as_ref()?;
        let mut value = vec![0.0; state.width()];
        let mut cell: Vec<(usize, usize)> = (0..finite.size())
            .map(|number| {
                finite.value(number, &mut value);
                ((value[y] as i64 - lowest) as usize, (value[x] as i64 - leftmost) as usize)
            })
            .collect();
        let names: Vec<String> = match &action.components[..] {
            [component] => match &component.kind {
                Kind::Names(names) => names.clone(),
                Kind::Integer { lo, hi } => (*lo..=*hi).map(|number| number.to_string()).collect(),
                Kind::Bool => vec!["false".to_owned(), "true".to_owned()],
                Kind::Real { .. } => return None,
            },
            _ => return None,
        };
        let climbs = |up: usize| -> f64 {
            let row = |state: usize| table.transition.row(state * table.actions + up).map(move |(next, p)| (state, next, p));
            (0..table.states).flat_map(row).map(|(state, next, p)| p * (cell[next].0 as f64 - cell[state].0 as f64)).sum()
        };
        if names.iter().position(|name| name == "up").is_some_and(|up| climbs(up) > 0.0) {
            cell.iter_mut().for_each(|(row, _)| *row = rows - 1 - *row);
        }
        Some(Grid { cell, rows, columns, signs: names.iter().map(|name| sign(name)).collect() })
    }

    /// The most probable action of option `o` in each cell; a space where it is never held.
    pub fn actions(&self, visits: &OptionVisits, o: usize) -> Map {
        self.draw(visits.actions, |state, sums| add(sums, visits.at(state, o)), |sums| largest(sums).map(|action| self.signs[action]))
    }

    /// The option held most in each cell, a digit (and then letters); a space where there is no live step.
    pub fn held_most(&self, visits: &OptionVisits) -> Map {
        let held = |state: usize, sums: &mut [f64]| {
            sums.iter_mut().enumerate().for_each(|(o, sum)| *sum += visits.at(state, o).iter().sum::<f64>());
        };
        self.draw(visits.values, held, |sums| largest(sums).map(|o| char::from_digit(o as u32, 36).unwrap_or('?')))
    }

    /// How likely `o` gives way in each cell, in tenths to the nearest, 9 from 0.85 on; a space where no step finds it held.
    pub fn ends(&self, visits: &OptionVisits, o: usize) -> Map {
        let counts = |state: usize, sums: &mut [f64]| {
            let at = state * visits.values + o;
            add(sums, &[visits.ends[at], visits.held[at]]);
        };
        let tenths = |sums: &[f64]| (sums[1] > 0.0).then(|| (10.0 * sums[0] / sums[1]).round().min(9.0) as u32);
        self.draw(2, counts, |sums| tenths(sums).and_then(|tenths| char::from_digit(tenths, 10)))
    }

    /// A character for the sums over the states of each cell; `#` where there is no state.
    fn draw(&self, width: usize, add: impl Fn(usize, &mut [f64]), character: impl Fn(&[f64]) -> Option<char>) -> Map {
        let mut sums: Vec<Option<Vec<f64>>> = vec![None; self.rows * self.columns];
        for (state, &(row, column)) in self.cell.iter().enumerate() {
            add(state, sums[row * self.columns + column].get_or_insert_with(|| vec![0.0; width]));
        }
        let cell = |sums: &Option<Vec<f64>>| sums.as_ref().map_or('#', |sums| character(sums).unwrap_or(' '));
        sums.chunks(self.columns).map(|row| row.iter().map(cell).collect()).collect()
    }
}

/// Maps beside each other, each under its title.
pub fn beside(maps: &[(String, Map)]) -> String {
    let width = |(title, map): &(String, Map)| map.iter().map(|row| row.chars().count()).chain([title.chars().count()]).max().unwrap_or(0);
    let height = maps.iter().map(|(_, map)| map.len()).max().unwrap_or(0);
    let mut text = String::new();
    for line in 0..=height {
        let of = |(title, map): &(String, Map)| if line == 0 { title.clone() } else { map.get(line - 1).cloned().unwrap_or_default() };
        let row: Vec<String> = maps.iter().map(|map| format!("{:<1$}", of(map), width(map))).collect();
        text += &format!("  {}\n", row.join("   ").trim_end());
    }
    text
}

fn sign(action: &str) -> char {
    match action {
        "up" => '↑',
        "down" => '↓',
        "left" => '←',
        "right" => '→',
        "stay" => '·',
        _ => action.chars().next().unwrap_or('?'),
    }
}

fn add(sums: &mut [f64], numbers: &[f64]) {
    sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
}

/// The first of the largest, where any is positive.
fn largest(sums: &[f64]) -> Option<usize> {
    let most = sums.iter().copied().fold(0.0, f64::max);
    sums.iter().position(|&sum| sum == most && most > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite::tabulate;
    use crate::model::{Overrides, check};
    use crate::source::Source;
    use crate::syntax::parse;

    /// Three columns, two rows, a wall below in the middle.
    fn world(up: i32) -> Model {
        let text = format!(
            "model m
             horizon T = 2
             environment e {{
               state s : {{ y: 3..4, x: 0..2 }} where not (y == 4 and x == 1)
               action a : {{ up, wait, right }}
               s[1] ~ Uniform
               s[t+1] ~ Delta(if s[t].x == 1 then s[t] else {{ y: clamp(s[t].y + [{up}, 0, 0][a[t]], 3, 4), x: s[t].x }})
             }}
             kernel pi(a | s) = Categorical(logits = table(s))
             prior {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
             posterior {{ s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ e.transition(s[t], a[t]) }}"
        );
        check(&parse(&Source::new("test", text)).unwrap(), &Overrides::default()).unwrap()
    }

    /// States in order: (3, 0), (3, 1), (3, 2), (4, 0), (4, 2).
    fn visits() -> OptionVisits {
        let mut visits =
            OptionVisits { values: 2, actions: 3, steps: vec![0.0; 30], starts: vec![1.0; 2], held: vec![0.0; 10], ends: vec![0.0; 10] };
        for (state, o, action, steps) in
            [(0, 0, 2, 0.5), (0, 0, 1, 0.2), (0, 1, 0, 0.3), (1, 1, 1, 2.0), (2, 0, 0, 0.1), (2, 1, 0, 0.2), (4, 0, 2, 1.0)]
        {
            visits.steps[(state * 2 + o) * 3 + action] = steps;
        }
        (visits.held[0], visits.ends[0], visits.held[2], visits.held[4], visits.ends[4]) = (0.5, 0.15, 0.2, 0.3, 0.3);
        visits
    }

    #[test]
    fn maps_show_walls_actions_options_and_ends() {
        let grid = |up: i32| {
            let model = world(up);
            Grid::new(&model, EnvironmentId(0), &tabulate(&model, EnvironmentId(0)).unwrap()).unwrap()
        };
        let down = grid(-1);
        assert_eq!(down.actions(&visits(), 0), ["→ ↑", " #→"]);
        assert_eq!(down.actions(&visits(), 1), ["↑w↑", " # "]);
        assert_eq!(down.held_most(&visits()), ["011", " #0"]);
        assert_eq!(down.ends(&visits(), 0), ["309", " # "]);
        assert_eq!(grid(1).held_most(&visits()), [" #0", "011"], "up lets y grow");
        let side = beside(&[("one".to_owned(), down.actions(&visits(), 0)), ("two".to_owned(), down.ends(&visits(), 0))]);
        assert_eq!(side, "  one   two\n  → ↑   309\n   #→    #\n");
    }
}
