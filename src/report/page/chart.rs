//! Curves in common axes, as a drawing in SVG.

use super::super::curves::Spread;
use super::decades::Decades;
use super::ink;
use maud::{Markup, PreEscaped, html};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;

/// Units of the drawing: fine, since its coordinates are whole numbers. It is shown at about half
/// of that.
const WIDTH: u32 = 1120;
const HEIGHT: u32 = 620;
/// Beyond this a number is not drawn.
const LARGEST: f64 = 1e100;
/// An axis is logarithmic where its largest number is as many times its least.
const DECADES: f64 = 50.0;

/// What is drawn.
#[derive(Default)]
pub struct Chart {
    /// Unique on the page.
    pub id: String,
    /// What a reader who does not see it is told.
    pub title: String,
    /// Where the axis of environment steps begins.
    pub from: f64,
    /// By number of the series.
    pub curves: Vec<(usize, Vec<(f64, f64)>)>,
    /// Where the curves stand behind it.
    pub spread: Option<Spread>,
    pub levels: Vec<(RGBColor, f64)>,
    pub scale: Scale,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    #[default]
    Linear,
    /// Where the numbers are positive and far apart.
    Logarithmic,
}

impl Chart {
    /// Nothing where there is no point to draw.
    pub fn draw(&self) -> Option<Markup> {
        let points = self.curves.iter().flat_map(|(_, points)| points);
        let drawn: Vec<(f64, f64)> =
            points.copied().filter(|&(x, y)| is_drawn(x) && is_drawn(y)).collect();
        let furthest = drawn.iter().map(|point| point.0).reduce(f64::max)?;
        let least = drawn.iter().map(|point| point.1).filter(|&y| y > 0.0).reduce(f64::min);
        let heights = drawn
            .iter()
            .map(|point| point.1)
            .chain(self.levels.iter().map(|level| level.1).filter(|&y| is_drawn(y)));
        let (lowest, highest) =
            heights.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), y| (lo.min(y), hi.max(y)));
        let x = self.from..if furthest > self.from { furthest } else { self.from + 1.0 };
        let drawing = match (self.scale, least) {
            (Scale::Logarithmic, Some(least)) if highest > DECADES * least && lowest >= 0.0 => {
                self.paint(x, Decades::between(least, highest), &|y| power(*y))
            }
            _ => {
                let y = widened(lowest, highest);
                let step = (y.end - y.start) / 5.0;
                self.paint(x, y, &|y| tick(*y, step))
            }
        };
        // a drawing into a text cannot fail; if it should, the page is better without it than not
        // there
        let drawing = drawing.ok()?;
        let inside = drawing
            .split_once('>')
            .map_or("", |(_, inside)| inside)
            .trim_end()
            .trim_end_matches("</svg>");
        Some(html! {
            svg class="chart" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) }
                role="img" aria-labelledby=(self.id) {
                title id=(self.id) { (self.title) }
                (PreEscaped(inside))
            }
        })
    }

    fn paint<Y>(
        &self,
        x: Range<f64>,
        y: Y,
        label: &dyn Fn(&f64) -> String,
    ) -> Result<String, Box<dyn std::error::Error>>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let mut text = String::new();
        {
            let area = SVGBackend::with_string(&mut text, (WIDTH, HEIGHT)).into_drawing_area();
            let mut chart = ChartBuilder::on(&area)
                .margin(14)
                .margin_right(36)
                .x_label_area_size(52)
                .y_label_area_size(130)
                .build_cartesian_2d(x.clone(), y)?;
            let font = ("sans-serif", 30).into_font();
            let x_step = (x.end - x.start) / 5.0;
            let mut mesh = chart.configure_mesh();
            mesh.max_light_lines(0)
                .bold_line_style(ink::GRID)
                .axis_style(ink::AXIS)
                .label_style(font)
                .x_labels(6)
                .y_labels(6);
            mesh.x_label_formatter(&|x| tick(*x, x_step)).y_label_formatter(&label).draw()?;
            for &(ink, y) in self.levels.iter().filter(|level| is_drawn(level.1)) {
                chart.draw_series(LineSeries::new(
                    [(x.start, y), (x.end, y)],
                    ink.stroke_width(3),
                ))?;
            }
            let behind = if self.spread.is_some() { 0.35 } else { 1.0 };
            for (number, points) in &self.curves {
                for piece in points
                    .split(|&(x, y)| !(is_drawn(x) && is_drawn(y)))
                    .filter(|piece| !piece.is_empty())
                {
                    let ink = ink::series(*number);
                    match piece {
                        [alone] => {
                            chart.draw_series([Circle::new(*alone, 5, ink.mix(behind).filled())])?
                        }
                        piece => chart.draw_series(LineSeries::new(
                            piece.iter().copied(),
                            ink.mix(behind).stroke_width(3),
                        ))?,
                    };
                }
            }
            if let Some(spread) = &self.spread {
                let there =
                    |k: usize| spread.at.iter().map(move |(x, quartiles)| (*x, quartiles[k]));
                let around: Vec<(f64, f64)> = there(0).chain(there(2).rev()).collect();
                chart.draw_series([Polygon::new(around, ink::BAND.mix(0.18))])?;
                chart.draw_series(LineSeries::new(there(1), ink::MEDIAN.stroke_width(5)))?;
            }
            area.present()?;
        }
        Ok(text)
    }
}

fn is_drawn(number: f64) -> bool {
    number.abs() < LARGEST
}

/// Some room around the numbers, and a range where all are one.
fn widened(lowest: f64, highest: f64) -> Range<f64> {
    let size = lowest.abs().max(highest.abs());
    let room = (0.05 * (highest - lowest)).max(1e-6 * size).max(1e-9);
    lowest - room..highest + room
}

