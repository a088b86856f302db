//! All randomness of a simulation: a seed, and what is drawn from it.

use std::f64::consts::TAU;

/// SplitMix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// One of `streams` that do not disturb each other, of one seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        random.bits();
        random
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0, less than 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly between two bounds.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Of mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Of mean 0 and deviation 1.
    pub fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (TAU * self.unit()).cos()
    }

    /// Log-normal with this mean; `cv` is deviation over mean.
    pub fn lognormal(&mut self, mean: f64, cv: f64) -> f64 {
        let variance = (1.0 + cv * cv).ln();
        mean * (variance.sqrt() * self.normal() - variance / 2.0).exp()
    }

    /// Pareto: at least 1, with this tail.
    pub fn pareto(&mut self, tail: f64) -> f64 {
        (1.0 - self.unit()).powf(-1.0 / tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: f64, mut draw: impl FnMut(&mut Random) -> f64) {
        let mut random = Random::new(7, 1);
        let mean = (0..100_000).map(|_| draw(&mut random)).sum::<f64>() / 100_000.0;
        assert!((mean - expected).abs() < 0.02 * expected.max(1.0), "{name}: {mean}");
    }

    #[test]
    fn means() {
        check("unit", 0.5, Random::unit);
        check("between", 3.0, |random| random.between(2.0, 4.0));
        check("exponential", 1.0, Random::exponential);
        check("normal", 0.0, Random::normal);
        check("lognormal", 0.25, |random| random.lognormal(0.25, 0.3));
        check("pareto", 1.5, |random| random.pareto(3.0));
    }
}
