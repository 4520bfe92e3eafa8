//! Trees of good texts; bad, large and deep texts are refused without a panic.

use super::*;
use crate::syntax::ast::{EnvironmentDefinition, Expr, ExprKind, Item};
use crate::syntax::{expr_to_string, print};
use std::fs;
use std::path::Path;
use std::time::Instant;

#[test]
fn every_model_parses() {
    for folder in ["models", "tests/models"] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let source = Source::at(&path, fs::read_to_string(&path).unwrap());
            let failed = match path.extension().and_then(|extension| extension.to_str()) {
                Some("rlmodel") => parse(&source).err(),
                Some("rlenv") => parse_environment_file(&source).err(),
                _ => continue,
            };
            assert!(failed.is_none(), "{}: {}", path.display(), failed.unwrap());
        }
    }
}

/// Full brackets, so that the tree can be read.
fn shape(text: &str) -> String {
    fn write(expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Binary { operator, left, right } => {
                format!("({} {operator:?} {})", write(left), write(right))
            }
            ExprKind::Unary { operator, operand } => format!("({operator:?} {})", write(operand)),
            ExprKind::If { condition, then, otherwise } => {
                format!("(if {} {} {})", write(condition), write(then), write(otherwise))
            }
            _ => expr_to_string(expr),
        }
    }
    write(&parse_expr(text, "test").unwrap())
}

/// `bound` begins a statement elsewhere.
#[test]
fn the_bound_may_have_a_threshold() {
    assert_eq!(shape("bound >= -5 / 2"), "(bound GreaterEqual ((Minus 5) Divide 2))");
    let text = "infer {\n  until = bound <= 3\n  steps = 3\n}\n";
    let file = parse(&Source::new("test", text)).unwrap_or_else(|found| panic!("{found}"));
    let Some(Item::Infer(infer)) = file.items.first() else { panic!("{:?}", file.items) };
    assert_eq!(
        infer.settings.iter().map(|setting| expr_to_string(&setting.value)).collect::<Vec<_>>(),
        ["bound <= 3", "3"]
    );
    let printed = print(&file);
    assert_eq!(print(&parse(&Source::new("test", printed.as_str())).unwrap()), printed);
    assert!(parse(&Source::new("test", "infer { steps = bound }")).is_err());
    assert!(parse(&Source::new("test", "infer { steps = 1 + bound >= 3 }")).is_err());
}

#[test]
fn precedence_is_the_usual_one() {
    for (text, wanted) in [
        ("a - b - c", "((a Subtract b) Subtract c)"),
        ("a / b * c", "((a Divide b) Multiply c)"),
        ("a ^ b ^ c", "(a Power (b Power c))"),
        ("-a ^ b", "(Minus (a Power b))"),
        ("2 ^ -x ^ y * z", "((2 Power (Minus (x Power y))) Multiply z)"),
        ("-a * b", "((Minus a) Multiply b)"),
        ("a - -b", "(a Subtract (Minus b))"),
        ("not a == b and c", "((Not (a Equal b)) And c)"),
        ("not not a or b", "((Not (Not a)) Or b)"),
        ("a or b and c or d", "((a Or (b And c)) Or d)"),
        ("a + b < c * d", "((a Add b) Less (c Multiply d))"),
        ("1 + if a then b else c + d", "(1 Add (if a b (c Add d)))"),
        ("if a then b else if c then d else e", "(if a b (if c d e))"),
        ("(a + b) * c", "((a Add b) Multiply c)"),
    ] {
        assert_eq!(shape(text), wanted, "{text}");
    }
}

#[test]
fn spans_end_with_the_last_word() {
    let text = "let x = f(a)   # comment\n\nprior {\n  a[t] ~ g  # last\n}  ";
    let file = parse(&Source::new("m", text)).unwrap();
    let of = |span: Span| &text[span.start as usize..span.end as usize];
    let Item::Let(let_) = &file.items[0] else { panic!() };
    assert_eq!(of(let_.span), "let x = f(a)");
    assert_eq!(of(let_.value.span), "f(a)");
    let Item::Block(block) = &file.items[1] else { panic!() };
    assert_eq!(of(block.factors[0].span), "a[t] ~ g");
    assert_eq!(of(block.span), "prior {\n  a[t] ~ g  # last\n}");
    assert_eq!(
        file.comments.iter().map(|comment| of(comment.span)).collect::<Vec<_>>(),
        ["# comment", "# last"]
    );
}

#[test]
fn names_are_in_nfc() {
    let file = parse(&Source::new("m", "let e\u{301} = e\u{301}\u{301}")).unwrap();
    let Item::Let(let_) = &file.items[0] else { panic!() };
    assert_eq!(let_.name.text, "\u{e9}");
    assert!(matches!(&let_.value.kind, ExprKind::Name(text) if text == "\u{e9}\u{301}"));
}

