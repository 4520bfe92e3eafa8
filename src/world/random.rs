//! The random source that is handed to programs from outside.

use rand::{Rng, RngExt, SeedableRng, TryRng};
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::convert::Infallible;

/// A source of random numbers that a seed names: equal seeds give equal numbers on every machine.
/// It is a generator of the crate `rand` 0.10, too, so that what draws from one draws from it.
#[derive(Clone, Debug)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    pub fn seeded(seed: u64) -> Random {
        Random(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A number of `[0, 1)`, all alike.
    pub fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// A number of `[lo, hi)`, all alike.
    pub fn between(&mut self, lo: f64, hi: f64) -> f64 {
        lo + (hi - lo) * self.unit()
    }

    /// One of `0..count`, all alike.
    ///
    /// # Panics
    /// Where `count` is 0.
    pub fn below(&mut self, count: u64) -> u64 {
        self.0.random_range(0..count)
    }

    /// A normal number of mean 0 and deviation 1.
    pub fn normal(&mut self) -> f64 {
        self.0.sample(StandardNormal)
    }

    /// The generator itself.
    pub fn generator(&mut self) -> &mut Xoshiro256PlusPlus {
        &mut self.0
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}
