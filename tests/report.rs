//! `rlppl report`: the page of runs, its numbers, its figures and its maps, and what it does with
//! folders that are no runs and logs that are broken.

mod common;

use common::run;
use scraper::{ElementRef, Html, Selector};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A walk along a line of five cells.
const WALK: &str = include_str!("texts/walk.rlmodel");

/// Two rows of three cells with a wall below in the middle; the way leads down on the right, where
/// the episode ends.
const GRID: &str = "model grid

horizon T = 6

environment room {
  state s : { y: 0..1, x: 0..2 } where not (y == 1 and x == 1)
  action a : { down, right }
  reward r in [-1, 0]

  s[1] ~ Delta({ y: 0, x: 0 })
  s[t+1] ~ Delta(
    if a[t] == right and s[t].y == 0 then { y: 0, x: clamp(s[t].x + 1, 0, 2) }
    else if a[t] == down and s[t].x != 1 then { y: 1, x: s[t].x }
    else s[t]
  )
  r[t] = if s[t+1] == { y: 1, x: 2 } then 0 else -1
  end when s[t] == { y: 1, x: 2 }
}

kernel pi(a | s) = Categorical(logits = table(s))

prior { s[1] ~ room.initial; a[t] ~ Uniform; s[t+1] ~ room.transition(s[t], a[t]) }
likelihood { R[t] ~ exp(4 * r[t]) }
posterior { s[1] ~ room.initial; a[t] ~ pi(s[t]); s[t+1] ~ room.transition(s[t], a[t]) }

infer { trajectories = 64; steps = 60; optimizer = adam(rate = 0.2) }
";

/// The same with two options.
fn options() -> String {
    GRID.replace("model grid", "model rooms")
        .replace(
            "kernel pi(a | s) = Categorical(logits = table(s))",
            "option o : 2\nkernel pick(o | s, last: o?) = Sticky(last, keep = 0.6, fresh = \
             Categorical(logits = table(s)))
kernel pi(a | s, o) = Categorical(logits = table(s, o))",
        )
        .replace(
            "prior { s[1] ~ room.initial;",
            "prior { s[1] ~ room.initial; o[t] ~ pick(s[t], \
                                                  o[t-1]);",
        )
        .replace("a[t] ~ pi(s[t]);", "o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t]);")
}

/// A folder with the three models in it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in [("walk", WALK), ("grid", GRID), ("rooms", &options())] {
        fs::write(folder.path().join(format!("{name}.rlmodel")), text).expect("written");
    }
    folder
}

/// Trains and leaves the run in `out`.
fn infer(folder: &Path, model: &str, out: &str, more: &[&str]) {
    let arguments = [&["infer", model, "--out", out, "--quiet"][..], more].concat();
    let outcome = run(folder, &arguments);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
}

fn page(folder: &Path, runs: &[&str]) -> (String, Html) {
    let outcome = run(folder, &[&["report", "-o", "-"][..], runs].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let html = Html::parse_document(&outcome.out);
    assert!(html.errors.is_empty(), "{:?}", html.errors);
    (outcome.out, html)
}

fn all<'a>(html: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    html.select(&Selector::parse(selector).expect("a selector")).collect()
}

