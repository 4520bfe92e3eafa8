//! Gradients through draws: against differences of the bound with all noise held still, against a
//! bound that is integrated by hand, and what they teach.

use super::testing::{bits, ended_after, numbers, planned, resumed, try_plan};
use crate::engine::evaluate;
use crate::engine::family::choice::Choice;
use crate::engine::gradient::objective::{Aim, Objective, ReturnScale, Weighing};
use crate::engine::infer;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::point::{Frozen, Point};
use crate::engine::run::train::gradient_estimates;
use crate::engine::sample::rollout::{Keep, Rollout};
use crate::engine::tape::parameters::Parameters;
use crate::model::ParameterId;
use crate::plan::Plan;

/// A world of two real components and an action on the line; `world`, `prior` and `posterior` are
/// the factors of `a`, `s` and more.
struct Plane<'a> {
    hidden: &'a str,
    action: &'a str,
    kernels: &'a str,
    prior: &'a str,
    posterior: &'a str,
    over: &'a str,
    infer: &'a str,
}

impl Plane<'_> {
    fn text(&self) -> String {
        let Plane { hidden, action, kernels, prior, posterior, over, infer } = self;
        format!(
            "model plane
             horizon T = 4
             param eta = 0.7
             {hidden} environment plane {{
               state  s : {{ x: real, y: real }}
               action a : {action}
               reward r
               reward q
               s[1]   ~ {{ x: Normal(mean = 0, sd = 1), y: Normal(mean = 0.5, sd = 1) }}
               s[t+1] ~ {{ x: Normal(mean = s[t].x + 0.3 * a[t], sd = 0.5), y: Normal(mean = 0.8 \
               * s[t].y * cos(s[t].x), sd = 0.4) }}
               r[t]   = -abs(s[t+1].x - a[t]) - max(s[t].y * s[t+1].y, 0)
               q[t]   = -0.1 * s[t].x^2
             }}
             {kernels}
             bound dream {{
               prior      {{ {prior} }}
               likelihood {{ R[t] ~ exp(eta * r[t] - 1); Q[t] ~ exp(q[t] * t / T); Z[T] ~ \
               exp(-s[T].y^2 - s[T+1].x^2) }}
               posterior  {{ {posterior} }}
             }}
             infer {{ maximize dream over {over}; estimator = pathwise; precision = f64; threads \
             = 1; shards = 1; trajectories = 7; {infer} }}"
        )
    }
}

const WORLD: &str = "kernel world(s' | s, a) = Normal(mean = s + mlp(s, a, s.x * a, hidden = [5], \
                     activation = tanh), sd = 0.1 + softplus(linear(s, a)))";

/// The bound of one batch with noise of its own, as a function of the parameters, and its gradient.
struct Batch<'a> {
    program: CompiledProgram<'a, f64>,
    rollout: Rollout<f64>,
    /// The parameters at the beginning of the round.
    previous: Vec<f64>,
    /// The mean fields that gains are computed from, as they were before.
    fields: Option<Frozen<f64>>,
}

