//! Words of other tools, and ours: what someone writes who comes from them. One table; who finds a
//! word unknown asks it first.

/// Where a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the beginning of an item or of a line of an environment.
    Item,
    /// As a value in an expression.
    Value,
    /// As a function in an expression or in a network.
    Function,
    Distribution,
    Domain,
    /// The ending of a file of recorded data.
    DataFile,
    /// A key of `infer`.
    Key,
    /// The name of an argument. `write` is the name alone.
    Argument,
}

/// Words that mean one thing, and how it is written here.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    pub place: Place,
    /// In small letters, without `_`.
    pub words: &'static [&'static str],
    /// Empty where there is no such thing.
    pub write: &'static str,
    /// Empty where the words above say it all.
    pub why: &'static str,
}

/// What to tell who writes `word`; `None` if no other tool is known to say that.
///
/// ```
/// use rlppl::syntax::{Place, ours};
/// let told = ours(Place::Key, "batch_size").unwrap();
/// assert_eq!(told.split(':').next(), Some("write `trajectories = 64`"));
/// assert_eq!(ours(Place::Key, "trajectories"), None);
/// ```
pub fn ours(place: Place, word: &str) -> Option<String> {
    row(place, word).map(|row| match (row.write, row.why) {
        ("", why) => why.to_owned(),
        (write, "") => format!("write `{write}`"),
        (write, why) => format!("write `{write}`: {why}"),
    })
}

/// The argument among `known` that other tools call `word`.
pub fn our_argument(word: &str, known: &[String]) -> Option<&'static str> {
    rows(Place::Argument, word)
        .map(|row| row.write)
        .find(|ours| known.iter().any(|known| known == ours))
}

fn row(place: Place, word: &str) -> Option<&'static Foreign> {
    rows(place, word).next()
}

fn rows(place: Place, word: &str) -> impl Iterator<Item = &'static Foreign> {
    let plain: String = word.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect();
    FOREIGN.iter().filter(move |row| row.place == place && row.words.contains(&plain.as_str()))
}

const fn foreign(
    place: Place,
    words: &'static [&'static str],
    write: &'static str,
    why: &'static str,
) -> Foreign {
    Foreign { place, words, write, why }
}

use Place::{Argument, DataFile, Distribution, Domain, Function, Item, Key, Value};

const IN_THE_BOUND: &str = "no key weighs the entropy: its weight follows from the bound. Scale \
                            the reward, \
    `likelihood { R[t] ~ exp(alpha * r[t]) }`: `alpha` is one over the temperature";
const FROM_THE_FACTORS: &str = "no key names an algorithm or a loss: they follow from which \
                                factors of `prior` and `posterior` differ";
const IN_KERNELS: &str = "networks stand in kernels: `kernel pi(a | s) = Categorical(logits = \
                          mlp(s, hidden = [64, 64]))`";

