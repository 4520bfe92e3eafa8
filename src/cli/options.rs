//! What options are used for, as tables and as maps.

use crate::engine::{self, OptionUse, Parameters};
use crate::exact::{self, OptionVisits};
use crate::finite::{finite_domain, tabulate};
use crate::model::{BoundId, EnvironmentId, Model, VariableId};
use crate::report::{Grid, Information, Map, OptionSummary, beside, without_noise};
use serde::Serialize;

/// An option, by the oracle.
pub struct Told {
    pub option: VariableId,
    pub summary: OptionSummary,
    pub visits: OptionVisits,
}

/// The options of a trained policy by the oracle; nothing where it cannot tell.
pub fn of_policy(model: &Model, bound: BoundId, parameters: &Parameters<f64>) -> Vec<Told> {
    exactly(model, bound, parameters).unwrap_or_default()
}

/// The options of a trained policy by the oracle.
///
/// # Errors
/// One sentence: what is not finite, or too much to sum over.
pub fn exactly(
    model: &Model,
    bound: BoundId,
    parameters: &Parameters<f64>,
) -> Result<Vec<Told>, String> {
    let tables =
        engine::posterior_tables(model, bound, parameters).map_err(|error| error.to_string())?;
    let told =
        exact::information(model, bound, &tables).map_err(|error| error.to_string())?.into_iter();
    let told = told.map(|told| Told {
        option: told.option,
        summary: summary(model, told.option, told.once, &told.visits, Some(Information::of(&told))),
        visits: told.visits,
    });
    Ok(told.collect())
}

/// An option in sampled trajectories.
pub fn of_use(model: &Model, used: &OptionUse) -> OptionSummary {
    summary(model, used.option, used.once, &used.visits, None)
}

fn summary(
    model: &Model,
    option: VariableId,
    once: bool,
    visits: &OptionVisits,
    information: Option<Information>,
) -> OptionSummary {
    let variable = model.variable(option);
    let mut value = vec![0.0; variable.domain.width()];
    let shown: Vec<String> = finite_domain(model, option).map_or(vec![], |finite| {
        (0..finite.size())
            .map(|number| {
                finite.value(number, &mut value);
                variable.domain.show(&value)
            })
            .collect()
    });
    OptionSummary::new(&variable.name, &shown, once, visits, information)
}

/// A table of a line per value; `from` says where the numbers come from.
pub fn print(option: &OptionSummary, from: &str) -> String {
    let number =
        |number: Option<f64>| number.map_or("–".to_owned(), |number| format!("{number:.4}"));
    let mut text = format!(
        "{:<17}{:>9}{:>11}{:>9}  {from}\n",
        format!("option {}", option.option),
        "usage",
        "duration",
        "ends"
    );
    for value in &option.values {
        let (usage, duration, ends) =
            (number(Some(value.usage)), number(value.duration), number(value.ends));
        text += &format!("  {:<15}{usage:>9}{duration:>11}{ends:>9}\n", value.value);
    }
    text += &format!("  {:<15}{:>9}{:>11}\n", "all", "", number(option.duration));
    if let Some(information) = &option.information {
        let name = &option.option;
        let mut line = |what: String, value: f64, meaning: &str| {
            text += &format!("  {what:<15} {:>20}  {meaning}\n", without_noise(value).to_string())
        };
        line(
            format!("I({name}; a | s)"),
            information.action_information,
            "nats, mean over live steps, exact",
        );
        line(
            format!("I({name}; s, a)"),
            information.state_action_information,
            "nats, mean over live steps, exact",
        );
        if let Some(end) = information.end_information {
            line(format!("I({name}; s[T+1])"), end, "nats, exact");
        }
    }
    text
}

/// Columns of a page.
const WIDTH: usize = 100;

/// The maps of an option.
#[derive(Serialize)]
pub struct Maps {
    pub option: String,
    /// From the oracle; else from sampled trajectories.
    pub exact: bool,
    /// The value held most in each cell.
    pub held_most: Map,
    pub values: Vec<ValueMaps>,
}

#[derive(Serialize)]
pub struct ValueMaps {
    pub value: String,
    /// Its most probable action in each cell.
    pub actions: Map,
    /// How likely it gives way in each cell, in tenths; of an option drawn once there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Map>,
}

/// The grid in which an environment moves.
///
/// # Errors
/// One sentence.
pub fn grid(model: &Model, environment: EnvironmentId) -> Result<Grid, String> {
    let table = tabulate(model, environment).map_err(|error| error.to_string())?;
    let name = &model.variable(model.environment(environment).state).name;
    Grid::new(model, environment, &table)
        .ok_or_else(|| format!("`{name}` has no integer components `y` and `x` to draw maps of"))
}

pub fn maps(grid: &Grid, option: &OptionSummary, visits: &OptionVisits) -> Maps {
    let value = |(o, value): (usize, &crate::report::ValueSummary)| ValueMaps {
        value: value.value.clone(),
        actions: grid.actions(visits, o),
        ends: (!option.once).then(|| grid.ends(visits, o)),
    };
    let values = option.values.iter().enumerate().map(value).collect();
    Maps {
        option: option.option.clone(),
        exact: option.information.is_some(),
        held_most: grid.held_most(visits),
        values,
    }
}

pub fn print_maps(maps: &Maps) -> String {
    let (name, from) =
        (&maps.option, if maps.exact { "exact" } else { "from sampled trajectories" });
    let mut text = format!(
        "maps of {name}, {from}: held most at each cell; by value, the most probable action"
    );
    if maps.values.iter().any(|value| value.ends.is_some()) {
        text += ", and how likely it ends there, in tenths";
    }
    text += "\n";
    text += &beside(&[("held most".to_owned(), maps.held_most.clone())]);
    let of_value = |value: &ValueMaps| {
        let actions = (format!("{name} = {}", value.value), value.actions.clone());
        [Some(actions), value.ends.clone().map(|ends| ("ends".to_owned(), ends))]
    };
    let width = |(title, map): &(String, Map)| {
        3 + map.iter().map(|row| row.chars().count()).fold(title.chars().count(), usize::max)
    };
    let of_values: usize =
        maps.values.first().map_or(1, |value| of_value(value).iter().flatten().map(width).sum());
    for values in maps.values.chunks((WIDTH / of_values).max(1)) {
        text += &beside(&values.iter().flat_map(of_value).flatten().collect::<Vec<_>>());
    }
    text
}
