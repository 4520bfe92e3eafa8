use super::testing::*;
use crate::engine::network::plan::NetworkPlan;
use crate::engine::*;
use crate::expr::{BinaryOp, UnaryOp};
use crate::model::*;

/// The gradient of a weighted sum of all roots against differences, in f64.
fn check(model: &Model, roots: &[LayerId], inputs: &[Feed<f64>], rows: usize) {
    let plan = NetworkPlan::compile(model, roots, |kernel, formal| kernel.0 * 100 + formal)
        .expect("compiles");
    let parameters = numbers(Layout::of(&model.network).len(), 5);
    let weights: Vec<Vec<f64>> = (0..plan.outputs())
        .map(|root| numbers(rows * plan.width(root), 77 + root as u64))
        .collect();
    let value = |parameters: &[f64]| {
        let mut activations = Activations::new(&plan, rows);
        plan.forward(parameters, inputs, 0..rows, &mut activations);
        let roots = weights.iter().enumerate();
        roots
            .map(|(root, w)| {
                activations
                    .output(&plan, root, 0..rows)
                    .iter()
                    .zip(w)
                    .map(|(y, w)| y * w)
                    .sum::<f64>()
            })
            .sum()
    };
    let mut activations = Activations::new(&plan, rows);
    plan.forward(&parameters, inputs, 0..rows, &mut activations);
    let mut gradient = vec![0.0; parameters.len()];
    let slices: Vec<&[f64]> = weights.iter().map(|w| &w[..]).collect();
    plan.backward(
        &parameters,
        &activations,
        0..rows,
        &slices,
        &mut Scratch::default(),
        &mut gradient,
    );
    assert_gradient(&parameters, &gradient, value);
}

fn policy(kinds: &[Kind], optional: bool) -> (Model, KernelId, LayerId) {
    let mut model = empty_model(7);
    let s = model.add_variable("s", kinds);
    let a = model.add_variable("a", &[integers(3)]);
    let given = Formal { optional, ..formal(FormalVariable::Variable(s)) };
    let pi = model.add_kernel(
        "pi",
        a,
        &[given, formal(FormalVariable::Time), formal(FormalVariable::Variable(a))],
    );
    let counts = kinds.iter().map(|kind| match kind {
        Kind::Integer { lo, hi } => (hi - lo + 1) as usize + usize::from(optional),
        _ => 1,
    });
    let x = model.add_layer(LayerOp::Formal { kernel: pi, formal: 1 }, counts.sum());
    (model, pi, x)
}

#[test]
fn every_activation_passes_its_gradient() {
    for activation in
        [Activation::Tanh, Activation::Sigmoid, Activation::Softplus, Activation::Relu]
    {
        let (mut model, _, x) = policy(&[real(), real(), real()], false);
        let y = model.add_mlp("net", x, &[17, 5, 2], activation, None);
        let columns = numbers(3 * 131, 1);
        check(&model, &[y], &[Feed::Real { columns: &columns, stride: 131 }], 131);
    }
}

#[test]
fn one_hot_parts_are_rows_of_the_weight() {
    let (mut model, pi, x) = policy(&[integers(4), integers(3)], true);
    let t = model.add_layer(LayerOp::Formal { kernel: pi, formal: 2 }, 1);
    let both = model.add_layer(LayerOp::Concat(vec![x, t]), 10);
    let y = model.add_mlp("net", both, &[6, 2], Activation::Tanh, None);
    let (states, times) = ([0, 5, 11, 12, 7], [0, 6, 3, 1, 1]);
    let inputs = [Feed::Finite(&states), Feed::Finite(&times)];
    check(&model, &[y], &inputs, 5);
    // the same columns as zeros and ones, multiplied
    let plan = NetworkPlan::compile(&model, &[both, y], |_, formal| formal).expect("compiles");
    let parameters = numbers(Layout::of(&model.network).len(), 5);
    let mut activations = Activations::new(&plan, 5);
    plan.forward(&parameters, &inputs, 0..5, &mut activations);
    let dense = activations.output(&plan, 0, 0..5);
    assert_eq!(
        &dense[10..20],
        [0., 1., 0., 0., 0., 0., 0., 1., 0., 1.0],
        "state 5 is (1, 2), at t = 7 of 7"
    );
    assert_eq!(&dense[30..40], [0., 0., 0., 0., 1., 0., 0., 0., 1., 2. / 7.], "none");
    let mut hidden = parameters[60..66].to_vec();
    for (j, x) in dense[10..20].iter().enumerate() {
        (0..6).for_each(|k| hidden[k] += x * parameters[j * 6 + k]);
    }
    let y = (0..6).map(|k| hidden[k].tanh() * parameters[66 + k * 2]).sum::<f64>() + parameters[78];
    assert!((y - activations.output(&plan, 1, 0..5)[2]).abs() < 1e-12);
}

