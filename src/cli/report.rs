//! `rlppl report`: one page of several runs.

use super::unchanged::verify_unchanged;
use super::{Failure, console, exact as oracle, input, options, output, trained};
use crate::bound::{self, render};
use crate::model::{BoundId, Model};
use crate::plan::{self, Plan};
use crate::report::{
    self, Curves, Folder, MODEL, PARAMETERS, SUMMARY, ShownOption, ShownRun, Summary,
};
use crate::{engine, exact};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Show runs side by side on one page of figures.
///
/// Writes one HTML file that needs no other and no network: a table of the runs; bound, return and
/// all else that was logged, over environment steps, the runs of one model in the same axes; the
/// exact numbers of finite models; what options are used for; maps of policies and options in grid
/// worlds; and each model's text with its bound and its gradient. A run that was interrupted is
/// shown as far as it came. The same runs give the same bytes.
///
/// Runs of one model are those with the same declarations and factors, whatever its params, horizon
/// and `infer` block say; what differs there is told in the table. Different models have a section
/// each, and their returns stand in one figure where environment and horizon are the same.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl report runs/reinforce-0
  rlppl report runs/cartpole-* -o cartpole.html
  rlppl report runs/two_rooms_original-0 runs/two_rooms_look_back-0 --overwrite
  rlppl report runs/* -o - | gzip > runs.html.gz")]
pub struct Arguments {
    /// The folders of runs, as `rlppl infer` writes them
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The page to write; `-` writes to standard output
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
    /// Replace the file of `--out`
    #[arg(long)]
    overwrite: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let to_stdout = input::is_stdin(&arguments.out);
    if !to_stdout {
        output::verify_free("--out", &arguments.out, "report.html", arguments.overwrite)?;
    }
    let mut named = BTreeSet::new();
    let once = arguments
        .runs
        .iter()
        .filter(|path| named.insert(path.canonicalize().unwrap_or_else(|_| path.to_path_buf())));
    let (mut runs, mut failures) = (vec![], vec![]);
    for path in once {
        match shown(path) {
            Ok(run) => runs.push(run),
            Err(failure) => failures.push(failure),
        }
    }
    // all that is wrong at once
    if let Some(code) = failures.iter().map(Failure::tell).max() {
        return Err(Failure::Told(code));
    }
    let page = report::page(&runs);
    if to_stdout {
        return console::verbatim(&page);
    }
    report::write_atomic(&arguments.out, page.as_bytes())
        .map_err(|error| Failure::Run(error.to_string()))?;
    console::result(&format!("{}\n", arguments.out.display()))
}

/// Trajectories that the use of options is sampled from, as many as `rlppl eval` takes.
const EPISODES: usize = 1000;

/// Reads a run, and asks the oracle and the engine what its options are used for.
fn shown(path: &Path) -> Result<ShownRun, Failure> {
    let folder = open(path)?;
    let source = input::read(&folder.file(MODEL))?;
    let file = input::parse(&source)?;
    let model = input::check(&file, &vec![])?;
    verify_unchanged(&folder, &file)?;
    let derivation = bound::derive(&model).map_err(Failure::Model)?;
    let plan = plan::plan(&model, &derivation).map_err(Failure::Model)?;
    let summary = summary(&folder)?;
    let files = file.sources.iter().enumerate().map(|(at, source)| {
        let name = Path::new(&source.name)
            .file_name()
            .map_or_else(|| source.name.clone(), |name| name.to_string_lossy().into_owned());
        (if at == 0 { MODEL.to_owned() } else { name }, source.text.to_string())
    });
    let mut run = ShownRun {
        name: path.display().to_string(),
        model: model.name.clone(),
        seed: plan.settings.seed,
        planned: plan.settings.steps,
        settings: report::settings(&file),
        form: report::form(&file),
        surroundings: report::surroundings(&file),
        files: files.collect(),
        bounds: derivation
            .bounds
            .iter()
            .map(|bound| (bound.name.clone(), render::mathml_formulas(bound)))
            .collect(),
        summary,
        curves: Curves::read(&folder),
        grid: options::grid(&model, plan.environment).ok(),
        options: vec![],
        visits: None,
        notes: vec![],
    };
    tell_what_is_missing(&mut run, &folder);
    if folder.file(PARAMETERS).exists() {
        match trained::parameters(&folder, &model) {
            Ok(parameters) => {
                exact_numbers(&mut run, &model, &parameters);
                of_policy(&mut run, &plan, &parameters)?;
            }
            Err(Failure::Wrong(error)) => run.notes.push(format!(
                "what its policy does is not shown, since its parameters cannot be read: {error}."
            )),
            Err(failure) => return Err(failure),
        }
    }
    Ok(run)
}

/// The folder of a run, or what to do instead.
fn open(path: &Path) -> Result<Folder, Failure> {
    let usage = |text: String| Err(Failure::Usage(text));
    let shown = path.display();
    if !path.exists() {
        return usage(format!(
            "there is no folder `{shown}`: name one that `rlppl infer` has written, such as \
             `runs/reinforce-0`"
        ));
    }
    if path.is_file() {
        return match path
            .parent()
            .filter(|parent| Folder::open(parent).is_ok() && !parent.as_os_str().is_empty())
        {
            Some(parent) => usage(format!(
                "`{shown}` is a file of a run: name its folder, `{}`",
                parent.display()
            )),
            None => usage(format!(
                "`{shown}` is a file: name the folder of a run, which `rlppl infer` writes"
            )),
        };
    }
    Folder::open(path).or_else(|error| {
        let listed =
            std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        match listed.filter(|inside| Folder::open(inside).is_ok()).count() {
            0 => usage(format!("{error}: name a folder that `rlppl infer` has written")),
            1 => usage(format!(
                "{error}, but holds a run: name that, `{}`",
                path.join("*").display()
            )),
            count => usage(format!(
                "{error}, but holds {count} runs: name these, `{}`",
                path.join("*").display()
            )),
        }
    })
}

/// None of a run that did not come to its end.
fn summary(folder: &Folder) -> Result<Option<Summary>, Failure> {
    if !folder.file(SUMMARY).exists() {
        return Ok(None);
    }
    let bytes = folder.read(SUMMARY).map_err(|error| Failure::Wrong(error.to_string()))?;
    let wrong = |error: serde_json::Error| {
        let file = folder.file(SUMMARY);
        Failure::Wrong(format!(
            "`{}` is not the summary of a run ({error}): remove it to see the curves alone",
            file.display()
        ))
    };
    serde_json::from_slice(&bytes).map(Some).map_err(wrong)
}

fn tell_what_is_missing(run: &mut ShownRun, folder: &Folder) {
    let curves = &run.curves;
    if run.summary.is_none() {
        run.notes.push(
            "it has not come to its end, so that there is no summary: the numbers are \
                        those of its log."
                .to_owned(),
        );
    }
    if curves.of.is_empty() {
        run.notes.push("nothing has been logged.".to_owned());
    }
    if curves.broken > 0 {
        let lines = if curves.broken == 1 {
            "1 line of its log is".to_owned()
        } else {
            format!("{} lines of its log are", curves.broken)
        };
        run.notes.push(format!("{lines} broken and left out."));
    }
    if curves.not_finite > 0 {
        let values = if curves.not_finite == 1 {
            "1 logged value is".to_owned()
        } else {
            format!("{} logged values are", curves.not_finite)
        };
        run.notes.push(format!("{values} not finite and left out of the curves."));
    }
    if !folder.file(PARAMETERS).exists() {
        run.notes.push(
            "it has left no parameters, so that what its policy does is not shown.".to_owned(),
        );
    }
}

/// Those of the summary; where it has none, the oracle is asked again, and says why.
fn exact_numbers(run: &mut ShownRun, model: &Model, parameters: &engine::Parameters<f64>) {
    let Some(summary) = run.summary.as_mut().filter(|summary| summary.exact.is_none()) else {
        return;
    };
    let bound = model.objectives.last().map_or(BoundId(0), |objective| objective.bound);
    let told = oracle::of_policy(model, bound, parameters);
    summary.exact = told.summary;
    run.notes.extend(told.why_none.map(|why| format!("there are no exact numbers: {why}.")));
}

/// Options by the oracle and from sampled trajectories; without options, where a policy goes in a
/// grid.
fn of_policy(
    run: &mut ShownRun,
    plan: &Plan,
    parameters: &engine::Parameters<f64>,
) -> Result<(), Failure> {
    let model = &plan.model;
    if !plan.has_options() {
        if run.grid.is_some() {
            match visits(model, plan, parameters) {
                Ok(visits) => run.visits = Some(visits),
                Err(error) => run.notes.push(format!("there is no map of its policy: {error}.")),
            }
        }
        return Ok(());
    }
    let told = options::exactly(model, plan.derivation.bound, parameters).unwrap_or_else(|error| {
        run.notes.push(format!("its options are told from sampled trajectories alone: {error}."));
        vec![]
    });
    let seed = plan.settings.seed.wrapping_add(1); // as `rlppl eval` does
    let evaluation = match engine::evaluate(plan, parameters, EPISODES, false, seed) {
        Ok(evaluation) => evaluation,
        Err(error @ engine::EngineError::Broken(_)) => {
            run.notes.push(format!("its options are not shown: {error}."));
            return Ok(());
        }
        Err(error) => return Err(Failure::Run(error.to_string())),
    };
    for used in &evaluation.options {
        let told = told.iter().find(|told| told.option == used.option);
        run.options.push(ShownOption {
            sampled: options::of_use(model, used),
            exact: told.map(|told| told.summary.clone()),
            visits: told.map_or_else(|| used.visits.clone(), |told| told.visits.clone()),
        });
    }
    Ok(())
}

fn visits(
    model: &Model,
    plan: &Plan,
    parameters: &engine::Parameters<f64>,
) -> Result<exact::OptionVisits, String> {
    let bound = plan.derivation.bound;
    let tables =
        engine::posterior_tables(model, bound, parameters).map_err(|error| error.to_string())?;
    exact::visits(model, bound, &tables).map_err(|error| error.to_string())
}
