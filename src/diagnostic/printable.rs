//! Text of a file, or its name, on a terminal: what would move the cursor, colour, hide or turn
//! around what follows is written out.

use std::borrow::Cow;

/// The text with `\u{202e}` in the place of such a character; line ends and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let written = text
        .chars()
        .map(|c| if is_hidden(c) { c.escape_unicode().to_string() } else { c.to_string() });
    Cow::Owned(written.collect())
}

/// JSON with such characters as JSON escapes them: it means the same.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_hidden) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) {
            let mut units = [0; 2];
            c.encode_utf16(&mut units)
                .iter()
                .for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        } else {
            text.push(c);
        }
    }
    Cow::Owned(text)
}

/// The text with another character of as many bytes in the place of such a one, so that places in
/// it stay. Control characters of one byte stay: the renderer has pictures of them.
pub(super) fn in_place(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match (is_hidden(c), c.len_utf8()) {
        (false, _) | (true, 1) => c,
        (true, 2) => '¿',
        (true, 3) => '\u{fffd}',
        (true, _) => '\u{1fbc4}',
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Control characters, what has no width, and what changes the direction of writing.
fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        _ => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIDDEN: [char; 9] = [
        '\u{1b}',
        '\r',
        '\u{9b}',
        '\u{200b}',
        '\u{2028}',
        '\u{202e}',
        '\u{2066}',
        '\u{feff}',
        '\u{e0041}',
    ];

    #[test]
    fn what_hides_is_written_out_and_all_else_stays() {
        assert_eq!(printable("a\u{1b}[31m\u{202e}b"), "a\\u{1b}[31m\\u{202e}b");
        assert_eq!(printable("π₀\t∑\n"), "π₀\t∑\n");
        for c in HIDDEN {
            let text = format!("x{c}y");
            assert!(
                !printable(&text).contains(c) && (c.is_ascii() || !in_place(&text).contains(c)),
                "{c:?}"
            );
            assert_eq!(in_place(&text).len(), text.len(), "{c:?}");
        }
    }

    #[test]
    fn json_means_the_same() {
        let value: Vec<String> = HIDDEN.iter().map(|c| format!("x{c}y")).collect();
        let text = serde_json::to_string(&value).unwrap();
        let written = printable_json(&text);
        assert!(HIDDEN.iter().all(|&c| !written.contains(c)), "{written}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&written).unwrap(), value);
    }
}
