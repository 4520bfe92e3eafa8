//! Colours that colour-blind readers tell apart (Okabe and Ito, 2008), lighter ones of the same
//! order for dark pages, and dashes beside them.

use plotters::style::RGBColor;

/// On a light page, and on a dark one.
const SERIES: [(u32, u32); 7] = [
    (0x0072B2, 0x4FA8E0),
    (0xD55E00, 0xFF8A3D),
    (0x009E73, 0x35C99B),
    (0xCC79A7, 0xE8A2C8),
    (0xB98200, 0xF2B840),
    (0x3A9BD0, 0xA4DCFF),
    (0x555555, 0xD0D0D0),
];

/// Lengths of strokes and gaps; none is a whole line. As many as have no common factor with the
/// colours: 35 lines differ.
const DASHES: [&str; 5] = ["none", "14 6", "4 5", "18 5 4 5", "8 4"];

/// What is drawn beside the runs.
pub const BEST: RGBColor = RGBColor(0x70, 0x70, 0x70);
pub const EVIDENCE: RGBColor = RGBColor(0x71, 0x71, 0x71);
pub const MEDIAN: RGBColor = RGBColor(0x11, 0x11, 0x11);
pub const BAND: RGBColor = RGBColor(0x12, 0x12, 0x12);
pub const GRID: RGBColor = RGBColor(0xE3, 0xE3, 0xE3);
pub const AXIS: RGBColor = RGBColor(0x80, 0x80, 0x80);

/// The ink of series `number`: where the colours come again they differ in what no eye sees, so
/// that a rule of style finds each.
pub fn series(number: usize) -> RGBColor {
    let ((light, _), again) = (SERIES[number % SERIES.len()], (number / SERIES.len()) as u32);
    let [_, red, green, blue] = light.to_be_bytes();
    let [_, more_red, more_green, more_blue] =
        (again & 7 | (again >> 3 & 7) << 8 | (again >> 6 & 7) << 16).to_be_bytes();
    let mix = |colour: u8, more: u8| colour ^ more;
    RGBColor(mix(red, more_red), mix(green, more_green), mix(blue, more_blue))
}

/// `#0072B2`
pub fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// The rules of style by which `count` series have their dashes, and their colours on dark pages.
pub fn rules(count: usize) -> String {
    let mut rules = String::new();
    let mut dark = String::new();
    for number in 0..count.max(SERIES.len()) {
        let (name, colour) = (hex(series(number)), SERIES[number % SERIES.len()].1);
        let dash = DASHES[number % DASHES.len()];
        rules += &format!(
            "polyline[stroke=\"{name}\"],line[stroke=\"{name}\"]{{stroke-dasharray:{dash}}}\n"
        );
        dark += &format!(
            "[stroke=\"{name}\"]{{stroke:#{colour:06X}}}[fill=\"{name}\"]{{fill:#{colour:06X}}}\n"
        );
    }
    rules + "@media (prefers-color-scheme: dark) {@media screen {\n" + &dark + "}}\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_series_has_an_ink_of_its_own_and_35_differ_to_the_eye() {
        assert_eq!(
            (0..2000).map(|number| hex(series(number))).collect::<BTreeSet<_>>().len(),
            2000
        );
        assert_eq!(hex(series(0)), "#0072B2");
        let seen: BTreeSet<(usize, usize)> =
            (0..35).map(|number| (number % SERIES.len(), number % DASHES.len())).collect();
        assert_eq!(seen.len(), 35);
    }
}
