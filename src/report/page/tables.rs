//! The numbers of the runs.

use super::super::curves::quantile;
use super::super::summary::{Gap, PolicySummary, Summary};
use super::number::{count, difference, number, seconds, uncertain};
use super::{Section, ShownRun, figures};
use maud::{Markup, html};

/// A row for each run; of runs that differ in their seeds alone also the median.
pub fn runs(sections: &[Section]) -> Markup {
    let named = sections.len() > 1;
    let differs: Vec<Vec<String>> = sections.iter().map(Section::differing).collect();
    let settings = differs.iter().any(|names| !names.is_empty());
    html! {
        div.wide tabindex="0" role="group" aria-label="Runs" {
            table {
                thead {
                    tr {
                        th scope="col" { "run" }
                        @if named { th.text scope="col" { "model" } }
                        th scope="col" { "seed" }
                        @if settings { th.text scope="col" { "settings that differ" } }
                        th scope="col" { "batches" }
                        th scope="col" { "environment steps" }
                        th scope="col" { "seconds" }
                        th scope="col" { "steps a second" }
                        th scope="col" { "bound" }
                        th scope="col" { "expected return" }
                    }
                }
                @for (section, differs) in sections.iter().zip(&differs) {
                    tbody {
                        @for (at, run) in section.runs.iter().enumerate() {
                            tr {
                                th scope="row" { (figures::swatch(at)) (run.name) }
                                @if named {
                                    td.text { a href={ "#" (section.id) } { (section.title) } }
                                }
                                td { (run.seed) }
                                @if settings { td.text { (set(run, differs)) } }
                                (done(run))
                            }
                        }
                        @if section.is_repeated() {
                            (medians(section, usize::from(named) + usize::from(settings)))
                        }
                    }
                }
            }
        }
        p.caption {
            "Bound and return are estimated from trajectories of the final parameters, ± one \
             standard error."
            @if settings { " A setting without a value has its default." }
        }
        (notes(sections))
    }
}

fn set(run: &ShownRun, names: &[String]) -> Markup {
    html! {
        @for (at, name) in names.iter().enumerate() {
            @if at > 0 { br; }
            code { (name) " = " (run.settings.get(name).map_or("–", String::as_str)) }
        }
    }
}

/// From the summary; of a run that did not come to its end, from its log.
fn done(run: &ShownRun) -> Markup {
    let Some(summary) = &run.summary else {
        let rate = run
            .curves
            .wall_seconds
            .filter(|&seconds| seconds > 0.0)
            .map(|seconds| run.curves.env_steps as f64 / seconds);
        return html! {
            td { (count(run.curves.steps)) " of " (count(run.planned)) }
            td { (count(run.curves.env_steps)) }
            td { @match run.curves.wall_seconds {
                Some(time) => { (seconds(time)) },
                None => { "–" },
            } }
            td { @match rate { Some(rate) => { (count(rate as u64)) }, None => { "–" } } }
            td { "–" }
            td { "–" }
        };
    };
    html! {
        td { (count(summary.steps)) }
        td { (count(summary.env_steps)) }
        td { (seconds(summary.wall_seconds)) }
        td { (count((summary.env_steps as f64 / summary.wall_seconds.max(1e-9)) as u64)) }
        td { (uncertain(summary.bound, summary.bound_se)) }
        td {
            @if summary.rewards.is_empty() {
                (uncertain(summary.expected_return, summary.return_se))
            }
            @for (at, own) in summary.rewards.iter().enumerate() {
                @if at > 0 { br; }
                (own.name) " " (uncertain(own.expected_return, own.return_se.unwrap_or(0.0)))
            }
        }
    }
}

fn medians(section: &Section, extra: usize) -> Markup {
    let of = |number: &dyn Fn(&Summary) -> f64| {
        median(section.runs.iter().filter_map(|run| run.summary.as_ref()).map(number))
    };
    let rate = of(&|summary| summary.env_steps as f64 / summary.wall_seconds.max(1e-9));
    html! {
        tr.median {
            th scope="row" { "median" }
            @for _ in 0..=extra { td {} }
            td { (whole(of(&|summary| summary.steps as f64))) }
            td { (whole(of(&|summary| summary.env_steps as f64))) }
            td { @match of(&|summary| summary.wall_seconds) {
                Some(time) => { (seconds(time)) },
                None => { "–" },
            } }
            td { (whole(rate)) }
            td { @match of(&|summary| summary.bound) {
                Some(bound) => { (number(bound)) },
                None => { "–" },
            } }
            td { @match of(&|summary| summary.expected_return) {
                Some(value) => { (number(value)) },
                None => { "–" },
            } }
        }
    }
}

fn whole(value: Option<f64>) -> Markup {
    value.map_or_else(|| html! { "–" }, |value| count(value as u64))
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut finite: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    (!finite.is_empty()).then(|| quantile(&finite, 0.5))
}

fn notes(sections: &[Section]) -> Markup {
    let runs = || sections.iter().flat_map(|section| &section.runs);
    html! {
        @if runs().any(|run| !run.notes.is_empty()) {
            ul.notes { @for run in runs() { @for note in &run.notes {
                li { (run.name) ": " (note) }
            } } }
        }
    }
}

