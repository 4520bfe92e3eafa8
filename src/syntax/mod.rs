//! Text in, tree out, and back. Knows no probability.

pub mod ast;
mod build;
mod foreign;
mod grammar;
mod parse;
mod print;
mod scan;
mod taste;
mod words;

pub use foreign::{FOREIGN, Foreign, Place, our_argument, ours};
pub use parse::{SET, parse, parse_environment_file, parse_expr, parse_set};
pub use print::{WIDTH, expr_to_string, print, print_environment_file};
pub use scan::{DEPTH_LIMIT, RESERVED};
pub use taste::taste;