#[test]
fn an_environment_file_has_its_own_source() {
    let path = Path::new("tests/models/options_window.rlmodel");
    let file = parse(&Source::at(path, fs::read_to_string(path).unwrap())).unwrap();
    assert_eq!(file.sources.len(), 2);
    let environment = file.items.iter().find_map(|item| match item {
        Item::Environment(environment) => Some(environment),
        _ => None,
    });
    let EnvironmentDefinition::File { included, .. } = &environment.unwrap().definition else {
        panic!()
    };
    let span = included.params[0].name.span;
    assert_eq!(span.file, 1);
    assert_eq!(&file.sources[1].text[span.start as usize..span.end as usize], "slip");
}

#[test]
fn what_is_not_deep_is_taken_and_printed() {
    let deep = |open: &str, middle: &str, close: &str, n: usize| {
        format!("let x = {}{middle}{}", open.repeat(n), close.repeat(n))
    };
    for text in [
        deep("(", "1", ")", 256),
        deep("[", "1", "]", 255),
        deep("f(", "1", ")", 250),
        deep("(1 + ", "1", ")", 250),
        deep("s[", "1", "]", 250),
        deep("-", "1", "", 250),
        deep("if a then ", "1", " else 2", 250),
        deep("if a then 1 else ", "1", "", 250),
        deep("1 + ", "1", "", 250),
        deep("2 ^ ", "1", "", 250),
        deep("if a then 1 else 2 + ", "1", "", 120),
        // brackets that the formatter adds, as deep as a tree may be
        deep("if a then ", "1", " else 2", 255),
        deep("if if ", "a", " then 1 else 2 then 3 else 4", 127),
        deep("1 + if a then ", "1", " else 2", 127),
        format!(
            "bound b {{ likelihood {{ R[t] ~ exp({}1{}) }} }}",
            "if a then ".repeat(250),
            " else 2".repeat(250)
        ),
        format!("state s : {}real{}", "{ x: ".repeat(250), " }".repeat(250)),
    ] {
        let told = |e: Diagnostics| format!("{}…\n{}", &text[..40], &e.to_string()[..200]);
        let file = parse(&Source::new("m", text.clone())).unwrap_or_else(|e| panic!("{}", told(e)));
        let printed = print(&file);
        assert_eq!(file.clone().items.len(), 1);
        let again = parse(&Source::new("m", printed.clone()))
            .unwrap_or_else(|e| panic!("printed: {}", told(e)));
        assert_eq!(print(&again), printed);
    }
}

#[test]
fn what_is_deep_is_refused() {
    // enough to overflow any stack that recursion would use
    let n = 20_000;
    for text in [
        "(".repeat(n),
        "(".repeat(n) + &"}".repeat(n),
        "[".repeat(300) + &"]".repeat(300),
        "f(".repeat(n),
        "- ".repeat(n) + "1",
        "not ".repeat(n) + "1",
        "1 + ".repeat(n) + "1",
        "2 ^ ".repeat(n) + "1",
        "if a then ".repeat(n) + "1",
        "if a then 1 else ".repeat(n) + "1",
        "if a then 1 else 2 + ".repeat(n) + "1",
        "if ".repeat(n),
        "a".to_owned() + &"(1)".repeat(n),
        "a".to_owned() + &"[1]".repeat(n),
        "a".to_owned() + &".b".repeat(n),
        "{ x: ".repeat(n),
        "1 + f(".repeat(200) + "1" + &")".repeat(200),
    ] {
        let refused = parse(&Source::new("m", format!("let x = {text}"))).unwrap_err();
        assert!(
            refused.list.iter().all(|diagnostic| diagnostic.code.0 == "too-deep"),
            "{}…: {}",
            &text[..40],
            refused.list[0].message
        );
        assert_eq!(refused.list.len(), 1, "{}…", &text[..40]);
        let rendered = refused.to_string();
        assert!(rendered.len() < 2000, "{}…: {} bytes", &text[..40], rendered.len());
    }
}

#[test]
fn large_and_strange_texts_are_answered_at_once() {
    let start = Instant::now();
    for text in [
        "x".repeat(10 << 20),
        "let x = 1\n".repeat(1 << 19),
        "\u{0}\u{1}".repeat(1000),
        "}".repeat(20_000),
        "# c\n".repeat(20_000),
        "let ".repeat(10_000),
        "\"".repeat(10_001),
        "a ~ ~ b\n".repeat(5_000),
        "&& ".repeat(10_000),
        "é".repeat(10_000),
        "let x = [".to_owned() + &"1, ".repeat(20_000),
    ] {
        let refused = parse(&Source::new("m", text.clone())).unwrap_err();
        assert!(!refused.list.is_empty() && refused.list.len() <= 20);
        assert!(!refused.to_string().is_empty());
    }
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}
