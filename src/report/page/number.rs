//! Numbers on the page: short to the eye, whole in the file.

use super::super::noise::without_noise;
use maud::{Markup, html};

/// Four decimals; the whole number is its machine-readable value.
pub fn number(value: f64) -> Markup {
    whole(value, &format!("{value:.4}"))
}

/// As [`number`], 0 where it is rounding noise.
pub fn difference(nats: f64) -> Markup {
    whole(nats, &format!("{:.4}", without_noise(nats)))
}

pub fn optional(value: Option<f64>) -> Markup {
    value.map_or_else(|| html! { "–" }, number)
}

/// `-10.2015 ± 0.1557`
pub fn uncertain(estimate: f64, standard_error: f64) -> Markup {
    html! { (number(estimate)) " ± " (number(standard_error)) }
}

/// `258 882`
pub fn count(count: u64) -> Markup {
    let digits = count.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or(""))
        .collect();
    html! { data value=(count) { (groups.join("\u{202f}")) } }
}

/// Two decimals.
pub fn seconds(seconds: f64) -> Markup {
    whole(seconds, &format!("{seconds:.2}"))
}

fn whole(value: f64, shown: &str) -> Markup {
    match value.is_finite() {
        true => html! { data value=(value) { (shown.replace('-', "−")) } },
        false => html! { "not finite" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_digits() {
        assert_eq!(
            number(-10.037188371346748).into_string(),
            "<data value=\"-10.037188371346748\">−10.0372</data>"
        );
        assert_eq!(
            difference(-4.4e-16).into_string(),
            "<data value=\"-0.00000000000000044\">0.0000</data>"
        );
        assert_eq!(
            (number(f64::NAN).into_string(), optional(None).into_string()),
            ("not finite".to_owned(), "–".to_owned())
        );
        assert_eq!(
            count(1_258_882).into_string(),
            "<data value=\"1258882\">1\u{202f}258\u{202f}882</data>"
        );
        assert_eq!(count(7).into_string(), "<data value=\"7\">7</data>");
    }
}
