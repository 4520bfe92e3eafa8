//! A file's parse is work in proportion to its length: pest's calls are counted by limiting them. Alone in its process, since the limit is the process's.

use rlppl::parse;
use rlppl::source::Source;
use std::num::NonZeroUsize;

/// Rules and repetitions tried per byte, at the most.
const CALLS_PER_BYTE: usize = 24;

#[test]
fn parsing_takes_calls_in_proportion_to_the_text() {
    type Text = fn(usize) -> String;
    let texts: [(&str, Text); 4] = [
        ("kernels", |n| (0..n).map(|k| format!("kernel pick{k}(o | s, last: o?) = Categorical(logits = table(s, last))\n")).collect()),
        ("factors", |n| format!("posterior {{ {} }}", "o[t] ~ pick(s[t], o[t-1])\n".repeat(n))),
        ("sums", |n| format!("let x = 1 {}", "+ a[t] * (b - 2) ".repeat(n))),
        ("brackets", |n| format!("let x = {}1{}", "(".repeat(n / 10), ")".repeat(n / 10))),
    ];
    for (what, text) in texts {
        for n in [100, 400, 1600] {
            let source = Source::new("grown", text(n));
            let calls = calls(&source);
            assert!(calls <= CALLS_PER_BYTE * source.text.len(), "{n} {what}: {} calls a byte", calls / source.text.len());
        }
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