impl<'a> Batch<'a> {
    fn of(plan: &'a Plan) -> Batch<'a> {
        let program = CompiledProgram::new(plan).unwrap();
        let previous = Parameters::<f64>::initial(&plan.model, 29).values().to_vec();
        let rollout = Rollout::new(&program, plan.settings.trajectories);
        Batch { rollout, program, previous, fields: None }
    }

    fn frozen(&mut self, parameters: &Parameters<f64>) -> Frozen<f64> {
        let kept = self.fields.take().filter(|_| !self.program.gains.is_empty());
        kept.unwrap_or_else(|| self.program.freeze(parameters.values(), (0, 0)))
    }

    fn run(&mut self, parameters: &Parameters<f64>) -> f64 {
        let frozen = self.frozen(parameters);
        let point =
            Point { present: parameters.values(), previous: Some(&self.previous), frozen: &frozen };
        self.rollout.run(&self.program, point, [3, 5, 7], Choice::Sampled, Keep::Rows);
        self.rollout.value(&self.program, point);
        let bound = &self.rollout.episodes.totals.bound;
        let mean = bound.iter().sum::<f64>() / bound.len() as f64;
        self.fields = Some(frozen);
        mean
    }

    fn gradient(&mut self, parameters: &Parameters<f64>) -> Vec<f64> {
        self.run(parameters);
        let frozen = self.frozen(parameters);
        let point =
            Point { present: parameters.values(), previous: Some(&self.previous), frozen: &frozen };
        let mut objective = Objective::new(&self.program, parameters);
        objective.assess(&self.program, &self.rollout.episodes, point, ReturnScale::ONE);
        let share = 1.0 / self.rollout.size() as f64;
        objective.differentiate(
            &self.program,
            (parameters, Some(&self.previous)),
            &self.rollout.episodes,
            Weighing { aim: Aim::Both, share, moved: false },
        );
        self.fields = Some(frozen);
        objective.gradient.iter().map(|g| -g).collect()
    }
}

/// Holds the gradient of all trained numbers against central differences; noise stands still, so
/// that there is no sampling error.
fn assert_differences(text: &str) {
    let plan = planned(text);
    let mut parameters = Parameters::<f64>::initial(&plan.model, 3);
    let shifts = numbers(parameters.values().len(), 11);
    parameters.values_mut().iter_mut().zip(shifts).for_each(|(value, shift)| *value += 0.3 * shift);
    let mut batch = Batch::of(&plan);
    let gradient = batch.gradient(&parameters);
    let trained: Vec<usize> =
        plan.trained.iter().flat_map(|&id| parameters.layout().range(id)).collect();
    assert!(trained.len() > 10, "{} numbers", trained.len());
    let h = 1e-6;
    for &at in &trained {
        let value = parameters.values()[at];
        let mut shifted = |by: f64| {
            parameters.values_mut()[at] = value + by;
            batch.run(&parameters)
        };
        let difference = (shifted(h) - shifted(-h)) / (2.0 * h);
        parameters.values_mut()[at] = value;
        let name = parameters.layout().name(parameters.layout().parameter_at(at));
        assert!(
            (difference - gradient[at]).abs() < 1e-6 * (1.0 + difference.abs()),
            "{name} {at}: {}, {difference}",
            gradient[at]
        );
    }
    let moved = trained.iter().filter(|&&at| gradient[at].abs() > 1e-9).count();
    assert!(2 * moved > trained.len(), "{moved} of {} move", trained.len());
}

const START: &str = "s[1] ~ plane.initial";

/// A squashed policy, whose entropy is sampled, in a learned world whose log-ratio to the
/// environment's own density is, too.
#[test]
fn through_squashed_actions_and_a_world_against_a_known_density() {
    assert_differences(
        &Plane {
            hidden: "",
            action: "real in [-1, 2]",
            kernels: &format!(
                "{WORLD}\nkernel pi(a | s, t) = TanhNormal(mean = linear(s, t), sd \
                               = 0.2 + softplus(linear(s)))"
            ),
            prior: &format!("{START}; a[t] ~ Uniform; s[t+1] ~ plane.transition(s[t], a[t])"),
            posterior: &format!("{START}; a[t] ~ pi(s[t], t); s[t+1] ~ world(s[t], a[t])"),
            over: "pi, world",
            infer: "",
        }
        .text(),
    );
}

/// A world that is held fixed passes the gradient on to the policy all the same; the prior of the
/// action reads the state.
#[test]
fn through_a_world_that_another_bound_teaches() {
    assert_differences(
        &Plane {
            hidden: "hidden",
            action: "real",
            kernels: &format!(
                "{WORLD}\nkernel pi(a | s) = Normal(mean = mlp(s, hidden = [4], activation = \
                 tanh), sd = 0.2 + softplus(linear(s)))"
            ),
            prior: &format!(
                "{START}; a[t] ~ Normal(mean = -0.4 * s[t].x, sd = 1 + s[t].y^2); \
                             s[t+1] ~ world(s[t], a[t])"
            ),
            posterior: &format!("{START}; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t])"),
            over: "pi",
            infer: "",
        }
        .text(),
    );
}

/// A prior of the last round, the policy's own copy or another kernel's: its parameters stand
/// still, its state does not.
#[test]
fn through_a_prior_of_the_last_round() {
    for prior in ["previous pi(s[t])", "previous habit(s[t])"] {
        let kernels = format!(
            "{WORLD}
             kernel habit(a | s) = Normal(mean = linear(s), sd = 0.5 + softplus(linear(s)))
             kernel pi(a | s) = Normal(mean = mlp(s, hidden = [4], activation = tanh), sd = 0.2 + \
             softplus(linear(s)))"
        );
        let plane = Plane {
            hidden: "hidden",
            action: "real",
            kernels: &kernels,
            prior: &format!("{START}; a[t] ~ {prior}; s[t+1] ~ world(s[t], a[t])"),
            posterior: &format!("{START}; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t])"),
            over: "pi, world",
            infer: "",
        };
        assert_differences(&plane.text());
    }
}

/// A plane that is seen through noise, two actions and two options, one of which is drawn once;
/// `KERNELS`, `PRIOR`, `POSTERIOR`, `LIKELIHOOD` and `INFER` differ.
const SEEN: &str = "
    model seen
    horizon T = 4
    environment seen {
      state       s : { x: real, y: real }
      observation x : real
      action      a : real
      action      b : real in [-1, 2]
      reward      r
      s[1]   ~ { x: Normal(mean = 0, sd = 1), y: Normal(mean = 0.5, sd = 1) }
      s[t+1] ~ { x: Normal(mean = s[t].x + 0.3 * a[t] - b[t], sd = 0.5), y: Normal(mean = 0.8 * \
    s[t].y, sd = 0.4) }
      x[t]   ~ Normal(mean = s[t].x + s[t].x * s[t].y, sd = 0.3 + softplus(s[t].y))
      r[t]   = -0.3 * (s[t+1].x - a[t])^2 - 0.2 * s[t].y * b[t] - 0.1 * s[t+1].y^2
    }
    option o : real
    option k : real
    kernel world(s' | s, a, b) = Normal(mean = s + mlp(s, a, b, hidden = [5], activation = tanh), \
    sd = 0.1 + softplus(linear(s, a)))
    kernel keep(k | x) = Normal(mean = linear(x), sd = 0.2 + softplus(linear(x)))
    kernel pick(o | x, last: o?, k) = Normal(mean = linear(x, last, k), sd = 0.2 + \
    softplus(linear(k)))
    KERNELS
    bound dream {
      prior      { s[1] ~ seen.initial; x[t] ~ seen.observation(s[t]); s[t+1] ~ \
    seen.transition(s[t], a[t], b[t]); PRIOR }
      likelihood { R[t] ~ exp(r[t]); LIKELIHOOD }
      posterior  { s[1] ~ seen.initial; x[t] ~ seen.observation(s[t]); s[t+1] ~ world(s[t], a[t], \
    b[t]); k[1] ~ keep(x[1]); o[t] ~ pick(x[t], o[t-1], k[1]); POSTERIOR }
      auxiliary  { AUXILIARY }
    }
    infer { maximize dream over OVER; estimator = pathwise; precision = f64; threads = 1; shards = \
    1; trajectories = 7; INFER }";

fn seen(of: [(&str, &str); 7]) -> String {
    of.iter().fold(SEEN.to_owned(), |text, (what, with)| text.replace(what, with))
}

/// Everything that is drawn is followed: the observation, both options, both actions, and what
/// networks read of earlier steps.
#[test]
fn through_observations_options_and_what_was_before() {
    let kernels = "
        kernel back(o | s, a, next: s) = Normal(mean = linear(s, a, next), sd = 0.3 + \
                   softplus(linear(s)))
        kernel first(k | s, after: s) = Normal(mean = linear(s, after), sd = 0.5 + \
                   softplus(linear(after)))
        kernel pi(a | x, o, k, past: x[..], three: x[3]?, t) = Normal(mean = linear(x, o, k, \
                   tanh(x) * tanh(o), gru(past, hidden = 3), three, t), sd = 0.2 + \
                   softplus(linear(x, o)))
        kernel pib(b | x, a, before: a?) = TanhNormal(mean = linear(x, a, before), sd = 0.2 + \
                   softplus(linear(a)))";
    for (infer, prior) in
        [("", "Normal(mean = 0.3 * x[t], sd = 1 + s[t].y^2)"), ("", "habit(x[t])")]
    {
        let kernels =
            format!("{kernels}\nkernel habit(a | x) = Normal(mean = linear(x), sd = 0.7)");
        assert_differences(&seen([
            ("KERNELS", &kernels),
            ("PRIOR", &format!("a[t] ~ {prior}; b[t] ~ Uniform")),
            ("LIKELIHOOD", "O[t] ~ exp(-o[t]^2 - 0.1 * k[1]^2 - 0.1 * x[t]^2)"),
            (
                "POSTERIOR",
                "a[t] ~ pi(x[t], o[t], k[1], x[..t], x[t-2..t], t); b[t] ~ pib(x[t], a[t], a[t-1])",
            ),
            ("AUXILIARY", "o[t] ~ back(s[t], a[t], s[t+1]); k[1] ~ first(s[1], s[T+1])"),
            ("OVER", "pi, pib, pick, keep, world, back, first"),
            ("INFER", infer),
        ]));
    }
}

/// Exponents that read other steps, whole trajectories, rewards of other steps and what a condition
/// on the time leaves out; two priors in place that move with the state.
#[test]
fn through_exponents_of_other_steps() {
    assert_differences(&seen([
        (
            "KERNELS",
            "kernel pi(a | x, o, k) = Normal(mean = linear(x, o, k), sd = 0.2 + \
             softplus(linear(x)))
             kernel pib(b | x, a) = TanhNormal(mean = linear(x, a), sd = 0.2 + \
             softplus(linear(a)))",
        ),
        (
            "PRIOR",
            "a[t] ~ Normal(mean = 0.1 * x[t], sd = 1); b[t] ~ Uniform; o[t] ~ Normal(mean = 0.2 * \
             x[t], sd = 1 + s[t].y^2); k[1] ~ keep(x[1])",
        ),
        (
            "LIKELIHOOD",
            "A[t] ~ exp(-abs(s[t+1].x - s[1].x) * (1 + abs(s[T+1].y)) - (if t == 1 then 0 else \
             (a[t] - a[t-1])^2 + o[t-1]^2))
             B[T] ~ exp(-abs(s[1].y) - 0.1 * s[T+1].x^2 - 0.1 * k[1]^2 * x[1]^2 - 0.1 * (b[1] - \
             b[T])^2)
             C[t] ~ exp(-0.01 * (if t == T then 0 else r[t+1]^2 + 0.3 * r[1] * r[1] + 0.1 * (r[t] \
             - r[T])^2))",
        ),
        ("POSTERIOR", "a[t] ~ pi(x[t], o[t], k[1]); b[t] ~ pib(x[t], a[t])"),
        ("AUXILIARY", ""),
        ("OVER", "pi, pib, pick, keep, world"),
        ("INFER", ""),
    ]));
}

/// Actions, states and options that are records of several families, beside densities of records
/// and of mixtures of several families, at values that are bounded or are not.
#[test]
fn through_records_and_densities_of_several_families() {
    let text = "
        model mixed
        horizon T = 3
        environment mixed {
          state  s : { x: real, y: real in [0, 1] }
          action a : { u: real in [-1, 2], v: real }
          reward r
          s[1]   ~ { x: Normal(mean = 0, sd = 1), y: Beta(a = 2, b = 2) }
          s[t+1] ~ { x: Normal(mean = s[t].x + 0.3 * a[t].u - 0.1 * a[t].v, sd = 0.5), y: Beta(a = \
                1 + softplus(s[t].x), b = 1.5) }
          r[t]   = -0.3 * (s[t+1].x - a[t].v)^2 - 0.2 * s[t].y * a[t].u^2
        }
        option o : real in [-1, 1]
        kernel world(s' | s, a) = { x: Laplace(mean = linear(s, a), scale = 0.2 + \
                softplus(linear(s))), y: TanhNormal(mean = linear(s, a), sd = 0.6) }
        kernel pi(a | s, o) = { u: TanhNormal(mean = linear(s, o), sd = 0.3 + \
                softplus(linear(o))), \
                v: Laplace(mean = linear(s), scale = 0.3 + softplus(linear(s))) }
        kernel habit(a | s) = { u: Beta(a = 1 + softplus(linear(s)), b = 1 + softplus(linear(s))), \
                v: Mixture(softplus(linear(s)): Normal(mean = linear(s), sd = 0.7), 0.5: \
                Laplace(mean = s.x, scale = 1)) }
        kernel pick(o | s) = TanhNormal(mean = linear(s), sd = 0.5)
        kernel back(o | s, a) = Mixture(0.3 + softplus(linear(s)): TanhNormal(mean = linear(a), sd \
                = 0.6), 0.4: Beta(a = 1.5, b = 1 + softplus(linear(s, a))))
        kernel last(s' | s, a) = { x: Mixture(0.5: Laplace(mean = linear(s), scale = 1), 0.5: \
                Normal(mean = linear(a), sd = 1)), y: TanhNormal(mean = linear(s), sd = 1) }
        bound dream {
          prior      { s[1] ~ mixed.initial; a[t] ~ habit(s[t]); s[t+1] ~ mixed.transition(s[t], \
                a[t]) }
          likelihood { R[t] ~ exp(r[t]); D[T] ~ last(s[T+1] | s[1], a[T]) }
          posterior  { s[1] ~ mixed.initial; o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t]); s[t+1] ~ \
                world(s[t], a[t]) }
          auxiliary  { o[t] ~ back(s[t], a[t]) }
        }
        infer { maximize dream over pi, pick, world, habit, back, last; estimator = pathwise; \
                precision = f64; threads = 1; shards = 1; trajectories = 7 }";
    assert_differences(text);
    // in closed form, from a record in place that moves with the state
    let normals = text
        .replace(
            "Laplace(mean = linear(s), scale = 0.3 + softplus(linear(s)))",
            "Normal(mean = \
                 linear(s), sd = 0.3 + softplus(linear(s)))",
        )
        .replace(
            "u: TanhNormal(mean = linear(s, o), sd = 0.3 + softplus(linear(o)))",
            "u: \
                 Beta(a = 1, b = 1)",
        );
    let written = "a[t] ~ { u: Beta(a = 2, b = 1 + softplus(s[t].x)), v: Normal(mean = 0.3 * \
                   s[t].x, sd = 1 + s[t].y) }";
    assert_differences(&normals.replace("a[t] ~ habit(s[t])", written).replace("habit, ", ""));
}

/// A learned start beside the environment's own density, and an option that is drawn at each step,
/// or once, beside one that is written.
#[test]
fn through_starts_and_options_beside_densities_that_are_written() {
    for (option, drawn) in [("o[t]", "o[t] ~ pick(s[t])"), ("o[1]", "o[1] ~ pick(s[1])")] {
        let kernels = format!(
            "{WORLD}
             option o : real in [-1, 1]
             kernel begin(s) = {{ x: Normal(mean = linear(1), sd = 0.2 + softplus(linear(1))), y: \
             Laplace(mean = linear(1), scale = 0.3 + softplus(linear(1))) }}
             kernel pick(o | s) = TanhNormal(mean = linear(s), sd = 0.3 + softplus(linear(s)))
             kernel pi(a | s, o) = Normal(mean = linear(s, o), sd = 0.2 + softplus(linear(s)))"
        );
        let plane = Plane {
            hidden: "",
            action: "real",
            kernels: &kernels,
            prior: &format!(
                "{START}; {option} ~ Uniform; a[t] ~ Normal(mean = 0, sd = 1); s[t+1] ~ \
                 plane.transition(s[t], a[t])"
            ),
            posterior: &format!(
                "s[1] ~ begin; {drawn}; a[t] ~ pi(s[t], {option}); s[t+1] ~ world(s[t], a[t])"
            ),
            over: "pi, pick, begin, world",
            infer: "",
        };
        assert_differences(&plane.text());
    }
}

/// Information gains, of a normal and of a mixture, alone and beside the first state, below what
/// they count at the most and above.
#[test]
fn through_information_gains() {
    let normal = WORLD.replace("kernel world", "kernel taught");
    let mixture = "kernel taught(s' | s, a) = Mixture(0.3 + softplus(linear(a)): Normal(mean = s + \
                   linear(s, a), sd = 0.5), 0.5: { x: Laplace(mean = s.x, scale = 0.2 + \
                   softplus(linear(s))), y: Normal(mean = linear(a), sd = 1) })";
    for (taught, at_most) in [(&normal[..], 900.0), (&normal[..], 2.0), (mixture, 900.0)] {
        let kernels = format!(
            "{WORLD}
             {taught}
             kernel pi(a | s) = Normal(mean = mlp(s, hidden = [4], activation = tanh), sd = 0.2 + \
             softplus(linear(s)))"
        );
        let plane = Plane {
            hidden: "",
            action: "real",
            kernels: &kernels,
            prior: &format!(
                "weights(taught) ~ Normal(mean = 0, sd = 1); {START}; a[t] ~ Normal(mean = 0, sd = \
                 1); s[t+1] ~ plane.transition(s[t], a[t])"
            ),
            posterior: &format!(
                "weights(taught) ~ Normal; {START}; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t])"
            ),
            over: "pi",
            infer: "",
        };
        let gain = format!("gain(taught, s[t], a[t], s[t+1], at_most = {at_most})");
        assert_differences(&plane.text().replace(
            "likelihood {",
            &format!(
                "likelihood {{ I[t] ~ exp(0.3 * ({gain} - {at_most})); J[t] ~ exp(-0.1 * {gain} * \
                 s[1].x^2); "
            ),
        ));
    }
    let edged = "kernel world(s' | s, a) = Normal(mean = mlp(s, a, hidden = [4], activation = \
                 relu), sd = 1)";
    let text = Plane {
        hidden: "",
        action: "real",
        kernels: &format!("{edged}\nkernel pi(a | s) = Normal(mean = linear(s), sd = 1)"),
        prior: &format!(
            "weights(world) ~ Normal(mean = 0, sd = 1); {START}; a[t] ~ Normal(mean = 0, sd = 1); \
             s[t+1] ~ plane.transition(s[t], a[t])"
        ),
        posterior: &format!(
            "weights(world) ~ Normal; {START}; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t])"
        ),
        over: "pi",
        infer: "",
    };
    let text = text.text().replace(
        "likelihood {",
        "likelihood { I[t] ~ exp(gain(world, s[t], a[t], s[t+1], at_most = 1) - 1);",
    );
    let told = try_plan(&text).map(|_| "planned").unwrap_err();
    assert!(told.contains("jump where one of its units has an edge"), "{told}");
}

/// Policies and options that have no density, drawn alike on both sides: a network's own number,
/// and what it makes of noise. By scores they do not move.
#[test]
fn through_policies_without_a_density() {
    let kernels = format!(
        "{WORLD}
         option o : real
         kernel pick(o | s) = Implicit(linear(s, noise(2)))
         kernel pi(a | s, o) = Implicit(mlp(s, o, hidden = [4], activation = tanh))"
    );
    let draws = "o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t])";
    let plane = Plane {
        hidden: "",
        action: "real",
        kernels: &kernels,
        prior: &format!("{START}; {draws}; s[t+1] ~ plane.transition(s[t], a[t])"),
        posterior: &format!("{START}; {draws}; s[t+1] ~ world(s[t], a[t])"),
        over: "pi, pick, world",
        infer: "",
    };
    assert_differences(&plane.text());
    let told = |text: &str, needle: &str| {
        let told = try_plan(text).map(|_| "planned").expect_err(needle);
        assert!(told.contains(needle), "{told}");
    };
    let by_scores = plane.text().replace("estimator = pathwise", "estimator = score");
    told(&by_scores, "which has no density: no score says how its draws are to move");
    let compared =
        plane.text().replacen("o[t] ~ pick(s[t]);", "o[t] ~ Normal(mean = 0, sd = 1);", 1);
    assert!(try_plan(&compared).is_err());
    // what another bound moves is drawn from all the same
    let others = plane.text().replace("over pi, pick, world", "over world");
    assert!(try_plan(&others.replace("estimator = pathwise", "estimator = score")).is_ok());
}

/// An option without a density that the start reads, and policies after it.
#[test]
fn through_options_without_a_density_into_a_start() {
    let kernels = format!(
        "{WORLD}
         option o : real
         kernel pick(o) = Implicit(linear(noise(2)))
         kernel begin(s | o) = {{ x: Normal(mean = linear(o), sd = 0.4), y: Normal(mean = \
         linear(o), sd = 0.5) }}
         kernel pi(a | s, o) = Normal(mean = linear(s, o), sd = 0.2 + softplus(linear(s)))"
    );
    let start = "o[1] ~ pick(); s[1] ~ begin(o[1])";
    assert_differences(
        &Plane {
            hidden: "",
            action: "real",
            kernels: &kernels,
            prior: &format!(
                "{start}; a[t] ~ Normal(mean = 0, sd = 1); s[t+1] ~ plane.transition(s[t], a[t])"
            ),
            posterior: &format!("{start}; a[t] ~ pi(s[t], o[1]); s[t+1] ~ world(s[t], a[t])"),
            over: "pi, pick, begin, world",
            infer: "",
        }
        .text(),
    );
}

/// An option that one kernel begins and another goes on with.
#[test]
fn through_options_that_one_kernel_begins_and_another_goes_on_with() {
    let kernels = format!(
        "{WORLD}
         option o : real
         kernel first(o | s) = Normal(mean = linear(s), sd = 0.2 + softplus(linear(s)))
         kernel next(o | last: o, s) = Normal(mean = linear(last, s), sd = 0.3)
         kernel pi(a | s, o) = Normal(mean = linear(s, o), sd = 0.2 + softplus(linear(s)))"
    );
    let draws = "o[1] ~ first(s[1]); o[t+1] ~ next(o[t], s[t+1])";
    assert_differences(
        &Plane {
            hidden: "",
            action: "real",
            kernels: &kernels,
            prior: &format!(
                "{START}; {draws}; a[t] ~ Normal(mean = 0, sd = 1); s[t+1] ~ \
                 plane.transition(s[t], a[t])"
            ),
            posterior: &format!(
                "{START}; {draws}; a[t] ~ pi(s[t], o[t]); s[t+1] ~ world(s[t], a[t])"
            ),
            over: "pi, first, next, world",
            infer: "",
        }
        .text(),
    );
}

/// Reverse models and decoders that read rewards, or have their density, those of the environment
/// and those that a model draws.
#[test]
fn through_rewards_that_kernels_read() {
    let kernels = "option o : real
                   kernel world(s', q | s, a) = {
                     s: Normal(mean = s + mlp(s, a, hidden = [5], activation = tanh), sd = 0.1 + \
                     softplus(linear(s, a))),
                     q: Laplace(mean = -softplus(linear(s, a)), scale = 0.1 + softplus(linear(s)))
                   }
                   kernel pick(o | s) = Normal(mean = linear(s), sd = 0.2 + softplus(linear(s)))
                   kernel back(o | r, q) = Normal(mean = linear(r, q, tanh(r * q)), sd = 3)
                   kernel paid(r | s, o) = Normal(mean = linear(s, o), sd = 2)
                   kernel pi(a | s, o) = Normal(mean = linear(s, o), sd = 0.2 + \
                   softplus(linear(s)))";
    let text = Plane {
        hidden: "hidden",
        action: "real",
        kernels,
        prior: &format!(
            "{START}; a[t] ~ Normal(mean = 0, sd = 1); s[t+1], q[t] ~ world(s[t], a[t])"
        ),
        posterior: &format!(
            "{START}; o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t]); s[t+1], q[t] ~ world(s[t], a[t])"
        ),
        over: "pi, pick, back, paid, world",
        infer: "",
    };
    let text =
        text.text().replace("posterior  {", "auxiliary { o[t] ~ back(r[t], q[t]) } posterior {");
    assert_differences(
        &text.replace("likelihood {", "likelihood { P[t] ~ paid(r[t] | s[t], o[t]); "),
    );
}

/// Two ways to the same gradient: by scores alone, and through what is smooth, with scores of the
/// rest.
fn assert_same_mean(text: &str, batches: u64) {
    let with = |estimator: &str| planned(&text.replace("pathwise", estimator));
    let (scored, followed) = (with("score"), with("pathwise"));
    assert!(!scored.is_pathwise() && followed.is_pathwise());
    let mut parameters = Parameters::<f64>::initial(&scored.model, 3);
    let shifts = numbers(parameters.values().len(), 11);
    parameters.values_mut().iter_mut().zip(shifts).for_each(|(value, shift)| *value += 0.3 * shift);
    let trained: Vec<usize> =
        scored.trained.iter().flat_map(|&id| parameters.layout().range(id)).collect();
    let moments = |plan: &Plan, batches: u64| -> Vec<(f64, f64)> {
        let estimates = gradient_estimates(plan, &parameters, 0..batches).unwrap();
        let count = estimates.len() as f64;
        let of = |&at: &usize| {
            let mean = estimates.iter().map(|estimate| estimate[at]).sum::<f64>() / count;
            let squares = estimates.iter().map(|estimate| (estimate[at] - mean).powi(2));
            (mean, squares.sum::<f64>() / (count - 1.0) / count)
        };
        trained.iter().map(of).collect()
    };
    let (scored, followed) = (moments(&scored, 2 * batches), moments(&followed, batches));
    let mut telling = 0;
    for (&at, (by_score, by_draw)) in trained.iter().zip(scored.iter().zip(&followed)) {
        let se = (by_score.1 + by_draw.1).sqrt();
        let name = parameters.layout().name(parameters.layout().parameter_at(at));
        assert!(
            (by_score.0 - by_draw.0).abs() <= 4.0 * se,
            "{name} {at}: {} and {} ± {se}",
            by_score.0,
            by_draw.0
        );
        telling += usize::from(by_draw.0.abs() > 6.0 * by_draw.1.sqrt());
    }
    assert!(8 * telling > trained.len(), "{telling} of {} say anything", trained.len());
}

/// A line whose state is seen as one of three values, or as a number; an option of two values is
/// drawn at each step or once, the action is real or one of two.
#[test]
fn scores_of_what_is_finite_pass_the_gradient_upstream() {
    let finite = "Categorical(logits = [0, s[t], 0.5 * s[t]^2])";
    for (seen, observed, option, drawn, action, pi, prior) in [
        (
            "0..2",
            finite,
            "o[t]",
            "o[t] ~ pick(x[t], o[t-1])",
            "real",
            "Normal(mean = linear(x, o), \
          sd = 0.5)",
            "Normal(mean = 0, sd = 1)",
        ),
        (
            "0..2",
            finite,
            "o[1]",
            "o[1] ~ pick(x[1])",
            "{ left, right }",
            "Categorical(logits = \
          linear(x, o))",
            "Uniform",
        ),
        (
            "real",
            "Normal(mean = s[t], sd = 0.5)",
            "o[t]",
            "o[t] ~ pick(x[t], o[t-1])",
            "{ left, right }",
            "Categorical(logits = linear(x, o))",
            "Uniform",
        ),
        (
            "real",
            "Mixture(0.3: Normal(mean = s[t] - 1, sd = 0.5), 0.7: Normal(mean = s[t], sd = \
          0.4))",
            "o[t]",
            "o[t] ~ Bernoulli(logits = 0.5 * s[t])",
            "real",
            "Normal(mean = \
          linear(x, o), sd = 0.5)",
            "Normal(mean = 0.2 * x[t], sd = 1)",
        ),
    ] {
        let last = if drawn.contains("t-1") { "x, last: o?" } else { "x" };
        let given = if drawn.contains("t-1") { "x, last" } else { "x" };
        let prior_o = format!("{option} ~ Uniform");
        let push = if action == "real" { "0.5 * a[t]" } else { "0.6 * (a[t] - 0.5)" };
        assert_same_mean(
            &format!(
                "model line
                 horizon T = 3
                 environment line {{
                   state s : real; observation x : {seen}; action a : {action}; reward r
                   s[1] ~ Normal(mean = 0.5, sd = 0.5)
                   s[t+1] ~ Normal(mean = 0.9 * s[t] + {push}, sd = 0.5)
                   x[t] ~ {observed}
                   r[t] = -(s[t+1] - 1)^2
                 }}
                 option o : 2
                 kernel pick(o | {last}) = Categorical(logits = linear({given}))
                 kernel pi(a | x, o) = {pi}
                 kernel world(s' | s, a) = Normal(mean = linear(s, a), sd = 0.3 + \
                 softplus(linear(s)))
                 bound dream {{
                   prior      {{ s[1] ~ line.initial; x[t] ~ line.observation(s[t]); a[t] ~ \
                 {prior}; s[t+1] ~ line.transition(s[t], a[t]); {prior_o} }}
                   likelihood {{ R[t] ~ exp(r[t]); O[t] ~ exp(-0.4 * {option} * s[t]^2) }}
                   posterior  {{ s[1] ~ line.initial; x[t] ~ line.observation(s[t]); {drawn}; \
                 a[t] ~ pi(x[t], {option}); s[t+1] ~ world(s[t], a[t]) }}
                 }}
                 infer {{ maximize dream over {over}; estimator = pathwise; precision = f64; \
                 threads = 1; trajectories = 64 }}",
                over = if drawn.contains("pick") { "pi, pick, world" } else { "pi, world" },
            ),
            800,
        );
    }
}

/// A kernel that imagines sees what moves with its state; inputs are normalised; states and options
/// are of a family whose draws move by its distribution function.
#[test]
fn through_rollouts_normalised_inputs_and_other_families() {
    let text = |infer: &str, option: &str, state: &str, action: &str| {
        format!(
            "model line
             horizon T = 3
             hidden environment line {{
               state s : real; action a : real in [-1, 2]; reward r
               s[1] ~ Normal(mean = 0.5, sd = 0.5); s[t+1] ~ Normal(mean = s[t], sd = 1)
               r[t] = -(s[t+1] - a[t])^2
             }}
             option o : real
             kernel plain(a | s) = TanhNormal(mean = linear(s), sd = 0.5)
             kernel pick(o | s) = {option}
             kernel world(s' | s, a) = {state}
             kernel pi(a | s, o) = {action}
             kernel back(o | s, a) = Laplace(mean = linear(s, a), scale = 0.5 + softplus(linear(a)))
             bound dream {{
               prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ world(s[t], a[t]) }}
               likelihood {{ R[t] ~ exp(r[t] - 0.3 * o[t]^2) }}
               posterior  {{ s[1] ~ line.initial; o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t]); s[t+1] \
             ~ world(s[t], a[t]) }}
               auxiliary  {{ o[t] ~ back(s[t], a[t]) }}
             }}
             infer {{ maximize dream over pi, pick, world, back; estimator = pathwise; precision = \
             f64; threads = 1; shards = 1; trajectories = 7; {infer} }}"
        )
    };
    let sees = "imagine(world, s, policy = plain, steps = 2)";
    let normal = "Normal(mean = s + linear(s, a), sd = 0.2 + softplus(linear(s)))";
    let laplace = "Laplace(mean = s + linear(s, a), scale = 0.2 + softplus(linear(s)))";
    let option = "Laplace(mean = linear(s), scale = 0.2 + softplus(linear(s)))";
    for infer in ["", "normalize = observations"] {
        let tanh = format!("TanhNormal(mean = linear(s, o, {sees}), sd = 0.4)");
        let told = text(infer, option, normal, &tanh);
        // kernels that are imagined with are taught elsewhere
        let told = told.replace("over pi, pick, world, back", "over pi, pick, back");
        assert_differences(&told);
        // a rollout may start elsewhere: at an earlier state, and at what is drawn before
        for start in ["s[1]", "o[t]"] {
            let sees = "imagine(world, home, policy = plain, steps = 2)";
            let elsewhere = told
                .replace("pi(a | s, o)", "pi(a | s, o, home: s)")
                .replace("imagine(world, s, policy = plain, steps = 2)", sees)
                .replace("pi(s[t], o[t])", &format!("pi(s[t], o[t], {start})"));
            assert!(elsewhere.contains(sees));
            assert_differences(&elsewhere);
        }
        assert_differences(&text(
            infer,
            option,
            laplace,
            "TanhNormal(mean = linear(s, o), sd = 0.4)",
        ));
    }
}

