//! Curves of runs in common axes.

use super::super::curves::{self, thin};
use super::chart::{Chart, Scale};
use super::{Section, ShownRun, ink};
use indexmap::IndexMap;
use maud::{Markup, html};
use plotters::style::RGBColor;

/// Points of a curve.
const POINTS: usize = 250;
/// From this many runs on that differ in their seeds alone, their median and quartiles are drawn as
/// well.
const MANY: usize = 7;

/// The curves of one model's runs: bound and return first, then what else was logged, then the
/// terms of the bound.
pub fn curves(section: &Section) -> Markup {
    let names = names(&section.runs);
    if names.is_empty() {
        return html! { h3 { "Curves" } p { "Nothing has been logged yet." } };
    }
    let (terms, others): (Vec<&String>, Vec<&String>) =
        names.iter().partition(|name| name.starts_with("terms."));
    // a bound of one term is that term
    let terms = if terms.len() > 1 { terms } else { vec![] };
    let levels = levels(&section.runs);
    html! {
        h3 { "Curves" }
        (legend(section, &levels))
        div.figures {
            @for name in others {
                (quantity(section, name, &levels))
                @if name == "bound" { (last_half(section, &levels)) }
            }
        }
        @if !terms.is_empty() {
            h4 { "Terms of the bound" }
            div.figures { @for name in terms { (quantity(section, name, &[])) } }
        }
        p.caption { (thinned(&section.runs)) }
    }
}

/// The returns of models whose environment and horizon are the same, a line for each model.
pub fn side_by_side(sections: &[Section]) -> Markup {
    let mut alike: IndexMap<&str, Vec<&Section>> = IndexMap::new();
    for (section, run) in
        sections.iter().flat_map(|section| section.runs.iter().map(move |run| (section, run)))
    {
        let found = alike.entry(&run.surroundings).or_default();
        if !found.iter().any(|known| known.id == section.id) {
            found.push(section);
        }
    }
    let shared = alike.iter().enumerate().filter(|(_, (_, found))| found.len() > 1);
    let figures = shared.filter_map(|(number, (surroundings, found))| {
        let line = |(at, section): (usize, &&Section)| {
            let runs = section.runs.iter().filter(|run| run.surroundings == *surroundings);
            let curves: Vec<Vec<(f64, f64)>> = runs
                .filter_map(|run| Some(thin(run.curves.of.get("expected_return")?, POINTS)))
                .collect();
            match &curves[..] {
                [alone] => (at, alone.clone()),
                many => (
                    at,
                    curves::spread(many, POINTS).map_or(vec![], |spread| {
                        spread.at.iter().map(|(x, of)| (*x, of[1])).collect()
                    }),
                ),
            }
        };
        let titles: Vec<&str> = found.iter().map(|section| section.title.as_str()).collect();
        let chart = Chart {
            id: format!("return-{}", number + 1),
            title: format!("Return over environment steps of {}", titles.join(", ")),
            curves: found.iter().enumerate().map(line).collect(),
            ..Chart::default()
        };
        let drawing = chart.draw()?;
        Some(html! {
            figure {
                figcaption { "Return of models of one environment, over environment steps; of \
                              several runs of a model, their median" }
                ul.legend { @for (at, section) in found.iter().enumerate() {
                    li { (swatch(at)) a href={ "#" (section.id) } { (section.title) } }
                } }
                (drawing)
            }
        })
    });
    let figures: Vec<Markup> = figures.collect();
    html! {
        @if !figures.is_empty() {
            section aria-labelledby="together" {
                h2 id="together" { "Models side by side" }
                div.figures { @for figure in &figures { (figure) } }
            }
        }
    }
}

/// How run number `at` of a section is drawn.
pub fn swatch(at: usize) -> Markup {
    line(ink::series(at), "swatch")
}

fn line(ink: RGBColor, class: &str) -> Markup {
    html! {
        svg class=(class) viewBox="0 0 48 12" aria-hidden="true" {
            line x1="0" y1="6" x2="48" y2="6" stroke=(ink::hex(ink)) stroke-width="4" {}
        }
    }
}

