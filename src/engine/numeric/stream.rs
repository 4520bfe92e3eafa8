//! Streams of random numbers, each named by three words, and what is drawn from them by our own
//! hand.

use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::f64::consts::TAU;

// The second word of a stream says what it is for.
pub(in crate::engine) const TRAINING: u64 = 1;
pub(in crate::engine) const EVALUATION: u64 = 2;
pub(in crate::engine) const SHUFFLING: u64 = 3;
/// Behind all passes of [`SHUFFLING`].
pub(in crate::engine) const WEIGHTS: u64 = 1 << 32;
/// Behind those of [`WEIGHTS`] and of gains.
pub(in crate::engine) const CLASSIFYING: u64 = 1 << 33;
pub(in crate::engine) const CALIBRATION: u64 = CLASSIFYING + 1;
pub(in crate::engine) const REFITTING: u64 = CLASSIFYING + 2;
/// Behind the two of [`WEIGHTS`].
pub(in crate::engine) const GAINS: u64 = WEIGHTS + 2;

/// The generator of a stream: SplitMix64 over its words, so that neighbouring streams share
/// nothing.
pub(in crate::engine) fn generator(stream: [u64; 3]) -> Xoshiro256PlusPlus {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for word in stream {
        state = mix(state ^ word.wrapping_mul(0xd129_42f8_6d1e_59cb));
    }
    Xoshiro256PlusPlus::seed_from_u64(state)
}

fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A standard normal draw (Box and Muller 1958), from uniform numbers alone.
pub(in crate::engine) fn normal(random: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos()
}
