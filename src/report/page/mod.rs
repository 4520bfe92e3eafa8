//! One page of several runs: tables, curves, maps, and the models' texts and bounds, in HTML that
//! needs no other file and no script.
//!
//! Runs of one model stand side by side, in one section and in the same axes: one model is one
//! name, the same declarations and the same factors, whatever the values of its `param`s, its
//! horizon and its `infer` block. Bounds of different models differ in what they bound, so that
//! each has a section of its own; their returns stand in one figure where environment, horizon and
//! the `param`s these name are the same.

mod chart;
mod decades;
mod figures;
mod grids;
mod ink;
mod number;
mod options;
mod tables;

use super::curves::Curves;
use super::maps::Grid;
use super::options::OptionSummary;
use super::settings::differing;
use super::summary::Summary;
use crate::exact::OptionVisits;
use indexmap::IndexMap;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// All that is shown of a run.
pub struct ShownRun {
    /// Its folder, as it was named.
    pub name: String,
    pub model: String,
    pub seed: u64,
    /// Batches that were asked for.
    pub planned: u64,
    /// As [`settings`](fn@super::settings).
    pub settings: IndexMap<String, String>,
    /// As [`form`](super::form).
    pub form: String,
    /// As [`surroundings`](super::surroundings).
    pub surroundings: String,
    /// Name and text of the model file as run, and of the environments beside it.
    pub files: Vec<(String, String)>,
    /// By bound of the file: its name, and the bound and its gradient in MathML.
    pub bounds: Vec<(Option<String>, String)>,
    /// Of a run that came to its end.
    pub summary: Option<Summary>,
    pub curves: Curves,
    /// Where the environment moves in a grid.
    pub grid: Option<Grid>,
    pub options: Vec<ShownOption>,
    /// Of a policy without options in a grid, by the oracle.
    pub visits: Option<OptionVisits>,
    /// What is missing, and why: a sentence each.
    pub notes: Vec<String>,
}

/// An option of a run.
pub struct ShownOption {
    pub sampled: OptionSummary,
    pub exact: Option<OptionSummary>,
    /// Those of the oracle where there is `exact`, else those of the sampled trajectories.
    pub visits: OptionVisits,
}

/// The runs of one model, and the name by which the page points at them.
struct Section<'a> {
    id: String,
    /// The model's, with a number where another model has the same.
    title: String,
    runs: Vec<&'a ShownRun>,
}

impl Section<'_> {
    /// The settings in which its runs differ.
    fn differing(&self) -> Vec<String> {
        differing(self.runs.iter().map(|run| &run.settings))
    }

    /// Its runs differ in nothing but their seeds, so that their medians mean something.
    fn is_repeated(&self) -> bool {
        self.runs.len() > 1 && self.differing().is_empty()
    }
}

/// The page of `runs`, in their order. The same runs give the same bytes.
pub fn page(runs: &[ShownRun]) -> String {
    let sections = sections(runs);
    let title = match &sections[..] {
        [section] => format!("{}: {}", section.title, runs_of(section.runs.len())),
        _ => format!("{} of {} models", runs_of(runs.len()), sections.len()),
    };
    let most = sections
        .iter()
        .map(|section| section.runs.len())
        .chain([sections.len()])
        .max()
        .unwrap_or(0);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – rlppl report" }
                style { (PreEscaped(include_str!("style.css"))) (PreEscaped(ink::rules(most))) }
            }
            body {
                header {
                    h1 { (title) }
                    @if sections.len() > 1 {
                        nav aria-label="Models" {
                            ul { @for section in &sections {
                                li { a href={ "#" (section.id) } { (section.title) } }
                            } }
                        }
                    }
                }
                main {
                    section aria-labelledby="runs" {
                        h2 id="runs" { "Runs" }
                        (tables::runs(&sections))
                    }
                    (figures::side_by_side(&sections))
                    @for section in &sections { (model(section)) }
                }
                footer { p {
                    "Drawn by " code { "rlppl report" } " from the folders of the runs. Entropies, \
                     divergences, evidence and bounds are in nats."
                } }
            }
        }
    };
    page.into_string() + "\n"
}

fn model(section: &Section) -> Markup {
    let id = &section.id;
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (section.title) }
            (bounds(section))
            (tables::exact(section))
            (figures::curves(section))
            (options::options(section))
            (grids::policies(section))
            (texts(section))
        }
    }
}

/// They follow from the factors, so that all runs of a section have the same.
fn bounds(section: &Section) -> Markup {
    html! {
        @for (name, formulas) in section.runs.first().map_or(&[][..], |run| &run.bounds) {
            h3 { "Bound and gradient" @if let Some(name) = name { " of " code { (name) } } }
            div.wide tabindex="0" role="group" aria-label="Bound and gradient" {
                (PreEscaped(formulas))
            }
        }
    }
}

/// The text of the first of all runs that have the same settings, and which these are: they differ
/// in their seeds alone.
fn texts(section: &Section) -> Markup {
    let mut alike: Vec<(&ShownRun, Vec<&str>)> = vec![];
    for run in &section.runs {
        match alike.iter_mut().find(|(first, _)| first.settings == run.settings) {
            Some((_, names)) => names.push(&run.name),
            None => alike.push((run, vec![&run.name])),
        }
    }
    html! {
        h3 { "Model as run" }
        @for (first, names) in &alike {
            @for (name, text) in &first.files {
                details {
                    summary { code { (name) } " of " (names.join(", ")) }
                    @if names.len() > 1 { p.caption { "That of " (first.name) "; the others’ has \
                                                                               their own seed." } }
                    pre tabindex="0" { code { (text) } }
                }
            }
        }
    }
}

fn sections(runs: &[ShownRun]) -> Vec<Section<'_>> {
    let mut found: IndexMap<(&str, &str), Vec<&ShownRun>> = IndexMap::new();
    for run in runs {
        found.entry((&run.model, &run.form)).or_default().push(run);
    }
    let mut sections: Vec<Section> = vec![];
    for (number, ((model, _), runs)) in found.into_iter().enumerate() {
        let earlier = sections.iter().filter(|section| section.runs[0].model == model).count();
        let title =
            if earlier == 0 { model.to_owned() } else { format!("{model} ({})", earlier + 1) };
        sections.push(Section { id: format!("model-{}", number + 1), title, runs });
    }
    sections
}

fn runs_of(count: usize) -> String {
    if count == 1 { "1 run".to_owned() } else { format!("{count} runs") }
}