/// All of them, by place.
pub const FOREIGN: &[Foreign] = &[
    foreign(
        Item,
        &["env", "mdp", "pomdp", "world", "gym", "game", "task"],
        "environment NAME { … }",
        "",
    ),
    foreign(
        Item,
        &["variational", "guide", "q", "approximate", "proposal", "inference", "recognition"],
        "posterior { … }",
        "",
    ),
    foreign(Item, &["p", "generative", "joint", "reference"], "prior { … }", ""),
    foreign(
        Item,
        &["observe", "evidence", "optimality", "factor", "condition"],
        "likelihood { R[t] ~ exp(alpha * r[t]) }",
        "",
    ),
    foreign(
        Item,
        &[
            "train",
            "training",
            "fit",
            "learn",
            "optimize",
            "optimise",
            "optimizer",
            "settings",
            "hyperparameters",
            "config",
            "run",
        ],
        "infer { … }",
        "",
    ),
    foreign(
        Item,
        &["maximise", "minimize", "minimise", "objective", "loss"],
        "infer { maximize BOUND over KERNEL }",
        "",
    ),
    foreign(
        Item,
        &["policy", "actor", "agent", "conditional", "conditionaldistribution"],
        "kernel pi(a | s) = …",
        "",
    ),
    foreign(
        Item,
        &["def", "fn", "func", "function", "fun", "lambda", "var", "val", "const"],
        "let f(x) = …",
        "",
    ),
    foreign(
        Item,
        &["parameter", "parameters", "hyper", "hyperparameter", "arg", "flag"],
        "param NAME = 0.5",
        "",
    ),
    foreign(
        Item,
        &["network", "nn", "module", "critic", "layer"],
        "net NAME(s) = mlp(s, hidden = [64])",
        "",
    ),
    foreign(
        Item,
        &["episode", "maxsteps", "maxepisodesteps", "timelimit", "episodelength"],
        "horizon T = 100",
        "",
    ),
    foreign(
        Item,
        &["import", "include", "use", "load"],
        "environment NAME from \"file.rlenv\"",
        "no other files are read",
    ),
    foreign(
        Item,
        &["dataset", "demonstrations", "demos", "observed"],
        "data expert(a | s) from \"file.csv\"",
        "",
    ),
    foreign(Item, &["test", "assert", "check", "claim"], "expect { bound >= -10 }", ""),
    foreign(Item, &["obs", "emission", "observations"], "observation x : …", ""),
    foreign(
        Item,
        &["states", "statespace", "observationspace"],
        "state s : …",
        "an environment has one state; a record holds several",
    ),
    foreign(Item, &["actions", "actionspace", "control"], "action a : …", ""),
    foreign(
        Item,
        &["rewards", "cost", "utility"],
        "reward r in [-1, 0]",
        "a cost is a reward below 0",
    ),
    foreign(
        Item,
        &["done", "terminal", "terminate", "terminated", "stop", "until", "absorbing"],
        "end when s[t] == 9",
        "",
    ),
    foreign(Item, &["transition", "transitions", "dynamics", "step", "next"], "s[t+1] ~ …", ""),
    foreign(Item, &["init", "initial", "start", "reset"], "s[1] ~ …", ""),
    //
    foreign(Value, &["true", "yes"], "true", ""),
    foreign(Value, &["false", "no"], "false", ""),
    foreign(
        Value,
        &["null", "nil", "none", "na"],
        "",
        "the absent value is `none`, and only a kernel whose formal admits it, as `last: o?`, can \
         be given it: `pick(s[t], none)`",
    ),
    foreign(
        Value,
        &["inf", "infinity", "oo", "infty"],
        "",
        "there is no infinity: write a number that is large enough, as `horizon T = 1000` for a \
         task that does not end",
    ),
    foreign(Value, &["nan"], "", "there is no such number"),
    foreign(
        Value,
        &["gamma", "γ", "discount", "discountfactor"],
        "",
        "a discount is a number of your own: declare `param gamma = 0.99`, and let the likelihood \
         read it, `R[t] ~ exp(gamma ^ t * r[t])`",
    ),
    //
    foreign(Function, &["clip", "clamped", "bound", "limit"], "clamp(x, lo, hi)", ""),
    foreign(Function, &["pow", "power"], "x ^ y", ""),
    foreign(Function, &["square", "sqr"], "x ^ 2", ""),
    foreign(Function, &["ln", "log1p", "log10", "log2"], "log(x)", "the natural logarithm"),
    foreign(Function, &["expm1", "e"], "exp(x)", ""),
    foreign(Function, &["relu"], "max(0, x)", "in a network, `mlp(…, activation = relu)`"),
    foreign(Function, &["logistic", "expit"], "sigmoid(x)", ""),
    foreign(Function, &["fabs", "absolute"], "abs(x)", ""),
    foreign(Function, &["sgn", "signum"], "sign(x)", ""),
    foreign(Function, &["ceil", "ceiling"], "-floor(-x)", ""),
    foreign(Function, &["int", "trunc"], "floor(x)", ""),
    foreign(Function, &["arctan2"], "atan2(y, x)", ""),
    foreign(Function, &["maximum"], "max(x, y)", ""),
    foreign(Function, &["minimum"], "min(x, y)", ""),
    foreign(Function, &["rem", "remainder", "modulo", "fmod"], "mod(x, y)", ""),
    foreign(Function, &["ifelse", "choose", "cond", "select", "iif"], "if x > 0 then x else y", ""),
    foreign(
        Function,
        &["softmax", "logsoftmax"],
        "",
        "`Categorical(logits = …)` takes the softmax itself; `Categorical(probs = …)` takes \
         numbers that sum to 1",
    ),
    foreign(
        Function,
        &["random", "rand", "randn", "randint", "sample", "rnd"],
        "",
        "a function computes; what is random is drawn by a factor, as `s[t+1] ~ Mixture(0.9: \
         Delta(…), 0.1: Uniform)`",
    ),
    foreign(Function, &["dense", "fc", "fullyconnected", "affine"], "linear(s)", ""),
    foreign(
        Function,
        &["nn", "neuralnetwork", "network", "net", "ffn", "feedforward", "sequential"],
        "mlp(s, hidden = [64])",
        "",
    ),
    foreign(Function, &["embedding", "embed", "lookup", "tabular"], "table(s)", ""),
    foreign(
        Function,
        &["rnn", "lstm", "recurrent"],
        "linear(gru(past))",
        "`past` is a given of the kernel that is declared `past: x[..]`",
    ),
    //
    foreign(
        Distribution,
        &[
            "gaussian",
            "gauss",
            "normal",
            "multivariatenormal",
            "multivariatenormaldiag",
            "diaggaussian",
            "n",
        ],
        "Normal(mean = …, sd = …)",
        "a standard deviation, not a variance",
    ),
    foreign(
        Distribution,
        &[
            "tanhgaussian",
            "squashedgaussian",
            "squashednormal",
            "truncatednormal",
            "clippednormal",
            "boundednormal",
            "logitnormal",
        ],
        "TanhNormal(mean = …, sd = …)",
        "it stays within the declared bounds",
    ),
    foreign(
        Distribution,
        &["dirac", "deterministic", "point", "pointmass", "constant", "delta", "always"],
        "Delta(…)",
        "",
    ),
    foreign(
        Distribution,
        &[
            "softmax",
            "cat",
            "categorical",
            "discrete",
            "multinomial",
            "boltzmann",
            "onehotcategorical",
            "gibbs",
        ],
        "Categorical(logits = …)",
        "or `Categorical(probs = …)`",
    ),
    foreign(
        Distribution,
        &["unif", "discreteuniform", "uniformdiscrete", "randint"],
        "Uniform",
        "",
    ),
    foreign(
        Distribution,
        &["bern", "flip", "coin", "binary"],
        "Bernoulli(probs = …)",
        "the chance of the second value",
    ),
    foreign(
        Distribution,
        &["mixturesamefamily", "gmm", "mix", "mixtureofgaussians"],
        "Mixture(0.5: …, 0.5: …)",
        "",
    ),
    //
    foreign(
        Domain,
        &["discrete", "categorical", "finite"],
        "0..9",
        "ten values; `10` says the same, and names are `{ left, right }`",
    ),
    foreign(Domain, &["int", "integer", "nat", "uint", "range"], "0..9", "a finite range"),
    foreign(
        Domain,
        &["box", "interval", "continuous", "bounded"],
        "real in [-1, 1]",
        "a vector is `real[4] in [-1, 1]`",
    ),
    foreign(Domain, &["float", "double", "number", "scalar", "r", "unbounded"], "real", ""),
    foreign(Domain, &["vector", "array", "tensor"], "real[4]", ""),
    foreign(Domain, &["boolean", "binary", "bit"], "bool", ""),
    foreign(
        Domain,
        &["multidiscrete", "multibinary", "tuple", "dict", "struct", "record"],
        "{ x: 0..7, y: 0..7 }",
        "",
    ),
    foreign(Domain, &["enum", "set", "oneof"], "{ left, right }", ""),
    //
    foreign(
        DataFile,
        &[
            "npz", "npy", "pkl", "pickle", "h5", "hdf5", "parquet", "json", "jsonl", "arrow", "pt",
            "pth", "mat", "xlsx", "zip", "gz",
        ],
        "",
        "records are CSV: a header with names, as `episode,s,a`, and a line for each step; \
         `numpy.savetxt` and `rlppl eval RUN --record FILE.csv` write such",
    ),
    //
    foreign(
        Key,
        &["gamma", "discountfactor", "discountrate", "γ"],
        "discount = 0.99",
        "it lowers the variance of the gradient, at the price of a bias, and leaves the bound as \
         it is. \
         A discount of the objective stands in the likelihood, `R[t] ~ exp(gamma ^ t * r[t])` \
         with `param gamma = 0.99`, or is a chance to end of the environment",
    ),
    foreign(
        Key,
        &[
            "lr",
            "learningrate",
            "rate",
            "stepsize",
            "policylr",
            "pilr",
            "actorlr",
            "alphalr",
            "lrschedule",
        ],
        "optimizer = adam(rate = 0.001)",
        "a schedule is `rate = ramp(from = 0.001, to = 0)`",
    ),
    foreign(
        Key,
        &["adam", "adamw", "sgd", "rmsprop", "optim", "optimiser"],
        "optimizer = adam(rate = 0.001)",
        "",
    ),
    foreign(
        Key,
        &[
            "batch",
            "batchsize",
            "trainbatchsize",
            "numenvs",
            "nenvs",
            "numtrajectories",
            "nepisodes",
            "numepisodes",
            "episodes",
            "numparticles",
            "particles",
            "numsamples",
            "nsamples",
            "mcsamples",
            "numelbosamples",
            "samples",
            "trajs",
        ],
        "trajectories = 64",
        "whole trajectories for each batch; its parts are `minibatch = 256` steps",
    ),
    foreign(
        Key,
        &["minibatchsize", "sgdminibatchsize", "numminibatches", "nminibatches", "microbatch"],
        "minibatch = 256",
        "live steps",
    ),
    foreign(
        Key,
        &["gaelambda", "lam", "λ", "tdlambda", "gae", "tau"],
        "lambda = 0.95",
        "it needs a network as `baseline`, as `baseline = mlp(s, hidden = [64])`",
    ),
    foreign(
        Key,
        &[
            "entcoef",
            "entropycoef",
            "entropycoeff",
            "entropybonus",
            "entropyweight",
            "entropy",
            "alpha",
            "beta",
            "temperature",
            "temp",
            "rewardscale",
            "rewardscaling",
            "klcoef",
            "klcoeff",
            "targetentropy",
        ],
        "",
        IN_THE_BOUND,
    ),
    foreign(
        Key,
        &["vfcoef", "valuecoef", "vflosscoeff", "valuelosscoef", "criticcoef"],
        "baseline_weight = 0.5",
        "it counts where the baseline's network shares a `net` with the policy",
    ),
    foreign(
        Key,
        &["critic", "valuefunction", "value", "vf", "valuenet", "valuenetwork"],
        "baseline = mlp(s, hidden = [64])",
        "",
    ),
    foreign(
        Key,
        &["maxgradnorm", "gradclip", "clipgrad", "gradientclipping", "clipgradient", "gradnorm"],
        "clip_norm = 0.5",
        "",
    ),
    foreign(
        Key,
        &[
            "clip",
            "cliprange",
            "clipparam",
            "clipeps",
            "clipepsilon",
            "epsilonclip",
            "clipcoef",
            "ppoclip",
            "epsclip",
        ],
        "clip_ratio = 0.2",
        "it counts where a batch is used again: `epochs = 4`",
    ),
    foreign(
        Key,
        &[
            "nepochs",
            "numepochs",
            "updateepochs",
            "numsgditer",
            "noptepochs",
            "kepochs",
            "ppoepochs",
        ],
        "epochs = 4",
        "",
    ),
    foreign(
        Key,
        &["targetkl", "maxkl", "desiredkl", "kllimit", "klbound"],
        "kl_target = 0.01",
        "it ends the passes over a batch; a trust region is `update = trust_region(kl = 0.01)`",
    ),
    foreign(
        Key,
        &["trpo", "naturalgradient", "trustregion", "npg"],
        "update = trust_region(kl = 0.01)",
        "",
    ),
    foreign(
        Key,
        &[
            "totaltimesteps",
            "numtimesteps",
            "timesteps",
            "iterations",
            "niter",
            "niterations",
            "numiterations",
            "updates",
            "numupdates",
        ],
        "steps = 1000",
        "batches of whole trajectories",
    ),
    foreign(
        Key,
        &[
            "traininterations",
            "trainsteps",
            "gradientsteps",
            "numsteps",
            "maxsteps",
            "maxiter",
            "maxiterations",
        ],
        "steps = 1000",
        "batches of whole trajectories",
    ),
    foreign(
        Key,
        &[
            "nsteps",
            "rolloutlength",
            "rolloutsteps",
            "horizon",
            "t",
            "maxepisodesteps",
            "episodelength",
            "unrolllength",
        ],
        "",
        "trajectories are as long as the model's `horizon T = …`, and a batch has `trajectories = \
         …` of them; \
         returns that a learned value cuts short are `n_step = 5`",
    ),
    foreign(
        Key,
        &["buffersize", "replaysize", "replaybuffer", "memorysize", "memory", "replaycapacity"],
        "replay = 100000",
        "what a classifier or a model of the world learns from: a policy never learns from old \
         draws",
    ),
    foreign(
        Key,
        &[
            "workers",
            "nworkers",
            "numworkers",
            "njobs",
            "numthreads",
            "nthreads",
            "numcpus",
            "cores",
        ],
        "threads = 2",
        "",
    ),
    foreign(
        Key,
        &["device", "gpu", "cuda", "usegpu", "accelerator"],
        "threads = 2",
        "rlppl runs on the processor",
    ),
    foreign(Key, &["dtype", "double", "float64", "floattype"], "precision = f64", ""),
    foreign(Key, &["randomseed", "rng", "rngseed", "prngkey"], "seed = 1", ""),
    foreign(
        Key,
        &[
            "normalizeadvantage",
            "normalizeadvantages",
            "normadv",
            "standardizeadvantages",
            "whitenadvantages",
        ],
        "normalize = advantages",
        "",
    ),
    foreign(
        Key,
        &["normalizereward", "normalizerewards", "normalizereturns", "normreward", "normret"],
        "normalize = returns",
        "",
    ),
    foreign(
        Key,
        &["normalizeobs", "normalizeobservation", "normalizeobservations", "normobs", "obsnorm"],
        "normalize = observations",
        "",
    ),
    foreign(
        Key,
        &["loginterval", "logfreq", "printevery", "verbose", "logeveryn"],
        "log_every = 10",
        "",
    ),
    foreign(
        Key,
        &[
            "rewardthreshold",
            "solved",
            "stopreward",
            "earlystopping",
            "earlystop",
            "stop",
            "target",
            "tolerance",
        ],
        "until = expected_return >= -3",
        "",
    ),
    foreign(
        Key,
        &["algorithm", "algo", "method", "loss", "estimatorloss", "elbo", "objective"],
        "",
        FROM_THE_FACTORS,
    ),
    foreign(
        Key,
        &[
            "netarch",
            "hiddensizes",
            "hidden",
            "layers",
            "activation",
            "network",
            "policykwargs",
            "model",
            "policy",
            "arch",
            "units",
        ],
        "",
        IN_KERNELS,
    ),
    foreign(
        Key,
        &["targetupdateinterval", "polyak", "targetnetwork", "targetupdate", "softupdate"],
        "",
        "no network is a slow copy of another; the frozen copy of a kernel is `previous pi`, \
         which `rounds = 10` moves",
    ),
    //
    foreign(Argument, &["mu", "loc", "μ", "m", "location", "center", "centre"], "mean", ""),
    foreign(
        Argument,
        &["sigma", "std", "scale", "stddev", "stdev", "σ", "standarddeviation", "s"],
        "sd",
        "",
    ),
    foreign(Argument, &["logit", "scores", "energies", "preferences"], "logits", ""),
    foreign(
        Argument,
        &["p", "prob", "probabilities", "probability", "weights", "pvals"],
        "probs",
        "",
    ),
    foreign(Argument, &["low", "lower", "min", "a", "minval"], "lo", ""),
    foreign(Argument, &["high", "upper", "max", "b", "maxval"], "hi", ""),
    foreign(Argument, &["alpha", "concentration1", "α"], "a", ""),
    foreign(Argument, &["beta", "concentration0", "β"], "b", ""),
    foreign(
        Argument,
        &["hiddensizes", "units", "layers", "sizes", "width", "netarch", "hiddensize", "features"],
        "hidden",
        "",
    ),
    foreign(Argument, &["act", "activationfn", "nonlinearity", "nonlin"], "activation", ""),
    foreign(Argument, &["lr", "learningrate", "stepsize", "alpha"], "rate", ""),
    foreign(Argument, &["eps"], "epsilon", ""),
    foreign(Argument, &["betas", "b1"], "beta1", ""),
    foreign(Argument, &["b2"], "beta2", ""),
    foreign(Argument, &["alpha", "rho", "smoothing"], "decay", ""),
    foreign(Argument, &["maxkl", "delta", "targetkl", "radius"], "kl", ""),
    foreign(Argument, &["cgiters", "cgiterations", "steps"], "iterations", ""),
    foreign(Argument, &["cgdamping"], "damping", ""),
    foreign(Argument, &["value", "values", "support", "choices"], "over", ""),
    foreign(Argument, &["stay", "stickiness", "p"], "keep", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_one_row_and_is_written_plainly() {
        for (at, row) in FOREIGN.iter().enumerate() {
            assert!(!row.write.is_empty() || !row.why.is_empty(), "{:?} says nothing", row.words);
            for word in row.words {
                assert_eq!(
                    *word,
                    word.to_lowercase().replace('_', ""),
                    "words are looked up in small letters, without `_`"
                );
                let again = FOREIGN[..at]
                    .iter()
                    .find(|first| first.place == row.place && first.words.contains(word));
                // an argument's word may mean another thing of another function
                assert!(
                    row.place == Argument || again.is_none(),
                    "`{word}` stands twice at {:?}",
                    row.place
                );
            }
        }
    }
}