/// A rollout that is imagined takes actions of two values: their scores pass the gradient on to the
/// state.
#[test]
fn scores_of_what_is_imagined_pass_the_gradient_upstream() {
    assert_same_mean(
        "model line
         horizon T = 3
         environment line {
           state s : real; action a : { left, right }; reward r
           s[1] ~ Normal(mean = 0.5, sd = 0.5)
           s[t+1] ~ Normal(mean = 0.9 * s[t] + 0.6 * (a[t] - 0.5), sd = 0.5)
           r[t] = -(s[t+1] - 1)^2
         }
         kernel plain(a | s) = Categorical(logits = linear(s))
         kernel still(s' | s, a) = Normal(mean = s + linear(a), sd = 0.2)
         kernel pi(a | s) = Categorical(logits = linear(s, imagine(still, s, policy = plain, \
         steps = 2)))
         kernel world(s' | s, a) = Normal(mean = linear(s, a), sd = 0.3 + softplus(linear(s)))
         bound dream {
           prior      { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }
           likelihood { R[t] ~ exp(r[t]) }
           posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }
         }
         infer { maximize dream over pi, world; estimator = pathwise; precision = f64; threads = \
         1; trajectories = 64 }",
        500,
    );
}

/// Drawn weights of the model move through the states that it draws; a mixture is followed beside
/// the score of its weights, finite states keep theirs beside a real action, which is followed.
#[test]
fn drawn_weights_mixtures_and_finite_states_agree_with_scores() {
    let text = |state: &str, kernels: &str, prior: &str, posterior: &str, over: &str| {
        format!(
            "model line
             horizon T = 3
             environment line {{
               {state}
               action a : real; reward r
             }}
             kernel pi(a | s) = Normal(mean = linear(s), sd = 0.5)
             {kernels}
             bound dream {{
               prior      {{ s[1] ~ line.initial; a[t] ~ Normal(mean = 0, sd = 1); s[t+1] ~ \
             line.transition(s[t], a[t]); {prior} }}
               likelihood {{ R[t] ~ exp(r[t]) }}
               posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]); \
             {posterior} }}
             }}
             infer {{ maximize dream over {over}; estimator = pathwise; precision = f64; threads = \
             1; trajectories = 64 }}"
        )
    };
    let real = "state s : real; s[1] ~ Normal(mean = 0.5, sd = 0.5); s[t+1] ~ Normal(mean = 0.9 * \
                s[t] + 0.5 * a[t], sd = 0.5); r[t] = -(s[t+1] - 1)^2";
    let world = "kernel world(s' | s, a) = Normal(mean = linear(s, a), sd = 0.5)";
    let drawn = "weights(world) ~ Normal(mean = 0, sd = 0.1)";
    assert_same_mean(&text(real, world, drawn, "weights(world) ~ Normal", "pi, world"), 1000);
    let mixture = "kernel world(s' | s, a) = Mixture(0.3: Normal(mean = linear(s, a), sd = 0.5), \
                   0.7: Normal(mean = linear(s), sd = 0.4))";
    assert_same_mean(&text(real, mixture, "", "", "pi, world"), 800);
    let inner = "Mixture(0.5: Normal(mean = linear(s), sd = 0.4), softplus(linear(s, a)): \
                 Normal(mean = a, sd = 1))";
    let of_parts = format!(
        "kernel world(s' | s, a) = Mixture(softplus(linear(s)): Laplace(mean = linear(s, a), \
         scale = 0.5), 0.2 + softplus(linear(a)): {inner})"
    );
    assert_same_mean(&text(real, &of_parts, "", "", "pi, world"), 800);
    let finite = "state s : 0..2; s[1] ~ Uniform; s[t+1] ~ Categorical(logits = [0, a[t], 0.2 * \
                  a[t] + 0.3 * s[t]]); r[t] = if s[t+1] == 2 then 0 else -1";
    let table = "kernel world(s' | s, a) = Categorical(logits = linear(s, a))";
    let beta = "state s : real in [0, 1]; s[1] ~ Beta(a = 2, b = 2); s[t+1] ~ Beta(a = 1 + \
                softplus(a[t]), b = 1 + s[t]); r[t] = -2 * (s[t+1] - 0.8)^2";
    let bounded = "kernel world(s' | s, a) = Beta(a = 1 + softplus(linear(s, a)), b = 1 + \
                   softplus(linear(s)))";
    assert_same_mean(&text(beta, bounded, "", "", "pi, world"), 800);
    assert_same_mean(&text(finite, table, "", "", "pi, world"), 800);
}

