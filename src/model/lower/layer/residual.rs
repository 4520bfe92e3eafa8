//! `residual(x, …, hidden = [n, …], activation = …)`: `x` and what an `mlp` adds to it (He
//! et al. 2016).

use super::super::Lowering;
use super::arguments::{activation, hidden};
use super::{Call, NetworkLayer};
use crate::diagnostic::Diagnostic;
use crate::expr::BinaryOp;
use crate::model::{LayerId, LayerOp};

pub(super) const LAYER: NetworkLayer = NetworkLayer { name: "residual", build };

fn build(lowering: &mut Lowering<'_>, call: &Call<'_>) -> Option<LayerId> {
    let Call { net, arguments, width, span, .. } = *call;
    let input = lowering.input_layers(call, &["hidden", "activation"]);
    let hidden = hidden(lowering, call);
    let activation = activation(lowering, arguments);
    let (input, mut widths, activation) = (input?, hidden?, activation?);
    let columns = lowering.network.layer(input).width;
    if let Some(wanted) = width.filter(|wanted| *wanted != columns) {
        let message =
            format!("`residual` gives as many numbers as it reads, {columns}, not {wanted}");
        let told = Diagnostic::error("width", span, message);
        lowering.report(told.hint("put a layer after it: `linear(residual(…, hidden = [64]))`"));
        return None;
    }
    widths.push(columns);
    let mut weights = Vec::with_capacity(widths.len());
    let mut rows = columns;
    for &width in &widths {
        let owner = net.next_name();
        weights.push(lowering.affine_of(&owner, rows, width, net.place(span))?);
        rows = width;
    }
    let change = LayerOp::Mlp { input, activation, last: None, weights };
    let change = lowering.push_layer(change, columns, span);
    lowering.binary_layer(BinaryOp::Add, input, change, span)
}

#[cfg(test)]
mod tests {
    use crate::expr::BinaryOp;
    use crate::model::{LayerOp, Overrides, check};
    use crate::source::Source;
    use crate::syntax::parse;

    #[test]
    fn it_reads_and_gives_as_many_numbers() {
        let text = "model line
            horizon T = 2
            environment line {
              state s : real; action a : real; reward r
              s[1] ~ Normal(mean = 0, sd = 1)
              s[t+1] ~ Normal(mean = s[t], sd = 1)
              r[t] = 0
            }
            kernel pi(a | s) = Normal(mean = linear(residual(s, 2 * s, hidden = [8])), sd = 1)
            prior { s[1] ~ line.initial; a[t] ~ Normal(mean = 0, sd = 1)
                    s[t+1] ~ line.transition(s[t], a[t]) }
            likelihood { R[t] ~ exp(r[t]) }
            posterior { s[1] ~ line.initial; a[t] ~ pi(s[t])
                        s[t+1] ~ line.transition(s[t], a[t]) }";
        let file = parse(&Source::new("line.rlmodel", text)).expect("the text is a model");
        let model = check(&file, &Overrides::default()).expect("nothing is wrong with it");
        let sum = model
            .network
            .layers
            .iter()
            .find(|layer| matches!(layer.op, LayerOp::Binary(BinaryOp::Add, ..)))
            .expect("the layer adds");
        assert_eq!(sum.width, 2);
        let sizes: Vec<(usize, usize)> = model
            .network
            .parameters
            .iter()
            .map(|parameter| (parameter.rows, parameter.columns))
            .collect();
        assert_eq!(sizes, [(2, 8), (1, 8), (8, 2), (1, 2), (2, 1), (1, 1)]);
    }
}
