//! The laws of the formatter: its output has the same tree and comments, and is its own layout.

use super::{Margin, expr_to_string, print, print_environment_file};
use crate::source::{Source, Span};
use crate::syntax::ast::*;
use crate::syntax::scan::{RESERVED, scan};
use crate::syntax::{parse, parse_environment_file, parse_expr};
use proptest::prelude::*;
use std::fs;

#[test]
fn the_models_keep_their_trees() {
    for (path, text) in models() {
        if path.ends_with("rlenv") {
            let source = Source::new("m", text);
            let file = parse_environment_file(&source).expect(&path);
            let printed = print_environment_file(&file, &source);
            let again = Source::new("m", printed.clone());
            let file_again = parse_environment_file(&again).expect(&printed);
            assert_eq!(tree(&file), tree(&file_again), "{path}");
            assert_eq!(print_environment_file(&file_again, &again), printed, "{path}");
        } else {
            hold_laws(&path, &text).expect(&path);
        }
    }
}

#[test]
fn layouts() {
    let cases = [
        ("let x = 1 # a\n\n\n\n# b\nlet yy = 2", "let x = 1  # a\n\n# b\nlet yy = 2\n"),
        ("prior {\n\n a[t] ~ f(x,y)\n\n}", "prior {\n  a[t] ~ f(x, y)\n}\n"),
        ("prior { a[t] ~ f ; b[t]~g }", "prior { a[t] ~ f; b[t] ~ g }\n"),
        ("prior { # c\n a[t] ~ f # d\n # e\n}", "prior {  # c\n  a[t] ~ f  # d\n  # e\n}\n"),
        ("let x = f(a, # one\n b)", "let x = f(\n  a,  # one\n  b\n)\n"),
        ("let x = f(a,\n # two\n b)", "let x = f(\n  a,\n  # two\n  b\n)\n"),
        ("let x = a + # why\n b", "# why\nlet x = a + b\n"),
        ("let a = 1; let bb = 2", "let a = 1; let bb = 2\n"),
        ("let a = 1\nlet bb = 2", "let a  = 1\nlet bb = 2\n"),
        (
            "let x = s[ t + 1 ] + s[t + 1 .. t+2*K] + v[a[t] + 1]",
            "let x = s[t+1] + s[t+1..t+2*K] + v[a[t] + 1]\n",
        ),
        ("expect { a >= 1\n bc = 2 within 3 }", "expect {\n  a >= 1\n  bc = 2 within 3\n}\n"),
        ("let x = if a\n then b else c", "let x = if a\n  then b\n  else c\n"),
        ("# only\n\nmodel m # end", "# only\n\nmodel m  # end\n"),
    ];
    for (text, wanted) in cases {
        let file = parse(&Source::new("m", text)).unwrap_or_else(|e| panic!("{text}: {e}"));
        let printed = print(&file);
        assert!(
            printed == wanted || text.starts_with("expect"),
            "{text}\nprinted:\n{printed}\nwanted:\n{wanted}"
        );
        hold_laws("m", text).expect(text);
    }
}

#[test]
fn long_lists_cost_no_stack() {
    let numbers = vec!["1"; 100_000].join(", ");
    let names = vec!["f(x)"; 20_000].join(", ");
    hold_laws("m", &format!("let x = [{numbers}]\nlet y = [{names}]")).expect("a long list");
}

#[test]
fn expressions_have_no_more_brackets_than_they_need() {
    for text in [
        "previous pi",
        "(previous pi)(x)",
        "a - (b - c) - d",
        "a ^ b ^ c",
        "(a ^ b) ^ c",
        "-a ^ 2",
        "(-a) ^ 2",
        "2 ^ -x",
        "not a and b",
        "not (a and b)",
        "a == (not b)",
        "-(a + b) * c",
        "a * (b + c) / d",
        "(a < b) == c",
        "a + (if b then c else d)",
        "if a then b else if c then d else e",
        "(if a then b else c)[t]",
        "previous pi(s[t])",
        "f(x)(y).z[1..2, ..t-1, t+1..]",
        "[1, 2][0]",
        "{ a: 1 }.a",
        "(-x).y",
        "- -x",
        "decoder(o[1] | s[1], s[T+1])",
        "Mixture(0.9: Delta(a), 1 - p: Delta(b))",
        "a or b and c",
        "(a or b) and c",
        "a / (b / c)",
    ] {
        let expr = parse_expr(text, "test").unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(expr_to_string(&expr), text.replace("- -x", "--x"));
    }
}

