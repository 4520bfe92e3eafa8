//! Maps of a grid world: where a policy or an option goes, where it is held, where it gives way. As
//! numbers a cell, and as characters.

use crate::exact::OptionVisits;
use crate::finite::Environment;
use crate::model::{EnvironmentId, Kind, Model};

/// Rows of characters.
pub type Map = Vec<String>;

/// A state with integer components `y` and `x`: which cell each of its values stands in.
pub struct Grid {
    /// By state: row and column.
    cell: Vec<(usize, usize)>,
    /// By state: the episode is over.
    ended: Vec<bool>,
    rows: usize,
    columns: usize,
    /// Of the top row, and what a row further down adds.
    y: (i64, i64),
    /// Of the first column.
    x: i64,
    /// By action: its name, and how it is drawn.
    pub actions: Vec<String>,
    pub signs: Vec<char>,
}

/// One option in one cell: expected numbers of live steps of an episode, summed over the states of
/// the cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub y: i64,
    pub x: i64,
    /// Every state of it ends the episode.
    pub ended: bool,
    /// By action.
    pub steps: Vec<f64>,
    /// That find the option held.
    pub held: f64,
    /// Of these, at which it gives way.
    pub ends: f64,
}

impl Cell {
    /// Live steps with the option.
    pub fn visits(&self) -> f64 {
        self.steps.iter().sum()
    }

    /// The most probable action; none where the option is never held.
    pub fn action(&self) -> Option<usize> {
        largest(&self.steps)
    }

    /// How likely the option gives way; none where no step finds it held.
    pub fn ending(&self) -> Option<f64> {
        (self.held > 0.0).then(|| self.ends / self.held)
    }
}

/// Rows of cells; none where there is no state.
pub type Cells = Vec<Vec<Option<Cell>>>;

impl Grid {
    /// `None` where the state has no such components. Rows go down the page as `y` grows, unless
    /// the action `up` lets it grow.
    pub fn new(model: &Model, environment: EnvironmentId, table: &Environment) -> Option<Grid> {
        let written = model.environment(environment);
        let state = &model.variable(written.state).domain;
        let action = written.joint_action(model);
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
            let row = |state: usize| {
                table
                    .transition
                    .row(state * table.actions + up)
                    .map(move |(next, p)| (state, next, p))
            };
            (0..table.states)
                .flat_map(row)
                .map(|(state, next, p)| p * (cell[next].0 as f64 - cell[state].0 as f64))
                .sum()
        };
        let mut y = (lowest, 1);
        if names.iter().position(|name| name == "up").is_some_and(|up| climbs(up) > 0.0) {
            cell.iter_mut().for_each(|(row, _)| *row = rows - 1 - *row);
            y = (lowest + rows as i64 - 1, -1);
        }
        let signs = names.iter().map(|name| sign(name)).collect();
        Some(Grid {
            cell,
            ended: table.ended.clone(),
            rows,
            columns,
            y,
            x: leftmost,
            actions: names,
            signs,
        })
    }

    /// Option `o` in each cell; no live step anywhere where `visits` are of all states together.
    pub fn cells(&self, visits: &OptionVisits, o: usize) -> Cells {
        let mut cells: Cells = vec![vec![None; self.columns]; self.rows];
        let apart = visits.states() == self.cell.len();
        for (state, &(row, column)) in self.cell.iter().enumerate() {
            let (y, x) = (self.y.0 + self.y.1 * row as i64, self.x + column as i64);
            let none = || Cell {
                y,
                x,
                ended: true,
                steps: vec![0.0; visits.actions],
                held: 0.0,
                ends: 0.0,
            };
            let cell = cells[row][column].get_or_insert_with(none);
            cell.ended &= self.ended[state];
            if !apart {
                continue;
            }
            cell.steps.iter_mut().zip(visits.at(state, o)).for_each(|(sum, steps)| *sum += steps);
            cell.held += visits.held[state * visits.values + o];
            cell.ends += visits.ends[state * visits.values + o];
        }
        cells
    }

    /// The most probable action of option `o` in each cell; a space where it is never held.
    pub fn actions(&self, visits: &OptionVisits, o: usize) -> Map {
        draw(&self.cells(visits, o), |cell| cell.action().map(|action| self.signs[action]))
    }

    /// The option held most in each cell, a digit (and then letters); a space where there is no
    /// live step.
    pub fn held_most(&self, visits: &OptionVisits) -> Map {
        let most =
            held_most(&(0..visits.values).map(|o| self.cells(visits, o)).collect::<Vec<_>>());
        let sign = |most: &Most| match most {
            Most::Wall => '#',
            Most::Nothing => ' ',
            Most::Option { o, .. } => digit(*o),
        };
        most.iter().map(|row| row.iter().map(sign).collect()).collect()
    }

    /// How likely `o` gives way in each cell, in tenths to the nearest, 9 from 0.85 on; a space
    /// where no step finds it held.
    pub fn ends(&self, visits: &OptionVisits, o: usize) -> Map {
        let tenths =
            |cell: &Cell| char::from_digit((10.0 * cell.ending()?).round().min(9.0) as u32, 10);
        draw(&self.cells(visits, o), tenths)
    }
}