/// Actions and options of which a part of a mixture is drawn first: by the score of that and
/// through what it draws, whatever the terms compare, in closed form or at the draw.
#[test]
fn mixtures_of_actions_and_options_agree_with_scores() {
    let mixed = "Mixture(0.3 + softplus(linear(s)): Normal(mean = linear(s, o), sd = 0.4), 0.5: \
                 Normal(mean = linear(s), sd = 0.3 + softplus(linear(s))))";
    let several = "Mixture(softplus(linear(s, o)): Laplace(mean = linear(s, o), scale = 0.5), 0.7: \
                   Normal(mean = o, sd = 0.5))";
    for (policy, prior, baseline) in [
        (mixed, "Normal(mean = 0.3 * s[t], sd = 1)", ""),
        (several, "habit(s[t])", "baseline = mlp(s, hidden = [4])"),
    ] {
        assert_same_mean(
            &format!(
                "model line
                 horizon T = 2
                 environment line {{
                   state s : real; action a : real; reward r
                   s[1] ~ Normal(mean = 0.5, sd = 0.5)
                   s[t+1] ~ Normal(mean = 0.9 * s[t] + 0.5 * a[t], sd = 0.5)
                   r[t] = -(s[t+1] - 1)^2
                 }}
                 option o : real
                 kernel pick(o | s) = Mixture(0.4 + softplus(linear(s)): Normal(mean = linear(s), \
                 sd = 0.3), 0.6: Laplace(mean = 1, scale = 0.3))
                 kernel back(o | s, a) = Normal(mean = linear(s, a), sd = 1)
                 kernel pi(a | s, o) = {policy}
                 kernel habit(a | s) = Mixture(0.5: Normal(mean = linear(s), sd = 1), 0.5: \
                 Normal(mean = 0, sd = 0.5))
                 kernel world(s' | s, a) = Normal(mean = linear(s, a), sd = 0.3 + \
                 softplus(linear(s)))
                 bound dream {{
                   prior      {{ s[1] ~ line.initial; a[t] ~ {prior}; s[t+1] ~ \
                 line.transition(s[t], a[t]) }}
                   likelihood {{ R[t] ~ exp(r[t]); O[t] ~ exp(-0.4 * o[t] * o[t] * s[t]^2) }}
                   posterior  {{ s[1] ~ line.initial; o[t] ~ pick(s[t]); a[t] ~ pi(s[t], o[t]); \
                 s[t+1] ~ world(s[t], a[t]) }}
                   auxiliary  {{ o[t] ~ back(s[t], a[t]) }}
                 }}
                 infer {{ maximize dream over pi, pick, back, world; estimator = pathwise; \
                 precision = f64; threads = 1; trajectories = 64; {baseline} }}"
            ),
            800,
        );
    }
}

/// A generator without a density, by the slopes of a classifier's logit; prior and policy share a
/// network.
#[test]
fn through_a_classifier_and_a_generator() {
    assert_differences(
        &Plane {
            hidden: "hidden",
            action: "real",
            kernels: "kernel world(s' | s, a) = Implicit(s + mlp(s, a, a / 2, noise(3), hidden = \
                      [5], activation = tanh))
                      net trunk(s) = mlp(s, hidden = [4], activation = tanh)
                      kernel habit(a | s) = Normal(mean = linear(trunk(s)), sd = 1)
                      kernel pi(a | s) = Normal(mean = linear(trunk(s)), sd = 0.2 + \
                      softplus(linear(trunk(s))))",
            prior: &format!("{START}; a[t] ~ habit(s[t]); s[t+1] ~ plane.transition(s[t], a[t])"),
            posterior: &format!("{START}; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t])"),
            over: "pi, habit, world",
            infer: "ratio = mlp(s, a, s', hidden = [6], activation = tanh)",
        }
        .text(),
    );
}

/// Rewards and first states that the model draws.
#[test]
fn through_rewards_and_starts_that_are_learned() {
    let kernels = "kernel world(s', q | s, a) = {
                     s: Normal(mean = s + mlp(s, a, hidden = [5], activation = tanh), sd = 0.1 + \
                     softplus(linear(s, a))),
                     q: Normal(mean = -softplus(linear(s, a)), sd = 0.1 + softplus(linear(s)))
                   }
                   kernel start(s) = Normal(mean = linear(1), sd = 0.1 + softplus(linear(1)))
                   kernel pi(a | s) = Normal(mean = linear(s), sd = 0.2 + softplus(linear(s)))";
    assert_differences(
        &Plane {
            hidden: "hidden",
            action: "real",
            kernels,
            prior: "s[1] ~ start; a[t] ~ Normal(mean = 0, sd = 1); \
                    s[t+1], q[t] ~ world(s[t], a[t])",
            posterior: "s[1] ~ start; a[t] ~ pi(s[t]); s[t+1], q[t] ~ world(s[t], a[t])",
            over: "pi, start, world",
            infer: "",
        }
        .text(),
    );
}