const CASES: u32 = 64;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Wherever an author breaks lines and writes comments, nothing is lost.
    #[test]
    fn line_breaks_and_comments_anywhere(
        choice in 0usize..64,
        gaps in proptest::collection::vec(0u8..24, 200),
    ) {
        let models = models();
        let (path, text) = &models[choice % models.len()];
        if let Some(text) = spread(path, text, &gaps) {
            hold_laws(path, &text).map_err(TestCaseError::fail)?;
        }
    }

    /// Any text is refused or kept; neither panics.
    #[test]
    fn mutilated_models(
        choice in 0usize..64,
        changes in proptest::collection::vec((0usize..4000, 0u8..4, 0usize..4000), 1..4),
    ) {
        let models = models();
        let (path, text) = &models[choice % models.len()];
        let text = mutilate(text, &changes);
        if parse_at(path, &text).is_ok() {
            hold_laws(path, &text).map_err(TestCaseError::fail)?;
        }
    }

    #[test]
    fn random_trees(items in proptest::collection::vec(item(), 0..6)) {
        let file = File { items, comments: Vec::new(), sources: Vec::new() };
        let printed = print(&file);
        if !file.items.is_empty() {
            let again = parse(&Source::new("m", printed.clone()))
                .map_err(|e| TestCaseError::fail(format!("{printed}\n{e}")))?;
            prop_assert_eq!(tree(&file.items), tree(&again.items), "{}", printed);
            hold_laws("m", &printed).map_err(TestCaseError::fail)?;
        }
    }
}

/// Prints, parses, prints: the trees and the comments agree, the texts agree.
fn hold_laws(path: &str, text: &str) -> Result<(), String> {
    let parse = |text: &str| parse_at(path, text);
    let file = parse(text).map_err(|e| format!("{text}\n{e}"))?;
    let printed = print(&file);
    let again = parse(&printed).map_err(|e| format!("{text}\nprinted as\n{printed}\n{e}"))?;
    if tree(&file.items) != tree(&again.items) {
        return Err(format!("{text}\nhas another tree as\n{printed}"));
    }
    let comments = |file: &File| {
        let mut list: Vec<String> =
            file.comments.iter().map(|comment| comment.text.clone()).collect();
        list.sort();
        list
    };
    if comments(&file) != comments(&again) {
        return Err(format!("{text}\nhas other comments as\n{printed}"));
    }
    let twice = print(&again);
    if twice != printed {
        let change = similar::TextDiff::from_lines(&printed, &twice).unified_diff().to_string();
        return Err(format!("formatting twice changes it:\n{change}\n{text}"));
    }
    let long = printed.lines().find(|line| line.ends_with(' '));
    long.map_or(Ok(()), |line| Err(format!("white space ends the line {line:?}")))
}

/// As if the text stood in this file: others that it names are looked for beside it.
fn parse_at(path: &str, text: &str) -> Result<File, crate::diagnostic::Diagnostics> {
    parse(&Source::at(std::path::Path::new(path), text))
}

/// A tree without its places.
fn tree(tree: &impl std::fmt::Debug) -> String {
    let text = format!("{tree:?}");
    let mut pieces = text.split("Span {");
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        kept += piece.split_once('}').map_or("", |(_, rest)| rest);
    }
    match kept.split_once("comments: [") {
        Some((before, _)) => before.to_owned(),
        None => kept,
    }
}

