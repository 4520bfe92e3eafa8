//! What the options of the runs are used for: tables, and in a grid world maps.

use super::super::noise::without_noise;
use super::super::options::{Information, OptionSummary};
use super::number::{difference, number, optional};
use super::{Section, ShownOption, ShownRun, figures, grids};
use maud::{Markup, html};

/// Nothing of a model without options.
pub fn options(section: &Section) -> Markup {
    let names: Vec<&str> = section
        .runs
        .iter()
        .map(|run| &run.options)
        .max_by_key(|options| options.len())
        .map_or(vec![], |options| {
            options.iter().map(|option| option.sampled.option.as_str()).collect()
        });
    html! {
        @for name in names {
            h3 { "Option " code { (name) } }
            (informations(section, name))
            @for (at, run) in section.runs.iter().enumerate() {
                @let option = run.options.iter().find(|option| option.sampled.option == name);
                @if let Some(option) = option {
                    details open[at == 0] {
                        summary { (figures::swatch(at)) (run.name) }
                        (usage(option))
                        (grids::option(&format!("{}-run-{at}", section.id), run, option))
                    }
                }
            }
        }
    }
}

/// What the options tell, a row for each run, where the oracle says so.
fn informations(section: &Section, name: &str) -> Markup {
    let of = |run: &ShownRun| -> Option<(Option<f64>, Information)> {
        let told =
            run.options.iter().find(|option| option.sampled.option == name)?.exact.clone()?;
        Some((told.duration, told.information?))
    };
    let rows: Vec<(usize, &ShownRun, Option<f64>, Information)> = section
        .runs
        .iter()
        .enumerate()
        .filter_map(|(at, run)| of(run).map(|(duration, told)| (at, *run, duration, told)))
        .collect();
    if rows.is_empty() {
        return html! {};
    }
    let ends = rows.iter().any(|(.., told)| told.end_information.is_some());
    html! {
        div.wide tabindex="0" role="group" aria-label={ "What " (name) " tells" } {
            table {
                thead {
                    tr {
                        th scope="col" { "run" }
                        th scope="col" { "mean duration" }
                        th scope="col" { "I(" (name) "; a | s)" }
                        th scope="col" { "I(" (name) "; s, a)" }
                        @if ends { th scope="col" { "I(" (name) "; s[T+1])" } }
                    }
                }
                tbody {
                    @for (at, run, duration, told) in &rows {
                        tr {
                            th scope="row" { (figures::swatch(*at)) (run.name) }
                            td { (optional(*duration)) }
                            td { (difference(told.action_information)) }
                            td { (difference(told.state_action_information)) }
                            @if ends { td { (optional(told.end_information.map(without_noise))) } }
                        }
                    }
                }
            }
        }
        p.caption {
            "Exact, in nats, means over the live steps: what the option tells of the action \
             beyond what the state does, and what state and action tell of the option."
            @if ends { " Of an option drawn once also what the end of the episode tells of it." }
            " Durations are in steps."
        }
    }
}

fn usage(option: &ShownOption) -> Markup {
    let name = &option.sampled.option;
    let columns = |from: &str| {
        html! {
            th scope="col" { "usage" (from) }
            th scope="col" { "duration" (from) }
            th scope="col" { "ends" (from) }
        }
    };
    let row = |of: &OptionSummary, at: usize| {
        of.values.get(at).map_or_else(
            || html! { td { "–" } td { "–" } td { "–" } },
            |value| {
                html! {
                    td { (number(value.usage)) }
                    td { (optional(value.duration)) }
                    td { (optional(value.ends)) }
                }
            },
        )
    };
    let all = |of: &OptionSummary| html! { td {} td { (optional(of.duration)) } td {} };
    html! {
        div.wide tabindex="0" role="group" aria-label={ "Use of " (name) } {
            table {
                thead {
                    tr {
                        th scope="col" { (name) }
                        @if option.exact.is_some() { (columns(", exact")) }
                        (columns(", sampled"))
                    }
                }
                tbody {
                    @for (at, value) in option.sampled.values.iter().enumerate() {
                        tr {
                            th scope="row" { (value.value) }
                            @if let Some(exact) = &option.exact { (row(exact, at)) }
                            (row(&option.sampled, at))
                        }
                    }
                    tr.median {
                        th scope="row" { "all" }
                        @if let Some(exact) = &option.exact { (all(exact)) }
                        (all(&option.sampled))
                    }
                }
            }
        }
    }
}