/// What a cell is held by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Most {
    /// There is no state.
    Wall,
    /// There is no live step.
    Nothing,
    /// An option, and its share of the live steps there.
    Option { o: usize, share: f64 },
}

/// The option held most in each cell, of the cells of each option.
pub fn held_most(options: &[Cells]) -> Vec<Vec<Most>> {
    let Some(first) = options.first() else { return vec![] };
    let most = |row: usize, column: usize| {
        let visits: Option<Vec<f64>> =
            options.iter().map(|cells| cells[row][column].as_ref().map(Cell::visits)).collect();
        let Some(visits) = visits else { return Most::Wall };
        largest(&visits).map_or(Most::Nothing, |o| Most::Option {
            o,
            share: visits[o] / visits.iter().sum::<f64>(),
        })
    };
    first
        .iter()
        .enumerate()
        .map(|(row, cells)| (0..cells.len()).map(|column| most(row, column)).collect())
        .collect()
}

/// The sign of an option: a digit, and then letters.
pub fn digit(o: usize) -> char {
    char::from_digit(o as u32, 36).unwrap_or('?')
}

/// A character for each cell; `#` where there is no state.
fn draw(cells: &Cells, character: impl Fn(&Cell) -> Option<char>) -> Map {
    let sign =
        |cell: &Option<Cell>| cell.as_ref().map_or('#', |cell| character(cell).unwrap_or(' '));
    cells.iter().map(|row| row.iter().map(sign).collect()).collect()
}

/// Maps beside each other, each under its title.
pub fn beside(maps: &[(String, Map)]) -> String {
    let width = |(title, map): &(String, Map)| {
        map.iter().map(|row| row.chars().count()).chain([title.chars().count()]).max().unwrap_or(0)
    };
    let height = maps.iter().map(|(_, map)| map.len()).max().unwrap_or(0);
    let mut text = String::new();
    for line in 0..=height {
        let of = |(title, map): &(String, Map)| {
            if line == 0 { title.clone() } else { map.get(line - 1).cloned().unwrap_or_default() }
        };
        let row: Vec<String> =
            maps.iter().map(|map| format!("{:<1$}", of(map), width(map))).collect();
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
               s[t+1] ~ Delta(if s[t].x == 1 then s[t] else {{ y: clamp(s[t].y + [{up}, 0, \
               0][a[t]], 3, 4), x: s[t].x }})
             }}
             kernel pi(a | s) = Categorical(logits = table(s))
             prior {{ s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }}
             posterior {{ s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ e.transition(s[t], a[t]) }}"
        );
        check(&parse(&Source::new("test", text)).unwrap(), &Overrides::default()).unwrap()
    }

    /// States in order: (3, 0), (3, 1), (3, 2), (4, 0), (4, 2).
    fn visits() -> OptionVisits {
        let mut visits = OptionVisits {
            values: 2,
            actions: 3,
            steps: vec![0.0; 30],
            starts: vec![1.0; 2],
            held: vec![0.0; 10],
            ends: vec![0.0; 10],
        };
        for (state, o, action, steps) in [
            (0, 0, 2, 0.5),
            (0, 0, 1, 0.2),
            (0, 1, 0, 0.3),
            (1, 1, 1, 2.0),
            (2, 0, 0, 0.1),
            (2, 1, 0, 0.2),
            (4, 0, 2, 1.0),
        ] {
            visits.steps[(state * 2 + o) * 3 + action] = steps;
        }
        (visits.held[0], visits.ends[0], visits.held[2], visits.held[4], visits.ends[4]) =
            (0.5, 0.15, 0.2, 0.3, 0.3);
        visits
    }

    #[test]
    fn maps_show_walls_actions_options_and_ends() {
        let grid = |up: i32| {
            let model = world(up);
            Grid::new(&model, EnvironmentId(0), &tabulate(&model, EnvironmentId(0)).unwrap())
                .unwrap()
        };
        let down = grid(-1);
        assert_eq!(down.actions(&visits(), 0), ["→ ↑", " #→"]);
        assert_eq!(down.actions(&visits(), 1), ["↑w↑", " # "]);
        assert_eq!(down.held_most(&visits()), ["011", " #0"]);
        assert_eq!(down.ends(&visits(), 0), ["309", " # "]);
        assert_eq!(grid(1).held_most(&visits()), [" #0", "011"], "up lets y grow");
        let cells = down.cells(&visits(), 0);
        let corner = cells[0][0].as_ref().unwrap();
        assert_eq!(
            (corner.y, corner.x, corner.ended, corner.action(), corner.ending()),
            (3, 0, false, Some(2), Some(0.3))
        );
        assert!((corner.visits() - 0.7).abs() < 1e-12 && cells[1][1].is_none());
        assert_eq!(grid(1).cells(&visits(), 0)[0][0].as_ref().unwrap().y, 4);
        let together = OptionVisits {
            steps: vec![1.0; 6],
            held: vec![1.0; 2],
            ends: vec![0.0; 2],
            ..visits()
        };
        assert_eq!(
            down.held_most(&together),
            ["   ", " # "],
            "counts of all states together tell of none"
        );
        let side = beside(&[
            ("one".to_owned(), down.actions(&visits(), 0)),
            ("two".to_owned(), down.ends(&visits(), 0)),
        ]);
        assert_eq!(side, "  one   two\n  → ↑   309\n   #→    #\n");
    }
}