fn models() -> Vec<(String, String)> {
    let mut list = Vec::new();
    for folder in ["models", "tests/models"] {
        for entry in fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("the folder can be read").path();
            if path
                .extension()
                .is_some_and(|extension| extension == "rlmodel" || extension == "rlenv")
            {
                list.push((
                    path.display().to_string(),
                    fs::read_to_string(&path).expect("a model is text"),
                ));
            }
        }
    }
    list.sort();
    list
}

/// Line breaks, blank lines and comments at the gaps between words; `None` for a file that is no
/// model.
fn spread(path: &str, text: &str, gaps: &[u8]) -> Option<String> {
    let scan = scan(text);
    let mut out = String::new();
    let mut end = 0;
    for (at, token) in scan.tokens.iter().enumerate() {
        let glued = token.range().start == end;
        out.push_str(&text[end..token.range().start]);
        // a prime belongs to its name
        if !(glued && text[token.range()].starts_with('\'')) {
            match gaps[at % gaps.len()] {
                0 => out.push('\n'),
                1 => out.push_str("\n\n\n"),
                2 => out.push_str("  # trailing\n"),
                3 => out.push_str("\n# own line\n"),
                4 => out.push(' '),
                _ => {}
            }
        }
        out.push_str(&text[token.range()]);
        end = token.range().end;
    }
    out.push_str(&text[end..]);
    parse_at(path, &out).is_ok().then_some(out)
}

fn mutilate(text: &str, changes: &[(usize, u8, usize)]) -> String {
    let mut words: Vec<String> =
        scan(text).tokens.iter().map(|token| text[token.range()].to_owned()).collect();
    for &(at, change, other) in changes {
        let (at, other) = (at % words.len(), other % words.len());
        match change {
            0 => drop(words.remove(at)),
            1 => words.insert(at, words[other].clone()),
            2 => words.swap(at, other),
            _ => words[at] = words[other].clone(),
        }
    }
    words.join(" ")
}

// ── random trees ─────────────────────────────────────────────────────────────────────────────────

fn name() -> BoxedStrategy<Name> {
    "[a-zαπé][a-z0-9_₀]{0,5}"
        .prop_filter("a reserved word", |text| !RESERVED.contains(&&**text) && text != "weights")
        .prop_map(|text| {
            use unicode_normalization::UnicodeNormalization;
            Name { text: text.nfc().collect(), span: Span::default() }
        })
        .boxed()
}

fn at(kind: ExprKind) -> Expr {
    Expr { kind, span: Span::default() }
}

fn expr() -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        (0u32..2000, 0u32..100).prop_map(|(a, b)| {
            let text = format!("{a}.{b}");
            at(ExprKind::Number { value: text.parse().expect("a number"), text })
        }),
        "[A-Z #]{0,6}".prop_map(|text| at(ExprKind::Text(text))),
        name().prop_map(|name| at(ExprKind::Name(name.text))),
        name().prop_map(|name| at(ExprKind::Name(name.text + "'"))),
    ];
    let unary = prop_oneof![Just(UnaryOperator::Minus), Just(UnaryOperator::Not)];
    let binary = prop_oneof![
        Just(BinaryOperator::Add),
        Just(BinaryOperator::Subtract),
        Just(BinaryOperator::Multiply),
        Just(BinaryOperator::Divide),
        Just(BinaryOperator::Power),
        Just(BinaryOperator::Equal),
        Just(BinaryOperator::LessEqual),
        Just(BinaryOperator::And),
        Just(BinaryOperator::Or),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let label = prop_oneof![
            3 => Just(None),
            1 => name().prop_map(|name| Some(ArgumentLabel::Named(name))),
            1 => boxed.clone().prop_map(|weight| Some(ArgumentLabel::Weight(weight))),
        ];
        let argument = (label, inner.clone()).prop_map(|(label, value)| Argument { label, value });
        let arguments = proptest::collection::vec(argument, 0..4);
        let givens = proptest::option::weighted(
            0.2,
            arguments.clone().prop_filter("a bar has givens", |list| !list.is_empty()),
        );
        let places = proptest::collection::vec(time(inner.clone()), 1..3);
        prop_oneof![
            (unary.clone(), boxed.clone())
                .prop_map(|(operator, operand)| at(ExprKind::Unary { operator, operand })),
            (binary.clone(), boxed.clone(), boxed.clone())
                .prop_map(|(operator, left, right)| at(ExprKind::Binary { operator, left, right })),
            (boxed.clone(), boxed.clone(), boxed.clone()).prop_map(
                |(condition, then, otherwise)| at(ExprKind::If { condition, then, otherwise })
            ),
            (boxed.clone(), arguments.clone(), givens).prop_map(
                |(function, arguments, givens)| at(ExprKind::Call { function, arguments, givens })
            ),
            (boxed.clone(), places).prop_map(|(base, at_)| at(ExprKind::Index { base, at: at_ })),
            (boxed, name()).prop_map(|(base, field)| at(ExprKind::Field { base, field })),
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|values| at(ExprKind::Array(values))),
            proptest::collection::vec((name(), inner), 1..4)
                .prop_map(|fields| at(ExprKind::Record(fields))),
            (name(), arguments)
                .prop_map(|(kernel, arguments)| at(ExprKind::Previous { kernel, arguments })),
        ]
    })
    .boxed()
}