/// What the oracle says of each run; nothing where it says nothing.
pub fn exact(section: &Section) -> Markup {
    let told = |run: &ShownRun| run.summary.as_ref().and_then(|summary| summary.exact.clone());
    let runs: Vec<(usize, &ShownRun)> =
        section.runs.iter().copied().enumerate().filter(|(_, run)| told(run).is_some()).collect();
    if runs.is_empty() {
        return html! {};
    }
    let gaps = || runs.iter().filter_map(|(_, run)| told(run)?.policy?.gap);
    let (policy, family) =
        (gaps().any(|gap| gap.family.is_none()), gaps().any(|gap| gap.family.is_some()));
    let mut found = runs.iter().filter_map(|(_, run)| told(run));
    let sees_hidden_state = found.clone().any(|exact| exact.best_sees_hidden_state);
    let keeps = found.any(|exact| !exact.best_keeps.is_empty());
    html! {
        h3 { "Exact numbers" }
        div.wide tabindex="0" role="group" aria-label="Exact numbers" {
            table {
                thead {
                    tr {
                        th scope="col" { "run" }
                        th scope="col" { "log evidence" }
                        th scope="col" { "best bound" }
                        th scope="col" { "bound" }
                        th scope="col" { "expected return" }
                        th scope="col" { "KL from the prior" }
                        th scope="col" { "gap" }
                        th scope="col" { "dynamics" }
                        @if policy { th scope="col" { "policy" } }
                        @if family { th scope="col" { "family" } th scope="col" { "optimisation" } }
                        th scope="col" { "auxiliary" }
                    }
                }
                tbody {
                    @for (at, run) in &runs {
                        @if let Some(exact) = told(run) {
                            tr {
                                th scope="row" { (figures::swatch(*at)) (run.name) }
                                td { (number(exact.log_evidence)) }
                                td { (number(exact.best_bound)) }
                                @let of = exact.policy.as_ref();
                                (of_policy(of, exact.log_evidence, policy, family))
                            }
                        }
                    }
                    @if section.is_repeated() {
                        tr.median {
                            th scope="row" { "median" }
                            td {} td {}
                            @let policies = runs.iter().filter_map(|(_, run)| told(run)?.policy);
                            @let of = |number: &dyn Fn(&PolicySummary) -> f64| {
                                median(policies.clone().map(|policy| number(&policy)))
                            };
                            td { (super::number::optional(of(&|policy| policy.bound))) }
                            td { (super::number::optional(of(&|policy| policy.expected_return))) }
                            td { (super::number::optional(of(&|policy| policy.kl))) }
                            @let gap = median(runs.iter().filter_map(|(_, run)| {
                                let told = told(run)?;
                                Some(told.log_evidence - told.policy?.bound)
                            }));
                            td { (super::number::optional(gap)) }
                            td {}
                            @if policy { td {} }
                            @if family { td {} td {} }
                            td {}
                        }
                    }
                }
            }
        }
        p.caption {
            @if sees_hidden_state {
                "The best bound is that of any policy that sees the hidden state. "
            }
            @if keeps {
                "The best bound keeps the learned starts and steps of the posterior’s world as \
                 they are. "
            }
            "Gap = log evidence − bound: what the world’s chance costs (dynamics), "
            @if policy { "what no parameters of the kernels would win and what better ones would \
                          (policy), " }
            @if family { "what no parameters of the kernels would win (family), what better ones \
                          would (optimisation), " }
            "and what the exact reverse model would win (auxiliary)."
        }
    }
}

fn of_policy(
    told: Option<&PolicySummary>,
    log_evidence: f64,
    policy: bool,
    family: bool,
) -> Markup {
    let rest = 5 + usize::from(policy) + 2 * usize::from(family) + 1;
    let Some(told) = told else { return html! { @for _ in 0..rest { td { "–" } } } };
    html! {
        td { (number(told.bound)) }
        td { (number(told.expected_return)) }
        td { (difference(told.kl)) }
        td { (difference(log_evidence - told.bound)) }
        @match &told.gap {
            Some(gap) => { (parts(gap, policy, family)) }
            None => { @for _ in 0..rest - 4 { td { "–" } } }
        }
    }
}

fn parts(gap: &Gap, policy: bool, family: bool) -> Markup {
    let drawn = |value: f64, se: Option<f64>| {
        html! { (difference(value)) @if let Some(se) = se { " ± " (number(se)) } }
    };
    let (most, least) = if gap.family_at_most { ("≤ ", "≥ ") } else { ("", "") };
    html! {
        td { (difference(gap.dynamics)) }
        @if policy {
            td {
                @if gap.family.is_none() {
                    (drawn(gap.optimisation, gap.optimisation_se))
                } @else { "–" }
            }
        }
        @if family {
            @match gap.family {
                Some(value) => {
                    td { (most) (drawn(value, gap.family_se)) }
                    td { (least) (drawn(gap.optimisation, gap.optimisation_se)) }
                }
                None => { td { "–" } td { "–" } }
            }
        }
        td { (drawn(gap.auxiliary, gap.auxiliary_se)) }
    }
}
