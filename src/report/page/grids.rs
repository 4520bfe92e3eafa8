//! Maps of grid worlds, as drawings in SVG.

use super::super::maps::{Cell, Cells, Grid, Most, digit, held_most};
use super::{Section, ShownOption, ShownRun, figures, ink};
use maud::{Markup, html};

/// Side of a cell.
const SIDE: usize = 40;
/// Cells of a map that is drawn.
const LARGEST: usize = 10_000;

/// Policies without options: the most probable action of each cell.
pub fn policies(section: &Section) -> Markup {
    let map = |(at, run): (usize, &&ShownRun)| {
        let (grid, visits) = (run.grid.as_ref()?, run.visits.as_ref()?);
        let (id, title) =
            (format!("{}-policy-{at}", section.id), format!("Policy of {}", run.name));
        Some(html! {
            figure {
                figcaption { (figures::swatch(at)) (run.name) }
                (actions(grid, &grid.cells(visits, 0), at, &id, &title))
            }
        })
    };
    let maps: Vec<Markup> = section.runs.iter().enumerate().filter_map(map).collect();
    html! {
        @if !maps.is_empty() {
            h3 { "Policy" }
            p.caption { "The most probable action of each cell, exact; the darker, the more live \
                         steps of an episode are spent there. " (marks()) }
            div.maps { @for map in &maps { (map) } }
        }
    }
}

/// Which value is held most where; of each value its most probable action, and where it ends. `id`
/// stands for the run, unique on the page.
pub fn option(id: &str, run: &ShownRun, option: &ShownOption) -> Markup {
    let Some(grid) = &run.grid else { return html! {} };
    let name = &option.sampled.option;
    let cells: Vec<Cells> =
        (0..option.visits.values).map(|o| grid.cells(&option.visits, o)).collect();
    let from = if option.exact.is_some() { "exact" } else { "from sampled trajectories" };
    let id = |what: &str| format!("{id}-{name}-{what}");
    html! {
        p.caption {
            "Maps, " (from) ": held most at each cell, the darker the greater its share; then of \
                             each value the most probable action, the darker the more live steps \
                             are spent there with it"
            @if !option.sampled.once { ", and how likely it ends there, in per cent" }
            ". " (marks())
        }
        div.maps {
            figure {
                figcaption { "held most" }
                (most(&cells, &id("most"), &format!("Which {name} is held most, of {}", run.name)))
            }
            @for (o, value) in option.sampled.values.iter().enumerate() {
                @if let Some(cells) = cells.get(o) { div.pair {
                    figure {
                        @let title = format!("Policy of {name} = {}, of {}", value.value, run.name);
                        figcaption { (name) " = " (value.value) }
                        (actions(grid, cells, o, &id(&format!("actions-{o}")), &title))
                    }
                    @if !option.sampled.once {
                        figure {
                            figcaption { "ends" }
                            (ends(cells, &id(&format!("ends-{o}")), &format!(
    "Where {name} = {} ends, of {}", value.value, run.name)))
                        }
                    }
                } }
            }
        }
    }
}

fn marks() -> &'static str {
    "A ring is where the episode ends, an empty cell is never reached, a grey one is no state."
}

/// A sign, how dark its ground is (0 to 1) and its ink, and what a reader who points at it is told.
struct Mark {
    sign: String,
    shade: f64,
    ink: usize,
    told: String,
}

fn actions(grid: &Grid, cells: &Cells, ink: usize, id: &str, title: &str) -> Markup {
    let most = cells.iter().flatten().flatten().map(Cell::visits).fold(0.0, f64::max);
    let mark = |cell: &Cell| {
        let action = cell.action()?;
        let (visits, name) = (cell.visits(), grid.actions.get(action)?);
        Some(Mark {
            sign: grid.signs.get(action)?.to_string(),
            // the eye tells shades apart by ratios
            shade: (visits / most).sqrt(),
            ink,
            told: format!(
                "{name} with probability {:.3}, {visits:.4} live steps of an episode",
                cell.steps[action] / visits
            ),
        })
    };
    draw(cells, |row, column| cells[row][column].as_ref().and_then(mark), id, title)
}

fn ends(cells: &Cells, id: &str, title: &str) -> Markup {
    let mark = |cell: &Cell| {
        let ending = cell.ending()?;
        Some(Mark {
            sign: format!("{:.0}", 100.0 * ending),
            shade: ending.sqrt(),
            ink: 1,
            told: format!("it ends with probability {ending:.4}"),
        })
    };
    draw(cells, |row, column| cells[row][column].as_ref().and_then(mark), id, title)
}

fn most(options: &[Cells], id: &str, title: &str) -> Markup {
    let Some(cells) = options.first() else { return html! {} };
    let found = held_most(options);
    let mark = |row: usize, column: usize| {
        let Most::Option { o, share } = found[row][column] else { return None };
        Some(Mark {
            sign: digit(o).to_string(),
            shade: share,
            ink: o,
            told: format!("{o} is held in {:.1} % of the live steps", 100.0 * share),
        })
    };
    draw(cells, mark, id, title)
}

fn draw(
    cells: &Cells,
    mark: impl Fn(usize, usize) -> Option<Mark>,
    id: &str,
    title: &str,
) -> Markup {
    let (rows, columns) = (cells.len(), cells.first().map_or(0, Vec::len));
    if rows * columns > LARGEST {
        return html! {
            p { "A grid of " (rows) " × " (columns) " cells is too large to be drawn." }
        };
    }
    let (height, width) = (rows * SIDE, columns * SIDE);
    let of = |row: usize, column: usize| {
        let (x, y) = (column * SIDE, row * SIDE);
        let Some(cell) = &cells[row][column] else {
            return html! { rect.wall x=(x) y=(y) width=(SIDE) height=(SIDE) {} };
        };
        let mark = mark(row, column);
        let told = match &mark {
            Some(mark) => mark.told.as_str(),
            None if cell.ended => "the episode ends",
            None => "never reached",
        };
        html! {
            g {
                title { "y " (cell.y) ", x " (cell.x) ": " (told) }
                rect.cell x=(x) y=(y) width=(SIDE) height=(SIDE) {}
                @if let Some(mark) = &mark {
                    rect x=(x) y=(y) width=(SIDE) height=(SIDE)
                        fill=(ink::hex(ink::series(mark.ink)))
                        fill-opacity=(format!("{:.3}", 0.65 * mark.shade)) {}
                    text x=(x + SIDE / 2) y=(y + SIDE / 2)
                        class=[(mark.sign.chars().count() > 1).then_some("small")] { (mark.sign) }
                } @else if cell.ended {
                    circle.end cx=(x + SIDE / 2) cy=(y + SIDE / 2) r=(SIDE / 4) {}
                }
            }
        }
    };
    html! {
        svg.map viewBox={ "-1 -1 " (width + 2) " " (height + 2) }
            style={ "width:" (width * 3 / 4) "px" } role="img" aria-labelledby=(id) {
            title id=(id) { (title) }
            @for row in 0..rows { @for column in 0..columns { (of(row, column)) } }
        }
    }
}