fn legend(section: &Section, levels: &[(&'static str, RGBColor, f64)]) -> Markup {
    html! {
        ul.legend {
            @for (at, run) in section.runs.iter().enumerate() { li { (swatch(at)) (run.name) } }
            @if has_spread(section) { li { (line(ink::MEDIAN, "swatch")) "median, between the \
                                                                          quartiles" } }
            @for (name, ink, value) in levels {
                li { (line(*ink, "swatch")) (name) " " (super::number::number(*value)) }
            }
        }
    }
}

/// All that was logged, in the order of its first line, what everybody looks at first.
fn names(runs: &[&ShownRun]) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for name in ["bound", "expected_return"]
        .into_iter()
        .chain(runs.iter().flat_map(|run| run.curves.of.keys().map(String::as_str)))
    {
        if !names.iter().any(|known| known == name)
            && runs.iter().any(|run| run.curves.of.contains_key(name))
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// What the bound can reach, where all runs that know it agree.
fn levels(runs: &[&ShownRun]) -> Vec<(&'static str, RGBColor, f64)> {
    let exact = || runs.iter().filter_map(|run| run.summary.as_ref()?.exact.as_ref());
    let agreed = |values: Vec<f64>| {
        let first = *values.first()?;
        values
            .iter()
            .all(|value| (value - first).abs() <= 1e-9 * first.abs().max(1.0))
            .then_some(first)
    };
    let best = agreed(exact().map(|exact| exact.best_bound).collect())
        .map(|best| ("best bound", ink::BEST, best));
    let evidence = agreed(exact().map(|exact| exact.log_evidence).collect())
        .map(|evidence| ("log evidence", ink::EVIDENCE, evidence));
    best.into_iter().chain(evidence).collect()
}

/// A number of the log as the runs of a section have it.
fn of_runs(section: &Section, name: &str) -> Vec<(usize, Vec<(f64, f64)>)> {
    let of_run =
        |(at, run): (usize, &&ShownRun)| Some((at, thin(run.curves.of.get(name)?, POINTS)));
    section.runs.iter().enumerate().filter_map(of_run).collect()
}

fn quantity(section: &Section, name: &str, levels: &[(&'static str, RGBColor, f64)]) -> Markup {
    let (title, unit) = meaning(name);
    let scale = if ["gradient_norm", "baseline_error"].contains(&name) {
        Scale::Logarithmic
    } else {
        Scale::Linear
    };
    let chart = Chart {
        id: format!("{}-{}", section.id, word(name)),
        title: format!("{title} over environment steps of the runs of {}", section.title),
        levels: if name == "bound" {
            levels.iter().map(|(_, ink, value)| (*ink, *value)).collect()
        } else {
            vec![]
        },
        scale,
        ..together(section, of_runs(section, name))
    };
    let unit = if unit.is_empty() { String::new() } else { format!(", {unit}") };
    html! {
        figure {
            figcaption { (title) (unit) }
            @match chart.draw() {
                Some(drawing) => { (drawing) }
                None => { p { "No value of it is finite." } }
            }
        }
    }
}

/// The bound where it has left its beginning behind, which may be so low that nothing of what
/// follows is seen beside it.
fn last_half(section: &Section, levels: &[(&'static str, RGBColor, f64)]) -> Markup {
    let mut curves = of_runs(section, "bound");
    let furthest =
        curves.iter().flat_map(|(_, curve)| curve).map(|point| point.0).fold(0.0, f64::max);
    curves.iter_mut().for_each(|(_, curve)| curve.retain(|point| point.0 >= furthest / 2.0));
    let chart = Chart {
        id: format!("{}-last-half", section.id),
        title: format!(
            "Bound in the last half of the environment steps of the runs of {}",
            section.title
        ),
        levels: levels
            .iter()
            .filter(|level| level.1 == ink::BEST)
            .map(|(_, ink, value)| (*ink, *value))
            .collect(),
        from: furthest / 2.0,
        ..together(section, curves)
    };
    // of fewer points there is nothing more to see
    let enough = chart.curves.iter().any(|(_, curve)| curve.len() > 5);
    html! {
        @if let Some(drawing) = chart.draw().filter(|_| enough) {
            figure { figcaption { "Bound, nats: the last half" } (drawing) }
        }
    }
}

/// Curves in common axes, with their spread where they are many.
fn together(section: &Section, curves: Vec<(usize, Vec<(f64, f64)>)>) -> Chart {
    let all = || curves.iter().map(|(_, curve)| curve.clone()).collect::<Vec<_>>();
    let spread = if has_spread(section) { curves::spread(&all(), POINTS) } else { None };
    Chart { curves, spread, ..Chart::default() }
}

fn has_spread(section: &Section) -> bool {
    section.runs.len() >= MANY && section.is_repeated()
}

/// What a number of the log is, and its unit.
fn meaning(name: &str) -> (String, &'static str) {
    let known = [
        ("bound", "Bound", "nats"),
        ("expected_return", "Return", ""),
        ("entropy", "Entropy of the policy", "nats a live step"),
        ("kl", "KL of actions and options from the prior", "nats a trajectory"),
        ("gradient_norm", "Norm of the gradient", "before clipping"),
        ("baseline_error", "Mean squared error of the baseline", ""),
        ("round.expected_return", "Expected log-likelihood after a round", "nats, exact"),
        ("round.gain", "Gain of expected log-likelihood in a round", "nats, exact"),
        ("round.kl", "KL of a round from the last", "nats, exact"),
        ("round.shortfall", "Shortfall of a round’s gain from its KL", "nats, exact"),
    ];
    if let Some((_, title, unit)) = known.iter().find(|(known, ..)| *known == name) {
        return (title.to_string(), unit);
    }
    match (name.strip_prefix("terms."), name.strip_prefix("rewards.")) {
        (Some(term), _) => (term.to_owned(), "nats"),
        (None, Some(reward)) => (format!("Return of {reward}"), ""),
        (None, None) => (name.to_owned(), ""),
    }
}

/// A name as a part of an identifier of the page; different names of a log differ in it, too.
fn word(name: &str) -> String {
    name.chars()
        .map(
            |c| {
                if c.is_ascii_alphanumeric() {
                    c.to_string()
                } else {
                    format!("-{:x}", u32::from(c))
                }
            },
        )
        .collect()
}

fn thinned(runs: &[&ShownRun]) -> String {
    let longest =
        runs.iter().flat_map(|run| run.curves.of.values().map(Vec::len)).max().unwrap_or(0);
    let together = longest.div_ceil(POINTS);
    let means = if together > 1 {
        format!(" Each point is the mean of up to {together} logged batches.")
    } else {
        String::new()
    };
    format!("Over environment steps, each estimated from the batch it was logged at.{means}")
}