#[test]
fn tables_gather_and_scatter() {
    let (mut model, pi, _) = policy(&[integers(4), integers(3)], true);
    let weight = model.add_parameter("pi.table", 13 * 7, 3);
    let y = model.add_layer(LayerOp::Table { kernel: pi, formals: vec![1, 2], weight }, 3);
    let (states, times) = ([0, 5, 12, 5], [0, 6, 3, 6]);
    let inputs = [Feed::Finite(&states), Feed::Finite(&times)];
    check(&model, &[y], &inputs, 4);
    let plan = NetworkPlan::compile(&model, &[y], |_, formal| formal).expect("compiles");
    let parameters = numbers(13 * 7 * 3, 5);
    let mut activations = Activations::new(&plan, 4);
    plan.forward(&parameters, &inputs, 0..4, &mut activations);
    let row = 12 * 7 + 3; // `none` at t = 4
    assert_eq!(activations.output(&plan, 0, 2..3), &parameters[row * 3..row * 3 + 3]);
}

#[test]
fn a_head_per_option_and_elementwise_layers() {
    let (mut model, pi, x) = policy(&[real(), real()], false);
    let heads = model.add_linear("heads", x, 6);
    let per = model.add_layer(LayerOp::Per { kernel: pi, formal: 3, heads }, 2);
    let positive = model.add_layer(LayerOp::Unary(UnaryOp::Softplus, per), 2);
    let gate = model.add_linear("gate", x, 1);
    let product = model.add_layer(LayerOp::Binary(BinaryOp::Multiply, positive, gate), 2);
    let quotient = model.add_layer(LayerOp::Binary(BinaryOp::Divide, product, positive), 2);
    let square = model.add_layer(LayerOp::Binary(BinaryOp::Multiply, quotient, product), 2);
    let both = model.add_layer(LayerOp::Concat(vec![square, heads, gate]), 9);
    let y = model.add_mlp("net", both, &[5, 2], Activation::Tanh, None);
    let (columns, options) = (numbers(2 * 6, 3), [0, 2, 1, 1, 0, 2]);
    check(
        &model,
        &[y, per, both],
        &[Feed::Real { columns: &columns, stride: 6 }, Feed::Finite(&options)],
        6,
    );
}

