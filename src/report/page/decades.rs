//! A logarithmic axis. The one of plotters looks for its labels without end if a number is
//! denormal, and has none below 2e-16.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

/// The decades that an axis shows at most: what lies below is drawn at its lower end, as 0 is.
const MOST: f64 = 1e16;

/// From a number greater than 0 to a greater one.
#[derive(Clone)]
pub struct Decades {
    least: f64,
    greatest: f64,
}

impl Decades {
    /// With some room around `least` and `greatest`.
    pub fn between(least: f64, greatest: f64) -> Decades {
        Decades { least: least.max(greatest / MOST) / 1.2, greatest: greatest * 1.2 }
    }

    /// Of 0 as well.
    fn exponent(&self, number: f64) -> f64 {
        number.max(self.least).log10()
    }
}

impl Ranged for Decades {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, number: &f64, (from, to): (i32, i32)) -> i32 {
        let (low, high) = (self.exponent(self.least), self.exponent(self.greatest));
        from + (f64::from(to - from) * ((self.exponent(*number) - low) / (high - low))).round()
            as i32
    }

    /// Powers of ten, all of them or every second, third, …
    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let (low, high) =
            (self.exponent(self.least).ceil() as i32, self.exponent(self.greatest).floor() as i32);
        let count = (high - low + 1).max(0) as usize;
        let step = count.div_ceil(hint.max_num_points().max(1)).max(1);
        (low..=high).step_by(step).map(|exponent| 10f64.powi(exponent)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.least..self.greatest
    }
}
