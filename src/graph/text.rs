//! How much room words take, in a font nobody knows.

use super::sizes::{INDEX_SIZE, NAME_SIZE, RADIUS};

/// Not less than what common fonts take.
pub fn text_width(text: &str, size: f64) -> f64 {
    let em = |character: char| match character {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '|' | '\'' | '(' | ')' | '[' | ']'
        | ' ' | 't' | 'f' | 'r' | '·' => 0.36,
        'm' | 'w' | 'M' | 'W' => 0.9,
        '\u{300}'..='\u{36f}' => 0.0,
        // East Asian scripts and beyond fill a square
        '\u{2e80}'.. => 1.0,
        character if character.is_uppercase() => 0.72,
        _ => 0.6,
    };
    text.chars().map(em).sum::<f64>() * size
}

/// Half the width of a variable's node.
pub fn node_half_width(name: &str, index: &str) -> f64 {
    RADIUS.max((text_width(name, NAME_SIZE) + text_width(index, INDEX_SIZE)) / 2.0 + 9.0)
}

/// Letters stand in italics, as in a formula; digits, signs and words do not.
pub fn is_symbol(name: &str) -> bool {
    let mut letters = name.chars().filter(|character| character.is_alphabetic());
    letters.next().is_some() && letters.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_single_letters() {
        assert!(
            is_symbol("s") && is_symbol("π₀") && !is_symbol("weights(world)") && !is_symbol("7")
        );
    }

    #[test]
    fn a_node_grows_with_its_name() {
        assert!(node_half_width("s", "t+1") < node_half_width("position", "t+1"));
        assert!(text_width("状態", 10.0) >= 20.0);
    }
}
