//! The parser that pest makes of `grammar/rlmodel.pest`.

#[derive(pest_derive::Parser)]
#[grammar = "../grammar/rlmodel.pest"]
pub struct Grammar;
