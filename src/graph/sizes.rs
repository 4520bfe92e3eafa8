//! Points and boxes of a picture, and the sizes of what stands in it, in SVG's user units.

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

pub const RADIUS: f64 = 21.0;
/// Half the side of a factor's square.
pub const SQUARE: f64 = 7.0;
pub const LABEL_SIZE: f64 = 12.0;
pub const NAME_SIZE: f64 = 16.0;
pub const INDEX_SIZE: f64 = 11.0;
