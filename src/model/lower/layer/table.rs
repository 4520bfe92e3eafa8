//! `table(x, …)`: a row of numbers for each joint value of what it reads.

use super::super::Lowering;
use super::{Call, LARGEST, NetworkLayer};
use crate::diagnostic::Diagnostic;
use crate::model::{FormalLength, FormalVariable, LayerId, LayerOp};

pub(super) const LAYER: NetworkLayer = NetworkLayer { name: "table", build };

fn build(lowering: &mut Lowering<'_>, call: &Call<'_>) -> Option<LayerId> {
    let Call { net, arguments, span, .. } = *call;
    let formals: Vec<_> = arguments
        .iter()
        .map(|argument| (lowering.bare_formal(net, "table", argument), argument.value.span))
        .collect();
    let width = lowering.demanded(call);
    let mut rows = Some(1usize);
    let mut places = Vec::with_capacity(formals.len());
    for (formal, place) in formals {
        let (at, formal) = formal?;
        places.push(at);
        let size = match formal.variable {
            FormalVariable::Time => lowering.horizon.as_ref()?.value,
            FormalVariable::Variable(_) | FormalVariable::Reward(..) | FormalVariable::End => {
                let domain = lowering.formal_domain(formal.variable)?;
                match &domain.finite {
                    Some(finite) => finite.size(),
                    None => {
                        let told = Diagnostic::error(
                            "network",
                            place,
                            format!(
                                "`table` has a row per value, and `{}` is not finite",
                                formal.name
                            ),
                        );
                        lowering.report(told.hint("use `linear` or `mlp`"));
                        return None;
                    }
                }
            }
        };
        let size = size + usize::from(formal.optional);
        let steps = match formal.length {
            FormalLength::One => 1,
            FormalLength::Window(steps) => steps,
            FormalLength::Sequence => {
                lowering.error(
                    "network",
                    place,
                    format!("`table` has no rows for the sequence `{}`", formal.name),
                );
                return None;
            }
        };
        rows = (0..steps).try_fold(rows.unwrap_or(usize::MAX), |rows, _| {
            rows.checked_mul(size).filter(|rows| *rows <= LARGEST)
        });
        if rows.is_none() {
            break;
        }
    }
    let width = width?;
    let Some(rows) =
        rows.filter(|rows| rows.checked_mul(width).is_some_and(|entries| entries <= LARGEST))
    else {
        lowering.error("size", span, format!("this table has more than {LARGEST} entries"));
        return None;
    };
    if places.is_empty() {
        lowering.error("argument", span, "`table` has no input");
        return None;
    }
    let weight =
        lowering.parameter(&format!("{}.table", net.next_name()), rows, width, net.place(span))?;
    Some(lowering.push_layer(
        LayerOp::Table { kernel: net.kernel, formals: places, weight },
        width,
        span,
    ))
}
