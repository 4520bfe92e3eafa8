//! Numbers in the words of a message.

/// The most numbers of a row that are shown.
const SHOWN: usize = 6;

/// ``the logits of `pi` are [NaN, NaN]``, ``the sd of `pi` is 0``
pub(in crate::engine) fn said(name: &str, kernel: &str, values: &[f64]) -> String {
    let is = if name == "logits" { "are" } else { "is" };
    match values {
        [value] => format!("the {name} of `{kernel}` {is} {value}"),
        values => {
            let shown: Vec<String> = values.iter().take(SHOWN).map(f64::to_string).collect();
            let more = if values.len() > SHOWN { ", …" } else { "" };
            format!("the {name} of `{kernel}` {is} [{}{more}]", shown.join(", "))
        }
    }
}
