//! One gradient step (forward, backward, Adam) of 4-64-64-2, tanh, with a categorical head and a
//! policy-gradient loss with entropy, on one thread: over dfdx's tape and over plain slices; and
//! the forward pass of a rollout.

use divan::{Bencher, counter::ItemsCount};
use rlppl::engine::{
    Activations, Feed, Float, NetworkPlan, Optimiser, OptimiserConfig, Parameters, Scratch, Tape,
    categorical, kernels, logits_of,
};
use rlppl::model::{KernelId, Model, Overrides};
use rlppl::source::Source;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCHES: [usize; 4] = [32, 256, 2048, 16384];

fn main() {
    kernels::flush_denormals();
    divan::main();
}

#[divan::bench(types = [f32, f64], args = BATCHES)]
fn gradient_on_tape<E: Float>(bencher: Bencher, rows: usize) {
    let mut state = State::<E>::new(rows);
    bencher.counter(ItemsCount::new(rows)).bench_local(|| state.step_on_tape());
}

#[divan::bench(types = [f32, f64], args = BATCHES)]
fn gradient_on_slices<E: Float>(bencher: Bencher, rows: usize) {
    let mut state = State::<E>::new(rows);
    bencher.counter(ItemsCount::new(rows)).bench_local(|| state.step_on_slices());
}

#[divan::bench(types = [f32, f64], args = [64, 256])]
fn rollout_forward<E: Float>(bencher: Bencher, rows: usize) {
    let mut state = State::<E>::new(rows);
    bencher.counter(ItemsCount::new(rows)).bench_local(|| state.forward());
}

struct State<E: Float> {
    plan: Arc<NetworkPlan>,
    parameters: Parameters<E>,
    optimiser: Optimiser<E>,
    activations: Arc<Activations<E>>,
    scratch: Scratch<E>,
    columns: Vec<E>,
    actions: Arc<[u32]>,
    weights: (Vec<E>, Vec<E>),
    gradient: Vec<E>,
    log_p: Vec<E>,
    logits_gradient: Vec<E>,
    rows: usize,
}

impl<E: Float> State<E> {
    fn new(rows: usize) -> Self {
        let model = policy();
        let logits = logits_of(&model, KernelId(0)).expect("the policy is categorical");
        let plan = NetworkPlan::compile(&model, &[logits], |_, formal| formal)
            .expect("the policy compiles");
        let parameters = Parameters::<E>::initial(&model, 1);
        let layout = parameters.layout().clone();
        let adam = OptimiserConfig::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
        let number = |i: usize| (i * 7919 % 1013) as f64 / 506.5 - 1.0;
        let share = 1.0 / rows as f64;
        State {
            optimiser: Optimiser::new(adam, &layout, layout.ids()),
            activations: Arc::new(Activations::new(&plan, rows)),
            scratch: Scratch::default(),
            columns: (0..4 * rows).map(|i| E::of(1.7 * number(i))).collect(),
            actions: (0..rows).map(|i| (i * 31 % 7 % 2) as u32).collect(),
            weights: (
                (0..rows).map(|i| E::of(-share * number(i + 5))).collect(),
                vec![E::of(-0.01 * share); rows],
            ),
            gradient: parameters.zero_gradient(),
            log_p: vec![E::ZERO; 2 * rows],
            logits_gradient: vec![E::ZERO; 2 * rows],
            plan: Arc::new(plan),
            parameters,
            rows,
        }
    }

    fn forward(&mut self) {
        let feed = [Feed::Real { columns: &self.columns, stride: self.rows }];
        self.plan.forward(
            self.parameters.values(),
            &feed,
            0..self.rows,
            Arc::make_mut(&mut self.activations),
        );
    }

    fn step_on_tape(&mut self) {
        self.forward();
        let mut tape = Tape::default();
        let logits = tape
            .network(&self.plan, &self.parameters, &self.activations, 0..self.rows)
            .swap_remove(0);
        let (log_prob, entropy) = tape.categorical(&logits, self.actions.clone());
        self.gradient.fill(E::ZERO);
        let terms = vec![(log_prob, self.weights.0.clone()), (entropy, self.weights.1.clone())];
        divan::black_box(tape.backward(terms, &self.parameters, &mut self.gradient));
        self.optimise();
    }

    fn step_on_slices(&mut self) {
        self.forward();
        categorical::log_probabilities(
            self.activations.output(&self.plan, 0, 0..self.rows),
            2,
            &mut self.log_p,
        );
        self.logits_gradient.fill(E::ZERO);
        let weights = (&self.weights.0[..], &self.weights.1[..]);
        categorical::add_score_gradient(
            &self.log_p,
            2,
            &self.actions,
            weights,
            &mut self.logits_gradient,
        );
        self.gradient.fill(E::ZERO);
        let (values, outputs) = (self.parameters.values(), [&self.logits_gradient[..]]);
        self.plan.backward(
            values,
            &self.activations,
            0..self.rows,
            &outputs,
            &mut self.scratch,
            &mut self.gradient,
        );
        self.optimise();
    }

    /// At rate 0, so that the policy stays where its products are ordinary numbers.
    fn optimise(&mut self) {
        self.optimiser.step(self.parameters.values_mut(), &self.gradient, 0.0);
    }
}

fn policy() -> Model {
    let source = Source::new("bench", MODEL);
    let file = rlppl::syntax::parse(&source).expect("the model parses");
    rlppl::model::check(&file, &Overrides::default()).expect("the model checks")
}

const MODEL: &str = "
model bench
horizon T = 1
environment line {
  state  s : real[4]
  action a : { left, right }
  reward r in [0, 1]
  s[1]   ~ Delta([0, 0, 0, 0])
  s[t+1] ~ Delta(s[t])
  r[t]   = 1
}
kernel pi(a | s) = Categorical(logits = mlp(s, hidden = [64, 64], activation = tanh))
prior      { s[1] ~ line.initial; a[t] ~ Uniform;  s[t+1] ~ line.transition(s[t], a[t]) }
likelihood { R[t] ~ exp(r[t] - 1) }
posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], a[t]) }
";