#[test]
fn a_shared_trunk_is_computed_once() {
    let (mut model, pi, x) = policy(&[real(), real()], false);
    let baseline = model.kernels[pi.0 as usize].clone();
    model.kernels.push(baseline);
    let body = model.add_mlp("body", x, &[8, 8], Activation::Tanh, Some(Activation::Tanh));
    let logits = model.add_linear("pi.logits", body, 3);
    let again = model.add_layer(LayerOp::Formal { kernel: KernelId(1), formal: 1 }, 2);
    let mut op = model.network.layer(body).op.clone();
    if let LayerOp::Mlp { input, .. } = &mut op {
        *input = again;
    }
    let same = model.add_layer(op, 8);
    let value = model.add_linear("baseline", same, 1);
    let apart =
        NetworkPlan::compile(&model, &[logits, value], |kernel, formal| kernel.0 * 10 + formal)
            .expect("compiles");
    let shared =
        NetworkPlan::compile(&model, &[logits, value], |_, formal| formal).expect("compiles");
    assert_eq!((apart.inputs().len(), apart.steps.len()), (2, 6));
    assert_eq!((shared.inputs().len(), shared.steps.len()), (1, 4));
    let columns = numbers(2 * 300, 3);
    let input = Feed::Real { columns: &columns, stride: 300 };
    check(&model, &[logits, value], &[input, input], 300);
    // both compute the same numbers and the same gradient
    let parameters = numbers(Layout::of(&model.network).len(), 5);
    let (dy, dv) = (numbers(900, 8), numbers(300, 9));
    let run = |plan: &NetworkPlan, inputs: &[Feed<f64>]| {
        let mut activations = Activations::new(plan, 300);
        plan.forward(&parameters, inputs, 0..300, &mut activations);
        let mut gradient = vec![0.0; parameters.len()];
        plan.backward(
            &parameters,
            &activations,
            0..300,
            &[&dy, &dv],
            &mut Scratch::default(),
            &mut gradient,
        );
        gradient
    };
    for (a, b) in run(&apart, &[input, input]).iter().zip(run(&shared, &[input])) {
        assert!((a - b).abs() < 1e-10);
    }
}

#[test]
fn rows_can_be_filled_piece_by_piece() {
    let (mut model, _, x) = policy(&[real(), integers(3)], false);
    let y = model.add_mlp("net", x, &[16, 2], Activation::Tanh, None);
    let plan = NetworkPlan::compile(&model, &[y], |_, formal| formal).expect("compiles");
    let parameters = numbers(Layout::of(&model.network).len(), 5);
    let columns: Vec<f64> =
        numbers(50, 1).into_iter().chain((0..50).map(|i| f64::from(i % 3))).collect();
    let mut whole = Activations::new(&plan, 50);
    plan.forward(&parameters, &[Feed::Real { columns: &columns, stride: 50 }], 0..50, &mut whole);
    let mut pieces = Activations::new(&plan, 1);
    for rows in [0..20, 20..49, 49..50] {
        let input = Feed::Real { columns: &columns[rows.start..], stride: 50 };
        plan.forward(&parameters, &[input], rows, &mut pieces);
    }
    for (a, b) in whole.output(&plan, 0, 0..50).iter().zip(pieces.output(&plan, 0, 0..50)) {
        assert!((a - b).abs() < 1e-12);
    }
}

#[test]
fn f32_is_close_to_f64() {
    let (model, _, logits) = mlp_policy(4, &[64, 64], 2);
    let plan = NetworkPlan::compile(&model, &[logits], |_, formal| formal).expect("compiles");
    let parameters = Parameters::<f32>::initial(&model, 3);
    let exact = parameters.to_f64();
    let columns = numbers(4 * 500, 1);
    let small: Vec<f32> = columns.iter().map(|&x| x as f32).collect();
    let columns: Vec<f64> = small.iter().map(|&x| f64::from(x)).collect();
    let mut a = Activations::new(&plan, 500);
    plan.forward(
        parameters.values(),
        &[Feed::Real { columns: &small, stride: 500 }],
        0..500,
        &mut a,
    );
    let mut b = Activations::new(&plan, 500);
    plan.forward(exact.values(), &[Feed::Real { columns: &columns, stride: 500 }], 0..500, &mut b);
    for (x, y) in a.output(&plan, 0, 0..500).iter().zip(b.output(&plan, 0, 0..500)) {
        assert!((f64::from(*x) - y).abs() < 1e-6, "{x} and {y}");
    }
    let dy: Vec<f32> = numbers(1000, 2).iter().map(|&x| x as f32).collect();
    let wide: Vec<f64> = dy.iter().map(|&x| f64::from(x)).collect();
    let (mut g, mut h) = (parameters.zero_gradient(), exact.zero_gradient());
    plan.backward(parameters.values(), &a, 0..500, &[&dy], &mut Scratch::default(), &mut g);
    plan.backward(exact.values(), &b, 0..500, &[&wide], &mut Scratch::default(), &mut h);
    let norm = h.iter().map(|y| y * y).sum::<f64>().sqrt();
    let apart = g.iter().zip(&h).map(|(x, y)| (f64::from(*x) - y).powi(2)).sum::<f64>().sqrt();
    assert!(norm > 1.0 && apart < 2e-6 * norm, "{apart} of {norm}");
}