/// A line, two actions and three steps from a fixed start; model and policy are linear, and both
/// move.
const LINE: &str = "
    model line
    horizon T = 3
    environment line {
      state  s : real
      action a : { left, right }
      reward r
      s[1]   ~ Delta(0.3)
      s[t+1] ~ Normal(mean = 0.6 * s[t] + (if a[t] == right then 0.5 else -0.5), sd = 0.7)
      r[t]   = -(s[t+1] - 1)^2
    }
    kernel pi(a | s)        = Categorical(logits = linear(s))
    kernel world(s' | s, a) = Normal(mean = linear(s, a), sd = 0.1 + softplus(linear(s)))
    bound dream {
      prior      { s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], a[t]) }
      likelihood { R[t] ~ exp(0.5 * r[t]) }
      posterior  { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }
    }
    infer { maximize dream over pi, world; estimator = pathwise; precision = f64; threads = 1; \
    trajectories = 64; INFER }";

/// The bound of [`LINE`] from a state on, integrated on a grid over the noise: nothing here is the
/// engine's.
struct ByHand {
    /// Weight and bias of the logits, of the mean and of the deviation, in the order of the layers.
    pi: [f64; 4],
    mean: [f64; 4],
    sd: [f64; 2],
}

const NOISE: std::ops::RangeInclusive<i32> = -32..=32;
const GRID: f64 = 0.25;

