//! The factor graphs of some models, as reviewed snapshots; and what must hold of every model's.

use rlppl::graph::{FactorGraph, Kind, NodeId, Part, dot, factor_graph, svg};
use rlppl::model::{BoundId, Overrides, check};
use rlppl::source::Source;
use rlppl::syntax::parse;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn graphs_as_dot() {
    for name in ["reinforce", "options_window", "model_learning"] {
        insta::assert_snapshot!(
            format!("{name}.dot"),
            dot(&graphs(&folder().join(format!("{name}.rlmodel"))))
        );
    }
}

#[test]
fn graphs_as_svg() {
    for name in ["reinforce", "options_window", "model_learning"] {
        insta::assert_snapshot!(
            format!("{name}.svg"),
            svg(&graphs(&folder().join(format!("{name}.rlmodel"))))
        );
    }
}

/// Every variable of the posterior has a factor in prior or auxiliary, and one in the posterior: in
/// the picture, too.
#[test]
fn what_is_drawn_is_drawn_by_both_sides() {
    for path in models() {
        for graph in graphs(&path) {
            for (at, node) in
                graph.variables.iter().enumerate().filter(|(_, node)| node.kind == Kind::Drawn)
            {
                let drawing =
                    graph.factors.iter().filter(|factor| factor.draws.contains(&NodeId(at as u32)));
                let parts: BTreeSet<Part> =
                    drawing.flat_map(|factor| factor.parts.iter().copied()).collect();
                let has_both = parts.contains(&Part::Posterior)
                    && (parts.contains(&Part::Prior) || parts.contains(&Part::Auxiliary));
                assert!(has_both, "{}: {} is drawn by {parts:?} alone", graph.title, node.label());
            }
        }
    }
}

/// A factor is shared exactly where the derivation cancels it.
#[test]
fn shared_factors_are_those_that_cancel() {
    for path in models() {
        let model = model(&path);
        let derivation = rlppl::derive(&model).unwrap_or_else(|found| panic!("{found}"));
        for (number, bound) in derivation.bounds.iter().enumerate() {
            let graph = factor_graph(&model, BoundId(number as u32));
            let shared = graph.factors.iter().filter(|factor| {
                factor.parts.iter().filter(|part| **part != Part::Environment).count() > 1
            });
            assert_eq!(shared.count(), bound.cancelled.len(), "{}", graph.title);
        }
    }
}

#[test]
fn every_picture_is_well_formed_and_the_same_twice() {
    for path in models() {
        let picture = svg(&graphs(&path));
        assert_eq!(picture, svg(&graphs(&path)));
        assert_eq!(dot(&graphs(&path)), dot(&graphs(&path)));
        for element in ["svg", "g", "text", "tspan", "title", "style"] {
            let opened = picture.matches(&format!("<{element}>")).count()
                + picture.matches(&format!("<{element} ")).count();
            assert_eq!(
                opened,
                picture.matches(&format!("</{element}>")).count(),
                "{}: <{element}>",
                path.display()
            );
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn models() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder())
        .expect("models/ can be read")
        .map(|entry| entry.expect("models/ can be read").path());
    let mut models: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "rlmodel"))
        .collect();
    models.sort();
    assert!(models.len() >= 16, "only {} models", models.len());
    models
}

fn model(path: &Path) -> rlppl::Model {
    let source = Source::read(path).expect("the model can be read");
    parse(&source)
        .and_then(|file| check(&file, &Overrides::default()))
        .unwrap_or_else(|found| panic!("{found}"))
}

fn graphs(path: &Path) -> Vec<FactorGraph> {
    let model = model(path);
    (0..model.bounds.len()).map(|number| factor_graph(&model, BoundId(number as u32))).collect()
}