/// A number at an axis whose labels are about `step` apart.
fn tick(number: f64, step: f64) -> String {
    let (unit, letter) = match number.abs().max(step) {
        size if !(1e-4..1e15).contains(&size) => {
            return if number.abs() < 1e-9 * step {
                "0".to_owned()
            } else {
                signed(format!("{number:.1e}"))
            };
        }
        size if size >= 1e9 => (1e9, "\u{202f}G"),
        size if size >= 1e6 => (1e6, "\u{202f}M"),
        size if size >= 1e4 => (1e3, "\u{202f}k"),
        _ => (1.0, ""),
    };
    let number = if number.abs() < 1e-9 * step { return "0".to_owned() } else { number / unit };
    let decimals = (0.3 - (step / unit).log10()).ceil().clamp(0.0, 8.0) as usize;
    let text = format!("{number:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    signed(text + letter)
}

/// A number at a logarithmic axis.
fn power(number: f64) -> String {
    match number {
        number if (1e-3..1e4).contains(&number) => {
            format!("{number:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        number => signed(format!("{number:.0e}")),
    }
}

/// With the sign that is as wide as a digit.
fn signed(text: String) -> String {
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(points: &[(f64, f64)], scale: Scale) -> Option<String> {
        let chart = Chart {
            id: "c".to_owned(),
            title: "a < b".to_owned(),
            curves: vec![(0, points.to_vec())],
            scale,
            ..Chart::default()
        };
        chart.draw().map(|drawing| drawing.into_string())
    }

    #[test]
    fn a_curve_is_a_line_with_a_name() {
        let drawing = drawn(&[(0.0, -2.0), (50_000.0, -1.0)], Scale::Linear).unwrap();
        assert!(
            drawing.contains("<title id=\"c\">a &lt; b</title>") && drawing.ends_with("</svg>"),
            "{drawing}"
        );
        assert!(drawing.contains("50\u{202f}k") && drawing.contains("−1.4"), "{drawing}");
        assert_eq!(drawing.matches("stroke=\"#0072B2\"").count(), 1, "{drawing}");
    }

    #[test]
    fn what_is_not_finite_breaks_the_line_and_nothing_else() {
        let nan = f64::NAN;
        let drawing = drawn(
            &[(0.0, 1.0), (1.0, 2.0), (2.0, nan), (3.0, 1e300), (4.0, 1.0), (5.0, f64::INFINITY)],
            Scale::Linear,
        )
        .unwrap();
        assert_eq!(
            (drawing.matches("<polyline").count() > 0, drawing.matches("<circle").count()),
            (true, 1),
            "{drawing}"
        );
        assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
        assert_eq!(drawn(&[(0.0, nan)], Scale::Linear), None);
        assert_eq!(drawn(&[], Scale::Linear), None);
    }

    #[test]
    fn ranges_of_one_number_and_of_many_decades() {
        for y in [0.0, -3.0, 1e99, 1e-300] {
            assert!(drawn(&[(0.0, y)], Scale::Linear).is_some(), "{y}");
        }
        let drawing = drawn(&[(1.0, 0.01), (2.0, 1000.0), (3.0, 0.0)], Scale::Logarithmic).unwrap();
        assert!(drawing.contains("\n0.1\n") && drawing.contains("\n100\n"), "{drawing}");
        assert!(drawn(&[(1.0, -1.0), (2.0, 1000.0)], Scale::Logarithmic).is_some());
    }

    /// Whatever a log may hold in a column, alone, beside any other, and between two: drawn in no
    /// time, or not at all.
    #[test]
    fn every_number_is_drawn_or_left_out() {
        let least = f64::from_bits(1);
        let sizes = [
            0.0,
            least,
            1e-320,
            f64::MIN_POSITIVE,
            1e-300,
            1e-20,
            1.0,
            1.0 + f64::EPSILON,
            3e15,
            1e99,
            1e100,
            f64::MAX,
        ];
        let both = sizes.iter().flat_map(|size| [*size, -size]);
        let numbers: Vec<f64> = both.chain([f64::INFINITY, f64::NEG_INFINITY, f64::NAN]).collect();
        let begun = std::time::Instant::now();
        for (&one, &other) in
            numbers.iter().flat_map(|one| numbers.iter().map(move |other| (one, other)))
        {
            for x in [0.0, 1.0, 1e18, u64::MAX as f64] {
                let points = [(x, one), (x, other), (x + 1.0, one), (2.0 * x, 1.0)];
                for scale in [Scale::Linear, Scale::Logarithmic] {
                    let drawing = drawn(&points, scale)
                        .unwrap_or_else(|| panic!("1 at {x} is a point to draw"));
                    assert!(
                        !drawing.contains("NaN") && !drawing.contains("inf"),
                        "{one} {other} {x}: {drawing}"
                    );
                    assert!(drawing.len() < 100_000, "{one} {other} {x}: {} bytes", drawing.len());
                }
            }
        }
        assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    }

    #[test]
    fn ticks_are_short() {
        let told = [
            (0.0, 1.0),
            (-0.25, 0.1),
            (200_000.0, 5e4),
            (1.5e6, 5e5),
            (-100.0, 20.0),
            (3e-7, 1e-7),
        ]
        .map(|(x, step)| tick(x, step));
        assert_eq!(told, ["0", "−0.25", "200\u{202f}k", "1.5\u{202f}M", "−100", "3.0e−7"]);
        assert_eq!([power(0.01), power(100.0), power(1e-5)], ["0.01", "100", "1e−5"]);
    }
}