impl ByHand {
    fn of(plan: &Plan, values: &[f64], parameters: &Parameters<f64>) -> ByHand {
        let part = |name: &str| {
            let at = plan
                .model
                .network
                .parameters
                .iter()
                .position(|parameter| parameter.name == name)
                .expect(name);
            &values[parameters.layout().range(ParameterId(at as u32))]
        };
        let both =
            |name: &str| [part(&format!("{name}.weight")), part(&format!("{name}.bias"))].concat();
        ByHand {
            pi: both("pi.logits.0").try_into().unwrap(),
            mean: both("world.mean.0").try_into().unwrap(),
            sd: both("world.sd.0").try_into().unwrap(),
        }
    }

    fn from(&self, s: f64, steps: usize) -> f64 {
        if steps == 0 {
            return 0.0;
        }
        let logits = [self.pi[0] * s + self.pi[2], self.pi[1] * s + self.pi[3]];
        let total = logits[0].exp() + logits[1].exp();
        let sd = 0.1 + (self.sd[0] * s + self.sd[1]).exp().ln_1p();
        let mut value = 0.0;
        for a in [0, 1] {
            let p = logits[a].exp() / total;
            let mean = self.mean[0] * s + self.mean[1 + a] + self.mean[3];
            value += p * (0.5f64.ln() - p.ln());
            for k in NOISE {
                let noise = f64::from(k) * GRID;
                let mass =
                    GRID * (-0.5 * noise * noise).exp() / (2.0 * std::f64::consts::PI).sqrt();
                if mass < 1e-12 {
                    continue;
                }
                let next = mean + sd * noise;
                let z = (next - (0.6 * s + if a == 1 { 0.5 } else { -0.5 })) / 0.7;
                let log_ratio = -0.5 * z * z - 0.7f64.ln() + 0.5 * noise * noise + sd.ln();
                value += p
                    * mass
                    * (-0.5 * (next - 1.0).powi(2) + log_ratio + self.from(next, steps - 1));
            }
        }
        value
    }
}