#[test]
fn expressions_of_formals_are_columns() {
    let (mut model, pi, _) = policy(&[real(), real()], false);
    model.inputs.push(Input::Formal { kernel: pi, formal: 1, component: 1 });
    let x = model.graph.intern(crate::expr::Node::Input(crate::expr::InputId(0)));
    let eight = model.graph.constant(8.0);
    let scaled = model.graph.intern(crate::expr::Node::Binary(BinaryOp::Divide, x, eight));
    let layer = model.add_layer(LayerOp::Scalars(vec![scaled, x]), 2);
    let y = model.add_linear("net", layer, 1);
    let columns = [1.0, 2.0, 3.0, 16.0, 24.0, 32.0];
    let input = [Feed::Real { columns: &columns, stride: 3 }];
    check(&model, &[y], &input, 3);
    let plan = NetworkPlan::compile(&model, &[layer], |_, formal| formal).expect("compiles");
    let mut activations = Activations::new(&plan, 3);
    plan.forward(&numbers(3, 1), &input, 0..3, &mut activations);
    assert_eq!(activations.output(&plan, 0, 0..3), [2.0, 16.0, 3.0, 24.0, 4.0, 32.0]);
}

#[test]
fn a_real_input_may_be_none() {
    let (mut model, _, _) = policy(&[real(), integers(3)], true);
    model.network.layers[0].width = 2 + 4;
    let y = model.add_linear("net", LayerId(0), 1);
    let columns = [0.5, f64::NAN, 2.0, f64::NAN];
    let input = [Feed::Real { columns: &columns, stride: 2 }];
    check(&model, &[y], &input, 2);
    let plan = NetworkPlan::compile(&model, &[LayerId(0)], |_, formal| formal).expect("compiles");
    let mut activations = Activations::new(&plan, 2);
    plan.forward(&numbers(7, 1), &input, 0..2, &mut activations);
    assert_eq!(
        activations.output(&plan, 0, 0..2),
        [0.5, 0., 0., 0., 1., 0., 0., 1., 0., 0., 0., 1.]
    );
}

/// Each layer of noise is drawn apart from the others, before the pass.
#[test]
fn noise_is_standard_normal_and_drawn_anew() {
    let (mut model, _, _) = policy(&[real()], false);
    let layers = [LayerOp::Noise, LayerOp::Noise].map(|op| model.add_layer(op, 2));
    let plan = NetworkPlan::compile(&model, &layers, |_, formal| formal).expect("compiles");
    let rows = 10_000;
    let mut activations = Activations::<f64>::new(&plan, rows);
    let mut random = crate::engine::numeric::stream::generator([1, 2, 3]);
    let mut run = || {
        plan.draw_noise(0..rows, &mut random, &mut activations);
        plan.forward(&[], &[], 0..rows, &mut activations);
        [0, 1].map(|root| activations.output(&plan, root, 0..rows).to_vec())
    };
    let (first, second) = (run(), run());
    let product =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64;
    // 20000 numbers: a mean of products has a standard error of 0.007, of squares 0.01
    for drawn in first.iter().chain(&second) {
        assert!(drawn.iter().sum::<f64>().abs() / (drawn.len() as f64) < 4.0 * 0.007);
        assert!((product(drawn, drawn) - 1.0).abs() < 4.0 * 0.01);
    }
    assert!(
        product(&first[0], &first[1]).abs() < 4.0 * 0.007
            && product(&first[0], &second[0]).abs() < 4.0 * 0.007
    );
}