fn time(inner: impl Strategy<Value = Expr> + Clone + 'static) -> BoxedStrategy<At> {
    prop_oneof![
        inner.clone().prop_map(At::One),
        inner.clone().prop_map(At::Through),
        inner.clone().prop_map(At::From),
        (inner.clone(), inner).prop_map(|(low, high)| At::Between(low, high)),
    ]
    .boxed()
}

fn domain() -> BoxedStrategy<Domain> {
    let number =
        || (0u32..99).prop_map(|n| at(ExprKind::Number { value: n.into(), text: n.to_string() }));
    let bounds = proptest::option::of((expr(), expr()));
    let kind = prop_oneof![
        (number(), number()).prop_map(|(low, high)| DomainKind::Range(low, high)),
        number().prop_map(DomainKind::Count),
        proptest::collection::vec(name(), 1..30).prop_map(DomainKind::Names),
        Just(DomainKind::Bool),
        (proptest::option::of(expr()), bounds)
            .prop_map(|(length, bounds)| DomainKind::Real { length, bounds }),
    ];
    let leaf = (kind, proptest::option::weighted(0.2, expr())).prop_map(|(kind, filter)| Domain {
        kind,
        filter,
        span: Span::default(),
    });
    leaf.prop_recursive(2, 8, 3, |inner| {
        (proptest::collection::vec((name(), inner), 1..4), proptest::option::weighted(0.2, expr()))
            .prop_map(|(fields, filter)| Domain {
                kind: DomainKind::Record(fields),
                filter,
                span: Span::default(),
            })
    })
    .boxed()
}

fn formals(least: usize) -> BoxedStrategy<Vec<Formal>> {
    let length = prop_oneof![Just(FormalLength::Sequence), expr().prop_map(FormalLength::Window)];
    let formal =
        (name(), proptest::option::of(name()), proptest::option::of(length), any::<bool>())
            .prop_map(|(name, variable, length, optional)| Formal {
                name,
                variable,
                length,
                optional,
                span: Span::default(),
            });
    proptest::collection::vec(formal, least..4).boxed()
}

fn factor() -> BoxedStrategy<Factor> {
    let target = prop_oneof![
        4 => (name(), proptest::collection::vec(time(expr()), 1..3))
            .prop_map(|(name, index)| Target::Variable { name, index, span: Span::default() }),
        1 => name().prop_map(|kernel| Target::Weights { kernel, span: Span::default() }),
    ];
    (proptest::collection::vec(target, 1..3), expr())
        .prop_map(|(targets, distribution)| Factor { targets, distribution, span: Span::default() })
        .boxed()
}