/// Actions are scored, states are followed or scored, too: the mean of many batches against the
/// derivative of the bound as it is integrated by hand.
#[test]
fn scores_of_actions_move_states_and_are_moved_by_them() {
    let cases = [
        ("pi, world", "pathwise", "", 10),
        ("pi, world", "pathwise", "baseline = mlp(s, hidden = [4])", 10),
        ("world", "pathwise", "", 6),
        ("pi, world", "score", "", 10),
    ];
    for (over, estimator, more, numbers) in cases {
        let text = LINE.replace("INFER", more).replace("over pi, world", &format!("over {over}"));
        assert_integral(
            &text.replace("estimator = pathwise", &format!("estimator = {estimator}")),
            numbers,
        );
    }
}

fn assert_integral(text: &str, moved: usize) {
    let plan = planned(text);
    let mut parameters = Parameters::<f64>::initial(&plan.model, 3);
    let shifts = numbers(parameters.values().len(), 23);
    parameters.values_mut().iter_mut().zip(shifts).for_each(|(value, shift)| *value += 0.4 * shift);
    let estimates = gradient_estimates(&plan, &parameters, 0..1500).unwrap();
    let batches = estimates.len() as f64;
    let trained: Vec<usize> =
        plan.trained.iter().flat_map(|&id| parameters.layout().range(id)).collect();
    assert_eq!(trained.len(), moved);
    let h = 1e-4;
    for &at in &trained {
        let bound = |by: f64| {
            let mut values = parameters.values().to_vec();
            values[at] += by;
            ByHand::of(&plan, &values, &parameters).from(0.3, 3)
        };
        let exact = (bound(h) - bound(-h)) / (2.0 * h);
        let mean = estimates.iter().map(|estimate| estimate[at]).sum::<f64>() / batches;
        let variance = estimates.iter().map(|estimate| (estimate[at] - mean).powi(2)).sum::<f64>()
            / (batches - 1.0);
        let se = (variance / batches).sqrt();
        // ten numbers: one in a thousand such tests fails by chance
        assert!((mean - exact).abs() < 3.9 * se, "number {at}: {mean} ± {se}, {exact}");
        assert!(
            exact.abs() > 5.0 * se || exact.abs() < 0.05,
            "number {at}: {exact} ± {se} says too little"
        );
    }
}

/// A drift that is paid for where it leads: what is `k` steps away counts `discount^k`.
#[test]
fn what_comes_later_is_faded() {
    let text = |discount: &str| {
        format!(
            "model drift
             horizon T = 5
             environment line {{
               state s : real; action a : {{ stay }}; reward r
               s[1] ~ Delta(0); s[t+1] ~ Normal(mean = s[t], sd = 1); r[t] = s[t+1]
             }}
             kernel pi(a | s)     = Categorical(logits = linear(1))
             kernel world(s' | s) = Normal(mean = s + linear(1), sd = 1)
             bound dream {{
               prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ world(s[t]) }}
               likelihood {{ R[t] ~ exp(r[t]) }}
               posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t]) }}
             }}
             infer {{ maximize dream over world; estimator = pathwise; precision = f64; threads = \
             1; {discount} }}"
        )
    };
    for (discount, exact) in [
        ("", 15.0),
        ("discount = 0.5", (1..=5).map(|n| 2.0 - 2.0 * 0.5f64.powi(n)).sum()),
        ("discount = 0", 5.0),
    ] {
        let plan = planned(&text(discount));
        let parameters = Parameters::<f64>::initial(&plan.model, 1);
        let gradient = gradient_estimates(&plan, &parameters, 0..1).unwrap().remove(0);
        let at = plan
            .model
            .network
            .parameters
            .iter()
            .position(|parameter| parameter.name == "world.mean.0.bias")
            .unwrap();
        let of_bias = gradient[parameters.layout().range(ParameterId(at as u32)).start];
        // the noise stands still: no sampling error
        assert!((of_bias - exact).abs() < 1e-9, "{discount}: {of_bias}, {exact}");
    }
}

