//! A file's parse is work in proportion to its length: pest's calls are counted by limiting them.
//! Alone in its process, since the limit is the process's.

use rlppl::parse;
use rlppl::source::Source;
use std::num::NonZeroUsize;

/// How much more a byte of the longest text may cost than one of the shortest; the counts are known
/// to one part in 16.
const GROWTH: f64 = 1.25;

#[test]
fn parsing_takes_calls_in_proportion_to_the_text() {
    type Text = fn(usize) -> String;
    let texts: [(&str, Text); 6] = [
        ("kernels", |n| {
            (0..n)
                .map(|k| {
                    format!(
                        "kernel pick{k}(o | s, last: o?) = Categorical(logits = table(s, last))\n"
                    )
                })
                .collect()
        }),
        ("factors", |n| format!("posterior {{ {} }}", "o[t] ~ pick(s[t], o[t-1])\n".repeat(n))),
        ("sums", |n| {
            (0..n / 10)
                .map(|k| format!("let x{k} = 1 {}\n", "+ a[t] * (b - 2) ".repeat(20)))
                .collect()
        }),
        ("tables", |n| format!("let x = [{}]", "[1, -2, 3, x], ".repeat(n))),
        ("numbers", |n| format!("let x = [{}]", "1, -2.5,\n".repeat(n))),
        ("brackets", |n| format!("let x = {}1{}", "(".repeat(n / 10), ")".repeat(n / 10))),
    ];
    for (what, text) in texts {
        let per_byte = [100, 400, 1600].map(|n| {
            let source = Source::new("grown", text(n));
            calls(&source) as f64 / source.text.len() as f64
        });
        assert!(
            per_byte[1] <= GROWTH * per_byte[0] && per_byte[2] <= GROWTH * per_byte[0],
            "{what}: {per_byte:?} calls a byte"
        );
    }
}

/// The smallest limit under which the text parses, to one part in 16.
fn calls(source: &Source) -> usize {
    let (mut fails, mut parses) = (0, 1 << 26);
    while parses - fails > parses / 16 {
        let middle = (fails + parses) / 2;
        pest::set_call_limit(NonZeroUsize::new(middle));
        if parse(source).is_ok() { parses = middle } else { fails = middle }
    }
    pest::set_call_limit(None);
    parses
}