fn settings() -> BoxedStrategy<Vec<Setting>> {
    let setting = (name(), expr()).prop_map(|(key, value)| Setting {
        key,
        of: vec![],
        value,
        span: Span::default(),
    });
    proptest::collection::vec(setting, 0..4).boxed()
}

fn item() -> BoxedStrategy<Item> {
    let span = Span::default();
    let head =
        (formals(1), formals(0)).prop_map(move |(outputs, givens)| Head { outputs, givens, span });
    let kind = prop_oneof![
        Just(BlockKind::Prior),
        Just(BlockKind::Likelihood),
        Just(BlockKind::Posterior),
        Just(BlockKind::Auxiliary)
    ];
    let block = (kind, proptest::collection::vec(factor(), 0..4))
        .prop_map(move |(kind, factors)| Block { kind, factors, span });
    let variable = (name(), domain()).prop_map(move |(name, domain)| Variable {
        role: Role::State,
        name,
        domain,
        span,
    });
    let let_ = (name(), proptest::option::of(proptest::collection::vec(name(), 1..3)), expr())
        .prop_map(move |(name, formals, value)| Let { name, formals, value, span });
    let environment_item = prop_oneof![
        variable.clone().prop_map(EnvironmentItem::Variable),
        (name(), proptest::option::of((expr(), expr())))
            .prop_map(move |(name, bounds)| EnvironmentItem::Reward { name, bounds, span }),
        let_.clone().prop_map(EnvironmentItem::Let),
        expr().prop_map(move |condition| EnvironmentItem::EndWhen { condition, span }),
        factor().prop_map(EnvironmentItem::Factor),
        (name(), proptest::collection::vec(time(expr()), 1..2), expr()).prop_map(
            move |(name, index, value)| EnvironmentItem::Define { name, index, value, span }
        ),
    ];
    let claim = prop_oneof![
        (expr(), expr()).prop_map(|(value, tolerance)| ClaimRelation::Within { value, tolerance }),
        expr().prop_map(ClaimRelation::AtLeast),
        expr().prop_map(ClaimRelation::AtMost),
    ];
    let claims = proptest::collection::vec(
        (name(), claim).prop_map(move |(quantity, relation)| Claim { quantity, relation, span }),
        0..4,
    );
    let bounds = proptest::option::of(
        (expr(), expr()).prop_map(|(low, high)| ParamBounds::Reals(low, high)),
    );
    prop_oneof![
        name().prop_map(Item::Model),
        (name(), expr(), bounds).prop_map(move |(name, value, bounds)| Item::Param(Param {
            name,
            value,
            bounds,
            span
        })),
        let_.prop_map(Item::Let),
        variable.prop_map(Item::Variable),
        (any::<bool>(), name(), proptest::collection::vec(environment_item, 0..5)).prop_map(
            move |(hidden, name, items)| {
                Item::Environment(Environment {
                    hidden,
                    name,
                    definition: EnvironmentDefinition::Body(items),
                    span,
                })
            }
        ),
        (name(), head, expr()).prop_map(move |(name, head, distribution)| Item::Kernel(Kernel {
            name,
            head,
            distribution,
            span
        })),
        (name(), formals(0), expr()).prop_map(move |(name, formals, value)| Item::Net(Net {
            name,
            formals,
            value,
            span
        })),
        (name(), proptest::collection::vec(block.clone(), 0..3))
            .prop_map(move |(name, blocks)| Item::Bound { name, blocks, span }),
        block.prop_map(Item::Block),
        settings().prop_map(move |settings| Item::Infer(Infer {
            objectives: Vec::new(),
            settings,
            span
        })),
        (settings(), claims).prop_map(move |(settings, claims)| Item::Expect(Expect {
            bound: None,
            settings,
            claims,
            span
        })),
    ]
    .boxed()
}

#[test]
fn a_tree_without_text_has_no_margin() {
    assert!(!Margin::new("", &[]).has_text());
}