/// Two estimators of one gradient, by the score of a real action and through it: means agree, and
/// draws that are followed say more.
#[test]
fn scores_and_draws_tell_the_same_gradient() {
    let text = |estimator: &str| {
        format!(
            "model line
             horizon T = 5
             hidden environment line {{
               state s : real; action a : real; reward r
               s[1] ~ Normal(mean = 1, sd = 0.5); s[t+1] ~ Normal(mean = s[t], sd = 1); r[t] = \
               -s[t+1]^2 - 0.2 * a[t]^2
             }}
             kernel pi(a | s)        = Normal(mean = linear(s), sd = 0.3 + softplus(linear(s)))
             kernel world(s' | s, a) = Normal(mean = 0.8 * s + 0.6 * tanh(a), sd = 0.3)
             prior      {{ s[1] ~ line.initial; a[t] ~ Normal(mean = 0.5 * s[t], sd = 1); s[t+1] \
             ~ world(s[t], a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }}
             infer      {{ estimator = {estimator}; precision = f64; threads = 1; trajectories = \
             64 }}"
        )
    };
    let (scored, followed) = (planned(&text("score")), planned(&text("pathwise")));
    let mut parameters = Parameters::<f64>::initial(&scored.model, 3);
    let shifts = numbers(parameters.values().len(), 11);
    parameters.values_mut().iter_mut().zip(shifts).for_each(|(value, shift)| *value += 0.3 * shift);
    let moments = |plan: &Plan, batches: u64| {
        let estimates = gradient_estimates(plan, &parameters, 0..batches).unwrap();
        let count = estimates.len() as f64;
        let trained: Vec<usize> =
            plan.trained.iter().flat_map(|&id| parameters.layout().range(id)).collect();
        let of = |&at: &usize| {
            let mean = estimates.iter().map(|estimate| estimate[at]).sum::<f64>() / count;
            let variance =
                estimates.iter().map(|estimate| (estimate[at] - mean).powi(2)).sum::<f64>()
                    / (count - 1.0);
            (mean, variance, variance / count)
        };
        trained.iter().map(of).collect::<Vec<_>>()
    };
    let (scored, followed) = (moments(&scored, 4000), moments(&followed, 1000));
    assert_eq!(scored.len(), 4);
    for (at, (by_score, by_draw)) in scored.iter().zip(&followed).enumerate() {
        let se = (by_score.2 + by_draw.2).sqrt();
        // four numbers: one in a thousand such tests fails by chance
        assert!(
            (by_score.0 - by_draw.0).abs() < 3.7 * se,
            "number {at}: {} and {} ± {se}",
            by_score.0,
            by_draw.0
        );
        assert!(by_draw.0.abs() > 5.0 * se, "number {at}: {} ± {se} says too little", by_draw.0);
    }
    let total =
        |moments: &[(f64, f64, f64)]| moments.iter().map(|(_, variance, _)| variance).sum::<f64>();
    assert!(2.0 * total(&followed) < total(&scored), "{} of {}", total(&followed), total(&scored));
}

/// A world of one step that goes up seven times in ten: its generator learns that from a classifier
/// alone.
#[test]
fn a_generator_learns_a_world_without_a_density() {
    let plan = planned(
        "model fork
         horizon T = 1
         hidden environment line {
           state  s : real
           action a : { left, right }
           reward r in [0, 1]
           s[1]   ~ Normal(mean = 0, sd = 0.5)
           s[t+1] ~ Mixture(0.3: Normal(mean = s[t] - 1, sd = 0.3), 0.7: Normal(mean = s[t] + 1, \
           sd = 0.3))
           r[t]   = if s[t+1] > s[t] then 1 else 0
         }
         kernel pi(a | s)     = Categorical(logits = linear(1))
         kernel world(s' | s) = Implicit(s + mlp(s, noise(2), hidden = [16, 16], activation = tanh))
         bound learn {
           prior     { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], a[t]) }
           posterior { s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t]) }
         }
         infer {
           maximize learn over world
           estimator = pathwise; ratio = mlp(s, s', hidden = [32, 32]); ratio_steps = 2; \
           ratio_batch = 256; trajectories = 256; steps = 1500
           optimizer = adam(rate = ramp(from = 0.005, to = 0), beta1 = 0.5)
         }",
    );
    let run = infer(&plan, &mut ()).unwrap();
    let told = evaluate(&plan, &run.parameters, 20_000, false, 5).unwrap();
    assert!(
        (told.expected_return - 0.7).abs() < 0.03,
        "up in {} ± {}",
        told.expected_return,
        told.return_se
    );
    assert!(told.bound.abs() < 0.05, "−KL is estimated as {} ± {}", told.bound, told.bound_se);
}

#[test]
fn draws_that_are_followed_give_the_same_bits_on_any_number_of_threads_and_after_a_resumption() {
    let with =
        |threads: usize| {
            let text = LINE.replace(
                "precision = f64; threads = 1; trajectories = 64; INFER",
                "trajectories = 16; shards = 4; steps = 12; discount = 0.9",
            );
            planned(&text.replace(
                "estimator = pathwise",
                &format!("estimator = pathwise; threads = {threads}"),
            ))
        };
    let plan = with(1);
    let one = infer(&plan, &mut ()).unwrap();
    assert_eq!(bits(&infer(&with(2), &mut ()).unwrap()), bits(&one));
    let whole = resumed(&plan, 5);
    assert_eq!(bits(&whole), bits(&one), "resumed");
}

/// A param that moves over the batches: the first one has its first value, in the slopes as in the
/// exponents.
#[test]
fn slopes_follow_a_schedule() {
    let after_one = |eta: &str| {
        let text = LINE
            .replace("horizon T = 3", &format!("horizon T = 3\n param eta = {eta}"))
            .replace("exp(0.5 * r[t])", "exp(eta * r[t])");
        let plan = planned(
            &text
                .replace("INFER", "steps = 3; optimizer = sgd(rate = 0.01)")
                .replace("trajectories = 64", "trajectories = 8"),
        );
        ended_after(&plan, 1).parameters.values().to_vec()
    };
    let (moving, still) = (after_one("ramp(from = 0.5, to = 2)"), after_one("0.5"));
    assert!(moving.iter().zip(&still).all(|(a, b)| (a - b).abs() < 1e-12), "{moving:?} {still:?}");
    let other = after_one("2");
    assert!(moving.iter().zip(&other).any(|(a, b)| (a - b).abs() > 1e-3));
}

#[test]
fn what_no_gradient_passes_through_is_refused() {
    let told = |text: &str, needle: &str| {
        let told = try_plan(text).map(|_| "planned").expect_err(needle);
        assert!(told.contains(needle), "{told}");
    };
    let line = LINE.replace("INFER", "");
    told(
        &line.replace("(s[t+1] - 1)^2", "(if s[t+1] > 1 then 0 else 1)"),
        "has a condition on what is drawn",
    );
    told(&line.replace("(s[t+1] - 1)^2", "floor(s[t+1])"), "has `floor`");
    told(
        &line.replace("r[t]   =", "end when s[t] > 2\n r[t]   ="),
        "end by a condition on the state",
    );
    told(&line.replace("threads = 1", "epochs = 2"), "each batch gives one");
    told(&line.replace("threads = 1", "kl_to_go = false"), "`kl_to_go = false` leaves them out");
    let mixture =
        "Mixture(0.5: Normal(mean = linear(s, a), sd = 1), 0.5: Normal(mean = linear(s), sd = 1))";
    let normal = "Normal(mean = linear(s, a), sd = 0.1 + softplus(linear(s)))";
    assert!(try_plan(&line.replace(normal, mixture)).is_ok());
    told(
        &line.replace("s[t+1] ~ world(s[t], a[t])", "s[t+1] ~ line.transition(s[t], a[t])"),
        "this bound's are the environment's",
    );
    told(&line.replace("over pi, world", "over pi"), "nothing that moves");
    let record = line.replace(
        "world(s' | s, a) = Normal(mean = linear(s, a), sd = 0.1 + softplus(linear(s)))",
        "world(s', r | s, a) = { s: Normal(mean = linear(s, a), sd = 1), r: Normal(mean = \
         linear(s), sd = 1) }",
    );
    let record = record
        .replace("s[t+1] ~ line.transition(s[t], a[t])", "s[t+1], r[t] ~ world(s[t], a[t])")
        .replace("; s[t+1] ~ world(s[t], a[t])", "; s[t+1], r[t] ~ world(s[t], a[t])");
    assert!(try_plan(&record).is_ok());
    assert!(try_plan(&record.replace("estimator = pathwise;", "")).is_ok());
    told(
        &line.replace("logits = linear(s))", "logits = linear(floor(s)))"),
        "what its network reads has `floor`",
    );
    told(
        &line.replace("= linear(s, a), sd", "= linear(s * (if s > 0 then 1 else 2), a), sd"),
        "what its network reads has a condition",
    );
    let real = line
        .replace("action a : { left, right }", "action a : real")
        .replace("if a[t] == right then 0.5 else -0.5", "a[t]");
    let real = real
        .replace("Categorical(logits = linear(s))", "Normal(mean = linear(s), sd = 1)")
        .replace("a[t] ~ Uniform", "a[t] ~ Normal(mean = 0, sd = 1)");
    assert!(try_plan(&real).is_ok());
    told(
        &real.replace("threads = 1", "baseline = mlp(s, hidden = [4]); lambda = 0.9"),
        "here no draw is scored",
    );
    let two = line.replace(
        "maximize dream over pi, world; estimator = pathwise",
        "maximize dream over pi; maximize dream over world (estimator = pathwise)",
    );
    told(&two, "with two estimators");
}
