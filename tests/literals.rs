//! A file of the largest size may be one literal: what it takes while it is read and checked.

use peak_alloc::PeakAlloc;
use rlppl::model::{Overrides, check};
use rlppl::source::{LARGEST, Source};
use rlppl::syntax;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes for each byte of text. A number of one digit and its comma are two bytes, and an
/// expression of the tree is not much less than a hundred.
const MOST: usize = 96;

const MODEL: &str = "model m
horizon T = 3
environment e {
  state s : 0..9
  action a : { left, right }
  reward r in [-9, 0]
  s[1] ~ Delta(0)
  s[t+1] ~ Delta(s[t])
  r[t] = -all[s[t]]
}
kernel pi(a | s) = Categorical(logits = table(s))
prior { s[1] ~ e.initial; a[t] ~ Uniform; s[t+1] ~ e.transition(s[t], a[t]) }
likelihood { R[t] ~ exp(r[t]) }
posterior { s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ e.transition(s[t], a[t]) }
let all = [";

/// One test, so that no other allocates beside it.
#[test]
fn a_file_that_is_one_literal_takes_memory_in_proportion_to_it() {
    let digits = (LARGEST - MODEL.len() - 4) / 2;
    let text: String = [
        MODEL,
        &(0..digits)
            .map(|k| char::from(b'0' + (k % 10) as u8).to_string() + ",")
            .collect::<String>(),
        "]",
    ]
    .concat();
    let source = Source::new("literal", text);
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let file = syntax::parse(&source).unwrap_or_else(|found| panic!("{found}"));
    check(&file, &Overrides::default()).unwrap_or_else(|found| panic!("{found}"));
    let bytes = (ALLOCATOR.peak_usage() - before) / source.text.len();
    assert!(bytes <= MOST, "{bytes} bytes for each byte of text");
}