fn words(element: ElementRef) -> String {
    element.text().collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every number that the page holds with all its digits.
fn numbers(html: &Html) -> Vec<f64> {
    all(html, "data").iter().filter_map(|data| data.value().attr("value")?.parse().ok()).collect()
}

fn summary(folder: &Path, run: &str) -> serde_json::Value {
    let text = fs::read_to_string(folder.join(run).join("summary.json")).expect("a summary");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn the_page_has_the_numbers_of_the_summaries_and_curves_in_common_axes() {
    let folder = folder();
    infer(folder.path(), "walk.rlmodel", "one", &["--seed", "1"]);
    infer(folder.path(), "walk.rlmodel", "two", &["--seed", "2", "--set", "alpha=2"]);
    let (text, html) = page(folder.path(), &["one", "two"]);
    let told = numbers(&html);
    for name in ["one", "two"] {
        let summary = summary(folder.path(), name);
        let exact = &summary["exact"];
        for value in [
            &summary["bound"],
            &summary["bound_se"],
            &summary["expected_return"],
            &summary["env_steps"],
            &summary["wall_seconds"],
        ]
        .into_iter()
        .chain([
            &exact["log_evidence"],
            &exact["best_bound"],
            &exact["bound"],
            &exact["kl"],
            &exact["gap"]["optimisation"],
        ]) {
            let value = value.as_f64().expect("a number");
            assert!(told.contains(&value), "{value} of {name}");
        }
    }
    let table = all(&html, "table")[0];
    assert!(
        words(table).contains("alpha = 1")
            && words(table).contains("alpha = 2")
            && !words(table).contains("median"),
        "{}",
        words(table)
    );
    assert!(!words(table).contains("infer.steps"), "only what differs: {}", words(table));
    // one section for one model; a figure for each number of the log, a line for each run
    assert_eq!(all(&html, "main > section").len(), 2);
    let captions: Vec<String> = all(&html, "figcaption").into_iter().map(words).collect();
    for caption in [
        "Bound, nats",
        "Return",
        "Entropy of the policy, nats a live step",
        "Norm of the gradient, before clipping",
        "H(pi), nats",
    ] {
        assert!(captions.iter().any(|found| found == caption), "{caption}: {captions:?}");
    }
    let charts = all(&html, "svg.chart");
    for chart in &charts {
        for ink in ["#0072B2", "#D55E00"] {
            let lines = chart
                .select(&Selector::parse(&format!("polyline[stroke='{ink}']")).expect("a selector"))
                .count();
            assert_eq!(lines, 1, "{}", chart.html());
        }
    }
    // the evidence differs with alpha, so that no line stands for both
    assert!(!words(all(&html, "ul.legend")[0]).contains("log evidence"));
    assert!(
        text.contains("<math ")
            && text.contains("model walk")
            && text.contains("param alpha = 1 in [0, 10]"),
        "bound and model"
    );
    assert_eq!(page(folder.path(), &["one", "two"]).0, text, "the same runs give the same bytes");
    assert_eq!(
        page(folder.path(), &["one", "two", "./one"]).0,
        text,
        "a run that is named twice is shown once"
    );
}

#[test]
fn the_page_needs_nothing_else_and_says_what_its_figures_show() {
    let folder = folder();
    infer(folder.path(), "walk.rlmodel", "one", &[]);
    let (text, html) = page(folder.path(), &["one"]);
    let outside = text
        .replace("xmlns=\"http://www.w3.org/1998/Math/MathML\"", "")
        .replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for word in ["http://", "https://", "<script", "<link", "@import", "url(", " src="] {
        assert!(!outside.contains(word), "{word}");
    }
    for element in all(&html, "svg[role=img]") {
        let id = element.value().attr("aria-labelledby").expect("a name");
        let title = all(&html, &format!("[id='{id}']"));
        assert!(title.len() == 1 && !words(title[0]).is_empty(), "{id}");
    }
    let legend = words(all(&html, "ul.legend")[0]);
    assert!(legend.contains("best bound") && legend.contains("log evidence"), "{legend}");
    assert!(
        text.contains("prefers-color-scheme: dark")
            && text.contains("@media print")
            && text.contains("width=device-width"),
        "{text}"
    );
}

#[test]
fn policies_and_options_are_drawn_as_maps() {
    let folder = folder();
    infer(folder.path(), "grid.rlmodel", "plain", &[]);
    infer(folder.path(), "rooms.rlmodel", "held & <b>", &[]);
    let (_, html) = page(folder.path(), &["plain", "held & <b>"]);
    for map in all(&html, "svg.map") {
        let id = map.value().attr("aria-labelledby").expect("a name");
        assert!(!id.contains(' ') && all(&html, &format!("[id='{id}']")).len() == 1, "{id}");
    }
    assert!(all(&html, "b").is_empty());
    let maps = all(&html, "svg.map");
    // one of the policy; held most, and for each of two values actions and ends
    assert_eq!(maps.len(), 1 + 1 + 2 * 2);
    let signs = |map: &ElementRef| -> String {
        map.select(&Selector::parse("text").expect("a selector"))
            .flat_map(|text| text.text())
            .collect()
    };
    let policy = signs(&maps[0]);
    assert!(policy.starts_with("→→↓"), "{policy}");
    let titles = |map: &ElementRef| -> Vec<String> {
        map.select(&Selector::parse("g > title").expect("a selector")).map(words).collect()
    };
    let told = titles(&maps[0]);
    assert!(
        told[0].starts_with("y 0, x 0: right with probability 0.9")
            && told.last().expect("a cell").ends_with("the episode ends"),
        "{told:?}"
    );
    assert_eq!(maps[0].select(&Selector::parse(".wall").expect("a selector")).count(), 1);
    assert!(
        signs(&maps[2]).contains('→') && signs(&maps[1]).chars().all(|sign| "01".contains(sign)),
        "{}",
        signs(&maps[1])
    );

    // the numbers are those of `eval`
    let eval = run(folder.path(), &["eval", "held & <b>", "--format", "json"]);
    let eval: serde_json::Value = serde_json::from_str(&eval.out).expect("JSON");
    let (sampled, told) = (&eval["options"][0], numbers(&html));
    for option in [sampled, &sampled["exact"]] {
        for number in [
            &option["duration"],
            &option["values"][0]["usage"],
            &option["values"][1]["duration"],
            &option["values"][1]["ends"],
        ] {
            assert!(told.contains(&number.as_f64().expect("a number")), "{number}");
        }
    }
    for information in ["action_information", "state_action_information"] {
        assert!(
            told.contains(&sampled["exact"][information].as_f64().expect("a number")),
            "{information}"
        );
    }
    // one environment and one horizon: the returns stand in one figure
    let together = all(&html, "[aria-labelledby=together] svg.chart");
    assert_eq!(together.len(), 1);
    infer(folder.path(), "grid.rlmodel", "longer", &["--set", "T=7"]);
    let (_, html) = page(folder.path(), &["longer", "held & <b>"]);
    assert!(all(&html, "[aria-labelledby=together]").is_empty());
}

#[test]
fn many_seeds_have_a_median_and_a_spread() {
    let folder = folder();
    infer(folder.path(), "walk.rlmodel", "seeds", &["--seeds", "1..7"]);
    let names: Vec<String> = (1..=7).map(|seed| format!("seeds/{seed}")).collect();
    let (_, html) = page(folder.path(), &names.iter().map(String::as_str).collect::<Vec<_>>());
    for chart in all(&html, ".figures svg.chart") {
        let count =
            |selector: &str| chart.select(&Selector::parse(selector).expect("a selector")).count();
        assert_eq!(
            (count("polyline[stroke='#111111']"), count("polygon[fill='#121212']")),
            (1, 1),
            "{}",
            chart.html()
        );
    }
    assert!(words(all(&html, "ul.legend")[0]).contains("median, between the quartiles"));
    assert_eq!(all(&html, "tr.median").len(), 2);
    // they differ in their seeds alone, so that their text is there once
    assert_eq!(all(&html, "pre").len(), 1);
}

#[test]
fn a_run_that_was_interrupted_is_shown_as_far_as_it_came() {
    let folder = folder();
    infer(folder.path(), "walk.rlmodel", "run", &[]);
    let path = folder.path().join("run");
    fs::remove_file(path.join("summary.json")).expect("removed");
    let log = fs::read_to_string(path.join("metrics.jsonl")).expect("a log");
    let lines: Vec<&str> = log.lines().collect();
    let spoilt = lines[3].replacen("\"bound\":", "\"bound\":null,\"was\":", 1);
    // the end of the file is lost in the middle of a line
    let broken = [&lines[..3], &[&spoilt], &lines[4..9], &[&lines[9][..40]]].concat().join("\n");
    fs::write(path.join("metrics.jsonl"), &broken).expect("written");
    let (_, html) = page(folder.path(), &["run"]);
    let notes = words(all(&html, "ul.notes")[0]);
    for part in
        ["not come to its end", "1 line of its log is broken", "1 logged value is not finite"]
    {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    let table = words(all(&html, "table")[0]);
    assert!(table.contains("9 of 20"), "{table}");
    // the value that is missing parts the curve in two
    assert_eq!(all(&html, "#model-1-bound ~ polyline[stroke='#0072B2']").len(), 2);

    // nothing logged, no parameters: the model is shown all the same
    fs::write(path.join("metrics.jsonl"), "").expect("written");
    for name in ["timings.jsonl", "parameters.safetensors"] {
        fs::remove_file(path.join(name)).expect("removed");
    }
    let (text, html) = page(folder.path(), &["run"]);
    assert!(
        all(&html, "svg.chart").is_empty()
            && text.contains("Nothing has been logged yet.")
            && text.contains("model walk")
    );
    assert!(words(all(&html, "ul.notes")[0]).contains("no parameters"));
    fs::remove_file(path.join("metrics.jsonl")).expect("removed");
    page(folder.path(), &["run"]);
}

#[test]
fn numbers_that_are_not_finite_are_told_as_such() {
    let folder = folder();
    infer(folder.path(), "walk.rlmodel", "run", &[]);
    let path = folder.path().join("run/summary.json");
    let mut summary = summary(folder.path(), "run");
    summary["bound_se"] = serde_json::Value::Null;
    fs::write(&path, summary.to_string()).expect("written");
    let (_, html) = page(folder.path(), &["run"]);
    assert!(words(all(&html, "table")[0]).contains("± not finite"));
}

#[test]
fn all_that_is_no_run_is_told_at_once() {
    let folder = folder();
    infer(folder.path(), "walk.rlmodel", "good", &[]);
    infer(folder.path(), "walk.rlmodel", "seeds", &["--seeds", "1..2"]);
    fs::create_dir(folder.path().join("empty")).expect("a folder");
    let outcome = run(
        folder.path(),
        &["report", "good", "no-run", "empty", "seeds", "walk.rlmodel", "good/metrics.jsonl"],
    );
    assert_eq!((outcome.code, outcome.out.as_str()), (2, ""), "{}", outcome.err);
    for told in [
        "there is no folder `no-run`: name one that `rlppl infer` has written",
        "`empty` is not the folder of a run: it has no `model.rlmodel`: name a folder that `rlppl \
         infer` has written",
        "`seeds` is not the folder of a run: it has no `model.rlmodel`, but holds 2 runs: name \
         these, `seeds/*`",
        "`walk.rlmodel` is a file: name the folder of a run",
        "`good/metrics.jsonl` is a file of a run: name its folder, `good`",
    ] {
        assert!(outcome.err.contains(told), "{told}: {}", outcome.err);
    }
    assert_eq!(outcome.err.matches("error").count(), 5, "{}", outcome.err);
    assert!(!folder.path().join("report.html").exists());

    fs::write(folder.path().join("good/summary.json"), "{").expect("written");
    fs::write(folder.path().join("seeds/1/model.rlmodel"), "model").expect("written");
    let outcome = run(folder.path(), &["report", "good", "seeds/1"]);
    assert!(
        outcome.code == 1 && outcome.err.contains("remove it to see the curves alone"),
        "{}",
        outcome.err
    );
    assert!(outcome.err.contains("seeds/1/model.rlmodel"), "{}", outcome.err);

    // of its parameters alone the page can do without
    fs::write(folder.path().join("seeds/2/parameters.safetensors"), "no").expect("written");
    let (_, html) = page(folder.path(), &["seeds/2"]);
    assert!(words(all(&html, "ul.notes")[0]).contains("its parameters cannot be read"));
}

#[test]
fn a_page_that_is_there_is_replaced_only_where_that_is_asked_for() {
    let folder = folder();
    infer(folder.path(), "walk.rlmodel", "run", &[]);
    let outcome = run(folder.path(), &["report", "run"]);
    assert_eq!((outcome.code, outcome.out.as_str()), (0, "report.html\n"), "{}", outcome.err);
    let written = fs::read_to_string(folder.path().join("report.html")).expect("a page");
    fs::write(folder.path().join("report.html"), "mine").expect("written");
    let outcome = run(folder.path(), &["report", "run"]);
    assert!(
        outcome.code == 2
            && outcome.err.contains("`report.html` exists: `--overwrite` replaces it"),
        "{}",
        outcome.err
    );
    assert_eq!(fs::read_to_string(folder.path().join("report.html")).expect("a file"), "mine");
    assert_eq!(run(folder.path(), &["report", "run", "--overwrite"]).code, 0);
    assert_eq!(fs::read_to_string(folder.path().join("report.html")).expect("a page"), written);
    let outcome = run(folder.path(), &["report", "run", "--out", "run"]);
    assert!(outcome.code == 2 && outcome.err.contains("is a folder"), "{}", outcome.err);
    assert_eq!(run(folder.path(), &["report", "run", "-o", "no/such/page.html"]).code, 3);
    assert_eq!(run(folder.path(), &["report"]).code, 2);
}
